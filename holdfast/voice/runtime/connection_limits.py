"""Connections counted by host, so that a host that opens too many of them shuts the door for itself alone.

    crowd = Crowd(most=1000, most_of_one_host=250)
    if not crowd.enter(connection, host_of("203.0.113.7"), now): …

Where there is no room, the connection that has waited longest for the rest of its request or message gives way: one
that never sends it must not keep out one that does. It is one of the newcomer's own host when that host has all it may
have, and else of the host that has the most.
"""

from __future__ import annotations

import ipaddress
import logging
import resource
from collections import Counter
from typing import Generic, Protocol, TypeVar

REPORT_EVERY_S = 60.0
MAX_HOSTS_REMEMBERED = 1000
"""Of how many hosts it is remembered when they were last named in the log."""
OTHERS = "(others)"


class Member(Protocol):
    """One connection, or one request of a connection that carries requests of several hosts."""

    def evict(self) -> None:
        """End at once: the place is taken by another one."""
        ...


M = TypeVar("M", bound=Member)


class ConnectionLimiter(Generic[M]):
    """Members by host. Invariant: no more than `most`, nor than `most_of_one_host` of one, and each is counted once.

    Units: who has waited for less than `patience_s` seconds does not give way to a newcomer of its own host.
    """

    def __init__(self, *, max_total: int, max_per_host: int, grace_s: float = 0.0) -> None:
        self.max_total = max_total
        self.max_per_host = max_per_host
        self._grace_s = grace_s
        self._host: dict[M, str] = {}
        self._counts: Counter[str] = Counter()
        self._waiting: dict[str, dict[M, float]] = {}
        """Since when each waits, the longest first; hosts without any are not there."""

    def __len__(self) -> int:
        return len(self._host)

    def members(self) -> tuple[M, ...]:
        """All of them."""
        return tuple(self._host)

    def count_of(self, host: str) -> int:
        """How many there are of that host."""
        return self._counts.get(host, 0)

    def has_room(self, host: str, now: float) -> bool:
        """Whether `enter` would succeed."""
        return not self._is_full(host) or self._member_to_evict(host, now) is not None

    def admit(self, member: M, host: str, now: float) -> bool:
        """Count a new member, which waits; False when there is no room for it."""
        if self._is_full(host):
            out = self._member_to_evict(host, now)
            if out is None:
                return False
            self.remove(out)
            out.evict()
        self._host[member] = host
        self._counts[host] += 1
        self.mark_waiting(member, now)
        return True

    def remove(self, member: M) -> None:
        """A member is gone; nothing happens when it is none."""
        self.mark_served(member)
        host = self._host.pop(member, None)
        if host is not None:
            self._counts[host] -= 1
            if not self._counts[host]:
                del self._counts[host]

    def mark_waiting(self, member: M, now: float) -> None:
        """The rest of its request is awaited from now on, or still."""
        host = self._host.get(member)
        if host is not None:
            self._waiting.setdefault(host, {}).setdefault(member, now)

    def mark_served(self, member: M) -> None:
        """Its request is whole: it keeps its place."""
        host = self._host.get(member)
        waiting = self._waiting.get(host) if host is not None else None
        if host is not None and waiting is not None:
            waiting.pop(member, None)
            if not waiting:
                del self._waiting[host]

    def _is_full(self, host: str) -> bool:
        return self.count_of(host) >= self.max_per_host or len(self) >= self.max_total

    def _member_to_evict(self, host: str, now: float) -> M | None:
        crowded: str | None = host
        if self.count_of(host) < self.max_per_host:
            crowded = max(self._waiting, key=lambda each: (self._counts[each], -self._since(each)), default=None)
            if crowded is not None and self.count_of(crowded) <= self.count_of(host):
                crowded = host
        if crowded is None or crowded not in self._waiting:
            return None
        if crowded == host and now - self._since(host) < self._grace_s:
            return None
        return next(iter(self._waiting[crowded]))

    def _since(self, host: str) -> float:
        return next(iter(self._waiting[host].values()))


class RejectionLog:
    """What the log says of connections that are refused or cut off: one line per host and minute."""

    def __init__(self, log: logging.Logger, kind: str) -> None:
        self._log = log
        self._what = kind
        self._told: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def report(self, host: str, why: str, now: float) -> None:
        """Count one more, and name the host when it was not named within the last minute."""
        if host not in self._told and len(self._told) >= MAX_HOSTS_REMEMBERED:
            self._told = {each: at for each, at in self._told.items() if now - at < REPORT_EVERY_S}
            self._untold = Counter({each: self._untold[each] for each in self._told if self._untold[each]})
            if len(self._told) >= MAX_HOSTS_REMEMBERED:
                host = OTHERS
        self._untold[host] += 1
        if host not in self._told or now - self._told[host] >= REPORT_EVERY_S:
            self._log.warning(
                "fact=TurnedAway host=%s what=%r count=%d why=%r", host, self._what, self._untold[host], why
            )
            self._told[host] = now
            del self._untold[host]


def host_of(ip: str) -> str:
    """Who is one host: an IPv4 address, or a network of IPv6, in which a host has as many addresses as it likes.

    Source: RFC 4291 §2.5.1 (64 bits are the interface's); §2.5.5.2 for IPv4 in IPv6.
    """
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    if address.is_loopback:
        return str(address)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))


def open_files_share(one_in: int, limit: int) -> int:
    """A part of the files that may be open, one in `share`, and never more than `most`."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit if soft == resource.RLIM_INFINITY else max(1, min(limit, soft // one_in))
