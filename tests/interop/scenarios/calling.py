"""Calls in and out: routes, addresses behind routers, sound before the answer, forks, codecs, digits."""

from __future__ import annotations

from pathlib import Path

from tests.interop.scenes import (
    PARTIES,
    TARGET,
    Scene,
    ack_of_refusal,
    answers,
    ask,
    asked,
    back,
    calls,
    gets,
    hangs_up,
    is_hung_up,
    reply,
    scene,
    sdp,
    sent,
    wait,
    within,
)

ROUTE = "<sip:[local_ip]:[local_port];lr>"
FAR_ROUTE = "<sip:far@198.51.100.9;lr;x=1>"
RELIABLE = "Require: 100rel"

ROUTED = scene(
    "A caller behind two proxies: their Record-Route comes back as it was, and our BYE names them as its route",
    calls(
        f"Record-Route: {ROUTE}",
        f"Record-Route: {FAR_ROUTE}",
        answer=[r"Record-Route: .*<sip:far@198.51.100.9;lr;x=1>"],
    ),
    asked(
        "BYE",
        "^BYE sip:caller@[0-9.]*:[0-9]*",
        r"Route: <sip:[0-9.]*:[0-9]*;lr>",
        r"Route: .*<sip:far@198.51.100.9;lr;x=1>",
    ),
    reply("200 OK"),
)
BEHIND_A_ROUTER = scene(
    "A caller whose Via and Contact lead nowhere is answered, and hung up on, where its messages come from",
    ask(
        "INVITE",
        body=sdp(),
        via="192.168.77.7:5099;rport;branch=[branch]",
        contact="<sip:caller@phone.invalid:5099>",
    ),
    gets(100, optional=True),
    gets(180, optional=True),
    gets(200, "Via: SIP/2.0/UDP 192.168.77.7:5099;.*rport=[0-9]+", "received=127.0.0.1", dialog=True),
    within("ACK", cseq=1),
    asked("BYE", "^BYE sip:caller@phone.invalid:5099 SIP"),
    reply("200 OK"),
)
HEARS_RINGING = scene(
    "A caller that is not answered yet is described sound by 183, changes it by UPDATE, and is answered",
    ask("INVITE", RELIABLE, "Allow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE", body=sdp()),
    gets(100, optional=True),
    gets(180, "Require: 100rel", "RSeq: 1", dialog=True),
    within("PRACK", "RAck: 1 1 INVITE", cseq=2),
    gets(200, "CSeq: 2 PRACK"),
    gets(183, "Require: 100rel", "RSeq: 2", "m=audio [1-9]", "a=sendrecv", dialog=True),
    within("PRACK", "RAck: 2 1 INVITE", cseq=3),
    gets(200, "CSeq: 3 PRACK"),
    within("UPDATE", cseq=4, body=sdp("inactive", version=2)),
    gets(200, "CSeq: 4 UPDATE", "a=inactive"),
    within("UPDATE", cseq=5, body=sdp(version=3)),
    gets(200, "CSeq: 5 UPDATE", "a=sendrecv"),
    gets(200, "CSeq: 1 INVITE", lacks=["m=audio"], dialog=True),
    within("ACK", cseq=1),
    hangs_up(6),
)
HEARS_RINGING_UNRELIABLY = scene(
    "A caller that knows no 100rel is described sound by a plain 183, and again by the 200",
    ask("INVITE", body=sdp()),
    gets(100, optional=True),
    gets(180, lacks=["RSeq"]),
    gets(183, "m=audio [1-9]", "a=sendrecv", lacks=["RSeq"]),
    gets(200, "CSeq: 1 INVITE", "m=audio [1-9]", dialog=True),
    within("ACK", cseq=1),
    hangs_up(2),
)


def rings_aloud(sound: Path) -> Scene:
    """A called phone that is heard before it answers; `sound` is bare µ-law."""
    return scene(
        "A called phone is heard before it answers",
        asked("INVITE"),
        reply("183 Session Progress", tag="called", body=sdp()),
        f'  <nop><action><exec rtp_stream="{sound},-1,0"/></action></nop>\n',
        wait(2_500),
        reply("200 OK", tag="called", body=sdp(), again=True),
        asked("ACK"),
        is_hung_up(),
    )


RINGS_A_WHILE = scene(
    "A called phone rings for a second and a half, and answers",
    asked("INVITE"),
    reply("180 Ringing", tag="called"),
    wait(1_500),
    reply("200 OK", tag="called", body=sdp(), again=True),
    asked("ACK"),
    is_hung_up(),
)
_INVITE = {"to": "To:", "cseq": "CSeq:", "via": "Via:"}


def _of_fork(status: str, tag: str, *, body: str = "") -> str:
    """A response to the INVITE by one of those that a proxy called."""
    return reply(
        status,
        tag=tag,
        to="To:[$to]",
        via="Via:[$via]",
        cseq="CSeq:[$cseq]",
        body=body,
        contact=f"<sip:{tag}@[local_ip]:[local_port]>",
    )


FORKED = scene(
    "A proxy calls three phones: two ring, one with sound; one answers; then another, which is acknowledged and ended",
    asked("INVITE", keeps=_INVITE),
    _of_fork("180 Ringing", "first"),
    _of_fork("183 Session Progress", "second", body=sdp(version=7)),
    wait(200),
    _of_fork("200 OK", "third", body=sdp(version=8)),
    asked("ACK", "^ACK sip:third@", "To: .*tag=[0-9]+third"),
    _of_fork("200 OK", "first", body=sdp(version=9)),
    asked("ACK", "^ACK sip:first@", "To: .*tag=[0-9]+first"),
    asked("BYE", "^BYE sip:first@", "To: .*tag=[0-9]+first"),
    reply("200 OK"),
    # The answer of the first again, as if the ACK had been lost: the same ACK comes, and no other BYE.
    _of_fork("200 OK", "first", body=sdp(version=9)),
    asked("ACK", "^ACK sip:first@", "To: .*tag=[0-9]+first"),
    asked("BYE", "^BYE sip:third@", "To: .*tag=[0-9]+third"),
    reply("200 OK"),
)


