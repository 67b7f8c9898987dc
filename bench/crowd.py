"""Many phones on one SIP socket: each calls a number, and its ear is asked when it matters. They send no audio.

Fifty share an RTP socket, since the port that a packet comes from says which phone it is for. Nothing reads the sockets
between two questions, so a crowd costs its own process next to nothing; the server sends every packet all the same.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import numpy as np

from holdfast.testing.audio.ears import Packet, window
from holdfast.testing.audio.recogniser import NO_PACKETS, Heard, Recogniser, describe
from holdfast.testing.audio.rtp_stream import bind_pair, parse_packet
from holdfast.testing.clock import now_s
from holdfast.testing.signals import FRAME_S, KNOWN
from holdfast.testing.sip_endpoint import TestEndpoint, open_endpoint
from holdfast.voice.sip.effects import Accepted, Address, Ended, Refused, SessionId
from holdfast.voice.sip.sdp.offer import Negotiation, apply_answer, make_offer
from holdfast.voice.sip.session_commands import EndSession

HOST = "127.0.0.1"
SHARED = 50
"""Phones on one RTP socket: three ticks of their packets fit into its buffer."""
AT_ONCE = 16
"""Calls that are set up at a time."""
LISTENS_S = 3 * FRAME_S
ANSWERED_S = 20.0
BYTES = 2048

Listener = int
"""A phone of the crowd, by the port at which the server receives its audio."""


class Crowd:
    """The phones of a crowd. `open_crowd` makes it and, at its end, hangs them up."""

    def __init__(self, server: Address, endpoint: TestEndpoint) -> None:
        self._server = server
        self._endpoint = endpoint
        self._recogniser = Recogniser(KNOWN)
        self._sockets: list[tuple[socket.socket, socket.socket]] = []
        self._answers: dict[SessionId, asyncio.Future[Accepted]] = {}
        self._live: set[SessionId] = set()
        self._emptied = asyncio.Event()

    async def call(self, number: str, count: int) -> list[Listener]:
        """Have so many phones call a number; return them once all are answered.

        Raises: TimeoutError, ConnectionRefusedError.
        """
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(place: int) -> Listener:
            async with limit, asyncio.timeout(ANSWERED_S):
                return await self._call(number, place)

        first = len(self._live)
        return await asyncio.gather(*(one(first + each) for each in range(count)))

    async def hear(self, listeners: Sequence[Listener], *names: str, within_s: float = 20.0) -> None:
        """Wait until each of these hears exactly these sounds. Raises: AssertionError that says what others hear."""
        asked_s, expected = now_s(), frozenset(names)
        while others := {each: heard for each, heard in (await self.heard(listeners)).items() if heard != expected}:
            if now_s() - asked_s > within_s:
                port, heard = next(iter(others.items()))
                raise AssertionError(
                    f"{len(others)} of {len(listeners)} phones do not hear {describe(expected)}: "
                    f"the one at port {port} hears {describe(heard)}"
                )

    async def heard(self, listeners: Sequence[Listener]) -> dict[Listener, Heard]:
        """Return what each of these hears now: the last packet of three ticks."""
        self._read()
        await asyncio.sleep(LISTENS_S)
        packets = self._read()
        audio = {each: window(packets[each]) for each in listeners if each in packets}
        found = self._recogniser.recognise(np.stack(list(audio.values()))) if audio else []
        return dict.fromkeys(listeners, NO_PACKETS) | dict(zip(audio, found, strict=True))

    def _read(self) -> dict[Listener, Packet]:
        """Return the last packet that has arrived for each."""
        data: dict[Listener, bytes] = {}
        for rtp, _ in self._sockets:
            with suppress(BlockingIOError):
                while True:
                    datagram, (_, port) = rtp.recvfrom(BYTES)
                    data[port] = datagram
        packets = {port: parse_packet(datagram, now_s()) for port, datagram in data.items()}
        return {port: packet for port, packet in packets.items() if packet is not None}

    async def _call(self, number: str, place: int) -> Listener:
        session = SessionId(secrets.token_hex(8))
        negotiation, offer = make_offer(
            Negotiation(local=self._address(place), session_id=secrets.randbits(31), codecs=("PCMU",))
        )
        self._answers[session] = asyncio.get_running_loop().create_future()
        self._live.add(session)
        host, port, _ = self._server
        self._endpoint.carry_out(
            self._endpoint.agent.invite(
                session,
                f"sip:{number}@{host}:{port}",
                now=now_s(),
                sdp=offer,
                next_hop=self._server,
                caller=f"crowd-{place}",
            )
        )
        accepted = await self._answers[session]
        agreed = apply_answer(negotiation, accepted.sdp or b"").agreed
        assert agreed is not None
        assert agreed.remote is not None
        return agreed.remote[1]

    def _address(self, place: int) -> tuple[str, int]:
        while len(self._sockets) <= place // SHARED:
            pair = bind_pair(HOST)
            pair[0].setblocking(False)
            self._sockets.append(pair)
        host, port = self._sockets[place // SHARED][0].getsockname()
        return str(host), int(port)

    async def read_events(self) -> None:
        """Handle what the SIP agent reports, until cancelled."""
        while True:
            match await self._endpoint.events.get():
                case Accepted(session=session) as accepted:
                    self._answers[session].set_result(accepted)
                case Refused(session=session, status=status, reason=reason):
                    self._forget(session)
                    self._answers[session].set_exception(ConnectionRefusedError(f"{status} {reason}"))
                case Ended(session=session):
                    self._forget(session)
                case _:
                    pass  # what a phone that only listens need not know

    async def hang_up(self) -> None:
        """End every call. Raises: TimeoutError."""
        for session in tuple(self._live):
            self._endpoint.command(session, EndSession())
        async with asyncio.timeout(ANSWERED_S):
            while self._live:
                self._emptied.clear()
                await self._emptied.wait()

    def close(self) -> None:
        """Give the ports back."""
        self._endpoint.close()
        for each in (each for pair in self._sockets for each in pair):
            each.close()

    def _forget(self, session: SessionId) -> None:
        self._live.discard(session)
        if not self._live:
            self._emptied.set()


@asynccontextmanager
async def open_crowd(server: tuple[str, int]) -> AsyncIterator[Crowd]:
    """Open a crowd without a call yet, whose phones will call at this server."""
    async with asyncio.TaskGroup() as tasks:
        endpoint = await open_endpoint(host=HOST, port=0, contact_user="crowd", tasks=tasks)
        crowd = Crowd(Address(*server, "UDP"), endpoint)
        reader = tasks.create_task(crowd.read_events(), name="crowd-events")
        try:
            yield crowd
            await crowd.hang_up()
        finally:
            crowd.close()
            reader.cancel()
