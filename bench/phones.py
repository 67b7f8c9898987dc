"""Many phones in one process: each sends 50 packets a second, and checks what it receives.

A hundred share a socket, because here the other end is measured; the port a packet comes from says which phone it is
for. Packets are sent and received by the hundred (`sendmmsg`, `recvmmsg`), so that the phones are not the limit; their
cost, their lateness, and the packets they were too slow to read, are part of the result. Run as
`python -m bench.phones LEGS`, with a `Task` on standard input.
"""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.voice.media.rtp.rtcp import ReportInterval, build_report
from holdfast.voice.media.rtp.srtp import (
    MAX_TAG_BYTES,
    SrtpKeys,
    SrtpLegs,
    SrtpSession,
)

TICK_S = 0.02
SLICES = 10
REPORT_TICKS = 250
PACKET, HEADER = 172, 12
THEIR_KEY, OUR_KEY = bytes(range(30)), bytes(range(30, 60))
"""The keys with which the engine encrypts, and decrypts."""
BATCH = 512
SHARED = 100
MSG_DONTWAIT = 0x40

_libc = ctypes.CDLL(None, use_errno=True)


class _Iovec(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """The C structure `struct mmsghdr` with its `struct msghdr`. Source: recvmmsg(2)."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("iovec", ctypes.c_void_p),
        ("iovec_length", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_int),
        ("length", ctypes.c_uint),
        ("padding_2", ctypes.c_uint),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """The task of the phones.

    Shape: `ports[k]` is where phone k sends; `hears[k]` the phone it should hear, −1 for music; the first `encrypted`
    use SRTP.
    """

    ports: list[int]
    hears: list[int]
    ticks: int
    encrypted: int = 0
    core: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonesResult:
    """The result of a task. Units: `busy` of one core; `latest_ms` how late the phones themselves were at worst.

    `holes` counts missing packets in what was received; `unread` is how many of them the system dropped because the
    phones were too slow to read; `frames_lost` counts frames of the other phone that never arrived, and `foreign`
    frames that no phone sent: concealed ones, or faults.
    """

    sent: int
    received: int
    holes: int
    unread: int
    frames_lost: int
    foreign: int
    busy: float
    latest_ms: float


class Messages:
    """Arrays of datagrams as the kernel needs them. Shape: `data[count, size]`, `names[count, 16]`, uint8."""

    def __init__(self, count: int, size: int) -> None:
        self.data = np.zeros((count, size), dtype=np.uint8)
        self.names = np.zeros((count, 16), dtype=np.uint8)
        self._iovecs = (_Iovec * count)()
        self.headers = (_Message * count)()
        self.srtp = SrtpLegs(self.data)
        self.lengths = np.frombuffer(memoryview(self._iovecs), dtype=np.uint64).reshape(count, 2)[:, 1]
        """How many bytes of each are sent, or have room to be received."""
        self.received = np.frombuffer(memoryview(self.headers), dtype=np.uint32).reshape(count, -1)[
            :, _Message.length.offset // 4
        ]
        """How many bytes of each were received."""
        for k in range(count):
            self._iovecs[k] = _Iovec(self.data.ctypes.data + k * size, size)
            self.headers[k].name = self.names.ctypes.data + 16 * k
            self.headers[k].name_length = 16
            self.headers[k].iovec = ctypes.addressof(self._iovecs[k])
            self.headers[k].iovec_length = 1

    def header_address(self, k: int) -> int:
        """Return the address of a header."""
        return ctypes.addressof(self.headers) + k * ctypes.sizeof(_Message)


class Phones:
    """The phones of a task."""

    def __init__(self, socks: Sequence[socket.socket], task: Task) -> None:
        self._socks = socks
        self._task = task
        self._count = len(task.ports)
        self._out = Messages(self._count, PACKET + MAX_TAG_BYTES)
        self._plain = np.zeros((self._count, PACKET), dtype=np.uint8)
        keys = SrtpKeys(send=OUR_KEY, receive=THEIR_KEY)
        self._srtp = [SrtpSession(keys) for _ in range(task.encrypted)]
        self._in = Messages(BATCH, 256)
        self._phone_of = np.full(65536, -1, dtype=np.intp)
        self._phone_of[task.ports] = np.arange(self._count)
        self._hears = np.array(task.hears, dtype=np.intp)
        self._sequence = np.full(self._count, -1, dtype=np.int64)
        self._frames = np.zeros((self._count, task.ticks), dtype=np.bool_)
        self._received = self._holes = self._foreign = 0
        self._latest_s = 0.0
        data = self._plain
        data[:, 0] = 0x80
        data.view(">u4")[:, 2] = np.arange(self._count) + 1
        # A frame carries its phone and its number in six bytes, and a filling that no concealed frame has.
        data[:, HEADER:] = 0x55
        data.view(">u2")[:, 6] = np.arange(self._count)
        self._out.lengths[:] = PACKET
        for k, port in enumerate(task.ports):
            self._out.names[k, :8] = np.frombuffer(
                socket.AF_INET.to_bytes(2, sys.byteorder) + port.to_bytes(2, "big") + bytes([127, 0, 0, 1]), np.uint8
            )

    def run(self) -> PhonesResult:
        """Send every packet in its slot, spread over the tick; receive meanwhile, and a moment longer."""
        began_s, began_cpu = time.monotonic(), time.process_time()
        edges = np.linspace(0, self._count, SLICES + 1).astype(int).tolist()
        for tick in range(self._task.ticks):
            self._number(tick)
            for each in range(SLICES):
                due_s = began_s + (tick + each / SLICES) * TICK_S
                while (remaining_s := due_s - time.monotonic()) > 0:
                    self._receive()
                    time.sleep(max(0.0, min(remaining_s, due_s - time.monotonic())))
                self._latest_s = max(self._latest_s, time.monotonic() - due_s)
                self._send(edges[each], edges[each + 1])
                self._receive()
            self._send_reports(tick)
        busy = (time.process_time() - began_cpu) / (time.monotonic() - began_s)
        ending_s = time.monotonic() + 0.5
        while time.monotonic() < ending_s:
            self._receive()
            time.sleep(TICK_S / 4)
        # The last frames may still be in a jitter buffer when we stop.
        frames = self._frames[self._hears >= 0, 50:-50]
        return PhonesResult(
            sent=self._count * self._task.ticks,
            received=self._received,
            holes=self._holes,
            unread=_unread([sock.getsockname()[1] for sock in self._socks]),
            frames_lost=int(frames.size - frames.sum()),
            foreign=self._foreign,
            busy=round(busy, 3),
            latest_ms=round(self._latest_s * 1000, 1),
        )

    def _number(self, tick: int) -> None:
        data = self._plain
        data.view(">u2")[:, 1] = tick % 65536
        data.view(">u4")[:, 1] = tick * 160
        data.view(">u4")[:, 4] = tick
        self._out.data[:, :PACKET] = data
        encrypted = len(self._srtp)
        if encrypted:
            self._out.srtp.sizes[:encrypted] = PACKET
            self._out.srtp.protect(range(encrypted), self._srtp)
            self._out.lengths[:encrypted] = self._out.srtp.sizes[:encrypted]

    def _send(self, first: int, end: int) -> None:
        while first < end:
            sock, last = self._socks[first // SHARED], min(end, (first // SHARED + 1) * SHARED)
            sent = _libc.sendmmsg(sock.fileno(), ctypes.c_void_p(self._out.header_address(first)), last - first, 0)
            if sent < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            first += sent

    def _send_reports(self, tick: int) -> None:
        """Send a sender report of each phone, once in five seconds."""
        for k in range(tick % REPORT_TICKS, self._count, REPORT_TICKS):
            data = build_report(
                ssrc=k + 1,
                now=time.time(),
                timestamp=tick * 160,
                packets=tick,
                name="bench",
                reception=None,
                previous=ReportInterval(),
                last_report=None,
                last_report_ago_s=0.0,
            )
            if k < len(self._srtp):
                data = self._srtp[k].protect_rtcp(data)
            self._socks[k // SHARED].sendto(data, ("127.0.0.1", self._task.ports[k] + 1))

    def _receive(self) -> None:
        for sock in self._socks:
            count = BATCH
            while count == BATCH:
                count = _libc.recvmmsg(
                    sock.fileno(), ctypes.c_void_p(self._in.header_address(0)), BATCH, MSG_DONTWAIT, ctypes.c_void_p()
                )
                if count > 0:
                    self._count_packets(self._in.data[:count], self._in.names[:count])

    def _count_packets(self, data: np.ndarray, names: np.ndarray) -> None:
        phones = self._phone_of[names.view(">u2")[:, 1]]
        encrypted = np.flatnonzero((phones >= 0) & (phones < len(self._srtp)))
        if encrypted.size:
            sizes = self._in.srtp.sizes
            sizes[encrypted] = self._in.received[encrypted]
            self._in.srtp.unprotect(encrypted.tolist(), [self._srtp[phone] for phone in phones[encrypted].tolist()])
            phones[encrypted[sizes[encrypted] == 0]] = -1
        is_audio = (phones >= 0) & (data[:, 1] & 0x7F == 0)
        data, phones = data[is_audio], phones[is_audio]
        self._received += len(phones)
        sequence = data.view(">u2")[:, 1].astype(np.int64)
        for ear, number in zip(phones.tolist(), sequence.tolist(), strict=True):
            before = int(self._sequence[ear])
            if before >= 0:
                self._holes += (number - before - 1) % 65536
            self._sequence[ear] = number
        expected_speaker = self._hears[phones]
        speaker, frame = data.view(">u2")[:, 6].astype(np.intp), data.view(">u4")[:, 4].astype(np.intp)
        right = (
            (speaker == expected_speaker)
            & (frame < self._task.ticks)
            & (data[:, HEADER + 8 : PACKET] == 0x55).all(axis=1)
        )
        self._frames[phones[right], frame[right]] = True
        silent = (data[:, HEADER:PACKET] == 0xFF).all(axis=1)
        self._foreign += int(((expected_speaker >= 0) & ~right & ~silent).sum())


def _unread(ports: Sequence[int]) -> int:
    """Return how many datagrams the system dropped at these ports. Source: proc(5), /proc/net/udp, its last column."""
    with open("/proc/net/udp", encoding="ascii") as table:
        sockets = [line.split() for line in table.readlines()[1:]]
    return sum(int(fields[-1]) for fields in sockets if int(fields[1].partition(":")[2], 16) in ports)


def main() -> None:
    """Print our addresses, read the task, run it, print the result."""
    socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(-(-int(sys.argv[1]) // SHARED))]
    for sock in socks:
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_000_000)
    print(json.dumps([sock.getsockname() for sock in socks]), flush=True)
    task = Task(**json.loads(sys.stdin.readline()))
    if task.core is not None:
        os.sched_setaffinity(0, {task.core})
    print(json.dumps(dataclasses.asdict(Phones(socks, task).run())), flush=True)


if __name__ == "__main__":
    main()
