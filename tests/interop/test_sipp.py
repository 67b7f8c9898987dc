"""sipp against `holdfast serve`, with scenarios of our own: calls in, calls out, to their orderly end."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

from holdfast.testing.files import FileServer
from holdfast.testing.server import HOST, Server, free_port
from tests.interop.programs import program

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

SCENARIOS = Path(__file__).parent / "sipp"
CALLS = 50


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server() as server:
        yield server


def client_of(server: Server) -> Client:
    client = Client(server.account_sid, server.auth_token)
    client.api.base_url = server.url
    return client


async def sipp(folder: Path, scenario: str, *arguments: str, host: str = HOST) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        program("sipp"),
        "-sf",
        str(SCENARIOS / scenario),
        "-i",
        host,
        "-mi",
        host,
        "-nostdin",
        "-trace_err",
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def listening(port: int, transport: str) -> None:
    """A foreign program has its port by now. Over TCP a call that comes before would be refused at once."""
    table, state = (Path("/proc/net/tcp"), " 0A ") if transport == "tcp" else (Path("/proc/net/udp"), " 07 ")

    def is_there() -> bool:
        return any(f":{port:04X} " in line and state in line for line in table.read_text().splitlines())

    async with asyncio.timeout(20.0):
        while not is_there():  # noqa: ASYNC110  sipp tells nobody
            await asyncio.sleep(0.05)


async def finished(process: asyncio.subprocess.Process, folder: Path) -> None:
    """sipp ended with every call gone as its scenario says."""
    try:
        async with asyncio.timeout(40.0):
            status = await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        status = -1
    errors = "\n".join(path.read_text("utf-8", "replace")[-20_000:] for path in folder.glob("*_*.log"))
    assert status == 0, f"sipp ended with {status}\n{errors}"


async def test_callers_call_in_and_hang_up(server: Server, tmp_path: Path) -> None:
    await call_in(server, tmp_path)


async def test_callers_call_in_by_tcp(server: Server, tmp_path: Path) -> None:
    """All of them over one connection."""
    await call_in(server, tmp_path, "-t", "t1")


async def test_each_caller_has_a_connection_of_its_own(server: Server, tmp_path: Path) -> None:
    await call_in(server, tmp_path, "-t", "tn", "-max_socket", "200")


async def call_in(server: Server, tmp_path: Path, *transport: str) -> None:
    with FileServer() as files:
        answer = VoiceResponse()
        # A pause as the first verb would let the phone ring on: a sound answers.
        answer.play(digits="w")
        answer.pause(length=5)
        url = files.put("voice.xml", str(answer))
        await asyncio.to_thread(
            client_of(server).incoming_phone_numbers.create, phone_number="+15550123", voice_url=url, voice_method="GET"
        )
        callers = await sipp(
            tmp_path,
            "uac.xml",
            f"{server.sip[0]}:{server.sip[1]}",
            "-s",
            "+15550123",
            "-p",
            str(free_port(socket.SOCK_DGRAM)),
            "-m",
            str(CALLS),
            "-r",
            "20",
            *transport,
        )
        await finished(callers, tmp_path)

    ended = await asyncio.to_thread(client_of(server).calls.list, status="completed")
    assert len(ended) == CALLS


async def test_a_phone_is_called_and_hung_up_on(server: Server, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    phone = await sipp(tmp_path, "uas.xml", "-p", str(port), "-m", "10")
    answer = VoiceResponse()
    answer.play(digits="w")
    answer.hangup()
    for _ in range(10):
        await asyncio.to_thread(
            client_of(server).calls.create, to=f"sip:called@{HOST}:{port}", from_="+15550100", twiml=str(answer)
        )
    await finished(phone, tmp_path)

    ended = await asyncio.to_thread(client_of(server).calls.list, status="completed")
    assert len(ended) == 10


@pytest.mark.parametrize(("transport", "flag"), [("udp", "u1"), ("tcp", "t1")])
async def test_numbers_leave_by_a_trunk_that_wants_proof(tmp_path: Path, transport: str, flag: str) -> None:
    port = free_port(socket.SOCK_DGRAM, socket.SOCK_STREAM)
    route: dict[str, str | int] = {"host": HOST, "port": port, "transport": transport, "caller_id": "+15550999"}
    proof = {"user": "acme", "password": "trunk-secret"}
    async with Server(routes={"+44": {**route, **proof}}, numbers={"+15550100": None}) as server:
        trunk = await sipp(tmp_path, "trunk.xml", "-p", str(port), "-m", "5", "-t", flag, "-trace_msg")
        await listening(port, transport)
        answer = VoiceResponse()
        answer.play(digits="w")
        answer.hangup()
        for number in range(5):
            await asyncio.to_thread(
                client_of(server).calls.create, to=f"+44207946000{number}", from_="+15550100", twiml=str(answer)
            )
        await finished(trunk, tmp_path)
        ended = await asyncio.to_thread(client_of(server).calls.list, status="completed")
        assert len(ended) == 5


async def test_calls_of_a_trunk_come_in_without_a_password_and_a_strangers_do_not(tmp_path: Path) -> None:
    with FileServer() as files:
        url = files.put("voice.xml", '<Response><Play digits="w"/><Pause length="5"/></Response>')
        async with Server(
            routes={"+": {"host": "127.0.0.9", "sources": ["127.0.0.9/32"]}},
            numbers={"+15550123": url},
            settings={"sip_trust_loopback": False},
        ) as server:
            called = (f"{server.sip[0]}:{server.sip[1]}", "-s", "+15550123", "-m", "5")
            trunk = await sipp(tmp_path, "uac.xml", *called, "-p", str(free_port(socket.SOCK_DGRAM)), host="127.0.0.9")
            await finished(trunk, tmp_path)
            port = str(free_port(socket.SOCK_DGRAM))
            stranger = await sipp(tmp_path, "refused.xml", *called, "-p", port, host="127.0.0.8")
            await finished(stranger, tmp_path)
            calls = await asyncio.to_thread(client_of(server).calls.list)
            assert len(calls) == 5
