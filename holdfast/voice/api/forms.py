"""Read the parameters of a request, from untrusted bytes to checked values."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from holdfast.voice.api.errors import (
    BodyMalformed,
    BodyTooLarge,
    CallbackUrlInvalid,
    MethodInvalid,
    ParameterInvalid,
)
from holdfast.voice.model.commands import (
    Method,
    WebRequest,
)
from holdfast.voice.model.errors import AskedWrong

MAX_BODY_BYTES: Final = 256 * 1024
MAX_FIELDS: Final = 500
MAX_URL: Final = 4000

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_NUMBER = re.compile(r"[0-9]{1,9}\Z")


class Form:
    """A form holds parameters by name, each with all its values in the order in which they were sent."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def names(self) -> frozenset[str]:
        """Return every name that was sent."""
        return frozenset(self._values)

    def pairs(self) -> list[tuple[str, str]]:
        """Return every value with its name."""
        return [(name, value) for name, values in self._values.items() for value in values]

    def raw(self, name: str) -> str | None:
        """Return the first value, trimmed: "" when it was sent empty, None when it was not sent."""
        values = self._values.get(name)
        return values[0].strip() if values else None

    def text(self, name: str) -> str | None:
        """Return the first value, trimmed, or None when it was not sent or is empty."""
        return self.raw(name) or None

    def flag(self, name: str) -> bool | None:
        """Return True for `true` in any case, False for any other value. Source: Twilio API, Participant `Muted`."""
        value = self.raw(name)
        return None if value is None else value.lower() == "true"

    def words(self, name: str) -> tuple[str, ...] | None:
        """Return a list: the name repeated, or one value with spaces. None when it was not sent."""
        values = self._values.get(name)
        return None if values is None else tuple(word for value in values for word in value.split())

    def integer(self, name: str, *, low: int, high: int, error: type[AskedWrong] = ParameterInvalid) -> int | None:
        """Return a whole number from `low` to `high`, or None when it was not sent or is empty. Raises: `error`."""
        value = self.text(name)
        if value is None:
            return None
        if not _NUMBER.match(value) or not low <= int(value) <= high:
            raise error(f"{name} must be a whole number from {low} to {high}")
        return int(value)

    def choice(self, name: str, allowed: Iterable[str], *, error: type[AskedWrong] = ParameterInvalid) -> str | None:
        """Return one of the allowed words, or None when it was not sent or is empty. Raises: `error`.

        `true` and `false` count in any case: the Python SDK sends a boolean given for such a parameter as `True`.
        """
        value = self.text(name)
        if value is not None and value.lower() in ("true", "false"):
            value = value.lower()
        if value is not None and value not in allowed:
            raise error(f"{name} must be one of: {', '.join(allowed)}")
        return value

    def method(self, name: str, default: Method = "POST") -> Method:
        """Return GET or POST, which may be sent in any case. Raises: MethodInvalid."""
        match (self.text(name) or default).upper():
            case "GET":
                return "GET"
            case "POST":
                return "POST"
            case _:
                raise MethodInvalid(f"{name} must be GET or POST")

    def url(self, name: str, *, error: type[AskedWrong] = CallbackUrlInvalid) -> str | None:
        """Return an absolute http(s) URL, or None when it was not sent or is empty. Raises: `error`."""
        value = self.text(name)
        if value is not None and not is_web_address(value):
            raise error(f"{name} is not a valid URL: it must be absolute and begin with http:// or https://")
        return value

    def request(
        self, url: str, method: str, *, default: Method = "POST", error: type[AskedWrong] = CallbackUrlInvalid
    ) -> WebRequest | None:
        """Return the URL in `url` with the method in `method`, or None when `url` was not sent or is empty.

        Raises: `error`, MethodInvalid.
        """
        checked = self.method(method, default)
        address = self.url(url, error=error)
        return None if address is None else WebRequest(url=address, method=checked)

    def request_or_silence(self, url: str, method: str, *, default: Method = "POST") -> WebRequest | None:
        """Return a request as `request` does; an empty URL is kept, as silence. Source: TwiML <Conference> waitUrl."""
        if self.raw(url) == "":
            return WebRequest(url="")
        return self.request(url, method, default=default)


def is_web_address(text: str) -> bool:
    """Return whether `text` is an absolute http(s) URL whose host could exist."""
    if len(text) > MAX_URL or re.search(r"[\s\x00-\x1f\x7f\\]", text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


async def read_form(request: Request) -> Form:
    """Return the parameters of a request: those of its body, then those of its query.

    A body that has neither of the two types of forms has no parameters. Raises: BodyMalformed, BodyTooLarge.
    Source: Twilio API, "Request formats".
    """
    pairs: list[tuple[str, str]] = []
    if request.method == "POST":
        content_type = request.headers.get("content-type", "").lower()
        body = await _read(request)
        if content_type.startswith("multipart/form-data"):
            pairs = await _multipart(request.headers, body)
        elif content_type.startswith("application/x-www-form-urlencoded") or not content_type:
            pairs = _urlencoded(body)
    pairs += _urlencoded(request.scope["query_string"])
    for name, value in pairs:
        if _CONTROL.search(name) or _CONTROL.search(value):
            raise BodyMalformed(f"Control characters in {name!r}")
    return Form(pairs)


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"The request body is over {MAX_BODY_BYTES} bytes")
    return bytes(body)


def _urlencoded(data: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            data.decode("utf-8"), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MAX_FIELDS
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise BodyMalformed("The parameters are not percent-encoded UTF-8, or too many") from error


async def _multipart(headers: Headers, body: bytes) -> list[tuple[str, str]]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(headers, stream(), max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_BODY_BYTES)
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeDecodeError, ValueError, KeyError, LookupError) as error:
        raise BodyMalformed("The multipart body cannot be read") from error
    return [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
