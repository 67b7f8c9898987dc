"""Stories of holds by independent legs, as both parties hear them."""

from dataclasses import replace

import pytest

from holdfast.holds.errors import (
    AccountRefused,
    AccountUnreachable,
    BadInput,
    CallNotInProgress,
    HoldFailed,
    HoldRefused,
    OutcomeUnknown,
)
from holdfast.holds.hold import Status, WayName
from holdfast.holds.ids import CallSid
from holdfast.holds.steps.pair import queue_name
from tests.stories.holds.conftest import Stage
from tests.stories.holds.fake_account import PUBLIC

pytestmark = pytest.mark.anyio

MUSIC = "https://cdn.example/m.mp3"
AFTER = "https://app.example/after"


def ears(stage: Stage, *calls: CallSid) -> list[str]:
    return [stage.account.hears(call) for call in calls]


@pytest.mark.parametrize("music", [MUSIC, None, "https://app.example/hold.xml"])
@pytest.mark.parametrize("held", ["parent", "child"])
async def test_either_end_is_held_and_resumed(stage: Stage, held: str, music: str | None) -> None:
    parent, child = await stage.two_legs()
    call, other = (parent, child) if held == "parent" else (child, parent)
    hold = await stage.holds.hold(call, music=music)
    assert (hold.status, hold.way) == (Status.HELD, WayName.LEGS)
    assert ears(stage, call, other) == ["music", "silence"]
    assert (await stage.holds.resume(hold)).status is Status.RESUMED
    assert ears(stage, call, other) == [other, call]


