"""
A ``solvent run`` inside another one: a scope below the outer run's, at the outer run's gateway.
"""

import asyncio
from collections.abc import Mapping

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


def open_scope(settings: RunSettings, gateway: str) -> str:
    """
    Open this run's scope at the outer run's gateway.

    Returns:
        The address of the gateway's way in.

    Raises:
        SettingsError: There is no gateway, or it would not.
    """
    asked = Asked(name=settings.scope.parts[-1][1], limits=settings.limits, way_in=True)
    answer = Outer(gateway).open(asked)
    if answer.scope != str(settings.scope):
        raise SettingsError(where="SOLVENT_SCOPE", expected="the scope of the outer run", got=str(settings.scope))
    return f"{gateway.rpartition('/')[0]}/{answer.token}"


def run_nested(settings: RunSettings, ledger: Ledger, environ: Mapping[str, str], *, outer: str, inner: str) -> Ended:
    """
    Run the command with every address of the outer gateway led through this run's own way in.
    """
    env = {name: value.replace(outer, inner) for name, value in environ.items()}
    env |= {"SOLVENT_SCOPE": str(settings.scope), **python_path(environ)}
    write_open(ledger, settings, parent=environ.get("SOLVENT_SCOPE"))
    early = catch_signals()
    warden = Warden.start(settings.command, env=env)
    ended = asyncio.run(_supervise(settings, warden, early))
    return write_close(ledger, settings, ended)


async def _supervise(settings: RunSettings, warden: Warden, early: list[int]) -> Ended:
    pass_signals(warden, early)
    try:
        async with asyncio.timeout(settings.time_seconds):
            return ended_by(await warden.wait())
    except TimeoutError:
        await warden.end()
        return Ended(code=EXIT_BUDGET, reason="deadline")
