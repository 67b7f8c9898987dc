"""The official SDKs, old and new, against the real engine: the same program in each, with phones that listen."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.testing.audio.music import HOLD_MUSIC_MP3
from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from tests.interop.sdks import node, python

pytestmark = [pytest.mark.interop, pytest.mark.anyio, pytest.mark.timeout(300)]

OURS, PASSWORD = "+15550100", "wonderland"

EXPECTED = {
    "number": ["+15550100777", "desk", "GET"],
    "numbers": 2,
    "number deleted": True,
    "queue": ["sales", 7, 0],
    "queue twice": [400, 22003],
    "queue members": 0,
    "queue deleted": True,
    "made": ["queued"],
    "participants": 2,
    "held": True,
    "who is held": [True],
    "resumed": False,
    "muted": True,
    "paged": True,
    "limited": 1,
    "unknown": [404, 20404],
    "over": [400, 21220],
    "gone": [404, 20404],
    "call deleted": True,
    "stranger": [401, 20003],
}


@pytest.fixture
def music() -> Iterator[str]:
    with FileServer(HOLD_MUSIC_MP3) as files:
        yield files.url(HOLD_MUSIC_MP3.name)


@pytest.mark.parametrize(
    ("requirement", "program"),
    [
        ("twilio>=9", "blocking.py"),
        ("twilio>=9", "asynchronous.py"),
        ("twilio>=6,<7", "blocking.py"),
        ("twilio@latest", "program.cjs"),
        ("twilio@3", "program.cjs"),
    ],
)
async def test_the_sdk_does_everything(requirement: str, program: str, sdks: Path, music: str) -> None:
    install = node if program.endswith(".cjs") else python
    sdk = await asyncio.to_thread(install, sdks, requirement)
    async with (
        Server(lines={"alice": PASSWORD, "bob": PASSWORD}, numbers={OURS: None}) as server,
        Phone("alice", server=server.sip, password=PASSWORD) as alice,
        Phone("bob", server=server.sip, password=PASSWORD) as bob,
    ):
        for phone in (alice, bob):
            await phone.register()
        process = await asyncio.create_subprocess_exec(
            *sdk.command(program, server.url, server.account_sid, server.auth_token, OURS, music),
            env={"PATH": os.environ["PATH"]},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert await said(process) == "held"
            await alice.hears("hold music")
            await bob.hears("silence")
            go_on(process)
            assert await said(process) == "resumed"
            await alice.hears("bob")
            await bob.hears("silence")  # alice came back muted
            go_on(process)
            told: dict[str, Any] = json.loads(await said(process))
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
    assert told == EXPECTED


async def said(process: asyncio.subprocess.Process) -> str:
    """The next line of the program; its complaint, when it ends instead."""
    assert process.stdout is not None
    async with asyncio.timeout(30):
        line = (await process.stdout.readline()).decode().strip()
    if not line:
        assert process.stderr is not None
        pytest.fail((await process.stderr.read()).decode()[-2000:])
    return line


def go_on(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.write(b"\n")
