"""From the finished work to the accepted one: self-check, acceptance, rework, scores (domain.md §7.1, §7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta

from sqlalchemy import delete, distinct, false, func, select
from sqlalchemy.orm import Session

from nlu.slots import mask_text
from storage import candidates as written_later
from storage.models import Assignment, Attachment, Conversation, Follower, InboxMessage, Staff, Ticket, TicketEvent
from tickets import complaints, dispatch, lifecycle, notify, questions
from tickets.catalog import category, patterns, photo_rule, reopen_within
from tickets.errors import BadInput, NotAllowed, PhotoNeeded, SelfCheckNeeded, TooLate, WrongStatus
from tickets.people import SYSTEM, Actor, each_once, leaders, managers, next_duty, on_shift, relations
from tickets.sla import due_times
from tickets.texts import LOCAL, say
from tickets.verbs.choosing import candidates
from tickets.verbs.complaining import close_ready, only_helps, settle, tell_others
from tickets.verbs.dispatching import accept, held_by
from tickets.verbs.filing import PHOTOS, belong
from tickets.verbs.linking import ask_restored, is_incident
from tickets.verbs.planning import consent_missing, part_text, parts_of
from tickets.verbs.registering import Report
from tickets.verbs.reporting import open_ticket, urge
from tickets.verbs.steps import (
    end_assignments,
    end_pause,
    events_of,
    move,
    record,
    require_handler,
    require_reporter,
    staff_of,
)
from tickets.words import (
    cause_in,
    disputes_visit,
    grave_reason,
    no_photo,
    objects,
    result_told,
    sounds_like,
    speaks_of_parts,
)

REOPEN_DAYS = reopen_within()
ACCEPTANCE_REMINDER = timedelta(hours=4)
SOLVED_WAIT = timedelta(hours=24)
CALLBACK_TIMES = 3
CALLBACK_SLOTS = (time(10, 0), time(16, 0), time(19, 30))
REWORK_VISIT = timedelta(hours=24)
AFTER_BEGIN = timedelta(hours=2)
POOR_ENOUGH = 3
"""A score up to this one, and nobody reached: a person telephones (domain.md §7.1)."""


def finish(session: Session, ticket: Ticket, actor: Actor, note: str, now: datetime, *, self_checked: bool) -> None:
    """完工: needs the consent to its plan, the pictures of the rule and the worker's self-check (domain.md S24, S30, S31); then
    the resident, or an inspector, is asked to accept."""
    waiting = ticket.status in ("assigned", "rework")
    if waiting:
        require_handler(session, ticket, actor, "assigned", "rework")
    else:
        lifecycle.next_status(ticket.status, "finish", relations(session, ticket, actor))
    if consent_missing(ticket):
        raise WrongStatus(status="consent", action="finish")
    _require_photos(session, ticket, actor, note)
    if not self_checked:
        raise SelfCheckNeeded(no=ticket.tail)
    if waiting:
        accept(session, ticket, actor, now)
    ticket.arrived_at = ticket.arrived_at or now
    cause = cause_in(note)
    event = move(session, ticket, actor, "finish", now, note=note, cause=cause)
    ticket.finished_at = now
    if cause:
        ticket.detail = {**(ticket.detail or {}), "cause": cause}
    _attach_recent(session, ticket, actor, now)
    ask_acceptance(session, ticket, event, note, now)
    if speaks_of_parts(note) and not parts_of(ticket) and ticket.kind == "BX":
        notify.tell_staff(session, staff_of(actor), ticket, event, "push.part_wanted", now)


def _require_photos(session: Session, ticket: Ticket, actor: Actor, note: str) -> None:
    """Public areas need a picture of the result, a second round one before and one after; or the reason why there is none."""
    rule, needed = photo_rule(), 0
    if ticket.kind != "BX":
        return
    if ticket.public_area and rule.after_public:
        needed = 1
    if ticket.round > 1:
        needed = max(needed, int(rule.after_rework) + int(rule.before_rework))
    there = needed and _photos_of_round(session, ticket, actor)
    if needed > there and not no_photo(note):
        raise PhotoNeeded(no=ticket.ticket_no, tail=ticket.tail, count=needed - there)


def _photos_of_round(session: Session, ticket: Ticket, actor: Actor) -> int:
    """Pictures of this ticket since its round began, also those still lying in the worker's chat."""
    last = next(iter(events_of(session, ticket, "not_fixed", "reopen")), None)
    since = last.at if last else ticket.created_at
    chat = notify.conversation_of(session, staff_of(actor))
    taken = (Attachment.conversation_id == chat.id) & Attachment.ticket_id.is_(None) if chat else false()
    begun = ticket.accepted_at or since
    query = select(func.count(distinct(Attachment.key))).where(
        Attachment.mime.startswith("image/"),
        ((Attachment.ticket_id == ticket.id) & (Attachment.created_at >= since) & Attachment.purpose.in_(PHOTOS))
        | (taken & (Attachment.created_at >= begun)),
    )
    return session.scalar(query) or 0


