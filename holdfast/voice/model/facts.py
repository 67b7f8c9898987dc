"""Facts: what has happened, told to the switch by the shell or by one noun to another (past tense).

Point of view: *in* is from the party to us. Every fact is journaled, so it carries all that a replay needs.
Length: every fact there is, one class each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.voice.model.ids import CallSid, QueueSid, RecordingSid, RoomSid, Token

# --- from a leg ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRinging:
    """The called phone rings. With `early_media` it sends sound before it answers, which may come after a first one."""

    call: CallSid
    early_media: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LegAnswered:
    """The called phone answered; sound may flow. `sip` are the words about it for the request to `action`."""

    call: CallSid
    sip_params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRefused:
    """The called phone, or the way to it, ended the attempt before an answer.

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
    """The phone put us on hold by itself (re-INVITE or UPDATE with sendonly, inactive or c=0.0.0.0)."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneResumed:
    """The phone took us off its own hold."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitPressed:
    """One key, by RFC 4733 event, SIP INFO or in-band tone."""

    call: CallSid
    digit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegSpeaks:
    """The party of a call that is listened to began to speak, or stopped."""

    call: CallSid
    speaks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LegReferred:
    """The phone answered our REFER: 202 when it will call the one we named, else it will not."""

    call: CallSid
    sip_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralNotified:
    """The phone told how the call fares that we asked it for. `sip_code` 0: it did not say.

    After `is_over` no more comes. Units: `lasts_s`, how long the phone says it goes on telling.
    """

    call: CallSid
    sip_code: int
    is_over: bool
    expires_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneRefers:
    """The phone asks that whom it talks to is put through to `target`, its Refer-To as it came."""

    call: CallSid
    target: str


# --- from the clock, the media plane and the web -----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    """The time asked for with `StartTimer` is over."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundEnded:
    """A sound asked for with `PlaySound` was played to its end, all rounds."""

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

    Shape: `body` is the text of a document; when the server sent audio it is empty and `clip` names the
    sound, ready to play. `url` is the final address, which relative URLs are relative to.
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


# --- from where recordings are made ------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureBegan:
    """A recording is being written; in the end its sound is at `url`."""

    recording: RecordingSid
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureQuiet:
    """A recording has had silence alone for as long as was asked with `StartCapture`."""

    recording: RecordingSid


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureEnded:
    """A recording's file is complete. Units: `duration_s` of what was kept; 0: there is no file.

    `error` says why it ended without having been asked to, "" otherwise.
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
    """A leg dialled by this call answered, and is sent touch tones before anything else."""

    call: CallSid
    child: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildAnswered:
    """A leg dialled by this call answered. `sip` is what `action` is told of the phone, when it was dialled by SIP."""

    call: CallSid
    child: CallSid
    sip_params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildScreened:
    """The screening document of an answered child came to its end: bridge it."""

    call: CallSid
    child: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnded:
    """A leg dialled by this call is over. `status` is its final CallStatus."""

    call: CallSid
    child: CallSid
    status: str
    sip_code: int = 0
    sip_params: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildDetached:
    """A leg dialled by this call was given a document of its own and is nobody's child from now on."""

    call: CallSid
    child: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildRefers:
    """The phone of a leg dialled by this call asks that this call is put through to `target`."""

    call: CallSid
    child: CallSid
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomEntered:
    """This call is in the room."""

    call: CallSid
    room: RoomSid


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRefused:
    """This call was not let into the room. `code` is Twilio's."""

    call: CallSid
    code: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomLeft:
    """This call is out of the room: the room ended, it was removed, or its bridge lost the other party."""

    call: CallSid
    room: RoomSid
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntered:
    """This call waits in the queue."""

    call: CallSid
    queue: QueueSid


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRefused:
    """This call could not wait: the queue is full."""

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
    """A dialler took this waiting call; they meet in `room` once it has heard the document at `url` (None: at once)."""

    call: CallSid
    queue: QueueSid
    dialler: CallSid
    waited_s: float
    room: RoomSid
    url: str | None = None
    method: str = "POST"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueReturned:
    """The dialler that had taken this call went away before they met: it waits again, at the front."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperEnded:
    """The document that the dialler of a queue lets its member hear came to its end."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPrepared:
    """The dialler's member hears the document it is to hear first."""

    call: CallSid
    member: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberLost:
    """The dialler's member left before they met. `final`: there will be no other."""

    call: CallSid
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberReached:
    """The dialler of a queue has been given this member."""

    call: CallSid
    member: CallSid
    queue: QueueSid
    waited_s: float
    room: RoomSid


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMissing:
    """The dialler of a queue named one that does not exist."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingBegan:
    """A recording that a verb of this call asked for is being made."""

    call: CallSid
    recording: RecordingSid
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingQuiet:
    """A recording that a verb of this call asked for has been silent for as long as it said."""

    call: CallSid
    recording: RecordingSid


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFinished:
    """A recording that a verb of this call asked for is over. Units: seconds; 0 when nothing was kept."""

    call: CallSid
    recording: RecordingSid
    duration_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The verb that runs is taken away from outside; it may say which goodbye request is due."""

    call: CallSid
    cause: Literal["redirect", "hangup", "dequeue"]


LegFact = (
    LegRinging
    | LegAnswered
    | LegRefused
    | LegEnded
    | PhoneHeld
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
