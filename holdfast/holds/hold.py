"""One hold: what it is, the states it goes through, and each way it ends.

A hold is *asked*, becomes *holding* when the account has been told, *held* when the account has shown that the
party hears its hold sound, *resuming* and *resumed* on the way back. Exactly one of the final states ends it, once;
what arrives after that changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from holdfast.holds.ids import CallSid, ConferenceSid, HoldId


class Status(StrEnum):
    """Where a hold stands. The values are what the JSON API and the event stream say."""

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
        """Whether nothing can follow."""
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
    """How a hold is carried out."""

    CONFERENCE = "conference"
    LEGS = "legs"
    PHONE = "phone"
    """By the party's own phone: it is seen, and neither begun nor ended by us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One party's hold: who, by whom, how, since when, what is heard, and how it ended.

    Units: `…_at` are seconds since the Unix epoch; `limit_s` seconds of being held.
    """

    id: HoldId
    call: CallSid
    asked_at: float
    status: Status = Status.ASKED
    by: str | None = None
    """Who asked: a name, or the SID of the owner's own call."""
    reason: str | None = None
    music: str | None = None
    """URL of what the held party hears; None: the account's own hold music."""
    limit_s: float | None = None
    way: WayName | None = None
    conference: ConferenceSid | None = None
    queue: str | None = None
    owner_call: CallSid | None = None
    """The owner's call, when `by` names a call that shared the room: its leaving ends the owner's claim."""
    held_at: float | None = None
    ended_at: float | None = None
    resumed_by: str | None = None
    reminded_at: float | None = None
    cause: str | None = None
    """Why it came to where it stands, in words; None when there is nothing to explain."""

    @property
    def active(self) -> bool:
        """Whether this hold is still going on."""
        return not self.status.final


def ask(
    *,
    id: HoldId,
    call: CallSid,
    now: float,
    by: str | None = None,
    reason: str | None = None,
    music: str | None = None,
    limit_s: float | None = None,
) -> tuple[Hold, tuple["RecordEvent", ...]]:
    """A new hold, asked and not yet begun."""
    hold = Hold(id=id, call=call, asked_at=now, by=by, reason=reason, music=music, limit_s=limit_s)
    return hold, (RecordEvent(kind="asked", detail=reason),)


BY_PHONE = "phone"
"""Who holds, when a party's own phone does."""


def seen(*, id: HoldId, call: CallSid, since: float) -> tuple[Hold, tuple["RecordEvent", ...]]:
    """A hold by the phone of the call: the one who holds is the call, and its peers hear music meanwhile."""
    hold = Hold(id=id, call=call, asked_at=since, held_at=since, status=Status.HELD, by=BY_PHONE, way=WayName.PHONE)
    return hold, (RecordEvent(kind="held", detail="the phone itself holds"),)


# What a hold is told.


@dataclass(frozen=True, slots=True, kw_only=True)
class Begin:
    """A way was found; the account is about to be told."""

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
    """No way can hold this call; nothing was touched."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOver:
    """The call is over, or the party has left the place it was held in."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """The account would not do it; the party is where it was."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """Somebody, or the policy, wants the party back."""

    by: str | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEnded:
    """The account showed that the party is not on hold any more."""

    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StillHeld:
    """The way back failed and the account shows that the party is on hold as before."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remind:
    """The policy's reminder is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicFailed:
    """The music asked for cannot be heard; the account's own is heard instead."""

    why: str


Message = Begin | HoldConfirmed | Refuse | CallOver | Fail | Resume | HoldEnded | StillHeld | Remind | MusicFailed


# What a hold wants done.


@dataclass(frozen=True, slots=True, kw_only=True)
class PutOnHold:
    """Tell the account to hold the party."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOffHold:
    """Tell the account to bring the party back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordEvent:
    """Put a line into the history and the event stream."""

    kind: str
    detail: str | None = None


Effect = PutOnHold | TakeOffHold | RecordEvent
Step = tuple[Hold, tuple[Effect, ...]]


def step(hold: Hold, message: Message, now: float) -> Step:
    """The hold after a message, and what is to be done.

    A message that has no meaning where the hold stands (a confirmation that comes after the end, a second resume)
    changes nothing and does nothing.
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
        case CallOver(why=why):
            never_held = hold.status in (Status.ASKED, Status.HOLDING)
            return _move(hold, Status.GONE if never_held else Status.CALL_ENDED, now, why)
        case Fail(why=why):
            return _move(hold, Status.FAILED, now, why)
        case Resume(by=by, why=why):
            moved, effects = _move(hold, Status.RESUMING, now, why, resumed_by=by)
            return moved, (*effects, TakeOffHold()) if effects else ()
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
    return moved, (*effects, PutOnHold()) if effects else ()


def _move(hold: Hold, to: Status, now: float, cause: str | None, *, kind: str | None = None, **changes: object) -> Step:
    """Take one step of the table, with its line of history; a step that is not in the table is no step."""
    if to not in TRANSITIONS[hold.status]:
        return hold, ()
    ended = now if to.final else None
    moved = replace(hold, status=to, cause=cause, ended_at=ended, **changes)  # type: ignore[arg-type]  # fields of Hold
    return moved, (RecordEvent(kind=kind or to.value, detail=cause),)


def _since(hold: Hold, now: float) -> float:
    return max(0.0, now - (hold.held_at if hold.held_at is not None else hold.asked_at))
