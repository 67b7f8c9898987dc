"""`<Dial>` of numbers, clients and SIP addresses: ring them, and be joined with the first that answers.

P is the call that runs this verb, C a leg it dials. C lives as long as this verb wants it, unless C is given a
document of its own first (ChildDetached).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    Callback,
    Instruction,
    Target,
    WebRequest,
)
from holdfast.voice.model.effects import AnswerReferral, PlaySound, StartTimer, StopSound
from holdfast.voice.model.facts import (
    ChildAnswered,
    ChildDetached,
    ChildDigitsStarted,
    ChildEnded,
    ChildRefers,
    ChildRinging,
    ChildScreened,
    DigitPressed,
    PhoneRefers,
    RecordingBegan,
    RecordingFinished,
    TimerFired,
)
from holdfast.voice.model.ids import CallSid, RoomSid, Token
from holdfast.voice.model.internal_commands import (
    Bridge,
    CallChild,
    ReleaseChild,
    RunOwnDocument,
)
from holdfast.voice.twiml.verb import (
    AnswerCaller,
    Continue,
    EarlyMedia,
    GoToDocument,
    HangUp,
    Interruption,
    Outcome,
    Part,
    Run,
    Verb,
    VerbContext,
    next_fact,
)
from holdfast.voice.twiml.verbs.dial_attributes import DialAttributes
from holdfast.voice.twiml.verbs.recording_params import RecordingProgress, told_of


@dataclass(frozen=True, slots=True, kw_only=True)
class DialNoun:
    """One leg to dial: whom, what it runs before the bridge, who hears of its progress."""

    target: Target
    screen: WebRequest | None = None
    callback: Callback | None = None
    send_digits: str = ""
    copies_to: bool = False
    """An application is told whom the caller had called, not its own SID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingOutcome:
    """How ringing ended. Shape: `status` is "" when `child` is to be bridged, else the word for DialCallStatus."""

    child: CallSid | None
    status: str = ""
    answered_at: float | None = None
    detached: bool = False
    taken_away: bool = False
    overheard: bool = False
    """P heard C before C answered."""
    sip: tuple[tuple[str, str], ...] = ()
    """What is told of the phone, when it was dialled by SIP."""

    @property
    def settled(self) -> bool:
        """Whether nobody else is to be rung after this."""
        screened_off = bool(self.status) and not self.detached and twilio_assumptions.SCREENED_OFF_TRIES_NEXT
        return self.answered_at is not None and not screened_off


