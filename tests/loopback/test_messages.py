"""A program that sends a text beside its calls goes on: the text is recorded, and nothing leaves the machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping

import pytest
from twilio.request_validator import RequestValidator

from holdfast.testing.server import Server
from tests.loopback.web_server import WebServer, reply

pytestmark = pytest.mark.anyio

OURS, CUSTOMER = "+15550100", "+14155550123"


async def command(server: Server, *arguments: str) -> str:
    """Return what a command of the server's account prints."""
    environment: Mapping[str, str] = {
        "HOLDFAST_ACCOUNT_SID": server.account_sid,
        "HOLDFAST_AUTH_TOKEN": server.auth_token,
        "HOLDFAST_HTTP_PORT": str(server.http[1]),
        "HOLDFAST_STORE": f"sqlite:///{server.store}",
        "PATH": "/usr/bin:/bin",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast", *arguments), env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_a_text_is_recorded_listed_and_reported_as_failed() -> None:
    async with WebServer() as web, Server(numbers={OURS: None}) as server:
        url = web.on("/status", reply(""))
        client = server.sdk()
        sent = await asyncio.to_thread(
            lambda: client.messages.create(to=CUSTOMER, from_=OURS, body="Your code\nis 4711", status_callback=url)
        )
        assert sent.status == "queued"
        await web.came(1)
        (callback,) = web.asked("/status")
        assert (callback.form["MessageSid"], callback.form["MessageStatus"]) == (sent.sid, "failed")
        signature = callback.headers["x-twilio-signature"]
        assert RequestValidator(server.auth_token).validate(url, callback.form, signature)
        (listed,) = await asyncio.to_thread(client.messages.list)
        assert (listed.sid, listed.status, listed.error_code) == (sent.sid, "failed", 30006)
        (warning,) = await asyncio.to_thread(client.api.account.notifications.list)
        assert (warning.error_code, str(sent.sid) in str(warning.message_text)) == ("30006", True)
        (line,) = (await command(server, "messages")).splitlines()
        shown = line.split("\t")
        assert (shown[0], shown[2:]) == (sent.sid, [OURS, CUSTOMER, "Your code is 4711", "not delivered"])
        assert len(web.requests) == 1
        assert "4711" not in server.log()


async def test_a_callback_that_fails_is_a_warning_and_the_message_stays() -> None:
    async with WebServer() as web, Server(numbers={OURS: None}) as server:
        url = web.on("/status", reply("", status=500))
        client = server.sdk()
        await asyncio.to_thread(
            lambda: client.messages.create(to=CUSTOMER, from_=OURS, body="Hello", status_callback=url)
        )
        await web.came(1)
        codes: list[str | None] = []
        while len(codes) < 2:
            codes = [each.error_code for each in await asyncio.to_thread(client.api.account.notifications.list)]
        assert codes == ["11200", "30006"]
        assert len(await asyncio.to_thread(client.messages.list)) == 1


async def test_messages_are_refused_by_the_setting() -> None:
    async with Server(numbers={OURS: None}, settings={"messages": "refuse"}) as server:
        client = server.sdk()
        with pytest.raises(Exception, match="SMS-capable"):
            await asyncio.to_thread(lambda: client.messages.create(to=CUSTOMER, from_=OURS, body="Hello"))
        assert await command(server, "messages") == ""