def accept_by_default(session: Session, ticket: Ticket, now: datetime) -> None:
    """默认验收: nobody answered in a day. Closed with that flag, still reopenable, and never counted as satisfied (fact 10)."""
    event = move(session, ticket, SYSTEM, "no_answer", now)
    move(session, ticket, SYSTEM, "close", now)
    ticket.default_accepted = True
    plan_callback(ticket, now)
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
    for photo in session.scalars(query.order_by(Attachment.id)).all():
        belong(session, photo, ticket, "after")


def ask_acceptance(session: Session, ticket: Ticket, event: TicketEvent, note: str, now: datetime) -> None:
    """验收: the resident tries it out; a public area is accepted by a leader who did not do the job (domain.md S32, S37)."""
    photo = session.scalar(
        select(Attachment.key)
        .where(Attachment.ticket_id == ticket.id, Attachment.purpose == "after")
        .order_by(Attachment.id.desc())
    )
    parts = say("list.comma").join(part_text(one) for one in parts_of(ticket))
    done = _result(session, ticket, note, now)
    result = say("finish.note", note=done) + "\n" if done else ""
    result += say("finish.parts", parts=parts) + "\n" if parts else ""
    image = photo or ""
    if ticket.kind in ("TS", "ZX", "JY", "BY"):
        ask_solved(session, ticket, event, note, now)
        return
    if ticket.public_area or ticket.reporter is None:
        if is_incident(ticket):
            ask_restored(session, ticket, event, now)
        else:
            notify.tell_reporter(session, ticket, event, "push.finished_public", now, result=result, image_key=image)
        # Whoever inspects has to know why there is no picture.
        inspected = result if done == note else say("finish.note", note=note) + "\n" + result
        _ask_inspection(session, ticket, event, inspected, image, now)
        return
    buttons = [(f"confirm:{ticket.id}", say("button.fixed")), (f"not_fixed:{ticket.id}", say("button.not_fixed"))]
    notify.tell_reporter(
        session, ticket, event, "push.acceptance", now, result=result, buttons=buttons, image_key=image
    )
    questions.ask(session, ticket.reporter, "acceptance", now, ticket=ticket, remind_at=now + ACCEPTANCE_REMINDER)


def _ask_inspection(
    session: Session, ticket: Ticket, event: TicketEvent, result: str, image_key: str, now: datetime
) -> None:
    buttons = [(f"confirm:{ticket.id}", say("button.pass")), (f"not_fixed:{ticket.id}", say("button.fail"))]
    for leader in _inspectors(session, ticket):
        notify.tell_staff(
            session, leader, ticket, event, "push.inspect", now, result=result, buttons=buttons, image_key=image_key
        )


TOLD_BEFORE = timedelta(hours=2)
LAST_SAID = 5


def _result(session: Session, ticket: Ticket, note: str, now: datetime) -> str:
    """What was done, as the resident reads it: why there is no picture is no result."""
    if ticket.kind != "BX" or not no_photo(note):
        return note
    return result_told(note) or _result_before(session, ticket, now)


def _result_before(session: Session, ticket: Ticket, now: datetime) -> str:
    """What the worker told as the result when they were asked for the picture (「完工 换了个感应头」, and then 「拍不了」); "" if nothing."""
    chat = notify.conversation_of(session, ticket.handler) if ticket.handler else None
    if chat is None:
        return ""
    since = max(filter(None, (ticket.accepted_at, now - TOLD_BEFORE)))
    query = select(InboxMessage.text).where(InboxMessage.conversation_id == chat.id, InboxMessage.received_at >= since)
    for text in session.scalars(query.order_by(InboxMessage.id.desc()).limit(LAST_SAID)):
        if sounds_like("finish", text) and not no_photo(text) and (told := result_told(text)):
            return told
    return ""