@dataclass(frozen=True, slots=True, kw_only=True)
class DialLegs(Verb):
    """Ring all nouns at once, or one after another (`sequential`). Source: TwiML <Dial>, <Number>, <Client>, <Sip>."""

    name: ClassVar[str] = "Dial"
    terms: DialAttributes
    nouns: tuple[DialNoun, ...]

    def wants_key(self, digit: str) -> bool:
        return digit == "*" and self.terms.hangup_on_star

    def takes_referral(self) -> bool:
        return self.terms.refer is not None

    def run(self, desk: VerbContext) -> Run:
        if not self.terms.answer_on_bridge:
            yield AnswerCaller()
        ringback = desk.token()
        yield PlaySound(token=ringback, source=self.terms.ringing, rounds=0)
        if self.terms.answer_on_bridge:
            yield EarlyMedia()
        rounds = [(noun,) for noun in self.nouns] if self.terms.sequential else [self.nouns]
        tried = RingOutcome(child=None)
        tape: RecordingProgress | None = None
        if self.terms.record_ringing and (begun := self.terms.tape(desk)) is not None:
            tape, order = begun
            yield order
        for nouns in rounds:
            if tried.overheard:
                yield PlaySound(token=ringback, source=self.terms.ringing, rounds=0)
            tried = yield from self._ring(desk, nouns, tape, ringback)
            if tried.taken_away:
                return self._unbridged(desk, tried, tape)
            if tried.settled:
                break
        yield StopSound(token=ringback)
        if tried.child is not None and tried.answered_at is not None and not tried.status:
            return (yield from self._bridge(desk, tried.child, tried, tape))
        return self._unbridged(desk, tried, tape)

    def _unbridged(self, desk: VerbContext, tried: RingOutcome, tape: RecordingProgress | None) -> Outcome:
        """P and C were never joined. Source: TwiML <Dial>: whatever ends an answered leg is `completed`."""
        form = [("DialCallStatus", tried.status)]
        if tried.child is not None:
            form.append(("DialCallSid", tried.child))
        if tried.answered_at is not None and not tried.detached:
            form.append(("DialCallDuration", str(int(desk.now - tried.answered_at))))
        form.append(("DialBridged", twilio_assumptions.SCREENED_CHILD_BRIDGED if tried.detached else "false"))
        return self.terms.over(*form, *tried.sip, *told_of(tape, desk.now))

    def _ring(
        self, desk: VerbContext, nouns: tuple[DialNoun, ...], tape: RecordingProgress | None, ringback: Token
    ) -> Part[RingOutcome]:
        """Ring these until one is ready for the bridge, all have refused, or the time is over.

        A leg that is rung alone and sends sound before it answers is heard in place of our ringing.
        """
        ringing: dict[CallSid, DialNoun] = {}
        for noun in nouns:
            child = CallSid(desk.sid("CA"))
            ringing[child] = noun
            yield self._call(desk.token(), desk, child, noun)
        named = child if len(ringing) == 1 or twilio_assumptions.SEVERAL_TRIED_NAME_LAST else None
        timer = desk.token()
        yield StartTimer(token=timer, after_s=self.terms.timeout_s)
        winner, answered_at, overheard = None, 0.0, False
        sip: tuple[tuple[str, str], ...] = ()
        try:
            while True:
                match (yield from next_fact()):
                    case ChildAnswered(child=child, sip_params=told) if child in ringing and winner is None:
                        winner, answered_at, sip = child, desk.now, told
                        for loser in ringing:
                            if loser != winner:
                                yield ReleaseChild(call=loser, cause="lost-race")
                        if ringing[child].screen is None:
                            return RingOutcome(child=child, answered_at=answered_at, sip=sip)
                        if overheard:
                            # Whoever is screened is not heard meanwhile.
                            yield PlaySound(token=ringback, source=self.terms.ringing, rounds=0)
                    case ChildDigitsStarted(child=child) if overheard and child in ringing:
                        # Nor whoever is sent touch tones: its early sound ended with its answer.
                        yield PlaySound(token=ringback, source=self.terms.ringing, rounds=0)
                    case ChildRinging(child=child, early_media=True) if self._overhears(child, ringing):
                        overheard = True
                        yield PlaySound(token=ringback, source=f"leg:{child}", rounds=0)
                    case ChildScreened(child=child) if child == winner:
                        return RingOutcome(child=child, answered_at=answered_at, sip=sip)
                    case ChildEnded(child=child) if child == winner:
                        return RingOutcome(child=child, status="completed", answered_at=answered_at, sip=sip)
                    case ChildDetached(child=child) if child in ringing:
                        # It was answered; its screening or the touch tones sent to it were cut off.
                        return RingOutcome(
                            child=child,
                            status=twilio_assumptions.CHILD_REDIRECTED,
                            answered_at=desk.now,
                            detached=True,
                            sip=sip,
                        )
                    case ChildEnded(child=child, status=status, sip_params=told) if child in ringing:
                        del ringing[child]
                        if not ringing:
                            return RingOutcome(child=named, status=status, overheard=overheard, sip=told)
                    case TimerFired(token=token) if token == timer and winner is None:
                        for child in ringing:
                            yield ReleaseChild(call=child, cause="timeout")
                        return RingOutcome(child=named, status="no-answer", overheard=overheard)
                    case RecordingBegan() as fact if tape is not None:
                        tape.note(fact)
                    case _:
                        pass
        except Interruption as order:
            if winner is not None:
                return RingOutcome(child=winner, status="completed", answered_at=answered_at, taken_away=True, sip=sip)
            status = "canceled" if order.cause == "hangup" else twilio_assumptions.PARENT_REDIRECTED_RINGING
            return RingOutcome(child=named, status=status, taken_away=True)

    def _overhears(self, child: CallSid, ringing: dict[CallSid, DialNoun]) -> bool:
        """Whether early sound of this leg is heard: not while several ring, nor under a ringTone of the document's.

        Source: TwiML <Dial> ringTone (it overrides early media).
        """
        return list(ringing) == [child] and self.terms.ring_tone == "automatic"

    def _call(self, token: Token, desk: VerbContext, child: CallSid, noun: DialNoun) -> CallChild:
        return CallChild(
            token=token,
            call=child,
            parent=desk.call,
            target=_copied(noun.target, desk.to) if noun.copies_to else noun.target,
            from_=self.terms.caller_id or desk.from_,
            timeout_s=self.terms.timeout_s,
            callback=noun.callback,
            screen=noun.screen,
            send_digits=noun.send_digits,
        )

    def _bridge(
        self, desk: VerbContext, child: CallSid, tried: RingOutcome, tape: RecordingProgress | None
    ) -> Part[Outcome]:
        """P and C hear each other until one of them is gone, redirected, or out of time."""
        yield AnswerCaller()
        room = RoomSid(desk.sid("BR"))
        yield Bridge(token=desk.token(), room=room, call=desk.call, account=desk.account)
        yield Bridge(token=desk.token(), room=room, call=child, account=desk.account)
        if tape is None and (begun := self.terms.tape(desk)) is not None:
            tape, order = begun
            yield order
        limit = desk.token()
        yield StartTimer(token=limit, after_s=self.terms.time_limit_s)
        try:
            while True:
                match (yield from next_fact()):
                    case ChildEnded(child=gone) if gone == child:
                        break
                    case ChildDetached(child=gone) if gone == child:
                        status = twilio_assumptions.CHILD_REDIRECTED
                        form = (("DialCallStatus", status), ("DialCallSid", child), ("DialBridged", "true"))
                        return self.terms.over(*form, *tried.sip, *told_of(tape, desk.now))
                    case ChildRefers(target=target) if self.terms.refer is not None:
                        yield AnswerReferral(call=child, sip_code=202)
                        return GoToDocument(request=_transfer(self.terms.refer, target))
                    case PhoneRefers(target=target) if self.terms.refer is not None:
                        yield AnswerReferral(call=desk.call, sip_code=202)
                        request = _transfer(self.terms.refer, target)
                        yield RunOwnDocument(call=child, instruction=Instruction(request=request))
                        return HangUp()
                    case TimerFired(token=token) if token == limit:
                        break
                    case DigitPressed(digit="*") if self.terms.hangup_on_star:
                        break
                    case RecordingBegan() | RecordingFinished() as fact if tape is not None:
                        tape.note(fact)
                    case _:
                        pass
        except Interruption as order:
            if order.cause == "hangup" and not twilio_assumptions.PARENT_GONE_ASKS_ACTION:
                return Continue()
        return self.terms.over(
            ("DialCallStatus", "completed"),
            ("DialCallSid", child),
            ("DialCallDuration", str(int(desk.now - (tried.answered_at or 0.0)))),
            ("DialBridged", "true"),
            *tried.sip,
            *told_of(tape, desk.now),
        )


def _copied(target: Target, to: str) -> Target:
    """An application that is told whom the caller had called. Source: TwiML <Application> copyParentTo."""
    return replace(target, parameters=(("To", to), *target.parameters))


def _transfer(request: WebRequest, target: str) -> WebRequest:
    """The request that asks what becomes of the party who is put through. Source: TwiML <Dial> referUrl."""
    return replace(request, form=(*request.form, ("ReferTransferTarget", target)))
