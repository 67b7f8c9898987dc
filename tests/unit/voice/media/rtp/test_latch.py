"""A latch selects the source of a leg and the address its packets go to."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.rtp.latch import (
    MAX_AHEAD,
    MIN_PACKETS,
    TAKEOVER_PACKETS,
    Latch,
    PacketIdentity,
    PacketRun,
    apply_sdp,
    receive,
    unlock,
)

SDP, ROUTER, FOREIGN = ("10.0.0.5", 4000), ("192.0.2.1", 61000), ("203.0.113.9", 5)
SIGNALLING = ROUTER[0]
LATCH = Latch(sdp_address=SDP, signalling_host=SIGNALLING)
NUMBERS: Iterator[int] = count()
"""Rising sequence numbers for any sender: packets of one source agree."""


def packet(source: tuple[str, int], *, ssrc: int | None = None, sequence: int | None = None) -> PacketIdentity:
    number = next(NUMBERS) if sequence is None else sequence
    return PacketIdentity(source=source, ssrc=source[1] if ssrc is None else ssrc, sequence=number & 0xFFFF)


def heard(latch: Latch, *sources: tuple[str, int], authenticated: bool = False) -> Latch:
    for source in sources:
        latch = receive(latch, packet(source), authenticated=authenticated)
    return latch


def test_the_sdp_address_is_latched_at_once_and_for_good_when_packets_agree() -> None:
    once = heard(LATCH, SDP)
    assert (once.latched, once.final, once.socket_filter.connected) == (SDP, False, None)
    latch = heard(LATCH, *[SDP] * MIN_PACKETS)
    assert (latch.latched, latch.final, latch.socket_filter.connected, latch.socket_filter.watched) == (
        SDP,
        True,
        SDP,
        None,
    )


def test_a_stray_packet_from_the_sdp_address_does_not_block_a_router() -> None:
    assert heard(LATCH, SDP, *[ROUTER] * (TAKEOVER_PACKETS - 1)).latched == SDP
    assert heard(LATCH, SDP, *[ROUTER] * TAKEOVER_PACKETS).latched == ROUTER


def test_a_phone_behind_a_router_with_a_sip_gateway_is_latched_when_packets_agree() -> None:
    assert heard(LATCH, *[ROUTER] * (MIN_PACKETS - 1)).latched is None
    assert heard(LATCH, *[ROUTER] * MIN_PACKETS).latched == ROUTER


@pytest.mark.parametrize(
    "packets",
    [
        [packet(ROUTER, ssrc=k, sequence=k) for k in range(1000)],
        [packet(ROUTER, sequence=k * 7001) for k in range(1000)],
        [packet(ROUTER, sequence=7)] * 1000,
    ],
    ids=["another SSRC in each", "numbers at random", "one packet again and again"],
)
def test_packets_that_do_not_agree_latch_nothing(packets: list[PacketIdentity]) -> None:
    latch = LATCH
    for each in packets:
        latch = receive(latch, each)
    assert latch.latched is None


def test_sequence_numbers_agree_over_the_wrap_and_through_loss_and_reordering() -> None:
    run = PacketRun(newest=packet(ROUTER, sequence=65534))
    for sequence in (65535, 1, 0, 1 + MAX_AHEAD):
        run = run.extend(packet(ROUTER, sequence=sequence))
    assert run.seen == 4
    assert run.extend(packet(ROUTER, sequence=2 * MAX_AHEAD + 2)).seen == 1


def test_a_third_address_is_never_latched() -> None:
    for latch in (
        LATCH,
        Latch(sdp_address=SDP),
        Latch(signalling_host=SIGNALLING),
        unlock(heard(LATCH, SDP), peer_lost=True),
    ):
        assert heard(latch, *[FOREIGN] * 10_000) == latch
        assert heard(latch, *[FOREIGN] * 1000, authenticated=True) == latch, "a key says who made it, not who sent it"


def test_another_port_of_the_host_in_the_sdp_is_a_third_address_unless_signalling_comes_from_there() -> None:
    other = (SDP[0], 4002)
    assert heard(LATCH, *[other] * 1000).latched is None
    assert heard(replace(LATCH, signalling_host=SDP[0]), *[other] * MIN_PACKETS).latched == other


def test_the_sdp_address_alone_is_latched_where_that_is_set() -> None:
    latch = Latch(sdp_address=SDP, signalling_host=SIGNALLING, rtp_source="named")
    assert heard(latch, *[ROUTER] * 1000).latched is None
    assert heard(latch, SDP).latched == SDP


def test_any_source_is_latched_where_that_is_set() -> None:
    latch = Latch(sdp_address=SDP, signalling_host=SIGNALLING, rtp_source="any")
    assert heard(latch, *[FOREIGN] * MIN_PACKETS).latched == FOREIGN
    muted = unlock(heard(latch, *[SDP] * MIN_PACKETS))
    assert heard(muted, *[FOREIGN] * 10_000).latched is None, "it may be merely muted"
    assert heard(muted, *[FOREIGN] * MIN_PACKETS, authenticated=True).latched == FOREIGN


def test_a_lost_party_may_return_from_any_source_where_that_is_set() -> None:
    latch = unlock(heard(Latch(sdp_address=SDP, rtp_source="any"), SDP), peer_lost=True)
    assert heard(latch, *[FOREIGN] * (TAKEOVER_PACKETS - 1)).latched is None
    assert heard(latch, *[FOREIGN] * TAKEOVER_PACKETS).latched == FOREIGN


@pytest.mark.parametrize("latch", [LATCH, replace(LATCH, rtp_source="any")], ids=["signalling", "any"])
def test_the_sdp_address_wins_whenever_it_sends(latch: Latch) -> None:
    taken = heard(latch, *[ROUTER] * 1000)
    assert (taken.latched, taken.socket_filter.connected, taken.socket_filter.watched) == (ROUTER, ROUTER, SDP)
    assert heard(taken, *[SDP] * (MIN_PACKETS - 1)).latched == ROUTER, "a stray packet is no change"
    assert heard(taken, *[SDP] * MIN_PACKETS).latched == SDP


def test_two_alternating_sources_are_not_latched() -> None:
    assert heard(LATCH, *[ROUTER, (SIGNALLING, 61002)] * 100).latched is None


def test_without_an_sdp_address_the_signalling_host_is_latched() -> None:
    latch = Latch(signalling_host=SIGNALLING)
    assert heard(latch, *[ROUTER] * MIN_PACKETS).remote == ROUTER


def test_a_final_choice_stays() -> None:
    assert heard(LATCH, *[SDP] * MIN_PACKETS, *[ROUTER] * 1000).latched == SDP


def test_port_0_is_not_latched() -> None:
    assert heard(LATCH, *[(SIGNALLING, 0)] * 10).latched is None


def test_audio_goes_to_the_sdp_address_then_to_the_source_even_while_it_is_silent() -> None:
    latch = LATCH
    assert latch.remote == SDP
    latch = heard(latch, *[ROUTER] * MIN_PACKETS)
    assert latch.remote == ROUTER
    latch = unlock(latch)
    assert (latch.latched, latch.remote) == (None, ROUTER)
    assert heard(latch, ROUTER).latched == ROUTER
    assert heard(latch, SDP).latched == SDP
    assert unlock(unlock(latch)).remote == ROUTER


def test_a_router_may_give_a_phone_another_port() -> None:
    latch, other = unlock(heard(LATCH, *[ROUTER] * MIN_PACKETS)), (SIGNALLING, 62000)
    assert heard(latch, *[FOREIGN] * 10_000) == latch
    assert heard(latch, other, FOREIGN, other, FOREIGN, other).latched == other
    assert heard(latch, FOREIGN, ROUTER).latched == ROUTER


def test_a_party_held_by_the_address_0_0_0_0_returns_to_its_old_address() -> None:
    latch = heard(LATCH, *[ROUTER] * MIN_PACKETS)
    held = apply_sdp(latch, sdp_address=None, receives_again=False, signalling_host=SIGNALLING)
    assert (held.latched, held.remote) == (None, None)
    assert heard(held, ROUTER).remote == ROUTER
    back = apply_sdp(heard(held, ROUTER), sdp_address=SDP, receives_again=True, signalling_host=SIGNALLING)
    assert (back.remote, heard(back, ROUTER).latched) == (ROUTER, ROUTER)
    elsewhere = ("198.51.100.7", 7000)
    moved = apply_sdp(held, sdp_address=elsewhere, receives_again=True, signalling_host=SIGNALLING)
    assert (moved.remote, moved.old_address) == (elsewhere, ROUTER)


def test_late_packets_of_the_old_address_move_no_leg_and_block_no_router() -> None:
    before = heard(LATCH, *[ROUTER] * MIN_PACKETS)
    sdp_address = ("198.51.100.7", 7000)
    moved = apply_sdp(before, sdp_address=sdp_address, receives_again=False, signalling_host=SIGNALLING)
    elsewhere = (SIGNALLING, 9000)
    under_way = heard(moved, *[ROUTER] * (TAKEOVER_PACKETS - 1))
    assert (under_way.latched, under_way.remote) == (None, sdp_address)
    assert heard(under_way, sdp_address).latched == sdp_address
    assert heard(moved, elsewhere, ROUTER, elsewhere, ROUTER, elsewhere).latched == elsewhere
    assert heard(under_way, ROUTER).latched == ROUTER, "it never moved, whatever it said"


def test_another_address_forgets_the_old_one() -> None:
    latch = apply_sdp(
        heard(LATCH, *[SDP] * MIN_PACKETS), sdp_address=FOREIGN, receives_again=False, signalling_host=SIGNALLING
    )
    assert (latch.latched, latch.remote) == (None, FOREIGN)
    assert heard(latch, *[SDP] * 1000).latched is None


def test_the_same_address_again_changes_nothing_unless_the_party_sends_again() -> None:
    latched = heard(LATCH, *[ROUTER] * MIN_PACKETS)
    assert apply_sdp(latched, sdp_address=SDP, receives_again=False, signalling_host=SIGNALLING) == latched
    assert apply_sdp(latched, sdp_address=SDP, receives_again=True, signalling_host=SIGNALLING).latched is None


def test_a_phone_may_send_from_its_new_signalling_host() -> None:
    latched, moved = heard(LATCH, *[ROUTER] * MIN_PACKETS), ("198.51.100.7", 7000)
    roamed = apply_sdp(latched, sdp_address=SDP, receives_again=False, signalling_host=moved[0])
    assert (roamed.latched, roamed.remote) == (None, ROUTER)
    assert heard(roamed, *[moved] * MIN_PACKETS).latched == moved


@given(st.lists(st.sampled_from([SDP, ROUTER, (SIGNALLING, 61002), FOREIGN]), max_size=90))
def test_only_an_admitted_address_is_latched_and_the_sdp_address_as_soon_as_it_agrees(
    sources: list[tuple[str, int]],
) -> None:
    latch, sdp_address = LATCH, 0
    for k, source in enumerate(sources):
        latch = receive(latch, packet(source))
        sdp_address += source == SDP
        assert latch.latched != FOREIGN
        assert latch.latched is None or latch.latched in sources[: k + 1]
        if latch.latched == ROUTER:
            assert sources[: k + 1].count(ROUTER) >= MIN_PACKETS
        if sdp_address >= MIN_PACKETS:
            assert (latch.latched, latch.final) == (SDP, True)


@given(st.lists(st.sampled_from([SDP, ROUTER, FOREIGN]), max_size=60))
def test_unauthenticated_packets_change_no_latch(sources: list[tuple[str, int]]) -> None:
    """They change nothing, however many arrive between those of the party."""
    with_him, without = LATCH, LATCH
    for source in sources:
        each = packet(source)
        with_him = receive(with_him, each)
        if source != FOREIGN:
            without = receive(without, each)
    assert with_him == without
