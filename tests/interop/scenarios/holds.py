"""Every form in which phones hold, by re-INVITE and by UPDATE: RFC 3264 §8.4, RFC 2543 §B.5, RFC 3515."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from tests.interop.scenes import Scene, answers, asked, back, calls, gets, hangs_up, is_hung_up, log, scene, sdp, within

FORMS: tuple[tuple[str, str], ...] = (
    (sdp("sendonly", version=2), "recvonly"),
    (sdp("inactive", version=3), "inactive"),
    (sdp("sendrecv", address="0.0.0.0", version=4), "recvonly"),
    (sdp(None, address="0.0.0.0", version=5), "recvonly"),
    (sdp("inactive", address="0.0.0.0", version=6), "inactive"),
    (sdp("sendonly", of_session="sendrecv", version=7), "recvonly"),
    (sdp("sendrecv", of_session="sendonly", version=8), "sendrecv"),
    (sdp(None, of_session="sendonly", version=9), "recvonly"),
    (sdp(None, of_session="inactive", version=10), "inactive"),
    (sdp("sendonly", formats="8 0 101", version=11), "recvonly"),
    (sdp("sendonly", version=1), "recvonly"),
    (sdp("sendonly", version=12).replace("m=audio [media_port]", "m=audio 0"), "inactive"),
)
"""Offers of a hold, and the direction that answers each: at the line, at the session, at both, in the old way, with
the codecs turned, under the version of the first offer, and by taking the sound away."""


def changes(method: str, offer: str, direction: str, *, cseq: int) -> list[str]:
    """A phone changes the call, and is answered so."""
    port = "0" if "m=audio 0" in offer else "[1-9][0-9]*"
    answer = gets(200, f"CSeq: {cseq} {method}", f"m=audio {port} RTP/AVP 0 ", f"a={direction}")
    if method == "UPDATE":
        return [within("UPDATE", cseq=cseq, body=offer), answer]
    return [within("INVITE", cseq=cseq, body=offer), gets(100, optional=True), answer, within("ACK", cseq=cseq)]


def forms(method: str) -> Scene:
    """Each form of hold twice, and each time the way back."""
    cseq = count(2)
    steps = [
        step
        for offer, direction in FORMS
        for each, answer in ((offer, direction), (offer, direction), (sdp(version=20), "sendrecv"))
        for step in changes(method, each, answer, cseq=next(cseq))
    ]
    return scene(f"A caller holds by {method} in every form there is", calls(), steps, hangs_up(next(cseq)))


HELD_BY_REINVITE = forms("INVITE")
HELD_BY_UPDATE = forms("UPDATE")
HELD_BOTH_WAYS = scene(
    "A caller holds by UPDATE, again by re-INVITE, and is back by a re-INVITE without an offer, which it answers",
    calls(),
    changes("UPDATE", sdp("sendonly", version=2), "recvonly", cseq=2),
    changes("INVITE", sdp("inactive", version=3), "inactive", cseq=3),
    within("INVITE", cseq=4),
    gets(100, optional=True),
    gets(200, "m=audio [1-9][0-9]* RTP/AVP", "a=sendrecv"),
    within("ACK", cseq=4, body=sdp("sendonly", version=4)),
    changes("UPDATE", sdp("sendonly", version=4), "recvonly", cseq=5),
    within("INVITE", cseq=6),
    gets(100, optional=True),
    gets(200, "m=audio [1-9][0-9]* RTP/AVP", "a=sendrecv"),
    within("ACK", cseq=6, body=sdp(version=5)),
    changes("UPDATE", sdp("sendonly", version=6), "recvonly", cseq=7),
    hangs_up(8),
)
UNANSWERABLE = scene(
    "Changes that cannot be taken leave a held call as it is: no codec of ours, half a description, another body",
    calls(),
    changes("INVITE", sdp("sendonly", version=2), "recvonly", cseq=2),
    within("INVITE", cseq=3, body=sdp(version=3, formats="18")),
    gets(100, optional=True),
    gets(488),
    within("ACK", cseq=3),
    within("UPDATE", cseq=4, body="v=0"),
    gets(488),
    within("UPDATE", cseq=5, body="hold, please", kind="text/plain"),
    gets(415, "Accept: application/sdp"),
    changes("INVITE", sdp(version=4), "sendrecv", cseq=6),
    hangs_up(7),
)
REFERS_WHILE_IT_HOLDS = scene(
    "A caller holds, asks to be transferred where nobody allows it, and is declined; it is still held, and comes back",
    calls(),
    changes("INVITE", sdp("sendonly", version=2), "recvonly", cseq=2),
    within("REFER", "Refer-To: <sip:elsewhere@127.0.0.1>", cseq=3),
    gets(603),
    changes("UPDATE", sdp("inactive", version=3), "inactive", cseq=4),
    changes("INVITE", sdp(version=4), "sendrecv", cseq=5),
    hangs_up(6),
)


def called_changes(method: str, offer: str, direction: str, *, cseq: int) -> list[str]:
    """The same of a phone that was called."""
    answer = gets(200, f"CSeq: {cseq} {method}", "m=audio [1-9][0-9]* RTP/AVP 0 ", f"a={direction}")
    if method == "UPDATE":
        return [back("UPDATE", cseq=cseq, body=offer), answer]
    return [back("INVITE", cseq=cseq, body=offer), gets(100, optional=True), answer, back("ACK", cseq=cseq)]


CALLED_HOLDS = scene(
    "A called phone holds by re-INVITE and by UPDATE, is back without an offer, holds again, and hangs up",
    answers(),
    called_changes("INVITE", sdp("sendonly", version=2), "recvonly", cseq=1),
    called_changes("UPDATE", sdp("sendrecv", address="0.0.0.0", version=3), "recvonly", cseq=2),
    back("INVITE", cseq=3),
    gets(100, optional=True),
    gets(200, "m=audio [1-9][0-9]* RTP/AVP", "a=sendrecv"),
    back("ACK", cseq=3, body=sdp(version=4)),
    called_changes("UPDATE", sdp(None, of_session="inactive", version=5), "inactive", cseq=4),
    called_changes("INVITE", sdp(version=6), "sendrecv", cseq=5),
    back("BYE", cseq=6),
    gets(200),
)


def holds_until_told(sound: Path) -> Scene:
    """A called phone that hums, and holds from its first cue to its second."""
    return scene(
        "A called phone hums, and holds for as long as it is wanted",
        answers(),
        f'  <nop><action><exec rtp_stream="{sound},-1,0"/></action></nop>\n',
        log("[call_id]"),
        asked("MESSAGE"),
        called_changes("INVITE", sdp("sendonly", version=2), "recvonly", cseq=1),
        asked("MESSAGE"),
        called_changes("UPDATE", sdp(version=3), "sendrecv", cseq=2),
        is_hung_up(),
    )


ALL = {name.lower(): found for name, found in globals().items() if isinstance(found, Scene)}
