"""Convert stored recordings to MP3, and two channels to one."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile

from holdfast.voice.runtime.http.errors import SoundUnplayable

_BLOCK = 8000 * 60


def as_mp3(path: Path, *, mixed: bool = False) -> bytes:
    """Convert a WAV file to MP3. Raises: SoundUnplayable, if the installed library cannot write MP3; OSError."""
    try:
        return _encode(path, kind="MP3", subtype="MPEG_LAYER_III", mixed=mixed)
    except (soundfile.SoundFileError, ValueError) as error:
        raise SoundUnplayable(f"MP3 cannot be written here: {error}") from error


def as_one_channel(path: Path) -> bytes:
    """Convert a WAV file of two channels to one channel, their mean. Raises: OSError."""
    return _encode(path, kind="WAV", subtype="PCM_16", mixed=True)


def _encode(path: Path, *, kind: str, subtype: str, mixed: bool) -> bytes:
    encoded = io.BytesIO()
    with soundfile.SoundFile(path) as file:
        channels = 1 if mixed else file.channels
        with soundfile.SoundFile(
            encoded, "w", samplerate=file.samplerate, channels=channels, format=kind, subtype=subtype
        ) as out:
            for block in file.blocks(_BLOCK, dtype="float32", always_2d=True):
                out.write(np.mean(block, axis=1, keepdims=True) if mixed else block)
    return encoded.getvalue()
