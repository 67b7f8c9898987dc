"""A call in: the peer's INVITE, our responses, and the 2xx that is repeated until its ACK.

Source: RFC 3261 §13.3, §9.2.
"""

from __future__ import annotations

import re
from dataclasses import replace

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_state import PendingOk, Session, SessionState
from holdfast.voice.sip.effects import Address, Confirmed, EndCause, Headers, Invited, ReofferWithdrawn, SessionId
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.body import sdp_of
from holdfast.voice.sip.message.message import Request, clean, cleaned
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

RING_AGAIN_S = 60.0
"""A provisional response is sent again this often, so that proxies do not give up. Source: RFC 3261 §13.3.1.1."""


def invited(
    desk: SipStack, received: Request, key: str, source: Address, *, user: str | None, behind: str | None = None
) -> None:
    """Begin a session for a first INVITE that passed all checks; `behind`: see `Dialog`."""
    session = Session(
        id=SessionId(desk.token()),
        state=SessionState.CALLED,
        invite=received,
        transaction=key,
        peer=source,
        we_called=False,
        local_tag=desk.token(),
        updates=session_timer.allows_update(received),
        heard_at=desk.now,
    )
    session = replace(session, dialog=dialogs.as_called(received, session.local_tag, source, behind=behind))
    desk.transactions[key] = replace(desk.transactions[key], session=session.id)
    desk.invites[received.call_id, received.from_.tag or "", received.cseq] = key
    desk.enter_dialog(session)
    desk.show(received.encode(), source, session.id, "in", again=False)
    desk.reply(key, 100)
    desk.start(session_timer_token("answer", session.id), _patience(desk, received))
    target, caller = as_sip(received.uri, desk.settings.address.host), _caller(received)
    desk.tell(
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
            headers=cleaned(received.headers),
        )
    )


def _caller(received: Request) -> tuple[str, str]:
    """User and host of From; a caller with a `tel:` URI is its number."""
    try:
        uri = parse_uri(received.from_.uri)
    except UriUnreadable:
        return number_of(received.from_.uri.partition(":")[2]).partition(";")[0], ""
    return number_of(uri.user), uri.host


def _patience(desk: SipStack, received: Request) -> float:
    """How long we may leave the INVITE without a final response. Source: RFC 3261 §13.3.1 for Expires."""
    expires = received.first("Expires") or ""
    if re.fullmatch(r"[0-9]{1,9}", expires):
        return min(float(expires), desk.settings.answer_within_s)
    return desk.settings.answer_within_s


def ring(desk: SipStack, session: Session, status: int, sdp: bytes | None, *, acknowledged: bool = False) -> None:
    """Send a provisional response, and again every minute.

    It is repeated until it is acknowledged if the caller requires that, or takes it and we wish it.
    """
    session = desk.put(replace(session, last_provisional=(status, sdp)))
    sure = prack.required(session.invite) or (acknowledged and prack.supported(session.invite))
    if status > 100 and sure:
        prack.ring(desk, session, status, sdp)
    else:
        headers = (desk.contact_in(session), ALLOW)
        desk.reply(session.transaction, status, tag=session.local_tag, headers=headers, body=sdp or b"")
    desk.start(session_timer_token("ring", session.id), RING_AGAIN_S)


def accept(desk: SipStack, session: Session, sdp: bytes | None, headers: Headers) -> None:
    """Send 200 and repeat it until the ACK; not before the PRACK of a description, if one is due.

    Source: RFC 3261 §13.3.1.4; RFC 3262 §3.
    """
    if is_undescribed(session):
        desk.put(replace(session, accept_due=(sdp, headers)))
        return
    if sdp is None and not session.described:
        _, sdp = session.last_provisional  # It was described there, and nobody acknowledged that.
    session = prack.settle(desk, session)
    desk.stop(session_timer_token("answer", session.id))
    desk.stop(session_timer_token("ring", session.id))
    waiting = wait_for_ack(desk, session, session.transaction, session.invite, initial=True)
    waiting = replace(waiting, offered=waiting.offered and sdp is not None)
    session = desk.move(replace(session, unacknowledged=waiting), SessionState.ANSWERED)
    say_ok(desk, session.transaction, session, sdp, headers)


def is_undescribed(session: Session) -> bool:
    """Whether a description is on its way in a provisional response or its PRACK, which the 200 must not overtake."""
    waits = session.unpracked is not None and session.unpracked.described
    return waits or (session.theirs is not None and session.theirs.method == "PRACK")


