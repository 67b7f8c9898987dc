"""SIP legs over real sockets: phones call and are called, and facts and rows follow."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self, TypeVar

import pytest

from holdfast.store.database import open_database
from holdfast.store.key_values import SqlKeyValues
from holdfast.testing.calls import CallFailed
from holdfast.testing.hold_forms import HoldForm
from holdfast.testing.phone import Answers, Phone, Refuses, Rings
from holdfast.voice.control.read_only_state import Message
from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.media.rtp.srtp import SrtpKeys
from holdfast.voice.media_process.control_link.protocol import CloseRow, DescribeRow, RelayDigit
from holdfast.voice.media_process.errors import MediaUnavailable, RowsFull
from holdfast.voice.model.commands import (
    Instruction,
    ReceiveCall,
    Target,
    WebRequest,
)
from holdfast.voice.model.effects import AnswerLeg, HangUpLeg, LogNotification, PlaceLeg, RefuseLeg, RingLeg
from holdfast.voice.model.facts import (
    DigitPressed,
    LegAnswered,
    LegEnded,
    LegFact,
    LegRefused,
    LegRinging,
    PhoneHeld,
    PhoneResumed,
)
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.payload_types import PayloadTypes
from holdfast.voice.model.phone_numbers import read_number
from holdfast.voice.model.ports import Trace
from holdfast.voice.runtime.directory.directory import AnsweringDocument
from holdfast.voice.runtime.directory.records import LineRecord, RouteRecord
from holdfast.voice.runtime.media_client import RowAddress
from holdfast.voice.runtime.sip.registrations import StoredRegistrations
from holdfast.voice.runtime.sip.sip_legs import SipLegs, SipSettings
from holdfast.voice.runtime.sip.transport.bound_sockets import bind_sockets
from holdfast.voice.runtime.sip.transport.endpoint import SipEndpoint
from holdfast.voice.sip.agent import AllowEveryCall, DigestCredentials
from holdfast.voice.sip.effects import (
    Accepted,
    Address,
    Confirmed,
    EndCause,
    Ended,
    Event,
    InputRefused,
    Invited,
    RefreshDue,
    Refused,
    Registered,
    ReofferAnswered,
    Reoffered,
    ReofferRefused,
    SessionId,
)
from holdfast.voice.sip.sdp.offer import RtpAddress
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AcknowledgeOffer,
    AnswerReoffer,
    CancelInvite,
    EndSession,
    RefuseInvite,
    RefuseReoffer,
    SendDigit,
    SendReoffer,
)

pytestmark = pytest.mark.anyio

E = TypeVar("E", bound=Event)

ACCOUNT = AccountSid("AC" + "0" * 32)
CALL = CallSid("CA" + "1" * 32)
VOICE = AnsweringDocument(instruction=Instruction(request=WebRequest(url="http://127.0.0.1:9/voice")))


@dataclass(slots=True)
class FakeRows:
    """A media process that binds real ports, records its requests, and carries no audio."""

    full: bool = False
    away: bool = False
    opened: int = 0
    """How many rows were ever opened."""
    bound: dict[str, socket.socket] = field(default_factory=dict)
    requests: list[tuple[str, object]] = field(default_factory=list)
    remotes: dict[str, RtpAddress | None] = field(default_factory=dict)
    keys: list[SrtpKeys | None] = field(default_factory=list)
    where: list[tuple[RtpAddress | None, int | None]] = field(default_factory=list)
    """Where each description has RTP sent, and with which payload type digits travel there."""
    payload_types: list[PayloadTypes] = field(default_factory=list)
    sources: list[tuple[str | None, RtpSource]] = field(default_factory=list)
    """For each description: the host that signalling comes from, and where RTP is accepted from."""

    async def open_row(self, leg: str) -> RowAddress:
        if self.away:
            raise MediaUnavailable("the media process did not answer in 5 s")
        if self.full:
            raise RowsFull("every row is in use")
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.bind(("127.0.0.1", 0))
        self.bound[leg] = bound
        self.opened += 1
        return RowAddress(row=len(self.requests), ip="127.0.0.1", port=bound.getsockname()[1])

    def send(self, command: DescribeRow | RelayDigit | CloseRow) -> None:
        leg = command.leg
        match command:
            case DescribeRow():
                self.requests.append((leg, (command.codec, command.send, command.receive)))
                self.remotes[leg] = command.remote
                self.keys.append(command.srtp)
                self.where.append((command.remote, command.dtmf_payload_type))
                self.payload_types.append(command.payload_types)
                self.sources.append((command.signalled_from, command.rtp_source))
            case RelayDigit(digit=digit):
                self.requests.append((leg, digit))
            case CloseRow():
                if leg in self.bound:
                    self.bound.pop(leg).close()
                self.requests.append((leg, "closed"))


@dataclass(slots=True)
class FakeDirectory:
    """A directory: lines, routes, and a voice URL for every number but those that begin with +1999."""

    routes: tuple[RouteRecord, ...] = ()

    def line(self, name: str) -> LineRecord | None:
        lines = {"alice": "secret-a", "bob": "secret-b", "mute": "secret-m"}
        return (
            LineRecord.with_password(
                name=name, password=lines[name], may_call=("+1555", "+1999") if name != "mute" else ()
            )
            if name in lines
            else None
        )

    def e164(self, written: str) -> str | None:
        return read_number(written, "US")

    def route_for(self, number: str) -> RouteRecord | None:
        return next((route for route in self.routes if number.startswith(route.prefix)), None)

    def unreachable_reason(self, number: str) -> str:
        return f"{number} leads nowhere"

    def trunks(self) -> tuple[RouteRecord, ...]:
        return tuple(trunk for route in self.routes for trunk in route.trunks)

    def answer_for(self, dialled: str, *, host: str = "") -> AnsweringDocument | None:
        return None if dialled.startswith("+1999") else VOICE

    def answer_of_number(self, number: str) -> AnsweringDocument | None:
        return VOICE if number.startswith("+1556") else None

    def answer_of_application(self, sid: str) -> AnsweringDocument | None:
        return VOICE if sid == "APshop" else None


class LegsHarness:
    """SIP legs with every fact they post recorded."""

    def __init__(self, rows: FakeRows, book: FakeDirectory) -> None:
        self.rows = rows
        self.book = book
        self.facts: list[Message] = []
        self.answer_details: list[tuple[tuple[str, str], ...]] = []
        """The details of the SIP answers; `facts` leaves them out."""
        self.traces: list[Trace] = []
        self.refusals: list[tuple[str, str]] = []
        self._came = asyncio.Event()
        self.legs: SipLegs

    def now(self) -> float:
        return time.time()

    def notify(self, notification: LogNotification) -> None:
        raise AssertionError(f"SIP notifies of nothing: {notification}")

    def trace(self, exchange: Trace) -> None:
        self.traces.append(exchange)

    def count_refusal(self, message: str, status: str) -> None:
        self.refusals.append((message, status))

    def post(self, message: Message) -> None:
        if isinstance(message, LegAnswered):
            self.answer_details.append(message.sip_params)
            message = replace(message, sip_params=())
        self.facts.append(message)
        self._came.set()

    async def until(self, is_there: Callable[[], bool]) -> None:
        """Wait until enough was posted. Raises: TimeoutError."""
        async with asyncio.timeout(5):
            while not is_there():
                self._came.clear()
                await self._came.wait()

    async def received(self) -> ReceiveCall:
        """Return the inbound call."""
        await self.until(lambda: any(isinstance(message, ReceiveCall) for message in self.facts))
        return next(message for message in self.facts if isinstance(message, ReceiveCall))

    async def fact(self, kind: type[LegFact]) -> LegFact:
        """Return the first fact of a kind."""
        await self.until(lambda: any(isinstance(message, kind) for message in self.facts))
        return next(message for message in self.facts if isinstance(message, kind))

    def trunk_state(self, trunk: RouteRecord) -> str | None:
        """How we stand with a trunk, in a word; None when we do not register there."""
        found = self.legs.trunk_status(trunk)
        return None if found is None else found.state

    def place(self, to: str, call: CallSid = CALL, *, beside: CallSid | None = None) -> None:
        """Place a call."""
        effect = PlaceLeg(call=call, target=Target(to=to), from_="+15550100", caller_name="Holdfast", peer=beside)
        self.legs.carry_out(effect)


@asynccontextmanager
async def opened(
    settings: SipSettings, book: FakeDirectory | None = None, registrations: StoredRegistrations | None = None
) -> AsyncIterator[LegsHarness]:
    """Open SIP legs; in the end they leave no row open."""
    made = LegsHarness(FakeRows(), book or FakeDirectory())
    async with asyncio.TaskGroup() as tasks:
        made.legs = SipLegs(
            settings,
            bind_sockets(settings),
            account=ACCOUNT,
            directory=made.book,
            media=made.rows,
            events=made,
            tasks=tasks,
            registrations=registrations,
        )
        await made.legs.open()
        yield made
        await made.legs.close()
    assert made.rows.bound == {}


@pytest.fixture
async def bench() -> AsyncIterator[LegsHarness]:
    async with opened(SipSettings(address=("127.0.0.1", 0), trust_loopback=True)) as made:
        yield made


async def test_a_phone_calls_in_is_answered_and_hangs_up(bench: LegsHarness) -> None:
    async with Phone("carol", server=bench.legs.address) as carol:
        call = await carol.call("+15550123")
        came = await bench.received()
        assert (came.to, came.from_, came.caller_name) == ("+15550123", f"sip:carol@{carol.address[0]}", "carol")
        assert dict(came.extra_params)["SipSourceIp"] == "127.0.0.1"
        bench.legs.carry_out(RingLeg(call=came.call))
        await call.rang()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await call.answered()
        assert set(bench.legs.rows) == {came.call}
        await call.hang_up()
        assert await bench.fact(LegEnded) == LegEnded(call=came.call, cause="hangup", sip_code=200)
    assert bench.rows.requests == [(came.call, ("PCMU", True, True)), (came.call, "closed")]
    assert bench.legs.rows == set()
    lines = [trace.summary.split(" · ")[0].split(" ")[0:2] for trace in bench.traces if hasattr(trace, "summary")]
    words = [first if first != "SIP/2.0" else second for first, second in lines]
    assert words == ["INVITE", "100", "180", "200", "ACK", "BYE", "200"]
    assert {trace.call for trace in bench.traces} == {came.call}


async def test_more_packets_show_that_a_phone_is_alive(bench: LegsHarness) -> None:
    async with Phone("carol", server=bench.legs.address) as carol:
        call = await carol.call("+15550123")
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await call.answered()
        sessions = bench.legs._context.agent._stack.sessions

        def last_audio_at() -> float | None:
            (session,) = sessions.values()
            return session.last_audio_at

        bench.legs.handle_packets(came.call, 0)
        assert last_audio_at() is None
        bench.legs.handle_packets(came.call, 250)
        first = last_audio_at()
        assert first is not None
        bench.legs.handle_packets(came.call, 250)
        assert last_audio_at() == first
        await call.hang_up()
        bench.legs.handle_packets(came.call, 500)


async def test_a_phone_that_gives_up_is_a_cancelled_call(bench: LegsHarness) -> None:
    async with Phone("carol", server=bench.legs.address) as carol:
        call = await carol.call("+15550123")
        came = await bench.received()
        bench.legs.carry_out(RingLeg(call=came.call))
        await call.rang()
        await call.hang_up()
        assert await bench.fact(LegEnded) == LegEnded(call=came.call, cause="canceled", sip_code=487)


async def test_a_call_in_is_refused_as_the_engine_says(bench: LegsHarness) -> None:
    async with Phone("carol", server=bench.legs.address) as carol:
        call = await carol.call("+15550123")
        came = await bench.received()
        bench.legs.carry_out(RefuseLeg(call=came.call, sip_code=486))
        assert await call.over() == 486
    assert bench.facts == [came]


async def test_calls_that_are_not_reported_to_the_engine_are_refused(
    bench: LegsHarness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with Phone("carol", server=bench.legs.address) as carol:
        assert await (await carol.call("+19995550123")).over() == 404
        assert "rejected: 404 for '+19995550123', dialled by 'carol' at 127.0.0.1: no voice URL" in caplog.text
        assert bench.rows.opened == 0
        bench.rows.full = True
        assert await (await carol.call("+15550123")).over() == 503
        before = len(bench.rows.requests)
        bench.rows.away = True
        assert await (await carol.call("+15550123")).over() == 503
        ((_, requests),) = bench.rows.requests[before:]
        assert requests == "closed", "it may be opened yet, when the media process was only slow"
    async with Phone("mute", server=bench.legs.address, password="secret-m") as mute:
        assert await (await mute.call("+15550123")).over() in (403, 503)
    assert bench.facts == []


async def test_a_line_registers_and_is_called(bench: LegsHarness) -> None:
    async with Phone("bob", server=bench.legs.address, password="secret-b", manner=Answers(after_s=0.05)) as bob:
        await bob.register()
        assert bench.legs.is_registered("bob")
        bench.place("client:bob")
        await bench.fact(LegAnswered)
        call = await bob.called()
        assert call.peer
        assert bench.facts == [LegRinging(call=CALL), LegAnswered(call=CALL)]
        assert [name for about in bench.answer_details for name, _ in about] == ["DialSipCallId"]
        bench.legs.carry_out(HangUpLeg(call=CALL))
        assert await call.over() is EndCause.HUNG_UP
    assert bench.facts == [LegRinging(call=CALL), LegAnswered(call=CALL)]
    assert not bench.legs.is_registered("bob")


async def test_a_line_that_registered_before_a_restart_is_called(tmp_path: Path) -> None:
    settings = SipSettings(address=("127.0.0.1", 0), trust_loopback=True)
    async with (
        open_database(tmp_path / "store.db") as database,
        opened(settings, registrations=StoredRegistrations(SqlKeyValues(database))) as before,
        Phone("bob", server=before.legs.address, password="secret-b") as bob,
    ):
        await bob.register()
        await before.legs.registrations.write()
        async with opened(settings, registrations=StoredRegistrations(SqlKeyValues(database))) as after:
            assert after.legs.is_registered("bob")
            after.place("client:bob")
            await after.fact(LegAnswered)
            await (await bob.called()).hang_up()
            await after.fact(LegEnded)


async def test_a_wrong_password_is_not_registered(bench: LegsHarness) -> None:
    async with Phone("bob", server=bench.legs.address, password="wrong") as bob:
        with pytest.raises(CallFailed, match="not registered"):
            await bob.register()
    assert not bench.legs.is_registered("bob")


async def test_all_phones_of_a_line_ring_and_the_first_to_answer_wins(bench: LegsHarness) -> None:
    desk_phone = Phone("bob", server=bench.legs.address, password="secret-b", manner=Rings())
    mobile = Phone("bob", server=bench.legs.address, password="secret-b", manner=Rings())
    async with desk_phone, mobile:
        await desk_phone.register()
        await mobile.register()
        bench.place("bob")
        at_desk, at_mobile = await desk_phone.called(), await mobile.called()
        at_mobile.answer()
        await bench.fact(LegAnswered)
        assert await at_desk.over() is EndCause.CANCELLED
        bench.legs.carry_out(HangUpLeg(call=CALL))
        assert await at_mobile.over() is EndCause.HUNG_UP
    assert bench.facts == [LegRinging(call=CALL), LegAnswered(call=CALL)]
    assert bench.rows.requests == [(CALL, ("PCMU", True, True)), (CALL, "closed")]


@pytest.mark.parametrize(
    ("to", "sip_code", "code"),
    [
        ("client:bob", 480, 32009),
        ("client:nobody", 404, 32009),
        ("+15550199", 404, 13224),
        ("sip:bob@example.com", 404, 13254),
        ("sip:bob@127.0.0.1:99999", 400, 13243),
        ("sip:bob@127.0.0.1:1;transport=tcp", 503, 0),
        ("sip:bob@127.0.0.1:5060;transport=sctp", 400, 13243),
        ("sips:bob@127.0.0.1:5061", 400, 0),
        ("sip:bob@holdfast", 480, 32009),
    ],
)
async def test_a_target_that_leads_nowhere_is_refused_with_its_code(
    bench: LegsHarness, to: str, sip_code: int, code: int
) -> None:
    bench.place(to)
    refused = await bench.fact(LegRefused)
    assert isinstance(refused, LegRefused)
    assert (refused.sip_code, refused.code) == (sip_code, code)
    assert refused.reason


async def test_a_trunk_that_is_ourselves_makes_no_call_of_a_number_of_ours(bench: LegsHarness) -> None:
    """Else a document that dials would be called by what it dials, for ever."""
    bench.book.routes = (RouteRecord(prefix="+1555", host="127.0.0.1", port=bench.legs.address.port),)
    bench.place("+15550123")
    refused = await bench.fact(LegRefused)
    assert isinstance(refused, LegRefused)
    assert refused.sip_code == 403
    assert not any(isinstance(message, ReceiveCall) for message in bench.facts)


async def test_a_busy_phone_is_reported_as_busy(bench: LegsHarness) -> None:
    async with Phone("dave", manner=Refuses(status=486)) as dave:
        bench.place(dave.uri)
        refused = await bench.fact(LegRefused)
    assert isinstance(refused, LegRefused)
    assert refused.sip_code == 486


async def test_hanging_up_while_it_rings_cancels(bench: LegsHarness) -> None:
    async with Phone("dave", manner=Rings()) as dave:
        bench.place(dave.uri)
        call = await dave.called()
        bench.legs.carry_out(HangUpLeg(call=CALL))
        assert await call.over() is EndCause.CANCELLED
    assert bench.facts in ([], [LegRinging(call=CALL)])


async def test_hanging_up_before_the_row_is_there_leaves_nothing(bench: LegsHarness) -> None:
    async with Phone("dave", manner=Rings()) as dave:
        bench.place(dave.uri)
        bench.legs.carry_out(HangUpLeg(call=CALL))
        bench.place(dave.uri, CallSid("CA" + "2" * 32))
        await dave.called()
        assert len(dave.calls) == 1
    assert bench.facts[0] in (LegRinging(call=CallSid("CA" + "2" * 32)), bench.facts[0])


async def test_a_phone_holds_by_itself_and_comes_back(bench: LegsHarness) -> None:
    async with Phone("dave") as dave:
        bench.place(dave.uri)
        await bench.fact(LegAnswered)
        call = await dave.called()
        await call.hold()
        await bench.fact(PhoneHeld)
        await call.hold(HoldForm.INACTIVE)
        await call.unhold()
        await bench.fact(PhoneResumed)
        await call.hang_up()
        await bench.fact(LegEnded)
    kinds = [type(message) for message in bench.facts if not isinstance(message, LegRinging)]
    assert kinds == [LegAnswered, PhoneHeld, PhoneResumed, LegEnded]
    directions = [requests for leg, requests in bench.rows.requests if leg == CALL]
    assert directions == [
        ("PCMU", True, True),
        ("PCMU", False, True),
        ("PCMU", False, False),
        ("PCMU", True, True),
        "closed",
    ]


async def test_rtp_follows_a_phone_that_changes_its_address(bench: LegsHarness) -> None:
    """By re-INVITE, by UPDATE and in the ACK of a re-INVITE without an offer, as music on hold is put in (RFC 7088)."""
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, FAR_SDP)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        moved = FAR_SDP.replace(b"40000", b"40002").replace(b" 96", b" 97").replace(b":96", b":97")
        far.sip.command(session, SendReoffer(sdp=moved))
        await far.event(ReofferAnswered)
        again = moved.replace(b"40002", b"40004")
        far.sip.command(session, SendReoffer(sdp=again, method="UPDATE"))
        await far.event(ReofferAnswered)
        far.sip.command(session, SendReoffer(sdp=None))
        assert (await far.event(ReofferAnswered)).offer_to_answer
        elsewhere = again.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 127.0.0.2").replace(b"40004", b"40006")
        far.sip.command(session, AcknowledgeOffer(sdp=elsewhere + b"a=sendonly\r\n"))
        await bench.fact(PhoneHeld)
        assert bench.rows.where == [
            (("127.0.0.1", 40000), 96),
            (("127.0.0.1", 40002), 97),
            (("127.0.0.1", 40004), 97),
            (("127.0.0.2", 40006), 97),
        ]
        far.sip.command(session, EndSession())
        await bench.fact(LegEnded)


async def test_phones_receive_the_advertised_address() -> None:
    phone = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    phone.bind(("127.0.0.1", 0))
    phone.setblocking(False)
    with closing(phone):
        async with opened(SipSettings(address=("127.0.0.1", 0), advertised_ip="203.0.113.7")) as bench:
            port = bench.legs.address.port
            bench.place(f"sip:bob@127.0.0.1:{phone.getsockname()[1]}")
            async with asyncio.timeout(5):
                asked = (await asyncio.get_running_loop().sock_recv(phone, 4000)).decode()
            assert f"Via: SIP/2.0/UDP 203.0.113.7:{port};" in asked
            assert f"Contact: <sip:holdfast@203.0.113.7:{port}>" in asked
            assert f"@203.0.113.7:{port}>;tag=" in asked.partition("From: ")[2].partition("\r\n")[0]
            assert "c=IN IP4 203.0.113.7\r\n" in asked
            assert "127.0.0.1" not in asked.replace(f"sip:bob@127.0.0.1:{phone.getsockname()[1]}", "")
            # Who calls us by that address means us.
            bench.place(f"sip:alice@203.0.113.7:{port}", CallSid("CA" + "2" * 32))
            refused = await bench.fact(LegRefused)
            assert isinstance(refused, LegRefused)
            assert (refused.sip_code, refused.code) == (480, 32009), "alice is a line of ours, and not registered"
            bench.legs.carry_out(HangUpLeg(call=CALL))


class RemotePeer:
    """A SIP agent on a socket of its own that the test controls."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self._tasks = asyncio.TaskGroup()
        settings = SipSettings(address=("127.0.0.1", 0), domain="far", user_agent="far end")
        self.sip = SipEndpoint(
            settings, bind_sockets(settings), owner=self, policy=AllowEveryCall(), secret=b"far", tasks=self._tasks
        )

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        await self.sip.open()
        return self

    def now(self) -> float:
        return time.time()

    def certificate_name(self, to: Address) -> str | None:
        return None

    def handle_event(self, event: Event) -> None:
        self.events.put_nowait(event)

    async def __aexit__(self, *_: object) -> None:
        self.sip.close()
        await self._tasks.__aexit__(None, None, None)

    async def event(self, kind: type[E]) -> E:
        """Return the next event of a kind; others are dropped."""
        async with asyncio.timeout(5):
            while not isinstance(event := await self.events.get(), kind):
                pass
        return event

    def call(self, to: Address, sdp: bytes | None) -> SessionId:
        """Call the engine."""
        session = SessionId("far")
        self.sip.carry_out(
            self.sip.agent.invite(session, f"sip:+15550123@{to.host}:{to.port}", now=time.time(), sdp=sdp, caller="far")
        )
        return session


