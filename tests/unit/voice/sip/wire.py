"""Two or more agents joined by a simulated network: no socket, and a number as the clock.

The network may lose, repeat and delay datagrams, as the test's `fate` says.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from holdfast.voice.sip.abuse_guard import AbuseLimits
from holdfast.voice.sip.agent import AdmissionPolicy, Agent, AgentSettings
from holdfast.voice.sip.effects import (
    Address,
    Effect,
    Event,
    MessageSeen,
    SendMessage,
    SessionId,
    StartSipTimer,
    StopSipTimer,
    TimerToken,
)
from holdfast.voice.sip.session_commands import SessionCommand

ALICE = Address("10.0.0.1", 5060)
BOB = Address("10.0.0.2", 5060)
PROXY = Address("10.0.0.3", 5060)

SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\na=sendrecv\r\n"
ANSWER = SDP.replace(b"10.0.0.1", b"10.0.0.2")


def perfect(_: bytes) -> tuple[float, ...]:
    """Deliver every datagram once, after 10 ms."""
    return (0.01,)


class FixedRandom:
    """A source of words that count, and of one number."""

    def __init__(self, prefix: str = "", number: float = 0.5) -> None:
        self._prefix, self._number = prefix, number
        self._words = itertools.count(1)

    def token(self) -> str:
        return f"{self._prefix}t{next(self._words)}"

    def random(self) -> float:
        return self._number


@dataclass(slots=True)
class Node:
    """An agent at its address, and the events that it emitted."""

    address: Address
    agent: Agent
    events: list[Event] = field(default_factory=list)
    seen: list[MessageSeen] = field(default_factory=list)
    sent: list[tuple[bytes, Address]] = field(default_factory=list)
    timers: dict[TimerToken, int] = field(default_factory=dict)

    def emitted(self, kind: type[Event]) -> list[Event]:
        """Return the events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]


class Wire:
    """The network and its time. `fate` says after which delays a datagram arrives: none, one, or several."""

    def __init__(self, fate: Callable[[bytes], tuple[float, ...]] = perfect) -> None:
        self.now = 1000.0
        self.fate = fate
        self.nodes: dict[Address, Node] = {}
        self.lost: list[tuple[bytes, Address, Address]] = []
        """Datagrams to unknown addresses: data, from, to."""
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def node(
        self,
        address: Address,
        *,
        policy: AdmissionPolicy | None = None,
        random: float = 0.5,
        max_sessions: int = 4000,
        max_transactions: int = 20_000,
        answer_within_s: float = 300.0,
        others: tuple[Address, ...] = (),
        limits: AbuseLimits | None = None,
        quiet: bool = False,
        keepalive_s: float = 0.0,
    ) -> Node:
        """Add an agent to the network."""
        prefix = address[0].replace(".", "x")
        agent = Agent(
            AgentSettings(
                address=address,
                secret=b"key of the test",
                max_sessions=max_sessions,
                max_transactions=max_transactions,
                answer_within_s=answer_within_s,
                others=others,
                limits=limits or AbuseLimits(requests_burst=1e6),
                quiet=quiet,
                keepalive_s=keepalive_s,
            ),
            FixedRandom(prefix, random),
            policy=policy,
        )
        made = Node(address=address, agent=agent)
        self.nodes[address] = made
        return made

    def do(self, node: Node, effects: list[Effect]) -> None:
        """Carry out the effects of an agent."""
        for effect in effects:
            match effect:
                case SendMessage():
                    node.sent.append((effect.data, effect.to))
                    self.post(effect.data, node.address, effect.to)
                case StartSipTimer():
                    serial = next(self._order)
                    node.timers[effect.token] = serial
                    self._at(effect.after_s, partial(self._fire, node, effect.token, serial))
                case StopSipTimer():
                    node.timers.pop(effect.token, None)
                case MessageSeen():
                    node.seen.append(effect)
                case event:
                    node.events.append(event)

    def command(self, node: Node, session: SessionId, command: SessionCommand) -> None:
        """Give a command to a session of a node."""
        self.do(node, node.agent.command(session, command, self.now))

    def post(self, data: bytes, source: Address, to: Address) -> None:
        """Send a datagram."""
        if to not in self.nodes:
            self.lost.append((data, source, to))
            return
        for delay in self.fate(data):
            self._at(delay, lambda: self.deliver(data, source, to))

    def deliver(self, data: bytes, source: Address, to: Address) -> None:
        """Deliver a datagram now."""
        node = self.nodes[to]
        self.do(node, node.agent.receive(data, source, self.now))

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._due and self._due[0][0] <= end:
            self.now, _, action = heapq.heappop(self._due)
            action()
        self.now = end

    def _at(self, delay: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + delay, next(self._order), action))

    def _fire(self, node: Node, token: TimerToken, serial: int) -> None:
        if node.timers.get(token) == serial:
            del node.timers[token]
            self.do(node, node.agent.fire(token, self.now))


