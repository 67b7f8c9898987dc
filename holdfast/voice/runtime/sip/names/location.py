"""Find the addresses of a SIP domain by its DNS records, in the order in which they are tried. Source: RFC 3263 §4."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from holdfast.voice.runtime.sip.names.dns_client import DnsAnswer, DnsLookups, NameUnresolved
from holdfast.voice.sip.effects import Address, Transport
from holdfast.voice.sip.message.uri import DEFAULT_PORTS, host_port
from holdfast.voice.sip.server_location import is_sip_service, order_servers, order_services, srv_name

R = TypeVar("R")

log = logging.getLogger(__name__)

Orders = tuple[tuple[tuple[Transport, str], ...], ...]
"""Transports with the names of their SRV records; those together are tried before the next."""
MAX_ADDRESSES = 32
"""How many addresses of one domain are used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """What a trunk is named: a host name, and the port and transport that DNS need not tell."""

    name: str
    port: int | None = None
    transport: Transport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """The addresses of a domain, or why there is none.

    Units: `expires_at` seconds since the Unix epoch; 0 when a part of the answer is missing.
    """

    addresses: tuple[Address, ...] = ()
    expires_at: float = 0.0
    problem: str = ""

    def places(self) -> list[str]:
        """Return each address with its transport, as an operator reads them."""
        return [f"{host_port(address)} by {address.transport}" for address in self.addresses]


class Locator:
    """Finds addresses for the transports that are `spoken` here, of one IP version."""

    def __init__(
        self, lookups: DnsLookups, *, spoken: Sequence[Transport], version: int, random: Callable[[], float]
    ) -> None:
        self._lookups = lookups
        self._spoken = tuple(spoken)
        self._version = version
        self._random = random

    async def locate(self, domain: Domain) -> Location:
        """Return the addresses of a domain. Raises: NameUnresolved."""
        if domain.transport is not None and domain.transport not in self._spoken:
            raise NameUnresolved(f"{domain.name} is called over {domain.transport}, which is not set up here")
        if domain.port is not None:
            return await self._hosts([(domain.name, domain.port, domain.transport or "UDP")], [])
        if domain.transport is not None:
            orders, expiries = _one_order(domain.name, (domain.transport,)), list[float]()
        else:
            orders, expiries = await self._services(domain.name)
        said_no = False
        for services in orders:
            answers, failure = await _all(self._lookups.srv(name) for _, name in services)
            expiries += [0.0 if answer is None else answer.expires_at for answer in answers]
            said_no = said_no or any(answer is not None and answer.records for answer in answers)
            servers = [
                (server.target, server.port, transport)
                for (transport, _), answer in zip(services, answers, strict=True)
                for server in order_servers(() if answer is None else answer.records, self._random)
            ]
            if servers:
                return await self._hosts(servers, expiries)
            if failure is not None:
                raise failure
        if said_no:
            raise NameUnresolved(f"{domain.name} says that it has no SIP server")
        transport = domain.transport or "UDP"
        return await self._hosts([(domain.name, DEFAULT_PORTS[transport], transport)], expiries)

    async def _services(self, name: str) -> tuple[Orders, list[float]]:
        """Return the services of a domain by its NAPTR records, else one for each transport that is spoken here.

        A name server that fails on NAPTR may answer the rest: some routers know no NAPTR.
        Raises: NameUnresolved when the domain speaks nothing that is spoken here.
        """
        expiries: list[float] = []
        try:
            answer = await self._lookups.naptr(name)
        except NameUnresolved as error:
            log.info("%s; it is taken to have no NAPTR records", error.message)
        else:
            expiries.append(answer.expires_at)
            services = order_services(answer.records, self._spoken)
            if services:
                return services, expiries
            if offered := sorted({record.service for record in answer.records if is_sip_service(record)}):
                raise NameUnresolved(f"{name} offers only {', '.join(offered)}, of which nothing is set up here")
        return _one_order(name, self._spoken), expiries

    async def _hosts(self, servers: Sequence[tuple[str, int, Transport]], expiries: list[float]) -> Location:
        """Return the addresses of these servers. A host without one is passed over. Raises: NameUnresolved."""
        answers, failure = await _all(self._lookups.addresses(host, self._version) for host, _, _ in servers)
        expiries = [*expiries, *(0.0 if answer is None else answer.expires_at for answer in answers)]
        addresses: dict[Address, None] = {
            Address(host, port, transport): None
            for (_, port, transport), answer in zip(servers, answers, strict=True)
            for host in (() if answer is None else answer.records)
        }
        if not addresses and failure is not None:
            raise failure
        if not addresses:
            kind = "AAAA" if self._version == 6 else "A"
            raise NameUnresolved(f"there is no {kind} record of {', '.join(sorted({host for host, _, _ in servers}))}")
        return Location(addresses=tuple(addresses)[:MAX_ADDRESSES], expires_at=min(expiries))


def _one_order(name: str, transports: Sequence[Transport]) -> Orders:
    """Return the SRV names of a domain without NAPTR records."""
    return (tuple((transport, srv_name(name, transport)) for transport in transports),)


async def _all(lookups: Iterable[Awaitable[DnsAnswer[R]]]) -> tuple[list[DnsAnswer[R] | None], NameUnresolved | None]:
    """Return the answer of each look-up, None for one that failed, and the first failure."""
    found = await asyncio.gather(*lookups, return_exceptions=True)
    answers: list[DnsAnswer[R] | None] = []
    failure: NameUnresolved | None = None
    for each in found:
        if isinstance(each, NameUnresolved):
            failure = failure or each
            answers.append(None)
        elif isinstance(each, BaseException):
            raise each
        else:
            answers.append(each)
    return answers, failure
