"""Each document that we give to calls, byte for byte."""

from __future__ import annotations

import pytest

from holdfast.holds.policy import Policy
from holdfast.holds.steps.account_steps import (
    ContinueDocument,
    Document,
    EndLeg,
    JoinConference,
    Park,
    TakeFromQueue,
    WaitInQueue,
)
from holdfast.holds.steps.documents import Documents, is_audio

BASE = "https://holds.example/base/twiml"
MUSIC = "https://cdn.example/m.mp3"
TWIML = "https://app.example/hold"
AFTER = "https://app.example/after?a=1&b=2"
QUOTED = "https%3A%2F%2Fapp.example%2Fafter%3Fa%3D1%26b%3D2"


@pytest.fixture
def documents() -> Documents:
    return Documents("https://holds.example/base/", Policy())


def body(twiml: str) -> str:
    head, tail = '<?xml version="1.0" encoding="UTF-8"?><Response>', "</Response>"
    assert twiml.startswith(head)
    assert twiml.endswith(tail)
    return twiml.removeprefix(head).removesuffix(tail)


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        (
            WaitInQueue(queue="q", music=None, generation=3),
            f'<Enqueue action="{BASE}/continue?turn=3" method="POST">q</Enqueue>',
        ),
        (
            WaitInQueue(queue="q", music=MUSIC, generation=3),
            f'<Enqueue action="{BASE}/continue?turn=3" method="POST" waitUrl="{BASE}/wait" waitUrlMethod="POST">'
            "q</Enqueue>",
        ),
        (
            WaitInQueue(queue="q", music=TWIML, generation=0),
            f'<Enqueue action="{BASE}/continue" method="POST" waitUrl="{TWIML}" waitUrlMethod="GET">q</Enqueue>',
        ),
        (Park(), f'<Pause length="2400" /><Redirect method="POST">{BASE}/park</Redirect>'),
        (Park(limit_s=60.0), f'<Pause length="660" /><Redirect method="POST">{BASE}/park</Redirect>'),
        (
            TakeFromQueue(queue="q", generation=2),
            f'<Dial action="{BASE}/continue?turn=2" method="POST" timeout="15"><Queue>q</Queue></Dial>',
        ),
        (
            JoinConference(room="r", generation=1),
            f'<Dial action="{BASE}/continue?turn=1" method="POST"><Conference beep="false" endConferenceOnExit="true" '
            'startConferenceOnEnter="true" waitUrl="">r</Conference></Dial>',
        ),
        (ContinueDocument(url=TWIML), f'<Redirect method="POST">{TWIML}</Redirect>'),
        (EndLeg(), "<Hangup />"),
    ],
)
def test_a_document_is_written_byte_for_byte(documents: Documents, document: Document, wanted: str) -> None:
    assert body(documents.write(document)) == wanted
    # The URL to continue with is carried in the URL of the continuation.
    query = "&amp;" if "?turn=" in wanted else "?"
    carried = wanted.replace('" method="POST"', f'{query}after={QUOTED}" method="POST"', 1)
    if "/continue" not in wanted:
        carried = wanted
    assert body(documents.write(document, after=AFTER)) == carried


def test_music_is_looped_and_a_document_is_redirected_to(documents: Documents) -> None:
    play = f'<Play loop="0">{MUSIC}</Play>'
    assert body(documents.music(MUSIC)) == play * 15
    again = documents.music_url(MUSIC)
    assert again == f"{BASE}/music?url=https%3A%2F%2Fcdn.example%2Fm.mp3"
    assert body(documents.music(MUSIC, repeat_url=again)) == play * 15 + f'<Redirect method="GET">{again}</Redirect>'
    assert body(documents.music(TWIML, repeat_url=again)) == f'<Redirect method="GET">{TWIML}</Redirect>'


def test_a_document_of_music_is_as_long_as_an_account_reads(documents: Documents) -> None:
    for length in (3_900, 3_950, 4_000, 4_050):
        url = "https://cdn.example/" + "a" * (length - 24) + ".mp3"
        plays = documents.music(url).count("<Play")
        assert plays == 60_000 // (length + len('<Play loop="0"></Play>'))


@pytest.mark.parametrize(
    ("to", "noun", "text"),
    [
        ("sip:bob@x", "Sip", "sip:bob@x"),
        ("sips:bob@x", "Sip", "sips:bob@x"),
        ("client:bob", "Client", "bob"),
        ("+15550100", "Number", "+15550100"),
    ],
)
def test_a_dial_that_we_serve_continues_with_us_and_its_child_reports_to_us(
    documents: Documents, to: str, noun: str, text: str
) -> None:
    events = 'statusCallbackEvent="initiated answered completed" statusCallbackMethod="POST"'
    assert body(documents.dial(to)) == (
        f'<Dial action="{BASE}/continue" method="POST">'
        f'<{noun} statusCallback="{BASE}/child" {events}>{text}</{noun}></Dial>'
    )
    assert body(documents.dial(to, caller_id="+1", after=AFTER)) == (
        f'<Dial action="{BASE}/continue?after={QUOTED}" callerId="+1" method="POST">'
        f'<{noun} statusCallback="{BASE}/child?after={QUOTED}" {events}>{text}</{noun}></Dial>'
    )


@pytest.mark.parametrize("suffix", ["mp3", "wav", "wave", "ulaw", "au", "aif", "aiff", "aifc", "gsm", "ogg", "flac"])
def test_audio_is_known_by_the_suffix_of_its_path(suffix: str) -> None:
    assert is_audio(f"https://cdn.example/m.{suffix}")
    assert is_audio(f"https://cdn.example/m.{suffix.upper()}?x=1")
    assert not is_audio(f"https://cdn.example/m?file=a.{suffix}")
    assert not is_audio(f"https://cdn.example/m.{suffix}/twiml")
