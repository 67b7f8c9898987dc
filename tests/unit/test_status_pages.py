"""The status pages name tests as proof, and each of them exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from holdfast.voice.api.twilio import calls, participants
from scripts.status_pages import ANSWERS, MAX_CELL, PAGES, footnotes, rows, tidy

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/.-]+)(?:::(\w+))?[^`]*`")


@cache
def defined_in(path: Path) -> set[str]:
    """Return the names of the functions and classes of a file of tests."""
    return set(re.findall(r"^ *(?:def|async def|class) (\w+)\b", path.read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES)
def test_every_test_that_is_named_as_proof_exists(page: str) -> None:
    named = set(NAMED.findall((ROOT / page).read_text("utf-8")))
    assert len(named) > 50
    wrong = [
        f"{file}::{name}"
        for file, name in sorted(named)
        if not (ROOT / file).exists() or (name and name not in defined_in(ROOT / file))
    ]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES)
def test_every_row_that_says_yes_names_its_proof(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    notes = footnotes(text)
    answered = list(rows(text))
    assert len(answered) > 50
    unproved = [
        row for row, answer, marks, _ in answered if answer == "yes" and not any(notes[mark].proofs for mark in marks)
    ]
    assert unproved == []


@pytest.mark.parametrize("page", PAGES)
def test_every_row_is_an_answer_and_one_line(page: str) -> None:
    answered = list(rows((ROOT / page).read_text("utf-8")))
    assert [row for row, answer, _, _ in answered if answer not in ANSWERS] == []
    assert [row for row, _, _, cells in answered if any(len(cell) > MAX_CELL for cell in cells)] == []


@pytest.mark.parametrize("page", PAGES)
def test_the_proofs_are_in_footnotes_in_the_order_of_the_rows(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    assert tidy(text) == text, "run: make pages"
    assert [mark for _, _, marks, _ in rows(text) for mark in marks] == list(range(1, len(footnotes(text)) + 1))


def test_a_row_is_written_with_its_proofs_in_it() -> None:
    heading = "| What | There | In one line |\n|---|---|---|\n"
    first = "| Hold | yes | told twice: `tests/a.py::test_one`; not thrice (`tests/b.py`) |\n"
    second = "| Resume | no | |\n"
    page = tidy(heading + first + second)
    assert page == (
        heading + "| Hold | yes[^1] | told twice; not thrice |\n" + second + "\n"
        "## Proofs\n\n"
        "[^1]: `tests/a.py::test_one`, `tests/b.py`\n"
    )
    third = "| Park | partly | `tests/c.py::test_three` |\n"
    assert tidy(page.replace("| Hold", third + "| Hold")) == (
        heading + "| Park | partly[^1] | |\n| Hold | yes[^2] | told twice; not thrice |\n" + second + "\n"
        "## Proofs\n\n"
        "[^1]: `tests/c.py::test_three`\n"
        "[^2]: `tests/a.py::test_one`, `tests/b.py`\n"
    )


def test_text_longer_than_a_line_moves_to_the_footnote() -> None:
    long = "a short beginning; " + "and much more " * 20 + "in the end"
    page = tidy(f"| What | There | In one line |\n|---|---|---|\n| Hold | yes | {long} `tests/a.py` |\n")
    assert "| Hold | yes[^1] | a short beginning |" in page
    assert f"[^1]: {long.capitalize()}. Proof: `tests/a.py`\n" in page
    assert tidy(page) == page


def test_every_row_of_access_control_names_an_existing_test() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    rows_of_access = [row for row in rows if row[0] != "Interface"]
    assert len(rows_of_access) > 20
    assert [row[0] for row in rows_of_access if len(row) != len(("interface", "client", "may", "proof"))] == []
    assert [row[0] for row in rows_of_access if not NAMED.search(row[3])] == []
    wrong = [
        f"{file}::{name}"
        for file, name in sorted(set(NAMED.findall(text)))
        if not name or not (ROOT / file).exists() or name not in defined_in(ROOT / file)
    ]
    assert wrong == []


def test_each_parameter_that_is_accepted_without_effect_has_its_line() -> None:
    text = (ROOT / "docs/twilio-status.md").read_text("utf-8")
    section = text[text.index("## Parameters without effect") : text.index("## Calls and webhooks")]
    named = re.findall(r"^\| `(\w+)` \| no \|", section, re.MULTILINE)
    assert named == sorted(calls.CREATE_IGNORED | participants.CREATE_IGNORED)
