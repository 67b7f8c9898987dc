"""Whom we connect to: which addresses a URL from outside may lead to.

Users' documents name URLs, and so do web servers that redirect us. Without a rule they could make us read what
only this machine, or its network, is meant to see.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from holdfast.voice.runtime.http.errors import AddressRefused, WebhookSettingInvalid

NAT64 = IPv6Network("64:ff9b::/96")
"""IPv6 addresses that stand for an IPv4 address. Source: RFC 6052 §2.1."""

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class SsrfPolicy:
    """The rule: public addresses always; others only if they are our own, loopback while that is allowed, or listed.

    Shape: `own` are host and port pairs of our own web server; `networks` and `hosts` come from the setting
    `webhook_allow`.
    """

    loopback: bool = False
    own_origins: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    def check(self, host: str, port: int, address: str) -> None:
        """Pass if `host`, known to be at `address`, may be connected to. Raises: AddressRefused."""
        try:
            ip = ip_address(address)
        except ValueError as error:
            raise AddressRefused(f"{host} has the address {address!r}, which is none") from error
        inner = _inner(ip)
        if inner.is_loopback and self.loopback:
            return
        if (host.lower(), port) in self.own_origins or host.lower() in self.hosts:
            return
        if any(candidate in network for candidate in (ip, inner) for network in self.networks):
            return
        if _is_public(inner):
            return
        where = str(ip) if host == str(ip) else f"{host} is at {ip}, which"
        raise AddressRefused(
            f"{where} is {_describe(inner)}; the setting webhook_allow lists what we may connect to"
            f" (holdfast serve --webhook-allow {host})"
        )


def policy_of(*, loopback: bool, own_urls: Iterable[str], allow: Iterable[str]) -> SsrfPolicy:
    """The rule from settings: `own` are URLs of our own web server, `allow` networks (CIDR), addresses or hosts.

    Raises: SettingWrong.
    """
    networks: list[IPv4Network | IPv6Network] = []
    hosts: set[str] = set()
    for entry in allow:
        text = entry.strip().lower()
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError as error:
            if not text or set(text) & set("/:@ *") or text.replace(".", "").isdigit():
                raise WebhookSettingInvalid(
                    f"webhook_allow: {entry!r} is neither a network, an address nor a host"
                ) from error
            hosts.add(text)
    return SsrfPolicy(
        loopback=loopback,
        own_origins=frozenset(_origin(url) for url in own_urls),
        networks=tuple(networks),
        hosts=frozenset(hosts),
    )


def _origin(url: str) -> tuple[str, int]:
    """Host and port of one of our own addresses. Raises: SettingWrong."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError as error:
        raise WebhookSettingInvalid(f"{url!r} is no URL: {error}") from error
    if not parts.hostname or port is None:
        raise WebhookSettingInvalid(f"{url!r} is no http or https URL")
    return parts.hostname, port


def _inner(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address only wraps, or the address itself."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if ip in NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    site_local = isinstance(ip, IPv6Address) and ip.is_site_local
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not site_local


def _describe(ip: IPv4Address | IPv6Address) -> str:
    """Why an address is not public, in a word."""
    if ip.is_unspecified:
        return "no address at all"
    if ip.is_loopback:
        return "this machine"
    if ip.is_link_local:
        return "link-local"
    if ip.is_multicast:
        return "multicast"
    return "private"
