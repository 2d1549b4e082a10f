"""Which ticket people mean: by number, by tail, by being the only one it can be."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NoReturn

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from nlu.slots import read_number
from storage.models import Assignment, CoHandler, Draft, Follower, Staff, Ticket, TicketEvent
from tickets import lifecycle
from tickets.catalog import category
from tickets.errors import NotFound, NoTicket, WhichTicket
from tickets.notify import facts
from tickets.people import Actor, home_key, is_accused, may_see
from tickets.periods import words
from tickets.texts import say
from tickets.words import alike_among, named_among, several_meant, things_in

CHOICES = 6
"""So many are offered where it is not clear which is meant."""


def by_number(session: Session, community_id: int, number: str, actor: Actor) -> Ticket:
    """The ticket of a full number or a four-digit tail (the newest with that tail). Raises NotFound, also for what is not theirs."""
    number = number.upper().replace(" ", "")
    query = select(Ticket).where(Ticket.community_id == community_id)
    if "-" in number:
        query = query.where(Ticket.ticket_no == number)
    else:
        digits = "".join(char for char in number if char.isdigit()).zfill(4)
        kind = number[:2] if number[:2].isalpha() else ""
        query = query.where(Ticket.tail == digits, *([Ticket.kind == kind] if kind else []))
    for ticket in session.scalars(query.order_by(Ticket.id.desc()).limit(20)):
        if may_see(session, ticket, actor) or _offered(session, ticket, actor):
            return ticket
    raise NotFound(no=number)


def _offered(session: Session, ticket: Ticket, actor: Actor) -> bool:
    """Whether this worker was ever sent this ticket, or may grab it (nobody has it)."""
    if actor.staff is None or actor.staff.community_id != ticket.community_id:
        return False
    if is_accused(ticket, actor.staff):
        # Not even that there is a complaint about them.
        return False
    grabbable = ticket.kind in ("BX", "YH") and ticket.status in ("new", "assigned", "rework", "in_progress")
    if grabbable and actor.staff.role == "worker":
        return True
    query = select(Assignment.id).where(Assignment.ticket_id == ticket.id, Assignment.staff_id == actor.staff.id)
    return session.scalar(query.limit(1)) is not None


def jobs_of(session: Session, staff: Staff, *statuses: str) -> list[Ticket]:
    """The worker's tickets in these statuses (default: everything open), most pressing first."""
    wanted = statuses or tuple(lifecycle.OPEN)
    query = select(Ticket).where(Ticket.handler_id == staff.id, Ticket.status.in_(wanted))
    return list(session.scalars(query.order_by(Ticket.level, Ticket.finish_by, Ticket.id)))


def nth_job(session: Session, staff: Staff, nth: int) -> Ticket:
    """「第二个」 of the list a worker was shown. Raises NotFound where it is shorter, and for leaders, who are shown many lists."""
    jobs = jobs_of(session, staff) if staff.role == "worker" else []
    if nth > len(jobs):
        raise NotFound(no=nth)
    return jobs[nth - 1]


def loads(session: Session, community_id: int) -> dict[int, int]:
    """How many jobs each colleague of a community has on hand; who has none is missing."""
    query = select(Ticket.handler_id, func.count()).where(
        Ticket.community_id == community_id, Ticket.status.in_(lifecycle.OWNED)
    )
    counted = session.execute(query.group_by(Ticket.handler_id))
    return {handler: jobs for handler, jobs in counted if handler is not None}


def open_complaints(session: Session, community_id: int) -> list[Ticket]:
    """Every complaint of a community that is not over."""
    query = select(Ticket).where(
        Ticket.community_id == community_id, Ticket.kind == "TS", Ticket.status.in_(lifecycle.OPEN)
    )
    return list(session.scalars(query.order_by(Ticket.id)))


def helped_by(session: Session, staff: Staff) -> list[Ticket]:
    """Open matters a colleague helps with (协办)."""
    query = select(Ticket).join(CoHandler, CoHandler.ticket_id == Ticket.id)
    query = query.where(CoHandler.staff_id == staff.id, Ticket.status.in_(lifecycle.OPEN))
    return list(session.scalars(query.order_by(Ticket.level, Ticket.id)))


