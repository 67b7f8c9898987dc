"""G.711 as tables: decoding, encoding and changing law are each one look-up per sample.

Shape: a law is a number, `ULAW` or `ALAW`, that indexes every table here. Units: 16-bit linear samples.
Source: ITU-T G.711; RFC 3551 §4.5.14.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ULAW, ALAW = 0, 1
PAYLOAD_TYPE = (0, 8)
"""Source: RFC 3551 §6."""
SILENCE = (0xFF, 0xD5)

_BIAS = 0x84
_CLIP = 32635
_SEGMENT_ENDS = np.array([0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF], dtype=np.int32)


def _decode_ulaw(code: NDArray[np.int32]) -> NDArray[np.int32]:
    """G.711 table 2: sign, three bits of exponent, four of mantissa, all inverted."""
    inverted = ~code & 0xFF
    magnitude = ((((inverted & 0x0F) << 3) + _BIAS) << ((inverted & 0x70) >> 4)) - _BIAS
    return np.asarray(np.where(inverted & 0x80, -magnitude, magnitude), dtype=np.int32)


def _encode_ulaw(sample: NDArray[np.int32]) -> NDArray[np.int32]:
    biased = np.minimum(np.abs(sample), _CLIP) + _BIAS
    exponent = np.frexp(biased >> 7)[1] - 1
    code = (exponent << 4) | ((biased >> (exponent + 3)) & 0x0F)
    return np.asarray(~(np.where(sample < 0, 0x80, 0) | code) & 0xFF, dtype=np.int32)


def _decode_alaw(code: NDArray[np.int32]) -> NDArray[np.int32]:
    """G.711 table 1: every other bit inverted; the lowest two segments share a step."""
    plain = code ^ 0x55
    exponent = (plain & 0x70) >> 4
    step = ((plain & 0x0F) << 4) + np.where(exponent == 0, 8, 0x108)
    magnitude = step << np.maximum(exponent - 1, 0)
    return np.asarray(np.where(plain & 0x80, magnitude, -magnitude), dtype=np.int32)


def _encode_alaw(sample: NDArray[np.int32]) -> NDArray[np.int32]:
    thirteen = sample >> 3
    magnitude = np.where(thirteen >= 0, thirteen, ~thirteen)
    exponent = np.searchsorted(_SEGMENT_ENDS, magnitude)
    code = (exponent << 4) | ((magnitude >> np.maximum(exponent, 1)) & 0x0F)
    return np.asarray(np.where(thirteen >= 0, code ^ 0xD5, code ^ 0x55), dtype=np.int32)


_CODES = np.arange(256, dtype=np.int32)
_LINEAR = np.arange(-32768, 32768, dtype=np.int32)

DECODE: NDArray[np.int16] = np.stack([_decode_ulaw(_CODES), _decode_alaw(_CODES)]).astype(np.int16)
"""Shape: `[law, code]`."""

ENCODE: NDArray[np.uint8] = np.stack([_encode_ulaw(_LINEAR), _encode_alaw(_LINEAR)]).astype(np.uint8)
"""Shape: `[law, sample + 32768]`; a look-up that clips its index saturates the sample."""

TO_OTHER_LAW: NDArray[np.uint8] = np.stack([ENCODE[1 - law][DECODE[law].astype(np.int32) + 32768] for law in (0, 1)])
"""Codes of a law as codes of the other. Shape: `[from, code]`."""


def encode(samples: NDArray[np.int16], law: int = ULAW) -> bytes:
    """Linear samples as bytes of a law."""
    codes: NDArray[np.uint8] = ENCODE[law][samples.astype(np.int32) + 32768]
    return codes.tobytes()


def decode(audio: bytes, law: int = ULAW) -> NDArray[np.int16]:
    """Bytes of a law as linear samples."""
    samples: NDArray[np.int16] = DECODE[law][np.frombuffer(audio, dtype=np.uint8)]
    return samples
