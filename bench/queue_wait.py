"""Measure 1,000 calls that wait in one queue: what each costs the processor, beside a leg of a two-party call.

Audio is measured by itself, with phones that send: 1,000 legs that hear music and 1,000 legs in calls, in turn. What
the rest of the server does meanwhile is measured with calls made by sipp: 1,000 in a queue that hear the built-in
music; 1,000 whose documents play three minutes of music and are requested again, each caller at another place of its
own; then 500 that talk to 500 others.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import soundfile
from rich.console import Console
from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

from bench import media
from bench.application import Application
from bench.call_rate import BASE, NUMBER, SCENARIO, TIMEOUT_S, children, confine, cpu_s
from bench.figures import Figure, NotMeasured
from holdfast.testing.audio.music import MUSIC_BOX, play
from holdfast.testing.file_server import FileServer
from holdfast.testing.server import HOST, Server, free_port
from holdfast.testing.signals import RATE_HZ

WAITING, PER_S = 1000, 40
CALLERS = 1100
"""Some more than there is room for in the queue: sipp gives up a few of its calls on a busy machine."""
PAIRS, SPARE_PAIRS = WAITING // 2, 50
SECONDS, SETTLE_S = 15, 5.0
TURNS = 4
"""How often both kinds are measured in turn.

The pace of a machine drifts by a tenth and more within minutes, so each kind comes first as often as last.
"""
ROUNDS = 23
"""How often the music of eight seconds is played before its document is requested again."""
Ready = Callable[[Server], Awaitable[int]]
"""A function that waits until enough legs are up, and returns how many are."""
CALLED = SCENARIO.with_name("uas.xml")


async def measure(console: Console, *, seconds: int = SECONDS) -> list[Figure]:
    """Measure the processor time for each leg and tick. Units: µs. Raises: NotMeasured, without sipp."""
    program = shutil.which("sipp")
    if program is None:
        raise NotMeasured("sipp is not installed (apt-get install sip-tester)")
    console.print(f"{WAITING} legs that hear music and {WAITING} in calls, in turn, {TURNS} times {seconds} s each …")
    us_per_leg: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(TURNS):
        for held in (turn % 2 == 0, turn % 2 == 1):
            us_per_leg[held].append((await media.run(legs=WAITING, held=held, seconds=seconds)).us_per_leg)
    held_us, calls_us = median(us_per_leg[True]), median(us_per_leg[False])
    console.print(f"{WAITING} calls in one queue, with the built-in music, {seconds} s …")
    music_us = await _built_in_music_us(program, seconds=seconds)
    console.print(f"{WAITING} calls in one queue, with documents of the application, {seconds} s …")
    waiting_us, documents = await _wait_url_us(program, seconds=seconds)
    console.print(f"{PAIRS} calls that talk to {PAIRS} others, {seconds} s …")
    talking_us = await _talking_us(program, seconds=seconds)
    bar = f"of a leg in a two-party call, which is the bar, {calls_us:.2f} and {talking_us:.2f}"
    return [
        Figure(
            what=f"{WAITING} calls in one queue, built-in music: processor per waiting leg and tick",
            value=round(held_us + music_us, 2),
            unit="µs",
            bar=round(calls_us + talking_us, 2),
            note=f"{held_us:.2f} for its audio, {music_us:.2f} for the wait; {bar}",
        ),
        Figure(
            what="the same with a waitUrl that is asked again every three minutes",
            value=round(held_us + waiting_us, 2),
            unit="µs",
            bar=round(calls_us + talking_us, 2),
            note=f"{held_us:.2f} for its audio, {waiting_us:.2f} for the wait ({documents} documents requested again)",
        ),
    ]


async def _built_in_music_us(program: str, *, seconds: int) -> float:
    """Return the processor time of all but the media process, for each waiting leg and tick. Units: µs."""
    with (
        TemporaryDirectory() as name,
        Application(voice=["<Response><Enqueue>line</Enqueue></Response>"]) as application,
    ):
        async with _server(application.url("voice")) as server:
            return await _spent_us(program, Path(name), server, callers=CALLERS, ready=_all_wait, seconds=seconds)


async def _wait_url_us(program: str, *, seconds: int) -> tuple[float, int]:
    """Return the same where the application provides the audio, and how many documents were requested meanwhile."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        soundfile.write(folder / "music.wav", play(MUSIC_BOX, rate_hz=RATE_HZ) / 2, RATE_HZ, subtype="PCM_16")
        with FileServer(folder / "music.wav") as files:
            # At first, each caller is at another place in its document, as it would be after an hour.
            rounds = [1 + k % ROUNDS for k in range(CALLERS)] + [ROUNDS]
            waits = [str(_playing(files.url("music.wav"), rounds=each)) for each in rounds]
            with Application(
                wait=waits, voice=["<Response><Enqueue waitUrl='/wait'>line</Enqueue></Response>"]
            ) as application:
                async with _server(application.url("voice")) as server:
                    spent_us = await _spent_us(
                        program, folder, server, callers=CALLERS, ready=_all_wait, seconds=seconds
                    )
            return spent_us, application.requests["wait"] - CALLERS


