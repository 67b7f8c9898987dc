"""Show the demo while it runs, and the table at its end.

On a terminal one table is kept current; without one, a line is printed whenever something changes.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from holdfast.testing.audio.recogniser import (
    NO_PACKETS,
    SILENCE,
    UNKNOWN,
    describe,
)
from holdfast.testing.demo.story import Act, ActFinding, findings, status_of
from holdfast.testing.signals import HOLD_MUSIC, SECOND_MUSIC

VOICE_STYLES = ("bold blue", "bold green")
SOUND_STYLES = {
    HOLD_MUSIC.name: "bold yellow",
    SECOND_MUSIC.name: "bold red",
    describe(SILENCE): "dim",
    describe(NO_PACKETS): "dim",
    UNKNOWN: "bold magenta",
}


class DemoView(Protocol):
    """A view that shows acts as they go."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, acts: list[Act], now_s: float) -> None:
        """Update what is shown."""
        ...


class TableView:
    """A table on a terminal, redrawn in place."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, refresh_per_second=12, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def show(self, acts: list[Act], now_s: float) -> None:
        """Draw the table again."""
        self._live.update(Group(*(_act_now(act, now_s) for act in acts)))


class LineView:
    """A line for each change, for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began_s: float | None = None
        self._printed: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: there is nothing to restore."""

    def show(self, acts: list[Act], now_s: float) -> None:
        """Print what has changed."""
        began_s = self._began_s = now_s if self._began_s is None else self._began_s
        for act in acts:
            if act.phases:
                self._print_change(now_s - began_s, act.title, "", act.phases[-1].title)
            for party in act.parties:
                held = ", on hold" if act.held == party else ""
                heard = describe(act.ears[party].now(now_s)) if party in act.ears else "nothing yet"
                line = f"{party} ({status_of(act, party)}{held}) hears {heard}"
                self._print_change(now_s - began_s, act.title, party, line)

    def _print_change(self, at_s: float, act: str, about: str, line: str) -> None:
        if self._printed.get((act, about)) != line:
            self._printed[act, about] = line
            self._console.print(f"{at_s:6.2f} s  {act}: {line}", highlight=False, markup=False, soft_wrap=True)


def view_on(console: Console) -> DemoView:
    """Return the view that fits the console."""
    return TableView(console) if console.is_terminal else LineView(console)


def _act_now(act: Act, now_s: float) -> RenderableType:
    doing = act.phases[-1].title if act.phases else "the phones call"
    table = Table(title=f"{act.title}: {doing}", title_justify="left", title_style="bold", expand=False, min_width=72)
    for heading, width in (("party", 12), ("call", 12), ("hold", 10), ("this ear hears now", 26)):
        table.add_column(heading, min_width=width)
    for party in act.parties:
        heard = describe(act.ears[party].now(now_s)) if party in act.ears else "nothing yet"
        held = Text("on hold", style="bold yellow") if act.held == party else Text("")
        table.add_row(party, status_of(act, party), held, Text(heard, style=_style(act, heard)))
    if act.failure is not None:
        table.caption = Text(act.failure, style="bold red")
    return table


def findings_table(acts: list[Act]) -> RenderableType:
    """Return the table of phases by ear: what was expected, what was heard, how long the switch took."""
    return Group(*(_findings_of(act) for act in acts))


def _findings_of(act: Act) -> RenderableType:
    table = Table(title=f"{act.title}: what each ear heard", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for heading in ("phase", "ear", "expected", "heard", "switch", ""):
        table.add_column(
            heading, justify="right" if heading == "switch" else "left", no_wrap=heading != "heard", overflow="fold"
        )
    phase = ""
    for finding in findings(act):
        if phase and phase != finding.phase:
            table.add_section()
        table.add_row(finding.phase if phase != finding.phase else "", *_cells(act, finding))
        phase = finding.phase
    return table


def _cells(act: Act, finding: ActFinding) -> tuple[str | Text, ...]:
    heard = Text(" → ").join(Text(heard, style=_style(act, heard)) for heard in finding.heard) or Text("nothing")
    switch = "" if not finding.switch_s else f"{finding.switch_s * 1000:.0f} ms"
    verdict = Text("✓", style="green") if finding.as_expected else Text("✗", style="bold red")
    return finding.party, finding.expected, heard, switch, verdict


def _style(act: Act, heard: str) -> str:
    voices = dict(zip(act.parties, VOICE_STYLES, strict=False))
    return (SOUND_STYLES | voices).get(heard, SOUND_STYLES[UNKNOWN])
