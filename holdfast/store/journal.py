"""This module stores the engine's journal in SQL: what happened, and the newest snapshot of every noun."""

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
from holdfast.store.row_types import find_mismatch
from holdfast.store.tables import ENTRIES, SNAPSHOTS
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ports import JournalEntry, Snapshot

log = logging.getLogger(__name__)

_INSERT = insert(ENTRIES)
_UPSERT = insert_or(SNAPSHOTS)
_UPSERT = _UPSERT.on_conflict_do_update(
    index_elements=["noun", "sid"], set_={"data": _UPSERT.excluded.data, "over_at": _UPSERT.excluded.over_at}
)

ROWID = literal_column("snapshots.rowid", Integer)
NEWEST_FIRST = (SNAPSHOTS.c.over_at.desc(), SNAPSHOTS.c.noun.desc(), SNAPSHOTS.c.sid.desc())

PRUNE_BATCH = 25
"""How many of those that are over longest are deleted in one transaction, so that no other write waits long for it."""


class SqlJournal:
    """A `Journal` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._prunable: Select[tuple[str, str]] | None = None
        """Query for what `load` left out; None when there is nothing."""

    def trouble(self) -> str | None:
        """Return why nothing can be written now; None when it can."""
        return self._database.trouble()

    async def commit(self, entries: Sequence[JournalEntry], snapshots: Sequence[Snapshot]) -> None:
        """Write all, or nothing, safe from a crash of this process; with a deleted call its entries are deleted.

        Raises: StoreFailed.
        """
        statements: list[Statement] = []
        if entries:
            rows = [{"at": entry.at, "call": entry.call, "kind": entry.kind, "data": entry.data} for entry in entries]
            statements.append(Statement(sql=_INSERT, rows=rows))
        newest = {(snapshot.noun, snapshot.sid): snapshot for snapshot in snapshots}
        kept = [
            {"noun": newer.noun, "sid": newer.sid, "data": newer.data, "over_at": newer.over_at}
            for newer in newest.values()
            if newer.data
        ]
        if kept:
            statements.append(Statement(sql=_UPSERT, rows=kept))
        for (noun, sid), snapshot in newest.items():
            if not snapshot.data:
                statements += _deletions(noun, sid)
        if statements:
            async with as_store_failed():
                await self._database.write(*statements)

    async def load(self, *, kept: int) -> Sequence[Snapshot]:
        """Return the snapshots of every noun that is not over, and of the `kept` that were over last.

        Raises: StoreFailed.
        """
        columns = (SNAPSHOTS.c.noun, SNAPSHOTS.c.sid, SNAPSHOTS.c.data, SNAPSHOTS.c.over_at)
        # One more than is kept: the newest that is left out.
        over = select(*columns).where(SNAPSHOTS.c.over_at.is_not(None)).order_by(*NEWEST_FIRST).limit(kept + 1)
        async with as_store_failed():
            [(newest_row,)] = await self._database.read(
                select(func.coalesce(func.max(ROWID), 0)).select_from(SNAPSHOTS)
            )
            rows = [*await self._database.read(over)]
            first_out = rows.pop() if len(rows) > kept else None
            rows += await self._database.read(select(*columns).where(SNAPSHOTS.c.over_at.is_(None)))
        if first_out is not None:
            place = tuple_(SNAPSHOTS.c.over_at, SNAPSHOTS.c.noun, SNAPSHOTS.c.sid)
            self._prunable = (
                select(SNAPSHOTS.c.noun, SNAPSHOTS.c.sid)
                # Later rows belong to the running engine, whatever the clock said when they ended.
                .where(place <= (first_out.over_at, first_out.noun, first_out.sid), ROWID.op("<=")(newest_row))
                .order_by(*(column.asc() for column in place.clauses))
                .limit(PRUNE_BATCH)
            )
        return [Snapshot(noun=row.noun, sid=row.sid, data=row.data, over_at=row.over_at) for row in rows]

    async def prune(self) -> bool:
        """Delete some of those that `load` left out, with their entries; return whether there may be more.

        Raises: StoreFailed.
        """
        if self._prunable is None:
            return False
        async with as_store_failed():
            rows = await self._database.read(self._prunable)
            if rows:
                await self._database.write(*(each for row in rows for each in _deletions(row.noun, row.sid)))
            else:
                self._prunable = None
        return bool(rows)

    async def entries(self, call: str, *, after: int = 0, limit: int = 10_000) -> Sequence[JournalEntry]:
        """Return the entries of one call, oldest first, without the first `after`; of all calls when `call` is "".

        Raises: StoreFailed.
        """
        query = select(ENTRIES).order_by(ENTRIES.c.id).offset(after).limit(limit)
        if call:
            query = query.where(ENTRIES.c.call == call)
        async with as_store_failed():
            rows = await self._database.read(query)
        return [entry for row in rows if (entry := _entry(row)) is not None]


def _entry(row: Row[Any]) -> JournalEntry | None:
    """Return the entry of a row; log it and return None when it cannot be read."""
    entry = JournalEntry(at=row.at, call=row.call, kind=row.kind, data=row.data)
    problem = find_mismatch(entry)
    if problem is None:
        try:
            if entry.data:
                json.loads(entry.data)
            return entry
        except (ValueError, RecursionError) as error:
            problem = type(error).__name__
    log.error("line %s of the journal cannot be read, and is left out: %s", row.id, problem)
    return None


def _deletions(noun: str, sid: str) -> list[Statement]:
    """Return the statements that delete a noun, and with a call its entries."""
    deletion = [Statement(sql=delete(SNAPSHOTS).where(SNAPSHOTS.c.noun == noun, SNAPSHOTS.c.sid == sid))]
    return [*deletion, Statement(sql=delete(ENTRIES).where(ENTRIES.c.call == sid))] if noun == "call" else deletion


@asynccontextmanager
async def as_store_failed() -> AsyncIterator[None]:
    """Translate an error of the database into the engine's own."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreFailed(f"the store failed: {getattr(error, 'orig', error)}") from error
