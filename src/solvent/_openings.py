"""
What a journal keeps of a run's opening beside the limits of its accounts: who opened it, and what else is in force.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from solvent._clock import SystemClock
from solvent._ids import new_id
from solvent._ladder import CALL
from solvent._limits import Limit, Scope
from solvent._operations import Note
from solvent._outer import Opened, from_json, to_json
from solvent._records import Account, CallRecord, Entry, Terms
from solvent.policy import Rules
from solvent.stores._owner import this_process

_OWN = "own"
COMMAND = "command"  # The format of an opening by `solvent run`; those of programs have none.
IMPORTED = "import:"  # What the id of an opening begins with that an import made: nothing is open there.
TOP_UP = "top_up"  # The reason of an entry that only raises the limits of an opening.


class OtherLimit(Struct, frozen=True, kw_only=True):
    """
    A limit in force that refuses by no account: it only tells, it is of a single call, of the path, or of time.

    Attributes:
        scope: Whose it is; ``call`` for one of every single call.
        limit: Nanodollars for ``usd``, seconds for ``seconds``, else a count; as text, for seconds may be parts.
        spent: What its account holds, where it has one.
    """

    scope: str
    meter: str
    window: str = ""
    limit: str
    on_exceed: str = "block"
    spent: int | None = None


def opening(
    scope: Scope,
    rules: Rules,
    *,
    per_call: Sequence[Limit] = (),
    time_seconds: float | None = None,
    parent: str | None = None,
    own: Opened | None = None,
    is_command: bool = False,
) -> Note:
    """
    The entry of a run that this process opens now.

    Args:
        rules: In force on its path.
        per_call: Limits of every single call.
        time_seconds: After which the whole run is ended.
        parent: The scope that it belongs to, of a run inside another one.
        own: What this opening itself puts in force, for whoever goes on with it.
        is_command: It is of a command that ``solvent run`` starts, rather than of a block of a program.
    """
    clock = SystemClock()
    others = [*_others(rules, per_call)]
    if time_seconds is not None:
        others.append(OtherLimit(scope=str(scope), meter="seconds", limit=f"{time_seconds:g}"))
    limits: dict[Account, int | None] = {
        Account(place, limit.meter, limit.window_key): limit.amount for place, limit in rules.blocking
    }
    call = CallRecord(
        started=clock.now_ns(),
        parent_id=parent,
        format=COMMAND if is_command else None,
        status=this_process(clock),
        bound_parts=(*(_json(other) for other in others), *([{_OWN: to_json(own).decode()}] if own else ())) or None,
    )
    return Note(kind="open", id=new_id(), scope=str(scope), terms=Terms.of(limits) if limits else None, call=call)


def run_of(entry: Entry) -> str:
    """
    The run that an opening belongs to: itself, if it is of one; of an agent or a step, the one around it.
    """
    if entry.call.parent_id is not None:  # A `solvent run` inside another one.
        return entry.scope
    runs = [str(place) for place in Scope.parse(entry.scope).path() if place.parts[-1][0] == "run"]
    return runs[-1] if runs else entry.scope


def others_of(call: CallRecord) -> tuple[OtherLimit, ...]:
    """
    The limits that an opening's record tells beside those of accounts.
    """
    return tuple(
        OtherLimit(**{name: str(value) for name, value in part.items()})  # type: ignore[arg-type]  # All are texts.
        for part in call.bound_parts or ()
        if _OWN not in part
    )


def own_of(call: CallRecord) -> Opened | None:
    """
    What an opening itself put in force, by its record; ``None`` where that does not say.
    """
    texts = [part[_OWN] for part in call.bound_parts or () if _OWN in part]
    return from_json(str(texts[0]).encode(), Opened) if texts else None


def _others(rules: Rules, per_call: Sequence[Limit]) -> Iterator[OtherLimit]:
    for place, limit in (*rules.watched, *rules.checked, *((CALL, limit) for limit in per_call)):
        yield OtherLimit(
            scope=place,
            meter=limit.meter,
            window=limit.window_key,
            limit=str(limit.amount),
            on_exceed=limit.on_exceed,
        )


def _json(other: OtherLimit) -> Mapping[str, str]:
    return {name: str(getattr(other, name)) for name in ("scope", "meter", "window", "limit", "on_exceed")}
