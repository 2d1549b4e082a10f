"""Writing to people: every push is an outbox row in the transaction of the change that caused it (architecture.md §2.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from nlu.slots import mask_phone, mask_text
from storage import mailbox
from storage.models import Conversation, Follower, Identity, OutboxMessage, Resident, Staff, Ticket, TicketEvent
from tickets import lifecycle, quiet_hours
from tickets.catalog import category, reopen_within
from tickets.people import each_once, hides_name_from, is_accused, leaders, next_duty, on_shift
from tickets.sla import progress_due
from tickets.texts import clock, say, span

URGENT, NORMAL, LATER = mailbox.URGENT, 5, 8
# What the dedupe keys of requests to telephone begin with.
NOT_DELIVERED = "not_delivered"
Buttons = Sequence[tuple[str, str]]
# What a resident typed, wherever a text quotes it.
QUOTED = ("symptom", "words", "left", "remark")


def conversation_of(session: Session, person: Resident | Staff) -> Conversation | None:
    """The private chat this person asked for, else the one where they were heard last."""
    column = Identity.resident_id if isinstance(person, Resident) else Identity.staff_id
    query = (
        select(Conversation)
        .join(Identity)
        .where(column == person.id, Conversation.group.is_(False), Conversation.reachable)
        .order_by(
            Identity.preferred.desc(),
            Conversation.last_inbound_at.is_(None),
            Conversation.last_inbound_at.desc(),
            Conversation.id,
        )
    )
    return session.scalars(query).first()


# 「师傅手上都有活」 before 「已登记」 reads as if there were another ticket.
ANSWER_FIRST = frozenset({"push.nobody_yet", "push.nobody_free"})
BEHIND_ANSWER = timedelta(seconds=4)


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
    """Queue `text` for one person. `key` makes it once only, and nothing is told twice in one turn (two jobs with one visit); without
    any chat the row is dead at once and listed for leaders."""
    if session.scalar(select(OutboxMessage.id).where(OutboxMessage.dedupe_key == key)):
        return
    if conversation_id is None and person is not None:
        chat = conversation_of(session, person)
        conversation_id = chat.id if chat else None
    plain = conversation_id is not None and priority != URGENT and not buttons and not image_key
    said = plain and _just_said(session, conversation_id, text, now)
    if priority == URGENT and conversation_id:
        mailbox.hurry(session, conversation_id, now)
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
            status="withdrawn" if said else "pending" if conversation_id else "dead",
            error="" if conversation_id else "no_chat",
            created_at=now,
            due_at=due_at or now,
            image_key=image_key,
            reported_at=now if key.startswith(NOT_DELIVERED) else None,
        )
    )


def _just_said(session: Session, conversation_id: int | None, text: str, now: datetime) -> bool:
    waiting = (OutboxMessage.conversation_id == conversation_id) & (OutboxMessage.status == "pending")
    same = select(OutboxMessage.id).where(waiting, OutboxMessage.created_at == now, OutboxMessage.text == text)
    return session.scalar(same.limit(1)) is not None


def tell_reporter(
    session: Session, ticket: Ticket, event: TicketEvent, key: str, now: datetime, **more: object
) -> None:
    """Push the text `key` about `ticket` to whoever reported it, in the chat it came from. Of a report made this moment the
    answer to it goes out first."""
    buttons = more.pop("buttons", ())
    image_key = str(more.pop("image_key", ""))
    text = say(key, **facts(ticket, now), **more)
    if not buttons:
        tell_followers(session, ticket, event, key, text, now)
    person: Resident | Staff | None = ticket.reporter or ticket.reporter_staff
    if person is None:
        return
    chat = _reporter_chat(session, ticket) or conversation_of(session, person)
    push(
        session,
        person,
        text,
        key=f"t{ticket.id}:e{event.id}:{key}:reporter",
        now=now,
        ticket=ticket,
        conversation_id=chat.id if chat else None,
        buttons=buttons,  # type: ignore[arg-type]
        priority=URGENT if ticket.level in ("U0", "U1") else NORMAL,
        due_at=_resident_hour(ticket, chat, key, now) + (BEHIND_ANSWER if key in ANSWER_FIRST else timedelta(0)),
        image_key=image_key,
    )
    if ticket.level != "U0":
        # A danger to life has a rhythm of its own, which no other word slows down (tickets/clocks.py).
        ticket.contact_at = next_contact(ticket, now)


def next_contact(ticket: Ticket, now: datetime) -> datetime | None:
    """When the reporter hears the next word at the latest, even if nothing has changed (domain.md §7.4)."""
    if ticket.status not in lifecycle.OPEN or ticket.status in ("done", "callback"):
        return None
    return quiet_hours.allowed_at(
        _hours(ticket, "push.progress_running"), progress_due(ticket.level, ticket.status, now)
    )


def tell_followers(
    session: Session, ticket: Ticket, event: TicketEvent, key: str, text: str, now: datetime, *, buttons: Buttons = ()
) -> None:
    """What the reporter of a shared matter hears, for everybody else who has it. A question (it has buttons) is the
    reporter's own; followers are asked apart. Nobody learns who the others are."""
    for one in session.scalars(select(Follower).where(Follower.ticket_id == ticket.id).order_by(Follower.id)):
        person = one.resident or one.staff
        chat = session.get(Conversation, one.conversation_id) if one.conversation_id else None
        if person and not (chat and chat.reachable):
            chat = conversation_of(session, person)
        push(
            session,
            person,
            text,
            key=f"t{ticket.id}:e{event.id}:{key}:follower:{one.id}",
            now=now,
            ticket=ticket,
            conversation_id=chat.id if chat else None,
            buttons=buttons,
            priority=URGENT if ticket.level in ("U0", "U1") else NORMAL,
            due_at=_resident_hour(ticket, chat, key, now),
        )


