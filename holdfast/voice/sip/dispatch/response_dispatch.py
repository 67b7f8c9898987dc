"""Pass each outcome of a transaction or timer to the part of the agent that waits for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, assert_never

from holdfast.voice.sip.dialog.session_machine import TimerKind
from holdfast.voice.sip.dialog.session_state import Session
from holdfast.voice.sip.effects import Address, EndCause, OptionsAnswered, SessionId
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
from holdfast.voice.sip.transaction.machines import Purpose, Transaction, Trigger, trigger_of

Registrations = dict[str, register_client.ClientRegistration]
SessionPurpose = Literal[
    Purpose.INVITE, Purpose.REOFFER, Purpose.BYE, Purpose.INFO, Purpose.REFER, Purpose.REFRESH, Purpose.KEEPALIVE
]
"""A purpose whose outcome is an input of the session."""


def handle_response(
    stack: SipStack, registrations: Registrations, transaction: Transaction, response: Response, source: Address
) -> None:
    """Handle a response that its client transaction passed up."""
    purpose = transaction.purpose
    match purpose:
        case Purpose.REGISTER:
            _handle_register_response(stack, registrations, transaction, response)
        case Purpose.OPTIONS:
            stack.emit(OptionsAnswered(ping=transaction.subject, status=response.status))
        case Purpose.CANCEL | Purpose.NOTHING:
            pass
        case _:
            received = trigger_of(response.status) if purpose is Purpose.INVITE else purpose
            session = stack.admit(transaction.session, received) if transaction.session else None
            if session is not None:
                _handle_session_response(stack, session, transaction, purpose, response, source)


def _handle_session_response(
    stack: SipStack,
    session: Session,
    transaction: Transaction,
    purpose: SessionPurpose,
    response: Response,
    source: Address,
) -> None:
    match purpose:
        case Purpose.INVITE:
            invite_client.handle_response(stack, session, transaction, response, source)
        case Purpose.REOFFER:
            reinvite.handle_reoffer_response(stack, session, transaction, response)
        case Purpose.BYE:
            reinvite.handle_bye_response(stack, session, transaction, response)
        case Purpose.INFO:
            info.handle_response(stack, session, transaction, response)
        case Purpose.REFER:
            referral.handle_response(stack, session, transaction, response)
        case Purpose.REFRESH:
            keepalive.handle_response(stack, session, transaction, response)
        case Purpose.KEEPALIVE:
            keepalive.handle_keepalive_response(stack, session, response)
        case _:
            assert_never(purpose)


def handle_unsent(stack: SipStack, registrations: Registrations, transaction: Transaction, address: Address) -> None:
    """Handle a request that could not be sent, or whose connection ended. Source: RFC 3261 §8.1.3.1."""
    if transaction.purpose is Purpose.KEEPALIVE and transaction.session is not None:
        session = stack.admit(transaction.session, Purpose.KEEPALIVE)
        if session is not None:
            keepalive.handle_keepalive_unsent(stack, session)
    else:
        handle_response(stack, registrations, transaction, _in_place_of(transaction, 503), address)


def _handle_register_response(
    stack: SipStack, registrations: Registrations, transaction: Transaction, response: Response
) -> None:
    known = registrations.pop(transaction.subject, None)
    if known is not None:
        left = register_client.handle_response(stack, known, transaction, response)
        if left is not None:
            registrations[left.name] = left


def handle_transaction_timer(stack: SipStack, registrations: Registrations, letter: Trigger, key: str) -> None:
    """Handle a timer of a transaction that fired; a timeout is handled as a 408. Source: RFC 3261 §8.1.3.1."""
    transaction = stack.transactions[key]
    if stack.trigger(key, letter):
        handle_response(stack, registrations, transaction, _in_place_of(transaction, 408), transaction.peer)


def _in_place_of(transaction: Transaction, status: int) -> Response:
    """Return a response in place of the peer's that never arrived, without header fields."""
    return replace(respond(transaction.request, status, tag=None), headers=())


def handle_session_timer(stack: SipStack, kind: TimerKind, id: SessionId) -> None:
    """Handle a timer of a session that fired."""
    session = stack.admit(id, kind)
    if session is None:
        return
    match kind:
        case TimerKind.REPEAT_OK:
            if not invite_server.repeat_ok(stack, session):
                reinvite.handle_missing_ack(stack, session)
        case TimerKind.ANSWER:
            invite_server.refuse(stack, session, 480, EndCause.EXPIRED)
        case TimerKind.RING:
            invite_server.ring(stack, session, *session.last_provisional)
        case TimerKind.PRACK:
            if not prack.repeat(stack, session):
                prack.handle_timeout(stack, session)
        case TimerKind.REFRESH:
            keepalive.refresh(stack, session)
        case TimerKind.EXPIRE:
            reinvite.end_lost(stack, session, 408)
        case TimerKind.IDLE:
            keepalive.send_keepalive(stack, session)
        case TimerKind.CANCEL:
            invite_client.handle_cancel_timeout(stack, session)
        case TimerKind.GLARE:
            reinvite.handle_backoff_end(stack, session)
        case TimerKind.REFERRAL:
            reinvite.send_waiting(stack, session)
        case TimerKind.REFER:
            referral.answer(stack, session, 603)
        case TimerKind.REOFFER:
            reinvite.handle_change_timeout(stack, session)
        case _:
            assert_never(kind)
