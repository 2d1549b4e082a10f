"""An emergency from the first word on: fixed advice, then the ticket and the alarm, before any form (domain.md §3.4).

Runs inside the transaction that stores the message, so the advice cannot get lost and does not need Rasa.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from nlu.address import NONE, Address, lent
from nlu.emergency import Emergency, detect, kind_of, of_category, playbook, question_text, suspect
from nlu.slots import find_phone
from storage.models import Assignment, Community, Conversation, Draft, Resident, Staff, Ticket, TicketEvent
from tickets import danger_questions, lifecycle, notify, questions, verbs
from tickets.catalog import category
from tickets.errors import NotAllowed, WrongStatus
from tickets.people import SYSTEM, Actor, each_once, home_key, leaders, managers, relations
from tickets.places import affected, is_exact, part_of, place_display, problem_text, read_place, told_in, unchecked
from tickets.texts import LOCAL, has_text, say
from tickets.urgency import is_danger
from tickets.verbs import Report
from tickets.verbs.steps import set_clocks
from tickets.words import (
    asks_in_danger,
    at_home,
    behind_door,
    gets_worse,
    has_come_out,
    is_beside,
    is_in_hospital,
    is_outdoors,
    next_door,
    of_other_estate,
    puts_right,
    says_none,
    says_not_yet,
    says_smoke,
    somebody_inside,
    speaks_of_other,
    things_in,
    wants_fence,
)

# A repeat of the same danger within this time is the same event, not a second ticket.
SAME_EVENT = timedelta(hours=2)
SAFETY_WAIT = timedelta(minutes=2)
JUST_ASKED = timedelta(minutes=10)
PLACE_WORDS = 40
# A bare cry for help leaves less time to wait for an answer.
DOUBT_WAIT = {"HELP": timedelta(seconds=60)}
PUBLIC_KINDS = frozenset({"LIFT", "PIT", "FALL", "FLOOD", "OUTAGE"})
# Who went outside must not go back in before somebody says so.
EVACUATED = frozenset({"GAS", "FIRE", "CO"})
# What may happen in sight of who tells it, in the water of the park or behind some window.
OUTDOORS = frozenset({"MED", "SEC", "TRAPPED"})
# How the key of a place that is no flat begins.
PUBLIC = "PUB:"
# The key of a place of which nothing is known yet.
NOWHERE = "unknown"
# They are asked whether somebody is found or has answered, so that a bare 没有 is the danger.
MISSED = frozenset({"LOST", "CARE"})
# A word that a question offers as its answer, in Chinese quotation marks.
OFFERED = re.compile("\u201c([^\u201d]+)\u201d")
# Whoever wants to die is met by a person, not by a form.
NO_FORM = frozenset({"SELF"})
# A ticket of them is about a person, so that what is broken beside it gets one of its own.
OF_PEOPLE = frozenset({"MED", "SEC", "LOST", "CARE", "SELF", "HELP", "TRAPPED"})
# What is left to do once the people are safe: the category of the repair that follows.
FOLLOW_UP = {"LIFT": "L02"}
# Whose crew already brings what the other danger needs, so that it is the same event (electrician and plumber go together).
COVERS = {"WATER_ELEC": frozenset({"ELEC", "BURST"})}
# What may be in the flat beside the one that is told (「楼上在冒烟 我住1203」); water is fought where it arrives.
NEXT_DOOR = frozenset({"FIRE", "GAS", "CO", "MED", "SEC", "SELF", "CARE", "HELP", "TRAPPED"})
# Who is shut in hears those who open from outside: that is no burglar.
SHUT_IN = frozenset({"LIFT", "TRAPPED"})


# Behind whose door something may be burning.
BEHIND_DOOR = SHUT_IN | {"CARE"}
# The category of somebody who cannot get out, or whom nobody can get to.
LOCKED_IN = "D02"


def locks_in(code: str, symptom: str, text: str) -> bool:
    """Whether `text` tells of a child or a fire behind the door that, by `symptom`, does not open: a danger (domain.md §3.4)."""
    row = category(code)
    return row.ask == "locked" and row.may_ask(symptom) and behind_door(text)


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
    running = _running(session, actor, now)
    if running is not None and is_rescue(running, found, text):
        return False
    if running is not None and found.kind == danger(running) and is_none(running, text):
        _say(
            session, conversation, actor, taken_for_none(session, running, actor, text, now), f"{source_key}:none", now
        )
        return True
    found = _surer(running, found, text) if running is not None else found
    if running is not None and _turns_into(running, found, text):
        _turn_into(session, conversation, actor, running, found, text, source_key, now)
        return True
    if found.verdict == "alarm":
        _raise_alarm(
            session, conversation, actor, found, _with_asked(session, actor, found, text, now), source_key, now
        )
        return True
    if running is not None:
        # 「我老婆有点头晕」 while the gas escapes is news for the crew, and nothing to ask about.
        return False
    question = question_text(found.question)
    if found.verdict == "advise":
        question = f"{_advice(session, actor, found.kind, text)}\n{question}"
    _say(session, conversation, actor, question, f"{source_key}:safety", now, buttons=_answers_to(question))
    person = actor.resident or actor.staff
    if person is not None:
        questions.ask(
            session,
            person,
            "safety",
            now,
            remind_at=now + DOUBT_WAIT.get(found.kind, SAFETY_WAIT) if found.verdict == "check" else None,
            danger=found.kind,
            code=found.code,
            level=found.level,
            text=text,
            knowledge=found.verdict == "advise",
            conversation=conversation.id,
        )
    return True


def _surer(running: Ticket, found: Emergency, text: str) -> Emergency:
    """A doubt that the danger which runs settles: smoke out of the room where somebody is shut in, a machine somebody breathes by
    in an outage."""
    burns = next((one for one in (found, *found.also) if one.kind in EVACUATED), None)
    if burns is not None and _breaks_out(running, text):
        return replace(burns, verdict="alarm", question="")
    if _is_of_machine(running, found):
        return replace(found, verdict="alarm", question="")
    return found


def _breaks_out(running: Ticket, text: str) -> bool:
    """Smoke or gas where somebody is shut in or does not answer."""
    kind = danger(running)
    return kind in BEHIND_DOOR and danger_questions.tells("breaks_out", kind, text)


def _is_of_machine(running: Ticket, found: Emergency) -> bool:
    """A life that hangs on the current, told of in an outage that is not yet treated so (domain.md §3.2)."""
    return found.kind == "OUTAGE" == danger(running) and found.level == "U0" != running.level


def _turns_into(running: Ticket, found: Emergency, text: str) -> bool:
    """「没冒烟，就是一股煤气味」: what runs as a fire is gas, at the same place."""
    if found.verdict != "alarm" or danger(running) != "FIRE" or found.kind not in ("GAS", "CO"):
        return False
    return danger_questions.tells("no_fire", "FIRE", text)


def _turn_into(
    session: Session,
    conversation: Conversation,
    actor: Actor,
    ticket: Ticket,
    found: Emergency,
    text: str,
    source_key: str,
    now: datetime,
) -> None:
    """One event, of another kind than it was taken for: its advice goes out, and everybody on it hears what it is now."""
    place = read_place(session, ticket.community_id, text, resident=actor.resident, draft=ticket.place_key)
    if ticket.level != found.level:
        ticket.level = found.level
        set_clocks(ticket, now)
    ticket.code = found.code
    known = {name: value for name, value in (ticket.detail or {}).items() if name != "stay_out"}
    ticket.detail = {**known, "danger": found.kind, "staff_extra": playbook(found.kind).staff_extra}
    ticket.symptom = f"{ticket.symptom} {text}"
    begins_again(ticket)
    _advise(session, conversation, actor, found, text, False, source_key, now)
    add_words(session, ticket, actor, place, text, now)
    told = [*verbs.alarm_list(session, ticket.community_id, ticket.code, now), *crew(session, ticket)]
    extra = str(ticket.detail["staff_extra"])
    verbs.escalate(session, ticket, now, "push.alarm", each_once(told), extra=extra)
    _say(session, conversation, actor, _registered_text(ticket, place, now), f"{source_key}:registered", now)


def _with_asked(session: Session, actor: Actor, found: Emergency, text: str, now: datetime) -> str:
    """The words that were asked about, before the answer that is itself an alarm (「灯边上也湿了」): the crew reads both, and the
    place stood in the first. Somebody who names another place tells of something else; a doubt about another danger stays open."""
    person = actor.resident or actor.staff
    waiting = questions.waiting(session, person, now) if person else []
    asked = next((one for one in waiting if one.kind == "safety" and now - one.asked_at < JUST_ASKED), None)
    if asked is None or asked.data.get("passed") or read_place(session, _community_of(actor), text).action != "none":
        return text
    if _one_event(asked.data["danger"], found.kind):
        questions.answered(asked, text, now)
    return f"{asked.data['text']} {text}"


def _one_event(kind: str, other: str) -> bool:
    return kind == other or other in COVERS.get(kind, ()) or kind in COVERS.get(other, ())


def second_look(
    session: Session,
    conversation: Conversation,
    actor: Actor,
    dangers: Mapping[str, float],
    text: str,
    category: str,
    source_key: str,
    now: datetime,
    *,
    reports: bool,
) -> bool:
    """The trained model's fear for a message in which no word gave the alarm: one safety question, or the alarm when it is sure.
    `dangers`: how likely it tells of each kind; `category`: what the model takes to be broken; `reports`: whether the message may
    report something at all.

    Whoever has just been asked is not asked again. Returns whether the message is dealt with.
    """
    person = actor.resident
    found = suspect(dangers, text, category, reports=reports, grave=is_danger(category))
    # Every action of every turn comes by here: nearly all are done before the database is asked.
    if person is None or found is None:
        return False
    settled = ("emergency",) if found.verdict == "alarm" else ("safety", "emergency")
    if questions.asked_since(session, person, settled, now - JUST_ASKED):
        return False
    return screen(session, conversation, actor, found, text, source_key, now)


def is_feared(session: Session, actor: Actor, dangers: Mapping[str, float], text: str, now: datetime) -> bool:
    """Whether a fault whose category is itself a danger is taken for one: words or the model fear it, and nobody has just said
    that there is none."""
    person = actor.resident
    if person is not None and questions.denied_since(session, person, now - JUST_ASKED):
        return False
    return detect(text) is not None or suspect(dangers, text) is not None


def reported(
    session: Session, conversation: Conversation, actor: Actor, code: str, text: str, source_key: str, now: datetime
) -> None:
    """A fault whose category is itself a danger, told in a form: the alarm, before the form asks anything (domain.md §3.4)."""
    found = of_category(code, text)
    assert found is not None
    person = actor.resident or actor.staff
    assert person is not None
    for question in questions.waiting(session, person, now):
        if question.kind == "safety":
            question.state = "withdrawn"
    _raise_alarm(session, conversation, actor, replace(found, verdict="alarm", question=""), text, source_key, now)


def beside_report(
    session: Session, conversation: Conversation, resident: Resident, kind: str, text: str, now: datetime
) -> None:
    """A fault that may hide a danger has been registered and is asked about: a clear yes is the alarm, anything else leaves the
    report as it is."""
    rule = kind_of(kind)
    questions.ask(
        session,
        resident,
        "safety",
        now,
        danger=kind,
        code=rule.code,
        level=rule.level,
        text=text,
        passed=True,
        conversation=conversation.id,
    )


def taken_up(session: Session, actor: Actor, now: datetime) -> bool:
    """Whether this very turn has become an emergency, so that no form goes on with it."""
    person = actor.resident
    return person is not None and bool(questions.asked_since(session, person, ("safety", "emergency"), now))


def _answers_to(question: str) -> list[tuple[str, str]]:
    """The answers that a safety question itself offers, as buttons: 有/没有, 关不上/关了."""
    return [("say:" + word, word) for word in OFFERED.findall(question)]


def denies(data: Mapping[str, str], text: str, verdict: str) -> bool:
    """Whether an answer to a safety question says that there is no danger: 「没有」 of who is asked whether somebody was found, or
    answered, says the contrary."""
    return verdict == "no" and not (data["danger"] in MISSED and says_not_yet(text))


def confirmed(
    session: Session, conversation: Conversation, actor: Actor, data: dict[str, str], text: str, now: datetime
) -> None:
    """The resident said yes to the safety question: now it is an alarm."""
    found = Emergency(data["danger"], "alarm", data["code"], data["level"], "")
    words = f"{data['text']} {text}".strip()
    _raise_alarm(session, conversation, actor, found, words, f"safety:{conversation.id}:{now.isoformat()}", now)


def _advice(
    session: Session, actor: Actor, kind: str, told: str, *, place_known: bool = False, of_other: bool = False
) -> str:
    settings = _settings(session, actor)
    numbers = {name: settings.get(name, "") for name in ("gas_phone", "duty_phone")}
    return playbook(kind).advice(told, place_known=place_known, of_other=of_other, **numbers)


def _advise(
    session: Session,
    conversation: Conversation,
    actor: Actor,
    found: Emergency,
    text: str,
    place_known: bool,
    source_key: str,
    now: datetime,
) -> None:
    advice = _advice(session, actor, found.kind, text, place_known=place_known)
    _say(session, conversation, actor, advice, f"{source_key}:advice", now)


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
    community = _community_of(actor)
    draft = session.scalar(select(Draft).where(Draft.conversation_id == conversation.id))
    told, running = _draft_place(draft), _running(session, actor, now)
    read = _place_in(session, community, actor, text, told[0], running)
    place = _not_where_they_wait(beside(session, community, read, found.kind, text), running, found.kind, text)
    outside = playbook(found.kind).is_outside(text) or (found.kind in OUTDOORS and is_outdoors(text))
    where = _where(session, community, actor, place, text, now, running, told, outside=outside)
    known = _known(session, community, actor, found, place, where[0], running, text, now)
    if known is not None:
        _join(session, known, conversation, actor, found, place, text, source_key, now)
        return
    said = is_exact(where[0]) and (place.action != "none" or is_exact(told[0]))
    _advise(session, conversation, actor, found, text, said, source_key, now)
    ticket = _open(session, conversation, actor, found, place, where, running, text, source_key, now)
    _park(session, draft, ticket)
    if ticket.status == "merged":
        # Several homes have it: they were told so, and the crew is on its way.
        return
    _alert_duty(session, ticket, now)
    _after_advice(session, conversation, actor, ticket, place, found, source_key, now)


def _place_in(session: Session, community: int, actor: Actor, text: str, told: str, running: Ticket | None) -> Address:
    """The place of a danger; what names no building (「流到电表箱那儿了」) is in that of the one that runs already."""
    if building := lent([running.place_key]) if running and is_told(running) else "":
        bare = read_place(session, community, text)
        if bare.public and bare.action == "ask" and not _names_building(bare.key):
            told = building
    return read_place(session, community, text, resident=actor.resident, draft=told)


def beside(session: Session, community: int, place: Address, kind: str, text: str) -> Address:
    """「楼上在冒烟 我住2栋1单元1203」: the flat told is that of the teller, and is shown as what the danger is next to."""
    where = _next_to(kind, text)
    if not where or place.public or place.action not in ("ok", "echo", "confirm"):
        return place
    home = affected(session, community, place)
    return replace(home, display=say("reply.emergency_beside", place=home.display, where=where), source_key="")


def _not_where_they_wait(place: Address, running: Ticket | None, kind: str, text: str) -> Address:
    """No place at all where a public one is only where who has left the house waits (「我在楼下花园了 妈妈还在里面」)."""
    kinds = {kind, danger(running)} if running else {kind}
    waits = place.public and kinds & EVACUATED and danger_questions.tells("stands_there", kind, text)
    return NONE if waits else place


def _next_to(kind: str, text: str) -> str:
    """楼上, 隔壁: where a danger of this kind is, seen from the flat of who tells it; "" where it is that flat."""
    return next_door(text) if kind in NEXT_DOOR else ""


def is_rescue(running: Ticket, found: Emergency, text: str) -> bool:
    """「听到有人在撬门」 out of a stuck lift: those who come to open it, and no burglar."""
    heard = found.kind == "SEC" and danger(running) in SHUT_IN and not _breaks_out(running, text)
    return heard and bool(advice_on(running, text, asked=False))


def _known(
    session: Session,
    community: int,
    actor: Actor,
    found: Emergency,
    place: Address,
    key: str,
    running: Ticket | None,
    text: str,
    now: datetime,
) -> Ticket | None:
    """The event a new word belongs to: the same danger there, or one of the same person that this is a part of (「喘不上气」 out of
    a stuck lift)."""
    there = running is not None and not _elsewhere(running, place)
    part = running and (found.kind == "MED" or (there and _part_of(running, found, text)))
    return _same_event(session, community, actor, found, place, key, now) or (running if part else None)


def _part_of(running: Ticket, found: Emergency, text: str) -> bool:
    """Whether a danger belongs to the one that runs at the same place: the same kind, one its crew is equipped for, the pan on
    the stove behind the door (which is no fire yet), the water in the garage that has come up to the knees."""
    kind = danger(running)
    if _is_of_machine(running, found):
        return False
    if found.kind == kind or found.kind in COVERS.get(kind, ()):
        return True
    if kind == "TRAPPED" and found.kind in ("FIRE", "GAS"):
        return bool(advice_on(running, text, asked=False)) and not says_smoke(text)
    return kind == "FLOOD" and found.kind == "BURST" and not at_home(text)


def _running(session: Session, actor: Actor, now: datetime) -> Ticket | None:
    """The emergency this person is telling about right now."""
    person = actor.resident or actor.staff
    if person is None:
        return None
    asked = (one.ticket for one in questions.waiting(session, person, now) if one.kind == "emergency")
    return next((ticket for ticket in asked if ticket and ticket.status in lifecycle.OPEN), None)


def _alert_duty(session: Session, ticket: Ticket, now: datetime) -> None:
    """Loss under way, nobody in danger: everyone on duty but the manager (with U0 `verbs.open_ticket` has told him too)."""
    if ticket.level == "U0":
        return
    everyone = verbs.alarm_list(session, ticket.community_id, ticket.code, now)
    told = [one for one in everyone if one.role != "manager" and one.id != ticket.handler_id]
    verbs.escalate(session, ticket, now, "push.alarm", told, extra=str(ticket.detail["staff_extra"]))


def _draft_place(draft: Draft | None) -> tuple[str, str]:
    """Key and display of the place told so far in a half-told fault; empty without one."""
    told = ((str(one["place_key"]), str(one["place_text"])) for one in told_in(draft) if one.get("place_key"))
    return next(told, ("", ""))


def _open(
    session: Session,
    conversation: Conversation,
    actor: Actor,
    found: Emergency,
    place: Address,
    where: tuple[str, str],
    running: Ticket | None,
    text: str,
    source_key: str,
    now: datetime,
) -> Ticket:
    community = _community_of(actor)
    report = Report(
        kind="BX",
        code=found.code,
        symptom=text,
        source_key=source_key,
        place_key=where[0],
        place_text=where[1],
        public_area=place.public or found.kind in PUBLIC_KINDS,
        reporter=actor.resident,
        reporter_staff=actor.staff,
        conversation=conversation,
        level=found.level,
        contact_phone=find_phone(text) or _phone_told_lately(session, actor, now),
        source="chat" if actor.resident else "patrol",
        detail=_detail(found, text, assumed=running is None and _is_assumed(session, community, place, text)),
    )
    return verbs.open_ticket(session, community, report, now)[0]


def _community_of(actor: Actor) -> int:
    person = actor.resident or actor.staff
    assert person is not None
    return person.community_id


def _is_assumed(session: Session, community: int, place: Address, text: str) -> bool:
    """Whether nobody named a house: no place at all, or only 楼上 or 楼道, read as that of a registered home."""
    if place.action != "echo":
        return place.action == "none"
    if not place.public:
        return bool(next_door(text))
    return not _names_building(read_place(session, community, text).key)


def _detail(found: Emergency, text: str, *, assumed: bool) -> dict[str, object]:
    """`assumed`: nobody said where, so that the registered home is taken until somebody does."""
    book = playbook(found.kind)
    known: dict[str, object] = {"staff_extra": book.staff_extra, "danger": found.kind}
    if found.kind in NO_FORM and book.is_of_other(text):
        known["witness"] = True
    return {**known, "place_assumed": True} if assumed else known


def _where(
    session: Session,
    community: int,
    actor: Actor,
    place: Address,
    text: str,
    now: datetime,
    running: Ticket | None,
    told: tuple[str, str],
    *,
    outside: bool,
) -> tuple[str, str]:
    """Key and display of where the danger is; several candidates are kept, because all are searched."""
    if place.action == "none":
        found = _where_unsaid(session, community, actor, now, running, told)
        # What is surely not at home is asked for, and not looked for there.
        return ("", "") if outside and running is None and found[0] == home_key(session, actor.resident) else found
    if place.action in ("ok", "echo", "confirm"):
        return place.key, place.display
    # 「5栋16楼」: the floor is where somebody looks, and no choice between its doors.
    if place.options and (place.public or not place.display):
        return _named(place), say("place.candidates", places=say("list.or").join(label for label, _ in place.options))
    return (_named(place), place.display) if place.action == "ask" else ("", unchecked(place, text))


def _named(place: Address) -> str:
    """The key of a place that is still asked for; "" as long as it names nothing (「隔壁」 of nobody knows whom)."""
    return "" if place.key == NOWHERE else place.key


def _where_unsaid(
    session: Session, community: int, actor: Actor, now: datetime, running: Ticket | None, told: tuple[str, str]
) -> tuple[str, str]:
    """The emergency that is already running, else the place told so far for a fault (`told`), else where this person has just
    reported something (「马桶水快漫出来了」 after 「马桶堵了」), else the registered home, which goes before a shared place."""
    if running is not None:
        return running.place_key, running.place_text
    if is_exact(told[0]):
        return told
    last, home = _reported_lately(session, actor, now), home_key(session, actor.resident)
    if last and is_exact(last.place_key) and not (home and last.public_area):
        return last.place_key, last.place_text
    return (home, place_display(session, community, home)) if home else ("", "")


def _phone_told_lately(session: Session, actor: Actor, now: datetime) -> str:
    last = _reported_lately(session, actor, now)
    return last.contact_phone if last else ""


def _reported_lately(session: Session, actor: Actor, now: datetime) -> Ticket | None:
    """This person's last open repair, if they told it within the time of one event."""
    if actor.resident is None:
        return None
    query = select(Ticket).where(
        Ticket.reporter_id == actor.resident.id,
        Ticket.kind == "BX",
        Ticket.status.in_(lifecycle.OPEN),
        Ticket.created_at > now - SAME_EVENT,
    )
    return session.scalar(query.order_by(Ticket.id.desc()).limit(1))


