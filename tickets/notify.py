"""Writing to people: every push is an outbox row in the transaction of the change that caused it (architecture.md §2.1)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nlu.slots import mask_phone, mask_text
from storage.models import Conversation, Follower, Identity, OutboxMessage, Resident, Staff, Ticket, TicketEvent
from tickets.catalog import category
from tickets.people import Actor, home_key, is_accused, managers, on_shift
from tickets.texts import clock, say, span

URGENT, NORMAL, LATER = 0, 5, 8
Buttons = Sequence[tuple[str, str]]
# What a resident typed, wherever a text quotes it.
QUOTED = ("symptom", "words", "left", "remark")


def conversation_of(session: Session, person: Resident | Staff) -> Conversation | None:
    """The private chat where this person was heard last."""
    column = Identity.resident_id if isinstance(person, Resident) else Identity.staff_id
    query = (
        select(Conversation)
        .join(Identity)
        .where(column == person.id, Conversation.group.is_(False), Conversation.reachable)
        .order_by(Conversation.last_inbound_at.is_(None), Conversation.last_inbound_at.desc(), Conversation.id)
    )
    return session.scalars(query).first()


def push(
    session: Session,
    person: Resident | Staff | None,
    text: str,
    *,
    key: str,
    now: datetime,
    ticket: Ticket | None = None,
    conversation_id: int | None = None,
    buttons: Buttons = (),
    priority: int = NORMAL,
    due_at: datetime | None = None,
    image_key: str = "",
) -> None:
    """Queue `text` for one person. `key` makes it once only; without any chat the row is dead at once and listed for leaders."""
    if session.scalar(select(OutboxMessage.id).where(OutboxMessage.dedupe_key == key)):
        return
    if conversation_id is None and person is not None:
        chat = conversation_of(session, person)
        conversation_id = chat.id if chat else None
    session.add(
        OutboxMessage(
            dedupe_key=key,
            conversation_id=conversation_id,
            resident_id=person.id if isinstance(person, Resident) else None,
            staff_id=person.id if isinstance(person, Staff) else None,
            ticket_id=ticket.id if ticket else None,
            text=text,
            buttons=[list(button) for button in buttons],
            priority=priority,
            status="pending" if conversation_id else "dead",
            error="" if conversation_id else "no_chat",
            created_at=now,
            due_at=due_at or now,
            image_key=image_key,
        )
    )


def tell_reporter(
    session: Session, ticket: Ticket, event: TicketEvent, key: str, now: datetime, **more: object
) -> None:
    """Push the text `key` about `ticket` to whoever reported it, in the chat it came from."""
    buttons = more.pop("buttons", ())
    image_key = str(more.pop("image_key", ""))
    text = say(key, **facts(ticket, now), **more)
    if not buttons:
        tell_followers(session, ticket, event, key, text, now)
    person: Resident | Staff | None = ticket.reporter or ticket.reporter_staff
    if person is None:
        return
    push(
        session,
        person,
        text,
        key=f"t{ticket.id}:e{event.id}:{key}:reporter",
        now=now,
        ticket=ticket,
        conversation_id=_reporter_chat(session, ticket),
        buttons=buttons,  # type: ignore[arg-type]
        priority=URGENT if ticket.level in ("U0", "U1") else NORMAL,
        image_key=image_key,
    )


def tell_followers(
    session: Session, ticket: Ticket, event: TicketEvent, key: str, text: str, now: datetime, *, buttons: Buttons = ()
) -> None:
    """What the reporter of a shared matter hears, for everybody else who has it. A question (it has buttons) is the
    reporter's own; followers are asked apart. Nobody learns who the others are."""
    for one in session.scalars(select(Follower).where(Follower.ticket_id == ticket.id).order_by(Follower.id)):
        chat = session.get(Conversation, one.conversation_id) if one.conversation_id else None
        push(
            session,
            one.resident or one.staff,
            text,
            key=f"t{ticket.id}:e{event.id}:{key}:follower:{one.id}",
            now=now,
            ticket=ticket,
            conversation_id=chat.id if chat and chat.reachable else None,
            buttons=buttons,
            priority=URGENT if ticket.level in ("U0", "U1") else NORMAL,
        )


def _reporter_chat(session: Session, ticket: Ticket) -> int | None:
    chat = session.get(Conversation, ticket.conversation_id) if ticket.conversation_id else None
    return chat.id if chat and chat.reachable else None


