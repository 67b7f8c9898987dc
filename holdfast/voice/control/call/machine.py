"""The call machine: what one message does to one call.

It owns the call's status, its leg, its timers and its scripts. Rooms and queues are other nouns: it tells them, and
they tell it.

Length: one machine stands in one file, so that every arrow of it is found here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from holdfast.voice.control.call.scripts import (
    begin,
    begin_beside,
    hang_up,
    referred,
    stop,
    tell,
)
from holdfast.voice.control.call.step import (
    CallStep,
    digits_sound,
    limit_timer,
    ring_timer,
    turn_timer,
)
from holdfast.voice.control.entities import Call, CallStatus
from holdfast.voice.control.read_only_state import Message, ReadOnlyState, Saying
from holdfast.voice.control.webhook_params import ear, sip_told
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    ChangeCall,
    CreateCall,
    EndCall,
    Instruction,
    ReceiveCall,
    RecordCall,
    RedirectCall,
    Role,
)
from holdfast.voice.model.effects import (
    LogNotification,
    PlaySound,
    PostCallback,
    RingLeg,
    StartTimer,
    StopSound,
    StopTimer,
)
from holdfast.voice.model.errors import CallNotInProgress
from holdfast.voice.model.facts import (
    ChildAnswered,
    ChildDetached,
    ChildKeyed,
    ChildRinging,
    DigitPressed,
    DocumentFetched,
    DocumentMissed,
    Fact,
    LegAnswered,
    LegEnded,
    LegRefused,
    LegRinging,
    PhoneHeld,
    PhoneRefers,
    PhoneResumed,
    RoomLeft,
    SoundEnded,
    SoundFailed,
    TimerFired,
)
from holdfast.voice.model.ids import RecordingSid, Token, derive
from holdfast.voice.model.internal_commands import (
    BeginRecording,
    CallChild,
    HandOver,
    LeaveRoom,
    NoteParticipant,
    NotePhoneHold,
    ReleaseChild,
    StartScript,
    StopScript,
)
from holdfast.voice.model.sip_status_mapping import SIP_FAILED, not_reached, refused_as
from holdfast.voice.twiml.runner import Runner
from holdfast.voice.twiml.verb import AnswerCaller, DeclineCaller, EarlyMedia

KEYED: Final[tuple[Role, ...]] = ("main", "queue", "screen")
"""The scripts that hear of keys; a hold, a wait for a conference and an announcement do not."""


class CallTransition(NamedTuple):
    """A call after a step, and what the step said."""

    call: Call
    said: tuple[Saying, ...]


def create(command: CreateCall, now: float, view: ReadOnlyState, runner: Runner) -> CallTransition:
    """A call placed by REST. Source: Twilio API, POST Calls."""
    call = Call(
        sid=command.call,
        account=command.account,
        direction="outbound-api",
        from_=command.from_,
        to=command.target.to,
        status=CallStatus.QUEUED,
        created_at=now,
        updated_at=now,
        callback=command.callback,
        instruction=command.instruction,
        fallback=command.instruction.fallback,
        send_digits=command.send_digits,
        record=command.record,
        time_limit_s=command.time_limit_s,
        timeout_s=command.timeout_s,
        queue_time_s=command.wait_s,
    )
    work = CallStep(call=call, now=now, view=view, runner=runner)
    if command.seat is not None:
        work.say(command.seat)
    if command.wait_s > 0:
        work.call = replace(call, target=command.target)
        work.say(StartTimer(token=turn_timer(call.sid), after_s=command.wait_s))
    else:
        work.place(command.target)
    return CallTransition(work.call, tuple(work.said))


def dial(command: CallChild, parent: Call, now: float, view: ReadOnlyState, runner: Runner) -> CallTransition:
    """A call dialled by another's document. Source: TwiML <Dial>."""
    call = Call(
        sid=command.call,
        account=parent.account,
        direction="outbound-dial",
        from_=command.from_,
        to=command.target.to,
        status=CallStatus.QUEUED,
        created_at=now,
        updated_at=now,
        parent=parent.sid,
        boss=parent.sid,
        callback=command.callback,
        screen=command.screen,
        send_digits=command.send_digits,
        time_limit_s=command.time_limit_s,
        timeout_s=command.timeout_s,
    )
    work = CallStep(call=call, now=now, view=view, runner=runner)
    work.place(command.target)
    return CallTransition(work.call, tuple(work.said))


