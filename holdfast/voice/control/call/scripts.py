"""Start and continue the scripts of a call, and handle their ends.

A call has its own document (`main`) and may have others beside it: the wait of a queue or a conference, a hold, a
screening. Only one is audible at a time, because the verb of the main document that owns the others plays nothing.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import assert_never
from xml.sax.saxutils import escape

from holdfast.voice.control.call.step import (
    CallStep,
    builtin_music_token,
    hold_music_timer,
    interim_music_token,
    stops_for_script,
    wait_url_timer,
)
from holdfast.voice.control.entities import CallStatus
from holdfast.voice.control.webhook_params import script_subject
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    Instruction,
    Role,
    WebRequest,
)
from holdfast.voice.model.effects import AnswerReferral, LogNotification, PlaySound, StartTimer, StopSound
from holdfast.voice.model.facts import ChildRefers, ChildScreened, Fact, PhoneRefers, TimerFired, WhisperEnded
from holdfast.voice.model.internal_commands import (
    LeaveQueue,
    NoteAnnounced,
    NoteAnnouncing,
    RefuseEntry,
)
from holdfast.voice.twiml.script import Ending, Script, ScriptEnded, ScriptFailed, ScriptTurn
from holdfast.voice.twiml.verb import AnswerCaller, DeclineCaller, EarlyMedia, HangUp, QuitQueue

HOLD_MUSIC_TIMEOUT_S = 2.0
"""How long a held party may hear silence before the built-in music plays in place of hold music that is late."""
MIN_WAIT_PERIOD_S = 1.0
"""The least time between two requests of a queue's waitUrl, so that an empty document does not loop at once."""
TWILIO_MUSIC = re.compile(
    r"https?://(twimlets\.com/holdmusic\b|s3\.amazonaws\.com/com\.twilio\.|com\.twilio\.[a-z.-]+\.s3\.amazonaws\.com/)"
)
BUILTIN_MUSIC = '<Response><Play loop="0">builtin:hold</Play></Response>'


def start_script(step: CallStep, role: Role, instruction: Instruction, *, says_failure: bool = False) -> None:
    """Start a script of this role in place of one that runs."""
    stop_script(step, role)
    serial = step.call.scripts_started + 1
    step.call = replace(step.call, scripts_started=serial)
    script = Script(call=step.call.sid, role=role, serial=serial, says_failure=says_failure)
    if role == "hold" and instruction.request is not None:
        step.emit(StartTimer(token=hold_music_timer(script), after_s=HOLD_MUSIC_TIMEOUT_S))
    _apply_turn(
        step, step.runner.begin(script, instruction, script_subject(step.call, role, step.view, step.now), step.now)
    )


def start_from_request(step: CallStep, role: Role, request: WebRequest | None) -> None:
    """Start a script beside the main one. No request: the built-in music. An empty URL: silence, so no script."""
    if request is None or is_twilio_music(request.url):
        start_script(step, role, Instruction(twiml=BUILTIN_MUSIC))
    elif request.url:
        start_script(step, role, Instruction(request=request))
    else:
        stop_script(step, role)


def is_twilio_music(url: str) -> bool:
    """Return whether an address is one of Twilio's own playlists, in place of which the built-in music plays.

    Deviation: nothing is fetched from them, so that they work without the internet. Source: TwiML <Conference> waitUrl.
    """
    return TWILIO_MUSIC.match(url) is not None


def stop_script(step: CallStep, role: Role) -> None:
    """End the script of this role and all that it started, if one runs."""
    script = step.call.script(role)
    if script is None:
        return
    subject = script_subject(step.call, role, step.view, step.now)
    stops, _ = step.runner.interrupt(script, "redirect", subject, step.now)
    step.emit(
        *(action for action in stops if not isinstance(action, AnswerCaller | EarlyMedia | DeclineCaller)),
        *stops_for_script(script),
    )
    step.discard_script(script)


