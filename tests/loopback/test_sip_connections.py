"""SIP over real connections: phones that call and register by TCP, and peers that split, dawdle, abort and stuff."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from holdfast.testing.phone import Answers, Phone
from holdfast.voice.model.effects import AnswerLeg, HangUpLeg
from holdfast.voice.model.facts import LegAnswered, LegEnded, LegRefused
from holdfast.voice.runtime.sip.config.tls import TlsFiles, load_tls
from holdfast.voice.runtime.sip.sip_legs import SipSettings
from holdfast.voice.runtime.sip.transport.bound_sockets import address_of, bind
from holdfast.voice.runtime.sip.transport.streams import Connection, StreamLimits, Streams
from holdfast.voice.sip.effects import Address, EndCause, Transport
from holdfast.voice.sip.message.framing import MAX_HEAD_BYTES, FramingBroken
from tests.loopback.test_sip_legs import CALL, LegsHarness, opened

LOCALHOST = Path(__file__).with_name("localhost.pem")
"""A certificate for this machine, its key, and its own authority."""

pytestmark = pytest.mark.anyio

OPTIONS = """OPTIONS sip:holdfast@127.0.0.1 SIP/2.0
Via: SIP/2.0/TCP 127.0.0.1:5999;branch=z9hG4bK{number}
From: <sip:probe@127.0.0.1>;tag=p
To: <sip:holdfast@127.0.0.1>
Call-ID: probe
CSeq: {number} OPTIONS
Content-Length: 0

