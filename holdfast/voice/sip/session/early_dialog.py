"""A call before its answer: the early dialogs of an outbound call, and UPDATE in early dialogs both ways.

Descriptions may change before the answer once both sides have sent theirs in messages that are not lost: the INVITE,
and a provisional response that was acknowledged.
Source: RFC 3261 §12.1; RFC 3311 §5; RFC 6337 §3.1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_machine import SessionState, TimerKind
from holdfast.voice.sip.dialog.session_state import EarlyDialog, OwnReoffer, PeerReoffer, Session
from holdfast.voice.sip.effects import Address, Headers, ReofferAnswered, Reoffered, ReofferRefused
from holdfast.voice.sip.message.body import sdp_headers, sdp_of
from holdfast.voice.sip.message.message import Request, Response, clean
from holdfast.voice.sip.stack import SipStack, session_timer_token
from holdfast.voice.sip.transaction.machines import Purpose, Transaction

UNANSWERED = (SessionState.CALLING, SessionState.CALLED)
BEFORE_ACK = (*UNANSWERED, SessionState.ANSWERED)
REOFFER_WITHIN_S = 20.0
"""A change of the peer that the owner leaves unanswered this long is refused."""


def find(session: Session, tag: str | None) -> EarlyDialog | None:
    """Return the early dialog with this fork of our INVITE."""
    return next((early for early in session.early_dialogs if early.dialog.remote_tag == tag), None)


def dialog_of(session: Session, received: Request) -> dialogs.Dialog:
    """Return the dialog in which a request of the peer arrived."""
    found = session.dialog
    if found is None:
        early = find(session, received.from_.tag)
        assert early is not None  # or the request would not have found the session
        found = early.dialog
    return found


def record_request(session: Session, received: Request, source: Address, now: float, *, behind: str | None) -> Session:
    """Return the session with the peer's request recorded in its dialog; `behind` is that of `Dialog`."""
    dialog = dialogs.record_request(dialog_of(session, received), received, source, behind=behind)
    if session.dialog is not None:
        return replace(session, dialog=dialog, last_message_at=now)
    return replace(session, early_dialogs=_with_early_dialog(session, dialog))


def update_refusal(stack: SipStack, session: Session, received: Request) -> tuple[int, Headers] | None:
    """Return the status and headers that refuse an UPDATE with an offer before the answer; None to accept it.

    Source: RFC 3311 §5.2.
    """
    if session.state is SessionState.CALLED:
        if session.described:
            return None
        if sdp_of(session.invite) is not None:
            return 500, (("Retry-After", str(int(stack.random() * 10))),)
        return 491, ()
    early = find(session, received.from_.tag)
    return None if early is not None and early.described else (491, ())


def report_change(
    stack: SipStack, session: Session, received: Request, key: str, method: Literal["INVITE", "UPDATE", "PRACK"]
) -> Session:
    """Report a change of the peer to the owner, before the answer or after it, and wait for its decision."""
    sdp = sdp_of(received)
    if method == "INVITE":
        stack.reply(key, 100)
    peer_reoffer = PeerReoffer(transaction=key, method=method, cseq=received.cseq, offerless=sdp is None)
    session = stack.put(replace(session, peer_reoffer=peer_reoffer))
    stack.start(session_timer_token(TimerKind.REOFFER, session.id), REOFFER_WITHIN_S)
    fork = clean(received.from_.tag or "") if session.state is SessionState.CALLING else ""
    stack.emit(Reoffered(session=session.id, method=method, sdp=sdp, fork=fork))
    return session


def send_update(stack: SipStack, session: Session, sdp: bytes | None) -> None:
    """Send our UPDATE, or emit at once that it cannot be sent."""
    if session.state is SessionState.CALLED:
        dialog = session.dialog if session.described and session.takes_update else None
    else:
        found = next(
            (early for early in reversed(session.early_dialogs) if early.described and early.takes_update), None
        )
        dialog = None if found is None else found.dialog
    if dialog is None or sdp is None or session.own_reoffer is not None or session.peer_reoffer is not None:
        stack.emit(ReofferRefused(session=session.id, status=491, reason="Request Pending"))
        return
    fields = (stack.contact_in(session), *sdp_headers(sdp), *stack.agent_headers())
    via = stack.via(dialogs.next_hop(dialog))
    dialog, made, to = dialogs.make_request(dialog, "UPDATE", via=via, headers=fields, body=sdp)
    key = stack.request(made, to, purpose=Purpose.REOFFER, session=session.id)
    stack.put(replace(_with_dialog(session, dialog), own_reoffer=OwnReoffer(transaction=key, sdp=sdp, method="UPDATE")))


def handle_response(stack: SipStack, session: Session, transaction: Transaction, response: Response) -> None:
    """Handle the final response to our UPDATE.

    Deviation: after a 491 the owner is notified at once; the agent does not retry.
    """
    session = replace(session, own_reoffer=None)
    if response.status >= 300:
        stack.put(session)
        stack.emit(ReofferRefused(session=session.id, status=response.status, reason=clean(response.reason)))
        return
    early = find(session, transaction.request.to.tag)
    dialog = session.dialog or (None if early is None else early.dialog)
    if dialog is not None:
        session = _with_dialog(session, dialogs.refresh_target(dialog, response))
    stack.put(session)
    stack.emit(ReofferAnswered(session=session.id, sdp=sdp_of(response), offer_to_answer=False))


def keep_answered_fork(stack: SipStack, session: Session, tag: str) -> Session:
    """Return the session with only the fork that answered; an UPDATE of ours to another fork is refused."""
    session = stack.remove_early_dialogs(session)
    waiting = None if session.own_reoffer is None else stack.transactions.get(session.own_reoffer.transaction)
    if waiting is not None and waiting.request.to.tag != tag:
        session = replace(session, own_reoffer=None)
        stack.emit(ReofferRefused(session=session.id, status=487, reason="Request Terminated"))
    return session


def _with_dialog(session: Session, dialog: dialogs.Dialog) -> Session:
    if session.dialog is not None:
        return replace(session, dialog=dialog)
    return replace(session, early_dialogs=_with_early_dialog(session, dialog))


def _with_early_dialog(session: Session, dialog: dialogs.Dialog) -> tuple[EarlyDialog, ...]:
    return tuple(
        replace(early, dialog=dialog) if early.dialog.remote_tag == dialog.remote_tag else early
        for early in session.early_dialogs
    )
