"""Read a `<Dial>` and decide which of its three verbs it is."""

from __future__ import annotations

from typing import ClassVar

from holdfast.voice.model.commands import Admission, Role
from holdfast.voice.model.ids import CallSid
from holdfast.voice.twiml.attributes import AttributeReader, Node
from holdfast.voice.twiml.verb import CALL_DOCUMENT, Verb
from holdfast.voice.twiml.verbs.control_flow import Fault
from holdfast.voice.twiml.verbs.dial_attributes import DialAttributes
from holdfast.voice.twiml.verbs.dial_conference import DialConference
from holdfast.voice.twiml.verbs.dial_legs import DialLegs
from holdfast.voice.twiml.verbs.dial_nouns import read_noun
from holdfast.voice.twiml.verbs.dial_queue import DialQueueVerb
from holdfast.voice.twiml.verbs.recording_params import read_options

MAX_NOUNS = 10
CONFERENCE_EVENTS = ("start", "end", "join", "leave", "mute", "hold", "modify", "speaker", "announcement")
CONFERENCE_CODES = {
    "muted": 13230,
    "endConferenceOnExit": 13231,
    "startConferenceOnEnter": 13232,
    "waitUrl": 13233,
    "waitMethod": 13234,
    "beep": 13235,
}
"""The codes of invalid attributes of a <Conference>: 13231 is an error, the others are warnings."""
QUEUE_CODES = {"method": 14210, "url": 14211}
_IGNORED = frozenset(
    {
        "jitterBufferSize",
        "region",
        "recordingConfigurationId",
        "eventCallbackUrl",
        "reservationSid",
        "postWorkActivitySid",
    }
)


class Dial:
    """A `<Dial>` connects this call with others. Source: TwiML <Dial>."""

    name: ClassVar[str] = "Dial"
    roles: ClassVar[frozenset[Role]] = CALL_DOCUMENT
    has_children: ClassVar[bool] = True

    @classmethod
    def parse(cls, reader: AttributeReader) -> Verb | None:
        """Return the verb of a `<Dial>`; None, after a warning, when it has no noun."""
        attributes = DialAttributes.parse(reader)
        conferences = [node for node in reader.node.children if node.tag == "Conference"]
        queues = [node for node in reader.node.children if node.tag == "Queue"]
        applications = [node for node in reader.node.children if node.tag == "Application"]
        legs = [node for node in reader.node.children if node.tag in ("Number", "Client", "Sip")]
        for node in reader.node.children:
            if node.tag not in ("Application", "Conference", "Queue", "Number", "Client", "Sip"):
                reader.code = 13215
                reader.warn(f"<{node.tag[:60]}> may not stand in a <Dial>; it is ignored")
        number = " ".join(reader.node.text.split())
        if number:
            legs.append(Node("Number", {}, number))
        alone = len(conferences) + len(queues) + len(applications)
        if alone and alone + len(legs) > 1:
            reader.code = 13215
            reader.warn("<Conference>, <Queue> and <Application> stand alone; the first of them is used")
        if conferences:
            return _conference(reader, conferences[0], attributes)
        if queues:
            return _queue(reader, queues[0], attributes)
        if applications:
            legs = applications[:1]
        if len(legs) > MAX_NOUNS:
            reader.warn(f"{len(legs)} nouns; only the first {MAX_NOUNS} are dialled", code=13250)
        nouns = tuple(noun for node in legs[:MAX_NOUNS] if (noun := read_noun(reader, node)) is not None)
        if not nouns:
            reader.warn("there is no noun to dial")
            return None
        return DialLegs(dial=attributes, nouns=nouns)


def _inner(reader: AttributeReader, node: Node, code: int) -> AttributeReader:
    reader = AttributeReader(node, reader.base_url, warnings=reader.warnings, code=code)
    reader.read |= _IGNORED
    return reader


def _queue(outer: AttributeReader, node: Node, attributes: DialAttributes) -> Verb | None:
    reader = _inner(outer, node, 12200)
    reader.codes = QUEUE_CODES
    screen = reader.request("url", "method")
    reader.warn_unknown()
    name = node.text.strip()
    if not 1 <= len(name) <= 64:
        reader.warn("the queue's name must have 1 to 64 characters", code=14213 if name else 14212)
        return None
    return DialQueueVerb(dial=attributes, queue=name, screen=screen)


def _conference(outer: AttributeReader, node: Node, attributes: DialAttributes) -> Verb | None:
    reader = _inner(outer, node, 12200)
    reader.codes = CONFERENCE_CODES
    name = node.text.strip()
    if not 1 <= len(name) <= 128:
        reader.warn("the conference's name must have 1 to 128 characters", code=13237)
        return None
    wait_url = reader.optional("waitUrl")
    wait = reader.request("waitUrl", "waitMethod")
    if wait_url is not None and wait is None:
        wait = DialConference.SILENT
    coach = reader.text("coach").strip()
    record_words = ("do-not-record", "record-from-start", "true", "false")
    recorded = reader.choice("record", "do-not-record", record_words) in ("record-from-start", "true")
    options = read_options(reader, source="Conference", trim=True)
    admission = Admission(
        name=name,
        muted=reader.boolean("muted", False),
        beep=reader.choice("beep", "true", ("true", "false", "onEnter", "onExit")),
        start_on_enter=reader.boolean("startConferenceOnEnter", True),
        end_on_exit=reader.boolean("endConferenceOnExit", False),
        label=reader.text("participantLabel").strip() or None,
        wait=wait,
        max_participants=reader.integer("maxParticipants", 250, low=1, high=250),
        coach=CallSid(coach) if coach else None,
        callback=reader.callback(CONFERENCE_EVENTS, ()),
        record=options if recorded else None,
    )
    reader.warn_unknown()
    for warning in reader.warnings:
        if warning.code == CONFERENCE_CODES["endConferenceOnExit"]:
            reader.warnings.remove(warning)
            return Fault(code=warning.code, message=warning.message)
    return DialConference(dial=attributes, admission=admission)
