"""An outbound call: our INVITE, its responses, several answers to one INVITE, challenges, and CANCEL.

Source: RFC 3261 §13.2, §9.1, §22.2.
"""

from __future__ import annotations

import re
from dataclasses import replace

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_machine import SessionState, TimerKind
from holdfast.voice.sip.dialog.session_state import Acknowledgement, Session
from holdfast.voice.sip.effects import Accepted, Address, Headers, Progressed, Refused, SessionId
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.body import sdp_headers, sdp_of
from holdfast.voice.sip.message.digest import DigestCredentials, proofs_in
from holdfast.voice.sip.message.message import (
    Request,
    Response,
    clean,
    clean_headers,
    request,
)
from holdfast.voice.sip.message.uri import (
    TOKEN,
    Uri,
    numeric_address,
    parse_uri,
    sip_uri,
    transport_of,
)
from holdfast.voice.sip.session import early_dialog, prack, session_timer
from holdfast.voice.sip.settings import AgentSettings
from holdfast.voice.sip.stack import SipStack, session_timer_token
from holdfast.voice.sip.transaction.machines import TIMEOUT_S, Purpose, Transaction

MAX_ACKS = 16
"""The most 2xx responses of one session whose ACK is kept for repetition."""


def target_of(text: str, next_hop: Address | None, settings: AgentSettings) -> tuple[Uri, Address]:
    """Return the Request-URI and the address that it leads to.

    Raises: UriUnreadable.
    """
    uri = parse_uri(text.partition("?")[0])
    transport = transport_of(uri) if next_hop is None else next_hop.transport
    if transport is None or not settings.supports_transport(transport):
        raise UriUnreadable(f"SIP over {uri.param('transport') or uri.scheme} is not supported here")
    if uri.scheme == "sips" and transport != "TLS":
        raise UriUnreadable("a sips: URI is reached over TLS alone")
    address = next_hop or numeric_address(uri.host, uri.port, transport)
    if address is None:
        raise UriUnreadable("the host of the SIP URI is not numeric")
    return uri, address


def invite(
    stack: SipStack,
    id: SessionId,
    target: str,
    *,
    sdp: bytes | None,
    next_hop: Address | None,
    caller: str,
    caller_name: str,
    credentials: DigestCredentials | None,
    headers: Headers,
) -> None:
    """Send the first INVITE of a session.

    Raises: UriUnreadable for a bad target, caller or header, and when the session exists already.
    """
    uri, to = target_of(target, next_hop, stack.settings)
    if id in stack.sessions:
        raise UriUnreadable("a session of that name exists")
    tag = stack.token()
    from_uri = parse_uri(caller).text if re.match("sips?:", caller) else sip_uri(caller, stack.settings.address)
    display_name = re.sub(r"[\x00-\x1f\x7f]", "", caller_name).replace("\\", "").replace('"', "")
    name = f'"{display_name}" ' if display_name else ""
    fields = (
        stack.via(to),
        ("Max-Forwards", "70"),
        ("From", f"{name}<{from_uri}>;tag={tag}"),
        ("To", f"<{uri.text}>"),
        ("Call-ID", f"{stack.token()}@{stack.settings.address.host}"),
        ("CSeq", "1 INVITE"),
        stack.contact(to, uri.text),
        *stack.agent_headers(),
        ("Supported", f"{prack.OPTION}, {session_timer.OPTION}" if sdp is not None else session_timer.OPTION),
        *session_timer.invite_headers(stack.settings),
        *_check_headers(headers),
        *sdp_headers(sdp),
    )
    if credentials is not None and credentials.host is None:
        credentials = replace(credentials, host=to.host)
    first = request("INVITE", uri.text, fields, sdp or b"")
    key = stack.request(first, to, purpose=Purpose.INVITE, session=id)
    stack.put(
        Session(
            id=id,
            state=SessionState.CALLING,
            invite=first,
            transaction=key,
            peer=to,
            we_called=True,
            local_tag=tag,
            credentials=credentials,
        )
    )


def _check_headers(headers: Headers) -> Headers:
    for name, value in headers:
        if not re.fullmatch(TOKEN, name, re.ASCII) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise UriUnreadable("a header that cannot be sent")
    return headers


def cancel(stack: SipStack, session: Session) -> None:
    """Cancel the call; the CANCEL waits for a provisional response. Source: RFC 3261 §9.1."""
    session = stack.change_state(session, SessionState.CANCELLING)
    if session.has_provisional:
        _send_cancel(stack, session)


