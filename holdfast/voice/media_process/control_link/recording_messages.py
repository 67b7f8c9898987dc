"""Messages about recordings on the control link: open, change and close a tap, and the facts about taps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.voice.media.mix.recording_taps import (
    Mode,
)

Side = Literal["says", "hears"]


Voices = tuple[tuple[tuple[str, Side], ...], ...]
"""The sources of each channel: what a leg sends us (`says`), or is sent (`hears`). A leg that is not open is silent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTap:
    """Record these voices into a new file. `TapQuiet` reports `quiet_s` of silence (0: never)."""

    recording: str
    path: str
    voices: Voices
    quiet_s: float = 0.0
    kind: Literal["open-capture"] = "open-capture"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeTap:
    """Record other voices in as many channels (None: the same), pause (`silent`, `off`), or continue (`on`)."""

    recording: str
    voices: Voices | None = None
    mode: Mode | None = None
    kind: Literal["change-capture"] = "change-capture"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseTap:
    """End a recording. `TapClosed` answers, also for an unknown recording."""

    recording: str
    kind: Literal["close-capture"] = "close-capture"


TapCommand = OpenTap | ChangeTap | CloseTap


@dataclass(frozen=True, slots=True, kw_only=True)
class TapQuiet:
    """A recording has been silent for the time that was asked for."""

    recording: str
    kind: Literal["capture-quiet"] = "capture-quiet"


@dataclass(frozen=True, slots=True, kw_only=True)
class TapClosed:
    """The file of a recording is written and closed, or failed (`error`). Units: frames of 20 ms."""

    recording: str
    frames: int
    first_loud: int | None
    last_loud: int | None
    error: str = ""
    kind: Literal["capture-closed"] = "capture-closed"


TapFact = TapQuiet | TapClosed
