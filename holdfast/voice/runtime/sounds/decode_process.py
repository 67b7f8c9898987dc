"""Decode sound files from standard input to telephone audio on standard output, in a confined process.

`python -m holdfast.voice.runtime.sounds.decode_process`. It decodes one file at a time until its input ends. It is
confined: it can open no file and no socket, and has little memory and limited processor time for each file. A file that
crashes the decoder ends only this process.

Shape: a request is a line of JSON `{"extension", "size", "max_duration_s", "cpu_s"}` and `size` bytes; a reply is a
line of JSON `{"size", "format", "level_db", "peak_db"}` and `size` bytes, or `{"error"}`.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, BinaryIO

from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.decode import decode_audio
from holdfast.voice.runtime.sounds.sound import RATE_HZ, DecodedAudio

MEMORY_BYTES = 768 * 1024 * 1024
"""The memory beyond that at the start: a file, 40 minutes of float samples twice, and the codecs."""
NICENESS = 5
"""The niceness: the media process's tick must not wait for a decoder."""


def confine(*, open_files: int) -> None:
    """Give up the resources and rights that decoding does not need, except this number of open files and sockets."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    for limit, value in (
        (resource.RLIMIT_AS, used + MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, open_files),
    ):
        _, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def serve(requests: BinaryIO, replies: BinaryIO, work: Callable[[bytes, Mapping[str, Any]], DecodedAudio]) -> None:
    """Answer requests until the input ends; `work` makes audio of the body of a request, or raises SoundUnplayable."""
    while line := requests.readline():
        request = json.loads(line)
        body = requests.read(request["size"])
        limit_cpu_time(request["cpu_s"])
        reply: dict[str, object]
        audio = b""
        try:
            sound = work(body, request)
        except SoundUnplayable as error:
            reply = {"error": error.message}
        except MemoryError:
            reply = {"error": "decoding it takes too much memory"}
        else:
            audio = sound.audio
            reply = {
                "size": len(audio),
                "format": sound.format,
                "level_db": sound.level_db,
                "peak_db": sound.peak_db,
            }
        replies.write(json.dumps(reply).encode() + b"\n" + audio)
        replies.flush()


def _decode(body: bytes, request: Mapping[str, Any]) -> DecodedAudio:
    return decode_audio(body, request["extension"], max_duration_s=request["max_duration_s"])


def _warm_up() -> None:
    """Decode audio and nonsense once, so that every library is loaded that would be loaded later."""
    decode_audio(bytes(RATE_HZ), "ulaw", max_duration_s=1)
    with suppress(SoundUnplayable):
        decode_audio(b"nonsense", "", max_duration_s=1)


def limit_cpu_time(cpu_s: float) -> None:
    """Limit the processor time of the next file; the kernel ends the process beyond it.

    Units: seconds, rounded up to whole ones.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(usage.ru_utime + usage.ru_stime + cpu_s), hard))


if __name__ == "__main__":
    _warm_up()
    confine(open_files=3)
    serve(sys.stdin.buffer, sys.stdout.buffer, _decode)
