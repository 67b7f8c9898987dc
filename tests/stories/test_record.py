"""Sound that is written down, told as stories: by a verb, of a call, of a conference.

Source: TwiML <Record>, <Dial record>, <Conference record>; Twilio API, Recordings.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import ACCOUNT, World, twiml
from holdfast.voice.control.entities import Recording
from holdfast.voice.model.commands import (
    Callback,
    ChangeParticipant,
    ChangeRecording,
    CreateCall,
    DeleteRecording,
    EndRoom,
    ForgetRecording,
    Instruction,
    RecordCall,
    RecordingOptions,
    RedirectCall,
    Target,
    WebRequest,
)
from holdfast.voice.model.errors import CallNotInProgress, NotFound, RecordingNotActive, RecordNotFinished
from holdfast.voice.model.facts import (
    CaptureBegan,
    CaptureEnded,
    CaptureQuiet,
    PhoneHeld,
    QueueMissing,
    RecordingBegan,
    RecordingFinished,
)
from holdfast.voice.model.ids import CallSid, RecordingSid
from holdfast.voice.model.internal_commands import EndRecording

APP = "https://app.example"
TAPE = RecordingSid("RE" + "1" * 32)
TERMS = RecordingOptions(source="StartCallRecordingAPI")


def mailbox(world: World, attributes: str = "", *, following: str = "<Play>/next.mp3</Play>") -> CallSid:
    """A caller who speaks into a `<Record>` whose beep is over."""
    world.pages[f"{APP}/voice"] = twiml(f'<Record action="/recorded" {attributes}/>{following}')
    world.pages[f"{APP}/recorded"] = twiml("<Play>/thanks.mp3</Play>")
    caller = world.calls_in("caller", f"{APP}/voice")
    if world.heard_by(caller) == "builtin:beep":
        world.sound_ends(caller)
    return caller


def only(world: World) -> Recording:
    """The one recording there is."""
    (recording,) = world.state.recordings.values()
    return recording


def told(world: World, path: str = "/recorded") -> dict[str, str]:
    """The one request for an action."""
    (asked,) = [asked for asked in world.document_requests if asked.url == f"{APP}{path}"]
    return asked.form


def statuses(world: World) -> list[str]:
    """What the recording status callbacks said, in order."""
    return [told["RecordingStatus"] for told in world.callbacks if told.kind == "recording"]


# --- <Record> ---------------------------------------------------------------------------------------------


def test_a_message_ends_with_a_digit(world: World) -> None:
    caller = mailbox(world)
    assert world.call(caller).status == "in-progress"
    assert [tape.voices for tape in world.captures.values()] == [(((caller, "says"),),)]
    assert only(world).status == "in-progress"
    world.passes(12)
    world.presses(caller, "5")
    form = told(world)
    assert form["RecordingSid"] == only(world).sid
    assert form["RecordingUrl"] == f"https://engine.example/{only(world).sid}"
    assert form["RecordingDuration"] == "12"
    assert form["Digits"] == "5"
    assert world.heard_by(caller) == f"{APP}/thanks.mp3"
    assert only(world).status == "completed"
    assert only(world).duration_s == 12
    assert world.captures == {}


def test_the_beep_comes_first_and_is_not_recorded(world: World) -> None:
    world.pages[f"{APP}/voice"] = twiml("<Record/>")
    caller = world.calls_in("caller", f"{APP}/voice")
    assert world.heard_by(caller) == "builtin:beep"
    assert world.captures == {}
    world.sound_ends(caller)
    assert len(world.captures) == 1


def test_a_failed_beep_does_not_stop_the_recording(world: World) -> None:
    world.pages[f"{APP}/voice"] = twiml("<Record/>")
    caller = world.calls_in("caller", f"{APP}/voice")
    world.sound_fails(caller)
    assert len(world.captures) == 1


def test_it_may_begin_without_a_beep(world: World) -> None:
    mailbox(world, 'playBeep="false"')
    assert len(world.captures) == 1


def test_a_message_ends_with_silence(world: World) -> None:
    caller = mailbox(world, 'timeout="3"')
    assert [tape.quiet_s for tape in world.captures.values()] == [3]
    world.passes(8)
    world.falls_silent(caller)
    assert told(world)["RecordingDuration"] == "8"
    assert "Digits" not in told(world)


def test_silence_need_not_end_it(world: World) -> None:
    caller = mailbox(world, 'timeout="0"')
    world.passes(60)
    world.falls_silent(caller)
    assert len(world.captures) == 1


def test_a_message_ends_at_its_longest(world: World) -> None:
    mailbox(world, 'maxLength="30"')
    world.passes(29)
    assert len(world.captures) == 1
    world.passes(1)
    assert told(world)["RecordingDuration"] == "30"


def test_other_digits_do_not_end_it(world: World) -> None:
    caller = mailbox(world, 'finishOnKey="#"')
    world.presses(caller, "123*")
    assert len(world.captures) == 1
    world.passes(1)
    world.presses(caller, "#")
    assert told(world)["Digits"] == "#"


def test_nothing_but_silence_is_no_message(world: World) -> None:
    caller = mailbox(world)
    world.quiet = True
    world.passes(5)
    world.falls_silent(caller)
    assert world.heard_by(caller) == f"{APP}/next.mp3"
    assert f"{APP}/recorded" not in world.urls()
    assert only(world).status == "absent"
    assert only(world).error_code == 16101


def test_a_caller_that_hangs_up_has_left_a_message(world: World) -> None:
    caller = mailbox(world)
    world.passes(7)
    world.hangs_up(caller)
    form = told(world)
    assert form["Digits"] == "hangup"
    assert form["CallStatus"] == "completed"
    assert form["RecordingDuration"] == "7"
    assert form["RecordingSid"] == only(world).sid
    assert only(world).status == "completed"


def test_a_redirect_keeps_the_recording_and_ignores_the_action(world: World) -> None:
    caller = mailbox(world)
    world.pages[f"{APP}/new"] = twiml("<Play>/new.mp3</Play>")
    world.passes(4)
    world.post(RedirectCall(call=caller, instruction=Instruction(request=WebRequest(url=f"{APP}/new"))))
    assert world.heard_by(caller) == f"{APP}/new.mp3"
    assert world.urls()[-2:] == [f"{APP}/recorded", f"{APP}/new"]
    assert only(world).status == "completed"


def test_without_an_action_its_own_document_is_asked_again(world: World) -> None:
    world.pages[f"{APP}/voice"] = lambda form: twiml("<Hangup/>" if "RecordingUrl" in form else "<Record/>")
    caller = world.calls_in("caller", f"{APP}/voice")
    world.sound_ends(caller)
    world.passes(3)
    world.presses(caller, "1")
    assert world.urls() == [f"{APP}/voice"] * 2
    assert world.call(caller).status == "completed"


def test_its_progress_is_posted(world: World) -> None:
    caller = mailbox(
        world, 'recordingStatusCallback="/progress" recordingStatusCallbackEvent="in-progress completed absent"'
    )
    world.passes(3)
    world.presses(caller, "1")
    assert statuses(world) == ["in-progress", "completed"]
    last = world.callbacks[-1]
    assert last.url == f"{APP}/progress"
    assert last["RecordingSource"] == "RecordVerb"
    assert last["RecordingChannels"] == "1"
    assert last["RecordingDuration"] == "3"
    assert last["CallSid"] == caller
    assert last["ErrorCode"] == "0"


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ('timeout="-1"', 13611),
        ('maxLength="0"', 13612),
        ('finishOnKey="A"', 13613),
        ('transcribe="maybe"', 13614),
        ('transcribe="true" transcribeCallback="/t"', 12200),
        ('playBeep="x"', 13616),
        ('method="PATCH"', 13610),
        ('trim="yes"', 12200),
        ('recordingStatusCallbackEvent="never"', 12200),
        ('loud="true"', 12200),
    ],
)
def test_a_fault_in_a_record_is_a_warning(world: World, attributes: str, code: int) -> None:
    mailbox(world, attributes)
    assert [notice.code for notice in world.notifications] == [code]
    assert len(world.captures) == 1


def test_it_has_no_children(world: World) -> None:
    world.pages[f"{APP}/voice"] = twiml('<Record playBeep="false"><Say>hello</Say></Record>')
    world.calls_in("caller", f"{APP}/voice")
    assert [notice.code for notice in world.notifications] == [12200]


def test_a_full_disk_ends_a_recording_and_no_call(world: World) -> None:
    caller = mailbox(world, 'recordingStatusCallback="/progress"')
    world.passes(5)
    world.disk_fills()
    assert only(world).status == "completed"
    assert only(world).duration_s == 5
    assert only(world).error_code == 16100
    assert told(world)["RecordingDuration"] == "5"
    assert world.call(caller).live
    assert 16100 in [notice.code for notice in world.notifications]


def test_a_recording_of_which_nothing_could_be_written_has_failed(world: World) -> None:
    caller = mailbox(
        world, 'recordingStatusCallback="/progress" recordingStatusCallbackEvent="completed absent failed"'
    )
    world.disk_fills()
    assert only(world).status == "failed"
    assert statuses(world) == ["failed"]
    assert world.heard_by(caller) == f"{APP}/next.mp3"


def test_facts_about_something_else_change_nothing(world: World) -> None:
    caller = mailbox(world)
    other = RecordingSid("RE" + "8" * 32)
    world.post(RecordingBegan(call=caller, recording=other, url="https://else.example"))
    world.post(RecordingFinished(call=caller, recording=other, duration_s=99))
    world.post(QueueMissing(call=caller))
    world.passes(6)
    world.presses(caller, "1")
    assert told(world)["RecordingUrl"] == f"https://engine.example/{only(world).sid}"
    assert told(world)["RecordingDuration"] == "6"


# --- <Dial record> ----------------------------------------------------------------------------------------


def talk(world: World, record: str, *, following: str = "") -> tuple[CallSid, CallSid]:
    """P's document dials C with these attributes; C rings."""
    world.pages[f"{APP}/start"] = twiml(f'<Dial action="/after" {record}><Client>agent</Client></Dial>{following}')
    world.pages[f"{APP}/after"] = twiml("<Pause length='60'/>")
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.rings(child)
    return parent, child


