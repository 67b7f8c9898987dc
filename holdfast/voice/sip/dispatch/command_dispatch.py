"""Pass each command of a session's owner to the part of the agent that carries it out."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from holdfast.voice.sip.dialog.session_machine import SessionState
from holdfast.voice.sip.dialog.session_state import Session
from holdfast.voice.sip.effects import EndCause
from holdfast.voice.sip.session import early_dialog, info, invite_client, invite_server, referral, reinvite
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AcknowledgeOffer,
    AnswerRefer,
    AnswerReoffer,
    CancelInvite,
    EndSession,
    NotifyRefer,
    RecordAudio,
    RefuseInvite,
    RefuseReoffer,
    SendDigit,
    SendRefer,
    SendReoffer,
    SendRinging,
    SessionCommand,
)
from holdfast.voice.sip.stack import SipStack


def handle_command(stack: SipStack, session: Session, command: SessionCommand) -> None:
    """Carry out a command that the session's state admits."""
    match command:
        case AcknowledgeOffer():
            reinvite.acknowledge_offer(stack, session, command.sdp)
        case CancelInvite():
            invite_client.cancel(stack, session)
        case SendRinging():
            invite_server.ring(stack, session, command.status, command.sdp, acknowledged=command.acknowledged)
        case AcceptInvite():
            invite_server.accept(stack, session, command.sdp, command.headers)
        case RefuseInvite():
            status = command.status if 300 <= command.status <= 699 else 480
            invite_server.refuse(stack, session, status, EndCause.WE_REFUSED, command.headers)
        case EndSession():
            _end(stack, session)
        case SendReoffer(sdp=sdp):
            if session.state in early_dialog.UNANSWERED:
                early_dialog.send_update(stack, session, sdp if command.method == "UPDATE" else None)
            else:
                reinvite.reoffer(stack, session, sdp, command.method if sdp is not None else "INVITE")
        case AnswerReoffer():
            reinvite.answer_change(stack, session, command.sdp)
        case RefuseReoffer():
            reinvite.refuse_change(stack, session, command.status if 300 <= command.status <= 699 else 488)
        case SendDigit():
            info.send_digit(stack, session, command.digit, command.duration_ms)
        case RecordAudio():
            stack.put(replace(session, last_audio_at=stack.now))
        case SendRefer():
            referral.refer(stack, session, command.target)
        case AnswerRefer():
            referral.answer(stack, session, command.status)
        case NotifyRefer():
            referral.notify(stack, session, command.status)
        case _:
            assert_never(command)


def _end(stack: SipStack, session: Session) -> None:
    match session.state:
        case SessionState.CALLING:
            invite_client.cancel(stack, session)
        case SessionState.CALLED:
            invite_server.refuse(stack, session, 603, EndCause.WE_REFUSED)
        case SessionState.ANSWERED:
            stack.put(replace(session, bye_due=True))
        case SessionState.RUNNING:
            reinvite.hang_up(stack, session)
        case SessionState.CANCELLING | SessionState.ENDING | SessionState.OVER:
            raise AssertionError("too late, as the table says")
        case _:
            assert_never(session.state)
