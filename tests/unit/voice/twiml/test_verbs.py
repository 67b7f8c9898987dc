"""Elements become verbs, with Twilio's defaults, limits and warnings."""

import pytest

from holdfast.voice.model.commands import WebRequest
from holdfast.voice.twiml.document import Document, read
from holdfast.voice.twiml.verb import Verb
from holdfast.voice.twiml.verbs.control_flow import (
    Hangup,
    Leave,
    Pause,
    Redirect,
    Reject,
)
from holdfast.voice.twiml.verbs.dial_legs import DialLegs
from holdfast.voice.twiml.verbs.play_say import Play, Say

URL = "https://app.example/voice"


def one(element: str) -> tuple[Verb | None, list[int]]:
    """The verb an element means, and the codes of the warnings."""
    meaning = read(Document(role="main", url=URL, text=f"<Response>{element}</Response>"))
    assert len(meaning.verbs) <= 1
    return (meaning.verbs[0] if meaning.verbs else None), [warned.code for warned in meaning.warnings]


@pytest.mark.parametrize(
    ("element", "verb", "codes"),
    [
        ("<Pause/>", Pause(length_s=1), []),
        ("<Pause length='0'/>", Pause(length_s=1), [13910]),
        ("<Redirect>/x</Redirect>", Redirect(request=WebRequest(url="https://app.example/x")), []),
        ("<Redirect method='get'/>", Redirect(request=WebRequest(url=URL, method="GET")), []),
        ("<Hangup/>", Hangup(), []),
        ("<Reject/>", Reject(sip_code=603), []),
        ("<Reject reason='busy'/>", Reject(sip_code=486), []),
        ("<Leave/>", Leave(), []),
        ("<Play>/a.mp3</Play>", Play(source="https://app.example/a.mp3"), []),
        ("<Play loop='0'> /a.mp3 </Play>", Play(source="https://app.example/a.mp3", rounds=0), []),
        ("<Play digits='12w*#AdW'/>", Play(source="digits:12w*#AdW"), []),
        ("<Play>builtin:music</Play>", Play(source="builtin:music"), []),
        ("<Play digits='1x'/>", None, [12200]),
        (f"<Play digits='{'1' * 201}'/>", None, [12200]),
        ("<Play/>", None, [12200]),
    ],
)
def test_an_element_and_its_verb(element: str, verb: Verb | None, codes: list[int]) -> None:
    assert one(element) == (verb, codes)


def test_a_text_too_long_is_cut_with_a_warning() -> None:
    verb, codes = one(f"<Say>{'a' * 5000}</Say>")
    assert isinstance(verb, Say)
    assert len(verb.text) == 4096
    assert len(codes) == 1


def legs(element: str) -> tuple[list[str], list[int]]:
    """Whom a Dial rings, and the warnings."""
    verb, codes = one(element)
    assert verb is None or isinstance(verb, DialLegs)
    return ([] if verb is None else [noun.target.to for noun in verb.nouns]), codes


@pytest.mark.parametrize(
    ("inside", "to"),
    [
        ("+1 (555) 010-0", ["+15550100"]),
        ("<Number>+15550100</Number>", ["+15550100"]),
        ("<Client>agent</Client>", ["client:agent"]),
        ("<Client>client:agent</Client>", ["client:agent"]),
        ("<Client><Identity>agent</Identity><Parameter name='a' value='b'/></Client>", ["client:agent"]),
        ("<Sip>sip:a@b.example;transport=tcp</Sip>", ["sip:a@b.example;transport=tcp"]),
        ("<Number>+15550100</Number><Client>a</Client><Sip>sip:a@b</Sip>", ["+15550100", "client:a", "sip:a@b"]),
    ],
)
def test_the_targets_of_a_dial(inside: str, to: list[str]) -> None:
    assert legs(f"<Dial>{inside}</Dial>") == (to, [])


@pytest.mark.parametrize(
    "inside",
    ["", "<Number/>", "<Client/>", "<Sip>http://x/</Sip>", f"<Number>{'9' * 300}</Number>", "<Client>a b</Client>"],
)
def test_a_dial_without_a_noun_is_ignored_with_a_warning(inside: str) -> None:
    to, codes = legs(f"<Dial>{inside}</Dial>")
    assert to == []
    assert codes


def test_a_dial_of_two_hundred_nouns_rings_ten() -> None:
    to, codes = legs("<Dial>" + "".join(f"<Client>c{number}</Client>" for number in range(200)) + "</Dial>")
    assert to == [f"client:c{number}" for number in range(10)]
    assert len(codes) == 1


def test_conference_and_queue_stand_alone() -> None:
    verb, codes = one("<Dial><Conference>r</Conference><Number>+15550100</Number></Dial>")
    assert type(verb).__name__ == "DialConference"
    assert codes == [13215]
    verb, codes = one("<Dial><Number>+15550100</Number><Queue>q</Queue></Dial>")
    assert type(verb).__name__ == "DialQueueVerb"
    assert codes == [13215]


def test_an_unknown_element_in_a_dial_is_ignored() -> None:
    to, codes = legs("<Dial><Play>x</Play><Client>a</Client></Dial>")
    assert to == ["client:a"]
    assert codes == [13215]


def test_touch_tones_that_are_none_are_not_sent() -> None:
    verb, codes = one("<Dial><Number sendDigits='12x'>+15550100</Number></Dial>")
    assert isinstance(verb, DialLegs)
    assert verb.nouns[0].send_digits == ""
    assert len(codes) == 1


def test_a_callbacks_event_that_is_none_is_warned_of() -> None:
    _, codes = one("<Dial><Client statusCallback='/x' statusCallbackEvent='answered,gone'>a</Client></Dial>")
    assert len(codes) == 1
