"""SIP legs: what the engine asks of a leg becomes SIP and a row of the media plane; what phones do becomes facts.

A thin shell: the one SIP agent decides what is said, offer and answer decide what is agreed, and this file moves
bytes, timers and rows. Point of view: *in* is a phone that calls us, *out* a phone that we call.
Length: it is the one place where the engine's effects, the agent's events and the media plane's rows meet.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine, KeysView
from dataclasses import replace
from typing import Any, assert_never

from holdfast.voice.model.commands import ReceiveCall
from holdfast.voice.model.effects import (
    AnswerLeg,
    AnswerReferral,
    HangUpLeg,
    LegEffect,
    PlaceLeg,
    ReferLeg,
    RefuseLeg,
    RingLeg,
)
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.facts import (
    DigitPressed,
    LegAnswered,
    LegEnded,
    LegFact,
    LegReferred,
    LegRefused,
    LegRinging,
    PhoneHeld,
    PhoneRefers,
    PhoneResumed,
    ReferralTold,
)
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.ports import Seen
from holdfast.voice.runtime.legs import applications
from holdfast.voice.runtime.legs.arrivals import Directory, Door, SipSettings, dialled, may_call, received
from holdfast.voice.runtime.legs.attached import Attached, Fork, cause_of
from holdfast.voice.runtime.legs.endpoint import SipEndpoint, open_endpoint
from holdfast.voice.runtime.legs.ladder import Ladder
from holdfast.voice.runtime.legs.reach import Goal, Unreachable, about, caller_of, goals, named
from holdfast.voice.runtime.legs.rows import RowBook, Rows
from holdfast.voice.runtime.legs.trunks import Standing, Trunks
from holdfast.voice.runtime.listings import Route
from holdfast.voice.sip import effects as s
from holdfast.voice.sip.agent import Agent, Credentials
from holdfast.voice.sip.effects import Address, SessionId
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.offer import Agreed, Codec, make_offer, take_answer, take_offer, withdraw_offer
from holdfast.voice.sip.uri import Uri, address_of, parse_uri

__all__ = ["SipLegs", "SipSettings"]

log = logging.getLogger(__name__)

SESSION_PROGRESS = 183
GOODBYE_S = 1.0
"""How long the phones may take to answer our last BYEs."""


class SipLegs:
    """Every SIP leg of the engine, on one endpoint.

    Invariant: `rows` are the calls that have a row in the media plane, and each leg that is gone has none.
    """

    def __init__(
        self,
        settings: SipSettings,
        *,
        account: AccountSid,
        directory: Directory,
        media: Rows,
        tell: Callable[[LegFact | ReceiveCall], None],
        seen: Seen,
        clock: Callable[[], float],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._settings = settings
        self._account = account
        self._directory = directory
        self._applications = applications.Applications(directory, account)
        self._rows = RowBook(media)
        self._tell = tell
        self._ladder = Ladder(seen)
        self._now = clock
        self._tasks = tasks
        self._legs: dict[CallSid, Attached] = {}
        self.trunks = Trunks()
        self._sip: SipEndpoint

    # --- life

    async def open(self) -> Address:
        """Listen; the address that was taken. Raises: OSError."""
        trusted = self._settings.trust_loopback
        self._sip = await open_endpoint(
            self._settings,
            secret=secrets.token_bytes(32),
            policy=lambda listening: Door(self._directory, listening, trust_loopback=trusted),
            happened=self._event,
            now=self._now,
            tasks=self._tasks,
            tls_name=self._directory.tls_name,
        )
        self.follow_trunks()
        return self._sip.address

    @property
    def address(self) -> Address:
        """Where phones reach us."""
        return self._sip.address

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where phones reach us, by each transport."""
        return self._sip.addresses

    @property
    def rows(self) -> KeysView[CallSid]:
        """The calls that have a row in the media plane."""
        return self._rows.calls()

    async def drained(self, *, timeout_s: float) -> None:
        """Return once every phone has answered our goodbye, or the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._sip.rest()
                await self.trunks.gone()
        except TimeoutError:
            log.info("some phones or trunks did not answer our goodbye")

    async def close(self) -> None:
        """Say goodbye to every phone that is left, wait a moment for their answers, and give the port back."""
        for call in tuple(self._legs):
            self.carry_out(HangUpLeg(call=call))
        self._do(self.trunks.follow((), self._agent, self._now()))
        await self.drained(timeout_s=GOODBYE_S)
        self._sip.close()

    def follow_trunks(self) -> None:
        """Register with the trunks where the directory wants it now, and no other."""
        self._do(self.trunks.follow(self._directory.trunks(), self._agent, self._now()))

    def standing(self, trunk: Route) -> Standing | None:
        """How we stand with a trunk; None when we do not register there."""
        return self.trunks.of(trunk)

    def registered(self, line: str) -> bool:
        """Whether a line can be reached now."""
        return bool(self._agent.contacts(line, self._now()))

    def silent(self, call: CallSid, silent_s: float) -> None:
        """Nothing was heard of a leg for so long: one that should have been heard is lost, and hung up on."""
        leg = self._legs.get(call)
        if leg is None or leg.session is None or not leg.answered:
            return
        agreed_s = self._now() - leg.agreed_at
        if self._settings.liveness.is_lost(silent_s=silent_s, agreed_s=agreed_s, held=leg.held):
            log.warning("call=%s fact=Lost why=no sound for %.0f s", call, silent_s)
            self._forget(leg)
            self._tell(LegEnded(call=call, cause="lost", sip_code=408))
            self._do(self._agent.bye(leg.session, now=self._now()))

    def _spoken_by(self, call: CallSid | None) -> Codec | None:
        """The codec agreed with a call's phone, if any is."""
        leg = None if call is None else self._legs.get(call)
        agreed = None if leg is None or leg.negotiation is None else leg.negotiation.agreed
        return None if agreed is None else agreed.codec

    # --- the engine's effects

    def carry_out(self, effect: LegEffect) -> None:
        """Begin what is asked; outcomes come as facts. A leg that is gone is asked in vain."""
        if isinstance(effect, PlaceLeg):
            leg = Attached(call=effect.call, way="out", known=True)
            self._legs[effect.call] = leg
            self._later("place", self._place(leg, effect))
            return
        found = self._legs.get(effect.call)
        if found is None:
            return
        match effect:
            case RingLeg():
                self._ring(found, effect)
            case AnswerLeg():
                self._answer(found)
            case RefuseLeg():
                self._forget(found)
                if found.session is not None:
                    self._do(self._agent.refuse(found.session, effect.sip_code, now=self._now()))
            case HangUpLeg():
                self._hang_up(found)
            case ReferLeg(target=target):
                self._refer(found, target)
            case AnswerReferral(sip_code=sip_code) if found.session is not None:
                self._do(self._agent.answer_refer(found.session, sip_code, now=self._now()))
                self._do(self._agent.notify_refer(found.session, 200, now=self._now()))
            case AnswerReferral():
                pass
            case _:
                assert_never(effect)

    async def _place(self, leg: Attached, effect: PlaceLeg) -> None:
        """Open a row and call every contact of the target at once."""
        try:
            found = self._goals(effect)
            row = await self._rows.open(leg)
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

    def _invite(self, leg: Attached, goal: Goal, effect: PlaceLeg) -> None:
        """Call one contact."""
        assert leg.row is not None
        session = SessionId(f"{leg.call}/{len(leg.forks)}")
        sealing, first = self._settings.sealing(goal.transport), self._spoken_by(effect.beside)
        negotiation, offer = make_offer(leg.begin(leg.row, sealing, first=first))
        leg.forks[session] = fork = Fork(negotiation=negotiation, goal=goal, asked=effect)
        self._ladder.note(session, leg.call)
        credentials = None
        if effect.target.username:
            credentials = Credentials(user=effect.target.username, password=effect.target.password or "")
        try:
            asked = self._agent.invite(
                session,
                goal.uri,
                now=self._now(),
                sdp=offer,
                next_hop=goal.next_hop,
                caller=goal.from_(caller_of(effect.from_)),
                caller_name=effect.caller_name or "",
                credentials=goal.credentials or credentials,
                headers=(*goal.headers, *named(leg.call, self._account)),
            )
        except UriUnreadable as wrong:
            fork.refused = (wrong.sip, wrong.message)
            return
        self._do(asked)
        if goal.instead is not None:
            asyncio.get_running_loop().call_later(self._settings.trunk_patience_s, self._lose_patience, leg, session)

    def _lose_patience(self, leg: Attached, session: SessionId) -> None:
        """A trunk that says nothing at all is given up long before its transaction is, where there is another.

        Deviation: RFC 3263 §4.3 waits for the transaction to fail, which takes 32 s over UDP.
        """
        if not leg.gone and leg.session is None and self._agent.is_unheard(session):
            self._do(self._agent.cancel(session, now=self._now()))
            self._give_up(leg, session, 408)

    def _give_up(self, leg: Attached, session: SessionId, status: int) -> None:
        """Try the next trunk in place of one that fails us."""
        fork = leg.forks[session]
        if fork.given_up or fork.goal.instead is None:
            return
        fork.given_up = True
        if leg.early is not None and leg.early[0] == session:
            leg.early = None
        trunk = fork.goal.next_hop
        log.warning("call=%s fact=TrunkFailed trunk=%s status=%d: the next is tried", leg.call, trunk, status)
        self._invite(leg, fork.goal.instead, fork.asked)

    def _ring(self, leg: Attached, effect: RingLeg) -> None:
        """180, or 183 with our description from which on the caller hears us.

        A caller that made no offer had ours in the 180 if it acknowledges that, and else hears nothing before the 200.
        Source: RFC 3960 §3; RFC 6337 §3.1.
        """
        if leg.session is None or leg.answered:
            return
        if not effect.early_media:
            self._do(self._agent.ring(leg.session, now=self._now(), sdp=leg.ring_with))
        elif leg.negotiation is not None and leg.negotiation.agreed is not None and leg.answer:
            self._do(self._agent.ring(leg.session, now=self._now(), status=SESSION_PROGRESS, sdp=leg.answer))
            self._agreed(leg, leg.negotiation.agreed)
            if leg.reliable:
                leg.answer = b""

    def _goals(self, effect: PlaceLeg) -> tuple[Goal, ...]:
        """Every way to reach whom a leg is for. Raises: Unreachable."""
        if effect.target.to.startswith(applications.SCHEME):
            return (self._applications.goal(effect, self._sip.address),)
        return goals(effect.target, lines=self._directory, contacts=self._contacts, is_ours=self._is_ours)

    def _answer(self, leg: Attached) -> None:
        if leg.session is None or leg.answered or leg.answer is None:
            return
        leg.answered = True
        self._do(self._agent.accept(leg.session, leg.answer or None, now=self._now()))
        if leg.negotiation is not None and leg.negotiation.agreed is not None:
            self._agreed(leg, leg.negotiation.agreed)

    def _hang_up(self, leg: Attached) -> None:
        self._forget(leg)
        if leg.session is not None and (leg.way == "out" or leg.answered):
            self._do(self._agent.bye(leg.session, now=self._now()))
        elif leg.session is not None:
            self._do(self._agent.refuse(leg.session, 480, now=self._now()))
        for session in leg.forks:
            if session != leg.session:
                self._do(self._agent.cancel(session, now=self._now()))

    def _refer(self, leg: Attached, target: str) -> None:
        """Ask the phone to call somebody else; one whose call is not answered cannot be asked."""
        if leg.session is None or not leg.answered:
            self._tell(LegReferred(call=leg.call, sip_code=481))
        else:
            self._do(self._agent.refer(leg.session, target, now=self._now()))

    def _forget(self, leg: Attached) -> None:
        """The engine hears no more of this leg, and its row goes."""
        leg.gone = True
        self._legs.pop(leg.call, None)
        self._rows.close(leg)

    # --- the agent's events

    @property
    def _agent(self) -> Agent:
        return self._sip.agent

    def _do(self, effects: list[s.Effect]) -> None:
        self._sip.do(effects)

    def _event(self, event: s.Event) -> None:
        match event:
            case s.ContactsChanged():
                log.info("line=%s fact=ContactsChanged contacts=%d", event.user, len(event.contacts))
            case s.LockedOut() | s.MessageDropped() | s.OptionsAnswered():
                pass
            case s.Registered() | s.RegistrationFailed() | s.Unregistered():
                self.trunks.heard(event, self._now())
            case s.MessageSeen():
                self._ladder.show(event)
            case s.Invited():
                leg = Attached(call=self._ladder.call_of(event.session), way="in", session=event.session)
                self._legs[leg.call] = leg
                self._later("arrive", self._arrive(leg, event))
            case _:
                found = self._legs.get(self._ladder.call_of(event.session))
                if found is not None:
                    self._happened(found, event)

    def _later(self, name: str, job: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(job, name=f"sip-{name}")

    async def _arrive(self, leg: Attached, invited: s.Invited) -> None:
        """Open a row for a phone that calls, and see whether its offer can be answered, before anybody is told."""
        invited = replace(invited, called=dialled(invited, self._directory))
        line = self._directory.line(invited.user) if invited.user is not None else None
        if line is not None and not may_call(line, invited.called):
            self._turn_away(leg, invited.session, 403)
            return
        try:
            row = await self._rows.open(leg)
            if row is None:
                return
            negotiation = leg.begin(row, self._settings.sealing(invited.source.transport))
            leg.reliable = invited.reliable
            if invited.sdp is None:
                leg.negotiation, leg.answer = make_offer(negotiation)
                leg.ring_with = leg.answer if invited.reliable else None
            else:
                leg.negotiation, leg.answer = take_offer(negotiation, invited.sdp)
        except VoiceError as wrong:
            log.info("call=%s turned away: %s", leg.call, wrong.message)
            self._turn_away(leg, invited.session, wrong.sip, wrong.message)
            return
        told = self._applications.received(leg.call, invited)
        if told is None:
            if invited.source == self._sip.address:
                self._turn_away(leg, invited.session, 403)
                return
            answer = self._directory.answer_for(invited.called, host=parse_uri(invited.target).host)
            if answer is None:
                self._turn_away(leg, invited.session, 404)
                return
            told = received(leg.call, self._account, invited, answer, self.address)
        leg.known = True
        self._tell(told)

    def _turn_away(self, leg: Attached, session: SessionId, status: int, why: str | None = None) -> None:
        """Refuse a call the engine never hears of. Source: RFC 3261 §20.43 for the warning."""
        self._forget(leg)
        headers = () if why is None else (("Warning", f'399 {self._settings.domain} "{why}"'),)
        self._do(self._agent.refuse(session, status, now=self._now(), headers=headers))

    def _happened(self, leg: Attached, event: s.Event) -> None:
        """News of a leg that lives."""
        match event:
            case s.Progressed():
                self._progressed(leg, event)
            case s.Accepted():
                self._accepted(leg, event)
            case s.Refused():
                self._fork_refused(leg, event)
            case s.Confirmed():
                self._confirmed(leg, event)
            case s.Reoffered():
                self._reoffered(leg, event)
            case s.ReofferAnswered(sdp=sdp) if sdp is not None:
                self._take_answer(leg, sdp)
            case s.ReofferRefused() | s.ReofferWithdrawn():
                if leg.negotiation is not None:
                    leg.negotiation = withdraw_offer(leg.negotiation)
            case s.ProvisionalAcknowledged():
                leg.answer = b""
                self._take_answer(leg, event.sdp or b"")
            case s.RefreshDue():
                self._refresh(leg)
            case s.DigitSignalled():
                self._tell(DigitPressed(call=leg.call, digit=event.digit))
            case s.ReferralAnswered(status=status):
                self._tell(LegReferred(call=leg.call, sip_code=status))
            case s.Referral():
                told = ReferralTold(call=leg.call, sip_code=event.status, is_over=event.is_over, lasts_s=event.lasts_s)
                self._tell(told)
            case s.Referred(target=target):
                self._tell(PhoneRefers(call=leg.call, target=target))
            case s.Ended() if event.session == leg.session:
                self._forget(leg)
                if leg.known:
                    self._tell(LegEnded(call=leg.call, cause=cause_of(event.cause), sip_code=event.status))
            case _:
                pass

    def _progressed(self, leg: Attached, event: s.Progressed) -> None:
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
            self._rows.describe(leg, early)
        leg.forks[event.session].rang = True
        if event.status in (180, 183) and (early is not None or not leg.rang):
            leg.rang = True
            self._tell(LegRinging(call=leg.call, early_media=early is not None))

    def _accepted(self, leg: Attached, event: s.Accepted) -> None:
        """A phone answered. The first of several wins; the others are told that it is over."""
        if leg.session is not None:
            self._do(self._agent.bye(event.session, now=self._now()))
            return
        fork = leg.forks[event.session]
        try:
            leg.negotiation = fork.answers(event.fork, event.sdp)
        except VoiceError as wrong:
            fork.refused = (wrong.sip, wrong.message)
            self._do(self._agent.bye(event.session, now=self._now()))
            if leg.all_refused():
                self._refused(leg, *leg.best_refusal())
            return
        leg.session, leg.answered = event.session, True
        for session, other in leg.forks.items():
            if session != event.session and other.refused is None:
                self._do(self._agent.cancel(session, now=self._now()))
        if leg.negotiation.agreed is not None:
            leg.agreed_at = self._now()
            self._rows.describe(leg, leg.negotiation.agreed)
            self._tell(LegAnswered(call=leg.call, sip=about(event.headers)))
            self._note_hold(leg, leg.negotiation.agreed)

    def _fork_refused(self, leg: Attached, event: s.Refused) -> None:
        fork = leg.forks[event.session]
        fork.refused = (event.status, event.reason)
        if leg.session is None and fork.fails_us(event.status):
            self._give_up(leg, event.session, event.status)
        if leg.session is None and leg.all_refused():
            self._refused(leg, *leg.best_refusal())

    def _refused(self, leg: Attached, status: int, reason: str, *, code: int = 0) -> None:
        if not leg.gone:
            self._forget(leg)
            self._tell(LegRefused(call=leg.call, sip_code=status, code=code, reason=reason))

    def _reoffered(self, leg: Attached, event: s.Reoffered) -> None:
        """A phone changes the call: hold, resume, another address, another codec; one that is called may do so too."""
        try:
            if leg.negotiation is None:
                agreed, ours = leg.forks[event.session].changes(event.fork, event.sdp or b"")
                if agreed is not None and leg.early == (event.session, event.fork):
                    self._rows.describe(leg, agreed)
            elif event.sdp is None:
                leg.negotiation, ours = make_offer(leg.negotiation)
            else:
                leg.negotiation, ours = take_offer(leg.negotiation, event.sdp)
        except VoiceError as wrong:
            self._do(self._agent.refuse_reoffer(event.session, wrong.sip, now=self._now()))
            return
        if event.sdp is not None and leg.negotiation is not None and leg.negotiation.agreed is not None:
            self._agreed(leg, leg.negotiation.agreed)
        self._do(self._agent.answer_reoffer(event.session, ours, now=self._now()))

    def _refresh(self, leg: Attached) -> None:
        """The session timer wants a re-INVITE: offer what we wish; a phone that holds answers so again."""
        if leg.session is not None and leg.negotiation is not None and not leg.negotiation.offered:
            leg.negotiation, offer = make_offer(leg.negotiation)
            self._do(self._agent.reoffer(leg.session, offer, now=self._now()))

    def _confirmed(self, leg: Attached, event: s.Confirmed) -> None:
        """An ACK. One that owes us an answer and has none ends a call that begins, and leaves a running one alone."""
        if leg.negotiation is None or not event.offered:
            return
        if event.sdp is None and leg.negotiation.agreed is not None:
            leg.negotiation = withdraw_offer(leg.negotiation)
        else:
            self._take_answer(leg, event.sdp or b"")

    def _take_answer(self, leg: Attached, sdp: bytes) -> None:
        """The phone answered an offer of ours. An answer that cannot be read ends the call: nothing is agreed."""
        if leg.negotiation is None or leg.session is None:
            return
        try:
            leg.negotiation = take_answer(leg.negotiation, sdp)
        except VoiceError as wrong:
            log.info("call=%s answer unusable: %s", leg.call, wrong.message)
            session = leg.session
            self._forget(leg)
            self._tell(LegEnded(call=leg.call, cause="lost", sip_code=wrong.sip))
            self._do(self._agent.bye(session, now=self._now()))
            return
        if leg.negotiation.agreed is not None:
            self._agreed(leg, leg.negotiation.agreed)

    def _agreed(self, leg: Attached, agreed: Agreed) -> None:
        """Tell the media plane, and the engine if the phone's own hold began or ended."""
        leg.agreed_at = self._now()
        self._rows.describe(leg, agreed)
        self._note_hold(leg, agreed)

    def _note_hold(self, leg: Attached, agreed: Agreed) -> None:
        if agreed.peer_holds != leg.held:
            leg.held = agreed.peer_holds
            self._tell(PhoneHeld(call=leg.call) if leg.held else PhoneResumed(call=leg.call))

    # --- who is who

    def _contacts(self, line: str) -> tuple[tuple[str, Address], ...]:
        return self._agent.contacts(line, self._now())

    def _is_ours(self, uri: Uri) -> bool:
        """Whether a SIP URI names one of our lines rather than a phone elsewhere."""
        if uri.host == self._settings.domain.lower():
            return True
        return address_of(uri) in self._sip.addresses
