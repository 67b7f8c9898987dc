"""What ffmpeg plays, we play: as long and as loud, for more than a hundred odd files that ffmpeg and sox make."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from holdfast.voice.runtime.http.content_sniffing import file_extension
from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.decode import PEAK, decode_audio
from tests.interop.sound_files import ALTERED, BY_FFMPEG, BY_SOX, make_files, run

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]

NAMES = (*BY_FFMPEG, *BY_SOX, *ALTERED)
DIFFERENT = ("a.ul", "a.al", "a.vox", "a.htk")
"""The files that are played as sox plays them and ffmpeg does not: docs/sounds.md gives the reasons."""
PAGE = (Path(__file__).parents[2] / "docs/sounds.md").read_text("utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the files, which are made once."""
    folder = tmp_path_factory.mktemp("sounds")
    make_files(folder)
    return folder


def by_ffmpeg(path: Path) -> bytes:
    options = ("-vn", "-ar", "8000", "-ac", "1", "-f", "s16le")
    return run("ffmpeg", "-v", "quiet", "-i", str(path), *options, "-", check=False)


def by_sox(path: Path) -> bytes:
    return run("sox", str(path), "-r", "8000", "-b", "16", "-e", "signed-integer", "-c", "1", "-t", "raw", "-")


def measured(path: Path, play: Callable[[Path], bytes]) -> tuple[float, float]:
    """Return how long and how loud another program plays a file, with our headroom. Units: seconds and dB."""
    output = play(path)
    samples = np.frombuffer(output[: len(output) // 2 * 2], "<i2") / 32768
    if not len(samples):
        return 0.0, -96.0
    attenuation = max(1.0, float(np.max(np.abs(samples))) / PEAK)
    level = float(np.sqrt(np.mean(samples**2))) / attenuation
    return len(samples) / 8000, 20 * np.log10(max(level, 10 ** (-96 / 20)))


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_played_as_long_and_as_loud_as_others_play_it(folder: Path, name: str) -> None:
    path = folder / name
    seconds, level_db = measured(path, by_sox if name in DIFFERENT else by_ffmpeg)

    if not seconds:
        with pytest.raises(SoundUnplayable):
            decode_audio(path.read_bytes(), extension_of(name), max_duration_s=60.0)
        return
    sound = decode_audio(path.read_bytes(), extension_of(name), max_duration_s=60.0)

    assert sound.seconds == pytest.approx(seconds, abs=0.05)
    assert sound.level_db == pytest.approx(level_db, abs=0.5)


@pytest.mark.parametrize("name", DIFFERENT)
def test_ffmpeg_does_not_play_the_files_that_differ(folder: Path, name: str) -> None:
    assert measured(folder / name, by_ffmpeg)[0] < 0.5


def test_at_most_five_files_differ_and_the_page_names_each() -> None:
    assert len(NAMES) > 100
    assert re.findall(r"^\| `(.+?)` \|", PAGE, re.MULTILINE) == [Path(name).suffix for name in DIFFERENT]
    assert len(DIFFERENT) <= 5


def extension_of(name: str) -> str:
    return file_extension("application/octet-stream", f"http://a/{name.replace(' ', '%20')}")
