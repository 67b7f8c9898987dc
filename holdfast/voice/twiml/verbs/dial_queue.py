"""`<Dial><Queue>`: meet the call at the front of a queue. The two are peers: neither is the other's child."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.effects import StartTimer
from holdfast.voice.model.facts import DigitPressed, MemberReached, QueueMissing, RoomLeft, TimerFired
from holdfast.voice.model.ids import RoomSid
from holdfast.voice.model.orders import (
    Bridge,
    DialQueue,
)
from holdfast.voice.twiml.verb import Answer, Desk, Interruption, Outcome, Part, Run, Verb, next_fact
from holdfast.voice.twiml.verbs.terms import Terms

QUEUE_UNKNOWN = "failed"
"""DialCallStatus when the queue does not exist (unconfirmed)."""
QUEUE_TIMEOUT = "no-answer"
"""DialCallStatus when nobody entered the queue in time (unconfirmed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DialQueueVerb(Verb):
    """Take the front member of a queue, or wait up to `timeout` for one. Source: TwiML <Queue>."""

    name: ClassVar[str] = "Dial"
    terms: Terms
    queue: str
    screen: WebRequest | None = None

    def wants_key(self, digit: str) -> bool:
        return digit == "*" and self.terms.hangup_on_star

    def run(self, desk: Desk) -> Run:
        yield Answer()
        timer = desk.token()
        yield StartTimer(token=timer, after_s=self.terms.timeout_s)
        yield DialQueue(
            token=desk.token(),
            call=desk.call,
            account=desk.account,
            name=self.queue,
            room=RoomSid(desk.sid("BR")),
            screen=self.screen,
        )
        try:
            while True:
                match (yield from next_fact()):
                    case MemberReached() as reached:
                        return (yield from self._bridge(desk, reached))
                    case QueueMissing():
                        return self.terms.over(("DialCallStatus", QUEUE_UNKNOWN), ("DialBridged", "false"))
                    case TimerFired(token=token) if token == timer:
                        return self.terms.over(("DialCallStatus", QUEUE_TIMEOUT), ("DialBridged", "false"))
                    case _:
                        pass
        except Interruption:
            return self.terms.over(("DialCallStatus", "canceled"), ("DialBridged", "false"))

    def _bridge(self, desk: Desk, reached: MemberReached) -> Part[Outcome]:
        """Be joined with the member until either leaves. The member's own wait ends the same moment."""
        yield Bridge(token=desk.token(), room=reached.room, call=desk.call, account=desk.account)
        limit, began = desk.token(), desk.now
        yield StartTimer(token=limit, after_s=self.terms.time_limit_s)
        try:
            while True:
                match (yield from next_fact()):
                    case RoomLeft(room=room) if room == reached.room:
                        break
                    case TimerFired(token=token) if token == limit:
                        break
                    case DigitPressed(digit="*") if self.terms.hangup_on_star:
                        break
                    case _:
                        pass
        except Interruption:
            pass
        return self.terms.over(
            ("DialCallStatus", "completed"),
            ("DialCallSid", reached.member),
            ("DialCallDuration", str(int(desk.now - began))),
            ("DialBridged", "true"),
            ("QueueSid", reached.queue),
            ("QueueTime", str(int(reached.waited_s))),
        )
