"""
A disk whose power can be cut: what was written and not yet made durable may be there afterwards, or not, or in part.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import apsw

SECTOR_BYTES = 512

Event = tuple[str, str, int, bytes]  # The file, what was done, where, and what was written.


class ForgetfulDisk:
    """
    Takes down what SQLite does to the files in a folder, all of which are durable to begin with.
    """

    def __init__(self, folder: Path) -> None:
        self.events: list[Event] = []
        self._before = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}

    def cut(self, at: int, to: Path, random: Random) -> None:
        """
        What a folder may look like when the power went after so many events.
        """
        files = {name: bytearray(content) for name, content in self._before.items()}
        synced = {name: number for number, (name, what, *_) in enumerate(self.events[:at]) if what == "sync"}
        for number, event in enumerate(self.events[:at]):
            is_durable = number < synced.get(event[0], -1)
            _apply(files.setdefault(event[0], bytearray()), event, None if is_durable else random)
        to.mkdir()
        for name, content in files.items():
            (to / name).write_bytes(content)


@contextmanager
def forgetful(disk: ForgetfulDisk) -> Iterator[None]:
    """
    Files that are opened meanwhile lie on this disk; small logs, so that they are written back often.
    """

    class File(apsw.VFSFile):
        def __init__(self, name: apsw.URIFilename | str | None, flags: list[int]) -> None:
            super().__init__("unix", name, flags)
            self._name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "").name

        def xWrite(self, data: bytes, offset: int) -> None:
            disk.events.append((self._name, "write", offset, bytes(data)))
            super().xWrite(data, offset)

        def xTruncate(self, size: int) -> None:
            disk.events.append((self._name, "truncate", size, b""))
            super().xTruncate(size)

        def xSync(self, flags: int) -> None:
            super().xSync(flags)
            disk.events.append((self._name, "sync", 0, b""))

    class Disk(apsw.VFS):
        def __init__(self) -> None:
            super().__init__("forgetful", "unix", makedefault=True)

        def xOpen(self, name: apsw.URIFilename | str | None, flags: list[int]) -> File:
            return File(name, flags)

    def write_back_often(connection: apsw.Connection) -> None:
        connection.wal_autocheckpoint(40)

    recording = Disk()
    apsw.connection_hooks.append(write_back_often)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(write_back_often)
        recording.unregister()


def _apply(content: bytearray, event: Event, random: Random | None) -> None:
    """
    Do it again; with ``random``, to some of its sectors only.
    """
    _, what, offset, data = event
    if what == "truncate" and (random is None or random.random() < 0.5):
        del content[offset:]
        content.extend(bytes(offset - len(content)))
    if what == "write":
        content.extend(bytes(max(offset + len(data) - len(content), 0)))
        at = offset
        while at < offset + len(data):
            end = min((at // SECTOR_BYTES + 1) * SECTOR_BYTES, offset + len(data))
            if random is None or random.random() < 0.5:
                content[at:end] = data[at - offset : end - offset]
            at = end
