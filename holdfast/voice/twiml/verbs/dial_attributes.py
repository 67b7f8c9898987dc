"""Read the attributes that every `<Dial>` has, and make the request to `action` at its end."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from holdfast.voice.model.commands import RecordingOptions, WebRequest
from holdfast.voice.model.facts import ChildRefers, DigitPressed, Fact, PhoneRefers
from holdfast.voice.model.ids import RecordingSid
from holdfast.voice.model.internal_commands import BeginRecording
from holdfast.voice.model.phone_numbers import bare_number
from holdfast.voice.twiml.attributes import AttributeReader
from holdfast.voice.twiml.verb import Continue, GoToDocument, Outcome, VerbContext
from holdfast.voice.twiml.verbs.recording_params import RecordingProgress, read_options

CODES = {
    "method": 13210,
    "timeout": 13212,
    "hangupOnStar": 13213,
    "callerId": 13214,
    "timeLimit": 13216,
    "record": 13217,
    "sequential": 13218,
    "answerOnBridge": 13219,
    "ringTone": 13220,
}
RING_TONES = (
    *("at", "au", "be", "bg", "br", "ch", "cl", "cn", "cz", "de", "dk", "ee", "es", "fi", "fr", "gr", "hu", "il"),
    *("in", "it", "jp", "lt", "mx", "my", "nl", "no", "nz", "ph", "pl", "pt", "ru", "se", "sg", "th", "tw", "uk"),
    *("us", "us-old", "ve", "za"),
)
_CALLER_ID = re.compile(r"(\+?[0-9]{1,32}|(client:|sips?:)?[A-Za-z0-9._+=@:!$&'*-]{1,255})\Z")
RECORDED = ("record-from-answer", "record-from-ringing", "record-from-answer-dual", "record-from-ringing-dual")
IGNORED = (
    "callReason",
    "events",
    "passports",
    "recordingConfigurationId",
)
"""The attributes that Twilio knows and this engine ignores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialAttributes:
    """The attributes of `<Dial>`. Units: seconds. Source: TwiML <Dial>."""

    action: WebRequest | None = None
    timeout_s: int = 30
    time_limit_s: int = 14400
    caller_id: str = ""
    ring_tone: str = "automatic"
    """The country whose ringback tone the caller hears, or `automatic`."""
    hangup_on_star: bool = False
    answer_on_bridge: bool = False
    sequential: bool = False
    refer: WebRequest | None = None
    """The request for the document of one party when the phone of the other asks to transfer it (REFER)."""
    record: RecordingOptions | None = None
    record_ringing: bool = False
    """Whether the recording contains the ringing too, and not only the conversation."""

    @classmethod
    def parse(cls, reader: AttributeReader) -> DialAttributes:
        """Read the attributes of an element."""
        reader.codes = CODES
        words = ("do-not-record", "false", "true", *RECORDED)
        record = reader.choice("record", "do-not-record", words)
        record = {"false": "do-not-record", "true": "record-from-answer"}.get(record, record)
        options = read_options(reader, source="DialVerb", trim=False, dual=record.endswith("-dual"))
        attributes = cls(
            action=reader.request("action", "method"),
            timeout_s=reader.integer("timeout", 30, low=1, high=600),
            time_limit_s=reader.integer("timeLimit", 14400, low=1, high=86400),
            caller_id=_caller_id(reader),
            ring_tone=reader.choice("ringTone", "automatic", RING_TONES),
            hangup_on_star=reader.boolean("hangupOnStar", False),
            answer_on_bridge=reader.boolean("answerOnBridge", False),
            sequential=reader.boolean("sequential", False),
            refer=reader.request("referUrl", "referMethod"),
            record=options if record in RECORDED else None,
            record_ringing=record.startswith("record-from-ringing"),
        )
        for name in IGNORED:
            reader.optional(name)
        return attributes

    @property
    def ringback_source(self) -> str:
        """Return the source of the tone that a caller hears while the callee's phone rings."""
        return "builtin:ringback" if self.ring_tone == "automatic" else f"ringing:{self.ring_tone}"

    def start_recording(self, context: VerbContext) -> tuple[RecordingProgress, BeginRecording] | None:
        """Return the progress and the command of the recording that begins now, if `record` asks for one."""
        if self.record is None:
            return None
        progress = RecordingProgress(recording=RecordingSid(context.sid("RE")), began=context.now)
        command = BeginRecording(
            recording=progress.recording, account=context.account, call=context.call, options=self.record, for_verb=True
        )
        return progress, command

    def needs(self, fact: Fact) -> bool:
        """Return whether the verb of this `<Dial>` needs a fact of a kind that it hears."""
        if isinstance(fact, DigitPressed):
            return fact.digit == "*" and self.hangup_on_star
        return self.refer is not None or not isinstance(fact, PhoneRefers | ChildRefers)

    def outcome(self, *form: tuple[str, str]) -> Outcome:
        """Return the outcome: the `action` document with these parameters, else the next verb."""
        if self.action is None:
            return Continue()
        return GoToDocument(request=replace(self.action, form=form))


def _caller_id(reader: AttributeReader) -> str:
    """Return the caller ID that the callee's phone shows. Source: Twilio error 13214."""
    given = reader.text("callerId").strip()
    given = bare_number(given) or given
    if not given or _CALLER_ID.match(given):
        return given
    reader.warn(
        f"callerId={given[:40]!r} is no phone number, client or SIP user; the caller's own is shown", code=13214
    )
    return ""