def _park(session: Session, draft: Draft | None, ticket: Ticket) -> None:
    """A half-told fault is what became the emergency; a half-told complaint, or a lamp beside smoke, waits until the danger is over
    (SC01, SC06)."""
    if draft is None:
        return
    if draft.kind == "BX" and not _told_apart(draft, ticket):
        session.delete(draft)
    else:
        draft.parked = True


def _told_apart(draft: Draft, ticket: Ticket) -> bool:
    """Whether a half-told fault names another thing than a danger of quite another kind."""
    things = things_in(str(draft.data.get("words", "")))
    kinds = {str(one.get("code", ""))[:1] for one in told_in(draft)}
    return bool(things) and not things & things_in(ticket.symptom) and ticket.code[:1] not in kinds


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
    exact = is_exact(ticket.place_key)
    buttons = [("say:" + label, label) for label, _ in place.options[:6]] if not exact else []
    text = _registered_text(ticket, place, now)
    _say(session, conversation, actor, text, f"{source_key}:registered", now, buttons=buttons)
    questions.ask(session, person, "emergency", now, ticket=ticket, asked_place=not exact)
    wanted = ask_phone(session, actor, ticket, now)
    if wanted:
        _say(session, conversation, actor, wanted, f"{source_key}:phone", now)


def _registered_text(ticket: Ticket, place: Address, now: datetime) -> str:
    if is_formless(ticket):
        return say("reply.emergency_person") + "\n" + where_question(ticket)
    if is_exact(ticket.place_key):
        return notify.card(ticket, now) if ticket.level == "U1" else _registered(ticket, now)
    head = say("reply.emergency_registered_noplace", **notify.facts(ticket, now))
    if place.action == "invalid":
        return head + "\n" + problem_text(place.problem)
    options = say("list.comma").join(label for label, _ in place.options[:6])
    return head + "\n" + (say("reply.emergency_which", options=options) if options else where_question(ticket))


