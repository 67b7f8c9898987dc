"""A resource: one path of the REST API, what may be done at it, and the road every request takes.

A request is read into `Asked`, one operation answers it, and errors become Twilio's JSON. Operations know nothing of
HTTP, so they are short.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from holdfast.voice.api.errors import BeingStopped, MethodNotAllowed, told
from holdfast.voice.api.forms import Form, read_form
from holdfast.voice.api.ports import Recordings, SwitchPort
from holdfast.voice.api.rate_limit import CallPacing
from holdfast.voice.api.render import Json
from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.ids import AccountSid, CallSid, is_sid
from holdfast.voice.model.ports import Journal
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.notifications import Notifications

PATH: Final = "holdfast.path"
"""Where in the ASGI scope the path as it was asked is kept, with its `.json`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """All that operations work with. Units: `opened_at` seconds since the Unix epoch."""

    switch: SwitchPort
    directory: Directory
    notifications: Notifications
    journal: Journal
    account: AccountSid
    auth_token: str = field(repr=False)
    opened_at: float
    recordings: Recordings | None = None
    turns: CallPacing
    is_ending: Callable[[], bool] = lambda: False
    """Whether the server is being stopped."""

    def begin_call(self) -> None:
        """Whoever asked wants a call placed. Raises: BeingStopped."""
        if self.is_ending():
            raise BeingStopped("The server is being stopped: no call begins any more")

    def warn(self, code: int, message: str, *, call: str | None = None) -> None:
        """Log a warning that the caller does not see in the answer."""
        about = CallSid(call) if call is not None and is_sid(call, "CA") else None
        self.notifications.add(LogNotification(call=about, code=code, log=1, message=message))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request, authenticated and read. Shape: `names` are the parts of the path, decoded."""

    path: str
    names: Mapping[str, str]
    form: Form


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioBody:
    """Sound in place of JSON: a file as it is, or bytes."""

    media_type: str
    name: str
    file: Path | None = None
    data: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResponse:
    """An HTTP status and its JSON; None is an empty body."""

    status: int = 200
    body: Json | None
    sound: AudioBody | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one HTTP method does.

    `parameters` are the names it heeds; `ignored` those Twilio knows and we accept without effect. Any other name
    changes nothing but is warned of. Source: Twilio error 20001.
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
        """The operation of a method; HEAD is GET without its body. Raises: MethodNotAllowed."""
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


def _sound(sound: AudioBody) -> Response:
    if sound.file is not None:
        return FileResponse(sound.file, media_type=sound.media_type, filename=sound.name)
    return Response(sound.data, media_type=sound.media_type)


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """The ASGI application of one resource."""

    door: ApiContext
    resource: Resource

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return  # nobody is there to be answered
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path: str = request.scope.get(PATH, request.scope["path"])
        try:
            operation = self.resource.operation(request.method)
            form = await read_form(request)
            self._warn_of_unheeded(operation, form, request.path_params)
            answer = await operation.run(self.door, ApiRequest(path=path, names=request.path_params, form=form))
        except VoiceError as error:
            return told(error, path)
        if answer.sound is not None:
            return _sound(answer.sound)
        if answer.body is None:
            return Response(status_code=answer.status)
        return Response(json.dumps(answer.body), status_code=answer.status, media_type="application/json")

    def _warn_of_unheeded(self, operation: Operation, form: Form, names: Mapping[str, str]) -> None:
        unheeded = form.names() - operation.parameters
        if not unheeded:
            return
        call = names.get("CallSid", names.get("Sid"))
        unknown = sorted(name[:64] for name in unheeded - operation.ignored)
        unbuilt = sorted(unheeded & operation.ignored)
        if unknown:
            self.door.warn(20001, f"Unknown parameters are ignored: {', '.join(unknown[:20])}", call=call)
        if unbuilt:
            self.door.warn(20001, f"Parameters without effect here: {', '.join(unbuilt)}", call=call)
