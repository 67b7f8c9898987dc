"""Read one XML element of a document: its attributes with defaults, limits and Twilio's warnings.

An invalid value is a warning and the default is used; it never stops the document. Source: TwiML, schema warnings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urljoin

from holdfast.voice.model.commands import (
    Callback,
    Method,
    WebRequest,
)

PHONE_DIGITS = "0123456789*#"
"""The digits of a telephone."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node is one element: tag, attributes, its own text (trimmed by its reader), child elements.

    `lead` is the part of the text before the first child, `tail` the text that follows this element in its parent.
    """

    tag: str
    attributes: Mapping[str, str]
    text: str
    children: tuple[Node, ...] = ()
    lead: str = ""
    tail: str = ""


@dataclass(frozen=True, slots=True)
class DocumentWarning:
    """A warning names a fault in the document; the call continues. Source: Twilio warning codes."""

    code: int
    message: str


@dataclass(slots=True)
class AttributeReader:
    """An attribute reader reads one node's attributes; `warn_unknown` reports those that were never read."""

    node: Node
    base_url: str
    warnings: list[DocumentWarning] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    code: int = 12200
    """The warning code of this verb, or 12200 (schema validation)."""
    codes: Mapping[str, int] = field(default_factory=dict)
    """The warning codes of attributes that have their own."""

    def warn(self, message: str, *, code: int = 0) -> None:
        """Add a warning about this element."""
        self.warnings.append(DocumentWarning(code or self.code, f"<{self.node.tag}>: {message}"))

    def _warn_invalid(self, name: str, raw: str, why: str) -> None:
        """Warn that an attribute's value is not used."""
        self.warn(f"{name}={raw[:40]!r} {why}", code=self.codes.get(name, 0))

    def text(self, name: str, default: str = "") -> str:
        """Return an attribute unchanged."""
        self.read.add(name)
        return self.node.attributes.get(name, default)

    def optional(self, name: str) -> str | None:
        """Return an attribute, or None when it is absent."""
        self.read.add(name)
        return self.node.attributes.get(name)

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """Return a whole number within limits, else warn and return the default."""
        raw = self.text(name).strip()
        if not raw:
            return default
        if raw.isascii() and raw.isdigit() and len(raw) <= 9 and low <= int(raw) <= high:
            return int(raw)
        self._warn_invalid(name, raw, f"is not a whole number from {low} to {high}; {default} is used")
        return default

    def boolean(self, name: str, default: bool) -> bool:
        """Read `true` or `false` in any letter case, else warn and return the default."""
        raw = self.text(name).strip().lower()
        if not raw:
            return default
        if raw in ("true", "false"):
            return raw == "true"
        self._warn_invalid(name, raw, f"is neither true nor false; {str(default).lower()} is used")
        return default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """Return one of the allowed words, else warn and return the default."""
        raw = self.text(name).strip()
        if not raw or raw == default:
            return default
        if raw in allowed:
            return raw
        self._warn_invalid(name, raw, f"is none of {', '.join(allowed)}; {default} is used")
        return default

    def digits(self, name: str, default: str) -> str:
        """Return a set of telephone digits, which may be empty, else warn and return the default."""
        raw = self.optional(name)
        if raw is None:
            return default
        if set(raw) <= set(PHONE_DIGITS):
            return raw
        self._warn_invalid(name, raw, f"contains more than {PHONE_DIGITS}; {default} is used")
        return default

    def method(self, name: str = "method", default: Method = "POST") -> Method:
        """Return `GET` or `POST`."""
        raw = self.text(name).strip().upper()
        if raw in ("GET", "POST"):
            return cast(Method, raw)
        if raw:
            self._warn_invalid(name, raw, f"is neither GET nor POST; {default} is used")
        return default

    def url(self, raw: str) -> str:
        """Make a URL absolute against the document's address; an empty URL is that address."""
        return resolve(self.base_url, raw)

    def request(self, name: str, method_name: str, default: Method = "POST") -> WebRequest | None:
        """Return the request of a URL attribute and its method attribute; None when there is no URL."""
        raw, method = self.optional(name), self.method(method_name, default)
        if raw is None or not raw.strip():
            return None
        return WebRequest(url=self.url(raw), method=method)

    def callback(
        self, allowed: tuple[str, ...], default: tuple[str, ...], name: str = "statusCallback"
    ) -> Callback | None:
        """Return the callback of a URL attribute, with its method and events; None when there is no URL."""
        raw, method = self.optional(name), self.method(f"{name}Method")
        words = tuple(self.text(f"{name}Event").replace(",", " ").split())
        for word in words:
            if word not in allowed:
                self.warn(f"{name}Event={word[:40]!r} is none of {', '.join(allowed)}")
        if raw is None or not raw.strip():
            return None
        return Callback(url=self.url(raw), method=method, events=words or default)

    def warn_unknown(self) -> None:
        """Warn of attributes that were never read."""
        for name in self.node.attributes:
            if name not in self.read:
                self.warn(f"unknown attribute {name[:60]!r}", code=12200)


def resolve(base_url: str, raw: str) -> str:
    """Resolve an address against the document's own. Source: RFC 3986 §5."""
    raw = raw.strip()
    if not raw:
        return base_url
    try:
        return urljoin(base_url, raw)
    except ValueError:
        return raw