"""


@pytest.fixture
async def bench() -> AsyncIterator[LegsHarness]:
    async with opened(
        SipSettings(
            address=("127.0.0.1", 0),
            trust_loopback=True,
            tls=load_tls(TlsFiles(certificate=LOCALHOST, authorities=LOCALHOST)),
            tls_port=0,
        )
    ) as made:
        yield made


def options(number: int) -> bytes:
    return OPTIONS.format(number=number).replace("\n", "\r\n").encode()


async def answers(reader: asyncio.StreamReader, count: int) -> list[str]:
    """The CSeq of each 200 that comes."""
    numbers = []
    async with asyncio.timeout(5):
        for _ in range(count):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith("SIP/2.0 200 ")
            numbers.append(head.split("CSeq: ")[1].split(" ")[0])
    return numbers


async def test_pipelined_and_split_messages_are_answered_one_by_one(bench: LegsHarness) -> None:
    reader, writer = await asyncio.open_connection(*bench.legs.address[:2])
    writer.write(options(1) + options(2) + b"\r\n\r\n" + options(3)[:50])
    async with asyncio.timeout(5):
        head = await answers(reader, 2)
        assert head == ["1", "2"]
        assert await reader.readexactly(2) == b"\r\n"
    writer.write(options(3)[50:] + b"\r\n" + options(4))
    assert await answers(reader, 2) == ["3", "4"]
    writer.close()


async def test_a_message_without_a_length_is_refused_and_the_connection_closed(bench: LegsHarness) -> None:
    reader, writer = await asyncio.open_connection(*bench.legs.address[:2])
    writer.write(options(1).replace(b"Content-Length: 0\r\n", b""))
    async with asyncio.timeout(5):
        told = await reader.read()
    assert told.startswith(b"SIP/2.0 400 Bad Request (no Content-Length)\r\n")
    writer.close()


async def test_a_header_without_end_closes_the_connection(bench: LegsHarness) -> None:
    reader, writer = await asyncio.open_connection(*bench.legs.address[:2])
    with suppress(ConnectionError):
        writer.write(b"X" * (MAX_HEAD_BYTES + 10))
        async with asyncio.timeout(5):
            assert await reader.read() == b""
    writer.close()


async def test_a_phone_calls_in_by_tcp(bench: LegsHarness) -> None:
    async with Phone("carol", server=bench.legs.address, transport="TCP") as carol:
        call = await carol.call("+15550123")
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await call.answered()
        await call.hold()
        await call.unhold()
        bench.legs.carry_out(HangUpLeg(call=came.call))
        assert await call.over() is EndCause.HUNG_UP
    assert {message.peer.transport for message in carol.messages} == {"TCP"}
    assert not any(message.repeated for message in carol.messages)


async def test_a_line_registers_by_tcp_and_is_called_over_its_connection(bench: LegsHarness) -> None:
    async with Phone(
        "bob", server=bench.legs.address, password="secret-b", transport="TCP", manner=Answers(after_s=0.05)
    ) as bob:
        await bob.register()
        bench.place("client:bob")
        await bench.fact(LegAnswered)
        call = await bob.called()
        await call.hang_up()
        await bench.fact(LegEnded)
        assert {message.peer for message in bob.messages} == {Address(*bench.legs.address[:2], "TCP")}
    assert not bench.legs.is_registered("bob")


async def test_a_line_whose_connection_breaks_is_not_registered_any_more(bench: LegsHarness) -> None:
    async with Phone("bob", server=bench.legs.address, password="secret-b", transport="TCP") as bob:
        await bob.register()
        bob.cut()
        await until(lambda: not bench.legs.is_registered("bob"))
        await bob.register()
        assert bench.legs.is_registered("bob")


async def test_a_phone_that_listens_by_tcp_is_called(bench: LegsHarness) -> None:
    async with Phone("dave", transport="TCP") as dave:
        bench.place(dave.uri)
        await bench.fact(LegAnswered)
        bench.legs.carry_out(HangUpLeg(call=CALL))
        await (await dave.called()).over()


async def test_a_line_registers_by_tls_calls_and_is_called(bench: LegsHarness) -> None:
    server = bench.legs.addresses[2]
    assert server.transport == "TLS"
    async with Phone(
        "bob",
        server=server,
        password="secret-b",
        transport="TLS",
        certificate=LOCALHOST,
        manner=Answers(after_s=0.05),
    ) as bob:
        await bob.register()
        bench.place("client:bob")
        await bench.fact(LegAnswered)
        await (await bob.called()).hang_up()
        await bench.fact(LegEnded)
        call = await bob.call("+15550123")
        came = await bench.received()
        bench.legs.carry_out(AnswerLeg(call=came.call))
        await call.answered()
        await call.hang_up()
        assert {message.peer for message in bob.messages} == {server}


async def test_a_phone_that_listens_by_tls_is_called_by_its_sips_uri(bench: LegsHarness) -> None:
    async with Phone("dave", transport="TLS", certificate=LOCALHOST) as dave:
        bench.place(f"sips:dave@127.0.0.1:{dave.address.port}")
        await bench.fact(LegAnswered)
        call = await dave.called()
        await call.hang_up()
        await bench.fact(LegEnded)


async def test_a_certificate_of_another_name_is_not_believed(bench: LegsHarness) -> None:
    async with Phone("dave", transport="TLS", certificate=LOCALHOST, host="127.0.0.2") as dave:
        bench.place(f"sips:dave@127.0.0.2:{dave.address.port}")
        refused = await bench.fact(LegRefused)
    assert isinstance(refused, LegRefused)
    assert refused.sip_code == 503
    assert dave.calls == []


async def test_a_peer_without_tls_at_the_tls_port_is_disconnected(bench: LegsHarness) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bench.legs.addresses[2].port)
    with suppress(ConnectionError):
        writer.write(options(1))
        async with asyncio.timeout(5):
            await reader.read()
    writer.close()
    async with Phone("carol", server=bench.legs.addresses[2], transport="TLS", certificate=LOCALHOST) as carol:
        call = await carol.call("+15550123")
        await bench.received()
        await call.hang_up()


async def test_a_refused_connection_is_noticed_at_once(bench: LegsHarness) -> None:
    bench.place("sip:dave@127.0.0.1:1;transport=tcp")
    refused = await bench.fact(LegRefused)
    assert isinstance(refused, LegRefused)
    assert refused.sip_code == 503


@pytest.mark.parametrize("transport", ["TCP", "TLS"])
async def test_a_burst_of_calls_and_a_cut_does_no_harm(bench: LegsHarness, transport: Transport) -> None:
    """Callers whose connection is aborted right after their INVITEs: their calls end, and others work."""
    text = (
        f"INVITE sip:+15550123@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{transport} 127.0.0.1:1;branch=z9hG4bK{{number}}\r\n"
        "From: <sip:x@127.0.0.1>;tag={number}\r\nTo: <sip:+15550123@127.0.0.1>\r\nCall-ID: {number}\r\n"
        "CSeq: 1 INVITE\r\nContact: <sip:x@127.0.0.1:1;transport=tcp>\r\nContent-Length: 0\r\n\r\n"
    )
    server = next(each for each in bench.legs.addresses if each.transport == transport)
    for round_ in range(5):
        sealed = trusting() if transport == "TLS" else None
        _, writer = await asyncio.open_connection(server.host, server.port, ssl=sealed)
        writer.write("".join(text.format(number=f"{round_}x{number}") for number in range(20)).encode())
        await writer.drain()
        writer.transport.abort()
    shown = LOCALHOST if transport == "TLS" else None
    async with Phone("carol", server=server, transport=transport, certificate=shown) as carol:
        call = await carol.call("+15550123")
        await bench.until(lambda: len(bench.facts) >= 1)
        await call.hang_up()


class Recorder:
    """An owner of connections that writes down what it hears."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self.needed = True
        self.asked = 0

    def now(self) -> float:
        return time.time()

    def certificate_name(self, to: Address) -> str | None:
        return None

    def handle_message(self, data: bytes, source: Address) -> None:
        self.events.append(data)

    def handle_broken_framing(self, broken: FramingBroken, source: Address) -> None:
        self.events.append(broken.status)

    def handle_disconnect(self, gone: Address) -> None:
        self.events.append("gone")

    def needs_connection(self, address: Address) -> bool:
        self.asked += 1
        return self.needed


