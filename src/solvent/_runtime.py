"""
The guards of one process: for each ledger one, with a thread that keeps its open calls alive and books what is late.

Inside a ``solvent run`` the process's own guard is on the run's ledger and holds calls to what is in force there: those
that do not pass the run's gateway are counted here.
"""

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from solvent._carrier import LEDGER_VARIABLE, SCOPE_VARIABLE, Carrier, check_known, openings_in
from solvent._clock import SystemClock
from solvent._guard import EXTEND_SECONDS, Guard
from solvent._ids import new_id
from solvent._limits import OWNERS, SECOND_NS, Scope
from solvent._outer import InForce, Opened, Outer, outer_gateway
from solvent._reload import LOOK_SECONDS, Reload
from solvent._webhook import webhook_of
from solvent.errors import SettingsError
from solvent.events import Listeners
from solvent.policy import Policy
from solvent.policy._find import PolicyFiles
from solvent.stores import default_url, is_shared, open_store, spelled_out
from solvent.stores._batcher import Ledger

if TYPE_CHECKING:
    from solvent.report import Report

_log = logging.getLogger("solvent")


class Runtime:
    """
    A guard on a ledger, as the hooks and the budgets of one process share it.

    Args:
        ledger: A URL or the path of a ``.db`` file.
        scope: Of calls that no budget is open for.

    Attributes:
        began_ns: When what it is in was opened (since 1970, UTC), by the number of its scope's segments.

    Raises:
        SettingsError, StoreUnavailable, LedgerCorrupt: The ledger cannot be opened, or an alert has no secret.
    """

    def __init__(self, ledger: str, policy: Policy, *, scope: Scope) -> None:
        self.scope = scope
        self.began_ns: dict[int, int] = {}
        listeners, self._webhook = Listeners(), webhook_of(policy.alert)
        if self._webhook is not None:
            listeners.add(self._webhook.hear)
        self.ledger = Ledger(open_store(spelled_out(ledger)))
        self.guard = Guard(self.ledger, policy=policy, listeners=listeners, history=self.history)
        self._start_lock = threading.Lock()
        self._work: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        _RUNTIMES.add(self)

    def history(self, scope: str) -> "Report":
        """
        What a scope spent until now, of what, on which models.

        Raises:
            StoreUnavailable, LedgerCorrupt: The journal cannot be read.
        """
        from solvent.report import summarize  # Programs that ask for none need not load it.

        return summarize(self.ledger.store, scope)

    def follow(self, policy: Policy) -> None:
        """
        Have another policy decide about all calls that begin from now on; those that have begun go on by the one of
        then.

        Raises:
            SettingsError: An alert has no secret. The policy of before stays in force.
        """
        before, told = self._webhook, webhook_of(policy.alert)
        if _told_where(policy) == _told_where(self.guard.policy):
            told = before
        self.guard.limits.follow(policy)
        if told is not before:
            self._webhook = told
            if told is not None:
                self.guard.listeners.add(told.hear)
            if before is not None:
                self.guard.listeners.remove(before.hear)
                before.close()

    def keep_alive(self) -> None:
        """
        Have open calls extended from now on.
        """
        if self._thread is None:
            with self._start_lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="solvent-guard", daemon=True)
                    self._thread.start()

    def later(self, work: Callable[[], object]) -> None:
        """
        Have something done by the guard's own thread, which runs since the first call: a finalizer may run anywhere,
        also inside the ledger, or while that thread is being started.
        """
        self._work.put(work)

    def close(self) -> None:
        """
        Book what is left, close the ledger, and send the alerts that wait. Calls that are open stay reserved until
        they expire.
        """
        if self._thread is not None:
            self._work.put(None)
            self._thread.join()
        self.guard.drain()
        self.ledger.close()
        if self._webhook is not None:
            self._webhook.close()
        _RUNTIMES.discard(self)

    def _run(self) -> None:
        beats, looks = time.monotonic() + EXTEND_SECONDS, 0.0
        while True:
            until = min(beats, looks) if PROCESS.reload.is_on else beats
            try:
                work = self._work.get(timeout=max(until - time.monotonic(), 0))
            except Empty:
                if until == beats:
                    work, beats = self.guard.beat, time.monotonic() + EXTEND_SECONDS
                else:
                    work, looks = PROCESS.look, time.monotonic() + LOOK_SECONDS
            if work is None:
                return
            try:
                work()
            except Exception:  # Whatever it is, the next round has to come, or calls expire while they run.
                _log.exception("calls of this process could not be kept alive or booked")

    def _begin_in_child(self) -> None:
        """
        No thread follows a fork, and the calls that are open are the parent's.
        """
        self._start_lock = threading.Lock()
        self._work = SimpleQueue()
        self._thread = None
        self.guard.forget()


_RUNTIMES: "weakref.WeakSet[Runtime]" = weakref.WeakSet()


def _begin_in_child() -> None:
    PROCESS._begin_in_child()
    for runtime in list(_RUNTIMES):
        runtime._begin_in_child()


os.register_at_fork(after_in_child=_begin_in_child)