def tell_staff(
    session: Session, staff: Staff, ticket: Ticket, event: TicketEvent, key: str, now: datetime, **more: object
) -> None:
    """Push the text `key` about `ticket` to one colleague; never to the one a complaint is about."""
    if is_accused(ticket, staff):
        return
    buttons = more.pop("buttons", ())
    image_key = str(more.pop("image_key", ""))
    values = {**facts(ticket, now), **more}
    if not has_accepted(ticket, staff):
        values.update({name: mask_text(str(values[name])) for name in QUOTED if name in values})
    push(
        session,
        staff,
        say(key, **values),
        key=f"t{ticket.id}:e{event.id}:{key}:staff:{staff.id}",
        now=now,
        ticket=ticket,
        buttons=buttons,  # type: ignore[arg-type]
        priority=URGENT if ticket.level in ("U0", "U1", "C1") else NORMAL,
        image_key=image_key,
    )


def has_accepted(ticket: Ticket, staff: Staff) -> bool:
    """Whether this colleague has taken the job, and so may have the resident's number (domain.md §9.3)."""
    return ticket.handler_id == staff.id and ticket.status not in ("new", "survey", "assigned", "rework")


def facts(ticket: Ticket, now: datetime) -> dict[str, Any]:
    """What any text about a ticket may mention. Phones only masked; the full one goes only to the worker who accepted."""
    handler = ticket.handler
    return {
        "no": ticket.ticket_no,
        "tail": ticket.tail,
        "place": ticket.place_text or say("place.missing"),
        "what": category(ticket.code).name,
        "symptom": ticket.symptom,
        "level": say(f"level.{ticket.level}") if ticket.level else "",
        "level_code": ticket.level,
        "status": say(f"status.{ticket.status}"),
        "worker": staff_title(handler) if handler else say("person.nobody"),
        "accept_by": clock(ticket.accept_by, now),
        "arrive_by": clock(ticket.arrive_by, now),
        "finish_by": clock(ticket.finish_by, now),
        "latest": clock(ticket.arrive_by or ticket.finish_by, now),
        "contact": ticket.contact_name or say("person.unnamed"),
        "phone_masked": mask_phone(ticket.contact_phone) if ticket.contact_phone else say("phone.missing"),
        "window": window_text(ticket, now),
        "round": ticket.round,
    }


def staff_title(staff: Staff) -> str:
    """王师傅（工号E023）, as residents read it."""
    return say("person.badge", name=staff.name, badge=staff.badge) if staff.badge else staff.name


def window_text(ticket: Ticket, now: datetime) -> str:
    """The agreed visit window, else the wished one, else the latest arrival."""
    if ticket.appointment_start_at:
        return span(ticket.appointment_start_at, ticket.appointment_end_at, now)
    if ticket.wanted_label:
        return ticket.wanted_label
    return say("window.asap", by=clock(ticket.arrive_by or ticket.finish_by, now))


def card(ticket: Ticket, now: datetime, *, next_step: str = "") -> str:
    """The summary a resident sees (domain.md §5.5): at most eight lines."""
    lines = [
        say("card.head", **facts(ticket, now)),
        say("card.place", **facts(ticket, now)),
        say("card.what", **facts(ticket, now)),
    ]
    if ticket.contact_phone:
        lines.append(say("card.phone", tail=ticket.contact_phone[-4:]))
    if ticket.wanted_label:
        lines.append(say("card.wanted", wanted=ticket.wanted_label))
    lines.append(say(f"card.latest_{ticket.kind}", **facts(ticket, now)))
    if next_step:
        lines.append(next_step)
    return "\n".join(lines)


def hand_to_desk(session: Session, chat: Conversation, actor: Actor, words: str, now: datetime) -> Staff | None:
    """A person is wanted: the desk on duty (else the managers) is told, with the last words; returns who takes it."""
    person = actor.resident or actor.staff
    assert person is not None
    query = select(Staff).where(Staff.community_id == person.community_id, Staff.role == "desk", Staff.active)
    desk = list(session.scalars(query.order_by(Staff.id)))
    pool = [one for one in desk if on_shift(one, now)] or desk or managers(session, person.community_id)
    for staff in pool[:1]:
        homes = home_key(session, actor.resident) or ""
        who = say(
            "person.who",
            name=actor.name,
            home=homes,
            phone=mask_phone(person.phone) if person.phone else say("phone.missing"),
        )
        text = say("push.handoff", who=who, words=words[:200])
        push(session, staff, text, key=f"handoff:{chat.id}:{now.isoformat()}", now=now, priority=URGENT)
        return staff
    return None