def _inspectors(session: Session, ticket: Ticket) -> list[Staff]:
    """Leaders who did not do the job; the managers if the only leader did."""
    found = [one for one in leaders(session, ticket.community_id, ticket.department) if one.id != ticket.handler_id]
    return found or [one for one in managers(session, ticket.community_id) if one.id != ticket.handler_id]


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
    found = relations(session, ticket, actor)
    if not found & {lifecycle.HANDLER, lifecycle.DESK, lifecycle.SUPERVISOR} or only_helps(found):
        raise NotAllowed(action="answer")
    if ticket.status not in ("assigned", "in_progress", "rework"):
        raise WrongStatus(status=ticket.status, action="answer")
    held_by(session, ticket, staff, now)
    if ticket.status in ("assigned", "rework"):
        move(session, ticket, actor, "accept", now)
        ticket.accepted_at, ticket.accept_by = now, None
    event = move(session, ticket, actor, "finish", now, note=words)
    ticket.finished_at = now
    if ticket.kind == "ZX":
        written_later.keep(session, ticket, staff, mask_text(ticket.symptom), mask_text(words), now)
    ask_solved(session, ticket, event, words, now)
    tell_others(session, ticket, actor, event, "push.answered_others", now)


def confirm(session: Session, ticket: Ticket, actor: Actor, now: datetime, *, remark: str = "") -> None:
    """验收通过: closed; the resident is asked for two scores, never pre-filled (domain.md S34)."""
    inspector = actor.staff is not None
    inspected = ticket.public_area or ticket.reporter is None
    if inspector is not inspected:
        raise NotAllowed(action="confirm")
    if ticket.kind == "TS":
        settle(session, ticket, actor, now, remark=remark)
        return
    event = move(session, ticket, actor, "confirm", now, note=remark)
    ticket.confirmed_at = now
    ticket.remark = "\n".join(filter(None, (ticket.remark, remark)))
    end_assignments(session, ticket, "done", now)
    questions.withdraw(session, ticket)
    plan_callback(ticket, now)
    if ticket.kind == "BX" and not inspector and ticket.reporter:
        notify.tell_reporter(session, ticket, event, "push.thanks_score", now, buttons=score_buttons(ticket))
        questions.ask(session, ticket.reporter, "score", now, ticket=ticket)
    else:
        key = "push.closed_public" if inspector else f"push.closed_{ticket.kind}"
        notify.tell_reporter(session, ticket, event, key, now)
    if ticket.handler:
        notify.tell_staff(session, ticket.handler, ticket, event, "push.accepted_by_resident", now, who=actor.name)
    if remark and not inspector:
        _remarked(session, ticket, event, remark, now)


def _remarked(session: Session, ticket: Ticket, event: TicketEvent, remark: str, now: datetime) -> None:
    """「满意但是厨房有点脏」「能用，就是票要给我」: accepted, and still something to put right (domain.md §7.1)."""
    _money_told(session, ticket, event, remark, now)
    if not objects(remark):
        return
    handler = [ticket.handler] if ticket.handler else []
    for staff in each_once([*leaders(session, ticket.community_id, ticket.department), *handler]):
        notify.tell_staff(session, staff, ticket, event, "push.remark", now, remark=remark)


def score_buttons(ticket: Ticket) -> list[tuple[str, str]]:
    """Best and worst stand in plain order; nothing is marked beforehand."""
    return [(f"score:{ticket.id}:{n}", say("button.score", n=n)) for n in range(1, 6)]


def plan_callback(ticket: Ticket, now: datetime) -> None:
    """回访 of a repair in a home: urgent ones the next morning, the others from a day later on (domain.md §7.1)."""
    ticket.callback_at = None
    if ticket.kind != "BX" or ticket.public_area or ticket.reporter is None:
        return
    tomorrow = now.astimezone(LOCAL).date() + timedelta(days=1)
    urgent = ticket.level in ("U0", "U1")
    morning = datetime.combine(tomorrow, CALLBACK_SLOTS[0], LOCAL)
    ticket.callback_at = morning if urgent else next_slot(now + timedelta(days=1))
    ticket.detail = {**(ticket.detail or {}), "callback": {"tried": []}}


