"""sipp against `holdfast serve`, with scenarios of our own: calls in, calls out, to their orderly end."""

import asyncio
import hashlib
import re
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from twilio.twiml.voice_response import VoiceResponse

from holdfast.testing.file_server import FileServer
from holdfast.testing.server import HOST, Server, Value, free_port
from tests.interop.programs import program
from tests.interop.tls_tunnel import tunnel

pytestmark = [pytest.mark.interop, pytest.mark.anyio]

SCENARIOS = Path(__file__).parent / "sipp"
LOCALHOST = Path(__file__).parents[1] / "loopback" / "localhost.pem"
CALLS = 50


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


TRUNKS = {
    "trunk.xml": ("+4410", free_port(socket.SOCK_DGRAM), "udp", "u1"),
    "trunk_by_tcp.xml": ("+4420", free_port(socket.SOCK_DGRAM, socket.SOCK_STREAM), "tcp", "t1"),
    "proxy.xml": ("+4430", free_port(socket.SOCK_DGRAM), "udp", "u1"),
}
"""The prefix of each, where it listens, and how it is spoken to."""


@pytest.fixture(scope="module")
def trunks() -> Iterator[Server]:
    """A server with a trunk for each prefix, and one more whose calls come in, that trusts nobody else."""
    with FileServer() as files:
        url = files.put("voice.xml", '<Response><Play digits="w"/><Pause length="5"/></Response>')
        proof = {"user": "acme", "password": "trunk-secret", "caller_id": "+15550999"}
        routes: dict[str, dict[str, Value]] = {
            prefix: {"host": HOST, "port": port, "transport": transport, **proof}
            for prefix, port, transport, _ in TRUNKS.values()
        }
        routes["+"] = {"host": "127.0.0.9", "sources": ["127.0.0.9/32"]}
        numbers = {"+15550100": None, "+15550123": url}
        with Server(routes=routes, numbers=numbers, settings={"sip_trust_loopback": False}) as server:
            yield server


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
    await call_in(server, tmp_path, "+15550121")


async def test_callers_call_in_by_tcp(server: Server, tmp_path: Path) -> None:
    """All of them over one connection."""
    await call_in(server, tmp_path, "+15550122", "-t", "t1")


async def test_each_caller_has_a_connection_of_its_own(server: Server, tmp_path: Path) -> None:
    await call_in(server, tmp_path, "+15550123", "-t", "tn", "-max_socket", "200")


async def call_in(server: Server, tmp_path: Path, number: str, *transport: str) -> None:
    with FileServer() as files:
        answer = VoiceResponse()
        # A pause as the first verb would let the phone ring on: a sound answers.
        answer.play(digits="w")
        answer.pause(length=5)
        url = files.put("voice.xml", str(answer))
        await asyncio.to_thread(
            server.sdk().incoming_phone_numbers.create, phone_number=number, voice_url=url, voice_method="GET"
        )
        callers = await sipp(
            tmp_path,
            "uac.xml",
            f"{server.sip[0]}:{server.sip[1]}",
            "-s",
            number,
            "-p",
            str(free_port(socket.SOCK_DGRAM)),
            "-m",
            str(CALLS),
            "-r",
            "20",
            *transport,
        )
        await finished(callers, tmp_path)

    ended = await asyncio.to_thread(server.sdk().calls.list, to=number, status="completed")
    assert len(ended) == CALLS


