"""The drawn state machines, and the drawings of the design, are those of the code."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from scripts.diagrams import DESIGN, PAGE, design, page, tree
from scripts.drawings import API, CONTROL, DRAWINGS, FOLDER, HOLDS, MEDIA, SIP, drawings

ROOT = Path(__file__).parents[2]


def test_the_page_is_drawn_from_the_tables_as_they_are() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: make diagrams"


def test_the_tree_of_the_design_is_the_packages_as_they_are() -> None:
    assert "holdfast/" in tree()
    assert DESIGN.read_text("utf-8") == design(), "run: make diagrams"


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_drawing_is_made_from_the_code_as_it_is(name: str) -> None:
    path, text = next(each for each in drawings() if each[0].stem == name)
    assert ElementTree.fromstring(text).tag.endswith("svg")
    assert path.read_text("utf-8") == text, "run: make diagrams"


def test_the_design_shows_every_drawing_and_no_other() -> None:
    shown = re.findall(r"\(drawings/(\w+)\.svg\)", (ROOT / "docs" / "design.md").read_text("utf-8"))
    assert sorted(shown) == sorted(DRAWINGS)
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(DRAWINGS)


def test_the_lifelines_name_folders_that_exist() -> None:
    folders = [folder for line in (API, CONTROL, HOLDS, MEDIA, SIP) for folder in line.folder.split(", ")]
    assert [folder for folder in folders if not (ROOT / "holdfast" / folder).is_dir()] == []
