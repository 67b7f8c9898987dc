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

from holdfast.voice.api.authentication import RestCredentials
from holdfast.voice.api.entry import RestEntry, request_bucket
from holdfast.voice.api.errors import error_response
from holdfast.voice.api.ops.metrics_endpoint import Metrics
from holdfast.voice.api.ports import Recordings, SwitchPort
from holdfast.voice.api.rate_limit import CallPacing
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
from holdfast.voice.api.twilio import messages as message_resources
from holdfast.voice.model.errors import NotFound, VoiceError
from holdfast.voice.model.ids import AccountSid
from holdfast.voice.model.ports import Journal
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.messages.message_log import MessageLog
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
    *message_resources.RESOURCES,
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
    messages: MessageLog,
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
        messages=messages,
        journal=journal,
        account=account_sid,
        auth_token=auth_token,
        started_at=switch.now(),
        recordings=recordings,
        call_pacing=CallPacing(per_s=calls_per_s, now=switch.now),
        is_ending=is_ending,
    )
    credentials = RestCredentials(
        account_sid=account_sid, auth_token=auth_token, key_matches=directory.access.verify_key
    )
    app = FastAPI(
        title="Holdfast voice",
        openapi_url=None,
        redirect_slashes=False,
        middleware=[
            Middleware(
                RestEntry,
                metrics=metrics or Metrics(switch=switch),
                credentials=credentials,
                bucket=None if requests_per_s is None else request_bucket(requests_per_s),
                now=switch.now,
            )
        ],
        exception_handlers={HTTPException: _not_found, Exception: _internal_error},
    )
    app.router.routes[:] = [Route("/Accounts", ApiEndpoint(context, accounts.ACCOUNTS))]
    app.router.routes += [Route("/Accounts/{AccountSid}" + each.path, ApiEndpoint(context, each)) for each in RESOURCES]
    return app


async def _not_found(request: Request, error: Exception) -> Response:
    """Answer a request for a path that does not exist."""
    path: str = request.scope.get(PATH, request.scope["path"])
    return error_response(NotFound("no such path"), path)


async def _internal_error(request: Request, error: Exception) -> Response:
    """Answer 500. The server logs the traceback and closes the connection, which the answer announces."""
    response = error_response(VoiceError("An internal server error has occurred"), request.scope["path"])
    response.headers["connection"] = "close"
    return response
