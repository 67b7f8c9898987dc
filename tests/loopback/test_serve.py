"""`holdfast serve` as an operator runs it: it is ready, reports faults, restarts its processes, and stops in order."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import pytest

from holdfast.cli.client import Client, ServerRefused
from holdfast.cli.run_file import find_run_file, run_file_path
from holdfast.store.account_file import StoredAccount
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from holdfast.voice.runtime.supervisor import CANNOT_WORK
from holdfast.voice.sip.message.codec import decode
from holdfast.voice.sip.message.message import Request, respond
from tests.loopback.shared_server import client


def new_server() -> Server:
    """A server with one line that is not started yet."""
    return Server(lines={"alice": "correct-horse"})


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that is ready between tests."""
    with new_server() as server:
        yield server


def children(pid: int) -> dict[str, int]:
    """Return the processes of a supervisor, by their names."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        found["control" if "holdfast.cli.server.control" in command else "media"] = int(child)
    return found


def alive(pid: int) -> bool:
    """Return whether a process runs. A zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(test: Callable[[], bool]) -> None:
    """Wait until `test()` is true."""
    async with asyncio.timeout(25):
        while True:
            if test():
                return
            await asyncio.sleep(0.02)


def holdfast(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "holdfast", *arguments],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONPATH": os.getcwd(), **environment},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


async def test_everything_is_served_on_one_port_and_nothing_is_left_after_the_stop() -> None:
    async with new_server() as server:
        ask = client(server)
        assert "<title>Holdfast</title>" in ask.text("/")
        assert ask.get("/calls") == {"calls": []}
        assert ask.get("/holds") == {"holds": []}
        assert ask.get(f"/2010-04-01/Accounts/{server.account_sid}/Calls.json")["calls"] == []
        assert {"name": "alice", "may_call": [""], "rtp_source": None} in ask.get("/engine/lines")["lines"]
        assert ask.get("/readyz") == {"status": "ready"}
        assert "/holds" in ask.get("/openapi.json")["paths"]
        assert "holdfast_" in ask.text("/metrics")
        for path in ("/console/page.css", "/console/page.js", "/docs"):
            assert "http" not in {line.strip() for line in ask.text(path).splitlines()}
        unauthenticated = Client(url=server.url, credentials=StoredAccount(sid="AC" + "0" * 32, token="x"))
        with pytest.raises(ServerRefused, match=r"."):
            unauthenticated.get("/engine/lines")
        async with Phone("alice", server=server.sip, user="alice", password="correct-horse") as phone:
            await phone.register()
        processes = [server.pid, *children(server.pid).values()]
        assert len(processes) == 3
    assert [pid for pid in processes if alive(pid)] == []
    assert "Traceback" not in server.log()


OPEN = ["/healthz", "/readyz", "/", "/console/page.css", "/console/page.js", "/console/docs"]


async def test_no_http_path_is_open_by_address_alone(server: Server) -> None:
    """Request as a bare `proxy_pass` does: from loopback, by its name, without a header field for the client."""
    ask = client(server)
    described = await asyncio.to_thread(ask.get, "/openapi.json")
    operations = [(method.upper(), path) for path, item in described["paths"].items() for method in item]
    operations = [each for each in operations if each[1] not in OPEN]
    assert {("POST", "/holds"), ("GET", "/calls"), ("GET", "/events"), ("GET", "/metrics")} <= set(operations)
    operations += [
        ("GET", "/docs"),
        ("GET", "/openapi.json"),
        ("POST", "/console/keys"),
        ("GET", "/x"),
        ("GET", "//calls"),
    ]
    operations += [("GET", f"/2010-04-01/Accounts/{server.account_sid}/Calls.json"), ("POST", "/twiml/dial")]

    def answered(method: str, path: str) -> int:
        request = HttpRequest(server.url + path, method=method, data=b"{}" if method == "POST" else None)
        try:
            with urlopen(request, timeout=10) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    answers = {each: await asyncio.to_thread(answered, *each) for each in operations}
    assert {each: status for each, status in answers.items() if status not in (401, 403)} == {}
    assert [await asyncio.to_thread(answered, "GET", path) for path in OPEN] == [200] * len(OPEN)


async def test_metrics_are_open_if_the_setting_says_so() -> None:
    async with Server(settings={"metrics_open": True}) as server:
        with await asyncio.to_thread(urlopen, f"{server.url}/metrics", timeout=10) as answer:
            assert b"holdfast_ready 1" in answer.read()


