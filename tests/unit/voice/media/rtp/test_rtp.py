"""RTP headers of all legs at once, against one header at a time."""

import struct

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from holdfast.voice.media.rtp.rtp import (
    DATAGRAM,
    HEADER,
    PACKET,
    SRTP_PACKET,
    OutgoingStreams,
    Packets,
    parse,
    parse_simple,
)

Naive = tuple[int, bool, int, int, int, int, int]


def naive(datagram: bytes) -> Naive | None:
    """RFC 3550 §5.1, one datagram: payload type, marker, sequence, timestamp, SSRC, start and size of the payload."""
    if len(datagram) < HEADER or datagram[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", datagram)
    if 64 <= second & 127 <= 95:
        return None
    start, end = HEADER + 4 * (first & 15), len(datagram)
    if first & 0x10:
        if start + 4 > end:
            return None
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4], "big")
    if len(datagram) == DATAGRAM:
        # It may have been longer: what its end says is not known.
        return second & 127, second >= 128, sequence, timestamp, ssrc, start, DATAGRAM
    if start > end:
        return None
    if first & 0x20:
        if datagram[-1] == 0:
            return None
        end -= datagram[-1]
    if start > end:
        return None
    return second & 127, second >= 128, sequence, timestamp, ssrc, start, end - start


def in_lines(datagrams: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    # Whatever an earlier datagram left in the buffer must not matter.
    data = np.full((len(datagrams), DATAGRAM), 0xA7, dtype=np.uint8)
    lengths = np.zeros(len(datagrams), dtype=np.intp)
    for k, datagram in enumerate(datagrams):
        data[k, : len(datagram)] = np.frombuffer(datagram, dtype=np.uint8)
        lengths[k] = len(datagram)
    return data, lengths


def read_all(datagrams: list[bytes]) -> list[Naive | None]:
    data, lengths = in_lines(datagrams)
    return listed(parse(data, lengths))


def listed(p: Packets) -> list[Naive | None]:
    return [
        (
            int(p.payload_type[k]),
            bool(p.marker[k]),
            int(p.sequence[k]),
            int(p.timestamp[k]),
            int(p.ssrc[k]),
            int(p.start[k]),
            int(p.size[k]),
        )
        if p.valid[k]
        else None
        for k in range(len(p.valid))
    ]


any_datagram = st.binary(max_size=DATAGRAM)
likely_packet = st.builds(
    lambda first, second, rest: bytes([first, second]) + rest,
    st.integers(0x80, 0xBF),
    st.integers(0, 255),
    st.binary(min_size=10, max_size=200),
)
short_extension = st.builds(
    lambda first, cc, words, rest: bytes([first | cc, 0]) + bytes(10 + 4 * cc) + b"\xbe\xde\0" + bytes([words]) + rest,
    st.sampled_from([0x90, 0xB0]),
    st.integers(0, 3),
    st.integers(0, 6),
    st.binary(max_size=40),
)


@given(st.lists(any_datagram | likely_packet | short_extension, min_size=1, max_size=8))
@example([b""])
@example([bytes([0x80]) * HEADER])
@example([bytes([0x80, 0]) + bytes(10)])
@example([bytes([0xA0, 0]) + bytes(170)])
@example([bytes([0xA0, 0]) + bytes(168) + b"\xff\xff"])
@example([bytes([0x81, 0]) + bytes(range(40))])
@example([bytes([0xA0, 0]) + bytes(166) + b"\x04"])
@example([bytes([0x91, 0]) + bytes(14) + b"\xbe\xde\0\x01" + bytes(24)])
@example([bytes([0x8F, 0]) + bytes(20)])
@example([bytes([0x80, 200]) + bytes(26)])
@example([bytes([0x80, 0]) + bytes(DATAGRAM - 2)])
@example([bytes([0xA0, 0]) + bytes(DATAGRAM - 2)])
@example([bytes([0x90, 0]) + bytes(12) + b"\xff\xff" + bytes(DATAGRAM - 16)])
def test_parsing_all_at_once_equals_parsing_each(datagrams: list[bytes]) -> None:
    assert read_all(datagrams) == [naive(datagram) for datagram in datagrams]


simple_packet = st.builds(
    lambda second, rest: bytes([0x80, second]) + rest,
    st.sampled_from([0, 0x80, 8, 0x88, 72]),
    st.binary(min_size=9, max_size=12) | st.binary(min_size=160, max_size=180) | st.binary(min_size=490, max_size=510),
)


@given(st.lists(simple_packet | likely_packet, min_size=1, max_size=4), st.integers(0, 600))
def test_simple_packets_are_parsed_the_same_and_others_refused(datagrams: list[bytes], max_payload: int) -> None:
    data, lengths = in_lines(datagrams)
    types = np.array([datagram[1] & 0x7F & ~64 for datagram in datagrams], dtype=np.intp)
    packets = parse_simple(data, lengths, types, max_payload=max_payload)
    expected = [naive(datagram) for datagram in datagrams]
    simple = [
        each is not None and datagram[0] == 0x80 and each[0] == kind and each[6] <= max_payload
        for datagram, each, kind in zip(datagrams, expected, types.tolist(), strict=True)
    ]
    assert (packets is not None) == all(simple)
    if packets is not None:
        assert listed(packets) == expected


def parsed(packet: np.ndarray) -> tuple[int, int, int, int, int, bytes]:
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", packet.tobytes())
    return first, second, sequence, timestamp, ssrc, packet[HEADER:].tobytes()


def test_the_next_packet_of_every_row() -> None:
    headers = OutgoingStreams(3)
    headers.open(0, ssrc=0xDEADBEEF, sequence=0xFFFF, timestamp=0xFFFFFFFF)
    headers.open(1, ssrc=1, sequence=0, timestamp=0)
    headers.describe(1, payload_type=8)
    frames = np.arange(2 * 160, dtype=np.uint8).reshape(2, 160)
    headers.write(frames)
    assert headers.packets.shape == (3, SRTP_PACKET)
    assert parsed(headers.packets[0, :PACKET]) == (0x80, 0x80, 0xFFFF, 0xFFFFFFFF, 0xDEADBEEF, frames[0].tobytes())
    assert parsed(headers.packets[1, :PACKET]) == (0x80, 0x88, 0, 0, 1, frames[1].tobytes())
    headers.advance(2, np.array([0, 1]), skipped=0)
    headers.write(frames)
    assert parsed(headers.packets[0, :PACKET])[:5] == (0x80, 0, 0, 159, 0xDEADBEEF)
    assert headers.ssrc(0) == 0xDEADBEEF


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=60))
def test_one_stream_through_pauses_and_skipped_ticks(ticks: list[tuple[bool, int]]) -> None:
    """Sequence + 1 per packet that left, timestamp + 160 × (1 + skipped ticks), one SSRC, a marker after a pause."""
    headers = OutgoingStreams(1)
    headers.open(0, ssrc=7, sequence=65530, timestamp=2**32 - 1000)
    sequence, timestamp, paused = 65530, 2**32 - 1000, True
    for leaves, skipped in ticks:
        headers.write(np.zeros((1, 160), dtype=np.uint8))
        expected = (0x80, 0x80 if paused else 0, sequence, timestamp, 7)
        assert parsed(headers.packets[0, :PACKET])[:5] == expected
        headers.advance(1, np.array([0] if leaves else [], dtype=np.intp), skipped=skipped)
        sequence = (sequence + leaves) % 2**16
        timestamp = (timestamp + 160 * (1 + skipped)) % 2**32
        paused = not leaves
    assert headers.sent[0] == sum(leaves for leaves, _ in ticks)
