"""sipp runs a scene against a server, or waits to be called in one."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from holdfast.testing.server import HOST, Server, free_port
from tests.interop.programs import program
from tests.interop.scenes import Scene

WITHIN_S = 40.0


@dataclass(frozen=True, kw_only=True)
class Play:
    """One run of sipp."""

    process: asyncio.subprocess.Process
    folder: Path
    port: int
    about: str

    async def ends_well(self, *, within_s: float = WITHIN_S) -> None:
        """sipp ends with every call gone as its scene says."""
        try:
            async with asyncio.timeout(within_s):
                status = await self.process.wait()
        except TimeoutError:
            status = -1
        finally:
            if self.process.returncode is None:
                self.process.kill()
                await self.process.wait()
        assert status == 0, f"{self.about}\nsipp ended with {status}\n{self._errors()}"

    def logged(self) -> list[str]:
        """What its calls logged."""
        return [line for path in self.folder.glob("*_logs.log") for line in path.read_text("utf-8").splitlines()]

    async def tell(self, host: str = HOST) -> None:
        """Send the call that logged its Call-ID a MESSAGE: a scene that waits for one goes on."""
        async with asyncio.timeout(WITHIN_S):
            while not self.logged():  # noqa: ASYNC110  sipp tells nobody
                await asyncio.sleep(0.05)
        me = "SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKtell"
        fields = (
            f"Via: {me}\r\nFrom: <sip:a@b>;tag=a\r\nTo: <sip:b@b>\r\nCall-ID: {self.logged()[0]}\r\nCSeq: 1 MESSAGE"
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            message = f"MESSAGE sip:b@b SIP/2.0\r\n{fields}\r\nContent-Length: 0\r\n\r\n"
            sender.sendto(message.encode(), (host, self.port))

    def _errors(self) -> str:
        return "\n".join(
            path.read_text("utf-8", "replace")[-12_000:]
            for kind in ("errors", "messages")
            for path in self.folder.glob(f"*_{kind}.log")
        )


async def play(
    scene: Scene,
    folder: Path,
    *arguments: str,
    to: Server | None = None,
    called: str = "+15550101",
    calls: int = 1,
    host: str = HOST,
    port: int | None = None,
    keys: Mapping[str, str] | None = None,
) -> Play:
    """Begin a scene: with `to` sipp calls, else it waits to be called. `keys` are words of the scene in brackets."""
    port = port or free_port(socket.SOCK_DGRAM, socket.SOCK_STREAM)
    own = Path(tempfile.mkdtemp(dir=folder))
    target = [] if to is None else [f"{to.sip[0]}:{to.sip[1]}", "-s", called]
    words = [word for key, value in (keys or {}).items() for word in ("-key", key, value)]
    process = await asyncio.create_subprocess_exec(
        program("sipp"),
        *("-sf", str(scene.write(own, "scene")), "-i", host, "-mi", host, "-p", str(port), "-m", str(calls)),
        *("-nostdin", "-trace_err", "-trace_msg", "-trace_logs"),
        *target,
        *words,
        *arguments,
        cwd=own,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    started = Play(process=process, folder=own, port=port, about=scene.about)
    if to is None:
        await listening(started, transport="tcp" if "t1" in arguments else "udp")
    return started


async def plays(
    scene: Scene,
    folder: Path,
    *arguments: str,
    to: Server,
    called: str = "+15550101",
    calls: int = 1,
    host: str = HOST,
    keys: Mapping[str, str] | None = None,
) -> Play:
    """A scene in which sipp calls, from its beginning to its end."""
    running = await play(scene, folder, *arguments, to=to, called=called, calls=calls, host=host, keys=keys)
    await running.ends_well()
    return running


async def listening(started: Play, *, transport: str) -> None:
    """sipp has its port by now. A call that comes before would be refused at once."""
    table, state = (Path("/proc/net/tcp"), " 0A ") if transport == "tcp" else (Path("/proc/net/udp"), " 07 ")

    def is_there() -> bool:
        return any(f":{started.port:04X} " in line and state in line for line in table.read_text().splitlines())

    async with asyncio.timeout(20.0):
        while not is_there():  # sipp tells nobody
            if started.process.returncode is not None:
                await started.ends_well()
                return
            await asyncio.sleep(0.05)