async def listen(streams: Streams, *, tls: ssl.SSLContext | None = None) -> Address:
    bound = bind(socket.SOCK_STREAM, "127.0.0.1", 0)
    await streams.listen(bound, tls=tls)
    return address_of(bound, "TCP" if tls is None else "TLS")


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110  connections tell nobody of what they did
            await asyncio.sleep(0.005)


async def test_an_incomplete_message_and_a_silent_peer_are_disconnected() -> None:
    owner = Recorder()
    async with asyncio.TaskGroup() as tasks:
        streams = Streams(owner, tasks, limits=StreamLimits(idle_s=0.05, message_s=0.05))
        address = await listen(streams)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(options(1) + options(2)[:20])
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        await until(lambda: "gone" in owner.events)
        assert owner.events == [options(1), 408, "gone"]

        owner.events.clear()
        _, needed = await asyncio.open_connection(address.host, address.port)
        needed.write(options(1))
        await until(lambda: owner.asked >= 2)
        assert owner.events == [options(1)]
        owner.needed = False
        await until(lambda: "gone" in owner.events)
        writer.close()
        needed.close()
        streams.close()


async def test_a_peer_that_never_reads_is_disconnected() -> None:
    owner = Recorder()
    async with asyncio.TaskGroup() as tasks:
        streams = Streams(owner, tasks)
        address = await listen(streams)
        _, writer = await asyncio.open_connection(address.host, address.port)
        host, port = writer.get_extra_info("sockname")
        writer.write(options(1))
        await until(lambda: owner.events == [options(1)])
        while "gone" not in owner.events:
            streams.send(b"x" * 500_000, Address(host, port, "TCP"))
            await asyncio.sleep(0)
        writer.close()
        streams.close()


