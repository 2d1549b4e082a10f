"""The transition table against architecture.md §6: every pair of status and action, and who may do it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tickets import lifecycle
from tickets.errors import NotAllowed, WrongStatus
from tickets.lifecycle import DESK, HANDLER, INSPECTOR, REPORTER, SUPERVISOR, SYSTEM, WORKER

STATUSES = (
    "new survey assigned in_progress on_hold done rework callback closed cancelled referred merged".split()  # noqa: SIM905
)
EVERYONE = frozenset({REPORTER, HANDLER, WORKER, INSPECTOR, DESK, SUPERVISOR, SYSTEM})

# action: (sources, target, who) — written out from the design, not derived from the code.
ALLOWED = {
    "need_survey": ("new assigned", "survey", {SYSTEM, DESK, SUPERVISOR}),
    "survey_done": ("survey", "assigned", {HANDLER, SUPERVISOR}),
    "assign": ("new survey", "assigned", {SYSTEM, DESK, SUPERVISOR}),
    "grab": ("new", "in_progress", {WORKER, DESK}),
    "accept": ("assigned rework", "in_progress", {HANDLER}),
    "decline": ("assigned rework", "new", {HANDLER}),
    "accept_timeout": ("assigned rework", "new", {SYSTEM}),
    "reassign": ("assigned in_progress rework on_hold", "assigned", {SUPERVISOR, DESK}),
    "take_over": ("assigned in_progress rework", "in_progress", {WORKER, DESK, SUPERVISOR}),
    "hold": ("in_progress", "on_hold", {HANDLER, SUPERVISOR}),
    "resume": ("on_hold", "in_progress", {HANDLER, SUPERVISOR, SYSTEM}),
    "unreachable": ("on_hold", "closed", {SYSTEM}),
    "finish": ("in_progress", "done", {HANDLER}),
    "confirm": ("done callback", "closed", {REPORTER, INSPECTOR}),
    "not_fixed": ("done callback", "rework", {REPORTER, INSPECTOR, DESK, SUPERVISOR}),
    "again": ("assigned in_progress on_hold", "rework", {SYSTEM}),
    "settle": ("done callback", "callback", {REPORTER, DESK, SUPERVISOR}),
    "forward": ("assigned in_progress", "closed", {HANDLER, DESK, SUPERVISOR, SYSTEM}),
    "no_answer": ("done", "callback", {SYSTEM}),
    "close": ("callback", "closed", {DESK, SUPERVISOR, SYSTEM}),
    "cancel": ("new survey assigned in_progress rework on_hold", "cancelled", {REPORTER, DESK, SUPERVISOR}),
    "refer": ("new survey assigned in_progress on_hold", "referred", {DESK, SUPERVISOR}),
    "merge": ("new survey assigned in_progress on_hold", "merged", {SYSTEM, DESK, SUPERVISOR}),
    "resolve": ("new survey assigned in_progress rework on_hold done callback", "closed", {SUPERVISOR}),
    "reopen": ("closed callback merged", "rework", {REPORTER, SUPERVISOR}),
}
PAIRS = [(status, action) for status in STATUSES for action in ALLOWED]


def test_the_statuses_are_those_of_the_design() -> None:
    assert set(lifecycle.LABELS) == set(STATUSES)
    assert set(STATUSES) == lifecycle.FINAL | lifecycle.OPEN
    assert set(STATUSES[-4:]) == lifecycle.FINAL


def test_there_is_no_action_beyond_the_design() -> None:
    assert {action for _, action in lifecycle.TABLE} == set(ALLOWED)


@pytest.mark.parametrize(("status", "action"), PAIRS)
def test_every_pair_leads_where_the_design_says_or_is_refused(status: str, action: str) -> None:
    sources, target, _ = ALLOWED[action]
    if status in sources.split():
        assert lifecycle.next_status(status, action, EVERYONE) == target
    else:
        with pytest.raises(WrongStatus):
            lifecycle.next_status(status, action, EVERYONE)


@pytest.mark.parametrize(("status", "action"), [pair for pair in PAIRS if pair[0] in ALLOWED[pair[1]][0].split()])
def test_only_the_named_relations_may(status: str, action: str) -> None:
    _, target, who = ALLOWED[action]
    for relation in EVERYONE:
        if relation in who:
            assert lifecycle.next_status(status, action, frozenset({relation})) == target
        else:
            with pytest.raises(NotAllowed):
                lifecycle.next_status(status, action, frozenset({relation}))
    with pytest.raises(NotAllowed):
        lifecycle.next_status(status, action, frozenset())


@pytest.mark.parametrize("action", ["", "fly", "open"])
def test_an_unknown_action_is_refused(action: str) -> None:
    with pytest.raises(WrongStatus):
        lifecycle.next_status("new", action, EVERYONE)


def test_a_final_ticket_only_comes_back_by_reopening() -> None:
    ways_out = {(status, action) for status, action in lifecycle.TABLE if status in lifecycle.FINAL}
    assert ways_out == {("closed", "reopen"), ("merged", "reopen")}


def test_every_status_can_be_reached_and_every_open_one_left() -> None:
    targets = {step.to for step in lifecycle.TABLE.values()} | {"new"}
    assert targets == set(STATUSES)
    assert {status for status, _ in lifecycle.TABLE} >= lifecycle.OPEN


def test_the_picture_in_the_documents_is_the_table() -> None:
    """After a change of the table: python -m tickets.lifecycle docs/lifecycle.md"""
    document = (Path(__file__).resolve().parents[2] / "docs" / "lifecycle.md").read_text("utf-8")
    assert lifecycle.redrawn(document) == document
    drawn = re.findall(r"^    (\w+) --> (\w+): (\w+) \(([\w, ]+)\)$", document, re.MULTILINE)
    steps = {(source, action): (to, frozenset(who.split(", "))) for source, to, action, who in drawn}
    assert steps == {key: (step.to, step.who) for key, step in lifecycle.TABLE.items()}
