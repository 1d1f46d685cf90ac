"""
A ``solvent run`` inside another one: a scope below the outer run's, at the outer run's gateway.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from msgspec.structs import replace

from solvent._limits import Scope
from solvent._outer import Asked, Outer
from solvent.errors import SettingsError
from solvent.run._python import python_path
from solvent.run._session import EXIT_BUDGET, Ended, catch_signals, ended_by, pass_signals, write_close, write_open
from solvent.run._settings import RunSettings
from solvent.run._warden import Warden
from solvent.stores._batcher import Ledger


def below(settings: RunSettings, environ: Mapping[str, str]) -> RunSettings:
    """
    The settings in the scope of a step below the outer run's.

    Raises:
        SettingsError: The outer run's scope is none that can have a step.
    """
    outer = environ.get("SOLVENT_SCOPE", "")
    try:
        return replace(settings, scope=Scope.parse(outer).child("step", settings.scope.parts[-1][1]))
    except ValueError as error:
        raise SettingsError(where="SOLVENT_SCOPE", expected="the scope of the outer run", got=str(error)) from error


def run_nested(settings: RunSettings, ledger: Ledger, environ: Mapping[str, str], *, outer: str) -> Ended:
    """
    Run the command with every address of the outer gateway led through this run's own way in.

    Raises:
        SettingsError: There is no gateway, or it would not.
    """
    with _way_in(settings, outer) as inner:
        env = {name: value.replace(outer, inner) for name, value in environ.items()}
        env |= {"SOLVENT_SCOPE": str(settings.scope), **python_path(environ)}
        write_open(ledger, settings, parent=environ.get("SOLVENT_SCOPE"))
        early = catch_signals()
        warden = Warden.start(settings.command, env=env)
        ended = asyncio.run(_supervise(settings, warden, early))
        return write_close(ledger, settings, ended)


@contextmanager
def _way_in(settings: RunSettings, outer: str) -> Iterator[str]:
    """
    Open this run's scope at the outer run's gateway, and close it at the end; yields the address of its way in.
    """
    gateway = Outer(outer)
    opened = gateway.open(Asked(name=settings.scope.parts[-1][1], limits=settings.limits, way_in=True))
    try:
        if opened.scope != str(settings.scope):
            raise SettingsError(where="SOLVENT_SCOPE", expected="the scope of the outer run", got=str(settings.scope))
        yield f"{outer.rpartition('/')[0]}/{opened.token}"
    finally:
        with suppress(SettingsError):  # The outer run is over, and its gateway with it.
            gateway.close(opened.opening)


async def _supervise(settings: RunSettings, warden: Warden, early: list[int]) -> Ended:
    pass_signals(warden, early)
    try:
        async with asyncio.timeout(settings.time_seconds):
            return ended_by(await warden.wait())
    except TimeoutError:
        await warden.end()
        return Ended(code=EXIT_BUDGET, reason="deadline")
