"""The ladder draws every line of the journal, and any journal there can be."""

from __future__ import annotations

import json
from random import Random

import pytest

from holdfast.testing.world import World, twiml
from holdfast.voice.control.serialization import encode
from holdfast.voice.diagnostics.ladder import ladder
from holdfast.voice.model.effects import LogNotification, PlaySound, StopSound, VerbBegan
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import JournalEntry

CALL = CallSid("CA" + "1" * 32)


def entry(kind: str, /, **data: object) -> JournalEntry:
    return JournalEntry(at=100.25, call=CALL, kind=kind, data=json.dumps(data))


def drawn(*entries: JournalEntry) -> list[str]:
    """The rungs, without the head."""
    return [line.strip() for line in ladder(CALL, [entry("Begin"), *entries]).splitlines()[5:]]


def test_nothing_is_known() -> None:
    assert ladder(CALL, []) == f"{CALL}: nothing is known of this call."


SDP = "v=0\r\nc=IN IP4 192.0.2.1\r\na=inactive\r\nm=audio 4000 RTP/AVP 0 101\r\n"


@pytest.mark.parametrize(
    ("sdp", "sounds"),
    [
        (SDP, ["audio 192.0.2.1:4000 RTP/AVP 0 101 inactive"]),
        (SDP + "c=IN IP4 192.0.2.9\r\na=sendonly\r\n", ["audio 192.0.2.9:4000 RTP/AVP 0 101 sendonly"]),
        ("v=0\r\nm=video 1 RTP/AVP 96\r\nm=audio 4000 RTP/AVP 0\r\n", ["audio ?:4000 RTP/AVP 0 sendrecv"]),
        ("m=\r\n", []),
        ("m=", []),
        ("", []),
    ],
)
def test_a_sip_message_shows_where_it_wants_audio(sdp: str, sounds: list[str]) -> None:
    message = entry("sip", received=True, summary="INVITE sip:a", text=f"INVITE sip:a SIP/2.0\r\nX: y\r\n\r\n{sdp}")
    assert [line.split("  ")[-1].strip() for line in drawn(message)[1:]] == sounds


def test_rungs_stand_in_the_order_of_time() -> None:
    later = JournalEntry(at=100.5, call=CALL, kind="LegAnswered", data="{}")
    assert [line.split()[-1] for line in drawn(later, entry("LegRinging"))] == ["rings", "answered"]


def test_the_head_says_which_call_and_when() -> None:
    head = ladder(CALL, [entry("LegRinging")]).splitlines()
    assert head[0] == f"{CALL}   begun Thu, 01 Jan 1970 00:01:40 +0000"
    assert head[4].endswith("rings")


@pytest.mark.parametrize(
    ("line", "rung"),
    [
        (entry("sip", received=True, summary="INVITE sip:a"), "INVITE sip:a ─────"),
        (entry("sip", received=False, summary="200 OK"), "◀──────"),
        (entry("Hears", hears=None), "♪ hears its own player"),
        (entry("Hears", hears=[]), "♪ hears silence"),
        (entry("Hears", hears=["CA2", "CA3"]), "♪ hears CA2 + CA3"),
        (entry("PlaySound", source="x", rounds=0), "♪ plays x in a loop"),
        (entry("PlaySound", source="x", rounds=3), "♪ plays x 3 times"),
        (entry("PlaySound", source="x"), "♪ plays x"),
        (entry("PlaySound", source="x", while_loading=True), "♪ plays x, if its own sound has not begun"),
        (entry("Beep", tone="entry"), "♪ a beep to its room: it enters"),
        (entry("Beep", tone="exit"), "♪ a beep to its room: it leaves"),
        (entry("StopSound"), "♪ stops"),
        (entry("VerbBegan", role="main", verb="Dial"), "▌ <Dial>"),
        (entry("VerbBegan", role="hold", verb="Play"), "▌ <Play> (hold)"),
        (entry("LogNotification", log=0, code=11200, message="gone"), "! error 11200: gone"),
        (entry("LogNotification", log=1, code=12200, message="odd"), "! warning 12200: odd"),
        (entry("ReceiveCall", from_="client:a", to="+1"), "call in from client:a to +1"),
        (entry("CreateCall", target={"to": "client:b"}), "REST: create the call to client:b"),
        (entry("CallChild", parent="CA2", target={"to": "client:b"}), "dialled by CA2 to client:b"),
        (entry("ChangeParticipant", hold=True, muted=False), "REST: change the participant: hold=True muted=False"),
        (entry("ChangeParticipant"), "REST: change the participant"),
        (entry("EnterConference", admission={"name": "r"}), "enters conference 'r'"),
        (entry("JoinQueue", name="q"), "enters queue 'q'"),
        (entry("LegRefused", sip_code=486, reason="Busy Here"), "refused: 486 Busy Here"),
        (entry("LegRefused", sip_code=404), "refused: 404"),
        (entry("RoomLeft", reason="kicked"), "out of the room: kicked"),
        (entry("DigitPressed", digit="5"), "digit 5"),
        (entry("SoundFailed", code=11200, message="gone"), "sound failed: 11200 gone"),
        (entry("ChildEnded", status="busy"), "child ended: busy"),
        (entry("RedirectCall", instruction={"request": {"url": "http://x/"}}), "redirect to http://x/"),
        (entry("RedirectCall", instruction={}), "redirect to a document given inline"),
        (entry("SomethingNew"), "SomethingNew"),
    ],
)
def test_a_line_and_its_rung(line: JournalEntry, rung: str) -> None:
    (one,) = drawn(line)
    assert rung in one
    assert one.startswith("0.000")


def test_hidden_kinds_are_left_out() -> None:
    assert drawn(entry("TimerFired"), entry("StopScript")) == []


def test_a_webhook_is_drawn_with_its_parameters() -> None:
    seen = {
        "method": "POST",
        "url": "http://x/" + "long" * 40,
        "status": 200,
        "took_ms": 4,
        "content_type": "text/xml",
        "error": "",
        "form": [["CallStatus", "ringing"], ["CallSid", CALL]],
    }
    asked, told = drawn(entry("webhook", **seen))
    assert "POST http://x/long" in asked
    assert "…" in asked
    assert "200 text/xml, 4 ms" in asked
    assert told.endswith("CallStatus=ringing")
    (failed,) = drawn(entry("webhook", **(seen | {"status": 0, "content_type": "", "error": "refused", "form": []})))
    assert "no answer, 4 ms refused" in failed


def test_the_journal_of_a_whole_story_is_drawn() -> None:
    world = World()
    dice = Random(7)
    parent = world.calls_in("a", twiml=twiml("<Dial><Client>b</Client></Dial><Play>http://x/a.mp3</Play>"))
    (child,) = world.children(parent)
    for deed in (world.rings, world.answers, world.hangs_up):
        world.passes(dice.random())
        deed(child)
    lines = [
        JournalEntry(at=world.now, call=parent, kind=type(effect).__name__, data=encode(effect))
        for effect in world.effects
        if isinstance(effect, PlaySound | StopSound | VerbBegan | LogNotification)
    ]
    text = ladder(parent, lines)
    assert text.count("▌ <") == 2
    assert "♪ plays builtin:ringback in a loop" in text
