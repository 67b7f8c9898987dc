"""Serve API keys: create, read, list, rename and delete them.

Source: Twilio API, Key resource; `/SigningKeys` is its older name.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Final

from holdfast.voice.api import render_access
from holdfast.voice.api.paging import PAGING, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource
from holdfast.voice.api.sids import new_sid
from holdfast.voice.api.voice_settings import read_name
from holdfast.voice.model.errors import NotFound
from holdfast.voice.runtime.directory.access import ApiKey, digest_secret

WRITE: Final = frozenset({"FriendlyName"})


def find(context: ApiContext, sid: str) -> ApiKey:
    """Return the key with that SID. Raises: NotFound."""
    key = context.directory.access.keys.get(sid)
    if key is None:
        raise NotFound(f"there is no key {sid}")
    return key


async def create(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Create a key. Only this answer shows its secret. Raises: NameInvalid."""
    now, sid, secret = context.switch.now(), new_sid("SK"), secrets.token_hex(16)
    name = read_name(request.form, "")
    key = ApiKey(sid=sid, friendly_name=name, digest=digest_secret(secret), created_at=now, updated_at=now)
    await context.directory.access.keys.put(key)
    return ApiResponse(status=201, body=render_access.key(key, secret=secret))


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return one key. Raises: NotFound."""
    return ApiResponse(body=render_access.key(find(context, request.path_params["Sid"])))


async def update(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Rename a key. Raises: NotFound, NameInvalid."""
    stored = find(context, request.path_params["Sid"])
    key = replace(stored, friendly_name=read_name(request.form, stored.friendly_name), updated_at=context.switch.now())
    await context.directory.access.keys.put(key)
    return ApiResponse(body=render_access.key(key))


async def delete(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Delete a key, which authenticates no request from then on. Raises: NotFound."""
    await context.directory.access.keys.remove(find(context, request.path_params["Sid"]).sid)
    return ApiResponse(status=204, body=None)


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the keys, the newest first."""
    body = page(
        context.directory.access.keys.all(),
        form=request.form,
        path=request.path,
        collection="keys" if request.path.removesuffix(".json").endswith("/Keys") else "signing_keys",
        key=lambda key: key.sid,
        render=render_access.key,
    )
    return ApiResponse(body=body)


RESOURCES: Final = tuple(
    resource
    for path in ("/Keys", "/SigningKeys")
    for resource in (
        Resource(
            path=path,
            get=Operation(run=list_page, parameters=PAGING),
            post=Operation(run=create, parameters=WRITE),
        ),
        Resource(
            path=f"{path}/{{Sid}}",
            get=Operation(run=fetch),
            post=Operation(run=update, parameters=WRITE),
            delete=Operation(run=delete),
        ),
    )
)
