"""Measure what the media process's tick costs: `python -m bench.media_tick [LEGS ...]`. There are no bars.

Two measurements per number of legs. *Arrays alone* feeds a packet of every leg to the tick, without a socket: what
our own code costs. *With sockets* runs the real process and sends it 50 packets per leg and second from this one: what
a machine can carry, without the sender's share.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.media import seated
from holdfast.voice.media.rtp import rtp
from holdfast.voice.media.tick import MixEngine
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.model.ids import Token
from holdfast.voice.runtime.media_client import MediaClient

TICK_S = 0.02
TICKS = 300
CLIP = bytes(range(256)) * 625


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A pattern of routing: the legs sit in rooms of this size, and hear them unless all are on hold."""

    name: str
    size: int
    held: bool = False


KINDS = (
    Kind(name="in pairs", size=2),
    Kind(name="in rooms of 3", size=3),
    Kind(name="in rooms of 10", size=10),
    Kind(name="all on hold", size=2, held=True),
)


def arrays_alone(kind: Kind, legs: int) -> list[float]:
    """Return the seconds of each tick: headers read, packets put, frames played, mixed, gathered, headers written."""
    engine = MixEngine(rows=legs, clip_frames=2000)
    engine.clips.put("music", CLIP, offset=0, total=len(CLIP))
    music = engine.clips.get("music")
    assert music is not None
    for row in range(legs):
        engine.open(row, ssrc=row, sequence=0, timestamp=0)
        engine.describe(row, companding=0, receive=True)
        engine.players.start(row, music, loops=1000)
    rows = np.arange(legs, dtype=np.intp)
    engine.seats.room[:] = rows // kind.size
    engine.seats.heard[:] = engine.seats.listens[:] = not kind.held
    engine.reroute()
    data = np.random.default_rng(1).integers(0, 256, (legs, rtp.DATAGRAM), dtype=np.uint8)
    data[:, :2] = (0x80, 0)
    lengths = np.full(legs, rtp.PACKET, dtype=np.intp)
    took = []
    for tick in range(TICKS):
        data.view(">u4")[:, 1] = tick * 160
        data.view(">u4")[:, 2] = rows
        began = time.perf_counter()
        packets = rtp.parse(data, lengths)
        engine.put(packets, data, rows, packets.valid)
        engine.tick(legs, skipped=0)
        engine.streams.advance(legs, rows, skipped=0)
        took.append(time.perf_counter() - began)
    return took[10:]


async def with_sockets(kind: Kind, legs: int, *, loads: int = 1) -> list[m.Load]:
    """Return the load reports of the process, one per five seconds, while every leg sends and receives."""
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as folder:
        path = Path(folder) / "media"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "holdfast.voice.media_process"),
            *("--socket", str(path), "--rows", str(legs), "--supervisor", str(os.getpid())),
            stderr=asyncio.subprocess.DEVNULL,
        )
        plane = MediaClient(path)
        async with asyncio.TaskGroup() as tasks:
            client = tasks.create_task(plane.run(), name="media-client")
            async with asyncio.timeout(30):
                await plane.attached()
            found = await _load(plane, kind, legs, loads)
            client.cancel()
        process.terminate()
        await process.wait()
    return found


async def _load(plane: MediaClient, kind: Kind, legs: int, loads: int) -> list[m.Load]:
    """Send and receive all packets of all legs by one socket of ours, spread over the 20 ms."""
    phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    phone.bind(("127.0.0.1", 0))
    phone.setblocking(False)
    phone.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
    await plane.put_clip("music", CLIP)
    ports = []
    for leg in range(legs):
        ports.append((await plane.open_row(str(leg))).port)
        plane.send(m.DescribeRow(leg=str(leg), remote=phone.getsockname()))
        plane.send(m.PlayClip(token=Token(f"{leg}/music"), clip_id="music", loops=0))
    for first in range(0, legs, kind.size):
        room = range(first, min(first + kind.size, legs))
        plane.send(seated(room, held=kind.held))
    await plane.applied()
    sending = asyncio.create_task(_send(phone, ports), name="bench-phones")
    found: list[m.Load] = []
    async for fact in plane.facts():
        if isinstance(fact, m.Load):
            found.append(fact)
            # The first report covers the opening of the rows.
            if len(found) > loads:
                break
    sending.cancel()
    phone.close()
    return found[1:]


async def _send(phone: socket.socket, ports: Sequence[int]) -> None:
    loop = asyncio.get_running_loop()
    started, slices = loop.time(), 10
    drain = bytearray(2048)
    for k in range(10**6):
        for each in range(slices):
            for leg in range(each, len(ports), slices):
                header = struct.pack("!BBHII", 0x80, 0, k % 65536, 160 * k % 2**32, leg)
                with suppress(BlockingIOError):
                    phone.sendto(header + CLIP[:160], ("127.0.0.1", ports[leg]))
            with suppress(BlockingIOError):
                while True:
                    phone.recv_into(drain)
            await asyncio.sleep(max(0.0, started + (k + (each + 1) / slices) * TICK_S - loop.time()))


def main() -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.media_tick", description=__doc__)
    parser.add_argument("legs", type=int, nargs="*", default=[2, 100, 500], help="numbers of legs")
    parser.add_argument("--arrays-only", action="store_true", help="leave the sockets out")
    given = parser.parse_args()
    console = Console()
    table = Table(title="Arrays alone, per tick of 20 ms", title_justify="left")
    for heading in ("legs", "who hears whom", "µs per leg", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading.startswith("who") else "right")
    for legs in given.legs:
        for kind in KINDS:
            times = np.array(arrays_alone(kind, legs))
            p50, p99 = (f"{float(np.percentile(times, q)) * 1e3:.3f}" for q in (50, 99))
            table.add_row(str(legs), kind.name, f"{float(np.median(times)) * 1e6 / legs:.2f}", p50, p99)
    console.print(table)
    if given.arrays_only:
        return 0
    table = Table(title="The process with its sockets", title_justify="left")
    for heading in ("legs", "who hears whom", "busy", "µs per leg", "longest tick ms", "latest start ms", "skipped"):
        table.add_column(heading, justify="left" if heading.startswith("who") else "right")
    for legs in given.legs:
        for kind in KINDS[:2]:
            for load in asyncio.run(with_sockets(kind, legs)):
                table.add_row(
                    str(legs),
                    kind.name,
                    f"{load.busy:.1%}",
                    f"{load.busy * TICK_S * 1e6 / legs:.1f}",
                    f"{load.longest_tick_ms:.2f}",
                    f"{load.latest_start_ms:.2f}",
                    f"{load.ticks_skipped} of {load.ticks + load.ticks_skipped}",
                )
    console.print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
