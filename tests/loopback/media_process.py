"""A media process as tests run it: its own process, its real client, and phones that are plain UDP sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np

from holdfast.voice.media.mix.concealment import MAX_CONCEALED, Concealment
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.errors import MediaUnavailable
from holdfast.voice.runtime.media_client import MediaClient

WAIT_S = 20.0
TICK_S = 0.02
SILENT = b"\xff" * 160

F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One RTP packet as a phone got it."""

    payload_type: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def packet(data: bytes) -> Packet:
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    assert first == 0x80
    return Packet(
        payload_type=second & 127,
        marker=second >= 128,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=data[12:],
    )


def rtp(k: int, payload: bytes, *, payload_type: int = 0, ssrc: int = 7, marker: bool = False) -> bytes:
    """Packet number k of a stream."""
    second = payload_type | (128 if marker else 0)
    return struct.pack("!BBHII", 0x80, second, k % 2**16, 160 * k % 2**32, ssrc) + payload


def fades(hum: bytes) -> set[bytes]:
    """A hum, and what is heard of it when packets of it are missing: the hum dying away, silence, it again."""
    heard = {hum, SILENT}
    companding = np.zeros(1, dtype=np.intp)
    for losses in range(1, MAX_CONCEALED + 2):
        made, missed_before = Concealment(1), 1 << 30
        made.open(0, silence=SILENT[0])
        for lost in [False] * 5 + [True] * losses + [False]:
            frame = np.frombuffer(SILENT if lost else hum, dtype=np.uint8).copy()[None, :]
            missed = missed_before + 1 if lost else 0
            made.conceal(
                frame,
                companding=companding,
                missed=np.array([missed]),
                missed_before=np.array([missed_before]),
                cut=companding[:0],
            )
            missed_before = missed
            heard.add(frame.tobytes())
    return heard


class Phone:
    """A UDP socket that may hum one byte, a packet every 20 ms, and keeps all that it is sent."""

    def __init__(self, hum: int, *, host: str = "127.0.0.1") -> None:
        self.hum = bytes([hum]) * 160
        self.got: list[Packet] = []
        self.sent = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((host, 0))
        self._socket.setblocking(False)
        self._humming: asyncio.Task[None] | None = None

    @property
    def address(self) -> m.Address:
        host, port = self._socket.getsockname()
        return host, port

    def send(self, data: bytes, port: int) -> None:
        self._socket.sendto(data, ("127.0.0.1", port))

    def say(self, port: int, count: int = 1, *, payload_type: int = 0, ssrc: int = 7) -> None:
        """The next packets of the hum, at once."""
        for _ in range(count):
            self.send(rtp(self.sent, self.hum, payload_type=payload_type, ssrc=ssrc), port)
            self.sent += 1

    async def hum_to(self, port: int, *, payload_type: int = 0) -> None:
        """Hum until cancelled."""
        clock = asyncio.get_running_loop()
        started = clock.time()
        for k in range(10**6):
            self.say(port, payload_type=payload_type)
            await asyncio.sleep(started + (k + 1) * TICK_S - clock.time())

    def take(self, data: bytes) -> Packet | None:
        """What is kept of a datagram."""
        return packet(data)

    def read(self) -> int:
        """Take in all that has come; how many packets have, in all."""
        with suppress(BlockingIOError):
            while True:
                try:
                    came = self.take(self._socket.recv(2000))
                except ConnectionRefusedError:
                    continue
                if came is not None:
                    self.got.append(came)
        return len(self.got)

    async def hears(self, what: Callable[[Packet], bool], *, after: int = 0) -> int:
        """Wait for a packet of this kind, number `after` at the earliest; its number."""
        async with asyncio.timeout(WAIT_S):
            at = after
            while True:
                while at < self.read():
                    if what(self.got[at]):
                        return at
                    at += 1
                await asyncio.sleep(TICK_S / 4)

    async def hears_sound(self, sound: bytes, *, after: int = 0) -> int:
        return await self.hears(lambda each: each.payload == sound, after=after)

    async def hears_more(self, count: int) -> None:
        """Wait for that many more packets."""
        await self.hears(lambda _: True, after=self.read() + count - 1)

    def close(self) -> None:
        self._socket.close()


