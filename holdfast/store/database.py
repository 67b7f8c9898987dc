"""One SQLite file with many readers and one writer that commits in groups.

What is written at the same time, by the engine and by the product, shares one transaction and so one flush: a
writer waits for the commit that is under way, and then goes in together with all others that waited. A transaction is
one errand to a thread, and so is a read: a caller that is cancelled, as the reader of an event stream is, leaves at
once, and what it asked for ends by itself, its connection whole. The asynchronous driver would make an errand of each
statement, three times the work, and end the connection of a caller that left in a task that no group waits for.

A write is waited for as long as the store is quick. One that is late (a slow disk, a file that another program has
locked) is kept in its place and written later, in order, and its caller goes on. A store that fails, or has been late
for too long, is in trouble: it takes nothing more, and says so at once, until it has written what it has.
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
    FAILING,
    LOCKED,
    UNKEEPABLE,
    Pen,
    Statement,
    prepare,
)

log = logging.getLogger(__name__)

__all__ = ["Database", "DatabaseInvalid", "Statement", "StoreInTrouble", "Write", "open_database"]

GROUP = 256
"""The most writes that share one transaction, so that the first of them does not wait for ever."""

READERS = 4
"""How many reads go on at a time; others wait."""

PATIENCE_S = 0.25
"""How long a write is waited for. Counted from the oldest one that is not written: the second waits no longer."""
TROUBLE_S = 2.0
"""A store that has written nothing for so long, though it was given something, is in trouble."""
AGAIN_S = 1.0
"""After this long a store that failed is tried again."""
CLOSE_S = 2.0
"""How long a store that is late is waited for at the end."""
OPEN_S = 5.0
"""How long another program's lock is waited for at the start."""
LOOK_S = 1.0
"""How often the file itself is looked at."""


class DatabaseInvalid(Exception):
    """The file cannot be used as a store. The message says why, and what to do."""


class StoreInTrouble(SQLAlchemyError):
    """Nothing can be written now. The message says why."""


@dataclass(slots=True, eq=False)
class Write:
    """Statements on their way into the store. `done` is cancelled when they failed and nobody waits any more."""

    statements: Sequence[Statement]
    since: float
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    left: bool = False
    """Whether its caller has gone on."""


_PROBE = Statement(sql=text(f"PRAGMA user_version={VERSION}"))
"""Writes a page, and changes nothing."""


