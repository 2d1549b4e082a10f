"""What leaders read: one ticket's timeline, lists of open ones, today's figures. Reads only, apart from a report on behalf."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from nlu.slots import mask_text
from storage.models import CoHandler, Staff, Ticket
from tickets import finding, lifecycle, notify
from tickets.emergencies import jobs_of as dangers_of
from tickets.ledger import scope_of
from tickets.people import Actor, hides_name_from, is_accused, may_see, on_shift, trades_shown
from tickets.periods import period
from tickets.report_text import counts_text
from tickets.reports import due_within, overdue_conditions, standing
from tickets.texts import LOCAL, clock, has_text, say
from tickets.words import things_in

PAGE = 8
TIMELINE_LINES = 14
LOW_SCORE = 2
LOW_SCORES_OF = timedelta(days=30)
SOON = timedelta(hours=2)
NOT_TAKEN = {"unassigned": ("new",), "unaccepted": ("new", "assigned")}
"""Lists of what nobody has, and their states."""


def visible(session: Session, ticket: Ticket, actor: Actor) -> bool:
    return may_see(session, ticket, actor)


def about(session: Session, leader: Staff, words: str, now: datetime) -> str:
    """「电梯那个事谁在跟」: the open tickets about what a leader names, with every step if it is one, else the day's counts."""
    named = spoken_of(session, leader, words, now)
    if len(named) == 1:
        return timeline(session, named[0], now, leader)
    if named:
        return lines(named, now)
    counts = today(session, leader, now)
    return f"{say('staff.none_about')}\n{counts}" if things_in(words) or finding.place_named(words) else counts


def spoken_of(session: Session, leader: Staff, words: str, now: datetime) -> list[Ticket]:
    """The open tickets at the place or about the thing that a leader names."""
    # A danger is the business of everybody who was sent to it, whatever their department.
    open_ones = [*dangers_of(session, leader), *chosen(session, leader, "open_jobs", now)]
    return finding.spoken_of(list(dict.fromkeys(open_ones)), words)


def open_at(session: Session, staff: Staff, words: str) -> list[Ticket]:
    """The open repairs at the place that any colleague names, whoever has them; none without a place."""
    if not finding.place_named(words):
        return []
    query = select(Ticket).where(
        Ticket.community_id == staff.community_id, Ticket.kind.in_(("BX", "YH")), Ticket.status.in_(lifecycle.OPEN)
    )
    return finding.spoken_of(list(session.scalars(query.order_by(Ticket.id))), words)


def lines(tickets: list[Ticket], now: datetime) -> str:
    rows = ({**notify.facts(ticket, now), **_where(ticket), "tail": short_no(ticket, now)} for ticket in tickets)
    return "\n".join(say("staff.line_time", **row) for row in rows)


def _where(ticket: Ticket) -> dict[str, str]:
    """The building only, where a list would tell who complained."""
    return {"place": notify.place_for_groups(ticket)} if (ticket.detail or {}).get("hidden") else {}


def short_no(ticket: Ticket, now: datetime) -> str:
    """What to call a ticket in a list: today's by its last four digits, which count anew every day, older ones in full."""
    today = ticket.created_at.astimezone(LOCAL).date() == now.astimezone(LOCAL).date()
    return ticket.tail if today else ticket.ticket_no


def timeline(session: Session, ticket: Ticket, now: datetime, reader: Staff | None = None) -> str:
    """Where a ticket stands and every step that brought it there, without names if `reader` may not know who complained."""
    events = list(ticket.history)
    shown = [event for event in events if say_action(event.action)]
    hidden = reader is not None and hides_name_from(ticket, reader)
    rows = [
        say(
            "staff.status_line",
            at=clock(event.at, now),
            action=say_action(event.action),
            who=say("person.hidden") if hidden and event.actor.startswith("resident:") else event.actor_name,
            note=_note(ticket, event.note, hidden=hidden),
        ).strip()
        for event in shown[-TIMELINE_LINES:]
    ]
    facts = notify.facts(ticket, now)
    due = say("staff.status_due" if facts["arrive_by"] else "staff.status_due_finish", **facts)
    head = say("staff.status_head", due=due, **(notify.without_name(ticket, facts) if hidden else facts))
    if helpers := _helpers(session, ticket):
        head += "\n" + say("staff.status_helpers", names=helpers)
    scores = ""
    if ticket.score_attitude:
        scores = "\n" + say("staff.status_scores", attitude=ticket.score_attitude, quality=ticket.score_quality)
    return "\n".join([head + scores, *rows])


def _note(ticket: Ticket, note: str, *, hidden: bool) -> str:
    """What was said with a step; nothing where the desk's own step notes which of its messages it was."""
    if has_text(note):
        return ""
    return _short(notify.without_home(ticket, note) if hidden else note)


def _helpers(session: Session, ticket: Ticket) -> str:
    """Who helps with it, besides whoever is responsible."""
    query = select(CoHandler).where(CoHandler.ticket_id == ticket.id).order_by(CoHandler.id)
    return say("list.comma").join(one.staff.name for one in session.scalars(query))