def offers_to(session: Session, staff: Staff) -> list[Ticket]:
    """Tickets offered to this worker and not yet taken."""
    query = (
        select(Ticket)
        .join(Assignment, Assignment.ticket_id == Ticket.id)
        .where(Assignment.staff_id == staff.id, Assignment.state == "offered", Ticket.status.in_(lifecycle.OPEN))
        .order_by(Ticket.level, Ticket.id)
    )
    return list(session.scalars(query).unique())


def on_hand(session: Session, staff: Staff) -> list[Ticket]:
    """What is offered to a worker and what he has, each once: offered and not yet confirmed, a job is in both lists."""
    return list(dict.fromkeys([*offers_to(session, staff), *jobs_of(session, staff)]))


def nobodys(session: Session, staff: Staff) -> list[Ticket]:
    """Repairs of the community that nobody has yet."""
    query = select(Ticket).where(
        Ticket.community_id == staff.community_id, Ticket.status == "new", Ticket.kind.in_(("BX", "YH"))
    )
    return list(session.scalars(query.order_by(Ticket.level, Ticket.id)))


def acted_on_last(session: Session, actor: Actor, since: datetime) -> tuple[Ticket, str] | None:
    """The ticket of a colleague's newest step at or after a moment, and the step."""
    query = select(TicketEvent).where(TicketEvent.actor == actor.key, TicketEvent.at >= since)
    event = session.scalars(query.order_by(TicketEvent.id.desc()).limit(1)).first()
    ticket = session.get(Ticket, event.ticket_id) if event else None
    return (ticket, event.action) if ticket and event else None


def open_draft(session: Session, conversation_id: int) -> Draft | None:
    """What a conversation is still collecting, unless it is put aside."""
    return session.scalar(select(Draft).where(Draft.conversation_id == conversation_id, Draft.parked.is_(False)))


def open_of(session: Session, actor: Actor, *, kinds: tuple[str, ...] = ()) -> list[Ticket]:
    """What this resident has reported (or for their flat) and is not over, newest first."""
    if actor.resident is None:
        return jobs_of(session, actor.staff) if actor.staff else []
    home = home_key(session, actor.resident)
    mine = [Ticket.reporter_id == actor.resident.id]
    if home:
        mine.append((Ticket.place_key == home) & Ticket.public_area.is_(False) & (Ticket.kind == "BX"))
    query = select(Ticket).where(
        Ticket.community_id == actor.resident.community_id, or_(*mine), Ticket.status.in_(lifecycle.OPEN)
    )
    if kinds:
        query = query.where(Ticket.kind.in_(kinds))
    return list(session.scalars(query.order_by(Ticket.id.desc())))


def reported_by(session: Session, staff: Staff) -> list[Ticket]:
    """What this colleague has reported on a round or for somebody and is not over, newest first."""
    query = select(Ticket).where(Ticket.reporter_staff_id == staff.id, Ticket.status.in_(lifecycle.OPEN))
    return list(session.scalars(query.order_by(Ticket.id.desc())))


def told_of(ticket: Ticket) -> str:
    """What is known to be wrong: the name of its category and the reporter's own words."""
    return f"{category(ticket.code).name} {ticket.symptom}"


def about(tickets: list[Ticket], text: str) -> list[Ticket]:
    """Those of `tickets` about a thing, or else in a place, that `text` names: 「灯那个不用修了」, 「客厅那个」."""
    named = [tickets[index] for index in named_among(text, [told_of(one) for one in tickets])]
    # Two of one category are told apart by their words only.
    closer = named_among(text, [one.symptom for one in named]) if len(named) > 1 else []
    return [named[index] for index in closer] or named


def spoken_of(tickets: list[Ticket], text: str) -> list[Ticket]:
    """Those of `tickets` at the place a text names (「4栋602那个」, 「3栋1单元8楼那个灯」) and of several there those it is `about`; where
    none is named, those it is about. Who names a place means nothing elsewhere, and who names a thing nothing else there."""
    place = place_named(text)
    if not place:
        return about(tickets, text)
    there = [one for one in tickets if is_at(one, place)]
    named_there = named(there, text) if len(there) > 1 else there
    return [one for one in named_there or there if not _is_another_thing(one, text)]


def _is_another_thing(ticket: Ticket, text: str) -> bool:
    told = things_in(told_of(ticket))
    return bool(told and things_in(text) and not told & things_in(text))


