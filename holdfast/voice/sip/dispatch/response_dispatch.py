"""What comes of transactions and timers: each outcome goes to the part of the agent that waits for it."""

from __future__ import annotations

from holdfast.voice.sip.dialog.session_state import Session
from holdfast.voice.sip.effects import Address, EndCause, OptionsAnswered
from holdfast.voice.sip.message.message import Response, respond
from holdfast.voice.sip.registrar import register_client
from holdfast.voice.sip.session import (
    invite_client,
    invite_server,
    prack,
    refer,
    refresh,
    reinvite,
)
from holdfast.voice.sip.stack import SipStack
from holdfast.voice.sip.transaction.machines import Purpose, Transaction, Trigger

Registrations = dict[str, register_client.ClientRegistration]


def responded(
    desk: SipStack, registrations: Registrations, transaction: Transaction, response: Response, source: Address
) -> None:
    """A response came up from its client transaction."""
    session = desk.sessions.get(transaction.session) if transaction.session else None
    match transaction.purpose:
        case Purpose.INVITE if session is not None:
            invite_client.responded(desk, session, transaction, response, source)
        case Purpose.REOFFER if session is not None:
            reinvite.reoffer_responded(desk, session, transaction, response)
        case Purpose.BYE if session is not None:
            reinvite.bye_responded(desk, session, transaction, response)
        case Purpose.INFO if session is not None:
            reinvite.info_responded(desk, session, transaction, response)
        case Purpose.REFER if session is not None:
            refer.responded(desk, session, transaction, response)
        case Purpose.REFRESH if session is not None:
            refresh.refreshed(desk, session, transaction, response)
        case Purpose.KEEPALIVE if session is not None:
            refresh.told(desk, session, response)
        case Purpose.REGISTER:
            _registered(desk, registrations, transaction, response)
        case Purpose.OPTIONS:
            desk.tell(OptionsAnswered(ping=transaction.subject, status=response.status))
        case _:
            pass


def disconnected(desk: SipStack, registrations: Registrations, transaction: Transaction, gone: Address) -> None:
    """A request could not be sent, or its connection ended before anything answered. Source: RFC 3261 §8.1.3.1."""
    session = desk.live(transaction.session) if transaction.session else None
    if transaction.purpose is Purpose.KEEPALIVE and session is not None:
        refresh.unreached(desk, session)
    else:
        made = respond(transaction.request, 503, tag=desk.token())
        responded(desk, registrations, transaction, made, gone)


def _registered(desk: SipStack, registrations: Registrations, transaction: Transaction, response: Response) -> None:
    known = registrations.pop(transaction.subject, None)
    if known is not None:
        left = register_client.responded(desk, known, transaction, response)
        if left is not None:
            registrations[left.name] = left


def transaction_timer(desk: SipStack, registrations: Registrations, letter: Trigger, key: str) -> None:
    """A timer of a transaction fired."""
    transaction = desk.transactions[key]
    if not desk.trigger(key, letter):
        return
    session = desk.live(transaction.session) if transaction.session else None
    match transaction.purpose:
        case Purpose.INVITE if session is not None:
            invite_client.timed_out(desk, session)
        case Purpose.KEEPALIVE if session is not None:
            refresh.unanswered(desk, session)
        case Purpose.REFRESH if session is not None:
            refresh.unrefreshed(desk, session)
        case Purpose.REFER if session is not None:
            refer.unanswered(desk, session)
        case Purpose.REOFFER | Purpose.BYE | Purpose.INFO if session is not None:
            reinvite.timed_out(desk, session, transaction.purpose)
        case Purpose.REGISTER:
            known = registrations.get(transaction.subject)
            if known is not None and register_client.is_latest(known, transaction):
                del registrations[transaction.subject]
                left = register_client.failed(desk, known, 408, "Request Timeout")
                if left is not None:
                    registrations[left.name] = left
        case Purpose.OPTIONS:
            desk.tell(OptionsAnswered(ping=transaction.subject, status=408))
        case _:
            pass


def session_timer(desk: SipStack, name: str, session: Session) -> None:
    """A timer of a session fired."""
    match name:
        case "again":
            if not invite_server.repeat_ok(desk, session):
                reinvite.unacknowledged(desk, session)
        case "answer":
            invite_server.refuse(desk, session, 480, EndCause.EXPIRED)
        case "ring":
            invite_server.ring(desk, session, *session.last_provisional)
        case "prack":
            if not prack.repeat(desk, session):
                prack.given_up(desk, session)
        case "refresh":
            refresh.refresh(desk, session)
        case "expire":
            reinvite.lost(desk, session, 408)
        case "idle":
            refresh.ask(desk, session)
        case "cancel":
            invite_client.cancel_unheard(desk, session)
        case "glare":
            reinvite.back_off_over(desk, session)
        case "referral":
            reinvite.next_reoffer(desk, session)
        case "refer":
            refer.answer(desk, session, 603)
        case _:
            reinvite.change_forgotten(desk, session)