async def test_a_connection_without_an_answer_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    owner = Recorder()
    async with asyncio.TaskGroup() as tasks:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            streams = Streams(owner, tasks, client_tls=trusting(), limits=StreamLimits(connect_s=0.05))
            to = Address("127.0.0.1", mute.getsockname()[1], "TLS")
            streams.send(options(1), to)
            await until(lambda: owner.events == ["gone"])
        streams.close()
    assert f"sip connection to 127.0.0.1:{to.port} by TLS not made: no answer within 0.05 s" in caplog.text


async def test_tls_at_the_plain_port_is_named_in_the_log(bench: LegsHarness, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConnectionError):
        await asyncio.open_connection(*bench.legs.address[:2], ssl=trusting())
    assert "TLS at the port of plain TCP" in caplog.text


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(LOCALHOST))


async def test_unfinished_handshakes_are_counted_and_aborted() -> None:
    """Two connections a host may have, two newcomers too: while two only shake hands, there is no room for a third."""
    owner, tls = Recorder(), load_tls(TlsFiles(certificate=LOCALHOST, authorities=LOCALHOST))
    async with asyncio.TaskGroup() as tasks:
        streams = Streams(
            owner,
            tasks,
            limits=StreamLimits(handshake_s=0.3, most=9, most_of_one_host=2, most_handshakes_of_one_host=2),
        )
        where = await listen(streams, tls=tls.server)
        idle = [await asyncio.open_connection(where.host, where.port) for _ in range(2)]
        await until(lambda: len(streams.handshakes) == 2)
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(where.host, where.port, ssl=trusting())
        async with asyncio.timeout(5):
            assert [await reader.read() for reader, _ in idle] == [b"", b""]
        good = [await asyncio.open_connection(where.host, where.port, ssl=trusting()) for _ in range(2)]
        for _, writer in good:
            writer.write(options(1))
        await until(lambda: owner.events == [options(1)] * 2)
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(where.host, where.port, ssl=trusting())
        for _, writer in (*idle, *good):
            writer.close()
        await until(lambda: owner.events[2:] == ["gone", "gone"])
        for _, writer in (*idle, *good):
            with suppress(OSError):
                await writer.wait_closed()
        streams.close()


