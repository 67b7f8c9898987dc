"""Hold and resume live calls on any account that speaks Twilio's voice API.

from holdfast.holds import Account, Holds

async with Holds(Account.twilio()) as holds:    # or Account.engine()
    hold = await holds.hold(call)
    await holds.resume(hold)
"""

from holdfast.holds.account.client import Account
from holdfast.holds.call_overview import CallView
from holdfast.holds.clock import Timeouts
from holdfast.holds.errors import (
    AccountError,
    AccountRefused,
    AccountUnreachable,
    BadInput,
    CallNotInProgress,
    HoldFailed,
    HoldRefused,
    HoldsError,
    HoldUnknown,
    NotAllowed,
    OutcomeUnknown,
    RequestError,
    StoreError,
    WrongCredentials,
    WrongEventLoop,
)
from holdfast.holds.history.memory_store import MemoryStore
from holdfast.holds.hold import Hold, Status
from holdfast.holds.policy import Policy, PolicyAction
from holdfast.holds.ports import HoldEvent, HoldStore
from holdfast.holds.service import Holds, Legs

__all__ = [
    "Account",
    "AccountError",
    "AccountRefused",
    "AccountUnreachable",
    "BadInput",
    "CallNotInProgress",
    "CallView",
    "Hold",
    "HoldEvent",
    "HoldFailed",
    "HoldRefused",
    "HoldStore",
    "HoldUnknown",
    "Holds",
    "HoldsError",
    "Legs",
    "MemoryStore",
    "NotAllowed",
    "OutcomeUnknown",
    "Policy",
    "PolicyAction",
    "RequestError",
    "Status",
    "StoreError",
    "Timeouts",
    "WrongCredentials",
    "WrongEventLoop",
]
