"""Every file format becomes the same telephone audio."""

import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from holdfast.voice.media.codec import g711
from holdfast.voice.runtime.http.content_sniffing import file_extension
from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.decode import decode_audio
from holdfast.voice.runtime.sounds.sound import DecodedAudio
from tests.unit.voice.runtime.sounds.files import file_of, tone
from tests.unit.voice.runtime.sounds.odd_files import ODD_FILES

LONGEST_S = 60.0


def hertz(sound: DecodedAudio) -> int:
    samples: NDArray[np.float64] = g711.decode(sound.audio).astype(np.float64)[400:-400]
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8000))
    return int(np.argmax(spectrum))


@pytest.mark.parametrize(
    ("kind", "subtype", "rate", "said", "expected"),
    [
        ("WAV", "PCM_16", 44_100, "", "wav"),
        ("WAV", "PCM_U8", 11_025, "", "wav"),
        ("WAV", "PCM_24", 96_000, "", "wav"),
        ("WAV", "FLOAT", 48_000, "", "wav"),
        ("WAV", "ULAW", 8_000, "", "wav"),
        ("WAV", "ALAW", 8_000, "", "wav"),
        ("WAV", "GSM610", 8_000, "", "wav"),
        ("MP3", "MPEG_LAYER_III", 44_100, "", "mp3"),
        ("MP3", "MPEG_LAYER_III", 16_000, "", "mp3"),
        ("FLAC", "PCM_16", 32_000, "", "flac"),
        ("OGG", "VORBIS", 44_100, "", "ogg"),
        ("OGG", "OPUS", 48_000, "", "ogg"),
        ("AIFF", "PCM_16", 22_050, "", "aiff"),
        ("AU", "ULAW", 8_000, "", "au"),
        ("RAW", "GSM610", 8_000, "audio/x-gsm", "gsm"),
        ("RAW", "ULAW", 8_000, "audio/ulaw", "ulaw"),
    ],
)
def test_a_tone_keeps_its_frequency_and_level(kind: str, subtype: str, rate: int, said: str, expected: str) -> None:
    body = file_of(tone(rate=rate), rate=rate, kind=kind, subtype=subtype)

    sound = decode_audio(body, file_extension(said, "http://a/sound"), max_duration_s=LONGEST_S)

    assert sound.format == expected
    assert sound.seconds == pytest.approx(1.0, abs=0.1)
    assert hertz(sound) == pytest.approx(1000, abs=3)
    assert sound.level_db == pytest.approx(-13.5, abs=2.5)


