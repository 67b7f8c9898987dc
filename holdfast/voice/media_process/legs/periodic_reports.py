"""The periodic work on rows: report silent parties and statistics, and exchange RTCP."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from holdfast.voice.media.rtp.receiver_stats import ReceiverStats
from holdfast.voice.media.tick import MixEngine
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.legs.latching import Latching
from holdfast.voice.media_process.legs.rows import LegRows
from holdfast.voice.media_process.legs.rtcp_sockets import RtcpSockets
from holdfast.voice.media_process.legs.statistics import statistics

UNLOCK_S = 2.0
LOST_S = 15.0
"""Three reports at the pace of RFC 3550 §6.2."""
SILENCE_S = 10.0
CHECK_TICKS = 10
TURNS, TURN_TICKS = 50, 5
"""Each row is reported once in 250 ticks, five seconds: rows together cost less than one by one."""
RTCP_READ_TICK = 3
"""The tick of these in which received RTCP is read."""
MAX_SKIPPED_OF_ROW, MAX_SKIPPED = 40, 400
"""Unauthenticated RTCP packets that are skipped then, of one row and of all rows."""


class PeriodicReports:
    """Periodic reports run after the packets of a tick have left."""

    def __init__(
        self,
        rows: LegRows,
        *,
        mix_engine: MixEngine,
        receiver_stats: ReceiverStats,
        rtcp_sockets: RtcpSockets,
        latching: Latching,
        facts: FactQueue,
        silence_s: float,
    ) -> None:
        self._rows = rows
        self._mix_engine = mix_engine
        self._receiver_stats = receiver_stats
        self._rtcp = rtcp_sockets
        self._latching = latching
        self._facts = facts
        self._silence_s = silence_s
        self._ticks = 0

    def tick(self, now: float) -> None:
        """Do the work that is due after this tick."""
        self._ticks += 1
        if self._ticks % CHECK_TICKS == 0:
            self._check_silence(now)
        if self._ticks % TURN_TICKS == 0:
            turn = self._ticks // TURN_TICKS
            for row in self._rows_of_turn(turn):
                self._facts.post(self.statistics(row))
            for row in self._rows_of_turn(turn + TURNS // 2):
                self._send_report(row, now)
        elif self._ticks % TURN_TICKS == RTCP_READ_TICK:
            skips_left = MAX_SKIPPED
            for row in self._rtcp.readable():
                remote = self._rows.used[row].latch.remote
                skips_left -= self._rtcp.receive(
                    row, remote=remote, now=now, max_skipped=min(MAX_SKIPPED_OF_ROW, skips_left)
                )

    def _rows_of_turn(self, number: int) -> Iterator[int]:
        return (row for row in range(number % TURNS, self._rows.high, TURNS) if row in self._rows.used)

    def _check_silence(self, now: float) -> None:
        """Unlock the latch of rows whose party is silent, and report rows that are silent for long.

        A row is reported whether its party may send or not.
        """
        rows = self._rows
        quiet_s = now - rows.received_at[: rows.high]
        for row in np.flatnonzero(rows.described[: rows.high] & (quiet_s >= UNLOCK_S)).tolist():
            leg_row = rows.used[row]
            # A phone that suppresses silence shows by its RTCP reports that it is there.
            silent_s = now - max(float(rows.received_at[row]), self._rtcp.received_at(row))
            if rows.receiving[row]:
                self._latching.unlock(row, peer_lost=silent_s >= LOST_S)
            silences = int(silent_s / self._silence_s)
            if silences != leg_row.silences_reported:
                leg_row.silences_reported = silences
                if silences:
                    self._facts.post(m.RtpSilent(leg=leg_row.leg, silent_s=round(silent_s, 2)))

    def _send_report(self, row: int, now: float) -> None:
        streams = self._mix_engine.streams
        if streams.sent[row] or self._rows.received[row]:
            self._rtcp.send_report(
                row,
                remote=self._rows.used[row].latch.remote,
                timestamp=int(streams.timestamp[row]),
                packets=int(streams.sent[row]),
                reception=self._receiver_stats.report(row),
                now=now,
            )

    def statistics(self, row: int, *, final: bool = False) -> m.Statistics:
        """Return the statistics of a leg so far."""
        leg_row, jitter = self._rows.used[row], self._mix_engine.jitter
        return statistics(
            leg_row.leg,
            leg_row.codec,
            reception=self._receiver_stats.report(row),
            peer_report=self._rtcp.peer_report(row),
            round_trip_ms=self._rtcp.round_trip_ms(row),
            sent=int(self._mix_engine.streams.sent[row]),
            received=int(self._rows.received[row]),
            late=int(jitter.late[row]),
            refused=int(self._rows.refused[row]),
            too_long=int(self._rows.too_long[row]),
            concealed=int(self._mix_engine.concealment.concealed[row]),
            depth=int(jitter.depth[row]),
            unauthenticated=self._latching.unauthenticated(row),
            rtp_source=leg_row.latch.rtp_source,
            final=final,
        )
