"""Run `holdfast route`: add, list and remove the trunks to which calls to other numbers are sent."""

from __future__ import annotations

import re
from dataclasses import asdict
from ipaddress import ip_network
from typing import Annotated, Any

import typer

from holdfast.cli.client import NOT_FOUND, ServerRefused
from holdfast.cli.directory.directory_command import (
    find_server,
    list_entries,
    note_if_in_file,
    put_entry,
    remove_entry,
    with_stored_directory,
)
from holdfast.cli.options import (
    WRONG_SETTINGS,
    Config,
    Store,
    choice_of,
    phone_hold_music_from,
    rtp_source_from,
    settings_from,
)
from holdfast.cli.passwords import FromStdin, read_password
from holdfast.cli.terminal import CommandStopped, print_line, print_table
from holdfast.settings import Settings
from holdfast.voice.runtime.directory.directory import (
    DOMAIN,
    E164,
    PREFIX,
)
from holdfast.voice.runtime.directory.records import RouteRecord, trunk_host
from holdfast.voice.sip.effects import Transport

app = typer.Typer(
    no_args_is_help=True,
    help="Trunks, to which calls to other numbers are sent. `\\[routes]` in holdfast.toml does the same.",
    epilog="docs/trunks.md shows how to connect a trunk.",
)

Prefix = Annotated[str, typer.Argument(metavar="PREFIX", help="The prefix of the numbers: +44, or + for every number.")]

_TRANSPORTS: dict[str, Transport] = {"udp": "UDP", "tcp": "TCP", "tls": "TLS"}


@app.command("add")
def add(
    prefix: Prefix,
    host: Annotated[str, typer.Option("--host", metavar="HOST", help="The name or the numeric address of the trunk.")],
    port: Annotated[
        str | None,
        typer.Option("--port", metavar="PORT", help=r"Its port \[as DNS says; of an address 5060, over TLS 5061]."),
    ] = None,
    transport: Annotated[
        str | None,
        typer.Option("--transport", metavar="udp|tcp|tls", help=r"The transport \[as DNS says; of an address udp]."),
    ] = None,
    user: Annotated[str | None, typer.Option("--user", help="Our user name at the trunk.")] = None,
    password: Annotated[
        str | None, typer.Option("--password", help="The user's password; you are asked for it if it is left out.")
    ] = None,
    password_stdin: FromStdin = False,
    realm: Annotated[
        str | None, typer.Option("--realm", help="The realm whose challenges we answer; separate several by commas.")
    ] = None,
    caller_id: Annotated[
        str | None, typer.Option("--caller-id", metavar="NUMBER", help="The number in From, in place of the caller's.")
    ] = None,
    identity: Annotated[
        str | None, typer.Option("--identity", metavar="caller|NUMBER", help="The caller in P-Asserted-Identity.")
    ] = None,
    tls_name: Annotated[str | None, typer.Option("--tls-name", help="The name in the trunk's certificate.")] = None,
    register: Annotated[
        bool, typer.Option("--register", help="Register with the trunk, so that it sends us calls.")
    ] = False,
    domain: Annotated[
        str | None, typer.Option("--domain", metavar="NAME", help="The trunk's domain, in our requests.")
    ] = None,
    rtp_source: Annotated[
        str | None, typer.Option("--rtp-source", metavar="named|signalling|any", help="Whose RTP is rtp_rule.")
    ] = None,
    phone_hold_music: Annotated[
        str | None,
        typer.Option(
            "--phone-hold-music",
            metavar="'always ours|theirs'",
            help="Whose music plays while its phones hold; else the setting says.",
        ),
    ] = None,
    backup: Annotated[
        bool, typer.Option("--backup", help="Use it when the prefix's own trunk does not answer, or has no service.")
    ] = False,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source", metavar="NETWORK", help="An address or network from which its calls come in; repeatable."
        ),
    ] = None,
    config: Config = None,
    store: Store = None,
) -> None:
    """Add or change a trunk for numbers that begin with a prefix. The longest matching prefix wins.

    \b
    holdfast route add + --host 203.0.113.5 --user acme
    holdfast route add +44 --host sip.carrier.example                   a name: DNS says transport and servers
    holdfast route add + --host 203.0.113.5 --source 203.0.113.0/28     its calls come in from these addresses
    holdfast route add + --host 203.0.113.5 --user acme --register      we register with it
    holdfast route add + --host 203.0.113.6 --user acme --backup        used when the first fails
    """
    kind = None if transport is None else choice_of("--transport", transport, _TRANSPORTS)
    if password_stdin or (user is not None and password is None):
        password = read_password(password, stdin=password_stdin)
    if register and user is None:
        raise _invalid("--register needs a user to register", "Give our user name: --user NAME")
    route = RouteRecord(
        prefix=_checked_prefix(prefix),
        host=_checked_host(host),
        port=None if port is None else _checked_port(port),
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
        phone_hold_music=phone_hold_music_from(phone_hold_music),
    ).completed()
    settings = settings_from(config=config, store=store)
    destination = _where(route.host, route.port, route.transport)
    if backup:
        _add_backup(settings, route)
        print_line(f"numbers that begin with {route.prefix} are sent to {destination} when their own trunk fails")
        return
    fields = _fields(route) | {"prefix": route.prefix}
    put_entry(settings, "routes", fields, lambda directory: directory.routes.put(route))
    print_line(f"numbers that begin with {route.prefix} are sent to {destination}")


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
    rows = list_entries(
        settings,
        "routes",
        lambda entry: (
            str(entry["prefix"]),
            _trunk_text(entry),
            ", ".join(entry["sources"]),
            _registration_text(entry.get("registration")),
        ),
        lambda directory: (
            (route.prefix, _trunk_text(asdict(route)), ", ".join(route.sources), "") for route in directory.routes.all()
        ),
    )
    print_table(
        ("PREFIX", "TRUNK", "CALLS COME IN FROM", "REGISTERED"),
        rows,
        empty="no routes: numbers that are not yours cannot be called. holdfast route add + --host …",
    )


