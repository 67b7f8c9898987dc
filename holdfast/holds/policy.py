"""This module defines the policy of holds: who may hold, how long a hold lasts, and what follows.

The default leaves no party with music for ever: a hold ends after half an hour, and a party is not kept on hold after
all other parties have left.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from holdfast.holds.hold import Hold, Status

GRACE_S = 600
"""How long the service may be unreachable at the end of a hold before a document that it gave ends."""
MAX_CALL_S = 14_400
"""Source: Twilio REST, Call TimeLimit: four hours, unless an account has the option of more."""


class PolicyAction(StrEnum):
    """A policy action is what the service does with a held party when a limit is reached."""

    RESUME = "resume"
    HANG_UP = "hang up"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy is the set of rules of one service.

    Units: seconds, all of them.
    """

    limit_s: float | None = 1800.0
    """Longest hold; a hold's own `limit_s` comes first; None: no limit."""
    on_limit: PolicyAction = PolicyAction.RESUME
    alone_limit_s: float = 120.0
    """How long a party stays held after all others have left: long enough for a transfer to come back."""
    on_alone: PolicyAction = PolicyAction.HANG_UP
    on_owner_left: PolicyAction = PolicyAction.RESUME
    """The action when the owner has left and other parties are still there."""
    remind_every_s: float | None = None
    holders: frozenset[str] | None = None
    """The only names that may hold and resume; None: any caller may."""
    only_owner_resumes: bool = False

    def __post_init__(self) -> None:
        for name in ("limit_s", "alone_limit_s", "remind_every_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} must be a positive number of seconds, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldSituation:
    """A hold situation is what was last read about a held party's conversation."""

    others: int
    """How many other parties are in the conversation, or wait for it to go on."""
    alone_since: float | None = None
    owner_left: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeHold:
    """The party is resumed now."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndHeldCall:
    """The held party is hung up now."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemindOwner:
    """The event stream reports now that this party still waits."""


Decision = ResumeHold | EndHeldCall | RemindOwner


def why_not_hold(policy: Policy, by: str | None) -> str | None:
    """Return why this person may not hold; None when they may."""
    if policy.holders is not None and by not in policy.holders:
        return "anonymous callers may not hold calls (pass `by`)" if by is None else f"{by} may not hold calls"
    return None


def why_not_resume(policy: Policy, hold: Hold, by: str | None) -> str | None:
    """Return why this person may not resume this hold; None when they may."""
    if policy.only_owner_resumes and hold.by is not None and by != hold.by:
        return f"this hold belongs to {hold.by}, and only its owner may resume it"
    if policy.holders is not None and by not in policy.holders:
        return "anonymous callers may not resume calls (pass `by`)" if by is None else f"{by} may not resume calls"
    return None


def due(policy: Policy, hold: Hold, situation: HoldSituation, now: float) -> Decision | None:
    """Return the one action that the policy requires for this hold now, if any: the most final first."""
    if hold.status is not Status.HELD or hold.held_at is None:
        return None
    if (
        situation.others == 0
        and situation.alone_since is not None
        and now - situation.alone_since >= policy.alone_limit_s
    ):
        decision = _follow(policy.on_alone, f"all other parties left {now - situation.alone_since:.0f} s ago")
        if decision is not None:
            return decision
    if situation.owner_left and situation.others > 0:
        decision = _follow(policy.on_owner_left, "the owner of the hold has left")
        if decision is not None:
            return decision
    limit_s = hold.limit_s if hold.limit_s is not None else policy.limit_s
    if limit_s is not None and now - hold.held_at >= limit_s:
        decision = _follow(policy.on_limit, f"the limit of {limit_s:g} s was reached")
        if decision is not None:
            return decision
    if policy.remind_every_s is not None:
        last = hold.reminded_at if hold.reminded_at is not None else hold.held_at
        if now - last >= policy.remind_every_s:
            return RemindOwner()
    return None


def document_length_s(policy: Policy, limit_s: float | None) -> int:
    """Return how long a document for a hold lasts without another request to us.

    It is the hold's limit and ten minutes. `limit_s` is the hold's own limit; None: the policy's. A hold without an end
    lasts as long as a call may.
    """
    limit_s = limit_s if limit_s is not None else policy.limit_s
    if limit_s is None or policy.on_limit is PolicyAction.KEEP:
        return MAX_CALL_S
    return math.ceil(min(limit_s + GRACE_S, MAX_CALL_S))


def _follow(follow: PolicyAction, why: str) -> ResumeHold | EndHeldCall | None:
    match follow:
        case PolicyAction.RESUME:
            return ResumeHold(why=why)
        case PolicyAction.HANG_UP:
            return EndHeldCall(why=why)
        case PolicyAction.KEEP:
            return None
        case _:
            assert_never(follow)
