"""This module defines a hold as a state machine: its states, its messages and its effects.

A hold is *asked*, becomes *holding* when a request goes to the account, *held* when the account has shown that the
party hears hold music, *resuming* and *resumed* on the way back. Exactly one of the final states ends it, once.

Rule: everything that affects the state of a hold is in this file. `TRANSITIONS` says which messages a hold takes in
which status and what follows; `step` looks there first, and refuses any other message. The shell makes requests to the
account for `HoldParty` and `ResumeParty` alone.
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
        return self in FINAL


class WayName(StrEnum):
    """A way name says how a hold is carried out."""

    CONFERENCE = "conference"
    LEGS = "legs"
    PHONE = "phone"
    """The party's own phone holds: we see the hold, and neither begin nor end it."""


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


TRANSITIONS: Mapping[tuple[Status, type[Message]], Mapping[Status, str]] = {
    (Status.ASKED, Begin): {Status.HOLDING: ""},
    (Status.ASKED, Refuse): {Status.REFUSED: ""},
    (Status.ASKED, Fail): {Status.FAILED: ""},
    (Status.ASKED, CallEnded): {Status.GONE: ""},
    (Status.ASKED, MusicFailed): {Status.ASKED: ""},
    (Status.HOLDING, HoldConfirmed): {Status.HELD: ""},
    (Status.HOLDING, Fail): {Status.FAILED: ""},
    (Status.HOLDING, CallEnded): {Status.GONE: ""},
    (Status.HOLDING, Resume): {Status.RESUMING: ""},
    (Status.HOLDING, HoldEnded): {Status.RESUMED: ""},
    (Status.HOLDING, MusicFailed): {Status.HOLDING: ""},
    (Status.HELD, Resume): {Status.RESUMING: ""},
    (Status.HELD, HoldEnded): {Status.RESUMED: ""},
    (Status.HELD, CallEnded): {Status.CALL_ENDED: ""},
    (Status.HELD, Remind): {Status.HELD: ""},
    (Status.HELD, MusicFailed): {Status.HELD: ""},
    (Status.RESUMING, HoldEnded): {Status.RESUMED: ""},
    (Status.RESUMING, StillHeld): {Status.HELD: ""},
    (Status.RESUMING, CallEnded): {Status.CALL_ENDED: ""},
    (Status.RESUMING, MusicFailed): {Status.RESUMING: ""},
}
"""Every message that a hold takes, and the statuses that may follow, each with its condition; "" where there is one.

`gone`: the call was over before it was held; `call-ended`: it ended while held.
"""

FINAL = frozenset(Status) - {status for status, _ in TRANSITIONS}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseHoldMessage:
    """Log and count a message that the status does not take: a confirmation after the end, a second resume."""

    status: Status
    message: str


Effect = HoldParty | ResumeParty | RecordEvent | RefuseHoldMessage
Step = tuple[Hold, tuple[Effect, ...]]


def open_hold(
    *,
    id: HoldId,
    call: CallSid,
    now: float,
    by: str | None = None,
    reason: str | None = None,
    music: str | None = None,
    limit_s: float | None = None,
) -> tuple[Hold, tuple[RecordEvent, ...]]:
    """Return a new hold that is requested and has not begun."""
    hold = Hold(id=id, call=call, asked_at=now, by=by, reason=reason, music=music, limit_s=limit_s)
    return hold, (RecordEvent(kind="asked", detail=reason),)


BY_PHONE = "phone"
"""The owner of a hold that a party's own phone began."""


def phone_hold(*, id: HoldId, call: CallSid, since: float) -> tuple[Hold, tuple[RecordEvent, ...]]:
    """Return a hold by the phone of the call. Its owner is the call itself, and its peers hear music meanwhile."""
    hold = Hold(id=id, call=call, asked_at=since, held_at=since, status=Status.HELD, by=BY_PHONE, way=WayName.PHONE)
    return hold, (RecordEvent(kind="held", detail="the phone holds"),)


def step(hold: Hold, message: Message, now: float) -> Step:
    """Return the hold after a message, and its effects. A message that is not in the table leaves the hold as it is."""
    followers = TRANSITIONS.get((hold.status, type(message)))
    if followers is None:
        return hold, (RefuseHoldMessage(status=hold.status, message=type(message).__name__),)
    (to,) = followers
    match message:
        case Begin(way=way, conference=conference, queue=queue, owner_call=owner_call):
            begun = replace(hold, way=way, conference=conference, queue=queue, owner_call=owner_call)
            return _move(begun, to, now, None, HoldParty())
        case HoldConfirmed(detail=detail):
            return _move(replace(hold, held_at=now), to, now, detail)
        case Resume(by=by, why=why):
            return _move(replace(hold, resumed_by=by), to, now, why, ResumeParty())
        case Refuse(why=why) | CallEnded(why=why) | Fail(why=why) | HoldEnded(why=why):
            return _move(hold, to, now, why)
        case StillHeld(why=why):
            return _move(hold, to, now, why, kind="still-held")
        case Remind():
            waited_s = max(0.0, now - (hold.held_at if hold.held_at is not None else hold.asked_at))
            return replace(hold, reminded_at=now), (RecordEvent(kind="reminder", detail=f"held for {waited_s:.0f} s"),)
        case MusicFailed(why=why):
            if hold.music is None:
                return hold, ()
            return replace(hold, music=None), (RecordEvent(kind="music-failed", detail=why),)
        case _:
            assert_never(message)


def _move(hold: Hold, to: Status, now: float, cause: str | None, *requests: Effect, kind: str | None = None) -> Step:
    """Take one step of the table, with its line of history."""
    moved = replace(hold, status=to, cause=cause, ended_at=now if to.final else None)
    return moved, (RecordEvent(kind=kind or to.value, detail=cause), *requests)
