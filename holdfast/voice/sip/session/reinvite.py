"""A call that runs: its end, changes of it in both directions, and keys.

Source: RFC 3261 §14, §15; RFC 3311; RFC 6086.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_state import OwnReoffer, Session, SessionState
from holdfast.voice.sip.effects import (
    DigitSignalled,
    EndCause,
    Headers,
    ReofferAnswered,
    ReofferDue,
    ReofferPutOff,
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
from holdfast.voice.sip.stack import SipStack, sdp_headers, session_timer_token
from holdfast.voice.sip.transaction.machines import Purpose, Transaction

GLARE_TRIES = 2
"""How often a re-INVITE that was answered 491 is sent again. Source: RFC 3261 §14.1 says "should" of once."""

KEPT = ("Contact", "Content-Type", "Supported", "Session-Expires", "Refer-To", "Referred-By")
"""What a request of ours keeps when it is sent again after a challenge."""


# --- requests of ours


def send(
    desk: SipStack,
    session: Session,
    method: str,
    purpose: Purpose,
    *,
    headers: Headers = (),
    content: bytes = b"",
    attempt: int = 0,
) -> tuple[Session, str]:
    """Send a request in the session's dialog; the session and the transaction's key."""
    assert session.dialog is not None
    headers = (*headers, *desk.agent_headers())
    via = desk.via(dialogs.next_hop(session.dialog))
    dialog, made, to = dialogs.write(session.dialog, method, via=via, headers=headers, body=content)
    session = desk.put(replace(session, dialog=dialog))
    return session, desk.request(made, to, purpose=purpose, session=session.id, attempt=attempt)


def hang_up(desk: SipStack, session: Session) -> None:
    """Send BYE. An offer of the peer's in a 2xx is first acknowledged without an answer; there is no other way."""
    if session.ack_due is not None:
        session = invite_client.acknowledge(desk, replace(session, ack_due=None), session.ack_due, None)
    session = settle(desk, session, 487)
    session = desk.move(session, SessionState.ENDING)
    send(desk, session, "BYE", Purpose.BYE)


def settle(desk: SipStack, session: Session, status: int) -> Session:
    """Give the peer's requests that still wait their final response, and stop what repeats."""
    for waits in (session.theirs.transaction if session.theirs is not None else None, session.referred):
        if waits is not None:
            desk.reply(waits, status, tag=session.local_tag)
    for name in ("reoffer", "again", "glare", "refer", "referral"):
        desk.stop(session_timer_token(name, session.id))
    return replace(session, theirs=None, unacknowledged=None, own=None, waiting=None, referred=None, refer_due=None)


def is_changing(session: Session) -> bool:
    """Whether a change by either side is under way, or waits for its ACK."""
    under_way = session.own or session.theirs or session.unacknowledged
    return under_way is not None or session.ack_due is not None


def reoffer(
    desk: SipStack, session: Session, sdp: bytes | None, method: Literal["INVITE", "UPDATE"] = "INVITE"
) -> None:
    """Send a re-INVITE or UPDATE now, or when what is under way is done."""
    wanted = OwnReoffer(transaction="", sdp=sdp, method=method)
    if is_changing(session) or session.state is not SessionState.RUNNING:
        desk.put(replace(session, waiting=wanted))
    else:
        _send_reoffer(desk, session, wanted)


def _send_reoffer(desk: SipStack, session: Session, wanted: OwnReoffer) -> None:
    headers = (desk.contact_in(session), *session_timer.renewal(session), *sdp_headers(wanted.sdp))
    content = wanted.sdp or b""
    session, key = send(desk, session, wanted.method, Purpose.REOFFER, headers=headers, content=content)
    desk.put(replace(session, own=replace(wanted, transaction=key, backing_off=False)))


def next_reoffer(desk: SipStack, session: Session) -> None:
    """Send the re-INVITE that waited, if nothing is in its way any more, and the REFER that did only after it."""
    if session.state is not SessionState.RUNNING:
        return
    if session.waiting is not None:
        waiting = session.waiting
        reoffer(desk, replace(session, waiting=None), waiting.sdp, waiting.method)
    elif session.refer_due is not None and not is_changing(session):
        refer(desk, session, session.refer_due)


