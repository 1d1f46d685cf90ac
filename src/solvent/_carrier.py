"""
How a budget travels: its scope, as text, to other processes and machines. Ids travel; limits and totals are looked up
in the ledger.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Self
from urllib.parse import quote

from msgspec.structs import replace

from solvent._limits import SECOND_NS, Scope
from solvent._openings import own_of
from solvent._outer import Opened
from solvent.errors import SettingsError
from solvent.stores._protocol import Store

BUDGET_HEADER = "x-solvent-budget"
SCOPE_VARIABLE = "SOLVENT_SCOPE"  # The scope that the environment hands down.


class Carrier(str):
    """
    A budget on its way: a text for a queue, a header or the environment; ``solvent.resume`` goes on with it.

    It says whose the calls are and since when, and nothing else. Whoever takes one charges that budget, so take it only
    from callers whom you would let spend it.

    Attributes:
        scope: Of the budget.
        began_ns: By the number of a scope's segments, when it was opened (since 1970, UTC); empty for one that is to
            be opened anew.
        ledger: The URL of its ledger; ``None`` where only the text is known.
    """

    scope: Scope
    began_ns: Mapping[int, int]
    ledger: str | None

    @classmethod
    def of(cls, scope: Scope, began_ns: Mapping[int, int], ledger: str | None = None) -> Self:
        text = quote(str(scope), safe=":/%")  # What is not ASCII as a scope's text may have it, too.
        if began_ns:
            text += ";" + ",".join(f"{depth}@{at}" for depth, at in sorted(began_ns.items()))
        carrier = cls(text)
        carrier.scope, carrier.began_ns, carrier.ledger = scope, began_ns, ledger
        return carrier

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Raises:
            ValueError: It is neither what a budget's ``carry()`` gives, nor a scope such as ``run:42``.
        """
        path, semicolon, times = text.partition(";")
        found = re.fullmatch(r"(\d{1,2}@\d{1,19})(,\d{1,2}@\d{1,19})*", times, re.ASCII)
        if semicolon and found is None:
            raise ValueError(f"a carrier is what carry() gives, or a scope such as run:42; got {text!r:.300}")
        pairs = [each.split("@") for each in times.split(",")] if times else []
        return cls.of(Scope.parse(path), {int(depth): int(at) for depth, at in pairs})

    @property
    def headers(self) -> dict[str, str]:
        """
        For an HTTP request to a service of one's own, which goes on with ``solvent.resume(request.headers)``.
        """
        return {BUDGET_HEADER: str(self)}

    @property
    def environ(self) -> dict[str, str]:
        """
        For a child process: its calls are then charged to this budget.
        """
        return {SCOPE_VARIABLE: str(self), **({"SOLVENT_LEDGER": self.ledger} if self.ledger else {})}


def carrier_in(given: str | Scope | Mapping[str, str]) -> Carrier:
    """
    What a text, the headers of a request or an environment carry.

    Raises:
        ValueError: Nothing that is a budget.
    """
    if isinstance(given, Carrier):
        return given
    if isinstance(given, Scope):
        return Carrier.of(given, {})
    if isinstance(given, str):
        return Carrier.parse(given)
    if not isinstance(given, Mapping):
        raise ValueError(f"a carrier is a text, headers or an environment, got {type(given).__name__}")
    for name, value in given.items():
        if isinstance(name, str) and (name.lower() == BUDGET_HEADER or name == SCOPE_VARIABLE):
            return Carrier.parse(value)
    raise ValueError(
        f"no budget is carried in it: expected the header {BUDGET_HEADER} or the variable {SCOPE_VARIABLE}"
    )


def openings_in(store: Store, carrier: Carrier, *, now_ns: int) -> Iterator[Opened]:
    """
    What code and flags put in force on a carrier's path, as the ledger's journal has it; widest first.

    Raises:
        StoreUnavailable, LedgerCorrupt: It cannot be read.
    """
    for place in carrier.scope.path():
        entry = store.last_opened(str(place))
        own = None if entry is None else own_of(entry.call)
        if own is not None:
            began_ns = carrier.began_ns.get(len(place.parts), now_ns)
            yield replace(own, seconds=max(now_ns - began_ns, 0) / SECOND_NS)


def check_known(store: Store, carrier: Carrier) -> None:
    """
    Raises:
        SettingsError: The ledger has never heard of this budget, so nothing could hold its calls.
    """
    if store.last_opened(str(carrier.scope)) is None:
        raise SettingsError(
            where=f"resume({str(carrier.scope)!r})",
            expected=f"a budget that was opened in the ledger {store.url}",
            got="one that it does not know",
            hint="name the ledger in which it was opened: SOLVENT_LEDGER, or resume(…, ledger=…)",
        )
