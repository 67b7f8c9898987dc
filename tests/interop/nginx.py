"""nginx in front of a server, from a folder of its own, with the configuration that docs/operating.md shows."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from holdfast.testing.server import HOST, free_port
from tests.interop.programs import program

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"
CERTIFICATE = Path(__file__).parents[1] / "loopback" / "localhost.pem"
WITHIN_S = 20.0

AROUND = """
daemon off;
master_process off;
pid nginx.pid;
events {{ }}
http {{
    access_log access.log;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
{servers}
}}
"""
"""What a distribution's own nginx.conf has around such a file."""

BARE = """
server {{
    listen {host}:{port};
    location / {{ proxy_pass {inner}; }}
}}
"""


class Nginx:
    """A running nginx. `url` is where it is asked, `folder` where its logs are."""

    def __init__(self, *, url: str, plain: str, folder: Path) -> None:
        self.url = url
        self.plain = plain
        """Where it is asked without TLS."""
        self.folder = folder

    def logs(self) -> str:
        """All it has written down."""
        return "".join((self.folder / name).read_text("utf-8", "replace") for name in ("access.log", "error.log"))


def shown(language: str) -> str:
    """The one block of this language in the page."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return str(block)


def tls_port() -> int:
    """A port for nginx, taken before the server starts, which is told its public address."""
    return free_port(socket.SOCK_STREAM)


def public_url(port: int) -> str:
    """The setting that the page shows, with the name of our certificate and our port."""
    (url,) = re.findall(r'^public_url = "(.*)"$', shown("toml"), re.MULTILINE)
    return _put(url, "holdfast.example.com", f"localhost:{port}")


@asynccontextmanager
async def documented(folder: Path, *, inner: str, port: int) -> AsyncIterator[Nginx]:
    """nginx as the page shows it: nothing is changed but names, ports and paths."""
    plain = free_port(socket.SOCK_STREAM)
    block = shown("nginx")
    block = _put(block, "listen 80;", f"listen {HOST}:{plain};")
    block = _put(block, "listen 443 ssl;", f"listen {HOST}:{port} ssl;")
    block = _put(block, "http://127.0.0.1:8080", inner)
    for file in ("fullchain.pem", "privkey.pem"):
        block = _put(block, f"/etc/letsencrypt/live/holdfast.example.com/{file}", str(CERTIFICATE))
    block = block.replace("server_name holdfast.example.com;", "server_name localhost;")
    assert "example.com" not in block
    async with _running(folder, block, port):
        yield Nginx(url=f"https://localhost:{port}", plain=f"http://{HOST}:{plain}", folder=folder)


@asynccontextmanager
async def bare(folder: Path, *, inner: str) -> AsyncIterator[Nginx]:
    """nginx with one `proxy_pass` and nothing else, as it is often found."""
    port = free_port(socket.SOCK_STREAM)
    async with _running(folder, BARE.format(host=HOST, port=port, inner=inner), port):
        yield Nginx(url=f"http://{HOST}:{port}", plain=f"http://{HOST}:{port}", folder=folder)


@asynccontextmanager
async def _running(folder: Path, servers: str, port: int) -> AsyncIterator[None]:
    folder.mkdir()
    (folder / "nginx.conf").write_text(AROUND.format(servers=servers))
    process = await asyncio.create_subprocess_exec(
        *(program("nginx"), "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            while not await _answers(port):
                assert process.returncode is None, (folder / "error.log").read_text()
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True


def _put(text: str, what: str, instead: str) -> str:
    """The text with one part, which must be there once, put another way."""
    assert text.count(what) == 1, f"the page shows {what!r} {text.count(what)} times"
    return text.replace(what, instead)
