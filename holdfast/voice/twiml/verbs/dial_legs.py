"""Run a `<Dial>` of numbers, clients and SIP addresses: ring them, and be bridged with the first that answers.

P is the call that runs this verb, C a leg it dials. C lives until this verb releases it, unless C receives a document
of its own first (ChildDetached).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import ClassVar, assert_never, get_args

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
    Fact,
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
from holdfast.voice.twiml.open_resources import SHARED_KINDS, OpenResource, ResourceKind
from holdfast.voice.twiml.verb import (
    AnswerCaller,
    Continue,
    EarlyMedia,
    GoToDocument,
    HangUp,
    Interruption,
    Outcome,
    Run,
    SubRun,
    Verb,
    VerbContext,
    next_fact,
)
from holdfast.voice.twiml.verbs.dial_attributes import DialAttributes
from holdfast.voice.twiml.verbs.recording_params import RecordingProgress, recording_params

Heard = (
    ChildAnswered
    | ChildDetached
    | ChildDigitsStarted
    | ChildEnded
    | ChildRefers
    | ChildRinging
    | ChildScreened
    | DigitPressed
    | PhoneRefers
    | RecordingBegan
    | RecordingFinished
    | TimerFired
)


def _child(call: CallSid) -> OpenResource:
    parent_gone = ReleaseChild(call=call, cause="parent-gone")
    return OpenResource(key=call, stop=ReleaseChild(call=call), stop_at_hangup=parent_gone)


CHILD = ResourceKind(
    opens={CallChild: lambda action, _: _child(action.call)},
    closes=dict.fromkeys((ChildEnded, ChildDetached), attrgetter("child")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialNoun:
    """A noun describes one leg to dial: its target, its screening document and its status callback."""

    target: Target
    screen: WebRequest | None = None
    callback: Callback | None = None
    send_digits: str = ""
    copy_parent_to: bool = False
    """Whether an application receives the caller's `To` in place of its own SID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingOutcome:
    """The outcome of ringing. Shape: `status` is "" when `child` is to be bridged, else the word for DialCallStatus."""

    child: CallSid | None
    status: str = ""
    answered_at: float | None = None
    detached: bool = False
    interrupted: bool = False
    early_media_heard: bool = False
    """Whether P heard C before C answered."""
    sip_params: tuple[tuple[str, str], ...] = ()
    """The DialSip… parameters of a phone dialled by SIP."""

    @property
    def final(self) -> bool:
        """Return whether no other noun is to be rung after this."""
        screened_off = bool(self.status) and not self.detached and twilio_assumptions.FAILED_SCREENING_TRIES_NEXT
        return self.answered_at is not None and not screened_off


