"""What comes of transactions and timers: each outcome goes to the part of the agent that waits for it."""

from __future__ import annotations

from holdfast.voice.sip import called, calling, referring, refreshing, registration, reliable, running
from holdfast.voice.sip.desk import Desk
from holdfast.voice.sip.effects import Address, EndCause, OptionsAnswered
from holdfast.voice.sip.message import Response, respond
from holdfast.voice.sip.session import Session
from holdfast.voice.sip.transaction import Purpose, Transaction, Trigger

Registrations = dict[str, registration.Registration]


def responded(
    desk: Desk, registrations: Registrations, transaction: Transaction, response: Response, source: Address
) -> None:
    """A response came up from its client transaction."""
    session = desk.sessions.get(transaction.session) if transaction.session else None
    match transaction.purpose:
        case Purpose.INVITE if session is not None:
            calling.responded(desk, session, transaction, response, source)
        case Purpose.REOFFER if session is not None:
            running.reoffer_responded(desk, session, transaction, response)
        case Purpose.BYE if session is not None:
            running.bye_responded(desk, session, transaction, response)
        case Purpose.INFO if session is not None:
            running.info_responded(desk, session, transaction, response)
        case Purpose.REFER if session is not None:
            referring.responded(desk, session, transaction, response)
        case Purpose.REFRESH if session is not None:
            refreshing.refreshed(desk, session, transaction, response)
        case Purpose.KEEPALIVE if session is not None:
            refreshing.told(desk, session, response)
        case Purpose.REGISTER:
            _registered(desk, registrations, transaction, response)
        case Purpose.OPTIONS:
            desk.tell(OptionsAnswered(ping=transaction.subject, status=response.status))
        case _:
            pass


def disconnected(desk: Desk, registrations: Registrations, transaction: Transaction, gone: Address) -> None:
    """A request could not be sent, or its connection ended before anything answered. Source: RFC 3261 §8.1.3.1."""
    session = desk.live(transaction.session) if transaction.session else None
    if transaction.purpose is Purpose.KEEPALIVE and session is not None:
        refreshing.unreached(desk, session)
    else:
        made = respond(transaction.request, 503, tag=desk.token())
        responded(desk, registrations, transaction, made, gone)


def _registered(desk: Desk, registrations: Registrations, transaction: Transaction, response: Response) -> None:
    known = registrations.pop(transaction.subject, None)
    if known is not None:
        left = registration.responded(desk, known, transaction, response)
        if left is not None:
            registrations[left.name] = left


def transaction_timer(desk: Desk, registrations: Registrations, letter: Trigger, key: str) -> None:
    """A timer of a transaction fired."""
    transaction = desk.transactions[key]
    if not desk.trigger(key, letter):
        return
    session = desk.live(transaction.session) if transaction.session else None
    match transaction.purpose:
        case Purpose.INVITE if session is not None:
            calling.timed_out(desk, session)
        case Purpose.KEEPALIVE if session is not None:
            refreshing.unanswered(desk, session)
        case Purpose.REFRESH if session is not None:
            refreshing.unrefreshed(desk, session)
        case Purpose.REFER if session is not None:
            referring.unanswered(desk, session)
        case Purpose.REOFFER | Purpose.BYE | Purpose.INFO if session is not None:
            running.timed_out(desk, session, transaction.purpose)
        case Purpose.REGISTER:
            known = registrations.get(transaction.subject)
            if known is not None and registration.is_latest(known, transaction):
                del registrations[transaction.subject]
                left = registration.failed(desk, known, 408, "Request Timeout")
                if left is not None:
                    registrations[left.name] = left
        case Purpose.OPTIONS:
            desk.tell(OptionsAnswered(ping=transaction.subject, status=408))
        case _:
            pass


def session_timer(desk: Desk, name: str, session: Session) -> None:
    """A timer of a session fired."""
    match name:
        case "again":
            if not called.repeat_ok(desk, session):
                running.unacknowledged(desk, session)
        case "answer":
            called.refuse(desk, session, 480, EndCause.EXPIRED)
        case "ring":
            called.ring(desk, session, *session.last_provisional)
        case "prack":
            if not reliable.repeat(desk, session):
                reliable.given_up(desk, session)
        case "refresh":
            refreshing.refresh(desk, session)
        case "expire":
            running.lost(desk, session, 408)
        case "idle":
            refreshing.ask(desk, session)
        case "cancel":
            calling.cancel_unheard(desk, session)
        case "glare":
            running.back_off_over(desk, session)
        case "referral":
            running.next_reoffer(desk, session)
        case "refer":
            referring.answer(desk, session, 603)
        case _:
            running.change_forgotten(desk, session)
