"""Trunks over real sockets: numbers leave by them with a proof, and their calls come in without one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.testing.calls import CallFailed
from holdfast.testing.phone import Phone
from holdfast.voice.model.effects import AnswerLeg, HangUpLeg
from holdfast.voice.model.facts import LegAnswered, LegRefused
from holdfast.voice.runtime.legs.endpoint import SipEndpoint, open_endpoint
from holdfast.voice.runtime.legs.sip import SipLegs, SipSettings
from holdfast.voice.runtime.legs.tls import TlsFiles, load_tls
from holdfast.voice.runtime.listings import Route
from holdfast.voice.sip.effects import Address, Event, Invited, Transport
from tests.loopback.test_sip_legs import ACCOUNT, CALL, FAR_SDP, Bench, Rows

pytestmark = pytest.mark.anyio

LOCALHOST = Path(__file__).with_name("localhost.pem")
OURS, THEIRS = "127.0.0.1", "127.0.0.9"


class Customers:
    """A carrier's policy: who calls must be one of its customers."""

    def password_of(self, user: str) -> str | None:
        return "trunk-secret" if user == "acme" else None

    def may_call_unauthenticated(self, source: Address) -> bool:
        return False

    def is_registrar(self) -> bool:
        return True


class Carrier:
    """A SIP endpoint that answers every call of a customer."""

    def __init__(self) -> None:
        self.invited: asyncio.Queue[Invited] = asyncio.Queue()
        self.sip: SipEndpoint

    def happened(self, event: Event) -> None:
        if isinstance(event, Invited):
            self.invited.put_nowait(event)
            self.sip.do(self.sip.agent.accept(event.session, FAR_SDP, now=time.time()))

    async def called(self) -> Invited:
        async with asyncio.timeout(5):
            return await self.invited.get()


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    made = Carrier()
    async with asyncio.TaskGroup() as tasks:
        made.sip = await open_endpoint(
            SipSettings(address=(THEIRS, 0), domain="carrier.example"),
            secret=b"far",
            policy=lambda _: Customers(),
            happened=made.happened,
            now=time.time,
            tasks=tasks,
        )
        yield made
        made.sip.close()


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench(Rows())
    async with asyncio.TaskGroup() as tasks:
        made.legs = SipLegs(
            SipSettings(address=(OURS, 0), trust_loopback=False),
            account=ACCOUNT,
            directory=made.book,
            media=made.rows,
            tell=made.tell,
            seen=made.traces.append,
            clock=time.time,
            tasks=tasks,
        )
        await made.legs.open()
        yield made
        await made.legs.close()
    assert made.rows.bound == {}


def trunk(carrier: Carrier, transport: Transport = "UDP", password: str = "trunk-secret") -> Route:
    host, port, _ = carrier.sip.address
    return Route(
        prefix="+44",
        host=host,
        port=port,
        transport=transport,
        user="acme",
        password=password,
        caller_id="+15550999",
        sources=(f"{THEIRS}/32",),
    )


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_number_leaves_by_its_trunk(bench: Bench, carrier: Carrier, transport: Transport) -> None:
    bench.book.routes = (trunk(carrier, transport),)
    bench.place("+442079460000")
    await bench.fact(LegAnswered)
    invited = await carrier.called()
    assert (invited.user, invited.called, invited.caller) == ("acme", "+442079460000", "+15550999")
    assert invited.source.transport == transport
    bench.legs.carry_out(HangUpLeg(call=CALL))


async def test_a_trunk_whose_certificate_has_a_name_is_believed_by_that_name() -> None:
    made = Bench(Rows())
    files = TlsFiles(certificate=LOCALHOST, authorities=LOCALHOST)
    async with asyncio.TaskGroup() as tasks:
        made.legs = SipLegs(
            SipSettings(address=(OURS, 0), tls=load_tls(files), tls_port=0),
            account=ACCOUNT,
            directory=made.book,
            media=made.rows,
            tell=made.tell,
            seen=made.traces.append,
            clock=time.time,
            tasks=tasks,
        )
        await made.legs.open()
        async with Phone("trunk", transport="TLS", certificate=LOCALHOST, host="127.0.0.2") as far:
            where = Route(prefix="+44", host="127.0.0.2", port=far.address.port, transport="TLS", tls_name="localhost")
            made.book.routes = (where,)
            made.place("+442079460000")
            await made.fact(LegAnswered)
            await (await far.called()).hang_up()
        await made.legs.close()


