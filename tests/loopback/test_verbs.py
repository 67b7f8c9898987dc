"""Verbs with phones at their ends: keys pressed and sounds heard over real sockets, documents from a web server."""

from __future__ import annotations

import pytest

from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from tests.loopback.web_server import WebServer, reply

pytestmark = pytest.mark.anyio

OFFICE = "+15550100"


def twiml(inside: str) -> str:
    return f"<Response>{inside}</Response>"


async def test_keys_pressed_during_a_prompt_choose_what_follows() -> None:
    async with WebServer() as web:
        menu = '<Gather action="/chosen" numDigits="2"><Play loop="0">builtin:ringback</Play></Gather><Reject/>'
        web.on("/chosen", reply(twiml('<Play loop="0">builtin:music</Play>')))
        async with (
            Server(numbers={OFFICE: web.on("/menu", reply(twiml(menu)))}) as server,
            Phone("alice", server=server.sip) as alice,
        ):
            call = await alice.call(OFFICE)
            await call.answered()
            await alice.hears("ringback")
            call.press("4")
            await alice.hears("silence")
            call.press("2")
            await web.came(2)
            (chosen,) = web.asked("/chosen")
            assert (chosen.form["Digits"], chosen.form["FinishedOnKey"]) == ("42", "")
            await alice.hears("unknown")
