"""The call machine handles one message for one call.

It owns the call's status, its leg, its timers and its scripts. Rooms and queues are other nouns: they exchange
commands and facts with it.

Everything that affects the status of a call is in this file, in `step.py`, which ends calls, and in the table
`CALL_TRANSITIONS`: a message that the table does not list for the status is refused, and changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, assert_never

from holdfast.voice.control.call.phone_hold import with_phone_hold
from holdfast.voice.control.call.scripts import (
    handle_fact,
    handle_refer,
    hang_up,
    start_from_request,
    start_script,
    stop_script,
)
from holdfast.voice.control.call.step import CallStep, digits_token, limit_timer, ring_timer, turn_timer
from holdfast.voice.control.entities import Call, CallStatus
from holdfast.voice.control.read_only_state import ReadOnlyState, Transition
from holdfast.voice.control.statuses import (
    CALL_TRANSITIONS,
    CallMessage,
    LegChange,
    RestCallCommand,
    TokenFact,
    VerbFact,
)
from holdfast.voice.control.webhook_params import dial_sip_params, script_subject
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
    LogRefusal,
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
    ChildDigitsStarted,
    ChildRinging,
    DigitPressed,
    DocumentFetched,
    DocumentFetchFailed,
    HolderSounds,
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
from holdfast.voice.model.ids import RecordingSid, derive
from holdfast.voice.model.internal_commands import (
    BeginRecording,
    CallChild,
    LeaveRoom,
    NoteParticipant,
    NotePhoneHold,
    ReleaseChild,
    RunOwnDocument,
    StartScript,
    StopScript,
)
from holdfast.voice.model.phone_numbers import read_number
from holdfast.voice.model.sip_status_mapping import SIP_FAILED, call_status_of, describe_refusal
from holdfast.voice.twiml.runner import Runner
from holdfast.voice.twiml.verb import AnswerCaller, DeclineCaller, EarlyMedia

DIGIT_ROLES: Final[tuple[Role, ...]] = ("main", "queue", "screen")
"""The roles whose scripts receive digits; a hold, a wait for a conference and an announcement do not."""


def create(command: CreateCall, now: float, view: ReadOnlyState, runner: Runner) -> Transition[Call]:
    """Create a call placed by REST. Source: Twilio API, POST Calls."""
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
        caller_id=command.caller_id,
        display_name=command.display_name,
        send_digits=command.send_digits,
        record=command.record,
        time_limit_s=command.time_limit_s,
        timeout_s=command.timeout_s,
        queue_time_s=command.wait_s,
    )
    step = CallStep(call=call, now=now, view=view, runner=runner)
    if command.reserve is not None:
        step.emit(command.reserve)
    if command.wait_s > 0:
        step.call = replace(call, target=command.target)
        step.emit(StartTimer(token=turn_timer(call.sid), after_s=command.wait_s))
    else:
        step.place_leg(command.target)
    return Transition(step.call, tuple(step.emitted))


def dial(command: CallChild, parent: Call, now: float, view: ReadOnlyState, runner: Runner) -> Transition[Call]:
    """Create a call dialled by another call's document. Source: TwiML <Dial>."""
    call = Call(
        sid=command.call,
        account=parent.account,
        direction="outbound-dial",
        from_=command.from_ if command.from_ == parent.from_ else _party(command.from_, view),
        to=_party(command.target.to, view),
        status=CallStatus.QUEUED,
        created_at=now,
        updated_at=now,
        parent=parent.sid,
        controlled_by=parent.sid,
        callback=command.callback,
        screen=command.screen,
        send_digits=command.send_digits,
        time_limit_s=command.time_limit_s,
        timeout_s=command.timeout_s,
    )
    step = CallStep(call=call, now=now, view=view, runner=runner)
    step.place_leg(command.target)
    return Transition(step.call, tuple(step.emitted))


def _party(written: str, view: ReadOnlyState) -> str:
    """Return a party that a document names, in E.164 if it is a phone number."""
    return read_number(written, view.default_country) or written


def receive(command: ReceiveCall, now: float, view: ReadOnlyState, runner: Runner) -> Transition[Call]:
    """Create an inbound call: it rings, and the dialled number's document begins."""
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
        extra_params=command.extra_params,
    )
    step = CallStep(call=call, now=now, view=view, runner=runner)
    step.emit(RingLeg(call=call.sid), StartTimer(token=limit_timer(call.sid), after_s=call.time_limit_s))
    start_script(step, "main", command.instruction)
    return Transition(step.call, tuple(step.emitted))


