"""Know which tests run a line, from what was recorded of each test file, and choose the tests for a mutant."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

IMPORT_S = 0.4
"""What it costs to import one more test file, about."""

Record = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KnownTest:
    """A test, how long it takes, and the lines it runs: a number for each file, one bit for each line."""

    name: str
    seconds: float
    lines: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A line of a file: the lines of its statement, its function, and the names that it defines outside of any."""

    statement: range
    in_function: bool
    names: frozenset[str]


class CoverageMap:
    """Which tests run which lines of the product."""

    def __init__(self, records: Sequence[Record], *, root: Path) -> None:
        self._root = root
        self.tests: list[KnownTest] = [test for record in records for test in _tests(record)]
        self._imported: dict[str, int] = {}
        """The lines that run when a file is imported."""
        for record in records:
            for file, mask in _masks(record["imported"]).items():
                self._imported[file] = self._imported.get(file, 0) | mask
        self._trees: dict[str, ast.Module] = {}

    def tests_for(self, file: str, line: int) -> list[KnownTest]:
        """Return the tests that run a line, quickest first.

        A line outside of functions runs when the file is imported. Its tests are those of test files that name what it
        defines, and then those that run a line of a function that names it; if there are none, those that run any
        function of the file. A function that runs during the import has the tests of test files that name its module.
        """
        place = self.place(file, line)
        if place.in_function:
            running = self._running({file: 1 << line}) or self._running({file: _mask(place.statement)})
            if not self._imported.get(file, 0) & 1 << line:
                return _quickest(running)
            module = file.removesuffix(".py").replace("/", ".")
            return _quickest(self._in_test_files_naming({module, Path(file).stem}), running)
        names = self._naming(file, place.names)
        using = self._running(self._uses(names)) or self._running({file: self._functions(file)})
        return _quickest(self._in_test_files_naming(names), using)

    def _naming(self, file: str, names: Iterable[str]) -> frozenset[str]:
        """Return these names, and those that the file defines by them outside of functions: a table by its rows."""
        found = set(names)
        while (pattern := _pattern(found)) is not None:
            more = {
                name
                for node, inside in _statements(self._tree(file), inside=False)
                if not inside and isinstance(node, ast.Assign | ast.AnnAssign) and pattern.search(ast.unparse(node))
                for name in _defined(node)
            }
            if more <= found:
                break
            found |= more
        return frozenset(found)

    def _running(self, masks: Mapping[str, int]) -> list[KnownTest]:
        return [
            test for test in self.tests if any(test.lines.get(file, 0) & mask for file, mask in masks.items() if mask)
        ]

    def place(self, file: str, line: int) -> _Place:
        """Return where a line stands."""
        statement, in_function, names = range(line, line + 1), False, set[str]()
        for node, inside in _statements(self._tree(file), inside=False):
            assert isinstance(node, ast.stmt)
            if not node.lineno <= line <= (node.end_lineno or node.lineno):
                continue
            header = range(node.lineno, _header_end(node) + 1)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not inside and line in header:
                in_function, names = False, {node.name}
            elif line in header:
                in_function = inside
            if line in header:
                statement = header
            if not inside:
                names |= _defined(node)
        return _Place(statement=statement, in_function=in_function, names=frozenset(names))

    def _tree(self, file: str) -> ast.Module:
        if file not in self._trees:
            self._trees[file] = ast.parse((self._root / file).read_text("utf-8"))
        return self._trees[file]

    def _functions(self, file: str) -> int:
        mask = 0
        for node, inside in _statements(self._tree(file), inside=False):
            if inside:
                mask |= _mask(range(node.lineno, _header_end(node) + 1))
        return mask

    def _uses(self, names: Iterable[str]) -> dict[str, int]:
        """Return the lines of functions that name one of these, file by file."""
        pattern = _pattern(names)
        if pattern is None:
            return {}
        return {
            file: mask
            for file, text in self._texts.items()
            if (mask := _matching(text, pattern) & self._functions(file))
        }

    def _in_test_files_naming(self, names: Iterable[str]) -> list[KnownTest]:
        pattern = _pattern(names)
        if pattern is None:
            return []
        files = {file for file, text in self._test_texts.items() if pattern.search(text)}
        return [test for test in self.tests if test.name.split("::")[0] in files]

    @cached_property
    def _test_texts(self) -> dict[str, str]:
        files = {test.name.split("::")[0] for test in self.tests}
        return {file: (self._root / file).read_text("utf-8") for file in files if (self._root / file).exists()}

    @cached_property
    def _texts(self) -> dict[str, str]:
        return {
            str(path.relative_to(self._root)): path.read_text("utf-8")
            for path in sorted((self._root / "holdfast").rglob("*.py"))
        }


