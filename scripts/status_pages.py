"""Keep the status pages short: `make pages` moves the names of tests out of the tables and into numbered footnotes.

Write a row with its proofs in any cell, as `tests/…::test_…`, and run it: the row keeps *yes*, *partly* or *no* and one
line, the proofs and whatever is longer go behind a footnote, and the footnotes are numbered in the order of the rows.
A page that is in order stays as it is, byte for byte; `tests/unit/test_status_pages.py` proves that all of them are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("docs/rfc-status.md", "docs/twilio-status.md", "docs/legs.md")
MAX_CELL = 160
"""The most characters a cell of a table may have."""
ANSWER_COLUMNS = ("There", "Avoided")
"""The headings under which a row says *yes*, *partly* or *no*."""
ANSWERS = ("yes", "partly", "no")

_PROOF = re.compile(r"`(?:tests/[\w/.-]+(?:::\w+)?|test_\w+)`")
_MARK = re.compile(r"\[\^(\d+)\]")
_FOOTNOTE = re.compile(r"^\[\^(\d+)\]: (.*)$")
_STORIES = re.compile(r"Story in `(tests/[\w/.-]+)`")
_PAGE_HEADING = "## Proofs"


@dataclass(slots=True, kw_only=True)
class Footnote:
    """What stands behind a row: a text that is longer than a line, and the tests that prove the row."""

    text: str = ""
    proofs: list[str] = field(default_factory=list)

    def line(self, number: int) -> str:
        """Write the footnote as one line of the page."""
        parts = [f"{self.text[0].upper()}{self.text[1:]}."] if self.text else []
        parts += [", ".join(f"`{proof}`" for proof in self.proofs)] if self.proofs else []
        return f"[^{number}]: " + " Proof: ".join(parts)


def tidy(page: str) -> str:
    """Return the page with its proofs in footnotes, numbered in the order of the rows."""
    old, lines = _split(page)
    notes: list[Footnote] = []
    out: list[str] = []
    header: list[str] = []
    stories = ""
    for line in lines:
        cells = _cells(line)
        if cells is None:
            header, stories = [], ""
        elif not header:
            stories = next((found[1] for cell in cells if (found := _STORIES.search(cell))), "")
            header = [_heading(cell) for cell in cells]
            cells = header
        elif not _is_rule(cells):
            cells, note = _row(header, cells, old, stories)
            if note is not None:
                notes.append(note)
                cells[_answer_column(header)] += f"[^{len(notes)}]"
        out.append(line if cells is None else _joined(cells))
    text = "\n".join(out).rstrip() + "\n"
    if notes:
        text += f"\n{_PAGE_HEADING}\n\n" + "\n".join(note.line(number) for number, note in enumerate(notes, 1)) + "\n"
    return text


def footnotes(page: str) -> dict[int, Footnote]:
    """Return the footnotes of a page by their numbers."""
    return _split(page)[0]


def rows(page: str) -> Iterator[tuple[str, str, tuple[int, ...], Sequence[str]]]:
    """Yield each row's first cell, its answer, the numbers of its footnotes, and all its cells."""
    header: list[str] = []
    for line in page.splitlines():
        cells = _cells(line)
        if cells is None:
            header = []
        elif not header:
            header = cells
        elif not _is_rule(cells):
            there = cells[_answer_column(header)]
            yield cells[0], _MARK.sub("", there).strip(), tuple(int(each) for each in _MARK.findall(there)), cells


def _row(
    header: Sequence[str], cells: Sequence[str], old: dict[int, Footnote], stories: str
) -> tuple[list[str], Footnote | None]:
    """Take the proofs out of a row, and what is too long for a cell; its footnote is None where neither is there."""
    note = Footnote()
    for number in (int(each) for cell in cells for each in _MARK.findall(cell)):
        note.text = old[number].text
        note.proofs += old[number].proofs
    short: list[str] = []
    long: list[str] = [note.text] if note.text else []
    answer = _answer_column(header)
    for place, cell in enumerate(cells):
        cell = _MARK.sub("", cell).strip().removesuffix(".")
        found = [proof.strip("`") for proof in _PROOF.findall(cell)]
        note.proofs += [f"{stories}::{proof}" if proof.startswith("test_") else proof for proof in found]
        rest = _without_proofs(cell) if found else cell
        if place == answer and rest not in ANSWERS:
            rest = "no" if "not built" in cells else "yes"
        elif len(rest) > MAX_CELL:
            long.append(rest)
            rest = _first_line(rest)
        short.append(rest)
    note.text = ". ".join(long)
    note.proofs = list(dict.fromkeys(note.proofs))
    return short, note if note.proofs or note.text else None


def _without_proofs(cell: str) -> str:
    """Return the words of a cell without the names of tests and the signs that led to them."""
    text = re.sub(rf"\s*\((?:\s|,|<br>|{_PROOF.pattern})*\)", "", cell)
    text = re.sub(rf"(?:\s|,|<br>|:)*{_PROOF.pattern}", "", text)
    text = text.replace("<br>", " ").replace(".;", ";")
    return re.sub(r"\s+", " ", text).strip(" ;,:").removesuffix(".")


def _first_line(text: str) -> str:
    """Return the first clause of a text that is too long for a cell."""
    for sign in (". ", "; ", ": ", ", "):
        first = text.split(sign)[0]
        if len(first) <= MAX_CELL:
            return first.rstrip(".")
    return text[: text.rindex(" ", 0, MAX_CELL)]


def _split(page: str) -> tuple[dict[int, Footnote], list[str]]:
    """Return the footnotes of a page and its other lines."""
    notes: dict[int, Footnote] = {}
    lines: list[str] = []
    for line in page.splitlines():
        if (found := _FOOTNOTE.match(line)) is not None:
            text, _, proofs = found[2].rpartition(" Proof: ")
            if not text and not proofs.startswith("`tests/"):
                text, proofs = proofs, ""
            notes[int(found[1])] = Footnote(
                text=text.removesuffix("."), proofs=[proof.strip("`") for proof in _PROOF.findall(proofs)]
            )
        elif line != _PAGE_HEADING:
            lines.append(line)
    return notes, lines


def _cells(line: str) -> list[str] | None:
    """Return the cells of a line of a table, None for any other line."""
    if not line.startswith("|"):
        return None
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def _joined(cells: Sequence[str]) -> str:
    """Write cells as a line of a table."""
    if _is_rule(cells):
        return "|" + "|".join(cells) + "|"
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _is_rule(cells: Sequence[str]) -> bool:
    """Return whether these cells are the line under the heading of a table."""
    return all(set(cell) <= set("-:") and cell for cell in cells)


def _heading(cell: str) -> str:
    """Return the heading of a column as it is once the proofs are in footnotes."""
    if _STORIES.search(cell):
        return "There"
    return {"Proof, or what is missing": "In one line", "Proof": "Avoided"}.get(cell, cell)


def _answer_column(header: Sequence[str]) -> int:
    """Return the place of the column with *yes*, *partly* or *no*. Raises: ValueError."""
    for place, cell in enumerate(header):
        if cell in ANSWER_COLUMNS:
            return place
    raise ValueError(f"a table of a status page has a column {' or '.join(ANSWER_COLUMNS)}, not only {list(header)}")


if __name__ == "__main__":
    for each in PAGES:
        path = ROOT / each
        path.write_text(tidy(path.read_text("utf-8")), "utf-8")
        print(f"in order: {path}")