@pytest.mark.parametrize("words", [b"", options(1)[:40], b"\r\n\r\n"], ids=["nothing", "half a message", "pings"])
async def test_slow_hosts_that_take_all_connections_make_room_for_one_that_speaks(
    words: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    owner = Recorder()
    async with asyncio.TaskGroup() as tasks:
        streams = Streams(owner, tasks, limits=StreamLimits(most=6, most_of_one_host=3))
        where = await listen(streams)
        slow = []
        for number in range(10):
            _, writer = await asyncio.open_connection(
                where.host, where.port, local_addr=(f"127.0.1.{1 + number % 2}", 0)
            )
            writer.write(words)
            slow.append(writer)
        _, good = await asyncio.open_connection(where.host, where.port)
        good.write(options(2))
        await until(lambda: options(2) in owner.events)
        assert streams.open == 6
        for writer in (*slow, good):
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
        streams.close()
    assert 0 < caplog.text.count("fact=TurnedAway") <= 2, "one line for each host"


async def test_many_inbound_connections_do_not_stop_outbound_ones() -> None:
    owner = Recorder()
    async with asyncio.TaskGroup() as tasks:
        streams = Streams(owner, tasks, limits=StreamLimits(most=2, most_of_one_host=1))
        where = await listen(streams)
        _, crowd = await asyncio.open_connection(where.host, where.port)
        crowd.write(options(1))
        await until(lambda: options(1) in owner.events)
        called = asyncio.Event()

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(len(options(2)))
            called.set()
            writer.close()

        async with await asyncio.start_server(accepted, "127.0.0.1", 0) as server:
            streams.send(options(2), Address("127.0.0.1", server.sockets[0].getsockname()[1], "TCP"))
            async with asyncio.timeout(5):
                await called.wait()
        crowd.close()
        streams.close()


async def shaken(where: Address) -> tuple[socket.socket, ssl.SSLObject, ssl.MemoryBIO]:
    """A connection whose handshake is done but for its last packet, which waits in the memory that is returned."""
    raw = socket.create_connection(where[:2])
    raw.setblocking(False)
    inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
    sealed = trusting().wrap_bio(inward, outward, server_hostname="127.0.0.1")
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(5):
        while True:
            try:
                sealed.do_handshake()
                return raw, sealed, outward
            except ssl.SSLWantReadError:
                await loop.sock_sendall(raw, outward.read())
                inward.write(await loop.sock_recv(raw, 65536))


async def test_bytes_that_follow_a_handshake_and_a_closing_alert_are_handled() -> None:
    owner, tls = Recorder(), load_tls(TlsFiles(certificate=LOCALHOST, authorities=LOCALHOST))
    async with asyncio.TaskGroup() as tasks:
        streams = Streams(owner, tasks)
        where = await listen(streams, tls=tls.server)
        raw, sealed, outward = await shaken(where)
        async with asyncio.timeout(5):
            sealed.write(options(1))
            # The end of the handshake, the message and the end of the connection in one packet.
            await asyncio.get_running_loop().sock_sendall(raw, outward.read())
            raw.close()
        await until(lambda: owner.events == [options(1), "gone"])
        streams.close()


async def test_closing_does_not_wait_for_a_closing_alert() -> None:
    """It says its own; a peer that says none, and does not even close, holds up nothing and leaves nothing open."""
    owner, tls = Recorder(), load_tls(TlsFiles(certificate=LOCALHOST, authorities=LOCALHOST))
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        streams = Streams(owner, tasks)
        where = await listen(streams, tls=tls.server)
        raw, sealed, outward = await shaken(where)
        with closing(raw):
            sealed.write(options(1))
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(raw, outward.read())
            await until(lambda: owner.events == [options(1)])
            facts = options(2) * 100
            host, port = raw.getsockname()
            streams.send(facts, Address(host, port, "TLS"))
            streams.close()
            events = 0
            while data := await loop.sock_recv(raw, 65536):
                events += len(data)
            assert events > len(facts), "all that was due, and a goodbye"


async def test_closing_does_not_wait_for_a_handshake() -> None:
    owner, tls = Recorder(), load_tls(TlsFiles(certificate=LOCALHOST, authorities=LOCALHOST))
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        streams = Streams(owner, tasks, limits=StreamLimits(handshake_s=60))
        where = await listen(streams, tls=tls.server)
        _, writer = await asyncio.open_connection(where.host, where.port)
        await until(lambda: len(streams.handshakes) == 1)
        streams.close()
    writer.close()


class Meanwhile(Streams):
    """Something else is sent in the moment between a connection and its first bytes."""

    def add(self, connection: Connection) -> bool:
        taken = super().add(connection)
        self.send(b"second", connection.address)
        return taken


async def test_queued_messages_are_sent_before_later_ones() -> None:
    async with asyncio.TaskGroup() as tasks:
        told: asyncio.Queue[bytes] = asyncio.Queue()

        async def events(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told.put_nowait(await reader.readexactly(len(b"firstsecond")))
            writer.close()

        async with await asyncio.start_server(events, "127.0.0.1", 0) as server:
            streams = Meanwhile(Recorder(), tasks)
            streams.send(b"first", Address("127.0.0.1", server.sockets[0].getsockname()[1], "TCP"))
            async with asyncio.timeout(5):
                assert await told.get() == b"firstsecond"
            streams.close()


async def test_a_connection_beyond_the_limit_is_reported_as_ended() -> None:
    owner = Recorder()
    async with asyncio.TaskGroup() as tasks:
        streams = Streams(owner, tasks, limits=StreamLimits(most=0))
        ended = asyncio.Event()

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
            ended.set()

        async with await asyncio.start_server(accepted, "127.0.0.1", 0) as server:
            streams.send(b"first", Address("127.0.0.1", server.sockets[0].getsockname()[1], "TCP"))
            await until(lambda: owner.events == ["gone"])
            async with asyncio.timeout(5):
                await ended.wait()
        streams.close()
