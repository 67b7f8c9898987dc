"""The runner continues scripts, fact by fact.

A script's generator is only a cache of its state and is rebuilt from it by silent replay. The runner stops everything
that a verb started when the verb ends, for any reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import assert_never

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    Instruction,
    WebRequest,
)
from holdfast.voice.model.effects import (
    FetchDocument,
    LogNotification,
    PlaySound,
    StopFetch,
    VerbBegan,
)
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.facts import (
    DigitPressed,
    DocumentFetched,
    DocumentFetchFailed,
    Fact,
    Interrupted,
    SoundEnded,
)
from holdfast.voice.model.ids import Token
from holdfast.voice.model.internal_commands import (
    LeaveRoom,
)
from holdfast.voice.model.masking import mask_passwords
from holdfast.voice.twiml.document import Document, from_response, read
from holdfast.voice.twiml.open_resources import OpenResource, key_closed, resource_opened
from holdfast.voice.twiml.script import Cause, Script, ScriptEnded, ScriptFailed, ScriptSubject, ScriptTurn
from holdfast.voice.twiml.verb import (
    Action,
    Continue,
    Failed,
    GoToDocument,
    HangUp,
    Interruption,
    Outcome,
    QuitQueue,
    Run,
    VerbContext,
    Waiting,
)
from holdfast.voice.twiml.verbs.control_flow import Redirect

MAX_FACTS = 1000
"""The facts of one verb after which further digits are dropped, so that a flood of them does not fill the journal."""
MAX_WARNINGS = 50
"""The warnings of one document that are logged one by one, so that a faulty document does not fill the journal."""
MAX_REDIRECTS = 100
"""The documents in a row without progress, after which the script fails: else it would loop at the speed of the web."""
PROGRESS_S = 1.0
"""A verb makes progress when it lasts this long. One that plays a sound to its end, or hears a digit, does so too."""


@dataclass(slots=True)
class Runner:
    """The runner runs scripts. Its only state is the cache of running generators."""

    running: dict[str, tuple[Run, VerbContext]] = field(default_factory=dict)

    def begin(self, script: Script, instruction: Instruction, subject: ScriptSubject, now: float) -> ScriptTurn:
        """Start a script with its first document, fetched or inline."""
        script = replace(script, fallback=instruction.fallback, started_at=now)
        if instruction.request is not None:
            return _fetch(script, instruction.request, subject, now)
        document = Document(role=script.role, url=instruction.base_url, text=instruction.twiml or "<Response/>")
        return self._open(script, document, subject, now)

    def handle(self, script: Script, fact: Fact, subject: ScriptSubject, now: float) -> ScriptTurn:
        """Handle a fact for a script."""
        if isinstance(fact, DocumentFetched) and fact.token == script.fetching:
            return self._handle_fetched(script, fact, subject, now)
        if isinstance(fact, DocumentFetchFailed) and fact.token == script.fetching:
            return self._fail(script, fact.code, fact.message, subject, now)
        verb = script.running_verb
        if verb is None:
            return ScriptTurn(script, ())
        if (closed := key_closed(fact, verb.resources)) != "":
            open_resources = tuple(resource for resource in script.open_resources if resource.key != closed)
            script = replace(script, open_resources=open_resources)
        if not verb.receives(fact) or (isinstance(fact, DigitPressed) and len(script.facts) >= MAX_FACTS):
            return ScriptTurn(script, ())
        run, context = self._resume(script, subject)
        context.now = now
        return self._advance(replace(script, facts=(*script.facts, (now, fact))), run, fact, (), subject, now)

    def interrupt(
        self, script: Script, cause: Cause, subject: ScriptSubject, now: float
    ) -> tuple[tuple[Action, ...], WebRequest | None]:
        """Interrupt the verb; return what stops its resources, and a final request whose answer is ignored."""
        if script.ended:
            return (), None
        if script.fetching is not None:
            return (StopFetch(token=script.fetching),), None
        run, context = self._resume(script, subject)
        context.now = now
        outcome: Outcome | None = None
        try:
            run.send(Interrupted(call=script.call, cause=cause))
        except StopIteration as stop:
            outcome = stop.value
        except Interruption:
            pass
        run.close()
        stops = self._stop_resources(script, cause)
        match outcome:
            case GoToDocument(request=request):
                return stops, request
            case Continue() if cause != "hangup":
                next_verb = self._next_verb(script)
                return stops, next_verb.request if isinstance(next_verb, Redirect) else None
            case Continue() | HangUp() | QuitQueue() | Failed() | None:
                return stops, None
            case _:
                assert_never(outcome)

    def discard(self, script: Script) -> None:
        """Discard the cached generator, as a crash would."""
        self.running.pop(_key(script), None)

    # --- documents -------------------------------------------------------------------------------------

    def _handle_fetched(self, script: Script, fact: DocumentFetched, subject: ScriptSubject, now: float) -> ScriptTurn:
        request = script.last_request
        assert request is not None
        try:
            document = from_response(
                role=script.role,
                url=fact.url,
                method=request.method,
                content_type=fact.content_type,
                body=fact.body,
                clip=fact.clip,
            )
        except VoiceError as error:
            return self._fail(script, error.code, error.message, subject, now)
        return self._open(script, document, subject, now)

    def _open(self, script: Script, document: Document, subject: ScriptSubject, now: float) -> ScriptTurn:
        script = replace(script, document=document, fetching=None, verb_index=-1, facts=())
        try:
            result = read(document)
        except VoiceError as error:
            return self._fail(script, error.code, error.message, subject, now)
        shown = list(result.warnings[:MAX_WARNINGS])
        if hidden := len(result.warnings) - len(shown):
            shown.append(replace(result.warnings[-1], message=f"and {hidden} more warnings of this document"))
        notifications = tuple(
            LogNotification(call=script.call, code=warning.code, log=1, message=warning.message, url=document.url)
            for warning in shown
        )
        return self._start_next(script, notifications, subject, now)

    def _fail(self, script: Script, code: int, message: str, subject: ScriptSubject, now: float) -> ScriptTurn:
        """Handle an error: request the fallback once, else the script fails. Source: Twilio docs, fallback URLs."""
        url = mask_passwords(
            script.last_request.url if script.last_request else script.document.url if script.document else ""
        )
        logged = LogNotification(call=script.call, code=code, log=0, message=message, url=url)
        if script.fallback is None or script.used_fallback:
            return ScriptTurn(replace(script, fetching=None), (logged,), ScriptFailed(code=code, message=message))
        code_name, url_name = twilio_assumptions.FALLBACK_PARAMETERS
        form = (*script.fallback.form, (code_name, str(code)), (url_name, url))
        turn = _fetch(replace(script, used_fallback=True), replace(script.fallback, form=form), subject, now)
        return ScriptTurn(turn.script, (logged, *turn.actions), turn.ending)

    # --- verbs -----------------------------------------------------------------------------------------

    def _start_next(
        self, script: Script, actions: tuple[Action, ...], subject: ScriptSubject, now: float
    ) -> ScriptTurn:
        """Start the next verb, or end the script."""
        assert script.document is not None
        verbs = read(script.document).verbs
        if script.verb_index + 1 >= len(verbs):
            return ScriptTurn(script, actions, ScriptEnded())
        script = replace(
            script,
            verb_index=script.verb_index + 1,
            starts=script.starts + 1,
            has_run=True,
            began_at=now,
            facts=(),
            open_resources=(),
        )
        verb = verbs[script.verb_index]
        context = _context(script, subject)
        run = verb.run(context)
        self.running[_key(script)] = (run, context)
        began = VerbBegan(call=script.call, role=script.role, verb=verb.name)
        return self._advance(script, run, None, (*actions, began), subject, now)

    def _advance(
        self,
        script: Script,
        run: Run,
        fact: Fact | None,
        actions: tuple[Action, ...],
        subject: ScriptSubject,
        now: float,
    ) -> ScriptTurn:
        """Advance the verb until it waits or ends."""
        done = list(actions)
        opened = list(script.open_resources)
        verb = script.running_verb
        assert verb is not None
        try:
            step = run.send(fact)
            while not isinstance(step, Waiting):
                done.append(step)
                if (resource := resource_opened(step, script.call, verb.resources)) is not None:
                    opened.append(resource)
                if (stopped := key_closed(step, verb.resources)) != "":
                    opened = [kept for kept in opened if kept.key != stopped]
                step = next(run)
        except StopIteration as stop:
            return self._finish_verb(_note_progress(script, opened, done), stop.value, tuple(done), subject, now)
        return ScriptTurn(_note_progress(script, opened, done), tuple(done))

    def _finish_verb(
        self, script: Script, outcome: Outcome, actions: tuple[Action, ...], subject: ScriptSubject, now: float
    ) -> ScriptTurn:
        """Stop what an ended verb left open, and follow its outcome."""
        actions = (*actions, *self._stop_resources(script, None))
        progressed = now - script.began_at >= PROGRESS_S or any(
            isinstance(fact, SoundEnded | DigitPressed) for _, fact in script.facts
        )
        script = replace(script, open_resources=(), redirects=0 if progressed else script.redirects)
        match outcome:
            case Continue():
                return self._start_next(script, actions, subject, now)
            case GoToDocument(request=request):
                if script.redirects >= MAX_REDIRECTS:
                    message = f"{MAX_REDIRECTS} documents in a row played no audio to its end and did not wait"
                    turn = self._fail(script, 12400, message, subject, now)
                else:
                    turn = _fetch(replace(script, redirects=script.redirects + 1), request, subject, now)
            case Failed(code=code, message=message):
                turn = self._fail(script, code, message, subject, now)
            case QuitQueue() if script.role != "queue":
                return self._start_next(script, actions, subject, now)
            case HangUp() | QuitQueue():
                return ScriptTurn(script, actions, outcome)
            case _:
                assert_never(outcome)
        return ScriptTurn(turn.script, (*actions, *turn.actions), turn.ending)

    def _stop_resources(self, script: Script, cause: Cause | None) -> tuple[Action, ...]:
        """Return the actions that stop what the verb started, the newest first."""
        self.discard(script)
        stops: list[Action] = []
        for resource in reversed(script.open_resources):
            stop = resource.stop if cause != "hangup" else resource.stop_at_hangup or resource.stop
            stops.append(replace(stop, cause=cause) if isinstance(stop, LeaveRoom) and cause is not None else stop)
        return tuple(stops)

    def _next_verb(self, script: Script) -> object:
        assert script.document is not None
        verbs = read(script.document).verbs
        return verbs[script.verb_index + 1] if script.verb_index + 1 < len(verbs) else None

    def _resume(self, script: Script, subject: ScriptSubject) -> tuple[Run, VerbContext]:
        """Return the generator of the running verb, rebuilt by a silent replay of its facts if it is not cached."""
        cached = self.running.get(_key(script))
        if cached is not None:
            return cached
        verb = script.running_verb
        assert verb is not None
        context = _context(script, subject)
        run = verb.run(context)
        _replay(run, None)
        for at, fact in script.facts:
            context.now = at
            _replay(run, fact)
        self.running[_key(script)] = (run, context)
        return run, context


def _replay(run: Run, fact: Fact | None) -> None:
    step = run.send(fact)
    while not isinstance(step, Waiting):
        step = next(run)


def _key(script: Script) -> str:
    return f"{script.prefix}/{script.starts}"


def _context(script: Script, subject: ScriptSubject) -> VerbContext:
    document = script.document
    assert document is not None
    return VerbContext(
        call=subject.call,
        account=subject.account,
        from_=subject.from_,
        to=subject.to,
        direction=subject.direction,
        prefix=f"{script.prefix}/{script.starts}",
        base_url=document.url,
        method=document.method,
        now=script.began_at,
    )


def _fetch(script: Script, request: WebRequest, subject: ScriptSubject, now: float) -> ScriptTurn:
    """Request the next document, with the standard parameters and the request's own."""
    script = replace(script, starts=script.starts + 1, last_request=request, facts=(), open_resources=(), began_at=now)
    token = Token(f"{script.prefix}/{script.starts}.fetch")
    complete = replace(request, form=(*subject.form(), *request.form))
    cacheable = script.role in ("hold", "wait", "queue", "comfort") and request.method == "GET"
    action = FetchDocument(token=token, call=script.call, request=complete, cacheable=cacheable)
    return ScriptTurn(replace(script, fetching=token), (action,))


def _note_progress(script: Script, opened: Iterable[OpenResource], actions: Iterable[Action]) -> Script:
    """Note what is open, and whether audio has begun."""
    began = any(isinstance(action, PlaySound) for action in actions)
    return replace(script, open_resources=tuple(opened), audio_started=script.audio_started or began)
