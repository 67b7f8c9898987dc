"""Decode any sound file to telephone audio: one mono channel at 8 kHz, µ-law, with headroom.

This code runs in the decoding process only, because the files come from unknown web servers.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from holdfast.voice.media.codec import g711
from holdfast.voice.runtime.http.content_sniffing import AudioFormat
from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.sound import BLOCK, RATE_HZ, DecodedAudio, encode_samples

PEAK = 10 ** (-3 / 20)
"""The maximum peak, −3 dBFS. Louder audio is attenuated to it, because resampling and mixing would clip it."""
MAX_CHANNELS = 32
RATES_HZ = (1000, 768_000)


class _SeekableBytes(io.BytesIO):
    """A file in memory ignores seeks to before its beginning, which a damaged header may cause."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        ahead = {io.SEEK_CUR: self.tell(), io.SEEK_END: len(self.getbuffer())}.get(whence, 0)
        return super().seek(max(0, ahead + offset))


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile carries no types
    """A sequential file is read from its beginning to its end without a seek.

    soundfile seeks to its current position after each block, and an MP3 decoder that seeks loses the overlap of its
    frames: a gap and a burst of noise at every block.
    """

    def seekable(self) -> bool:
        """Return False, so that no block is followed by a seek."""
        return False


def decode_audio(body: bytes, audio_format: AudioFormat, *, max_duration_s: float) -> DecodedAudio:
    """Decode a file; a truncated file is decoded as far as possible.

    Units: `max_duration_s` seconds. Raises: SoundUnplayable.
    """
    sound: NDArray[np.float32]
    if audio_format == "ulaw":
        sound = g711.decode(body, g711.ULAW).astype(np.float32) / np.float32(32768)
        if len(sound) > max_duration_s * RATE_HZ:
            raise SoundUnplayable(f"the sound is longer than {max_duration_s / 60:g} minutes")
    else:
        sound = _read(body, audio_format, max_duration_s)
    if not len(sound):
        raise SoundUnplayable("the file contains no audio")
    peak = float(np.max(np.abs(sound)))
    return encode_samples(sound * np.float32(PEAK / peak) if peak > PEAK else sound)


def _read(body: bytes, kind: AudioFormat, max_duration_s: float) -> NDArray[np.float32]:
    """Mix all channels and resample block by block, so that memory grows with the result only.

    Shape: (samples,), float32, −1 to 1. Raises: SoundUnplayable.
    """
    raw = {"format": "RAW", "subtype": "GSM610", "samplerate": RATE_HZ, "channels": 1} if kind == "gsm" else {}
    blocks: list[NDArray[np.float32]] = []
    samples = 0
    try:
        with _SequentialFile(_SeekableBytes(body), **raw) as file:
            rate, channels = file.samplerate, file.channels
            if channels > MAX_CHANNELS or not RATES_HZ[0] <= rate <= RATES_HZ[1]:
                raise SoundUnplayable(f"{channels} channels at {rate} Hz are not supported")
            resampler = soxr.ResampleStream(rate, RATE_HZ, 1, dtype="float32")
            while len(block := file.read(BLOCK // channels, dtype="float32", always_2d=True)):
                mono = np.nan_to_num(block.mean(axis=1, dtype=np.float32), posinf=1.0, neginf=-1.0)
                blocks.append(resampler.resample_chunk(np.clip(mono, -4.0, 4.0)))
                samples += len(blocks[-1])
                if samples > max_duration_s * RATE_HZ:
                    raise SoundUnplayable(f"the sound is longer than {max_duration_s / 60:g} minutes")
            blocks.append(resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
    except soundfile.SoundFileError as error:
        if not samples:
            raise SoundUnplayable(f"the file cannot be decoded as {kind}: {_reason(error)}") from error
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def _reason(error: soundfile.SoundFileError) -> str:
    """Return the error text of libsndfile without the name of our buffer."""
    return str(error).rpartition(">: ")[2].strip()[:120]
