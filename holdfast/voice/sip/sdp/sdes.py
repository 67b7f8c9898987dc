"""Keys for SRTP inside descriptions: the `a=crypto` lines of both sides, and the keys they agree on.

Point of view: *send* is the key we seal with, which stands in our description; *receive* is the peer's.
Deviation: of several ways to say things in a line only the one every phone uses is understood: one key, without a
master key identifier and without session parameters. A line with more is passed over, as one with an unknown suite.
Source: RFC 4568 §4, §5.1, §6, §9.1; RFC 7714 §14.2 for GCM.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Suite = Literal["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"]

KEY_BYTES: dict[Suite, int] = {
    "AES_CM_128_HMAC_SHA1_80": 30,
    "AES_CM_128_HMAC_SHA1_32": 30,
    "AEAD_AES_128_GCM": 28,
}
"""Master key and master salt together, most wanted first."""

SAVP = "RTP/SAVP"
"""The protocol of an `m=` line whose RTP is sealed. Source: RFC 3711 §12."""

_LINE = re.compile(
    r"([0-9]{1,9})[ \t]+([A-Za-z0-9_]+)[ \t]+inline:([A-Za-z0-9+/]+={0,2})(?:\|(?:2\^[0-9]{1,2}|[0-9]{1,15}))?[ \t]*\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crypto:
    """One `a=crypto` line. Shape: `key` is master key and master salt, as long as the suite wants."""

    tag: int
    suite: Suite
    key: bytes = field(repr=False)

    def encode(self) -> str:
        """The value of the attribute."""
        return f"{self.tag} {self.suite} inline:{b64encode(self.key).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SdesKeys:
    """What both sides seal with. Shape: master key and master salt, each way."""

    suite: Suite
    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)


def parse_crypto(value: str) -> Crypto | None:
    """One line's value; None when it is not one we can use."""
    found = _LINE.match(value)
    suite = next((known for known in KEY_BYTES if found and known == found[2]), None)
    if found is None or suite is None:
        return None
    try:
        key = b64decode(found[3], validate=True)
    except Error:
        return None
    return Crypto(tag=int(found[1]), suite=suite, key=key) if len(key) == KEY_BYTES[suite] else None


def make_crypto(random: Callable[[int], bytes]) -> tuple[Crypto, ...]:
    """Lines of ours, a key of its own in each. `random` gives that many unguessable bytes."""
    return tuple(
        Crypto(tag=tag, suite=suite, key=random(size)) for tag, (suite, size) in enumerate(KEY_BYTES.items(), start=1)
    )


def choose_keys(offered: tuple[Crypto, ...], ours: tuple[Crypto, ...]) -> tuple[Crypto, SdesKeys] | None:
    """Our line in the answer, and what is agreed by it: the peer's most wanted suite that we have a key for.

    Source: RFC 4568 §5.1.2.
    """
    for line in offered:
        for own in ours:
            if own.suite == line.suite:
                answer = Crypto(tag=line.tag, suite=line.suite, key=own.key)
                return answer, SdesKeys(suite=line.suite, send=own.key, receive=line.key)
    return None


def answered_keys(answered: tuple[Crypto, ...], ours: tuple[Crypto, ...]) -> SdesKeys | None:
    """What is agreed by the peer's answer to our lines: it names one of them. Source: RFC 4568 §5.1.3."""
    for line in answered:
        for own in ours:
            if (own.tag, own.suite) == (line.tag, line.suite):
                return SdesKeys(suite=line.suite, send=own.key, receive=line.key)
    return None
