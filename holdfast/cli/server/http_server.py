"""Make the one HTTP server, which serves the engine, the holds service and the console on one port."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from holdfast.cli.server.http_limits import ConnectionLimits
from holdfast.cli.terminal import CommandStopped
from holdfast.settings import Settings

LAST_ANSWERS_S = 2
"""Units: seconds that open requests may take at the stop, after which event streams are cut off."""
BACKLOG = 512


class QuietServer(uvicorn.Server):
    """Uvicorn without its signal handlers: the engine hangs up first, and HTTP stops last."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        """Set once requests are answered."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        await super().startup(sockets)
        self.ready.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signals."""
        yield


def http_server(app: ASGIApp, limits: ConnectionLimits | None = None) -> QuietServer:
    """Return a server for this application, not yet running."""
    return QuietServer(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=cast("Any", limits or ConnectionLimits()),  # uvicorn only calls it
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=LAST_ANSWERS_S,
        )
    )


def bind_http(settings: Settings) -> socket.socket:
    """Return the listening socket. Raises: CommandStopped."""
    host, port = settings.http_host, settings.http_port
    try:
        listener = socket.create_server((host, port), family=_family(host, port), backlog=BACKLOG)
    except OSError as error:
        fix = "holdfast doctor"
        if error.errno == errno.EADDRINUSE:
            fix = f"Take another: holdfast serve --http-port {port + 1}. See its program: ss -ltnp sport = :{port}"
        raise CommandStopped(f"HTTP cannot listen at {host} port {port}: {error.strerror or error}", fix=fix) from error
    # asyncio does this only for sockets that name their protocol, which create_server's do not. Connections inherit it;
    # without it each response on a kept connection is 40 ms late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _family(host: str, port: int) -> socket.AddressFamily:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
