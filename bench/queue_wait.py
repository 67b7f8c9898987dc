"""1,000 calls that wait in one queue: what each costs the processor, beside a leg of a two-party call.

Sound is measured by itself, with phones that speak: 1,000 legs that hear music, 1,000 legs in calls. What the waiting
costs beyond sound is measured on the whole server, with calls made by sipp: asking for the wait document again and
again, and the statistics of a thousand legs, which legs in calls have too. So it is told, and not held against a bar.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile
from rich.console import Console
from twilio.rest import Client
from twilio.twiml.voice_response import Enqueue, VoiceResponse

from bench import media
from bench.call_rate import BASE, NUMBER, PATIENCE_S, SCENARIO, children, confine, cpu_s
from bench.figures import Figure, NotMeasured
from holdfast.testing.files import FileServer
from holdfast.testing.music import MUSIC_BOX, play
from holdfast.testing.server import HOST, Server, free_port
from holdfast.testing.signals import RATE_HZ

WAITING, PER_S = 1000, 40
CALLERS = 1100
"""Some more than there is room for in the queue: sipp gives up a few of its calls on a busy machine."""
SECONDS, SETTLE_S = 15, 5.0
ROUNDS = 4
"""How often the music is played before its document is asked for again."""


async def measure(console: Console, *, seconds: int = SECONDS) -> list[Figure]:
    """Microseconds of processor for each leg and tick. Raises: NotMeasured, without sipp."""
    program = shutil.which("sipp")
    if program is None:
        raise NotMeasured("sipp is not installed (apt-get install sip-tester)")
    console.print(f"{WAITING} calls in one queue, {seconds} s …")
    control_us, asked = await _control(program, seconds=seconds)
    console.print(f"{WAITING} legs that hear music, then {WAITING} in calls, {seconds} s each …")
    held = await media.run(legs=WAITING, held=True, seconds=seconds)
    calls = await media.run(legs=WAITING, seconds=seconds)
    note = f"{held.us_per_leg:.2f} for its sound, {control_us:.2f} for the wait: {asked} documents in {seconds} s"
    return [
        Figure(
            what=f"{WAITING} calls in one queue: processor per waiting leg and tick",
            value=round(held.us_per_leg + control_us, 2),
            unit="µs",
            note=note,
        ),
        Figure(what="the same of a leg in a two-party call", value=round(calls.us_per_leg, 2), unit="µs"),
    ]


async def _control(program: str, *, seconds: int) -> tuple[float, int]:
    """Processor of all but the media process, for each waiting leg and tick; and how many documents were asked for."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        soundfile.write(folder / "music.wav", play(MUSIC_BOX, rate_hz=RATE_HZ) / 2, RATE_HZ, subtype="PCM_16")
        scenario = folder / "waiting.xml"
        scenario.write_text(SCENARIO.read_text("utf-8").replace('milliseconds="500"', 'milliseconds="600000"'), "utf-8")
        with FileServer(folder / "music.wav") as files:
            wait = VoiceResponse()
            wait.play(files.url("music.wav"), loop=ROUNDS)
            response = VoiceResponse()
            response.append(Enqueue(name="line", wait_url=files.put("wait.xml", str(wait)), wait_url_method="GET"))
            numbers: dict[str, str | None] = {NUMBER: files.put("voice.xml", str(response))}
            # These callers make no sound, and are not to be hung up for it.
            settings = {"rtp_base": str(BASE), "rtp_rows": str(CALLERS), "rtp_timeout_s": "0"}
            async with Server(numbers=numbers, settings=settings) as server:
                family = [pid for pid in [server.pid, *children(server.pid)] if not _is_media(pid)]
                cores = sorted(os.sched_getaffinity(0))
                for pid in family:
                    confine(pid, cores[0])
                idle_s = await _spent_s(family, seconds=SETTLE_S) / SETTLE_S
                callers = await asyncio.create_subprocess_exec(
                    *(program, "-sf", str(scenario), "-i", HOST, "-mi", HOST, "-nostdin", "-s", NUMBER),
                    *("-p", str(free_port(socket.SOCK_DGRAM)), "-m", str(CALLERS), "-r", str(PER_S)),
                    *("-l", str(CALLERS), f"{HOST}:{server.sip[1]}"),
                    cwd=folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                )
                try:
                    await _all_wait(server)
                    # Those who found no room are turned away meanwhile.
                    await asyncio.sleep(SETTLE_S)
                    before = files.asked.count("/wait.xml")
                    spent_s = await _spent_s(family, seconds=seconds) - idle_s * seconds
                    asked = files.asked.count("/wait.xml") - before
                finally:
                    callers.kill()
                    await callers.wait()
    return 1e6 * spent_s / seconds * media.TICK_S / WAITING, asked


async def _spent_s(family: list[int], *, seconds: float) -> float:
    """What the processes use of the processor within this time."""
    before_s = sum(cpu_s(pid) for pid in family)
    await asyncio.sleep(seconds)
    return sum(cpu_s(pid) for pid in family) - before_s


async def _all_wait(server: Server) -> None:
    """Return once they are all in the queue. Raises: TimeoutError."""
    client = Client(server.account_sid, server.auth_token)
    client.api.base_url = server.url
    async with asyncio.timeout(PATIENCE_S + WAITING / PER_S):
        while True:
            queues = await asyncio.to_thread(client.queues.list)
            if queues and queues[0].current_size == WAITING:
                return
            await asyncio.sleep(1.0)


def _is_media(pid: int) -> bool:
    return b"mediaplane" in Path(f"/proc/{pid}/cmdline").read_bytes()


def main() -> int:
    """This figure alone."""
    from bench.figures import show

    console = Console(width=150)
    figures = asyncio.run(measure(console))
    show(figures, console)
    return 0 if all(figure.within for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
