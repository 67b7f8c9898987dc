"""What was said of a call over HTTP: the request that made it, then each exchange with a web server, oldest first.

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
from holdfast.voice.model.ports import Entry

MADE: Final = "CreateCall"
EXCHANGE: Final = "webhook"
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


async def listed(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """The exchanges of a call. Raises: NotFound."""
    call = calls.find(door, asked.names["CallSid"])
    entries = [each for each in await door.journal.entries(call.sid) if each.kind in (MADE, EXCHANGE)]
    body = page(
        list(enumerate(entries)),
        form=asked.form,
        path=asked.path,
        collection="events",
        key=lambda row: derive("EV", call.sid, str(row[0])),
        show=lambda row: _shown(door.account, row[1]),
    )
    return ApiResponse(body=body)


def _shown(account: AccountSid, entry: Entry) -> render.Json:
    data: dict[str, Any] = json.loads(entry.data)
    if entry.kind == MADE:
        request = {
            "method": "POST",
            "url": render.uri(account, "Calls.json"),
            "parameters": _asked(data),
        }
        answer = {"response_code": 201, "request_duration": 0, "content_type": "application/json", "response_body": ""}
    else:
        request = {"method": data["method"], "url": data["url"], "parameters": _snakes(data["form"])}
        answer = {
            "response_code": data["status"] or None,
            "request_duration": data["took_ms"],
            "content_type": data["content_type"],
            "response_body": data["body"],
        }
    return {"request": request, "response": answer | {"date_created": render.date(entry.at)}}


def _asked(command: dict[str, Any]) -> dict[str, str]:
    """The parameters that matter of the request that made a call."""
    instruction = command["instruction"]
    asked = {"to": command["target"]["to"], "from": command["from_"]}
    if (document := instruction.get("request")) is not None:
        asked |= {"url": document["url"], "method": document.get("method", "POST")}
    elif "twiml" in instruction:
        asked["twiml"] = instruction["twiml"]
    return asked


def _snakes(form: Iterable[Sequence[str]]) -> dict[str, str]:
    """A form's names as JSON has them: `CallSid` is `call_sid`."""
    return {_HUMP.sub("_", name).lower(): value for name, value in form}


RESOURCES: Final = (Resource(path="/Calls/{CallSid}/Events", get=Operation(run=listed, parameters=PAGING)),)
