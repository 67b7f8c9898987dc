"""An inbound call: the peer's INVITE, our responses, and the 2xx that is repeated until its ACK.

Source: RFC 3261 §13.3, §9.2.
"""

from __future__ import annotations

import re
from dataclasses import replace

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_machine import SessionState, TimerKind
from holdfast.voice.sip.dialog.session_state import PendingOk, Session
from holdfast.voice.sip.effects import Address, Confirmed, EndCause, Headers, Invited, ReofferWithdrawn, SessionId
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.body import sdp_of
from holdfast.voice.sip.message.message import Request, clean, clean_headers
from holdfast.voice.sip.message.uri import as_sip, number_of, parse_uri
from holdfast.voice.sip.request_validation import SUPPORTED
from holdfast.voice.sip.session import early_dialog, prack, session_timer
from holdfast.voice.sip.stack import ALLOW, SipStack, session_timer_token
from holdfast.voice.sip.transaction.machines import (
    T1_S,
    T2_S,
    TIMEOUT_S,
    State,
)

RING_INTERVAL_S = 60.0
"""The interval of repeated provisional responses, so that proxies do not give up. Source: RFC 3261 §13.3.1.1."""


def handle_invite(
    stack: SipStack, received: Request, key: str, source: Address, *, user: str | None, behind: str | None = None
) -> None:
    """Begin a session for a first INVITE that passed all checks; `behind` is that of `Dialog`."""
    session = Session(
        id=SessionId(stack.token()),
        state=SessionState.CALLED,
        invite=received,
        transaction=key,
        peer=source,
        we_called=False,
        local_tag=stack.token(),
        takes_update=session_timer.allows_update(received),
        last_message_at=stack.now,
    )
    session = replace(session, dialog=dialogs.as_callee(received, session.local_tag, source, behind=behind))
    stack.transactions[key] = replace(stack.transactions[key], session=session.id)
    stack.invites[received.call_id, received.from_.tag or "", received.cseq] = key
    stack.index_dialog(session)
    stack.trace(received.encode(), source, session.id, "in", repeated=False)
    stack.reply(key, 100)
    stack.start(session_timer_token(TimerKind.ANSWER, session.id), _answer_timeout_s(stack, received))
    target, caller = as_sip(received.uri, stack.settings.address.host), _caller(received)
    stack.emit(
        Invited(
            session=session.id,
            source=source,
            target=clean(target),
            called=clean(number_of(parse_uri(target).user)),
            caller=clean(caller[0]),
            caller_host=caller[1],
            caller_name=clean(received.from_.name),
            user=user,
            sdp=sdp_of(received),
            reliable=prack.required(received),
            call_id=clean(received.call_id),
            headers=clean_headers(received.headers),
        )
    )


def _caller(received: Request) -> tuple[str, str]:
    """Return user and host of From; for a `tel:` URI the number and ""."""
    try:
        uri = parse_uri(received.from_.uri)
    except UriUnreadable:
        return number_of(received.from_.uri.partition(":")[2]).partition(";")[0], ""
    return number_of(uri.user), uri.host


def _answer_timeout_s(stack: SipStack, received: Request) -> float:
    """Return how long the INVITE may stay without a final response. Source: RFC 3261 §13.3.1 for Expires."""
    expires = received.first("Expires") or ""
    if re.fullmatch(r"[0-9]{1,9}", expires):
        return min(float(expires), stack.settings.answer_within_s)
    return stack.settings.answer_within_s


def ring(stack: SipStack, session: Session, status: int, sdp: bytes | None, *, acknowledged: bool = False) -> None:
    """Send a provisional response, and again every minute.

    It is repeated until it is acknowledged, if the caller requires that, or supports it and `acknowledged` is set.
    """
    session = stack.put(replace(session, last_provisional=(status, sdp)))
    reliably = prack.required(session.invite) or (acknowledged and prack.supported(session.invite))
    if status > 100 and reliably:
        prack.ring(stack, session, status, sdp)
    else:
        headers = (stack.contact_in(session), ALLOW)
        stack.reply(session.transaction, status, tag=session.local_tag, headers=headers, body=sdp or b"")
    stack.start(session_timer_token(TimerKind.RING, session.id), RING_INTERVAL_S)


def accept(stack: SipStack, session: Session, sdp: bytes | None, headers: Headers) -> None:
    """Send 200 and repeat it until the ACK; wait first for the PRACK of a description, if one is due.

    Source: RFC 3261 §13.3.1.4; RFC 3262 §3.
    """
    if has_pending_description(session):
        stack.put(replace(session, accept_due=(sdp, headers)))
        return
    if sdp is None and not session.described:
        _, sdp = session.last_provisional  # The provisional response that held it was not acknowledged.
    session = prack.stop_waiting(stack, session)
    stack.stop(session_timer_token(TimerKind.ANSWER, session.id))
    stack.stop(session_timer_token(TimerKind.RING, session.id))
    waiting = wait_for_ack(stack, session, session.transaction, session.invite, initial=True)
    waiting = replace(waiting, offered=waiting.offered and sdp is not None)
    session = stack.change_state(replace(session, pending_ok=waiting), SessionState.ANSWERED)
    send_ok(stack, session.transaction, session, sdp, headers)