def handle_fact(step: CallStep, script: Script, fact: Fact) -> None:
    """Give a script its next fact."""
    match fact:
        case TimerFired(token=token) if token == hold_music_timer(script):
            _handle_hold_music_timeout(step, script)
        case TimerFired(token=token) if token == wait_url_timer(script):
            _request_wait_url_again(step, script)
        case _:
            subject = script_subject(step.call, script.role, step.view, step.now)
            _apply_turn(step, step.runner.handle(script, fact, subject, step.now))


def handle_refer(step: CallStep, fact: PhoneRefers) -> None:
    """Handle a phone's request to transfer its peer: only a bridged Dial with a referUrl accepts it.

    Source: Twilio docs, "Inbound SIP REFER"; error 13802.
    """
    call = step.call
    dialler = call if call.controlled_by is None else step.view.calls[call.controlled_by]
    main = dialler.script("main")
    heard = fact if dialler is call else ChildRefers(call=dialler.sid, child=call.sid, target=fact.target)
    verb = None if main is None or not main.in_room else main.running_verb
    if main is None or verb is None or not verb.receives(heard):
        message = f"the phone asked for {fact.target[:60]!r}, and no <Dial> with a referUrl connects it: refused"
        step.emit(AnswerReferral(call=call.sid, sip_code=603))
        step.emit(LogNotification(call=call.sid, code=13802, log=0, message=message))
    elif isinstance(heard, ChildRefers):
        step.emit(heard)
    else:
        handle_fact(step, main, heard)


def _apply_turn(step: CallStep, turn: ScriptTurn) -> None:
    """Emit the actions of a script's turn in order, and handle its end."""
    before, script = step.call.script(turn.script.role), turn.script
    document_arrived = script.document is not None and (before is None or before.document is None)
    if script.role == "announce" and document_arrived and not isinstance(turn.ending, ScriptFailed):
        step.emit(NoteAnnouncing(call=step.call.sid, instruction=_same_document(script)))
    if turn.ending is not None:
        # First of all: an action may end the call, which must then find no running verb.
        script = replace(script, ended="broken" if isinstance(turn.ending, ScriptFailed) else "over")
    step.put_script(script)
    for action in turn.actions:
        match action:
            case AnswerCaller():
                step.answer()
            case EarlyMedia():
                step.start_early_media()
            case DeclineCaller(sip_code=sip_code):
                _decline(step, sip_code)
            case _:
                step.emit(action)
    if turn.ending is not None and step.call.live:
        _handle_ending(step, script, turn.ending)


def _same_document(script: Script) -> Instruction:
    """Return the instruction by which another listener hears this script's document."""
    document = script.document
    assert document is not None
    text = document.text
    if document.clip is not None:
        text = f"<Response><Play>clip:{escape(document.clip)}</Play></Response>"
    return Instruction(twiml=text, base_url=document.url)


def _decline(step: CallStep, sip_code: int) -> None:
    call = step.call
    if call.direction == "inbound" and call.status is CallStatus.RINGING:
        busy = sip_code == 486
        step.finish(CallStatus.BUSY if busy else CallStatus.NO_ANSWER, sip_code, leg_is_gone=False)


def hang_up(step: CallStep, sip_code: int = 603) -> None:
    """End the call from our side: complete an answered call, or decline the caller."""
    if step.call.status is CallStatus.IN_PROGRESS:
        step.finish(CallStatus.COMPLETED, 200, leg_is_gone=False)
    else:
        step.finish(CallStatus.NO_ANSWER, sip_code, leg_is_gone=False)


