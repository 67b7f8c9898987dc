"""Carry calls by SIP: the engine's effects become SIP and media rows; what phones do becomes facts.

This is a thin shell: the SIP agent decides which messages are sent, offer and answer decide what is agreed, and this
module moves bytes, timers and rows. Point of view: *in* is a phone that calls us, *out* a phone that we call.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Coroutine, KeysView
from typing import Any, assert_never

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
from holdfast.voice.model.facts import (
    DigitPressed,
    LegEnded,
    LegReferred,
    PhoneRefers,
    ReferralNotified,
)
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.runtime.directory.records import RouteRecord
from holdfast.voice.runtime.mailbox import EngineEvents
from holdfast.voice.runtime.sip.config.settings import SipSettings
from holdfast.voice.runtime.sip.inbound import InboundAdmission
from holdfast.voice.runtime.sip.inbound_calls import InboundCalls
from holdfast.voice.runtime.sip.legs.context import SipContext
from holdfast.voice.runtime.sip.legs.dtmf_dedup import PAIRING_WINDOW_S, ReportedDigit
from holdfast.voice.runtime.sip.legs.leg import SipLeg, leg_end_cause
from holdfast.voice.runtime.sip.legs.media_rows import RowsPort
from holdfast.voice.runtime.sip.loopback_calls import LoopbackCalls
from holdfast.voice.runtime.sip.names.located_directory import LocatedDirectory, StoredDirectory
from holdfast.voice.runtime.sip.names.location import Location
from holdfast.voice.runtime.sip.negotiation import LegNegotiation
from holdfast.voice.runtime.sip.outbound import OutboundCalls
from holdfast.voice.runtime.sip.registrations import StoredRegistrations
from holdfast.voice.runtime.sip.transport.bound_sockets import BoundSockets
from holdfast.voice.runtime.sip.transport.endpoint import SipEndpoint
from holdfast.voice.runtime.sip.trunks import Trunks, TrunkStatus
from holdfast.voice.sip import effects as s
from holdfast.voice.sip.effects import Address
from holdfast.voice.sip.sdp.offer import withdraw_offer
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AnswerRefer,
    CancelInvite,
    EndSession,
    NotifyRefer,
    RecordAudio,
    RefuseInvite,
    SendRefer,
    SendRinging,
)

__all__ = ["SipLegs", "SipSettings"]

log = logging.getLogger(__name__)

SESSION_PROGRESS = 183
BYE_TIMEOUT_S = 1.0
"""How long the phones may take to answer our last BYEs."""


class SipLegs:
    """Every SIP leg of the engine, on one endpoint.

    Invariant: `rows` are the calls that have a row in the media process; a leg that has ended has none.
    """

    def __init__(
        self,
        settings: SipSettings,
        sockets: BoundSockets,
        *,
        account: AccountSid,
        directory: StoredDirectory,
        media: RowsPort,
        events: EngineEvents,
        tasks: asyncio.TaskGroup,
        registrations: StoredRegistrations | None = None,
    ) -> None:
        self._directory = LocatedDirectory(directory, settings, tasks, now=events.now)
        self._tasks = tasks
        self._events = events
        self.now = events.now
        admission = InboundAdmission(
            self._directory,
            sockets.addresses[0],
            trust_loopback=settings.trust_loopback,
            trusted_proxies=settings.trusted_proxies,
        )
        endpoint = SipEndpoint(
            settings, sockets, owner=self, policy=admission, secret=secrets.token_bytes(32), tasks=tasks
        )
        context = SipContext(endpoint, settings, account=account, media=media, events=events, admission=admission)
        self._context = context
        self._negotiation = LegNegotiation(context)
        loopback_calls = LoopbackCalls(self._directory, account)
        self._inbound = InboundCalls(context, self._directory, loopback_calls)
        self._outbound = OutboundCalls(context, self._directory, loopback_calls, self._negotiation)
        self.trunks = Trunks()
        self.registrations = registrations or StoredRegistrations()

    # --- lifetime

    async def open(self) -> None:
        """Take part in SIP. Raises: StoreFailed."""
        context = self._context
        for line, contacts in (await self.registrations.load()).items():
            context.agent.contacts.restore(line, contacts, context.now())
        await context.endpoint.open()
        self.follow_trunks()
        self._directory.open(self._update_registrations)

    @property
    def address(self) -> Address:
        """Return the UDP address the engine listens at."""
        return self._context.endpoint.address

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Return the addresses the engine listens at, one per transport."""
        return self._context.endpoint.addresses

    @property
    def rows(self) -> KeysView[CallSid]:
        """Return the calls that have a row in the media process."""
        return self._context.rows.calls()

    async def drained(self, *, timeout_s: float) -> None:
        """Wait until every phone has answered our BYE, or the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._context.endpoint.wait_idle()
                await self.trunks.wait_unregistered()
        except TimeoutError:
            log.info("some phones or trunks did not answer our BYE or unregistration")

    def refuse_new_calls(self) -> None:
        """Refuse new calls from now on. Established calls go on until they are hung up."""
        self._inbound.begin_shutdown()
        self._context.agent.begin_shutdown()

    async def close(self) -> None:
        """Hang up every leg, wait a moment for the responses, and give the port back."""
        context = self._context
        self._directory.close()
        for call in tuple(context.legs):
            self.carry_out(HangUpLeg(call=call))
        context.carry_out(self.trunks.update((), context.agent, context.now()))
        await self.drained(timeout_s=BYE_TIMEOUT_S)
        context.endpoint.close()

    def follow_trunks(self) -> None:
        """Register with the trunks that the directory lists now, and with no other, once their names are looked up."""
        self._directory.handle_change()
        self._update_registrations()

    def _update_registrations(self) -> None:
        context = self._context
        context.carry_out(self.trunks.update(self._directory.registrars(), context.agent, context.now()))

    def trunk_location(self, trunk: RouteRecord) -> Location | None:
        """Return what the name of a trunk leads to; None before it was looked up, and for a numeric address."""
        return self._directory.location(trunk)

    def trunk_status(self, trunk: RouteRecord) -> TrunkStatus | None:
        """Return the status of the registration with a trunk; None if the engine does not register there."""
        return self.trunks.status_of(trunk)

    def is_registered(self, line: str) -> bool:
        """Return whether a line can be reached now."""
        return bool(self._context.agent.contacts.of(line, self._context.now()))

    def certificate_name(self, to: Address) -> str | None:
        """Return the name in the certificate of a trunk. Source: endpoint.EndpointOwner."""
        return self._directory.tls_name(to)

    def repeat_descriptions(self) -> None:
        """Describe every answered leg to the media process again, after it could not be reached."""
        self._negotiation.repeat_descriptions()

    def handle_silence(self, call: CallSid, silent_s: float) -> None:
        """Handle a leg that has received no RTP for `silent_s` seconds: hang up if it should have sent."""
        context = self._context
        leg = context.legs.get(call)
        if leg is None or leg.session is None or not leg.answered:
            return
        agreed_s = context.now() - leg.agreed_at
        if context.settings.liveness.is_lost(
            silent_s=silent_s, agreed_s=agreed_s, held=leg.held, may_send=leg.may_send
        ):
            log.warning("call=%s fact=Lost why=no sound for %.0f s", call, silent_s)
            context.discard(leg)
            context.post(LegEnded(call=call, cause="lost", sip_code=408))
            context.command(leg.session, EndSession())

    def handle_packets(self, call: CallSid, packets: int) -> None:
        """Handle a count of received packets: if it has grown, the phone is alive."""
        context = self._context
        leg = context.legs.get(call)
        if leg is not None and leg.session is not None and packets != leg.packets:
            leg.packets = packets
            context.command(leg.session, RecordAudio())

    def handle_digit(self, call: CallSid, digit: str) -> bool:
        """Return whether a digit detected in a leg's RTP counts, or was already reported by INFO.

        A later INFO for a digit that counts is ignored.
        """
        leg = self._context.legs.get(call)
        return leg is None or leg.digits.handle_audio_digit(digit, self._context.now())

    # --- the engine's effects

    def carry_out(self, effect: LegEffect) -> None:
        """Carry out an effect; outcomes become facts. An effect for a leg that has ended does nothing."""
        context = self._context
        if isinstance(effect, PlaceLeg):
            placed = SipLeg(call=effect.call, direction="out", is_posted=True)
            context.legs[effect.call] = placed
            self._start_task("place", self._outbound.place(placed, effect))
            return
        leg = context.legs.get(effect.call)
        if leg is None:
            return
        match effect:
            case RingLeg():
                self._ring(leg, effect)
            case AnswerLeg():
                self._answer(leg)
            case RefuseLeg():
                context.discard(leg)
                if leg.session is not None:
                    context.command(leg.session, RefuseInvite(status=effect.sip_code))
            case HangUpLeg():
                self._hang_up(leg)
            case ReferLeg(target=target):
                self._refer(leg, target)
            case AnswerReferral(sip_code=sip_code) if leg.session is not None:
                context.command(leg.session, AnswerRefer(status=sip_code))
                context.command(leg.session, NotifyRefer(status=200))
            case AnswerReferral():
                pass
            case _:
                assert_never(effect)

    def _ring(self, leg: SipLeg, effect: RingLeg) -> None:
        """Send 180, or 183 with our description, from which on the caller hears us.

        A caller that made no offer received ours in the 180 if it acknowledges that, and hears nothing before the 200
        otherwise.
        Source: RFC 3960 §3; RFC 6337 §3.1.
        """
        context = self._context
        if leg.session is None or leg.answered:
            return
        if not effect.early_media:
            context.command(leg.session, SendRinging(sdp=leg.provisional_sdp))
        elif leg.negotiation is not None and leg.negotiation.agreed is not None and leg.answer_sdp:
            context.command(leg.session, SendRinging(status=SESSION_PROGRESS, sdp=leg.answer_sdp))
            self._negotiation.apply(leg, leg.negotiation.agreed)
            if leg.acknowledges_provisional:
                leg.answer_sdp = b""

    def _answer(self, leg: SipLeg) -> None:
        context = self._context
        if leg.session is None or leg.answered or leg.answer_sdp is None:
            return
        leg.answered, leg.agreed_at = True, context.now()
        context.command(leg.session, AcceptInvite(sdp=leg.answer_sdp or None))
        if leg.negotiation is not None and leg.negotiation.agreed is not None:
            self._negotiation.apply(leg, leg.negotiation.agreed)

    def _hang_up(self, leg: SipLeg) -> None:
        context = self._context
        context.discard(leg)
        if leg.session is not None and (leg.direction == "out" or leg.answered):
            context.command(leg.session, EndSession())
        elif leg.session is not None:
            context.command(leg.session, RefuseInvite(status=480))
        for session, fork in leg.forks.items():
            if session != leg.session and fork.refused is None and not fork.given_up:
                context.command(session, CancelInvite())

    def _refer(self, leg: SipLeg, target: str) -> None:
        """Ask the phone to call another target; before its call is answered it cannot be asked."""
        context = self._context
        if leg.session is None or not leg.answered:
            context.post(LegReferred(call=leg.call, sip_code=481))
        else:
            context.command(leg.session, SendRefer(target=target))

    # --- the agent's events

    def handle_event(self, event: s.Event) -> None:
        """Handle an event of the agent. Source: endpoint.EndpointOwner."""
        context = self._context
        match event:
            case s.ContactsChanged():
                log.info("line=%s fact=ContactsChanged contacts=%d", event.user, len(event.contacts))
                self.registrations.update(event.user, context.agent.contacts.restorable(event.user))
            case s.PasswordWrong() | s.LockedOut() | s.MessageDropped() | s.OptionsAnswered():
                pass
            case s.InputRefused():
                self._events.count_refusal(event.received, event.state)
            case s.Registered() | s.RegistrationFailed() | s.Unregistered():
                self.trunks.handle_event(event, context.now())
            case s.MessageSeen():
                context.trace.record(event)
            case s.Invited():
                call = context.trace.call_of(event.session)
                context.legs[call] = SipLeg(call=call, direction="in", session=event.session)
                self._start_task("arrive", self._inbound.receive(context.legs[call], event))
            case _:
                leg = context.legs.get(context.trace.call_of(event.session))
                if leg is not None:
                    self._handle_leg_event(leg, event)

    def _start_task(self, name: str, job: Coroutine[Any, Any, None]) -> None:
        self._tasks.create_task(job, name=f"sip-{name}")

    def _handle_leg_event(self, leg: SipLeg, event: s.SessionEvent) -> None:
        """Handle an event of a leg that has not ended."""
        context = self._context
        match event:
            case s.Progressed():
                self._outbound.handle_progress(leg, event)
            case s.Accepted():
                self._outbound.handle_accepted(leg, event)
            case s.Refused():
                self._outbound.handle_refused(leg, event)
            case s.Confirmed():
                self._negotiation.handle_ack(leg, event)
            case s.Reoffered():
                self._negotiation.handle_offer(leg, event)
            case s.ReofferAnswered(sdp=sdp) if sdp is not None:
                self._negotiation.handle_answer(leg, sdp)
            case s.ReofferAnswered() | s.ReofferRefused() | s.ReofferPostponed() | s.ReofferWithdrawn():
                if leg.negotiation is not None:
                    leg.negotiation = withdraw_offer(leg.negotiation)
            case s.ProvisionalAcknowledged():
                leg.answer_sdp = b""
                self._negotiation.handle_answer(leg, event.sdp or b"")
            case s.RefreshDue() | s.ReofferDue():
                self._negotiation.refresh(leg)
            case s.DigitSignalled():
                self._handle_info_digit(leg, event)
            case s.ReferralAnswered(status=status):
                context.post(LegReferred(call=leg.call, sip_code=status))
            case s.Referral():
                command = ReferralNotified(
                    call=leg.call, sip_code=event.status, is_over=event.is_over, expires_s=event.expires_s
                )
                context.post(command)
            case s.Referred(target=target):
                context.post(PhoneRefers(call=leg.call, target=target))
            case s.Ended():
                if event.session == leg.session:
                    context.discard(leg)
                    if leg.is_posted:
                        context.post(LegEnded(call=leg.call, cause=leg_end_cause(event.cause), sip_code=event.status))
            case _:
                assert_never(event)

    def _handle_info_digit(self, leg: SipLeg, event: s.DigitSignalled) -> None:
        """Handle a digit reported by INFO.

        If telephone events are agreed, it counts once its event has not arrived within a short time; if the phone's
        last digits arrived without events, at once.
        """
        command = leg.digits.handle_info_digit(event.digit, self._context.now(), lasted_s=event.duration_ms / 1000)
        agreed = None if leg.negotiation is None else leg.negotiation.agreed
        if command is None:
            return
        if agreed is None or agreed.dtmf_payload_type is None or leg.digits.info_only:
            self._post_info_digits(leg, command)
        else:
            asyncio.get_running_loop().call_later(PAIRING_WINDOW_S, self._post_info_digits, leg, command)

    def _post_info_digits(self, leg: SipLeg, command: ReportedDigit) -> None:
        context = self._context
        if leg.is_discarded:
            return
        for digit in leg.digits.stop_waiting(command):
            context.post(DigitPressed(call=leg.call, digit=digit))
            context.rows.relay_digit(leg, digit)