def receive(command: ReceiveCall, now: float, view: ReadOnlyState, runner: Runner) -> CallTransition:
    """A phone called in: it rings, and its number's document begins."""
    call = Call(
        sid=command.call,
        account=command.account,
        direction="inbound",
        from_=command.from_,
        to=command.to,
        status=CallStatus.RINGING,
        created_at=now,
        updated_at=now,
        callback=command.callback,
        caller_name=command.caller_name,
        phone_number_sid=command.phone_number_sid,
        instruction=command.instruction,
        fallback=command.instruction.fallback,
        time_limit_s=command.time_limit_s,
        extra=command.extra,
    )
    work = CallStep(call=call, now=now, view=view, runner=runner)
    work.say(RingLeg(call=call.sid), StartTimer(token=limit_timer(call.sid), after_s=call.time_limit_s))
    begin(work, "main", command.instruction)
    return CallTransition(work.call, tuple(work.said))


def step(call: Call, message: Message, now: float, view: ReadOnlyState, runner: Runner) -> CallTransition:
    """What a message does to a call. Raises: CallNotInProgress (REST commands only, and nothing is changed)."""
    work = CallStep(call=call, now=now, view=view, runner=runner)
    match message:
        case RedirectCall() | EndCall() | ChangeCall():
            if not call.live:
                raise CallNotInProgress("Call is not in-progress. Cannot redirect.")
            _asked(work, message)
        case RecordCall(recording=recording, terms=terms):
            if call.status is not CallStatus.IN_PROGRESS:
                raise CallNotInProgress("Call is not in-progress. Cannot record.")
            work.say(BeginRecording(recording=recording, account=call.account, terms=terms, call=call.sid))
        case _ if not call.live:
            pass
        case ReleaseChild():
            _release(work, message)
        case HandOver(instruction=instruction):
            _redirect(work, instruction)
        case PhoneRefers():
            referred(work, message)
        case StartScript(role=role, instruction=Instruction() as instruction):
            begin(work, role, instruction)
        case StartScript(role=role, request=request):
            if role == "queue":
                work.call = replace(work.call, waits_on=request)
            begin_beside(work, role, request)
        case StopScript(role=role):
            stop(work, role)
        case LegRinging() | LegAnswered() | LegRefused() | LegEnded() | PhoneHeld() | PhoneResumed():
            _leg(work, message)
        case TimerFired(token=token) if token in (limit_timer(call.sid), ring_timer(call.sid)):
            _time_is_over(work, token)
        case TimerFired(token=token) if token == turn_timer(call.sid):
            if call.target is not None:
                work.place(call.target)
        case TimerFired(token=token) | DocumentFetched(token=token) | DocumentMissed(token=token):
            _to_script(work, token, message)
        case SoundEnded(token=token) | SoundFailed(token=token) if token == digits_sound(call.sid):
            if call.script("main") is None:
                _connected(work)
        case SoundEnded(token=token) | SoundFailed(token=token):
            _to_script(work, token, message)
        case DigitPressed():
            for role in KEYED:
                if (script := work.call.script(role)) is not None:
                    tell(work, script, message)
        case RoomLeft() if call.direction == "outbound-api" and call.status is not CallStatus.IN_PROGRESS:
            # It was only being called into the conference.
            work.finish(CallStatus.CANCELED, 487, leg_is_gone=False)
        case _:
            main = call.script("main")
            if main is not None:
                tell(work, main, message)  # type: ignore[arg-type]  # commands for a call are matched above
    return CallTransition(work.call, tuple(work.said))


