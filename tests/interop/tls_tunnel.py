"""TLS for a program that has none: what it says by TCP to a port here goes on to a server by TLS, and back.

Debian builds sipp without TLS.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def tunnel(to: tuple[str, int], authority: Path) -> AsyncIterator[tuple[str, int]]:
    """Listen on a free port; each connection there is one to the server, whose certificate must be good."""
    trusting = ssl.create_default_context(cafile=str(authority))
    told: list[ssl.SSLSocket | ssl.SSLObject] = []

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*to, ssl=trusting, server_hostname=to[0])
        told.append(far_writer.get_extra_info("ssl_object"))
        async with asyncio.TaskGroup() as both:
            both.create_task(_pump(reader, far_writer), name="tunnel-out")
            both.create_task(_pump(far_reader, writer), name="tunnel-in")

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()
    assert told, "nobody came through the tunnel"
    assert all(sealed.version() in ("TLSv1.2", "TLSv1.3") for sealed in told)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one direction until its end, which is passed on."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
