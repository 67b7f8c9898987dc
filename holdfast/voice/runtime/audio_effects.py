"""Send audio effects to the media process at once.

A leg whose media row is closed receives no audio, and no other leg receives its audio.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from contextlib import AbstractContextManager
from typing import Protocol, assert_never

from holdfast.voice.control.conference.audio import hears, speech_reported
from holdfast.voice.control.entities import Room
from holdfast.voice.media.mix.beeps import Tone
from holdfast.voice.media_process.control_link.protocol import Hears
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

    def route(self, hears: Mapping[str, Hears]) -> None:
        """Set the sources that each listed leg hears. Shape: only the legs whose sources change."""

    def drop(self, legs: Iterable[str]) -> None:
        """Discard the audio of these legs' parties that is buffered and not yet mixed."""

    def beep(self, legs: Iterable[str], *, tone: Tone) -> None:
        """Mix a short tone into the audio that these legs are sent."""

    def detect_speech(self, legs: Iterable[str], *, enabled: bool) -> None:
        """Start or stop reporting when the parties of these legs speak."""

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
        """Change which voices a recording captures."""


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
        rows = self._rows()
        match effect:
            case RouteAudio(hears=sources):
                routed: dict[str, Hears] = {
                    leg: None if heard is None else tuple(other for other in heard if other in rows)
                    for leg, heard in sources
                    if leg in rows
                }
                for leg in routed:
                    self._leg_in_place.pop(CallSid(leg), None)
                if routed:
                    self._media.route(routed)
            case DropUnheard(calls=calls):
                self._media.drop(call for call in calls if call in rows)
            case PlaySound() | StopSound():
                self._play(effect, rows)
            case Beep(listeners=legs, tone=tone):
                self._media.beep((leg for leg in legs if leg in rows), tone=tone)
            case DetectSpeech(calls=calls, enabled=enabled):
                self._media.detect_speech((call for call in calls if call in rows), enabled=enabled)
            case ChangeCapture():
                self._captures.carry_out(effect)
            case _:
                assert_never(effect)

    def resend(self, rooms: Iterable[Room]) -> None:
        """Send the whole routing again to a media process that kept running while control was detached.

        A party that was put on hold meanwhile must not be heard any longer.
        """
        rooms, rows = tuple(rooms), self._rows()
        in_rooms = {call: heard for room in rooms for call, heard in hears(room).items()}
        watched = {call for room in rooms for call in speech_reported(room)}
        outside_rooms = {call: self._leg_in_place.get(call) for call in rows if call not in in_rooms}
        with self._media.batch():
            self._media.drop(rows)
            self._media.route({call: None if heard is None else (heard[1],) for call, heard in outside_rooms.items()})
            self.carry_out(RouteAudio(hears=tuple(in_rooms.items())))
            self._media.detect_speech(rows - watched, enabled=False)
            self._media.detect_speech(rows & watched, enabled=True)

    def _play(self, effect: PlaySound | StopSound, rows: Set[CallSid]) -> None:
        """Play or stop a sound from the sound cache, or another leg's audio in its place."""
        leg = call_of(effect.token)
        if isinstance(effect, PlaySound) and effect.source.startswith(LEG):
            other = CallSid(effect.source.removeprefix(LEG))
            self._sounds.forget(leg)
            if leg in rows and other in rows:
                self._leg_in_place[leg] = (effect.token, other)
                self._media.route({leg: (other,)})
            return
        heard = self._leg_in_place.get(leg)
        ends = isinstance(effect, PlaySound) or (heard is not None and heard[0] == effect.token)
        if ends and self._leg_in_place.pop(leg, None) is not None and leg in rows:
            self._media.route({leg: None})
        self._sounds.carry_out(effect)