def _to_script(work: CallStep, token: Token, fact: Fact) -> None:
    """The script whose prefix the token bears; an older script's token finds nobody."""
    for script in work.call.scripts:
        if token.startswith(f"{script.prefix}/"):
            tell(work, script, fact)
            return


# --- asked by REST -------------------------------------------------------------------------------------


def _asked(work: CallStep, command: RedirectCall | EndCall | ChangeCall) -> None:
    call = work.call
    match command:
        case RedirectCall(instruction=instruction):
            if call.script("main") is None and call.status is not CallStatus.IN_PROGRESS:
                raise CallNotInProgress("Call is not in-progress. Cannot redirect.")
            _redirect(work, instruction)
        case EndCall(status="canceled"):
            if call.status in (CallStatus.QUEUED, CallStatus.RINGING):
                work.finish(CallStatus.CANCELED, 487, leg_is_gone=False)
        case EndCall():
            answered = call.status is CallStatus.IN_PROGRESS
            status = CallStatus.COMPLETED if answered else CallStatus.CANCELED
            work.finish(status, 200 if answered else 487, leg_is_gone=False)
        case _:
            work.call = replace(
                call,
                fallback=command.fallback or call.fallback,
                callback=command.callback or call.callback,
                updated_at=work.now,
            )
            if command.time_limit_s is not None:
                _limit(work, command.time_limit_s)


def _limit(work: CallStep, limit_s: int) -> None:
    """Another time limit, counted from the start of the call; one that is over already ends it."""
    call = work.call = replace(work.call, time_limit_s=limit_s)
    began = call.created_at if call.direction == "inbound" else call.answered_at
    if began is None:
        return
    left = began + limit_s - work.now
    work.say(StopTimer(token=limit_timer(call.sid)))
    if left > 0:
        work.say(StartTimer(token=limit_timer(call.sid), after_s=left))
        return
    message = f"TimeLimit={limit_s} is over already: the call is ended"
    work.say(LogNotification(call=call.sid, code=13216, log=1, message=message))
    hang_up(work)


def _redirect(work: CallStep, instruction: Instruction) -> None:
    """Take the running verb away and run another document; the goodbye request of that verb goes first.

    A dialled leg that is redirected is nobody's child from now on. Source: Twilio docs, "Modify a live call".
    """
    call = work.call
    if instruction.fallback is None:
        instruction = replace(instruction, fallback=call.fallback)
    goodbye = None
    main = call.script("main")
    if main is not None:
        about = ear(call, "main", work.view, work.now)
        stops, goodbye = work.runner.interrupt(main, "redirect", about, work.now)
        work.say(*(step for step in stops if not isinstance(step, AnswerCaller | EarlyMedia | DeclineCaller)))
        work.drop(main)
    elif call.boss is not None:
        stop(work, "screen")
        work.say(LeaveRoom(call=call.sid, cause="redirect"), ChildDetached(call=call.boss, child=call.sid))
        work.call = replace(work.call, boss=None)
    if call.send_digits:
        work.say(StopSound(token=digits_sound(call.sid)))
    if goodbye is not None:
        form = (*ear(call, "main", work.view, work.now).form(), *goodbye.form)
        work.say(PostCallback(call=call.sid, kind="superseded", request=replace(goodbye, form=form)))
    work.call = replace(work.call, updated_at=work.now)
    begin(work, "main", instruction)


# --- told by the leg, the clock, or the boss ----------------------------------------------------------------