FAR_SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 8 96\r\na=rtpmap:96 telephone-event/8000\r\n"
)


async def test_a_call_without_an_offer_gets_ours_and_answers_in_the_ack(bench: LegsHarness) -> None:
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, None)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        accepted = await far.event(Accepted)
        assert accepted.offer_to_answer
        assert b"RTP/AVP 0 8 9 101" in (accepted.sdp or b"")
        assert bench.rows.requests == []
        far.sip.command(session, AcknowledgeOffer(sdp=FAR_SDP))
        far.sip.command(session, SendDigit(digit="5"))
        assert await bench.fact(DigitPressed) == DigitPressed(call=came.call, digit="5")
        assert bench.rows.requests == [(came.call, ("PCMA", True, True)), (came.call, "5")]
        far.sip.command(session, SendReoffer(sdp=None))
        answered = await far.event(ReofferAnswered)
        assert answered.offer_to_answer
        holding = FAR_SDP + b"a=sendonly\r\n"
        far.sip.command(session, AcknowledgeOffer(sdp=holding))
        assert await bench.fact(PhoneHeld) == PhoneHeld(call=came.call)
        far.sip.command(session, SendReoffer(sdp=b"v=0 nonsense"))
        assert (await far.event(ReofferRefused)).status == 400
        far.sip.command(session, EndSession())
        await bench.fact(LegEnded)


