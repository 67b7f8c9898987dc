"""G.711 tables against the standard's own arithmetic, sample by sample."""

import numpy as np
import pytest

from holdfast.voice.media.codec.g711 import (
    ALAW,
    DECODE,
    ENCODE,
    SILENCE,
    TRANSCODE,
    ULAW,
    decode,
    encode,
)


def ulaw_value(code: int) -> int:
    code = ~code & 0xFF
    magnitude = ((((code & 15) << 3) + 132) << (code >> 4 & 7)) - 132
    return -magnitude if code & 0x80 else magnitude


def alaw_value(code: int) -> int:
    code ^= 0x55
    exponent, mantissa = code >> 4 & 7, code & 15
    magnitude = (mantissa << 4) + 8 if exponent == 0 else ((mantissa << 4) + 0x108) << (exponent - 1)
    return magnitude if code & 0x80 else -magnitude


def test_decoding_follows_the_arithmetic_of_the_standard() -> None:
    assert DECODE[ULAW].tolist() == [ulaw_value(code) for code in range(256)]
    assert DECODE[ALAW].tolist() == [alaw_value(code) for code in range(256)]


# G.711 tables 1a and 2a: the largest value of each law, the first steps, and silence.
@pytest.mark.parametrize(
    ("companding", "sample", "code"),
    [
        (ULAW, 0, 0xFF),
        (ULAW, 32124, 0x80),
        (ULAW, -32124, 0x00),
        (ULAW, 32767, 0x80),
        (ULAW, -32768, 0x00),
        (ULAW, 8, 0xFE),
        (ALAW, 8, 0xD5),
        (ALAW, -8, 0x55),
        (ALAW, 32256, 0xAA),
        (ALAW, -32256, 0x2A),
        (ALAW, 32767, 0xAA),
        (ALAW, -32768, 0x2A),
    ],
)
def test_known_codes(companding: int, sample: int, code: int) -> None:
    assert ENCODE[companding][sample + 32768] == code


@pytest.mark.parametrize("companding", [ULAW, ALAW])
def test_every_code_survives_decoding_and_encoding(companding: int) -> None:
    codes = np.arange(256)
    again = ENCODE[companding][DECODE[companding].astype(int) + 32768]
    # µ-law has two zeros; the negative one becomes the positive one.
    assert [code for code in codes if again[code] != code] == ([0x7F] if companding == ULAW else [])


@pytest.mark.parametrize("companding", [ULAW, ALAW])
def test_encoding_differs_by_half_a_step_at_most(companding: int) -> None:
    samples = np.arange(-32000, 32001)
    error = np.abs(DECODE[companding][ENCODE[companding][samples + 32768]].astype(int) - samples)
    steps = np.maximum(16 if companding == ALAW else 8, np.abs(samples) // 16)
    assert (error <= steps).all()


@pytest.mark.parametrize("companding", [ULAW, ALAW])
def test_a_louder_sample_never_gets_a_quieter_code(companding: int) -> None:
    assert (np.diff(DECODE[companding][ENCODE[companding]].astype(int)) >= 0).all()


@pytest.mark.parametrize("companding", [ULAW, ALAW])
def test_silence_is_the_quietest_code(companding: int) -> None:
    assert abs(int(DECODE[companding][SILENCE[companding]])) == np.abs(DECODE[companding].astype(int)).min()


def test_transcoding_equals_decoding_and_encoding() -> None:
    for companding in (ULAW, ALAW):
        ours, theirs = DECODE[companding].astype(int), DECODE[1 - companding][TRANSCODE[companding]].astype(int)
        assert (np.abs(ours - theirs) <= np.maximum(16, np.abs(ours) // 16)).all()


def test_bytes_become_samples_and_back() -> None:
    samples = np.array([0, 1000, -1000, 32767, -32768], dtype=np.int16)
    for companding in (ULAW, ALAW):
        audio = encode(samples, companding)
        assert len(audio) == 5
        assert encode(decode(audio, companding), companding) == audio
