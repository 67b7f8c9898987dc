"""Sound files to decode, made in memory."""

import io

import numpy as np
import soundfile
from numpy.typing import NDArray


def tone(*, hz: float = 1000.0, rate: int = 44_100, seconds: float = 1.0, level: float = 0.3) -> NDArray[np.float64]:
    return level * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


def file_of(samples: NDArray[np.float64], *, rate: int, kind: str, subtype: str | None = None) -> bytes:
    """Return a sound file, written in blocks: an encoder crashes on too much at once."""
    buffer = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(buffer, "w", rate, channels, format=kind, subtype=subtype) as file:
        for start in range(0, len(samples), 4000):
            file.write(samples[start : start + 4000])
    return buffer.getvalue()
