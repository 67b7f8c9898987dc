"""Handle requests to one path of the REST API: read the request, run the operation, write the response.

A request is read into `ApiRequest`, one operation answers it, and errors become Twilio's JSON. Operations do not
handle HTTP, so they are short.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from holdfast.voice.api.errors import MethodNotAllowed, ServerStopping, error_response
from holdfast.voice.api.forms import Form, read_form
from holdfast.voice.api.ports import Recordings, SwitchPort
from holdfast.voice.api.rate_limit import CallPacing
from holdfast.voice.api.render import Json
from holdfast.voice.control.entities import Room
from holdfast.voice.model import twilio_assumptions
from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.errors import NotFound, VoiceError
from holdfast.voice.model.ids import AccountSid, CallSid, RoomSid, is_sid
from holdfast.voice.model.ports import Journal
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.messages.message_log import MessageLog
from holdfast.voice.runtime.notification_log import Notifications

PATH: Final = "holdfast.path"
"""The key in the ASGI scope of the path as it was requested, with its `.json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """The parts of the engine that operations use. Units: `started_at` seconds since the Unix epoch."""

    switch: SwitchPort
    directory: Directory
    notifications: Notifications
    messages: MessageLog
    journal: Journal
    account: AccountSid
    auth_token: str = field(repr=False)
    started_at: float
    recordings: Recordings | None = None
    call_pacing: CallPacing
    is_ending: Callable[[], bool] = lambda: False
    """Return whether the server is being stopped."""

    def conference(self, sid: str) -> Room:
        """Return the conference with that SID. A bridge of two legs is no conference.

        Raises: NotFound, MethodNotAllowed.
        """
        if not is_sid(sid, "CF") and MethodNotAllowed.http == twilio_assumptions.CONFERENCE_SID_MALFORMED:
            raise MethodNotAllowed("Method not allowed: the path has no SID of a conference (CF and 32 hex digits)")
        room = self.switch.state.rooms.get(RoomSid(sid))
        if room is None or room.kind != "conference":
            raise NotFound(f"there is no conference {sid}")
        return room

    def refuse_when_stopping(self) -> None:
        """Refuse to place a call while the server is being stopped. Raises: ServerStopping."""
        if self.is_ending():
            raise ServerStopping("The server is being stopped: no call begins any more")

    def warn(self, code: int, message: str, *, call: str | None = None) -> None:
        """Log a warning that the response does not show to the client."""
        about = CallSid(call) if call is not None and is_sid(call, "CA") else None
        self.notifications.add(LogNotification(call=about, code=code, log=1, message=message))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request, authenticated and read. Shape: `path_params` are the parameters of the path, decoded."""

    path: str
    path_params: Mapping[str, str]
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioBody:
    """Audio that a response carries in place of JSON: a file as it is, or bytes."""

    media_type: str
    name: str
    file: Path | None = None
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """An HTTP status and its JSON. None is an empty body."""

    status: int = 200
    body: Json | None
    audio: AudioBody | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation answers one HTTP method of a resource.

    `parameters` are the names it uses, `ignored` those that Twilio knows and we accept without effect. Any other name
    has no effect and causes a warning. Source: Twilio error 20001.
    """

    run: Callable[[ApiContext, ApiRequest], Awaitable[ApiResponse]]
    parameters: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A path below the account, with one operation per HTTP method. Shape: `path` such as `/Calls/{Sid}`."""

    path: str
    get: Operation | None = None
    post: Operation | None = None
    delete: Operation | None = None

    def operation(self, method: str) -> Operation:
        """Return the operation of a method. HEAD is GET without its body. Raises: MethodNotAllowed."""
        match method:
            case "GET" | "HEAD":
                found = self.get
            case "POST":
                found = self.post
            case "DELETE":
                found = self.delete
            case _:
                found = None
        if found is None:
            raise MethodNotAllowed(f"Method {method} is not allowed on this resource")
        return found


def new_sid(prefix: str) -> str:
    """Return a SID that cannot be guessed, for what REST creates."""
    return prefix + secrets.token_hex(16)


def _audio_response(sound: AudioBody) -> Response:
    if sound.file is not None:
        return FileResponse(sound.file, media_type=sound.media_type, filename=sound.name)
    return Response(sound.data, media_type=sound.media_type)


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """The ASGI application of one resource."""

    context: ApiContext
    resource: Resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to one request."""
        try:
            response = await self._respond(Request(scope, receive))
        except ClientDisconnect:
            return  # the client has gone
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        path: str = request.scope.get(PATH, request.scope["path"])
        try:
            operation = self.resource.operation(request.method)
            form = await read_form(request)
            self._warn_unused(operation, form, request.path_params)
            answer = await operation.run(
                self.context, ApiRequest(path=path, path_params=request.path_params, form=form)
            )
        except VoiceError as error:
            return error_response(error, path)
        if answer.audio is not None:
            return _audio_response(answer.audio)
        if answer.body is None:
            return Response(status_code=answer.status)
        return Response(json.dumps(answer.body), status_code=answer.status, media_type="application/json")

    def _warn_unused(self, operation: Operation, form: Form, names: Mapping[str, str]) -> None:
        unheeded = form.names() - operation.parameters
        if not unheeded:
            return
        call = names.get("CallSid", names.get("Sid"))
        unknown = sorted(name[:64] for name in unheeded - operation.ignored)
        unbuilt = sorted(unheeded & operation.ignored)
        if unknown:
            self.context.warn(20001, f"Unknown parameters are ignored: {', '.join(unknown[:20])}", call=call)
        if unbuilt:
            self.context.warn(20001, f"Parameters without effect here: {', '.join(unbuilt)}", call=call)
