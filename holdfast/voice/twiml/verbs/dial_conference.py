"""Run `<Dial><Conference>`: be in a conference until the call leaves it or it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, assert_never, get_args

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    Admission,
    WebRequest,
)
from holdfast.voice.model.effects import LogNotification, StartTimer
from holdfast.voice.model.facts import DigitPressed, Fact, RoomLeft, RoomRefused, TimerFired
from holdfast.voice.model.ids import RoomSid
from holdfast.voice.model.internal_commands import EnterConference
from holdfast.voice.twiml.verb import AnswerCaller, Continue, Interruption, Run, Verb, VerbContext, next_fact
from holdfast.voice.twiml.verbs.dial_attributes import DialAttributes

Heard = DigitPressed | RoomLeft | RoomRefused | TimerFired


@dataclass(frozen=True, slots=True, kw_only=True)
class DialConference(Verb):
    """This verb joins the conference of a name.

    DialCallStatus is `answered` for every kind of end. Source: TwiML <Conference>.
    """

    name: ClassVar[str] = "Dial"
    hears: ClassVar[tuple[type[Fact], ...]] = get_args(Heard)
    SILENT: ClassVar[WebRequest] = WebRequest(url="", method="GET")
    dial: DialAttributes
    admission: Admission

    def needs(self, fact: Fact) -> bool:
        return self.dial.needs(fact)

    def run(self, context: VerbContext) -> Run:
        yield AnswerCaller()
        timer = context.token()
        yield StartTimer(token=timer, after_s=self.dial.time_limit_s)
        yield EnterConference(
            token=context.token(),
            call=context.call,
            account=context.account,
            admission=self.admission,
            new_room=RoomSid(context.sid("CF")),
        )
        try:
            while True:
                fact: Heard = yield from next_fact()
                match fact:
                    case RoomLeft() | TimerFired() | DigitPressed():
                        break
                    case RoomRefused(code=code, message=message):
                        yield LogNotification(call=context.call, code=code, log=0, message=message)
                        break
                    case _:
                        assert_never(fact)
        except Interruption as interruption:
            if interruption.cause != "hangup" and not twilio_assumptions.REDIRECTED_CONFERENCE_REQUESTS_ACTION:
                return Continue()
        return self.dial.outcome(("DialCallStatus", "answered"))