@pytest.mark.parametrize("word", ["record-from-answer", "true"])
def test_a_conversation_is_recorded_from_its_answer(world: World, word: str) -> None:
    parent, child = talk(world, f'record="{word}"')
    assert world.captures == {}
    world.passes(4)
    world.answers(child)
    assert [tape.voices for tape in world.captures.values()] == [(((parent, "says"), (parent, "hears")),)]
    world.passes(9)
    world.hangs_up(child)
    form = told(world, "/after")
    assert form["RecordingDuration"] == "9"
    assert form["RecordingSid"] == only(world).sid
    assert form["DialCallStatus"] == "completed"
    assert only(world).status == "completed"
    assert only(world).call == parent
    assert only(world).options.source == "DialVerb"
    assert world.call(parent).live


def test_each_side_may_have_its_own_channel(world: World) -> None:
    parent, child = talk(world, 'record="record-from-answer-dual"')
    world.answers(child)
    assert [tape.voices for tape in world.captures.values()] == [(((parent, "says"),), ((parent, "hears"),))]
    assert only(world).channels == 2


@pytest.mark.parametrize(("track", "side"), [("inbound", "says"), ("outbound", "hears")])
def test_one_side_alone_may_be_recorded(world: World, track: str, side: str) -> None:
    parent, child = talk(world, f'record="record-from-answer-dual" recordingTrack="{track}"')
    world.answers(child)
    assert [tape.voices for tape in world.captures.values()] == [(((parent, side),),)]


