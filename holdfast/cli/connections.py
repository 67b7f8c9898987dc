"""HTTP connections with an end: a request has to come whole in time, and only so many are open at once.

Uvicorn gives idle connections an end, but none to one that never finishes its request; each costs a file descriptor,
of which webhooks and SIP over TCP need some too.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

log = logging.getLogger(__name__)

REQUEST_WITHIN_S = 20.0
MOST = 1000
COMING = (h11.IDLE, h11.SEND_BODY)
"""The states in which a request has still to come, or the rest of it."""


def most_connections() -> int:
    """How many may be open at once: a quarter of the file descriptors there are, and never more than `MOST`."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else min(MOST, soft // 4)


class BoundedConnection(H11Protocol):
    """A connection of the HTTP server. Units: `within_s` seconds from its opening, or a request's first byte."""

    within_s: ClassVar[float] = REQUEST_WITHIN_S
    most: ClassVar[int | None] = None
    """None: `most_connections()`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Source: asyncio.Protocol."""
        if len(self.connections) >= (most_connections() if self.most is None else self.most):
            log.warning("fact=ConnectionRefused why=%d HTTP connections are open", len(self.connections))
            transport.abort()
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Source: asyncio.Protocol."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Source: asyncio.Protocol."""
        self._stop()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Give what is still to come its time; the time runs from the first byte, not from the latest."""
        if self.conn.their_state not in COMING:
            self._stop()
        elif self._late is None:
            self._late = asyncio.get_running_loop().call_later(self.within_s, self._cut)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _cut(self) -> None:
        self._late = None
        if self.conn.their_state in COMING:
            self.transport.close()
