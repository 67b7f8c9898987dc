"""Receive inbound calls: check each, open a row for it, and report it to the engine; reject and log the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.sip.inbound import (
    DirectoryPort,
    dialled_number,
    may_call,
    no_answer_reason,
    receive_call,
    trunk_of,
)
from holdfast.voice.runtime.sip.legs.context import SipContext
from holdfast.voice.runtime.sip.legs.leg import SipLeg
from holdfast.voice.runtime.sip.loopback_calls import LoopbackCalls
from holdfast.voice.sip import effects as s
from holdfast.voice.sip.dispatch.uas import SHUTDOWN_RETRY_AFTER_S
from holdfast.voice.sip.effects import SessionId
from holdfast.voice.sip.message.uri import parse_uri
from holdfast.voice.sip.sdp.offer import AnyDestination, answer_offer, make_offer
from holdfast.voice.sip.session_commands import RefuseInvite

MAX_LINES = 10
LOG_INTERVAL_S = 10.0
"""At most `MAX_LINES` rejected calls are logged in this time: a peer that dials at random dials often."""

log = logging.getLogger(__name__)


class RejectedCalls:
    """A log of rejected calls; of many at once it reports only the number."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._count = 0
        self._until = 0.0

    def log_rejection(self, call: CallSid, why: str) -> None:
        """Log one rejected call."""
        if self._now() >= self._until:
            if self._count > MAX_LINES:
                log.info("%d more calls were rejected", self._count - MAX_LINES)
            self._count, self._until = 0, self._now() + LOG_INTERVAL_S
        self._count += 1
        if self._count <= MAX_LINES:
            log.info("call=%s rejected: %s", call, why)


class InboundCalls:
    """The legs of phones that call, until they are reported to the engine."""

    def __init__(self, context: SipContext, directory: DirectoryPort, loopback_calls: LoopbackCalls) -> None:
        self._context = context
        self._directory = directory
        self._loopback_calls = loopback_calls
        self._rejected_calls = RejectedCalls(context.now)
        self._is_stopping = False

    def begin_shutdown(self) -> None:
        """Refuse new calls from now on."""
        self._is_stopping = True

    async def receive(self, leg: SipLeg, invited: s.Invited) -> None:
        """Check an inbound call and open a row for it, before it is reported to the engine.

        All reasons to refuse are checked before a row is taken: a row that is given back rests, and calls that never
        begin would leave none for others.
        """
        context = self._context
        invited = replace(invited, called=dialled_number(invited, self._directory))
        line = self._directory.line(invited.user) if invited.user is not None else None
        if line is not None and not may_call(line, invited.called, self._directory):
            self._reject(leg, invited.session, 403, f"line {line.name} may not call {invited.called[:64]!r}")
            return
        arrival = self._loopback_calls.claim(leg.call, invited)
        if arrival is None and invited.source == context.endpoint.self_address:
            self._reject(leg, invited.session, 403, "a call from our own address that we did not make")
            return
        destinations = context.own_ports if arrival is None else AnyDestination()
        leg.trunk = None if line is not None else trunk_of(invited, self._directory.trunks())
        caller = line or leg.trunk
        leg.rtp_source = None if caller is None else caller.rtp_source
        leg.acknowledges_provisional = invited.reliable
        sealing = context.settings.srtp_policy(invited.source.transport)
        negotiation = leg.begin_negotiation(context.rows.placeholder, sealing, destinations=destinations)
        try:
            if invited.sdp is not None:
                answer_offer(negotiation, invited.sdp)
        except VoiceError as error:
            self._reject(leg, invited.session, error.sip, error.message, with_reason=True)
            return
        if arrival is not None:
            leg.hops, command = arrival.hops, arrival.command
            leg.trunk, leg.rtp_source = None, "named"
        else:
            answer = self._directory.answer_for(invited.called, host=parse_uri(invited.target).host)
            if answer is None:
                self._reject(leg, invited.session, 404, no_answer_reason(invited, self._directory))
                return
            command = receive_call(leg.call, context.account, invited, answer, context.endpoint.address)
        if self._rejected_while_stopping(leg, invited.session):
            return
        try:
            row = await context.rows.open(leg)
            if row is None:
                return
            negotiation = replace(negotiation, local=(row.ip, row.port))
            if invited.sdp is None:
                leg.negotiation, leg.answer_sdp = make_offer(negotiation)
                leg.provisional_sdp = leg.answer_sdp if invited.reliable else None
            else:
                leg.negotiation, leg.answer_sdp = answer_offer(negotiation, invited.sdp)
        except VoiceError as error:
            self._reject(leg, invited.session, error.sip, error.message, with_reason=True)
            return
        if self._rejected_while_stopping(leg, invited.session):
            return
        leg.is_posted = True
        context.post(command)

    def _rejected_while_stopping(self, leg: SipLeg, session: SessionId) -> bool:
        """Refuse a call if the server is being stopped; return whether it was refused."""
        if self._is_stopping:
            headers = (("Retry-After", str(SHUTDOWN_RETRY_AFTER_S)),)
            self._reject(leg, session, 503, "the server is being stopped", headers=headers)
        return self._is_stopping

    def _reject(
        self,
        leg: SipLeg,
        session: SessionId,
        status: int,
        why: str,
        *,
        with_reason: bool = False,
        headers: s.Headers = (),
    ) -> None:
        """Refuse a call that is not reported to the engine; `with_reason` adds a Warning. Source: RFC 3261 §20.43."""
        context = self._context
        context.discard(leg)
        self._rejected_calls.log_rejection(leg.call, why)
        headers = (*headers, *((("Warning", f'399 {context.settings.domain} "{why}"'),) if with_reason else ()))
        context.command(session, RefuseInvite(status=status, headers=headers))