def _registered(ticket: Ticket, now: datetime) -> str:
    return say("reply.emergency_registered", **notify.facts(ticket, now))


def is_told(ticket: Ticket) -> bool:
    """Whether its place was told, and is not only the home of who told the danger."""
    return is_exact(ticket.place_key) and not (ticket.detail or {}).get("place_assumed")


def ask_phone(session: Session, actor: Actor, ticket: Ticket, now: datetime) -> str:
    """The question for a phone number, once the place is known and if there is none; "" otherwise."""
    if actor.resident is None or ticket.contact_phone or not is_exact(ticket.place_key) or is_formless(ticket):
        return ""
    questions.ask(session, actor.resident, "phone", now, ticket=ticket)
    return say("reply.phone_wanted")


def danger(ticket: Ticket) -> str:
    """Which playbook a ticket was opened by, "" if by none."""
    return str((ticket.detail or {}).get("danger", ""))


def is_formless(ticket: Ticket) -> bool:
    """Whether its reporter is in danger of their own hand and is asked for nothing; who only sees it is asked where."""
    return danger(ticket) in NO_FORM and not (ticket.detail or {}).get("witness")


def where_question(ticket: Ticket) -> str:
    """The one question of its playbook; who sees somebody else in danger is asked where."""
    if danger(ticket) in NO_FORM and not is_formless(ticket):
        return say("reply.emergency_where_other")
    return playbook(danger(ticket)).question(ticket.symptom)


