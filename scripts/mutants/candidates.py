"""Find the places of a file that can be mutated, and write the file with one mutation."""

from __future__ import annotations

import difflib
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators

_LOGGERS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
_NAMED_BY_TEXT = frozenset({"NewType", "TypeVar", "ParamSpec", "cast", "getLogger", "Field", "Option", "Argument"})
_GENERICS = frozenset({"tuple", "list", "dict", "set", "frozenset", "type"})
_CHECKED_BY_TYPES = frozenset({"isinstance", "issubclass", "assert_never"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A mutation that may be made: this node becomes the other one."""

    line: int
    operator: str
    node: cst.CSTNode
    mutated: cst.CSTNode


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A file with one mutation. The line is the first one that differs."""

    file: str
    line: int
    operator: str
    source: str
    removed: tuple[str, ...]
    added: tuple[str, ...]

    @property
    def diff(self) -> str:
        """Return the mutation as lines of a diff."""
        head = f"{self.file}:{self.line} ({self.operator})"
        return "\n".join(
            [head, *(f"  - {line.strip()}" for line in self.removed), *(f"  + {line.strip()}" for line in self.added)]
        )


class Source:
    """A file of the product, parsed once: its candidates, line by line."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        wrapper = MetadataWrapper(cst.parse_module(text))
        self._module = wrapper.module
        finder = _Finder()
        wrapper.visit(finder)
        self.by_line: dict[int, list[Candidate]] = {}
        for candidate in finder.found:
            self.by_line.setdefault(candidate.line, []).append(candidate)
        self.lines = sorted(self.by_line)

    def mutant(self, candidate: Candidate) -> Mutant | None:
        """Write the file with a mutation; None if that changes nothing, or is no Python."""
        changed = self._module.deep_replace(candidate.node, candidate.mutated)
        source = changed.code if isinstance(changed, cst.Module) else self.text
        try:
            compile(source, self.file, "exec", dont_inherit=True)
        except SyntaxError:
            return None
        return mutant_of(self.file, self.text, source, operator=candidate.operator)

    def draw(self, line: int, dice: random.Random) -> Mutant | None:
        """Draw one mutant of a line: each operator that fits has the same chance, however many mutants it makes."""
        left = list(self.by_line[line])
        while left:
            operator = dice.choice(sorted({candidate.operator for candidate in left}))
            candidate = dice.choice([each for each in left if each.operator == operator])
            mutant = self.mutant(candidate)
            if mutant is not None:
                return mutant
            left.remove(candidate)
        return None


def mutant_of(file: str, before: str, after: str, *, operator: str) -> Mutant | None:
    """Describe the difference of two texts of a file; None if they are equal."""
    old, new = before.splitlines(), after.splitlines()
    changes = [
        change
        for change in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
        if change[0] != "equal"
    ]
    if not changes:
        return None
    _, first, end, new_first, new_end = changes[0][0], changes[0][1], changes[-1][2], changes[0][3], changes[-1][4]
    return Mutant(
        file=file,
        line=first + 1,
        operator=operator,
        source=after,
        removed=tuple(old[first:end]),
        added=tuple(new[new_first:new_end]),
    )


def draw(sources: Sequence[Source], *, seed: int, number: int) -> list[Mutant]:
    """Draw that many mutants: the lines of all files, in a row, are cut into equal parts, and each part gives one."""
    dice = random.Random(seed)
    places = [(source, line) for source in sources for line in source.lines]
    number = min(number, len(places))
    drawn: list[Mutant] = []
    for part in range(number):
        those = places[part * len(places) // number : (part + 1) * len(places) // number]
        dice.shuffle(those)
        found = next((mutant for source, line in those if (mutant := source.draw(line, dice)) is not None), None)
        if found is not None:
            drawn.append(found)
    return drawn


def _drop_statement(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Drop a statement that is there for what it does: a call, `del`, or an assignment to a part of something."""
    match node:
        case cst.Expr(value=cst.SimpleString() | cst.Ellipsis() | cst.ConcatenatedString()):
            return
        case cst.Expr() | cst.AugAssign() | cst.Del():
            yield cst.Pass()
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Attribute() | cst.Subscript()), *_]):
            yield cst.Pass()


