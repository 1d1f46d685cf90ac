"""
The file under an SQLite ledger: made private, recognized before it is written, and written by one process at a time.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from solvent.errors import LedgerCorrupt, StoreUnavailable
from solvent.stores import _sqlite_migrations, _sqlite_schema
from solvent.stores._gate import Gate

APPLICATION_ID = 0x534F4C56  # "SOLV", so that a foreign database is known before anything is written to it.
SCHEMA_VERSION = _sqlite_schema.VERSION
BUSY_MILLISECONDS = 5_000

Row = tuple[Any, ...]  # As the driver gives it: integers, text, bytes and None.


class SQLiteFile:
    """
    One writing connection to a ledger file, and the gate before it.
    """

    def __init__(self, path: Path, *, synchronous: str) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"
        self.generation = 0
        with self.mapped():
            _make_private(path)
            self._gate = Gate(path.with_name(f"{path.name}-gate"))
            self.connection = self.connect()
            self._check_kind()
            # The page size can be chosen only before the first page is written, so before WAL.
            for pragma in ("page_size=1024", "journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
                self.connection.execute(f"PRAGMA {pragma}")
            with self.transaction():
                version = self.connection.pragma("user_version")
                if version == 0:
                    self._create()
                elif version < SCHEMA_VERSION:
                    _sqlite_migrations.migrate(self.connection, version)
                    self.connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")

    def connect(self) -> apsw.Connection:
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        # Without this the driver's build plans a statement anew for each value bound to it, for four times its cost.
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        if connection.readonly("main"):
            raise StoreUnavailable(ledger=self.url, reason="the file cannot be written")
        return connection

    def rows(self, sql: str, *bindings: object) -> list[Row]:
        return self.connection.execute(sql, bindings).fetchall()

    def row(self, sql: str, *bindings: object) -> Row | None:
        return self.connection.execute(sql, bindings).fetchone()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """
        One write transaction. A commit that fails is rolled back, so an error always means that nothing was recorded.
        """
        with self._gate.held(patience_seconds=BUSY_MILLISECONDS / 1000):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

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
            reason = f"another program has it locked for over {BUSY_MILLISECONDS // 1000} s"
            raise StoreUnavailable(ledger=self.url, reason=reason) from error
        except OSError as error:
            raise StoreUnavailable(ledger=self.url, reason=f"{error.strerror}: {error.filename}") from error
        except apsw.Error as error:
            raise StoreUnavailable(ledger=self.url, reason=f"{error}") from error

    def close(self) -> None:
        self.connection.close()
        self._gate.close()

    def _check_kind(self) -> None:
        found = self.connection.pragma("application_id")
        tables = self.connection.execute("SELECT count(*) FROM sqlite_schema").get
        if found != APPLICATION_ID and (tables or found):
            raise LedgerCorrupt(ledger=str(self.path), found="it is a database of another program")
        version = self.connection.pragma("user_version")
        if version > SCHEMA_VERSION:
            found = f"it is of version {version}, and this Solvent knows versions up to {SCHEMA_VERSION}"
            raise LedgerCorrupt(ledger=str(self.path), found=found)

    def _create(self) -> None:
        _sqlite_migrations.create(self.connection)
        for key, value in (("ledger_id", secrets.token_hex(8)), ("fingerprint_key", secrets.token_bytes(32))):
            self.connection.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
        self.connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        self.connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _make_private(path: Path) -> None:
    """
    Make the file and its folder, for their owner alone, before SQLite makes them for everybody.
    """
    if not path.parent.is_dir():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        # Opened for writing here, for SQLite would quietly go on reading.
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    else:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
