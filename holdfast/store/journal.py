"""The engine's journal in SQL: what happened, and the newest state of every noun."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import delete, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.exc import SQLAlchemyError

from holdfast.store.database import Database, Statement
from holdfast.store.tables import ENTRIES, SNAPSHOTS
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ports import Entry, Snapshot

_INSERT = insert(ENTRIES)
_UPSERT = insert_or(SNAPSHOTS)
_UPSERT = _UPSERT.on_conflict_do_update(index_elements=["noun", "sid"], set_={"data": _UPSERT.excluded.data})


class SqlJournal:
    """A `Journal` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def commit(self, entries: Sequence[Entry], snapshots: Sequence[Snapshot]) -> None:
        """Write all, or nothing, durably against a crash of this process; a call that is gone takes its lines along.

        Raises: StoreFailed.
        """
        statements: list[Statement] = []
        if entries:
            rows = [{"at": line.at, "call": line.call, "kind": line.kind, "data": line.data} for line in entries]
            statements.append(Statement(sql=_INSERT, rows=rows))
        newest = {(snapshot.noun, snapshot.sid): snapshot.data for snapshot in snapshots}
        kept = [{"noun": noun, "sid": sid, "data": data} for (noun, sid), data in newest.items() if data]
        if kept:
            statements.append(Statement(sql=_UPSERT, rows=kept))
        for (noun, sid), data in newest.items():
            if not data:
                gone = delete(SNAPSHOTS).where(SNAPSHOTS.c.noun == noun, SNAPSHOTS.c.sid == sid)
                statements.append(Statement(sql=gone))
                if noun == "call":
                    statements.append(Statement(sql=delete(ENTRIES).where(ENTRIES.c.call == sid)))
        if statements:
            async with told_as_ours():
                await self._database.write(*statements)

    async def load(self) -> Sequence[Snapshot]:
        """The newest snapshot of every noun, deleted ones left out. Raises: StoreFailed."""
        async with told_as_ours():
            rows = await self._database.read(select(SNAPSHOTS.c.noun, SNAPSHOTS.c.sid, SNAPSHOTS.c.data))
        return [Snapshot(noun=row.noun, sid=row.sid, data=row.data) for row in rows]

    async def entries(self, call: str, *, after: int = 0, limit: int = 10_000) -> Sequence[Entry]:
        """The lines of one call, oldest first, without the first `after`; of all calls when `call` is "".

        Raises: StoreFailed.
        """
        query = select(ENTRIES).order_by(ENTRIES.c.id).offset(after).limit(limit)
        if call:
            query = query.where(ENTRIES.c.call == call)
        async with told_as_ours():
            rows = await self._database.read(query)
        return [Entry(at=row.at, call=row.call, kind=row.kind, data=row.data) for row in rows]


@asynccontextmanager
async def told_as_ours() -> AsyncIterator[None]:
    """Turn an error of the database into the engine's own."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreFailed(f"the store failed: {getattr(error, 'orig', error)}") from error
