"""Hold clips within a budget; the least recently used is dropped, but never a clip that plays."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from holdfast.voice.runtime.sounds.sound import DecodedAudio


class ClipLru:
    """A cache holds decoded audio by clip id within a budget of bytes.

    Invariant: clips that play and pinned clips are never dropped, so they may exceed the budget.
    """

    def __init__(self, *, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._clips: OrderedDict[str, DecodedAudio] = OrderedDict()
        self._pinned: set[str] = set()
        self._size = 0

    def __contains__(self, clip: str) -> bool:
        return clip in self._clips

    def get(self, clip: str) -> DecodedAudio | None:
        """Return the audio of a clip, and mark it as the most recently used."""
        sound = self._clips.get(clip)
        if sound is not None:
            self._clips.move_to_end(clip)
        return sound

    def put(self, clip: str, audio: DecodedAudio, *, playing: Iterable[str], pinned: bool = False) -> tuple[str, ...]:
        """Add or replace a clip, and return the clips that were dropped to make room."""
        replaced = self._clips.pop(clip, None)
        self._size += len(audio.audio) - (len(replaced.audio) if replaced is not None else 0)
        self._clips[clip] = audio
        if pinned:
            self._pinned.add(clip)
        kept = {clip, *self._pinned, *playing}
        dropped: list[str] = []
        for candidate in list(self._clips):
            if self._size <= self._budget:
                break
            if candidate not in kept:
                self._size -= len(self._clips.pop(candidate).audio)
                dropped.append(candidate)
        return tuple(dropped)

    def pinned(self) -> tuple[str, ...]:
        """Return the clips that are never dropped."""
        return tuple(sorted(self._pinned))
