"""The log of holds: what it remembers, what it shows of a call, and what its watchers receive."""

import asyncio

import pytest

from holdfast.holds.errors import BadInput, HoldUnknown
from holdfast.holds.history import memory_store
from holdfast.holds.history.memory_store import MemoryStore
from holdfast.holds.hold import Hold, RecordEvent, Status
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.ports import HoldEvent
from tests.stories.holds.conftest import Stage

pytestmark = pytest.mark.anyio


def a_hold(number: int, *, status: Status = Status.RESUMED, call: int = 0) -> Hold:
    return Hold(
        id=HoldId(f"HO{number:032x}"), call=CallSid(f"CA{call:032x}"), asked_at=float(number), status=status, by="alice"
    )


@pytest.fixture
def room(stage: Stage) -> tuple[CallSid, CallSid]:
    calls = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", *calls)
    return calls


async def test_a_watcher_receives_each_event_once_until_the_service_ends(
    stage: Stage, room: tuple[CallSid, CallSid]
) -> None:
    seen: list[str] = []
    before = await stage.holds.hold(room[1])

    async def watch() -> None:
        async for event in stage.holds.watch():
            seen.append(f"{event.id} {event.kind} {event.by}")

    async with stage.holds as holds:
        task = asyncio.create_task(watch(), name="watch")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        hold = await holds.hold(room[0], by="alice")
        await holds.resume(hold, by="bob")
        for _ in range(5):
            await asyncio.sleep(0)
        assert seen == ["4 asked alice", "5 holding alice", "6 held alice", "7 resuming bob", "8 resumed bob"]
        assert not task.done()
    async with asyncio.timeout(5.0):
        await task
    assert stage.holds.hold_log.closed
    late = [event.id async for event in stage.holds.watch(after=0)]
    assert (late, before.status) == ([], Status.HELD)


async def test_a_watcher_that_begins_in_the_past_receives_the_events_since_then(
    stage: Stage, room: tuple[CallSid, CallSid]
) -> None:
    await stage.holds.resume(await stage.holds.hold(room[0]))
    seen = []
    async for event in stage.holds.watch(after=2):
        seen.append((event.id, event.kind))
        if event.id == 5:
            break
    assert seen == [(3, "held"), (4, "resuming"), (5, "resumed")]


async def test_a_hold_is_found_by_its_id_its_call_or_itself(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    first = await stage.holds.hold(room[0])
    assert await stage.holds.get(room[0]) == first
    ended = await stage.holds.resume(first)
    stage.clock.time += 1.0
    second = await stage.holds.hold(room[0])
    assert await stage.holds.get(room[0]) == second
    assert await stage.holds.get(first.id) == ended
    stage.start()
    assert [await stage.holds.get(text) for text in (room[0], first.id, second.id)] == [second, ended, second]
    with pytest.raises(HoldUnknown) as unknown:
        await stage.holds.get("HO" + "f" * 32)
    assert unknown.value.message == f"there is no hold HO{'f' * 32}"
    with pytest.raises(BadInput, match="not on hold, and never was"):
        await stage.holds.get(room[1])


async def test_the_newest_hold_of_a_call_is_found_after_it_ended(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    for _ in range(2):
        stage.clock.time += 1.0
        ended = await stage.holds.resume(await stage.holds.hold(room[0]))
    assert await stage.holds.get(room[0]) == ended
    assert [hold.asked_at for hold in await stage.holds.list()] == [stage.clock.now(), stage.clock.now() - 1.0]


async def test_ended_holds_are_counted_by_way_and_status(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    for _ in range(2):
        await stage.holds.resume(await stage.holds.hold(room[0]))
    assert {(str(way), str(status)): count for (way, status), count in stage.holds.hold_log.ended_counts.items()} == {
        ("conference", "resumed"): 2
    }


async def test_the_store_in_memory_keeps_the_newest_history_and_every_active_hold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory_store, "MAX_EVENTS", 3)
    monkeypatch.setattr(memory_store, "MAX_HOLDS", 4)
    store = MemoryStore()
    assert await store.last_event_id() == 0
    await store.save_hold(a_hold(0, status=Status.HELD, call=7), (RecordEvent(kind="held", detail="x"),), at=9.0)
    assert await store.events() == [
        HoldEvent(
            id=1,
            at=9.0,
            hold=HoldId("HO" + "0" * 32),
            call=CallSid(f"CA{7:032x}"),
            kind="held",
            status=Status.HELD,
            by="alice",
            detail="x",
        )
    ]
    for number in range(1, 4):
        await store.save_hold(a_hold(number), (RecordEvent(kind="resumed"),), at=9.0)
    assert [event.id for event in await store.events()] == [2, 3, 4]
    assert [hold.asked_at for hold in await store.holds()] == [3.0, 2.0, 1.0, 0.0]
    new = await store.save_hold(a_hold(4), (RecordEvent(kind="asked"), RecordEvent(kind="resumed")), at=9.0)
    assert ([event.id for event in new], await store.last_event_id()) == ([5, 6], 6)
    # Too many: the older half of those that ended is removed.
    assert [hold.asked_at for hold in await store.holds()] == [4.0, 3.0, 0.0]
    assert [hold.asked_at for hold in await store.holds(active_only=True)] == [0.0]
    assert [hold.asked_at for hold in await store.holds(limit=2)] == [4.0, 3.0]
    assert [event.id for event in await store.events(after=4)] == [5, 6]
    assert [event.id for event in await store.events(after=3, limit=1)] == [4]
    latest = await store.latest_of_call(CallSid("CA" + "0" * 32))
    assert latest is not None
    assert latest.asked_at == 4.0
    assert await store.latest_of_call(CallSid("CA" + "f" * 32)) is None
