"""A step in progress on one call: its state so far and what it has said, in order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from holdfast.voice.control.entities import CALL_TRANSITIONS, Call, CallStatus
from holdfast.voice.control.read_only_state import ReadOnlyState, Saying
from holdfast.voice.control.webhook_params import (
    callback,
    ear,
    sip_told,
    standard,
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
    """One call's step. Invariant: `said` is in the order in which it is to happen."""

    call: Call
    now: float
    view: ReadOnlyState
    runner: Runner
    said: list[Saying] = field(default_factory=list)

    def say(self, *sayings: Saying) -> None:
        """Add to what is to happen."""
        self.said += sayings

    def move(self, status: CallStatus) -> None:
        """Take the call to another status. Invariant: only along the table."""
        assert status in CALL_TRANSITIONS[self.call.status], f"{self.call.status} -> {status}"
        self.call = replace(self.call, status=status, updated_at=self.now)

    def notify(self, event: str) -> None:
        """Send the status callback of an event."""
        recorded = None
        if event == "completed" and self.call.record is not None:
            recorded = self.view.recordings.get(RecordingSid(derive("RE", self.call.sid)))
        self.call, callbacks = callback(self.call, event, self.now, recorded)
        self.say(*callbacks)

    def keep(self, script: Script) -> None:
        """Put a script's new state in place of the old."""
        others = tuple(kept for kept in self.call.scripts if kept.role != script.role)
        self.call = replace(self.call, scripts=(*others, script))

    def drop(self, script: Script) -> None:
        """A script is no more."""
        self.runner.forget(script)
        kept = tuple(kept for kept in self.call.scripts if kept.serial != script.serial)
        self.call = replace(self.call, scripts=kept)

    def place(self, target: Target) -> None:
        """Call the phone; from now on it has its time to be answered."""
        self.notify("initiated")
        call = self.call = replace(self.call, target=None)
        self.say(PlaceLeg(call=call.sid, target=target, from_=call.from_, beside=call.boss))
        self.say(StartTimer(token=ring_timer(call.sid), after_s=call.timeout_s))

    def answer(self) -> None:
        """Answer a calling phone that rings; nothing for any other call."""
        call = self.call
        if call.direction == "inbound" and call.status is CallStatus.RINGING:
            self.move(CallStatus.IN_PROGRESS)
            self.call = replace(self.call, started_at=self.now, answered_at=self.now)
            self.say(AnswerLeg(call=call.sid))
            self.notify("answered")

    def sound_early(self) -> None:
        """Let a calling phone that rings hear what is played to it; nothing for any other call."""
        call = self.call
        if call.direction == "inbound" and call.status is CallStatus.RINGING and not call.early_media:
            self.call = replace(call, early_media=True)
            self.say(RingLeg(call=call.sid, early_media=True))

    def finish(self, status: CallStatus, sip_code: int, *, leg_is_gone: bool) -> None:
        """End the call: its scripts, its place in room and queue, its leg; then tell of it.

        The goodbye request a running verb owes is sent with the final status; its answer changes nothing.
        """
        was = self.call
        self.move(status)
        self.call = replace(self.call, ended_at=self.now, sip_code=sip_code, boss=None, target=None)
        goodbyes = []
        for script in was.scripts:
            stops, goodbye = self.runner.interrupt(
                script, "hangup", ear(was, script.role, self.view, self.now), self.now
            )
            self.say(
                *(stop for stop in stops if not isinstance(stop, AnswerCaller | EarlyMedia | DeclineCaller)),
                *beside(script),
            )
            if goodbye is not None and script.role == "main":
                form = (*standard(self.call), *goodbye.form)
                goodbyes.append(PostCallback(call=was.sid, kind="superseded", request=replace(goodbye, form=form)))
        self.call = replace(self.call, scripts=())
        if was.script("main") is None:
            self.say(LeaveRoom(call=was.sid, cause="hangup"))
        if not leg_is_gone and was.target is None:
            unanswered = was.direction == "inbound" and was.status is CallStatus.RINGING
            self.say(RefuseLeg(call=was.sid, sip_code=sip_code) if unanswered else HangUpLeg(call=was.sid))
        self.say(StopTimer(token=limit_timer(was.sid)), StopTimer(token=ring_timer(was.sid)))
        if was.target is not None:
            self.say(StopTimer(token=turn_timer(was.sid)))
        if was.send_digits:
            self.say(StopSound(token=digits_sound(was.sid)))
        self.say(*goodbyes)
        if was.boss is not None:
            told = sip_told(was, sip_code)
            self.say(ChildEnded(call=was.boss, child=was.sid, status=status.value, sip_code=sip_code, sip=told))
        self.say(*(EndRecording(recording=one.sid) for one in self.view.recordings_of(was.sid)))
        self.notify("completed")


def limit_timer(call: CallSid) -> Token:
    """The timer of the longest time a call may last."""
    return Token(f"{call}/limit")


def ring_timer(call: CallSid) -> Token:
    """The timer of the longest time a called phone may ring."""
    return Token(f"{call}/ring")


def turn_timer(call: CallSid) -> Token:
    """The time until it is a call's turn to be placed."""
    return Token(f"{call}/turn")


def digits_sound(call: CallSid) -> Token:
    """The touch tones sent once a called phone has answered."""
    return Token(f"{call}/digits")


def patience_timer(script: Script) -> Token:
    """The time within which a hold's own sound should begin."""
    return Token(f"{script.prefix}/patience")


def again_timer(script: Script) -> Token:
    """The time until a queue's waitUrl is asked again."""
    return Token(f"{script.prefix}/again")


def bridging_sound(script: Script) -> Token:
    """The music while a hold's own sound is late."""
    return Token(f"{script.prefix}/meanwhile")


def builtin_sound(script: Script) -> Token:
    """The music in place of a hold's own sound that does not come."""
    return Token(f"{script.prefix}/builtin")


def beside(script: Script) -> tuple[Saying, ...]:
    """What stops the things that were started beside a script's own verbs."""
    if script.role == "hold" and script.asked is not None:
        if not script.impatient:
            return (StopTimer(token=patience_timer(script)),)
        return (StopSound(token=bridging_sound(script)), StopSound(token=builtin_sound(script)))
    if script.role == "queue":
        return (StopTimer(token=again_timer(script)),)
    return ()
