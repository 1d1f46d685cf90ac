"""
What a report says: the limits, what was spent on which model and where, what was refused, and what is still open.

Amounts are integers: nanodollars for money, counts for the rest. Each of them is a sum over the journal.
"""

import sys
from collections.abc import Mapping

from msgspec import Struct, field

from solvent._digest import Facts, Sums
from solvent._openings import OtherLimit
from solvent._records import Account, Balance


class Use(Struct, frozen=True, kw_only=True):
    """
    What a set of calls used.

    Attributes:
        calls: Those that reached a provider, as far as anyone knows; a released one did not.
        cost_nanodollars: What was booked for them.
        unpriced: Of the calls, those of unknown cost; they add nothing to ``cost_nanodollars``.
        tokens: The calls' usage by name, as in ``solvent._amounts.Usage``.
    """

    calls: int = 0
    cost_nanodollars: int = 0
    unpriced: int = 0
    tokens: Mapping[str, int] = field(default_factory=dict)


class ModelUse(Struct, frozen=True, kw_only=True):
    """
    What one model used. ``model`` is the one that answered, where the provider named it, else the one asked for.
    """

    provider: str | None
    model: str | None
    use: Use


class Refused(Struct, frozen=True, kw_only=True):
    """
    Refusals of one kind by one limit, or, where no limit was in the way, for one model.

    Attributes:
        code: ``budget_exceeded``, ``price_unknown``, ``store_down`` and so on.
        account, limit: What was in the way, if it was a limit.
        model: The model asked for, if it was none.
        reason: Of the last of them, in words.
    """

    code: str
    account: Account | None = None
    limit: int | None = None
    model: str | None = None
    count: int
    reason: str | None


class Share(Struct, frozen=True, kw_only=True):
    """
    Some of the calls, and the money that they stand for.
    """

    count: int = 0
    nanodollars: int = 0


class Rung(Struct, frozen=True, kw_only=True):
    """
    What one rung of the ladder did.

    Attributes:
        name: ``prefix``, ``tokenizer``, ``count``, ``wait``, ``degrade``, ``shrink`` or ``refuse``.
        calls: Calls that it was taken for.
        cost_nanodollars: What those did cost.
        saved_nanodollars: What was not spent for it: of ``degrade`` what the model that was asked for would have cost
            more, for what the other one used; of ``refuse`` the most that the refused calls could have cost. ``None``
            where nobody can tell: the other rungs only found room for a call.
        waited_milliseconds: Of ``wait``, all calls together.
    """

    name: str
    calls: int
    cost_nanodollars: int = 0
    saved_nanodollars: int | None = None
    waited_milliseconds: int = 0


class Node(Struct, frozen=True, kw_only=True):
    """
    One scope in the tree of a report. What it used in all is its own and its children's, to the nanodollar.

    Attributes:
        scope: Its path; ``None`` of a node that stands for ``count`` cheaper ones that are not told one by one.
        count: How many scopes it stands for.
        own, total: What calls of the scope itself used, and those with all below.
        refused: Calls that were refused, with those below; ``released`` those that were never sent.
        reserved_nanodollars: What open calls hold, with those below.
        estimated, overruns: As in the report, with those below.
        limits: The limits of this scope's own accounts, with what these hold.
        children: The dearest first.
    """

    scope: str | None
    count: int = 1
    own: Use = field(default_factory=Use)
    total: Use = field(default_factory=Use)
    refused: int = 0
    released: int = 0
    reserved_nanodollars: int = 0
    estimated: Share = field(default_factory=Share)
    overruns: Share = field(default_factory=Share)
    limits: tuple[Balance, ...] = ()
    children: tuple["Node", ...] = ()


class Row(Struct, frozen=True, kw_only=True):
    """
    What calls used that have something in common.

    Attributes:
        key: A text for each of the names that rows are told apart by: ``("2026-03-01", "researcher")``; ``None`` where
            a call has no such thing, such as an agent.
        estimated, overruns: Of them, as in the report.
    """

    key: tuple[str | None, ...]
    use: Use
    refused: int = 0
    released: int = 0
    estimated: Share = field(default_factory=Share)
    overruns: Share = field(default_factory=Share)


