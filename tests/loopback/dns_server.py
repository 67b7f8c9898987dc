"""A DNS server on loopback, over UDP and TCP, whose records a test writes and changes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

NEGATIVE_TTL_S = 60


@dataclass(slots=True)
class DnsServer:
    """Answers from `records`: name and type, with the TTL and the data as a zone file writes them."""

    address: tuple[str, int] = ("", 0)
    records: dict[tuple[str, str], tuple[int, list[str]]] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    """The types of which no answer is known: SERVFAIL."""
    silent: bool = False
    truncated: bool = False
    """Whether an answer over UDP is cut off, so that it is fetched over TCP."""
    queries: Counter[tuple[str, str]] = field(default_factory=Counter)
    over_tcp: int = 0

    def put(self, name: str, kind: str, *data: str, ttl_s: int = 300) -> None:
        """Replace the records of a name."""
        self.records[name, kind] = (ttl_s, list(data))

    def answer(self, data: bytes, *, tcp: bool) -> bytes | None:
        """Return the response to a query, or None."""
        query: Any = dns.message.from_wire(data)
        (question,) = query.question
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.queries[name, kind] += 1
        self.over_tcp += tcp
        if self.silent:
            return None
        response: Any = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        known = self.records.get((name, kind)) or self.records.get((name, "CNAME"))
        if kind in self.failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif self.truncated and not tcp:
            response.flags |= dns.flags.TC
        elif known is None:
            if not any(name == each for each, _ in self.records):
                response.set_rcode(dns.rcode.NXDOMAIN)
            zone = question.name.parent()
            soa = f"ns. root. 1 3600 600 86400 {NEGATIVE_TTL_S}"
            response.authority.append(dns.rrset.from_text(zone, 3600, "IN", "SOA", soa))
        else:
            while known is not None and (name, kind) not in self.records:
                ttl_s, (target,) = known
                response.answer.append(dns.rrset.from_text(f"{name}.", ttl_s, "IN", "CNAME", target))
                name = target.rstrip(".")
                known = self.records.get((name, kind)) or self.records.get((name, "CNAME"))
            if known is not None:
                response.answer.append(dns.rrset.from_text(f"{name}.", known[0], "IN", kind, *known[1]))
        return bytes(response.to_wire())


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = self._server.answer(data, tcp=False)
        if response is not None:
            self._transport.sendto(response, addr)


@asynccontextmanager
async def dns_server() -> AsyncIterator[DnsServer]:
    """Run a DNS server at a free port of 127.0.0.53."""
    server = DnsServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        size = int.from_bytes(await reader.readexactly(2), "big")
        response = server.answer(await reader.readexactly(size), tcp=True)
        if response is not None:
            writer.write(len(response).to_bytes(2, "big") + response)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.53", 0)
    host, port = listening.sockets[0].getsockname()
    loop = asyncio.get_running_loop()
    datagrams, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(server), local_addr=(host, port))
    server.address = (host, port)
    try:
        yield server
    finally:
        datagrams.close()
        listening.close()
        await listening.wait_closed()
