"""The HTTP server's connections: one that never finishes its request ends, and too many are turned away."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from holdfast.cli.connections import MOST, BoundedConnection, most_connections
from holdfast.cli.web import http_server
from holdfast.testing.server import HOST

pytestmark = pytest.mark.anyio

Address = tuple[str, int]


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers once the request is whole."""
    try:
        await Request(scope, receive).body()
    except ClientDisconnect:
        return
    await PlainTextResponse("inside")(scope, receive, send)


@asynccontextmanager
async def serving() -> AsyncIterator[Address]:
    with socket.create_server((HOST, 0)) as listener:
        server = http_server(inside)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await server.ready.wait()
        yield listener.getsockname()
        server.should_exit = True
        await running


async def said(address: Address, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    """What the server says until it closes, to these pieces one after the other."""
    reader, writer = await asyncio.open_connection(*address)
    async with asyncio.timeout(10):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause_s)
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""
        finally:
            writer.close()


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: 1\r\n", b"Y: 2\r\n", b"Z: 3\r\n"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", b"a=", b"1"),
    ],
    ids=["nothing", "half a header, byte by byte", "half a body"],
)
async def test_a_request_that_never_comes_whole_is_cut(
    pieces: tuple[bytes, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedConnection, "within_s", 0.3)
    async with serving() as address:
        await said(address, *pieces, pause_s=0.05)
        assert (await said(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).endswith(b"inside")


async def test_a_kept_connection_is_used_again_after_the_time_of_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "within_s", 0.2)
    ask = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving() as address:
        heard = await said(address, ask, ask, ask[:-2] + b"Connection: close\r\n\r\n", pause_s=0.3)
    assert heard.count(b"inside") == 3


async def test_more_connections_than_there_may_be_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "most", 3)
    async with serving() as address:
        kept = [await asyncio.open_connection(*address) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert await said(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == b""
        for _, writer in kept:
            writer.close()
        await asyncio.sleep(0.05)
        assert (await said(address, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).endswith(b"inside")


def test_connections_leave_most_file_descriptors_to_others() -> None:
    assert 0 < most_connections() <= MOST
