"""The shape of the tree: who may import what, how long a file may be, what a name may not be, what docs may promise."""

from __future__ import annotations

import ast
import re
import statistics
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "holdfast"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "shims" not in path.parts)
TESTS = sorted((ROOT / "tests").rglob("*.py"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

PURE = (
    "voice/model",
    "voice/twiml",
    "voice/control",
    "voice/diagnostics",
    "voice/sip",
    "voice/media",
    "holds/hold.py",
    "holds/policy.py",
    "holds/conference/planner.py",
    "holds/legs/planner.py",
    "holds/legs/continuation.py",
    "holds/steps/pair.py",
    "holds/steps/account_steps.py",
)
IMPURE_MODULES = frozenset(
    {
        *("asyncio", "socket", "select", "selectors", "time", "random", "secrets", "datetime", "logging", "threading"),
        *(
            "multiprocessing",
            "subprocess",
            "concurrent",
            "sqlite3",
            "sqlalchemy",
            "aiosqlite",
            "http",
            "urllib.request",
        ),
        *("aiohttp", "requests", "fastapi", "starlette", "uvicorn"),
    }
)
FORBIDDEN_NAMES = frozenset({"utils", "util", "common", "core", "helpers", "helper", "misc"})
LONGEST_LINES = 400


def name_of(path: Path) -> str:
    """Return the name of the module in a file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def text_of(path: Path) -> str:
    return path.read_text("utf-8")


@cache
def tree_of(path: Path) -> ast.Module:
    """Parse a file by the grammar of the oldest Python that we support."""
    return ast.parse(text_of(path), feature_version=(3, 11))


@cache
def nodes_of(path: Path) -> tuple[ast.AST, ...]:
    """Return the imports, handlers, raises, calls and classes of a file."""
    kinds = (ast.Import, ast.ImportFrom, ast.ExceptHandler, ast.Raise, ast.Call, ast.ClassDef)
    return tuple(node for node in ast.walk(tree_of(path)) if isinstance(node, kinds))


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Return every module that a file imports, as written; `from a import b` gives `a` and `a.b`."""
    names: list[str] = []
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
    return tuple(names)


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def in_folder(path: Path, folder: str) -> bool:
    return path == PACKAGE / folder or (PACKAGE / folder) in path.parents


@pytest.mark.parametrize("folder", PURE)
def test_pure_code_does_no_input_and_output_and_reads_no_clock(folder: str) -> None:
    files = [path for path in MODULES if in_folder(path, folder)]
    assert files, f"there is nothing at {folder}"
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in files
        for module in imports_of(path)
        if any(within(module, impure) for impure in IMPURE_MODULES)
    ]
    assert wrong == []


def test_pure_code_imports_no_impure_code_of_holdfast() -> None:
    """A pure module imports only pure modules of Holdfast."""
    pure = {name_of(path) for path in MODULES for folder in PURE if in_folder(path, folder)}
    plain = {"holdfast", "holdfast.voice", "holdfast.holds", "holdfast.holds.ids", "holdfast.holds.errors"}
    plain |= {
        "holdfast.holds.account",
        "holdfast.holds.account.snapshots",
        "holdfast.holds.conference",
        "holdfast.holds.legs",
    }
    plain |= {"holdfast.holds.steps"}
    known = {name_of(path) for path in MODULES}
    wrong = [
        f"{name} imports {module}"
        for path in MODULES
        if (name := name_of(path)) in pure
        for module in imports_of(path)
        if module in known and module not in pure | plain
    ]
    assert wrong == []


# For each folder: what of Holdfast it may import beside itself.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "holdfast.voice.model": (),
    "holdfast.voice.twiml": ("holdfast.voice.model",),
    "holdfast.voice.control": ("holdfast.voice.model", "holdfast.voice.twiml"),
    "holdfast.voice.diagnostics": ("holdfast.voice.model", "holdfast.voice.twiml", "holdfast.voice.control"),
    "holdfast.voice.sip": ("holdfast.voice.model.errors", "holdfast.voice.model.payload_types"),
    "holdfast.voice.media": ("holdfast.voice.model.errors",),
    "holdfast.voice.media_process": (
        "holdfast.voice.model",
        "holdfast.voice.media",
        "holdfast.voice.runtime.child_environment",
    ),
    "holdfast.voice.runtime": ("holdfast.voice",),
    "holdfast.voice.api": ("holdfast.voice",),
    "holdfast.holds": ("holdfast.settings",),
    "holdfast.store": (
        "holdfast.voice.model",
        "holdfast.holds.ports",
        "holdfast.holds.hold",
        "holdfast.holds.ids",
        "holdfast.holds.errors",
        "holdfast.holds.history.serialization",
        "holdfast.holds.steps.pair",
    ),
    "holdfast.console": (),
    "holdfast.settings": (),
}


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_follow_the_table_of_the_design(package: str) -> None:
    wrong = [
        f"{name} imports {module}"
        for path in MODULES
        if within(name := name_of(path), package)
        for module in imports_of(path)
        if within(module, "holdfast") and module not in ("holdfast", "holdfast.voice")
        if not any(within(module, allowed) for allowed in (package, *MAY_IMPORT[package]))
    ]
    assert wrong == []


