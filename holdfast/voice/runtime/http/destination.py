"""Parse URLs from documents and clients: the address, the credentials and the connection overrides."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urljoin, urlsplit

from yarl import URL

from holdfast.voice.runtime.http.errors import OverridesInvalid, UrlMalformed

RetryOn = Literal["4xx", "5xx", "ct", "rt"]
RETRY_CONDITIONS: tuple[RetryOn, ...] = ("4xx", "5xx", "ct", "rt")
MAX_URL_LENGTH = 16_384

_SAFE_IN_PATH = "/%:=&~+!$,;'@()*[]|"
_SAFE_IN_QUERY = _SAFE_IN_PATH + "?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """Overrides change the request policy; they stand in the URL's fragment, and None keeps the default.

    Units: seconds. Source: Twilio, "Webhooks connection overrides".
    """

    connect_s: float | None = None
    read_s: float | None = None
    total_s: float | None = None
    retries: int | None = None
    retry_on: frozenset[RetryOn] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A destination is the target of one request.

    Invariant: `url` is what is sent and signed: absolute, ASCII, with a path, without fragment and credentials.
    """

    url: URL
    host: str
    port: int
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    overrides: Overrides = Overrides()

    @property
    def origin(self) -> tuple[str, str, int]:
        """Return scheme, host and port, to which credentials belong."""
        return self.url.scheme, self.host, self.port


def read_destination(text: str) -> Destination:
    """Parse an absolute URL; the order and the encoding of its query do not change.

    Raises: UrlMalformed, OverridesInvalid.
    """
    text = text.strip()
    if len(text) > MAX_URL_LENGTH:
        raise UrlMalformed(f"a URL of {len(text)} characters; at most {MAX_URL_LENGTH} are allowed")
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in text):
        raise UrlMalformed(f"{_masked(text)!r} contains control characters")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UrlMalformed(f"{_masked(text)!r} is no URL{_reason(error, text)}") from error
    scheme, host = parts.scheme.lower(), parts.hostname or ""
    if scheme not in ("http", "https"):
        raise UrlMalformed(f"{_masked(text)!r} is not an absolute http or https URL")
    if not host or set(parts.netloc) & set("\\ <>\"'`{}|^") or port == 0:
        raise UrlMalformed(f"{_masked(text)!r} names no valid host")
    try:
        ascii_host = host if host.isascii() else URL.build(scheme="http", host=host).raw_host or ""
        authority = (f"[{ascii_host}]" if ":" in ascii_host else ascii_host) + (f":{port}" if port is not None else "")
        path = quote(parts.path or "/", safe=_SAFE_IN_PATH)
        query = "?" + quote(parts.query, safe=_SAFE_IN_QUERY) if parts.query else ""
        url = URL(f"{scheme}://{authority}{path}{query}", encoded=True)
        raw_host = url.raw_host
    except ValueError as error:
        raise UrlMalformed(f"{_masked(text)!r} is no URL{_reason(error, text)}") from error
    if not raw_host or url.port is None:
        raise UrlMalformed(f"{_masked(text)!r} names no valid host")
    credentials = None
    if parts.username is not None:
        credentials = (unquote(parts.username), unquote(parts.password or ""))
    return Destination(
        url=url, host=raw_host, port=url.port, credentials=credentials, overrides=read_overrides(parts.fragment)
    )


def without_secrets(text: str) -> str:
    """Return a URL without password and fragment, as it may be logged."""
    head, separator, rest = text.split("#", 1)[0].partition("://")
    authority, slash, path = rest.partition("/")
    return head + separator + authority.rpartition("@")[2] + slash + path


def _masked(text: str) -> str:
    """Return an invalid URL as it may be logged: any text before an @ may be a password, and is masked."""
    before, at_sign, rest = text.rpartition("@")
    scheme = before.partition("://")[0] + "://" if "://" in before else ""
    return (f"{scheme}***@{rest}" if at_sign else text)[:200]


def _reason(error: ValueError, text: str) -> str:
    """Return the reason of a parse error, unless it may quote a password."""
    return "" if "@" in text else f": {error}"


def read_overrides(fragment: str) -> Overrides:
    """Parse overrides such as `rc=2&rp=all&ct=1000&rt=…&tt=…`; a fragment without `=` contains none.

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
        retry_on=_retry_conditions(given["rp"]) if "rp" in given else None,
    )


def with_form(url: URL, form: tuple[tuple[str, str], ...]) -> URL:
    """Return the URL with the form added to its query, as a GET carries parameters."""
    if not form:
        return url
    text, added = str(url), urlencode(form)
    return URL(f"{text}{'&' if '?' in text else '?'}{added}", encoded=True)


def redirect_destination(
    current: URL, location: str, *, carry_query: bool, extra: tuple[tuple[str, str], ...] = ()
) -> Destination:
    """Return the destination of a redirect; `carry_query` adds the current query, except names that the target has.

    A fragment in the response is ignored. Raises: UrlMalformed.
    Source: TwiML change log 2024-01 (query carried) and 2024-07 (`Digits` carried).
    """
    try:
        target = read_destination(urljoin(str(current), location.strip()).split("#", 1)[0])
    except ValueError as error:
        raise UrlMalformed(f"redirected to {location[:200]!r}, which is no URL") from error
    target_names = {name for name, _ in parse_qsl(target.url.raw_query_string, keep_blank_values=True)}
    query = parse_qsl(current.raw_query_string, keep_blank_values=True) if carry_query else []
    added = tuple(pair for pair in (*query, *extra) if pair[0] not in target_names)
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


def _retry_conditions(text: str) -> frozenset[RetryOn]:
    words = text.split(",")
    if words == ["all"]:
        return frozenset(RETRY_CONDITIONS)
    found = frozenset(word for word in RETRY_CONDITIONS if word in words)
    if len(found) != len(words):
        raise OverridesInvalid(f"#rp={text[:40]} is not a list of 4xx, 5xx, ct, rt, or all")
    return found
