"""The RTP stream of a test phone: a socket, a thread that sends every 20 ms, and an ear that takes what arrives.

The thread keeps its pace whatever the program around it does. It shares no code with the engine's media process, on
purpose: the engine is not tested with itself. *Out* is from the phone to the engine.

Invariant: one SSRC, sequence + 1, timestamp + 160 per slot; a missed slot is skipped, not sent later.
Source: RFC 3550 §5.1, RFC 4733 §2.5.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from holdfast.testing.audio.ears import Ear, Packet
from holdfast.testing.audio.g722 import G722_TYPE, G722Codec
from holdfast.testing.clock import from_wall_s, now_s
from holdfast.testing.signals import FRAME_S, FRAME_SAMPLES, Chord, as_samples, sum_of_tones
from holdfast.voice.media.codec.g711 import (
    ALAW,
    SILENCE,
    ULAW,
    encode,
)
from holdfast.voice.media.dtmf import event_receiver
from holdfast.voice.media.dtmf.tone_detector import DTMF_DIGITS, HIGH_HZ, LOW_HZ
from holdfast.voice.media.rtp.srtp import SrtpKeys, SrtpSession
from holdfast.voice.model.payload_types import STATIC_PAYLOAD_TYPES, RtpFormat
from holdfast.voice.sip.sdp.offer import Agreed, RtpAddress

RTP_HEADER = struct.Struct("!BBHII")
RTP_VERSION = 0x80
MARKER = 0x80

SO_TIMESTAMPNS = 35
"""The Linux option that stamps each datagram on arrival. Source: socket(7), asm-generic/socket.h; not in `socket`."""
TIMESPEC = struct.Struct("@qq")

CompandedFrame = tuple[bytes, bytes]
"""One frame of audio in µ-law and in A-law."""

DIGITS = "0123456789*#ABCD"
DIGIT_END = 0x80
DIGIT_SLOTS = 5
DIGIT_END_PACKETS = 3
DIGIT_GAP_SLOTS = 3
DIGIT_VOLUME = 10


class RtpStream:
    """The RTP of one call, from `open` to `close`."""

    def __init__(self, *, host: str, ear: Ear, hum: Chord | None, ssrc: int) -> None:
        self._rtp, self._rtcp = bind_pair(host)
        host, port = self._rtp.getsockname()[:2]
        self.address: RtpAddress = (str(host), int(port))
        """The address at which this stream receives RTP; RTCP is one port above."""
        self._rtp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._ear = ear
        self._ssrc = ssrc
        self._hum_frame = _companded(hum)
        self._g722 = G722Codec()
        self._agreed: Agreed | None = None
        self._srtp: SrtpSession | None = None
        """The SRTP session; once there is one, unencrypted packets are dropped."""
        self._digit_slots_due: deque[bytes | CompandedFrame | None] = deque()
        self._sequence, self._timestamp = ssrc & 0x7FFF, ssrc & 0xFFFFFF
        self._event_timestamp = 0
        """The timestamp of a digit's event packets: that of its beginning, even if slots are skipped meanwhile."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"rtp-{port}", daemon=True)
        self.sent = 0
        self.skipped = 0
        self.digits: list[tuple[float, str]] = []
        """The digits the peer sent as telephone events, and when the first packet of each arrived."""
        self._press: event_receiver.DigitPress | None = None

    def open(self) -> None:
        """Begin to receive; audio is sent once something is agreed."""
        self._thread.start()

    def agree(self, agreed: Agreed) -> None:
        """Send as agreed, from the next slot on."""
        keys = agreed.srtp
        if keys is not None:
            srtp_keys = SrtpKeys(send=keys.send, receive=keys.receive, profile=keys.suite)
            self._srtp = SrtpSession(srtp_keys, self._srtp)
        self._agreed = agreed

    def hum(self, chord: Chord | None) -> None:
        """Hum something else from the next slot on; None is silence."""
        self._hum_frame = _companded(chord)

    def press(self, digits: str) -> None:
        """Send digits in turn, 100 ms each: as events, or as tones in place of the hum if none were agreed.

        Raises: ValueError for a character that is no digit, or before anything was agreed.
        """
        if self._agreed is None:
            raise ValueError("nothing is agreed on this call yet")
        for digit in digits:
            if digit not in DIGITS:
                raise ValueError(f"{digit!r} is no digit of a telephone")
            by_tones = self._agreed.dtmf_payload_type is None
            self._digit_slots_due.extend(_tone_slots(digit) if by_tones else _digit_slots(DIGITS.index(digit)))

    def close(self) -> None:
        """Stop at the next slot, and give the ports back."""
        self._over.set()

    def _run(self) -> None:
        with self._rtp, self._rtcp:
            deadline_s = now_s() + FRAME_S
            while not self._over.is_set():
                self._receive_until(deadline_s)
                skipped_slots = int((now_s() - deadline_s) / FRAME_S)
                self.skipped += skipped_slots
                self._timestamp = (self._timestamp + (1 + skipped_slots) * FRAME_SAMPLES) % 2**32
                self._send_frame()
                deadline_s += (1 + skipped_slots) * FRAME_S

    def _receive_until(self, deadline_s: float) -> None:
        while (remaining_s := deadline_s - now_s()) > 0:
            ready, _, _ = select.select([self._rtp, self._rtcp], [], [], remaining_s)
            for sock in ready:
                try:
                    data, stamps, _, _ = sock.recvmsg(2048, 64)
                except OSError:
                    continue  # The kernel reports here that the peer's port is closed, which an ear ignores.
                if sock is self._rtp:
                    self._handle_packet(data, _arrival_s(stamps))

    def _handle_packet(self, data: bytes, at_s: float) -> None:
        decrypted = data if self._srtp is None else self._srtp.unprotect(data)
        packet = None if decrypted is None else parse_packet(decrypted, at_s)
        if packet is None:
            return
        name = _format_of(packet.payload_type, self._agreed)
        if name == "G722":
            self._ear.take(replace(packet, payload_type=G722_TYPE, payload=self._g722.decode_frame(packet.payload)))
        elif name in ("PCMU", "PCMA"):
            self._ear.take(replace(packet, payload_type=STATIC_PAYLOAD_TYPES[name]))
        elif name == "telephone-event":
            self._press, digit = event_receiver.receive(
                self._press, packet.payload, timestamp=packet.timestamp, marker=packet.marker, ssrc=packet.ssrc
            )
            if digit is not None:
                self.digits.append((packet.at_s, digit))

    def _send_frame(self) -> None:
        agreed = self._agreed
        if agreed is None or agreed.remote is None or not agreed.send:
            return
        digit = self._digit_slots_due.popleft() if self._digit_slots_due else None
        if isinstance(digit, tuple) or digit is None or agreed.dtmf_payload_type is None:
            voice = digit if isinstance(digit, tuple) else self._hum_frame
            payload_type = agreed.payload_types.sending(agreed.codec)
            if agreed.codec == "G722":
                self._send(agreed.remote, payload_type, self._timestamp, self._g722.encode_frame(voice[ULAW]))
                return
            law_index = ULAW if agreed.codec == "PCMU" else ALAW
            self._send(agreed.remote, payload_type, self._timestamp, voice[law_index])
            return
        elapsed = int.from_bytes(digit[2:4])
        first = elapsed == FRAME_SAMPLES
        if first:
            self._event_timestamp = self._timestamp
        kind = agreed.dtmf_payload_type | (MARKER if first else 0)
        for _ in range(DIGIT_END_PACKETS if digit[1] & DIGIT_END else 1):
            self._send(agreed.remote, kind, self._event_timestamp, digit)

    def _send(self, remote: RtpAddress, kind: int, timestamp: int, payload: bytes) -> None:
        self._sequence = (self._sequence + 1) % 2**16
        header = RTP_HEADER.pack(RTP_VERSION, kind, self._sequence, timestamp, self._ssrc)
        packet = header + payload
        try:
            self._rtp.sendto(packet if self._srtp is None else self._srtp.protect(packet), remote)
            self.sent += 1
        except OSError:
            self.skipped += 1


