"""What every `<Dial>` has in common: its attributes, and the request to `action` when it is over."""

from __future__ import annotations

from dataclasses import dataclass, replace

from holdfast.voice.model.commands import WebRequest
from holdfast.voice.twiml.reading import Reader
from holdfast.voice.twiml.verb import Continue, Jump, Outcome

ACCEPTED = (
    "record",
    "recordingTrack",
    "trim",
    "recordingStatusCallback",
    "recordingStatusCallbackMethod",
    "recordingStatusCallbackEvent",
    "ringTone",
    "referUrl",
    "referMethod",
    "callReason",
    "events",
    "passports",
    "recordingConfigurationId",
)
"""Attributes that Twilio knows and this engine passes over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The attributes of `<Dial>`. Units: seconds. Source: TwiML <Dial>."""

    action: WebRequest | None = None
    timeout_s: int = 30
    time_limit_s: int = 14400
    caller_id: str = ""
    hangup_on_star: bool = False
    answer_on_bridge: bool = False
    sequential: bool = False

    @classmethod
    def parse(cls, reader: Reader) -> Terms:
        """The terms an element states."""
        terms = cls(
            action=reader.request("action", "method"),
            timeout_s=reader.integer("timeout", 30, low=1, high=600),
            time_limit_s=reader.integer("timeLimit", 14400, low=1, high=86400),
            caller_id=reader.text("callerId").strip(),
            hangup_on_star=reader.boolean("hangupOnStar", False),
            answer_on_bridge=reader.boolean("answerOnBridge", False),
            sequential=reader.boolean("sequential", False),
        )
        for name in ACCEPTED:
            if reader.optional(name) is not None and name == "record" and reader.text(name) != "do-not-record":
                reader.warn("record is not built yet: nothing is recorded")
        return terms

    def over(self, *form: tuple[str, str]) -> Outcome:
        """How the call goes on: by the `action` document with these parameters, else by the next verb."""
        if self.action is None:
            return Continue()
        return Jump(request=replace(self.action, form=form))
