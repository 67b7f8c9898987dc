"""Corners of an explanation that no story comes to."""

from __future__ import annotations

import json

from holdfast.testing.world import World, twiml
from holdfast.voice.diagnostics.explain import explain
from holdfast.voice.diagnostics.explain_player import newest_sound, recent_failures, without_parameters
from holdfast.voice.model.commands import Admission, CreateCall, Instruction, ReserveParticipant, Target
from holdfast.voice.model.ids import AccountSid, CallSid, RoomSid
from holdfast.voice.model.ports import JournalEntry

A, B, C = "CA1/main1/1.a", "CA1/main1/2.b", "CA1/main1/3.c"


def entry(kind: str, **data: object) -> JournalEntry:
    return JournalEntry(at=0.0, call="CA1", kind=kind, data=json.dumps(data))


def test_only_the_newest_sound_of_a_player_counts() -> None:
    assert newest_sound([]).describe() == "silence: nothing is played to it"
    first, second = entry("PlaySound", token=A, source="a"), entry("PlaySound", token=B, source="b")
    assert newest_sound([first, second, entry("StopSound", token=A)]).source == "b"
    assert newest_sound([first, entry("SoundEnded", token=B)]).state == "asked"
    assert newest_sound([first, entry("StopSound", token=A)]).describe() == "silence: nothing is played to it"
    late = entry("PlaySound", token=C, source="builtin:music", while_loading=A)
    assert newest_sound([first, late]).until == "builtin:music"
    assert newest_sound([first, entry("SoundEnded", token=A), late]).state == "ended"
    assert newest_sound([first, second, late]).until == ""


def test_the_sound_of_a_phone_that_rings_is_named() -> None:
    early = entry("PlaySound", token=A, source="leg:CA1")
    assert newest_sound([early]).describe().startswith("what the phone of CA1 sends before it answers")


def test_sounds_are_named_in_words() -> None:
    def heard(source: str) -> str:
        return newest_sound([entry("PlaySound", token=A, source=source)]).describe()

    assert heard("builtin:beep") == "a beep, played to it alone"
    assert heard("ringing:fr") == "ringing, played to it alone"
    assert heard("digits:12#") == "the digits 12#, played to it alone"
    assert heard("say:en-US:man:" + "so " * 30) == f"the spoken text {('so ' * 20) + '…'!r}, played to it alone"
    assert heard("https://app/song.mp3") == "https://app/song.mp3, played to it alone (silence until that is fetched)"


def test_a_sound_that_a_wait_url_answers_with_is_named_by_its_url() -> None:
    url = "https://app/song.mp3"
    playing = entry("PlaySound", token=A, source="clip:sound-1")
    for asked in (f"{url}?CallSid=CA1&From=a", url):
        fetched = entry("DocumentFetched", token=B, url=asked, clip="sound-1")
        assert newest_sound([fetched, playing]).describe() == f"{url}, played to it alone"
    kept = entry("DocumentFetched", token=B, url=f"{url}?set=2&CallSid=CA1&From=a", clip="sound-1")
    assert newest_sound([kept, playing]).describe() == f"{url}?set=2, played to it alone"
    other = entry("DocumentFetched", token=B, url=url, clip="sound-2")
    assert newest_sound([other, entry("DocumentFetched", token=B, url=url), playing]).describe().startswith("sound-1,")


def test_urls_are_shown_as_their_owner_wrote_them() -> None:
    assert without_parameters("http://a/b?CallSid=CA1&From=%2B1: nobody listens there") == (
        "http://a/b: nobody listens there"
    )
    assert without_parameters("http://a/b?x=1&CallSid=CA1&From=a:b answered with 404") == (
        "http://a/b?x=1 answered with 404"
    )
    assert without_parameters("http://a/b?x=1: what") == "http://a/b?x=1: what"
    missed = entry("DocumentFetchFailed", code=11202, message="http://a/b?CallSid=CA1: nobody listens there")
    assert recent_failures([missed]) == ["error 11202: http://a/b: nobody listens there"]


def test_the_newest_failures_are_listed_once_each() -> None:
    notes = [entry("LogNotification", code=n, log=n % 2, message="x") for n in (1, 2, 3, 4, 1)]
    assert recent_failures(notes) == ["warning 3: x", "error 4: x", "warning 1: x"]


def test_a_seat_that_is_only_reserved() -> None:
    world = World()
    world.pages["https://app/room"] = twiml("<Dial><Conference>room</Conference></Dial>")
    world.calls_in("alice", "https://app/room")
    account, bob = AccountSid("AC" + "0" * 32), CallSid("CA" + "b" * 32)
    seat = ReserveParticipant(
        call=bob, account=account, admission=Admission(name="room"), new_room=RoomSid("CF" + "0" * 32)
    )
    world.post(
        CreateCall(
            call=bob,
            account=account,
            target=Target(to="client:bob"),
            from_="+15550100",
            instruction=Instruction(twiml="<Response/>"),
            callback=None,
            timeout_s=60,
            time_limit_s=60,
            send_digits="",
            reserve=seat,
        )
    )
    told = explain(world.call(bob), world.state, (), now=world.now)
    assert "It is only listed there: it is queued." in told


def test_a_deleted_call_is_named_by_its_sid() -> None:
    world = World()
    world.pages["https://app/room"] = twiml("<Dial><Conference>room</Conference></Dial>")
    alice, bob = (world.calls_in(name, "https://app/room") for name in ("alice", "bob"))
    del world.state.calls[bob]
    assert f"It hears {bob}." in explain(world.call(alice), world.state, (), now=world.now)
