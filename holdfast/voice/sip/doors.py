"""Closed doors: how often a stranger may ask, how often it may guess a password, and to whom nothing is answered.

All of it is counted by host, since ports cost an attacker nothing. The memory is bounded: of more hosts than that the
one that was silent longest is forgotten.
Source: RFC 3261 §26.1.5 (denial of service), §26.3.2.4; RFC 5635 is left to the network.
"""

from __future__ import annotations

from dataclasses import dataclass

from holdfast.voice.sip.effects import Address
from holdfast.voice.sip.message import Request

SCANNERS = (
    *("friendly-scanner", "friendly-request", "sipvicious", "sipcli", "sip-scan", "sipscan", "sipsak", "sippts"),
    *("sundayddr", "iwar", "sivus", "gulp", "smap", "pplsip", "vaxsipuseragent", "siparmyknife", "test agent"),
)
"""How programs that look for open servers call themselves, in lower case."""

REMEMBERED_S = 7200.0
"""How long a host is known after somebody there proved to be a line: two registrations of the longest kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one host may do. Units: requests and guesses, at once (`…_burst`) and each second afterwards."""

    requests_burst: float = 200.0
    requests_per_s: float = 50.0
    guesses_burst: float = 10.0
    guesses_per_s: float = 1 / 30
    hosts: int = 10_000
    """Hosts remembered, in each of our books."""


class Buckets:
    """A token bucket for each host. Invariant: at most `most` buckets; one not there is full."""

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

    def take(self, host: str, now: float) -> bool:
        """Take a token, if there is one."""
        tokens = self.left(host, now)
        self._left.pop(host, None)
        enough = tokens >= 1.0
        self._left[host] = (tokens - 1.0 if enough else tokens, now)
        if len(self._left) > self._most:
            del self._left[next(iter(self._left))]
        return enough


class Doors:
    """What is remembered of strangers. With `quiet` nothing is answered to those who have no business here."""

    __slots__ = ("_guesses", "_known", "_limits", "_quiet", "_requests")

    def __init__(self, limits: Limits, *, quiet: bool) -> None:
        self._limits = limits
        self._quiet = quiet
        self._requests = Buckets(burst=limits.requests_burst, per_s=limits.requests_per_s, most=limits.hosts)
        self._guesses = Buckets(burst=limits.guesses_burst, per_s=limits.guesses_per_s, most=limits.hosts)
        self._known: dict[str, float] = {}
        """Hosts where somebody proved to be a line → when, the longest ago first."""

    def closed_to(self, asked: Request | None, source: Address, now: float) -> str | None:
        """Why a request that begins something is not even answered, or None. `asked` None: it could not be read."""
        if not self._requests.take(source.host, now):
            return "too many requests"
        if not self._quiet:
            return None
        if asked is not None and is_scanner(asked):
            return "a scanner"
        if self._knows(source.host, now) or (asked is not None and asked.method == "REGISTER"):
            return None
        return "nobody we know"

    def may_prove(self, source: Address, now: float) -> bool:
        """Whether credentials from there are looked at; those of a host that guessed too often are wrong unseen."""
        return self._guesses.left(source.host, now) >= 1.0

    def guessed(self, source: Address, now: float) -> bool:
        """A wrong password came from there. Whether that closes the door."""
        self._guesses.take(source.host, now)
        return not self.may_prove(source, now)

    def proved(self, source: Address, now: float) -> None:
        """Somebody there is a line of ours."""
        self._known.pop(source.host, None)
        self._known[source.host] = now
        if len(self._known) > self._limits.hosts:
            del self._known[next(iter(self._known))]

    def _knows(self, host: str, now: float) -> bool:
        return now - self._known.get(host, now - 2 * REMEMBERED_S) <= REMEMBERED_S


def is_scanner(asked: Request) -> bool:
    """Whether a request says itself that it comes from a scanner."""
    name = (asked.first("User-Agent") or "").lower()
    return any(scanner in name for scanner in SCANNERS)
