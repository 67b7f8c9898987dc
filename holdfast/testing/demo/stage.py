"""Set up what the demo needs: an engine, an application with TwiML and music, and the holds library in it.

The application lives in this process, as it would on a user's web server; the engine is a child process. The library
reaches the engine as it reaches Twilio's cloud: by REST, and by the webhooks it serves here.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from twilio.twiml.voice_response import Dial, VoiceResponse

from holdfast.holds.account.client import Account
from holdfast.holds.service import Holds
from holdfast.holds.web.app import make_web
from holdfast.testing.audio.music import HOLD_MUSIC_MP3, SECOND_MUSIC_MP3
from holdfast.testing.file_server import FileServer
from holdfast.testing.server import HOST, Server, free_port

MEETING, SUPPORT = "+15550101", "+15550102"
"""The numbers of the two acts: one leads into a conference, one dials the agent."""
AGENT_LINE, AGENT_PASSWORD = "agent", "a-password-of-the-demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStage:
    """Everything that an act needs."""

    server: Server
    account: Account
    holds: Holds
    mp3_url: str
    twiml_url: str
    """A TwiML document that plays the second music over and over."""

    async def call_of(self, caller: str, number: str) -> str:
        """Return the SID of the live call that this party made to that number. Raises: LookupError."""
        for call in await self.account.calls(status="in-progress"):
            if call.parent is None and caller in call.from_ and number in call.to:
                return call.sid
        raise LookupError(f"no live call from {caller} to {number}")

    async def child_of(self, parent: str) -> str:
        """Return the SID of the live call that this one dialled. Raises: LookupError."""
        for call in await self.account.calls(status="in-progress"):
            if call.parent == parent:
                return call.sid
        raise LookupError(f"{parent} has dialled no call")


@asynccontextmanager
async def set_up() -> AsyncIterator[DemoStage]:
    """Start everything, and stop it in order at the end."""
    web = f"http://{HOST}:{free_port(socket.SOCK_STREAM)}"
    with FileServer(HOLD_MUSIC_MP3, SECOND_MUSIC_MP3) as files:
        numbers = {MEETING: files.url("meeting.xml"), SUPPORT: files.url("support.xml")}
        async with Server(lines={AGENT_LINE: AGENT_PASSWORD}, numbers=numbers) as server:
            account = Account.engine(url=server.url, sid=server.account_sid, token=server.auth_token)
            async with Holds(account, public_url=web) as holds, _serving(holds, web):
                files.put("meeting.xml", _into_a_conference())
                files.put("support.xml", _dial_the_agent(holds.continue_url))
                yield DemoStage(
                    server=server,
                    account=account,
                    holds=holds,
                    mp3_url=files.url(HOLD_MUSIC_MP3.name),
                    twiml_url=files.put("hold.xml", _play_for_ever(files.url(SECOND_MUSIC_MP3.name))),
                )


class _Web(uvicorn.Server):
    """A Uvicorn server that handles no signals: Ctrl-C ends the demo, not its web server alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture no signal."""
        yield


@asynccontextmanager
async def _serving(holds: Holds, url: str) -> AsyncIterator[None]:
    """Serve the web endpoints of the library while they are needed."""
    host, port = url.removeprefix("http://").split(":")
    config = uvicorn.Config(make_web(holds), host=host, port=int(port), log_config=None, access_log=False)
    server = _Web(config)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.serve(), name="demo: web server")
        try:
            async with asyncio.timeout(10.0):
                while not server.started:  # noqa: ASYNC110  uvicorn tells its start by this flag only
                    await asyncio.sleep(0.01)
            yield
        finally:
            server.should_exit = True


def _into_a_conference() -> str:
    response, dial = VoiceResponse(), Dial()
    dial.conference("meeting", wait_url="", beep="false")
    response.append(dial)
    return str(response)


def _dial_the_agent(continue_url: str) -> str:
    response, dial = VoiceResponse(), Dial(action=continue_url)
    dial.client(AGENT_LINE)
    response.append(dial)
    return str(response)


def _play_for_ever(url: str) -> str:
    response = VoiceResponse()
    response.play(url, loop=0)
    return str(response)
