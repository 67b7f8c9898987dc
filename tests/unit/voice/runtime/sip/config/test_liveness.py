"""When a silent leg is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.sip.config.liveness import DEFAULT_LIVENESS, Liveness
from holdfast.voice.runtime.sip.legs.leg import SipLeg
from holdfast.voice.sip.sdp.offer import Agreed


@pytest.mark.parametrize(
    ("silent_s", "agreed_s", "held", "lost"),
    [
        (59.0, 500.0, False, False),
        (60.0, 500.0, False, True),
        (60.0, 500.0, True, False),
        (3599.0, 9000.0, True, False),
        (3600.0, 9000.0, True, True),
        (3000.0, 5.0, False, False),
        (3000.0, 61.0, False, True),
    ],
)
def test_a_leg_is_lost_when_it_should_have_been_heard_for_its_whole_time(
    silent_s: float, agreed_s: float, held: bool, lost: bool
) -> None:
    assert DEFAULT_LIVENESS.is_lost(silent_s=silent_s, agreed_s=agreed_s, held=held) is lost


@pytest.mark.parametrize(("held", "lost"), [(False, False), (True, True)])
def test_a_leg_that_may_not_send_is_lost_only_if_it_holds(held: bool, lost: bool) -> None:
    """A phone that holds by `inactive` sends nothing either, and has as long; one that only listens has no end."""
    assert DEFAULT_LIVENESS.is_lost(silent_s=3600.0, agreed_s=9000.0, held=held, may_send=False) is lost


def test_only_another_direction_restarts_the_time() -> None:
    agreed = Agreed(
        remote=("127.0.0.1", 4000), codec="PCMU", dtmf_payload_type=None, send=True, receive=True, peer_holds=False
    )
    by_sendonly = replace(agreed, send=False, peer_holds=True)
    by_inactive = replace(by_sendonly, receive=False)
    leg = SipLeg(call=CallSid("CA1"), direction="in")
    steps = [
        (10.0, agreed, False, 10.0),
        (20.0, replace(agreed, codec="PCMA"), False, 10.0),
        (30.0, by_sendonly, True, 30.0),
        (40.0, by_sendonly, False, 30.0),
        (50.0, by_inactive, False, 50.0),
        (60.0, agreed, True, 60.0),
    ]
    for now, news, turned, since in steps:
        assert leg.update_hold(news, now) is turned
        assert (leg.held, leg.may_send, leg.agreed_at) == (news.peer_holds, news.receive, since)


def test_a_check_that_is_turned_off_loses_no_leg() -> None:
    off = Liveness(rtp_s=0, rtp_held_s=0)
    assert not off.is_lost(silent_s=1e9, agreed_s=1e9, held=False)
    assert not off.is_lost(silent_s=1e9, agreed_s=1e9, held=True)