def test_the_ringing_may_be_recorded_too(world: World) -> None:
    _, child = talk(world, 'record="record-from-ringing"')
    assert len(world.captures) == 1
    world.passes(5)
    world.answers(child)
    assert len(world.captures) == 1
    world.passes(5)
    world.hangs_up(child)
    assert told(world, "/after")["RecordingDuration"] == "10"


def test_ringing_without_an_answer_is_recorded(world: World) -> None:
    parent, child = talk(world, 'record="record-from-ringing"')
    world.passes(6)
    world.refuses(child, 486)
    assert told(world, "/after")["RecordingDuration"] == "6"
    assert only(world).status == "completed"
    assert world.call(parent).live


def test_a_caller_that_gives_up_ends_the_recording_of_the_ringing(world: World) -> None:
    parent, _ = talk(world, 'record="record-from-ringing-dual"')
    world.passes(6)
    world.hangs_up(parent)
    assert told(world, "/after")["DialCallStatus"] == "canceled"
    assert told(world, "/after")["RecordingDuration"] == "6"
    assert only(world).status == "completed"


def test_a_redirect_of_either_side_ends_the_recording_of_their_conversation(world: World) -> None:
    parent, child = talk(world, 'record="record-from-answer"')
    world.answers(child)
    world.passes(5)
    world.pages[f"{APP}/new"] = twiml("<Pause length='60'/>")
    world.post(RedirectCall(call=child, instruction=Instruction(request=WebRequest(url=f"{APP}/new"))))
    assert only(world).status == "completed"
    assert told(world, "/after")["RecordingDuration"] == "5"
    assert world.call(parent).live
    assert world.call(child).live


