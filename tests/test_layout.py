"""The rules of docs/architecture.md that can be read off the source: who imports whom, where time, Chinese and statuses live.

Every list of exceptions is exact: a new offence fails, and so does an entry that is no longer true. They may only shrink.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("bot", "actions", "tickets", "storage", "nlu")
# Written by Alembic, changed by nobody.
GENERATED = "storage/migrations/versions"

MAY_IMPORT = {
    "bot": {"tickets", "storage", "nlu"},
    "actions": {"tickets", "storage", "nlu"},
    "tickets": {"storage", "nlu"},
    "storage": set(),
    "nlu": set(),
}
INSIDE_RASA = {"nlu/components.py", "nlu/graph_runner.py", "nlu/tracker_store.py"}
# Training calls Rasa's own function, inside the one function that trains.
ALSO_IMPORTS_RASA = {"bot/training.py"}

# Reading the time of day. A monotonic clock measures, and the event loop's waits; both are free.
TIME_OF_DAY = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns", "localtime", "gmtime", "ctime", "strftime"},
    "func": {"now", "current_timestamp", "current_date", "localtimestamp"},
}
# `guanjia chat` makes unique message ids from it.
ALSO_READS_TIME = {"bot/__main__.py: time.time_ns"}

CHINESE = re.compile(r"[\u3400-\u9fff]{5,}")
# The numerals, as a set of characters to match.
ALSO_CHINESE = {"nlu/spans.py: 一二三四五六七八九十两幺零〇"}

MAX_LINES = 30
# One row after the other: a table that happens to be written as calls.
TABLES = {"tickets/lifecycle.py: _steps"}
TOO_LONG = {
    "bot/app.py: Bot.__init__",
    "bot/settings.py: load_settings",
    "tickets/emergencies.py: screen",
    "tickets/notify.py: push",
    "tickets/verbs/registering.py: register",
    "tickets/verbs/acceptance.py: rate",
}

NO_DOCSTRING: set[str] = set()

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[str, ast.Module]:
    """Path → parsed module, for everything we ship."""
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    named = {file.relative_to(ROOT).as_posix(): file for file in files}
    return {name: ast.parse(file.read_text("utf-8")) for name, file in named.items()}


def ours() -> Iterator[tuple[str, ast.Module]]:
    return ((name, tree) for name, tree in modules().items() if not name.startswith(GENERATED))


def imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names of everything a module imports, at whatever depth; `from a import b` gives a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports name the whole path"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Every function with its dotted name."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield prefix + child.name, child
            named = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
            yield from walk(child, f"{prefix}{child.name}." if named else prefix)

    return walk(tree, "")


def docstrings(tree: ast.Module) -> set[int]:
    """ids of the string nodes that are docstrings, also those under an assignment."""
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            found |= {
                id(one.value) for one in body if isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
            }
    return found


# --- imports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_point_one_way(package: str) -> None:
    wrong = [
        f"{name} imports {target}"
        for name, tree in modules().items()
        if name.startswith(f"{package}/")
        for target in imports(tree)
        if target.split(".")[0] in set(PACKAGES) - MAY_IMPORT[package] - {package}
    ]
    assert wrong == []


def test_only_the_graph_components_import_rasa() -> None:
    found = {name for name, tree in modules().items() if any(one.split(".")[0] == "rasa" for one in imports(tree))}
    assert found - INSIDE_RASA == ALSO_IMPORTS_RASA


def test_only_actions_import_rasa_sdk() -> None:
    found = {name for name, tree in modules().items() if any(one.split(".")[0] == "rasa_sdk" for one in imports(tree))}
    assert [name for name in found if not name.startswith("actions/")] == []


def test_what_others_take_from_nlu_is_pure() -> None:
    """Nobody outside Rasa loads a module that needs Rasa."""
    behind = {name.removesuffix(".py").replace("/", ".") for name in INSIDE_RASA}
    wrong = [
        f"{name} imports {target}"
        for name, tree in modules().items()
        if name not in INSIDE_RASA
        for target in imports(tree)
        if any(target == one or target.startswith(f"{one}.") for one in behind)
    ]
    assert wrong == []


# --- time -------------------------------------------------------------------------------------------------------------


def times_read(tree: ast.Module) -> Iterator[str]:
    """`datetime.now` and the like, called or handed over, also when the bare function was imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).split(".")[-1]
            if node.attr in TIME_OF_DAY.get(owner, ()):
                yield f"{owner}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (f"time.{alias.name}" for alias in node.names if alias.name in TIME_OF_DAY["time"])


