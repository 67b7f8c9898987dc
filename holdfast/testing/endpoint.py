"""The SIP side of a test phone: a UDP socket and a clock around the one agent, and nothing else.

Effects are carried out in order; events come out in order, one after the other, at `events`.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Iterable
from typing import Any

from holdfast.testing.clock import now_s
from holdfast.voice.sip.agent import Agent, AgentSettings, AnybodyMayCall, Policy
from holdfast.voice.sip.effects import Address, Effect, Event, SendDatagram, StartTimer, StopTimer, TimerToken

ANYBODY_MAY_CALL = AnybodyMayCall()


class Endpoint(asyncio.DatagramProtocol):
    """A SIP address on this machine. Made by `open_endpoint`."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self._timers: dict[TimerToken, asyncio.TimerHandle] = {}
        self.agent: Agent
        self.address: Address
        self._transport: asyncio.DatagramTransport

    def start(self, transport: asyncio.DatagramTransport, contact_user: str, policy: Policy) -> None:
        """Make the agent, now that the address is known."""
        host, port = transport.get_extra_info("sockname")[:2]
        self.address = (str(host), int(port))
        self._transport = transport
        self.agent = Agent(
            AgentSettings(
                address=self.address,
                secret=secrets.token_bytes(16),
                user_agent="Holdfast test phone",
                contact_user=contact_user,
            ),
            token=lambda: secrets.token_hex(8),
            dice=random.random,
            policy=policy,
        )

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Source: asyncio.DatagramProtocol."""
        self.do(self.agent.receive(data, (str(addr[0]), int(addr[1])), now_s()))

    def error_received(self, exc: Exception) -> None:
        """A closed port at the far end; the transactions notice by themselves."""

    def do(self, effects: Iterable[Effect]) -> None:
        """Carry out what the agent asks for."""
        for effect in effects:
            match effect:
                case SendDatagram():
                    self._transport.sendto(effect.data, effect.to)
                case StartTimer():
                    self._stop(effect.token)
                    loop = asyncio.get_running_loop()
                    self._timers[effect.token] = loop.call_later(effect.after_s, self._fire, effect.token)
                case StopTimer():
                    self._stop(effect.token)
                case event:
                    self.events.put_nowait(event)

    def close(self) -> None:
        """Stop all timers and give the port back."""
        for token in tuple(self._timers):
            self._stop(token)
        self._transport.close()

    def _fire(self, token: TimerToken) -> None:
        del self._timers[token]
        self.do(self.agent.fire(token, now_s()))

    def _stop(self, token: TimerToken) -> None:
        timer = self._timers.pop(token, None)
        if timer is not None:
            timer.cancel()


async def open_endpoint(*, host: str, port: int, contact_user: str, policy: Policy = ANYBODY_MAY_CALL) -> Endpoint:
    """Listen for SIP over UDP; port 0 takes a free one. Raises: OSError when the address cannot be had."""
    transport, endpoint = await asyncio.get_running_loop().create_datagram_endpoint(Endpoint, local_addr=(host, port))
    endpoint.start(transport, contact_user, policy)
    return endpoint