def _send_cancel(stack: SipStack, session: Session) -> None:
    invited = session.invite
    via = next(value for name, value in invited.headers if name == "Via")
    fields = (
        ("Via", via),
        *((name, value) for name, value in invited.headers if name == "Route"),
        ("Max-Forwards", "70"),
        ("From", invited.from_.text),
        ("To", invited.to.text),
        ("Call-ID", invited.call_id),
        ("CSeq", f"{invited.cseq} CANCEL"),
        ("User-Agent", stack.settings.user_agent),
    )
    made = request("CANCEL", invited.uri, fields)
    stack.request(made, session.peer, purpose=Purpose.CANCEL, session=session.id)
    stack.start(session_timer_token(TimerKind.CANCEL, session.id), TIMEOUT_S)


def handle_cancel_timeout(stack: SipStack, session: Session) -> None:
    """End a cancelled call that got no final response in time. Source: RFC 3261 §9.1."""
    stack.drop_transaction(session.transaction)
    _end_refused(stack, session, 487, "Request Terminated", ())


def handle_response(
    stack: SipStack, session: Session, transaction: Transaction, response: Response, source: Address
) -> None:
    """Handle a response to our first INVITE that its transaction passed up."""
    if response.status < 200:
        _handle_provisional(stack, session, transaction, response, source)
    elif response.status < 300:
        _handle_success(stack, session, transaction, response, source)
    elif session.state is SessionState.CANCELLING:
        _end_refused(stack, session, 487, "Request Terminated", response.headers)
    elif session.state is SessionState.CALLING and not _retry(stack, session, transaction, response):
        _end_refused(stack, session, response.status, response.reason, response.headers)


def _handle_provisional(
    stack: SipStack, session: Session, transaction: Transaction, response: Response, source: Address
) -> None:
    first = not session.has_provisional
    session = stack.put(replace(session, has_provisional=True))
    if session.state is SessionState.CANCELLING and first:
        _send_cancel(stack, session)
    elif (
        session.state is SessionState.CALLING
        and response.status > 100
        and prack.acknowledge(stack, session, transaction.request, response, source) is not None
    ):
        stack.emit(
            Progressed(
                session=session.id,
                status=response.status,
                reason=clean(response.reason),
                sdp=sdp_of(response),
                fork=clean(response.to.tag or ""),
            )
        )


def _handle_success(
    stack: SipStack, session: Session, transaction: Transaction, response: Response, source: Address
) -> None:
    """Handle a 2xx: the first answers the call, a repeated one needs its ACK again, another fork is ended."""
    if repeat_ack(stack, session, response):
        return
    dialog = prack.dialog_of(session, transaction.request, response, source)
    known = session.dialog
    if (known is not None and known.remote_tag == dialog.remote_tag) or len(session.acks) >= MAX_ACKS:
        return
    if session.state is SessionState.CALLING:
        offered = bool(transaction.request.body)
        updates = session_timer.allows_update(response)
        session = early_dialog.keep_answered_fork(stack, session, dialog.remote_tag)
        session = replace(session, dialog=dialog, takes_update=updates, last_message_at=stack.now)
        stack.index_dialog(stack.change_state(session, SessionState.RUNNING))
        session = session_timer.restart(stack, stack.sessions[session.id], session_timer.agreed_timer(response))
        session_timer.start_keepalive(stack, session)
        if offered:
            acknowledge(stack, session, transaction.request.cseq, None)
        else:
            stack.put(replace(session, ack_due=transaction.request.cseq))
        stack.emit(
            Accepted(
                session=session.id,
                sdp=sdp_of(response),
                offer_to_answer=not offered,
                headers=clean_headers(response.headers),
                fork=clean(dialog.remote_tag),
            )
        )
        return
    session = _acknowledge_in_dialog(stack, session, dialog, transaction.request.cseq, None)
    _, bye, to = dialogs.make_request(
        dialog, "BYE", via=stack.via(dialogs.next_hop(dialog)), headers=stack.agent_headers()
    )
    stack.request(bye, to, purpose=Purpose.NOTHING, session=session.id)
    if session.state is SessionState.CANCELLING:
        _end_refused(stack, session, 487, "Request Terminated", ())


def repeat_ack(stack: SipStack, session: Session, response: Response) -> bool:
    """Send the ACK of this 2xx again and return True; return False when there was none."""
    for ack in session.acks:
        if (ack.remote_tag, ack.cseq) == (response.to.tag or "", response.cseq):
            stack.send(ack.data, ack.to, session.id, repeated=True)
            return True
    return False


