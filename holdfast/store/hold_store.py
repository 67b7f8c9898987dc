"""This module stores holds in SQL: holds, their history, and the pairs whose continuations are ours."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Row, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.exc import SQLAlchemyError

from holdfast.holds.errors import StoreError
from holdfast.holds.history.serialization import (
    hold_from_record,
    hold_record,
    number_events,
    pair_from_record,
    pair_record,
)
from holdfast.holds.hold import Hold, RecordEvent, Status
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.ports import HoldEvent
from holdfast.holds.steps.pair import Pair
from holdfast.store.database import Database, Statement, Write
from holdfast.store.row_types import find_mismatch
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
    """A `HoldStore` on a `Database`.

    Make it with `open`: it numbers the history, so there is one per file.
    """

    def __init__(self, database: Database, *, last_event: int) -> None:
        self._database = database
        self._last = last_event
        self._in_flight: dict[Write, tuple[Hold, Sequence[HoldEvent]]] = {}
        """What was given to the database and is not in the file yet, oldest first. It is read as if it were."""
        self._logged_unreadable: set[object] = set()
        """Rows that could not be read and were logged."""

    @classmethod
    async def open(cls, database: Database) -> SqlHolds:
        """Open the holds of this database, their history continued. Raises: StoreError."""
        async with _as_store_error():
            [(last,)] = await database.read(select(func.max(HOLD_EVENTS.c.id)))
        return cls(database, last_event=last or 0)

    async def save_hold(self, hold: Hold, records: Sequence[RecordEvent], *, at: float) -> Sequence[HoldEvent]:
        """Save this state of a hold together with its new lines of history. Raises: StoreError."""
        events = number_events(hold, records, after=self._last, at=at)
        record = json.dumps(hold_record(hold))
        row = {"id": hold.id, "asked_at": hold.asked_at, "active": hold.active, "record": record}
        statements = [Statement(sql=_PUT_HOLD, rows=[row])]
        if events:
            statements.append(Statement(sql=_INSERT_EVENTS, rows=[_event_row(event) for event in events]))
        async with _as_store_error():
            write = self._database.enqueue(*statements)
            self._last += len(events)
            self._in_flight[write] = (hold, events)
            write.done.add_done_callback(lambda _: self._in_flight.pop(write))
            await self._database.wait_for(write)
        return events

    async def hold(self, hold: HoldId) -> Hold | None:
        """Return one hold, if the store has it. Raises: StoreError."""
        in_flight = self._in_flight_holds().get(hold)
        if in_flight is not None:
            return in_flight
        async with _as_store_error():
            rows = await self._database.read(select(HOLDS.c.record).where(HOLDS.c.id == hold))
            return hold_from_record(json.loads(rows[0].record)) if rows else None

    async def holds(self, *, active_only: bool = False, limit: int = 1000) -> Sequence[Hold]:
        """Return holds, newest first, without those that cannot be read. Raises: StoreError."""
        query = select(HOLDS.c.id, HOLDS.c.record).order_by(HOLDS.c.asked_at.desc()).limit(limit)
        if active_only:
            query = query.where(HOLDS.c.active)
        in_flight = self._in_flight_holds()
        async with _as_store_error():
            rows = await self._database.read(query)
        known = {
            hold.id: hold for row in rows if (hold := self._read(row.id, _hold_of_row, row)) is not None
        } | in_flight
        chosen = [hold for hold in known.values() if hold.active or not active_only]
        return sorted(chosen, key=lambda hold: hold.asked_at, reverse=True)[:limit]

    async def latest_of_call(self, call: CallSid) -> Hold | None:
        """Return the newest hold of this call, active or ended. Raises: StoreError."""
        in_flight = [hold for hold in self._in_flight_holds().values() if hold.call == call]
        query = select(HOLD_EVENTS.c.hold).where(HOLD_EVENTS.c.call == call).order_by(HOLD_EVENTS.c.id.desc()).limit(1)
        if in_flight:
            return max(in_flight, key=lambda hold: hold.asked_at)
        async with _as_store_error():
            rows = await self._database.read(query)
        return await self.hold(HoldId(rows[0].hold)) if rows else None

    async def events(self, *, after: int = 0, limit: int = 1000) -> Sequence[HoldEvent]:
        """Return the history after this event, oldest first, without what cannot be read. Raises: StoreError."""
        query = select(HOLD_EVENTS).where(HOLD_EVENTS.c.id > after).order_by(HOLD_EVENTS.c.id).limit(limit)
        in_flight = [event for _, events in self._in_flight.values() for event in events]
        async with _as_store_error():
            rows = await self._database.read(query)
        found = [event for row in rows if (event := self._read(row.id, _event_of_row, row)) is not None]
        if len(rows) == limit:
            return found
        written = max((row.id for row in rows), default=after)
        return [*found, *(event for event in in_flight if event.id > written)][:limit]

    def _in_flight_holds(self) -> dict[HoldId, Hold]:
        return {hold.id: hold for hold, _ in self._in_flight.values()}

    def _read(self, key: object, read: Callable[[Row[Any]], T], row: Row[Any]) -> T | None:
        """Return the value of a row; log it and return None when it cannot be read."""
        try:
            value = read(row)
            problem = find_mismatch(value)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            problem = type(error).__name__
        if problem is None:
            return value
        if (read, key) not in self._logged_unreadable:
            self._logged_unreadable.add((read, key))
            log.error("what the store has of %s cannot be read, and is left out: %s", key, problem)
        return None

    async def last_event_id(self) -> int:
        """Return the id of the newest event; 0 when there is none."""
        return self._last

    async def save_pair(self, pair: Pair) -> None:
        """Save a pair in place of the one that the store has for its parent. Raises: StoreError."""
        row = {"parent": pair.parent.call, "record": json.dumps(pair_record(pair))}
        async with _as_store_error():
            await self._database.write(Statement(sql=_PUT_PAIR, rows=[row]))

    async def remove_pair(self, parent: CallSid) -> None:
        """Remove a pair; no error when there is none. Raises: StoreError."""
        async with _as_store_error():
            await self._database.write(Statement(sql=delete(PAIRS).where(PAIRS.c.parent == parent)))

    async def pairs(self) -> Sequence[Pair]:
        """Return every pair. Raises: StoreError."""
        async with _as_store_error():
            return [
                pair_from_record(json.loads(row.record)) for row in await self._database.read(select(PAIRS.c.record))
            ]


def _hold_of_row(row: Row[Any]) -> Hold:
    return hold_from_record(json.loads(row.record))


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
async def _as_store_error() -> AsyncIterator[None]:
    """Translate an error of the database, or a record that no version of ours wrote, into the product's own."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreError(f"the store failed: {getattr(error, 'orig', error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"the store holds a record that cannot be read: {error!r}") from error
