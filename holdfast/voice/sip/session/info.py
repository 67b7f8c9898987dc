"""Digits in INFO requests inside a dialog, in both directions.

Source: RFC 6086; application/dtmf-relay and application/dtmf as phones send them.
"""

from __future__ import annotations

from holdfast.voice.sip.dialog.session_machine import SessionState
from holdfast.voice.sip.dialog.session_state import Session
from holdfast.voice.sip.effects import DigitSignalled
from holdfast.voice.sip.message import body
from holdfast.voice.sip.message.message import Request, Response
from holdfast.voice.sip.session import reinvite
from holdfast.voice.sip.stack import SipStack
from holdfast.voice.sip.transaction.machines import Purpose, Transaction


def send_digit(stack: SipStack, session: Session, digit: str, duration_ms: int) -> None:
    """Send one digit as application/dtmf-relay."""
    headers = (("Content-Type", body.DTMF_RELAY),)
    content = f"Signal={digit[:1]}\r\nDuration={duration_ms}\r\n".encode()
    reinvite.send(stack, session, "INFO", Purpose.INFO, headers=headers, content=content)


def handle_response(stack: SipStack, session: Session, transaction: Transaction, response: Response) -> None:
    """Handle the final response to our INFO."""
    if response.status == 481:
        reinvite.end_lost(stack, session, response.status)
    elif response.status == 408:
        reinvite.handle_no_response(stack, session, Purpose.INFO)
    else:
        reinvite.answer_challenge(stack, session, transaction, response)


def handle_info(stack: SipStack, session: Session, received: Request, key: str) -> None:
    """Report the digit of the peer's INFO; a body of another kind gets 415. Source: RFC 6086 §4.2.2."""
    digit = body.digit_of(received)
    if digit is not None:
        stack.reply(key, 200, tag=session.local_tag)
        if session.state in (SessionState.RUNNING, SessionState.ANSWERED):
            stack.emit(DigitSignalled(session=session.id, digit=digit[0], duration_ms=digit[1]))
    elif received.body:
        accept = (("Accept", f"{body.DTMF_RELAY}, {body.DTMF}"),)
        stack.reply(key, 415, tag=session.local_tag, headers=accept)
    else:
        stack.reply(key, 200, tag=session.local_tag)
