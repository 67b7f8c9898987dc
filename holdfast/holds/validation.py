"""This module checks what callers give us before any work begins."""

import re
from urllib.parse import urlsplit

from holdfast.holds.errors import BadInput
from holdfast.holds.ids import CallSid

MAX_TEXT = 500
"""Longest `by` or `reason`, in characters."""
MAX_URL = 2_000

_HOLD_ID = re.compile(r"HO[0-9a-f]{32}")
_CALL_SID = re.compile(r"CA[0-9a-fA-F]{32}")


def is_hold_id(text: str) -> bool:
    """Return whether this text has the form of a hold's id."""
    return _HOLD_ID.fullmatch(text) is not None


def is_call_sid(text: str) -> bool:
    """Return whether this text has the form of a call's SID.

    Source: Twilio REST, SIDs: two letters and 32 hex digits.
    """
    return _CALL_SID.fullmatch(text) is not None


def parse_call_sid(text: str) -> CallSid:
    """Return this text as the SID of a call. Raises: BadInput."""
    if not is_call_sid(text):
        raise BadInput(f"{text[:60]!r} is not the SID of a call", fix="A call's SID is CA and 32 hex digits.")
    return CallSid(text)


def check_texts(**words: str | None) -> None:
    """Refuse texts that are too long or not printable. Raises: BadInput."""
    for name, text in words.items():
        if text is not None and (len(text) > MAX_TEXT or not text.isprintable()):
            raise BadInput(f"{name} must be plain text of at most {MAX_TEXT} characters")


def check_hold_request(*, by: str | None, music: str | None, reason: str | None, limit_s: float | None) -> None:
    """Refuse values that a hold cannot have. Raises: BadInput."""
    check_texts(by=by, reason=reason)
    if music is not None:
        checked_url("music", music)
    if limit_s is not None and not 0 < limit_s < float("inf"):
        raise BadInput(f"limit_s must be a positive number of seconds, not {limit_s}")


def checked_url(name: str, url: str) -> str:
    """Return this URL if an account could open it.

    Raises: BadInput.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or len(url) > MAX_URL or any(ord(char) <= 32 or ord(char) == 127 for char in url):
        raise BadInput(
            f"{name} must be a whole http:// or https:// URL of at most {MAX_URL} characters, not {url[:200]!r}",
            fix=f"Say {name}=https://example.com/…",
        )
    return url
