"""Send audio effects to the media process at once: as they are, but for sounds, which the sound cache plays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from contextlib import AbstractContextManager
from typing import Protocol, assert_never

from holdfast.voice.control.conference.audio import seats, speech_reported
from holdfast.voice.control.entities import Room
from holdfast.voice.media_process.control_link.protocol import Command, HearLeg, LeaveRooms
from holdfast.voice.model.effects import (
    Beep,
    ChangeCapture,
    DetectSpeech,
    DropUnheard,
    MediaEffect,
    PlaySound,
    RouteAudio,
    StopSound,
)
from holdfast.voice.model.ids import CallSid, Token, call_of

LEG = "leg:"
"""Prefix of a `PlaySound` source that names another leg: its party's audio is played in place of a sound."""


class MediaPort(Protocol):
    """The part of the media process that audio effects use."""

    def send(self, command: Command) -> None:
        """Send a command, which takes effect at the next tick."""

    def batch(self) -> AbstractContextManager[None]:
        """Return a context in which all commands take effect at the same tick."""


class SoundPort(Protocol):
    """The player of sounds that do not come from a leg."""

    def carry_out(self, effect: PlaySound | StopSound) -> None:
        """Play or stop a sound."""

    def forget(self, call: CallSid) -> None:
        """Forget what this call plays or waits for."""


class CapturePort(Protocol):
    """The recorder."""

    def carry_out(self, effect: ChangeCapture) -> None:
        """Pause a recording, or continue it."""


class AudioEffectExecutor:
    """An executor carries out audio effects at once.

    Invariant: each leg hears at most one other leg in place of a sound.
    """

    def __init__(
        self, *, media: MediaPort, rows: Callable[[], Set[CallSid]], sounds: SoundPort, captures: CapturePort
    ) -> None:
        self._media = media
        self._rows = rows
        self._sounds = sounds
        self._captures = captures
        self._leg_in_place: dict[CallSid, tuple[Token, CallSid]] = {}
        """The legs that hear another leg in place of a sound: the token of the sound, and the other leg."""

    def carry_out(self, effect: MediaEffect) -> None:
        """Send an effect to the media process, which applies it at its next tick."""
        match effect:
            case RouteAudio(seats=seats, left=left):
                for call in (*(seat.call for seat in seats), *left):
                    self._leg_in_place.pop(call, None)
                self._media.send(effect)
            case DropUnheard() | Beep() | DetectSpeech():
                self._media.send(effect)
            case PlaySound() | StopSound():
                self._play(effect, self._rows())
            case ChangeCapture():
                self._captures.carry_out(effect)
            case _:
                assert_never(effect)

    def resend(self, rooms: Iterable[Room]) -> None:
        """Send the whole routing again to a media process that kept running while control was detached.

        A party that was put on hold meanwhile must not be heard any longer.
        """
        rooms, rows = tuple(rooms), self._rows()
        watched = {call for room in rooms for call in speech_reported(room)}
        with self._media.batch():
            self._media.send(DropUnheard(calls=tuple(rows)))
            self._media.send(LeaveRooms())
            for leg, (_, source) in self._leg_in_place.items():
                self._media.send(HearLeg(leg=leg, source=source))
            for room in rooms:
                self._media.send(RouteAudio(room=room.sid, seats=seats(room)))
            self._media.send(DetectSpeech(calls=tuple(rows - watched), enabled=False))
            self._media.send(DetectSpeech(calls=tuple(rows & watched), enabled=True))

    def _play(self, effect: PlaySound | StopSound, rows: Set[CallSid]) -> None:
        """Play or stop a sound from the sound cache, or another leg's audio in its place."""
        leg = call_of(effect.token)
        if isinstance(effect, PlaySound) and effect.source.startswith(LEG):
            other = CallSid(effect.source.removeprefix(LEG))
            self._sounds.forget(leg)
            if leg in rows and other in rows:
                self._leg_in_place[leg] = (effect.token, other)
                self._media.send(HearLeg(leg=leg, source=other))
            return
        heard = self._leg_in_place.get(leg)
        ends = isinstance(effect, PlaySound) or (heard is not None and heard[0] == effect.token)
        if ends and self._leg_in_place.pop(leg, None) is not None and leg in rows:
            self._media.send(HearLeg(leg=leg, source=None))
        self._sounds.carry_out(effect)
