"""The abuse guard: rate limits, lock-out after wrong passwords, and silence towards scanners."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.sip.abuse_guard import AbuseLimits, HostBuckets
from holdfast.voice.sip.agent import DigestCredentials
from holdfast.voice.sip.effects import Address, Invited, LockedOut, MessageDropped, PasswordWrong
from holdfast.voice.sip.message import digest
from holdfast.voice.sip.message.digest import Ha1, answer_challenge, response_of
from holdfast.voice.sip.message.message import response
from holdfast.voice.sip.session_commands import AcceptInvite
from tests.unit.voice.sip.wire import BOB, Peer, Wire, header, invite

UNKNOWN, HOME = Address("198.51.100.7", 5060), Address("198.51.100.8", 5060)
FEW = AbuseLimits(requests_burst=5.0, requests_per_s=1.0, guesses_burst=3.0, guesses_per_s=0.1, max_hosts=4)
MANY = AbuseLimits(requests_burst=1e6)


@dataclass
class Lines:
    """Two lines; calls of the trunk arrive without a password."""

    trunk: str = "203.0.113.5"
    passwords: dict[str, str] = field(default_factory=lambda: {"alice": "secret", "bob": "other"})

    def ha1_of(self, user: str) -> Ha1 | None:
        return Ha1.of(user, self.passwords[user]) if user in self.passwords else None

    def may_call_unauthenticated(self, source: Address) -> bool:
        return source.host == self.trunk

    def is_registrar(self) -> bool:
        return True

    def is_trusted_proxy(self, host: str) -> bool:
        return False


class Scene:
    """A server with an abuse guard, and hosts that send to it."""

    def __init__(self, limits: AbuseLimits = MANY, *, quiet: bool = False) -> None:
        self.wire = Wire()
        self.bob = self.wire.node(BOB, policy=Lines(), limits=limits, quiet=quiet)
        self._branch = 0

    def request(
        self,
        method: str,
        *extra: str,
        source: Address = UNKNOWN,
        uri: str = "sip:10.0.0.2",
        to: str = "alice",
        to_tag: str = "",
    ) -> list[str]:
        """Send a request and return the responses."""
        self._branch += 1
        peer = Peer(self.wire, self.bob, source)
        text = invite(
            *extra,
            uri=uri,
            method=method,
            to_tag=to_tag,
            branch=f"z9hG4bK{self._branch}",
            sent_by=f"{source.host}:5060",
            call_id=f"c{self._branch}",
        )
        peer.send(text.replace("To: <sip:bob@", f"To: <sip:{to}@"))
        return peer.received()

    def authenticate(
        self, method: str, user: str, password: str, *, source: Address = UNKNOWN, uri: str = "sip:10.0.0.2"
    ) -> list[str]:
        """Send a request that answers a fresh challenge."""
        said = self.request(method, source=source, uri=uri, to=user)
        if not said:
            return []
        proved = proof(said[0], user, password, method=method, uri=uri)
        return self.request(method, proved, source=source, uri=uri, to=user)

    def dropped(self) -> list[str]:
        """Return why requests were left unanswered."""
        return [event.reason for event in self.bob.events if isinstance(event, MessageDropped)]


def proof(challenge: str, user: str, password: str, *, method: str, uri: str) -> str:
    """Return the header that answers a 401."""
    fields = (
        *(("Via", "SIP/2.0/UDP 10.0.0.3;branch=x"), ("From", "<sip:a@b>"), ("To", "<sip:a@b>"), ("Call-ID", "c")),
        *(("CSeq", "1 X"), ("WWW-Authenticate", header(challenge, "WWW-Authenticate"))),
    )
    (made,) = answer_challenge(
        response(401, "", fields),
        DigestCredentials(user=user, password=password),
        method=method,
        uri=uri,
        client_nonce="n",
    )
    return f"{made[0]}: {made[1]}"


def status(said: list[str]) -> int | None:
    return int(said[-1].split(" ")[1]) if said else None


def alike(said: list[str]) -> list[str]:
    """Return responses without the parts that differ each time or echo the request."""
    return [re.sub(r'tag=\w+|nonce="[^"]*"|branch=\w+|Call-ID: \w+|To: [^\r]*', "", text) for text in said]


# --- buckets


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    buckets = HostBuckets(burst=3.0, per_s=0.5, max_hosts=10)
    assert [buckets.consume("a", 100.0) for _ in range(4)] == [True, True, True, False]
    assert [buckets.consume("a", 102.0) for _ in range(2)] == [True, False]
    assert [buckets.consume("a", 1000.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.consume("b", 100.0)


def test_time_that_goes_back_gives_nothing() -> None:
    buckets = HostBuckets(burst=1.0, per_s=1.0, max_hosts=10)
    assert buckets.consume("a", 100.0)
    assert not buckets.consume("a", 50.0)


def test_of_too_many_the_one_that_was_silent_longest_is_forgotten() -> None:
    buckets = HostBuckets(burst=1.0, per_s=0.0, max_hosts=2)
    for host in ("a", "b", "a", "c"):
        buckets.consume(host, 1.0)
    assert len(buckets) == 2
    assert (buckets.tokens("a", 1.0), buckets.tokens("b", 1.0), buckets.tokens("c", 1.0)) == (0.0, 1.0, 0.0)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 10)), max_size=100))
def test_no_bucket_gives_more_than_burst_and_rate(steps: list[tuple[str, float]]) -> None:
    buckets, now, given_ = HostBuckets(burst=2.0, per_s=1.0, max_hosts=8), 0.0, dict.fromkeys("abcdefgh", 0)
    for host, pause in steps:
        now += pause
        given_[host] += buckets.consume(host, now)
        assert given_[host] <= 2.0 + now
        assert 0.0 <= buckets.tokens(host, now) <= 2.0


# --- requests


def test_a_flood_is_left_unanswered_and_other_hosts_are_answered() -> None:
    scene = Scene(FEW)
    answers = [status(scene.request("OPTIONS")) for _ in range(8)]
    assert answers == [200] * 5 + [None] * 3
    assert scene.dropped() == ["too many requests"] * 3
    assert status(scene.request("OPTIONS", source=HOME)) == 200
    scene.wire.run(2)
    assert [status(scene.request("OPTIONS")) for _ in range(3)] == [200, 200, None]


def test_a_flood_of_rubbish_is_left_unanswered_too() -> None:
    scene = Scene(FEW)
    peer = Peer(scene.wire, scene.bob, UNKNOWN)
    for _ in range(8):
        peer.send("OPTIONS sip:a SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.7\nCSeq: x\n\n")
    assert peer.statuses() == [400] * 5


def test_a_trunk_is_not_limited() -> None:
    scene = Scene(FEW)
    trunk = Address("203.0.113.5", 5060)
    assert [status(scene.request("OPTIONS", source=trunk)) for _ in range(20)] == [200] * 20


def test_a_call_that_runs_is_not_limited() -> None:
    scene = Scene(FEW)
    trunk = Address("203.0.113.5", 5060)
    scene.request("INVITE", "Content-Type: application/sdp", source=trunk, uri="sip:1@10.0.0.2")
    (invited,) = scene.bob.emitted(Invited)
    assert isinstance(invited, Invited)
    for _ in range(10):
        scene.request("OPTIONS", source=HOME)
    peer = Peer(scene.wire, scene.bob, HOME)
    scene.wire.command(scene.bob, invited.session, AcceptInvite(sdp=b"v=0\r\n"))
    ok = next(data.decode() for data, _, to in scene.wire.lost if to == trunk and b"200 OK" in data)
    tag = header(ok, "To").partition("tag=")[2]
    bye = invite(method="BYE", to_tag=tag, branch="z9hG4bKbye", cseq=2, call_id=header(ok, "Call-ID"))
    peer.send(bye)
    assert peer.statuses()[-1:] == [200]


def test_an_invite_from_a_flooding_host_can_be_cancelled() -> None:
    scene = Scene(AbuseLimits(requests_burst=2.0, requests_per_s=0.0))
    said = scene.authenticate("INVITE", "alice", "secret", uri="sip:1@10.0.0.2")
    assert status(said) == 100
    peer = Peer(scene.wire, scene.bob, UNKNOWN)
    via = header(said[0], "Via").partition("branch=")[2].partition(";")[0]
    text = invite(
        uri="sip:1@10.0.0.2",
        method="CANCEL",
        branch=via,
        sent_by="198.51.100.7:5060",
        call_id=header(said[0], "Call-ID"),
    )
    peer.send(text)
    assert 200 in peer.statuses()


# --- guesses


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_a_line_that_exists_and_one_that_does_not_get_the_same_answer(method: str) -> None:
    scene = Scene()
    assert alike(scene.request(method, to="alice")) == alike(scene.request(method, to="nobody"))
    known = scene.authenticate(method, "alice", "wrong")
    assert status(known) == 401
    assert alike(known) == alike(scene.authenticate(method, "nobody", "wrong"))
    assert alike(known) == alike(scene.authenticate(method, "", ""))
    assert alike(scene.request("OPTIONS", uri="sip:alice@10.0.0.2")) == alike(
        scene.request("OPTIONS", uri="sip:nobody@10.0.0.2")
    )


def test_as_much_is_computed_for_a_line_that_does_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of the answer must not reveal the names that exist."""
    computed: list[str] = []

    def counted(params: Mapping[str, str], *, ha1: Ha1, method: str) -> str | None:
        computed.append(params["username"])
        return response_of(params, ha1=ha1, method=method)

    monkeypatch.setattr(digest, "response_of", counted)
    scene = Scene()
    for user in ("alice", "nobody"):
        assert status(scene.authenticate("REGISTER", user, "wrong")) == 401
    assert computed == ["alice", "alice", "nobody", "nobody"]  # once by the client, once by us


