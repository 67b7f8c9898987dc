"""The state of one SIP leg: its session, its forks, and what is agreed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Literal, assert_never

from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.model.effects import PlaceLeg
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.payload_types import Codec
from holdfast.voice.runtime.directory.records import RouteRecord
from holdfast.voice.runtime.media_client import RowAddress
from holdfast.voice.runtime.sip.dial_plan import DialDestination
from holdfast.voice.runtime.sip.legs.dtmf_dedup import DtmfDedup
from holdfast.voice.sip.effects import EndCause, SessionId
from holdfast.voice.sip.errors import OfferOutOfOrder
from holdfast.voice.sip.sdp import sdes
from holdfast.voice.sip.sdp.offer import (
    CODECS,
    Agreed,
    Destinations,
    Negotiation,
    RtpAddress,
    SrtpPolicy,
    answer_offer,
    apply_answer,
)
from holdfast.voice.sip.session.prack import MAX_EARLY

REQUEST_TIMEOUT, SERVICE_UNAVAILABLE = 408, 503


@dataclass(slots=True, kw_only=True)
class Fork:
    """One destination that is called for a leg. All forks of a leg receive the same offer.

    Several phones may ring behind one destination; each that sends a description before it answers has a negotiation of
    its own in `early`, by the name that the agent gives it, and is in `changed` once it has sent another description.
    """

    negotiation: Negotiation
    destination: DialDestination
    effect: PlaceLeg
    rang: bool = False
    given_up: bool = False
    """Whether another destination was tried in its place, or another phone answered first."""
    early: dict[str, Negotiation] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    refused: tuple[int, str] | None = None

    def is_trunk_failure(self, status: int) -> bool:
        """Return whether a refusal is the trunk's own rather than the callee's, so that another trunk may succeed.

        Source: RFC 3261 §21.5.4; RFC 3263 §4.3.
        """
        return status == SERVICE_UNAVAILABLE or (status == REQUEST_TIMEOUT and not self.rang)

    def take_early_answer(self, fork: str, sdp: bytes) -> Agreed | None:
        """Take a phone's description before the answer, and return what is agreed, if that is new.

        Its first description counts; a repeated one changes nothing. Source: RFC 3261 §13.2.1.
        Raises: SdpUnreadable, NotAcceptableHere.
        """
        if fork in self.early or len(self.early) >= MAX_EARLY:
            return None
        self.early[fork] = apply_answer(self.negotiation, sdp)
        return self.early[fork].agreed

    def take_early_offer(self, fork: str, sdp: bytes) -> tuple[Agreed | None, bytes]:
        """Take a phone's offer before the answer, and return what is agreed and our answer.

        Raises: SdpUnreadable, NotAcceptableHere, WrongMoment.
        """
        known = self.early.get(fork)
        if known is None:
            raise OfferOutOfOrder("it never answered our offer")
        self.early[fork], ours = answer_offer(known, sdp)
        self.changed.add(fork)
        return self.early[fork].agreed, ours

    def take_final_answer(self, fork: str, sdp: bytes | None) -> Negotiation:
        """Return the negotiation of the phone that answers the call.

        Raises: SdpUnreadable, NotAcceptableHere.
        """
        known = self.early.get(fork)
        if known is not None and (sdp is None or fork in self.changed):
            return known
        return apply_answer(self.negotiation, sdp or b"")


@dataclass(slots=True, kw_only=True)
class SipLeg:
    """The state of one leg.

    Invariant: `session` is the phone that called, or the one that answered; none before that. After `is_discarded`
    nothing more is posted about the leg.
    """

    call: CallSid
    direction: Literal["in", "out"]
    session: SessionId | None = None
    negotiation: Negotiation | None = None
    answer_sdp: bytes | None = None
    """Our description for the 200 of an inbound call; empty if the caller has acknowledged it before."""
    acknowledges_provisional: bool = False
    """Whether the caller acknowledges our provisional responses (100rel)."""
    provisional_sdp: bytes | None = None
    """Our description that a provisional response must carry."""
    row: RowAddress | None = None
    forks: dict[SessionId, Fork] = field(default_factory=dict)
    rang: bool = False
    early: tuple[SessionId, str] | None = None
    """The called phone that is heard before it answers: its session and its name there."""
    answered: bool = False
    agreed_at: float = 0.0
    """Since when, after the answer, the audio has its present direction; a refresh changes nothing."""
    may_send: bool = False
    """Whether the phone may send audio, as agreed."""
    hops: int = 0
    """How many loopback calls led to this leg."""
    packets: int = 0
    """How many of the phone's packets had arrived at the last report."""
    held: bool = False
    """Whether the phone holds us by itself."""
    holder_may_be_heard: bool = False
    """Whether the others may hear what it sends while it holds."""
    is_posted: bool = False
    """Whether the call was reported to the engine: the end of an earlier inbound call is not."""
    is_discarded: bool = False
    digits: DtmfDedup = field(default_factory=DtmfDedup)
    trunk: RouteRecord | None = None
    """The trunk that an inbound call came by."""
    rtp_source: RtpSource | None = None
    """Where the RTP of a calling phone is accepted from; None: as the settings say."""

    def begin_negotiation(
        self, local: RtpAddress, srtp_policy: SrtpPolicy, *, destinations: Destinations, preferred: Codec | None = None
    ) -> Negotiation:
        """Start a negotiation about RTP at this address, in which `preferred` is listed before the other codecs."""
        return Negotiation(
            local=local,
            session_id=int(self.call[2:14], 16),
            codecs=tuple(sorted(CODECS, key=lambda codec: codec != preferred)),
            srtp_policy=srtp_policy,
            crypto=() if srtp_policy == "refused" else sdes.make_crypto(secrets.token_bytes),
            destinations=destinations,
        )

    def update_hold(self, agreed: Agreed, now: float, *, may_be_heard: bool = False) -> bool:
        """Store what was agreed, and return whether the phone's own hold began, changed or ended with it."""
        hold = agreed.peer_holds, may_be_heard
        changed = hold != (self.held, self.holder_may_be_heard)
        if (agreed.peer_holds, agreed.receive) != (self.held, self.may_send):
            self.agreed_at = now
        (self.held, self.holder_may_be_heard), self.may_send = hold, agreed.receive
        return changed

    def all_refused(self) -> bool:
        """Return whether no fork is left that could answer."""
        return all(fork.refused is not None or fork.given_up for fork in self.forks.values())

    def best_refusal(self) -> tuple[int, str]:
        """Return the refusal to report: 6xx, else busy, else the lowest. Source: RFC 3261 §16.7, step 6."""
        forks = [fork for fork in self.forks.values() if not fork.given_up]
        refusals = [fork.refused for fork in forks if fork.refused is not None]
        return min(refusals, key=lambda r: (r[0] < 600, r[0] != 486, r[0]))


def leg_end_cause(cause: EndCause) -> Literal["hangup", "canceled", "lost"]:
    """Return the engine's word for the end of a session."""
    match cause:
        case EndCause.HUNG_UP | EndCause.WE_HUNG_UP | EndCause.WE_REFUSED:
            return "hangup"
        case EndCause.CANCELLED:
            return "canceled"
        case EndCause.EXPIRED | EndCause.NO_ACK | EndCause.LOST:
            return "lost"
        case _:
            assert_never(cause)