def say_ok(desk: SipStack, key: str, session: Session, sdp: bytes | None, headers: Headers = ()) -> None:
    """A 200 with a description, with what we can do, and with what it makes of the session timer.

    Source: RFC 3261 §13.3.1.4.
    """
    asked = desk.transactions.get(key)
    if asked is not None and session.state not in early_dialog.UNANSWERED:
        lasting, said = session_timer.answer(asked.request, session.lasting, desk.settings)
        session = session_timer.keep(desk, session, lasting)
        headers = (*headers, *said)
    headers = (desk.contact_in(session), ALLOW, SUPPORTED, *headers)
    desk.reply(key, 200, tag=session.local_tag, headers=headers, body=sdp or b"")


def pracked(desk: SipStack, session: Session, received: Request, key: str) -> None:
    """A PRACK came: what waited for it goes out."""
    acknowledged = prack.pracked(desk, session, received, key)
    if acknowledged is None or acknowledged.state is not SessionState.CALLED:
        return
    if session.unpracked is not None and session.unpracked.described:
        # What was described and acknowledged is not described again. Source: RFC 6337 §3.1.
        status, _ = acknowledged.last_provisional
        acknowledged = desk.put(replace(acknowledged, last_provisional=(status, None)))
    go_on(desk, acknowledged)


def go_on(desk: SipStack, session: Session) -> None:
    """Send what waited for a PRACK, once that is answered too."""
    if session.state is not SessionState.CALLED or is_undescribed(session):
        return
    if session.accept_due is not None:
        accept(desk, session, *session.accept_due)
    elif session.ring_due:
        ring(desk, session, *session.last_provisional)


def wait_for_ack(desk: SipStack, session: Session, key: str, answered: Request, *, initial: bool) -> PendingOk:
    """Begin to wait for the ACK of a 2xx."""
    desk.start(session_timer_token("again", session.id), T1_S)
    return PendingOk(
        cseq=answered.cseq,
        transaction=key,
        interval_s=T1_S,
        waited_s=0.0,
        offered=sdp_of(answered) is None,
        initial=initial,
    )


def repeat_ok(desk: SipStack, session: Session) -> bool:
    """Send the 200 once more; False when the ACK was waited for long enough."""
    waiting = session.unacknowledged
    assert waiting is not None
    waited = waiting.waited_s + waiting.interval_s
    if waited >= TIMEOUT_S:
        return False
    transaction = desk.transactions.get(waiting.transaction)
    if transaction is not None and transaction.last:
        desk.send(transaction.last, transaction.peer, session.id, again=True)
    interval = min(waiting.interval_s * 2, T2_S, TIMEOUT_S - waited)
    desk.put(replace(session, unacknowledged=replace(waiting, waited_s=waited, interval_s=interval)))
    desk.start(session_timer_token("again", session.id), interval)
    return True


def presumed_acknowledged(desk: SipStack, session: Session) -> Session:
    """The session when a re-INVITE came: who sends one has our 2xx to the one before, though its ACK is late or lost.

    Not where the ACK brings an answer, or our BYE waits for it. Source: RFC 5407 §3.1.4.
    """
    waiting = session.unacknowledged
    if waiting is None or waiting.offered or session.bye_due:
        return session
    return acknowledged(desk, session, waiting.cseq) or session


def acknowledged(desk: SipStack, session: Session, cseq: int, sdp: bytes | None = None) -> Session | None:
    """The ACK of a 2xx came, and what it describes. None when it is one we had already, or of nothing."""
    waiting = session.unacknowledged
    if waiting is None or waiting.cseq != cseq:
        return None
    desk.stop(session_timer_token("again", session.id))
    session = replace(session, unacknowledged=None)
    if waiting.initial:
        session = desk.move(session, SessionState.RUNNING)
        session_timer.begin_watch(desk, session)
    desk.put(session)
    desk.tell(Confirmed(session=session.id, sdp=sdp if waiting.offered else None, offered=waiting.offered))
    return session


def refuse(desk: SipStack, session: Session, status: int, cause: EndCause, headers: Headers = ()) -> None:
    """Send a final response that is no 2xx, and end the session."""
    desk.reply(session.transaction, status, tag=session.local_tag, headers=headers)
    desk.end(session, cause, status)


def cancelled(desk: SipStack, session: Session, invite_key: str) -> None:
    """The peer cancelled one of its INVITEs. One that has its final response is not touched by it."""
    transaction = desk.transactions.get(invite_key)
    if transaction is None or transaction.state is not State.PROCEEDING:
        return
    if session.state is SessionState.CALLED:
        refuse(desk, session, 487, EndCause.CANCELLED)
    else:
        desk.reply(invite_key, 487, tag=session.local_tag)
        desk.stop(session_timer_token("reoffer", session.id))
        desk.put(replace(session, theirs=None))
        desk.tell(ReofferWithdrawn(session=session.id))
