"""TLS handshakes of connections that come in: counted from their first packet, and given up when they dawdle.

asyncio's own TLS server shows a connection once its handshake is done; whoever only opens many would be counted never.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Protocol, cast

HANDSHAKE_S = 10.0


class Gate(Protocol):
    """Who counts connections, and takes those whose handshake is done."""

    def admit(self, host: str) -> bool:
        """Count a handshake from this host; False when there are too many connections already."""
        ...

    def release(self, host: str) -> None:
        """That handshake is over, however it went."""
        ...

    @property
    def shaking(self) -> set[asyncio.Transport]:
        """The connections whose handshake is under way."""
        ...

    def sealed(self) -> asyncio.Protocol:
        """Who takes a connection from here on."""
        ...


class Handshake(asyncio.Protocol):
    """One handshake. Invariant: one that was admitted is released once, before its connection is taken over."""

    def __init__(self, gate: Gate, tls: ssl.SSLContext, tasks: asyncio.TaskGroup, *, within_s: float) -> None:
        self._gate = gate
        self._tls = tls
        self._tasks = tasks
        self._within_s = within_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Source: asyncio.Protocol."""
        raw = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer is None or not self._gate.admit(str(peer[0])):
            raw.abort()
            return
        raw.pause_reading()
        self._tasks.create_task(self._shake(raw, str(peer[0])), name=f"sip-handshake {peer[0]}")

    async def _shake(self, raw: asyncio.Transport, host: str) -> None:
        waiting = Early(self._gate)
        self._gate.shaking.add(raw)
        try:
            made = await asyncio.get_running_loop().start_tls(
                raw, waiting, self._tls, server_side=True, ssl_handshake_timeout=self._within_s
            )
        except OSError:
            # It spoke no TLS, or none we speak, or it took too long, or it went away.
            made = None
        finally:
            self._gate.shaking.discard(raw)
            self._gate.release(host)
        if made is not None:
            waiting.take_over(made)


class Early(asyncio.Protocol):
    """Keeps what comes with the end of the handshake, until its connection is taken over."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._then: asyncio.Protocol | None = None
        self._kept: list[bytes] = []
        self._lost: tuple[Exception | None] | None = None

    def take_over(self, transport: asyncio.Transport) -> None:
        """Hand the connection on, with all that came so far."""
        self._then = self._gate.sealed()
        transport.set_protocol(self._then)
        self._then.connection_made(transport)
        for data in self._kept:
            self._then.data_received(data)
        if self._lost is not None:
            self._then.connection_lost(*self._lost)

    def data_received(self, data: bytes) -> None:
        """Source: asyncio.Protocol. Once it is taken over nothing comes here any more."""
        self._kept.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Source: asyncio.Protocol. It may have been on its way here when the connection was taken over."""
        if self._then is None:
            self._lost = (exc,)
        else:
            self._then.connection_lost(exc)
