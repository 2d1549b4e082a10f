"""Reports, pictures and workbooks for a leader's sentence: read and drawn before the turn begins to write, because that takes
seconds in which nobody else could write (on SQLite one writes at a time)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from bot.speech import Command
from storage.models import Staff, Ticket
from tickets import audit, desk_lists, report_book, report_text, reports
from tickets.errors import NotAllowed
from tickets.ledger import scope_of
from tickets.periods import Period, period, read_period
from tickets.texts import say

LISTS = {
    "overdue": "overdue",
    "unaccepted": "unaccepted",
    "waiting": "waiting",
    "on_hold": "on_hold",
    "open": "open_jobs",
}


@dataclass(frozen=True)
class Made:
    """What was made; the turn stores it and says so. `span` is what a report's workbook would be about."""

    title: str = ""
    text: str = ""
    picture: bytes | None = None
    workbook: bytes = b""
    count: int = 0
    span: Period | None = None


NAMES = frozenset({"report", "export"})
"""The commands whose answer is made here."""


def make(session: Session, staff: Staff, command: Command, now: datetime) -> Made:
    """What 报表 … or 导出 … asks for, only reading. Raises NotAllowed."""
    return _report(session, staff, command, now) if command.name == "report" else _export(session, staff, command, now)


def span_named(words: str, now: datetime) -> Period:
    """The span a report is asked about; 月报 and 周报 without more mean the last whole one, 日报 today."""
    named = read_period(words, now)
    if named is not None:
        return named
    for word, key in (("week", "last_week"), ("month", "last_month"), ("day", "today")):
        if re.search(say(f"words.report_{word}"), words):
            return period(key, now)
    return period("this_month", now)


def _report(session: Session, staff: Staff, command: Command, now: datetime) -> Made:
    """The text, and for more than a day a picture; without a font for it the text says so."""
    if staff.role == "worker":
        raise NotAllowed(action="report")
    span = span_named(command.values.get("words", ""), now)
    scope = scope_of(staff)
    if span.days == 1:
        return Made(text=report_text.daily_text(session, reports.standing(session, scope, span, now)))
    report = reports.build(session, scope, span, now)
    text, drawn = drawn_report(session, report)
    return Made(report.title, text, drawn, span=span)


def drawn_report(session: Session, report: reports.Report) -> tuple[str, bytes | None]:
    """A report as text and as picture."""
    # Drawing loads a library of its own, which a bot that draws nothing does without.
    from tickets.report_picture import picture

    drawn = picture(report)
    text = report_text.period_text(report, session)
    return (text, drawn) if drawn else (f"{text}\n{say('report.no_font')}", None)


def _export(session: Session, staff: Staff, command: Command, now: datetime) -> Made:
    """A workbook; empty when the words name neither a list nor a span."""
    if not audit.may_export(staff):
        raise NotAllowed(action="export")
    words = command.values.get("words") or command.values.get("also", "")
    found = next((key for key in LISTS if re.search(say(f"words.list_{key}"), words)), "")
    if found:
        title = say(f"lead.list_{found}")
        tickets: Sequence[Ticket] = desk_lists.chosen(session, staff, LISTS[found], now)
        return Made(title, workbook=report_book.ticket_book(title, tickets), count=len(tickets))
    span = read_period(words, now)
    if span is None:
        return Made()
    scope = scope_of(staff)
    report = reports.build(session, scope, span, now)
    tickets = reports.tickets_of(session, scope, span)
    return Made(report.title, workbook=report_book.workbook(session, report, tickets), count=len(tickets), span=span)
