"""Stories of two legs whose moves are not confirmed, or not made: no party is left alone."""

import logging

import pytest

from holdfast.holds.errors import AccountUnreachable, CallNotInProgress, HoldFailed, OutcomeUnknown
from holdfast.holds.hold import Status, WayName
from holdfast.holds.ids import CallSid
from tests.stories.holds.conftest import Stage
from tests.stories.holds.fake_account import Call, FakeAccount

pytestmark = pytest.mark.anyio

NO_ANSWER = OutcomeUnknown("no answer")
DOWN = AccountUnreachable("down")
MUSIC = "https://cdn.example/m.mp3"
AFTER = "https://app.example/after"


def ears(stage: Stage, *calls: CallSid) -> list[str]:
    return [stage.account.hears(call) for call in calls]


async def peers(stage: Stage) -> tuple[CallSid, CallSid]:
    """Return two legs that were held once, and so talk by a queue."""
    parent, child = await stage.two_legs(after=AFTER)
    await stage.holds.resume(await stage.holds.hold(child))
    assert ears(stage, parent, child) == [child, parent]
    return parent, child


@pytest.mark.parametrize("gone", ["the held party", "the other party"])
@pytest.mark.parametrize("held", ["parent", "child"])
async def test_a_party_that_hung_up_without_a_webhook_is_noticed_by_a_read(stage: Stage, held: str, gone: str) -> None:
    parent, child = await peers(stage)
    call, other = (parent, child) if held == "parent" else (child, parent)
    stage.account.delivers = False
    over = call if gone == "the held party" else other

    def hang_up() -> None:
        stage.account.party_hangs_up(over)
        stage.account.pending.clear()

    stage.account.errors["is_queued"] = [(DOWN, False)] * 100
    stage.account.before["call"] = [hang_up]
    with pytest.raises(CallNotInProgress, match="the conversation is over"):
        await stage.holds.hold(call, music=MUSIC)
    stage.account.delivers = True
    await stage.settle()
    if gone == "the other party":
        # The one that was to be held is released.
        assert stage.account.calls_[call].app_url == (AFTER if call == parent else None)
        assert stage.account.calls_[call].live is (call == parent)
        assert await stage.store.pairs() == []


@pytest.mark.parametrize("held", ["parent", "child"])
async def test_a_move_that_was_never_made_leaves_the_two_talking(stage: Stage, held: str) -> None:
    parent, child = await peers(stage)
    call = parent if held == "parent" else child
    stage.account.errors["redirect"] = [(NO_ANSWER, False)] * 2
    writes = len(stage.account.writes())
    with pytest.raises(HoldFailed) as caught:
        await stage.holds.hold(call)
    assert caught.value.message == "the call did not come to wait in its queue"
    assert len(stage.account.writes()) == writes + 2
    assert ears(stage, parent, child) == [child, parent]
    pair = stage.holds.pairs.of(call)
    assert pair is not None
    assert (pair.room, pair.generation, pair.party(call).held) == (None, 3, False)
    assert (await stage.holds.hold(call)).way is WayName.LEGS


async def test_a_move_that_is_never_confirmed_joins_the_two_in_a_conference(stage: Stage) -> None:
    parent, child = await peers(stage)
    stage.account.errors["is_queued"] = [(DOWN, False)] * 100
    began = stage.clock.now()
    with pytest.raises(HoldFailed, match="did not come to wait in its queue"):
        await stage.holds.hold(child)
    assert stage.clock.now() - began == pytest.approx(15.0, abs=0.1), "half of the time, then the whole of it"
    stage.account.errors.clear()
    await stage.settle()
    assert ears(stage, parent, child) == [child, parent]
    assert (await stage.holds.hold(child)).way is WayName.CONFERENCE


