"""Trunks over real sockets: numbers leave by them with a proof, and their calls come in without one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.cli.doctor.checks import Finding, Severity, check_trunks
from holdfast.testing.calls import CallFailed
from holdfast.testing.phone import Answers, Phone, Refuses
from holdfast.testing.server import Server
from holdfast.voice.model.effects import AnswerLeg, HangUpLeg
from holdfast.voice.model.facts import LegAnswered, LegRefused
from holdfast.voice.runtime.directory.records import RouteRecord
from holdfast.voice.runtime.sip.config.tls import TlsFiles, load_tls
from holdfast.voice.runtime.sip.sip_legs import SipSettings
from holdfast.voice.runtime.sip.transport.bound_sockets import bind_sockets
from holdfast.voice.runtime.sip.transport.endpoint import SipEndpoint
from holdfast.voice.sip.effects import Address, Event, Invited, SessionId, Transport
from holdfast.voice.sip.message.digest import Ha1
from holdfast.voice.sip.session_commands import AcceptInvite, RefuseInvite
from tests.loopback.shared_server import client
from tests.loopback.test_sip_legs import CALL, FAR_SDP, FakeDirectory, LegsHarness, opened

pytestmark = pytest.mark.anyio

LOCALHOST = Path(__file__).with_name("localhost.pem")
OURS, THEIRS = "127.0.0.1", "127.0.0.9"
REALM = "carrier.example"


class Customers:
    """A carrier's policy: who calls must be one of its customers."""

    def ha1_of(self, user: str) -> Ha1 | None:
        return Ha1.of("acme", "trunk-secret", realm=REALM) if user == "acme" else None

    def may_call_unauthenticated(self, source: Address) -> bool:
        return False

    def is_registrar(self) -> bool:
        return True

    def is_trusted_proxy(self, host: str) -> bool:
        return False


