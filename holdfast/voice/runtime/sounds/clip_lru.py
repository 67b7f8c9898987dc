"""The clips we hold, and who plays which: the least recently used make room, those in play never."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from holdfast.voice.runtime.sounds.sound import DecodedAudio


class ClipLru:
    """Sounds by clip id within a budget of bytes.

    Invariant: what plays is never given away, and neither are the sounds put up for good; so the budget may be
    exceeded by them.
    """

    def __init__(self, *, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._sounds: OrderedDict[str, DecodedAudio] = OrderedDict()
        self._for_good: set[str] = set()
        self._size = 0

    def __contains__(self, clip: str) -> bool:
        return clip in self._sounds

    def get(self, clip: str) -> DecodedAudio | None:
        """A sound; now it is the one used last."""
        sound = self._sounds.get(clip)
        if sound is not None:
            self._sounds.move_to_end(clip)
        return sound

    def put(self, clip: str, audio: DecodedAudio, *, playing: Iterable[str], pinned: bool = False) -> tuple[str, ...]:
        """Put up a sound, in place of one of its name; the clips given away to make room."""
        before = self._sounds.pop(clip, None)
        self._size += len(audio.audio) - (len(before.audio) if before is not None else 0)
        self._sounds[clip] = audio
        if pinned:
            self._for_good.add(clip)
        stays = {clip, *self._for_good, *playing}
        given_away: list[str] = []
        for candidate in list(self._sounds):
            if self._size <= self._budget:
                break
            if candidate not in stays:
                self._size -= len(self._sounds.pop(candidate).audio)
                given_away.append(candidate)
        return tuple(given_away)

    def pinned(self) -> tuple[str, ...]:
        """The clips that are never given away."""
        return tuple(sorted(self._for_good))
