"""Serve the credential lists mapped to a domain: those whose users may call it, and those whose users may register.

Source: Twilio API, SIP Domain `Auth/Calls` and `Auth/Registrations`; CredentialListMapping is the older name of the
first.
"""

from __future__ import annotations

from typing import Final, Literal

from holdfast.voice.api import render_access
from holdfast.voice.api.errors import ParameterInvalid, RecordExists
from holdfast.voice.api.render import Json
from holdfast.voice.api.resource import ApiContext, ApiRequest, Resource
from holdfast.voice.api.stored_resource import StoredResource
from holdfast.voice.api.twilio.credential_lists import LISTS
from holdfast.voice.api.twilio.domains import DOMAINS
from holdfast.voice.model.errors import ParameterMissing
from holdfast.voice.runtime.directory.access import CredentialListMapping
from holdfast.voice.runtime.directory.collection import Members


def _resources(
    path: str, purpose: Literal["calls", "registrations"], *, legacy: bool = False
) -> tuple[Resource, Resource]:
    """Return the resources of the mappings for one purpose; `legacy` shows them as the older resource does."""

    def mappings(context: ApiContext, request: ApiRequest) -> Members[CredentialListMapping]:
        domain = DOMAINS.find(context, request, request.path_params["DomainSid"])
        return Members(context.directory.access.domains, domain, purpose, now=context.switch.now())

    def new(context: ApiContext, request: ApiRequest) -> CredentialListMapping:
        """Return a new mapping. Raises: NotFound, ParameterMissing, ParameterInvalid, RecordExists."""
        sid = request.form.text("CredentialListSid")
        if sid is None:
            raise ParameterMissing("CredentialListSid is required")
        if sid not in context.directory.access.lists:
            raise ParameterInvalid("CredentialListSid is no credential list of this account")
        if mappings(context, request).with_sid(sid) is not None:
            raise RecordExists("This credential list is mapped to the domain already")
        return CredentialListMapping(sid=sid, created_at=context.switch.now())

    def render(context: ApiContext, request: ApiRequest, each: CredentialListMapping) -> Json:
        mapped = LISTS.find(context, request, each.sid)
        domain = request.path_params["DomainSid"] if legacy else None
        return render_access.mapping(context.account, each, mapped, legacy_domain=domain)

    kind = StoredResource(
        rows=mappings,
        missing="that credential list is not mapped to the domain",
        collection="credential_list_mappings" if legacy else "contents",
        render=render,
        new=new,
    )
    return kind.resources("/SIP/Domains/{DomainSid}" + path, create=frozenset({"CredentialListSid"}))


RESOURCES: Final = (
    *_resources("/CredentialListMappings", "calls", legacy=True),
    *_resources("/Auth/Calls/CredentialListMappings", "calls"),
    *_resources("/Auth/Registrations/CredentialListMappings", "registrations"),
)