async def test_the_link_signs_in_once_and_no_log_has_its_key(server: Server) -> None:
    store = f"sqlite:///{server.store}"
    account = {"HOLDFAST_ACCOUNT_SID": server.account_sid, "HOLDFAST_AUTH_TOKEN": server.auth_token}
    printed = await asyncio.to_thread(holdfast, "console", "--store", store, **account)
    assert (printed.returncode, printed.stderr.strip()) == (0, "it can be used once, within ten minutes")
    address, _, key = printed.stdout.strip().partition("/#key=")
    assert address == server.url

    def trade() -> Any:
        request = HttpRequest(f"{server.url}/console/session", json.dumps({"key": key}).encode())
        with urlopen(request, timeout=10) as answer:
            return json.load(answer)

    session = (await asyncio.to_thread(trade))["session"]
    calls = HttpRequest(f"{server.url}/calls", headers={"Authorization": f"Bearer {session}"})
    with await asyncio.to_thread(urlopen, calls, timeout=10) as answer:
        assert json.load(answer) == {"calls": []}
    with pytest.raises(HTTPError, match="403") as again:
        await asyncio.to_thread(trade)
    again.value.close()
    assert "holdfast console prints a link" in server.log()
    assert [each for each in (key, session, "#key=", server.auth_token) if each in server.log()] == []


async def test_only_the_owner_can_use_the_media_socket_and_the_store(server: Server) -> None:
    found = re.search(r"socket=(\S+)", server.log())
    assert found is not None
    assert Path(found[1]).is_socket()
    assert Path(found[1]).parent.stat().st_mode & 0o777 == 0o700
    assert server.store.stat().st_mode & 0o777 == 0o600


