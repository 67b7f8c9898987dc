"""Read a password for a command from standard input, the terminal, or an option.

Every user of the machine can read the arguments of a process while it runs.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from holdfast.cli.options import WRONG_SETTINGS
from holdfast.cli.terminal import CommandStopped

FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input, where no other user sees it.")
]


def read_password(option: str | None, *, stdin: bool, confirm: bool = False) -> str:
    """Return the option's password, the first line of standard input, or typed input. Raises: CommandStopped."""
    if stdin and option is not None:
        raise CommandStopped(
            "--password and --password-stdin are both given", fix="Give one of them.", status=WRONG_SETTINGS
        )
    if not stdin:
        return option or str(typer.prompt("Password", hide_input=True, confirmation_prompt=confirm))
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        fix = "Its first line is the password: … --password-stdin < file"
        raise CommandStopped("standard input has no password", fix=fix, status=WRONG_SETTINGS)
    return password
