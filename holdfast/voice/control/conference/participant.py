"""Apply a REST update to one participant: each value is separate, and the audio follows from all of them.

Source: Twilio API, Participant resource.
"""

from __future__ import annotations

from dataclasses import replace

from holdfast.voice.control.entities import Participant, Room
from holdfast.voice.control.read_only_state import Emitted
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import ChangeParticipant
from holdfast.voice.model.errors import CoachTargetAbsent, CoachTargetHeld
from holdfast.voice.model.internal_commands import StartScript, StopScript


def change(
    participant: Participant, command: ChangeParticipant, room: Room, now: float
) -> tuple[Participant, tuple[Emitted | str, ...]]:
    """Return the participant's new values, and what to emit: commands, and names of conference events.

    Raises: CoachTargetHeld, CoachTargetAbsent.
    """
    emitted: list[Emitted | str] = []
    after = _coach(replace(participant, updated_at=now), command, room)
    if after.coaching != participant.coaching or after.coach != participant.coach:
        emitted.append("participant-modify")
    if command.muted is not None and command.muted != participant.muted:
        after = replace(after, muted=command.muted)
        emitted.append("participant-mute" if command.muted else "participant-unmute")
    if command.hold is not None:
        after, more = _hold(after, command)
        emitted += more
    # While the participant is on hold, Twilio answers success to this and changes nothing.
    if command.end_on_exit is not None and not participant.held and command.end_on_exit != participant.end_on_exit:
        after = replace(after, end_on_exit=command.end_on_exit)
        emitted.append("participant-modify")
    if command.wait is not None:
        after = replace(after, wait=command.wait)
        emitted.append("participant-modify")
        if after.hears_wait:
            emitted.append(StartScript(call=participant.call, role="wait", request=command.wait))
    if command.beep_on_exit is not None and command.beep_on_exit != (participant.beep in ("true", "onExit")):
        after = replace(after, beep=_BEEPS[participant.beep in ("true", "onEnter"), command.beep_on_exit])
        emitted.append("participant-modify")
    if command.announce is not None and (twilio_assumptions.HELD_HEARS_OWN_ANNOUNCEMENT or not after.held):
        after = replace(after, announcement=command.announce)
        emitted.append(StartScript(call=participant.call, role="announce", request=command.announce))
    return after, tuple(emitted)


_BEEPS = {(True, True): "true", (True, False): "onEnter", (False, True): "onExit", (False, False): "false"}
"""The value of `beep` by whether it beeps (at entry, at exit)."""


def _hold(participant: Participant, command: ChangeParticipant) -> tuple[Participant, list[Emitted | str]]:
    """Hold or resume. Held again: the new music begins, without an event. Resume of a party not held: nothing."""
    if command.hold:
        event: list[Emitted | str] = [] if participant.held else ["participant-hold"]
        held = replace(participant, held=True, hold=command.hold_request)
        if held.status != "connected" or held.hears_announcement:
            # The hold music begins when the phone has answered, or the announcement has ended.
            return held, event
        return held, [StartScript(call=participant.call, role="hold", request=command.hold_request), *event]
    if not participant.held:
        return participant, []
    return replace(participant, held=False, hold=None), [
        StopScript(call=participant.call, role="hold"),
        "participant-unhold",
    ]


def _coach(participant: Participant, command: ChangeParticipant, room: Room) -> Participant:
    """Turn coaching on or off, or coach another call; a named call is coached."""
    if command.coaching is False:
        return replace(participant, coaching=False, coach=None)
    if command.coaching is None and command.coach is None:
        return participant
    target = command.coach or participant.coach
    coached = room.participant(target) if target is not None else None
    if coached is None or coached.call == participant.call:
        raise CoachTargetAbsent(f"Participant to be coached {target or '(none named)'} is not in the conference")
    if coached.held:
        raise CoachTargetHeld(f"Participant to be coached {target} is on hold")
    return replace(participant, coaching=True, coach=coached.call)
