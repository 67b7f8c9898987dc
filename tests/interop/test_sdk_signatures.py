"""Every request the engine makes carries a signature that the official Node SDK, old and new, takes for Twilio's."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from tests.interop.sdks import node

pytestmark = [pytest.mark.interop, pytest.mark.anyio, pytest.mark.timeout(240)]

OURS, PASSWORD = "+15550100", "wonderland"


@pytest.mark.parametrize("requirement", ["twilio@latest", "twilio@3"])
async def test_requests_are_signed_as_the_sdk_expects(requirement: str, sdks: Path) -> None:
    sdk = await asyncio.to_thread(node, sdks, requirement)
    async with (
        Server(lines={"alice": PASSWORD}, numbers={OURS: None}) as server,
        Phone("alice", server=server.sip, password=PASSWORD) as alice,
    ):
        await alice.register()
        process = await asyncio.create_subprocess_exec(
            *sdk.command("validator.cjs", server.auth_token),
            env={"PATH": os.environ["PATH"]},
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            app = f"http://127.0.0.1:{await told(process)}"
            await asyncio.to_thread(call_alice, server, app)
            asked = [await told(process) for _ in range(4)]
        finally:
            process.kill()
            await process.wait()
    assert sorted(asked) == [
        ["GET", "/menu", True, False],
        ["POST", "/events", True, False],
        ["POST", "/events", True, False],
        ["POST", "/voice", True, False],
    ]


def call_alice(server: Server, app: str) -> None:
    client = server.sdk()
    events = ["initiated", "completed"]
    client.calls.create(
        to="client:alice",
        from_=OURS,
        url=f"{app}/voice",
        status_callback=f"{app}/events",
        status_callback_event=events,
    )


async def told(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    async with asyncio.timeout(30):
        return json.loads(await process.stdout.readline())