def test_as_much_is_computed_for_a_locked_out_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of the answer must not reveal who registers from behind the same address."""
    scene = Scene(AbuseLimits(requests_burst=1e6, guesses_burst=1.0, guesses_per_s=0.0))
    scene.authenticate("REGISTER", "alice", "wrong")
    asked: list[str] = []
    ha1_of = Lines.ha1_of

    def counted(lines: Lines, user: str) -> Ha1 | None:
        asked.append(user)
        return ha1_of(lines, user)

    monkeypatch.setattr(Lines, "ha1_of", counted)
    for user in ("alice", "nobody"):
        assert status(scene.authenticate("REGISTER", user, "wrong")) == 401
    assert asked == ["alice", "nobody"]


def test_too_many_guesses_lock_a_user_out_for_a_while_without_new_answers() -> None:
    scene = Scene(AbuseLimits(requests_burst=1e6, guesses_burst=3.0, guesses_per_s=0.1))
    wrong = [scene.authenticate("REGISTER", "alice", f"guess {number}") for number in range(3)]
    (event,) = scene.bob.emitted(LockedOut)
    assert isinstance(event, LockedOut)
    assert (event.source, event.user, round(event.retry_in_s)) == (UNKNOWN, "alice", 10)
    assert scene.bob.emitted(PasswordWrong) == [PasswordWrong(source=UNKNOWN, user="alice")] * 2
    locked = scene.authenticate("REGISTER", "alice", "secret")
    assert alike(locked) == alike(wrong[0])
    assert status(scene.authenticate("REGISTER", "alice", "secret", source=HOME)) == 200
    scene.wire.run(11)
    assert status(scene.authenticate("REGISTER", "alice", "secret")) == 200


@pytest.mark.parametrize("method", ["REGISTER", "INVITE"])
def test_a_phone_with_a_wrong_password_locks_out_no_other_behind_its_address(method: str) -> None:
    scene = Scene()
    good = 200 if method == "REGISTER" else 100
    for number in range(50):
        assert status(scene.authenticate("REGISTER", "alice", f"guess {number}")) == 401
    assert len(scene.bob.emitted(LockedOut)) == 1
    assert status(scene.authenticate(method, "bob", "other", uri="sip:1@10.0.0.2")) == good


def test_guesses_at_many_users_lock_a_host_out_but_not_lines_that_authenticated_there() -> None:
    few = AbuseLimits(requests_burst=1e6, guesses_burst=3.0, host_guesses_burst=5.0, host_guesses_per_s=0.1)
    scene = Scene(few)
    assert status(scene.authenticate("REGISTER", "bob", "other")) == 200
    wrong = [scene.authenticate("REGISTER", f"user{number}", "1234") for number in range(8)]
    (event,) = scene.bob.emitted(LockedOut)
    assert isinstance(event, LockedOut)
    assert (event.source, event.user, round(event.retry_in_s)) == (UNKNOWN, None, 10)
    locked = scene.authenticate("REGISTER", "alice", "secret")
    assert alike(locked) == alike(wrong[0])
    assert status(scene.authenticate("REGISTER", "bob", "other")) == 200
    assert status(scene.authenticate("INVITE", "bob", "other", uri="sip:1@10.0.0.2")) == 100
    assert status(scene.authenticate("REGISTER", "alice", "secret", source=HOME)) == 200
    scene.wire.run(11)
    assert status(scene.authenticate("REGISTER", "alice", "secret")) == 200


def test_guesses_at_an_authenticated_line_are_limited_like_others() -> None:
    scene = Scene(AbuseLimits(requests_burst=1e6, guesses_burst=3.0, guesses_per_s=0.0, host_guesses_burst=3.0))
    assert status(scene.authenticate("REGISTER", "alice", "secret")) == 200
    for number in range(3):
        scene.authenticate("REGISTER", "alice", f"guess {number}")
    assert [event.user for event in scene.bob.emitted(LockedOut) if isinstance(event, LockedOut)] == ["alice", None]
    assert status(scene.authenticate("REGISTER", "alice", "secret")) == 401


def test_a_line_that_authenticated_long_ago_has_no_exception() -> None:
    scene = Scene(AbuseLimits(requests_burst=1e6, host_guesses_burst=5.0, host_guesses_per_s=0.0))
    assert status(scene.authenticate("REGISTER", "bob", "other")) == 200
    scene.wire.run(7201)
    for number in range(5):
        scene.authenticate("REGISTER", f"user{number}", "1234")
    assert status(scene.authenticate("REGISTER", "bob", "other")) == 401


def test_a_locked_out_user_is_reported_in_clean_bounded_text() -> None:
    scene = Scene(AbuseLimits(requests_burst=1e6, guesses_burst=1.0, guesses_per_s=0.0))
    scene.authenticate("REGISTER", "a\udcff" + "x" * 1000, "1234")
    (event,) = scene.bob.emitted(LockedOut)
    assert isinstance(event, LockedOut)
    assert event.user == "a\ufffd" + "x" * 62
    assert event.retry_in_s == float("inf")


def test_locked_out_and_authenticated_users_are_counted_too() -> None:
    scene = Scene(AbuseLimits(requests_burst=1e6, guesses_burst=1.0, guesses_per_s=0.0, max_hosts=2))
    for user in ("alice", "one", "two"):
        assert status(scene.authenticate("REGISTER", user, "1234")) == 401
    assert status(scene.authenticate("REGISTER", "alice", "secret")) == 200


def test_credentials_for_a_foreign_challenge_are_no_guess() -> None:
    """After a restart every phone behind one router answers an old challenge first, which must not lock it out."""
    scene = Scene(AbuseLimits(requests_burst=1e6, guesses_burst=3.0, guesses_per_s=0.0))
    old = 'SIP/2.0 401 x\r\nWWW-Authenticate: Digest realm="holdfast", nonce="1.1.abc", algorithm=MD5, qop="auth"'
    for _ in range(10):
        said = scene.request("REGISTER", proof(old, "alice", "secret", method="REGISTER", uri="sip:10.0.0.2"))
        assert status(said) == 401
    assert scene.bob.emitted(PasswordWrong) == []
    assert status(scene.authenticate("REGISTER", "alice", "secret")) == 200


@pytest.mark.parametrize("forged", ["Basic YTpi", 'Digest username="alice", realm="elsewhere"', "Digest =", "x"])
def test_forged_requests_lock_no_user_out(forged: str) -> None:
    """A datagram's source costs nothing to forge; only credentials for a received challenge count as a guess."""
    scene = Scene(AbuseLimits(requests_burst=1e6, guesses_burst=3.0, guesses_per_s=0.0))
    for _ in range(10):
        assert status(scene.request("REGISTER", f"Authorization: {forged}")) == 401
    assert scene.bob.emitted(LockedOut) == []
    assert status(scene.authenticate("REGISTER", "alice", "secret")) == 200