class Settings:
    """
    What the process's own guard is made with; ``install`` and the environment say it.
    """

    def __init__(self) -> None:
        self.ledger: str | None = None
        self.policy: Policy | None = None
        self.is_hooked = False  # The hooks that see the calls of SDKs are on.
        self.is_strict = False  # They refuse what they cannot see.
        self.reload = Reload()
        self._files: PolicyFiles | None = None  # Where the policy was looked for.
        self._opened: dict[str, Runtime] = {}
        self._lock = threading.Lock()

    def reloads(self, on: bool) -> None:
        """
        Whether a policy whose files change is followed.
        """
        self.reload.switch(on)
        for runtime in list(self._opened.values()):
            runtime.later(_nothing)  # It looks for what to do next, and finds that it is to look.
            self._kept_looking(runtime)

    def look(self) -> None:
        """
        Follow the policy, if its files have changed.
        """
        policy, files = self.policy, self._files
        if policy is not None and files is not None:
            self.reload.look(files, policy, self._follow)

    def _follow(self, policy: Policy) -> None:
        with self._lock:
            runtimes = list(self._opened.values())
            before, self.policy = self.policy, policy
        try:
            for runtime in runtimes:
                runtime.follow(policy)
        except SettingsError:
            self.policy = before
            raise

    def outer(self) -> Outer | None:
        """
        The gateway that holds this process to the budget of a run; ``None`` where it has a ledger of its own.
        """
        address = outer_gateway() if self.ledger is None else None
        return None if address is None else Outer(address)

    def runtime(self, ledger: str | None = None) -> Runtime:
        """
        The guard on a ledger, opened when it is first asked for; without one, on the process's own.

        Raises:
            SettingsError, StoreUnavailable, LedgerCorrupt: It cannot be opened, or not from this process.
        """
        with self._lock:
            outer = self.outer() if ledger is None else None
            if outer is not None:
                if outer.address not in self._opened:
                    self._opened[outer.address] = _joined(outer.in_force())
                return self._opened[outer.address]
            url = self._own_url() if ledger is None else spelled_out(ledger)
            if url not in self._opened:
                self._opened[url] = _begun(url, self._policy(), self._inherited(url))
            return self._kept_looking(self._opened[url])

    def _kept_looking(self, runtime: Runtime) -> Runtime:
        """
        Have its thread look for a changed policy, also before there is any call to keep alive.
        """
        if self.reload.is_on:
            runtime.keep_alive()
        return runtime

    def inherited_scope(self, ledger: str | None = None) -> Scope | None:
        """
        The scope that the environment hands down, which everything on the process's own ledger is below.

        Args:
            ledger: The one that is meant, where one is named.

        Raises:
            SettingsError: What it names is none.
        """
        if ledger is None:
            found = _inherited()
        else:
            with self._lock:
                found = self._inherited(spelled_out(ledger))
        return None if found is None else found.scope

    def _inherited(self, url: str) -> Carrier | None:
        return _inherited() if self.outer() is None and url == self._own_url() else None

    def _own_url(self) -> str:
        return spelled_out(self.ledger or os.environ.get(LEDGER_VARIABLE) or self._policy().ledger or default_url())

    def _policy(self) -> Policy:
        if self.policy is None:
            files = PolicyFiles.of()
            self.policy, self._files = files.read(), files.absolute()
        return self.policy

    def close(self) -> None:
        with self._lock:
            for runtime in self._opened.values():
                runtime.close()
            self._opened.clear()
            self.policy = None

    def _begin_in_child(self) -> None:
        self._lock = threading.Lock()  # Another thread of the parent may have held it.
        self.reload.forget()


def _told_where(policy: Policy) -> tuple[str | None, str | None] | None:
    return None if policy.alert is None else (policy.alert.webhook, policy.alert.secret_env)


def _nothing() -> None:
    pass


def _joined(found: InForce) -> Runtime:
    """
    A guard beside the one of the gateway, on the same ledger and under the same limits.
    """
    if not is_shared(found.ledger):
        raise SettingsError(
            where="--ledger",
            expected="one that the processes of a run share, for what does not pass the run's gateway",
            got=found.ledger,
            hint="give `solvent run` a file, or call an address of the gateway (OPENAI_BASE_URL and its kin)",
        )
    runtime = Runtime(found.ledger, found.policy, scope=Scope.parse(found.scope))
    _put_in_force(runtime, found.openings)
    return runtime


def _begun(url: str, policy: Policy, carrier: Carrier | None) -> Runtime:
    """
    A guard on a ledger of the process's own, where what the ledger knows of the inherited scope is in force.
    """
    runtime = Runtime(url, policy, scope=_process_scope(carrier))
    if carrier is not None:
        try:
            if carrier.began_ns:  # A budget was opened; a scope alone may be the first of its name.
                check_known(runtime.ledger.store, carrier)
            _put_in_force(runtime, openings_in(runtime.ledger.store, carrier, now_ns=SystemClock().now_ns()))
        except BaseException:
            runtime.close()
            raise
    return runtime


def _put_in_force(runtime: Runtime, openings: Iterable[Opened]) -> None:
    now_ns = SystemClock().now_ns()
    for opened in openings:
        scope, seconds = Scope.parse(opened.scope), opened.seconds
        runtime.guard.open(scope, opened.limits, opened.fallback, opened.wait_seconds, opened.alert, seconds=seconds)
        runtime.began_ns[len(scope.parts)] = now_ns - int(seconds * SECOND_NS)


def _inherited() -> Carrier | None:
    text = os.environ.get(SCOPE_VARIABLE)
    if not text:
        return None
    try:
        return Carrier.parse(text)
    except ValueError as error:
        raise SettingsError(where=SCOPE_VARIABLE, expected="a scope such as run:42", got=str(error)) from error


def _process_scope(carrier: Carrier | None) -> Scope:
    """
    Of calls that no budget is open for: the inherited scope, or a run of this process in it, named after its program.
    """
    owner = carrier.scope.parts if carrier is not None else ()
    if any(kind not in OWNERS for kind, _ in owner):
        return Scope(owner)
    program = Path(sys.argv[0] if sys.argv else "").stem
    name = "".join(char for char in program if char.isalnum() or char in "._-")[:64] or "python"
    return Scope((*owner, ("run", f"{name}-{new_id()}")))


PROCESS = Settings()
atexit.register(PROCESS.close)
