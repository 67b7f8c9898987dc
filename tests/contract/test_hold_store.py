"""Every hold store keeps holds with their history, and pairs, and numbers its events so that readers can continue."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from holdfast.holds.errors import StoreError
from holdfast.holds.history.memory_store import MemoryStore
from holdfast.holds.hold import Hold, RecordEvent, Status, WayName
from holdfast.holds.ids import CallSid, ConferenceSid, HoldId
from holdfast.holds.ports import HoldStore
from holdfast.holds.steps.pair import LegState, Pair, Party
from holdfast.store.database import Statement, open_database
from holdfast.store.hold_store import SqlHolds


@pytest.fixture(params=["memory", "sql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[HoldStore]:
    if request.param == "memory":
        yield MemoryStore()
    else:
        async with open_database(tmp_path / "holdfast.db") as database:
            yield await SqlHolds.open(database)


def a_hold(number: int, *, asked_at: float = 1.0, status: Status = Status.ASKED) -> Hold:
    return Hold(id=HoldId(f"HO{number:032x}"), call=CallSid(f"CA{number:032x}"), asked_at=asked_at, status=status)


FULL = Hold(
    id=HoldId("HO" + "f" * 32),
    call=CallSid("CA" + "e" * 32),
    asked_at=1.25,
    status=Status.RESUMED,
    by="Zoë",
    reason="asks a colleague",
    music="https://example.com/é.mp3",
    limit_s=60.5,
    way=WayName.CONFERENCE,
    conference=ConferenceSid("CF" + "d" * 32),
    queue="hold-CA1",
    owner_call=CallSid("CA" + "c" * 32),
    held_at=2.5,
    ended_at=3.5,
    resumed_by="alice",
    reminded_at=3.0,
    cause="the owner left",
)


def a_pair(parent: int, child: int, *, generation: int = 0) -> Pair:
    return Pair(
        parent=Party(call=CallSid(f"CA{parent:032x}"), state=LegState.PARENT),
        child=Party(call=CallSid(f"CA{child:032x}"), state=LegState.CHILD, held=True, music="https://example.com/m"),
        after="https://example.com/after",
        generation=generation,
    )


async def test_every_field_of_a_hold_comes_back(store: HoldStore) -> None:
    await store.save_hold(FULL, (), at=4.0)
    assert await store.hold(FULL.id) == FULL
    assert await store.hold(HoldId("HO" + "0" * 32)) is None


async def test_the_newest_state_of_a_hold_is_kept(store: HoldStore) -> None:
    asked = a_hold(1)
    await store.save_hold(asked, (), at=1.0)
    await store.save_hold(replace(asked, status=Status.HOLDING), (), at=2.0)
    found = await store.hold(asked.id)
    assert found is not None
    assert found.status is Status.HOLDING


async def test_holds_come_newest_first_and_only_the_active_ones_if_asked(store: HoldStore) -> None:
    for hold in (
        a_hold(1, asked_at=1.0, status=Status.HELD),
        a_hold(2, asked_at=3.0, status=Status.RESUMED),
        a_hold(3, asked_at=2.0, status=Status.HOLDING),
    ):
        await store.save_hold(hold, (), at=hold.asked_at)
    assert [hold.asked_at for hold in await store.holds()] == [3.0, 2.0, 1.0]
    assert [hold.asked_at for hold in await store.holds(active_only=True)] == [2.0, 1.0]
    assert [hold.asked_at for hold in await store.holds(limit=1)] == [3.0]


async def test_the_newest_hold_of_a_call_is_found(store: HoldStore) -> None:
    first = a_hold(1, asked_at=1.0, status=Status.RESUMED)
    second = replace(a_hold(2, asked_at=2.0, status=Status.RESUMED), call=first.call)
    for hold in (first, second, a_hold(3, asked_at=3.0)):
        await store.save_hold(hold, [RecordEvent(kind="asked")], at=hold.asked_at)
    assert await store.latest_of_call(first.call) == second
    assert await store.latest_of_call(CallSid("CA" + "9" * 32)) is None


async def test_a_hold_that_ends_is_no_longer_active(store: HoldStore) -> None:
    held = a_hold(1, status=Status.HELD)
    await store.save_hold(held, (), at=1.0)
    await store.save_hold(replace(held, status=Status.CALL_ENDED), (), at=2.0)
    assert await store.holds(active_only=True) == []


async def test_history_is_numbered_in_its_order(store: HoldStore) -> None:
    assert await store.last_event_id() == 0
    asked = replace(a_hold(1), by="alice")
    first = await store.save_hold(asked, [RecordEvent(kind="asked", detail="why"), RecordEvent(kind="holding")], at=1.0)
    second = await store.save_hold(replace(asked, resumed_by="bob"), [RecordEvent(kind="resumed")], at=2.0)
    ids = [event.id for event in (*first, *second)]
    assert ids == sorted(set(ids))
    assert await store.last_event_id() == ids[-1]
    history = await store.events()
    assert history == [*first, *second]
    assert [(event.kind, event.at, event.by, event.detail) for event in history] == [
        ("asked", 1.0, "alice", "why"),
        ("holding", 1.0, "alice", None),
        ("resumed", 2.0, "bob", None),
    ]


async def test_history_is_read_after_a_given_event(store: HoldStore) -> None:
    events = await store.save_hold(a_hold(1), [RecordEvent(kind=str(number)) for number in range(6)], at=1.0)
    rest = await store.events(after=events[2].id, limit=2)
    assert [event.kind for event in rest] == ["3", "4"]
    assert await store.events(after=events[-1].id) == []


async def test_a_pair_replaces_the_one_of_its_parent_and_is_removed(store: HoldStore) -> None:
    await store.save_pair(a_pair(1, 2))
    await store.save_pair(a_pair(3, 4))
    await store.save_pair(a_pair(1, 5, generation=7))
    assert sorted(await store.pairs(), key=lambda pair: pair.parent.call) == [a_pair(1, 5, generation=7), a_pair(3, 4)]
    await store.remove_pair(a_pair(1, 2).parent.call)
    await store.remove_pair(a_pair(9, 9).parent.call)
    assert await store.pairs() == [a_pair(3, 4)]


async def test_sql_continues_numbering_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.db"
    async with open_database(path) as database:
        store = await SqlHolds.open(database)
        await store.save_hold(FULL, [RecordEvent(kind="asked"), RecordEvent(kind="held")], at=1.0)
    async with open_database(path) as database:
        store = await SqlHolds.open(database)
        [event] = await store.save_hold(FULL, [RecordEvent(kind="resumed")], at=2.0)
        assert event.id == 3
        assert [event.kind for event in await store.events()] == ["asked", "held", "resumed"]


async def test_a_failing_sql_store_raises_the_products_error(tmp_path: Path) -> None:
    async with open_database(tmp_path / "holdfast.db") as database:
        store = await SqlHolds.open(database)
        await store.save_hold(FULL, (), at=1.0)
        await database.write(Statement(sql=text("UPDATE holds SET record='{}'")))
        with pytest.raises(StoreError, match="cannot be read"):
            await store.hold(FULL.id)
        await database.write(Statement(sql=text("DROP TABLE pairs")))
        with pytest.raises(StoreError, match="no such table"):
            await store.save_pair(a_pair(1, 2))
