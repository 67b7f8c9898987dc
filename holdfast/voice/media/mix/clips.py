"""The clip bank and the players: clips are encoded once per companding and played by any number of legs.

Invariant: a clip begins at its beginning for every leg; no clip that is playing is overwritten.
Shape: the bank is the clips' part of the frames matrix, with every clip at the same place in both compandings. Units:
frames of 20 ms.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import (
    ALAW,
    SILENCE,
    TRANSCODE,
    ULAW,
)
from holdfast.voice.media.frames import SAMPLES, Bytes, Layout, Numbers
from holdfast.voice.model.errors import AskedWrong

_TO_ALAW = TRANSCODE[ULAW].tobytes()


class ClipTooLong(AskedWrong):
    """The bank has no room for the clip, even without every clip that is not playing."""


class ClipBroken(AskedWrong):
    """The parts of a clip do not follow each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip is a run of frames in the bank."""

    first: int
    frames: int


class ClipBank:
    """The clip bank holds clips by name. When it is full, the least recently played clip is removed.

    Shape: `frames[2 * capacity, 160]`, dtype uint8.
    """

    def __init__(self, frames: Bytes) -> None:
        self.capacity = len(frames) // 2
        self.frames = frames
        self._bytes: Bytes = frames.reshape(2, self.capacity * SAMPLES)
        self._clips: dict[str, Clip] = {}
        self._replaced: list[Clip] = []
        self._partial: dict[str, tuple[Clip, int, int]] = {}

    def get(self, clip_id: str) -> Clip | None:
        """Return a complete clip and mark it as the most recently played; None when there is none."""
        clip = self._clips.pop(clip_id, None)
        if clip is not None:
            self._clips[clip_id] = clip
        return clip

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self._clips

    def put(self, clip_id: str, part: bytes, *, offset: int, total: int, in_play: Collection[int] = ()) -> None:
        """Store a part of a clip. After its last part the clip is in the bank and replaces one with the same name.

        The last frame is padded with silence. Shape: `in_play` are the `first` frames of clips that are playing.
        Units: bytes of µ-law. Raises: ClipTooLong, ClipBroken.
        """
        if offset == 0:
            self._partial.pop(clip_id, None)
            frames = -(-total // SAMPLES)
            clip = Clip(first=self._make_room(frames, in_play), frames=frames)
            self._partial[clip_id] = (clip, total, 0)
        clip, expected_total, received = self._partial.get(clip_id, (Clip(first=0, frames=0), -1, -1))
        end = offset + len(part)
        if offset != received or total != expected_total or end > total:
            self._partial.pop(clip_id, None)
            raise ClipBroken(f"clip {clip_id}: bytes {offset} to {end} of {total} arrived after {received}")
        self._write(clip, offset, part)
        if end < total:
            self._partial[clip_id] = (clip, total, end)
            return
        self._write(clip, total, bytes([SILENCE[ULAW]]) * (clip.frames * SAMPLES - total))
        del self._partial[clip_id]
        if clip_id in self._clips:
            self._replaced.append(self._clips.pop(clip_id))
        self._clips[clip_id] = clip

    def discard_partial(self) -> None:
        """Discard incomplete clips, because the client that sent their parts is gone."""
        self._partial.clear()

    def _write(self, clip: Clip, offset: int, part: bytes) -> None:
        start = clip.first * SAMPLES + offset
        self._bytes[ULAW, start : start + len(part)] = np.frombuffer(part, dtype=np.uint8)
        self._bytes[ALAW, start : start + len(part)] = np.frombuffer(part.translate(_TO_ALAW), dtype=np.uint8)

    def _make_room(self, frames: int, in_play: Collection[int]) -> int:
        """Return the first of that many free frames. Raises: ClipTooLong."""
        if frames > self.capacity:
            raise ClipTooLong(f"a clip of {frames} frames: the bank has room for {self.capacity}")
        self._replaced = [clip for clip in self._replaced if clip.first in in_play]
        idle = [clip_id for clip_id, clip in self._clips.items() if clip.first not in in_play]
        while (first := self._find_gap(frames)) is None:
            if not idle:
                raise ClipTooLong(f"a clip of {frames} frames: the clips in play leave no room")
            del self._clips[idle.pop(0)]
        return first

    def _find_gap(self, frames: int) -> int | None:
        """Return the first frame of a gap that is large enough; None when there is none."""
        partial = [clip for clip, _, _ in self._partial.values()]
        free = 0
        for clip in sorted([*self._clips.values(), *self._replaced, *partial], key=lambda clip: clip.first):
            if clip.first - free >= frames:
                break
            free = max(free, clip.first + clip.frames)
        return free if self.capacity - free >= frames else None


class Players:
    """Each row has one player with its clip, position and loops; a player without a clip is silent.

    Shape: `frame_row[row]` is the row of the frames matrix that the player plays in this tick; dtype intp.
    """

    def __init__(self, layout: Layout) -> None:
        rows = layout.rows
        self._clips: Numbers = np.array([layout.clips(companding) for companding in (ULAW, ALAW)], dtype=np.intp)
        self._silence: Numbers = np.array([layout.silence(companding) for companding in (ULAW, ALAW)], dtype=np.intp)
        self.frame_row: Numbers = np.full(rows, layout.silence(ULAW), dtype=np.intp)
        self._companding: Numbers = np.zeros(rows, dtype=np.intp)
        self._first: Numbers = np.zeros(rows, dtype=np.intp)
        self._frames: Numbers = np.zeros(rows, dtype=np.intp)
        self._position: Numbers = np.zeros(rows, dtype=np.intp)
        self._loops: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._playing: Numbers = np.zeros(0, dtype=np.intp)
        self._ended: Numbers = np.zeros(0, dtype=np.intp)

    def describe(self, row: int, *, companding: int) -> None:
        """Set the companding that the leg is sent. A clip that is playing goes on in it."""
        self._companding[row] = companding
        self.frame_row[row] = self._silence[companding]

    def start(self, row: int, clip: Clip, *, loops: int) -> None:
        """Play a clip from its beginning, in place of what plays."""
        self._first[row], self._frames[row] = clip.first, clip.frames
        self._position[row] = 0
        self._loops[row] = loops
        if row not in self._playing:
            self._playing = np.sort(np.append(self._playing, np.intp(row)))

    def stop(self, row: int) -> None:
        """Stop the player of a row."""
        self._playing = self._playing[self._playing != row]
        self.frame_row[row] = self._silence[self._companding[row]]

    def in_play(self) -> set[int]:
        """Return the first frames of the clips that are playing."""
        return set(self._first[self._playing].tolist())

    def advance(self) -> Numbers:
        """Advance every playing player by one frame; return the rows whose clip ends with it.

        Shape: `[k]`, dtype intp.
        """
        # A clip that ended is silent from the frame after its last one, so not yet when its end is reported.
        self.frame_row[self._ended] = self._silence[self._companding[self._ended]]
        rows = self._playing
        if not rows.size:
            self._ended = rows
            return rows
        companding, frames, position = self._companding[rows], self._frames[rows], self._position[rows]
        self.frame_row[rows] = self._clips[companding] + self._first[rows] + position
        position += 1
        self._position[rows] = position
        over = rows[position >= frames]
        if not over.size:
            self._ended = over
            return over
        # An empty clip has no frame to play: it is silent for one tick, whatever its loops, and then ended.
        empty = rows[frames == 0]
        self.frame_row[empty] = self._silence[self._companding[empty]]
        self._loops[empty] = 1
        self._position[over] = 0
        self._loops[over] -= 1
        self._ended = over[self._loops[over] <= 0]
        if self._ended.size:
            self._playing = np.setdiff1d(rows, self._ended, assume_unique=True)
        return self._ended
