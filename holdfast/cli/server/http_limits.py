"""HTTP connections with an end: each has to bring its request in time, and no host shuts the door for the others.

Uvicorn bounds neither. A connection is counted by the host it comes from, and a request that a trusted proxy passes on
by the host it is passed on for. Connections from our own address are counted apart: room is kept for what we ask
ourselves, and for health checks of this machine.
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
"""What a peer has to read of its answer in that time."""
MAX_CONNECTIONS = 1000
MAX_FILES = 65_536
STREAMS = frozenset({"/events"})
"""The paths whose answers have no end."""
RETRY_S = "5"
REQUEST_PENDING = (h11.IDLE, h11.SEND_BODY)
"""The states in which a request has still to come, or the rest of it."""

protocol_log = logging.getLogger(f"{__name__}.faults")
protocol_log.setLevel(logging.ERROR)
"""What uvicorn logs: a fault of ours, but no line for each request that cannot be read."""


def raise_file_limit() -> None:
    """Let as many files be open as the system lets us, within reason: every bound on connections is a share of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class ConnectionLimits:
    """Who is inside. Units: `within_s` seconds for a request, from its connection's opening or its first byte.

    `most`: connections from elsewhere at once, a quarter of them of one host; as many again from our own address, of
    which requests that a proxy passes on leave a quarter free; None: an eighth of the files that may be open.
    `most_streams` of one host are answers without end.
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
        of_one = max(1, max_connections // 4) if max_per_host is None else max_per_host
        self.timeout_s = timeout_s
        self.proxies = TrustedProxies(trusted_proxies)
        self.rejections = RejectionLog(log, "HTTP connections")
        self._hosts: ConnectionLimiter[BoundedConnection] = ConnectionLimiter(
            max_total=max_connections, max_per_host=of_one
        )
        self._trusted: ConnectionLimiter[BoundedConnection] = ConnectionLimiter(
            max_total=max_connections, max_per_host=max_connections
        )
        self._own: ConnectionLimiter[BoundedConnection] = ConnectionLimiter(
            max_total=max_connections, max_per_host=max_connections
        )
        self.forwarded: ConnectionLimiter[BoundedConnection] = ConnectionLimiter(
            max_total=max(1, max_connections * 3 // 4), max_per_host=of_one
        )
        self.streams: ConnectionLimiter[BoundedConnection] = ConnectionLimiter(
            max_total=max(1, max_connections // 2),
            max_per_host=max(1, of_one // 2) if max_streams_per_host is None else max_streams_per_host,
        )

    def crowd(self, ip: str, *, from_own_address: bool) -> ConnectionLimiter[BoundedConnection]:
        """Among whom a connection from that address is counted; `ours`: it is the one that it came to."""
        if from_own_address:
            return self._own
        return self._trusted if self.proxies.contains(ip) else self._hosts

    def __call__(self, *args: Any, **kwargs: Any) -> BoundedConnection:
        """A connection of uvicorn's."""
        return BoundedConnection(self, *args, **kwargs)


class BoundedConnection(H11Protocol):
    """A connection of the HTTP server."""

    def __init__(self, limits: ConnectionLimits, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = protocol_log
        self._limits = limits
        self._inner_app: ASGIApp = self.app
        self.app = self._handle
        self._crowd: ConnectionLimiter[BoundedConnection] | None = None
        self._ip = self._host = ""
        self._request_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Source: asyncio.Protocol."""
        peer, own = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._ip = "" if peer is None else str(peer[0])
        self._host = host_of(self._ip)
        crowd = self._limits.crowd(
            self._ip, from_own_address=peer is not None and own is not None and peer[0] == own[0]
        )
        super().connection_made(transport)
        # So that `pause_writing` comes with the first byte that the peer does not take, not after 64 kB.
        transport.set_write_buffer_limits(high=0)
        if peer is None or not crowd.admit(self, self._host, self.loop.time()):
            self._log_rejection("there are too many")
            transport.abort()
            return
        self._crowd = crowd
        self._update_request_timer()

    def data_received(self, data: bytes) -> None:
        """Source: asyncio.Protocol."""
        super().data_received(data)
        self._update_request_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Source: asyncio.Protocol."""
        self._stop_request_timer()
        self._stop_write_timer()
        for crowd in (self._crowd, self._limits.forwarded, self._limits.streams):
            if crowd is not None:
                crowd.remove(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Source: asyncio.Protocol. The peer does not read its answer as fast as we give it."""
        super().pause_writing()
        if self._write_timer is None:
            self._start_write_timer()

    def resume_writing(self) -> None:
        """Source: asyncio.Protocol."""
        self._stop_write_timer()
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Source: H11Protocol. The next request is awaited, for as long as uvicorn awaits one."""
        super().on_response_complete()
        self._update_crowds()

    def send_400_response(self, msg: str) -> None:
        """Source: H11Protocol."""
        self._log_rejection("what they send is no HTTP")
        super().send_400_response(msg)

    def evict(self) -> None:
        """End at once. Source: crowd.Member."""
        self._log_rejection("there are too many, and they are slow")
        self.transport.abort()

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, unless its host has too many under way."""
        door, now = self._limits, self.loop.time()
        passed_on = door.proxies.client_host(self._ip, scope["headers"])
        if passed_on is not None and not door.forwarded.admit(self, passed_on, now):
            door.rejections.report(passed_on, "there are too many, through a proxy", now)
            await _refusal(503, "too many requests of your host are under way")(scope, receive, send)
            return
        try:
            self._update_crowds()
            if scope["path"] in STREAMS:
                host = self._host if passed_on is None else passed_on
                if not door.streams.admit(self, host, now):
                    door.rejections.report(host, "there are too many event streams", now)
                    await _refusal(429, "your host watches too many event streams")(scope, receive, send)
                    return
                door.streams.mark_served(self)
            await self._inner_app(scope, receive, send)
        finally:
            door.forwarded.remove(self)
            door.streams.remove(self)

    def _update_crowds(self) -> None:
        """Say whether we wait for it, or it for us."""
        for crowd in (self._crowd, self._limits.forwarded):
            if crowd is not None:
                if self.conn.their_state in REQUEST_PENDING:
                    crowd.mark_waiting(self, self.loop.time())
                else:
                    crowd.mark_served(self)

    def _update_request_timer(self) -> None:
        """Give what is still to come its time; the time runs from the first byte, not from the latest."""
        self._update_crowds()
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
        left = self.transport.get_write_buffer_size()
        self._write_timer = self.loop.call_later(self._limits.timeout_s, self._check_write_progress, left)

    def _check_write_progress(self, before: int) -> None:
        self._write_timer = None
        if self.transport.get_write_buffer_size() > before - MIN_READ_BYTES:
            self._log_rejection("they do not read their answers")
            self.transport.abort()
        else:
            self._start_write_timer()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _log_rejection(self, why: str) -> None:
        self._limits.rejections.report(self._host, why, self.loop.time())


def _refusal(status: int, message: str) -> JSONResponse:
    fix = "Ask again when some of them are over."
    # The connection closes, so that the rest of the request need not be awaited.
    headers = {"Retry-After": RETRY_S, "Connection": "close"}
    return JSONResponse({"code": "too_many", "message": message, "fix": fix, "hold": None}, status, headers)
