"""
What can be asked and spent in a scope by a program itself: decisions, and calls that go through no SDK.
"""

from msgspec.structs import replace

from solvent import _amounts
from solvent._decide import Decision
from solvent._limits_in_code import Amount
from solvent._place import Place, current_place
from solvent._spending import Spending, stated_call


class Asks:
    """
    Asks and spends where code runs; a budget does so in its own scope.
    """

    def _find_place(self) -> Place:
        return current_place()

    def call(
        self,
        name: str = "call",
        *,
        usd: Amount | None = None,
        model: str | None = None,
        provider: str = "",
        input_tokens: int | str | None = None,
        output_tokens: int | str | None = None,
        wait: str | float | None = None,
    ) -> Spending:
        """
        Anything that costs and goes through no SDK, as a ``with`` or ``async with`` block or a decorator: the most that
        it can cost is set aside first, and refused where it does not fit; what it did cost is booked at its end.

        Inside, ``settle(…)`` says what was used. What is not said is booked as it was set aside, also where the block
        ends in an error; ``release()`` says that nothing was made of it. It counts as one of ``calls``. Calls of SDKs
        inside it count for themselves.

        Args:
            name: What it is, for reports.
            usd: The most that it can cost; of a model that has a price, its tokens say it.
            model, provider: The model, as its provider spells it.
            input_tokens, output_tokens: The most that it can read and write; none for what is no model.
            wait: How long it may wait for room; as the budget says, else. Without ``async with`` it waits for nothing
                where an event loop runs.

        Raises:
            ValueError: An amount is negative, no number, or not finite. When its block begins: ``BudgetExceeded``,
                ``PriceUnknown`` and ``Unbounded``, as for any call.
        """
        call = stated_call(
            name, usd=usd, model=model, provider=provider, input_tokens=input_tokens, output_tokens=output_tokens
        )
        wait_seconds = None if wait is None else _amounts.seconds(wait, name="wait")
        return Spending(call, self._find_place, wait_seconds=wait_seconds)

    def check(
        self,
        name: str = "check",
        *,
        usd: Amount | None = None,
        model: str | None = None,
        provider: str = "",
        input_tokens: int | str | None = None,
        output_tokens: int | str | None = None,
    ) -> Decision:
        """
        Whether a call of these amounts would be admitted now. Reserves, writes and awaits nothing.

        Args:
            name: What is asked about, for errors.
            usd: The most that it can cost; of a model that has a price, its tokens say it.
            model, provider: The model, as its provider spells it.
            input_tokens, output_tokens: The most that it can read and write; none for what is no model.

        Raises:
            ValueError: An amount is negative, no number, or not finite.
            StoreUnavailable: The ledger did not answer.
        """
        call = stated_call(
            name, usd=usd, model=model, provider=provider, input_tokens=input_tokens, output_tokens=output_tokens
        )
        place = self._find_place()
        return place.runtime.guard.check(replace(call, retry=place.retry), scope=place.scope, within=place.within)

    async def acheck(
        self,
        name: str = "check",
        *,
        usd: Amount | None = None,
        model: str | None = None,
        provider: str = "",
        input_tokens: int | str | None = None,
        output_tokens: int | str | None = None,
    ) -> Decision:
        """
        ``check`` for async callers.
        """
        call = stated_call(
            name, usd=usd, model=model, provider=provider, input_tokens=input_tokens, output_tokens=output_tokens
        )
        place = self._find_place()
        call = replace(call, retry=place.retry)
        return await place.runtime.guard.acheck(call, scope=place.scope, within=place.within)
