"""RTCP of all legs, on the odd ports, after the tick: ours goes every five seconds, theirs is read ten times a second.

When a packet came is what the system noted then, not when it is read: to wake for each costs ten times what it takes to
read many at once.
Source: RFC 3550 §6; RFC 3551 §2 (five seconds); socket(7), SO_TIMESTAMPNS.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from holdfast.voice.media.rtp import rtcp
from holdfast.voice.media.rtp.latch import Address
from holdfast.voice.media.rtp.receiver_stats import ReceptionReport
from holdfast.voice.media.rtp.srtp import SrtpSession

_TIMESTAMP = 35
"""SO_TIMESTAMPNS: the option, and the kind of what comes of it, a `timespec`. Source: Linux, asm-generic/socket.h."""
_TIMESPEC = struct.Struct("@ll")
_ROOM = socket.CMSG_SPACE(_TIMESPEC.size)


@dataclass(slots=True, kw_only=True)
class RtcpPeer:
    """One leg's RTCP: its socket, what was said last on either side. `source` is where the party's RTCP comes from."""

    sock: socket.socket
    ssrc: int
    source: Address | None = None
    view: rtcp.PeerReport = field(default_factory=rtcp.PeerReport)
    viewed_at: float = 0.0
    heard_at: float = float("-inf")
    """When anything readable came last."""
    round_trip_s: float | None = None
    since: rtcp.ReportInterval = field(default_factory=rtcp.ReportInterval)
    srtp: SrtpSession | None = None


class RtcpSockets:
    """The RTCP sockets by row. Nothing that comes or fails there reaches the sound."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: dict[int, RtcpPeer] = {}
        self._row_of: dict[int, int] = {}
        self._epoll = select.epoll()

    def open(self, row: int, sock: socket.socket, *, ssrc: int) -> None:
        """Take over a bound socket."""
        self._rows[row] = RtcpPeer(sock=sock, ssrc=ssrc)
        self._row_of[sock.fileno()] = row
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)

    def close(self, row: int, *, remote: Address | None) -> None:
        """Say goodbye and close."""
        correspondent = self._rows.pop(row)
        self._send(correspondent, rtcp.goodbye(ssrc=correspondent.ssrc, name=self._name), remote)
        self._epoll.unregister(correspondent.sock.fileno())
        del self._row_of[correspondent.sock.fileno()]
        correspondent.sock.close()

    def seal(self, row: int, srtp: SrtpSession | None) -> None:
        """From now on reports go and come sealed, or plain."""
        self._rows[row].srtp = srtp

    def view(self, row: int) -> rtcp.PeerReport:
        """What the party says of our stream."""
        return self._rows[row].view

    def heard_at(self, row: int) -> float:
        """When the party's newest report came; minus infinity when none has."""
        return self._rows[row].heard_at

    def round_trip_ms(self, row: int) -> float | None:
        """How long the newest report of ours that was answered was under way, there and back."""
        trip_s = self._rows[row].round_trip_s
        return None if trip_s is None else round(trip_s * 1000, 2)

    def waiting(self) -> list[int]:
        """The rows whose sockets have something to read."""
        return [self._row_of[fd] for fd, _ in self._epoll.poll(0)]

    def hear(self, row: int, *, remote: Address | None, now: float, patience: int = 0) -> int:
        """Read a packet that waits in a row's socket; how many of strangers were passed over before it.

        Only the host that the leg's sound goes to is believed. Of strangers at most `patience` are passed over, so that
        nobody can keep a party's reports from us with a few packets, nor us from our work with many.
        """
        correspondent = self._rows[row]
        for strangers in range(patience + 1):
            try:
                data, noted, _, source = correspondent.sock.recvmsg(rtcp.LARGEST, _ROOM)
            except BlockingIOError:
                return strangers
            except OSError:
                # A party need not speak RTCP: that its port is closed is no news.
                continue
            if remote is not None and source[0] == remote[0]:
                self._take(correspondent, data, came=_came(noted, time.time()), source=source, now=now)
                return strangers
        return patience

    @staticmethod
    def _take(correspondent: RtcpPeer, data: bytes, *, came: float, source: Address, now: float) -> None:
        """A packet of the party's host. Units: `came` seconds since the Unix epoch."""
        opened = data if correspondent.srtp is None else correspondent.srtp.open_report(data)
        view = None if opened is None else rtcp.read(opened, our_ssrc=correspondent.ssrc)
        if view is None:
            return
        clock = time.time()
        came = min(clock, came)
        correspondent.source = source
        correspondent.heard_at = now
        if view.last_report is not None:
            correspondent.viewed_at = time.monotonic() - (clock - came)
        trip_s = rtcp.round_trip_s(view, came)
        if trip_s is not None:
            correspondent.round_trip_s = trip_s
        correspondent.view = _newer(correspondent.view, view)

    def tell(
        self,
        row: int,
        *,
        remote: Address | None,
        timestamp: int,
        packets: int,
        standing: ReceptionReport | None,
        now: float,
    ) -> None:
        """Send a report of a row's stream both ways."""
        correspondent = self._rows[row]
        data = rtcp.report(
            ssrc=correspondent.ssrc,
            now=time.time(),
            timestamp=timestamp,
            packets=packets,
            name=self._name,
            standing=standing,
            since=correspondent.since,
            last_report=correspondent.view.last_report,
            last_report_ago_s=now - correspondent.viewed_at,
        )
        if standing is not None:
            correspondent.since = rtcp.ReportInterval(expected=standing.expected, received=standing.received)
        self._send(correspondent, data, remote)

    def _send(self, correspondent: RtcpPeer, data: bytes, remote: Address | None) -> None:
        if remote is None or remote[1] > 65534:
            return
        if correspondent.srtp is not None:
            data = correspondent.srtp.seal_report(data)
        known = correspondent.source
        to = known if known is not None and known[0] == remote[0] else (remote[0], remote[1] + 1)
        try:
            correspondent.sock.sendto(data, to)
        except OSError:
            # A party need not speak RTCP: a closed port, or no way there, is no news.
            return


def _came(noted: Iterable[tuple[int, int, bytes]], now: float) -> float:
    """When a packet came, by what the system noted of it; now, if it notes nothing. Units: seconds since the epoch."""
    for level, kind, data in noted:
        if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMP) and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return float(seconds + nanoseconds / 1e9)
    return now


def _newer(old: rtcp.PeerReport, new: rtcp.PeerReport) -> rtcp.PeerReport:
    """What a packet says, and of what it is silent about, what was said before."""
    if new.lost is None:
        new = replace(new, lost=old.lost, jitter=old.jitter)
    if new.last_report is None:
        new = replace(new, last_report=old.last_report)
    return new
