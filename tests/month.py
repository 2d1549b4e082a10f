"""A seeded month of the demo community: several hundred tickets with their whole history, made by the verbs themselves.

The same seed gives the same month. What is in it is counted in the tests by plain SQL, never by the code under test.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from deskhelp import Desk, at

from storage.models import Ticket
from tickets import verbs
from tickets.errors import DeskError
from tickets.people import Actor

START, DAYS = at("00:00", 1), 30
END = START + timedelta(days=DAYS)
FAULTS = ("W02", "W02", "W04", "W03", "E03", "E04", "L02", "D01", "W07", "E07")
COMPLAINTS = ("T09", "T09", "T09", "T05", "T08", "T06")
PUBLIC = {"L02": "PUB:P1/3/2/-/电梯", "E07": "PUB:P1/4/-/-/楼道"}
HOMES = [
    f"P1/{building}/{unit}/{floor}0{door}"
    for building in (1, 3, 4)
    for unit in (1, 2)
    for floor in (3, 8, 15)
    for door in (1, 2)
]
HOMES += [f"P2/3/-/{floor}0{door}" for floor in (3, 8) for door in (1, 2)]  # fmt: skip


def fill(desk: Desk, *, seed: int = 20250601, per_day: int = 4) -> list[Ticket]:
    """The month: opened, taken, visited, held, finished, sent back, scored, left silent, called off."""
    chance = random.Random(seed)
    made = []
    for day in range(DAYS):
        for _ in range(per_day):
            moment = START + timedelta(days=day, minutes=chance.randrange(7 * 60, 21 * 60))
            made.append(_live(desk, chance, moment))
    desk.session.flush()
    return made


def _live(desk: Desk, chance: random.Random, moment: datetime) -> Ticket:
    if chance.random() < 0.25:
        return _matter(desk, chance, moment)
    code = chance.choice(FAULTS)
    public = PUBLIC.get(code, "")
    ticket = desk.report(
        code, now=moment, level="" if chance.random() < 0.85 else "U1", public_area=bool(public),
        place_key=public or chance.choice(HOMES), place_text=public.removeprefix("PUB:") or "某户",
        by=chance.choice(("王芳", "李强", "陈静", "赵敏")),
    )  # fmt: skip
    fate = chance.random()
    try:
        if fate < 0.05:
            verbs.cancel(desk.session, ticket, desk.actor("马经理"), "重复登记", moment + timedelta(minutes=5))
        elif fate < 0.08:
            verbs.resolve(desk.session, ticket, desk.actor("马经理"), "误报，现场正常", moment + timedelta(minutes=40))
        elif fate < 0.92:
            _repair(desk, chance, ticket, moment)
    except DeskError:
        pass
    return ticket


def _repair(desk: Desk, chance: random.Random, ticket: Ticket, moment: datetime) -> None:
    def later(low: int, high: int) -> datetime:
        nonlocal moment
        moment += timedelta(minutes=chance.randrange(low, high))
        return moment

    session = desk.session
    if ticket.handler is None:
        verbs.assign(session, ticket, desk.staff("陈师傅"), desk.actor("马经理"), moment, reason="安排")
    verbs.accept(session, ticket, desk.handler(ticket), later(2, 60))
    verbs.arrive(session, ticket, desk.handler(ticket), later(10, 400))
    if chance.random() < 0.1:
        verbs.hold(session, ticket, desk.handler(ticket), "待配件", moment + timedelta(hours=30), moment)
        verbs.resume(session, ticket, desk.handler(ticket), later(1700, 1900))
    _finish(desk, ticket, later(15, 300))
    _accept(desk, chance, ticket, later(5, 100))


def _finish(desk: Desk, ticket: Ticket, moment: datetime) -> None:
    for purpose in ("before", "after"):
        desk.photo(ticket, moment, purpose=purpose, count=2)
    verbs.finish(desk.session, ticket, desk.handler(ticket), "已处理", moment, self_checked=True)


def _accept(desk: Desk, chance: random.Random, ticket: Ticket, moment: datetime) -> None:
    session = desk.session
    if ticket.public_area:
        verbs.confirm(session, ticket, desk.actor("马经理"), moment)
        return
    person = Actor(resident=ticket.reporter)
    if chance.random() < 0.12:
        verbs.not_fixed(session, ticket, person, "还有问题", moment)
        verbs.accept(session, ticket, desk.handler(ticket), moment + timedelta(minutes=20))
        _finish(desk, ticket, moment + timedelta(minutes=90))
    if chance.random() < 0.2:
        verbs.accept_by_default(session, ticket, moment + timedelta(hours=30))
        return
    verbs.confirm(session, ticket, person, moment + timedelta(minutes=100))
    if chance.random() < 0.8:
        attitude, quality = chance.choice((5, 5, 4, 3)), chance.choice((5, 5, 4, 4, 2))
        verbs.rate(session, ticket, person, attitude, quality, "", moment + timedelta(minutes=101))


def _matter(desk: Desk, chance: random.Random, moment: datetime) -> Ticket:
    kind = chance.choice(("TS", "TS", "ZX", "JY", "BY"))
    code = {"TS": chance.choice(COMPLAINTS), "ZX": "Q01", "JY": "T02", "BY": "T01"}[kind]
    words = "师傅电话13812345678，讲得清楚" if kind == "BY" else "晚上一直很吵，希望管一管"
    ticket = desk.report(
        code,
        kind=kind,
        now=moment,
        symptom=words,
        place_key=chance.choice(HOMES),
        by=chance.choice(("王芳", "李强", "陈静")),
    )
    if chance.random() < 0.8:
        answered = moment + timedelta(hours=chance.randrange(1, 60))
        verbs.answer_matter(desk.session, ticket, desk.handler(ticket), "已经处理", answered)
        if chance.random() < 0.8:
            verbs.confirm(desk.session, ticket, Actor(resident=ticket.reporter), answered + timedelta(hours=1))
    return ticket
