"""From the finished work to the accepted one: self-check, acceptance, rework, scores (domain.md §7.1, §7.2)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.models import Assignment, Attachment, Staff, Ticket, TicketEvent
from tickets import lifecycle, notify, questions
from tickets.errors import BadInput, NotAllowed, SelfCheckNeeded, TooLate, WrongStatus
from tickets.people import SYSTEM, Actor, leaders, managers, relations
from tickets.sla import due_times
from tickets.texts import LOCAL, say
from tickets.verbs.dispatching import accept, candidates, held_by
from tickets.verbs.steps import end_assignments, move, record, require_handler, require_reporter, staff_of

REOPEN_DAYS = timedelta(days=7)
ACCEPTANCE_REMINDER = timedelta(hours=4)
SOLVED_WAIT = timedelta(hours=24)


def finish(session: Session, ticket: Ticket, actor: Actor, note: str, now: datetime, *, self_checked: bool) -> None:
    """完工: needs the worker's self-check (domain.md S30, S31); then the resident, or an inspector, is asked to accept."""
    if ticket.status in ("assigned", "rework"):
        require_handler(session, ticket, actor, "assigned", "rework")
        accept(session, ticket, actor, now)
    lifecycle.next_status(ticket.status, "finish", relations(session, ticket, actor))
    last = (ticket.detail or {}).get("quote")
    # Only a resident in their own home can be asked to pay; nobody answers for a lamp in the hall.
    asked = ticket.reporter is not None and not ticket.public_area
    if asked and last and last.get("fen") and not last.get("consent"):
        raise WrongStatus(status="consent", action="finish")
    if not self_checked:
        raise SelfCheckNeeded(no=ticket.tail)
    ticket.arrived_at = ticket.arrived_at or now
    event = move(session, ticket, actor, "finish", now, note=note)
    ticket.finished_at = now
    _attach_recent(session, ticket, actor, now)
    ask_acceptance(session, ticket, event, note, now)


def accept_by_default(session: Session, ticket: Ticket, now: datetime) -> None:
    """默认验收: nobody answered in a day. Closed with that flag, still reopenable, and never counted as satisfied (fact 10)."""
    event = move(session, ticket, SYSTEM, "no_answer", now)
    move(session, ticket, SYSTEM, "close", now)
    ticket.default_accepted = True
    end_assignments(session, ticket, "done", now)
    questions.withdraw(session, ticket)
    key = "push.closed_by_default" if ticket.kind == "BX" else "push.closed_by_default_matter"
    notify.tell_reporter(session, ticket, event, key, now)


