"""The engine's journal in SQL: what happened, and the newest state of every noun."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import Integer, Row, Select, delete, func, insert, literal_column, select, tuple_
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.exc import SQLAlchemyError

from holdfast.store.database import Database, Statement
from holdfast.store.row_types import misfit
from holdfast.store.tables import ENTRIES, SNAPSHOTS
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ports import Entry, Snapshot

log = logging.getLogger(__name__)

_INSERT = insert(ENTRIES)
_UPSERT = insert_or(SNAPSHOTS)
_UPSERT = _UPSERT.on_conflict_do_update(
    index_elements=["noun", "sid"], set_={"data": _UPSERT.excluded.data, "over_at": _UPSERT.excluded.over_at}
)

ROWID = literal_column("snapshots.rowid", Integer)
NEWEST_FIRST = (SNAPSHOTS.c.over_at.desc(), SNAPSHOTS.c.noun.desc(), SNAPSHOTS.c.sid.desc())

PRUNED_AT_ONCE = 25
"""How many of those that are over longest go in one transaction, so that no other write waits long for it."""


class SqlJournal:
    """A `Journal` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._left_out: Select[tuple[str, str]] | None = None
        """Finds what `load` left out; None when there is nothing."""

    def trouble(self) -> str | None:
        """Why nothing can be written now; None when it can."""
        return self._database.trouble()

    async def commit(self, entries: Sequence[Entry], snapshots: Sequence[Snapshot]) -> None:
        """Write all, or nothing, durably against a crash of this process; a call that is gone takes its lines along.

        Raises: StoreFailed.
        """
        statements: list[Statement] = []
        if entries:
            rows = [{"at": line.at, "call": line.call, "kind": line.kind, "data": line.data} for line in entries]
            statements.append(Statement(sql=_INSERT, rows=rows))
        newest = {(snapshot.noun, snapshot.sid): snapshot for snapshot in snapshots}
        kept = [
            {"noun": one.noun, "sid": one.sid, "data": one.data, "over_at": one.over_at}
            for one in newest.values()
            if one.data
        ]
        if kept:
            statements.append(Statement(sql=_UPSERT, rows=kept))
        for (noun, sid), one in newest.items():
            if not one.data:
                statements += _without(noun, sid)
        if statements:
            async with told_as_ours():
                await self._database.write(*statements)

    async def load(self, *, kept: int) -> Sequence[Snapshot]:
        """The newest snapshot of every noun that is not over, and of the `kept` that were over last.

        Raises: StoreFailed.
        """
        columns = (SNAPSHOTS.c.noun, SNAPSHOTS.c.sid, SNAPSHOTS.c.data, SNAPSHOTS.c.over_at)
        # One more than is kept: the newest of those that are not.
        over = select(*columns).where(SNAPSHOTS.c.over_at.is_not(None)).order_by(*NEWEST_FIRST).limit(kept + 1)
        async with told_as_ours():
            [(newest_row,)] = await self._database.read(
                select(func.coalesce(func.max(ROWID), 0)).select_from(SNAPSHOTS)
            )
            rows = [*await self._database.read(over)]
            first_out = rows.pop() if len(rows) > kept else None
            rows += await self._database.read(select(*columns).where(SNAPSHOTS.c.over_at.is_(None)))
        if first_out is not None:
            place = tuple_(SNAPSHOTS.c.over_at, SNAPSHOTS.c.noun, SNAPSHOTS.c.sid)
            self._left_out = (
                select(SNAPSHOTS.c.noun, SNAPSHOTS.c.sid)
                # What is written from now on is on the board, whatever the clock said when it ended.
                .where(place <= (first_out.over_at, first_out.noun, first_out.sid), ROWID.op("<=")(newest_row))
                .order_by(*(column.asc() for column in place.clauses))
                .limit(PRUNED_AT_ONCE)
            )
        return [Snapshot(noun=row.noun, sid=row.sid, data=row.data, over_at=row.over_at) for row in rows]

    async def prune(self) -> bool:
        """Delete some of those that `load` left out, with their lines; whether there may be more.

        Raises: StoreFailed.
        """
        if self._left_out is None:
            return False
        async with told_as_ours():
            rows = await self._database.read(self._left_out)
            if rows:
                await self._database.write(*(each for row in rows for each in _without(row.noun, row.sid)))
            else:
                self._left_out = None
        return bool(rows)

    async def entries(self, call: str, *, after: int = 0, limit: int = 10_000) -> Sequence[Entry]:
        """The lines of one call, oldest first, without the first `after`; of all calls when `call` is "".

        Raises: StoreFailed.
        """
        query = select(ENTRIES).order_by(ENTRIES.c.id).offset(after).limit(limit)
        if call:
            query = query.where(ENTRIES.c.call == call)
        async with told_as_ours():
            rows = await self._database.read(query)
        return [line for row in rows if (line := _line(row)) is not None]


def _line(row: Row[Any]) -> Entry | None:
    """A line; None, and a line in the log, when it says nothing we understand."""
    line = Entry(at=row.at, call=row.call, kind=row.kind, data=row.data)
    wrong = misfit(line)
    if wrong is None:
        try:
            if line.data:
                json.loads(line.data)
            return line
        except (ValueError, RecursionError) as error:
            wrong = type(error).__name__
    log.error("line %s of the journal cannot be read, and is left out: %s", row.id, wrong)
    return None


def _without(noun: str, sid: str) -> list[Statement]:
    """Forget a noun, and with a call its lines."""
    gone = [Statement(sql=delete(SNAPSHOTS).where(SNAPSHOTS.c.noun == noun, SNAPSHOTS.c.sid == sid))]
    return [*gone, Statement(sql=delete(ENTRIES).where(ENTRIES.c.call == sid))] if noun == "call" else gone


@asynccontextmanager
async def told_as_ours() -> AsyncIterator[None]:
    """Turn an error of the database into the engine's own."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreFailed(f"the store failed: {getattr(error, 'orig', error)}") from error
