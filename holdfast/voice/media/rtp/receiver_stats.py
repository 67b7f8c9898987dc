"""Receiver statistics of each leg's stream: lost packets and jitter, as RTCP reports them.

Deviation: the arrival time is that of the tick that took the packet in, so jitter under 20 ms is blurred by the tick.
Source: RFC 3550 §6.4.1, appendices A.1, A.3 and A.8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.frames import Numbers

MAX_DROPOUT, MAX_MISORDER = 3000, 100
"""Sequence numbers further ahead or behind are accepted when a second one follows. Source: RFC 3550 appendix A.1."""
_WRAP = 1 << 32
_HALF = 1 << 31
_NO_SOURCE = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceptionReport:
    """A reception report says how a leg's stream was received so far.

    `highest` is the extended sequence number. Units: `jitter` in samples.
    """

    ssrc: int
    highest: int
    expected: int
    received: int
    jitter: int

    @property
    def lost(self) -> int:
        """Packets that were expected and have not arrived; duplicates may make it negative."""
        return self.expected - self.received


class ReceiverStats:
    """Receiver statistics count the stream of each row from the first packet of its source."""

    def __init__(self, rows: int) -> None:
        self._ssrc: NDArray[np.int64] = np.full(rows, _NO_SOURCE, dtype=np.int64)
        self._first: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._highest: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._expected_after_jump: NDArray[np.int64] = np.full(rows, _NO_SOURCE, dtype=np.int64)
        """The sequence number that would follow a jump."""
        self._received: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._transit: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._jitter: NDArray[np.float64] = np.zeros(rows, dtype=np.float64)

    def open(self, row: int) -> None:
        """Begin a row without a stream."""
        self._ssrc[row] = _NO_SOURCE
        self._received[row] = 0

    def count(
        self,
        rows: Numbers,
        *,
        ssrc: NDArray[np.int64],
        sequence: NDArray[np.int64],
        timestamp: NDArray[np.int64],
        arrival: int,
    ) -> None:
        """Count one packet of each of these rows. Units: `arrival` in samples at 8 kHz.

        Shape: `rows[k]`, `ssrc[k]`, `sequence[k]`, `timestamp[k]` describe packet k.
        """
        transit = arrival - timestamp & _WRAP - 1
        restarted = np.flatnonzero(ssrc != self._ssrc[rows])
        if restarted.size:
            new = rows[restarted]
            self._ssrc[new] = ssrc[restarted]
            self._first[new] = self._highest[new] = sequence[restarted]
            self._expected_after_jump[new] = _NO_SOURCE
            self._received[new] = 0
            self._transit[new] = transit[restarted]
            self._jitter[new] = 0
        highest = self._highest[rows]
        ahead = sequence - highest + MAX_MISORDER & 0xFFFF
        jumped = ahead > MAX_DROPOUT + MAX_MISORDER
        if jumped.any():
            self._handle_jump(rows, sequence, np.flatnonzero(jumped))
            ahead[jumped] = MAX_MISORDER
            highest = self._highest[rows]
        self._highest[rows] = highest + np.maximum(ahead - MAX_MISORDER, 0)
        self._received[rows] += 1
        change = (transit - self._transit[rows] + _HALF & _WRAP - 1) - _HALF
        # A leap of the sender's clock is not jitter: a second at most is counted.
        jitter = self._jitter[rows]
        self._jitter[rows] = jitter + (np.minimum(np.abs(change), 8000) - jitter) / 16
        self._transit[rows] = transit

    def _handle_jump(self, rows: Numbers, sequence: NDArray[np.int64], jumped: Numbers) -> None:
        """Handle sequence jumps: ignore a single outlier; restart the count if the next packet continues it.

        What lies between was never sent, so it is not lost: only the packet itself counts as expected. Source: RFC 3550
        appendix A.1.
        """
        for k in jumped.tolist():
            row, number = int(rows[k]), int(sequence[k])
            expected = self._highest[row] - self._first[row] + 1
            if self._expected_after_jump[row] == number:
                self._highest[row] += number - self._highest[row] & 0xFFFF
            self._first[row] = self._highest[row] - expected
            self._expected_after_jump[row] = number + 1 & 0xFFFF

    def report(self, row: int) -> ReceptionReport | None:
        """Return the reception report of a row; None before its first packet."""
        if self._ssrc[row] == _NO_SOURCE:
            return None
        return ReceptionReport(
            ssrc=int(self._ssrc[row]),
            highest=int(self._highest[row]),
            expected=int(self._highest[row] - self._first[row]) + 1,
            received=int(self._received[row]),
            jitter=int(self._jitter[row]),
        )
