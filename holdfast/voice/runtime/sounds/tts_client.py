"""Speak the texts of `<Say>` with espeak-ng, which the extra `speech` installs, or with no engine.

espeak-ng runs in its own process: it has another licence, keeps global state, and reads texts of unknown origin.
Another engine is another class with `speak`.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

from holdfast.voice.media.codec.g711 import SILENCE, ULAW
from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.decode_client import Decoder
from holdfast.voice.runtime.sounds.sound import FLOOR_DB, RATE_HZ, DecodedAudio

COMMAND = (sys.executable, "-m", "holdfast.voice.runtime.sounds.tts_process")
MAX_DURATION_S = 600.0
SPEAK_TIMEOUT_S = 10.0
CHARACTERS_PER_SECOND = 15
"""The speed at which a text is spoken, for the pause that replaces it."""

SPEECH_FAILED = 13520
"""Source: Twilio error 13520, the text of a <Say> cannot be spoken."""

_TAG = re.compile(r"<[^>]*>")
_SOURCE = re.compile(r"say:([A-Za-z0-9-]{2,40}):(man|woman):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """An utterance is a text with its voice. Shape: `ssml` is text with SSML, `language` a tag of BCP 47."""

    language: str
    gender: str
    ssml: str

    @property
    def pause_s(self) -> float:
        """Return the estimated duration. Units: seconds."""
        return min(MAX_DURATION_S, max(1.0, len(_TAG.sub("", self.ssml)) / CHARACTERS_PER_SECOND))


class SpeechEngine(Protocol):
    """A speech engine turns texts into audio."""

    async def speak(self, utterance: Utterance) -> DecodedAudio:
        """Return the spoken audio. Raises: SoundUnplayable, for example if there is no voice for the language."""

    async def close(self) -> None:
        """Release all resources."""


class Espeak:
    """This engine runs espeak-ng in a process that starts with the first text.

    It speaks one text at a time, 700 times faster than real time.
    """

    def __init__(self, *, command: tuple[str, ...] = COMMAND, timeout_s: float = SPEAK_TIMEOUT_S) -> None:
        self._process = Decoder(max_duration_s=MAX_DURATION_S, timeout_s=timeout_s, command=command)

    async def speak(self, utterance: Utterance) -> DecodedAudio:
        """Return the spoken audio. Raises: SoundUnplayable."""
        request = {"language": utterance.language, "gender": utterance.gender, "ssml": utterance.ssml}
        return await self._process.decode(json.dumps(request).encode(), "speech")

    async def close(self) -> None:
        """End the process."""
        await self._process.close()


class NoSpeech:
    """This engine speaks no text: each is replaced by a pause of its length, with a warning."""

    async def speak(self, utterance: Utterance) -> DecodedAudio:
        """Refuse to speak. Raises: SoundUnplayable."""
        raise SoundUnplayable("this engine has no voice (install holdfast[speech])")

    async def close(self) -> None:
        """Do nothing, as there is no process."""


def installed_speech_engine() -> SpeechEngine:
    """Return the speech engine that is installed, or the one that speaks no text."""
    return Espeak() if find_spec("espeakng_loader") is not None else NoSpeech()


def utterance_of(source: str) -> Utterance | None:
    """Parse the utterance of a `say:…` source; return None for any other source."""
    found = _SOURCE.match(source)
    return None if found is None else Utterance(language=found[1], gender=found[2], ssml=found[3])


def clip_of(source: str) -> str:
    """Return the clip id of a spoken text: the same text with the same voice is spoken once."""
    return "say-" + hashlib.blake2b(source.encode(), digest_size=16).hexdigest()


def pause_for(utterance: Utterance) -> DecodedAudio:
    """Return silence that is as long as the spoken text would be."""
    silence = bytes([SILENCE[ULAW]]) * round(utterance.pause_s * RATE_HZ)
    return DecodedAudio(audio=silence, level_db=FLOOR_DB, peak_db=FLOOR_DB)
