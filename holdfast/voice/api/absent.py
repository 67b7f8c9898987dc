"""Lists that are empty because nothing here can fill them yet: recordings of the account, a call, a conference.

An empty list is the truth, so programs that look for recordings go on. To make one is not built: those paths answer as
unknown ones do. All other resources of Twilio's that are not built answer 404 with code 20404.
"""

from __future__ import annotations

from typing import Final

from holdfast.voice.api import calls, conferences
from holdfast.voice.api.paging import PAGING, comparable, page
from holdfast.voice.api.render import Json
from holdfast.voice.api.resource import Answer, Asked, Door, Operation, Resource
from holdfast.voice.model.errors import NotFound

LIST: Final = PAGING | comparable("DateCreated") | {"CallSid", "ConferenceSid", "IncludeSoftDeleted"}


async def recordings(door: Door, asked: Asked) -> Answer:
    """No recordings. Raises: NotFound for a call or conference that is not there."""
    if "CallSid" in asked.names:
        calls.find(door, asked.names["CallSid"])
    if "ConferenceSid" in asked.names:
        conferences.find(door, asked.names["ConferenceSid"])
    nothing: list[Json] = []
    body = page(nothing, form=asked.form, path=asked.path, collection="recordings", key=str, show=lambda row: row)
    return Answer(body=body)


async def unbuilt(door: Door, asked: Asked) -> Answer:
    """What Twilio has and we have not. Raises: NotFound."""
    raise NotFound("not built")


_RECORDINGS = {"get": Operation(run=recordings, parameters=LIST), "post": Operation(run=unbuilt)}

RESOURCES: Final = (
    Resource(path="/Recordings", get=_RECORDINGS["get"]),
    Resource(path="/Calls/{CallSid}/Recordings", **_RECORDINGS),
    Resource(path="/Conferences/{ConferenceSid}/Recordings", get=_RECORDINGS["get"]),
)
