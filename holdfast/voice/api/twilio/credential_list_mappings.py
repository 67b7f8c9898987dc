"""A domain's two gates: the credential lists whose users may call it, and those whose users may register.

Source: Twilio API, SIP Domain `Auth/Calls` and `Auth/Registrations`; CredentialListMapping is the older name of the
first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from holdfast.voice.api import render_access
from holdfast.voice.api.errors import ParameterInvalid, RecordExists
from holdfast.voice.api.paging import PAGING, page
from holdfast.voice.api.render import Json
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource
from holdfast.voice.api.twilio import credential_lists, domains
from holdfast.voice.model.errors import NotFound, ParameterMissing
from holdfast.voice.runtime.directory.access import CredentialListMapping, SipDomain


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingKind:
    """One gate of every domain, and the operations at it. `old` shows it as the older resource does."""

    side: Literal["calls", "registrations"]
    old: bool = False

    async def add(self, door: ApiContext, asked: ApiRequest) -> ApiResponse:
        """Open the gate to a list. Raises: NotFound, ParameterMissing, ParameterInvalid, RecordExists."""
        domain, sid = domains.find(door, asked.names["DomainSid"]), asked.form.text("CredentialListSid")
        if sid is None:
            raise ParameterMissing("CredentialListSid is required")
        if door.directory.access.lists.get(sid) is None:
            raise ParameterInvalid("CredentialListSid is no credential list of ours")
        mappings = self._of(domain)
        if any(mapping.sid == sid for mapping in mappings):
            raise RecordExists("This list is at this gate already")
        mapping = CredentialListMapping(sid=sid, created_at=door.switch.now())
        await self._put(door, domain, (*mappings, mapping))
        return ApiResponse(status=201, body=self._shown(door, domain, mapping))

    async def fetch(self, door: ApiContext, asked: ApiRequest) -> ApiResponse:
        """One list at the gate. Raises: NotFound."""
        return ApiResponse(body=self._shown(door, *self._find(door, asked)))

    async def remove(self, door: ApiContext, asked: ApiRequest) -> ApiResponse:
        """Close the gate to a list. Raises: NotFound."""
        domain, gone = self._find(door, asked)
        await self._put(door, domain, tuple(each for each in self._of(domain) if each != gone))
        return ApiResponse(status=204, body=None)

    async def listed(self, door: ApiContext, asked: ApiRequest) -> ApiResponse:
        """The lists at the gate, the newest first. Raises: NotFound."""
        domain = domains.find(door, asked.names["DomainSid"])
        body = page(
            self._of(domain)[::-1],
            form=asked.form,
            path=asked.path,
            collection="credential_list_mappings" if self.old else "contents",
            key=lambda mapping: mapping.sid,
            show=lambda mapping: self._shown(door, domain, mapping),
        )
        return ApiResponse(body=body)

    def at(self, path: str) -> tuple[Resource, Resource]:
        """The gate's two resources below a domain."""
        path = "/SIP/Domains/{DomainSid}" + path
        return (
            Resource(
                path=path,
                get=Operation(run=self.listed, parameters=PAGING),
                post=Operation(run=self.add, parameters=frozenset({"CredentialListSid"})),
            ),
            Resource(path=f"{path}/{{Sid}}", get=Operation(run=self.fetch), delete=Operation(run=self.remove)),
        )

    def _of(self, domain: SipDomain) -> tuple[CredentialListMapping, ...]:
        return domain.calls if self.side == "calls" else domain.registrations

    def _find(self, door: ApiContext, asked: ApiRequest) -> tuple[SipDomain, CredentialListMapping]:
        domain = domains.find(door, asked.names["DomainSid"])
        for mapping in self._of(domain):
            if mapping.sid == asked.names["Sid"]:
                return domain, mapping
        raise NotFound("that list is not at this gate")

    async def _put(self, door: ApiContext, domain: SipDomain, mappings: tuple[CredentialListMapping, ...]) -> None:
        now = door.switch.now()
        if self.side == "calls":
            changed = replace(domain, calls=mappings, updated_at=now)
        else:
            changed = replace(domain, registrations=mappings, updated_at=now)
        await door.directory.access.domains.put(changed)

    def _shown(self, door: ApiContext, domain: SipDomain, mapping: CredentialListMapping) -> Json:
        mapped = credential_lists.find(door, mapping.sid)
        if self.old:
            return render_access.old_mapping(door.account, mapping, mapped, domain)
        return render_access.mapping(door.account, mapping, mapped)


RESOURCES: Final = (
    *MappingKind(side="calls", old=True).at("/CredentialListMappings"),
    *MappingKind(side="calls").at("/Auth/Calls/CredentialListMappings"),
    *MappingKind(side="registrations").at("/Auth/Registrations/CredentialListMappings"),
)
