"""Set up and end calls by sipp, 200 a second, on one core: how many fail, and what one costs.

First with SIP and media alone, which answer every call at once. Then with the whole server, 50 a second, each call put
through its webhook and the journal, and the time from the webhook's request to the phone's answer; the web server of
the application shares sipp's core.
"""

from __future__ import annotations

import asyncio
import csv
import os
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from bench.application import Application
from bench.figures import Figure, NotMeasured, percentiles
from holdfast.testing.server import HOST, Server, free_port

SCENARIO = Path(__file__).parents[1] / "tests" / "interop" / "sipp" / "uac.xml"
NUMBER = "+15550123"
SIP_PER_S, WHOLE_PER_S = 200, 50
SECONDS = 10
ROWS, BASE = 4000, 16384
"""The rows of the engine; a row rests for half a minute after its call, so that late packets reach no other call."""
DOCUMENT = '<?xml version="1.0"?><Response><Play digits="w"/><Pause length="60"/></Response>'
TIMEOUT_S = 60.0
ANSWERS = "answers.log"
CALLER = re.compile(r"caller(\d+)@")


async def measure(console: Console, *, seconds: int = SECONDS) -> list[Figure]:
    """Measure failed calls, processor time for each, and the time to an answer. Raises: NotMeasured, without sipp."""
    program = shutil.which("sipp")
    if program is None:
        raise NotMeasured("sipp is not installed (apt-get install sip-tester)")
    with TemporaryDirectory() as name:
        folder = Path(name)
        console.print(f"{SIP_PER_S} calls per second for {seconds} s, SIP and media on one core …")
        async with sip_and_media(folder) as (port, family):
            sip = await run(program, folder, port, family, rate=SIP_PER_S, seconds=seconds)
        console.print(f"{WHOLE_PER_S} calls per second for {seconds} s, the whole server on one core …")
        with Application(voice=[DOCUMENT]) as application:
            settings = {"rtp_base": str(BASE), "rtp_rows": str(ROWS)}
            async with Server(numbers={NUMBER: application.url("voice")}, settings=settings) as server:
                family = [server.pid, *children(server.pid)]
                whole = await run(program, folder, server.sip[1], family, rate=WHOLE_PER_S, seconds=seconds)
        waited = answer_times_s(application, folder / ANSWERS)
    return [*sip, *whole, *percentiles(f"{WHOLE_PER_S} calls/s: webhook requested → answered", waited)]


@asynccontextmanager
async def sip_and_media(folder: Path) -> AsyncIterator[tuple[int, list[int]]]:
    """Run the SIP legs and the media process alone; give the port and the process IDs."""
    port, path = free_port(socket.SOCK_DGRAM), folder / "media"
    async with (
        _process(
            *("holdfast.voice.media_process", "--socket", str(path), "--ip", HOST),
            *("--base", str(BASE), "--rows", str(ROWS)),
        ) as media,
        _process("bench.answering", "--socket", str(path), "--port", str(port)) as legs,
    ):
        assert legs.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            while await legs.stdout.readline() != b"ready\n":
                assert legs.returncode is None, "bench.answering ended by itself"
        yield port, [media.pid, legs.pid]


@asynccontextmanager
async def _process(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(5.0):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def run(program: str, folder: Path, port: int, family: Sequence[int], *, rate: int, seconds: int) -> list[Figure]:
    """Run sipp once against these processes, which are confined to one core."""
    cores = sorted(os.sched_getaffinity(0))
    for pid in family:
        confine(pid, cores[0])
    await asyncio.sleep(1.0)
    idle_s = sum(cpu_s(pid) for pid in family)
    await asyncio.sleep(2.0)
    before_s = sum(cpu_s(pid) for pid in family)
    idle_s = (before_s - idle_s) / 2.0
    stats = await _sipp(program, folder, port, rate=rate, calls=rate * seconds, core=cores[-1])
    spent_s = sum(cpu_s(pid) for pid in family) - before_s
    done = int(stats["SuccessfulCall(C)"])
    retransmissions = int(stats["Retransmissions(C)"])
    cost_ms = 1000 * (spent_s - idle_s * seconds) / max(1, done)
    name = "SIP and media" if len(family) == 2 else "whole server"
    note = f"{done} calls done, {retransmissions} messages sent again by sipp"
    return [
        Figure(what=f"{rate} calls/s, {name}: failed", value=rate * seconds - done, unit="", bar=0, note=note),
        Figure(what=f"{name}: processor for one call", value=cost_ms, unit="ms", bar=1000 / rate),
    ]


def answer_times_s(application: Application, answers: Path) -> list[float]:
    """Return the time from each call's webhook to its answer. Shape: the log has a number and a time on each line."""
    asked_at = {match[1]: at for caller, at in application.requested_at.items() if (match := CALLER.search(caller))}
    answered = [line.split() for line in answers.read_text("ascii").splitlines()]
    return [float(words[-1]) - asked_at[words[0]] for words in answered if words[0] in asked_at]


def scenario(folder: Path) -> Path:
    """Write sipp's caller, with a number of its own in each call and a note of when it was answered."""
    text = SCENARIO.read_text("utf-8").replace("sip:caller@", "sip:caller[call_number]@")
    log_action = '<action><log message="[call_number] [timestamp]"/></action>'
    text = text.replace('<recv response="200" rrs="true"/>', f'<recv response="200" rrs="true">{log_action}</recv>')
    path = folder / "caller.xml"
    path.write_text(text, "utf-8")
    return path


async def _sipp(program: str, folder: Path, port: int, *, rate: int, calls: int, core: int) -> dict[str, str]:
    """Run sipp to its end, and return its last line of statistics."""
    process = await asyncio.create_subprocess_exec(
        *(program, "-sf", str(scenario(folder)), "-i", HOST, "-mi", HOST, "-nostdin"),
        *("-trace_logs", "-log_file", ANSWERS, "-trace_stat", "-stf", "stat.csv", "-fd", "1"),
        *("-s", NUMBER, "-p", str(free_port(socket.SOCK_DGRAM)), "-m", str(calls), "-r", str(rate)),
        *("-l", str(ROWS), f"{HOST}:{port}"),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.sched_setaffinity(process.pid, {core})
    try:
        async with asyncio.timeout(TIMEOUT_S + calls / rate):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
    with (folder / "stat.csv").open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter=";"))[-1]


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def confine(pid: int, core: int) -> None:
    """Confine every thread of a process to this core."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def cpu_s(pid: int) -> float:
    """Return the user and system time that a process has used. Units: seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
