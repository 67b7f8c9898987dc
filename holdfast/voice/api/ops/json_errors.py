"""Make the routers of our own JSON endpoints: errors, invalid JSON too, are answered in the REST API's format."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from holdfast.voice.api.authentication import RestCredentials
from holdfast.voice.api.errors import ParameterInvalid, error_response
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.model.ids import AccountSid

NOT_AN_OBJECT = "send a JSON object, with Content-Type: application/json; /docs shows its fields"
MAX_NAME = 60
PYDANTIC_PREFIX = re.compile(r"^(Input|String|List) should ")


class JsonErrorRoute(APIRoute):
    """A route whose errors are answered in the REST API's format."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, with its errors translated."""
        handler = super().get_route_handler()

        async def respond(request: Request) -> Response:
            try:
                return await handler(request)
            except VoiceError as error:
                return error_response(error, request.url.path)
            except HTTPException:  # a body that is no text
                return error_response(ParameterInvalid(NOT_AN_OBJECT), request.url.path)
            except RequestValidationError as wrong:
                problems = [
                    validation_message(error["type"], tuple(error["loc"][1:]), error["msg"]) for error in wrong.errors()
                ]
                return error_response(ParameterInvalid("; ".join(problems)), request.url.path)

        return respond


def engine_router(account_sid: AccountSid, auth_token: str) -> APIRouter:
    """Return a router below `/engine`, which needs the account's SID and token in HTTP Basic authentication."""
    credentials = RestCredentials(account_sid=account_sid, auth_token=auth_token)

    def account(request: Request) -> None:
        credentials.authenticate(request.headers.get("authorization", ""))

    return APIRouter(prefix="/engine", tags=["engine"], dependencies=[Depends(account)], route_class=JsonErrorRoute)


def validation_message(kind: str, where: tuple[str | int, ...], words: str) -> str:
    """Return what is wrong with one value of a JSON body, without the words of the validation library."""
    words = words.removeprefix("Value error, ").partition(", unable")[0]
    if kind == "value_error" and not where:
        return words
    if kind == "json_invalid" or not where:
        return NOT_AN_OBJECT
    name = ".".join(str(part) for part in where)[:MAX_NAME]
    match kind:
        case "missing":
            return f"{name} is missing"
        case "extra_forbidden":
            return f"there is no field {name}"
        case "string_pattern_mismatch":
            return f"{name} has characters, or a form, that are not allowed"
        case _:
            must = PYDANTIC_PREFIX.sub("must ", words, count=1)
            return f"{name} {must}" if must != words else f"{name}: {words}"
