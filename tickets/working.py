"""What a worker says about a job without a command: which job is meant, and what it could have been (domain.md §5.6).

Nothing is done by such words alone: they come back as buttons that are commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from storage.models import Staff, Ticket
from tickets import finding, notify
from tickets.places import read_place
from tickets.texts import say
from tickets.words import sounds_like

BUTTON_BYTES = 60
"""What every messenger carries behind a button."""
JOBS_SHOWN = 4
WITH_WORDS = ("finish", "wait", "remark")

Asked = tuple[str, tuple[tuple[str, str], ...]]


def asked_back(session: Session, staff: Staff, words: str, now: datetime) -> Asked | None:
    """The question about the job on hand that a worker's words may be about; None where none is, or where they name a place and
    so report something of their own."""
    jobs = finding.jobs_of(session, staff) if staff.role == "worker" else []
    if not jobs:
        return None
    if read_place(session, staff.community_id, words, resident=None).action != "none":
        return _of_place(jobs, words, now)
    running = [one for one in jobs if one.status == "in_progress"] or jobs
    return about(running[0], words, now) if len(running) == 1 else which(running, words, now)


def _of_place(jobs: Sequence[Ticket], words: str, now: datetime) -> Asked | None:
    """A word about the job at the place it names (「4栋602角阀坏了 明天再来」); of any other place, or of another thing there, it is a
    report."""
    place = finding.place_named(words)
    there = finding.spoken_of(list(jobs), words) if place else []
    alike = finding.named(there, words)
    acts = any(sounds_like(act, words) for act in ("finish", "arrive", "wait"))
    if not there or not (alike or acts):
        return None
    return about(there[0], words, now) if len(there) == 1 else which(there, words, now)


def about(ticket: Ticket, words: str, now: datetime) -> Asked:
    """Asks what was meant about this job, the likeliest act first; `words` become the note of the act where they fit."""
    acts = [_act(name, ticket, words) for name in (*_likely(ticket, words), "remark")]
    return say("staff.meant", **notify.facts(ticket, now)), tuple(acts)


def which(tickets: Sequence[Ticket], words: str, now: datetime) -> Asked:
    """Asks which of several jobs the words are about."""
    shown = tickets[:JOBS_SHOWN]
    labels = [say("reply.numbered", **notify.facts(one, now)) for one in shown]
    buttons = tuple((_button(one.ticket_no, words), label) for one, label in zip(shown, labels, strict=True))
    return say("staff.meant_which", choices="\n".join(labels)), buttons


def _likely(ticket: Ticket, words: str) -> list[str]:
    acts = ["finish", "wait"] if ticket.arrived_at else ["set_out", "arrive", "finish", "wait"]
    return sorted(acts, key=lambda act: not sounds_like(act, words))


def _act(name: str, ticket: Ticket, words: str) -> tuple[str, str]:
    command = say(f"words.act_{name}", no=ticket.ticket_no)
    return (_button(command, words) if name in WITH_WORDS else f"say:{command}"), say(f"button.act_{name}")


def _button(command: str, words: str) -> str:
    """The command with the words behind it, or without where they are too long for a button."""
    whole = f"say:{command} {words}"
    return whole if len(whole.encode()) <= BUTTON_BYTES else f"say:{command}"
