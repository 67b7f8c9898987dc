"""What a web server allows us to keep of its answers, and a cache that keeps it so.

Source: RFC 9111 (HTTP caching), RFC 5861 (stale-while-revalidate).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Generic, Literal, TypeVar

V = TypeVar("V")

Freshness = Literal["fresh", "stale-while-revalidate", "stale"]
"""Usable as it is; usable at once while it is asked for again behind; only usable after asking."""

YEAR_S = 31_536_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """The caching part of an answer's headers. Units: seconds.

    `shared` says that it may serve other calls than the one that asked.
    """

    storable: bool = True
    shared: bool = False
    must_revalidate: bool = False
    """`no-cache` or `must-revalidate`: never used unasked once stale."""
    lifetime_s: float | None = None
    stale_while_revalidate_s: float = 0.0
    etag: str | None = None
    last_modified: str | None = None

    @property
    def is_useful(self) -> bool:
        """Whether keeping it could ever save anything."""
        has_lifetime = self.lifetime_s is not None and self.lifetime_s > 0
        return self.storable and (has_lifetime or self.etag is not None or self.last_modified is not None)

    def conditions(self) -> dict[str, str]:
        """Headers that ask for the body only if it has changed."""
        headers = {}
        if self.etag is not None:
            headers["If-None-Match"] = self.etag
        if self.last_modified is not None:
            headers["If-Modified-Since"] = self.last_modified
        return headers


def read_cache_policy(headers: Mapping[str, str]) -> CachePolicy:
    """Read the headers of an answer. Shape: names in lower case. Nonsense counts as absent, and never as permission."""
    directives = _directives(headers.get("cache-control", ""))
    lifetime = _seconds(directives.get("max-age"))
    if lifetime is None and "max-age" not in directives:
        lifetime = _expiry(headers)
    if lifetime is not None:
        lifetime = max(0.0, lifetime - (_seconds(headers.get("age")) or 0.0))
    if "no-cache" in directives:
        lifetime = 0.0
    varies = headers.get("vary", "")
    personal = "private" in directives or "set-cookie" in headers or "*" in varies or "cookie" in varies.lower()
    return CachePolicy(
        storable="no-store" not in directives and "*" not in varies,
        shared=not personal,
        must_revalidate="must-revalidate" in directives or "no-cache" in directives,
        lifetime_s=lifetime,
        stale_while_revalidate_s=_seconds(directives.get("stale-while-revalidate")) or 0.0,
        etag=_short(headers.get("etag")),
        last_modified=_short(headers.get("last-modified")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedResponse(Generic[V]):
    """A kept answer. Units: `at` the moment it was got or confirmed, `size` bytes."""

    value: V
    policy: CachePolicy
    fetched_at: float
    size: int

    def freshness(self, now: float) -> Freshness:
        """Whether it may be used now."""
        lifetime = self.policy.lifetime_s
        if lifetime is None:
            return "stale"
        if now < self.fetched_at + lifetime:
            return "fresh"
        return (
            "stale-while-revalidate"
            if now < self.fetched_at + lifetime + self.policy.stale_while_revalidate_s
            else "stale"
        )


class ResponseCache(Generic[V]):
    """Kept answers by key; the least recently used go when there are too many bytes."""

    def __init__(self, *, budget_bytes: int) -> None:
        self._kept: OrderedDict[Hashable, CachedResponse[V]] = OrderedDict()
        self._budget = budget_bytes
        self._size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Hashable) -> CachedResponse[V] | None:
        """The answer kept under a key, however old."""
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
        return kept

    def put(self, key: Hashable, value: V, *, policy: CachePolicy, now: float, size: int) -> None:
        """Keep an answer in place of an older one; nothing is kept that is larger than the whole budget."""
        self.remove(key)
        if size > self._budget:
            return
        self._kept[key] = CachedResponse(value=value, policy=policy, fetched_at=now, size=size)
        self._size += size
        while self._size > self._budget:
            _, gone = self._kept.popitem(last=False)
            self._size -= gone.size

    def confirm(self, key: Hashable, policy: CachePolicy, *, now: float) -> None:
        """The web server says it has not changed (304): it is as new as if just got.

        A validator that the confirmation leaves out stays. Source: RFC 9111 §4.3.4.
        """
        kept = self._kept.get(key)
        if kept is None:
            return
        renewed = replace(
            policy,
            etag=policy.etag or kept.policy.etag,
            last_modified=policy.last_modified or kept.policy.last_modified,
            lifetime_s=kept.policy.lifetime_s if policy.lifetime_s is None else policy.lifetime_s,
        )
        self._kept[key] = replace(kept, policy=renewed, fetched_at=now)

    def remove(self, key: Hashable) -> None:
        """Keep it no longer; no error when it was not kept."""
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._size -= gone.size


def _directives(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.lower().split(","):
        name, _, value = part.strip().partition("=")
        found.setdefault(name.strip(), value.strip().strip('"'))
    return found


def _seconds(text: str | None) -> float | None:
    if text is None or not (text.isascii() and text.isdigit()):
        return None
    return min(float(text[:12]), YEAR_S)


def _expiry(headers: Mapping[str, str]) -> float | None:
    """The lifetime that `Expires` gives; an unreadable one has expired. Source: RFC 9111 §5.3."""
    if "expires" not in headers:
        return None
    try:
        ends = parsedate_to_datetime(headers["expires"])
        began = parsedate_to_datetime(headers["date"])
        return min(max(0.0, (ends - began).total_seconds()), YEAR_S)
    except (KeyError, ValueError, TypeError, OverflowError):
        return 0.0


def _short(text: str | None) -> str | None:
    """A validator of a sane size, or None."""
    return text if text and len(text) <= 512 else None
