"""Where one message ends and the next begins in a stream: the framing of SIP over TCP and TLS.

    framer = Framer(now)
    for piece in framer.feed(data, now): …

What was split anywhere is joined, what came at once is parted, keep-alives are told apart. A stream whose messages
cannot be told apart any more, or that takes too long, is `Broken`: say what is wrong and close it.
Invariant: it never keeps more than one message of the longest length, and after `Broken` gives nothing.
Source: RFC 3261 §7.5, §18.3; RFC 5626 §3.5.1, §4.4.1 for keep-alives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_HEAD_BYTES = 32_768
MAX_BODY_BYTES = 65_536
MESSAGE_WITHIN_S = 10.0
"""How long a message may take from its first byte to its last, and a new connection to its first message."""

PONG = b"\r\n"
"""The answer to a `Ping`."""

_CLIENT_HELLO = b"\x16\x03"
"""How TLS begins, in every version of it. Source: RFC 8446 §5.1."""
_LENGTH = re.compile(rb"\r\n(?:content-length|l)[ \t]*:[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteMessage:
    """One message, header and body."""

    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """The peer asks whether the connection lives (two empty lines); `PONG` answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FramingBroken:
    """The stream cannot be read on. `head` is what there is of the message that broke it, as far as it can be used."""

    head: bytes
    status: int
    reason: str


Piece = CompleteMessage | Ping | FramingBroken


class Framer:
    """The reading side of one connection."""

    __slots__ = ("_broken", "_buffer", "_searched", "_started_at", "_within_s")

    def __init__(self, now: float, *, within_s: float = MESSAGE_WITHIN_S) -> None:
        self._within_s = within_s
        self._buffer = bytearray()
        self._searched = 0
        """How far `_kept` has no end of a header, so that a trickle is not searched again and again."""
        self._started_at: float | None = now
        """When the message that is awaited began, or the connection; None between messages."""
        self._broken = False

    def feed(self, data: bytes, now: float) -> list[Piece]:
        """What is complete with these bytes."""
        pieces: list[Piece] = []
        self._buffer += data
        while not self._broken and (piece := self._next(now)) is not None:
            pieces.append(piece)
            self._broken = isinstance(piece, FramingBroken)
        if self._broken:
            self._buffer.clear()
        return pieces

    def due_at(self) -> float | None:
        """When the message that is awaited is late; None between messages."""
        return None if self._started_at is None else self._started_at + self._within_s

    def check_late(self, now: float) -> FramingBroken | None:
        """What to tell a peer whose message takes too long, if it does."""
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
    """What Content-Length says; a stream needs it. Source: RFC 3261 §20.14."""
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
