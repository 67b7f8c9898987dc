"""Refuse descriptions that would make the engine send RTP to its own ports, or to many hosts at once.

A peer that names such a port would have the audio of a call sent into another call, or into our signalling.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv4Interface, ip_address

from holdfast.voice.runtime.interface_addresses import interface_addresses

ADDRESS_CACHE_S = 5.0
"""How long the addresses of this machine are cached."""
LIMITED_BROADCAST = IPv4Address("255.255.255.255")


class InterfaceCache:
    """The addresses of this machine, read from the kernel at most once in `ADDRESS_CACHE_S`."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._cached: tuple[IPv4Interface, ...] = ()
        self._cached_until = float("-inf")

    def addresses(self) -> tuple[IPv4Interface, ...]:
        """Return the IPv4 addresses of this machine, each with its network."""
        if self._now() >= self._cached_until:
            self._cached, self._cached_until = interface_addresses(), self._now() + ADDRESS_CACHE_S
        return self._cached


class OwnPorts:
    """The engine's own ports, at every address that leads to it, and the addresses of groups of hosts.

    Shape: `advertised_ip` is what peers receive in place of our address: packets sent there reach us. `rows` are the
    ports that media rows may have at `rtp_ip`, the even ones for RTP; `open_rows` is a live view of the even ones of
    those in use. `listening` are the addresses of our listening sockets.
    `interfaces` returns the addresses of this machine.
    """

    def __init__(
        self,
        *,
        advertised_ip: str | None,
        rtp_ip: str | None,
        rows: range,
        open_rows: Collection[int],
        listening: Collection[tuple[str, int]],
        interfaces: Callable[[], tuple[IPv4Interface, ...]],
    ) -> None:
        self._advertised_ip = advertised_ip
        self._rtp_ip = rtp_ip
        self._rows = rows
        self._open_rows = open_rows
        self._interfaces = interfaces
        self._listening = listening

    def refusal(self, host: str, port: int) -> str | None:
        """Return why RTP may not be sent there, or None if it may. Source: sip.offer.Destinations.

        RTCP is sent to the port above.
        """
        address = _ipv4(host)
        if address is None:
            return None
        if self._is_group(address):
            return f"{host} is many hosts, and a call has one"
        for listening, its_port in self._listening:
            if its_port in (port, port + 1) and self._reaches(address, listening):
                return f"{host} port {port} is a port of this server"
        if self._reaches(address, self._rtp_ip) and self._is_row(address, port):
            return f"{host} port {port} is a port of this server, where it receives RTP"
        return None

    def _is_row(self, address: IPv4Address, port: int) -> bool:
        """Return whether RTP to this port, or RTCP to the one above it, reaches a row, open now or later.

        If a program of this machine has a port, no row can have it: that program receives what is sent there.
        """
        if any(row in self._open_rows for row in (port, port - 1, port + 1)):
            return True
        reached = [port] if port in self._rows else []
        if port + 1 in self._rows[::2]:  # the RTP port of the next row
            reached.append(port + 1)
        return any(not _is_bound(str(address), each) for each in reached)

    def _reaches(self, address: IPv4Address, listening: str | None) -> bool:
        """Return whether packets sent to an address reach a socket that listens at another."""
        if str(address) == self._advertised_ip:
            return True
        ours = None if listening is None else ip_address(listening)
        if ours is None or ours.is_unspecified:
            return address.is_loopback or any(address == known.ip for known in self._interfaces())
        return address == ours

    def _is_group(self, address: IPv4Address) -> bool:
        """Return whether an address is multicast, or the broadcast address of a network of this machine.

        The first address of a network is the old form of its broadcast address.
        """
        if address.is_multicast or address == LIMITED_BROADCAST:
            return True
        networks = (known.network for known in self._interfaces() if known.network.prefixlen < 31)
        return any(address in (each.broadcast_address, each.network_address) for each in networks)


def _ipv4(host: str) -> IPv4Address | None:
    """Return the IPv4 address, also from its IPv6 form; None for any other."""
    address = ip_address(host)
    return address if isinstance(address, IPv4Address) else address.ipv4_mapped


def _is_bound(host: str, port: int) -> bool:
    """Return whether a program of this machine has bound the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False