def portions(tests: Sequence[KnownTest], *, limits_s: Sequence[float]) -> list[list[KnownTest]]:
    """Cut tests, quickest first, into portions: each ends where the costs of all so far exceed its limit."""
    found: list[list[KnownTest]] = []
    left = list(tests)
    spent = 0.0
    for limit_s in limits_s:
        portion: list[KnownTest] = []
        files: set[str] = set()
        while left:
            file = left[0].name.split("::")[0]
            cost = left[0].seconds + (0 if file in files else IMPORT_S)
            if spent + cost > limit_s and (portion or found):
                break
            spent += cost
            files.add(file)
            portion.append(left.pop(0))
        if portion:
            found.append(portion)
    return found


class Cache:
    """What was recorded, one file for each test file; a record is good as long as all that it has run is the same."""

    def __init__(self, folder: Path, *, root: Path) -> None:
        self._folder = folder
        self._root = root
        self._hashes: dict[str, str] = {}
        support = [
            path
            for path in sorted((root / "tests").rglob("*.py"))
            if not path.name.startswith("test_") and "interop" not in path.parts
        ]
        self._support = _digest([*support, root / "pyproject.toml", root / "scripts/mutants/recorder.py"])

    def get(self, test_file: str) -> Record | None:
        """Return the record of a test file, if it is good."""
        path = self._path(test_file)
        if not path.exists():
            return None
        kept: Record = json.loads(path.read_text("utf-8"))
        good = kept["of"] == self._of(test_file) and all(
            self._hash(file) == hashed for file, hashed in kept["ran"].items()
        )
        return kept if good else None

    def put(self, test_file: str, record: Record) -> None:
        """Keep the record of a test file."""
        everything = [test["lines"] for test in record["tests"].values()] + list(record["shared"].values())
        ran = sorted({file for lines in everything for file in lines})
        kept = record | {"of": self._of(test_file), "ran": {file: self._hash(file) for file in ran}}
        self._folder.mkdir(parents=True, exist_ok=True)
        self._path(test_file).write_text(json.dumps(kept), encoding="utf-8")

    def _path(self, test_file: str) -> Path:
        return self._folder / (test_file.replace("/", "-") + ".json")

    def _of(self, test_file: str) -> str:
        return self._support + self._hash(test_file)

    def _hash(self, file: str) -> str:
        if file not in self._hashes:
            self._hashes[file] = _digest([self._root / file])
        return self._hashes[file]


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes() if path.exists() else b"gone")
    return digest.hexdigest()[:16]


def _tests(record: Record) -> Iterator[KnownTest]:
    shared = {context: _masks(lines) for context, lines in record["shared"].items()}
    for name, found in record["tests"].items():
        lines = _masks(found["lines"])
        for fixture in found["fixtures"]:
            for file, mask in shared.get(f"shared:{fixture}", {}).items():
                lines[file] = lines.get(file, 0) | mask
        yield KnownTest(name=name, seconds=found["s"], lines=lines)


def _masks(lines: Mapping[str, str]) -> dict[str, int]:
    return {file: int(mask, 16) for file, mask in lines.items()}


def _quickest(*groups: Iterable[KnownTest]) -> list[KnownTest]:
    """Return the tests of each group, quickest first, each test once."""
    return list(dict.fromkeys(test for group in groups for test in sorted(group, key=lambda test: test.seconds)))


def _pattern(names: Iterable[str]) -> re.Pattern[str] | None:
    words = "|".join(map(re.escape, sorted(names)))
    return re.compile(rf"\b(?:{words})\b") if words else None


def _mask(lines: range) -> int:
    return sum(1 << line for line in lines)


def _matching(text: str, pattern: re.Pattern[str]) -> int:
    return sum(1 << number for number, line in enumerate(text.splitlines(), 1) if pattern.search(line))


def _statements(node: ast.AST, *, inside: bool) -> Iterator[tuple[ast.stmt, bool]]:
    """Yield each statement below a node, outer ones first, and whether it stands in a function."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child, inside
            yield from _statements(child, inside=inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))
        elif isinstance(child, ast.ExceptHandler | ast.match_case):
            yield from _statements(child, inside=inside)


def _header_end(node: ast.stmt) -> int:
    """Return the last line of a simple statement, or of what stands before the body of a compound one."""
    body = getattr(node, "body", None)
    if body:
        return max(node.lineno, int(body[0].lineno) - 1)
    if isinstance(node, ast.Match):
        return node.lineno
    return node.end_lineno or node.lineno


def _defined(node: ast.stmt) -> set[str]:
    match node:
        case ast.Assign(targets=targets):
            return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.ClassDef(name=name):
            return {name}
        case _:
            return set()