def uri(node: Node, user: str = "bob") -> str:
    """Return the SIP URI of a node."""
    return f"sip:{user}@{node.address[0]}:{node.address[1]}"


def call(wire: Wire, caller: Node, called: Node, *, id: str = "a", sdp: bytes | None = SDP) -> SessionId:
    """Send an INVITE, and nothing more."""
    session = SessionId(id)
    wire.do(caller, caller.agent.invite(session, uri(called), now=wire.now, sdp=sdp, caller="alice"))
    return session


class Peer:
    """A scripted peer: it sends exactly what the test writes, and collects what it receives."""

    def __init__(self, wire: Wire, node: Node, address: Address = PROXY) -> None:
        self.wire, self.node, self.address = wire, node, address

    def send(self, text: str | bytes, *, source: Address | None = None) -> None:
        """Deliver a datagram to the node. Lines may end in bare line feeds in the test's text."""
        data = text if isinstance(text, bytes) else encode(text)
        self.wire.deliver(data, source or self.address, self.node.address)

    def received(self) -> list[str]:
        """Return what the node has sent to this peer since the last time."""
        mine = [data.decode("utf-8", "replace") for data, source, to in self.wire.lost if to == self.address]
        self.wire.lost.clear()
        return mine

    def statuses(self) -> list[int]:
        """Return the statuses of the responses received since the last time."""
        return [int(text.split(" ", 2)[1]) for text in self.received() if text.startswith("SIP/2.0")]


def encode(text: str) -> bytes:
    """Encode a message for the wire: CRLF, and the Content-Length of the text after the blank line."""
    head, _, body = text.lstrip("\n").partition("\n\n")
    lines = [line for line in head.split("\n") if line]
    if not any(line.lower().startswith(("content-length", "l:")) for line in lines):
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join([*lines, "", ""]) + body).encode("utf-8", "surrogateescape")


def header(message: str, name: str) -> str:
    """Return the first value of a header in a message that was sent."""
    for line in message.split("\r\n"):
        if line.lower().startswith(name.lower() + ":"):
            return line.partition(":")[2].strip()
    raise AssertionError(f"no {name} in {message}")


def reply(to: str, status: int, *extra: str, tag: str | None = "peer", body: str = "") -> str:
    """Return a handwritten response to a request that was sent."""
    lines = [f"SIP/2.0 {status} Whatever"]
    for line in to.split("\r\n"):
        name = line.partition(":")[0].lower()
        if name == "to" and tag is not None and ";tag=" not in line:
            lines.append(f"{line};tag={tag}")
        elif name in ("via", "from", "to", "call-id", "cseq"):
            lines.append(line)
    return "\n".join([*lines, *extra]) + "\n\n" + body


def invite(
    *extra: str,
    uri: str = "sip:bob@10.0.0.2:5060",
    branch: str = "z9hG4bKpeer1",
    cseq: int = 1,
    method: str = "INVITE",
    to_tag: str = "",
    call_id: str = "call-1",
    from_tag: str = "ptag",
    contact: str = "<sip:peer@10.0.0.3:5060>",
    body: str = "",
    sent_by: str = "10.0.0.3:5060",
) -> str:
    """Return a request of the scripted peer."""
    to = f"<sip:bob@10.0.0.2>{f';tag={to_tag}' if to_tag else ''}"
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/UDP {sent_by};branch={branch}",
        "Max-Forwards: 70",
        f'From: "Peer \\"P\\"" <sip:+15550100@10.0.0.3>;tag={from_tag}',
        f"To: {to}",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} {method}",
        *([f"Contact: {contact}"] if contact else []),
        *extra,
    ]
    return "\n".join(lines) + "\n\n" + body
