"""This module plans holds in conferences: the participant's own `hold` attribute changes.

It needs REST alone: no webhook, no address of ours. No call is another's child here, so no call is lost.

Source: Twilio REST, Participant resource: Hold, HoldUrl, HoldMethod.
"""

from collections.abc import Iterable

from holdfast.holds.account.snapshots import ParticipantSnapshot, RoomSnapshot
from holdfast.holds.ids import CallSid
from holdfast.holds.steps.account_steps import Refusal, SetHold

HOW_TO_JOIN = "Put the party into <Dial><Conference>…</Conference></Dial>, then hold it by its own call SID."


def find(call: CallSid, rooms: Iterable[RoomSnapshot]) -> RoomSnapshot | None:
    """Return the live conference that this call is in. A running one comes before one that is still forming."""
    inside = [room for room in rooms if room.participant(call) is not None]
    inside.sort(key=lambda room: room.conference.status != "in-progress")
    return inside[0] if inside else None


def hold(participant: ParticipantSnapshot, music: str | None) -> SetHold | Refusal | None:
    """Return the step that holds this participant; None when it is already on hold and no new music is requested.

    Music is the URL that the account fetches by GET; without one the account plays its own.
    """
    if participant.status in ("complete", "failed"):
        return Refusal(why=f"{participant.call} has left the conference", call_ended=True)
    if participant.status != "connected":
        return Refusal(
            why=f"{participant.call} has not been answered yet (it is {participant.status})",
            fix="Hold it once it is connected.",
        )
    if participant.hold and music is None:
        return None
    return SetHold(conference=participant.conference, call=participant.call, hold=True, music=music)


def resume(participant: ParticipantSnapshot) -> SetHold | None:
    """Return the step that resumes this participant; None when it is not on hold."""
    if not participant.hold:
        return None
    return SetHold(conference=participant.conference, call=participant.call, hold=False)


def others(call: CallSid, room: RoomSnapshot) -> tuple[ParticipantSnapshot, ...]:
    """Return all other participants of the conference."""
    return tuple(other for other in room.participants if other.call != call and other.status == "connected")