def advice_on(ticket: Ticket, text: str, *, asked: bool | None = None) -> str:
    """The line for what is asked in this danger (「能不能催吐」), or told of it and needing one at once (「我妈还在里面」)."""
    if not danger(ticket) or is_formless(ticket):
        return ""
    question = asks_in_danger(text) if asked is None else asked
    return danger_questions.line_for(danger(ticket), text, ticket.symptom, asked=question)


def _same_event(
    session: Session, community: int, actor: Actor, found: Emergency, place: Address, key: str, now: datetime
) -> Ticket | None:
    """The open event of this danger that a new word belongs to; `key`: where it is taken to be."""
    query = select(Ticket).where(
        Ticket.community_id == community,
        Ticket.code == found.code,
        Ticket.status.in_(lifecycle.OPEN),
        Ticket.created_at > now - SAME_EVENT,
    )
    for ticket in session.scalars(query.order_by(Ticket.id.desc())):
        if _is_ordinary(ticket, found):
            continue
        if actor.resident and ticket.reporter_id == actor.resident.id and not _elsewhere(ticket, place):
            return ticket
        if _names_building(key) and key == ticket.place_key:
            return ticket
        if found.kind in PUBLIC_KINDS and _overlap(ticket.place_key, place):
            return ticket
    return None


