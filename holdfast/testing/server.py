"""Run a Holdfast server for a test: `holdfast serve` as a child on free loopback ports, with a temporary store.

    async with Server(lines={"agent": "secret"}, numbers={"+15550100": "http://127.0.0.1:8000/voice"}) as server:
        async with Phone("alice", server=server.sip) as alice:
            ...

It lives in a process of its own, so measurements from here are measurements from outside.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from twilio.rest import Client

from holdfast.console.app import KEYS
from holdfast.console.sessions import sign_in_url

HOST = "127.0.0.1"
ROWS = 128
PORTS = range(10240, 16384)
RTP_PORTS = range(16384, 32768)
"""The ports for audio.

They and `PORTS` are below the ports that Linux assigns by itself, so that no other program takes one in between.
"""

Value: TypeAlias = "str | int | Sequence[Value] | Mapping[str, Value] | None"
"""A value of a setting."""

LOG_LINES_TOLD = 40
PASSED_ON = ("HOLDFAST_PHONE_HOLD_MUSIC",)
"""The settings that are taken from the environment, so that one scenario can be run by either rule without an edit."""


class ServerFailed(Exception):
    """An error for a server that did not start, or ended by itself; the message ends with the end of its log."""


class Server:
    """A `holdfast serve` process, from `async with` to its end.

    `numbers` gives each number its voice URL; one without (None) rings the line of that name. `settings` are further
    settings by their names in `holdfast.toml`, such as `default_voice_url`.
    """

    def __init__(
        self,
        *,
        lines: Mapping[str, Value] | None = None,
        numbers: Mapping[str, str | None] | None = None,
        routes: Mapping[str, Mapping[str, Value]] | None = None,
        settings: Mapping[str, Value] | None = None,
    ) -> None:
        self.account_sid = "AC" + secrets.token_hex(16)
        self.auth_token = secrets.token_hex(16)
        self._lines: dict[str, Value] = dict(lines or {})
        self._numbers = dict(numbers or {})
        self._routes = dict(routes or {})
        self._settings = dict(settings or {})
        self._folder = Path(tempfile.gettempdir()) / f"holdfast-{secrets.token_hex(8)}"
        self._log = self._folder / "serve.log"
        self.sip: tuple[str, int] = (HOST, free_port(socket.SOCK_DGRAM, socket.SOCK_STREAM))
        self.http: tuple[str, int] = (HOST, free_port(socket.SOCK_STREAM))
        self.url = f"http://{HOST}:{self.http[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables with which a program's official Twilio SDK finds this server."""
        return {
            "TWILIO_ACCOUNT_SID": self.account_sid,
            "TWILIO_AUTH_TOKEN": self.auth_token,
            "TWILIO_API_BASE_URL": self.url,
        }

    def sdk(self) -> Client:
        """Return the official SDK, pointed at this server."""
        client = Client(self.account_sid, self.auth_token)
        client.api.base_url = self.url
        return client

    def console_link(self) -> str:
        """Return a link that signs a browser in to the console, valid once, for ten minutes."""
        account = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode()).decode()
        request = urllib.request.Request(
            self.url + KEYS,
            data=b"{}",
            headers={"Authorization": f"Basic {account}", "Content-Type": "application/json"},
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10.0) as response:
            return sign_in_url(self.url, str(json.load(response)["key"]))

    def log(self) -> str:
        """Return what the server has logged so far."""
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    @property
    def pid(self) -> int:
        """Return the process ID of the supervisor."""
        return self._process.pid

    @property
    def store(self) -> Path:
        """Return the path of its store."""
        return self._folder / "holdfast.db"

    def __enter__(self) -> Self:
        """Start the server where no event loop runs: for a fixture that many tests share."""
        return asyncio.run(self.__aenter__())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run(self.__aexit__(kind, error, trace))

    async def __aenter__(self) -> Self:
        self._folder.mkdir(mode=0o700)
        (self._folder / "holdfast.toml").touch(mode=0o600)
        (self._folder / "holdfast.toml").write_text(self._configuration(), "utf-8")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220  starting a process does not wait for it
                [sys.executable, "-m", "holdfast", "serve"],
                cwd=self._folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            await self._ready()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            error.add_note(f"The log of holdfast serve:\n{self._tail()}")
        await self._stop()

    def _configuration(self) -> str:
        rows = self._settings.get("rtp_rows", ROWS)
        values: dict[str, Value] = {
            "http_host": HOST,
            "http_port": self.http[1],
            "sip_host": HOST,
            "sip_port": self.sip[1],
            "rtp_base": free_rtp_base(rows if isinstance(rows, int) else ROWS),
            "rtp_rows": ROWS,
            "store": f"sqlite:///{self.store}",
            "account_sid": self.account_sid,
            "auth_token": self.auth_token,
            **self._settings,
        }
        sections: dict[str, Mapping[str, Value]] = {
            "lines": self._lines,
            "numbers": self._numbers,
            "routes": self._routes,
        }
        text = "".join(f"{name} = {_toml(value)}\n" for name, value in values.items())
        for section, entries in sections.items():
            text += f"\n[{section}]\n" + "".join(f"{_toml(key)} = {_toml(value)}\n" for key, value in entries.items())
        return text

    async def _ready(self, *, within_s: float = 30.0) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not await self._answers():
                    if self._process.poll() is not None:
                        raise self._failed(f"ended with status {self._process.returncode}")
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise self._failed(f"did not answer within {within_s} s") from None

    async def _answers(self) -> bool:
        try:
            reader, writer = await asyncio.open_connection(*self.http)
            try:
                writer.write(b"GET /healthz HTTP/1.1\r\nHost: holdfast\r\nConnection: close\r\n\r\n")
                return (await reader.readline()).startswith(b"HTTP/1.1 ")
            finally:
                writer.close()
        except OSError:
            return False

    async def _stop(self, *, within_s: float = 10.0) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._process.wait, within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        shutil.rmtree(self._folder)

    def _failed(self, what: str) -> ServerFailed:
        return ServerFailed(f"holdfast serve {what}. Its log:\n{self._tail()}")

    def _tail(self) -> str:
        return "\n".join(self.log().splitlines()[-LOG_LINES_TOLD:]) or "(empty)"


