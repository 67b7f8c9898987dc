"""A call before its answer: the early dialogs of a call out, and UPDATE in early dialogs both ways.

Descriptions may change before the answer once both sides have described themselves in messages that are not lost: the
INVITE, and a provisional response that was acknowledged.
Source: RFC 3261 §12.1; RFC 3311 §5; RFC 6337 §3.1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_state import (
    EarlyDialog,
    OwnReoffer,
    PeerReoffer,
    Session,
    SessionState,
)
from holdfast.voice.sip.effects import Address, Headers, ReofferAnswered, Reoffered, ReofferRefused
from holdfast.voice.sip.message.body import sdp_of
from holdfast.voice.sip.message.message import Request, Response, clean
from holdfast.voice.sip.stack import SipStack, sdp_headers, session_timer_token
from holdfast.voice.sip.transaction.machines import Purpose, Transaction

UNANSWERED = (SessionState.CALLING, SessionState.CALLED)
BEFORE_ACK = (*UNANSWERED, SessionState.ANSWERED)
REOFFER_WITHIN_S = 20.0
"""A re-INVITE that our owner leaves unanswered this long is refused, so that no owner can leave it open."""


def find(session: Session, tag: str | None) -> EarlyDialog | None:
    """The early dialog with this fork of our INVITE."""
    return next((early for early in session.early_dialogs if early.dialog.remote_tag == tag), None)


def dialog_of(session: Session, received: Request) -> dialogs.Dialog:
    """The dialog a request of the peer's came in."""
    found = session.dialog
    if found is None:
        early = find(session, received.from_.tag)
        assert early is not None  # or the request would not have found the session
        found = early.dialog
    return found


def record_request(session: Session, received: Request, source: Address, now: float, *, behind: str | None) -> Session:
    """The session with the peer's request noted in its dialog; `behind`: see `Dialog`."""
    dialog = dialogs.record_request(dialog_of(session, received), received, source, behind=behind)
    if session.dialog is not None:
        return replace(session, dialog=dialog, last_message_at=now)
    return replace(session, early_dialogs=_with_early_dialog(session, dialog))


def update_refusal(stack: SipStack, session: Session, received: Request) -> tuple[int, Headers] | None:
    """Why an UPDATE with an offer cannot be taken before the answer: status and headers; None when it can.

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
    """Tell the owner of a change of the peer's, before the answer or after it, and wait for what it says."""
    sdp = sdp_of(received)
    if method == "INVITE":
        stack.reply(key, 100)
    peer_reoffer = PeerReoffer(transaction=key, method=method, cseq=received.cseq, offerless=sdp is None)
    session = stack.put(replace(session, peer_reoffer=peer_reoffer))
    stack.start(session_timer_token("reoffer", session.id), REOFFER_WITHIN_S)
    fork = clean(received.from_.tag or "") if session.state is SessionState.CALLING else ""
    stack.emit(Reoffered(session=session.id, method=method, sdp=sdp, fork=fork))
    return session


def send_update(stack: SipStack, session: Session, sdp: bytes | None) -> None:
    """Send an UPDATE of ours, or say at once that it cannot be."""
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
    """The final response to it. Deviation: after a 491 our owner is told at once; nothing is tried again by itself."""
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


def handle_timeout(stack: SipStack, session: Session) -> None:
    """Nobody responded to it. The call itself is not touched: its INVITE decides."""
    stack.put(replace(session, own_reoffer=None))
    stack.emit(ReofferRefused(session=session.id, status=408, reason="Request Timeout"))


def keep_answered_fork(stack: SipStack, session: Session, tag: str) -> Session:
    """The session when this fork answers: the other early dialogs go, and an UPDATE of ours in one of them."""
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
