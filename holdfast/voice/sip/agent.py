"""The SIP agent: one object that speaks SIP in bytes and effects.

It holds the transactions, the sessions with their dialogs, and the registrar. It owns no socket, no clock and no
dice: the shell hands it datagrams and timers that fired, with the time, and carries out the effects it returns.
Every ask about a session that is over returns no effects: the event that said so is already out.
Source: RFC 3261, with RFC 6026, 3311, 3581, 6086, 8760.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from holdfast.voice.sip.effects import Address, Effect, Headers, SessionId, TimerToken


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """User and password with which we answer a challenge. With a realm, only one of that realm."""

    user: str
    password: str
    realm: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """What an agent is told at its making.

    `address` is where peers reach us: it goes into Via and Contact. `secret` keys the nonces of our challenges.
    """

    address: Address
    secret: bytes
    user_agent: str = "Holdfast"
    contact_user: str = "holdfast"
    realm: str = "holdfast"
    max_sessions: int = 4000
    max_transactions: int = 20_000
    answer_within_s: float = 300.0
    """An INVITE of a peer's that we leave without a final response for this long is refused with 480."""


class Policy(Protocol):
    """Who may do what, asked for each request that begins something."""

    def password_of(self, user: str) -> str | None:
        """The password of a line, or None when there is no such line."""
        ...

    def may_call_unauthenticated(self, source: Address) -> bool:
        """Whether this source may call without being a line."""
        ...


class AnybodyMayCall:
    """The policy of a plain phone: it takes every call and has no lines, so it is nobody's registrar."""

    def password_of(self, user: str) -> str | None:
        """No lines."""
        return None

    def may_call_unauthenticated(self, source: Address) -> bool:
        """Everybody may."""
        return True


class Agent:
    """A SIP user agent and registrar as a pure machine.

    `token` gives a new unguessable word (letters and digits) each time; `dice` a number in [0, 1).
    """

    def __init__(
        self,
        settings: AgentSettings,
        *,
        token: Callable[[], str],
        dice: Callable[[], float],
        policy: Policy | None = None,
    ) -> None:
        raise NotImplementedError

    # --- from the shell

    def receive(self, data: bytes, source: Address, now: float) -> list[Effect]:
        """One datagram came in. Never raises, whatever is in it."""
        raise NotImplementedError

    def fire(self, timer: TimerToken, now: float) -> list[Effect]:
        """A timer fired. One that was stopped or replaced in the meantime does nothing."""
        raise NotImplementedError

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
        credentials: Credentials | None = None,
        headers: Headers = (),
    ) -> list[Effect]:
        """Call a SIP URI. Without `sdp` the peer is asked for an offer (see `Accepted`).

        The datagram goes to `next_hop`, else to the host and port of `target`, which must then be numeric.
        Raises: UriUnreadable when the target is no SIP URI or leads to no numeric host.
        """
        raise NotImplementedError

    def acknowledge(self, session: SessionId, sdp: bytes, *, now: float) -> list[Effect]:
        """Send ACK with our answer to the offer that came in a 2xx."""
        raise NotImplementedError

    def cancel(self, session: SessionId, *, now: float) -> list[Effect]:
        """Give up a call that is not answered yet: ends in `Refused`. A 200 that crosses is acknowledged and ended."""
        raise NotImplementedError

    # --- a call in

    def ring(self, session: SessionId, *, now: float, status: int = 180, sdp: bytes | None = None) -> list[Effect]:
        """Send a provisional response."""
        raise NotImplementedError

    def accept(self, session: SessionId, sdp: bytes, *, now: float, headers: Headers = ()) -> list[Effect]:
        """Answer with 200, repeated until acknowledged: ends in `Confirmed` or `Ended`.

        `sdp` is the answer, or our offer when the INVITE had none.
        """
        raise NotImplementedError

    def refuse(self, session: SessionId, status: int, *, now: float, headers: Headers = ()) -> list[Effect]:
        """Answer with a final response of 300 or more."""
        raise NotImplementedError

    # --- a call that runs

    def bye(self, session: SessionId, *, now: float) -> list[Effect]:
        """End the session whatever its state: BYE when answered, CANCEL when calling, 603 when called.

        A BYE that is due before the peer's ACK waits for it (RFC 3261 §15).
        """
        raise NotImplementedError

    def reoffer(self, session: SessionId, sdp: bytes | None, *, now: float) -> list[Effect]:
        """Change the session by re-INVITE. One at a time: a later ask waits, and the latest replaces those waiting."""
        raise NotImplementedError

    def answer_reoffer(self, session: SessionId, sdp: bytes, *, now: float) -> list[Effect]:
        """Answer the `Reoffered` of this session with 200."""
        raise NotImplementedError

    def refuse_reoffer(self, session: SessionId, status: int, *, now: float) -> list[Effect]:
        """Refuse the `Reoffered` of this session; it goes on as it was."""
        raise NotImplementedError

    def press(self, session: SessionId, digit: str, *, now: float, duration_ms: int = 160) -> list[Effect]:
        """Tell the peer of a key by INFO (application/dtmf-relay)."""
        raise NotImplementedError

    # --- outside calls

    def register(
        self,
        registration: str,
        registrar: Address,
        user: str,
        *,
        now: float,
        domain: str | None = None,
        credentials: Credentials | None = None,
        expires_s: int = 600,
    ) -> list[Effect]:
        """Register our contact under `user` and keep it registered, until `unregister`."""
        raise NotImplementedError

    def unregister(self, registration: str, *, now: float) -> list[Effect]:
        """Remove our contact there: ends in `Unregistered` or `RegistrationFailed`."""
        raise NotImplementedError

    def options(self, ping: str, target: str, *, now: float, next_hop: Address | None = None) -> list[Effect]:
        """Ask whether a peer is alive: ends in `OptionsAnswered`."""
        raise NotImplementedError

    # --- what is known

    def contacts(self, user: str, now: float) -> tuple[tuple[str, Address], ...]:
        """The contacts a line has registered, most preferred first: URI to call, address to send to."""
        raise NotImplementedError

    def sessions(self) -> tuple[SessionId, ...]:
        """The sessions that live."""
        raise NotImplementedError
