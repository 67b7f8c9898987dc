"""Whom a leg listens to, and where its packets go."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.latch import INSISTING_PACKETS, STRANGER_PACKETS, Latch, describe, hear, reopen

SDP, ROUTER, STRANGER = ("10.0.0.5", 4000), ("192.0.2.1", 61000), ("203.0.113.9", 5)


def heard(latch: Latch, *sources: tuple[str, int]) -> Latch:
    for source in sources:
        latch = hear(latch, source)
    return latch


def test_the_address_of_the_sdp_is_believed_at_once() -> None:
    assert heard(Latch(named=SDP), SDP).settled == SDP


def test_a_phone_behind_a_router_is_believed_when_it_insists() -> None:
    latch = Latch(named=SDP)
    assert heard(latch, *[ROUTER] * (STRANGER_PACKETS - 1)).settled is None
    assert heard(latch, *[ROUTER] * STRANGER_PACKETS).settled == ROUTER


def test_two_strangers_in_turn_are_not_believed() -> None:
    assert heard(Latch(named=SDP), *[ROUTER, STRANGER] * 10).settled is None


def test_without_an_address_in_the_sdp_the_first_is_believed() -> None:
    assert heard(Latch(), ROUTER).settled == ROUTER


def test_what_is_settled_stays() -> None:
    assert heard(Latch(named=SDP), SDP, *[STRANGER] * 10).settled == SDP


def test_port_0_can_not_be_answered() -> None:
    assert heard(Latch(), ("192.0.2.1", 0)).settled is None


def test_sound_goes_to_the_sdp_then_to_the_source_and_on_to_it_while_it_is_silent() -> None:
    latch = Latch(named=SDP)
    assert latch.sends_to == SDP
    latch = heard(latch, *[ROUTER] * STRANGER_PACKETS)
    assert latch.sends_to == ROUTER
    latch = reopen(latch)
    assert (latch.settled, latch.sends_to) == (None, ROUTER)
    assert heard(latch, ROUTER).settled == ROUTER
    assert heard(latch, SDP).settled == SDP
    assert reopen(reopen(latch)).sends_to == ROUTER


def test_a_party_back_from_a_hold_without_an_address_is_where_it_was_and_heard_as_soon() -> None:
    latch = heard(Latch(named=SDP), *[ROUTER] * STRANGER_PACKETS)
    held = heard(describe(latch, named=None, may_speak_again=False), ROUTER)
    assert held.sends_to == ROUTER
    back = describe(held, named=SDP, may_speak_again=True)
    assert heard(back, *[ROUTER] * STRANGER_PACKETS).settled == ROUTER


def test_a_muted_party_is_no_other_hosts_but_its_router_may_give_it_another_port() -> None:
    latch = reopen(heard(Latch(named=SDP), *[ROUTER] * STRANGER_PACKETS))
    assert heard(latch, *[STRANGER] * 10_000) == latch
    other = (ROUTER[0], 62000)
    assert heard(latch, other, STRANGER, other, STRANGER, other).settled == other
    assert heard(latch, STRANGER, ROUTER).settled == ROUTER


def test_a_lost_party_may_come_back_from_anywhere_when_it_insists() -> None:
    latch = reopen(heard(Latch(named=SDP), SDP), lost=True)
    assert heard(latch, *[STRANGER] * (INSISTING_PACKETS - 1)).settled is None
    assert heard(latch, *[STRANGER] * INSISTING_PACKETS).settled == STRANGER


def test_who_has_the_key_may_come_from_anywhere() -> None:
    latch = reopen(heard(Latch(named=SDP), SDP))
    for _ in range(STRANGER_PACKETS):
        latch = hear(latch, STRANGER, proven=True)
    assert latch.settled == STRANGER


def test_what_the_old_address_still_sends_carries_no_leg_back_and_holds_up_no_router() -> None:
    moved = describe(heard(Latch(named=SDP), *[ROUTER] * STRANGER_PACKETS), named=STRANGER, may_speak_again=False)
    elsewhere = ("192.0.2.200", 9000)
    under_way = heard(moved, *[ROUTER] * (INSISTING_PACKETS - 1))
    assert (under_way.settled, under_way.sends_to) == (None, STRANGER)
    assert heard(under_way, STRANGER).settled == STRANGER
    assert heard(moved, elsewhere, ROUTER, elsewhere, ROUTER, elsewhere).settled == elsewhere
    assert heard(under_way, ROUTER).settled == ROUTER, "it never moved, whatever it said"


def test_a_phone_that_was_held_by_the_address_0_0_0_0_is_where_it_was() -> None:
    latch = heard(Latch(named=SDP), *[ROUTER] * STRANGER_PACKETS)
    held = describe(latch, named=None, may_speak_again=False)
    assert heard(held, ROUTER).settled == ROUTER
    back = describe(held, named=SDP, may_speak_again=True)
    assert heard(back, *[ROUTER] * STRANGER_PACKETS).settled == ROUTER


def test_another_address_forgets_the_old_one() -> None:
    latch = describe(heard(Latch(named=SDP), SDP), named=ROUTER, may_speak_again=False)
    assert (latch.settled, latch.sends_to) == (None, ROUTER)
    assert heard(latch, SDP).settled is None


def test_the_same_address_again_changes_nothing_unless_the_party_was_not_to_speak() -> None:
    settled = heard(Latch(named=SDP), *[ROUTER] * STRANGER_PACKETS)
    assert describe(settled, named=SDP, may_speak_again=False) == settled
    assert describe(settled, named=SDP, may_speak_again=True).settled is None


@given(st.lists(st.sampled_from([SDP, ROUTER, STRANGER]), max_size=20))
def test_only_a_source_that_spoke_is_settled_on(sources: list[tuple[str, int]]) -> None:
    latch = Latch(named=SDP)
    for k, source in enumerate(sources):
        latch = hear(latch, source)
        if latch.settled is not None:
            assert latch.settled in sources[: k + 1]
            assert SDP in sources[: k + 1] or sources[: k + 1].count(latch.settled) >= STRANGER_PACKETS
