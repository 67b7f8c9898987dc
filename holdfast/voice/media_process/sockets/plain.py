"""Move RTP packets between sockets and arrays: the contract, and plain sockets behind it.

Kernel AIO (`aio.py`) replaces plain sockets behind the same contract where the system allows it. It needs connected
sockets, so a row is connected as soon as its latch is final. That also keeps unauthenticated packets out. A second
address that the row receives from has a second socket at the same port: the system gives each datagram to the socket
that is connected to its source.
"""

from __future__ import annotations

import ctypes
import select
import socket
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from holdfast.voice.media.frames import Bytes, Numbers
from holdfast.voice.media.rtp.latch import Address, AdmittedSources
from holdfast.voice.media.rtp.rtp import DATAGRAM

_libc = ctypes.CDLL(None, use_errno=True)
MAX_SKIPPED = 300
"""Datagrams and errors that are skipped before the wanted one: as many as the system queues for a socket."""
MIN_SKIPPED, MAX_SKIPPED_IN_TICK = 8, 2000
"""Unauthenticated datagrams that are skipped in each tick: at least so many of one row, about so many of all rows."""
_NO_ADDRESS = bytes(16)
"""A sockaddr of family AF_UNSPEC. Source: connect(2), "dissolve the association"."""


@dataclass(slots=True, kw_only=True)
class ReceivedDatagrams:
    """Received datagrams are those of one round, at most one per row.

    Shape: datagram k came to `rows[k]`, its bytes are `data[k, : lengths[k]]`; `sources[k]` is its source if the row
    was not connected.
    """

    data: Bytes
    lengths: Numbers
    rows: Numbers
    views: list[memoryview]
    sources: dict[int, Address] = field(default_factory=dict)

    @staticmethod
    def allocate(rows: int) -> ReceivedDatagrams:
        """Return empty arrays for that many rows."""
        data = np.zeros((rows, DATAGRAM), dtype=np.uint8)
        return ReceivedDatagrams(
            data=data,
            views=[packet.data for packet in data],
            lengths=np.zeros(rows, dtype=np.intp),
            rows=np.zeros(rows, dtype=np.intp),
        )


class PacketIO(Protocol):
    """Packet IO moves the packets of all rows.

    Invariant: nothing that a peer or its network does raises an exception.
    """

    def open(self, row: int, sock: socket.socket) -> None:
        """Take over the bound socket of a row."""

    def close(self, row: int) -> None:
        """Close the socket of a row."""

    def set_destination(self, row: int, address: Address | None) -> None:
        """Set where the row's packets go while it is not connected."""

    def connect(self, row: int, address: Address) -> bool:
        """Connect the row to this address alone; return False if the system refuses."""

    def disconnect(self, row: int) -> None:
        """Disconnect the row: it receives from every admitted source."""

    def admit(self, row: int, admitted: AdmittedSources) -> None:
        """Set which sources are admitted while the row is not connected; before that, any source is."""

    def watch(self, row: int, address: Address | None) -> None:
        """Receive from this address too while the row is connected to another one; None: from no other.

        If the system has no socket left, the address is received from only after the row is disconnected.
        """

    @property
    def has_watched(self) -> bool:
        """Whether any row receives from a second address."""

    def unauthenticated(self, row: int) -> tuple[int, Address | None]:
        """Return the number of unauthenticated datagrams of a row, and the source of the newest."""

    def receive_watched(self, datagrams: ReceivedDatagrams) -> int:
        """Store one datagram from the second address of each row that has any; return how many."""

    def receive(self, datagrams: ReceivedDatagrams, *, round_number: int) -> int:
        """Store one datagram of each row that has any; return how many. Rounds of one tick are counted from 0."""

    def send(self, rows: Numbers, sizes: Numbers) -> Numbers:
        """Send `sizes[k]` bytes of the packet of each row `rows[k]`; return the rows whose packet was taken."""


