"""Find the host for which a proxy sends a request: the last hop of X-Forwarded-For that is no trusted proxy."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from holdfast.voice.runtime.connection_limits import host_of

FIELDS = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"cf-connecting-ip"})
"""The header fields that proxies add to name the host for which they send a request."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """The proxies whose header fields are trusted. `trusted` are addresses and networks."""

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._trusted: list[Network] = [ipaddress.ip_network(each, strict=False) for each in trusted]

    def contains(self, ip: str) -> bool:
        """Return whether this is the address of a trusted proxy."""
        address = _address(ip)
        return address is not None and self._trusts(address)

    def client_host(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the host for which `peer` sends a request, or None when it sends its own.

        Requests whose host a proxy does not name, or names without being trusted, count for one common host.
        Each proxy appends the address from which it received the request. Addresses before the last untrusted one
        may be forged. Source: MDN, "X-Forwarded-For", "Selecting an IP address".
        """
        unknown = f"{host_of(peer)} (a proxy, for others)"
        fields = [(name, value) for name, value in headers if name in FIELDS]
        if not fields:
            return None
        if not self.contains(peer):
            return unknown
        hops = b",".join(value for name, value in fields if name == b"x-forwarded-for").decode("latin-1").split(",")
        for hop in reversed(hops):
            address = _address(hop)
            if address is None:
                return unknown
            if not self._trusts(address):
                return host_of(str(address))
        return unknown

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _address(text: str) -> Address | None:
    """Parse an address as proxies write it, some of them with a port."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
