"""Credentials for a trunk: given to the trunk alone, for its realm alone, whoever else asks."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.agent import DigestCredentials
from holdfast.voice.sip.effects import Accepted, Address, Ended, Refused, SessionId
from holdfast.voice.sip.message.digest import parse_digest
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
        (self.invite,) = self.trunk.heard()

    def proved(self, text: str) -> str | None:
        """The realm for which a request of ours proves something."""
        found = self.all_proved(text)
        return found[0] if found else None

    def all_proved(self, text: str) -> list[str]:
        """Every such realm."""
        found = [line.partition(": ")[2] for line in text.split("\r\n") if "uthorization: Digest" in line]
        return [(parse_digest(value) or {})["realm"] for value in found]

    def answered(self, contact: str) -> str:
        """The trunk challenges as a proxy, and then the call is answered; our tag."""
        self.trunk.say(reply(self.invite, 407, challenge("carrier", proxy=True)))
        _, again = self.trunk.heard()
        assert self.proved(again) == "carrier"
        self.trunk.say(reply(again, 200, f"Contact: {contact}", "Content-Type: application/sdp", body=ANSWER.decode()))
        assert len(self.alice.told(Accepted)) == 1
        (ack,) = [data.decode() for data, _, _ in self.wire.lost]
        self.wire.lost.clear()
        assert self.proved(ack) == "carrier"
        return header(ack, "From").partition("tag=")[2]


@pytest.mark.parametrize("proxy", [True, False])
def test_a_trunk_that_asks_gets_its_proof(proxy: bool) -> None:
    scene = Scene()
    scene.trunk.say(reply(scene.invite, 407 if proxy else 401, challenge("carrier", proxy=proxy)))
    _, again = scene.trunk.heard()
    assert scene.proved(again) == "carrier"
    assert ("Proxy-Authorization" in again) is proxy
    assert header(again, "CSeq") == "2 INVITE"


def test_a_route_with_a_realm_answers_no_other() -> None:
    scene = Scene(DigestCredentials(user="acme", password="secret", realms=("carrier",)))
    scene.trunk.say(reply(scene.invite, 401, challenge("evil")))
    (ack,) = scene.trunk.heard()
    assert ack.startswith("ACK ")
    (refused,) = scene.alice.told(Refused)
    assert isinstance(refused, Refused)
    assert refused.status == 401


TWO = DigestCredentials(user="acme", password="secret", realms=("carrier", "switch"))


@pytest.mark.parametrize("first", ["carrier", "switch"])
def test_a_proxy_and_the_switch_behind_it_are_both_proved_what_they_ask(first: str) -> None:
    scene = Scene(TWO)
    (second,) = {"carrier", "switch"} - {first}
    scene.trunk.say(reply(scene.invite, 407, challenge(first, proxy=True)))
    _, again = scene.trunk.heard()
    assert scene.all_proved(again) == [first]
    scene.trunk.say(reply(again, 401, challenge(second)))
    _, third = scene.trunk.heard()
    assert header(third, "CSeq") == "3 INVITE"
    assert scene.all_proved(third) == [first, second]
    scene.trunk.say(reply(third, 200, "Contact: <sip:trunk@10.0.0.3>", body=ANSWER.decode()))
    (ack,) = scene.trunk.heard()
    assert scene.all_proved(ack) == [first, second]
    # Inside the call both may ask again, and nobody else.
    scene.wire.do(scene.alice, scene.alice.agent.bye(scene.session, now=scene.wire.now))
    (bye,) = scene.trunk.heard()
    scene.trunk.say(reply(bye, 407, challenge(first, proxy=True)))
    (bye,) = scene.trunk.heard()
    scene.trunk.say(reply(bye, 401, challenge(second)))
    (bye,) = scene.trunk.heard()
    assert scene.all_proved(bye) == [first, second]
    scene.trunk.say(reply(bye, 401, challenge("phone of the callee")))
    assert scene.trunk.heard() == []
    assert len(scene.alice.told(Ended)) == 1


@pytest.mark.parametrize("asks", ["carrier", "switch", "evil"])
def test_who_asks_a_third_time_has_refused_us(asks: str) -> None:
    scene = Scene(TWO)
    scene.trunk.say(reply(scene.invite, 407, challenge("carrier", proxy=True)))
    scene.trunk.say(reply(scene.trunk.heard()[1], 407, challenge("switch", proxy=True)))
    scene.trunk.say(reply(scene.trunk.heard()[1], 407, challenge(asks, proxy=True)))
    (ack,) = scene.trunk.heard()
    assert ack.startswith("ACK ")
    assert [event.status for event in scene.alice.told(Refused)] == [407]  # type: ignore[union-attr]


def test_nonces_that_are_always_stale_end() -> None:
    scene = Scene(TWO)
    asked = scene.invite
    for _ in range(4):
        scene.trunk.say(reply(asked, 407, challenge("carrier", proxy=True) + ", stale=true"))
        asked = scene.trunk.heard()[1]
    scene.trunk.say(reply(asked, 407, challenge("carrier", proxy=True) + ", stale=true"))
    assert len(scene.alice.told(Refused)) == 1


def test_without_names_the_realm_of_the_first_challenge_is_the_only_one() -> None:
    scene = Scene()
    scene.trunk.say(reply(scene.invite, 407, challenge("carrier", proxy=True)))
    scene.trunk.say(reply(scene.trunk.heard()[1], 401, challenge("phone of the callee")))
    assert [text.split(" ")[0] for text in scene.trunk.heard()] == ["ACK"]
    assert len(scene.alice.told(Refused)) == 1


def test_a_challenge_of_another_realm_inside_the_call_is_not_answered() -> None:
    """The callee answers our BYE with a challenge of its own, forwarded by the trunk: the digest leak."""
    scene = Scene()
    scene.answered("<sip:trunk@10.0.0.3>")
    scene.wire.do(scene.alice, scene.alice.agent.bye(scene.session, now=scene.wire.now))
    (bye,) = scene.trunk.heard()
    assert scene.proved(bye) is None
    scene.trunk.say(reply(bye, 401, challenge("phone of the callee")))
    assert scene.trunk.heard() == []
    assert len(scene.alice.told(Ended)) == 1


def test_a_challenge_of_the_trunk_inside_the_call_is_answered() -> None:
    scene = Scene()
    scene.answered("<sip:trunk@10.0.0.3>")
    scene.wire.do(scene.alice, scene.alice.agent.bye(scene.session, now=scene.wire.now))
    (bye,) = scene.trunk.heard()
    scene.trunk.say(reply(bye, 407, challenge("carrier", proxy=True)))
    (again,) = scene.trunk.heard()
    assert scene.proved(again) == "carrier"


def test_nobody_but_the_trunk_is_proved_anything() -> None:
    """The Contact leads past the trunk; whoever is there asks for the trunk's own realm."""
    scene = Scene()
    scene.answered(f"<sip:x@{ELSEWHERE.host}>")
    scene.wire.do(scene.alice, scene.alice.agent.bye(scene.session, now=scene.wire.now))
    stranger = Peer(scene.wire, scene.alice, ELSEWHERE)
    (bye,) = stranger.heard()
    stranger.say(reply(bye, 401, challenge("carrier")))
    assert stranger.heard() == []
    assert len(scene.alice.told(Ended)) == 1


def test_who_calls_us_cannot_make_us_prove_anything() -> None:
    scene = Scene()
    peer = Peer(scene.wire, scene.alice, ELSEWHERE)
    peer.say(invite("Content-Type: application/sdp", contact=f"<sip:x@{ELSEWHERE.host}>", body=SDP.decode()))
    (session,) = set(scene.alice.agent.sessions()) - {scene.session}
    scene.wire.do(scene.alice, scene.alice.agent.accept(session, ANSWER, now=scene.wire.now))
    ok = peer.heard()[-1]
    peer.say(invite(method="ACK", to_tag=header(ok, "To").partition("tag=")[2], branch="z9hG4bKack"))
    scene.wire.do(scene.alice, scene.alice.agent.bye(session, now=scene.wire.now))
    bye = next(text for text in peer.heard() if text.startswith("BYE"))
    peer.say(reply(bye, 401, challenge("carrier"), tag=None))
    assert not any("uthorization" in text for text in peer.heard())
