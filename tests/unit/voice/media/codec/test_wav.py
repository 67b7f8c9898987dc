"""The header of a WAV file is read by another library and by our own reader."""

from __future__ import annotations

import io
import struct

import pytest
import soundfile

from holdfast.voice.media.codec.wav import HEADER_BYTES, read_channels, wav_header


@pytest.mark.parametrize("channels", [1, 2])
def test_another_reader_finds_the_samples(channels: int) -> None:
    data = bytes(8000 * channels)
    with soundfile.SoundFile(io.BytesIO(wav_header(channels=channels, data_bytes=len(data)) + data)) as file:
        assert (file.samplerate, file.channels, file.frames, file.subtype) == (8000, channels, 4000, "PCM_16")


@pytest.mark.parametrize("channels", [1, 2])
def test_each_field_has_the_value_of_the_format(channels: int) -> None:
    """Strict readers compare the fields with each other."""
    made = wav_header(channels=channels, data_bytes=800)
    assert struct.unpack_from("<I", made, 4) == (len(made) + 800 - 8,)
    assert struct.unpack_from("<IHHIIHH", made, 16) == (16, 1, channels, 8000, 16_000 * channels, 2 * channels, 16)
    assert struct.unpack_from("<4sI", made, 36) == (b"data", 800)


def test_our_own_header_is_read() -> None:
    assert read_channels(wav_header(channels=2, data_bytes=0)) == 2
    assert read_channels(wav_header(channels=1, data_bytes=2**33)) == 1


@pytest.mark.parametrize("bytes_there", [b"", bytes(HEADER_BYTES), b"RIFF", wav_header(channels=3, data_bytes=0)])
def test_a_foreign_header_is_refused(bytes_there: bytes) -> None:
    assert read_channels(bytes_there) is None
