"""A measured figure beside the bar it is held against, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan

import numpy as np
from rich.console import Console
from rich.table import Table


class NotMeasured(RuntimeError):
    """An error for a measurement that could not be made here, with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A line of the table. `bar` is the most that `value` may be; None for a figure that has no bar.

    A `value` that is no number was not measured; `note` says why.
    """

    what: str
    value: float
    unit: str = ""
    bar: float | None = None
    note: str = ""

    @property
    def within(self) -> bool:
        """Return whether the figure was measured and keeps its bar; one without a bar always does."""
        return not isnan(self.value) and (self.bar is None or self.value <= self.bar)

    @property
    def text(self) -> str:
        """Return the value with its unit."""
        if isnan(self.value):
            return "—"
        return f"{self.value:.1f} ms" if self.unit == "ms" else f"{self.value:g} {self.unit}".rstrip()

    @property
    def verdict(self) -> str:
        """Return a mark for kept or not; "" without a bar."""
        if self.bar is None and not isnan(self.value):
            return ""
        return "[green]✓[/]" if self.within else "[bold red]✗[/]"


def not_measured(what: str, why: str) -> Figure:
    """Return a line for a figure that was not measured."""
    return Figure(what=what, value=nan, note=f"not measured: {why}")


def percentiles(
    what: str, seconds: Sequence[float], *, p50_ms: float | None = None, p99_ms: float | None = None, note: str = ""
) -> list[Figure]:
    """Return median, 99th percentile and longest of times, with their bars. Units: seconds in, ms out.

    Raises: NotMeasured.
    """
    if not len(seconds):
        raise NotMeasured(f"{what}: no times")
    times_ms = np.asarray(seconds) * 1000
    count = f"{len(times_ms)} times{', ' + note if note else ''}"
    return [
        Figure(what=f"{what}, p50", value=float(np.percentile(times_ms, 50)), unit="ms", bar=p50_ms, note=count),
        Figure(what=f"{what}, p99", value=float(np.percentile(times_ms, 99)), unit="ms", bar=p99_ms),
        Figure(what=f"{what}, longest", value=float(times_ms.max()), unit="ms"),
    ]


def line(figure: Figure) -> str:
    """Return the figure in one line, as it is printed when it is new."""
    bar = "" if figure.bar is None else f" (bar {figure.bar:g})"
    return f"   {figure.verdict or '[dim]·[/]'} {figure.what}: [bold]{figure.text}[/]{bar}"


def show(figures: Sequence[Figure], console: Console, *, caption: str = "") -> None:
    """Print the table."""
    table = Table(title="Every figure beside its bar", title_justify="left", caption=caption, caption_justify="left")
    for heading in ("what", "measured", "bar", "", "note"):
        table.add_column(heading, justify="right" if heading in ("measured", "bar") else "left")
    for figure in figures:
        bar = "" if figure.bar is None else f"≤ {figure.bar:.1f}" if figure.unit == "ms" else f"≤ {figure.bar:g}"
        table.add_row(figure.what, figure.text, bar, figure.verdict, figure.note)
    console.print(table)
