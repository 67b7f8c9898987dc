"""Digest authentication on both sides: challenges and their check by a server, answers by a client.

The server keeps nothing for a nonce until a client authenticates with it: a nonce carries its own time and a keyed
hash. From then on the nonce count must rise, so an overheard request cannot be sent again.
Source: RFC 7616; RFC 8760; RFC 3261 §22; RFC 2617 for clients without qop.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from holdfast.voice.sip.effects import Address, Headers
from holdfast.voice.sip.message.message import Response
from holdfast.voice.sip.message.uri import TOKEN

ALGORITHMS = ("SHA-256", "MD5")
"""Supported algorithms, most preferred first. Source: RFC 8760 §2.4."""

REALM = "holdfast"
"""The realm of our challenges. It never changes, because a stored HA1 is valid in this realm alone."""

NONCE_LIFETIME_S = 300

_PARAM = re.compile(rf'\s*({TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*(?:,|\Z)', re.DOTALL)
_COUNT = re.compile(r"[0-9a-fA-F]{8}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestCredentials:
    """User and password for answering challenges.

    With `realms` only challenges of these realms are answered, with `host` only those from that numeric host: any other
    peer could use an answer to guess the password. Without `realms` a request answers one realm, with several all that
    challenge it.
    """

    user: str
    password: str = field(repr=False)
    realms: tuple[str, ...] = ()
    host: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ha1:
    """The hash from which digest responses are computed in place of the password, for each algorithm.

    It is as secret as the password: it proves the user in its realm, and can be used to guess the password. Source: RFC
    7616 §3.4.2, §5.13.
    """

    md5: str = field(repr=False)
    sha256: str = field(repr=False)

    @classmethod
    def of(cls, user: str, password: str, *, realm: str = REALM) -> Ha1:
        """Return the HA1 of a user with a password in a realm."""
        text = f"{user}:{realm}:{password}"
        return cls(md5=_digest(text, "MD5"), sha256=_digest(text, "SHA-256"))


_NO_HA1 = Ha1(md5="", sha256="")
"""The HA1 with which an unknown user is checked, for the same work."""


class DigestVerdict(Enum):
    """The result of checking credentials."""

    GOOD = "good"
    STALE = "stale"
    """The password is right, the nonce too old or used already: challenge again, without asking the user."""
    BAD = "bad"
    NOT_OURS = "unasked"
    """The credentials answer no challenge of ours, so the password was not judged."""


def parse_digest(value: str) -> dict[str, str] | None:
    """Parse the parameters of a Digest challenge or of Digest credentials; return None for anything else."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest":
        return None
    params: dict[str, str] = {}
    position = 0
    while position < len(rest):
        found = _PARAM.match(rest, position)
        if not found:
            return None
        quoted = found[2]
        params[found[1].lower()] = found[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        position = found.end()
    return params


def response_of(params: Mapping[str, str], *, ha1: Ha1, method: str) -> str | None:
    """Return the digest response, or None for an unsupported algorithm or quality of protection.

    Source: RFC 7616 §3.4.1; without qop RFC 2617 §3.2.2.1. `auth-int` would need the body, and no server asks for it.
    """
    algorithm = params.get("algorithm", "MD5").upper()
    if algorithm not in ALGORITHMS or params.get("qop", "auth") != "auth":
        return None
    secret = ha1.sha256 if algorithm == "SHA-256" else ha1.md5
    ha2 = _digest(f"{method}:{params.get('uri', '')}", algorithm)
    if "qop" in params:
        count = f"{params.get('nc', '')}:{params.get('cnonce', '')}:auth"
        return _digest(f"{secret}:{params.get('nonce', '')}:{count}:{ha2}", algorithm)
    return _digest(f"{secret}:{params.get('nonce', '')}:{ha2}", algorithm)


def _digest(text: str, algorithm: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    return (hashlib.sha256(data) if algorithm == "SHA-256" else hashlib.md5(data, usedforsecurity=False)).hexdigest()


class Verifier:
    """The server side: it makes nonces and checks credentials."""

    __slots__ = ("_algorithms", "_counts", "_made", "_realm", "_secret")

    def __init__(self, *, realm: str = REALM, secret: bytes, algorithms: Sequence[str] = ALGORITHMS) -> None:
        self._algorithms = algorithms
        self._realm = realm
        self._secret = secret
        self._made = 0
        """The number of challenges made: each has its own nonce and so its own nonce count."""
        self._counts: dict[str, int] = {}
        """The highest nonce count of each nonce that was authenticated with and is not too old."""

    def challenges(self, source: Address, now: float, *, stale: bool) -> tuple[str, ...]:
        """Return values of WWW-Authenticate, one for each algorithm, the same for every client."""
        self._made += 1
        nonce = self._nonce(f"{int(now):x}.{self._made:x}", source)
        tail = ", stale=true" if stale else ""
        return tuple(
            f'Digest realm="{self._realm}", nonce="{nonce}", algorithm={algorithm}, qop="auth"{tail}'
            for algorithm in self._algorithms
        )

    def check(
        self,
        value: str,
        *,
        method: str,
        uri: str,
        source: Address,
        now: float,
        ha1_of: Callable[[str], Ha1 | None],
    ) -> tuple[DigestVerdict, str]:
        """Check an Authorization value; return the verdict and the user that it names.

        The same work is done for an unknown user.
        """
        params = parse_digest(value)
        if params is None or params.get("realm") != self._realm or params.get("uri") != uri:
            return DigestVerdict.NOT_OURS, ""
        user, nonce, count = params.get("username", ""), params.get("nonce", ""), params.get("nc", "")
        known = ha1_of(user)
        expected = response_of(params, ha1=known or _NO_HA1, method=method)
        given = params.get("response", "").lower()
        same = hmac.compare_digest((expected or "").encode(), given.encode("utf-8", "surrogateescape"))
        if not self._is_ours(nonce, source):
            return DigestVerdict.NOT_OURS, user
        if not same or known is None or expected is None:
            return DigestVerdict.BAD, user
        if "qop" in params and not _COUNT.match(count):
            return DigestVerdict.BAD, user
        number = int(count, 16) if "qop" in params else 1
        if now - self._made_at(nonce) > NONCE_LIFETIME_S or number <= self._counts.get(nonce, 0):
            return DigestVerdict.STALE, user
        self._counts = {old: n for old, n in self._counts.items() if now - self._made_at(old) <= NONCE_LIFETIME_S}
        self._counts[nonce] = number
        return DigestVerdict.GOOD, user

    def _nonce(self, stamp: str, source: Address) -> str:
        mac = hmac.new(self._secret, f"{stamp} {source[0]} {self._realm}".encode(), hashlib.sha256).hexdigest()[:32]
        return f"{stamp}.{mac}"

    def _is_ours(self, nonce: str, source: Address) -> bool:
        stamp, _, _ = nonce.rpartition(".")
        if not re.fullmatch(r"[0-9a-f]{1,12}\.[0-9a-f]{1,12}", stamp):
            return False
        return hmac.compare_digest(nonce.encode("utf-8", "surrogateescape"), self._nonce(stamp, source).encode())

    def _made_at(self, nonce: str) -> int:
        return int(nonce.partition(".")[0], 16)


AUTHORIZATION_HEADERS = ("Proxy-Authorization", "Authorization")
"""Header fields with our credentials, for proxies on the way and for the callee."""


def proofs_in(headers: Headers) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the credentials of our request: name and realm → header field."""
    found = [(name, value, parse_digest(value)) for name, value in headers if name in AUTHORIZATION_HEADERS]
    return {(name, params.get("realm", "")): (name, value) for name, value, params in found if params is not None}


def answer_challenge(
    challenged: Response,
    credentials: DigestCredentials,
    *,
    method: str,
    uri: str,
    client_nonce: str,
    sent: Headers = (),
) -> Headers:
    """Return the header fields that answer a 401 or 407, together with those of `sent` that stay valid.

    It is empty when no challenge can be answered with these credentials, or when a realm that had its answer asks again
    without calling the nonce stale. Of several challenges of a realm the first supported one is answered.
    Source: RFC 3261 §22.2, §22.3; RFC 8760 §2.4; RFC 3261 §16.7 for challenges of several proxies in one response.
    """
    known, made = proofs_in(sent), dict[tuple[str, str], tuple[str, str]]()
    kinds = (("Proxy-Authenticate", AUTHORIZATION_HEADERS[0]), ("WWW-Authenticate", AUTHORIZATION_HEADERS[1]))
    for challenge_name, proof_name in kinds if challenged.status == 407 else kinds[::-1]:
        for challenge in (parse_digest(value) for name, value in challenged.headers if name == challenge_name):
            if challenge is None or not challenge.get("nonce"):
                continue
            realm = challenge.get("realm", "")
            place = proof_name, realm
            others = realm not in credentials.realms if credentials.realms else bool(made)
            if others or place in made:
                continue
            if place in known and not _is_stale(challenge):
                return ()
            proof = _proof(challenge, credentials, method=method, uri=uri, client_nonce=client_nonce)
            if proof is not None:
                made[place] = proof_name, proof
    return tuple({**known, **made}.values()) if made else ()


def _proof(
    challenge: Mapping[str, str], credentials: DigestCredentials, *, method: str, uri: str, client_nonce: str
) -> str | None:
    """Return the value that answers a challenge; None for an unsupported one."""
    qop = [word.strip() for word in challenge["qop"].split(",")] if "qop" in challenge else []
    if qop and "auth" not in qop:
        return None
    params = {
        "username": credentials.user,
        "realm": challenge.get("realm", ""),
        "nonce": challenge["nonce"],
        "uri": uri,
        "algorithm": challenge.get("algorithm", "MD5"),
    }
    if qop:
        params |= {"qop": "auth", "nc": "00000001", "cnonce": client_nonce}
    ha1 = Ha1.of(credentials.user, credentials.password, realm=params["realm"])
    response = response_of(params, ha1=ha1, method=method)
    if response is None:
        return None
    params["response"] = response
    if "opaque" in challenge:
        params["opaque"] = challenge["opaque"]
    return "Digest " + ", ".join(f"{key}={_written(key, text)}" for key, text in params.items())


def _is_stale(challenge: Mapping[str, str]) -> bool:
    """Return whether the server says that only the nonce was wrong."""
    return challenge.get("stale", "").lower() == "true"


def _written(key: str, text: str) -> str:
    if key in ("algorithm", "qop", "nc"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