async def test_a_phone_is_called_and_hung_up_on(server: Server, tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    phone = await sipp(tmp_path, "uas.xml", "-p", str(port), "-m", "10")
    answer = VoiceResponse()
    answer.play(digits="w")
    answer.hangup()
    uri = f"sip:called@{HOST}:{port}"
    for _ in range(10):
        await asyncio.to_thread(server.sdk().calls.create, to=uri, from_="+15550100", twiml=str(answer))
    await finished(phone, tmp_path)

    ended = await asyncio.to_thread(server.sdk().calls.list, to=uri, status="completed")
    assert len(ended) == 10


@pytest.mark.parametrize("scenario", ["trunk.xml", "trunk_by_tcp.xml", "proxy.xml"])
async def test_numbers_leave_by_a_trunk_that_wants_proof(trunks: Server, tmp_path: Path, scenario: str) -> None:
    """By 401; or as a proxy, by 407, that of the first nonce says it is too old, and asks for proof of the BYE too."""
    prefix, port, transport, flag = TRUNKS[scenario]
    file = "proxy.xml" if scenario == "proxy.xml" else "trunk.xml"
    trunk = await sipp(tmp_path, file, "-p", str(port), "-m", "5", "-t", flag, "-trace_msg")
    await listening(port, transport)
    answer = VoiceResponse()
    answer.play(digits="w")
    answer.hangup()
    client = trunks.sdk()
    sids = []
    for number in range(5):
        call = await asyncio.to_thread(
            client.calls.create, to=f"{prefix}7946000{number}", from_="+15550100", twiml=str(answer)
        )
        sids.append(str(call.sid))
    await finished(trunk, tmp_path)
    assert {str((await asyncio.to_thread(client.calls(sid).fetch)).status) for sid in sids} == {"completed"}
    if scenario == "proxy.xml":
        nonces = Counter(proofs(tmp_path, user="acme", password="trunk-secret"))
        assert nonces == {"old": 5, "new": 10, "bye": 5}, "twice with the new one: in the INVITE and in its ACK"


def proofs(folder: Path, *, user: str, password: str) -> list[str]:
    """The end of the nonce of each proof that sipp heard as a proxy; each is computed anew. Source: RFC 2617 §3.2.2."""
    ends = []
    (log,) = folder.glob("*_messages.log")
    for request in re.findall(r"^(\w+) sip:\S+ SIP/2\.0\r?\n(.*?)\r?\n\r?\n", log.read_text("utf-8"), re.S | re.M):
        method, fields = request
        found = re.search(r"^Proxy-Authorization: Digest (.*?)\r?$", fields, re.M)
        if found:
            told = dict(re.findall(r'(\w+)="?([^",]*)"?', found[1]))
            secret, asked = (
                hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
                for text in (f"{user}:carrier.example:{password}", f"{method}:{told['uri']}")
            )
            proof = f"{secret}:{told['nonce']}:{asked}".encode()
            if method != "ACK":  # it bears the proof of its INVITE. Source: RFC 3261 §22.1
                assert told["response"] == hashlib.md5(proof, usedforsecurity=False).hexdigest()
            ends.append(told["nonce"].lstrip("0"))
    return ends


async def test_only_calls_of_a_trunk_need_no_password(trunks: Server, tmp_path: Path) -> None:
    called = (f"{trunks.sip[0]}:{trunks.sip[1]}", "-s", "+15550123", "-m", "5")
    trunk = await sipp(tmp_path, "uac.xml", *called, "-p", str(free_port(socket.SOCK_DGRAM)), host="127.0.0.9")
    await finished(trunk, tmp_path)
    port = str(free_port(socket.SOCK_DGRAM))
    stranger = await sipp(tmp_path, "refused.xml", *called, "-p", port, host="127.0.0.8")
    await finished(stranger, tmp_path)
    calls = await asyncio.to_thread(trunks.sdk().calls.list, to="+15550123")
    assert len(calls) == 5


async def test_a_caller_by_tls_holds_resumes_and_hangs_up(tmp_path: Path) -> None:
    scenario = tmp_path / "tls.xml"
    by_tcp = (SCENARIOS / "hold_by_reinvite.xml").read_text("utf-8")
    contact = "<sip:caller@[local_ip]:[local_port]>"
    told = by_tcp.replace("SIP/2.0/[transport]", "SIP/2.0/TLS")
    scenario.write_text(told.replace(f"Contact: {contact}", f"Contact: {contact[:-1]};transport=tls>"), "utf-8")
    secured = free_port(socket.SOCK_STREAM)
    settings: dict[str, str] = {"sip_tls_certificate": str(LOCALHOST), "sip_tls_port": str(secured)}
    with FileServer() as files:
        url = files.put("voice.xml", '<Response><Play digits="w"/><Pause length="60"/></Response>')
        async with Server(numbers={"+15550123": url}, settings=settings) as server:
            async with tunnel((HOST, secured), LOCALHOST) as (host, port):
                called = (f"{host}:{port}", "-s", "+15550123", "-t", "t1", "-m", "5", "-r", "5")
                callers = await sipp(tmp_path, str(scenario), *called, "-p", str(free_port(socket.SOCK_STREAM)))
                await finished(callers, tmp_path)
            ended = await asyncio.to_thread(server.sdk().calls.list, status="completed")
            assert len(ended) == 5
            assert "Traceback" not in server.log()