@app.command("remove")
def remove(prefix: Prefix, config: Config = None, store: Store = None) -> None:
    """Remove a route. Live calls continue."""
    prefix = _checked_prefix(prefix)
    settings = settings_from(config=config, store=store)
    missing = CommandStopped(f"there is no route for {prefix}", fix="holdfast route list")
    remove_entry(settings, "routes", prefix, lambda directory: directory.routes.remove(prefix), missing=missing)
    print_line(f"the route for {prefix} is removed")
    note_if_in_file("routes", prefix, settings.routes)


def _where(host: str, port: int | None, transport: str | None) -> str:
    there = host if port is None else f"{host}:{port}"
    return there if transport is None else f"{there} by {transport}"


def _invalid(message: str, fix: str) -> CommandStopped:
    return CommandStopped(message, fix=fix, status=WRONG_SETTINGS)


def _checked_port(port: str) -> int:
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise _invalid(f"--port {port!r} is not a port from 1 to 65535", "Leave it out: 5060, over TLS 5061.")
    return int(port)


def _checked_prefix(prefix: str) -> str:
    if not PREFIX.match(prefix):
        raise _invalid(
            f"{prefix!r} is not a prefix of numbers", "Give a plus and digits: +44, or + alone for every number"
        )
    return prefix


def _checked_host(host: str) -> str:
    try:
        return trunk_host(host)
    except ValueError as error:
        raise _invalid(str(error), "Give it without port or scheme: sip.carrier.example, or 203.0.113.5") from None


def _checked_number(number: str | None) -> str | None:
    if number is not None and not E164.match(number):
        raise _invalid(f"{number!r} is not a phone number in E.164", "Give a plus and digits only: +15550100")
    return number


def _checked_network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError:
        raise _invalid(f"{text!r} is not a network", "Give an address such as 203.0.113.5, or 203.0.113.0/28") from None


def _checked_domain(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(DOMAIN, name):
        raise _invalid(f"{name!r} is not a domain name", "Give it as the trunk writes it after the @: carrier.example")
    return name


def _trunk_text(entry: dict[str, Any]) -> str:
    where = _where(str(entry["host"]), entry["port"], entry["transport"])
    return f"{where}, then {_trunk_text(entry['backup'])}" if entry.get("backup") else where


def _registration_text(registration: dict[str, Any] | None) -> str:
    """Return the state of our registration with a trunk, in a word or two."""
    match registration:
        case None:
            return ""
        case {"state": "failed", "status": status, "reason": reason}:
            return f"no: {status} {reason}"
        case {"state": "registered"}:
            return "yes"
        case _:
            return "asked"
