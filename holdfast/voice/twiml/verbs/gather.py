"""Run `<Gather>`: collect the digits a caller presses, while prompts play.

Digits pressed before the verb began are ignored: there is no type-ahead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final, assert_never, get_args

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import Role, WebRequest
from holdfast.voice.model.effects import PlaySound, StartTimer, StopSound, StopTimer
from holdfast.voice.model.facts import DigitPressed, Fact, SoundEnded, SoundFailed, TimerFired
from holdfast.voice.model.ids import Token
from holdfast.voice.twiml.attributes import AttributeReader
from holdfast.voice.twiml.verb import (
    WAIT,
    AnswerCaller,
    Continue,
    Failed,
    GoToDocument,
    Interruption,
    Outcome,
    Run,
    SubRun,
    Verb,
    VerbContext,
    Waiting,
    next_fact,
)
from holdfast.voice.twiml.verbs.control_flow import Pause
from holdfast.voice.twiml.verbs.play_say import Play, Say

MAX_DIGITS = 256
"""The number of digits that ends a Gather without `numDigits`, so that a stuck key does not fill it for ever."""
PROMPTS: Final[Mapping[str, type[Say | Play | Pause]]] = {"Say": Say, "Play": Play, "Pause": Pause}
CODES = {"finishOnKey": 13310, "method": 13312, "timeout": 13313, "numDigits": 13314, "speechTimeout": 13327}
_SPEECH = (
    "hints",
    "language",
    "speechModel",
    "enhanced",
    "profanityFilter",
    "partialResultCallback",
    "partialResultCallbackMethod",
    "bargeIn",
    "maxSpeechTime",
    "debug",
)
"""The attributes for speech recognition: known, and without effect."""
Heard = DigitPressed | SoundEnded | SoundFailed | TimerFired


@dataclass(frozen=True, slots=True, kw_only=True)
class Gather(Verb):
    """This verb plays `prompts` until the first digit, collects digits, and requests `action` with them.

    Units: `timeout_s` seconds without a digit, counted from the end of the prompts. Source: TwiML <Gather>.
    """

    name: ClassVar[str] = "Gather"
    roles: ClassVar[frozenset[Role]] = frozenset({"main", "queue", "screen"})
    has_children: ClassVar[bool] = True
    hears: ClassVar[tuple[type[Fact], ...]] = get_args(Heard)
    prompts: tuple[Verb, ...] = ()
    action: WebRequest
    timeout_s: int = 5
    finish_on: str = "#"
    num_digits: int = MAX_DIGITS
    action_on_empty: bool = False
    dtmf: bool = True

    @classmethod
    def parse(cls, reader: AttributeReader) -> Gather:
        reader.codes = CODES
        prompts: list[Verb] = []
        for node in reader.node.children:
            kind = PROMPTS.get(node.tag)
            inner = AttributeReader(node, reader.base_url, warnings=reader.warnings)
            if kind is None or (kind is Play and "digits" in node.attributes):
                reader.warn(f"<{node.tag[:60]}> may not stand in it, only Say, Play (of a URL) and Pause", code=13320)
            elif (prompt := kind.parse(inner)) is not None:
                inner.warn_unknown()
                prompts.append(prompt)
        for name in _SPEECH:
            reader.text(name)
        words = reader.text("input", "dtmf").split() or ["dtmf"]
        if not set(words) <= {"dtmf", "speech"}:
            reader.warn(f"input={' '.join(words)[:40]!r} is neither dtmf nor speech; dtmf is used", code=12200)
            words = ["dtmf"]
        elif "speech" in words:
            reader.warn("this engine recognises no speech: only digits are collected", code=12200)
        if reader.text("speechTimeout", "auto").strip() != "auto":
            reader.integer("speechTimeout", 5, low=1, high=600)
        return cls(
            prompts=tuple(prompts),
            action=reader.request("action", "method") or WebRequest(url=reader.base_url, method=reader.method()),
            timeout_s=reader.integer("timeout", 5, low=1, high=3600),
            finish_on=reader.digits("finishOnKey", "#"),
            num_digits=reader.integer("numDigits", MAX_DIGITS, low=1, high=MAX_DIGITS),
            action_on_empty=reader.boolean("actionOnEmptyResult", False),
            dtmf="dtmf" in words,
        )

    def needs(self, fact: Fact) -> bool:
        return self.dtmf or not isinstance(fact, DigitPressed)

    def what_ends_it(self, elapsed_s: float) -> str:
        if not self.dtmf:
            return f": it waits {self.timeout_s} s for speech, which this engine does not recognise"
        most = self.num_digits
        digits = "a digit" if most == 1 else "digits" if most == MAX_DIGITS else f"{most} digits"
        finish = f", or {' or '.join(self.finish_on)}" if self.finish_on else ""
        return f": it waits for {digits}{finish}, and gives up {self.timeout_s} s after the prompt or the last digit"

    def run(self, context: VerbContext) -> Run:
        yield AnswerCaller()
        digit = digits = ""
        try:
            for prompt in self.prompts:
                cut_by = yield from _run_prompt(prompt, context)
                if isinstance(cut_by, Failed):
                    return cut_by
                if cut_by:
                    digit = cut_by
                    break
            while True:
                if digit and digit in self.finish_on:
                    return self._outcome(digits, digit)
                digits += digit
                if len(digits) >= self.num_digits:
                    return self._outcome(digits)
                digit = yield from self._next_digit(context)
                if not digit:
                    return self._outcome(digits)
        except Interruption as interruption:
            if interruption.cause == "hangup" or not twilio_assumptions.REDIRECTED_GATHER_REQUESTS_ACTION:
                raise
            return self._outcome(digits)

    def _next_digit(self, context: VerbContext) -> SubRun[str]:
        """Wait for the next digit and return it, or "" when none arrived in time."""
        timer = context.token()
        yield StartTimer(token=timer, after_s=self.timeout_s)
        while True:
            fact: Heard = yield from next_fact()
            match fact:
                case DigitPressed(digit=digit):
                    yield StopTimer(token=timer)
                    return digit
                case TimerFired(token=token) if token == timer:
                    return ""
                case SoundEnded() | SoundFailed() | TimerFired():
                    pass
                case _:
                    assert_never(fact)

    def _outcome(self, digits: str, finished_on: str = "") -> Outcome:
        if not digits and not self.action_on_empty:
            return Continue()
        form = (*self.action.form, ("Digits", digits), ("FinishedOnKey", finished_on))
        return GoToDocument(request=replace(self.action, form=form))


def _run_prompt(prompt: Verb, context: VerbContext) -> SubRun[str | Failed]:
    """Run a verb inside this one; return the digit that interrupted it, "" when it ended, or its failure."""
    run = prompt.run(context)
    started: dict[Token, StopSound | StopTimer] = {}
    fact = None
    while True:
        try:
            step = run.send(fact)
            while not isinstance(step, Waiting):
                if isinstance(step, PlaySound):
                    started[step.token] = StopSound(token=step.token)
                elif isinstance(step, StartTimer):
                    started[step.token] = StopTimer(token=step.token)
                yield step
                step = next(run)
        except StopIteration as stop:
            return stop.value if isinstance(stop.value, Failed) else ""
        fact = yield WAIT
        if isinstance(fact, DigitPressed):
            run.close()
            yield from started.values()
            return fact.digit
