"""The shell around the SIP agent: its sockets and connections, its timers, and events handed on in order."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Iterable

from holdfast.voice.runtime.sip.config.settings import (
    SipSettings,
    loopback_form,
)
from holdfast.voice.runtime.sip.transport.streams import Streams
from holdfast.voice.runtime.sip.transport.udp_socket import SipSocket, open_sip_socket
from holdfast.voice.sip.agent import AdmissionPolicy, Agent, AgentSettings
from holdfast.voice.sip.effects import (
    Address,
    Effect,
    Event,
    LockedOut,
    MessageDropped,
    PasswordWrong,
    SendMessage,
    StartTimer,
    StopTimer,
    TimerToken,
)
from holdfast.voice.sip.message.framing import FramingBroken

FREE_PORT_TRIES = 20
WARNING_INTERVAL_S = 10.0

log = logging.getLogger(__name__)


class SipEndpoint:
    """A SIP address of ours. Made by `open_endpoint`; `agent` is asked, and what it returns goes to `do`."""

    def __init__(self, *, on_event: Callable[[Event], None], now: Callable[[], float]) -> None:
        self._on_event = on_event
        self._now = now
        self._timers: dict[TimerToken, asyncio.TimerHandle] = {}
        self._idle = asyncio.Event()
        self._dropped = 0
        self._next_warning_at = 0.0
        self.socket: SipSocket
        self.streams: Streams
        self.addresses: tuple[Address, ...] = ()
        """Where SIP is awaited, by each transport."""
        self.advertised: tuple[Address, ...] = ()
        """Where peers are told to reach us, by each; over UDP first."""
        self.self_address: Address
        """Whence and where what we send to ourselves comes in."""
        self.agent: Agent

    @property
    def address(self) -> Address:
        """Where phones reach us."""
        return self.socket.address

    def handle_message(self, data: bytes, source: Address) -> None:
        """One message came in."""
        self.carry_out(self.agent.receive(data, source, self._now()))

    def handle_broken_framing(self, broken: FramingBroken, source: Address) -> None:
        """Source: streams.Owner."""
        self.carry_out(self.agent.receive_unframed(broken.head, source, broken.status, broken.reason, self._now()))

    def handle_disconnect(self, gone: Address) -> None:
        """Source: streams.Owner."""
        self.carry_out(self.agent.handle_disconnect(gone, self._now()))

    def needs_connection(self, address: Address) -> bool:
        """Source: streams.Owner."""
        return self.agent.needs_connection(address, self._now())

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """Carry out what the agent asks for, in order."""
        for effect in effects:
            match effect:
                case SendMessage():
                    if effect.to.reliable:
                        self.streams.send(effect.data, effect.to)
                    else:
                        self.socket.send(effect.data, self._datagram_target(effect.to))
                case StartTimer():
                    self._stop(effect.token)
                    loop = asyncio.get_running_loop()
                    self._timers[effect.token] = loop.call_later(effect.after_s, self._fire, effect.token)
                case StopTimer():
                    self._stop(effect.token)
                case PasswordWrong():
                    why = "no such line, or not its password"
                    log.warning("sip source=%s user=%r fact=PasswordWrong: %s", effect.source.host, effect.user, why)
                case LockedOut():
                    _log_locked_out(effect)
                case MessageDropped():
                    self._log_dropped(effect)
                case event:
                    self._on_event(event)
        if self.agent.is_idle():
            self._idle.set()

    def _datagram_target(self, to: Address) -> Address:
        """Where a datagram goes. A router need not lead back in what is sent to its outer address, nor 0.0.0.0."""
        return self.self_address if to == self.advertised[0] else to

    def _log_dropped(self, dropped: MessageDropped) -> None:
        """Warn of what nobody can be answered about, and not at every one: whoever sends garbage sends much of it."""
        self._dropped += 1
        if self._now() >= self._next_warning_at:
            host, port, transport = dropped.source
            log_values = (f"{host}:{port} by {transport}", self._dropped, dropped.reason)
            log.warning("fact=MessageDropped source=%s count=%d why=%r", *log_values)
            self._next_warning_at, self._dropped = self._now() + WARNING_INTERVAL_S, 0

    async def wait_idle(self) -> None:
        """Return once no session lives any more."""
        self._idle.clear()
        if not self.agent.is_idle():
            await self._idle.wait()

    def close(self) -> None:
        """Stop all timers, end the connections and give the ports back."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.streams.close()
        self.socket.close()

    def _fire(self, token: TimerToken) -> None:
        del self._timers[token]
        self.carry_out(self.agent.fire(token, self._now()))

    def _stop(self, token: TimerToken) -> None:
        timer = self._timers.pop(token, None)
        if timer is not None:
            timer.cancel()


def _log_locked_out(locked: LockedOut) -> None:
    log_values = (locked.source.host, "" if locked.user is None else f" user={locked.user!r}", locked.retry_in_s)
    log.warning("sip source=%s%s seconds=%.0f fact=LockedOut: too many wrong passwords", *log_values)


async def open_endpoint(
    settings: SipSettings,
    *,
    secret: bytes,
    policy: Callable[[Address], AdmissionPolicy],
    on_event: Callable[[Event], None],
    now: Callable[[], float],
    tasks: asyncio.TaskGroup,
    tls_name: Callable[[Address], str | None] = lambda _: None,
) -> SipEndpoint:
    """Listen for SIP over UDP and TCP, at the same port, and over TLS. Raises: OSError when a port cannot be had."""
    endpoint = SipEndpoint(on_event=on_event, now=now)
    tls = settings.tls
    client_tls = None if tls is None else tls.client
    endpoint.streams = Streams(endpoint, now=now, tasks=tasks, client_tls=client_tls, name_of=tls_name)
    tcp_address = await _listen(endpoint, settings.address)
    endpoint.addresses = (endpoint.socket.address, tcp_address)
    if tls is not None:
        tls_address = await endpoint.streams.listen(tcp_address.host, settings.tls_port, tls=tls.server)
        endpoint.addresses += (tls_address,)
    endpoint.advertised = tuple(each._replace(host=settings.advertised_ip or each.host) for each in endpoint.addresses)
    endpoint.self_address = loopback_form(endpoint.address)
    endpoint.agent = Agent(
        AgentSettings(
            address=endpoint.advertised[0],
            others=endpoint.advertised[1:],
            secret=secret,
            user_agent=settings.user_agent,
            realm=settings.domain,
            algorithms=settings.algorithms,
            quiet=settings.quiet,
            session_expires_s=settings.liveness.session_expires_s,
            keepalive_s=settings.liveness.keepalive_s,
        ),
        token=lambda: secrets.token_hex(8),
        random=random.random,
        policy=policy(endpoint.address),
    )
    return endpoint


async def _listen(endpoint: SipEndpoint, address: tuple[str, int]) -> Address:
    """The same port for datagrams and for connections; where connections are awaited.

    Port 0 takes one that is free for both.
    """
    for tries_left in reversed(range(FREE_PORT_TRIES)):
        endpoint.socket = await open_sip_socket(address, endpoint.handle_message)
        try:
            return await endpoint.streams.listen(endpoint.socket.address.host, endpoint.socket.address.port)
        except OSError:
            endpoint.socket.close()
            if address[1] or not tries_left:
                raise
    raise AssertionError("the last try raises")
