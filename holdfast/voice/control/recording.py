"""The recording machine: from its first sample to a file, or none, and to its deletion.

Whose sound goes into which channel is decided here; the media process captures it, the shell keeps the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

from holdfast.voice.control.conference.audio import voices_of
from holdfast.voice.control.entities import RECORDING_TRANSITIONS, Recording, RecordingStatus
from holdfast.voice.control.read_only_state import Message, ReadOnlyState, Saying
from holdfast.voice.model.commands import ChangeRecording, DeleteRecording, RecordingTerms, WebRequest
from holdfast.voice.model.effects import (
    ChangeCapture,
    EraseCapture,
    LogNotification,
    PostCallback,
    StartCapture,
    StopCapture,
    Voice,
    Voices,
)
from holdfast.voice.model.errors import RecordingNotActive, RecordNotFinished
from holdfast.voice.model.facts import (
    CaptureBegan,
    CaptureEnded,
    CaptureQuiet,
    RecordingBegan,
    RecordingFinished,
    RecordingQuiet,
)
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.internal_commands import BeginRecording, EndRecording, NoteVoices
from holdfast.voice.model.timestamps import rfc2822

TOO_SHORT = 16101
"""The recording is absent: nothing was left of it."""
FAILED = 16100
"""The recording could not be written."""


class RecordingTransition(NamedTuple):
    """A recording after a step, and what the step said."""

    recording: Recording
    said: tuple[Saying, ...]


@dataclass(slots=True, kw_only=True)
class RecordingStep:
    """One recording's step in progress."""

    recording: Recording
    now: float
    said: list[Saying] = field(default_factory=list)

    def move(self, status: RecordingStatus) -> None:
        """Take the recording to another status. Invariant: only along the table."""
        was = self.recording.status
        assert status in RECORDING_TRANSITIONS[was], f"{was} -> {status}"
        self.recording = replace(self.recording, status=status, updated_at=self.now)

    def tell(self, event: str) -> None:
        """Send the status callback of an event. Source: Twilio docs, recordingStatusCallback."""
        one = self.recording
        asked = one.terms.callback
        if asked is None or event not in asked.events:
            return
        form: list[tuple[str, str]] = [("AccountSid", one.account)]
        if one.call is not None:
            form.append(("CallSid", one.call))
        if one.room is not None:
            form.append(("ConferenceSid", one.room))
        form += [
            ("RecordingSid", one.sid),
            ("RecordingUrl", one.url),
            ("RecordingStatus", event),
            ("RecordingDuration", str(one.duration_s or 0)),
            ("RecordingChannels", str(one.channels)),
            ("RecordingStartTime", rfc2822(one.created_at)),
            ("RecordingSource", one.terms.source),
            ("RecordingTrack", one.terms.track),
            ("ErrorCode", str(one.error_code)),
        ]
        request = WebRequest(url=asked.url, method=asked.method, form=tuple(form))
        about = one.call if one.call is not None else CallSid(one.room or "")
        self.said.append(PostCallback(call=about, kind="recording", request=request))


def begin(order: BeginRecording, now: float, view: ReadOnlyState) -> RecordingTransition:
    """A recording begins: of a call, or of a conference."""
    voices = _voices(order, view)
    one = Recording(
        sid=order.recording,
        account=order.account,
        call=order.call,
        room=order.room,
        terms=order.terms,
        for_verb=order.for_verb,
        channels=len(voices),
        status=RecordingStatus.IN_PROGRESS,
        created_at=now,
        updated_at=now,
    )
    return RecordingTransition(one, (StartCapture(recording=one.sid, voices=voices, quiet_s=order.quiet_s),))


def _voices(order: BeginRecording, view: ReadOnlyState) -> Voices:
    """Whose sound goes into which channel. Source: Twilio API, RecordingChannels and RecordingTrack."""
    if order.room is not None:
        return (voices_of(view.rooms[order.room]),)
    assert order.call is not None
    said: Voice = (order.call, "says")
    heard: Voice = (order.call, "hears")
    match order.terms:
        case RecordingTerms(track="inbound"):
            return ((said,),)
        case RecordingTerms(track="outbound"):
            return ((heard,),)
        case RecordingTerms(dual=True):
            return ((said,), (heard,))
        case _:
            return ((said, heard),)


