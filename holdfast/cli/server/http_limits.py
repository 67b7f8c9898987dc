"""Limit HTTP connections: each must send its request in time, and no host can use up the room of the others.

Uvicorn limits neither. A connection counts for its own host, and a request that a trusted proxy forwards for the host
that the proxy names. Connections from our own address are counted apart: room is kept for our own requests, and for
health checks of this machine.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Sequence
from typing import Any

import h11
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from holdfast.cli.server.forwarded_for import TrustedProxies
from holdfast.voice.runtime.connection_limits import (
    ConnectionLimiter,
    RejectionLog,
    host_of,
    open_files_share,
)

log = logging.getLogger(__name__)

REQUEST_TIMEOUT_S = 20.0
MIN_READ_BYTES = 16_384
"""How much of its response a peer must read in that time."""
MAX_CONNECTIONS = 1000
MAX_FILES = 65_536
STREAMS = frozenset({"/events"})
"""The paths whose responses have no end."""
RETRY_S = "5"
REQUEST_PENDING = (h11.IDLE, h11.SEND_BODY)
"""The states in which a request, or the rest of it, has not arrived yet."""

protocol_log = logging.getLogger(f"{__name__}.faults")
protocol_log.setLevel(logging.ERROR)
"""The log of uvicorn: internal errors, but no line for each request that cannot be read."""


def raise_file_limit() -> None:
    """Raise the limit of open files as far as the system allows: each limit of connections is a share of it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class ConnectionLimits:
    """The limits of all connections of a server. Units: `timeout_s` seconds for a request to arrive.

    The time runs from the opening of the connection, or from the first byte of the request. `max_connections` at once
    come from other addresses, a quarter of them from one host; as many again from our own address, of which requests
    that a proxy forwards leave a quarter free. None is an eighth of the files that may be open.
    `max_streams_per_host` responses without end go to one host.
    """

    def __init__(
        self,
        *,
        trusted_proxies: Sequence[str] = (),
        max_connections: int | None = None,
        max_per_host: int | None = None,
        max_streams_per_host: int | None = None,
        timeout_s: float = REQUEST_TIMEOUT_S,
    ) -> None:
        max_connections = open_files_share(8, MAX_CONNECTIONS) if max_connections is None else max_connections
        per_host = max(1, max_connections // 4) if max_per_host is None else max_per_host
        self.timeout_s = timeout_s
        self.proxies = TrustedProxies(trusted_proxies)
        self.rejections = RejectionLog(log, "HTTP connections")
        self._hosts: ConnectionLimiter[BoundedConnection] = ConnectionLimiter(
            max_total=max_connections, max_per_host=per_host
        )
        self._trusted: ConnectionLimiter[BoundedConnection] = ConnectionLimiter(
            max_total=max_connections, max_per_host=max_connections
        )
        self._own: ConnectionLimiter[BoundedConnection] = ConnectionLimiter(
            max_total=max_connections, max_per_host=max_connections
        )
        self.forwarded: ConnectionLimiter[BoundedConnection] = ConnectionLimiter(
            max_total=max(1, max_connections * 3 // 4), max_per_host=per_host
        )
        self.streams: ConnectionLimiter[BoundedConnection] = ConnectionLimiter(
            max_total=max(1, max_connections // 2),
            max_per_host=max(1, per_host // 2) if max_streams_per_host is None else max_streams_per_host,
        )

    def limiter_of(self, ip: str, *, from_own_address: bool) -> ConnectionLimiter[BoundedConnection]:
        """Return the limiter that counts a connection. `from_own_address`: it came from the address it came to."""
        if from_own_address:
            return self._own
        return self._trusted if self.proxies.contains(ip) else self._hosts

    def __call__(self, *args: Any, **kwargs: Any) -> BoundedConnection:
        """Return a connection for uvicorn."""
        return BoundedConnection(self, *args, **kwargs)


class BoundedConnection(H11Protocol):
    """A connection of the HTTP server, with limits."""

    def __init__(self, limits: ConnectionLimits, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = protocol_log
        self._limits = limits
        self._inner_app: ASGIApp = self.app
        self.app = self._handle
        self._limiter: ConnectionLimiter[BoundedConnection] | None = None
        self._ip = self._host = ""
        self._request_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Admit the connection, or close it when there is no room. Source: asyncio.Protocol."""
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._ip = "" if peer is None else str(peer[0])
        self._host = host_of(self._ip)
        limiter = self._limits.limiter_of(
            self._ip, from_own_address=peer is not None and own is not None and peer[0] == own[0]
        )
        super().connection_made(transport)
        # So that `pause_writing` is called at the first byte that the peer does not take, not after 64 kB.
        transport.set_write_buffer_limits(high=0)
        if peer is None or not limiter.admit(self, self._host, self.loop.time()):
            self._log_rejection("there are too many")
            transport.abort()
            return
        self._limiter = limiter
        self._update_request_timer()

    def data_received(self, data: bytes) -> None:
        """Handle bytes of the peer. Source: asyncio.Protocol."""
        super().data_received(data)
        self._update_request_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection. Source: asyncio.Protocol."""
        self._stop_request_timer()
        self._stop_write_timer()
        for limiter in (self._limiter, self._limits.forwarded, self._limits.streams):
            if limiter is not None:
                limiter.remove(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start to measure how fast the peer reads its response. Source: asyncio.Protocol."""
        super().pause_writing()
        if self._write_timer is None:
            self._start_write_timer()

    def resume_writing(self) -> None:
        """Stop measuring how fast the peer reads. Source: asyncio.Protocol."""
        self._stop_write_timer()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Wait for the next request, for as long as uvicorn does. Source: H11Protocol."""
        super().on_response_complete()
        self._update_limiters()

    def send_400_response(self, msg: str) -> None:
        """Log the host, and answer 400. Source: H11Protocol."""
        self._log_rejection("what they send is no HTTP")
        super().send_400_response(msg)

    def evict(self) -> None:
        """Close at once. Source: connection_limits.Member."""
        self._log_rejection("there are too many, and they are slow")
        self.transport.abort()

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request, unless its host has too many open ones."""
        limits, now = self._limits, self.loop.time()
        forwarded_for = limits.proxies.client_host(self._ip, scope["headers"])
        if forwarded_for is not None and not limits.forwarded.admit(self, forwarded_for, now):
            limits.rejections.report(forwarded_for, "there are too many, through a proxy", now)
            await _rejection(503, "too many requests of your host are under way")(scope, receive, send)
            return
        try:
            self._update_limiters()
            if scope["path"] in STREAMS:
                host = self._host if forwarded_for is None else forwarded_for
                if not limits.streams.admit(self, host, now):
                    limits.rejections.report(host, "there are too many event streams", now)
                    await _rejection(429, "your host watches too many event streams")(scope, receive, send)
                    return
                limits.streams.mark_served(self)
            await self._inner_app(scope, receive, send)
        finally:
            limits.forwarded.remove(self)
            limits.streams.remove(self)

    def _update_limiters(self) -> None:
        """Tell each limiter whether the connection waits for its peer or for us."""
        for limiter in (self._limiter, self._limits.forwarded):
            if limiter is not None:
                if self.conn.their_state in REQUEST_PENDING:
                    limiter.mark_waiting(self, self.loop.time())
                else:
                    limiter.mark_served(self)

    def _update_request_timer(self) -> None:
        """Start the timer while a request is incomplete. It runs from the first byte, not from the latest."""
        self._update_limiters()
        if self.conn.their_state not in REQUEST_PENDING:
            self._stop_request_timer()
        elif self._request_timer is None:
            self._request_timer = self.loop.call_later(self._limits.timeout_s, self._close_if_pending)

    def _stop_request_timer(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _close_if_pending(self) -> None:
        self._request_timer = None
        if self.conn.their_state in REQUEST_PENDING:
            self.transport.close()

    def _start_write_timer(self) -> None:
        unsent_bytes = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self._limits.timeout_s, self._check_write_progress, unsent_bytes)

    def _check_write_progress(self, unsent_before: int) -> None:
        self._write_timer = None
        if self.transport.get_write_buffer_size() > unsent_before - MIN_READ_BYTES:
            self._log_rejection("they do not read their answers")
            self.transport.abort()
        else:
            self._start_write_timer()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _log_rejection(self, reason: str) -> None:
        self._limits.rejections.report(self._host, reason, self.loop.time())


def _rejection(status: int, message: str) -> JSONResponse:
    fix = "Ask again when some of them are over."
    # The connection closes, so the server does not wait for the rest of the request.
    headers = {"Retry-After": RETRY_S, "Connection": "close"}
    return JSONResponse({"code": "too_many", "message": message, "fix": fix, "hold": None}, status, headers)
