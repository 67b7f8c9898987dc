"""Registration in both directions: lines with us, and ourselves with other registrars."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.agent import DigestCredentials
from holdfast.voice.sip.effects import (
    Address,
    ContactsChanged,
    Invited,
    OptionsAnswered,
    PasswordWrong,
    Registered,
    RegistrationFailed,
    SessionId,
    Unregistered,
)
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.codec import decode
from holdfast.voice.sip.message.digest import Ha1, answer_challenge
from holdfast.voice.sip.message.message import Response
from tests.unit.voice.sip.wire import ALICE, BOB, PROXY, SDP, Node, Peer, Wire, header, invite, reply


class Lines:
    """Two lines; unauthenticated calls are refused."""

    def ha1_of(self, user: str) -> Ha1 | None:
        passwords = {"alice": "secret", "bob": "hidden"}
        return Ha1.of(user, passwords[user]) if user in passwords else None

    def may_call_unauthenticated(self, source: Address) -> bool:
        return source[0] == "10.0.0.99"

    def is_registrar(self) -> bool:
        return True

    def is_trusted_proxy(self, host: str) -> bool:
        return False


def server(wire: Wire) -> Node:
    return wire.node(BOB, policy=Lines())


def phone(wire: Wire, address: Address = ALICE) -> Node:
    return wire.node(address)


def register(wire: Wire, node: Node, user: str = "alice", password: str = "secret", *, expires_s: int = 600) -> None:
    credentials = DigestCredentials(user=user, password=password)
    effects = node.agent.register(
        "r", BOB, user, now=wire.now, domain="10.0.0.2", credentials=credentials, expires_s=expires_s
    )
    wire.do(node, effects)
    wire.run(0.2)


def test_a_line_registers_stays_registered_and_leaves() -> None:
    wire = Wire()
    bob, alice = server(wire), phone(wire)
    register(wire, alice, expires_s=100)
    assert alice.events == [Registered(registration="r", expires_s=100.0)]
    assert bob.agent.contacts.of("alice", wire.now) == (("sip:alice@10.0.0.1:5060", ALICE),)
    assert bob.events == [ContactsChanged(user="alice", contacts=("sip:alice@10.0.0.1:5060",))]
    wire.run(500)
    assert bob.agent.contacts.of("alice", wire.now)
    assert len(alice.emitted(Registered)) == 7
    wire.do(alice, alice.agent.unregister("r", now=wire.now))
    wire.run(0.2)
    assert alice.events[-1] == Unregistered(registration="r")
    assert bob.agent.contacts.of("alice", wire.now) == ()
    assert bob.events[-1] == ContactsChanged(user="alice", contacts=())
    wire.run(400)
    assert alice.agent.timers() == bob.agent.timers() == 0
    assert alice.agent.unregister("r", now=wire.now) == []


def test_a_registrar_behind_a_proxy_gets_credentials_besides_the_proxy() -> None:
    wire = Wire()
    alice = phone(wire)
    peer = Peer(wire, alice, BOB)
    credentials = DigestCredentials(user="alice", password="secret", realms=("proxy", "registrar"))
    wire.do(alice, alice.agent.register("r", BOB, "alice", now=wire.now, credentials=credentials))
    (first,) = peer.received()
    peer.send(reply(first, 407, 'Proxy-Authenticate: Digest realm="proxy", nonce="n1"'))
    (second,) = peer.received()
    peer.send(reply(second, 401, 'WWW-Authenticate: Digest realm="registrar", nonce="n2"'))
    (third,) = peer.received()
    assert 'realm="proxy"' in header(third, "Proxy-Authorization")
    assert 'realm="registrar"' in header(third, "Authorization")
    assert header(third, "CSeq") == "3 REGISTER"
    peer.send(reply(third, 401, 'WWW-Authenticate: Digest realm="registrar", nonce="n3"'))
    assert alice.events == [RegistrationFailed(registration="r", status=401, reason="Whatever")]


def test_a_line_that_goes_silent_is_forgotten() -> None:
    wire = Wire()
    bob, alice = server(wire), phone(wire)
    register(wire, alice, expires_s=60)
    wire.fate = lambda _: ()
    wire.run(61)
    assert bob.agent.contacts.of("alice", wire.now) == ()
    wire.run(40)
    assert alice.events[-1] == RegistrationFailed(registration="r", status=408, reason="Request Timeout")


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("nobody", "secret")])
def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(user: str, password: str) -> None:
    wire = Wire()
    bob, alice = server(wire), phone(wire)
    register(wire, alice, user, password)
    assert alice.events == [RegistrationFailed(registration="r", status=401, reason="Unauthorized")]
    assert bob.events == [PasswordWrong(source=ALICE, user=user)], "the owner gets the same event for both"
    assert bob.agent.transactions() == 0


def test_a_line_registers_only_itself() -> None:
    wire = Wire()
    bob, alice = server(wire), phone(wire)
    effects = alice.agent.register(
        "r", BOB, "bob", now=wire.now, credentials=DigestCredentials(user="alice", password="secret")
    )
    wire.do(alice, effects)
    wire.run(0.2)
    assert alice.events == [RegistrationFailed(registration="r", status=403, reason="Forbidden")]
    assert bob.agent.contacts.of("bob", wire.now) == ()


def test_a_registration_that_is_too_short_gets_the_minimum_and_asks_again() -> None:
    wire = Wire()
    server(wire)
    alice = phone(wire)
    register(wire, alice, expires_s=2)
    assert alice.events == [Registered(registration="r", expires_s=10.0)]


def test_a_line_may_call_and_an_unauthenticated_peer_may_not() -> None:
    wire = Wire()
    bob, alice = server(wire), phone(wire)
    for session, credentials in (("a", DigestCredentials(user="alice", password="secret")), ("b", None)):
        effects = alice.agent.invite(
            SessionId(session), "sip:+15550100@10.0.0.2", now=wire.now, sdp=SDP, credentials=credentials
        )
        wire.do(alice, effects)
    wire.run(1)
    invited = [event for event in bob.events if isinstance(event, Invited)]
    assert [(event.user, event.called) for event in invited] == [("alice", "+15550100")]


def test_a_source_that_the_policy_trusts_calls_without_a_password() -> None:
    wire = Wire()
    bob = server(wire)
    peer = Peer(wire, bob, Address("10.0.0.99", 5060))
    peer.send(invite(sent_by="10.0.0.99:5060"))
    (invited,) = bob.emitted(Invited)
    assert isinstance(invited, Invited)
    assert invited.user is None


# --- registrar, message by message


class Scene:
    """An authenticated line that writes its REGISTERs by hand."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.bob = server(self.wire)
        self.peer = Peer(self.wire, self.bob)
        self.count = 0

    def send(
        self,
        *extra: str,
        cseq: int | None = None,
        call_id: str = "reg",
        user: str = "alice",
        source: Address | None = None,
    ) -> str:
        """Send a REGISTER, answer its challenge, and return the final response."""
        if source is not None:
            self.peer = Peer(self.wire, self.bob, source)
        self.count += 1
        number = 2 * self.count if cseq is None else cseq

        def text(branch: str, *proof: str) -> str:
            made = invite(
                *extra,
                *proof,
                method="REGISTER",
                uri="sip:10.0.0.2",
                branch=branch,
                cseq=number,
                call_id=call_id,
                contact="",
                sent_by=f"{self.peer.address.host}:{self.peer.address.port}",
            )
            return made.replace("To: <sip:bob@10.0.0.2>", f"To: <sip:{user}@10.0.0.2>")

        self.peer.send(text(f"z9hG4bKr{self.count}"))
        challenge = decode(self.peer.received()[0].encode())
        assert isinstance(challenge, Response)
        (made,) = answer_challenge(
            challenge,
            DigestCredentials(user="alice", password="secret"),
            method="REGISTER",
            uri="sip:10.0.0.2",
            client_nonce="c",
        )
        self.peer.send(text(f"z9hG4bKs{self.count}", f"{made[0]}: {made[1]}"))
        return self.peer.received()[0]

    def contacts(self) -> list[str]:
        return [uri for uri, _ in self.bob.agent.contacts.of("alice", self.wire.now)]


