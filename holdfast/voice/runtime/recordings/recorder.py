"""Record calls: the media process captures audio, and the recorder makes and keeps the WAV files.

An unfinished file ends in `.part`; it is finished in a thread, in place, so that this works on a full disk too. Files
that a crash left unfinished are finished at the next start.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Protocol, assert_never

from holdfast.voice.media.codec.wav import (
    HEADER_BYTES,
    RATE_HZ,
    SAMPLE_BYTES,
    read_channels,
    wav_header,
)
from holdfast.voice.media_process.control_link import recording_messages as tap_messages
from holdfast.voice.model.effects import CaptureEffect, ChangeCapture, EraseCapture, StartCapture, StopCapture
from holdfast.voice.model.facts import CaptureBegan, CaptureEnded, CaptureQuiet
from holdfast.voice.model.ids import AccountSid, RecordingSid, is_sid
from holdfast.voice.runtime.mailbox import EngineEvents

log = logging.getLogger(__name__)

FRAME = 160
MARGIN_FRAMES = 5
"""The silence that trimming leaves before the first audio and after the last: a tenth of a second."""
SHORTEST_S = 0.1
"""The minimum duration of a recording; a shorter one is absent."""
_MOVE_BYTES = 1 << 20


class CaptureMedia(Protocol):
    """The part of the media process that the recorder uses."""

    def send(self, command: tap_messages.TapCommand) -> None:
        """Open, pause, continue or close a recording tap."""


class Recorder:
    """A recorder carries out capture effects.

    Invariant: for each recording that began, `CaptureEnded` is posted once.
    """

    def __init__(
        self,
        *,
        media: CaptureMedia,
        folder: Path,
        url: str,
        account: AccountSid,
        events: EngineEvents,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._media = media
        self._folder = folder
        self._url = f"{url.rstrip('/')}/2010-04-01/Accounts/{account}/Recordings"
        self._events = events
        self._tasks = tasks
        self._in_progress: dict[RecordingSid, bool] = {}
        """The recordings in progress, and whether silence at their ends is to be trimmed."""
        self._early: dict[RecordingSid, ChangeCapture] = {}
        """Changes of recordings whose start still waits for the journal."""
        self._finishing: set[RecordingSid] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def open(self) -> list[RecordingSid]:
        """Create the folder, and finish the files that an earlier run left. Raises: OSError."""
        return await asyncio.to_thread(_recover, self._folder)

    def carry_out(self, effect: CaptureEffect) -> None:
        """Start an effect; its outcomes are posted as facts."""
        match effect:
            case StartCapture(recording=recording):
                self._in_progress[recording] = False
                self._idle.clear()
                path = str(self._part(recording))
                self._media.send(
                    tap_messages.OpenTap(
                        recording=recording, path=path, voices=effect.channels, quiet_s=effect.silence_s
                    )
                )
                if (early := self._early.pop(recording, None)) is not None:
                    self._media.send(early)
                self._events.post(CaptureBegan(recording=recording, url=f"{self._url}/{recording}"))
            case ChangeCapture(recording=recording):
                if recording in self._in_progress or recording in self._finishing:
                    self._media.send(effect)
                else:
                    self._early[recording] = effect
            case StopCapture(recording=recording, trim=trim):
                self._early.pop(recording, None)
                if recording in self._in_progress:
                    self._in_progress[recording] = trim
                    self._media.send(tap_messages.CloseTap(recording=recording))
                elif recording not in self._finishing:
                    self.report_earlier(recording)
            case EraseCapture(recording=recording):
                self._tasks.create_task(self._erase(recording), name=f"erase {recording}")
            case _:
                assert_never(effect)

    def handle(self, fact: tap_messages.TapFact) -> None:
        """Handle a fact of the media process about a recording."""
        recording = RecordingSid(fact.recording)
        match fact:
            case tap_messages.TapQuiet():
                self._events.post(CaptureQuiet(recording=recording))
            case tap_messages.TapClosed():
                trim = self._in_progress.pop(recording, None)
                if trim is not None:
                    self._start_finishing(recording, trim, fact)
            case _:
                assert_never(fact)

    def media_lost(self) -> None:
        """Finish all recordings in progress, because the media process stopped."""
        for recording in list(self._in_progress):
            del self._in_progress[recording]
            closed = tap_messages.TapClosed(
                recording=recording, frames=0, first_loud=None, last_loud=None, error="the media process was restarted"
            )
            self._start_finishing(recording, False, closed)

    def report_earlier(self, recording: RecordingSid) -> None:
        """Post the end of a recording of an earlier run, with the duration of its file."""
        path = self.path(recording)
        seconds = 0.0 if path is None else _seconds(path)
        self._events.post(CaptureEnded(recording=recording, duration_s=seconds, error="" if seconds else "it was lost"))

    def path(self, recording: RecordingSid) -> Path | None:
        """Return the WAV file of a recording, or None."""
        path = self._folder / f"{recording}.wav"
        return path if is_sid(recording, "RE") and path.is_file() else None

    async def drained(self, *, timeout_s: float) -> bool:
        """Wait until every file is finished, at most `timeout_s` seconds; return whether all are."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    # --- within -------------------------------------------------------------------------------------------

    def _part(self, recording: RecordingSid) -> Path:
        return self._folder / f"{recording}.part"

    def _start_finishing(self, recording: RecordingSid, trim: bool, closed: tap_messages.TapClosed) -> None:
        self._finishing.add(recording)
        self._tasks.create_task(self._finish(recording, trim, closed), name=f"finish {recording}")

    async def _finish(self, recording: RecordingSid, trim: bool, closed: tap_messages.TapClosed) -> None:
        """Finish a file, and post its duration."""
        error = closed.error
        first, end = 0, None
        if trim and not error:
            first, end = _trimmed_frames(closed)
        try:
            seconds = await asyncio.to_thread(finish_file, self._part(recording), first_frame=first, end_frame=end)
        except OSError as failure:
            seconds = 0.0
            error = error or failure.strerror or str(failure)
        if error:
            log.error("recording=%s: %s", recording, error)
        self._finishing.discard(recording)
        self._events.post(CaptureEnded(recording=recording, duration_s=seconds, error=error))
        if not self._finishing and not self._in_progress:
            self._idle.set()

    async def _erase(self, recording: RecordingSid) -> None:
        if (path := self.path(recording)) is not None:
            try:
                await asyncio.to_thread(path.unlink)
            except OSError as error:
                log.error("recording=%s cannot be deleted: %s", recording, error)


