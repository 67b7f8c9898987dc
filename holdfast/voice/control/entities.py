"""The nouns' frozen states: Call, Room with its Participants, Queue with its Members.

Values only; what happens to them is in `call`, `room` and `queue`. Statuses are Twilio's wire strings, and their
tables say which may follow which. Units: every `…_at` is seconds since the Unix epoch on the engine's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from holdfast.voice.model.commands import (
    Admission,
    Callback,
    Instruction,
    RecordingOptions,
    Target,
    WebRequest,
)
from holdfast.voice.model.ids import AccountSid, CallSid, QueueSid, RecordingSid, RoomSid
from holdfast.voice.twiml.script import Script


class CallStatus(StrEnum):
    """Where a call is in its life. Source: Twilio API, Call `status`."""

    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    BUSY = "busy"
    NO_ANSWER = "no-answer"
    CANCELED = "canceled"
    FAILED = "failed"


FINAL = frozenset({CallStatus.COMPLETED, CallStatus.BUSY, CallStatus.NO_ANSWER, CallStatus.CANCELED, CallStatus.FAILED})

CALL_TRANSITIONS: dict[CallStatus, frozenset[CallStatus]] = {
    CallStatus.QUEUED: frozenset({CallStatus.RINGING, CallStatus.IN_PROGRESS}) | (FINAL - {CallStatus.COMPLETED}),
    CallStatus.RINGING: frozenset({CallStatus.IN_PROGRESS}) | (FINAL - {CallStatus.COMPLETED}),
    CallStatus.IN_PROGRESS: frozenset({CallStatus.COMPLETED}),
    **{status: frozenset() for status in FINAL},
}

Direction = Literal["inbound", "outbound-api", "outbound-dial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One party's relation to the engine, from `queued` to one final status.

    Invariant: `boss` is the call whose `<Dial>` owns this leg, and is None from the moment the leg has a document
    of its own, while `parent` stays what it was. At most one script per role.
    """

    sid: CallSid
    account: AccountSid
    direction: Direction
    from_: str
    to: str
    status: CallStatus
    created_at: float
    updated_at: float
    started_at: float | None = None
    answered_at: float | None = None
    ended_at: float | None = None
    caller_name: str | None = None
    phone_number_sid: str | None = None
    parent: CallSid | None = None
    controlled_by: CallSid | None = None
    sip_code: int = 0
    callback: Callback | None = None
    callbacks_sent: int = 0
    instruction: Instruction | None = None
    record: RecordingOptions | None = None
    """How it is to be recorded from the moment it is answered."""
    send_digits: str = ""
    """Touch tones to be sent once the called phone has answered, before anything else."""
    sip_params: tuple[tuple[str, str], ...] = ()
    """What the called phone's SIP answer said of itself."""
    screen: WebRequest | None = None
    fallback: WebRequest | None = None
    time_limit_s: int = 14400
    timeout_s: int = 60
    extra_params: tuple[tuple[str, str], ...] = ()
    queue_time_s: float = 0.0
    """How long it had to wait, or has, for its turn to be placed."""
    target: Target | None = None
    """Whom to call when its turn comes; None from then on."""
    early_media: bool = False
    """Whether it was sent sound before it was answered."""
    phone_held: bool = False
    phone_held_at: float | None = None
    """Since when its own phone holds."""
    queue_wait: WebRequest | None = None
    """The waitUrl of the queue it waits in, to be asked again and again; None: the built-in music."""
    scripts: tuple[Script, ...] = ()
    scripts_started: int = 0

    @property
    def live(self) -> bool:
        """Whether the call has not ended."""
        return self.status not in FINAL

    def script(self, role: str) -> Script | None:
        """The script of that role, if one runs."""
        return next((script for script in self.scripts if script.role == role), None)


class RoomStatus(StrEnum):
    """Where a conference is in its life. Source: Twilio API, Conference `status`."""

    INIT = "init"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"


