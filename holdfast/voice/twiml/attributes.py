"""Reading one XML element of a document: its attributes with defaults, limits and Twilio's warnings.

A bad value is a warning and the default is used; it never stops the document. Source: TwiML, schema warnings.
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
"""The keys of a telephone."""


@dataclass(frozen=True, slots=True)
class Node:
    """An element: tag, attributes, its own text (trimmed by who reads it), child elements.

    `lead` is the part of the text before the first child, `tail` what follows this element in its parent.
    """

    tag: str
    attributes: Mapping[str, str]
    text: str
    children: tuple[Node, ...] = ()
    lead: str = ""
    tail: str = ""


@dataclass(frozen=True, slots=True)
class DocumentWarning:
    """Something in the document that is not as it should be; the call goes on. Source: Twilio warning codes."""

    code: int
    message: str


@dataclass(slots=True)
class AttributeReader:
    """Reads one node's attributes; whatever was never asked for is reported as unknown by `finish`."""

    node: Node
    base_url: str
    warnings: list[DocumentWarning] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    code: int = 12200
    """The warning code of this verb, or 12200 (schema validation)."""
    codes: Mapping[str, int] = field(default_factory=dict)
    """The warning codes of single attributes, where they have their own."""

    def warn(self, message: str, *, code: int = 0) -> None:
        """Note a warning about this element."""
        self.warnings.append(DocumentWarning(code or self.code, f"<{self.node.tag}>: {message}"))

    def _warn_invalid(self, name: str, raw: str, why: str) -> None:
        """Note that an attribute's value is not used."""
        self.warn(f"{name}={raw[:40]!r} {why}", code=self.codes.get(name, 0))

    def text(self, name: str, default: str = "") -> str:
        """An attribute as it stands."""
        self.read.add(name)
        return self.node.attributes.get(name, default)

    def optional(self, name: str) -> str | None:
        """An attribute, or None when absent."""
        self.read.add(name)
        return self.node.attributes.get(name)

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number within limits, else a warning and the default."""
        raw = self.text(name).strip()
        if not raw:
            return default
        if raw.isascii() and raw.isdigit() and len(raw) <= 9 and low <= int(raw) <= high:
            return int(raw)
        self._warn_invalid(name, raw, f"is not a whole number from {low} to {high}; {default} is used")
        return default

    def boolean(self, name: str, default: bool) -> bool:
        """`true` or `false` in any letter case, else a warning and the default."""
        raw = self.text(name).strip().lower()
        if not raw:
            return default
        if raw in ("true", "false"):
            return raw == "true"
        self._warn_invalid(name, raw, f"is neither true nor false; {str(default).lower()} is used")
        return default

    def choice(self, name: str, default: str, allowed: tuple[str, ...]) -> str:
        """One of the allowed words, else a warning and the default."""
        raw = self.text(name).strip()
        if not raw or raw == default:
            return default
        if raw in allowed:
            return raw
        self._warn_invalid(name, raw, f"is none of {', '.join(allowed)}; {default} is used")
        return default

    def digits(self, name: str, default: str) -> str:
        """A set of keys of a telephone; an empty one is no key at all."""
        raw = self.optional(name)
        if raw is None:
            return default
        if set(raw) <= set(PHONE_DIGITS):
            return raw
        self._warn_invalid(name, raw, f"holds more than {PHONE_DIGITS}; {default} is used")
        return default

    def method(self, name: str = "method", default: Method = "POST") -> Method:
        """`GET` or `POST`."""
        raw = self.text(name).strip().upper()
        if raw in ("GET", "POST"):
            return cast(Method, raw)
        if raw:
            self._warn_invalid(name, raw, f"is neither GET nor POST; {default} is used")
        return default

    def url(self, raw: str) -> str:
        """A URL made absolute against the address the document came from; an empty one is that address."""
        return resolve(self.base_url, raw)

    def request(self, name: str, method_name: str, default: Method = "POST") -> WebRequest | None:
        """The request an URL attribute and its method attribute describe; None when there is no URL."""
        raw, method = self.optional(name), self.method(method_name, default)
        if raw is None or not raw.strip():
            return None
        return WebRequest(url=self.url(raw), method=method)

    def callback(
        self, allowed: tuple[str, ...], default: tuple[str, ...], name: str = "statusCallback"
    ) -> Callback | None:
        """A callback's address, its method and its space-separated events."""
        raw, method = self.optional(name), self.method(f"{name}Method")
        words = tuple(self.text(f"{name}Event").replace(",", " ").split())
        for word in words:
            if word not in allowed:
                self.warn(f"{name}Event={word[:40]!r} is none of {', '.join(allowed)}")
        if raw is None or not raw.strip():
            return None
        return Callback(url=self.url(raw), method=method, events=words or default)

    def warn_unknown(self) -> None:
        """Warn of attributes nobody asked for."""
        for name in self.node.attributes:
            if name not in self.read:
                self.warn(f"unknown attribute {name[:60]!r}", code=12200)


def resolve(base_url: str, raw: str) -> str:
    """An address relative to the document's own. Source: RFC 3986 §5."""
    raw = raw.strip()
    if not raw:
        return base_url
    try:
        return urljoin(base_url, raw)
    except ValueError:
        return raw
