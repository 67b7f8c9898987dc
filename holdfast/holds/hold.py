"""This module defines a hold as a state machine: its states, its messages and its effects.

A hold is *asked*, becomes *holding* when a request goes to the account, *held* when the account has shown that the
party hears hold music, *resuming* and *resumed* on the way back. Exactly one of the final states ends it, once;
messages that arrive later change nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from holdfast.holds.ids import CallSid, ConferenceSid, HoldId


class Status(StrEnum):
    """A status is the state of a hold. The JSON API and the event stream use these values."""

    ASKED = "asked"
    HOLDING = "holding"
    HELD = "held"
    RESUMING = "resuming"
    RESUMED = "resumed"
    CALL_ENDED = "call-ended"
    GONE = "gone"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def final(self) -> bool:
        """Return whether no other status can follow."""
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.ASKED: frozenset({Status.HOLDING, Status.REFUSED, Status.FAILED, Status.GONE}),
    Status.HOLDING: frozenset(
        {Status.HELD, Status.RESUMING, Status.RESUMED, Status.FAILED, Status.CALL_ENDED, Status.GONE}
    ),
    Status.HELD: frozenset({Status.RESUMING, Status.RESUMED, Status.CALL_ENDED}),
    Status.RESUMING: frozenset({Status.RESUMED, Status.HELD, Status.CALL_ENDED}),
    Status.RESUMED: frozenset(),
    Status.CALL_ENDED: frozenset(),
    Status.GONE: frozenset(),
    Status.REFUSED: frozenset(),
    Status.FAILED: frozenset(),
}
"""Every step a hold may take. `gone`: the call was over before it was held; `call-ended`: it ended while held."""


class WayName(StrEnum):
    """A way name says how a hold is carried out."""

    CONFERENCE = "conference"
    LEGS = "legs"
    PHONE = "phone"
    """The party's own phone holds: we see the hold, and neither begin nor end it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold of one party: who holds it, how, since when, what it hears, and how the hold ended.

    Units: `…_at` are seconds since the Unix epoch; `limit_s` seconds of being held.
    """

    id: HoldId
    call: CallSid
    asked_at: float
    status: Status = Status.ASKED
    by: str | None = None
    """The owner: a name, or the SID of the owner's own call."""
    reason: str | None = None
    music: str | None = None
    """URL of the music for the held party; None: the account's own hold music."""
    limit_s: float | None = None
    way: WayName | None = None
    conference: ConferenceSid | None = None
    queue: str | None = None
    owner_call: CallSid | None = None
    """The owner's call, when `by` names a call in the same room. When it leaves, the owner's claim ends."""
    held_at: float | None = None
    ended_at: float | None = None
    resumed_by: str | None = None
    reminded_at: float | None = None
    cause: str | None = None
    """The reason for the current status, in words; None when there is nothing to explain."""

    @property
    def active(self) -> bool:
        """Return whether this hold has not ended."""
        return not self.status.final


def open_hold(
    *,
    id: HoldId,
    call: CallSid,
    now: float,
    by: str | None = None,
    reason: str | None = None,
    music: str | None = None,
    limit_s: float | None = None,
) -> tuple[Hold, tuple["RecordEvent", ...]]:
    """Return a new hold that is requested and has not begun."""
    hold = Hold(id=id, call=call, asked_at=now, by=by, reason=reason, music=music, limit_s=limit_s)
    return hold, (RecordEvent(kind="asked", detail=reason),)


BY_PHONE = "phone"
"""The owner of a hold that a party's own phone began."""


def phone_hold(*, id: HoldId, call: CallSid, since: float) -> tuple[Hold, tuple["RecordEvent", ...]]:
    """Return a hold by the phone of the call. Its owner is the call itself, and its peers hear music meanwhile."""
    hold = Hold(id=id, call=call, asked_at=since, held_at=since, status=Status.HELD, by=BY_PHONE, way=WayName.PHONE)
    return hold, (RecordEvent(kind="held", detail="the phone holds"),)


