"""Serve the credential lists mapped to a domain: those whose users may call it, and those whose users may register.

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
    """The mappings of one kind, with their operations. `legacy` renders them as the older resource does."""

    purpose: Literal["calls", "registrations"]
    legacy: bool = False

    async def add(self, context: ApiContext, request: ApiRequest) -> ApiResponse:
        """Map a credential list to a domain. Raises: NotFound, ParameterMissing, ParameterInvalid, RecordExists."""
        domain, sid = domains.find(context, request.path_params["DomainSid"]), request.form.text("CredentialListSid")
        if sid is None:
            raise ParameterMissing("CredentialListSid is required")
        if context.directory.access.lists.get(sid) is None:
            raise ParameterInvalid("CredentialListSid is no credential list of this account")
        mappings = self._mappings(domain)
        if any(mapping.sid == sid for mapping in mappings):
            raise RecordExists("This credential list is mapped to the domain already")
        mapping = CredentialListMapping(sid=sid, created_at=context.switch.now())
        await self._put(context, domain, (*mappings, mapping))
        return ApiResponse(status=201, body=self._render(context, domain, mapping))

    async def fetch(self, context: ApiContext, request: ApiRequest) -> ApiResponse:
        """Return one mapping. Raises: NotFound."""
        return ApiResponse(body=self._render(context, *self._find(context, request)))

    async def remove(self, context: ApiContext, request: ApiRequest) -> ApiResponse:
        """Remove a mapping. Raises: NotFound."""
        domain, removed = self._find(context, request)
        await self._put(context, domain, tuple(each for each in self._mappings(domain) if each != removed))
        return ApiResponse(status=204, body=None)

    async def list_page(self, context: ApiContext, request: ApiRequest) -> ApiResponse:
        """List the mappings, the newest first. Raises: NotFound."""
        domain = domains.find(context, request.path_params["DomainSid"])
        body = page(
            self._mappings(domain)[::-1],
            form=request.form,
            path=request.path,
            collection="credential_list_mappings" if self.legacy else "contents",
            key=lambda mapping: mapping.sid,
            render=lambda mapping: self._render(context, domain, mapping),
        )
        return ApiResponse(body=body)

    def resources(self, path: str) -> tuple[Resource, Resource]:
        """Return the two resources of these mappings below a domain."""
        path = "/SIP/Domains/{DomainSid}" + path
        return (
            Resource(
                path=path,
                get=Operation(run=self.list_page, parameters=PAGING),
                post=Operation(run=self.add, parameters=frozenset({"CredentialListSid"})),
            ),
            Resource(path=f"{path}/{{Sid}}", get=Operation(run=self.fetch), delete=Operation(run=self.remove)),
        )

    def _mappings(self, domain: SipDomain) -> tuple[CredentialListMapping, ...]:
        return domain.calls if self.purpose == "calls" else domain.registrations

    def _find(self, context: ApiContext, request: ApiRequest) -> tuple[SipDomain, CredentialListMapping]:
        domain = domains.find(context, request.path_params["DomainSid"])
        for mapping in self._mappings(domain):
            if mapping.sid == request.path_params["Sid"]:
                return domain, mapping
        raise NotFound("that credential list is not mapped to the domain")

    async def _put(self, context: ApiContext, domain: SipDomain, mappings: tuple[CredentialListMapping, ...]) -> None:
        now = context.switch.now()
        if self.purpose == "calls":
            changed = replace(domain, calls=mappings, updated_at=now)
        else:
            changed = replace(domain, registrations=mappings, updated_at=now)
        await context.directory.access.domains.put(changed)

    def _render(self, context: ApiContext, domain: SipDomain, mapping: CredentialListMapping) -> Json:
        credential_list = credential_lists.find(context, mapping.sid)
        if self.legacy:
            return render_access.legacy_mapping(context.account, mapping, credential_list, domain)
        return render_access.mapping(context.account, mapping, credential_list)


RESOURCES: Final = (
    *MappingKind(purpose="calls", legacy=True).resources("/CredentialListMappings"),
    *MappingKind(purpose="calls").resources("/Auth/Calls/CredentialListMappings"),
    *MappingKind(purpose="registrations").resources("/Auth/Registrations/CredentialListMappings"),
)
