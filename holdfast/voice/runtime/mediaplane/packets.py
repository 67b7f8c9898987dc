"""RTP packets between sockets and arrays: the contract, and plain sockets behind it.

Kernel AIO can take the place of plain sockets behind the same contract; it needs sockets that are connected, so a row
is connected as soon as it is known whom it listens to. That also keeps strangers out.
"""

from __future__ import annotations

import ctypes
import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from holdfast.voice.media.frames import Bytes, Numbers
from holdfast.voice.media.rtp import DATAGRAM

Address = tuple[str, int]

_libc = ctypes.CDLL(None, use_errno=True)
_NO_ADDRESS = bytes(16)
"""A sockaddr of family AF_UNSPEC. Source: connect(2), "dissolve the association"."""


@dataclass(slots=True, kw_only=True)
class Arrived:
    """Datagrams of one round: at most one per row. Shape: datagram k came to `rows[k]`; `sources[k]` says from where,
    if its row was not connected.
    """

    data: Bytes
    lengths: Numbers
    rows: Numbers
    views: list[memoryview]
    sources: dict[int, Address] = field(default_factory=dict)

    @staticmethod
    def room_for(rows: int) -> Arrived:
        """Empty, for that many rows."""
        data = np.zeros((rows, DATAGRAM), dtype=np.uint8)
        return Arrived(
            data=data,
            views=[line.data for line in data],
            lengths=np.zeros(rows, dtype=np.intp),
            rows=np.zeros(rows, dtype=np.intp),
        )


class PacketIO(Protocol):
    """Moves packets of all rows. Nothing that a peer or its network does leaves these methods as an exception."""

    def open(self, row: int, sock: socket.socket) -> None:
        """Take over a bound socket."""

    def close(self, row: int) -> None:
        """Close the row's socket."""

    def aim(self, row: int, address: Address | None) -> None:
        """Where the row's packets go while it is not connected."""

    def connect(self, row: int, address: Address) -> bool:
        """Listen to this address alone; false if the system will not."""

    def disconnect(self, row: int) -> None:
        """Listen to everybody."""

    def receive(self, arrived: Arrived) -> int:
        """Fill in one datagram of each row that has any; how many."""

    def send(self, rows: Sequence[int]) -> Numbers:
        """Send the packets of these rows; the rows whose packet was taken."""


class PlainSockets:
    """One system call per packet. Shape: `packets[rows, …]` is what is sent."""

    def __init__(self, packets: Bytes) -> None:
        rows = len(packets)
        self._out = [packets[row].data for row in range(rows)]
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._row_of: dict[int, int] = {}
        self._connected = [False] * rows
        self._wary: dict[int, Address] = {}
        self._aims: list[Address | None] = [None] * rows

    def open(self, row: int, sock: socket.socket) -> None:
        """Take over a bound socket."""
        self._sockets[row] = sock
        self._row_of[sock.fileno()] = row
        self._connected[row] = False
        self._aims[row] = None
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def close(self, row: int) -> None:
        """Close the row's socket."""
        sock = self._sockets.pop(row)
        self._wary.pop(row, None)
        self._epoll.unregister(sock.fileno())
        del self._row_of[sock.fileno()]
        sock.close()

    def aim(self, row: int, address: Address | None) -> None:
        """Where the row's packets go while it is not connected."""
        self._aims[row] = address

    def connect(self, row: int, address: Address) -> bool:
        """Listen to this address alone; false if the system will not."""
        sock = self._sockets[row]
        try:
            sock.connect(address)
        except OSError:
            return False
        self._connected[row] = True
        # The kernel filters what comes, not what waits: a stranger's may, until the socket was empty once.
        self._wary[row] = address
        return True

    def disconnect(self, row: int) -> None:
        """Listen to everybody."""
        if self._connected[row]:
            _libc.connect(self._sockets[row].fileno(), _NO_ADDRESS, len(_NO_ADDRESS))
            self._connected[row] = False
            self._wary.pop(row, None)

    def receive(self, arrived: Arrived) -> int:
        """Fill in one datagram of each row that has any; how many."""
        sockets, connected, row_of, into = self._sockets, self._connected, self._row_of, arrived.views
        arrived.sources.clear()
        rows: list[int] = []
        lengths: list[int] = []
        ready = self._epoll.poll(0, len(into))
        if self._wary:
            busy = {row_of[fd] for fd, _ in ready}
            self._wary = {row: address for row, address in self._wary.items() if row in busy}
        for fd, _ in ready:
            row = row_of[fd]
            sock = sockets[row]
            try:
                if connected[row] and row not in self._wary:
                    length = sock.recv_into(into[len(rows)])
                else:
                    length, source = sock.recvfrom_into(into[len(rows)])
                    if source != self._wary.get(row, source):
                        continue
                    arrived.sources[len(rows)] = source
                lengths.append(length)
                rows.append(row)
            except OSError:
                # The peer's port is closed (ECONNREFUSED), or a broken checksum woke us for nothing (EAGAIN).
                continue
        n = len(rows)
        arrived.rows[:n] = rows
        arrived.lengths[:n] = lengths
        return n

    def send(self, rows: Sequence[int]) -> Numbers:
        """Send the packets of these rows; the rows whose packet was taken."""
        sockets, connected, aims, out = self._sockets, self._connected, self._aims, self._out
        lost: list[int] = []
        for row in rows:
            try:
                if connected[row]:
                    sockets[row].send(out[row])
                elif (aim := aims[row]) is not None:
                    sockets[row].sendto(out[row], aim)
                else:
                    lost.append(row)
            except OSError:
                # Nobody there (ECONNREFUSED of an earlier packet), no way there, or no room: this packet did not go.
                lost.append(row)
        sent = np.array(rows, dtype=np.intp)
        return np.setdiff1d(sent, np.array(lost, dtype=np.intp), assume_unique=True) if lost else sent
