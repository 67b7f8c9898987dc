"""Find the messages in a stream: the framing of SIP over TCP and TLS.

    framer = Framer(now)
    for piece in framer.feed(data, now): …

Split messages are joined, joined ones are split, and keep-alives are recognised. A stream whose messages cannot be
separated, or that takes too long, gives `FramingBroken`: answer it and close the connection.
Invariant: it never keeps more than one message of the longest length, and gives nothing after `FramingBroken`.
Source: RFC 3261 §7.5, §18.3; RFC 5626 §3.5.1, §4.4.1 for keep-alives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_HEAD_BYTES = 32_768
MAX_BODY_BYTES = 131_072
"""More than a session description may have, so that one too large is refused by its own status."""
MESSAGE_WITHIN_S = 10.0
"""The longest time of a message from its first byte to its last, and of a new connection to its first message."""

PONG = b"\r\n"
"""The answer to a `Ping`."""

_CLIENT_HELLO = b"\x16\x03"
"""The first bytes of TLS, in every version of it. Source: RFC 8446 §5.1."""
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteMessage:
    """One message, header and body."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """A keep-alive of the peer (two empty lines); `PONG` answers it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FramingBroken:
    """The stream is unreadable from here. `head` is the usable part of the message that broke it."""

    head: bytes
    status: int
    reason: str


Piece = CompleteMessage | Ping | FramingBroken


class Framer:
    """The receiving side of one connection."""

    __slots__ = ("_broken", "_buffer", "_searched", "_started_at", "_within_s")

    def __init__(self, now: float, *, within_s: float = MESSAGE_WITHIN_S) -> None:
        self._within_s = within_s
        self._buffer = bytearray()
        self._searched = 0
        """How many bytes of `_buffer` are known to hold no end of a header, so that a trickle is searched only once."""
        self._started_at: float | None = now
        """When the current message began, or the connection; None between messages."""
        self._broken = False

    def feed(self, data: bytes, now: float) -> list[Piece]:
        """Add received bytes and return the pieces that they complete."""
        pieces: list[Piece] = []
        self._buffer += data
        while not self._broken and (piece := self._next(now)) is not None:
            pieces.append(piece)
            self._broken = isinstance(piece, FramingBroken)
        if self._broken:
            self._buffer.clear()
        return pieces

    def due_at(self) -> float | None:
        """Return when the current message is late; None between messages."""
        return None if self._started_at is None else self._started_at + self._within_s

    def check_late(self, now: float) -> FramingBroken | None:
        """Return the 408 for a peer whose message takes too long, or None."""
        due = self.due_at()
        if self._broken or due is None or now < due:
            return None
        self._broken = True
        return FramingBroken(head=b"", status=408, reason="Request Timeout (half a message)")

    def _next(self, now: float) -> Piece | None:
        kept = self._buffer
        if kept.startswith(b"\r\n"):
            if kept.startswith(b"\r\n\r\n"):
                return self._take(4, Ping())
            if len(kept) == 2 or kept == b"\r\n\r":
                return None
            del kept[:2]
        if not kept or kept == b"\r":
            return None
        if self._started_at is None:
            self._started_at = now
        if kept.startswith(_CLIENT_HELLO):
            return FramingBroken(
                head=b"", status=400, reason="Bad Request (TLS at the port of plain TCP; it has its own)"
            )
        end = kept.find(b"\r\n\r\n", max(0, self._searched - 3))
        self._searched = len(kept)
        if end > MAX_HEAD_BYTES or (end < 0 and len(kept) > MAX_HEAD_BYTES):
            return FramingBroken(head=bytes(kept[:MAX_HEAD_BYTES]), status=513, reason="Message Too Large")
        if end < 0:
            return None
        head = bytes(kept[:end])
        length = _length(head)
        if isinstance(length, FramingBroken):
            return length
        if len(kept) < end + 4 + length:
            self._searched = end
            return None
        return self._take(end + 4 + length, CompleteMessage(data=bytes(kept[: end + 4 + length])))

    def _take(self, size: int, piece: CompleteMessage | Ping) -> Piece:
        del self._buffer[:size]
        self._searched = 0
        if isinstance(piece, CompleteMessage):
            self._started_at = None
        return piece


def _length(head: bytes) -> int | FramingBroken:
    """Return the value of Content-Length; a stream needs it. Source: RFC 3261 §20.14."""
    found = set(_LENGTH.findall(head + b"\r\n"))
    if len(found) != 1:
        missing = "no" if not found else "two different"
        return FramingBroken(head=head, status=400, reason=f"Bad Request ({missing} Content-Length)")
    (text,) = found
    if not re.fullmatch(rb"[0-9]{1,9}", text):
        return FramingBroken(head=head, status=400, reason="Bad Request (a Content-Length that is no number)")
    if int(text) > MAX_BODY_BYTES:
        return FramingBroken(head=head, status=513, reason="Message Too Large")
    return int(text)