def handle(call: Call, message: CallMessage, now: float, view: ReadOnlyState, runner: Runner) -> Transition[Call]:
    """Handle one message for a call. Raises: CallNotInProgress (REST commands only, with nothing changed)."""
    followers = CALL_TRANSITIONS.get((call.status, type(message)))
    if followers is None:
        if isinstance(message, RestCallCommand):
            verb = "record" if isinstance(message, RecordCall) else "redirect"
            raise CallNotInProgress(f"Call is not in-progress. Cannot {verb}.")
        refusal = LogRefusal(noun=call.sid, status=call.status.value, message=type(message).__name__)
        return Transition(call, (refusal,))
    if not call.live:
        return Transition(call, ())
    step = CallStep(call=call, now=now, view=view, runner=runner)
    match message:
        case RedirectCall(instruction=instruction):
            if call.script("main") is None and call.status is not CallStatus.IN_PROGRESS:
                raise CallNotInProgress("Call is not in-progress. Cannot redirect.")
            _redirect(step, instruction)
        case EndCall(status=wanted):
            if call.status is not CallStatus.IN_PROGRESS:
                step.finish(CallStatus.CANCELED, 487, leg_is_gone=False)
            elif wanted != "canceled":
                step.finish(CallStatus.COMPLETED, 200, leg_is_gone=False)
        case ChangeCall():
            _change(step, message)
        case RecordCall(recording=recording, options=terms):
            step.emit(BeginRecording(recording=recording, account=call.account, options=terms, call=call.sid))
        case ReleaseChild():
            _release(step, message)
        case RunOwnDocument(instruction=instruction):
            _redirect(step, instruction)
        case PhoneRefers():
            handle_refer(step, message)
        case StartScript(role=role, instruction=Instruction() as instruction):
            start_script(step, role, instruction)
        case StartScript(role=role, request=request):
            if role == "queue":
                step.call = replace(step.call, queue_wait=request)
            start_from_request(step, role, request)
        case StopScript(role=role):
            stop_script(step, role)
        case LegRinging() | LegAnswered() | LegRefused() | LegEnded() | PhoneHeld() | HolderSounds() | PhoneResumed():
            _handle_leg_fact(step, message)
        case TimerFired() | DocumentFetched() | DocumentFetchFailed() | SoundEnded() | SoundFailed():
            _handle_token(step, message)
        case DigitPressed():
            for role in DIGIT_ROLES:
                if (script := step.call.script(role)) is not None:
                    handle_fact(step, script, message)
        case _:
            _handle_verb_fact(step, message)
    assert step.call.status in followers, f"{call.status} -> {step.call.status} by {type(message).__name__}"
    return Transition(step.call, tuple(step.emitted))


def _handle_verb_fact(step: CallStep, fact: VerbFact) -> None:
    """Give a fact to the running verb. A call that leaves its room unanswered was still being called into it."""
    if isinstance(fact, RoomLeft) and step.call.status is not CallStatus.IN_PROGRESS:
        step.finish(CallStatus.CANCELED, 487, leg_is_gone=False)
    elif (main := step.call.script("main")) is not None:
        handle_fact(step, main, fact)


def _handle_token(step: CallStep, fact: TokenFact) -> None:
    """Handle a fact that names a token: of a timer or the digits of the call, or of one of its scripts.

    A token of an earlier script is ignored.
    """
    call = step.call
    if fact.token == limit_timer(call.sid):
        hang_up(step)
    elif fact.token == ring_timer(call.sid) and call.status is not CallStatus.IN_PROGRESS:
        step.finish(CallStatus.NO_ANSWER, 487, leg_is_gone=False)
    elif fact.token == turn_timer(call.sid) and call.target is not None:
        step.place_leg(call.target)
    elif fact.token == digits_token(call.sid) and call.script("main") is None:
        _connected(step)
    elif script := next((each for each in call.scripts if fact.token.startswith(f"{each.prefix}/")), None):
        handle_fact(step, script, fact)


def _change(step: CallStep, command: ChangeCall) -> None:
    call = step.call
    fallback, callback = command.fallback or call.fallback, command.callback or call.callback
    step.call = replace(call, fallback=fallback, callback=callback, updated_at=step.now)
    if command.time_limit_s is not None:
        _change_time_limit(step, command.time_limit_s)


def _change_time_limit(step: CallStep, limit_s: int) -> None:
    """Set another time limit, counted from the start of the call; a limit in the past ends the call."""
    call = step.call = replace(step.call, time_limit_s=limit_s)
    began = call.created_at if call.direction == "inbound" else call.answered_at
    if began is None:
        return
    left = began + limit_s - step.now
    step.emit(StopTimer(token=limit_timer(call.sid)))
    if left > 0:
        step.emit(StartTimer(token=limit_timer(call.sid), after_s=left))
        return
    message = f"TimeLimit={limit_s} is already over: the call ends"
    step.emit(LogNotification(call=call.sid, code=13216, log=1, message=message))
    hang_up(step)


