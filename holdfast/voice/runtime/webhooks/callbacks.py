"""Deliver status callbacks to web servers, in order for each call and each conference."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import count

from holdfast.voice.model.effects import LogNotification, PostCallback
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import PendingCallbacks
from holdfast.voice.runtime.http.client import WebClient
from holdfast.voice.runtime.http.destination import without_secrets
from holdfast.voice.runtime.http.exchange import HttpRequest
from holdfast.voice.runtime.http.http_trace import traced_exchange
from holdfast.voice.runtime.mailbox import EngineEvents

MAX_QUEUED = 1000
RESPONSE_READ_BYTES = 4096
"""The number of bytes of a response that are read, for the ladder only."""

CALLBACK_DROPPED = 15002
CALLBACK_FAILED = 15003
CONFERENCE_CALLBACK_FAILED = 16011


class Callbacks:
    """A queue for each call and each conference delivers its callbacks; a slow receiver delays only its own queue.

    Deviation: callbacks of one call or conference are delivered in order; at Twilio they may overtake each other.
    """

    def __init__(
        self,
        *,
        web: WebClient,
        events: EngineEvents,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._web = web
        self._events = events
        self._tasks = tasks
        self._queues: dict[str, deque[tuple[int, PostCallback]]] = {}
        self._numbers = count()
        self._unsent: dict[int, tuple[float, PostCallback]] = {}
        """The callbacks without a response yet, the oldest first, each with the time at which it was queued."""
        self._superseded: dict[CallSid, set[asyncio.Task[None]]] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def enqueue(self, effect: PostCallback) -> None:
        """Queue a callback behind those of the same call or conference.

        The request of a superseded verb is not queued: it is sent at once, with the call's cookies.
        """
        if effect.kind == "superseded" and effect.call is not None:
            self._post_superseded(effect, effect.call)
            return
        name = _queue_name(effect)
        queue = self._queues.get(name)
        if queue is None:
            self._queues[name] = queue = deque()
            self._tasks.create_task(self._deliver_all(name, queue), name=f"callbacks {name}")
            self._idle.clear()
        if len(queue) >= MAX_QUEUED:
            self._failed(effect, CALLBACK_DROPPED, f"{MAX_QUEUED} callbacks are queued before it")
            return
        queue.append((self._register(effect), effect))

    def _register(self, effect: PostCallback) -> int:
        """Register a callback that is not sent yet, and return its number."""
        number = next(self._numbers)
        self._unsent[number] = (self._events.now(), effect)
        return number

    def backlog(self) -> tuple[int, float]:
        """Return the number of callbacks without a response, and how long the oldest has waited. Units: seconds."""
        oldest = next(iter(self._unsent.values()), None)
        return len(self._unsent), 0.0 if oldest is None else max(0.0, self._events.now() - oldest[0])

    def unsent(self, call: CallSid) -> PendingCallbacks | None:
        """Return the callbacks of this call without a response; None if there are none."""
        of_call = [(since, effect) for since, effect in self._unsent.values() if effect.call == call]
        if not of_call:
            return None
        since, oldest = of_call[0]
        url = without_secrets(oldest.request.url)
        return PendingCallbacks(count=len(of_call), method=oldest.request.method, url=url, since=since)

    async def superseded_answered(self, call: CallSid, *, timeout_s: float) -> None:
        """Wait until the call's superseded requests are answered, at most `timeout_s` seconds."""
        if earlier := self._superseded.get(call):
            await asyncio.wait(earlier, timeout=timeout_s)

    async def drained(self, *, timeout_s: float) -> bool:
        """Wait until every callback is delivered, at most `timeout_s` seconds; return whether all are."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _post_superseded(self, effect: PostCallback, call: CallSid) -> None:
        task = self._tasks.create_task(self._deliver(self._register(effect), effect), name=f"superseded {call}")
        self._superseded.setdefault(call, set()).add(task)
        self._idle.clear()
        task.add_done_callback(lambda done: self._superseded_done(call, done))

    def _superseded_done(self, call: CallSid, done: asyncio.Task[None]) -> None:
        left = self._superseded[call]
        left.discard(done)
        if not left:
            del self._superseded[call]
        self._update_idle()

    async def _deliver_all(self, name: str, queue: deque[tuple[int, PostCallback]]) -> None:
        """Deliver the callbacks of a queue in order until it is empty."""
        try:
            while queue:
                await self._deliver(*queue.popleft())
        finally:
            del self._queues[name]
            for number, _ in queue:
                self._unsent.pop(number, None)
            self._update_idle()

    def _update_idle(self) -> None:
        if not self._queues and not self._superseded:
            self._idle.set()

    async def _deliver(self, number: int, effect: PostCallback) -> None:
        """Deliver a callback, and remove it from the unsent ones even if that fails."""
        try:
            await self._send(effect)
        finally:
            self._unsent.pop(number, None)

    async def _send(self, effect: PostCallback) -> None:
        """Send a callback; its response is only traced, and a failure is logged and not retried."""
        request = effect.request
        is_superseded = effect.kind == "superseded"
        try:
            with traced_exchange(self._events, kind=effect.kind, call=effect.call, request=request) as exchange:
                exchange.response = await self._web.send(
                    HttpRequest(
                        url=request.url,
                        method=request.method,
                        form=request.form,
                        limit_bytes=RESPONSE_READ_BYTES,
                        truncate=True,
                        call=effect.call if is_superseded else None,
                        cookies=is_superseded,
                    )
                )
                exchange.response.require_success()
        except VoiceError as failure:
            code = CONFERENCE_CALLBACK_FAILED if effect.kind == "conference" else CALLBACK_FAILED
            self._failed(
                effect,
                failure.code if effect.kind in ("superseded", "message") else code,
                f"{failure.message} ({failure.code})",
            )

    def _failed(self, effect: PostCallback, code: int, message: str) -> None:
        url = without_secrets(effect.request.url)
        self._events.notify(LogNotification(call=effect.call, code=code, log=1, message=message, url=url))


def _queue_name(effect: PostCallback) -> str:
    """Return the name of the queue of a callback: the SID of its conference or call; messages share a queue."""
    if effect.kind == "conference":
        return next((value for name, value in effect.request.form if name == "ConferenceSid"), effect.call or "")
    return effect.call or effect.kind
