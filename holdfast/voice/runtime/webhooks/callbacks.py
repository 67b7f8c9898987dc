"""Callbacks: events told to web servers, those of one call or conference one after the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import count

from holdfast.voice.model.effects import LogNotification, PostCallback
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import PendingCallbacks, WebhookTrace
from holdfast.voice.runtime.http.client import WebClient
from holdfast.voice.runtime.http.destination import without_secrets
from holdfast.voice.runtime.http.exchange import HttpRequest, HttpResponse
from holdfast.voice.runtime.http.http_trace import traces_of_exchange

MAX_QUEUED = 1000
RESPONSE_READ_BYTES = 4096
"""How much of the answer is read, for the ladder; it changes nothing."""

CALLBACK_DROPPED = 15002
CALLBACK_FAILED = 15003
CONFERENCE_CALLBACK_FAILED = 16011


class Callbacks:
    """Sends callbacks. A slow receiver holds up its own call's callbacks, and nobody else's.

    Deviation: in order for each call and each conference; Twilio lets them overtake each other.
    """

    def __init__(
        self,
        *,
        web: WebClient,
        notify: Callable[[LogNotification], None],
        trace: Callable[[WebhookTrace], None],
        clock: Callable[[], float],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._web = web
        self._notify = notify
        self._seen = trace
        self._clock = clock
        self._tasks = tasks
        self._lanes: dict[str, deque[tuple[int, PostCallback]]] = {}
        self._numbers = count()
        self._unsent: dict[int, tuple[float, PostCallback]] = {}
        """Callbacks that no answer has ended yet, oldest first, each with when it was given to us."""
        self._superseded: dict[CallSid, set[asyncio.Task[None]]] = {}
        self._idle = asyncio.Event()
        self._idle.set()

    def enqueue(self, effect: PostCallback) -> None:
        """Line up behind the callbacks of the same call or conference.

        A superseded verb's request is not one of them: it leaves at once, with the call's cookies.
        """
        if effect.kind == "superseded" and effect.call is not None:
            self._post_superseded(effect, effect.call)
            return
        name = _lane(effect)
        lane = self._lanes.get(name)
        if lane is None:
            self._lanes[name] = lane = deque()
            self._tasks.create_task(self._drain(name, lane), name=f"callbacks {name}")
            self._idle.clear()
        if len(lane) >= MAX_QUEUED:
            self._failed(effect, CALLBACK_DROPPED, f"{MAX_QUEUED} callbacks wait before it")
            return
        lane.append((self._lined_up(effect), effect))

    def _lined_up(self, effect: PostCallback) -> int:
        """Take note that a callback is to be sent; its number."""
        number = next(self._numbers)
        self._unsent[number] = (self._clock(), effect)
        return number

    def backlog(self) -> tuple[int, float]:
        """How many callbacks are not taken yet, and how long the oldest of them waits. Units: seconds."""
        oldest = next(iter(self._unsent.values()), None)
        return len(self._unsent), 0.0 if oldest is None else max(0.0, self._clock() - oldest[0])

    def unsent(self, call: CallSid) -> PendingCallbacks | None:
        """The callbacks about this call that are not taken yet; None when all are."""
        of_call = [(since, effect) for since, effect in self._unsent.values() if effect.call == call]
        if not of_call:
            return None
        since, oldest = of_call[0]
        url = without_secrets(oldest.request.url)
        return PendingCallbacks(count=len(of_call), method=oldest.request.method, url=url, since=since)

    async def superseded_answered(self, call: CallSid, *, timeout_s: float) -> None:
        """Wait until the call's superseded requests were answered, but no longer than this."""
        if earlier := self._superseded.get(call):
            await asyncio.wait(earlier, timeout=timeout_s)

    async def drained(self, *, timeout_s: float) -> bool:
        """Wait until every callback has left, but no longer than this; whether all have."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _post_superseded(self, effect: PostCallback, call: CallSid) -> None:
        task = self._tasks.create_task(self._send(self._lined_up(effect), effect), name=f"superseded {call}")
        self._superseded.setdefault(call, set()).add(task)
        self._idle.clear()
        task.add_done_callback(lambda done: self._superseded_done(call, done))

    def _superseded_done(self, call: CallSid, done: asyncio.Task[None]) -> None:
        left = self._superseded[call]
        left.discard(done)
        if not left:
            del self._superseded[call]
        self._rest()

    async def _drain(self, name: str, lane: deque[tuple[int, PostCallback]]) -> None:
        """Send the callbacks of a lane in order until there are none."""
        try:
            while lane:
                await self._send(*lane.popleft())
        finally:
            del self._lanes[name]
            for number, _ in lane:
                self._unsent.pop(number, None)
            self._rest()

    def _rest(self) -> None:
        if not self._lanes and not self._superseded:
            self._idle.set()

    async def _send(self, number: int, effect: PostCallback) -> None:
        """Send a callback, which waits no longer once that is done, whatever came of it."""
        try:
            await self._sent(effect)
        finally:
            self._unsent.pop(number, None)

    async def _sent(self, effect: PostCallback) -> None:
        """Send a callback. Its answer is looked at only to be shown; a failure is logged, and not made good."""
        request = effect.request
        began = self._clock()
        is_superseded = effect.kind == "superseded"
        answer: HttpResponse | None = None
        error: VoiceError | None = None
        try:
            answer = await self._web.send(
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
            answer.require_success()
        except VoiceError as wrong:
            error = wrong
            code = CONFERENCE_CALLBACK_FAILED if effect.kind == "conference" else CALLBACK_FAILED
            self._failed(effect, wrong.code if is_superseded else code, f"{wrong.message} ({wrong.code})")
        for seen in traces_of_exchange(
            kind=effect.kind,
            call=effect.call,
            request=request,
            took_s=self._clock() - began,
            response=answer,
            error=error,
        ):
            self._seen(seen)

    def _failed(self, effect: PostCallback, code: int, message: str) -> None:
        url = without_secrets(effect.request.url)
        self._notify(LogNotification(call=effect.call, code=code, log=1, message=message, url=url))


def _lane(effect: PostCallback) -> str:
    """Whose order the callback keeps."""
    if effect.kind == "conference":
        return next((value for name, value in effect.request.form if name == "ConferenceSid"), effect.call or "")
    return effect.call or ""
