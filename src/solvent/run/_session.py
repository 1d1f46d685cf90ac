"""
One ``solvent run``: a ledger, a gateway on a loopback port, one command, and what happens when its budget is spent.
"""

import asyncio
import secrets
import select
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from solvent._ids import new_id
from solvent._limits import Limit
from solvent._openings import opening
from solvent._operations import Note
from solvent._outer import Opened
from solvent._printable import printable
from solvent._records import Account, CallRecord
from solvent._webhook import Webhook, webhook_of
from solvent.errors import SolventError
from solvent.events import CallClosed, CallRefused, Event, Listeners, StoreFailed
from solvent.policy import LimitsInForce, Rules
from solvent.run._guardian import FORWARDED
from solvent.run._inside import around
from solvent.run._python import python_path
from solvent.run._settings import RunSettings
from solvent.run._warden import Exited, Lost, NotExecutable, NotFound, Result, Warden
from solvent.stores._batcher import Ledger

if TYPE_CHECKING:
    from solvent.gateway._environment import Prepared
    from solvent.gateway._incoming import Event as Request

EXIT_BUDGET = 3
# A program that asks in vain so often in a row does not look at the answers, and would ask for ever.
REFUSALS_MAX = 20
# A command that is over before it could ask for anything needs no gateway; one that asks at once waits so long.
LOAD_SECONDS = 0.03
# Answers at the run's end, and to requests that did not know its address: those may be anybody's.
_NOT_TURNED_AWAY = ("gateway_closing", "unknown_route", "wrong_host")


class Ended(Struct, frozen=True, kw_only=True):
    """
    How a run ended.

    Attributes:
        code: For the shell: the command's own, or 3 where the budget ended it.
        reason: ``exited``, ``signal``, ``budget`` (``--on-refusal stop``), ``refusals`` (20 in a row), ``deadline``,
            ``not_found``, ``not_executable`` or ``lost``.
        detail: What the system said, where it said something.
        trouble: The last time that the ledger did not answer, in words; calls that it could not book then stay
            reserved and are charged in full.
        turned_away: Requests that were no call that could be made, by code.
    """

    code: int
    reason: str
    detail: str = ""
    trouble: str = ""
    turned_away: Mapping[str, int] = {}


def run(
    settings: RunSettings, ledger: Ledger, environ: Mapping[str, str], *, live: Callable[[Event], None] | None = None
) -> Ended:
    """
    Run the command under its budget, and write into the journal that it began and how it ended.

    Raises:
        SettingsError, StoreUnavailable, LedgerCorrupt: Nothing was started.
    """
    webhook = webhook_of(settings.policy.alert, warn=None if settings.quiet else _print)
    try:
        return _run(settings, ledger, environ, live, webhook)
    finally:
        if webhook is not None:
            webhook.close()


def _run(
    settings: RunSettings,
    ledger: Ledger,
    environ: Mapping[str, str],
    live: Callable[[Event], None] | None,
    webhook: Webhook | None,
) -> Ended:
    from solvent.gateway._environment import prepare
    from solvent.gateway._server import bind_loopback, loop_factory

    listening, token = bind_loopback(), secrets.token_urlsafe(24)
    port: int = listening.getsockname()[1]
    prepared = prepare(environ, port=port, token=token, scope=str(settings.scope), keys=settings.keys)
    write_open(ledger, settings)
    early = catch_signals()
    # From here on the command runs; a call that it makes waits at the socket until the gateway is there.
    env = {**prepared.environment, "SOLVENT_LEDGER": ledger.store.url, **python_path(environ)}
    warden = Warden.start(settings.command, env=env)
    listeners = Listeners()
    if webhook is not None:
        listeners.add(webhook.hear)
    session = _Session(settings, ledger, warden, listeners, live, early)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        ended = runner.run(session.main(prepared, listening, token))
    listening.close()
    return write_close(ledger, settings, ended)


def continued(settings: RunSettings, ledger: Ledger) -> RunSettings:
    """
    The settings with those limits of the run's last opening that nothing limits anew: its budget goes on.
    """
    opened = ledger.store.last_opened(str(settings.scope))
    if opened is None:
        return settings
    new = {Account(place, limit.meter, limit.window_key) for place, limit in _rules(settings, ledger).blocking}
    kept = tuple(
        Limit.of_account(
            posting.account.meter,
            posting.account.window,
            posting.limit,
            source=f"--{posting.account.meter.replace('_', '-')} of its last opening",
        )
        for posting in opened.postings
        if posting.limit is not None and posting.account not in new and posting.account.scope == opened.scope
    )
    return replace(settings, limits=settings.limits + kept)


def _rules(settings: RunSettings, ledger: Ledger) -> Rules:
    """
    What flags, policy and the budget around it put in force on the run's path.
    """
    limits = LimitsInForce(settings.policy)
    for place, opened in around(settings, ledger.store):
        limits.open(place, opened.limits, opened.fallback, opened.wait_seconds, opened.alert)
    limits.open(settings.scope, settings.limits)
    return limits.rules(settings.scope)


def write_open(ledger: Ledger, settings: RunSettings, *, parent: str | None = None) -> None:
    own = Opened(scope=str(settings.scope), seconds=0, limits=settings.limits)
    inside = parent if settings.inside is None else str(settings.inside.scope)
    begun = opening(
        settings.scope,
        _rules(settings, ledger),
        per_call=settings.policy.call,
        time_seconds=settings.time_seconds,
        parent=inside,
        own=own,
        is_command=True,
    )
    ledger.do(begun)


