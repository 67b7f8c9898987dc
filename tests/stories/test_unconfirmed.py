"""What Twilio's pages leave open hangs on one constant each: turned, the engine does the other thing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.testing.world import World
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import AnnounceToRoom, ChangeParticipant, EndRoom, RemoveParticipant, WebRequest
from holdfast.voice.twiml.document import read
from tests.stories.conference_events import EVERY, room_of, room_page, two
from tests.stories.leg_events import APP, Told, pages, redirect


@pytest.fixture(autouse=True)
def _documents_are_read_anew() -> Iterator[None]:
    read.cache_clear()
    yield
    read.cache_clear()


def dialled(world: World, nouns: str = "<Client>a</Client>") -> Told:
    """P dials C (and D)."""
    pages(
        world,
        start=f'<Dial action="/after">{nouns}</Dial>',
        after='<Play loop="0">/after.mp3</Play>',
        new='<Play loop="0">/new.mp3</Play>',
        screen='<Play loop="0">/screen.mp3</Play>',
    )
    parent = world.calls_in("customer", f"{APP}/start")
    told = Told(world, P=parent, **dict(zip("CD", world.children(parent), strict=False)))
    told.news()
    return told


def test_the_word_for_a_child_that_was_redirected(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "CHILD_REDIRECTED", "answered")
    told = dialled(world)
    world.answers(told["C"])
    redirect(world, told["C"], "/new")
    assert told.news()[-1] == "P POST /after in-progress DialCallStatus=answered DialCallSid=C DialBridged=true"


def test_a_parent_that_is_gone_asks_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "PARENT_HANGUP_REQUESTS_ACTION", False)
    told = dialled(world)
    world.answers(told["C"])
    world.hangs_up(told["P"])
    assert told.news() == []
    assert told.statuses() == {"P": "completed", "C": "completed"}


def test_the_final_status_of_a_child_after_its_parent_hung_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "CHILD_STATUS_AFTER_PARENT_HANGUP", "no-answer")
    told = dialled(world)
    world.hangs_up(told["P"])
    assert told.statuses() == {"P": "completed", "C": "no-answer"}


def test_the_word_for_a_parent_redirected_while_it_rings(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "RINGING_PARENT_REDIRECTED", "completed")
    told = dialled(world)
    redirect(world, told["P"], "/new")
    assert told.news()[0] == "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialBridged=false"


def test_a_child_redirected_out_of_its_screening(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "SCREENED_CHILD_BRIDGED", "true")
    told = dialled(world, '<Client url="/screen">a</Client>')
    world.answers(told["C"])
    redirect(world, told["C"], "/new")
    assert told.news()[-1] == "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialBridged=true"


def test_the_losers_of_a_race(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "LOST_RACE_STATUS", "no-answer")
    told = dialled(world, "<Client>a</Client><Client>b</Client>")
    world.answers(told["C"])
    assert told.statuses() == {"P": "in-progress", "C": "in-progress", "D": "no-answer"}


def test_several_were_tried_and_the_last_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "FAILED_DIAL_NAMES_LAST_LEG", True)
    told = dialled(world, "<Client>a</Client><Client>b</Client>")
    world.refuses(told["D"], 486)
    world.refuses(told["C"], 486)
    assert told.news()[-1] == "P POST /after in-progress DialCallStatus=busy DialCallSid=D DialBridged=false"


def test_in_turn_one_screened_off_ends_the_dial(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "FAILED_SCREENING_TRIES_NEXT", False)
    nouns = '<Client url="/screen">a</Client><Client>b</Client>'
    pages(
        world,
        start=f'<Dial action="/after" sequential="true">{nouns}</Dial>',
        screen="<Hangup/>",
        after="<Pause length='60'/>",
    )
    parent = world.calls_in("customer", f"{APP}/start")
    told = Told(world, P=parent, C=world.children(parent)[0])
    world.answers(told["C"])
    assert told.news()[-1] == (
        "P POST /after in-progress DialCallStatus=completed DialCallSid=C DialCallDuration=0 DialBridged=false"
    )
    assert world.children(parent) == [told["C"]]


def test_the_action_of_a_recorded_dial_has_the_address_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "DIAL_ACTION_HAS_RECORDING_LENGTH", False)
    pages(
        world,
        start='<Dial action="/after" record="record-from-answer"><Client>a</Client></Dial>',
        after="<Pause length='60'/>",
    )
    parent = world.calls_in("customer", f"{APP}/start")
    (child,) = world.children(parent)
    world.answers(child)
    world.hangs_up(child)
    assert [name for name in world.document_requests[-1].form if name.startswith("Recording")] == ["RecordingUrl"]


@pytest.mark.parametrize("typed", ["", "12"])
def test_a_redirect_out_of_a_gather_asks_its_action(world: World, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr(twilio_assumptions, "REDIRECTED_GATHER_REQUESTS_ACTION", True)
    pages(world, start='<Gather action="/after"/>', new="<Pause length='60'/>", after="<Pause/>")
    told = Told(world, X=world.calls_in("x", f"{APP}/start"))
    told.news()
    world.presses(told["X"], typed)
    redirect(world, told["X"], "/new")
    asked = [f"X POST /after in-progress Digits={typed} FinishedOnKey="] if typed else []
    assert told.news() == [*asked, "X POST /new in-progress"]


def test_a_redirect_out_of_a_record_asks_no_action(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "REDIRECTED_RECORD_REQUESTS_ACTION", False)
    pages(world, start='<Record playBeep="false" action="/after"/>', new="<Pause length='60'/>")
    told = Told(world, X=world.calls_in("x", f"{APP}/start"))
    told.news()
    redirect(world, told["X"], "/new")
    assert told.news() == ["X POST /new in-progress"]


def test_a_redirect_out_of_a_conference_asks_no_action(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "REDIRECTED_CONFERENCE_REQUESTS_ACTION", False)
    told = two(world, "")
    redirect(world, told["A"], "/music")
    assert told.news() == ["A POST /music in-progress"]


@pytest.mark.parametrize("bridged", [True, False])
def test_a_redirect_out_of_a_queue_asks_no_action(
    world: World, monkeypatch: pytest.MonkeyPatch, *, bridged: bool
) -> None:
    monkeypatch.setattr(twilio_assumptions, "REDIRECTED_QUEUE_DIAL_REQUESTS_ACTION", False)
    told = queue_dialled(world, bridged=bridged)
    redirect(world, told["D"], "/new")
    assert told.news() == ["D POST /new in-progress"]


def queue_dialled(world: World, *, bridged: bool) -> Told:
    """D waits for a member, or talks with Q."""
    pages(
        world,
        wait="<Enqueue>line</Enqueue><Pause length='60'/>",
        take='<Dial action="/after" timeout="20"><Queue>line</Queue></Dial>',
        after="<Pause length='60'/>",
        new="<Pause length='60'/>",
    )
    queued = world.calls_in("q", f"{APP}/wait")
    if not bridged:
        world.hangs_up(queued)
    told = Told(world, Q=queued, D=world.calls_in("d", f"{APP}/take"))
    told.news()
    return told


def test_the_last_one_in_a_conference_hears_the_wait_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "LAST_PARTICIPANT_HEARS_WAIT", True)
    told = two(world, 'waitUrl="/music"', 'waitUrl="/music"')
    world.hangs_up(told["B"])
    assert told.hears() == {"A": "/music.mp3", "B": "nothing"}
    told.name(C=world.calls_in("c", f"{APP}/second"))
    assert told.hears() == {"A": "C", "B": "nothing", "C": "A"}


def test_a_wait_file_is_played_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "WAIT_FILE_LOOPS", False)
    world.pages[f"{APP}/song"] = "audio"
    call = world.calls_in("a", room_page(world, "first", 'waitUrl="/song"'))
    assert world.playing[call][2] == 1


def test_held_participants_hear_an_announcement_to_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "HELD_HEARS_ROOM_ANNOUNCEMENT", True)
    told = two(world)
    room = room_of(world, told["A"]).sid
    world.post(ChangeParticipant(room=room, call=told["A"], hold=True))
    world.post(AnnounceToRoom(room=room, request=WebRequest(url=f"{APP}/music")))
    assert told.hears() == {"A": "/music.mp3", "B": "/music.mp3"}


def test_a_held_participant_does_not_hear_its_own_announcement(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "HELD_HEARS_OWN_ANNOUNCEMENT", False)
    told = two(world)
    room = room_of(world, told["A"]).sid
    world.post(ChangeParticipant(room=room, call=told["A"], hold=True))
    world.post(ChangeParticipant(room=room, call=told["A"], announce=WebRequest(url=f"{APP}/music")))
    assert told.hears() == {"A": "builtin:hold", "B": "silence"}


def test_a_removed_participant_is_hung_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "KICKED_CONTINUES_DOCUMENT", False)
    told = two(world)
    world.post(RemoveParticipant(room=room_of(world, told["A"]).sid, call=told["A"]))
    assert told.statuses() == {"A": "completed", "B": "in-progress"}


def test_the_first_events_number(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "FIRST_EVENT_NUMBER", 0)
    told = Told(world, A=world.calls_in("a", room_page(world, "first", EVERY)))
    world.post(EndRoom(room=room_of(world, told["A"]).sid))
    assert [asked["SequenceNumber"] for asked in world.callbacks] == ["0", "1", "2"]


@pytest.mark.parametrize(("name", "exists"), [("QUEUE_UNKNOWN", False), ("QUEUE_TIMEOUT", True)])
def test_the_words_for_a_queue_without_a_member(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, *, exists: bool
) -> None:
    monkeypatch.setattr(twilio_assumptions, name, "canceled")
    if exists:
        told = queue_dialled(world, bridged=False)
        world.passes(21)
    else:
        pages(world, take='<Dial action="/after"><Queue>line</Queue></Dial>', after="<Pause length='60'/>")
        told = Told(world, D=world.calls_in("d", f"{APP}/take"))
    assert told.news()[-1] == "D POST /after in-progress DialCallStatus=canceled DialBridged=false"


def test_the_action_of_a_queues_dialler_says_nothing_of_the_queue(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(twilio_assumptions, "QUEUE_DIAL_ACTION_HAS_QUEUE", False)
    told = queue_dialled(world, bridged=True)
    world.hangs_up(told["Q"])
    assert told.news() == ["D POST /after in-progress DialCallStatus=completed DialCallDuration=0 DialBridged=true"]


def test_the_dialler_of_an_empty_queue_hears_ringing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "DIALLER_WAIT_AUDIO", "builtin:ringback")
    told = queue_dialled(world, bridged=False)
    assert told.hears() == {"Q": "nothing", "D": "builtin:ringback"}
    told.name(R=world.calls_in("r", f"{APP}/wait"))
    assert told.hears() == {"Q": "nothing", "D": "R", "R": "D"}
    assert told["D"] not in world.playing


def test_a_dialler_whose_member_left_gives_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "MEMBER_LOST_TRIES_NEXT", False)
    monkeypatch.setattr(twilio_assumptions, "BRIDGING_INTERRUPTED", "hangup")
    pages(
        world,
        wait='<Enqueue action="/left">line</Enqueue>',
        take='<Dial action="/after"><Queue url="/whisper">line</Queue></Dial>',
        whisper="<Pause length='20'/>",
        after="<Pause length='60'/>",
        left="",
    )
    told = Told(world, Q=world.calls_in("q", f"{APP}/wait"), D=world.calls_in("d", f"{APP}/take"))
    told.news()
    world.hangs_up(told["Q"])
    assert told.news() == [
        "Q POST /left completed QueueResult=hangup QueueSid=QU QueueTime=0",
        "D POST /after in-progress DialCallStatus=no-answer DialBridged=false",
    ]


def test_the_size_of_a_queue_that_states_none(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "QUEUE_DEFAULT_SIZE", 100)
    queue_dialled(world, bridged=False)
    assert [queue.max_size for queue in world.state.queues.values()] == [100]


@pytest.mark.parametrize("word", ["failed", "no-answer"])
def test_a_call_whose_document_failed_unanswered(world: World, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    monkeypatch.setattr(twilio_assumptions, "FAILED_DOCUMENT_UNANSWERED", word)
    monkeypatch.setattr(twilio_assumptions, "FAILED_FIRST_PAGE_SAID", "")
    told = Told(world, A=world.calls_in("a", f"{APP}/gone"))
    assert told.statuses() == {"A": word}


def test_nothing_is_said_when_a_later_page_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "FAILED_LATER_PAGE_SAID", "")
    pages(world, first="<Pause/><Redirect>/gone</Redirect>")
    told = Told(world, A=world.calls_in("a", f"{APP}/first"))
    world.passes(1)
    assert told.stands() == {"A": "failed hears nothing"}


def test_the_parameters_of_the_fallback(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "FALLBACK_PARAMETERS", ("Code", "Url"))
    pages(world, mended="<Pause length='5'/>")
    told = Told(world, A=world.calls_in("a", f"{APP}/gone", fallback=f"{APP}/mended"))
    assert told.news()[-1] == "A POST /mended ringing Code=11200 Url=/gone"


def test_the_entrant_does_not_hear_its_own_beep(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "ENTRANT_HEARS_OWN_BEEP", False)
    assert two(world).beeps() == ["entry A"]


def test_participants_that_wait_for_the_start_hear_beeps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twilio_assumptions, "BEEPS_BEFORE_START", True)
    page = room_page(world, "first", 'startConferenceOnEnter="false"')
    told = Told(world, A=world.calls_in("a", page), B=world.calls_in("b", page))
    world.hangs_up(told["B"])
    assert told.beeps() == ["entry A", "entry A B", "exit A"]


def test_each_constant_is_turned_by_a_test() -> None:
    here = Path(__file__).parent
    pages = (*here.glob("test_*.py"), *(here.parent / "conformance").glob("test_*.py"))
    text = "".join(path.read_text("utf-8") for path in pages)
    constants = [name for name in vars(twilio_assumptions) if name.isupper()]
    assert [name for name in constants if f'"{name}"' not in text] == []
