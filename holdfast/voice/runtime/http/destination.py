"""Reading a URL from outside: what is sent, to whom, with which credentials and connection policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit

from yarl import URL

from holdfast.voice.runtime.http.errors import OverridesInvalid, UrlMalformed

RetryOn = Literal["4xx", "5xx", "ct", "rt"]
RETRY_CONDITIONS: tuple[RetryOn, ...] = ("4xx", "5xx", "ct", "rt")
MAX_URL_LENGTH = 16_384

_KEPT_IN_PATH = "/%:=&~+!$,;'@()*[]|"
_KEPT_IN_QUERY = _KEPT_IN_PATH + "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Connection policy from the URL's fragment; None where the default holds.

    Units: seconds. Source: Twilio, "Webhooks connection overrides".
    """

    connect_s: float | None = None
    read_s: float | None = None
    total_s: float | None = None
    retries: int | None = None
    retry_on: frozenset[RetryOn] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a request goes.

    Invariant: `url` is what is sent and signed: absolute, ASCII, with a path, without fragment and credentials.
    """

    url: URL
    host: str
    port: int
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    overrides: Overrides = Overrides()

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials belong to."""
        return self.url.scheme, self.host, self.port


def read_destination(text: str) -> Destination:
    """Read an absolute URL. The order and the encoding of its query stay as they are.

    Raises: UrlMalformed, OverridesInvalid.
    """
    text = text.strip()
    if len(text) > MAX_URL_LENGTH:
        raise UrlMalformed(f"a URL of {len(text)} characters; we take {MAX_URL_LENGTH}")
    if any(ord(sign) < 0x20 or ord(sign) == 0x7F for sign in text):
        raise UrlMalformed(f"{_shown(text)!r} holds control characters")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UrlMalformed(f"{_shown(text)!r} is no URL{_why(error, text)}") from error
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if scheme not in ("http", "https"):
        raise UrlMalformed(f"{_shown(text)!r} is not an absolute http or https URL")
    if not host or set(parts.netloc) & set("\\ <>\"'`{}|^") or port == 0:
        raise UrlMalformed(f"{_shown(text)!r} names no host we could ask")
    try:
        plain = host if host.isascii() else URL.build(scheme="http", host=host).raw_host or ""
        authority = (f"[{plain}]" if ":" in plain else plain) + (f":{port}" if port is not None else "")
        path = quote(parts.path or "/", safe=_KEPT_IN_PATH)
        query = "?" + quote(parts.query, safe=_KEPT_IN_QUERY) if parts.query else ""
        url = URL(f"{scheme}://{authority}{path}{query}", encoded=True)
        asked_host = url.raw_host
    except ValueError as error:
        raise UrlMalformed(f"{_shown(text)!r} is no URL{_why(error, text)}") from error
    if not asked_host or url.port is None:
        raise UrlMalformed(f"{_shown(text)!r} names no host we could ask")
    credentials = None
    if parts.username is not None:
        credentials = (unquote(parts.username), unquote(parts.password or ""))
    return Destination(
        url=url, host=asked_host, port=url.port, credentials=credentials, overrides=read_overrides(parts.fragment)
    )


def without_secrets(text: str) -> str:
    """A URL as it may be logged: no password, no fragment."""
    head, separator, rest = text.split("#", 1)[0].partition("://")
    authority, slash, path = rest.partition("/")
    return head + separator + authority.rpartition("@")[2] + slash + path


def _shown(text: str) -> str:
    """A URL that cannot be read, as it may be told: what stands before an @ may be a password, wherever it ends."""
    before, at, rest = text.rpartition("@")
    scheme = before.partition("://")[0] + "://" if "://" in before else ""
    return (f"{scheme}***@{rest}" if at else text)[:200]


def _why(error: ValueError, text: str) -> str:
    """What is wrong with it; the error quotes pieces of it."""
    return "" if "@" in text else f": {error}"


def read_overrides(fragment: str) -> Overrides:
    """Read `rc=2&rp=all&ct=1000&rt=…&tt=…`. A fragment without `=` is an ordinary one and means nothing.

    Units: `ct`, `rt` and `tt` milliseconds. Raises: OverridesInvalid.
    """
    if "=" not in fragment:
        return Overrides()
    given: dict[str, str] = {}
    for part in fragment.split("&"):
        name, separator, value = part.partition("=")
        if not separator or name not in ("rc", "rp", "ct", "rt", "tt", "sni", "e") or name in given:
            raise OverridesInvalid(f"#{fragment[:200]}: {part[:40]!r} is no connection override")
        given[name] = unquote(value)
    return Overrides(
        connect_s=_milliseconds(given, "ct", high=10_000),
        read_s=_milliseconds(given, "rt", high=15_000),
        total_s=_milliseconds(given, "tt", high=15_000),
        retries=_number(given, "rc", low=0, high=5),
        retry_on=_retry_words(given["rp"]) if "rp" in given else None,
    )


def with_form(url: URL, form: tuple[tuple[str, str], ...]) -> URL:
    """The URL with the form behind its query: how a GET carries parameters."""
    if not form:
        return url
    text, added = str(url), urlencode(form)
    return URL(f"{text}{'&' if '?' in text else '?'}{added}", encoded=True)


def redirect_destination(
    current: URL, location: str, *, carry_query: bool, extra: tuple[tuple[str, str], ...] = ()
) -> Destination:
    """Where a redirect leads; the query asked with goes along, unless the target gives that name itself.

    A fragment in the answer is not ours to obey. Raises: UrlMalformed.
    Source: TwiML change log 2024-01 (query carried) and 2024-07 (`Digits` carried).
    """
    try:
        target = read_destination(urljoin(str(current), location.strip()).split("#", 1)[0])
    except ValueError as error:
        raise UrlMalformed(f"redirected to {location[:200]!r}, which is no URL") from error
    there = {name for name, _ in parse_qsl(target.url.raw_query_string, keep_blank_values=True)}
    here = parse_qsl(current.raw_query_string, keep_blank_values=True) if carry_query else []
    added = tuple(pair for pair in (*here, *extra) if pair[0] not in there)
    return Destination(
        url=with_form(target.url, added), host=target.host, port=target.port, credentials=target.credentials
    )


def _number(given: dict[str, str], name: str, *, low: int, high: int) -> int | None:
    raw = given.get(name)
    if raw is None:
        return None
    if not (raw.isascii() and raw.isdigit() and len(raw) <= 6 and low <= int(raw) <= high):
        raise OverridesInvalid(f"#{name}={raw[:40]} is not a whole number from {low} to {high}")
    return int(raw)


def _milliseconds(given: dict[str, str], name: str, *, high: int) -> float | None:
    number = _number(given, name, low=100, high=high)
    return None if number is None else number / 1000


def _retry_words(text: str) -> frozenset[RetryOn]:
    words = text.split(",")
    if words == ["all"]:
        return frozenset(RETRY_CONDITIONS)
    found = frozenset(word for word in RETRY_CONDITIONS if word in words)
    if len(found) != len(words):
        raise OverridesInvalid(f"#rp={text[:40]} is not made of 4xx, 5xx, ct, rt, all")
    return found