ROOM_TRANSITIONS: dict[RoomStatus, frozenset[RoomStatus]] = {
    RoomStatus.INIT: frozenset({RoomStatus.IN_PROGRESS, RoomStatus.COMPLETED}),
    RoomStatus.IN_PROGRESS: frozenset({RoomStatus.COMPLETED}),
    RoomStatus.COMPLETED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A call's membership of a room. Who hears whom follows from these values and is never stored.

    Invariant: `held`, `muted`, `phone_held` and `coach` are separate inputs; lifting one leaves the others.
    """

    call: CallSid
    joined_at: float
    updated_at: float
    status: Literal["queued", "connecting", "ringing", "connected"] = "connected"
    label: str | None = None
    muted: bool = False
    held: bool = False
    hold: WebRequest | None = None
    phone_held: bool = False
    speaking: bool = False
    """Whether its party speaks, as far as anybody wants to hear of it."""
    hears_comfort: bool = False
    """Hears music because every party it could hear holds by its own phone."""
    announcement: WebRequest | None = None
    """An announcement to it alone, asked for or heard."""
    hears_announcement: bool = False
    """Hears an announcement, to it alone or to all."""
    coaching: bool = False
    coach: CallSid | None = None
    start_on_enter: bool = True
    end_on_exit: bool = False
    beep: str = "true"
    wait: WebRequest | None = None
    hears_wait: bool = False
    """Hears the wait document, because the conference has not begun."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What is announced to a whole conference: one asks for the document, then all hear it."""

    request: WebRequest
    leader: CallSid | None
    """Who asks for the document; None once it is there."""
    listeners: tuple[CallSid, ...]
    """Who is to hear it, or hears it still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Where audio meets: a conference, or the bridge of two legs (`kind`)."""

    sid: RoomSid
    account: AccountSid
    kind: Literal["conference", "bridge"]
    name: str
    created_at: float
    updated_at: float
    status: RoomStatus = RoomStatus.INIT
    participants: tuple[Participant, ...] = ()
    max_participants: int = 250
    callback: Callback | None = None
    callbacks_sent: int = 0
    announcement: Announcement | None = None
    record: RecordingOptions | None = None
    """How it is to be recorded from the moment it begins."""
    reason_ended: str | None = None
    call_ending: CallSid | None = None

    def participant(self, call: CallSid) -> Participant | None:
        """The participant that call is, if it is one."""
        return next((member for member in self.participants if member.call == call), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A call that waits in a queue."""

    call: CallSid
    entered_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialler:
    """A call that waits for somebody to enter the queue."""

    call: CallSid
    room: RoomSid
    screen: WebRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """A member that hears its dialler's document before they meet; it counts as waiting no longer."""

    member: Member
    dialler: Dialler
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """An ordered waiting place, first in first out. Invariant: members and diallers never wait at the same time."""

    sid: QueueSid
    account: AccountSid
    name: str
    created_at: float
    updated_at: float
    max_size: int = 1000
    members: tuple[Member, ...] = ()
    diallers: tuple[Dialler, ...] = ()
    introductions: tuple[Introduction, ...] = ()
    deleted: bool = False

    def average_wait_s(self, now: float) -> int:
        """Mean time those who wait have waited. Units: whole seconds, 0 when empty."""
        if not self.members:
            return 0
        return int(sum([now - member.entered_at for member in self.members]) / len(self.members))


class RecordingStatus(StrEnum):
    """Where a recording is in its life. Source: Twilio API, Recording `status`."""

    IN_PROGRESS = "in-progress"
    PAUSED = "paused"
    STOPPED = "stopped"
    PROCESSING = "processing"
    COMPLETED = "completed"
    ABSENT = "absent"
    FAILED = "failed"
    DELETED = "deleted"


_MADE = (RecordingStatus.COMPLETED, RecordingStatus.ABSENT, RecordingStatus.FAILED)
RECORDING_TRANSITIONS: dict[RecordingStatus, frozenset[RecordingStatus]] = {
    RecordingStatus.IN_PROGRESS: frozenset(
        {RecordingStatus.PAUSED, RecordingStatus.STOPPED, RecordingStatus.PROCESSING}
    ),
    RecordingStatus.PAUSED: frozenset(
        {RecordingStatus.IN_PROGRESS, RecordingStatus.STOPPED, RecordingStatus.PROCESSING}
    ),
    RecordingStatus.STOPPED: frozenset(_MADE),
    RecordingStatus.PROCESSING: frozenset(_MADE),
    **{status: frozenset({RecordingStatus.DELETED}) for status in _MADE},
    RecordingStatus.DELETED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """Sound that is, or was, written down: of a call, or of a conference (`room`).

    Units: `duration_s` whole seconds, None until it is over.
    """

    sid: RecordingSid
    account: AccountSid
    call: CallSid | None
    room: RoomSid | None
    options: RecordingOptions
    channels: int
    status: RecordingStatus
    created_at: float
    updated_at: float
    for_verb: bool = False
    """Whether a verb of the call waits for it."""
    duration_s: int | None = None
    error_code: int = 0
    url: str = ""

    @property
    def live(self) -> bool:
        """Whether more may come into it."""
        return self.status in (RecordingStatus.IN_PROGRESS, RecordingStatus.PAUSED)

    @property
    def unfinished(self) -> bool:
        """Whether it is over, and its file is still to come."""
        return self.status in (RecordingStatus.STOPPED, RecordingStatus.PROCESSING)


__all__ = [
    "CALL_TRANSITIONS",
    "FINAL",
    "RECORDING_TRANSITIONS",
    "ROOM_TRANSITIONS",
    "Admission",
    "Announcement",
    "Call",
    "CallStatus",
    "Dialler",
    "Direction",
    "Introduction",
    "Member",
    "Participant",
    "Queue",
    "Recording",
    "RecordingStatus",
    "Room",
    "RoomStatus",
]
