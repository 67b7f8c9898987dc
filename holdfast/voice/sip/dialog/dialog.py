"""Dialogs: the state that two user agents share, and the requests made from it.

Source: RFC 3261 §12; RFC 3311 for UPDATE; RFC 6141 for target refresh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address

from holdfast.voice.sip.effects import Address, Headers
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.message import (
    Message,
    Request,
    Response,
    request,
)
from holdfast.voice.sip.message.uri import (
    Uri,
    address_of,
    is_behind_nat,
    parse_name_addr,
    parse_uri,
)

REFRESHES_TARGET = ("INVITE", "UPDATE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialog:
    """One dialog. `local` and `remote` are the texts of From and To in our requests, tags included.

    Invariant: `local_cseq` rises with each request of ours, ACK and CANCEL excepted.
    """

    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    target: str
    """The Request-URI of our requests: the peer's Contact."""
    routes: tuple[str, ...]
    local_cseq: int
    remote_cseq: int | None
    peer_address: Address
    """The source of the peer's messages: requests go there when its Contact leads nowhere."""
    behind: str | None = None
    """The host that the messages came from before a trusted proxy forwarded them."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What distinguishes the dialog from others: Call-ID, local tag, remote tag. Source: RFC 3261 §12."""
        return self.call_id, self.local_tag, self.remote_tag

    @property
    def origin(self) -> str:
        """The host of the peer's own signalling."""
        return self.behind or self.peer_address.host


def as_caller(invite: Request, accepted: Response, source: Address) -> Dialog:
    """Return the dialog that a response to our INVITE makes. Source: RFC 3261 §12.1.2."""
    return Dialog(
        call_id=invite.call_id,
        local=invite.from_.text,
        remote=accepted.to.text,
        local_tag=invite.from_.tag or "",
        remote_tag=accepted.to.tag or "",
        target=contact_uri(accepted) or invite.uri,
        routes=tuple(reversed(accepted.values("Record-Route"))),
        local_cseq=invite.cseq,
        remote_cseq=None,
        peer_address=source,
    )


def as_callee(invite: Request, local_tag: str, source: Address, *, behind: str | None = None) -> Dialog:
    """Return the dialog that our response to an INVITE makes. Source: RFC 3261 §12.1.1."""
    return Dialog(
        call_id=invite.call_id,
        local=f"{invite.to.text};tag={local_tag}",
        remote=invite.from_.text,
        local_tag=local_tag,
        remote_tag=invite.from_.tag or "",
        target=contact_uri(invite) or invite.from_.uri,
        routes=tuple(invite.values("Record-Route")),
        local_cseq=0,
        remote_cseq=invite.cseq,
        peer_address=source,
        behind=behind,
    )


def contact_uri(message: Message) -> str | None:
    """Return the URI of the only Contact, when it is a SIP URI."""
    contacts = message.values("Contact")
    if len(contacts) != 1:
        return None
    try:
        return parse_uri(parse_name_addr(contacts[0]).uri).text
    except UriUnreadable:
        return None


def in_order(dialog: Dialog, received: Request) -> bool:
    """Return whether the peer's request is newer than its last one. Source: RFC 3261 §12.2.2."""
    return dialog.remote_cseq is None or received.cseq > dialog.remote_cseq


def record_request(dialog: Dialog, received: Request, source: Address, *, behind: str | None = None) -> Dialog:
    """Record the CSeq and source of a peer's request, and its Contact if it refreshes the target."""
    updated = replace(dialog, remote_cseq=received.cseq, peer_address=source, behind=behind)
    return refresh_target(updated, received)


def refresh_target(dialog: Dialog, message: Message) -> Dialog:
    """Store the Contact of a target refresh, when it has a usable one. Source: RFC 3261 §12.2.1.2, §12.2.2."""
    target = contact_uri(message) if message.method in REFRESHES_TARGET else None
    return dialog if target is None else replace(dialog, target=target)


def make_request(
    dialog: Dialog,
    method: str,
    *,
    via: tuple[str, str],
    cseq: int | None = None,
    headers: Headers = (),
    body: bytes = b"",
) -> tuple[Dialog, Request, Address]:
    """Make a request in the dialog and return the dialog, the request and its address. `cseq` is given for ACK only.

    Source: RFC 3261 §12.2.1.1; §13.2.2.4 for ACK.
    """
    number = dialog.local_cseq + 1 if cseq is None else cseq
    target, routes = dialog.target, dialog.routes
    if routes and not _is_loose(routes[0]):
        target, routes = parse_name_addr(routes[0]).uri, (*routes[1:], f"<{dialog.target}>")
    fields = (
        via,
        ("Max-Forwards", "70"),
        *(("Route", route) for route in routes),
        ("From", dialog.local),
        ("To", dialog.remote),
        ("Call-ID", dialog.call_id),
        ("CSeq", f"{number} {method}"),
        *headers,
    )
    if cseq is None:
        dialog = replace(dialog, local_cseq=number)
    return dialog, request(method, target, fields, body), next_hop(dialog)


def next_hop(dialog: Dialog) -> Address:
    """Return where our requests in this dialog go: the first route, without routes the Contact.

    A peer that uses a connection gets requests over it, as long as it lasts (RFC 5923 §4).
    Deviation: the source of the peer's messages is used in place of a host name, which is not resolved; of a route with
    a private address behind a public one; and of a Contact that differs from the source and is not global. With routes
    no request goes directly to the Contact (RFC 3261 §12.2.1.1).
    """
    try:
        uri = _first_hop(dialog)
    except UriUnreadable:
        return dialog.peer_address
    address = _reachable_address(dialog, uri)
    return dialog.peer_address if address is None or _is_connected(uri, address, dialog.peer_address) else address


def _first_hop(dialog: Dialog) -> Uri:
    """Return the first route, else the Contact. Raises: UriUnreadable."""
    return parse_uri(parse_name_addr(dialog.routes[0]).uri if dialog.routes else dialog.target)


def _reachable_address(dialog: Dialog, first_hop: Uri) -> Address | None:
    """Return the address of the first hop, or None for a host name and for an address hidden behind a NAT."""
    address = address_of(first_hop)
    if address is None:
        return None
    there, source = ip_address(address.host), ip_address(dialog.peer_address.host)
    hidden = _scope(there) < _scope(source) if dialog.routes else is_behind_nat(there, source)
    return None if hidden else address


def _is_connected(uri: Uri, address: Address, peer_address: Address) -> bool:
    """Return whether the peer's connection leads there; a URI without transport takes that of the connection."""
    same_way = address.transport == peer_address.transport or uri.param("transport") is None
    return peer_address.reliable and same_way and address.host == peer_address.host


def disconnected(dialog: Dialog) -> Dialog:
    """Return the dialog after the peer's connection ended: requests go to its first hop over a new connection."""
    try:
        address = _reachable_address(dialog, _first_hop(dialog))
    except UriUnreadable:
        return dialog
    return dialog if address is None else replace(dialog, peer_address=address)


def _scope(host: IPv4Address | IPv6Address) -> int:
    """Return how far an address reaches: 1 global, 0 carrier NAT, -1 private network. Source: RFC 6598."""
    return int(host.is_global) - int(host.is_private)


def _is_loose(route: str) -> bool:
    """Return whether the first route is a loose router; an unreadable one counts as loose and is echoed."""
    try:
        return parse_uri(parse_name_addr(route).uri).param("lr") is not None
    except UriUnreadable:
        return True
