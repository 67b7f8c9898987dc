"""Plain sockets and kernel AIO keep the same contract, on real sockets of 127.0.0.1."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import numpy as np
import pytest

from holdfast.voice.media.frames import Bytes
from holdfast.voice.media.rtp.latch import AdmittedSources
from holdfast.voice.media_process.sockets.aio import AioSockets
from holdfast.voice.media_process.sockets.plain import PacketIO, PlainSockets, ReceivedDatagrams

ROWS = 5
Make = Callable[[Bytes], PacketIO]


def udp() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def udp_on_a_port_of_its_own() -> socket.socket:
    """Return a socket bound to a fixed port, as rows are: a port that the system chose is lost on disconnect."""
    with closing(udp()) as probe:
        address = probe.getsockname()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(address)
    sock.setblocking(False)
    return sock


class Bench:
    """Rows with their own sockets, and a phone for each."""

    def __init__(self, make: Make, stack: ExitStack) -> None:
        self.packets = np.zeros((ROWS, 192), dtype=np.uint8)
        self.packets[:, 0] = np.arange(ROWS) + 100
        self.io = make(self.packets)
        self.arrived = ReceivedDatagrams.allocate(ROWS)
        self.ports: list[tuple[str, int]] = []
        self.sockets: list[socket.socket] = []
        self.phones = [stack.enter_context(closing(udp())) for _ in range(ROWS)]
        for row in range(ROWS):
            sock = udp_on_a_port_of_its_own()
            self.ports.append(sock.getsockname())
            self.sockets.append(sock)
            self.io.open(row, sock)

    def connect(self, *rows: int) -> None:
        for row in rows:
            assert self.io.connect(row, self.phones[row].getsockname())

    def say(self, row: int, data: bytes) -> None:
        self.phones[row].sendto(data, self.ports[row])

    def tick(self) -> dict[int, list[bytes]]:
        """Return all that a tick receives, by row, in order."""
        heard: dict[int, list[bytes]] = {}
        for round_number in range(8):
            count = self.io.receive(self.arrived, round_number=round_number)
            if not count:
                break
            rows = self.arrived.rows[:count].tolist()
            assert len(set(rows)) == count
            for k, row in enumerate(rows):
                heard.setdefault(row, []).append(self.arrived.data[k, : self.arrived.lengths[k]].tobytes())
        return heard


@pytest.fixture(params=[PlainSockets, AioSockets])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with ExitStack() as stack:
        made = Bench(request.param, stack)
        yield made
        for row in range(ROWS):
            made.io.close(row)
        if isinstance(made.io, AioSockets):
            made.io.release()


def test_each_row_gets_its_own_datagram(bench: Bench) -> None:
    bench.connect(*range(ROWS))
    for tick in range(4):
        for row in range(ROWS):
            bench.say(row, bytes([row, tick]))
        assert bench.tick() == {row: [bytes([row, tick])] for row in range(ROWS)}


def test_rows_without_a_datagram_leave_no_gap(bench: Bench) -> None:
    bench.connect(*range(ROWS))
    bench.tick()
    for row in (1, 4):
        bench.say(row, bytes([row]) * 30)
    assert bench.tick() == {1: [b"\1" * 30], 4: [b"\4" * 30]}


def test_a_burst_after_a_gap_is_taken_at_once_and_in_order(bench: Bench) -> None:
    bench.connect(*range(ROWS))
    bench.tick()
    for k in range(3):
        bench.say(2, bytes([k]))
    assert bench.tick() == {2: [b"\0", b"\1", b"\2"]}


def test_two_packets_in_each_tick_do_not_pile_up(bench: Bench) -> None:
    bench.connect(*range(ROWS))
    sent, heard = 0, []
    for _ in range(30):
        for _ in range(2):
            bench.say(0, bytes([sent]))
            sent += 1
        heard += bench.tick().get(0, [])
    heard += bench.tick().get(0, [])
    assert heard == [bytes([k]) for k in range(sent)]


def test_a_row_that_is_not_connected_receives_every_source_and_names_it(bench: Bench) -> None:
    bench.connect(1)
    bench.tick()
    bench.say(0, b"zero")
    bench.say(1, b"one")
    count = bench.io.receive(bench.arrived, round_number=0)
    found = {int(row): bench.arrived.sources.get(k) for k, row in enumerate(bench.arrived.rows[:count])}
    assert found == {0: bench.phones[0].getsockname(), 1: None}


def test_unauthenticated_packets_from_before_the_connection_are_dropped(bench: Bench) -> None:
    bench.phones[3].sendto(b"foreign", bench.ports[0])
    bench.connect(0)
    bench.say(0, b"friend")
    heard = bench.tick().get(0, []) + bench.tick().get(0, [])
    assert heard == [b"friend"]
    bench.phones[3].sendto(b"foreign", bench.ports[0])
    assert bench.tick() == {}
    bench.io.disconnect(0)
    bench.phones[3].sendto(b"anybody", bench.ports[0])
    assert bench.tick() == {0: [b"anybody"]}


def test_many_unauthenticated_packets_from_before_are_skipped_at_once(bench: Bench) -> None:
    bench.tick()
    for _ in range(100):
        bench.phones[3].sendto(b"foreign", bench.ports[0])
    bench.connect(0)
    bench.say(0, b"friend")
    assert bench.tick() == {0: [b"friend"]}


@pytest.mark.parametrize("alone", [True, False])
def test_a_party_is_received_though_our_packets_are_refused(bench: Bench, alone: bool) -> None:
    """Each packet of ours is answered by ICMP "port unreachable", an error that precedes the peer's next packet."""
    bench.connect(0, 1)
    bench.tick()
    bench.phones[0].connect(("127.0.0.1", 9))  # receives from no other address from now on
    heard: list[bytes] = []
    for k in range(30):
        for _ in range(1 if k != 20 else 3):
            bench.say(0, bytes([k]))
        if not alone:
            bench.say(1, b"x")
        came = bench.tick()
        heard += came.get(0, [])
        assert came.get(1, []) == ([] if alone else [b"x"])
        bench.io.send(np.array([0]), np.array([172]))
    assert heard == [bytes([k]) for k in range(30) for _ in range(1 if k != 20 else 3)]


