"""Run TLS on inbound connections: the handshake, counted from its first packet, and the encrypted stream after it.

asyncio's own TLS server takes 300 kB for each connection before the peer has sent anything, in a cycle of references
that only a garbage collection ends; half-open connections would fill the memory for good. This module takes nothing
before the first bytes, 70 kB then, and frees it at once.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Protocol, cast

from holdfast.voice.runtime.connection_limits import host_of

HANDSHAKE_S = 10.0
MAX_HELLO_BYTES = 32_768
"""The most bytes of a peer's part of a handshake. OpenSSL alone would keep 128 kB for each."""
RECORD_BYTES = 16_384
"""The longest TLS record. Source: RFC 8446 §5.1."""


class HandshakeGate(Protocol):
    """An object that counts connections, and provides the protocol of those whose handshake is done."""

    def admit(self, handshake: Handshake, host: str) -> bool:
        """Count a handshake from this host; return False if there are too many connections already."""
        ...

    def log_displaced(self, host: str) -> None:
        """Log that a connection of this host was ended to make room for another."""
        ...

    def release(self, handshake: Handshake) -> None:
        """Stop counting a handshake that failed."""
        ...

    def connection_for(self, handshake: Handshake) -> asyncio.Protocol:
        """Return the protocol of a connection whose handshake is done."""
        ...


class Handshake(asyncio.Protocol):
    """The handshake of one connection. Invariant: an admitted one is released, or its connection is taken over."""

    def __init__(self, gate: HandshakeGate, tls: ssl.SSLContext, *, within_s: float) -> None:
        self._gate = gate
        self._context = tls
        self._within_s = within_s
        self._tls: _Tls | None = None
        self._received = 0
        self._timeout: asyncio.TimerHandle | None = None
        self._raw: asyncio.Transport | None = None
        self._host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the handshake, or abort if there are too many. Source: asyncio.Protocol."""
        self._raw = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._host = "" if peer is None else host_of(str(peer[0]))
        if peer is None or not self._gate.admit(self, self._host):
            self._raw.abort()
            return
        self._timeout = asyncio.get_running_loop().call_later(self._within_s, self.abort)

    def data_received(self, data: bytes) -> None:
        """Continue the handshake with received bytes. Source: asyncio.Protocol."""
        raw = self._raw
        if raw is None or raw.is_closing():
            return
        tls = self._tls = self._tls or _Tls(self._context)
        tls.incoming.write(data)
        self._received += len(data)
        try:
            tls.object.do_handshake()
        except ssl.SSLWantReadError:
            tls.flush(raw)
            if self._received > MAX_HELLO_BYTES:
                raw.abort()
        except ssl.SSLError:
            # It is no TLS, or a version we refuse; the alert says why.
            tls.flush(raw)
            raw.close()
        else:
            tls.flush(raw)
            self._take_over(raw, tls)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release the handshake. Source: asyncio.Protocol.

        After the handshake the raw connection has another protocol.
        """
        self._stop()
        self._tls = None
        self._raw = None
        self._gate.release(self)

    def evict(self) -> None:
        """End the connection at once, during the handshake or after it. Source: connection_limits.Member."""
        self._gate.log_displaced(self._host)
        self.abort()

    def abort(self) -> None:
        """End the connection at once."""
        if self._raw is not None:
            self._raw.abort()

    def _take_over(self, raw: asyncio.Transport, tls: _Tls) -> None:
        self._stop()
        self._tls = None
        encrypted = Encrypted(raw, tls, self._gate.connection_for(self))
        raw.set_protocol(encrypted)
        encrypted.begin()

    def _stop(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None


class _Tls:
    """One end of a TLS connection, in memory."""

    __slots__ = ("incoming", "object", "outgoing")

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def flush(self, raw: asyncio.Transport) -> None:
        """Send the bytes that TLS has produced."""
        if self.outgoing.pending:
            raw.write(self.outgoing.read())


class Encrypted(asyncio.Transport, asyncio.Protocol):
    """A connection after its handshake: the transport of `protocol`, and the protocol of the raw connection.

    Invariant: `protocol` is notified of the end once, and refers to nothing of ours after that.
    """

    def __init__(self, raw: asyncio.Transport, tls: _Tls, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self._raw = raw
        self._tls: _Tls | None = tls
        self._protocol: asyncio.Protocol | None = protocol
        self._closing = False

    def begin(self) -> None:
        """Pass the connection on, with the bytes that followed the handshake."""
        if self._protocol is not None:
            self._protocol.connection_made(self)
        self._read()

    # --- called by the raw connection

    def data_received(self, data: bytes) -> None:
        """Decrypt received bytes. Source: asyncio.Protocol."""
        if self._tls is not None:
            self._tls.incoming.write(data)
            self._read()

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify the protocol of the end. Source: asyncio.Protocol."""
        self._closing = True
        self._tls = None
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(exc)

    def pause_writing(self) -> None:
        """Ask the protocol to stop writing. Source: asyncio.Protocol."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Let the protocol write again. Source: asyncio.Protocol."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    # --- called by the protocol

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return a property of the raw connection. Source: asyncio.BaseTransport."""
        return self._raw.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the limits of the raw connection. Source: asyncio.WriteTransport."""
        self._raw.set_write_buffer_limits(high, low)

    def is_closing(self) -> bool:
        """Return whether the connection is ending. Source: asyncio.BaseTransport."""
        return self._closing or self._raw.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send bytes. Source: asyncio.WriteTransport."""
        if self._tls is not None and not self.is_closing():
            remaining = memoryview(data)
            while remaining:  # a record at a time
                remaining = remaining[self._tls.object.write(remaining) :]
            self._tls.flush(self._raw)

    def close(self) -> None:
        """Send a closing alert and end; the peer's alert is not awaited. Source: RFC 8446 §6.1."""
        if self._tls is not None and not self.is_closing():
            self._closing = True
            with suppress(ssl.SSLError):  # the peer sends no closing alert
                self._tls.object.unwrap()
            self._tls.flush(self._raw)
        self._closing = True
        self._raw.close()

    def abort(self) -> None:
        """End the connection at once. Source: asyncio.WriteTransport."""
        self._closing = True
        self._raw.abort()

    def _read(self) -> None:
        while self._tls is not None and self._protocol is not None and not self.is_closing():
            try:
                data = self._tls.object.read(RECORD_BYTES)
            except ssl.SSLWantReadError:
                self._tls.flush(self._raw)  # such as the response to a key update
                return
            except ssl.SSLZeroReturnError:
                self.close()
            except ssl.SSLError:
                # The bytes cannot be decrypted; the alert says why.
                self._tls.flush(self._raw)
                self.abort()
            else:
                if not data:
                    self.close()
                    return
                self._protocol.data_received(data)