@pytest.mark.parametrize("sdp", [FAR_SDP, FAR_SDP.replace(b" 96\r\n", b"\r\n", 1)])
async def test_a_digit_detected_in_rtp_does_not_count_again_by_info(bench: LegsHarness, sdp: bytes) -> None:
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, sdp)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        bench.legs.handle_digit(came.call, "5")
        for digit in "567":
            far.sip.command(session, SendDigit(digit=digit))
        seven = DigitPressed(call=came.call, digit="7")
        await bench.until(lambda: seven in bench.facts)
        assert [fact.digit for fact in bench.facts if isinstance(fact, DigitPressed)] == ["6", "7"]
        assert [requests for _, requests in bench.rows.requests[1:]] == ["6", "7"]
        # A phone that tells by INFO alone is not waited for any more; what it presses after all is no second key.
        far.sip.command(session, SendDigit(digit="8"))
        eight = DigitPressed(call=came.call, digit="8")
        await bench.until(lambda: eight in bench.facts)
        assert not bench.legs.handle_digit(came.call, "8")
        assert bench.legs.handle_digit(came.call, "8")


async def test_a_refresh_that_the_phone_refuses_leaves_it_free_to_hold(bench: LegsHarness) -> None:
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, FAR_SDP)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        far.sip.command(session, SendDigit(digit="5"))
        await bench.fact(DigitPressed)  # so the ACK has come as well
        refresh(bench)
        await far.event(Reoffered)
        far.sip.command(session, RefuseReoffer(status=488))
        far.sip.command(session, SendReoffer(sdp=FAR_SDP + b"a=sendonly\r\n"))
        assert await bench.fact(PhoneHeld) == PhoneHeld(call=came.call)
        assert (await far.event(ReofferAnswered)).sdp is not None


