"""Encrypted packets are accepted once, and nothing else is."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.rtp.rtp import PACKET
from holdfast.voice.media.rtp.srtp import (
    KEY_BYTES,
    MAX_TAG_BYTES,
    Profile,
    SrtpKeyInvalid,
    SrtpKeys,
    SrtpLegs,
    SrtpSession,
)

A, B = bytes(range(30)), bytes(range(30, 60))


def pair(profile: Profile = "AES_CM_128_HMAC_SHA1_80") -> tuple[SrtpSession, SrtpSession]:
    size = KEY_BYTES[profile]
    ours = SrtpSession(SrtpKeys(send=A[:size], receive=B[:size], profile=profile))
    return ours, SrtpSession(SrtpKeys(send=B[:size], receive=A[:size], profile=profile))


def rtp(k: int, ssrc: int = 9) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, k % 65536, 160 * k % 2**32, ssrc) + b"\x55" * 160


REPORT = struct.pack("!BBHI", 0x80, 201, 1, 9)


@pytest.mark.parametrize("profile", list(KEY_BYTES))
def test_a_packet_encrypted_by_one_side_is_decrypted_once_by_the_other(profile: Profile) -> None:
    ours, theirs = pair(profile)
    encrypted = ours.protect(rtp(1))
    assert encrypted[:12] == rtp(1)[:12]
    assert b"\x55" * 8 not in encrypted
    assert theirs.unprotect(encrypted) == rtp(1)
    assert theirs.unprotect(encrypted) is None, "a replay"
    report = ours.protect_rtcp(REPORT)
    assert report != REPORT
    assert theirs.unprotect_rtcp(report) == REPORT
    assert theirs.unprotect_rtcp(report) is None


@pytest.mark.parametrize("profile", list(KEY_BYTES))
def test_packets_are_encrypted_and_decrypted_the_same_in_place(profile: Profile) -> None:
    ours, theirs = pair(profile)
    again, _ = pair(profile)
    packets = np.zeros((3, PACKET + MAX_TAG_BYTES), dtype=np.uint8)
    lines = SrtpLegs(packets)

    def write(line: int) -> None:
        packets[line, :PACKET] = np.frombuffer(rtp(1), dtype=np.uint8)
        lines.sizes[line] = PACKET

    write(1)
    lines.protect([1], [ours])
    size = int(lines.sizes[1])
    assert packets[1, :size].tobytes() == again.protect(rtp(1))
    encrypted = packets[1].copy()
    lines.unprotect([1], [theirs])
    assert lines.sizes.tolist() == [0, PACKET, 0]
    assert packets[1, :PACKET].tobytes() == rtp(1)
    packets[1], lines.sizes[1] = encrypted, size
    lines.unprotect([1], [theirs])
    assert lines.sizes[1] == 0, "a replay"
    write(1)
    lines.protect([1], [ours])
    assert lines.sizes[1] == 0, "another packet of the same number"
    assert not packets[0].any()


def test_a_packet_that_fails_does_not_stop_the_others() -> None:
    legs = [pair() for _ in range(4)]
    packets = np.zeros((4, 512), dtype=np.uint8)
    lines = SrtpLegs(packets)
    for line, (ours, _) in enumerate(legs):
        encrypted = ours.protect(rtp(line))
        packets[line, : len(encrypted)] = np.frombuffer(encrypted, dtype=np.uint8)
        lines.sizes[line] = len(encrypted)
    packets[1, 20] ^= 1
    lines.sizes[2] = 11
    lines.unprotect(range(4), [theirs for _, theirs in legs])
    assert lines.sizes.tolist() == [PACKET, 0, 0, PACKET]
    assert [packets[line, :PACKET].tobytes() for line in (0, 3)] == [rtp(0), rtp(3)]


@given(st.binary(max_size=300))
def test_no_unauthenticated_packet_is_decrypted_in_place(data: bytes) -> None:
    packets = np.zeros((1, 512), dtype=np.uint8)
    packets[0, : len(data)] = np.frombuffer(data, dtype=np.uint8)
    lines = SrtpLegs(packets)
    lines.sizes[0] = len(data)
    lines.unprotect([0], [pair()[1]])
    assert lines.sizes[0] == 0


def test_a_packet_matches_the_example_of_the_rfc() -> None:
    """A packet under the master key and salt of the RFC's own example. Source: RFC 3711 appendix B.3."""
    key = bytes.fromhex("e1f97a0d3e018be0d64fa32c06de4139" + "0ec675ad498afeebb6960b3aabe6")
    plain = bytes.fromhex("800f1234decafbadcafebabe" + "ab" * 16)
    ours = SrtpSession(SrtpKeys(send=key, receive=key))
    encrypted = bytes.fromhex("800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb")
    assert ours.protect(plain) == encrypted
    assert SrtpSession(SrtpKeys(send=key, receive=key)).unprotect(encrypted) == plain


def test_the_rollover_counter_continues_over_the_sequence_wrap() -> None:
    ours, theirs = pair()
    for k in range(65_530, 65_545):
        assert theirs.unprotect(ours.protect(rtp(k))) == rtp(k)


def test_new_keys_one_way_leave_the_other_way_alone() -> None:
    ours, theirs = pair()
    first = ours.protect(rtp(1))
    assert theirs.unprotect(first) == rtp(1)
    fresh = bytes(30)
    again = SrtpSession(SrtpKeys(send=B, receive=fresh), previous=theirs)
    assert again.unprotect(ours.protect(rtp(2))) is None, "the old key opens nothing any more"
    same = SrtpSession(theirs.keys, previous=theirs)
    assert same.unprotect(first) is None, "it still knows what it has seen"
    assert same.unprotect(ours.protect(rtp(3))) == rtp(3)


@given(st.binary(max_size=300))
def test_no_unauthenticated_packet_is_decrypted(data: bytes) -> None:
    _, theirs = pair()
    assert theirs.unprotect(data) is None
    assert theirs.unprotect_rtcp(data) is None


@given(st.integers(min_value=0, max_value=181), st.integers(min_value=1, max_value=255))
def test_one_changed_byte_is_a_forgery(at: int, change: int) -> None:
    ours, theirs = pair()
    encrypted = bytearray(ours.protect(rtp(1)))
    encrypted[at] ^= change
    assert theirs.unprotect(bytes(encrypted)) is None


def test_keys_have_the_length_of_their_profile_and_are_never_printed() -> None:
    with pytest.raises(SrtpKeyInvalid, match="30"):
        SrtpSession(SrtpKeys(send=A, receive=B[:16]))
    assert "0, 1" not in repr(SrtpKeys(send=A, receive=B))
    assert "SrtpKeys(profile=" in repr(SrtpKeys(send=A, receive=B))
