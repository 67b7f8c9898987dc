"""The pages that say what is there name tests as proof: each of them exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("docs/rfc-status.md", "docs/twilio-status.md")
NAMED = re.compile(r"`(tests/[\w/.-]+)(?:::(\w+))?[^`]*`")


@cache
def defined_in(path: Path) -> set[str]:
    """The names of the functions and classes of a file of tests."""
    tree = ast.parse(path.read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}


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
    rows = [line.split(" | ") for line in (ROOT / page).read_text("utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) > 50
    unproved = [row[0] for row in rows if len(row) > 2 and row[1].strip() == "yes" and "`tests/" not in " ".join(row)]
    assert unproved == []


def test_every_door_names_a_test_that_exists() -> None:
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    doors = [row for row in rows if row[0] != "Door"]
    assert len(doors) > 20
    assert [row[0] for row in doors if len(row) != len(("door", "who", "may", "proof"))] == []
    assert [row[0] for row in doors if not NAMED.search(row[3])] == []
    wrong = [
        f"{file}::{name}"
        for file, name in sorted(set(NAMED.findall(text)))
        if not name or not (ROOT / file).exists() or name not in defined_in(ROOT / file)
    ]
    assert wrong == []
