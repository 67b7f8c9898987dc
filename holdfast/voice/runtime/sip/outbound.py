"""Place the calls of the engine: try every way to reach a target, one trunk after another, until one answers."""

from __future__ import annotations

import asyncio
import logging

from holdfast.voice.model.effects import PlaceLeg
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.facts import LegAnswered, LegRefused, LegRinging
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.payload_types import Codec
from holdfast.voice.runtime.sip.dial_plan import (
    DialDestination,
    Unreachable,
    answer_headers,
    call_headers,
    destinations_of,
    from_user,
    is_redirect,
    redirect_destination,
)
from holdfast.voice.runtime.sip.legs.context import SipContext
from holdfast.voice.runtime.sip.legs.leg import Fork, SipLeg
from holdfast.voice.runtime.sip.loopback_calls import LoopbackCalls
from holdfast.voice.runtime.sip.names.located_directory import LocatedDirectory
from holdfast.voice.runtime.sip.negotiation import LegNegotiation
from holdfast.voice.sip import effects as s
from holdfast.voice.sip.agent import DigestCredentials
from holdfast.voice.sip.effects import Address, SessionId
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.uri import Uri, address_of
from holdfast.voice.sip.sdp.offer import AnyDestination, make_offer
from holdfast.voice.sip.session_commands import CancelInvite, EndSession

log = logging.getLogger(__name__)

MAX_UDP_BYTES = 1300
"""A larger request may be fragmented on its way. Source: RFC 3261 §18.1.1."""
REDIRECT_NOT_FOLLOWED = "only a trunk may redirect a call, and only to its own addresses"


