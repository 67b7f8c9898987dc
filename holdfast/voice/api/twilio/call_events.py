"""List the HTTP requests of a call: the one that created it, then each exchange with a web server, oldest first.

Source: Twilio API, Call Events resource.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from holdfast.voice.api import render
from holdfast.voice.api.paging import PAGING, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource
from holdfast.voice.api.twilio import calls
from holdfast.voice.model.ids import AccountSid, derive
from holdfast.voice.model.ports import JournalEntry

CREATED: Final = "CreateCall"
EXCHANGE: Final = "webhook"
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the exchanges of a call. Raises: NotFound."""
    call = calls.find(context, request.path_params["CallSid"])
    entries = [each for each in await context.journal.entries(call.sid) if each.kind in (CREATED, EXCHANGE)]
    return page(
        list(enumerate(entries)),
        request=request,
        collection="events",
        key=lambda row: derive("EV", call.sid, str(row[0])),
        render=lambda row: _render(context.account, row[1]),
    )


def _render(account: AccountSid, entry: JournalEntry) -> render.Json:
    data: dict[str, Any] = json.loads(entry.data)
    if entry.kind == CREATED:
        request = {
            "method": "POST",
            "url": render.uri(account, "Calls.json"),
            "parameters": _create_parameters(data),
        }
        response = {
            "response_code": 201,
            "request_duration": 0,
            "content_type": "application/json",
            "response_body": "",
        }
    else:
        request = {"method": data["method"], "url": data["url"], "parameters": _snake_case(data["form"])}
        response = {
            "response_code": data["status"] or None,
            "request_duration": data["took_ms"],
            "content_type": data["content_type"],
            "response_body": data["body"],
        }
    return {"request": request, "response": response | {"date_created": render.date(entry.at)}}


def _create_parameters(command: dict[str, Any]) -> dict[str, str]:
    """Return the main parameters of the request that created a call."""
    instruction = command["instruction"]
    parameters = {"to": command["target"]["to"], "from": command["from_"]}
    if (document := instruction.get("request")) is not None:
        parameters |= {"url": document["url"], "method": document.get("method", "POST")}
    elif "twiml" in instruction:
        parameters["twiml"] = instruction["twiml"]
    return parameters


def _snake_case(form: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return a form with its names in snake case: `CallSid` becomes `call_sid`."""
    return {_HUMP.sub("_", name).lower(): value for name, value in form}


RESOURCES: Final = (Resource(path="/Calls/{CallSid}/Events", get=Operation(run=list_page, parameters=PAGING)),)