def test_a_recording_that_fails_while_they_talk_leaves_them_talking(world: World) -> None:
    parent, child = talk(world, 'record="record-from-answer"')
    world.answers(child)
    world.passes(5)
    world.disk_fills()
    world.passes(5)
    assert world.heard_by(parent) == {child}
    world.hangs_up(child)
    assert told(world, "/after")["RecordingDuration"] == "5"


@pytest.mark.parametrize("word", ["do-not-record", "false"])
def test_nothing_is_recorded_that_was_not_asked_for(world: World, word: str) -> None:
    _, child = talk(world, f'record="{word}"')
    world.answers(child)
    assert world.state.recordings == {}


def test_a_wrong_word_records_nothing_and_is_a_warning(world: World) -> None:
    _, child = talk(world, 'record="everything"')
    world.answers(child)
    assert world.state.recordings == {}
    assert [notice.code for notice in world.notifications] == [13217]


def test_the_conversation_with_a_queue_member_is_recorded(world: World) -> None:
    world.pages[f"{APP}/wait"] = twiml('<Enqueue waitUrl="">line</Enqueue>')
    world.pages[f"{APP}/take"] = twiml('<Dial action="/after" record="record-from-answer"><Queue>line</Queue></Dial>')
    world.pages[f"{APP}/after"] = twiml("<Hangup/>")
    waiting = world.calls_in("customer", f"{APP}/wait")
    agent = world.calls_in("agent", f"{APP}/take")
    assert [tape.voices for tape in world.captures.values()] == [(((agent, "says"), (agent, "hears")),)]
    world.passes(20)
    world.hangs_up(waiting)
    assert told(world, "/after")["RecordingDuration"] == "20"
    assert only(world).status == "completed"


# --- conferences ------------------------------------------------------------------------------------------


def meet(world: World, attributes: str = 'record="record-from-start"') -> tuple[CallSid, CallSid]:
    """Two in a conference that is recorded."""
    callback = 'recordingStatusCallback="/progress"'
    world.pages[f"{APP}/room"] = twiml(f"<Dial><Conference {attributes} {callback}>room</Conference></Dial>")
    return world.calls_in("anna", f"{APP}/room"), world.calls_in("bert", f"{APP}/room")


def voices(world: World) -> set[CallSid]:
    """Whose voices the one recording has now."""
    (recording,) = world.captures
    captured = world.voices(recording)
    assert {side for _, side in captured} <= {"says"}
    return {call for call, _ in captured}


