"""Commands to a session: what its owner may ask for, by `Agent.command`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from holdfast.voice.sip.effects import Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeOffer:
    """Send ACK with our answer to the offer of a 2xx."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelInvite:
    """Cancel a call that is not answered yet; it ends in `Refused`. A 200 that crosses it is ended by BYE."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRinging:
    """Send a provisional response; with `acknowledged` the caller acknowledges it, if it supports that."""

    status: int = 180
    sdp: bytes | None = None
    acknowledged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptInvite:
    """Answer with 200, repeated until acknowledged; it ends in `Confirmed` or `Ended`.

    `sdp` is the answer, or our offer when the INVITE had none. It is None when a provisional response held it; it is
    sent again if that response was not acknowledged.
    """

    sdp: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseInvite:
    """Answer with a final response of 300 or more."""

    status: int
    headers: Headers = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSession:
    """End the session whatever its state: BYE when answered, CANCEL when calling, 603 when called.

    A BYE that is due before the peer's ACK waits for it (RFC 3261 §15).
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReoffer:
    """Change the session by re-INVITE, or by UPDATE when it holds an offer.

    One change is sent at a time: a later one waits, and the latest replaces an earlier waiting one. Before the answer
    only an UPDATE can be sent, after both sides have sent their descriptions in messages that were acknowledged; any
    other change ends in `ReofferRefused` with 491 at once.
    """

    sdp: bytes | None
    method: Literal["INVITE", "UPDATE"] = "INVITE"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerReoffer:
    """Answer the `Reoffered` of this session with 200."""

    sdp: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseReoffer:
    """Refuse the `Reoffered` of this session; the session goes on unchanged."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDigit:
    """Send a digit to the peer by INFO (application/dtmf-relay)."""

    digit: str
    duration_ms: int = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordAudio:
    """Record that the peer's audio arrives: the peer is reachable even if it answers no requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRefer:
    """Ask the peer to call this URI instead (REFER): `ReferralAnswered`, then `Referral` until it is over."""

    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerRefer:
    """Answer the `Referred` of this session: 202, after which `NotifyRefer` reports the outcome, or a refusal."""

    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifyRefer:
    """Notify the peer of the progress of the call that it asked for; a final status is the last."""

    status: int


SessionCommand = (
    AcknowledgeOffer
    | CancelInvite
    | SendRinging
    | AcceptInvite
    | RefuseInvite
    | EndSession
    | SendReoffer
    | AnswerReoffer
    | RefuseReoffer
    | SendDigit
    | RecordAudio
    | SendRefer
    | AnswerRefer
    | NotifyRefer
)