async def test_a_trunk_that_does_not_know_us_refuses(bench: Bench, carrier: Carrier) -> None:
    bench.book.routes = (trunk(carrier, password="wrong"),)
    bench.place("+442079460000")
    refused = await bench.fact(LegRefused)
    assert isinstance(refused, LegRefused)
    assert refused.sip_code == 401


async def test_no_route_no_call(bench: Bench, carrier: Carrier) -> None:
    bench.book.routes = (trunk(carrier),)
    bench.place("+33170000000")
    refused = await bench.fact(LegRefused)
    assert isinstance(refused, LegRefused)
    assert (refused.sip_code, refused.code) == (404, 13224)
    assert carrier.invited.empty()


async def test_calls_come_in_from_a_trunks_own_addresses_alone(bench: Bench, carrier: Carrier) -> None:
    bench.book.routes = (trunk(carrier),)
    async with Phone("carrier", server=bench.legs.address, host=THEIRS) as inside:
        call = await inside.call("+15550123")
        came = await bench.received()
        assert dict(came.extra)["SipSourceIp"] == THEIRS
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await call.answered()
        await call.hang_up()
    async with Phone("stranger", server=bench.legs.address, host="127.0.0.8") as outside:
        with pytest.raises(CallFailed, match="401"):
            await (await outside.call("+15550123")).answered()


async def test_a_trunk_registers_nobody(bench: Bench, carrier: Carrier) -> None:
    bench.book.routes = (trunk(carrier),)
    async with Phone("bob", server=bench.legs.address, host=THEIRS, password="guess") as inside:
        with pytest.raises(CallFailed, match="401"):
            await inside.register()


async def test_a_quiet_server_answers_lines_and_nobody_else() -> None:
    made = Bench(Rows())
    async with asyncio.TaskGroup() as tasks:
        made.legs = SipLegs(
            SipSettings(address=(OURS, 0), quiet=True),
            account=ACCOUNT,
            directory=made.book,
            media=made.rows,
            tell=made.tell,
            seen=made.traces.append,
            clock=time.time,
            tasks=tasks,
        )
        await made.legs.open()
        async with Phone("stranger", server=made.legs.address, host="127.0.0.8") as stranger:
            unheard = await stranger.call("+15550123")
            async with Phone("bob", server=made.legs.address, password="secret-b") as bob:
                await bob.register()
                call = await bob.call("+15550123")
                await made.received()
                await call.hang_up()
            assert unheard.progress == []
            assert [message.direction for message in stranger.messages if not message.again] == ["out"]
            stranger.call_now = None  # nobody will ever answer its goodbye
        await made.legs.close()


async def test_nobody_relays_through_us(bench: Bench, carrier: Carrier) -> None:
    """Numbers of the route's prefix, and SIP URIs elsewhere, asked for by strangers, lines and the trunk itself."""
    bench.book.routes = (trunk(carrier),)
    elsewhere = f"sip:+442079460000@{THEIRS}:{carrier.sip.address.port}"
    async with Phone("stranger", server=bench.legs.address) as stranger:
        for target in ("+442079460000", "+19990000"):
            with pytest.raises(CallFailed, match="401"):
                await (await stranger.call(target)).answered()
    async with Phone("alice", server=bench.legs.address, password="secret-a") as alice:
        with pytest.raises(CallFailed, match="403"):
            await (await alice.call("+442079460000")).answered()
        with pytest.raises(CallFailed, match="404"):
            await (await alice.call("+19990000")).answered()
        forged = await alice.call(elsewhere, by_server=True)
        with pytest.raises(CallFailed, match="403"):
            await forged.answered()
    assert carrier.invited.empty()
    assert bench.said == []