@dataclass(frozen=True, slots=True, kw_only=True)
class DialLegs(Verb):
    """This verb rings all nouns at once, or one after another (`sequential`).

    Source: TwiML <Dial>, <Number>, <Client>, <Sip>.
    """

    name: ClassVar[str] = "Dial"
    hears: ClassVar[tuple[type[Fact], ...]] = get_args(Heard)
    resources: ClassVar[tuple[ResourceKind, ...]] = (*SHARED_KINDS, CHILD)
    dial: DialAttributes
    nouns: tuple[DialNoun, ...]

    def needs(self, fact: Fact) -> bool:
        return self.dial.needs(fact)

    def run(self, context: VerbContext) -> Run:
        if not self.dial.answer_on_bridge:
            yield AnswerCaller()
        ringback = context.token()
        yield PlaySound(token=ringback, source=self.dial.ringback_source, rounds=0)
        if self.dial.answer_on_bridge:
            yield EarlyMedia()
        rounds = [(noun,) for noun in self.nouns] if self.dial.sequential else [self.nouns]
        outcome = RingOutcome(child=None)
        progress: RecordingProgress | None = None
        if self.dial.record_ringing and (begun := self.dial.start_recording(context)) is not None:
            progress, command = begun
            yield command
        for nouns in rounds:
            if outcome.early_media_heard:
                yield PlaySound(token=ringback, source=self.dial.ringback_source, rounds=0)
            outcome = yield from self._ring(context, nouns, progress, ringback)
            if outcome.interrupted:
                return self._unbridged(context, outcome, progress)
            if outcome.final:
                break
        yield StopSound(token=ringback)
        if outcome.child is not None and outcome.answered_at is not None and not outcome.status:
            return (yield from self._bridge(context, outcome.child, outcome, progress))
        return self._unbridged(context, outcome, progress)

    def _unbridged(self, context: VerbContext, outcome: RingOutcome, progress: RecordingProgress | None) -> Outcome:
        """Return the outcome without a bridge. Source: TwiML <Dial>: every end of an answered leg is `completed`."""
        form = [("DialCallStatus", outcome.status)]
        if outcome.child is not None:
            form.append(("DialCallSid", outcome.child))
        if outcome.answered_at is not None and not outcome.detached:
            form.append(("DialCallDuration", str(int(context.now - outcome.answered_at))))
        form.append(("DialBridged", twilio_assumptions.SCREENED_CHILD_BRIDGED if outcome.detached else "false"))
        return self.dial.outcome(*form, *outcome.sip_params, *recording_params(progress, context.now))

    def _ring(
        self, context: VerbContext, nouns: tuple[DialNoun, ...], progress: RecordingProgress | None, ringback: Token
    ) -> SubRun[RingOutcome]:
        """Ring these until one is ready for the bridge, all have refused, or the time is over.

        P hears a leg that is rung alone and sends early media in place of our ringback.
        """
        ringing: dict[CallSid, DialNoun] = {}
        for noun in nouns:
            child = CallSid(context.sid("CA"))
            ringing[child] = noun
            yield self._call(context.token(), context, child, noun)
        reported_child = child if len(ringing) == 1 or twilio_assumptions.FAILED_DIAL_NAMES_LAST_LEG else None
        timer = context.token()
        yield StartTimer(token=timer, after_s=self.dial.timeout_s)
        winner, answered_at, early_media_heard = None, 0.0, False
        sip_params: tuple[tuple[str, str], ...] = ()
        try:
            while True:
                fact: Heard = yield from next_fact()
                match fact:
                    case ChildAnswered(child=child, sip_params=child_params) if child in ringing and winner is None:
                        winner, answered_at, sip_params = child, context.now, child_params
                        for loser in ringing:
                            if loser != winner:
                                yield ReleaseChild(call=loser, cause="lost-race")
                        if ringing[child].screen is None:
                            return RingOutcome(child=child, answered_at=answered_at, sip_params=sip_params)
                        if early_media_heard:
                            # P does not hear a leg during its screening.
                            yield PlaySound(token=ringback, source=self.dial.ringback_source, rounds=0)
                    case ChildDigitsStarted(child=child) if early_media_heard and child in ringing:
                        # Nor during its touch tones: its early media ended with its answer.
                        yield PlaySound(token=ringback, source=self.dial.ringback_source, rounds=0)
                    case ChildRinging(child=child, early_media=True) if self._plays_early_media(child, ringing):
                        early_media_heard = True
                        yield PlaySound(token=ringback, source=f"leg:{child}", rounds=0)
                    case ChildScreened(child=child) if child == winner:
                        return RingOutcome(child=child, answered_at=answered_at, sip_params=sip_params)
                    case ChildEnded(child=child) if child == winner:
                        return RingOutcome(
                            child=child, status="completed", answered_at=answered_at, sip_params=sip_params
                        )
                    case ChildDetached(child=child) if child in ringing:
                        # It was answered; its screening or its touch tones were interrupted.
                        return RingOutcome(
                            child=child,
                            status=twilio_assumptions.CHILD_REDIRECTED,
                            answered_at=context.now,
                            detached=True,
                            sip_params=sip_params,
                        )
                    case ChildEnded(child=child, status=status, sip_params=child_params) if child in ringing:
                        del ringing[child]
                        if not ringing:
                            return RingOutcome(
                                child=reported_child,
                                status=status,
                                early_media_heard=early_media_heard,
                                sip_params=child_params,
                            )
                    case TimerFired(token=token) if token == timer and winner is None:
                        for child in ringing:
                            yield ReleaseChild(call=child, cause="timeout")
                        return RingOutcome(
                            child=reported_child, status="no-answer", early_media_heard=early_media_heard
                        )
                    case RecordingBegan() if progress is not None:
                        progress.handle(fact)
                    case ChildAnswered() | ChildDetached() | ChildDigitsStarted() | ChildEnded() | ChildRinging():
                        pass
                    case ChildRefers() | ChildScreened() | PhoneRefers():
                        pass
                    case DigitPressed() | RecordingBegan() | RecordingFinished() | TimerFired():
                        pass
                    case _:
                        assert_never(fact)
        except Interruption as interruption:
            if winner is not None:
                return RingOutcome(
                    child=winner, status="completed", answered_at=answered_at, interrupted=True, sip_params=sip_params
                )
            status = "canceled" if interruption.cause == "hangup" else twilio_assumptions.RINGING_PARENT_REDIRECTED
            return RingOutcome(child=reported_child, status=status, interrupted=True)

    def _plays_early_media(self, child: CallSid, ringing: dict[CallSid, DialNoun]) -> bool:
        """Return whether P hears this leg's early media: not while several ring, nor with a `ringTone` in the document.

        Source: TwiML <Dial> ringTone (it overrides early media).
        """
        return list(ringing) == [child] and self.dial.ring_tone == "automatic"

    def _call(self, token: Token, context: VerbContext, child: CallSid, noun: DialNoun) -> CallChild:
        return CallChild(
            token=token,
            call=child,
            parent=context.call,
            target=_with_parent_to(noun.target, context.to) if noun.copy_parent_to else noun.target,
            from_=self.dial.caller_id or context.from_,
            timeout_s=self.dial.timeout_s,
            callback=noun.callback,
            screen=noun.screen,
            send_digits=noun.send_digits,
        )

    def _bridge(
        self, context: VerbContext, child: CallSid, outcome: RingOutcome, progress: RecordingProgress | None
    ) -> SubRun[Outcome]:
        """Bridge P and C until one of them ends or is redirected, or the time limit is over."""
        yield AnswerCaller()
        room = RoomSid(context.sid("BR"))
        yield Bridge(token=context.token(), room=room, call=context.call, account=context.account)
        yield Bridge(token=context.token(), room=room, call=child, account=context.account)
        if progress is None and (begun := self.dial.start_recording(context)) is not None:
            progress, command = begun
            yield command
        limit = context.token()
        yield StartTimer(token=limit, after_s=self.dial.time_limit_s)
        try:
            while True:
                fact: Heard = yield from next_fact()
                match fact:
                    case ChildEnded(child=ended) if ended == child:
                        break
                    case ChildDetached(child=ended) if ended == child:
                        status = twilio_assumptions.CHILD_REDIRECTED
                        form = (("DialCallStatus", status), ("DialCallSid", child), ("DialBridged", "true"))
                        return self.dial.outcome(*form, *outcome.sip_params, *recording_params(progress, context.now))
                    case ChildRefers(target=target) if self.dial.refer is not None:
                        yield AnswerReferral(call=child, sip_code=202)
                        return GoToDocument(request=_refer_request(self.dial.refer, target))
                    case PhoneRefers(target=target) if self.dial.refer is not None:
                        yield AnswerReferral(call=context.call, sip_code=202)
                        request = _refer_request(self.dial.refer, target)
                        yield RunOwnDocument(call=child, instruction=Instruction(request=request))
                        return HangUp()
                    case TimerFired(token=token) if token == limit:
                        break
                    case DigitPressed():
                        break
                    case RecordingBegan() | RecordingFinished() if progress is not None:
                        progress.handle(fact)
                    case ChildAnswered() | ChildDetached() | ChildDigitsStarted() | ChildEnded() | ChildRinging():
                        pass
                    case ChildRefers() | ChildScreened() | PhoneRefers():
                        pass
                    case RecordingBegan() | RecordingFinished() | TimerFired():
                        pass
                    case _:
                        assert_never(fact)
        except Interruption as interruption:
            if interruption.cause == "hangup" and not twilio_assumptions.PARENT_HANGUP_REQUESTS_ACTION:
                return Continue()
        return self.dial.outcome(
            ("DialCallStatus", "completed"),
            ("DialCallSid", child),
            ("DialCallDuration", str(int(context.now - (outcome.answered_at or 0.0)))),
            ("DialBridged", "true"),
            *outcome.sip_params,
            *recording_params(progress, context.now),
        )


def _with_parent_to(target: Target, to: str) -> Target:
    """Return an application's target with the caller's `To`. Source: TwiML <Application> copyParentTo."""
    return replace(target, parameters=(("To", to), *target.parameters))


def _refer_request(request: WebRequest, target: str) -> WebRequest:
    """Return the request for the document of a transferred party. Source: TwiML <Dial> referUrl."""
    return replace(request, form=(*request.form, ("ReferTransferTarget", target)))
