"""Bind the sockets of a SIP endpoint, so that its addresses are known before it is made."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import ip_address

from holdfast.voice.runtime.sip.config.settings import SipSettings
from holdfast.voice.sip.effects import Address, Transport

FREE_PORT_TRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundSockets:
    """The sockets of an endpoint, which it reads once it is open. UDP and TCP have the same port."""

    udp: socket.socket
    tcp: socket.socket
    tls: socket.socket | None = None

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Return the address of each socket: UDP, TCP, and TLS if it is spoken."""
        plain = (address_of(self.udp, "UDP"), address_of(self.tcp, "TCP"))
        return plain if self.tls is None else (*plain, address_of(self.tls, "TLS"))

    def close(self) -> None:
        """Give the ports back."""
        for each in (self.udp, self.tcp, self.tls):
            if each is not None:
                each.close()


def bind_sockets(settings: SipSettings) -> BoundSockets:
    """Bind UDP and TCP at the same port, and TLS if it is spoken; port 0 takes one that is free for both.

    Raises: OSError if a port is not free.
    """
    host, port = settings.address
    for tries_left in reversed(range(FREE_PORT_TRIES)):
        udp = bind(socket.SOCK_DGRAM, host, port)
        try:
            tcp = bind(socket.SOCK_STREAM, host, udp.getsockname()[1])
        except OSError:
            udp.close()
            if port or not tries_left:
                raise
        else:
            break
    try:
        tls = None if settings.tls is None else bind(socket.SOCK_STREAM, host, settings.tls_port)
    except OSError:
        udp.close()
        tcp.close()
        raise
    return BoundSockets(udp=udp, tcp=tcp, tls=tls)


def bind(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    """Return a socket bound to a numeric address; port 0 takes a free one. Raises: OSError."""
    made = socket.socket(socket.AF_INET6 if ip_address(host).version == 6 else socket.AF_INET, kind)
    try:
        made.setblocking(False)
        if kind == socket.SOCK_STREAM:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if made.family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        if kind == socket.SOCK_STREAM:
            made.listen()  # without it, another socket may be bound to the same port
    except OSError:
        made.close()
        raise
    return made


def address_of(bound: socket.socket, transport: Transport) -> Address:
    """Return the address to which a socket is bound."""
    host, port = bound.getsockname()[:2]
    return Address(str(host), int(port), transport)