class RowSockets:
    """Row sockets are the sockets of all rows, and the address each is connected to.

    Shape: `packets[rows, …]`, uint8, is what is sent.
    """

    def __init__(self, packets: Bytes) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._connected = np.zeros(len(packets), dtype=np.bool_)
        self._unfiltered: dict[int, Address] = {}
        """Rows that were connected while datagrams waited: the kernel filters new datagrams, not those that wait."""
        self._admitted: dict[int, AdmittedSources] = {}
        self._unauthenticated: dict[int, tuple[int, Address | None]] = {}
        self._skips_left = MAX_SKIPPED_IN_TICK
        self._watched: dict[int, tuple[socket.socket, Address]] = {}
        self._watching = select.epoll()
        self._watcher: dict[int, int] = {}
        """Rows by the descriptor of their second socket."""
        self._destinations: list[Address | None] = [None] * len(packets)
        self._packets = [packet.data for packet in packets]

    def open(self, row: int, sock: socket.socket) -> None:
        """Take over the bound socket of a row."""
        self._sockets[row] = sock
        self._connected[row] = False
        self._destinations[row] = None
        self._admitted.pop(row, None)
        self._unauthenticated.pop(row, None)

    def close(self, row: int) -> None:
        """Close the socket of a row."""
        self.watch(row, None)
        self._connected[row] = False
        self._unfiltered.pop(row, None)
        self._sockets.pop(row).close()

    def set_destination(self, row: int, address: Address | None) -> None:
        """Set where the row's packets go while it is not connected."""
        self._destinations[row] = address

    def connect(self, row: int, address: Address) -> bool:
        """Connect the row to this address alone; return False if the system refuses."""
        sock = self._sockets[row]
        try:
            sock.connect(address)
        except OSError:
            return False
        self._connected[row] = True
        self._unfiltered[row] = address
        return True

    def admit(self, row: int, admitted: AdmittedSources) -> None:
        """Set which sources are admitted while the row is not connected."""
        self._admitted[row] = admitted

    def unauthenticated(self, row: int) -> tuple[int, Address | None]:
        """Return the number of unauthenticated datagrams of a row, and the source of the newest."""
        return self._unauthenticated.get(row, (0, None))

    @property
    def has_watched(self) -> bool:
        """Whether any row receives from a second address."""
        return bool(self._watched)

    def watch(self, row: int, address: Address | None) -> None:
        """Receive from this address too while the row is connected to another one; None: from no other.

        If the system has no socket left, the address is received from only after the row is disconnected.
        """
        before = self._watched.get(row)
        if before is not None and before[1] == address:
            return
        if before is not None:
            del self._watched[row], self._watcher[before[0].fileno()]
            self._watching.unregister(before[0].fileno())
            before[0].close()
        second = None if address is None else _second_socket(self._sockets[row], address)
        if second is not None and address is not None:
            self._watched[row] = (second, address)
            self._watcher[second.fileno()] = row
            self._watching.register(second.fileno(), select.EPOLLIN)

    def receive_watched(self, datagrams: ReceivedDatagrams) -> int:
        """Store one datagram from the second address of each row that has any; return how many."""
        datagrams.sources.clear()
        count = 0
        for descriptor, _ in self._watching.poll(0):
            row = self._watcher[descriptor]
            sock, address = self._watched[row]
            length = _receive_only(sock, address, datagrams.views[count])
            if length is not None:
                datagrams.sources[count] = address
                datagrams.rows[count], datagrams.lengths[count] = row, length
                count += 1
        return count

    def disconnect(self, row: int) -> None:
        """Disconnect the row: it receives from every admitted source."""
        if self._connected[row]:
            _libc.connect(self._sockets[row].fileno(), _NO_ADDRESS, len(_NO_ADDRESS))
            self._connected[row] = False
            self._unfiltered.pop(row, None)

    def _send_alone(self, row: int, size: int) -> bool:
        """Send the packet of a row; return whether it was taken."""
        data = self._packets[row][:size]
        try:
            if self._connected[row]:
                self._sockets[row].send(data)
            elif (destination := self._destinations[row]) is not None:
                self._sockets[row].sendto(data, destination)
            else:
                return False
        except OSError:
            # No listener there (ECONNREFUSED of an earlier packet), no route, or no room: this packet did not leave.
            return False
        return True

    def _receive_from(self, row: int, into: memoryview) -> tuple[int, Address | None]:
        """Receive one admitted datagram of a row; return its length and source, or −1 and None.

        Unauthenticated datagrams from before the row was connected are skipped, and so is an error before a datagram:
        the peer's port is closed (ECONNREFUSED of a packet that we sent).
        """
        sock, connected, errors = self._sockets[row], self._unfiltered.get(row), 0
        admitted = self._admitted.get(row)
        max_skipped = MAX_SKIPPED if connected is not None else max(MIN_SKIPPED, min(MAX_SKIPPED, self._skips_left))
        for _ in range(max_skipped):
            try:
                length, source = sock.recvfrom_into(into)
            except BlockingIOError:
                # The socket was empty once: from now on the kernel keeps other sources out.
                self._unfiltered.pop(row, None)
                break
            except OSError:
                errors += 1
                if errors == 2:
                    # It is more than the answer to a packet of ours.
                    break
                continue
            is_unauthenticated = admitted is not None and not admitted.admits(source)
            if is_unauthenticated:
                self._unauthenticated[row] = self.unauthenticated(row)[0] + 1, source
                self._skips_left -= 1
            if source == connected or (connected is None and not is_unauthenticated):
                return length, source
        return -1, None


