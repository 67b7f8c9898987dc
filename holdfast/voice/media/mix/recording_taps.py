"""Recordings while they are made: what legs say and hear, summed into channels, 20 ms at a time.

One pass for all recordings: two gathers, one sum per channel. The samples leave in blocks, to be written elsewhere.

Point of view: a leg *says* what its party sends us, and *hears* what we send it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import DECODE
from holdfast.voice.media.frames import SAMPLES, Bytes, Numbers

BLOCK_FRAMES = 25
"""Frames in a block that leaves to be written: half a second."""
LOUD = 200.0**2
"""Mean square of a frame that is sound and not silence: −44 dB of full scale. Units: 16-bit samples, squared."""
_FRAME_BYTES = 2 * SAMPLES


class TapSource(NamedTuple):
    """One source of sound: what the leg in this row says, or what it hears."""

    row: int
    hears: bool


Channels = tuple[tuple[TapSource, ...], ...]
"""The voices of each channel; a channel without any is silent."""
Mode = Literal["on", "silent", "off"]
"""Captured; silence in its place; nothing at all, so that the recording becomes shorter."""
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long a recording became, and where in it there was sound. Units: frames of 20 ms; None: only silence."""

    frames: int
    first_loud: int | None
    last_loud: int | None


@dataclass(slots=True, kw_only=True)
class _Tape:
    channels: Channels
    quiet_frames: int
    mode: Mode = "on"
    frames: int = 0
    first_loud: int | None = None
    last_loud: int | None = None
    quiet: int = 0
    block: bytearray = field(default_factory=bytearray)

    def add(self, frame: bytes, *, loud: bool) -> None:
        """Put a frame at the end."""
        self.block += frame
        if loud:
            self.first_loud = self.frames if self.first_loud is None else self.first_loud
            self.last_loud = self.frames
        self.frames += 1
        self.quiet = 0 if loud else self.quiet + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan(Generic[K]):
    """Shape: voice `said_at[i]` of the flat list is what row `said[i]` says; channel c begins at voice `starts[c]`."""

    voices: int
    said: Numbers
    said_at: Numbers
    heard: Numbers
    heard_at: Numbers
    starts: Numbers
    places: tuple[tuple[K, int, int], ...]


class RecordingTaps(Generic[K]):
    """Every recording that is being made, by a key of the caller's."""

    def __init__(self) -> None:
        self._tapes: dict[K, _Tape] = {}
        self._plan: _Plan[K] | None = None
        self._ready: list[tuple[K, bytes]] = []

    def __contains__(self, key: K) -> bool:
        return key in self._tapes

    def open(self, key: K, channels: Channels, *, quiet_frames: int = 0) -> None:
        """Begin a recording; `quiet_frames` of silence in a row are told of, once for each silence (0: never)."""
        self._tapes[key] = _Tape(channels=channels, quiet_frames=quiet_frames)
        self._plan = None

    def rewire(self, key: K, channels: Channels) -> None:
        """Capture other voices from now on. Invariant: the number of channels stays."""
        self._tapes[key].channels = channels
        self._plan = None

    def set_mode(self, key: K, mode: Mode) -> None:
        """Pause, in one of two ways, or go on."""
        self._tapes[key].mode = mode
        self._plan = None

    def close(self, key: K) -> Length:
        """End a recording; its last block is ready."""
        tape = self._tapes.pop(key)
        self._plan = None
        if tape.block:
            self._ready.append((key, bytes(tape.block)))
        return Length(frames=tape.frames, first_loud=tape.first_loud, last_loud=tape.last_loud)

    def take(self) -> Sequence[tuple[K, bytes]]:
        """The blocks that are ready. Shape: 16-bit little-endian samples, channels interleaved."""
        ready, self._ready = self._ready, []
        return ready

    def tick(self, frames: Bytes, heard: Bytes, law: Numbers, *, skipped: int = 0) -> list[K]:
        """Capture one frame, after `skipped` ticks that were left out; the recordings that have been quiet so long.

        Shape: `frames[row]` is what a leg says, `heard[row]` what it hears, both in `law[row]`.
        """
        if not self._tapes:
            return []
        if self._plan is None:
            self._plan = self._make_plan()
        plan = self._plan
        quiet: list[K] = []
        if plan.places:
            quiet = self._capture(plan, frames, heard, law, skipped)
        for key, tape in self._tapes.items():
            if tape.mode == "silent":
                for _ in range(skipped + 1):
                    tape.add(bytes(_FRAME_BYTES * len(tape.channels)), loud=False)
                tape.quiet = 0
            if len(tape.block) >= BLOCK_FRAMES * _FRAME_BYTES * len(tape.channels):
                self._ready.append((key, bytes(tape.block)))
                tape.block.clear()
        return quiet

    def _capture(self, plan: _Plan[K], frames: Bytes, heard: Bytes, law: Numbers, skipped: int) -> list[K]:
        samples: NDArray[np.int32] = np.zeros((plan.voices, SAMPLES), dtype=np.int32)
        samples[plan.said_at] = DECODE[law[plan.said][:, None], frames[plan.said]]
        samples[plan.heard_at] = DECODE[law[plan.heard][:, None], heard[plan.heard]]
        sums = np.clip(np.add.reduceat(samples, plan.starts, axis=0), -32768, 32767).astype("<i2")
        loud = np.mean(sums.astype(np.float32) ** 2, axis=1) > LOUD
        quiet: list[K] = []
        for key, first, end in plan.places:
            tape = self._tapes[key]
            quiet_before = tape.quiet
            for _ in range(skipped):
                tape.add(bytes(_FRAME_BYTES * (end - first)), loud=False)
            tape.add(np.ascontiguousarray(sums[first:end].T).tobytes(), loud=bool(loud[first:end].any()))
            if 0 < tape.quiet_frames <= tape.quiet and quiet_before < tape.quiet_frames:
                quiet.append(key)
        return quiet

    def _make_plan(self) -> _Plan[K]:
        said: list[int] = []
        said_at: list[int] = []
        heard: list[int] = []
        heard_at: list[int] = []
        starts: list[int] = []
        places: list[tuple[K, int, int]] = []
        voices = 0
        for key, tape in self._tapes.items():
            if tape.mode != "on":
                continue
            first = len(starts)
            for channel in tape.channels:
                starts.append(voices)
                for voice in channel:
                    (heard if voice.hears else said).append(voice.row)
                    (heard_at if voice.hears else said_at).append(voices)
                    voices += 1
                # A sum of nothing needs a silent voice to stand for it.
                voices += not channel
            places.append((key, first, len(starts)))
        return _Plan(
            voices=voices,
            said=np.array(said, dtype=np.intp),
            said_at=np.array(said_at, dtype=np.intp),
            heard=np.array(heard, dtype=np.intp),
            heard_at=np.array(heard_at, dtype=np.intp),
            starts=np.array(starts, dtype=np.intp),
            places=tuple(places),
        )
