"""What the ladder is told of a SIP message."""

from __future__ import annotations

from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import SipMessageTrace, Trace
from holdfast.voice.runtime.sip.legs.sip_trace import SipTrace
from holdfast.voice.sip.effects import Address, MessageSeen, SessionId

CALL, SESSION = CallSid("CA" + "1" * 32), SessionId("s")


def shown(*lines: str) -> str:
    """What is kept of a message of these lines."""
    seen: list[Trace] = []
    ladder = SipTrace(seen.append)
    ladder.assign(SESSION, CALL)
    ladder.record(
        MessageSeen(
            session=SESSION,
            direction="in",
            data="\r\n".join(lines).encode(),
            start_line="INVITE sip:a SIP/2.0",
            cseq="1 INVITE",
            peer=Address("192.0.2.1", 5060),
            repeated=False,
        )
    )
    (told,) = seen
    assert isinstance(told, SipMessageTrace)
    return told.text


def test_srtp_keys_are_not_kept() -> None:
    lines = (
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20|1:32 UNENCRYPTED_SRTCP",
        "A=CRYPTO:2 AES_CM_128_HMAC_SHA1_32 INLINE:c2VjcmV0;inline: c2VjcmV0",
    )
    text = shown(*lines)
    assert "c2VjcmV0" not in text
    assert "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***|2^20|1:32 UNENCRYPTED_SRTCP" in text


def test_digest_responses_are_not_kept() -> None:
    text = shown(
        "INVITE sip:a SIP/2.0",
        'Authorization: Digest username="alice", realm="holdfast", nonce="n", response="0f00"',
        "proxy-authorization:digest username=alice,RESPONSE = 0f00 , uri=sip:a",
        'Authorization: Digest username="bob",',
        ' response="0f00", algorithm=MD5',
        "AUTHORIZATION : Basic 0f00",
        "Authorization: Bearer 0f00,",
        "\t0f00",
        "Subject: a response=is needed",
        "Authorization:",
        " Basic",
        " 0f00",
        "Authorization: Basic,0f00",
        "Authorization: 0f00",
        "Authorization: Digest",
        " response",
        " =",
        ' "0f00", response="a b, \\"0f00", response=',
        "\t0f00",
        "",
        "0f00 in a body",
    )
    assert text.count("0f00") == 1
    assert 'Authorization: Digest username="alice", realm="holdfast", nonce="n", response="***"' in text
    assert "proxy-authorization:digest username=alice,RESPONSE = *** , uri=sip:a" in text
    assert "AUTHORIZATION : ***\r\nAuthorization: ***\r\nSubject: " in text
