"""Commands: what is asked of the switch by the REST door or the SIP door, or by one noun of another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from holdfast.voice.model.ids import AccountSid, CallSid, QueueSid, RecordingSid, RoomSid

Method = Literal["GET", "POST"]
Role = Literal["main", "queue", "wait", "hold", "announce", "screen", "whisper", "comfort"]
"""What a script is for: the call's own document; a wait in a queue, or for a conference to begin; a participant's
hold; an announcement; a screening before the bridge; what the dialler of a
queue lets its member hear before they meet; music while the only peer holds by its own phone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRequest:
    """An address to ask, and how. `form` is added to the standard parameters of the call."""

    url: str
    method: Method = "POST"
    form: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """Where a call's document comes from: an address, or the text itself (`twiml`); and whom to ask if it fails."""

    request: WebRequest | None = None
    twiml: str | None = None
    base_url: str = ""
    """What relative addresses in `twiml` are relative to."""
    fallback: WebRequest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """Who wants to hear of events. Shape: `events` are the subscribed words, e.g. `initiated ringing`."""

    url: str
    method: Method = "POST"
    events: tuple[str, ...] = ("completed",)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingOptions:
    """What is recorded, how, and who hears of it. `dual`: each direction has its own channel.

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
    """How a call enters a conference: the attributes of the `<Conference>` noun. Source: TwiML <Conference>."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom to call.

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
    """List a call that is only being placed as a participant of the conference it will join."""

    call: CallSid
    account: AccountSid
    admission: Admission
    new_room: RoomSid


# --- of calls ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateCall:
    """Call somebody; when they answer, run the instruction. Source: Twilio API, POST Calls."""

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
    """Where this call is listed as a participant before it has answered."""
    wait_s: float = 0.0
    """How long it waits for its turn to be placed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveCall:
    """A phone called in; run the dialled number's instruction. `extra` are webhook parameters (SipCallId …)."""

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
    """Abort whatever the call's script does and run this. Raises: CallNotInProgress."""

    call: CallSid
    instruction: Instruction


@dataclass(frozen=True, slots=True, kw_only=True)
class EndCall:
    """Hang up (`completed`), or give up a call that was not answered (`canceled`). Raises: CallNotInProgress."""

    call: CallSid
    status: Literal["completed", "canceled"] = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCall:
    """Replace a call's stored settings; None leaves as it is. Raises: CallNotInProgress."""

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
    """Change one participant's own values; None leaves as it is.

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
    """Kick a participant. Raises: NotFound."""

    room: RoomSid
    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class EndRoom:
    """End a conference for everybody in it; nothing happens to one that is completed."""

    room: RoomSid


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceToRoom:
    """Play something to every participant. Raises: ConferenceNotActive."""

    room: RoomSid
    request: WebRequest


# --- of queues -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateQueue:
    """Make an empty queue. Raises: QueueNameTaken."""

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
    """Take one waiting call out of a queue and give it a document. `call` None: the front one. Raises: NotFound."""

    queue: QueueSid
    call: CallSid | None
    request: WebRequest


# --- of recordings ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCall:
    """Record a call from now on. Raises: CallNotInProgress."""

    call: CallSid
    recording: RecordingSid
    options: RecordingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRecording:
    """Pause a recording (leaving the pause out, or as silence), go on with it, or stop it.

    Raises: NotFound, RecordingNotActive.
    """

    recording: RecordingSid
    status: Literal["paused", "in-progress", "stopped"]
    skip: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRecording:
    """Delete the sound of a recording that is over; what is known of it stays. Raises: NotFound, RecordNotFinished."""

    recording: RecordingSid


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetRecording:
    """Forget what is known of a recording whose sound was deleted. Raises: NotFound, RecordNotFinished."""

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