def speaks(formats: str, answer: str) -> Scene:
    """A caller that offers these payload types, in this order."""
    return scene(f"A caller offers {formats}", calls(offer=sdp(formats=formats), answer=[answer]), hangs_up(2))


CODECS = {
    "0 8 101": "m=audio [1-9][0-9]* RTP/AVP 0 101",
    "8 101": "m=audio [1-9][0-9]* RTP/AVP 8 101",
    "9 0 101": "m=audio [1-9][0-9]* RTP/AVP 9 101",
    "8": "m=audio [1-9][0-9]* RTP/AVP 8",
}
SPEAKS = {formats: speaks(formats, answer) for formats, answer in CODECS.items()}
SPEAKS_OTHERWISE = scene(
    "A caller without a codec of ours is refused, and told why",
    ask("INVITE", body=sdp(formats="18")),
    gets(100, optional=True),
    gets(488, "Warning: 399 "),
    ack_of_refusal(),
)
PRESSES_KEYS = scene(
    "A caller presses keys that travel as telephone events",
    calls(),
    wait(500),
    '  <nop><action><exec play_pcap_audio="/usr/share/sip-tester/dtmf_2833_2.pcap"/></action></nop>\n',
    wait(1_200),
    '  <nop><action><exec play_pcap_audio="/usr/share/sip-tester/dtmf_2833_4.pcap"/></action></nop>\n',
    is_hung_up(5_000),
)


def is_heard_badly(capture: Path) -> Scene:
    """A called phone whose sound is played from a capture."""
    return scene(
        "A called phone is heard over a network that loses and delays",
        answers(),
        f'  <nop><action><exec play_pcap_audio="{capture}"/></action></nop>\n',
        is_hung_up(),
    )


def presses_keys_as_tones(capture: Path) -> Scene:
    """A caller that knows no telephone events; the tones are in the capture."""
    return scene(
        "A caller presses keys that travel as tones in its sound",
        calls(offer=sdp(formats="0")),
        f'  <nop><action><exec play_pcap_audio="{capture}"/></action></nop>\n',
        is_hung_up(8_000),
    )


PRESSES_KEYS_BY_INFO = scene(
    "A caller presses keys that travel by INFO, in both ways of writing them, and something else that is none",
    calls(),
    within("INFO", cseq=2, body="Signal=2\nDuration=160", kind="application/dtmf-relay"),
    gets(200, "CSeq: 2 INFO"),
    within("INFO", cseq=3, body="<xml/>", kind="application/media_control+xml"),
    gets(415, "Accept: .*application/dtmf"),
    wait(1_000),
    within("INFO", cseq=4, body="4", kind="application/dtmf"),
    gets(200, "CSeq: 4 INFO"),
    is_hung_up(5_000),
)
CANCELS_TOO_LATE = scene(
    "A caller whose CANCEL meets our 200: the CANCEL is answered, and the call goes on",
    ask("INVITE", body=sdp()),
    gets(100, optional=True),
    gets(180, optional=True),
    gets(200, "CSeq: 1 INVITE", dialog=True),
    sent(
        f"CANCEL {TARGET} SIP/2.0",
        "[last_Via:]",
        "Max-Forwards: 70",
        "[last_From:]",
        f"To: <{TARGET}>",
        "[last_Call-ID:]",
        "CSeq: 1 CANCEL",
        again=True,
    ),
    gets(200, "CSeq: 1 CANCEL"),
    within("ACK", cseq=1),
    within("OPTIONS", cseq=2),
    gets(200, "CSeq: 2 OPTIONS"),
    hangs_up(3),
)
CHANGES_BEFORE_IT_ANSWERS = scene(
    "A called phone describes its sound reliably, changes it by UPDATE, and answers",
    asked("INVITE", "Supported: .*100rel", keeps={**PARTIES, **_INVITE}, dialog=True),
    reply(
        "183 Session Progress", "Require: 100rel", "RSeq: 5", "Allow: INVITE, UPDATE, PRACK", tag="called", body=sdp()
    ),
    asked("PRACK", "RAck: 5 1 INVITE"),
    reply("200 OK"),
    back("UPDATE", cseq=1, body=sdp("inactive", version=2)),
    gets(200, "CSeq: 1 UPDATE", "a=inactive"),
    back("UPDATE", cseq=2, body=sdp(version=3)),
    gets(200, "CSeq: 2 UPDATE", "a=sendrecv"),
    reply(
        "200 OK", tag="called", to="To:[$to]", via="Via:[$via]", cseq="CSeq:[$cseq]", from_="From:[$theirs]", again=True
    ),
    asked("ACK"),
    is_hung_up(),
)
MERGED = scene(
    "An INVITE that reaches us a second time on another way is a loop",
    ask("INVITE", body=sdp()),
    gets(100, optional=True),
    gets(180, optional=True),
    gets(200, dialog=True),
    within("ACK", cseq=1),
    ask("INVITE", body=sdp(), uri=TARGET),
    gets(482),
    ack_of_refusal(),
    is_hung_up(),
)
CALLED = scene("A called phone answers and is hung up on", answers(), is_hung_up())

ALL = {name.lower(): found for name, found in globals().items() if isinstance(found, Scene)}
