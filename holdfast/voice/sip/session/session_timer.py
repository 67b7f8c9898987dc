"""Whether the peer of a running call is still there: session timers, and OPTIONS when nothing is heard of it.

A session timer is agreed in the 2xx: one side refreshes at half its time, and whoever sees no refresh ends the call a
little before it is over. A call whose peer agreed to none is asked by OPTIONS in the dialog.
Source: RFC 4028; RFC 3261 §11, §12.2.1.2.
"""

from __future__ import annotations

import re
from dataclasses import replace

from holdfast.voice.sip.dialog.session_state import Session, SessionTimer
from holdfast.voice.sip.effects import Headers, RefreshDue
from holdfast.voice.sip.message.message import Message, Request, Response
from holdfast.voice.sip.settings import AgentSettings
from holdfast.voice.sip.stack import SipStack, session_timer_token

OPTION = "timer"
MIN_SE_S = 90
"""The shortest session anybody may ask for. Source: RFC 4028 §4."""
RETRY_S = 10.0
"""A refresh that was refused for the moment is tried again after this long."""
RECENT_AUDIO_S = 15.0
"""A peer whose sound was heard so short a time ago is there, whether it answers our requests or not."""
MAX_INTERVAL_RAISES = 3
"""How often a session is asked for anew because its time was called too short."""

_EXPIRES = re.compile(r"\s*([0-9]{1,9})\s*(?:;(.*))?\Z", re.DOTALL)
_REFRESHER = re.compile(r"(?:^|;)\s*refresher\s*=\s*(uac|uas)\s*(?:;|\Z)", re.IGNORECASE)


def supported(message: Message) -> bool:
    """Whether the sender knows session timers."""
    return any(tag.lower() == OPTION for name in ("Supported", "Require") for tag in message.values(name))


def session_expires_s(message: Message) -> int | None:
    """The time in Session-Expires, or None. Units: seconds."""
    found = _EXPIRES.match(message.first("Session-Expires") or "")
    return int(found[1]) if found else None


def min_se_s(message: Message) -> int:
    """The least time the sender takes: Min-SE, else the RFC's."""
    found = _EXPIRES.match(message.first("Min-SE") or "")
    return max(MIN_SE_S, int(found[1])) if found else MIN_SE_S


def _refresher(message: Message) -> str | None:
    found = _REFRESHER.search((message.first("Session-Expires") or "").partition(";")[2])
    return found[1].lower() if found else None


# --- what our requests ask for


def invite_headers(settings: AgentSettings) -> Headers:
    """What the first INVITE of a session asks for."""
    if not settings.session_expires_s:
        return ()
    return (("Session-Expires", str(settings.session_expires_s)), ("Min-SE", str(MIN_SE_S)))


def refresh_headers(session: Session) -> Headers:
    """What a re-INVITE or UPDATE of ours says, so that the timer goes on as agreed."""
    if session.timer is None:
        return (("Supported", OPTION),)
    role = "uac" if session.timer.we_refresh else "uas"
    return (("Supported", OPTION), ("Session-Expires", f"{session.timer.expires_s};refresher={role}"))


def longer_interval_headers(refused: Response, settings: AgentSettings) -> Headers | None:
    """After a 422: what to ask for instead. None when it names no time that we could take."""
    wanted = min_se_s(refused)
    if refused.first("Min-SE") is None or not settings.session_expires_s:
        return None
    expires = max(wanted, settings.session_expires_s)
    return (("Session-Expires", str(expires)), ("Min-SE", str(wanted)))


# --- what is agreed


def too_short_headers(received: Request) -> Headers | None:
    """The headers of a 422 when the peer asks for a session shorter than we take. Source: RFC 4028 §8, §9."""
    wanted = session_expires_s(received)
    return (("Min-SE", str(MIN_SE_S)),) if wanted is not None and wanted < MIN_SE_S and supported(received) else None


def negotiate(
    received: Request, before: SessionTimer | None, settings: AgentSettings
) -> tuple[SessionTimer | None, Headers]:
    """What holds after a request of the peer's, and what our 2xx says of it. Source: RFC 4028 §9, table 2."""
    wanted = session_expires_s(received)
    knows = supported(received)
    if not settings.session_expires_s or (wanted is None and not knows) or (wanted or MIN_SE_S) < MIN_SE_S:
        return None, ()
    expires = max(min_se_s(received), min(wanted or settings.session_expires_s, settings.session_expires_s))
    if not knows:
        refresher = "uas"
    else:
        refresher = _refresher(received) or ("uas" if before is not None and before.we_refresh else "uac")
    required: Headers = (("Require", OPTION),) if refresher == "uac" else ()
    agreed = SessionTimer(expires_s=expires, we_refresh=refresher == "uas")
    return agreed, (*required, ("Session-Expires", f"{expires};refresher={refresher}"))


def agreed_timer(accepted: Response) -> SessionTimer | None:
    """What holds after a 2xx of the peer's to our INVITE or UPDATE."""
    expires = session_expires_s(accepted)
    if expires is None:
        return None
    return SessionTimer(expires_s=max(MIN_SE_S, expires), we_refresh=_refresher(accepted) != "uas")


def restart(stack: SipStack, session: Session, timer: SessionTimer | None) -> Session:
    """Run the session timer anew from now on. Source: RFC 4028 §10."""
    for name in ("refresh", "expire"):
        stack.stop(session_timer_token(name, session.id))
    if timer is not None:
        if timer.we_refresh:
            stack.start(session_timer_token("refresh", session.id), timer.expires_s / 2)
        margin = min(32.0, timer.expires_s / 3)
        stack.start(session_timer_token("expire", session.id), timer.expires_s - margin)
    return stack.put(replace(session, timer=timer))


def request_refresh(stack: SipStack, session: Session) -> None:
    """Our owner must refresh the session by a re-INVITE; if it does not, we ask again."""
    stack.start(session_timer_token("refresh", session.id), RETRY_S)
    stack.emit(RefreshDue(session=session.id))


def allows_update(message: Message) -> bool:
    """Whether the sender takes UPDATE."""
    return "UPDATE" in (method.upper() for method in message.values("Allow"))


def has_recent_audio(stack: SipStack, session: Session) -> bool:
    """Whether the peer's sound was heard so short a time ago that it is there, whatever it does not answer."""
    return session.last_audio_at is not None and stack.now - session.last_audio_at <= RECENT_AUDIO_S


def start_keepalive(stack: SipStack, session: Session) -> None:
    """From now on ask the peer whether it is there, when nothing is heard of it for long."""
    if stack.settings.keepalive_s > 0:
        stack.start(session_timer_token("idle", session.id), stack.settings.keepalive_s)


def keepalive_due_in_s(stack: SipStack, session: Session) -> float:
    """How much longer nothing may be heard of the peer before it is asked; 0 or less when it is time."""
    return session.last_message_at + stack.settings.keepalive_s - stack.now
