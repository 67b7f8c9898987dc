"""Tell documents from audio by their bytes, and name the audio format that a content type or a URL means.

Source: Twilio, TwiML <Play>, the list of MIME types; the file extensions that other players know.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import urlsplit

FORMAT_OF_TYPE = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/x-mpeg": "mp3",
    "audio/x-mp3": "mp3",
    "audio/wav": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
    "audio/vnd.wave": "wav",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/ogg": "ogg",
    "application/ogg": "ogg",
    "audio/opus": "ogg",
    "audio/aiff": "aiff",
    "audio/x-aiff": "aiff",
    "audio/x-aifc": "aiff",
    "audio/basic": "au",
    "audio/aac": "aac",
    "audio/aacp": "aac",
    "audio/x-aac": "aac",
    "audio/mp4": "mp4",
    "audio/m4a": "mp4",
    "audio/x-m4a": "mp4",
    "video/mp4": "mp4",
    "audio/3gpp": "mp4",
    "audio/amr": "amr",
    "audio/amr-wb": "amr",
    "audio/webm": "webm",
    "video/webm": "webm",
    "audio/x-caf": "caf",
    "audio/x-ms-wma": "asf",
    "audio/gsm": "gsm",
    "audio/x-gsm": "gsm",
    "audio/g722": "g722",
    "audio/ulaw": "ulaw",
    "audio/x-mulaw": "ulaw",
    "audio/pcmu": "ulaw",
    "audio/alaw": "alaw",
    "audio/x-alaw-basic": "alaw",
    "audio/pcma": "alaw",
}
"""The format that a content type means. The headerless ones are known by it, or by the extension of the URL, alone."""
HEADERLESS = {"ulaw": "ulaw", "ul": "ulaw", "mulaw": "ulaw", "alaw": "alaw", "al": "alaw", "sln": "sln", "vox": "vox"}
"""The format that a file extension means, if it is not spelled as the format."""
GENERIC_TYPES = ("", "application/octet-stream", "binary/octet-stream", "application/x-download")
"""Content types that do not say what the bytes are."""
CONTROLS = bytes({*range(0x20), 0x7F} - set(b"\t\n\f\r\x1b"))
CONTROLS_SHARE = 0.01
SAMPLE_BYTES = 4096
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")
"""The first bytes of a document in UTF-16."""


def may_be_audio(content_type: str) -> bool:
    """Return whether a response of this content type may be audio, and not a document."""
    return content_type.startswith("audio/") or content_type in FORMAT_OF_TYPE or content_type in GENERIC_TYPES


def is_markup(body: bytes) -> bool:
    """Return whether the bytes begin as XML or HTML does."""
    return body[:512].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def is_binary(body: bytes) -> bool:
    """Return whether the beginning, the middle or the end cannot be text: one byte in a hundred is a control."""
    middle = len(body) // 2
    samples = (body[:SAMPLE_BYTES], body[middle : middle + SAMPLE_BYTES], body[-SAMPLE_BYTES:])
    shares = (len(sample) - len(sample.translate(None, CONTROLS)) > CONTROLS_SHARE * len(sample) for sample in samples)
    return any(shares) and not body.startswith(UTF16_MARKS)


def file_extension(content_type: str, url: str) -> str:
    """Return the file extension that fits a response, by its content type or else by its URL; or an empty text."""
    declared = FORMAT_OF_TYPE.get(content_type)
    if declared is not None:
        return "ulaw" if declared == "au" else declared
    suffix = PurePosixPath(urlsplit(url).path).suffix[1:].lower()
    return HEADERLESS.get(suffix, suffix) if suffix.isalnum() and len(suffix) <= 8 else ""
