"""Whom a leg listens to, and where its packets go."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.rtp.latch import (
    AGREEING_PACKETS,
    INSISTING_PACKETS,
    MOST_AHEAD,
    Heard,
    Latch,
    Run,
    describe,
    hear,
    reopen,
)

SDP, ROUTER, STRANGER = ("10.0.0.5", 4000), ("192.0.2.1", 61000), ("203.0.113.9", 5)
SIGNALLING = ROUTER[0]
LATCH = Latch(named=SDP, host=SIGNALLING)
NUMBERS: Iterator[int] = count()
"""Sequence numbers that rise, whoever sends: packets of one source agree."""


def packet(source: tuple[str, int], *, ssrc: int | None = None, sequence: int | None = None) -> Heard:
    number = next(NUMBERS) if sequence is None else sequence
    return Heard(source=source, ssrc=source[1] if ssrc is None else ssrc, sequence=number & 0xFFFF)


def heard(latch: Latch, *sources: tuple[str, int], proven: bool = False) -> Latch:
    for source in sources:
        latch = hear(latch, packet(source), proven=proven)
    return latch


def test_the_address_of_the_sdp_is_believed_at_once_and_for_good_when_its_packets_agree() -> None:
    once = heard(LATCH, SDP)
    assert (once.settled, once.final, once.listening.only) == (SDP, False, None)
    latch = heard(LATCH, *[SDP] * AGREEING_PACKETS)
    assert (latch.settled, latch.final, latch.listening.only, latch.listening.watched) == (SDP, True, SDP, None)


def test_a_stray_packet_from_the_address_of_the_sdp_holds_no_router_up_for_ever() -> None:
    assert heard(LATCH, SDP, *[ROUTER] * (INSISTING_PACKETS - 1)).settled == SDP
    assert heard(LATCH, SDP, *[ROUTER] * INSISTING_PACKETS).settled == ROUTER


def test_a_phone_behind_a_router_that_translates_sip_too_is_believed_when_its_packets_agree() -> None:
    assert heard(LATCH, *[ROUTER] * (AGREEING_PACKETS - 1)).settled is None
    assert heard(LATCH, *[ROUTER] * AGREEING_PACKETS).settled == ROUTER


@pytest.mark.parametrize(
    "packets",
    [
        [packet(ROUTER, ssrc=k, sequence=k) for k in range(1000)],
        [packet(ROUTER, sequence=k * 7001) for k in range(1000)],
        [packet(ROUTER, sequence=7)] * 1000,
    ],
    ids=["another SSRC in each", "numbers at random", "one packet again and again"],
)
def test_packets_that_do_not_agree_are_no_choice(packets: list[Heard]) -> None:
    latch = LATCH
    for each in packets:
        latch = hear(latch, each)
    assert latch.settled is None


def test_numbers_agree_over_their_end_and_through_loss_and_reordering() -> None:
    run = Run(newest=packet(ROUTER, sequence=65534))
    for sequence in (65535, 1, 0, 1 + MOST_AHEAD):
        run = run.and_then(packet(ROUTER, sequence=sequence))
    assert run.seen == 4
    assert run.and_then(packet(ROUTER, sequence=2 * MOST_AHEAD + 2)).seen == 1


def test_a_third_address_is_never_believed() -> None:
    for latch in (LATCH, Latch(named=SDP), Latch(host=SIGNALLING), reopen(heard(LATCH, SDP), lost=True)):
        assert heard(latch, *[STRANGER] * 10_000) == latch
        assert heard(latch, *[STRANGER] * 1000, proven=True) == latch, "a key says who made it, not who sent it"


def test_another_port_of_the_host_in_the_sdp_is_a_third_address_unless_signalling_comes_from_there() -> None:
    other = (SDP[0], 4002)
    assert heard(LATCH, *[other] * 1000).settled is None
    assert heard(replace(LATCH, host=SDP[0]), *[other] * AGREEING_PACKETS).settled == other


def test_who_is_named_alone_is_believed_alone_where_that_is_set() -> None:
    latch = Latch(named=SDP, host=SIGNALLING, rule="named")
    assert heard(latch, *[ROUTER] * 1000).settled is None
    assert heard(latch, SDP).settled == SDP


def test_anybody_is_believed_where_that_is_set() -> None:
    latch = Latch(named=SDP, host=SIGNALLING, rule="any")
    assert heard(latch, *[STRANGER] * AGREEING_PACKETS).settled == STRANGER
    muted = reopen(heard(latch, *[SDP] * AGREEING_PACKETS))
    assert heard(muted, *[STRANGER] * 10_000).settled is None, "it may be merely muted"
    assert heard(muted, *[STRANGER] * AGREEING_PACKETS, proven=True).settled == STRANGER


def test_a_lost_party_may_come_back_from_anywhere_where_that_is_set_when_it_insists() -> None:
    latch = reopen(heard(Latch(named=SDP, rule="any"), SDP), lost=True)
    assert heard(latch, *[STRANGER] * (INSISTING_PACKETS - 1)).settled is None
    assert heard(latch, *[STRANGER] * INSISTING_PACKETS).settled == STRANGER


@pytest.mark.parametrize("latch", [LATCH, replace(LATCH, rule="any")], ids=["signalling", "any"])
def test_the_address_of_the_sdp_wins_whenever_it_speaks(latch: Latch) -> None:
    taken = heard(latch, *[ROUTER] * 1000)
    assert (taken.settled, taken.listening.only, taken.listening.watched) == (ROUTER, ROUTER, SDP)
    assert heard(taken, *[SDP] * (AGREEING_PACKETS - 1)).settled == ROUTER, "a stray packet is no change"
    assert heard(taken, *[SDP] * AGREEING_PACKETS).settled == SDP


def test_two_in_turn_are_not_believed() -> None:
    assert heard(LATCH, *[ROUTER, (SIGNALLING, 61002)] * 100).settled is None


def test_without_an_address_in_the_sdp_the_host_of_the_signalling_says_it() -> None:
    latch = Latch(host=SIGNALLING)
    assert heard(latch, *[ROUTER] * AGREEING_PACKETS).sends_to == ROUTER


def test_what_is_final_stays() -> None:
    assert heard(LATCH, *[SDP] * AGREEING_PACKETS, *[ROUTER] * 1000).settled == SDP


def test_port_0_can_not_be_answered() -> None:
    assert heard(LATCH, *[(SIGNALLING, 0)] * 10).settled is None


def test_sound_goes_to_the_sdp_then_to_the_source_and_on_to_it_while_it_is_silent() -> None:
    latch = LATCH
    assert latch.sends_to == SDP
    latch = heard(latch, *[ROUTER] * AGREEING_PACKETS)
    assert latch.sends_to == ROUTER
    latch = reopen(latch)
    assert (latch.settled, latch.sends_to) == (None, ROUTER)
    assert heard(latch, ROUTER).settled == ROUTER
    assert heard(latch, SDP).settled == SDP
    assert reopen(reopen(latch)).sends_to == ROUTER


def test_a_router_may_give_a_phone_another_port() -> None:
    latch, other = reopen(heard(LATCH, *[ROUTER] * AGREEING_PACKETS)), (SIGNALLING, 62000)
    assert heard(latch, *[STRANGER] * 10_000) == latch
    assert heard(latch, other, STRANGER, other, STRANGER, other).settled == other
    assert heard(latch, STRANGER, ROUTER).settled == ROUTER


def test_a_party_held_by_the_address_0_0_0_0_is_where_it_was_and_heard_as_soon() -> None:
    latch = heard(LATCH, *[ROUTER] * AGREEING_PACKETS)
    held = describe(latch, named=None, may_speak_again=False, host=SIGNALLING)
    assert (held.settled, held.sends_to) == (None, None)
    assert heard(held, ROUTER).sends_to == ROUTER
    back = describe(heard(held, ROUTER), named=SDP, may_speak_again=True, host=SIGNALLING)
    assert (back.sends_to, heard(back, ROUTER).settled) == (ROUTER, ROUTER)
    elsewhere = ("198.51.100.7", 7000)
    moved = describe(held, named=elsewhere, may_speak_again=True, host=SIGNALLING)
    assert (moved.sends_to, moved.left) == (elsewhere, ROUTER)


def test_what_the_old_address_still_sends_carries_no_leg_back_and_holds_up_no_router() -> None:
    before = heard(LATCH, *[ROUTER] * AGREEING_PACKETS)
    named = ("198.51.100.7", 7000)
    moved = describe(before, named=named, may_speak_again=False, host=SIGNALLING)
    elsewhere = (SIGNALLING, 9000)
    under_way = heard(moved, *[ROUTER] * (INSISTING_PACKETS - 1))
    assert (under_way.settled, under_way.sends_to) == (None, named)
    assert heard(under_way, named).settled == named
    assert heard(moved, elsewhere, ROUTER, elsewhere, ROUTER, elsewhere).settled == elsewhere
    assert heard(under_way, ROUTER).settled == ROUTER, "it never moved, whatever it said"


def test_another_address_forgets_the_old_one() -> None:
    latch = describe(heard(LATCH, *[SDP] * AGREEING_PACKETS), named=STRANGER, may_speak_again=False, host=SIGNALLING)
    assert (latch.settled, latch.sends_to) == (None, STRANGER)
    assert heard(latch, *[SDP] * 1000).settled is None


def test_the_same_address_again_changes_nothing_unless_the_party_was_not_to_speak() -> None:
    settled = heard(LATCH, *[ROUTER] * AGREEING_PACKETS)
    assert describe(settled, named=SDP, may_speak_again=False, host=SIGNALLING) == settled
    assert describe(settled, named=SDP, may_speak_again=True, host=SIGNALLING).settled is None


def test_a_phone_whose_signalling_comes_from_another_host_now_may_speak_from_there() -> None:
    settled, moved = heard(LATCH, *[ROUTER] * AGREEING_PACKETS), ("198.51.100.7", 7000)
    roamed = describe(settled, named=SDP, may_speak_again=False, host=moved[0])
    assert (roamed.settled, roamed.sends_to) == (None, ROUTER)
    assert heard(roamed, *[moved] * AGREEING_PACKETS).settled == moved


@given(st.lists(st.sampled_from([SDP, ROUTER, (SIGNALLING, 61002), STRANGER]), max_size=90))
def test_only_an_address_that_is_let_in_is_settled_on_and_the_named_one_as_soon_as_it_agrees(
    sources: list[tuple[str, int]],
) -> None:
    latch, named = LATCH, 0
    for k, source in enumerate(sources):
        latch = hear(latch, packet(source))
        named += source == SDP
        assert latch.settled != STRANGER
        assert latch.settled is None or latch.settled in sources[: k + 1]
        if latch.settled == ROUTER:
            assert sources[: k + 1].count(ROUTER) >= AGREEING_PACKETS
        if named >= AGREEING_PACKETS:
            assert (latch.settled, latch.final) == (SDP, True)


@given(st.lists(st.sampled_from([SDP, ROUTER, STRANGER]), max_size=60))
def test_a_strangers_packets_change_nothing(sources: list[tuple[str, int]]) -> None:
    """However many come between those of the party."""
    with_him, without = LATCH, LATCH
    for source in sources:
        each = packet(source)
        with_him = hear(with_him, each)
        if source != STRANGER:
            without = hear(without, each)
    assert with_him == without
