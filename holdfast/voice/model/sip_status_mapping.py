"""What a final SIP failure means for the call it ends."""

from __future__ import annotations

from typing import Literal

BUSY = frozenset({486, 600, 603})
UNANSWERED = frozenset({408, 480, 487})
SIP_FAILED = 32011
"""Told of a call that failed over SIP for no reason with a code of its own. Source: Twilio error dictionary."""

NOT_ACCEPTABLE = 488
NO_COMMON_CODEC = "it takes none of the sound it was offered; if it insists on SRTP, set sip_srtp = offer"
"""What to do about a phone that refuses our description. Source: RFC 3261 §21.4.26."""


def call_status_of(sip_code: int) -> Literal["busy", "no-answer", "failed"]:
    """The final status that a SIP failure means. Source: Twilio docs, Call status values."""
    if sip_code in BUSY:
        return "busy"
    return "no-answer" if sip_code in UNANSWERED else "failed"


def describe_refusal(to: str, sip_code: int, reason: str) -> str:
    """A call that was refused, in words for a developer."""
    told = f"{to} was not reached: SIP {sip_code} {reason}".rstrip()
    return f"{told}: {NO_COMMON_CODEC}" if sip_code == NOT_ACCEPTABLE else told
