"""A running call asked whether it still runs: refreshes of its session timer, and OPTIONS in its dialog.

Source: RFC 4028 §7.4, §10; RFC 3261 §11, §12.2.1.2.
"""

from __future__ import annotations

from dataclasses import replace

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_state import Session, SessionState
from holdfast.voice.sip.effects import RefreshDue
from holdfast.voice.sip.message.message import Response
from holdfast.voice.sip.session import reinvite, session_timer
from holdfast.voice.sip.stack import SipStack, session_timer_token
from holdfast.voice.sip.transaction.machines import TIMEOUT_S, Purpose, Transaction

SERVICE_UNAVAILABLE = 503
"""Also what a request comes to for which there is no connection: nobody is heard by it."""


def refresh(desk: SipStack, session: Session) -> None:
    """Half of the session timer is over: refresh it by UPDATE, else have our owner do it by re-INVITE."""
    if session.state is not SessionState.RUNNING:
        return
    if session.own or session.theirs or session.unacknowledged or session.ack_due is not None:
        desk.start(session_timer_token("refresh", session.id), session_timer.TRY_AGAIN_S)
    elif session.updates:
        headers = (desk.contact_in(session), *session_timer.renewal(session))
        reinvite.send(desk, session, "UPDATE", Purpose.REFRESH, headers=headers)
    else:
        session_timer.refresh_due(desk, session)


def refreshed(desk: SipStack, session: Session, transaction: Transaction, response: Response) -> None:
    """The final response to our refresh. One that only says "not now" is no end: the session timer itself decides."""
    if session.state is not SessionState.RUNNING or session.dialog is None or response.status < 200:
        return
    if response.status == 408:
        unrefreshed(desk, session)
        return
    if response.status != SERVICE_UNAVAILABLE:
        session = replace(session, heard_at=desk.now)
    assert session.dialog is not None
    if response.status < 300:
        session_timer.keep(
            desk, replace(session, dialog=dialogs.refresh(session.dialog, response)), session_timer.answered(response)
        )
        return
    desk.put(session)
    if response.status == 481:
        reinvite.lost(desk, session, response.status)
    elif response.status in (405, 501):
        _refresh_otherwise(desk, session)
    elif response.status == 422 and session.lasting is not None and session.raises < session_timer.RAISES:
        longer = replace(session.lasting, expires_s=max(session.lasting.expires_s, session_timer.least_s(response)))
        refresh(desk, desk.put(replace(session, lasting=longer, raises=session.raises + 1)))
    elif not reinvite.tried_again(desk, session, transaction, response) and session.lasting is not None:
        desk.start(session_timer_token("refresh", session.id), session_timer.TRY_AGAIN_S)


def unrefreshed(desk: SipStack, session: Session) -> None:
    """Nobody answered our UPDATE.

    Deviation: RFC 4028 §10 ends the call. Border controllers that drop UPDATE are met; whose sound is heard is asked by
    re-INVITE.
    """
    if session.state is not SessionState.RUNNING:
        return
    if session_timer.is_heard(desk, session):
        _refresh_otherwise(desk, session)
    else:
        reinvite.lost(desk, session, 408)


def _refresh_otherwise(desk: SipStack, session: Session) -> None:
    """The peer takes no UPDATE: our owner refreshes by re-INVITE, until that has come to something if a timer runs."""
    session = desk.put(replace(session, updates=False))
    if session.lasting is None:
        desk.tell(RefreshDue(session=session.id))
    else:
        session_timer.refresh_due(desk, session)


def ask(desk: SipStack, session: Session) -> None:
    """Ask the peer whether it is there, if nothing was heard of it for long."""
    if session.state is not SessionState.RUNNING:
        return
    left_s = session_timer.quiet_s(desk, session)
    if left_s > 0:
        desk.start(session_timer_token("idle", session.id), left_s)
    else:
        reinvite.send(desk, session, "OPTIONS", Purpose.KEEPALIVE, headers=(("Accept", "application/sdp"),))


def unreached(desk: SipStack, session: Session) -> None:
    """No connection could be had to ask it: tried again, until as much time is over as an answer may take."""
    if session.state is not SessionState.RUNNING:
        return
    left_s = TIMEOUT_S + session_timer.quiet_s(desk, session)
    if left_s > 0:
        desk.start(session_timer_token("idle", session.id), min(session_timer.TRY_AGAIN_S, left_s))
    elif session_timer.is_heard(desk, session):
        session_timer.begin_watch(desk, desk.put(replace(session, heard_at=desk.now)))
    else:
        reinvite.lost(desk, session, 408)


def unanswered(desk: SipStack, session: Session) -> None:
    """Nobody answered that.

    Deviation: RFC 3261 §12.2.1.2 ends the dialog. Border controllers that drop OPTIONS are met: whose sound is heard is
    there all the same, and who never answered one is asked by a refresh, for a phone that holds sends no sound.
    """
    if session.state is not SessionState.RUNNING:
        return
    if session_timer.is_heard(desk, session):
        session_timer.begin_watch(desk, desk.put(replace(session, heard_at=desk.now)))
    elif session.answers or session.doubted_at == session.heard_at:
        reinvite.lost(desk, session, 408)
    else:
        session = desk.put(replace(session, doubted_at=session.heard_at))
        session_timer.begin_watch(desk, session)
        _ask_otherwise(desk, session)


def _ask_otherwise(desk: SipStack, session: Session) -> None:
    """Refresh the session, by which it is seen whether the peer is there. What is under way already shows it too."""
    if session.own or session.theirs or session.unacknowledged or session.ack_due is not None:
        return
    if session.updates:
        headers = (desk.contact_in(session), *session_timer.renewal(session))
        reinvite.send(desk, session, "UPDATE", Purpose.REFRESH, headers=headers)
    else:
        desk.tell(RefreshDue(session=session.id))


def told(desk: SipStack, session: Session, response: Response) -> None:
    """The answer to that. Whatever it is but "no such call", or a proxy's "no answer", somebody is there."""
    if session.state is not SessionState.RUNNING:
        return
    if response.status == 481:
        reinvite.lost(desk, session, 481)
    elif response.status == 408:
        unanswered(desk, session)
    else:
        session_timer.begin_watch(desk, desk.put(replace(session, heard_at=desk.now, answers=True)))