def listed(response: str) -> list[str]:
    return [line for line in response.split("\r\n") if line.startswith("Contact:")]


def test_several_contacts_most_wanted_first() -> None:
    scene = Scene()
    said = scene.send(
        "Contact: <sip:a@10.0.0.3:5060>;q=0.2, <sip:b@10.0.0.3>;expires=50", "Contact: <sip:c@10.0.0.4>;q=2"
    )
    assert said.startswith("SIP/2.0 200")
    assert listed(said) == [
        "Contact: <sip:c@10.0.0.4>;expires=3600",
        "Contact: <sip:b@10.0.0.3>;expires=50",
        "Contact: <sip:a@10.0.0.3:5060>;expires=3600",
    ]
    addresses = [to for _, to in scene.bob.agent.contacts.of("alice", scene.wire.now)]
    assert addresses == [PROXY, Address("10.0.0.3", 5060), Address("10.0.0.3", 5060)]
    scene.wire.run(51)
    assert scene.contacts() == ["sip:c@10.0.0.4", "sip:a@10.0.0.3:5060"]


def test_asking_changes_nothing() -> None:
    scene = Scene()
    scene.send("Contact: <sip:a@10.0.0.3>", "Expires: 100")
    scene.wire.run(40)
    assert listed(scene.send()) == ["Contact: <sip:a@10.0.0.3>;expires=60"]
    assert len(scene.bob.emitted(ContactsChanged)) == 1