class Database:
    """An open store. Invariants: only the one writer task writes; what it was given is written in order, or not."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = ThreadPoolExecutor(max_workers=READERS, thread_name_prefix="store-reader")
        self._pending: deque[Write] = deque()
        """What is not written yet, oldest first; the front of it may be in the pen."""
        self._came = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._ended = False
        self._failure: str | None = None
        self._locked = False
        self._late_since: float | None = None
        self._told_of_trouble = False
        self._strange: str | None = None
        self.commits = 0
        """How many transactions were committed since the store was opened."""

    def trouble(self) -> str | None:
        """Why nothing can be written now; None when it can."""
        if self._strange is not None:
            return self._strange
        if self._failure is not None:
            return self._failure
        age = self._age()
        if age <= TROUBLE_S:
            return None
        why = "another program keeps it locked" if self._locked else "its disk is too slow"
        return f"{why}: nothing was written for {age:.0f} s"

    def found(self, strange: str | None) -> None:
        """What is wrong with the file itself, by who watches it; None when nothing is."""
        if strange is not None and self._strange is None:
            log.error("%s", strange)
        elif strange is None and self._strange is not None:
            log.warning("the store's file is the one that was opened again")
            self._came.set()
        self._strange = strange

    async def write(self, *statements: Statement) -> None:
        """Keep all of them, or none. Returns when they are committed; if the store is late, before: they follow.

        Raises: SQLAlchemyError, with nothing kept; at once while the store is in trouble.
        """
        await self.wait_for(self.enter(*statements))

    def enter(self, *statements: Statement) -> Write:
        """Have all of them kept, or none, behind what was entered before. Raises: SQLAlchemyError."""
        if self._ended:
            raise SQLAlchemyError("the store's writer has ended")
        trouble = self.trouble()
        if trouble is not None:
            self._tell_of_trouble()
            raise StoreInTrouble(trouble)
        write = Write(statements, asyncio.get_running_loop().time())
        self._pending.append(write)
        self._empty.clear()
        self._came.set()
        return write

    async def wait_for(self, write: Write) -> None:
        """Return when it is committed, or late. Raises: SQLAlchemyError, when it failed before that."""
        try:
            await asyncio.wait((write.done,), timeout=max(0.0, PATIENCE_S - self._age()))
            while not write.done.done() and self._age() < PATIENCE_S:  # what was oldest is written meanwhile
                await asyncio.wait((write.done,), timeout=PATIENCE_S - self._age())
        finally:
            write.left = not write.done.done()
        if not write.left:
            write.done.result()
        elif self._late_since is None:
            self._late_since = asyncio.get_running_loop().time() - self._age()
            log.warning(
                "the store has not written for %.0f ms: what is decided is carried out, and written later, in order",
                self._age() * 1000,
            )

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
        try:
            with closing(Pen(self._engine)) as pen:
                while True:
                    await self._came.wait()
                    self._came.clear()
                    while (self._pending or self._failure is not None) and self._strange is None:
                        await self._commit(pen, tuple(islice(self._pending, GROUP)))
                        if self._failure is not None:
                            await asyncio.sleep(AGAIN_S)
        finally:
            self._ended = True
            for write in self._pending:
                if write.left:
                    write.done.cancel()
                else:
                    self._end(write, SQLAlchemyError("the store's writer has ended"))
            self._pending.clear()

    async def drain(self) -> None:
        """Wait until everything written so far is committed, as long as the store is not in trouble for good."""
        while self._pending:
            await asyncio.wait((self._pending[-1].done,))

    async def finish(self) -> None:
        """Wait a moment for what is late, and say what will be missing."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self.drain()
        if self._pending:
            lost = Counter(each for write in self._pending for each in _tables(write.statements))
            told = ", ".join(f"{number} of {table}" for table, number in sorted(lost.items()))
            log.error("the store ends without what it could not write, %s: %s", told, self.trouble() or "it is late")

    # --- within -----------------------------------------------------------------------------------------

    def _age(self) -> float:
        """How long the oldest write has waited. Units: seconds."""
        return asyncio.get_running_loop().time() - self._pending[0].since if self._pending else 0.0

    async def _commit(self, pen: Pen, group: Sequence[Write]) -> None:
        statements = [statement for write in group for statement in write.statements]
        if self._failure is not None and not statements:
            statements = [_PROBE]
        try:
            await pen.write(statements)
        except UNKEEPABLE as error:
            code = getattr(getattr(error, "orig", None), "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            self._locked = code in LOCKED
            if self._locked:
                if self._age() > TROUBLE_S:
                    self._tell_of_trouble()
            elif code in FAILING:
                self._fail(error, group)
            elif len(group) > 1:  # one of them is at fault; the others must not suffer
                for write in group:
                    if self._pending and self._pending[0] is write:  # else the store fails, and it keeps its place
                        await self._commit(pen, (write,))
            elif group:
                known = isinstance(error, SQLAlchemyError)
                self._end(group[0], error if known else SQLAlchemyError(f"a value no store keeps: {error}"))
                self._take_off(group)
            return
        self.commits += 1
        self._locked = False
        for write in group:
            if not write.done.done():  # it is done already when its caller was cancelled meanwhile
                write.done.set_result(None)
        self._take_off(group)
        self._recovered()

    def _fail(self, error: Exception, group: Iterable[Write]) -> None:
        """The store takes nothing: whoever still waits is told; what nobody waits for is kept, and tried again."""
        self._failure = str(getattr(error, "orig", error))
        self._tell_of_trouble()
        for write in [one for one in self._pending if not one.left]:
            self._end(write, error)
            self._pending.remove(write)

    def _end(self, write: Write, error: Exception) -> None:
        if write.done.done():
            return
        if write.left:
            log.error("what was to be written late is lost, %s: %s", ", ".join(_tables(write.statements)), error)
            write.done.cancel()
        else:
            write.done.set_exception(error)

    def _take_off(self, group: Iterable[Write]) -> None:
        for write in group:
            if self._pending and self._pending[0] is write:
                self._pending.popleft()

    def _tell_of_trouble(self) -> None:
        if not self._told_of_trouble:
            self._told_of_trouble = True
            why = self.trouble()
            log.error("the store is in trouble, calls go on and no new hold begins: %s", why)

    def _recovered(self) -> None:
        self._failure = None
        if self._age() > PATIENCE_S:
            return
        if self._late_since is not None or self._told_of_trouble:
            log.warning("the store takes what it is given again")
        self._late_since, self._told_of_trouble = None, False


def _tables(statements: Iterable[Statement]) -> list[str]:
    """Which tables these change."""
    return [getattr(getattr(each.sql, "table", None), "name", "the file itself") for each in statements]


@asynccontextmanager
async def open_database(
    path: Path, *, readers: Readers | None = None, watched: bool = False
) -> AsyncIterator[Database]:
    """The store in this file, made if it is not there. Raises: DatabaseWrong.

    With `readers`, rows that they cannot read are set aside first. Who keeps it open for long has the file `watched`;
    of the processes that have it open, one.
    """
    engine = create_engine(f"sqlite:///{path}", hide_parameters=True)  # or errors would show what was to be kept
    event.listen(engine, "connect", prepare)
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            await asyncio.to_thread(_settle, path)
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
    """Look whether the file is still the one that was opened, until cancelled."""
    await database.read(text("SELECT count(*) FROM sqlite_master"))  # from here on its two companions are there
    watch, first = await asyncio.to_thread(FileWatch, path), True
    while True:
        if watch.wants is not None and database.trouble() is None:
            with suppress(SQLAlchemyError, sqlite3.Error):
                await database.write(Statement(sql=text(f"PRAGMA application_id={watch.wants}")))
                watch.marked()
                if first:  # a copy of another store must not look like ours
                    await asyncio.to_thread(watch.settle)
                first = False
        await asyncio.sleep(LOOK_S)
        database.found(await asyncio.to_thread(watch.look))


def _settle(path: Path) -> None:
    """Make the file for its owner alone, with its tables; or refuse one that is no store of ours, untouched.

    Raises: DatabaseWrong, OSError, sqlite3.Error, SQLAlchemyError.
    """
    with suppress(FileExistsError):
        # Passwords of lines and trunks are in it. SQLite gives the files beside it the same mode.
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
        connection.execute("BEGIN IMMEDIATE")  # all of it or nothing, and once, though two processes make it
        for table in METADATA.sorted_tables:
            indexes = (CreateIndex(each, if_not_exists=True) for each in table.indexes)
            parts: list[ExecutableDDLElement] = [CreateTable(table, if_not_exists=True), *indexes]
            for part in parts:
                connection.execute(str(part.compile(dialect=sqlite.dialect())))
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.execute("COMMIT")
