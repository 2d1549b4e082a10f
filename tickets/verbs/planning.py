"""What is to be done and what it takes: survey, plan and consent, a change of plan, parts (domain.md S16, S17, S24, S28, S29)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from storage.models import Staff, Ticket, TicketEvent
from tickets import lifecycle, notify, questions
from tickets.catalog import category, survey_fields
from tickets.errors import BadInput, NotAllowed, ReasonNeeded, WrongStatus
from tickets.people import SYSTEM, Actor, leaders, managers, relations
from tickets.sla import DESK_CLOSES, due_times
from tickets.texts import LOCAL, clock, say
from tickets.verbs.choosing import candidates
from tickets.verbs.dispatching import held_by, offer
from tickets.verbs.steps import (
    end_assignments,
    move,
    record,
    require_handler,
    require_reporter,
    tell_housemate,
)
from tickets.words import plan_needs
from tickets.workdays import next_working_day

# --- survey -----------------------------------------------------------------------------------------------------------


def need_survey(
    session: Session, ticket: Ticket, surveyor: Staff, actor: Actor, now: datetime, *, reason: str = ""
) -> None:
    """待勘查: what is unclear or complex is looked at before anybody is sent to work; the resident hears by when."""
    lifecycle.next_status(ticket.status, "need_survey", relations(session, ticket, actor))
    former = ticket.handler
    end_assignments(session, ticket, "withdrawn", now)
    event = move(session, ticket, actor, "need_survey", now, note=reason or surveyor.name)
    held_by(session, ticket, surveyor, now)
    ticket.accept_by = None
    ticket.arrive_by = survey_by(ticket, now)
    ticket.arrive_step = 0
    session.flush()
    notify.tell_staff(session, surveyor, ticket, event, "push.survey_staff", now, phone=_phone(ticket))
    notify.tell_reporter(session, ticket, event, "push.survey", now)
    if former and former.id != surveyor.id:
        notify.tell_staff(session, former, ticket, event, "push.withdrawn", now)


def survey_by(ticket: Ticket, now: datetime) -> datetime:
    """By when somebody looks: the wished time, the class's arrival, for planned work the second working day (domain.md §2.2)."""
    arrive = ticket.wanted_end_at or due_times(ticket.level, now).arrive_by
    if arrive:
        return arrive
    day = next_working_day(next_working_day(now.astimezone(LOCAL).date()))
    return datetime.combine(day, DESK_CLOSES, LOCAL)


def _phone(ticket: Ticket) -> str:
    # Whoever looks has to reach the resident, like a worker who accepted (domain.md §9.3).
    return ticket.contact_phone or say("phone.missing")


def survey_first(session: Session, ticket: Ticket, now: datetime) -> bool:
    """The rule of the bot: categories that need a look go to the best of those who could do it; whether one was found."""
    if not category(ticket.code).survey or ticket.level in ("U0", "U1"):
        return False
    ranked = candidates(session, ticket, now)
    if not ranked:
        return False
    need_survey(session, ticket, session.get_one(Staff, ranked[0][0].staff_id), SYSTEM, now)
    return True


def survey_done(
    session: Session,
    ticket: Ticket,
    actor: Actor,
    findings: Mapping[str, str],
    fee_fen: int | None,
    now: datetime,
    *,
    worker: Staff | None = None,
) -> None:
    """勘查结果 with cause, scope, materials and people; then the work is offered, and the plan goes to the resident."""
    missing = [name for name, field in survey_fields().items() if field.must and not findings.get(name)]
    if missing:
        raise ReasonNeeded(reasons=say("survey.example", tail=ticket.tail), name="")
    lifecycle.next_status(ticket.status, "survey_done", relations(session, ticket, actor))
    chosen = worker or ticket.handler
    if chosen is None:
        raise WrongStatus(status=ticket.status, action="survey_done")
    ticket.detail = {**(ticket.detail or {}), "survey": dict(findings)}
    plan = say("list.semicolon").join(
        say("survey.line", name=survey_fields()[name].label, value=value) for name, value in findings.items() if value
    )
    end_assignments(session, ticket, "done", now)
    offer(session, ticket, chosen, actor, "survey_done", now, why=["survey"], note=plan)
    event = record(session, ticket, actor, "quote", now, note=plan, fen=fee_fen)
    _send_plan(session, ticket, event, plan, fee_fen, now)


