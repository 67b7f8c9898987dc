"""What each check of the held parties reads and does, and what a request finds of a hold in progress."""

import asyncio
import logging

import pytest

from holdfast.holds.errors import AccountError, AccountUnreachable, HoldRefused, OutcomeUnknown
from holdfast.holds.hold import Hold, HoldEnded, Status
from holdfast.holds.ids import CallSid
from tests.stories.holds.conftest import Stage

pytestmark = pytest.mark.anyio

DOWN = AccountUnreachable("down")
NO_ANSWER = OutcomeUnknown("no answer")


@pytest.fixture
def room(stage: Stage) -> tuple[CallSid, CallSid, CallSid]:
    calls = (stage.account.add_call(1), stage.account.add_call(2), stage.account.add_call(3))
    stage.account.meet("support", *calls)
    return calls


Room = tuple[CallSid, CallSid, CallSid]


async def status(stage: Stage, hold: Hold) -> tuple[Status, str | None]:
    found = await stage.holds.get(hold.id)
    return found.status, found.cause


def reads(stage: Stage, kind: str) -> int:
    return sum(request[0] == kind for request in stage.account.requests)


async def test_a_conference_is_read_once_for_all_its_held_parties(stage: Stage, room: Room) -> None:
    for call in room:
        await stage.holds.hold(call)
    stage.account.requests.clear()
    await stage.holds.check()
    assert (reads(stage, "participants"), reads(stage, "participant"), reads(stage, "call")) == (1, 0, 0)


async def test_a_party_that_left_is_ended_when_two_checks_show_it(stage: Stage, room: Room) -> None:
    hold = await stage.holds.hold(room[0])
    stage.account.app_redirects(room[0], "https://app.example/elsewhere")
    await stage.holds.check()
    assert await status(stage, hold) == (Status.HELD, None)
    await stage.holds.check()
    assert await status(stage, hold) == (Status.CALL_ENDED, "the party has left the conference")
    assert stage.holds._reconciler._unexpected == {}
    assert stage.holds._reconciler._alone_since == {}


