"""Run `<Record>`: record what the caller says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, assert_never, get_args

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import RecordingOptions, WebRequest
from holdfast.voice.model.effects import PlaySound, StartTimer
from holdfast.voice.model.facts import (
    DigitPressed,
    Fact,
    RecordingBegan,
    RecordingFinished,
    RecordingQuiet,
    SoundEnded,
    SoundFailed,
    TimerFired,
)
from holdfast.voice.model.ids import RecordingSid
from holdfast.voice.model.internal_commands import BeginRecording, EndRecording
from holdfast.voice.twiml.attributes import PHONE_DIGITS, AttributeReader
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
from holdfast.voice.twiml.verbs.recording_params import RecordingProgress, read_options

CODES = {
    "method": 13610,
    "timeout": 13611,
    "maxLength": 13612,
    "finishOnKey": 13613,
    "transcribe": 13614,
    "playBeep": 13616,
}
Heard = DigitPressed | RecordingBegan | RecordingFinished | RecordingQuiet | SoundEnded | SoundFailed | TimerFired


@dataclass(frozen=True, slots=True, kw_only=True)
class Record(Verb):
    """This verb records until a digit, silence, or the maximum length, then requests `action`, unless all was silent.

    Units: `silence_s` and `max_length_s` in seconds; `silence_s` 0: silence never ends it. Source: TwiML <Record>.
    """

    name: ClassVar[str] = "Record"
    has_children: ClassVar[bool] = True
    hears: ClassVar[tuple[type[Fact], ...]] = get_args(Heard)
    action: WebRequest
    options: RecordingOptions
    silence_s: int = 5
    finish_on: str = PHONE_DIGITS
    max_length_s: int = 3600
    beep: bool = True

    @classmethod
    def parse(cls, reader: AttributeReader) -> Record:
        reader.codes = CODES
        for node in reader.node.children:
            reader.warn(f"<{node.tag[:60]}> may not stand in it", code=12200)
        reader.text("transcribeCallback")
        if reader.boolean("transcribe", False):
            reader.warn("this engine does not transcribe speech: there will be no transcription", code=12200)
        return cls(
            action=reader.request("action", "method") or WebRequest(url=reader.base_url, method=reader.method()),
            options=read_options(reader, source="RecordVerb", trim=True),
            silence_s=reader.integer("timeout", 5, low=0, high=14400),
            finish_on=reader.digits("finishOnKey", PHONE_DIGITS),
            max_length_s=reader.integer("maxLength", 3600, low=1, high=14400),
            beep=reader.boolean("playBeep", True),
        )

    def needs(self, fact: Fact) -> bool:
        return not isinstance(fact, DigitPressed) or fact.digit in self.finish_on

    def run(self, context: VerbContext) -> Run:
        yield AnswerCaller()
        if self.beep:
            beep = context.token()
            yield PlaySound(token=beep, source="builtin:beep")
            yield from until(SoundEnded, SoundFailed, token=beep)
        progress = RecordingProgress(recording=RecordingSid(context.sid("RE")), began=context.now)
        limit = context.token()
        yield StartTimer(token=limit, after_s=self.max_length_s)
        yield BeginRecording(
            recording=progress.recording,
            account=context.account,
            call=context.call,
            options=self.options,
            for_verb=True,
            silence_s=self.silence_s,
        )
        digit = ""
        try:
            while not progress.over:
                fact: Heard = yield from next_fact()
                match fact:
                    case DigitPressed(digit=digit):
                        break
                    case TimerFired() | RecordingQuiet():
                        break
                    case RecordingBegan() | RecordingFinished():
                        progress.handle(fact)
                    case SoundEnded() | SoundFailed():
                        pass
                    case _:
                        assert_never(fact)
            if not progress.over:
                yield EndRecording(recording=progress.recording)
            while not progress.over:
                progress.handle((yield from until(RecordingBegan, RecordingFinished)))
        except Interruption as interruption:
            if interruption.cause != "hangup" and not twilio_assumptions.REDIRECTED_RECORD_REQUESTS_ACTION:
                raise
            return self._outcome(progress, "hangup" if interruption.cause == "hangup" else digit, context.now)
        return self._outcome(progress, digit, context.now) if progress.seconds(context.now) else Continue()

    def _outcome(self, progress: RecordingProgress, digits: str, now: float) -> Outcome:
        digits_param = (("Digits", digits),) if digits else ()
        return GoToDocument(request=replace(self.action, form=(*self.action.form, *progress.form(now), *digits_param)))