def refer(desk: SipStack, session: Session, target: str) -> None:
    """Ask the peer to call this URI, once no change is under way: meanwhile phones refuse it with 491."""
    if is_changing(session) or session.waiting is not None or session.state is not SessionState.RUNNING:
        desk.put(replace(session, refer_due=target))
        return
    assert session.dialog is not None
    ours = parse_name_addr(session.dialog.local).uri
    headers = (desk.contact_in(session), ("Refer-To", f"<{target}>"), ("Referred-By", f"<{ours}>"))
    send(desk, replace(session, referral="asked", refer_due=None), "REFER", Purpose.REFER, headers=headers)


def back_off_over(desk: SipStack, session: Session) -> None:
    """The time after a 491 is over: try again, unless the peer's own change is under way, which then goes first.

    What was offered may describe us no longer, so our owner is asked anew.
    """
    own = session.own
    assert own is not None
    if session.theirs is not None or session.unacknowledged is not None:
        desk.start(session_timer_token("glare", session.id), back_off_s(desk, session))
    elif own.sdp is None:
        _send_reoffer(desk, session, own)
    elif session.waiting is not None:
        next_reoffer(desk, replace(session, own=None))
    else:
        desk.put(replace(session, own=None))
        desk.tell(ReofferDue(session=session.id, method=own.method))


def back_off_s(desk: SipStack, session: Session) -> float:
    """2.1 to 4 s for whoever made the Call-ID, up to 2 s for the other, in steps of 10 ms. Source: RFC 3261 §14.1."""
    low, high = (210, 400) if session.we_called else (0, 200)
    return (low + int(desk.dice() * (high - low + 1))) / 100


# --- their outcomes


def reoffer_responded(desk: SipStack, session: Session, transaction: Transaction, response: Response) -> None:
    """A response to a re-INVITE of ours."""
    own = session.own
    if session.state in early_dialog.BEFORE_ACK:
        early_dialog.responded(desk, session, transaction, response)
        return
    if response.status < 200:
        return
    if 200 <= response.status < 300 and invite_client.acknowledged_again(desk, session, response):
        return
    if session.state is not SessionState.RUNNING or own is None or own.transaction != transaction.key:
        invite = transaction.request.method == "INVITE"
        if invite and 200 <= response.status < 300 and session.dialog is not None and session.ack_due != response.cseq:
            invite_client.acknowledge(desk, session, response.cseq, None)
        return
    if response.status not in (408, 503):
        session = desk.put(replace(session, heard_at=desk.now))
    if response.status < 300:
        _reoffer_accepted(desk, session, own, transaction, response)
    elif response.status == 481:
        lost(desk, session, response.status)
    elif response.status == 408:
        _unanswered(desk, session, Purpose.REOFFER)
    elif response.status == 491 and session.glares < GLARE_TRIES:
        own = replace(own, transaction="", backing_off=True)
        desk.put(replace(session, own=own, glares=session.glares + 1))
        desk.start(session_timer_token("glare", session.id), back_off_s(desk, session))
        if own.sdp is not None:
            desk.tell(ReofferPutOff(session=session.id))
    elif not tried_again(desk, session, transaction, response):
        session = desk.put(replace(session, own=None, glares=0))
        desk.tell(ReofferRefused(session=session.id, status=response.status, reason=clean(response.reason)))
        next_reoffer(desk, session)


def _reoffer_accepted(
    desk: SipStack, session: Session, own: OwnReoffer, transaction: Transaction, response: Response
) -> None:
    assert session.dialog is not None
    session = replace(session, own=None, glares=0, dialog=dialogs.refresh(session.dialog, response))
    session = session_timer.keep(desk, session, session_timer.answered(response))
    cseq = transaction.request.cseq
    if own.sdp is None:
        session = desk.put(replace(session, ack_due=cseq))
    elif own.method == "INVITE":
        session = invite_client.acknowledge(desk, session, cseq, None)
    desk.tell(ReofferAnswered(session=session.id, sdp=body.sdp_of(response), offer_to_answer=own.sdp is None))
    next_reoffer(desk, session)


