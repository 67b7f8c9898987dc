"""Audio formats are recognized by their bytes, whatever the content type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.runtime.http.content_sniffing import (
    AudioFormat,
    audio_format,
    is_markup,
    may_be_audio,
    recognized_format,
)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "wav"),
        (b"RF64\xff\xff\xff\xffWAVEds64", "wav"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", None),
        (b"FORM\x00\x00\x00\x00AIFFCOMM", "aiff"),
        (b"FORM\x00\x00\x00\x00AIFCCOMM", "aiff"),
        (b"fLaC\x00\x00\x00\x22", "flac"),
        (b"OggS\x00\x02", "ogg"),
        (b".snd\x00\x00\x00\x18", "au"),
        (b"ID3\x04\x00", "mp3"),
        (b"\xff\xfb\x90\x00", "mp3"),
        (b"\xff\xf3\x40\xc4", "mp3"),
        (b"\xff\xeb\x90\x00", None),
        (b"\xff\xf9\x90\x00", None),
        (b"\xff\xfb\xf0\x00", None),
        (b"\xff\xfb\x9c\x00", None),
        (b"\xff\xff", None),
        (b"<html>", None),
        (b"", None),
    ],
)
def test_signatures(body: bytes, kind: AudioFormat | None) -> None:
    assert recognized_format(body) == kind


@pytest.mark.parametrize(
    ("body", "said", "kind"),
    [
        (b"\xd0" + bytes(32), "audio/x-gsm", "gsm"),
        (b"\xd0" + bytes(31), "audio/x-gsm", None),
        (bytes(33), "audio/gsm", None),
        (bytes(160), "audio/ulaw", "ulaw"),
        (bytes(160), "audio/basic", "ulaw"),
        (b"<html>", "audio/ulaw", None),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", "audio/mpeg", "wav"),
        (b"no sound", "audio/mpeg", None),
        (b"no sound", "", None),
    ],
)
def test_the_content_type_counts_only_for_formats_without_a_signature(
    body: bytes, said: str, kind: AudioFormat | None
) -> None:
    assert audio_format(body, said) == kind


@pytest.mark.parametrize(
    "said", ["audio/mpeg", "audio/x-unheard-of", "application/ogg", "application/octet-stream", ""]
)
def test_content_types_that_may_be_audio(said: str) -> None:
    assert may_be_audio(said)


@pytest.mark.parametrize("said", ["text/xml", "text/html", "application/json", "image/png"])
def test_content_types_that_are_not_audio(said: str) -> None:
    assert not may_be_audio(said)


@pytest.mark.parametrize("body", [b"<a/>", b" \r\n<a/>", b"\xef\xbb\xbf<?xml"])
def test_markup(body: bytes) -> None:
    assert is_markup(body)


@given(st.binary(max_size=64), st.text(max_size=20))
def test_any_bytes_can_be_examined(body: bytes, said: str) -> None:
    assert not (is_markup(body) and audio_format(body, said))
