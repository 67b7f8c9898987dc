"""A media process as tests run it: its own process, its real client, and phones that are plain UDP sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np

from holdfast.voice.media.mix.concealment import MAX_CONCEALED, Concealment
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.errors import MediaUnavailable
from holdfast.voice.model.effects import RouteAudio, Seat
from holdfast.voice.model.ids import CallSid, RoomSid, Token
from holdfast.voice.model.payload_types import Codec
from holdfast.voice.runtime.media_client import MediaClient

WAIT_S = 20.0
TICK_S = 0.02
SILENT = b"\xff" * 160

F = TypeVar("F")


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One RTP packet as a phone received it."""

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
    """Return packet number k of a stream."""
    second = payload_type | (128 if marker else 0)
    return struct.pack("!BBHII", 0x80, second, k % 2**16, 160 * k % 2**32, ssrc) + payload


def seated(hears: Mapping[str, tuple[str, ...] | None]) -> RouteAudio:
    """Return the seats of one room in which each leg hears these legs, or (None) its own player."""
    heard = {speaker for speakers in hears.values() for speaker in speakers or ()}
    return RouteAudio(
        room=RoomSid("CF1"),
        seats=tuple(
            Seat(call=CallSid(leg), muted=leg not in heard, listens=hears.get(leg) is not None)
            for leg in sorted(heard | hears.keys())
        ),
    )


def sound_of(leg: str, name: str) -> Token:
    """Return the token of a sound of this leg."""
    return Token(f"{leg}/{name}")


def fades(hum: bytes) -> set[bytes]:
    """Return a hum and all frames heard when packets of it are missing: the hum fading out, silence, the hum again."""
    heard = {hum, SILENT}
    companding = np.zeros(1, dtype=np.intp)
    for losses in range(1, MAX_CONCEALED + 2):
        concealment, missed_before = Concealment(1), 1 << 30
        concealment.open(0, silence=SILENT[0])
        for lost in [False] * 5 + [True] * losses + [False]:
            frame = np.frombuffer(SILENT if lost else hum, dtype=np.uint8).copy()[None, :]
            missed = missed_before + 1 if lost else 0
            concealment.conceal(
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
    """A UDP socket that may hum one byte, a packet every 20 ms, and keeps all packets it receives."""

    def __init__(self, hum: int, *, host: str = "127.0.0.1") -> None:
        self.hum = bytes([hum]) * 160
        self.received: list[Packet] = []
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

    def send_audio(self, port: int, count: int = 1, *, payload_type: int = 0, ssrc: int = 7) -> None:
        """Send the next packets of the hum at once."""
        for _ in range(count):
            self.send(rtp(self.sent, self.hum, payload_type=payload_type, ssrc=ssrc), port)
            self.sent += 1

    async def hum_to(self, port: int, *, payload_type: int = 0) -> None:
        """Hum until cancelled."""
        clock = asyncio.get_running_loop()
        started = clock.time()
        for k in range(10**6):
            self.send_audio(port, payload_type=payload_type)
            await asyncio.sleep(started + (k + 1) * TICK_S - clock.time())

    def decode(self, data: bytes) -> Packet | None:
        """Return the packet of a datagram that is kept, or None."""
        return packet(data)

    def read(self) -> int:
        """Read all packets that have arrived; return how many there are in all."""
        with suppress(BlockingIOError):
            while True:
                try:
                    packet = self.decode(self._socket.recv(2000))
                except ConnectionRefusedError:
                    continue
                if packet is not None:
                    self.received.append(packet)
        return len(self.received)

    async def hears(self, matches: Callable[[Packet], bool], *, after: int = 0) -> int:
        """Wait for a packet of this kind, number `after` at the earliest; return its number."""
        async with asyncio.timeout(WAIT_S):
            index = after
            while True:
                while index < self.read():
                    if matches(self.received[index]):
                        return index
                    index += 1
                await asyncio.sleep(TICK_S / 4)

    async def hears_audio(self, audio: bytes, *, after: int = 0) -> int:
        return await self.hears(lambda packets: packets.payload == audio, after=after)

    async def hears_more(self, count: int) -> None:
        """Wait for that many more packets."""
        await self.hears(lambda _: True, after=self.read() + count - 1)

    def close(self) -> None:
        self._socket.close()


def assert_one_stream(packets: list[Packet]) -> None:
    """Assert one SSRC, no gap in the sequence, and timestamps that advance by whole frames."""
    assert len({packets.ssrc for packets in packets}) == 1
    for missed_before, after in pairwise(packets):
        assert (after.sequence - missed_before.sequence) % 2**16 == 1
        moved = (after.timestamp - missed_before.timestamp) % 2**32
        assert moved % 160 == 0
        assert 160 <= moved < 160 * 500


class Media:
    """A running media process, attached."""

    def __init__(self, process: asyncio.subprocess.Process, client: MediaClient, path: Path) -> None:
        self.process = process
        self.client = client
        self.path = path
        self.facts: list[m.Fact] = []

    async def collect(self) -> None:
        async for fact in self.client.facts():
            self.facts.append(fact)

    async def wait_fact(self, kind: type[F], matches: Callable[[F], bool] = lambda _: True) -> F:
        """Wait for a fact of this kind."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for fact in self.facts:
                    if isinstance(fact, kind) and matches(fact):
                        return fact
                await asyncio.sleep(TICK_S / 4)

    async def rows(self, matches: Callable[[tuple[m.RowState, ...]], bool]) -> tuple[m.RowState, ...]:
        """Wait until the rows match, through any time without a control."""
        async with asyncio.timeout(WAIT_S):
            while True:
                with suppress(MediaUnavailable):
                    if matches(rows := await self.client.rows()):
                        return rows
                await asyncio.sleep(TICK_S)

    async def leg(self, leg: str, phone: Phone, *, codec: Codec = "PCMU", send: bool = True) -> int:
        """Open a leg for a phone; return the port its packets go to."""
        address = await self.client.open_row(leg)
        self.client.send(m.DescribeRow(leg=leg, remote=phone.address, codec=codec, dtmf_payload_type=101, send=send))
        await self.client.applied()
        return address.port


def free_ports(rows: int) -> int:
    """Return the first of a run of UDP ports that are all free now."""
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
            for packets in taken:
                packets.close()
    raise AssertionError("no free ports")


async def start(*given: str, path: Path, rows: int = 8, under: tuple[str, ...] = ()) -> asyncio.subprocess.Process:
    """Start a media process that ends with the tests at the latest."""
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
    """Run a media process with an attached client."""
    path = folder / "media"
    process = await start(*given, path=path, rows=rows, under=under)
    media = Media(process, MediaClient(path), path)
    try:
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(media.client.run(), name="media-client"),
                tasks.create_task(media.collect(), name="media-facts"),
            ]
            async with asyncio.timeout(WAIT_S):
                await media.client.attached()
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
    """Open some phones."""
    packets = [Phone(hum) for hum in hums]
    try:
        yield packets
    finally:
        for phone in packets:
            phone.close()


@asynccontextmanager
async def humming(*lines: tuple[Phone, int]) -> AsyncIterator[None]:
    """Let these phones hum to these ports inside the block."""
    async with asyncio.TaskGroup() as tasks:
        packets = [tasks.create_task(phone.hum_to(port), name="hum") for phone, port in lines]
        yield
        for task in packets:
            task.cancel()
