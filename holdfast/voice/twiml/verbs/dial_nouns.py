"""Read `<Number>`, `<Client>`, `<Sip>` and `<Application>`, the nouns that a `<Dial>` calls."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import parse_qsl, unquote

from holdfast.voice.model.commands import Target
from holdfast.voice.model.header_names import Fault, describe_fault, fault_of
from holdfast.voice.model.ids import is_sid
from holdfast.voice.model.phone_numbers import bare_number
from holdfast.voice.twiml.attributes import AttributeReader, Node
from holdfast.voice.twiml.verbs.dial_legs import DialNoun
from holdfast.voice.twiml.verbs.play_say import PLAYABLE_DIGITS

EVENTS = ("initiated", "ringing", "answered", "completed")
MAX_IDENTITY = 256
MAX_URI = 255
MAX_HEADERS = 1024
MAX_PARAMETERS = 50
CODES = {
    "Application": {"method": 13221},
    "Number": {"method": 13221, "sendDigits": 13222},
    "Client": {"method": 13221},
    "Sip": {"method": 13241, "sendDigits": 13242, "username": 13249, "password": 13249},
}
INVALID_CODES = {"Application": 12200, "Number": 13223, "Client": 13224, "Sip": 13243}
"""The code of an address that cannot be dialled, by noun."""
HEADER_CODES: dict[Fault, int] = {"name": 13252, "setter": 13252, "value": 13253}
"""The code of a header field that is left out. Source: Twilio errors 13252, 13253."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,127}\Z")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]")
_IGNORED = frozenset(
    {
        *("byoc", "machineDetection", "machineDetectionTimeout", "machineDetectionSpeechThreshold"),
        *("machineDetectionSpeechEndThreshold", "machineDetectionSilenceTimeout", "amdStatusCallback"),
        *("amdStatusCallbackMethod", "clientNotificationUrl"),
    }
)
"""The attributes that Twilio knows and this engine ignores."""


def read_noun(outer: AttributeReader, node: Node) -> DialNoun | None:
    """Read the leg that a noun describes; return None, after a warning, when it cannot be dialled."""
    reader = AttributeReader(node, outer.base_url, warnings=outer.warnings, codes=CODES[node.tag])
    reader.read |= _IGNORED
    target = {"Number": _number, "Client": _client, "Sip": _sip, "Application": _application}[node.tag](reader)
    noun = DialNoun(
        target=target or Target(to=""),
        screen=reader.request("url", "method"),
        callback=reader.callback(EVENTS, ("completed",)),
        send_digits=_digits(reader),
        copy_parent_to=node.tag == "Application" and reader.boolean("copyParentTo", False),
    )
    reader.warn_unknown()
    return None if target is None else noun


def _digits(reader: AttributeReader) -> str:
    if reader.node.tag in ("Client", "Application"):
        return ""
    digits = reader.text("sendDigits").strip()
    if len(digits) <= 200 and set(digits) <= PLAYABLE_DIGITS:
        return digits
    reader.warn(f"sendDigits={digits[:40]!r} contains more than 0-9 A-D * # w W", code=reader.codes["sendDigits"])
    return ""


def _warn_invalid(reader: AttributeReader, given: str, why: str) -> None:
    named = repr(given[:60]) if given else "an empty value"
    reader.warn(f"{named} cannot be dialled: {why}", code=INVALID_CODES[reader.node.tag])


def _number(reader: AttributeReader) -> Target | None:
    """Read a phone number as people write it, or the name of a line. The call that is made says which country's it is.

    A SIP URI, which belongs in `<Sip>`, is read by the same rules as there.
    """
    _known_children(reader, ())
    text = reader.node.text.strip()
    if is_sip_uri(text.partition("?")[0]):
        return _uri(reader, text)
    to = bare_number(text) or text
    if not to or len(to) > 64 or not to.isprintable() or any(character in to for character in ' <>"'):
        _warn_invalid(reader, text, "it is no phone number")
        return None
    return Target(to=to)


def _client(reader: AttributeReader) -> Target | None:
    """Read an identity, as text or as `<Identity>`, with parameters as `?a=b` or as `<Parameter>`."""
    children = _known_children(reader, ("Identity", "Parameter"))
    text = next((child.text.strip() for child in children if child.tag == "Identity"), reader.node.text.strip())
    identity, _, query = text.removeprefix("client:").partition("?")
    identity = unquote(identity)
    if not identity or len(identity) > MAX_IDENTITY or not identity.isprintable() or set(identity) & set(' <>"'):
        _warn_invalid(reader, text, f"it is no identity of up to {MAX_IDENTITY} characters")
        return None
    pairs = _pairs(query)
    for child in children:
        if child.tag == "Parameter":
            pairs.append((child.attributes.get("name", "").strip(), child.attributes.get("value", "")))
    kept = [(name, value) for name, value in pairs if _HEADER.match(name) and not _UNPRINTABLE.search(value)]
    if len(kept) < len(pairs) or len(kept) > MAX_PARAMETERS:
        reader.warn("parameters without a plain name, or too many of them, are left out")
    return Target(to=f"client:{identity}", parameters=tuple(kept[:MAX_PARAMETERS]))


