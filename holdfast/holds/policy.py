"""What is allowed about holds, how long they may last, and what follows when nobody comes back.

The default never leaves anybody with music for ever: a hold ends after half an hour, and a party whose everybody else
has left is not kept waiting for nobody.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

from holdfast.holds.hold import Hold, Status

SPARE_S = 600
"""How long the service may be away at the end of a hold before a document that it gave ends."""
LONGEST_CALL_S = 14_400
"""Source: Twilio REST, Call TimeLimit: four hours, unless an account has the option of more."""


class Follow(StrEnum):
    """What is done with a held party when its time is up."""

    RESUME = "resume"
    HANG_UP = "hang up"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The rules of one service.

    Units: seconds, all of them.
    """

    limit_s: float | None = 1800.0
    """Longest hold; a hold's own `limit_s` comes first; None: no limit."""
    on_limit: Follow = Follow.RESUME
    alone_limit_s: float = 120.0
    """How long a party stays held when everybody else has left: long enough for a transfer to come back."""
    on_alone: Follow = Follow.HANG_UP
    on_owner_left: Follow = Follow.RESUME
    """What follows when the owner has left and others are still there."""
    remind_every_s: float | None = None
    holders: frozenset[str] | None = None
    """The only names that may hold and resume; None: anybody."""
    only_owner_resumes: bool = False

    def __post_init__(self) -> None:
        for name in ("limit_s", "alone_limit_s", "remind_every_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} must be a positive number of seconds, not {value}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldSituation:
    """What was last read of a held party's surroundings."""

    others: int
    """How many other parties are with it, or wait for it."""
    alone_since: float | None = None
    owner_left: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeHold:
    """Resume the party now."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndHeldCall:
    """Hang the held party up now."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemindOwner:
    """Tell the event stream that this party still waits."""


Decision = ResumeHold | EndHeldCall | RemindOwner


def why_not_hold(policy: Policy, by: str | None) -> str | None:
    """Why this person may not hold; None when they may."""
    if policy.holders is not None and by not in policy.holders:
        return f"{by or 'nobody in particular'} is not among those who may hold calls"
    return None


def why_not_resume(policy: Policy, hold: Hold, by: str | None) -> str | None:
    """Why this person may not resume this hold; None when they may."""
    if policy.only_owner_resumes and hold.by is not None and by != hold.by:
        return f"this hold belongs to {hold.by}, and only its owner may resume it"
    if policy.holders is not None and by not in policy.holders:
        return f"{by or 'nobody in particular'} is not among those who may resume calls"
    return None


def due(policy: Policy, hold: Hold, sight: HoldSituation, now: float) -> Decision | None:
    """The one thing the policy wants done with this hold now, if any: the most final first."""
    if hold.status is not Status.HELD or hold.held_at is None:
        return None
    if sight.others == 0 and sight.alone_since is not None and now - sight.alone_since >= policy.alone_limit_s:
        decision = _follow(policy.on_alone, f"everybody else left {now - sight.alone_since:.0f} s ago")
        if decision is not None:
            return decision
    if sight.owner_left and sight.others > 0:
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


def lasts_s(policy: Policy, limit_s: float | None) -> int:
    """How long a document for a hold goes on without another request to us: the hold's limit and ten minutes.

    `limit_s` is the hold's own limit; None: the policy's. A hold that nothing ends lasts as long as a call may.
    """
    limit_s = limit_s if limit_s is not None else policy.limit_s
    if limit_s is None or policy.on_limit is Follow.KEEP:
        return LONGEST_CALL_S
    return math.ceil(min(limit_s + SPARE_S, LONGEST_CALL_S))


def _follow(follow: Follow, why: str) -> ResumeHold | EndHeldCall | None:
    match follow:
        case Follow.RESUME:
            return ResumeHold(why=why)
        case Follow.HANG_UP:
            return EndHeldCall(why=why)
        case Follow.KEEP:
            return None
