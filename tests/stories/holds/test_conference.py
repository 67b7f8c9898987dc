"""Stories of holds in conferences: REST alone, in conferences that an application made."""

from dataclasses import replace

import pytest

from holdfast.holds.conference import executor as conference_executor
from holdfast.holds.errors import (
    AccountRefused,
    AccountUnreachable,
    CallNotInProgress,
    HoldFailed,
    HoldRefused,
    OutcomeUnknown,
    ResourceNotFound,
)
from holdfast.holds.hold import Status, WayName
from holdfast.holds.ids import CallSid
from tests.stories.holds.conftest import Stage
from tests.stories.holds.fake_account import PUBLIC

pytestmark = pytest.mark.anyio


@pytest.fixture
def room(stage: Stage) -> tuple[CallSid, CallSid]:
    """Put a customer and an agent into a conference."""
    customer, agent = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", customer, agent)
    return customer, agent


async def test_hold_and_resume(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    customer, agent = room
    hold = await stage.holds.hold(customer, by="alice")
    assert (hold.status, hold.way) == (Status.HELD, WayName.CONFERENCE)
    assert stage.account.hears(customer) == "music"
    assert stage.account.hears(agent) == "silence"
    back = await stage.holds.resume(hold)
    assert (back.id, back.status) == (hold.id, Status.RESUMED)
    assert stage.account.hears(customer) == agent
    assert await stage.kinds(hold) == ["asked", "holding", "held", "resuming", "resumed"]


async def test_without_an_address_music_is_sent_as_it_is(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.start(public_url=None)
    customer, _ = room
    await stage.holds.hold(customer, music="https://cdn.example/m.mp3")
    assert stage.account.calls_[customer].hold_url == "https://cdn.example/m.mp3"


async def test_audio_is_looped_by_our_document_where_the_account_reaches_us(
    stage: Stage, room: tuple[CallSid, CallSid]
) -> None:
    customer, _ = room
    await stage.holds.hold(customer, music="https://cdn.example/m.mp3")
    url = stage.account.calls_[customer].hold_url
    assert url is not None
    assert url.startswith(f"{PUBLIC}/twiml/music?url=")
    status, twiml = await stage.account.ask(customer, url, {}, method="GET")
    assert status == 200
    assert '<Play loop="0">https://cdn.example/m.mp3</Play><Redirect method="GET">' in twiml


async def test_an_address_the_account_cannot_reach_is_not_used(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.account.reach = False
    stage.start()
    await stage.holds.hold(room[0], music="https://cdn.example/m.mp3")
    assert stage.account.calls_[room[0]].hold_url == "https://cdn.example/m.mp3"


async def test_a_document_is_the_music_itself(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    await stage.holds.hold(room[0], music="https://app.example/hold.xml")
    assert stage.account.calls_[room[0]].hold_url == "https://app.example/hold.xml"


async def test_hold_twice_is_one_hold_and_one_change(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    first = await stage.holds.hold(room[0])
    second = await stage.holds.hold(room[0], by="bob")
    assert second == first
    assert len(stage.account.writes()) == 1


async def test_resume_twice_is_one_outcome(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    hold = await stage.holds.hold(room[0])
    first = await stage.holds.resume(hold)
    assert await stage.holds.resume(hold.id) == first
    assert await stage.holds.resume(room[0]) == first
    assert len(stage.account.writes()) == 2


async def test_a_hold_by_the_application_becomes_ours_without_a_change(
    stage: Stage, room: tuple[CallSid, CallSid]
) -> None:
    stage.account.calls_[room[0]].held = True
    hold = await stage.holds.hold(room[0])
    assert (hold.status, hold.cause) == (Status.HELD, "was on hold already")
    assert stage.account.writes() == []


async def test_a_party_resumed_by_the_application_is_held_again(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    first = await stage.holds.hold(room[0])
    stage.account.calls_[room[0]].held = False
    second = await stage.holds.hold(room[0])
    assert second.id != first.id
    assert (await stage.holds.get(first.id)).status is Status.RESUMED


async def test_a_conference_still_forming_is_waited_for(stage: Stage) -> None:
    caller = stage.account.add_call(1)
    looks = 0

    def forms() -> None:
        nonlocal looks
        looks += 1
        if looks == 4:
            stage.account.meet("late", caller)
        else:
            stage.account.before["conferences"] = [forms]

    stage.account.before["conferences"] = [forms]
    hold = await stage.holds.hold(caller)
    assert hold.status is Status.HELD


async def test_of_two_rooms_the_one_the_call_is_in(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    third, fourth = stage.account.add_call(3), stage.account.add_call(4)
    stage.account.meet("other", third, fourth)
    hold = await stage.holds.hold(fourth)
    assert hold.conference == await _room_of(stage, "other")
    assert [stage.account.hears(call) for call in (room[0], third, fourth)] == [room[1], "silence", "music"]


async def _room_of(stage: Stage, name: str) -> str:
    return next(live.sid for live in await stage.account.conferences() if live.name == name)


async def test_a_call_that_is_over_is_not_held(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.account.party_hangs_up(room[0])
    with pytest.raises(CallNotInProgress) as caught:
        await stage.holds.hold(room[0])
    hold = await stage.holds.get(str(caught.value.hold))
    assert hold.status is Status.GONE


async def test_an_unknown_call_is_not_held(stage: Stage) -> None:
    with pytest.raises(CallNotInProgress, match=r"knows no call CA\w+\n  GET /calls lists who is on the phone"):
        await stage.holds.hold("CA" + "9" * 32)


async def test_a_call_that_rings(stage: Stage) -> None:
    call = stage.account.add_call(1, status="ringing")
    with pytest.raises(HoldRefused, match="not been answered"):
        await stage.holds.hold(call)


async def test_a_call_without_a_peer_is_not_held(stage: Stage) -> None:
    call = stage.account.add_call(1, verb="park")
    with pytest.raises(HoldRefused) as caught:
        await stage.holds.hold(call)
    assert "<Conference>" in str(caught.value.fix)
    assert stage.account.writes() == []


async def test_a_hang_up_between_the_read_and_the_change(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.account.before["set_hold"] = [lambda: stage.account.party_hangs_up(room[0])]
    with pytest.raises(CallNotInProgress):
        await stage.holds.hold(room[0])


async def test_hung_up_while_held_then_resumed(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    hold = await stage.holds.hold(room[0])
    stage.account.party_hangs_up(room[0])
    ended = await stage.holds.resume(hold)
    assert ended.status is Status.CALL_ENDED
    assert (await stage.holds.resume(hold)) == ended


async def test_hung_up_just_as_it_is_resumed(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    hold = await stage.holds.hold(room[0])
    stage.account.before["set_hold"] = [lambda: stage.account.party_hangs_up(room[0])]
    assert (await stage.holds.resume(hold)).status is Status.CALL_ENDED


@pytest.mark.parametrize("made", [True, False], ids=["made all the same", "not made"])
async def test_a_change_without_a_response_is_resolved_by_a_read(
    stage: Stage, room: tuple[CallSid, CallSid], made: bool
) -> None:
    stage.account.errors["set_hold"] = [(OutcomeUnknown("no answer"), made)]
    hold = await stage.holds.hold(room[0])
    assert hold.status is Status.HELD
    assert len(stage.account.writes()) == (1 if made else 2)


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("made", [True, False], ids=["made all the same", "not made"])
async def test_an_error_of_the_accounts_server_is_resolved_by_a_read(
    stage: Stage, room: tuple[CallSid, CallSid], made: bool, status: int
) -> None:
    stage.account.errors["set_hold"] = [(AccountRefused("server error", status=status), made)]
    hold = await stage.holds.hold(room[0])
    assert hold.status is Status.HELD
    assert len(stage.account.writes()) == (1 if made else 2)
    stage.account.errors["set_hold"] = [(AccountRefused("server error", status=status), made)]
    assert (await stage.holds.resume(hold)).status is Status.RESUMED
    assert len(stage.account.writes()) == (2 if made else 4)


async def test_a_change_that_is_never_made_is_sent_twice_and_fails(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.account.errors["set_hold"] = [(AccountRefused("server error", status=500), False)] * 3
    with pytest.raises(HoldFailed, match=r"^server error$"):
        await stage.holds.hold(room[0])
    assert len(stage.account.writes()) == 2
    assert stage.account.hears(room[0]) == room[1]


async def test_an_account_that_stops_responding_leaves_the_hold_to_be_reconciled(
    stage: Stage, room: tuple[CallSid, CallSid]
) -> None:
    stage.account.errors["set_hold"] = [(OutcomeUnknown("no answer"), True)]
    stage.account.errors["participant"] = [(AccountUnreachable("down"), False)]
    with pytest.raises(OutcomeUnknown) as caught:
        await stage.holds.hold(room[0])
    id = str(caught.value.hold)
    assert (await stage.holds.get(id)).status is Status.HOLDING
    await stage.holds.check()
    assert (await stage.holds.get(id)).status is Status.HELD


async def test_a_refusal_of_the_account_fails_the_hold(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.account.errors["set_hold"] = [(AccountRefused("no", status=429, twilio_code=20429), False)]
    with pytest.raises(HoldFailed, match="no"):
        await stage.holds.hold(room[0])
    assert (await stage.holds.list())[0].status is Status.FAILED


async def test_a_resume_the_account_refuses_leaves_the_party_held(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    hold = await stage.holds.hold(room[0])
    stage.account.errors["set_hold"] = [(AccountRefused("no", status=429), False)]
    with pytest.raises(HoldFailed, match="held as before"):
        await stage.holds.resume(hold)
    assert (await stage.holds.get(hold.id)).status is Status.HELD
    assert (await stage.holds.resume(hold)).status is Status.RESUMED


async def test_an_account_that_cannot_be_reached_at_all(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.account.errors["conferences"] = [(AccountUnreachable("down"), False)]
    with pytest.raises(AccountUnreachable):
        await stage.holds.hold(room[0])
    assert (await stage.holds.list())[0].status is Status.FAILED


async def test_never_sent_is_failed_not_unknown(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.account.errors["set_hold"] = [(AccountUnreachable("no connection"), False)]
    with pytest.raises(HoldFailed):
        await stage.holds.hold(room[0])


async def test_the_room_is_remembered_for_the_next_hold(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    await stage.holds.resume(await stage.holds.hold(room[0]))
    stage.account.requests.clear()
    await stage.holds.hold(room[0])
    assert [request[0] for request in stage.account.requests] == ["participants", "set_hold"]


async def test_the_room_is_remembered_for_so_many_calls(
    stage: Stage, room: tuple[CallSid, CallSid], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conference_executor, "MAX_REMEMBERED", 1)
    for call, searched in ((room[0], True), (room[0], False), (room[1], True), (room[1], False), (room[0], True)):
        stage.account.requests.clear()
        await stage.holds.resume(await stage.holds.hold(call))
        assert (stage.account.requests[0] == ("conferences",)) is searched


async def test_the_room_of_a_call_that_left_it_is_forgotten(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    await stage.holds.resume(await stage.holds.hold(room[0]))
    stage.account.errors["set_hold"] = [(ResourceNotFound("gone", status=404, twilio_code=20404), False)]
    with pytest.raises(CallNotInProgress):
        await stage.holds.hold(room[0])
    stage.account.requests.clear()
    await stage.holds.hold(room[0])
    assert stage.account.requests[0] == ("conferences",)


async def test_a_conference_is_waited_for_while_it_may_form(stage: Stage) -> None:
    caller = stage.account.add_call(1)
    began = stage.clock.now()
    with pytest.raises(HoldRefused):
        await stage.holds.hold(caller)
    assert stage.clock.now() - began == pytest.approx(3.0)


async def test_a_call_that_changed_rooms_is_found_again(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    await stage.holds.resume(await stage.holds.hold(room[0]))
    stage.account.app_redirects(room[0], "https://app.example/elsewhere")
    stage.account.meet("elsewhere", room[0])
    hold = await stage.holds.hold(room[0])
    assert hold.conference == await _room_of(stage, "elsewhere")


async def test_left_the_room_while_held(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    hold = await stage.holds.hold(room[0])
    stage.account.app_redirects(room[0], "https://app.example/elsewhere")
    ended = await stage.holds.resume(hold)
    assert (ended.status, ended.cause) == (Status.CALL_ENDED, "the party has left the conference")


async def test_left_the_room_as_it_is_held(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    gone = ResourceNotFound("gone", status=404, twilio_code=20404)
    stage.account.errors["set_hold"] = [(gone, False)]
    with pytest.raises(CallNotInProgress, match="left the conference"):
        await stage.holds.hold(room[0])


async def test_a_restart_keeps_the_hold(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    hold = await stage.holds.hold(room[0])
    stage.start()
    assert await stage.holds.hold(room[0]) == hold
    assert (await stage.holds.resume(hold.id)).status is Status.RESUMED


@pytest.mark.parametrize("status", [Status.HELD, Status.RESUMING])
async def test_a_hold_without_a_conference_ends_without_a_read(
    stage: Stage, room: tuple[CallSid, CallSid], status: Status
) -> None:
    hold = await stage.holds.hold(room[0])
    await stage.store.save_hold(replace(hold, conference=None, status=status), (), at=stage.clock.now())
    stage.start()
    stage.account.requests.clear()
    ended = await stage.holds.resume(hold.id)
    assert (ended.status, stage.account.requests) == (Status.CALL_ENDED, [])