def _application(reader: AttributeReader) -> Target | None:
    """Read an application's SID, as text or as `<ApplicationSid>`, and the parameters for its document."""
    children = _known_children(reader, ("ApplicationSid", "Parameter"))
    sid = next((child.text.strip() for child in children if child.tag == "ApplicationSid"), reader.node.text.strip())
    customer = reader.text("customerId")
    if not is_sid(sid, "AP"):
        _warn_invalid(reader, sid, "it is no SID of an application")
        return None
    if len(customer) > MAX_IDENTITY or _UNPRINTABLE.search(customer):
        reader.warn(f"customerId is longer than {MAX_IDENTITY} characters, or not printable; it is left out")
        customer = ""
    pairs = [
        (child.attributes.get("name", "").strip(), child.attributes.get("value", ""))
        for child in children
        if child.tag == "Parameter"
    ]
    kept = [(name, value) for name, value in pairs if _HEADER.match(name) and name not in ("To", "customerId")]
    if len(kept) < len(pairs) or len(kept) > MAX_PARAMETERS:
        reader.warn("parameters without a plain name, or too many of them, are left out")
    customer_params = (("customerId", customer),) if customer else ()
    return Target(to=f"app:{sid}", parameters=(*customer_params, *kept[:MAX_PARAMETERS]))


def _sip(reader: AttributeReader) -> Target | None:
    """Read a SIP URI with header fields after a question mark, or as `<Uri>` and `<Headers>`."""
    children = _known_children(reader, ("Uri", "Headers"))
    username, password = reader.optional("username"), reader.optional("password")
    uri_element = next((child for child in children if child.tag == "Uri"), None)
    text = sip_text(reader.node)
    if uri_element is not None:
        username, password = (
            uri_element.attributes.get("username", username),
            uri_element.attributes.get("password", password),
        )
    more = [
        (header.attributes.get("name", ""), header.attributes.get("value", ""))
        for child in children
        if child.tag == "Headers"
        for header in child.children
    ]
    target = _uri(reader, text, more)
    if password is not None and username is None:
        reader.warn("a password without a username is not used", code=13249)
        password = None
    if _UNPRINTABLE.search(f"{username}{password}"):
        reader.warn("a username or password that is not printable is not used", code=13249)
        username = password = None
    return None if target is None else replace(target, username=username, password=password)


def _uri(reader: AttributeReader, text: str, more: Sequence[tuple[str, str]] = ()) -> Target | None:
    """Read a SIP URI with the header fields after its question mark, and these."""
    uri, _, query = text.partition("?")
    if not is_sip_uri(uri):
        _warn_invalid(reader, text, "it is no SIP URI")
        return None
    if len(uri) >= MAX_URI:
        _warn_invalid(reader, text, f"it is not below {MAX_URI} characters")
        return None
    if len(query) >= MAX_HEADERS:
        reader.warn(f"header fields of {len(query)} characters, the most are {MAX_HEADERS}: left out", code=13251)
        query = ""
    pairs = (*_pairs(query), *more)
    return Target(
        to=uri, headers=tuple((name, value) for name, value in pairs if is_sendable_header(reader, name, value))
    )


def sip_text(node: Node) -> str:
    """Return the address in a `<Sip>`, or in the `<Uri>` inside it; `bob@example.com` is `sip:bob@example.com`."""
    text = next((child.text.strip() for child in node.children if child.tag == "Uri"), node.text.strip())
    return text if _SCHEME.match(text) or "@" not in text else f"sip:{text}"


def is_sip_uri(text: str) -> bool:
    """Return whether this SIP URI may stand in a message: a user at a host, all characters printable."""
    whole = text.lower().startswith(("sip:", "sips:")) and "@" in text
    return whole and _UNPRINTABLE.search(text) is None and not set(text) & set(' <>"')


def is_sendable_header(reader: AttributeReader, name: str, value: str) -> bool:
    """Return whether a document may set this header field; warn when not."""
    fault = fault_of(name, value)
    if fault is not None:
        reader.warn(describe_fault(fault, name, value), code=HEADER_CODES[fault])
    return fault is None


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return []


def _known_children(reader: AttributeReader, known: tuple[str, ...]) -> tuple[Node, ...]:
    """Return the child elements of these names; warn of any other."""
    for child in reader.node.children:
        if child.tag not in known:
            reader.warn(f"<{child.tag[:60]}> may not stand in it; it is ignored", code=12200)
    return tuple(child for child in reader.node.children if child.tag in known)
