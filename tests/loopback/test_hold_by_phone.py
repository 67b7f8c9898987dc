"""Phones that hold by themselves, in every form: the response is right, and every party hears the right audio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest

from holdfast.cli.client import Client as HoldsClient
from holdfast.store.account_file import StoredAccount
from holdfast.testing.audio.ears import frames
from holdfast.testing.calls import PhoneCall
from holdfast.testing.clock import now_s
from holdfast.testing.file_server import FileServer
from holdfast.testing.hold_forms import HoldForm
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from holdfast.testing.signals import ALICE, BOB, Chord, as_samples
from holdfast.voice.media.codec.g711 import encode
from holdfast.voice.runtime.sounds.generated import music
from tests.loopback.shared_server import answers, client

pytestmark = pytest.mark.anyio

FRONT, ROOM, LINE_UP = "+15550100", "+15550101", "+15550102"
MUSIC = frozenset(frames(encode(as_samples(music()))))
BY: tuple[Literal["INVITE", "UPDATE"], ...] = ("INVITE", "UPDATE")


def twiml(inside: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{inside}</Response>'


async def hears_music(phone: Phone, *, within_s: float = 5.0) -> None:
    """Wait until the phone receives only frames of the engine's own hold music, byte for byte."""
    asked_s = now_s()
    while now_s() - asked_s < within_s:
        latest = [packet.payload for packet in phone.ear.packets(since_s=now_s() - 0.12)]
        if len(latest) >= 4 and MUSIC.issuperset(latest):
            return
        await asyncio.sleep(0.01)
    await phone.hears("the music of the engine", within_s=0.0)


@pytest.fixture(scope="module")
def files() -> Iterator[FileServer]:
    with FileServer() as files:
        yield files


@pytest.fixture(autouse=True)
async def numbers(server: Server, files: FileServer) -> AsyncIterator[None]:
    """Register the callees, and assert that no error is logged."""
    room = files.put("room.xml", twiml('<Dial><Conference beep="false" waitUrl="">room</Conference></Dial>'))
    line_up = files.put("line.xml", twiml('<Play digits="w"/><Enqueue>line</Enqueue>'))
    for number, url in {FRONT: files.url("front.xml"), ROOM: room, LINE_UP: line_up}.items():
        await answers(server, number, url)
    said = len(server.log())
    yield
    assert "ERROR" not in server.log()[said:]


async def through(call: PhoneCall, phone: Phone, peer: Phone, form: HoldForm, by: Literal["INVITE", "UPDATE"]) -> None:
    """Hold and resume once: the right response, music at the peer, nothing sent to the phone that holds."""
    assert await call.hold(form, by=by) == form.answer
    await asyncio.gather(hears_music(peer), phone.hears("no packets"))
    assert await call.unhold(by=by) == "sendrecv"
    await asyncio.gather(peer.hears(phone.name), phone.hears(peer.name))


async def test_every_form_of_hold_in_a_call_of_two(server: Server, files: FileServer) -> None:
    async with Phone("bob") as bob, Phone("alice", server=server.sip) as alice:
        files.put("front.xml", twiml(f"<Dial><Sip>{bob.uri}</Sip></Dial>"))
        call = await alice.call(FRONT)
        await call.answered()
        called = await bob.called()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        for number, form in enumerate(HoldForm):
            await through(call, alice, bob, form, BY[number % 2])
        # The callee may hold as well, and twice, and resume without an offer of its own.
        await called.hold(HoldForm.SENDONLY)
        assert await called.hold(HoldForm.INACTIVE, by="UPDATE") == "inactive"
        await hears_music(alice)
        assert await called.unhold(offer=False) == "sendrecv"
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        # Both hold: neither hears anything, and each resumes by itself.
        await call.hold()
        await called.hold()
        await asyncio.gather(alice.hears("no packets"), bob.hears("no packets"))
        await call.unhold()
        await hears_music(alice)
        await called.unhold()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))


