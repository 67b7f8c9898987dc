"""Serve the routes of the directory as JSON: which trunk takes a number out, and whose calls need no password."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Literal, Protocol, Self, TypeVar

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.model.errors import NotFound
from holdfast.voice.model.phone_hold_music import PhoneHoldMusic
from holdfast.voice.runtime.directory.directory import (
    DOMAIN,
    E164,
    PREFIX,
    Directory,
)
from holdfast.voice.runtime.directory.records import RouteRecord, trunk_host
from holdfast.voice.runtime.sip.names.location import Location
from holdfast.voice.runtime.sip.trunks import TrunkStatus
from holdfast.voice.sip.effects import Transport


def _network(text: str) -> str:
    return str(ip_network(text, strict=False))


PlainText = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Trunk(BaseModel):
    """A trunk: where calls are sent, and from where its calls come in."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    host: Annotated[str, AfterValidator(trunk_host)]
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    transport: Transport | None = None
    user: PlainText | None = None
    realm: PlainText | None = None
    caller_id: Annotated[str, Field(pattern="^" + E164.pattern.replace(r"\Z", "$"))] | None = None
    identity: Annotated[str, Field(pattern="^(caller|" + E164.pattern.replace(r"\Z", ")$"))] | None = None
    tls_name: PlainText | None = None
    sources: list[Annotated[str, AfterValidator(_network)]] = []
    register_: bool = Field(False, alias="register")
    domain: Annotated[str, Field(pattern=f"^{DOMAIN}$")] | None = None
    rtp_source: RtpSource | None = None
    phone_hold_music: PhoneHoldMusic | None = None


class RegistrationResponse(BaseModel):
    """The state of our registration with a trunk. Units: `until`, `again_at` seconds since the Unix epoch."""

    state: Literal["trying", "registered", "failed"]
    until: float | None
    status: int | None
    reason: str
    again_at: float | None


class LocationResponse(BaseModel):
    """The addresses that the name of a trunk leads to, in the order of the last look-up, and what is wrong with it."""

    addresses: list[str]
    problem: str


class TrunkResponse(Trunk):
    """A trunk without its password, and the trunk that is tried after it."""

    location: LocationResponse | None = None
    registration: RegistrationResponse | None = None
    backup: TrunkResponse | None = None


class RouteResponse(TrunkResponse):
    """A route and its trunk."""

    prefix: str


class NewTrunk(Trunk):
    """A trunk to add, and the trunk that is tried after it."""

    password: Annotated[PlainText | None, Field(repr=False)] = None
    backup: NewTrunk | None = None

    @model_validator(mode="after")
    def _may_register(self) -> Self:
        if self.register_ and not (self.user and self.password):
            raise ValueError("register needs user and password")
        return self

    def as_route(self, prefix: str) -> RouteRecord:
        """Return the trunk as a record of the directory."""
        fields = self.model_dump(by_alias=True, include=set(Trunk.model_fields) | {"password"})
        backup = None if self.backup is None else self.backup.as_route(prefix)
        fields |= {"prefix": prefix, "sources": tuple(self.sources), "backup": backup}
        return RouteRecord(**fields).completed()


class NewRoute(NewTrunk):
    """A trunk for numbers with this prefix. Calls come in from its `sources`."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"prefix": "+1", "host": "203.0.113.5", "port": 5060, "sources": []}}
    )
    prefix: Annotated[str, Field(pattern="^" + PREFIX.pattern.replace(r"\Z", "$"))]


class RoutesResponse(BaseModel):
    """Every route, by prefix."""

    routes: list[RouteResponse]


T = TypeVar("T", bound=TrunkResponse)


class TrunkRegistrations(Protocol):
    """Knows our registrations with trunks, and where their names lead."""

    def follow_trunks(self) -> None:
        """Handle a change of the directory: register with new trunks, and unregister from removed ones."""
        ...

    def trunk_status(self, trunk: RouteRecord) -> TrunkStatus | None:
        """Return the state of our registration with one trunk, or None when we do not register there."""
        ...

    def trunk_location(self, trunk: RouteRecord) -> Location | None:
        """Return what the name of a trunk leads to; None before it was looked up, and for a numeric address."""
        ...


class NoRegistrations:
    """Registers with no trunk."""

    def follow_trunks(self) -> None:
        """Do nothing."""

    def trunk_status(self, trunk: RouteRecord) -> TrunkStatus | None:
        """Return None."""
        return None

    def trunk_location(self, trunk: RouteRecord) -> Location | None:
        """Return None."""
        return None


def add_routes(engine: APIRouter, directory: Directory, registrations: TrunkRegistrations) -> None:
    """Add the endpoints under `/routes`."""

    @engine.get("/routes", summary="Every route")
    async def routes() -> RoutesResponse:
        return RoutesResponse(
            routes=[_response(RouteResponse, route, registrations) for route in directory.routes.all()]
        )

    @engine.post("/routes", status_code=201, summary="Add a route, or replace it")
    async def add_route(route: NewRoute) -> RouteResponse:
        added = route.as_route(route.prefix)
        await directory.routes.put(added)
        registrations.follow_trunks()
        return _response(RouteResponse, added, registrations)

    @engine.delete("/routes/{prefix}", status_code=204, summary="Remove a route")
    async def remove_route(prefix: str) -> None:
        if not await directory.routes.remove(prefix):
            raise NotFound(f"there is no route for {prefix}")
        registrations.follow_trunks()

    @engine.post("/routes/{prefix}/backup", status_code=201, summary="Set the trunk that is tried after a route's own")
    async def add_backup(prefix: str, trunk: NewTrunk) -> TrunkResponse:
        added = trunk.as_route(prefix)
        if not await directory.put_backup(prefix, added):
            raise NotFound(f"there is no route for {prefix}")
        registrations.follow_trunks()
        return _response(TrunkResponse, added, registrations)

    @engine.delete(
        "/routes/{prefix}/backup", status_code=204, summary="Remove the trunk that is tried after a route's own"
    )
    async def remove_backup(prefix: str) -> None:
        if not await directory.put_backup(prefix, None):
            raise NotFound(f"no trunk is tried after that of {prefix}")
        registrations.follow_trunks()


def _response(kind: type[T], trunk: RouteRecord, registrations: TrunkRegistrations) -> T:
    """Return a trunk as responses show it, with the state of its registration, and so each that is tried after it."""
    response = kind.model_validate(trunk, from_attributes=True)
    each: TrunkResponse | None = response
    for record in trunk.trunks:
        status, location = registrations.trunk_status(record), registrations.trunk_location(record)
        if each is not None and location is not None:
            each.location = LocationResponse(addresses=location.places(), problem=location.problem)
        if each is not None and status is not None:
            each.registration = RegistrationResponse.model_validate(status, from_attributes=True)
        each = each and each.backup
    return response
