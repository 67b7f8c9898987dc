"""Change the directory of lines, numbers and routes by the running server, else in the store itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Literal, TypeVar

from holdfast.cli.client import Client, load_credentials, make_client
from holdfast.cli.run_file import find_run_file
from holdfast.cli.settings_directory import open_directory
from holdfast.cli.terminal import CommandStopped, print_note
from holdfast.settings import Settings
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.runtime.directory.directory import Directory

R = TypeVar("R", bound=tuple[str, ...])
T = TypeVar("T")

Section = Literal["lines", "numbers", "routes"]
"""The sections of the directory, as `holdfast.toml` and the engine's own API name them."""


def find_server(settings: Settings) -> Client | None:
    """Return a client of the running server, which holds the directory in memory, or None when none runs."""
    return make_client(settings) if find_run_file(settings.store_path) else None


def put_entry(
    settings: Settings, section: Section, fields: dict[str, object], work: Callable[[Directory], Awaitable[None]]
) -> None:
    """Add or replace a line, a number or a route: the server with these fields, else `work`. Raises: CommandStopped."""
    if server := find_server(settings):
        server.post(f"/engine/{section}", fields)
    else:
        with_stored_directory(settings, work)


def list_entries(
    settings: Settings,
    section: Section,
    of_server: Callable[[dict[str, Any]], R],
    of_directory: Callable[[Directory], Iterable[R]],
) -> list[R]:
    """Return the lines, numbers or routes of the server, else those of the store and the settings, in order.

    Raises: CommandStopped.
    """

    async def listed(directory: Directory) -> list[R]:
        return sorted(of_directory(directory))

    if server := find_server(settings):
        return sorted(of_server(each) for each in server.get(f"/engine/{section}", required_key=section)[section])
    return with_stored_directory(settings, listed, with_settings=True)


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


def with_stored_directory(
    settings: Settings, work: Callable[[Directory], Awaitable[T]], *, with_settings: bool = False
) -> T:
    """Run `work` on the stored directory, with the entries of the settings or without. Raises: CommandStopped."""
    # The imports of the database take a quarter of a second, which other commands do not need.
    from holdfast.cli.server.row_checks import READERS
    from holdfast.store.database import DatabaseInvalid, open_database
    from holdfast.store.key_values import SqlKeyValues

    async def opened() -> T:
        async with open_database(settings.store_path, readers=READERS) as database:
            account = load_credentials(settings).sid
            return await work(
                await open_directory(SqlKeyValues(database), settings if with_settings else None, account=account)
            )

    try:
        return asyncio.run(opened())
    except (DatabaseInvalid, StoreFailed) as error:
        raise CommandStopped(str(error)) from error