async def test_a_hold_is_confirmed_though_the_other_party_has_not_come_to_be_parked(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    stage.account.delivers = False
    hold = await stage.holds.hold(child)
    assert (hold.status, hold.cause) == (Status.HELD, "the other party has not come to be parked")
    stage.account.delivers = True
    await stage.settle()
    assert ears(stage, parent, child) == ["silence", "music"]


async def test_a_confirmed_hold_of_both_parties_has_no_cause(stage: Stage) -> None:
    _, child = await stage.two_legs()
    assert (await stage.holds.hold(child)).cause is None


async def test_a_resume_that_no_party_takes_keeps_the_party_on_hold(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child)

    def take_nothing(account: FakeAccount, call: Call, name: str, action: str | None) -> None:
        call.verb, call.queue, call.action = "take", name, action
        account.waiting_dials.setdefault("another", []).append(call.sid)

    with monkeypatch.context() as patch:
        patch.setattr(FakeAccount, "_take", take_nothing)
        began = stage.clock.now()
        with pytest.raises(HoldFailed) as caught:
            await stage.holds.resume(hold)
    assert caught.value.message == "the party is held as before: no party took the call from its queue"
    assert stage.clock.now() - began == pytest.approx(10.0)
    assert ears(stage, parent, child) == ["silence", "music"]
    pair = stage.holds.pairs.of(child)
    assert pair is not None
    assert (pair.party(child).held, pair.party(parent).state.value) == (True, "parked")
    resumed = await stage.holds.resume(hold)
    assert (resumed.status, resumed.held_at) == (Status.RESUMED, hold.held_at)
    assert ears(stage, parent, child) == [child, parent]


async def test_a_resume_is_sent_a_second_time_where_the_first_was_not_answered(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    writes = len(stage.account.writes())
    stage.account.errors["redirect"] = [(NO_ANSWER, False)]
    resumed = await stage.holds.resume(hold)
    assert (resumed.status, resumed.cause) == (Status.RESUMED, None)
    assert len(stage.account.writes()) == writes + 2
    await stage.settle()
    assert ears(stage, parent, child) == [child, parent]


async def test_the_end_of_a_party_that_just_left_its_queue_is_noticed_by_a_read(stage: Stage) -> None:
    _, child = await stage.two_legs(after=AFTER)
    hold = await stage.holds.hold(child)

    def hang_up() -> None:
        stage.account.party_hangs_up(child)
        stage.account.pending.clear()

    stage.account.before["is_queued"] = [hang_up]
    ended = await stage.holds.resume(hold)
    assert (ended.status, ended.cause) == (Status.CALL_ENDED, "the call is over")


async def test_the_policy_and_people_resume_with_a_cause(stage: Stage) -> None:
    _, child = await stage.two_legs()
    hold = await stage.holds.hold(child, limit_s=30.0)
    stage.clock.time += 31.0
    await stage.holds.check()
    resumed = await stage.holds.get(hold.id)
    assert (resumed.status, resumed.cause, resumed.resumed_by) == (
        Status.RESUMED,
        "the limit of 30 s was reached",
        None,
    )


async def test_a_queue_that_cannot_be_read_is_logged_and_polled_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    _, child = await stage.two_legs()
    stage.account.errors["is_queued"] = [(DOWN, False)]
    with caplog.at_level(logging.INFO, "holdfast.holds.legs"):
        hold = await stage.holds.hold(child)
    assert hold.status is Status.HELD
    assert f"call={child} fact=QueueNotRead why=down" in caplog.text


async def test_a_step_that_fails_while_a_pair_is_released_is_logged_and_taken_at_the_next_check(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    await stage.holds.hold(child)
    stage.account.errors["redirect"] = [(DOWN, False)]
    stage.account.party_hangs_up(child)
    await stage.settle()
    assert f"call={parent} fact=StepNotTaken why=down" in caplog.text
    assert stage.account.hears(parent) == "silence"
    assert [pair.over for pair in await stage.store.pairs()] == [True]
    await stage.holds.check()
    await stage.settle()
    assert stage.account.calls_[parent].app_url == AFTER
    assert await stage.store.pairs() == []
