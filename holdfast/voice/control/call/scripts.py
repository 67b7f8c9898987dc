"""Scripts at a call's ear: begun, carried on, and what their end means for the call.

A call has its own document (`main`) and may have others beside it: the wait of a queue or a conference, a hold, a
screening. Only one sounds at a time, because the verb of the main document that owns the others makes no sound.
"""

from __future__ import annotations

import re
from dataclasses import replace
from xml.sax.saxutils import escape

from holdfast.voice.control.call.step import (
    CallStep,
    again_timer,
    beside,
    bridging_sound,
    builtin_sound,
    patience_timer,
)
from holdfast.voice.control.entities import CallStatus
from holdfast.voice.control.webhook_params import ear
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    Instruction,
    Role,
    WebRequest,
)
from holdfast.voice.model.effects import AnswerReferral, LogNotification, PlaySound, StartTimer, StopSound
from holdfast.voice.model.facts import ChildRefers, ChildScreened, Fact, PhoneRefers, TimerFired, WhisperHeard
from holdfast.voice.model.internal_commands import (
    LeaveQueue,
    NoteAnnounced,
    NoteAnnouncing,
    RefuseEntry,
)
from holdfast.voice.twiml.script import Ending, Script, ScriptEnded, ScriptFailed, ScriptTurn
from holdfast.voice.twiml.verb import AnswerCaller, DeclineCaller, EarlyMedia, HangUp, QuitQueue

HOLD_PATIENCE_S = 2.0
"""How long a held ear may hear silence before the built-in music takes the place of a sound that does not come."""
WAIT_PERIOD_S = 1.0
"""The least time between two requests of a queue's waitUrl, so that an empty document does not spin."""
TWILIOS_MUSIC = re.compile(
    r"https?://(twimlets\.com/holdmusic\b|s3\.amazonaws\.com/com\.twilio\.|com\.twilio\.[a-z.-]+\.s3\.amazonaws\.com/)"
)
BUILTIN = '<Response><Play loop="0">builtin:hold</Play></Response>'


def begin(work: CallStep, role: Role, instruction: Instruction) -> None:
    """Start a script of that role in place of one that runs."""
    stop(work, role)
    serial = work.call.scripts_begun + 1
    work.call = replace(work.call, scripts_begun=serial)
    script = Script(call=work.call.sid, role=role, serial=serial)
    if role == "hold" and instruction.request is not None:
        work.say(StartTimer(token=patience_timer(script), after_s=HOLD_PATIENCE_S))
    _apply(work, work.runner.begin(script, instruction, ear(work.call, role, work.view, work.now), work.now))


def begin_beside(work: CallStep, role: Role, request: WebRequest | None) -> None:
    """Start a script beside the main one. No request: the built-in music. An empty URL: silence, so none."""
    if request is None or is_twilios_music(request.url):
        begin(work, role, Instruction(twiml=BUILTIN))
    elif request.url:
        begin(work, role, Instruction(request=request))
    else:
        stop(work, role)


def is_twilios_music(url: str) -> bool:
    """Whether an address is one of Twilio's own playlists, in whose place the built-in loop is heard.

    Deviation: nothing is fetched from them, so that they sound without an internet. Source: TwiML <Conference> waitUrl.
    """
    return TWILIOS_MUSIC.match(url) is not None


def stop(work: CallStep, role: Role) -> None:
    """End the script of that role and everything it started; nothing when there is none."""
    script = work.call.script(role)
    if script is None:
        return
    stops, _ = work.runner.interrupt(script, "redirect", ear(work.call, role, work.view, work.now), work.now)
    work.say(
        *(step for step in stops if not isinstance(step, AnswerCaller | EarlyMedia | DeclineCaller)), *beside(script)
    )
    work.drop(script)


def tell(work: CallStep, script: Script, fact: Fact) -> None:
    """Give a script the next fact."""
    match fact:
        case TimerFired(token=token) if token == patience_timer(script):
            _lose_patience(work, script)
        case TimerFired(token=token) if token == again_timer(script):
            _wait_again(work, script)
        case _:
            about = ear(work.call, script.role, work.view, work.now)
            _apply(work, work.runner.take(script, fact, about, work.now))


def referred(work: CallStep, fact: PhoneRefers) -> None:
    """A phone asks that its peer is put through elsewhere: a bridged Dial with a referUrl does so, nobody else.

    Source: Twilio docs, "Inbound SIP REFER"; error 13802.
    """
    call = work.call
    dialler = call if call.boss is None else work.view.calls[call.boss]
    main = dialler.script("main")
    if main is None or not work.runner.takes_referral(main):
        message = f"the phone asked for {fact.target[:60]!r}, and no <Dial> with a referUrl connects it: refused"
        work.say(AnswerReferral(call=call.sid, sip_code=603))
        work.say(LogNotification(call=call.sid, code=13802, log=0, message=message))
    elif dialler is call:
        tell(work, main, fact)
    else:
        work.say(ChildRefers(call=dialler.sid, child=call.sid, target=fact.target))


