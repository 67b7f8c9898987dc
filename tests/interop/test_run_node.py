"""A program with the official Node SDK, not edited, talks to the engine when it is started in our environment."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from holdfast.cli.run.environment import child_environment
from tests.interop.sdks import node

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]

SID = "AC" + "1" * 32
TOKEN = "f" * 32
SDK = "twilio@latest"

asked: list[tuple[str, str]] = []


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        user = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        asked.append((self.path.partition("?")[0], user))
        body = json.dumps({"calls": [], "page": 0, "page_size": 50, "next_page_uri": None, "uri": ""}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def folder(sdks: Path) -> Path:
    """A folder with the SDK in it."""
    return node(sdks, SDK).folder


LIST = "client.calls.list().then((calls) => console.log(calls.length));"
REQUIRE = 'const twilio = require("twilio"); const client = twilio('
IMPORT = 'import twilio from "twilio"; const client = twilio('


@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("app.cjs", REQUIRE + "); " + LIST),
        ("app.mjs", IMPORT + "); " + LIST),
        ("app.cjs", REQUIRE + 'undefined, undefined, {region: "ie1", edge: "dublin"}); ' + LIST),
        ("app.cjs", REQUIRE + f'"{SID}", "{TOKEN}", {{lazyLoading: false}}); ' + LIST),
    ],
)
def test_the_client_uses_the_engine(name: str, program: str, folder: Path, url: str) -> None:
    (folder / name).write_text(program)
    base = {"PATH": os.environ["PATH"], "TWILIO_REGION": "ie1"}
    environment = child_environment(base, url=url, sid=SID, token=TOKEN)
    done = subprocess.run(
        ["node", name], cwd=folder, env=environment, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert asked == [(f"/2010-04-01/Accounts/{SID}/Calls.json", f"{SID}:{TOKEN}")]
