"""A call out: our INVITE, its responses, several answers to one INVITE, challenges, and giving up.

Source: RFC 3261 §13.2, §9.1, §22.2.
"""

from __future__ import annotations

import re
from dataclasses import replace

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_state import Acknowledgement, Session, SessionState
from holdfast.voice.sip.effects import Accepted, Address, Headers, Progressed, Refused, SessionId
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.body import sdp_of
from holdfast.voice.sip.message.digest import DigestCredentials, proofs_in
from holdfast.voice.sip.message.message import (
    Request,
    Response,
    clean,
    cleaned,
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
from holdfast.voice.sip.stack import SipStack, sdp_headers, session_timer_token
from holdfast.voice.sip.transaction.machines import TIMEOUT_S, Purpose, Transaction

MAX_ACKS = 16
"""Different 2xx of one session that we remember having acknowledged."""


def target_of(text: str, next_hop: Address | None, settings: AgentSettings) -> tuple[Uri, Address]:
    """The Request-URI and where it leads.

    Raises: UriUnreadable.
    """
    uri = parse_uri(text.partition("?")[0])
    transport = transport_of(uri) if next_hop is None else next_hop.transport
    if transport is None or not settings.speaks(transport):
        raise UriUnreadable(f"SIP over {uri.param('transport') or uri.scheme} is not spoken here")
    if uri.scheme == "sips" and transport != "TLS":
        raise UriUnreadable("a sips: URI is reached over TLS alone")
    address = next_hop or numeric_address(uri.host, uri.port, transport)
    if address is None:
        raise UriUnreadable("the host of the SIP URI is not numeric")
    return uri, address


def invite(
    desk: SipStack,
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
    """Send the first INVITE of a session."""
    uri, to = target_of(target, next_hop, desk.settings)
    if id in desk.sessions:
        raise UriUnreadable("a session of that name exists")
    tag = desk.token()
    from_uri = parse_uri(caller).text if re.match("sips?:", caller) else sip_uri(caller, desk.settings.address)
    shown = re.sub(r"[\x00-\x1f\x7f]", "", caller_name).replace("\\", "").replace('"', "")
    name = f'"{shown}" ' if shown else ""
    fields = (
        desk.via(to),
        ("Max-Forwards", "70"),
        ("From", f"{name}<{from_uri}>;tag={tag}"),
        ("To", f"<{uri.text}>"),
        ("Call-ID", f"{desk.token()}@{desk.settings.address.host}"),
        ("CSeq", "1 INVITE"),
        desk.contact(to, uri.text),
        *desk.agent_headers(),
        ("Supported", f"{prack.OPTION}, {session_timer.OPTION}" if sdp is not None else session_timer.OPTION),
        *session_timer.wish(desk.settings),
        *_checked(headers),
        *sdp_headers(sdp),
    )
    if credentials is not None and credentials.at is None:
        credentials = replace(credentials, at=to.host)
    first = request("INVITE", uri.text, fields, sdp or b"")
    key = desk.request(first, to, purpose=Purpose.INVITE, session=id)
    desk.put(
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


def _checked(headers: Headers) -> Headers:
    for name, value in headers:
        if not re.fullmatch(TOKEN, name, re.ASCII) or re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise UriUnreadable("a header that cannot be sent")
    return headers


def cancel(desk: SipStack, session: Session) -> None:
    """Give up; the CANCEL waits for a provisional response. Source: RFC 3261 §9.1."""
    session = desk.move(session, SessionState.CANCELLING)
    if session.answerable:
        _send_cancel(desk, session)


def _send_cancel(desk: SipStack, session: Session) -> None:
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
        ("User-Agent", desk.settings.user_agent),
    )
    made = request("CANCEL", invited.uri, fields)
    desk.request(made, session.peer, purpose=Purpose.CANCEL, session=session.id)
    desk.start(session_timer_token("cancel", session.id), TIMEOUT_S)


def cancel_unheard(desk: SipStack, session: Session) -> None:
    """No final response came long after our CANCEL: take the call for cancelled. Source: RFC 3261 §9.1."""
    desk.drop_transaction(session.transaction)
    _refused(desk, session, 487, "Request Terminated", ())


def responded(desk: SipStack, session: Session, transaction: Transaction, response: Response, source: Address) -> None:
    """A response to our first INVITE came up from its transaction."""
    if response.status < 200:
        _progressed(desk, session, transaction, response, source)
    elif response.status < 300:
        _accepted(desk, session, transaction, response, source)
    elif session.state is SessionState.CANCELLING:
        _refused(desk, session, 487, "Request Terminated", response.headers)
    elif session.state is SessionState.CALLING and not _tried_again(desk, session, transaction, response):
        _refused(desk, session, response.status, response.reason, response.headers)


def timed_out(desk: SipStack, session: Session) -> None:
    """Nobody responded to our first INVITE."""
    if session.state is SessionState.CANCELLING:
        _refused(desk, session, 487, "Request Terminated", ())
    else:
        _refused(desk, session, 408, "Request Timeout", ())


def _progressed(
    desk: SipStack, session: Session, transaction: Transaction, response: Response, source: Address
) -> None:
    first = not session.answerable
    session = desk.put(replace(session, answerable=True))
    if session.state is SessionState.CANCELLING and first:
        _send_cancel(desk, session)
    elif (
        session.state is SessionState.CALLING
        and response.status > 100
        and prack.acknowledge(desk, session, transaction.request, response, source) is not None
    ):
        desk.tell(
            Progressed(
                session=session.id,
                status=response.status,
                reason=clean(response.reason),
                sdp=sdp_of(response),
                fork=clean(response.to.tag or ""),
            )
        )


def _accepted(desk: SipStack, session: Session, transaction: Transaction, response: Response, source: Address) -> None:
    """A 2xx: the first answers the call; the same again means our ACK was lost; another is a fork that lost."""
    if acknowledged_again(desk, session, response):
        return
    dialog = prack.dialog_of(session, transaction.request, response, source)
    known = session.dialog
    if (known is not None and known.remote_tag == dialog.remote_tag) or len(session.acks) >= MAX_ACKS:
        return
    if session.state is SessionState.CALLING:
        offered = bool(transaction.request.body)
        updates = session_timer.allows_update(response)
        session = early_dialog.answered_by(desk, session, dialog.remote_tag)
        session = replace(session, dialog=dialog, updates=updates, heard_at=desk.now)
        desk.enter_dialog(desk.move(session, SessionState.RUNNING))
        session = session_timer.keep(desk, desk.sessions[session.id], session_timer.answered(response))
        session_timer.begin_watch(desk, session)
        if offered:
            acknowledge(desk, session, transaction.request.cseq, None)
        else:
            desk.put(replace(session, ack_due=transaction.request.cseq))
        desk.tell(
            Accepted(
                session=session.id,
                sdp=sdp_of(response),
                offer_to_answer=not offered,
                headers=cleaned(response.headers),
                fork=clean(dialog.remote_tag),
            )
        )
        return
    session = _acknowledge_in(desk, session, dialog, transaction.request.cseq, None)
    _, bye, to = dialogs.write(dialog, "BYE", via=desk.via(dialogs.next_hop(dialog)), headers=desk.agent_headers())
    desk.request(bye, to, purpose=Purpose.NOTHING, session=session.id)
    if session.state is SessionState.CANCELLING:
        _refused(desk, session, 487, "Request Terminated", ())


def acknowledged_again(desk: SipStack, session: Session, response: Response) -> bool:
    """Send the ACK of this 2xx again, if there was one."""
    for ack in session.acks:
        if (ack.remote_tag, ack.cseq) == (response.to.tag or "", response.cseq):
            desk.send(ack.data, ack.to, session.id, again=True)
            return True
    return False


def acknowledge(desk: SipStack, session: Session, cseq: int, sdp: bytes | None) -> Session:
    """Send the ACK of a 2xx in the session's dialog, and keep it."""
    assert session.dialog is not None
    return _acknowledge_in(desk, session, session.dialog, cseq, sdp)


def _acknowledge_in(desk: SipStack, session: Session, dialog: dialogs.Dialog, cseq: int, sdp: bytes | None) -> Session:
    proofs = [
        field
        for field in session.invite.headers
        if field[0] in ("Authorization", "Proxy-Authorization") and session.invite.cseq == cseq
    ]
    _, ack, to = dialogs.write(
        dialog,
        "ACK",
        cseq=cseq,
        via=desk.via(dialogs.next_hop(dialog)),
        headers=(*proofs, ("User-Agent", desk.settings.user_agent), *sdp_headers(sdp)),
        body=sdp or b"",
    )
    data = ack.encode()
    desk.send(data, to, session.id, again=False)
    kept = Acknowledgement(remote_tag=dialog.remote_tag, cseq=cseq, data=data, to=to)
    return desk.put(replace(session, acks=(*session.acks, kept)[-MAX_ACKS:]))


def _tried_again(desk: SipStack, session: Session, transaction: Transaction, response: Response) -> bool:
    """Send the INVITE again with our credentials, or with a session as long as the peer wants it."""
    attempt = transaction.attempt
    if response.status == 422:
        asked = session_timer.raised(response, desk.settings) if session.raises < session_timer.RAISES else None
        if asked is None:
            return False
        again = renumbered(desk, transaction, *asked)
        session = replace(session, raises=session.raises + 1)
    else:
        proofs = desk.answer_challenge(response, transaction, session.credentials)
        if not proofs:
            return False
        again = renumbered(desk, transaction, *proofs)
        attempt += 1
        session = replace(session, credentials=_bound(session.credentials, proofs))
    key = desk.request(again, session.peer, purpose=Purpose.INVITE, session=session.id, attempt=attempt)
    desk.put(replace(desk.leave_early(session), invite=again, transaction=key, answerable=False))
    return True


def _bound(credentials: DigestCredentials | None, proofs: Headers) -> DigestCredentials | None:
    """The credentials for the rest of the call: a phone behind the trunk could ask for a realm of its choice."""
    if credentials is None or credentials.realms:
        return credentials
    return replace(credentials, realms=tuple(realm for _, realm in proofs_in(proofs)))


def renumbered(desk: SipStack, transaction: Transaction, *fields: tuple[str, str]) -> Request:
    """A request of ours as a new one: new branch, the next CSeq, and these fields in place of older ones."""
    sent = transaction.request
    numbered = "CSeq", f"{sent.cseq + 1} {sent.method}"
    headers = [
        {"Via": desk.via(transaction.peer), "CSeq": numbered}.get(name, (name, value))
        for name, value in sent.headers
        if name not in dict(fields)
    ]
    return request(sent.method, sent.uri, (*headers, *fields), sent.body)


def _refused(desk: SipStack, session: Session, status: int, reason: str, headers: Headers) -> None:
    desk.finish(session)
    desk.tell(Refused(session=session.id, status=status, reason=clean(reason), headers=cleaned(headers)))


def ask_options(desk: SipStack, ping: str, target: str, next_hop: Address | None) -> None:
    """Ask a peer outside any dialog what it can do, which a live one answers. Source: RFC 3261 §11.1."""
    uri, to = target_of(target, next_hop, desk.settings)
    fields = (
        desk.via(to),
        ("Max-Forwards", "70"),
        ("From", f"<{sip_uri(desk.settings.contact_user, desk.settings.address)}>;tag={desk.token()}"),
        ("To", f"<{uri.text}>"),
        ("Call-ID", f"{desk.token()}@{desk.settings.address.host}"),
        ("CSeq", "1 OPTIONS"),
        desk.contact(to, uri.text),
        ("Accept", "application/sdp"),
        *desk.agent_headers(),
    )
    desk.request(request("OPTIONS", uri.text, fields), to, purpose=Purpose.OPTIONS, subject=ping)
