"""
A ``solvent run`` in a budget that another process opened: a step below it, held to all that holds there.
"""

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from solvent._carrier import LEDGER_VARIABLE, SCOPE_VARIABLE, Carrier, check_known, openings_in
from solvent._clock import SystemClock
from solvent._limits import OWNERS, Scope
from solvent._outer import Opened
from solvent.errors import SettingsError
from solvent.run._settings import RunSettings
from solvent.stores import spelled_out
from solvent.stores._protocol import Store


def inside(settings: RunSettings, store: Store, environ: Mapping[str, str]) -> RunSettings:
    """
    The settings in the scope that the environment hands down, if it does.

    Raises:
        SettingsError: It is none that can have a run, or its ledger is another one, or does not know it.
    """
    text = environ.get(SCOPE_VARIABLE)
    if not text:
        return settings
    try:
        carrier = Carrier.parse(text)
        is_step = any(kind not in OWNERS for kind, _ in carrier.scope.parts)
        if not is_step:  # An org, a team or a user, as --scope has it; which says more.
            parts = (
                settings.scope.parts if len(settings.scope.parts) > 1 else carrier.scope.parts + settings.scope.parts
            )
            return replace(settings, scope=Scope(parts))
        scope = carrier.scope.child("step", settings.scope.parts[-1][1])
    except ValueError as error:
        raise SettingsError(where=SCOPE_VARIABLE, expected="a scope such as run:42", got=str(error)) from error
    _check(settings, environ, carrier)
    if carrier.began_ns:
        check_known(store, carrier)
    return replace(settings, scope=scope, inside=carrier)


def around(settings: RunSettings, store: Store) -> Iterator[tuple[Scope, Opened]]:
    """
    What code and flags put in force on the path of the budget that a run is a step of, and how long ago.
    """
    if settings.inside is not None:
        for opened in openings_in(store, settings.inside, now_ns=SystemClock().now_ns()):
            yield Scope.parse(opened.scope), opened


def _check(settings: RunSettings, environ: Mapping[str, str], carrier: Carrier) -> None:
    around = environ.get(LEDGER_VARIABLE)
    if len(settings.scope.parts) > 1:
        raise _belongs("--scope", str(settings.scope), carrier)
    if around and spelled_out(settings.ledger) != spelled_out(around):
        raise _belongs("--ledger", settings.ledger, carrier)


def _belongs(what: str, got: str, carrier: Carrier) -> SettingsError:
    return SettingsError(
        where=what,
        expected=f"that of {carrier.scope}, which this run is a step of",
        got=got,
        hint=f"leave {what} out, or unset {SCOPE_VARIABLE} to run outside of it",
    )
