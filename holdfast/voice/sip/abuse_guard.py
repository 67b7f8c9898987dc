"""Limit what unauthenticated hosts may do: request rates, wrong passwords, and requests that get no answer.

Everything is counted by host, because ports cost an attacker nothing; wrong passwords are counted by host and user
first, because many phones may stand behind one address. The memory is bounded: when it is full, the host that was
silent longest is removed.
Source: RFC 3261 §26.1.5 (denial of service), §26.3.2.4. RFC 5635 is left to the network.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from holdfast.voice.sip.effects import Address, LockedOut, PasswordWrong
from holdfast.voice.sip.message.message import Request, clean

SCANNERS = (
    *("friendly-scanner", "friendly-request", "sipvicious", "sipcli", "sip-scan", "sipscan", "sipsak", "sippts"),
    *("sundayddr", "iwar", "sivus", "gulp", "smap", "pplsip", "vaxsipuseragent", "siparmyknife", "test agent"),
)
"""User-Agent texts of programs that look for open servers, in lower case."""

REMEMBERED_S = 7200.0
"""A host stays known this long after a line authenticated there: two registrations of the longest kind."""

MAX_NAME_CHARACTERS = 64
"""Longer user names are counted by their first characters. No line has a longer name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbuseLimits:
    """Limits for one host.

    Units: requests and guesses; `…_burst` at once, `…_per_s` in each second afterwards. `guesses_…` counts wrong
    passwords of one user, `host_guesses_…` those of all users together.
    """

    requests_burst: float = 200.0
    requests_per_s: float = 50.0
    guesses_burst: float = 10.0
    guesses_per_s: float = 1 / 30
    host_guesses_burst: float = 100.0
    host_guesses_per_s: float = 1 / 3
    max_hosts: int = 10_000
    """The number of hosts, and of users at hosts, that each table remembers."""


class HostBuckets:
    """Token buckets, one for each host or user at a host.

    Invariant: there are at most `max_hosts` buckets; a bucket that is missing is full.
    """

    __slots__ = ("_buckets", "_burst", "_max_hosts", "_per_s")

    def __init__(self, *, burst: float, per_s: float, max_hosts: int) -> None:
        self._burst = burst
        self._per_s = per_s
        self._max_hosts = max_hosts
        self._buckets: dict[str, tuple[float, float]] = {}
        """Host → tokens left and the time of that count; the host that was silent longest comes first."""

    def __len__(self) -> int:
        return len(self._buckets)

    def tokens(self, host: str, now: float) -> float:
        """Return the number of tokens that a host has now."""
        tokens, updated_at = self._buckets.get(host, (self._burst, now))
        return min(self._burst, tokens + max(0.0, now - updated_at) * self._per_s)

    def wait_s(self, host: str, now: float) -> float:
        """Return how long a host waits for its next token. Units: seconds."""
        lacks = 1.0 - self.tokens(host, now)
        if lacks <= 0.0:
            return 0.0
        return lacks / self._per_s if self._per_s else math.inf

    def consume(self, host: str, now: float) -> bool:
        """Take one token and return whether there was one."""
        tokens = self.tokens(host, now)
        self._buckets.pop(host, None)
        enough = tokens >= 1.0
        self._buckets[host] = (tokens - 1.0 if enough else tokens, now)
        if len(self._buckets) > self._max_hosts:
            del self._buckets[next(iter(self._buckets))]
        return enough


class AbuseGuard:
    """The guard remembers hosts and users that send too much or authenticate wrongly.

    With `quiet`, unknown hosts that do not register get no answer.
    """

    __slots__ = ("_authenticated", "_guesses", "_host_guesses", "_known_hosts", "_limits", "_quiet", "_requests")

    def __init__(self, limits: AbuseLimits, *, quiet: bool) -> None:
        self._limits = limits
        self._quiet = quiet
        self._requests = HostBuckets(
            burst=limits.requests_burst, per_s=limits.requests_per_s, max_hosts=limits.max_hosts
        )
        self._guesses = HostBuckets(burst=limits.guesses_burst, per_s=limits.guesses_per_s, max_hosts=limits.max_hosts)
        self._host_guesses = HostBuckets(
            burst=limits.host_guesses_burst, per_s=limits.host_guesses_per_s, max_hosts=limits.max_hosts
        )
        self._known_hosts: dict[str, float] = {}
        """Hosts from which a line authenticated → when; the longest ago comes first."""
        self._authenticated: dict[str, float] = {}
        """Lines that authenticated, with their hosts → when; the longest ago comes first."""

    def rejection(self, received: Request | None, source: Address, now: float) -> str | None:
        """Return why a request outside all dialogs gets no answer, or None; an unreadable one is None."""
        if not self._requests.consume(source.host, now):
            return "too many requests"
        if not self._quiet:
            return None
        if received is not None and is_scanner(received):
            return "a scanner"
        if _is_recent(self._known_hosts, source.host, now) or (received is not None and received.method == "REGISTER"):
            return None
        return "an unknown host"

    def may_authenticate(self, user: str, source: Address, now: float) -> bool:
        """Return whether a password of this user from this host is checked.

        It is not checked after too many wrong passwords of this user, or of this host. The limit of the host does not
        apply to a user who authenticated there before.
        """
        user_at_host = _user_at_host(user, source)
        if self._guesses.tokens(user_at_host, now) < 1.0:
            return False
        return self._host_guesses.tokens(source.host, now) >= 1.0 or _is_recent(self._authenticated, user_at_host, now)

    def record_failure(self, user: str, source: Address, now: float) -> tuple[PasswordWrong | LockedOut, ...]:
        """Count a wrong password from this host and return the events to emit.

        While the user or the host is locked out, nothing is counted and no event is emitted.
        """
        if not self.may_authenticate(user, source, now):
            return ()
        user_at_host = _user_at_host(user, source)
        self._guesses.consume(user_at_host, now)
        consumed = self._host_guesses.consume(source.host, now)
        user_s, host_s = self._guesses.wait_s(user_at_host, now), self._host_guesses.wait_s(source.host, now)
        name = clean(user[:MAX_NAME_CHARACTERS])
        events: list[PasswordWrong | LockedOut] = []
        if user_s > 0.0:
            events.append(LockedOut(source=source, user=name, retry_in_s=user_s))
        else:
            events.append(PasswordWrong(source=source, user=name))
        if consumed and host_s > 0.0:
            events.append(LockedOut(source=source, user=None, retry_in_s=host_s))
        return tuple(events)

    def record_success(self, user: str, source: Address, now: float) -> None:
        """Record that a line authenticated from this host."""
        for record, name in ((self._known_hosts, source.host), (self._authenticated, _user_at_host(user, source))):
            record.pop(name, None)
            record[name] = now
            if len(record) > self._limits.max_hosts:
                del record[next(iter(record))]


def _user_at_host(user: str, source: Address) -> str:
    """Return the name of a user at a host, in bounded space."""
    return f"{source.host} {user[:MAX_NAME_CHARACTERS]}"


def _is_recent(record: dict[str, float], name: str, now: float) -> bool:
    last_at = record.get(name)
    return last_at is not None and now - last_at <= REMEMBERED_S


def is_scanner(received: Request) -> bool:
    """Return whether the User-Agent of a request is that of a scanner."""
    name = (received.first("User-Agent") or "").lower()
    return any(scanner in name for scanner in SCANNERS)