def _is_ordinary(ticket: Ticket, found: Emergency) -> bool:
    """A crack or a lock that waits for its repair: nobody was alarmed, so that the danger it has become gets an alarm of its own."""
    return not danger(ticket) and not verbs.is_incident(ticket) and found.level < ticket.level


def _elsewhere(ticket: Ticket, place: Address) -> bool:
    """Whether somebody tells of another building than the one an event is known to be in, without correcting it."""
    if not is_told(ticket) or place.corrected:
        return False
    known, new = part_of(ticket.place_key, "building"), part_of(place.key, "building")
    return bool(known and new) and known != new


def _overlap(key: str, place: Address) -> bool:
    """Whether the place told now is one of the candidates of an open event; `?` stands for any."""
    if place.action == "none" or not key:
        return False
    return any(_fits(old, new) for old in key.split(" or ") for new in place.key.split(" or ") if _names_building(new))


def _names_building(key: str) -> bool:
    """Whether a place says at least in which building; 「电梯里」 may be any, and is another event than the one already known."""
    return bool(key) and "?" not in "".join(key.split("/")[:2])


def _fits(one: str, other: str) -> bool:
    pairs = list(zip(*(key.removeprefix(PUBLIC).split("/") for key in (one, other)), strict=False))
    return len(pairs) > 2 and all(a == b or "?" in (a, b) for a, b in pairs)


def _join(
    session: Session,
    ticket: Ticket,
    conversation: Conversation,
    actor: Actor,
    found: Emergency,
    place: Address,
    text: str,
    source_key: str,
    now: datetime,
) -> None:
    """Another word about a known event: the crews hear it, a clearer place redirects them, nobody is dispatched twice (SC16)."""
    if verbs.is_incident(ticket):
        home = home_key(session, actor.resident) or ""
        shown = place_display(session, ticket.community_id, home) if home else ""
        verbs.join(session, ticket, actor, text, now, conversation=conversation, place=(home, shown))
        known = say("reply.incident_known", **notify.facts(ticket, now))
        _say(session, conversation, actor, known, f"{source_key}:joined", now)
        return
    new, line = _joins(session, ticket, conversation, actor, now), advice_on(ticket, text)
    _goes_on(session, ticket, found, text, now)
    if new or not (line or found.kind in ("MED", danger(ticket))):
        _advise(session, conversation, actor, found, text, is_exact(ticket.place_key), source_key, now)
    add_words(session, ticket, actor, place, text, now)
    if found.kind == "MED" != danger(ticket):
        answer = "\n".join(filter(None, (line, someone_is_ill(ticket))))
    else:
        joined = say("reply.emergency_joined", **notify.facts(ticket, now), duty_line=duty_line(session, actor))
        worse = if_worse(ticket, text) if found.kind == danger(ticket) and not new else ""
        answer = "\n".join(filter(None, (line or worse, joined)))
    _say(session, conversation, actor, answer, f"{source_key}:joined", now)


