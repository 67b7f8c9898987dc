"""Run `<Enqueue>`: wait in a queue until a dialler or a REST client takes the call out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.facts import (
    Fact,
    QueueEntered,
    QueueLeft,
    QueueRefused,
    QueueReturned,
    QueueTaken,
    RoomLeft,
    WhisperEnded,
)
from holdfast.voice.model.ids import CallSid, QueueSid
from holdfast.voice.model.internal_commands import (
    Bridge,
    JoinQueue,
    LeaveQueue,
    MeetDialler,
    StartScript,
    StopScript,
)
from holdfast.voice.twiml.attributes import AttributeReader
from holdfast.voice.twiml.open_resources import SHARED_KINDS, OpenResource, ResourceKind
from holdfast.voice.twiml.verb import (
    AnswerCaller,
    Continue,
    GoToDocument,
    Interruption,
    Outcome,
    Run,
    SubRun,
    Verb,
    VerbContext,
    until,
)

MAX_NAME = 64


def _place(call: CallSid) -> OpenResource:
    hangup = LeaveQueue(call=call, result="hangup")
    return OpenResource(key="queue", stop=LeaveQueue(call=call, result="redirected"), stop_at_hangup=hangup)


PLACE = ResourceKind(
    opens={JoinQueue: lambda _, call: _place(call)},
    closes={
        QueueTaken: lambda fact: "queue" if fact.url is None else "",
        **dict.fromkeys((QueueLeft, QueueRefused, MeetDialler), lambda _: "queue"),
    },
)
SCRIPT = ResourceKind(
    opens={
        StartScript: lambda action, call: OpenResource(
            key=f"script:{action.role}", stop=StopScript(call=call, role=action.role)
        )
    },
    closes={StopScript: lambda action: f"script:{action.role}"},
)


@dataclass(frozen=True, slots=True)
class QueueWaitEnded:
    """The wait ended without a dialler, for this result and after this time. Units: seconds."""

    result: str
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueue(Verb):
    """This verb waits and plays `wait` in a loop (None: the built-in music; an empty URL: silence).

    `action` is requested once the call has left: at once, or after the bridge when a dialler took it.
    Source: TwiML <Enqueue>.
    """

    name: ClassVar[str] = "Enqueue"
    has_children: ClassVar[bool] = True
    hears: ClassVar[tuple[type[Fact], ...]] = (
        QueueEntered,
        QueueLeft,
        QueueRefused,
        QueueReturned,
        QueueTaken,
        RoomLeft,
        WhisperEnded,
    )
    resources: ClassVar[tuple[ResourceKind, ...]] = (*SHARED_KINDS, PLACE, SCRIPT)
    queue: str
    wait: WebRequest | None = None
    action: WebRequest | None = None

    @classmethod
    def parse(cls, reader: AttributeReader) -> Enqueue:
        reader.codes = {"method": 14201, "waitUrl": 14202, "action": 14203, "waitUrlMethod": 14206}
        for accepted in ("workflowSid", "maxQueueSize"):
            reader.text(accepted)
        wait = reader.request("waitUrl", "waitUrlMethod")
        if wait is None and reader.optional("waitUrl") is not None:
            wait = WebRequest(url="", method="GET")
        name = reader.node.text.strip()
        return cls(queue=name, wait=wait, action=reader.request("action", "method"))

    def run(self, context: VerbContext) -> Run:
        if not 1 <= len(self.queue) <= MAX_NAME:
            code, problem = (14205, "longer than 64 characters") if self.queue else (14204, "empty")
            yield LogNotification(
                call=context.call, code=code, log=1, message=f"<Enqueue>: the queue's name is {problem}"
            )
            return self._outcome("error")
        yield JoinQueue(
            token=context.token(),
            call=context.call,
            account=context.account,
            name=self.queue,
            new_queue=QueueSid(context.sid("QU")),
        )
        entered = yield from until(QueueEntered, QueueRefused)
        if isinstance(entered, QueueRefused):
            return self._outcome(entered.result)
        began = context.now
        try:
            left = yield from self._wait(context)
        except Interruption as interruption:
            return self._outcome(
                "hangup" if interruption.cause == "hangup" else "redirected", entered.queue, context.now - began
            )
        if isinstance(left, QueueWaitEnded):
            return self._outcome(left.result, entered.queue, left.waited_s)
        return (yield from self._bridge(context, left))

    def _wait(self, context: VerbContext) -> SubRun[QueueTaken | QueueWaitEnded]:
        """Run the wait document until the call is to be bridged with a dialler, or the wait is over."""
        while True:
            yield StartScript(call=context.call, role="queue", request=self.wait)
            fact = yield from until(QueueTaken, QueueLeft)
            if isinstance(fact, QueueLeft):
                return QueueWaitEnded(fact.result, fact.waited_s)
            yield StopScript(call=context.call, role="queue")
            if fact.url is None:
                return fact
            try:
                met = yield from self._whisper(context, fact, fact.url)
            except Interruption:
                return QueueWaitEnded(twilio_assumptions.BRIDGING_INTERRUPTED, fact.waited_s)
            if met:
                return fact

    def _whisper(self, context: VerbContext, taken: QueueTaken, url: str) -> SubRun[bool]:
        """Run the dialler's document; return whether the dialler is still there. Source: TwiML <Queue> url."""
        yield AnswerCaller()
        # The spelling of DequeingCallSid is Twilio's.
        form = (
            ("QueueSid", taken.queue),
            ("QueueTime", str(int(taken.waited_s))),
            ("DequeingCallSid", taken.dialler),
        )
        request = WebRequest(url=url, method="GET" if taken.method == "GET" else "POST", form=form)
        yield StartScript(call=context.call, role="whisper", request=request)
        fact = yield from until(WhisperEnded, QueueReturned)
        yield StopScript(call=context.call, role="whisper")
        if isinstance(fact, QueueReturned):
            return False
        yield MeetDialler(call=context.call)
        return True

    def _bridge(self, context: VerbContext, taken: QueueTaken) -> SubRun[Outcome]:
        """Bridge the call with the dialler until either leaves."""
        yield AnswerCaller()
        yield Bridge(token=context.token(), room=taken.room, call=context.call, account=context.account)
        result = "bridged"
        try:
            yield from until(RoomLeft)
        except Interruption as interruption:
            result = "bridged" if interruption.cause == "hangup" else "redirected-from-bridged"
        return self._outcome(result, taken.queue, taken.waited_s)

    def _outcome(self, result: str, queue: QueueSid | None = None, waited_s: float = 0.0) -> Outcome:
        if self.action is None:
            return Continue()
        form = [("QueueResult", result)]
        if queue is not None:
            form += [("QueueSid", queue), ("QueueTime", str(int(waited_s)))]
        return GoToDocument(request=replace(self.action, form=tuple(form)))
