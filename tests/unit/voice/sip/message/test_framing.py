"""Messages in a stream: joined, split, bounded; keep-alives; unreadable streams."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.sip.message.framing import (
    MAX_BODY_BYTES,
    MAX_HEAD_BYTES,
    CompleteMessage,
    Framer,
    FramingBroken,
    Piece,
    Ping,
)

FIRST = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: 1\r\nContent-Length: 4\r\n\r\nbody"
SECOND = b"SIP/2.0 200 OK\r\nl : 0\r\n\r\n"
THIRD = b"INFO sip:a SIP/2.0\r\nCONTENT-LENGTH:2 \r\nX: content-length\r\n\r\n\r\n"
STREAM = b"\r\n" + FIRST + b"\r\n\r\n" + SECOND + THIRD + b"\r\n\r\n\r\n" + FIRST
PIECES: list[Piece] = [
    CompleteMessage(data=FIRST),
    Ping(),
    CompleteMessage(data=SECOND),
    CompleteMessage(data=THIRD),
    Ping(),
    CompleteMessage(data=FIRST),
]


def fed(*parts: bytes) -> list[Piece]:
    framer = Framer(0.0)
    return [piece for part in parts for piece in framer.feed(part, 0.0)]


def test_joined_messages_are_split() -> None:
    assert fed(STREAM) == PIECES


def test_a_message_byte_by_byte_is_joined() -> None:
    assert fed(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == PIECES


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_the_split_of_a_stream_makes_no_difference(places: list[int]) -> None:
    cuts = [0, *sorted(places), len(STREAM)]
    assert fed(*(STREAM[a:b] for a, b in pairwise(cuts))) == PIECES


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_stream_does_harm(parts: list[bytes]) -> None:
    pieces = fed(*parts)
    assert not any(isinstance(piece, FramingBroken) for piece in pieces[:-1])


@pytest.mark.parametrize(
    ("head", "status", "reason"),
    [
        (b"X: y", 400, "Bad Request (no Content-Length)"),
        (b"Content-Length: 1\r\nl: 2", 400, "Bad Request (two different Content-Length)"),
        (b"Content-Length: -1", 400, "Bad Request (a Content-Length that is no number)"),
        (b"Content-Length: 0x1", 400, "Bad Request (a Content-Length that is no number)"),
        (b"Content-Length:", 400, "Bad Request (a Content-Length that is no number)"),
        (b"Content-Length: %d" % (MAX_BODY_BYTES + 1), 513, "Message Too Large"),
    ],
)
def test_a_stream_without_a_clear_length_cannot_be_read_on(head: bytes, status: int, reason: str) -> None:
    first = b"BYE sip:a SIP/2.0\r\n" + head
    (broken,) = fed(first + b"\r\n\r\n" + FIRST, FIRST)
    assert broken == FramingBroken(head=first, status=status, reason=reason)


def test_a_peer_that_begins_with_tls_is_told_apart_at_once() -> None:
    (broken,) = fed(b"\x16", b"\x03\x01\x02\x00\x01\x00\x01")
    assert isinstance(broken, FramingBroken)
    assert (broken.head, broken.reason.partition(" (")[2]) == (b"", "TLS at the port of plain TCP; it has its own)")


def test_the_same_length_twice_is_clear() -> None:
    data = b"BYE sip:a SIP/2.0\r\nContent-Length: 0\r\nl: 0\r\n\r\n"
    assert fed(data) == [CompleteMessage(data=data)]


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
def test_a_header_without_end_is_too_large(end: bytes) -> None:
    data = b"A" * (MAX_HEAD_BYTES + 1) + end
    (broken,) = fed(*(data[at : at + 1000] for at in range(0, len(data), 1000)))
    assert isinstance(broken, FramingBroken)
    assert broken.status == 513


def test_a_message_has_its_time_and_silence_between_messages_has_none() -> None:
    framer = Framer(100.0)
    assert framer.due_at() == 110.0
    framer.feed(FIRST, 105.0)
    assert framer.due_at() is None
    assert framer.check_late(1000.0) is None
    framer.feed(FIRST[:5], 2000.0)
    framer.feed(FIRST[5:10], 2009.0)
    assert framer.due_at() == 2010.0
    assert framer.check_late(2009.9) is None
    late = framer.check_late(2010.0)
    assert late is not None
    assert late.status == 408
    assert framer.feed(FIRST[10:], 2010.5) == []
    assert framer.check_late(3000.0) is None


def test_a_connection_that_only_pings_is_not_late() -> None:
    framer = Framer(0.0)
    framer.feed(FIRST, 1.0)
    assert framer.feed(b"\r", 2.0) == []
    assert framer.feed(b"\n\r", 2.0) == []
    assert framer.feed(b"\n", 2.0) == [Ping()]
    assert framer.feed(b"\r\n", 3.0) == []
    assert framer.due_at() is None
    assert framer.feed(FIRST, 4.0) == [CompleteMessage(data=FIRST)]
