"""Session timers, and when a peer counts as alive.

A session timer is agreed in the 2xx: one side refreshes at half of it, and a side that receives no refresh ends the
call a little before it expires. A call whose peer agreed to none is checked by OPTIONS in the dialog.
Source: RFC 4028; RFC 3261 §11, §12.2.1.2.
"""

from __future__ import annotations

import re
from dataclasses import replace

from holdfast.voice.sip.dialog.session_machine import TimerKind
from holdfast.voice.sip.dialog.session_state import Session, SessionTimer
from holdfast.voice.sip.effects import Headers, RefreshDue
from holdfast.voice.sip.message.message import Message, Request, Response
from holdfast.voice.sip.settings import AgentSettings
from holdfast.voice.sip.stack import SipStack, session_timer_token

OPTION = "timer"
MIN_SE_S = 90
"""The shortest session interval that a peer may ask for. Source: RFC 4028 §4."""
RETRY_S = 10.0
"""The wait before a temporarily refused refresh is tried again."""
RECENT_AUDIO_S = 15.0
"""A peer whose RTP arrived this recently is alive, even if it answers none of our requests."""
MAX_INTERVAL_RAISES = 3
"""How often a longer session interval is asked for after a 422."""

_EXPIRES = re.compile(r"\s*([0-9]{1,9})\s*(?:;(.*))?\Z", re.DOTALL)
_REFRESHER = re.compile(r"(?:^|;)\s*refresher\s*=\s*(uac|uas)\s*(?:;|\Z)", re.IGNORECASE)


def supported(message: Message) -> bool:
    """Return whether the sender supports session timers."""
    return any(tag.lower() == OPTION for name in ("Supported", "Require") for tag in message.values(name))


def session_expires_s(message: Message) -> int | None:
    """Return the interval in Session-Expires, or None. Units: seconds."""
    found = _EXPIRES.match(message.first("Session-Expires") or "")
    return int(found[1]) if found else None


def min_se_s(message: Message) -> int:
    """Return the shortest interval that the sender accepts: Min-SE, else that of the RFC. Units: seconds."""
    found = _EXPIRES.match(message.first("Min-SE") or "")
    return max(MIN_SE_S, int(found[1])) if found else MIN_SE_S


def _refresher(message: Message) -> str | None:
    found = _REFRESHER.search((message.first("Session-Expires") or "").partition(";")[2])
    return found[1].lower() if found else None


# --- what our requests ask for


def invite_headers(settings: AgentSettings) -> Headers:
    """Return the session timer headers of the first INVITE of a session."""
    if not settings.session_expires_s:
        return ()
    return (("Session-Expires", str(settings.session_expires_s)), ("Min-SE", str(MIN_SE_S)))


def refresh_headers(session: Session) -> Headers:
    """Return the session timer headers of our re-INVITE or UPDATE, which continue the agreed timer."""
    if session.timer is None:
        return (("Supported", OPTION),)
    role = "uac" if session.timer.we_refresh else "uas"
    return (("Supported", OPTION), ("Session-Expires", f"{session.timer.expires_s};refresher={role}"))


def longer_interval_headers(refused: Response, settings: AgentSettings) -> Headers | None:
    """Return the headers for the next try after a 422, or None when it names no usable interval."""
    wanted = min_se_s(refused)
    if refused.first("Min-SE") is None or not settings.session_expires_s:
        return None
    expires = max(wanted, settings.session_expires_s)
    return (("Session-Expires", str(expires)), ("Min-SE", str(wanted)))


# --- what is agreed


def too_short_headers(received: Request) -> Headers | None:
    """Return the headers of a 422 when the peer asks for too short an interval. Source: RFC 4028 §8, §9."""
    wanted = session_expires_s(received)
    return (("Min-SE", str(MIN_SE_S)),) if wanted is not None and wanted < MIN_SE_S and supported(received) else None


def negotiate(
    received: Request, before: SessionTimer | None, settings: AgentSettings
) -> tuple[SessionTimer | None, Headers]:
    """Return the timer after a request of the peer, and the headers of our 2xx. Source: RFC 4028 §9, table 2."""
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
    """Return the timer that a 2xx of the peer to our INVITE or UPDATE agrees to."""
    expires = session_expires_s(accepted)
    if expires is None:
        return None
    return SessionTimer(expires_s=max(MIN_SE_S, expires), we_refresh=_refresher(accepted) != "uas")


def restart(stack: SipStack, session: Session, timer: SessionTimer | None) -> Session:
    """Restart the session timer now. Source: RFC 4028 §10."""
    for kind in (TimerKind.REFRESH, TimerKind.EXPIRE):
        stack.stop(session_timer_token(kind, session.id))
    if timer is not None:
        if timer.we_refresh:
            stack.start(session_timer_token(TimerKind.REFRESH, session.id), timer.expires_s / 2)
        margin = min(32.0, timer.expires_s / 3)
        stack.start(session_timer_token(TimerKind.EXPIRE, session.id), timer.expires_s - margin)
    return stack.put(replace(session, timer=timer))


def request_refresh(stack: SipStack, session: Session) -> None:
    """Ask the owner to refresh the session by re-INVITE, again and again until it is refreshed."""
    stack.start(session_timer_token(TimerKind.REFRESH, session.id), RETRY_S)
    stack.emit(RefreshDue(session=session.id))


def allows_update(message: Message) -> bool:
    """Return whether the sender supports UPDATE."""
    return "UPDATE" in (method.upper() for method in message.values("Allow"))


def has_recent_audio(stack: SipStack, session: Session) -> bool:
    """Return whether the peer's RTP arrived so recently that it is alive."""
    return session.last_audio_at is not None and stack.now - session.last_audio_at <= RECENT_AUDIO_S


def start_keepalive(stack: SipStack, session: Session) -> None:
    """Start the keep-alive: the peer gets OPTIONS when it sends no message for long."""
    if stack.settings.keepalive_s > 0:
        stack.start(session_timer_token(TimerKind.IDLE, session.id), stack.settings.keepalive_s)


def keepalive_due_in_s(stack: SipStack, session: Session) -> float:
    """Return how long the peer may still be silent before it gets OPTIONS. Units: seconds, 0 or less when due."""
    return session.last_message_at + stack.settings.keepalive_s - stack.now