def test_the_same_contact_in_other_words_is_the_same() -> None:
    scene = Scene()
    scene.send("Contact: <sip:a@10.0.0.3>")
    scene.send("Contact: <sip:a@10.0.0.3:5060;x=y?h=v>")
    assert scene.contacts() == ["sip:a@10.0.0.3:5060;x=y"]
    scene.send("Contact: <sip:a@10.0.0.3>;expires=0")
    assert scene.contacts() == []


def test_all_contacts_are_removed_at_once() -> None:
    scene = Scene()
    scene.send("Contact: <sip:a@10.0.0.3>, <sip:b@10.0.0.3>")
    assert scene.send("Contact: *", "Expires: 0").startswith("SIP/2.0 200")
    assert scene.contacts() == []


@pytest.mark.parametrize(
    "extra", [("Contact: *",), ("Contact: *", "Expires: 10"), ("Contact: *, <sip:a@b>", "Expires: 0")]
)
def test_a_star_stands_alone_and_with_expires_zero(extra: tuple[str, ...]) -> None:
    scene = Scene()
    scene.send("Contact: <sip:a@10.0.0.3>")
    assert scene.send(*extra).startswith("SIP/2.0 400")
    assert scene.contacts() == ["sip:a@10.0.0.3"]


@pytest.mark.parametrize("contact", ["<tel:+15550100>", "<sip:a@10.0.0.3", "<sip:a@10.0.0.3:70000>", "sip:a@b?x=y", ""])
def test_one_bad_contact_changes_nothing(contact: str) -> None:
    scene = Scene()
    assert scene.send(f"Contact: <sip:good@10.0.0.3>, {contact}").startswith("SIP/2.0 400")
    assert scene.contacts() == []


