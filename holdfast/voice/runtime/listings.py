"""What the directory lists: lines, phone numbers and applications, as values that survive as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from holdfast.voice.model.commands import (
    Callback,
    Instruction,
    Method,
    WebRequest,
)
from holdfast.voice.model.errors import StoreFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A SIP user who may register, and with `may_call` also call.

    The password is kept as it is: a digest response is computed from it anew for each algorithm and realm (RFC 8760).
    """

    name: str
    password: str
    may_call: bool = True

    def __repr__(self) -> str:
        return f"Line(name={self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceSettings:
    """How a number or an application answers a call. Source: Twilio API, Application resource, Voice* and Status*."""

    voice_url: str | None = None
    voice_method: Method = "POST"
    voice_fallback_url: str | None = None
    voice_fallback_method: Method = "POST"
    status_callback: str | None = None
    status_callback_method: Method = "POST"
    voice_caller_id_lookup: bool = False

    def instruction(self) -> Instruction | None:
        """What to run when a call is answered by this, or None when it names no document."""
        if not self.voice_url:
            return None
        fallback = None
        if self.voice_fallback_url:
            fallback = WebRequest(url=self.voice_fallback_url, method=self.voice_fallback_method)
        return Instruction(request=WebRequest(url=self.voice_url, method=self.voice_method), fallback=fallback)

    def callback(self) -> Callback | None:
        """Who hears that the call is over: inbound calls tell of `completed` alone."""
        if not self.status_callback:
            return None
        return Callback(url=self.status_callback, method=self.status_callback_method)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneNumber:
    """A phone number of ours. `voice_application_sid` wins over the number's own voice settings.

    Units: `…_at` seconds since the Unix epoch. Source: Twilio API, IncomingPhoneNumber.
    """

    sid: str
    phone_number: str
    friendly_name: str
    created_at: float
    updated_at: float
    voice: VoiceSettings = VoiceSettings()
    voice_application_sid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Voice settings under one name. Units: `…_at` seconds since the Unix epoch. Source: Twilio API, Application."""

    sid: str
    friendly_name: str
    created_at: float
    updated_at: float
    voice: VoiceSettings = VoiceSettings()


def write(listing: Line | PhoneNumber | Application) -> str:
    """The listing as JSON."""
    return json.dumps(asdict(listing))


def read_line(text: str) -> Line:
    """The line that `write` wrote. Raises: StoreFailed."""
    try:
        return Line(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise StoreFailed(f"a stored line cannot be read: {error}") from error


def read_number(text: str) -> PhoneNumber:
    """The number that `write` wrote. Raises: StoreFailed."""
    try:
        values = json.loads(text)
        return PhoneNumber(**(values | {"voice": VoiceSettings(**values["voice"])}))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreFailed(f"a stored phone number cannot be read: {error!r}") from error


def read_application(text: str) -> Application:
    """The application that `write` wrote. Raises: StoreFailed."""
    try:
        values = json.loads(text)
        return Application(**(values | {"voice": VoiceSettings(**values["voice"])}))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreFailed(f"a stored application cannot be read: {error!r}") from error