class Carrier:
    """A SIP endpoint that answers every call of a customer, or sends it on to a URI."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.sends_on: str | None = None
        self.invited: asyncio.Queue[Invited] = asyncio.Queue()
        settings = SipSettings(address=(THEIRS, 0), domain=REALM)
        self.sip = SipEndpoint(
            settings, bind_sockets(settings), owner=self, policy=Customers(), secret=b"far", tasks=tasks
        )

    def now(self) -> float:
        return time.time()

    def certificate_name(self, to: Address) -> str | None:
        return None

    def handle_event(self, event: Event) -> None:
        if isinstance(event, Invited):
            self.invited.put_nowait(event)
            if self.sends_on is None:
                self.sip.command(event.session, AcceptInvite(sdp=FAR_SDP))
            else:
                contact = (("Contact", f"<{self.sends_on}>"),)
                self.sip.command(event.session, RefuseInvite(status=302, headers=contact))

    def contacts(self) -> tuple[tuple[str, Address], ...]:
        """Where its customer is reached."""
        return self.sip.agent.contacts.of("acme", time.time())

    async def called(self) -> Invited:
        async with asyncio.timeout(5):
            return await self.invited.get()


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    async with asyncio.TaskGroup() as tasks:
        made = Carrier(tasks)
        await made.sip.open()
        yield made
        made.sip.close()


@pytest.fixture
async def bench() -> AsyncIterator[LegsHarness]:
    async with opened(SipSettings(address=(OURS, 0), trust_loopback=False, trunk_timeout_s=0.2)) as made:
        yield made


def trunk(carrier: Carrier, transport: Transport = "UDP", password: str = "trunk-secret") -> RouteRecord:
    host, port, _ = carrier.sip.address
    return RouteRecord(
        prefix="+44",
        host=host,
        port=port,
        transport=transport,
        user="acme",
        password=password,
        caller_id="+15550999",
        sources=(f"{THEIRS}/32",),
    )


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not is_so():  # noqa: ASYNC110  a registration is seen from outside
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("domain", [None, "carrier.example"])
@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_a_number_leaves_by_its_trunk(
    carrier: Carrier, bench: LegsHarness, transport: Transport, domain: str | None
) -> None:
    bench.book.routes = (replace(trunk(carrier, transport), domain=domain),)
    bench.place("+442079460000")
    await bench.fact(LegAnswered)
    invited = await carrier.called()
    assert (invited.user, invited.called, invited.caller) == ("acme", "+442079460000", "+15550999")
    assert invited.source.transport == transport
    bench.legs.carry_out(HangUpLeg(call=CALL))


@pytest.mark.parametrize("written", ["415-555-1212", "(415) 555-1212", "4155551212"])
async def test_a_number_without_a_plus_leaves_by_the_trunk_of_the_default_country(
    carrier: Carrier, bench: LegsHarness, written: str
) -> None:
    unused = replace(trunk(carrier), prefix="+41", port=1)
    bench.book.routes = (unused, replace(trunk(carrier), prefix="+1"))
    bench.place(written)
    await bench.fact(LegAnswered)
    assert (await carrier.called()).called == "+14155551212"
    bench.legs.carry_out(HangUpLeg(call=CALL))


async def test_a_number_that_cannot_be_one_is_refused_and_not_guessed(carrier: Carrier, bench: LegsHarness) -> None:
    bench.book.routes = (replace(trunk(carrier), prefix="+"),)
    bench.place("+4155551212")
    refused = await bench.fact(LegRefused)
    assert isinstance(refused, LegRefused)
    assert (refused.sip_code, refused.code) == (404, 13223)


async def test_a_trunk_whose_certificate_has_a_name_is_believed_by_that_name() -> None:
    files = TlsFiles(certificate=LOCALHOST, authorities=LOCALHOST)
    async with (
        opened(SipSettings(address=(OURS, 0), tls=load_tls(files), tls_port=0)) as made,
        Phone("trunk", transport="TLS", certificate=LOCALHOST, host="127.0.0.2") as far,
    ):
        where = RouteRecord(
            prefix="+44", host="127.0.0.2", port=far.address.port, transport="TLS", tls_name="localhost"
        )
        made.book.routes = (where,)
        made.place("+442079460000")
        await made.fact(LegAnswered)
        await (await far.called()).hang_up()


async def test_a_trunk_that_does_not_know_us_refuses(carrier: Carrier, bench: LegsHarness) -> None:
    bench.book.routes = (trunk(carrier, password="wrong"),)
    bench.place("+442079460000")
    refused = await bench.fact(LegRefused)
    assert isinstance(refused, LegRefused)
    assert refused.sip_code == 401


async def test_no_route_no_call(carrier: Carrier, bench: LegsHarness) -> None:
    bench.book.routes = (trunk(carrier),)
    bench.place("+33170000000")
    refused = await bench.fact(LegRefused)
    assert isinstance(refused, LegRefused)
    assert (refused.sip_code, refused.code) == (404, 13224)
    assert carrier.invited.empty()


async def test_only_a_trunks_own_addresses_may_call_without_a_password(carrier: Carrier, bench: LegsHarness) -> None:
    bench.book.routes = (trunk(carrier),)
    async with Phone("carrier", server=bench.legs.address, host=THEIRS) as inside:
        call = await inside.call("+15550123")
        came = await bench.received()
        assert dict(came.extra_params)["SipSourceIp"] == THEIRS
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await call.answered()
        await call.hang_up()
    async with Phone("stranger", server=bench.legs.address, host="127.0.0.8") as outside:
        with pytest.raises(CallFailed, match="401"):
            await (await outside.call("+15550123")).answered()


async def test_a_trunk_cannot_register(carrier: Carrier, bench: LegsHarness) -> None:
    bench.book.routes = (trunk(carrier),)
    async with Phone("bob", server=bench.legs.address, host=THEIRS, password="guess") as inside:
        with pytest.raises(CallFailed, match="401"):
            await inside.register()


async def test_a_quiet_server_answers_lines_alone() -> None:
    async with (
        opened(SipSettings(address=(OURS, 0), quiet=True)) as made,
        Phone("stranger", server=made.legs.address, host="127.0.0.8") as stranger,
    ):
        unheard = await stranger.call("+15550123")
        async with Phone("bob", server=made.legs.address, password="secret-b") as bob:
            await bob.register()
            call = await bob.call("+15550123")
            await made.received()
            await call.hang_up()
        assert unheard.progress == []
        assert [message.direction for message in stranger.messages if not message.repeated] == ["out"]
        stranger.call_now = None  # nobody will ever answer its goodbye


async def test_an_unknown_peer_cannot_relay_calls(carrier: Carrier, bench: LegsHarness) -> None:
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
    assert bench.facts == []


# --- registered with a trunk


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_we_register_with_a_trunk_and_its_calls_come_in(
    carrier: Carrier, bench: LegsHarness, transport: Transport
) -> None:
    wanted = replace(trunk(carrier, transport), register=True, sources=(), domain="carrier.example")
    bench.book.routes = (wanted,)
    bench.legs.follow_trunks()
    await until(lambda: bool(carrier.contacts()))
    ((uri, to),) = carrier.contacts()
    assert uri.startswith(f"sip:acme@{OURS}:")
    await until(lambda: bench.trunk_state(wanted) == "registered")
    session, now = SessionId("in"), time.time()
    carrier.sip.carry_out(
        carrier.sip.agent.invite(session, uri, now=now, sdp=FAR_SDP, next_hop=to, caller="+442079460000")
    )
    came = await bench.received()
    assert (came.from_, dict(came.extra_params)["SipSourceIp"]) == ("+442079460000", THEIRS)
    bench.place("+442079460001")
    assert (await carrier.called()).caller_host == "carrier.example"
    bench.book.routes = ()
    bench.legs.follow_trunks()
    await until(lambda: not carrier.contacts())
    assert bench.trunk_state(wanted) is None


async def test_the_engine_unregisters_from_the_trunk_when_it_stops(carrier: Carrier) -> None:
    book = FakeDirectory()
    book.routes = (replace(trunk(carrier), register=True),)
    async with opened(SipSettings(address=(OURS, 0)), book):
        await until(lambda: bool(carrier.contacts()))
    assert carrier.contacts() == ()


async def test_a_trunk_that_refuses_to_register_us_is_asked_again_later(carrier: Carrier, bench: LegsHarness) -> None:
    wanted = replace(trunk(carrier, password="wrong"), register=True)
    bench.book.routes = (wanted,)
    bench.legs.follow_trunks()
    await until(lambda: bench.trunk_state(wanted) == "failed")
    trunk_state = bench.legs.trunk_status(wanted)
    assert trunk_state is not None
    assert trunk_state.status == 401
    assert trunk_state.again_at is not None
    assert 14 < trunk_state.again_at - time.time() <= 30
    assert carrier.contacts() == ()


async def test_a_server_registers_with_a_trunk_that_is_added_and_shows_it(server: Server, carrier: Carrier) -> None:
    """Added while it runs: registered, in its list of routes, for the doctor and in its figures; and taken back."""
    ask, (host, port, _) = client(server), carrier.sip.address
    there = {"host": host, "port": port, "user": "acme", "password": "trunk-secret", "register": True}
    await asyncio.to_thread(ask.post, "/engine/routes", {**there, "prefix": "+99"})
    try:
        await until(lambda: bool(carrier.contacts()))
        shown: list[Finding] = []
        async with asyncio.timeout(5):
            while not any(finding.severity is Severity.OK for finding in shown):
                shown = list(check_trunks((await asyncio.to_thread(ask.get, "/engine/routes"))["routes"]))
        assert [finding.message for finding in shown] == [f"registered with trunk acme@{host}:{port}"]
        figures = await asyncio.to_thread(ask.text, "/metrics")
        assert f'holdfast_trunk_registered{{trunk="acme@{host}:{port}"}} 1.0' in figures
    finally:
        await asyncio.to_thread(ask.delete, "/engine/routes/+99")
    await until(lambda: not carrier.contacts())


async def test_a_trunk_that_asks_for_it_receives_an_asserted_identity(carrier: Carrier, bench: LegsHarness) -> None:
    bench.book.routes = (replace(trunk(carrier), identity="caller", domain="carrier.example"),)
    bench.place("+442079460000")
    await bench.fact(LegAnswered)
    invited = await carrier.called()
    assert invited.caller == "+15550999", "From shows what the trunk wants there"
    assert dict(invited.headers)["P-Asserted-Identity"] == "<sip:+15550100@carrier.example>"
    bench.legs.carry_out(HangUpLeg(call=CALL))


# --- a trunk that sends calls on


async def test_a_trunk_sends_a_call_on_to_another_of_its_addresses(carrier: Carrier, bench: LegsHarness) -> None:
    async with Phone("switch", host="127.0.0.3") as switch:
        bench.book.routes = (replace(trunk(carrier), sources=(f"{THEIRS}/32", "127.0.0.3")),)
        carrier.sends_on = f"sip:+442079460000@127.0.0.3:{switch.address.port}"
        bench.place("+442079460000")
        await bench.fact(LegAnswered)
        assert [call.peer for call in switch.calls] == ["+15550999"]
        bench.legs.carry_out(HangUpLeg(call=CALL))


@pytest.mark.parametrize("number", ["+442079460000", "+449001234567"])
async def test_a_redirection_of_a_trunk_to_a_foreign_address_is_not_followed(
    carrier: Carrier, bench: LegsHarness, number: str
) -> None:
    """A stranger's address, and a number that nobody dialled: toll fraud by forwarding."""
    async with Phone("stranger", host="127.0.0.3") as stranger:
        sources = (f"{THEIRS}/32",) if number == "+442079460000" else ("127.0.0.0/8",)
        bench.book.routes = (replace(trunk(carrier), sources=sources),)
        carrier.sends_on = f"sip:{number}@127.0.0.3:{stranger.address.port}"
        bench.place("+442079460000")
        refused = await bench.fact(LegRefused)
        assert isinstance(refused, LegRefused)
        assert refused.sip_code == 302
        assert "only a trunk may redirect a call" in refused.reason
        assert stranger.calls == []


