"""Run `<Dial><Conference>`: be in a conference until the call leaves it or it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    Admission,
    WebRequest,
)
from holdfast.voice.model.effects import LogNotification, StartTimer
from holdfast.voice.model.facts import DigitPressed, RoomLeft, RoomRefused, TimerFired
from holdfast.voice.model.ids import RoomSid
from holdfast.voice.model.internal_commands import EnterConference
from holdfast.voice.twiml.verb import AnswerCaller, Continue, Interruption, Run, Verb, VerbContext, next_fact
from holdfast.voice.twiml.verbs.dial_attributes import DialAttributes


@dataclass(frozen=True, slots=True, kw_only=True)
class DialConference(Verb):
    """This verb joins the conference of a name.

    DialCallStatus is `answered` for every kind of end. Source: TwiML <Conference>.
    """

    name: ClassVar[str] = "Dial"
    SILENT: ClassVar[WebRequest] = WebRequest(url="", method="GET")
    dial: DialAttributes
    admission: Admission

    def accepts_digit(self, digit: str) -> bool:
        return digit == "*" and self.dial.hangup_on_star

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
                match (yield from next_fact()):
                    case RoomLeft() | TimerFired():
                        break
                    case RoomRefused(code=code, message=message):
                        yield LogNotification(call=context.call, code=code, log=0, message=message)
                        break
                    case DigitPressed(digit="*") if self.dial.hangup_on_star:
                        break
                    case _:
                        pass
        except Interruption as interruption:
            if interruption.cause != "hangup" and not twilio_assumptions.REDIRECTED_CONFERENCE_REQUESTS_ACTION:
                return Continue()
        return self.dial.outcome(("DialCallStatus", "answered"))
