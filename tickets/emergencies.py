"""An emergency from the first word on: fixed advice, then the ticket and the alarm, before any form (domain.md §3.4).

Runs inside the transaction that stores the message, so the advice cannot get lost and does not need Rasa.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nlu.address import Address
from nlu.emergency import Emergency, playbook, question_text
from storage.models import Community, Conversation, Draft, Ticket
from tickets import lifecycle, notify, questions, verbs
from tickets.people import Actor, home_key, managers
from tickets.places import place_display, read_place
from tickets.texts import say
from tickets.verbs import Report

# A repeat of the same danger within this time is the same event, not a second ticket.
SAME_EVENT = timedelta(hours=2)
SAFETY_WAIT = timedelta(minutes=2)
PUBLIC_KINDS = frozenset({"LIFT", "PIT", "FALL", "FLOOD", "OUTAGE"})


def screen(
    session: Session,
    conversation: Conversation,
    actor: Actor,
    found: Emergency,
    text: str,
    source_key: str,
    now: datetime,
) -> bool:
    """Act on what `nlu.emergency.detect` found in one message. Returns whether the message is dealt with completely."""
    if found.verdict == "alarm":
        _raise_alarm(session, conversation, actor, found, text, source_key, now)
        return True
    question = question_text(found.question)
    if found.verdict == "advise":
        question = f"{_advice(session, actor, found.kind)}\n{question}"
    _say(session, conversation, actor, question, f"{source_key}:safety", now, buttons=_yes_no())
    person = actor.resident or actor.staff
    if person is not None:
        questions.ask(
            session,
            person,
            "safety",
            now,
            remind_at=now + SAFETY_WAIT if found.verdict == "check" else None,
            danger=found.kind,
            code=found.code,
            level=found.level,
            text=text,
            knowledge=found.verdict == "advise",
            conversation=conversation.id,
        )
    return True


def _yes_no() -> list[tuple[str, str]]:
    return [("say:" + say(key), say(key)) for key in ("button.yes_now", "button.no_now")]


def confirmed(
    session: Session, conversation: Conversation, actor: Actor, data: dict[str, str], text: str, now: datetime
) -> None:
    """The resident said yes to the safety question: now it is an alarm."""
    found = Emergency(data["danger"], "alarm", data["code"], data["level"], "")
    words = f"{data['text']} {text}".strip()
    _raise_alarm(session, conversation, actor, found, words, f"safety:{conversation.id}:{now.isoformat()}", now)


def _advice(session: Session, actor: Actor, kind: str) -> str:
    settings = _settings(session, actor)
    return playbook(kind).advice(gas_phone=settings.get("gas_phone", ""), duty_phone=settings.get("duty_phone", ""))


def _settings(session: Session, actor: Actor) -> dict[str, str]:
    person = actor.resident or actor.staff
    return dict(session.get_one(Community, person.community_id).settings) if person else {}


def _say(
    session: Session,
    conversation: Conversation,
    actor: Actor,
    text: str,
    key: str,
    now: datetime,
    buttons: list[tuple[str, str]] | None = None,
) -> None:
    person = actor.resident or actor.staff
    notify.push(
        session,
        person,
        text,
        key=key,
        now=now,
        conversation_id=conversation.id,
        buttons=buttons or (),
        priority=notify.URGENT,
    )


def _raise_alarm(
    session: Session,
    conversation: Conversation,
    actor: Actor,
    found: Emergency,
    text: str,
    source_key: str,
    now: datetime,
) -> None:
    person = actor.resident or actor.staff
    assert person is not None
    community = person.community_id
    draft = session.scalar(select(Draft).where(Draft.conversation_id == conversation.id))
    place = read_place(session, community, text, resident=actor.resident, draft=_draft_place(draft))
    known = _same_event(session, community, actor, found, place, now)
    if known is not None:
        _join(session, known, conversation, actor, place, text, source_key, now)
        return
    _say(session, conversation, actor, _advice(session, actor, found.kind), f"{source_key}:advice", now)
    ticket = _open(session, conversation, actor, found, place, text, source_key, now)
    _park(session, draft, ticket)
    _after_advice(session, conversation, actor, ticket, place, found, source_key, now)


def _draft_place(draft: Draft | None) -> str | None:
    """The place told so far in a half-told fault."""
    faults = draft.data.get("faults", []) if draft else []
    return next((str(fault["place_key"]) for fault in faults if fault.get("place_key")), None)


def _open(
    session: Session,
    conversation: Conversation,
    actor: Actor,
    found: Emergency,
    place: Address,
    text: str,
    source_key: str,
    now: datetime,
) -> Ticket:
    person = actor.resident or actor.staff
    assert person is not None
    key, shown = _where(session, person.community_id, actor, place, found.kind)
    report = Report(
        kind="BX",
        code=found.code,
        symptom=text,
        source_key=source_key,
        place_key=key,
        place_text=shown,
        public_area=place.public or found.kind in PUBLIC_KINDS,
        reporter=actor.resident,
        reporter_staff=actor.staff,
        conversation=conversation,
        level=found.level,
        source="chat" if actor.resident else "patrol",
        detail={"staff_extra": playbook(found.kind).staff_extra, "danger": found.kind},
    )
    return verbs.open_ticket(session, person.community_id, report, now)[0]


def _where(session: Session, community: int, actor: Actor, place: Address, kind: str) -> tuple[str, str]:
    """Key and display; several candidates are kept (all are searched), nothing said means the registered home."""
    if place.action in ("ok", "echo", "confirm"):
        return place.key, place.display
    if place.options:
        return place.key, say("place.candidates", places=say("list.or").join(label for label, _ in place.options))
    home = home_key(session, actor.resident)
    if home and place.action == "none":
        return home, place_display(session, community, home)
    return (place.key, place.display) if place.action == "ask" else ("", "")


def _park(session: Session, draft: Draft | None, ticket: Ticket) -> None:
    """A half-told fault is what became the emergency; a half-told complaint waits until the danger is over (SC01, SC06)."""
    if draft is None:
        return
    if draft.kind == "BX":
        session.delete(draft)
    else:
        draft.parked = True


def _after_advice(
    session: Session,
    conversation: Conversation,
    actor: Actor,
    ticket: Ticket,
    place: Address,
    found: Emergency,
    source_key: str,
    now: datetime,
) -> None:
    """Second message: what was registered where, and only the location question if that is open."""
    person = actor.resident or actor.staff
    assert person is not None
    exact = bool(ticket.place_key) and "?" not in ticket.place_key and " or " not in ticket.place_key
    if ticket.level == "U1" and exact:
        text = notify.card(ticket, now)
    else:
        key = "reply.emergency_registered" if exact else "reply.emergency_registered_noplace"
        text = say(key, **notify.facts(ticket, now))
        if not exact:
            text += "\n" + playbook(found.kind).ask
    buttons = [("say:" + label, label) for label, _ in place.options[:6]] if not exact else []
    _say(session, conversation, actor, text, f"{source_key}:registered", now, buttons=buttons)
    questions.ask(session, person, "emergency", now, ticket=ticket, asked_place=not exact)
    if actor.resident and not ticket.contact_phone:
        _say(session, conversation, actor, say("reply.phone_wanted"), f"{source_key}:phone", now)
        questions.ask(session, actor.resident, "phone", now, ticket=ticket)


def _same_event(
    session: Session, community: int, actor: Actor, found: Emergency, place: Address, now: datetime
) -> Ticket | None:
    query = select(Ticket).where(
        Ticket.community_id == community,
        Ticket.code == found.code,
        Ticket.status.in_(lifecycle.OPEN),
        Ticket.created_at > now - SAME_EVENT,
    )
    for ticket in session.scalars(query.order_by(Ticket.id.desc())):
        if actor.resident and ticket.reporter_id == actor.resident.id:
            return ticket
        if found.kind in PUBLIC_KINDS and _overlap(ticket.place_key, place):
            return ticket
    return None


def _overlap(key: str, place: Address) -> bool:
    """Whether the place told now is one of the candidates of an open event; `?` stands for any."""
    if place.action == "none" or not key:
        return False
    return any(_fits(old, new) for old in key.split(" or ") for new in place.key.split(" or "))


def _fits(one: str, other: str) -> bool:
    pairs = list(zip(one.split("/"), other.split("/"), strict=False))
    return len(pairs) > 2 and all(a == b or "?" in (a.removeprefix("PUB:"), b.removeprefix("PUB:")) for a, b in pairs)


def _join(
    session: Session,
    ticket: Ticket,
    conversation: Conversation,
    actor: Actor,
    place: Address,
    text: str,
    source_key: str,
    now: datetime,
) -> None:
    """Another word about a known event: the crews hear it, a clearer place redirects them, nobody is dispatched twice (SC16)."""
    add_words(session, ticket, actor, place, text, now)
    _say(session, conversation, actor, _joined_text(session, actor, ticket, now), f"{source_key}:joined", now)


def _joined_text(session: Session, actor: Actor, ticket: Ticket, now: datetime) -> str:
    return say("reply.emergency_joined", **notify.facts(ticket, now), duty_line=duty_line(session, actor))


def duty_line(session: Session, actor: Actor) -> str:
    phone = _settings(session, actor).get("duty_phone", "")
    return say("reply.duty_line", duty_phone=phone) if phone else ""


def add_words(session: Session, ticket: Ticket, actor: Actor, place: Address, text: str, now: datetime) -> bool:
    """Pass what was said during an emergency on to everyone on it; returns whether the place became clearer."""
    clearer = _clearer(ticket, place)
    if clearer:
        old = ticket.place_text
        ticket.place_key, ticket.place_text = place.key, place.display
        event = verbs.record(session, ticket, actor, "correct", now, note=f"{old} → {place.display}")
    else:
        event = verbs.record(session, ticket, actor, "comment", now, note=text)
    told = [*verbs.alarm_list(session, ticket.community_id, now)] if ticket.level == "U0" else []
    if ticket.handler:
        told.append(ticket.handler)
    for staff in {one.id: one for one in told}.values():
        key = "push.emergency_place" if clearer else "push.emergency_update"
        notify.tell_staff(session, staff, ticket, event, key, now, words=text)
    return clearer


def _clearer(ticket: Ticket, place: Address) -> bool:
    if place.action not in ("ok", "echo", "confirm") or place.key == ticket.place_key:
        return False
    vague = not ticket.place_key or "?" in ticket.place_key or " or " in ticket.place_key
    return vague or place.corrected


def unanswered(session: Session, data: dict[str, str], words: str, community_id: int, now: datetime, key: str) -> None:
    """Nobody answered the safety question: the duty people are told of a suspicion (domain.md §3.1)."""
    for staff in [*verbs.alarm_list(session, community_id, now), *managers(session, community_id)]:
        notify.push(
            session, staff, say("push.suspected", words=words), key=f"{key}:{staff.id}", now=now, priority=notify.URGENT
        )
