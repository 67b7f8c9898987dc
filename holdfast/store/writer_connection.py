"""This module has the one connection that writes into the store, and the setup of every connection."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

BUSY_S = 0.25
"""How long SQLite waits for another program's lock before it reports it."""

WRITE_ERRORS = (SQLAlchemyError, ValueError, OverflowError)
"""What a write may fail with.

The driver lets two of them pass as they are: text that is no Unicode, and an integer of more than 64 bits.
"""

LOCK_ERRORS = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
STORE_ERRORS = frozenset(
    {
        *(sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_INTERRUPT),
        *(sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN),
        *(sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_AUTH),
    }
)
"""Errors of the store itself; any other is that of one write. Source: SQLite, "Result and Error Codes"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement is one SQL statement with its rows; an empty `rows` runs it once, without parameters."""

    sql: Executable
    rows: Sequence[Mapping[str, Any]] = ()


class WriterConnection:
    """A writer connection is the one connection that writes, together with its thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-writer")
        self._connection: Connection | None = None

    async def write(self, statements: Sequence[Statement]) -> None:
        """Write all statements, or none. Raises: the errors in `WRITE_ERRORS`."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, statements)

    def close(self) -> None:
        """Return when the transaction in progress is over."""
        self._thread.submit(self._close_connection)
        self._thread.shutdown()

    def _write(self, statements: Sequence[Statement]) -> None:
        if self._connection is None:
            self._connection = self._engine.connect()
        with self._connection.begin():
            for statement in statements:
                self._connection.execute(statement.sql, list(statement.rows) or None)

    def _close_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()


def prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:
    """Set up a new connection."""
    # WAL with synchronous=NORMAL survives a crash of this process, and asks the disk only at a checkpoint.
    # A power cut may lose the last commits, never the file.
    connection.text_factory = _lenient  # one damaged text must not prevent the read of a whole list
    cursor = connection.cursor()
    for pragma in ("synchronous=NORMAL", f"busy_timeout={BUSY_S * 1000:.0f}", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _lenient(text: bytes) -> str:
    return text.decode("utf-8", "replace")
