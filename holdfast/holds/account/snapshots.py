"""What is read of an account: calls, conferences, participants. Twilio's words, only what holding needs."""

from dataclasses import dataclass

from holdfast.holds.ids import CallSid, ConferenceSid

LIVE = frozenset({"queued", "ringing", "in-progress"})
"""Statuses of calls that are not over. Source: Twilio REST, Call resource, status values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSnapshot:
    """One call as the account tells it."""

    sid: CallSid
    status: str
    parent: CallSid | None = None
    from_: str = ""
    to: str = ""
    direction: str = ""

    @property
    def live(self) -> bool:
        """Whether the call is not over."""
        return self.status in LIVE

    @property
    def talking(self) -> bool:
        """Whether the call was answered and is not over."""
        return self.status == "in-progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneHoldSnapshot:
    """A call whose own phone holds. Units: `since` in seconds since the Unix epoch."""

    call: CallSid
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioQualitySnapshot:
    """How a call sounds: the estimated opinion of who hears it, 1 to 4.5. Units: `loss` 0 to 1; `jitter_ms`."""

    call: CallSid
    mos: float | None
    loss: float
    jitter_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceSnapshot:
    """One live conference: `init` while too few are in it, then `in-progress`."""

    sid: ConferenceSid
    name: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantSnapshot:
    """One call's membership of a conference."""

    call: CallSid
    conference: ConferenceSid
    hold: bool
    muted: bool = False
    coaches: CallSid | None = None
    """Whom it coaches, who alone hears it."""
    label: str | None = None
    status: str = "connected"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSnapshot:
    """A live conference and those in it."""

    conference: ConferenceSnapshot
    participants: tuple[ParticipantSnapshot, ...]

    def participant(self, call: CallSid) -> ParticipantSnapshot | None:
        """This call's membership, if it is in the room."""
        return next((one for one in self.participants if one.call == call), None)
