"""The legs in use: each as control described it, and arrays by row for what is examined for all legs together.

Point of view: *send* is from us to the party, *receive* from the party to us. Units: seconds of the machine's monotonic
clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.dtmf import event_receiver
from holdfast.voice.media.frames import Mask, Numbers
from holdfast.voice.media.rtp.latch import Latch
from holdfast.voice.media.rtp.srtp import SrtpSession
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.legs.addresses import CommandImpossible
from holdfast.voice.model.ids import Token
from holdfast.voice.model.payload_types import Codec, PayloadTypes

COMPANDING: Mapping[Codec, int] = {"PCMU": 0, "PCMA": 1, "G722": 0}
NO_PAYLOAD_TYPE = 255
"""The value for no payload type."""


@dataclass(slots=True, kw_only=True)
class LegRow:
    """A leg row is a leg in use, as control described it."""

    leg: m.Leg
    port: int
    latch: Latch
    codec: Codec = "PCMU"
    dtmf_payload_type: int | None = None
    payload_types: PayloadTypes = field(default_factory=PayloadTypes)
    send: bool = False
    token: Token | None = None
    clip_id: str | None = None
    digit_press: event_receiver.DigitPress | None = None
    silences_reported: int = 0


class LegRows:
    """Leg rows holds rows by number, and row numbers by leg."""

    def __init__(self, rows: int) -> None:
        self.used: dict[int, LegRow] = {}
        self.by_leg: dict[m.Leg, int] = {}
        self.high = 0
        """One more than the highest row in use."""
        self.sending: Numbers = np.zeros(0, dtype=np.intp)
        """The rows we send from: sending was agreed, and there is an address to send to. Shape: `[k]`, sorted."""
        self._sends: Mask = np.zeros(rows, dtype=np.bool_)
        self.audio_payload_type: Numbers = np.full(rows, NO_PAYLOAD_TYPE, dtype=np.intp)
        """The payload type of a party's audio, if the party may send."""
        self.alternatives: dict[int, Mapping[int, Codec]] = {}
        """The rows whose party may send audio by several payload types, with the codec of each."""
        self.event_payload_types: NDArray[np.uint8] = np.full((rows, 2), NO_PAYLOAD_TYPE, dtype=np.uint8)
        """The payload types of a party's telephone events: ours, and that of its own description.

        Shape: `[rows, 2]`.
        """
        self.receiving: Mask = np.zeros(rows, dtype=np.bool_)
        self.described: Mask = np.zeros(rows, dtype=np.bool_)
        """The rows for which offer and answer agreed anything."""
        self.srtp: dict[int, SrtpSession] = {}
        """The SRTP sessions of the encrypted rows."""
        self.srtp_generation = 0
        """A counter that grows when any of them changes."""
        self.encrypted: Mask = np.zeros(rows, dtype=np.bool_)
        self.connected: Mask = np.zeros(rows, dtype=np.bool_)
        self.received_at: NDArray[np.float64] = np.zeros(rows, dtype=np.float64)
        self.refused: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self.received: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self.too_long: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        """The received packets that were not played, because they hold more audio than is taken."""

    def row_of(self, leg: m.Leg) -> int:
        """Return the row of a leg. Raises: CommandImpossible."""
        row = self.by_leg.get(leg)
        if row is None:
            raise CommandImpossible(f"leg {leg} has no row")
        return row

    def open(self, row: int, leg_row: LegRow, *, now: float) -> None:
        """Open a row: nothing is agreed yet, and no packet has arrived."""
        self.received_at[row] = now
        self.used[row] = leg_row
        self.by_leg[leg_row.leg] = row
        self.audio_payload_type[row] = self.event_payload_types[row] = NO_PAYLOAD_TYPE
        self.receiving[row] = self.described[row] = self.connected[row] = self.encrypted[row] = False
        self.refused[row] = self.received[row] = self.too_long[row] = 0
        self.high = max(self.high, row + 1)

    def describe(self, row: int, command: m.DescribeRow, *, srtp: SrtpSession | None, now: float) -> None:
        """Store what offer and answer agreed."""
        leg_row = self.used[row]
        leg_row.codec, leg_row.dtmf_payload_type, leg_row.send = command.codec, command.dtmf_payload_type, command.send
        leg_row.payload_types = command.payload_types
        self._remove_srtp(row)
        self.encrypted[row] = srtp is not None
        if srtp is not None:
            self.srtp[row] = srtp
        formats = command.payload_types.receiving((command.codec, *command.also), command.dtmf_payload_type)
        events = [number for number, name in formats.items() if name == "telephone-event"]
        audio = {number: name for number, name in formats.items() if name != "telephone-event"}
        self.audio_payload_type[row] = next(iter(audio)) if command.receive else NO_PAYLOAD_TYPE
        self.alternatives.pop(row, None)
        if len(audio) > 1 and command.receive:
            self.alternatives[row] = audio
        self.event_payload_types[row] = (*events, NO_PAYLOAD_TYPE, NO_PAYLOAD_TYPE)[:2]
        if command.receive and not self.receiving[row]:
            self.received_at[row] = now
            leg_row.silences_reported = 0
        self.receiving[row] = command.receive
        self.described[row] = True
        self.update_sending(row)

    def accepts(self, row: int, payload_type: int) -> bool:
        """Return whether the party may switch to this payload type."""
        return payload_type in self.alternatives.get(row, ())

    def switch_codec(self, row: int, payload_type: int) -> Codec:
        """Switch a row to the codec of this payload type; return the codec."""
        codec = self.alternatives[row][payload_type]
        self.used[row].codec, self.audio_payload_type[row] = codec, payload_type
        return codec

    def close(self, row: int) -> LegRow:
        """Close a row; return its last description."""
        leg_row = self.used.pop(row)
        del self.by_leg[leg_row.leg]
        self.receiving[row] = self.described[row] = self.connected[row] = self.encrypted[row] = False
        self.audio_payload_type[row] = NO_PAYLOAD_TYPE
        self.alternatives.pop(row, None)
        self._remove_srtp(row)
        self.high = max(self.used, default=-1) + 1
        self.update_sending(row)
        return leg_row

    def _remove_srtp(self, row: int) -> None:
        self.srtp.pop(row, None)
        self.srtp_generation += 1

    def update_sending(self, row: int) -> None:
        """Update whether we send from this row after its description or its latch changed."""
        leg_row = self.used.get(row)
        self._sends[row] = leg_row is not None and leg_row.send and leg_row.latch.remote is not None
        self.sending = np.flatnonzero(self._sends)
