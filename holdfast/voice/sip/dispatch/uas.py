"""The user agent server: pass each request to a transaction, into a dialog, or begin a call or registration.

A request that begins nothing is answered statelessly, so that unauthenticated peers cannot fill the memory that calls
need.
Source: RFC 3261 §8.2, §8.2.7, §9.2, §10.3, §12.2.2, §17.2.3, §26.3.2.4.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import assert_never

from holdfast.voice.sip.abuse_guard import AbuseGuard
from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_machine import PeerRequest
from holdfast.voice.sip.dialog.session_state import Session
from holdfast.voice.sip.effects import Address, ContactsChanged, Headers, MessageDropped, SessionId
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.body import sdp_of
from holdfast.voice.sip.message.codec import Malformed
from holdfast.voice.sip.message.digest import DigestVerdict, Ha1, Verifier
from holdfast.voice.sip.message.message import (
    Request,
    forwarded_by,
    reply_address,
    respond,
)
from holdfast.voice.sip.message.uri import parse_uri
from holdfast.voice.sip.registrar import registrar
from holdfast.voice.sip.registrar.contact_book import ContactBook
from holdfast.voice.sip.request_validation import KNOWN_METHODS, SUPPORTED, find_rejection
from holdfast.voice.sip.session import (
    early_dialog,
    info,
    invite_server,
    referral,
    reinvite,
    session_timer,
)
from holdfast.voice.sip.settings import AdmissionPolicy
from holdfast.voice.sip.stack import ALLOW, SipStack
from holdfast.voice.sip.transaction.machines import (
    State,
    Transaction,
    Trigger,
    server_key,
)

ALLOW_EVENTS = ("Allow-Events", "refer")
"""Events that a phone may subscribe to: the progress of a REFER. Source: RFC 6665 §8.2.2, §8.3.2."""
TAG_CHARACTERS = 20
SHUTDOWN_RETRY_AFTER_S = 10
"""Retry-After of a stopping server: by then another server has usually been started."""
REGISTRAR_ALLOW = ("Allow", f"{ALLOW[1]}, REGISTER")


class UserAgentServer:
    """The server core of one agent: it asks the policy, checks credentials and keeps the contacts of lines."""

    __slots__ = ("_disconnected_calls", "_guard", "_is_shutting_down", "_policy", "_stack", "_verifier", "contacts")

    def __init__(self, stack: SipStack, policy: AdmissionPolicy) -> None:
        self._stack = stack
        self._policy = policy
        settings = stack.settings
        self._verifier = Verifier(realm=settings.realm, secret=settings.secret, algorithms=settings.algorithms)
        self._guard = AbuseGuard(settings.limits, quiet=settings.quiet)
        self.contacts = ContactBook()
        self._is_shutting_down = False
        self._disconnected_calls: dict[SessionId, tuple[str, registrar.ContactKey, registrar.Binding]] = {}
        """Calls of a phone whose connection ended → its line and the contact that it had registered."""

    def begin_shutdown(self) -> None:
        """Refuse initial INVITE and OPTIONS from now on; everything else goes on. Source: RFC 3261 §21.5.4, §11.2."""
        self._is_shutting_down = True

    def handle_disconnect(self, address: Address) -> None:
        """Remove the contacts of a closed connection; calls over it wait for the next one of the phone."""
        sessions = self._stack.sessions
        self._disconnected_calls = {id: lost for id, lost in self._disconnected_calls.items() if id in sessions}
        there = [id for id, session in sessions.items() if session.peer_address == address]
        for user, key, lost in self.contacts.remove_connection(address):
            self._disconnected_calls |= {id: (user, key, lost) for id in there}
            self._report_contacts(user)

    def _report_contacts(self, user: str) -> None:
        uris = tuple(uri for uri, _ in self.contacts.of(user, self._stack.now))
        self._stack.emit(ContactsChanged(user=user, contacts=uris))

    def handle_request(self, received: Request, data: bytes, source: Address) -> None:
        """Handle a request that arrived. In-dialog requests may use twice the transaction limit."""
        stack = self._stack
        known = stack.transactions.get(server_key(received))
        in_call = self._is_in_call(received)
        limit = stack.settings.max_transactions * (1 + in_call)
        if received.method == "ACK":
            self._handle_ack(received, data, source, known)
        elif known is not None:
            stack.trace(data, source, known.session, "in", repeated=True)
            stack.trigger(known.key, Trigger.REQUEST)
        elif self._is_rejected(received, source):
            return
        elif len(stack.transactions) >= limit:
            self._answer_statelessly(received, source, 503, headers=(("Retry-After", "5"),))
        elif received.method not in KNOWN_METHODS:
            self._answer_statelessly(received, source, 501, headers=(self._allow(),))
        else:
            wrong = find_rejection(received, in_call=in_call)
            if wrong is not None:
                self._answer_statelessly(received, source, wrong.status, headers=wrong.headers, reason=wrong.reason)
            elif received.method == "CANCEL":
                self._handle_cancel(received, data, source)
            elif received.to.tag is not None:
                self._handle_in_dialog(received, data, source)
            else:
                self._handle_outside_dialog(received, source)

    def handle_malformed(self, malformed: Malformed, source: Address) -> None:
        """Answer a request that cannot be read, unless the guard ignores its sender."""
        if not self._is_rejected(None, source):
            self._stack.send(malformed.encode(self._stack.token()), source, None, repeated=False)

    def _is_rejected(self, received: Request | None, source: Address) -> bool:
        """Return whether a request is left unanswered. Requests of calls and of trunks never are."""
        if self._policy.may_call_unauthenticated(source) or (received is not None and self._is_in_call(received)):
            return False
        why = self._guard.rejection(received, source, self._stack.now)
        if why is not None:
            self._stack.emit(MessageDropped(source=source, reason=why))
        return why is not None

    def _is_in_call(self, received: Request) -> bool:
        """Return whether a request belongs to a known call."""
        if received.method == "CANCEL":
            return server_key(replace(received, method="INVITE")) in self._stack.transactions
        return received.to.tag is not None and self._session_of(received) is not None

    def _handle_ack(self, ack: Request, data: bytes, source: Address, known: Transaction | None) -> None:
        """Handle an ACK: that of a failure belongs to the INVITE's transaction, that of a 2xx to the dialog."""
        stack = self._stack
        if known is not None and known.state in (State.COMPLETED, State.CONFIRMED):
            stack.trace(data, source, known.session, "in", repeated=known.state is State.CONFIRMED)
            stack.trigger(known.key, Trigger.ACK)
            return
        found = self._session_of(ack)
        session = None if found is None else stack.admit(found.id, PeerRequest.ACK)
        if session is None:
            return
        waiting = session.pending_ok
        stack.trace(data, source, session.id, "in", repeated=waiting is None or waiting.cseq != ack.cseq)
        confirmed = invite_server.handle_ack(stack, session, ack.cseq, sdp_of(ack))
        if confirmed is not None and confirmed.bye_due:
            reinvite.hang_up(stack, confirmed)
        elif confirmed is not None:
            reinvite.send_waiting(stack, confirmed)

    def _handle_cancel(self, received: Request, data: bytes, source: Address) -> None:
        """Answer a CANCEL with 200 if its INVITE is known, and cancel that. Source: RFC 3261 §9.2."""
        stack = self._stack
        invite_key = server_key(replace(received, method="INVITE"))
        invite = stack.transactions.get(invite_key)
        if invite is None:
            self._answer_statelessly(received, source, 481)
            return
        session = stack.live(invite.session) if invite.session else None
        if session is not None:
            stack.trace(data, source, session.id, "in", repeated=False)
        key = stack.begin_server_transaction(received, reply_address(received, source), session.id if session else None)
        stack.reply(key, 200, tag=session.local_tag if session else None)
        if session is not None and stack.admit(session.id, PeerRequest.CANCEL) is not None:
            invite_server.handle_cancel(stack, session, invite_key)
            if (left := stack.live(session.id)) is not None:
                reinvite.send_waiting(stack, left)

    def _handle_in_dialog(self, received: Request, data: bytes, source: Address) -> None:
        """Handle a request inside a dialog, which is found by its tags, whatever its Request-URI says."""
        stack = self._stack
        found, kind = self._session_of(received), PeerRequest(received.method)
        session = None if found is None else stack.admit(found.id, kind)
        if session is None:
            self._answer_statelessly(received, source, 481)
            return
        key = stack.begin_server_transaction(received, reply_address(received, source), session.id)
        stack.trace(data, source, session.id, "in", repeated=False)
        tag = session.local_tag
        if not dialogs.in_order(early_dialog.dialog_of(session, received), received):
            stack.reply(key, 500, tag=tag, reason="Server Internal Error (CSeq out of order)")
            return
        session = stack.put(
            early_dialog.record_request(session, received, source, stack.now, behind=self._behind(received, source))
        )
        match kind:
            case PeerRequest.BYE:
                reinvite.handle_bye(stack, session, key)
            case PeerRequest.INVITE:
                reinvite.handle_change(stack, session, received, key, "INVITE")
            case PeerRequest.UPDATE:
                reinvite.handle_change(stack, session, received, key, "UPDATE")
            case PeerRequest.PRACK:
                invite_server.handle_prack(stack, session, received, key)
            case PeerRequest.INFO:
                info.handle_info(stack, session, received, key)
            case PeerRequest.OPTIONS:
                stack.reply(key, 200, tag=tag, headers=self._capabilities(source))
            case PeerRequest.REFER:
                referral.handle_refer(stack, session, received, key)
            case PeerRequest.NOTIFY:
                referral.handle_notify(stack, session, received, key)
            case PeerRequest.SUBSCRIBE:
                stack.reply(key, 489, tag=tag, headers=(ALLOW_EVENTS,))
            case PeerRequest.ACK | PeerRequest.CANCEL | PeerRequest.OTHER:
                stack.reply(key, 405, tag=tag, headers=(self._allow(),))
            case _:
                assert_never(kind)

    def _handle_outside_dialog(self, received: Request, source: Address) -> None:
        """Handle a request that begins a call or registration, or needs only an answer."""
        match received.method:
            case "INVITE" | "OPTIONS" if self._is_shutting_down:
                self._answer_statelessly(received, source, 503, headers=(("Retry-After", str(SHUTDOWN_RETRY_AFTER_S)),))
            case "INVITE":
                self._handle_first_invite(received, source)
            case "REGISTER" if self._policy.is_registrar():
                self._handle_register(received, source)
            case "OPTIONS":
                self._answer_statelessly(received, source, 200, headers=self._capabilities(source))
            case "SUBSCRIBE" | "PUBLISH":
                # A phone that subscribes to messages or presence does not retry after 489.
                self._answer_statelessly(received, source, 489, headers=(ALLOW_EVENTS,))
            case "NOTIFY" if self._is_message_count(received, source):
                self._answer_statelessly(received, source, 200)
            case "BYE" | "UPDATE" | "INFO" | "PRACK" | "NOTIFY":
                self._answer_statelessly(received, source, 481)
            case "REFER":
                self._answer_statelessly(received, source, 603)
            case _:
                self._answer_statelessly(received, source, 405, headers=(self._allow(),))

    def _behind(self, received: Request, source: Address) -> str | None:
        """Return the host that a request came from before a trusted proxy forwarded it, or None."""
        return forwarded_by(received, source, self._policy.is_trusted_proxy)

    def _is_message_count(self, received: Request, source: Address) -> bool:
        """Return whether this is an unsolicited message count from a trunk; if refused, it would be repeated.

        Deviation: RFC 6665 §4.1.3 answers an unsolicited NOTIFY with 481.
        """
        event = (received.first("Event") or "").partition(";")[0].strip().lower()
        return event == "message-summary" and self._policy.may_call_unauthenticated(source)

    def _handle_first_invite(self, received: Request, source: Address) -> None:
        stack = self._stack
        to = reply_address(received, source)
        if (received.call_id, received.from_.tag or "", received.cseq) in stack.invites:
            stack.reply(stack.begin_server_transaction(received, to, None), 482)
            return
        verdict, user = self._authenticate(received, source)
        if verdict is not DigestVerdict.GOOD and not self._policy.may_call_unauthenticated(source):
            self._challenge(received, source, stale=verdict is DigestVerdict.STALE)
        elif len(stack.sessions) >= stack.settings.max_sessions:
            self._answer_statelessly(received, source, 503, headers=(("Retry-After", "5"),))
        elif (short := session_timer.too_short_headers(received)) is not None:
            stack.reply(stack.begin_server_transaction(received, to, None), 422, headers=short)
        else:
            key = stack.begin_server_transaction(received, to, None)
            proven, behind = user if verdict is DigestVerdict.GOOD else None, self._behind(received, source)
            invite_server.handle_invite(stack, received, key, source, user=proven, behind=behind)

    def _handle_register(self, received: Request, source: Address) -> None:
        """Handle a REGISTER: it needs credentials, and registers the line itself only. Source: RFC 3261 §10.3."""
        stack = self._stack
        verdict, user = self._authenticate(received, source)
        if verdict is not DigestVerdict.GOOD:
            self._challenge(received, source, stale=verdict is DigestVerdict.STALE)
            return
        key = stack.begin_server_transaction(received, reply_address(received, source), None)
        try:
            registered = parse_uri(received.to.uri).user
        except UriUnreadable:
            registered = ""
        if registered != user:
            stack.reply(key, 403)
            return
        before = self.contacts.bindings(user)
        outcome = registrar.register(
            before,
            received,
            source,
            stack.now,
            max_contacts=stack.settings.max_contacts,
            behind=self._behind(received, source),
        )
        self.contacts.store(user, outcome.bindings)
        self._reroute_calls(user, before, source)
        stack.reply(key, outcome.status, headers=outcome.headers)
        if outcome.changed:
            self._report_contacts(user)

    def _reroute_calls(self, user: str, before: registrar.Bindings, source: Address) -> None:
        """Reroute the calls of a phone over the connection by which it has just registered.

        A phone that lost its network during a call reconnects so and sends only a REGISTER. Without connections the
        former address may belong to another host in the meantime, and nothing is moved.
        Source: RFC 5626 §5.3 (requests go by the newest flow), which speaks of contacts: calls take part.
        """
        if not source.reliable:
            return
        stack, here = self._stack, [new for new in self.contacts.bindings(user).items() if new[1].to == source]
        for known in before.items():
            if known[1].to.reliable and any(registrar.is_same_phone(known, new) for new in here):
                stack.reroute(source, [each.id for each in stack.sessions.values() if each.peer_address == known[1].to])
        back = [
            id
            for id, (line, key, lost) in self._disconnected_calls.items()
            if line == user and any(registrar.is_same_phone((key, lost), new) for new in here)
        ]
        stack.reroute(source, back)
        for id in back:
            del self._disconnected_calls[id]

    def _authenticate(self, received: Request, source: Address) -> tuple[DigestVerdict, str]:
        """Check the credentials of a request and return the verdict and the user.

        A locked-out user gets the same answer as for a wrong password, after as much work.
        """
        stack, proof = self._stack, received.first("Authorization")
        if proof is None:
            return DigestVerdict.BAD, ""

        def ha1_of(user: str) -> Ha1 | None:
            ha1 = self._policy.ha1_of(user)
            return ha1 if self._guard.may_authenticate(user, source, stack.now) else None

        verdict, user = self._verifier.check(
            proof,
            method=received.method,
            uri=received.uri,
            source=source,
            now=stack.now,
            ha1_of=ha1_of,
        )
        if verdict is DigestVerdict.GOOD:
            self._guard.record_success(user, source, stack.now)
        elif verdict is DigestVerdict.BAD:
            for event in self._guard.record_failure(user, source, stack.now):
                stack.emit(event)
        return verdict, user

    def _challenge(self, received: Request, source: Address, *, stale: bool) -> None:
        """Send 401 statelessly: unauthenticated peers must not fill our memory. Source: RFC 3261 §26.3.2.4."""
        values = self._verifier.challenges(source, self._stack.now, stale=stale)
        headers = tuple(("WWW-Authenticate", value) for value in values)
        self._answer_statelessly(received, source, 401, headers=headers)

    def _answer_statelessly(
        self, received: Request, source: Address, status: int, *, headers: Headers = (), reason: str | None = None
    ) -> None:
        """Send a final response without keeping state: a repeated request gets the same. Source: RFC 3261 §8.2.7."""
        stack = self._stack
        ours = (*headers, ("Server", stack.settings.user_agent))
        named = f"{received.via.branch} {received.call_id} {received.from_.tag} {received.cseq}"
        secret, name = stack.settings.secret, named.encode("utf-8", "surrogateescape")
        tag = hmac.new(secret, name, hashlib.sha256).hexdigest()[:TAG_CHARACTERS]
        made = respond(received, status, tag=tag, headers=ours, reason=reason)
        stack.send(made.encode(), reply_address(received, source), None, repeated=False)

    def _session_of(self, received: Request) -> Session | None:
        tags = (received.call_id, received.to.tag or "", received.from_.tag or "")
        found = self._stack.dialogs.get(tags)
        return None if found is None else self._stack.live(found)

    def _allow(self) -> tuple[str, str]:
        return REGISTRAR_ALLOW if self._policy.is_registrar() else ALLOW

    def _capabilities(self, source: Address) -> Headers:
        return (self._stack.contact(source), self._allow(), ("Accept", "application/sdp"), SUPPORTED)
