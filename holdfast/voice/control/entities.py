"""The nouns are frozen values: Call, Room with its Participants, Queue with its Members, Recording.

The machines in `call`, `conference`, `queue` and `recording` decide what happens to them. Statuses are Twilio's wire
strings, and the tables in `statuses` say which may follow. Units: every `…_at` is seconds since the Unix epoch on the
engine's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.voice.control.statuses import FINAL, CallStatus, ParticipantStatus, RecordingStatus, RoomStatus
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

Direction = Literal["inbound", "outbound-api", "outbound-dial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call is one party's relation to the engine, from `queued` to one final status.

    Invariant: `controlled_by` is the call whose `<Dial>` controls this one, and is None once it has a document of its
    own, while `parent` does not change. There is at most one script per role.
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
    """How to record it from its answer on."""
    caller_id: str = ""
    """What the callee's phone shows in place of `from_`, if not the same."""
    display_name: str = ""
    """The name that the callee's phone shows."""
    send_digits: str = ""
    """The touch tones that the callee's phone receives first, once it has answered."""
    sip_params: tuple[tuple[str, str], ...] = ()
    """The DialSip… parameters from the SIP answer of the callee's phone."""
    screen: WebRequest | None = None
    fallback: WebRequest | None = None
    time_limit_s: int = 14400
    timeout_s: int = 60
    extra_params: tuple[tuple[str, str], ...] = ()
    queue_time_s: float = 0.0
    """The time that it waits or has waited for its turn to be placed."""
    target: Target | None = None
    """The callee, until the call is placed; None from then on."""
    early_media: bool = False
    """Whether it received audio before it was answered."""
    phone_held: bool = False
    phone_held_at: float | None = None
    """The time at which its own phone held."""
    holder_may_be_heard: bool = False
    """Whether the others may hear what its phone sends while it holds."""
    holder_heard: bool = False
    """Whether they hear it: its phone may be heard, and sends no silence."""
    queue_wait: WebRequest | None = None
    """The waitUrl of the queue it waits in, requested each time its document ends; None: the built-in music."""
    scripts: tuple[Script, ...] = ()
    scripts_started: int = 0

    @property
    def live(self) -> bool:
        """Return whether the call has not ended."""
        return self.status not in FINAL

    def script(self, role: str) -> Script | None:
        """Return the script of this role, if one runs."""
        return next((script for script in self.scripts if script.role == role), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """A participant is a call's membership of a room. Who hears whom follows from these values and is never stored.

    Invariant: `held`, `muted`, `phone_held` and `coach` are separate inputs; a change of one leaves the others.
    `holder_heard` is true only with `phone_held`.
    """

    call: CallSid
    joined_at: float
    updated_at: float
    place: int = 0
    """Its place in the order of the room's participants, of which each has another."""
    status: ParticipantStatus = "connected"
    label: str | None = None
    muted: bool = False
    held: bool = False
    hold: WebRequest | None = None
    phone_held: bool = False
    holder_heard: bool = False
    """Whether the others hear what its phone sends while it holds, as their hold music."""
    speaking: bool = False
    """Whether its party speaks, if the application subscribed to speaker events."""
    hears_comfort: bool = False
    """Whether it hears music because every party it could hear holds by its own phone."""
    announcement: WebRequest | None = None
    """An announcement to it alone, requested or playing."""
    hears_announcement: bool = False
    """Whether it hears an announcement, to it alone or to all."""
    announced: bool = False
    """Whether it is to hear the announcement to all, or still hears it."""
    coaching: bool = False
    coach: CallSid | None = None
    start_on_enter: bool = True
    end_on_exit: bool = False
    beep: str = "true"
    wait: WebRequest | None = None
    hears_wait: bool = False
    """Whether it hears the wait document, because the conference has not begun."""
    early_media: bool = False
    """Whether the room hears it before it answers."""
    early_audio: Literal["", "ringing", "phone"] = ""
    """What the room hears of it before it answers: nothing, ringing, or what its phone sends."""
    hears_early: bool = False
    """Whether it hears a party that is called in, in place of the wait document."""

    @property
    def silenced_by_phone(self) -> bool:
        """Return whether its phone holds and is not heard meanwhile."""
        return self.phone_held and not self.holder_heard


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An announcement to a whole conference is fetched for its first listener, then all listeners hear it."""

    request: WebRequest
    leader: CallSid | None
    """The call whose script fetches the document; None once the document has arrived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """A room is where audio meets: a conference, or the bridge of two legs (`kind`)."""

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
    """How to record it from its beginning on."""
    reason_ended: str | None = None
    call_ending: CallSid | None = None

    def participant(self, call: CallSid) -> Participant | None:
        """Return the participant of this call, if it is in the room."""
        return next((member for member in self.participants if member.call == call), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member is a call that waits in a queue."""

    call: CallSid
    entered_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialler:
    """A dialler is a call that waits for a member to enter the queue."""

    call: CallSid
    room: RoomSid
    screen: WebRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """An introduction: a member that hears its dialler's document before they are bridged; it no longer waits."""

    member: Member
    dialler: Dialler
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A queue holds waiting calls, first in first out. Invariant: members and diallers never wait at the same time."""

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
        """Return the mean waiting time of the members. Units: whole seconds, 0 when empty."""
        if not self.members:
            return 0
        return int(sum([now - member.entered_at for member in self.members]) / len(self.members))


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A recording is audio written to a file: of a call, or of a conference (`room`).

    Units: `duration_s` whole seconds, None until it has ended.
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
    """Whether a verb of the call began it and receives its facts."""
    duration_s: int | None = None
    error_code: int = 0
    url: str = ""

    @property
    def live(self) -> bool:
        """Return whether it may still grow."""
        return self.status in (RecordingStatus.IN_PROGRESS, RecordingStatus.PAUSED)

    @property
    def unfinished(self) -> bool:
        """Return whether it has ended and its file is not complete yet."""
        return self.status in (RecordingStatus.STOPPED, RecordingStatus.PROCESSING)


__all__ = [
    "FINAL",
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
