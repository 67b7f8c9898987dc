"""The messages between control and the media process, and their form on the local socket.

Point of view: *send* is from us to the party, *receive* from the party to us. A leg is named by its call's SID.

Shape: a message is two lengths of four bytes, big-endian, then that many bytes of JSON and that many bytes of audio.

Length: all messages of the protocol stand here, so that both ends read the same page.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, TypeAdapter, ValidationError

from holdfast.voice.media.mix.beeps import Tone
from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.media.rtp.srtp import Profile
from holdfast.voice.media_process.control_link.recording_messages import (
    ChangeTap,
    CloseTap,
    OpenTap,
    TapClosed,
    TapQuiet,
)
from holdfast.voice.media_process.errors import MediaMessageUnreadable

Leg = str
Address = tuple[str, int]
Codec = Literal["PCMU", "PCMA", "G722"]
Hears = tuple[Leg, ...] | None
"""What one listener hears: these legs (one: its frames, more: their sum, none: silence), or its own player."""

SrtpKey = Annotated[
    bytes,
    PlainSerializer(bytes.hex, when_used="json"),
    BeforeValidator(lambda key: bytes.fromhex(key) if isinstance(key, str) else key),
    Field(min_length=28, max_length=30),
]

# --- commands: not answered one by one, all of a batch are in force from the same tick ------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SrtpParameters:
    """The SRTP keys of a leg. Shape: master key and master salt, each way."""

    send: SrtpKey
    receive: SrtpKey
    profile: Profile

    def __repr__(self) -> str:
        return f"Srtp(profile={self.profile!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeRow:
    """Describe what offer and answer agreed for a leg. `remote` None: nothing is sent until the party's first packet.

    `rtp_source` says from which sources its packets are accepted; `signalled_from` is the host of its signalling.
    `srtp` None: packets are plain both ways; otherwise only encrypted packets are sent and accepted. A codec of `also`
    becomes `codec` when the party begins to send it.
    """

    leg: Leg
    remote: Address | None
    codec: Codec
    dtmf_payload_type: Annotated[int, Field(ge=96, le=127)] | None
    send: bool
    receive: bool
    srtp: SrtpParameters | None = None
    also: tuple[Codec, ...] = ()
    signalled_from: str | None = None
    rtp_source: RtpSource = "signalling"
    kind: Literal["describe-row"] = "describe-row"


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRow:
    """Close a leg: its sockets are closed and no leg hears it any more. Unknown legs are no error."""

    leg: Leg
    kind: Literal["close-row"] = "close-row"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayClip:
    """Play a clip from its beginning in the leg's player, in place of what plays there. Units: `loops` ≥ 1.

    `digits` are the DTMF digits of the clip: a leg with telephone events is sent them as events in place of the tones.
    """

    leg: Leg
    token: str
    clip_id: str
    loops: Annotated[int, Field(ge=1)]
    digits: Annotated[str, Field(max_length=200)] = ""
    kind: Literal["play"] = "play"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopClip:
    """Stop that clip if the leg's player still plays it."""

    leg: Leg
    token: str
    kind: Literal["stop"] = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRows:
    """Change which legs these listeners hear. Other listeners stay as they are; a leg that is not open is silent."""

    hears: tuple[tuple[Leg, Hears], ...]
    kind: Literal["route"] = "route"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """Drop the audio that waits to be played of these legs; legs that are not open are no error."""

    legs: tuple[Leg, ...]
    kind: Literal["drop"] = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class BeepRows:
    """Add a short tone to the audio that these legs are sent; legs that are not open are no error."""

    legs: tuple[Leg, ...]
    tone: Tone
    kind: Literal["beep"] = "beep"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayDigit:
    """Relay a digit that the party signalled outside its RTP packets to its peer, if it has one."""

    leg: Leg
    digit: Annotated[str, Field(pattern=r"^[0-9*#A-D]$")]
    kind: Literal["pass-on"] = "pass-on"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSpeech:
    """Report or stop reporting when these parties speak; legs that are not open are no error."""

    legs: tuple[Leg, ...]
    enabled: bool
    kind: Literal["listen"] = "listen"


Command = Annotated[
    DescribeRow
    | CloseRow
    | PlayClip
    | StopClip
    | RouteRows
    | Drop
    | BeepRows
    | RelayDigit
    | WatchSpeech
    | OpenTap
    | ChangeTap
    | CloseTap,
    Field(discriminator="kind"),
]