async def test_a_refresh_answered_without_a_description_leaves_the_phone_free_to_hold(bench: LegsHarness) -> None:
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, FAR_SDP)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        for _ in range(2):
            refresh(bench)
            await far.event(Reoffered)
            far.sip.command(session, AnswerReoffer(sdp=b""))
            await far.event(Confirmed)
        far.sip.command(session, SendReoffer(sdp=FAR_SDP + b"a=sendonly\r\n"))
        assert await bench.fact(PhoneHeld) == PhoneHeld(call=came.call)
        assert (await far.event(ReofferAnswered)).sdp is not None


async def test_a_refresh_that_meets_a_hold_lets_it_through(bench: LegsHarness) -> None:
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, FAR_SDP)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        far.sip.command(session, SendDigit(digit="5"))
        await bench.fact(DigitPressed)  # so the ACK has come as well
        refresh(bench)
        first = await far.event(Reoffered)
        far.sip.command(session, RefuseReoffer(status=491))
        far.sip.command(session, SendReoffer(sdp=FAR_SDP + b"a=sendonly\r\n"))
        assert await bench.fact(PhoneHeld) == PhoneHeld(call=came.call)
        held = await far.event(ReofferAnswered)
        again = await far.event(Reoffered)
        assert version(first.sdp) < version(held.sdp)
        assert again.sdp == held.sdp, "a refresh repeats the description in force with its version"