def write_close(ledger: Ledger, settings: RunSettings, ended: Ended) -> Ended:
    """
    Write into the journal how a run ended; what a ledger that is gone by then says becomes the run's trouble.

    What programs of the run counted by themselves and left open when they were killed is charged before.
    """
    call = CallRecord(
        ended=time.time_ns(), reason=ended.reason, status=str(ended.code), usage=ended.turned_away or None
    )
    try:
        ledger.expire()
        ledger.do(Note(kind="close", id=new_id(), scope=str(settings.scope), call=call))
    except SolventError as error:
        return replace(ended, trouble=str(error))
    return ended


def ended_by(result: Result) -> Ended:
    """
    How a run ended whose command came to its own end.
    """
    match result:
        case Exited(code=code):
            return Ended(code=code, reason="signal" if 128 < code <= 128 + 64 else "exited")
        case NotFound(code=code):
            return Ended(code=code, reason="not_found")
        case NotExecutable(code=code, reason=detail):
            return Ended(code=code, reason="not_executable", detail=detail)
        case Lost(code=code):
            return Ended(code=code, reason="lost")


class _Session:
    """
    The running part: the gateway, the deadline, the refusals in a row, and the signals for the command.
    """

    def __init__(
        self,
        settings: RunSettings,
        ledger: Ledger,
        warden: Warden,
        listeners: Listeners,
        live: Callable[[Event], None] | None,
        early: list[int],
    ) -> None:
        self._early = early
        self._settings = settings
        self._ledger = ledger
        self._warden = warden
        self._listeners = listeners
        self._live = live
        self._refusals = 0
        self._answered = 0.0
        self._trouble = ""
        self._turned_away: Counter[str] = Counter()

    async def main(self, prepared: "Prepared", listening: socket.socket, token: str) -> Ended:
        loop = asyncio.get_running_loop()
        pass_signals(self._warden, self._early)
        self._verdict: asyncio.Future[str] = loop.create_future()
        if self._settings.time_seconds is not None:
            loop.call_later(self._settings.time_seconds, self._decide, "deadline")
        waiting = loop.create_task(self._warden.wait())
        await asyncio.wait({waiting}, timeout=LOAD_SECONDS)
        if waiting.done() and not _asked_for(listening):
            return ended_by(waiting.result())
        return await self._guarded(waiting, prepared, listening, token)

    async def _guarded(
        self, waiting: asyncio.Task[Result], prepared: "Prepared", listening: socket.socket, token: str
    ) -> Ended:
        from solvent._guard import Guard
        from solvent.errors import DeadlinePassed
        from solvent.gateway._app import Gateway
        from solvent.gateway._server import Server

        settings = self._settings
        self._listeners.add(self._hear)
        guard = Guard(self._ledger, policy=settings.policy, listeners=self._listeners)
        for place, opened in around(settings, self._ledger.store):
            more = opened.fallback, opened.wait_seconds, opened.alert
            guard.open(place, opened.limits, *more, seconds=opened.seconds)
        guard.open(settings.scope, settings.limits)
        routes = {token: settings.scope}
        gateway = Gateway(
            guard=guard, upstreams=prepared.upstreams, keys=prepared.keys, routes=routes, on_event=self._count
        )
        server = Server(gateway, listening)
        await server.start()
        alive = asyncio.create_task(guard.keep_alive())
        first: set[asyncio.Future[Any]] = {waiting, self._verdict}
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        by_verdict = not waiting.done()
        ended = Ended(code=EXIT_BUDGET, reason=self._verdict.result()) if by_verdict else ended_by(waiting.result())
        if ended.reason == "deadline":
            seconds = round(settings.time_seconds or 0)
            guard.stop(DeadlinePassed(scope=str(settings.scope), seconds=seconds, source="--time"))
            over = "the time of this run is over (--time)"
            await asyncio.gather(gateway.end_calls(over), self._warden.end())
        await self._warden.end()
        await server.stop()
        await guard.adrain()
        alive.cancel()
        return replace(ended, trouble=self._trouble, turned_away=dict(self._turned_away))

    def _count(self, event: "Request") -> None:
        if event.kind in ("denied", "rejected") and event.code not in _NOT_TURNED_AWAY:
            self._turned_away[event.code] += 1

    def _decide(self, reason: str) -> None:
        if not self._verdict.done():
            self._verdict.set_result(reason)

    def _hear(self, event: Event) -> None:
        if self._live is not None:
            self._live(event)
        if isinstance(event, StoreFailed):
            self._trouble = str(event.error)
        elif isinstance(event, CallClosed):
            self._refusals = 0
        elif isinstance(event, CallRefused) and event.is_final:
            # Refusals of calls that were made at the same time say nothing about the program's persistence.
            if event.began >= self._answered:
                self._refusals += 1
                self._answered = event.answered
            if self._settings.on_refusal == "stop":
                self._decide("budget")
            elif self._refusals >= REFUSALS_MAX:
                self._decide("refusals")


def catch_signals() -> list[int]:
    """
    Keep signals until ``pass_signals``: one that comes while the loop is being made would end us, and the command with
    us, unasked.
    """
    early: list[int] = []
    for number in FORWARDED:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: early.append(number))
    return early


def pass_signals(warden: Warden, early: list[int]) -> None:
    """
    Pass every signal on to the command from here on, those first that came before.
    """
    loop = asyncio.get_running_loop()
    for number in FORWARDED:
        loop.add_signal_handler(number, warden.signal, number)
    for came in early:
        warden.signal(came)


def _print(text: str) -> None:
    print(f"solvent: {printable(text)}", file=sys.stderr, flush=True)


def _asked_for(listening: socket.socket) -> bool:
    """
    Whether somebody is waiting to be let in.
    """
    return bool(select.select([listening], [], [], 0)[0])
