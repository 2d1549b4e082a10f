"""Who does it: offering, taking, refusing and passing on a ticket (domain.md §7.4)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from storage.models import Assignment, Staff, Ticket, TicketEvent
from tickets import dispatch, lifecycle, notify
from tickets.catalog import category, decline_reasons, dispatch_rules
from tickets.errors import Accused, BadInput, HandsFull, MustTake, NotAllowed, ReasonNeeded, WrongStatus, WrongTrade
from tickets.people import SYSTEM, Actor, each_once, is_accused, leaders, on_shift, relations
from tickets.sla import due_times
from tickets.texts import clock, has_text, say
from tickets.verbs import choosing
from tickets.verbs.filing import newest
from tickets.verbs.grave import background
from tickets.verbs.steps import end_assignments, end_pause, last_event, move, not_yours, record, staff_of

ORDER_WITHIN = timedelta(minutes=10)
"""How soon the supervisor names somebody after two refusals (domain.md §7.4)."""


def auto_dispatch(session: Session, ticket: Ticket, now: datetime) -> Staff | None:
    """Find a worker the way of this category; whoever has refused it is not asked again. Nobody left → the supervisor."""
    tried = _tried(session, ticket)
    mode = choosing.mode_of(session, ticket)
    if mode == dispatch.BY_HAND and not tried:
        _ask_leaders(session, ticket, "by_hand", "push.by_hand", now)
        return None
    ranked = choosing.candidates(session, ticket, now, exclude=frozenset(tried))
    if not ranked:
        _nobody(session, ticket, now)
        return None
    if mode == dispatch.GRAB and not tried:
        _offer_to_all(session, ticket, ranked, now)
        return None
    best, why = ranked[0]
    against = choosing.passed_over(session, ticket, now, frozenset(tried))
    why += [f"passed:{name}{say(f'against.{reason}')}" for name, reason in against[:3]]
    staff = session.get_one(Staff, best.staff_id)
    offer(session, ticket, staff, SYSTEM, "assign", now, why=why)
    return staff


def _tried(session: Session, ticket: Ticket) -> set[int]:
    """Who was asked in vain."""
    query = select(Assignment.staff_id).where(
        Assignment.ticket_id == ticket.id, Assignment.state.in_(("declined", "timed_out"))
    )
    return set(session.scalars(query))


def _ask_leaders(session: Session, ticket: Ticket, action: str, key: str, now: datetime) -> None:
    event = record(session, ticket, SYSTEM, action, now)
    for leader in leaders(session, ticket.community_id, ticket.department):
        notify.tell_staff(session, leader, ticket, event, key, now)


def _nobody(session: Session, ticket: Ticket, now: datetime) -> None:
    """Nobody can go: the supervisor must name somebody, and the resident hears once the true time (domain.md §7.4)."""
    _ask_leaders(session, ticket, "no_candidate", "push.nobody", now)
    if ticket.level == "U0" or last_event(session, ticket, "nobody_told"):
        return
    event = record(session, ticket, SYSTEM, "nobody_told", now)
    starts = choosing.earliest(session, ticket, now)
    # Never later than the card has promised somebody to be there.
    limits = (due_times(ticket.level, now).accept_by, ticket.arrive_by)
    answer = clock(min(filter(None, limits)), now)
    if starts and (ticket.arrive_by is None or starts < ticket.arrive_by):
        notify.tell_reporter(session, ticket, event, "push.nobody_yet", now, starts=clock(starts, now), answer=answer)
    else:
        notify.tell_reporter(session, ticket, event, "push.nobody_free", now, answer=answer)


def _offer_to_all(
    session: Session, ticket: Ticket, ranked: list[tuple[dispatch.Candidate, list[str]]], now: datetime
) -> None:
    """抢单: everybody who fits is asked at once."""
    limit = due_times(ticket.level, now).accept_by
    ticket.accept_by = limit
    event = record(session, ticket, SYSTEM, "grab_offered", now, told=[one.staff_id for one, _ in ranked])
    for one, why in ranked:
        staff = session.get_one(Staff, one.staff_id)
        kept = [*why, "grab"]
        session.add(
            Assignment(ticket_id=ticket.id, staff=staff, state="offered", offered_at=now, accept_by=limit, why=kept)
        )
        buttons = [(f"accept:{ticket.id}", say("button.grab"))]
        notify.tell_staff(session, staff, ticket, event, "push.grab_card", now, buttons=buttons)
    session.flush()


def nobody_grabbed(session: Session, ticket: Ticket, now: datetime) -> bool:
    """The time to grab it is over: the best one gets it as an offer. False if it was not up for grabs."""
    live = live_offers(session, ticket)
    if ticket.status != "new" or not live:
        return False
    for one in live:
        one.state, one.ended_at = "withdrawn", now
    session.flush()
    ranked = choosing.candidates(session, ticket, now)
    if not ranked:
        _nobody(session, ticket, now)
    for best, why in ranked[:1]:
        offer(session, ticket, session.get_one(Staff, best.staff_id), SYSTEM, "assign", now, why=why)
    return True


def live_offers(session: Session, ticket: Ticket) -> list[Assignment]:
    query = select(Assignment).where(Assignment.ticket_id == ticket.id, Assignment.state == "offered")
    return list(session.scalars(query.order_by(Assignment.id)))


def try_again(session: Session, ticket: Ticket, now: datetime) -> bool:
    """An ownerless ticket nobody could take before: somebody may be on duty, or have a free hand, by now."""
    if ticket.status != "new" or ticket.kind not in ("BX", "YH") or must_be_assigned(ticket):
        return False
    if choosing.mode_of(session, ticket) == dispatch.BY_HAND or live_offers(session, ticket):
        return False
    if not choosing.candidates(session, ticket, now, exclude=frozenset(_tried(session, ticket))):
        return False
    auto_dispatch(session, ticket, now)
    return True


def must_be_assigned(ticket: Ticket) -> bool:
    """Refused twice: now the supervisor names somebody."""
    return bool((ticket.detail or {}).get("must_assign"))


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
    if must_be_assigned(ticket):
        ticket.detail = {**ticket.detail, "must_assign": False}
        why = [*why, "ordered"]
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
            Ticket.community_id == ticket.community_id,
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
        image_key=newest(session, ticket, "before"),
        buttons=[(f"accept:{ticket.id}", say("button.accept")), (f"decline:{ticket.id}", say("button.decline"))],
    )


def trade_of(ticket: Ticket) -> str:
    return (category(ticket.code).trades or ("desk",))[0]


def staff_extra(ticket: Ticket) -> str:
    return str((ticket.detail or {}).get("staff_extra", ""))


def assign(
    session: Session,
    ticket: Ticket,
    staff: Staff,
    actor: Actor,
    now: datetime,
    *,
    reason: str = "",
    old_told: bool = True,
) -> None:
    """A leader names the worker. Another trade or someone off duty needs a reason, which is kept (domain.md S18). `old_told`: whoever
    had it hears that he need not go."""
    if is_accused(ticket, staff):
        raise Accused(name=staff.name)
    if ticket.kind not in ("BX", "YH") and ticket.handler_id:
        hand_on(session, ticket, staff, actor, reason, now)
        return
    if staff.role not in ("worker", "desk", "supervisor"):
        raise BadInput(name=staff.name)
    _must_fit(ticket, staff, reason, now)
    action = "assign" if ticket.status in ("new", "survey") else "reassign"
    old = ticket.handler if action == "reassign" else None
    lifecycle.next_status(ticket.status, action, relations(session, ticket, actor))
    end_assignments(session, ticket, "withdrawn", now)
    end_pause(session, ticket, now)
    offer(session, ticket, staff, actor, action, now, why=["by_hand"], note=reason or staff.name)
    if old and old.id != staff.id and old_told:
        event = record(session, ticket, actor, "withdrawn", now, note=old.name)
        notify.tell_staff(session, old, ticket, event, "push.withdrawn", now)


def _must_fit(ticket: Ticket, staff: Staff, reason: str, now: datetime) -> None:
    """Raises WrongTrade where the law asks for a licence, ReasonNeeded for another trade or somebody off duty."""
    needed = category(ticket.code).trades
    fits = not needed or dispatch.fits_trade(staff.trades, staff.licences, needed)
    if "electrician" in needed[:1] and "electrician" not in staff.licences:
        raise WrongTrade(name=staff.name, no=ticket.tail)
    if not reason and not (fits and on_shift(staff, now)):
        raise ReasonNeeded(name=staff.name, reasons=say("assign.reason_example", tail=ticket.tail, name=staff.name))


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
    load = choosing.hands_full(session, ticket, staff)
    if load is not None:
        raise HandsFull(name=staff.name, no=ticket.tail, load=load)
    others = [one.staff for one in live_offers(session, ticket) if one.staff_id != staff.id]
    _take(session, ticket, actor, "grab", now)
    if others:
        event = record(
            session, ticket, SYSTEM, "withdrawn", now, note=say("list.comma").join(one.name for one in others)
        )
        for one in others:
            notify.tell_staff(session, one, ticket, event, "push.grabbed", now)


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
        notify.tell_staff(
            session, staff, ticket, event, "push.accepted_staff", now, phone=phone, buttons=buttons,
            image_key=newest(session, ticket, "voice"),
        )  # fmt: skip
        key = "push.accepted_public" if ticket.public_area else "push.accepted"
        notify.tell_reporter(session, ticket, event, key, now)
    else:
        notify.tell_reporter(session, ticket, event, f"push.accepted_{ticket.kind}", now)
    if former and former.id != staff.id:
        key = "push.withdrawn" if ticket.kind in ("BX", "YH") else "push.handed_on"
        notify.tell_staff(session, former, ticket, event, key, now)


def decline(session: Session, ticket: Ticket, actor: Actor, reason: str, now: datetime) -> None:
    """拒单 with a reason from the list; the first refusal goes to the next candidate, the second to the supervisor."""
    chosen = match_reason(reason, decline_reasons())
    if not chosen:
        raise ReasonNeeded(reasons=say("list.comma").join(decline_reasons()), name="")
    ordered = any("ordered" in one.why for one in live_offers(session, ticket) if one.staff_id == ticket.handler_id)
    if ordered and chosen not in dispatch_rules().safety_reasons:
        raise MustTake(no=ticket.ticket_no, tail=ticket.tail)
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
        if ticket.level not in choosing.URGENT:
            # From now on it is an order, and the supervisor's to give; an emergency goes on asking meanwhile.
            ticket.detail = {**(ticket.detail or {}), "must_assign": True}
            ticket.repeat_at = now + ORDER_WITHIN
            return
    auto_dispatch(session, ticket, now)


def transfer(session: Session, ticket: Ticket, to: Staff, actor: Actor, now: datetime) -> None:
    """转单: offered to a colleague; the first stays responsible until the other accepts (domain.md §7.4)."""
    staff = staff_of(actor)
    if ticket.handler_id != staff.id or ticket.status not in ("assigned", "in_progress", "rework"):
        raise NotAllowed(action="transfer")
    if ticket.kind not in ("BX", "YH"):
        hand_on(session, ticket, to, actor, "", now)
        return
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


def hand_on(session: Session, ticket: Ticket, to: Staff, actor: Actor, reason: str, now: datetime) -> None:
    """转办 of a complaint or a question: whoever has it stays responsible until the other one accepts, and whoever received it
    first follows it to the end (首接负责, domain.md §7.5)."""
    if not relations(session, ticket, actor) & {lifecycle.HANDLER, lifecycle.DESK, lifecycle.SUPERVISOR}:
        raise NotAllowed(action="hand_on")
    if ticket.status not in lifecycle.OWNED:
        raise WrongStatus(status=ticket.status, action="hand_on")
    if is_accused(ticket, to):
        raise Accused(name=to.name)
    if to.id == ticket.handler_id or to.role == "worker":
        raise BadInput(name=to.name)
    event = record(session, ticket, actor, "transfer_asked", now, note=" ".join(filter(None, (to.name, reason))))
    for old in live_offers(session, ticket):
        if old.staff_id == to.id:
            old.state, old.ended_at = "withdrawn", now
    session.add(Assignment(ticket_id=ticket.id, staff=to, state="offered", offered_at=now, why=["transfer"]))
    session.flush()
    buttons = [(f"accept:{ticket.id}", say("button.take"))]
    more = background(session, ticket, to, now)
    notify.tell_staff(session, to, ticket, event, f"push.desk_{ticket.kind}", now, buttons=buttons, more=more)
    people = [ticket.handler, *leaders(session, ticket.community_id, ticket.department)]
    for staff in each_once(one for one in people if one and one.id != to.id and one is not actor.staff):
        notify.tell_staff(session, staff, ticket, event, "push.transfer_asked", now, to=to.name)
