"""Run the demo: set up, play both acts at once, report what was heard."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from rich.console import Console

from holdfast.testing.clock import now_s
from holdfast.testing.demo.acts import conference_act, legs_act, play_conference, play_legs
from holdfast.testing.demo.report import write_report
from holdfast.testing.demo.stage import set_up
from holdfast.testing.demo.story import Act, as_expected
from holdfast.testing.demo.view import DemoView, findings_table, view_on
from holdfast.testing.server import ServerFailed

REFRESH_S = 0.1
TABLE_COLUMNS = 100
LISTEN_S = 3.0
"""How long each phase lasts once it is heard: long enough for a person to hear it, and to see it in the picture."""


def play(folder: Path, console: Console | None = None, *, listen_s: float = LISTEN_S) -> int:
    """Run the demo; return 0 only if every phase was heard as expected at every ear."""
    console = console or console_here()
    acts = [conference_act(listen_s=listen_s), legs_act(listen_s=listen_s)]
    console.print(
        "Two calls at once, each held and resumed twice. Every phone hums its own chord and tells what it hears."
    )
    try:
        asyncio.run(_play(acts, console))
    except ServerFailed as error:
        console.print(str(error), style="red", markup=False)
        return 1
    console.print(findings_table(acts))
    for act in acts:
        if act.failure is not None:
            console.print(f"{act.title}: {act.failure}", style="bold red", markup=False)
    written = write_report(acts, folder)
    console.print("Written: " + ", ".join(str(path) for path in written), markup=False, soft_wrap=True)
    good = as_expected(acts)
    console.print(
        "Every phase was heard as expected, at every ear." if good else "Not every phase was heard as expected.",
        style="bold green" if good else "bold red",
    )
    return 0 if good else 1


def console_here() -> Console:
    """Return the console for the output: as wide as the terminal, or as wide as the table."""
    console = Console(soft_wrap=True)
    return console if console.is_terminal else Console(soft_wrap=True, width=TABLE_COLUMNS)


async def _play(acts: list[Act], console: Console) -> None:
    async with set_up() as stage:
        # A full garbage collection takes 150 ms after all imports, and the phones would fall silent meanwhile.
        gc.collect()
        gc.freeze()
        with view_on(console) as view:
            async with asyncio.TaskGroup() as tasks:
                refreshing = tasks.create_task(_refresh(view, acts), name="demo: view")
                async with asyncio.TaskGroup() as playing:
                    playing.create_task(play_conference(acts[0], stage), name="demo: act 1")
                    playing.create_task(play_legs(acts[1], stage), name="demo: act 2")
                refreshing.cancel()


async def _refresh(view: DemoView, acts: list[Act]) -> None:
    while True:
        view.show(acts, now_s())
        await asyncio.sleep(REFRESH_S)
