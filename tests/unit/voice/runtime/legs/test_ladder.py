"""What the ladder is told of a SIP message."""

from __future__ import annotations

from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import SipSeen, Trace
from holdfast.voice.runtime.legs.ladder import Ladder
from holdfast.voice.sip.effects import Address, MessageSeen, SessionId

CALL, SESSION = CallSid("CA" + "1" * 32), SessionId("s")


def test_keys_of_srtp_are_not_kept() -> None:
    seen: list[Trace] = []
    ladder = Ladder(seen.append)
    ladder.note(SESSION, CALL)
    lines = (
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0|2^20|1:32 UNENCRYPTED_SRTCP",
        "A=CRYPTO:2 AES_CM_128_HMAC_SHA1_32 INLINE:c2VjcmV0;inline:c2VjcmV0",
    )
    ladder.show(
        MessageSeen(
            session=SESSION,
            direction="in",
            data="\r\n".join(lines).encode(),
            start_line="INVITE sip:a SIP/2.0",
            cseq="1 INVITE",
            peer=Address("192.0.2.1", 5060),
            again=False,
        )
    )
    (told,) = seen
    assert isinstance(told, SipSeen)
    assert "c2VjcmV0" not in told.text
    assert "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:***|2^20|1:32 UNENCRYPTED_SRTCP" in told.text
