"""Sound before the answer: what a called phone sends while it rings is heard by the caller, and nobody else."""

from __future__ import annotations

import asyncio

import pytest

from holdfast.testing.files import FileServer
from holdfast.testing.phone import Phone, Rings
from holdfast.testing.server import Server

pytestmark = pytest.mark.anyio


async def test_a_caller_hears_the_phone_that_rings_and_then_talks_to_it() -> None:
    with FileServer() as files:
        numbers: dict[str, str | None] = {"+15550100": files.url("front.xml")}
        async with (
            Server(numbers=numbers) as server,
            Phone("alice", server=server.sip) as alice,
            Phone("bob", manner=Rings()) as bob,
        ):
            files.put("front.xml", f'<Response><Dial action="/over.xml"><Sip>{bob.uri}</Sip></Dial></Response>')
            files.put("over.xml", '<Response><Pause length="60"/></Response>')
            call = await alice.call("+15550100")
            await call.answered()
            called = await bob.called()
            await alice.hears("ringback")
            called.ring_aloud()
            await alice.hears("bob")
            called.answer()
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            await called.hang_up()
            await alice.hears("silence")
        assert "Traceback" not in server.log()
