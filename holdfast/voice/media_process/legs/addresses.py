"""Check the addresses to which audio may be sent."""

from __future__ import annotations

from ipaddress import IPv4Address

from holdfast.voice.media_process.control_link.protocol import Address
from holdfast.voice.model.errors import AskedWrong

_BROADCAST = IPv4Address("255.255.255.255")


class CommandImpossible(AskedWrong):
    """A command names a leg that has no row, a clip that is not there, or an address to which nothing can be sent."""


def usable_address(remote: Address | None) -> Address | None:
    """Return the address to send to; None for one that means "do not send" (host 0.0.0.0 or port 0).

    Raises: CommandImpossible. Source: RFC 3264 §8.4 (c=0.0.0.0), §5.1 (port 0).
    """
    if remote is None:
        return None
    host, port = remote
    try:
        address = IPv4Address(host)
    except ValueError as error:
        raise CommandImpossible(f"{host!r} is not an IPv4 address") from error
    if not 0 <= port <= 65535:
        raise CommandImpossible(f"there is no port {port}")
    if address.is_multicast or address == _BROADCAST:
        raise CommandImpossible(f"{host} is a group of hosts; a call has one host")
    return None if address.is_unspecified or port == 0 else (str(address), port)
