"""The state that the parts of the SIP shell share: settings, legs, rows, the agent, and the mailbox of the engine."""

from __future__ import annotations

from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.phone_hold_music import holder_may_be_heard
from holdfast.voice.runtime.mailbox import EngineEvents
from holdfast.voice.runtime.sip.config.settings import (
    SipSettings,
)
from holdfast.voice.runtime.sip.inbound import InboundAdmission
from holdfast.voice.runtime.sip.legs.leg import SipLeg
from holdfast.voice.runtime.sip.legs.media_rows import RowRegistry, RowsPort
from holdfast.voice.runtime.sip.legs.sip_trace import SipTrace
from holdfast.voice.runtime.sip.own_ports import InterfaceCache, OwnPorts
from holdfast.voice.runtime.sip.transport.endpoint import SipEndpoint
from holdfast.voice.sip.agent import Agent
from holdfast.voice.sip.effects import Effect, SessionId
from holdfast.voice.sip.sdp.offer import Agreed
from holdfast.voice.sip.session_commands import SessionCommand


class SipContext:
    """The shared state of the SIP shell.

    Invariant: a discarded leg has no row, and nothing more is posted about it.
    """

    def __init__(
        self,
        endpoint: SipEndpoint,
        settings: SipSettings,
        *,
        account: AccountSid,
        media: RowsPort,
        events: EngineEvents,
        admission: InboundAdmission,
    ) -> None:
        self.endpoint = endpoint
        self.settings = settings
        self.account = account
        self.admission = admission
        self.rows = RowRegistry(media, advertised_ip=settings.advertised_ip)
        listening = [(each.host, each.port) for each in (*endpoint.addresses, *endpoint.advertised)]
        self.own_ports = OwnPorts(
            advertised_ip=settings.advertised_ip,
            rtp_ip=settings.rtp_ip,
            rows=settings.rtp_ports,
            open_rows=self.rows.ports(),
            listening=listening if settings.http is None else [*listening, settings.http],
            interfaces=InterfaceCache(events.now).addresses,
        )
        self.post = events.post
        self.now = events.now
        self.trace = SipTrace(events.trace)
        self.legs: dict[CallSid, SipLeg] = {}

    @property
    def agent(self) -> Agent:
        """Return the SIP agent; the effects it returns go to `carry_out`."""
        return self.endpoint.agent

    def command(self, session: SessionId, command: SessionCommand) -> None:
        """Give a command to a session of the agent, and carry out its effects."""
        self.endpoint.command(session, command)

    def carry_out(self, effects: list[Effect]) -> None:
        """Carry out the agent's effects."""
        self.endpoint.carry_out(effects)

    def describe(self, leg: SipLeg, agreed: Agreed, *, session: SessionId | None = None, fork: str = "") -> None:
        """Describe to the media process what was agreed with a leg's phone, or early with one fork of a session.

        RTP is accepted from the address in the description and from the host that the phone's signalling comes from:
        for an inbound call that of its request, for an outbound one that of its response, or of its registration if the
        response came through a trusted proxy.
        """
        session = session or leg.session
        asked = None if session is None else leg.forks.get(session)
        rtp_source = leg.rtp_source if asked is None else asked.destination.rtp_source
        origin = None if session is None else self.agent.origin(session, fork=fork)
        if asked is not None and origin is not None and self.admission.is_trusted_proxy(origin):
            origin = self.agent.contacts.origin(asked.destination.uri, self.now()) or origin
        self.rows.describe(
            leg,
            agreed,
            signalled_from=origin,
            rtp_source=rtp_source or self.settings.rtp_source,
            report_sound=self.may_hear_holder(leg, agreed),
        )

    def may_hear_holder(self, leg: SipLeg, agreed: Agreed) -> bool:
        """Return whether a leg's phone holds and goes on sending, and its line or trunk lets the others hear that."""
        asked = None if leg.session is None else leg.forks.get(leg.session)
        trunk = leg.trunk if asked is None else asked.destination.trunk
        of_route = None if trunk is None else trunk.phone_hold_music
        rule = self.settings.phone_hold_music
        return agreed.peer_holds and agreed.receive and holder_may_be_heard(rule, of_route, by_trunk=trunk is not None)

    def discard(self, leg: SipLeg) -> None:
        """Discard a leg: post nothing more about it, and close its row."""
        leg.is_discarded = True
        self.legs.pop(leg.call, None)
        self.rows.close(leg)
