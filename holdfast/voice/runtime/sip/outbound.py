"""Calls out: every way to reach a target is tried, one trunk after another where one fails, and the first that answers
wins.
"""

from __future__ import annotations

import asyncio
import logging

from holdfast.voice.model.effects import PlaceLeg
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.facts import LegAnswered, LegRefused, LegRinging
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.sip.dial_plan import (
    DialDestination,
    Unreachable,
    about,
    caller_of,
    goals,
    is_redirect,
    named,
    redirected,
)
from holdfast.voice.runtime.sip.inbound import DirectoryPort
from holdfast.voice.runtime.sip.legs.context import SipContext
from holdfast.voice.runtime.sip.legs.leg import Fork, SipLeg
from holdfast.voice.runtime.sip.loopback_calls import LoopbackCalls
from holdfast.voice.runtime.sip.negotiation import LegNegotiation
from holdfast.voice.sip import effects as s
from holdfast.voice.sip.agent import DigestCredentials
from holdfast.voice.sip.effects import Address, SessionId
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.uri import Uri, address_of
from holdfast.voice.sip.sdp.offer import AnyDestination, Codec, make_offer

log = logging.getLogger(__name__)

SAFE_BYTES = 1300
"""A larger request may be cut in parts on its way. Source: RFC 3261 §18.1.1."""
NOT_FOLLOWED = "only a trunk may send us on, and to its own addresses"


