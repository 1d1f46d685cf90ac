"""
How a refusal by a limit is told: what is left, what the call needs, and how to go on.
"""

from datetime import datetime

from solvent._amounts import exact_dollars, show_seconds
from solvent._limits import show_amount


class RefusalText:
    """
    The message of ``BudgetExceeded``, made from its fields.
    """

    scope: str
    meter: str
    window: str
    limit: int
    spent: int
    reserved: int
    requested: int
    open_count: int
    source: str
    resets_at: datetime | None
    held: bool
    output_tokens_affordable: int | None
    output_tokens_least: int | None
    as_written: int | None
    now: datetime | None

    @property
    def remaining(self) -> int:
        return self.limit - self.spent - self.reserved

    def message(self) -> str:
        # What has no account has nothing spent.
        state = () if self.meter in ("depth", "parallel") or self.scope == "call" else (self._state(),)
        return "\n".join((self.headline(), *state, f"To go on: {', or '.join(self._ways())}."))

    def headline(self) -> str:
        """
        The first line of the message: what was asked and what is left.
        """
        if self.meter == "depth":
            return (
                f"{self.scope} nests agents and steps {self.limit} deep at most; this would be {self.requested} deep."
            )
        if self.meter == "parallel":
            is_open = f"{self.spent + self.reserved:,} of {self.limit:,} calls open at a time"
            return f"{self.scope} has {is_open}; this call would be one more."
        if self.scope == "call":
            return f"a call may need up to {self._show(self.limit)}; this call needs {self._need()}."
        per = f" per {self.window.partition('@')[0]}" if self.window else ""
        need = f"this call needs {self._need()}" if self.requested else "nothing more is begun"
        if self.meter == "branches":
            need = f"this fan-out has {self.requested:,}"
        elif self.meter == "retries":
            need = "this call would be one more"
        elif self.meter == "tool_calls":
            need = "the replies so far asked for more"
        left = self._show_apart(max(self.remaining, 0))
        return f"{self.scope} has {left} left of {self._show(self.limit)}{per}; {need}."

    def _show(self, amount: int) -> str:
        return show_amount(self.meter, amount)

    def _show_apart(self, amount: int) -> str:
        """
        What is left or what is needed, with every decimal where the two would look alike.
        """
        left = max(self.remaining, 0)
        is_alike = left != self.requested and self._show(left) == self._show(self.requested)
        return f"${exact_dollars(amount)}" if is_alike and self.meter == "usd" else self._show(amount)

    def _need(self) -> str:
        """
        The most that the call can need: as it is written, and as it was shrunk, where it was.
        """
        need = self._show_apart(self.requested)
        if self.output_tokens_least is not None:
            need += f" with its output cut to {self.output_tokens_least:,} tokens"
            if self.as_written is not None:
                need = f"{self._show(self.as_written)}, and {need}"
        return need if self.meter == "calls" else f"up to {need}"

    def _state(self) -> str:
        line = f"spent {self._show(self.spent)}, reserved {self._show(self.reserved)} ({self.open_count} open)"
        if self.resets_at is not None and self.now is not None:
            wait = show_seconds((self.resets_at - self.now).total_seconds())
            line += f"; resets {self.resets_at:%Y-%m-%d %H:%M} UTC, in {wait}"
        return line + "."

    def _ways(self) -> list[str]:
        ways = []
        if self.held:
            ways.append("try again when an open call has ended")
        if self.output_tokens_affordable:
            ways.append(f"ask for at most {self.output_tokens_affordable:,} output tokens")
        if self.meter == "depth" and not self.source:
            return ["nest fewer budgets, agents and steps, for a scope has no more parts"]
        ways.append(f"raise the limit ({self.source})" if self.source else "raise the limit")
        if self.resets_at is not None:
            ways.append("wait for the reset")
        return ways
