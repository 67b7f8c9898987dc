"""Keep the console's sessions, and the keys that can be used once to begin one.

A key is in the fragment of a link, which a browser sends to no server; the page exchanges it by POST. Keys and the
tokens of sessions are 256 random bits, kept as digests, in memory only: they end when the server stops.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager

KEY_LIFETIME_S = 600.0
SESSION_LIFETIME_S = 12 * 3600.0
TOKEN_BYTES = 32
MAX_KEYS = 20
MAX_SESSIONS = 100
"""Above these limits the oldest end: only the account can make a key, and so a session."""


class ConsoleSession:
    """The session of a browser that signed in. Units: `ends_at` seconds of the clock of `Sessions`."""

    def __init__(self, *, ends_at: float, now: Callable[[], float]) -> None:
        self.ends_at = ends_at
        self._now = now
        self._timeouts: set[asyncio.Timeout] = set()

    @property
    def remaining_s(self) -> float:
        """Return how long the session still lasts, 0 when it has ended. Units: seconds."""
        return max(0.0, self.ends_at - self._now())

    @asynccontextmanager
    async def while_valid(self) -> AsyncIterator[None]:
        """Cut off the block when the session ends. Raises: TimeoutError."""
        async with asyncio.timeout(self.remaining_s) as wait:
            self._timeouts.add(wait)
            try:
                yield
            finally:
                self._timeouts.discard(wait)

    def end(self) -> None:
        """End the session now, and cut off the blocks within it."""
        self.ends_at = min(self.ends_at, self._now())
        for wait in self._timeouts:
            if not wait.expired():
                wait.reschedule(asyncio.get_running_loop().time())


class Sessions:
    """The keys and sessions of one server."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._keys: dict[bytes, float] = {}
        self._sessions: dict[bytes, ConsoleSession] = {}

    def new_key(self) -> str:
        """Return a key for one link, to be used once, within ten minutes."""
        key = secrets.token_urlsafe(TOKEN_BYTES)
        self._keys[_digest(key)] = self._now() + KEY_LIFETIME_S
        while len(self._keys) > MAX_KEYS:
            del self._keys[next(iter(self._keys))]
        return key

    def exchange_key(self, key: str) -> str | None:
        """Exchange a key for the token of a new session, or return None when the key is unknown or expired."""
        found = _find_digest(key, self._keys)
        if found is None or self._keys.pop(found) <= self._now():
            return None
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._sessions = {digest: each for digest, each in self._sessions.items() if each.remaining_s}
        while len(self._sessions) >= MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions))).end()
        self._sessions[_digest(token)] = ConsoleSession(ends_at=self._now() + SESSION_LIFETIME_S, now=self._now)
        return token

    def find(self, authorization: str) -> ConsoleSession | None:
        """Return the live session that an Authorization header names, or None. Source: RFC 6750 §2.1."""
        scheme, _, token = authorization.partition(" ")
        found = _find_digest(token.strip(), self._sessions) if scheme.lower() == "bearer" else None
        session = None if found is None else self._sessions[found]
        return session if session is not None and session.remaining_s else None


def sign_in_url(base_url: str, key: str) -> str:
    """Return the link that signs a browser in."""
    return f"{base_url.rstrip('/')}/#key={key}"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _find_digest(token: str, digests: Iterable[bytes]) -> bytes | None:
    """Return the digest of this token among these, or None. The search takes the same time for every token."""
    wanted = _digest(token)
    found = None
    for each in digests:
        if hmac.compare_digest(each, wanted):
            found = each
    return found
