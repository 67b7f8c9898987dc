"""What callers give us, checked before anything is done with it."""

from holdfast.holds.errors import BadInput
from holdfast.holds.ids import CallSid, is_call_sid
from holdfast.holds.steps.documents import checked_url

MOST_TEXT = 500
"""Longest `by` or `reason`, in characters."""


def call_sid(text: str) -> CallSid:
    """A call's SID. Raises: BadInput."""
    if not is_call_sid(text):
        raise BadInput(f"{text[:60]!r} is not the SID of a call", fix="A call's SID is CA and 32 hex digits.")
    return CallSid(text)


def check_words(**words: str | None) -> None:
    """Refuse texts that are too long, or no plain text. Raises: BadInput."""
    for name, text in words.items():
        if text is not None and (len(text) > MOST_TEXT or not text.isprintable()):
            raise BadInput(f"{name} must be plain text of at most {MOST_TEXT} characters")


def check_hold(*, by: str | None, music: str | None, reason: str | None, limit_s: float | None) -> None:
    """Refuse what cannot be meant. Raises: BadInput."""
    check_words(by=by, reason=reason)
    if music is not None:
        checked_url("music", music)
    if limit_s is not None and not 0 < limit_s < float("inf"):
        raise BadInput(f"limit_s must be a positive number of seconds, not {limit_s}")
