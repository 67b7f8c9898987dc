"""Requests that come in: to a transaction, into a dialog, or the beginning of something.

What begins nothing is answered without remembering anything, so that no stranger can fill the memory that calls need.
Source: RFC 3261 §8.2, §8.2.7, §9.2, §10.3, §12.2.2, §17.2.3, §26.3.2.4.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

from holdfast.voice.sip.abuse_guard import AbuseGuard
from holdfast.voice.sip.dialog import dialog as dialogs
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
from holdfast.voice.sip.request_validation import KNOWN_METHODS, SUPPORTED, objection
from holdfast.voice.sip.session import (
    early_dialog,
    invite_server,
    refer,
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
"""What a phone may hear of from us: how the call fares that it asked for. Source: RFC 6665 §8.2.2, §8.3.2."""
TAG_CHARACTERS = 20
BACK_IN_S = 10
"""When a call may be tried again with a server that is being stopped: by then another has most often been started."""
REGISTRAR_ALLOW = ("Allow", f"{ALLOW[1]}, REGISTER")


class UserAgentServer:
    """Takes what comes in for one agent: asks the policy, checks credentials, keeps the lines' contacts."""

    __slots__ = ("_adrift", "_contacts", "_desk", "_doors", "_is_ending", "_policy", "_verifier")

    def __init__(self, desk: SipStack, policy: AdmissionPolicy) -> None:
        self._desk = desk
        self._policy = policy
        settings = desk.settings
        self._verifier = Verifier(realm=settings.realm, secret=settings.secret, algorithms=settings.algorithms)
        self._doors = AbuseGuard(settings.limits, quiet=settings.quiet)
        self._contacts: dict[str, registrar.Bindings] = {}
        self._is_ending = False
        self._adrift: dict[SessionId, tuple[str, registrar.Key, registrar.Binding]] = {}
        """Calls whose phone's connection ended, and the line and the contact it was registered by."""

    def contacts(self, user: str, now: float) -> tuple[tuple[str, Address], ...]:
        """The contacts a line has registered, most preferred first."""
        return tuple((known.uri, known.to) for known in registrar.in_order(self._contacts.get(user, {}), now))

    def registered_behind(self, uri: str, now: float) -> str | None:
        """The host at which a contact is, as a trusted proxy by which it registered says."""
        known = (each for bindings in self._contacts.values() for each in registrar.in_order(bindings, now))
        return next((each.behind for each in known if each.uri == uri), None)

    def lasting(self, user: str) -> registrar.Bindings:
        """The contacts of a line that outlive a restart of ours."""
        return registrar.without_connections(self._contacts.get(user, {}))

    def remember(self, user: str, contacts: registrar.Bindings) -> None:
        """A line had these contacts before we were restarted."""
        self._contacts.setdefault(user, registrar.remembered(contacts, self._desk.now))

    def begin_end(self) -> None:
        """From now on no call begins here, and who asks by OPTIONS is told so; all else goes on.

        Source: RFC 3261 §21.5.4; §11.2 (OPTIONS is answered as an INVITE would be).
        """
        self._is_ending = True

    def disconnected(self, gone: Address) -> None:
        """A connection ended: the contacts registered over it go, and calls over it wait for the phone's next one."""
        sessions = self._desk.sessions
        self._adrift = {id: lost for id, lost in self._adrift.items() if id in sessions}
        there = [id for id, one in sessions.items() if one.seen_at == gone]
        for user, bindings in self._contacts.items():
            left = registrar.connected_elsewhere(bindings, gone)
            if len(left) < len(bindings):
                key = next(key for key in bindings if key not in left)
                self._adrift |= {id: (user, key, bindings[key]) for id in there}
                self._contacts[user] = left
                uris = tuple(uri for uri, _ in self.contacts(user, self._desk.now))
                self._desk.tell(ContactsChanged(user=user, contacts=uris))

    def is_registered_from(self, source: Address, now: float) -> bool:
        """Whether a line has a contact there."""
        return any(
            known.to == source for bindings in self._contacts.values() for known in registrar.in_order(bindings, now)
        )

    def requested(self, received: Request, data: bytes, source: Address) -> None:
        """A request came in. In a call there is room for some when there is none for strangers any more."""
        desk = self._desk
        known = desk.transactions.get(server_key(received))
        in_call = self._belongs(received)
        most = desk.settings.max_transactions * (1 + in_call)
        if received.method == "ACK":
            self._acknowledged(received, data, source, known)
        elif known is not None:
            desk.show(data, source, known.session, "in", again=True)
            desk.trigger(known.key, Trigger.REQUEST)
        elif self._is_shut(received, source):
            return
        elif len(desk.transactions) >= most:
            self._answer_statelessly(received, source, 503, headers=(("Retry-After", "5"),))
        elif received.method not in KNOWN_METHODS:
            self._answer_statelessly(received, source, 501, headers=(self._allow(),))
        else:
            wrong = objection(received, in_call=in_call)
            if wrong is not None:
                self._answer_statelessly(received, source, wrong.status, headers=wrong.headers, reason=wrong.reason)
            elif received.method == "CANCEL":
                self._cancelled(received, data, source)
            elif received.to.tag is not None:
                self._in_dialog(received, data, source)
            else:
                self._outside(received, source)

    def malformed(self, asked: Malformed, source: Address) -> None:
        """A request that cannot be read: its sender is told, unless the door is shut."""
        if not self._is_shut(None, source):
            self._desk.send(asked.encode(self._desk.token()), source, None, again=False)

    def _is_shut(self, asked: Request | None, source: Address) -> bool:
        """Whether a stranger's request is left without an answer. What belongs to a call or a trunk never is."""
        if self._policy.may_call_unauthenticated(source) or (asked is not None and self._belongs(asked)):
            return False
        why = self._doors.closed_to(asked, source, self._desk.now)
        if why is not None:
            self._desk.tell(MessageDropped(source=source, reason=why))
        return why is not None

    def _belongs(self, asked: Request) -> bool:
        """Whether a request is part of a call that we know."""
        if asked.method == "CANCEL":
            return server_key(replace(asked, method="INVITE")) in self._desk.transactions
        return asked.to.tag is not None and self._session_of(asked) is not None

    def _acknowledged(self, ack: Request, data: bytes, source: Address, known: Transaction | None) -> None:
        """An ACK: of a failure it belongs to the INVITE's transaction, of a 2xx to the dialog."""
        desk = self._desk
        if known is not None and known.state in (State.COMPLETED, State.CONFIRMED):
            desk.show(data, source, known.session, "in", again=known.state is State.CONFIRMED)
            desk.trigger(known.key, Trigger.ACK)
            return
        session = self._session_of(ack)
        if session is None:
            return
        waiting = session.unacknowledged
        desk.show(data, source, session.id, "in", again=waiting is None or waiting.cseq != ack.cseq)
        confirmed = invite_server.acknowledged(desk, session, ack.cseq, sdp_of(ack))
        if confirmed is not None and confirmed.bye_due:
            reinvite.hang_up(desk, confirmed)
        elif confirmed is not None:
            reinvite.next_reoffer(desk, confirmed)

    def _cancelled(self, received: Request, data: bytes, source: Address) -> None:
        """A CANCEL: 200 if its INVITE is known here, whatever became of it. Source: RFC 3261 §9.2."""
        desk = self._desk
        invite_key = server_key(replace(received, method="INVITE"))
        invite = desk.transactions.get(invite_key)
        if invite is None:
            self._answer_statelessly(received, source, 481)
            return
        session = desk.live(invite.session) if invite.session else None
        if session is not None:
            desk.show(data, source, session.id, "in", again=False)
        key = desk.open_server(received, reply_address(received, source), session.id if session else None)
        desk.reply(key, 200, tag=session.local_tag if session else None)
        if session is not None:
            invite_server.cancelled(desk, session, invite_key)
            if (left := desk.live(session.id)) is not None:
                reinvite.next_reoffer(desk, left)

    def _in_dialog(self, received: Request, data: bytes, source: Address) -> None:
        """A request inside a dialog: found by its tags, whatever its Request-URI says."""
        desk = self._desk
        session = self._session_of(received)
        if session is None:
            self._answer_statelessly(received, source, 481)
            return
        key = desk.open_server(received, reply_address(received, source), session.id)
        desk.show(data, source, session.id, "in", again=False)
        tag = session.local_tag
        if not dialogs.in_order(early_dialog.dialog_of(session, received), received):
            desk.reply(key, 500, tag=tag, reason="Server Internal Error (CSeq out of order)")
            return
        session = desk.put(
            early_dialog.heard(session, received, source, desk.now, behind=self._behind(received, source))
        )
        match received.method:
            case "BYE":
                reinvite.byed(desk, session, key)
            case "INVITE":
                reinvite.change_asked(desk, session, received, key, "INVITE")
            case "UPDATE":
                reinvite.change_asked(desk, session, received, key, "UPDATE")
            case "PRACK":
                invite_server.pracked(desk, session, received, key)
            case "INFO":
                reinvite.informed(desk, session, received, key)
            case "OPTIONS":
                desk.reply(key, 200, tag=tag, headers=self._abilities(source))
            case "REFER":
                refer.asked(desk, session, received, key)
            case "NOTIFY":
                refer.notified(desk, session, received, key)
            case "SUBSCRIBE":
                desk.reply(key, 489, tag=tag, headers=(ALLOW_EVENTS,))
            case _:
                desk.reply(key, 405, tag=tag, headers=(self._allow(),))

    def _outside(self, received: Request, source: Address) -> None:
        """A request that begins something, or only asks."""
        match received.method:
            case "INVITE" | "OPTIONS" if self._is_ending:
                self._answer_statelessly(received, source, 503, headers=(("Retry-After", str(BACK_IN_S)),))
            case "INVITE":
                self._first_invite(received, source)
            case "REGISTER" if self._policy.is_registrar():
                self._register_asked(received, source)
            case "OPTIONS":
                self._answer_statelessly(received, source, 200, headers=self._abilities(source))
            case "SUBSCRIBE" | "PUBLISH":
                # A phone that asks for its messages, or for others' state, does not ask for that again.
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
        """The host that a request comes from at first hand, where a proxy whose word is taken passed it on."""
        return forwarded_by(received, source, self._policy.is_trusted_proxy)

    def _is_message_count(self, received: Request, source: Address) -> bool:
        """Whether a trunk tells, without being asked, how many messages wait: it would say so again and again.

        Deviation: RFC 6665 §4.1.3 answers what nobody subscribed to with 481.
        """
        event = (received.first("Event") or "").partition(";")[0].strip().lower()
        return event == "message-summary" and self._policy.may_call_unauthenticated(source)

    def _first_invite(self, received: Request, source: Address) -> None:
        desk = self._desk
        to = reply_address(received, source)
        if (received.call_id, received.from_.tag or "", received.cseq) in desk.invites:
            desk.reply(desk.open_server(received, to, None), 482)
            return
        verdict, user = self._authenticate(received, source)
        if verdict is not DigestVerdict.GOOD and not self._policy.may_call_unauthenticated(source):
            self._challenge(received, source, stale=verdict is DigestVerdict.STALE)
        elif len(desk.sessions) >= desk.settings.max_sessions:
            self._answer_statelessly(received, source, 503, headers=(("Retry-After", "5"),))
        elif (short := session_timer.too_short(received)) is not None:
            desk.reply(desk.open_server(received, to, None), 422, headers=short)
        else:
            key = desk.open_server(received, to, None)
            proven, behind = user if verdict is DigestVerdict.GOOD else None, self._behind(received, source)
            invite_server.invited(desk, received, key, source, user=proven, behind=behind)

    def _register_asked(self, received: Request, source: Address) -> None:
        """A REGISTER: always with credentials, and of the line's own address only. Source: RFC 3261 §10.3."""
        desk = self._desk
        verdict, user = self._authenticate(received, source)
        if verdict is not DigestVerdict.GOOD:
            self._challenge(received, source, stale=verdict is DigestVerdict.STALE)
            return
        key = desk.open_server(received, reply_address(received, source), None)
        try:
            registered = parse_uri(received.to.uri).user
        except UriUnreadable:
            registered = ""
        if registered != user:
            desk.reply(key, 403)
            return
        before = self._contacts.get(user, {})
        outcome = registrar.register(
            before,
            received,
            source,
            desk.now,
            max_contacts=desk.settings.max_contacts,
            behind=self._behind(received, source),
        )
        self._contacts[user] = outcome.bindings
        self._follow(user, before, source)
        desk.reply(key, outcome.status, headers=outcome.headers)
        if outcome.changed:
            uris = tuple(uri for uri, _ in self.contacts(user, desk.now))
            desk.tell(ContactsChanged(user=user, contacts=uris))

    def _follow(self, user: str, before: registrar.Bindings, source: Address) -> None:
        """A phone has registered over this connection: calls that it had over another are reached by this one.

        One that lost its network in mid-call comes back so, and tells its registrar alone. Without connections an
        address may have become a stranger's meanwhile, and nothing is moved.
        Source: RFC 5626 §5.3 (requests go by the newest flow), which speaks of contacts: calls take part.
        """
        if not source.reliable:
            return
        desk, here = self._desk, [new for new in self._contacts[user].items() if new[1].to == source]
        for known in before.items():
            if known[1].to.reliable and any(registrar.is_same_phone(known, new) for new in here):
                desk.reach(source, [one.id for one in desk.sessions.values() if one.seen_at == known[1].to])
        back = [
            id
            for id, (line, key, lost) in self._adrift.items()
            if line == user and any(registrar.is_same_phone((key, lost), new) for new in here)
        ]
        desk.reach(source, back)
        for id in back:
            del self._adrift[id]

    def _authenticate(self, received: Request, source: Address) -> tuple[DigestVerdict, str]:
        """Who sent this, if it is proved. Who is locked out is answered as for a wrong password, after as much work."""
        desk, proof = self._desk, received.first("Authorization")
        if proof is None:
            return DigestVerdict.BAD, ""

        def ha1_of(user: str) -> Ha1 | None:
            ha1 = self._policy.ha1_of(user)
            return ha1 if self._doors.may_prove(user, source, desk.now) else None

        verdict, user = self._verifier.check(
            proof,
            method=received.method,
            uri=received.uri,
            source=source,
            now=desk.now,
            ha1_of=ha1_of,
        )
        if verdict is DigestVerdict.GOOD:
            self._doors.proved(user, source, desk.now)
        elif verdict is DigestVerdict.BAD:
            for told in self._doors.guessed(user, source, desk.now):
                desk.tell(told)
        return verdict, user

    def _challenge(self, received: Request, source: Address, *, stale: bool) -> None:
        """401, without remembering anything: strangers must not fill our memory. Source: RFC 3261 §26.3.2.4."""
        values = self._verifier.challenges(source, self._desk.now, stale=stale)
        headers = tuple(("WWW-Authenticate", value) for value in values)
        self._answer_statelessly(received, source, 401, headers=headers)

    def _answer_statelessly(
        self, received: Request, source: Address, status: int, *, headers: Headers = (), reason: str | None = None
    ) -> None:
        """A final response, of which nothing is remembered: the same request gets the same. Source: RFC 3261 §8.2.7."""
        desk = self._desk
        ours = (*headers, ("Server", desk.settings.user_agent))
        named = f"{received.via.branch} {received.call_id} {received.from_.tag} {received.cseq}"
        secret, name = desk.settings.secret, named.encode("utf-8", "surrogateescape")
        tag = hmac.new(secret, name, hashlib.sha256).hexdigest()[:TAG_CHARACTERS]
        made = respond(received, status, tag=tag, headers=ours, reason=reason)
        desk.send(made.encode(), reply_address(received, source), None, again=False)

    def _session_of(self, received: Request) -> Session | None:
        tags = (received.call_id, received.to.tag or "", received.from_.tag or "")
        found = self._desk.dialogs.get(tags)
        return None if found is None else self._desk.live(found)

    def _allow(self) -> tuple[str, str]:
        return REGISTRAR_ALLOW if self._policy.is_registrar() else ALLOW

    def _abilities(self, source: Address) -> Headers:
        return (self._desk.contact(source), self._allow(), ("Accept", "application/sdp"), SUPPORTED)