def say_action(action: str) -> str:
    return say(f"actions.{action}") if has_text(f"actions.{action}") else ""


def _short(note: str) -> str:
    note = mask_text(" ".join(note.split()))
    return note if len(note) <= 30 else note[:29] + "…"


@dataclass(frozen=True)
class Page:
    """One page of a list: its text, the tickets on it, and the words that show the next one ("" on the last)."""

    text: str
    tickets: tuple[Ticket, ...] = ()
    next_words: str = ""


def listing(session: Session, staff: Staff, name: str, page: int, now: datetime) -> str:
    """The text of one page of a named list."""
    return page_of(session, staff, name, page, now).text


def page_of(session: Session, staff: Staff, name: str, page: int, now: datetime) -> Page:
    """One page of a named list; the page after it is offered by its words."""
    tickets = chosen(session, staff, name, now)
    head = say(f"staff.{name}_head", count=len(tickets))
    if not tickets:
        return Page(head + say("staff.nothing"))
    start = (page - 1) * PAGE
    shown = tickets[start : start + PAGE]
    left = len(tickets) - start - PAGE
    again = say(f"staff.{name}_again", page=page + 1) if left > 0 else ""
    more = "\n" + say("staff.more", count=left, again=again) if left > 0 else ""
    return Page(f"{head}\n{lines(shown, now)}{more}", tuple(shown), again)


def chosen(session: Session, staff: Staff, name: str, now: datetime) -> list[Ticket]:
    """The tickets of a named list that this leader may count, most pressing first."""
    query = _base(staff).where(*_conditions(name, now)).order_by(Ticket.level, Ticket.finish_by, Ticket.id)
    return list(session.scalars(query))


def _base(staff: Staff) -> Select[Ticket]:
    return select(Ticket).where(*scope_of(staff).conditions())


def _conditions(name: str, now: datetime) -> list[ColumnElement[bool]]:
    if name in NOT_TAKEN:
        return [Ticket.status.in_(NOT_TAKEN[name]), Ticket.kind.in_(("BX", "YH", "TS"))]
    if name == "due_soon":
        return due_within(SOON, now)
    if name == "open_complaints":
        return [Ticket.kind == "TS", Ticket.status.in_(lifecycle.OPEN)]
    if name == "overdue":
        return overdue_conditions(now)
    if name == "waiting":
        return [Ticket.status == "done"]
    if name == "on_hold":
        return [Ticket.status == "on_hold"]
    if name == "urgent":
        return [Ticket.level.in_(("U0", "U1", "C1")), Ticket.status.in_(lifecycle.OPEN)]
    if name == "low_scores":
        low = (Ticket.score_attitude <= LOW_SCORE) | (Ticket.score_quality <= LOW_SCORE)
        return [low, Ticket.finished_at >= now - LOW_SCORES_OF]
    return [Ticket.status.in_(lifecycle.OPEN)]


def today(session: Session, staff: Staff, now: datetime) -> str:
    """New, finished, open and overdue since local midnight, in all, by kind and by class: the head of the daily report."""
    return counts_text(standing(session, scope_of(staff), period("today", now), now))


def load(session: Session, colleague: Staff, now: datetime, reader: Staff) -> str:
    """How many jobs a colleague has on hand, and which; not what is about the reader."""
    held = finding.jobs_of(session, colleague, "assigned", "in_progress", "rework", "on_hold")
    jobs = [one for one in held if not is_accused(one, reader)]
    head = say("staff.load_head", name=colleague.name, count=len(jobs))
    return f"{head}\n{lines(jobs, now)}" if jobs else head + say("staff.nothing")


def on_duty(session: Session, leader: Staff, now: datetime) -> str:
    """Which of the leader's people are on duty now and how many jobs each has on hand, fewest first (「谁闲着」)."""
    query = select(Staff).where(Staff.community_id == leader.community_id, Staff.role == "worker", Staff.active)
    department = scope_of(leader).department
    there = [one for one in session.scalars(query) if on_shift(one, now) and department in ("", one.department)]
    jobs = finding.loads(session, leader.community_id)
    there.sort(key=lambda one: (jobs.get(one.id, 0), one.id))
    rows = [
        say("staff.on_duty_line", name=one.name, trades=trades_shown(one), count=jobs.get(one.id, 0)) for one in there
    ]
    head = say("staff.on_duty_head", count=len(there))
    return "\n".join([head, *rows]) if rows else head + say("staff.nothing")


def waiting_for_inspection(session: Session, staff: Staff) -> list[Ticket]:
    query = _base(staff).where(Ticket.status == "done", Ticket.public_area)
    return list(session.scalars(query.order_by(Ticket.id)))


def emergencies(session: Session, staff: Staff) -> list[Ticket]:
    """Open U0 and U1 tickets of the community, newest first: a danger is the matter of every leader it was told to."""
    query = select(Ticket).where(
        Ticket.community_id == staff.community_id,
        Ticket.level.in_(("U0", "U1")),
        Ticket.status.in_(lifecycle.OPEN),
    )
    return list(session.scalars(query.order_by(Ticket.level, Ticket.id.desc())))
