"""A running call: re-INVITE and UPDATE in both directions, our requests in its dialog, and BYE.

It holds BYE too, because our own end of a call must first close its pending changes.
Source: RFC 3261 §14, §15; RFC 3311.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Literal

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_machine import SessionState, TimerKind
from holdfast.voice.sip.dialog.session_state import OwnReoffer, Session
from holdfast.voice.sip.effects import (
    EndCause,
    Headers,
    ReofferAnswered,
    ReofferDue,
    ReofferPostponed,
    ReofferRefused,
    ReofferWithdrawn,
)
from holdfast.voice.sip.message import body
from holdfast.voice.sip.message.message import Request, Response, clean
from holdfast.voice.sip.message.uri import parse_name_addr
from holdfast.voice.sip.session import (
    early_dialog,
    invite_client,
    invite_server,
    session_timer,
)
from holdfast.voice.sip.stack import SipStack, session_timer_token
from holdfast.voice.sip.transaction.machines import Purpose, Transaction

MAX_GLARE_RETRIES = 2
"""How often a re-INVITE answered by 491, or 500 with Retry-After, is sent again.

Source: RFC 3261 §14.1 says "should" of once after a 491, and §14.2 lets the peer refuse a crossing change by the 500.
"""
MAX_RETRY_AFTER_S = 10
"""The longest wait that a peer may ask for by Retry-After; a crossing change names at most that (RFC 3261 §14.2)."""

KEPT_HEADERS = ("Contact", "Content-Type", "Supported", "Session-Expires", "Refer-To", "Referred-By")
"""Header fields that our request keeps when it is sent again after a challenge."""


# --- requests of ours


def send(
    stack: SipStack,
    session: Session,
    method: str,
    purpose: Purpose,
    *,
    headers: Headers = (),
    content: bytes = b"",
    attempt: int = 0,
) -> tuple[Session, str]:
    """Send a request in the session's dialog; return the session and the transaction's key."""
    assert session.dialog is not None
    headers = (*headers, *stack.agent_headers())
    via = stack.via(dialogs.next_hop(session.dialog))
    dialog, made, to = dialogs.make_request(session.dialog, method, via=via, headers=headers, body=content)
    session = stack.put(replace(session, dialog=dialog))
    return session, stack.request(made, to, purpose=purpose, session=session.id, attempt=attempt)


def hang_up(stack: SipStack, session: Session) -> None:
    """Send BYE. An unanswered offer in a 2xx is first acknowledged without an answer: there is no other way."""
    if session.ack_due is not None:
        session = invite_client.acknowledge(stack, replace(session, ack_due=None), session.ack_due, None)
    session = close_pending(stack, session, 487)
    session = stack.change_state(session, SessionState.ENDING)
    send(stack, session, "BYE", Purpose.BYE)


def acknowledge_offer(stack: SipStack, session: Session, sdp: bytes) -> None:
    """Send the ACK that is due, with our answer, and what waited for it."""
    if session.ack_due is not None:
        session = invite_client.acknowledge(stack, replace(session, ack_due=None), session.ack_due, sdp)
        send_waiting(stack, session)


def close_pending(stack: SipStack, session: Session, status: int) -> Session:
    """Send the peer's pending requests their final response, and stop all repetitions."""
    for waits in (session.peer_reoffer.transaction if session.peer_reoffer is not None else None, session.referred):
        if waits is not None:
            stack.reply(waits, status, tag=session.local_tag)
    for kind in TimerKind:
        stack.stop(session_timer_token(kind, session.id))
    return replace(
        session,
        peer_reoffer=None,
        pending_ok=None,
        own_reoffer=None,
        waiting_reoffer=None,
        referred=None,
        refer_due=None,
    )


def is_changing(session: Session) -> bool:
    """Return whether a change by either side is in progress, or waits for its ACK."""
    under_way = session.own_reoffer or session.peer_reoffer or session.pending_ok
    return under_way is not None or session.ack_due is not None


def reoffer(
    stack: SipStack, session: Session, sdp: bytes | None, method: Literal["INVITE", "UPDATE"] = "INVITE"
) -> None:
    """Send a re-INVITE or UPDATE now, or after the change in progress."""
    wanted = OwnReoffer(transaction="", sdp=sdp, method=method)
    if is_changing(session) or session.state is not SessionState.RUNNING:
        stack.put(replace(session, waiting_reoffer=wanted))
    else:
        _send_reoffer(stack, session, wanted)


