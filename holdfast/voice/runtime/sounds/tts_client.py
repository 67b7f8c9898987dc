"""Speech for `<Say>`: an interface, the engine behind it that comes with the extra `speech`, and none at all.

The engine is espeak-ng, run as a process of its own: it is under another licence than we are, it keeps global state,
and what it reads comes from strangers. Another engine is another class with `speak`.
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
"""How fast a text is spoken, for the pause that stands in for it."""

SPEECH_FAILED = 13520
"""Source: Twilio error 13520, what a <Say> holds cannot be spoken."""

_TAG = re.compile(r"<[^>]*>")
_SOURCE = re.compile(r"say:([A-Za-z0-9-]{2,40}):(man|woman):(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What is to be spoken, and how. Shape: `marked` is text with SSML, `language` a tag of BCP 47."""

    language: str
    gender: str
    ssml: str

    @property
    def pause_s(self) -> float:
        """How long it would take, roughly."""
        return min(MAX_DURATION_S, max(1.0, len(_TAG.sub("", self.ssml)) / CHARACTERS_PER_SECOND))


class SpeechEngine(Protocol):
    """Something that can speak."""

    async def speak(self, utterance: Utterance) -> DecodedAudio:
        """The sound of it. Raises: SoundUnplayable, when there is no voice for the language among other things."""

    async def close(self) -> None:
        """Give back what it holds."""


class Espeak:
    """espeak-ng in a process that is started with the first text. One text after the other; it speaks 700 times as
    fast as one listens.
    """

    def __init__(self, *, command: tuple[str, ...] = COMMAND, timeout_s: float = SPEAK_TIMEOUT_S) -> None:
        self._process = Decoder(max_duration_s=MAX_DURATION_S, timeout_s=timeout_s, command=command)

    async def speak(self, utterance: Utterance) -> DecodedAudio:
        """The sound of it. Raises: SoundUnplayable."""
        asked = {"language": utterance.language, "gender": utterance.gender, "marked": utterance.ssml}
        return await self._process.decode(json.dumps(asked).encode(), "speech")

    async def close(self) -> None:
        """End the process."""
        await self._process.close()


class NoSpeech:
    """No engine is installed: every text is a pause of its length, and a warning."""

    async def speak(self, utterance: Utterance) -> DecodedAudio:
        """Raises: SoundUnplayable."""
        raise SoundUnplayable("this engine has no voice (install holdfast[speech])")

    async def close(self) -> None:
        """Nothing is held."""


def installed_speech_engine() -> SpeechEngine:
    """What is installed."""
    return Espeak() if find_spec("espeakng_loader") is not None else NoSpeech()


def utterance_of(source: str) -> Utterance | None:
    """What a source of a sound asks to be spoken; None for one that asks for something else."""
    found = _SOURCE.match(source)
    return None if found is None else Utterance(language=found[1], gender=found[2], ssml=found[3])


def clip_of(source: str) -> str:
    """The name of the clip of a text: the same text by the same voice is spoken once."""
    return "say-" + hashlib.blake2b(source.encode(), digest_size=16).hexdigest()


def pause_for(utterance: Utterance) -> DecodedAudio:
    """Silence as long as the text."""
    silence = bytes([SILENCE[ULAW]]) * round(utterance.pause_s * RATE_HZ)
    return DecodedAudio(audio=silence, level_db=FLOOR_DB, peak_db=FLOOR_DB)
