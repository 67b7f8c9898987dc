"""Acknowledged provisional responses: 100rel and PRACK, on both sides.

An inbound call whose INVITE requires it gets its provisional responses with RSeq, repeated until their PRACK. An
outbound call offers it, and answers each such response of the callee with PRACK, in one early dialog per fork.
Source: RFC 3262.
"""

from __future__ import annotations

import re
from dataclasses import replace

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_machine import TimerKind
from holdfast.voice.sip.dialog.session_state import EarlyDialog, PendingProvisional, Session
from holdfast.voice.sip.effects import Address, EndCause, ProvisionalAcknowledged
from holdfast.voice.sip.message.body import sdp_of
from holdfast.voice.sip.message.message import Message, Request, Response
from holdfast.voice.sip.session import early_dialog
from holdfast.voice.sip.session.session_timer import allows_update
from holdfast.voice.sip.stack import ALLOW, SipStack, session_timer_token
from holdfast.voice.sip.transaction.machines import T1_S, TIMEOUT_S, Purpose

OPTION = "100rel"
MAX_EARLY = 16
"""The most forks of one outbound call whose provisional responses are acknowledged."""

_RACK = re.compile(r"([0-9]{1,10})\s+([0-9]{1,10})\s+INVITE\Z")
_RSEQ = re.compile(r"[0-9]{1,10}\Z")


def supported(message: Message) -> bool:
    """Return whether the sender can acknowledge provisional responses."""
    return any(tag.lower() == OPTION for name in ("Supported", "Require") for tag in message.values(name))


def required(message: Message) -> bool:
    """Return whether the message requires that provisional responses are acknowledged."""
    return any(tag.lower() == OPTION for tag in message.values("Require"))


# --- a call in


def ring(stack: SipStack, session: Session, status: int, sdp: bytes | None) -> None:
    """Send a provisional response that is repeated until its PRACK; send one at a time. Source: RFC 3262 §3."""
    if session.pending_provisional is not None:
        stack.put(replace(session, ring_due=True))
        return
    rseq = session.rseq + 1
    headers = (stack.contact_in(session), ALLOW, ("Require", OPTION), ("RSeq", str(rseq)))
    stack.reply(session.transaction, status, tag=session.local_tag, headers=headers, body=sdp or b"")
    waiting = PendingProvisional(rseq=rseq, interval_s=T1_S, waited_s=0.0, described=sdp is not None)
    stack.put(replace(session, rseq=rseq, pending_provisional=waiting, ring_due=False))
    stack.start(session_timer_token(TimerKind.PRACK, session.id), T1_S)


def repeat(stack: SipStack, session: Session) -> bool:
    """Send the provisional response again and return True; return False when its PRACK is overdue."""
    waiting = session.pending_provisional
    assert waiting is not None
    waited = waiting.waited_s + waiting.interval_s
    if waited >= TIMEOUT_S:
        return False
    transaction = stack.transactions.get(session.transaction)
    if transaction is not None and transaction.last and not transaction.peer.reliable:
        stack.send(transaction.last, transaction.peer, session.id, repeated=True)
    interval = min(waiting.interval_s * 2, TIMEOUT_S - waited)
    stack.put(replace(session, pending_provisional=replace(waiting, waited_s=waited, interval_s=interval)))
    stack.start(session_timer_token(TimerKind.PRACK, session.id), interval)
    return True


def handle_prack(stack: SipStack, session: Session, received: Request, key: str) -> Session | None:
    """Handle a PRACK: return the session if it acknowledges our response; else refuse it and return None.

    The owner answers an offer in it, once both sides have sent descriptions, in the response to the PRACK.
    Source: RFC 3262 §3, §5.
    """
    found = _RACK.match(received.first("RAck") or "")
    waiting = session.pending_provisional
    if not found or waiting is None or (int(found[1]), int(found[2])) != (waiting.rseq, session.invite.cseq):
        stack.reply(key, 481, tag=session.local_tag)
        return None
    sdp = sdp_of(received)
    answers = waiting.described and sdp_of(session.invite) is None
    session = stack.put(replace(stop_waiting(stack, session), described=session.described or waiting.described))
    if sdp is None or answers:
        stack.reply(key, 200, tag=session.local_tag)
    elif not session.described:
        stack.reply(key, 488, tag=session.local_tag)
    elif session.own_reoffer is not None or session.peer_reoffer is not None:
        stack.reply(key, 491, tag=session.local_tag)
    else:
        return early_dialog.report_change(stack, session, received, key, "PRACK")
    if answers:
        stack.emit(ProvisionalAcknowledged(session=session.id, sdp=sdp))
    return session


def stop_waiting(stack: SipStack, session: Session) -> Session:
    """Stop waiting for a PRACK."""
    stack.stop(session_timer_token(TimerKind.PRACK, session.id))
    return replace(session, pending_provisional=None)


def handle_timeout(stack: SipStack, session: Session) -> None:
    """Refuse the INVITE whose PRACK never arrived. Source: RFC 3262 §3."""
    stack.reply(session.transaction, 504, tag=session.local_tag)
    stack.end(session, EndCause.LOST, 504)


# --- a call out


def acknowledge(
    stack: SipStack, session: Session, invite: Request, response: Response, source: Address
) -> Session | None:
    """Record the fork of a provisional response, and send PRACK if the response requires it.

    Return None for a repeated response and for one out of order: the owner must not be notified of it.
    Source: RFC 3262 §4.
    """
    if response.to.tag is None:
        return session
    text = response.first("RSeq") or ""
    wanted = required(response) and _RSEQ.match(text) is not None
    known = early_dialog.find(session, response.to.tag)
    if known is None:
        if len(session.early_dialogs) >= MAX_EARLY:
            return None if wanted else session
        known = EarlyDialog(dialog=dialogs.as_caller(invite, response, source))
    known = replace(known, takes_update=known.takes_update or allows_update(response))
    if wanted:
        rseq = int(text)
        if known.rseq is not None and rseq != known.rseq + 1:
            return None
        rack = ("RAck", f"{rseq} {invite.cseq} INVITE")
        via = stack.via(dialogs.next_hop(known.dialog))
        dialog, made, to = dialogs.make_request(known.dialog, "PRACK", via=via, headers=(rack, *stack.agent_headers()))
        stack.request(made, to, purpose=Purpose.NOTHING, session=session.id)
        described = known.described or (sdp_of(response) is not None and bool(invite.body))
        known = replace(known, dialog=dialog, rseq=rseq, described=described)
    return stack.index_early_dialog(session, known)


def dialog_of(session: Session, invite: Request, response: Response, source: Address) -> dialogs.Dialog:
    """Return the dialog of a 2xx to our INVITE; it continues the CSeq numbers of the fork's early dialog."""
    made = dialogs.as_caller(invite, response, source)
    known = early_dialog.find(session, made.remote_tag)
    if known is None:
        return made
    return replace(made, local_cseq=known.dialog.local_cseq, remote_cseq=known.dialog.remote_cseq)
