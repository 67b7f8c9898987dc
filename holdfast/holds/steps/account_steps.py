"""What a way wants done with the account, and the documents it gives to calls."""

from dataclasses import dataclass

from holdfast.holds.ids import CallSid, ConferenceSid

# Documents: what a call is to do next. `documents.py` writes them as TwiML.


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitInQueue:
    """Be held: wait in a private queue and hear the music."""

    queue: str
    music: str | None
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """Stay on the line in silence until told otherwise. `limit_s`: the own limit of the hold it waits for, if any."""

    limit_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeFromQueue:
    """Take the one who waits in this queue, and talk."""

    queue: str
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterConference:
    """Go into this conference."""

    room: str
    turn: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinueDocument:
    """Go on with the application's own document."""

    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """Hang up."""


Document = WaitInQueue | Park | TakeFromQueue | EnterConference | ContinueDocument | HangUp


# Steps: what the account is told.


@dataclass(frozen=True, slots=True, kw_only=True)
class SetHold:
    """Update one participant's hold."""

    conference: ConferenceSid
    call: CallSid
    hold: bool
    music: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenQueue:
    """See that a queue of this name exists, for one call."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectCall:
    """Give a live call a new document."""

    call: CallSid
    to: Document


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseQueue:
    """Remove a queue that nobody needs any more."""

    name: str


LegStep = OpenQueue | RedirectCall | CloseQueue
Step = SetHold | LegStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why this way cannot hold the call, and the line that would make it work."""

    why: str
    fix: str | None = None
    gone: bool = False
    """The refusal's reason is that the call is over."""
