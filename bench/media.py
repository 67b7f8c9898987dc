"""Measure what the media process carries on one core: its own process and core, the phones in another.

500 legs in 250 two-party calls: jitter buffer, concealment, reports, and digit detection in the audio of every leg.
The same with a fifth of the legs encrypted, which is everything that legs can have; then with every leg encrypted. Then
1,000 held legs that hear music and go on sending, as held phones do.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench.figures import Figure, NotMeasured
from bench.phones import OUR_KEY, SHARED, THEIR_KEY, PhonesResult, Task
from holdfast.voice.media.rtp.srtp import SrtpKeys
from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.model.effects import RouteAudio, Seat
from holdfast.voice.model.ids import CallSid, RoomSid, Token
from holdfast.voice.runtime.media_client import MediaClient
from holdfast.voice.runtime.sounds.generated import music
from holdfast.voice.runtime.sounds.sound import encode_samples

TICK_S = 0.02
CALL_LEGS, HELD_LEGS = 500, 1000
ENCRYPTED_LEGS = 100
SECONDS = 20
FIRST_PORT, SPARE_ROWS = 24_576, 64
TICK_BAR_MS, LEG_BAR_US = 8.0, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A measured run: what the media process reports of itself every five seconds, and what the phones received."""

    loads: list[m.Load]
    result: PhonesResult
    rows: tuple[m.RowState, ...]
    late: int
    concealed: int

    @property
    def us_by_span(self) -> list[float]:
        """Return the processor time per leg and tick of each span, user and system, the least first. Units: µs."""
        return sorted(
            load.busy * (load.ticks + load.ticks_skipped) * TICK_S * 1e6 / load.ticks / len(self.rows)
            for load in self.loads
        )

    @property
    def us_per_leg(self) -> float:
        """Return the processor time per leg and tick in the median span. Units: µs."""
        return self.us_by_span[len(self.us_by_span) // 2]

    @property
    def not_sent(self) -> int:
        """Return the packets that never reached the phones, less those they were too slow to read."""
        return max(0, self.result.holes - self.result.unread)

    @property
    def not_taken(self) -> int:
        """Return the packets of the phones that the process never received."""
        return self.result.sent - sum(row.packets_received for row in self.rows)

    @property
    def skipped(self) -> int:
        """Return the ticks that were skipped while the phones sent."""
        return sum(load.ticks_skipped for load in self.loads)


async def measure(console: Console, *, seconds: int = SECONDS) -> list[Figure]:
    """Make all runs."""
    console.print(f"{CALL_LEGS} legs in {CALL_LEGS // 2} calls, {seconds} s …")
    plain = await run(legs=CALL_LEGS, seconds=seconds)
    console.print(f"{CALL_LEGS} legs in {CALL_LEGS // 2} calls, {ENCRYPTED_LEGS} of them encrypted, {seconds} s …")
    calls = await run(legs=CALL_LEGS, seconds=seconds, encrypted=ENCRYPTED_LEGS)
    console.print(f"{CALL_LEGS} legs in {CALL_LEGS // 2} calls, all encrypted, {seconds} s …")
    encrypted = await run(legs=CALL_LEGS, seconds=seconds, encrypted=CALL_LEGS)
    console.print(f"{HELD_LEGS} held legs, {seconds} s …")
    held = await run(legs=HELD_LEGS, held=True, seconds=seconds)
    return [
        *figures("500 legs in calls", plain),
        *figures("500 legs in calls, 100 of them SRTP", calls),
        *figures("500 legs in calls, all SRTP", encrypted, leg_bar_us=None),
        *figures("1000 held legs", held),
    ]


def figures(name: str, run: Run, *, leg_bar_us: float | None = LEG_BAR_US) -> list[Figure]:
    """Return the figures of one run."""
    result = run.result
    p99s = [load.p99_tick_ms for load in run.loads]
    share = f"the phones beside it: {result.busy:.0%} of a core, {result.latest_ms:.0f} ms late at worst"
    return [
        Figure(
            what=f"{name}: tick, p99",
            value=float(sorted(p99s)[len(p99s) // 2]),
            unit="ms",
            bar=TICK_BAR_MS,
            note=f"median of {len(p99s)} spans of 5 s; worst {max(p99s):.1f}; {share}",
        ),
        Figure(
            what=f"{name}: processor time of the tick, p99",
            value=float(sorted(load.p99_worked_ms for load in run.loads)[len(run.loads) // 2]),
            unit="ms",
            note="the rest is spent by other programs of this machine",
        ),
        Figure(
            what=f"{name}: processor per leg and tick",
            value=round(run.us_per_leg, 2),
            unit="µs",
            bar=leg_bar_us,
            note=f"{run.us_by_span[0]:.2f} to {run.us_by_span[-1]:.2f} in these spans",
        ),
        Figure(
            what=f"{name}: packets lost by the engine",
            value=run.not_taken + run.not_sent,
            unit="",
            bar=0,
            note=f"{run.not_taken} of {result.sent} not received, {run.not_sent} of {result.received} not sent; "
            f"the phones had no time to read {result.unread}",
        ),
        Figure(
            what=f"{name}: ticks skipped",
            value=run.skipped,
            unit="",
            note=f"{run.late} packets came too late, {run.concealed} frames concealed",
        ),
    ]


async def run(*, legs: int, seconds: int, held: bool = False, encrypted: int = 0) -> Run:
    """Make one run on a media process of its own, the first `encrypted` legs with SRTP."""
    cores = sorted(os.sched_getaffinity(0))
    async with media_process(rows=legs, core=cores[0]) as plane, phones(legs) as (process, addresses):
        ports = await _connect(plane, legs=legs, held=held, encrypted=encrypted, remotes=addresses)
        assert process.stdin is not None
        assert process.stdout is not None
        hears = [-1 if held else leg ^ 1 for leg in range(legs)]
        task = Task(
            ports=ports,
            hears=hears,
            ticks=seconds * 50,
            encrypted=encrypted,
            core=cores[-1] if len(cores) > 1 else None,
        )
        loads: list[m.Load] = []
        statistics: dict[str, m.Statistics] = {}
        listening = asyncio.create_task(_listen(plane, loads, statistics), name="bench-facts")
        process.stdin.write(json.dumps(asdict(task)).encode() + b"\n")
        result = PhonesResult(**json.loads(await process.stdout.readline()))
        rows = await plane.rows()
        listening.cancel()
        if not loads:
            raise NotMeasured(f"the media process made fewer than 250 ticks in {seconds} s")
        return Run(
            # The first report still covers the opening of the rows, the last one may cover silence.
            loads=loads[1:] or loads,
            result=result,
            rows=rows,
            late=sum(each.packets_late for each in statistics.values()),
            concealed=sum(each.frames_concealed for each in statistics.values()),
        )


async def _listen(plane: MediaClient, loads: list[m.Load], statistics: dict[str, m.Statistics]) -> None:
    async for fact in plane.facts():
        if isinstance(fact, m.Load):
            loads.append(fact)
        elif isinstance(fact, m.Statistics):
            statistics[fact.leg] = fact


async def _connect(plane: MediaClient, *, legs: int, held: bool, encrypted: int, remotes: list[m.Address]) -> list[int]:
    """Open and connect every leg, and return the ports."""
    keys = SrtpKeys(send=THEIR_KEY, receive=OUR_KEY)
    await plane.put_clip("music", encode_samples(music()).audio)
    ports = []
    for leg in range(legs):
        ports.append((await plane.open_row(str(leg))).port)
        # No telephone events: digits are detected in the audio of every leg.
        plane.send(m.DescribeRow(leg=str(leg), remote=remotes[leg // SHARED], srtp=keys if leg < encrypted else None))
        if held:
            plane.send(m.PlayClip(token=Token(f"{leg}/music"), clip_id="music", loops=0))
    for leg in range(0, legs, 2):
        plane.send(seated((leg, leg + 1), held=held))
    await plane.applied()
    return ports


def seated(legs: Iterable[int], *, held: bool = False) -> RouteAudio:
    """Return the seats of these legs in a room of their own."""
    seats = tuple(Seat(call=CallSid(str(leg)), held=held) for leg in legs)
    return RouteAudio(room=RoomSid(f"CF{seats[0].call}"), seats=seats)


@asynccontextmanager
async def media_process(*, rows: int, core: int) -> AsyncIterator[MediaClient]:
    """Run a media process on a core of its own."""
    with TemporaryDirectory(prefix="holdfast-bench-") as folder:
        path = Path(folder) / "media"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "holdfast.voice.media_process"),
            # These are ports of its own, and some to spare: another engine may run on this machine.
            *("--base", str(FIRST_PORT), "--rows", str(rows + SPARE_ROWS)),
            *("--socket", str(path), "--supervisor", str(os.getpid())),
            stderr=asyncio.subprocess.DEVNULL,
        )
        os.sched_setaffinity(process.pid, {core})
        plane = MediaClient(path)
        async with asyncio.TaskGroup() as tasks:
            client = tasks.create_task(plane.run(), name="media-client")
            async with asyncio.timeout(30):
                await plane.attached()
            yield plane
            client.cancel()
        process.terminate()
        await process.wait()


@asynccontextmanager
async def phones(legs: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[m.Address]]]:
    """Run the process with the phones; give it and the phones' addresses."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.phones", str(legs)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    addresses = [(host, port) for host, port in json.loads(await process.stdout.readline())]
    yield process, addresses
    await process.wait()


def main() -> int:
    """Measure these figures alone."""
    from bench.figures import show

    console = Console(width=150)
    show(asyncio.run(measure(console)), console)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
