"""`<Dial>` of numbers, clients and SIP addresses: ring them, and be joined with the first that answers.

P is the call that runs this verb, C a leg it dials. C lives as long as this verb wants it, unless C is given a
document of its own first (ChildDetached).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from holdfast.voice.model.commands import (
    Callback,
    Target,
    WebRequest,
)
from holdfast.voice.model.effects import PlaySound, StartTimer, StopSound
from holdfast.voice.model.facts import (
    ChildAnswered,
    ChildDetached,
    ChildEnded,
    ChildRinging,
    ChildScreened,
    DigitPressed,
    TimerFired,
)
from holdfast.voice.model.ids import CallSid, RoomSid, Token
from holdfast.voice.model.orders import (
    Bridge,
    CallChild,
    ReleaseChild,
)
from holdfast.voice.twiml.verb import Answer, Desk, Interruption, Outcome, Part, Run, Verb, next_fact
from holdfast.voice.twiml.verbs.terms import Terms

CHILD_REDIRECTED = "completed"
"""DialCallStatus when the child was given a document of its own (unconfirmed; `answered` has been claimed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noun:
    """One leg to dial: whom, what it runs before the bridge, who hears of its progress."""

    target: Target
    screen: WebRequest | None = None
    callback: Callback | None = None
    send_digits: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """How ringing ended: the child that is to be bridged, or the last one's words."""

    child: CallSid | None
    status: str = ""
    answered: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DialLegs(Verb):
    """Ring all nouns at once, or one after another (`sequential`). Source: TwiML <Dial>, <Number>, <Client>, <Sip>."""

    name: ClassVar[str] = "Dial"
    terms: Terms
    nouns: tuple[Noun, ...]

    def wants_key(self, digit: str) -> bool:
        return digit == "*" and self.terms.hangup_on_star

    def run(self, desk: Desk) -> Run:
        if not self.terms.answer_on_bridge:
            yield Answer()
        ringback = desk.token()
        yield PlaySound(token=ringback, source="builtin:ringback", rounds=0)
        rounds = [(noun,) for noun in self.nouns] if self.terms.sequential else [self.nouns]
        tried = Tried(child=None)
        for nouns in rounds:
            try:
                tried = yield from self._ring(desk, nouns)
            except Interruption:
                return self.terms.over(("DialCallStatus", "canceled"), ("DialBridged", "false"))
            if tried.answered:
                break
        yield StopSound(token=ringback)
        if tried.child is not None and tried.status == "":
            return (yield from self._bridge(desk, tried.child))
        child = () if tried.child is None else (("DialCallSid", tried.child),)
        return self.terms.over(("DialCallStatus", tried.status), *child, ("DialBridged", "false"))

    def _ring(self, desk: Desk, nouns: tuple[Noun, ...]) -> Part[Tried]:
        """Ring these until one is ready for the bridge, all have refused, or the time is over."""
        ringing: dict[CallSid, Noun] = {}
        for noun in nouns:
            child = CallSid(desk.sid("CA"))
            ringing[child] = noun
            yield self._call(desk.token(), desk, child, noun)
        only = next(iter(ringing)) if len(ringing) == 1 else None
        timer = desk.token()
        yield StartTimer(token=timer, after_s=self.terms.timeout_s)
        winner: CallSid | None = None
        while True:
            match (yield from next_fact()):
                case ChildAnswered(child=child) if child in ringing and winner is None:
                    winner = child
                    for loser in ringing:
                        if loser != winner:
                            yield ReleaseChild(call=loser, cause="lost-race")
                    if ringing[child].screen is None:
                        return Tried(child=child, answered=True)
                case ChildScreened(child=child) if child == winner:
                    return Tried(child=child, answered=True)
                case ChildEnded(child=child) if child == winner:
                    return Tried(child=child, status="completed", answered=True)
                case ChildDetached(child=child) if child == winner:
                    return Tried(child=child, status=CHILD_REDIRECTED, answered=True)
                case ChildEnded(child=child, status=status) if child in ringing:
                    del ringing[child]
                    if not ringing:
                        return Tried(child=only, status=status)
                case TimerFired(token=token) if token == timer and winner is None:
                    for child in ringing:
                        yield ReleaseChild(call=child, cause="timeout")
                    return Tried(child=only, status="no-answer")
                case ChildRinging() | _:
                    pass

    def _call(self, token: Token, desk: Desk, child: CallSid, noun: Noun) -> CallChild:
        return CallChild(
            token=token,
            call=child,
            parent=desk.call,
            target=noun.target,
            from_=self.terms.caller_id or desk.from_,
            timeout_s=self.terms.timeout_s,
            callback=noun.callback,
            screen=noun.screen,
            send_digits=noun.send_digits,
        )

    def _bridge(self, desk: Desk, child: CallSid) -> Part[Outcome]:
        """P and C hear each other until one of them is gone, redirected, or out of time."""
        yield Answer()
        room = RoomSid(desk.sid("BR"))
        yield Bridge(token=desk.token(), room=room, call=desk.call, account=desk.account)
        yield Bridge(token=desk.token(), room=room, call=child, account=desk.account)
        limit, began, detached = desk.token(), desk.now, False
        yield StartTimer(token=limit, after_s=self.terms.time_limit_s)
        try:
            while True:
                match (yield from next_fact()):
                    case ChildEnded(child=gone) if gone == child:
                        break
                    case ChildDetached(child=gone) if gone == child:
                        detached = True
                        break
                    case TimerFired(token=token) if token == limit:
                        break
                    case DigitPressed(digit="*") if self.terms.hangup_on_star:
                        break
                    case _:
                        pass
        except Interruption:
            pass
        if detached:
            return self.terms.over(
                ("DialCallStatus", CHILD_REDIRECTED), ("DialCallSid", child), ("DialBridged", "true")
            )
        return self.terms.over(
            ("DialCallStatus", "completed"),
            ("DialCallSid", child),
            ("DialCallDuration", str(int(desk.now - began))),
            ("DialBridged", "true"),
        )
