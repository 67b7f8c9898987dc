"""A live server hides its secrets from other users who read its processes and its files, however it received them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from holdfast.cli.client import Client
from holdfast.cli.run_file import find_run_file
from holdfast.store.account_file import StoredAccount
from holdfast.testing.phone import Phone
from holdfast.testing.server import HOST, free_rtp_base
from tests.loopback.test_serve import holdfast

SID, TOKEN = "AC" + "5" * 32, "a-token-that-nobody-may-read"
LINE, TRUNK, WEB = "a-line's-password", "a-trunk's-password", "a-web-server's-password"
SECRETS = (TOKEN, LINE, TRUNK, WEB)
LINES = {"alice": LINE}
ROUTES = {"+": {"host": HOST, "port": 9, "user": "acme", "password": TRUNK}}
URL = f"http://user:{WEB}@127.0.0.1:9/voice"

FILE = f"""
account_sid = "{SID}"
auth_token = "{TOKEN}"
default_voice_url = "{URL}"
lines = {{ alice = "{LINE}" }}
routes = {{ "+" = {{ host = "{HOST}", port = 9, user = "acme", password = "{TRUNK}" }} }}
"""
ENVIRONMENT = {
    "HOLDFAST_ACCOUNT_SID": SID,
    "HOLDFAST_AUTH_TOKEN": TOKEN,
    "HOLDFAST_DEFAULT_VOICE_URL": URL,
    "HOLDFAST_LINES": json.dumps(LINES),
    "HOLDFAST_ROUTES": json.dumps(ROUTES),
    "TWILIO_AUTH_TOKEN": TOKEN,
}
REST_OF_FILE = FILE.partition("lines = ")[1] + FILE.partition("lines = ")[2]


@asynccontextmanager
async def served(
    folder: Path, *, file: str = "", environment: Mapping[str, str] | None = None, arguments: Sequence[str] = ()
) -> AsyncIterator[tuple[int, Path]]:
    """`holdfast serve` under a umask that protects nothing: the started process, and its store."""
    (folder / "holdfast.toml").write_text(file, "utf-8")
    store, log = folder / "holdfast.db", folder / "serve.log"
    free = ["--http-port", "0", "--sip-port", "0", "--rtp-rows", "8", "--rtp-base", str(free_rtp_base())]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "holdfast", "serve", *free, "--store", f"sqlite:///{store}", *arguments),
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": os.getcwd(), **(environment or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            umask=0,
        )
    try:
        async with asyncio.timeout(40):
            while find_run_file(store) is None:
                assert process.returncode is None, log.read_text("utf-8")
                await asyncio.sleep(0.05)
        yield process.pid, store
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            await process.wait()


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return [pid, *(each for child in children for each in family(int(child)))]


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode().replace("\0", " ")


async def whole_family(pid: int) -> list[int]:
    """Return the supervisor, control, media and decoding processes, once all of them run."""
    async with asyncio.timeout(20):
        while True:
            found = family(pid)
            commands = " ".join(command(each) for each in found)
            if all(
                part in commands for part in ("holdfast.cli.server.control", "media_process", "sounds.decode_process")
            ):
                return found
            await asyncio.sleep(0.05)


def shown(pid: int) -> str:
    """Return what the kernel shows of the start of a process."""
    return Path(f"/proc/{pid}/environ").read_bytes().decode() + command(pid)


GIVEN = {
    "file": {"file": FILE},
    "environment": {"environment": ENVIRONMENT},
    "arguments": {
        "file": REST_OF_FILE,
        "arguments": ["--account-sid", SID, "--auth-token", TOKEN, "--default-voice-url", URL],
    },
}


@pytest.mark.parametrize("way", GIVEN)
async def test_no_process_shows_a_secret_in_its_environment_or_its_arguments(way: str, tmp_path: Path) -> None:
    async with served(tmp_path, **GIVEN[way]) as (pid, store):  # type: ignore[arg-type]  # by name from a table
        for each in await whole_family(pid):
            assert [secret for secret in SECRETS if secret in shown(each)] == [], command(each)
        running = find_run_file(store)
        assert running is not None
        assert running.pid == pid, "the process that was started is the supervisor"
        ask = Client(url=running.url, credentials=StoredAccount(sid=SID, token=TOKEN))
        lines, routes = await asyncio.to_thread(lambda: (ask.get("/engine/lines"), ask.get("/engine/routes")))
        assert [line["name"] for line in lines["lines"]] == ["alice"]
        assert [route["user"] for route in routes["routes"]] == ["acme"]
        host, _, port = running.sip.rpartition(":")
        async with Phone("alice", server=(host, int(port)), user="alice", password=LINE) as phone:
            await phone.register()
    said = (tmp_path / "serve.log").read_text("utf-8")
    assert [secret for secret in SECRETS if secret in said] == []


async def test_a_program_started_by_holdfast_run_gets_its_account_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "holdfast.toml").write_text(FILE, "utf-8")
    program = "import os; print(os.environ['TWILIO_AUTH_TOKEN'])"
    config = ("--config", str(tmp_path / "holdfast.toml"), "--store", f"sqlite:///{tmp_path}/holdfast.db")
    done = await asyncio.to_thread(holdfast, "run", *config, "--", sys.executable, "-c", program)
    assert done.stdout == TOKEN + "\n"


async def test_files_written_by_a_server_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, store):
        added = await asyncio.to_thread(
            holdfast, "line", "add", "alice", "--password", LINE, "--store", f"sqlite:///{store}"
        )
        assert added.returncode == 0, added.stderr
        made = {path.name: path for path in tmp_path.rglob("*")}
        ours = {"holdfast.db", "holdfast.db-wal", "holdfast.db-shm", "holdfast.account", "holdfast.running"}
        assert ours | {"recordings"} <= made.keys()
        modes = {name: stat.S_IMODE(made[name].stat().st_mode) for name in ours}
        assert modes == dict.fromkeys(ours, 0o600)
        assert stat.S_IMODE(made["recordings"].stat().st_mode) == 0o700
        kept = b"".join(made[name].read_bytes() for name in ("holdfast.db", "holdfast.db-wal"))
        assert b"alice" in kept
        assert LINE.encode() not in kept
