"""Pass each outcome of a transaction or timer to the part of the agent that waits for it."""

from __future__ import annotations

from holdfast.voice.sip.dialog.session_state import Session
from holdfast.voice.sip.effects import Address, EndCause, OptionsAnswered
from holdfast.voice.sip.message.message import Response, respond
from holdfast.voice.sip.registrar import register_client
from holdfast.voice.sip.session import (
    info,
    invite_client,
    invite_server,
    keepalive,
    prack,
    referral,
    reinvite,
)
from holdfast.voice.sip.stack import SipStack
from holdfast.voice.sip.transaction.machines import Purpose, Transaction, Trigger

Registrations = dict[str, register_client.ClientRegistration]


def handle_response(
    stack: SipStack, registrations: Registrations, transaction: Transaction, response: Response, source: Address
) -> None:
    """Handle a response that its client transaction passed up."""
    session = stack.sessions.get(transaction.session) if transaction.session else None
    match transaction.purpose:
        case Purpose.INVITE if session is not None:
            invite_client.handle_response(stack, session, transaction, response, source)
        case Purpose.REOFFER if session is not None:
            reinvite.handle_reoffer_response(stack, session, transaction, response)
        case Purpose.BYE if session is not None:
            reinvite.handle_bye_response(stack, session, transaction, response)
        case Purpose.INFO if session is not None:
            info.handle_response(stack, session, transaction, response)
        case Purpose.REFER if session is not None:
            referral.handle_response(stack, session, transaction, response)
        case Purpose.REFRESH if session is not None:
            keepalive.handle_response(stack, session, transaction, response)
        case Purpose.KEEPALIVE if session is not None:
            keepalive.handle_keepalive_response(stack, session, response)
        case Purpose.REGISTER:
            _handle_register_response(stack, registrations, transaction, response)
        case Purpose.OPTIONS:
            stack.emit(OptionsAnswered(ping=transaction.subject, status=response.status))
        case _:
            pass


def handle_unsent(stack: SipStack, registrations: Registrations, transaction: Transaction, address: Address) -> None:
    """Handle a request that could not be sent, or whose connection ended. Source: RFC 3261 §8.1.3.1."""
    session = stack.live(transaction.session) if transaction.session else None
    if transaction.purpose is Purpose.KEEPALIVE and session is not None:
        keepalive.handle_keepalive_unsent(stack, session)
    else:
        made = respond(transaction.request, 503, tag=stack.token())
        handle_response(stack, registrations, transaction, made, address)


def _handle_register_response(
    stack: SipStack, registrations: Registrations, transaction: Transaction, response: Response
) -> None:
    known = registrations.pop(transaction.subject, None)
    if known is not None:
        left = register_client.handle_response(stack, known, transaction, response)
        if left is not None:
            registrations[left.name] = left


def handle_transaction_timer(stack: SipStack, registrations: Registrations, letter: Trigger, key: str) -> None:
    """Handle a timer of a transaction that fired."""
    transaction = stack.transactions[key]
    if not stack.trigger(key, letter):
        return
    session = stack.live(transaction.session) if transaction.session else None
    match transaction.purpose:
        case Purpose.INVITE if session is not None:
            invite_client.handle_timeout(stack, session)
        case Purpose.KEEPALIVE if session is not None:
            keepalive.handle_keepalive_timeout(stack, session)
        case Purpose.REFRESH if session is not None:
            keepalive.handle_timeout(stack, session)
        case Purpose.REFER if session is not None:
            referral.handle_timeout(stack, session)
        case Purpose.REOFFER | Purpose.BYE | Purpose.INFO if session is not None:
            reinvite.handle_timeout(stack, session, transaction.purpose)
        case Purpose.REGISTER:
            known = registrations.get(transaction.subject)
            if known is not None and register_client.is_latest(known, transaction):
                del registrations[transaction.subject]
                left = register_client.handle_failure(stack, known, 408, "Request Timeout")
                if left is not None:
                    registrations[left.name] = left
        case Purpose.OPTIONS:
            stack.emit(OptionsAnswered(ping=transaction.subject, status=408))
        case _:
            pass


def handle_session_timer(stack: SipStack, name: str, session: Session) -> None:
    """Handle a timer of a session that fired."""
    match name:
        case "repeat-ok":
            if not invite_server.repeat_ok(stack, session):
                reinvite.handle_missing_ack(stack, session)
        case "answer":
            invite_server.refuse(stack, session, 480, EndCause.EXPIRED)
        case "ring":
            invite_server.ring(stack, session, *session.last_provisional)
        case "prack":
            if not prack.repeat(stack, session):
                prack.handle_timeout(stack, session)
        case "refresh":
            keepalive.refresh(stack, session)
        case "expire":
            reinvite.end_lost(stack, session, 408)
        case "idle":
            keepalive.send_keepalive(stack, session)
        case "cancel":
            invite_client.handle_cancel_timeout(stack, session)
        case "glare":
            reinvite.handle_backoff_end(stack, session)
        case "referral":
            reinvite.send_waiting(stack, session)
        case "refer":
            referral.answer(stack, session, 603)
        case _:
            reinvite.handle_change_timeout(stack, session)
