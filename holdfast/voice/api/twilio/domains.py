"""Serve SIP domains: host names, and the document that answers calls to them. Source: Twilio API, SIP Domain resource.

Deviation: any host name may be a domain, not only those under `sip.twilio.com`.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from holdfast.voice.api import render_access
from holdfast.voice.api.errors import ParameterInvalid, RecordExists, VoiceUrlInvalid
from holdfast.voice.api.forms import Form
from holdfast.voice.api.resource import ApiContext, ApiRequest, new_sid
from holdfast.voice.api.stored_resource import StoredResource
from holdfast.voice.api.voice_settings import read_name
from holdfast.voice.model.errors import ParameterMissing
from holdfast.voice.runtime.directory.access import SipDomain
from holdfast.voice.runtime.directory.records import VoiceSettings

WRITE: Final = frozenset(
    {
        *("DomainName", "FriendlyName", "VoiceUrl", "VoiceMethod", "VoiceFallbackUrl", "VoiceFallbackMethod"),
        *("VoiceStatusCallbackUrl", "VoiceStatusCallbackMethod", "SipRegistration", "Secure"),
    }
)
IGNORED: Final = frozenset({"EmergencyCallingEnabled", "ByocTrunkSid", "EmergencyCallerSid"})
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})+\Z")


def _host(form: Form, context: ApiContext, stored: SipDomain | None = None) -> str | None:
    """Return `DomainName`, or None when it was not sent. Raises: ParameterInvalid, RecordExists."""
    name = form.text("DomainName")
    if name is None:
        return None
    if not _HOST.match(name):
        raise ParameterInvalid("DomainName must be a host name of two labels or more, such as office.sip.twilio.com")
    taken = context.directory.access.domain_of(name)
    if taken is not None and taken != stored:
        raise RecordExists(f"The domain {name} exists already")
    return name


def _with_settings(domain: SipDomain, form: Form, *, now: float) -> SipDomain:
    """Return the domain with the parameters of the form set. Raises: NameInvalid, VoiceUrlInvalid, MethodInvalid."""
    stored = domain.voice

    def url(name: str, kept: str | None) -> str | None:
        return kept if form.raw(name) is None else form.url(name, error=VoiceUrlInvalid)

    voice = VoiceSettings(
        voice_url=url("VoiceUrl", stored.voice_url),
        voice_method=form.method("VoiceMethod", stored.voice_method),
        voice_fallback_url=url("VoiceFallbackUrl", stored.voice_fallback_url),
        voice_fallback_method=form.method("VoiceFallbackMethod", stored.voice_fallback_method),
        status_callback=url("VoiceStatusCallbackUrl", stored.status_callback),
        status_callback_method=form.method("VoiceStatusCallbackMethod", stored.status_callback_method),
    )
    registration, secure = form.flag("SipRegistration"), form.flag("Secure")
    return replace(
        domain,
        voice=voice,
        friendly_name=read_name(form, domain.friendly_name),
        sip_registration=domain.sip_registration if registration is None else registration,
        secure=domain.secure if secure is None else secure,
        updated_at=now,
    )


def _new(context: ApiContext, request: ApiRequest) -> SipDomain:
    """Return a new domain. Raises: ParameterMissing, ParameterInvalid, RecordExists, and the errors of its settings."""
    name = _host(request.form, context)
    if name is None:
        raise ParameterMissing("DomainName is required")
    now = context.switch.now()
    created = SipDomain(
        voice=VoiceSettings(),
        sid=new_sid("SD"),
        domain_name=name,
        friendly_name=name[:64],
        created_at=now,
        updated_at=now,
    )
    return _with_settings(created, request.form, now=now)


def _change(context: ApiContext, request: ApiRequest, stored: SipDomain) -> SipDomain:
    """Return the domain with the parameters set. Raises: RecordExists, and the errors of each parameter."""
    name = _host(request.form, context, stored)
    return _with_settings(
        replace(stored, domain_name=name or stored.domain_name), request.form, now=context.switch.now()
    )


DOMAINS: Final = StoredResource(
    rows=lambda context, request: context.directory.access.domains,
    missing="there is no SIP domain {}",
    collection="domains",
    render=lambda context, request, each: render_access.domain(context.account, each),
    new=_new,
    change=_change,
)
RESOURCES: Final = DOMAINS.resources("/SIP/Domains", create=WRITE, update=WRITE, ignored=IGNORED)
