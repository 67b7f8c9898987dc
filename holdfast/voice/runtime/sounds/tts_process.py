"""Speak texts from standard input to telephone audio on standard output, in a confined process.

`python -m holdfast.voice.runtime.sounds.tts_process`. It uses the protocol of the decoding process and is confined like
it (`decode_process.py`): a request's `size` bytes are JSON `{"language", "gender", "ssml"}`.
Source: espeak-ng, speak_lib.h.
"""

from __future__ import annotations

import ctypes
import json
import sys

import espeakng_loader
import numpy as np
import soxr
from numpy.typing import NDArray

from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.decode_process import confine, serve
from holdfast.voice.runtime.sounds.sound import RATE_HZ, DecodedAudio, encode_samples

SYNCHRONOUS, BY_CHARACTER, UTF8, SSML = 2, 1, 1, 0x10
LEVEL_DB = -20.0
"""The RMS level of the audio, as of speech on a telephone."""
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
"""Language tags for which espeak-ng has other names; any other tag is tried whole, then its language alone."""


class EspeakEngine:
    """The espeak-ng library, loaded once."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        self._rate_hz = self._library.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
        if self._rate_hz <= 0:
            raise OSError("espeak-ng did not start")
        self._blocks: list[bytes] = []
        self._samples_left = 0
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
        # The library keeps only the address: the callback must live as long as the library.
        self._callback = kind(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: int | None, count: int, _events: int | None) -> int:
        """Collect a block of samples; 1 tells the library to stop."""
        if samples and count > 0:
            self._blocks.append(ctypes.string_at(samples, 2 * count))
            self._samples_left -= count
        return int(self._samples_left <= 0)

    def speak(self, *, language: str, gender: str, ssml: str, max_duration_s: float) -> DecodedAudio:
        """Speak a text. Units: `max_duration_s` seconds. Raises: SoundUnplayable."""
        self._select_voice(language, gender)
        self._library.espeak_SetParameter(RATE_PARAMETER, WORDS_PER_MINUTE, 0)
        self._blocks, self._samples_left = [], round(max_duration_s * self._rate_hz)
        text = f"<speak>{ssml}</speak>".encode()
        self._library.espeak_Synth(text, len(text) + 1, 0, BY_CHARACTER, 0, UTF8 | SSML, None, None)
        samples = np.frombuffer(b"".join(self._blocks), dtype=np.int16)
        if not len(samples):
            raise SoundUnplayable("nothing in the text can be spoken")
        return encode_samples(
            _normalized(soxr.resample(samples.astype(np.float32) / np.float32(32768), self._rate_hz, RATE_HZ))
        )

    def _select_voice(self, language: str, gender: str) -> None:
        """Select the nearest voice. Raises: SoundUnplayable."""
        tag = language.lower()
        primary = tag.split("-")[0]
        for name in dict.fromkeys((ESPEAK_NAMES.get(tag, tag), ESPEAK_NAMES.get(primary, primary))):
            for variant in (VARIANT.get(gender, ""), ""):
                if self._library.espeak_SetVoiceByName((name + variant).encode()) == 0:
                    return
        raise SoundUnplayable(f"there is no voice for the language {language}")


def _normalized(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Normalize the level to that of speech on a telephone, measured without pauses and never clipped.

    Shape: (samples,), float32, −1 to 1.
    """
    loud = samples[np.abs(samples) > 0.01]
    level = float(np.sqrt(np.mean(np.square(loud, dtype=np.float64)))) if len(loud) else 1.0
    peak = float(np.max(np.abs(samples))) or 1.0
    return samples * np.float32(min(10 ** (LEVEL_DB / 20) / level, 0.7 / peak))


if __name__ == "__main__":
    espeak = EspeakEngine()
    confine(open_files=16)
    serve(
        sys.stdin.buffer,
        sys.stdout.buffer,
        lambda body, request: espeak.speak(**json.loads(body), max_duration_s=request["max_duration_s"]),
    )
