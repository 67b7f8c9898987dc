"""`<Enqueue>`: wait in a queue until somebody takes this call out of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from holdfast.voice.model.commands import WebRequest
from holdfast.voice.model.facts import QueueEntered, QueueLeft, QueueRefused, QueueTaken, RoomLeft
from holdfast.voice.model.ids import QueueSid
from holdfast.voice.model.orders import (
    Bridge,
    JoinQueue,
    StartScript,
    StopScript,
)
from holdfast.voice.twiml.reading import Reader
from holdfast.voice.twiml.verb import (
    Answer,
    Continue,
    Desk,
    Interruption,
    Jump,
    Outcome,
    Part,
    Run,
    Verb,
    next_fact,
    until,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enqueue(Verb):
    """Wait, hearing `wait` again and again (None: the built-in music; an empty URL: silence).

    `action` is asked once the call has left: at once, or after the bridge when a dialler took it.
    Source: TwiML <Enqueue>.
    """

    name: ClassVar[str] = "Enqueue"
    queue: str
    wait: WebRequest | None = None
    action: WebRequest | None = None

    @classmethod
    def parse(cls, reader: Reader) -> Enqueue | None:
        reader.code = 14204
        for accepted in ("workflowSid", "maxQueueSize"):
            reader.text(accepted)
        wait = reader.request("waitUrl", "waitUrlMethod")
        if wait is None and reader.optional("waitUrl") is not None:
            wait = WebRequest(url="", method="GET")
        name = reader.node.text.strip()
        if not 1 <= len(name) <= 64:
            reader.warn("the queue's name must have 1 to 64 characters")
            return None
        return cls(queue=name, wait=wait, action=reader.request("action", "method"))

    def run(self, desk: Desk) -> Run:
        yield JoinQueue(
            token=desk.token(),
            call=desk.call,
            account=desk.account,
            name=self.queue,
            new_queue=QueueSid(desk.sid("QU")),
        )
        entered = yield from until(QueueEntered, QueueRefused)
        if isinstance(entered, QueueRefused):
            return self._over(entered.result)
        began = desk.now
        yield StartScript(call=desk.call, role="queue", request=self.wait)
        try:
            while True:
                match (yield from next_fact()):
                    case QueueTaken() as taken:
                        return (yield from self._bridge(desk, taken))
                    case QueueLeft() as left:
                        return self._over(left.result, left.queue, left.waited_s)
                    case _:
                        pass
        except Interruption as order:
            result = "hangup" if order.cause == "hangup" else "redirected"
            return self._over(result, entered.queue, desk.now - began)

    def _bridge(self, desk: Desk, taken: QueueTaken) -> Part[Outcome]:
        """Be joined with the dialler until either leaves."""
        yield StopScript(call=desk.call, role="queue")
        yield Answer()
        yield Bridge(token=desk.token(), room=taken.room, call=desk.call, account=desk.account)
        result = "bridged"
        try:
            yield from until(RoomLeft)
        except Interruption as order:
            result = "bridged" if order.cause == "hangup" else "redirected-from-bridged"
        return self._over(result, taken.queue, taken.waited_s)

    def _over(self, result: str, queue: QueueSid | None = None, waited_s: float = 0.0) -> Outcome:
        if self.action is None:
            return Continue()
        form = [("QueueResult", result)]
        if queue is not None:
            form += [("QueueSid", queue), ("QueueTime", str(int(waited_s)))]
        return Jump(request=replace(self.action, form=tuple(form)))