def test_an_older_register_that_comes_late_changes_nothing() -> None:
    scene = Scene()
    scene.send("Contact: <sip:a@10.0.0.3>", cseq=10)
    assert scene.send("Contact: <sip:a@10.0.0.3>;expires=0", cseq=9).startswith("SIP/2.0 500")
    assert scene.send("Contact: *", "Expires: 0", cseq=9).startswith("SIP/2.0 500")
    assert scene.contacts() == ["sip:a@10.0.0.3"]
    assert scene.send("Contact: <sip:a@10.0.0.3>;expires=0", cseq=1, call_id="new").startswith("SIP/2.0 200")


def test_too_many_contacts_are_refused() -> None:
    scene = Scene()
    many = ", ".join(f"<sip:p{number}@10.0.0.3>" for number in range(11))
    assert scene.send(f"Contact: {many}").startswith("SIP/2.0 403")
    assert scene.contacts() == []


def test_a_phone_that_was_restarted_replaces_its_former_contact() -> None:
    scene = Scene()
    phone = ';+sip.instance="<urn:uuid:1>"'
    scene.send('Contact: <sip:desk@10.0.0.3:5060>;+sip.instance="<urn:uuid:2>"', call_id="desk")
    for port in range(6001, 6021):
        said = scene.send(f"Contact: <sip:a@10.0.0.3:{port}>{phone}", call_id=f"start-{port}")
        assert said.startswith("SIP/2.0 200")
    assert sorted(scene.contacts()) == ["sip:a@10.0.0.3:6020", "sip:desk@10.0.0.3:5060"]
    scene.send("Contact: <sip:a@10.0.0.3:6001>;expires=0" + phone, call_id="late")
    assert sorted(scene.contacts()) == ["sip:a@10.0.0.3:6020", "sip:desk@10.0.0.3:5060"]


def test_each_flow_of_a_phone_is_a_contact() -> None:
    scene = Scene()
    for flow in (1, 2):
        scene.send(f'Contact: <sip:a@10.0.0.3:600{flow}>;+sip.instance="<urn:uuid:1>";reg-id={flow}')
    assert len(scene.contacts()) == 2


def test_a_register_from_before_the_restart_that_comes_late_replaces_nothing() -> None:
    scene = Scene()
    phone = ';+sip.instance="<urn:uuid:1>"'
    scene.send(f"Contact: <sip:a@10.0.0.3:6002>{phone}", cseq=10)
    assert scene.send(f"Contact: <sip:a@10.0.0.3:6001>{phone}", cseq=9).startswith("SIP/2.0 500")
    assert scene.contacts() == ["sip:a@10.0.0.3:6002"]


def test_of_too_many_contacts_the_one_registered_longest_ago_makes_room() -> None:
    scene = Scene()
    for number in range(10):
        scene.send(f"Contact: <sip:p{number}@10.0.0.3>", "Expires: 3600", call_id=f"p{number}")
        scene.wire.run(1)
    scene.send("Contact: <sip:p0@10.0.0.3>", "Expires: 60", call_id="p0")
    assert scene.send("Contact: <sip:new@10.0.0.3>", call_id="new").startswith("SIP/2.0 200")
    assert sorted(scene.contacts()) == ["sip:new@10.0.0.3", "sip:p0@10.0.0.3"] + [
        f"sip:p{number}@10.0.0.3" for number in range(2, 10)
    ]


@pytest.mark.parametrize(
    ("contact", "source", "granted"),
    [
        ("192.168.1.20", Address("198.51.100.7", 40_000), 50),
        ("100.64.3.4", Address("198.51.100.7", 40_000), 50),
        ("192.168.1.20", Address("198.51.100.7", 40_000, "TCP"), 3600),
        ("192.168.1.20", Address("192.168.1.1", 5060), 3600),
        ("52.1.2.3", Address("52.1.2.9", 5060), 3600),
    ],
)
def test_a_phone_behind_a_nat_registers_often_enough_to_be_reached(contact: str, source: Address, granted: int) -> None:
    said = Scene().send(f"Contact: <sip:a@{contact}:5060>;expires=3600", source=source)
    assert listed(said) == [f"Contact: <sip:a@{contact}:5060>;expires={granted}"]


