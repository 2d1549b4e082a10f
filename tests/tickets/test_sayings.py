"""Every sentence named in Python exists in data/messages/, and whoever says it supplies all its places."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from string import Formatter

import pytest
from deskhelp import NOW, Desk, at

from tickets import errors, lifecycle, notify, verbs
from tickets.catalog import categories, sla_classes
from tickets.texts import _texts, clock, say, span

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(path for package in ("tickets", "bot", "actions") for path in (ROOT / package).rglob("*.py"))
TEXTS = _texts()
GROUPS = {key.split(".")[0] for key in TEXTS if "." in key}
KEY = re.compile(rf"(?:{'|'.join(sorted(GROUPS))})\.[A-Za-z_0-9]+")

# What an expression inside a key can be; every other one is read as "anything".
KINDS = verbs.KINDS
FILES = {"actions.log", "import.yml"}
EXPRESSIONS = {"ticket.kind": KINDS, "draft.kind": KINDS, "kind": KINDS, "ticket.level": tuple(sla_classes())}
EXPRESSIONS["ticket.status"] = tuple(lifecycle.LABELS)


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def expand(node: ast.expr, scope: ast.AST, *, exact: bool = False) -> set[str]:
    """The keys an expression can be; none if it cannot be told from the source (`exact`: nor guessed from its head)."""
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    if isinstance(node, ast.IfExp):
        return expand(node.body, scope, exact=exact) | expand(node.orelse, scope, exact=exact)
    if isinstance(node, ast.JoinedStr):
        parts = [ast.unparse(part.value) for part in node.values if isinstance(part, ast.FormattedValue)]
        if exact and not set(parts) <= set(EXPRESSIONS):
            return set()
        pattern = "".join(
            re.escape(str(part.value))
            if isinstance(part, ast.Constant)
            else "(?:" + "|".join(EXPRESSIONS.get(ast.unparse(part.value), (r"\w+",))) + ")"  # type: ignore[attr-defined]
            for part in node.values
        )
        return {key for key in TEXTS if re.fullmatch(pattern, key)}
    if isinstance(node, ast.Name):
        found: set[str] = set()
        for one in ast.walk(scope):
            if isinstance(one, ast.Assign) and any(ast.unparse(target) == node.id for target in one.targets):
                same = isinstance(one.value, ast.Name) and one.value.id == node.id
                found |= set() if same else expand(without(one.value, node.id), scope, exact=exact)
        return found
    return set()


def without(node: ast.expr, name: str) -> ast.expr:
    """`key if has_text(key) else "x"` assigned to `key` itself: only what is new."""
    if isinstance(node, ast.IfExp):
        if isinstance(node.body, ast.Name) and node.body.id == name:
            return without(node.orelse, name)
        if isinstance(node.orelse, ast.Name) and node.orelse.id == name:
            return without(node.body, name)
    return node


@dataclass(frozen=True)
class Saying:
    """One place in the source where a sentence is said."""

    where: str
    keys: frozenset[str]
    supplied: frozenset[str]
    open_ended: bool


FACTS = frozenset(
    {"no", "tail", "place", "what", "symptom", "level", "level_code", "status", "worker", "accept_by", "arrive_by"}
    | {"finish_by", "latest", "contact", "phone_masked", "window", "reopen_by", "round"}
)
# Which argument is the key, and whether the facts of the ticket come with it.
CALLS = {"say": (0, False), "tell_reporter": (3, True), "tell_staff": (4, True), "escalate": (3, True)}


def sayings() -> Iterator[Saying]:
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        functions = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
        for scope in functions:
            for call in ast.walk(scope):
                if isinstance(call, ast.Call) and (found := saying(call, scope, path)):
                    yield found


def saying(call: ast.Call, scope: ast.AST, path: Path) -> Saying | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name not in CALLS:
        return None
    index, with_facts = CALLS[name]
    if len(call.args) <= index:
        return None
    keys = {key for key in expand(call.args[index], scope, exact=True) if KEY.fullmatch(key)}
    supplied = {word.arg for word in call.keywords if word.arg}
    stars = [ast.unparse(word.value) for word in call.keywords if word.arg is None]
    facts = with_facts or any("facts(" in star for star in stars)
    other = any("facts(" not in star for star in stars)
    where = f"{path.relative_to(ROOT)}:{call.lineno}"
    return Saying(where, frozenset(keys), frozenset(supplied | (FACTS if facts else set())), other)


SAYINGS = list(sayings())


def test_the_scan_sees_the_desk_speak() -> None:
    told = {key for one in SAYINGS for key in one.keys}
    assert {"push.card", "push.accepted_ZX", "push.late_arrival_nobody", "reply.acceptance_unclear"} <= told
    assert len([key for key in told if key.startswith("push.")]) > 70


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_key_in_the_source_has_a_text(path: Path) -> None:
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    heads = {part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in nodes:
        if isinstance(node, ast.Constant) and node not in heads and KEY.fullmatch(str(node.value)):
            if node.value in FILES:
                continue
            assert node.value in TEXTS, f"{path.name}:{node.lineno} {node.value}"
        if isinstance(node, ast.JoinedStr):
            head = node.values[0]
            if isinstance(head, ast.Constant) and str(head.value).split(".")[0] in GROUPS and "." in str(head.value):
                assert expand(node, node), f"{path.name}:{node.lineno} {ast.unparse(node)}"


@pytest.mark.parametrize("one", SAYINGS, ids=lambda one: one.where)
def test_every_place_of_a_text_is_supplied(one: Saying) -> None:
    for key in one.keys:
        missing = places(TEXTS[key]) - one.supplied
        assert one.open_ended or not missing, f"{one.where} says {key} without {sorted(missing)}"


def test_the_facts_are_what_the_scan_takes_them_for(desk: Desk) -> None:
    assert set(notify.facts(desk.report(), NOW)) == FACTS


def test_every_push_is_said_somewhere() -> None:
    told = {key for one in SAYINGS for key in one.keys}
    nodes = [node for path in SOURCES for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    literal = {node.value for node in nodes if isinstance(node, ast.Constant)}
    composed = {"push.consent_yes_staff", "push.consent_no_staff"}
    assert {key for key in TEXTS if key.startswith("push.")} - told - literal - composed == set()


def all_errors(base: type[errors.DeskError] = errors.DeskError) -> list[type[errors.DeskError]]:
    return [base, *(found for sub in base.__subclasses__() for found in all_errors(sub))]


@pytest.mark.parametrize("error", all_errors(), ids=lambda error: error.code)
def test_every_refusal_has_a_code_of_its_own_and_a_text(error: type[errors.DeskError]) -> None:
    assert f"error.{error.code}" in TEXTS
    assert [one.code for one in all_errors()].count(error.code) == 1
    assert error.__doc__
    assert str(error()) == error.__doc__


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_refusal_is_raised_with_what_its_text_needs(path: Path) -> None:
    needs = {one.__name__: places(TEXTS[f"error.{one.code}"]) for one in all_errors()}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in needs:
            given = {word.arg for word in node.keywords}
            missing = needs[node.func.id] - given  # type: ignore[attr-defined]
            assert not missing, f"{path.name}:{node.lineno} {node.func.id} without {sorted(missing)}"  # type: ignore[attr-defined]
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Name) and node.exc.id in needs:
            assert not needs[node.exc.id], f"{path.name}:{node.lineno} {node.exc.id} without its facts"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_every_category_can_be_opened_carded_and_named(desk: Desk) -> None:
    for code in sorted(categories()):
        kind = {"T": "TS", "Q": "ZX", "J": "JY", "B": "BY"}.get(code[0], "BX")
        ticket = desk.report(code, kind=kind)
        assert ticket.level, code
        text = notify.card(ticket, at("09:01"))
        assert ticket.ticket_no in text
        assert len(text.splitlines()) <= 8, code
    assert "{" not in "".join(row.text for row in desk.pushes())


def test_what_a_resident_types_is_never_read_as_a_place_of_a_text(desk: Desk) -> None:
    ticket = desk.report(symptom="{phone} {0} %s {no.__class__}", contact_name="{worker}")
    verbs.add_detail(desk.session, ticket, desk.actor("王芳"), "{place!r:>10}", at("09:01"))
    texts = [row.text for row in desk.pushes("王师傅")]
    assert any("{phone} {0} %s {no.__class__}" in text for text in texts)
    assert any("{place!r:>10}" in text for text in texts)


def test_an_unknown_text_is_our_bug() -> None:
    with pytest.raises(KeyError):
        say("push.nothing_of_the_kind")
    with pytest.raises(KeyError):
        say("push.cancelled")


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (at("14:30"), "今天14:30"),
        (at("09:00", 13), "明天（6月13日）09:00"),
        (at("09:00", 15), "6月15日 09:00"),
        (at("23:59", 11), "6月11日 23:59"),
    ],
)
def test_moments_are_said_as_clock_times(moment: object, said: str) -> None:
    assert clock(moment, NOW) == said  # type: ignore[arg-type]


def test_windows_and_missing_moments() -> None:
    assert span(at("15:00"), at("16:00"), NOW) == "今天15:00–16:00"
    assert span(at("15:00"), None, NOW) == "今天15:00"
    assert (
        span(at("15:00"), at("20:30") + timedelta(days=3), NOW)
        == f"今天15:00–{clock(at('20:30') + timedelta(days=3), NOW)}"
    )
    assert clock(None, NOW) == ""
    assert clock(at("00:10", 13), at("23:50")) == "明天（6月13日）00:10"


BANNED = ("尽快处理", "请耐心等待", "稍后", "不知道", "没办法", "亲，", "请您冷静", "保证赔偿", "免费维修")


@pytest.mark.parametrize("word", BANNED)
def test_nothing_the_desk_pushes_uses_a_banned_phrase(word: str) -> None:
    assert [key for key, text in TEXTS.items() if key.startswith("push.") and word in text] == []


@pytest.mark.parametrize("level", sorted(sla_classes()))
def test_a_level_has_limits_that_grow_with_its_ladder(level: str) -> None:
    row = sla_classes()[level]
    assert list(row.accept_steps) == sorted(set(row.accept_steps))
    assert timedelta(0) < row.accept <= row.finish
    assert row.arrive is None or row.accept <= row.arrive <= row.finish
