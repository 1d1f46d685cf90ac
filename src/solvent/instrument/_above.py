"""
What a hook above the HTTP library does: it says who calls, and gives a refusal back as Solvent's own error.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

from solvent.errors import BudgetExceeded, OutcomeUnknown, SolventError, StoreUnavailable
from solvent.instrument._hooks import Wrapper
from solvent.instrument._hosts import Client

ClientOf = Callable[[Any], Client | None]


class Above:
    """
    One call of an SDK with all its attempts: what its hook and those of the HTTP libraries below it tell each other.

    Attributes:
        client: Who makes the call.
        refusal: Why its last attempt was not made; ``None`` when it was.
    """

    def __init__(self, client: Client | None = None, outer: "Above | None" = None) -> None:
        self.client = client
        self.refusal: SolventError | None = None
        self._outer = outer

    def tell(self, refusal: SolventError | None) -> None:
        self.refusal = refusal
        if self._outer is not None:
            self._outer.tell(refusal)

    @property
    def final(self) -> SolventError | None:
        """
        A refusal that holds for whatever the SDK tries next by itself: again, or another model.
        """
        if is_final(self.refusal):
            return self.refusal
        return None if self._outer is None else self._outer.final


class Over(BaseException):
    """
    A refusal on its way out of what would try again; no ``except Exception`` there takes it.
    """

    def __init__(self, refusal: SolventError) -> None:
        super().__init__(refusal)
        self.refusal = refusal


def is_final(error: object) -> bool:
    """
    Whether it is a refusal that holds for whatever is tried next.
    """
    is_held = isinstance(error, BudgetExceeded) and error.held
    return isinstance(error, SolventError) and not is_held and not isinstance(error, OutcomeUnknown | StoreUnavailable)


_ABOVE: ContextVar[Above | None] = ContextVar("solvent_above", default=None)


def above() -> Above | None:
    """
    The call of an SDK that is being made in this context.
    """
    return _ABOVE.get()


@contextmanager
def calling(client: Client | None = None) -> Iterator[Above]:
    """
    While an SDK makes one call, with all its attempts.
    """
    outer = _ABOVE.get()
    token = _ABOVE.set(Above(client or (outer.client if outer else None), outer))
    try:
        yield _ABOVE.get()  # type: ignore[misc]  # It was set in the line before.
    finally:
        _ABOVE.reset(token)


def no_client(_: Any) -> None:
    """
    For SDKs whose addresses say all.
    """


def translated(client_of: ClientOf = no_client, *, answers: bool = False) -> Wrapper:
    """
    A wrapper for a function that makes a call, and raises what the SDK made of a refusal.

    Args:
        answers: It may also return what was answered.
    """

    def call(wrapped: Callable[..., Any], owner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        with calling(client_of(owner)) as this:
            try:
                result = wrapped(*args, **kwargs)
            except Exception:
                if this.refusal is None:
                    raise
            else:
                if this.refusal is None or not answers:
                    return result
        raise this.refusal  # Not what the SDK made of it.

    return call


def atranslated(client_of: ClientOf = no_client, *, answers: bool = False) -> Wrapper:
    """
    ``translated`` for a function that has to be awaited.
    """

    async def call(wrapped: Callable[..., Any], owner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        with calling(client_of(owner)) as this:
            try:
                result = await wrapped(*args, **kwargs)
            except Exception:
                if this.refusal is None:
                    raise
            else:
                if this.refusal is None or not answers:
                    return result
        raise this.refusal

    return call


def entered(client_of: ClientOf = no_client) -> Wrapper:
    """
    ``translated`` for a function that returns a context, which makes the call when it is entered.
    """

    @contextmanager
    def call(
        wrapped: Callable[..., Any], owner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Iterator[Any]:
        with ExitStack() as stack:
            with calling(client_of(owner)) as this:
                reply = stack.enter_context(wrapped(*args, **kwargs))
            if this.refusal is not None:
                raise this.refusal
            yield reply

    return call


def aentered(client_of: ClientOf = no_client) -> Wrapper:
    """
    ``entered`` for an async context.
    """

    @asynccontextmanager
    async def call(
        wrapped: Callable[..., Any], owner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            with calling(client_of(owner)) as this:
                reply = await stack.enter_async_context(wrapped(*args, **kwargs))
            if this.refusal is not None:
                raise this.refusal
            yield reply

    return call


def begun(items: Iterator[Any], client: Client | None) -> Iterator[Any]:
    """
    An iterator that makes its call when it is first asked.
    """
    try:
        with calling(client) as this:
            try:
                first = next(items)
            except StopIteration:
                return
            except Exception:
                if this.refusal is None:
                    raise
                raise this.refusal from None
        yield first
        yield from items
    finally:
        getattr(items, "close", _nothing)()


async def abegun(items: AsyncIterator[Any], client: Client | None) -> AsyncIterator[Any]:
    """
    ``begun`` for an async iterator.
    """
    try:
        with calling(client) as this:
            try:
                first = await anext(items)
            except StopAsyncIteration:
                return
            except Exception:
                if this.refusal is None:
                    raise
                raise this.refusal from None
        yield first
        async for item in items:
            yield item
    finally:
        if hasattr(items, "aclose"):
            await items.aclose()


def _nothing() -> None:
    pass
