"""Random walks: two agents over a network that loses, repeats and reorders, whose owners do anything at any time."""

from __future__ import annotations

from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.voice.sip.effects import (
    Accepted,
    Confirmed,
    Ended,
    Invited,
    Refused,
    Reoffered,
    ReofferWithdrawn,
    SessionId,
)
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AcknowledgeOffer,
    AnswerReoffer,
    CancelInvite,
    EndSession,
    RecordAudio,
    RefuseInvite,
    SendDigit,
    SendRefer,
    SendReoffer,
    SendRinging,
)
from tests.unit.voice.sip.wire import ALICE, ANSWER, BOB, SDP, Node, Wire, call, uri

FATES = st.sampled_from([(), (0.01,), (0.01,), (0.01,), (0.02, 0.03), (0.3,), (0.01, 2.0), (1.2,)])
ACTIONS = st.sampled_from(
    [
        "call",
        "call back",
        "ring",
        "accept",
        "refuse",
        "cancel",
        "bye a",
        "bye b",
        "hold a",
        "hold b",
        "answer",
        "key",
        "describe",
        "update a",
        "update b",
        "sounds",
        "refer",
    ]
)
STEPS = st.lists(st.tuples(ACTIONS, st.floats(0.0, 3.0)), min_size=3, max_size=14)


class Owner:
    """The owner of a node does what the walk says with its sessions."""

    def __init__(self, wire: Wire, node: Node, other: Node, name: str) -> None:
        self.wire, self.node, self.other, self.name = wire, node, other, name
        self.calls = 0

    def sessions(self) -> tuple[SessionId, ...]:
        return self.node.agent.sessions()

    def call(self) -> None:
        self.calls += 1
        call(self.wire, self.node, self.other, id=f"{self.name}{self.calls}", sdp=SDP if self.calls % 3 else None)

    def do(self, action: str) -> None:
        for session in self.sessions():
            match action:
                case "ring":
                    self.wire.command(self.node, session, SendRinging())
                case "accept":
                    self.wire.command(self.node, session, AcceptInvite(sdp=ANSWER))
                case "refuse":
                    self.wire.command(self.node, session, RefuseInvite(status=486))
                case "cancel":
                    self.wire.command(self.node, session, CancelInvite())
                case "bye":
                    self.wire.command(self.node, session, EndSession())
                case "hold":
                    self.wire.command(self.node, session, SendReoffer(sdp=SDP))
                case "describe":
                    rings = SendRinging(status=183, sdp=ANSWER, acknowledged=True)
                    self.wire.command(self.node, session, rings)
                case "update":
                    self.wire.command(self.node, session, SendReoffer(sdp=SDP, method="UPDATE"))
                case "answer":
                    self.wire.command(self.node, session, AnswerReoffer(sdp=ANSWER))
                    self.wire.command(self.node, session, AcknowledgeOffer(sdp=ANSWER))
                case "key":
                    self.wire.command(self.node, session, SendDigit(digit="5"))
                case "sounds":
                    self.wire.command(self.node, session, RecordAudio())
                case "refer":
                    self.wire.command(self.node, session, SendRefer(target="sip:carol@10.0.0.9"))


def check(node: Node, other: Node) -> None:
    """Check one side when all is over."""
    ends = Counter(event.session for event in node.events if isinstance(event, Ended | Refused))
    begun = {event.session for event in node.events if isinstance(event, Invited | Accepted)}
    assert all(count == 1 for count in ends.values())
    assert begun <= ends.keys()
    assert node.agent.sessions() == ()
    assert node.agent.transactions() == 0
    assert node.agent.timers() == 0
    assert node.timers == {}
    accepted = Counter(event.session for event in node.events if isinstance(event, Accepted))
    assert all(count == 1 for count in accepted.values())
    refused = {event.session for event in node.events if isinstance(event, Refused)}
    assert not refused & accepted.keys()
    call_ids = Counter(event.call_id for event in node.events if isinstance(event, Invited))
    assert all(count == 1 for count in call_ids.values()), "a repetition made a second call"
    for session in {event.session for event in node.events if isinstance(event, Reoffered)}:
        changes = [e for e in node.events if isinstance(e, Reoffered | ReofferWithdrawn) and e.session == session]
        withdrawn = [at for at, e in enumerate(changes) if isinstance(e, ReofferWithdrawn)]
        assert all(at > 0 for at in withdrawn)
    assert sum(isinstance(e, Confirmed) for e in node.events) <= len(node.events)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, fates=st.lists(FATES, min_size=1, max_size=60))
def test_every_call_ends_once_on_both_sides_and_nothing_is_left(
    steps: list[tuple[str, float]], fates: list[tuple[float, ...]]
) -> None:
    turn = iter(fates)
    wire = Wire(lambda _: next(turn, (0.01,)))
    alice = wire.node(ALICE, random=0.3, answer_within_s=60, keepalive_s=20)
    bob = wire.node(BOB, random=0.7, answer_within_s=60)
    owners = {"a": Owner(wire, alice, bob, "a"), "b": Owner(wire, bob, alice, "b")}
    owners["a"].call()
    for action, pause in steps:
        wire.run(pause)
        match action.split():
            case ["call"]:
                owners["a"].call()
            case ["call", "back"]:
                owners["b"].call()
            case [verb, who]:
                owners[who].do(verb)
            case [verb]:
                owners["a"].do(verb)
                owners["b"].do(verb)
    wire.run(120)
    for owner in owners.values():
        owner.do("bye")
    wire.run(200)
    check(alice, bob)
    check(bob, alice)


@settings(max_examples=60, deadline=None)
@given(fates=st.lists(FATES, min_size=1, max_size=30))
def test_a_plain_call_works_over_a_bad_network(fates: list[tuple[float, ...]]) -> None:
    turn = iter(fates)
    wire = Wire(lambda _: next(turn, (0.01,)))
    alice, bob = wire.node(ALICE), wire.node(BOB)
    session = call(wire, alice, bob)
    wire.run(40)
    invited = [event for event in bob.events if isinstance(event, Invited)]
    if not invited:
        assert alice.emitted(Refused)
        return
    wire.command(bob, invited[0].session, AcceptInvite(sdp=ANSWER))
    wire.run(40)
    lost_at = [event for event in bob.events if isinstance(event, Ended)]
    if alice.emitted(Accepted) and not lost_at:
        assert bob.emitted(Confirmed)
        assert alice.agent.sessions() == (session,)
        wire.command(alice, session, EndSession())
        wire.run(80)
    assert uri(bob) == "sip:bob@10.0.0.2:5060"
    wire.run(80)
    assert bob.agent.sessions() == ()