def step(recording: Recording, message: Message, now: float) -> RecordingTransition:
    """What a message does to a recording. Raises: RecordingNotActive, RecordNotFinished."""
    reel = RecordingStep(recording=recording, now=now)
    match message:
        case CaptureBegan(url=url):
            reel.recording = replace(recording, url=url)
            reel.tell("in-progress")
            if recording.for_verb and recording.call is not None:
                reel.said.append(RecordingBegan(call=recording.call, recording=recording.sid, url=url))
        case CaptureQuiet():
            if recording.for_verb and recording.call is not None and recording.status is RecordingStatus.IN_PROGRESS:
                reel.said.append(RecordingQuiet(call=recording.call, recording=recording.sid))
        case CaptureEnded():
            _ended(reel, message)
        case NoteVoices(voices=voices) if recording.live:
            reel.said.append(ChangeCapture(recording=recording.sid, voices=(voices,)))
        case EndRecording() if recording.live:
            reel.move(RecordingStatus.PROCESSING)
            reel.said.append(StopCapture(recording=recording.sid, trim=recording.terms.trim))
        case ChangeRecording():
            _change(reel, message)
        case DeleteRecording():
            if recording.live or recording.unfinished:
                raise RecordNotFinished(f"Recording {recording.sid} has not finished and cannot be deleted")
            if recording.status is not RecordingStatus.DELETED:
                reel.move(RecordingStatus.DELETED)
                reel.said.append(EraseCapture(recording=recording.sid))
        case _:
            pass
    return RecordingTransition(reel.recording, tuple(reel.said))


def _ended(reel: RecordingStep, fact: CaptureEnded) -> None:
    """The file is there, or never will be."""
    one = reel.recording
    if one.live:  # it ended by itself: the disk is full, or the media process is gone
        reel.move(RecordingStatus.PROCESSING)
    elif not one.unfinished:
        return
    kept = fact.duration_s > 0
    status = RecordingStatus.COMPLETED if kept else RecordingStatus.ABSENT
    code = (0 if kept else TOO_SHORT) if not fact.error else FAILED
    if fact.error and not kept:
        status = RecordingStatus.FAILED
    duration = int(fact.duration_s + 0.5) or (1 if kept else 0)
    reel.recording = replace(reel.recording, duration_s=duration, error_code=code)
    reel.move(status)
    if fact.error:
        message = f"recording {one.sid} ended early: {fact.error}"
        reel.said.append(LogNotification(call=one.call, code=FAILED, log=0, message=message))
    reel.tell(status.value)
    if one.for_verb and one.call is not None:
        reel.said.append(RecordingFinished(call=one.call, recording=one.sid, duration_s=duration if kept else 0))


def _change(reel: RecordingStep, command: ChangeRecording) -> None:
    """Pause, go on, or stop. Source: Twilio API, POST Recordings/{Sid}."""
    one = reel.recording
    if not one.live:
        raise RecordingNotActive(f"Recording {one.sid} is {one.status.value} and cannot be changed")
    match command.status:
        case "paused" if one.status is RecordingStatus.IN_PROGRESS:
            reel.move(RecordingStatus.PAUSED)
            reel.said.append(ChangeCapture(recording=one.sid, mode="off" if command.skip else "silent"))
        case "in-progress" if one.status is RecordingStatus.PAUSED:
            reel.move(RecordingStatus.IN_PROGRESS)
            reel.said.append(ChangeCapture(recording=one.sid, mode="on"))
        case "stopped":
            reel.move(RecordingStatus.STOPPED)
            reel.said.append(StopCapture(recording=one.sid, trim=one.terms.trim))
        case _:
            pass
