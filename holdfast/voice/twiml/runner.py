"""The runner: carries scripts on, fact by fact.

A script's generator is only a cache of its state and is rebuilt from it by silent replay. Whatever a verb starts is
stopped when the verb is left, for any reason, so no verb can forget.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    Instruction,
    WebRequest,
)
from holdfast.voice.model.effects import (
    FetchDocument,
    LogNotification,
    PlaySound,
    StartTimer,
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
)
from holdfast.voice.model.ids import Token
from holdfast.voice.model.internal_commands import (
    CallChild,
    EnterConference,
    JoinQueue,
    LeaveQueue,
    LeaveRoom,
    ReleaseChild,
)
from holdfast.voice.model.masking import mask_passwords
from holdfast.voice.twiml.document import Document, read, receive
from holdfast.voice.twiml.open_resources import (
    Doing,
    closes,
    closes_step,
    opens,
)
from holdfast.voice.twiml.script import Cause, Script, ScriptEnded, ScriptFailed, ScriptSubject, ScriptTurn
from holdfast.voice.twiml.verb import (
    Continue,
    Failed,
    GoToDocument,
    Interruption,
    Outcome,
    QuitQueue,
    Run,
    VerbContext,
    Waiting,
)
from holdfast.voice.twiml.verbs.flow import Redirect

MOST_FACTS = 1000
"""Facts of one verb after which further keys are dropped, so that a flood of them does not fill the journal."""
MOST_WARNINGS = 50
"""Warnings of one document that are told each by itself, so that a careless one does not fill the journal."""
MOST_REDIRECTS = 100
"""Documents in a row that neither sound nor wait, before the script fails."""


@dataclass(slots=True)
class Runner:
    """Runs scripts. It holds nothing but the cache of running generators."""

    running: dict[str, tuple[Run, VerbContext]] = field(default_factory=dict)

    def begin(self, script: Script, instruction: Instruction, ear: ScriptSubject, now: float) -> ScriptTurn:
        """Start a script with its first document, fetched or given."""
        script = replace(script, fallback=instruction.fallback, started_at=now)
        if instruction.request is not None:
            return _fetch(script, instruction.request, ear, now)
        document = Document(role=script.role, url=instruction.base_url, text=instruction.twiml or "<Response/>")
        return self._open(script, document, ear, now)

    def take(self, script: Script, fact: Fact, ear: ScriptSubject, now: float) -> ScriptTurn:
        """Go on after a fact."""
        match fact:
            case DocumentFetched(token=token) if token == script.fetching:
                return self._fetched(script, fact, ear, now)
            case DocumentFetchFailed(token=token) if token == script.fetching:
                return self._fail(script, fact.code, fact.message, ear, now)
            case _ if script.fetching is not None or script.ended:
                return ScriptTurn(script, ())
            case DigitPressed(digit=digit) if not _wanted(script, digit):
                return ScriptTurn(script, ())
            case _:
                run, desk = self._resume(script, ear)
                script = replace(
                    script,
                    facts=(*script.facts, (now, fact)),
                    opened=tuple(thing for thing in script.opened if thing.key != closes(fact)),
                )
                desk.now = now
                return self._drive(script, run, fact, (), ear, now)

    def interrupt(
        self, script: Script, cause: Cause, ear: ScriptSubject, now: float
    ) -> tuple[tuple[Doing, ...], WebRequest | None]:
        """Take the verb away: what stops, and the goodbye request that is due though its answer changes nothing."""
        if script.ended:
            return (), None
        if script.fetching is not None:
            return (StopFetch(token=script.fetching),), None
        run, desk = self._resume(script, ear)
        desk.now = now
        outcome: Outcome | None = None
        try:
            run.send(Interrupted(call=script.call, cause=cause))
        except StopIteration as stop:
            outcome = stop.value
        except Interruption:
            pass
        run.close()
        stops = self._leave(script, cause)
        match outcome:
            case GoToDocument(request=request):
                return stops, request
            case Continue() if cause != "hangup":
                following = self._following(script)
                return stops, following.request if isinstance(following, Redirect) else None
            case _:
                return stops, None

    def takes_referral(self, script: Script) -> bool:
        """Whether the running verb connects two parties, and puts one through when the other's phone asks for it."""
        if script.fetching is not None or script.ended or script.document is None:
            return False
        verb = read(script.document).verbs[script.verb]
        return verb.takes_referral() and any(thing.key == "room" for thing in script.opened)

    def forget(self, script: Script) -> None:
        """Drop the cached generator, as a crash would."""
        self.running.pop(_key(script), None)

    # --- documents -------------------------------------------------------------------------------------

    def _fetched(self, script: Script, fact: DocumentFetched, ear: ScriptSubject, now: float) -> ScriptTurn:
        asked = script.asked
        assert asked is not None
        try:
            document = receive(
                role=script.role,
                url=fact.url,
                method=asked.method,
                content_type=fact.content_type,
                body=fact.body,
                clip=fact.clip,
            )
        except VoiceError as error:
            return self._fail(script, error.code, error.message, ear, now)
        return self._open(script, document, ear, now)

    def _open(self, script: Script, document: Document, ear: ScriptSubject, now: float) -> ScriptTurn:
        script = replace(script, document=document, fetching=None, verb=-1, facts=())
        try:
            meaning = read(document)
        except VoiceError as error:
            return self._fail(script, error.code, error.message, ear, now)
        told = list(meaning.warnings[:MOST_WARNINGS])
        if left := len(meaning.warnings) - len(told):
            told.append(replace(meaning.warnings[-1], message=f"and {left} more warnings of this document"))
        warned = tuple(
            LogNotification(call=script.call, code=warning.code, log=1, message=warning.message, url=document.url)
            for warning in told
        )
        return self._next(script, warned, ear, now)

    def _fail(self, script: Script, code: int, message: str, ear: ScriptSubject, now: float) -> ScriptTurn:
        """An error: ask the fallback once, else the script is broken. Source: Twilio docs, fallback URLs."""
        url = mask_passwords(script.asked.url if script.asked else script.document.url if script.document else "")
        logged = LogNotification(call=script.call, code=code, log=0, message=message, url=url)
        if script.fallback is None or script.fell_back:
            return ScriptTurn(replace(script, fetching=None), (logged,), ScriptFailed(code=code, message=message))
        code_name, url_name = twilio_assumptions.FALLBACK_TELLS
        form = (*script.fallback.form, (code_name, str(code)), (url_name, url))
        turn = _fetch(replace(script, fell_back=True), replace(script.fallback, form=form), ear, now)
        return ScriptTurn(turn.script, (logged, *turn.doings), turn.ending)

    # --- verbs -----------------------------------------------------------------------------------------

    def _next(self, script: Script, doings: tuple[Doing, ...], ear: ScriptSubject, now: float) -> ScriptTurn:
        """Begin the verb after this one, or come to the end."""
        assert script.document is not None
        verbs = read(script.document).verbs
        if script.verb + 1 >= len(verbs):
            return ScriptTurn(script, doings, ScriptEnded())
        script = replace(script, verb=script.verb + 1, begun=script.begun + 1, began_at=now, facts=(), opened=())
        verb = verbs[script.verb]
        desk = _desk(script, ear)
        run = verb.run(desk)
        self.running[_key(script)] = (run, desk)
        began = VerbBegan(call=script.call, role=script.role, verb=verb.name)
        return self._drive(script, run, None, (*doings, began), ear, now)

    def _drive(
        self, script: Script, run: Run, fact: Fact | None, doings: tuple[Doing, ...], ear: ScriptSubject, now: float
    ) -> ScriptTurn:
        """Let the verb go on until it waits or is over."""
        made = list(doings)
        opened = list(script.opened)
        try:
            step = run.send(fact)
            while not isinstance(step, Waiting):
                made.append(step)
                if (thing := opens(step, script.call)) is not None:
                    opened.append(thing)
                if (stopped := closes_step(step)) != "":
                    opened = [kept for kept in opened if kept.key != stopped]
                step = next(run)
        except StopIteration as stop:
            return self._over(_lively(replace(script, opened=tuple(opened)), made), stop.value, tuple(made), ear, now)
        return ScriptTurn(_lively(replace(script, opened=tuple(opened)), made), tuple(made))

    def _over(
        self, script: Script, outcome: Outcome, doings: tuple[Doing, ...], ear: ScriptSubject, now: float
    ) -> ScriptTurn:
        """The verb is over: stop what it left open, and go where it points."""
        doings = (*doings, *self._leave(script, None))
        script = replace(script, opened=())
        match outcome:
            case Continue():
                return self._next(script, doings, ear, now)
            case GoToDocument(request=request):
                if script.redirects >= MOST_REDIRECTS:
                    message = f"{MOST_REDIRECTS} documents in a row made no sound and did not wait"
                    turn = self._fail(script, 12400, message, ear, now)
                else:
                    turn = _fetch(replace(script, redirects=script.redirects + 1), request, ear, now)
            case Failed(code=code, message=message):
                turn = self._fail(script, code, message, ear, now)
            case QuitQueue() if script.role != "queue":
                return self._next(script, doings, ear, now)
            case _:
                return ScriptTurn(script, doings, outcome)
        return ScriptTurn(turn.script, (*doings, *turn.doings), turn.ending)

    def _leave(self, script: Script, cause: Cause | None) -> tuple[Doing, ...]:
        """Stop what the verb started, the newest first."""
        self.forget(script)
        stops: list[Doing] = []
        for thing in reversed(script.opened):
            match thing.stop:
                case LeaveRoom() as leave if cause is not None:
                    stops.append(replace(leave, cause=cause))
                case ReleaseChild() as release if cause == "hangup":
                    stops.append(replace(release, cause="parent-gone"))
                case LeaveQueue() as leave if cause == "hangup":
                    stops.append(replace(leave, result="hangup"))
                case stop:
                    stops.append(stop)
        return tuple(stops)

    def _following(self, script: Script) -> object:
        assert script.document is not None
        verbs = read(script.document).verbs
        return verbs[script.verb + 1] if script.verb + 1 < len(verbs) else None

    def _resume(self, script: Script, ear: ScriptSubject) -> tuple[Run, VerbContext]:
        """The generator of the running verb; rebuilt, when it is not at hand, by replaying its facts silently."""
        cached = self.running.get(_key(script))
        if cached is not None:
            return cached
        assert script.document is not None
        desk = _desk(script, ear)
        run = read(script.document).verbs[script.verb].run(desk)
        _silently(run, None)
        for at, fact in script.facts:
            desk.now = at
            _silently(run, fact)
        self.running[_key(script)] = (run, desk)
        return run, desk