def test_the_shell_does_not_import_the_api() -> None:
    wrong = [
        name_of(path)
        for path in MODULES
        if in_folder(path, "voice/runtime") and any(within(module, "holdfast.voice.api") for module in imports_of(path))
    ]
    assert wrong == []


def test_a_verb_is_one_file_that_the_engine_does_not_name() -> None:
    """The runner follows a `<Redirect>`, and an audio file in place of a document is a `<Play>`."""
    verbs = "holdfast.voice.twiml.verbs"
    named = {
        (name, module)
        for path in MODULES
        if not within(name := name_of(path), verbs)
        for module in imports_of(path)
        if within(module, verbs) and module.count(".") > verbs.count(".") + 1
    }
    assert named == {
        ("holdfast.voice.twiml.document", f"{verbs}.play_say.Play"),
        ("holdfast.voice.twiml.runner", f"{verbs}.control_flow.Redirect"),
    }


def test_only_the_command_line_imports_the_bench() -> None:
    wrong = [
        name
        for path in MODULES
        if not within(name := name_of(path), "holdfast.testing") and not within(name, "holdfast.cli")
        if any(within(module, "holdfast.testing") for module in imports_of(path))
    ]
    assert wrong == []


def test_only_the_codecs_test_reads_sip_by_another_library() -> None:
    wrong = [
        name
        for path in [*MODULES, *TESTS]
        if (name := name_of(path)) != "tests.unit.voice.sip.message.test_codec" and "aiosipua" in text_of(path)
        if any(within(module, "aiosipua") for module in imports_of(path))
    ]
    assert wrong == []


def test_no_module_has_a_meaningless_name() -> None:
    assert [
        name_of(path) for path in [*MODULES, *TESTS] if FORBIDDEN_NAMES & set(path.with_suffix("").parts[-2:])
    ] == []


def test_files_are_short() -> None:
    lengths = {path: len(text_of(path).splitlines()) for path in MODULES if path.name != "__init__.py"}
    assert statistics.median(lengths.values()) < 150
    assert sorted(lengths.values())[int(len(lengths) * 0.9)] <= 350
    # A longer one says at its top why.
    unexplained = [
        f"{name_of(path)} has {lines} lines"
        for path, lines in lengths.items()
        if lines > LONGEST_LINES and "Length:" not in (ast.get_docstring(tree_of(path)) or "")
    ]
    assert unexplained == []


def test_every_module_has_a_docstring() -> None:
    assert [name_of(path) for path in [*MODULES, *TESTS] if not ast.get_docstring(tree_of(path))] == []


def test_no_error_is_caught_unnamed_or_raised_unnamed() -> None:
    wrong: list[str] = []
    for path in MODULES:
        for node in nodes_of(path):
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                wrong.append(f"{name_of(path)}:{node.lineno} catches everything")
            if isinstance(node, ast.ExceptHandler) and [type(each) for each in node.body] == [ast.Pass]:
                source = text_of(path).splitlines()[node.lineno - 1 : node.end_lineno]
                control_flow = isinstance(node.type, ast.Name) and node.type.id == "Interruption"
                if not control_flow and not any("#" in line for line in source):
                    wrong.append(f"{name_of(path)}:{node.lineno} is silent without saying why")
            if isinstance(node, ast.Raise) and node.exc is not None:
                raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                if isinstance(raised, ast.Name) and raised.id in ("Exception", "BaseException"):
                    wrong.append(f"{name_of(path)}:{node.lineno} raises a bare {raised.id}")
    assert wrong == []


