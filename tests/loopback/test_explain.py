"""`holdfast explain` beside a running engine, while a call is held and after it."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from tests.loopback.shared_server import CUSTOMER, PASSWORD

pytestmark = pytest.mark.anyio


async def explain(call: str, server: Server) -> tuple[int | None, str]:
    """Run the command to its end and return its status and output."""
    account = {"HOLDFAST_ACCOUNT_SID": server.account_sid, "HOLDFAST_AUTH_TOKEN": server.auth_token}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast", "explain", call),
        env=os.environ | account | {"HOLDFAST_HTTP_PORT": str(server.http[1])},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        output, errors = await process.communicate()
    return process.returncode, (output + errors).decode()


async def test_a_held_call_is_explained_by_the_command(server: Server) -> None:
    async with (
        Phone("alice", server=server.sip, password=PASSWORD) as alice,
        Phone("bob", server=server.sip, password=PASSWORD) as bob,
    ):
        for phone in (alice, bob):
            await phone.register()
        client = server.sdk()
        document = "<Response><Dial><Conference>support</Conference></Dial></Response>"

        def place(name: str) -> str:
            return str(client.calls.create(to=f"client:{name}", from_=CUSTOMER, twiml=document).sid)

        calls = [await asyncio.to_thread(place, name) for name in ("alice", "bob")]
        await alice.hears("bob")
        (conference,) = await asyncio.to_thread(client.conferences.list, status="in-progress")
        held = client.conferences(str(conference.sid)).participants(calls[0])
        await asyncio.to_thread(lambda: held.update(hold=True))
        status, text = await explain(calls[0], server)
        assert status == 0
        assert f"It is in conference 'support' with client:bob ({calls[1]})." in text
        assert "It is on hold: it hears no party and no party hears it, until Hold=false." in text
        assert "It hears the built-in hold music" in text
        await asyncio.to_thread(lambda: client.calls(calls[0]).update(status="completed"))
        status, text = await explain(calls[0], server)
        assert (status, text.startswith("The call is over: completed after ")) == (0, True)
        status, text = await explain("CA" + "0" * 32, server)
        assert (status, "holdfast calls lists the live ones" in text) == (1, True)
