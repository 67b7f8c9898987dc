"""The IPv4 addresses of this machine, each with its network, as the kernel tells them."""

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
_ABOUT = struct.Struct("=BBBBI")
"""struct ifaddrmsg: family, length of the prefix, flags, scope, interface."""
_ATTRIBUTE = struct.Struct("=HH")
_REMOTE_END, _LOCAL = 1, 2
"""IFA_ADDRESS and IFA_LOCAL, which differ on links between two alone."""
TIMEOUT_S = 1.0


def interface_addresses() -> tuple[IPv4Interface, ...]:
    """Every IPv4 address of this machine. Loopback alone, and a line in the log, where the kernel does not tell."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
            kernel.settimeout(TIMEOUT_S)
            asked = _ABOUT.pack(socket.AF_INET, 0, 0, 0, 0)
            kernel.send(_HEADER.pack(_HEADER.size + len(asked), _GET_ADDRESSES, _REQUEST_DUMP, 1, 0) + asked)
            return tuple(_told(kernel)) or (LOOPBACK,)
    except OSError as error:
        log.warning("the kernel does not tell the addresses of this machine: %s", error)
        return (LOOPBACK,)


def _told(kernel: socket.socket) -> Iterator[IPv4Interface]:
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
    """One address, with the length of its prefix."""
    _, prefix, *_ = _ABOUT.unpack_from(message)
    found: dict[int, bytes] = {}
    rest = message[_ABOUT.size :]
    while len(rest) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = rest[_ATTRIBUTE.size : length]
        rest = rest[-(-length // 4) * 4 :]
    local = found.get(_LOCAL, found.get(_REMOTE_END))
    return None if local is None else IPv4Interface((local, prefix))
