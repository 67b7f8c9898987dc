"""Render API keys, SIP domains and credential lists as Twilio's JSON, as `render` does other resources."""

from __future__ import annotations

from holdfast.voice.api.render import VERSION, Json, date, uri
from holdfast.voice.model.ids import AccountSid
from holdfast.voice.runtime.directory.access import (
    ApiKey,
    CredentialList,
    CredentialListMapping,
    SipDomain,
    SipUser,
)


def key(noun: ApiKey, *, secret: str | None = None) -> Json:
    """Return a Key as JSON. Only the answer to its creation has the secret."""
    shown: Json = {
        "sid": noun.sid,
        "friendly_name": noun.friendly_name,
        "date_created": date(noun.created_at),
        "date_updated": date(noun.updated_at),
    }
    return shown if secret is None else shown | {"secret": secret}


def credential_list(account: AccountSid, noun: CredentialList) -> Json:
    """Return a CredentialList as JSON."""
    own = uri(account, "SIP", "CredentialLists", noun.sid)
    return {
        "account_sid": account,
        "date_created": date(noun.created_at),
        "date_updated": date(noun.updated_at),
        "friendly_name": noun.friendly_name,
        "sid": noun.sid,
        "subresource_uris": {"credentials": f"{own}/Credentials.json"},
        "uri": f"{own}.json",
    }


def credential(account: AccountSid, within: str, noun: SipUser) -> Json:
    """Return a Credential as JSON, without its password."""
    return {
        "sid": noun.sid,
        "account_sid": account,
        "credential_list_sid": within,
        "username": noun.username,
        "date_created": date(noun.created_at),
        "date_updated": date(noun.updated_at),
        "uri": uri(account, "SIP", "CredentialLists", within, "Credentials", f"{noun.sid}.json"),
    }


def domain(account: AccountSid, noun: SipDomain) -> Json:
    """Return a Domain as JSON. It authenticates calls by credential lists only: there are no address lists here."""
    own = uri(account, "SIP", "Domains", noun.sid)
    voice = noun.voice
    return {
        "account_sid": account,
        "api_version": VERSION,
        "auth_type": "CREDENTIAL_LIST" if noun.calls else "",
        "date_created": date(noun.created_at),
        "date_updated": date(noun.updated_at),
        "domain_name": noun.domain_name,
        "friendly_name": noun.friendly_name,
        "sid": noun.sid,
        "uri": f"{own}.json",
        "voice_fallback_method": voice.voice_fallback_method,
        "voice_fallback_url": voice.voice_fallback_url,
        "voice_method": voice.voice_method,
        "voice_status_callback_method": voice.status_callback_method,
        "voice_status_callback_url": voice.status_callback,
        "voice_url": voice.voice_url,
        "subresource_uris": {"credential_list_mappings": f"{own}/CredentialListMappings.json"},
        "sip_registration": noun.sip_registration,
        "emergency_calling_enabled": False,
        "secure": noun.secure,
        "byoc_trunk_sid": None,
        "emergency_caller_sid": None,
    }


def mapping(
    account: AccountSid, noun: CredentialListMapping, mapped: CredentialList, *, legacy_domain: str | None = None
) -> Json:
    """Return a mapping of a credential list to a domain: as `/Auth/…` shows it, or as the older resource does."""
    shown: Json = {
        "account_sid": account,
        "date_created": date(noun.created_at),
        "date_updated": date(noun.created_at),
        "friendly_name": mapped.friendly_name,
        "sid": noun.sid,
    }
    if legacy_domain is None:
        return shown
    path = ("SIP", "Domains", legacy_domain, "CredentialListMappings", f"{noun.sid}.json")
    return shown | {"domain_sid": legacy_domain, "uri": uri(account, *path)}