class OutboundCalls:
    """What becomes of the legs the engine places, until they are answered or refused."""

    def __init__(
        self, desk: SipContext, directory: DirectoryPort, ourselves: LoopbackCalls, agreeing: LegNegotiation
    ) -> None:
        self._desk = desk
        self._directory = directory
        self._ourselves = ourselves
        self._agreeing = agreeing

    async def place(self, leg: SipLeg, effect: PlaceLeg) -> None:
        """Open a row and call every contact of the target at once."""
        try:
            found = self._goals(effect)
            row = await self._desk.rows.open(leg)
        except Unreachable as wrong:
            self._refused(leg, wrong.sip_code, wrong.message, code=wrong.twilio_code)
            return
        except VoiceError as wrong:
            log.warning("call=%s not placed: %s", leg.call, wrong.message)
            self._refused(leg, wrong.sip, wrong.message)
            return
        if row is None:
            return
        leg.row = row
        for goal in found:
            self._invite(leg, goal, effect)
        if leg.all_refused():
            self._refused(leg, *leg.best_refusal())

    def _invite(self, leg: SipLeg, goal: DialDestination, effect: PlaceLeg) -> None:
        """Call one contact."""
        desk = self._desk
        assert leg.row is not None
        session = SessionId(f"{leg.call}/{len(leg.forks)}")
        sealing, first = desk.settings.sealing(goal.transport), self._spoken_by(effect.beside)
        destinations = AnyDestination() if goal.is_ours else desk.own_ports
        negotiation, offer = make_offer(
            leg.begin((leg.row.ip, leg.row.port), sealing, first=first, destinations=destinations)
        )
        leg.forks[session] = fork = Fork(negotiation=negotiation, goal=goal, asked=effect)
        desk.ladder.note(session, leg.call)
        credentials = None
        if effect.target.username:
            credentials = DigestCredentials(user=effect.target.username, password=effect.target.password or "")
        caller = caller_of(effect.from_)
        try:
            asked = desk.agent.invite(
                session,
                goal.uri,
                now=desk.now(),
                sdp=offer,
                next_hop=goal.next_hop,
                caller=goal.from_(caller),
                caller_name=effect.caller_name or "",
                credentials=goal.credentials or credentials,
                headers=(*goal.headers, *goal.asserted(caller), *named(leg.call, desk.account)),
            )
        except UriUnreadable as wrong:
            fork.refused = (wrong.sip, wrong.message)
            return
        largest = max((len(one.data) for one in asked if isinstance(one, s.SendMessage)), default=0)
        if goal.transport == "UDP" and largest > SAFE_BYTES:
            log.warning(
                "call=%s fact=LargeInvite bytes=%d: one part lost on the way loses all; use tcp", leg.call, largest
            )
        desk.do(asked)
        if goal.instead is not None:
            asyncio.get_running_loop().call_later(desk.settings.trunk_patience_s, self._lose_patience, leg, session)

    def _lose_patience(self, leg: SipLeg, session: SessionId) -> None:
        """A trunk that says nothing at all is given up long before its transaction is, where there is another.

        Deviation: RFC 3263 §4.3 waits for the transaction to fail, which takes 32 s over UDP.
        """
        desk = self._desk
        if not leg.gone and leg.session is None and desk.agent.has_no_response(session):
            desk.do(desk.agent.cancel(session, now=desk.now()))
            self._give_up(leg, session, 408)

    def _give_up(self, leg: SipLeg, session: SessionId, status: int) -> None:
        """Try the next trunk in place of one that fails us."""
        fork = leg.forks[session]
        if fork.given_up or fork.goal.instead is None:
            return
        trunk = fork.goal.next_hop
        log.warning("call=%s fact=TrunkFailed trunk=%s status=%d: the next is tried", leg.call, trunk, status)
        self._instead(leg, session, fork.goal.instead)

    def _instead(self, leg: SipLeg, session: SessionId, goal: DialDestination) -> None:
        """Call this in place of what was called; its refusal is nobody's."""
        fork = leg.forks[session]
        fork.given_up = True
        if leg.early is not None and leg.early[0] == session:
            leg.early = None
        self._invite(leg, goal, fork.asked)

    def _goals(self, effect: PlaceLeg) -> tuple[DialDestination, ...]:
        """Every way to reach whom a leg is for. Raises: Unreachable."""
        beside = None if effect.beside is None else self._desk.legs.get(effect.beside)
        here = self._ourselves.goal(effect, self._desk.sip.shown[0], hops=0 if beside is None else beside.hops)
        if here is not None:
            return (here,)
        return goals(effect.target, lines=self._directory, contacts=self._contacts, is_ours=self._is_ours)

    def _spoken_by(self, call: CallSid | None) -> Codec | None:
        """The codec agreed with a call's phone, if any is."""
        leg = None if call is None else self._desk.legs.get(call)
        agreed = None if leg is None or leg.negotiation is None else leg.negotiation.agreed
        return None if agreed is None else agreed.codec

    def progressed(self, leg: SipLeg, event: s.Progressed) -> None:
        """A called phone rings; its sound before the answer is heard if its description can be agreed with."""
        early = None
        if event.sdp is not None and leg.session is None:
            try:
                early = leg.forks[event.session].describes(event.fork, event.sdp)
            except VoiceError as wrong:
                log.info("call=%s early description unusable: %s", leg.call, wrong.message)
        if leg.early is not None:
            early = None
        if early is not None:
            leg.early = (event.session, event.fork)
            self._desk.describe(leg, early, session=event.session, fork=event.fork)
        leg.forks[event.session].rang = True
        if event.status in (180, 183) and (early is not None or not leg.rang):
            leg.rang = True
            self._desk.tell(LegRinging(call=leg.call, early_media=early is not None))

    def accepted(self, leg: SipLeg, event: s.Accepted) -> None:
        """A phone answered. The first of several wins; the others are told that it is over."""
        desk = self._desk
        if leg.session is not None:
            desk.do(desk.agent.bye(event.session, now=desk.now()))
            return
        fork = leg.forks[event.session]
        try:
            leg.negotiation = fork.answers(event.fork, event.sdp)
        except VoiceError as wrong:
            fork.refused = (wrong.sip, wrong.message)
            desk.do(desk.agent.bye(event.session, now=desk.now()))
            if leg.all_refused():
                self._refused(leg, *leg.best_refusal())
            return
        leg.session, leg.answered = event.session, True
        for session, other in leg.forks.items():
            if session != event.session and other.refused is None:
                desk.do(desk.agent.cancel(session, now=desk.now()))
        if leg.negotiation.agreed is not None:
            leg.agreed_at = desk.now()
            desk.describe(leg, leg.negotiation.agreed)
            # A phone may answer and hold at once: then nobody hears it first.
            self._agreeing.note_hold(leg, leg.negotiation.agreed)
            desk.tell(LegAnswered(call=leg.call, sip=about(event.headers)))

    def fork_refused(self, leg: SipLeg, event: s.Refused) -> None:
        """One of whom is called for a leg refuses, which ends the leg when nobody is left."""
        fork = leg.forks[event.session]
        onward = redirected(fork.goal, event.status, event.headers)
        said = f"{event.reason} ({NOT_FOLLOWED})" if is_redirect(event.status) else event.reason
        fork.refused = (event.status, said)
        if leg.session is None and onward is not None and not fork.given_up:
            log.info("call=%s fact=Redirected from=%s to=%s", leg.call, fork.goal.next_hop, onward.next_hop)
            self._instead(leg, event.session, onward)
        elif leg.session is None and fork.fails_us(event.status):
            self._give_up(leg, event.session, event.status)
        if leg.session is None and leg.all_refused():
            self._refused(leg, *leg.best_refusal())

    def _refused(self, leg: SipLeg, status: int, reason: str, *, code: int = 0) -> None:
        if not leg.gone:
            self._desk.forget(leg)
            self._desk.tell(LegRefused(call=leg.call, sip_code=status, code=code, reason=reason))

    def _contacts(self, line: str) -> tuple[tuple[str, Address], ...]:
        return self._desk.agent.contacts(line, self._desk.now())

    def _is_ours(self, uri: Uri) -> bool:
        """Whether a SIP URI names one of our lines rather than a phone elsewhere."""
        if uri.host == self._desk.settings.domain.lower():
            return True
        return address_of(uri) in (*self._desk.sip.addresses, *self._desk.sip.shown)
