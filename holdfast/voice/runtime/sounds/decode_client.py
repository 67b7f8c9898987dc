"""Run the decoding process: send it a file, and receive telephone audio."""

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
    """A decoder decodes one file at a time in a process that is started on demand and restarted after a crash."""

    def __init__(
        self,
        *,
        max_duration_s: float = MAX_DURATION_S,
        timeout_s: float = DECODE_TIMEOUT_S,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        self._max_duration_s = max_duration_s
        self._timeout_s = timeout_s
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._busy = asyncio.Lock()

    async def start(self) -> None:
        """Start the process before the first file, so that the file need not wait for it."""
        async with self._busy:
            await self._ensure_running()

    async def close(self) -> None:
        """End the process."""
        async with self._busy:
            await self._end()

    async def decode(self, body: bytes, extension: str) -> DecodedAudio:
        """Decode a file to telephone audio. Raises: SoundUnplayable, also if the file crashes the process."""
        async with self._busy:
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await self._exchange(await self._ensure_running(), body, extension)
            except TimeoutError as error:
                await self._end()
                raise SoundUnplayable(f"decoding it takes longer than {self._timeout_s:g} s") from error
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
                log.warning("decoding process lost: extension=%s size=%d why=%r", extension, len(body), error)
                await self._end()
                raise SoundUnplayable("the file makes the decoder fail") from error
            except asyncio.CancelledError:
                # The rest of this reply would be read as the reply to the next file.
                await self._end()
                raise

    async def _exchange(self, process: asyncio.subprocess.Process, body: bytes, extension: str) -> DecodedAudio:
        assert process.stdin is not None
        assert process.stdout is not None
        request = {
            "extension": extension,
            "size": len(body),
            "max_duration_s": self._max_duration_s,
            "cpu_s": self._timeout_s,
        }
        process.stdin.write(json.dumps(request).encode() + b"\n" + body)
        await process.stdin.drain()
        reply = _read_reply(await process.stdout.readuntil(b"\n"))
        if reply.size > self._max_duration_s * RATE_HZ + RATE_HZ:
            raise ValueError(f"a reply of {reply.size} bytes")
        audio = await process.stdout.readexactly(reply.size)
        return DecodedAudio(audio=audio, level_db=reply.level_db, peak_db=reply.peak_db, format=reply.format)

    async def _ensure_running(self) -> asyncio.subprocess.Process:
        """Return the process, and start it if it does not run."""
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # Codecs write unlimited complaints about hostile files to it.
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
    """A reply is the line before the audio."""

    size: int
    format: str
    level_db: float
    peak_db: float


def _read_reply(line: bytes) -> _Reply:
    """Parse a reply; a process that a hostile file has taken over may send anything.

    Raises: SoundUnplayable if the reply is an error, ValueError if it is invalid.
    """
    match json.loads(line):
        case {"error": str(message)}:
            raise SoundUnplayable(message[:200])
        case {
            "size": int(size),
            "format": str(name),
            "level_db": float(level_db),
            "peak_db": float(peak_db),
        } if size > 0:
            return _Reply(size=size, format=name[:20], level_db=level_db, peak_db=peak_db)
        case _:
            raise ValueError("an invalid reply of the decoder")
