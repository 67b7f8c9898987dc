"""Read the bodies of messages: session descriptions, digits, and bodies that we do not support.

Source: RFC 3261 §7.4, §20.11, §20.15; RFC 5621 for multipart bodies.
"""

from __future__ import annotations

import re

from holdfast.voice.sip.effects import Headers
from holdfast.voice.sip.message.message import Message

SDP = "application/sdp"
DTMF_RELAY = "application/dtmf-relay"
DTMF = "application/dtmf"

_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)
_PART_TYPE = re.compile(r"^(?:content-type|c)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_FOLD = re.compile(r"\r\n[ \t]+")
MAX_DEPTH = 3
"""The deepest nesting of multipart bodies that is read."""
_SIGNAL = re.compile(r"^\s*Signal\s*=\s*([0-9A-Da-d*#]|1[01])\s*$", re.IGNORECASE | re.MULTILINE)
_DURATION = re.compile(r"^\s*Duration\s*=\s*(\d{1,5})\s*$", re.IGNORECASE | re.MULTILINE)
_DIGITS = {"10": "*", "11": "#"}


def media_type(message: Message) -> str:
    """Return Content-Type without its parameters, in lower case; "" when there is none."""
    return _bare(message.first("Content-Type") or "")


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def sdp_of(message: Message) -> bytes | None:
    """Return the session description in a message, alone or as a part of a multipart body; None without one."""
    if not message.body:
        return None
    return _description(message.first("Content-Type") or "", message.body, MAX_DEPTH)


def _description(content_type: str, body: bytes, depth: int) -> bytes | None:
    """Return the body itself if it is a session description, else the first one among its parts."""
    kind, found = _bare(content_type), _BOUNDARY.search(content_type)
    if kind == SDP:
        return body
    if not kind.startswith("multipart/") or found is None or depth == 0:
        return None
    boundary = re.escape((found[1] or found[2]).encode("utf-8", "surrogateescape"))
    for part in re.split(rb"(?:\A|\r?\n)--" + boundary + rb"(?:--)?[ \t]*(?=\r\n|\Z)", body)[1:]:
        head, blank, rest = part.partition(b"\r\n\r\n")
        inner = _PART_TYPE.search(_FOLD.sub(" ", head.decode("utf-8", "surrogateescape")))
        within = _description(inner[1], rest, depth - 1) if blank and inner else None
        if within is not None:
            return within
    return None


def refusal(message: Message) -> Headers | None:
    """Return the headers of a 415 that name the supported bodies; None when the body is supported or empty."""
    encoding = (message.first("Content-Encoding") or "identity").strip().lower()
    if encoding != "identity":
        return (("Accept-Encoding", "identity"),)
    if message.body and sdp_of(message) is None:
        return (("Accept", SDP),)
    return None


def digit_of(message: Message) -> tuple[str, int] | None:
    """Return the digit of an INFO and its duration in milliseconds; None when it holds no digit.

    Some phones write the lines of `application/dtmf-relay` under `application/dtmf`.
    """
    text = message.body[:200].decode("ascii", "replace")
    kind = media_type(message)
    digit = text.strip().upper()
    if kind == DTMF and re.fullmatch(r"[0-9A-D*#]", digit):
        return digit, 160
    signal = _SIGNAL.search(text.replace("\r", "\n")) if kind in (DTMF, DTMF_RELAY) else None
    if not signal:
        return None
    duration = _DURATION.search(text.replace("\r", "\n"))
    return _DIGITS.get(signal[1], signal[1].upper()), int(duration[1]) if duration else 160


def sdp_headers(body: bytes | None) -> Headers:
    """Return Content-Type when there is a description."""
    return () if body is None else (("Content-Type", "application/sdp"),)
