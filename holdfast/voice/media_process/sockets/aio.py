"""Move RTP packets between sockets and arrays by kernel AIO: one system call for all rows, filled in by numpy.

The kernel does the same per packet as with plain sockets; the interpreter's cost of a call per packet is saved.
`io_uring` would be no faster, and containers forbid it; they allow AIO.
Source: io_submit(2), io_setup(2); linux/aio_abi.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
from collections.abc import Callable
from typing import cast

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.frames import Bytes, Mask, Numbers
from holdfast.voice.media.rtp.latch import Address
from holdfast.voice.media_process.sockets.plain import (
    MAX_SKIPPED_IN_TICK,
    PacketIO,
    PlainSockets,
    ReceivedDatagrams,
    RowSockets,
)

_NUMBERS = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
"""System call numbers of io_setup, io_destroy, io_getevents, io_submit. The C library has no functions for them."""

_READ, _WRITE = 0, 1
_NOT_SUBMITTED = -1
"""The result of a request that was not submitted."""
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

_TURNS, _TURN_TICKS = 4, 4
"""Rows that receive one packet per tick are read a second time in turns: a quarter of them every fourth tick."""
_EAGER_TICKS = 8
"""Ticks for which a row is read again after a tick without a packet, since a burst follows a gap, or with two.