def _goes_on(session: Session, ticket: Ticket, found: Emergency, text: str, now: datetime) -> None:
    """It is told of once more, perhaps as the same danger to life now that it was not when only those on duty were told."""
    begins_again(ticket)
    if found.level < ticket.level and found.kind == danger(ticket) != "OUTAGE":
        verbs.change_level(session, ticket, SYSTEM, found.level, text, now)


def _joins(session: Session, ticket: Ticket, conversation: Conversation, actor: Actor, now: datetime) -> bool:
    """Count somebody else who tells of a known event; whether this is their first word about it."""
    person = actor.resident or actor.staff
    joined = list((ticket.detail or {}).get("joined", []))
    if person is None or conversation.id in (ticket.conversation_id, *joined):
        return False
    ticket.detail = {**(ticket.detail or {}), "joined": [*joined, conversation.id]}
    verbs.record(session, ticket, actor, "join", now)
    questions.ask(session, person, "emergency", now, ticket=ticket)
    return True


def someone_is_ill(ticket: Ticket) -> str:
    """Note it for the crews; what to tell the resident."""
    ticket.detail = {**(ticket.detail or {}), "medical": True}
    return say("reply.emergency_medical")


def noted_text(session: Session, actor: Actor, ticket: Ticket, place: Address, said: str = "") -> str:
    """Answer to words that do not settle the place: what of it is still missing, else that they were passed on; whoever has
    left the house is told once to stay outside, unless by what they `said` they are not outside, or never were inside."""
    noted = say("reply.emergency_noted", duty_line=duty_line(session, actor))
    missing = missing_place(ticket, place)
    # Nobody can come as long as nobody knows where.
    text = missing if place.action in ("ask", "invalid") and missing else "\n".join(filter(None, (noted, missing)))
    inside = danger(ticket) == "FIRE" and is_beside(f"{ticket.symptom} {said}")
    if danger(ticket) not in EVACUATED or ticket.detail.get("stay_out") or inside:
        return text
    ticket.detail = {**ticket.detail, "stay_out": True}
    if has_come_out(said) and not is_told(ticket) and missing:
        # Its own question would ask a second time whether they are outside.
        return say("reply.emergency_came_out") + say("reply.ask_place_all")
    return say("reply.emergency_came_out" if has_come_out(said) else "reply.emergency_stay_out") + text


def missing_place(ticket: Ticket, place: Address) -> str:
    """The question for what is still not known of the place after `place` was told; "" for nothing."""
    if is_told_over(ticket):
        return ""
    if _vague(ticket) and place.action == "ask" and has_text(f"reply.ask_place_{place.missing}"):
        return say(f"reply.ask_place_{place.missing}")
    if not danger(ticket) or is_formless(ticket):
        return ""
    if place.action == "invalid" and not is_told(ticket):
        return problem_text(place.problem)
    return "" if ticket.place_key else where_question(ticket)


def becomes_witness(ticket: Ticket, text: str) -> bool:
    """「不是我 是别人」 of somebody who was taken for the one who wants to die."""
    if not is_formless(ticket) or not speaks_of_other(text):
        return False
    ticket.detail = {**(ticket.detail or {}), "witness": True}
    return True


def tell_over(session: Session, ticket: Ticket, actor: Actor, text: str, now: datetime) -> str:
    """Who reported it says that nobody is in danger any more: those on it hear so and ring to check, and the reporter is not
    told again and again that somebody is being fetched. Nothing closes by itself (domain.md §3.1 step 5)."""
    add_words(session, ticket, actor, NONE, text, now)
    if actor.resident is not None and ticket.reporter_id == actor.resident.id:
        ticket.detail = {**(ticket.detail or {}), "over": True}
    return say("reply.emergency_over_ill" if is_in_hospital(text) else "reply.emergency_over")


def is_told_over(ticket: Ticket) -> bool:
    """Whether its reporter has said that it is over."""
    return bool((ticket.detail or {}).get("over"))


def is_none(ticket: Ticket, text: str) -> bool:
    """「是电视 不好意思」「不是烟，是热气」「不是你们小区」: there never was a danger here."""
    return bool(danger(ticket)) and not is_formless(ticket) and not gets_worse(text) and says_none(text)


def taken_for_none(session: Session, ticket: Ticket, actor: Actor, text: str, now: datetime) -> str:
    """Those on it hear so, and those who lead ring to check; nothing is cancelled or closed by it."""
    add_words(session, ticket, actor, NONE, text, now)
    return say("reply.emergency_not_here" if of_other_estate(text) else "reply.emergency_ended")


def ends(ticket: Ticket, text: str) -> bool:
    """「莫找了 在7栋下棋」「来电了」「保安在试喇叭」: this danger is over, or was none; the words every danger ends with are known to
    `tickets.words.is_over`."""
    kind = danger(ticket)
    if is_none(ticket, text):
        return True
    return bool(kind) and not gets_worse(text) and danger_questions.tells("over", kind, text)


def _note_end(session: Session, ticket: Ticket, actor: Actor, now: datetime, *, everywhere: bool = False) -> None:
    """Its reporter says so: what they say next is no word about the danger, and those who lead ring to check. `everywhere`: also
    about a public place, where otherwise those who go there look."""
    if actor.resident is None or ticket.reporter_id != actor.resident.id:
        return
    ticket.detail = {**(ticket.detail or {}), "over": True}
    for asked in questions.waiting(session, actor.resident, now):
        if asked.kind == "emergency" and asked.ticket_id == ticket.id:
            asked.data = {**asked.data, "over": True}
    if (everywhere or not ticket.public_area) and not ticket.arrived_at:
        verbs.have_rung(session, ticket, actor, "over_told", "push.verify_over", now)