def has_pending_description(session: Session) -> bool:
    """Return whether a description in a provisional response or PRACK is pending: the 200 must not overtake it."""
    waits = session.pending_provisional is not None and session.pending_provisional.described
    return waits or (session.peer_reoffer is not None and session.peer_reoffer.method == "PRACK")


def send_ok(stack: SipStack, key: str, session: Session, sdp: bytes | None, headers: Headers = ()) -> None:
    """Send a 200 with a description, our capabilities and the agreed session timer.

    Source: RFC 3261 §13.3.1.4.
    """
    answered = stack.transactions.get(key)
    if answered is not None and session.state not in early_dialog.UNANSWERED:
        timer, timer_headers = session_timer.negotiate(answered.request, session.timer, stack.settings)
        session = session_timer.restart(stack, session, timer)
        headers = (*headers, *timer_headers)
    headers = (stack.contact_in(session), ALLOW, SUPPORTED, *headers)
    stack.reply(key, 200, tag=session.local_tag, headers=headers, body=sdp or b"")


def handle_prack(stack: SipStack, session: Session, received: Request, key: str) -> None:
    """Handle a PRACK and send what waited for it."""
    acknowledged = prack.handle_prack(stack, session, received, key)
    if acknowledged is None or acknowledged.state is not SessionState.CALLED:
        return
    if session.pending_provisional is not None and session.pending_provisional.described:
        # An acknowledged description is not sent again. Source: RFC 6337 §3.1.
        status, _ = acknowledged.last_provisional
        acknowledged = stack.put(replace(acknowledged, last_provisional=(status, None)))
    send_pending(stack, acknowledged)


def send_pending(stack: SipStack, session: Session) -> None:
    """Send the 200 or provisional response that waited for a PRACK, once that is answered too."""
    if session.state is not SessionState.CALLED or has_pending_description(session):
        return
    if session.accept_due is not None:
        accept(stack, session, *session.accept_due)
    elif session.ring_due:
        ring(stack, session, *session.last_provisional)


def wait_for_ack(stack: SipStack, session: Session, key: str, answered: Request, *, initial: bool) -> PendingOk:
    """Begin to wait for the ACK of a 2xx."""
    stack.start(session_timer_token(TimerKind.REPEAT_OK, session.id), T1_S)
    return PendingOk(
        cseq=answered.cseq,
        transaction=key,
        interval_s=T1_S,
        waited_s=0.0,
        offered=sdp_of(answered) is None,
        initial=initial,
    )


def repeat_ok(stack: SipStack, session: Session) -> bool:
    """Send the 200 again and return True; return False when the ACK is overdue."""
    waiting = session.pending_ok
    assert waiting is not None
    waited = waiting.waited_s + waiting.interval_s
    if waited >= TIMEOUT_S:
        return False
    transaction = stack.transactions.get(waiting.transaction)
    if transaction is not None and transaction.last:
        stack.send(transaction.last, transaction.peer, session.id, repeated=True)
    interval = min(waiting.interval_s * 2, T2_S, TIMEOUT_S - waited)
    stack.put(replace(session, pending_ok=replace(waiting, waited_s=waited, interval_s=interval)))
    stack.start(session_timer_token(TimerKind.REPEAT_OK, session.id), interval)
    return True


def presume_acknowledged(stack: SipStack, session: Session) -> Session:
    """Return the session of a re-INVITE with the previous 2xx acknowledged: its sender has received that.

    The ACK is still needed when it holds an answer, or when our BYE waits for it. Source: RFC 5407 §3.1.4.
    """
    waiting = session.pending_ok
    if waiting is None or waiting.offered or session.bye_due:
        return session
    return handle_ack(stack, session, waiting.cseq) or session


def handle_ack(stack: SipStack, session: Session, cseq: int, sdp: bytes | None = None) -> Session | None:
    """Handle the ACK of a 2xx and its description; return None for a repeated or unknown ACK."""
    waiting = session.pending_ok
    if waiting is None or waiting.cseq != cseq:
        return None
    stack.stop(session_timer_token(TimerKind.REPEAT_OK, session.id))
    session = replace(session, pending_ok=None)
    if waiting.initial:
        session = stack.change_state(session, SessionState.RUNNING)
        session_timer.start_keepalive(stack, session)
    stack.put(session)
    stack.emit(Confirmed(session=session.id, sdp=sdp if waiting.offered else None, offered=waiting.offered))
    return session


def refuse(stack: SipStack, session: Session, status: int, cause: EndCause, headers: Headers = ()) -> None:
    """Send a final response that is not a 2xx, and end the session."""
    stack.reply(session.transaction, status, tag=session.local_tag, headers=headers)
    stack.end(session, cause, status)


def handle_cancel(stack: SipStack, session: Session, invite_key: str) -> None:
    """Handle the CANCEL of one of the peer's INVITEs, unless that has its final response."""
    transaction = stack.transactions.get(invite_key)
    if transaction is None or transaction.state is not State.PROCEEDING:
        return
    if session.state is SessionState.CALLED:
        refuse(stack, session, 487, EndCause.CANCELLED)
    else:
        stack.reply(invite_key, 487, tag=session.local_tag)
        stack.stop(session_timer_token(TimerKind.REOFFER, session.id))
        stack.put(replace(session, peer_reoffer=None))
        stack.emit(ReofferWithdrawn(session=session.id))
