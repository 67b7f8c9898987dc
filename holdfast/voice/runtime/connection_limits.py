"""Limit connections by host, so that a host that opens too many of them is refused alone.

    limiter = ConnectionLimiter(max_total=1000, max_per_host=250)
    if not limiter.admit(connection, host_of("203.0.113.7"), now): …

At a limit, the connection that has waited longest for the rest of its request or message is evicted: a client that
never completes a request must not keep out one that does. The evicted connection belongs to the new connection's host
when that host is at its own limit, else to the host with the most connections.
"""

from __future__ import annotations

import ipaddress
import logging
import resource
from collections import Counter
from typing import Generic, Protocol, TypeVar

REPORT_EVERY_S = 60.0
MAX_HOSTS_REMEMBERED = 1000
"""The maximum number of hosts for which the time of the last log line is remembered."""
OTHERS = "(others)"


class HostConnection(Protocol):
    """A member is one connection, or one request of a connection that carries requests of several hosts."""

    def evict(self) -> None:
        """Close at once, because another connection takes the place."""
        ...


M = TypeVar("M", bound=HostConnection)


class ConnectionLimiter(Generic[M]):
    """A limiter counts members by host.

    Invariant: at most `max_total` members, at most `max_per_host` of one host, each counted once.
    Units: a member that has waited for less than `grace_s` seconds is not evicted for another one of its own host.
    """

    def __init__(self, *, max_total: int, max_per_host: int, grace_s: float = 0.0) -> None:
        self.max_total = max_total
        self.max_per_host = max_per_host
        self._grace_s = grace_s
        self._host_of_member: dict[M, str] = {}
        self._counts: Counter[str] = Counter()
        self._waiting: dict[str, dict[M, float]] = {}
        """The time since which each member waits, by host, the longest first; other hosts are absent."""

    def __len__(self) -> int:
        return len(self._host_of_member)

    def members(self) -> tuple[M, ...]:
        """Return all members."""
        return tuple(self._host_of_member)

    def count_of(self, host: str) -> int:
        """Return the number of members of that host."""
        return self._counts.get(host, 0)

    def has_room(self, host: str, now: float) -> bool:
        """Return whether `admit` would succeed."""
        return not self._is_full(host) or self._member_to_evict(host, now) is not None

    def admit(self, member: M, host: str, now: float) -> bool:
        """Add a member that waits for its request; return False when there is no room for it."""
        if self._is_full(host):
            evicted = self._member_to_evict(host, now)
            if evicted is None:
                return False
            self.remove(evicted)
            evicted.evict()
        self._host_of_member[member] = host
        self._counts[host] += 1
        self.mark_waiting(member, now)
        return True

    def remove(self, member: M) -> None:
        """Remove a member; do nothing if it is not one."""
        self.mark_served(member)
        host = self._host_of_member.pop(member, None)
        if host is not None:
            self._counts[host] -= 1
            if not self._counts[host]:
                del self._counts[host]

    def mark_waiting(self, member: M, now: float) -> None:
        """Mark that the member waits for the rest of its request; an earlier mark stays."""
        host = self._host_of_member.get(member)
        if host is not None:
            self._waiting.setdefault(host, {}).setdefault(member, now)

    def mark_served(self, member: M) -> None:
        """Mark that the member's request is complete, so that it is not evicted."""
        host = self._host_of_member.get(member)
        waiting = self._waiting.get(host) if host is not None else None
        if host is not None and waiting is not None:
            waiting.pop(member, None)
            if not waiting:
                del self._waiting[host]

    def _is_full(self, host: str) -> bool:
        return self.count_of(host) >= self.max_per_host or len(self) >= self.max_total

    def _member_to_evict(self, host: str, now: float) -> M | None:
        busiest: str | None = host
        if self.count_of(host) < self.max_per_host:
            busiest = max(
                self._waiting, key=lambda each: (self._counts[each], -self._waiting_since(each)), default=None
            )
            if busiest is not None and self.count_of(busiest) <= self.count_of(host):
                busiest = host
        if busiest is None or busiest not in self._waiting:
            return None
        if busiest == host and now - self._waiting_since(host) < self._grace_s:
            return None
        return next(iter(self._waiting[busiest]))

    def _waiting_since(self, host: str) -> float:
        return next(iter(self._waiting[host].values()))


class RejectionLog:
    """A rejection log writes one line per host and minute about connections that are refused or closed."""

    def __init__(self, log: logging.Logger, kind: str) -> None:
        self._log = log
        self._kind = kind
        self._logged_at: dict[str, float] = {}
        self._unlogged: Counter[str] = Counter()

    def report(self, host: str, why: str, now: float) -> None:
        """Count a rejection, and log it unless the host was logged within the last minute."""
        if host not in self._logged_at and len(self._logged_at) >= MAX_HOSTS_REMEMBERED:
            self._logged_at = {
                each: logged_at for each, logged_at in self._logged_at.items() if now - logged_at < REPORT_EVERY_S
            }
            self._unlogged = Counter({each: self._unlogged[each] for each in self._logged_at if self._unlogged[each]})
            if len(self._logged_at) >= MAX_HOSTS_REMEMBERED:
                host = OTHERS
        self._unlogged[host] += 1
        if host not in self._logged_at or now - self._logged_at[host] >= REPORT_EVERY_S:
            self._log.warning(
                "fact=TurnedAway host=%s what=%r count=%d why=%r", host, self._kind, self._unlogged[host], why
            )
            self._logged_at[host] = now
            del self._unlogged[host]


def host_of(ip: str) -> str:
    """Return the host that an address belongs to: an IPv4 address, or the /64 network of an IPv6 address.

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
    """Return one part in `one_in` of the files that this process may open, and at most `limit`."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit if soft == resource.RLIM_INFINITY else max(1, min(limit, soft // one_in))
