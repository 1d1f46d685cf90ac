"""
A disk that fails: the real files of SQLite, with one call to them, or all from one on, answered by an error.

For a process that ends afterwards, for SQLite has one table of system calls.
"""

import ctypes
import fcntl
from typing import Any

import apsw

_offset, _address = ctypes.c_int64, ctypes.c_void_p

# The result, the arguments. A sync is not in SQLite's table, so it fails in a VFS of our own.
_SIGNATURES = {
    "fcntl": (ctypes.c_int, ctypes.c_int, ctypes.c_int, _address),
    "ftruncate": (ctypes.c_int, ctypes.c_int, _offset),
    "mmap": (ctypes.c_ssize_t, _address, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, _offset),
    "open": (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_int),
    "pwrite64": (ctypes.c_ssize_t, ctypes.c_int, _address, ctypes.c_size_t, _offset),
}


class FaultyDisk:
    """
    Counts the calls of one kind, and fails those it is told to: ``FaultyDisk("pwrite64", errno.ENOSPC)``.

    ``sync`` fails in a VFS in Python, which has no shared memory: then the ledger has one connection, which keeps its
    index of the journal for itself.
    """

    def __init__(self, call: str, number: int) -> None:
        self.calls = 0
        self._number = number
        self._failing = range(0)
        self._vfs = _FaultyVFS(self) if call == "sync" else apsw.VFS("faulty", base="unix")
        if call != "sync":
            kind = ctypes.CFUNCTYPE(*_SIGNATURES[call], use_errno=True)
            real = kind(self._vfs.xGetSystemCall(call))
            self._callback = kind(lambda *given: -1 if _is_counted(call, given) and self.fails() else real(*given))
            pointer = ctypes.cast(self._callback, ctypes.c_void_p).value
            assert pointer is not None
            assert self._vfs.xSetSystemCall(call, pointer)

    def fail(self, first: int, *, count: int = 1) -> None:
        """
        Fail ``count`` calls from the ``first`` on, counted from now.
        """
        self.calls, self._failing = 0, range(first, first + count)

    def fails(self) -> bool:
        self.calls += 1
        if self.calls not in self._failing:
            return False
        ctypes.set_errno(self._number)
        return True


def _is_counted(call: str, given: tuple[Any, ...]) -> bool:
    """
    Of locks only the taking: no disk fails at letting go of one.
    """
    if call != "fcntl":
        return True
    return given[1] == fcntl.F_SETLK and ctypes.cast(given[2], ctypes.POINTER(ctypes.c_short))[0] != fcntl.F_UNLCK


class _FaultyVFS(apsw.VFS):
    def __init__(self, disk: FaultyDisk) -> None:
        self._disk = disk
        super().__init__("faulty", base="unix", makedefault=True)
        apsw.connection_hooks.append(lambda connection: connection.pragma("locking_mode", "exclusive"))

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "_FaultyFile":
        return _FaultyFile(self._disk, name, flags)


class _FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("unix", name, flags)

    def xSync(self, flags: int) -> None:
        if self._disk.fails():
            raise apsw.IOError("disk I/O error")
        super().xSync(flags)
