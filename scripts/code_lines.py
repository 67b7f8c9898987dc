"""Count the code lines of a tree: lines that are not blank, comment, docstring or import.

python scripts/code_lines.py            holdfast/ and its packages, with and without holdfast/testing/
python scripts/code_lines.py PATH…      other files or folders
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
DEPTH = 3
"""Packages below this depth are counted as part of the one above."""
NO_CODE = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def count(source: str) -> int:
    """Return the number of code lines of one file."""
    code: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NO_CODE:
            code.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node = node.body[0]
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        code.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(code)


def count_tree(folder: Path) -> Counter[str]:
    """Return the code lines of each package below a folder, or of one file."""
    lines: Counter[str] = Counter()
    for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [folder]:
        package = path.parent.relative_to(folder.parent if folder.is_dir() else path.parent)
        lines["/".join(package.parts[:DEPTH]) or path.name] += count(path.read_text("utf-8"))
    return lines


def main(paths: list[str]) -> None:
    """Print a line for each package, and the sums."""
    lines: Counter[str] = Counter()
    for path in paths or [str(ROOT / "holdfast")]:
        lines += count_tree(Path(path).resolve())
    for package, number in lines.most_common():
        print(f"{number:7,}  {package}")
    print(f"{lines.total():7,}  in all")
    testing = sum(number for package, number in lines.items() if package.startswith("holdfast/testing"))
    if testing:
        print(f"{lines.total() - testing:7,}  without holdfast/testing")


if __name__ == "__main__":
    main(sys.argv[1:])