def test_pure_tests_open_no_socket_and_do_not_sleep() -> None:
    wrong: list[str] = []
    for path in TESTS:
        suspicious = any(word in text_of(path) for word in ("sleep", "socket", "mock"))
        if path.relative_to(ROOT).parts[1] not in ("unit", "stories") or not suspicious:
            continue
        if any(within(module, impure) for module in imports_of(path) for impure in ("socket", "unittest.mock")):
            wrong.append(f"{name_of(path)} imports a socket or a mock")
        for node in nodes_of(path):
            # sleep(0) lets other tasks run, and takes no time.
            if (
                isinstance(node, ast.Call)
                and "sleep" in ast.unparse(node.func)
                and [ast.unparse(each) for each in node.args] != ["0"]
            ):
                wrong.append(f"{name_of(path)}:{node.lineno} sleeps")
    assert wrong == []


# --- rooms --------------------------------------------------------------------------------------------

MOST_FILES = 16
LONGEST_CHAIN = 5
"""Files of one folder that import each other in a row."""


@cache
def import_graph() -> dict[str, frozenset[str]]:
    """Return the modules of the package that each module imports. An `__init__` is not a module here."""
    modules = {name_of(path) for path in MODULES if path.name != "__init__.py"}
    return {name_of(path): frozenset(set(imports_of(path)) & modules - {name_of(path)}) for path in MODULES}


def folder_of(module: str) -> str:
    return module.rpartition(".")[0]


def circle_in(graph: dict[str, set[str]]) -> list[str]:
    """Return one circle of a graph, as its nodes in order, or nothing."""
    done: set[str] = set()

    def walk(node: str, above: list[str]) -> list[str]:
        if node in above:
            return [*above[above.index(node) :], node]
        if node in done:
            return []
        for each in sorted(graph.get(node, ())):
            if found := walk(each, [*above, node]):
                return found
        done.add(node)
        return []

    for start in sorted(graph):
        if found := walk(start, []):
            return found
    return []


def test_no_folder_has_more_than_sixteen_files() -> None:
    sizes = Counter(path.parent for path in MODULES if path.name != "__init__.py")
    assert {str(folder): size for folder, size in sizes.items() if size > MOST_FILES} == {}


def test_chains_of_imports_within_a_folder_are_short() -> None:
    graph = import_graph()

    def chain(module: str) -> list[str]:
        beside = [each for each in graph.get(module, ()) if folder_of(each) == folder_of(module)]
        return [module, *max((chain(each) for each in beside), key=len, default=[])]

    assert circle_in({name: set(imported) for name, imported in graph.items()}) == []
    assert [found for module in graph if len(found := chain(module)) > LONGEST_CHAIN] == []


def test_files_of_one_folder_import_each_other_in_no_circle() -> None:
    """Return the imports between the files and folders of one folder, each folder with all that it contains."""
    graph = import_graph()
    folders = {folder_of(module) for module in graph}
    folders |= {".".join(folder.split(".")[:end]) for folder in folders for end in range(1, folder.count(".") + 1)}
    wrong = []
    for folder in sorted(folders):
        depth = folder.count(".") + 2
        rooms: dict[str, set[str]] = {}
        for module, imported in graph.items():
            for each in imported:
                if within(module, folder) and within(each, folder):
                    near, far = (".".join(name.split(".")[:depth]) for name in (module, each))
                    if near != far:
                        rooms.setdefault(near, set()).add(far)
        if found := circle_in(rooms):
            wrong.append(found)
    assert wrong == []


# --- closed unions ------------------------------------------------------------------------------------