def test_phones_with_the_same_private_address_behind_different_routers_are_kept_apart() -> None:
    scene = Scene()
    one, other = Address("10.0.0.4", 40_001), Address("10.0.0.5", 40_001)
    for source in (one, other):
        scene.send("Contact: <sip:a@192.168.1.20:5060>", call_id=source.host, source=source)
    assert {to for _, to in scene.bob.agent.contacts.of("alice", scene.wire.now)} == {one, other}
    scene.send("Contact: <sip:a@192.168.1.20:5060>;expires=0", call_id=other.host)
    assert [to for _, to in scene.bob.agent.contacts.of("alice", scene.wire.now)] == [one]


@pytest.mark.parametrize("source", [Address("10.0.0.4", 40_002), Address("10.0.0.5", 40_001)])
def test_a_phone_that_its_router_shows_elsewhere_is_one_contact(source: Address) -> None:
    scene = Scene()
    scene.send("Contact: <sip:a@192.168.1.20:5060>", source=Address("10.0.0.4", 40_001))
    scene.send("Contact: <sip:a@192.168.1.20:5060>", source=source)
    assert scene.bob.agent.contacts.of("alice", scene.wire.now) == (("sip:a@192.168.1.20:5060", source),)


def test_an_expiry_that_is_no_number_is_the_default() -> None:
    scene = Scene()
    said = scene.send("Contact: <sip:a@10.0.0.3>;expires=soon", "Expires: 99999999999999")
    assert listed(said) == ["Contact: <sip:a@10.0.0.3>;expires=3600"]


def test_an_address_of_record_that_cannot_be_read_is_forbidden() -> None:
    scene = Scene()
    assert scene.send("Contact: <sip:a@10.0.0.3>", user="a@b").startswith("SIP/2.0 403")


# --- ourselves elsewhere, against a scripted registrar


def register_received() -> tuple[Wire, Node, Peer, str]:
    wire = Wire()
    alice = phone(wire)
    peer = Peer(wire, alice)
    wire.do(alice, alice.agent.register("r", PROXY, "alice", now=wire.now, expires_s=100))
    return wire, alice, peer, peer.received()[0]


def test_our_register() -> None:
    _, _, _, text = register_received()
    assert text.startswith("REGISTER sip:10.0.0.3:5060 SIP/2.0")
    assert header(text, "Contact") == "<sip:alice@10.0.0.1:5060>"
    assert header(text, "Expires") == "100"
    assert header(text, "To") == "<sip:alice@10.0.0.3:5060>"


@pytest.mark.parametrize(
    ("extra", "granted"),
    [
        (("Contact: <sip:alice@10.0.0.1:5060>;expires=70",), 70),
        (("Contact: <sip:other@10.0.0.1>;expires=9, garbage", "Expires: 80"), 80),
        (("Expires: x",), 100),
        ((), 100),
    ],
)
def test_the_granted_time_is_read(extra: tuple[str, ...], granted: float) -> None:
    wire, alice, peer, text = register_received()
    peer.send(reply(text, 200, *extra))
    assert alice.events == [Registered(registration="r", expires_s=granted)]
    wire.run(granted * 0.8 - 1)
    assert peer.received() == []
    wire.run(1.1)
    assert header(peer.received()[0], "CSeq") == "2 REGISTER"


@pytest.mark.parametrize(
    ("status", "extra"), [(403, ()), (423, ()), (423, ("Min-Expires: 5",)), (423, ("Min-Expires: x",))]
)
def test_a_refused_registration_is_reported(status: int, extra: tuple[str, ...]) -> None:
    _, alice, peer, text = register_received()
    peer.send(reply(text, status, *extra))
    assert alice.events == [RegistrationFailed(registration="r", status=status, reason="Whatever")]
    assert alice.agent.timers() == 1  # timer K of the transaction alone


