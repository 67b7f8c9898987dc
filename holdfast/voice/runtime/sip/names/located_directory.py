"""Show the directory with each trunk at the addresses that its name leads to, and keep these up to date.

Calls, registrations, certificates and the trust in a source thus need know nothing of names. A name leads to no private
address that the operator did not allow: its name servers could otherwise have us call, and trust, hosts of our own
network.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from ipaddress import ip_address
from typing import Protocol

from holdfast.voice.runtime.directory.directory import AnsweringDocument
from holdfast.voice.runtime.directory.records import LineRecord, RouteRecord
from holdfast.voice.runtime.http.errors import AddressRefused
from holdfast.voice.runtime.http.ssrf_policy import policy_of
from holdfast.voice.runtime.sip.config.settings import SipSettings
from holdfast.voice.runtime.sip.dial_plan import LineLookup
from holdfast.voice.runtime.sip.names.dns_client import DnsClient, NameUnresolved
from holdfast.voice.runtime.sip.names.location import Domain, Location, Locator
from holdfast.voice.sip.effects import Address

MIN_WAIT_S, MAX_WAIT_S = 5.0, 3600.0
"""How often names are looked up at most, and at least."""

log = logging.getLogger(__name__)


class StoredDirectory(LineLookup, Protocol):
    """The directory as it is stored: trunks have the names that the operator gave them."""

    def trunks(self) -> tuple[RouteRecord, ...]:
        """Return every trunk."""
        ...

    def answer_for(self, dialled: str, *, host: str = "") -> AnsweringDocument | None:
        """Return what answers a call to this user or number at this host."""
        ...

    def answer_of_number(self, number: str) -> AnsweringDocument | None:
        """Return what answers a call to a number of the engine; None if it is another number."""
        ...

    def answer_of_application(self, sid: str) -> AnsweringDocument | None:
        """Return what answers a call to the application with this SID."""
        ...


class LocatedDirectory:
    """A directory whose trunks are at numeric addresses. It implements inbound.DirectoryPort.

    Invariant: `_locations` holds what each name led to at its last look-up.
    """

    def __init__(
        self, stored: StoredDirectory, settings: SipSettings, tasks: asyncio.TaskGroup, *, now: Callable[[], float]
    ) -> None:
        self._stored = stored
        self._dns = DnsClient(tasks, now=now, nameservers=settings.nameservers)
        version = ip_address(settings.address[0]).version
        self._locator = Locator(self._dns, spoken=settings.transports, version=version, random=random.random)
        self._policy = policy_of(loopback=False, own_urls=(), allow=settings.trunk_allow, setting="trunk_allow")
        self._tasks = tasks
        self._now = now
        self._locations: dict[Domain, Location] = {}
        self._changed = asyncio.Event()
        self._followers: list[asyncio.Task[None]] = []

    # --- as it is stored

    def line(self, name: str) -> LineRecord | None:
        """Return the line of that name. Source: dial_plan.LineLookup."""
        return self._stored.line(name)

    def e164(self, written: str) -> str | None:
        """Return a phone number in E.164, or None. Source: dial_plan.LineLookup."""
        return self._stored.e164(written)

    def unreachable_reason(self, number: str) -> str:
        """Return why neither a line nor a trunk takes a call to a number. Source: dial_plan.LineLookup."""
        return self._stored.unreachable_reason(number)

    def answer_for(self, dialled: str, *, host: str = "") -> AnsweringDocument | None:
        """Return what answers a call to this user or number at this host. Source: inbound.DirectoryPort."""
        return self._stored.answer_for(dialled, host=host)

    def answer_of_number(self, number: str) -> AnsweringDocument | None:
        """Return what answers a call to a number of the engine. Source: inbound.DirectoryPort."""
        return self._stored.answer_of_number(number)

    def answer_of_application(self, sid: str) -> AnsweringDocument | None:
        """Return what answers a call to an application. Source: inbound.DirectoryPort."""
        return self._stored.answer_of_application(sid)

    # --- trunks at their addresses

    def route_for(self, number: str) -> RouteRecord | None:
        """Return the first trunk of a number, at its first address; each further address is a `backup`."""
        route = self._stored.route_for(number)
        if route is None:
            return None
        located: RouteRecord | None = None
        for trunk in reversed([each for named in route.trunks for each in self._at_each_address(named)]):
            located = replace(trunk, backup=located)
        return located

    def trunks(self) -> tuple[RouteRecord, ...]:
        """Return every trunk, once for each of its addresses."""
        return tuple(each for trunk in self._stored.trunks() for each in self._at_each_address(trunk))

    def trusts(self, host: str) -> bool:
        """Return whether calls from this numeric host are accepted without authentication."""
        return any(trunk.trusts(host) for trunk in self.trunks())

    def is_registered_as(self, user: str, host: str) -> bool:
        """Return whether we register as this user with a trunk whose calls arrive from this numeric host."""
        return any(trunk.register and trunk.user == user and trunk.trusts(host) for trunk in self.trunks())

    def tls_name(self, to: Address) -> str | None:
        """Return the name in a trunk's certificate, if that is not its address.

        It is the name that the operator gave, and no name out of DNS, which anyone on the path may have written.
        Source: RFC 5922 §4.
        """
        return next((trunk.tls_name for trunk in self.trunks() if trunk.address == to), None)

    def registrars(self) -> tuple[tuple[RouteRecord, tuple[Address, ...]], ...]:
        """Return every trunk as it is stored, with the addresses at which it is registered with, the first first."""
        return tuple(
            (trunk, tuple(each.address for each in self._at_each_address(trunk))) for trunk in self._stored.trunks()
        )

    def location(self, trunk: RouteRecord) -> Location | None:
        """Return what the name of a trunk led to at its last look-up; None before that, and for a numeric address."""
        return self._locations.get(_domain(trunk)) if trunk.is_named else None

    # --- names

    async def locate(self, number: str) -> None:
        """Look up the name of the first trunk of a number that has an address, unless what is known is still valid.

        A call waits for no name of a trunk that it may never need, unless that was never looked up. A URI leaves by no
        trunk.
        Raises: NameUnresolved if none of its trunks has an address.
        """
        route = None if ":" in number else self._stored.route_for(number)
        if route is None:
            return
        await self._look_up([trunk for trunk in route.trunks if _domain(trunk) not in self._locations])
        for trunk in route.trunks:
            await self._look_up([trunk])
            if self._at_each_address(trunk):
                return
        location = self.location(route)
        raise NameUnresolved("" if location is None else location.problem)

    async def locate_all(self) -> None:
        """Look up the names of all trunks, and forget those of removed ones."""
        trunks = [trunk for trunk in self._stored.trunks() if trunk.is_named]
        await self._look_up(trunks)
        wanted = {_domain(trunk) for trunk in trunks}
        self._locations = {domain: found for domain, found in self._locations.items() if domain in wanted}

    def open(self, on_change: Callable[[], None]) -> None:
        """Look up the names of all trunks from now on, and call `on_change` when one leads elsewhere."""
        self._followers.append(self._tasks.create_task(self._follow(on_change), name="sip-trunk-names"))

    def close(self) -> None:
        """Look up no more names."""
        for task in self._followers:
            task.cancel()
        self._dns.close()

    async def _follow(self, on_change: Callable[[], None]) -> None:
        """Look up the names of all trunks whenever an answer expires or the trunks change, until cancelled."""
        while True:
            self._changed.clear()
            known = self.registrars()
            await self.locate_all()
            if self.registrars() != known:
                on_change()
            expiries = [location.expires_at for location in self._locations.values()]
            wait_s = None if not expiries else max(MIN_WAIT_S, min(MAX_WAIT_S, min(expiries) - self._now()))
            try:
                async with asyncio.timeout(wait_s):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def handle_change(self) -> None:
        """Look up the names of new trunks."""
        self._changed.set()

    async def _look_up(self, trunks: Iterable[RouteRecord]) -> None:
        domains = dict.fromkeys(_domain(trunk) for trunk in trunks if trunk.is_named)
        for domain, location in zip(domains, await asyncio.gather(*map(self._find, domains)), strict=True):
            known = self._locations.get(domain)
            self._locations[domain] = location
            if location.problem and (known is None or known.problem != location.problem):
                log.warning("trunk=%s fact=NameUnresolved why=%r", domain.name, location.problem)
            if location.addresses and (known is None or set(known.addresses) != set(location.addresses)):
                log.info("trunk=%s fact=NameResolved addresses=%s", domain.name, ", ".join(location.places()))

    async def _find(self, domain: Domain) -> Location:
        """Return the addresses of a domain that may be used, and the problem with the others."""
        try:
            found = await self._locator.locate(domain)
        except NameUnresolved as error:
            return Location(problem=error.message)
        allowed: list[Address] = []
        problem = ""
        for address in found.addresses:
            try:
                self._policy.check(domain.name, address.port, address.host)
            except AddressRefused as error:
                problem = error.message
            else:
                allowed.append(address)
        return replace(found, addresses=tuple(allowed), problem=problem)

    def _at_each_address(self, trunk: RouteRecord) -> tuple[RouteRecord, ...]:
        """Return a trunk at each address of its name, all of which may call as this trunk; a numeric one as it is."""
        if not trunk.is_named:
            return (trunk,)
        addresses = self._locations.get(_domain(trunk), Location()).addresses
        sources = (*trunk.sources, *dict.fromkeys(address.host for address in addresses))
        return tuple(
            replace(
                trunk,
                host=address.host,
                port=address.port,
                transport=address.transport,
                domain=trunk.domain or trunk.host,
                tls_name=trunk.tls_name or trunk.host,
                sources=sources,
            )
            for address in addresses
        )


def _domain(trunk: RouteRecord) -> Domain:
    return Domain(name=trunk.host, port=trunk.port, transport=trunk.transport)
