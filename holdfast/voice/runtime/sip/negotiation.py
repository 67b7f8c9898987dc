"""Negotiate changes of a leg after its first description: re-INVITE, UPDATE, refreshes, and the phone's own hold."""

from __future__ import annotations

import logging

from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.facts import LegEnded, PhoneHeld, PhoneResumed
from holdfast.voice.runtime.sip.legs.context import SipContext
from holdfast.voice.runtime.sip.legs.leg import SipLeg
from holdfast.voice.sip import effects as s
from holdfast.voice.sip.sdp.offer import (
    Agreed,
    answer_offer,
    apply_answer,
    make_offer,
    repeat_offer,
    withdraw_offer,
)
from holdfast.voice.sip.session_commands import AnswerReoffer, EndSession, RefuseReoffer, SendReoffer

log = logging.getLogger(__name__)


class LegNegotiation:
    """Offer and answer of all legs; results go to the media process and to the engine."""

    def __init__(self, context: SipContext) -> None:
        self._context = context

    def handle_offer(self, leg: SipLeg, event: s.Reoffered) -> None:
        """Answer an offer that changes the call: hold, resume, another address or codec. It may be an early one."""
        context = self._context
        try:
            if leg.negotiation is None:
                agreed, ours = leg.forks[event.session].take_early_offer(event.fork, event.sdp or b"")
                if agreed is not None and leg.early == (event.session, event.fork):
                    context.describe(leg, agreed, session=event.session, fork=event.fork)
            elif event.sdp is None:
                leg.negotiation, ours = make_offer(leg.negotiation)
            else:
                leg.negotiation, ours = answer_offer(leg.negotiation, event.sdp)
        except VoiceError as wrong:
            context.command(event.session, RefuseReoffer(status=wrong.sip))
            return
        if event.sdp is not None and leg.negotiation is not None and leg.negotiation.agreed is not None:
            self.apply(leg, leg.negotiation.agreed)
        context.command(event.session, AnswerReoffer(sdp=ours))

    def refresh(self, leg: SipLeg) -> None:
        """Send the re-INVITE that is due, by the session timer or after glare: offer our direction again.

        A phone that holds answers the same way again; one that removed its audio is not asked for it.
        """
        context = self._context
        if leg.session is not None and leg.negotiation is not None and not leg.negotiation.offered:
            leg.negotiation, offer = repeat_offer(leg.negotiation)
            context.command(leg.session, SendReoffer(sdp=offer))

    def handle_ack(self, leg: SipLeg, event: s.Confirmed) -> None:
        """Handle an ACK. If it lacks the answer it owes, a new call ends, and an established one is left alone."""
        if leg.negotiation is None or not event.offered:
            return
        if event.sdp is None and leg.negotiation.agreed is not None:
            leg.negotiation = withdraw_offer(leg.negotiation)
        else:
            self.handle_answer(leg, event.sdp or b"")

    def handle_answer(self, leg: SipLeg, sdp: bytes) -> None:
        """Handle the phone's answer to our offer. An unusable answer ends a call in which nothing is agreed yet.

        Deviation: an established call goes on as it was, where RFC 3261 §13.2.2.4 ends a new one with BYE: a faulty
        answer to a refresh must not cost a conversation.
        """
        context = self._context
        if leg.negotiation is None or leg.session is None:
            return
        try:
            leg.negotiation = apply_answer(leg.negotiation, sdp)
        except VoiceError as wrong:
            log.info("call=%s answer unusable: %s", leg.call, wrong.message)
            if leg.negotiation.agreed is not None:
                leg.negotiation = withdraw_offer(leg.negotiation)
                return
            session = leg.session
            context.discard(leg)
            context.post(LegEnded(call=leg.call, cause="lost", sip_code=wrong.sip))
            context.command(session, EndSession())
            return
        if leg.negotiation.agreed is not None:
            self.apply(leg, leg.negotiation.agreed)

    def apply(self, leg: SipLeg, agreed: Agreed) -> None:
        """Describe the leg to the media process, and post the begin or the end of the phone's own hold."""
        self._context.describe(leg, agreed)
        self.update_hold(leg, agreed)

    def repeat_descriptions(self) -> None:
        """Describe every answered leg to the media process again."""
        for leg in self._context.legs.values():
            if leg.answered and leg.negotiation is not None and leg.negotiation.agreed is not None:
                self._context.describe(leg, leg.negotiation.agreed)

    def update_hold(self, leg: SipLeg, agreed: Agreed) -> None:
        """Post the begin, a change or the end of the phone's own hold."""
        context, call = self._context, leg.call
        heard = context.may_hear_holder(leg, agreed)
        if leg.update_hold(agreed, context.now(), may_be_heard=heard):
            context.post(PhoneHeld(call=call, may_be_heard=heard) if leg.held else PhoneResumed(call=call))