def _apply(work: CallStep, turn: ScriptTurn) -> None:
    """Carry out what a script's turn says, in order, and draw the consequence of its end."""
    before, script = work.call.script(turn.script.role), turn.script
    has_come = script.document is not None and (before is None or before.document is None)
    if script.role == "announce" and has_come and not isinstance(turn.ending, ScriptFailed):
        work.say(NoteAnnouncing(call=work.call.sid, instruction=_again(script)))
    if turn.ending is not None:
        # Before anything is done: what is done may end the call, which then finds no verb that runs.
        script = replace(script, ended="broken" if isinstance(turn.ending, ScriptFailed) else "over")
    work.keep(script)
    for doing in turn.doings:
        match doing:
            case AnswerCaller():
                work.answer()
            case EarlyMedia():
                work.sound_early()
            case DeclineCaller(sip_code=sip_code):
                _decline(work, sip_code)
            case _:
                work.say(doing)
    if turn.ending is not None and work.call.live:
        _ended(work, script, turn.ending)


def _again(script: Script) -> Instruction:
    """What gives another ear the document this script has begun with."""
    document = script.document
    assert document is not None
    text = document.text
    if document.clip is not None:
        text = f"<Response><Play>clip:{escape(document.clip)}</Play></Response>"
    return Instruction(twiml=text, base_url=document.url)


def _decline(work: CallStep, sip_code: int) -> None:
    call = work.call
    if call.direction == "inbound" and call.status is CallStatus.RINGING:
        busy = sip_code == 486
        work.finish(CallStatus.BUSY if busy else CallStatus.NO_ANSWER, sip_code, leg_is_gone=False)


def hang_up(work: CallStep, sip_code: int = 603) -> None:
    """End the call from our side: completed when it was answered, else the caller is declined."""
    if work.call.status is CallStatus.IN_PROGRESS:
        work.finish(CallStatus.COMPLETED, 200, leg_is_gone=False)
    else:
        work.finish(CallStatus.NO_ANSWER, sip_code, leg_is_gone=False)


def _ended(work: CallStep, script: Script, ending: Ending) -> None:
    """What the end of a script means, by its role. Source: Twilio docs of each kind of URL."""
    match script.role, ending:
        case "main", ScriptFailed():
            unanswered = work.call.status is not CallStatus.IN_PROGRESS
            status = CallStatus(twilio_assumptions.BROKEN_UNANSWERED) if unanswered else CallStatus.COMPLETED
            work.finish(status, 500, leg_is_gone=False)
        case "main", _:
            hang_up(work)
        case "queue", ScriptEnded():
            _wait_again(work, script)
        case "queue", QuitQueue():
            work.say(LeaveQueue(call=work.call.sid, result="leave"))
        case "queue", ScriptFailed():
            work.say(LeaveQueue(call=work.call.sid, result="error"))
        case "queue" | "screen", HangUp():
            hang_up(work)
        case "wait", ScriptFailed(code=code, message=message) if script.document is None:
            why = f"not admitted to the conference, for its waitUrl failed: {message}"
            work.say(RefuseEntry(call=work.call.sid, code=code, message=why))
        case "hold", ScriptFailed():
            if script.impatient:
                _builtin_music(work, script)
        case "announce", _:
            work.drop(script)
            code, message = (ending.code, ending.message) if isinstance(ending, ScriptFailed) else (0, "")
            work.say(NoteAnnounced(call=work.call.sid, code=code, message=message))
        case "whisper", _:
            work.say(WhisperHeard(call=work.call.sid))
        case "screen", ScriptEnded():
            assert work.call.boss is not None
            work.drop(script)
            work.say(ChildScreened(call=work.call.boss, child=work.call.sid))
        case "screen", _:
            hang_up(work)
        case _:
            pass


def _wait_again(work: CallStep, script: Script) -> None:
    """Ask a queue's waitUrl again, not more often than once in WAIT_PERIOD_S."""
    left = script.started_at + WAIT_PERIOD_S - work.now
    if left > 0:
        work.say(StartTimer(token=again_timer(script), after_s=left))
        return
    begin_beside(work, "queue", work.call.waits_on)


def _lose_patience(work: CallStep, script: Script) -> None:
    """A held ear has heard silence long enough. Deviation: Twilio leaves it silent."""
    script = replace(script, impatient=True)
    work.keep(script)
    coming = next((thing.stop.token for thing in script.opened if isinstance(thing.stop, StopSound)), None)
    if script.ended == "broken":
        _builtin_music(work, script)
    elif coming is not None or not (script.sounded or script.ended):
        work.say(PlaySound(token=bridging_sound(script), source="builtin:hold", rounds=0, meanwhile=coming))


def _builtin_music(work: CallStep, script: Script) -> None:
    work.say(PlaySound(token=builtin_sound(script), source="builtin:hold", rounds=0))
