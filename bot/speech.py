"""What a short command is made of, and how it finds its ticket; commands.py and leading.py are built on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from bot.making import Made

from nlu.slots import read_number
from storage.models import Conversation, Staff, Ticket
from tickets import finding, verbs
from tickets.people import Actor

JUST_NOW = timedelta(minutes=15)


@dataclass(frozen=True)
class Reply:
    """What to say; `forward` is text that the dialogue engine has to read (a report on somebody's behalf)."""

    text: str = ""
    buttons: tuple[tuple[str, str], ...] = ()
    forward: str = ""


@dataclass(frozen=True)
class Command:
    """A recognised command with what its pattern caught; `ticket_id` is set when it came from a button or names one job, `among`
    where it names several (or, empty, none that is known): then it is asked which. `each` are the commands of a list of tickets."""

    name: str
    values: dict[str, str]
    words: str
    ticket_id: int | None = None
    among: tuple[int, ...] | None = None
    each: tuple[Command, ...] = ()


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
    elif command.among is not None:
        finding.asked_among(_named(context, command.among), context.now)
    else:
        found = _just_spoken_of(context, command, pool())
    return verbs.load(context.session, found.id)


def _named(context: Context, ids: tuple[int, ...]) -> list[Ticket]:
    """The tickets that words may mean; where they fit none, all that the worker has on hand."""
    meant = [verbs.load(context.session, one) for one in ids]
    return meant or finding.on_hand(context.session, context.staff)


def _just_spoken_of(context: Context, command: Command, pool: list[Ticket]) -> Ticket:
    """The only one it can be, of several the one that the worker has acted on just before and that this step follows on."""
    worker = context.staff.role == "worker"
    if (
        worker
        and len(pool) > 1
        and (last := finding.acted_on_last(context.session, context.actor, context.now - JUST_NOW))
    ):
        ticket, action = last
        # Whoever took a card and writes 到了 may have come to the job before it.
        if ticket in pool and not (action == "accept" and command.name in ("arrive", "finish", "not_home", "decline")):
            return ticket
    return finding.the_one(pool, context.now)


def place_in_list(number: str) -> int:
    """2 for 「第二个」; 0 for the number of a ticket, and for none."""
    return 0 if number.isascii() else next((read for char in number if (read := read_number(char))), 0)
