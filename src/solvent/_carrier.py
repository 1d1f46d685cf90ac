"""
How a budget travels: its scope, as text, to other processes and machines. Ids travel; limits and totals are looked up
in the ledger.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol, Self
from urllib.parse import quote

from msgspec.structs import replace

from solvent._limits import SECOND_NS, Scope
from solvent._openings import own_of
from solvent._outer import Opened
from solvent.errors import UnknownBudget
from solvent.stores._protocol import Store

BUDGET_HEADER = "x-solvent-budget"
SCOPE_VARIABLE = "SOLVENT_SCOPE"  # The scope that the environment hands down.
LEDGER_VARIABLE = "SOLVENT_LEDGER"
_WSGI_HEADER = "HTTP_X_SOLVENT_BUDGET"  # As PEP 3333 has it in a request's environment.
_TEXT_MAX = 16_384  # The longest scope there can be, percent-encoded, with a time for each of its parts.


class Headers(Protocol):
    """
    The headers of a request or the variables of an environment: whatever has ``items()``.
    """

    def items(self) -> Iterable[tuple[str, object]]: ...


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
        if len(text) > _TEXT_MAX:
            raise ValueError(f"a carrier has at most {_TEXT_MAX:,} characters, got {len(text):,}")
        if re.search(r"[\x00-\x1f\x7f]", text):
            raise ValueError(f"a carrier has no control characters, got {text!r:.300}")
        path, semicolon, times = text.partition(";")
        found = re.fullmatch(r"(\d{1,2}@\d{19})(,\d{1,2}@\d{19})*", times, re.ASCII)
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
        return {SCOPE_VARIABLE: str(self), **({LEDGER_VARIABLE: self.ledger} if self.ledger else {})}


def carrier_in(given: str | Scope | Headers) -> Carrier:
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
    if not hasattr(given, "items"):
        raise ValueError(f"a carrier is a text, headers or an environment, got {type(given).__name__}")
    found = [(name, value) for name, value in given.items() if isinstance(name, str) and isinstance(value, str)]
    sent = [value for name, value in found if name.lower() == BUDGET_HEADER or name == _WSGI_HEADER]
    if len(sent) > 1:
        raise ValueError(f"one budget is carried at a time, got the header {BUDGET_HEADER} {len(sent)} times")
    if sent:
        return _sent(sent[0])
    for name, value in found:
        if name == SCOPE_VARIABLE:
            return Carrier.parse(value)
    raise ValueError(
        f"no budget is carried in it: expected the header {BUDGET_HEADER} or the variable {SCOPE_VARIABLE}"
    )


def _sent(value: str) -> Carrier:
    """
    What a header carries: a scope alone would begin its time anew, which is not for who sends requests to say.
    """
    carrier = Carrier.parse(value)
    if not carrier.began_ns:
        raise ValueError(f"the header {BUDGET_HEADER} has what carry() gives, got {value!r:.300}")
    return carrier


def openings_in(store: Store, carrier: Carrier, *, now_ns: int) -> Iterator[Opened]:
    """
    What code and flags put in force on a carrier's path, as the ledger's journal has it; widest first.

    Where the carrier says since when, no time in it begins later than the ledger knows; a scope alone is opened anew.

    Raises:
        StoreUnavailable, LedgerCorrupt: It cannot be read.
    """
    for place in carrier.scope.path():
        entry = store.last_opened(str(place))
        own = None if entry is None else own_of(entry.call)
        if entry is not None and own is not None:
            began_ns = now_ns
            if carrier.began_ns:
                began_ns = min(carrier.began_ns.get(len(place.parts), entry.at), entry.at)
            yield replace(own, seconds=max(now_ns - began_ns, 0) / SECOND_NS)


def check_known(store: Store, carrier: Carrier) -> None:
    """
    Raises:
        UnknownBudget: The ledger has heard of nothing on its path.
    """
    if not is_known(store, carrier.scope):
        raise UnknownBudget(
            where=f"resume({str(carrier.scope)!r})",
            expected=f"a budget that was opened in the ledger {store.url}",
            got="one that it does not know",
            hint="name the ledger in which it was opened: SOLVENT_LEDGER, or resume(…, ledger=…)",
        )


def is_known(store: Store, scope: Scope) -> bool:
    """
    Whether the ledger knows of an opening on a scope's path. Agents and steps without limits of their own leave none.
    """
    # Of most it is the run; to look for an opening that is not there takes the longest.
    likely_first = sorted(scope.path(), key=lambda place: place.parts[-1][0] != "run")
    return any(store.last_opened(str(place)) is not None for place in likely_first)