def tried_again(desk: SipStack, session: Session, transaction: Transaction, response: Response) -> bool:
    """Answer a challenge in the dialog."""
    proofs = desk.answer_challenge(response, transaction, session.credentials)
    if not proofs:
        return False
    sent = transaction.request
    kept = tuple(field for field in sent.headers if field[0] in KEPT)
    session, key = send(
        desk,
        session,
        sent.method,
        transaction.purpose,
        headers=(*kept, *proofs),
        content=sent.body,
        attempt=transaction.attempt + 1,
    )
    if transaction.purpose is Purpose.REOFFER and session.own is not None:
        desk.put(replace(session, own=replace(session.own, transaction=key)))
    return True


def bye_responded(desk: SipStack, session: Session, transaction: Transaction, response: Response) -> None:
    """The final response to our BYE: whatever it is but a challenge, the session is over."""
    if session.state is SessionState.ENDING and not tried_again(desk, session, transaction, response):
        desk.end(session, EndCause.WE_HUNG_UP, 200)


def info_responded(desk: SipStack, session: Session, transaction: Transaction, response: Response) -> None:
    """The final response to our INFO."""
    if response.status == 481:
        lost(desk, session, response.status)
    elif response.status == 408:
        _unanswered(desk, session, Purpose.INFO)
    else:
        tried_again(desk, session, transaction, response)


def timed_out(desk: SipStack, session: Session, purpose: Purpose) -> None:
    """Nobody responded to a request of ours in the dialog. Source: RFC 3261 §12.2.1.2."""
    if session.state is SessionState.ENDING:
        if purpose is Purpose.BYE:
            desk.end(session, EndCause.WE_HUNG_UP, 408)
    elif session.state in early_dialog.BEFORE_ACK:
        early_dialog.unheard(desk, session)
    else:
        _unanswered(desk, session, purpose)


def _unanswered(desk: SipStack, session: Session, purpose: Purpose) -> None:
    """Nobody answered a re-INVITE or an INFO of ours.

    Deviation: RFC 3261 §12.2.1.2 ends the dialog. There are border controllers that drop what they do not expect; whose
    sound is heard is there, and the change came to nothing.
    """
    if session.state is not SessionState.RUNNING or not session_timer.is_heard(desk, session):
        lost(desk, session, 408)
    elif purpose is Purpose.REOFFER:
        session = desk.put(replace(session, own=None, glares=0))
        desk.tell(ReofferRefused(session=session.id, status=408, reason="Request Timeout"))
        next_reoffer(desk, session)


def lost(desk: SipStack, session: Session, status: int) -> None:
    """The peer has no such dialog, or does not answer: say BYE to whoever may hear it, and end."""
    if session.state is not SessionState.RUNNING:
        return
    session = settle(desk, session, 487)
    session, _ = send(desk, session, "BYE", Purpose.NOTHING)
    desk.end(session, EndCause.LOST, status)


def unacknowledged(desk: SipStack, session: Session) -> None:
    """The ACK of our 2xx never came: BYE. Source: RFC 3261 §13.3.1.4, §14.2.

    Deviation: a call that runs, and whose sound is heard, goes on after a change that was never acknowledged.
    """
    waited = session.unacknowledged
    assert waited is not None
    if not waited.initial and session_timer.is_heard(desk, session):
        session = desk.put(replace(session, unacknowledged=None))
        if waited.offered:
            desk.tell(ReofferWithdrawn(session=session.id))
        next_reoffer(desk, session)
        return
    session = settle(desk, session, 487)
    session, _ = send(desk, session, "BYE", Purpose.NOTHING)
    desk.end(session, EndCause.NO_ACK, 408)


# --- requests of the peer's


def byed(desk: SipStack, session: Session, key: str) -> None:
    """The peer hung up. Who is called has nothing to hang up before it answers (RFC 3261 §15)."""
    if session.state in (SessionState.CALLING, SessionState.CANCELLING):
        desk.reply(key, 481, tag=session.local_tag)
        return
    desk.reply(key, 200, tag=session.local_tag)
    if session.state is SessionState.CALLED:
        invite_server.refuse(desk, session, 487, EndCause.CANCELLED)
        return
    session = settle(desk, session, 487)
    cause = EndCause.WE_HUNG_UP if session.state is SessionState.ENDING or session.bye_due else EndCause.HUNG_UP
    desk.end(session, cause, 200)


