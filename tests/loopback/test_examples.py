"""Each example runs as a program, with phones at both ends that report what they hear."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest
from twilio.twiml.voice_response import Dial, VoiceResponse

from holdfast.testing.audio.music import HOLD_MUSIC_MP3
from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server, free_port
from tests.loopback.shared_server import CUSTOMER, PASSWORD, answers

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
OFFICE = "+15550100"


@pytest.fixture
def files() -> Iterator[FileServer]:
    with FileServer(HOLD_MUSIC_MP3) as files:
        yield files


async def start(name: str, *arguments: str, server: Server) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(EXAMPLES / name),
        *arguments,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | server.environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(name: str, *arguments: str, server: Server) -> tuple[int | None, str]:
    """Run an example to its end; return its status, and what it printed."""
    process = await start(name, *arguments, server=server)
    async with asyncio.timeout(20.0):
        output, errors = await process.communicate()
    return process.returncode, (output + errors).decode().strip()


@asynccontextmanager
async def serving(name: str, *arguments: str, port: int, server: Server) -> AsyncIterator[None]:
    """Run an example that is a web application and listens at this port."""
    process = await start(name, *arguments, server=server)
    try:
        async with asyncio.timeout(20.0):
            while not await listens(port):
                assert process.returncode is None, f"{name} ended by itself"
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


def into_a_room() -> str:
    response, dial = VoiceResponse(), Dial()
    dial.conference("support", wait_url="", beep="false")
    response.append(dial)
    return str(response)


async def call_from(caller: str, server: Server) -> str:
    """Return the SID of the call that a phone has made."""
    calls = await asyncio.to_thread(server.sdk().calls.list, status="in-progress")
    return str(next(call.sid for call in calls if call.parent_call_sid is None and caller in str(call._from)))


def post(url: str, body: dict[str, str]) -> dict[str, Any]:
    request = Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=10.0) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


async def test_a_and_b_hold_and_resume_a_participant(server: Server, files: FileServer) -> None:
    await answers(server, OFFICE, files.put("voice.xml", into_a_room()))
    async with (
        Phone("alice", server=server.sip) as alice,
        Phone("bob", server=server.sip) as bob,
    ):
        for phone in (alice, bob):
            await (await phone.call(OFFICE)).answered()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        client = server.sdk()
        (conference,) = await asyncio.to_thread(client.conferences.list, status="in-progress")
        customer = await call_from("alice", server)
        music = files.url(HOLD_MUSIC_MP3.name)

        status, said = await run("a_hold_in_conference.py", str(conference.sid), customer, music, server=server)
        await asyncio.gather(alice.hears("hold music"), bob.hears("silence"))
        assert (status, said) == (0, f"{customer} on hold: True")

        status, said = await run("b_resume_in_conference.py", str(conference.sid), customer, server=server)
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        assert (status, said) == (0, f"{customer} on hold: False")

        assert alice.call_now is not None
        await alice.call_now.hang_up()
        status, said = await run("b_resume_in_conference.py", str(conference.sid), customer, server=server)
        assert (status, said) == (1, f"{customer} has left the conference: there is nobody to resume")


@pytest.mark.parametrize(
    ("application", "waiting", "ends_together"),
    [("c_keep_other_leg_redirect.py", "/waiting", False), ("c_keep_other_leg_action.py", "/after?other={child}", True)],
)
async def test_c_d_and_e_hold_a_leg_and_keep_the_other(
    application: str, waiting: str, ends_together: bool, server: Server, files: FileServer
) -> None:
    port = free_port(socket.SOCK_STREAM)
    app = f"http://127.0.0.1:{port}"
    await answers(server, OFFICE, f"{app}/voice")
    async with (
        serving(application, str(port), CUSTOMER, port=port, server=server),
        Phone("alice", server=server.sip, user=CUSTOMER, password=PASSWORD) as alice,
        Phone("bob", server=server.sip) as bob,
    ):
        await alice.register()
        call = await bob.call(OFFICE)
        await call.answered()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        calls = await asyncio.to_thread(server.sdk().calls.list, status="in-progress")
        parent = str(next(call.sid for call in calls if call.parent_call_sid is None))
        child = str(next(call.sid for call in calls if call.parent_call_sid == parent))

        for _ in range(2):
            status, said = await run("d_hold_a_leg.py", child, files.url(HOLD_MUSIC_MP3.name), server=server)
            await asyncio.gather(alice.hears("hold music"), bob.hears("silence"))
            assert (status, said) == (0, f"{child} waits in hold-{child}")

            status, said = await run(
                "e_resume_a_leg.py", child, parent, app + waiting.format(child=child), server=server
            )
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            assert (status, said) == (0, f"{parent} takes {child} out of hold-{child}")

        assert alice.call_now is not None
        await alice.call_now.hang_up()
        if ends_together:
            await call.over()
        else:
            await bob.hears("silence")


async def test_a_and_b_with_holds(server: Server, files: FileServer) -> None:
    await answers(server, OFFICE, files.put("voice.xml", into_a_room()))
    async with (
        Phone("alice", server=server.sip) as alice,
        Phone("bob", server=server.sip) as bob,
    ):
        for phone in (alice, bob):
            await (await phone.call(OFFICE)).answered()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        customer = await call_from("alice", server)

        program = await start("a_b_with_holds.py", customer, files.url(HOLD_MUSIC_MP3.name), server=server)
        await asyncio.gather(alice.hears("hold music", within_s=10.0), bob.hears("silence", within_s=10.0))
        output, errors = await program.communicate(b"\n")

        assert (output.decode().split(), errors.decode()) == ([f"{customer}:", "held", f"{customer}:", "resumed"], "")
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))


async def test_c_d_and_e_with_holds(server: Server, files: FileServer) -> None:
    port = free_port(socket.SOCK_STREAM)
    web = f"http://127.0.0.1:{port}"
    await answers(server, OFFICE, f"{web}/twiml/dial?to={quote(CUSTOMER)}")
    async with (
        serving("c_d_e_with_holds.py", web, port=port, server=server),
        Phone("alice", server=server.sip, user=CUSTOMER, password=PASSWORD) as alice,
        Phone("bob", server=server.sip) as bob,
    ):
        await alice.register()
        await (await bob.call(OFFICE)).answered()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        parent = await call_from("bob", server)
        child = (await asyncio.to_thread(server.sdk().calls.list, parent_call_sid=parent))[0].sid
        music = files.url(HOLD_MUSIC_MP3.name)

        for call, held, other in ((child, alice, bob), (parent, bob, alice)):
            hold = await asyncio.to_thread(post, f"{web}/holds", {"call": call, "music": music})
            await asyncio.gather(held.hears("hold music"), other.hears("silence"))
            await asyncio.to_thread(post, f"{web}/holds/{hold['id']}/resume", {})
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))


def test_every_example_is_under_40_lines_and_official_sdk_only() -> None:
    programs = sorted(EXAMPLES.glob("[a-e]_*.py"))
    assert {path.name[0] for path in programs} == set("abcde")
    for path in programs:
        text = path.read_text("utf-8")
        assert len(text.splitlines()) < 40, path.name
        if not path.stem.endswith("_with_holds"):
            assert "import holdfast" not in text, path.name
            assert "from holdfast" not in text, path.name
