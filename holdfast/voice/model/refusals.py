"""What a final SIP failure means for the call it ends."""

from __future__ import annotations

from typing import Literal

BUSY = frozenset({486, 600, 603})
UNANSWERED = frozenset({408, 480, 487})
SIP_FAILED = 32011
"""Told of a call that failed over SIP for no reason with a code of its own. Source: Twilio error dictionary."""


def refused_as(sip_code: int) -> Literal["busy", "no-answer", "failed"]:
    """The final status that a SIP failure means. Source: Twilio docs, Call status values."""
    if sip_code in BUSY:
        return "busy"
    return "no-answer" if sip_code in UNANSWERED else "failed"
