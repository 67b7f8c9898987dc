"""Serve every REST resource as one FastAPI application, to be mounted at `/2010-04-01`.

Requests run through plain ASGI and not through FastAPI's own parsing of parameters: hold takes this path, and `forms`
reads Twilio's kind of forms (repeated names, `StartTime>`, booleans in any case) better.
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
from holdfast.voice.api.errors import error_response
from holdfast.voice.api.ops.metrics_endpoint import CountedRequests, Metrics
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
from holdfast.voice.runtime.notification_log import Notifications

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
"""The resources below `/Accounts/{AccountSid}`."""


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
    recordings: Recordings | None = None,
    is_ending: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """Return the application. The caller closes the parts it passes. No call is placed while `is_ending` is true."""
    context = ApiContext(
        switch=switch,
        directory=directory,
        notifications=notifications,
        journal=journal,
        account=account_sid,
        auth_token=auth_token,
        started_at=switch.now(),
        recordings=recordings,
        call_pacing=CallPacing(per_s=calls_per_s, now=switch.now),
        is_ending=is_ending,
    )
    metrics = metrics or Metrics(switch=switch)
    bucket = None if requests_per_s is None else TokenBucket(per_s=requests_per_s, now=switch.now)
    credentials = RestCredentials(
        account_sid=account_sid, auth_token=auth_token, key_matches=directory.access.verify_key
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
        exception_handlers={HTTPException: _not_found, Exception: _internal_error},
    )
    app.router.routes[:] = [Route("/Accounts", ApiEndpoint(context, accounts.ACCOUNTS))]
    app.router.routes += [Route("/Accounts/{AccountSid}" + each.path, ApiEndpoint(context, each)) for each in RESOURCES]
    return app


class WithoutSuffix:
    """ASGI middleware that removes `.json` from the end of a path. The scope keeps the requested path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Remove the suffix and pass the request on."""
        if scope["type"] == "http":
            path: str = scope["path"]
            scope = {**scope, "path": path.removesuffix(".json"), PATH: path}
        await self._app(scope, receive, send)


async def _not_found(request: Request, error: Exception) -> Response:
    """Answer a request for a path that does not exist."""
    path: str = request.scope.get(PATH, request.scope["path"])
    return error_response(NotFound("no such path"), path)


async def _internal_error(request: Request, error: Exception) -> Response:
    """Answer 500. The server logs the traceback and closes the connection, which the answer announces."""
    response = error_response(VoiceError("An internal server error has occurred"), request.scope["path"])
    response.headers["connection"] = "close"
    return response
