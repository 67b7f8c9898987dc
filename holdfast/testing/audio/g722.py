"""The G.722 codec of one RTP stream of a test phone, with its memory in both directions."""

from __future__ import annotations

import numpy as np
from G722 import G722

from holdfast.voice.media.codec.g711 import decode, encode

G722_TYPE = 9
"""Source: RFC 3551 §6."""


class G722Codec:
    """A codec between G.722 on the wire and µ-law inside, so that an ear needs no memory."""

    def __init__(self) -> None:
        self._encoder, self._decoder = G722(8000, 64_000), G722(8000, 64_000)

    def encode_frame(self, ulaw: bytes) -> bytes:
        """Encode a µ-law frame as G.722."""
        return bytes(self._encoder.encode(decode(ulaw)))

    def decode_frame(self, payload: bytes) -> bytes:
        """Decode a G.722 payload to µ-law."""
        return encode(np.frombuffer(self._decoder.decode(payload), dtype=np.int16))
