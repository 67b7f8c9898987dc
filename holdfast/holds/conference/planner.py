"""Hold by conference: the party's own `hold` in the room it is in.

Needs REST alone: no webhook, no address of ours. Nobody is anybody's child here, so nothing falls over.
Source: Twilio REST, Participant resource: Hold, HoldUrl, HoldMethod.
"""

from collections.abc import Iterable

from holdfast.holds.account.snapshots import ParticipantSnapshot, RoomSnapshot
from holdfast.holds.ids import CallSid
from holdfast.holds.steps.account_steps import Refusal, SetHold

WAYS_IN = "Put the party into <Dial><Conference>…</Conference></Dial>, then hold it by its own call SID."


def find(call: CallSid, rooms: Iterable[RoomSnapshot]) -> RoomSnapshot | None:
    """The live room this call is in. A running room comes before one that is still forming."""
    inside = [room for room in rooms if room.participant(call) is not None]
    inside.sort(key=lambda room: room.conference.status != "in-progress")
    return inside[0] if inside else None


def hold(participant: ParticipantSnapshot, music: str | None) -> SetHold | Refusal | None:
    """The step that holds this participant; None when it is on hold already and no other music is asked for.

    Music is the URL the account is to fetch, by GET; without one the account plays its own.
    """
    if participant.status in ("complete", "failed"):
        return Refusal(why=f"{participant.call} has left the conference", gone=True)
    if participant.status != "connected":
        return Refusal(
            why=f"{participant.call} has not been answered yet (it is {participant.status})",
            fix="Hold it once it is connected.",
        )
    if participant.hold and music is None:
        return None
    return SetHold(conference=participant.conference, call=participant.call, hold=True, music=music)


def resume(participant: ParticipantSnapshot) -> SetHold | None:
    """The step that brings this participant back; None when it is not on hold."""
    if not participant.hold:
        return None
    return SetHold(conference=participant.conference, call=participant.call, hold=False)


def others(call: CallSid, room: RoomSnapshot) -> tuple[ParticipantSnapshot, ...]:
    """Everybody else who is in the room."""
    return tuple(one for one in room.participants if one.call != call and one.status == "connected")
