"""Effects tell the runtime what to do.

The runtime carries out a `MediaEffect` at once, and all others after their step is in the journal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.voice.model.commands import (
    Target,
    WebRequest,
)
from holdfast.voice.model.ids import CallSid, RecordingSid, RoomSid, Token

# --- audio: carried out at once -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A seat is a participant's place in the audio of its room. Who hears whom follows from the seats alone.

    `held`: it is not heard, hears no party and no beep. `muted`: it is not heard. `listens`: it hears the room, and not
    its own player, which is silent while it plays nothing. `coach`: of all listeners this call alone hears it. `rings`:
    its phone rings, so the others hear its player in its place, and it hears nothing.
    """

    call: CallSid
    held: bool = False
    muted: bool = False
    listens: bool = True
    coach: CallSid | None = None
    rings: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAudio:
    """Change the seats of a room from the next tick on. A call that `left` hears its own player.

    Shape: only the seats that change.
    """

    room: RoomSid
    seats: tuple[Seat, ...] = ()
    left: tuple[CallSid, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DropUnheard:
    """Discard the buffered audio of these calls, which they sent while no party was to hear them."""

    calls: tuple[CallSid, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaySound:
    """Play a sound to this leg alone, in place of the one that its player plays now.

    Shape: `source` is an http(s) URL, `clip:ID` (already fetched), `digits:…`, `ringing:COUNTRY`,
    `say:LANGUAGE:man|woman:SSML`, or `builtin:music`, `builtin:hold`, `builtin:ringback`, `builtin:beep`,
    or `leg:CALL`: what that call's phone sends.
    Units: `rounds`, 0 means up to 1000.
    """

    token: Token
    source: str
    rounds: int = 1
    while_loading: Token | None = None
    """Play only until that sound of the same leg, which is still loading, begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSound:
    """Stop this sound if the leg's player still plays it."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Beep:
    """Mix a short tone into the audio of a room's participants, because these `moved`: they entered, or left.

    Those on hold do not hear it, nor those in `without`.
    """

    room: RoomSid
    tone: Literal["entry", "exit"]
    moved: tuple[CallSid, ...]
    without: tuple[CallSid, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSpeech:
    """Report when these calls' parties begin and stop to speak (`LegSpeaks`), or stop the reports."""

    calls: tuple[CallSid, ...]
    enabled: bool


# --- the shell ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    """Post `TimerFired(token)` after this time. Units: seconds."""

    token: Token
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTimer:
    """Cancel this timer."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchDocument:
    """Request the next document from a web server, signed and with the call's own cookies.

    Shape: `request.form` is complete (standard parameters included), in the order sent. `cacheable` allows a cached
    answer at once, which is revalidated afterwards (hold music must not wait). DocumentFetched or
    DocumentFetchFailed answers it, with the same token.
    """

    token: Token
    call: CallSid
    request: WebRequest
    cacheable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopFetch:
    """Discard the answer to this request when it arrives."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class PostCallback:
    """Report an event to a web server, signed; its answer changes nothing. `form` is complete."""

    call: CallSid | None
    kind: Literal["call", "conference", "recording", "message", "superseded"]
    request: WebRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNotification:
    """Log an error or a warning for the developer: Twilio's Notification. `log` 0 is an error, 1 a warning."""

    call: CallSid | None
    code: int
    log: Literal[0, 1]
    message: str
    url: str = ""


# --- the leg -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceLeg:
    """Call the target. LegRinging, then LegAnswered or LegRefused answers it.

    `peer` is the call that it is to talk with: the codec of that call's phone is offered first, so that no audio
    between them needs to be transcoded.
    """

    call: CallSid
    target: Target
    from_: str
    caller_name: str | None = None
    peer: CallSid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RingLeg:
    """Send a caller's phone 180 Ringing, or with `early_media` 183 and audio from now on.

    Source: RFC 3960 §3.
    """

    call: CallSid
    early_media: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLeg:
    """Answer a caller's phone (200)."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseLeg:
    """Refuse a caller's phone with this SIP status."""

    call: CallSid
    sip_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUpLeg:
    """End the leg in any state: BYE when answered, CANCEL when we called, 480 when the caller was not answered.

    The leg reports no more facts.
    """

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferLeg:
    """Ask the phone to call this URI in place of us (REFER). LegReferred, then ReferralNotified answers it."""

    call: CallSid
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReferral:
    """Answer a phone's PhoneRefers: 202 and a notification that the transfer succeeded, or a refusal."""

    call: CallSid
    sip_code: int


# --- recordings -------------------------------------------------------------------------------------------

CaptureSource = tuple[CallSid | RoomSid, Literal["says", "hears"]]
"""The audio of a recording comes from a call's party (`says`), or is what that party hears (`hears`).

What a room says is what all who listen there may hear: no party that is on hold or muted, and no coach.
"""
CaptureChannels = tuple[tuple[CaptureSource, ...], ...]
"""The sources of each channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCapture:
    """Write the audio of these channels to a file. CaptureBegan answers it, and CaptureEnded at the end.

    Units: CaptureQuiet follows after `silence_s` seconds of silence; 0: never.
    """

    recording: RecordingSid
    channels: CaptureChannels
    silence_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCapture:
    """Continue a recording (`on`), write silence in its place (`silent`), or write nothing (`off`)."""

    recording: RecordingSid
    mode: Literal["on", "silent", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCapture:
    """Complete the file, with `trim` without the silence at its ends. CaptureEnded answers it."""

    recording: RecordingSid
    trim: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseCapture:
    """Delete the file of a recording."""

    recording: RecordingSid


# --- traces for `ladder` and `explain` --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbBegan:
    """Write to the journal that a script began a verb."""

    call: CallSid
    role: str
    verb: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRefusal:
    """Log and count a message that the table of a noun does not list for its status; the noun stays as it is."""

    noun: str
    """The SID of the call, the conference or the recording."""
    status: str
    message: str
    """The name of the message's class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HearsChanged:
    """Write to the journal what a call's party hears: its own player (None), silence, one other call, or its room."""

    call: CallSid
    hears: tuple[CallSid | RoomSid, ...] | None


MediaEffect = RouteAudio | DropUnheard | PlaySound | StopSound | Beep | DetectSpeech | ChangeCapture
LegEffect = PlaceLeg | RingLeg | AnswerLeg | RefuseLeg | HangUpLeg | ReferLeg | AnswerReferral
WebEffect = FetchDocument | StopFetch | PostCallback | LogNotification
CaptureEffect = StartCapture | ChangeCapture | StopCapture | EraseCapture
TraceEffect = VerbBegan | LogRefusal | HearsChanged
Effect = MediaEffect | LegEffect | WebEffect | CaptureEffect | StartTimer | StopTimer | TraceEffect
