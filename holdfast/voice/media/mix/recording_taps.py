"""Recordings in progress: what legs send and are sent, summed into channels, 20 ms at a time.

One pass serves all recordings: two gathers, one sum per channel. The samples leave in blocks, which another thread
writes.

Point of view: RX is what the party sends us, TX is what we send the party.
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
"""Frames in a block that is written: half a second."""
LOUD = 200.0**2
"""The mean square from which a frame is audio and not silence: −44 dB of full scale. Units: 16-bit samples, squared."""
_FRAME_BYTES = 2 * SAMPLES


class TapSource(NamedTuple):
    """A tap source is one source of a channel: the RX or the TX audio of a row."""

    row: int
    is_tx: bool


Channels = tuple[tuple[TapSource, ...], ...]
"""The sources of each channel; a channel without any is silent."""
Mode = Literal["on", "silent", "off"]
"""`on` captures; `silent` writes silence in its place; `off` writes nothing, so that the recording becomes shorter."""
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """A length says how long a recording became and where in it there was audio.

    Units: frames of 20 ms; None: only silence.
    """

    frames: int
    first_loud: int | None
    last_loud: int | None


@dataclass(slots=True, kw_only=True)
class _Recording:
    channels: Channels
    quiet_frames: int
    mode: Mode = "on"
    frames: int = 0
    first_loud: int | None = None
    last_loud: int | None = None
    quiet: int = 0
    block: bytearray = field(default_factory=bytearray)

    def add(self, frame: bytes, *, loud: bool) -> None:
        """Append a frame."""
        self.block += frame
        if loud:
            self.first_loud = self.frames if self.first_loud is None else self.first_loud
            self.last_loud = self.frames
        self.frames += 1
        self.quiet = 0 if loud else self.quiet + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan(Generic[K]):
    """A plan lists the sources of all recordings side by side.

    Shape: source `rx_at[i]` of the flat list is the RX audio of row `rx[i]`; channel c begins at source `starts[c]`.
    """

    sources: int
    rx: Numbers
    rx_at: Numbers
    tx: Numbers
    tx_at: Numbers
    starts: Numbers
    channels_of: tuple[tuple[K, int, int], ...]


class RecordingTaps(Generic[K]):
    """Recording taps hold every recording in progress, by a key that the caller chooses."""

    def __init__(self) -> None:
        self._recordings: dict[K, _Recording] = {}
        self._plan: _Plan[K] | None = None
        self._ready: list[tuple[K, bytes]] = []

    def __contains__(self, key: K) -> bool:
        return key in self._recordings

    def open(self, key: K, channels: Channels, *, quiet_frames: int = 0) -> None:
        """Begin a recording.

        `quiet_frames` of silence in a row are reported, once for each silence (0: never).
        """
        self._recordings[key] = _Recording(channels=channels, quiet_frames=quiet_frames)
        self._plan = None

    def set_channels(self, key: K, channels: Channels) -> None:
        """Change the sources of a recording. Invariant: the number of channels stays the same."""
        self._recordings[key].channels = channels
        self._plan = None

    def set_mode(self, key: K, mode: Mode) -> None:
        """Pause a recording in one of two ways, or continue it."""
        self._recordings[key].mode = mode
        self._plan = None

    def close(self, key: K) -> Length:
        """End a recording; its last block is ready."""
        recording = self._recordings.pop(key)
        self._plan = None
        if recording.block:
            self._ready.append((key, bytes(recording.block)))
        return Length(frames=recording.frames, first_loud=recording.first_loud, last_loud=recording.last_loud)

    def take_blocks(self) -> Sequence[tuple[K, bytes]]:
        """Return the blocks that are ready, each once. Shape: int16 little-endian samples, channels interleaved."""
        ready, self._ready = self._ready, []
        return ready

    def tick(self, frames: Bytes, tx: Bytes, companding: Numbers, *, skipped: int = 0) -> list[K]:
        """Capture one frame, after `skipped` ticks that were left out; return the recordings that became quiet.

        A recording is returned once when its silence has lasted `quiet_frames`.
        Shape: `frames[row, 160]` is the RX audio of a row, `tx[row, 160]` its TX audio; both are codes of
        `companding[row]`.
        """
        if not self._recordings:
            return []
        if self._plan is None:
            self._plan = self._make_plan()
        plan = self._plan
        quiet: list[K] = []
        if plan.channels_of:
            quiet = self._capture(plan, frames, tx, companding, skipped)
        for key, recording in self._recordings.items():
            if recording.mode == "silent":
                for _ in range(skipped + 1):
                    recording.add(bytes(_FRAME_BYTES * len(recording.channels)), loud=False)
                recording.quiet = 0
            if len(recording.block) >= BLOCK_FRAMES * _FRAME_BYTES * len(recording.channels):
                self._ready.append((key, bytes(recording.block)))
                recording.block.clear()
        return quiet

    def _capture(self, plan: _Plan[K], frames: Bytes, tx: Bytes, companding: Numbers, skipped: int) -> list[K]:
        samples: NDArray[np.int32] = np.zeros((plan.sources, SAMPLES), dtype=np.int32)
        samples[plan.rx_at] = DECODE[companding[plan.rx][:, None], frames[plan.rx]]
        samples[plan.tx_at] = DECODE[companding[plan.tx][:, None], tx[plan.tx]]
        sums = np.clip(np.add.reduceat(samples, plan.starts, axis=0), -32768, 32767).astype("<i2")
        loud = np.mean(sums.astype(np.float32) ** 2, axis=1) > LOUD
        quiet: list[K] = []
        for key, first, end in plan.channels_of:
            recording = self._recordings[key]
            quiet_before = recording.quiet
            for _ in range(skipped):
                recording.add(bytes(_FRAME_BYTES * (end - first)), loud=False)
            recording.add(np.ascontiguousarray(sums[first:end].T).tobytes(), loud=bool(loud[first:end].any()))
            if 0 < recording.quiet_frames <= recording.quiet and quiet_before < recording.quiet_frames:
                quiet.append(key)
        return quiet

    def _make_plan(self) -> _Plan[K]:
        rx: list[int] = []
        rx_at: list[int] = []
        tx: list[int] = []
        tx_at: list[int] = []
        starts: list[int] = []
        channels_of: list[tuple[K, int, int]] = []
        sources = 0
        for key, recording in self._recordings.items():
            if recording.mode != "on":
                continue
            first = len(starts)
            for channel in recording.channels:
                starts.append(sources)
                for source in channel:
                    (tx if source.is_tx else rx).append(source.row)
                    (tx_at if source.is_tx else rx_at).append(sources)
                    sources += 1
                # An empty channel needs a silent source, since a sum of no sources is not possible.
                sources += not channel
            channels_of.append((key, first, len(starts)))
        return _Plan(
            sources=sources,
            rx=np.array(rx, dtype=np.intp),
            rx_at=np.array(rx_at, dtype=np.intp),
            tx=np.array(tx, dtype=np.intp),
            tx_at=np.array(tx_at, dtype=np.intp),
            starts=np.array(starts, dtype=np.intp),
            channels_of=tuple(channels_of),
        )
