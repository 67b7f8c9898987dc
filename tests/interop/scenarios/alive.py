"""Whether the other side is still there, and changes of both sides that meet: RFC 4028, RFC 3261 §11, §14."""

from __future__ import annotations

from tests.interop.scenes import (
    Scene,
    answers,
    asked,
    back,
    calls,
    gets,
    hangs_up,
    reply,
    scene,
    sdp,
    wait,
    within,
)

TIMER = "Supported: timer"
ALLOW = "Allow: INVITE, ACK, BYE, CANCEL"
HALF_S, OVER_S = 45, 60
"""When a session of 90 s is refreshed, and when it is over."""
SOON_MS = (HALF_S + 10) * 1000


def timed(*headers: str, refresher: str) -> list[str]:
    """A call whose session lasts 90 s, and is refreshed by this side."""
    agreed = f"Session-Expires: 90;refresher={refresher}"
    return calls(TIMER, agreed, *headers, answer=[agreed])


REFRESHES = scene(
    "A caller refreshes its session by re-INVITE: nothing changes, not even the version of our description",
    timed(refresher="uac"),
    within("INVITE", TIMER, "Session-Expires: 90;refresher=uac", cseq=2, body=sdp()),
    gets(100, optional=True),
    gets(200, "Session-Expires: 90;refresher=uac", "o=- [0-9]+ 1 IN", "a=sendrecv"),
    within("ACK", cseq=2),
    within("UPDATE", TIMER, "Session-Expires: 60;refresher=uac", cseq=3),
    gets(422, "Min-SE: 90"),
    within("UPDATE", TIMER, "Session-Expires: 90;refresher=uac", cseq=4),
    gets(200, "Session-Expires: 90;refresher=uac", lacks=["m=audio"]),
    hangs_up(5),
)
IS_REFRESHED_BY_UPDATE = scene(
    "A caller leaves it to us: we refresh by UPDATE at half the time",
    timed(f"{ALLOW}, UPDATE", refresher="uas"),
    asked("UPDATE", "Session-Expires: 90;refresher=uac", lacks=["m=audio"], within_ms=SOON_MS),
    reply("200 OK", "Require: timer", "Session-Expires: 90;refresher=uac"),
    hangs_up(2),
)
_OURS = {"via": "Via:", "cseq": "CSeq:", "from": "From:", "to": "To:"}


def _to_ours(status: str, *headers: str, body: str = "") -> str:
    """A response to the re-INVITE that was kept."""
    return reply(
        status,
        *headers,
        via="Via:[$via]",
        cseq="CSeq:[$cseq]",
        from_="From:[$from]",
        to="To:[$to]",
        body=body,
        again=body != "",
    )


CROSSES = scene(
    "Our re-INVITE and a caller's cross: both are told 491, and ours comes again once the caller's is through",
    timed(ALLOW, refresher="uas"),
    asked("INVITE", "Session-Expires: 90;refresher=uac", "a=sendrecv", keeps=_OURS, within_ms=SOON_MS),
    within("INVITE", cseq=2, body=sdp("sendonly", version=2)),
    gets(491, "CSeq: 2 INVITE"),
    within("ACK", cseq=2),
    _to_ours("491 Request Pending"),
    asked("ACK"),
    asked("INVITE", "Session-Expires: 90;refresher=uac", within_ms=4_000),
    reply("200 OK", "Require: timer", "Session-Expires: 90;refresher=uac", body=sdp(version=2), again=True),
    asked("ACK"),
    within("INVITE", cseq=3, body=sdp("sendonly", version=3)),
    gets(100, optional=True),
    gets(200, "CSeq: 3 INVITE", "a=recvonly"),
    within("ACK", cseq=3),
    hangs_up(4),
)
CALLED_IS_REFRESHED = scene(
    "A called phone without UPDATE leaves the refresh to us, pushes ours back twice, and takes the third",
    answers("Require: timer", "Session-Expires: 90;refresher=uac", ALLOW),
    asked("INVITE", "Session-Expires: 90;refresher=uac", within_ms=SOON_MS),
    reply("491 Request Pending"),
    asked("ACK"),
    asked("INVITE", "Session-Expires: 90;refresher=uac", within_ms=5_000),
    reply("491 Request Pending"),
    asked("ACK"),
    asked("INVITE", "Session-Expires: 90;refresher=uac", within_ms=5_000),
    reply("200 OK", "Require: timer", "Session-Expires: 90;refresher=uac", body=sdp(), again=True),
    asked("ACK"),
    back("BYE", cseq=1),
    gets(200),
)
EXPIRES = scene(
    "A caller that should refresh its session and does not is hung up on before the session is over",
    timed(refresher="uac"),
    asked("BYE", within_ms=(OVER_S + 10) * 1000),
    reply("200 OK"),
)
CALLED_EXPIRES = scene(
    "A called phone that should refresh the session and does not is hung up on",
    answers("Require: timer", "Session-Expires: 90;refresher=uas"),
    asked("BYE", within_ms=(OVER_S + 10) * 1000),
    reply("200 OK"),
)
IS_THERE = scene(
    "A caller that says nothing is asked whether it is there, says so, and is left in peace",
    calls(),
    asked("OPTIONS", within_ms=3_000),
    reply("200 OK"),
    asked("OPTIONS", within_ms=3_000),
    reply("405 Method Not Allowed"),
    hangs_up(2),
)
FORGETS = scene(
    "A caller that was started anew knows nothing of the call: it is told goodbye",
    calls(),
    asked("OPTIONS", within_ms=3_000),
    reply("481 Call/Transaction Does Not Exist"),
    asked("BYE", within_ms=3_000),
    reply("200 OK"),
)
SILENT = scene(
    "A caller that sends no sound is hung up on",
    calls(),
    asked("BYE", within_ms=8_000),
    reply("200 OK"),
)
SILENT_WHILE_IT_HOLDS = scene(
    "A caller that holds may send no sound; once it is back it must",
    calls(),
    within("UPDATE", cseq=2, body=sdp("sendonly", version=2)),
    gets(200, "a=recvonly"),
    wait(5_000),
    within("UPDATE", cseq=3, body=sdp(version=3)),
    gets(200, "a=sendrecv"),
    asked("BYE", within_ms=8_000),
    reply("200 OK"),
)

ALL = {name.lower(): found for name, found in globals().items() if isinstance(found, Scene)}