def _send_reoffer(stack: SipStack, session: Session, wanted: OwnReoffer) -> None:
    headers = (stack.contact_in(session), *session_timer.refresh_headers(session), *body.sdp_headers(wanted.sdp))
    content = wanted.sdp or b""
    session, key = send(stack, session, wanted.method, Purpose.REOFFER, headers=headers, content=content)
    stack.put(replace(session, own_reoffer=replace(wanted, transaction=key, backing_off=False)))


def send_waiting(stack: SipStack, session: Session) -> None:
    """Send the waiting re-INVITE if no change is in progress; else the waiting REFER."""
    if session.state is not SessionState.RUNNING:
        return
    if session.waiting_reoffer is not None:
        waiting = session.waiting_reoffer
        reoffer(stack, replace(session, waiting_reoffer=None), waiting.sdp, waiting.method)
    elif session.refer_due is not None and not is_changing(session):
        refer(stack, session, session.refer_due)


def refer(stack: SipStack, session: Session, target: str) -> None:
    """Ask the peer to call this URI, once no change is in progress: phones refuse it with 491 until then."""
    if is_changing(session) or session.waiting_reoffer is not None or session.state is not SessionState.RUNNING:
        stack.put(replace(session, refer_due=target))
        return
    assert session.dialog is not None
    ours = parse_name_addr(session.dialog.local).uri
    headers = (stack.contact_in(session), ("Refer-To", f"<{target}>"), ("Referred-By", f"<{ours}>"))
    send(stack, replace(session, referral="asked", refer_due=None), "REFER", Purpose.REFER, headers=headers)


def handle_backoff_end(stack: SipStack, session: Session) -> None:
    """Send our change again after the wait for a 491; a change of the peer that is in progress goes first.

    Our offer may be outdated, so the owner makes a new one.
    """
    own_reoffer = session.own_reoffer
    assert own_reoffer is not None
    if session.peer_reoffer is not None or session.pending_ok is not None:
        stack.start(session_timer_token(TimerKind.GLARE, session.id), backoff_s(stack, session))
    elif own_reoffer.sdp is None:
        _send_reoffer(stack, session, own_reoffer)
    elif session.waiting_reoffer is not None:
        send_waiting(stack, replace(session, own_reoffer=None))
    else:
        stack.put(replace(session, own_reoffer=None))
        stack.emit(ReofferDue(session=session.id, method=own_reoffer.method))


def backoff_s(stack: SipStack, session: Session) -> float:
    """Return the wait after a 491. Units: seconds.

    It is 2.1 to 4 s for the side that made the Call-ID, up to 2 s for the other, in steps of 10 ms.
    Source: RFC 3261 §14.1.
    """
    low, high = (210, 400) if session.we_called else (0, 200)
    return (low + int(stack.random() * (high - low + 1))) / 100


def _retry_in_s(stack: SipStack, session: Session, refused: Response) -> float | None:
    """Return the wait before our refused change is sent again; None when it is not. Units: seconds."""
    if session.glare_retries >= MAX_GLARE_RETRIES:
        return None
    if refused.status == 491:
        return backoff_s(stack, session)
    asked = re.match(r"\s*([0-9]{1,9})", refused.first("Retry-After") or "")
    if refused.status != 500 or asked is None or int(asked[1]) > MAX_RETRY_AFTER_S:
        return None
    return float(asked[1])


# --- their outcomes


