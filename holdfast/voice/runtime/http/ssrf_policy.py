"""Decide which addresses a URL from outside may lead to (server-side request forgery, SSRF).

Documents and redirects name URLs. Without this policy they could make the engine read what only this machine or its
network may see.
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
    """A policy allows public addresses; others only if they are our own, loopback where allowed, or listed.

    Shape: `own_origins` are host and port pairs of our own web server; `networks` and `hosts` come from the setting
    named `setting`, which lists the addresses that `clients` may reach.
    """

    loopback: bool = False
    own_origins: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()
    setting: str = "webhook_allow"
    clients: str = "webhooks"

    def check(self, host: str, port: int, address: str) -> None:
        """Check that `host`, which resolves to `address`, may be connected to. Raises: AddressRefused."""
        try:
            ip = ip_address(address)
        except ValueError as error:
            raise AddressRefused(f"{host} has the invalid address {address!r}") from error
        embedded = _embedded_ipv4(ip)
        if embedded.is_loopback and self.loopback:
            return
        if (host.lower(), port) in self.own_origins or host.lower() in self.hosts:
            return
        if any(candidate in network for candidate in (ip, embedded) for network in self.networks):
            return
        if _is_public(embedded):
            return
        where = str(ip) if host == str(ip) else f"{host} is at {ip}, which"
        raise AddressRefused(
            f"{where} is {_describe(embedded)}; the setting {self.setting} lists addresses that"
            f" {self.clients} may reach (holdfast serve --{self.setting.replace('_', '-')} {host})"
        )


def policy_of(
    *, loopback: bool, own_urls: Iterable[str], allow: Iterable[str], setting: str = "webhook_allow"
) -> SsrfPolicy:
    """Return the policy of the settings.

    Shape: `own_urls` are URLs of our own web server; `allow` lists networks (CIDR), addresses or hosts.
    Raises: WebhookSettingInvalid.
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
                    f"{setting}: {entry!r} is neither a network, an address nor a host"
                ) from error
            hosts.add(text)
    return SsrfPolicy(
        loopback=loopback,
        own_origins=frozenset(_origin(url) for url in own_urls),
        networks=tuple(networks),
        hosts=frozenset(hosts),
        setting=setting,
        clients=f"{setting.partition('_')[0]}s",
    )


def _origin(url: str) -> tuple[str, int]:
    """Parse the host and port of one of our own URLs. Raises: WebhookSettingInvalid."""
    try:
        parts = urlsplit(url)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError as error:
        raise WebhookSettingInvalid(f"{url!r} is no URL: {error}") from error
    if not parts.hostname or port is None:
        raise WebhookSettingInvalid(f"{url!r} is no http or https URL")
    return parts.hostname, port


def _embedded_ipv4(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address embeds, or the address itself."""
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
    """Return in a word why an address is not public."""
    if ip.is_unspecified:
        return "the unspecified address"
    if ip.is_loopback:
        return "this machine"
    if ip.is_link_local:
        return "link-local"
    if ip.is_multicast:
        return "multicast"
    return "private"
