"""This module defines the identifiers of holds and of the account's resources."""

from typing import NewType

HoldId = NewType("HoldId", str)
"""`HO` and 32 hex digits: one hold, from its request to its end."""

CallSid = NewType("CallSid", str)
ConferenceSid = NewType("ConferenceSid", str)
QueueSid = NewType("QueueSid", str)
