"""Recognize the audio format of a file from its bytes, whatever content type its server sends.

Source: the formats' own signatures; Twilio, TwiML <Play>, the list of MIME types.
"""

from __future__ import annotations

from typing import Literal

AudioFormat = Literal["wav", "mp3", "flac", "ogg", "aiff", "au", "gsm", "ulaw"]
"""The formats that can be decoded. `gsm` and `ulaw` have no header: only the content type names them."""

FORMAT_OF_TYPE: dict[str, AudioFormat] = {
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
    "audio/gsm": "gsm",
    "audio/x-gsm": "gsm",
    "audio/ulaw": "ulaw",
    "audio/x-mulaw": "ulaw",
    "audio/pcmu": "ulaw",
}
GENERIC_TYPES = ("", "application/octet-stream", "binary/octet-stream", "application/x-download")
"""Content types that do not say what the bytes are."""

GSM_FRAME = 33


def may_be_audio(content_type: str) -> bool:
    """Return whether a response of this content type may be audio, and not a document."""
    return content_type.startswith("audio/") or content_type in FORMAT_OF_TYPE or content_type in GENERIC_TYPES


def is_markup(body: bytes) -> bool:
    """Return whether the bytes begin as XML or HTML does."""
    return body[:512].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def recognized_format(body: bytes) -> AudioFormat | None:
    """Return the audio format that the bytes themselves show, or None."""
    head = body[:12]
    if head[:4] in (b"RIFF", b"RF64", b"RIFX") and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return "aiff"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    if head[:4] == b".snd":
        return "au"
    if head[:3] == b"ID3" or _is_mpeg_frame(body):
        return "mp3"
    return None


def audio_format(body: bytes, content_type: str) -> AudioFormat | None:
    """Return the audio format of the bytes, by content type for formats without a signature, or None."""
    if (shown := recognized_format(body)) is not None:
        return shown
    declared = FORMAT_OF_TYPE.get(content_type)
    if declared == "gsm" and len(body) >= GSM_FRAME and body[0] >> 4 == 0xD:
        return "gsm"
    if declared in ("ulaw", "au") and not is_markup(body):
        return "ulaw"
    return None


def _is_mpeg_frame(body: bytes) -> bool:
    """Return whether the bytes begin with a valid MPEG audio frame header. Source: ISO 11172-3 §2.4.1.3."""
    if len(body) < 4 or body[0] != 0xFF or body[1] & 0xE0 != 0xE0:
        return False
    version, layer = body[1] >> 3 & 3, body[1] >> 1 & 3
    bitrate, rate = body[2] >> 4, body[2] >> 2 & 3
    return version != 1 and layer != 0 and bitrate != 15 and rate != 3
