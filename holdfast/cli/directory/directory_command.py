"""Change the directory of lines, numbers and routes by the running server, else in the store itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Literal, TypeVar

from holdfast.cli.client import Client, load_credentials, make_client
from holdfast.cli.run_file import find_run_file
from holdfast.cli.terminal import CommandStopped, print_note
from holdfast.settings import Settings
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ids import AccountSid
from holdfast.voice.runtime.directory.directory import Directory

R = TypeVar("R")

Section = Literal["lines", "numbers", "routes"]
"""The sections of the directory, as `holdfast.toml` and the engine's own API name them."""


def find_server(settings: Settings) -> Client | None:
    """Return a client of the running server, which holds the directory in memory, or None when none runs."""
    return make_client(settings) if find_run_file(settings.store_path) else None


def remove_entry(
    settings: Settings,
    section: Section,
    key: str,
    work: Callable[[Directory], Awaitable[bool]],
    *,
    missing: CommandStopped,
) -> None:
    """Remove a line, a number or a route. Raises: `missing` when it does not exist, CommandStopped."""
    server = find_server(settings)
    removed = server.delete(f"/engine/{section}/{key}") if server else with_stored_directory(settings, work)
    if not removed:
        raise missing


def note_if_in_file(section: Section, key: str, listed: Collection[str]) -> None:
    """Print a note when the settings still list the removed entry."""
    if key in listed:
        print_note(f"holdfast.toml lists it too, so the next start adds it again: remove it from [{section}]")


def with_stored_directory(settings: Settings, work: Callable[[Directory], Awaitable[R]]) -> R:
    """Run `work` on the stored directory while no server runs. Raises: CommandStopped."""
    # The imports of the database take a quarter of a second, which other commands do not need.
    from holdfast.cli.server.row_checks import READERS
    from holdfast.store.database import DatabaseInvalid, open_database
    from holdfast.store.key_values import SqlKeyValues

    async def opened() -> R:
        async with open_database(settings.store_path, readers=READERS) as database:
            account = AccountSid(load_credentials(settings).sid)
            return await work(await Directory.open(SqlKeyValues(database), account=account, now=time.time()))

    try:
        return asyncio.run(opened())
    except (DatabaseInvalid, StoreFailed) as error:
        raise CommandStopped(str(error)) from error