def test_a_conference_is_recorded_from_its_start_and_not_its_waiting(world: World) -> None:
    world.pages[f"{APP}/room"] = twiml('<Dial><Conference record="true">room</Conference></Dial>')
    anna = world.calls_in("anna", f"{APP}/room")
    assert world.state.recordings == {}
    bert = world.calls_in("bert", f"{APP}/room")
    assert voices(world) == {anna, bert}
    assert only(world).room is not None
    assert only(world).call is None


def test_the_recording_of_a_conference_contains_all_audible_participants(world: World) -> None:
    anna, bert = meet(world)
    room = only(world).room
    assert room is not None
    world.post(ChangeParticipant(room=room, call=anna, hold=True))
    assert voices(world) == {bert}
    world.post(ChangeParticipant(room=room, call=bert, muted=True))
    assert voices(world) == set()
    world.post(ChangeParticipant(room=room, call=anna, hold=False))
    assert voices(world) == {anna}
    carla = world.calls_in("carla", f"{APP}/room")
    assert voices(world) == {anna, carla}
    world.post(PhoneHeld(call=anna))
    assert voices(world) == {carla}


def test_it_ends_with_the_conference_and_is_posted(world: World) -> None:
    meet(world)
    one = only(world)
    assert one.room is not None
    world.passes(33)
    world.post(EndRoom(room=one.room))
    assert only(world).status == "completed"
    assert statuses(world) == ["completed"]
    assert world.callbacks[-1]["ConferenceSid"] == one.room
    assert world.callbacks[-1]["RecordingSource"] == "Conference"
    assert world.callbacks[-1]["RecordingDuration"] == "33"


def test_a_conference_that_does_not_ask_is_not_recorded(world: World) -> None:
    meet(world, 'record="do-not-record"')
    assert world.state.recordings == {}


# --- by REST ----------------------------------------------------------------------------------------------


def in_progress(world: World) -> CallSid:
    """A caller who hears a song."""
    world.pages[f"{APP}/song"] = twiml("<Play>/song.mp3</Play>")
    return world.calls_in("caller", f"{APP}/song")


def test_a_live_call_is_recorded_paused_and_stopped(world: World) -> None:
    caller = in_progress(world)
    terms = RecordingOptions(
        source="StartCallRecordingAPI", dual=True, callback=Callback(url=f"{APP}/progress", events=("completed",))
    )
    world.post(RecordCall(call=caller, recording=TAPE, options=terms))
    assert world.captures[TAPE].voices == (((caller, "says"),), ((caller, "hears"),))
    world.post(ChangeRecording(recording=TAPE, status="paused"))
    assert (only(world).status, world.captures[TAPE].mode) == ("paused", "silent")
    world.post(ChangeRecording(recording=TAPE, status="paused", skip=True))
    assert world.captures[TAPE].mode == "silent"
    world.post(CaptureQuiet(recording=TAPE))
    world.post(ChangeRecording(recording=TAPE, status="in-progress"))
    assert (only(world).status, world.captures[TAPE].mode) == ("in-progress", "on")
    world.post(ChangeRecording(recording=TAPE, status="in-progress"))
    world.post(ChangeRecording(recording=TAPE, status="paused", skip=True))
    assert world.captures[TAPE].mode == "off"
    world.passes(8)
    world.post(ChangeRecording(recording=TAPE, status="stopped"))
    assert only(world).status == "completed"
    assert statuses(world) == ["completed"]
    assert world.call(caller).live
    assert world.heard_by(caller) == f"{APP}/song.mp3"


def test_a_recording_ends_with_its_call(world: World) -> None:
    caller = in_progress(world)
    world.post(RecordCall(call=caller, recording=TAPE, options=TERMS))
    world.passes(3)
    world.hangs_up(caller)
    assert only(world).status == "completed"