# --- what a thief would try


def test_a_line_registers_no_other_line() -> None:
    scene = Scene()
    said = scene.request("REGISTER", to="bob")
    line = proof(said[0], "alice", "secret", method="REGISTER", uri="sip:10.0.0.2")
    assert status(scene.request("REGISTER", line, "Contact: <sip:thief@198.51.100.7>", to="bob")) == 403
    assert scene.bob.agent.contacts.of("bob", scene.wire.now) == ()


def test_credentials_are_valid_once_for_their_request_and_host() -> None:
    scene = Scene()
    said = scene.request("REGISTER")
    line = proof(said[0], "alice", "secret", method="REGISTER", uri="sip:10.0.0.2")
    assert status(scene.request("INVITE", line, uri="sip:10.0.0.2")) == 401
    assert status(scene.request("REGISTER", line, uri="sip:10.0.0.9")) == 401
    assert status(scene.request("REGISTER", line.replace('realm="holdfast"', 'realm="elsewhere"'))) == 401
    assert status(scene.request("REGISTER", line, source=HOME)) == 401
    assert status(scene.request("REGISTER", line)) == 200
    again = scene.request("REGISTER", line)
    assert status(again) == 401
    assert "stale=true" in again[0]
    assert status(scene.request("REGISTER", line.replace("nc=00000001", "nc=00000002"))) == 401


