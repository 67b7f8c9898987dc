"""A call of a test phone: what the test can do with it, and how it answers its peer.

Point of view: *in* is from the peer to the phone. Every wait is bounded, and names what it waited for if it gives up.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from enum import Enum
from typing import Any, Literal, assert_never

from holdfast.testing.audio.rtp_stream import RtpStream
from holdfast.testing.hold_forms import HoldForm, hold_offer
from holdfast.testing.sip_endpoint import TestEndpoint
from holdfast.voice.sip.effects import (
    Accepted,
    Confirmed,
    DigitSignalled,
    EndCause,
    Ended,
    Progressed,
    ProvisionalAcknowledged,
    Referral,
    ReferralAnswered,
    Referred,
    RefreshDue,
    Refused,
    ReofferAnswered,
    ReofferDue,
    Reoffered,
    ReofferPostponed,
    ReofferRefused,
    ReofferWithdrawn,
    SessionEvent,
    SessionId,
)
from holdfast.voice.sip.errors import NotAcceptableHere, OfferOutOfOrder, SdpUnreadable
from holdfast.voice.sip.sdp.offer import (
    Agreed,
    Negotiation,
    answer_offer,
    apply_answer,
    make_offer,
    withdraw_offer,
)
from holdfast.voice.sip.sdp.sdp import Direction
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AcknowledgeOffer,
    AnswerRefer,
    AnswerReoffer,
    EndSession,
    NotifyRefer,
    RefuseInvite,
    RefuseReoffer,
    SendDigit,
    SendRefer,
    SendReoffer,
    SendRinging,
)

RINGING, SESSION_PROGRESS, BUSY_HERE, BAD_REQUEST, NOT_ACCEPTABLE_HERE, REQUEST_PENDING = 180, 183, 486, 400, 488, 491


class CallState(Enum):
    """The state of a call as the phone sees it."""

    CALLING = "calling"
    RINGING = "ringing"
    TALKING = "talking"
    HOLDING = "holding"
    """The phone itself has put its peer on hold."""
    OVER = "over"


class CallFailed(Exception):
    """An error for a call, or a change of it, that failed. `status` is the SIP status of the refusal."""

    def __init__(self, what: str, status: int, reason: str) -> None:
        super().__init__(f"{what}: {status} {reason}".rstrip())
        self.status = status
        self.reason = reason


class PhoneCall:
    """An outbound call (`Phone.call`) or an inbound one (`Phone.called`)."""

    def __init__(
        self,
        *,
        session: SessionId,
        way: Literal["in", "out"],
        peer: str,
        endpoint: TestEndpoint,
        line: RtpStream,
        negotiation: Negotiation,
        offer: bytes | None = None,
    ) -> None:
        self.session = session
        self.way = way
        self.peer = peer
        self.state = CallState.CALLING if way == "out" else CallState.RINGING
        self.progress: list[int] = []
        self.digits: list[str] = []
        self.referred: list[str] = []
        """The targets the peer asked it to call instead, as in Refer-To."""
        self.refers_with = 202
        """The status with which it answers a REFER; 202 promises to call."""
        self.referral: list[int] = []
        """The statuses received for `put_through`: the answer, and the notifications after it."""
        self.line = line
        self._endpoint = endpoint
        self._negotiation = negotiation
        self._offer = offer
        self._described = False
        """Whether the caller has acknowledged our description."""
        loop = asyncio.get_running_loop()
        self._rang: asyncio.Future[None] = loop.create_future()
        self._answered: asyncio.Future[None] = loop.create_future()
        self._over: asyncio.Future[Ended | Refused] = loop.create_future()
        self._changed: asyncio.Future[str] | None = None
        self._put_through: asyncio.Future[int] | None = None
        self._last_offer = b""
        self._hold_form: HoldForm | None = None
        """The form of the hold in our last offer."""

    @property
    def agreed(self) -> Agreed | None:
        """Return what is agreed now: where RTP is sent, in which codec, who sends."""
        return self._negotiation.agreed

    # --- what a test waits for

    async def rang(self, *, within_s: float = 5.0) -> None:
        """Wait until the called phone rings. Raises: CallFailed, TimeoutError."""
        await self._wait(self._rang, "ringing", within_s)

    async def answered(self, *, within_s: float = 10.0) -> None:
        """Wait until the call is answered. Raises: CallFailed if it is refused or ends, TimeoutError."""
        await self._wait(self._answered, "answer", within_s)

    async def over(self, *, within_s: float = 10.0) -> EndCause | int:
        """Wait until the call is over; return why it ended, or the status with which our call was refused.

        Raises: TimeoutError.
        """
        await self._wait(self._over, "end", within_s)
        end = self._over.result()
        return end.status if isinstance(end, Refused) else end.cause

    # --- what a test does

    def answer(self) -> None:
        """Answer an inbound call."""
        if self._described:
            self._endpoint.command(self.session, AcceptInvite(sdp=None))
            return
        try:
            if self._offer is None:
                self._negotiation, sdp = make_offer(self._negotiation)
            else:
                self._negotiation, sdp = answer_offer(self._negotiation, self._offer)
                self._apply_agreed()
        except (SdpUnreadable, NotAcceptableHere) as error:
            self.refuse(BAD_REQUEST if isinstance(error, SdpUnreadable) else NOT_ACCEPTABLE_HERE)
            return
        self._endpoint.command(self.session, AcceptInvite(sdp=sdp))

    def ring(self) -> None:
        """Send 180 to the caller."""
        self._endpoint.command(self.session, SendRinging(status=RINGING))

    def ring_aloud(self, *, acknowledged: bool = False) -> None:
        """Ring with early media: send a description before the answer, and begin to hum.

        `acknowledged`: use a reliable response if the caller supports it, after which descriptions may change.
        Raises: SdpUnreadable.
        """
        if self._offer is None:
            self.ring()
            return
        self._negotiation, sdp = answer_offer(self._negotiation, self._offer)
        self._apply_agreed()
        self._described = acknowledged
        rings = SendRinging(status=SESSION_PROGRESS, sdp=sdp, acknowledged=acknowledged)
        self._endpoint.command(self.session, rings)

    def refuse(self, status: int = BUSY_HERE) -> None:
        """Refuse an inbound call."""
        self._endpoint.command(self.session, RefuseInvite(status=status))

    async def hold(
        self, form: HoldForm = HoldForm.SENDONLY, *, by: Literal["INVITE", "UPDATE"] = "INVITE", within_s: float = 5.0
    ) -> str:
        """Put the peer on hold from this phone; return the direction that the peer answered.

        Raises: CallFailed if the peer does not agree, TimeoutError.
        """
        wish = Direction.SENDONLY if form.phone_sends else Direction.INACTIVE
        self._negotiation, self._hold_form = replace(self._negotiation, local_direction=wish), form
        answered = await self._change(self._make_offer(), by, f"answer to {form.value}", within_s)
        self.state = CallState.HOLDING
        return answered

    async def unhold(
        self,
        *,
        by: Literal["INVITE", "UPDATE"] = "INVITE",
        offer: bool = True,
        within_s: float = 5.0,
    ) -> str:
        """Resume the peer; return the direction that it answered. Without `offer` the peer is asked for its own offer.

        Raises: CallFailed, TimeoutError.
        """
        self._negotiation, self._hold_form = replace(self._negotiation, local_direction=Direction.SENDRECV), None
        answered = await self._change(self._make_offer() if offer else None, by, "answer to the un-hold", within_s)
        self.state = CallState.TALKING if self._answered.done() else CallState.RINGING
        return answered

    def leave_microphone_open(self) -> None:
        """Send audio until the next agreement, though it was agreed that this phone sends none."""
        if self._negotiation.agreed is not None:
            self.line.agree(replace(self._negotiation.agreed, send=True))

    def press(self, digits: str) -> None:
        """Send digits, by events or by tones as was agreed. Raises: ValueError for a character that is no digit."""
        self.line.press(digits)

    def tell(self, digit: str) -> None:
        """Send a digit to the peer by INFO, whatever was agreed."""
        self._endpoint.command(self.session, SendDigit(digit=digit))

    async def put_through(self, target: str, *, within_s: float = 5.0) -> int:
        """Ask the peer to call another target (REFER); return the last status received for it. Raises: TimeoutError."""
        self._put_through = asyncio.get_running_loop().create_future()
        self._endpoint.command(self.session, SendRefer(target=target))
        await self._wait(self._put_through, "word of the call it was asked for", within_s)
        return self._put_through.result()

    def follow(self, *statuses: int) -> None:
        """Notify the peer that referred us of how the new call proceeds."""
        for status in statuses:
            self._endpoint.command(self.session, NotifyRefer(status=status))

    async def hang_up(self, *, within_s: float = 5.0) -> None:
        """End the call in any state. Raises: TimeoutError."""
        self._endpoint.command(self.session, EndSession())
        await self.over(within_s=within_s)

    # --- what the peer does

    def take(self, event: SessionEvent) -> None:
        """Handle an event of this session."""
        match event:
            case Progressed():
                self.progress.append(event.status)
                self.state = CallState.RINGING
                self._handle_answer(event.sdp)
                _resolve(self._rang)
            case Accepted():
                self._handle_answer(event.sdp)
                self._mark_answered()
            case Confirmed():
                self._handle_answer(event.sdp)
                self._mark_answered()
            case Reoffered():
                self._handle_reoffer(event.sdp)
            case ReofferAnswered():
                if event.offer_to_answer:
                    self._answer_late_offer(event.sdp or b"")
                else:
                    self._handle_answer(event.sdp)
                if self._changed is not None and not self._changed.done():
                    self._changed.set_result(_direction(event.sdp))
            case ReofferRefused():
                self._negotiation = withdraw_offer(self._negotiation)
                if self._changed is not None and not self._changed.done():
                    self._changed.set_exception(CallFailed("the change was refused", event.status, event.reason))
            case ReofferWithdrawn() | ReofferPostponed():
                self._negotiation = withdraw_offer(self._negotiation)
            case ProvisionalAcknowledged():
                self._handle_answer(event.sdp)
            case RefreshDue():
                if not self._negotiation.offered:
                    self._negotiation, sdp = make_offer(self._negotiation)
                    self._endpoint.command(self.session, SendReoffer(sdp=sdp))
            case ReofferDue(method=by):
                self._endpoint.command(self.session, SendReoffer(sdp=self._make_offer(), method=by))
            case DigitSignalled():
                self.digits.append(event.digit)
            case Referred():
                self.referred.append(event.target)
                self._endpoint.command(self.session, AnswerRefer(status=self.refers_with))
            case ReferralAnswered():
                self.referral.append(event.status)
                if event.status >= 300 and self._put_through is not None and not self._put_through.done():
                    self._put_through.set_result(event.status)
            case Referral():
                self.referral.append(event.status)
                if event.is_over and self._put_through is not None and not self._put_through.done():
                    self._put_through.set_result(event.status)
            case Refused() | Ended():
                self.state = CallState.OVER
                self.line.close()
                if not self._over.done():
                    self._over.set_result(event)
            case _:
                assert_never(event)

    def _mark_answered(self) -> None:
        if self.state is not CallState.HOLDING:
            self.state = CallState.TALKING
        _resolve(self._rang)
        _resolve(self._answered)

    def _handle_answer(self, sdp: bytes | None) -> None:
        """Handle an answer to our offer; a repeated one, as after early media, changes nothing."""
        if sdp is None or not self._negotiation.offered:
            return
        try:
            self._negotiation = apply_answer(self._negotiation, sdp)
        except (SdpUnreadable, NotAcceptableHere):
            self._endpoint.command(self.session, EndSession())
            return
        self._apply_agreed()

    def _handle_reoffer(self, offer: bytes | None) -> None:
        try:
            if offer is None:
                self._negotiation, sdp = make_offer(self._negotiation)
            else:
                self._negotiation, sdp = answer_offer(self._negotiation, offer)
        except SdpUnreadable:
            self._endpoint.command(self.session, RefuseReoffer(status=BAD_REQUEST))
        except NotAcceptableHere:
            self._endpoint.command(self.session, RefuseReoffer(status=NOT_ACCEPTABLE_HERE))
        except OfferOutOfOrder:
            self._endpoint.command(self.session, RefuseReoffer(status=REQUEST_PENDING))
        else:
            self._apply_agreed()
            self._endpoint.command(self.session, AnswerReoffer(sdp=sdp))

    def _make_offer(self) -> bytes:
        """Return an offer of our direction, written in the form of our hold. Raises: WrongMoment."""
        self._negotiation, sdp = make_offer(self._negotiation)
        self._last_offer = (
            sdp if self._hold_form is None else hold_offer(sdp, self._hold_form, previous_offer=self._last_offer or sdp)
        )
        return self._last_offer

    async def _change(self, sdp: bytes | None, by: Literal["INVITE", "UPDATE"], what: str, within_s: float) -> str:
        self._changed = asyncio.get_running_loop().create_future()
        self._endpoint.command(self.session, SendReoffer(sdp=sdp, method=by))
        await self._wait(self._changed, what, within_s)
        return self._changed.result()

    def _answer_late_offer(self, offer: bytes) -> None:
        """Answer, in the ACK, the offer that the peer sent in its 200 to a re-INVITE without one."""
        try:
            self._negotiation, sdp = answer_offer(self._negotiation, offer)
        except (SdpUnreadable, NotAcceptableHere):
            self._endpoint.command(self.session, EndSession())
            return
        self._apply_agreed()
        self._endpoint.command(self.session, AcknowledgeOffer(sdp=sdp))

    def _apply_agreed(self) -> None:
        if self._negotiation.agreed is not None:
            self.line.agree(self._negotiation.agreed)

    async def _wait(self, future: asyncio.Future[Any], what: str, within_s: float) -> None:
        await asyncio.wait({future, self._over}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        if future.done():
            future.result()
        elif self._over.done():
            end = self._over.result()
            reason = end.reason if isinstance(end, Refused) else end.cause.value
            raise CallFailed(f"{self.peer}: no {what}, the call is over", end.status, reason)
        else:
            raise TimeoutError(f"{self.peer}: no {what} within {within_s} s, still {self.state.value}")


def _direction(sdp: bytes | None) -> str:
    """Return the direction of the audio in a description; "" if it has none."""
    found = re.findall(rb"a=(sendrecv|sendonly|recvonly|inactive)\r\n", sdp or b"")
    return found[-1].decode() if found else ""


def _resolve(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
