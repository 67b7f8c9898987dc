"""SDES keys for SRTP: the `a=crypto` lines of both sides, and the keys they agree on.

Point of view: *send* is our key, which stands in our description; *receive* is the peer's.
Deviation: only the form that every phone uses is understood: one key, without a master key identifier and without
session parameters. A line with more is skipped, like one with an unknown suite.
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
"""Length of master key and master salt together, in bytes; the most preferred suite comes first."""

SAVP = "RTP/SAVP"
"""The protocol of an `m=` line with SRTP. Source: RFC 3711 §12."""

_LINE = re.compile(
    r"([0-9]{1,9})[ \t]+([A-Za-z0-9_]+)[ \t]+inline:([A-Za-z0-9+/]+={0,2})(?:\|(?:2\^[0-9]{1,2}|[0-9]{1,15}))?[ \t]*\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crypto:
    """One `a=crypto` line.

    Shape: `key` is master key and master salt, `KEY_BYTES` of the suite long.
    """

    tag: int
    suite: Suite
    key: bytes = field(repr=False)

    def encode(self) -> str:
        """Return the value of the attribute."""
        return f"{self.tag} {self.suite} inline:{b64encode(self.key).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SdesKeys:
    """The SRTP keys of both directions.

    Shape: master key and master salt, each way.
    """

    suite: Suite
    send: bytes = field(repr=False)
    receive: bytes = field(repr=False)


def parse_crypto(value: str) -> Crypto | None:
    """Parse the value of one line; return None when it is not usable."""
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
    """Make our lines, each with its own key. `random` returns the given number of unguessable bytes."""
    return tuple(
        Crypto(tag=tag, suite=suite, key=random(size)) for tag, (suite, size) in enumerate(KEY_BYTES.items(), start=1)
    )


def choose_keys(offered: tuple[Crypto, ...], ours: tuple[Crypto, ...]) -> tuple[Crypto, SdesKeys] | None:
    """Choose our line for the answer and the keys: the peer's most preferred suite that we have a key for.

    Source: RFC 4568 §5.1.2.
    """
    for line in offered:
        for own in ours:
            if own.suite == line.suite:
                answer = Crypto(tag=line.tag, suite=line.suite, key=own.key)
                return answer, SdesKeys(suite=line.suite, send=own.key, receive=line.key)
    return None


def answered_keys(answered: tuple[Crypto, ...], ours: tuple[Crypto, ...]) -> SdesKeys | None:
    """Return the keys that the peer's answer agrees to by naming one of our lines. Source: RFC 4568 §5.1.3."""
    for line in answered:
        for own in ours:
            if (own.tag, own.suite) == (line.tag, line.suite):
                return SdesKeys(suite=line.suite, send=own.key, receive=line.key)
    return None
