"""Credentials for a trunk: only the trunk gets them, for its realm alone."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.agent import DigestCredentials
from holdfast.voice.sip.effects import Accepted, Address, Ended, Refused, SessionId
from holdfast.voice.sip.message.digest import parse_digest
from holdfast.voice.sip.session_commands import AcceptInvite, EndSession
from tests.unit.voice.sip.wire import ALICE, ANSWER, PROXY, SDP, Peer, Wire, header, invite, reply

ELSEWHERE = Address("52.9.9.9", 5060)
ACME = DigestCredentials(user="acme", password="secret")


def challenge(realm: str, *, proxy: bool = False) -> str:
    name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
    return f'{name}: Digest realm="{realm}", nonce="n1", algorithm=SHA-256, qop="auth"'


class Scene:
    """A call of ours to a trunk, its INVITE sent."""

    def __init__(self, credentials: DigestCredentials = ACME) -> None:
        self.wire = Wire()
        self.alice = self.wire.node(ALICE)
        self.trunk = Peer(self.wire, self.alice, PROXY)
        self.session = SessionId("a")
        effects = self.alice.agent.invite(
            self.session,
            "sip:+4420@10.0.0.3",
            now=self.wire.now,
            sdp=SDP,
            caller="+15550100",
            credentials=credentials,
        )
        self.wire.do(self.alice, effects)
        (self.invite,) = self.trunk.received()

    def proved(self, text: str) -> str | None:
        """Return the realm for which a request of ours has credentials."""
        found = self.all_proved(text)
        return found[0] if found else None

    def all_proved(self, text: str) -> list[str]:
        """Return every such realm."""
        found = [line.partition(": ")[2] for line in text.split("\r\n") if "uthorization: Digest" in line]
        return [(parse_digest(value) or {})["realm"] for value in found]

    def answered(self, contact: str) -> str:
        """Challenge as a proxy, then answer the call; return our tag."""
        self.trunk.send(reply(self.invite, 407, challenge("carrier", proxy=True)))
        _, again = self.trunk.received()
        assert self.proved(again) == "carrier"
        self.trunk.send(reply(again, 200, f"Contact: {contact}", "Content-Type: application/sdp", body=ANSWER.decode()))
        assert len(self.alice.emitted(Accepted)) == 1
        (ack,) = [data.decode() for data, _, _ in self.wire.lost]
        self.wire.lost.clear()
        assert self.proved(ack) == "carrier"
        return header(ack, "From").partition("tag=")[2]


@pytest.mark.parametrize("proxy", [True, False])
def test_a_trunk_that_challenges_gets_credentials(proxy: bool) -> None:
    scene = Scene()
    scene.trunk.send(reply(scene.invite, 407 if proxy else 401, challenge("carrier", proxy=proxy)))
    _, again = scene.trunk.received()
    assert scene.proved(again) == "carrier"
    assert ("Proxy-Authorization" in again) is proxy
    assert header(again, "CSeq") == "2 INVITE"


def test_credentials_with_a_realm_answer_no_other_realm() -> None:
    scene = Scene(DigestCredentials(user="acme", password="secret", realms=("carrier",)))
    scene.trunk.send(reply(scene.invite, 401, challenge("evil")))
    (ack,) = scene.trunk.received()
    assert ack.startswith("ACK ")
    (refused,) = scene.alice.emitted(Refused)
    assert isinstance(refused, Refused)
    assert refused.status == 401


TWO = DigestCredentials(user="acme", password="secret", realms=("carrier", "switch"))


@pytest.mark.parametrize("first", ["carrier", "switch"])
def test_a_proxy_and_the_exchange_behind_it_both_get_credentials(first: str) -> None:
    scene = Scene(TWO)
    (second,) = {"carrier", "switch"} - {first}
    scene.trunk.send(reply(scene.invite, 407, challenge(first, proxy=True)))
    _, again = scene.trunk.received()
    assert scene.all_proved(again) == [first]
    scene.trunk.send(reply(again, 401, challenge(second)))
    _, third = scene.trunk.received()
    assert header(third, "CSeq") == "3 INVITE"
    assert scene.all_proved(third) == [first, second]
    scene.trunk.send(reply(third, 200, "Contact: <sip:trunk@10.0.0.3>", body=ANSWER.decode()))
    (ack,) = scene.trunk.received()
    assert scene.all_proved(ack) == [first, second]
    # Inside the call both may ask again, and nobody else.
    scene.wire.command(scene.alice, scene.session, EndSession())
    (bye,) = scene.trunk.received()
    scene.trunk.send(reply(bye, 407, challenge(first, proxy=True)))
    (bye,) = scene.trunk.received()
    scene.trunk.send(reply(bye, 401, challenge(second)))
    (bye,) = scene.trunk.received()
    assert scene.all_proved(bye) == [first, second]
    scene.trunk.send(reply(bye, 401, challenge("phone of the callee")))
    assert scene.trunk.received() == []
    assert len(scene.alice.emitted(Ended)) == 1


@pytest.mark.parametrize("asks", ["carrier", "switch", "evil"])
def test_a_third_challenge_is_a_refusal(asks: str) -> None:
    scene = Scene(TWO)
    scene.trunk.send(reply(scene.invite, 407, challenge("carrier", proxy=True)))
    scene.trunk.send(reply(scene.trunk.received()[1], 407, challenge("switch", proxy=True)))
    scene.trunk.send(reply(scene.trunk.received()[1], 407, challenge(asks, proxy=True)))
    (ack,) = scene.trunk.received()
    assert ack.startswith("ACK ")
    assert [event.status for event in scene.alice.emitted(Refused)] == [407]  # type: ignore[union-attr]


def test_nonces_that_are_always_stale_end() -> None:
    scene = Scene(TWO)
    asked = scene.invite
    for _ in range(4):
        scene.trunk.send(reply(asked, 407, challenge("carrier", proxy=True) + ", stale=true"))
        asked = scene.trunk.received()[1]
    scene.trunk.send(reply(asked, 407, challenge("carrier", proxy=True) + ", stale=true"))
    assert len(scene.alice.emitted(Refused)) == 1


def test_without_names_the_realm_of_the_first_challenge_is_the_only_one() -> None:
    scene = Scene()
    scene.trunk.send(reply(scene.invite, 407, challenge("carrier", proxy=True)))
    scene.trunk.send(reply(scene.trunk.received()[1], 401, challenge("phone of the callee")))
    assert [text.split(" ")[0] for text in scene.trunk.received()] == ["ACK"]
    assert len(scene.alice.emitted(Refused)) == 1


def test_a_challenge_of_another_realm_inside_the_call_is_not_answered() -> None:
    """The callee answers our BYE with a challenge of its own, forwarded by the trunk: the digest leak."""
    scene = Scene()
    scene.answered("<sip:trunk@10.0.0.3>")
    scene.wire.command(scene.alice, scene.session, EndSession())
    (bye,) = scene.trunk.received()
    assert scene.proved(bye) is None
    scene.trunk.send(reply(bye, 401, challenge("phone of the callee")))
    assert scene.trunk.received() == []
    assert len(scene.alice.emitted(Ended)) == 1


def test_a_challenge_of_the_trunk_inside_the_call_is_answered() -> None:
    scene = Scene()
    scene.answered("<sip:trunk@10.0.0.3>")
    scene.wire.command(scene.alice, scene.session, EndSession())
    (bye,) = scene.trunk.received()
    scene.trunk.send(reply(bye, 407, challenge("carrier", proxy=True)))
    (again,) = scene.trunk.received()
    assert scene.proved(again) == "carrier"


def test_only_the_trunk_gets_credentials() -> None:
    """The Contact leads past the trunk, to a host that challenges for the trunk's own realm."""
    scene = Scene()
    scene.answered(f"<sip:x@{ELSEWHERE.host}>")
    scene.wire.command(scene.alice, scene.session, EndSession())
    stranger = Peer(scene.wire, scene.alice, ELSEWHERE)
    (bye,) = stranger.received()
    stranger.send(reply(bye, 401, challenge("carrier")))
    assert stranger.received() == []
    assert len(scene.alice.emitted(Ended)) == 1


def test_a_caller_cannot_make_us_send_credentials() -> None:
    scene = Scene()
    peer = Peer(scene.wire, scene.alice, ELSEWHERE)
    peer.send(invite("Content-Type: application/sdp", contact=f"<sip:x@{ELSEWHERE.host}>", body=SDP.decode()))
    (session,) = set(scene.alice.agent.sessions()) - {scene.session}
    scene.wire.command(scene.alice, session, AcceptInvite(sdp=ANSWER))
    ok = peer.received()[-1]
    peer.send(invite(method="ACK", to_tag=header(ok, "To").partition("tag=")[2], branch="z9hG4bKack"))
    scene.wire.command(scene.alice, session, EndSession())
    bye = next(text for text in peer.received() if text.startswith("BYE"))
    peer.send(reply(bye, 401, challenge("carrier"), tag=None))
    assert not any("uthorization" in text for text in peer.received())