# --- a second trunk for the same numbers


def before(carrier: Carrier, first: Address) -> RouteRecord:
    """The carrier, and another trunk that is tried before it."""
    second = trunk(carrier)
    return RouteRecord(prefix="+44", host=first.host, port=first.port, transport=first.transport, backup=second)


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
async def test_another_trunk_is_tried_when_the_first_does_not_answer(
    carrier: Carrier, bench: LegsHarness, transport: Transport
) -> None:
    async with Phone("gone", host="127.0.0.2") as gone:
        nobody = gone.address._replace(transport=transport)
    bench.book.routes = (before(carrier, nobody),)
    bench.place("+442079460000")
    await bench.fact(LegAnswered)
    assert (await carrier.called()).called == "+442079460000"
    bench.legs.carry_out(HangUpLeg(call=CALL))


async def test_another_trunk_is_tried_when_the_first_has_no_service(carrier: Carrier, bench: LegsHarness) -> None:
    async with Phone("first", manner=Refuses(status=503), host="127.0.0.2") as first:
        bench.book.routes = (before(carrier, first.address),)
        bench.place("+442079460000")
        await bench.fact(LegAnswered)
        assert (await carrier.called()).user == "acme"
        bench.legs.carry_out(HangUpLeg(call=CALL))


@pytest.mark.parametrize("status", [486, 404, 603, 500])
async def test_a_refusal_of_the_callee_is_not_tried_again_by_another_trunk(
    carrier: Carrier, bench: LegsHarness, status: int
) -> None:
    async with Phone("first", manner=Refuses(status=status), host="127.0.0.2") as first:
        bench.book.routes = (before(carrier, first.address),)
        bench.place("+442079460000")
        refused = await bench.fact(LegRefused)
        assert isinstance(refused, LegRefused)
        assert refused.sip_code == status
    assert carrier.invited.empty()


async def test_a_trunk_that_rings_is_not_given_up_however_long_it_takes(carrier: Carrier, bench: LegsHarness) -> None:
    async with Phone("first", manner=Answers(after_s=0.6), host="127.0.0.2") as first:
        bench.book.routes = (before(carrier, first.address),)
        bench.place("+442079460000")
        await bench.fact(LegAnswered)
        assert carrier.invited.empty()
        bench.legs.carry_out(HangUpLeg(call=CALL))


async def test_when_both_fail_the_call_is_refused_as_the_second_says(bench: LegsHarness) -> None:
    async with (
        Phone("first", manner=Refuses(status=503), host="127.0.0.2") as first,
        Phone("second", manner=Refuses(status=480), host="127.0.0.3") as second,
    ):
        there = RouteRecord(prefix="+44", host="127.0.0.3", port=second.address.port)
        bench.book.routes = (replace(there, host="127.0.0.2", port=first.address.port, backup=there),)
        bench.place("+442079460000")
        refused = await bench.fact(LegRefused)
        assert isinstance(refused, LegRefused)
        assert refused.sip_code == 480
        assert [len(phone.calls) for phone in (first, second)] == [1, 1]