# --- nothing is remembered of who has no call


@pytest.mark.parametrize(
    "method", ["OPTIONS", "SUBSCRIBE", "PUBLISH", "MESSAGE", "BYE", "CANCEL", "REFER", "INVITE", "REGISTER", "NOTIFY"]
)
@pytest.mark.parametrize("extra", ["X: y", "Require: teleport"])
def test_unauthenticated_requests_do_not_fill_the_memory_that_calls_need(method: str, extra: str) -> None:
    scene = Scene()
    for _ in range(50):
        assert len(scene.request(method, extra)) == 1
    assert (scene.bob.agent.transactions(), scene.bob.timers) == (0, {})


def test_a_repeated_request_gets_the_same_answer_statelessly() -> None:
    scene = Scene()
    said = scene.request("OPTIONS")
    scene._branch -= 1
    assert scene.request("OPTIONS") == said
    assert scene.request("OPTIONS") != said


@pytest.mark.parametrize(
    ("event", "host", "status_"),
    [
        ("message-summary", "203.0.113.5", 200),
        ("Message-Summary;id=1", "203.0.113.5", 200),
        ("message-summary", "198.51.100.7", 481),
        ("refer", "203.0.113.5", 481),
    ],
)
def test_an_unsolicited_message_count_is_accepted_from_trunks_alone(event: str, host: str, status_: int) -> None:
    assert status(Scene().request("NOTIFY", f"Event: {event}", source=Address(host, 5060))) == status_


