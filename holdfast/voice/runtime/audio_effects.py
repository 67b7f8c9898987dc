"""Sound, at once: what the board says of who hears what, told to the media process.

A leg whose row is closed hears nothing and is heard by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import AbstractContextManager
from typing import Protocol, assert_never

from holdfast.voice.control.conference.audio import hears, listened_to
from holdfast.voice.control.entities import Room
from holdfast.voice.media.mix.beeps import Tone
from holdfast.voice.media_process.control_link.protocol import Hears
from holdfast.voice.model.effects import (
    Beep,
    ChangeCapture,
    DropUnheard,
    Listen,
    PlaySound,
    RouteAudio,
    SoundEffect,
    StopSound,
)
from holdfast.voice.model.ids import CallSid, Token, owner

LEG = "leg:"
"""Begins the source of a sound that is what another leg's phone sends."""


class MediaPort(Protocol):
    """What is told to the media process."""

    def route(self, hears: Mapping[str, Hears]) -> None:
        """Who hears whom. Shape: only the ears that change."""

    def drop(self, legs: Iterable[str]) -> None:
        """Drop what waits to be played of what these parties said."""

    def beep(self, legs: Iterable[str], *, tone: Tone) -> None:
        """Lay a short tone over whatever these legs are sent."""

    def detect_speech(self, legs: Iterable[str], *, enabled: bool) -> None:
        """Have it told when these parties speak, or no more."""

    def batch(self) -> AbstractContextManager[None]:
        """Commands posted inside take effect at one tick."""


class SoundPort(Protocol):
    """What plays the sounds that are no leg's."""

    def carry_out(self, effect: PlaySound | StopSound) -> None:
        """Play, or stop."""

    def forget(self, call: CallSid) -> None:
        """The call plays nothing of the library's any more."""


class CapturePort(Protocol):
    """What keeps the recordings."""

    def carry_out(self, effect: ChangeCapture) -> None:
        """Record other voices."""


class AudioEffectExecutor:
    """Carries out what leaves at once. Invariant: an ear hears another leg in place of a sound at most once."""

    def __init__(
        self, *, media: MediaPort, rows: Callable[[], Set[CallSid]], sounds: SoundPort, captures: CapturePort
    ) -> None:
        self._media = media
        self._rows = rows
        self._clips = sounds
        self._tapes = captures
        self._overheard: dict[CallSid, tuple[Token, CallSid]] = {}
        """Ears that hear another leg in place of a sound: the sound's token, and the leg."""

    def carry_out(self, effect: SoundEffect) -> None:
        """Tell the media process; it is in force at its next tick."""
        rows = self._rows()
        match effect:
            case RouteAudio(hears=heard_by):
                routed: dict[str, Hears] = {
                    ear: None if heard is None else tuple(other for other in heard if other in rows)
                    for ear, heard in heard_by
                    if ear in rows
                }
                for ear in routed:
                    self._overheard.pop(CallSid(ear), None)
                if routed:
                    self._media.route(routed)
            case DropUnheard(calls=calls):
                self._media.drop(call for call in calls if call in rows)
            case PlaySound() | StopSound():
                self._play(effect, rows)
            case Beep(ears=ears, tone=tone):
                self._media.beep((ear for ear in ears if ear in rows), tone=tone)
            case Listen(calls=calls, wanted=wanted):
                self._media.detect_speech((call for call in calls if call in rows), enabled=wanted)
            case ChangeCapture():
                self._tapes.carry_out(effect)
            case _:
                assert_never(effect)

    def resend(self, rooms: Iterable[Room]) -> None:
        """Tell all of it again to a media process that went on while nothing could be told to it.

        Who was put on hold meanwhile must not be heard for longer than that.
        """
        rooms, rows = tuple(rooms), self._rows()
        together = {call: heard for room in rooms for call, heard in hears(room).items()}
        listened = {call for room in rooms for call in listened_to(room)}
        alone = {call: self._overheard.get(call) for call in rows if call not in together}
        with self._media.batch():
            self._media.drop(rows)
            self._media.route({call: None if heard is None else (heard[1],) for call, heard in alone.items()})
            self.carry_out(RouteAudio(hears=tuple(together.items())))
            self._media.detect_speech(rows - listened, enabled=False)
            self._media.detect_speech(rows & listened, enabled=True)

    def _play(self, effect: PlaySound | StopSound, rows: Set[CallSid]) -> None:
        """A sound from the library, or what another leg's phone sends, in the place of one."""
        ear = owner(effect.token)
        if isinstance(effect, PlaySound) and effect.source.startswith(LEG):
            other = CallSid(effect.source.removeprefix(LEG))
            self._clips.forget(ear)
            if ear in rows and other in rows:
                self._overheard[ear] = (effect.token, other)
                self._media.route({ear: (other,)})
            return
        heard = self._overheard.get(ear)
        ends = isinstance(effect, PlaySound) or (heard is not None and heard[0] == effect.token)
        if ends and self._overheard.pop(ear, None) is not None and ear in rows:
            self._media.route({ear: None})
        self._clips.carry_out(effect)
