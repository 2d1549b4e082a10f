"""What the figures are made of: the worked example of domain.md §6.3 played on the desk itself, then counted."""

from __future__ import annotations

from datetime import datetime, timedelta

from deskhelp import Desk, at
from sqlalchemy import select

from storage.models import Ticket
from tickets import verbs
from tickets.kpi import Ratio, figures
from tickets.ledger import Scope, jobs_finished, matters_of, scope_of
from tickets.people import SYSTEM, Actor

JUNE, JULY = at("00:00", 1), at("00:00", 30) + timedelta(days=1)
FLATS = [f"P1/1/1/{floor}01" for floor in range(1, 13)]


def on(day: int, clock: str) -> datetime:
    return at(clock, day)


def play(
    desk: Desk, place: int, level: str, created: datetime, accepted: datetime, arrived: datetime, **more: object
) -> Ticket:
    """A repair up to the worker's arrival, with its agreed window if it has one."""
    window = more.pop("window", None)
    ticket = desk.report("W02", now=created, level=level, place_key=FLATS[place], **more)  # type: ignore[arg-type]
    worker = desk.handler(ticket)
    verbs.accept(desk.session, ticket, worker, accepted)
    if isinstance(window, datetime):
        verbs.propose_appointment(desk.session, ticket, worker, window - timedelta(hours=1), window, accepted)
    verbs.arrive(desk.session, ticket, worker, arrived)
    return ticket


def finish(desk: Desk, ticket: Ticket, finished: datetime, score: int = 0) -> None:
    for purpose in ("before", "after"):
        desk.photo(ticket, finished, purpose=purpose, count=2)
    verbs.finish(desk.session, ticket, desk.handler(ticket), "换了角阀", finished, self_checked=True)
    if score:
        resident = desk.actor("王芳")
        verbs.confirm(desk.session, ticket, resident, finished + timedelta(minutes=10))
        verbs.rate(desk.session, ticket, resident, score, score, "", finished + timedelta(minutes=11))


def the_example(desk: Desk) -> None:
    """The ten tickets of domain.md §6.3, and in July the one that 07 broke again with and the one 10 was merged into."""
    finish(desk, play(desk, 1, "U1", on(2, "09:00"), on(2, "09:04"), on(2, "09:25")), on(2, "10:40"), 5)
    second = play(desk, 2, "U3", on(2, "10:00"), on(2, "10:20"), on(2, "15:10"), window=on(2, "15:30"))
    finish(desk, second, on(2, "15:50"), 4)
    third = play(desk, 3, "U3", on(3, "08:40"), on(3, "09:30"), on(3, "16:20"), window=on(3, "16:00"))
    finish(desk, third, on(3, "16:30"))
    verbs.not_fixed(desk.session, third, desk.actor("王芳"), "还在滴", on(3, "16:35"))
    verbs.accept(desk.session, third, desk.handler(third), on(3, "16:40"))
    finish(desk, third, on(3, "17:00"), 3)
    fourth = play(desk, 4, "U2", on(3, "19:00"), on(3, "19:10"), on(3, "20:00"))
    finish(desk, fourth, on(3, "20:30"))
    verbs.accept_by_default(desk.session, fourth, on(4, "20:30"))
    fifth = play(desk, 5, "U3", on(4, "11:00"), on(4, "11:15"), on(5, "10:00"), window=on(5, "10:30"))
    verbs.hold(desk.session, fifth, desk.handler(fifth), "待配件", on(7, "10:30"), on(5, "10:30"))
    verbs.resume(desk.session, fifth, desk.handler(fifth), on(7, "10:30"))
    finish(desk, fifth, on(8, "15:00"), 5)
    sixth = play(desk, 6, "U3", on(5, "14:00"), on(5, "14:10"), on(6, "09:00"), window=on(6, "09:30"))
    finish(desk, sixth, on(9, "09:00"), 2)
    finish(desk, play(desk, 7, "U1", on(6, "22:10"), on(6, "22:30"), on(6, "22:55")), on(7, "01:00"), 4)
    eighth = play(
        desk, 8, "U3", on(9, "09:00"), on(9, "09:20"), on(9, "14:00"), window=on(9, "14:30"), public_area=True
    )
    finish(desk, eighth, on(9, "14:40"))
    verbs.confirm(desk.session, eighth, desk.actor("李工"), on(9, "15:00"))
    verbs.cancel(
        desk.session, desk.report(now=on(10, "09:00"), place_key=FLATS[9]), desk.actor("王芳"), "好了", on(10, "09:10")
    )
    tenth = desk.report(now=on(10, "10:00"), level="U1", place_key=FLATS[10])
    desk.report(now=JULY + timedelta(days=2), place_key=FLATS[7])
    tenth.parent_id = desk.report(now=JULY + timedelta(days=2), place_key=FLATS[10]).id
    verbs.move(desk.session, tenth, SYSTEM, "merge", JULY + timedelta(days=2))
    desk.session.flush()


def test_the_worked_example_played_on_the_desk_gives_the_same_digits(desk: Desk) -> None:
    the_example(desk)
    found = figures(jobs_finished(desk.session, Scope(desk.community.id), JUNE, JULY))
    assert found.jobs == 8
    assert str(found.accept_in_time) == "75.0% (6/8)"
    assert str(found.arrive_in_time) == "75.0% (6/8)"
    assert str(found.finish_in_time) == "87.5% (7/8)"
    assert str(found.first_time_right) == "75.0% (6/8)"
    assert str(found.reworked) == "25.0% (2/8)"
    assert str(found.called_back) == "100.0% (7/7)"
    assert str(found.reached) == "85.7% (6/7)"
    assert str(found.satisfied) == "66.7% (4/6)"
    assert str(found.rated) == "85.7% (6/7)"
    assert str(found.not_dissatisfied) == "83.3% (5/6)"
    assert found.average == 3.83


