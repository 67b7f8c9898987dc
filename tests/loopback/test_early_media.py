"""Sound before the answer: what a called phone sends while it rings is heard by the caller, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from holdfast.testing.calls import CallState
from holdfast.testing.file_server import FileServer
from holdfast.testing.hold_forms import HoldForm
from holdfast.testing.phone import Phone, Rings
from holdfast.testing.server import Server
from tests.loopback.shared_server import answers
from tests.loopback.test_serve import until

pytestmark = pytest.mark.anyio
NUMBERS = {"+15550100": "front.xml", "+15550101": "patient.xml"}


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
