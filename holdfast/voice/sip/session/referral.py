"""REFER in a running call, in both directions: ask the peer to call another party, and report the outcome.

Point of view: *referral* is our request to the peer, *referred* the peer's request to us. There is one of each at a
time.
Source: RFC 3515; RFC 3420 for message/sipfrag; RFC 3892 for Referred-By; RFC 6665 for the subscription.
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import unquote

from holdfast.voice.sip.dialog.session_machine import SessionState, TimerKind
from holdfast.voice.sip.dialog.session_state import Session
from holdfast.voice.sip.effects import Referral, ReferralAnswered, Referred
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message import body
from holdfast.voice.sip.message.message import (
    REASONS,
    Request,
    Response,
    clean,
)
from holdfast.voice.sip.message.uri import parse_name_addr
from holdfast.voice.sip.session import reinvite, session_timer
from holdfast.voice.sip.stack import SipStack, session_timer_token
from holdfast.voice.sip.transaction.machines import Purpose, Transaction

SIPFRAG = "message/sipfrag"
MAX_TARGET_CHARACTERS = 256
"""The longest Refer-To in characters. Source: Twilio docs, "Inbound SIP REFER"."""
ANSWER_WITHIN_S = 20.0
"""A REFER that the owner leaves unanswered this long is declined."""
SUBSCRIPTION_S = 60
"""How long our NOTIFY says that we report the progress of a call."""

_STATUS = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2})(?: |\r|\n|\Z)")
_EXPIRES = re.compile(r";\s*expires\s*=\s*([0-9]{1,9})(?![0-9])", re.IGNORECASE)


# --- ours


def refer(stack: SipStack, session: Session, target: str) -> None:
    """Ask the peer to call this URI after its ACK and after any change; ignore a second request meanwhile."""
    if session.referral != "asked":
        reinvite.refer(stack, session, target)


def handle_response(stack: SipStack, session: Session, transaction: Transaction, response: Response) -> None:
    """Handle a response to our REFER."""
    if response.status == 481:
        reinvite.end_lost(stack, session, response.status)
    elif response.status == 408:
        handle_timeout(stack, session)
    elif response.status == 491 and session.glare_retries < reinvite.MAX_GLARE_RETRIES:
        target = parse_name_addr(transaction.request.first("Refer-To") or "").uri
        session = stack.put(replace(session, referral="", refer_due=target, glare_retries=session.glare_retries + 1))
        stack.start(session_timer_token(TimerKind.REFERRAL, session.id), reinvite.backoff_s(stack, session))
    elif not reinvite.answer_challenge(stack, session, transaction, response):
        session = stack.put(replace(session, glare_retries=0))
        if response.status >= 300:
            stack.put(replace(session, referral=""))
        stack.emit(ReferralAnswered(session=session.id, status=response.status))


def handle_timeout(stack: SipStack, session: Session) -> None:
    """Handle the timeout of our REFER.

    Deviation: RFC 3261 §12.2.1.2 ends the dialog. While RTP is received the call is kept: the peer only ignores REFER.
    """
    if session_timer.has_recent_audio(stack, session):
        stack.put(replace(session, referral=""))
        stack.emit(ReferralAnswered(session=session.id, status=408))
    else:
        reinvite.end_lost(stack, session, 408)


def handle_notify(stack: SipStack, session: Session, received: Request, key: str) -> None:
    """Handle a NOTIFY with the progress of the call that we asked for.

    Source: RFC 3515 §2.4.4, §2.4.5; RFC 6665 §4.1.3.
    """
    tag = session.local_tag
    event = (received.first("Event") or "").partition(";")[0].strip().lower()
    if event != "refer":
        stack.reply(key, 489, tag=tag, headers=(("Allow-Events", "refer"),))
        return
    if session.referral == "":
        stack.reply(key, 481, tag=tag)
        return
    stack.reply(key, 200, tag=tag)
    if session.referral == "over" or session.state is not SessionState.RUNNING:
        return
    state = received.first("Subscription-State") or ""
    found = _STATUS.match(received.body) if body.media_type(received) == SIPFRAG else None
    status = int(found[1]) if found else 0
    is_over = state.strip().lower().startswith("terminated") or status >= 200
    lasts = _EXPIRES.search(state)
    if is_over:
        stack.put(replace(session, referral="over"))
    stack.emit(
        Referral(session=session.id, status=status, is_over=is_over, expires_s=float(lasts[1]) if lasts else None)
    )


# --- the peer's


def handle_refer(stack: SipStack, session: Session, received: Request, key: str) -> None:
    """Report the peer's REFER to the owner, who answers by `answer`. Source: RFC 3515 §2.4.2.

    An attended transfer is declined, because the call that it makes would ring in place of replacing one.
    """
    tag = session.local_tag
    targets = received.values("Refer-To")
    if session.state is not SessionState.RUNNING or any(map(_is_attended, targets)):
        stack.reply(key, 603, tag=tag)
    elif len(targets) != 1 or len(targets[0]) > MAX_TARGET_CHARACTERS or not _is_readable(targets[0]):
        stack.reply(key, 400, tag=tag, reason="Bad Request (one readable Refer-To of up to 256 characters)")
    elif session.referred is not None or session.notifies_peer:
        stack.reply(key, 491, tag=tag)
    else:
        stack.put(replace(session, referred=key))
        stack.start(session_timer_token(TimerKind.REFER, session.id), ANSWER_WITHIN_S)
        stack.emit(Referred(session=session.id, target=clean(targets[0])))


def _is_attended(target: str) -> bool:
    """Return whether a Refer-To asks to replace another dialog, readable or not. Source: RFC 3891 §3, RFC 5589 §7.1."""
    try:
        uri = parse_name_addr(target).uri
    except UriUnreadable:
        uri = target
    fields = uri.partition("?")[2].split("&")
    return any(unquote(field.partition("=")[0]).strip().lower() == "replaces" for field in fields)


def _is_readable(target: str) -> bool:
    try:
        return bool(parse_name_addr(target).uri)
    except UriUnreadable:
        return False


def answer(stack: SipStack, session: Session, status: int) -> None:
    """Answer the peer's REFER: 202 and a first NOTIFY, or a refusal."""
    if session.referred is None:
        return
    stack.stop(session_timer_token(TimerKind.REFER, session.id))
    accepted = 200 <= status < 300
    stack.reply(session.referred, 202 if accepted else status, tag=session.local_tag)
    session = stack.put(replace(session, referred=None, notifies_peer=accepted))
    if accepted:
        notify(stack, session, 100)


def notify(stack: SipStack, session: Session, status: int) -> None:
    """Notify the peer of the progress of the call it asked for; a final status is the last. Source: RFC 3515 §2.4.5."""
    if not session.notifies_peer:
        return
    is_over = status >= 200
    lasts = "terminated;reason=noresource" if is_over else f"active;expires={SUBSCRIPTION_S}"
    headers = (
        stack.contact_in(session),
        ("Event", "refer"),
        ("Subscription-State", lasts),
        ("Content-Type", f"{SIPFRAG};version=2.0"),
    )
    content = f"SIP/2.0 {status} {REASONS.get(status, 'Unknown')}\r\n".encode()
    session = replace(session, notifies_peer=not is_over)
    reinvite.send(stack, session, "NOTIFY", Purpose.NOTHING, headers=headers, content=content)
