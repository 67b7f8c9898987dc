"""A fake account follows Twilio's rules for two legs, queues and conferences, in memory, with a clock that tests move.

It keeps to what is documented: what a redirect does to each end of a Dial, when `action` is requested and when its
response is discarded, that a document's end hangs up, and that a call whose next document does not arrive is over. Its
webhooks go to the real web application, signed. Nothing happens by itself: `pump` delivers the pending webhooks, in
order or in the order a test chooses, and those of documents that have ended by now.

Source: TwiML <Dial>, <Enqueue>, <Queue>, <Conference>; Twilio REST, Call, Participant, Queue and Member resources.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from twilio.request_validator import RequestValidator

from holdfast.holds.account.snapshots import (
    AudioQualitySnapshot,
    CallSnapshot,
    ConferenceSnapshot,
    ParticipantSnapshot,
    PhoneHoldSnapshot,
)
from holdfast.holds.errors import AccountError, ResourceNotFound
from holdfast.holds.ids import CallSid, ConferenceSid, QueueSid

PUBLIC = "https://holds.example"
TOKEN = "the account's secret token"
SID = "AC" + "1" * 32
MAX_DELIVERIES = 200
TRACK_S = 1.0
"""Length of the looped music."""
LOOPS = 1_000
"""How often `loop="0"` plays it. Source: TwiML <Play>."""


@dataclass(slots=True)
class Call:
    """A call is one leg with the document that it runs."""

    sid: CallSid
    parent: CallSid | None = None
    status: str = "in-progress"
    verb: str = "idle"
    """`dial`, `child`, `enqueue`, `take`, `conference`, `park`, `app`, or `idle`."""
    action: str | None = None
    queue: str | None = None
    wait_url: str | None = None
    peer: CallSid | None = None
    room: str | None = None
    end_on_exit: bool = False
    held: bool = False
    muted: bool = False
    coaches: CallSid | None = None
    hold_url: str | None = None
    app_url: str | None = None
    """The application's own document with which it continued."""
    session: int = 0
    hung_up_by: str | None = None

    @property
    def live(self) -> bool:
        return self.status == "in-progress"


@dataclass(slots=True)
class PendingWebhook:
    """A pending webhook has not been delivered."""

    call: CallSid
    session: int
    url: str
    values: dict[str, str]
    run: bool
    """Whether the account runs the response, or discards it."""
    wait: bool = False
    at: float = 0.0
    """When the document that requests it ends."""