def _redirect(step: CallStep, instruction: Instruction) -> None:
    """Interrupt the running verb and run another document; the final request of that verb is sent first.

    A dialled leg that is redirected is no child from now on. Source: Twilio docs, "Modify a live call".
    """
    call = step.call
    if instruction.fallback is None:
        instruction = replace(instruction, fallback=call.fallback)
    final_request = None
    main = call.script("main")
    if main is not None:
        subject = script_subject(call, "main", step.view, step.now)
        stops, final_request = step.runner.interrupt(main, "redirect", subject, step.now)
        step.emit(*(action for action in stops if not isinstance(action, AnswerCaller | EarlyMedia | DeclineCaller)))
        step.discard_script(main)
    elif call.controlled_by is not None:
        stop_script(step, "screen")
        step.emit(LeaveRoom(call=call.sid, cause="redirect"), ChildDetached(call=call.controlled_by, child=call.sid))
        step.call = replace(step.call, controlled_by=None)
    if call.send_digits:
        step.emit(StopSound(token=digits_token(call.sid)))
    if final_request is not None:
        form = (*script_subject(call, "main", step.view, step.now).form(), *final_request.form)
        step.emit(PostCallback(call=call.sid, kind="superseded", request=replace(final_request, form=form)))
    step.call = replace(step.call, updated_at=step.now)
    start_script(step, "main", instruction)


# --- facts of the leg and the clock, commands of the parent ---------------------------------------------


def _handle_leg_fact(step: CallStep, fact: LegChange) -> None:
    call = step.call
    match fact:
        case LegRinging(early_media=early_media):
            begins = call.status is CallStatus.QUEUED
            if begins:
                step.set_status(CallStatus.RINGING)
                step.send_callback("ringing")
            if call.controlled_by is not None and (begins or early_media):
                step.emit(ChildRinging(call=call.controlled_by, child=call.sid, early_media=early_media))
            elif begins or early_media:
                step.emit(NoteParticipant(call=call.sid, status="ringing", early_media=early_media))
        case LegAnswered(sip_params=sip_params):
            step.call = replace(call, sip_params=sip_params)
            _answered(step)
        case LegRefused(sip_code=sip_code):
            status = CallStatus(call_status_of(sip_code))
            if fact.code or status is CallStatus.FAILED:
                message = describe_refusal(call.to, sip_code, fact.reason)
                step.emit(LogNotification(call=call.sid, code=fact.code or SIP_FAILED, log=0, message=message))
            step.finish(status, sip_code, leg_is_gone=True)
        case LegEnded(sip_code=sip_code):
            answered = call.status is CallStatus.IN_PROGRESS
            status = CallStatus.COMPLETED if answered else CallStatus.NO_ANSWER
            step.finish(status, sip_code if answered else 487, leg_is_gone=True)
        case PhoneHeld() | HolderSounds() | PhoneResumed():
            step.call = after = with_phone_hold(call, fact, step.now)
            if (after.phone_held, after.holder_heard) != (call.phone_held, call.holder_heard):
                step.emit(NotePhoneHold(call=call.sid, held=after.phone_held, heard=after.holder_heard))
        case _:
            assert_never(fact)


def _answered(step: CallStep) -> None:
    """Handle the answer of the callee's phone: its document begins, or its parent is notified."""
    call = step.call
    step.set_status(CallStatus.IN_PROGRESS)
    step.call = replace(step.call, started_at=step.now, answered_at=step.now)
    step.emit(StopTimer(token=ring_timer(call.sid)))
    step.emit(StartTimer(token=limit_timer(call.sid), after_s=call.time_limit_s))
    step.send_callback("answered")
    if call.record is not None:
        recording = RecordingSid(derive("RE", call.sid))
        step.emit(BeginRecording(recording=recording, account=call.account, options=call.record, call=call.sid))
    if call.send_digits:
        step.emit(PlaySound(token=digits_token(call.sid), source=f"digits:{call.send_digits}"))
        if call.controlled_by is not None:
            step.emit(ChildDigitsStarted(call=call.controlled_by, child=call.sid))
    else:
        _connected(step)


def _connected(step: CallStep) -> None:
    """Continue after the callee's phone has answered and received its touch tones."""
    call = step.call
    if call.controlled_by is None:
        assert call.instruction is not None
        start_script(step, "main", call.instruction)
        return
    step.emit(ChildAnswered(call=call.controlled_by, child=call.sid, sip_params=dial_sip_params(call, 200)))
    if call.screen is not None:
        start_script(step, "screen", Instruction(request=call.screen))


def _release(step: CallStep, command: ReleaseChild) -> None:
    """End a leg that the parent's verb released. An unanswered leg is canceled, or ran out of time."""
    if step.call.controlled_by is None:
        return
    if step.call.status is CallStatus.IN_PROGRESS:
        step.finish(CallStatus.COMPLETED, 200, leg_is_gone=False)
    else:
        words = {
            "done": "canceled",
            "timeout": "no-answer",
            "lost-race": twilio_assumptions.LOST_RACE_STATUS,
            "parent-gone": twilio_assumptions.CHILD_STATUS_AFTER_PARENT_HANGUP,
        }
        step.finish(CallStatus(words[command.cause]), 487, leg_is_gone=False)
