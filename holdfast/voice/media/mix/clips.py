"""Pieces of sound, encoded once per law, and who plays them: any number of legs, each from its own position.

Invariant: a clip begins at its beginning for every leg; nothing of a clip in play is overwritten.
Shape: the bank is the clips' part of the frames matrix, every clip at the same place in both laws. Units: frames of
20 ms.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import (
    ALAW,
    SILENCE,
    TO_OTHER_LAW,
    ULAW,
)
from holdfast.voice.media.frames import SAMPLES, Bytes, Layout, Numbers
from holdfast.voice.model.errors import AskedWrong

_TO_ALAW = TO_OTHER_LAW[ULAW].tobytes()


class ClipTooLong(AskedWrong):
    """The bank has no room for the clip, even without every clip that is not in play."""


class ClipBroken(AskedWrong):
    """The parts of a clip do not follow each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A clip's place in the bank."""

    first: int
    frames: int


class ClipBank:
    """Clips by name. The least recently played one makes room when there is none.

    Shape: `frames[2 * capacity, 160]`.
    """

    def __init__(self, frames: Bytes) -> None:
        self.capacity = len(frames) // 2
        self.frames = frames
        self._bytes: Bytes = frames.reshape(2, self.capacity * SAMPLES)
        self._clips: dict[str, Clip] = {}
        self._replaced: list[Clip] = []
        self._arriving: dict[str, tuple[Clip, int, int]] = {}

    def get(self, clip_id: str) -> Clip | None:
        """A clip that is there whole; now it is the one played last."""
        clip = self._clips.pop(clip_id, None)
        if clip is not None:
            self._clips[clip_id] = clip
        return clip

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self._clips

    def put(self, clip_id: str, part: bytes, *, offset: int, total: int, in_play: Collection[int] = ()) -> None:
        """Take in a part of a clip; after its last part the clip is there, in place of one of its name.

        The last frame is filled up with silence. Shape: `in_play` are the `first` frames of clips in play.
        Units: bytes of µ-law. Raises: ClipTooLong, ClipBroken.
        """
        if offset == 0:
            self._arriving.pop(clip_id, None)
            frames = -(-total // SAMPLES)
            clip = Clip(first=self._make_room(frames, in_play), frames=frames)
            self._arriving[clip_id] = (clip, total, 0)
        clip, expected_total, arrived = self._arriving.get(clip_id, (Clip(first=0, frames=0), -1, -1))
        end = offset + len(part)
        if offset != arrived or total != expected_total or end > total:
            self._arriving.pop(clip_id, None)
            raise ClipBroken(f"clip {clip_id}: bytes {offset} to {end} of {total} came after {arrived}")
        self._write(clip, offset, part)
        if end < total:
            self._arriving[clip_id] = (clip, total, end)
            return
        self._write(clip, total, bytes([SILENCE[ULAW]]) * (clip.frames * SAMPLES - total))
        del self._arriving[clip_id]
        if clip_id in self._clips:
            self._replaced.append(self._clips.pop(clip_id))
        self._clips[clip_id] = clip

    def forget_parts(self) -> None:
        """Whoever was giving clips is gone: what came of them makes room."""
        self._arriving.clear()

    def _write(self, clip: Clip, offset: int, part: bytes) -> None:
        at = clip.first * SAMPLES + offset
        self._bytes[ULAW, at : at + len(part)] = np.frombuffer(part, dtype=np.uint8)
        self._bytes[ALAW, at : at + len(part)] = np.frombuffer(part.translate(_TO_ALAW), dtype=np.uint8)

    def _make_room(self, frames: int, in_play: Collection[int]) -> int:
        """The first of that many free frames. Raises: ClipTooLong."""
        if frames > self.capacity:
            raise ClipTooLong(f"a clip of {frames} frames: there is room for {self.capacity} in all")
        self._replaced = [clip for clip in self._replaced if clip.first in in_play]
        idle = [clip_id for clip_id, clip in self._clips.items() if clip.first not in in_play]
        while (first := self._gap(frames)) is None:
            if not idle:
                raise ClipTooLong(f"a clip of {frames} frames: what is in play leaves no such room")
            del self._clips[idle.pop(0)]
        return first

    def _gap(self, frames: int) -> int | None:
        """Where that many frames are free."""
        arriving = [clip for clip, _, _ in self._arriving.values()]
        free = 0
        for clip in sorted([*self._clips.values(), *self._replaced, *arriving], key=lambda clip: clip.first):
            if clip.first - free >= frames:
                break
            free = max(free, clip.first + clip.frames)
        return free if self.capacity - free >= frames else None


class Players:
    """One player per row: its clip, position and rounds; silent while it plays nothing.

    Shape: `at[row]` is the row of the frames matrix that the player plays in this tick.
    """

    def __init__(self, layout: Layout) -> None:
        rows = layout.rows
        self._clips: Numbers = np.array([layout.clips(law) for law in (ULAW, ALAW)], dtype=np.intp)
        self._silence: Numbers = np.array([layout.silence(law) for law in (ULAW, ALAW)], dtype=np.intp)
        self.at: Numbers = np.full(rows, layout.silence(ULAW), dtype=np.intp)
        self._law: Numbers = np.zeros(rows, dtype=np.intp)
        self._first: Numbers = np.zeros(rows, dtype=np.intp)
        self._frames: Numbers = np.zeros(rows, dtype=np.intp)
        self._position: Numbers = np.zeros(rows, dtype=np.intp)
        self._rounds: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._playing: Numbers = np.zeros(0, dtype=np.intp)
        self._ended: Numbers = np.zeros(0, dtype=np.intp)

    def describe(self, row: int, *, law: int) -> None:
        """Set the law the leg is sent. What plays goes on in it."""
        self._law[row] = law
        self.at[row] = self._silence[law]

    def start(self, row: int, clip: Clip, *, rounds: int) -> None:
        """Play from the beginning, in place of what plays."""
        self._first[row], self._frames[row] = clip.first, clip.frames
        self._position[row] = 0
        self._rounds[row] = rounds
        if row not in self._playing:
            self._playing = np.sort(np.append(self._playing, np.intp(row)))

    def stop(self, row: int) -> None:
        """Be silent."""
        self._playing = self._playing[self._playing != row]
        self.at[row] = self._silence[self._law[row]]

    def in_play(self) -> set[int]:
        """The first frames of the clips in play."""
        return set(self._first[self._playing].tolist())

    def play(self) -> Numbers:
        """Move every player that plays on to its next frame; the rows whose sound ends with it."""
        # A sound that ended is silent from the frame after its last one, and so not when it is reported.
        self.at[self._ended] = self._silence[self._law[self._ended]]
        rows = self._playing
        if not rows.size:
            self._ended = rows
            return rows
        law, frames, position = self._law[rows], self._frames[rows], self._position[rows]
        self.at[rows] = self._clips[law] + self._first[rows] + position
        position += 1
        self._position[rows] = position
        over = rows[position >= frames]
        if not over.size:
            self._ended = over
            return over
        # An empty clip has no frame to show: it is silent for one tick, whatever its rounds, and over.
        empty = rows[frames == 0]
        self.at[empty] = self._silence[self._law[empty]]
        self._rounds[empty] = 1
        self._position[over] = 0
        self._rounds[over] -= 1
        self._ended = over[self._rounds[over] <= 0]
        if self._ended.size:
            self._playing = np.setdiff1d(rows, self._ended, assume_unique=True)
        return self._ended
