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

TOLD_EVERY_S = 60.0
MOST_TOLD = 1000
"""Of how many hosts it is remembered when they were last named in the log."""
OTHERS = "(others)"


class Member(Protocol):
    """One connection, or one request of a connection that carries requests of several hosts."""

    def give_way(self) -> None:
        """End at once: the place is taken by another one."""
        ...


M = TypeVar("M", bound=Member)


class Crowd(Generic[M]):
    """Members by host. Invariant: no more than `most`, nor than `most_of_one_host` of one, and each is counted once.

    Units: who has waited for less than `patience_s` seconds does not give way to a newcomer of its own host.
    """

    def __init__(self, *, most: int, most_of_one_host: int, patience_s: float = 0.0) -> None:
        self.most = most
        self.most_of_one_host = most_of_one_host
        self._patience_s = patience_s
        self._host: dict[M, str] = {}
        self._of: Counter[str] = Counter()
        self._waiting: dict[str, dict[M, float]] = {}
        """Since when each waits, the longest first; hosts without any are not there."""

    def __len__(self) -> int:
        return len(self._host)

    def members(self) -> tuple[M, ...]:
        """All of them."""
        return tuple(self._host)

    def of(self, host: str) -> int:
        """How many there are of that host."""
        return self._of.get(host, 0)

    def has_room(self, host: str, now: float) -> bool:
        """Whether `enter` would succeed."""
        return not self._is_full(host) or self._who_gives_way(host, now) is not None

    def enter(self, member: M, host: str, now: float) -> bool:
        """Count a new member, which waits; False when there is no room for it."""
        if self._is_full(host):
            out = self._who_gives_way(host, now)
            if out is None:
                return False
            self.leave(out)
            out.give_way()
        self._host[member] = host
        self._of[host] += 1
        self.waits(member, now)
        return True

    def leave(self, member: M) -> None:
        """A member is gone; nothing happens when it is none."""
        self.works(member)
        host = self._host.pop(member, None)
        if host is not None:
            self._of[host] -= 1
            if not self._of[host]:
                del self._of[host]

    def waits(self, member: M, now: float) -> None:
        """The rest of its request is awaited from now on, or still."""
        host = self._host.get(member)
        if host is not None:
            self._waiting.setdefault(host, {}).setdefault(member, now)

    def works(self, member: M) -> None:
        """Its request is whole: it keeps its place."""
        host = self._host.get(member)
        waiting = self._waiting.get(host) if host is not None else None
        if host is not None and waiting is not None:
            waiting.pop(member, None)
            if not waiting:
                del self._waiting[host]

    def _is_full(self, host: str) -> bool:
        return self.of(host) >= self.most_of_one_host or len(self) >= self.most

    def _who_gives_way(self, host: str, now: float) -> M | None:
        crowded: str | None = host
        if self.of(host) < self.most_of_one_host:
            crowded = max(self._waiting, key=lambda each: (self._of[each], -self._since(each)), default=None)
            if crowded is not None and self.of(crowded) <= self.of(host):
                crowded = host
        if crowded is None or crowded not in self._waiting:
            return None
        if crowded == host and now - self._since(host) < self._patience_s:
            return None
        return next(iter(self._waiting[crowded]))

    def _since(self, host: str) -> float:
        return next(iter(self._waiting[host].values()))


class TurnedAway:
    """What the log says of connections that are refused or cut off: one line per host and minute."""

    def __init__(self, log: logging.Logger, what: str) -> None:
        self._log = log
        self._what = what
        self._told: dict[str, float] = {}
        self._untold: Counter[str] = Counter()

    def tell(self, host: str, why: str, now: float) -> None:
        """Count one more, and name the host when it was not named within the last minute."""
        if host not in self._told and len(self._told) >= MOST_TOLD:
            self._told = {each: at for each, at in self._told.items() if now - at < TOLD_EVERY_S}
            self._untold = Counter({each: self._untold[each] for each in self._told if self._untold[each]})
            if len(self._told) >= MOST_TOLD:
                host = OTHERS
        self._untold[host] += 1
        if host not in self._told or now - self._told[host] >= TOLD_EVERY_S:
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


def share_of_files(share: int, most: int) -> int:
    """A part of the files that may be open, one in `share`, and never more than `most`."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return most if soft == resource.RLIM_INFINITY else max(1, min(most, soft // share))
