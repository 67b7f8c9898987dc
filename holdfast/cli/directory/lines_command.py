"""Run `holdfast line`: add, list and remove the SIP users that may register and call."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from holdfast.cli.directory.directory_command import (
    find_server,
    list_entries,
    note_if_in_file,
    put_entry,
    remove_entry,
)
from holdfast.cli.options import WRONG_SETTINGS, Config, Store, rtp_source_from, settings_from
from holdfast.cli.passwords import FromStdin, read_password
from holdfast.cli.run_file import find_run_file
from holdfast.cli.terminal import CommandStopped, print_line, print_table
from holdfast.settings import Settings
from holdfast.voice.runtime.directory.directory import LINE_NAME
from holdfast.voice.runtime.directory.records import MIN_PASSWORD_LENGTH, LineRecord

app = typer.Typer(
    no_args_is_help=True,
    help="SIP users that may register and call. `\\[lines]` in holdfast.toml does the same.",
    epilog="docs/phones.md shows what to enter in Linphone and baresip.",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name, or a number such as +15550100.")]


@app.command("add")
def add(
    name: Name,
    password: Annotated[
        str | None,
        typer.Option(
            "--password", metavar="PASSWORD", help="The password of the phone; you are asked for it if it is left out."
        ),
    ] = None,
    password_stdin: FromStdin = False,
    may_call: Annotated[
        list[str] | None,
        typer.Option("--may-call", metavar="PREFIX", help=r"A prefix of what it may call; repeatable \[everything]."),
    ] = None,
    no_calls: Annotated[bool, typer.Option("--no-calls", help="It can be called, and may not call.")] = False,
    rtp_source: Annotated[
        str | None, typer.Option("--rtp-source", metavar="named|signalling|any", help="Whose RTP is rtp_rule.")
    ] = None,
    config: Config = None,
    store: Store = None,
) -> None:
    """Add a line, or set a new password.

    A line whose name is one of your numbers rings when that number has no voice URL.

    \b
    holdfast line add alice --password correct-horse
    holdfast line add +15550100        asks for the password
    holdfast line add bob --password-stdin < file
    holdfast line add door --password … --may-call +1555 --may-call 100
    """
    if not re.match(LINE_NAME, name):
        raise CommandStopped(
            f"{name!r} cannot be the name of a line",
            fix="Use letters, digits and . _ + -, at most 64: holdfast line add alice",
            status=WRONG_SETTINGS,
        )
    password = read_password(password, stdin=password_stdin, confirm=True)
    allowed = () if no_calls else tuple(may_call or [""])
    rtp_rule = rtp_source_from(rtp_source)
    line = LineRecord.with_password(name=name, password=password, may_call=allowed, rtp_source=rtp_rule)
    settings = settings_from(config=config, store=store)
    if line.short and not settings.sip_on_loopback and find_server(settings) is None:
        raise CommandStopped(
            f"the password must have at least {MIN_PASSWORD_LENGTH} characters: SIP does not listen on loopback alone",
            fix=f"holdfast line add {name}",
            status=WRONG_SETTINGS,
        )
    fields: dict[str, object] = {"name": name, "password": password, "may_call": list(allowed), "rtp_source": rtp_rule}
    put_entry(settings, "lines", fields, lambda directory: directory.own_lines.put(line))
    print_line(f"line {name} may register at sip:{_registrar(settings)}")


@app.command("list")
def list_lines(config: Config = None, store: Store = None) -> None:
    """List the lines."""
    settings = settings_from(config=config, store=store)
    rows = list_entries(
        settings,
        "lines",
        lambda entry: (str(entry["name"]),),
        lambda directory: ((line.name,) for line in directory.lines()),
    )
    print_table(("LINE",), rows, empty="no lines yet: holdfast line add alice --password …")


@app.command("remove")
def remove(name: Name, config: Config = None, store: Store = None) -> None:
    """Remove a line. Live calls continue."""
    settings = settings_from(config=config, store=store)
    missing = CommandStopped(f"there is no line {name}", fix="holdfast line list")
    remove_entry(settings, "lines", name, lambda directory: directory.own_lines.remove(name), missing=missing)
    print_line(f"line {name} is removed")
    note_if_in_file("lines", name, settings.lines)


def _registrar(settings: Settings) -> str:
    """Return where phones register: the address of the running server, else that of the settings."""
    running = find_run_file(settings.store_path)
    host, _, port = running.sip.rpartition(":") if running else (settings.sip_host, ":", str(settings.sip_port))
    return f"{settings.advertised_ip or host}:{port}"
