"""A measured figure beside the bar it is held against, and the table of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. `bar` is what `value` may at most be; None for a figure that is only told."""

    what: str
    value: float
    unit: str
    bar: float | None = None
    note: str = ""

    @property
    def within(self) -> bool:
        """Whether the figure keeps its bar; one without a bar always does."""
        return self.bar is None or self.value <= self.bar


def percentiles(what: str, seconds: Sequence[float], *, p50_ms: float, p99_ms: float, note: str = "") -> list[Figure]:
    """Median and 99th percentile of times, each beside its bar. Units: seconds in, ms out."""
    times_ms = np.asarray(seconds) * 1000
    count = f"{len(times_ms)} times{', ' + note if note else ''}"
    return [
        Figure(what=f"{what}, p50", value=float(np.percentile(times_ms, 50)), unit="ms", bar=p50_ms, note=count),
        Figure(what=f"{what}, p99", value=float(np.percentile(times_ms, 99)), unit="ms", bar=p99_ms),
        Figure(what=f"{what}, longest", value=float(times_ms.max()), unit="ms"),
    ]


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the table."""
    table = Table(title="Measured from outside the engine, at the socket of the ear", title_justify="left")
    for heading in ("what", "measured", "bar", "", "note"):
        table.add_column(heading, justify="right" if heading in ("measured", "bar") else "left")
    for figure in figures:
        told = f"{figure.value:.1f}" if figure.unit == "ms" else f"{figure.value:g}"
        bar = "" if figure.bar is None else f"≤ {figure.bar:.1f}" if figure.unit == "ms" else f"≤ {figure.bar:g}"
        verdict = "" if figure.bar is None else "[green]✓[/]" if figure.within else "[bold red]✗[/]"
        table.add_row(figure.what, f"{told} {figure.unit}".rstrip(), bar, verdict, figure.note)
    console.print(table)
