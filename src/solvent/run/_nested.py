"""
A ``solvent run`` inside another one: a scope below the outer run's, at the outer run's gateway.
"""

import asyncio
import http.client
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from msgspec.structs import replace

from solvent._limits import Scope
from solvent.errors import SettingsError
from solvent.run._session import EXIT_BUDGET, Ended, catch_signals, ended_by, pass_signals, write_close, write_open
from solvent.run._settings import RunSettings
from solvent.run._warden import Warden
from solvent.stores._batcher import Ledger

# The outer gateway may still be loading; where there is none any more, the connection is refused at once.
ANSWER_SECONDS = 30.0


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
    limits = [
        {
            "meter": limit.meter,
            "amount": str(limit.amount),
            "window": limit.window,
            "time_zone": limit.time_zone,
            "source": limit.source,
        }
        for limit in settings.limits
    ]
    answer = _ask(gateway, {"name": settings.scope.parts[-1][1], "limits": limits})
    if answer["scope"] != str(settings.scope):
        raise _no_gateway(f"the scope {answer['scope']} and not {settings.scope}")
    return f"{gateway.rpartition('/')[0]}/{answer['token']}"


def run_nested(settings: RunSettings, ledger: Ledger, environ: Mapping[str, str], *, outer: str, inner: str) -> Ended:
    """
    Run the command with every address of the outer gateway led through this run's own way in.
    """
    env = {name: value.replace(outer, inner) for name, value in environ.items()}
    env["SOLVENT_SCOPE"] = str(settings.scope)
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


def _ask(gateway: str, body: Mapping[str, object]) -> dict[str, str]:
    where = urlsplit(gateway)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=ANSWER_SECONDS)
    try:
        headers = {"content-type": "application/json"}
        connection.request("POST", f"{where.path}/solvent/scopes", json.dumps(body), headers)
        reply = connection.getresponse()
        answer = json.loads(reply.read())
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _no_gateway(f"no answer ({error})") from error
    finally:
        connection.close()
    if reply.status != 200:
        raise _no_gateway(f"{answer.get('error', {}).get('message', reply.status)}")
    return {"scope": str(answer["scope"]), "token": str(answer["token"])}


def _no_gateway(got: str) -> SettingsError:
    return SettingsError(
        where="SOLVENT_GATEWAY",
        expected="the gateway of the `solvent run` around this one",
        got=got,
        hint="unset SOLVENT_GATEWAY to start a run of its own",
    )
