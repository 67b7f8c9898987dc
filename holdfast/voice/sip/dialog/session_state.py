"""One INVITE and all that comes of it, as a value: states, and what has to be remembered in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from holdfast.voice.sip.dialog.dialog import Dialog
from holdfast.voice.sip.effects import Address, Headers, SessionId
from holdfast.voice.sip.message.digest import DigestCredentials
from holdfast.voice.sip.message.message import Request


class SessionState(Enum):
    """Where a session stands."""

    CALLING = "calling"
    """Our INVITE has no final response yet."""
    CANCELLING = "cancelling"
    """As calling, but we gave up."""
    CALLED = "called"
    """The peer's INVITE has no final response from us yet."""
    ANSWERED = "answered"
    """We sent 200; the peer's ACK is due."""
    RUNNING = "running"
    ENDING = "ending"
    """Our BYE is out."""
    OVER = "over"
    """Its end has been told. Kept while a 2xx to our INVITE could still come."""


TRANSITIONS: dict[SessionState, tuple[SessionState, ...]] = {
    SessionState.CALLING: (SessionState.CANCELLING, SessionState.RUNNING, SessionState.OVER),
    SessionState.CANCELLING: (SessionState.OVER,),
    SessionState.CALLED: (SessionState.ANSWERED, SessionState.OVER),
    SessionState.ANSWERED: (SessionState.RUNNING, SessionState.ENDING, SessionState.OVER),
    SessionState.RUNNING: (SessionState.ENDING, SessionState.OVER),
    SessionState.ENDING: (SessionState.OVER,),
    SessionState.OVER: (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """An ACK of ours, kept to be sent again for each 2xx that comes again. Source: RFC 3261 §13.2.2.4."""

    remote_tag: str
    cseq: int
    data: bytes
    to: Address


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingOk:
    """A 2xx of ours that is repeated until its ACK. Source: RFC 3261 §13.3.1.4."""

    cseq: int
    transaction: str
    interval_s: float
    waited_s: float
    offered: bool
    """Whether the 2xx holds our offer, so that the ACK brings an answer."""
    initial: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingProvisional:
    """A provisional response of ours that is repeated until its PRACK. Source: RFC 3262 §3."""

    rseq: int
    interval_s: float
    waited_s: float
    described: bool
    """Whether it held a description."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyDialog:
    """A fork of our INVITE that has not answered, and the last provisional response of it we acknowledged."""

    dialog: Dialog
    rseq: int | None = None
    takes_update: bool = False
    """Whether it takes UPDATE."""
    described: bool = False
    """Whether it answered our offer in a provisional response that we acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTimer:
    """A session timer that was agreed. Units: seconds. Source: RFC 4028."""

    expires_s: int
    we_refresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReoffer:
    """A re-INVITE or UPDATE of ours that is under way, or waits for its turn (`transaction` is "")."""

    transaction: str
    sdp: bytes | None
    method: Literal["INVITE", "UPDATE"] = "INVITE"
    backing_off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReoffer:
    """A re-INVITE or UPDATE of the peer's, or an offer in its PRACK, that our owner has not answered yet."""

    transaction: str
    method: Literal["INVITE", "UPDATE", "PRACK"]
    cseq: int
    offerless: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session.

    Invariant: `dialog` is there in ANSWERED, RUNNING and ENDING.
    """

    id: SessionId
    state: SessionState
    invite: Request
    transaction: str
    """Key of the transaction of the first INVITE (the last try of it, after a challenge)."""
    peer: Address
    we_called: bool
    local_tag: str
    dialog: Dialog | None = None
    credentials: DigestCredentials | None = None
    has_provisional: bool = False
    """A provisional response came, so CANCEL may be sent."""
    bye_due: bool = False
    """End it as soon as the ACK is here."""
    acks: tuple[Acknowledgement, ...] = ()
    ack_due: int | None = None
    """CSeq of the INVITE whose 2xx holds an offer that our owner has not answered."""
    pending_ok: PendingOk | None = None
    own_reoffer: OwnReoffer | None = None
    waiting_reoffer: OwnReoffer | None = None
    glare_retries: int = 0
    """How often in a row a change or a REFER of ours met a change of the peer's."""
    peer_reoffer: PeerReoffer | None = None
    last_provisional: tuple[int, bytes | None] = (180, None)
    rseq: int = 0
    pending_provisional: PendingProvisional | None = None
    described: bool = False
    """Whether the caller has acknowledged a provisional response of ours that held a description."""
    ring_due: bool = False
    """`last_provisional` waits until the one before has its PRACK."""
    accept_due: tuple[bytes | None, Headers] | None = None
    """The 2xx that waits for a PRACK."""
    early_dialogs: tuple[EarlyDialog, ...] = ()
    refer_due: str | None = None
    """What the peer is to be asked to call, as soon as its ACK is here and no change is under way."""
    referral: Literal["", "asked", "over"] = ""
    """Whether the peer was asked to call somebody else, and has told the end of it."""
    referred: str | None = None
    """Key of the transaction of the peer's REFER that our owner has not answered yet."""
    notifies_peer: bool = False
    """Whether the peer waits to be told how the call fares that it asked us for."""
    timer: SessionTimer | None = None
    interval_raises: int = 0
    """How often our INVITE was sent again with a longer session."""
    takes_update: bool = False
    """Whether the peer takes UPDATE."""
    last_message_at: float = 0.0
    """When the peer last said anything in the dialog."""
    probed_at: float | None = None
    """What `heard_at` was when a refresh was to show whether the peer is there."""
    answers_options: bool = False
    """Whether it answered an OPTIONS in the dialog: then one that goes unanswered says that it is gone."""
    last_audio_at: float | None = None
    """When our owner last heard its sound."""

    @property
    def peer_address(self) -> Address | None:
        """Where the peer's messages in the dialog come from; before that, where our INVITE went."""
        if self.dialog is not None:
            return self.dialog.peer_address
        return self.peer if self.we_called else None
