"""A step in progress on one call holds its state so far and what it has emitted, in order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from holdfast.voice.control.entities import Call, CallStatus
from holdfast.voice.control.read_only_state import Emitted, ReadOnlyState
from holdfast.voice.control.webhook_params import (
    dial_sip_params,
    script_subject,
    standard_params,
    status_callback,
)
from holdfast.voice.model.commands import Target
from holdfast.voice.model.effects import (
    AnswerLeg,
    HangUpLeg,
    PlaceLeg,
    PostCallback,
    RefuseLeg,
    RingLeg,
    StartTimer,
    StopSound,
    StopTimer,
)
from holdfast.voice.model.facts import ChildEnded
from holdfast.voice.model.ids import CallSid, RecordingSid, Token, derive
from holdfast.voice.model.internal_commands import EndRecording, LeaveRoom
from holdfast.voice.twiml.runner import Runner
from holdfast.voice.twiml.script import Script
from holdfast.voice.twiml.verb import AnswerCaller, DeclineCaller, EarlyMedia


@dataclass(slots=True, kw_only=True)
class CallStep:
    """A step in progress on one call. Invariant: `emitted` is in the order in which it is to happen."""

    call: Call
    now: float
    view: ReadOnlyState
    runner: Runner
    emitted: list[Emitted] = field(default_factory=list)

    def emit(self, *emitted: Emitted) -> None:
        """Add effects, commands or facts to the step."""
        self.emitted += emitted

    def set_status(self, status: CallStatus) -> None:
        """Set another status. Invariant: the machine's table lists it for the message of this step."""
        self.call = replace(self.call, status=status, updated_at=self.now)

    def send_callback(self, event: str) -> None:
        """Send the status callback of an event."""
        recorded = None
        if event == "completed" and self.call.record is not None:
            recorded = self.view.recordings.get(RecordingSid(derive("RE", self.call.sid)))
        self.call, callbacks = status_callback(self.call, event, self.now, recorded)
        self.emit(*callbacks)

    def put_script(self, script: Script) -> None:
        """Store a script's new state in place of the old."""
        others = tuple(kept for kept in self.call.scripts if kept.role != script.role)
        self.call = replace(self.call, scripts=(*others, script))

    def discard_script(self, script: Script) -> None:
        """Discard a script."""
        self.runner.discard(script)
        kept = tuple(kept for kept in self.call.scripts if kept.serial != script.serial)
        self.call = replace(self.call, scripts=kept)

    def place_leg(self, target: Target) -> None:
        """Call the target and start the timer of its answer."""
        self.send_callback("initiated")
        call = self.call = replace(self.call, target=None)
        from_, name = call.caller_id or call.from_, call.display_name or None
        self.emit(PlaceLeg(call=call.sid, target=target, from_=from_, caller_name=name, peer=call.controlled_by))
        self.emit(StartTimer(token=ring_timer(call.sid), after_s=call.timeout_s))

    def answer(self) -> None:
        """Answer a caller that rings; nothing happens to any other call."""
        call = self.call
        if call.direction == "inbound" and call.status is CallStatus.RINGING:
            self.set_status(CallStatus.IN_PROGRESS)
            self.call = replace(self.call, started_at=self.now, answered_at=self.now)
            self.emit(AnswerLeg(call=call.sid))
            self.send_callback("answered")

    def start_early_media(self) -> None:
        """Start early media to a caller that rings; nothing happens to any other call."""
        call = self.call
        if call.direction == "inbound" and call.status is CallStatus.RINGING and not call.early_media:
            self.call = replace(call, early_media=True)
            self.emit(RingLeg(call=call.sid, early_media=True))

    def finish(self, status: CallStatus, sip_code: int, *, leg_is_gone: bool) -> None:
        """End the call with its scripts, its place in room and queue, and its leg; then send the callback.

        The final request of a running verb is sent with the final status; its answer changes nothing.
        """
        before = self.call
        self.set_status(status)
        self.call = replace(self.call, ended_at=self.now, sip_code=sip_code, controlled_by=None, target=None)
        final_callbacks = []
        for script in before.scripts:
            stops, final_request = self.runner.interrupt(
                script, "hangup", script_subject(before, script.role, self.view, self.now), self.now
            )
            self.emit(
                *(action for action in stops if not isinstance(action, AnswerCaller | EarlyMedia | DeclineCaller)),
                *stops_for_script(script),
            )
            if final_request is not None and script.role == "main":
                form = (*standard_params(self.call), *final_request.form)
                request = replace(final_request, form=form)
                final_callbacks.append(PostCallback(call=before.sid, kind="superseded", request=request))
        self.call = replace(self.call, scripts=())
        if before.script("main") is None:
            self.emit(LeaveRoom(call=before.sid, cause="hangup"))
        if not leg_is_gone and before.target is None:
            unanswered = before.direction == "inbound" and before.status is CallStatus.RINGING
            self.emit(RefuseLeg(call=before.sid, sip_code=sip_code) if unanswered else HangUpLeg(call=before.sid))
        self.emit(StopTimer(token=limit_timer(before.sid)), StopTimer(token=ring_timer(before.sid)))
        if before.target is not None:
            self.emit(StopTimer(token=turn_timer(before.sid)))
        if before.send_digits:
            self.emit(StopSound(token=digits_token(before.sid)))
        self.emit(*final_callbacks)
        if before.controlled_by is not None:
            parent, sip_params = before.controlled_by, dial_sip_params(before, sip_code)
            self.emit(
                ChildEnded(call=parent, child=before.sid, status=status.value, sip_code=sip_code, sip_params=sip_params)
            )
        self.emit(*(EndRecording(recording=recording.sid) for recording in self.view.recordings_of(before.sid)))
        self.send_callback("completed")


def limit_timer(call: CallSid) -> Token:
    """Return the token of the timer for the longest time a call may last."""
    return Token(f"{call}/limit")


def ring_timer(call: CallSid) -> Token:
    """Return the token of the timer for the longest time a callee's phone may ring."""
    return Token(f"{call}/ring")


def turn_timer(call: CallSid) -> Token:
    """Return the token of the timer until a call's turn to be placed."""
    return Token(f"{call}/turn")


def digits_token(call: CallSid) -> Token:
    """Return the token of the touch tones for a callee's phone that has answered."""
    return Token(f"{call}/digits")


def hold_music_timer(script: Script) -> Token:
    """Return the token of the timer within which hold music should begin."""
    return Token(f"{script.prefix}/hold-music")


def wait_url_timer(script: Script) -> Token:
    """Return the token of the timer until a queue's waitUrl is requested again."""
    return Token(f"{script.prefix}/again")


def interim_music_token(script: Script) -> Token:
    """Return the token of the built-in music until late hold music begins."""
    return Token(f"{script.prefix}/meanwhile")


def builtin_music_token(script: Script) -> Token:
    """Return the token of the built-in music in place of hold music that failed."""
    return Token(f"{script.prefix}/builtin")


def stops_for_script(script: Script) -> tuple[Emitted, ...]:
    """Return the effects that stop the timers and sounds started beside a script's own verbs."""
    if script.role == "hold" and script.last_request is not None:
        if not script.audio_overdue:
            return (StopTimer(token=hold_music_timer(script)),)
        return (StopSound(token=interim_music_token(script)), StopSound(token=builtin_music_token(script)))
    if script.role == "queue":
        return (StopTimer(token=wait_url_timer(script)),)
    return ()
