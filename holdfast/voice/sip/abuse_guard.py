"""Closed doors: how often a stranger may ask, how often it may guess a password, and to whom nothing is answered.

All of it is counted by host, since ports cost an attacker nothing; guesses by host and user first, since many phones
may stand behind one address. The memory is bounded: of more than that the one that was silent longest is forgotten.
Source: RFC 3261 §26.1.5 (denial of service), §26.3.2.4; RFC 5635 is left to the network.
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
"""How programs that look for open servers call themselves, in lower case."""

REMEMBERED_S = 7200.0
"""How long a line that proved itself is known at its host: two registrations of the longest kind."""

LONGEST_NAME = 64
"""Longer user names count as what they begin with. No line has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AbuseLimits:
    """What one host may do. Units: requests and guesses, at once (`…_burst`) and each second afterwards.

    Guesses at one user's password, and (`host_…`) at those of all users together.
    """

    requests_burst: float = 200.0
    requests_per_s: float = 50.0
    guesses_burst: float = 10.0
    guesses_per_s: float = 1 / 30
    host_guesses_burst: float = 100.0
    host_guesses_per_s: float = 1 / 3
    hosts: int = 10_000
    """Hosts, and users at hosts, that are remembered, in each of our books."""


class HostBuckets:
    """A token bucket for each host, or user at a host. Invariant: at most `most` buckets; one not there is full."""

    __slots__ = ("_burst", "_left", "_most", "_per_s")

    def __init__(self, *, burst: float, per_s: float, most: int) -> None:
        self._burst = burst
        self._per_s = per_s
        self._most = most
        self._left: dict[str, tuple[float, float]] = {}
        """Host → tokens left, and when that was; the one that was silent longest first."""

    def __len__(self) -> int:
        return len(self._left)

    def left(self, host: str, now: float) -> float:
        """The tokens of a host."""
        tokens, at = self._left.get(host, (self._burst, now))
        return min(self._burst, tokens + max(0.0, now - at) * self._per_s)

    def again_s(self, host: str, now: float) -> float:
        """After how long a host has a token. Units: seconds."""
        lacks = 1.0 - self.left(host, now)
        if lacks <= 0.0:
            return 0.0
        return lacks / self._per_s if self._per_s else math.inf

    def take(self, host: str, now: float) -> bool:
        """Take a token, if there is one."""
        tokens = self.left(host, now)
        self._left.pop(host, None)
        enough = tokens >= 1.0
        self._left[host] = (tokens - 1.0 if enough else tokens, now)
        if len(self._left) > self._most:
            del self._left[next(iter(self._left))]
        return enough


class AbuseGuard:
    """What is remembered of strangers. With `quiet` nothing is answered to those who have no business here."""

    __slots__ = ("_guesses", "_host_guesses", "_known", "_limits", "_proved", "_quiet", "_requests")

    def __init__(self, limits: AbuseLimits, *, quiet: bool) -> None:
        self._limits = limits
        self._quiet = quiet
        self._requests = HostBuckets(burst=limits.requests_burst, per_s=limits.requests_per_s, most=limits.hosts)
        self._guesses = HostBuckets(burst=limits.guesses_burst, per_s=limits.guesses_per_s, most=limits.hosts)
        self._host_guesses = HostBuckets(
            burst=limits.host_guesses_burst, per_s=limits.host_guesses_per_s, most=limits.hosts
        )
        self._known: dict[str, float] = {}
        """Hosts where somebody proved to be a line → when, the longest ago first."""
        self._proved: dict[str, float] = {}
        """Lines that proved themselves, at their hosts → when, the longest ago first."""

    def closed_to(self, asked: Request | None, source: Address, now: float) -> str | None:
        """Why a request that begins something is not even answered, or None. `asked` None: it could not be read."""
        if not self._requests.take(source.host, now):
            return "too many requests"
        if not self._quiet:
            return None
        if asked is not None and is_scanner(asked):
            return "a scanner"
        if _is_recent(self._known, source.host, now) or (asked is not None and asked.method == "REGISTER"):
            return None
        return "nobody we know"

    def may_prove(self, user: str, source: Address, now: float) -> bool:
        """Whether this user's password is looked at from there.

        It is not where too often it was wrong, or where too many passwords were; the latter hinders nobody who proved
        his own there.
        """
        at = _at(user, source)
        if self._guesses.left(at, now) < 1.0:
            return False
        return self._host_guesses.left(source.host, now) >= 1.0 or _is_recent(self._proved, at, now)

    def guessed(self, user: str, source: Address, now: float) -> tuple[PasswordWrong | LockedOut, ...]:
        """A wrong password came from there: what is to be told of it, and which doors that closes.

        Behind a closed one nothing is counted and nothing told.
        """
        if not self.may_prove(user, source, now):
            return ()
        at = _at(user, source)
        self._guesses.take(at, now)
        closes = self._host_guesses.take(source.host, now)
        user_s, host_s = self._guesses.again_s(at, now), self._host_guesses.again_s(source.host, now)
        name = clean(user[:LONGEST_NAME])
        told: list[PasswordWrong | LockedOut] = []
        if user_s > 0.0:
            told.append(LockedOut(source=source, user=name, again_s=user_s))
        else:
            told.append(PasswordWrong(source=source, user=name))
        if closes and host_s > 0.0:
            told.append(LockedOut(source=source, user=None, again_s=host_s))
        return tuple(told)

    def proved(self, user: str, source: Address, now: float) -> None:
        """Somebody there is this line of ours."""
        for book, name in ((self._known, source.host), (self._proved, _at(user, source))):
            book.pop(name, None)
            book[name] = now
            if len(book) > self._limits.hosts:
                del book[next(iter(book))]


def _at(user: str, source: Address) -> str:
    """Names a user at a host, in bounded space."""
    return f"{source.host} {user[:LONGEST_NAME]}"


def _is_recent(book: dict[str, float], name: str, now: float) -> bool:
    at = book.get(name)
    return at is not None and now - at <= REMEMBERED_S


def is_scanner(asked: Request) -> bool:
    """Whether a request says itself that it comes from a scanner."""
    name = (asked.first("User-Agent") or "").lower()
    return any(scanner in name for scanner in SCANNERS)
