"""Keep the TCP and TLS connections of an SIP endpoint: inbound ones from peers, and outbound ones of our own.

Each far end has one connection, whichever side opened it, and all messages to that end use it. No peer can keep a
connection open for ever or fill our memory, by what it sends or by what it leaves unread. Inbound connections are
counted per host; outbound ones are counted apart, so that a flood of inbound ones does not stop calls out.
Source: RFC 3261 §18; RFC 5626 §3.5.1 for keep-alives.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from dataclasses import dataclass
from typing import Protocol, assert_never, cast

from holdfast.voice.runtime.connection_limits import (
    ConnectionLimiter,
    RejectionLog,
    host_of,
    open_files_share,
)
from holdfast.voice.runtime.sip.transport.tls_handshakes import HANDSHAKE_S, Handshake
from holdfast.voice.sip.effects import Address, Transport
from holdfast.voice.sip.message.framing import (
    MESSAGE_WITHIN_S,
    PONG,
    CompleteMessage,
    Framer,
    FramingBroken,
    Ping,
)

log = logging.getLogger(__name__)

CONNECT_S = 5.0
IDLE_S = 60.0
"""A connection that was silent this long is closed, unless the agent needs it."""
MAX_UNREAD_BYTES = 1 << 20
"""How much is buffered for a peer that does not read before it is disconnected."""
MAX_CONNECTIONS = 4000
MAX_CONNECTIONS_OF_ONE_HOST = 1000
MAX_UNPROVEN = 256
"""The most TLS connections without one whole message; each may cost 100 kB."""
MAX_UNPROVEN_OF_ONE_HOST = 64
TOO_MANY_SLOW = "there are too many, and they are slow"
SLOW_TIMEOUT_S = 1.0
"""How long a slow connection may take while other connections of its host wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """The limits of connections. Units: seconds; `most` is None where the open files of the system decide."""

    idle_s: float = IDLE_S
    message_s: float = MESSAGE_WITHIN_S
    handshake_s: float = HANDSHAKE_S
    connect_s: float = CONNECT_S
    most: int | None = None
    most_of_one_host: int = MAX_CONNECTIONS_OF_ONE_HOST
    most_handshakes: int = MAX_UNPROVEN
    most_handshakes_of_one_host: int = MAX_UNPROVEN_OF_ONE_HOST


class ConnectionOwner(Protocol):
    """An object that receives what arrives over connections, and knows the time."""

    def now(self) -> float:
        """Return the current time. Units: seconds."""
        ...

    def certificate_name(self, to: Address) -> str | None:
        """Return the name in the certificate of a peer, if it differs from its host."""
        ...

    def handle_message(self, data: bytes, source: Address) -> None:
        """Handle one whole message."""
        ...

    def handle_broken_framing(self, broken: FramingBroken, source: Address) -> None:
        """Handle a stream that can no longer be read; it is closed next."""
        ...

    def handle_disconnect(self, gone: Address) -> None:
        """Handle the end of a connection, or a connection that could not be made."""
        ...

    def needs_connection(self, address: Address) -> bool:
        """Return whether the connection must stay open though it is silent."""
        ...


DEFAULT_LIMITS = StreamLimits()