def _format_of(payload_type: int, agreed: Agreed | None) -> RtpFormat | None:
    """Return what a received payload type means, as agreed; else, or before anything is agreed, as a static one."""
    static = {number: codec for codec, number in STATIC_PAYLOAD_TYPES.items()}
    if agreed is None:
        return static.get(payload_type)
    codecs = (agreed.codec, *agreed.other_codecs)
    received = agreed.payload_types.receiving(codecs, agreed.dtmf_payload_type)
    return received.get(payload_type, static.get(payload_type))


def parse_packet(data: bytes, at_s: float) -> Packet | None:
    """Parse a datagram; return None if it is no RTP. Source: RFC 3550 §5.1, RFC 5761 §4 for RTCP's types."""
    if len(data) < RTP_HEADER.size or data[0] >> 6 != 2 or 64 <= data[1] & 0x7F <= 95:
        return None
    first, kind, sequence, timestamp, ssrc = RTP_HEADER.unpack_from(data)
    return Packet(
        at_s=at_s,
        payload_type=kind & 0x7F,
        marker=bool(kind & MARKER),
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=data[RTP_HEADER.size + 4 * (first & 0x0F) :],
    )


def bind_pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Bind a free even port and the odd one above it.

    Raises: OSError if the host is not ours.
    """
    while True:
        rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            rtp.bind((host, 0))
            port = rtp.getsockname()[1]
            if port % 2 == 0:
                rtcp.bind((host, port + 1))
                return rtp, rtcp
        except OSError:
            if not rtp.getsockname()[1]:
                raise
        rtp.close()
        rtcp.close()


def _companded(hum: Chord | None) -> CompandedFrame:
    """Return one frame of the hum, by companding law."""
    if hum is None:
        return bytes([SILENCE[ULAW]]) * FRAME_SAMPLES, bytes([SILENCE[ALAW]]) * FRAME_SAMPLES
    return encode(hum.frame(), ULAW), encode(hum.frame(), ALAW)


def _digit_slots(event: int) -> Iterator[bytes | None]:
    """Return what is sent in each slot for one digit: event packets, then the hum. Source: RFC 4733 §2.5.1."""
    for slot in range(1, DIGIT_SLOTS + 1):
        end = DIGIT_END if slot == DIGIT_SLOTS else 0
        yield struct.pack("!BBH", event, end | DIGIT_VOLUME, slot * FRAME_SAMPLES)
    yield from [None] * DIGIT_GAP_SLOTS


def _tone_slots(digit: str) -> Iterator[CompandedFrame | None]:
    """Return what is sent in each slot for a digit as two tones. Source: ITU-T Q.23."""
    low, high = divmod(DTMF_DIGITS.tolist().index(digit), 4)
    wave = as_samples(sum_of_tones((LOW_HZ[low], HIGH_HZ[high]), DIGIT_SLOTS * FRAME_SAMPLES))
    for frame in wave.reshape(DIGIT_SLOTS, FRAME_SAMPLES):
        yield encode(frame, ULAW), encode(frame, ALAW)
    yield from [None] * DIGIT_GAP_SLOTS


def _arrival_s(stamps: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in stamps:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = TIMESPEC.unpack(data[: TIMESPEC.size])
            return from_wall_s(seconds + nanoseconds / 1e9)
    return now_s()
