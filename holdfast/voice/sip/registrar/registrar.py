"""The registrar: the contacts that lines register, each until it expires.

A REGISTER is carried out whole or not at all.
Source: RFC 3261 §10.3; RFC 5626 §4.1 for a phone that returns with another address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address

from holdfast.voice.sip.effects import Address, Headers
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.message import Request
from holdfast.voice.sip.message.uri import (
    NameAddr,
    address_of,
    is_behind_nat,
    parse_name_addr,
    parse_uri,
)

DEFAULT_EXPIRES_S = 3600
MAX_EXPIRES_S = 3600
MIN_EXPIRES_S = 10
BEHIND_NAT_EXPIRES_S = 50
"""The longest time for a phone behind a NAT by UDP, so that its router keeps the binding open.

Source: RFC 4787 §4.3 (two minutes), and routers in the field (half a minute to one).
"""


Instance = tuple[str, str]
"""The identity of a phone whose address changes: `+sip.instance`, and `reg-id` of the flow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One contact of a line.

    `to` is where requests for it are sent: its own address, or the source of its REGISTER when the two hosts differ, as
    behind a NAT. A contact registered over a connection is removed with the connection.
    """

    uri: str
    to: Address
    registered_at: float
    expires_at: float
    call_id: str
    cseq: int
    preference: float
    instance: Instance | None
    behind: str | None = None
    """The host that its REGISTER came from before a trusted proxy forwarded it."""


ContactKey = tuple[str, str]
"""The identity of a contact: its address, and behind a NAT, where others have the same, its source host."""

Bindings = Mapping[ContactKey, Binding]
"""The contacts of one line by their keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterOutcome:
    """The outcome of a REGISTER: the response, and the line's contacts after it."""

    status: int
    headers: Headers
    bindings: Bindings
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _RequestedContact:
    contact: NameAddr
    key: ContactKey
    to: Address
    longest_s: int
    expires_s: int
    preference: float
    instance: Instance | None


def unexpired(bindings: Bindings, now: float) -> dict[ContactKey, Binding]:
    """Return the contacts that have not expired."""
    return {key: binding for key, binding in bindings.items() if binding.expires_at > now}


def without_address(bindings: Bindings, closed: Address) -> dict[ContactKey, Binding]:
    """Return the contacts that a closed connection did not lead to. Source: RFC 5626 §5.3 (a flow that fails)."""
    return {key: binding for key, binding in bindings.items() if binding.to != closed}


def restorable(bindings: Bindings) -> dict[ContactKey, Binding]:
    """Return the contacts that survive our restart: those without a connection."""
    return {key: binding for key, binding in bindings.items() if not binding.to.reliable}


def restored(bindings: Bindings, now: float) -> dict[ContactKey, Binding]:
    """Return the contacts of an earlier run that have not expired, none longer than it could be registered now."""
    bounded = {
        key: replace(binding, expires_at=min(binding.expires_at, now + MAX_EXPIRES_S))
        for key, binding in bindings.items()
    }
    return unexpired(bounded, now)


def by_preference(bindings: Bindings, now: float) -> tuple[Binding, ...]:
    """Return the contacts that have not expired, most preferred first, newest first among equals."""
    return tuple(sorted(unexpired(bindings, now).values(), key=lambda b: (-b.preference, -b.expires_at)))


def register(
    bindings: Bindings,
    received: Request,
    source: Address,
    now: float,
    *,
    max_contacts: int,
    behind: str | None = None,
) -> RegisterOutcome:
    """Carry out one REGISTER of an authenticated line; without a Contact it is a query.

    A phone that returns with another address replaces its contact. Above `max_contacts` the contacts registered longest
    ago are removed; a REGISTER that alone names more is refused.
    Source: RFC 3261 §10.3, steps 6 to 8.
    """
    before = unexpired(bindings, now)
    contacts = received.values("Contact")
    try:
        if "*" in contacts:
            return _remove_all(before, received, now)
        requested = [_parse_contact(text, received, source) for text in contacts]
    except UriUnreadable:
        return RegisterOutcome(status=400, headers=(), bindings=before, changed=False)
    if any(0 < new.expires_s < MIN_EXPIRES_S for new in requested):
        headers = (("Min-Expires", str(MIN_EXPIRES_S)),)
        return RegisterOutcome(status=423, headers=headers, bindings=before, changed=False)
    after = dict(before)
    for new in requested:
        replaced = [key for key, known in after.items() if _is_replaced(key, known, new, received)]
        if not all(_is_newer(after[key], received) for key in replaced):
            return RegisterOutcome(status=500, headers=(), bindings=before, changed=False)
        for key in replaced:
            del after[key]
        if new.expires_s > 0:
            after[new.key] = Binding(
                uri=new.contact.uri,
                to=new.to,
                registered_at=now,
                expires_at=now + min(new.expires_s, new.longest_s),
                call_id=received.call_id,
                cseq=received.cseq,
                preference=new.preference,
                instance=new.instance,
                behind=behind,
            )
    named = {new.key for new in requested}
    if len(named & after.keys()) > max_contacts:
        return RegisterOutcome(status=403, headers=(), bindings=before, changed=False)
    others = sorted(after.keys() - named, key=lambda key: after[key].registered_at)
    for key in others[: max(0, len(after) - max_contacts)]:
        del after[key]
    return _listed(after, now, changed=bool(requested))


