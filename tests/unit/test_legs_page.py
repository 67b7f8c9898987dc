"""The page of rows, `docs/legs.md`, names existing stories and constants, and all rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from holdfast.voice.model import twilio_assumptions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "legs.md").read_text("utf-8")


def named() -> Iterator[tuple[str, str]]:
    """Return the file and the story of each proof."""
    yield from re.findall(r"`(tests/stories/\w+\.py)::(test_\w+)`", PAGE)


def defined_in(file: str) -> set[str]:
    """Return the stories of a file."""
    return set(re.findall(r"^def (test_\w+)", (ROOT / file).read_text("utf-8"), re.MULTILINE))


def test_every_story_it_names_exists() -> None:
    assert [(file, story) for file, story in named() if story not in defined_in(file)] == []


def test_every_numbered_row_and_every_recipe_is_on_it() -> None:
    files = {file for file, _ in named()}
    rows = {
        story
        for file in files
        for story in defined_in(file)
        if story.startswith(("test_row_", "test_recipe_", "test_in_"))
    }
    assert rows - {story for _, story in named()} == set()


def test_every_constant_it_names_exists() -> None:
    assert [name for name in re.findall(r"`([A-Z][A-Z_]+)`", PAGE) if not hasattr(twilio_assumptions, name)] == []
