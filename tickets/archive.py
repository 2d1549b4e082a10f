"""What a ticket's archive holds (domain.md S39), as a list for the chat."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from storage.models import Ticket
from tickets import verbs
from tickets.notify import facts
from tickets.texts import clock, say

GROUPS = (*verbs.PAPERS, "before", "after", "part")


def listing(session: Session, ticket: Ticket, now: datetime) -> str:
    """What the archive holds: the four papers, there or missing, pictures and voice notes."""
    rows = [say("paper.head", **facts(ticket, now))]
    for name in GROUPS:
        count = len(verbs.pictures(session, ticket, name))
        if count or name in verbs.PAPERS:
            key = "paper.pages" if count else "paper.missing"
            rows.append(say(key, name=say(f"paper.{name}"), count=count))
    voices = verbs.pictures(session, ticket, "voice")
    if voices:
        rows.append(say("paper.voices", count=len(voices), since=clock(voices[0].created_at, now)))
    return "\n".join(rows)