def _second_socket(bound: socket.socket, address: Address) -> socket.socket | None:
    """Return a second socket at the same port that is connected to one address; None if the system has none.

    Both share the port only while it is made: no other program can take a part in it. Source: socket(7), SO_REUSEADDR.
    """
    second = None
    try:
        second = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        second.setblocking(False)
        for sock in (bound, second):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        second.bind(bound.getsockname())
        second.connect(address)
        second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    except OSError:
        if second is not None:
            second.close()
        return None
    finally:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return second


def _receive_only(sock: socket.socket, source: Address, into: memoryview) -> int | None:
    """Receive one datagram from this address; return its length, or None when there is none."""
    for _ in range(MAX_SKIPPED):
        try:
            length, sender = sock.recvfrom_into(into)
        except BlockingIOError:
            return None
        except OSError:
            continue
        # A datagram from before it was connected may have any source.
        if sender == source:
            return length
    return None


class PlainSockets(RowSockets):
    """Plain sockets use one system call per packet."""

    def __init__(self, packets: Bytes) -> None:
        super().__init__(packets)
        self._epoll = select.epoll()
        self._row_of: dict[int, int] = {}

    def open(self, row: int, sock: socket.socket) -> None:
        """Take over the bound socket of a row."""
        super().open(row, sock)
        self._row_of[sock.fileno()] = row
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def close(self, row: int) -> None:
        """Close the socket of a row."""
        descriptor = self._sockets[row].fileno()
        self._epoll.unregister(descriptor)
        del self._row_of[descriptor]
        super().close(row)

    def receive(self, datagrams: ReceivedDatagrams, *, round_number: int) -> int:
        """Store one datagram of each row that has any; return how many."""
        datagrams.sources.clear()
        if round_number == 0:
            self._skips_left = MAX_SKIPPED_IN_TICK
        row_of, into = self._row_of, datagrams.views
        rows: list[int] = []
        lengths: list[int] = []
        ready = [row_of[descriptor] for descriptor, _ in self._epoll.poll(0, len(into))]
        if self._unfiltered:
            self._unfiltered = {row: address for row, address in self._unfiltered.items() if row in ready}
        for row in ready:
            needs_source = not self._connected[row] or row in self._unfiltered
            length, source = self._receive_from(row, into[len(rows)])
            if source is None:
                # Only errors or unauthenticated datagrams were there, or a broken checksum woke us for nothing.
                continue
            if needs_source:
                datagrams.sources[len(rows)] = source
            lengths.append(length)
            rows.append(row)
        datagrams.rows[: len(rows)] = rows
        datagrams.lengths[: len(rows)] = lengths
        return len(rows)

    def send(self, rows: Numbers, sizes: Numbers) -> Numbers:
        """Send `sizes[k]` bytes of the packet of each row `rows[k]`; return the rows whose packet was taken."""
        pairs = zip(rows.tolist(), sizes.tolist(), strict=True)
        return np.array([row for row, size in pairs if self._send_alone(row, size)], dtype=np.intp)
