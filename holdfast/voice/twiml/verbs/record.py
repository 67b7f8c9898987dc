"""`<Record>`: write down what the caller says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import RecordingOptions, WebRequest
from holdfast.voice.model.effects import PlaySound, StartTimer
from holdfast.voice.model.facts import (
    DigitPressed,
    RecordingBegan,
    RecordingFinished,
    RecordingQuiet,
    SoundEnded,
    SoundFailed,
    TimerFired,
)
from holdfast.voice.model.ids import RecordingSid
from holdfast.voice.model.internal_commands import BeginRecording, EndRecording
from holdfast.voice.twiml.attributes import KEYS, AttributeReader
from holdfast.voice.twiml.verb import (
    AnswerCaller,
    Continue,
    GoToDocument,
    Interruption,
    Outcome,
    Run,
    Verb,
    VerbContext,
    next_fact,
    until,
)
from holdfast.voice.twiml.verbs.recording_params import RecordingProgress, read_terms

CODES = {
    "method": 13610,
    "timeout": 13611,
    "maxLength": 13612,
    "finishOnKey": 13613,
    "transcribe": 13614,
    "playBeep": 13616,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Verb):
    """Record until a key, silence, or the longest length; then ask `action`, unless there was nothing but silence.

    Units: `silence_s` and `max_length_s` in seconds; `silence_s` 0: silence never ends it. Source: TwiML <Record>.
    """

    name: ClassVar[str] = "Record"
    action: WebRequest
    terms: RecordingOptions
    silence_s: int = 5
    finish_on: str = KEYS
    max_length_s: int = 3600
    beep: bool = True

    @classmethod
    def parse(cls, reader: AttributeReader) -> Record:
        reader.codes = CODES
        for node in reader.node.children:
            reader.warn(f"<{node.tag[:60]}> may not stand in it", code=12200)
        reader.text("transcribeCallback")
        if reader.boolean("transcribe", False):
            reader.warn("this engine does not write down what is said: there will be no transcription", code=12200)
        return cls(
            action=reader.request("action", "method") or WebRequest(url=reader.base_url, method=reader.method()),
            terms=read_terms(reader, source="RecordVerb", trim=True),
            silence_s=reader.integer("timeout", 5, low=0, high=14400),
            finish_on=reader.keys("finishOnKey", KEYS),
            max_length_s=reader.integer("maxLength", 3600, low=1, high=14400),
            beep=reader.boolean("playBeep", True),
        )

    def wants_key(self, digit: str) -> bool:
        return digit in self.finish_on

    def run(self, desk: VerbContext) -> Run:
        yield AnswerCaller()
        if self.beep:
            beep = desk.token()
            yield PlaySound(token=beep, source="builtin:beep")
            yield from until(SoundEnded, SoundFailed, token=beep)
        tape = RecordingProgress(recording=RecordingSid(desk.sid("RE")), began=desk.now)
        limit = desk.token()
        yield StartTimer(token=limit, after_s=self.max_length_s)
        yield BeginRecording(
            recording=tape.recording,
            account=desk.account,
            call=desk.call,
            options=self.terms,
            for_verb=True,
            silence_s=self.silence_s,
        )
        key = ""
        try:
            while not tape.over:
                match (yield from next_fact()):
                    case DigitPressed(digit=digit):
                        key = digit
                        break
                    case TimerFired() | RecordingQuiet():
                        break
                    case RecordingBegan() | RecordingFinished() as fact:
                        tape.note(fact)
                    case _:
                        pass
            if not tape.over:
                yield EndRecording(recording=tape.recording)
            while not tape.over:
                tape.note((yield from until(RecordingBegan, RecordingFinished)))
        except Interruption as order:
            if order.cause != "hangup" and not twilio_assumptions.RECORD_LEFT_ASKS_ACTION:
                raise
            return self._ask(tape, "hangup" if order.cause == "hangup" else key, desk.now)
        return self._ask(tape, key, desk.now) if tape.seconds(desk.now) else Continue()

    def _ask(self, tape: RecordingProgress, digits: str, now: float) -> Outcome:
        said = (("Digits", digits),) if digits else ()
        return GoToDocument(request=replace(self.action, form=(*self.action.form, *tape.form(now), *said)))
