"""One SQLite file with many readers and one writer that commits in groups.

What is written at the same time, by the engine and by the product, shares one transaction and so one flush: a
writer waits for the commit that is under way, and then goes in together with all others that waited. A transaction is
one errand to a thread, and so is a read: a caller that is cancelled, as the reader of an event stream is, leaves at
once, and what it asked for ends by itself, its connection whole. The asynchronous driver would make an errand of each
statement, three times the work, and end the connection of a caller that left in a task that no group waits for.
Source: SQLite, "Write-Ahead Logging".
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Executable, Row, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from holdfast.store.tables import METADATA, VERSION

GROUP = 256
"""The most writes that share one transaction, so that the first of them does not wait for ever."""

READERS = 4
"""How many reads go on at a time; others wait."""

UNKEEPABLE = (SQLAlchemyError, ValueError, OverflowError)
"""What a write may fail with. The driver lets two of them pass as they are: text that is no Unicode, and an integer of
more than 64 bits."""


class DatabaseWrong(Exception):
    """The file cannot be used as a store. The message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One SQL statement and its rows; an empty `rows` runs it once, without parameters."""

    sql: Executable
    rows: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class _Write:
    statements: Sequence[Statement]
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class _Pen:
    """The one connection that writes, and the thread it is used in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store-writer")
        self._connection: Connection | None = None

    async def write(self, statements: Sequence[Statement]) -> None:
        """Keep all of them, or none. Raises: what `UNKEEPABLE` names."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._write, statements)

    def close(self) -> None:
        """Return when the transaction that is under way is over."""
        self._thread.submit(self._put_down)
        self._thread.shutdown()

    def _write(self, statements: Sequence[Statement]) -> None:
        if self._connection is None:
            self._connection = self._engine.connect()
        with self._connection.begin():
            for statement in statements:
                self._connection.execute(statement.sql, list(statement.rows) or None)

    def _put_down(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Database:
    """An open store. Invariant: only the one writer task writes, so no write meets a locked file."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="store-reader")
        self._waiting: asyncio.Queue[_Write] = asyncio.Queue()
        self._ended = False
        self.commits = 0
        """How many transactions were committed since the store was opened."""

    async def write(self, *statements: Statement) -> None:
        """Keep all of them, or none. Returns when they are committed. Raises: SQLAlchemyError."""
        if self._ended:
            raise SQLAlchemyError("the store's writer has ended")
        write = _Write(statements)
        self._waiting.put_nowait(write)
        await write.done

    async def read(self, sql: Executable) -> Sequence[Row[Any]]:
        """Every row of a query. Raises: SQLAlchemyError."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, sql)

    def _read(self, sql: Executable) -> Sequence[Row[Any]]:
        with self._engine.connect() as connection:
            return connection.execute(sql).all()

    def close(self) -> None:
        """Return when the reads that are under way are over; those that still wait do not begin."""
        self._readers.shutdown(cancel_futures=True)

    async def run_writer(self) -> None:
        """Commit what is written until cancelled. However it ends, nobody waits for it for ever."""
        group: list[_Write] = []
        try:
            with closing(_Pen(self._engine)) as pen:
                while True:
                    group = [await self._waiting.get()]
                    while len(group) < GROUP and not self._waiting.empty():
                        group.append(self._waiting.get_nowait())
                    await self._commit(pen, group)
        finally:
            self._ended = True
            while not self._waiting.empty():
                group.append(self._waiting.get_nowait())
            for write in group:
                if not write.done.done():
                    write.done.set_exception(SQLAlchemyError("the store's writer has ended"))

    async def drain(self) -> None:
        """Wait until everything written so far is committed."""
        await self.write()

    async def _commit(self, pen: _Pen, group: Sequence[_Write]) -> None:
        try:
            await pen.write([statement for write in group for statement in write.statements])
        except UNKEEPABLE as error:
            if len(group) > 1:  # one of them is at fault; the others must not suffer
                for write in group:
                    await self._commit(pen, [write])
                return
            if not group[0].done.done():
                known = isinstance(error, SQLAlchemyError)
                group[0].done.set_exception(error if known else SQLAlchemyError(f"a value no store keeps: {error}"))
            return
        self.commits += 1
        for write in group:
            if not write.done.done():  # it is done already when its caller was cancelled meanwhile
                write.done.set_result(None)


@asynccontextmanager
async def open_database(path: Path) -> AsyncIterator[Database]:
    """The store in this file, made if it is not there. Raises: DatabaseWrong."""
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _prepare)
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(_look_at, path)
            await asyncio.to_thread(_settle_schema, engine)
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            reason = str(getattr(error, "orig", error))
            raise DatabaseWrong(
                f"{path}: cannot be used as a store: {reason}. Give another file by --store."
            ) from error
        database = Database(engine)
        failure: Exception | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                writer = tasks.create_task(database.run_writer(), name="store-writer")
                try:
                    yield database
                except Exception as error:
                    failure = error  # raised again below, outside the group, which would wrap it
                await database.drain()
                writer.cancel()
        finally:
            database.close()
        if failure is not None:
            raise failure
    finally:
        engine.dispose()


def _look_at(path: Path) -> None:
    """Make the file for its owner alone, or refuse one that is no store of ours, untouched.

    Raises: DatabaseWrong, OSError, sqlite3.Error.
    """
    with suppress(FileExistsError):
        # Passwords of lines and trunks are in it. SQLite gives the files beside it the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(path, timeout=5.0)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("PRAGMA schema_version").fetchone()
    if version not in (0, VERSION):
        raise DatabaseWrong(
            f"{path}: was written by another version of Holdfast (schema {version}, ours is {VERSION}). "
            "Move it away, or give another file by --store."
        )


def _settle_schema(engine: Engine) -> None:
    with engine.begin() as connection:
        METADATA.create_all(connection)
        connection.execute(text(f"PRAGMA user_version={VERSION}"))


def _prepare(connection: Any, _entry: ConnectionPoolEntry) -> None:
    # WAL with synchronous=NORMAL survives a crash of this process, and asks the disk only at a checkpoint.
    # A power cut may lose the last commits, never the file.
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
