"""The UDP socket of SIP. No datagram, and no address in a message, can close it."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from holdfast.voice.sip.effects import Address

log = logging.getLogger(__name__)

RECEIVE_BUFFER = 1 << 20
"""How many bytes the kernel may buffer: a burst of calls must not be lost while a step is written."""


class SipSocket(asyncio.DatagramProtocol):
    """The UDP socket of an endpoint. Datagrams sent before `open` are lost."""

    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None
        self.unsent = 0
        """How many datagrams could not be sent."""

    async def open(self, bound: socket.socket) -> None:
        """Read datagrams from a bound socket."""
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        # Not in `connection_made`: CPython 3.11 passes that one an object of another class.
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=bound)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Pass a datagram on. Source: asyncio.DatagramProtocol."""
        self._receive(data, Address(str(addr[0]), int(addr[1])))

    def error_received(self, exc: Exception) -> None:
        """Log that a peer's port is closed. The transactions notice by themselves."""
        log.debug("sip socket: %s", exc)

    def send(self, data: bytes, to: Address) -> None:
        """Send a datagram; one that cannot be sent counts as lost.

        asyncio closes a listening socket for good if `sendto` raises anything but an OSError, as it does for a port
        above 65535; so the address is checked before.
        """
        if self._transport is None or self._transport.is_closing() or not _is_sendable(to):
            self.unsent += 1
            return
        try:
            self._transport.sendto(data, (to.host, to.port))
        except (OSError, OverflowError, ValueError, TypeError) as error:
            self.unsent += 1
            log.warning("sip datagram to %s:%s not sent: %s", to.host, to.port, error)

    def close(self) -> None:
        """Give the port back."""
        if self._transport is not None:
            self._transport.close()


def _is_sendable(to: Address) -> bool:
    try:
        ip_address(to.host)
    except ValueError:
        return False
    return 1 <= to.port <= 65535
