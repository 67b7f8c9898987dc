"""The decoding process: reads sound files from standard input, writes telephone sound to standard output.

`python -m holdfast.voice.runtime.sounds.decode_process`. One file at a time, until its input ends. It has few means:
no new files, little memory, a limit of processor time for each file. A file that crashes the decoder takes this process
along and nothing else.

Shape: a request is a line of JSON `{"kind", "size", "longest_s", "cpu_s"}` and `size` bytes; a reply a line of JSON
`{"size", "level_db", "peak_db"}` and `size` bytes, or `{"error"}`.
"""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import sys
from typing import BinaryIO

from holdfast.voice.runtime.http.content_sniffing import AudioFormat
from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.decode import decode_audio

MEMORY_BYTES = 768 * 1024 * 1024
"""How much more than at its start: a file, 40 minutes of samples as floats twice, and the codecs."""
NICENESS = 5
"""Below the media process, whose tick must not wait for a decoder."""


def confine() -> None:
    """Give up what decoding does not need."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    for limit, value in (
        (resource.RLIMIT_AS, used + MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 16),
    ):
        _, hard = resource.getrlimit(limit)
        resource.setrlimit(limit, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def serve(requests: BinaryIO, replies: BinaryIO) -> None:
    """Answer requests until there are no more."""
    while line := requests.readline():
        request = json.loads(line)
        body = requests.read(request["size"])
        limit_cpu_time(request["cpu_s"])
        reply, audio = _answer(body, request["kind"], longest_s=request["longest_s"])
        replies.write(json.dumps(reply).encode() + b"\n" + audio)
        replies.flush()


def _answer(body: bytes, kind: AudioFormat, *, longest_s: float) -> tuple[dict[str, object], bytes]:
    try:
        sound = decode_audio(body, kind, max_duration_s=longest_s)
    except SoundUnplayable as error:
        return {"error": error.message}, b""
    except MemoryError:
        return {"error": "decoding it takes too much memory"}, b""
    return {"size": len(sound.audio), "level_db": sound.level_db, "peak_db": sound.peak_db}, sound.audio


def limit_cpu_time(cpu_s: float) -> None:
    """Processor time for the next file; the kernel ends the process that takes more. Units: whole seconds at least."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(usage.ru_utime + usage.ru_stime + cpu_s), hard))


if __name__ == "__main__":
    confine()
    serve(sys.stdin.buffer, sys.stdout.buffer)
