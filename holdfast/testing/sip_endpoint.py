"""The SIP side of a test phone: a socket or connections, and a clock, around the SIP agent.

Effects are carried out in order; events are put in order into `events`.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Iterable
from pathlib import Path

from holdfast.testing.clock import now_s
from holdfast.voice.runtime.sip.config.tls import Tls, TlsFiles, load_tls
from holdfast.voice.runtime.sip.transport.bound_sockets import address_of, bind
from holdfast.voice.runtime.sip.transport.endpoint import SystemRandomness
from holdfast.voice.runtime.sip.transport.streams import Streams
from holdfast.voice.runtime.sip.transport.udp_socket import SipSocket
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


class TestEndpoint:
    """A SIP address on this machine, made by `open_endpoint`."""

    def __init__(
        self, address: Address, contact_user: str, policy: AdmissionPolicy, tasks: asyncio.TaskGroup, tls: Tls | None
    ) -> None:
        self.address = address
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self._timers: dict[TimerToken, asyncio.TimerHandle] = {}
        self._tls = tls
        self._socket = SipSocket(self.handle_message)
        self._streams = Streams(self, tasks, client_tls=None if tls is None else tls.client)
        self.agent = Agent(
            AgentSettings(
                address=address,
                secret=secrets.token_bytes(16),
                user_agent="Holdfast test phone",
                contact_user=contact_user,
            ),
            SystemRandomness(),
            policy=policy,
        )

    async def open(self, bound: socket.socket) -> None:
        """Read datagrams from a bound socket, or accept connections there."""
        if self.address.reliable:
            await self._streams.listen(bound, tls=None if self._tls is None else self._tls.server)
        else:
            await self._socket.open(bound)

    def now(self) -> float:
        """Return the time. Source: streams.ConnectionOwner."""
        return now_s()

    def certificate_name(self, to: Address) -> str | None:
        """Return None: the host is the name. Source: streams.ConnectionOwner."""
        return None

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

    def command(self, session: SessionId, command: SessionCommand) -> None:
        """Give a command to a session."""
        self.carry_out(self.agent.command(session, command, now_s()))

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """Carry out the agent's effects."""
        for effect in effects:
            match effect:
                case SendMessage():
                    if self.address.reliable:
                        self._streams.send(effect.data, effect.to)
                    else:
                        self._socket.send(effect.data, effect.to)
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
        self._streams.abort_all()

    def close(self) -> None:
        """Stop all timers and give the port back."""
        for token in tuple(self._timers):
            self._stop(token)
        self._streams.close()
        self._socket.close()

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
    files = None if certificate is None else TlsFiles(certificate=certificate, authorities=certificate)
    bound = bind(socket.SOCK_DGRAM if transport == "UDP" else socket.SOCK_STREAM, host, port)
    address = address_of(bound, "TCP" if transport != "UDP" and files is None else transport)
    endpoint = TestEndpoint(address, contact_user, policy, tasks, None if files is None else load_tls(files))
    await endpoint.open(bound)
    return endpoint
