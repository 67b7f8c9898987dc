"""Run the SIP agent: own its sockets, connections and timers, and pass its events on in order."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Protocol

from holdfast.voice.runtime.sip.config.settings import (
    SipSettings,
    loopback_form,
)
from holdfast.voice.runtime.sip.transport.bound_sockets import BoundSockets
from holdfast.voice.runtime.sip.transport.streams import Streams
from holdfast.voice.runtime.sip.transport.udp_socket import SipSocket
from holdfast.voice.sip.agent import AdmissionPolicy, Agent, AgentSettings
from holdfast.voice.sip.effects import (
    Address,
    Effect,
    Event,
    InputRefused,
    LockedOut,
    MessageDropped,
    PasswordWrong,
    SendMessage,
    SessionId,
    StartSipTimer,
    StopSipTimer,
    TimerToken,
)
from holdfast.voice.sip.message.framing import FramingBroken
from holdfast.voice.sip.session_commands import SessionCommand

WARNING_INTERVAL_S = 10.0
"""At most one line in this time warns of dropped messages, and one of refused inputs."""

log = logging.getLogger(__name__)


class EndpointOwner(Protocol):
    """The port of an endpoint: what it reports events to, and what it asks for the time and for names."""

    def now(self) -> float:
        """Return the current time. Units: seconds since the Unix epoch."""
        ...

    def handle_event(self, event: Event) -> None:
        """Handle an event of the agent."""
        ...

    def certificate_name(self, to: Address) -> str | None:
        """Return the name in the certificate of a peer, if it differs from its host."""
        ...


class SystemRandomness:
    """The operating system's random words, and numbers that need not be unguessable. Source: settings.RandomSource."""

    def token(self) -> str:
        """Return a new unguessable word of letters and digits."""
        return secrets.token_hex(8)

    def random(self) -> float:
        """Return a number in [0, 1)."""
        return random.random()


