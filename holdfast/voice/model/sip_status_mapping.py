"""Map a final SIP failure to the status of the call that it ends."""

from __future__ import annotations

from typing import Literal

BUSY = frozenset({486, 600, 603})
UNANSWERED = frozenset({408, 480, 487})
SIP_FAILED = 32011
"""The code of a SIP failure that has no code of its own. Source: Twilio error dictionary."""

NOT_ACCEPTABLE = 488
NO_COMMON_CODEC = "it accepts none of the offered codecs; if it requires SRTP, set sip_srtp = offer"
"""Advice about a phone that refuses our session description. Source: RFC 3261 §21.4.26."""


def call_status_of(sip_code: int) -> Literal["busy", "no-answer", "failed"]:
    """Return the final call status for a SIP failure. Source: Twilio docs, Call status values."""
    if sip_code in BUSY:
        return "busy"
    return "no-answer" if sip_code in UNANSWERED else "failed"


def describe_refusal(to: str, sip_code: int, reason: str) -> str:
    """Describe a refused call for a developer."""
    text = f"{to} was not reached: SIP {sip_code} {reason}".rstrip()
    return f"{text}: {NO_COMMON_CODEC}" if sip_code == NOT_ACCEPTABLE else text
