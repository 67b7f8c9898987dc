"""Any sound file to telephone sound: one mono channel at 8 kHz, µ-law, with room above it.

Runs in the decoding process only: what is decoded comes from strangers.
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
"""−3 dBFS. Louder sounds are brought down to it, softer ones stay as they are: what is louder is clipped by
resampling and by mixing."""
MAX_CHANNELS = 32
RATES_HZ = (1000, 768_000)


class _Bytes(io.BytesIO):
    """A file in memory that a damaged header cannot send before its beginning."""

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        ahead = {io.SEEK_CUR: self.tell(), io.SEEK_END: len(self.getbuffer())}.get(whence, 0)
        return super().seek(max(0, ahead + offset))


class _Straight(soundfile.SoundFile):  # type: ignore[misc]  # soundfile carries no types
    """A file that is read from its beginning to its end.

    soundfile seeks to where it is after each block, and an MP3 decoder that seeks loses the overlap of its frames:
    a gap and a burst of noise at every seam.
    """

    def seekable(self) -> bool:
        """Not while we read."""
        return False


def decode_audio(body: bytes, audio_format: AudioFormat, *, max_duration_s: float) -> DecodedAudio:
    """Decode a file. A file that breaks off is played as far as it goes.

    Raises: SoundUnplayable.
    """
    sound: NDArray[np.float32]
    if audio_format == "ulaw":
        sound = g711.decode(body, g711.ULAW).astype(np.float32) / np.float32(32768)
        if len(sound) > max_duration_s * RATE_HZ:
            raise SoundUnplayable(f"the sound is longer than {max_duration_s / 60:g} minutes")
    else:
        sound = _read(body, audio_format, max_duration_s)
    if not len(sound):
        raise SoundUnplayable("the file holds no sound")
    peak = float(np.max(np.abs(sound)))
    return encode_samples(sound * np.float32(PEAK / peak) if peak > PEAK else sound)


def _read(body: bytes, kind: AudioFormat, longest_s: float) -> NDArray[np.float32]:
    """All channels mixed, resampled block by block, so that memory grows with the result only."""
    raw = {"format": "RAW", "subtype": "GSM610", "samplerate": RATE_HZ, "channels": 1} if kind == "gsm" else {}
    parts: list[NDArray[np.float32]] = []
    samples = 0
    try:
        with _Straight(_Bytes(body), **raw) as file:
            rate, channels = file.samplerate, file.channels
            if channels > MAX_CHANNELS or not RATES_HZ[0] <= rate <= RATES_HZ[1]:
                raise SoundUnplayable(f"{channels} channels at {rate} Hz are no sound we play")
            resampler = soxr.ResampleStream(rate, RATE_HZ, 1, dtype="float32")
            while len(block := file.read(BLOCK // channels, dtype="float32", always_2d=True)):
                mono = np.nan_to_num(block.mean(axis=1, dtype=np.float32), posinf=1.0, neginf=-1.0)
                parts.append(resampler.resample_chunk(np.clip(mono, -4.0, 4.0)))
                samples += len(parts[-1])
                if samples > longest_s * RATE_HZ:
                    raise SoundUnplayable(f"the sound is longer than {longest_s / 60:g} minutes")
            parts.append(resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
    except soundfile.SoundFileError as error:
        if not samples:
            raise SoundUnplayable(f"the file cannot be decoded as {kind}: {_reason(error)}") from error
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)


def _reason(error: soundfile.SoundFileError) -> str:
    """What libsndfile says, without the name of our buffer."""
    return str(error).rpartition(">: ")[2].strip()[:120]
