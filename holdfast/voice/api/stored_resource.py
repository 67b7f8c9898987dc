"""Build the REST operations of stored records: list, create, fetch, update and delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NoReturn, Protocol, TypeVar

from holdfast.voice.api.errors import MethodNotAllowed
from holdfast.voice.api.forms import Form
from holdfast.voice.api.paging import PAGING, page
from holdfast.voice.api.render import Json
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource
from holdfast.voice.model.errors import NotFound
from holdfast.voice.runtime.directory.collection import SidRecord

R = TypeVar("R", bound=SidRecord)


class Rows(Protocol[R]):
    """The stored records of one kind, or those within another record."""

    def all(self) -> Sequence[R]:
        """Return the records, the newest first."""

    def with_sid(self, sid: str) -> R | None:
        """Return the record with this SID, or None."""

    async def put(self, record: R) -> None:
        """Add or replace a record. Raises: StoreFailed."""

    async def remove(self, key: str) -> object:
        """Remove a record. Raises: StoreFailed."""


def refuse(*request: object) -> NoReturn:
    """Refuse to add or change a record of a kind of which REST does not. Raises: MethodNotAllowed."""
    raise MethodNotAllowed("Method POST is not allowed on this resource")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResource(Generic[R]):
    """A kind of records that REST shows, and its five operations.

    Each part gets the context and the request. `new` and `change` return a record as the form of the request asks, or
    raise what is wrong with it. `missing` is the text of a 404, in which `{}` is the SID, and other names are those of
    the path.
    """

    rows: Callable[[ApiContext, ApiRequest], Rows[R]]
    missing: str
    collection: str
    render: Callable[[ApiContext, ApiRequest, R], Json]
    new: Callable[[ApiContext, ApiRequest], R] = refuse
    change: Callable[[ApiContext, ApiRequest, R], R] = refuse
    shows: Callable[[Form, R], bool] = lambda form, record: True
    """Return whether a list with these filters has this record."""

    def find(self, context: ApiContext, request: ApiRequest, sid: str | None = None) -> R:
        """Return the record with this SID, else with the one that the path names. Raises: NotFound."""
        sid = request.path_params["Sid"] if sid is None else sid
        found = self.rows(context, request).with_sid(sid)
        if found is None:
            raise NotFound(self.missing.format(sid, **request.path_params))
        return found

    async def create(self, context: ApiContext, request: ApiRequest) -> ApiResponse:
        """Add a record."""
        rows = self.rows(context, request)
        record = self.new(context, request)
        await rows.put(record)
        return ApiResponse(status=201, body=self.render(context, request, record))

    async def fetch(self, context: ApiContext, request: ApiRequest) -> ApiResponse:
        """Return one record. Raises: NotFound."""
        return ApiResponse(body=self.render(context, request, self.find(context, request)))

    async def update(self, context: ApiContext, request: ApiRequest) -> ApiResponse:
        """Set the parameters that were sent. Raises: NotFound."""
        record = self.change(context, request, self.find(context, request))
        await self.rows(context, request).put(record)
        return ApiResponse(body=self.render(context, request, record))

    async def delete(self, context: ApiContext, request: ApiRequest) -> ApiResponse:
        """Remove a record. Raises: NotFound."""
        await self.rows(context, request).remove(self.find(context, request).key)
        return ApiResponse(status=204, body=None)

    async def list_page(self, context: ApiContext, request: ApiRequest) -> ApiResponse:
        """List the records that pass the filters, the newest first."""
        return page(
            [each for each in self.rows(context, request).all() if self.shows(request.form, each)],
            request=request,
            collection=self.collection,
            key=lambda each: each.sid,
            render=lambda each: self.render(context, request, each),
        )

    def resources(
        self,
        path: str,
        *,
        create: frozenset[str],
        update: frozenset[str] | None = None,
        filters: frozenset[str] = frozenset(),
        ignored: frozenset[str] = frozenset(),
        ignored_filters: frozenset[str] = frozenset(),
    ) -> tuple[Resource, Resource]:
        """Return the resources of all records and of one, with the names of their parameters; None: no change."""
        return (
            Resource(
                path=path,
                get=Operation(run=self.list_page, parameters=PAGING | filters, ignored=ignored_filters),
                post=Operation(run=self.create, parameters=create, ignored=ignored),
            ),
            Resource(
                path=f"{path}/{{Sid}}",
                get=Operation(run=self.fetch),
                post=None if update is None else Operation(run=self.update, parameters=update, ignored=ignored),
                delete=Operation(run=self.delete),
            ),
        )
