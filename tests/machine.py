"""
Solvent's commands as a person types them: real processes, on a machine that has nothing but what a test gives it.
"""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from servers import PATIENCE_SECONDS

from solvent.stores.sqlite import SQLiteStore

SOLVENT = [sys.executable, "-m", "solvent"]
REAL_KEY = "sk-real-0123456789-never-told"
# A model of which only the output costs, so that 1,000 tokens are a cent to the nanodollar.
PRICE = "m=0/10"
CENT = 10_000_000
_PASSED_ON = ("LANG", "LC_ALL", "PATH", "TMPDIR")


class Done(NamedTuple):
    """
    A command that is over.
    """

    code: int
    out: str
    err: str


class Machine:
    """
    A ledger, a key, and an environment that reaches no one but the provider that a test names.

    Attributes:
        mark: Every process that comes from this machine carries it in its environment.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "ledger.db"
        self.ledger = f"sqlite:///{self.path}"
        self.mark = f"machine-{uuid.uuid4().hex}"
        self.env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {
            "HOME": str(folder),
            "OPENAI_API_KEY": REAL_KEY,
            "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",  # Nobody is there.
            "SOLVENT_LEDGER": self.ledger,
            "SOLVENT_TEST_MARK": self.mark,
        }
        self._started: list[subprocess.Popen[str]] = []

    def provider_at(self, url: str) -> None:
        self.env["OPENAI_BASE_URL"] = f"{url}/v1"

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
        """
        Start ``solvent WORDS`` in a session of its own, so that no terminal of the test's is in reach.
        """
        process = subprocess.Popen(
            [*SOLVENT, *words],
            env={**self.env, **(env or {})},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def __call__(self, *words: str, env: Mapping[str, str] | None = None) -> Done:
        return ended(self.start(*words, env=env))

    def json(self, *words: str) -> Any:
        """
        What a command prints as JSON.
        """
        done = self(*words, "--json")
        assert (done.code, done.err) == (0, "")
        return json.loads(done.out)

    @contextmanager
    def store(self) -> Iterator[SQLiteStore]:
        """
        The ledger itself, read without closing what is open.
        """
        store = SQLiteStore(self.path)
        try:
            yield store
        finally:
            store.close()

    def entries(self) -> list[str]:
        """
        The kinds of the journal's entries, in their order; none without a ledger.
        """
        if not self.path.exists():
            return []
        with self.store() as store:
            return [entry.kind for entry in store.entries()]

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("SOLVENT_TEST_MARK") == self.mark:
                    found.append(process)
        return found

    def assert_nothing_runs(self) -> None:
        """
        Every process that came from this machine ends by itself; none is signaled by the test.
        """
        while alive := self.processes():
            assert has_exited(alive[0].pid), f"still running: {alive}"

    def close(self) -> None:
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGKILL)
        for started in self._started:
            started.wait(PATIENCE_SECONDS)
            for stream in (started.stdout, started.stderr):
                assert stream is not None
                stream.close()


def ended(process: "subprocess.Popen[str]") -> Done:
    """
    Wait for the end of a command that ``Machine.start`` started.
    """
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert "Traceback" not in err, err
    return Done(process.returncode, out, err)


def has_exited(pid: int) -> bool:
    """
    Wait for the end of any process, ours or not, collected or not.
    """
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with os.fdopen(fd):
        return bool(select.select([fd], [], [], PATIENCE_SECONDS)[0])


def python(program: Path, *arguments: str) -> Sequence[str]:
    """
    The command that runs a program of the standard library alone.
    """
    return [sys.executable, "-S", str(program), *arguments]
