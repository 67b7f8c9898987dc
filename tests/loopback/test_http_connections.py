"""The HTTP server's connections: slow ones end, and no host can use up the room of the others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from holdfast.cli.server.http_limits import ConnectionLimits
from holdfast.cli.server.http_server import http_server
from holdfast.testing.server import HOST

pytestmark = pytest.mark.anyio

Address = tuple[str, int]
Open = tuple[asyncio.StreamReader, asyncio.StreamWriter]

ASK = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
HALF = b"GET / HTTP/1.1\r\nHost: a\r\n"
HALF_BODY = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\na="
EVENTS = b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n"
MUCH = b"GET /much HTTP/1.1\r\nHost: a\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
SLOW_HOST, OTHER_HOST = "127.0.0.9", "127.0.0.2"


async def inside(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers once the request is complete; with more than a connection takes at once, or without end."""
    if scope["path"] == "/events":
        await StreamingResponse(without_end())(scope, receive, send)
        return
    try:
        await Request(scope, receive).body()
    except ClientDisconnect:
        return
    text = "much" * 4_000_000 if scope["path"] == "/much" else "inside"
    await PlainTextResponse(text)(scope, receive, send)


async def without_end() -> AsyncIterator[str]:
    yield "begun"
    await asyncio.Event().wait()


@asynccontextmanager
async def serving(limits: ConnectionLimits | None = None) -> AsyncIterator[Address]:
    with socket.create_server((HOST, 0)) as listener:
        server = http_server(inside, limits)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await server.ready.wait()
        yield listener.getsockname()
        server.should_exit = True
        await running


async def said(address: Address, *pieces: bytes, pause_s: float = 0.0, source: str = HOST) -> bytes:
    """Send these pieces in order and return what the server sends until it closes."""
    reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0))
    async with asyncio.timeout(10):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(pause_s)
        return await rest(reader, writer)


