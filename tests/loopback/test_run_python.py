"""A program with the official Python SDK, not edited, talks to the engine when it is started in our environment."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from holdfast.cli.run.environment import child_environment

SID = "AC" + "1" * 32
TOKEN = "f" * 32


class Engine(ThreadingHTTPServer):
    """Answers every request with an empty list of calls, and keeps its path and credentials."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Engine)
        user = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        self.server.asked.append((self.path.partition("?")[0], user))
        body = json.dumps({"calls": [], "page": 0, "page_size": 50, "next_page_uri": None, "uri": ""}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(program: str, engine: Engine, **base: str) -> str:
    environment = child_environment({"PATH": os.environ["PATH"], **base}, url=engine.url, sid=SID, token=TOKEN)
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


CALLS = f"/2010-04-01/Accounts/{SID}/Calls.json"


@pytest.mark.parametrize(
    "client",
    [
        "Client()",
        "Client(region='ie1')",
        "Client(edge='dublin', region='ie1')",
        f"Client('{SID}', '{TOKEN}')",
    ],
)
def test_the_client_uses_the_engine(client: str, engine: Engine) -> None:
    assert run(f"from twilio.rest import Client; print({client}.calls.list())", engine) == "[]\n"
    assert engine.asked == [(CALLS, f"{SID}:{TOKEN}")]


def test_an_edge_and_a_region_in_the_environment_change_nothing(engine: Engine) -> None:
    program = "from twilio.rest import Client; print(Client().calls.list())"
    assert run(program, engine, TWILIO_REGION="ie1", TWILIO_EDGE="dublin") == "[]\n"
    assert len(engine.asked) == 1


def test_the_async_client_uses_the_engine(engine: Engine) -> None:
    program = """
import asyncio
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client
async def main():
    async with AsyncTwilioHttpClient() as http:
        print(await Client(http_client=http).calls.list_async())
asyncio.run(main())
"""
    assert run(program, engine) == "[]\n"
    assert len(engine.asked) == 1


def test_requests_to_other_twilio_hosts_are_unchanged(engine: Engine) -> None:
    program = """
from twilio.rest import Client
from urllib.parse import urlsplit
client = Client(region='ie1')
for host in ('taskrouter.twilio.com', 'api.twilio.com.example', 'notapi.twilio.com'):
    print(client.get_hostname(f'https://{host}/v1').partition('://')[2].endswith('/v1'), end=' ')
print(client.get_hostname('https://taskrouter.twilio.com/v1'))
"""
    assert run(program, engine) == "True True True https://taskrouter.ie1.twilio.com/v1\n"
    assert engine.asked == []


def test_the_programs_own_sitecustomize_is_run_too(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import builtins\nbuiltins.mine = 'it ran'\n")
    program = "from twilio.rest import Client; print(mine, Client().calls.list())"
    assert run(program, engine, PYTHONPATH=str(tmp_path)) == "it ran []\n"
    assert len(engine.asked) == 1


def test_a_program_without_the_sdk_is_unchanged(engine: Engine) -> None:
    program = "import sys; print(any(name.startswith('twilio') for name in sys.modules))"
    assert run(program, engine) == "False\n"


def test_other_variables_of_the_environment_stay() -> None:
    base = {"PYTHONPATH": "/mine", "NODE_OPTIONS": "--trace-warnings", "NO_PROXY": "intranet", "HOME": "/home/me"}
    changed = child_environment(base, url="http://h:1", sid=SID, token=TOKEN)
    assert changed["HOME"] == "/home/me"
    assert changed["PYTHONPATH"].endswith(":/mine")
    assert changed["NODE_OPTIONS"].startswith("--trace-warnings --require ")
    assert changed["NO_PROXY"] == "intranet,127.0.0.1,localhost"
    assert (changed["TWILIO_ACCOUNT_SID"], changed["TWILIO_AUTH_TOKEN"]) == (SID, TOKEN)
