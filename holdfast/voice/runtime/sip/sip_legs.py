"""SIP legs: what the engine asks of a leg becomes SIP and a row of the media plane; what phones do becomes facts.

A thin shell: the one SIP agent decides what is said, offer and answer decide what is agreed, and this file moves
bytes, timers and rows. Point of view: *in* is a phone that calls us, *out* a phone that we call.
Length: one case for each effect of the engine and each event of the agent; what is done is in the modules beside it.
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
    LegEnded,
    LegFact,
    LegReferred,
    PhoneRefers,
    ReferralNotified,
)
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.ports import Seen
from holdfast.voice.runtime.directory.records import RouteRecord
from holdfast.voice.runtime.sip.config.settings import (
    SipSettings,
)
from holdfast.voice.runtime.sip.inbound import (
    DirectoryPort,
    InboundAdmission,
    dialled,
    may_call,
    passes_on,
    received,
    rtp_source_of,
    unanswered,
)
from holdfast.voice.runtime.sip.legs.context import SipContext
from holdfast.voice.runtime.sip.legs.dtmf_dedup import TOGETHER_S, ReportedDigit
from holdfast.voice.runtime.sip.legs.leg import SipLeg, cause_of
from holdfast.voice.runtime.sip.legs.media_rows import RowsPort
from holdfast.voice.runtime.sip.loopback_calls import LoopbackCalls
from holdfast.voice.runtime.sip.negotiation import LegNegotiation
from holdfast.voice.runtime.sip.outbound import OutboundCalls
from holdfast.voice.runtime.sip.registrations import StoredRegistrations
from holdfast.voice.runtime.sip.rejected_calls import RejectedCalls
from holdfast.voice.runtime.sip.transport.endpoint import open_endpoint
from holdfast.voice.runtime.sip.trunks import Trunks, TrunkStatus
from holdfast.voice.sip import effects as s
from holdfast.voice.sip.dispatch.uas import SHUTDOWN_RETRY_AFTER_S
from holdfast.voice.sip.effects import Address, SessionId
from holdfast.voice.sip.message.uri import parse_uri
from holdfast.voice.sip.sdp.offer import (
    AnyDestination,
    answer_offer,
    make_offer,
    withdraw_offer,
)

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
        directory: DirectoryPort,
        media: RowsPort,
        tell: Callable[[LegFact | ReceiveCall], None],
        seen: Seen,
        clock: Callable[[], float],
        tasks: asyncio.TaskGroup,
        registrations: StoredRegistrations | None = None,
    ) -> None:
        self._desk = SipContext(
            settings,
            account=account,
            media=media,
            tell=tell,
            seen=seen,
            now=clock,
            trusts=lambda host: passes_on(host, settings.trusted_proxies, directory),
        )
        self._directory = directory
        self._ourselves = LoopbackCalls(directory, account)
        self._tasks = tasks
        self._agreeing = LegNegotiation(self._desk)
        self._placing = OutboundCalls(self._desk, directory, self._ourselves, self._agreeing)
        self._turned_away = RejectedCalls(clock)
        self._is_ending = False
        self.trunks = Trunks()
        self.registrations = registrations or StoredRegistrations()

    # --- life

    async def open(self) -> Address:
        """Listen; the address that was taken. Raises: OSError."""
        desk = self._desk
        known = await self.registrations.load()
        desk.sip = await open_endpoint(
            desk.settings,
            secret=secrets.token_bytes(32),
            policy=lambda listening: InboundAdmission(
                self._directory,
                listening,
                trust_loopback=desk.settings.trust_loopback,
                trusted_proxies=desk.settings.trusted_proxies,
            ),
            happened=self._event,
            now=desk.now,
            tasks=self._tasks,
            tls_name=self._directory.tls_name,
        )
        for address in (*desk.sip.addresses, *desk.sip.shown):
            desk.own_ports.listen(address.host, address.port)
        if desk.settings.http is not None:
            desk.own_ports.listen(*desk.settings.http)
        for line, contacts in known.items():
            desk.agent.restore_contacts(line, contacts, desk.now())
        self.follow_trunks()
        return desk.sip.address

    @property
    def address(self) -> Address:
        """Where phones reach us."""
        return self._desk.sip.address

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where phones reach us, by each transport."""
        return self._desk.sip.addresses

    @property
    def rows(self) -> KeysView[CallSid]:
        """The calls that have a row in the media plane."""
        return self._desk.rows.calls()

    async def drained(self, *, timeout_s: float) -> None:
        """Return once every phone has answered our goodbye, or the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._desk.sip.rest()
                await self.trunks.gone()
        except TimeoutError:
            log.info("some phones or trunks did not answer our goodbye")

    def begin_end(self) -> None:
        """From now on no call begins by a phone's INVITE. Calls that are on go on until they are hung up."""
        self._is_ending = True
        self._desk.agent.begin_shutdown()

    async def close(self) -> None:
        """Say goodbye to every phone that is left, wait a moment for their answers, and give the port back."""
        desk = self._desk
        for call in tuple(desk.legs):
            self.carry_out(HangUpLeg(call=call))
        desk.do(self.trunks.follow((), desk.agent, desk.now()))
        await self.drained(timeout_s=GOODBYE_S)
        desk.sip.close()

    def follow_trunks(self) -> None:
        """Register with the trunks where the directory wants it now, and no other."""
        desk = self._desk
        desk.do(self.trunks.follow(self._directory.trunks(), desk.agent, desk.now()))

    def standing(self, trunk: RouteRecord) -> TrunkStatus | None:
        """How we stand with a trunk; None when we do not register there."""
        return self.trunks.of(trunk)

    def registered(self, line: str) -> bool:
        """Whether a line can be reached now."""
        return bool(self._desk.agent.contacts(line, self._desk.now()))

    def describe_again(self) -> None:
        """Tell the media process, to which nothing could be told for a while, what was agreed with each phone."""
        self._agreeing.repeat()

    def silent(self, call: CallSid, silent_s: float) -> None:
        """Nothing was heard of a leg for so long: one that should have been heard is lost, and hung up on."""
        desk = self._desk
        leg = desk.legs.get(call)
        if leg is None or leg.session is None or not leg.answered:
            return
        agreed_s = desk.now() - leg.agreed_at
        if desk.settings.liveness.is_lost(silent_s=silent_s, agreed_s=agreed_s, held=leg.held, may_speak=leg.may_speak):
            log.warning("call=%s fact=Lost why=no sound for %.0f s", call, silent_s)
            desk.forget(leg)
            desk.tell(LegEnded(call=call, cause="lost", sip_code=408))
            desk.do(desk.agent.bye(leg.session, now=desk.now()))

    def heard(self, call: CallSid, packets: int) -> None:
        """So many packets of a leg's sound have come in all: if that is news, its phone is there."""
        desk = self._desk
        leg = desk.legs.get(call)
        if leg is not None and leg.session is not None and packets != leg.packets:
            leg.packets = packets
            desk.agent.record_audio(leg.session, now=desk.now())

    def pressed(self, call: CallSid, digit: str) -> bool:
        """A key was heard in the sound of a leg: whether it counts, or INFO told of it before and it did already.

        What INFO tells of it afterwards counts no more.
        """
        leg = self._desk.legs.get(call)
        return leg is None or leg.keys.press(digit, self._desk.now())

    # --- the engine's effects

    def carry_out(self, effect: LegEffect) -> None:
        """Begin what is asked; outcomes come as facts. A leg that is gone is asked in vain."""
        desk = self._desk
        if isinstance(effect, PlaceLeg):
            leg = SipLeg(call=effect.call, way="out", known=True)
            desk.legs[effect.call] = leg
            self._later("place", self._placing.place(leg, effect))
            return
        found = desk.legs.get(effect.call)
        if found is None:
            return
        match effect:
            case RingLeg():
                self._ring(found, effect)
            case AnswerLeg():
                self._answer(found)
            case RefuseLeg():
                desk.forget(found)
                if found.session is not None:
                    desk.do(desk.agent.refuse(found.session, effect.sip_code, now=desk.now()))
            case HangUpLeg():
                self._hang_up(found)
            case ReferLeg(target=target):
                self._refer(found, target)
            case AnswerReferral(sip_code=sip_code) if found.session is not None:
                desk.do(desk.agent.answer_refer(found.session, sip_code, now=desk.now()))
                desk.do(desk.agent.notify_refer(found.session, 200, now=desk.now()))
            case AnswerReferral():
                pass
            case _:
                assert_never(effect)

    def _ring(self, leg: SipLeg, effect: RingLeg) -> None:
        """180, or 183 with our description from which on the caller hears us.

        A caller that made no offer had ours in the 180 if it acknowledges that, and else hears nothing before the 200.
        Source: RFC 3960 §3; RFC 6337 §3.1.
        """
        desk = self._desk
        if leg.session is None or leg.answered:
            return
        if not effect.early_media:
            desk.do(desk.agent.ring(leg.session, now=desk.now(), sdp=leg.ring_with))
        elif leg.negotiation is not None and leg.negotiation.agreed is not None and leg.answer:
            desk.do(desk.agent.ring(leg.session, now=desk.now(), status=SESSION_PROGRESS, sdp=leg.answer))
            self._agreeing.agreed(leg, leg.negotiation.agreed)
            if leg.reliable:
                leg.answer = b""

    def _answer(self, leg: SipLeg) -> None:
        desk = self._desk
        if leg.session is None or leg.answered or leg.answer is None:
            return
        leg.answered, leg.agreed_at = True, desk.now()
        desk.do(desk.agent.accept(leg.session, leg.answer or None, now=desk.now()))
        if leg.negotiation is not None and leg.negotiation.agreed is not None:
            self._agreeing.agreed(leg, leg.negotiation.agreed)

    def _hang_up(self, leg: SipLeg) -> None:
        desk = self._desk
        desk.forget(leg)
        if leg.session is not None and (leg.way == "out" or leg.answered):
            desk.do(desk.agent.bye(leg.session, now=desk.now()))
        elif leg.session is not None:
            desk.do(desk.agent.refuse(leg.session, 480, now=desk.now()))
        for session in leg.forks:
            if session != leg.session:
                desk.do(desk.agent.cancel(session, now=desk.now()))

    def _refer(self, leg: SipLeg, target: str) -> None:
        """Ask the phone to call somebody else; one whose call is not answered cannot be asked."""
        desk = self._desk
        if leg.session is None or not leg.answered:
            desk.tell(LegReferred(call=leg.call, sip_code=481))
        else:
            desk.do(desk.agent.refer(leg.session, target, now=desk.now()))

    # --- the agent's events

    def _event(self, event: s.Event) -> None:
        desk = self._desk
        match event:
            case s.ContactsChanged():
                log.info("line=%s fact=ContactsChanged contacts=%d", event.user, len(event.contacts))
                self.registrations.changed(event.user, desk.agent.restorable_contacts(event.user))
            case s.PasswordWrong() | s.LockedOut() | s.MessageDropped() | s.OptionsAnswered():
                pass
            case s.Registered() | s.RegistrationFailed() | s.Unregistered():
                self.trunks.heard(event, desk.now())
            case s.MessageSeen():
                desk.ladder.show(event)
            case s.Invited():
                leg = SipLeg(call=desk.ladder.call_of(event.session), way="in", session=event.session)
                desk.legs[leg.call] = leg
                self._later("arrive", self._arrive(leg, event))
            case _:
                found = desk.legs.get(desk.ladder.call_of(event.session))
                if found is not None:
                    self._happened(found, event)

    def _later(self, name: str, job: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(job, name=f"sip-{name}")

    async def _arrive(self, leg: SipLeg, invited: s.Invited) -> None:
        """Judge a phone's call and open a row for it, before the engine hears of it.

        Whatever can be refused is refused before a row is taken: a row that is given back rests, and calls that never
        begin would leave none for others.
        """
        desk = self._desk
        invited = replace(invited, called=dialled(invited, self._directory))
        line = self._directory.line(invited.user) if invited.user is not None else None
        if line is not None and not may_call(line, invited.called):
            self._turn_away(leg, invited.session, 403, f"line {line.name} may not call {invited.called[:64]!r}")
            return
        returned = self._ourselves.received(leg.call, invited)
        if returned is None and invited.source == desk.sip.itself:
            self._turn_away(leg, invited.session, 403, "a call from ourselves that we did not make")
            return
        destinations = desk.own_ports if returned is None else AnyDestination()
        leg.rtp_source = rtp_source_of(invited, line, self._directory.trunks())
        leg.reliable = invited.reliable
        sealing = desk.settings.sealing(invited.source.transport)
        negotiation = leg.begin(desk.rows.unopened, sealing, destinations=destinations)
        try:
            if invited.sdp is not None:
                answer_offer(negotiation, invited.sdp)
        except VoiceError as wrong:
            self._turn_away(leg, invited.session, wrong.sip, wrong.message, tells=True)
            return
        if returned is not None:
            leg.hops, told = returned.hops, returned.told
            leg.rtp_source = "named"
        else:
            answer = self._directory.answer_for(invited.called, host=parse_uri(invited.target).host)
            if answer is None:
                self._turn_away(leg, invited.session, 404, unanswered(invited, self._directory))
                return
            told = received(leg.call, desk.account, invited, answer, self.address)
        if self._refused_at_end(leg, invited.session):
            return
        try:
            row = await desk.rows.open(leg)
            if row is None:
                return
            negotiation = replace(negotiation, local=(row.ip, row.port))
            if invited.sdp is None:
                leg.negotiation, leg.answer = make_offer(negotiation)
                leg.ring_with = leg.answer if invited.reliable else None
            else:
                leg.negotiation, leg.answer = answer_offer(negotiation, invited.sdp)
        except VoiceError as wrong:
            self._turn_away(leg, invited.session, wrong.sip, wrong.message, tells=True)
            return
        if self._refused_at_end(leg, invited.session):
            return
        leg.known = True
        desk.tell(told)

    def _refused_at_end(self, leg: SipLeg, session: SessionId) -> bool:
        """Refuse a call if the server is being stopped; return whether it was refused."""
        if self._is_ending:
            headers = (("Retry-After", str(SHUTDOWN_RETRY_AFTER_S)),)
            self._turn_away(leg, session, 503, "the server is being stopped", headers=headers)
        return self._is_ending

    def _turn_away(
        self,
        leg: SipLeg,
        session: SessionId,
        status: int,
        why: str,
        *,
        tells: bool = False,
        headers: s.Headers = (),
    ) -> None:
        """Refuse a call the engine never hears of; the caller is told why with `tells`. Source: RFC 3261 §20.43."""
        desk = self._desk
        desk.forget(leg)
        self._turned_away.tell(leg.call, why)
        headers = (*headers, *((("Warning", f'399 {desk.settings.domain} "{why}"'),) if tells else ()))
        desk.do(desk.agent.refuse(session, status, now=desk.now(), headers=headers))

    def _happened(self, leg: SipLeg, event: s.Event) -> None:
        """News of a leg that lives."""
        desk = self._desk
        match event:
            case s.Progressed():
                self._placing.progressed(leg, event)
            case s.Accepted():
                self._placing.accepted(leg, event)
            case s.Refused():
                self._placing.fork_refused(leg, event)
            case s.Confirmed():
                self._agreeing.confirmed(leg, event)
            case s.Reoffered():
                self._agreeing.reoffered(leg, event)
            case s.ReofferAnswered(sdp=sdp) if sdp is not None:
                self._agreeing.take_answer(leg, sdp)
            case s.ReofferAnswered() | s.ReofferRefused() | s.ReofferPostponed() | s.ReofferWithdrawn():
                if leg.negotiation is not None:
                    leg.negotiation = withdraw_offer(leg.negotiation)
            case s.ProvisionalAcknowledged():
                leg.answer = b""
                self._agreeing.take_answer(leg, event.sdp or b"")
            case s.RefreshDue() | s.ReofferDue():
                self._agreeing.refresh(leg)
            case s.DigitSignalled():
                self._signalled(leg, event)
            case s.ReferralAnswered(status=status):
                desk.tell(LegReferred(call=leg.call, sip_code=status))
            case s.Referral():
                told = ReferralNotified(
                    call=leg.call, sip_code=event.status, is_over=event.is_over, lasts_s=event.expires_s
                )
                desk.tell(told)
            case s.Referred(target=target):
                desk.tell(PhoneRefers(call=leg.call, target=target))
            case s.Ended() if event.session == leg.session:
                desk.forget(leg)
                if leg.known:
                    desk.tell(LegEnded(call=leg.call, cause=cause_of(event.cause), sip_code=event.status))
            case _:
                pass

    def _signalled(self, leg: SipLeg, event: s.DigitSignalled) -> None:
        """A key told by INFO.

        Where telephone events are agreed it counts once its event has not come for a while; of a phone whose last keys
        came without, at once.
        """
        told = leg.keys.tell(event.digit, self._desk.now(), lasted_s=event.duration_ms / 1000)
        agreed = None if leg.negotiation is None else leg.negotiation.agreed
        if told is None:
            return
        if agreed is None or agreed.dtmf_payload_type is None or leg.keys.alone:
            self._signalled_alone(leg, told)
        else:
            asyncio.get_running_loop().call_later(TOGETHER_S, self._signalled_alone, leg, told)

    def _signalled_alone(self, leg: SipLeg, told: ReportedDigit) -> None:
        desk = self._desk
        if leg.gone:
            return
        for digit in leg.keys.settle(told):
            desk.tell(DigitPressed(call=leg.call, digit=digit))
            desk.rows.relay_digit(leg, digit)
