"""Facts say what has happened: the shell posts them to the switch, and one noun emits them to another.

Point of view: *in* is from the party to us. Every fact is journaled, so it carries all that a replay needs.
Length: every fact has its class here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.voice.model.ids import CallSid, QueueSid, RecordingSid, RoomSid, Token

# --- from a leg ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRinging:
    """The callee's phone rings. A further fact with `early_media` may follow: it sends audio before it answers."""

    call: CallSid
    early_media: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LegAnswered:
    """The callee's phone answered; audio may flow. `sip_params` are its SIP parameters for the request to `action`."""

    call: CallSid
    sip_params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRefused:
    """The callee's phone, or a server on the way to it, refused the call before an answer.

    `sip_code` is the final SIP status; `code` Twilio's error when the target is unknown to us, else 0.
    """

    call: CallSid
    sip_code: int
    code: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEnded:
    """The far end hung up, gave up before we answered (`canceled`), or was lost (`lost`)."""

    call: CallSid
    cause: Literal["hangup", "canceled", "lost"] = "hangup"
    sip_code: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneHeld:
    """The phone put us on hold by itself (re-INVITE or UPDATE with sendonly, inactive or c=0.0.0.0).

    While `may_be_heard`, the others hear what it sends meanwhile, as far as that is loud (`HolderSounds`). The fact is
    posted again when that changes.
    """

    call: CallSid
    may_be_heard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HolderSounds:
    """A phone that holds and may be heard began to send audio that is not silence, or stopped."""

    call: CallSid
    sounds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneResumed:
    """The phone took us off its own hold."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitPressed:
    """The party pressed one digit, by RFC 4733 event, SIP INFO or in-band tone."""

    call: CallSid
    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSpeaks:
    """The party of a call began to speak, or stopped; only calls with speech detection report it."""

    call: CallSid
    speaks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LegReferred:
    """The phone answered our REFER: 202 when it will call the target, else a refusal."""

    call: CallSid
    sip_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralNotified:
    """The phone reported the progress of the call that we asked it for. `sip_code` 0: no status was given.

    After `is_over` no more reports follow. Units: `expires_s` in seconds, the life of the phone's subscription.
    """

    call: CallSid
    sip_code: int
    is_over: bool
    expires_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneRefers:
    """The phone asks to transfer its peer to `target`, its Refer-To as received."""

    call: CallSid
    target: str


# --- from the clock, the media process and the web ---------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    """The time of a `StartTimer` is over."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundEnded:
    """A sound of `PlaySound` was played to its end, all rounds."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundFailed:
    """A sound could not be fetched or decoded. `code` is Twilio's."""

    token: Token
    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFetched:
    """A web server answered a `FetchDocument`.

    Shape: `body` is the text of a document; when the server sent audio it is empty and `clip` names the decoded
    audio. `url` is the final address, to which relative URLs are relative.
    """

    token: Token
    url: str
    content_type: str
    body: str = ""
    clip: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFetchFailed:
    """A `FetchDocument` failed. `code` is Twilio's (11200 and its neighbours)."""

    token: Token
    url: str
    code: int
    message: str


# --- from the recorder --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureBegan:
    """A recording is being written; its audio will be at `url`."""

    recording: RecordingSid
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureQuiet:
    """A recording has been silent for the time that `StartCapture` names."""

    recording: RecordingSid


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureEnded:
    """A recording's file is complete. Units: `duration_s` in seconds; 0: there is no file.

    `error` says why it ended by itself, "" otherwise.
    """

    recording: RecordingSid
    duration_s: float
    error: str = ""


