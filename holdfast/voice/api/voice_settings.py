"""Read the voice parameters of numbers and applications. Source: Twilio API, IncomingPhoneNumber, Application."""

from __future__ import annotations

from typing import Final

from holdfast.voice.api.errors import NameInvalid, VoiceUrlInvalid
from holdfast.voice.api.forms import Form
from holdfast.voice.model.errors import ParameterMissing
from holdfast.voice.runtime.directory.collection import ResourceRecord
from holdfast.voice.runtime.directory.records import VoiceSettings

VOICE: Final = frozenset(
    {
        *("VoiceUrl", "VoiceMethod", "VoiceFallbackUrl", "VoiceFallbackMethod"),
        *("StatusCallback", "StatusCallbackMethod", "VoiceCallerIdLookup", "FriendlyName"),
    }
)
MESSAGES: Final = frozenset({"SmsUrl", "SmsMethod", "SmsFallbackUrl", "SmsFallbackMethod", "ApiVersion"})
MAX_NAME: Final = 64


def read_voice(form: Form, stored: VoiceSettings) -> VoiceSettings:
    """Return the stored settings with the parameters of the form set. A URL that was sent empty is removed.

    Raises: VoiceUrlInvalid, MethodInvalid.
    """
    lookup = form.flag("VoiceCallerIdLookup")
    return VoiceSettings(
        voice_url=_url(form, "VoiceUrl", stored.voice_url),
        voice_method=form.method("VoiceMethod", stored.voice_method),
        voice_fallback_url=_url(form, "VoiceFallbackUrl", stored.voice_fallback_url),
        voice_fallback_method=form.method("VoiceFallbackMethod", stored.voice_fallback_method),
        status_callback=_url(form, "StatusCallback", stored.status_callback),
        status_callback_method=form.method("StatusCallbackMethod", stored.status_callback_method),
        voice_caller_id_lookup=stored.voice_caller_id_lookup if lookup is None else lookup,
    )


def _url(form: Form, name: str, stored: str | None) -> str | None:
    return stored if form.raw(name) is None else form.url(name, error=VoiceUrlInvalid)


def read_name(form: Form, default: str) -> str:
    """Return `FriendlyName`, or `default` when it was not sent or is empty. Raises: NameInvalid."""
    name = form.text("FriendlyName") or default
    if len(name) > MAX_NAME:
        raise NameInvalid(f"FriendlyName must have 1 to {MAX_NAME} characters")
    return name


def require_name(form: Form) -> str:
    """Return `FriendlyName`. Raises: ParameterMissing, NameInvalid."""
    if form.text("FriendlyName") is None:
        raise ParameterMissing("FriendlyName is required")
    return read_name(form, "")


def has_name(form: Form, record: ResourceRecord) -> bool:
    """Return whether a list filtered by `FriendlyName` has this record."""
    return form.text("FriendlyName") in (None, record.friendly_name)
