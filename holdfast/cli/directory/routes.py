"""`holdfast route`: the trunks by which numbers that are not ours leave."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Annotated, Any

import typer

from holdfast.cli.client import NOT_FOUND, ServerRefused
from holdfast.cli.directory.directory import (
    find_server,
    note_if_in_file,
    remove_entry,
    with_stored_directory,
)
from holdfast.cli.options import WRONG_SETTINGS, Config, Store, choice_of, rtp_source_from, settings_from
from holdfast.cli.passwords import FromStdin, read_password
from holdfast.cli.terminal import CommandStopped, print_line, print_table
from holdfast.settings import Settings
from holdfast.voice.runtime.directory.directory import (
    DOMAIN,
    E164,
    PREFIX,
    Directory,
)
from holdfast.voice.runtime.directory.records import RouteRecord
from holdfast.voice.sip.effects import Transport
from holdfast.voice.sip.message.uri import DEFAULT_PORTS

app = typer.Typer(
    no_args_is_help=True,
    help="Trunks: where numbers that are not ours are called. `\\[routes]` in holdfast.toml does the same.",
    epilog="docs/trunks.md tells how to connect one.",
)

Prefix = Annotated[str, typer.Argument(metavar="PREFIX", help="How the numbers begin: +44, or + for every number.")]

_TRANSPORTS: dict[str, Transport] = {"udp": "UDP", "tcp": "TCP", "tls": "TLS"}


@app.command("add")
def add(
    prefix: Prefix,
    host: Annotated[str, typer.Option("--host", metavar="IP", help="The trunk, as a numeric address.")],
    port: Annotated[str | None, typer.Option("--port", metavar="PORT", help="Its port [5060, or 5061].")] = None,
    transport: Annotated[str, typer.Option("--transport", metavar="udp|tcp|tls", help="How to get there.")] = "udp",
    user: Annotated[str | None, typer.Option("--user", help="Who we are there, when it asks.")] = None,
    password: Annotated[str | None, typer.Option("--password", help="Asked if left out and there is a user.")] = None,
    password_stdin: FromStdin = False,
    realm: Annotated[
        str | None, typer.Option("--realm", help="The realm whose challenges are answered; several with commas.")
    ] = None,
    caller_id: Annotated[
        str | None, typer.Option("--caller-id", metavar="NUMBER", help="Stands in From instead of the caller's own.")
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", metavar="caller|NUMBER", help="Stands in P-Asserted-Identity.")
    ] = None,
    tls_name: Annotated[str | None, typer.Option("--tls-name", help="The name in its certificate.")] = None,
    register: Annotated[bool, typer.Option("--register", help="Register there, so that calls come to us.")] = False,
    domain: Annotated[str | None, typer.Option("--domain", metavar="NAME", help="Its name, in what we send.")] = None,
    rtp_source: Annotated[
        str | None, typer.Option("--rtp-source", metavar="named|signalling|any", help="Whose RTP is believed.")
    ] = None,
    backup: Annotated[
        bool, typer.Option("--backup", help="Try it when the prefix's own trunk does not answer, or has no service.")
    ] = False,
    source: Annotated[
        list[str] | None, typer.Option("--source", metavar="NETWORK", help="Its calls come in from here; repeatable.")
    ] = None,
    config: Config = None,
    store: Store = None,
) -> None:
    """Add a trunk for numbers that begin with a prefix, or change it. The longest prefix that fits wins.

    \b
    holdfast route add + --host 203.0.113.5 --user acme
    holdfast route add +44 --host 203.0.113.9 --transport tls --tls-name sip.carrier.example
    holdfast route add + --host 203.0.113.5 --source 203.0.113.0/28     calls come in from there too
    holdfast route add + --host 203.0.113.5 --user acme --register      we register there
    holdfast route add + --host 203.0.113.6 --user acme --backup        tried when that one fails
    """
    kind = choice_of("--transport", transport, _TRANSPORTS)
    if password_stdin or (user is not None and password is None):
        password = read_password(password, stdin=password_stdin)
    if register and user is None:
        raise _wrong("--register needs a user to register", "Say who we are there: --user NAME")
    route = RouteRecord(
        prefix=_checked_prefix(prefix),
        host=_checked_host(host),
        port=DEFAULT_PORTS[kind] if port is None else _checked_port(port),
        transport=kind,
        user=user,
        password=password,
        realm=realm,
        caller_id=_checked_number(caller_id),
        identity=identity if identity == "caller" else _checked_number(identity),
        tls_name=tls_name,
        sources=tuple(_checked_network(network) for network in source or ()),
        register=register,
        domain=_checked_domain(domain),
        rtp_source=rtp_source_from(rtp_source),
    )
    settings = settings_from(config=config, store=store)
    there = _where(route.host, route.port, route.transport)
    if backup:
        _add_backup(settings, route)
        print_line(f"numbers that begin with {route.prefix} leave by {there} when their own trunk fails")
        return
    if server := find_server(settings):
        server.post("/engine/routes", _fields(route) | {"prefix": route.prefix})
    else:
        with_stored_directory(settings, lambda directory: directory.put_route(route))
    print_line(f"numbers that begin with {route.prefix} leave by {there}")


def _fields(trunk: RouteRecord) -> dict[str, object]:
    fields = {name: getattr(trunk, name) for name in trunk.__slots__ if name not in ("prefix", "backup")}
    return fields | {"sources": list(trunk.sources)}


def _add_backup(settings: Settings, trunk: RouteRecord) -> None:
    missing = CommandStopped(f"there is no route for {trunk.prefix}", fix="Add its own trunk first, without --backup.")
    if server := find_server(settings):
        try:
            server.post(f"/engine/routes/{trunk.prefix}/backup", _fields(trunk))
        except ServerRefused as refused:
            raise missing if refused.http_status == NOT_FOUND else refused from refused
    elif not with_stored_directory(settings, lambda directory: directory.put_backup(trunk.prefix, trunk)):
        raise missing


@app.command("list")
def list_routes(config: Config = None, store: Store = None) -> None:
    """List the routes."""
    settings = settings_from(config=config, store=store)
    if server := find_server(settings):
        listed = server.get("/engine/routes")["routes"]
        rows = {
            str(one["prefix"]): (_shown(one), ", ".join(one["sources"]), _registration_text(one.get("registration")))
            for one in listed
        }
    else:
        rows = with_stored_directory(settings, _rows)
        for prefix, trunk in settings.routes.items():
            port = trunk.port or DEFAULT_PORTS[trunk.transport]
            behind = "" if trunk.backup is None else f", then {trunk.backup.host}"
            rows[prefix] = (_where(trunk.host, port, trunk.transport) + behind, ", ".join(trunk.sources), "")
    print_table(
        ("PREFIX", "TRUNK", "CALLS COME IN FROM", "REGISTERED"),
        [(prefix, *rest) for prefix, rest in sorted(rows.items())],
        empty="no routes: numbers that are not yours cannot be called. holdfast route add + --host …",
    )


@app.command("remove")
def remove(prefix: Prefix, config: Config = None, store: Store = None) -> None:
    """Remove a route; calls that are on stay on."""
    prefix = _checked_prefix(prefix)
    settings = settings_from(config=config, store=store)
    missing = CommandStopped(f"there is no route for {prefix}", fix="holdfast route list")
    remove_entry(settings, "routes", prefix, lambda directory: directory.remove_route(prefix), missing=missing)
    print_line(f"the route for {prefix} is removed")
    note_if_in_file("routes", prefix, settings.routes)


def _where(host: str, port: int, transport: str) -> str:
    return f"{host}:{port} by {transport}"


def _wrong(what: str, fix: str) -> CommandStopped:
    return CommandStopped(what, fix=fix, status=WRONG_SETTINGS)


def _checked_port(port: str) -> int:
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise _wrong(f"--port {port!r} is not a port from 1 to 65535", "Leave it out: 5060, over TLS 5061.")
    return int(port)


def _checked_prefix(prefix: str) -> str:
    if not PREFIX.match(prefix):
        raise _wrong(f"{prefix!r} is not how numbers begin", "A plus and digits: +44, or + alone for every number")
    return prefix


def _checked_host(host: str) -> str:
    try:
        return str(ip_address(host))
    except ValueError:
        fix = f"Names are not looked up; see what it is now: getent hosts {host}"
        raise _wrong(f"{host!r} is not a numeric address", fix) from None


def _checked_number(number: str | None) -> str | None:
    if number is not None and not E164.match(number):
        raise _wrong(f"{number!r} is not a phone number in E.164", "A plus and digits alone: +15550100")
    return number


def _checked_network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise _wrong(f"{text!r} is not a network", "An address such as 203.0.113.5, or 203.0.113.0/28") from None


def _checked_domain(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(DOMAIN, name):
        raise _wrong(f"{name!r} is not a name of the net", "As the trunk writes it behind the @: carrier.example")
    return name


def _shown(one: dict[str, Any]) -> str:
    where = _where(str(one["host"]), one["port"], one["transport"])
    return f"{where}, then {one['backup']['host']}" if one.get("backup") else where


def _registration_text(told: dict[str, Any] | None) -> str:
    """How we stand with a trunk, in a word or two."""
    match told:
        case None:
            return ""
        case {"state": "failed", "status": status, "reason": reason}:
            return f"no: {status} {reason}"
        case {"state": "registered"}:
            return "yes"
        case _:
            return "asked"


async def _rows(directory: Directory) -> dict[str, tuple[str, str, str]]:
    rows = {}
    for route in directory.routes():
        trunks = [_where(trunk.host, trunk.port, trunk.transport) for trunk in route.trunks]
        rows[route.prefix] = (", then ".join(trunks), ", ".join(route.sources), "")
    return rows