def test_packets_leave_for_the_connected_address_or_the_destination(bench: Bench) -> None:
    bench.connect(0, 1)
    bench.io.set_destination(2, bench.phones[2].getsockname())
    rows = np.arange(ROWS - 1)
    sizes = np.array([172, 16, 30, 172])
    assert bench.io.send(rows, sizes).tolist() == [0, 1, 2], "row 3 has nowhere to send to"
    for row in (0, 1, 2):
        assert bench.phones[row].recv(2000) == bench.packets[row, : sizes[row]].tobytes()


def test_a_phone_that_is_gone_costs_its_own_packets_only(bench: Bench) -> None:
    bench.connect(*range(ROWS))
    bench.phones[2].close()
    taken = [bench.io.send(np.arange(ROWS), np.full(ROWS, 172)).tolist() for _ in range(4)]
    assert [0, 1, 3, 4] in taken, "the next call reports ECONNREFUSED"
    bench.say(1, b"still here")
    assert bench.tick() == {1: [b"still here"]}


def test_a_closed_row_is_not_read_and_may_be_opened_again(bench: Bench) -> None:
    bench.connect(*range(ROWS))
    bench.io.close(1)
    bench.say(0, b"x")
    assert bench.tick() == {0: [b"x"]}
    sock = udp()
    bench.ports[1] = sock.getsockname()
    bench.io.open(1, sock)
    bench.say(1, b"y")
    assert bench.tick() == {1: [b"y"]}


@pytest.mark.parametrize("bench", [AioSockets], indirect=True)
def test_a_request_that_cannot_be_carried_out_is_left_out(bench: Bench) -> None:
    """The system stops at it, and takes none of the requests behind it."""
    bench.connect(*range(ROWS))
    bench.tick()
    sizes = np.full(ROWS, 172)
    assert bench.io.send(np.arange(ROWS), sizes).tolist() == [0, 1, 2, 3, 4]
    for phone in bench.phones:
        phone.recv(2000)
    # The reading end of a pipe: nothing is written there, and nothing is read.
    reading, writing = os.pipe2(os.O_NONBLOCK)
    os.dup2(reading, bench.sockets[2].fileno())
    try:
        assert bench.io.send(np.arange(ROWS), sizes).tolist() == [0, 1, 3, 4]
        for row in (0, 1, 3, 4):
            assert bench.phones[row].recv(2000) == bench.packets[row, :172].tobytes()
            bench.say(row, bytes([row]))
        assert bench.tick() == {row: [bytes([row])] for row in (0, 1, 3, 4)}
    finally:
        os.close(reading)
        os.close(writing)


def test_a_row_that_is_not_connected_receives_admitted_sources_and_counts_the_others(bench: Bench) -> None:
    named, admitted = bench.phones[0].getsockname(), bench.phones[1].getsockname()
    bench.io.admit(0, AdmittedSources(addresses=frozenset([named, admitted])))
    for k in range(1000):
        if k % 50 == 0:
            bench.phones[k // 50 % 2].sendto(bytes([k // 50]), bench.ports[0])
        bench.phones[2].sendto(b"foreign", bench.ports[0])
        if k % 200 == 199:
            bench.tick()
    assert bench.io.unauthenticated(0)[0] > 500
    assert bench.io.unauthenticated(0)[1] == bench.phones[2].getsockname()
    bench.phones[0].sendto(b"named", bench.ports[0])
    assert bench.tick()[0] == [b"named"]
    assert bench.io.unauthenticated(1) == (0, None)


def watched(bench: Bench) -> list[bytes]:
    count = bench.io.receive_watched(bench.arrived)
    return [bench.arrived.data[k, : bench.arrived.lengths[k]].tobytes() for k in range(count)]


def test_a_connected_row_receives_from_a_second_address_and_no_other(bench: Bench) -> None:
    bench.connect(0)
    second, foreign_phone = bench.phones[1], bench.phones[2]
    bench.io.watch(0, second.getsockname())
    assert bench.io.has_watched
    for k in range(3):
        bench.say(0, bytes([k]))
        second.sendto(b"second", bench.ports[0])
        foreign_phone.sendto(b"foreign", bench.ports[0])
    assert bench.tick().get(0, []) + bench.tick().get(0, []) == [b"\0", b"\1", b"\2"]
    assert [watched(bench) for _ in range(4)] == [[b"second"]] * 3 + [[]]
    assert bench.io.send(np.array([0]), np.array([12])).tolist() == [0]
    assert bench.phones[0].recv(100)[0] == 100, "what is sent still goes to the first"
    with pytest.raises(OSError, match="in use"):
        udp_at(bench.ports[0])
    bench.io.watch(0, None)
    second.sendto(b"second", bench.ports[0])
    assert (watched(bench), bench.tick(), bench.io.has_watched) == ([], {}, False)


def udp_at(address: tuple[str, int]) -> None:
    """Bind the port as another program would. Raises: OSError."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
