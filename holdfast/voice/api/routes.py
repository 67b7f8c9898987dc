"""The routes of the directory by JSON: by which trunk numbers leave, and whose calls come in without a password."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Annotated

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from holdfast.voice.model.errors import NotFound
from holdfast.voice.runtime.directory import E164, PREFIX, Directory
from holdfast.voice.runtime.listings import Route
from holdfast.voice.sip.effects import Transport


def _numeric(host: str) -> str:
    return str(ip_address(host))


def _network(text: str) -> str:
    return str(ip_network(text, strict=False))


Plain = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ShownRoute(BaseModel):
    """A trunk, without its password."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"prefix": "+1", "host": "203.0.113.5", "port": 5060, "sources": []}},
    )
    prefix: Annotated[str, Field(pattern="^" + PREFIX.pattern.replace(r"\Z", "$"))]
    host: Annotated[str, AfterValidator(_numeric)]
    port: Annotated[int, Field(ge=1, le=65535)]
    transport: Transport = "UDP"
    user: Plain | None = None
    realm: Plain | None = None
    caller_id: Annotated[str, Field(pattern="^" + E164.pattern.replace(r"\Z", "$"))] | None = None
    tls_name: Plain | None = None
    sources: list[Annotated[str, AfterValidator(_network)]] = []


class NewRoute(ShownRoute):
    """A trunk by which numbers with this prefix leave, and from whose `sources` calls come in."""

    password: Plain | None = None


class Routes(BaseModel):
    """Every route, by prefix."""

    routes: list[ShownRoute]


def add_routes(engine: APIRouter, directory: Directory) -> None:
    """Serve them under `/routes`."""

    @engine.get("/routes", summary="Every route")
    async def routes() -> Routes:
        return Routes(routes=[_shown(route) for route in directory.routes()])

    @engine.post("/routes", status_code=201, summary="Add a route, or replace it")
    async def add_route(route: NewRoute) -> ShownRoute:
        added = Route(**route.model_dump(exclude={"sources"}), sources=tuple(route.sources))
        await directory.put_route(added)
        return _shown(added)

    @engine.delete("/routes/{prefix}", status_code=204, summary="Remove a route")
    async def remove_route(prefix: str) -> None:
        if not await directory.remove_route(prefix):
            raise NotFound(f"there is no route for {prefix}")


def _shown(route: Route) -> ShownRoute:
    return ShownRoute(
        prefix=route.prefix,
        host=route.host,
        port=route.port,
        transport=route.transport,
        user=route.user,
        realm=route.realm,
        caller_id=route.caller_id,
        tls_name=route.tls_name,
        sources=list(route.sources),
    )
