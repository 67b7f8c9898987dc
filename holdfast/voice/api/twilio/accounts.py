"""Serve the one account, to be read. Source: Twilio API, Account resource."""

from __future__ import annotations

from typing import Final

from holdfast.voice.api import render
from holdfast.voice.api.paging import PAGING, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource


def _render(context: ApiContext) -> render.Json:
    return render.account(context.account, auth_token=context.auth_token, created_at=context.started_at)


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return the account."""
    return ApiResponse(body=_render(context))


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the accounts: this one, if it passes the filters."""
    name, status = request.form.text("FriendlyName"), request.form.text("Status")
    return page(
        [context.account] if name in (None, render.ACCOUNT_NAME) and status in (None, "active") else [],
        request=request,
        collection="accounts",
        key=str,
        render=lambda _: _render(context),
    )


ACCOUNT: Final = Resource(path="", get=Operation(run=fetch))
ACCOUNTS: Final = Resource(
    path="/Accounts", get=Operation(run=list_page, parameters=PAGING | {"FriendlyName", "Status"})
)