# --- quiet


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "SUBSCRIBE", "MESSAGE", "BYE", "CANCEL", "WHATEVER"])
def test_when_quiet_unknown_hosts_get_no_answer(method: str) -> None:
    scene = Scene(quiet=True)
    assert scene.request(method) == []
    assert scene.dropped() == ["an unknown host"]


def test_when_quiet_rubbish_gets_no_answer() -> None:
    scene = Scene(quiet=True)
    peer = Peer(scene.wire, scene.bob, UNKNOWN)
    peer.send("OPTIONS sip:a SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.7\nCSeq: x\n\n")
    assert peer.received() == []


def test_when_quiet_a_registered_phone_is_known() -> None:
    scene = Scene(quiet=True)
    assert status(scene.authenticate("REGISTER", "alice", "secret")) == 200
    assert status(scene.request("OPTIONS")) == 200
    assert status(scene.authenticate("INVITE", "alice", "secret", uri="sip:1@10.0.0.2")) == 100
    scene.wire.run(7300)
    scene.wire.lost.clear()
    assert scene.request("OPTIONS") == []


def test_when_quiet_a_scanner_gets_no_answer_from_anywhere() -> None:
    scene = Scene(quiet=True)
    scene.authenticate("REGISTER", "alice", "secret")
    assert scene.request("REGISTER", "User-Agent: friendly-scanner") == []
    assert scene.request("OPTIONS", "User-Agent: SIPVicious 0.3") == []
    assert status(scene.request("OPTIONS", "User-Agent: Linphone")) == 200
    assert set(scene.dropped()) == {"a scanner"}


def test_hosts_that_are_known_are_counted_too() -> None:
    scene = Scene(AbuseLimits(requests_burst=1e6, max_hosts=2), quiet=True)
    for number in range(1, 4):
        source = Address(f"198.51.100.{number}", 5060)
        assert status(scene.authenticate("REGISTER", "alice", "secret", source=source)) == 200
    assert scene.request("OPTIONS", source=Address("198.51.100.1", 5060)) == []
    assert status(scene.request("OPTIONS", source=Address("198.51.100.3", 5060))) == 200
