"""Control's side of the decoding process: hand it a file, get telephone sound back."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass

from holdfast.voice.runtime.child_environment import child_environment
from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.sound import RATE_HZ, DecodedAudio

log = logging.getLogger(__name__)

MAX_DURATION_S = 2400.0
"""Source: TwiML <Play>: files over 40 minutes may be dropped."""
DECODE_TIMEOUT_S = 20.0
LINE_LIMIT = 1 << 16
COMMAND = (sys.executable, "-m", "holdfast.voice.runtime.sounds.decode_process")


class Decoder:
    """Decodes one file after the other in a process that is started when first needed, and anew when it has died."""

    def __init__(
        self,
        *,
        max_duration_s: float = MAX_DURATION_S,
        timeout_s: float = DECODE_TIMEOUT_S,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        self._longest_s = max_duration_s
        self._decode_s = timeout_s
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._busy = asyncio.Lock()

    async def start(self) -> None:
        """Start the process ahead of the first file, which then need not wait for it."""
        async with self._busy:
            await self._running()

    async def close(self) -> None:
        """End the process."""
        async with self._busy:
            await self._end()

    async def decode(self, body: bytes, kind: str) -> DecodedAudio:
        """Telephone sound from a file. Raises: SoundUnplayable, also when the process cannot stand the file."""
        async with self._busy:
            try:
                async with asyncio.timeout(self._decode_s):
                    return await self._ask(await self._running(), body, kind)
            except TimeoutError as error:
                await self._end()
                raise SoundUnplayable(f"decoding it takes longer than {self._decode_s:g} s") from error
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
                log.warning("decoding process lost: kind=%s size=%d why=%r", kind, len(body), error)
                await self._end()
                raise SoundUnplayable("the file makes the decoder fail") from error
            except asyncio.CancelledError:
                # A reply half read would be taken for the next file's.
                await self._end()
                raise

    async def _ask(self, process: asyncio.subprocess.Process, body: bytes, kind: str) -> DecodedAudio:
        assert process.stdin is not None
        assert process.stdout is not None
        request = {"kind": kind, "size": len(body), "longest_s": self._longest_s, "cpu_s": self._decode_s}
        process.stdin.write(json.dumps(request).encode() + b"\n" + body)
        await process.stdin.drain()
        reply = _read_reply(await process.stdout.readuntil(b"\n"))
        if reply.size > self._longest_s * RATE_HZ + RATE_HZ:
            raise ValueError(f"a sound of {reply.size} bytes")
        audio = await process.stdout.readexactly(reply.size)
        return DecodedAudio(audio=audio, level_db=reply.level_db, peak_db=reply.peak_db)

    async def _running(self) -> asyncio.subprocess.Process:
        """The process, started if there is none."""
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # Codecs write complaints about hostile files there, without limit.
                stderr=asyncio.subprocess.DEVNULL,
                limit=LINE_LIMIT,
                env={**child_environment(os.environ), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        return self._process

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """The line before a sound."""

    size: int
    level_db: float
    peak_db: float


def _read_reply(line: bytes) -> _Reply:
    """Read what the process says; a process taken over by a hostile file may say anything.

    Raises: SoundUnplayable when it says so, ValueError when it is no reply.
    """
    match json.loads(line):
        case {"error": str(message)}:
            raise SoundUnplayable(message[:200])
        case {"size": int(size), "level_db": float(level_db), "peak_db": float(peak_db)} if size > 0:
            return _Reply(size=size, level_db=level_db, peak_db=peak_db)
        case _:
            raise ValueError("no reply of a decoder")
