"""This module finds an account's address, SID and token when the caller names none."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.holds.errors import BadInput

CLOUD = "https://api.twilio.com"
ENGINE_VARIABLES = ("HOLDFAST_API", "TWILIO_API_BASE_URL")
"""Environment variables with the address of the API, instead of the cloud: ours, and the one of the examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCredentials:
    """Account credentials are what a Twilio SDK signs in with, and where."""

    base_url: str
    sid: str
    token: str = field(repr=False)


def cloud_credentials(
    *, sid: str | None = None, token: str | None = None, environment: Mapping[str, str] = os.environ
) -> AccountCredentials:
    """Return the credentials for Twilio's cloud, or for the engine that an environment variable names.

    One program so runs on both. Raises: BadInput when there is no SID or no token.
    """
    return AccountCredentials(
        base_url=_api_from(environment) or CLOUD,
        sid=_required("TWILIO_ACCOUNT_SID", sid or environment.get("TWILIO_ACCOUNT_SID")),
        token=_required("TWILIO_AUTH_TOKEN", token or environment.get("TWILIO_AUTH_TOKEN")),
    )


def engine_credentials(
    *,
    url: str | None = None,
    sid: str | None = None,
    token: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> AccountCredentials:
    """Return the credentials for the engine: the given ones, else of the environment, else of this machine.

    Raises: BadInput when no account is named.
    """
    sid = sid or environment.get("HOLDFAST_ACCOUNT_SID") or environment.get("TWILIO_ACCOUNT_SID")
    token = token or environment.get("HOLDFAST_AUTH_TOKEN") or environment.get("TWILIO_AUTH_TOKEN")
    url = url or _api_from(environment)
    if sid and token and url:
        return AccountCredentials(base_url=url.rstrip("/"), sid=sid, token=token)
    return _of_this_machine(url=url, sid=sid, token=token)


def _of_this_machine(*, url: str | None, sid: str | None, token: str | None) -> AccountCredentials:
    # Read only when needed: most programs name their account.
    from holdfast.settings import SettingsInvalid, read

    try:
        settings = read()
    except SettingsInvalid as error:
        raise BadInput(f"the settings of this machine cannot be used: {error}") from error
    host = "127.0.0.1" if settings.http_host in ("0.0.0.0", "::") else settings.http_host
    configured = f"http://{f'[{host}]' if ':' in host else host}:{settings.http_port}"
    url = (url or _running(settings.store_path) or configured).rstrip("/")
    if not (sid and token):
        path = settings.store_path.with_suffix(".account")
        try:
            stored = json.loads(path.read_text("utf-8"))
            sid, token = str(stored["account_sid"]), str(stored["auth_token"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInput(
                f"no account is named, and {path} has none ({type(error).__name__})",
                fix="Start the engine once (holdfast serve), or set TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN.",
            ) from error
    return AccountCredentials(base_url=url, sid=sid, token=token)


def _running(store: Path) -> str | None:
    """Return where the engine of this store says that it listens while it runs."""
    try:
        url = json.loads(store.with_suffix(".running").read_text("utf-8"))["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if isinstance(url, str) else None


def _api_from(environment: Mapping[str, str]) -> str | None:
    for name in ENGINE_VARIABLES:
        url = environment.get(name)
        if url:
            return url.rstrip("/")
    return None


def _required(name: str, value: str | None) -> str:
    if not value:
        raise BadInput(f"{name} is not set", fix="`holdfast account` prints the lines for the engine's account.")
    return value
