"""Keep each call's own cookies and passwords, which no other call and no callback shares.

Source: TwiML change log 2023-06 (cookies per call leg); Twilio, "Webhooks", HTTP authentication.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import aiohttp

from holdfast.voice.model.ids import CallSid

MAX_JARS = 10_000

Origin = tuple[str, str, int]


def _empty_cookies() -> aiohttp.CookieJar:
    # Numeric hosts may set cookies too: an engine on one machine may use no others.
    return aiohttp.CookieJar(unsafe=True)


@dataclass(slots=True, kw_only=True)
class CookieJar:
    """A cookie jar holds the cookies and passwords of one call.

    A password given once in a URL applies to its origin, because relative URLs in a document do not repeat it.
    """

    cookies: aiohttp.CookieJar = field(default_factory=_empty_cookies)
    credentials: dict[Origin, tuple[str, str]] = field(default_factory=dict, repr=False)


class CookieJars:
    """These jars are kept by call; beyond the capacity the least recently used is dropped."""

    def __init__(self, *, capacity: int = MAX_JARS) -> None:
        self._jars: OrderedDict[CallSid, CookieJar] = OrderedDict()
        self._capacity = capacity

    def jar_of(self, call: CallSid) -> CookieJar:
        """Return the jar of a call, a new one for a new call."""
        jar = self._jars.pop(call, None) or CookieJar()
        self._jars[call] = jar
        while len(self._jars) > self._capacity:
            self._jars.popitem(last=False)
        return jar

    def forget(self, call: CallSid) -> None:
        """Forget the jar of a call that has ended."""
        self._jars.pop(call, None)