def version(sdp: bytes | None) -> int:
    """Return the version in a description's `o=`."""
    assert sdp is not None
    return int(sdp.split()[3])


async def test_a_refresh_that_waits_for_an_ack_still_knows_its_offer_when_it_is_answered(bench: LegsHarness) -> None:
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, FAR_SDP)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        refresh(bench)
        await far.event(Reoffered)
        far.sip.command(session, AnswerReoffer(sdp=FAR_SDP + b"a=sendonly\r\n"))
        assert await bench.fact(PhoneHeld) == PhoneHeld(call=came.call)
        assert not any(isinstance(message, LegEnded) for message in bench.facts)


def refresh(bench: LegsHarness) -> None:
    """Send the refresh that the session timer asks for at half its time, which is 45 s at the least."""
    (leg,) = bench.legs._context.legs.values()
    assert leg.session is not None
    bench.legs.handle_event(RefreshDue(session=leg.session))


async def test_a_call_whose_late_answer_is_unusable_ends(bench: LegsHarness) -> None:
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, None)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        far.sip.command(session, AcknowledgeOffer(sdp=FAR_SDP.replace(b"AVP 8", b"AVP 18")))
        assert await bench.fact(LegEnded) == LegEnded(call=came.call, cause="lost", sip_code=488)
        assert (await far.event(Ended)).cause is EndCause.HUNG_UP


