"""The shell around the SIP agent: its sockets and connections, its timers, and events handed on in order."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable, Iterable

from holdfast.voice.runtime.sip.config.settings import (
    SipSettings,
    reached_here,
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
WARN_EVERY_S = 10.0

log = logging.getLogger(__name__)


class SipEndpoint:
    """A SIP address of ours. Made by `open_endpoint`; `agent` is asked, and what it returns goes to `do`."""

    def __init__(self, *, happened: Callable[[Event], None], now: Callable[[], float]) -> None:
        self._happened = happened
        self._now = now
        self._timers: dict[TimerToken, asyncio.TimerHandle] = {}
        self._at_rest = asyncio.Event()
        self._dropped = 0
        self._quiet_until = 0.0
        self.socket: SipSocket
        self.streams: Streams
        self.addresses: tuple[Address, ...] = ()
        """Where SIP is awaited, by each transport."""
        self.shown: tuple[Address, ...] = ()
        """Where peers are told to reach us, by each; over UDP first."""
        self.itself: Address
        """Whence and where what we send to ourselves comes in."""
        self.agent: Agent

    @property
    def address(self) -> Address:
        """Where phones reach us."""
        return self.socket.address

    def received(self, data: bytes, source: Address) -> None:
        """One message came in."""
        self.do(self.agent.receive(data, source, self._now()))

    def unframed(self, broken: FramingBroken, source: Address) -> None:
        """Source: streams.Owner."""
        self.do(self.agent.receive_unframed(broken.head, source, broken.status, broken.reason, self._now()))

    def disconnected(self, gone: Address) -> None:
        """Source: streams.Owner."""
        self.do(self.agent.handle_disconnect(gone, self._now()))

    def needs(self, address: Address) -> bool:
        """Source: streams.Owner."""
        return self.agent.needs_connection(address, self._now())

    def do(self, effects: Iterable[Effect]) -> None:
        """Carry out what the agent asks for, in order."""
        for effect in effects:
            match effect:
                case SendMessage():
                    if effect.to.reliable:
                        self.streams.send(effect.data, effect.to)
                    else:
                        self.socket.send(effect.data, self._inside(effect.to))
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
                    _tell_locked_out(effect)
                case MessageDropped():
                    self._tell_dropped(effect)
                case event:
                    self._happened(event)
        if self.agent.is_idle():
            self._at_rest.set()

    def _inside(self, to: Address) -> Address:
        """Where a datagram goes. A router need not lead back in what is sent to its outer address, nor 0.0.0.0."""
        return self.itself if to == self.shown[0] else to

    def _tell_dropped(self, dropped: MessageDropped) -> None:
        """Warn of what nobody can be answered about, and not at every one: whoever sends garbage sends much of it."""
        self._dropped += 1
        if self._now() >= self._quiet_until:
            host, port, transport = dropped.source
            told = (f"{host}:{port} by {transport}", self._dropped, dropped.reason)
            log.warning("fact=MessageDropped source=%s count=%d why=%r", *told)
            self._quiet_until, self._dropped = self._now() + WARN_EVERY_S, 0

    async def rest(self) -> None:
        """Return once no session lives any more."""
        self._at_rest.clear()
        if not self.agent.is_idle():
            await self._at_rest.wait()

    def close(self) -> None:
        """Stop all timers, end the connections and give the ports back."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self.streams.close()
        self.socket.close()

    def _fire(self, token: TimerToken) -> None:
        del self._timers[token]
        self.do(self.agent.fire(token, self._now()))

    def _stop(self, token: TimerToken) -> None:
        timer = self._timers.pop(token, None)
        if timer is not None:
            timer.cancel()


def _tell_locked_out(locked: LockedOut) -> None:
    told = (locked.source.host, "" if locked.user is None else f" user={locked.user!r}", locked.retry_in_s)
    log.warning("sip source=%s%s seconds=%.0f fact=LockedOut: too many wrong passwords", *told)


async def open_endpoint(
    settings: SipSettings,
    *,
    secret: bytes,
    policy: Callable[[Address], AdmissionPolicy],
    happened: Callable[[Event], None],
    now: Callable[[], float],
    tasks: asyncio.TaskGroup,
    tls_name: Callable[[Address], str | None] = lambda _: None,
) -> SipEndpoint:
    """Listen for SIP over UDP and TCP, at the same port, and over TLS. Raises: OSError when a port cannot be had."""
    made = SipEndpoint(happened=happened, now=now)
    tls = settings.tls
    client_tls = None if tls is None else tls.client
    made.streams = Streams(made, now=now, tasks=tasks, client_tls=client_tls, name_of=tls_name)
    connected = await _listen(made, settings.address)
    made.addresses = (made.socket.address, connected)
    if tls is not None:
        secured = await made.streams.listen(connected.host, settings.tls_port, tls=tls.server)
        made.addresses += (secured,)
    made.shown = tuple(each._replace(host=settings.shown_ip or each.host) for each in made.addresses)
    made.itself = reached_here(made.address)
    made.agent = Agent(
        AgentSettings(
            address=made.shown[0],
            others=made.shown[1:],
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
        policy=policy(made.address),
    )
    return made


async def _listen(made: SipEndpoint, address: tuple[str, int]) -> Address:
    """The same port for datagrams and for connections; where connections are awaited.

    Port 0 takes one that is free for both.
    """
    for tries_left in reversed(range(FREE_PORT_TRIES)):
        made.socket = await open_sip_socket(address, made.received)
        try:
            return await made.streams.listen(made.socket.address.host, made.socket.address.port)
        except OSError:
            made.socket.close()
            if address[1] or not tries_left:
                raise
    raise AssertionError("the last try raises")