def next_slot(start: datetime, tried: Sequence[str] = ()) -> datetime:
    """The next of the three times of day for calling back that has not been tried."""
    local = start.astimezone(LOCAL)
    slots = [slot for slot in CALLBACK_SLOTS if f"{slot:%H:%M}" not in tried]
    later = [slot for slot in slots if slot >= local.time()]
    day = local.date() if later else local.date() + timedelta(days=1)
    return datetime.combine(day, (later or slots)[0], LOCAL)


def slot_of(now: datetime) -> str:
    """Which of the times of day for calling back this is, or comes next."""
    return f"{next_slot(now).astimezone(LOCAL):%H:%M}"


def call_back(session: Session, ticket: Ticket, actor: Actor, satisfied: bool | None, note: str, now: datetime) -> None:
    """回访 by a person: content, not content, or not reached (None). With a C1 the manager calls, and never whom it is about."""
    staff = staff_of(actor)
    if ticket.kind != "TS":
        raise BadInput(kind=ticket.kind)
    if not relations(session, ticket, actor) & {lifecycle.DESK, lifecycle.SUPERVISOR}:
        raise NotAllowed(action="callback")
    by_manager = staff.role == "manager"
    if ticket.level == "C1" and not by_manager:
        raise NotAllowed(action="callback")
    if ticket.status not in ("done", "callback"):
        raise WrongStatus(status=ticket.status, action="callback")
    result = {True: "content", False: "not_content", None: "not_reached"}[satisfied]
    kept = (ticket.detail or {}).get("callback") or {}
    kept = {**kept, "result": result, "by_manager": bool(kept.get("by_manager")) or by_manager}
    ticket.detail = {**(ticket.detail or {}), "callback": kept}
    record(session, ticket, actor, "callback", now, note=" ".join(filter(None, (say(f"callback.{result}"), note))))
    if satisfied is False:
        not_fixed(session, ticket, actor, note or say("callback.not_content"), now)
    elif satisfied and ticket.status == "done":
        settle(session, ticket, actor, now, remark=note)
    else:
        close_ready(session, ticket, now)


def ask_callback(session: Session, ticket: Ticket, now: datetime, *, dangerous: bool) -> None:
    """One attempt: is it still fine? Three on different times of day, then it counts as not reached, never as satisfied."""
    tried = list(((ticket.detail or {}).get("callback") or {}).get("tried", []))
    if ticket.reporter is None:
        ticket.callback_at = None
        return
    if len(tried) >= CALLBACK_TIMES:
        _callback_missed(session, ticket, now)
        return
    assert ticket.callback_at is not None
    tried.append(f"{ticket.callback_at.astimezone(LOCAL):%H:%M}")
    ticket.detail = {**(ticket.detail or {}), "callback": {"tried": tried}}
    event = record(session, ticket, SYSTEM, "callback_asked", now, attempt=len(tried))
    if dangerous and len(tried) == 1:
        # A person calls as well (domain.md §3.4 h).
        for staff in leaders(session, ticket.community_id, "desk"):
            notify.tell_staff(session, staff, ticket, event, "push.callback_by_phone", now)
    buttons = [("say:" + say(key), say(key)) for key in ("button.fixed", "button.not_fixed")]
    asked = "push.callback_emergency" if dangerous else "push.callback"
    notify.tell_reporter(session, ticket, event, asked, now, buttons=buttons)
    questions.ask(session, ticket.reporter, "callback", now, ticket=ticket)
    tomorrow = datetime.combine(now.astimezone(LOCAL).date() + timedelta(days=1), time(0), LOCAL)
    ticket.callback_at = next_slot(tomorrow, tried) if len(tried) < CALLBACK_TIMES else now + timedelta(days=1)


def _callback_missed(session: Session, ticket: Ticket, now: datetime) -> None:
    """未回访成功: where it matters a person telephones."""
    ticket.callback_at = None
    event = record(session, ticket, SYSTEM, "callback_missed", now)
    scores = [mark for mark in (ticket.score_attitude, ticket.score_quality) if mark]
    if ticket.level in ("U0", "U1") or ticket.linked_id or min(scores, default=5) <= POOR_ENOUGH:
        for staff in leaders(session, ticket.community_id, "desk"):
            notify.tell_staff(session, staff, ticket, event, "push.callback_missed", now)