def failing_registration(registrar: Address = PROXY) -> tuple[Wire, Node, Peer, str]:
    """Return a registration that is tried again after every failure."""
    wire = Wire()
    alice = phone(wire)
    peer = Peer(wire, alice, registrar)
    asked = alice.agent.register("r", registrar, "alice", now=wire.now, expires_s=100, keep_trying=True)
    wire.do(alice, asked)
    return wire, alice, peer, peer.received()[0]


def waits(alice: Node) -> list[float | None]:
    return [event.retry_in_s for event in alice.events if isinstance(event, RegistrationFailed)]


def test_a_registration_that_keeps_trying_waits_longer_each_time() -> None:
    wire, alice, peer, text = failing_registration()
    for failures in range(9):
        peer.send(reply(text, 503))
        wait_s = waits(alice)[-1]
        assert wait_s is not None
        assert wait_s == min(1800, 30 * 2**failures) * 0.75
        wire.run(wait_s - 0.1)
        assert peer.received() == []
        wire.run(0.2)
        (text,) = peer.received()
        assert header(text, "CSeq") == f"{failures + 2} REGISTER"
    peer.send(reply(text, 200))
    assert alice.events[-1] == Registered(registration="r", expires_s=100)
    wire.run(80.1)
    (text,) = peer.received()
    peer.send(reply(text, 403))
    assert waits(alice)[-1] == 22.5, "counted from the start after each success"


@pytest.mark.parametrize(("said", "wait_s"), [("120", 120), ("5 (soon)", 22.5), ("999999", 1800), ("x", 22.5)])
def test_a_registrar_sets_the_time_of_the_next_try(said: str, wait_s: float) -> None:
    _, alice, peer, text = failing_registration()
    peer.send(reply(text, 503, f"Retry-After: {said}"))
    assert waits(alice) == [wait_s]


def test_a_registrar_that_is_away_is_asked_again() -> None:
    wire, alice, peer, _ = failing_registration()
    wire.run(32.1)
    assert alice.events == [RegistrationFailed(registration="r", status=408, reason="Request Timeout", retry_in_s=22.5)]
    peer.received()
    wire.run(23)
    assert header(peer.received()[0], "CSeq") == "2 REGISTER"


FIRST, SECOND, THIRD = (Address(host, 5060) for host in ("10.0.0.31", "10.0.0.32", "10.0.0.33"))


class Registrar:
    """A registrar at three addresses, with which we are to register."""

    def __init__(self) -> None:
        self.wire = Wire()
        self.alice = self.wire.node(ALICE)
        self.peers = {address: Peer(self.wire, self.alice, address) for address in (FIRST, SECOND, THIRD)}
        effects = self.alice.agent.register(
            "r",
            FIRST,
            "acme",
            now=self.wire.now,
            domain="carrier.example",
            credentials=DigestCredentials(user="acme", password="secret"),
            expires_s=100,
            others=(SECOND, THIRD),
            keep_trying=True,
        )
        self.wire.do(self.alice, effects)

    def asked(self) -> tuple[Peer, str]:
        """Return the one address at which a REGISTER has arrived, and the REGISTER."""
        ((to, text),) = dict.fromkeys((to, data.decode()) for data, _, to in self.wire.lost)
        self.wire.lost.clear()
        return self.peers[to], text

    def refuse(self, status: int) -> Address:
        """Refuse the REGISTER that has arrived, and return where it came."""
        peer, text = self.asked()
        peer.send(reply(text, status))
        return peer.address