async def rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Return what the server sends until it closes."""
    heard = b""
    with suppress(ConnectionError):
        while piece := await reader.read(65536):
            heard += piece
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return heard


async def opened(address: Address, count: int, words: bytes, *, source: str = SLOW_HOST) -> list[Open]:
    """Open so many connections from that host that send only this."""
    made = []
    for _ in range(count):
        reader, writer = await asyncio.open_connection(*address, local_addr=(source, 0))
        writer.write(words)
        made.append((reader, writer))
    return made


async def closed(connections: list[Open]) -> int:
    """Return how many of them the server has closed."""
    return len([reader for reader, _ in connections if reader.at_eof() or reader.exception() is not None])


async def shut(connections: list[Open]) -> None:
    for _, writer in connections:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def come_to(count: int, connections: list[Open]) -> None:
    """Wait until so many connections are closed."""
    async with asyncio.timeout(10):
        while await closed(connections) < count:  # noqa: ASYNC110  streams do not tell when they are closed
            await asyncio.sleep(0.01)


def by_proxy(host: str, words: bytes) -> bytes:
    """Return the same request as a proxy forwards it for that host."""
    return words.replace(b"Host: a\r\n", b"Host: a\r\nX-Forwarded-For: 1.1.1.1, " + host.encode() + b"\r\n")


@pytest.mark.parametrize(
    "pieces",
    [
        (b"",),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X: 1\r\n", b"Y: 2\r\n", b"Z: 3\r\n"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n", b"a=", b"1"),
    ],
    ids=["nothing", "half a header, byte by byte", "half a body"],
)
async def test_a_request_that_stays_incomplete_is_cut_off(pieces: tuple[bytes, ...]) -> None:
    async with serving(ConnectionLimits(timeout_s=0.3)) as address:
        await said(address, *pieces, pause_s=0.05)
        assert (await said(address, ASK)).endswith(b"inside")


async def test_a_kept_connection_is_used_again_after_the_time_of_one_request() -> None:
    ask = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serving(ConnectionLimits(timeout_s=0.2)) as address:
        heard = await said(address, ask, ask, ask[:-2] + b"Connection: close\r\n\r\n", pause_s=0.3)
    assert heard.count(b"inside") == 3


@pytest.mark.parametrize("words", [b"", HALF, HALF_BODY], ids=["nothing", "half a header", "half a body"])
async def test_slow_connections_of_a_host_are_evicted_for_others_and_for_its_own_newest(words: bytes) -> None:
    async with serving(ConnectionLimits(max_connections=40)) as address:
        slow = await opened(address, 110, words)
        for source in (HOST, OTHER_HOST, SLOW_HOST) * 10:
            assert (await said(address, HEALTH, source=source)).endswith(b"inside")
        await come_to(100, slow)
        assert await closed(slow) <= 110 - 10 + 1
        await shut(slow)


async def test_slow_hosts_are_evicted_for_a_host_that_is_not_slow() -> None:
    async with serving(ConnectionLimits(max_connections=20)) as address:
        slow = [each for number in range(40) for each in await opened(address, 2, HALF, source=f"127.0.2.{number + 1}")]
        await come_to(60, slow)
        for source in (HOST, OTHER_HOST) * 10:
            assert (await said(address, HEALTH, source=source)).endswith(b"inside")
        await shut(slow)


async def test_a_host_that_does_not_read_responses_keeps_to_its_share_and_is_cut_off() -> None:
    limits = ConnectionLimits(max_connections=16, timeout_s=0.5)
    crowd = limits.limiter_of(SLOW_HOST, from_own_address=False)
    async with serving(limits) as address:
        slow = await opened(address, 4, MUCH)
        assert (await said(address, HEALTH)).endswith(b"inside")
        async with asyncio.timeout(10):
            while crowd.count_of(SLOW_HOST):
                for source in (HOST, OTHER_HOST):
                    assert (await said(address, HEALTH, source=source)).endswith(b"inside")
        for reader, writer in slow:
            async with asyncio.timeout(10):
                heard = await rest(reader, writer)
            assert len(heard) < 16_000_000
        assert (await said(address, HEALTH, source=SLOW_HOST)).endswith(b"inside")


async def test_a_slow_reader_receives_its_whole_response() -> None:
    async with serving(ConnectionLimits(timeout_s=1.0)) as address:
        reader, writer = await asyncio.open_connection(*address, limit=4096)
        writer.write(MUCH.replace(b"Host: a", b"Host: a\r\nConnection: close"))
        heard = 0
        async with asyncio.timeout(30):
            while piece := await reader.read(1_000_000):
                heard += len(piece)
                await asyncio.sleep(0.05)
        assert heard > 16_000_000
        writer.close()


async def test_event_streams_leave_a_host_room_for_requests() -> None:
    async with serving(ConnectionLimits(max_connections=32)) as address:
        watching = await opened(address, 4, EVENTS)
        for reader, _ in watching:
            await reader.readuntil(b"begun")
        refused = await said(address, EVENTS, source=SLOW_HOST)
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 5" in refused.lower()
        assert (await said(address, HEALTH, source=SLOW_HOST)).endswith(b"inside")
        others = await opened(address, 1, EVENTS, source=OTHER_HOST)
        await others[0][0].readuntil(b"begun")
        await shut(watching)
        again = await opened(address, 1, EVENTS)
        await again[0][0].readuntil(b"begun")
        await shut(others + again)


async def test_hosts_behind_a_trusted_proxy_count_by_the_address_it_forwards() -> None:
    async with serving(ConnectionLimits(max_connections=16, trusted_proxies=["127.0.0.8"])) as address:
        slow = await opened(address, 30, by_proxy("198.51.100.7", HALF_BODY), source="127.0.0.8")
        for host in ("198.51.100.8", "198.51.100.9") * 5:
            assert (await said(address, by_proxy(host, HEALTH), source="127.0.0.8")).endswith(b"inside")
        await come_to(26, slow)
        await shut(slow)


async def test_only_the_forwarded_host_with_too_many_requests_gets_503() -> None:
    async with serving(
        ConnectionLimits(max_connections=16, max_streams_per_host=9, trusted_proxies=["127.0.0.8"])
    ) as address:
        busy = await opened(address, 4, by_proxy("198.51.100.7", EVENTS), source="127.0.0.8")
        for reader, _ in busy:
            await reader.readuntil(b"begun")
        refused = await said(address, by_proxy("198.51.100.7", HEALTH), source="127.0.0.8")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert (await said(address, by_proxy("198.51.100.8", HEALTH), source="127.0.0.8")).endswith(b"inside")
        assert (await said(address, HEALTH)).endswith(b"inside")
        await shut(busy)


@pytest.mark.parametrize("trusted", [["127.0.0.1"], []], ids=["trusted", "not trusted"])
async def test_a_proxy_on_this_machine_leaves_room_for_our_own_requests(trusted: list[str]) -> None:
    async with serving(
        ConnectionLimits(max_connections=16, max_per_host=4, max_streams_per_host=9, trusted_proxies=trusted)
    ) as address:
        crowd = []
        for number in range(8):
            words = by_proxy(f"198.51.100.{number}", EVENTS)
            crowd += await opened(address, 4, words, source=HOST)
        for _ in range(20):
            assert (await said(address, HEALTH)).endswith(b"inside")
        await shut(crowd)


@pytest.mark.parametrize("words", [HALF, b"no HTTP\r\n\r\n", HALF[:-2] + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n"])
async def test_the_log_has_one_line_for_a_host(words: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(ConnectionLimits(max_connections=8)) as address:
        slow = await opened(address, 100, words)
        assert (await said(address, ASK, source=OTHER_HOST)).endswith(b"inside")
        await shut(slow)
    assert caplog.text.count("fact=TurnedAway host=127.0.0.9 what='HTTP connections' count=1 ") == 1
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


async def test_aborted_connections_are_no_longer_counted() -> None:
    async with serving(ConnectionLimits(max_connections=8)) as address:
        for words in (b"", HALF, HALF_BODY, EVENTS, MUCH) * 20:
            await shut(await opened(address, 1, words))
        busy = await opened(address, 1, EVENTS)
        await busy[0][0].readuntil(b"begun")
        assert (await said(address, HEALTH, source=SLOW_HOST)).endswith(b"inside")
        await shut(busy)
