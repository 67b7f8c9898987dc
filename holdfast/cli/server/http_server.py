"""The one HTTP server: everything of the engine, the holds service and the console on one port."""

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
"""How long open requests may take at the end; an event stream ends with it."""
BACKLOG = 512


class QuietServer(uvicorn.Server):
    """Uvicorn without its hands on signals: the engine says goodbye first, and HTTP goes last."""

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
        """Capture none."""
        yield


def http_server(app: ASGIApp, door: ConnectionLimits | None = None) -> QuietServer:
    """A server for this application, not yet running."""
    return QuietServer(
        uvicorn.Config(
            app,
            loop="asyncio",
            http=cast("Any", door or ConnectionLimits()),  # uvicorn calls it, and asks no more of it
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
    """The listening socket. Raises: Stop."""
    host, port = settings.http_host, settings.http_port
    try:
        listener = socket.create_server((host, port), family=_family(host, port), backlog=BACKLOG)
    except OSError as error:
        fix = "holdfast doctor"
        if error.errno == errno.EADDRINUSE:
            fix = f"Take another: holdfast serve --http-port {port + 1}. See who has it: ss -ltnp sport = :{port}"
        raise CommandStopped(f"HTTP cannot listen at {host} port {port}: {error.strerror or error}", fix=fix) from error
    # asyncio does this only for sockets that name their protocol, which create_server's do not. Connections inherit it;
    # without it every answer on a kept connection comes 40 ms late.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _family(host: str, port: int) -> socket.AddressFamily:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
