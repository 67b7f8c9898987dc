"""Session descriptions as phones in the field write them, in calls in both directions and in holds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from holdfast.voice.model.effects import AnswerLeg, HangUpLeg
from holdfast.voice.model.facts import DigitPressed, LegAnswered, PhoneHeld, PhoneResumed
from holdfast.voice.model.payload_types import PayloadTypes
from holdfast.voice.runtime.sip.sip_legs import SipSettings
from holdfast.voice.sip.effects import Accepted, Confirmed, Ended, Invited, ReofferAnswered, ReofferRefused
from holdfast.voice.sip.session_commands import AcceptInvite, AcknowledgeOffer, SendDigit, SendReoffer
from tests.loopback.test_sip_legs import CALL, FAR_SDP, LegsHarness, RemotePeer, opened

pytestmark = pytest.mark.anyio

ODD_LINES = (
    *(b"m=video 0 RTP/AVP\r\n", b"m=audio 0 RTP/AVP\r\n", b"m=image 0 udptl\r\n", b"m=video 70000 RTP/AVP 96\r\n"),
    *(b"m=video $ RTP/AVP 96\r\n", b"m=video 5000 RTP/AVP" + b" 96" * 65 + b"\r\n", b"m=video 0 RTP/AVP 96\r\n" * 17),
    b"a=tool:\x00\x01\r\n",
)


@pytest.fixture
async def bench() -> AsyncIterator[LegsHarness]:
    async with opened(SipSettings(address=("127.0.0.1", 0), trust_loopback=True)) as made:
        yield made


@pytest.mark.parametrize("odd", ODD_LINES)
async def test_a_caller_with_an_odd_media_line_is_answered_and_may_hold(bench: LegsHarness, odd: bytes) -> None:
    described = FAR_SDP + odd
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, described)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        answer = (await far.event(Accepted)).sdp or b""
        assert answer.count(b"m=") == described.count(b"m=")
        assert all(line.count(b" ") >= 3 for line in answer.split(b"\r\n") if line.startswith(b"m="))
        far.sip.command(session, SendReoffer(sdp=FAR_SDP + b"a=sendonly\r\n" + odd))
        assert await bench.fact(PhoneHeld) == PhoneHeld(call=came.call)
        assert b"a=recvonly" in ((await far.event(ReofferAnswered)).sdp or b"")


@pytest.mark.parametrize("odd", ODD_LINES)
async def test_a_callee_that_answers_with_an_odd_media_line_is_talked_to(bench: LegsHarness, odd: bytes) -> None:
    async with RemotePeer() as far:
        bench.place(f"sip:far@{far.sip.address[0]}:{far.sip.address[1]}")
        invited = await far.event(Invited)
        far.sip.command(invited.session, AcceptInvite(sdp=FAR_SDP + odd))
        assert await bench.fact(LegAnswered) == LegAnswered(call=CALL)
        await far.event(Confirmed)
        bench.legs.carry_out(HangUpLeg(call=CALL))
        await far.event(Ended)


async def test_an_offer_beyond_the_bounds_is_refused_and_the_call_goes_on(bench: LegsHarness) -> None:
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, FAR_SDP)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        far.sip.command(session, SendReoffer(sdp=FAR_SDP + b"m=video 0 RTP/AVP 96\r\n" * 64))
        assert (await far.event(ReofferRefused)).status == 488
        far.sip.command(session, SendDigit(digit="5"))
        assert await bench.fact(DigitPressed) == DigitPressed(call=came.call, digit="5")
        assert not any(isinstance(fact, PhoneHeld | PhoneResumed) for fact in bench.facts)


EVENTS_AS_110 = FAR_SDP.replace(b"AVP 8 96", b"AVP 0 110").replace(b"rtpmap:96", b"rtpmap:110")
RECEIVED_AS_101 = PayloadTypes(receive=((101, "telephone-event"),))


async def test_a_callees_digits_go_by_the_number_of_each_description(bench: LegsHarness) -> None:
    """Source: RFC 3264 §5.1, §6.1."""
    async with RemotePeer() as far:
        bench.place(f"sip:far@{far.sip.address[0]}:{far.sip.address[1]}")
        invited = await far.event(Invited)
        assert b"a=rtpmap:101 telephone-event/8000" in (invited.sdp or b"")
        far.sip.command(invited.session, AcceptInvite(sdp=EVENTS_AS_110))
        await bench.fact(LegAnswered)
        assert (bench.rows.where[-1][1], bench.rows.payload_types[-1]) == (110, RECEIVED_AS_101)
        await far.event(Confirmed)


async def test_digits_after_late_offers_go_by_the_number_of_each_description(bench: LegsHarness) -> None:
    async with RemotePeer() as far:
        session = far.call(bench.legs.address, None)
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await far.event(Accepted)
        far.sip.command(session, AcknowledgeOffer(sdp=EVENTS_AS_110))
        far.sip.command(session, SendDigit(digit="5"))
        await bench.fact(DigitPressed)  # so the ACK has arrived as well
        assert (bench.rows.where[-1][1], bench.rows.payload_types[-1]) == (110, RECEIVED_AS_101)
        far.sip.command(session, SendReoffer(sdp=None))
        late = (await far.event(ReofferAnswered)).sdp or b""
        assert b"a=rtpmap:101 telephone-event/8000" in late
        far.sip.command(session, AcknowledgeOffer(sdp=EVENTS_AS_110 + b"a=sendonly\r\n"))
        await bench.fact(PhoneHeld)
        assert (bench.rows.where[-1][1], bench.rows.payload_types[-1]) == (110, RECEIVED_AS_101)
