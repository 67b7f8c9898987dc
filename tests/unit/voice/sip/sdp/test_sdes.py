"""SDES keys in descriptions: usable lines, agreed keys, and sessions that never become plain."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.sip.errors import NotAcceptableHere
from holdfast.voice.sip.sdp import sdes
from holdfast.voice.sip.sdp.offer import (
    Negotiation,
    SrtpPolicy,
    answer_offer,
    apply_answer,
    make_offer,
)
from holdfast.voice.sip.sdp.sdp import Direction, parse

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
"""The key of the example in RFC 4568 §4, which is 30 bytes."""
OURS = sdes.make_crypto(lambda size: b"o" * size)
THEIRS = sdes.make_crypto(lambda size: b"t" * size)
US = Negotiation(local=("127.0.0.1", 16384), session_id=7, srtp_policy="accepted", crypto=OURS)
THEM = Negotiation(local=("127.0.0.2", 4000), session_id=8, srtp_policy="offered", crypto=THEIRS)


@pytest.mark.parametrize(
    ("value", "tag", "suite"),
    [
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}", 1, "AES_CM_128_HMAC_SHA1_80"),
        (f"2  AES_CM_128_HMAC_SHA1_32\tinline:{KEY}|2^20 ", 2, "AES_CM_128_HMAC_SHA1_32"),
        (f"999999999 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|1048576", 999999999, "AES_CM_128_HMAC_SHA1_32"),
        (f"3 AEAD_AES_128_GCM inline:{b64encode(b'x' * 28).decode()}", 3, "AEAD_AES_128_GCM"),
    ],
)
def test_a_crypto_line_is_parsed(value: str, tag: int, suite: str) -> None:
    line = sdes.parse_crypto(value)
    assert line is not None
    assert (line.tag, line.suite, len(line.key)) == (tag, suite, sdes.KEY_BYTES[line.suite])
    assert sdes.parse_crypto(line.encode()) == line
    assert "key" not in repr(line)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "AES_CM_128_HMAC_SHA1_80",
        f"1 F8_128_HMAC_SHA1_80 inline:{KEY}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY};inline:{KEY}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=10",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY[:-4]}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY[:-1]}",
        f"1 AEAD_AES_128_GCM inline:{KEY}",
        f"-1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}",
        f"1 AES_CM_128_HMAC_SHA1_80 uri:{KEY}",
    ],
)
def test_a_crypto_line_with_anything_else_is_skipped(value: str) -> None:
    assert sdes.parse_crypto(value) is None


@given(st.text(max_size=120))
def test_no_line_does_harm(value: str) -> None:
    sdes.parse_crypto(value)


def test_an_offer_has_our_keys_and_the_answer_the_peers() -> None:
    them, offer = make_offer(THEM)
    assert b"m=audio 4000 RTP/SAVP 0 8 9 101\r\n" in offer
    assert offer.count(b"a=crypto:") == 3
    us, answer = answer_offer(US, offer)
    assert answer.count(b"a=crypto:") == 1
    assert b"m=audio 16384 RTP/SAVP 0 101\r\n" in answer
    them = apply_answer(them, answer)
    assert us.agreed is not None
    assert them.agreed is not None
    assert us.agreed.srtp == sdes.SdesKeys(suite="AES_CM_128_HMAC_SHA1_80", send=b"o" * 30, receive=b"t" * 30)
    assert them.agreed.srtp == sdes.SdesKeys(suite="AES_CM_128_HMAC_SHA1_80", send=b"t" * 30, receive=b"o" * 30)


def test_the_offerers_order_decides_among_suites() -> None:
    _, offer = make_offer(replace(THEM, crypto=THEIRS[1:2]))
    us, _ = answer_offer(US, offer)
    assert us.agreed is not None
    assert us.agreed.srtp is not None
    assert us.agreed.srtp.suite == "AES_CM_128_HMAC_SHA1_32"


def test_a_suite_without_a_key_of_ours_is_skipped() -> None:
    _, offer = make_offer(THEM)
    us, _ = answer_offer(replace(US, crypto=OURS[2:]), offer)
    assert us.agreed is not None
    assert us.agreed.srtp == sdes.SdesKeys(suite="AEAD_AES_128_GCM", send=b"o" * 28, receive=b"t" * 28)


def test_a_hold_keeps_the_srtp_keys() -> None:
    them, offer = make_offer(THEM)
    us, answer = answer_offer(US, offer)
    before = us.agreed
    them = apply_answer(them, answer)
    them, hold = make_offer(replace(them, local_direction=Direction.SENDONLY))
    us, answer = answer_offer(us, hold)
    them = apply_answer(them, answer)
    assert before is not None
    assert us.agreed is not None
    assert us.agreed.srtp == before.srtp
    us, ours = make_offer(us)
    assert b"RTP/SAVP" in ours
    them, _ = answer_offer(them, ours)
    assert them.agreed is not None
    assert them.agreed.srtp is not None


@pytest.mark.parametrize(
    ("sealing", "change", "why"),
    [
        ("refused", (b"", b""), "use TLS"),
        ("accepted", (b"inline:", b"uri:"), "without a key"),
        ("required", (b"RTP/SAVP", b"RTP/AVP"), "accepts SRTP alone"),
    ],
)
def test_an_unsupported_description_is_refused_with_the_reason(
    sealing: SrtpPolicy, change: tuple[bytes, bytes], why: str
) -> None:
    _, offer = make_offer(THEM)
    with pytest.raises(NotAcceptableHere, match=why):
        answer_offer(replace(US, srtp_policy=sealing), offer.replace(*change))


def test_srtp_keys_on_a_plain_line_change_nothing() -> None:
    """Phones with optional encryption offer RTP/AVP with keys. Source: RFC 4568 §4 (RTP/SAVP alone)."""
    _, offer = make_offer(THEM)
    us, answer = answer_offer(US, offer.replace(b"RTP/SAVP", b"RTP/AVP"))
    assert us.agreed is not None
    assert us.agreed.srtp is None
    assert b"crypto" not in answer


def test_of_a_plain_line_and_one_with_srtp_the_latter_is_taken() -> None:
    _, offer = make_offer(THEM)
    plain = b"m=audio 4002 RTP/AVP 0\r\n"
    us, answer = answer_offer(US, offer.replace(b"m=audio", plain + b"m=audio", 1))
    assert us.agreed is not None
    assert us.agreed.srtp is not None
    assert [medium.port for medium in parse(answer).media] == [0, 16384]
    us, answer = answer_offer(replace(US, srtp_policy="refused"), offer.replace(b"m=audio", plain + b"m=audio", 1))
    assert [medium.port for medium in parse(answer).media] == [16384, 0]


def test_a_session_with_srtp_never_becomes_plain() -> None:
    _, offer = make_offer(THEM)
    us, _ = answer_offer(US, offer)
    with pytest.raises(NotAcceptableHere, match="accepts SRTP alone"):
        answer_offer(us, offer.replace(b"RTP/SAVP", b"RTP/AVP"))


def test_a_session_with_srtp_keeps_it_after_its_audio_was_removed() -> None:
    _, offer = make_offer(THEM)
    state, _ = answer_offer(US, offer)
    state, away = answer_offer(state, offer.replace(b"m=audio 4000", b"m=audio 0"))
    assert b"m=audio 0 RTP/SAVP" in away
    with pytest.raises(NotAcceptableHere):
        answer_offer(state, make_offer(replace(THEM, srtp_policy="refused"))[1])
    assert b"m=audio 16384 RTP/SAVP" in make_offer(state)[1]
    state, _ = answer_offer(state, offer)
    assert state.agreed is not None
    assert (state.agreed.srtp is not None, state.agreed.peer_holds) == (True, False)


@pytest.mark.parametrize(
    "change", [(b"RTP/SAVP", b"RTP/AVP"), (b"a=crypto:1", b"a=crypto:9"), (b"a=crypto:", b"a=other:")]
)
def test_an_answer_that_would_make_our_offer_plain_is_refused(change: tuple[bytes, bytes]) -> None:
    them, offer = make_offer(THEM)
    _, answer = answer_offer(US, offer)
    with pytest.raises(NotAcceptableHere):
        apply_answer(them, answer.replace(*change))


def test_a_plain_offer_of_ours_is_not_answered_with_srtp() -> None:
    us, offer = make_offer(US)
    assert b"RTP/AVP" in offer
    _, answer = answer_offer(replace(THEM, srtp_policy="accepted"), offer)
    with pytest.raises(NotAcceptableHere):
        apply_answer(us, answer.replace(b"RTP/AVP", b"RTP/SAVP"))