class FakeClock:
    """A fake clock moves when a task waits; the account's webhooks are delivered meanwhile."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0
        self.account: FakeAccount | None = None

    def now(self) -> float:
        return self.time

    async def wait(self, event: asyncio.Event | None, *, timeout_s: float) -> bool:
        if self.account is not None:
            await self.account.while_waiting()
        await asyncio.sleep(0)
        if event is not None and event.is_set():
            return True
        self.time += timeout_s
        return False


@dataclass(slots=True)
class FakeAccount:
    """A fake account implements the `AccountPort`."""

    sid: str = SID
    token: str = TOKEN
    base_url: str = "https://api.example"
    reach: bool = True
    phones_on_hold: dict[CallSid, float] = field(default_factory=dict)
    """Calls whose own phones hold, and since when."""
    audio_quality_: list[AudioQualitySnapshot] = field(default_factory=list)
    """Calls whose own phones hold, and since when."""
    calls_: dict[CallSid, Call] = field(default_factory=dict)
    queues_: dict[str, list[CallSid]] = field(default_factory=dict)
    waiting_dials: dict[str, list[CallSid]] = field(default_factory=dict)
    rooms: dict[str, list[CallSid]] = field(default_factory=dict)
    requests: list[tuple[str, ...]] = field(default_factory=list)
    pending: list[PendingWebhook] = field(default_factory=list)
    errors: dict[str, list[tuple[AccountError, bool]]] = field(default_factory=dict)
    """By method: the errors to come, and whether the change is made all the same."""
    before: dict[str, list[Callable[[], None]]] = field(default_factory=dict)
    """By method: what happens just before it is carried out."""
    web: ASGIApp | None = None
    other_webs: dict[str, ASGIApp] = field(default_factory=dict)
    """The web applications of other services, by their addresses."""
    web_unreachable: bool = False
    """Whether the web application cannot be reached: each request to it fails."""
    clock: FakeClock | None = None
    running_documents: list[PendingWebhook] = field(default_factory=list)
    """The webhooks that follow from documents which still run."""
    delivers: bool = True
    opened: int = 0
    background_tasks: set[asyncio.Task[None]] = field(default_factory=set)
    CONFERENCE: ClassVar[str] = "CF"

    # Set-up.

    def add_call(self, number: int, **changes: Any) -> CallSid:
        sid = CallSid(f"CA{number:032x}")
        self.calls_[sid] = Call(sid=sid, **changes)
        return sid

    def dial(self, parent: int, child: int, *, action: str | None) -> tuple[CallSid, CallSid]:
        """Add a parent and a child that talk in a plain Dial."""
        p = self.add_call(parent, verb="dial", action=action)
        c = self.add_call(child, verb="child", parent=p, peer=p)
        self.calls_[p].peer = c
        return p, c

    def meet(self, room: str, *calls: CallSid) -> ConferenceSid:
        for call in calls:
            self._enter(self.calls_[call], room, action=None, end_on_exit=False)
        return self._conference(room)

    def hears(self, call: CallSid) -> str:
        """Return what this party hears: `music`, `silence`, the other party's SID, or `nothing` when it is over."""
        me = self.calls_[call]
        if not me.live:
            return "nothing"
        if me.verb == "conference":
            if me.held:
                return "music"
            inside = [other for other in self.rooms[me.room or ""] if other != call and not self.calls_[other].held]
            return ",".join(inside) or "silence"
        if me.verb == "enqueue" and me.peer is None:
            return "music"
        return me.peer or "silence"

    # Webhooks.

    async def while_waiting(self) -> None:
        if self.delivers:
            await self.pump()

    async def pump(self) -> None:
        """Deliver every pending webhook, and those that follow."""
        for _ in range(MAX_DELIVERIES):
            self._end_documents()
            if not self.pending:
                return
            await self.deliver(0)
        raise AssertionError("webhooks without end")

    def _end_documents(self) -> None:
        """End the documents whose time is over."""
        now = 0.0 if self.clock is None else self.clock.now()
        ended = [hook for hook in self.running_documents if hook.at <= now]
        self.running_documents = [hook for hook in self.running_documents if hook.at > now and self._current(hook)]
        self.pending += [hook for hook in ended if self._current(hook)]

    def _current(self, hook: PendingWebhook) -> bool:
        """Return whether the call still runs the document that asks."""
        call = self.calls_[hook.call]
        return hook.session == call.session and call.live and not (hook.wait and call.peer is not None)

    async def deliver(self, index: int) -> None:
        hook = self.pending.pop(index)
        call = self.calls_[hook.call]
        current = hook.session == call.session and call.live
        if hook.wait and not self._current(hook):
            return
        if self._web_of(hook.url) is None:
            if hook.run and current and not hook.wait:
                call.verb, call.app_url = "app", hook.url
            return
        if self.web_unreachable:
            if hook.wait:
                self._leaves_queue(call, "error")
            elif hook.run and current:
                self._over(call, by="a document that did not come")
            return
        status, twiml = await self.ask(hook.call, hook.url, hook.values)
        assert status == 200, twiml
        if hook.run and hook.session == call.session and call.live:
            if hook.wait:
                self._heard(call, twiml)
            else:
                self._run(call, twiml)

    async def ask(self, call: CallSid, url: str, values: dict[str, str], *, method: str = "POST") -> tuple[int, str]:
        """Send one signed request to the web application."""
        status = "in-progress" if self.calls_[call].live else "completed"
        form = {"CallSid": call, "AccountSid": self.sid, "CallStatus": status, **values}
        parent = self.calls_[call].parent
        if parent is not None:
            form["ParentCallSid"] = parent
        if method == "GET":
            url += ("&" if "?" in url else "?") + urlencode(form)
            form = {}
        signature = self.signature(url, form)
        web_app = self._web_of(url)
        assert web_app is not None

        async def followed(scope: Scope, receive: Receive, send: Send) -> None:
            await self.followed(web_app, scope, receive, send)

        code, _, body = await asgi(
            followed,
            method,
            url,
            urlencode(form).encode(),
            {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature},
        )
        return code, body.decode()

    def signature(self, url: str, form: dict[str, str]) -> str:
        """Return the account's signature of a request."""
        return str(RequestValidator(self.token).compute_signature(url, form))

    def _web_of(self, url: str) -> ASGIApp | None:
        """Return the web application at this address; None: it is the application's."""
        web_app = next((web_app for base, web_app in self.other_webs.items() if url.startswith(base)), None)
        return web_app or (self.web if url.startswith(PUBLIC) else None)

    async def followed(self, web_app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Return as soon as the web application has responded: its background work continues by itself."""
        answered = asyncio.Event()

        async def send_on(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                answered.set()

        async def work(app: ASGIApp) -> None:
            try:
                await app(scope, receive, send_on)
            finally:
                answered.set()

        task = asyncio.create_task(work(web_app), name="after the answer")
        self.background_tasks.add(task)
        task.add_done_callback(self.background_tasks.discard)
        await answered.wait()
        if task.done():
            task.result()

    async def quiet(self) -> None:
        """Deliver every webhook, and finish the background work of the responses."""
        self._end_documents()
        while self.pending or self.background_tasks:
            await self.pump()
            for task in tuple(self.background_tasks):
                await task
                self.background_tasks.discard(task)

    def _later(self, call: Call, url: str | None, *, run: bool, wait: bool = False, **values: str) -> None:
        if url is None:
            if run:
                self._over(call, by="the end of its document")
            return
        self.pending.append(
            PendingWebhook(call=call.sid, session=call.session, url=url, values=values, run=run, wait=wait)
        )

    # TwiML.

    def _run(self, call: Call, twiml: str) -> None:
        verbs = list(ElementTree.fromstring(twiml))
        lasts_s = 0.0
        call.session += 1
        call.verb, call.action, call.queue, call.peer, call.room = "idle", None, None, None, None
        call.held = False
        for verb in verbs:
            match verb.tag:
                case "Pause":
                    call.verb = "park"
                    lasts_s += float(verb.get("length", "1"))
                case "Redirect" if lasts_s:
                    self._after(lasts_s, call, verb.text or "")
                    return
                case "Redirect":
                    self._later(call, verb.text or "", run=True)
                    return
                case "Enqueue":
                    self._enqueue(call, verb.text or "", verb.get("action"), verb.get("waitUrl"))
                    return
                case "Dial":
                    noun = verb[0]
                    if noun.tag == "Queue":
                        self._take(call, noun.text or "", verb.get("action"))
                    else:
                        assert noun.tag == "Conference", noun.tag
                        end_on_exit = noun.get("endConferenceOnExit") == "true"
                        self._enter(call, noun.text or "", verb.get("action"), end_on_exit)
                    return
                case "Hangup":
                    self._over(call, by="its document")
                    return
                case other:
                    raise AssertionError(f"a verb this account does not know: {other}")
        self._over(call, by="the end of its document")

    def _heard(self, call: Call, twiml: str) -> None:
        verbs = list(ElementTree.fromstring(twiml))
        if [verb.tag for verb in verbs] == ["Leave"]:
            self._leaves_queue(call, "leave")
            return
        assert {verb.tag for verb in verbs} == {"Play"}, twiml
        assert {verb.get("loop") for verb in verbs} == {"0"}, twiml
        # The account requests its waitUrl again when the document has ended.
        self._after(len(verbs) * LOOPS * TRACK_S, call, call.wait_url or "", wait=True)

    def _leaves_queue(self, call: Call, result: str) -> None:
        self.queues_[call.queue or ""].remove(call.sid)
        self._later(call, call.action, run=True, QueueResult=result)

    def _after(self, seconds: float, call: Call, url: str, *, wait: bool = False) -> None:
        """Request a document when the one that runs now has ended."""
        at = (0.0 if self.clock is None else self.clock.now()) + seconds
        values: dict[str, str] = {"QueueSid": self._queue_sid(call.queue or "")} if wait else {}
        hook = PendingWebhook(call=call.sid, session=call.session, url=url, values=values, run=True, wait=wait, at=at)
        self.running_documents.append(hook)

    def _enqueue(self, call: Call, name: str, action: str | None, wait_url: str | None) -> None:
        call.verb, call.queue, call.action, call.wait_url = "enqueue", name, action, wait_url
        self.queues_.setdefault(name, []).append(call.sid)
        takers = self.waiting_dials.get(name, [])
        if takers:
            self._bridge(self.calls_[takers.pop(0)], call)
        elif wait_url is not None:
            self._later(call, wait_url, run=True, wait=True, QueueSid=self._queue_sid(name))

    def _take(self, call: Call, name: str, action: str | None) -> None:
        call.verb, call.queue, call.action = "take", name, action
        if name not in self.queues_:
            self._later(call, action, run=True, DialCallStatus="failed")
        elif self.queues_[name]:
            self._bridge(call, self.calls_[self.queues_[name][0]])
        else:
            self.waiting_dials.setdefault(name, []).append(call.sid)

    def dial_times_out(self, call: CallSid) -> None:
        """End a Dial of a queue in which no member came."""
        me = self.calls_[call]
        assert me.verb == "take"
        assert me.peer is None
        self.waiting_dials[me.queue or ""].remove(call)
        self._later(me, me.action, run=True, DialCallStatus="no-answer")

    def _bridge(self, taker: Call, queued: Call) -> None:
        self.queues_[queued.queue or ""].remove(queued.sid)
        taker.peer, queued.peer = queued.sid, taker.sid

    def _enter(self, call: Call, room: str, action: str | None, end_on_exit: bool) -> None:
        call.verb, call.room, call.action, call.end_on_exit = "conference", room, action, end_on_exit
        self.rooms.setdefault(room, []).append(call.sid)

    # Leaving what a call is in.

    def _leave(self, call: Call, *, hung_up: bool) -> None:
        """End the running verb for this call: the response to its own action is discarded, the other end continues."""
        result = "hangup" if hung_up else "redirected"
        peer = self.calls_[call.peer] if call.peer is not None else None
        match call.verb:
            case "dial":
                self._later(call, call.action, run=False, DialCallStatus="completed")
                if peer is not None:
                    self._over(peer, by="its parent's Dial")
            case "child":
                if peer is not None:
                    peer.peer, peer.verb = None, "idle"
                    self._later(peer, peer.action, run=True, DialCallStatus="completed", DialCallSid=call.sid)
            case "enqueue" if peer is None:
                self.queues_[call.queue or ""].remove(call.sid)
                self._later(call, call.action, run=False, QueueResult=result)
            case "enqueue":
                bridged = "bridged" if hung_up else "redirected-from-bridged"
                self._later(call, call.action, run=False, QueueResult=bridged)
                if peer is not None:
                    peer.peer, peer.verb = None, "idle"
                    self._later(peer, peer.action, run=True, DialCallStatus="completed")
            case "take":
                if peer is None:
                    takers = self.waiting_dials.get(call.queue or "", [])
                    if call.sid in takers:
                        takers.remove(call.sid)
                self._later(call, call.action, run=False, DialCallStatus="completed")
                if peer is not None:
                    peer.peer, peer.verb = None, "idle"
                    self._later(peer, peer.action, run=True, QueueResult="bridged")
            case "conference":
                self._leave_room(call)
            case _:
                pass
        call.peer, call.verb = None, "idle"

    def _leave_room(self, call: Call) -> None:
        room = self.rooms[call.room or ""]
        room.remove(call.sid)
        call.held = False
        self._later(call, call.action, run=False, DialCallStatus="answered")
        if call.end_on_exit:
            for sid in tuple(room):
                other = self.calls_[sid]
                room.remove(sid)
                other.held, other.verb = False, "idle"
                self._later(other, other.action, run=True, DialCallStatus="answered")

    def _over(self, call: Call, *, by: str) -> None:
        if not call.live:
            return
        call.status, call.hung_up_by = "completed", by
        self._leave(call, hung_up=True)
        call.session += 1

    def party_hangs_up(self, call: CallSid) -> None:
        self._over(self.calls_[call], by="the party")

    def app_redirects(self, call: CallSid, url: str) -> None:
        """Redirect a call to a document of the application, without the service."""
        me = self.calls_[call]
        self._leave(me, hung_up=False)
        me.session += 1
        me.verb, me.app_url = "app", url

    # The port: reads.

    def can_reach(self, url: str) -> bool:
        return self.reach

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.opened -= 1

    async def call(self, call: CallSid) -> CallSnapshot | None:
        await self._request("call", call)
        found = self.calls_.get(call)
        return None if found is None else _seen(found)

    async def calls(self, *, status: str | None = None, parent: CallSid | None = None) -> Sequence[CallSnapshot]:
        await self._request("calls", status or "", parent or "")
        return [
            _seen(leg)
            for leg in self.calls_.values()
            if (status is None or leg.status == status) and (parent is None or leg.parent == parent)
        ]

    async def phone_holds(self) -> Sequence[PhoneHoldSnapshot]:
        await self._request("phone_holds")
        return [
            PhoneHoldSnapshot(call=call, since=since)
            for call, since in self.phones_on_hold.items()
            if self.calls_[call].live
        ]

    async def audio_quality(self) -> Sequence[AudioQualitySnapshot]:
        await self._request("audio_quality")
        return list(self.audio_quality_)

    async def conferences(self) -> Sequence[ConferenceSnapshot]:
        await self._request("conferences")
        return [
            ConferenceSnapshot(
                sid=self._conference(name), name=name, status="init" if len(inside) < 2 else "in-progress"
            )
            for name, inside in self.rooms.items()
            if inside
        ]

    async def participants(self, conference: ConferenceSid) -> Sequence[ParticipantSnapshot]:
        await self._request("participants", conference)
        return [self._participant(self.calls_[sid]) for sid in self._room(conference)]

    async def participant(self, conference: ConferenceSid, call: CallSid) -> ParticipantSnapshot | None:
        await self._request("participant", conference, call)
        return self._participant(self.calls_[call]) if call in self._room(conference) else None

    async def queues(self) -> Sequence[tuple[QueueSid, str]]:
        await self._request("queues")
        return [(self._queue_sid(name), name) for name, inside in self.queues_.items() if inside]

    async def find_queue(self, name: str) -> QueueSid | None:
        await self._request("find_queue", name)
        return self._queue_sid(name) if name in self.queues_ else None

    async def members(self, queue: QueueSid) -> Sequence[CallSid]:
        await self._request("members", queue)
        return list(self.queues_.get(self._queue_name(queue), []))

    async def is_queued(self, queue: QueueSid, call: CallSid) -> bool:
        await self._request("is_queued", queue, call)
        return call in self.queues_.get(self._queue_name(queue), [])

    # The port: changes.

    async def set_hold(
        self, conference: ConferenceSid, call: CallSid, *, hold: bool, url: str | None = None
    ) -> ParticipantSnapshot:
        trouble = await self._next_error("set_hold", conference, call, str(hold), url or "")
        if call not in self._room(conference):
            raise ResourceNotFound("no such participant", status=404, twilio_code=20404)
        me = self.calls_[call]
        if trouble is None or trouble[1]:
            me.held, me.hold_url = hold, url if hold else None
        if trouble is not None:
            raise trouble[0]
        return self._participant(me)

    async def redirect(self, call: CallSid, *, twiml: str) -> None:
        trouble = await self._next_error("redirect", call, twiml)
        me = self.calls_[call]
        if not me.live:
            raise ResourceNotFound("Call is not in-progress. Cannot redirect.", status=400, twilio_code=21220)
        if trouble is None or trouble[1]:
            self._leave(me, hung_up=False)
            self._run(me, twiml)
        if trouble is not None:
            raise trouble[0]

    async def hang_up(self, call: CallSid) -> None:
        await self._next_error("hang_up", call)
        if not self.calls_[call].live:
            raise ResourceNotFound("Call is not in-progress.", status=400, twilio_code=21220)
        self._over(self.calls_[call], by="the service")

    async def open_queue(self, name: str) -> QueueSid:
        trouble = await self._next_error("open_queue", name)
        if trouble is not None:
            raise trouble[0]
        self.queues_.setdefault(name, [])
        return self._queue_sid(name)

    async def close_queue(self, queue: QueueSid) -> None:
        trouble = await self._next_error("close_queue", queue)
        if trouble is not None:
            raise trouble[0]
        name = self._queue_name(queue)
        if not self.queues_.get(name):
            self.queues_.pop(name, None)

    def writes(self) -> list[tuple[str, ...]]:
        """Return the changes that were requested."""
        return [request for request in self.requests if request[0] in ("set_hold", "redirect", "hang_up")]

    async def _request(self, *request: str) -> None:
        trouble = await self._next_error(*request)
        if trouble is not None:
            raise trouble[0]

    async def _next_error(self, *request: str) -> tuple[AccountError, bool] | None:
        await asyncio.sleep(0)
        self.requests.append(request)
        for happens in self.before.pop(request[0], []):
            happens()
        errors = self.errors.get(request[0])
        return errors.pop(0) if errors else None

    def _participant(self, call: Call) -> ParticipantSnapshot:
        return ParticipantSnapshot(
            call=call.sid,
            conference=self._conference(call.room or ""),
            hold=call.held,
            muted=call.muted,
            coaches=call.coaches,
        )

    def _conference(self, name: str) -> ConferenceSid:
        return ConferenceSid("CF" + name.encode().hex().rjust(32, "0")[-32:])

    def _room(self, conference: ConferenceSid) -> list[CallSid]:
        return next((inside for name, inside in self.rooms.items() if self._conference(name) == conference), [])

    def _queue_sid(self, name: str) -> QueueSid:
        return QueueSid("QU" + name[-32:])

    def _queue_name(self, queue: QueueSid) -> str:
        return "hold-CA" + queue.removeprefix("QU")


def _seen(call: Call) -> CallSnapshot:
    return CallSnapshot(sid=call.sid, status=call.status, parent=call.parent, from_="+15550100", to="+15550101")


async def asgi(
    app: ASGIApp, method: str, url: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send one request to an ASGI application; return status, headers, body."""
    parts = urlsplit(url)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme,
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(b"host", parts.netloc.encode())]
        + [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": ("127.0.0.1", 1),
        "server": (parts.hostname, parts.port or 443),
    }
    sent: list[dict[str, Any]] = []
    asked = False

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if asked:
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start = next(message for message in sent if message["type"] == "http.response.start")
    reply_headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], reply_headers, b"".join(message.get("body", b"") for message in sent)
