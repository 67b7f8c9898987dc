"""A redirect by REST meets each verb: what stops, what is asked, what is heard next.

Source: "Modify a live call"; TwiML of each verb; changelog 2021-05.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import World
from holdfast.voice.model.commands import ChangeParticipant, Instruction, RedirectCall, WebRequest
from holdfast.voice.model.errors import CallNotInProgress
from tests.stories.leg_events import APP, Told, pages, redirect


def running(world: World, verbs: str) -> Told:
    """A call runs these verbs."""
    pages(
        world,
        start=verbs,
        new='<Play loop="0">/new.mp3</Play>',
        after='<Play loop="0">/never.mp3</Play>',
        wait='<Play loop="0">/wait.mp3</Play>',
    )
    told = Told(world, X=world.calls_in("caller", f"{APP}/start"))
    told.news()
    return told


@pytest.mark.parametrize(
    ("verbs", "heard"),
    [
        ("<Play>/a.mp3</Play><Play>/never.mp3</Play>", "/a.mp3"),
        ('<Play digits="123"/><Play>/never.mp3</Play>', "digits:123"),
        ("<Pause length='60'/><Play>/never.mp3</Play>", "silence"),
    ],
)
def test_a_verb_that_plays_or_pauses_stops_at_once(world: World, verbs: str, heard: str) -> None:
    told = running(world, verbs)
    assert told.hears() == {"X": heard}
    world.withheld_urls.add(f"{APP}/new")
    redirect(world, told["X"], "/new")
    assert told.hears() == {"X": "silence"}
    world.passes(120)
    assert told.hears() == {"X": "silence"}
    world.release(f"{APP}/new")
    assert told.stands() == {"X": "in-progress hears /new.mp3"}
    status = "ringing" if "Pause" in verbs else "in-progress"
    assert told.news() == [f"X POST /new {status}"]


def test_say_stops_at_once(world: World) -> None:
    told = running(world, "<Say>Hello there</Say><Play>/never.mp3</Play>")
    redirect(world, told["X"], "/new")
    world.passes(60)
    assert told.news() == ["X POST /new in-progress"]
    assert told.stands() == {"X": "in-progress hears /new.mp3"}


def test_a_gather_stops_and_its_action_is_not_asked(world: World) -> None:
    told = running(world, '<Gather action="/after" numDigits="3"><Play>/prompt.mp3</Play></Gather>')
    world.presses(told["X"], "1")
    redirect(world, told["X"], "/new")
    world.presses(told["X"], "23")
    world.passes(60)
    assert told.news() == ["X POST /new in-progress"]
    assert told.stands() == {"X": "in-progress hears /new.mp3"}


def test_a_record_closes_and_keeps_its_recording_and_its_action_is_asked_and_ignored(world: World) -> None:
    told = running(world, '<Record action="/after" playBeep="false" recordingStatusCallback="/tape"/>')
    world.passes(4)
    redirect(world, told["X"], "/new")
    (tape,) = world.state.recordings.values()
    assert [(asked.url, asked.form.get("CallStatus", "")) for asked in world.web[1:]] == [
        (f"{APP}/after", "in-progress"),
        (f"{APP}/new", "in-progress"),
        (f"{APP}/tape", ""),
    ]
    of_verb, of_tape = world.web[1].form, world.web[3].form
    assert {name: value for name, value in of_verb.items() if name.startswith(("Recording", "Digits"))} == {
        "RecordingUrl": f"https://engine.example/{tape.sid}",
        "RecordingSid": tape.sid,
        "RecordingDuration": "4",
    }
    assert (of_tape["RecordingStatus"], of_tape["RecordingDuration"], of_tape["CallSid"]) == (
        "completed",
        "4",
        told["X"],
    )
    assert told.stands() == {"X": "in-progress hears /new.mp3"}
    assert world.captures == {}
    world.presses(told["X"], "1")
    assert len(world.web) == 4


def test_a_conference_is_left_and_its_action_asked_and_ignored(world: World) -> None:
    told = running(
        world,
        '<Dial action="/after"><Conference statusCallback="/events" statusCallbackEvent="leave end">'
        "room</Conference></Dial>",
    )
    told.name(Y=world.calls_in("other", f"{APP}/start"))
    told.news()
    redirect(world, told["X"], "/new")
    values = "Muted=false Hold=false Coaching=false EndConferenceOnExit=false StartConferenceOnEnter=true"
    assert told.news() == [
        "X POST /after in-progress DialCallStatus=answered",
        "X POST /new in-progress",
        f"X POST /events 1 participant-leave {values} ParticipantCallStatus=in-progress "
        "ReasonParticipantLeft=participant_updated_via_api",
    ]
    assert told.stands() == {"X": "in-progress hears /new.mp3", "Y": "in-progress hears silence"}


def test_a_held_participant_leaves_and_its_hold_music_stops(world: World) -> None:
    told = running(world, "<Dial><Conference>room</Conference></Dial>")
    told.name(Y=world.calls_in("other", f"{APP}/start"))
    room = world.state.room_of(told["X"])
    assert room is not None
    world.post(ChangeParticipant(room=room.sid, call=told["X"], hold=True, hold_request=WebRequest(url=f"{APP}/wait")))
    assert told.hears() == {"X": "/wait.mp3", "Y": "silence"}
    told.news()
    redirect(world, told["X"], "/new")
    assert told.news() == ["X POST /new in-progress"]
    assert told.stands() == {"X": "in-progress hears /new.mp3", "Y": "in-progress hears silence"}
    assert world.state.room_of(told["X"]) is None


def test_a_wait_in_a_queue_is_left_first(world: World) -> None:
    told = running(world, '<Enqueue action="/after" waitUrl="/wait">line</Enqueue>')
    assert told.hears() == {"X": "/wait.mp3"}
    redirect(world, told["X"], "/new")
    assert told.news() == [
        "X POST /after in-progress QueueResult=redirected QueueSid=QU QueueTime=0",
        "X POST /new in-progress",
    ]
    assert told.stands() == {"X": "in-progress hears /new.mp3"}
    assert [queue.members for queue in world.state.queues.values()] == [()]


def test_a_dialler_of_a_queue_stops_waiting(world: World) -> None:
    pages(world, enter="<Enqueue>line</Enqueue>")
    world.hangs_up(world.calls_in("earlier", f"{APP}/enter"))
    told = running(world, '<Dial action="/after"><Queue>line</Queue></Dial>')
    redirect(world, told["X"], "/new")
    assert told.news() == [
        "X POST /after in-progress DialCallStatus=canceled DialBridged=false",
        "X POST /new in-progress",
    ]
    told.name(Y=world.calls_in("late", f"{APP}/enter"))
    assert told.stands() == {"X": "in-progress hears /new.mp3", "Y": "in-progress hears builtin:hold"}


def test_a_wait_for_a_conference_is_left_first(world: World) -> None:
    told = running(world, '<Dial><Conference waitUrl="/wait">room</Conference></Dial>')
    assert told.hears() == {"X": "/wait.mp3"}
    redirect(world, told["X"], "/new")
    assert told.news() == ["X POST /new in-progress"]
    assert told.stands() == {"X": "in-progress hears /new.mp3"}


def test_a_redirect_out_of_a_fetch_drops_the_older_document(world: World) -> None:
    pages(
        world, start="<Redirect>/slow</Redirect>", slow="<Play>/never.mp3</Play>", new='<Play loop="0">/new.mp3</Play>'
    )
    world.withheld_urls.add(f"{APP}/slow")
    told = Told(world, X=world.calls_in("caller", f"{APP}/start"))
    redirect(world, told["X"], "/new")
    world.release(f"{APP}/slow")
    assert told.news() == ["X POST /start ringing", "X POST /slow ringing", "X POST /new ringing"]
    assert told.hears() == {"X": "/new.mp3"}


def test_a_call_that_rings_because_its_document_has_not_answered_can_be_redirected(world: World) -> None:
    told = running(world, "<Pause length='60'/>")
    assert told.statuses() == {"X": "ringing"}
    redirect(world, told["X"], "/new")
    assert told.statuses() == {"X": "in-progress"}


def test_an_outbound_call_that_is_not_answered_cannot_be_redirected(world: World) -> None:
    pages(world, start="<Pause/>", new="<Pause/>")
    call = world.place("bob", f"{APP}/start")
    for rings in (False, True):
        if rings:
            world.rings(call)
        with pytest.raises(CallNotInProgress):
            redirect(world, call, "/new")
    assert world.document_requests == []


def test_an_inline_document_replaces_the_running_one(world: World) -> None:
    told = running(world, "<Pause length='60'/>")
    text = '<Response><Play loop="0">http://media.example/a.mp3</Play></Response>'
    world.post(RedirectCall(call=told["X"], instruction=Instruction(twiml=text)))
    assert told.news() == []
    assert told.hears() == {"X": "http://media.example/a.mp3"}


def test_the_calls_fallback_outlives_a_redirect(world: World) -> None:
    pages(world, start="<Pause length='60'/>", mended='<Play loop="0">/mended.mp3</Play>')
    call = world.calls_in("caller", f"{APP}/start", fallback=f"{APP}/mended")
    told = Told(world, X=call)
    told.news()
    redirect(world, call, "/missing")
    assert told.news() == [
        "X POST /missing ringing",
        "X POST /mended ringing ErrorCode=11200 ErrorUrl=/missing",
    ]
    assert told.hears() == {"X": "/mended.mp3"}


@pytest.mark.parametrize(("reason", "status", "sip_code"), [("", "no-answer", 603), ('reason="busy"', "busy", 486)])
def test_a_reject_turns_the_caller_away_unanswered(world: World, reason: str, status: str, sip_code: int) -> None:
    pages(world, start=f"<Reject {reason}/><Play>/never.mp3</Play>")
    told = Told(world, X=world.calls_in("caller", f"{APP}/start", events=("completed",)))
    assert told.news() == [
        "X POST /start ringing",
        f"X POST /status {status} CallDuration=0 Duration=0 SipResponseCode={sip_code}",
    ]
    assert told.statuses() == {"X": status}
    assert world.legs[told["X"]] == "gone"