class Report(Struct, frozen=True, kw_only=True):
    """
    One run as its journal tells it, or any scope, or all of a ledger.

    Attributes:
        scope: The run's scope: ``run:triage``; ``None`` for a whole ledger.
        hours: Only calls that ended in these hours since 1970 are in its sums, the second one not included; ``None``
            for all.
        runs: How many runs were opened in it.
        openings: How often it was opened; a run that is continued by name is opened again.
        before: What was used before the last opening: what a run that is continued by name had spent by then.
        state: ``running``, ``killed`` or ``ended``; ``None`` where nobody can tell whether its process is there still.
        open_nanoseconds: How long it was open, all openings together; until now while it runs, and until its last sign
            of life where it was killed.
        started: When it was first opened; nanoseconds since 1970, UTC, as all times here.
        ended: When it was last closed; ``None`` while it is open, and for ever if it was killed.
        last_seen: The last entry that the run itself wrote.
        is_command: It was last opened for a command of ``solvent run``, rather than by a block of a program.
        exit_reason, exit_code: How it was last closed.
        limits: The limits of the last opening, with what their accounts hold.
        others: The other limits in force: those that only tell, of the single call, of the path and of time.
        total, models: What was used in all, and by model, the most expensive first.
        refused: The most frequent first.
        turned_away: Requests that were no call that could be made, by code; written when the run is closed.
        failed: Calls that a provider answered with an error, by HTTP status.
        released: Calls that were given up before anything was sent.
        unsent: The same by reason: ``not_sent``, for the provider was not reached, or ``client_gone``.
        rungs: How often which rung of the ladder was taken: ``prefix``, ``wait``, ``shrink``; and which limit that
            only tells was passed: ``warn usd``.
        estimated: Calls whose cost is a bound rather than the provider's count, by reason.
        expired: Calls whose end no one saw, charged in full. They are among the estimated ones.
        corrected: Calls that had expired and whose true cost came late.
        open: Reservations that are not closed yet, and what they hold.
        overruns: Calls that cost more than was reserved; ``nanodollars`` is the excess.
        bounds: Calls of which bound and cost are both known; ``nanodollars`` is the sum of their bounds.
        retries: Calls that were not the first try of their request.
        ladder: What each rung of the ladder did, in its order.
        tree: The same by scope; Σ children and own = total at every node.
        groups: What all this was added up from.
    """

    scope: str | None
    hours: tuple[int, int] | None = None
    runs: int = 0
    openings: int = 0
    before: Use = field(default_factory=Use)
    state: str | None = None
    open_nanoseconds: int = 0
    started: int | None = None
    ended: int | None = None
    last_seen: int | None = None
    is_command: bool = False
    exit_reason: str | None = None
    exit_code: int | None = None
    limits: tuple[Balance, ...] = ()
    others: tuple[OtherLimit, ...] = ()
    total: Use = field(default_factory=Use)
    models: tuple[ModelUse, ...] = ()
    refused: tuple[Refused, ...] = ()
    turned_away: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    released: int = 0
    unsent: Mapping[str, int] = field(default_factory=dict)
    rungs: Mapping[str, int] = field(default_factory=dict)
    estimated: Mapping[str, Share] = field(default_factory=dict)
    expired: Share = field(default_factory=Share)
    corrected: int = 0
    open: Share = field(default_factory=Share)
    overruns: Share = field(default_factory=Share)
    bounds: Share = field(default_factory=Share)
    retries: int = 0
    ladder: tuple[Rung, ...] = ()
    tree: Node | None = None
    groups: Mapping[Facts, Sums] = field(default_factory=dict)

    def by(self, *names: str) -> tuple[Row, ...]:
        """
        Sums of the calls that have these in common, the dearest first.

        Args:
            *names: ``model``, ``provider``, ``agent``, ``step``, ``run``, ``user``, ``team``, ``org``, ``day``,
                ``hour``, ``tier``, ``price``, ``estimated``, ``status``.

        Raises:
            ValueError: A name is none of these.
        """
        from solvent.report._by import rows_by

        return rows_by(self.groups, names)

    def __repr__(self) -> str:
        return f"<Report of {self.scope or 'a ledger'}: {self.total!r}>"

    def __str__(self) -> str:
        from solvent.report._terminal import WIDTH_PIPED, render  # Which draws what stands here.

        is_hooked = "solvent.instrument" in sys.modules  # Loaded by `solvent.install`.
        return render(self, width=WIDTH_PIPED, color=False, is_hooked=is_hooked).rstrip("\n")

    @property
    def refusals(self) -> int:
        return sum(refused.count for refused in self.refused)

    @property
    def elapsed_seconds(self) -> float:
        """
        How long it was open.
        """
        return self.open_nanoseconds / 1e9
