"""The identifiers of the nouns are two capital letters and 32 hexadecimal digits.

Source: Twilio API, "SID".
"""

from __future__ import annotations

import hashlib
import re
from typing import NewType

AccountSid = NewType("AccountSid", str)
CallSid = NewType("CallSid", str)
RoomSid = NewType("RoomSid", str)
"""A conference (`CF…`) or the bridge of two legs (`BR…`)."""
QueueSid = NewType("QueueSid", str)
RecordingSid = NewType("RecordingSid", str)
Token = NewType("Token", str)
"""A token names a sound, a timer or a fetch that a script started; its first part is the call's SID."""

SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}\Z")


def is_sid(text: str, prefix: str) -> bool:
    """Return whether `text` has the form of a SID with this prefix."""
    return text.startswith(prefix) and SID.match(text) is not None


def is_label(text: str) -> bool:
    """Return whether `text` is a valid participant label. Source: Twilio errors 16023 and 16024."""
    return 1 <= len(text) <= 128 and "/" not in text and not is_sid(text, "CA")


def derive(prefix: str, *seed: str) -> str:
    """Return a SID that is a function of its seed, so that a replay of the same facts makes the same SIDs.

    The seed contains a random SID, so that an unauthenticated peer cannot guess the derived ones.
    """
    return prefix + hashlib.blake2b("\0".join(seed).encode(), digest_size=16).hexdigest()


def call_of(token: Token) -> CallSid:
    """Return the call whose script made this token."""
    return CallSid(token.split("/", 1)[0])
