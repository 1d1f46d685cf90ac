"""
Calls to the gateway of the ``solvent run`` around this process: it counts them, and here they only say whose they are.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from solvent._answers import ERROR_HEADER, answer_to, error_in
from solvent._outer import GATEWAY, SCOPE_HEADER, outer_gateway
from solvent._place import lost_among, retry_here, steps_below_run
from solvent._runtime import PROCESS
from solvent.errors import BudgetExceeded, SettingsError, SolventError, Unbounded
from solvent.events import Listeners
from solvent.instrument._above import above
from solvent.instrument._calls import Refused
from solvent.instrument._lost import tell_lost
from solvent.wire import FORMATS
from solvent.wire._read import RETRY_HEADER, retry_count

if TYPE_CHECKING:
    from solvent.report import Report


class _Response(Protocol):
    @property
    def headers(self) -> Mapping[str, str]: ...


R = TypeVar("R", bound=_Response)


class Passing(Struct, frozen=True):
    """
    A call that the gateway holds to its budget.

    Attributes:
        headers: Those of the request that are to be others than its caller's: whose it is, below the run.
    """

    headers: Mapping[str, str]

    def answered(self, response: R) -> R:
        """
        The head of the answer is there: a refusal is told to the SDK's hook above, which makes an error of it.
        """
        known = above()
        if known is not None:
            header = response.headers.get(ERROR_HEADER)
            error = None if header is None else error_in(header)
            if isinstance(error, BudgetExceeded):
                error.remember(history=_history)
            known.tell(error)
        return response


def to_gateway(url: object, given: Callable[[str], str | None]) -> Passing | None:
    """
    A call to the gateway; ``None`` for any other, and for one of a budget that is kept elsewhere and holds it too.

    Args:
        url: As its library has it.
        given: What its caller wrote in a header.

    Raises:
        Refused: It may not be made.
    """
    address = outer_gateway()
    if address is None or not str(url).startswith(_origins(address)):
        return None
    steps = steps_below_run()
    if steps is None:
        return None
    known = above()
    if known is not None and known.final is not None:  # It holds for whatever an SDK tries next.
        raise _refused(known.final)
    if among := lost_among():
        _tell_lost(steps, among)
    # Another address of the gateway stands for another scope, which has no such steps.
    own = "/".join(steps) if str(url).startswith(f"{address}/") else ""
    scope, headers = given(SCOPE_HEADER) or "", _retry(given)
    if own and scope != own and not scope.startswith(own + "/"):
        headers[SCOPE_HEADER] = f"{own}/{scope}" if scope else own
    return Passing(headers)


def _retry(given: Callable[[str], str | None]) -> dict[str, str]:
    """
    Which attempt it is of a ``solvent.retry``, where its caller knows of fewer.
    """
    retry = retry_here()
    return {RETRY_HEADER: str(retry)} if retry > retry_count({RETRY_HEADER: given(RETRY_HEADER) or ""}) else {}


def check_gateway() -> None:
    """
    Raises:
        SettingsError: The environment names a gateway by what is no address.
    """
    address = outer_gateway()
    if address is not None and not _origins(address):
        raise SettingsError(
            where=GATEWAY,
            expected="the address of the gateway of a `solvent run`, http://127.0.0.1:PORT/SECRET",
            got="another text",  # Which may hold the secret.
            hint=f"unset {GATEWAY} to go on without it",
        )


def _tell_lost(steps: tuple[str, ...], among: tuple[str, ...]) -> None:
    try:
        tell_lost("/".join(steps) or "the run", among, _listeners())
    except Unbounded as error:
        if (known := above()) is not None:
            known.tell(error)
        raise _refused(error) from error


def _history() -> "Report | None":
    try:
        runtime = PROCESS.runtime()
    except SettingsError:  # The gateway's ledger is in nobody else's reach.
        return None
    return runtime.history(str(runtime.scope))


def _listeners() -> Listeners | None:
    try:
        return PROCESS.runtime().guard.listeners
    except SolventError:  # The gateway's ledger is in nobody else's reach.
        return None


def _refused(error: SolventError) -> Refused:
    answer = answer_to(error)
    body = FORMATS["openai-chat"].refusal(code=answer.code, message=answer.message, metadata=answer.metadata)
    return Refused(error, answer, msgspec.json.encode(body))


@lru_cache(maxsize=8)
def _origins(address: str) -> tuple[str, ...]:
    """
    What the gateway's addresses begin with, of whichever scope they are; nothing where it is none.
    """
    try:
        where = urlsplit(address)
        port, host = where.port, where.hostname
    except ValueError:
        return ()
    if port is None or not host:
        return ()
    return tuple([f"{where.scheme}://{name}:{port}/" for name in {host, "127.0.0.1", "localhost"}])