class SipEndpoint:
    """An address at which the engine speaks SIP, with its agent. It reads nothing before `open`.

    `carry_out` takes what `agent` returns.
    """

    def __init__(
        self,
        settings: SipSettings,
        sockets: BoundSockets,
        *,
        owner: EndpointOwner,
        policy: AdmissionPolicy,
        secret: bytes,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._owner = owner
        self._sockets = sockets
        self._tls = settings.tls
        self._timers: dict[TimerToken, asyncio.TimerHandle] = {}
        self._idle = asyncio.Event()
        self.ignored: Counter[str] = Counter()
        """How many messages were dropped, and how many inputs of sessions were refused, since the start."""
        self._logged: Counter[str] = Counter()
        self._next_warning_at: defaultdict[str, float] = defaultdict(float)
        self.addresses = sockets.addresses
        """The addresses the endpoint listens at, one per transport, UDP first."""
        self.address = self.addresses[0]
        self.advertised = tuple(each._replace(host=settings.advertised_ip or each.host) for each in self.addresses)
        """The addresses that peers are given, one per transport, UDP first."""
        self.self_address = loopback_form(self.address)
        """The address at which the endpoint receives its own messages, and which they come from."""
        self._socket = SipSocket(self.handle_message)
        self._streams = Streams(self, tasks, client_tls=None if self._tls is None else self._tls.client)
        self.agent = Agent(
            AgentSettings(
                address=self.advertised[0],
                others=self.advertised[1:],
                secret=secret,
                user_agent=settings.user_agent,
                realm=settings.domain,
                algorithms=settings.algorithms,
                quiet=settings.quiet,
                session_expires_s=settings.liveness.session_expires_s,
                keepalive_s=settings.liveness.keepalive_s,
            ),
            SystemRandomness(),
            policy=policy,
        )

    async def open(self) -> None:
        """Read datagrams, and accept connections."""
        await self._socket.open(self._sockets.udp)
        await self._streams.listen(self._sockets.tcp)
        if self._tls is not None and self._sockets.tls is not None:
            await self._streams.listen(self._sockets.tls, tls=self._tls.server)

    def now(self) -> float:
        """Return the current time. Source: streams.ConnectionOwner."""
        return self._owner.now()

    def certificate_name(self, to: Address) -> str | None:
        """Return the name in a peer's certificate. Source: streams.ConnectionOwner."""
        return self._owner.certificate_name(to)

    def handle_message(self, data: bytes, source: Address) -> None:
        """Handle one received message."""
        self.carry_out(self.agent.receive(data, source, self._owner.now()))

    def handle_broken_framing(self, broken: FramingBroken, source: Address) -> None:
        """Handle a stream that can no longer be read. Source: streams.ConnectionOwner."""
        self.carry_out(
            self.agent.receive_unframed(broken.head, source, broken.status, broken.reason, self._owner.now())
        )

    def handle_disconnect(self, gone: Address) -> None:
        """Handle the end of a connection. Source: streams.ConnectionOwner."""
        self.carry_out(self.agent.handle_disconnect(gone, self._owner.now()))

    def needs_connection(self, address: Address) -> bool:
        """Return whether a silent connection must stay open. Source: streams.ConnectionOwner."""
        return self.agent.needs_connection(address, self._owner.now())

    def command(self, session: SessionId, command: SessionCommand) -> None:
        """Give a command to a session, and carry out its effects."""
        self.carry_out(self.agent.command(session, command, self._owner.now()))

    def carry_out(self, effects: Iterable[Effect]) -> None:
        """Carry out the agent's effects, in order."""
        for effect in effects:
            match effect:
                case SendMessage():
                    if effect.to.reliable:
                        self._streams.send(effect.data, effect.to)
                    else:
                        self._socket.send(effect.data, self._datagram_target(effect.to))
                case StartSipTimer():
                    self._stop(effect.token)
                    loop = asyncio.get_running_loop()
                    self._timers[effect.token] = loop.call_later(effect.after_s, self._fire, effect.token)
                case StopSipTimer():
                    self._stop(effect.token)
                case PasswordWrong():
                    why = "no such line, or not its password"
                    log.warning("sip source=%s user=%r fact=PasswordWrong: %s", effect.source.host, effect.user, why)
                case LockedOut():
                    _log_locked_out(effect)
                case MessageDropped():
                    source = f"{effect.source.host}:{effect.source.port} by {effect.source.transport}"
                    self._log_ignored("MessageDropped", source, effect.reason)
                case InputRefused():
                    why = f"a session that is {effect.state} takes no {effect.received}"
                    self._log_ignored("InputRefused", effect.session, why)
                    self._owner.handle_event(effect)
                case event:
                    self._owner.handle_event(event)
        if self.agent.is_idle():
            self._idle.set()

    def _datagram_target(self, to: Address) -> Address:
        """Return where a datagram is sent.

        A router may not send back what is addressed to its outer address, and 0.0.0.0 is no destination.
        """
        return self.self_address if to == self.advertised[0] else to

    def _log_ignored(self, fact: str, source: str, why: str) -> None:
        """Warn of what is ignored, with the number since the last line; rate-limited per kind."""
        self.ignored[fact] += 1
        if self._owner.now() >= self._next_warning_at[fact]:
            count, self._logged[fact] = self.ignored[fact] - self._logged[fact], self.ignored[fact]
            log.warning("fact=%s source=%s count=%d why=%r", fact, source, count, why)
            self._next_warning_at[fact] = self._owner.now() + WARNING_INTERVAL_S

    async def wait_idle(self) -> None:
        """Wait until no session is left."""
        self._idle.clear()
        if not self.agent.is_idle():
            await self._idle.wait()

    def close(self) -> None:
        """Stop all timers, end the connections and give the ports back."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._streams.close()
        self._socket.close()
        self._sockets.close()

    def _fire(self, token: TimerToken) -> None:
        del self._timers[token]
        self.carry_out(self.agent.fire(token, self._owner.now()))

    def _stop(self, token: TimerToken) -> None:
        timer = self._timers.pop(token, None)
        if timer is not None:
            timer.cancel()


def _log_locked_out(locked: LockedOut) -> None:
    log_values = (locked.source.host, "" if locked.user is None else f" user={locked.user!r}", locked.retry_in_s)
    log.warning("sip source=%s%s seconds=%.0f fact=LockedOut: too many wrong passwords", *log_values)