def _wanted(script: Script, digit: str) -> bool:
    """Whether the running verb is to hear of this key."""
    assert script.document is not None
    verb = read(script.document).verbs[script.verb]
    return verb.wants_key(digit) and len(script.facts) < MOST_FACTS


def _silently(run: Run, fact: Fact | None) -> None:
    step = run.send(fact)
    while not isinstance(step, Waiting):
        step = next(run)


def _key(script: Script) -> str:
    return f"{script.prefix}/{script.begun}"


def _desk(script: Script, ear: ScriptSubject) -> VerbContext:
    document = script.document
    assert document is not None
    return VerbContext(
        call=ear.call,
        account=ear.account,
        from_=ear.from_,
        to=ear.to,
        direction=ear.direction,
        prefix=f"{script.prefix}/{script.begun}",
        base_url=document.url,
        method=document.method,
        now=script.began_at,
    )


def _fetch(script: Script, request: WebRequest, ear: ScriptSubject, now: float) -> ScriptTurn:
    """Ask for the next document, with the standard parameters and the request's own."""
    script = replace(script, begun=script.begun + 1, asked=request, facts=(), opened=(), began_at=now)
    token = Token(f"{script.prefix}/{script.begun}.fetch")
    whole = replace(request, form=(*ear.form(), *request.form))
    keep = script.role in ("hold", "wait", "queue", "comfort") and request.method == "GET"
    doing = FetchDocument(token=token, call=script.call, request=whole, cacheable=keep)
    return ScriptTurn(replace(script, fetching=token), (doing,))


def _lively(script: Script, made: Iterable[Doing]) -> Script:
    """A script that sounds or waits has not gone in circles."""
    for doing in made:
        if isinstance(doing, PlaySound):
            script = replace(script, sounded=True)
        if isinstance(doing, PlaySound | StartTimer | JoinQueue | EnterConference | CallChild):
            script = replace(script, redirects=0)
    return script
