"""Many connections to a server: half-open TLS handshakes, from one host and from many, and their cost."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from holdfast.cli.server.http_limits import raise_file_limit
from holdfast.testing.phone import Phone
from holdfast.testing.server import HOST, Server, Value, free_port
from holdfast.voice.runtime.sip.transport.streams import MAX_UNPROVEN, MAX_UNPROVEN_OF_ONE_HOST
from holdfast.voice.sip.effects import Address
from tests.loopback.test_serve import children, until
from tests.loopback.test_sip_connections import LOCALHOST

pytestmark = pytest.mark.anyio

MANY = 1800
MB = 1 << 20


@asynccontextmanager
async def encrypted() -> AsyncIterator[tuple[Server, Address]]:
    """A server with SIP over TLS, and its address."""
    port = free_port(socket.SOCK_STREAM)
    settings: dict[str, Value] = {"sip_tls_certificate": str(LOCALHOST), "sip_tls_port": port}
    async with Server(settings=settings, lines={"bob": "secret-bob"}) as server:
        yield server, Address(HOST, port, "TLS")


def memory(pid: int) -> int:
    """Return the memory of a process. Units: bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def first_words() -> bytes:
    """Return the beginning of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake without a far end")


LONG = b"".join(
    b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part
    for part in (b"\x01" + (100_000).to_bytes(3, "big") + b"\x03\x03" + bytes(16_300), bytes(16_000))
)
"""The longest beginning of a handshake, of a hello that is longer."""


@contextmanager
def half_open(to: Address, count: int, hosts: int) -> Iterator[list[socket.socket]]:
    """Open many connections from many hosts: some send nothing, some begin, and some begin with a long hello."""
    raise_file_limit()
    words = (first_words(), LONG, b"", first_words())
    with ExitStack() as stack:
        made = []
        for number in range(count):
            source = (f"127.0.1.{1 + number % hosts}", 0)
            one = stack.enter_context(socket.create_connection(to[:2], timeout=10, source_address=source))
            one.setblocking(False)
            with suppress(OSError):  # it was turned away already
                one.send(words[number // hosts % len(words)])
            made.append(one)
        yield made


def still_open(sockets: list[socket.socket]) -> Counter[str]:
    """Return by host how many connections the server has not closed."""
    count: Counter[str] = Counter()
    for one in sockets:
        try:
            while one.recv(65536):
                pass
        except BlockingIOError:
            count[one.getsockname()[0]] += 1
        except OSError:
            pass
    return count


def is_bounded(sockets: list[socket.socket]) -> bool:
    """Return whether no host, and not all together, have more connections than allowed."""
    count = still_open(sockets)
    return count.total() <= MAX_UNPROVEN and max(count.values()) <= MAX_UNPROVEN_OF_ONE_HOST


@pytest.mark.parametrize("hosts", [1, 30])
async def test_half_open_handshakes_are_limited_per_host_cheap_and_cleaned_up(hosts: int) -> None:
    async with encrypted() as (server, to):
        pid = children(server.pid)["control"]
        async with Phone("bob", server=to, password="secret-bob", transport="TLS", certificate=LOCALHOST) as bob:
            await bob.register()
        before = memory(pid)
        for count in (MANY, MANY // 3):  # what the first crowd leaves, the second must not add to
            with half_open(to, count, hosts) as sockets:
                await until(partial(is_bounded, sockets))
                assert memory(pid) - before < 64 * MB
                async with Phone(
                    "bob", server=to, password="secret-bob", transport="TLS", certificate=LOCALHOST
                ) as bob:
                    await bob.register()
        await until(lambda: memory(pid) - before < 32 * MB)
        log = server.log()
    lines = Counter(line.partition("host=")[2].partition(" ")[0] for line in log.splitlines() if "TurnedAway" in line)
    assert len(lines) <= hosts
    assert set(lines.values()) == {1}
    assert len(log) < 20_000


async def test_a_host_that_only_completes_handshakes_is_not_known() -> None:
    async with encrypted() as (_, to):
        trusting = ssl.create_default_context(cafile=str(LOCALHOST))
        silent: list[asyncio.StreamWriter] = []
        for _ in range(MAX_UNPROVEN_OF_ONE_HOST + 20):
            try:
                _, writer = await asyncio.open_connection(*to[:2], ssl=trusting, local_addr=("127.0.1.1", 0))
            except OSError:
                continue
            silent.append(writer)
        here = [writer for writer in silent if not writer.transport.is_closing()]
        assert MAX_UNPROVEN_OF_ONE_HOST // 2 < len(here) <= MAX_UNPROVEN_OF_ONE_HOST
        async with Phone("bob", server=to, password="secret-bob", transport="TLS", certificate=LOCALHOST) as bob:
            await bob.register()
        for writer in silent:
            writer.transport.abort()