To leave the second packet for the next tick would save work, and cost the delay that the jitter buffer counts on.
"""

_libc = ctypes.CDLL(None, use_errno=True)


def _system_call(*arguments: type) -> Callable[..., int]:
    function = _libc["syscall"]  # each look-up makes a new one, with its own arguments
    function.argtypes, function.restype = (ctypes.c_long, *arguments), ctypes.c_long
    return cast(Callable[..., int], function)


_set_up = _system_call(ctypes.c_uint, ctypes.c_void_p)
_destroy = _system_call(ctypes.c_ulong)
_submit = _system_call(ctypes.c_ulong, ctypes.c_long, ctypes.c_void_p)
_get_events = _system_call(ctypes.c_ulong, ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


class _Requests:
    """Requests of one kind lie side by side, with the array of pointers that the kernel receives.

    Request k has number k. Shape: `descriptors[k]`, `buffers[k]` (an address), `sizes[k]` are the columns.
    """

    def __init__(self, count: int, opcode: int) -> None:
        self._requests = np.zeros(count, dtype=_IOCB)
        self._requests["data"] = np.arange(count)
        self._requests["opcode"] = opcode
        self._pointers = self._requests.ctypes.data + _IOCB.itemsize * np.arange(count, dtype=np.uint64)
        self.address: int = self._pointers.ctypes.data
        self.descriptors = self._requests["descriptor"]
        self.buffers = self._requests["buffer"]
        self.sizes = self._requests["size"]

    def address_of(self, k: int) -> int:
        """Return the address of the pointers from request k on."""
        return self.address + k * self._pointers.itemsize


class AioSockets(RowSockets):
    """AIO sockets read and write connected rows together, all others one by one.

    What stays the same from tick to tick (rows, requests, buffers) is kept until rows change.
    Raises: OSError when the system gives no AIO context: its table is full (fs.aio-max-nr), or it is forbidden.
    """

    def __init__(self, packets: Bytes) -> None:
        super().__init__(packets)
        rows = len(packets)
        calls = _NUMBERS.get(platform.machine())
        if calls is None:
            raise OSError(f"AIO system call numbers are unknown for {platform.machine()}")
        set_up, self._destroying, self._getting_events, self._submitting = calls
        context = ctypes.c_ulong(0)
        if _set_up(set_up, rows, ctypes.addressof(context)) != 0:
            raise OSError(ctypes.get_errno(), f"io_setup for {rows} rows: {os.strerror(ctypes.get_errno())}")
        self._context = context.value
        self._addresses: NDArray[np.uint64] = packets.ctypes.data + packets.strides[0] * np.arange(
            rows, dtype=np.uint64
        )
        self._descriptors: NDArray[np.uint32] = np.zeros(rows, dtype=np.uint32)
        # Requests for the first read of all rows, for later reads of some, and for writes.
        self._reads, self._repeats, self._writes = (
            _Requests(rows, _READ),
            _Requests(rows, _READ),
            _Requests(rows, _WRITE),
        )
        self._events = np.zeros(rows, dtype=_EVENT)
        self._events_address: int = self._events.ctypes.data
        self._numbers, self._results = self._events["data"], self._events["result"]
        self._in_order = np.arange(rows, dtype=np.uint64)
        self._in_use: Mask = np.zeros(rows, dtype=np.bool_)
        self._buffer: Bytes | None = None
        self._batched: Numbers = np.zeros(0, dtype=np.intp)
        """The rows that are read in one call: connected rows in use whose sockets hold no datagram from before."""
        self._turns: list[Mask] = []
        """For each turn, which of them are read again."""
        self._single: list[int] = []
        self._written_rows: Numbers | None = None
        """The rows that the write requests stand for."""
        self._grouped = False
        self._eager_until: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._more_rows: Numbers = self._batched
        self._more_single: list[int] = []
        self._failed: list[int] = []
        """Rows whose read failed with an error, behind which a datagram may wait."""
        self._tick = 0

    def open(self, row: int, sock: socket.socket) -> None:
        """Take over the bound socket of a row."""
        super().open(row, sock)
        self._descriptors[row] = sock.fileno()
        self._in_use[row] = True
        self._eager_until[row] = -1
        self._grouped = False

    def close(self, row: int) -> None:
        """Close the socket of a row."""
        self._in_use[row] = False
        self._grouped = False
        super().close(row)

    def connect(self, row: int, address: Address) -> bool:
        """Connect the row to this address alone; return False if the system refuses."""
        self._grouped = False
        return super().connect(row, address)

    def disconnect(self, row: int) -> None:
        """Disconnect the row: it receives from every admitted source."""
        self._grouped = False
        super().disconnect(row)

    def release(self) -> None:
        """Release the AIO context."""
        _destroy(self._destroying, self._context)

    def _regroup(self) -> None:
        """Sort rows into those that are read together and those that are read one by one."""
        batched = self._connected & self._in_use
        batched[list(self._unfiltered)] = False
        self._batched = rows = np.flatnonzero(batched)
        self._single = np.flatnonzero(self._in_use & ~batched).tolist()
        self._turns = [(rows + turn) % _TURNS == 0 for turn in range(_TURNS)]
        self._reads.descriptors[: len(rows)] = self._descriptors[rows]
        self._written_rows = None
        self._grouped = True

    # --- in ---------------------------------------------------------------------------------------------------

    def receive(self, datagrams: ReceivedDatagrams, *, round_number: int) -> int:
        """Store one datagram of each row that has any; return how many."""
        datagrams.sources.clear()
        if self._buffer is not datagrams.data:
            self._buffer = datagrams.data
            for requests in (self._reads, self._repeats):
                requests.sizes[:] = datagrams.data.shape[1]
                offsets = datagrams.data.strides[0] * np.arange(len(datagrams.data))
                requests.buffers[:] = datagrams.data.ctypes.data + offsets
        if round_number == 0:
            self._skips_left = MAX_SKIPPED_IN_TICK
        count = self._read_more(datagrams) if round_number else self._read_all(datagrams)
        single, self._more_single = self._single if round_number == 0 else self._more_single, []
        for row in single:
            self._eager_until[row] = self._tick + _EAGER_TICKS
            length, source = self._receive_from(row, datagrams.views[count])
            if source is not None:
                datagrams.sources[count] = source
                datagrams.rows[count], datagrams.lengths[count] = row, length
                self._more_single.append(row)
                count += 1
            elif row not in self._unfiltered and self._connected[row]:
                self._grouped = False
        failed, self._failed = self._failed, []
        for row in failed:
            length, source = self._receive_from(row, datagrams.views[count])
            if source is not None:
                datagrams.rows[count], datagrams.lengths[count] = row, length
                self._failed.append(row)
                count += 1
        return count

    def _read_all(self, datagrams: ReceivedDatagrams) -> int:
        """Read all connected rows once, and choose those that are read again in the next round."""
        if not self._grouped:
            self._regroup()
        self._tick += 1
        rows, n = self._batched, len(self._batched)
        results = self._run(self._reads, n)
        present = results > 0
        eager = self._eager_until[rows] >= self._tick
        if self._tick % _TURN_TICKS == 0:
            eager |= self._turns[self._tick // _TURN_TICKS % _TURNS]
        self._more_rows = rows[eager & present]
        # A row with no packet in one tick, or two, is not in step and is read more than once for a while.
        missing = np.flatnonzero(~present)
        self._failed = []
        if missing.size:
            errors = results[missing]
            self._failed = rows[missing[(errors < _NOT_SUBMITTED) & (errors != -errno.EAGAIN)]].tolist()
        self._eager_until[rows[missing]] = self._tick + _EAGER_TICKS
        return self._compact(datagrams, rows, results, missing, present)

    def _read_more(self, datagrams: ReceivedDatagrams) -> int:
        """Read the chosen rows again; those that had another packet are chosen once more."""
        rows, n = self._more_rows, len(self._more_rows)
        if not n:
            return 0
        self._repeats.descriptors[:n] = self._descriptors[rows]
        results = self._run(self._repeats, n)
        present = results > 0
        self._more_rows = rows[present]
        self._eager_until[self._more_rows] = self._tick + _EAGER_TICKS
        return self._compact(datagrams, rows, results, np.flatnonzero(~present), present)

    @staticmethod
    def _compact(
        datagrams: ReceivedDatagrams, rows: Numbers, results: NDArray[np.int64], missing: Numbers, present: Mask
    ) -> int:
        """Move the last datagrams to the places of rows without one; return how many datagrams there are."""
        n = len(rows)
        count = n - len(missing)
        datagrams.rows[:n], datagrams.lengths[:n] = rows, results
        if count and len(missing):
            empty = missing[missing < count]
            late = np.flatnonzero(present[count:]) + count
            datagrams.data[empty] = datagrams.data[late]
            datagrams.rows[empty], datagrams.lengths[empty] = rows[late], results[late]
        return count

    # --- out --------------------------------------------------------------------------------------------------

    def send(self, rows: Numbers, sizes: Numbers) -> Numbers:
        """Send `sizes[k]` bytes of the packet of each row `rows[k]`; return the rows whose packet was taken."""
        if self._written_rows is rows and self._grouped:
            return self._write(rows, sizes)
        batched = self._connected[rows]
        if batched.all():
            return self._send_batched(rows, sizes)
        taken = self._send_batched(rows[batched], sizes[batched])
        pairs = zip(rows[~batched].tolist(), sizes[~batched].tolist(), strict=True)
        single = [row for row, size in pairs if self._send_alone(row, size)]
        return np.sort(np.append(taken, np.array(single, dtype=np.intp)))

    def _send_batched(self, rows: Numbers, sizes: Numbers) -> Numbers:
        """Write the packets of connected rows."""
        n = len(rows)
        self._writes.descriptors[:n] = self._descriptors[rows]
        self._writes.buffers[:n] = self._addresses[rows]
        self._written_rows = rows
        return self._write(rows, sizes)

    def _write(self, rows: Numbers, sizes: Numbers) -> Numbers:
        n = len(rows)
        self._writes.sizes[:n] = sizes
        taken = self._run(self._writes, n) == sizes
        return rows if taken.all() else rows[taken]

    def _run(self, requests: _Requests, count: int) -> NDArray[np.int64]:
        """Submit the first `count` requests; return the result of each, `_NOT_SUBMITTED` for one that could not be.

        On sockets that do not block, every request is complete when it has been submitted. The next run overwrites the
        result.
        """
        results: NDArray[np.int64] | None = None
        first = 0
        while first < count:
            submitted = _submit(self._submitting, self._context, count - first, requests.address_of(first))
            if submitted <= 0:
                # The first request cannot be carried out at all: leave it out.
                first += 1
                continue
            completed = _get_events(
                self._getting_events, self._context, submitted, submitted, self._events_address, None
            )
            if completed == count and (self._numbers[:count] == self._in_order[:count]).all():
                return self._results[:count]
            if results is None:
                results = np.full(count, _NOT_SUBMITTED, dtype=np.int64)
            if completed > 0:
                results[self._numbers[:completed].astype(np.intp)] = self._results[:completed]
            first += submitted
        return np.full(count, _NOT_SUBMITTED, dtype=np.int64) if results is None else results


def best_io(packets: Bytes) -> tuple[PacketIO, str]:
    """Return AIO sockets where the system allows them, otherwise plain sockets; and a name for the log."""
    try:
        return AioSockets(packets), "kernel AIO"
    except OSError as error:
        return PlainSockets(packets), f"plain sockets ({error})"
