"""Look up DNS records, and keep each answer as long as it says; the last good one outlives servers that fail.

Source: RFC 1035 §3.2.1 (TTL); RFC 2308 (negative answers); RFC 8767 (stale answers).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver

from holdfast.voice.model.errors import PeerWrong
from holdfast.voice.sip.server_location import NaptrRecord, SrvRecord

R = TypeVar("R", covariant=True)

LOOKUP_S = 3.0
"""How long one look-up may take, at all name servers together."""
MAX_TTL_S = 86_400.0
MAX_NEGATIVE_TTL_S = 3600.0
"""How long it is believed that there is no such record. Source: RFC 2308 §5 (one to three hours)."""
STALE_S = 86_400.0
"""How long the last answer is used while no name server gives a newer one. Source: RFC 8767 §5."""
RETRY_S = 30.0
"""How long after a failure the name servers are asked again. Source: RFC 2308 §7; RFC 8767 §5."""
MAX_ANSWERS = 1000
"""How many answers are kept."""
MAX_RECORDS = 32
"""How many records of one answer are used."""


class NameUnresolved(PeerWrong):
    """A name leads to no address that may be used, or no name server answers."""

    sip = 503


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsAnswer(Generic[R]):
    """The records of one name, in the order of the answer. Units: `expires_at` seconds since the Unix epoch."""

    records: tuple[R, ...]
    expires_at: float


class DnsLookups(Protocol):
    """Look-ups of DNS records. Each raises NameUnresolved if no name server answers."""

    async def naptr(self, name: str) -> DnsAnswer[NaptrRecord]:
        """Return the NAPTR records of a name."""
        ...

    async def srv(self, name: str) -> DnsAnswer[SrvRecord]:
        """Return the SRV records of a name."""
        ...

    async def addresses(self, name: str, version: int) -> DnsAnswer[str]:
        """Return the numeric addresses of a host, of IP version 4 or 6."""
        ...


class DnsClient:
    """Looks records up at `nameservers`, or at those of the system. Calls at the same time share a look-up.

    `now` is the time in seconds since the Unix epoch.
    """

    def __init__(
        self, tasks: asyncio.TaskGroup, *, now: Callable[[], float], nameservers: Sequence[tuple[str, int]] = ()
    ) -> None:
        self._tasks = tasks
        self._now = now
        self._nameservers = tuple(nameservers)
        self._answers: dict[tuple[str, str], DnsAnswer[Any]] = {}
        self._failures: dict[tuple[str, str], tuple[str, float]] = {}
        """Why the last look-up failed, and when it is made again."""
        self._running: dict[tuple[str, str], asyncio.Task[DnsAnswer[Any] | None]] = {}

    async def naptr(self, name: str) -> DnsAnswer[NaptrRecord]:
        """Return the NAPTR records of a name. Raises: NameUnresolved."""
        return await self._look_up(name, "NAPTR")

    async def srv(self, name: str) -> DnsAnswer[SrvRecord]:
        """Return the SRV records of a name. Raises: NameUnresolved."""
        return await self._look_up(name, "SRV")

    async def addresses(self, name: str, version: int) -> DnsAnswer[str]:
        """Return the numeric addresses of a host. Raises: NameUnresolved."""
        return await self._look_up(name, "AAAA" if version == 6 else "A")

    async def _look_up(self, name: str, kind: str) -> DnsAnswer[Any]:
        """Return the answer that is kept, or ask the name servers. Raises: NameUnresolved."""
        key, now = (name.lower().rstrip("."), kind), self._now()
        kept = self._answers.get(key)
        if kept is not None and now < kept.expires_at:
            return kept
        if now >= self._failures.get(key, ("", 0.0))[1]:
            if key not in self._running:
                self._running[key] = self._tasks.create_task(self._refresh(key), name=f"dns {kind} {name}")
            answer = await asyncio.shield(self._running[key])
            if answer is not None:
                return answer
        why, retry_at = self._failures[key]
        if kept is None or self._now() > kept.expires_at + STALE_S:
            raise NameUnresolved(why)
        return DnsAnswer(records=kept.records, expires_at=retry_at)

    async def _refresh(self, key: tuple[str, str]) -> DnsAnswer[Any] | None:
        """Ask the name servers and keep their answer, or None and why they failed."""
        try:
            answer = await self._ask(*key)
        except (dns.exception.DNSException, OSError) as error:
            _keep(self._failures, key, (f"the DNS look-up of {key[1]} {key[0]} failed: {error}", self._now() + RETRY_S))
            return None
        finally:
            del self._running[key]
        self._failures.pop(key, None)
        _keep(self._answers, key, answer)
        return answer

    async def _ask(self, name: str, kind: str) -> DnsAnswer[Any]:
        """Ask the name servers. Raises: DNSException, OSError."""
        resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
        if self._nameservers:
            resolver.nameservers = [dns.nameserver.Do53Nameserver(host, port) for host, port in self._nameservers]
        backend = dns.asyncbackend.get_backend("asyncio")
        try:
            answer = await resolver.resolve(
                f"{name}.", kind, search=False, raise_on_no_answer=False, lifetime=LOOKUP_S, backend=backend
            )
        except dns.resolver.NXDOMAIN as error:
            response, found = cast("Any", error).response(next(iter(error.kwargs["qnames"]))), None
        else:
            response, found = cast("Any", answer.response), answer.rrset
        ttl_s = min(response.resolve_chaining().minimum_ttl, MAX_NEGATIVE_TTL_S if found is None else MAX_TTL_S)
        records = tuple(_record(each) for each in found or ())
        return DnsAnswer(records=records[:MAX_RECORDS], expires_at=self._now() + ttl_s)

    def close(self) -> None:
        """Give up every look-up."""
        for task in tuple(self._running.values()):
            task.cancel()


def _keep(kept: dict[tuple[str, str], Any], key: tuple[str, str], value: object) -> None:
    """Keep a value as the newest of a bounded number."""
    kept.pop(key, None)
    if len(kept) >= MAX_ANSWERS:
        del kept[next(iter(kept))]
    kept[key] = value


def _record(found: Any) -> NaptrRecord | SrvRecord | str:
    """Return a record as a value of ours."""
    match found.rdtype.name:
        case "NAPTR":
            return NaptrRecord(
                order=found.order,
                preference=found.preference,
                flags=found.flags.decode("ascii", "replace"),
                service=found.service.decode("ascii", "replace"),
                replacement=found.replacement.to_text(omit_final_dot=True),
            )
        case "SRV":
            return SrvRecord(
                priority=found.priority,
                weight=found.weight,
                port=found.port,
                target=found.target.to_text(omit_final_dot=True),
            )
        case _:
            return str(found.address)
