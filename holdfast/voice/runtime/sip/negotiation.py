"""What a leg agrees with its phone after the first description: changes, refreshes, and the phone's own hold."""

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

log = logging.getLogger(__name__)


class LegNegotiation:
    """Offers and answers of the legs, told to the media plane and to the engine."""

    def __init__(self, context: SipContext) -> None:
        self._context = context

    def handle_offer(self, leg: SipLeg, event: s.Reoffered) -> None:
        """A phone changes the call: hold, resume, another address, another codec; one that is called may do so too."""
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
            context.carry_out(context.agent.refuse_reoffer(event.session, wrong.sip, now=context.now()))
            return
        if event.sdp is not None and leg.negotiation is not None and leg.negotiation.agreed is not None:
            self.agreed(leg, leg.negotiation.agreed)
        context.carry_out(context.agent.answer_reoffer(event.session, ours, now=context.now()))

    def refresh(self, leg: SipLeg) -> None:
        """A re-INVITE is due, by the session timer or after one that met the phone's: offer what we wish.

        A phone that holds answers so again; one that took its sound away is not asked for it.
        """
        context = self._context
        if leg.session is not None and leg.negotiation is not None and not leg.negotiation.offered:
            leg.negotiation, offer = repeat_offer(leg.negotiation)
            context.carry_out(context.agent.reoffer(leg.session, offer, now=context.now()))

    def handle_ack(self, leg: SipLeg, event: s.Confirmed) -> None:
        """An ACK. One that owes us an answer and has none ends a call that begins, and leaves a running one alone."""
        if leg.negotiation is None or not event.offered:
            return
        if event.sdp is None and leg.negotiation.agreed is not None:
            leg.negotiation = withdraw_offer(leg.negotiation)
        else:
            self.take_answer(leg, event.sdp or b"")

    def take_answer(self, leg: SipLeg, sdp: bytes) -> None:
        """The phone answered an offer of ours. An answer that cannot be used ends a call in which nothing is agreed.

        Deviation: a call that runs goes on as it was, where RFC 3261 §13.2.2.4 has one that begins end in BYE: a
        refresh that was answered carelessly must not cost a conversation.
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
            context.carry_out(context.agent.bye(session, now=context.now()))
            return
        if leg.negotiation.agreed is not None:
            self.agreed(leg, leg.negotiation.agreed)

    def agreed(self, leg: SipLeg, agreed: Agreed) -> None:
        """Tell the media plane, and the engine if the phone's own hold began or ended."""
        self._context.describe(leg, agreed)
        self.update_hold(leg, agreed)

    def repeat(self) -> None:
        """Tell the media plane again what holds for every answered leg."""
        for leg in self._context.legs.values():
            if leg.answered and leg.negotiation is not None and leg.negotiation.agreed is not None:
                self._context.describe(leg, leg.negotiation.agreed)

    def update_hold(self, leg: SipLeg, agreed: Agreed) -> None:
        if leg.update_hold(agreed, self._context.now()):
            self._context.post(PhoneHeld(call=leg.call) if leg.held else PhoneResumed(call=leg.call))