async def test_a_refresh_that_is_answered_with_nonsense_costs_no_call(bench: LegsHarness) -> None:
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, FAR_SDP)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        for unusable in (b"nonsense", FAR_SDP.replace(b"AVP 8", b"AVP 18")):
            refresh(bench)
            await far.event(Reoffered)
            far.sip.command(session, AnswerReoffer(sdp=unusable))
            await far.event(Confirmed)
        far.sip.command(session, SendReoffer(sdp=FAR_SDP.replace(b"40000", b"0")))
        assert await bench.fact(PhoneHeld) == PhoneHeld(call=came.call)
        assert (came.call, ("PCMA", False, False)) in bench.rows.requests
        # As long as it is so, a refresh asks for no sound.
        refresh(bench)
        asked = await far.event(Reoffered)
        assert asked.sdp is not None
        assert b"m=audio 0 " in asked.sdp


@pytest.mark.parametrize(("sdp", "status"), [(b"nonsense", 400), (FAR_SDP.replace(b"AVP 8", b"AVP 18"), 488)])
async def test_an_unacceptable_offer_is_refused_before_the_engine_is_notified(
    bench: LegsHarness, sdp: bytes, status: int
) -> None:
    async with RemotePeer() as far:
        far.call(bench.legs.address, sdp)
        assert (await far.event(Refused)).status == status
    assert bench.facts == []


