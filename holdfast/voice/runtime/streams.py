"""The connections SIP is spoken over, by TCP and TLS: those that peers open, and our own.

One connection per far end, whichever side opened it, used for everything said to that end. Nothing a peer sends, and
nothing it leaves unread, keeps a connection open for ever or fills our memory.
Source: RFC 3261 §18; RFC 5626 §3.5.1 for keep-alives.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Callable
from typing import Protocol, cast

from holdfast.voice.runtime.handshakes import HANDSHAKE_S, Handshake
from holdfast.voice.sip.effects import Address, Transport
from holdfast.voice.sip.framing import MESSAGE_WITHIN_S, PONG, Broken, Framer, Ping, Whole

log = logging.getLogger(__name__)

CONNECT_S = 5.0
IDLE_S = 60.0
"""A connection that was silent this long is closed, unless something of ours needs it."""
MAX_UNREAD_BYTES = 1 << 20
"""What we keep for a peer that does not read, before it is cut off."""
MAX_CONNECTIONS = 4000
MAX_CONNECTIONS_OF_ONE_HOST = 1000


class Owner(Protocol):
    """Who hears what comes over connections."""

    def received(self, data: bytes, source: Address) -> None:
        """One whole message."""
        ...

    def unframed(self, broken: Broken, source: Address) -> None:
        """The stream cannot be read on; it is closed next."""
        ...

    def disconnected(self, gone: Address) -> None:
        """A connection ended, or could not be had."""
        ...

    def needs(self, address: Address) -> bool:
        """Whether the connection must stay though it is silent."""
        ...


class Connection(asyncio.Protocol):
    """One connection. `address` is that of its far end."""

    def __init__(self, streams: Streams, transport: Transport) -> None:
        self._streams = streams
        self._kind = transport
        self._framer = Framer(streams.now(), within_s=streams.message_s)
        self._timer: asyncio.TimerHandle | None = None
        self._heard_at = streams.now()
        self._transport: asyncio.Transport
        self.address: Address

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Source: asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer is None:
            self.address = Address("0.0.0.0", 1, self._kind)
            self._transport.abort()
            return
        self.address = Address(str(peer[0]), int(peer[1]), self._kind)
        self._transport.set_write_buffer_limits(high=MAX_UNREAD_BYTES)
        if not self._streams.add(self):
            self._transport.abort()
            return
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Source: asyncio.Protocol."""
        if self._timer is not None:
            self._timer.cancel()
        self._streams.remove(self)

    def pause_writing(self) -> None:
        """The peer does not read what we send."""
        log.warning("sip connection to %s:%d cut: it does not read", self.address.host, self.address.port)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Source: asyncio.Protocol."""
        now = self._heard_at = self._streams.now()
        for piece in self._framer.feed(data, now):
            match piece:
                case Whole():
                    self._streams.owner.received(piece.data, self.address)
                case Ping():
                    self.write(PONG)
                case Broken():
                    self._break(piece)
        self._watch()

    def write(self, data: bytes) -> None:
        """Send, if the connection still stands."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Send what is due and a goodbye, and end; the peer's goodbye is not awaited.

        asyncio would await it for 30 s, by TLS, and leave the socket open when its loop ends before. Limit: of what
        is due by TLS, only what the system takes at once is sent.
        Source: RFC 8446 §6.1.
        """
        self._transport.close()
        if self._kind == "TLS":
            self._transport.abort()

    def abort(self) -> None:
        """End at once; what is due is lost."""
        self._transport.abort()

    def _break(self, broken: Broken) -> None:
        self._streams.owner.unframed(broken, self.address)
        self._transport.close()

    def _watch(self) -> None:
        """Look again when the message under way is late, or the connection has been silent for long."""
        if self._timer is not None:
            self._timer.cancel()
        now = self._streams.now()
        due = self._framer.due_at()
        wait = self._heard_at + self._streams.idle_s - now if due is None else due - now
        self._timer = asyncio.get_running_loop().call_later(max(0.01, wait), self._look)

    def _look(self) -> None:
        now = self._streams.now()
        late = self._framer.late(now)
        if late is not None:
            self._break(late)
        elif now - self._heard_at >= self._streams.idle_s:
            if self._streams.owner.needs(self.address):
                self._heard_at = now
                self._watch()
            else:
                self._transport.close()
        else:
            self._watch()


class Streams:
    """Every connection of one SIP endpoint. `client_tls` is with what our own TLS connections are made."""

    def __init__(
        self,
        owner: Owner,
        *,
        now: Callable[[], float],
        tasks: asyncio.TaskGroup,
        client_tls: ssl.SSLContext | None = None,
        name_of: Callable[[Address], str | None] = lambda _: None,
        idle_s: float = IDLE_S,
        message_s: float = MESSAGE_WITHIN_S,
        handshake_s: float = HANDSHAKE_S,
        connect_s: float = CONNECT_S,
        most_of_one_host: int = MAX_CONNECTIONS_OF_ONE_HOST,
    ) -> None:
        self.owner = owner
        self.now = now
        self.idle_s = idle_s
        self.message_s = message_s
        self._handshake_s = handshake_s
        self._connect_s = connect_s
        self._most_of_one_host = most_of_one_host
        self._tasks = tasks
        self._client_tls = client_tls
        self._name_of = name_of
        self._servers: list[asyncio.Server] = []
        self._open: dict[Address, Connection] = {}
        self._opening: dict[Address, list[bytes]] = {}
        self._hosts: Counter[str] = Counter()
        """Connections and handshakes by host. Invariant: none is counted twice, and hosts without any are not there."""
        self.shaking: set[asyncio.Transport] = set()
        """Source: handshakes.Gate."""
        self._closed = False

    async def listen(self, host: str, port: int, *, tls: ssl.SSLContext | None = None) -> Address:
        """Await connections; port 0 takes a free one. Raises: OSError."""
        kind: Transport = "TCP" if tls is None else "TLS"

        def greeted() -> asyncio.Protocol:
            if tls is None:
                return Connection(self, kind)
            return Handshake(self, tls, self._tasks, within_s=self._handshake_s)

        server = await asyncio.get_running_loop().create_server(greeted, host, port)
        self._servers.append(server)
        bound = server.sockets[0].getsockname()
        return Address(str(bound[0]), int(bound[1]), kind)

    def send(self, data: bytes, to: Address) -> None:
        """Send over the connection to that end, or open one first."""
        known = self._open.get(to)
        if known is not None:
            known.write(data)
        elif to in self._opening:
            if sum(map(len, self._opening[to])) < MAX_UNREAD_BYTES:
                self._opening[to].append(data)
        elif not self._closed:
            self._opening[to] = [data]
            self._tasks.create_task(self._connect(to), name=f"sip-connect {to.host}:{to.port}")

    def close(self) -> None:
        """End every connection, and await none."""
        self._closed = True
        for server in self._servers:
            server.close()
        for raw in tuple(self.shaking):
            raw.abort()
        for connection in tuple(self._open.values()):
            connection.close()

    def cut(self) -> None:
        """Break every connection at once, as a network does that fails."""
        for connection in tuple(self._open.values()):
            connection.abort()

    # --- for connections

    def add(self, connection: Connection) -> bool:
        """Take a connection in; False when there are too many, or one to the same end."""
        address = connection.address
        if address in self._open or not self.admit(address.host):
            return False
        self._open[address] = connection
        for data in self._opening.pop(address, ()):
            # Before anything that is sent from now on.
            connection.write(data)
        return True

    def remove(self, connection: Connection) -> None:
        """A connection ended."""
        address = connection.address
        if self._open.get(address) is not connection:
            return
        del self._open[address]
        self.release(address.host)
        if not self._closed:
            self.owner.disconnected(address)

    # --- for handshakes

    def admit(self, host: str) -> bool:
        """Source: handshakes.Gate. A connection that is done with its handshake is counted the same way."""
        crowded = self._hosts.get(host, 0) >= self._most_of_one_host or self._hosts.total() >= MAX_CONNECTIONS
        if self._closed or crowded:
            return False
        self._hosts[host] += 1
        return True

    def release(self, host: str) -> None:
        """Source: handshakes.Gate."""
        self._hosts[host] -= 1
        if not self._hosts[host]:
            del self._hosts[host]

    def sealed(self) -> Connection:
        """Source: handshakes.Gate."""
        return Connection(self, "TLS")

    async def _connect(self, to: Address) -> None:
        tls = self._client_tls if to.transport == "TLS" else None
        try:
            if to.transport == "TLS" and tls is None:
                raise OSError("TLS is not set up here")
            async with asyncio.timeout(self._connect_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self, to.transport),
                    to.host,
                    to.port,
                    ssl=tls,
                    server_hostname=None if tls is None else self._name_of(to) or to.host,
                )
        except (OSError, TimeoutError) as error:
            why = f"no answer within {self._connect_s:g} s" if isinstance(error, TimeoutError) else error
            log.warning("sip connection to %s:%d by %s not made: %s", to.host, to.port, to.transport, why)
            self._opening.pop(to, None)
            self.owner.disconnected(to)
            return
        if self._opening.pop(to, None) is not None and not self._closed:
            log.warning("sip connection to %s:%d by %s not kept: there are too many", to.host, to.port, to.transport)
            self.owner.disconnected(to)
