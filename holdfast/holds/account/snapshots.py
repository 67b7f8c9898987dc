"""This module defines what is read from an account: calls, conferences, participants, in Twilio's words."""

from dataclasses import dataclass

from holdfast.holds.ids import CallSid, ConferenceSid

LIVE_STATUSES = frozenset({"queued", "ringing", "in-progress"})
"""Statuses of calls that are not over. Source: Twilio REST, Call resource, status values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSnapshot:
    """A call snapshot is one call as the account shows it."""

    sid: CallSid
    status: str
    parent: CallSid | None = None
    from_: str = ""
    to: str = ""
    direction: str = ""

    @property
    def live(self) -> bool:
        """Return whether the call is not over."""
        return self.status in LIVE_STATUSES

    @property
    def talking(self) -> bool:
        """Return whether the call was answered and is not over."""
        return self.status == "in-progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneHoldSnapshot:
    """A phone hold snapshot is a call whose own phone holds.

    Units: `since` in seconds since the Unix epoch.
    """

    call: CallSid
    since: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioQualitySnapshot:
    """An audio quality snapshot has a call's estimated opinion score, 1 to 4.5, and its packet loss.

    Units: `loss` 0 to 1; `jitter_ms`.
    """

    call: CallSid
    mos: float | None
    loss: float
    jitter_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ConferenceSnapshot:
    """A conference snapshot is one live conference: `init` while too few are in it, then `in-progress`."""

    sid: ConferenceSid
    name: str = ""
    status: str = "in-progress"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParticipantSnapshot:
    """A participant snapshot is one call's membership of a conference."""

    call: CallSid
    conference: ConferenceSid
    hold: bool
    muted: bool = False
    coaches: CallSid | None = None
    """The call that it coaches; only that call hears it."""
    label: str | None = None
    status: str = "connected"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSnapshot:
    """A room snapshot is a live conference with its participants."""

    conference: ConferenceSnapshot
    participants: tuple[ParticipantSnapshot, ...]

    def participant(self, call: CallSid) -> ParticipantSnapshot | None:
        """Return this call's membership, if it is in the conference."""
        return next((one for one in self.participants if one.call == call), None)