def test_a_finished_recording_cannot_be_changed_and_an_unfinished_one_cannot_be_deleted(world: World) -> None:
    caller = in_progress(world)
    world.post(RecordCall(call=caller, recording=TAPE, options=TERMS))
    with pytest.raises(RecordNotFinished):
        world.post(DeleteRecording(recording=TAPE))
    world.passes(3)
    world.hangs_up(caller)
    with pytest.raises(RecordingNotActive):
        world.post(ChangeRecording(recording=TAPE, status="stopped"))
    with pytest.raises(CallNotInProgress):
        world.post(RecordCall(call=caller, recording=RecordingSid("RE" + "2" * 32), options=TERMS))
    world.post(DeleteRecording(recording=TAPE))
    assert only(world).status == "deleted"
    erased = len(world.effects)
    world.post(DeleteRecording(recording=TAPE))
    assert len(world.effects) == erased
    with pytest.raises(NotFound):
        world.post(DeleteRecording(recording=RecordingSid("RE" + "2" * 32)))


def test_the_record_of_a_deleted_recording_can_be_deleted(world: World) -> None:
    caller = in_progress(world)
    world.post(RecordCall(call=caller, recording=TAPE, options=TERMS))
    world.passes(3)
    world.hangs_up(caller)
    with pytest.raises(RecordNotFinished):
        world.post(ForgetRecording(recording=TAPE))
    world.post(DeleteRecording(recording=TAPE))
    world.post(ForgetRecording(recording=TAPE))
    assert world.state.recordings == {}
    with pytest.raises(NotFound):
        world.post(ForgetRecording(recording=TAPE))


def test_a_call_that_rings_is_not_recorded(world: World) -> None:
    world.pages[f"{APP}/ring"] = twiml("<Pause length='9'/>")
    caller = world.calls_in("caller", f"{APP}/ring")
    with pytest.raises(CallNotInProgress):
        world.post(RecordCall(call=caller, recording=TAPE, options=TERMS))
    assert world.state.recordings == {}


def test_facts_about_a_finished_recording_change_nothing(world: World) -> None:
    caller = in_progress(world)
    world.post(RecordCall(call=caller, recording=TAPE, options=TERMS))
    world.passes(3)
    world.hangs_up(caller)
    before = only(world)
    world.post(CaptureEnded(recording=TAPE, duration_s=99))
    world.post(EndRecording(recording=TAPE))
    world.post(CaptureBegan(recording=RecordingSid("RE" + "9" * 32), url=""))
    assert only(world) == before


def test_a_call_placed_with_record_is_recorded_from_its_answer_and_says_so_at_its_end(world: World) -> None:
    call = CallSid("CA" + "7" * 32)
    world.pages[f"{APP}/hello"] = twiml("<Play>/hello.mp3</Play>")
    world.post(
        CreateCall(
            call=call,
            account=ACCOUNT,
            target=Target(to="client:bob"),
            from_="+15550199",
            instruction=Instruction(request=WebRequest(url=f"{APP}/hello")),
            callback=Callback(url=f"{APP}/status"),
            record=RecordingOptions(source="OutboundAPI", trim=True),
        )
    )
    assert world.state.recordings == {}
    world.answers(call)
    world.passes(21)
    world.hangs_up(call)
    last = next(told for told in world.callbacks if told.url == f"{APP}/status")
    assert last["RecordingSid"] == only(world).sid
    assert last["RecordingUrl"] == only(world).url
    assert last["RecordingDuration"] == "21"


def test_an_unanswered_call_placed_with_record_has_no_recording(world: World) -> None:
    call = CallSid("CA" + "7" * 32)
    world.post(
        CreateCall(
            call=call,
            account=ACCOUNT,
            target=Target(to="client:bob"),
            from_="+15550199",
            instruction=Instruction(request=WebRequest(url=f"{APP}/hello")),
            callback=Callback(url=f"{APP}/status"),
            record=RecordingOptions(source="OutboundAPI"),
        )
    )
    world.refuses(call, 486)
    assert "RecordingSid" not in world.callbacks[-1].form
