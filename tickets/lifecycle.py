"""The one transition table of a ticket (architecture.md §6): (status, action) → status, and who may do it.

Pure data and one look-up. Messages and clocks belong to the verbs; nothing else in the project assigns a status.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from tickets.errors import NotAllowed, WrongStatus

LABELS = {
    "new": "status.new",
    "survey": "status.survey",
    "assigned": "status.assigned",
    "in_progress": "status.in_progress",
    "on_hold": "status.on_hold",
    "done": "status.done",
    "rework": "status.rework",
    "callback": "status.callback",
    "closed": "status.closed",
    "cancelled": "status.cancelled",
    "referred": "status.referred",
    "merged": "status.merged",
}
FINAL = frozenset({"closed", "cancelled", "referred", "merged"})
OPEN = frozenset(LABELS) - FINAL
OWNED = frozenset({"assigned", "in_progress", "rework"})

# Who stands in which relation to a ticket; `relations()` in tickets/people.py works them out from the database.
REPORTER, FOLLOWER, HANDLER, WORKER, INSPECTOR, DESK, SUPERVISOR, SYSTEM = (
    "reporter",
    # Has the same matter: may ask, chase and add to it, and decides nothing.
    "follower",
    "handler",
    "worker",
    "inspector",
    "desk",
    "supervisor",
    "system",
)
# Was asked to help with somebody else's matter (协办): sees it and adds to it, and decides nothing.
HELPER = "helper"
LEADERS = frozenset({DESK, SUPERVISOR, SYSTEM})


@dataclass(frozen=True)
class Step:
    to: str
    who: frozenset[str]


def _steps() -> dict[tuple[str, str], Step]:
    table: dict[tuple[str, str], Step] = {}

    def allow(action: str, sources: str, to: str, *who: str) -> None:
        for source in sources.split():
            table[source, action] = Step(source if to == "=" else to, frozenset(who))

    allow("need_survey", "new assigned", "survey", SYSTEM, DESK, SUPERVISOR)
    allow("survey_done", "survey", "assigned", HANDLER, SUPERVISOR)
    allow("assign", "new survey", "assigned", SYSTEM, DESK, SUPERVISOR)
    allow("grab", "new", "in_progress", WORKER, DESK)
    allow("accept", "assigned rework", "in_progress", HANDLER)
    allow("decline", "assigned rework", "new", HANDLER)
    allow("accept_timeout", "assigned rework", "new", SYSTEM)
    allow("reassign", "assigned in_progress rework on_hold", "assigned", SUPERVISOR, DESK)
    # The receiver takes it over by accepting; until then the first worker stays responsible (domain.md §7.4).
    allow("take_over", "assigned in_progress rework", "in_progress", WORKER, DESK, SUPERVISOR)
    allow("hold", "in_progress", "on_hold", HANDLER, SUPERVISOR)
    allow("resume", "on_hold", "in_progress", HANDLER, SUPERVISOR, SYSTEM)
    # Nobody at home, and no word since.
    allow("unreachable", "on_hold", "closed", SYSTEM)
    allow("finish", "in_progress", "done", HANDLER)
    allow("confirm", "done callback", "closed", REPORTER, INSPECTOR)
    allow("not_fixed", "done callback", "rework", REPORTER, INSPECTOR, DESK, SUPERVISOR)
    # A complaint about a repair that failed begins its next round, whatever it was waiting for (SC05).
    allow("again", "assigned in_progress on_hold", "rework", SYSTEM)
    # The resident is content with the answer to a complaint; its file closes when cause and prevention are in it (S60).
    allow("settle", "done callback", "callback", REPORTER, DESK, SUPERVISOR)
    # Praise has reached whom it is for.
    allow("forward", "assigned in_progress", "closed", HANDLER, DESK, SUPERVISOR, SYSTEM)
    allow("no_answer", "done", "callback", SYSTEM)
    allow("close", "callback", "closed", DESK, SUPERVISOR, SYSTEM)
    allow("cancel", "new survey assigned in_progress rework on_hold", "cancelled", REPORTER, DESK, SUPERVISOR)
    allow("refer", "new survey assigned in_progress on_hold", "referred", DESK, SUPERVISOR)
    allow("merge", "new survey assigned in_progress on_hold", "merged", SYSTEM, DESK, SUPERVISOR)
    # A leader ends it by hand: danger over, false alarm, answered in person. Only people close an emergency (domain.md §3.1).
    allow("resolve", "new survey assigned in_progress rework on_hold done callback", "closed", SUPERVISOR)
    # A merged one comes back alone, when the common fault is mended and this home still has it (SC10).
    allow("reopen", "closed callback merged", "rework", REPORTER, SUPERVISOR)
    return table


TABLE = _steps()


def diagram() -> str:
    """The table as a state diagram (mermaid): every step with those who may take it, as docs/lifecycle.md shows it."""
    lines = ["stateDiagram-v2", "    [*] --> new: open"]
    steps: dict[tuple[str, str], list[str]] = {}
    for (source, action), step in TABLE.items():
        steps.setdefault((source, step.to), []).append(f"{action} ({', '.join(sorted(step.who))})")
    for (source, to), actions in steps.items():
        lines += [f"    {source} --> {to}: {text}" for text in actions]
    lines += [f"    {status} --> [*]" for status in LABELS if status in FINAL]
    return "\n".join(lines) + "\n"


def redrawn(document: str) -> str:
    """`document` with the picture of today's table between its fences."""
    head, _, rest = document.partition("```mermaid\n")
    return f"{head}```mermaid\n{diagram()}```{rest.partition('```')[2]}"


def next_status(status: str, action: str, relations: frozenset[str]) -> str:
    """The status after `action`, done by someone standing in `relations` to the ticket.

    Raises WrongStatus if the table has no such step, NotAllowed if it has but not for this person.
    """
    step = TABLE.get((status, action))
    if step is None:
        raise WrongStatus(status=status, action=action)
    if not step.who & relations:
        raise NotAllowed(action=action)
    return step.to


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(redrawn(Path(name).read_text("utf-8")), "utf-8")