@cache
def union_members() -> frozenset[str]:
    """Return the classes of every union that a module of the package names: `Fact = LegRinging | …`."""
    found: set[str] = set()
    for path in MODULES:
        for node in tree_of(path).body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
                found |= {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
    return frozenset(found)


def matched_classes(match: ast.Match) -> set[str]:
    patterns = [node for case in match.cases for node in ast.walk(case.pattern) if isinstance(node, ast.MatchClass)]
    return {node.cls.attr if isinstance(node.cls, ast.Attribute) else ast.unparse(node.cls) for node in patterns}


def is_silent(case: ast.match_case) -> bool:
    """Return whether a case takes all that is left, and does nothing with it."""
    takes_all = isinstance(case.pattern, ast.MatchAs) and case.pattern.pattern is None and case.guard is None
    calls = any(isinstance(node, ast.Call) for statement in case.body for node in ast.walk(statement))
    return takes_all and not calls and all(isinstance(each, ast.Pass | ast.Return | ast.Continue) for each in case.body)


def ends_open(match: ast.Match) -> bool:
    """Return whether a match ends without a case for all that is left."""
    last = match.cases[-1]
    return last.guard is not None or not isinstance(last.pattern, ast.MatchAs) or last.pattern.pattern is not None


def test_a_match_over_a_closed_union_passes_over_nothing_in_silence() -> None:
    """It ends in `assert_never`, or does something with all that is left."""
    wrong = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Match) and matched_classes(node) & union_members()
        if is_silent(node.cases[-1]) or ends_open(node)
    ]
    assert wrong == []


def test_a_silent_case_is_found() -> None:
    silent = "match fact:\n case LegRinging():\n  ring()\n case _:\n  {}"
    endings = ("pass", "return", "return ''", "assert_never(fact)", "raise error", "tell(fact)")
    found = [is_silent(match.cases[-1]) for each in endings for match in [first_match(silent.format(each))]]
    assert found == [True, True, True, False, False, False]
    assert ends_open(first_match("match fact:\n case LegRinging():\n  ring()"))
    assert {"LegRinging", "PlaySound", "CallChild"} <= union_members()


def first_match(text: str) -> ast.Match:
    return next(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Match))


# --- words --------------------------------------------------------------------------------------------

SAME_ROLE = frozenset({"CallNotInProgress", "ServerStopping"})
"""Classes that stand in both halves, the holds service and the engine, and mean the same."""
DIALECT = re.compile(r"\b(desk|nobody|somebody|whoever|anybody|everybody|anew|ledger|wishes|patience)\b", re.IGNORECASE)
"""Words for which the glossary has a term of the field. The tests and the status pages show them in names of old."""


def test_no_two_classes_have_one_name() -> None:
    names = Counter(node.name for path in MODULES for node in tree_of(path).body if isinstance(node, ast.ClassDef))
    assert {name for name, count in names.items() if count > 1} == SAME_ROLE


def test_the_package_speaks_in_the_terms_of_the_field() -> None:
    wrong = [
        f"{name_of(path)}:{number}: {found[0]}"
        for path in MODULES
        for number, line in enumerate(text_of(path).splitlines(), 1)
        if (found := DIALECT.search(line))
    ]
    assert wrong == []


# --- whole objects ------------------------------------------------------------------------------------

CONSTRUCTORS = ("__init__", "__post_init__", "__new__")
ATTRIBUTES_OF_LATER = {
    "Connection._transport": "asyncio gives a protocol its transport by `connection_made`",
    "Connection.address": "the peer's address is known with the transport",
    "Phone._endpoint": "its socket is open from enter to exit only, and its address is that of the socket",
    "Server._process": "the process runs from enter to exit only",
}
ROWS_OF_CALLBACKS = {
    "Readers": "it is a table of functions: how each kind of stored row is read",
    "ResourceKind": "it is a table of functions: what opens and what closes a thing that a verb starts",
    "StoredResource": "it is a table of functions: how REST reads, makes and shows one kind of record",
}


def classes() -> Iterator[ast.ClassDef]:
    for path in MODULES:
        yield from (node for node in nodes_of(path) if isinstance(node, ast.ClassDef))


