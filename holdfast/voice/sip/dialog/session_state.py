"""Sessions as values: the data of one INVITE and of all that follows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.voice.sip.dialog.dialog import Dialog
from holdfast.voice.sip.dialog.session_machine import SessionState
from holdfast.voice.sip.effects import Address, Headers, SessionId
from holdfast.voice.sip.message.digest import DigestCredentials
from holdfast.voice.sip.message.message import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """An ACK of ours, kept to be repeated for each repeated 2xx. Source: RFC 3261 §13.2.2.4."""

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
    """Whether the 2xx holds our offer, so that the ACK holds the answer."""
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
    """An early dialog with one fork of our INVITE, and the last provisional response of it that we acknowledged."""

    dialog: Dialog
    rseq: int | None = None
    takes_update: bool = False
    """Whether the fork supports UPDATE."""
    described: bool = False
    """Whether the fork answered our offer in a provisional response that we acknowledged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTimer:
    """An agreed session timer. Units: seconds. Source: RFC 4028."""

    expires_s: int
    we_refresh: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReoffer:
    """A re-INVITE or UPDATE of ours that is in progress, or waits (`transaction` is "")."""

    transaction: str
    sdp: bytes | None
    method: Literal["INVITE", "UPDATE"] = "INVITE"
    backing_off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReoffer:
    """A re-INVITE or UPDATE of the peer, or an offer in its PRACK, that the owner has not answered yet."""

    transaction: str
    method: Literal["INVITE", "UPDATE", "PRACK"]
    cseq: int
    offerless: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session.

    Invariant: `dialog` is set in ANSWERED, RUNNING and ENDING.
    """

    id: SessionId
    state: SessionState
    invite: Request
    transaction: str
    """Key of the transaction of the first INVITE, or of its last repetition after a challenge."""
    peer: Address
    we_called: bool
    local_tag: str
    dialog: Dialog | None = None
    credentials: DigestCredentials | None = None
    has_provisional: bool = False
    """Whether a provisional response arrived, so that CANCEL may be sent."""
    bye_due: bool = False
    """Whether the session ends as soon as the ACK arrives."""
    acks: tuple[Acknowledgement, ...] = ()
    ack_due: int | None = None
    """CSeq of the INVITE whose 2xx holds an offer that the owner has not answered."""
    pending_ok: PendingOk | None = None
    own_reoffer: OwnReoffer | None = None
    waiting_reoffer: OwnReoffer | None = None
    glare_retries: int = 0
    """How often in a row a change or REFER of ours met a change of the peer (491)."""
    peer_reoffer: PeerReoffer | None = None
    last_provisional: tuple[int, bytes | None] = (180, None)
    rseq: int = 0
    pending_provisional: PendingProvisional | None = None
    described: bool = False
    """Whether the caller has acknowledged a provisional response of ours with a description."""
    ring_due: bool = False
    """Whether `last_provisional` waits for the PRACK of the one before it."""
    accept_due: tuple[bytes | None, Headers] | None = None
    """The description and headers of the 2xx that waits for a PRACK."""
    early_dialogs: tuple[EarlyDialog, ...] = ()
    refer_due: str | None = None
    """The target of a REFER that waits for the peer's ACK and for the end of all changes."""
    referral: Literal["", "asked", "over"] = ""
    """Whether the peer was sent a REFER, and has reported the end of its call."""
    referred: str | None = None
    """Key of the transaction of the peer's REFER that the owner has not answered yet."""
    notifies_peer: bool = False
    """Whether the peer gets NOTIFY requests about the call that its REFER asked for."""
    timer: SessionTimer | None = None
    interval_raises: int = 0
    """How often our request was sent again with a longer session interval."""
    takes_update: bool = False
    """Whether the peer supports UPDATE."""
    last_message_at: float = 0.0
    """When the peer last sent a message in the dialog."""
    probed_at: float | None = None
    """The value of `last_message_at` when a refresh was sent to learn whether the peer is alive."""
    answers_options: bool = False
    """Whether the peer has answered an OPTIONS in the dialog: a later unanswered one means that it is gone."""
    last_audio_at: float | None = None
    """When the owner last reported RTP of the peer."""

    @property
    def peer_address(self) -> Address | None:
        """The source of the peer's messages in the dialog; before that, the address of our INVITE."""
        if self.dialog is not None:
            return self.dialog.peer_address
        return self.peer if self.we_called else None