def _trimmed_frames(closed: tap_messages.TapClosed) -> tuple[int, int]:
    """Return the first frame and the end frame after the silence at both ends is trimmed."""
    if closed.first_loud is None or closed.last_loud is None:
        return 0, 0
    return max(0, closed.first_loud - MARGIN_FRAMES), min(closed.frames, closed.last_loud + 1 + MARGIN_FRAMES)


def finish_file(part: Path, *, first_frame: int = 0, end_frame: int | None = None) -> float:
    """Finish a part as a WAV file that contains these frames only, in place, and return its duration.

    A recording that is too short leaves no file, and has 0 s. Units: seconds; frames of 20 ms. Raises: OSError.
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
    for done in range(0, size, _MOVE_BYTES):
        data = os.pread(file, min(_MOVE_BYTES, size - done), from_ + done)
        while data:
            written = os.pwrite(file, data, to + done)
            data, done = data[written:], done + written


def _seconds(path: Path) -> float:
    """Return the duration of a WAV file of this engine; 0 for any other file. Units: seconds."""
    try:
        with path.open("rb") as file:
            channels = read_channels(file.read(HEADER_BYTES))
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return 0.0
    return 0.0 if channels is None else (size - HEADER_BYTES) / (channels * SAMPLE_BYTES * RATE_HZ)


def _recover(folder: Path) -> list[RecordingSid]:
    """Create the folder, private to its owner, and finish every part in it. Raises: OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    recovered = []
    for part in sorted(folder.glob("RE*.part")):
        try:
            if finish_file(part):
                recovered.append(RecordingSid(part.stem))
        except OSError as error:
            log.error("recording=%s cannot be recovered: %s", part.stem, error)
    return recovered
