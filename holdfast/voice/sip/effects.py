"""Effects and events of the SIP agent.

An `Effect` is either work for the shell (send a message, start or stop a timer) or an `Event` for the owner of the
session. The owner is the program part that places and answers calls. The shell carries out effects in their order.
Point of view: *local* is this agent, *peer* the far end; *in* is from the peer to us.
Length: one class for each effect and each event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple, NewType

Transport = Literal["UDP", "TCP", "TLS"]
"""The transport of a message, spelled as in Via."""

RELIABLE: frozenset[Transport] = frozenset({"TCP", "TLS"})
"""Transports that deliver by themselves: no message is repeated over them. Source: RFC 3261 §17."""


class Address(NamedTuple):
    """The address of a peer: a numeric host (IPv4, or IPv6 without brackets), a port in 1..65535 and a transport.

    With TCP and TLS it names the connection to that peer, whichever side opened it.
    """

    host: str
    port: int
    transport: Transport = "UDP"

    @property
    def reliable(self) -> bool:
        """Whether messages sent there need no repetition."""
        return self.transport in RELIABLE


SessionId = NewType("SessionId", str)
"""The name of one INVITE and its session on this side.

The owner chooses it for an outbound call, the agent for an inbound one; it never appears on the wire.
"""

TimerToken = NewType("TimerToken", str)
"""The name of a timer. Starting a running timer replaces it; stopping a timer that does not run does nothing."""

Headers = tuple[tuple[str, str], ...]
"""Header fields in wire order: name, value."""


# --- work for the shell ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SendMessage:
    """Send these bytes there, over the open connection, else over a new one.

    A datagram that cannot be sent is lost, and the transactions repeat what matters. When a connection cannot be
    opened, or ends, the shell calls `Agent.handle_disconnect`.
    """

    data: bytes
    to: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class StartSipTimer:
    """Call `Agent.fire` with `token` after `after_s` seconds."""

    token: TimerToken
    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSipTimer:
    """Discard the timer."""

    token: TimerToken


# --- events of a session -----------------------------------------------------------------------------


class EndCause(Enum):
    """The reason why a session that was not refused is over."""

    HUNG_UP = "hung up"
    """The peer sent BYE."""
    WE_HUNG_UP = "we hung up"
    """Our BYE was answered, or timed out."""
    CANCELLED = "cancelled"
    """The peer cancelled (CANCEL) before we answered."""
    EXPIRED = "expired"
    """We left an INVITE without a final response for too long; the agent refused it."""
    WE_REFUSED = "we refused"
    """We refused an INVITE of the peer (`RefuseInvite`, or `EndSession` before `AcceptInvite`)."""
    NO_ACK = "no ack"
    """Our 200 was never acknowledged; the agent has sent BYE."""
    LOST = "lost"
    """The peer no longer knows the dialog (481) or does not answer inside it (408)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReport:
    """The common part of all events of a session."""

    session: SessionId


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited(SessionReport):
    """A peer calls us. The agent has sent 100; the owner answers with `SendRinging`, `AcceptInvite` or `RefuseInvite`.

    `user` is the line that authenticated, or None when the policy lets this source call unauthenticated.
    `sdp` is the offer, or None when the peer wants our offer in the 200.
    """

    source: Address
    target: str
    """The Request-URI as it arrived; a `tel:` URI as a SIP URI at our address."""
    called: str
    """The user part of the Request-URI, percent-decoded, a number without its parameters; "" when there is none."""
    caller: str
    """The same for From."""
    caller_host: str
    caller_name: str
    user: str | None
    sdp: bytes | None
    reliable: bool
    """The caller requires that provisional responses are acknowledged; without an offer, the first must hold ours."""
    call_id: str
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed(SessionReport):
    """The callee answered provisionally (180, 181, 182, 183). `sdp` describes early media."""

    status: int
    reason: str
    sdp: bytes | None
    fork: str = ""
    """The To tag of the phone that answered: one target may have several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(SessionReport):
    """The callee answered with 2xx. It is emitted at most once per session.

    When our INVITE had an offer, `sdp` is the answer and ACK is sent; None means that the last `Progressed` held the
    answer. When our INVITE had no offer, `offer_to_answer` is true, `sdp` is the peer's offer, and the owner must
    `AcknowledgeOffer` it with an answer.
    """

    sdp: bytes | None
    offer_to_answer: bool
    headers: Headers
    fork: str = ""
    """The To tag of the phone that answered, as in `Progressed`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(SessionReport):
    """Our INVITE was refused and the session is over.

    `status` is the final one: that of the peer, 408 after a timeout, 487 after our CANCEL.
    """

    status: int
    reason: str
    headers: Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed(SessionReport):
    """The peer acknowledged our 200, of the INVITE or of a re-INVITE.

    `offered` says whether our 200 held an offer; `sdp` is then its answer, or None when the ACK has none.
    """

    sdp: bytes | None
    offered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended(SessionReport):
    """The session is over. It is emitted exactly once per session that was not `Refused`."""

    cause: EndCause
    status: int
    """The status of the end: 200 after BYE, 487 after CANCEL, 408 or 481 when lost, else that of our refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reoffered(SessionReport):
    """The peer changes the session by re-INVITE, UPDATE or PRACK; answer by `AnswerReoffer` or `RefuseReoffer`.

    `sdp` is None in an offerless re-INVITE: the owner then passes our offer to `AnswerReoffer`, and the answer arrives
    with `Confirmed`. (The agent itself answers an UPDATE without SDP.) An UPDATE or a PRACK with an offer may arrive
    before the answer, once both sides have sent their descriptions.
    """

    method: Literal["INVITE", "UPDATE", "PRACK"]
    sdp: bytes | None
    fork: str = ""
    """The To tag of the phone, as in `Progressed`, while an outbound call is not answered yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisionalAcknowledged(SessionReport):
    """The peer acknowledged the provisional response that held our offer. `sdp` is its answer.

    After it, `AcceptInvite` needs no description.
    """

    sdp: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshDue(SessionReport):
    """The session timer needs a refresh by re-INVITE, as the peer takes no UPDATE: call `SendReoffer`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferWithdrawn(SessionReport):
    """The peer cancelled its re-INVITE, or we left it unanswered too long; the session goes on unchanged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferAnswered(SessionReport):
    """The peer answered our `SendReoffer`.

    `sdp` is its answer; when our request had no offer, it is the peer's offer, which the owner must `AcknowledgeOffer`.
    """

    sdp: bytes | None
    offer_to_answer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferRefused(SessionReport):
    """The peer refused our `SendReoffer`; the session goes on unchanged.

    A 491 is reported only after all retries were answered 491.
    """

    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferPostponed(SessionReport):
    """Our `SendReoffer` met a change of the peer (491): our offer is withdrawn, and the peer's change goes first.

    `ReofferDue` follows, unless the owner called `SendReoffer` in the meantime, which is then sent instead. The agent
    itself repeats a change without a description, without an event.
    Source: RFC 3261 §14.1.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ReofferDue(SessionReport):
    """The wait after a `ReofferPostponed` is over: call `SendReoffer` by this method with the current description."""

    method: Literal["INVITE", "UPDATE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DigitSignalled(SessionReport):
    """The peer sent a digit by INFO (application/dtmf-relay or application/dtmf)."""

    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferralAnswered(SessionReport):
    """The peer answered our REFER: 2xx means that it will try, any other status that it will not."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Referral(SessionReport):
    """The peer reported the progress of the call that our REFER asked for. Source: RFC 3515 §2.4.5.

    `status` is the last SIP status of that call, 0 when the peer does not say. After `is_over` there are no more
    reports.
    Units: `expires_s`, how long the peer says that it will report.
    """

    status: int
    is_over: bool
    expires_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Referred(SessionReport):
    """The peer asks us to call another party; answer by `AnswerRefer`. `target` is Refer-To as it arrived."""

    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageSeen(SessionReport):
    """One SIP message of this session was sent or received: material for a ladder diagram.

    `repeated` marks a repetition of an earlier message.
    """

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
    """Our REGISTER was refused (408 after a timeout).

    Units: `retry_in_s`, seconds until the agent tries again; None when it does not.
    """

    registration: str
    status: int
    reason: str
    retry_in_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unregistered:
    """Our contact was removed, as requested."""

    registration: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactsChanged:
    """A line registered, refreshed or removed contacts with us. `contacts` are its contacts now."""

    user: str
    contacts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionsAnswered:
    """Our OPTIONS got its final response. `status` is 408 after a timeout."""

    ping: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordWrong:
    """A host sent a wrong password, or an unknown user; it may try again."""

    source: Address
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedOut:
    """A host sent too many wrong passwords of one user, who cannot authenticate from there for `retry_in_s` seconds.

    It is emitted when the lock-out begins.
    """

    source: Address
    user: str | None
    """None: the wrong passwords were of too many users; only users who authenticated there before are checked."""
    retry_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDropped:
    """A message that could not be answered was ignored. The shell logs it at a bounded rate."""

    source: Address
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRefused(SessionReport):
    """A session received an input that the table of its machine does not list in its state; nothing was changed.

    The shell logs it at a bounded rate. `received` names the input.
    """

    state: str
    received: str


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
"""An event of one session."""
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
    | InputRefused
)
Effect = SendMessage | StartSipTimer | StopSipTimer | Event
