"""Read the IPv4 addresses of this machine, each with its network, from the kernel."""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Iterator
from ipaddress import IPv4Interface

log = logging.getLogger(__name__)

LOOPBACK = IPv4Interface("127.0.0.1/8")
_GET_ADDRESSES, _DONE, _ADDRESS = 22, 3, 20
"""RTM_GETADDR, NLMSG_DONE, RTM_NEWADDR. Source: rtnetlink(7), netlink(7)."""
_REQUEST_DUMP = 0x301
"""NLM_F_REQUEST | NLM_F_DUMP."""
_HEADER = struct.Struct("=IHHII")
_IFADDRMSG = struct.Struct("=BBBBI")
"""struct ifaddrmsg: family, length of the prefix, flags, scope, interface."""
_ATTRIBUTE = struct.Struct("=HH")
_REMOTE_END, _LOCAL = 1, 2
"""IFA_ADDRESS and IFA_LOCAL, which differ on point-to-point links only."""
TIMEOUT_S = 1.0


def interface_addresses() -> tuple[IPv4Interface, ...]:
    """Return every IPv4 address of this machine; on an error of the kernel, log it and return loopback alone."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
            kernel.settimeout(TIMEOUT_S)
            body = _IFADDRMSG.pack(socket.AF_INET, 0, 0, 0, 0)
            kernel.send(_HEADER.pack(_HEADER.size + len(body), _GET_ADDRESSES, _REQUEST_DUMP, 1, 0) + body)
            return tuple(_replies(kernel)) or (LOOPBACK,)
    except OSError as error:
        log.warning("the addresses of this machine cannot be read: %s", error)
        return (LOOPBACK,)


def _replies(kernel: socket.socket) -> Iterator[IPv4Interface]:
    while True:
        data = kernel.recv(65_536)
        while len(data) >= _HEADER.size:
            length, kind, *_ = _HEADER.unpack_from(data)
            if kind == _DONE or length < _HEADER.size:
                return
            if kind == _ADDRESS and (found := _read(data[_HEADER.size : length])) is not None:
                yield found
            data = data[-(-length // 4) * 4 :]


def _read(message: bytes) -> IPv4Interface | None:
    """Parse one address with the length of its prefix."""
    _, prefix, *_ = _IFADDRMSG.unpack_from(message)
    found: dict[int, bytes] = {}
    rest = message[_IFADDRMSG.size :]
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = rest[_ATTRIBUTE.size : length]
        rest = rest[-(-length // 4) * 4 :]
    local = found.get(_LOCAL, found.get(_REMOTE_END))
    return None if local is None else IPv4Interface((local, prefix))