def begins_again(ticket: Ticket) -> None:
    """A danger that was said to be over is told of once more."""
    if is_told_over(ticket):
        ticket.detail = {name: value for name, value in ticket.detail.items() if name != "over"}


def advice_again(session: Session, actor: Actor, ticket: Ticket) -> str:
    """「我该怎么办」: the playbook once more; whoever wants to die hears that a person is being fetched."""
    kind = danger(ticket)
    if not kind or is_formless(ticket):
        return say("reply.emergency_noted", duty_line=duty_line(session, actor))
    return _advice(session, actor, kind, ticket.symptom, place_known=is_told(ticket), of_other=kind in NO_FORM)


def advice_now(session: Session, actor: Actor, ticket: Ticket, text: str) -> str:
    """The line for what is asked or told in this danger; who tells something also hears that it was passed on."""
    if ends(ticket, text):
        return say("reply.emergency_ended")
    line = advice_on(ticket, text)
    if not line and is_left_inside(ticket, text):
        line = say(f"reply.emergency_inside_{danger(ticket)}")
    if not line or asks_in_danger(text):
        return line
    return f"{line}\n{say('reply.emergency_noted', duty_line=duty_line(session, actor))}"


def to_be_safe(session: Session, actor: Actor, ticket: Ticket, text: str) -> str:
    """The answer to a question about what to do that nothing is written about: not to risk it, and whom to ring; "" else."""
    line = danger_questions.unsure(danger(ticket)) if asks_in_danger(text) and not is_formless(ticket) else ""
    noted = say("reply.emergency_noted", duty_line=duty_line(session, actor))
    return f"{line}\n{noted}" if line else ""


def if_worse(ticket: Ticket, text: str) -> str:
    """「走到门口了」: what to do now that the danger grows; "" where it does not, or where the first advice said all."""
    kind = danger(ticket)
    return playbook(kind).worse if kind and gets_worse(text) else ""


def under_way(session: Session, actor: Actor, ticket: Ticket, now: datetime) -> str:
    """「师傅到哪了」: who comes by when, and whom to ring."""
    if not is_exact(ticket.place_key):
        return noted_text(session, actor, ticket, NONE)
    state = "there" if ticket.arrived_at else "coming" if ticket.handler else "called"
    return say(f"reply.emergency_{state}", duty_line=duty_line(session, actor), **notify.facts(ticket, now))


def duty_line(session: Session, actor: Actor) -> str:
    phone = _settings(session, actor).get("duty_phone", "")
    return say("reply.duty_line", duty_phone=phone) if phone else ""


def add_words(session: Session, ticket: Ticket, actor: Actor, place: Address, text: str, now: datetime) -> bool:
    """Pass what was said during an emergency on to everyone on it; returns whether the place became clearer."""
    if ends(ticket, text):
        _note_end(session, ticket, actor, now, everywhere=is_none(ticket, text))
    # 「在7栋下棋」 of who is found is nowhere to go to.
    place = NONE if ends(ticket, text) else _not_where_they_wait(place, ticket, danger(ticket), text)
    if place.action == "ok" and place.key == ticket.place_key and _told_by(ticket, actor):
        _is_no_guess(ticket)
    clearer = _clearer(ticket, place, text) and (_told_by(ticket, actor) or _overlap(ticket.place_key, place))
    if clearer:
        old = ticket.place_text
        ticket.place_key, ticket.place_text = place.key, place.display
        ticket.public_area = ticket.public_area or place.public
        _is_no_guess(ticket)
        event = verbs.record(session, ticket, actor, "correct", now, note=f"{old} → {place.display}")
    else:
        event = verbs.record(session, ticket, actor, "comment", now, note=text)
        _note_pieces(ticket, actor, place, text)
    marked = _marked(ticket, text)
    _tell_all(session, ticket, event, marked or text, clearer, bool(marked), now)
    return clearer


def _marked(ticket: Ticket, text: str) -> str:
    """The words with what has to be done about them at once: lift the bar, get somebody out, fence it off; "" else."""
    if danger_questions.tells("gate", danger(ticket), text):
        return say("reply.emergency_gate", words=text)
    if is_left_inside(ticket, text):
        return say("reply.emergency_inside_staff", words=text)
    return say("reply.emergency_fence_staff", words=text) if wants_fence(text) else ""


def is_left_inside(ticket: Ticket, text: str) -> bool:
    """「我老公还在上面睡觉」 of a home that nobody may stay in."""
    return danger(ticket) in EVACUATED and somebody_inside(text)


def _is_no_guess(ticket: Ticket) -> None:
    """Its place was told, be it the registered home that it was taken for."""
    ticket.detail = {name: value for name, value in (ticket.detail or {}).items() if name != "place_assumed"}


def _note_pieces(ticket: Ticket, actor: Actor, place: Address, text: str) -> None:
    """What a message says of the place without settling it."""
    if place.action == "invalid" and not is_told(ticket) and _told_by(ticket, actor):
        # A home taken for the place is wrong once another was named, even one that does not exist.
        ticket.place_key, ticket.place_text = "", unchecked(place, text) or ticket.place_text
    open_still = _vague(ticket) or _guessed_wrong(ticket, place) or (puts_right(text) and _elsewhere(ticket, place))
    if place.action == "ask" and open_still and place.spans and _told_by(ticket, actor):
        _is_no_guess(ticket)
        # 「8栋」, and 「12A」 in the next message: the pieces belong together.
        said = "".join(text[start:end] for start, end in place.spans)
        ticket.place_key, ticket.place_text = (
            _named(place),
            place.display or ticket.place_text or said[:PLACE_WORDS],
        )


def _tell_all(
    session: Session, ticket: Ticket, event: TicketEvent, words: str, clearer: bool, gate: bool, now: datetime
) -> None:
    """Everyone on it hears what was said; `gate`: the guards do in any case."""
    alarmed = ticket.level == "U0" or gate
    told = verbs.alarm_list(session, ticket.community_id, ticket.code, now) if alarmed else []
    key = "push.emergency_place" if clearer else "push.emergency_update"
    for staff in each_once([*told, *crew(session, ticket)]):
        notify.tell_staff(session, staff, ticket, event, key, now, words=words)


