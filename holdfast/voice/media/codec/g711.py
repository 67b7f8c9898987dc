"""G.711 tables: decode, encode and transcode samples with one table look-up per sample.

Companding is a number, `ULAW` or `ALAW`, that indexes every table here. Units: 16-bit linear samples.
Source: ITU-T G.711; RFC 3551 §4.5.14.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ULAW, ALAW = 0, 1
PAYLOAD_TYPE = (0, 8)
"""The RTP payload type of each companding. Source: RFC 3551 §6."""
SILENCE = (0xFF, 0xD5)

_BIAS = 0x84
_CLIP = 32635
_SEGMENT_ENDS = np.array([0x1F, 0x3F, 0x7F, 0xFF, 0x1FF, 0x3FF, 0x7FF], dtype=np.int32)


def _decode_ulaw(code: NDArray[np.int32]) -> NDArray[np.int32]:
    """Decode µ-law by G.711 table 2: sign, three bits of exponent, four of mantissa, all inverted."""
    inverted = ~code & 0xFF
    magnitude = ((((inverted & 0x0F) << 3) + _BIAS) << ((inverted & 0x70) >> 4)) - _BIAS
    return np.asarray(np.where(inverted & 0x80, -magnitude, magnitude), dtype=np.int32)


def _encode_ulaw(sample: NDArray[np.int32]) -> NDArray[np.int32]:
    biased = np.minimum(np.abs(sample), _CLIP) + _BIAS
    exponent = np.frexp(biased >> 7)[1] - 1
    code = (exponent << 4) | ((biased >> (exponent + 3)) & 0x0F)
    return np.asarray(~(np.where(sample < 0, 0x80, 0) | code) & 0xFF, dtype=np.int32)


def _decode_alaw(code: NDArray[np.int32]) -> NDArray[np.int32]:
    """Decode A-law by G.711 table 1: every other bit is inverted; the lowest two segments share a step."""
    code_bits = code ^ 0x55
    exponent = (code_bits & 0x70) >> 4
    step = ((code_bits & 0x0F) << 4) + np.where(exponent == 0, 8, 0x108)
    magnitude = step << np.maximum(exponent - 1, 0)
    return np.asarray(np.where(code_bits & 0x80, magnitude, -magnitude), dtype=np.int32)


def _encode_alaw(sample: NDArray[np.int32]) -> NDArray[np.int32]:
    sample13 = sample >> 3
    magnitude = np.where(sample13 >= 0, sample13, ~sample13)
    exponent = np.searchsorted(_SEGMENT_ENDS, magnitude)
    code = (exponent << 4) | ((magnitude >> np.maximum(exponent, 1)) & 0x0F)
    return np.asarray(np.where(sample13 >= 0, code ^ 0xD5, code ^ 0x55), dtype=np.int32)


_CODES = np.arange(256, dtype=np.int32)
_LINEAR = np.arange(-32768, 32768, dtype=np.int32)

DECODE: NDArray[np.int16] = np.stack([_decode_ulaw(_CODES), _decode_alaw(_CODES)]).astype(np.int16)
"""Linear samples by code. Shape: `[companding, code]`; dtype int16."""

ENCODE: NDArray[np.uint8] = np.stack([_encode_ulaw(_LINEAR), _encode_alaw(_LINEAR)]).astype(np.uint8)
"""Codes by sample. Shape: `[companding, sample + 32768]`; dtype uint8. A look-up that clips its index saturates the
sample."""

TRANSCODE: NDArray[np.uint8] = np.stack(
    [ENCODE[1 - companding][DECODE[companding].astype(np.int32) + 32768] for companding in (0, 1)]
)
"""Codes of one companding as codes of the other. Shape: `[companding, code]`; dtype uint8."""


def encode(samples: NDArray[np.int16], companding: int = ULAW) -> bytes:
    """Encode int16 linear samples as one byte each."""
    codes: NDArray[np.uint8] = ENCODE[companding][samples.astype(np.int32) + 32768]
    return codes.tobytes()


def decode(audio: bytes, companding: int = ULAW) -> NDArray[np.int16]:
    """Decode bytes to int16 linear samples, one per byte."""
    samples: NDArray[np.int16] = DECODE[companding][np.frombuffer(audio, dtype=np.uint8)]
    return samples