def _operators(node: cst.CSTNode) -> Iterator[tuple[str, cst.CSTNode]]:
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            made: Iterable[cst.CSTNode] = operator(node)
            name = operator.__name__.removeprefix("operator_")
            for mutated in made:
                if name == "assignment" and isinstance(node, cst.Assign | cst.AnnAssign) and _is_false(node.value):
                    break  # None in place of False, or "" in place of None: both are false.
                if _drops_what_is_unreachable(node, mutated):
                    continue
                yield name, mutated
                if name == "string":
                    break  # The others change the case alone, which SIP and HTTP do not look at.
    for mutated in _drop_statement(node):
        yield "drop_statement", mutated


def _drops_what_is_unreachable(node: cst.CSTNode, mutated: cst.CSTNode) -> bool:
    """Return whether all that a mutation drops is a case that ends in `assert_never`."""
    if not (isinstance(node, cst.Match) and isinstance(mutated, cst.Match)):
        return False
    dropped = [case for case in node.cases if not any(case is kept for kept in mutated.cases)]
    return all(
        isinstance(case.body.body[-1], cst.SimpleStatementLine)
        and isinstance(expression := case.body.body[-1].body[-1], cst.Expr)
        and _last_name(expression.value) == "assert_never"
        for case in dropped
    )


class _Finder(cst.CSTVisitor):
    """Collect the candidates of a module, without those that the package's docstring takes out."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Candidate] = []
        self._quiet = 0

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _taken_out(node):
            return False
        if _text_only(node):
            self._quiet += 1
        position = self.get_metadata(PositionProvider, node, None)
        if isinstance(position, cst.metadata.CodeRange):
            for operator, mutated in _operators(node):
                if not (self._quiet and operator in ("string", "arg_removal")):
                    self.found.append(
                        Candidate(line=position.start.line, operator=operator, node=node, mutated=mutated)
                    )
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if not _taken_out(original_node) and _text_only(original_node):
            self._quiet -= 1


def _taken_out(node: cst.CSTNode) -> bool:
    match node:
        case cst.Annotation() | cst.Decorator() | cst.Import() | cst.ImportFrom() | cst.Comment():
            return True
        case cst.Arg(keyword=cst.Name(value="strict")):
            return True  # Of zip: it asserts what the code beside it makes sure of.
        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString() | cst.Ellipsis()):
            return True
        case cst.Expr(value=cst.Call(func=func)) | cst.Call(func=func):
            name = _last_name(func)
            return name in _CHECKED_BY_TYPES or (name in _LOGGERS and _is_logger(func))
        case cst.If(test=cst.Name(value="TYPE_CHECKING")):
            return True
        case cst.ClassDef(bases=bases):
            return any(_last_name(base.value) in ("Protocol", "TypedDict", "NamedTuple") for base in bases)
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name)), *_], value=value):
            return name in ("__all__", "__slots__") or _is_type(value) or _last_name(value) in _NAMED_BY_TEXT
        case cst.AnnAssign(annotation=cst.Annotation(annotation=kind)):
            return _last_name(kind) == "TypeAlias"
        case _:
            return False


def _text_only(node: cst.CSTNode) -> bool:
    """Return whether the strings inside are text for a person: those of an error that is raised."""
    return isinstance(node, cst.Raise)


def _is_logger(func: cst.BaseExpression) -> bool:
    return isinstance(func, cst.Attribute) and _last_name(func.value).strip("_").lower() in ("log", "logger", "logging")


def _is_type(value: cst.BaseExpression) -> bool:
    """Return whether a value is a type: a union of classes, or a generic class with its arguments."""
    if isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.BitOr):
        return _is_type(value.right) or _is_type(value.left)
    if isinstance(value, cst.Subscript):
        return _last_name(value) in _GENERICS or _is_type(value.value)
    name = _last_name(value)
    return name[:1].isupper() and not name.isupper() and not isinstance(value, cst.Call)


def _is_false(value: cst.BaseExpression | None) -> bool:
    match value:
        case cst.Name(value="None" | "False") | cst.Integer(value="0") | cst.SimpleString(value="''" | '""'):
            return True
        case cst.Tuple(elements=()) | cst.List(elements=()) | cst.Dict(elements=()):
            return True
        case _:
            return False


def _last_name(node: cst.BaseExpression) -> str:
    match node:
        case cst.Name(value=name) | cst.Attribute(attr=cst.Name(value=name)):
            return name
        case cst.Call(func=func):
            return _last_name(func)
        case cst.Subscript(value=value):
            return _last_name(value)
        case _:
            return ""
