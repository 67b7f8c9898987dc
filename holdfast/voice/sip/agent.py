"""The SIP agent: one object that speaks SIP in bytes and effects.

It holds the transactions, the sessions with their dialogs, and the registrar. It owns no socket, no clock and no source
of randomness: the shell hands it messages and expired timers together with the time, and carries out the effects that
it returns. A call about a session that is over returns no effects: the event of its end was emitted before.
Length: one method for each request of the owner; the work is done in the modules of `session/`.
Source: RFC 3261, with RFC 3262, 3515, 4028, 6026, 3311, 3581, 6086, 8760.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from holdfast.voice.sip.dialog.session_machine import SessionState, TimerKind
from holdfast.voice.sip.dispatch import command_dispatch, response_dispatch
from holdfast.voice.sip.dispatch.uas import UserAgentServer
from holdfast.voice.sip.effects import (
    Address,
    Effect,
    Headers,
    MessageDropped,
    SessionId,
    TimerToken,
)
from holdfast.voice.sip.errors import SipMessageUnreadable
from holdfast.voice.sip.message.codec import Malformed, decode, malformed_from_head
from holdfast.voice.sip.message.digest import DigestCredentials
from holdfast.voice.sip.message.message import Request, Response, stamp_source
from holdfast.voice.sip.registrar import register_client
from holdfast.voice.sip.registrar.contact_book import ContactBook
from holdfast.voice.sip.session import (
    early_dialog,
    invite_client,
)
from holdfast.voice.sip.session_commands import SessionCommand
from holdfast.voice.sip.settings import AdmissionPolicy, AgentSettings, AllowEveryCall, RandomSource
from holdfast.voice.sip.stack import SipStack
from holdfast.voice.sip.transaction.machines import (
    State,
    Trigger,
    client_key,
    trigger_of,
)

__all__ = ["AdmissionPolicy", "Agent", "AgentSettings", "AllowEveryCall", "DigestCredentials"]


class Agent:
    """A SIP user agent and registrar as a pure machine."""

    __slots__ = ("_registrations", "_stack", "_uas")

    def __init__(self, settings: AgentSettings, source: RandomSource, *, policy: AdmissionPolicy | None = None) -> None:
        self._stack = SipStack(settings, source)
        self._uas = UserAgentServer(self._stack, policy or AllowEveryCall())
        self._registrations: dict[str, register_client.ClientRegistration] = {}

    # --- from the shell

    def receive(self, data: bytes, source: Address, now: float) -> list[Effect]:
        """Handle one message that arrived. It never raises, whatever the message holds."""
        stack = self._begin_turn(now)
        if not data.strip(b"\r\n\0"):
            return stack.drain()
        try:
            message = decode(data)
            match message:
                case Malformed():
                    self._uas.handle_malformed(message, source)
                case Request():
                    self._uas.handle_request(stamp_source(message, source), data, source)
                case Response():
                    self._handle_response(message, data, source)
                case _:
                    assert_never(message)
        except SipMessageUnreadable as wrong:
            stack.emit(MessageDropped(source=source, reason=wrong.message))
        return stack.drain()

    def receive_unframed(self, head: bytes, source: Address, status: int, reason: str, now: float) -> list[Effect]:
        """Answer a stream message whose end is unknown, if it can be answered. The shell then closes the connection."""
        stack = self._begin_turn(now)
        try:
            stack.send(malformed_from_head(head, status, reason).encode(stack.token()), source, None, repeated=False)
        except SipMessageUnreadable as wrong:
            stack.emit(MessageDropped(source=source, reason=wrong.message))
        return stack.drain()

    def handle_disconnect(self, address: Address, now: float) -> list[Effect]:
        """Handle the end of a connection, or that it could not be opened.

        Contacts registered over it are removed. Unanswered requests end as after a 503, which here is no sign of life;
        everything else goes on over a new connection.
        Source: RFC 3261 §8.1.3.1, §18.2.2, §18.4; RFC 5626 §5.3.
        """
        stack = self._begin_turn(now)
        self._uas.handle_disconnect(address)
        for transaction in stack.handle_disconnect(address):
            response_dispatch.handle_unsent(stack, self._registrations, transaction, address)
        for known in self._registrations.values():
            register_client.handle_disconnect(stack, known, address)
        return stack.drain()

    def begin_shutdown(self) -> None:
        """Refuse new calls from now on with 503 and Retry-After; calls in progress go on."""
        self._uas.begin_shutdown()

    def needs_connection(self, address: Address, now: float) -> bool:
        """Return whether a transaction, a session or a registration uses the connection to this address."""
        stack = self._stack
        return (
            any(known.peer == address for known in stack.transactions.values())
            or any(address in (session.peer, session.peer_address) for session in stack.sessions.values())
            or any(known.registrar == address for known in self._registrations.values())
            or self._uas.contacts.is_registered_from(address, now)
        )

    def fire(self, timer: TimerToken, now: float) -> list[Effect]:
        """Handle a timer that fired. A timer that was stopped or replaced in the meantime does nothing."""
        stack = self._begin_turn(now)
        if timer not in stack.running_timers:
            return []
        stack.running_timers.discard(timer)
        kind, _, rest = timer.partition(" ")
        name, _, subject = rest.partition(" ")
        if kind == "transaction":
            response_dispatch.handle_transaction_timer(stack, self._registrations, Trigger(name), subject)
        elif kind == "registration":
            self._registrations[rest] = register_client.send(stack, self._registrations[rest])
        else:
            response_dispatch.handle_session_timer(stack, TimerKind(name), SessionId(subject))
        return stack.drain()

    # --- a call out

    def invite(
        self,
        session: SessionId,
        target: str,
        *,
        now: float,
        sdp: bytes | None,
        next_hop: Address | None = None,
        caller: str = "",
        caller_name: str = "",
        credentials: DigestCredentials | None = None,
        headers: Headers = (),
    ) -> list[Effect]:
        """Call a SIP URI. Without `sdp` the peer is asked for an offer (see `Accepted`).

        The request is sent to `next_hop`, else to the host and port of `target`, which must then be numeric. `caller`
        is the user part of From, or a whole SIP URI.
        Raises: UriUnreadable when the target is not a SIP URI or leads to no numeric host.
        """
        stack = self._begin_turn(now)
        invite_client.invite(
            stack,
            session,
            target,
            sdp=sdp,
            next_hop=next_hop,
            caller=caller,
            caller_name=caller_name,
            credentials=credentials,
            headers=headers,
        )
        return stack.drain()

    # --- a session

    def command(self, session: SessionId, command: SessionCommand, now: float) -> list[Effect]:
        """Carry out a command of the owner. One about a session that is gone has no effect: its end was emitted."""
        stack = self._begin_turn(now)
        found = stack.admit(session, type(command))
        if found is not None:
            command_dispatch.handle_command(stack, found, command)
        return stack.drain()

    # --- outside calls

    def register(
        self,
        registration_name: str,
        registrar: Address,
        user: str,
        *,
        now: float,
        domain: str | None = None,
        credentials: DigestCredentials | None = None,
        expires_s: int = 600,
        others: tuple[Address, ...] = (),
        keep_trying: bool = False,
    ) -> list[Effect]:
        """Register our contact under `user` and keep it registered until `unregister`.

        `others` are further addresses of the registrar, which are tried where one has no service. With `keep_trying` a
        failed registration is tried again, after a wait that grows.
        """
        stack = self._begin_turn(now)
        self._registrations[registration_name] = register_client.begin(
            stack,
            registration_name,
            registrar,
            user,
            domain=domain,
            credentials=credentials,
            expires_s=expires_s,
            others=others,
            keep_trying=keep_trying,
        )
        return stack.drain()

    def move_registration(self, registration_name: str, registrars: tuple[Address, ...], *, now: float) -> list[Effect]:
        """Follow a registrar to its new addresses."""
        stack = self._begin_turn(now)
        known = self._registrations.get(registration_name)
        if known is not None and known.expires_s:
            self._registrations[registration_name] = register_client.move(stack, known, registrars)
        return stack.drain()

    def unregister(self, registration_name: str, *, now: float) -> list[Effect]:
        """Remove our contact there; it ends in `Unregistered` or `RegistrationFailed`."""
        stack = self._begin_turn(now)
        known = self._registrations.get(registration_name)
        if known is not None:
            stack.stop(register_client.timer_token(registration_name))
            self._registrations[registration_name] = register_client.send(stack, replace(known, expires_s=0))
        return stack.drain()

    def options(self, ping: str, target: str, *, now: float, next_hop: Address | None = None) -> list[Effect]:
        """Send OPTIONS to learn whether a peer is alive; it ends in `OptionsAnswered`.

        Raises: UriUnreadable.
        """
        stack = self._begin_turn(now)
        invite_client.send_options(stack, ping, target, next_hop)
        return stack.drain()

    # --- what is known

    @property
    def contacts(self) -> ContactBook:
        """Return the contacts of all lines that are registered here."""
        return self._uas.contacts

    def origin(self, session: SessionId, *, fork: str = "") -> str | None:
        """Return the host of the peer's own signalling; before the answer of an outbound call, that of a fork."""
        found = self._stack.sessions.get(session)
        if found is None:
            return None
        early = early_dialog.find(found, fork) if found.dialog is None else None
        dialog = found.dialog if early is None else early.dialog
        return found.peer.host if dialog is None else dialog.origin

    def has_no_response(self, session: SessionId) -> bool:
        """Return whether an outbound call has had no response yet, not even 100."""
        found = self._stack.live(session)
        if found is None or found.state is not SessionState.CALLING:
            return False
        return not found.has_provisional and found.invite.cseq == 1

    def sessions(self) -> tuple[SessionId, ...]:
        """Return the sessions that are not over."""
        return tuple(id for id, found in self._stack.sessions.items() if found.state is not SessionState.OVER)

    def is_idle(self) -> bool:
        """Return whether all sessions are over."""
        return all(found.state is SessionState.OVER for found in self._stack.sessions.values())

    def transactions(self) -> int:
        """Return the number of transactions; it falls to 0 some time after the last message."""
        return len(self._stack.transactions)

    def timers(self) -> int:
        """Return the number of running timers."""
        return len(self._stack.running_timers)

    # --- responses and timers

    def _begin_turn(self, now: float) -> SipStack:
        self._stack.now = now
        return self._stack

    def _handle_response(self, response: Response, data: bytes, source: Address) -> None:
        stack = self._stack
        if len(response.values("Via")) != 1:
            raise SipMessageUnreadable("a response with a Via that is not ours")
        transaction = stack.transactions.get(client_key(response.via.branch, response.method))
        if transaction is None:
            raise SipMessageUnreadable("a response to no request of ours")
        repeated = transaction.state not in (State.CALLING, State.TRYING, State.PROCEEDING)
        stack.trace(data, source, transaction.session, "in", repeated=repeated)
        if stack.trigger(transaction.key, trigger_of(response.status), response):
            response_dispatch.handle_response(stack, self._registrations, transaction, response, source)
