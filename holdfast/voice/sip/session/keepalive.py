"""Check that a running call still runs: refreshes of its session timer, and OPTIONS in its dialog.

Source: RFC 4028 §7.4, §10; RFC 3261 §11, §12.2.1.2.
"""

from __future__ import annotations

from dataclasses import replace

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_machine import TimerKind
from holdfast.voice.sip.dialog.session_state import Session
from holdfast.voice.sip.effects import RefreshDue
from holdfast.voice.sip.message.message import Response
from holdfast.voice.sip.session import reinvite, session_timer
from holdfast.voice.sip.stack import SipStack, session_timer_token
from holdfast.voice.sip.transaction.machines import TIMEOUT_S, Purpose, Transaction

SERVICE_UNAVAILABLE = 503
"""The status of a request that had no connection too: it is no sign of life."""


def refresh(stack: SipStack, session: Session) -> None:
    """Refresh the session at half of its timer by UPDATE, or have the owner refresh it by re-INVITE."""
    if reinvite.is_changing(session):
        stack.start(session_timer_token(TimerKind.REFRESH, session.id), session_timer.RETRY_S)
    elif session.takes_update:
        headers = (stack.contact_in(session), *session_timer.refresh_headers(session))
        reinvite.send(stack, session, "UPDATE", Purpose.REFRESH, headers=headers)
    else:
        session_timer.request_refresh(stack, session)


def handle_response(stack: SipStack, session: Session, transaction: Transaction, response: Response) -> None:
    """Handle the final response to our refresh. After a temporary refusal the session timer decides."""
    if response.status == 408:
        handle_timeout(stack, session)
        return
    if response.status != SERVICE_UNAVAILABLE:
        session = replace(session, last_message_at=stack.now)
    assert session.dialog is not None
    if response.status < 300:
        session_timer.restart(
            stack,
            replace(session, dialog=dialogs.refresh_target(session.dialog, response)),
            session_timer.agreed_timer(response),
        )
        return
    stack.put(session)
    if response.status == 481:
        reinvite.end_lost(stack, session, response.status)
    elif response.status in (405, 501):
        _refresh_by_reinvite(stack, session)
    elif (
        response.status == 422
        and session.timer is not None
        and session.interval_raises < session_timer.MAX_INTERVAL_RAISES
    ):
        longer = replace(session.timer, expires_s=max(session.timer.expires_s, session_timer.min_se_s(response)))
        refresh(stack, stack.put(replace(session, timer=longer, interval_raises=session.interval_raises + 1)))
    elif not reinvite.answer_challenge(stack, session, transaction, response) and session.timer is not None:
        stack.start(session_timer_token(TimerKind.REFRESH, session.id), session_timer.RETRY_S)


def handle_timeout(stack: SipStack, session: Session) -> None:
    """Handle the timeout of our UPDATE.

    Deviation: RFC 4028 §10 ends the call. Some SBCs drop UPDATE; while RTP is received the call is refreshed by
    re-INVITE.
    """
    if session_timer.has_recent_audio(stack, session):
        _refresh_by_reinvite(stack, session)
    else:
        reinvite.end_lost(stack, session, 408)


def _refresh_by_reinvite(stack: SipStack, session: Session) -> None:
    """Have the owner refresh by re-INVITE, again and again while a session timer runs: the peer takes no UPDATE."""
    session = stack.put(replace(session, takes_update=False))
    if session.timer is None:
        stack.emit(RefreshDue(session=session.id))
    else:
        session_timer.request_refresh(stack, session)


def send_keepalive(stack: SipStack, session: Session) -> None:
    """Send OPTIONS to the peer when it has sent no message for long."""
    left_s = session_timer.keepalive_due_in_s(stack, session)
    if left_s > 0:
        stack.start(session_timer_token(TimerKind.IDLE, session.id), left_s)
    else:
        reinvite.send(stack, session, "OPTIONS", Purpose.KEEPALIVE, headers=(("Accept", "application/sdp"),))


def handle_keepalive_unsent(stack: SipStack, session: Session) -> None:
    """Retry an OPTIONS that had no connection, for as long as an answer may take; then end the call."""
    left_s = TIMEOUT_S + session_timer.keepalive_due_in_s(stack, session)
    if left_s > 0:
        stack.start(session_timer_token(TimerKind.IDLE, session.id), min(session_timer.RETRY_S, left_s))
    elif session_timer.has_recent_audio(stack, session):
        session_timer.start_keepalive(stack, stack.put(replace(session, last_message_at=stack.now)))
    else:
        reinvite.end_lost(stack, session, 408)


def handle_keepalive_timeout(stack: SipStack, session: Session) -> None:
    """Handle the timeout of our OPTIONS.

    Deviation: RFC 3261 §12.2.1.2 ends the dialog. Some SBCs drop OPTIONS: while RTP is received the call is kept. A
    peer that never answered an OPTIONS is checked by a refresh, because a phone that holds sends no RTP.
    """
    if session_timer.has_recent_audio(stack, session):
        session_timer.start_keepalive(stack, stack.put(replace(session, last_message_at=stack.now)))
    elif session.answers_options or session.probed_at == session.last_message_at:
        reinvite.end_lost(stack, session, 408)
    else:
        session = stack.put(replace(session, probed_at=session.last_message_at))
        session_timer.start_keepalive(stack, session)
        _probe_by_refresh(stack, session)


def _probe_by_refresh(stack: SipStack, session: Session) -> None:
    """Refresh the session to learn whether the peer is alive; a change in progress already shows it."""
    if reinvite.is_changing(session):
        return
    if session.takes_update:
        headers = (stack.contact_in(session), *session_timer.refresh_headers(session))
        reinvite.send(stack, session, "UPDATE", Purpose.REFRESH, headers=headers)
    else:
        stack.emit(RefreshDue(session=session.id))


def handle_keepalive_response(stack: SipStack, session: Session, response: Response) -> None:
    """Handle the answer to our OPTIONS: every status but 481 and a proxy's 408 shows that the peer is alive."""
    if response.status == 481:
        reinvite.end_lost(stack, session, 481)
    elif response.status == 408:
        handle_keepalive_timeout(stack, session)
    else:
        session_timer.start_keepalive(
            stack, stack.put(replace(session, last_message_at=stack.now, answers_options=True))
        )
