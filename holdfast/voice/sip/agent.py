"""The SIP agent: one object that speaks SIP in bytes and effects.

It holds the transactions, the sessions with their dialogs, and the registrar. It owns no socket, no clock and no
dice: the shell hands it messages and timers that fired, with the time, and carries out the effects it returns.
Every ask about a session that is over returns no effects: the event that said so is already out.
Length: one method for each thing its owner may ask; what is done is in the modules of the sessions' states.
Source: RFC 3261, with RFC 3262, 3515, 4028, 6026, 3311, 3581, 6086, 8760.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, assert_never

from holdfast.voice.sip.dialog.session_state import SessionState
from holdfast.voice.sip.dispatch import response_dispatch
from holdfast.voice.sip.dispatch.uas import UserAgentServer
from holdfast.voice.sip.effects import (
    Address,
    Effect,
    EndCause,
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
from holdfast.voice.sip.registrar.registrar import Bindings
from holdfast.voice.sip.session import (
    early_dialog,
    info,
    invite_client,
    invite_server,
    refer,
    reinvite,
)
from holdfast.voice.sip.settings import AdmissionPolicy, AgentSettings, AllowEveryCall
from holdfast.voice.sip.stack import SipStack
from holdfast.voice.sip.transaction.machines import (
    State,
    Trigger,
    client_key,
    trigger_of,
)

__all__ = ["AdmissionPolicy", "Agent", "AgentSettings", "AllowEveryCall", "DigestCredentials"]


class Agent:
    """A SIP user agent and registrar as a pure machine.

    `token` gives a new unguessable word (letters and digits) each time; `dice` a number in [0, 1).
    """

    __slots__ = ("_registrations", "_stack", "_uas")

    def __init__(
        self,
        settings: AgentSettings,
        *,
        token: Callable[[], str],
        random: Callable[[], float],
        policy: AdmissionPolicy | None = None,
    ) -> None:
        self._stack = SipStack(settings, token=token, random=random)
        self._uas = UserAgentServer(self._stack, policy or AllowEveryCall())
        self._registrations: dict[str, register_client.ClientRegistration] = {}

    # --- from the shell

    def receive(self, data: bytes, source: Address, now: float) -> list[Effect]:
        """One message came in. Never raises, whatever is in it."""
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
        """A message came over a connection whose end nobody knows: say so, if that can be. The shell then closes."""
        stack = self._begin_turn(now)
        try:
            stack.send(malformed_from_head(head, status, reason).encode(stack.token()), source, None, repeated=False)
        except SipMessageUnreadable as wrong:
            stack.emit(MessageDropped(source=source, reason=wrong.message))
        return stack.drain()

    def handle_disconnect(self, address: Address, now: float) -> list[Effect]:
        """A connection ended, or could not be had.

        Contacts registered over it go. Requests that nothing answered yet end as after 503, which here is no sign of
        life; what is under way goes on over a new connection. Source: RFC 3261 §8.1.3.1, §18.2.2, §18.4; RFC 5626 §5.3.
        """
        stack = self._begin_turn(now)
        self._uas.handle_disconnect(address)
        for transaction in stack.handle_disconnect(address):
            response_dispatch.handle_unsent(stack, self._registrations, transaction, address)
        for known in self._registrations.values():
            register_client.handle_disconnect(stack, known, address)
        return stack.drain()

    def begin_shutdown(self) -> None:
        """We are going: from now on calls in are refused with 503 and Retry-After, and calls that are on go on."""
        self._uas.begin_shutdown()

    def needs_connection(self, address: Address, now: float) -> bool:
        """Whether the connection to this address is worth keeping: something is under way, or a contact, or ours."""
        stack = self._stack
        return (
            any(known.peer == address for known in stack.transactions.values())
            or any(address in (session.peer, session.peer_address) for session in stack.sessions.values())
            or any(known.registrar == address for known in self._registrations.values())
            or self._uas.is_registered_from(address, now)
        )

    def fire(self, timer: TimerToken, now: float) -> list[Effect]:
        """A timer fired. One that was stopped or replaced in the meantime does nothing."""
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
            response_dispatch.handle_session_timer(stack, name, stack.sessions[SessionId(subject)])
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

        The request goes to `next_hop`, else to the host and port of `target`, which must then be numeric. `caller`
        is the user part of From, or a whole SIP URI.
        Raises: UriUnreadable when the target is no SIP URI or leads to no numeric host.
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

    def acknowledge(self, session: SessionId, sdp: bytes, *, now: float) -> list[Effect]:
        """Send ACK with our answer to the offer that came in a 2xx."""
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None and found.ack_due is not None and found.state is SessionState.RUNNING:
            cseq = found.ack_due
            found = invite_client.acknowledge(stack, replace(found, ack_due=None), cseq, sdp)
            reinvite.send_waiting(stack, found)
        return stack.drain()

    def cancel(self, session: SessionId, *, now: float) -> list[Effect]:
        """Give up a call that is not answered yet: ends in `Refused`. A 200 that crosses is acknowledged and ended."""
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None and found.state is SessionState.CALLING:
            invite_client.cancel(stack, found)
        return stack.drain()

    # --- a call in

    def ring(
        self,
        session: SessionId,
        *,
        now: float,
        status: int = 180,
        sdp: bytes | None = None,
        acknowledged: bool = False,
    ) -> list[Effect]:
        """Send a provisional response; `acknowledged`: one that the caller acknowledges, if it can."""
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None and found.state is SessionState.CALLED:
            invite_server.ring(stack, found, status, sdp, acknowledged=acknowledged)
        return stack.drain()

    def accept(self, session: SessionId, sdp: bytes | None, *, now: float, headers: Headers = ()) -> list[Effect]:
        """Answer with 200, repeated until acknowledged: ends in `Confirmed` or `Ended`.

        `sdp` is the answer, or our offer when the INVITE had none; None when that went with a provisional response:
        it is said again if that was not acknowledged.
        """
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None and found.state is SessionState.CALLED:
            invite_server.accept(stack, found, sdp, headers)
        return stack.drain()

    def refuse(self, session: SessionId, status: int, *, now: float, headers: Headers = ()) -> list[Effect]:
        """Answer with a final response of 300 or more."""
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None and found.state is SessionState.CALLED:
            invite_server.refuse(stack, found, status if 300 <= status <= 699 else 480, EndCause.WE_REFUSED, headers)
        return stack.drain()

    # --- a call that runs

    def bye(self, session: SessionId, *, now: float) -> list[Effect]:
        """End the session whatever its state: BYE when answered, CANCEL when calling, 603 when called.

        A BYE that is due before the peer's ACK waits for it (RFC 3261 §15).
        """
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None:
            match found.state:
                case SessionState.CALLING:
                    invite_client.cancel(stack, found)
                case SessionState.CALLED:
                    invite_server.refuse(stack, found, 603, EndCause.WE_REFUSED)
                case SessionState.ANSWERED:
                    stack.put(replace(found, bye_due=True))
                case SessionState.RUNNING:
                    reinvite.hang_up(stack, found)
                case SessionState.CANCELLING | SessionState.ENDING | SessionState.OVER:
                    pass
                case _:
                    assert_never(found.state)
        return stack.drain()

    def reoffer(
        self, session: SessionId, sdp: bytes | None, *, now: float, method: Literal["INVITE", "UPDATE"] = "INVITE"
    ) -> list[Effect]:
        """Change the session by re-INVITE, or by UPDATE when there is an offer in it.

        One at a time: a later ask waits, and the latest replaces those waiting. Before the answer only an UPDATE can
        be sent, once both sides have described themselves in messages that were acknowledged; any other ask ends in
        `ReofferRefused` with 491 at once.
        """
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None and found.state in (SessionState.ANSWERED, SessionState.RUNNING):
            reinvite.reoffer(stack, found, sdp, method if sdp is not None else "INVITE")
        elif found is not None and found.state in early_dialog.UNANSWERED:
            early_dialog.send_update(stack, found, sdp if method == "UPDATE" else None)
        return stack.drain()

    def answer_reoffer(self, session: SessionId, sdp: bytes, *, now: float) -> list[Effect]:
        """Answer the `Reoffered` of this session with 200."""
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None:
            reinvite.answer_change(stack, found, sdp)
        return stack.drain()

    def refuse_reoffer(self, session: SessionId, status: int, *, now: float) -> list[Effect]:
        """Refuse the `Reoffered` of this session; it goes on as it was."""
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None:
            reinvite.refuse_change(stack, found, status if 300 <= status <= 699 else 488)
        return stack.drain()

    def send_digit(self, session: SessionId, digit: str, *, now: float, duration_ms: int = 160) -> list[Effect]:
        """Tell the peer of a key by INFO (application/dtmf-relay)."""
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None and found.state is SessionState.RUNNING:
            info.send_digit(stack, found, digit, duration_ms)
        return stack.drain()

    def record_audio(self, session: SessionId, *, now: float) -> None:
        """The peer's sound is heard: it is there, though it may not answer when it is asked."""
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None:
            stack.put(replace(found, last_audio_at=now))

    def refer(self, session: SessionId, target: str, *, now: float) -> list[Effect]:
        """Ask the peer to call this URI instead (REFER): `ReferralAnswered`, then `Referral` until it is over."""
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None and found.state in (SessionState.ANSWERED, SessionState.RUNNING):
            refer.refer(stack, found, target)
        return stack.drain()

    def answer_refer(self, session: SessionId, status: int, *, now: float) -> list[Effect]:
        """Answer the `Referred` of this session: 202, whose outcome is told by `notify_refer`, or a refusal."""
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None:
            refer.answer(stack, found, status)
        return stack.drain()

    def notify_refer(self, session: SessionId, status: int, *, now: float) -> list[Effect]:
        """Tell the peer how the call fares that it asked for; a final status is the last."""
        stack = self._begin_turn(now)
        found = stack.live(session)
        if found is not None:
            refer.notify(stack, found, status)
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
        keep_trying: bool = False,
    ) -> list[Effect]:
        """Register our contact under `user` and keep it registered, until `unregister`.

        With `insists` a failure is not the end: it is tried again, after a wait that grows.
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
            keep_trying=keep_trying,
        )
        return stack.drain()

    def unregister(self, registration_name: str, *, now: float) -> list[Effect]:
        """Remove our contact there: ends in `Unregistered` or `RegistrationFailed`."""
        stack = self._begin_turn(now)
        known = self._registrations.get(registration_name)
        if known is not None:
            stack.stop(register_client.timer_token(registration_name))
            self._registrations[registration_name] = register_client.send(stack, replace(known, expires_s=0))
        return stack.drain()

    def options(self, ping: str, target: str, *, now: float, next_hop: Address | None = None) -> list[Effect]:
        """Ask whether a peer is alive: ends in `OptionsAnswered`.

        Raises: UriUnreadable.
        """
        stack = self._begin_turn(now)
        invite_client.send_options(stack, ping, target, next_hop)
        return stack.drain()

    # --- what is known

    def contacts(self, user: str, now: float) -> tuple[tuple[str, Address], ...]:
        """The contacts a line has registered, most preferred first: URI to call, address to send to."""
        return self._uas.contacts(user, now)

    def restorable_contacts(self, user: str) -> Bindings:
        """The contacts of a line that outlive a restart of ours, for `remember`."""
        return self._uas.restorable_contacts(user)

    def restore_contacts(self, user: str, contacts: Bindings, now: float) -> None:
        """A line had these contacts before we were restarted."""
        self._begin_turn(now)
        self._uas.restore_contacts(user, contacts)

    def origin(self, session: SessionId, *, fork: str = "") -> str | None:
        """The host that a peer's own signalling comes from; of a call out that is not answered, that of a fork's."""
        found = self._stack.sessions.get(session)
        if found is None:
            return None
        early_one = early_dialog.find(found, fork) if found.dialog is None else None
        dialog = found.dialog if early_one is None else early_one.dialog
        return found.peer.host if dialog is None else dialog.origin

    def contact_origin(self, uri: str, now: float) -> str | None:
        """The host at which a contact is, as a trusted proxy by which it registered says; None without one."""
        return self._uas.contact_origin(uri, now)

    def has_no_response(self, session: SessionId) -> bool:
        """Whether a call out has had no response yet, not even 100."""
        found = self._stack.live(session)
        if found is None or found.state is not SessionState.CALLING:
            return False
        return not found.has_provisional and found.invite.cseq == 1

    def sessions(self) -> tuple[SessionId, ...]:
        """The sessions that live."""
        return tuple(id for id, found in self._stack.sessions.items() if found.state is not SessionState.OVER)

    def is_idle(self) -> bool:
        """Whether no session lives."""
        return all(found.state is SessionState.OVER for found in self._stack.sessions.values())

    def transactions(self) -> int:
        """How many transactions are remembered; 0 some time after the last message."""
        return len(self._stack.transactions)

    def timers(self) -> int:
        """How many timers run."""
        return len(self._stack.running_timers)

    # --- responses and timers

    def _begin_turn(self, now: float) -> SipStack:
        self._stack.now = now
        return self._stack

    def _handle_response(self, response: Response, data: bytes, source: Address) -> None:
        stack = self._stack
        if len(response.values("Via")) != 1:
            raise SipMessageUnreadable("a response that has other Via than ours")
        transaction = stack.transactions.get(client_key(response.via.branch, response.method))
        if transaction is None:
            raise SipMessageUnreadable("a response to nothing of ours")
        repeated = transaction.state not in (State.CALLING, State.TRYING, State.PROCEEDING)
        stack.trace(data, source, transaction.session, "in", repeated=repeated)
        if stack.trigger(transaction.key, trigger_of(response.status), response):
            response_dispatch.handle_response(stack, self._registrations, transaction, response, source)
