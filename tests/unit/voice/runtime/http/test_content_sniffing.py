"""Documents and audio are told apart by their bytes, and a format without a header by its content type or URL."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.runtime.http.content_sniffing import file_extension, is_binary, is_markup, may_be_audio
from tests.unit.voice.runtime.sounds.files import file_of, tone

MP3 = file_of(tone(), rate=44_100, kind="MP3")
SILENT_WAV = file_of(np.zeros(8000), rate=8000, kind="WAV")
PAGE = b"<br />\n<b>Warning</b>: include(x.php): failed to open stream in music.php on line 3<br />\n"


@pytest.mark.parametrize(
    "body",
    [
        MP3,
        SILENT_WAV,
        file_of(tone(rate=8000), rate=8000, kind="WAV", subtype="ULAW"),
        file_of(tone(), rate=44_100, kind="FLAC"),
        file_of(tone(), rate=44_100, kind="OGG", subtype="VORBIS"),
        file_of(tone(rate=8000), rate=8000, kind="AIFF"),
        bytes(4096) + MP3,
        b"\r\n" + MP3,
        b"\xef\xbb\xbf" + MP3,
        PAGE * 20 + MP3,
        b" " * 3_000_000 + MP3,
    ],
)
def test_audio_is_binary_whatever_stands_before_it(body: bytes) -> None:
    assert is_binary(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no sound at all",
        PAGE * 1000,
        '{"näme": 1}\n'.encode() * 300,
        "caf\xe9\r\n\ttea".encode("latin-1"),
        b"<Response/>" + bytes([7]) + b" " * 200,
        '<?xml version="1.0" encoding="utf-16"?><Response/>'.encode("utf-16"),
        "<Response/>".encode("utf-16-le"),
        "<Response/>".encode("utf-16-be"),
        b"\x1b[1mcoloured\x1b[0m",
    ],
)
def test_text_is_not_binary(body: bytes) -> None:
    assert not is_binary(body)


@pytest.mark.parametrize(
    ("said", "url", "extension"),
    [
        ("audio/x-gsm", "http://a/b", "gsm"),
        ("audio/gsm", "http://a/b.mp3", "gsm"),
        ("audio/ulaw", "http://a/b", "ulaw"),
        ("audio/basic", "http://a/b", "ulaw"),
        ("audio/pcma", "http://a/b", "alaw"),
        ("audio/mpeg", "http://a/b.wav", "mp3"),
        ("application/octet-stream", "http://a/b.WAV?x=y.mp3", "wav"),
        ("", "https://a/c.d/b.ul", "ulaw"),
        ("text/plain", "http://a/b.al", "alaw"),
        ("audio/x-unheard-of", "http://a/b.vox", "vox"),
        ("", "http://a/music", ""),
        ("", "http://a/", ""),
        ("", "http://a/b.averylongextension", ""),
        ("", "http://a/b.m%2fp", ""),
    ],
)
def test_the_extension_is_that_of_the_content_type_or_of_the_url(said: str, url: str, extension: str) -> None:
    assert file_extension(said, url) == extension


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


@given(st.binary(max_size=64), st.text(max_size=20), st.text(max_size=20))
def test_any_bytes_can_be_examined(body: bytes, said: str, path: str) -> None:
    assert is_binary(body) in (True, False)
    extension = file_extension(said, f"http://a/{path}")
    assert extension == "" or extension.isalnum()
