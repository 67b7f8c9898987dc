"""Read what a web server allows us to cache of its responses, and cache them.

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
"""A response may be used as it is, used at once while it is revalidated, or used after revalidation only."""

YEAR_S = 31_536_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """A cache policy holds the caching part of a response's headers. Units: seconds.

    `shared` means that the response may serve other calls than the one that requested it.
    """

    storable: bool = True
    shared: bool = False
    must_revalidate: bool = False
    """`no-cache` or `must-revalidate`: a stale response is never used without revalidation."""
    lifetime_s: float | None = None
    stale_while_revalidate_s: float = 0.0
    etag: str | None = None
    last_modified: str | None = None

    @property
    def is_useful(self) -> bool:
        """Return whether caching the response could ever save a transfer."""
        has_lifetime = self.lifetime_s is not None and self.lifetime_s > 0
        return self.storable and (has_lifetime or self.etag is not None or self.last_modified is not None)

    def conditions(self) -> dict[str, str]:
        """Return the headers that request the body only if it has changed."""
        headers = {}
        if self.etag is not None:
            headers["If-None-Match"] = self.etag
        if self.last_modified is not None:
            headers["If-Modified-Since"] = self.last_modified
        return headers


def read_cache_policy(headers: Mapping[str, str]) -> CachePolicy:
    """Read the headers of a response; an invalid value counts as absent, and never as permission.

    Shape: header names in lower case.
    """
    directives = _directives(headers.get("cache-control", ""))
    lifetime = _seconds(directives.get("max-age"))
    if lifetime is None and "max-age" not in directives:
        lifetime = _expiry(headers)
    if lifetime is not None:
        lifetime = max(0.0, lifetime - (_seconds(headers.get("age")) or 0.0))
    if "no-cache" in directives:
        lifetime = 0.0
    vary = headers.get("vary", "")
    is_private = "private" in directives or "set-cookie" in headers or "*" in vary or "cookie" in vary.lower()
    return CachePolicy(
        storable="no-store" not in directives and "*" not in vary,
        shared=not is_private,
        must_revalidate="must-revalidate" in directives or "no-cache" in directives,
        lifetime_s=lifetime,
        stale_while_revalidate_s=_seconds(directives.get("stale-while-revalidate")) or 0.0,
        etag=_validator(headers.get("etag")),
        last_modified=_validator(headers.get("last-modified")),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedResponse(Generic[V]):
    """A cached response. Units: `fetched_at` seconds since the Unix epoch, fetched or confirmed; `size` bytes."""

    value: V
    policy: CachePolicy
    fetched_at: float
    size: int

    def freshness(self, now: float) -> Freshness:
        """Return whether and how the response may be used now."""
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
    """A cache holds responses by key, and drops the least recently used beyond its budget of bytes."""

    def __init__(self, *, budget_bytes: int) -> None:
        self._responses: OrderedDict[Hashable, CachedResponse[V]] = OrderedDict()
        self._budget = budget_bytes
        self._size = 0

    def __len__(self) -> int:
        return len(self._responses)

    def get(self, key: Hashable) -> CachedResponse[V] | None:
        """Return the response cached under a key, however old."""
        cached = self._responses.get(key)
        if cached is not None:
            self._responses.move_to_end(key)
        return cached

    def put(self, key: Hashable, value: V, *, policy: CachePolicy, now: float, size: int) -> None:
        """Cache a response in place of an older one; a response larger than the whole budget is not cached."""
        self.remove(key)
        if size > self._budget:
            return
        self._responses[key] = CachedResponse(value=value, policy=policy, fetched_at=now, size=size)
        self._size += size
        while self._size > self._budget:
            _, dropped = self._responses.popitem(last=False)
            self._size -= dropped.size

    def confirm(self, key: Hashable, policy: CachePolicy, *, now: float) -> None:
        """Renew a cached response that the web server says has not changed (304).

        A validator that the confirmation leaves out stays. Source: RFC 9111 §4.3.4.
        """
        cached = self._responses.get(key)
        if cached is None:
            return
        renewed = replace(
            policy,
            etag=policy.etag or cached.policy.etag,
            last_modified=policy.last_modified or cached.policy.last_modified,
            lifetime_s=cached.policy.lifetime_s if policy.lifetime_s is None else policy.lifetime_s,
        )
        self._responses[key] = replace(cached, policy=renewed, fetched_at=now)

    def remove(self, key: Hashable) -> None:
        """Remove a cached response, if there is one."""
        removed = self._responses.pop(key, None)
        if removed is not None:
            self._size -= removed.size


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
    """Return the lifetime that `Expires` gives; an unreadable one has expired. Source: RFC 9111 §5.3."""
    if "expires" not in headers:
        return None
    try:
        ends = parsedate_to_datetime(headers["expires"])
        began = parsedate_to_datetime(headers["date"])
        return min(max(0.0, (ends - began).total_seconds()), YEAR_S)
    except (KeyError, ValueError, TypeError, OverflowError):
        return 0.0


def _validator(text: str | None) -> str | None:
    """Return a validator of at most 512 characters, else None."""
    return text if text and len(text) <= 512 else None