async def test_a_terminal_gets_a_link_and_a_log_gets_none(tmp_path: Path) -> None:
    ours, its = os.openpty()
    settings = ["--http-port", "0", "--sip-port", "0", "--rtp-rows", "2", "--rtp-base", "30000"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast", "serve", *settings, "--store", f"sqlite:///{tmp_path}/holdfast.db"),
        *("--public-url", "https://holdfast.example"),
        stdout=its,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(its)
    try:
        said = ""
        async with asyncio.timeout(30):
            while "Ctrl-C" not in said:
                said += (await asyncio.to_thread(os.read, ours, 4096)).decode()
        assert re.search(r"https://holdfast\.example/#key=[\w-]{43} ", said)
    finally:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            await process.wait()
        os.close(ours)


async def test_each_api_refuses_a_too_long_body_in_its_own_format(server: Server) -> None:
    pair = base64.b64encode(f"{server.account_sid}:{server.auth_token}".encode()).decode()

    def told(path: str) -> Any:
        request = HttpRequest(server.url + path, b"x" * 300_000, {"Authorization": f"Basic {pair}"})
        with pytest.raises(HTTPError) as refused:
            urlopen(request, timeout=10)
        with refused.value as error:
            assert error.code == 413
            return json.load(error)

    assert (await asyncio.to_thread(told, f"/2010-04-01/Accounts/{server.account_sid}/Calls.json"))["code"] == 20422
    assert (await asyncio.to_thread(told, "/holds"))["code"] == "bad_input"


async def test_event_streams_that_are_cut_off_leave_nothing_behind(server: Server) -> None:
    pair = base64.b64encode(f"{server.account_sid}:{server.auth_token}".encode()).decode()
    ask = f"GET /events?after=0 HTTP/1.1\r\nHost: {server.http[0]}\r\nAuthorization: Basic {pair}\r\n\r\n"
    for part in range(40):
        reader, writer = await asyncio.open_connection(*server.http)
        writer.write(ask.encode())
        assert b"200" in await reader.readline()
        await asyncio.sleep(part % 10 / 1000)
        writer.transport.abort()
    assert await asyncio.to_thread(client(server).get, "/calls") == {"calls": []}
    assert "Task was destroyed" not in server.log()
    assert "Traceback" not in server.log()


async def test_it_is_not_ready_while_there_is_no_media_process(server: Server) -> None:
    ask = client(server)
    os.kill(server.pid, signal.SIGSTOP)  # so that nobody restarts it
    try:
        os.kill(children(server.pid)["media"], signal.SIGKILL)
        reasons = []

        def is_not_ready() -> bool:
            try:
                ask.get("/readyz")
            except ServerRefused as refused:
                reasons.append(refused.http_status)
            return bool(reasons)

        await until(is_not_ready)
        assert reasons == [503]
        assert ask.get("/healthz") == {"status": "ok"}
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await until(lambda: is_ready(ask))


def is_ready(ask: Client) -> bool:
    try:
        return bool(ask.get("/readyz") == {"status": "ready"})
    except ServerRefused:
        return False


def readiness(server: Server) -> str:
    """Return "ready", or the reason why the server is not."""
    try:
        with urlopen(server.url + "/readyz", timeout=10) as answer:
            return str(json.load(answer)["status"])
    except HTTPError as error:
        with error:
            return str(json.load(error)["reason"])


async def test_it_is_not_ready_while_no_media_row_is_free() -> None:
    settings: dict[str, str | int] = {"rtp_rows": 2, "default_voice_url": "http://127.0.0.1:9/voice"}
    async with Server(settings=settings) as server, Phone("bob") as bob, Phone("carol") as carol:
        ask, calls = client(server), server.sdk().calls
        assert await asyncio.to_thread(readiness, server) == "ready"
        for phone in (bob, carol):
            document = '<Response><Pause length="600"/></Response>'
            await asyncio.to_thread(calls.create, to=phone.uri, from_="desk", twiml=document)
            await phone.called()
        await until(lambda: readiness(server) != "ready")
        assert "no media row is free" in readiness(server)
        assert "each of the 2 (setting rtp_rows)" in readiness(server)
        assert "holdfast_ready 0.0\n" in ask.text("/metrics")
        assert ask.get("/healthz") == {"status": "ok"}
        async with Phone("dan", server=server.sip) as dan:
            assert await (await dan.call("100")).over() == 503
        for call in await asyncio.to_thread(calls.list):
            await asyncio.to_thread(server.sdk().calls(call.sid).update, status="completed")
        await until(lambda: readiness(server) == "ready")
        assert "holdfast_ready 1.0\n" in ask.text("/metrics")


def deaf_phone(sock: socket.socket) -> None:
    """Answer one call, and no BYE."""
    data, source = sock.recvfrom(65_536)
    request = decode(data)
    assert isinstance(request, Request)
    headers = (("Contact", f"<sip:deaf@127.0.0.1:{sock.getsockname()[1]}>"), ("Content-Type", "application/sdp"))
    media = "m=audio 40000 RTP/AVP 0\r\n"
    body = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{media}".encode()
    sock.sendto(respond(request, 200, tag="deaf", headers=headers, body=body).encode(), source)


async def test_a_stopping_server_refuses_calls_with_retry_after() -> None:
    settings = {"default_voice_url": "http://127.0.0.1:9/voice"}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(20)
        async with Server(settings=settings) as server, Phone("dan", server=server.sip) as dan:
            form = f"To=sip:deaf@127.0.0.1:{sock.getsockname()[1]}&From=desk&Twiml=<Response><Pause/></Response>"
            pair = base64.b64encode(f"{server.account_sid}:{server.auth_token}".encode()).decode()

            def post(path: str, body: str, kind: str) -> tuple[int, str | None, Any]:
                headers = {"Authorization": f"Basic {pair}", "Content-Type": kind}
                try:
                    with urlopen(HttpRequest(server.url + path, body.encode(), headers), timeout=10) as answer:
                        return answer.status, answer.headers["Retry-After"], json.load(answer)["sid"]
                except HTTPError as error:
                    with error:
                        return error.code, error.headers["Retry-After"], json.load(error)["code"]

            async def place() -> tuple[int, str | None, Any]:
                path = f"/2010-04-01/Accounts/{server.account_sid}/Calls.json"
                return await asyncio.to_thread(post, path, form, "application/x-www-form-urlencoded")

            async def hold(call: str) -> tuple[int, str | None, Any]:
                return await asyncio.to_thread(post, "/holds", json.dumps({"call": call}), "application/json")

            async def asked_for_a_call() -> list[str]:
                call = await dan.call("100")
                assert await call.over() == 503
                told = [seen.data.decode() for seen in dan.messages if seen.start_line.startswith("SIP/2.0 503")]
                return [line for line in told[-1].split("\r\n") if line.startswith("Retry-After")]

            status, _, sid = await place()
            assert status == 201
            await asyncio.to_thread(deaf_phone, sock)
            assert (await asyncio.to_thread(sock.recv, 65_536)).startswith(b"ACK ")
            os.kill(server.pid, signal.SIGTERM)
            assert (await asyncio.to_thread(sock.recv, 65_536)).startswith(b"BYE ")  # it waits for the answer
            outcomes = await asyncio.gather(
                asked_for_a_call(), place(), hold(sid), asyncio.to_thread(readiness, server), return_exceptions=True
            )
            assert outcomes == [
                ["Retry-After: 10"],
                (503, "10", 20503),
                (503, "10", "being_stopped"),
                "the engine is stopping",
            ]
            assert alive(server.pid)


VIA = "Via: SIP/2.0/UDP 127.0.0.1:5999;branch=z9hG4bKx"
OPTIONS = (
    f"OPTIONS sip:127.0.0.1 SIP/2.0\r\n{VIA}\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>\r\n"
    "Call-ID: x\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


async def test_hostile_datagrams_are_answered_or_logged_and_the_server_continues(server: Server) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unauthenticated:
        unauthenticated.bind(("127.0.0.1", 0))
        unauthenticated.settimeout(10)

        def answered(message: str) -> str:
            unauthenticated.sendto(message.encode(), server.sip)
            return unauthenticated.recv(65_536).decode().partition("\r\n")[0]

        ours = OPTIONS.replace("5999", str(unauthenticated.getsockname()[1]))
        for garbage in ("\0" * 1400, "SIP/2.0 200 OK\r\n\r\n"):
            unauthenticated.sendto(garbage.encode(), server.sip)
        impossible = ours.replace(str(unauthenticated.getsockname()[1]), "65536")
        many = ours.replace("Max-Forwards", "X-Padding: x\r\n" * 1500 + "Max-Forwards")
        for message, status in ((impossible, "400 "), (ours[:40], "400 "), (many, "400 "), (ours, "200 OK")):
            assert (await asyncio.to_thread(answered, message)).startswith(f"SIP/2.0 {status}")
    assert server.log().count("fact=MessageDropped") == 1
    assert "Traceback" not in server.log()


async def test_a_dead_media_process_is_replaced_and_control_continues(server: Server) -> None:
    before = children(server.pid)
    os.kill(before["media"], signal.SIGKILL)
    await until(lambda: children(server.pid).get("media", before["media"]) != before["media"])
    assert children(server.pid)["control"] == before["control"]
    await until(lambda: is_ready(client(server)))


async def test_the_children_end_when_the_supervisor_is_killed() -> None:
    async with new_server() as server:
        processes = children(server.pid)
        os.kill(server.pid, signal.SIGKILL)
        await until(lambda: not any(alive(pid) for pid in processes.values()))


HANGS = """
import asyncio
from holdfast.cli.server.control import stop_requested
async def hang():
    await stop_requested(goodbye_s=0.2).wait()
    await asyncio.sleep(600)
asyncio.run(hang())
"""


def test_a_hanging_control_process_ends_after_its_supervisor_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", HANGS], stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=60) == -signal.SIGALRM


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield held.getsockname()[1]


def test_a_used_http_port_is_reported_and_nothing_is_left(taken: int, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/holdfast.db"
    done = holdfast("serve", "--http-port", str(taken), "--sip-port", "0", "--rtp-rows", "2", "--store", store)
    assert done.returncode == CANNOT_WORK
    assert f"HTTP cannot listen at 127.0.0.1 port {taken}: " in done.stderr
    assert "holdfast serve --http-port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_used_sip_port_is_reported(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        store = f"sqlite:///{tmp_path}/holdfast.db"
        done = holdfast("serve", "--http-port", "0", "--sip-port", str(port), "--rtp-rows", "2", "--store", store)
    assert done.returncode == CANNOT_WORK
    assert f"SIP port {port} of 127.0.0.1 is taken by another program" in done.stderr
    assert "Traceback" not in done.stderr


def test_control_without_a_supervisor_says_how_to_start_it() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "holdfast.cli.server.control"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == CANNOT_WORK
    assert "→ holdfast serve" in done.stderr


async def test_other_commands_find_the_ports_that_were_chosen(tmp_path: Path) -> None:
    store = tmp_path / "holdfast.db"
    settings = ["--http-port", "0", "--sip-port", "0", "--rtp-rows", "2", "--rtp-base", "30000"]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast", "serve", *settings, "--store", f"sqlite:///{store}"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            first = (await process.stdout.readline()).decode()
        running = find_run_file(store)
        assert running is not None
        assert running.url in first
        assert running.sip in first
        listed = await asyncio.to_thread(holdfast, "number", "list", "--store", f"sqlite:///{store}")
        assert (listed.returncode, listed.stdout) == (0, "")
        told = await asyncio.to_thread(holdfast, "account", "--store", f"sqlite:///{store}")
        assert f"TWILIO_API_BASE_URL={running.url}\n" in told.stdout
        again = await asyncio.to_thread(holdfast, "serve", "--store", f"sqlite:///{store}")
        assert again.returncode == 1
        assert "a Holdfast runs with this store already" in again.stderr
    finally:
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(20):
            await process.communicate()
    assert process.returncode == 0
    assert not run_file_path(store).exists()
    assert json.loads((tmp_path / "holdfast.account").read_text())["account_sid"].startswith("AC")
