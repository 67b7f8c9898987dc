"""Allocate rows and their ports: row r has RTP on `base + 2r` and RTCP on the odd port above it.

Source: RFC 3550 §11 (even and odd).
"""

from __future__ import annotations

import heapq
import socket
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, takewhile

from holdfast.voice.media_process.errors import RowsFull

LOWEST_PORT, HIGHEST_PORT = 1024, 65535
REST_S = 30.0
"""How long a port rests after use: packets of the old call may still be on their way to it."""
LEAST_REST_S = 2.0
"""How long it rests when no other row is free: a BYE that was lost once has arrived by then. Source: RFC 3261
§17.1.2.2."""

_EXPEDITED_FORWARDING = 0xB8
"""The DSCP of telephone audio. Source: RFC 4594 §4.1 (telephony service class: EF), RFC 2474 §3 (the field)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortPair:
    """A port pair is a row with its two bound sockets."""

    row: int
    port: int
    rtp: socket.socket
    rtcp: socket.socket


class Ports:
    """Ports hold which rows are free. The lowest free row is taken, so that the rows in use stay close together.

    A call is better served on a port that rested a little than not at all: when no row has rested `rest_s`, the one
    that rested longest is taken.
    """

    def __init__(self, *, ip: str, base: int, rows: int, rest_s: float = REST_S) -> None:
        if base % 2 or base < LOWEST_PORT or base + 2 * rows - 1 > HIGHEST_PORT:
            raise ValueError(
                f"RTP ports {base} to {base + 2 * rows - 1}: the first must be even, all within 1024-65535"
            )
        self.ip = ip
        self.base = base
        self.rows = rows
        self._rest_s = rest_s
        self._free = list(range(rows))
        self._resting: deque[tuple[float, int]] = deque()
        """The resting rows, each with the time of its release, oldest first."""
        self._occupied: set[int] = set()
        """Rows whose ports another program occupied at the last try."""

    @property
    def last(self) -> int:
        """The highest port of all rows."""
        return self.base + 2 * self.rows - 1

    def acquire(self, now: float) -> PortPair:
        """Bind the ports of a free row; skip rows whose ports another program occupies. Raises: RowsFull."""
        while self._resting and self._resting[0][0] + self._rest_s <= now:
            heapq.heappush(self._free, self._resting.popleft()[1])
        unbindable = []
        try:
            while (row := self._next_row(now)) is not None:
                try:
                    return self._bind(row)
                except OSError:
                    unbindable.append(row)
        finally:
            for row in unbindable:
                self.release(row, now)
        reason = f"{len(self._resting)} of {self.rows} rest or are occupied, no other is free"
        raise RowsFull(f"no row is free: {reason}")

    def has_free(self, now: float) -> bool:
        """Return whether a row could be acquired now.

        If only rows with occupied ports are left, one of them is tried.
        """
        if any(row not in self._occupied for row in self._candidates(now)):
            return True
        row = self._next_row(now)
        if row is None:
            return False
        try:
            pair = self._bind(row)
        except OSError:
            self.release(row, now)
            return False
        pair.rtp.close()
        pair.rtcp.close()
        heapq.heappush(self._free, row)
        return True

    def _candidates(self, now: float) -> Iterator[int]:
        """Return the rows that could be tried now."""
        rested_s = min(self._rest_s, LEAST_REST_S)
        rested = takewhile(lambda entry: entry[0] + rested_s <= now, self._resting)
        return chain(self._free, (row for _, row in rested))

    def release(self, row: int, now: float) -> None:
        """Release a row whose sockets are closed; it can be acquired again after its rest."""
        self._resting.append((now, row))

    def _next_row(self, now: float) -> int | None:
        if self._free:
            return heapq.heappop(self._free)
        if self._resting and self._resting[0][0] + min(self._rest_s, LEAST_REST_S) <= now:
            return self._resting.popleft()[1]
        return None

    def _bind(self, row: int) -> PortPair:
        port = self.base + 2 * row
        rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            for sock, number in ((rtp, port), (rtcp, port + 1)):
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _EXPEDITED_FORWARDING)
                sock.bind((self.ip, number))
        except OSError:
            rtp.close()
            rtcp.close()
            self._occupied.add(row)
            raise
        self._occupied.discard(row)
        return PortPair(row=row, port=port, rtp=rtp, rtcp=rtcp)