def _hours(ticket: Ticket, key: str) -> str:
    return quiet_hours.ANY if ticket.level in ("U0", "U1") else quiet_hours.kind_of(key)


def _resident_hour(ticket: Ticket, chat: Conversation | None, key: str, now: datetime) -> datetime:
    """Now, or the morning; but what would be over by then (a visit before it) is said now."""
    hour = quiet_hours.allowed_at(_hours(ticket, key), now)
    if hour == now or (chat and quiet_hours.awake(chat.last_inbound_at, now)):
        return now
    visit = ticket.appointment_start_at or ticket.wanted_start_at or ticket.arrive_by
    coming = ticket.status in lifecycle.OWNED and not ticket.arrived_at and visit is not None and now <= visit < hour
    return now if coming else hour


def _reporter_chat(session: Session, ticket: Ticket) -> Conversation | None:
    person = ticket.reporter or ticket.reporter_staff
    wanted = conversation_of(session, person) if person else None
    if wanted and wanted.identity.preferred:
        return wanted
    chat = session.get(Conversation, ticket.conversation_id) if ticket.conversation_id else None
    return chat if chat and chat.reachable else None


def tell_staff(
    session: Session, staff: Staff, ticket: Ticket, event: TicketEvent, key: str, now: datetime, **more: object
) -> None:
    """Push the text `key` about `ticket` to one colleague; never to the one a complaint is about."""
    if is_accused(ticket, staff):
        return
    _tell_groups_too(session, ticket, event, key, now)
    buttons = more.pop("buttons", ())
    image_key = str(more.pop("image_key", ""))
    values = {**facts(ticket, now), **more}
    if hides_name_from(ticket, staff):
        values = without_name(ticket, values)
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
        priority=URGENT if is_grave(ticket) else NORMAL,
        due_at=now if is_grave(ticket) else staff_hour(session, staff, key, now),
        image_key=image_key,
    )


def without_name(ticket: Ticket, values: dict[str, Any]) -> dict[str, Any]:
    """What a text says about an anonymous complaint: neither who nor which flat, also inside quoted words (domain.md §9.3)."""
    hidden = {
        "contact": say("person.hidden"),
        "phone_masked": say("phone.hidden"),
        "phone": say("phone.hidden"),
        "place": place_for_groups(ticket),
    }
    known = {name: value for name, value in hidden.items() if name in values}
    quoted = {
        name: without_home(ticket, str(values[name])) for name in (*QUOTED, "who", "by", "more") if name in values
    }
    return {**values, **quoted, **known}


_ROOM = re.compile(r"(?<![\d:：.月日])\d{3,4}(?![\d:：.元块])(?:室|号|房)?")


def without_home(ticket: Ticket, words: str) -> str:
    """The words without the names and room numbers that tell who said them."""
    person = ticket.reporter
    names = (person.salutation, person.name, ticket.contact_name) if person else (ticket.contact_name,)
    for name in filter(None, names):
        words = words.replace(name, say("person.hidden"))
    return _ROOM.sub(say("place.starred"), words)


def is_grave(ticket: Ticket) -> bool:
    """What wakes people up."""
    return ticket.level in ("U0", "U1", "C1")


def staff_hour(session: Session, staff: Staff, key: str, now: datetime) -> datetime:
    """Now for whoever is on duty or has just written, and for what is theirs to do; else when their duty begins."""
    if key.removeprefix("push.") in quiet_hours.rules().staff_any or on_shift(staff, now):
        return now
    chat = conversation_of(session, staff)
    return now if chat and quiet_hours.awake(chat.last_inbound_at, now) else next_duty(staff, now) or now