def test_a_registrar_without_service_at_one_address_is_asked_at_the_next_before_any_wait() -> None:
    scene = Registrar()
    assert [scene.refuse(503) for _ in range(3)] == [FIRST, SECOND, THIRD]
    assert waits(scene.alice) == [22.5], "the failure of the last address is reported, once"
    scene.wire.run(22.6)
    assert scene.refuse(503) == FIRST
    peer, text = scene.asked()
    assert peer is scene.peers[SECOND]
    peer.send(reply(text, 200))
    scene.wire.run(80.1)
    assert scene.refuse(503) == SECOND, "where we are registered"
    assert scene.asked()[0] is scene.peers[THIRD]


def test_an_address_that_is_silent_is_left_after_its_transaction() -> None:
    scene = Registrar()
    scene.wire.run(31.9)
    assert scene.asked()[0] is scene.peers[FIRST]
    scene.wire.run(0.2)
    assert scene.asked()[0] is scene.peers[SECOND]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_is_the_answer_of_the_registrar_at_every_address(status: int) -> None:
    scene = Registrar()
    assert scene.refuse(status) == FIRST
    assert waits(scene.alice) == [22.5]
    assert scene.wire.lost == []


def test_a_challenge_is_answered_at_the_address_that_was_asked() -> None:
    scene = Registrar()
    scene.refuse(503)
    peer, text = scene.asked()
    peer.send(reply(text, 401, 'WWW-Authenticate: Digest realm="carrier", nonce="n1", qop="auth"'))
    again, text = scene.asked()
    assert again is peer
    assert header(text, "Authorization").startswith("Digest ")


def test_a_registration_goes_where_the_registrar_moves_and_stays_where_it_still_is() -> None:
    scene = Registrar()
    peer, text = scene.asked()
    peer.send(reply(text, 200))
    scene.wire.do(scene.alice, scene.alice.agent.move_registration("r", (SECOND, FIRST), now=scene.wire.now))
    assert scene.wire.lost == []
    scene.wire.do(scene.alice, scene.alice.agent.move_registration("r", (THIRD,), now=scene.wire.now))
    peer, moved = scene.asked()
    assert peer is scene.peers[THIRD]
    assert header(moved, "Call-ID") == header(text, "Call-ID")
    assert header(moved, "CSeq") == "2 REGISTER"
    peer.send(reply(moved, 200))
    scene.wire.run(80.1)
    assert scene.asked()[0] is peer, "and is refreshed there"


def test_removing_the_registration_ends_the_tries() -> None:
    wire, alice, peer, text = failing_registration()
    peer.send(reply(text, 503))
    wire.do(alice, alice.agent.unregister("r", now=wire.now))
    (text,) = peer.received()
    assert header(text, "Expires") == "0"
    peer.send(reply(text, 503))
    assert waits(alice) == [22.5, None]
    wire.run(3600)
    assert (peer.received(), alice.agent.timers()) == ([], 0)


def test_a_registrar_that_always_wants_longer_is_asked_once_more_and_then_after_a_wait() -> None:
    wire, alice, peer, text = failing_registration()
    peer.send(reply(text, 423, "Min-Expires: 200"))
    (text,) = peer.received()
    assert header(text, "Expires") == "200"
    peer.send(reply(text, 423, "Min-Expires: 300"))
    assert (peer.received(), waits(alice)) == ([], [22.5])
    wire.run(22.6)
    (text,) = peer.received()
    peer.send(reply(text, 423, "Min-Expires: 300"))
    assert header(peer.received()[0], "Expires") == "300"


def test_a_registrar_that_refuses_the_time_it_asks_for_is_asked_again_after_a_wait_only() -> None:
    _, alice, peer, text = failing_registration()
    assert header(text, "Expires") == "100"
    peer.send(reply(text, 423, "Min-Expires: 100"))
    assert (peer.received(), waits(alice)) == ([], [22.5])


def test_removing_a_registration_never_becomes_a_registration() -> None:
    wire, alice, peer, text = failing_registration()
    peer.send(reply(text, 200))
    wire.do(alice, alice.agent.unregister("r", now=wire.now))
    (text,) = peer.received()
    peer.send(reply(text, 423, "Min-Expires: 300"))
    assert waits(alice) == [None]
    wire.run(3600)
    assert peer.received() == []


