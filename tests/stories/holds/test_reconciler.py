"""Stories of what happens to a hold that nobody resumes: limits, owners who leave, parties left alone, reminders."""

import asyncio
import logging

import pytest

from holdfast.holds.errors import AccountUnreachable, CallNotInProgress, NotAllowed, ResourceNotFound
from holdfast.holds.hold import Hold, HoldEnded, RecordEvent, Resume, Status, WayName
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.policy import Policy, PolicyAction
from holdfast.holds.steps.pair import queue_name
from tests.stories.holds.conftest import Stage

pytestmark = pytest.mark.anyio


@pytest.fixture
def room(stage: Stage) -> tuple[CallSid, CallSid, CallSid]:
    """Put a customer and two agents into a conference."""
    calls = (stage.account.add_call(1), stage.account.add_call(2), stage.account.add_call(3))
    stage.account.meet("support", *calls)
    return calls


Room = tuple[CallSid, CallSid, CallSid]


async def later(stage: Stage, seconds: float) -> None:
    """Let time pass, and let the service check."""
    stage.clock.time += seconds
    await stage.holds.check()
    await stage.settle()


async def test_a_conference_hold_ends_at_its_limit(stage: Stage, room: Room) -> None:
    hold = await stage.holds.hold(room[0], limit_s=60)
    await later(stage, 59)
    assert stage.account.hears(room[0]) == "music"
    await later(stage, 2)
    assert stage.account.hears(room[0]) == f"{room[1]},{room[2]}"
    ended = await stage.holds.get(hold.id)
    assert (ended.status, ended.cause) == (Status.RESUMED, "the limit of 60 s was reached")


async def test_a_legs_hold_ends_at_its_limit(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child, limit_s=60)
    await later(stage, 61)
    assert stage.account.hears(child) == parent
    assert (await stage.holds.get(hold.id)).status is Status.RESUMED


async def test_the_owner_leaves_and_others_are_there(stage: Stage, room: Room) -> None:
    customer, owner, _ = room
    hold = await stage.holds.hold(customer, by=owner)
    assert hold.owner_call == owner
    stage.account.party_hangs_up(owner)
    await later(stage, 1)
    ended = await stage.holds.get(hold.id)
    assert (ended.status, ended.cause) == (Status.RESUMED, "the owner of the hold has left")


async def test_an_owner_that_never_joined_has_not_left(stage: Stage, room: Room) -> None:
    elsewhere = stage.account.add_call(9)
    hold = await stage.holds.hold(room[0], by=elsewhere)
    await later(stage, 1)
    assert (await stage.holds.get(hold.id)).status is Status.HELD


@pytest.mark.parametrize("gone_meanwhile", [False, True])
async def test_all_other_parties_leave(stage: Stage, room: Room, gone_meanwhile: bool) -> None:
    customer, *others = room
    hold = await stage.holds.hold(customer)
    for other in others:
        stage.account.party_hangs_up(other)
    await later(stage, 0)
    await later(stage, 119)
    assert stage.account.hears(customer) == "music"
    if gone_meanwhile:
        stage.account.errors["hang_up"] = [(ResourceNotFound("over", status=404, twilio_code=20404), True)]
    await later(stage, 2)
    assert not stage.account.calls_[customer].live
    assert (await stage.holds.get(hold.id)).status is Status.CALL_ENDED


async def test_another_party_returns_before_the_limit(stage: Stage, room: Room) -> None:
    customer, *others = room
    await stage.holds.hold(customer)
    for other in others:
        stage.account.party_hangs_up(other)
    await later(stage, 0)
    await later(stage, 100)
    stage.account.meet("support", stage.account.add_call(4))
    await later(stage, 100)
    await later(stage, 100)
    assert stage.account.hears(customer) == "music"


async def test_reminders_are_recorded(stage: Stage, room: Room) -> None:
    stage.start(policy=Policy(remind_every_s=30.0))
    hold = await stage.holds.hold(room[0])
    for _ in range(3):
        await later(stage, 30)
    assert (await stage.kinds(hold)).count("reminder") == 3
    assert stage.account.hears(room[0]) == "music"


async def test_a_resume_by_another_client_is_recorded_when_seen_twice(stage: Stage, room: Room) -> None:
    hold = await stage.holds.hold(room[0])
    stage.account.calls_[room[0]].held = False
    await later(stage, 1)
    assert (await stage.holds.get(hold.id)).status is Status.HELD
    await later(stage, 1)
    ended = await stage.holds.get(hold.id)
    assert (ended.status, ended.cause) == (Status.RESUMED, "another client resumed the party")


@pytest.mark.parametrize("way", ["conference", "legs"])
async def test_unexpected_reads_must_follow_each_other(stage: Stage, way: str) -> None:
    """One read right after a change may show the state before it, again and again."""
    if way == "legs":
        _, call = await stage.two_legs()
    else:
        call = stage.account.add_call(1)
        stage.account.meet("support", call, stage.account.add_call(2))
    hold = await stage.holds.hold(call)

    def show(held: bool) -> None:
        if way == "conference":
            stage.account.calls_[call].held = held
        elif held:
            stage.account.queues_[queue_name(call)].append(call)
        else:
            stage.account.queues_[queue_name(call)].remove(call)

    for _ in range(3):
        show(False)
        await later(stage, 1)
        assert (await stage.holds.get(hold.id)).status is Status.HELD
        show(True)
        await later(stage, 1)
    show(False)
    await later(stage, 1)
    await later(stage, 1)
    assert (await stage.holds.get(hold.id)).status is Status.RESUMED