async def test_a_phone_that_answers_with_nonsense_is_not_answered(bench: LegsHarness) -> None:
    async with RemotePeer() as far:
        bench.place(f"sip:far@{far.sip.address[0]}:{far.sip.address[1]}")
        invited = await far.event(Invited)
        far.sip.command(invited.session, AcceptInvite(sdp=b"nonsense"))
        refused = await bench.fact(LegRefused)
        assert isinstance(refused, LegRefused)
        assert refused.sip_code == 400
        assert (await far.event(Ended)).cause is EndCause.HUNG_UP
    assert bench.facts == [refused]


@pytest.mark.parametrize(("transport", "warned"), [("udp", True), ("tcp", False)])
async def test_an_invite_too_large_for_a_datagram_is_sent_as_the_uri_says_and_warned_of(
    bench: LegsHarness, caplog: pytest.LogCaptureFixture, transport: str, warned: bool
) -> None:
    async with RemotePeer() as far:
        large = "&".join(f"X-Field-{number}={'x' * 90}" for number in range(9))
        bench.place(f"sip:far@{far.sip.address[0]}:{far.sip.address[1]};transport={transport}?{large}")
        invited = await far.event(Invited)
        assert dict(invited.headers)["X-Field-8"] == "x" * 90
        assert ("LargeInvite" in caplog.text) is warned
        far.sip.command(invited.session, RefuseInvite(status=486))
        await bench.fact(LegRefused)