def free_port(kind: socket.SocketKind, *others: socket.SocketKind) -> int:
    """Return a loopback port that is free now, for each of these kinds.

    Raises: OSError if there is none.
    """
    for port in random.sample(PORTS, len(PORTS)):
        with ExitStack() as taken:
            try:
                for each in (kind, *others):
                    taken.enter_context(socket.socket(socket.AF_INET, each)).bind((HOST, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port from {PORTS[0]} to {PORTS[-1]} on {HOST}")


def free_rtp_base(rows: int = ROWS) -> int:
    """Return the first of `2 * rows` loopback ports that are all free now.

    Raises: OSError if there is no such range.
    """
    bases = range(RTP_PORTS.start, RTP_PORTS.stop - 2 * rows, 2 * ROWS)
    for base in random.sample(bases, len(bases)):
        with ExitStack() as taken:
            try:
                for port in range(base, base + 2 * rows):
                    taken.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind((HOST, port))
            except OSError:
                continue
            return base
    raise OSError(f"no {2 * rows} free UDP ports in a row on {HOST}")


def _environment() -> dict[str, str]:
    """Return our environment without the settings of a Holdfast but `PASSED_ON`, and with this Holdfast importable."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or not name.startswith(("HOLDFAST_", "TWILIO_"))
    }
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, kept.get("PYTHONPATH")]))
    return kept | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def _toml(value: Value) -> str:
    if value is None:
        return "{}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, bool | int):
        return str(value).lower()
    if not isinstance(value, str):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
