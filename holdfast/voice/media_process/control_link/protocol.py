"""The messages between control and the media process.

Point of view: *send* is from us to the party, *receive* from the party to us. A leg is named by its call's SID.

`packing` gives them their form on the local socket.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.media.rtp.srtp import Profile, SrtpKeys
from holdfast.voice.media_process.control_link.recording_messages import (
    CloseTap,
    OpenTap,
    TapClosed,
    TapQuiet,
)
from holdfast.voice.model.effects import Beep, ChangeCapture, DetectSpeech, DropUnheard, RouteAudio, StopSound
from holdfast.voice.model.facts import DigitPressed, HolderSounds, LegSpeaks, SoundEnded
from holdfast.voice.model.ids import Token
from holdfast.voice.model.payload_types import Codec, PayloadTypes

Leg = str
Address = tuple[str, int]
Srtp = Annotated[
    SrtpKeys,
    PlainSerializer(lambda keys: (keys.send.hex(), keys.receive.hex(), keys.profile), when_used="json"),
    BeforeValidator(lambda keys: _srtp_keys(*keys) if isinstance(keys, list) else keys),
]


def _srtp_keys(send: str, receive: str, profile: Profile) -> SrtpKeys:
    return SrtpKeys(send=bytes.fromhex(send), receive=bytes.fromhex(receive), profile=profile)


# --- commands: not answered one by one, all of a batch are in force from the same tick ------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeRow:
    """Describe what offer and answer agreed for a leg. `remote` None: nothing is sent until the party's first packet.

    `rtp_source` says from which sources its packets are accepted; `signalled_from` is the host of its signalling.
    `srtp` None: packets are plain both ways; otherwise only encrypted packets are sent and accepted, and the same keys
    again change nothing. A codec of `also` becomes `codec` when the party begins to send it. `dtmf_payload_type` is the
    number by which digits are sent as telephone events, and `payload_types` are all others that are not static. A new
    `remote`, or a party that may send again, unlocks the latch. `report_sound` asks for `HolderSounds`: the phone
    holds, and may be heard.
    """

    leg: Leg
    remote: Address | None
    codec: Codec = "PCMU"
    dtmf_payload_type: Annotated[int, Field(ge=0, le=127)] | None = None
    payload_types: PayloadTypes = field(default_factory=PayloadTypes)
    send: bool = True
    receive: bool = True
    srtp: Srtp | None = None
    also: tuple[Codec, ...] = ()
    signalled_from: str | None = None
    rtp_source: RtpSource = "signalling"
    report_sound: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseRow:
    """Close a leg: its sockets are closed and no leg hears it any more. Unknown legs are no error."""

    leg: Leg


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayClip:
    """Play a clip from its beginning in the player of the token's leg, in place of what plays there.

    Units: `loops` 0 means 1000. `digits` are the DTMF digits of the clip: a leg with telephone events is sent them as
    events in place of the tones. The clip runs on unheard while the leg hears other legs.
    """

    token: Token
    clip_id: str
    loops: Annotated[int, Field(ge=0)] = 1
    digits: Annotated[str, Field(max_length=200)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HearLeg:
    """Let a leg hear another one in place of its room and its player, until its seat changes; None: no longer."""

    leg: Leg
    source: Leg | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveRooms:
    """Take all legs out of their rooms, before their seats are sent again: each hears its own player."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayDigit:
    """Relay a digit that the party signalled outside its RTP packets to its peer, if it has one."""

    leg: Leg
    digit: Annotated[str, Field(pattern=r"^[0-9*#A-D]$")]


RowCommand = DescribeRow | CloseRow | PlayClip | HearLeg | LeaveRooms | RelayDigit
Command = RowCommand | StopSound | RouteAudio | DropUnheard | Beep | DetectSpeech | ChangeCapture | OpenTap | CloseTap
"""A command of control: an effect of the engine where both ends mean the same by it.

Unknown legs are no error: the leg that a command names may just have ended.
"""

