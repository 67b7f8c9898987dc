"""G.722 of one line of a test phone: its memory both ways."""

from __future__ import annotations

import numpy as np
from G722 import G722

from holdfast.voice.media.codec.g711 import decode, encode

G722_TYPE = 9
"""Source: RFC 3551 §6."""


class G722Codec:
    """What is said and heard in G.722 is µ-law on this side of it, so that an ear need not remember anything."""

    def __init__(self) -> None:
        self._encoder, self._decoder = G722(8000, 64_000), G722(8000, 64_000)

    def encode_frame(self, ulaw: bytes) -> bytes:
        """A µ-law frame, as it goes out."""
        return bytes(self._encoder.encode(decode(ulaw)))

    def decode_frame(self, payload: bytes) -> bytes:
        """What came, as µ-law."""
        return encode(np.frombuffer(self._decoder.decode(payload), dtype=np.int16))
