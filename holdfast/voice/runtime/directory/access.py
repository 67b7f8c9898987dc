"""Hold API keys for REST, SIP domains, and credential lists for SIP users."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

from holdfast.voice.model.ports import KeyValues
from holdfast.voice.runtime.directory.collection import Collection, ResourceRecord, SidRecord
from holdfast.voice.runtime.directory.records import LineRecord, VoiceSettings
from holdfast.voice.sip.message.digest import Ha1


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey(ResourceRecord):
    """An API key authenticates REST clients for the account; only the digest of its secret is stored.

    Source: Twilio API, Key resource.
    """

    KIND: ClassVar[str] = "api-key"
    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SipUser(SidRecord):
    """A SIP user of a credential list; `ha1` verifies its password, which is not stored."""

    username: str
    ha1: Ha1
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialList(ResourceRecord):
    """A credential list holds SIP users. Source: Twilio API, SIP CredentialList resource."""

    KIND: ClassVar[str] = "credential-list"
    users: tuple[SipUser, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialListMapping(SidRecord):
    """A mapping of a credential list to a domain. Its SID is that of the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SipDomain(ResourceRecord):
    """A SIP domain is a host name of the account; `voice` answers calls to any user at it.

    `calls` maps the lists whose users may call it, `registrations` those whose users may register.
    Source: Twilio API, SIP Domain resource.
    """

    KIND: ClassVar[str] = "sip-domain"
    domain_name: str
    voice: VoiceSettings
    sip_registration: bool = False
    secure: bool = False
    calls: tuple[CredentialListMapping, ...] = ()
    registrations: tuple[CredentialListMapping, ...] = ()


class Access:
    """Access holds API keys, domains and credential lists. Create it with `open`."""

    def __init__(
        self, *, keys: Collection[ApiKey], lists: Collection[CredentialList], domains: Collection[SipDomain]
    ) -> None:
        self.keys = keys
        self.lists = lists
        self.domains = domains
        self._lines_by_name: dict[str, LineRecord] = {}
        self._built_from = (-1, -1)

    @classmethod
    async def open(cls, kv: KeyValues) -> Access:
        """Load what is stored. Raises: StoreFailed."""
        return cls(
            keys=await Collection.open(kv, ApiKey),
            lists=await Collection.open(kv, CredentialList),
            domains=await Collection.open(kv, SipDomain),
        )

    def verify_key(self, sid: str, secret: str) -> bool:
        """Return whether a key has this secret, compared in constant time."""
        key = self.keys.get(sid)
        return hmac.compare_digest(digest_secret(secret), key.digest if key is not None else "") and key is not None

    def line(self, name: str) -> LineRecord | None:
        """Return the line of a user of a mapped credential list, or None in the same time.

        Any mapping allows registration, a mapping for calls also allows calls.
        Deviation: Twilio separates the two; here a user who may call may register too.
        """
        return self._users().get(name)

    def lines(self) -> Iterator[LineRecord]:
        """Yield the line of every user of a mapped list, by name."""
        known = self._users()
        yield from (known[name] for name in sorted(known))

    def _users(self) -> dict[str, LineRecord]:
        """Return the lines of all mapped lists by name, rebuilt when a list or a mapping has changed."""
        now = (self.lists.changes, self.domains.changes)
        if now != self._built_from:
            self._lines_by_name, self._built_from = dict(self._collect_lines()), now
        return self._lines_by_name

    def _collect_lines(self) -> Iterator[tuple[str, LineRecord]]:
        """Yield the name and line of each user; of several with one name, the valid one is last.

        Valid is the user of a list mapped for calls before others, of the newest such list.
        """
        calls = {mapping.sid for domain in self.domains.all() for mapping in domain.calls}
        others = {mapping.sid for domain in self.domains.all() for mapping in domain.registrations}
        for mapped, allowed in ((others, ()), (calls, ("",))):
            for credentials in reversed(self.lists.all()):
                if credentials.sid in mapped:
                    for user in credentials.users:
                        yield user.username, LineRecord(name=user.username, ha1=user.ha1, may_call=allowed)

    def domain_of(self, host: str) -> SipDomain | None:
        """Return the domain with this host name, whatever its case, or None."""
        name = host.lower()
        return next((domain for domain in self.domains.all() if domain.domain_name.lower() == name), None)

    async def remove_list(self, sid: str) -> None:
        """Remove a credential list and its mappings. Raises: StoreFailed."""
        for domain in self.domains.all():
            without = replace(
                domain,
                calls=tuple(each for each in domain.calls if each.sid != sid),
                registrations=tuple(each for each in domain.registrations if each.sid != sid),
            )
            if without != domain:
                await self.domains.put(without)
        await self.lists.remove(sid)


def digest_secret(secret: str) -> str:
    """Return the digest of a key's secret; one round of SHA-256 is enough for a long random secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
