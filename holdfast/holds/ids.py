"""This module defines the identifiers of holds and of the account's resources."""

import re
from typing import NewType

HoldId = NewType("HoldId", str)
"""`HO` and 32 hex digits: one hold, from its request to its end."""

CallSid = NewType("CallSid", str)
ConferenceSid = NewType("ConferenceSid", str)
QueueSid = NewType("QueueSid", str)

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