# --- requests: each is answered by one reply with its number ----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestBatch:
    """Apply commands together. `Done` answers once they are in force for the next tick.

    An impossible command is reported by the fact `RequestRefused` and does not stop the others: a missing clip must not
    keep a held party in the conversation.
    """

    number: int
    commands: tuple[Command, ...]
    kind: Literal["batch"] = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRow:
    """Open a row with a bound pair of ports for a leg, or return the one it has. `RowOpened` answers."""

    number: int
    leg: Leg
    kind: Literal["open-row"] = "open-row"


@dataclass(frozen=True, slots=True, kw_only=True)
class PutClip:
    """Store a part of a clip; the audio is the message's own bytes, µ-law. `Done` answers.

    Shape: parts come in order, `offset` counts bytes, the last part completes `total` of them.
    """

    number: int
    clip_id: str
    total: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    kind: Literal["put-clip"] = "put-clip"


@dataclass(frozen=True, slots=True, kw_only=True)
class HasClip:
    """Ask whether the bank holds a complete clip. `ClipKnown` answers."""

    number: int
    clip_id: str
    kind: Literal["ask-clip"] = "ask-clip"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRows:
    """List every row in use. `RowList` answers."""

    number: int
    kind: Literal["list-rows"] = "list-rows"


Request = RequestBatch | OpenRow | PutClip | HasClip | ListRows

# --- replies ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The request was carried out."""

    number: int
    kind: Literal["done"] = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDone:
    """The request was refused and changed nothing."""

    number: int
    reason: Literal["full", "wrong"]
    message: str
    kind: Literal["not-done"] = "not-done"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOpened:
    """The row of the leg, and the address at which its RTP is received."""

    number: int
    row: int
    ip: str
    port: int
    kind: Literal["row-opened"] = "row-opened"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipKnown:
    """The reply says whether the bank holds the clip."""

    number: int
    known: bool
    kind: Literal["clip-known"] = "clip-known"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowState:
    """The state of a row, for a control that takes it over.

    `remote` is where we send now; `latched` says whether packets came from there; `playing` is the token of the clip in
    its player.
    """

    leg: Leg
    row: int
    ip: str
    port: int
    remote: Address | None
    latched: bool
    codec: Codec
    dtmf_payload_type: int | None
    send: bool
    receive: bool
    srtp: Profile | None
    hears: Hears
    playing: str | None
    clip_id: str | None
    packets_received: int
    packets_sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowList:
    """The reply lists every row in use."""

    number: int
    rows: tuple[RowState, ...]
    kind: Literal["row-list"] = "row-list"


Reply = Done | NotDone | RowOpened | ClipKnown | RowList

# --- facts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlAttached:
    """Control and the media process are connected. `rows` are in use: none if the process is new."""

    pid: int
    capacity: int
    rows: tuple[RowState, ...]
    kind: Literal["attached"] = "attached"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlDetached:
    """The connection to the media process ended. The client posts this itself; the process may live on."""

    kind: Literal["detached"] = "detached"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPacket:
    """The party's first packet arrived from `source`; from now on we send there. A new source is reported again."""

    leg: Leg
    source: Address
    kind: Literal["first-packet"] = "first-packet"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAudioStarted:
    """The first packet of a clip was given to its socket. Units: `monotonic_s` of the machine's monotonic clock."""

    leg: Leg
    token: str
    monotonic_s: float
    kind: Literal["sound-started"] = "sound-started"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAudioEnded:
    """A clip was played to its end with all loops, heard or not. A stopped or replaced clip is not reported."""

    leg: Leg
    token: str
    kind: Literal["sound-ended"] = "sound-ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDigitPressed:
    """The party pressed a digit, once however long it was held. Shape: one of 0-9 * # A-D.

    It came by telephone event (RFC 4733), or by tones in the audio where no events were agreed.
    """

    leg: Leg
    digit: str
    kind: Literal["digit-pressed"] = "digit-pressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechChanged:
    """A party whose speech is detected began to speak, or stopped."""

    leg: Leg
    speaking: bool
    kind: Literal["speech-turned"] = "speech-turned"


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpSilent:
    """A party that may send has sent nothing for this long, neither audio nor comfort noise nor a report.

    It is repeated (every ten seconds) while it lasts. Units: seconds. Control decides what it means: the phone may
    hold.
    """

    leg: Leg
    silent_s: float
    kind: Literal["rtp-silent"] = "rtp-silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The traffic of a leg so far, every five seconds, and at its end (`final`). Units: ms; `depth` frames of 20 ms.

    `reported_lost` and `reported_jitter_ms` are the peer's view of our stream, by RTCP; None if it has not reported.
    `mos` is the estimated score for the listeners of the party, `reported_mos` for the party itself; `round_trip_ms` by
    RTCP. `strange` packets came from sources that `rtp_source` excludes, the newest of them from `stranger`; they count
    as refused too. While a leg is connected to one address, the system drops the packets of others uncounted.
    """

    leg: Leg
    codec: Codec
    packets_sent: int
    packets_received: int
    packets_lost: int
    packets_late: int
    packets_refused: int
    frames_concealed: int
    jitter_ms: float
    depth: int
    reported_lost: int | None
    reported_jitter_ms: float | None
    round_trip_ms: float | None
    mos: float | None
    reported_mos: float | None
    strange: int = 0
    stranger: Address | None = None
    rtp_source: RtpSource = "signalling"
    final: bool = False
    kind: Literal["statistics"] = "statistics"


@dataclass(frozen=True, slots=True, kw_only=True)
class TicksSkipped:
    """The process could not run and left out whole ticks; timestamps moved on, nothing was made up for."""

    count: int
    kind: Literal["ticks-skipped"] = "ticks-skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The load of the process, every five seconds. Units: `busy` of one core, 0 to 1; the others milliseconds.

    A tick lasts from its beginning until its last packet has left; `p99_worked_ms` is the processor time in it.
    `latest_start_ms` is the longest delay of a tick's beginning: what the machine, not the work, took.
    """

    rows: int
    ticks: int
    ticks_skipped: int
    busy: float
    p50_tick_ms: float
    p99_tick_ms: float
    p99_worked_ms: float
    longest_tick_ms: float
    latest_start_ms: float
    kind: Literal["load"] = "load"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsAvailable:
    """Whether another leg can have a row: after each change, and after `ControlAttached` if none can."""

    available: bool
    kind: Literal["rows-left"] = "rows-left"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused:
    """A command failed; the others of its batch were. `command` is its `kind`, `token` that of its clip."""

    leg: Leg
    command: str
    token: str | None
    message: str
    kind: Literal["refused"] = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsLost:
    """Control was away for so long that this many facts were dropped, oldest statistics first."""

    count: int
    kind: Literal["facts-lost"] = "facts-lost"


