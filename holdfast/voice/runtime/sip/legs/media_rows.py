"""The rows that SIP legs have in the media process."""

from __future__ import annotations

import asyncio
from collections.abc import KeysView
from dataclasses import replace
from typing import Protocol

from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.media.rtp.srtp import SrtpKeys
from holdfast.voice.media_process.control_link.protocol import CloseRow, DescribeRow, RelayDigit
from holdfast.voice.media_process.errors import MediaUnavailable
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.media_client import RowAddress
from holdfast.voice.runtime.sip.legs.leg import SipLeg
from holdfast.voice.sip.sdp.offer import Agreed, RtpAddress

DISCARD_PORT = 9
"""A port at which nothing listens. Source: RFC 863."""


class RowsPort(Protocol):
    """What SIP legs use of the media process."""

    async def open_row(self, leg: str) -> RowAddress:
        """Bind ports for a leg."""
        ...

    def send(self, command: DescribeRow | RelayDigit | CloseRow) -> None:
        """Send a command about a leg's row."""
        ...


class RowRegistry:
    """The open rows by call, and the addresses that peers send to. Invariant: each opened row is closed once."""

    def __init__(self, media: RowsPort, *, advertised_ip: str | None = None) -> None:
        self._media = media
        self._advertised_ip = advertised_ip
        self._open: dict[CallSid, RowAddress] = {}
        self._local_ips: dict[int, str] = {}
        """The local address of each row, by its port, whatever address peers receive."""
        self.placeholder: RtpAddress = (advertised_ip or "0.0.0.0", DISCARD_PORT)
        """An address of the rows' family, with which an offer is checked before a row is opened for it."""

    def calls(self) -> KeysView[CallSid]:
        """Return the calls that have a row."""
        return self._open.keys()

    def ports(self) -> KeysView[int]:
        """Return the RTP ports of the open rows."""
        return self._local_ips.keys()

    async def open(self, leg: SipLeg) -> RowAddress | None:
        """Open a row for a leg; return None if the leg has ended meanwhile. Raises: RowsFull, MediaUnavailable."""
        try:
            row = await self._media.open_row(leg.call)
        except (MediaUnavailable, asyncio.CancelledError):
            # The row may still be opened, if the media process was only slow.
            self._media.send(CloseRow(leg=leg.call))
            raise
        if leg.is_discarded:
            self._media.send(CloseRow(leg=leg.call))
            return None
        shown = replace(row, ip=self._advertised_ip or row.ip)
        self._open[leg.call] = shown
        self._local_ips[row.port] = row.ip
        return shown

    def describe(
        self,
        leg: SipLeg,
        agreed: Agreed,
        *,
        signalled_from: str | None,
        rtp_source: RtpSource,
        report_sound: bool = False,
    ) -> None:
        """Describe what was agreed for a leg, which hosts its RTP is accepted from, and if its sound is reported."""
        keys = agreed.srtp
        self._media.send(
            DescribeRow(
                leg=leg.call,
                remote=self._remote_address(agreed.remote),
                codec=agreed.codec,
                also=agreed.other_codecs,
                dtmf_payload_type=agreed.dtmf_payload_type,
                payload_types=agreed.payload_types,
                send=agreed.send,
                receive=agreed.receive,
                srtp=None if keys is None else SrtpKeys(send=keys.send, receive=keys.receive, profile=keys.suite),
                signalled_from=signalled_from,
                rtp_source=rtp_source,
                report_sound=report_sound,
            )
        )

    def relay_digit(self, leg: SipLeg, digit: str) -> None:
        """Send a digit of this party to its peer. Source: RFC 6086."""
        if leg.call in self._open:
            self._media.send(RelayDigit(leg=leg.call, digit=digit))

    def close(self, leg: SipLeg) -> None:
        """Close the row of a leg, if it has one."""
        row = self._open.pop(leg.call, None)
        if row is not None:
            self._local_ips.pop(row.port, None)
            self._media.send(CloseRow(leg=leg.call))

    def _remote_address(self, remote: RtpAddress | None) -> RtpAddress | None:
        """Return where a peer receives RTP.

        If that is one of our own rows, use its local address: a router may not send back what is addressed to its outer
        one.
        """
        if remote is None or remote[0] != self._advertised_ip:
            return remote
        return (self._local_ips.get(remote[1], remote[0]), remote[1])