def assert_one_stream(packets: list[Packet]) -> None:
    """One SSRC, no hole in the sequence, timestamps that move on by whole frames."""
    assert len({each.ssrc for each in packets}) == 1
    for missed_before, after in pairwise(packets):
        assert (after.sequence - missed_before.sequence) % 2**16 == 1
        moved = (after.timestamp - missed_before.timestamp) % 2**32
        assert moved % 160 == 0
        assert 160 <= moved < 160 * 500


class Media:
    """A running media process, attached."""

    def __init__(self, process: asyncio.subprocess.Process, plane: MediaClient, path: Path) -> None:
        self.process = process
        self.plane = plane
        self.path = path
        self.facts: list[m.Fact] = []

    async def collect(self) -> None:
        async for fact in self.plane.facts():
            self.facts.append(fact)

    async def told(self, kind: type[F], what: Callable[[F], bool] = lambda _: True) -> F:
        """Wait for a fact of this kind."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for fact in self.facts:
                    if isinstance(fact, kind) and what(fact):
                        return fact
                await asyncio.sleep(TICK_S / 4)

    async def rows(self, what: Callable[[tuple[m.RowState, ...]], bool]) -> tuple[m.RowState, ...]:
        """Wait until the rows are so, through any time without a control."""
        async with asyncio.timeout(WAIT_S):
            while True:
                with suppress(MediaUnavailable):
                    if what(rows := await self.plane.rows()):
                        return rows
                await asyncio.sleep(TICK_S)

    async def leg(self, leg: str, phone: Phone, *, codec: m.Codec = "PCMU", send: bool = True) -> int:
        """A leg for a phone; the port its packets go to."""
        address = await self.plane.open_row(leg)
        self.plane.describe_row(leg, remote=phone.address, codec=codec, dtmf_payload_type=101, send=send)
        await self.plane.applied()
        return address.port


def free_ports(rows: int) -> int:
    """The first of a run of UDP ports, all of them free when looked at."""
    for _ in range(100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            base = int(probe.getsockname()[1]) & ~1
        taken = []
        try:
            for port in range(base, base + 2 * rows):
                taken.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                taken[-1].bind(("127.0.0.1", port))
            return base
        except (OSError, OverflowError):
            continue
        finally:
            for each in taken:
                each.close()
    raise AssertionError("no free ports")


async def start(*given: str, path: Path, rows: int = 8, under: tuple[str, ...] = ()) -> asyncio.subprocess.Process:
    """The media process, ending with the tests at the latest."""
    return await asyncio.create_subprocess_exec(
        *under,
        *(sys.executable, "-m", "holdfast.voice.media_process"),
        *("--socket", str(path), "--rows", str(rows), "--base", str(free_ports(rows))),
        *("--supervisor", str(os.getpid())),
        *given,
        stderr=asyncio.subprocess.PIPE,
    )


@asynccontextmanager
async def running(folder: Path, *given: str, rows: int = 8, under: tuple[str, ...] = ()) -> AsyncIterator[Media]:
    """A media process with a control attached to it, until it is left."""
    path = folder / "media"
    process = await start(*given, path=path, rows=rows, under=under)
    media = Media(process, MediaClient(path), path)
    try:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(media.plane.run(), name="media-client"),
                tasks.create_task(media.collect(), name="media-facts"),
            ]
            async with asyncio.timeout(WAIT_S):
                await media.plane.attached()
            yield media
            for task in background:
                task.cancel()
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(WAIT_S):
            await process.communicate()


@asynccontextmanager
async def phones(*hums: int) -> AsyncIterator[list[Phone]]:
    """Some phones."""
    each = [Phone(hum) for hum in hums]
    try:
        yield each
    finally:
        for phone in each:
            phone.close()


@asynccontextmanager
async def humming(*lines: tuple[Phone, int]) -> AsyncIterator[None]:
    """While within, these phones hum to these ports."""
    async with asyncio.TaskGroup() as tasks:
        each = [tasks.create_task(phone.hum_to(port), name="hum") for phone, port in lines]
        yield
        for task in each:
            task.cancel()