# Messages to a hold.


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """A way was selected, and the request to the account follows."""

    way: WayName
    conference: ConferenceSid | None = None
    queue: str | None = None
    owner_call: CallSid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldConfirmed:
    """The account showed that the party is on hold."""

    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """No way can hold this call, and nothing was touched."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """The call is over, or the party has left the conference or queue it was held in."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """The account did not hold the party; the party is where it was."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """A person or the policy resumes the party."""

    by: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEnded:
    """The account showed that the party is no longer on hold."""

    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StillHeld:
    """The resume failed, and the account shows that the party is on hold as before."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remind:
    """The policy's reminder is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicFailed:
    """The requested music cannot be played; the account's own music takes its place."""

    why: str


Message = Begin | HoldConfirmed | Refuse | CallEnded | Fail | Resume | HoldEnded | StillHeld | Remind | MusicFailed


# Effects of a hold.


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldParty:
    """Ask the account to hold the party."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeParty:
    """Ask the account to resume the party."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvent:
    """Add a line to the history and the event stream."""

    kind: str
    detail: str | None = None


Effect = HoldParty | ResumeParty | RecordEvent
Step = tuple[Hold, tuple[Effect, ...]]


def step(hold: Hold, message: Message, now: float) -> Step:
    """Return the hold after a message, and its effects.

    A message that has no meaning in the hold's status (a confirmation after the end, a second resume) changes nothing
    and has no effect.
    """
    match message:
        case Begin():
            return _begin(hold, message, now)
        case HoldConfirmed(detail=detail):
            if hold.status is Status.RESUMING:
                return hold, ()
            return _move(hold, Status.HELD, now, detail, held_at=now)
        case Refuse(why=why):
            return _move(hold, Status.REFUSED, now, why)
        case CallEnded(why=why):
            never_held = hold.status in (Status.ASKED, Status.HOLDING)
            return _move(hold, Status.GONE if never_held else Status.CALL_ENDED, now, why)
        case Fail(why=why):
            return _move(hold, Status.FAILED, now, why)
        case Resume(by=by, why=why):
            moved, effects = _move(hold, Status.RESUMING, now, why, resumed_by=by)
            return moved, (*effects, ResumeParty()) if effects else ()
        case HoldEnded(why=why):
            return _move(hold, Status.RESUMED, now, why)
        case StillHeld(why=why):
            if hold.status is not Status.RESUMING:
                return hold, ()
            return _move(hold, Status.HELD, now, why, kind="still-held", held_at=hold.held_at)
        case Remind():
            if hold.status is not Status.HELD:
                return hold, ()
            return replace(hold, reminded_at=now), (
                RecordEvent(kind="reminder", detail=f"held for {_since(hold, now):.0f} s"),
            )
        case MusicFailed(why=why):
            if not hold.active or hold.music is None:
                return hold, ()
            return replace(hold, music=None), (RecordEvent(kind="music-failed", detail=why),)
        case _ as never:
            assert_never(never)


def _begin(hold: Hold, message: Begin, now: float) -> Step:
    moved, effects = _move(
        hold,
        Status.HOLDING,
        now,
        None,
        way=message.way,
        conference=message.conference,
        queue=message.queue,
        owner_call=message.owner_call,
    )
    return moved, (*effects, HoldParty()) if effects else ()


def _move(hold: Hold, to: Status, now: float, cause: str | None, *, kind: str | None = None, **changes: object) -> Step:
    """Take one step of the table, with its line of history; ignore a step that is not in the table."""
    if to not in TRANSITIONS[hold.status]:
        return hold, ()
    ended = now if to.final else None
    moved = replace(hold, status=to, cause=cause, ended_at=ended, **changes)  # type: ignore[arg-type]  # fields of Hold
    return moved, (RecordEvent(kind=kind or to.value, detail=cause),)


def _since(hold: Hold, now: float) -> float:
    return max(0.0, now - (hold.held_at if hold.held_at is not None else hold.asked_at))
