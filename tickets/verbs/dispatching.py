"""Who does it: offering, taking, refusing and passing on a ticket (domain.md §7.4)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.models import Assignment, Staff, Ticket, TicketEvent
from tickets import dispatch, lifecycle, notify
from tickets.catalog import category, decline_reasons
from tickets.errors import BadInput, NotAllowed, ReasonNeeded, WrongTrade
from tickets.people import SYSTEM, Actor, leaders, on_shift, relations
from tickets.sla import due_times
from tickets.texts import has_text, say
from tickets.verbs.steps import end_assignments, end_pause, move, not_yours, record, staff_of


def candidates(
    session: Session, ticket: Ticket, now: datetime, *, exclude: frozenset[int] = frozenset()
) -> list[tuple[dispatch.Candidate, list[str]]]:
    """Who could go, best first, with reasons."""
    open_jobs = dict(
        session.execute(
            select(Ticket.handler_id, func.count())
            .where(Ticket.community_id == ticket.community_id, Ticket.status.in_(("assigned", "in_progress", "rework")))
            .group_by(Ticket.handler_id)
        ).all()
    )
    staff = session.scalars(
        select(Staff).where(Staff.community_id == ticket.community_id, Staff.role.in_(("worker", "desk")), Staff.active)
    )
    rows = [
        dispatch.Candidate(
            one.id,
            one.name,
            tuple(one.trades),
            tuple(one.licences),
            on_shift(one, now),
            tuple(one.areas),
            one.cap,
            open_jobs.get(one.id, 0),
        )
        for one in staff
    ]
    trades = category(ticket.code).trades or ("desk",)
    need = dispatch.Need(trades, ticket.place_key, ticket.level in ("U0", "U1"), exclude, ticket.handler_id)
    return dispatch.rank(need, rows)


def auto_dispatch(session: Session, ticket: Ticket, now: datetime) -> Staff | None:
    """Offer the ticket to the best worker who has not refused it yet; nobody left → the supervisor must assign."""
    tried = frozenset(
        session.scalars(
            select(Assignment.staff_id).where(
                Assignment.ticket_id == ticket.id, Assignment.state.in_(("declined", "timed_out"))
            )
        )
    )
    ranked = candidates(session, ticket, now, exclude=tried)
    if not ranked:
        event = record(session, ticket, SYSTEM, "no_candidate", now)
        for leader in leaders(session, ticket.community_id, ticket.department):
            notify.tell_staff(session, leader, ticket, event, "push.nobody", now)
        return None
    best, why = ranked[0]
    staff = session.get_one(Staff, best.staff_id)
    offer(session, ticket, staff, SYSTEM, "assign", now, why=why)
    return staff


def offer(
    session: Session,
    ticket: Ticket,
    staff: Staff,
    actor: Actor,
    action: str,
    now: datetime,
    *,
    why: list[str],
    note: str = "",
) -> None:
    ticket.handler = staff
    event = move(session, ticket, actor, action, now, note=note or staff.name, why=why)
    limit = due_times(ticket.level, now).accept_by
    ticket.accept_by, ticket.accepted_at = limit, None
    session.add(Assignment(ticket_id=ticket.id, staff=staff, state="offered", offered_at=now, accept_by=limit, why=why))
    session.flush()
    send_card(session, ticket, staff, event, now)


def send_card(session: Session, ticket: Ticket, staff: Staff, event: TicketEvent, now: datetime) -> None:
    """The dispatch card with its four blocks: place, fault, time, cautions (domain.md §5.6)."""
    key = f"caution.{ticket.code}"
    caution = staff_extra(ticket) or say(key if has_text(key) else f"caution.{trade_of(ticket)}")
    since = now - timedelta(days=30)
    same = session.scalar(
        select(func.count())
        .select_from(Ticket)
        .where(
            Ticket.place_key == ticket.place_key,
            Ticket.code == ticket.code,
            Ticket.created_at > since,
            Ticket.id != ticket.id,
        )
    )
    notify.tell_staff(
        session,
        staff,
        ticket,
        event,
        "push.card",
        now,
        caution=caution,
        repeats=same or 0 if ticket.place_key else 0,
        buttons=[(f"accept:{ticket.id}", say("button.accept")), (f"decline:{ticket.id}", say("button.decline"))],
    )


def trade_of(ticket: Ticket) -> str:
    return (category(ticket.code).trades or ("desk",))[0]


def staff_extra(ticket: Ticket) -> str:
    return str((ticket.detail or {}).get("staff_extra", ""))


def assign(session: Session, ticket: Ticket, staff: Staff, actor: Actor, now: datetime, *, reason: str = "") -> None:
    """A leader names the worker. Another trade or someone off duty needs a reason, which is kept (domain.md S18)."""
    if staff.role not in ("worker", "desk", "supervisor"):
        raise BadInput(name=staff.name)
    needed = category(ticket.code).trades
    fits = not needed or dispatch.fits_trade(staff.trades, staff.licences, needed)
    if "electrician" in needed[:1] and "electrician" not in staff.licences:
        raise WrongTrade(name=staff.name, no=ticket.tail)
    if not reason and not (fits and on_shift(staff, now)):
        raise ReasonNeeded(name=staff.name, reasons=say("assign.reason_example", tail=ticket.tail, name=staff.name))
    action = "assign" if ticket.status in ("new", "survey") else "reassign"
    old = ticket.handler if action == "reassign" else None
    lifecycle.next_status(ticket.status, action, relations(session, ticket, actor))
    end_assignments(session, ticket, "withdrawn", now)
    end_pause(session, ticket, now)
    offer(session, ticket, staff, actor, action, now, why=["by_hand"], note=reason or staff.name)
    if old and old.id != staff.id:
        event = record(session, ticket, actor, "withdrawn", now, note=old.name)
        notify.tell_staff(session, old, ticket, event, "push.withdrawn", now)


def accept(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """接单: the worker takes the offered ticket (or an ownerless one). The loser of a race reads who has it."""
    staff = staff_of(actor)
    offer = session.scalar(
        select(Assignment)
        .where(Assignment.ticket_id == ticket.id, Assignment.staff_id == staff.id, Assignment.state == "offered")
        .order_by(Assignment.id.desc())
    )
    if ticket.handler_id == staff.id and ticket.status == "in_progress":
        return
    if ticket.status == "new":
        grab(session, ticket, actor, now)
        return
    if offer is None and ticket.handler_id != staff.id:
        raise not_yours(ticket)
    _take(session, ticket, actor, "accept" if ticket.handler_id == staff.id else "take_over", now)


def grab(session: Session, ticket: Ticket, actor: Actor, now: datetime) -> None:
    """抢单: an ownerless ticket goes to the first fitting worker."""
    staff = staff_of(actor)
    if ticket.handler_id and ticket.handler_id != staff.id:
        raise not_yours(ticket)
    needed = category(ticket.code).trades
    if needed and not dispatch.fits_trade(staff.trades, staff.licences, needed):
        raise WrongTrade(name=staff.name, no=ticket.tail)
    _take(session, ticket, actor, "grab", now)


def _take(session: Session, ticket: Ticket, actor: Actor, action: str, now: datetime) -> None:
    staff = staff_of(actor)
    former = ticket.handler
    lifecycle.next_status(ticket.status, action, relations(session, ticket, actor))
    held_by(session, ticket, staff, now)
    event = move(session, ticket, actor, action, now)
    ticket.accepted_at, ticket.accept_by = now, None
    session.flush()
    _after_accept(session, ticket, former, event, now)


def held_by(session: Session, ticket: Ticket, staff: Staff, now: datetime) -> None:
    """From now on `staff` holds the ticket; every other offer of it ends."""
    live = session.scalars(
        select(Assignment).where(Assignment.ticket_id == ticket.id, Assignment.state.in_(("offered", "accepted")))
    ).all()
    mine = next((one for one in live if one.staff_id == staff.id), None)
    for one in live:
        if one is not mine:
            one.state, one.ended_at = "withdrawn", now
    session.flush()
    if mine is None:
        mine = Assignment(ticket_id=ticket.id, staff=staff, offered_at=now, state="accepted")
        session.add(mine)
    mine.state = "accepted"
    # Both, so that `relations` sees it before the flush.
    ticket.handler, ticket.handler_id = staff, staff.id


def _after_accept(session: Session, ticket: Ticket, former: Staff | None, event: TicketEvent, now: datetime) -> None:
    staff = ticket.handler
    assert staff is not None
    if ticket.kind in ("BX", "YH"):
        # The full number only now, and only to this worker (domain.md §9.3).
        phone = ticket.contact_phone or say("phone.missing")
        buttons = [(f"arrive:{ticket.id}", say("button.arrive")), (f"finish:{ticket.id}", say("button.finish"))]
        notify.tell_staff(session, staff, ticket, event, "push.accepted_staff", now, phone=phone, buttons=buttons)
        key = "push.accepted_public" if ticket.public_area else "push.accepted"
        notify.tell_reporter(session, ticket, event, key, now)
    else:
        notify.tell_reporter(session, ticket, event, f"push.accepted_{ticket.kind}", now)
    if former and former.id != staff.id:
        notify.tell_staff(session, former, ticket, event, "push.withdrawn", now)


def decline(session: Session, ticket: Ticket, actor: Actor, reason: str, now: datetime) -> None:
    """拒单 with a reason from the list; the first refusal goes to the next candidate, the second to the supervisor."""
    chosen = match_reason(reason, decline_reasons())
    if not chosen:
        raise ReasonNeeded(reasons=say("list.comma").join(decline_reasons()), name="")
    _give_back(session, ticket, actor, "decline", "declined", chosen, now)


def match_reason(text_: str, reasons: tuple[str, ...]) -> str:
    """The listed reason that `text_` names, else ""."""
    return next((reason for reason in reasons if reason in text_ or (len(text_) >= 2 and text_ in reason)), "")


def accept_timeout(session: Session, ticket: Ticket, now: datetime) -> None:
    """Nobody took the offer in time: the next candidate gets it, the supervisor knows from the second time on."""
    _give_back(session, ticket, SYSTEM, "accept_timeout", "timed_out", "", now)


def hand_over(session: Session, ticket: Ticket, now: datetime) -> None:
    """The worker's shift is over before he took the offer: somebody on duty gets it; that is nobody's refusal."""
    old = ticket.handler
    end_assignments(session, ticket, "withdrawn", now, reason="shift_over")
    event = move(session, ticket, SYSTEM, "accept_timeout", now, note=say("reason.shift_over"))
    if old:
        notify.tell_staff(session, old, ticket, event, "push.handed_over", now)
    auto_dispatch(session, ticket, now)


def _give_back(
    session: Session, ticket: Ticket, actor: Actor, action: str, state: str, reason: str, now: datetime
) -> None:
    old = ticket.handler
    lifecycle.next_status(ticket.status, action, relations(session, ticket, actor))
    end_assignments(session, ticket, state, now, reason=reason)
    relation_holder = ticket.handler_id
    event = move(session, ticket, actor, action, now, note=reason)
    if old and action == "accept_timeout":
        notify.tell_staff(session, old, ticket, event, "push.timed_out", now)
    refusals = session.scalar(
        select(func.count())
        .select_from(Assignment)
        .where(Assignment.ticket_id == ticket.id, Assignment.state.in_(("declined", "timed_out")))
    )
    if refusals and refusals >= 2:
        for leader in leaders(session, ticket.community_id, ticket.department):
            if leader.id != relation_holder:
                notify.tell_staff(session, leader, ticket, event, "push.refused_twice", now)
    auto_dispatch(session, ticket, now)


def transfer(session: Session, ticket: Ticket, to: Staff, actor: Actor, now: datetime) -> None:
    """转单: offered to a colleague; the first stays responsible until the other accepts (domain.md §7.4)."""
    staff = staff_of(actor)
    if ticket.handler_id != staff.id or ticket.status not in ("assigned", "in_progress", "rework"):
        raise NotAllowed(action="transfer")
    if to.id == staff.id:
        raise BadInput(name=to.name)
    needed = category(ticket.code).trades
    if needed and not dispatch.fits_trade(to.trades, to.licences, needed):
        raise WrongTrade(name=to.name, no=ticket.tail)
    event = record(session, ticket, actor, "transfer_asked", now, note=to.name, to_staff=to.id)
    session.add(Assignment(ticket_id=ticket.id, staff=to, state="offered", offered_at=now, why=["transfer"]))
    session.flush()
    send_card(session, ticket, to, event, now)
    for leader in leaders(session, ticket.community_id, ticket.department):
        notify.tell_staff(session, leader, ticket, event, "push.transfer_asked", now, to=to.name)
