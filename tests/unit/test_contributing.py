"""The steps of CONTRIBUTING.md work: the verb it adds is read, and its stories pass."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest

from holdfast.testing.world import World
from holdfast.voice.twiml import document
from holdfast.voice.twiml.document import Document, read
from holdfast.voice.twiml.verb import Element, Verb

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
VERB, ROWS, STORIES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def chime(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Element]]:
    """The verb of the page, added to the document as the page says."""
    module = ModuleType("chime")
    monkeypatch.setitem(sys.modules, "chime", module)
    exec(compile(VERB, "CONTRIBUTING.md", "exec"), module.__dict__)
    monkeypatch.setattr(document, "VERBS", {**document.VERBS, "Chime": module.Chime})
    monkeypatch.setattr(document, "ALLOWED", {**document.ALLOWED, "main": frozenset(document.VERBS)})
    monkeypatch.setattr(document, "CHILDLESS", document.CHILDLESS | {"Chime"})
    read.cache_clear()
    yield cast("type[Element]", module.Chime)
    read.cache_clear()


def test_the_rows_of_the_table_are_true(chime: type[Element]) -> None:
    rows = eval(f"[{ROWS}]", {"Chime": chime})
    assert len(rows) > 1
    for element, verb, codes in rows:
        meaning = read(Document(role="main", url="", text=f"<Response>{element}</Response>"))
        assert (meaning.verbs, [warned.code for warned in meaning.warnings]) == ((verb,), codes)


@pytest.mark.parametrize("killed", [False, True])
def test_the_stories_pass(chime: type[Element], killed: bool) -> None:
    names: dict[str, Callable[[World], None]] = {}
    exec(compile(STORIES, "CONTRIBUTING.md", "exec"), names)
    stories = [story for name, story in names.items() if name.startswith("test_")]
    assert len(stories) > 1
    for story in stories:
        story(World(killed=killed))


def test_the_named_files_and_hooks_exist() -> None:
    files = re.findall(r"`(holdfast/[\w/]+\.py|(?:twiml|model)/\w+\.py)`", PAGE)
    assert len(files) > 5
    wrong = [
        file
        for file in files
        if not any((ROOT / folder / file).is_file() for folder in (".", "holdfast/voice")) and "chime" not in file
    ]
    assert wrong == []
    assert [hook for hook in re.findall(r"`(accepts_\w+)`", PAGE) if not hasattr(Verb, hook)] == []
