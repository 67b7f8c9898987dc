"""baresip as a phone with ears: it says a hum from a WAV file, answers every call, and records what it hears.

It is driven over its control socket (module ctrl_tcp: netstrings of JSON). What it heard is read from the recording of
its decoder (module sndfile), which is whole once the call is over.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import soundfile

from holdfast.testing.audio.ears import frames
from holdfast.testing.audio.recogniser import Recogniser, describe
from holdfast.testing.server import HOST, free_port
from holdfast.testing.signals import FRAME_S, FRAME_SAMPLES, KNOWN, RATE_HZ, Chord, as_samples
from holdfast.voice.media.codec.g711 import encode
from holdfast.voice.runtime.sounds.generated import music
from tests.interop.programs import program

MODULES = Path("/usr/lib/baresip/modules")
SPOKEN_S = 120
SETTLED_S = 0.2
MUSIC = frozenset({"music of the engine"})
"""Frames of the engine's own hold music, byte for byte."""
STARTS = 3

CONFIG = """\
sip_listen {host}:{sip_port}
net_interface {host}
module_path {modules}
module g711.so
module g722.so
module aufile.so
module aubridge.so
module sndfile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control_port}
audio_source aufile,{folder}/spoken.wav
audio_player aubridge,nowhere
audio_alert aubridge,nowhere
ausrc_srate {rate_hz}
auplay_srate {rate_hz}
ausrc_channels 1
auplay_channels 1
snd_path {folder}/recorded
rtp_ports {rtp_first}-{rtp_last}
"""
TLS_CONFIG = """\
sip_certificate {certificate}
sip_cafile {certificate}
"""
ACCOUNT = (
    "<sip:{name}@{server};transport={transport}>;auth_pass={password};regint={expires_s};"
    "answermode=auto;audio_codecs={codec}/1{encryption}\n"
)