async def _talking_us(program: str, *, seconds: int) -> float:
    """Return the same for a leg in a two-party call."""
    port = free_port(socket.SOCK_DGRAM)
    document = f"<Response><Dial><Sip>sip:called@{HOST}:{port}</Sip></Dial></Response>"
    with TemporaryDirectory() as name, Application(voice=[document]) as application:
        folder = Path(name)
        arguments = ("-sf", str(CALLED), "-i", HOST, "-mi", HOST, "-nostdin", "-p", str(port), "-l", str(CALLERS))
        async with _sipp(program, *arguments, folder=folder), _server(application.url("voice")) as server:
            return await _spent_us(
                program, folder, server, callers=PAIRS + SPARE_PAIRS, ready=_all_talk, seconds=seconds
            )


def _playing(url: str, *, rounds: int) -> VoiceResponse:
    response = VoiceResponse()
    response.play(url, loop=rounds)
    return response


def _server(url: str) -> Server:
    # These callers send no RTP, and must not be hung up for it.
    settings = {"rtp_base": str(BASE), "rtp_rows": str(CALLERS), "rtp_timeout_s": "0"}
    return Server(numbers={NUMBER: url}, settings=settings)


async def _spent_us(program: str, folder: Path, server: Server, *, callers: int, ready: Ready, seconds: int) -> float:
    """Return what all processes but the media process use while these calls are up, per leg and tick. Units: µs."""
    scenario = folder / "long.xml"
    scenario.write_text(SCENARIO.read_text("utf-8").replace('milliseconds="500"', 'milliseconds="600000"'), "utf-8")
    family = [pid for pid in [server.pid, *children(server.pid)] if not _is_media(pid)]
    cores = sorted(os.sched_getaffinity(0))
    for pid in family:
        confine(pid, cores[0])
    idle_s = await _spent_s(family, seconds=SETTLE_S) / SETTLE_S
    arguments = (
        *("-sf", str(scenario), "-i", HOST, "-mi", HOST, "-nostdin", "-s", NUMBER),
        *("-p", str(free_port(socket.SOCK_DGRAM)), "-m", str(callers), "-r", str(PER_S)),
        *("-l", str(callers), f"{HOST}:{server.sip[1]}"),
    )
    async with _sipp(program, *arguments, folder=folder):
        await ready(server)
        # Callers that found no room are refused meanwhile.
        await asyncio.sleep(SETTLE_S)
        legs = await ready(server)
        spent_s = await _spent_s(family, seconds=seconds) - idle_s * seconds
    return 1e6 * spent_s / seconds * media.TICK_S / legs


@asynccontextmanager
async def _sipp(program: str, *arguments: str, folder: Path) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def _spent_s(family: list[int], *, seconds: float) -> float:
    """Return the processor time that the processes use within this time. Units: seconds."""
    before_s = sum(cpu_s(pid) for pid in family)
    await asyncio.sleep(seconds)
    return sum(cpu_s(pid) for pid in family) - before_s


async def _all_wait(server: Server) -> int:
    """Wait until all calls are in the queue; return how many are. Raises: NotMeasured."""

    def waiting(client: Client) -> int:
        return sum(queue.current_size for queue in client.queues.list())

    return await _until(server, waiting)


async def _all_talk(server: Server) -> int:
    """Wait until enough legs talk; return how many do, called ones included. Raises: NotMeasured."""

    def talking(client: Client) -> int:
        return len(client.calls.list(status="in-progress", page_size=1000))

    return await _until(server, talking)


async def _until(server: Server, legs: Callable[[Client], int]) -> int:
    client = server.sdk()
    found = 0
    try:
        async with asyncio.timeout(TIMEOUT_S + WAITING / PER_S):
            while True:
                found = await asyncio.to_thread(legs, client)
                if found >= WAITING:
                    return found
                await asyncio.sleep(2.0)
    except TimeoutError as error:
        raise NotMeasured(f"{found} of {WAITING} legs came up") from error


def _is_media(pid: int) -> bool:
    return b"media_process" in Path(f"/proc/{pid}/cmdline").read_bytes()


def main() -> int:
    """Measure these figures alone."""
    from bench.figures import show

    console = Console(width=150)
    figures = asyncio.run(measure(console))
    show(figures, console)
    return 0 if all(figure.within for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
