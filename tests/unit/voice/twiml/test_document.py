"""Documents: what is one, what is not, and that no text whatever does more than be refused.

Source: TwiML documents; errors 11750, 12100, 12102, 12200, 12300, 13238.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.voice.model.commands import Role
from holdfast.voice.model.errors import ContentTypeInvalid, DocumentTooLarge, DocumentUnreadable, VoiceError
from holdfast.voice.twiml.document import MAX_BYTES, VERBS, Document, VerbNotAllowed, from_response, read
from holdfast.voice.twiml.verbs.control_flow import Pause, Redirect
from holdfast.voice.twiml.verbs.play_say import Play, Say

URL = "https://app.example/dir/voice?x=1"
AUDIO = {"Say", "Play", "Pause", "Redirect"}
ALLOWED: dict[Role, set[str]] = {
    "main": set(VERBS),
    "queue": AUDIO | {"Hangup", "Leave", "Gather"},
    "wait": AUDIO,
    "hold": AUDIO,
    "announce": AUDIO,
    "comfort": AUDIO,
    "whisper": AUDIO,
    "screen": AUDIO | {"Hangup", "Reject", "Gather"},
}
"""The verbs of each document. Source: Twilio docs of waitUrl, HoldUrl, AnnounceUrl, <Number url>; error 13238."""


def document(text: str, role: Role = "main") -> Document:
    return Document(role=role, url=URL, text=text)


def received(content_type: str, body: str = "<Response/>", clip: str | None = None) -> Document:
    return from_response(role="main", url=URL, method="GET", content_type=content_type, body=body, clip=clip)


@pytest.mark.parametrize("kind", ["text/xml", "application/xml", "text/html; charset=utf-8", "TEXT/XML"])
def test_these_types_are_twiml(kind: str) -> None:
    assert received(kind, "<Response><Pause/></Response>").text == "<Response><Pause/></Response>"


def test_plain_text_is_twiml_when_it_is_a_response_and_spoken_otherwise() -> None:
    assert read(received("text/plain", "<Response><Pause/></Response>")).verbs == (Pause(),)
    (spoken,) = read(received("text/plain", "Fish & <chips>")).verbs
    assert isinstance(spoken, Say)
    assert spoken.text == "Fish & <chips>"


def test_a_sound_is_played_once() -> None:
    assert read(received("audio/mpeg", "", "abc")).verbs == (Play(source="clip:abc", rounds=1),)


@pytest.mark.parametrize(
    "page",
    ["<!doctype html><html><body>404</body></html>", "<!DOCTYPE html>\n<html/>", "\n<HTML><br></HTML>", "<html/>"],
)
def test_a_web_page_is_named_with_its_address(page: str) -> None:
    with pytest.raises(DocumentUnreadable) as wrong:
        read(received("text/html", page))
    assert wrong.value.message.endswith(f"; {URL} answered with what looks like a web page (text/html)")
    with pytest.raises(DocumentUnreadable, match=r"no element found: line 1, column 10$"):
        read(received("text/html", "<Response>"))


@pytest.mark.parametrize("kind", ["application/json", "image/png", ""])
def test_other_types_are_12300(kind: str) -> None:
    with pytest.raises(ContentTypeInvalid) as wrong:
        received(kind)
    assert wrong.value.code == 12300


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no xml",
        "<Response>",
        "<Response></Respond>",
        " <?xml version='1.0'?><Response/>",
        "<Response>&nbsp;</Response>",
        "<Response><Play>http://x/?a=1&b=2</Play></Response>",
        "<Response/>" * 2,
        "\ud800",
        "<Response>\x00</Response>",
    ],
)
def test_an_unreadable_document_is_12100(text: str) -> None:
    with pytest.raises(DocumentUnreadable) as wrong:
        read(document(text))
    assert wrong.value.code == 12100


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<?xml version='2.0'?><Response/>", 12101),
        ("<Say>hello</Say>", 12102),
        ("<response/>", 12102),
        ("<html><body>error</body></html>", 12102),
    ],
)
def test_a_document_of_another_kind(text: str, code: int) -> None:
    with pytest.raises(DocumentUnreadable) as wrong:
        read(document(text))
    assert wrong.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Response><Say>&b;</Say></Response>',
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><Response/>',
        "<!DOCTYPE html><Response/>",
    ],
)
def test_a_document_type_is_refused_before_any_entity_grows(text: str) -> None:
    with pytest.raises(DocumentUnreadable, match="document type"):
        read(document(text))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(DocumentUnreadable, match="deep"):
        read(document("<Response>" + "<Say>" * 5000 + "</Say>" * 5000 + "</Response>"))


def test_more_than_64_kb_is_11750() -> None:
    text = "<Response><Say>" + "ü" * (MAX_BYTES // 2) + "</Say></Response>"
    with pytest.raises(DocumentTooLarge) as wrong:
        read(document(text))
    assert wrong.value.code == 11750
    fits = "<Response><Pause/>" + " " * (MAX_BYTES - 29) + "</Response>"
    assert len(fits) == MAX_BYTES
    assert read(document(fits)).verbs == (Pause(),)


def test_unknown_verbs_and_stray_text_are_passed_over_with_a_warning() -> None:
    meaning = read(
        document("<Response>text<Fax/><say>no</say><!-- c --><?pi?><Pause length='2' colour='red'/></Response>")
    )
    assert meaning.verbs == (Pause(length_s=2),)
    assert [warned.code for warned in meaning.warnings] == [12200, 12200, 12200]


@pytest.mark.parametrize("role", sorted(ALLOWED))
def test_each_kind_of_document_allows_its_verbs_only(role: Role) -> None:
    for name in VERBS:
        text = f"<Response><{name}>x</{name}></Response>"
        if name in ALLOWED[role]:
            read(document(text, role))
        else:
            with pytest.raises(VerbNotAllowed) as wrong:
                read(document(text, role))
            assert wrong.value.code == (13201 if (role, name) == ("screen", "Dial") else 13238)


def test_addresses_are_relative_to_the_document() -> None:
    redirects = read(
        document("<Response><Redirect>next</Redirect><Redirect/><Redirect>http://[bad</Redirect></Response>")
    )
    urls = [verb.request.url for verb in redirects.verbs if isinstance(verb, Redirect)]
    assert urls == ["https://app.example/dir/next", URL, "http://[bad"]


@given(text=st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    codes = set()
    for whole in (text, f"<Response>{text}</Response>"):
        try:
            read(document(whole))
        except VoiceError as refused:
            codes.add(refused.code)
    assert codes <= {11750, 12100, 12101, 12102}


NAMES = st.sampled_from([*VERBS, "Number", "Client", "Sip", "Conference", "Queue", "Parameter", "Identity", "Task"])
ATTRIBUTES = st.sampled_from(
    [
        "action",
        "method",
        "timeout",
        "timeLimit",
        "callerId",
        "hangupOnStar",
        "answerOnBridge",
        "sequential",
        "record",
        "url",
        "waitUrl",
        "waitMethod",
        "waitUrlMethod",
        "muted",
        "beep",
        "startConferenceOnEnter",
        "endConferenceOnExit",
        "participantLabel",
        "coach",
        "maxParticipants",
        "loop",
        "digits",
        "length",
        "reason",
        "numDigits",
        "finishOnKey",
        "input",
        "statusCallback",
        "statusCallbackEvent",
        "sendDigits",
        "username",
        "x",
    ]
)
VALUES = st.sampled_from(
    ["", "true", "false", "maybe", "GET", "put", "1", "-1", "99999999999", "*", "http://x/", "a b"]
)


@st.composite
def elements(draw: st.DrawFn, depth: int = 2) -> str:
    """An element of TwiML's words in any order and nesting."""
    name = draw(NAMES)
    attributes = draw(st.dictionaries(ATTRIBUTES, VALUES, max_size=4))
    inside = draw(st.sampled_from(["", "text", "+15550100", "sip:a@b", "http://x/a.mp3"]))
    if depth:
        inside += "".join(draw(st.lists(elements(depth - 1), max_size=3)))
    said = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f"<{name}{said}>{inside}</{name}>"


@settings(max_examples=60, deadline=None)
@given(parts=st.lists(elements(), max_size=3), role=st.sampled_from(sorted(ALLOWED)))
def test_any_nesting_of_twiml_is_read_or_refused(parts: list[str], role: Role) -> None:
    wrong = {11750, 13238}
    try:
        meaning = read(document(f"<Response>{''.join(parts)}</Response>", role))
        said = [warned.message for warned in meaning.warnings]
    except VoiceError as refused:
        said = [refused.message] if refused.code in wrong else []
    assert all(said)
