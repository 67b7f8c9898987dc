"""Stories of a store that accepts no writes for a while, as on a full disk: no party stays on hold because of it."""

from collections.abc import Sequence

import pytest

from holdfast.holds.errors import StoreError
from holdfast.holds.history.memory_store import MemoryStore
from holdfast.holds.hold import Hold, RecordEvent, Status
from holdfast.holds.ids import CallSid
from holdfast.holds.ports import HoldEvent
from holdfast.holds.steps.pair import Pair
from tests.stories.holds.conftest import Stage

pytestmark = pytest.mark.anyio


class FullStore(MemoryStore):
    """A full store reads, and writes when there is room."""

    full = False

    async def save_hold(self, hold: Hold, records: Sequence[RecordEvent], *, at: float) -> Sequence[HoldEvent]:
        self._look()
        return await super().save_hold(hold, records, at=at)

    async def save_pair(self, pair: Pair) -> None:
        self._look()
        await super().save_pair(pair)

    async def remove_pair(self, parent: CallSid) -> None:
        self._look()
        await super().remove_pair(parent)

    def _look(self) -> None:
        if self.full:
            raise StoreError("the store failed: disk full")


@pytest.fixture
def disk() -> FullStore:
    return FullStore()


@pytest.fixture
def stage(disk: FullStore) -> Stage:
    return Stage(store=disk)


async def test_a_conference_party_is_resumed_on_a_full_disk_and_recorded_when_there_is_room(
    stage: Stage, disk: FullStore
) -> None:
    customer, agent = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", customer, agent)
    hold = await stage.holds.hold(customer)
    disk.full = True
    assert (await stage.holds.resume(hold)).status is Status.RESUMED
    assert stage.account.hears(customer) == agent
    assert (await stage.holds.get(hold.id)).status is Status.RESUMED
    assert await stage.holds.list(active_only=True) == []
    assert (await stage.holds.resume(customer)).status is Status.RESUMED
    kept = await disk.hold(hold.id)
    assert kept is not None
    assert kept.status is Status.HELD
    await stage.holds.check()
    disk.full = False
    await stage.holds.check()
    assert await disk.hold(hold.id) == await stage.holds.get(hold.id)
    assert await stage.kinds(hold) == ["asked", "holding", "held", "resuming", "resumed"]


async def test_no_hold_begins_that_the_store_cannot_save(stage: Stage, disk: FullStore) -> None:
    customer, agent = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", customer, agent)
    disk.full = True
    for _ in range(2):
        with pytest.raises(StoreError, match="disk full"):
            await stage.holds.hold(customer)
    assert stage.account.hears(customer) == agent
    assert await stage.holds.list() == []
    disk.full = False
    assert (await stage.holds.hold(customer)).status is Status.HELD


async def test_two_legs_are_joined_on_a_full_disk_and_their_pair_is_known_after_a_restart(
    stage: Stage, disk: FullStore
) -> None:
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    disk.full = True
    assert (await stage.holds.resume(hold)).status is Status.RESUMED
    assert (stage.account.hears(child), stage.account.hears(parent)) == (parent, child)
    await stage.holds.check()
    disk.full = False
    await stage.holds.check()
    stage.start()
    again = await stage.holds.hold(parent)
    assert (again.status, stage.account.hears(parent)) == (Status.HELD, "music")


async def test_an_ended_pair_is_removed_from_the_store_when_there_is_room(stage: Stage, disk: FullStore) -> None:
    parent, child = await stage.two_legs()
    await stage.holds.hold(child)
    disk.full = True
    stage.account.party_hangs_up(parent)
    stage.account.party_hangs_up(child)
    await stage.settle()
    await stage.holds.check()
    assert [pair.parent.call for pair in await disk.pairs()] == [parent]
    disk.full = False
    await stage.holds.check()
    assert list(await disk.pairs()) == []
    assert await stage.holds.list(active_only=True) == []


async def test_of_very_many_changes_history_is_lost_and_no_state(
    stage: Stage, disk: FullStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("holdfast.holds.history.hold_log.MAX_UNSAVED", 2)
    customer, agent = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", customer, agent)
    holds = [await stage.holds.hold(call) for call in (customer, agent)]
    disk.full = True
    for hold in holds:
        assert (await stage.holds.resume(hold)).status is Status.RESUMED
    assert caplog.text.count("fact=HistoryLost") == 2
    disk.full = False
    await stage.holds.check()
    for hold in holds:
        kept = await disk.hold(hold.id)
        assert kept is not None
        assert kept.status is Status.RESUMED
        assert (await stage.kinds(hold))[-1] == "resumed"


async def test_many_unsaved_changes_are_written_at_the_next_check_and_no_party_waits(
    stage: Stage, disk: FullStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.holds.history.hold_log.FLUSH_SIZE", 1)
    customer, agent = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", customer, agent)
    first, second = await stage.holds.hold(customer), await stage.holds.hold(agent)
    disk.full = True
    await stage.holds.resume(first)
    disk.full = False
    await stage.holds.resume(second)
    kept = await disk.hold(second.id)
    assert kept is not None
    assert kept.status is Status.HELD, "it stands behind what is late"
    assert (await stage.holds.get(second.id)).status is Status.RESUMED
    await stage.holds.check()
    assert await disk.hold(second.id) == await stage.holds.get(second.id)


@pytest.mark.parametrize("room", [True, False])
async def test_unsaved_changes_are_written_or_logged_at_the_end(
    room: bool, disk: FullStore, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(store=disk)
    customer, agent = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", customer, agent)
    async with stage.holds as holds:
        hold = await holds.hold(customer)
        disk.full = True
        await holds.resume(hold)
        disk.full = not room
    kept = await disk.hold(hold.id)
    assert kept is not None
    assert kept.status is (Status.RESUMED if room else Status.HELD)
    assert (f"hold={hold.id} call={customer} fact=Lost status=resumed" in caplog.text) is not room
