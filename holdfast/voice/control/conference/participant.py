"""What a REST update does to one participant: each value is its own, and what is heard follows from them.

Source: Twilio API, Participant resource.
"""

from __future__ import annotations

from dataclasses import replace

from holdfast.voice.control.entities import Participant, Room
from holdfast.voice.control.read_only_state import Saying
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import ChangeParticipant
from holdfast.voice.model.errors import CoachTargetAbsent, CoachTargetHeld
from holdfast.voice.model.internal_commands import StartScript, StopScript


def change(
    one: Participant, command: ChangeParticipant, room: Room, now: float
) -> tuple[Participant, tuple[Saying | str, ...]]:
    """The participant's new values, and what is to be said: commands, and names of conference events.

    Raises: CoachTargetHeld, CoachTargetAbsent.
    """
    said: list[Saying | str] = []
    after = _coach(replace(one, updated_at=now), command, room)
    if after.coaching != one.coaching or after.coach != one.coach:
        said.append("participant-modify")
    if command.muted is not None and command.muted != one.muted:
        after = replace(after, muted=command.muted)
        said.append("participant-mute" if command.muted else "participant-unmute")
    if command.hold is not None:
        after, more = _hold(after, command)
        said += more
    # Twilio answers success and changes nothing when this comes while the participant is on hold.
    if command.end_on_exit is not None and not one.held and command.end_on_exit != one.end_on_exit:
        after = replace(after, end_on_exit=command.end_on_exit)
        said.append("participant-modify")
    if command.wait is not None:
        after = replace(after, wait=command.wait)
        said.append("participant-modify")
        if after.waiting:
            said.append(StartScript(call=one.call, role="wait", request=command.wait))
    if command.beep_on_exit is not None and command.beep_on_exit != (one.beep in ("true", "onExit")):
        after = replace(after, beep=_BEEPS[one.beep in ("true", "onEnter"), command.beep_on_exit])
        said.append("participant-modify")
    if command.announce is not None and (twilio_assumptions.HELD_HEARS_OWN_ANNOUNCEMENT or not after.held):
        after = replace(after, announcement=command.announce)
        said.append(StartScript(call=one.call, role="announce", request=command.announce))
    return after, tuple(said)


_BEEPS = {(True, True): "true", (True, False): "onEnter", (False, True): "onExit", (False, False): "false"}
"""The value of `beep` that sounds (at entry, at exit)."""


def _hold(one: Participant, command: ChangeParticipant) -> tuple[Participant, list[Saying | str]]:
    """Hold or unhold. Held again: the new content begins, without an event. Not held: nothing happens."""
    if command.hold:
        event: list[Saying | str] = [] if one.held else ["participant-hold"]
        held = replace(one, held=True, hold=command.hold_request)
        if held.status != "connected" or held.announcing:
            # The hold's own sound begins when the phone has answered, or the announcement is over.
            return held, event
        return held, [StartScript(call=one.call, role="hold", request=command.hold_request), *event]
    if not one.held:
        return one, []
    return replace(one, held=False, hold=None), [StopScript(call=one.call, role="hold"), "participant-unhold"]


def _coach(one: Participant, command: ChangeParticipant, room: Room) -> Participant:
    """Coaching on, off, or of another call; naming a call means coaching it."""
    if command.coaching is False:
        return replace(one, coaching=False, coach=None)
    if command.coaching is None and command.coach is None:
        return one
    target = command.coach or one.coach
    coached = room.participant(target) if target is not None else None
    if coached is None or coached.call == one.call:
        raise CoachTargetAbsent(f"Participant to be coached {target or '(none named)'} is not in the conference")
    if coached.held:
        raise CoachTargetHeld(f"Participant to be coached {target} is on hold")
    return replace(one, coaching=True, coach=coached.call)
