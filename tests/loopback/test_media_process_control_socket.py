"""Facts that a control did not receive completely go to the next one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.control_socket import ControlSocket
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.control_link.packing import Unpacker, parse_server_message
from holdfast.voice.model.facts import DigitPressed
from holdfast.voice.model.ids import CallSid

FACTS = 20_000
GREETING = m.ControlAttached(pid=1, capacity=1, rows=())


@pytest.fixture
def link(tmp_path: Path) -> Iterator[tuple[ControlSocket, FactQueue, Path]]:
    facts = FactQueue(limit=FACTS)
    made = ControlSocket(tmp_path / "media", facts)
    yield made, facts, tmp_path / "media"
    made.close()


def connect(link: ControlSocket, path: Path) -> socket.socket:
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    control.connect(str(path))
    control.setblocking(False)
    assert link.accept(lambda: GREETING)
    return control


def read(control: socket.socket, unpacker: Unpacker) -> list[m.ServerMessage]:
    """Return the messages that have arrived."""
    answers: list[m.ServerMessage] = []
    while True:
        try:
            data = control.recv(1 << 16)
        except BlockingIOError:
            return answers
        if not data:
            return answers
        answers += [parse_server_message(text) for text, _ in unpacker.feed(data)]


def digits(answers: list[m.ServerMessage]) -> list[str]:
    return [answer.call for answer in answers if isinstance(answer, DigitPressed)]


def test_facts_that_a_control_did_not_take_go_to_the_next(link: tuple[ControlSocket, FactQueue, Path]) -> None:
    control_socket, facts, path = link
    expected = [str(number) for number in range(FACTS)]
    for number in expected:
        facts.post(DigitPressed(call=CallSid(number), digit="1"))
    with closing(connect(control_socket, path)) as first:
        control_socket.flush()
        assert len(facts) > 0, "all of it fits into the system's own buffer"
        taken = digits(read(first, Unpacker()))
        assert taken == expected[: len(taken)]
        assert 0 < len(taken) < FACTS
    with closing(connect(control_socket, path)) as second:
        unpacker, heard = Unpacker(), list[str]()
        for _ in range(FACTS):
            control_socket.flush()
            heard += digits(read(second, unpacker))
            if len(taken) + len(heard) >= FACTS:
                break
        assert taken + heard == expected


def test_replies_go_between_the_facts_and_die_with_their_control(link: tuple[ControlSocket, FactQueue, Path]) -> None:
    control_socket, facts, path = link
    with closing(connect(control_socket, path)) as first:
        facts.post(DigitPressed(call=CallSid("a"), digit="1"))
        control_socket.reply(m.Done(number=7))
        control_socket.flush()
        facts.post(DigitPressed(call=CallSid("b"), digit="2"))
        control_socket.flush()
        answers = read(first, Unpacker())
        assert [type(answer) for answer in answers] == [m.ControlAttached, m.Done, DigitPressed, DigitPressed]
        control_socket.reply(m.Done(number=8))
    with closing(connect(control_socket, path)) as second:
        control_socket.flush()
        assert read(second, Unpacker()) == [GREETING]
