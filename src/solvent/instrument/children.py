"""
Programs that this process starts: each belongs to the budget of the code that starts it.

Source:
    CPython 3.11 to 3.14, ``subprocess.py`` (``Popen.__init__``) and ``os.py`` (``_execvpe`` and ``_spawnvef``, which
    end in ``execv`` and ``execve``); uvloop 0.23, ``Loop.subprocess_exec``, which starts programs by itself; read
    2026-11-22.
"""

import os
import sys
from collections.abc import Callable, Mapping
from types import FrameType, ModuleType
from typing import Any

from solvent.instrument._handing import environment
from solvent.instrument._hooks import Unhook, wrap

_POPEN_ENV = 10  # Its place among the arguments of ``Popen``.
_SYSTEM = frozenset({"ctypes.util", "distro", "distro.distro", "platform", "uuid"})  # They ask `uname` and its kin.
_BETWEEN = frozenset({__name__, "solvent.instrument._hooks", "subprocess"})
_OS_ENV = 2  # And among those of ``execve``, ``posix_spawn`` and ``posix_spawnp``.


def hook(module: ModuleType) -> list[Unhook]:
    """
    Args:
        module: ``os``, ``subprocess`` or ``uvloop``.
    """
    if module.__name__ == "subprocess":
        return [wrap(module.Popen, "__init__", _popen)]
    if module.__name__ == "uvloop":
        for name in ("subprocess_exec", "subprocess_shell"):  # It has them from a class that cannot be changed.
            setattr(module.Loop, name, getattr(module.Loop, name))
        return [wrap(module.Loop, name, _by_loop) for name in ("subprocess_exec", "subprocess_shell")]
    given = [name for name in ("execve", "posix_spawn", "posix_spawnp") if hasattr(os, name)]
    return [wrap(os, "execv", _execv), *(wrap(os, name, _spawn) for name in given)]


def _popen(wrapped: Callable[..., Any], popen: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if _asks_system():
        return wrapped(*args, **kwargs)
    is_placed = len(args) > _POPEN_ENV
    env, block = environment(args[_POPEN_ENV] if is_placed else kwargs.get("env"))
    if is_placed:
        args = (*args[:_POPEN_ENV], env, *args[_POPEN_ENV + 1 :])
    else:
        kwargs = {**kwargs, "env": env}
    popen._solvent_block = block  # Its limits hold, and its way in is open, as long as the program runs.
    return wrapped(*args, **kwargs)


def _asks_system() -> bool:
    """
    Whether Python itself asks something of the machine: SDKs want to know its processor in the middle of a call.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in _BETWEEN:
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__") in _SYSTEM


async def _by_loop(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    env, block = environment(kwargs.get("env"))
    transport, protocol = await wrapped(*args, **{**kwargs, "env": env})
    if block is not None:
        protocol._solvent_block = block
    return transport, protocol


def _spawn(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if len(args) > _OS_ENV:
        return wrapped(*args[:_OS_ENV], environment(args[_OS_ENV])[0], *args[_OS_ENV + 1 :], **kwargs)
    return wrapped(*args, **{**kwargs, "env": environment(kwargs["env"])[0]}) if "env" in kwargs else wrapped(*args)


def _execv(wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    env, block = environment(None)
    return wrapped(*args, **kwargs) if block is None or env is None else os.execve(args[0], args[1], env)
