"""RTP packets between sockets and arrays by kernel AIO: one system call for all rows, filled in by numpy.

What the kernel does per packet is the same as with plain sockets; what a call per packet costs the interpreter is
saved. `io_uring` would be no faster, and containers forbid it; the AIO family they allow.
Source: io_submit(2), io_setup(2); linux/aio_abi.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import socket

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.frames import Bytes, Mask, Numbers
from holdfast.voice.runtime.mediaplane.packets import Arrived, PacketIO, PlainSockets, RowSockets

_NUMBERS = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
"""System call numbers: io_setup, io_destroy, io_getevents, io_submit. The C library has no functions for them."""

_READ, _WRITE = 0, 1
_IOCB = np.dtype(
    [
        ("data", "u8"),
        ("key", "u4"),
        ("flags", "u4"),
        ("opcode", "u2"),
        ("priority", "i2"),
        ("descriptor", "u4"),
        ("buffer", "u8"),
        ("size", "u8"),
        ("offset", "i8"),
        ("reserved", "u8"),
        ("more_flags", "u4"),
        ("event_descriptor", "u4"),
    ]
)
_EVENT = np.dtype([("data", "u8"), ("request", "u8"), ("result", "i8"), ("result_2", "i8")])

_TURNS = 8
"""A row that sends one packet per tick is asked for a second one in one tick of so many."""
_EAGER_TICKS = 8
"""Ticks for which a row is asked for more after a tick without a packet, since a burst follows a gap, or with two."""

_libc = ctypes.CDLL(None, use_errno=True)


class AioSockets(RowSockets):
    """Rows that are connected are read and written together, all others one by one.

    Raises: OSError when the system gives us no AIO context: its table is full (fs.aio-max-nr), or it is forbidden.
    """

    def __init__(self, packets: Bytes) -> None:
        super().__init__(packets)
        rows = len(packets)
        calls = _NUMBERS.get(platform.machine())
        if calls is None:
            raise OSError(f"no AIO numbers are known for {platform.machine()}")
        setup, self._destroy, self._get_events, self._submit = calls
        self._context = ctypes.c_ulong(0)
        if _libc.syscall(setup, rows, ctypes.byref(self._context)) != 0:
            raise OSError(ctypes.get_errno(), f"io_setup for {rows} rows: {os.strerror(ctypes.get_errno())}")
        self._packets = packets
        self._stride = packets.strides[0]
        self._base = packets.ctypes.data
        self._descriptors: NDArray[np.uint32] = np.zeros(rows, dtype=np.uint32)
        self._reads, self._writes = np.zeros(rows, dtype=_IOCB), np.zeros(rows, dtype=_IOCB)
        for requests, opcode in ((self._reads, _READ), (self._writes, _WRITE)):
            requests["data"] = np.arange(rows)
            requests["opcode"] = opcode
        self._read_pointers = self._reads.ctypes.data + _IOCB.itemsize * np.arange(rows, dtype=np.uint64)
        self._write_pointers = self._writes.ctypes.data + _IOCB.itemsize * np.arange(rows, dtype=np.uint64)
        self._events = np.zeros(rows, dtype=_EVENT)
        self._buffers: Bytes | None = None
        self._in_use: Mask = np.zeros(rows, dtype=np.bool_)
        self._eager: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._asked: Numbers = np.zeros(0, dtype=np.intp)
        self._tick = 0

    def open(self, row: int, sock: socket.socket) -> None:
        """Take over a bound socket."""
        super().open(row, sock)
        self._descriptors[row] = sock.fileno()
        self._in_use[row] = True
        self._eager[row] = 0

    def close(self, row: int) -> None:
        """Close the row's socket."""
        self._in_use[row] = False
        super().close(row)

    def release(self) -> None:
        """Give the AIO context back."""
        _libc.syscall(self._destroy, self._context)

    # --- in ---------------------------------------------------------------------------------------------------

    def receive(self, arrived: Arrived, *, round_number: int) -> int:
        """Fill in one datagram of each row that has any; how many."""
        arrived.sources.clear()
        rows = self._rows_to_ask(round_number)
        alone = ~self._connected[rows]
        if self._wary:
            alone |= np.isin(rows, list(self._wary))
        if not alone.any():
            return self._receive_together(arrived, rows, first_round=round_number == 0)
        count = self._receive_together(arrived, rows[~alone], first_round=round_number == 0)
        self._eager[rows[alone]] = _EAGER_TICKS
        for row in rows[alone].tolist():
            length, source = self._receive_from(row, arrived.views[count])
            if source is not None:
                arrived.sources[count] = source
                arrived.rows[count], arrived.lengths[count] = row, length
                count += 1
        self._asked = np.sort(arrived.rows[:count])
        return count

    def _rows_to_ask(self, round_number: int) -> Numbers:
        """In the first round everybody; in later ones who may have more: a row after a gap, and each in its turn."""
        if round_number == 0:
            self._tick += 1
            return np.flatnonzero(self._in_use)
        rows = self._asked
        if round_number > 1:
            return rows
        more: Mask = (self._eager[rows] > 0) | ((rows + self._tick) % _TURNS == 0) | ~self._connected[rows]
        return rows[more]

    def _receive_together(self, arrived: Arrived, rows: Numbers, *, first_round: bool) -> int:
        """Read connected rows, and leave no gap where one has nothing."""
        n = len(rows)
        if not n:
            self._asked = rows
            return 0
        if self._buffers is not arrived.data:
            self._buffers = arrived.data
            self._reads["size"] = arrived.data.shape[1]
            self._reads["buffer"] = arrived.data.ctypes.data + arrived.data.strides[0] * np.arange(len(arrived.data))
        self._reads["descriptor"][:n] = self._descriptors[rows]
        got = self._run(self._read_pointers, n)
        here = got > 0
        # None in one tick, or two: whoever is not in step is asked more than once for a while.
        if first_round:
            self._eager[rows] = np.where(here, self._eager[rows] - 1, _EAGER_TICKS)
        else:
            self._eager[rows[here]] = _EAGER_TICKS
        if here.all():
            arrived.rows[:n] = rows
            arrived.lengths[:n] = got
            self._asked = rows
            return n
        count = int(here.sum())
        order = np.arange(n)
        late = np.flatnonzero(here[count:]) + count
        empty = np.flatnonzero(~here[:count])
        arrived.data[empty] = arrived.data[late]
        order[empty] = late
        arrived.rows[:count] = rows[order[:count]]
        arrived.lengths[:count] = got[order[:count]]
        self._asked = rows[here]
        return count

    # --- out --------------------------------------------------------------------------------------------------

    def send(self, rows: Numbers, sizes: Numbers) -> Numbers:
        """Send the packets of these rows, so many bytes of each; the rows whose packet was taken."""
        together = self._connected[rows]
        if together.all():
            return self._send_together(rows, sizes)
        taken = self._send_together(rows[together], sizes[together])
        both = zip(rows[~together].tolist(), sizes[~together].tolist(), strict=True)
        alone = [row for row, size in both if self._send_alone(row, size)]
        return np.sort(np.append(taken, np.array(alone, dtype=np.intp)))

    def _send_together(self, rows: Numbers, sizes: Numbers) -> Numbers:
        """Write connected rows."""
        n = len(rows)
        self._writes["descriptor"][:n] = self._descriptors[rows]
        self._writes["buffer"][:n] = self._base + self._stride * rows
        self._writes["size"][:n] = sizes
        taken = self._run(self._write_pointers, n) == sizes
        return rows if taken.all() else rows[taken]

    def _run(self, pointers: NDArray[np.uint64], count: int) -> NDArray[np.int64]:
        """Submit the first `count` requests; what each returned, −1 for one that never was submitted.

        On sockets that do not block every request is over when it has been submitted.
        """
        events, results = self._events, np.full(count, -1, dtype=np.int64)
        at = 0
        while at < count:
            submitted = _libc.syscall(
                self._submit, self._context, ctypes.c_long(count - at), ctypes.c_void_p(pointers[at:].ctypes.data)
            )
            if submitted <= 0:
                # The first request cannot be carried out at all: leave it out.
                at += 1
                continue
            got = _libc.syscall(
                self._get_events,
                self._context,
                ctypes.c_long(submitted),
                ctypes.c_long(submitted),
                ctypes.c_void_p(events.ctypes.data),
                ctypes.c_void_p(),
            )
            if got > 0:
                results[events["data"][:got].astype(np.intp)] = events["result"][:got]
            at += submitted
        return results


def best_io(packets: Bytes) -> tuple[PacketIO, str]:
    """AIO where the system lets us, plain sockets elsewhere; and which it is, for the log."""
    try:
        return AioSockets(packets), "kernel AIO"
    except OSError as error:
        return PlainSockets(packets), f"plain sockets ({error})"