def methods(cls: ast.ClassDef) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from (node for node in cls.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def attributes_set(method: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the attributes of `self` that a method sets; one that is only declared there has no value yet."""
    declared = {node.target for node in ast.walk(method) if isinstance(node, ast.AnnAssign) and node.value is None}
    return {
        node.attr
        for node in ast.walk(method)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and node not in declared
        if isinstance(node.value, ast.Name) and node.value.id == "self"
    }


def test_no_attribute_is_set_later_than_in_the_constructor() -> None:
    """A subclass may set what its base has; the fields of a dataclass are set by its constructor."""
    by_name = {cls.name: cls for cls in classes()}

    def made(cls: ast.ClassDef) -> set[str]:
        fields = {ast.unparse(node.target) for node in cls.body if isinstance(node, ast.AnnAssign)}
        fields |= {ast.unparse(name) for node in cls.body if isinstance(node, ast.Assign) for name in node.targets}
        own = {name for method in methods(cls) if method.name in CONSTRUCTORS for name in attributes_set(method)}
        bases = (by_name[name] for base in cls.bases if (name := ast.unparse(base).partition("[")[0]) in by_name)
        return fields | own | {name for base in bases for name in made(base)}

    later = {
        f"{cls.name}.{name}"
        for cls in classes()
        for method in methods(cls)
        for name in attributes_set(method) - made(cls)
    }
    assert later == set(ATTRIBUTES_OF_LATER)


def test_no_constructor_takes_a_row_of_callbacks() -> None:
    """What a part reports goes to one port, such as `EngineEvents`."""
    aliases = {
        ast.unparse(target)
        for path in MODULES
        for node in tree_of(path).body
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("Callable[")
        for target in node.targets
    }
    callbacks = re.compile(rf"\b(Callable|{'|'.join(sorted(aliases))})\b")
    rows = set()
    for cls in classes():
        taken = [node.annotation for node in cls.body if isinstance(node, ast.AnnAssign)]
        for method in methods(cls):
            if method.name == "__init__":
                arguments = method.args.posonlyargs + method.args.args + method.args.kwonlyargs
                taken = [each.annotation for each in arguments if each.annotation is not None]
        if sum(callbacks.search(ast.unparse(each)) is not None for each in taken) >= 2:
            rows.add(cls.name)
    assert rows == set(ROWS_OF_CALLBACKS)


# --- documents ---------------------------------------------------------------------------------------


def references() -> Iterator[tuple[str, str, str]]:
    """Yield every test that a document names: the document, the file, and the test in it (or "")."""
    for document in DOCUMENTS:
        for found in re.finditer(r"`(tests/[\w/.-]+\.py)(?:::(\w+))?`", document.read_text("utf-8")):
            yield document.name, found[1], found[2] or ""


def test_every_test_a_document_names_exists() -> None:
    wrong = []
    for document, file, test in references():
        path = ROOT / file
        if not path.exists():
            wrong.append(f"{document} names {file}")
        elif test and not re.search(rf"def {test}\b", text_of(path)):
            wrong.append(f"{document} names {file}::{test}")
    assert wrong == []


def test_every_link_in_a_document_leads_somewhere() -> None:
    wrong = []
    for document in DOCUMENTS:
        for found in re.finditer(r"\]\(([^)#\s]+)[^)]*\)", document.read_text("utf-8")):
            if "://" not in found[1] and not (document.parent / found[1]).exists():
                wrong.append(f"{document.name} links to {found[1]}")
    assert wrong == []


def test_every_kind_of_task_is_listed() -> None:
    """`docs/tasks.md` names each task of the server by the beginning of its name."""
    listed = re.findall(r"`([^`]+)`", (ROOT / "docs" / "tasks.md").read_text("utf-8"))
    beginnings = [name.rstrip("…").strip() for name in listed]
    wrong = []
    for path in MODULES:
        if in_folder(path, "testing"):
            continue
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "create_task":
                name = next((ast.unparse(each.value) for each in node.keywords if each.arg == "name"), "")
                literal = name.removeprefix("f").strip("'\"").partition("{")[0].strip()
                passed_on = name == "name"  # given by the caller, who is listed
                if not passed_on and not (
                    literal
                    and any(each and (literal.startswith(each) or each.startswith(literal)) for each in beginnings)
                ):
                    wrong.append(f"{name_of(path)}:{node.lineno} starts {name or 'a task without a name'}")
    assert wrong == []


# --- dependencies ------------------------------------------------------------------------------------


def test_the_lock_pins_every_dependency_with_hashes_and_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in lock
    assert "--index" not in lock
    pinned = {found[1].lower().replace("_", "-") for found in re.finditer(r"^([\w.-]+)==", lock, re.MULTILINE)}
    assert len(pinned) == len(re.findall(r"==\S+ (?:;.*)?\\\n\s+--hash=sha256:", lock))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    names = {re.split(r"[\[<>=!~; ]", one)[0].lower().replace("_", "-") for one in wanted}
    assert names - pinned == set()


def test_the_code_uses_no_syntax_newer_than_python_3_11() -> None:
    for path in [*MODULES, *TESTS]:
        assert tree_of(path).body
