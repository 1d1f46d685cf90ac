"""
A program under ``solvent doctor``: run as it is, and what it told of itself.
"""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec import Struct

from solvent.cli._doctor_look import Found, Naming, Uncovered, as_found, naming, without_names, without_place
from solvent.instrument import startup
from solvent.instrument._coverage import COVERAGE, OTHER_WAYS
from solvent.instrument._frameworks import FRAMEWORKS
from solvent.instrument._watch import Sighting

_FORWARDED = (signal.SIGHUP, signal.SIGTERM)
_TRANSPORTS = {"grpc": "a gRPC channel", "websocket": "a WebSocket"}


class Watched(Struct, frozen=True, kw_only=True):
    """
    How a program ended, and the lines that it told.

    Attributes:
        code: For the shell.
    """

    command: Sequence[str]
    code: int
    sightings: Sequence[Sighting]

    @property
    def calls(self) -> Counter[str]:
        """
        That were held to budgets and sent, by library.
        """
        return Counter(one.name for one in self._of("call"))

    @property
    def refused(self) -> Counter[str]:
        """
        Calls that were not sent.
        """
        return Counter(one.name for one in self._of("refused"))

    @property
    def libraries(self) -> list[Found]:
        """
        Those that were loaded, in any of its processes.
        """
        versions, hooks = self._versions, self._hooks
        return [
            as_found(library, versions[library.name], has_place=hooks.get(library.name, True))
            for library in COVERAGE
            if library.name in versions
        ]

    @property
    def frameworks(self) -> list[Naming]:
        """
        Likewise.
        """
        versions, hooks = self._versions, self._hooks
        return [
            naming(framework, versions[framework.name], has_place=hooks.get(framework.name, True))
            for framework in FRAMEWORKS
            if framework.name in versions
        ]

    @property
    def _versions(self) -> dict[str, str]:
        return {one.name: one.detail for one in self._of("library")}

    @property
    def _hooks(self) -> dict[str, bool]:
        """
        Whether one of them found its place, by package.
        """
        found: dict[str, bool] = {}
        for one in self._of("hook"):
            found[one.name] = found.get(one.name, False) or one.is_on
        return found

    def uncovered(self) -> Iterator[Uncovered]:
        """
        What went past all hooks, or may have.
        """
        yield from self._past("request")
        yield from self._past("connection")
        for name, transport, host in sorted({(one.name, one.detail, one.host) for one in self._of("opened")}):
            yield Uncovered(what=f"{name} opened {_TRANSPORTS[transport]} to {host}", mend=_mend(name))
        for one in self.libraries:
            if not one.has_place:
                yield without_place(one)
            elif one.library.is_native and one.library.state == "blind":
                what = f"{one.library.name} was loaded, and nobody can see whom it calls"
                yield Uncovered(what=what, mend=one.library.mend)
        yield from without_names(self.frameworks)
        yield from self._pythons()

    def _past(self, kind: str) -> Iterator[Uncovered]:
        verb = "sent" if kind == "request" else "opened"
        seen = Counter((one.name, one.detail, one.host) for one in self._of(kind))
        for (name, provider, host), count in seen.items():
            several = "s" if count > 1 else ""
            yield Uncovered(what=f"{name} {verb} {count:,} {kind}{several} to {provider} ({host})", mend=_mend(name))

    def _pythons(self) -> Iterator[Uncovered]:
        bare = {one.name for one in self._of("bare")}
        for path in sorted(bare):
            mend = f"{path} -m pip install solvent"
            yield Uncovered(what=f"{path} has no Solvent, so nothing in it is held", mend=mend)
        if not bare and not any(self._of("python")):
            words = " ".join(self.command)
            yield Uncovered(
                what="no Python program ran that could be looked into",
                mend=f"hold any program with `solvent run -- {words}`; a Python one must not run with -E or -I",
            )

    def _of(self, kind: str) -> Iterator[Sighting]:
        return (one for one in self.sightings if one.kind == kind)


def _mend(name: str) -> str:
    """
    That of a library; what has a socket of its own is in no table.
    """
    return next((library.mend for library in COVERAGE if library.name == name), OTHER_WAYS)


def watch(command: Sequence[str], environ: Mapping[str, str]) -> Watched:
    """
    Run a program with the hooks on, in its own Python, and in those of the programs that it starts.

    Raises:
        OSError: It cannot be started.
    """
    with TemporaryDirectory(prefix="solvent-doctor-") as folder:
        report = Path(folder, "report")
        report.touch()
        path = os.pathsep.join(filter(None, [str(Path(startup.__file__).parent), environ.get("PYTHONPATH")]))
        program = subprocess.Popen(command, env={**environ, "PYTHONPATH": path, "SOLVENT_DOCTOR": str(report)})
        with _passing_signals_to(program):
            code = program.wait()
        lines = report.read_bytes().splitlines()
    sightings = [msgspec.json.decode(line, type=Sighting) for line in lines]
    return Watched(command=command, code=code if code >= 0 else 128 - code, sightings=sightings)


@contextmanager
def _passing_signals_to(program: subprocess.Popen[bytes]) -> Iterator[None]:
    """
    An interrupt from the terminal reaches the program by itself; it decides how it ends.
    """
    before = {number: signal.signal(number, lambda got, _: program.send_signal(got)) for number in _FORWARDED}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
