"""What an agent is told at its making, and whom it asks who may do what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from holdfast.voice.sip.abuse_guard import AbuseLimits
from holdfast.voice.sip.effects import Address, Transport
from holdfast.voice.sip.message.digest import ALGORITHMS, REALM, Ha1


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """The agent's own constants.

    `address` is where peers reach us: it goes into Via and Contact; `others` are the same for further transports.
    `secret` keys the nonces of our challenges.
    """

    address: Address
    secret: bytes = field(repr=False)
    user_agent: str = "Holdfast"
    contact_user: str = "holdfast"
    realm: str = REALM
    algorithms: tuple[str, ...] = ALGORITHMS
    """What our challenges offer, most wanted first. Credentials of any algorithm we know are checked."""
    max_sessions: int = 4000
    max_transactions: int = 20_000
    answer_within_s: float = 300.0
    """An INVITE of a peer's that we leave without a final response for this long is refused with 480."""
    max_contacts: int = 10
    """Contacts of one line. Source: Twilio, SIP registration limits."""
    others: tuple[Address, ...] = ()
    limits: AbuseLimits = field(default_factory=AbuseLimits)
    quiet: bool = False
    """Whether scanners, and strangers that do not register, get no answer at all."""
    session_expires_s: int = 1800
    """The session timer we ask for, and the longest we agree to; 0: none. Source: RFC 4028 §4 (half an hour)."""
    keepalive_s: float = 0.0
    """A running call of whose peer nothing was heard for so long is asked by OPTIONS; 0: never."""

    def speaks(self, transport: Transport) -> bool:
        """Whether we have an address for this transport."""
        return any(ours.transport == transport for ours in (self.address, *self.others))

    def reached_by(self, transport: Transport) -> Address:
        """Where peers reach us by this transport; our first address when we do not await it there."""
        found = (ours for ours in (self.address, *self.others) if ours.transport == transport)
        return next(found, self.address._replace(transport=transport))


class AdmissionPolicy(Protocol):
    """Who may do what, asked for each request that begins something."""

    def ha1_of(self, user: str) -> Ha1 | None:
        """What proves a line, in the realm of our challenges; None when there is no such line."""
        ...

    def may_call_unauthenticated(self, source: Address) -> bool:
        """Whether this source may call without being a line."""
        ...

    def is_registrar(self) -> bool:
        """Whether lines may register here at all."""
        ...

    def is_trusted_proxy(self, host: str) -> bool:
        """Whether this numeric host is believed when its Via says whose request it passes on."""
        ...


class AllowEveryCall:
    """The policy of a plain phone: it takes every call and has no lines, so it is nobody's registrar."""

    __slots__ = ()

    def ha1_of(self, user: str) -> Ha1 | None:
        """No lines."""
        return None

    def may_call_unauthenticated(self, source: Address) -> bool:
        """Everybody may."""
        return True

    def is_registrar(self) -> bool:
        """It is not."""
        return False

    def is_trusted_proxy(self, host: str) -> bool:
        """No proxy is known."""
        return False
