"""The workbench the parts of the SIP legs share: the legs, their rows, the agent, and whom to tell."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.voice.model.commands import ReceiveCall
from holdfast.voice.model.facts import LegFact
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.ports import Seen
from holdfast.voice.runtime.legs.arrivals import SipSettings
from holdfast.voice.runtime.legs.attached import Attached
from holdfast.voice.runtime.legs.endpoint import SipEndpoint
from holdfast.voice.runtime.legs.ladder import Ladder
from holdfast.voice.runtime.legs.own_ports import OwnPorts
from holdfast.voice.runtime.legs.rows import RowBook, Rows
from holdfast.voice.sip.agent import Agent
from holdfast.voice.sip.effects import Effect


class LegDesk:
    """What the parts have in common.

    Invariant: a leg that is forgotten has no row, and nothing of it is told any more. `sip` is there once SIP is open.
    """

    def __init__(
        self,
        settings: SipSettings,
        *,
        account: AccountSid,
        media: Rows,
        tell: Callable[[LegFact | ReceiveCall], None],
        seen: Seen,
        now: Callable[[], float],
    ) -> None:
        self.settings = settings
        self.account = account
        self.rows = RowBook(media, shown_ip=settings.shown_ip)
        self.own_ports = OwnPorts(
            shown_ip=settings.shown_ip,
            rtp_ip=settings.rtp_ip,
            rows=settings.rtp_ports,
            open_rows=self.rows.ports,
            now=now,
        )
        self.tell = tell
        self.ladder = Ladder(seen)
        self.now = now
        self.legs: dict[CallSid, Attached] = {}
        self.sip: SipEndpoint

    @property
    def agent(self) -> Agent:
        """What speaks SIP; what it returns goes to `do`."""
        return self.sip.agent

    def do(self, effects: list[Effect]) -> None:
        """Carry out what the agent asks for."""
        self.sip.do(effects)

    def forget(self, leg: Attached) -> None:
        """The engine hears no more of this leg, and its row goes."""
        leg.gone = True
        self.legs.pop(leg.call, None)
        self.rows.close(leg)
