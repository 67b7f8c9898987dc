"""A document is TwiML text, or one audio file; `read` returns its verbs for the role in which it runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Final
from xml.etree import ElementTree

from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.commands import (
    Method,
    Role,
)
from holdfast.voice.model.errors import (
    ContentTypeInvalid,
    DocumentTooLarge,
    DocumentUnreadable,
    VoiceError,
)
from holdfast.voice.twiml import verbs
from holdfast.voice.twiml.attributes import AttributeReader, DocumentWarning, Node
from holdfast.voice.twiml.verb import Element, Verb
from holdfast.voice.twiml.verbs.play_say import Play

MAX_BYTES = 64 * 1024
MAX_DEPTH = 20
_VERSION = re.compile(r"""<\?xml\s+version\s*=\s*["']([^"']*)["']""")
_PAGE = re.compile(r"\s*(<!doctype\s+html|<html)\b", re.IGNORECASE)


def find_verbs() -> Mapping[str, type[Element]]:
    """Return the verbs by their names: every class in a file of `verbs/` that has a name and can be parsed."""
    modules = [import_module(f"{verbs.__name__}.{found.name}") for found in iter_modules(verbs.__path__)]
    classes: list[type[Element]] = [
        kind for module in modules for kind in vars(module).values() if isinstance(kind, type)
    ]
    return {kind.name: kind for kind in classes if {"name", "parse"} <= vars(kind).keys()}


VERBS: Final = find_verbs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document is a web server's answer or an inline text: `text` TwiML, or `clip` the name of decoded audio.

    Invariant: it contains all that the verbs are made of, so that a document survives in a journal.
    """

    role: Role
    url: str
    method: Method = "POST"
    text: str = ""
    clip: str | None = None


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """A read document has its verbs in order, and the warnings about it."""

    verbs: tuple[Verb, ...]
    warnings: tuple[DocumentWarning, ...]


class VerbNotAllowed(VoiceError):
    """The document uses a verb that its role may not use."""

    code = 13238
    http = 502
    sip = 502


class DialWithinDial(VerbNotAllowed):
    """The screening document of a leg contains a `<Dial>`."""

    code = 13201


class RootInvalid(DocumentUnreadable):
    """The document is well-formed XML and no TwiML."""

    code = 12102


class VersionInvalid(DocumentUnreadable):
    """The document has an XML version that is not supported."""

    code = 12101


def from_response(*, role: Role, url: str, method: Method, content_type: str, body: str, clip: str | None) -> Document:
    """Make the document of a web server's answer. Raises: ContentTypeInvalid."""
    kind = content_type.split(";", 1)[0].strip().lower()
    if clip is not None:
        return Document(role=role, url=url, method=method, clip=clip)
    if kind in ("text/xml", "application/xml", "text/html"):
        return Document(role=role, url=url, method=method, text=body)
    if kind == "text/plain":
        if "<Response" in body:
            return Document(role=role, url=url, method=method, text=body)
        spoken = body.replace("&", "&amp;").replace("<", "&lt;")
        return Document(role=role, url=url, method=method, text=f"<Response><Say>{spoken}</Say></Response>")
    raise ContentTypeInvalid(f"{url} answered with content type {kind or '(none)'!r}: neither TwiML nor audio")


@lru_cache(maxsize=512)
def read(document: Document) -> ReadDocument:
    """Read the verbs of a document. Raises: DocumentUnreadable, DocumentTooLarge, VerbNotAllowed."""
    if document.clip is not None:
        loops = document.role == "comfort" or (document.role == "wait" and twilio_assumptions.WAIT_FILE_LOOPS)
        rounds = 0 if loops else 1
        return ReadDocument((Play(source=f"clip:{document.clip}", rounds=rounds),), ())
    page = ""
    if document.url and _PAGE.match(document.text):
        page = f"; {document.url} answered with what looks like a web page (text/html)"
    try:
        root = parse(document.text)
    except DocumentUnreadable as error:
        raise type(error)(error.message + page) from error
    if root.tag != "Response":
        raise RootInvalid(f"the document's root is <{root.tag[:60]}>, not <Response>{page}")
    found: list[Verb] = []
    warnings: list[DocumentWarning] = []
    for node in root.children:
        kind = VERBS.get(node.tag)
        if kind is None:
            warnings.append(DocumentWarning(12200, f"<{node.tag[:60]}> is not a verb of this engine; it is ignored"))
            continue
        if document.role not in kind.roles:
            if (document.role, node.tag) == ("screen", "Dial"):
                raise DialWithinDial("<Dial> may not be used in the document of a noun's url")
            raise VerbNotAllowed(f"<{node.tag}> may not be used in this {document.role} document")
        reader = AttributeReader(node, document.url)
        verb = kind.parse(reader)
        reader.warn_unknown()
        for child in () if kind.has_children else node.children:
            reader.warn(f"<{child.tag[:60]}> may not stand in it; it is ignored", code=12200)
        warnings += reader.warnings
        if verb is not None:
            found.append(verb)
    return ReadDocument(tuple(found), tuple(warnings))


class _Builder(ElementTree.TreeBuilder):
    """This builder refuses document type declarations, and with them every entity but XML's own five."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise DocumentUnreadable(f"a document type declaration (<!DOCTYPE {name[:60]}>) is not allowed")


def parse(text: str) -> Node:
    """Parse an XML text and return its root. Raises: DocumentUnreadable, DocumentTooLarge."""
    raw = text.encode(errors="surrogatepass")
    if len(raw) > MAX_BYTES:
        raise DocumentTooLarge(f"the document is {len(raw)} bytes long; the most is {MAX_BYTES}")
    if (version := _VERSION.match(text)) is not None and version[1] not in ("1.0", "1.1"):
        raise VersionInvalid(f"XML version {version[1][:20]!r} is not supported")
    parser = ElementTree.XMLParser(target=_Builder())
    try:
        parser.feed(raw)
        root: ElementTree.Element = parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise DocumentUnreadable(f"the document is not well-formed XML: {error}") from error
    return _node(root, 1)


def _node(element: ElementTree.Element, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise DocumentUnreadable(f"the document nests elements more than {MAX_DEPTH} deep")
    text = (element.text or "") + "".join(child.tail or "" for child in element)
    children = tuple(_node(child, depth + 1) for child in element)
    return Node(element.tag, dict(element.attrib), text, children, element.text or "", element.tail or "")
