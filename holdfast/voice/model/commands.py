"""Commands ask the switch for something: the REST API and SIP legs post them, and nouns emit them to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from holdfast.voice.model.ids import AccountSid, CallSid, QueueSid, RecordingSid, RoomSid

Method = Literal["GET", "POST"]
Role = Literal["main", "queue", "wait", "hold", "announce", "screen", "whisper", "comfort"]
"""The purpose of a script: the call's own document; a wait in a queue, or for a conference to begin; a participant's
hold; an announcement; a screening before the bridge; the document that the dialler of a queue plays to its member
before they are bridged; music while the only peer holds by its own phone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """A web request has an address, a method and a form, which is added to the standard parameters of the call."""

    url: str
    method: Method = "POST"
    form: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """An instruction names the source of a call's document, an address or the text itself, and a fallback request."""

    request: WebRequest | None = None
    twiml: str | None = None
    base_url: str = ""
    """The address to which relative addresses in `twiml` are relative."""
    fallback: WebRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """A callback is a subscription to status events.

    Shape: `events` are the subscribed words, e.g. `initiated ringing`.
    """

    url: str
    method: Method = "POST"
    events: tuple[str, ...] = ("completed",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOptions:
    """Recording options say what is recorded, how, and which application is notified.

    `dual`: each direction has its own channel.
    Source: Twilio API, Recording `source`; RecordingChannels, RecordingTrack, Trim.
    """

    source: Literal[
        "DialVerb", "Conference", "OutboundAPI", "RecordVerb", "StartCallRecordingAPI", "StartConferenceRecordingAPI"
    ]
    dual: bool = False
    track: Literal["both", "inbound", "outbound"] = "both"
    trim: bool = False
    callback: Callback | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The attributes of the `<Conference>` noun say how a call enters a conference. Source: TwiML <Conference>."""

    name: str
    muted: bool = False
    beep: str = "true"
    start_on_enter: bool = True
    end_on_exit: bool = False
    label: str | None = None
    wait: WebRequest | None = None
    """None: the built-in wait music; an empty `url`: silence."""
    max_participants: int = 250
    coach: CallSid | None = None
    callback: Callback | None = None
    record: RecordingOptions | None = None
    early_media: bool = False
    """Whether the room hears a party that is called in before it answers. Source: Participant resource, EarlyMedia."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A target is the callee of a call that the engine places.

    Shape: `to` is an E.164 number, `client:NAME`, a line's name, or a `sip:` URI; `headers` are extra SIP
    header fields. Source: TwiML <Number>, <Client>, <Sip>.
    """

    to: str
    headers: tuple[tuple[str, str], ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReserveParticipant:
    """List a call that has not answered yet as a participant of the conference that it will join."""

    call: CallSid
    account: AccountSid
    admission: Admission
    new_room: RoomSid


# --- of calls ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCall:
    """Call a target; when it answers, run the instruction. Source: Twilio API, POST Calls."""

    call: CallSid
    account: AccountSid
    target: Target
    from_: str
    instruction: Instruction
    callback: Callback | None = None
    timeout_s: int = 60
    time_limit_s: int = 14400
    send_digits: str = ""
    record: RecordingOptions | None = None
    reserve: ReserveParticipant | None = None
    """The conference in which this call is listed as a participant before it has answered."""
    caller_id: str = ""
    """What the callee's phone shows in place of `from_`, if not the same."""
    display_name: str = ""
    """The name that a SIP phone shows beside it."""
    wait_s: float = 0.0
    """The time that it waits for its turn to be placed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveCall:
    """Receive a call from a phone and run the dialled number's instruction.

    `extra_params` are webhook parameters (SipCallId …).
    """

    call: CallSid
    account: AccountSid
    from_: str
    to: str
    instruction: Instruction
    callback: Callback | None = None
    caller_name: str | None = None
    phone_number_sid: str | None = None
    extra_params: tuple[tuple[str, str], ...] = ()
    time_limit_s: int = 14400


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectCall:
    """Interrupt the call's document and run this one. Raises: CallNotInProgress."""

    call: CallSid
    instruction: Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCall:
    """Hang up (`completed`), or cancel a call that was not answered (`canceled`). Raises: CallNotInProgress."""

    call: CallSid
    status: Literal["completed", "canceled"] = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCall:
    """Replace a call's stored settings; None leaves a setting as it is. Raises: CallNotInProgress."""

    call: CallSid
    fallback: WebRequest | None = None
    callback: Callback | None = None
    time_limit_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetCall:
    """Delete the record of a finished call. Raises: RecordNotFinished."""

    call: CallSid


# --- of rooms ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeParticipant:
    """Change one participant's own values; None leaves a value as it is.

    Raises: NotFound, CoachTargetHeld, CoachTargetAbsent. Source: Twilio API, POST Participants/{CallSid}.
    """

    room: RoomSid
    call: CallSid
    muted: bool | None = None
    hold: bool | None = None
    hold_request: WebRequest | None = None
    """None: the built-in hold music; an empty `url`: silence."""
    announce: WebRequest | None = None
    wait: WebRequest | None = None
    end_on_exit: bool | None = None
    beep_on_exit: bool | None = None
    coaching: bool | None = None
    coach: CallSid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveParticipant:
    """Remove a participant from its conference. Raises: NotFound."""

    room: RoomSid
    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRoom:
    """End a conference for all its participants; nothing happens to one that is completed."""

    room: RoomSid


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceToRoom:
    """Play a document to every participant. Raises: ConferenceNotActive."""

    room: RoomSid
    request: WebRequest


# --- of queues -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateQueue:
    """Create an empty queue. Raises: QueueNameTaken."""

    queue: QueueSid
    account: AccountSid
    name: str
    max_size: int | None = None
    """None: the default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQueue:
    """Rename or resize a queue. Raises: QueueNameTaken, NotFound."""

    queue: QueueSid
    name: str | None = None
    max_size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteQueue:
    """Remove an empty queue. Raises: QueueNotEmpty, NotFound."""

    queue: QueueSid


@dataclass(frozen=True, slots=True, kw_only=True)
class DequeueMember:
    """Take one member out of a queue and give it a document. `call` None: the front member. Raises: NotFound."""

    queue: QueueSid
    call: CallSid | None
    request: WebRequest


# --- of recordings ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCall:
    """Start to record a call. Raises: CallNotInProgress."""

    call: CallSid
    recording: RecordingSid
    options: RecordingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecording:
    """Pause a recording (without the pause, or with silence in its place), continue it, or stop it.

    Raises: NotFound, RecordingNotActive.
    """

    recording: RecordingSid
    status: Literal["paused", "in-progress", "stopped"]
    skip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecording:
    """Delete the audio of a finished recording and keep its record. Raises: NotFound, RecordNotFinished."""

    recording: RecordingSid


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetRecording:
    """Delete the record of a recording whose audio was deleted. Raises: NotFound, RecordNotFinished."""

    recording: RecordingSid


RestCommand = (
    CreateCall
    | ReceiveCall
    | RedirectCall
    | EndCall
    | ChangeCall
    | ForgetCall
    | ChangeParticipant
    | RemoveParticipant
    | EndRoom
    | AnnounceToRoom
    | CreateQueue
    | ChangeQueue
    | DeleteQueue
    | DequeueMember
    | RecordCall
    | ChangeRecording
    | DeleteRecording
    | ForgetRecording
)
