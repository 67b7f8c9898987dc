"""What leaves in a tick: sound, or a telephone event in its place while a key is pressed for a leg; sealed or plain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from holdfast.voice.media.dtmf.event_sender import OutgoingEvent, packet, plan
from holdfast.voice.media.frames import Numbers
from holdfast.voice.media.rtp.rtp import PACKET, Headers
from holdfast.voice.media.rtp.srtp import SrtpLegs
from holdfast.voice.media_process.legs.rows import LegRows
from holdfast.voice.media_process.sockets.plain import PacketIO

MOST_PASSED_ON = 100
"""Ticks of keys that wait to be passed on to a peer."""


@dataclass(slots=True, kw_only=True)
class DigitSending:
    """Keys being pressed for a leg: what is sent in each tick, of which so many are over, and how often all of it.

    `passed_on` are those of its peer. Invariant: `ticks` is not empty, `over` is less than its length, `rounds` ≥ 1.
    """

    ticks: Sequence[OutgoingEvent | None]
    over: int = 0
    rounds: int = 1
    passed_on: bool = False


class RtpSender:
    """Takes packets from their array to the sockets."""

    def __init__(self, rows: LegRows, *, io: PacketIO, headers: Headers) -> None:
        self._rows = rows
        self._io = io
        self._headers = headers
        self._packets = [line.data for line in headers.packets]
        self._lines = SrtpLegs(headers.packets)
        self._sizes = self._lines.sizes
        self._sizes[:] = PACKET
        self._known: Numbers | None = None
        """The rows we send from, as they were when those that are sealed were looked for."""
        self._sealed: Numbers = np.zeros(0, dtype=np.intp)
        self._sealing = self._lines.sealing((), ())
        self._keying: dict[int, DigitSending] = {}
        self._began: dict[int, int] = {}
        """The timestamp at which the newest key of a leg began."""

    def press(self, at: int, digits: str, *, rounds: int) -> None:
        """Press these keys for a leg, from its next packet on."""
        ticks = plan(digits)
        if ticks:
            self._keying[at] = DigitSending(ticks=ticks, rounds=rounds)

    def pass_on(self, at: int, digit: str) -> None:
        """Press a key of its peer's for a leg, behind those that wait; one too many is dropped."""
        known = self._keying.get(at)
        left = () if known is None or not known.passed_on else tuple(known.ticks[known.over :])
        if len(left) < MOST_PASSED_ON:
            self._keying[at] = DigitSending(ticks=(*left, *plan(digit)), passed_on=True)

    def pass_on_no_more(self, at: int) -> None:
        """Press no more keys of its peer's for a leg; its own go on."""
        known = self._keying.get(at)
        if known is not None and known.passed_on:
            self.let_go(at)

    def let_go(self, at: int) -> None:
        """Press nothing more for a leg."""
        self._keying.pop(at, None)

    def send(self, *, skipped: int) -> Numbers:
        """Send every packet that is to leave, after `skipped` ticks left out; the rows whose packet was taken."""
        rows, sending = self._rows, self._rows.sending
        pressed = self._press() if self._keying else []
        if self._known is not sending:
            # There is another one whenever a leg was described.
            self._known = sending
            self._sealed = sending[rows.sealed[sending]]
            at = self._sealed.tolist()
            self._sealing = self._lines.sealing(at, [rows.srtp[row] for row in at])
        self._sealing.run()
        sizes = self._sizes[sending].astype(np.intp)
        if not sizes.all():
            sending, sizes = sending[sizes > 0], sizes[sizes > 0]
        sent = self._io.send(sending, sizes)
        # A number that was sealed is used up, whether its packet was taken or not: to seal another one with it would
        # tell what is in both. Source: RFC 3711 §9.1.
        left = sent if len(sent) == len(rows.sending) else np.union1d(sent, self._sealed)
        self._headers.advance(rows.high, left, skipped=skipped)
        self._sizes[self._sealed] = self._sizes[pressed] = PACKET
        return sent

    def _put(self, at: int, data: bytes) -> None:
        """Send this in place of the row's packet."""
        self._packets[at][: len(data)] = data
        self._sizes[at] = len(data)

    def _press(self) -> list[int]:
        """Put the events of this tick in place of sound; the rows they are for.

        A leg without telephone events hears tones, which its player plays.
        """
        headers = self._headers
        pressed = []
        for at, keying in list(self._keying.items()):
            event = keying.ticks[keying.over]
            keying.over += 1
            if keying.over == len(keying.ticks):
                keying.over = 0
                keying.rounds -= 1
                if not keying.rounds:
                    del self._keying[at]
            row = self._rows.used[at]
            kind = row.dtmf_payload_type
            if event is not None and event.first:
                self._began[at] = int(headers.timestamp[at])
            if event is not None and kind is not None and (row.hears is not None) is keying.passed_on:
                numbers = {"sequence": int(headers.sequence[at]), "began": self._began[at]}
                self._put(at, packet(event, payload_type=kind, ssrc=headers.ssrc(at), **numbers))
                pressed.append(at)
        return pressed
