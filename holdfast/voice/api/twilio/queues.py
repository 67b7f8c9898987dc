"""Serve queues and their members: create, read, list, rename and delete queues, and dequeue members.

Source: Twilio API, Queue and Member resources.
"""

from __future__ import annotations

from typing import Final

from holdfast.voice.api import render
from holdfast.voice.api.errors import NameInvalid, UrlInvalid
from holdfast.voice.api.forms import Form
from holdfast.voice.api.paging import PAGING, newest_first, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource, new_sid
from holdfast.voice.control.entities import Queue
from holdfast.voice.model.commands import (
    ChangeQueue,
    CreateQueue,
    DeleteQueue,
    DequeueMember,
)
from holdfast.voice.model.errors import NotFound
from holdfast.voice.model.ids import QueueSid

MAX_NAME: Final = 64
MAX_SIZE: Final = 5000
FRONT: Final = "Front"
SETTINGS: Final = frozenset({"FriendlyName", "MaxSize"})


def find(context: ApiContext, sid: str) -> Queue:
    """Return the queue with that SID. Raises: NotFound."""
    queue = context.switch.state.queues.get(QueueSid(sid))
    if queue is None or queue.deleted:
        raise NotFound(f"there is no queue {sid}")
    return queue


async def create(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Create a queue. Raises: NameInvalid, ParameterInvalid, QueueNameTaken."""
    name = _name(request.form)
    if name is None:
        raise NameInvalid("FriendlyName is required")
    sid = QueueSid(new_sid("QU"))
    size = _max_size(request.form)
    command = CreateQueue(queue=sid, account=context.account, name=name, max_size=size)
    await context.switch.execute(command)
    return ApiResponse(status=201, body=render.queue(find(context, sid), now=context.switch.now()))


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return one queue. Raises: NotFound."""
    return ApiResponse(body=render.queue(find(context, request.path_params["Sid"]), now=context.switch.now()))


async def update(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Rename or resize a queue. Members stay if the new size is smaller. Raises: QueueNameTaken, NotFound."""
    queue = find(context, request.path_params["Sid"])
    name, size = _name(request.form), _max_size(request.form)
    if name is not None or size is not None:
        await context.switch.execute(ChangeQueue(queue=queue.sid, name=name, max_size=size))
    return ApiResponse(body=render.queue(find(context, queue.sid), now=context.switch.now()))


async def delete(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Delete an empty queue. Raises: QueueNotEmpty, NotFound."""
    await context.switch.execute(DeleteQueue(queue=find(context, request.path_params["Sid"]).sid))
    return ApiResponse(status=204, body=None)


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the queues, the newest first."""
    rows = newest_first(
        (queue for queue in context.switch.state.queues.values() if not queue.deleted), lambda queue: queue.created_at
    )
    now = context.switch.now()
    return page(
        rows,
        request=request,
        collection="queues",
        key=lambda queue: queue.sid,
        render=lambda queue: render.queue(queue, now=now),
    )


def _name(form: Form) -> str | None:
    if form.raw("FriendlyName") is None:
        return None
    name = form.text("FriendlyName") or ""
    if not 1 <= len(name) <= MAX_NAME:
        raise NameInvalid(f"FriendlyName must have 1 to {MAX_NAME} characters")
    return name


def _max_size(form: Form) -> int | None:
    return form.integer("MaxSize", low=1, high=MAX_SIZE)


# --- members -------------------------------------------------------------------------------------------


def position_of(queue: Queue, name: str) -> int:
    """Return the position of a member, counted from 1: of a call, or of the first by `Front`. Raises: NotFound."""
    for position, member in enumerate(queue.members, start=1):
        if name in (FRONT, member.call):
            return position
    raise NotFound(f"{name} does not wait in queue {queue.sid}")


async def fetch_member(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return one member, named by its call or `Front`. Raises: NotFound."""
    queue = find(context, request.path_params["QueueSid"])
    position = position_of(queue, request.path_params["CallSid"])
    waiting = queue.members[position - 1]
    return ApiResponse(body=render.member(queue, waiting, position=position, now=context.switch.now()))


async def dequeue(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Dequeue a member and run a document for it. The answer shows it as it waited. Raises: NotFound, UrlInvalid."""
    queue = find(context, request.path_params["QueueSid"])
    document = request.form.request("Url", "Method", error=UrlInvalid)
    if document is None:
        raise UrlInvalid("Url is required")
    position = position_of(queue, request.path_params["CallSid"])
    waiting = queue.members[position - 1]
    await context.switch.execute(DequeueMember(queue=queue.sid, call=waiting.call, request=document))
    return ApiResponse(body=render.member(queue, waiting, position=position, now=context.switch.now()))


async def list_members(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the members in the order of the queue."""
    queue = find(context, request.path_params["QueueSid"])
    now = context.switch.now()
    return page(
        list(enumerate(queue.members, start=1)),
        request=request,
        collection="queue_members",
        key=lambda row: row[1].call,
        render=lambda row: render.member(queue, row[1], position=row[0], now=now),
    )


RESOURCES: Final = (
    Resource(
        path="/Queues",
        get=Operation(run=list_page, parameters=PAGING),
        post=Operation(run=create, parameters=SETTINGS),
    ),
    Resource(
        path="/Queues/{Sid}",
        get=Operation(run=fetch),
        post=Operation(run=update, parameters=SETTINGS),
        delete=Operation(run=delete),
    ),
    Resource(path="/Queues/{QueueSid}/Members", get=Operation(run=list_members, parameters=PAGING)),
    Resource(
        path="/Queues/{QueueSid}/Members/{CallSid}",
        get=Operation(run=fetch_member),
        post=Operation(run=dequeue, parameters=frozenset({"Url", "Method"})),
    ),
)