def crew(session: Session, ticket: Ticket) -> list[Staff]:
    """Everybody who was sent and has not refused: who did not confirm in time may be on the way all the same."""
    query = (
        select(Staff)
        .join(Assignment, Assignment.staff_id == Staff.id)
        .where(Assignment.ticket_id == ticket.id, Assignment.state.in_(("offered", "accepted", "timed_out")))
        .order_by(Staff.id)
    )
    return list(session.scalars(query).unique())


def _clearer(ticket: Ticket, place: Address, text: str) -> bool:
    if place.action not in ("ok", "echo", "confirm") or place.key == ticket.place_key:
        return False
    if ticket.place_key and danger_questions.tells("neighbour_too", danger(ticket), text):
        # 「楼下902也滴水了」: one more flat that has it.
        return False
    if danger(ticket) == "LOST" and place.public and ticket.place_key:
        # Where somebody was seen is news for those who look, and the home stays where it is.
        return False
    if _is_home_after_all(ticket, place, text) or (puts_right(text) and is_exact(place.key)):
        return True
    known = place.public or place.corrected or _guessed_wrong(ticket, place)
    if ticket.public_area and part_of(ticket.place_key, "building") and not known:
        # The flat of who tells of a stuck lift is no clearer place for it.
        return False
    told_first = not is_told(ticket) and not place.source_key
    return _vague(ticket) or told_first or place.corrected


def _guessed_wrong(ticket: Ticket, place: Address) -> bool:
    """The house it was taken to be in, because its teller lives there, is not the one that is named now."""
    guessed, named = part_of(ticket.place_key, "building"), part_of(place.key, "building")
    return not is_told(ticket) and bool(guessed and named) and guessed != named


def _is_home_after_all(ticket: Ticket, place: Address, text: str) -> bool:
    """「我家是6号楼…」 after a public place: the home is where it is."""
    kind, was_public = danger(ticket), ticket.place_key.startswith(PUBLIC)
    if not was_public or place.public or kind in PUBLIC_KINDS:
        return False
    return danger_questions.tells("own_home", kind, text)


def _told_by(ticket: Ticket, actor: Actor) -> bool:
    """Whether this person reported it; others who tell of the same event never send the crew to another place."""
    return not ticket.place_key or (actor.resident is not None and ticket.reporter_id == actor.resident.id)


def _vague(ticket: Ticket) -> bool:
    key = ticket.place_key
    return not is_exact(ticket.place_key) or (key.endswith("/-") and not key.startswith(PUBLIC))


def unanswered(session: Session, data: dict[str, str], words: str, community_id: int, now: datetime, key: str) -> None:
    """Nobody answered the safety question: the duty people are told of a suspicion (domain.md §3.1)."""
    for staff in verbs.alarm_list(session, community_id, kind_of(data["danger"]).code, now):
        notify.push(
            session, staff, say("push.suspected", words=words), key=f"{key}:{staff.id}", now=now, priority=notify.URGENT
        )


# --- afterwards -------------------------------------------------------------------------------------------------------


def under_control(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """The crew says the danger is over: the leaders are asked to look, nothing closes by itself (domain.md §3.1)."""
    if actor.staff not in crew(session, ticket) and lifecycle.SUPERVISOR not in relations(session, ticket, actor):
        raise NotAllowed(action="control")
    if ticket.status not in lifecycle.OPEN or not danger(ticket):
        raise WrongStatus(status=ticket.status, action="control")
    ticket.contact_at = None
    event = verbs.record(session, ticket, actor, "control", now, note=words)
    told = [*leaders(session, ticket.community_id, ticket.department), *managers(session, ticket.community_id)]
    for staff in each_once(told):
        notify.tell_staff(session, staff, ticket, event, "push.control", now, by=actor.name, words=words)
    notify.tell_reporter(session, ticket, event, "push.control_told", now)


def jobs_of(session: Session, staff: Staff) -> list[Ticket]:
    """The running emergencies this colleague was sent to."""
    query = select(Ticket).where(Ticket.community_id == staff.community_id, Ticket.status.in_(lifecycle.OPEN))
    running = session.scalars(query.where(Ticket.level.in_(("U0", "U1"))).order_by(Ticket.id.desc()))
    return [ticket for ticket in running if danger(ticket) and staff in crew(session, ticket)]


def stand_down(session: Session, ticket: Ticket, actor: Actor, note: str, now: datetime) -> None:
    """A leader closes by hand. After a danger everybody who reported it hears so, the repair that is left gets a ticket
    of its own, and somebody asks the next day how it is (domain.md §3.4 h)."""
    verbs.resolve(session, ticket, actor, note, now)
    if not danger(ticket):
        return
    ticket.contact_at = None
    ticket.callback_at = (now.astimezone(LOCAL) + timedelta(days=1)).replace(hour=10, minute=0, second=0, microsecond=0)
    for chat_id in ticket.detail.get("joined", []):
        chat = session.get_one(Conversation, chat_id)
        person = chat.identity.resident or chat.identity.staff
        text = say("push.resolved_joined", **notify.facts(ticket, now))
        notify.push(session, person, text, key=f"t{ticket.id}:resolved:{chat_id}", now=now, conversation_id=chat_id)
    _follow_up(session, ticket, actor, now)


def _follow_up(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    code = FOLLOW_UP.get(danger(ticket))
    if code is None:
        return
    report = Report(
        kind="BX",
        code=code,
        symptom=say(f"follow_up.{danger(ticket)}", **notify.facts(ticket, now)),
        source_key=f"follow_up:{ticket.id}",
        place_key=ticket.place_key,
        place_text=ticket.place_text,
        public_area=ticket.public_area,
        reporter_staff=actor.staff,
        source="follow_up",
        linked=ticket,
    )
    verbs.open_ticket(session, ticket.community_id, report, now)