# --- plan and consent -------------------------------------------------------------------------------------------------


def quote(session: Session, ticket: Ticket, actor: Actor, plan: str, amount_fen: int | None, now: datetime) -> None:
    """方案/收费: the plan and its price go to the resident, who must agree before the work (domain.md S24).

    Another plan after one was agreed to is a change: the supervisor hears of it too (domain.md S29).
    """
    require_handler(session, ticket, actor, "in_progress")
    before = (ticket.detail or {}).get("quote") or {}
    event = record(session, ticket, actor, "quote", now, note=plan, fen=amount_fen)
    _send_plan(session, ticket, event, plan, amount_fen, now, changed=bool(before.get("consent")))


def _send_plan(
    session: Session,
    ticket: Ticket,
    event: TicketEvent,
    plan: str,
    fen: int | None,
    now: datetime,
    *,
    changed: bool = False,
) -> None:
    needs = plan_needs(plan, fen)
    ticket.detail = {
        **(ticket.detail or {}),
        "quote": {"plan": plan, "fen": fen, "needs": list(needs), "consent": None},
    }
    price = say("price.yuan", yuan=f"{fen / 100:g}") if fen is not None else say("price.none")
    because = say("list.comma").join(say(f"need.{need}") for need in needs)
    values = {"plan": plan, "price": price, "because": say("need.line", needs=because) if because else ""}
    key = "push.quote_changed" if changed else "push.quote"
    buttons = [(f"consent:{ticket.id}:yes", say("button.consent")), (f"consent:{ticket.id}:no", say("button.refuse"))]
    if asks_consent(ticket):
        notify.tell_reporter(session, ticket, event, key, now, buttons=buttons, **values)
        assert ticket.reporter is not None
        questions.ask(session, ticket.reporter, "consent", now, ticket=ticket)
    if changed or {"outage", "drilling"} & set(needs):
        # A neighbour loses water or sleep: the supervisor has to know before it happens.
        for leader in leaders(session, ticket.community_id, ticket.department):
            notify.tell_staff(session, leader, ticket, event, "push.plan_leader", now, plan=plan, price=price)


def asks_consent(ticket: Ticket) -> bool:
    """Only a resident in their own home can be asked to pay or to allow something; nobody answers for a lamp in the hall."""
    return ticket.reporter is not None and not ticket.public_area


def consent_missing(ticket: Ticket) -> bool:
    """Whether the work may not be finished because nobody agreed to a plan that needs it."""
    last = (ticket.detail or {}).get("quote")
    return bool(asks_consent(ticket) and last and last.get("needs") and not last.get("consent"))


def consent(session: Session, ticket: Ticket, actor: Actor, agreed: bool, note: str, now: datetime) -> None:
    """同意/不同意 to the last quote, kept with its time."""
    require_reporter(session, ticket, actor)
    last = (ticket.detail or {}).get("quote")
    if not last or ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="consent")
    ticket.detail = {**ticket.detail, "quote": {**last, "consent": agreed, "at": now.isoformat()}}
    questions.withdraw(session, ticket, "consent")
    event = record(session, ticket, actor, "consent", now, note=note, agreed=agreed)
    key = "push.consent_yes" if agreed else "push.consent_no"
    notify.tell_reporter(session, ticket, event, key, now)
    tell_housemate(session, ticket, actor, event, key, now)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, f"{key}_staff", now)