@pytest.mark.parametrize(("kind", "subtype"), [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("WAV", "PCM_16")])
def test_a_long_sound_has_no_seams_between_the_blocks_it_is_read_in(kind: str, subtype: str) -> None:
    body = file_of(tone(seconds=5.0), rate=44_100, kind=kind, subtype=subtype)

    sound = decode_audio(body, "", max_duration_s=LONGEST_S)

    samples = g711.decode(sound.audio).astype(np.float64)
    windows = samples[800 : len(samples) // 160 * 160 - 800].reshape(-1, 160)
    levels = np.sqrt(np.mean(windows**2, axis=1))
    assert levels.min() > 0.97 * levels.max()


def test_all_channels_are_heard() -> None:
    body = file_of(np.stack([tone(hz=700), np.zeros(44_100)], axis=1), rate=44_100, kind="WAV")

    sound = decode_audio(body, "wav", max_duration_s=LONGEST_S)

    assert hertz(sound) == pytest.approx(700, abs=3)
    assert sound.level_db == pytest.approx(-13.5 - 6, abs=0.5)


def test_a_loud_sound_is_attenuated_and_a_soft_one_stays() -> None:
    loud = decode_audio(file_of(tone(level=0.99), rate=44_100, kind="WAV"), "wav", max_duration_s=LONGEST_S)
    soft = decode_audio(file_of(tone(level=0.01), rate=44_100, kind="WAV"), "wav", max_duration_s=LONGEST_S)

    assert loud.peak_db == pytest.approx(-3, abs=0.01)
    assert soft.peak_db == pytest.approx(-40, abs=0.3)


def test_frequencies_above_the_telephone_band_are_filtered_and_not_aliased() -> None:
    sound = decode_audio(file_of(tone(hz=6000), rate=44_100, kind="WAV"), "wav", max_duration_s=LONGEST_S)

    assert sound.level_db < -60


def test_a_truncated_file_is_played_as_far_as_possible() -> None:
    body = file_of(tone(seconds=2.0), rate=44_100, kind="WAV")

    sound = decode_audio(body[: len(body) // 2], "wav", max_duration_s=LONGEST_S)

    assert sound.seconds == pytest.approx(1.0, abs=0.05)
    assert hertz(sound) == pytest.approx(1000, abs=3)


def test_samples_that_are_no_numbers_are_silenced() -> None:
    samples = tone(rate=8000)
    samples[100:200] = np.nan
    samples[200:300] = np.inf
    body = file_of(samples, rate=8000, kind="WAV", subtype="FLOAT")

    sound = decode_audio(body, "wav", max_duration_s=LONGEST_S)

    assert sound.peak_db <= -2.9
    assert np.isfinite(sound.level_db)


@pytest.mark.parametrize(("kind", "rate"), [("FLAC", 8000), ("WAV", 8000)])
def test_a_sound_longer_than_the_limit(kind: str, rate: int) -> None:
    body = file_of(np.zeros(rate * 3), rate=rate, kind=kind)

    with pytest.raises(SoundUnplayable, match="longer than"):
        decode_audio(body, "flac" if kind == "FLAC" else "wav", max_duration_s=2.0)


def test_raw_sound_longer_than_the_limit() -> None:
    with pytest.raises(SoundUnplayable, match="longer than"):
        decode_audio(bytes(8001), "ulaw", max_duration_s=1.0)


def wav_header(*, channels: int, rate: int) -> bytes:
    fmt = struct.pack("<HHIIHH", 1, channels, rate, rate * channels * 2, channels * 2, 16)
    data = bytes(channels * 2 * 10)
    chunks = b"fmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


@pytest.mark.parametrize(("channels", "rate"), [(33, 8000), (1000, 8000), (1, 1), (1, 2_000_000_000)])
def test_a_header_with_invalid_values_is_refused(channels: int, rate: int) -> None:
    with pytest.raises(SoundUnplayable):
        decode_audio(wav_header(channels=channels, rate=rate), "wav", max_duration_s=LONGEST_S)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "ulaw"),
        (b"ID3" + bytes(500), "mp3"),
        (b"RIFF\x00\x00\x00\x00WAVE" + b"x" * 100, "wav"),
        (b"\xff\xfb\x90\x00" + b"<html>" * 50, "mp3"),
        (b"OggS" + bytes(100), "ogg"),
        (b"fLaC" + bytes(100), "flac"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1/a.ts\n", "m3u8"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "ffconcat"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n", "sdp"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "png"),
        (b"<Response/>" * 100, "ulaw"),
        (random.Random(1).randbytes(100_000), ""),
        (file_of(np.zeros(0), rate=8000, kind="WAV"), "wav"),
    ],
)
def test_a_file_without_audio_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(SoundUnplayable) as refusal:
        decode_audio(body, kind, max_duration_s=LONGEST_S)
    assert refusal.value.code == 13420


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(0, 200), junk=st.binary(min_size=1, max_size=60), kind=st.sampled_from(["WAV", "FLAC", "AIFF"])
)
def test_a_damaged_file_is_decoded_or_refused(start: int, junk: bytes, kind: str) -> None:
    body = bytearray(file_of(tone(rate=8000, seconds=0.2), rate=8000, kind=kind))
    body[start : start + len(junk)] = junk
    try:
        sound = decode_audio(bytes(body), kind.lower(), max_duration_s=LONGEST_S)
    except SoundUnplayable:
        return
    assert sound.seconds <= LONGEST_S


@pytest.mark.parametrize("name", ODD_FILES)
def test_an_odd_file_is_played_whole_and_at_its_level(name: str) -> None:
    body, extension = ODD_FILES[name]

    sound = decode_audio(body, extension, max_duration_s=LONGEST_S)

    assert (
        0.9 < sound.seconds < 1.16
    )  # The padding of an MP3 encoder stays if the frame that counts it is not the first.
    assert hertz(sound) == pytest.approx(1000, abs=3)
    assert sound.level_db == pytest.approx(-13.5, abs=1.5)


def test_mp3_of_free_format_is_played_although_ffmpeg_cannot() -> None:
    frame = b"\xff\xfb\x00\xc4" + bytes(300)

    sound = decode_audio(frame * 40, "mp3", max_duration_s=LONGEST_S)

    assert sound.format == "mp3"
    assert sound.seconds == pytest.approx(40 * 1152 / 44_100, abs=0.06)


def test_a_rate_that_changes_within_a_file_keeps_the_pitch() -> None:
    halves = [file_of(tone(rate=rate), rate=rate, kind="MP3") for rate in (44_100, 16_000)]

    sound = decode_audio(b"".join(halves), "mp3", max_duration_s=LONGEST_S)

    assert sound.seconds == pytest.approx(2.0, abs=0.2)
    assert hertz(sound) == pytest.approx(1000, abs=3)
