"""Digest: the RFC's own example, both sides together, and attacks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import pytest

from holdfast.voice.sip.effects import Address, Headers
from holdfast.voice.sip.message.codec import decode
from holdfast.voice.sip.message.digest import (
    NONCE_LIFETIME_S,
    DigestCredentials,
    DigestVerdict,
    Ha1,
    Verifier,
    answer_challenge,
    parse_digest,
    response_of,
)
from holdfast.voice.sip.message.message import Request, Response, respond
from tests.unit.voice.sip.wire import encode, invite

HOME = Address("10.0.0.3", 5060)
URI = "sip:holdfast"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_example_of_the_rfc(algorithm: str, expected: str) -> None:
    """Source: RFC 7616 §3.9.1."""
    params = {
        "username": "Mufasa",
        "realm": "http-auth@example.org",
        "uri": "/dir/index.html",
        "algorithm": algorithm,
        "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        "nc": "00000001",
        "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        "qop": "auth",
    }
    assert response_of(params, ha1=ha1_in(params, "Circle of Life"), method="GET") == expected


def test_the_example_without_quality_of_protection() -> None:
    """Source: RFC 2617 §3.2.2.1, worked out by hand."""
    params = {"username": "u", "realm": "r", "nonce": "n", "uri": "sip:x"}
    assert response_of(params, ha1=ha1_in(params, "p"), method="REGISTER") == WITHOUT_QOP


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


WITHOUT_QOP = md5(f"{md5('u:r:p')}:n:{md5('REGISTER:sip:x')}")


def challenged(*values: str, status: int = 401) -> Response:
    """Return a response with these challenges."""
    name = "WWW-Authenticate" if status == 401 else "Proxy-Authenticate"
    made = decode(encode(invite(method="REGISTER")))
    assert isinstance(made, Request)
    return respond(made, status, tag="t", headers=tuple((name, value) for value in values))


def secret(user: str) -> Ha1 | None:
    return Ha1.of("alice", 'pass"word') if user == "alice" else None


def ha1_in(params: Mapping[str, str], password: str) -> Ha1:
    """Return the HA1 of a password in the realm of these parameters."""
    return Ha1.of(params["username"], password, realm=params["realm"])


class Server:
    """A verifier, and the credentials that a client sends to it."""

    def __init__(self) -> None:
        self.verifier = Verifier(realm="holdfast", secret=b"k")

    def proof(
        self, user: str = "alice", password: str = 'pass"word', *, keep: int = 0, now: float = 1000.0, uri: str = URI
    ) -> str:
        values = self.verifier.challenges(HOME, now, stale=False)[keep:]
        (made,) = answer_challenge(
            challenged(*values),
            DigestCredentials(user=user, password=password),
            method="REGISTER",
            uri=uri,
            client_nonce="c",
        )
        assert made[0] == "Authorization"
        return made[1]

    def check(self, value: str, *, now: float = 1001.0, source: Address = HOME, uri: str = URI) -> DigestVerdict:
        return self.verifier.check(value, method="REGISTER", uri=uri, source=source, now=now, ha1_of=secret)[0]


@pytest.mark.parametrize(("keep", "algorithm"), [(0, "SHA-256"), (1, "MD5")])
def test_both_sides_agree(keep: int, algorithm: str) -> None:
    server = Server()
    proof = server.proof(keep=keep)
    assert f"algorithm={algorithm}," in proof
    assert server.check(proof) is DigestVerdict.GOOD


@pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("nobody", 'pass"word'), ("", ""), ("nobody", "")])
def test_a_wrong_password_and_an_unknown_user_look_the_same(user: str, password: str) -> None:
    server = Server()
    assert server.check(server.proof(user, password)) is DigestVerdict.BAD


def test_credentials_are_valid_once() -> None:
    server = Server()
    proof = server.proof()
    assert server.check(proof) is DigestVerdict.GOOD
    assert server.check(proof) is DigestVerdict.STALE


def test_credentials_are_valid_once_even_if_others_authenticate_meanwhile() -> None:
    server = Server()
    first, second = server.proof(now=1000.0), server.proof(now=1000.5)
    assert first != second
    assert [server.check(proof) for proof in (first, second, first, second)] == [DigestVerdict.GOOD] * 2 + [
        DigestVerdict.STALE
    ] * 2


def test_a_nonce_may_be_used_again_with_a_higher_count() -> None:
    server = Server()
    params = parse_digest(server.proof())
    assert params is not None
    for count, verdict in (
        (1, DigestVerdict.GOOD),
        (3, DigestVerdict.GOOD),
        (2, DigestVerdict.STALE),
        (3, DigestVerdict.STALE),
        (4, DigestVerdict.GOOD),
    ):
        params["nc"] = f"{count:08x}"
        params["response"] = response_of(params, ha1=ha1_in(params, 'pass"word'), method="REGISTER") or ""
        assert server.check(written(params)) is verdict


def written(params: dict[str, str]) -> str:
    """Return credentials as text on the wire."""
    fields = ", ".join(
        f"{key}={text}" if key in ("nc", "qop") else '{}="{}"'.format(key, text.replace('"', '\\"'))
        for key, text in params.items()
    )
    return f"Digest {fields}"


def test_an_old_nonce_is_stale_and_forgotten() -> None:
    server = Server()
    assert server.check(server.proof(), now=1000 + NONCE_LIFETIME_S + 1) is DigestVerdict.STALE
    first = server.proof()
    assert server.check(first) is DigestVerdict.GOOD
    later = 1000 + NONCE_LIFETIME_S + 10
    assert server.check(server.proof(now=later), now=later) is DigestVerdict.GOOD
    assert server.check(first, now=later) is DigestVerdict.STALE


def test_a_nonce_is_valid_for_its_client_and_server_only() -> None:
    server = Server()
    proof = server.proof()
    assert server.check(proof, source=Address("10.9.9.9", 5060)) is DigestVerdict.NOT_OURS
    stranger = Verifier(realm="holdfast", secret=b"another")
    verdict, _ = stranger.check(proof, method="REGISTER", uri=URI, source=HOME, now=1001, ha1_of=secret)
    assert verdict is DigestVerdict.NOT_OURS


def test_credentials_are_for_one_uri() -> None:
    server = Server()
    assert server.check(server.proof(uri="sip:other")) is DigestVerdict.NOT_OURS


def tampered(change: dict[str, str | None]) -> str:
    """Return credentials that are valid but for one change, made before they were computed with the right password."""
    params = parse_digest(Server().proof())
    assert params is not None
    for key, text in change.items():
        if text is None:
            params.pop(key)
        else:
            params[key] = text
    params["response"] = response_of(params, ha1=ha1_in(params, 'pass"word'), method="REGISTER") or "none"
    return written(params)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic YWxpY2U6cGFzcw==",
        "Digest",
        "Digest =",
        'Digest username="alice',
        tampered({"realm": "other"}),
        tampered({"algorithm": "SHA-512-256"}),
        tampered({"algorithm": "MD5-sess"}),
        tampered({"qop": "auth-int"}),
        tampered({"nc": "x"}),
        tampered({"nc": None}),
        tampered({"nonce": ""}),
        tampered({"nonce": "zz.1.00"}),
        tampered({"nonce": "3e8.00000000000000000000000000000000"}),
        tampered({"nonce": "3e8.1.\udcff"}),
        Server().proof().replace('response="', 'response="\udcff'),
    ],
)
def test_incomplete_credentials_are_bad(value: str) -> None:
    server = Server()
    assert server.check(value) in (DigestVerdict.BAD, DigestVerdict.NOT_OURS)


def test_a_client_without_quality_of_protection_has_each_nonce_once() -> None:
    server = Server()
    params = parse_digest(server.proof())
    assert params is not None
    for key in ("qop", "nc", "cnonce"):
        del params[key]
    params["response"] = response_of(params, ha1=ha1_in(params, 'pass"word'), method="REGISTER") or ""
    assert server.check(written(params)) is DigestVerdict.GOOD
    assert server.check(written(params)) is DigestVerdict.STALE


def test_two_challenges_of_one_second_differ() -> None:
    verifier = Verifier(realm="holdfast", secret=b"k")
    assert verifier.challenges(HOME, 1, stale=False) != verifier.challenges(HOME, 1, stale=False)
    assert all(value.endswith(", stale=true") for value in verifier.challenges(HOME, 1, stale=True))


# --- the client


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("Basic realm=x",),
        ('Digest realm="r"',),
        ('Digest realm="r", nonce="n", algorithm=MD5-sess',),
        ('Digest realm="r", nonce="n", qop="auth-int"',),
        ('Digest realm="other", nonce="n"',),
        ("Digest garbage",),
    ],
)
def test_an_unsupported_challenge_is_not_answered(values: tuple[str, ...]) -> None:
    credentials = DigestCredentials(user="a", password="b", realms=("r",))
    assert answer_challenge(challenged(*values), credentials, method="INVITE", uri="sip:x", client_nonce="c") == ()


def test_the_first_challenge_we_can_do_is_answered() -> None:
    response = challenged(
        'Digest realm="r", nonce="n1", algorithm=SHA-512-256, qop="auth"',
        'Digest realm="r \\"q\\"", nonce="n2", algorithm=MD5, qop="auth-int, auth", opaque="o"',
        'Digest realm="r", nonce="n3", algorithm=SHA-256',
        status=407,
    )
    (made,) = answer_challenge(
        response, DigestCredentials(user='a"b', password="p"), method="INVITE", uri="sip:x", client_nonce="c"
    )
    name, value = made
    params = parse_digest(value)
    assert name == "Proxy-Authorization"
    assert params is not None
    assert (params["nonce"], params["opaque"], params["username"], params["realm"]) == ("n2", "o", 'a"b', 'r "q"')
    assert (params["qop"], params["nc"], params["cnonce"]) == ("auth", "00000001", "c")


def test_a_name_cannot_begin_another_field() -> None:
    user = 'u"\r\nX-Twilio-CallSid: CA0\rX: y\nX: z'
    response = challenged('Digest realm="r", nonce="n"')
    made_of = DigestCredentials(user=user, password="p")
    proof = answer_challenge(response, made_of, method="INVITE", uri="sip:x", client_nonce="c")
    made = decode(encode(invite()))
    assert isinstance(made, Request)
    sent = decode(replace(made, headers=(*made.headers, *proof)).encode())
    assert isinstance(sent, Request)
    assert "Authorization" in dict(sent.headers)
    assert [name for name, _ in sent.headers if name.startswith("X")] == []


def test_a_server_without_qop_is_answered_as_rfc_2617_says() -> None:
    response = challenged('Digest realm="r", nonce="n"')
    (made,) = answer_challenge(
        response, DigestCredentials(user="u", password="p"), method="REGISTER", uri="sip:x", client_nonce="c"
    )
    params = parse_digest(made[1])
    assert params is not None
    assert params["response"] == WITHOUT_QOP
    assert "qop" not in params


def test_a_server_may_offer_less_and_still_takes_more() -> None:
    server = Server()
    server.verifier = Verifier(realm="holdfast", secret=b"k", algorithms=("MD5",))
    (challenge,) = server.verifier.challenges(HOME, 1000, stale=False)
    params = parse_digest(challenge)
    assert params is not None
    assert params["algorithm"] == "MD5"
    proof = parse_digest(server.proof())
    assert proof is not None
    proof["algorithm"] = "SHA-256"
    proof["response"] = response_of(proof, ha1=ha1_in(proof, 'pass"word'), method="REGISTER") or ""
    assert server.check(written(proof)) is DigestVerdict.GOOD


NAMED = DigestCredentials(user="u", password="p", realms=("proxy", "switch"))


def answered(response: Response, credentials: DigestCredentials, proved: Headers = ()) -> list[tuple[str, str, str]]:
    """Return the headers that answer a challenge: name, realm, nonce."""
    made = answer_challenge(response, credentials, method="INVITE", uri="sip:x", client_nonce="c", sent=proved)
    told = [(name, parse_digest(value) or {}) for name, value in made]
    return [(name, params["realm"], params["nonce"]) for name, params in told]


def test_a_realm_gets_new_credentials_only_for_a_stale_nonce() -> None:
    proved = answer_challenge(
        challenged('Digest realm="r", nonce="n"'),
        DigestCredentials(user="u", password="p"),
        method="INVITE",
        uri="sip:x",
        client_nonce="c",
    )
    again = challenged("Basic x", 'Digest realm="r", nonce="m", stale=TRUE')
    assert answered(again, DigestCredentials(user="u", password="p"), proved) == [("Authorization", "r", "m")]
    refused = challenged('Digest realm="r", nonce="m", stale=false', "Basic x")
    assert answered(refused, DigestCredentials(user="u", password="p"), proved) == []


def test_credentials_for_one_realm_stay_when_another_challenges() -> None:
    proxy = answer_challenge(
        challenged('Digest realm="proxy", nonce="n1"', status=407),
        NAMED,
        method="INVITE",
        uri="sip:x",
        client_nonce="c",
    )
    headers = (("Subject", "x"), *proxy, ("Authorization", "Basic x"))
    switch = challenged('Digest realm="switch", nonce="n2"')
    both = [("Proxy-Authorization", "proxy", "n1"), ("Authorization", "switch", "n2")]
    assert answered(switch, NAMED, headers) == both
    # The next proxy, of another realm, wants the same header of its own.
    second = challenged('Digest realm="switch", nonce="n2"', status=407)
    assert answered(second, NAMED, headers) == [both[0], ("Proxy-Authorization", "switch", "n2")]


def test_several_challenges_in_one_response_are_answered_at_once() -> None:
    """A forking proxy collects the challenges of its branches. Source: RFC 3261 §16.7, step 7."""
    fields = (
        ("WWW-Authenticate", 'Digest realm="switch", nonce="n1"'),
        ("WWW-Authenticate", 'Digest realm="switch", nonce="n2"'),
        ("Proxy-Authenticate", 'Digest realm="evil", nonce="n3"'),
        ("Proxy-Authenticate", 'Digest realm="proxy", nonce="n4"'),
    )
    gathered = replace(challenged(), headers=fields)
    both = [("Authorization", "switch", "n1"), ("Proxy-Authorization", "proxy", "n4")]
    assert answered(gathered, NAMED) == both
    assert answered(gathered, DigestCredentials(user="u", password="p")) == both[:1]
