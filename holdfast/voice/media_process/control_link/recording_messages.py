"""Messages about recordings on the control link: open, change and close a tap, and the facts about taps."""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.voice.model.effects import CaptureChannels, ChangeCapture


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTap:
    """Record these voices into a new file. `TapQuiet` reports `quiet_s` of silence (0: never).

    A leg that is not open is silent; which legs a room's voice is follows its seats.
    """

    recording: str
    path: str
    voices: CaptureChannels
    quiet_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseTap:
    """End a recording. `TapClosed` answers, also for an unknown recording."""

    recording: str


TapCommand = OpenTap | ChangeCapture | CloseTap


@dataclass(frozen=True, slots=True, kw_only=True)
class TapQuiet:
    """A recording has been silent for the time that was asked for."""

    recording: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TapClosed:
    """The file of a recording is written and closed, or failed (`error`). Units: frames of 20 ms."""

    recording: str
    frames: int
    first_loud: int | None
    last_loud: int | None
    error: str = ""


TapFact = TapQuiet | TapClosed
