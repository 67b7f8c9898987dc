"""Internal commands are what one noun asks of another within a step, emitted by a verb or by a rule of a machine."""

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
    """Release a leg that the parent's verb no longer needs."""

    call: CallSid
    cause: Literal["done", "timeout", "lost-race", "parent-gone"] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOwnDocument:
    """Detach this leg from its parent and run a document of its own."""

    call: CallSid
    instruction: Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """Put a call into the bridge `room`, which exists while both parties are in it."""

    token: Token
    room: RoomSid
    call: CallSid
    account: AccountSid


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterConference:
    """Let a call into the active conference of this name, or into a new one with the SID `new_room`."""

    token: Token
    call: CallSid
    account: AccountSid
    admission: Admission
    new_room: RoomSid


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveRoom:
    """Take a call out of its room, because its verb or the call has ended."""

    call: CallSid
    cause: Literal["hangup", "redirect", "dequeue", "done"] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseEntry:
    """Refuse a call whose wait document failed before the conference began."""

    call: CallSid
    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinQueue:
    """Wait in the queue of this name, which is created on first use with the SID `new_queue`."""

    token: Token
    call: CallSid
    account: AccountSid
    name: str
    new_queue: QueueSid


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveQueue:
    """Take a call out of its queue, because its verb or the call has ended."""

    call: CallSid
    result: Literal["leave", "redirected", "error", "hangup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetDialler:
    """Bridge a member, which has heard its dialler's document, with that dialler."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class DialQueue:
    """Ask a queue for its front member, and wait for one if it is empty. `StopDialQueue` cancels it."""

    token: Token
    call: CallSid
    account: AccountSid
    name: str
    room: RoomSid
    screen: WebRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDialQueue:
    """Cancel the wait of a dialler for a member."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class StartScript:
    """Run a further document for a call."""

    call: CallSid
    role: Role
    request: WebRequest | None
    """None: the built-in music."""
    instruction: Instruction | None = None
    """The document itself, in place of a request for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopScript:
    """End the script of this role, if one runs."""

    call: CallSid
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class NotePhoneHold:
    """Note that the phone of this participant began or ended a hold of its own, and whether it is heard meanwhile."""

    call: CallSid
    held: bool
    heard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteParticipant:
    """Note the progress of a call that is to become a participant; with `early_media` its phone sends audio already."""

    call: CallSid
    status: Literal["connecting", "ringing"]
    early_media: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAnnouncing:
    """Note that a participant's announcement has its document and begins."""

    call: CallSid
    instruction: Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAnnounced:
    """Note that a participant's announcement has ended; `code` is 0, or Twilio's code of its failure."""

    call: CallSid
    code: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginRecording:
    """Record a call, or a conference (`room`). `for_verb`: the call's script receives its facts.

    Units: the script is notified after `silence_s` seconds of silence; 0: never.
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
    """End a recording; nothing happens to one that has ended."""

    recording: RecordingSid


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
)
