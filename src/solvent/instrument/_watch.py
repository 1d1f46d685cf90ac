"""
What ``solvent doctor`` has a program tell of itself while it runs: a line for each thing that it comes to know.

The hooks are on as after ``solvent.install()``. What they do not see is watched one floor below: requests where
``http.client`` sends them, other connections where Python's sockets open them. Who opens connections below Python
(``Library.is_native``) is not seen, nor what goes through a proxy without ``http.client``.

Source:
    CPython 3.11, ``http/client.py`` and its documentation's table of audit events, read 2026-11-22.
"""

import os
import re
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection
from importlib import metadata
from itertools import pairwise
from types import FrameType, ModuleType
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec
import wrapt
from msgspec import Struct

from solvent import instrument
from solvent._outer import outer_gateway
from solvent.gateway._providers import PROVIDERS
from solvent.instrument import Hook, transports
from solvent.instrument._calls import GuardedCall, is_under_way
from solvent.instrument._coverage import COVERAGE, Library, by_module, by_name
from solvent.instrument._frameworks import FRAMEWORKS
from solvent.instrument._hooks import wrap
from solvent.instrument._hosts import provider_of
from solvent.instrument._look import target

Kind = Literal["bare", "call", "connection", "hook", "library", "opened", "python", "refused", "request"]

_REQUEST = re.compile(rb"(?!CONNECT )([A-Z]+) (\S+) HTTP/1\.[01]\r\n")
_HOST = re.compile(rb"\r\nhost: *(\S+)", re.IGNORECASE)
# Hooks that hold calls; others stand above these.
_SENDERS = frozenset({"aiohttp", "botocore", "httpx", "lm15", "requests"})