class Connection(asyncio.Protocol):
    """A connection to one far end, at `address`.

    `handshake` is its TLS handshake, which counts until the first whole message. `outbound`: we opened the connection.
    """

    def __init__(
        self, streams: Streams, transport: Transport, *, outbound: bool = False, handshake: Handshake | None = None
    ) -> None:
        self._streams = streams
        self._handshake = handshake
        self.outbound = outbound
        self._has_sent_message = False
        """Whether the peer has sent one whole message; a ping is none."""
        self._transport_kind = transport
        self._framer = Framer(streams.now(), within_s=streams.limits.message_s)
        self._timer: asyncio.TimerHandle | None = None
        self._received_at = streams.now()
        self._transport: asyncio.Transport
        self.address: Address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection in, or abort it if there are too many. Source: asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer is None:
            self.address = Address("0.0.0.0", 1, self._transport_kind)
            self._transport.abort()
            self._end_handshake()
            return
        self.address = Address(str(peer[0]), int(peer[1]), self._transport_kind)
        self._transport.set_write_buffer_limits(high=MAX_UNREAD_BYTES)
        if not self._streams.add(self):
            self._transport.abort()
            return
        self._schedule_check()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection. Source: asyncio.Protocol."""
        if self._timer is not None:
            self._timer.cancel()
        self._end_handshake()
        self._streams.remove(self)

    def evict(self) -> None:
        """End the connection at once, to make room. Source: connection_limits.Member."""
        self._streams.rejections.report(host_of(self.address.host), TOO_MANY_SLOW, self._now())
        self._transport.abort()

    def pause_writing(self) -> None:
        """End the connection of a peer that does not read."""
        self._streams.rejections.report(host_of(self.address.host), "it does not read", self._now())
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Split received bytes into messages. Source: asyncio.Protocol."""
        now = self._received_at = self._streams.now()
        for item in self._framer.feed(data, now):
            match item:
                case CompleteMessage():
                    self._has_sent_message = True
                    self._end_handshake()
                    self._streams.owner.handle_message(item.data, self.address)
                case Ping():
                    self.write(PONG)
                case FramingBroken():
                    self._close_broken(item)
                case _:
                    assert_never(item)
        self._schedule_check()

    def write(self, data: bytes) -> None:
        """Send bytes, if the connection is still open."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Send what is buffered and a closing alert, and end; the peer's alert is not awaited.

        By TLS, asyncio would await it for 30 s, and leave the socket open if its loop ends before. Limit: by TLS, only
        what the system accepts at once is sent.
        Source: RFC 8446 §6.1.
        """
        self._transport.close()
        if self._transport_kind == "TLS":
            self._transport.abort()

    def abort(self) -> None:
        """End the connection at once; buffered bytes are lost."""
        self._transport.abort()

    def _now(self) -> float:
        return self._streams.now()

    def _end_handshake(self) -> None:
        """Stop counting the handshake: the peer sent a message, or the connection ended."""
        if self._handshake is not None:
            self._streams.release(self._handshake)
            self._handshake = None

    def _close_broken(self, broken: FramingBroken) -> None:
        self._streams.owner.handle_broken_framing(broken, self.address)
        self._transport.close()

    def _schedule_check(self) -> None:
        """Schedule the next check: when the current message is late, or the connection has been silent too long."""
        if self._timer is not None:
            self._timer.cancel()
        now = self._streams.now()
        due = self._framer.due_at()
        self._streams.note_received(self, is_waiting=due is not None or not self._has_sent_message)
        wait = self._received_at + self._streams.limits.idle_s - now if due is None else due - now
        self._timer = asyncio.get_running_loop().call_later(max(0.01, wait), self._check_deadlines)

    def _check_deadlines(self) -> None:
        now = self._streams.now()
        broken = self._framer.check_late(now)
        if broken is not None:
            self._close_broken(broken)
        elif now - self._received_at >= self._streams.limits.idle_s:
            if self._streams.owner.needs_connection(self.address):
                self._received_at = now
                self._schedule_check()
            else:
                self._transport.close()
        else:
            self._schedule_check()


