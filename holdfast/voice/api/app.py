"""The REST door: every resource under one FastAPI application, to be mounted at `/2010-04-01`.

Requests run through plain ASGI and not through FastAPI's own parsing of parameters: hold is on this road, and forms of
the Twilio kind (repeated names, `StartTime>`, booleans in any case) are read better by `forms`.
"""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast.voice.api.authentication import AccountOnly, RestCredentials
from holdfast.voice.api.errors import told
from holdfast.voice.api.ops.metrics import CountedRequests, Metrics
from holdfast.voice.api.ports import Recordings, SwitchPort
from holdfast.voice.api.rate_limit import CallPacing, RateLimited, TokenBucket
from holdfast.voice.api.resource import PATH, ApiContext, ApiEndpoint, Resource
from holdfast.voice.api.twilio import (
    accounts,
    applications,
    call_events,
    calls,
    conferences,
    credential_list_mappings,
    credential_lists,
    domains,
    keys,
    notifications,
    participants,
    phone_numbers,
    queues,
    recordings,
)
from holdfast.voice.model.errors import NotFound, VoiceError
from holdfast.voice.model.ids import AccountSid
from holdfast.voice.model.ports import Journal
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.notifications import Notifications

RESOURCES: tuple[Resource, ...] = (
    accounts.ACCOUNT,
    *calls.RESOURCES,
    *conferences.RESOURCES,
    *participants.RESOURCES,
    *queues.RESOURCES,
    *phone_numbers.RESOURCES,
    *applications.RESOURCES,
    *notifications.RESOURCES,
    *keys.RESOURCES,
    *domains.RESOURCES,
    *credential_list_mappings.RESOURCES,
    *credential_lists.RESOURCES,
    *call_events.RESOURCES,
    *recordings.RESOURCES,
)
"""Everything below `/Accounts/{AccountSid}`."""


def make_api(
    *,
    switch: SwitchPort,
    directory: Directory,
    notifications: Notifications,
    journal: Journal,
    account_sid: AccountSid,
    auth_token: str,
    metrics: Metrics | None = None,
    requests_per_s: float | None = None,
    calls_per_s: float | None = None,
    sounds: Recordings | None = None,
    is_ending: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """The application. It owns nothing: whoever made the parts closes them. No call is placed while `is_ending`."""
    door = ApiContext(
        switch=switch,
        directory=directory,
        notifications=notifications,
        journal=journal,
        account=account_sid,
        auth_token=auth_token,
        opened_at=switch.now(),
        recordings=sounds,
        turns=CallPacing(per_s=calls_per_s, now=switch.now),
        is_ending=is_ending,
    )
    metrics = metrics or Metrics(switch=switch)
    bucket = None if requests_per_s is None else TokenBucket(per_s=requests_per_s, now=switch.now)
    credentials = RestCredentials(
        account_sid=account_sid, auth_token=auth_token, key_proves=directory.access.verify_key
    )
    app = FastAPI(
        title="Holdfast voice",
        openapi_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(CountedRequests, metrics=metrics),
            Middleware(WithoutSuffix),
            Middleware(AccountOnly, credentials=credentials),
            Middleware(RateLimited, bucket=bucket),
        ],
        exception_handlers={HTTPException: _unknown, Exception: _failed},
    )
    app.router.routes[:] = [Route("/Accounts", ApiEndpoint(door, accounts.ACCOUNTS))]
    app.router.routes += [Route("/Accounts/{AccountSid}" + each.path, ApiEndpoint(door, each)) for each in RESOURCES]
    return app


class WithoutSuffix:
    """ASGI middleware: `.json` at the end of a path means what its absence means. The path as asked is kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take the suffix off."""
        if scope["type"] == "http":
            path: str = scope["path"]
            scope = {**scope, "path": path.removesuffix(".json"), PATH: path}
        await self._app(scope, receive, send)


async def _unknown(request: Request, error: Exception) -> Response:
    """A path that is not there."""
    path: str = request.scope.get(PATH, request.scope["path"])
    return told(NotFound("no such path"), path)


async def _failed(request: Request, error: Exception) -> Response:
    """Our own fault. The server logs the error with its trace and drops the connection, so the answer says that too."""
    response = told(VoiceError("An internal server error has occurred"), request.scope["path"])
    response.headers["connection"] = "close"
    return response
