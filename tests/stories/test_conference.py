"""A conference from its first entrant to its end: every attribute of the noun, what is heard while it has not begun.

Source: TwiML <Conference>; Conference resource; conference status callback.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import World
from holdfast.voice.model.commands import ChangeParticipant, EndRoom, WebRequest
from tests.stories.conference_events import EVERY, PLAIN, room_of, room_page, two
from tests.stories.leg_events import APP, Told, pages


def test_from_the_first_entrant_to_the_end_by_rest(world: World) -> None:
    told = Told(world, A=world.calls_in("a", room_page(world, "first", EVERY)))
    assert told.news() == ["A POST /first ringing", f"A POST /events 1 participant-join {PLAIN}"]
    assert told.hears() == {"A": "builtin:hold"}
    room = room_of(world, told["A"])
    assert (room.status, room.name) == ("init", "room")
    told.name(B=world.calls_in("b", room_page(world, "second")))
    assert told.news() == [
        "B POST /second ringing",
        f"B POST /events 2 participant-join {PLAIN}",
        "POST /events 3 conference-start",
    ]
    assert told.hears() == {"A": "B", "B": "A"}
    world.post(EndRoom(room=room.sid))
    left = "ParticipantCallStatus=in-progress ReasonParticipantLeft=conference_ended_via_api"
    assert told.news() == [
        f"A POST /events 4 participant-leave {PLAIN} {left}",
        f"B POST /events 5 participant-leave {PLAIN} {left}",
        "POST /events 6 conference-end ReasonConferenceEnded=conference-ended-via-api Reason=conference ended via api",
        "A POST /after in-progress DialCallStatus=answered",
        "B POST /after in-progress DialCallStatus=answered",
    ]
    assert told.hears() == {"A": "/after.mp3", "B": "/after.mp3"}
    over = world.state.rooms[room.sid]
    assert (over.status, over.reason_ended, over.call_ending) == ("completed", "conference-ended-via-api", None)
    world.post(EndRoom(room=room.sid))
    assert told.news() == []


def test_the_last_one_hears_silence_and_ends_it_by_leaving(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"])
    world.hangs_up(told["A"])
    assert told.hears() == {"A": "nothing", "B": "silence"}
    assert world.state.rooms[room.sid].status == "in-progress"
    world.hangs_up(told["B"])
    gone = "ParticipantCallStatus=completed ReasonParticipantLeft=participant_hung_up"
    assert told.news() == [
        "A POST /after completed DialCallStatus=answered",
        f"A POST /events 4 participant-leave {PLAIN} {gone}",
        "B POST /after completed DialCallStatus=answered",
        f"B POST /events 5 participant-leave {PLAIN} {gone}",
        "POST /events 6 conference-end ReasonConferenceEnded=last-participant-left Reason=last participant left "
        "CallSidEndingConference=B",
    ]
    assert world.state.rooms[room.sid].call_ending == told["B"]


def test_the_name_of_a_completed_conference_opens_a_new_one(world: World) -> None:
    told = two(world)
    first = room_of(world, told["A"]).sid
    world.post(EndRoom(room=first))
    third = world.calls_in("c", f"{APP}/first")
    assert room_of(world, third).sid != first
    assert room_of(world, third).status == "init"


def test_names_are_case_sensitive(world: World) -> None:
    pages(world, upper="<Dial><Conference>Room</Conference></Dial>")
    told = Told(world, A=world.calls_in("a", room_page(world, "first")), B=world.calls_in("b", f"{APP}/upper"))
    assert told.hears() == {"A": "builtin:hold", "B": "builtin:hold"}


def test_an_active_conference_is_entered_by_its_sid_and_a_completed_one_is_not(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    pages(world, third=f'<Dial action="/after"><Conference>{room}</Conference></Dial>')
    told.name(C=world.calls_in("c", f"{APP}/third"))
    assert told.hears() == {"A": "B+C", "B": "A+C", "C": "A+B"}
    world.post(EndRoom(room=room))
    told.name(D=world.calls_in("d", f"{APP}/third"))
    assert world.notifications[-1].code == 13236
    assert told.hears()["D"] == "/after.mp3"


# --- attributes of the noun ----------------------------------------------------------------------------------


def test_muted_enters_without_being_heard_and_without_an_event(world: World) -> None:
    told = two(world, EVERY, 'muted="true"')
    assert told.hears() == {"A": "silence", "B": "A"}
    assert "participant-mute" not in world.events()


def test_start_on_enter_false_waits_until_a_participant_starts_it(world: World) -> None:
    waits = room_page(world, "waits", f'startConferenceOnEnter="false" waitUrl="/music" {EVERY}')
    told = Told(world, A=world.calls_in("a", waits), B=world.calls_in("b", waits))
    assert told.hears() == {"A": "/music.mp3", "B": "/music.mp3"}
    assert "conference-start" not in world.events()
    told.name(C=world.calls_in("c", room_page(world, "starts")))
    assert told.hears() == {"A": "B+C", "B": "A+C", "C": "A+B"}
    assert world.events()[-1] == "conference-start"


def test_end_on_exit_ends_it_for_all(world: World) -> None:
    told = two(world, f'{EVERY} endConferenceOnExit="true" participantLabel="boss"')
    world.hangs_up(told["A"])
    ending = PLAIN.replace("EndConferenceOnExit=false", "EndConferenceOnExit=true")
    assert told.news() == [
        "A POST /after completed DialCallStatus=answered",
        f"A POST /events 4 participant-leave {ending} ParticipantLabel=boss ParticipantCallStatus=completed "
        "ReasonParticipantLeft=participant_hung_up",
        f"B POST /events 5 participant-leave {PLAIN} ParticipantCallStatus=in-progress "
        "ReasonParticipantLeft=moderator_ended_conference",
        "POST /events 6 conference-end ReasonConferenceEnded=participant-with-end-conference-on-exit-left "
        "Reason=participant with end conference on exit left CallSidEndingConference=A "
        "ParticipantLabelEndingConference=boss",
        "B POST /after in-progress DialCallStatus=answered",
    ]
    assert told.hears() == {"A": "nothing", "B": "/after.mp3"}


def test_a_held_one_with_end_on_exit_that_hangs_up_ends_it(world: World) -> None:
    told = two(world, f'{EVERY} endConferenceOnExit="true"')
    room = room_of(world, told["A"])
    world.post(ChangeParticipant(room=room.sid, call=told["A"], hold=True))
    world.hangs_up(told["A"])
    assert world.state.rooms[room.sid].reason_ended == "participant-with-end-conference-on-exit-left"
    assert told.hears() == {"A": "nothing", "B": "/after.mp3"}


def test_an_end_on_exit_that_is_no_boolean_is_an_error_and_not_a_warning(world: World) -> None:
    pages(world, fallback='<Play loop="0">/mended.mp3</Play>')
    page = room_page(world, "first", 'endConferenceOnExit="perhaps"')
    told = Told(world, A=world.calls_in("a", page, fallback=f"{APP}/fallback"))
    assert [(notice.code, notice.log) for notice in world.notifications] == [(13231, 0)]
    assert told.hears() == {"A": "/mended.mp3"}


@pytest.mark.parametrize(
    ("attribute", "code"),
    [
        ('muted="perhaps"', 13230),
        ('startConferenceOnEnter="perhaps"', 13232),
        ('waitUrl="/music" waitMethod="PUT"', 13234),
        ('beep="loud"', 13235),
        ('maxParticipants="900"', 12200),
        ('colour="red"', 12200),
    ],
)
def test_any_other_bad_value_is_a_warning_and_the_default_holds(world: World, attribute: str, code: int) -> None:
    told = Told(world, A=world.calls_in("a", room_page(world, "first", attribute)))
    assert [(notice.code, notice.log) for notice in world.notifications] == [(code, 1)]
    told.name(B=world.calls_in("b", room_page(world, "second")))
    assert told.hears() == {"A": "B", "B": "A"}


def test_a_name_too_long_is_passed_over_with_a_warning(world: World) -> None:
    pages(world, first=f"<Dial><Conference>{'r' * 129}</Conference></Dial><Play>/next.mp3</Play>")
    told = Told(world, A=world.calls_in("a", f"{APP}/first"))
    assert [notice.code for notice in world.notifications] == [13237]
    assert told.hears() == {"A": "/next.mp3"}


@pytest.mark.parametrize(
    ("label", "code"), [("x" * 129, 16023), ("a/b", 16023), ("CA" + "0" * 32, 16023), ("taken", 16025)]
)
def test_a_label_that_cannot_be_is_not_admitted(world: World, label: str, code: int) -> None:
    told = two(world, 'participantLabel="taken"')
    told.name(C=world.calls_in("c", room_page(world, "third", f'participantLabel="{label}"')))
    assert world.notifications[-1].code == code
    assert told.hears() == {"A": "B", "B": "A", "C": "/after.mp3"}
    assert told.news() == ["C POST /third ringing", "C POST /after in-progress DialCallStatus=answered"]


def test_max_participants_of_the_first_one_counts(world: World) -> None:
    told = two(world, 'maxParticipants="2"')
    told.name(C=world.calls_in("c", room_page(world, "third", 'maxParticipants="250"')))
    assert world.notifications[-1].code == 16020
    assert told.hears() == {"A": "B", "B": "A", "C": "/after.mp3"}


def test_two_hundred_and_fifty_hear_each_other_and_no_more_enter() -> None:
    world = World()
    page = room_page(world, "first", 'waitUrl=""')
    calls = [world.calls_in(f"caller{number}", page) for number in range(251)]
    room = room_of(world, calls[0])
    assert len(room.participants) == 250
    assert world.notifications[-1].code == 16020
    assert world.heard_by(calls[0]) == frozenset(calls[1:250])
    assert world.heard_by(calls[250]) == f"{APP}/after.mp3"
    world.check()


def test_only_the_first_participants_callback_counts(world: World) -> None:
    told = two(world, "", EVERY)
    world.hangs_up(told["B"])
    assert world.callbacks == []


def test_only_subscribed_events_are_posted(world: World) -> None:
    told = two(world, 'statusCallback="/events" statusCallbackMethod="GET" statusCallbackEvent="leave"')
    world.hangs_up(told["B"])
    assert told.news()[1].startswith("B GET /events 1 participant-leave")


def test_dial_attributes_that_apply(world: World) -> None:
    told = Told(world, A=world.calls_in("a", room_page(world, "first", EVERY)))
    dial = 'action="/after" timeLimit="9" hangupOnStar="true"'
    told.name(B=world.calls_in("b", room_page(world, "second", dial=dial)))
    told.name(C=world.calls_in("c", f"{APP}/second"))
    told.news()
    world.presses(told["B"], "*")
    assert told.news() == [
        "B POST /after in-progress DialCallStatus=answered",
        f"B POST /events 5 participant-leave {PLAIN} ParticipantCallStatus=in-progress "
        "ReasonParticipantLeft=participant_hung_up",
    ]
    world.passes(9.1)
    assert told.hears() == {"A": "silence", "B": "/after.mp3", "C": "/after.mp3"}


# --- waiting ---------------------------------------------------------------------------------------------------

WAITS = "ConferenceSid=CF FriendlyName=room Hold=false Muted=false Coaching=false"


@pytest.mark.parametrize(
    ("attributes", "heard", "asked"),
    [
        ("", "builtin:hold", []),
        ('waitUrl=""', "silence", []),
        ('waitUrl="/music"', "/music.mp3", [f"A POST /music in-progress {WAITS}"]),
        ('waitUrl="/music" waitMethod="GET"', "/music.mp3", [f"A GET /music in-progress {WAITS}"]),
        ('waitUrl="/song" waitMethod="GET"', "/song", [f"A GET /song in-progress {WAITS}"]),
        ('waitUrl="http://twimlets.com/holdmusic?Bucket=com.twilio.music.rock"', "builtin:hold", []),
        ('waitUrl="http://s3.amazonaws.com/com.twilio.sounds.music/index.xml"', "builtin:hold", []),
    ],
)
def test_the_first_participant_hears_the_wait_url(world: World, attributes: str, heard: str, asked: list[str]) -> None:
    world.pages[f"{APP}/song"] = "audio"
    told = Told(world, A=world.calls_in("a", room_page(world, "first", attributes)))
    assert told.news() == ["A POST /first ringing", *asked]
    assert told.hears() == {"A": heard}
    assert told.statuses() == {"A": "in-progress"}
    told.name(B=world.calls_in("b", room_page(world, "second")))
    assert told.hears() == {"A": "B", "B": "A"}
    world.passes(60)
    assert told.news() == ["B POST /second ringing"]


def test_a_wait_file_loops(world: World) -> None:
    world.pages[f"{APP}/song"] = "audio"
    told = Told(world, A=world.calls_in("a", room_page(world, "first", 'waitUrl="/song"')))
    assert world.playing[told["A"]][1:] == (f"clip:{APP}/song", 0)


def test_after_a_wait_document_there_is_silence(world: World) -> None:
    pages(world, once="<Play>/once.mp3</Play><Pause length='2'/>")
    told = Told(world, A=world.calls_in("a", room_page(world, "first", 'waitUrl="/once"')))
    told.news()
    world.sound_ends(told["A"])
    world.passes(600)
    assert told.hears() == {"A": "silence"}
    assert told.news() == []


def test_a_wait_document_loops_by_a_redirect_to_itself(world: World) -> None:
    pages(world, loop="<Play>/once.mp3</Play><Redirect/>")
    told = Told(world, A=world.calls_in("a", room_page(world, "first", 'waitUrl="/loop"')))
    told.news()
    for _ in range(3):
        world.sound_ends(told["A"])
    assert told.news() == ["A POST /loop in-progress " + WAITS] * 3
    assert told.hears() == {"A": "/once.mp3"}


def test_a_wait_url_that_fails_is_no_admission(world: World) -> None:
    told = Told(world, A=world.calls_in("a", room_page(world, "first", f'waitUrl="/gone" {EVERY}')))
    assert told.news() == [
        "A POST /first ringing",
        f"A POST /events 1 participant-join {PLAIN}",
        f"A POST /gone in-progress {WAITS}",
        f"A POST /events 2 participant-leave {PLAIN} ParticipantCallStatus=in-progress "
        "ReasonParticipantLeft=participant_add_failed",
        "POST /events 3 conference-end ReasonConferenceEnded=last-participant-left Reason=last participant left "
        "CallSidEndingConference=A",
        "A POST /after in-progress DialCallStatus=answered",
    ]
    missed, refused = world.notifications
    assert (missed.code, refused.code) == (11200, 11200)
    assert refused.message == f"not admitted to the conference, because its waitUrl failed: {missed.message}"
    assert told.hears() == {"A": "/after.mp3"}


@pytest.mark.parametrize(
    "verb", ["<Gather/>", "<Hangup/>", "<Dial>+15550111</Dial>", "<Leave/>", "<Enqueue>q</Enqueue>"]
)
def test_a_wait_document_with_a_verb_it_may_not_use_is_13238_and_silence(world: World, verb: str) -> None:
    pages(world, wrong=f"<Play>/never.mp3</Play>{verb}")
    told = Told(world, A=world.calls_in("a", room_page(world, "first", 'waitUrl="/wrong"')))
    assert [notice.code for notice in world.notifications] == [13238]
    assert told.hears() == {"A": "silence"}
    told.name(B=world.calls_in("b", room_page(world, "second")))
    assert told.hears() == {"A": "B", "B": "A"}


def test_another_wait_url_by_rest_is_heard_before_the_start_and_means_nothing_after(world: World) -> None:
    told = Told(world, A=world.calls_in("a", room_page(world, "first", EVERY)))
    room = room_of(world, told["A"])
    change = ChangeParticipant(room=room.sid, call=told["A"], wait=WebRequest(url=f"{APP}/music"))
    told.news()
    world.post(change)
    assert told.news() == [f"A POST /events 2 participant-modify {PLAIN}", f"A POST /music in-progress {WAITS}"]
    assert told.hears() == {"A": "/music.mp3"}
    told.name(B=world.calls_in("b", room_page(world, "second")))
    told.news()
    world.post(change)
    assert told.news() == [f"A POST /events 5 participant-modify {PLAIN}"]
    assert told.hears() == {"A": "B", "B": "A"}


def test_hold_before_the_start_replaces_the_wait_and_counts_as_present(world: World) -> None:
    told = Told(world, A=world.calls_in("a", room_page(world, "first", 'waitUrl="/music"')))
    room = room_of(world, told["A"])
    world.post(ChangeParticipant(room=room.sid, call=told["A"], hold=True))
    assert told.hears() == {"A": "builtin:hold"}
    told.name(B=world.calls_in("b", room_page(world, "second")))
    assert room_of(world, told["A"]).status == "in-progress"
    assert told.hears() == {"A": "builtin:hold", "B": "silence"}


def test_unhold_before_the_start_waits_again(world: World) -> None:
    told = Told(world, A=world.calls_in("a", room_page(world, "first", 'waitUrl="/music"')))
    room = room_of(world, told["A"])
    world.post(ChangeParticipant(room=room.sid, call=told["A"], hold=True))
    world.post(ChangeParticipant(room=room.sid, call=told["A"], hold=False))
    assert told.hears() == {"A": "/music.mp3"}
