"""The SIP side of a test phone: a socket or connections, and a clock, around the SIP agent.

Effects are carried out in order; events are put in order into `events`.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from holdfast.testing.clock import now_s
from holdfast.voice.runtime.sip.config.tls import Tls, TlsFiles, load_tls
from holdfast.voice.runtime.sip.transport.streams import Streams
from holdfast.voice.sip.agent import AdmissionPolicy, Agent, AgentSettings, AllowEveryCall
from holdfast.voice.sip.effects import (
    Address,
    Effect,
    Event,
    SendMessage,
    SessionId,
    StartSipTimer,
    StopSipTimer,
    TimerToken,
    Transport,
)
from holdfast.voice.sip.message.framing import FramingBroken
from holdfast.voice.sip.session_commands import SessionCommand

ALLOW_EVERY_CALL = AllowEveryCall()


class TestEndpoint(asyncio.DatagramProtocol):
    """A SIP address on this machine, made by `open_endpoint`."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self._timers: dict[TimerToken, asyncio.TimerHandle] = {}
        self.agent: Agent
        self.address: Address
        self._transport: asyncio.DatagramTransport | None = None
        self._streams: Streams | None = None

    async def listen(self, host: str, port: int) -> Address:
        """Listen for datagrams."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        bound = self._transport.get_extra_info("sockname")
        return Address(str(bound[0]), int(bound[1]))

    async def listen_connected(self, host: str, port: int, tasks: asyncio.TaskGroup, tls: Tls | None) -> Address:
        """Listen for connections."""
        self._streams = Streams(self, now=now_s, tasks=tasks, client_tls=None if tls is None else tls.client)
        return await self._streams.listen(host, port, tls=None if tls is None else tls.server)

    def start(self, address: Address, contact_user: str, policy: AdmissionPolicy) -> None:
        """Make the agent, now that the address is known."""
        self.address = address
        self.agent = Agent(
            AgentSettings(
                address=self.address,
                secret=secrets.token_bytes(16),
                user_agent="Holdfast test phone",
                contact_user=contact_user,
            ),
            token=lambda: secrets.token_hex(8),
            random=random.random,
            policy=policy,
        )

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Pass a datagram on. Source: asyncio.DatagramProtocol."""
        self.handle_message(data, Address(str(addr[0]), int(addr[1])))

    def handle_message(self, data: bytes, source: Address) -> None:
        """Handle one received message."""
        self.carry_out(self.agent.receive(data, source, now_s()))

    def handle_broken_framing(self, broken: FramingBroken, source: Address) -> None:
        """Handle a stream that can no longer be read. Source: streams.ConnectionOwner."""
        self.carry_out(self.agent.receive_unframed(broken.head, source, broken.status, broken.reason, now_s()))

    def handle_disconnect(self, gone: Address) -> None:
        """Handle the end of a connection. Source: streams.ConnectionOwner."""
        self.carry_out(self.agent.handle_disconnect(gone, now_s()))

    def needs_connection(self, address: Address) -> bool:
        """Return True: a phone keeps its connections. Source: streams.ConnectionOwner."""
        return True

    def error_received(self, exc: Exception) -> None:
        """Ignore a closed port at the far end; the transactions notice by themselves."""

    def command(self, session: SessionId, command: SessionCommand) -> None:
        """Give a command to a session."""
        self.carry_out(self.agent.command(session, command, now_s()))

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """Carry out the agent's effects."""
        for effect in effects:
            match effect:
                case SendMessage():
                    if self._streams is not None:
                        self._streams.send(effect.data, effect.to)
                    elif self._transport is not None:
                        self._transport.sendto(effect.data, (effect.to.host, effect.to.port))
                case StartSipTimer():
                    self._stop(effect.token)
                    loop = asyncio.get_running_loop()
                    self._timers[effect.token] = loop.call_later(effect.after_s, self._fire, effect.token)
                case StopSipTimer():
                    self._stop(effect.token)
                case event:
                    self.events.put_nowait(event)

    def cut(self) -> None:
        """Break every connection, as a failing network does."""
        if self._streams is not None:
            self._streams.abort_all()

    def close(self) -> None:
        """Stop all timers and give the port back."""
        for token in tuple(self._timers):
            self._stop(token)
        if self._streams is not None:
            self._streams.close()
        if self._transport is not None:
            self._transport.close()

    def _fire(self, token: TimerToken) -> None:
        del self._timers[token]
        self.carry_out(self.agent.fire(token, now_s()))

    def _stop(self, token: TimerToken) -> None:
        timer = self._timers.pop(token, None)
        if timer is not None:
            timer.cancel()


async def open_endpoint(
    *,
    host: str,
    port: int,
    contact_user: str,
    tasks: asyncio.TaskGroup,
    transport: Transport = "UDP",
    certificate: Path | None = None,
    policy: AdmissionPolicy = ALLOW_EVERY_CALL,
) -> TestEndpoint:
    """Listen for SIP; port 0 takes a free one. TLS needs a certificate, which is also accepted as an authority.

    Raises: OSError if the address is not free, CertificateUnusable.
    """
    endpoint = TestEndpoint()
    if transport == "UDP":
        address = await endpoint.listen(host, port)
    else:
        files = None if certificate is None else TlsFiles(certificate=certificate, authorities=certificate)
        address = await endpoint.listen_connected(host, port, tasks, None if files is None else load_tls(files))
    endpoint.start(address, contact_user, policy)
    return endpoint
