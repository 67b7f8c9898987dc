"""Who asks: each call's own cookies and passwords, shared with no other call and no callback.

Source: TwiML change log 2023-06 (cookies per call leg); Twilio, "Webhooks", HTTP authentication.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import aiohttp

from holdfast.voice.model.ids import CallSid

MAX_JARS = 10_000

Origin = tuple[str, str, int]


def _jar() -> aiohttp.CookieJar:
    # Numeric hosts may set cookies too: an engine on one machine may know no others.
    return aiohttp.CookieJar(unsafe=True)


@dataclass(slots=True, kw_only=True)
class CookieJar:
    """One call as web servers know it.

    A password given once in a URL holds for its origin, because relative URLs in a document do not repeat it.
    """

    cookies: aiohttp.CookieJar = field(default_factory=_jar)
    credentials: dict[Origin, tuple[str, str]] = field(default_factory=dict, repr=False)


class CookieJars:
    """The visitors by call, made when first asked for; the longest unseen are forgotten when there are too many."""

    def __init__(self, *, capacity: int = MAX_JARS) -> None:
        self._visitors: OrderedDict[CallSid, CookieJar] = OrderedDict()
        self._kept = capacity

    def jar_of(self, call: CallSid) -> CookieJar:
        """The call's visitor."""
        visitor = self._visitors.pop(call, None) or CookieJar()
        self._visitors[call] = visitor
        while len(self._visitors) > self._kept:
            self._visitors.popitem(last=False)
        return visitor

    def forget(self, call: CallSid) -> None:
        """The call is over."""
        self._visitors.pop(call, None)
