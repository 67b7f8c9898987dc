"""Which kind of sound some bytes are, whatever their sender calls them.

Source: the formats' own signatures; Twilio, TwiML <Play>, the list of MIME types.
"""

from __future__ import annotations

from typing import Literal

AudioFormat = Literal["wav", "mp3", "flac", "ogg", "aiff", "au", "gsm", "ulaw"]
"""`gsm` and `ulaw` are without any header, so that only the sender's word tells them."""

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
"""Types that leave open what the bytes are."""

GSM_FRAME = 33


def may_be_audio(content_type: str) -> bool:
    """Whether an answer of this type is to be looked at as a sound, not as a document."""
    return content_type.startswith("audio/") or content_type in FORMAT_OF_TYPE or content_type in GENERIC_TYPES


def is_markup(body: bytes) -> bool:
    """Whether the bytes begin as XML or HTML do."""
    return body[:512].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def recognized_format(body: bytes) -> AudioFormat | None:
    """The kind of sound that the bytes themselves show."""
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
    """What the bytes are: what they show, else what the sender says of sounds that carry no signature."""
    if (shown := recognized_format(body)) is not None:
        return shown
    said = FORMAT_OF_TYPE.get(content_type)
    if said == "gsm" and len(body) >= GSM_FRAME and body[0] >> 4 == 0xD:
        return "gsm"
    if said in ("ulaw", "au") and not is_markup(body):
        return "ulaw"
    return None


def _is_mpeg_frame(body: bytes) -> bool:
    """Whether the bytes begin with an MPEG audio frame header without reserved values. Source: ISO 11172-3 §2.4.1.3."""
    if len(body) < 4 or body[0] != 0xFF or body[1] & 0xE0 != 0xE0:
        return False
    version, layer = body[1] >> 3 & 3, body[1] >> 1 & 3
    bitrate, rate = body[2] >> 4, body[2] >> 2 & 3
    return version != 1 and layer != 0 and bitrate != 15 and rate != 3