async def test_an_error_at_one_check_is_forgotten_at_the_next(stage: Stage, room: Room) -> None:
    hold = await stage.holds.hold(room[0], limit_s=60)
    stage.account.errors["participants"] = [(AccountUnreachable("no answer"), False)]
    await later(stage, 61)
    assert (await stage.holds.get(hold.id)).status is Status.HELD
    await later(stage, 1)
    assert (await stage.holds.get(hold.id)).status is Status.RESUMED


async def test_only_named_holders_hold_and_resume(stage: Stage, room: Room) -> None:
    stage.start(policy=Policy(holders=frozenset({"alice"}), only_owner_resumes=True, on_limit=PolicyAction.KEEP))
    with pytest.raises(NotAllowed, match="bob may not hold"):
        await stage.holds.hold(room[0], by="bob")
    assert stage.account.writes() == []
    hold = await stage.holds.hold(room[0], by="alice")
    with pytest.raises(NotAllowed, match="belongs to alice"):
        await stage.holds.resume(hold, by="bob")
    assert stage.account.hears(room[0]) == "music"
    assert (await stage.holds.resume(hold, by="alice")).resumed_by == "alice"


async def test_every_active_hold_outlives_a_restart(stage: Stage) -> None:
    """There are more than 1,000, which is a page of the API."""
    for number in range(1, 1103):
        hold = Hold(
            id=HoldId(f"HO{number:032x}"),
            call=stage.account.add_call(number),
            asked_at=stage.clock.now(),
            status=Status.HELD,
            way=WayName.CONFERENCE,
        )
        await stage.store.save_hold(hold, (RecordEvent(kind="asked"),), at=stage.clock.now())
    stage.start()
    await stage.holds.load()
    assert len(stage.holds.hold_log.active()) == 1102


async def test_a_hold_of_long_ago_is_found_by_its_call(stage: Stage, room: Room) -> None:
    hold = await stage.holds.hold(room[0])
    ended = await stage.holds.resume(hold)
    for number in range(10, 1103):
        other = Hold(
            id=HoldId(f"HO{number:032x}"),
            call=stage.account.add_call(number),
            asked_at=stage.clock.now() + number,
            status=Status.RESUMED,
        )
        await stage.store.save_hold(other, (RecordEvent(kind="asked"),), at=other.asked_at)
    assert await stage.holds.resume(room[0]) == ended


@pytest.mark.parametrize("way", ["conference", "legs"])
async def test_every_hold_ends_when_every_call_of_the_account_is_over(stage: Stage, way: str) -> None:
    if way == "legs":
        call, other = await stage.two_legs()
    else:
        call, other = stage.account.add_call(1), stage.account.add_call(2)
        stage.account.meet("support", call, other)
    resumed = await stage.holds.resume(await stage.holds.hold(other))
    held, on_the_way_back = await stage.holds.hold(call), await stage.holds.hold(other)
    stage.account.phones_on_hold[other] = stage.clock.now()
    await stage.holds.check()
    await stage.holds.hold_log.handle(on_the_way_back.id, Resume(by="carol"))
    stage.clock.time += 7.0
    await stage.holds.end_all(why="the server was stopped")
    now = stage.clock.now()
    assert await stage.holds.list(active_only=True) == []
    ended = [hold for hold in await stage.store.holds() if hold.id != resumed.id]
    assert [(hold.status, hold.ended_at, hold.cause) for hold in ended] == [
        (Status.CALL_ENDED, now, "the server was stopped")
    ] * 3
    assert (await stage.holds.get(resumed.id)) == resumed
    assert await stage.store.pairs() == []
    for hold in (held, on_the_way_back):
        assert (await stage.kinds(hold)).count("call-ended") == 1


async def test_a_resume_in_progress_changes_nothing_after_all_holds_ended(stage: Stage) -> None:
    call, other = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", call, other)
    hold = await stage.holds.hold(call)
    stage.account.before["set_hold"] = [lambda: ending.append(asyncio.create_task(end(), name="the end"))]
    ending: list[asyncio.Task[None]] = []

    async def end() -> None:
        await stage.holds.end_all(why="the server was stopped")

    assert (await stage.holds.resume(hold)).status in (Status.RESUMED, Status.CALL_ENDED)
    await ending[0]
    assert sum(kind in ("resumed", "call-ended") for kind in await stage.kinds(hold)) == 1
    assert await stage.holds.list(active_only=True) == []


async def test_a_hold_that_ends_before_its_way_is_selected_asks_the_account_for_nothing(
    stage: Stage, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    ending: list[asyncio.Task[None]] = []

    async def end() -> None:
        await stage.holds.end_all(why="the server was stopped")

    stage.account.before["conferences"] = [lambda: ending.append(asyncio.create_task(end(), name="the end"))]
    with caplog.at_level(logging.INFO, "holdfast.holds"), pytest.raises(CallNotInProgress, match="server was stopped"):
        await stage.holds.hold(room[0])
    await ending[0]
    assert stage.account.writes() == []
    assert stage.holds.hold_log.refused_counts == {(Status.GONE, "Begin"): 1}
    assert "fact=MessageRefused status=gone message=Begin" in caplog.text


async def test_a_resume_of_a_hold_that_ends_meanwhile_asks_the_account_for_nothing(stage: Stage, room: Room) -> None:
    hold = await stage.holds.hold(room[0])
    await stage.holds.hold_log.handle(hold.id, HoldEnded(why="shown by a read"))
    writes = stage.account.writes()
    assert (await stage.holds._executor.resume(hold, by="alice", why=None)).status is Status.RESUMED
    assert stage.account.writes() == writes
