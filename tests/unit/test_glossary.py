"""The glossary, `docs/glossary.md`: each word once, with a meaning, a source and the file in which the thing lives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "glossary.md").read_text("utf-8")


def words() -> Iterator[list[str]]:
    """Yield the cells of each word: word, meaning, source, file."""
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and len(cells) == len(("word", "meaning", "source", "where")) and cells[0] != "Word":
            yield cells


def test_each_word_has_one_entry() -> None:
    found = [word.strip() for cells in words() for word in cells[0].split(",")]
    assert 40 <= len(list(words())) <= 60
    assert sorted(set(found)) == sorted(found)


def test_each_word_has_a_meaning_and_a_source() -> None:
    wrong = [
        cells[0]
        for cells in words()
        if not cells[1].endswith(".") or not re.search(r"^(ours|as above|RFC \d|Twilio `|ITU-T )", cells[2])
    ]
    assert wrong == []


def test_each_path_of_the_glossary_exists() -> None:
    wrong = [cells[0] for cells in words() if not (ROOT / "holdfast" / cells[3].strip("`")).is_file()]
    assert wrong == []
