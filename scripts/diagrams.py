"""Draw docs/machines.md, docs/drawings and the tree of docs/design.md from the code: `make diagrams`."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import TypeVar

from holdfast.holds import hold
from holdfast.voice.control import entities
from holdfast.voice.sip.dialog import session_machine
from holdfast.voice.sip.transaction import machines
from scripts.drawings import drawings

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "machines.md"
DESIGN = ROOT / "docs" / "design.md"
TREE_BEGIN, TREE_END = "<!-- tree: made by `make diagrams` -->\n", "<!-- end of the tree -->\n"
HEADING = """# State machines

Drawn by `make diagrams` from the tables that stand beside each enum; `tests/unit/test_diagrams.py` keeps them true.
"""

S = TypeVar("S", bound=Enum)
Edge = tuple[Enum, Enum, str]


def page() -> str:
    """Return the whole page."""
    parts = [
        draw_machine("A hold", "holdfast/holds/hold.py", message_edges(hold.TRANSITIONS)),
        draw_machine(
            "A call",
            "holdfast/voice/control/entities.py",
            edges_of(entities.CALL_TRANSITIONS),
        ),
        draw_machine(
            "A conference",
            "holdfast/voice/control/entities.py",
            edges_of(entities.ROOM_TRANSITIONS),
        ),
        draw_machine(
            "A recording",
            "holdfast/voice/control/entities.py",
            edges_of(entities.RECORDING_TRANSITIONS),
        ),
        draw_machine(
            "A SIP session",
            "holdfast/voice/sip/dialog/session_machine.py",
            [
                (before, after, session_machine.word_of(received) + (f" [{condition}]" if condition else ""))
                for (before, received), followers in session_machine.TRANSITIONS.items()
                for after, condition in followers.items()
                if after is not before
            ],
        ),
    ]
    for machine, table in machines.TRANSITIONS.items():
        name = machine.name.replace("_", " ").lower()
        edges = [(before, after, _word(trigger)) for (before, trigger), after in table.items()]
        parts.append(draw_machine(f"A transaction: {name}", "holdfast/voice/sip/transaction/machines.py", edges))
    return "\n".join([HEADING, *parts])


def design() -> str:
    """Return docs/design.md with the tree as it is."""
    before, _, rest = DESIGN.read_text("utf-8").partition(TREE_BEGIN)
    _, _, after = rest.partition(TREE_END)
    return f"{before}{TREE_BEGIN}\n```\n{tree()}\n```\n\n{TREE_END}{after}"


def tree() -> str:
    """Return every package with the first line of its docstring, and a star where the code is pure."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    pure = next(each["source_modules"] for each in contracts if each["name"].startswith("Pure folders"))
    lines: list[str] = []
    for path in sorted((ROOT / "holdfast").rglob("__init__.py")):
        parts = path.parent.relative_to(ROOT).parts
        words = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
        if not words:
            continue
        module = ".".join(parts)
        star = "*" if any(module == each or module.startswith(f"{each}.") for each in pure) else " "
        lines.append(f"{'  ' * (len(parts) - 1) + parts[-1] + '/':<24}{star} {words}")
    return "\n".join(lines)


def edges_of(table: Mapping[S, Collection[S]]) -> Iterator[Edge]:
    """Yield the edges of a table from each state to the states that may follow it, in the order of the enum."""
    for before, followers in table.items():
        yield from ((before, after, "") for after in type(before) if after in followers)


def message_edges(table: Mapping[tuple[S, type], Mapping[S, str]]) -> Iterator[Edge]:
    """Yield the edges of an event table, each with its message, and its condition in brackets where it has one."""
    for (before, message), followers in table.items():
        for after, condition in followers.items():
            yield before, after, message.__name__ + (f" [{condition}]" if condition else "")


def draw_machine(title: str, source: str, edges: Iterable[Edge]) -> str:
    """Return a machine as a Mermaid diagram. Edges between the same two states are drawn once, with all their words.

    It starts in the states to which no other state leads; where there is none, in the first of its table.
    """
    words: dict[tuple[Enum, Enum], list[str]] = {}
    for before, after, word in edges:
        words.setdefault((before, after), []).append(word)
    lines = [f"## {title}", "", f"`{source}`", "", "```mermaid", "stateDiagram-v2"]
    first = {before: None for before, _ in words if not any(end == before != start for start, end in words)}
    lines += [f"    [*] --> {_name(state)}" for state in first or [next(iter(words))[0]]]
    for (before, after), told in words.items():
        label = ", ".join(word for word in told if word)
        lines.append(f"    {_name(before)} --> {_name(after)}" + (f" : {label}" if label else ""))
    leaves = {after: None for before, after in words if not any(start == after for start, _ in words)}
    lines += [f"    {_name(last)} --> [*]" for last in leaves]
    return "\n".join([*lines, "```", ""])


def _name(state: Enum) -> str:
    return state.name.lower()


def _word(trigger: Enum) -> str:
    return trigger.name.replace("_", " ").lower()


if __name__ == "__main__":
    for path, text in ((PAGE, page()), (DESIGN, design()), *drawings()):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        print(f"drawn: {path}")
