"""What leaves in a tick: sound, or a telephone event in its place while a key is pressed for a leg; sealed or plain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from holdfast.voice.media.frames import Numbers
from holdfast.voice.media.keying import Event, packet, plan
from holdfast.voice.media.rtp import PACKET, Headers
from holdfast.voice.media.srtp import Lines
from holdfast.voice.runtime.mediaplane.packets import PacketIO
from holdfast.voice.runtime.mediaplane.rows import Rows

MOST_PASSED_ON = 100
"""Ticks of keys that wait to be passed on to a peer."""


class Outgoing:
    """Takes packets from their array to the sockets."""

    def __init__(self, rows: Rows, *, io: PacketIO, headers: Headers) -> None:
        self._rows = rows
        self._io = io
        self._headers = headers
        self._packets = [line.data for line in headers.packets]
        self._lines = Lines(headers.packets)
        self._sizes = self._lines.sizes
        self._sizes[:] = PACKET
        self._known: Numbers | None = None
        """The rows we send from, as they were when those that are sealed were looked for."""
        self._sealed: Numbers = np.zeros(0, dtype=np.intp)
        self._sealing = self._lines.sealing((), ())
        self._keying: dict[int, tuple[Sequence[Event | None], int, bool]] = {}
        """Keys being pressed for a leg: what is sent in each tick, how many ticks of it are over, and whether they are
        those of its peer, passed on."""
        self._began: dict[int, int] = {}
        """The timestamp at which the newest key of a leg began."""

    def press(self, at: int, digits: str, *, rounds: int) -> None:
        """Press these keys for a leg, from its next packet on."""
        self._keying[at] = plan(digits) * rounds, 0, False

    def pass_on(self, at: int, digit: str) -> None:
        """Press a key of its peer's for a leg, behind those that wait; one too many is dropped."""
        ticks, over, passed = self._keying.get(at, ((), 0, True))
        left = tuple(ticks[over:]) if passed else ()
        if len(left) < MOST_PASSED_ON:
            self._keying[at] = (*left, *plan(digit)), 0, True

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
        for at, (ticks, over, passed) in list(self._keying.items()):
            self._keying[at] = ticks, over + 1, passed
            if over + 1 >= len(ticks):
                del self._keying[at]
            row = self._rows.used[at]
            event, kind = ticks[over], row.dtmf_payload_type
            if event is not None and event.first:
                self._began[at] = int(headers.timestamp[at])
            if event is not None and kind is not None and (row.hears is not None) is passed:
                numbers = {"sequence": int(headers.sequence[at]), "began": self._began[at]}
                self._put(at, packet(event, payload_type=kind, ssrc=headers.ssrc(at), **numbers))
                pressed.append(at)
        return pressed
