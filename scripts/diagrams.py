"""Draw docs/machines.md, docs/drawings and the tree of docs/design.md from the code: `make diagrams`."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from textwrap import wrap
from typing import Any

from holdfast.holds import hold
from holdfast.voice.control.statuses import (
    CALL_STARTS,
    CALL_TRANSITIONS,
    PARTICIPANT_STARTS,
    PARTICIPANT_TRANSITIONS,
    RECORDING_STARTS,
    RECORDING_TRANSITIONS,
    ROOM_STARTS,
    ROOM_TRANSITIONS,
)
from holdfast.voice.sip.dialog import session_machine
from holdfast.voice.sip.transaction import machines
from scripts.drawings import drawings

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "machines.md"
DESIGN = ROOT / "docs" / "design.md"
TREE_BEGIN, TREE_END = "<!-- tree: made by `make diagrams` -->\n", "<!-- end of the tree -->\n"
HEADING = """# State machines

Drawn by `make diagrams` from the tables that stand beside each enum; `tests/unit/test_diagrams.py` keeps them true.
An arrow names the messages that lead along it, with their condition in brackets. A message that the table does not
list for a status is refused: nothing changes, the log names it, and `/metrics` counts it.
"""

State = Enum | str
Edge = tuple[State, State, str, str]
"""A status, one that may follow it, the message, and its condition."""
LABEL = 60
"""How many characters of a label stand in one line."""


def page() -> str:
    """Return the whole page."""
    statuses = "holdfast/voice/control/statuses.py"
    parts = [
        draw_events("A hold", "holdfast/holds/hold.py", hold.TRANSITIONS),
        draw_events("A call", statuses, CALL_TRANSITIONS, CALL_STARTS),
        draw_events("A conference", statuses, ROOM_TRANSITIONS, ROOM_STARTS),
        draw_events("A participant", statuses, PARTICIPANT_TRANSITIONS, PARTICIPANT_STARTS),
        draw_events("A recording", statuses, RECORDING_TRANSITIONS, RECORDING_STARTS),
        draw_events("A SIP session", "holdfast/voice/sip/dialog/session_machine.py", session_machine.TRANSITIONS),
    ]
    for machine, table in machines.TRANSITIONS.items():
        name = machine.name.replace("_", " ").lower()
        edges = [(before, after, _word(trigger), "") for (before, trigger), after in table.items()]
        source = "holdfast/voice/sip/transaction/machines.py"
        parts.append(draw_machine(f"A transaction: {name}", source, [(edges[0][0], "")], edges))
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


def draw_events(
    title: str,
    source: str,
    table: Mapping[tuple[Any, Any], Mapping[Any, str]],
    starts: Mapping[type, Mapping[Any, str]] | None = None,
) -> str:
    """Return a table of events as a diagram of its changes, and the messages after which each status stays.

    Without `starts`, a machine starts in each status that no other one leads to.
    """
    found = list(edges_of(table))
    order = list(dict.fromkeys(before for before, _, _, _ in found))
    edges = sorted(found, key=lambda edge: order.index(edge[0]))
    changes = [edge for edge in edges if edge[0] != edge[1]]
    stays = [edge for edge in edges if edge[0] == edge[1]]
    if starts is None:
        reached = {after for _, after, _, _ in changes}
        first = [(before, "") for before in dict.fromkeys(edge[0] for edge in edges) if before not in reached]
    else:
        begun = [(None, after, kind.__name__, when) for kind, row in starts.items() for after, when in row.items()]
        first = [(after, _label(told)) for (_, after), told in _grouped(begun).items()]
    lines = [draw_machine(title, source, first, changes)]
    if stays:
        lines += ["The status stays after:", "", "| Status | Messages |", "|---|---|"]
        same: dict[str, list[str]] = {}
        for (status, _), told in _grouped(stays).items():
            same.setdefault("; ".join(_words(told)), []).append(_name(status))
        lines += [f"| {', '.join(names)} | {words} |" for words, names in same.items()]
        lines.append("")
    return "\n".join(lines)


def edges_of(table: Mapping[tuple[Any, Any], Mapping[Any, str]]) -> Iterator[Edge]:
    """Yield the edges of a table of events."""
    for (before, message), followers in table.items():
        yield from ((before, after, session_machine.word_of(message), when) for after, when in followers.items())


def draw_machine(title: str, source: str, first: Sequence[tuple[State, str]], edges: Iterable[Edge]) -> str:
    """Return a machine as a Mermaid diagram. Edges between the same two states are drawn once, with all their words."""
    lines = [f"## {title}", "", f"`{source}`", "", "```mermaid", "stateDiagram-v2"]
    lines += [_arrow("[*]", _name(state), label) for state, label in first]
    arrows = _grouped(edges)
    lines += [_arrow(_name(before), _name(after), _label(told)) for (before, after), told in arrows.items()]
    leaves = {after: None for before, after in arrows if not any(start == after for start, _ in arrows)}
    lines += [_arrow(_name(last), "[*]", "") for last in leaves]
    return "\n".join([*lines, "```", ""])


def _grouped(edges: Iterable[tuple[Any, State, str, str]]) -> dict[tuple[Any, State], dict[str, list[str]]]:
    """Return the messages of each arrow by their condition."""
    arrows: dict[tuple[Any, State], dict[str, list[str]]] = {}
    for before, after, message, condition in edges:
        arrows.setdefault((before, after), {}).setdefault(condition, []).append(message)
    return arrows


def _label(told: Mapping[str, Sequence[str]]) -> str:
    """Return the label of an arrow: one line or more for each condition."""
    return "<br/>".join(line for words in _words(told) for line in wrap(words, LABEL))


def _words(told: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the messages of each condition, with the condition in brackets."""
    for condition, messages in told.items():
        words = ", ".join(message for message in messages if message)
        yield f"{words} ({condition})" if condition else words


def _arrow(before: str, after: str, label: str) -> str:
    return f"    {before} --> {after}" + (f" : {label}" if label else "")


def _name(state: State) -> str:
    return (state.name if isinstance(state, Enum) else state).lower()


def _word(trigger: Enum) -> str:
    return trigger.name.replace("_", " ").lower()


if __name__ == "__main__":
    for path, text in ((PAGE, page()), (DESIGN, design()), *drawings()):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
        print(f"drawn: {path}")
