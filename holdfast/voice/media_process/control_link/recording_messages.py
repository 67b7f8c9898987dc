"""Messages about recordings on the control link: open, change and close a tap, and the facts that come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.voice.media.mix.recording_taps import (
    Mode,
)

Side = Literal["says", "hears"]


Voices = tuple[tuple[tuple[str, Side], ...], ...]
"""Per channel, whose sound: what the leg says, or what it hears. A leg that is not open is silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTap:
    """Record these voices into a new file. `quiet_s` of silence are told as `CaptureQuiet` (0: never)."""

    recording: str
    path: str
    voices: Voices
    quiet_s: float = 0.0
    kind: Literal["open-capture"] = "open-capture"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTap:
    """Record other voices, in as many channels (None: the same), or pause (`silent`, `off`), or go on (`on`)."""

    recording: str
    voices: Voices | None = None
    mode: Mode | None = None
    kind: Literal["change-capture"] = "change-capture"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseTap:
    """The recording is over. Answered by the fact `CaptureClosed`; unknown ones too."""

    recording: str
    kind: Literal["close-capture"] = "close-capture"


TapCommand = OpenTap | ChangeTap | CloseTap


@dataclass(frozen=True, slots=True, kw_only=True)
class TapQuiet:
    """A recording has been silent for as long as was asked."""

    recording: str
    kind: Literal["capture-quiet"] = "capture-quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class TapClosed:
    """A recording's file is written and closed, or could not be (`error`). Units: frames of 20 ms."""

    recording: str
    frames: int
    first_loud: int | None
    last_loud: int | None
    error: str = ""
    kind: Literal["capture-closed"] = "capture-closed"


TapFact = TapQuiet | TapClosed
