"""Effects: what the runtime is to do. Those of `MediaEffect` leave at once, all others after the step they belong to
is in the journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.voice.model.commands import (
    Target,
    WebRequest,
)
from holdfast.voice.model.ids import CallSid, RecordingSid, Token

Hears = tuple[CallSid, ...] | None
"""What one ear hears: these legs, or (None) its own player, which is silent while it plays nothing."""

# --- sound: leaves at once -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteAudio:
    """Who hears whom from the next tick on. Shape: only the ears that change."""

    hears: tuple[tuple[CallSid, Hears], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DropUnheard:
    """What waits to be played of these calls was said while they were not to be heard: nobody hears it later."""

    calls: tuple[CallSid, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaySound:
    """Play to this leg alone, in place of what its player plays now.

    Shape: `source` is an http(s) URL, `clip:ID` (already fetched), `digits:…`, `ringing:COUNTRY`,
    `say:LANGUAGE:man|woman:SSML`, or `builtin:music`, `builtin:hold`, `builtin:ringback`, `builtin:beep`,
    or `leg:CALL`: what that call's phone sends.
    Units: `rounds`, 0 means up to 1000.
    """

    token: Token
    source: str
    rounds: int = 1
    while_loading: Token | None = None
    """Play only while that sound of the same leg is still on its way; it takes over when it comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSound:
    """Stop that sound if the leg's player still plays it."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Beep:
    """Lay a short tone over whatever these legs hear: somebody came in, or went out."""

    listeners: tuple[CallSid, ...]
    tone: Literal["entry", "exit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectSpeech:
    """Tell when these calls' parties begin to speak and stop (`LegSpeaks`), or no more."""

    calls: tuple[CallSid, ...]
    enabled: bool


# --- the shell ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    """Tell `TimerFired(token)` after this time. Units: seconds."""

    token: Token
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTimer:
    """Forget that timer."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchDocument:
    """Ask a web server what to do next; signed; cookies are the call's own.

    Shape: `request.form` is complete (standard parameters included), in the order sent. `keep` allows a cached
    answer at once, revalidated behind it (hold music must not wait). Answered by DocumentFetched or
    DocumentFetchFailed with the same token.
    """

    token: Token
    call: CallSid
    request: WebRequest
    cacheable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StopFetch:
    """Nobody waits for that answer any more: it is read and dropped."""

    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class PostCallback:
    """Tell a web server of an event; signed; its answer changes nothing. `form` is complete."""

    call: CallSid | None
    kind: Literal["call", "conference", "recording", "superseded"]
    request: WebRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class LogNotification:
    """Something a developer should see: Twilio's Notification. `log` 0 is an error, 1 a warning."""

    call: CallSid | None
    code: int
    log: Literal[0, 1]
    message: str
    url: str = ""


# --- the leg -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceLeg:
    """Call the target. Answered by LegRinging, then LegAnswered or LegRefused.

    `beside` is the call it is to talk with: what that one's phone speaks is offered first, so that nothing between
    them need be translated.
    """

    call: CallSid
    target: Target
    from_: str
    caller_name: str | None = None
    peer: CallSid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RingLeg:
    """Tell a calling phone that it rings (180); with `early_media` that it is sent sound from now on (183).

    Source: RFC 3960 §3.
    """

    call: CallSid
    early_media: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerLeg:
    """Answer a calling phone (200)."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseLeg:
    """Turn a calling phone away with this SIP status."""

    call: CallSid
    sip_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUpLeg:
    """End the leg in whatever state it is: BYE when answered, CANCEL when we called and it rings, 480 when it
    called and we did not answer. The leg reports nothing more."""

    call: CallSid


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferLeg:
    """Ask the phone to call that URI instead of us (REFER). Answered by LegReferred, then ReferralNotified."""

    call: CallSid
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReferral:
    """Answer what a phone asked with PhoneRefers: 202, and the phone is told that it was done, or a refusal."""

    call: CallSid
    sip_code: int


# --- recordings -------------------------------------------------------------------------------------------

CaptureSource = tuple[CallSid, Literal["says", "hears"]]
"""What a call's party says, or what it hears."""
CaptureChannels = tuple[tuple[CaptureSource, ...], ...]
"""Per channel, whose sound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCapture:
    """Write these voices to a file. Answered by CaptureBegan, in the end by CaptureEnded.

    Units: after `quiet_s` seconds of silence CaptureQuiet is told; 0: never.
    """

    recording: RecordingSid
    channels: CaptureChannels
    silence_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCapture:
    """Capture other voices from now on; or go `on`, put in `silent` instead, or leave out (`off`) what is heard.

    It leaves at once, because who is on hold is in no recording of the conference from that moment on.
    """

    recording: RecordingSid
    channels: CaptureChannels | None = None
    mode: Literal["on", "silent", "off"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StopCapture:
    """The file is complete; `trim`: without the silence at its ends. Answered by CaptureEnded."""

    recording: RecordingSid
    trim: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseCapture:
    """Delete the file of a recording."""

    recording: RecordingSid


# --- traces for `ladder` and `explain` --------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbBegan:
    """A script came to a verb."""

    call: CallSid
    role: str
    verb: str


MediaEffect = RouteAudio | DropUnheard | PlaySound | StopSound | Beep | DetectSpeech | ChangeCapture
LegEffect = PlaceLeg | RingLeg | AnswerLeg | RefuseLeg | HangUpLeg | ReferLeg | AnswerReferral
WebEffect = FetchDocument | StopFetch | PostCallback | LogNotification
CaptureEffect = StartCapture | ChangeCapture | StopCapture | EraseCapture
Effect = MediaEffect | LegEffect | WebEffect | CaptureEffect | StartTimer | StopTimer | VerbBegan
