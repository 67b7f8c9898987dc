"""Offers and answers: every direction, every way in which a phone holds, and what never changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from holdfast.voice.sip.errors import NotAcceptableHere, OfferOutOfOrder, SdpUnreadable
from holdfast.voice.sip.sdp.offer import (
    ANSWER_DIRECTION,
    Agreed,
    Negotiation,
    answer_offer,
    apply_answer,
    make_offer,
    repeat_offer,
    withdraw_offer,
)
from holdfast.voice.sip.sdp.sdp import Direction, parse

US = Negotiation(local=("127.0.0.1", 16384), session_id=7)
THEM = Negotiation(local=("127.0.0.2", 4000), session_id=8)

S, SO, RO, I = Direction.SENDRECV, Direction.SENDONLY, Direction.RECVONLY, Direction.INACTIVE  # noqa: E741


def offer(
    *lines: str,
    direction: str = "a=sendrecv",
    formats: str = "0 101",
    address: str = "127.0.0.2",
    port: int = 4000,
    session: tuple[str, ...] = (),
) -> bytes:
    """Return the offer of a phone."""
    text = [
        *("v=0", "o=phone 1 1 IN IP4 127.0.0.2", "s=call", f"c=IN IP4 {address}", "t=0 0", *session),
        *(f"m=audio {port} RTP/AVP {formats}", "a=rtpmap:101 telephone-event/8000", *lines, direction),
    ]
    return ("\r\n".join(text) + "\r\n").encode()


@pytest.mark.parametrize(
    ("offered", "wish", "answer"),
    [
        *((S, S, S), (S, SO, SO), (S, RO, RO), (S, I, I)),
        *((SO, S, RO), (SO, SO, I), (SO, RO, RO), (SO, I, I)),
        *((RO, S, SO), (RO, SO, SO), (RO, RO, I), (RO, I, I)),
        *((I, S, I), (I, SO, I), (I, RO, I), (I, I, I)),
    ],
)
def test_the_answers_direction_is_that_of_the_rfcs_table(
    offered: Direction, wish: Direction, answer: Direction
) -> None:
    assert ANSWER_DIRECTION[offered, wish] is answer
    state, body = answer_offer(replace(US, local_direction=wish), offer(direction=f"a={offered.value}"))
    assert f"a={answer.value}\r\n".encode() in body
    assert state.agreed is not None
    assert (state.agreed.send, state.agreed.receive) == (answer.sends, answer.receives)
    assert state.agreed.peer_holds is (offered in (SO, I))


def test_the_offer_lists_our_codecs() -> None:
    state, body = make_offer(US)
    assert body.decode().split("\r\n") == [
        *("v=0", "o=- 7 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"),
        *("m=audio 16384 RTP/AVP 0 8 9 101", "a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000"),
        "a=rtpmap:9 G722/8000",
        *("a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20", "a=maxptime:200", "a=sendrecv", ""),
    ]
    assert state.offered


@pytest.mark.parametrize(
    ("formats", "codec", "listed"),
    [
        ("0 8 101", "PCMU", "0 101"),
        ("8 0", "PCMU", "0"),
        ("18 8 9", "PCMA", "8"),
        ("96 0 127", "PCMU", "0"),
        ("9 0 8", "G722", "9"),
        ("18 9", "G722", "9"),
    ],
)
def test_one_codec_is_chosen(formats: str, codec: str, listed: str) -> None:
    state, body = answer_offer(US, offer(formats=formats))
    assert state.agreed is not None
    assert state.agreed.codec == codec
    assert f"m=audio 16384 RTP/AVP {listed}\r\n".encode() in body


def test_telephone_event_keeps_the_offerers_payload_type() -> None:
    state, body = answer_offer(US, offer("a=rtpmap:96 telephone-event/8000", formats="0 96"))
    assert state.agreed == Agreed(
        remote=("127.0.0.2", 4000), codec="PCMU", dtmf_payload_type=96, send=True, receive=True, peer_holds=False
    )
    assert b"a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\n" in body


@pytest.mark.parametrize("line", ["a=rtpmap:97 telephone-event/16000", "a=rtpmap:20 telephone-event/8000"])
def test_telephone_events_without_a_dynamic_payload_type_are_omitted(line: str) -> None:
    state, _ = answer_offer(US, offer(line, formats="0 97 20"))
    assert state.agreed is not None
    assert state.agreed.dtmf_payload_type is None


@pytest.mark.parametrize("direction", ["a=sendrecv", "a=sendonly"])
def test_the_old_way_to_hold_is_a_hold(direction: str) -> None:
    state, body = answer_offer(US, offer(direction=direction, address="0.0.0.0"))
    assert b"a=recvonly" in body
    assert state.agreed is not None
    assert (state.agreed.remote, state.agreed.send, state.agreed.receive) == (None, False, True)
    assert state.agreed.peer_holds


def test_the_old_way_to_hold_with_inactive_is_inactive() -> None:
    state, body = answer_offer(US, offer(direction="a=inactive", address="0.0.0.0"))
    assert b"a=inactive" in body
    assert state.agreed is not None
    assert state.agreed.peer_holds


def test_the_mediums_direction_wins_over_the_sessions() -> None:
    _, body = answer_offer(US, offer(direction="a=sendonly", session=("a=sendrecv",)))
    assert b"a=recvonly" in body
    _, body = answer_offer(US, offer(direction="a=x-nothing", session=("a=inactive",)))
    assert b"a=inactive" in body


def test_a_hold_with_an_unchanged_version_is_a_hold_all_the_same() -> None:
    state, _ = answer_offer(US, offer())
    state, _ = answer_offer(state, offer(direction="a=sendonly"))
    assert state.agreed is not None
    assert state.agreed.peer_holds
    state, _ = answer_offer(state, offer())
    assert not state.agreed.peer_holds  # type: ignore[union-attr]


def test_our_version_rises_only_when_our_description_changes() -> None:
    state, first = answer_offer(US, offer())
    state, same = answer_offer(state, offer())
    assert first == same
    state, held = answer_offer(state, offer(direction="a=sendonly"))
    assert b"o=- 7 2 IN" in held
    state, again = answer_offer(state, offer(direction="a=sendonly"))
    assert again == held
    _, back = answer_offer(state, offer())
    assert b"o=- 7 3 IN" in back


def test_the_lines_we_refuse_stay_in_their_place() -> None:
    video = offer() + b"m=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
    state, body = answer_offer(US, video)
    assert b"m=video 0 RTP/AVP 96" in body
    state, ours = make_offer(state)
    kinds = [(medium.kind, medium.port) for medium in parse(ours).media]
    assert kinds == [("audio", 16384), ("video", 0)]
    state = apply_answer(state, offer() + b"m=video 0 RTP/AVP 96\r\n")
    assert state.agreed is not None


def test_audio_is_found_behind_other_lines() -> None:
    behind = offer().replace(b"m=audio", b"m=audio 6000 RTP/SAVP 0\r\nm=audio", 1)
    state, body = answer_offer(US, behind)
    assert [medium.port for medium in parse(body).media] == [0, 16384]
    state, ours = make_offer(state)
    assert [medium.port for medium in parse(ours).media] == [0, 16384]


@pytest.mark.parametrize(
    "body",
    [
        offer(formats="3 18"),
        offer(port=0) + b"m=image 5000 udptl t38\r\n",
        offer(port=0) + b"m=audio 5000 RTP/AVP 18\r\n",
        offer().replace(b"RTP/AVP", b"RTP/SAVP"),
        offer().replace(b"m=audio", b"m=video"),
        offer().replace(b"c=IN IP4 127.0.0.2\r\n", b""),
        offer(address="phone.example.com"),
        offer(address="224.0.0.1"),
        offer(address="127.0.0.1 x"),
        offer().replace(b"c=IN IP4", b"c=ATM X"),
        offer("c=IN IP4 phone.example.com"),
        offer("c=IN IP6 2001:db8::2"),
        offer("a=rtpmap:0 OPUS/48000", formats="0"),
        b"v=0\r\no=- 1 1 IN IP4 1.1.1.1\r\ns=-\r\n",
    ],
)
def test_an_offer_without_common_audio_gets_488_and_changes_nothing(body: bytes) -> None:
    before, _ = answer_offer(US, offer())
    with pytest.raises(NotAcceptableHere) as caught:
        answer_offer(before, body)
    assert caught.value.sip == 488


def test_a_call_does_not_begin_with_a_port_of_0() -> None:
    with pytest.raises(NotAcceptableHere):
        answer_offer(US, offer(port=0))


@pytest.mark.parametrize("lines", [(), ("c=IN IP4 0.0.0.0",), ("a=sendonly",)])
@pytest.mark.parametrize("direction", ["a=sendrecv", "a=inactive"])
def test_removed_audio_is_a_hold_until_it_is_offered_again(lines: tuple[str, ...], direction: str) -> None:
    state, _ = answer_offer(US, offer())
    talking = state.agreed
    state, answer = answer_offer(state, offer(*lines, port=0, direction=direction))
    assert answer.decode().split("\r\n") == [
        *("v=0", "o=- 7 2 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"),
        *("m=audio 0 RTP/AVP 0 101", "a=inactive", ""),
    ]
    assert state.agreed is not None
    assert (state.agreed.remote, state.agreed.send, state.agreed.receive) == (None, False, False)
    assert state.agreed.peer_holds
    assert answer_offer(state, offer(*lines, port=0, direction=direction)) == (state, answer)
    state, answer = answer_offer(state, offer())
    assert b"o=- 7 3 IN" in answer
    assert state.agreed == talking


def test_video_is_refused_while_the_audio_is_removed() -> None:
    video = b"m=video 5000 RTP/AVP 96\r\n"
    state, _ = answer_offer(US, video_first := offer().replace(b"m=audio", video + b"m=audio"))
    state, answer = answer_offer(state, video_first.replace(b"audio 4000", b"audio 0"))
    assert [(medium.kind, medium.port) for medium in parse(answer).media] == [("video", 0), ("audio", 0)]
    state, ours = make_offer(state)
    assert [(medium.kind, medium.port) for medium in parse(ours).media] == [("video", 0), ("audio", 16384)]


def test_a_refresh_does_not_offer_removed_audio() -> None:
    state, plain = repeat_offer(US)
    assert b"m=audio 16384 " in plain
    state = apply_answer(state, offer())
    state, away = answer_offer(state, offer(port=0))
    state, again = repeat_offer(state)
    assert again == away
    with pytest.raises(OfferOutOfOrder):
        repeat_offer(state)
    state = apply_answer(state, offer(port=0))
    assert state.agreed is not None
    assert state.agreed.peer_holds
    assert apply_answer(repeat_offer(state)[0], offer()).agreed == state.agreed


def test_a_refresh_answered_with_port_0_is_a_hold() -> None:
    state, _ = answer_offer(US, offer())
    state, _ = repeat_offer(state)
    state = apply_answer(state, offer(port=0))
    assert state.agreed is not None
    assert (state.agreed.remote, state.agreed.peer_holds) == (None, True)


def test_a_refresh_repeats_the_description_in_force_with_its_version() -> None:
    """Source: RFC 4028 §7.4."""
    state, ours = answer_offer(US, offer(formats="8 96", direction="a=sendonly"))
    state, again = repeat_offer(state)
    assert again == ours
    state, again = repeat_offer(withdraw_offer(state))
    assert again == ours
    state, late = make_offer(withdraw_offer(state))
    assert b"o=- 7 2 IN" in late
    state, again = repeat_offer(withdraw_offer(state))
    assert again == ours, "a refused offer is not in force"
    state = apply_answer(state, offer(formats="8", direction="a=sendonly"))
    state, late = make_offer(state)
    assert b"o=- 7 3 IN" in late, "no version ever means two descriptions"


@pytest.mark.parametrize("direction", ["a=sendrecv", "a=recvonly", "a=sendonly", "a=inactive"])
def test_an_answer_to_a_refresh_that_sends_nothing_ends_no_hold(direction: str) -> None:
    """Such an offer does not ask whether the peer receives, so its answer, legal or not, does not say."""
    state, _ = answer_offer(US, offer(direction="a=sendonly"))
    agreed = apply_answer(repeat_offer(state)[0], offer(direction=direction)).agreed
    assert agreed is not None
    assert (agreed.peer_holds, agreed.send) == (True, False)


@pytest.mark.parametrize(
    ("theirs", "send", "receive"),
    [
        ("0 PCMU, 110 telephone-event", 110, {0: "PCMU", 101: "telephone-event", 110: "telephone-event"}),
        ("0 PCMU, 101 telephone-event", 101, {0: "PCMU", 101: "telephone-event"}),
        ("0 PCMU", None, {0: "PCMU"}),
        ("96 PCMU, 97 telephone-event", 97, {0: "PCMU", 96: "PCMU", 97: "telephone-event", 101: "telephone-event"}),
        ("101 PCMU, 97 telephone-event", 97, {0: "PCMU", 97: "telephone-event", 101: "telephone-event"}),
    ],
)
def test_we_receive_by_the_numbers_of_our_offer_and_send_by_those_of_the_answer(
    theirs: str, send: int | None, receive: dict[int, str]
) -> None:
    """Source: RFC 3264 §5.1, §6.1."""
    maps = theirs.split(", ")
    numbers = [each.split()[0] for each in maps]
    answer = offer(*(f"a=rtpmap:{each}/8000" for each in maps), formats=" ".join(numbers))
    answer = answer.replace(b"a=rtpmap:101 telephone-event/8000\r\n", b"", 1)
    agreed = apply_answer(make_offer(US)[0], answer).agreed
    assert agreed is not None
    assert agreed.codec == "PCMU"
    assert agreed.dtmf_payload_type == send
    assert agreed.payload_types.sending("PCMU") == int(numbers[0])
    assert agreed.payload_types.receiving(("PCMU",), send) == receive


@pytest.mark.parametrize(
    ("line", "codec"),
    [
        *(("9 G722/16000", "G722"), ("0 PCMU/16000", "PCMU"), ("8 pcma/1", "PCMA"), ("0 PCMU/8000/2", "PCMU")),
        *(("96 PCMA/8000", "PCMA"), ("127 G722/8000/1", "G722"), ("35 PCMU/8000", "PCMU")),
        *(("96 PCMU/16000", None), ("96 PCMU/8000/2", None), ("3 PCMU/8000", None), ("0 PCMA/8000", None)),
        *(("64 PCMU/8000", None), ("96 G722/16000", None)),
    ],
)
def test_static_numbers_hold_and_dynamic_ones_map_any_codec(line: str, codec: str | None) -> None:
    number = line.split()[0]
    body = offer(f"a=rtpmap:{line}", formats=number)
    if codec is None:
        with pytest.raises(NotAcceptableHere):
            answer_offer(US, body)
        return
    state, answer = answer_offer(US, body)
    assert state.agreed is not None
    assert state.agreed.codec == codec
    assert state.agreed.payload_types.sending(state.agreed.codec) == int(number)
    assert f"m=audio 16384 RTP/AVP {number}\r\na=rtpmap:{number} {codec}/8000\r\n".encode() in answer
    _, ours = make_offer(state)
    assert f"m=audio 16384 RTP/AVP {number} ".encode() in ours


@pytest.mark.parametrize(
    ("numbers", "ours"),
    [
        ("101 opus/48000/2, 96 telephone-event/8000", 96),
        ("101 opus/48000/2, 96 G722/16000", 97),
        ("101 opus/48000/2, 97 iLBC/8000", 96),
        (", ".join(f"{number} x{number}/8000" for number in range(96, 127)), 127),
        (", ".join(f"{number} x{number}/8000" for number in range(96, 128)), None),
    ],
)
def test_no_later_offer_of_ours_gives_a_number_another_meaning(numbers: str, ours: int | None) -> None:
    """Source: RFC 3264 §8.3.2."""
    mapped = numbers.split(", ")
    maps = [f"a=rtpmap:{each}" for each in mapped]
    body = offer(*maps, formats=" ".join(["0", *(each.split()[0] for each in mapped)]))
    state, _ = answer_offer(US, body.replace(b"a=rtpmap:101 telephone-event/8000\r\n", b""))
    _, late = make_offer(state)
    assert f"m=audio 16384 RTP/AVP 0 8 9{'' if ours is None else f' {ours}'}\r\n".encode() in late


def test_the_agreed_codec_is_first_in_our_offers_and_kept_in_our_answers() -> None:
    state, _ = answer_offer(US, offer(formats="8 101"))
    state, late = make_offer(state)
    assert b"RTP/AVP 8 0 9 101\r\n" in late
    state = apply_answer(state, offer(formats="8 0 101"))
    state, held = answer_offer(state, offer(formats="0 8 101", direction="a=sendonly"))
    assert b"RTP/AVP 8 101\r\n" in held


def test_only_one_offer_at_a_time() -> None:
    state, _ = make_offer(US)
    with pytest.raises(OfferOutOfOrder):
        make_offer(state)
    with pytest.raises(OfferOutOfOrder) as caught:
        answer_offer(state, offer())
    assert caught.value.sip == 491
    make_offer(withdraw_offer(state))
    with pytest.raises(OfferOutOfOrder):
        apply_answer(US, offer())


@pytest.mark.parametrize(
    "answer",
    [
        *(offer("c=IN IP6 2001:db8::2"), offer("c=IN IP4 phone.example.com")),
        *(offer(port=0), offer(formats="18"), offer().replace(b"m=", b"x=")),
    ],
)
def test_an_answer_without_audio_is_refused(answer: bytes) -> None:
    state, _ = make_offer(US)
    with pytest.raises(NotAcceptableHere):
        apply_answer(state, answer)


@pytest.mark.parametrize(
    ("formats", "codec", "also"),
    [
        ("0 101", "PCMU", ()),
        ("8 0 101", "PCMA", ("PCMU",)),
        ("0 18 8 101", "PCMU", ("PCMA",)),
        ("9 0 8", "G722", ("PCMU", "PCMA")),
    ],
)
def test_of_several_codecs_in_an_answer_the_first_is_sent_and_any_may_come(
    formats: str, codec: str, also: tuple[str, ...]
) -> None:
    state, _ = make_offer(US)
    agreed = apply_answer(state, offer(formats=formats)).agreed
    assert agreed is not None
    assert (agreed.codec, agreed.other_codecs) == (codec, also)


def test_a_line_that_allows_feedback_is_taken_and_stays_so() -> None:
    state, answer = answer_offer(US, offer("a=rtcp-fb:* trr-int 5000").replace(b"RTP/AVP", b"RTP/AVPF"))
    assert b"m=audio 16384 RTP/AVPF 0 101\r\n" in answer
    assert b"rtcp-fb" not in answer
    state, again = make_offer(state)
    assert b"m=audio 16384 RTP/AVPF 0 8 9 101\r\n" in again
    assert apply_answer(state, offer().replace(b"RTP/AVP", b"RTP/AVPF")).agreed is not None


def test_an_answer_has_one_codec() -> None:
    agreed = answer_offer(US, offer(formats="8 0 9"))[0].agreed
    assert agreed is not None
    assert (agreed.codec, agreed.other_codecs) == ("PCMU", ())


def test_lines_too_many_in_an_answer_and_refused_ones_left_out_change_nothing() -> None:
    state, _ = make_offer(US)
    extra = offer() + b"m=video 5000 RTP/AVP 96\r\n"
    assert apply_answer(state, extra).agreed == apply_answer(state, offer()).agreed
    state, _ = answer_offer(US, extra)
    state, ours = make_offer(state)
    assert len(parse(ours).media) == 2
    assert apply_answer(state, offer()).agreed is not None


def test_an_answer_is_bound_by_our_offer() -> None:
    state, _ = make_offer(replace(US, local_direction=Direction.SENDONLY))
    agreed = apply_answer(state, offer()).agreed
    assert agreed is not None
    assert (agreed.send, agreed.receive) == (True, False)


def test_version_six_addresses() -> None:
    six = replace(US, local=("::1", 16384))
    state, body = make_offer(six)
    assert b"o=- 7 1 IN IP6 ::1" in body
    assert b"c=IN IP6 ::1" in body
    state = apply_answer(state, offer().replace(b"IN IP4 127.0.0.2\r\nt=", b"IN IP6 ::2\r\nt="))
    assert state.agreed is not None
    assert state.agreed.remote == ("::2", 4000)


def test_of_two_audio_lines_the_reachable_one_is_taken() -> None:
    six = offer("c=IN IP6 2001:db8::2") + b"m=audio 5000 RTP/AVP 0\r\nc=IN IP4 127.0.0.3\r\n"
    state, answer = answer_offer(US, six)
    assert state.agreed is not None
    assert state.agreed.remote == ("127.0.0.3", 5000)
    assert [medium.port for medium in parse(answer).media] == [0, 16384]


def test_the_old_way_to_hold_may_be_written_for_version_six() -> None:
    state, _ = answer_offer(US, offer("c=IN IP6 ::"))
    assert state.agreed is not None
    assert (state.agreed.remote, state.agreed.peer_holds) == (None, True)


WISHES = st.sampled_from(list(Direction))


@given(steps=st.lists(st.tuples(st.booleans(), WISHES), max_size=12), codecs=st.permutations(["PCMU", "PCMA"]))
def test_after_every_exchange_both_sides_agree(steps: list[tuple[bool, Direction]], codecs: list[str]) -> None:
    us, them = US, replace(THEM, codecs=tuple(codecs))  # type: ignore[arg-type]
    for ours, wish in steps:
        if ours:
            us, said = make_offer(replace(us, local_direction=wish))
            them, answered = answer_offer(them, said)
            us = apply_answer(us, answered)
        else:
            them, said = make_offer(replace(them, local_direction=wish))
            us, answered = answer_offer(us, said)
            them = apply_answer(them, answered)
        assert us.agreed is not None
        assert them.agreed is not None
        assert us.agreed.codec == them.agreed.codec
        assert (us.agreed.send, us.agreed.receive) == (them.agreed.receive, them.agreed.send)
        assert us.agreed.remote == them.local
        assert us.version <= len(steps)


@pytest.mark.parametrize("body", [b"", b"v=1\r\n", b"\xff\xfe\x00", b"\n" * 100, b"no equals sign", b"v=0 nonsense"])
def test_text_that_is_no_description_is_unreadable(body: bytes) -> None:
    with pytest.raises(SdpUnreadable) as caught:
        parse(body)
    assert caught.value.sip == 400


OTHER_MEDIA = b"m=video 5000 RTP/AVP 96\r\n"


@pytest.mark.parametrize(
    "body",
    [
        offer() + OTHER_MEDIA * 64,
        offer("a=" + "x" * 65_536),
        offer() + b"\r\n" * 33_000,
        b"v=0\r\n" + b"a=x\r\n" * 600,
        b"v=0\r\no=- 1 1 IN IP4\r\nm=audio 1 RTP/AVP 0\r\n",
        *(offer().replace(b"4000", port) for port in (b"65536", b"-1", "\u0664\u0662".encode(), b"$", b"", b"4000x")),
        offer().replace(b"RTP/AVP 0 101", b"RTP/AVP"),
        offer().replace(b"m=audio 4000 RTP/AVP 0 101", b"m=audio"),
        offer(formats="0\x01 101"),
    ],
)
def test_a_description_beyond_the_bounds_or_without_usable_audio_gets_488_and_changes_nothing(body: bytes) -> None:
    before, _ = answer_offer(US, offer())
    for state in (US, before):
        with pytest.raises(NotAcceptableHere) as caught:
            answer_offer(state, body)
        assert caught.value.sip == 488
    offering, _ = make_offer(before)
    with pytest.raises(NotAcceptableHere):
        apply_answer(offering, body.replace(b"m=video", b"m=audio", 1) if body.startswith(offer()) else body)


ODD_LINES = [
    *("m=video 0 RTP/AVP", "m=audio 0 RTP/AVP", "m=image 0 udptl", "m=audio 0", "m=audio", "m=", "m= "),
    *("m=video 70000 RTP/AVP 96", "m=video $ RTP/AVP 96", "m=video -1 RTP/AVP 96", "m=video 5000 RTP/AVP"),
    "m=video 5000 RTP/AVP " + " ".join(["96"] * 65),
    "\r\n".join(["m=video 5000 RTP/AVP 96"] * 63),
    "m=vi\x00deo 5000 RTP/\x01AVP 9\x7f6",
    "m=" + "x" * 9000 + " 5000 " + "y" * 9000 + " " + "z" * 9000,
]


@pytest.mark.parametrize("odd", ODD_LINES)
def test_a_media_line_out_of_the_grammar_is_refused_in_its_place_and_costs_only_itself(odd: str) -> None:
    lines = odd.count("m=")
    behind = offer() + odd.encode() + b"\r\n"
    before = offer().replace(b"m=audio", odd.encode() + b"\r\nm=audio", 1)
    plain, _ = answer_offer(US, offer())
    for body, place in ((behind, 0), (before, lines)):
        state, answer = answer_offer(US, body)
        assert state.agreed == plain.agreed
        media = [line.split() for line in answer.decode("ascii").split("\r\n") if line.startswith("m=")]
        assert [port for _, port, *_ in media] == ["16384" if each == place else "0" for each in range(lines + 1)]
        assert all(len(words) >= 4 for words in media), "a refused line has at least one format"
        assert len(answer) < 10_000
        state, held = answer_offer(state, body.replace(b"a=sendrecv", b"a=sendonly"))
        assert b"a=recvonly" in held
        state, _ = make_offer(state)
        assert apply_answer(state, body).agreed == plain.agreed


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *((b"o=phone 1 1 IN IP4 127.0.0.2\r\n", b""), (b"o=phone 1 1 IN IP4 127.0.0.2", b"o=- 1 1 IN IP4")),
        *((b"v=0\r\n", b""), (b"v=0", b"v=1"), (b"s=call", b"s=\x00\x1b"), (b"s=call", b"a=tool:\x00\x01\x7f")),
        *((b"t=0 0\r\n", b""), (b"\r\n", b"\r"), (b"\r\n", b"\n"), (b"t=0 0", b"t=\xff\xfe"), (b"c=", b"c=x\r\nc=")),
        (b"a=sendrecv", b"a=sendrecv\r\n" + b"a=x\r\n" * 600),
        (b"RTP/AVP 0 101", b"RTP/AVP " + b"18 " * 80 + b"0 101"),
    ],
)
def test_unused_lines_may_be_missing_or_damaged(old: bytes, new: bytes) -> None:
    plain, _ = answer_offer(US, offer())
    damaged, _ = answer_offer(US, offer().replace(old, new))
    assert damaged.agreed == plain.agreed


WHOLE = (
    b"v=0\r\no=- 3826 1 IN IP4 10.0.0.9\r\ns=a call\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\nb=AS:128\r\na=group:BUNDLE 0 1\r\n"
    b"m=video 5000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\n"
    b"m=audio 4000 RTP/AVP 8 0 101\r\nc=IN IP4 127.0.0.2\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=ssrc:7 cname:x\r\n"
    b"m=image 0 udptl t38\r\na=T38FaxVersion:0\r\n"
).splitlines(keepends=True)
AUDIO_LINES = {index for index, line in enumerate(WHOLE) if line.startswith((b"m=audio", b"c=IN IP4 127"))}


@given(
    damage=st.dictionaries(
        st.sampled_from(sorted(set(range(len(WHOLE))) - AUDIO_LINES)),
        st.binary(max_size=40) | st.text("\x00\r\n m=a:0/9v$", max_size=40).map(str.encode),
        max_size=len(WHOLE),
    )
)
def test_no_damage_to_anything_but_the_audio_line_costs_a_call(damage: dict[int, bytes]) -> None:
    """Lines that damage turned into another audio line or address are left out: they mean something else."""
    lines = [line if index not in damage else damage[index] + b"\r\n" for index, line in enumerate(WHOLE)]
    body = b"".join(lines)
    again = b"".join(line for index, line in enumerate(lines) if index in damage)
    assume(b"c=" not in again)
    assume(b"m=audio" not in again)
    before, _ = answer_offer(US, offer())
    for state in (US, before):
        after, answer = answer_offer(state, body)
        assert after.agreed is not None
        assert (after.agreed.remote, after.agreed.codec) == (("127.0.0.2", 4000), "PCMU")
        assert [medium.kind for medium in parse(answer).media if medium.port] == ["audio"]
    offering, _ = make_offer(US)
    place = next(index for index, medium in enumerate(parse(body).media) if medium.port == 4000)
    offering = replace(offering, local_media=(*parse(answer).media[:place], *offering.local_media))
    assert apply_answer(offering, body).agreed is not None


@pytest.mark.parametrize(
    "line",
    [
        *("a=rtpmap:200 X/8000", "a=rtpmap:x X/8000", "a=rtpmap:96", "a=rtpmap:96 opus", "a=rtpmap:0 PCMU", "a=rtpmap"),
        *("a=ptime:x", "a=ptime:999999", "a=ptime:", "a=ptime:20.0", "a=ptime: 20", "no equals sign", "", " ", "="),
        "m=video 5000 RTP/AVP 96\r\nc=IN IP4 phone.example.com\r\na=rtpmap:96 H264\r\na=rtpmap:x\r\na=ptime:x",
    ],
)
def test_an_unreadable_line_costs_only_itself(line: str) -> None:
    odd = offer("a=ptime:30", line)
    assert parse(odd).media[0].ptime_ms in (20, 30)
    state, _ = answer_offer(US, odd)
    assert state.agreed == Agreed(
        remote=("127.0.0.2", 4000), codec="PCMU", dtmf_payload_type=101, send=True, receive=True, peer_holds=False
    )
    state, _ = make_offer(US)
    odd = offer(line).replace(b"m=video 5000", b"m=video 0")
    assert apply_answer(replace(state, local_media=(*state.local_media, *parse(odd).media[1:])), odd).agreed is not None


@pytest.mark.parametrize(
    ("line", "codec"),
    [("a=rtpmap:\t96\tPCMU/8000", ("PCMU", 8000)), ("a=rtpmap: 096  opus/48000/2 ", ("OPUS", 48000))],
)
def test_blanks_in_an_rtpmap_are_blanks(line: str, codec: tuple[str, int]) -> None:
    assert parse(offer(line)).media[0].codec("96") == codec


def test_an_origin_may_name_its_user_in_several_words() -> None:
    state, _ = answer_offer(US, offer().replace(b"o=phone", b"o=my desk phone"))
    assert state.agreed is not None


def test_a_mediums_address_that_cannot_be_read_is_not_the_sessions() -> None:
    named = offer() + b"m=audio 5000 RTP/AVP 0\r\nc=IN IP4 phone.example.com\r\n"
    assert [medium.address for medium in parse(named).media] == ["127.0.0.2", None]


@given(st.binary(max_size=300), st.integers(0, 200), st.integers(0, 255))
def test_no_bytes_do_harm(noise: bytes, at: int, byte: int) -> None:
    good = bytearray(offer())
    good[at % len(good)] = byte
    for body in (noise, bytes(good), bytes(good) + noise):
        try:
            answer_offer(US, body)
        except (SdpUnreadable, NotAcceptableHere):
            continue


def test_codecs_named_twice_are_one_codec() -> None:
    """A hold offer with this once crashed a server in the field."""
    state, _ = answer_offer(US, offer())
    named = ["a=rtpmap:0 PCMU/8000"] * 50
    twice = offer(*named, "a=rtpmap:0 pcmu/8000", direction="a=sendonly", formats="0 0 8 8 0 101 101")
    state, answer = answer_offer(state, twice)
    assert state.agreed is not None
    assert (state.agreed.codec, state.agreed.peer_holds) == ("PCMU", True)
    assert b"RTP/AVP 0 101\r\n" in answer
    assert answer.count(b"PCMU") == 1


def test_descriptions_of_real_phones_are_read() -> None:
    body = (
        b"v=0\no=- 3826 1 IN IP4 192.168.0.9\nc=IN IP4 192.168.0.9\nb=AS:128\na=group:BUNDLE audio\n"
        b"m=audio 7078/2 RTP/AVP 96 0 8 101\na=rtpmap:96 opus/48000/2\na=fmtp:96 useinbandfec=1\na=rtpmap:0 PCMU/8000\n"
        b"a=rtpmap:101 telephone-event/8000\na=ptime:0\na=ptime:30\na=rtcp-mux\n\n"
    )
    medium = parse(body).media[0]
    assert (medium.port, medium.ptime_ms, medium.codec("96")) == (7078, 30, ("OPUS", 48000))
    state, _ = answer_offer(US, body)
    assert state.agreed is not None
    assert state.agreed.remote == ("192.168.0.9", 7078)


def test_telephone_events_that_are_off_are_neither_offered_nor_accepted() -> None:
    plain = replace(THEM, telephone_events=False)
    asked, sdp = make_offer(plain)
    assert b"telephone-event" not in sdp
    answered, back = answer_offer(US, sdp)
    assert answered.agreed is not None
    assert answered.agreed.dtmf_payload_type is None
    assert apply_answer(asked, back).agreed is not None

    asked, sdp = make_offer(US)
    assert b"telephone-event" in sdp
    answered, back = answer_offer(plain, sdp)
    assert b"telephone-event" not in back
    settled = apply_answer(asked, back)
    assert settled.agreed is not None
    assert answered.agreed is not None
    assert settled.agreed.dtmf_payload_type is answered.agreed.dtmf_payload_type is None
