"""This module checks what callers give us before any work begins."""

from holdfast.holds.errors import BadInput
from holdfast.holds.ids import CallSid, is_call_sid
from holdfast.holds.steps.documents import checked_url

MAX_TEXT = 500
"""Longest `by` or `reason`, in characters."""


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
