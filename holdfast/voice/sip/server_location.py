"""Order the servers of a SIP domain as its DNS records say.

Source: RFC 3263 §4.1, §4.2 (NAPTR, SRV); RFC 3403 §4.1 (order and preference); RFC 2782 (priority and weight).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from holdfast.voice.sip.effects import Transport

NO_SERVICE = "."
"""The target of an SRV record that says there is no such service. Source: RFC 2782, Target."""
_SERVICES: dict[str, Transport] = {"SIP+D2U": "UDP", "SIP+D2T": "TCP", "SIPS+D2T": "TLS"}
_PREFIXES: dict[Transport, str] = {"UDP": "_sip._udp", "TCP": "_sip._tcp", "TLS": "_sips._tcp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NaptrRecord:
    """A NAPTR record: a service of a domain, and the name of the SRV records of that service."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str

    @property
    def transport(self) -> Transport | None:
        """Return the transport of a SIP service, or None for any other service and for one without SRV records."""
        return _SERVICES.get(self.service.upper()) if self.flags.upper() == "S" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SrvRecord:
    """An SRV record: a host and a port of a service."""

    priority: int
    weight: int
    port: int
    target: str


def srv_name(domain: str, transport: Transport) -> str:
    """Return the name of the SRV records of a domain for a transport."""
    return f"{_PREFIXES[transport]}.{domain}"


def is_sip_service(record: NaptrRecord) -> bool:
    """Return whether a NAPTR record is about SIP, spoken here or not: most domains have others too."""
    return record.service.upper().startswith(("SIP+", "SIPS+"))


def order_services(
    records: Iterable[NaptrRecord], spoken: Sequence[Transport]
) -> tuple[tuple[tuple[Transport, str], ...], ...]:
    """Return the transports that are spoken here with the names of their SRV records, those of one order together.

    A larger order is for clients that can use nothing of a smaller one: it is no fail-over.
    """
    usable = sorted(
        (record for record in records if record.transport in spoken and record.replacement != NO_SERVICE),
        key=lambda record: (record.order, record.preference),
    )
    return tuple(
        tuple((record.transport, record.replacement) for record in together if record.transport is not None)
        for _, together in groupby(usable, key=lambda record: record.order)
    )


def order_servers(records: Iterable[SrvRecord], random: Callable[[], float]) -> tuple[SrvRecord, ...]:
    """Return the servers in the order in which they are tried: by priority, and at random by weight within one.

    A server of weight 0 is seldom first beside others. Source: RFC 2782, Weight.
    """
    ordered: list[SrvRecord] = []
    by_priority = sorted(records, key=lambda record: (record.priority, record.weight))
    for _, together in groupby(by_priority, key=lambda record: record.priority):
        left = list(together)
        while left:
            drawn = int(random() * (sum(record.weight for record in left) + 1))
            for record in left:
                drawn -= record.weight
                if drawn <= 0:
                    break
            left.remove(record)
            ordered.append(record)
    return tuple(record for record in ordered if record.target != NO_SERVICE)
