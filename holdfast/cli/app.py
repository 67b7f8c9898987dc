"""Define the `holdfast` command with its subcommands, and run it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Sequence
from functools import cache, partial

import typer
from typer.main import get_command

from holdfast.cli import INTERRUPTED, console, demo
from holdfast.cli.calls import (
    calls_command,
    explain_command,
    holds_command,
    ladder_command,
    messages_command,
)
from holdfast.cli.directory import (
    account,
    lines_command,
    numbers,
    routes_command,
)
from holdfast.cli.doctor import doctor
from holdfast.cli.run import run as run_command
from holdfast.cli.server import serve
from holdfast.cli.terminal import CommandStopped, print_error

app = typer.Typer(
    name="holdfast",
    help="Put live phone calls on hold and bring them back: on Twilio, or on the voice engine inside.",
    epilog="First steps: holdfast demo  ·  holdfast serve, then open the link it prints",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

START, LOOK, SETUP = "Start", "Calls and holds", "Set up and look inside"
app.command(rich_help_panel=START)(demo.demo)
app.command(rich_help_panel=START)(serve.serve)
app.command(rich_help_panel=START, context_settings={"ignore_unknown_options": True})(run_command.run)
app.command(rich_help_panel=LOOK)(calls_command.calls)
app.command(rich_help_panel=LOOK)(holds_command.hold)
app.command(rich_help_panel=LOOK)(holds_command.resume)
app.command(rich_help_panel=LOOK)(holds_command.holds)
app.command(rich_help_panel=LOOK)(messages_command.messages)
app.command(rich_help_panel=LOOK)(console.console)
app.command(rich_help_panel=SETUP)(account.account)
app.add_typer(lines_command.app, name="line", rich_help_panel=SETUP)
app.add_typer(numbers.app, name="number", rich_help_panel=SETUP)
app.add_typer(routes_command.app, name="route", rich_help_panel=SETUP)
app.command(rich_help_panel=SETUP)(ladder_command.ladder)
app.command(rich_help_panel=SETUP)(explain_command.explain)
app.command(rich_help_panel=SETUP)(doctor.doctor)


def unwrap(documentation: str) -> str:
    """Return a docstring as help: paragraphs lose their line ends, examples (after a backspace) keep them."""
    paragraphs = inspect.cleandoc(documentation).split("\n\n")
    return "\n\n".join(each if each.startswith("\b") else each.replace("\n", " ") for each in paragraphs)


for family in (app, lines_command.app, numbers.app, routes_command.app):
    for command in family.registered_commands:
        command.help = unwrap(command.callback.__doc__ or "") if command.callback else None


_commands = cache(partial(get_command, app))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status."""
    try:
        _commands()(args=list(arguments))
    except CommandStopped as stop:
        print_error(stop)
        return stop.status
    except SystemExit as end:  # Typer ends with a status, after it has printed an error of usage itself
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) has ended. Python must not report it again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return 0
