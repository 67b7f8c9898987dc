"""Draw boxes, arrows and sequences as SVG text: the few shapes that the drawings of docs/design.md need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from xml.sax.saxutils import escape

INK, QUIET, PAPER = "#1f2933", "#616e7c", "#ffffff"
Anchor = Literal["start", "middle", "end"]
LINE = 18
"""Units: pixels from one line of text to the next."""


@dataclass(slots=True)
class Picture:
    """A picture that grows by shapes. Units: pixels, from the upper left corner."""

    title: str
    width: int
    height: int
    shapes: list[str] = field(default_factory=list)

    def text(
        self, x: float, y: float, words: str, *, size: int = 13, bold: bool = False, ink: str = INK, anchor: Anchor
    ) -> None:
        """Write one line of words whose baseline is at `y`."""
        weight = ' font-weight="bold"' if bold else ""
        self.shapes.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{ink}" text-anchor="{anchor}"{weight}>'
            f"{escape(words)}</text>"
        )

    def lines(self, x: float, y: float, words: Sequence[str], *, size: int = 13, anchor: Anchor = "start") -> None:
        """Write lines of words, the first with its baseline at `y`."""
        for number, line in enumerate(words):
            self.text(x, y + number * LINE, line, size=size, anchor=anchor)

    def box(self, x: float, y: float, width: float, height: float, *, fill: str = "#f5f7fa", ink: str = INK) -> None:
        """Draw a box."""
        self.shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" fill="{fill}" stroke="{ink}"/>'
        )

    def line(self, x: float, y: float, to_x: float, to_y: float, *, ink: str = INK, dashed: bool = False) -> None:
        """Draw a line."""
        dashes = ' stroke-dasharray="4 4"' if dashed else ""
        self.shapes.append(f'<path d="M{x:g} {y:g}L{to_x:g} {to_y:g}" fill="none" stroke="{ink}"{dashes}/>')

    def arrow(self, x: float, y: float, to_x: float, to_y: float, *, ink: str = INK, both: bool = False) -> None:
        """Draw an arrow, with `both` one that points both ways."""
        start = ' marker-start="url(#tip)"' if both else ""
        self.shapes.append(
            f'<path d="M{x:g} {y:g}L{to_x:g} {to_y:g}" fill="none" stroke="{ink}"{start} marker-end="url(#tip)"/>'
        )

    def svg(self) -> str:
        """Return the whole file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height}" '
            f'viewBox="0 0 {self.width} {self.height}" font-family="DejaVu Sans, Verdana, sans-serif">'
        )
        tip = (
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            f'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="{INK}"/></marker></defs>'
        )
        paper = f'<rect width="{self.width}" height="{self.height}" fill="{PAPER}"/>'
        return "\n".join([head, f"<title>{escape(self.title)}</title>", tip, paper, *self.shapes, "</svg>", ""])


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifeline:
    """One party of a sequence: its name, and where its code is ("" when it is not ours)."""

    name: str
    folder: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """A message of a sequence. A `target` that is the source is written beside its lifeline."""

    source: str
    target: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A line of words across the whole sequence, such as the moment between two steps."""

    words: str


def sequence(title: str, lifelines: Sequence[Lifeline], events: Sequence[Arrow | Note], *, gap: int = 296) -> Picture:
    """Draw a sequence: lifelines side by side, events from top to bottom."""
    top, step, margin = 66, 27, 94
    width = 2 * margin + gap * (len(lifelines) - 1)
    picture = Picture(title, width, top + 26 + step * (len(events) + 1))
    places = {each.name: margin + gap * number for number, each in enumerate(lifelines)}
    for each in lifelines:
        x = places[each.name]
        picture.line(x, top, x, picture.height - 14, ink=QUIET, dashed=True)
        picture.box(x - 84, 14, 168, top - 14)
        picture.text(x, 38, each.name, bold=True, anchor="middle")
        picture.text(x, 56, each.folder, size=11, ink=QUIET, anchor="middle")
    y = top + 8.0
    for event in events:
        y += step
        if isinstance(event, Note):
            picture.shapes.append(
                f'<rect x="6" y="{y - 15:g}" width="{width - 12}" height="21" rx="4" fill="#e4e7eb"/>'
            )
            picture.text(width / 2, y, event.words, size=12, anchor="middle")
            continue
        start, end = places[event.source], places[event.target]
        if start == end:
            _words(picture, start + 8, y, event.words, anchor="start")
            continue
        _words(picture, (start + end) / 2, y - 5, event.words, anchor="middle")
        picture.arrow(start, y, end, y)
    return picture


def _words(picture: Picture, x: float, y: float, words: str, *, anchor: Anchor) -> None:
    """Write words with a white edge, so that a lifeline behind them does not cross them out."""
    picture.shapes.append(
        f'<text x="{x:g}" y="{y:g}" font-size="11" fill="{INK}" text-anchor="{anchor}" stroke="{PAPER}" '
        f'stroke-width="4" paint-order="stroke">{escape(words)}</text>'
    )
