"""Recordings in the media process: commands of control, and the way of the audio from the tick to a file.

The tick never touches a file: blocks go by a bounded queue to a thread that does nothing but write.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO, assert_never

from holdfast.voice.media.codec.wav import wav_header
from holdfast.voice.media.frames import Bytes, Numbers
from holdfast.voice.media.mix.recording_taps import (
    Channels,
    Length,
    RecordingTaps,
    TapSource,
)
from holdfast.voice.media_process.control_link.recording_messages import (
    CloseTap,
    OpenTap,
    TapClosed,
    TapCommand,
    TapFact,
    TapQuiet,
)
from holdfast.voice.media_process.legs.seating import Seating
from holdfast.voice.model.effects import CaptureChannels, ChangeCapture

MAX_UNWRITTEN = 4000
"""Blocks that may wait for a slow disk, half a second of one recording each, before recordings fail."""


class Recorders:
    """Recorders hold all recordings of the process. They call `post` from the tick's own thread only."""

    def __init__(self, post: Callable[[TapFact], None], seating: Seating) -> None:
        self._post = post
        self._seating = seating
        self._taps: RecordingTaps[str] = RecordingTaps()
        self._voices: dict[str, CaptureChannels] = {}
        self._lengths: dict[str, Length] = {}
        self._writer: Writer | None = None

    @property
    def in_use(self) -> bool:
        """Whether a tick has anything to record."""
        return bool(self._voices or self._lengths)

    def handle(self, command: TapCommand) -> None:
        """Handle a command of control. The recording it names may just have ended."""
        name = command.recording
        match command:
            case OpenTap(voices=voices):
                if name in self._voices or name in self._lengths:
                    return
                self._writer = self._writer or Writer()
                self._voices[name] = voices
                self._taps.open(name, self._channels(voices), quiet_frames=round(command.quiet_s * 50))
                self._writer.open(name, Path(command.path), channels=len(voices))
            case ChangeCapture(mode=mode):
                if name in self._voices:
                    self._taps.set_mode(name, mode)
            case CloseTap():
                if name in self._voices:
                    self._close(name)
                elif name not in self._lengths:
                    self._post(_closed(name, Length(frames=0, first_loud=None, last_loud=None), "no such recording"))
            case _:
                assert_never(command)

    def rows_changed(self) -> None:
        """Update the sources of all recordings after legs were opened or closed, or seats changed."""
        for name, voices in self._voices.items():
            self._taps.set_channels(name, self._channels(voices))

    def tick(self, frames: Bytes, tx: Bytes, companding: Numbers, *, skipped: int) -> None:
        """Capture one frame of every recording, and pass on the blocks that are ready.

        Shape: as `RecordingTaps.tick`.
        """
        for name in self._taps.tick(frames, tx, companding, skipped=skipped):
            self._post(TapQuiet(recording=name))
        self._write()
        assert self._writer is not None
        while not self._writer.done.empty():
            name, error = self._writer.done.get()
            if error and name in self._voices:
                self._close(name)
            if (length := self._lengths.pop(name, None)) is not None:
                self._post(_closed(name, length, error))

    def end_all(self) -> None:
        """End every recording and post each end."""
        for name in list(self._voices):
            self._close(name)

    def close(self) -> None:
        """End every recording, and wait a moment until the last block is written."""
        self.end_all()
        if self._writer is not None:
            self._writer.end()

    def _close(self, name: str) -> None:
        self._lengths[name] = self._taps.close(name)
        del self._voices[name]
        self._write()
        assert self._writer is not None
        self._writer.close(name)

    def _channels(self, voices: CaptureChannels) -> Channels:
        """Return the rows of each channel. A leg that is not open is silent."""
        return tuple(
            tuple(
                TapSource(row=row, is_tx=side == "hears")
                for name, side in channel
                for row in self._seating.rows_saying(name)
            )
            for channel in voices
        )

    def _write(self) -> None:
        assert self._writer is not None
        for name, block in self._taps.take_blocks():
            self._writer.write(name, block)


def _closed(name: str, length: Length, error: str) -> TapClosed:
    return TapClosed(
        recording=name,
        frames=length.frames,
        first_loud=length.first_loud,
        last_loud=length.last_loud,
        error=error,
    )


class Writer:
    """The writer is a thread that writes files and does nothing else.

    A file that fails is closed and reported in `done`.
    """

    def __init__(self, unwritten: int = MAX_UNWRITTEN) -> None:
        self.done: SimpleQueue[tuple[str, str]] = SimpleQueue()
        """The files that are closed, each with its error or an empty string."""
        self._unwritten = unwritten
        self._queue: SimpleQueue[tuple[str, Path | bytes | None, int] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
        self._thread.start()

    def open(self, name: str, path: Path, *, channels: int) -> None:
        """Begin a file that must not exist yet."""
        self._queue.put((name, path, channels))

    def write(self, name: str, block: bytes) -> None:
        """Append a block to a file. When the disk is too slow for all recordings, the block fails."""
        if self._queue.qsize() >= self._unwritten:
            self.done.put((name, "the disk is too slow"))
        else:
            self._queue.put((name, block, 0))

    def close(self, name: str) -> None:
        """Close a file."""
        self._queue.put((name, None, 0))

    def end(self, *, timeout_s: float = 2.0) -> None:
        """Write the blocks that wait, then stop."""
        self._queue.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        files: dict[str, BinaryIO] = {}
        while (item := self._queue.get()) is not None:
            name, payload, channels = item
            try:
                match payload:
                    case Path():
                        files[name] = _create_private(payload)
                        _write_all(files[name], wav_header(channels=channels, data_bytes=0))
                    case bytes():
                        if name in files:
                            _write_all(files[name], payload)
                    case None:
                        if name in files:
                            files.pop(name).close()
                            self.done.put((name, ""))
                    case _:
                        assert_never(payload)
            except OSError as error:
                if name in files:
                    files.pop(name).close()
                self.done.put((name, error.strerror or str(error)))
        for file in files.values():
            file.close()


def _create_private(path: Path) -> BinaryIO:
    """Create a file that only its owner can read, whatever the umask. Raises: OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0)


def _write_all(file: BinaryIO, data: bytes) -> None:
    """Write all data: an unbuffered file may take less at a time. Raises: OSError."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
