"""
What a report is of: a run, a scope, all of a ledger; and since when.
"""

import difflib
import re
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import typer
from msgspec import Struct

from solvent._digest import HOUR_NS, Hours
from solvent._limits import Scope
from solvent._openings import run_of
from solvent._printable import printable
from solvent.cli._common import EXIT_FAILED, fail
from solvent.report._by import BY
from solvent.report._json import HOURS_END
from solvent.stores._protocol import Store

NO_RUN = "\nTo go on: start one with `solvent run --usd 2 -- COMMAND`, or name another ledger with --ledger."
_EXPECTED = "a time such as 7d, 24h, 2026-11-01 or 2026-11-01T15:00, in UTC"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"h": 1, "d": 24, "w": 168}


class Choice(Struct, frozen=True, kw_only=True):
    """
    What the options ask for.

    Attributes:
        run: The run of this name.
        scope: This scope and all below it.
        is_all: All of the ledger; else, without a name, the last run.
        hours: Only what ended in these.
    """

    run: str | None = None
    scope: str | None = None
    is_all: bool = False
    hours: Hours | None = None

    def find(self, store: Store, url: str) -> str | None:
        """
        The scope that is meant, ``None`` for all; the command ends where the ledger has none such.
        """
        if self.is_all:
            return None
        if self.scope is not None:
            return _known(store, self.scope, url)
        return _last(store, url) if self.run is None else _named(store, self.run, url)


def hours_since(text: str) -> Hours:
    """
    The hours from a time on, or from the start of the hour that was so long ago.
    """
    now = time.time_ns() // HOUR_NS
    if match := re.fullmatch(r"([1-9][0-9]{0,5})([hdw])", text):
        return max(now - int(match[1]) * _UNITS[match[2]], 0), HOURS_END
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?(s|m|min)", text):
        _refuse(f"sums are kept by the hour, so at least 1h, got {text!r}")
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        _refuse(f"expected {_EXPECTED}, got {text!r}")
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    hour, rest = divmod(found - _EPOCH, timedelta(hours=1))
    if rest:
        whole = _EPOCH + hour * timedelta(hours=1)
        _refuse(f"sums are kept by the hour; expected such as {whole:%Y-%m-%dT%H:%M}, got {text!r}")
    if not 0 <= hour <= now:
        _refuse(f"expected a time since 1970 that is not to come, got {text!r}")
    return hour, HOURS_END


def _refuse(message: str) -> NoReturn:
    raise typer.BadParameter(message, param_hint="--since")


def by_names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in BY:
            close = difflib.get_close_matches(name, BY, n=1)
            near = f"; did you mean {close[0]}?" if close else ""
            raise typer.BadParameter(f"expected some of {', '.join(BY)}, got {name!r}{near}", param_hint="--by")
    if len(set(names)) < len(names):
        raise typer.BadParameter(f"expected each name once, got {text!r}", param_hint="--by")
    return names


def _last(store: Store, url: str) -> str:
    opened = store.last_opened()
    if opened is None:
        fail(f"no run was opened in {printable(url)} yet.{NO_RUN}", EXIT_FAILED)
    return run_of(opened)


def _known(store: Store, scope: str, url: str) -> str:
    if not _is_known(store, scope):
        _say_unknown(store, scope, url)
    return scope


def _is_known(store: Store, scope: str) -> bool:
    """
    Whether anything is told of a scope or of one below it; asked for without reading the journal.
    """
    if store.balances(scope) or store.groups(scope=scope) or store.held(scope):
        return True
    return next(store.entries(scope=scope, kinds=["open"]), None) is not None


def _say_unknown(store: Store, scope: str, url: str) -> NoReturn:
    known = {above for facts in store.groups() for above in _and_above(facts.scope)}
    close = difflib.get_close_matches(scope, sorted(known), n=3)
    fail(
        f"nothing of {printable(scope)} is in {printable(url)}.{_near(close)}\n"
        "To go on: see all scopes with `solvent report --all --tree`.",
        EXIT_FAILED,
    )


def _and_above(scope: str) -> list[str]:
    segments = scope.split("/")
    return ["/".join(segments[:length]) for length in range(1, len(segments) + 1)]


def _named(store: Store, run: str, url: str) -> str:
    """
    The scope that a person means by ``triage``, ``run:triage`` or ``org:acme/run:triage``: the run of that name, or the
    last that was opened of those that ``solvent.budget("triage")`` opens, which each have a name of their own.
    """
    readings = _readings(run)
    runs = list(dict.fromkeys(run_of(entry) for entry in store.entries(kinds=["open"])))
    found = [scope for scope in readings if scope in runs or _is_known(store, scope)]
    if found:
        return found[0]
    found = sorted(scope for scope in runs if scope.rpartition("/")[2] in readings)
    found = (
        found
        or [scope for scope in runs if _stem(scope) in readings or _stem(scope.rpartition("/")[2]) in readings][-1:]
    )
    if len(found) != 1:
        near = _near(found or _close_matches(run, runs))
        hint = "To go on: see the last ones with `solvent report --list`."
        fail(f"no run {printable(repr(run))} is in {printable(url)}.{near}\n{hint}", EXIT_FAILED)
    return found[0]


def _stem(scope: str) -> str | None:
    """
    A scope without the part that tells openings of one budget apart.
    """
    stem, _, id = scope.rpartition("-")
    return stem if re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", id) else None


def _near(close: Sequence[str]) -> str:
    return f" Close: {', '.join(map(printable, close))}." if close else ""


def _readings(run: str) -> list[str]:
    readings = []
    for read in (Scope.parse, _run_named):
        try:
            readings.append(str(read(run)))
        except ValueError:
            continue  # It is not written that way; an unknown name is answered above.
    return readings


def _run_named(name: str) -> Scope:
    return Scope((("run", name),))


def _close_matches(run: str, runs: Collection[str]) -> list[str]:
    by_name = {Scope.parse(scope).parts[-1][1]: scope for scope in sorted(runs)}
    name = run.rpartition("/")[2].removeprefix("run:")
    return [by_name[match] for match in difflib.get_close_matches(name, by_name, n=3)]
