"""A ticket's archive as one PDF (domain.md S39): facts, history and pictures. Drawing loads libraries of its own, so only who draws
imports this.

Phones are masked everywhere, also inside what people wrote; of residents only how they are addressed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

from fontTools.ttLib import TTCollection
from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace
from matplotlib import font_manager
from PIL import Image
from sqlalchemy.orm import Session

from nlu.slots import mask_text
from storage.files import NotAPhoto, photo_path
from storage.models import Attachment, Community, Ticket, TicketEvent
from tickets import verbs
from tickets.catalog import category
from tickets.desk_lists import say_action
from tickets.notify import facts, staff_title
from tickets.report_picture import find_font
from tickets.texts import LOCAL, say
from tickets.verbs.planning import part_text, parts_of

# Millimetres of an A4 page.
MARGIN, WIDTH, LABEL = 16.0, 178.0, 24.0
CELL, GAP, ACROSS = 56.0, 5.0, 3
INK, SOFT, LINE, HEAD = (28, 36, 48), (95, 105, 120), (214, 220, 228), (238, 242, 247)
STAMP = "%Y-%m-%d %H:%M"
# Control characters, and what no text font has (emoji): the page would show empty boxes.
UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\u200d\ufe0f\U0001f000-\U0001faff]")


@cache
def font_file() -> tuple[str, int] | None:
    """The file of the font reports are drawn with, and which face of a collection is the simplified Chinese one."""
    family = find_font()
    if family is None:
        return None
    path = font_manager.findfont(family)
    if not path.endswith((".ttc", ".otc")):
        return path, 0
    names = [str(face["name"].getDebugName(1)) for face in TTCollection(path, lazy=True).fonts]
    return path, next((at for at, name in enumerate(names) if name.endswith(" SC") and "Mono" not in name), 0)


def paper(session: Session, ticket: Ticket, files: Path, now: datetime) -> bytes | None:
    """The whole archive as a PDF, or None without a Chinese font."""
    font = font_file()
    if font is None:
        return None
    page = _Paper(font, now)
    page.head(say("paper.title", kind=say(f"kind.{ticket.kind}")), _community(session, ticket))
    page.section(say("paper.facts"))
    page.rows(_facts(ticket, now))
    page.section(say("paper.history"))
    page.history(ticket.history)
    for title, names in (("papers", verbs.PAPERS), ("photos", ("before", "after", "part"))):
        shown = [(say(f"paper.{one.purpose}"), one) for one in verbs.pictures(session, ticket, *names)]
        if shown:
            page.section(say(f"paper.{title}"), room=CELL + 24)
            page.pictures(shown, files)
    return bytes(page.output())


def _community(session: Session, ticket: Ticket) -> str:
    return session.get_one(Community, ticket.community_id).name


def _facts(ticket: Ticket, now: datetime) -> Iterator[tuple[str, str]]:
    """Label and value of everything known, without what is empty."""
    known = facts(ticket, now)
    moments = {
        "created": ticket.created_at, "accepted": ticket.accepted_at, "arrived": ticket.arrived_at,
        "finished": ticket.finished_at, "closed": ticket.closed_at, "due": ticket.finish_by,
    }  # fmt: skip
    score = ticket.score_attitude and say("paper.score", attitude=ticket.score_attitude, quality=ticket.score_quality)
    values = {
        "no": ticket.ticket_no, "kind": say(f"kind.{ticket.kind}"), "what": category(ticket.code).name,
        "status": known["status"], "level": known["level"], "place": known["place"], "symptom": ticket.symptom,
        "contact": f"{_called(ticket)} {known['phone_masked']}",
        "worker": staff_title(ticket.handler) if ticket.handler else "",
        **{name: _stamp(at) for name, at in moments.items()},
        "parts": say("list.comma").join(part_text(one) for one in parts_of(ticket)), "score": score or "",
    }  # fmt: skip
    return ((say(f"paper.field_{name}"), mask_text(str(value))) for name, value in values.items() if value)


def _called(ticket: Ticket) -> str:
    """王女士 as she is addressed; of a bare name only its first letter (domain.md §9.2)."""
    if ticket.reporter and ticket.reporter.salutation:
        return ticket.reporter.salutation
    name = ticket.contact_name or (ticket.reporter.name if ticket.reporter else "")
    return f"{name[:1]}**" if name else say("person.unnamed")


def _who(event: TicketEvent) -> str:
    return say("paper.resident") if event.actor.startswith("resident:") else event.actor_name


def _stamp(moment: datetime | None) -> str:
    return moment.astimezone(LOCAL).strftime(STAMP) if moment else ""


def _clean(text: str) -> str:
    return UNPRINTABLE.sub("", text)


class _Paper(FPDF):
    """A4 pages with one font, a thin head and a foot that says when it was made."""

    def __init__(self, font: tuple[str, int], now: datetime) -> None:
        super().__init__(format="A4")
        self.now = now
        self.add_font("text", "", font[0], collection_font_number=font[1])
        self.set_margins(MARGIN, MARGIN, MARGIN)
        self.set_auto_page_break(True, 18)
        self.set_creation_date(now)
        self.set_text_color(*INK)
        self.set_draw_color(*LINE)
        self.add_page()

    def footer(self) -> None:
        self.set_y(-13)
        self.set_font("text", size=8)
        self.set_text_color(*SOFT)
        self.cell(0, 5, say("paper.made", at=_stamp(self.now), page=self.page_no()), align="C")
        self.set_text_color(*INK)

    def line_of(self, text: str, size: float, height: float, color: tuple[int, int, int] = INK) -> None:
        self.set_font("text", size=size)
        self.set_text_color(*color)
        self.cell(0, height, _clean(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_text_color(*INK)

    def head(self, title: str, community: str) -> None:
        self.line_of(community, 10, 5, SOFT)
        self.line_of(title, 20, 11)

    def section(self, title: str, *, room: float = 24) -> None:
        """A heading, never alone at the foot of a page."""
        if self.will_page_break(room):
            self.add_page()
        self.ln(4)
        self.line_of(title, 12, 8)

    def rows(self, values: Iterator[tuple[str, str]]) -> None:
        self.set_font("text", size=9.5)
        soft = FontFace(color=SOFT)
        with self.table(col_widths=(LABEL, WIDTH - LABEL), first_row_as_headings=False, line_height=6.2,
                        borders_layout="HORIZONTAL_LINES", padding=(0, 1)) as table:  # fmt: skip
            for label, value in values:
                row = table.row()
                row.cell(label, style=soft)
                row.cell(_clean(value))

    def history(self, events: Sequence[TicketEvent]) -> None:
        """One line per step, the ones of the desk's own clockwork left out."""
        self.set_font("text", size=9)
        names = [say(f"paper.column_{name}") for name in ("at", "action", "who", "note")]
        with self.table(col_widths=(34, 28, 30, WIDTH - 92), line_height=5.6, padding=(0.4, 1),
                        headings_style=FontFace(fill_color=HEAD, color=INK), text_align="LEFT") as table:  # fmt: skip
            table.row(names)
            for event in events:
                if action := say_action(event.action):
                    note = mask_text(" ".join(event.note.split()))
                    table.row([_clean(one) for one in (_stamp(event.at), action, _who(event), note)])

    def pictures(self, shown: Sequence[tuple[str, Attachment]], files: Path) -> None:
        """Three across, each with its name and time below."""
        for at, (name, one) in enumerate(shown):
            if at % ACROSS == 0 and self.will_page_break(CELL + 12):
                self.add_page()
            x, y = MARGIN + at % ACROSS * (CELL + GAP), self.get_y()
            self._picture(one, files, x, y)
            self.set_font("text", size=8)
            self.set_xy(x, y + CELL + 0.5)
            self.cell(CELL, 4.5, f"{name} {_stamp(one.created_at)}", align="C")
            self.set_xy(MARGIN, y if at % ACROSS < ACROSS - 1 and at < len(shown) - 1 else y + CELL + 8)

    def _picture(self, one: Attachment, files: Path, x: float, y: float) -> None:
        self.rect(x, y, CELL, CELL)
        try:
            with Image.open(photo_path(files, one.key, thumb=True)) as opened:
                data = io.BytesIO()
                opened.save(data, "JPEG", quality=80)
            self.image(data, x + 0.5, y + 0.5, CELL - 1, CELL - 1, keep_aspect_ratio=True)
        except (OSError, NotAPhoto):
            # Taken away when its time was over, or lost: the archive says so.
            self.set_font("text", size=9)
            self.set_xy(x, y + CELL / 2 - 3)
            self.cell(CELL, 6, say("paper.gone"), align="C")