async def test_two_phones_that_answer_at_once_are_one_call(bench: LegsHarness) -> None:
    """The second 200 crosses our CANCEL; its end must not end the call."""
    async with RemotePeer() as desk_phone, RemotePeer() as mobile:
        for far in (desk_phone, mobile):
            credentials = DigestCredentials(user="bob", password="secret-b")
            far.sip.carry_out(
                far.sip.agent.register("r", bench.legs.address, "bob", now=time.time(), credentials=credentials)
            )
            await far.event(Registered)
        bench.place("bob")
        at_desk, at_mobile = await desk_phone.event(Invited), await mobile.event(Invited)
        desk_phone.sip.command(at_desk.session, AcceptInvite(sdp=FAR_SDP))
        mobile.sip.command(at_mobile.session, AcceptInvite(sdp=FAR_SDP))
        await bench.fact(LegAnswered)
        done, waiting = await asyncio.wait(
            [asyncio.create_task(desk_phone.event(Ended)), asyncio.create_task(mobile.event(Ended))],
            return_when=asyncio.FIRST_COMPLETED,
        )
        assert (len(done), len(waiting)) == (1, 1)
        assert bench.facts == [LegAnswered(call=CALL)]
        bench.legs.carry_out(HangUpLeg(call=CALL))
        assert (await waiting.pop()).cause is EndCause.HUNG_UP
    assert bench.facts == [LegAnswered(call=CALL)]


async def test_hostile_datagrams_do_not_stop_the_listener(bench: LegsHarness) -> None:
    bad = [
        b"",
        b"\r\n\r\n",
        b"\x00" * 64,
        b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:70000;branch=z9hG4bK1;rport=99999\r\n\r\n",
        b"OPTIONS sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:65536;branch=z9hG4bK2\r\n"
        b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n",
        b"INVITE sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 1500 + b"\r\n",
        b"INVITE " + b"\xff" * 3000,
        bytes(range(256)) * 8,
    ]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.0.1", 0))
        for data, _ in itertools.product(bad, range(3)):
            stranger.sendto(data, bench.legs.address[:2])
    async with Phone("carol", server=bench.legs.address) as carol:
        call = await carol.call("+15550123")
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await call.answered()
        await call.hang_up()
        await bench.fact(LegEnded)


async def test_an_input_that_a_session_refuses_is_counted_and_logged_once_in_ten_seconds(
    bench: LegsHarness, caplog: pytest.LogCaptureFixture
) -> None:
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, FAR_SDP)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        far.sip.command(session, CancelInvite())
        far.sip.command(session, CancelInvite())
        assert await far.event(InputRefused) == InputRefused(session=session, state="running", received="CancelInvite")
        far.sip.command(session, EndSession())
        assert (await far.event(Ended)).cause is EndCause.WE_HUNG_UP
        assert far.sip.ignored == {"InputRefused": 2}
    assert caplog.text.count("fact=InputRefused source=far count=1") == 1
    assert "a session that is running takes no CancelInvite" in caplog.text


async def test_a_refused_input_of_a_session_is_counted_for_the_metrics(bench: LegsHarness) -> None:
    bench.legs.handle_event(InputRefused(session=SessionId("s"), state="called", received="ACK"))
    assert bench.refusals == [("ACK", "called")]