def change_asked(
    desk: SipStack, session: Session, received: Request, key: str, method: Literal["INVITE", "UPDATE"]
) -> None:
    """A re-INVITE or UPDATE of the peer's, already noted in the dialog."""
    if method == "INVITE":
        session = invite_server.presumed_acknowledged(desk, session)
    refused = body.refusal(received)
    short = session_timer.too_short(received)
    sdp = body.sdp_of(received)
    tag = session.local_tag
    if session.state in (SessionState.ENDING, SessionState.CANCELLING):
        desk.reply(key, 481, tag=tag)
    elif refused is not None:
        desk.reply(key, 415, tag=tag, headers=refused)
    elif short is not None:
        desk.reply(key, 422, tag=tag, headers=short)
    elif method == "UPDATE" and sdp is None:
        invite_server.say_ok(desk, key, session, None)
    elif session.theirs is not None:
        desk.reply(key, 500, tag=tag, headers=(("Retry-After", str(int(desk.dice() * 10))),))
    elif session.own is not None and not session.own.backing_off:
        desk.reply(key, 491, tag=tag)
    elif session.state in early_dialog.UNANSWERED and method == "UPDATE":
        too_soon = early_dialog.refusal(desk, session, received)
        if too_soon is not None:
            desk.reply(key, too_soon[0], tag=tag, headers=too_soon[1])
        else:
            early_dialog.ask_owner(desk, session, received, key, method)
    elif session.state is not SessionState.RUNNING or session.unacknowledged is not None or session.ack_due is not None:
        desk.reply(key, 491, tag=tag)
    else:
        early_dialog.ask_owner(desk, session, received, key, method)


def answer_change(desk: SipStack, session: Session, sdp: bytes) -> None:
    """Answer the peer's re-INVITE, UPDATE or PRACK."""
    theirs = session.theirs
    if theirs is None:
        return
    desk.stop(session_timer_token("reoffer", session.id))
    transaction = desk.transactions.get(theirs.transaction)
    session = replace(session, theirs=None)
    if theirs.method == "INVITE" and transaction is not None:
        waiting = invite_server.wait_for_ack(desk, session, theirs.transaction, transaction.request, initial=False)
        session = replace(session, unacknowledged=waiting)
    session = desk.put(session)
    invite_server.say_ok(desk, theirs.transaction, session, sdp)
    invite_server.go_on(desk, session)
    next_reoffer(desk, session)


def refuse_change(desk: SipStack, session: Session, status: int) -> None:
    """Refuse the peer's re-INVITE, UPDATE or PRACK."""
    theirs = session.theirs
    if theirs is None:
        return
    desk.stop(session_timer_token("reoffer", session.id))
    session = desk.put(replace(session, theirs=None))
    desk.reply(theirs.transaction, status, tag=session.local_tag)
    invite_server.go_on(desk, session)
    next_reoffer(desk, session)


def change_forgotten(desk: SipStack, session: Session) -> None:
    """Our owner never answered the peer's change."""
    refuse_change(desk, session, 500)
    desk.tell(ReofferWithdrawn(session=session.id))


def informed(desk: SipStack, session: Session, received: Request, key: str) -> None:
    """An INFO: a key, or nothing we know. Source: RFC 6086 §4.2.2 (a body not understood gets 415)."""
    digit = body.digit_of(received)
    if digit is not None:
        desk.reply(key, 200, tag=session.local_tag)
        if session.state in (SessionState.RUNNING, SessionState.ANSWERED):
            desk.tell(DigitSignalled(session=session.id, digit=digit[0], duration_ms=digit[1]))
    elif received.body:
        accept = (("Accept", f"{body.DTMF_RELAY}, {body.DTMF}"),)
        desk.reply(key, 415, tag=session.local_tag, headers=accept)
    else:
        desk.reply(key, 200, tag=session.local_tag)
