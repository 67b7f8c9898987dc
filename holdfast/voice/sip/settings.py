"""Settings of a SIP agent, and the policy that it asks about each initial request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from holdfast.voice.sip.abuse_guard import AbuseLimits
from holdfast.voice.sip.effects import Address, Transport
from holdfast.voice.sip.message.digest import ALGORITHMS, REALM, Ha1


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """The constants of one agent.

    `address` is where peers reach us: it appears in Via and Contact; `others` are the same for further transports.
    `secret` keys the nonces of our challenges.
    """

    address: Address
    secret: bytes = field(repr=False)
    user_agent: str = "Holdfast"
    contact_user: str = "holdfast"
    realm: str = REALM
    algorithms: tuple[str, ...] = ALGORITHMS
    """Algorithms that our challenges offer, most preferred first. Credentials of any known algorithm are checked."""
    max_sessions: int = 4000
    max_transactions: int = 20_000
    answer_within_s: float = 300.0
    """An inbound INVITE without a final response for this long is refused with 480."""
    max_contacts: int = 10
    """The most contacts of one line. Source: Twilio, SIP registration limits."""
    others: tuple[Address, ...] = ()
    limits: AbuseLimits = field(default_factory=AbuseLimits)
    quiet: bool = False
    """Whether scanners, and unauthenticated hosts that do not register, get no answer at all."""
    session_expires_s: int = 1800
    """The session timer we ask for, and the longest we accept; 0: none. Source: RFC 4028 §4 (half an hour)."""
    keepalive_s: float = 0.0
    """After this long without a message of the peer in a running call, the agent sends OPTIONS; 0: never."""

    def supports_transport(self, transport: Transport) -> bool:
        """Return whether we have an address for this transport."""
        return any(ours.transport == transport for ours in (self.address, *self.others))

    def reached_by(self, transport: Transport) -> Address:
        """Return the address at which peers reach us by this transport; else our first address with that transport."""
        found = (ours for ours in (self.address, *self.others) if ours.transport == transport)
        return next(found, self.address._replace(transport=transport))


class RandomSource(Protocol):
    """The source of all that is random in an agent."""

    def token(self) -> str:
        """Return a new unguessable word of letters and digits."""

    def random(self) -> float:
        """Return a number in [0, 1)."""


class AdmissionPolicy(Protocol):
    """The policy decides who may do what, for each initial request."""

    def ha1_of(self, user: str) -> Ha1 | None:
        """Return the HA1 of a line, in the realm of our challenges; None for an unknown line."""
        ...

    def may_call_unauthenticated(self, source: Address) -> bool:
        """Return whether this source may call unauthenticated."""
        ...

    def is_registrar(self) -> bool:
        """Return whether lines may register here."""
        ...

    def is_trusted_proxy(self, host: str) -> bool:
        """Return whether the Via fields of this numeric host are trusted about the origin of a request."""
        ...


class AllowEveryCall:
    """The policy of a plain phone: it accepts every call and has no lines, so it is no registrar."""

    __slots__ = ()

    def ha1_of(self, user: str) -> Ha1 | None:
        """Return None: there are no lines."""
        return None

    def may_call_unauthenticated(self, source: Address) -> bool:
        """Return True."""
        return True

    def is_registrar(self) -> bool:
        """Return False."""
        return False

    def is_trusted_proxy(self, host: str) -> bool:
        """Return False."""
        return False
