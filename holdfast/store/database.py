"""This module opens one SQLite file with many readers and one writer that commits in groups.

Writes that arrive at the same time, from the engine and from the product, share one transaction and so one flush: a
write waits for the commit that is in progress, and then goes in together with all others that waited. A transaction is
one job for a thread, and so is a read: a caller that is cancelled, as the reader of an event stream is, leaves at once,
and its job ends by itself, its connection intact. The asynchronous driver would make a job of each statement, three
times the work, and end the connection of a cancelled caller in a task that no group waits for.

A caller waits for its write as long as the store is quick. A late write (a slow disk, a file that another program has
locked) keeps its place and is written later, in order, and its caller continues. A store that fails, or has been late
for too long, is in trouble: it refuses every new write at once, until it has written what it has.

Source: SQLite, "Write-Ahead Logging".
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Executable, Row, create_engine, event, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

from holdfast.store.file_watch import FileWatch
from holdfast.store.row_check import Readers, TooManyUnreadable, set_aside_unreadable
from holdfast.store.tables import METADATA, VERSION
from holdfast.store.writer_connection import (
    LOCK_ERRORS,
    STORE_ERRORS,
    WRITE_ERRORS,
    Statement,
    WriterConnection,
    prepare,
)

log = logging.getLogger(__name__)

__all__ = ["Database", "DatabaseInvalid", "Statement", "StoreUnavailable", "Write", "open_database"]

MAX_GROUP = 256
"""The most writes that share one transaction, so that the first of them does not wait for ever."""

READERS = 4
"""How many reads run at a time; others wait."""

WRITE_WAIT_S = 0.25
"""How long a caller waits for a write. Counted from the oldest unwritten one: the second waits no longer."""
TROUBLE_S = 2.0
"""A store that has written nothing for so long, though it has pending writes, is in trouble."""
RETRY_S = 1.0
"""After this long a store that failed is tried again."""
CLOSE_S = 2.0
"""How long a late store is waited for at the end."""
OPEN_S = 5.0
"""How long another program's lock is waited for at the start."""
WATCH_INTERVAL_S = 1.0
"""How often the file itself is checked."""


class DatabaseInvalid(Exception):
    """The file cannot be used as a store. The message says why, and what to do."""


class StoreUnavailable(SQLAlchemyError):
    """The store cannot write now. The message says why."""


@dataclass(slots=True, eq=False)
class Write:
    """A write has statements on their way into the store.

    `done` is cancelled when they failed and their caller no longer waits.
    """

    statements: Sequence[Statement]
    since: float
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    detached: bool = False
    """Whether its caller has stopped waiting."""


_PROBE = Statement(sql=text(f"PRAGMA user_version={VERSION}"))
"""Writes a page, and changes nothing."""