async def test_a_phone_and_rest_hold_one_party_and_both_must_resume(server: Server) -> None:
    client = server.sdk()
    async with Phone("alice", server=server.sip) as alice, Phone("bob", server=server.sip) as bob:
        call = await alice.call(ROOM)
        await call.answered()
        await (await bob.call(ROOM)).answered()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        (conference,) = await asyncio.to_thread(client.conferences.list, status="in-progress")
        calls = await asyncio.to_thread(client.calls.list, status="in-progress")
        sid = str(next(call.sid for call in calls if "alice" in str(call._from)))
        participant = client.conferences(str(conference.sid)).participants(sid)

        await through(call, alice, bob, HoldForm.NO_ADDRESS, "UPDATE")
        # By the phone first, then by REST; REST resumes first.
        await call.hold()
        await hears_music(bob)
        await asyncio.to_thread(participant.update, hold=True)
        await asyncio.to_thread(participant.update, hold=False)
        await asyncio.gather(alice.hears("no packets"), hears_music(bob))
        await call.unhold(offer=False)
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        # By REST first, then by the phone; the phone resumes first.
        await asyncio.to_thread(participant.update, hold=True)
        await asyncio.gather(hears_music(alice), bob.hears("silence"))
        await call.hold(HoldForm.INACTIVE)
        await asyncio.gather(alice.hears("no packets"), hears_music(bob))
        await call.unhold()
        await asyncio.gather(hears_music(alice), bob.hears("silence"))
        await asyncio.to_thread(participant.update, hold=False)
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))


async def test_three_in_a_conference_go_on_when_one_phone_holds(server: Server) -> None:
    async with (
        Phone("alice", server=server.sip) as alice,
        Phone("bob", server=server.sip) as bob,
        Phone("carol", server=server.sip) as carol,
    ):
        call = await alice.call(ROOM)
        await call.answered()
        for other in (bob, carol):
            await (await other.call(ROOM)).answered()
        await alice.hears("bob", "carol")
        await call.hold(HoldForm.MEDIUM_WINS)
        await asyncio.gather(bob.hears("carol"), carol.hears("bob"), alice.hears("no packets"))
        await call.unhold()
        await asyncio.gather(alice.hears("bob", "carol"), bob.hears("alice", "carol"), carol.hears("alice", "bob"))


async def test_a_waiting_phone_that_holds_is_met_with_music(server: Server, files: FileServer) -> None:
    """A call in a queue holds while it waits, is taken while it holds, and holds again once they talk."""
    files.put("front.xml", twiml("<Dial><Queue>line</Queue></Dial>"))
    async with Phone("alice", server=server.sip) as alice, Phone("bob", server=server.sip) as bob:
        waiting = await alice.call(LINE_UP)
        await waiting.answered()
        await hears_music(alice)
        await waiting.hold(HoldForm.NO_ADDRESS_BARE, by="UPDATE")
        agent = await bob.call(FRONT)
        await agent.answered()
        await asyncio.gather(alice.hears("no packets"), hears_music(bob))
        await waiting.unhold(offer=False)
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        await through(agent, bob, alice, HoldForm.SENDONLY, "INVITE")
        await through(waiting, alice, bob, HoldForm.INACTIVE, "UPDATE")


async def test_the_holds_service_shows_a_hold_by_phone(server: Server) -> None:
    ask = HoldsClient(url=server.url, credentials=StoredAccount(sid=server.account_sid, token=server.auth_token))
    async with Phone("alice", server=server.sip) as alice, Phone("bob", server=server.sip) as bob:
        call = await alice.call(ROOM)
        await call.answered()
        await (await bob.call(ROOM)).answered()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        await call.hold(by="UPDATE")
        sids = {view["from"].partition("@")[0]: view["sid"] for view in await asked(ask, "/calls", "calls")}
        (hold,) = await listed(ask, sids["sip:alice"], 1)
        assert (hold["by"], hold["status"], hold["way"]) == ("phone", "held", "phone")
        shown = {view["from"].partition("@")[0]: view for view in await asked(ask, "/calls", "calls")}
        assert (shown["sip:alice"]["held_by_phone"], shown["sip:alice"]["by"]) == (True, "phone")
        assert (shown["sip:bob"]["held_by_phone"], shown["sip:bob"]["hears"]) == (False, "music")
        await call.unhold()
        assert await listed(ask, sids["sip:alice"], 0) == []
        (ended,) = [view for view in await asked(ask, "/holds", "holds") if view["call"] == sids["sip:alice"]]
        assert (ended["id"], ended["status"]) == (hold["id"], "resumed")


