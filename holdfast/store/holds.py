"""The product's memory in SQL: holds, their history, and the pairs whose continuations are ours."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.exc import SQLAlchemyError

from holdfast.holds.errors import StoreTrouble
from holdfast.holds.history.serialization import (
    hold_of,
    hold_record,
    numbered,
    pair_of,
    pair_record,
)
from holdfast.holds.hold import Hold, RecordEvent, Status
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.ports import HoldEvent
from holdfast.holds.steps.pair import Pair
from holdfast.store.database import Database, Statement, Write
from holdfast.store.row_types import misfit
from holdfast.store.tables import HOLD_EVENTS, HOLDS, PAIRS

log = logging.getLogger(__name__)

T = TypeVar("T")

_INSERT_EVENTS = insert(HOLD_EVENTS)
_PUT_HOLD = insert_or(HOLDS)
_PUT_HOLD = _PUT_HOLD.on_conflict_do_update(
    index_elements=["id"], set_={"active": _PUT_HOLD.excluded.active, "record": _PUT_HOLD.excluded.record}
)
_PUT_PAIR = insert_or(PAIRS)
_PUT_PAIR = _PUT_PAIR.on_conflict_do_update(index_elements=["parent"], set_={"record": _PUT_PAIR.excluded.record})


class SqlHolds:
    """A `HoldStore` on a `Database`. Make it with `open`: it numbers the history, so there is one per file."""

    def __init__(self, database: Database, *, last_event: int) -> None:
        self._database = database
        self._last = last_event
        self._on_their_way: dict[Write, tuple[Hold, Sequence[HoldEvent]]] = {}
        """What was given to the database and is not in the file yet, oldest first. It is read like what is."""
        self._told_of: set[object] = set()
        """Rows that could not be read, of which the log knows."""

    @classmethod
    async def open(cls, database: Database) -> SqlHolds:
        """The holds of this database, their history continued. Raises: StoreTrouble."""
        async with _told_as_theirs():
            [(last,)] = await database.read(select(func.max(HOLD_EVENTS.c.id)))
        return cls(database, last_event=last or 0)

    async def save_hold(self, hold: Hold, tells: Sequence[RecordEvent], *, at: float) -> Sequence[HoldEvent]:
        """Keep this state of a hold together with its new lines of history. Raises: StoreTrouble."""
        events = numbered(hold, tells, after=self._last, at=at)
        record = json.dumps(hold_record(hold))
        row = {"id": hold.id, "asked_at": hold.asked_at, "active": hold.active, "record": record}
        statements = [Statement(sql=_PUT_HOLD, rows=[row])]
        if events:
            statements.append(Statement(sql=_INSERT_EVENTS, rows=[_event_row(event) for event in events]))
        async with _told_as_theirs():
            write = self._database.enter(*statements)
            self._last += len(events)
            self._on_their_way[write] = (hold, events)
            write.done.add_done_callback(lambda _: self._on_their_way.pop(write))
            await self._database.wait_for(write)
        return events

    async def hold(self, hold: HoldId) -> Hold | None:
        """One hold, if it is known. Raises: StoreTrouble."""
        late = self._late().get(hold)
        if late is not None:
            return late
        async with _told_as_theirs():
            rows = await self._database.read(select(HOLDS.c.record).where(HOLDS.c.id == hold))
            return hold_of(json.loads(rows[0].record)) if rows else None

    async def holds(self, *, active_only: bool = False, limit: int = 1000) -> Sequence[Hold]:
        """Holds, newest first; those that cannot be read left out. Raises: StoreTrouble."""
        query = select(HOLDS.c.id, HOLDS.c.record).order_by(HOLDS.c.asked_at.desc()).limit(limit)
        if active_only:
            query = query.where(HOLDS.c.active)
        late = self._late()
        async with _told_as_theirs():
            rows = await self._database.read(query)
        known = {hold.id: hold for row in rows if (hold := self._read(row.id, _hold_of_row, row)) is not None} | late
        chosen = [hold for hold in known.values() if hold.active or not active_only]
        return sorted(chosen, key=lambda hold: hold.asked_at, reverse=True)[:limit]

    async def last_of(self, call: CallSid) -> Hold | None:
        """The newest hold of this call, going on or ended. Raises: StoreTrouble."""
        late = [hold for hold in self._late().values() if hold.call == call]
        query = select(HOLD_EVENTS.c.hold).where(HOLD_EVENTS.c.call == call).order_by(HOLD_EVENTS.c.id.desc()).limit(1)
        if late:
            return max(late, key=lambda hold: hold.asked_at)
        async with _told_as_theirs():
            rows = await self._database.read(query)
        return await self.hold(HoldId(rows[0].hold)) if rows else None

    async def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[HoldEvent]:
        """History after this event, oldest first; what cannot be read left out. Raises: StoreTrouble."""
        query = select(HOLD_EVENTS).where(HOLD_EVENTS.c.id > after).order_by(HOLD_EVENTS.c.id).limit(limit)
        late = [event for _, events in self._on_their_way.values() for event in events]
        async with _told_as_theirs():
            rows = await self._database.read(query)
        found = [event for row in rows if (event := self._read(row.id, _event_of_row, row)) is not None]
        if len(rows) == limit:
            return found
        written = max((row.id for row in rows), default=after)
        return [*found, *(event for event in late if event.id > written)][:limit]

    def _late(self) -> dict[HoldId, Hold]:
        return {hold.id: hold for hold, _ in self._on_their_way.values()}

    def _read(self, key: object, read: Callable[[Row[Any]], T], row: Row[Any]) -> T | None:
        """What a row says; None, and a line in the log, when it says nothing we understand."""
        try:
            value = read(row)
            wrong = misfit(value)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            wrong = type(error).__name__
        if wrong is None:
            return value
        if (read, key) not in self._told_of:
            self._told_of.add((read, key))
            log.error("what the store has of %s cannot be read, and is left out: %s", key, wrong)
        return None

    async def last_event(self) -> int:
        """The id of the newest event; 0 when there is none."""
        return self._last

    async def save_pair(self, pair: Pair) -> None:
        """Keep a pair, replacing what was known of its parent. Raises: StoreTrouble."""
        row = {"parent": pair.parent.call, "record": json.dumps(pair_record(pair))}
        async with _told_as_theirs():
            await self._database.write(Statement(sql=_PUT_PAIR, rows=[row]))

    async def forget_pair(self, parent: CallSid) -> None:
        """Forget a pair; no error when there is none. Raises: StoreTrouble."""
        async with _told_as_theirs():
            await self._database.write(Statement(sql=delete(PAIRS).where(PAIRS.c.parent == parent)))

    async def pairs(self) -> Sequence[Pair]:
        """Every pair. Raises: StoreTrouble."""
        async with _told_as_theirs():
            return [pair_of(json.loads(row.record)) for row in await self._database.read(select(PAIRS.c.record))]


def _hold_of_row(row: Row[Any]) -> Hold:
    return hold_of(json.loads(row.record))


def _event_of_row(row: Row[Any]) -> HoldEvent:
    return HoldEvent(
        id=row.id,
        at=row.at,
        hold=HoldId(row.hold),
        call=CallSid(row.call),
        kind=row.kind,
        status=Status(row.status),
        by=row.by,
        detail=row.detail,
    )


def _event_row(event: HoldEvent) -> dict[str, object]:
    return {column.name: getattr(event, column.name) for column in HOLD_EVENTS.columns}


@asynccontextmanager
async def _told_as_theirs() -> AsyncIterator[None]:
    """Turn an error of the database, or a record no version of ours wrote, into the product's own."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreTrouble(f"the store failed: {getattr(error, 'orig', error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreTrouble(f"the store holds a record that cannot be read: {error!r}") from error
