"""What the SIP agent wants done, and what it tells its owner.

An `Effect` is either work for the shell (send a message, start or stop a timer) or an `Event`: news for whoever
owns the session. The shell carries effects out in the order given. Point of view: *local* is this agent,
*peer* the far end; *in* is from the peer to us.
Length: every effect and every event there is, one class each.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple, NewType

Transport = Literal["UDP", "TCP", "TLS"]
"""How messages travel, in the words of Via."""

RELIABLE: frozenset[Transport] = frozenset({"TCP", "TLS"})
"""Transports that deliver by themselves: nothing is repeated over them. Source: RFC 3261 §17."""


class Address(NamedTuple):
    """A far end of SIP: a numeric host (IPv4, or IPv6 without brackets), a port in 1..65535, and the way there.

    With TCP and TLS it names the connection to that far end, whichever side opened it.
    """

    host: str
    port: int
    transport: Transport = "UDP"

    @property
    def reliable(self) -> bool:
        """Whether what is sent there needs no repetition."""
        return self.transport in RELIABLE


SessionId = NewType("SessionId", str)
"""Names one INVITE and all that comes of it, on this side. For a call out its owner chooses it, for a call in the
agent does; it never appears on the wire."""

TimerToken = NewType("TimerToken", str)
"""Names a timer. Starting one that runs replaces it; stopping one that does not run does nothing."""

Headers = tuple[tuple[str, str], ...]
"""Header fields in wire order: name, value."""


# --- work for the shell ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    """Send these bytes there, over the connection that is open, else over a new one.

    A datagram that cannot be sent is lost, and the machines repeat what matters. A connection that cannot be had, or
    that ends, is told to `Agent.disconnected`.
    """

    data: bytes
    to: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTimer:
    """After `after_s` seconds give `token` back by `Agent.fire`."""

    token: TimerToken
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTimer:
    """Forget the timer."""

    token: TimerToken


# --- events of a session -----------------------------------------------------------------------------


class EndCause(Enum):
    """Why a session that was not refused is over."""

    HUNG_UP = "hung up"
    """The peer sent BYE."""
    WE_HUNG_UP = "we hung up"
    """Our BYE was answered, or nobody was there to answer it."""
    CANCELLED = "cancelled"
    """The peer gave up (CANCEL) before we answered."""
    EXPIRED = "expired"
    """We left an INVITE without a final response for too long; the agent refused it."""
    WE_REFUSED = "we refused"
    """We refused an INVITE of the peer's (`refuse`, or `bye` before `accept`)."""
    NO_ACK = "no ack"
    """Our 200 was never acknowledged; the agent has sent BYE."""
    LOST = "lost"
    """The peer no longer knows the dialog (481) or does not answer inside it (408)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """A peer calls us. The agent has sent 100; the owner answers with `ring`, `accept` or `refuse`.

    `user` is the line that authenticated, or None when the policy lets this source call without.
    `sdp` is the offer, or None when the peer wants ours in the 200.
    """

    session: SessionId
    source: Address
    target: str
    """The Request-URI as it came; a `tel:` URI as a SIP URI at our address."""
    called: str
    """User part of the Request-URI, percent-decoded; of a number without its parameters; "" when there is none."""
    caller: str
    """The same of From."""
    caller_host: str
    caller_name: str
    user: str | None
    sdp: bytes | None
    reliable: bool
    """The caller requires that provisional responses are acknowledged; without an offer, the first must hold ours."""
    call_id: str
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """The called phone answered provisionally (180, 181, 182, 183). `sdp` is that of early media."""

    session: SessionId
    status: int
    reason: str
    sdp: bytes | None
    fork: str = ""
    """Which phone behind the target it is of (its To tag)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The called phone answered with 2xx. At most once per session.

    When our INVITE had an offer, `sdp` is the answer (it may be missing: then the answer was that of the last
    `Progressed`) and ACK is sent. When it had none, `offer_to_answer` is true, `sdp` is the peer's offer, and the
    owner must `acknowledge` with an answer.
    """

    session: SessionId
    sdp: bytes | None
    offer_to_answer: bool
    headers: Headers
    fork: str = ""
    """Which of the phones of `Progressed` it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Our INVITE came to nothing; the session is over. `status` is the final one: the peer's, 408 when nobody
    answered, 487 when we cancelled."""

    session: SessionId
    status: int
    reason: str
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """The peer acknowledged our 200, of the INVITE or of a re-INVITE.

    `offered` is whether our 200 held an offer; `sdp` is then its answer, or None when it forgot it.
    """

    session: SessionId
    sdp: bytes | None
    offered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The session is over, said exactly once for each that was neither `Refused` nor is alive."""

    session: SessionId
    cause: EndCause
    status: int
    """The status that goes with it: 200 after BYE, 487 after CANCEL, 408 or 481 when lost, else our refusal's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reoffered:
    """The peer changes the session by re-INVITE, UPDATE or PRACK; answer with `answer_reoffer` or `refuse_reoffer`.

    `sdp` is None in an offerless re-INVITE: then what the owner gives `answer_reoffer` is an offer of ours and the
    answer comes with `Confirmed`. (An UPDATE without SDP is answered by the agent.) An UPDATE may come before the
    answer, once both sides have described themselves, and so may an offer in a PRACK.
    """

    session: SessionId
    method: Literal["INVITE", "UPDATE", "PRACK"]
    sdp: bytes | None
    fork: str = ""
    """Of a call out that is not answered yet: which of the phones of `Progressed` it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionalAcknowledged:
    """The peer acknowledged the provisional response that held our offer. `sdp` is its answer.

    After it, `accept` has nothing to describe.
    """

    session: SessionId
    sdp: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshDue:
    """The session timer wants a refresh, and the peer takes no UPDATE: `reoffer` what is wished anyway."""

    session: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferWithdrawn:
    """The peer cancelled its re-INVITE, or we left it unanswered too long; the session goes on as it was."""

    session: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferAnswered:
    """The peer answered our `reoffer`. `sdp` is its answer, or, when ours had none, its offer that the owner must
    `acknowledge`."""

    session: SessionId
    sdp: bytes | None
    offer_to_answer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferRefused:
    """The peer did not agree to our `reoffer`; the session goes on as it was.

    A 491 is only reported as such when it came again each time the change was asked anew.
    """

    session: SessionId
    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferPostponed:
    """Our `reoffer` met a change of the peer's (491): its offer is over, and the peer's is taken first.

    `ReofferDue` follows, unless another `reoffer` was asked in the meantime, which is sent in its place. A change
    without a description is sent again by the agent, and nothing of it is told.
    Source: RFC 3261 §14.1.
    """

    session: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferDue:
    """The wait after a `ReofferPutOff` is over: `reoffer` by this method what is wished now."""

    session: SessionId
    method: Literal["INVITE", "UPDATE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitSignalled:
    """The peer pressed a key and told us by INFO (application/dtmf-relay or application/dtmf)."""

    session: SessionId
    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralAnswered:
    """The peer answered our REFER: 2xx says that it will try, anything else that it will not."""

    session: SessionId
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral:
    """The peer tells how the call fares that our REFER asked it for. Source: RFC 3515 §2.4.5.

    `status` is the last SIP status of that call, 0 when the peer does not say. After `is_over` no more comes.
    Units: `lasts_s`, how long the peer says it goes on telling.
    """

    session: SessionId
    status: int
    is_over: bool
    expires_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Referred:
    """The peer asks us to call somebody else; answer with `answer_refer`. `target` is Refer-To as it came."""

    session: SessionId
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSeen:
    """One SIP message of this session went over the wire: material for a ladder diagram.

    `again` marks a repetition of one seen before.
    """

    session: SessionId
    direction: Literal["in", "out"]
    peer: Address
    start_line: str
    cseq: str
    data: bytes
    repeated: bool


# --- events outside a session ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """Our REGISTER was accepted; the agent refreshes it in time. `expires_s` is what the registrar granted."""

    registration: str
    expires_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationFailed:
    """Our REGISTER was refused (408 when nobody answered). Units: the agent tries again after `again_s` seconds, if
    it was told to insist."""

    registration: str
    status: int
    reason: str
    retry_in_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unregistered:
    """Our contact was removed, as asked."""

    registration: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactsChanged:
    """A line registered, refreshed or removed contacts with us. `contacts` are those it has now."""

    user: str
    contacts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionsAnswered:
    """Our OPTIONS got its final response. `status` is 408 when nobody answered."""

    ping: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordWrong:
    """A wrong password of a user's, or a user we do not have, came from a host, which may try again."""

    source: Address
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedOut:
    """Too many wrong passwords of a user's came from a host: until `again_s` have passed none of his from there is
    looked at. Said when the door closes.
    """

    source: Address
    user: str | None
    """None: they were of too many users; none is looked at but of those who proved theirs there."""
    retry_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDropped:
    """A message that could not be answered was ignored. For the log, at a bounded rate."""

    source: Address
    reason: str


SessionEvent = (
    Progressed
    | Accepted
    | Refused
    | Confirmed
    | Ended
    | Reoffered
    | ReofferWithdrawn
    | ProvisionalAcknowledged
    | RefreshDue
    | ReofferAnswered
    | ReofferRefused
    | ReofferPostponed
    | ReofferDue
    | DigitSignalled
    | ReferralAnswered
    | Referral
    | Referred
)
"""What happens within one session."""
Event = (
    Invited
    | SessionEvent
    | MessageSeen
    | Registered
    | RegistrationFailed
    | Unregistered
    | ContactsChanged
    | OptionsAnswered
    | PasswordWrong
    | LockedOut
    | MessageDropped
)
Effect = SendMessage | StartTimer | StopTimer | Event