def _handle_ending(step: CallStep, script: Script, ending: Ending) -> None:
    """Handle the end of a script according to its role. Source: Twilio docs of each kind of URL."""
    failure = ending if isinstance(ending, ScriptFailed) else None
    match script.role:
        case "main" | "screen" if failure is not None and not script.says_failure:
            _say_failure(step, script)
        case "main" if failure is not None or script.says_failure:
            _end_failed(step)
        case "main":
            hang_up(step)
        case "queue":
            _handle_queue_ending(step, script, ending)
        case "wait":
            if failure is not None and script.document is None:
                why = f"not admitted to the conference, because its waitUrl failed: {failure.message}"
                step.emit(RefuseEntry(call=step.call.sid, code=failure.code, message=why))
        case "hold":
            if failure is not None and script.audio_overdue:
                _play_builtin_music(step, script)
        case "announce":
            step.discard_script(script)
            code, message = (0, "") if failure is None else (failure.code, failure.message)
            step.emit(NoteAnnounced(call=step.call.sid, code=code, message=message))
        case "whisper":
            step.emit(WhisperEnded(call=step.call.sid))
        case "screen" if isinstance(ending, ScriptEnded) and not script.says_failure:
            assert step.call.controlled_by is not None
            step.discard_script(script)
            step.emit(ChildScreened(call=step.call.controlled_by, child=step.call.sid))
        case "screen":
            hang_up(step)
        case "comfort":
            pass  # it plays the built-in music, and ends with the hold of the other party's phone
        case _:
            assert_never(script.role)


def _say_failure(step: CallStep, script: Script) -> None:
    """Say to the party that the application failed; the call ends afterwards, or now if there is nothing to say.

    Source: Twilio docs, fallback URLs: an error announcement may play.
    """
    is_first = script.serial == 1 and not script.has_run
    words = twilio_assumptions.FAILED_FIRST_PAGE_SAID if is_first else twilio_assumptions.FAILED_LATER_PAGE_SAID
    if words:
        message = Instruction(twiml=f"<Response><Say>{escape(words)}</Say></Response>")
        start_script(step, script.role, message, says_failure=True)
    elif script.role == "screen":
        hang_up(step)
    else:
        _end_failed(step)


def _end_failed(step: CallStep) -> None:
    unanswered = step.call.status is not CallStatus.IN_PROGRESS
    status = CallStatus(twilio_assumptions.FAILED_DOCUMENT_UNANSWERED) if unanswered else CallStatus.COMPLETED
    step.finish(status, 500, leg_is_gone=False)


def _handle_queue_ending(step: CallStep, script: Script, ending: Ending) -> None:
    match ending:
        case ScriptEnded():
            _request_wait_url_again(step, script)
        case QuitQueue():
            step.emit(LeaveQueue(call=step.call.sid, result="leave"))
        case ScriptFailed():
            step.emit(LeaveQueue(call=step.call.sid, result="error"))
        case HangUp():
            hang_up(step)
        case _:
            assert_never(ending)


def _request_wait_url_again(step: CallStep, script: Script) -> None:
    """Request a queue's waitUrl again, at most once in MIN_WAIT_PERIOD_S."""
    left = script.started_at + MIN_WAIT_PERIOD_S - step.now
    if left > 0:
        step.emit(StartTimer(token=wait_url_timer(script), after_s=left))
        return
    start_from_request(step, "queue", step.call.queue_wait)


def _handle_hold_music_timeout(step: CallStep, script: Script) -> None:
    """Play the built-in music to a held party whose hold music is late. Deviation: Twilio leaves it silent."""
    script = replace(script, audio_overdue=True)
    step.put_script(script)
    pending = next(
        (resource.stop.token for resource in script.open_resources if isinstance(resource.stop, StopSound)), None
    )
    if script.ended == "broken":
        _play_builtin_music(step, script)
    elif pending is not None or not (script.audio_started or script.ended):
        step.emit(PlaySound(token=interim_music_token(script), source="builtin:hold", rounds=0, while_loading=pending))


def _play_builtin_music(step: CallStep, script: Script) -> None:
    step.emit(PlaySound(token=builtin_music_token(script), source="builtin:hold", rounds=0))
