"""RTCP of all legs on the odd ports, after the tick: ours leaves every five seconds, theirs is read ten times a second.

The arrival time of a packet is the one that the system noted, not the time it is read: waking for each packet costs ten
times what reading many at once takes.
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
"""SO_TIMESTAMPNS: the socket option, and the kind of its ancillary data, a `timespec`. Source: Linux,
asm-generic/socket.h."""
_TIMESPEC = struct.Struct("@ll")
_ROOM = socket.CMSG_SPACE(_TIMESPEC.size)


@dataclass(slots=True, kw_only=True)
class RtcpPeer:
    """An RTCP peer is one leg's RTCP: its socket, and the last report each way.

    `source` is where the peer's RTCP comes from.
    """

    sock: socket.socket
    ssrc: int
    source: Address | None = None
    report: rtcp.PeerReport = field(default_factory=rtcp.PeerReport)
    report_at: float = 0.0
    received_at: float = float("-inf")
    """When the last valid report arrived."""
    round_trip_s: float | None = None
    previous: rtcp.ReportInterval = field(default_factory=rtcp.ReportInterval)
    srtp: SrtpSession | None = None


class RtcpSockets:
    """RTCP sockets holds the RTCP sockets by row. Nothing that arrives or fails there affects the audio."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._rows: dict[int, RtcpPeer] = {}
        self._row_of: dict[int, int] = {}
        self._epoll = select.epoll()

    def open(self, row: int, sock: socket.socket, *, ssrc: int) -> None:
        """Take over the bound RTCP socket of a row."""
        self._rows[row] = RtcpPeer(sock=sock, ssrc=ssrc)
        self._row_of[sock.fileno()] = row
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMP, 1)

    def close(self, row: int, *, remote: Address | None) -> None:
        """Send BYE and close the socket."""
        peer = self._rows.pop(row)
        self._send(peer, rtcp.build_bye(ssrc=peer.ssrc, name=self._name), remote)
        self._epoll.unregister(peer.sock.fileno())
        del self._row_of[peer.sock.fileno()]
        peer.sock.close()

    def set_srtp(self, row: int, srtp: SrtpSession | None) -> None:
        """Encrypt and decrypt the reports of a row from now on; None: plain."""
        self._rows[row].srtp = srtp

    def peer_report(self, row: int) -> rtcp.PeerReport:
        """Return the peer's report about our stream."""
        return self._rows[row].report

    def received_at(self, row: int) -> float:
        """Return when the peer's newest report arrived; minus infinity when none has."""
        return self._rows[row].received_at

    def round_trip_ms(self, row: int) -> float | None:
        """Return the round-trip time of the newest report of ours that was answered."""
        trip_s = self._rows[row].round_trip_s
        return None if trip_s is None else round(trip_s * 1000, 2)

    def readable(self) -> list[int]:
        """Return the rows whose sockets have something to read."""
        return [self._row_of[fd] for fd, _ in self._epoll.poll(0)]

    def receive(self, row: int, *, remote: Address | None, now: float, max_skipped: int) -> int:
        """Read a packet of a row; return how many unauthenticated packets were skipped before it.

        Only the host that the leg's audio is sent to is accepted. At most `max_skipped` packets are skipped, so that a
        few foreign packets cannot hide a party's reports, and many cannot keep the process busy.
        """
        peer = self._rows[row]
        for skipped in range(max_skipped + 1):
            try:
                data, ancillary, _, source = peer.sock.recvmsg(rtcp.MAX_PACKET, _ROOM)
            except BlockingIOError:
                return skipped
            except OSError:
                # A peer need not speak RTCP: a closed port is not reported.
                continue
            if remote is not None and source[0] == remote[0]:
                self._handle(peer, data, arrived_at=_arrival_time(ancillary, time.time()), source=source, now=now)
                return skipped
        return max_skipped

    @staticmethod
    def _handle(peer: RtcpPeer, data: bytes, *, arrived_at: float, source: Address, now: float) -> None:
        """Handle a packet of the peer's host. Units: `arrived_at` seconds since the Unix epoch."""
        plain = data if peer.srtp is None else peer.srtp.unprotect_rtcp(data)
        report = None if plain is None else rtcp.parse(plain, our_ssrc=peer.ssrc)
        if report is None:
            return
        wall_clock = time.time()
        arrived_at = min(wall_clock, arrived_at)
        peer.source = source
        peer.received_at = now
        if report.last_report is not None:
            peer.report_at = time.monotonic() - (wall_clock - arrived_at)
        trip_s = rtcp.round_trip_s(report, arrived_at)
        if trip_s is not None:
            peer.round_trip_s = trip_s
        peer.report = _merged(peer.report, report)

    def send_report(
        self,
        row: int,
        *,
        remote: Address | None,
        timestamp: int,
        packets: int,
        reception: ReceptionReport | None,
        now: float,
    ) -> None:
        """Send a report of a row's stream in both directions."""
        peer = self._rows[row]
        data = rtcp.build_report(
            ssrc=peer.ssrc,
            now=time.time(),
            timestamp=timestamp,
            packets=packets,
            name=self._name,
            reception=reception,
            previous=peer.previous,
            last_report=peer.report.last_report,
            last_report_ago_s=now - peer.report_at,
        )
        if reception is not None:
            peer.previous = rtcp.ReportInterval(expected=reception.expected, received=reception.received)
        self._send(peer, data, remote)

    def _send(self, peer: RtcpPeer, data: bytes, remote: Address | None) -> None:
        if remote is None or remote[1] > 65534:
            return
        if peer.srtp is not None:
            data = peer.srtp.protect_rtcp(data)
        source_known = peer.source
        destination = (
            source_known if source_known is not None and source_known[0] == remote[0] else (remote[0], remote[1] + 1)
        )
        try:
            peer.sock.sendto(data, destination)
        except OSError:
            # A peer need not speak RTCP: a closed port, or a missing route, is not reported.
            return


def _arrival_time(ancillary: Iterable[tuple[int, int, bytes]], now: float) -> float:
    """Return the time that the system noted for a packet; `now`, if it noted none. Units: seconds since the epoch."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _TIMESTAMP) and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return float(seconds + nanoseconds / 1e9)
    return now


def _merged(old: rtcp.PeerReport, new: rtcp.PeerReport) -> rtcp.PeerReport:
    """Merge a report with the one before: a value that the new one lacks is kept from the old one."""
    if new.lost is None:
        new = replace(new, lost=old.lost, jitter=old.jitter)
    if new.last_report is None:
        new = replace(new, last_report=old.last_report)
    return new