async def test_a_parent_is_never_redirected_while_its_dial_runs(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    await stage.holds.hold(parent)
    assert [write[1] for write in stage.account.writes()] == [child]


async def test_twenty_rounds_by_turns(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    for turn in range(20):
        call, other = (parent, child) if turn % 3 else (child, parent)
        hold = await stage.holds.hold(call, music=MUSIC)
        assert ears(stage, call, other) == ["music", "silence"]
        await stage.holds.resume(hold)
        await stage.settle()
        assert ears(stage, call, other) == [other, call]


@pytest.mark.parametrize("first_back", ["first held", "last held"])
@pytest.mark.parametrize("first", ["parent", "child"])
async def test_two_held_parties_are_resumed_in_any_order(stage: Stage, first: str, first_back: str) -> None:
    parent, child = await stage.two_legs()
    earlier, later = (parent, child) if first == "parent" else (child, parent)
    holds = [await stage.holds.hold(earlier, music=MUSIC), await stage.holds.hold(later)]
    assert ears(stage, earlier, later) == ["music", "music"]
    if first_back == "last held":
        holds.reverse()
    await stage.holds.resume(holds[0])
    assert ears(stage, holds[0].call, holds[1].call) == ["silence", "music"]
    await stage.holds.resume(holds[1])
    await stage.settle()
    assert ears(stage, earlier, later) == [later, earlier]


async def test_hold_twice_is_one_hold_and_no_second_change(stage: Stage) -> None:
    _, child = await stage.two_legs()
    first = await stage.holds.hold(child)
    writes = len(stage.account.writes())
    assert await stage.holds.hold(child) == first
    assert len(stage.account.writes()) == writes


async def test_a_dial_that_is_not_ours_is_refused_untouched(stage: Stage) -> None:
    parent, child = stage.account.dial(1, 2, action="https://app.example/done")
    for call in (parent, child):
        with pytest.raises(HoldRefused) as caught:
            await stage.holds.hold(call)
        assert f'<Dial action="{PUBLIC}/twiml/continue">' in str(caught.value.fix)
    assert stage.account.writes() == []
    assert ears(stage, parent, child) == [child, parent]


async def test_without_an_address_two_legs_cannot_be_adopted(stage: Stage) -> None:
    stage.start(public_url=None)
    parent, child = stage.account.dial(1, 2, action=None)
    with pytest.raises(BadInput, match="cannot reach"):
        await stage.holds.adopt(parent, child)
    with pytest.raises(BadInput, match="public_url"):
        _ = stage.holds.continue_url


async def test_adopting_finds_the_child_and_changes_nothing_twice(stage: Stage) -> None:
    parent, child = stage.account.dial(1, 2, action=stage.holds.continue_url)
    pair = await stage.holds.adopt(parent)
    assert pair.child.call == child
    assert await stage.holds.adopt(parent, child) == pair


async def test_adopting_two_calls_that_are_no_pair_is_refused(stage: Stage) -> None:
    parent, child = stage.account.dial(1, 2, action=stage.holds.continue_url)
    unrelated = stage.account.add_call(3)
    for wrong in ((parent, unrelated), (child, parent), (unrelated, None)):
        with pytest.raises(HoldRefused):
            await stage.holds.adopt(*wrong)
    stage.account.party_hangs_up(unrelated)
    with pytest.raises(CallNotInProgress):
        await stage.holds.adopt(unrelated)


async def test_adopting_a_parent_with_several_answered_children_is_refused_untouched(stage: Stage) -> None:
    parent, child = stage.account.dial(1, 2, action=stage.holds.continue_url)
    stage.account.add_call(3, parent=parent)
    stage.account.add_call(4, parent=parent, status="ringing")
    with pytest.raises(HoldRefused, match=r"has 2 answered children, and none was named\n  Adopt once"):
        await stage.holds.adopt(parent)
    assert stage.account.writes() == []
    assert await stage.store.pairs() == []
    assert ears(stage, parent, child) == [child, parent]
    assert (await stage.holds.adopt(parent, child)).child.call == child


async def test_adopting_with_another_child_replaces_the_pair(stage: Stage) -> None:
    parent, _ = await stage.two_legs(after=AFTER)
    other = stage.account.add_call(3, parent=parent)
    pair = await stage.holds.adopt(parent, other, after=f"{AFTER}/2")
    assert (pair.child.call, pair.after) == (other, f"{AFTER}/2")
    assert await stage.store.pairs() == [pair]
    assert stage.holds.pairs.of(CallSid(f"CA{2:032x}")) is None


@pytest.mark.parametrize("after", [AFTER, None])
async def test_after_a_normal_end_each_party_continues_as_planned(stage: Stage, after: str | None) -> None:
    parent, child = await stage.two_legs(after=after)
    stage.account.party_hangs_up(child)
    await stage.settle()
    if after is None:
        assert stage.account.calls_[parent].hung_up_by == "its document"
    else:
        assert stage.account.calls_[parent].app_url == after
    assert await stage.store.pairs() == []


async def test_a_normal_end_after_a_hold(stage: Stage) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    await stage.holds.resume(await stage.holds.hold(parent))
    stage.account.party_hangs_up(child)
    await stage.settle()
    assert stage.account.calls_[parent].app_url == AFTER


@pytest.mark.parametrize("held", ["parent", "child"])
@pytest.mark.parametrize("after", [AFTER, None])
async def test_the_held_party_hangs_up(stage: Stage, held: str, after: str | None) -> None:
    parent, child = await stage.two_legs(after=after)
    call, other = (parent, child) if held == "parent" else (child, parent)
    hold = await stage.holds.hold(call)
    stage.account.party_hangs_up(call)
    await stage.settle()
    assert (await stage.holds.get(hold.id)).status is Status.CALL_ENDED
    if other == parent and after is not None:
        assert stage.account.calls_[parent].app_url == after
    else:
        assert stage.account.calls_[other].hung_up_by == "its document"
    assert stage.account.queues_ == {}


@pytest.mark.parametrize("held", ["parent", "child"])
async def test_the_parked_party_hangs_up(stage: Stage, held: str) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    call, other = (parent, child) if held == "parent" else (child, parent)
    hold = await stage.holds.hold(call)
    stage.account.party_hangs_up(other)
    await stage.holds.check()
    await stage.settle()
    ended = await stage.holds.get(hold.id)
    if call == parent:
        assert stage.account.calls_[parent].app_url == AFTER
        assert ended.status is Status.RESUMED
    else:
        assert not stage.account.calls_[child].live
        assert ended.status is Status.CALL_ENDED
    assert "the other party hung up" in str(ended.cause)


async def test_both_held_and_one_hangs_up(stage: Stage) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    ours = await stage.holds.hold(parent)
    theirs = await stage.holds.hold(child)
    stage.account.party_hangs_up(child)
    await stage.settle()
    assert (await stage.holds.get(theirs.id)).status is Status.CALL_ENDED
    assert (await stage.holds.get(ours.id)).status is Status.RESUMED
    assert stage.account.calls_[parent].app_url == AFTER


@pytest.mark.parametrize("held", ["parent", "child"])
async def test_the_child_hangs_up_during_a_hold(stage: Stage, held: str) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    stage.account.before["redirect"] = [lambda: stage.account.party_hangs_up(child)]
    with pytest.raises((CallNotInProgress, HoldFailed)):
        await stage.holds.hold(parent if held == "parent" else child)
    await stage.settle()
    assert stage.account.calls_[parent].app_url == AFTER


async def test_the_parent_asks_before_the_refusal_comes_back(stage: Stage) -> None:
    parent, child = await stage.two_legs(after=AFTER)

    def hangs_up() -> None:
        stage.account.party_hangs_up(child)

    stage.account.before["open_queue"] = [hangs_up]
    with pytest.raises((CallNotInProgress, HoldFailed)):
        await stage.holds.hold(child)
    await stage.settle()
    assert stage.account.calls_[parent].app_url == AFTER
    assert ears(stage, parent) == ["silence"]


async def test_a_redirect_the_account_refuses_leaves_the_two_talking(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    stage.account.errors["redirect"] = [(AccountRefused("no", status=429), False)]
    with pytest.raises(HoldFailed):
        await stage.holds.hold(child)
    assert ears(stage, parent, child) == [child, parent]
    hold = await stage.holds.hold(child)
    assert ears(stage, parent, child) == ["silence", "music"]
    assert hold.status is Status.HELD


async def test_a_hold_without_a_queue_touches_no_party(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    stage.account.errors["open_queue"] = [(AccountRefused("no more queues", status=400), False)]
    with pytest.raises(HoldFailed, match="no more queues"):
        await stage.holds.hold(child)
    assert stage.account.writes() == []
    assert ears(stage, parent, child) == [child, parent]


@pytest.mark.parametrize("made", [True, False], ids=["made all the same", "not made"])
@pytest.mark.parametrize("held", ["parent", "child"])
async def test_a_redirect_without_an_answer(stage: Stage, held: str, made: bool) -> None:
    parent, child = await stage.two_legs()
    call, other = (parent, child) if held == "parent" else (child, parent)
    stage.account.errors["redirect"] = [(OutcomeUnknown("no answer"), made)]
    hold = await stage.holds.hold(call)
    assert hold.status is Status.HELD
    assert ears(stage, call, other) == ["music", "silence"]
    stage.account.errors["redirect"] = [(OutcomeUnknown("no answer"), made)]
    assert (await stage.holds.resume(hold)).status is Status.RESUMED
    await stage.settle()
    assert ears(stage, call, other) == [other, call]


async def test_a_resume_the_account_refuses_leaves_the_party_held(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    stage.account.errors["redirect"] = [(AccountRefused("no", status=429), False)]
    with pytest.raises(HoldFailed, match="held as before"):
        await stage.holds.resume(hold)
    assert ears(stage, parent, child) == ["silence", "music"]
    await stage.holds.resume(hold)
    assert ears(stage, parent, child) == [child, parent]


async def test_the_other_party_hangs_up_during_a_resume(stage: Stage) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    hold = await stage.holds.hold(parent)
    stage.account.before["redirect"] = [lambda: stage.account.party_hangs_up(child)]
    ended = await stage.holds.resume(hold)
    await stage.settle()
    assert ended.status is Status.RESUMED
    assert "the other party has hung up" in str(ended.cause)
    assert stage.account.calls_[parent].app_url == AFTER


async def test_the_held_party_hangs_up_during_a_resume(stage: Stage) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    hold = await stage.holds.hold(child)
    stage.account.before["redirect"] = [lambda: stage.account.party_hangs_up(child)]
    ended = await stage.holds.resume(hold)
    assert ended.status is Status.CALL_ENDED
    taker = stage.account.calls_[parent]
    if taker.verb == "take":
        stage.account.dial_times_out(parent)
    await stage.settle()
    assert stage.account.calls_[parent].app_url == AFTER


async def test_a_queue_that_refuses_the_call_rejoins_both_parties(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    stage.account.delivers = False

    def refuse() -> None:
        """Report it, as the account does, in place of a request for the music."""
        me = stage.account.calls_[child]
        stage.account.queues_[me.queue or ""].remove(child)
        stage.account.pending.clear()
        stage.account._later(me, me.action, run=True, QueueResult="queue-full")
        other = stage.account.calls_[parent]
        stage.account._later(other, other.action, run=True, DialCallStatus="completed")
        stage.account.delivers = True

    stage.account.before["is_queued"] = [refuse]
    with pytest.raises(HoldFailed, match="no queue"):
        await stage.holds.hold(child, music=MUSIC)
    await stage.settle()
    assert ears(stage, parent, child) == [child, parent]
    hold = await stage.holds.hold(child)
    assert hold.way is WayName.CONFERENCE


@pytest.mark.parametrize("when", ["as it is held", "later"])
async def test_music_that_cannot_be_played_becomes_the_accounts_own(stage: Stage, when: str) -> None:
    parent, child = await stage.two_legs()

    def cannot_play() -> None:
        """Fail on the waitUrl, or on its audio, and remove the call from its queue, as the account does."""
        me = stage.account.calls_[child]
        stage.account.queues_[me.queue or ""].remove(child)
        stage.account.pending.clear()
        stage.account._later(me, me.action, run=True, QueueResult="error")

    def cannot_play_at_once() -> None:
        cannot_play()
        other = stage.account.calls_[parent]
        stage.account._later(other, other.action, run=True, DialCallStatus="completed")
        stage.account.delivers = True

    if when == "as it is held":
        stage.account.delivers = False
        stage.account.before["is_queued"] = [cannot_play_at_once]
        hold = await stage.holds.hold(child, music=MUSIC)
    else:
        hold = await stage.holds.hold(child, music=MUSIC)
        cannot_play()
    await stage.settle()
    assert ears(stage, parent, child) == ["silence", "music"]
    assert stage.account.calls_[child].wait_url is None
    held = await stage.holds.get(hold.id)
    assert (held.status, held.music) == (Status.HELD, None)
    assert (await stage.kinds(hold)).count("music-failed") == 1
    assert (await stage.holds.resume(hold)).status is Status.RESUMED
    await stage.settle()
    assert ears(stage, parent, child) == [child, parent]


async def test_an_action_that_is_not_ours_after_all(stage: Stage) -> None:
    """The adopted Dial continues elsewhere: the held party stays reachable, and we do not drop the other."""
    parent, child = stage.account.dial(1, 2, action="https://app.example/done")
    await stage.holds.adopt(parent, child)
    hold = await stage.holds.hold(child)
    assert (hold.status, stage.account.calls_[parent].app_url) == (Status.HELD, "https://app.example/done")
    await stage.holds.resume(hold)
    assert ears(stage, parent, child) == [child, parent]


async def test_the_application_moves_the_held_party(stage: Stage) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    hold = await stage.holds.hold(child)
    stage.account.app_redirects(child, "https://app.example/voicemail")
    await stage.settle()
    await stage.holds.check()
    await stage.holds.check()
    await stage.settle()
    ended = await stage.holds.get(hold.id)
    assert (ended.status, ended.cause) == (Status.RESUMED, "another client moved the party")
    assert stage.account.calls_[child].app_url == "https://app.example/voicemail"
    assert stage.account.calls_[parent].app_url == AFTER


async def test_a_restart_in_the_middle_of_a_hold(stage: Stage) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    hold = await stage.holds.hold(parent, music=MUSIC)
    stage.start()
    assert (await stage.holds.resume(hold.id)).status is Status.RESUMED
    assert ears(stage, parent, child) == [child, parent]


async def test_queues_of_an_earlier_run_are_removed_with_the_conversation(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    await stage.holds.resume(hold.id)
    assert list(stage.account.queues_) == [queue_name(child)]
    stage.start()
    stage.account.party_hangs_up(child)
    stage.account.party_hangs_up(parent)
    await stage.settle()
    await stage.holds.check()
    assert stage.account.queues_ == {}


async def test_a_crash_between_the_redirect_and_its_confirmation(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    stage.account.delivers = False
    stage.account.errors["is_queued"] = [(AccountUnreachable("down"), False)] * 60
    stage.account.errors["call"] = [(AccountUnreachable("down"), False)]
    with pytest.raises(OutcomeUnknown) as caught:
        await stage.holds.hold(child)
    assert (await stage.holds.get(str(caught.value.hold))).status is Status.HOLDING
    stage.account.delivers = True
    stage.account.errors.clear()
    stage.start()
    await stage.settle()
    hold = await stage.holds.hold(child)
    assert (hold.id, hold.status) == (caught.value.hold, Status.HELD)
    await stage.holds.resume(hold)
    assert ears(stage, parent, child) == [child, parent]


async def test_converted_into_a_conference_at_the_first_hold(stage: Stage) -> None:
    stage.start(legs="convert")
    parent, child = await stage.two_legs(after=AFTER)
    hold = await stage.holds.hold(parent, by=child)
    assert (hold.way, hold.owner_call) == (WayName.CONFERENCE, child)
    assert ears(stage, parent, child) == ["music", "silence"]
    await stage.holds.resume(hold)
    assert ears(stage, parent, child) == [child, parent]
    again = await stage.holds.hold(child)
    assert ears(stage, parent, child) == ["silence", "music"]
    await stage.holds.resume(again)
    stage.account.party_hangs_up(child)
    await stage.settle()
    assert stage.account.calls_[parent].app_url == AFTER


async def test_converting_a_pair_whose_child_just_hung_up(stage: Stage) -> None:
    stage.start(legs="convert")
    parent, child = await stage.two_legs(after=AFTER)
    stage.account.before["redirect"] = [lambda: stage.account.party_hangs_up(child)]
    with pytest.raises(HoldFailed):
        await stage.holds.hold(parent)
    await stage.settle()
    assert stage.account.calls_[parent].app_url == AFTER


async def test_converting_is_refused_by_the_account(stage: Stage) -> None:
    stage.start(legs="convert")
    parent, child = await stage.two_legs()
    before = stage.holds.pairs.of(parent)
    stage.account.errors["redirect"] = [(AccountRefused("no", status=429), False)]
    with pytest.raises(HoldFailed, match=r"^no$") as caught:
        await stage.holds.hold(parent)
    assert ears(stage, parent, child) == [child, parent]
    assert (await stage.holds.get(str(caught.value.hold))).status is Status.FAILED
    # All is taken back but the number of the generation, and so the next attempt succeeds.
    assert before is not None
    assert await stage.store.pairs() == [replace(before, generation=1)]
    assert (await stage.holds.hold(parent)).way is WayName.CONFERENCE
    assert ears(stage, parent, child) == ["music", "silence"]


@pytest.mark.parametrize("made", [True, False], ids=["made all the same", "not made"])
async def test_converting_without_an_answer_is_settled_by_a_read(stage: Stage, made: bool) -> None:
    stage.start(legs="convert")
    parent, child = await stage.two_legs()
    stage.account.errors["redirect"] = [(OutcomeUnknown("no answer"), made)]
    if made:
        assert (await stage.holds.hold(parent)).way is WayName.CONFERENCE
        assert ears(stage, parent, child) == ["music", "silence"]
        return
    with pytest.raises(HoldFailed, match="did not come together"):
        await stage.holds.hold(parent)
    assert ears(stage, parent, child) == [child, parent]


async def test_a_served_dial_with_several_answered_children_is_refused_untouched(stage: Stage) -> None:
    parent, child = stage.account.dial(1, 2, action=f"{PUBLIC}/twiml/continue")
    stage.account.add_call(3, parent=parent)
    stage.holds.pairs.add_served(parent, None)
    with pytest.raises(HoldRefused, match="plain <Dial>"):
        await stage.holds.hold(parent)
    assert stage.account.writes() == []
    assert ears(stage, parent, child) == [child, parent]


async def test_a_dial_we_serve_can_be_held_from_the_start(stage: Stage) -> None:
    caller = stage.account.add_call(1)
    status, twiml = await stage.account.ask(caller, f"{PUBLIC}/twiml/dial?to=client:bob&after={AFTER}", {})
    assert status == 200
    assert "<Client" in twiml
    parent, child = stage.account.dial(1, 2, action=f"{PUBLIC}/twiml/continue?after={AFTER}")
    hold = await stage.holds.hold(child)
    assert ears(stage, parent, child) == ["silence", "music"]
    await stage.holds.resume(hold)
    stage.account.party_hangs_up(child)
    await stage.settle()
    assert stage.account.calls_[parent].app_url == AFTER


async def test_the_child_of_a_served_dial_reports_itself(stage: Stage) -> None:
    parent, child = stage.account.dial(1, 2, action=f"{PUBLIC}/twiml/continue")
    status, _ = await stage.account.ask(child, f"{PUBLIC}/twiml/child?after={AFTER}", {})
    assert status == 204
    hold = await stage.holds.hold(parent)
    assert hold.way is WayName.LEGS
    stage.account.party_hangs_up(child)
    status, _ = await stage.account.ask(child, f"{PUBLIC}/twiml/child", {})
    assert status == 204
    await stage.settle()
    assert stage.account.calls_[parent].app_url == AFTER
    assert (await stage.holds.get(hold.id)).status is Status.RESUMED


async def test_a_served_dial_held_by_the_parents_sid_before_the_child_is_known(stage: Stage) -> None:
    stage.holds.pairs.add_served(CallSid(f"CA{1:032x}"), None)
    parent, child = stage.account.dial(1, 2, action=f"{PUBLIC}/twiml/continue")
    await stage.holds.hold(parent)
    assert ears(stage, parent, child) == ["music", "silence"]