def callback_ok(session: Session, ticket: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """The resident says that it still works."""
    require_reporter(session, ticket, actor)
    record(session, ticket, actor, "callback", now, note=words)
    ticket.callback_at = None
    questions.withdraw(session, ticket, "callback")


def not_fixed(session: Session, ticket: Ticket, actor: Actor, left: str, now: datetime, *, half: bool = False) -> None:
    """没修好: same ticket, next round. Round 2 same worker and the supervisor knows; round 3 another worker (domain.md §7.2)."""
    event = move(session, ticket, actor, "not_fixed", now, note=left, half=half)
    questions.withdraw(session, ticket)
    _money_told(session, ticket, event, left, now)
    _next_round(session, ticket, event, left, now)
    if ticket.kind == "TS":
        tell_others(session, ticket, actor, event, "push.unsatisfied", now)


def _money_told(session: Session, ticket: Ticket, event: TicketEvent, words: str, now: datetime) -> None:
    """「收我现金80没给票」 in an answer about a job: leaders and the manager hear it, and not only whom it is about."""
    if ticket.kind != "BX" or grave_reason(words) != "money":
        return
    above = [*leaders(session, ticket.community_id, ticket.department), *managers(session, ticket.community_id)]
    for staff in each_once(above):
        if staff.id != ticket.handler_id:
            notify.tell_staff(session, staff, ticket, event, "push.money_told", now, words=words)


def press_repair(session: Session, repair: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """A complaint about a repair moves the repair: after a visit in vain its next round begins, with another worker and the
    supervisor on site from the third on; before any visit it is a chaser (domain.md §2.8, §7.2, SC05)."""
    times = complaints.visits(session, repair)
    overdue = bool(repair.finish_by and repair.finish_by <= now)
    if repair.status in ("done", "callback"):
        event = move(session, repair, actor, "not_fixed", now, note=words)
    elif repair.status in ("assigned", "in_progress", "on_hold") and (times >= 2 or (times and overdue)):
        end_pause(session, repair, now)
        event = move(session, repair, SYSTEM, "again", now, note=words)
    else:
        if repair.status in lifecycle.OPEN:
            urge(session, repair, actor, words, now)
        return
    questions.withdraw(session, repair)
    # Two visits in one round are as many failures as two rounds.
    repair.round = max(repair.round, times)
    _next_round(session, repair, event, words, now, quiet=True)


def reopen(session: Session, ticket: Ticket, actor: Actor, reason: str, now: datetime) -> None:
    """The same fault within seven days of closing: rework on the same number, never a new one."""
    if ticket.status == "closed" and ticket.closed_at and now - ticket.closed_at > REOPEN_DAYS and actor.resident:
        raise TooLate(no=ticket.tail)
    lifecycle.next_status(ticket.status, "reopen", relations(session, ticket, actor))
    parent = session.get(Ticket, ticket.parent_id) if ticket.status == "merged" else None
    handler = ticket.handler or (parent.handler if parent else None)
    if handler is None:
        raise WrongStatus(status=ticket.status, action="reopen")
    ticket.handler, ticket.handler_id = handler, handler.id
    event = move(session, ticket, actor, "reopen", now, note=reason)
    if parent:
        ticket.parent_id, ticket.linked_id = None, parent.id
        session.execute(delete(Follower).where(Follower.child_id == ticket.id))
    ticket.callback_at = None
    questions.withdraw(session, ticket)
    _next_round(session, ticket, event, reason, now)


def still_broken(
    session: Session,
    incident: Ticket,
    follower: Follower,
    actor: Actor,
    words: str,
    now: datetime,
    *,
    source_key: str,
    conversation: Conversation | None,
) -> Ticket:
    """The common fault is mended, this home still has it: it goes on alone, the others are not bothered (SC10)."""
    record(session, incident, actor, "not_restored", now, note=words)
    child = session.get(Ticket, follower.child_id) if follower.child_id else None
    if child is not None and child.status == "merged":
        reopen(session, child, actor, words, now)
        return child
    family = next((one for one in patterns().families if one.incident == incident.code), None)
    report = Report(
        kind="BX",
        code=family.codes[0] if family else incident.code,
        symptom=words,
        source_key=source_key,
        place_key=follower.place_key,
        place_text=follower.place_text,
        reporter=actor.resident,
        conversation=conversation,
        linked=incident,
    )
    return open_ticket(session, incident.community_id, report, now)[0]


def restored(session: Session, incident: Ticket, actor: Actor, words: str, now: datetime) -> None:
    """This home is fine again."""
    record(session, incident, actor, "restored", now, note=words)


def _next_round(
    session: Session, ticket: Ticket, event: TicketEvent, left: str, now: datetime, *, quiet: bool = False
) -> None:
    """Clocks anew, a worker, and everybody who must know; `quiet`: the resident is answered in the same breath."""
    ticket.round += 1
    ticket.accepted_at = ticket.finished_at = ticket.arrived_at = ticket.on_the_way_at = ticket.confirmed_at = None
    ticket.appointment_start_at = ticket.appointment_end_at = None
    ticket.wanted_label, ticket.wanted_start_at, ticket.wanted_end_at = "", None, None
    ticket.warned_step = ticket.arrive_step = ticket.accept_step = 0
    end_assignments(session, ticket, "withdrawn", now)
    due = due_times(ticket.level, now)
    ticket.finish_by = due.finish_by
    ticket.arrive_by = min(filter(None, (due.arrive_by, now + REWORK_VISIT)))
    worker = _rework_handler(session, ticket, now)
    session.add(Assignment(ticket_id=ticket.id, staff=worker, state="offered", offered_at=now, why=["rework"]))
    ticket.handler = worker
    ticket.accept_by = min(due.accept_by, now + timedelta(hours=2))
    if not on_shift(worker, now) and (begins := next_duty(worker, now)):
        # Nobody takes a job before their duty begins.
        ticket.accept_by = max(ticket.accept_by, begins + (due.accept_by - now))
        ticket.arrive_by = max(ticket.arrive_by, min(begins + AFTER_BEGIN, now + REWORK_VISIT))
    session.flush()
    if not quiet:
        key = "push.rework" if ticket.kind == "BX" else "push.reworked_matter"
        notify.tell_reporter(session, ticket, event, key, now)
    _tell_round(session, ticket, worker, event, left, now)


def _tell_round(session: Session, ticket: Ticket, worker: Staff, event: TicketEvent, left: str, now: datetime) -> None:
    buttons = [(f"accept:{ticket.id}", say("button.accept"))]
    notify.tell_staff(session, worker, ticket, event, "push.rework_staff", now, left=left, buttons=buttons)
    on_site = leaders(session, ticket.community_id, ticket.department)
    for leader in on_site:
        if leader.id != worker.id:
            # From the third round on the supervisor goes along (domain.md §7.2).
            key = "push.rework_on_site" if ticket.round >= 3 else "push.rework_leader"
            notify.tell_staff(session, leader, ticket, event, key, now, left=left)
        if leader.id != worker.id and ticket.kind == "BX" and disputes_visit(left):
            notify.tell_staff(session, leader, ticket, event, "push.visit_disputed", now, words=left)
    for manager in managers(session, ticket.community_id) if ticket.round >= 3 else ():
        if manager.id not in {worker.id, *(one.id for one in on_site)}:
            notify.tell_staff(session, manager, ticket, event, "push.rework_leader", now, left=left)


def _rework_handler(session: Session, ticket: Ticket, now: datetime) -> Staff:
    assert ticket.handler is not None
    if ticket.round < 3 or ticket.kind != "BX":
        return ticket.handler
    others = candidates(session, ticket, now, exclude=frozenset({ticket.handler.id}))
    if others:
        return session.get_one(Staff, others[0][0].staff_id)
    return _next_on_duty(session, ticket, now) or ticket.handler


def _next_on_duty(session: Session, ticket: Ticket, now: datetime) -> Staff | None:
    """Somebody else of the trade whose duty begins before the visit is due: better than the same hand a third time."""
    query = select(Staff).where(Staff.community_id == ticket.community_id, Staff.role == "worker", Staff.active)
    needed = category(ticket.code).trades
    latest = ticket.arrive_by if ticket.level in ("U0", "U1") else now + REWORK_VISIT
    starts = {
        one: start
        for one in session.scalars(query.order_by(Staff.id))
        if one.id != ticket.handler_id and dispatch.fits_trade(one.trades, one.licences, needed)
        if (start := next_duty(one, now)) and latest and start < latest
    }
    return min(starts, key=lambda one: starts[one], default=None)


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
    if remark and ticket.level not in ("U0", "U1"):
        # Whoever has scored in words is not asked again (domain.md §7.1).
        ticket.callback_at = None
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
