"""The shell around the SIP agent: one socket, its timers, and events handed on in order."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Iterable

from holdfast.voice.runtime.legs.arrivals import SipSettings
from holdfast.voice.runtime.sockets import SipSocket, open_sip_socket
from holdfast.voice.sip.agent import Agent, AgentSettings, Policy
from holdfast.voice.sip.effects import (
    Address,
    DatagramDropped,
    Effect,
    Event,
    SendDatagram,
    StartTimer,
    StopTimer,
    TimerToken,
)

log = logging.getLogger(__name__)


class SipEndpoint:
    """A SIP address of ours. Made by `open_endpoint`; `agent` is asked, and what it returns goes to `do`."""

    def __init__(self, *, happened: Callable[[Event], None], now: Callable[[], float]) -> None:
        self._happened = happened
        self._now = now
        self._timers: dict[TimerToken, asyncio.TimerHandle] = {}
        self._at_rest = asyncio.Event()
        self.socket: SipSocket
        self.agent: Agent

    @property
    def address(self) -> Address:
        """Where phones reach us."""
        return self.socket.address

    def received(self, data: bytes, source: Address) -> None:
        """One datagram came in."""
        self.do(self.agent.receive(data, source, self._now()))

    def do(self, effects: Iterable[Effect]) -> None:
        """Carry out what the agent asks for, in order."""
        for effect in effects:
            match effect:
                case SendDatagram():
                    self.socket.send(effect.data, effect.to)
                case StartTimer():
                    self._stop(effect.token)
                    loop = asyncio.get_running_loop()
                    self._timers[effect.token] = loop.call_later(effect.after_s, self._fire, effect.token)
                case StopTimer():
                    self._stop(effect.token)
                case DatagramDropped():
                    log.debug("datagram from %s:%d dropped: %s", *effect.source, effect.reason)
                case event:
                    self._happened(event)
        if not self.agent.sessions():
            self._at_rest.set()

    async def rest(self) -> None:
        """Return once no session lives any more."""
        self._at_rest.clear()
        if self.agent.sessions():
            await self._at_rest.wait()

    def close(self) -> None:
        """Stop all timers and give the port back."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.socket.close()

    def _fire(self, token: TimerToken) -> None:
        del self._timers[token]
        self.do(self.agent.fire(token, self._now()))

    def _stop(self, token: TimerToken) -> None:
        timer = self._timers.pop(token, None)
        if timer is not None:
            timer.cancel()


async def open_endpoint(
    settings: SipSettings,
    *,
    secret: bytes,
    policy: Callable[[Address], Policy],
    happened: Callable[[Event], None],
    now: Callable[[], float],
) -> SipEndpoint:
    """Listen for SIP; port 0 takes a free one. Raises: OSError when the address cannot be had."""
    made = SipEndpoint(happened=happened, now=now)
    made.socket = await open_sip_socket(settings.address, made.received)
    made.agent = Agent(
        AgentSettings(
            address=made.address,
            secret=secret,
            user_agent=settings.user_agent,
            realm=settings.domain,
            algorithms=settings.algorithms,
        ),
        token=lambda: secrets.token_hex(8),
        dice=random.random,
        policy=policy(made.address),
    )
    return made
