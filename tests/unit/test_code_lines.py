"""The script that counts code lines leaves out blank lines, comments, docstrings and imports, and nothing else."""

from __future__ import annotations

from pathlib import Path

from scripts.code_lines import count, count_tree

SOURCE = '''"""A docstring
of two lines.
"""

# a comment
import os
from sys import (
    path,
)

TEXT = """
two lines
"""  # both are code


class Empty:
    """A class."""

    def value(self) -> int:
        "Return a value."
        import json

        return (
            1
        )
'''


def test_only_code_lines_are_counted() -> None:
    assert count(SOURCE) == len(['TEXT = """', "two lines", '"""', "class", "def", "return (", "1", ")"])
    assert count("") == count("# nothing\n\n") == 0


def test_lines_are_summed_by_package(tmp_path: Path) -> None:
    (tmp_path / "a" / "b" / "c" / "d").mkdir(parents=True)
    for name in ("one.py", "b/two.py", "b/c/three.py", "b/c/d/four.py"):
        (tmp_path / "a" / name).write_text("x = 1\n")
    assert count_tree(tmp_path / "a") == {"a": 1, "a/b": 1, "a/b/c": 2}
    assert count_tree(tmp_path / "a" / "one.py") == {"one.py": 1}