Fact = (
    ControlAttached
    | ControlDetached
    | FirstPacket
    | RowAudioStarted
    | RowAudioEnded
    | RowDigitPressed
    | SpeechChanged
    | RtpSilent
    | Statistics
    | TicksSkipped
    | Load
    | RowsAvailable
    | RequestRefused
    | FactsLost
    | TapQuiet
    | TapClosed
)
ServerMessage = Reply | Fact
Message = Request | ServerMessage

# --- bytes ------------------------------------------------------------------------------------------------------

LENGTHS = struct.Struct("!II")
JSON_LIMIT = 4_000_000
AUDIO_LIMIT = 64_000
CLIP_PART = 64_000
"""Bytes of audio in one message: eight seconds. Storing it takes the media process well under a millisecond."""

_REQUESTS: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])
_SERVER_MESSAGES: TypeAdapter[ServerMessage] = TypeAdapter(Annotated[ServerMessage, Field(discriminator="kind")])
_MESSAGES: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="kind")])


def pack(message: Message, audio: bytes | memoryview = b"") -> bytes:
    """Return the bytes of a message for the local socket."""
    text = _MESSAGES.dump_json(message)
    return b"".join((LENGTHS.pack(len(text), len(audio)), text, audio))


def parse_request(text: bytes) -> Request:
    """Parse a request of control. Raises: MediaMessageUnreadable."""
    try:
        return _REQUESTS.validate_json(text)
    except ValidationError as error:
        raise MediaMessageUnreadable(f"invalid request: {error.errors(include_url=False)[:1]}") from error


def parse_server_message(text: bytes) -> ServerMessage:
    """Parse a message of the media process. Raises: MediaMessageUnreadable."""
    try:
        return _SERVER_MESSAGES.validate_json(text)
    except ValidationError as error:
        raise MediaMessageUnreadable(f"invalid message: {error.errors(include_url=False)[:1]}") from error


class Unpacker:
    """An unpacker cuts a stream of bytes into messages, whatever pieces it arrives in."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the JSON and the audio of each message that is complete now. Raises: MediaMessageUnreadable."""
        self._bytes += data
        while len(self._bytes) >= LENGTHS.size:
            text_length, audio_length = LENGTHS.unpack_from(self._bytes)
            if text_length > JSON_LIMIT or audio_length > AUDIO_LIMIT:
                raise MediaMessageUnreadable(f"the message is too long: {text_length} + {audio_length} bytes")
            end_of_text = LENGTHS.size + text_length
            end = end_of_text + audio_length
            if len(self._bytes) < end:
                return
            text, audio = bytes(self._bytes[LENGTHS.size : end_of_text]), bytes(self._bytes[end_of_text:end])
            del self._bytes[:end]
            yield text, audio