def handle_reoffer_response(stack: SipStack, session: Session, transaction: Transaction, response: Response) -> None:
    """Handle a response to our re-INVITE or UPDATE."""
    own_reoffer = session.own_reoffer
    if session.state in early_dialog.BEFORE_ACK:
        early_dialog.handle_response(stack, session, transaction, response)
        return
    if response.status < 200:
        return
    if 200 <= response.status < 300 and invite_client.repeat_ack(stack, session, response):
        return
    if session.state is not SessionState.RUNNING or own_reoffer is None or own_reoffer.transaction != transaction.key:
        invite = transaction.request.method == "INVITE"
        if invite and 200 <= response.status < 300 and session.dialog is not None and session.ack_due != response.cseq:
            invite_client.acknowledge(stack, session, response.cseq, None)
        return
    if response.status not in (408, 503):
        session = stack.put(replace(session, last_message_at=stack.now))
    if response.status < 300:
        _handle_reoffer_success(stack, session, own_reoffer, transaction, response)
    elif response.status == 481:
        end_lost(stack, session, response.status)
    elif response.status == 408:
        handle_no_response(stack, session, Purpose.REOFFER)
    elif (wait_s := _retry_in_s(stack, session, response)) is not None:
        own_reoffer = replace(own_reoffer, transaction="", backing_off=True)
        stack.put(replace(session, own_reoffer=own_reoffer, glare_retries=session.glare_retries + 1))
        stack.start(session_timer_token(TimerKind.GLARE, session.id), wait_s)
        if own_reoffer.sdp is not None:
            stack.emit(ReofferPostponed(session=session.id))
    elif not answer_challenge(stack, session, transaction, response):
        session = stack.put(replace(session, own_reoffer=None, glare_retries=0))
        stack.emit(ReofferRefused(session=session.id, status=response.status, reason=clean(response.reason)))
        send_waiting(stack, session)


def _handle_reoffer_success(
    stack: SipStack, session: Session, own_reoffer: OwnReoffer, transaction: Transaction, response: Response
) -> None:
    assert session.dialog is not None
    session = replace(
        session, own_reoffer=None, glare_retries=0, dialog=dialogs.refresh_target(session.dialog, response)
    )
    session = session_timer.restart(stack, session, session_timer.agreed_timer(response))
    cseq = transaction.request.cseq
    if own_reoffer.sdp is None:
        session = stack.put(replace(session, ack_due=cseq))
    elif own_reoffer.method == "INVITE":
        session = invite_client.acknowledge(stack, session, cseq, None)
    stack.emit(ReofferAnswered(session=session.id, sdp=body.sdp_of(response), offer_to_answer=own_reoffer.sdp is None))
    send_waiting(stack, session)


def answer_challenge(stack: SipStack, session: Session, transaction: Transaction, response: Response) -> bool:
    """Send a challenged request in the dialog again with credentials; return whether that was possible."""
    proofs = stack.answer_challenge(response, transaction, session.credentials)
    if not proofs:
        return False
    sent = transaction.request
    kept = tuple(field for field in sent.headers if field[0] in KEPT_HEADERS)
    session, key = send(
        stack,
        session,
        sent.method,
        transaction.purpose,
        headers=(*kept, *proofs),
        content=sent.body,
        attempt=transaction.attempt + 1,
    )
    if transaction.purpose is Purpose.REOFFER and session.own_reoffer is not None:
        stack.put(replace(session, own_reoffer=replace(session.own_reoffer, transaction=key)))
    return True


def handle_bye_response(stack: SipStack, session: Session, transaction: Transaction, response: Response) -> None:
    """Handle the final response to our BYE, a timeout included: the session is over, except after a challenge."""
    if not answer_challenge(stack, session, transaction, response):
        stack.end(session, EndCause.WE_HUNG_UP, 408 if response.status == 408 else 200)


def handle_no_response(stack: SipStack, session: Session, purpose: Purpose) -> None:
    """Handle that our re-INVITE or INFO got no response.

    Deviation: RFC 3261 §12.2.1.2 ends the dialog. Some SBCs silently drop unexpected requests: while RTP is received
    the call is kept, and the change is treated as refused.
    """
    if not session_timer.has_recent_audio(stack, session):
        end_lost(stack, session, 408)
    elif purpose is Purpose.REOFFER:
        session = stack.put(replace(session, own_reoffer=None, glare_retries=0))
        stack.emit(ReofferRefused(session=session.id, status=408, reason="Request Timeout"))
        send_waiting(stack, session)


def end_lost(stack: SipStack, session: Session, status: int) -> None:
    """Send BYE and end the session: the peer does not know the dialog, or does not answer in it."""
    session = close_pending(stack, session, 487)
    session, _ = send(stack, session, "BYE", Purpose.NOTHING)
    stack.end(session, EndCause.LOST, status)


def handle_missing_ack(stack: SipStack, session: Session) -> None:
    """Send BYE after the ACK of our 2xx never arrived. Source: RFC 3261 §13.3.1.4, §14.2.

    Deviation: a running call goes on after an unacknowledged change while RTP is received.
    """
    waited = session.pending_ok
    assert waited is not None
    if not waited.initial and session_timer.has_recent_audio(stack, session):
        session = stack.put(replace(session, pending_ok=None))
        if waited.offered:
            stack.emit(ReofferWithdrawn(session=session.id))
        send_waiting(stack, session)
        return
    session = close_pending(stack, session, 487)
    session, _ = send(stack, session, "BYE", Purpose.NOTHING)
    stack.end(session, EndCause.NO_ACK, 408)


