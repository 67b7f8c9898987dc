"""Orders: what one noun asks of another within a step, said by a script's verb or by the switch's own rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.voice.model.commands import (
    Admission,
    Callback,
    Instruction,
    RecordingOptions,
    ReserveParticipant,
    Role,
    Target,
    WebRequest,
)
from holdfast.voice.model.ids import AccountSid, CallSid, QueueSid, RecordingSid, RoomSid, Token


@dataclass(frozen=True, slots=True, kw_only=True)
class CallChild:
    """Dial a leg for a parent. It starts no document of its own unless `screen` names one."""

    token: Token
    call: CallSid
    parent: CallSid
    target: Target
    from_: str
    timeout_s: int
    callback: Callback | None = None
    screen: WebRequest | None = None
    time_limit_s: int = 14400
    send_digits: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseChild:
    """The parent's verb wants this leg no more."""

    call: CallSid
    cause: Literal["done", "timeout", "lost-race", "parent-gone"] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOwnDocument:
    """This leg is nobody's child from now on and runs a document of its own."""

    call: CallSid
    instruction: Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """Put a call into the private two-party room `room`, which exists while both are in it."""

    token: Token
    room: RoomSid
    call: CallSid
    account: AccountSid


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterConference:
    """Let a call into the active conference of that name, or into a new one that will bear `new_room`."""

    token: Token
    call: CallSid
    account: AccountSid
    admission: Admission
    new_room: RoomSid


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveRoom:
    """The call's verb is over, or the call is: it is in its room no longer."""

    call: CallSid
    cause: Literal["hangup", "redirect", "dequeue", "done"] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseEntry:
    """A call's wait document failed before the conference began: it is not admitted."""

    call: CallSid
    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinQueue:
    """Wait in the queue of that name, made on first use with the SID `new_queue`."""

    token: Token
    call: CallSid
    account: AccountSid
    name: str
    new_queue: QueueSid


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveQueue:
    """The call waits no longer (its verb is over, or the call is)."""

    call: CallSid
    result: Literal["leave", "redirected", "error", "hangup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetDialler:
    """The member has heard what its dialler wanted it to hear: they may be joined."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class DialQueue:
    """Ask a queue for its front member, waiting for one if it is empty. Taken back by `StopDialQueue`."""

    token: Token
    call: CallSid
    account: AccountSid
    name: str
    room: RoomSid
    screen: WebRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDialQueue:
    """The dialler waits for a member no longer."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class StartScript:
    """Run a further document for one ear of a call."""

    call: CallSid
    role: Role
    request: WebRequest | None
    """None: the built-in music."""
    instruction: Instruction | None = None
    """The document itself, in place of asking for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopScript:
    """End the script of that role, if one runs."""

    call: CallSid
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class NotePhoneHold:
    """The phone of this participant began or ended a hold of its own."""

    call: CallSid
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteParticipant:
    """The call that is to become a participant came this far."""

    call: CallSid
    status: Literal["connecting", "ringing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAnnouncing:
    """A participant's announcement has its document and is heard from now on."""

    call: CallSid
    instruction: Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAnnounced:
    """The announcement a participant heard is over; `code` is 0, or Twilio's of why it failed."""

    call: CallSid
    code: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginRecording:
    """Record a call, or a conference (`room`). `for_verb`: the call's script hears of it.

    Units: `quiet_s` seconds of silence of which the script is told; 0: never.
    """

    recording: RecordingSid
    account: AccountSid
    options: RecordingOptions
    call: CallSid | None = None
    room: RoomSid | None = None
    for_verb: bool = False
    silence_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRecording:
    """The recording is over; nothing for one that is."""

    recording: RecordingSid


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteCaptureSources:
    """These are heard in the conference now, so that its recording has them."""

    room: RoomSid
    sources: tuple[tuple[CallSid, Literal["says", "hears"]], ...]


NounCommand = (
    CallChild
    | ReleaseChild
    | RunOwnDocument
    | Bridge
    | EnterConference
    | ReserveParticipant
    | LeaveRoom
    | RefuseEntry
    | JoinQueue
    | LeaveQueue
    | MeetDialler
    | DialQueue
    | StopDialQueue
    | StartScript
    | StopScript
    | NotePhoneHold
    | NoteParticipant
    | NoteAnnouncing
    | NoteAnnounced
    | BeginRecording
    | EndRecording
    | NoteCaptureSources
)
