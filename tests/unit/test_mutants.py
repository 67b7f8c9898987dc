"""The tool that breaks the product in small places draws evenly, and believes only what a test shows."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from scripts.mutants.__main__ import Outcome, Worker, equivalents, judge, key_of, table
from scripts.mutants.candidates import Mutant, Source, draw, mutant_of
from scripts.mutants.coverage_map import Cache, CoverageMap, KnownTest, Record, portions

ROOT = Path(__file__).parents[2]

CODE = '''"""A module."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)
T = TypeVar("T")
Names = dict[str, int]
Either = Path | None
LIMIT = 5


class Port(Protocol):
    def send(self, number: int = 3) -> None: ...


@dataclass(frozen=True, slots=True)
class Line:
    size: int = 4

    def fits(self, number: int | None = None) -> bool:
        """Return whether it fits."""
        if number is None:
            log.warning("no number at %d", 3)
            raise ValueError("no number")
        self.check(number)
        return number < LIMIT and number + 1 < self.size
'''


def mutants_of(code: str) -> list[Mutant]:
    source = Source("m.py", code)
    made = [source.mutant(each) for line in source.lines for each in source.by_line[line]]
    return [each for each in made if each is not None]


def test_a_line_has_the_mutations_that_fit_it() -> None:
    last = CODE.splitlines()[-1].strip()
    made = {each.added[0].strip() for each in mutants_of(CODE) if each.removed[0].strip() == last}
    assert made == {
        "return number <= LIMIT and number + 1 < self.size",
        "return number < LIMIT or number + 1 < self.size",
        "return number < LIMIT and number - 1 < self.size",
        "return number < LIMIT and number + 2 < self.size",
        "return number < LIMIT and number + 1 <= self.size",
    }


def test_a_statement_that_is_there_for_what_it_does_is_dropped() -> None:
    assert ("self.check(number)", "pass") in {
        (each.removed[0].strip(), each.added[0].strip()) for each in mutants_of(CODE)
    }


def test_parts_held_by_other_tools_or_seen_by_no_test_are_not_mutated() -> None:
    mutated = {CODE.splitlines()[each.line - 1].strip() for each in mutants_of(CODE)}
    assert mutated == {
        "log = logging.getLogger(__name__)",
        "LIMIT = 5",
        "size: int = 4",
        "if number is None:",
        "self.check(number)",
        "return number < LIMIT and number + 1 < self.size",
    } - {"log = logging.getLogger(__name__)"}


def test_a_false_value_is_not_replaced_by_another_one() -> None:
    made = {each.added[0] for each in mutants_of("a = None\nb: bool = False\nc = 0\nd = ()\ne = f\n")}
    assert made == {"b: bool = True", "c = 1", "e = None"}


def test_of_a_text_the_words_are_changed() -> None:
    assert {each.added[0] for each in mutants_of("f('Via')\n")} == {"f('XXViaXX')", "f(None)", "pass"}


def test_a_mutant_is_described_by_its_difference() -> None:
    found = mutant_of("m.py", "a\nb\nc\n", "a\nB\nc\n", operator="number")
    assert found is not None
    assert (found.line, found.removed, found.added) == (2, ("b",), ("B",))
    assert found.diff == "m.py:2 (number)\n  - b\n  + B"
    assert mutant_of("m.py", "a\n", "a\n", operator="number") is None


def test_mutants_are_drawn_evenly_over_the_lines_and_the_seed_decides_which() -> None:
    short = Source("short.py", "".join(f"a{k} = {k}\n" for k in range(10)))
    long = Source("long.py", "".join(f"b{k} = {k}\n" for k in range(30)))
    drawn = draw([short, long], seed=1, number=8)
    assert [each.file for each in drawn] == ["short.py"] * 2 + ["long.py"] * 6
    assert [(each.line - 1) // 5 for each in drawn] == [0, 1, 0, 1, 2, 3, 4, 5]
    assert drawn == draw([short, long], seed=1, number=8)
    assert drawn != draw([short, long], seed=2, number=8)
    assert len(draw([short], seed=1, number=50)) == 10


def test_each_operator_of_a_line_has_the_same_chance() -> None:
    """A call with many arguments has many mutants of one kind, and they are drawn no more often for it."""
    source = Source("m.py", "f(a, b, c, d, e, g, h) + 1\n")
    operators = {each.operator for each in source.by_line[1]}
    drawn = [source.draw(1, random.Random(seed)) for seed in range(400)]
    counted = {name: sum(each is not None and each.operator == name for each in drawn) for name in operators}
    assert min(counted.values()) > 0.5 * 400 / len(operators)


# --- the tests of a line ------------------------------------------------------------------------------------


PRODUCT = """LIMIT = 5
OTHER = 6


def first(number: int) -> bool:
    return number < LIMIT


def second(
    number: int = 3,
) -> int:
    return (
        number
        + 1
    )


class Line:
    size: int = 4


def table() -> int:
    return 7


TABLE = table()
"""
USER = """from holdfast.product import Line


def make() -> Line:
    return Line()
"""


def record(**tests: tuple[float, dict[str, list[int]]]) -> Record:
    return {
        "tests": {
            name: {"s": seconds, "fixtures": ["server"] if "server" in name else [], "lines": masks(lines)}
            for name, (seconds, lines) in tests.items()
        },
        "imported": masks({"holdfast/product.py": [1, 2, 5, 22, 23]}),
        "shared": {"shared:server": masks({"holdfast/user.py": [5]})},
    }


def masks(lines: dict[str, list[int]]) -> dict[str, str]:
    return {file: hex(sum(1 << number for number in numbers)) for file, numbers in lines.items()}


@pytest.fixture
def coverage_map(tmp_path: Path) -> CoverageMap:
    (tmp_path / "holdfast").mkdir()
    (tmp_path / "holdfast/product.py").write_text(PRODUCT, encoding="utf-8")
    (tmp_path / "holdfast/user.py").write_text(USER, encoding="utf-8")
    found = record(
        slow=(2.0, {"holdfast/product.py": [6]}),
        quick=(0.1, {"holdfast/product.py": [6, 12, 13]}),
        makes=(0.3, {"holdfast/user.py": [5]}),
        with_server=(0.5, {}),
    )
    found["tests"]["tests/test_table.py::table"] = {"s": 0.2, "fixtures": [], "lines": {}}
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_table.py").write_text("from holdfast.product import TABLE", encoding="utf-8")
    return CoverageMap([found], root=tmp_path)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (6, ["quick", "slow"]),
        (14, ["quick"]),
        (1, ["quick", "slow"]),
        (2, ["quick", "slow"]),
        (10, ["quick", "slow"]),
        (19, ["makes", "with_server"]),
        (23, ["tests/test_table.py::table"]),
    ],
    ids=["line", "part of a statement", "constant", "unused constant", "default", "field", "run by the import"],
)
def test_the_tests_of_a_line_are_those_that_run_it_quickest_first(
    line: int, expected: list[str], coverage_map: CoverageMap
) -> None:
    """The last one: a fixture that is shared by some tests has run the line."""
    assert [test.name for test in coverage_map.tests_for("holdfast/product.py", line)] == expected


def test_the_tests_of_a_row_are_those_of_the_table_that_it_is_part_of(tmp_path: Path) -> None:
    (tmp_path / "holdfast").mkdir()
    tables = "ROW = (1, 2)\nROWS = (ROW,)\nTABLE = {each: 1 for each in ROWS}\nOTHER = 3\n"
    (tmp_path / "holdfast/tables.py").write_text(tables, encoding="utf-8")
    user = "from holdfast.tables import TABLE\n\n\ndef look(each):\n    return TABLE[each]\n"
    (tmp_path / "holdfast/user.py").write_text(user, encoding="utf-8")
    coverage_map = CoverageMap([record(looks=(0.1, {"holdfast/user.py": [5]}))], root=tmp_path)
    found = [[test.name for test in coverage_map.tests_for("holdfast/tables.py", line)] for line in (1, 2, 3, 4)]
    assert found == [["looks"], ["looks"], ["looks"], []]


def test_tests_are_cut_into_portions_by_what_they_and_their_files_cost() -> None:
    tests = [KnownTest(name=f"f{k % 2}::t{k}", seconds=1.0, lines={}) for k in range(10)]
    found = portions(tests, limits_s=(3.0, 6.0, 100.0))
    assert [[test.name for test in portion] for portion in found] == [
        ["f0::t0", "f1::t1"],
        ["f0::t2", "f1::t3"],
        [f"f{k % 2}::t{k}" for k in range(4, 10)],
    ]
    assert portions([], limits_s=(1.0,)) == []


def test_a_slow_test_is_run_if_it_is_the_only_one() -> None:
    assert len(portions([KnownTest(name="f::t", seconds=99.0, lines={})], limits_s=(3.0, 6.0))) == 1


def test_a_record_is_good_as_long_as_nothing_that_it_ran_has_changed(tmp_path: Path) -> None:
    for name, text in (
        ("tests/test_a.py", "a"),
        ("tests/other.py", "o"),
        ("tests/test_b.py", "b"),
        ("holdfast/product.py", PRODUCT),
        ("holdfast/user.py", USER),
        ("pyproject.toml", ""),
        ("scripts/mutants/recorder.py", ""),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")

    def cache() -> Cache:
        return Cache(tmp_path / "cache", root=tmp_path)

    assert cache().get("tests/test_a.py") is None
    cache().put("tests/test_a.py", record(quick=(0.1, {"holdfast/product.py": [6]})))
    for untouched in ("tests/test_b.py",):
        (tmp_path / untouched).write_text("changed", encoding="utf-8")
        assert cache().get("tests/test_a.py") is not None
    for touched in ("tests/test_a.py", "tests/other.py", "holdfast/product.py", "pyproject.toml"):
        before = (tmp_path / touched).read_text("utf-8")
        (tmp_path / touched).write_text(before + "\n", encoding="utf-8")
        assert cache().get("tests/test_a.py") is None
        (tmp_path / touched).write_text(before, encoding="utf-8")
        assert cache().get("tests/test_a.py") is not None


def test_a_mutant_is_recognised_as_a_known_equivalent_by_its_texts_and_not_by_its_line() -> None:
    found = [mutant_of("m.py", f"{above}    a\n", f"{above}    b\n", operator="number") for above in ("", "x\n")]
    assert [key_of(each) for each in found if each is not None] == [("m.py", "a", "b")] * 2


# --- the judgement ------------------------------------------------------------------------------------------


class FakeWorker(Worker):
    """A worker that answers from a list."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answers = list(answers)

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(command)
        return {"killed_by": None, "timeouts": [], "ran": 1} | self._answers.pop(0)


MUTANT = Mutant(file="holdfast/m.py", line=2, operator="number", source="…", removed=("a",), added=("b",))
UNIT = KnownTest(name="tests/unit/test_a.py::test_a", seconds=0.1, lines={})
SOCKETS = KnownTest(name="tests/loopback/test_b.py::test_b", seconds=5.0, lines={})


@pytest.mark.parametrize(
    ("tests", "answers", "state"),
    [
        ([], [], "no test"),
        ([UNIT], [{"killed_by": UNIT.name}], "killed"),
        ([UNIT], [{"killed_by": "import"}], "killed"),
        ([UNIT], [{}], "survived"),
        ([UNIT], [{"timeouts": [UNIT.name]}], "timeout"),
        ([UNIT], [{"hung": True}], "timeout"),
        ([SOCKETS], [{"killed_by": SOCKETS.name}, {}], "killed"),
        ([SOCKETS], [{"killed_by": SOCKETS.name}, {"killed_by": SOCKETS.name}], "survived"),
        ([SOCKETS], [{"killed_by": SOCKETS.name}, {"timeouts": [SOCKETS.name]}], "survived"),
        ([UNIT, SOCKETS], [{}, {"killed_by": SOCKETS.name}, {}], "killed"),
    ],
)
def test_a_mutant_is_killed_by_a_failure_alone(
    tests: list[KnownTest], answers: list[dict[str, Any]], state: str
) -> None:
    """A test that hangs kills none, and a test with sockets that fails without the mutant too kills none."""
    worker = FakeWorker(*answers)
    assert judge(worker, MUTANT, tests).state == state
    assert worker._answers == []


def test_the_second_look_at_a_test_with_sockets_is_without_the_mutant() -> None:
    worker = FakeWorker({"killed_by": SOCKETS.name}, {})
    judge(worker, MUTANT, [SOCKETS])
    assert [asked["mutant"] for asked in worker.asked] == [{"file": "holdfast/m.py", "source": "…"}, None]


def test_the_table_counts_packages_and_all() -> None:
    outcomes = [Outcome(mutant=MUTANT, state=state) for state in ("killed", "survived", "timeout", "no test")]
    assert [line.split() for line in table(outcomes, ["holdfast", "scripts"]).splitlines()[1:]] == [
        ["holdfast", "4", "1", "25.0"],
        ["all", "4", "1", "25.0"],
    ]


def test_every_known_equivalent_names_text_that_its_file_still_has_and_says_why() -> None:
    for (file, before, after), reason in equivalents().items():
        text = "\n".join(line.strip() for line in (ROOT / file).read_text("utf-8").splitlines())
        assert f"\n{before}\n" in text, f"{file}: {before}"
        assert before != after
        assert len(reason) > 20, before


def test_a_case_that_cannot_be_reached_is_not_dropped() -> None:
    code = "match x:\n    case 1:\n        f()\n    case 2:\n        g()\n    case _:\n        assert_never(x)\n"
    dropped = {each.removed[0].strip() for each in mutants_of(code) if each.operator == "match"}
    assert dropped == {"case 1:", "case 2:"}
