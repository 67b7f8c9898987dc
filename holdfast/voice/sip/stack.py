"""The state that the parts of an agent share: transactions, sessions, running timers and the effects of this turn.

Invariant: a timer token is in `running_timers` from its start until it fires or is stopped; one that fires and is
missing there is stale and does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from holdfast.voice.sip.dialog import dialog as dialogs
from holdfast.voice.sip.dialog.session_machine import (
    TOO_LATE,
    TRANSITIONS,
    Followers,
    SessionInput,
    SessionState,
    TimerKind,
    word_of,
)
from holdfast.voice.sip.dialog.session_state import EarlyDialog, Session
from holdfast.voice.sip.effects import (
    Address,
    Effect,
    EndCause,
    Ended,
    Event,
    Headers,
    InputRefused,
    MessageSeen,
    SendMessage,
    SessionId,
    StartSipTimer,
    StopSipTimer,
    TimerToken,
)
from holdfast.voice.sip.message.digest import DigestCredentials, answer_challenge
from holdfast.voice.sip.message.message import (
    Request,
    Response,
    clean,
    reply_address_reconnecting,
    respond,
    via_line,
)
from holdfast.voice.sip.message.uri import contact_at, scheme_of
from holdfast.voice.sip.settings import AgentSettings, RandomSource
from holdfast.voice.sip.transaction.machines import (
    Machine,
    Purpose,
    State,
    Transaction,
    TransactionStep,
    Trigger,
    begin_client,
    client_key,
    server_key,
    step,
    trigger_of,
)

ALLOW = ("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, INFO, PRACK, REFER, NOTIFY")
MAX_TRIES = 2
"""Answers to challenges of one realm per request: the first, and one more after a stale nonce."""

_CSEQ_LINE = re.compile(rb"^CSeq\s*:\s*([^\r\n]{1,40})", re.IGNORECASE | re.MULTILINE)


class SipStack:
    """The state of one agent, and the operations by which its parts change it."""

    __slots__ = (
        "_effects",
        "_followers",
        "dialogs",
        "invites",
        "now",
        "random",
        "running_timers",
        "sessions",
        "settings",
        "token",
        "transactions",
    )

    def __init__(self, settings: AgentSettings, source: RandomSource) -> None:
        self.settings = settings
        self.token = source.token
        self.random = source.random
        self.now = 0.0
        self.transactions: dict[str, Transaction] = {}
        self.sessions: dict[SessionId, Session] = {}
        self.dialogs: dict[tuple[str, str, str], SessionId] = {}
        """Call-ID, local tag, remote tag → session."""
        self.invites: dict[tuple[str, str, int], str] = {}
        """Call-ID, From tag, CSeq of a peer's first INVITE → its transaction, to detect one that arrived twice."""
        self.running_timers: set[TimerToken] = set()
        self._effects: list[Effect] = []
        self._followers: Followers = {}
        """The states that may follow the input in progress."""

    # --- effects

    def drain(self) -> list[Effect]:
        """Return the effects of this turn and clear them."""
        effects, self._effects = self._effects, []
        return effects

    def emit(self, event: Event) -> None:
        """Emit an event to the owner."""
        self._effects.append(event)

    def send(self, data: bytes, to: Address, session: SessionId | None, *, repeated: bool) -> None:
        """Send bytes, and trace them in the ladder of the session."""
        self._effects.append(SendMessage(data=data, to=to))
        self.trace(data, to, session, "out", repeated=repeated)

    def trace(
        self, data: bytes, peer: Address, session: SessionId | None, direction: Literal["in", "out"], *, repeated: bool
    ) -> None:
        """Add a message to the ladder of its session."""
        if session is None:
            return
        cseq = _CSEQ_LINE.search(data)
        self._effects.append(
            MessageSeen(
                session=session,
                direction=direction,
                peer=peer,
                start_line=clean(data.partition(b"\r\n")[0].decode("utf-8", "surrogateescape")),
                cseq=clean(cseq[1].decode("utf-8", "surrogateescape").strip()) if cseq else "",
                data=data,
                repeated=repeated,
            )
        )

    def start(self, token: TimerToken, after_s: float) -> None:
        """Start a timer, or restart it."""
        self.running_timers.add(token)
        self._effects.append(StartSipTimer(token=token, after_s=after_s))

    def stop(self, token: TimerToken) -> None:
        """Stop a timer if it runs."""
        if token in self.running_timers:
            self.running_timers.discard(token)
            self._effects.append(StopSipTimer(token=token))

    # --- transactions

    def request(
        self,
        request: Request,
        to: Address,
        *,
        purpose: Purpose,
        session: SessionId | None = None,
        subject: str = "",
        attempt: int = 0,
    ) -> str:
        """Begin a client transaction and return its key."""
        invite = request.method == "INVITE"
        begun = Transaction(
            key=client_key(request.via.branch, request.method),
            machine=Machine.INVITE_CLIENT if invite else Machine.CLIENT,
            state=State.CALLING if invite else State.TRYING,
            request=request,
            peer=to,
            reliable=to.reliable,
            session=session,
            purpose=purpose,
            subject=subject,
            attempt=attempt,
        )
        self.apply(begin_client(begun))
        return begun.key

    def begin_server_transaction(self, received: Request, to: Address, session: SessionId | None) -> str:
        """Begin a server transaction and return its key."""
        invite = received.method == "INVITE"
        begun = Transaction(
            key=server_key(received),
            machine=Machine.INVITE_SERVER if invite else Machine.SERVER,
            state=State.PROCEEDING if invite else State.TRYING,
            request=received,
            peer=to,
            reliable=to.reliable,
            session=session,
        )
        self.transactions[begun.key] = begun
        return begun.key

    def reply(
        self,
        key: str,
        status: int,
        *,
        tag: str | None = None,
        headers: Headers = (),
        body: bytes = b"",
        reason: str | None = None,
    ) -> None:
        """Respond in a server transaction, unless it is gone or has its final response."""
        transaction = self.transactions.get(key)
        if transaction is None:
            return
        ours: Headers = (*headers, ("Server", self.settings.user_agent)) if status > 100 else headers
        if body:
            ours = (*ours, ("Content-Type", "application/sdp"))
        if tag is None and status > 100:
            tag = self.token()
        made = respond(transaction.request, status, tag=tag, headers=ours, body=body, reason=reason)
        self.apply(step(transaction, trigger_of(status), made))

    def trigger(self, key: str, trigger: Trigger, response: Response | None = None) -> bool:
        """Pass a trigger to a transaction and return whether its user must be notified."""
        outcome = step(self.transactions[key], trigger, response)
        self.apply(outcome)
        return outcome.notifies

    def apply(self, outcome: TransactionStep) -> None:
        """Carry out a step of a transaction."""
        transaction = outcome.transaction
        for data in outcome.sends:
            self.send(data, transaction.peer, transaction.session, repeated=outcome.repeated)
        for letter in outcome.stops:
            self.stop(transaction_timer_token(letter, transaction.key))
        if transaction.state is State.TERMINATED:
            self.drop_transaction(transaction.key)
            return
        self.transactions[transaction.key] = transaction
        for letter, after_s in outcome.starts:
            self.start(transaction_timer_token(letter, transaction.key), after_s)

    def drop_transaction(self, key: str) -> None:
        """Remove a transaction, and a session that is over and was kept for it alone."""
        dropped = self.transactions.pop(key, None)
        if dropped is None:
            return
        for letter in Trigger:
            self.stop(transaction_timer_token(letter, key))
        if dropped.machine is Machine.INVITE_SERVER:
            invite = dropped.request
            self.invites.pop((invite.call_id, invite.from_.tag or "", invite.cseq), None)
        session = self.sessions.get(dropped.session) if dropped.session else None
        if session is not None and session.state is SessionState.OVER and session.transaction == key:
            del self.sessions[session.id]

    def handle_disconnect(self, address: Address) -> list[Transaction]:
        """Drop the client transactions of a closed connection that have no response, and return them.

        Our responses that are still due go over a new connection, and so do requests in the dialogs of that peer.
        """
        unanswered = []
        for transaction in [known for known in self.transactions.values() if known.peer == address]:
            if transaction.machine in (Machine.INVITE_SERVER, Machine.SERVER):
                peer = reply_address_reconnecting(transaction.request, address)
                self.transactions[transaction.key] = replace(transaction, peer=peer)
            elif transaction.state in (State.CALLING, State.TRYING):
                self.drop_transaction(transaction.key)
                unanswered.append(transaction)
        for session in tuple(self.sessions.values()):
            if session.dialog is not None and session.dialog.peer_address == address:
                self.put(replace(session, dialog=dialogs.disconnected(session.dialog)))
        return unanswered

    # --- sessions

    def reroute(self, to: Address, sessions: Iterable[SessionId]) -> None:
        """Send to the peers of these sessions at this address from now on."""
        for session in [self.sessions[id] for id in sessions if id in self.sessions]:
            if session.dialog is not None:
                self.put(replace(session, dialog=replace(session.dialog, peer_address=to, behind=None)))
            elif session.transaction in self.transactions:
                invite = self.transactions[session.transaction]
                self.transactions[session.transaction] = replace(invite, peer=to)
                self.put(replace(session, peer=to))

    def put(self, session: Session) -> Session:
        """Store the new value of a session."""
        self.sessions[session.id] = session
        return session

    def admit(self, id: SessionId, received: SessionInput) -> Session | None:
        """Return the session that handles this input; None if the input is refused, too late, or its session is gone.

        An input that the table does not list in the session's state is refused: nothing is changed.
        """
        session = self.sessions.get(id)
        if session is None:
            return None
        followers = TRANSITIONS.get((session.state, received))
        if followers is None:
            self.emit(InputRefused(session=id, state=session.state.value, received=word_of(received)))
            return None
        self._followers = followers
        return None if followers.get(session.state) == TOO_LATE else session

    def change_state(self, session: Session, state: SessionState) -> Session:
        """Store a session in a new state, one of those that may follow the input in progress."""
        if state not in self._followers:
            raise AssertionError(f"{session.state.value} → {state.value} is not in the table")
        return self.put(replace(session, state=state))

    def live(self, session: SessionId) -> Session | None:
        """Return the session, unless it is over."""
        found = self.sessions.get(session)
        return None if found is None or found.state is SessionState.OVER else found

    def index_dialog(self, session: Session) -> Session:
        """Index the session by its dialog."""
        if session.dialog is not None:
            self.dialogs[session.dialog.key] = session.id
        return self.put(session)

    def index_early_dialog(self, session: Session, early: EarlyDialog) -> Session:
        """Index the session by one of its early dialogs."""
        self.dialogs[early.dialog.key] = session.id
        others = tuple(known for known in session.early_dialogs if known.dialog.key != early.dialog.key)
        return self.put(replace(session, early_dialogs=(*others, early)))

    def remove_early_dialogs(self, session: Session) -> Session:
        """Remove the early dialogs of a session."""
        for known in session.early_dialogs:
            self.dialogs.pop(known.dialog.key, None)
        return replace(session, early_dialogs=())

    def finish(self, session: Session) -> None:
        """Move a session to OVER and remove its timers and dialogs. The caller emits the event of the end."""
        if session.peer_reoffer is not None:
            self.reply(session.peer_reoffer.transaction, 487, tag=session.local_tag)
        session = self.remove_early_dialogs(session)
        for kind in TimerKind:
            self.stop(session_timer_token(kind, session.id))
        if session.dialog is not None:
            self.dialogs.pop(session.dialog.key, None)
        over = self.change_state(
            replace(session, own_reoffer=None, waiting_reoffer=None, peer_reoffer=None, pending_ok=None),
            SessionState.OVER,
        )
        if not (over.we_called and over.transaction in self.transactions):
            del self.sessions[over.id]

    def end(self, session: Session, cause: EndCause, status: int) -> None:
        """Finish a session and emit why."""
        self.finish(session)
        self.emit(Ended(session=session.id, cause=cause, status=status))

    # --- parts of messages

    def via(self, to: Address) -> tuple[str, str]:
        """Return our Via with a new branch, for a request to this address."""
        return via_line(self.settings.reached_by(to.transport), f"z9hG4bK{self.token()}")

    def contact(self, peer: Address, request_uri: str = "") -> tuple[str, str]:
        """Return our Contact as this peer reaches us; `sips:` for a request with such a URI."""
        ours = self.settings.reached_by(peer.transport)
        secure = scheme_of(request_uri) == "sips"
        return "Contact", f"<{contact_at(self.settings.contact_user, ours, secure=secure)}>"

    def contact_in(self, session: Session) -> tuple[str, str]:
        """Return our Contact in a session."""
        return self.contact(session.peer, session.invite.uri)

    def agent_headers(self) -> Headers:
        """Return the header fields about us that all our requests have."""
        return (ALLOW, ("User-Agent", self.settings.user_agent))

    def answer_challenge(self, challenged: Response, of: Transaction, credentials: DigestCredentials | None) -> Headers:
        """Return the credentials for repeating a request after 401 or 407; empty where a repetition is useless.

        Source: RFC 3261 §22.2: the same credentials are repeated only after a stale nonce.
        """
        if credentials is None or challenged.status not in (401, 407):
            return ()
        if of.attempt >= MAX_TRIES * max(1, len(credentials.realms)) or credentials.host not in (None, of.peer.host):
            return ()
        sent = of.request
        return answer_challenge(
            challenged,
            credentials,
            method=sent.method,
            uri=sent.uri,
            client_nonce=self.token(),
            sent=sent.headers,
        )


def transaction_timer_token(letter: Trigger, key: str) -> TimerToken:
    """Return the token of a timer of a transaction."""
    return TimerToken(f"transaction {letter.value} {key}")


def session_timer_token(kind: TimerKind, session: SessionId) -> TimerToken:
    """Return the token of a timer of a session."""
    return TimerToken(f"session {kind.value} {session}")