class OutboundCalls:
    """The legs that the engine places, until they are answered or refused."""

    def __init__(
        self,
        context: SipContext,
        directory: LocatedDirectory,
        loopback_calls: LoopbackCalls,
        negotiation: LegNegotiation,
    ) -> None:
        self._context = context
        self._directory = directory
        self._loopback_calls = loopback_calls
        self._negotiation = negotiation

    async def place(self, leg: SipLeg, effect: PlaceLeg) -> None:
        """Open a row and call every destination of the target at once."""
        try:
            await self._directory.locate(effect.target.to)
            found = self._destinations(effect)
            row = await self._context.rows.open(leg)
        except Unreachable as wrong:
            self._post_refused(leg, wrong.sip_code, wrong.message, code=wrong.twilio_code)
            return
        except VoiceError as wrong:
            log.warning("call=%s not placed: %s", leg.call, wrong.message)
            self._post_refused(leg, wrong.sip, wrong.message)
            return
        if row is None:
            return
        leg.row = row
        for destination in found:
            self._invite(leg, destination, effect)
        if leg.all_refused():
            self._post_refused(leg, *leg.best_refusal())

    def _invite(self, leg: SipLeg, destination: DialDestination, effect: PlaceLeg) -> None:
        """Call one destination."""
        context = self._context
        assert leg.row is not None
        session = SessionId(f"{leg.call}/{len(leg.forks)}")
        srtp_policy, preferred = context.settings.srtp_policy(destination.transport), self._codec_of(effect.peer)
        destinations = AnyDestination() if destination.is_loopback else context.own_ports
        negotiation, offer = make_offer(
            leg.begin_negotiation(
                (leg.row.ip, leg.row.port), srtp_policy, preferred=preferred, destinations=destinations
            )
        )
        leg.forks[session] = fork = Fork(negotiation=negotiation, destination=destination, effect=effect)
        context.trace.assign(session, leg.call)
        credentials = None
        if effect.target.username:
            credentials = DigestCredentials(user=effect.target.username, password=effect.target.password or "")
        caller = from_user(effect.from_)
        try:
            effects = context.agent.invite(
                session,
                destination.uri,
                now=context.now(),
                sdp=offer,
                next_hop=destination.next_hop,
                caller=destination.from_uri(caller),
                caller_name=effect.caller_name or "",
                credentials=destination.credentials or credentials,
                headers=(
                    *destination.headers,
                    *destination.identity_headers(caller),
                    *call_headers(leg.call, context.account),
                ),
            )
        except UriUnreadable as wrong:
            fork.refused = (wrong.sip, wrong.message)
            return
        largest = max((len(effect.data) for effect in effects if isinstance(effect, s.SendMessage)), default=0)
        if destination.transport == "UDP" and largest > MAX_UDP_BYTES:
            log.warning(
                "call=%s fact=LargeInvite bytes=%d: a lost fragment loses the whole request; use tcp", leg.call, largest
            )
        context.carry_out(effects)
        if destination.fallback is not None:
            asyncio.get_running_loop().call_later(
                context.settings.trunk_timeout_s, self._give_up_silent_trunk, leg, session
            )

    def _give_up_silent_trunk(self, leg: SipLeg, session: SessionId) -> None:
        """Give up a trunk that sends no response, long before its transaction times out, if there is another.

        Deviation: RFC 3263 §4.3 waits for the transaction to fail, which takes 32 s over UDP.
        """
        context = self._context
        if not leg.is_discarded and leg.session is None and context.agent.has_no_response(session):
            context.command(session, CancelInvite())
            self._try_next_trunk(leg, session, 408)

    def _try_next_trunk(self, leg: SipLeg, session: SessionId, status: int) -> None:
        """Try the next trunk in place of one that fails."""
        fork = leg.forks[session]
        if fork.given_up or fork.destination.fallback is None:
            return
        trunk = fork.destination.next_hop
        log.warning("call=%s fact=TrunkFailed trunk=%s status=%d: the next is tried", leg.call, trunk, status)
        self._replace_fork(leg, session, fork.destination.fallback)

    def _replace_fork(self, leg: SipLeg, session: SessionId, destination: DialDestination) -> None:
        """Replace this fork by another destination; the old fork's refusal is ignored."""
        fork = leg.forks[session]
        fork.given_up = True
        if leg.early is not None and leg.early[0] == session:
            leg.early = None
        self._invite(leg, destination, fork.effect)

    def _destinations(self, effect: PlaceLeg) -> tuple[DialDestination, ...]:
        """Return every destination of a leg. Raises: Unreachable."""
        beside_leg = None if effect.peer is None else self._context.legs.get(effect.peer)
        loopback = self._loopback_calls.destination(
            effect, self._context.endpoint.advertised[0], hops=0 if beside_leg is None else beside_leg.hops
        )
        if loopback is not None:
            return (loopback,)
        return destinations_of(effect.target, lines=self._directory, contacts=self._contacts, is_ours=self._is_own_uri)

    def _codec_of(self, call: CallSid | None) -> Codec | None:
        """Return the codec agreed with a call's phone, if any."""
        leg = None if call is None else self._context.legs.get(call)
        agreed = None if leg is None or leg.negotiation is None else leg.negotiation.agreed
        return None if agreed is None else agreed.codec

    def handle_progress(self, leg: SipLeg, event: s.Progressed) -> None:
        """Handle a ringing phone; its early media is heard if its description is acceptable."""
        early = None
        if event.sdp is not None and leg.session is None:
            try:
                early = leg.forks[event.session].take_early_answer(event.fork, event.sdp)
            except VoiceError as wrong:
                log.info("call=%s early description unusable: %s", leg.call, wrong.message)
        if leg.early is not None:
            early = None
        if early is not None:
            leg.early = (event.session, event.fork)
            self._context.describe(leg, early, session=event.session, fork=event.fork)
        leg.forks[event.session].rang = True
        if event.status in (180, 183) and (early is not None or not leg.rang):
            leg.rang = True
            self._context.post(LegRinging(call=leg.call, early_media=early is not None))

    def handle_accepted(self, leg: SipLeg, event: s.Accepted) -> None:
        """Handle a phone that answers. The first one wins; the other forks are cancelled."""
        context = self._context
        fork = leg.forks[event.session]
        if leg.session is not None:
            fork.given_up = True
            context.command(event.session, EndSession())
            return
        try:
            leg.negotiation = fork.take_final_answer(event.fork, event.sdp)
        except VoiceError as wrong:
            fork.refused = (wrong.sip, wrong.message)
            context.command(event.session, EndSession())
            if leg.all_refused():
                self._post_refused(leg, *leg.best_refusal())
            return
        leg.session, leg.answered = event.session, True
        for session, other in leg.forks.items():
            if session != event.session and other.refused is None:
                context.command(session, CancelInvite())
        if leg.negotiation.agreed is not None:
            leg.agreed_at = context.now()
            context.describe(leg, leg.negotiation.agreed)
            # A phone may answer and hold at once: the hold is posted before the answer, so that it is not heard.
            self._negotiation.update_hold(leg, leg.negotiation.agreed)
            context.post(LegAnswered(call=leg.call, sip_params=answer_headers(event.headers)))

    def handle_refused(self, leg: SipLeg, event: s.Refused) -> None:
        """Handle the refusal of one fork, which ends the leg if no other fork is left."""
        fork = leg.forks[event.session]
        redirected = redirect_destination(fork.destination, event.status, event.headers)
        reason = f"{event.reason} ({REDIRECT_NOT_FOLLOWED})" if is_redirect(event.status) else event.reason
        fork.refused = (event.status, reason)
        if leg.session is None and redirected is not None and not fork.given_up:
            log.info("call=%s fact=Redirected from=%s to=%s", leg.call, fork.destination.next_hop, redirected.next_hop)
            self._replace_fork(leg, event.session, redirected)
        elif leg.session is None and fork.is_trunk_failure(event.status):
            self._try_next_trunk(leg, event.session, event.status)
        if leg.session is None and leg.all_refused():
            self._post_refused(leg, *leg.best_refusal())

    def _post_refused(self, leg: SipLeg, status: int, reason: str, *, code: int = 0) -> None:
        if not leg.is_discarded:
            self._context.discard(leg)
            self._context.post(LegRefused(call=leg.call, sip_code=status, code=code, reason=reason))

    def _contacts(self, line: str) -> tuple[tuple[str, Address], ...]:
        return self._context.agent.contacts.of(line, self._context.now())

    def _is_own_uri(self, uri: Uri) -> bool:
        """Return whether a SIP URI names a line of the engine rather than a phone elsewhere."""
        if uri.host == self._context.settings.domain.lower():
            return True
        return address_of(uri) in (*self._context.endpoint.addresses, *self._context.endpoint.advertised)
