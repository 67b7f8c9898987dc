"""This module defines the steps that a way asks of the account, and the documents that it gives to calls."""

from dataclasses import dataclass

from holdfast.holds.ids import CallSid, ConferenceSid

# Documents: what a call does next. `documents.py` writes them as TwiML.


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitInQueue:
    """Wait in a private queue, on hold, and hear the music."""

    queue: str
    music: str | None
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Stay on the line in silence until the next redirect.

    `limit_s`: the own limit of the other party's hold, if any.
    """

    limit_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeFromQueue:
    """Take the call that waits in this queue, and talk."""

    queue: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinConference:
    """Join this conference."""

    room: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueDocument:
    """Continue with the application's own document."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndLeg:
    """Hang up."""


Document = WaitInQueue | Park | TakeFromQueue | JoinConference | ContinueDocument | EndLeg


# Steps: requests to the account.


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHold:
    """Update one participant's hold."""

    conference: ConferenceSid
    call: CallSid
    hold: bool
    music: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQueue:
    """Ensure that a queue of this name exists, for one call."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectLeg:
    """Give a live call a new document."""

    call: CallSid
    document: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseQueue:
    """Remove a queue that is not needed any more."""

    name: str


LegStep = OpenQueue | RedirectLeg | CloseQueue
Step = SetHold | LegStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refusal says why this way cannot hold the call, and gives the line that would make it work."""

    why: str
    fix: str | None = None
    call_ended: bool = False
    """The reason is that the call is over."""
