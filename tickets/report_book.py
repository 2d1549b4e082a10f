"""A report as an Excel workbook: figures with their formulas, what occurs most, and the tickets behind them (domain.md §6.4).

The figures are those of tickets/reports.py. Phones are masked, also inside what people wrote; a home stays, a name does not.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet
from sqlalchemy.orm import Session

from nlu.slots import mask_phone, mask_text
from storage.models import Ticket
from tickets.catalog import category
from tickets.kpi import HotSpot, Ratio
from tickets.notify import place_for_groups
from tickets.periods import days_of
from tickets.report_text import place_of, value_of
from tickets.reports import Count, Report
from tickets.texts import LOCAL, clock, has_text, say

HEAD_FILL = PatternFill("solid", fgColor="2F6FDE")
HEAD_FONT = Font(bold=True, color="FFFFFF")
TITLE_FONT = Font(bold=True, size=14)
DATE = "yyyy-mm-dd hh:mm"
# Excel refuses these.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
TICKET_COLUMNS = (
    ("no", 18),
    ("kind", 8),
    ("what", 20),
    ("level", 10),
    ("place", 26),
    ("status", 12),
    ("worker", 12),
    ("phone", 14),
    ("symptom", 40),
    ("created_at", 17),
    ("accepted_at", 17),
    ("arrived_at", 17),
    ("finish_by", 17),
    ("finished_at", 17),
    ("closed_at", 17),
    ("round", 8),
    ("score", 10),
)


def workbook(session: Session, report: Report, tickets: Sequence[Ticket]) -> bytes:
    """The report with the tickets of its span."""
    book = Workbook()
    _figures(first_sheet(book, say("book.figures")), report)
    _counts(book.create_sheet(say("book.most")), report)
    _days(book.create_sheet(say("book.days")), report)
    _hands(book.create_sheet(say("book.hands")), report)
    _hot_spots(book.create_sheet(say("book.preventive")), session, report.community_id, report.hot_spots)
    _tickets(book.create_sheet(say("book.tickets")), tickets)
    return to_bytes(book)


def ticket_book(title: str, tickets: Sequence[Ticket]) -> bytes:
    """A plain list of tickets, for 导出 超时 and the like."""
    book = Workbook()
    _tickets(first_sheet(book, title), tickets)
    return to_bytes(book)


def first_sheet(book: Workbook, title: str) -> Worksheet:
    sheet = book.worksheets[0]
    sheet.title = re.sub(r"[\[\]:*?/\\]", "", title)[:31]
    return sheet


def to_bytes(book: Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def safe(value: object) -> Any:
    """A value as a cell may hold it: local time, no control characters."""
    if isinstance(value, datetime):
        return value.astimezone(LOCAL).replace(tzinfo=None)
    return UNPRINTABLE.sub("", value) if isinstance(value, str) else value


def head(sheet: Worksheet, row: int, columns: Sequence[tuple[str, int]], group: str) -> None:
    for number, (name, width) in enumerate(columns, 1):
        cell = sheet.cell(row, number, say(f"{group}.{name}"))
        cell.font, cell.fill = HEAD_FONT, HEAD_FILL
        cell.alignment = Alignment(vertical="center")
        sheet.column_dimensions[get_column_letter(number)].width = width
    sheet.freeze_panes = f"A{row + 1}"


def row(sheet: Worksheet, values: Sequence[object]) -> None:
    sheet.append([safe(value) for value in values])
    for cell in sheet[sheet.max_row]:
        if cell.data_type == "f":
            # What a resident wrote stays words, also when it begins with "=".
            cell.data_type = "s"
        if isinstance(cell.value, datetime):
            cell.number_format = DATE
        elif isinstance(cell.value, str) and len(cell.value) > 20:
            cell.alignment = Alignment(wrap_text=True, vertical="top")


def _title(sheet: Worksheet, report: Report) -> None:
    sheet["A1"] = safe(report.title)
    sheet["A1"].font = TITLE_FONT
    made = say("picture.made", at=clock(report.now, report.now))
    sheet["A2"] = say("book.about", period=report.period.label, scope=report.scope, made=made)


def _figures(sheet: Worksheet, report: Report) -> None:
    """Every figure with its counts, the span before, the target and how it is worked out."""
    _title(sheet, report)
    columns = (("name", 24), ("value", 12), ("hits", 8), ("of", 8), ("last", 18), ("target", 10), ("formula", 60))
    head(sheet, 4, columns, "book")
    for name, value in report.figures.items():
        ratio = isinstance(value, Ratio)
        share = value.hits / value.of if isinstance(value, Ratio) and value.of else None
        row(
            sheet,
            (
                say(f"figure.{name}"),
                share if ratio else value,
                value.hits if isinstance(value, Ratio) else None,
                value.of if isinstance(value, Ratio) else None,
                value_of(report.last, name),
                say(f"target.{name}") if has_text(f"target.{name}") else "",
                say(f"formula.{name}"),
            ),
        )
        if ratio:
            sheet.cell(sheet.max_row, 2).number_format = "0.0%"


def _counts(sheet: Worksheet, report: Report) -> None:
    head(sheet, 1, (("group", 16), ("name", 28), ("count", 10)), "book")
    groups: tuple[tuple[str, Sequence[Count]], ...] = (
        (say("book.kinds"), report.kinds),
        (say("report.faults"), report.faults),
        (say("report.buildings"), report.buildings),
        (say("report.complaints"), report.complaints),
        (say("report.slowest"), report.slowest),
    )
    for title, counts in groups:
        for one in counts:
            row(sheet, (title, one.name, one.value))


def _days(sheet: Worksheet, report: Report) -> None:
    head(sheet, 1, (("day", 12), ("new", 10), ("done", 10)), "book")
    for day, new, done in zip(days_of(report.period), report.by_day, report.done_by_day, strict=False):
        row(sheet, (day, new.value, done.value))
        sheet.cell(sheet.max_row, 1).number_format = "yyyy-mm-dd"


def _hands(sheet: Worksheet, report: Report) -> None:
    """Who did how many; scores of a person only from ten cases on."""
    head(sheet, 1, (("worker", 16), ("finished", 10), ("on_hand", 10), ("average", 10)), "book")
    for one in report.hands:
        row(sheet, (one.name, one.finished, one.open, one.average))


def _hot_spots(sheet: Worksheet, session: Session, community_id: int, spots: Sequence[HotSpot]) -> None:
    head(sheet, 1, (("place", 30), ("what", 22), ("count", 8), ("numbers", 60)), "book")
    for spot in spots:
        place = place_of(session, community_id, spot.place_key)
        row(sheet, (place, category(spot.code).name, spot.times, " ".join(spot.numbers)))


def _tickets(sheet: Worksheet, tickets: Sequence[Ticket]) -> None:
    head(sheet, 1, TICKET_COLUMNS, "book")
    for one in tickets:
        row(sheet, [_cell(one, name) for name, _ in TICKET_COLUMNS])
    sheet.auto_filter.ref = sheet.dimensions


def _cell(ticket: Ticket, name: str) -> object:
    """One column of one ticket. Words of complaints stay in the chat of whoever handles them (domain.md §9.3)."""
    if name == "score":
        return "/".join(str(one) for one in (ticket.score_attitude, ticket.score_quality) if one is not None)
    if name == "symptom":
        return "" if ticket.kind == "TS" else mask_text(ticket.symptom)
    hidden = bool((ticket.detail or {}).get("hidden"))
    shown: dict[str, object] = {
        "no": ticket.ticket_no,
        "kind": say(f"kind.{ticket.kind}"),
        "what": category(ticket.code).name,
        "level": ticket.level,
        "place": place_for_groups(ticket) if hidden else ticket.place_text,
        "status": say(f"status.{ticket.status}"),
        "worker": ticket.handler.name if ticket.handler else "",
        "phone": mask_phone(ticket.contact_phone) if ticket.contact_phone and not hidden else "",
        "round": ticket.round,
    }
    return shown[name] if name in shown else getattr(ticket, name)