def acknowledge(stack: SipStack, session: Session, cseq: int, sdp: bytes | None) -> Session:
    """Send the ACK of a 2xx in the session's dialog, and keep it for repetition."""
    assert session.dialog is not None
    return _acknowledge_in_dialog(stack, session, session.dialog, cseq, sdp)


def _acknowledge_in_dialog(
    stack: SipStack, session: Session, dialog: dialogs.Dialog, cseq: int, sdp: bytes | None
) -> Session:
    proofs = [
        field
        for field in session.invite.headers
        if field[0] in ("Authorization", "Proxy-Authorization") and session.invite.cseq == cseq
    ]
    _, ack, to = dialogs.make_request(
        dialog,
        "ACK",
        cseq=cseq,
        via=stack.via(dialogs.next_hop(dialog)),
        headers=(*proofs, ("User-Agent", stack.settings.user_agent), *sdp_headers(sdp)),
        body=sdp or b"",
    )
    data = ack.encode()
    stack.send(data, to, session.id, repeated=False)
    kept = Acknowledgement(remote_tag=dialog.remote_tag, cseq=cseq, data=data, to=to)
    return stack.put(replace(session, acks=(*session.acks, kept)[-MAX_ACKS:]))


def _retry(stack: SipStack, session: Session, transaction: Transaction, response: Response) -> bool:
    """Send the INVITE again with our credentials, or with the longer session interval that the peer requires."""
    attempt = transaction.attempt
    if response.status == 422:
        longer = (
            session_timer.longer_interval_headers(response, stack.settings)
            if session.interval_raises < session_timer.MAX_INTERVAL_RAISES
            else None
        )
        if longer is None:
            return False
        again = renumber(stack, transaction, *longer)
        session = replace(session, interval_raises=session.interval_raises + 1)
    else:
        proofs = stack.answer_challenge(response, transaction, session.credentials)
        if not proofs:
            return False
        again = renumber(stack, transaction, *proofs)
        attempt += 1
        session = replace(session, credentials=_bind_realms(session.credentials, proofs))
    key = stack.request(again, session.peer, purpose=Purpose.INVITE, session=session.id, attempt=attempt)
    stack.put(replace(stack.remove_early_dialogs(session), invite=again, transaction=key, has_provisional=False))
    return True


def _bind_realms(credentials: DigestCredentials | None, proofs: Headers) -> DigestCredentials | None:
    """Bind the credentials to the realms proved so far: a phone behind the trunk could ask for another realm."""
    if credentials is None or credentials.realms:
        return credentials
    return replace(credentials, realms=tuple(realm for _, realm in proofs_in(proofs)))


def renumber(stack: SipStack, transaction: Transaction, *fields: tuple[str, str]) -> Request:
    """Return a sent request as a new one: new branch, next CSeq, and these fields in place of the former ones."""
    sent = transaction.request
    numbered = "CSeq", f"{sent.cseq + 1} {sent.method}"
    headers = [
        {"Via": stack.via(transaction.peer), "CSeq": numbered}.get(name, (name, value))
        for name, value in sent.headers
        if name not in dict(fields)
    ]
    return request(sent.method, sent.uri, (*headers, *fields), sent.body)


def _end_refused(stack: SipStack, session: Session, status: int, reason: str, headers: Headers) -> None:
    stack.finish(session)
    stack.emit(Refused(session=session.id, status=status, reason=clean(reason), headers=clean_headers(headers)))


def send_options(stack: SipStack, ping: str, target: str, next_hop: Address | None) -> None:
    """Send OPTIONS to a peer outside all dialogs. Source: RFC 3261 §11.1.

    Raises: UriUnreadable.
    """
    uri, to = target_of(target, next_hop, stack.settings)
    fields = (
        stack.via(to),
        ("Max-Forwards", "70"),
        ("From", f"<{sip_uri(stack.settings.contact_user, stack.settings.address)}>;tag={stack.token()}"),
        ("To", f"<{uri.text}>"),
        ("Call-ID", f"{stack.token()}@{stack.settings.address.host}"),
        ("CSeq", "1 OPTIONS"),
        stack.contact(to, uri.text),
        ("Accept", "application/sdp"),
        *stack.agent_headers(),
    )
    stack.request(request("OPTIONS", uri.text, fields), to, purpose=Purpose.OPTIONS, subject=ping)
