"""The legs in use: each as control described it, and what is looked at for all of them together, as arrays by row.

Point of view: *send* is from us to the party, *receive* from the party to us. Units: seconds of the machine's
monotonic clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.dtmf import event_receiver
from holdfast.voice.media.frames import Mask, Numbers
from holdfast.voice.media.rtp.latch import Latch
from holdfast.voice.media.rtp.srtp import SrtpSession
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.legs.addresses import CommandImpossible

LAWS: Mapping[m.Codec, int] = {"PCMU": 0, "PCMA": 1, "G722": 0}
PAYLOAD_TYPES: Mapping[m.Codec, int] = {"PCMU": 0, "PCMA": 8, "G722": 9}
"""Source: RFC 3551 §6."""

NO_TYPE = 255
"""The payload type of nothing."""


@dataclass(slots=True, kw_only=True)
class Row:
    """A leg in use, as control described it."""

    leg: m.Leg
    port: int
    latch: Latch
    codec: m.Codec = "PCMU"
    dtmf_payload_type: int | None = None
    send: bool = False
    hears: m.Hears = None
    token: str | None = None
    clip_id: str | None = None
    press: event_receiver.Press | None = None
    silences_told: int = 0


class LegRows:
    """Rows by number, and numbers by leg."""

    def __init__(self, rows: int) -> None:
        self.used: dict[int, Row] = {}
        self.of: dict[m.Leg, int] = {}
        self.high = 0
        """One more than the highest row in use."""
        self.sending: Numbers = np.zeros(0, dtype=np.intp)
        """The rows we send from: it was agreed, and there is somewhere to send to."""
        self._sends: Mask = np.zeros(rows, dtype=np.bool_)
        self.sound_type: Numbers = np.full(rows, NO_TYPE, dtype=np.intp)
        """The payload type of a party's sound, if it may speak."""
        self.others: dict[int, Mapping[int, m.Codec]] = {}
        """The rows whose party may change its codec, and all it may speak, by payload type."""
        self.dtmf_type: NDArray[np.uint8] = np.full(rows, NO_TYPE, dtype=np.uint8)
        self.may_speak: Mask = np.zeros(rows, dtype=np.bool_)
        self.agreed: Mask = np.zeros(rows, dtype=np.bool_)
        """The rows of which anything was agreed."""
        self.srtp: dict[int, SrtpSession] = {}
        """What opens and seals the packets of the rows that are `sealed`."""
        self.rekeyed = 0
        """How often any of them changed."""
        self.sealed: Mask = np.zeros(rows, dtype=np.bool_)
        self.settled: Mask = np.zeros(rows, dtype=np.bool_)
        self.heard_at: NDArray[np.float64] = np.zeros(rows, dtype=np.float64)
        self.refused: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self.received: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)

    def known(self, leg: m.Leg) -> int:
        """The leg's row. Raises: CommandImpossible."""
        at = self.of.get(leg)
        if at is None:
            raise CommandImpossible(f"leg {leg} has no row")
        return at

    def peer_of(self, row: Row) -> int | None:
        """The other of two who hear each other and nobody else."""
        if row.hears is None or len(row.hears) != 1:
            return None
        at = self.of.get(row.hears[0])
        return at if at is not None and self.used[at].hears == (row.leg,) else None

    def hearing(self, leg: m.Leg) -> list[int]:
        """The rows that are to hear this leg, open or not."""
        return [at for at, row in self.used.items() if row.hears and leg in row.hears]

    def open(self, at: int, row: Row, *, now: float) -> None:
        """A leg begins: nothing is agreed yet, nothing came."""
        self.heard_at[at] = now
        self.used[at] = row
        self.of[row.leg] = at
        self.sound_type[at] = self.dtmf_type[at] = NO_TYPE
        self.may_speak[at] = self.agreed[at] = self.settled[at] = self.sealed[at] = False
        self.refused[at] = self.received[at] = 0
        self.high = max(self.high, at + 1)

    def describe(self, at: int, command: m.DescribeRow, *, srtp: SrtpSession | None, now: float) -> None:
        """What offer and answer agreed."""
        row = self.used[at]
        row.codec, row.dtmf_payload_type, row.send = command.codec, command.dtmf_payload_type, command.send
        self._unlock(at)
        self.sealed[at] = srtp is not None
        if srtp is not None:
            self.srtp[at] = srtp
        self.sound_type[at] = PAYLOAD_TYPES[command.codec] if command.receive else NO_TYPE
        self.others.pop(at, None)
        if command.also and command.receive:
            self.others[at] = {PAYLOAD_TYPES[codec]: codec for codec in (command.codec, *command.also)}
        self.dtmf_type[at] = NO_TYPE if command.dtmf_payload_type is None else command.dtmf_payload_type
        if command.receive and not self.may_speak[at]:
            self.heard_at[at] = now
            row.silences_told = 0
        self.may_speak[at] = command.receive
        self.agreed[at] = True
        self.find_sending(at)

    def may_change_to(self, at: int, payload_type: int) -> bool:
        """Whether the party may speak that from now on."""
        return payload_type in self.others.get(at, ())

    def change(self, at: int, payload_type: int) -> m.Codec:
        """The party speaks that from now on; the codec it is."""
        codec = self.others[at][payload_type]
        self.used[at].codec, self.sound_type[at] = codec, payload_type
        return codec

    def close(self, at: int) -> Row:
        """A leg ends."""
        row = self.used.pop(at)
        del self.of[row.leg]
        self.may_speak[at] = self.agreed[at] = self.settled[at] = self.sealed[at] = False
        self.sound_type[at] = NO_TYPE
        self.others.pop(at, None)
        self._unlock(at)
        self.high = max(self.used, default=-1) + 1
        self.find_sending(at)
        return row

    def _unlock(self, at: int) -> None:
        self.srtp.pop(at, None)
        self.rekeyed += 1

    def find_sending(self, at: int) -> None:
        """Whether we send from this row, or where to, has changed."""
        row = self.used.get(at)
        self._sends[at] = row is not None and row.send and row.latch.sends_to is not None
        self.sending = np.flatnonzero(self._sends)
