"""For which host a proxy asks: the last hop of X-Forwarded-For that is no trusted proxy."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

from holdfast.voice.runtime.connection_limits import host_of

FIELDS = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"cf-connecting-ip"})
"""What proxies add for the host they ask for."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TrustedProxies:
    """The proxies whose word counts. `trusted` are addresses and networks."""

    def __init__(self, trusted: Sequence[str] = ()) -> None:
        self._trusted: list[Network] = [ipaddress.ip_network(each, strict=False) for each in trusted]

    def contains(self, ip: str) -> bool:
        """Whether this is the address of a trusted proxy."""
        address = _address(ip)
        return address is not None and self._trusts(address)

    def client_host(self, peer: str, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """For which host `peer` asks; None when it asks for itself.

        All that a proxy does not say for whom, or is not trusted to say it, is asked for one host.
        Each proxy adds, at the end, the address that it was asked from; what stands before the last one that is not
        trusted was said by that one, and may be made up. Source: MDN, "X-Forwarded-For", "Selecting an IP address".
        """
        unknown = f"{host_of(peer)} (a proxy, for others)"
        given = [(name, value) for name, value in headers if name in FIELDS]
        if not given:
            return None
        if not self.contains(peer):
            return unknown
        hops = b",".join(value for name, value in given if name == b"x-forwarded-for").decode("latin-1").split(",")
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
    """An address as proxies write it, some of them with a port."""
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