class Sighting(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """
    One line.

    Attributes:
        kind: ``python`` began, or ``bare`` of Solvent; a ``library`` was loaded; a ``hook`` found its place, or not; a
            ``call`` was sent, or ``refused``; a transport was ``opened`` to a provider; a ``request`` or a
            ``connection`` went to one past all hooks.
        name: The library's; of a Python, its path.
        detail: Its version; the hook's module; the transport; for what goes past all hooks, the provider.
        host: Where it went, with its port where that says more.
        is_on: Of a hook.
    """

    kind: Kind
    name: str
    pid: int
    detail: str = ""
    host: str = ""
    is_on: bool = True


class _Report:
    def __init__(self, path: str) -> None:
        self._path = path

    def tell(self, kind: Kind, name: str, detail: str = "", host: str = "", *, is_on: bool = True) -> None:
        """
        Written at once, and the file closed: a program may close all that is open, and may be killed at any time.
        """
        line = Sighting(kind=kind, name=name, pid=os.getpid(), detail=detail, host=host, is_on=is_on)
        with suppress(OSError):
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            try:
                os.write(file, msgspec.json.encode(line) + b"\n")
            finally:
                os.close(file)


def begin(path: str) -> None:
    """
    Put the hooks on in this process, and tell what happens in it; but for Solvent's own commands, whose gateway makes
    calls for others and books them itself.

    Args:
        path: The file that gets the lines.
    """
    if _is_solvent(sys.orig_argv):
        return
    report = _Report(path)
    report.tell("python", sys.executable)
    instrument.install()
    watched = {one.name: one.modules[0] for one in COVERAGE if not one.is_pythons_own}
    watched |= {one.name: one.module for one in FRAMEWORKS}
    for hook in instrument.HOOKS:
        if hook.package in watched:
            wrapt.register_post_import_hook(partial(_tell_hook, report, hook), hook.module)
    for name, module in watched.items():
        wrapt.register_post_import_hook(partial(_tell_library, report, name), module)
    _watch_calls(report)
    watcher = _Watcher(report)
    wrap(socket, "getaddrinfo", watcher.resolved)
    sys.addaudithook(watcher.hear)


def _is_solvent(words: Sequence[str]) -> bool:
    """
    Whether a Python was started with these words to run a command of Solvent's.
    """
    script = next((word for word in words[1:] if not word.startswith("-")), "")
    return os.path.basename(script) == "solvent" or ("-m", "solvent") in pairwise(words)


def _tell_hook(report: _Report, hook: Hook, _: ModuleType) -> None:
    report.tell("hook", hook.package, hook.module, is_on=hook in instrument.active())


def _tell_library(report: _Report, name: str, _: ModuleType) -> None:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        version = ""
    report.tell("library", name, version)


def _watch_calls(report: _Report) -> None:
    def sent(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        report.tell("call", _name(_callers()))
        return wrapped(*args, **kwargs)

    def refused(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        report.tell("refused", _name(_callers()))
        return wrapped(*args, **kwargs)

    def opened(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        _tell_opened(report, *args, **kwargs)
        return wrapped(*args, **kwargs)

    wrap(GuardedCall, "under_way", sent)
    wrap(GuardedCall, "refused", refused)
    wrap(transports, "opens", opened)


def _tell_opened(report: _Report, transport: str, host: str) -> None:
    if provider_of(host) is not None:
        report.tell("opened", _name(_callers()), transport, host)


class _Watcher:
    """
    Looks at what this process sends, and tells of what reaches a provider past all hooks.
    """

    def __init__(self, report: _Report) -> None:
        self._report = report
        self._names: dict[str, str] = {}  # By address, the host that was last looked up to get it.

    def resolved(self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        found = wrapped(*args, **kwargs)
        host = args[0] if args else kwargs.get("host")
        if isinstance(host, str):
            self._names.update((address[4][0], host.lower()) for address in found)
        return found

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        look = {"http.client.send": self._sends, "socket.connect": self._connects}.get(event)
        if look is not None:
            with suppress(Exception):  # A program must not end because it is watched.
                look(*args)

    def _sends(self, connection: HTTPConnection, data: Any) -> None:
        head = _REQUEST.match(data) if isinstance(data, bytes) else None
        if head is None or is_under_way(None):
            return
        method, path = head[1].decode(), head[2].decode()
        if path.startswith("/"):
            host = named[1].decode() if (named := _HOST.search(data)) else connection.host
            path = f"{'http' if type(connection.sock) is socket.socket else 'https'}://{host}{path}"
        found, url = target(method, path), urlsplit(path)
        if found is not None and not _is_gateway(url.hostname or "", _port(url)):
            self._report.tell("request", _name(_callers()), found.provider, url.netloc)

    def _connects(self, _: Any, address: Any) -> None:
        if not isinstance(address, tuple) or is_under_way(None):
            return
        ip, port = str(address[0]), address[1]
        host = self._names.get(ip, ip)
        provider = _provider_at(host, port) or _provider_at(ip, port)
        if provider is None:
            return
        callers = _callers()
        libraries = [library for library in callers if isinstance(library, Library)]
        if not callers or _sends_by_http_client(libraries) or any(one.state != "blind" for one in libraries):
            return  # Of an event loop or a pool nobody can say for whom it works; the rest is seen elsewhere.
        self._report.tell("connection", _name(callers), provider, f"{host}:{port}")


def _provider_at(host: str, port: int) -> str | None:
    """
    The provider whose host it is, or to whom the environment leads there.
    """
    if _is_gateway(host, port):
        return None
    return provider_of(host) or next(
        (one.name for one in PROVIDERS.values() for name in one.url_variables if _is_at(os.getenv(name), host, port)),
        None,
    )


def _is_gateway(host: str, port: int) -> bool:
    """
    Whether the gateway of a run is there, which holds what it gets.
    """
    return _is_at(outer_gateway(), host, port)


def _is_at(address: str | None, host: str, port: int) -> bool:
    url = urlsplit(address or "")
    return url.hostname == host and _port(url) == port


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _sends_by_http_client(libraries: Iterable[Library]) -> bool:
    """
    Then its requests are seen. Another package may stand in the place of urllib3, which does not.
    """
    connection = getattr(sys.modules.get("urllib3.connection"), "HTTPConnection", HTTPConnection)
    return any(
        "http.client" in (one.name, *one.over) and (one.name != "urllib3" or issubclass(connection, HTTPConnection))
        for one in libraries
    )


def _callers() -> list[Library | str]:
    """
    Who does what happens now: the libraries from the one that does it up to the first module that is none of them, and
    that module. Nobody where there is nothing but Python's own, as in a pool of threads.
    """
    found: list[Library | str] = []
    hooked: Library | None = None  # Whose function a hook stands before, which has no frame of its own yet.
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = frame.f_globals.get("__name__") or "?"
        library, package = by_module(module), module.partition(".")[0]
        if library is not None:
            found.append(library)
        elif package == "solvent":
            hooked = hooked or _library_of_hook(module)
        elif package != "wrapt" and package not in sys.stdlib_module_names:
            found.append(module)
            break
        frame = frame.f_back
    return [hooked, *found] if hooked else found


def _library_of_hook(module: str) -> Library | None:
    """
    The loaded library that a module of this package puts its hook on.
    """
    file = module.removeprefix("solvent.instrument.")
    return next((by_name(hook.package) for hook in instrument.active() if hook.file == file and file in _SENDERS), None)


def _name(callers: list[Library | str]) -> str:
    """
    The library next to the program, or the module of the program that has a socket of its own.
    """
    libraries = [caller.name for caller in callers if isinstance(caller, Library)]
    return libraries[-1] if libraries else f"a socket of {callers[-1]}" if callers else "?"
