"""Announcements: to one participant and to a whole conference, over whatever is heard otherwise.

Source: Conference AnnounceUrl, Participant AnnounceUrl; conference status callback.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import World
from holdfast.voice.model.commands import AnnounceToRoom, ChangeParticipant, EndRoom, WebRequest
from holdfast.voice.model.errors import ConferenceNotActive
from tests.stories.conference_events import PLAIN, room_of, room_page, two
from tests.stories.leg_events import Told, pages

HEARS = "ConferenceSid=CF FriendlyName=room Hold={} Muted=false Coaching=false"
NEWS = WebRequest(url="https://app.example/news")


def test_an_announcement_to_one_is_heard_by_it_alone_and_then_the_room_again(world: World) -> None:
    told = two(world)
    pages(world, news="<Play>/news.mp3</Play>")
    world.withheld_urls.add(NEWS.url)
    world.post(ChangeParticipant(room=room_of(world, told["A"]).sid, call=told["A"], announce=NEWS))
    assert told.hears() == {"A": "B", "B": "A"}
    world.release(NEWS.url)
    assert told.hears() == {"A": "/news.mp3", "B": "A"}
    world.sound_ends(told["A"])
    assert told.hears() == {"A": "B", "B": "A"}
    assert told.news() == [
        f"A POST /news in-progress {HEARS.format('false')}",
        f"A POST /events 4 announcement-end {PLAIN} AnnounceUrl=/news",
    ]


def test_a_held_participant_hears_its_announcement_before_its_hold_continues(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    pages(world, news="<Play>/news.mp3</Play>")
    world.post(ChangeParticipant(room=room, call=told["A"], hold=True))
    world.post(ChangeParticipant(room=room, call=told["A"], announce=NEWS))
    assert told.hears() == {"A": "/news.mp3", "B": "silence"}
    world.sound_ends(told["A"])
    assert told.hears() == {"A": "builtin:hold", "B": "silence"}


def test_a_hold_during_an_announcement_begins_after_it(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    pages(world, news="<Play>/news.mp3</Play>")
    world.post(ChangeParticipant(room=room, call=told["A"], announce=NEWS))
    world.post(ChangeParticipant(room=room, call=told["A"], hold=True))
    assert told.hears() == {"A": "/news.mp3", "B": "silence"}
    world.sound_ends(told["A"])
    assert told.hears() == {"A": "builtin:hold", "B": "silence"}
    world.post(ChangeParticipant(room=room, call=told["A"], announce=NEWS))
    world.post(ChangeParticipant(room=room, call=told["A"], hold=False))
    assert told.hears() == {"A": "/news.mp3", "B": "A"}
    world.sound_ends(told["A"])
    assert told.hears() == {"A": "B", "B": "A"}


def test_an_announcement_while_the_conference_has_not_begun(world: World) -> None:
    told = Told(world, A=world.calls_in("a", room_page(world, "first", 'waitUrl="/music"')))
    pages(world, news="<Play>/news.mp3</Play>")
    world.post(ChangeParticipant(room=room_of(world, told["A"]).sid, call=told["A"], announce=NEWS))
    assert told.hears() == {"A": "/news.mp3"}
    world.sound_ends(told["A"])
    assert told.hears() == {"A": "/music.mp3"}


def test_an_announcement_to_all_is_one_request_and_passes_by_those_on_hold(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    told.name(C=world.calls_in("c", room_page(world, "third")))
    world.post(ChangeParticipant(room=room, call=told["C"], hold=True))
    told.news()
    pages(world, news="<Play>/news.mp3</Play>")
    world.post(AnnounceToRoom(room=room, request=NEWS))
    assert told.hears() == {"A": "/news.mp3", "B": "/news.mp3", "C": "builtin:hold"}
    assert told.news() == [f"A POST /news in-progress {HEARS.format('false')}"]
    world.sound_ends(told["A"])
    assert told.news() == []
    assert told.hears() == {"A": "B", "B": "/news.mp3", "C": "builtin:hold"}
    world.sound_ends(told["B"])
    assert told.news() == ["POST /events 6 announcement-end AnnounceUrl=/news"]
    assert told.hears() == {"A": "B", "B": "A", "C": "builtin:hold"}


def test_an_audio_file_is_announced_to_all(world: World) -> None:
    told = two(world)
    world.pages[NEWS.url] = "audio"
    world.post(AnnounceToRoom(room=room_of(world, told["A"]).sid, request=NEWS))
    assert told.hears() == {"A": "/news", "B": "/news"}
    assert world.playing[told["B"]][2] == 1


def test_the_next_listener_fetches_the_announcement_when_the_first_leaves(world: World) -> None:
    told = two(world)
    pages(world, news="<Play>/news.mp3</Play>")
    world.withheld_urls.add(NEWS.url)
    world.post(AnnounceToRoom(room=room_of(world, told["A"]).sid, request=NEWS))
    world.hangs_up(told["A"])
    world.release(NEWS.url)
    assert told.hears() == {"A": "nothing", "B": "/news.mp3"}
    assert [line.split()[0] for line in told.news() if "/news " in line] == ["A", "B"]
    world.hangs_up(told["B"])
    assert world.events()[-2:] == ["announcement-end", "conference-end"]


def test_an_announcement_continues_when_one_listener_leaves(world: World) -> None:
    told = two(world)
    pages(world, news="<Play>/news.mp3</Play>")
    world.post(AnnounceToRoom(room=room_of(world, told["A"]).sid, request=NEWS))
    world.hangs_up(told["A"])
    assert told.hears() == {"A": "nothing", "B": "/news.mp3"}
    assert "announcement-end" not in world.events()
    world.sound_ends(told["B"])
    assert world.events()[-1] == "announcement-end"


def test_an_announcement_without_listeners_ends_at_once(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    for call in (told["A"], told["B"]):
        world.post(ChangeParticipant(room=room, call=call, hold=True))
    told.news()
    world.post(AnnounceToRoom(room=room, request=NEWS))
    assert told.news() == ["POST /events 6 announcement-end AnnounceUrl=/news"]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(("page", "code"), [(None, 11200), ("<Response><Gather/></Response>", 13238)])
def test_an_announcement_that_fails(world: World, page: str | None, code: int, *, whole: bool) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    world.pages[NEWS.url] = page
    world.post(
        AnnounceToRoom(room=room, request=NEWS)
        if whole
        else ChangeParticipant(room=room, call=told["A"], announce=NEWS)
    )
    assert [notice.code for notice in world.notifications] == [code]
    assert told.hears() == {"A": "B", "B": "A"}
    failed = [line for line in told.news() if "announcement" in line]
    about = "POST /events 4 announcement-fail" if whole else f"A POST /events 4 announcement-fail {PLAIN}"
    reason = "<Gather> may not be used in this announce document"
    assert failed == ([f"{about} AnnounceUrl=/news ReasonAnnouncementFailed={reason}"] if code == 13238 else [])


def test_an_announcement_to_one_cuts_off_that_to_all(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    pages(world, news="<Play>/news.mp3</Play>", own="<Play>/own.mp3</Play>")
    world.post(AnnounceToRoom(room=room, request=NEWS))
    world.post(ChangeParticipant(room=room, call=told["A"], announce=WebRequest(url="https://app.example/own")))
    assert told.hears() == {"A": "/own.mp3", "B": "/news.mp3"}
    told.news()
    world.sound_ends(told["B"])
    world.sound_ends(told["A"])
    assert told.news() == [
        "POST /events 4 announcement-end AnnounceUrl=/news",
        f"A POST /events 5 announcement-end {PLAIN} AnnounceUrl=/own",
    ]


def test_a_completed_conference_takes_no_announcement(world: World) -> None:
    told = two(world)
    room = room_of(world, told["A"]).sid
    world.post(EndRoom(room=room))
    with pytest.raises(ConferenceNotActive) as refused:
        world.post(AnnounceToRoom(room=room, request=NEWS))
    assert (refused.value.code, refused.value.http) == (16022, 400)


def test_a_failed_announcement_to_the_room_is_not_requested_again_when_its_first_listener_leaves(world: World) -> None:
    told = two(world)
    world.pages[NEWS.url] = None
    world.post(AnnounceToRoom(room=room_of(world, told["A"]).sid, request=NEWS))
    assert room_of(world, told["B"]).announcement is None
    asked = world.urls().count(NEWS.url)
    world.hangs_up(told["A"])
    world.hangs_up(told["B"])
    assert (asked, world.urls().count(NEWS.url)) == (1, 1)