def _attach_recent(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """Pictures the worker sent while on this job belong to it."""
    chat = notify.conversation_of(session, staff_of(actor))
    if chat is None or ticket.accepted_at is None:
        return
    query = select(Attachment).where(
        Attachment.conversation_id == chat.id,
        Attachment.ticket_id.is_(None),
        Attachment.created_at >= ticket.accepted_at,
    )
    for photo in session.scalars(query):
        photo.ticket_id, photo.purpose = ticket.id, "after"


def ask_acceptance(session: Session, ticket: Ticket, event: TicketEvent, note: str, now: datetime) -> None:
    """验收: the resident tries it out; a public area is accepted by a leader who did not do the job (domain.md S32, S37)."""
    photo = session.scalar(
        select(Attachment.key)
        .where(Attachment.ticket_id == ticket.id, Attachment.purpose == "after")
        .order_by(Attachment.id.desc())
    )
    result = say("finish.note", note=note) + "\n" if note else ""
    image = photo or ""
    if ticket.kind in ("TS", "ZX", "JY", "BY"):
        ask_solved(session, ticket, event, note, now)
        return
    if ticket.public_area or ticket.reporter is None:
        notify.tell_reporter(session, ticket, event, "push.finished_public", now, result=result, image_key=image)
        buttons = [(f"confirm:{ticket.id}", say("button.pass")), (f"not_fixed:{ticket.id}", say("button.fail"))]
        for leader in leaders(session, ticket.community_id, ticket.department):
            if leader.id != ticket.handler_id:
                notify.tell_staff(
                    session, leader, ticket, event, "push.inspect", now, result=result, buttons=buttons, image_key=image
                )
        return
    buttons = [(f"confirm:{ticket.id}", say("button.fixed")), (f"not_fixed:{ticket.id}", say("button.not_fixed"))]
    notify.tell_reporter(
        session, ticket, event, "push.acceptance", now, result=result, buttons=buttons, image_key=image
    )
    questions.ask(session, ticket.reporter, "acceptance", now, ticket=ticket, remind_at=now + ACCEPTANCE_REMINDER)


def ask_solved(session: Session, ticket: Ticket, event: TicketEvent, note: str, now: datetime) -> None:
    if ticket.reporter is None:
        return
    buttons = [(f"confirm:{ticket.id}", say("button.solved")), (f"not_fixed:{ticket.id}", say("button.unsolved"))]
    notify.tell_reporter(session, ticket, event, f"push.answer_{ticket.kind}", now, answer=note, buttons=buttons)
    questions.ask(session, ticket.reporter, "solved", now, ticket=ticket, remind_at=now + SOLVED_WAIT)


def answer_matter(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """回复 ZX… / TS…: the colleague's answer is relayed and the resident asked whether that settles it (domain.md S52)."""
    staff = staff_of(actor)
    if ticket.kind not in ("ZX", "TS", "JY", "BY"):
        raise WrongStatus(status=ticket.status, action="answer")
    if not words:
        raise BadInput(words="")
    if not relations(session, ticket, actor) & {lifecycle.HANDLER, lifecycle.DESK, lifecycle.SUPERVISOR}:
        raise NotAllowed(action="answer")
    if ticket.status not in ("assigned", "in_progress", "rework"):
        raise WrongStatus(status=ticket.status, action="answer")
    held_by(session, ticket, staff, now)
    if ticket.status in ("assigned", "rework"):
        move(session, ticket, actor, "accept", now)
        ticket.accepted_at, ticket.accept_by = now, None
    event = move(session, ticket, actor, "finish", now, note=words)
    ticket.finished_at = now
    ask_solved(session, ticket, event, words, now)


def confirm(session: Session, ticket: Ticket, actor: Actor, now: datetime, *, remark: str = "") -> None:
    """验收通过: closed; the resident is asked for two scores, never pre-filled (domain.md S34)."""
    inspector = actor.staff is not None
    inspected = ticket.public_area or ticket.reporter is None
    if inspector is not inspected:
        raise NotAllowed(action="confirm")
    event = move(session, ticket, actor, "confirm", now, note=remark)
    ticket.confirmed_at = now
    ticket.remark = "\n".join(filter(None, (ticket.remark, remark)))
    end_assignments(session, ticket, "done", now)
    questions.withdraw(session, ticket)
    if ticket.level in ("U0", "U1") and ticket.reporter and not ticket.public_area:
        ticket.callback_at = _next_morning(now)
    if ticket.kind == "BX" and not inspector and ticket.reporter:
        notify.tell_reporter(session, ticket, event, "push.thanks_score", now, buttons=score_buttons(ticket))
        questions.ask(session, ticket.reporter, "score", now, ticket=ticket)
    else:
        key = "push.closed_public" if inspector else f"push.closed_{ticket.kind}"
        notify.tell_reporter(session, ticket, event, key, now)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.accepted_by_resident", now, who=actor.name)


def score_buttons(ticket: Ticket) -> list[tuple[str, str]]:
    """Best and worst stand in plain order; nothing is marked beforehand."""
    return [(f"score:{ticket.id}:{n}", say("button.score", n=n)) for n in range(1, 6)]


def _next_morning(now: datetime) -> datetime:
    local = now.astimezone(LOCAL) + timedelta(days=1)
    return local.replace(hour=10, minute=0, second=0, microsecond=0)


def not_fixed(session: Session, ticket: Ticket, actor: Actor, left: str, now: datetime, *, half: bool = False) -> None:
    """没修好: same ticket, next round. Round 2 same worker and the supervisor knows; round 3 another worker (domain.md §7.2)."""
    event = move(session, ticket, actor, "not_fixed", now, note=left, half=half)
    questions.withdraw(session, ticket)
    _next_round(session, ticket, event, left, now)


def reopen(session: Session, ticket: Ticket, actor: Actor, reason: str, now: datetime) -> None:
    """The same fault within seven days of closing: rework on the same number, never a new one."""
    if ticket.status == "closed" and ticket.closed_at and now - ticket.closed_at > REOPEN_DAYS and actor.resident:
        raise TooLate(no=ticket.tail)
    if ticket.handler_id is None:
        raise WrongStatus(status=ticket.status, action="reopen")
    event = move(session, ticket, actor, "reopen", now, note=reason)
    ticket.callback_at = None
    questions.withdraw(session, ticket)
    _next_round(session, ticket, event, reason, now)


def _next_round(session: Session, ticket: Ticket, event: TicketEvent, left: str, now: datetime) -> None:
    ticket.round += 1
    ticket.accepted_at = ticket.finished_at = ticket.arrived_at = ticket.on_the_way_at = ticket.confirmed_at = None
    ticket.appointment_start_at = ticket.appointment_end_at = None
    ticket.wanted_label, ticket.wanted_start_at, ticket.wanted_end_at = "", None, None
    ticket.warned_step = ticket.arrive_step = ticket.accept_step = 0
    end_assignments(session, ticket, "withdrawn", now)
    due = due_times(ticket.level, now)
    ticket.finish_by = due.finish_by
    ticket.arrive_by = min(filter(None, (due.arrive_by, now + timedelta(hours=24))))
    worker = _rework_handler(session, ticket, now)
    session.add(Assignment(ticket_id=ticket.id, staff=worker, state="offered", offered_at=now, why=["rework"]))
    ticket.handler = worker
    ticket.accept_by = min(due.accept_by, now + timedelta(hours=2))
    session.flush()
    notify.tell_reporter(session, ticket, event, "push.rework" if ticket.kind == "BX" else "push.reworked_matter", now)
    buttons = [(f"accept:{ticket.id}", say("button.accept"))]
    notify.tell_staff(session, worker, ticket, event, "push.rework_staff", now, left=left, buttons=buttons)
    told = leaders(session, ticket.community_id, ticket.department)
    if ticket.round >= 3:
        told = [*told, *managers(session, ticket.community_id)]
    for leader in told:
        if leader.id != worker.id:
            notify.tell_staff(session, leader, ticket, event, "push.rework_leader", now, left=left)


def _rework_handler(session: Session, ticket: Ticket, now: datetime) -> Staff:
    assert ticket.handler is not None
    if ticket.round < 3 or ticket.kind != "BX":
        return ticket.handler
    others = candidates(session, ticket, now, exclude=frozenset({ticket.handler.id}))
    return session.get_one(Staff, others[0][0].staff_id) if others else ticket.handler


def rate(
    session: Session, ticket: Ticket, actor: Actor, attitude: int, quality: int, remark: str, now: datetime
) -> None:
    """Two scores of 1–5 as given; a bad one (≤2) is a task for the supervisor (architecture.md §6)."""
    require_reporter(session, ticket, actor)
    if not (1 <= attitude <= 5 and 1 <= quality <= 5):
        raise BadInput(score=attitude)
    ticket.score_attitude, ticket.score_quality = attitude, quality
    ticket.remark = "\n".join(filter(None, (ticket.remark, remark)))
    event = record(session, ticket, actor, "score", now, note=remark, attitude=attitude, quality=quality)
    questions.withdraw(session, ticket, "score")
    poor = min(attitude, quality) <= 2
    notify.tell_reporter(session, ticket, event, "push.score_low" if poor else "push.score_thanks", now)
    if ticket.handler:
        notify.tell_staff(
            session,
            ticket.handler,
            ticket,
            event,
            "push.scored",
            now,
            attitude=attitude,
            quality=quality,
            remark=remark,
        )
    if poor:
        for leader in leaders(session, ticket.community_id, ticket.department):
            notify.tell_staff(
                session,
                leader,
                ticket,
                event,
                "push.scored_low",
                now,
                attitude=attitude,
                quality=quality,
                remark=remark,
            )