# --- from one noun to another ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRinging:
    """A leg dialled by this call rings."""

    call: CallSid
    child: CallSid
    early_media: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildDigitsStarted:
    """A leg dialled by this call answered, and receives touch tones before anything else."""

    call: CallSid
    child: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildAnswered:
    """A leg dialled by this call answered. `sip_params` are the parameters of `action` for a leg dialled by SIP."""

    call: CallSid
    child: CallSid
    sip_params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildScreened:
    """The screening document of an answered child has ended: bridge it."""

    call: CallSid
    child: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded:
    """A leg dialled by this call has ended. `status` is its final CallStatus."""

    call: CallSid
    child: CallSid
    status: str
    sip_code: int = 0
    sip_params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildDetached:
    """A leg dialled by this call received a document of its own and is no child from now on."""

    call: CallSid
    child: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRefers:
    """The phone of a leg dialled by this call asks to transfer this call to `target`."""

    call: CallSid
    child: CallSid
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEntered:
    """This call entered the room."""

    call: CallSid
    room: RoomSid


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRefused:
    """The room refused this call. `code` is Twilio's."""

    call: CallSid
    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomLeft:
    """This call left the room: the room ended, it was removed, or the other party of the bridge left."""

    call: CallSid
    room: RoomSid
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntered:
    """This call entered the queue and waits."""

    call: CallSid
    queue: QueueSid


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRefused:
    """The queue refused this call: it is full."""

    call: CallSid
    result: Literal["queue-full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLeft:
    """This call's wait ended by itself: `<Leave>`, or a wait document that failed."""

    call: CallSid
    result: Literal["leave", "error"]
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueTaken:
    """A dialler took this member; they are bridged in `room` once the document at `url` has ended (None: at once)."""

    call: CallSid
    queue: QueueSid
    dialler: CallSid
    waited_s: float
    room: RoomSid
    url: str | None = None
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueReturned:
    """The dialler that had taken this call left before they were bridged: it waits again, at the front."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperEnded:
    """The document that the dialler of a queue plays to its member has ended."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPrepared:
    """The dialler has a member, which hears the dialler's document first."""

    call: CallSid
    member: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLost:
    """The dialler's member left before they were bridged. `final`: no other member follows."""

    call: CallSid
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberReached:
    """The dialler of a queue may be bridged with this member."""

    call: CallSid
    member: CallSid
    queue: QueueSid
    waited_s: float
    room: RoomSid


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMissing:
    """The queue that the dialler named does not exist."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingBegan:
    """A recording that a verb of this call began is being written."""

    call: CallSid
    recording: RecordingSid
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingQuiet:
    """A recording that a verb of this call began has been silent for the time that the verb named."""

    call: CallSid
    recording: RecordingSid


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFinished:
    """A recording that a verb of this call began has ended. Units: seconds; 0 when there is no file."""

    call: CallSid
    recording: RecordingSid
    duration_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The running verb is interrupted from outside; it may return a final request."""

    call: CallSid
    cause: Literal["redirect", "hangup", "dequeue"]


LegFact = (
    LegRinging
    | LegAnswered
    | LegRefused
    | LegEnded
    | PhoneHeld
    | HolderSounds
    | PhoneResumed
    | DigitPressed
    | LegSpeaks
    | LegReferred
    | ReferralNotified
    | PhoneRefers
)
CaptureFact = CaptureBegan | CaptureQuiet | CaptureEnded
ShellFact = TimerFired | SoundEnded | SoundFailed | DocumentFetched | DocumentFetchFailed | CaptureFact
NounFact = (
    ChildRinging
    | ChildDigitsStarted
    | ChildAnswered
    | ChildScreened
    | ChildEnded
    | ChildDetached
    | ChildRefers
    | RoomEntered
    | RoomRefused
    | RoomLeft
    | QueueEntered
    | QueueRefused
    | QueueLeft
    | QueueTaken
    | QueueReturned
    | WhisperEnded
    | MemberPrepared
    | MemberLost
    | MemberReached
    | QueueMissing
    | RecordingBegan
    | RecordingQuiet
    | RecordingFinished
    | Interrupted
)
Fact = LegFact | ShellFact | NounFact
