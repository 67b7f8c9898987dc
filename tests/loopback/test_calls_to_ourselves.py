"""Loopback calls over real sockets: to an application, and to a number that a document answers."""

from __future__ import annotations

import pytest

from holdfast.voice.model.commands import ReceiveCall
from holdfast.voice.model.effects import AnswerLeg, HangUpLeg
from holdfast.voice.model.facts import LegAnswered, LegEnded, LegRefused
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.sip.loopback_calls import MAX_HOPS
from holdfast.voice.runtime.sip.sip_legs import SipSettings
from tests.loopback.test_sip_legs import CALL, LegsHarness, opened

pytestmark = pytest.mark.anyio

OFFICE = "+15560100"


def came(bench: LegsHarness) -> list[ReceiveCall]:
    """The calls in so far."""
    return [message for message in bench.facts if isinstance(message, ReceiveCall)]


@pytest.mark.parametrize("to", [OFFICE, "app:APshop"])
@pytest.mark.parametrize("where", ["here", "everywhere", "behind a router"])
async def test_a_loopback_call_arrives_at_every_listening_and_advertised_address(to: str, where: str) -> None:
    settings = SipSettings(
        address=("127.0.0.1" if where == "here" else "0.0.0.0", 0),
        advertised_ip={"here": None, "everywhere": "127.0.0.1", "behind a router": "203.0.113.7"}[where],
    )
    async with opened(settings) as bench:
        bench.place(to)
        came = await bench.received()
        assert (came.from_, came.to, came.call != CALL) == ("+15550100", to.removeprefix("app:"), True)
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await bench.fact(LegAnswered)
        ports = {leg: bound.getsockname() for leg, bound in bench.rows.bound.items()}
        assert bench.rows.remotes == {CALL: ports[came.call], came.call: ports[CALL]}
        bench.legs.carry_out(HangUpLeg(call=came.call))
        assert await bench.fact(LegEnded) == LegEnded(call=CALL, cause="hangup", sip_code=200)


async def test_a_number_that_dials_itself_is_refused_in_the_end() -> None:
    async with opened(SipSettings(address=("127.0.0.1", 0))) as bench:
        parent: CallSid | None = None
        for hop in range(MAX_HOPS):
            bench.place(OFFICE, CallSid(f"CA{hop:032d}"), beside=parent)
            await bench.until(lambda known=hop: len(came(bench)) > known)  # type: ignore[misc]
            parent = came(bench)[-1].call
        bench.place(OFFICE, beside=parent)
        refused = await bench.fact(LegRefused)
        assert isinstance(refused, LegRefused)
        assert (refused.call, refused.sip_code, "dials itself" in refused.reason) == (CALL, 483, True)
        assert len(came(bench)) == MAX_HOPS
