"""
The file under an SQLite ledger: made private, recognized before it is written, and written by one process at a time.
"""

import errno
import os
import secrets
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw

from solvent.errors import LedgerCorrupt, OutcomeUnknown, StoreUnavailable
from solvent.stores import _sqlite_migrations, _sqlite_schema
from solvent.stores._gate import Gate
from solvent.stores._local_disk import require_local_disk

APPLICATION_ID = 0x534F4C56  # "SOLV", so that a foreign database is known before anything is written to it.
SCHEMA_VERSION = _sqlite_schema.VERSION
BUSY_MILLISECONDS = 5_000
STAMP_SETTLES_NS = 2_000_000_000  # File systems tell times apart by milliseconds, the worst by two seconds.

Row = tuple[Any, ...]  # As the driver gives it: integers, text, bytes and None.
Identity = tuple[int, int] | None  # Device and inode; none where there is no file.
Stamp = tuple[int, int, int] | None  # With the time when a folder last got, lost or renamed a file.

_opening = threading.RLock()  # Held while a ledger file is made and listed, and during a fork.
_files: "weakref.WeakSet[SQLiteFile]" = weakref.WeakSet()
_forking: "list[SQLiteFile]" = []


class SQLiteFile:
    """
    One writing connection to a ledger file, and the gate before it.

    Whoever uses the connection holds ``lock``. Nothing is carried over a fork: SQLite remembers in memory what its
    process has locked, so that a child would inherit the belief and not the locks, and its writes would be lost when
    the parent closes. All is closed before a fork, and opened anew by whoever uses it next.

    Attributes:
        path: The file itself, for two names of it must share one gate.
        generation: How often the connection was given up; whoever caches what it said has to look.
    """

    def __init__(self, path: Path, *, synchronous: str) -> None:
        self.path = Path(os.path.realpath(path))
        self.url = f"sqlite:///{self.path}{'?synchronous=normal' if synchronous == 'NORMAL' else ''}"
        self.lock = threading.RLock()
        self.generation = 0
        self._synchronous = synchronous
        self._reading = threading.RLock()
        self._gate = Gate(self.path.with_name(f"{self.path.name}-gate"))
        self._folder = str(self.path.parent)
        self._connection: apsw.Connection | None = None
        self._identities: dict[str, Identity] = {}  # Of the file, its journal and its shared memory, when opened.
        self._seen: Stamp = None  # Their folder, when all of them were in place.
        self._is_closed = self._is_writing = False
        with self.mapped():
            require_local_disk(self.path)
            with _opening:
                _make_private(self.path)
                _files.add(self)
            try:
                with self.transaction():
                    version = self.connection.pragma("user_version")
                    if version == 0:
                        self._create()
                    elif version < SCHEMA_VERSION:
                        _sqlite_migrations.migrate(self.connection, version)
                        self.connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
            except OutcomeUnknown as error:  # Who opens it again finds it made, or makes it.
                raise StoreUnavailable(ledger=self.url, reason=error.reason) from error

    @property
    def connection(self) -> apsw.Connection:
        if self._connection is None:
            if self._is_writing:  # What was begun ended with the connection; the rest alone must not be written.
                raise StoreUnavailable(ledger=self.url, reason="a signal handler forked inside a transaction")
            self._open()
        assert self._connection is not None
        return self._connection

    def connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        # Without this the driver's build plans a statement anew for each value bound to it, for four times its cost.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        if connection.readonly("main"):
            raise StoreUnavailable(ledger=self.url, reason="the file cannot be written")
        return connection

    @contextmanager
    def reader(self) -> Iterator[apsw.Connection]:
        """
        A connection of its own for a long read, which no writer waits for; a fork does.
        """
        with self.lock:
            self.connection.pragma("user_version")  # Opened where it is not, so that it is known what has to be there.
            self._require_all_in_place()
        with self._reading:
            connection = self.connect()
            try:
                yield connection
            finally:
                connection.close(True)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """
        One state of the file for all that is read.
        """
        with self.lock:
            try:
                self.connection.execute("BEGIN")
                yield
            finally:
                self._roll_back()

    def rows(self, sql: str, *bindings: object) -> list[Row]:
        with self.lock:
            return self.connection.execute(sql, bindings).fetchall()

    def row(self, sql: str, *bindings: object) -> Row | None:
        with self.lock:
            return self.connection.execute(sql, bindings).fetchone()

    @contextmanager
    def transaction(self, ids: Sequence[str] = ()) -> Iterator[None]:
        """
        One write transaction. An error means that nothing was recorded, but for one.

        Args:
            ids: What it writes, to be named by that error.

        Raises:
            OutcomeUnknown: The disk failed in the commit, which a crash may bring back until something else is written.
        """
        with self.lock, self._gate.held(patience_seconds=BUSY_MILLISECONDS / 1000):
            connection = self.connection
            self._require_all_in_place()
            self._is_writing = True
            try:
                connection.execute("BEGIN IMMEDIATE")  # Inside, for an interrupt may come right after it.
                yield
                self._commit(ids)
            except BaseException:
                self._roll_back()
                raise
            finally:
                self._is_writing = False

    @contextmanager
    def mapped(self) -> Iterator[None]:
        """
        The driver's errors as Solvent's.
        """
        try:
            yield
        except (apsw.CorruptError, apsw.NotADBError) as error:
            raise LedgerCorrupt(ledger=str(self.path), found=f"{error}") from error
        except (apsw.BusyError, apsw.LockedError, TimeoutError) as error:
            reason = f"another program has it locked for over {BUSY_MILLISECONDS / 1000:g} s"
            raise StoreUnavailable(ledger=self.url, reason=reason) from error
        except OSError as error:
            place = f": {error.filename}" if error.filename else ""
            raise StoreUnavailable(ledger=self.url, reason=f"{error.strerror}{place}") from error
        except apsw.Error as error:
            raise StoreUnavailable(ledger=self.url, reason=f"{error}") from error

    def close(self) -> None:
        with self.lock:
            self._is_closed = True
            self._gate.close()
            self._disconnect()

    def _open(self) -> None:
        if self._is_closed:
            raise StoreUnavailable(ledger=self.url, reason="it was closed")
        if self._identities:
            self._require_in_place(str(self.path))
        self._connection, self._seen = self.connect(), None
        try:
            self._check_kind()
            # The page size can be chosen only before the first page is written, so before WAL.
            for pragma in ("page_size=1024", "journal_mode=WAL", f"synchronous={self._synchronous}", "foreign_keys=ON"):
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.pragma("user_version")  # The first read makes the journal's files.
        except BaseException:
            self._disconnect()
            raise
        self._identities = {place: _identity(place) for place in (f"{self.path}{end}" for end in ("", "-wal", "-shm"))}

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self.generation += 1
            with suppress(apsw.Error):  # What it could not write at its end, the next to open the file does.
                connection.close(True)

    def _require_all_in_place(self) -> None:
        """
        See that nobody deleted or replaced a file, by one look at the folder when nothing changed there.
        """
        folder = _stamp(self._folder)
        if folder is not None and folder == self._seen:
            return
        for place in self._identities:
            self._require_in_place(place)
        self._gate.look()
        # What happens in the moment of the last change would have the same time.
        is_over = folder is not None and time.time_ns() - folder[2] > STAMP_SETTLES_NS
        self._seen = folder if is_over else None

    def _require_in_place(self, place: str) -> None:
        found = _identity(place)
        if found == self._identities[place]:
            return
        if place == str(self.path):
            self._disconnect()
        what = "deleted" if found is None else "replaced"
        reason = f"{place} was {what} while it was open; put the same file back, or start the program anew"
        raise StoreUnavailable(ledger=self.url, reason=reason)

    def _commit(self, ids: Sequence[str]) -> None:
        try:
            self.connection.execute("COMMIT")
        except (apsw.BusyError, apsw.CorruptError, apsw.FullError):
            raise  # Before the last page was written, without which there is no commit.
        except apsw.Error as error:
            raise OutcomeUnknown(ledger=self.url, id=", ".join(ids) or "(any)", reason=f"{error}") from error

    def _roll_back(self) -> None:
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            self._disconnect()  # Which ends it as well.

    def _check_kind(self) -> None:
        found = self.connection.pragma("application_id")
        tables = self.connection.execute("SELECT count(*) FROM sqlite_schema").get
        if found != APPLICATION_ID and (tables or found):
            raise LedgerCorrupt(ledger=str(self.path), found="it is a database of another program")
        version = self.connection.pragma("user_version")
        if version > SCHEMA_VERSION:
            found = f"it is of version {version}, and this Solvent knows versions up to {SCHEMA_VERSION}"
            raise LedgerCorrupt(ledger=str(self.path), found=found, remedy="use the Solvent that wrote it")

    def _create(self) -> None:
        _sqlite_migrations.create(self.connection)
        for key, value in (("ledger_id", secrets.token_hex(8)), ("fingerprint_key", secrets.token_bytes(32))):
            self.connection.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
        self.connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        self.connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _make_private(path: Path) -> None:
    """
    Make the file and its folder, for their owner alone, before SQLite makes them for everybody.

    A file that is there is not opened: closing it would drop all locks that this process has on it.
    """
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if not path.is_file():
            raise LedgerCorrupt(
                ledger=str(path), found="it is a folder" if path.is_dir() else "it is no file"
            ) from None
        # Asked here, for SQLite would quietly go on reading.
        if not os.access(path, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            number = errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(number, os.strerror(number), str(path)) from None


def _identity(place: str) -> Identity:
    try:
        found = os.stat(place)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _stamp(folder: str) -> Stamp:
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


def _before_fork() -> None:
    _opening.acquire()
    for file in list(_files):
        file.lock.acquire()
        file._reading.acquire()
        _forking.append(file)
        file._gate.close()
        file._disconnect()


def _after_fork() -> None:
    while _forking:
        file = _forking.pop()
        file._reading.release()
        file.lock.release()
    _opening.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