# What is said to leaders and to those who may grab a job, and what the groups of staff hear at the same moment.
GROUP_TEXTS = dict.fromkeys(("push.nobody", "push.refused_twice", "push.grab_card"), "push.group_offer")
_BUILDING = re.compile(r".*?(?:栋|排|号楼)")


def tell_groups(
    session: Session, ticket: Ticket, event: TicketEvent, key: str, now: datetime, *, buttons: Buttons = ()
) -> None:
    """Say `key` about `ticket` once in every group that hears of jobs: places only to the building, no names, no words of
    residents (domain.md §9.2)."""
    text = say(key, **{**facts(ticket, now), "place": place_for_groups(ticket)})
    name = f"t{ticket.id}:e{event.id}:{key}"
    say_in_groups(session, ticket.community_id, text, key=name, now=now, ticket=ticket, buttons=buttons)


def say_in_groups(
    session: Session,
    community_id: int,
    text: str,
    *,
    key: str,
    now: datetime,
    ticket: Ticket | None = None,
    buttons: Buttons = (),
) -> None:
    """Queue `text` once for every group of the community's staff that hears of jobs. Nothing about a person belongs into it."""
    query = (
        select(Conversation)
        .join(Identity)
        .join(Staff, Staff.id == Identity.staff_id)
        .where(Staff.community_id == community_id, Conversation.hears_dispatch, Conversation.reachable)
        .order_by(Conversation.id)
    )
    for chat in session.scalars(query):
        # Two leaders may have named the same group.
        name = f"{key}:group:{chat.channel}:{chat.chat_id}"
        push(session, None, text, key=name, now=now, ticket=ticket, conversation_id=chat.id, buttons=buttons)


def place_for_groups(ticket: Ticket) -> str:
    """一期3栋: nobody's flat is named before many."""
    if ticket.public_area:
        return ticket.place_text
    building = _BUILDING.match(ticket.place_text)
    return building.group() if building else say("place.not_for_groups")


def _tell_groups_too(session: Session, ticket: Ticket, event: TicketEvent, key: str, now: datetime) -> None:
    """A job nobody has is offered to the groups; that somebody took it is said where it was offered."""
    if key in GROUP_TEXTS:
        buttons = [(f"accept:{ticket.id}", say("button.accept"))]
        tell_groups(session, ticket, event, GROUP_TEXTS[key], now, buttons=buttons)
    elif key == "push.accepted_staff":
        offered = OutboxMessage.dedupe_key.contains(":push.group_offer:group:", autoescape=True)
        if session.scalar(select(OutboxMessage.id).where(OutboxMessage.ticket_id == ticket.id, offered).limit(1)):
            tell_groups(session, ticket, event, "push.group_taken", now)


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
        "reopen_by": clock((ticket.closed_at or now) + reopen_within(), now),
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


def detail_thanks(ticket: Ticket) -> str:
    """Key of the thanks for more about `ticket`: a repair is read by the worker, anything else by whoever has it."""
    return "reply.detail_thanks" if ticket.kind == "BX" else "reply.detail_noted"


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


def telephone(session: Session, row: OutboxMessage, now: datetime) -> None:
    """Somebody was not reached: whoever leads the matter is told whom to telephone and about what. Nobody is asked to
    telephone about a message that was itself such a request."""
    person = session.get(Resident, row.resident_id) if row.resident_id else session.get(Staff, row.staff_id or 0)
    if person is None or not _is_worth_a_call(row):
        return
    ticket = session.get(Ticket, row.ticket_id) if row.ticket_id else None
    department = ticket.department if ticket and isinstance(person, Staff) else "desk"
    told = leaders(session, person.community_id, department)
    if ticket and is_grave(ticket):
        told = [*told, *leaders(session, person.community_id, ticket.department)]
    phone = mask_phone(person.phone) if person.phone else say("phone.missing")
    name = (person.salutation or person.name) if isinstance(person, Resident) else person.name
    values = {
        "name": name or say("person.unnamed"),
        "phone": phone,
        "words": mask_text(" ".join(row.text.split()))[:60],
    }
    kept_from = [one for one in told if ticket and (is_accused(ticket, one) or hides_name_from(ticket, one))]
    for leader in each_once(one for one in told if one is not person and one not in kept_from):
        key = f"{NOT_DELIVERED}:{row.id}:{leader.id}"
        text = say("push.not_delivered", **values)
        push(session, leader, text, key=key, now=now, ticket=ticket, priority=row.priority)


def _is_worth_a_call(row: OutboxMessage) -> bool:
    """Residents are called about everything they missed, colleagues about jobs and dangers."""
    return row.staff_id is None or row.priority == URGENT or ":push.card:" in row.dedupe_key
