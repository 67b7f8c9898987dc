"""Register our contacts with other registrars, and keep them registered. Source: RFC 3261 §10.2."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from holdfast.voice.sip.effects import Address, Headers, Registered, RegistrationFailed, TimerToken, Unregistered
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.digest import DigestCredentials
from holdfast.voice.sip.message.message import Response, clean, request
from holdfast.voice.sip.message.uri import contact_at, host_port, parse_name_addr
from holdfast.voice.sip.stack import SipStack
from holdfast.voice.sip.transaction.machines import Purpose, Transaction

REFRESH_AT = 0.8
"""The share of the granted time after which we register again."""
FIRST_WAIT_S, LONGEST_WAIT_S = 30.0, 1800.0
"""The wait after a failure, doubled after each further one. Source: RFC 5626 §4.5."""
NO_SERVICE = (408, 503)
"""Statuses after which the registrar's next address is tried. Source: RFC 3263 §4.3."""
LOST_WAIT_S = 5.0
"""The longest wait after the end of a connection over which we were registered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRegistration:
    """A contact of ours at a registrar."""

    name: str
    registrar: Address
    domain: str
    user: str
    credentials: DigestCredentials | None
    expires_s: int
    """The time that we ask for; 0 removes the contact."""
    call_id: str
    from_tag: str
    others: tuple[Address, ...] = ()
    """The registrar's other addresses, in the order in which they are tried."""
    failed_addresses: int = 0
    """How many addresses have failed since the last wait."""
    keep_trying: bool = False
    """Whether a failed registration is tried again until it is removed."""
    cseq: int = 0
    failures: int = 0
    """The number of failures in a row."""
    asked_longer: bool = False
    """Whether we have asked for a longer time since the last result, as the registrar required."""


def contact_uri(stack: SipStack, user: str, registrar: Address) -> str:
    """Return the URI at which this registrar reaches the user."""
    return contact_at(user, stack.settings.reached_by(registrar.transport))


def begin(
    stack: SipStack,
    name: str,
    registrar: Address,
    user: str,
    *,
    domain: str | None,
    credentials: DigestCredentials | None,
    expires_s: int,
    others: tuple[Address, ...] = (),
    keep_trying: bool = False,
) -> ClientRegistration:
    """Send the first REGISTER."""
    made = ClientRegistration(
        name=name,
        registrar=registrar,
        domain=domain or host_port(registrar),
        user=user,
        credentials=None if credentials is None else replace(credentials, host=registrar.host),
        expires_s=expires_s,
        call_id=f"{stack.token()}@{stack.settings.address.host}",
        from_tag=stack.token(),
        others=others,
        keep_trying=keep_trying,
    )
    return send(stack, made)


def send(
    stack: SipStack, registration: ClientRegistration, *, proofs: Headers = (), attempt: int = 0
) -> ClientRegistration:
    """Send a REGISTER and return the registration with its new CSeq."""
    registration = replace(registration, cseq=registration.cseq + 1)
    aor = f"sip:{registration.user}@{registration.domain}"
    fields = (
        stack.via(registration.registrar),
        ("Max-Forwards", "70"),
        ("From", f"<{aor}>;tag={registration.from_tag}"),
        ("To", f"<{aor}>"),
        ("Call-ID", registration.call_id),
        ("CSeq", f"{registration.cseq} REGISTER"),
        ("Contact", f"<{contact_uri(stack, registration.user, registration.registrar)}>"),
        ("Expires", str(registration.expires_s)),
        *stack.agent_headers(),
        *proofs,
    )
    made = request("REGISTER", f"sip:{registration.domain}", fields)
    stack.request(made, registration.registrar, purpose=Purpose.REGISTER, subject=registration.name, attempt=attempt)
    return registration


def move(stack: SipStack, registration: ClientRegistration, registrars: tuple[Address, ...]) -> ClientRegistration:
    """Follow a registrar to its new addresses; register at the first if the one in use is gone."""
    if registration.registrar in registrars:
        rest = tuple(address for address in registrars if address != registration.registrar)
        return replace(registration, others=rest, failed_addresses=0)
    stack.stop(timer_token(registration.name))
    return send(stack, replace(_at(registration, registrars), failures=0, failed_addresses=0))


def _at(registration: ClientRegistration, registrars: tuple[Address, ...]) -> ClientRegistration:
    """Return a registration at the first of these addresses, where alone challenges are answered."""
    registrar, *others = registrars
    credentials = registration.credentials
    return replace(
        registration,
        registrar=registrar,
        others=tuple(others),
        credentials=None if credentials is None else replace(credentials, host=registrar.host),
    )


