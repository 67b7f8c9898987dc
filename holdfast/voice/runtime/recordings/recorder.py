"""The recorder: has the media process capture, makes a WAV file of what it wrote, and keeps the files.

A file that is being made ends in `.part`; it is made whole in a thread, in place, so that a full disk is no hindrance.
What a crash left unfinished is made whole at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, assert_never

from holdfast.voice.media.codec.wav import (
    HEADER_BYTES,
    RATE_HZ,
    SAMPLE_BYTES,
    read_channels,
    wav_header,
)
from holdfast.voice.media_process.control_link import recording_messages as words
from holdfast.voice.model.effects import CaptureEffect, ChangeCapture, EraseCapture, StartCapture, StopCapture
from holdfast.voice.model.facts import CaptureBegan, CaptureEnded, CaptureFact, CaptureQuiet
from holdfast.voice.model.ids import AccountSid, RecordingSid, is_sid

log = logging.getLogger(__name__)

FRAME = 160
MARGIN_FRAMES = 5
"""How much silence trimming leaves before the first sound and behind the last: a tenth of a second."""
SHORTEST_S = 0.1
"""A recording that would be shorter is absent."""
_MOVED_AT_ONCE = 1 << 20


class CaptureMedia(Protocol):
    """What the recorder asks of the media process."""

    def capture(self, command: words.TapCommand) -> None:
        """Record, change what is recorded, or stop."""


class Recorder:
    """Carries out what is to be captured. Invariant: each recording that began is told as ended, once."""

    def __init__(
        self,
        *,
        media: CaptureMedia,
        folder: Path,
        url: str,
        account: AccountSid,
        post: Callable[[CaptureFact], None],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._media = media
        self._folder = folder
        self._url = f"{url.rstrip('/')}/2010-04-01/Accounts/{account}/Recordings"
        self._tell = post
        self._tasks = tasks
        self._tapes: dict[RecordingSid, bool] = {}
        """What is captured, and whether its silent ends are to be cut off."""
        self._early: dict[RecordingSid, ChangeCapture] = {}
        """What changed of recordings whose beginning still waits for the journal."""
        self._finishing: set[RecordingSid] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self) -> list[RecordingSid]:
        """Make the folder, and whole files of what an earlier run left. Raises: OSError."""
        return await asyncio.to_thread(_mend, self._folder)

    def carry_out(self, effect: CaptureEffect) -> None:
        """Begin what is asked; outcomes come as facts."""
        match effect:
            case StartCapture(recording=recording):
                self._tapes[recording] = False
                self._idle.clear()
                path = str(self._part(recording))
                early = self._early.pop(recording, None)
                voices = effect.channels if early is None or early.channels is None else early.channels
                self._media.capture(
                    words.OpenTap(recording=recording, path=path, voices=voices, quiet_s=effect.silence_s)
                )
                if early is not None and early.mode is not None:
                    self._media.capture(words.ChangeTap(recording=recording, mode=early.mode))
                self._tell(CaptureBegan(recording=recording, url=f"{self._url}/{recording}"))
            case ChangeCapture(recording=recording) if not (recording in self._tapes or recording in self._finishing):
                before = self._early.get(recording, effect)
                newest = before.channels if effect.channels is None else effect.channels
                self._early[recording] = replace(effect, channels=newest, mode=effect.mode or before.mode)
            case ChangeCapture(recording=recording):
                self._media.capture(words.ChangeTap(recording=recording, voices=effect.channels, mode=effect.mode))
            case StopCapture(recording=recording, trim=trim):
                self._early.pop(recording, None)
                if recording in self._tapes:
                    self._tapes[recording] = trim
                    self._media.capture(words.CloseTap(recording=recording))
                elif recording not in self._finishing:
                    self.report_earlier(recording)
            case EraseCapture(recording=recording):
                self._tasks.create_task(self._erase(recording), name=f"erase {recording}")
            case _:
                assert_never(effect)

    def handle(self, fact: words.TapFact) -> None:
        """What the media process tells of a recording."""
        recording = RecordingSid(fact.recording)
        match fact:
            case words.TapQuiet():
                self._tell(CaptureQuiet(recording=recording))
            case words.TapClosed():
                trim = self._tapes.pop(recording, None)
                if trim is not None:
                    self._begin_to_finish(recording, trim, fact)
            case _:
                assert_never(fact)

    def media_lost(self) -> None:
        """The media process is gone, and with it whatever it had not written."""
        for recording in list(self._tapes):
            del self._tapes[recording]
            gone = words.TapClosed(
                recording=recording, frames=0, first_loud=None, last_loud=None, error="the media process was restarted"
            )
            self._begin_to_finish(recording, False, gone)

    def report_earlier(self, recording: RecordingSid) -> None:
        """A recording that an earlier run made is over: what is left of it is told."""
        path = self.path(recording)
        seconds = 0.0 if path is None else _seconds(path)
        self._tell(CaptureEnded(recording=recording, duration_s=seconds, error="" if seconds else "it was lost"))

    def path(self, recording: RecordingSid) -> Path | None:
        """The WAV file of a recording, if there is one."""
        path = self._folder / f"{recording}.wav"
        return path if is_sid(recording, "RE") and path.is_file() else None

    async def drained(self, *, timeout_s: float) -> bool:
        """Wait until every recording's file is whole, but no longer than this; whether all are."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    # --- within -------------------------------------------------------------------------------------------

    def _part(self, recording: RecordingSid) -> Path:
        return self._folder / f"{recording}.part"

    def _begin_to_finish(self, recording: RecordingSid, trim: bool, closed: words.TapClosed) -> None:
        self._finishing.add(recording)
        self._tasks.create_task(self._finish(recording, trim, closed), name=f"finish {recording}")

    async def _finish(self, recording: RecordingSid, trim: bool, closed: words.TapClosed) -> None:
        """Make the file whole, and tell how long it became."""
        error = closed.error
        first, end = 0, None
        if trim and not error:
            first, end = _ends(closed)
        try:
            seconds = await asyncio.to_thread(finish_file, self._part(recording), first_frame=first, end_frame=end)
        except OSError as wrong:
            seconds = 0.0
            error = error or wrong.strerror or str(wrong)
        if error:
            log.error("recording=%s: %s", recording, error)
        self._finishing.discard(recording)
        self._tell(CaptureEnded(recording=recording, duration_s=seconds, error=error))
        if not self._finishing and not self._tapes:
            self._idle.set()

    async def _erase(self, recording: RecordingSid) -> None:
        if (path := self.path(recording)) is not None:
            try:
                await asyncio.to_thread(path.unlink)
            except OSError as error:
                log.error("recording=%s cannot be deleted: %s", recording, error)


