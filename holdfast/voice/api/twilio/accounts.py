"""The one account, to be read. Source: Twilio API, Account resource."""

from __future__ import annotations

from typing import Final

from holdfast.voice.api import render
from holdfast.voice.api.paging import PAGING, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource


def _shown(door: ApiContext) -> render.Json:
    return render.account(door.account, auth_token=door.auth_token, created_at=door.opened_at)


async def fetch(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """The account."""
    return ApiResponse(body=_shown(door))


async def listed(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """All accounts: this one, if the filters let it through."""
    name, status = asked.form.text("FriendlyName"), asked.form.text("Status")
    body = page(
        [door.account] if name in (None, render.ACCOUNT_NAME) and status in (None, "active") else [],
        form=asked.form,
        path=asked.path,
        collection="accounts",
        key=str,
        show=lambda _: _shown(door),
    )
    return ApiResponse(body=body)


ACCOUNT: Final = Resource(path="", get=Operation(run=fetch))
ACCOUNTS: Final = Resource(path="/Accounts", get=Operation(run=listed, parameters=PAGING | {"FriendlyName", "Status"}))