def timer_token(name: str) -> TimerToken:
    """Return the token of the refresh timer of a registration."""
    return TimerToken(f"registration {name}")


def handle_response(
    stack: SipStack, registration: ClientRegistration, transaction: Transaction, response: Response
) -> ClientRegistration | None:
    """Handle the final response to a REGISTER and return the registration, or None when it is removed."""
    if not is_latest(registration, transaction):
        return registration
    if 200 <= response.status < 300:
        if registration.expires_s == 0:
            stack.emit(Unregistered(registration=registration.name))
            return None
        granted = _granted(stack, registration, response)
        stack.start(timer_token(registration.name), max(1.0, granted * REFRESH_AT))
        stack.emit(Registered(registration=registration.name, expires_s=granted))
        return replace(registration, failures=0, failed_addresses=0, asked_longer=False)
    longer = response.first("Min-Expires") or ""
    if (
        response.status == 423
        and not registration.asked_longer
        and re.fullmatch(r"[0-9]{1,6}", longer)
        and int(longer) > registration.expires_s > 0
    ):
        return send(stack, replace(registration, expires_s=int(longer), asked_longer=True))
    proofs = stack.answer_challenge(response, transaction, registration.credentials)
    if proofs:
        return send(stack, registration, proofs=proofs, attempt=transaction.attempt + 1)
    return handle_failure(
        stack, registration, response.status, response.reason, retry_after=response.first("Retry-After")
    )


def is_latest(registration: ClientRegistration, transaction: Transaction) -> bool:
    """Return whether this transaction is the registration's latest, and not an overtaken one."""
    sent = transaction.request
    return (sent.call_id, sent.cseq) == (registration.call_id, registration.cseq)


def handle_failure(
    stack: SipStack, registration: ClientRegistration, status: int, reason: str, *, retry_after: str | None = None
) -> ClientRegistration | None:
    """Report a failed registration; return it with its next try started, or None when it is not tried again.

    Where one address has no service the next one is tried at once; the failure of the last is reported.
    Source: RFC 3263 §4.3; RFC 5626 §4.5; RFC 3261 §20.33.
    """
    stack.stop(timer_token(registration.name))
    if status in NO_SERVICE and registration.expires_s and registration.others:
        failed = registration.failed_addresses + 1
        registration = _at(registration, (*registration.others, registration.registrar))
        if failed <= len(registration.others):
            return send(stack, replace(registration, failed_addresses=failed))
        registration = replace(registration, failed_addresses=0)
    wait_s = None
    if registration.keep_trying and registration.expires_s:
        limit_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(registration.failures, 10))
        wait_s = limit_s * (0.5 + stack.random() / 2)
        found = re.match(r"\s*([0-9]{1,6})", retry_after or "")
        if found:
            wait_s = min(LONGEST_WAIT_S, max(wait_s, float(found[1])))
        stack.start(timer_token(registration.name), wait_s)
    stack.emit(
        RegistrationFailed(registration=registration.name, status=status, reason=clean(reason), retry_in_s=wait_s)
    )
    return None if wait_s is None else replace(registration, failures=registration.failures + 1, asked_longer=False)


def handle_disconnect(stack: SipStack, registration: ClientRegistration, address: Address) -> None:
    """Register again soon after the registration's connection ended. Source: RFC 5626 §4.4."""
    soon = registration.keep_trying and registration.expires_s and not registration.failures
    if soon and registration.registrar == address and timer_token(registration.name) in stack.running_timers:
        stack.start(timer_token(registration.name), LOST_WAIT_S * (0.2 + 0.8 * stack.random()))


def _granted(stack: SipStack, registration: ClientRegistration, response: Response) -> float:
    """Return the granted time: our contact's parameter, else Expires, else the time we asked for. Units: seconds."""
    ours = contact_uri(stack, registration.user, registration.registrar)
    for text in response.values("Contact"):
        try:
            contact = parse_name_addr(text)
        except UriUnreadable:
            continue
        expires = contact.param("expires")
        if contact.uri == ours and expires and re.fullmatch(r"[0-9]{1,6}", expires):
            return float(expires)
    expires = response.first("Expires")
    return float(expires) if expires and re.fullmatch(r"[0-9]{1,6}", expires) else float(registration.expires_s)
