"""The steps of CONTRIBUTING.md work: one file adds the verb, and its test file passes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from holdfast.testing.world import World
from holdfast.voice.twiml import document, verbs
from holdfast.voice.twiml.document import read
from holdfast.voice.twiml.verb import Element, Verb

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
VERB, TESTS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def chime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Element]]:
    """Add the verb of the page: one file in the folder of the verbs, and nothing beside it."""
    (tmp_path / "chime.py").write_text(VERB, "utf-8")
    monkeypatch.setattr(verbs, "__path__", [*verbs.__path__, str(tmp_path)])
    monkeypatch.setattr(document, "VERBS", document.find_verbs())
    read.cache_clear()
    yield document.VERBS["Chime"]
    read.cache_clear()
    del sys.modules[f"{verbs.__name__}.chime"]


@pytest.mark.parametrize("killed", [False, True])
def test_the_test_file_of_the_page_passes(chime: type[Element], killed: bool) -> None:
    names: dict[str, Any] = {}
    exec(compile(TESTS, "CONTRIBUTING.md", "exec"), names)
    tests = [test for name, test in names.items() if name.startswith("test_")]
    assert len(tests) > 2
    for test in tests:
        rows = [row for mark in getattr(test, "pytestmark", ()) for row in mark.args[1]]
        for row in rows or [(World(killed=killed),)]:
            test(*row)


def test_the_named_files_and_hooks_exist() -> None:
    files = re.findall(r"`(holdfast/[\w/]+\.py|(?:twiml|model)/\w+\.py)`", PAGE)
    assert len(files) > 4
    wrong = [
        file
        for file in files
        if not any((ROOT / folder / file).is_file() for folder in (".", "holdfast/voice")) and "chime" not in file
    ]
    assert wrong == []
    hooks = re.findall(r"^\| .+ \| `(\w+)`", PAGE, re.MULTILINE)
    assert len(hooks) > 4
    assert [hook for hook in hooks if not hasattr(Verb, hook)] == []