def test_a_ticket_counts_in_the_month_of_its_finish(desk: Desk) -> None:
    ticket = desk.accepted(now=on(30, "23:00"))
    finish(desk, ticket, JULY + timedelta(hours=1), 5)
    scope = Scope(desk.community.id)
    assert jobs_finished(desk.session, scope, JUNE, JULY) == []
    assert [job.no for job in jobs_finished(desk.session, scope, JULY, JULY + timedelta(days=1))] == [ticket.ticket_no]


def test_a_false_alarm_counts_nowhere(desk: Desk) -> None:
    ticket = desk.report(level="U1")
    verbs.resolve(desk.session, ticket, desk.actor("李工"), "误报，已到场查看", at("09:30"))
    found = figures(jobs_finished(desk.session, Scope(desk.community.id), JUNE, JULY))
    assert found.jobs == 0


def test_a_job_that_changed_class_is_measured_from_the_change(desk: Desk) -> None:
    ticket = desk.report(now=on(2, "09:00"))
    verbs.change_level(desk.session, ticket, desk.actor("李工"), "U1", "漏到楼下", on(2, "11:00"))
    verbs.accept(desk.session, ticket, desk.handler(ticket), on(2, "11:08"))
    finish(desk, ticket, on(2, "12:00"), 5)
    found = figures(jobs_finished(desk.session, Scope(desk.community.id), JUNE, JULY))
    assert found.accept_in_time == Ratio(1, 1)


def test_promises_and_complaints_of_a_period(desk: Desk) -> None:
    asked = desk.report("Q01", kind="ZX", now=on(2, "09:00"))
    verbs.answer_matter(desk.session, asked, desk.handler(asked), "到前台办理", on(2, "10:00"))
    verbs.confirm(desk.session, asked, desk.actor("王芳"), on(2, "10:30"))
    late = desk.report("T01", kind="TS", now=on(3, "09:00"))
    verbs.answer_matter(desk.session, late, desk.handler(late), "已整改", on(6, "10:00"))
    missed = desk.report("T01", kind="TS", now=on(9, "09:00"))
    found = figures([], matters_of(desk.session, Scope(desk.community.id), JUNE, JULY, JULY))
    assert missed.finish_by is not None
    assert found.complaints == 2
    assert found.complaints_in_time == Ratio(0, 2)
    assert found.answered_at_once == Ratio(1, 1)
    assert found.promises_kept == Ratio(1, 3)


def test_a_complaint_of_this_minute_is_neither_in_time_nor_late(desk: Desk) -> None:
    told = desk.report("T01", kind="TS", now=on(9, "09:00"))
    assert told.finish_by is not None
    fresh = matters_of(desk.session, Scope(desk.community.id), JUNE, JULY, on(9, "09:01"))
    assert figures([], fresh).complaints_in_time == Ratio(0, 0)
    late = matters_of(desk.session, Scope(desk.community.id), JUNE, JULY, told.finish_by + timedelta(minutes=1))
    assert figures([], late).complaints_in_time == Ratio(0, 1)


def test_what_a_leader_counts_is_what_their_role_may_see(desk: Desk) -> None:
    desk.closed("W02", now=on(2, "09:00"))
    theft = desk.report("F05", now=on(2, "09:00"), public_area=True, place_key="PUB:P1/3/-/-/楼道", by=None)
    for name, seen in {"马经理": 2, "李工": 1, "刘队": 1, "周主管": 2, "客服小周": 2, "何姐": 0}.items():
        query = select(Ticket).where(*scope_of(desk.staff(name)).conditions())
        assert len(list(desk.session.scalars(query))) == seen, name
    butler = desk.staff("林管家")
    butler.areas = ["P1/3"]
    inside = list(desk.session.scalars(select(Ticket).where(*scope_of(butler).conditions())))
    assert theft in inside
    assert len(inside) == 2
    butler.areas = ["P2"]
    assert list(desk.session.scalars(select(Ticket).where(*scope_of(butler).conditions()))) == []


def test_the_rows_stand_for_what_happened(desk: Desk) -> None:
    ticket = desk.accepted(now=on(2, "09:00"))
    worker = desk.handler(ticket)
    verbs.quote(desk.session, ticket, worker, "换角阀", 8000, on(2, "09:20"))
    verbs.consent(desk.session, ticket, desk.actor("王芳"), True, "", on(2, "09:30"))
    verbs.urge(desk.session, ticket, desk.actor("王芳"), "人呢", on(2, "09:40"))
    verbs.transfer(desk.session, ticket, desk.staff("孙师傅"), worker, on(2, "09:50"))
    verbs.accept(desk.session, ticket, Actor(staff=desk.staff("孙师傅")), on(2, "09:55"))
    finish(desk, ticket, on(2, "11:00"), 5)
    (job,) = jobs_finished(desk.session, Scope(desk.community.id), JUNE, JULY)
    assert (job.worker, job.urged, job.paid, job.consented) == ("孙师傅", 1, True, True)
    assert (job.handed_on, job.offers) == (1, 2)
    found = figures([job])
    assert str(found.handed_on) == "50.0% (1/2)"
    assert found.told_price_first == Ratio(1, 1)