class Baresip:
    """One baresip with one line at the server, from `async with` to its end."""

    def __init__(
        self,
        name: str,
        *,
        hum: Chord,
        server: tuple[str, int],
        password: str,
        folder: Path,
        transport: Literal["udp", "tcp", "tls"] = "udp",
        certificate: Path | None = None,
        srtp: bool = False,
        codec: Literal["PCMU/8000", "PCMA/8000", "G722/16000"] = "PCMU/8000",
    ) -> None:
        self._codec = codec
        self._srtp = srtp
        self._transport = transport
        self._certificate = certificate
        self.name = name
        self.events: list[dict[str, Any]] = []
        self._told = asyncio.Event()
        self._listener: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._hum = hum
        self._server = server
        self._password = password
        self._folder = folder

    async def __aenter__(self) -> Self:
        (self._folder / "recorded").mkdir(parents=True)
        for _ in range(STARTS):
            # A port that was free a moment ago may be somebody's now; baresip goes on without it, and says nothing.
            if await self._started():
                return self
        raise AssertionError(f"baresip {self.name} did not start:\n{(self._folder / 'log').read_text('utf-8')}")

    async def _started(self) -> bool:
        """Start it on fresh ports; whether it can be driven. Raises: AssertionError when it does not register."""
        control = free_port(socket.SOCK_STREAM)
        self._write_configuration(control)
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                program("baresip"),
                "-f",
                str(self._folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )
        try:
            try:
                reader, self._writer = await self._connect(control)
            except TimeoutError:
                await self._leave()
                return False
            self._listener = asyncio.create_task(self._listen(reader), name=f"baresip-{self.name}")
            await self._registered()
        except BaseException:
            await self._leave()
            raise
        return True

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def _registered(self) -> None:
        """Wait for it in the log: the event may be told before anybody listens to events."""
        log = self._folder / "log"
        try:
            async with asyncio.timeout(10.0):
                while "200 OK" not in log.read_text("utf-8", "replace"):  # noqa: ASYNC110  a file tells nobody
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"baresip {self.name} was not registered:\n{log.read_text('utf-8')}") from None

    async def saw(self, event: str, *, times: int = 1, within_s: float = 10.0) -> None:
        """Wait until baresip has told of an event so many times."""
        try:
            async with asyncio.timeout(within_s):
                while sum(1 for told in self.events if told.get("type") == event) < times:
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            log = (self._folder / "log").read_text("utf-8", "replace")
            raise AssertionError(f"baresip {self.name}: no {event} within {within_s} s. Its log:\n{log}") from None

    async def dial(self, number: str) -> None:
        """Call a number at the server."""
        await self._command("dial", f"sip:{number}@{self._server[0]}:{self._server[1]};transport={self._transport}")

    async def transfer(self, uri: str) -> None:
        """Ask the peer to call somebody else instead of us."""
        await self._command("transfer", uri)

    async def hold(self) -> None:
        """Hold the call, as its user does: by a re-INVITE."""
        await self._command("hold")

    async def resume(self) -> None:
        """Take the call up again."""
        await self._command("resume")

    async def press(self, key: str) -> None:
        """Press a key, and let go of it."""
        await self._command("sndcode", key)

    def pressed(self) -> str:
        """The keys that the peer pressed."""
        return "".join(str(told["param"]) for told in self.events if told.get("type") == "CALL_DTMF_START")

    async def hang_up(self) -> None:
        """End the call."""
        await self._command("hangup")
        await self.saw("CALL_CLOSED")

    def heard(self) -> list[str]:
        """What was heard in the calls that are over, in order; edges between two sounds left out."""
        recognised = [describe(names) for path in self._recordings() for names in _windows(path)]
        story: list[tuple[str, int]] = []
        for names in recognised:
            if story and story[-1][0] == names:
                story[-1] = (names, story[-1][1] + 1)
            else:
                story.append((names, 1))
        settled = [names for names, windows in story if windows * FRAME_S >= SETTLED_S]
        return [names for place, names in enumerate(settled) if place == 0 or settled[place - 1] != names]

    def _recordings(self) -> list[Path]:
        return sorted((self._folder / "recorded").glob("*-dec.wav"))

    def _write_configuration(self, control: int) -> None:
        spoken = np.tile(self._hum.frame(), round(SPOKEN_S / FRAME_S))
        soundfile.write(self._folder / "spoken.wav", spoken, RATE_HZ, subtype="PCM_16")
        rtp_first = free_port(socket.SOCK_DGRAM) & ~1
        config = CONFIG.format(
            host=HOST,
            sip_port=free_port(socket.SOCK_DGRAM),
            control_port=control,
            modules=MODULES,
            folder=self._folder,
            rate_hz=RATE_HZ,
            rtp_first=min(rtp_first, 65_400),
            rtp_last=min(rtp_first, 65_400) + 40,
        )
        if self._srtp:
            config += "module srtp.so\n"
        if self._certificate is not None:
            config += TLS_CONFIG.format(certificate=self._certificate)
        account = ACCOUNT.format(
            name=self.name,
            transport=self._transport,
            server=f"{self._server[0]}:{self._server[1]}",
            password=self._password,
            expires_s=600,
            codec=self._codec,
            encryption=";mediaenc=srtp-mand" if self._srtp else "",
        )
        (self._folder / "config").write_text(config, "utf-8")
        (self._folder / "accounts").write_text(account, "utf-8")
        (self._folder / "contacts").write_text("", "utf-8")

    async def _connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(5.0):
            while True:
                try:
                    return await asyncio.open_connection(HOST, port)
                except OSError:
                    await asyncio.sleep(0.05)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        """Take in what baresip tells, until it is gone."""
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                size = int((await reader.readuntil(b":"))[:-1])
                self.events.append(json.loads(await reader.readexactly(size)))
                await reader.readexactly(1)
                self._told.set()

    async def _command(self, command: str, params: str = "") -> None:
        assert self._writer is not None
        message = json.dumps({"command": command, "params": params}).encode()
        self._writer.write(b"%d:%s," % (len(message), message))
        await self._writer.drain()

    async def _leave(self) -> None:
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(5.0):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait({self._listener})
        if self._writer is not None:
            self._writer.close()
            with suppress(OSError):
                await self._writer.wait_closed()


def _windows(path: Path) -> list[frozenset[str]]:
    samples, rate_hz = soundfile.read(path, dtype="int16")
    samples = samples[:: rate_hz // RATE_HZ]  # of G.722 the half: no sound that is known is above 4 kHz
    windows = samples[: len(samples) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    known = Recogniser(KNOWN).recognise(windows)
    return [MUSIC if encode(each) in _of_music() else names for each, names in zip(windows, known, strict=True)]


@cache
def _of_music() -> frozenset[bytes]:
    """Each frame of the engine's own hold music, as PCMU."""
    return frozenset(frames(encode(as_samples(music()))))