class Streams:
    """All connections of one SIP endpoint. `client_tls` is the TLS context of outbound connections."""

    def __init__(
        self,
        owner: ConnectionOwner,
        tasks: asyncio.TaskGroup,
        *,
        client_tls: ssl.SSLContext | None = None,
        limits: StreamLimits = DEFAULT_LIMITS,
    ) -> None:
        self.owner = owner
        self.now = owner.now
        self.limits = limits
        self._tasks = tasks
        self._client_tls = client_tls
        self._servers: list[asyncio.Server] = []
        self._open: dict[Address, Connection] = {}
        self._opening: dict[Address, list[bytes]] = {}
        most, most_of_one_host = limits.most, limits.most_of_one_host
        if most is None:
            most = open_files_share(4, MAX_CONNECTIONS)
            most_of_one_host = min(most_of_one_host, max(1, most // 4))
        self._inbound: ConnectionLimiter[Connection] = ConnectionLimiter(
            max_total=most, max_per_host=most_of_one_host, grace_s=SLOW_TIMEOUT_S
        )
        self._outbound: ConnectionLimiter[Connection] = ConnectionLimiter(max_total=most, max_per_host=most)
        self.handshakes: ConnectionLimiter[Handshake] = ConnectionLimiter(
            max_total=open_files_share(16, limits.most_handshakes),
            max_per_host=limits.most_handshakes_of_one_host,
            grace_s=SLOW_TIMEOUT_S,
        )
        self.rejections = RejectionLog(log, "SIP connections")
        self._closed = False

    async def listen(self, bound: socket.socket, *, tls: ssl.SSLContext | None = None) -> None:
        """Listen for connections at a bound socket."""
        kind: Transport = "TCP" if tls is None else "TLS"

        def make_protocol() -> asyncio.Protocol:
            if tls is None:
                return Connection(self, kind)
            return Handshake(self, tls, within_s=self.limits.handshake_s)

        self._servers.append(await asyncio.get_running_loop().create_server(make_protocol, sock=bound))

    @property
    def open(self) -> int:
        """Return how many connections are open, in both directions."""
        return len(self._open)

    def send(self, data: bytes, to: Address) -> None:
        """Send over the connection to that end; open one first if there is none."""
        connection = self._open.get(to)
        if connection is not None:
            connection.write(data)
        elif to in self._opening:
            if sum(map(len, self._opening[to])) < MAX_UNREAD_BYTES:
                self._opening[to].append(data)
        elif not self._closed:
            self._opening[to] = [data]
            self._tasks.create_task(self._connect(to), name=f"sip-connect {to.host}:{to.port}")

    def close(self) -> None:
        """End every connection without waiting."""
        self._closed = True
        for server in self._servers:
            server.close()
        for handshake in self.handshakes.members():
            handshake.abort()
        for connection in tuple(self._open.values()):
            connection.close()

    def abort_all(self) -> None:
        """Break every connection at once, as a failing network does."""
        for connection in tuple(self._open.values()):
            connection.abort()

    # --- for connections

    def add(self, connection: Connection) -> bool:
        """Add a connection; return False if there are too many, or there is one to the same end."""
        address = connection.address
        host, now = host_of(address.host), self.now()
        crowd = self._outbound if connection.outbound else self._inbound
        if self._closed or address in self._open:
            return False
        if not crowd.admit(connection, host, now):
            self.rejections.report(host, "there are too many", now)
            return False
        self._open[address] = connection
        for data in self._opening.pop(address, ()):
            # These precede all messages that are sent from now on.
            connection.write(data)
        return True

    def remove(self, connection: Connection) -> None:
        """Remove a connection that ended."""
        self._inbound.remove(connection)
        self._outbound.remove(connection)
        address = connection.address
        if self._open.get(address) is not connection:
            return
        del self._open[address]
        if not self._closed:
            self.owner.handle_disconnect(address)

    def note_received(self, connection: Connection, *, is_waiting: bool) -> None:
        """Note that a connection received bytes, and whether the rest of a message is awaited."""
        if connection.outbound:
            return
        if is_waiting:
            self._inbound.mark_waiting(connection, self.now())
        else:
            self._inbound.mark_served(connection)

    # --- for handshakes

    def admit(self, handshake: Handshake, host: str) -> bool:
        """Count a handshake, unless there are too many. Source: tls_handshakes.HandshakeGate."""
        now = self.now()
        if self._closed:
            return False
        if not self._inbound.has_room(host, now) or not self.handshakes.admit(handshake, host, now):
            self.rejections.report(host, "there are too many", now)
            return False
        return True

    def log_displaced(self, host: str) -> None:
        """Log that a slow connection was ended. Source: tls_handshakes.HandshakeGate."""
        self.rejections.report(host, TOO_MANY_SLOW, self.now())

    def release(self, handshake: Handshake) -> None:
        """Stop counting a handshake. Source: tls_handshakes.HandshakeGate."""
        self.handshakes.remove(handshake)

    def connection_for(self, handshake: Handshake) -> Connection:
        """Return the protocol of a connection after its handshake. Source: tls_handshakes.HandshakeGate."""
        return Connection(self, "TLS", handshake=handshake)

    async def _connect(self, to: Address) -> None:
        tls = self._client_tls if to.transport == "TLS" else None
        try:
            if to.transport == "TLS" and tls is None:
                raise OSError("TLS is not set up here")
            async with asyncio.timeout(self.limits.connect_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self, to.transport, outbound=True),
                    to.host,
                    to.port,
                    ssl=tls,
                    server_hostname=None if tls is None else self.owner.certificate_name(to) or to.host,
                )
        except (OSError, TimeoutError) as error:
            why = f"no answer within {self.limits.connect_s:g} s" if isinstance(error, TimeoutError) else error
            log.warning("sip connection to %s:%d by %s not made: %s", to.host, to.port, to.transport, why)
            self._opening.pop(to, None)
            self.owner.handle_disconnect(to)
            return
        if self._opening.pop(to, None) is not None and not self._closed:
            log.warning("sip connection to %s:%d by %s not kept: there are too many", to.host, to.port, to.transport)
            self.owner.handle_disconnect(to)