def change_plan(
    session: Session, ticket: Ticket, actor: Actor, words: str, until: datetime | None, now: datetime
) -> None:
    """变更: a surprise on site is told to the resident and the supervisor at once; a later date only counts, and is only
    promised, when the supervisor has agreed (domain.md S29)."""
    require_handler(session, ticket, actor, "in_progress")
    if not words:
        raise BadInput(words="")
    if until and until <= now:
        raise BadInput(window=clock(until, now))
    wished = until.isoformat() if until else ""
    ticket.detail = {**(ticket.detail or {}), "change": {"words": words, "until": wished}}
    event = record(session, ticket, actor, "plan_changed", now, note=words, until=wished)
    told = "push.plan_changed_date" if until else "push.plan_changed"
    by = clock(now + DECIDE_IN, now)
    notify.tell_reporter(session, ticket, event, told, now, words=words, by=by)
    questions.withdraw(session, ticket, "change")
    if until:
        _ask_for_decision(session, ticket, now)
    asked = "push.change_approve" if until else "push.change_leader"
    for leader in leaders(session, ticket.community_id, ticket.department):
        notify.tell_staff(session, leader, ticket, event, asked, now, words=words, until=clock(until, now))


def _ask_for_decision(session: Session, ticket: Ticket, now: datetime) -> None:
    """The time by which the resident was promised to hear the new date is watched like any other."""
    for leader in leaders(session, ticket.community_id, ticket.department)[:1]:
        questions.ask(session, leader, "change", now, ticket=ticket, remind_at=now + DECIDE_IN)


def undecided_change(session: Session, ticket: Ticket, now: datetime) -> None:
    """Nobody decided in time: the manager is told, and the resident hears a new time instead of nothing."""
    change = (ticket.detail or {}).get("change") or {}
    until = clock(datetime.fromisoformat(change["until"]), now)
    event = record(session, ticket, SYSTEM, "late_told", now, note=change["words"])
    notify.tell_reporter(session, ticket, event, "push.change_late", now, by=clock(now + DECIDE_IN, now))
    for manager in managers(session, ticket.community_id):
        notify.tell_staff(
            session, manager, ticket, event, "push.change_approve", now, words=change["words"], until=until
        )


# How soon a supervisor decides on a later date, and the resident hears which.
DECIDE_IN = timedelta(hours=2)


def approve_change(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """The supervisor agrees to the later date a worker asked for: from here on it is the promised one."""
    if not relations(session, ticket, actor) & {lifecycle.SUPERVISOR}:
        raise NotAllowed(action="approve")
    change = (ticket.detail or {}).get("change") or {}
    if not change.get("until") or ticket.status not in lifecycle.OPEN:
        raise WrongStatus(status=ticket.status, action="approve")
    ticket.finish_by = datetime.fromisoformat(change["until"])
    ticket.detail = {**ticket.detail, "change": {**change, "until": ""}}
    questions.withdraw(session, ticket, "change")
    event = record(session, ticket, actor, "change_approved", now, until=change["until"])
    notify.tell_reporter(session, ticket, event, "push.new_finish", now)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.change_approved", now)


# --- parts ------------------------------------------------------------------------------------------------------------


def use_part(session: Session, ticket: Ticket, actor: Actor, name: str, fen: int | None, now: datetime) -> None:
    """换件 with its name and price; its picture is asked for. What costs something is put to the resident first (S24, S28)."""
    require_handler(session, ticket, actor, "in_progress", "done")
    if not name:
        raise BadInput(words="")
    part: dict[str, object] = {"name": name, "fen": fen, "at": now.isoformat()}
    parts = [*parts_of(ticket), part]
    ticket.detail = {**(ticket.detail or {}), "parts": parts}
    event = record(session, ticket, actor, "part", now, note=part_text(part), fen=fen)
    agreed = ((ticket.detail or {}).get("quote") or {}).get("consent")
    if fen and not agreed and ticket.status == "in_progress":
        _send_plan(session, ticket, event, say("part.plan", name=name), fen, now)
    if ticket.handler:
        questions.ask(session, ticket.handler, "part_photo", now, ticket=ticket)


def parts_of(ticket: Ticket) -> list[dict[str, object]]:
    return list((ticket.detail or {}).get("parts", []))


def part_text(part: Mapping[str, object]) -> str:
    """角阀（35元）"""
    fen = part.get("fen")
    return say("part.priced", name=part["name"], yuan=f"{fen / 100:g}") if isinstance(fen, int) else str(part["name"])