def place_named(text: str) -> dict[str, str]:
    """What of a place stands in a text: phase, building, unit, floor or room by its number; empty where none does."""
    found: dict[str, str] = {}
    for pattern in words()["named_place"]:
        if hit := re.search(pattern, text):
            parts = {name: value for name, value in hit.groupdict().items() if value}
            found = {**{name: str(read_number(value) or value) for name, value in parts.items()}, **found}
    return found


def is_at(ticket: Ticket, place: dict[str, str]) -> bool:
    """Whether a ticket may be at a place of which only a part was named. What its own key leaves open may be anything, its room
    and building not."""
    return any(_key_fits(key, place) for key in ticket.place_key.split(" or "))


def _key_fits(key: str, place: dict[str, str]) -> bool:
    pieces = [*key.removeprefix("PUB:").split("/"), "", "", "", ""]
    phase, building, unit, inner = pieces[:4]
    floor = inner[1:] if key.startswith("PUB:") else inner[:-2]
    fits = {
        "phase": phase in (f"P{place.get('phase')}", "-", "?"),
        "building": place.get("building") in building.split("~") or building == "?",
        "unit": unit in (place.get("unit"), "-", "?"),
        "floor": place.get("floor") in floor.replace("F", "").split("-") or inner in ("-", "?"),
        "room": inner == place.get("room"),
    }
    return all(fits[name] for name in place)


def named(tickets: list[Ticket], text: str) -> list[Ticket]:
    """Those a text is `about`, else those that share most words with it: 「烧烤店的继续」. For who speaks of what is open."""
    found = about(tickets, text)
    if found and (len(found) == 1 or several_meant(text)):
        return found
    # Two lamps are told apart by what else was said of them: 「镜前灯我自己换了」.
    pool = found or tickets
    return [pool[index] for index in alike_among(text, [one.symptom for one in pool])] or found


def followed(session: Session, actor: Actor) -> list[Ticket]:
    """What others reported first and this resident has as well, and is not over, newest first."""
    if actor.resident is None:
        return []
    query = select(Ticket).join(Follower, Follower.ticket_id == Ticket.id)
    query = query.where(Follower.resident_id == actor.resident.id, Ticket.status.in_(lifecycle.OPEN))
    return list(session.scalars(query.order_by(Ticket.id.desc())).unique())


def last_of(session: Session, actor: Actor, *, kinds: tuple[str, ...] = ()) -> Ticket | None:
    """The ticket (of these kinds) that this resident dealt with last, also a finished one."""
    if actor.resident is None:
        return None
    query = select(Ticket).where(Ticket.reporter_id == actor.resident.id).order_by(Ticket.id.desc())
    if kinds:
        query = query.where(Ticket.kind.in_(kinds))
    return session.scalars(query.limit(1)).first()


def cancelled_since(session: Session, actor: Actor, since: datetime) -> list[Ticket]:
    """The repairs and complaints that this resident took back after `since`, the last one first."""
    if actor.resident is None:
        return []
    query = select(Ticket).where(Ticket.reporter_id == actor.resident.id, Ticket.kind.in_(("BX", "TS")))
    query = query.where(Ticket.status == "cancelled", Ticket.closed_at > since)
    found = session.scalars(query.order_by(Ticket.closed_at.desc(), Ticket.id.desc()))
    # What was told again in so many words is not brought back twice.
    open_ones = {(one.code, one.symptom) for one in open_of(session, actor)}
    return [one for one in found if (one.code, one.symptom) not in open_ones]


def the_one(tickets: list[Ticket], now: datetime) -> Ticket:
    """The only ticket of a list. Raises NoTicket for none, WhichTicket (with the choices, also as buttons) for several."""
    if not tickets:
        raise NoTicket()
    if len(tickets) > 1:
        asked_among(tickets, now)
    return tickets[0]


def asked_among(tickets: list[Ticket], now: datetime) -> NoReturn:
    """Asks which of these is meant, also of a single one: raises NoTicket or WhichTicket."""
    if not tickets:
        raise NoTicket()
    labels = ((f"say:{one.ticket_no}", say("reply.numbered", **facts(one, now))) for one in tickets[:CHOICES])
    raise WhichTicket(choices=choices(tickets, now), buttons=tuple(labels))


def choices(tickets: list[Ticket], now: datetime) -> str:
    return "\n".join(say("staff.line", **facts(ticket, now)) for ticket in tickets[:CHOICES])
