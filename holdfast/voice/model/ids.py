"""Identifiers of the nouns: two capital letters and 32 hexadecimal digits.

Source: Twilio API, "SID".
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

AccountSid = NewType("AccountSid", str)
CallSid = NewType("CallSid", str)
RoomSid = NewType("RoomSid", str)
"""A conference (`CF…`) or the private room in which two legs are bridged (`BR…`)."""
QueueSid = NewType("QueueSid", str)
RecordingSid = NewType("RecordingSid", str)
Token = NewType("Token", str)
"""Names one thing a script started (a sound, a timer, a fetch); its first part is the call's SID."""

SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}\Z")


def is_sid(text: str, prefix: str) -> bool:
    """Whether `text` has the shape of a SID with this prefix."""
    return text.startswith(prefix) and SID.match(text) is not None


def is_label(text: str) -> bool:
    """Whether a participant may be called that. Source: Twilio errors 16023 and 16024."""
    return 1 <= len(text) <= 128 and "/" not in text and not is_sid(text, "CA")


def derive(prefix: str, *seed: str) -> str:
    """A SID that is a function of its seed, so that replaying the same facts names the same things.

    The seed holds a random SID, so that strangers cannot guess what follows from it.
    """
    return prefix + hashlib.blake2b("\0".join(seed).encode(), digest_size=16).hexdigest()


def call_of(token: Token) -> CallSid:
    """The call whose script started what `token` names."""
    return CallSid(token.split("/", 1)[0])