def test_the_registrars_connection_is_kept_and_made_anew_when_it_ends() -> None:
    there = PROXY._replace(transport="TCP")
    wire, alice, peer, text = failing_registration(there)
    wire.do(alice, alice.agent.handle_disconnect(there, wire.now))
    assert waits(alice) == [22.5], "before the first answer it is a failure"
    wire.run(23)
    (text,) = peer.received()
    peer.send(reply(text, 200))
    wire.run(40)
    assert alice.agent.needs_connection(there, wire.now)
    wire.do(alice, alice.agent.handle_disconnect(there._replace(port=99), wire.now))
    wire.do(alice, alice.agent.handle_disconnect(there, wire.now))
    wire.run(3.1)
    assert header(peer.received()[0], "CSeq") == "3 REGISTER"


def test_the_response_to_an_overtaken_register_has_no_effect() -> None:
    wire, alice, peer, first = register_received()
    wire.do(alice, alice.agent.unregister("r", now=wire.now))
    second = peer.received()[0]
    assert header(second, "Expires") == "0"
    peer.send(reply(first, 200))
    assert alice.events == []
    peer.send(reply(second, 200))
    assert alice.events == [Unregistered(registration="r")]


def test_the_timeout_of_an_overtaken_register_has_no_effect() -> None:
    wire, alice, peer, _ = register_received()
    wire.run(1)
    wire.do(alice, alice.agent.register("r", PROXY, "alice", now=wire.now))
    peer.send(reply(peer.received()[-1], 200))
    wire.run(33)
    assert alice.events == [Registered(registration="r", expires_s=600.0)]


# --- OPTIONS


def test_a_live_peer_answers_options_and_a_dead_one_does_not() -> None:
    wire = Wire()
    alice = phone(wire)
    server(wire)
    wire.do(alice, alice.agent.options("live", "sip:10.0.0.2", now=wire.now))
    wire.do(alice, alice.agent.options("dead", "sip:x@nowhere.example", now=wire.now, next_hop=PROXY))
    wire.run(33)
    assert alice.events == [OptionsAnswered(ping="live", status=200), OptionsAnswered(ping="dead", status=408)]
    with pytest.raises(UriUnreadable):
        alice.agent.options("x", "sip:nowhere.example", now=wire.now)


def test_a_registration_outlives_the_registrar_through_any_jump_of_its_clock() -> None:
    wire = Wire()
    bob, alice = server(wire), phone(wire)
    register(wire, alice, expires_s=600)
    contacts, known = bob.agent.contacts.of("alice", wire.now), bob.agent.contacts.restorable("alice")
    restarted = server(Wire())
    restarted.agent.contacts.restore("alice", known, wire.now + 10)
    assert restarted.agent.contacts.of("alice", wire.now + 10) == contacts
    restarted.agent.contacts.restore("bob", known, wire.now + 700)
    assert restarted.agent.contacts.of("bob", wire.now + 700) == (), "it has expired meanwhile"
    set_back = server(Wire())
    set_back.agent.contacts.restore("alice", known, wire.now - 10_000_000)
    assert set_back.agent.contacts.of("alice", wire.now - 10_000_000 + 3599) == contacts
    assert set_back.agent.contacts.of("alice", wire.now - 10_000_000 + 3601) == ()


def test_restored_contacts_do_not_replace_newer_ones() -> None:
    wire = Wire()
    bob, alice = server(wire), phone(wire)
    register(wire, alice)
    known = bob.agent.contacts.restorable("alice")
    wire.do(alice, alice.agent.unregister("r", now=wire.now))
    wire.run(0.2)
    bob.agent.contacts.restore("alice", known, wire.now)
    assert bob.agent.contacts.of("alice", wire.now) == ()