def is_same_phone(known: tuple[ContactKey, Binding], new: tuple[ContactKey, Binding]) -> bool:
    """Return whether two contacts of a line are of one phone: equal, or of one Call-ID or instance.

    Source: RFC 3261 §10.2 (one Call-ID for all registrations of a user agent); RFC 5626 §4.1.
    """
    (key, before), (new_key, now) = known, new
    instance = now.instance is not None and now.instance == before.instance
    return key == new_key or instance or before.call_id == now.call_id


def _remove_all(before: Bindings, received: Request, now: float) -> RegisterOutcome:
    """Remove all contacts for `Contact: *`, which must stand alone and with `Expires: 0`."""
    if len(received.values("Contact")) != 1 or received.first("Expires") != "0":
        return RegisterOutcome(status=400, headers=(), bindings=before, changed=False)
    if not all(_is_newer(binding, received) for binding in before.values()):
        return RegisterOutcome(status=500, headers=(), bindings=before, changed=False)
    return _listed({}, now, changed=True)


def _is_replaced(key: ContactKey, known: Binding, new: _RequestedContact, received: Request) -> bool:
    """Return whether a known contact is the requested one, or the same phone at its former address.

    A contact that keeps its Call-ID is the same even if its NAT shows another source.
    """
    moved = new.expires_s > 0 and new.instance is not None and known.instance == new.instance
    return key == new.key or moved or (key[0] == new.key[0] and known.call_id == received.call_id)


def _is_newer(known: Binding, received: Request) -> bool:
    return known.call_id != received.call_id or received.cseq > known.cseq


def _parse_contact(text: str, received: Request, source: Address) -> _RequestedContact:
    contact = parse_name_addr(text)
    uri = parse_uri(contact.uri)
    own = address_of(uri)
    seen_there = own is not None and ip_address(own.host) == ip_address(source.host)
    behind_nat = own is not None and is_behind_nat(ip_address(own.host), ip_address(source.host))
    expires = contact.param("expires")
    wanted = expires if expires is not None else received.first("Expires")
    transport = (uri.param("transport") or "udp").lower()
    return _RequestedContact(
        contact=replace(contact, uri=uri.text.partition("?")[0]),
        key=(f"{uri.user}@{uri.host}:{uri.port or 5060};{transport}", "" if seen_there else source.host),
        to=own if own is not None and seen_there and not source.reliable else source,
        longest_s=BEHIND_NAT_EXPIRES_S if behind_nat and not source.reliable else MAX_EXPIRES_S,
        expires_s=int(wanted) if wanted and re.fullmatch(r"[0-9]{1,9}", wanted) else DEFAULT_EXPIRES_S,
        preference=_preference(contact.param("q")),
        instance=(instance, contact.param("reg-id") or "") if (instance := contact.param("+sip.instance")) else None,
    )


def _preference(q: str | None) -> float:
    return float(q) if q and re.fullmatch(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?", q) else 1.0


def _listed(bindings: dict[ContactKey, Binding], now: float, *, changed: bool) -> RegisterOutcome:
    headers = tuple(
        ("Contact", f"<{binding.uri}>;expires={max(1, round(binding.expires_at - now))}")
        for binding in by_preference(bindings, now)
    )
    return RegisterOutcome(status=200, headers=headers, bindings=bindings, changed=changed)