async def test_a_check_that_fails_for_one_hold_is_logged_and_made_for_the_others(
    stage: Stage, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    first = await stage.holds.hold(room[0], limit_s=1.0)
    elsewhere = stage.account.add_call(4)
    stage.account.meet("another", elsewhere, stage.account.add_call(5))
    second = await stage.holds.hold(elsewhere, limit_s=1.0)
    stage.clock.time += 2.0
    stage.account.errors["participants"] = [(DOWN, False)]
    await stage.holds.check()
    assert f"hold={first.id} call={room[0]} fact=NotLookedAfter why=down" in caplog.text
    assert [(await status(stage, hold))[0] for hold in (first, second)] == [Status.HELD, Status.RESUMED]


async def test_a_cleaning_that_fails_is_logged(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    parent, child = await stage.two_legs()
    await stage.holds.hold(child)
    pair = stage.holds.pairs.of(child)
    assert pair is not None
    stage.account.delivers = False
    stage.account.errors["is_queued"] = [(DOWN, False)] * 50
    stage.account.party_hangs_up(child)
    stage.account.errors["call"] = [(DOWN, False)]
    await stage.holds.check()
    assert "fact=NotLookedAfter why=down" in caplog.text
    stage.account.errors.clear()
    stage.account.delivers = True
    await stage.settle()
    await stage.holds.check()
    assert not stage.account.calls_[parent].live


async def test_held_legs_are_left_as_they_are_while_the_service_has_no_address(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child, limit_s=1.0)
    stage.start(public_url=None)
    await stage.holds.load()
    stage.clock.time += 2.0
    writes = len(stage.account.writes())
    await stage.holds.check()
    assert await status(stage, hold) == (Status.HELD, None)
    assert len(stage.account.writes()) == writes
    assert [stage.account.hears(call) for call in (parent, child)] == ["silence", "music"]


@pytest.mark.parametrize("live", [True, False])
async def test_a_hold_whose_pair_was_lost_ends_by_the_status_of_the_call(stage: Stage, live: bool) -> None:
    _, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    pair = stage.holds.pairs.of(child)
    assert pair is not None
    await stage.holds.pairs.forget(pair)
    if not live:
        stage.account.calls_[child].status = "completed"
    await stage.holds.check()
    assert await status(stage, hold) == (
        (Status.RESUMED, "the other party hung up; the call continued with its next document")
        if live
        else (Status.CALL_ENDED, "the other party hung up, and so the call was ended")
    )


async def test_a_hold_that_was_taken_over_by_another_service_is_ended(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    holds = [await stage.holds.hold(child), await stage.holds.hold(parent)]
    name = f"hold-{child}"
    stage.account.queues_.pop(name)
    stage.account.calls_[child].verb = "park"
    writes = len(stage.account.writes())
    await stage.holds.check()
    assert await status(stage, holds[0]) == (Status.HELD, None)
    await stage.holds.check()
    for hold in holds:
        assert await status(stage, hold) == (Status.RESUMED, "another service has taken the hold over")
    assert len(stage.account.writes()) == writes
    assert await stage.store.pairs() == []


async def test_an_owner_in_the_room_has_not_left(stage: Stage, room: Room) -> None:
    hold = await stage.holds.hold(room[0], by=room[1])
    await stage.holds.check()
    assert (hold.owner_call, (await status(stage, hold))[0]) == (room[1], Status.HELD)


async def test_a_party_alone_is_counted_from_the_check_that_saw_it(stage: Stage, room: Room) -> None:
    hold = await stage.holds.hold(room[0], limit_s=10_000)
    for other in room[1:]:
        stage.account.party_hangs_up(other)
    await stage.holds.check()
    stage.clock.time += 119.0
    await stage.holds.check()
    assert stage.account.calls_[room[0]].live
    third = stage.account.add_call(9)
    stage.account.meet("support", third)
    await stage.holds.check()
    stage.account.party_hangs_up(third)
    stage.clock.time += 50.0
    await stage.holds.check()
    stage.clock.time += 119.0
    await stage.holds.check()
    assert stage.account.calls_[room[0]].live
    stage.clock.time += 1.0
    await stage.holds.check()
    assert await status(stage, hold) == (Status.CALL_ENDED, "all other parties left 120 s ago")
    assert stage.account.calls_[room[0]].hung_up_by == "the service"


async def test_a_hold_that_cannot_be_read_is_returned_as_it_was(stage: Stage, room: Room) -> None:
    hold = await stage.holds.hold(room[0])
    stage.account.errors["participant"] = [(DOWN, False)]
    writes = len(stage.account.writes())
    assert await stage.holds.hold(room[0]) == hold
    assert len(stage.account.writes()) == writes


@pytest.mark.parametrize("made", [True, False])
async def test_a_hold_in_progress_is_settled_before_it_is_resumed(stage: Stage, room: Room, made: bool) -> None:
    stage.account.errors["set_hold"] = [(NO_ANSWER, made)]
    stage.account.errors["participant"] = [(DOWN, False)]
    with pytest.raises(OutcomeUnknown) as caught:
        await stage.holds.hold(room[0])
    writes = len(stage.account.writes())
    resumed = await stage.holds.resume(str(caught.value.hold))
    assert resumed.status is (Status.RESUMED if made else Status.FAILED)
    assert len(stage.account.writes()) == writes + made


@pytest.mark.parametrize("error", [OutcomeUnknown("no answer", fix="ask"), AccountError("cannot be read")])
async def test_a_resume_whose_outcome_is_unknown_names_its_hold(stage: Stage, room: Room, error: AccountError) -> None:
    hold = await stage.holds.hold(room[0])
    stage.account.errors["participant"] = [(error, False)]
    with pytest.raises(OutcomeUnknown) as caught:
        await stage.holds.resume(hold, by="bob")
    assert (caught.value.message, caught.value.fix, caught.value.hold) == (error.message, error.fix, hold.id)
    assert (await status(stage, hold))[0] is Status.RESUMING
    await stage.holds.check()
    assert (await status(stage, hold))[0] is Status.HELD


async def test_a_resume_keeps_the_last_outcome_where_the_account_cannot_be_reached(stage: Stage, room: Room) -> None:
    ended = await stage.holds.resume(await stage.holds.hold(room[0]))
    stage.account.errors["participants"] = [(DOWN, False)]
    assert await stage.holds.resume(room[0]) == ended


async def test_a_phone_that_holds_is_not_resumed_and_the_answer_says_why(stage: Stage) -> None:
    alice = stage.account.add_call(1)
    stage.account.phones_on_hold[alice] = stage.clock.now()
    await stage.holds.check()
    (hold,) = await stage.holds.list()
    with pytest.raises(HoldRefused) as caught:
        await stage.holds.resume(hold)
    assert caught.value.message == "the party's own phone holds, and only it can resume the call"
    assert caught.value.fix == "Ask the party to press Hold again; a hold of ours on the same call is a separate hold."
    assert caught.value.hold == hold.id
    await stage.holds.hold_log.handle(hold.id, HoldEnded())
    assert (await stage.holds.resume(hold)).status is Status.RESUMED


async def test_a_service_checks_by_itself_and_closes_the_account(
    stage: Stage, room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "holdfast.holds.phone_holds")
    stage.account.errors["phone_holds"] = [(DOWN, False)]
    async with stage.holds as holds:
        assert stage.account.opened == 1
        hold = await holds.hold(room[0], limit_s=60.0)
        stage.account.phones_on_hold[room[1]] = stage.clock.now()
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert {"holds: reconcile", "holds: phone holds"} <= names
        for _ in range(2_000):
            await asyncio.sleep(0)
            if (await holds.get(hold.id)).status is Status.RESUMED and stage.holds.hold_log.phone_holds():
                break
        assert (await holds.get(hold.id)).cause == "the limit of 60 s was reached"
        assert list(stage.holds.hold_log.phone_holds()) == [room[1]]
    assert stage.account.opened == 0
    assert "fact=PhonesNotSeen why=down" in caplog.text
