"""Measure a bad network: 5 % of the packets lost and up to 40 ms of jitter."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import struct
from contextlib import ExitStack, closing

from rich.console import Console

from bench.figures import Figure
from bench.media import media_process, seated
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.runtime.media_client import MediaClient

LEGS, SECONDS, TICK_S = 20, 16, 0.02
LOSS, JITTER_S = 0.05, 0.04


async def measure(console: Console, *, seconds: int = SECONDS, legs: int = LEGS) -> list[Figure]:
    """Connect legs in pairs, each over such a network, with the same random numbers every time."""
    console.print(
        f"{legs} legs over a network that loses {LOSS:.0%} and jitters by {JITTER_S * 1000:.0f} ms, {seconds} s …"
    )
    async with media_process(rows=legs, core=min(os.sched_getaffinity(0))) as plane:
        statistics = await _run(plane, legs=legs, seconds=seconds)
    worst = min(statistics, key=lambda leg_statistics: leg_statistics.mos or 0.0)
    scores = [leg_statistics.mos or 0.0 for leg_statistics in statistics]
    expected = sum(leg_statistics.packets_received + leg_statistics.packets_lost for leg_statistics in statistics)
    jitter_ms = sum(leg_statistics.jitter_ms for leg_statistics in statistics) / legs
    lost, late = (
        sum(leg_statistics.packets_lost for leg_statistics in statistics),
        sum(leg_statistics.packets_late for leg_statistics in statistics),
    )
    return [
        Figure(
            what="5 % loss, 40 ms jitter: estimated MOS",
            value=round(sum(scores) / len(scores), 2),
            unit="",
            note=f"worst leg {worst.mos}; {lost} packets lost and {late} too late of {expected}",
        ),
        Figure(
            what="5 % loss, 40 ms jitter: concealed frames",
            value=round(100 * sum(each.frames_concealed for each in statistics) / expected, 2),
            unit="%",
            note=f"jitter {jitter_ms:.1f} ms, buffers of {_depths(statistics)} frames",
        ),
    ]


def _depths(statistics: list[m.Statistics]) -> str:
    depths = sorted(leg_statistics.depth for leg_statistics in statistics)
    return f"{depths[0]} to {depths[-1]}"


async def _run(plane: MediaClient, *, legs: int, seconds: int) -> list[m.Statistics]:
    """Send all packets, close every leg, and return its final statistics."""
    rng = random.Random(4733)
    with ExitStack() as stack:
        phones = [stack.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))) for _ in range(legs)]
        ports = []
        for leg, phone in enumerate(phones):
            phone.bind(("127.0.0.1", 0))
            ports.append((await plane.open_row(str(leg))).port)
            plane.send(m.DescribeRow(leg=str(leg), remote=phone.getsockname()))
        for leg in range(0, legs, 2):
            plane.send(seated((leg, leg + 1)))
        await plane.applied()
        arrivals = sorted(
            (k * TICK_S + rng.random() * JITTER_S, leg, k)
            for leg in range(legs)
            for k in range(seconds * 50)
            if rng.random() >= LOSS
        )
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        for at_s, leg, k in arrivals:
            if (remaining_s := began_s + at_s - loop.time()) > 0:
                await asyncio.sleep(remaining_s)
            data = struct.pack("!BBHII", 0x80, 0, k % 65536, 160 * k, leg + 1) + bytes([0x20 + k % 64]) * 160
            phones[leg].sendto(data, ("127.0.0.1", ports[leg]))
        for leg in range(legs):
            plane.send(m.CloseRow(leg=str(leg)))
        statistics: list[m.Statistics] = []
        async with asyncio.timeout(10):
            async for fact in plane.facts():
                if isinstance(fact, m.Statistics) and fact.final:
                    statistics.append(fact)
                    if len(statistics) == legs:
                        break
    return statistics


def main() -> int:
    """Measure these figures alone."""
    from bench.figures import show

    console = Console(width=150)
    show(asyncio.run(measure(console)), console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
