"""A recording as the verb knows it that asked for it: how it is asked for, and what of it the `action` is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import RecordingOptions
from holdfast.voice.model.facts import Fact, RecordingBegan, RecordingFinished
from holdfast.voice.model.ids import RecordingSid
from holdfast.voice.twiml.attributes import AttributeReader

EVENTS = ("in-progress", "completed", "absent", "failed")


def read_options(
    reader: AttributeReader, *, source: Literal["RecordVerb", "DialVerb", "Conference"], trim: bool, dual: bool = False
) -> RecordingOptions:
    """What an element says of its recording. Source: TwiML <Record>, <Dial record>, <Conference record>."""
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
    """What a running verb has heard of its recording. Units: `began` and `now` as the context's."""

    recording: RecordingSid
    began: float
    url: str = ""
    duration_s: int | None = None

    @property
    def over(self) -> bool:
        """Whether its length is known."""
        return self.duration_s is not None

    def handle(self, fact: Fact) -> None:
        """Take in what was told; anything about something else is none of ours."""
        match fact:
            case RecordingBegan(recording=recording, url=url) if recording == self.recording:
                self.url = url
            case RecordingFinished(recording=recording, duration_s=duration_s) if recording == self.recording:
                self.duration_s = duration_s
            case _:
                pass

    def seconds(self, now: float) -> int:
        """Its length, or how long it has been made."""
        return int(now - self.began) if self.duration_s is None else self.duration_s

    def form(self, now: float) -> tuple[tuple[str, str], ...]:
        """What `action` is told of it."""
        return (
            ("RecordingUrl", self.url),
            ("RecordingSid", self.recording),
            ("RecordingDuration", str(self.seconds(now))),
        )


def recording_params(progress: RecordingProgress | None, now: float) -> tuple[tuple[str, str], ...]:
    """What the `action` of a Dial is told of its recording, if there is one."""
    if progress is None:
        return ()
    return progress.form(now) if twilio_assumptions.DIAL_ACTION_HAS_RECORDING_LENGTH else progress.form(now)[:1]
