"""Phones that vanish are found by silence and by OPTIONS; the call ends with its status and callbacks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from twilio.rest import Client

from holdfast.testing.calls import PhoneCall
from holdfast.testing.file_server import FileServer
from holdfast.testing.hold_forms import HoldForm
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from holdfast.voice.sip.effects import EndCause, Ended
from tests.loopback.web_server import WebServer, reply

pytestmark = pytest.mark.anyio

ROOM = "+15550101"
DOCUMENT = (
    '<?xml version="1.0"?><Response><Dial><Conference beep="false" waitUrl="" statusCallback="{url}"'
    ' statusCallbackEvent="leave">room</Conference></Dial></Response>'
)


@asynccontextmanager
async def serving(**settings: str) -> AsyncIterator[tuple[Server, Client, FileServer]]:
    """A server with a conference, and short patience."""
    with FileServer() as files:
        files.put("told", "")
        numbers: dict[str, str | None] = {ROOM: files.put("room.xml", DOCUMENT.format(url=files.url("told")))}
        async with Server(numbers=numbers, settings=settings) as server:
            client = server.sdk()
            yield server, client, files
            assert "Traceback" not in server.log()


async def calls_of(client: Client, status: str) -> list[Any]:
    return await asyncio.to_thread(client.calls.list, status=status)


async def until_completed(client: Client, count: int, *, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while True:
            if len(await calls_of(client, "completed")) == count:
                return
            await asyncio.sleep(0.1)


async def in_the_room(server: Server, phone: Phone) -> PhoneCall:
    call = await phone.call(ROOM)
    await call.answered()
    return call


async def test_a_phone_that_stops_sending_rtp_is_hung_up() -> None:
    async with (
        WebServer() as web,
        serving(rtp_timeout_s="2", rtp_timeout_held_s="8") as (server, client, files),
        Phone("alice", server=server.sip) as alice,
        Phone("bob", server=server.sip) as bob,
    ):
        (number,) = await asyncio.to_thread(client.incoming_phone_numbers.list)
        await asyncio.to_thread(number.update, status_callback=web.on("/status", reply("")))
        await in_the_room(server, alice)
        held = await in_the_room(server, bob)
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        await held.hold(HoldForm.INACTIVE)
        held.line.close()
        assert alice.call_now is not None
        dead = alice.call_now
        dead.line.close()
        await dead.over(within_s=15)
        await until_completed(client, 1, within_s=5)
        await web.came(1)
        (ended,) = await calls_of(client, "completed")
        told = web.asked("/status")[0].form
        assert (told["CallSid"], told["CallStatus"]) == (ended.sid, "completed")
        assert int(told["CallDuration"]) == int(ended.duration) > 0
        # The one that holds and says nothing has longer, but not for ever, however often it says that it holds.
        assert len(await calls_of(client, "in-progress")) == 1
        await held.hold(HoldForm.INACTIVE, by="UPDATE")
        await held.over(within_s=15)
        assert "/told" in files.requested


async def test_a_phone_that_was_restarted_is_found_by_options() -> None:
    async with serving(keepalive_s="1", rtp_timeout_s="0") as (server, client, _):
        alice = Phone("alice", server=server.sip)
        await alice.__aenter__()
        call = await in_the_room(server, alice)
        port = alice.address.port
        # No BYE, no sound: as when the power is cut. What answers there now knows of no call.
        alice._endpoint.close()
        call.line.close()
        await asyncio.sleep(0.05)
        async with Phone("alice", port=port):
            await until_completed(client, 1, within_s=10)
        call.take(Ended(session=call.session, cause=EndCause.LOST, status=481))
        alice.call_now = None
        await alice.__aexit__(None, None, None)