def _ends(closed: words.TapClosed) -> tuple[int, int]:
    """The frames that are left when the silence at both ends is cut off."""
    if closed.first_loud is None or closed.last_loud is None:
        return 0, 0
    return max(0, closed.first_loud - MARGIN_FRAMES), min(closed.frames, closed.last_loud + 1 + MARGIN_FRAMES)


def finish_file(part: Path, *, first_frame: int = 0, end_frame: int | None = None) -> float:
    """Turn a part into a WAV file, leaving out what is before and behind these frames, in place. Units: seconds.

    Too short a recording leaves no file, and is 0 s. Raises: OSError.
    """
    with part.open("r+b", buffering=0) as file:
        channels = read_channels(file.read(HEADER_BYTES))
        if channels is None:
            part.unlink()
            return 0.0
        block = channels * SAMPLE_BYTES
        written = (os.fstat(file.fileno()).st_size - HEADER_BYTES) // block
        first = min(first_frame * FRAME, written)
        samples = (written if end_frame is None else min(end_frame * FRAME, written)) - first
        if samples < SHORTEST_S * RATE_HZ:
            part.unlink()
            return 0.0
        if first:
            _move(file.fileno(), from_=HEADER_BYTES + first * block, to=HEADER_BYTES, size=samples * block)
        os.ftruncate(file.fileno(), HEADER_BYTES + samples * block)
        os.pwrite(file.fileno(), wav_header(channels=channels, data_bytes=samples * block), 0)
    part.rename(part.with_suffix(".wav"))
    return samples / RATE_HZ


def _move(file: int, *, from_: int, to: int, size: int) -> None:
    """Move bytes within a file towards its beginning. Raises: OSError."""
    for done in range(0, size, _MOVED_AT_ONCE):
        data = os.pread(file, min(_MOVED_AT_ONCE, size - done), from_ + done)
        while data:
            written = os.pwrite(file, data, to + done)
            data, done = data[written:], done + written


def _seconds(path: Path) -> float:
    """How long a WAV file of ours lasts; 0 for any other."""
    try:
        with path.open("rb") as file:
            channels = read_channels(file.read(HEADER_BYTES))
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return 0.0
    return 0.0 if channels is None else (size - HEADER_BYTES) / (channels * SAMPLE_BYTES * RATE_HZ)


def _mend(folder: Path) -> list[RecordingSid]:
    """Make the folder, private to its owner, and whole files of every part in it. Raises: OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mended = []
    for part in sorted(folder.glob("RE*.part")):
        try:
            if finish_file(part):
                mended.append(RecordingSid(part.stem))
        except OSError as error:
            log.error("recording=%s cannot be mended: %s", part.stem, error)
    return mended
