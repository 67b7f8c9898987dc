"""Audio before the answer: what a called phone sends while it rings is heard by its caller, or by its conference."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from holdfast.testing.calls import CallState, PhoneCall
from holdfast.testing.file_server import FileServer
from holdfast.testing.hold_forms import HoldForm
from holdfast.testing.phone import Phone, Rings
from holdfast.testing.server import Server
from tests.loopback.shared_server import answers
from tests.loopback.test_hold_by_phone import hears_music
from tests.loopback.test_serve import until

pytestmark = pytest.mark.anyio
ROOM = "+15550102"
NUMBERS = {"+15550100": "front.xml", "+15550101": "patient.xml", ROOM: "room.xml"}


@pytest.fixture(scope="module")
def files() -> Iterator[FileServer]:
    with FileServer() as served:
        served.put("over.xml", '<Response><Pause length="60"/></Response>')
        yield served


INVITED = b"CSeq: 1 INVITE\r\n"


@pytest.fixture(autouse=True)
async def numbers(server: Server, files: FileServer) -> None:
    for number, page in NUMBERS.items():
        await answers(server, number, files.url(page))


async def test_a_caller_hears_the_phone_that_rings_and_then_talks_to_it(server: Server, files: FileServer) -> None:
    async with Phone("alice", server=server.sip) as alice, Phone("bob", manner=Rings()) as bob:
        files.put("front.xml", f'<Response><Dial action="/over.xml"><Sip>{bob.uri}</Sip></Dial></Response>')
        call = await alice.call("+15550100")
        await call.answered()
        called = await bob.called()
        await alice.hears("ringback")
        called.ring_aloud()
        await alice.hears("bob")
        called.answer()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        await called.hang_up()
        await alice.hears("silence")


@pytest.mark.parametrize("acknowledges", [False, True])
async def test_a_caller_that_is_not_answered_hears_the_phone_that_rings(
    server: Server, files: FileServer, acknowledges: bool
) -> None:
    """`answerOnBridge`: 183 with a description, once plainly and once acknowledged by PRACK; 200 only at the bridge."""
    async with Phone("alice", server=server.sip) as alice, Phone("bob", manner=Rings()) as bob:
        inside = f'<Dial action="/over.xml" answerOnBridge="true"><Sip>{bob.uri}</Sip></Dial>'
        files.put("patient.xml", f"<Response>{inside}</Response>")
        call = await alice.call("+15550101", acknowledges=acknowledges)
        called = await bob.called()
        await alice.hears("ringback")
        # The sound does not wait for the 183, which waits for the PRACK of the 180.
        await until(lambda: call.progress == [180, 183])
        assert call.state.value == "ringing"
        called.ring_aloud()
        await alice.hears("bob")
        await bob.hears("silence")
        assert call.state.value == "ringing"
        called.answer()
        await call.answered()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        said = [message.start_line.split(" ")[0] for message in alice.messages if message.direction == "out"]
        assert said.count("PRACK") == (2 if acknowledges else 0)
        (ok,) = {
            each.data for each in alice.messages if each.start_line.startswith("SIP/2.0 200") and INVITED in each.data
        }
        assert (b"m=audio" in ok) is not acknowledges, "what was described and acknowledged is not described again"
        await call.hang_up()
        await called.over()


async def test_a_caller_that_cancels_during_early_media_is_not_heard_any_more(
    server: Server, files: FileServer
) -> None:
    async with Phone("alice", server=server.sip) as alice, Phone("bob", manner=Rings()) as bob:
        files.put("patient.xml", f'<Response><Dial answerOnBridge="true"><Sip>{bob.uri}</Sip></Dial></Response>')
        call = await alice.call("+15550101")
        called = await bob.called()
        await alice.hears("ringback")
        await call.hang_up()
        assert await call.over() == 487
        await called.over()
        await alice.hears("no packets")


async def test_descriptions_change_before_the_answer_by_update(server: Server, files: FileServer) -> None:
    """The phone that is called stops its sound and takes it up again, then the caller does: all before the 200."""
    async with Phone("alice", server=server.sip) as alice, Phone("bob", manner=Rings()) as bob:
        files.put("patient.xml", f'<Response><Dial answerOnBridge="true"><Sip>{bob.uri}</Sip></Dial></Response>')
        call = await alice.call("+15550101", acknowledges=True)
        called = await bob.called()
        called.ring_aloud(acknowledged=True)
        await alice.hears("bob")
        assert await called.hold(HoldForm.INACTIVE, by="UPDATE") == "inactive"
        await alice.hears("silence")
        assert await called.unhold(by="UPDATE") == "sendrecv"
        await alice.hears("bob")
        assert await call.hold(HoldForm.INACTIVE, by="UPDATE") == "inactive"
        await alice.hears("no packets")
        assert await call.unhold(by="UPDATE") == "sendrecv"
        await alice.hears("bob")
        assert (call.state, called.state) == (CallState.RINGING, CallState.RINGING)
        called.answer()
        await call.answered()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        await call.hang_up()
        await called.over()


# --- conferences ------------------------------------------------------------------------------------------------


def participants(server: Server) -> Any:
    """Return the participants of the conference that phones enter by calling `ROOM`."""
    return server.sdk().conferences("early").participants


async def call_in(server: Server, phone: Phone, **more: object) -> PhoneCall:
    """Call a phone into the conference; return the call that rings there."""
    await asyncio.to_thread(lambda: participants(server).create(from_=ROOM, to=phone.uri, beep="false", **more))
    return await phone.called()


def enters(files: FileServer, attributes: str) -> None:
    """Let callers of `ROOM` enter the conference."""
    noun = f'<Conference beep="false" {attributes}>early</Conference>'
    files.put("room.xml", f"<Response><Dial>{noun}</Dial></Response>")


async def test_a_conference_hears_a_party_that_is_called_in_before_it_answers(
    server: Server, files: FileServer
) -> None:
    enters(files, "")
    async with (
        Phone("alice", server=server.sip) as alice,
        Phone("carol", server=server.sip) as carol,
        Phone("bob", manner=Rings()) as bob,
    ):
        calls = [await phone.call(ROOM) for phone in (alice, carol)]
        await asyncio.gather(*(call.answered() for call in calls))
        await asyncio.gather(alice.hears("carol"), carol.hears("alice"))
        called = await call_in(server, bob)
        await asyncio.gather(alice.hears("carol", "ringback"), carol.hears("alice", "ringback"))
        called.ring_aloud()
        await asyncio.gather(alice.hears("bob", "carol"), carol.hears("alice", "bob"), bob.hears("silence"))
        client = server.sdk()
        (conference,) = await asyncio.to_thread(client.conferences.list, status="in-progress")
        live = await asyncio.to_thread(client.calls.list, status="in-progress")
        sid = str(next(each.sid for each in live if "carol" in str(each._from)))
        held = client.conferences(str(conference.sid)).participants(sid)
        await asyncio.to_thread(lambda: held.update(hold=True))
        await asyncio.gather(alice.hears("bob"), hears_music(carol), bob.hears("silence"))
        await asyncio.to_thread(lambda: held.update(hold=False))
        await asyncio.gather(alice.hears("bob", "carol"), carol.hears("alice", "bob"))
        called.answer()
        await bob.hears("alice", "carol")
        await asyncio.gather(alice.hears("bob", "carol"), carol.hears("alice", "bob"))
        await asyncio.gather(*(call.hang_up() for call in (*calls, called)))


@pytest.mark.parametrize("wait", ["", 'waitUrl=""'])
async def test_a_participant_that_waits_alone_hears_the_phone_that_rings(
    server: Server, files: FileServer, wait: str
) -> None:
    enters(files, wait)
    async with Phone("alice", server=server.sip) as alice, Phone("bob", manner=Rings()) as bob:
        call = await alice.call(ROOM)
        await call.answered()

        async def hears_wait(phone: Phone) -> None:
            await (phone.hears("silence") if wait else hears_music(phone))

        await hears_wait(alice)
        silent = await call_in(server, bob, early_media=False)
        silent.ring_aloud()
        await hears_wait(alice)
        silent.refuse(486)
        called = await call_in(server, bob)
        await alice.hears("ringback")
        called.ring_aloud()
        await asyncio.gather(alice.hears("bob"), bob.hears("silence"))
        called.refuse(486)
        await hears_wait(alice)
        await call.hang_up()


async def test_a_party_that_is_called_in_sees_the_caller_id_and_the_name_that_were_asked(
    server: Server, files: FileServer
) -> None:
    async with Phone("bob", manner=Rings()) as bob:
        called = await call_in(server, bob, caller_id="reception", caller_display_name='The "front" desk')
        (invite,) = {each.data for each in bob.messages if each.start_line.startswith("INVITE")}
        (line,) = [each for each in invite.decode().split("\r\n") if each.startswith("From:")]
        assert line.startswith('From: "The front desk" <sip:reception@')
        called.refuse(486)
