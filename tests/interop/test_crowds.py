"""A host with 1,100 slow connections, and how long others wait meanwhile: in real time, so beside the suite."""

from __future__ import annotations

import asyncio
import json
import sys
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from holdfast.testing.audio.music import HOLD_MUSIC_MP3
from holdfast.testing.clock import now_s
from holdfast.testing.file_server import FileServer
from holdfast.testing.server import Server
from tests.loopback.shared_server import PASSWORD
from tests.loopback.test_holds import MEETING, ROOM, talking

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

SLOW = 1100
SLOW_HOST, OTHER_HOST, OWN = "127.0.0.9", "127.0.0.2", "127.0.0.1"
WITHIN_S = 1.0
ROUNDS = 50


@pytest.fixture
def files() -> Iterator[FileServer]:
    with FileServer(HOLD_MUSIC_MP3) as files:
        files.put("room.xml", ROOM)
        yield files


@asynccontextmanager
async def slow_host(server: Server) -> AsyncIterator[None]:
    """A crowd at the server's door, in a process of its own, so that only the server has to do with it here."""
    argv = [sys.executable, "-m", "tests.interop.slow_host", str(server.http[1]), SLOW_HOST, str(SLOW)]
    crowd = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE)
    try:
        assert crowd.stdout is not None
        assert await crowd.stdout.readline() == b"all here\n"
        yield
    finally:
        crowd.kill()
        await crowd.communicate()


async def asked(server: Server, path: str, body: object = None, *, source: str) -> tuple[bool, object]:
    """Whether this was answered in time with success, and the answer."""
    pair = b64encode(f"{server.account_sid}:{server.auth_token}".encode()).decode()
    content = b"" if body is None else json.dumps(body).encode()
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: {OWN}\r\nAuthorization: Basic {pair}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    began = now_s()
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection(*server.http, local_addr=(source, 0))
            try:
                writer.write(head.encode() + content)
                answer = await reader.read()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False, None
    in_time = answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 201 ")) and now_s() - began < WITHIN_S
    _, _, text = answer.partition(b"\r\n\r\n")
    return in_time, json.loads(text) if text.startswith(b"{") else None


@pytest.mark.timeout(180)
async def test_health_checks_and_holds_are_answered_while_a_host_has_1100_slow_connections(files: FileServer) -> None:
    server = Server(lines={name: PASSWORD for name in ("alice", "bob")})
    in_time: Counter[str] = Counter()
    async with server, talking(server, files, number=MEETING) as talk, slow_host(server):
        before = len(server.log())
        for number in range(ROUNDS):
            for source in (OTHER_HOST, OWN):
                good, _ = await asked(server, "/healthz", source=source)
                in_time["health check"] += good
            good, hold = await asked(server, "/holds", {"call": talk.bob_call, "by": "x"}, source=OTHER_HOST)
            in_time["hold or resume"] += good
            assert isinstance(hold, dict), f"round {number}: no answer"
            good, _ = await asked(server, f"/holds/{hold['id']}/resume", {}, source=OWN)
            in_time["hold or resume"] += good
        log = server.log()[before:]
    assert in_time["health check"] >= 99
    assert in_time["hold or resume"] >= 99
    assert log.count(f"host={SLOW_HOST}") <= 3
    assert len(log) < 100_000
