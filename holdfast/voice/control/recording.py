"""The recording machine leads a recording from its first sample to a file, or none, and to its deletion.

It decides which source goes into which channel; the media process captures the audio, the shell keeps the file.

Everything that affects the status of a recording is in this file, and in the table `RECORDING_TRANSITIONS`: a message
that the table does not list for the status is refused, and changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, assert_never

from holdfast.voice.control.entities import Recording, RecordingStatus
from holdfast.voice.control.read_only_state import Emitted, Transition
from holdfast.voice.control.statuses import RECORDING_TRANSITIONS, RecordingMessage
from holdfast.voice.model.commands import ChangeRecording, DeleteRecording, WebRequest
from holdfast.voice.model.effects import (
    CaptureChannels,
    CaptureSource,
    ChangeCapture,
    EraseCapture,
    LogNotification,
    LogRefusal,
    PostCallback,
    StartCapture,
    StopCapture,
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
from holdfast.voice.model.internal_commands import BeginRecording, EndRecording
from holdfast.voice.model.timestamps import rfc2822

TOO_SHORT = 16101
"""The code of an absent recording: it contains no audio."""
FAILED = 16100
"""The code of a recording that could not be written."""


@dataclass(slots=True, kw_only=True)
class RecordingStep:
    """A step in progress on one recording."""

    recording: Recording
    now: float
    emitted: list[Emitted] = field(default_factory=list)

    def set_status(self, status: RecordingStatus) -> None:
        """Set another status. Invariant: the table lists it for the message of this step."""
        self.recording = replace(self.recording, status=status, updated_at=self.now)

    def send_callback(self, event: str) -> None:
        """Send the status callback of an event. Source: Twilio docs, recordingStatusCallback."""
        recording = self.recording
        subscription = recording.options.callback
        if subscription is None or event not in subscription.events:
            return
        form: list[tuple[str, str]] = [("AccountSid", recording.account)]
        if recording.call is not None:
            form.append(("CallSid", recording.call))
        if recording.room is not None:
            form.append(("ConferenceSid", recording.room))
        form += [
            ("RecordingSid", recording.sid),
            ("RecordingUrl", recording.url),
            ("RecordingStatus", event),
            ("RecordingDuration", str(recording.duration_s or 0)),
            ("RecordingChannels", str(recording.channels)),
            ("RecordingStartTime", rfc2822(recording.created_at)),
            ("RecordingSource", recording.options.source),
            ("RecordingTrack", recording.options.track),
            ("ErrorCode", str(recording.error_code)),
        ]
        request = WebRequest(url=subscription.url, method=subscription.method, form=tuple(form))
        about = recording.call if recording.call is not None else CallSid(recording.room or "")
        self.emitted.append(PostCallback(call=about, kind="recording", request=request))


def begin(command: BeginRecording, now: float) -> Transition[Recording]:
    """Begin a recording of a call, or of a conference."""
    channels = _capture_channels(command)
    recording = Recording(
        sid=command.recording,
        account=command.account,
        call=command.call,
        room=command.room,
        options=command.options,
        for_verb=command.for_verb,
        channels=len(channels),
        status=RecordingStatus.IN_PROGRESS,
        created_at=now,
        updated_at=now,
    )
    capture = StartCapture(recording=recording.sid, channels=channels, silence_s=command.silence_s)
    return Transition(recording, (capture,))


def _capture_channels(command: BeginRecording) -> CaptureChannels:
    """Return the sources of each channel. Source: Twilio API, RecordingChannels and RecordingTrack."""
    if command.room is not None:
        return (((command.room, "says"),),)
    assert command.call is not None
    inbound: CaptureSource = (command.call, "says")
    outbound: CaptureSource = (command.call, "hears")
    match command.options.track:
        case "inbound":
            return ((inbound,),)
        case "outbound":
            return ((outbound,),)
        case "both":
            return ((inbound,), (outbound,)) if command.options.dual else ((inbound, outbound),)
        case _:
            assert_never(command.options.track)


def handle(recording: Recording, message: RecordingMessage, now: float) -> Transition[Recording]:
    """Handle one message for a recording. Raises: RecordingNotActive, RecordNotFinished."""
    followers = RECORDING_TRANSITIONS.get((recording.status, type(message)))
    if followers is None:
        return _refuse(recording, message)
    step = RecordingStep(recording=recording, now=now)
    match message:
        case CaptureBegan(url=url):
            step.recording = replace(recording, url=url)
            step.send_callback("in-progress")
            if recording.for_verb and recording.call is not None:
                step.emitted.append(RecordingBegan(call=recording.call, recording=recording.sid, url=url))
        case CaptureQuiet():
            if recording.for_verb and recording.call is not None and recording.status is RecordingStatus.IN_PROGRESS:
                step.emitted.append(RecordingQuiet(call=recording.call, recording=recording.sid))
        case CaptureEnded():
            if recording.live or recording.unfinished:
                _handle_capture_end(step, message)
        case EndRecording():
            if recording.live:
                step.set_status(RecordingStatus.PROCESSING)
                step.emitted.append(StopCapture(recording=recording.sid, trim=recording.options.trim))
        case ChangeRecording():
            _change(step, message)
        case DeleteRecording():
            if recording.status is not RecordingStatus.DELETED:
                step.set_status(RecordingStatus.DELETED)
                step.emitted.append(EraseCapture(recording=recording.sid))
        case _:
            assert_never(message)
    assert step.recording.status in followers, f"{recording.status} -> {step.recording.status}"
    return Transition(step.recording, tuple(step.emitted))


def _refuse(recording: Recording, message: RecordingMessage) -> Transition[Recording]:
    """Refuse a message that the table does not list. Raises: RecordingNotActive, RecordNotFinished."""
    status = recording.status.value
    match message:
        case ChangeRecording():
            raise RecordingNotActive(f"Recording {recording.sid} is {status} and cannot be changed")
        case DeleteRecording():
            raise RecordNotFinished(f"Recording {recording.sid} has not finished and cannot be deleted")
        case _:
            refusal = LogRefusal(noun=recording.sid, status=status, message=type(message).__name__)
            return Transition(recording, (refusal,))


def _handle_capture_end(step: RecordingStep, fact: CaptureEnded) -> None:
    """Handle the end of the capture: there is a file, or there is none.

    A capture that was not stopped ended by itself: the disk is full, or the media process ended.
    """
    recording = step.recording
    kept = fact.duration_s > 0
    status = RecordingStatus.COMPLETED if kept else RecordingStatus.ABSENT
    code = (0 if kept else TOO_SHORT) if not fact.error else FAILED
    if fact.error and not kept:
        status = RecordingStatus.FAILED
    duration = int(fact.duration_s + 0.5) or (1 if kept else 0)
    step.recording = replace(step.recording, duration_s=duration, error_code=code)
    step.set_status(status)
    if fact.error:
        message = f"recording {recording.sid} ended early: {fact.error}"
        step.emitted.append(LogNotification(call=recording.call, code=FAILED, log=0, message=message))
    step.send_callback(status.value)
    if recording.for_verb and recording.call is not None:
        length_s = duration if kept else 0
        step.emitted.append(RecordingFinished(call=recording.call, recording=recording.sid, duration_s=length_s))


def _change(step: RecordingStep, command: ChangeRecording) -> None:
    """Pause, continue, or stop. Source: Twilio API, POST Recordings/{Sid}."""
    recording = step.recording
    if command.status == "stopped":
        step.set_status(RecordingStatus.STOPPED)
        step.emitted.append(StopCapture(recording=recording.sid, trim=recording.options.trim))
    elif command.status != recording.status:
        step.set_status(RecordingStatus(command.status))
        mode: Literal["on", "silent", "off"] = "on"
        if command.status == "paused":
            mode = "off" if command.skip else "silent"
        step.emitted.append(ChangeCapture(recording=recording.sid, mode=mode))
