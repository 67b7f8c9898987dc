"""The speaking process: texts on standard input, telephone sound on standard output.

`python -m holdfast.voice.runtime.sounds.tts_process`. It speaks as the decoding process does (`worker.py`), and is
confined like it: a request's `size` bytes are JSON `{"language", "gender", "marked"}`.
Source: espeak-ng, speak_lib.h.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import BinaryIO

import espeakng_loader
import numpy as np
import soxr
from numpy.typing import NDArray

from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.decode_process import confine, limit_cpu_time
from holdfast.voice.runtime.sounds.sound import RATE_HZ, DecodedAudio, encode_samples

SYNCHRONOUS, BY_CHARACTER, UTF8, SSML = 2, 1, 1, 0x10
LEVEL_DB = -20.0
"""As loud as speech on a telephone is."""
WORDS_PER_MINUTE = 150
RATE_PARAMETER = 1
VARIANT = {"woman": "+f2", "man": "+m3"}

ESPEAK_NAMES = {
    "arb": "ar",
    "no": "nb",
    "nb-no": "nb",
    "zh": "cmn",
    "zh-cn": "cmn",
    "zh-tw": "cmn",
    "zh-hk": "yue",
    "en-gb": "en",
    "es-mx": "es-419",
    "es-us": "es-419",
    "fil": "tl",
}
"""Tags that the engine calls by another name; any other one is tried whole, then by its language alone."""


class EspeakEngine:
    """The library, loaded once."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._rate_hz = self._library.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
        if self._rate_hz <= 0:
            raise OSError("espeak-ng did not start")
        self._heard: list[bytes] = []
        self._room = 0
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        # The library keeps the address alone: the callback must live as long as it.
        self._callback = kind(self._hear)
        self._library.espeak_SetSynthCallback(self._callback)

    def _hear(self, samples: int | None, count: int, _events: int | None) -> int:
        """Take in a piece; 1 tells the library to stop."""
        if samples and count > 0:
            self._heard.append(ctypes.string_at(samples, 2 * count))
            self._room -= count
        return int(self._room <= 0)

    def speak(self, *, language: str, gender: str, ssml: str, max_duration_s: float) -> DecodedAudio:
        """Speak a text. Raises: SoundUnplayable."""
        self._choose(language, gender)
        self._library.espeak_SetParameter(RATE_PARAMETER, WORDS_PER_MINUTE, 0)
        self._heard, self._room = [], round(max_duration_s * self._rate_hz)
        text = f"<speak>{ssml}</speak>".encode()
        self._library.espeak_Synth(text, len(text) + 1, 0, BY_CHARACTER, 0, UTF8 | SSML, None, None)
        heard = np.frombuffer(b"".join(self._heard), dtype=np.int16)
        if not len(heard):
            raise SoundUnplayable("nothing in the text can be spoken")
        return encode_samples(
            _levelled(soxr.resample(heard.astype(np.float32) / np.float32(32768), self._rate_hz, RATE_HZ))
        )

    def _choose(self, language: str, gender: str) -> None:
        """Take the nearest voice. Raises: SoundUnplayable."""
        tag = language.lower()
        primary = tag.split("-")[0]
        for name in dict.fromkeys((ESPEAK_NAMES.get(tag, tag), ESPEAK_NAMES.get(primary, primary))):
            for variant in (VARIANT.get(gender, ""), ""):
                if self._library.espeak_SetVoiceByName((name + variant).encode()) == 0:
                    return
        raise SoundUnplayable(f"there is no voice for the language {language}")


def _levelled(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same, as loud as speech on a telephone, its pauses not counted, and never clipped."""
    loud = sound[np.abs(sound) > 0.01]
    level = float(np.sqrt(np.mean(np.square(loud, dtype=np.float64)))) if len(loud) else 1.0
    peak = float(np.max(np.abs(sound))) or 1.0
    return sound * np.float32(min(10 ** (LEVEL_DB / 20) / level, 0.7 / peak))


def serve(engine: EspeakEngine, requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while line := requests.readline():
        request = json.loads(line)
        asked = json.loads(requests.read(request["size"]))
        limit_cpu_time(request["cpu_s"])
        reply: dict[str, object]
        try:
            sound = engine.speak(**asked, max_duration_s=request["longest_s"])
        except SoundUnplayable as error:
            reply, audio = {"error": error.message}, b""
        else:
            reply = {"size": len(sound.audio), "level_db": sound.level_db, "peak_db": sound.peak_db}
            audio = sound.audio
        replies.write(json.dumps(reply).encode() + b"\n" + audio)
        replies.flush()


if __name__ == "__main__":
    spoken_by = EspeakEngine()
    confine()
    serve(spoken_by, sys.stdin.buffer, sys.stdout.buffer)
