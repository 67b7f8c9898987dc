"""Recordings in other forms than the one they are kept in: MP3, and both channels in one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile

from holdfast.voice.runtime.http.errors import SoundUnplayable

_BLOCK = 8000 * 60


def as_mp3(path: Path, *, mixed: bool = False) -> bytes:
    """A WAV file as MP3. Raises: SoundUnplayable, where the library at hand cannot write it; OSError."""
    try:
        return _encoded(path, kind="MP3", subtype="MPEG_LAYER_III", mixed=mixed)
    except (soundfile.SoundFileError, ValueError) as error:
        raise SoundUnplayable(f"MP3 cannot be written here: {error}") from error


def as_one_channel(path: Path) -> bytes:
    """A WAV file of two channels as one of one, their mean."""
    return _encoded(path, kind="WAV", subtype="PCM_16", mixed=True)


def _encoded(path: Path, *, kind: str, subtype: str, mixed: bool) -> bytes:
    made = io.BytesIO()
    with soundfile.SoundFile(path) as file:
        channels = 1 if mixed else file.channels
        with soundfile.SoundFile(
            made, "w", samplerate=file.samplerate, channels=channels, format=kind, subtype=subtype
        ) as out:
            for block in file.blocks(_BLOCK, dtype="float32", always_2d=True):
                out.write(np.mean(block, axis=1, keepdims=True) if mixed else block)
    return made.getvalue()