# --- requests: each is answered by one reply with its number ----------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Apply:
    """Apply all commands since the last `Apply` together. `Done` answers once they are in force for the next tick.

    An impossible command is reported by the fact `RequestRefused` and does not stop the others: a missing clip must not
    keep a held party in the conversation.
    """

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRow:
    """Open a row with a bound pair of ports for a leg, or return the one it has. `RowOpened` answers."""

    number: int
    leg: Leg


@dataclass(frozen=True, slots=True, kw_only=True)
class PutClip:
    """Store a part of a clip; the audio is the message's own bytes, µ-law. `Done` answers.

    Shape: parts come in order, `offset` counts bytes, the last part completes `total` of them.
    """

    number: int
    clip_id: str
    total: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class HasClip:
    """Ask whether the bank holds a complete clip. `ClipKnown` answers."""

    number: int
    clip_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRows:
    """List every row in use. `RowList` answers."""

    number: int


Request = Apply | OpenRow | PutClip | HasClip | ListRows

# --- replies ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """The request was carried out."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDone:
    """The request was refused and changed nothing."""

    number: int
    reason: Literal["full", "wrong"]
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowOpened:
    """The row of the leg, and the address at which its RTP is received."""

    number: int
    row: int
    ip: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipKnown:
    """The reply says whether the bank holds the clip."""

    number: int
    known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowState:
    """The state of a row, for a control that takes it over.

    `remote` is where we send now; `latched` says whether packets came from there; `room` is the one it sits in;
    `playing` is the token of the clip in its player.
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
    room: str | None
    playing: str | None
    clip_id: str | None
    packets_received: int
    packets_sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowList:
    """The reply lists every row in use."""

    number: int
    rows: tuple[RowState, ...]


Reply = Done | NotDone | RowOpened | ClipKnown | RowList

# --- facts ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlAttached:
    """Control and the media process are connected. `rows` are in use: none if the process is new."""

    pid: int
    capacity: int
    rows: tuple[RowState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlDetached:
    """The connection to the media process ended. The client posts this itself; the process may live on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPacket:
    """The party's first packet arrived from `source`; from now on we send there. A new source is reported again."""

    leg: Leg
    source: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class RowAudioStarted:
    """The first packet of a clip was given to its socket. Units: `monotonic_s` of the machine's monotonic clock."""

    leg: Leg
    token: str
    monotonic_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RtpSilent:
    """A party that may send has sent nothing for this long, neither audio nor comfort noise nor a report.

    It is repeated (every ten seconds) while it lasts. Units: seconds. Control decides what it means: the phone may
    hold.
    """

    leg: Leg
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The traffic of a leg so far, every five seconds, and at its end (`final`). Units: ms; `depth` frames of 20 ms.

    `reported_lost` and `reported_jitter_ms` are the peer's view of our stream, by RTCP; None if it has not reported.
    `mos` is the estimated score for the listeners of the party, `reported_mos` for the party itself; `round_trip_ms` by
    RTCP. `strange` packets came from sources that `rtp_source` excludes, the newest of them from `stranger`; they count
    as refused too. While a leg is connected to one address, the system drops the packets of others uncounted.
    `packets_too_long` were received, but not played: they hold more than 200 ms.
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
    packets_too_long: int = 0
    strange: int = 0
    stranger: Address | None = None
    rtp_source: RtpSource = "signalling"
    final: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TicksSkipped:
    """The process could not run and left out whole ticks; timestamps moved on, nothing was made up for."""

    count: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsAvailable:
    """Whether another leg can have a row: after each change, and after `ControlAttached` if none can."""

    available: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused:
    """A command failed; the others of its batch did not. `command` is its name, `token` that of its clip."""

    leg: Leg
    command: str
    token: str | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FactsLost:
    """Control was away for so long that this many facts were dropped, oldest statistics first."""

    count: int


Fact = (
    ControlAttached
    | ControlDetached
    | FirstPacket
    | RowAudioStarted
    | SoundEnded
    | DigitPressed
    | LegSpeaks
    | HolderSounds
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
Message = Command | Request | ServerMessage