def _leg(work: CallStep, fact: LegRinging | LegAnswered | LegRefused | LegEnded | PhoneHeld | PhoneResumed) -> None:
    call = work.call
    match fact:
        case LegRinging():
            if call.status is CallStatus.QUEUED:
                work.move(CallStatus.RINGING)
                work.notify("ringing")
                work.say(NoteParticipant(call=call.sid, status="ringing"))
                if call.boss is not None:
                    work.say(ChildRinging(call=call.boss, child=call.sid, early_media=fact.early_media))
            elif fact.early_media and call.status is CallStatus.RINGING and call.boss is not None:
                work.say(ChildRinging(call=call.boss, child=call.sid, early_media=True))
        case LegAnswered():
            if call.status in (CallStatus.QUEUED, CallStatus.RINGING) and call.direction != "inbound":
                work.call = replace(call, sip=fact.sip)
                _answered(work)
        case LegRefused(sip_code=sip_code):
            if call.status in (CallStatus.QUEUED, CallStatus.RINGING):
                status = CallStatus(refused_as(sip_code))
                if fact.code or status is CallStatus.FAILED:
                    message = not_reached(call.to, sip_code, fact.reason)
                    work.say(LogNotification(call=call.sid, code=fact.code or SIP_FAILED, log=0, message=message))
                work.finish(status, sip_code, leg_is_gone=True)
        case LegEnded(sip_code=sip_code):
            if call.status is CallStatus.IN_PROGRESS:
                work.finish(CallStatus.COMPLETED, sip_code, leg_is_gone=True)
            else:
                work.finish(CallStatus.NO_ANSWER, 487, leg_is_gone=True)
        case _:
            held = isinstance(fact, PhoneHeld)
            if held != call.phone_held:
                work.call = replace(call, phone_held=held, phone_held_at=work.now if held else None)
                work.say(NotePhoneHold(call=call.sid, held=held))


def _answered(work: CallStep) -> None:
    """A called phone answered: its own document begins, or its boss hears of it."""
    call = work.call
    work.move(CallStatus.IN_PROGRESS)
    work.call = replace(work.call, started_at=work.now, answered_at=work.now)
    work.say(StopTimer(token=ring_timer(call.sid)))
    work.say(StartTimer(token=limit_timer(call.sid), after_s=call.time_limit_s))
    work.notify("answered")
    if call.record is not None:
        recording = RecordingSid(derive("RE", call.sid))
        work.say(BeginRecording(recording=recording, account=call.account, terms=call.record, call=call.sid))
    if call.send_digits:
        work.say(PlaySound(token=digits_sound(call.sid), source=f"digits:{call.send_digits}"))
        if call.boss is not None:
            work.say(ChildKeyed(call=call.boss, child=call.sid))
    else:
        _connected(work)


def _connected(work: CallStep) -> None:
    """The called phone has answered and was sent its touch tones: go on."""
    call = work.call
    if call.boss is None:
        assert call.instruction is not None
        begin(work, "main", call.instruction)
        return
    work.say(ChildAnswered(call=call.boss, child=call.sid, sip=sip_told(call, 200)))
    if call.screen is not None:
        begin(work, "screen", Instruction(request=call.screen))


def _time_is_over(work: CallStep, token: Token) -> None:
    if token == limit_timer(work.call.sid):
        hang_up(work)
    elif work.call.status in (CallStatus.QUEUED, CallStatus.RINGING):
        work.finish(CallStatus.NO_ANSWER, 487, leg_is_gone=False)


def _release(work: CallStep, command: ReleaseChild) -> None:
    """The parent's verb is done with this leg. Unanswered legs are canceled, or were given their time."""
    if work.call.boss is None:
        return
    if work.call.status is CallStatus.IN_PROGRESS:
        work.finish(CallStatus.COMPLETED, 200, leg_is_gone=False)
    else:
        words = {
            "done": "canceled",
            "timeout": "no-answer",
            "lost-race": twilio_assumptions.RACE_LOSER,
            "parent-gone": twilio_assumptions.CHILD_OF_GONE_PARENT,
        }
        work.finish(CallStatus(words[command.cause]), 487, leg_is_gone=False)
