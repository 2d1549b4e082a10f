"""How long pictures and voice notes are kept (domain.md §9.4, data/catalog/retention.yml); the sweep that takes them away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import yaml
from sqlalchemy import Select, and_, delete, or_, select
from sqlalchemy.orm import Session

from storage.models import Attachment, Ticket
from tickets import audit
from tickets.people import SYSTEM
from tickets.texts import DATA
from tickets.verbs import PAPERS

# So many in one transaction; the caller asks again until nothing is left.
AT_ONCE = 200


@dataclass(frozen=True)
class Keeping:
    """Spans by kind of file, and which matters are kept for the long one."""

    voice: timedelta
    photo: timedelta
    disputed: timedelta
    chat: timedelta
    forever: tuple[str, ...]
    levels: tuple[str, ...]
    codes: tuple[str, ...]


@cache
def keeping() -> Keeping:
    data = yaml.safe_load((DATA / "catalog" / "retention.yml").read_text("utf-8"))
    lists: dict[str, Any] = {name: tuple(data[name]) for name in ("forever", "levels", "codes")}
    spans: dict[str, Any] = {name: timedelta(days=days) for name, days in data["days"].items()}
    return Keeping(**lists, **spans)


def is_disputed(ticket: Ticket) -> bool:
    """Whether somebody may still have to prove what happened, so that its pictures are kept for the long span."""
    return ticket.level in keeping().levels or ticket.code in keeping().codes


def is_paper(row: Attachment) -> bool:
    """One of the papers of a ticket's archive, whoever sent it."""
    return row.purpose in PAPERS


def purge(session: Session, now: datetime, remove: Callable[[str], None]) -> int:
    """Take away what is kept long enough: rows, and each file that nothing else refers to. Returns how many rows went.

    Files go first: if the transaction is lost afterwards, the next sweep finds the same rows and takes them again.
    """
    rows = list(session.scalars(_due(now)))
    take_away(session, rows, remove)
    for ticket in session.scalars(
        select(Ticket).where(Ticket.id.in_({row.ticket_id for row in rows if row.ticket_id}))
    ):
        audit.note(session, ticket.community_id, SYSTEM, "purge", now, target=ticket.ticket_no, allowed=True)
    return len(rows)


def take_away(session: Session, rows: Sequence[Attachment], remove: Callable[[str], None]) -> None:
    """Delete these rows, and each file that nothing else refers to; the files first."""
    ids = [row.id for row in rows]
    for key in {row.key for row in rows}:
        others = select(Attachment.id).where(Attachment.key == key, Attachment.id.not_in(ids))
        if session.scalar(others.limit(1)) is None:
            remove(key)
    session.execute(delete(Attachment).where(Attachment.id.in_(ids)))


def _due(now: datetime) -> Select[Attachment]:
    """The files whose time is over, oldest first."""
    rule = keeping()
    sound = Attachment.mime.startswith("audio/")
    long = or_(Ticket.level.in_(rule.levels), Ticket.code.in_(rule.codes), Attachment.purpose.in_(PAPERS))
    over = or_(
        and_(sound, Attachment.created_at <= now - rule.voice),
        and_(~sound, Attachment.ticket_id.is_(None), Attachment.created_at <= now - rule.chat),
        and_(~sound, ~long, Ticket.closed_at <= now - rule.photo),
        and_(~sound, long, Ticket.closed_at <= now - rule.disputed),
    )
    query = select(Attachment).outerjoin(Ticket, Ticket.id == Attachment.ticket_id)
    return query.where(over, Attachment.purpose.not_in(rule.forever)).order_by(Attachment.id).limit(AT_ONCE)
