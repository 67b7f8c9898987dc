"""SRTP and SRTCP of one leg: encrypt what we send, decrypt what arrives or drop it.

The cipher is libsrtp's. Keys come from signalling; a change in one direction leaves the counters of the other alone.
Audio is encrypted and decrypted in place, the packets of all legs one after the other, by libsrtp's own functions: the
wrapper copies each packet three times, and a line of Python for each costs more than the cipher.
Source: RFC 3711; RFC 4568 §6.1, §6.2 (profiles and lengths); RFC 7714 (GCM).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pylibsrtp import Error, Policy, Session
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]  # compiled, without a stub

from holdfast.voice.media.frames import Bytes
from holdfast.voice.model.errors import AskedWrong

Profile = Literal["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"]

KEY_BYTES: dict[Profile, int] = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AEAD_AES_128_GCM": 28,
}
"""The length of master key and master salt together, in bytes."""

_LIBSRTP: dict[Profile, int] = {
    "AES_CM_128_HMAC_SHA1_80": Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32": Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    "AEAD_AES_128_GCM": Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
}


_Function = Callable[[object, object, object], int]
"""A function of libsrtp that changes a packet in place; it returns 0 on success."""

MAX_TAG_BYTES = 16
"""Bytes that encryption adds at most, in any of the profiles."""


class SrtpKeyInvalid(AskedWrong):
    """The key does not have the length that its profile wants."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtpKeys:
    """The SRTP keys of a leg. Shape: master key followed by master salt, each way."""

    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)
    profile: Profile = "AES_CM_128_HMAC_SHA1_80"


class SrtpSession:
    """An SRTP session covers both directions of a leg. Nothing that a peer sends raises an exception.

    Raises: SrtpKeyInvalid, when it is made.
    """

    __slots__ = ("_receive_session", "_send_session", "keys", "receive_context", "send_context")

    def __init__(self, keys: SrtpKeys, previous: SrtpSession | None = None) -> None:
        for key in (keys.send, keys.receive):
            if len(key) != KEY_BYTES[keys.profile]:
                raise SrtpKeyInvalid(f"the key has {len(key)} bytes; {keys.profile} needs {KEY_BYTES[keys.profile]}")
        self.keys = keys
        if previous is not None and previous.keys.profile != keys.profile:
            previous = None
        self._send_session: Session = (
            previous._send_session
            if previous is not None and previous.keys.send == keys.send
            else _session(keys.send, keys.profile, Policy.SSRC_ANY_OUTBOUND)
        )
        self._receive_session: Session = (
            previous._receive_session
            if previous is not None and previous.keys.receive == keys.receive
            else _session(keys.receive, keys.profile, Policy.SSRC_ANY_INBOUND)
        )
        self.send_context, self.receive_context = self._send_session._srtp[0], self._receive_session._srtp[0]
        """The handles by which libsrtp knows the two directions."""

    def protect(self, packet: bytes) -> bytes:
        """Encrypt an RTP packet of ours."""
        protected: bytes = self._send_session.protect(packet)
        return protected

    def unprotect(self, packet: bytes) -> bytes | None:
        """Decrypt a received RTP packet; None for one that is forged, damaged, or a replay."""
        try:
            plain: bytes = self._receive_session.unprotect(packet)
        except (Error, TypeError, ValueError):
            return None
        return plain

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Encrypt an RTCP packet of ours."""
        protected: bytes = self._send_session.protect_rtcp(packet)
        return protected

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """Decrypt a received RTCP packet; None for one that is forged, damaged, or a replay."""
        try:
            plain: bytes = self._receive_session.unprotect_rtcp(packet)
        except (Error, TypeError, ValueError):
            return None
        return plain


class SrtpLegs:
    """SRTP legs encrypt and decrypt the lines of an array of packets in place.

    Shape: `packets[lines, …]`, uint8; `sizes[line]` is the length of the packet at the beginning of a line.
    """

    def __init__(self, packets: Bytes) -> None:
        self.sizes: NDArray[np.int32] = np.zeros(len(packets), dtype=np.int32)
        self._packet_array = packets
        """The array that the pointers lead to must stay alive."""
        self._packets = _pointers("unsigned char *", packets)
        self._sizes = _pointers("int *", self.sizes)

    def protect(self, lines: Sequence[int], sessions: Iterable[SrtpSession]) -> None:
        """Encrypt the RTP packets in these lines, one of each session. Every line has room for `MAX_TAG_BYTES` more.

        A packet whose number was encrypted before becomes 0 bytes: nothing of it may leave.
        """
        self.protect_batch(lines, sessions).run()

    def protect_batch(self, lines: Sequence[int], sessions: Iterable[SrtpSession]) -> SrtpBatch:
        """Return a batch that does the same each time it runs."""
        sessions = list(sessions)
        return self._batch(lib.srtp_protect, lines, sessions, [session.send_context for session in sessions])

    def unprotect(self, lines: Sequence[int], sessions: Iterable[SrtpSession]) -> None:
        """Decrypt the RTP packets in these lines; one that is forged, damaged, or a replay becomes 0 bytes."""
        self.unprotect_batch(lines, sessions).run()

    def unprotect_batch(self, lines: Sequence[int], sessions: Iterable[SrtpSession]) -> SrtpBatch:
        """Return a batch that does the same each time it runs."""
        sessions = list(sessions)
        return self._batch(lib.srtp_unprotect, lines, sessions, [session.receive_context for session in sessions])

    def _batch(
        self, function: _Function, lines: Sequence[int], sessions: Sequence[SrtpSession], contexts: Sequence[object]
    ) -> SrtpBatch:
        packets, sizes = self._packets, self._sizes
        return SrtpBatch(
            function=function,
            lines=lines,
            sessions=sessions,
            contexts=contexts,
            packets=[packets[k] for k in lines],
            pointers=[sizes[k] for k in lines],
            sizes=self.sizes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtpBatch:
    """An SRTP batch is packets in some lines, and the function that is applied to each."""

    function: _Function
    lines: Sequence[int]
    sessions: Sequence[SrtpSession]
    """Kept alive, because libsrtp's handle of a leg goes with it."""
    contexts: Sequence[object]
    packets: Sequence[object]
    pointers: Sequence[object]
    sizes: NDArray[np.int32]

    def run(self) -> None:
        """Run the function on each packet; a packet on which it fails becomes 0 bytes."""
        # A loop in Python would cost more than the cipher.
        failed = map(self.function, self.contexts, self.packets, self.pointers)
        for k in compress(self.lines, failed):
            self.sizes[k] = 0


def _pointers(kind: str, array: NDArray[np.generic]) -> list[object]:
    """Return a pointer to each line of an array, as libsrtp takes it."""
    return [ffi.cast(kind, array.ctypes.data + array.strides[0] * k) for k in range(len(array))]


def _session(key: bytes, profile: Profile, direction: int) -> Session:
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=_LIBSRTP[profile])
    policy.window_size = 256
    return Session(policy=policy)
