"""What a short command is made of, and how it finds its ticket; commands.py and leading.py are built on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from bot.making import Made

from nlu.slots import read_number
from storage.models import Conversation, Staff, Ticket
from tickets import finding, verbs
from tickets.people import Actor


@dataclass(frozen=True)
class Reply:
    """What to say; `forward` is text that the dialogue engine has to read (a report on somebody's behalf)."""

    text: str = ""
    buttons: tuple[tuple[str, str], ...] = ()
    forward: str = ""


@dataclass(frozen=True)
class Command:
    """A recognised command with what its pattern caught; `ticket_id` is set when it came from a button."""

    name: str
    values: dict[str, str]
    words: str
    ticket_id: int | None = None


@dataclass(frozen=True)
class Context:
    """Who says it, where and when. `files` and `address` are for pictures and links, `made` is a report made beforehand."""

    session: Session
    conversation: Conversation
    actor: Actor
    staff: Staff
    now: datetime
    key: str
    files: Path = Path()
    address: str = ""
    made: Made | None = None


def find_ticket(context: Context, command: Command, pool: Callable[[], list[Ticket]]) -> Ticket:
    """By button, by number, by its place in the worker's list, or the only one it can be."""
    if command.ticket_id is not None:
        return verbs.load(context.session, command.ticket_id)
    number = command.values.get("no", "")
    if nth := place_in_list(number):
        found = finding.nth_job(context.session, context.staff, nth)
    elif number:
        found = finding.by_number(context.session, context.staff.community_id, number, context.actor)
    else:
        found = finding.the_one(pool(), context.now)
    return verbs.load(context.session, found.id)


def place_in_list(number: str) -> int:
    """2 for 「第二个」; 0 for the number of a ticket, and for none."""
    return 0 if number.isascii() else next((read for char in number if (read := read_number(char))), 0)
