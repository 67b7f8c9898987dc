"""Who may come in: API keys for REST; SIP domains, and the credential lists that let SIP users through their doors."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from holdfast.voice.model.ports import KeyValues
from holdfast.voice.runtime.directory.collection import Collection
from holdfast.voice.runtime.directory.records import LineRecord, VoiceSettings
from holdfast.voice.sip.message.digest import Ha1


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A name and a secret that sign in for the account. Of the secret only its digest is kept.

    Source: Twilio API, Key resource.
    """

    sid: str
    friendly_name: str
    digest: str = field(repr=False)
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SipUser:
    """A user name in a credential list, and what proves its password, which is not kept."""

    sid: str
    username: str
    ha1: Ha1
    created_at: float
    updated_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialList:
    """SIP users under one name. Source: Twilio API, SIP CredentialList resource."""

    sid: str
    friendly_name: str
    created_at: float
    updated_at: float
    users: tuple[SipUser, ...] = ()

    def user(self, sid: str) -> SipUser | None:
        """The user with that SID."""
        return next((user for user in self.users if user.sid == sid), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialListMapping:
    """A credential list at a domain's door. Its SID is the list's."""

    sid: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SipDomain:
    """A SIP host name of ours: calls to any user at it are answered by `voice`.

    `calls` are the lists whose users may call it, `registrations` those whose users may register.
    Source: Twilio API, SIP Domain resource.
    """

    sid: str
    domain_name: str
    friendly_name: str
    created_at: float
    updated_at: float
    voice: VoiceSettings
    sip_registration: bool = False
    secure: bool = False
    calls: tuple[CredentialListMapping, ...] = ()
    registrations: tuple[CredentialListMapping, ...] = ()


class Access:
    """API keys, domains and credential lists. Make it with `open`."""

    def __init__(
        self, *, keys: Collection[ApiKey], lists: Collection[CredentialList], domains: Collection[SipDomain]
    ) -> None:
        self.keys = keys
        self.lists = lists
        self.domains = domains
        self._known: dict[str, LineRecord] = {}
        self._known_at = (-1, -1)

    @classmethod
    async def open(cls, kv: KeyValues) -> Access:
        """What is stored. Raises: StoreFailed."""
        return cls(
            keys=await Collection.open(kv, "api-key", read_key),
            lists=await Collection.open(kv, "credential-list", read_list),
            domains=await Collection.open(kv, "sip-domain", read_domain),
        )

    def verify_key(self, sid: str, secret: str) -> bool:
        """Whether this is the secret of that key. Compared in constant time."""
        key = self.keys.get(sid)
        return hmac.compare_digest(digest_secret(secret), key.digest if key is not None else "") and key is not None

    def line(self, name: str) -> LineRecord | None:
        """The line that a user of a mapped list is, found as fast as that there is none.

        Any mapping lets it register, one for calls lets it call.
        Deviation: Twilio keeps the two apart; here who may call may register too.
        """
        return self._users().get(name)

    def lines(self) -> Iterator[LineRecord]:
        """Every line that a mapped list makes, by name."""
        known = self._users()
        yield from (known[name] for name in sorted(known))

    def _users(self) -> dict[str, LineRecord]:
        """The lines of all mapped lists by name, made anew when a list or a mapping has changed."""
        now = (self.lists.changes, self.domains.changes)
        if now != self._known_at:
            self._known, self._known_at = dict(self._gather()), now
        return self._known

    def _gather(self) -> Iterator[tuple[str, LineRecord]]:
        """Name and line of each user; of several of one name the one that counts comes last."""
        calls = {mapping.sid for domain in self.domains.all() for mapping in domain.calls}
        others = {mapping.sid for domain in self.domains.all() for mapping in domain.registrations} - calls
        newest_first = self.lists.all()
        for mapped, lists, allowed in ((others, newest_first[::-1], ()), (calls, newest_first, ("",))):
            for credentials in lists:
                if credentials.sid in mapped:
                    for user in credentials.users:
                        yield user.username, LineRecord(name=user.username, ha1=user.ha1, may_call=allowed)

    def domain_of(self, host: str) -> SipDomain | None:
        """The domain of that host name, in any case."""
        wanted = host.lower()
        return next((domain for domain in self.domains.all() if domain.domain_name.lower() == wanted), None)

    async def remove_list(self, sid: str) -> None:
        """Remove a credential list, and it from every door. Raises: StoreFailed."""
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
    """What is kept of a key's secret. The secret is random and long, so one round of SHA-256 is enough."""
    return hashlib.sha256(secret.encode()).hexdigest()


def read_key(text: str) -> ApiKey:
    """The API key that was written."""
    return ApiKey(**json.loads(text))


def read_list(text: str) -> CredentialList:
    """The credential list that was written."""
    values = json.loads(text)
    users = tuple(SipUser(**(user | {"ha1": Ha1(**user["ha1"])})) for user in values["users"])
    return CredentialList(**(values | {"users": users}))


def read_domain(text: str) -> SipDomain:
    """The domain that was written."""
    values = json.loads(text)
    doors = {name: tuple(CredentialListMapping(**each) for each in values[name]) for name in ("calls", "registrations")}
    return SipDomain(**(values | doors | {"voice": VoiceSettings(**values["voice"])}))