# --- requests of the peer's


def handle_bye(stack: SipStack, session: Session, key: str) -> None:
    """Handle the peer's BYE. A callee that has not answered has no call to end yet (RFC 3261 §15)."""
    if session.state in (SessionState.CALLING, SessionState.CANCELLING):
        stack.reply(key, 481, tag=session.local_tag)
        return
    stack.reply(key, 200, tag=session.local_tag)
    if session.state is SessionState.CALLED:
        invite_server.refuse(stack, session, 487, EndCause.CANCELLED)
        return
    session = close_pending(stack, session, 487)
    cause = EndCause.WE_HUNG_UP if session.state is SessionState.ENDING or session.bye_due else EndCause.HUNG_UP
    stack.end(session, cause, 200)


def handle_change(
    stack: SipStack, session: Session, received: Request, key: str, method: Literal["INVITE", "UPDATE"]
) -> None:
    """Handle a re-INVITE or UPDATE of the peer that is already recorded in the dialog."""
    if method == "INVITE":
        session = invite_server.presume_acknowledged(stack, session)
    refused = body.refusal(received)
    short = session_timer.too_short_headers(received)
    sdp = body.sdp_of(received)
    tag = session.local_tag
    if session.state in (SessionState.ENDING, SessionState.CANCELLING):
        stack.reply(key, 481, tag=tag)
    elif refused is not None:
        stack.reply(key, 415, tag=tag, headers=refused)
    elif short is not None:
        stack.reply(key, 422, tag=tag, headers=short)
    elif method == "UPDATE" and sdp is None:
        invite_server.send_ok(stack, key, session, None)
    elif session.peer_reoffer is not None:
        stack.reply(key, 500, tag=tag, headers=(("Retry-After", str(int(stack.random() * 10))),))
    elif session.own_reoffer is not None and not session.own_reoffer.backing_off:
        stack.reply(key, 491, tag=tag)
    elif session.state in early_dialog.UNANSWERED and method == "UPDATE":
        too_soon = early_dialog.update_refusal(stack, session, received)
        if too_soon is not None:
            stack.reply(key, too_soon[0], tag=tag, headers=too_soon[1])
        else:
            early_dialog.report_change(stack, session, received, key, method)
    elif session.state is not SessionState.RUNNING or session.pending_ok is not None or session.ack_due is not None:
        stack.reply(key, 491, tag=tag)
    else:
        early_dialog.report_change(stack, session, received, key, method)


def answer_change(stack: SipStack, session: Session, sdp: bytes) -> None:
    """Answer the peer's re-INVITE, UPDATE or PRACK."""
    peer_reoffer = session.peer_reoffer
    if peer_reoffer is None:
        return
    stack.stop(session_timer_token(TimerKind.REOFFER, session.id))
    transaction = stack.transactions.get(peer_reoffer.transaction)
    session = replace(session, peer_reoffer=None)
    if peer_reoffer.method == "INVITE" and transaction is not None:
        waiting = invite_server.wait_for_ack(
            stack, session, peer_reoffer.transaction, transaction.request, initial=False
        )
        session = replace(session, pending_ok=waiting)
    session = stack.put(session)
    invite_server.send_ok(stack, peer_reoffer.transaction, session, sdp)
    invite_server.send_pending(stack, session)
    send_waiting(stack, session)


def refuse_change(stack: SipStack, session: Session, status: int) -> None:
    """Refuse the peer's re-INVITE, UPDATE or PRACK."""
    peer_reoffer = session.peer_reoffer
    if peer_reoffer is None:
        return
    stack.stop(session_timer_token(TimerKind.REOFFER, session.id))
    session = stack.put(replace(session, peer_reoffer=None))
    stack.reply(peer_reoffer.transaction, status, tag=session.local_tag)
    invite_server.send_pending(stack, session)
    send_waiting(stack, session)


def handle_change_timeout(stack: SipStack, session: Session) -> None:
    """Refuse the peer's change that the owner never answered."""
    refuse_change(stack, session, 500)
    stack.emit(ReofferWithdrawn(session=session.id))
