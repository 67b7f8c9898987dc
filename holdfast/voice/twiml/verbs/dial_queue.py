"""Run `<Dial><Queue>`: be bridged with the front member of a queue. Neither call is the other's child."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, assert_never, get_args

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.effects import PlaySound, StartTimer, StopSound
from holdfast.voice.model.facts import (
    DigitPressed,
    Fact,
    MemberLost,
    MemberPrepared,
    MemberReached,
    QueueMissing,
    RecordingBegan,
    RecordingFinished,
    RoomLeft,
    TimerFired,
)
from holdfast.voice.model.ids import RoomSid
from holdfast.voice.model.internal_commands import Bridge, DialQueue, StopDialQueue
from holdfast.voice.twiml.open_resources import SHARED_KINDS, OpenResource, ResourceKind
from holdfast.voice.twiml.verb import (
    AnswerCaller,
    Continue,
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
    DigitPressed
    | MemberLost
    | MemberPrepared
    | MemberReached
    | QueueMissing
    | RecordingBegan
    | RecordingFinished
    | RoomLeft
    | TimerFired
)
DIALLER = ResourceKind(
    opens={DialQueue: lambda _, call: OpenResource(key="dialler", stop=StopDialQueue(call=call))},
    closes=dict.fromkeys((MemberReached, QueueMissing), lambda _: "dialler"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DialQueueVerb(Verb):
    """This verb takes the front member of a queue, or waits up to `timeout` for one. Source: TwiML <Queue>."""

    name: ClassVar[str] = "Dial"
    hears: ClassVar[tuple[type[Fact], ...]] = get_args(Heard)
    resources: ClassVar[tuple[ResourceKind, ...]] = (*SHARED_KINDS, DIALLER)
    dial: DialAttributes
    queue: str
    screen: WebRequest | None = None

    def needs(self, fact: Fact) -> bool:
        return self.dial.needs(fact)

    def run(self, context: VerbContext) -> Run:
        yield AnswerCaller()
        ringing = context.token()
        if twilio_assumptions.DIALLER_WAIT_AUDIO:
            yield PlaySound(token=ringing, source=twilio_assumptions.DIALLER_WAIT_AUDIO, rounds=0)
        try:
            reached = yield from self._wait(context)
        except Interruption as interruption:
            if interruption.cause != "hangup" and not twilio_assumptions.REDIRECTED_QUEUE_DIAL_REQUESTS_ACTION:
                return Continue()
            return self.dial.outcome(("DialCallStatus", "canceled"), ("DialBridged", "false"))
        if isinstance(reached, str):
            return self.dial.outcome(("DialCallStatus", reached), ("DialBridged", "false"))
        if twilio_assumptions.DIALLER_WAIT_AUDIO:
            yield StopSound(token=ringing)
        return (yield from self._bridge(context, reached))

    def _wait(self, context: VerbContext) -> SubRun[MemberReached | str]:
        """Wait for a member; else return the word for DialCallStatus.

        The time does not run out while a member hears the document of `url`.
        """
        timer = context.token()
        yield StartTimer(token=timer, after_s=self.dial.timeout_s)
        yield DialQueue(
            token=context.token(),
            call=context.call,
            account=context.account,
            name=self.queue,
            room=RoomSid(context.sid("BR")),
            screen=self.screen,
        )
        prepared, late = False, False
        while True:
            fact: Heard = yield from next_fact()
            match fact:
                case MemberReached():
                    return fact
                case QueueMissing():
                    return twilio_assumptions.QUEUE_UNKNOWN
                case MemberPrepared():
                    prepared = True
                case MemberLost(final=final):
                    prepared = False
                    if late or final:
                        return twilio_assumptions.QUEUE_TIMEOUT
                case TimerFired(token=token) if token == timer:
                    late = True
                    if not prepared:
                        return twilio_assumptions.QUEUE_TIMEOUT
                case DigitPressed() | RecordingBegan() | RecordingFinished() | RoomLeft() | TimerFired():
                    pass
                case _:
                    assert_never(fact)

    def _bridge(self, context: VerbContext, reached: MemberReached) -> SubRun[Outcome]:
        """Bridge the call with the member until either leaves. The member's own wait ends at the same time."""
        yield Bridge(token=context.token(), room=reached.room, call=context.call, account=context.account)
        progress: RecordingProgress | None = None
        if (begun := self.dial.start_recording(context)) is not None:
            progress, command = begun
            yield command
        limit, began = context.token(), context.now
        yield StartTimer(token=limit, after_s=self.dial.time_limit_s)
        try:
            while True:
                fact: Heard = yield from next_fact()
                match fact:
                    case RoomLeft(room=room) if room == reached.room:
                        break
                    case TimerFired(token=token) if token == limit:
                        break
                    case DigitPressed():
                        break
                    case RecordingBegan() | RecordingFinished() if progress is not None:
                        progress.handle(fact)
                    case RecordingBegan() | RecordingFinished() | RoomLeft() | TimerFired():
                        pass
                    case MemberLost() | MemberPrepared() | MemberReached() | QueueMissing():
                        pass
                    case _:
                        assert_never(fact)
        except Interruption as interruption:
            if interruption.cause != "hangup" and not twilio_assumptions.REDIRECTED_QUEUE_DIAL_REQUESTS_ACTION:
                return Continue()
        form = [("DialCallStatus", "completed")]
        if twilio_assumptions.QUEUE_DIAL_ACTION_HAS_QUEUE:
            form.append(("DialCallSid", reached.member))
        form += [("DialCallDuration", str(int(context.now - began))), ("DialBridged", "true")]
        if twilio_assumptions.QUEUE_DIAL_ACTION_HAS_QUEUE:
            form += [("QueueSid", reached.queue), ("QueueTime", str(int(reached.waited_s)))]
        return self.dial.outcome(*form, *recording_params(progress, context.now))