async def asked(ask: HoldsClient, path: str, name: str) -> list[Any]:
    answer: list[Any] = (await asyncio.to_thread(ask.get, path))[name]
    return answer


async def listed(ask: HoldsClient, call: str, count: int) -> list[Any]:
    """Return the active holds of a call, once there are so many. Raises: TimeoutError."""
    async with asyncio.timeout(15):
        while True:
            holds = [view for view in await asked(ask, "/holds?active=true", "holds") if view["call"] == call]
            if len(holds) == count:
                return holds
            await asyncio.sleep(0.1)


# --- a holder that goes on sending ---------------------------------------------------------------------------------

TRUNK, ABROAD = "127.0.0.9", "+442079460000"


@asynccontextmanager
async def trunk_at(server: Server, port: int, **more: str) -> AsyncIterator[None]:
    """Have a trunk at `TRUNK` while the block runs."""
    route = {"prefix": "+44", "host": TRUNK, "port": port, "sources": [f"{TRUNK}/32"], **more}
    await asyncio.to_thread(client(server).post, "/engine/routes", route)
    try:
        yield
    finally:
        await asyncio.to_thread(client(server).delete, "/engine/routes/+44")


async def goes_on_sending(call: PhoneCall, phone: Phone, peer: Phone, own: Chord) -> None:
    """Hold by `sendonly`: what the phone sends is heard, our music while it is silent, and in the end all as before."""
    assert await call.hold(HoldForm.SENDONLY) == "recvonly"
    await asyncio.gather(peer.hears(phone.name), phone.hears("no packets"))
    phone.speak(None)
    await hears_music(peer)
    phone.speak(own)
    await peer.hears(phone.name)
    assert await call.hold(HoldForm.INACTIVE) == "inactive"
    call.leave_microphone_open()
    await hears_music(peer)
    assert await call.unhold() == "sendrecv"
    await asyncio.gather(peer.hears(phone.name), phone.hears(peer.name))


async def test_a_called_trunk_that_holds_and_goes_on_sending_is_heard(server: Server, files: FileServer) -> None:
    """A PBX's own music, or "you are number three"."""
    files.put("front.xml", twiml(f"<Dial>{ABROAD}</Dial>"))
    async with (
        Phone("bob", host=TRUNK) as bob,
        Phone("alice", server=server.sip) as alice,
        trunk_at(server, bob.address.port),
    ):
        await (await alice.call(FRONT)).answered()
        await goes_on_sending(await bob.called(), bob, alice, BOB)


async def test_a_calling_trunk_that_holds_and_goes_on_sending_is_heard(server: Server, files: FileServer) -> None:
    async with (
        Phone("alice", host=TRUNK, server=server.sip) as alice,
        Phone("bob") as bob,
        trunk_at(server, alice.address.port),
    ):
        files.put("front.xml", twiml(f"<Dial><Sip>{bob.uri}</Sip></Dial>"))
        call = await alice.call(FRONT)
        await call.answered()
        await goes_on_sending(call, alice, bob, ALICE)


async def test_a_trunk_whose_route_says_always_ours_is_not_heard(server: Server, files: FileServer) -> None:
    files.put("front.xml", twiml(f"<Dial>{ABROAD}</Dial>"))
    async with (
        Phone("bob", host=TRUNK) as bob,
        Phone("alice", server=server.sip) as alice,
        trunk_at(server, bob.address.port, phone_hold_music="always ours"),
    ):
        await (await alice.call(FRONT)).answered()
        called = await bob.called()
        await alice.hears("bob")
        await called.hold(HoldForm.SENDONLY)
        await hears_music(alice)
        sent = called.line.sent
        await asyncio.sleep(0.6)
        assert called.line.sent - sent > 15, "it goes on sending"
        await hears_music(alice)