def test_the_time_of_day_is_read_in_one_place() -> None:
    found = {f"{name}: {one}" for name, tree in modules().items() if name != "bot/clock.py" for one in times_read(tree)}
    assert found == ALSO_READS_TIME


# --- language ---------------------------------------------------------------------------------------------------------


def test_chinese_sentences_live_in_data() -> None:
    found = {
        f"{name}: {node.value}"
        for name, tree in modules().items()
        for comments in [docstrings(tree)]
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in comments
        if CHINESE.search(node.value)
    }
    assert found == ALSO_CHINESE


# --- status -----------------------------------------------------------------------------------------------------------


@cache
def other_models_with_status() -> frozenset[str]:
    """Classes of storage/models.py that have a `status` of their own, Ticket apart."""
    classes = (node for node in modules()["storage/models.py"].body if isinstance(node, ast.ClassDef))
    having = {
        one.name
        for one in classes
        for line in one.body
        if isinstance(line, ast.AnnAssign) and ast.unparse(line.target) == "status"
    }
    assert "Ticket" in having
    return frozenset(having - {"Ticket"})


def stores_of_status(function: ast.AST) -> Iterator[ast.Attribute]:
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute) and node.attr == "status" and isinstance(node.ctx, ast.Store):
            yield node


def surely_no_ticket(function: Function, name: str) -> bool:
    """Whether `name` is written down in this function as a row of another model: annotated, or fetched by its class."""
    others = other_models_with_status()
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    seen = [ast.unparse(one.annotation) for one in arguments if one.arg == name and one.annotation]
    for node in ast.walk(function):
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            seen.append(ast.unparse(node.annotation))
        elif isinstance(node, ast.Assign) and any(ast.unparse(target) == name for target in node.targets):
            call = node.value
            fetched = isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] in ("get", "get_one")
            seen.append(ast.unparse(call.args[0]) if fetched and call.args else "?")  # type: ignore[attr-defined]
    return bool(seen) and set(seen) <= others


def test_one_function_moves_a_ticket() -> None:
    """tickets.verbs.move is the only one; elsewhere `.status =` is allowed on rows that are surely of another model."""
    found = set()
    for name, tree in ours():
        inside = {id(node): (where, one) for where, one in functions(tree) for node in stores_of_status(one)}
        for node in stores_of_status(tree):
            where, function = inside.get(id(node), ("<module>", None))
            if function is None or not surely_no_ticket(function, ast.unparse(node.value)):
                found.add(f"{name}: {where}")
    assert found == {"tickets/verbs/steps.py: move"}


def test_one_function_makes_a_ticket() -> None:
    found = {
        f"{name}: {where}"
        for name, tree in ours()
        for where, function in functions(tree)
        for node in ast.walk(function)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Ticket"
    }
    assert found == {"tickets/verbs/registering.py: register"}


def test_no_back_door_to_a_status() -> None:
    """Neither setattr, nor a bulk update, nor SQL in a string: those would pass the lifecycle table by."""
    wrong = []
    # nlu knows no table, see the imports.
    for name, tree in (one for one in ours() if not one[0].startswith("nlu/")):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func).split(".")[-1]
                first = ast.unparse(node.args[0]) if node.args else ""
                second = node.args[1] if len(node.args) > 1 else None
                chosen = isinstance(second, ast.Constant) and second.value != "status"
                if called == "setattr" and not chosen and name != "tickets/verbs/reporting.py":
                    wrong.append(f"{name}:{node.lineno} setattr")
                if called in ("update", "bulk_update_mappings") and first == "Ticket":
                    wrong.append(f"{name}:{node.lineno} {called}(Ticket)")
            elif isinstance(node, ast.Constant) and re.search(r"\bupdate\s+tickets\b", str(node.value), re.IGNORECASE):
                wrong.append(f"{name}:{node.lineno} SQL")
    assert wrong == []


# --- size and words ---------------------------------------------------------------------------------------------------


def lines(function: Function) -> int:
    """From `def` to the end, without the docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    comment = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - comment


def test_functions_are_short() -> None:
    long = {
        f"{name}: {where}"
        for name, tree in ours()
        for where, function in functions(tree)
        if lines(function) > MAX_LINES
    }
    assert long == TABLES | TOO_LONG


def test_every_module_says_what_it_is_for() -> None:
    assert {name for name, tree in ours() if not ast.get_docstring(tree)} == NO_DOCSTRING
