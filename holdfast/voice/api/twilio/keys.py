"""Serve API keys: create, read, list, rename and delete them.

Source: Twilio API, Key resource; `/SigningKeys` is its older name.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Final

from holdfast.voice.api import render_access
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Resource, new_sid
from holdfast.voice.api.stored_resource import StoredResource
from holdfast.voice.api.voice_settings import read_name
from holdfast.voice.runtime.directory.access import ApiKey, digest_secret

WRITE: Final = frozenset({"FriendlyName"})


class KeyResource(StoredResource[ApiKey]):
    """API keys as a resource. A deleted key authenticates no request."""

    async def create(self, context: ApiContext, request: ApiRequest) -> ApiResponse:
        """Create a key. Only this answer shows its secret. Raises: NameInvalid."""
        now, sid, secret = context.switch.now(), new_sid("SK"), secrets.token_hex(16)
        name = read_name(request.form, "")
        key = ApiKey(sid=sid, friendly_name=name, digest=digest_secret(secret), created_at=now, updated_at=now)
        await context.directory.access.keys.put(key)
        return ApiResponse(status=201, body=render_access.key(key, secret=secret))


def _rename(context: ApiContext, request: ApiRequest, stored: ApiKey) -> ApiKey:
    """Return the key with another name. Raises: NameInvalid."""
    return replace(stored, friendly_name=read_name(request.form, stored.friendly_name), updated_at=context.switch.now())


def _resources(path: str, collection: str) -> tuple[Resource, Resource]:
    keys = KeyResource(
        rows=lambda context, request: context.directory.access.keys,
        missing="there is no key {}",
        collection=collection,
        render=lambda context, request, each: render_access.key(each),
        change=_rename,
    )
    return keys.resources(path, create=WRITE, update=WRITE)


RESOURCES: Final = (*_resources("/Keys", "keys"), *_resources("/SigningKeys", "signing_keys"))
