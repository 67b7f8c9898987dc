"""Measure from a redirect by REST to the first packet that its document plays, beside the application's answer time."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

import numpy as np
import soundfile
from rich.console import Console
from twilio.twiml.voice_response import VoiceResponse

from bench.figures import Figure, percentiles
from bench.requests import RestConnection
from bench.room import first_packet, pause
from holdfast.testing.audio.ears import frames
from holdfast.testing.audio.music import (
    MUSIC_BOX,
    SLOW_BELLS,
    Score,
    play,
)
from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from holdfast.testing.signals import RATE_HZ, as_samples
from holdfast.voice.media.codec.g711 import decode, encode

NUMBER = "+15550100"
BAR_MS = 40.0
WARM_UP = 3
SCORES: dict[str, Score] = {"one": MUSIC_BOX, "two": SLOW_BELLS}


async def measure(console: Console, *, redirects: int) -> list[Figure]:
    """Redirect one call so many times, from one document to another and back."""
    console.print(f"{redirects} redirects by REST …")
    ulaw = {name: encode(as_samples(play(score, rate_hz=RATE_HZ) / 2)) for name, score in SCORES.items()}
    payloads = {name: frozenset(frames(audio)) for name, audio in ulaw.items()}
    expected = {"one": payloads["one"] - payloads["two"], "two": payloads["two"] - payloads["one"]}
    with TemporaryDirectory() as folder:
        for name, audio in ulaw.items():
            soundfile.write(Path(folder) / f"{name}.wav", decode(audio), RATE_HZ, subtype="PCM_16")
        with FileServer(*(Path(folder) / f"{name}.wav" for name in ulaw)) as files:
            documents = {name: files.put(f"{name}.xml", _playing(files.url(f"{name}.wav"))) for name in ulaw}
            async with (
                Server(numbers={NUMBER: documents["one"]}) as server,
                Phone("alice", server=server.sip) as phone,
            ):
                await (await phone.call(NUMBER)).answered()
                client = server.sdk()
                (call,) = await asyncio.to_thread(client.calls.list, status="in-progress")
                path = f"/2010-04-01/Accounts/{server.account_sid}/Calls/{call.sid}.json"
                times: list[float] = []
                with closing(RestConnection(server)) as rest:
                    for number in range(WARM_UP + redirects):
                        await pause()
                        name = ("two", "one")[number % 2]
                        sent_s, _ = await rest.post_form(path, Url=documents[name])
                        times.append(await first_packet(phone.ear, expected[name], since_s=sent_s) - sent_s)
            app_ms = 1000 * await asyncio.to_thread(_answer_time, documents["one"])
    beyond = [max(0.0, taken - app_ms / 1000) for taken in times[WARM_UP:]]
    note = f"the application's own answer takes {app_ms:.1f} ms and is taken off"
    return percentiles("redirect → first packet of the new audio", beyond, p50_ms=BAR_MS, p99_ms=90, note=note)


def _playing(url: str) -> str:
    response = VoiceResponse()
    response.play(url, loop=0)
    return str(response)


def _answer_time(url: str) -> float:
    """Return the median time of the application's answer to a POST on a new connection, in seconds."""
    taken = []
    for _ in range(50):
        began = time.perf_counter()
        with urlopen(Request(url, data=b"CallSid=CA")) as answer:
            answer.read()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def main() -> int:
    """Measure this figure alone."""
    from bench.figures import show

    console = Console(width=150)
    figures = asyncio.run(measure(console, redirects=100))
    show(figures, console)
    return 0 if all(figure.within for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