class Database:
    """A database is an open store.

    Invariants: only the one writer task writes; writes are committed in their order, or not at all.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="store-reader")
        self._pending: deque[Write] = deque()
        """Writes that are not committed yet, oldest first; the first of them may be in progress."""
        self._arrived = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._ended = False
        self._failure: str | None = None
        self._locked = False
        self._late_since: float | None = None
        self._trouble_logged = False
        self._file_problem: str | None = None
        self.commits = 0
        """How many transactions were committed since the store was opened."""

    def trouble(self) -> str | None:
        """Return why nothing can be written now; None when it can."""
        if self._file_problem is not None:
            return self._file_problem
        if self._failure is not None:
            return self._failure
        age = self._age()
        if age <= TROUBLE_S:
            return None
        why = "another program keeps it locked" if self._locked else "its disk is too slow"
        return f"{why}: nothing was written for {age:.0f} s"

    def set_file_problem(self, problem: str | None) -> None:
        """Set the problem with the file itself, as its watch reports it; None when there is none."""
        if problem is not None and self._file_problem is None:
            log.error("%s", problem)
        elif problem is None and self._file_problem is not None:
            log.warning("the store's file is the one that was opened again")
            self._arrived.set()
        self._file_problem = problem

    async def write(self, *statements: Statement) -> None:
        """Write all statements, or none. Return when they are committed; if the store is late, before that.

        Raises: SQLAlchemyError, with nothing written; at once while the store is in trouble.
        """
        await self.wait_for(self.enqueue(*statements))

    def enqueue(self, *statements: Statement) -> Write:
        """Add all statements, or none, behind the pending writes. Raises: SQLAlchemyError."""
        if self._ended:
            raise SQLAlchemyError("the store's writer has ended")
        trouble = self.trouble()
        if trouble is not None:
            self._log_trouble()
            raise StoreUnavailable(trouble)
        write = Write(statements, asyncio.get_running_loop().time())
        self._pending.append(write)
        self._empty.clear()
        self._arrived.set()
        return write

    async def wait_for(self, write: Write) -> None:
        """Return when the write is committed, or late. Raises: SQLAlchemyError, when it failed before that."""
        try:
            await asyncio.wait((write.done,), timeout=max(0.0, WRITE_WAIT_S - self._age()))
            while not write.done.done() and self._age() < WRITE_WAIT_S:  # the oldest write is committed meanwhile
                await asyncio.wait((write.done,), timeout=WRITE_WAIT_S - self._age())
        finally:
            write.detached = not write.done.done()
        if not write.detached:
            write.done.result()
        elif self._late_since is None:
            self._late_since = asyncio.get_running_loop().time() - self._age()
            log.warning(
                "the store has not written for %.0f ms: decisions take effect now, and are written later, in order",
                self._age() * 1000,
            )

    async def read(self, sql: Executable) -> Sequence[Row[Any]]:
        """Return every row of a query. Raises: SQLAlchemyError."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, sql)

    def _read(self, sql: Executable) -> Sequence[Row[Any]]:
        with self._engine.connect() as connection:
            return connection.execute(sql).all()

    def close(self) -> None:
        """Return when the reads in progress are over; those that still wait do not begin."""
        self._readers.shutdown(cancel_futures=True)

    async def run_writer(self) -> None:
        """Commit pending writes until cancelled. However it ends, no caller waits for it for ever."""
        try:
            with closing(WriterConnection(self._engine)) as writer:
                while True:
                    await self._arrived.wait()
                    self._arrived.clear()
                    while (self._pending or self._failure is not None) and self._file_problem is None:
                        await self._commit(writer, tuple(islice(self._pending, MAX_GROUP)))
                        if self._failure is not None:
                            await asyncio.sleep(RETRY_S)
        finally:
            self._ended = True
            for write in self._pending:
                if write.detached:
                    write.done.cancel()
                else:
                    self._end(write, SQLAlchemyError("the store's writer has ended"))
            self._pending.clear()

    async def drain(self) -> None:
        """Wait until every pending write is committed, as long as the store is not in trouble for good."""
        while self._pending:
            await asyncio.wait((self._pending[-1].done,))

    async def finish(self) -> None:
        """Wait a moment for late writes, and log what will be missing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self.drain()
        if self._pending:
            unwritten = Counter(each for write in self._pending for each in _tables(write.statements))
            summary = ", ".join(f"{number} of {table}" for table, number in sorted(unwritten.items()))
            log.error(
                "the store closes without what it could not write, %s: %s", summary, self.trouble() or "it is late"
            )

    # Internals.

    def _age(self) -> float:
        """Return how long the oldest write has waited. Units: seconds."""
        return asyncio.get_running_loop().time() - self._pending[0].since if self._pending else 0.0

    async def _commit(self, writer: WriterConnection, group: Sequence[Write]) -> None:
        statements = [statement for write in group for statement in write.statements]
        if self._failure is not None and not statements:
            statements = [_PROBE]
        try:
            await writer.write(statements)
        except WRITE_ERRORS as error:
            code = getattr(getattr(error, "orig", None), "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            self._locked = code in LOCK_ERRORS
            if self._locked:
                if self._age() > TROUBLE_S:
                    self._log_trouble()
            elif code in STORE_ERRORS:
                self._fail(error, group)
            elif len(group) > 1:  # one of them fails; the others must be written
                for write in group:
                    if (
                        self._pending and self._pending[0] is write
                    ):  # else the store fails, and the write keeps its place
                        await self._commit(writer, (write,))
            elif group:
                known = isinstance(error, SQLAlchemyError)
                self._end(group[0], error if known else SQLAlchemyError(f"a value no store keeps: {error}"))
                self._dequeue(group)
            return
        self.commits += 1
        self._locked = False
        for write in group:
            if not write.done.done():  # it is done already when its caller was cancelled meanwhile
                write.done.set_result(None)
        self._dequeue(group)
        self._recovered()

    def _fail(self, error: Exception, group: Iterable[Write]) -> None:
        """Handle a failing store: callers that wait get the error; detached writes stay, and are tried again."""
        self._failure = str(getattr(error, "orig", error))
        self._log_trouble()
        for write in [waiting for waiting in self._pending if not waiting.detached]:
            self._end(write, error)
            self._pending.remove(write)

    def _end(self, write: Write, error: Exception) -> None:
        if write.done.done():
            return
        if write.detached:
            log.error("a late write is lost, %s: %s", ", ".join(_tables(write.statements)), error)
            write.done.cancel()
        else:
            write.done.set_exception(error)

    def _dequeue(self, group: Iterable[Write]) -> None:
        for write in group:
            if self._pending and self._pending[0] is write:
                self._pending.popleft()

    def _log_trouble(self) -> None:
        if not self._trouble_logged:
            self._trouble_logged = True
            why = self.trouble()
            log.error("the store is in trouble, calls continue and no new hold begins: %s", why)

    def _recovered(self) -> None:
        self._failure = None
        if self._age() > WRITE_WAIT_S:
            return
        if self._late_since is not None or self._trouble_logged:
            log.warning("the store accepts writes again")
        self._late_since, self._trouble_logged = None, False


def _tables(statements: Iterable[Statement]) -> list[str]:
    """Return the tables that these statements change."""
    return [getattr(getattr(each.sql, "table", None), "name", "the file itself") for each in statements]


@asynccontextmanager
async def open_database(
    path: Path, *, readers: Readers | None = None, watched: bool = False
) -> AsyncIterator[Database]:
    """Open the store in this file, and create it if it does not exist. Raises: DatabaseInvalid.

    With `readers`, rows that they cannot read are set aside first. A process that keeps the store open for long has the
    file `watched`; of the processes that have it open, one.
    """
    engine = create_engine(f"sqlite:///{path}", hide_parameters=True)  # or errors would show the values
    event.listen(engine, "connect", prepare)
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(_prepare_file, path)
            if readers is not None:
                await asyncio.to_thread(set_aside_unreadable, path, readers)
        except TooManyUnreadable as error:
            raise DatabaseInvalid(str(error)) from error
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            reason = str(getattr(error, "orig", error))
            raise DatabaseInvalid(
                f"{path}: cannot be used as a store: {reason}. Give another file by --store."
            ) from error
        database = Database(engine)
        failure: Exception | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                work = [tasks.create_task(database.run_writer(), name="store-writer")]
                if watched:
                    work.append(tasks.create_task(_watch(database, path), name="store-watch"))
                try:
                    yield database
                except Exception as error:
                    failure = error  # raised again below, outside the group, which would wrap it
                await database.finish()
                for task in work:
                    task.cancel()
        finally:
            database.close()
        if failure is not None:
            raise failure
    finally:
        engine.dispose()


async def _watch(database: Database, path: Path) -> None:
    """Check until cancelled that the file is still the one that was opened."""
    await database.read(text("SELECT count(*) FROM sqlite_master"))  # from here on its -wal and -shm exist
    watch, first = await asyncio.to_thread(FileWatch, path), True
    while True:
        if watch.next_mark is not None and database.trouble() is None:
            with suppress(SQLAlchemyError, sqlite3.Error):
                await database.write(Statement(sql=text(f"PRAGMA application_id={watch.next_mark}")))
                watch.confirm_mark()
                if first:  # a copy of another store must not look like ours
                    await asyncio.to_thread(watch.checkpoint)
                first = False
        await asyncio.sleep(WATCH_INTERVAL_S)
        database.set_file_problem(await asyncio.to_thread(watch.check))


def _prepare_file(path: Path) -> None:
    """Create the file for its owner alone, with its tables; or refuse another program's file, untouched.

    Raises: DatabaseInvalid, OSError, sqlite3.Error, SQLAlchemyError.
    """
    with suppress(FileExistsError):
        # It has passwords of lines and trunks. SQLite gives the files beside it the same mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(path, timeout=OPEN_S, isolation_level=None)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version not in (0, VERSION):
            earlier = "an earlier" if version < VERSION else "a later"
            raise DatabaseInvalid(
                f"{path}: was written by {earlier} version of Holdfast (schema {version}, ours is {VERSION}), "
                "which this one does not read: move it away, or give another file by --store."
            )
        if version == 0 and tables:
            raise DatabaseInvalid(f"{path}: is a database of another program. Give another file by --store.")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")  # all or nothing, and once, though two processes create it
        for table in METADATA.sorted_tables:
            indexes = (CreateIndex(each, if_not_exists=True) for each in table.indexes)
            parts: list[ExecutableDDLElement] = [CreateTable(table, if_not_exists=True), *indexes]
            for part in parts:
                connection.execute(str(part.compile(dialect=sqlite.dialect())))
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
