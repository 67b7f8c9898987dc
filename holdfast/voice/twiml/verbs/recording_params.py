"""Read the recording attributes of a verb, and make the recording parameters of its `action`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never, cast

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import RecordingOptions
from holdfast.voice.model.facts import RecordingBegan, RecordingFinished
from holdfast.voice.model.ids import RecordingSid
from holdfast.voice.twiml.attributes import AttributeReader

EVENTS = ("in-progress", "completed", "absent", "failed")


def read_options(
    reader: AttributeReader, *, source: Literal["RecordVerb", "DialVerb", "Conference"], trim: bool, dual: bool = False
) -> RecordingOptions:
    """Read the recording attributes of an element. Source: TwiML <Record>, <Dial record>, <Conference record>."""
    track = reader.choice("recordingTrack", "both", ("both", "inbound", "outbound")) if source == "DialVerb" else "both"
    usual = "trim-silence" if trim else "do-not-trim"
    return RecordingOptions(
        source=source,
        dual=dual,
        track=cast(Literal["both", "inbound", "outbound"], "inbound" if source == "RecordVerb" else track),
        trim=reader.choice("trim", usual, ("trim-silence", "do-not-trim")) == "trim-silence",
        callback=reader.callback(EVENTS, ("completed",), name="recordingStatusCallback"),
    )


@dataclass(slots=True, kw_only=True)
class RecordingProgress:
    """The progress of a recording, as its verb knows it. Units: `began` and `now` are seconds of the context."""

    recording: RecordingSid
    began: float
    url: str = ""
    duration_s: int | None = None

    @property
    def over(self) -> bool:
        """Return whether the recording has ended, so that its length is known."""
        return self.duration_s is not None

    def handle(self, fact: RecordingBegan | RecordingFinished) -> None:
        """Handle a fact about this recording; ignore those about others."""
        if fact.recording != self.recording:
            return
        match fact:
            case RecordingBegan():
                self.url = fact.url
            case RecordingFinished():
                self.duration_s = fact.duration_s
            case _:
                assert_never(fact)

    def seconds(self, now: float) -> int:
        """Return its length, or its length so far."""
        return int(now - self.began) if self.duration_s is None else self.duration_s

    def form(self, now: float) -> tuple[tuple[str, str], ...]:
        """Return its parameters for `action`."""
        return (
            ("RecordingUrl", self.url),
            ("RecordingSid", self.recording),
            ("RecordingDuration", str(self.seconds(now))),
        )


def recording_params(progress: RecordingProgress | None, now: float) -> tuple[tuple[str, str], ...]:
    """Return the recording parameters for the `action` of a Dial, if there is a recording."""
    if progress is None:
        return ()
    return progress.form(now) if twilio_assumptions.DIAL_ACTION_HAS_RECORDING_LENGTH else progress.form(now)[:1]
