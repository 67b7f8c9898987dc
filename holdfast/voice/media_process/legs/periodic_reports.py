"""What is told of the rows from time to time: who is silent, how the sound is, and RTCP both ways."""

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

RELATCH_S = 2.0
LOST_S = 15.0
"""Three reports at the pace of RFC 3550 §6.2."""
SILENCE_S = 10.0
CHECK_TICKS = 10
TURNS, TURN_TICKS = 50, 5
"""Each row's turn to be reported comes once in 250 ticks, five seconds: rows together cost less than one by one."""
HEARD_AT = 3
"""The tick of these in which what came is read."""
ROW_PATIENCE, PATIENCE = 40, 400
"""Packets of strangers that are passed over then, of one row and of all."""


class PeriodicReports:
    """Told after the packets of a tick have left."""

    def __init__(
        self,
        rows: LegRows,
        *,
        sound: MixEngine,
        reception: ReceiverStats,
        reports: RtcpSockets,
        latching: Latching,
        facts: FactQueue,
        silence_s: float,
    ) -> None:
        self._rows = rows
        self._sound = sound
        self._reception = reception
        self._reports = reports
        self._latching = latching
        self._facts = facts
        self._silence_s = silence_s
        self._ticks = 0

    def tick(self, now: float) -> None:
        """A tick is over."""
        self._ticks += 1
        if self._ticks % CHECK_TICKS == 0:
            self._check_silence(now)
        if self._ticks % TURN_TICKS == 0:
            turn = self._ticks // TURN_TICKS
            for at in self._turn(turn):
                self._facts.put(self.statistics(at))
            for at in self._turn(turn + TURNS // 2):
                self._report(at, now)
        elif self._ticks % TURN_TICKS == HEARD_AT:
            patience = PATIENCE
            for at in self._reports.waiting():
                remote = self._rows.used[at].latch.sends_to
                patience -= self._reports.hear(at, remote=remote, now=now, patience=min(ROW_PATIENCE, patience))

    def _turn(self, number: int) -> Iterator[int]:
        return (at for at in range(number % TURNS, self._rows.high, TURNS) if at in self._rows.used)

    def _check_silence(self, now: float) -> None:
        """Open the latch of rows whose party is silent; tell of those silent for long, who may speak or not."""
        rows = self._rows
        quiet_s = now - rows.heard_at[: rows.high]
        for at in np.flatnonzero(rows.agreed[: rows.high] & (quiet_s >= RELATCH_S)).tolist():
            row = rows.used[at]
            # A phone that suppresses silence says by its reports that it is there.
            silent_s = now - max(float(rows.heard_at[at]), self._reports.heard_at(at))
            if rows.may_speak[at]:
                self._latching.reopen(at, lost=silent_s >= LOST_S)
            silences = int(silent_s / self._silence_s)
            if silences != row.silences_told:
                row.silences_told = silences
                if silences:
                    self._facts.put(m.RtpSilent(leg=row.leg, silent_s=round(silent_s, 2)))

    def _report(self, at: int, now: float) -> None:
        headers = self._sound.headers
        if headers.sent[at] or self._rows.received[at]:
            self._reports.tell(
                at,
                remote=self._rows.used[at].latch.sends_to,
                timestamp=int(headers.timestamp[at]),
                packets=int(headers.sent[at]),
                standing=self._reception.standing(at),
                now=now,
            )

    def statistics(self, at: int, *, final: bool = False) -> m.Statistics:
        """The figures of a leg so far."""
        row, jitter = self._rows.used[at], self._sound.jitter
        return statistics(
            row.leg,
            row.codec,
            standing=self._reception.standing(at),
            view=self._reports.view(at),
            round_trip_ms=self._reports.round_trip_ms(at),
            sent=int(self._sound.headers.sent[at]),
            received=int(self._rows.received[at]),
            late=int(jitter.late[at]),
            refused=int(self._rows.refused[at]),
            concealed=int(self._sound.concealment.concealed[at]),
            depth=int(jitter.depth[at]),
            strangers=self._latching.strangers(at),
            rtp_source=row.latch.rule,
            final=final,
        )
