"""转人工率, 无回音数, 关怀触达率, 整改按期率 (domain.md §6.2): a seeded week of messages, counted here by plain SQL over the bare tables."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
import staffhelp
from deskhelp import Desk, at
from sqlalchemy import text

from storage.models import InboxMessage, OutboxMessage, Rectification
from tickets import talks
from tickets.kpi import Ratio, Talk, figures
from tickets.ledger import Scope, talk_of
from tickets.periods import period
from tickets.reports import build

START, END = at("00:00", 2), at("00:00", 9)
NOW = at("12:00", 9)
PEOPLE = ("王芳", "李强", "陈静", "赵敏")


def fill(desk: Desk, seed: int = 7) -> None:
    chance = random.Random(seed)
    chats = [desk.chat(name) for name in PEOPLE]
    staff_chat = desk.chat("王师傅")
    for number in range(120):
        moment = START - timedelta(days=1) + timedelta(minutes=chance.randrange(9 * 24 * 60))
        chat = staff_chat if number % 10 == 0 else chance.choice(chats)
        row = InboxMessage(
            channel="web", message_id=f"m{number}", conversation_id=chat.id, text="话", received_at=moment
        )
        slow = chance.random()
        row.done_at = None if slow < 0.1 else moment + (timedelta(hours=30) if slow < 0.2 else timedelta(seconds=3))
        desk.session.add(row)
        if chat is not staff_chat and chance.random() < 0.15:
            assert chat.identity.resident is not None
            talks.ask(desk.session, chat, chat.identity.resident, "找真人", moment).state = "ended"
            desk.session.flush()
    _pushes(desk, chance)
    _measures(desk, chance)
    desk.session.flush()


def _pushes(desk: Desk, chance: random.Random) -> None:
    for number in range(60):
        moment = START - timedelta(days=1) + timedelta(minutes=chance.randrange(9 * 24 * 60))
        key = chance.choice(("t1:e{n}:push.callback:reporter", "t1:broadcast:{n}", "t1:e{n}:push.arrived:reporter"))
        desk.session.add(
            OutboxMessage(
                dedupe_key=key.format(n=1000 + number),
                resident_id=desk.resident(chance.choice(PEOPLE)).id,
                text="话",
                status=chance.choice(("sent", "sent", "sent", "dead", "pending", "withdrawn")),
                created_at=moment,
                due_at=moment,
            )
        )


def _measures(desk: Desk, chance: random.Random) -> None:
    for _ in range(20):
        due = START - timedelta(days=1) + timedelta(hours=chance.randrange(11 * 24))
        done = chance.choice((None, due - timedelta(hours=1), due + timedelta(hours=5)))
        owner, leader = desk.staff(chance.choice(("李工", "何姐"))), desk.staff("马经理")
        desk.session.add(
            Rectification(
                community_id=desk.community.id, what="换", owner_id=owner.id, asked_by_id=leader.id,
                created_at=START, due_at=due, remind_at=due, done_at=done,
            )
        )  # fmt: skip


class Truth:
    """Counts by SQL; moments as the database keeps them."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.sqlite = desk.session.get_bind().dialect.name == "sqlite"

    def count(self, question: str, **moments: datetime) -> int:
        bound = {
            name: moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if self.sqlite else moment
            for name, moment in moments.items()
        }
        return int(self.desk.session.execute(text(question), bound).scalar_one())

    def day(self, column: str) -> str:
        return f"date({column}, '+8 hours')" if self.sqlite else f"date({column} at time zone 'Asia/Shanghai')"

    def hours(self, late: str, early: str) -> str:
        if self.sqlite:
            return f"(julianday({late}) - julianday({early})) * 24"
        return f"extract(epoch from {late} - {early}) / 3600"


MESSAGES = (
    "from inbox m join conversations c on c.id = m.conversation_id join identities i on i.id = c.identity_id"
    " where i.resident_id is not null and m.received_at >= :a and m.received_at < :b"
)


@pytest.fixture
def week(desk: Desk) -> Desk:
    fill(desk)
    return desk


def talk(desk: Desk, **scope: object) -> Talk:
    return talk_of(desk.session, Scope(desk.community.id, **scope), START, END, NOW)  # type: ignore[arg-type]


def test_chats_given_to_a_person(week: Desk) -> None:
    truth = Truth(week)
    wrote = f"select distinct i.resident_id as person, {truth.day('m.received_at')} as day {MESSAGES}"
    asked = f"select t.resident_id as person, {truth.day('t.asked_at')} as day from talks t where t.asked_at >= :a and t.asked_at < :b"
    all_chats = truth.count(f"select count(*) from ({wrote}) x", a=START, b=END)
    given = truth.count(
        f"select count(*) from ({wrote}) x where exists (select 1 from ({asked}) t where t.day = x.day and t.person = x.person)",
        a=START,
        b=END,
    )
    assert talk(week).handed_over == Ratio(given, all_chats)
    assert 0 < given < all_chats


def test_messages_without_an_answer_for_a_day(week: Desk) -> None:
    truth = Truth(week)
    late = f"(m.done_at is null or {truth.hours('m.done_at', 'm.received_at')} > 24.001)"
    silent = truth.count(f"select count(*) {MESSAGES} and {late}", a=START, b=NOW - timedelta(hours=24))
    assert talk(week).unanswered == silent > 0


def test_a_message_of_an_hour_ago_is_not_late_yet(week: Desk) -> None:
    before = talk(week).unanswered
    chat = week.chat("王芳")
    at_ = NOW - timedelta(hours=1)
    week.session.add(InboxMessage(channel="web", message_id="new", conversation_id=chat.id, text="话", received_at=at_))
    week.session.flush()
    span = talk_of(week.session, Scope(week.community.id), START, NOW, NOW)
    assert span.unanswered == before


def test_contacts_of_our_own_accord(week: Desk) -> None:
    truth = Truth(week)
    base = (
        "select count(*) from outbox o where o.due_at >= :a and o.due_at < :b and o.status <> 'withdrawn'"
        " and (o.dedupe_key like '%push.callback%' or o.dedupe_key like '%broadcast%')"
    )
    due = truth.count(base, a=START, b=END)
    sent = truth.count(f"{base} and o.status = 'sent'", a=START, b=END)
    assert talk(week).care_reached == Ratio(sent, due)
    assert 0 < sent < due


def test_measures_done_by_their_date(week: Desk) -> None:
    truth = Truth(week)
    base = (
        "select count(*) from rectifications r join staff s on s.id = r.owner_id where r.due_at >= :a and r.due_at < :b"
    )
    for department in ("", "cleaning"):
        only = f" and s.department = '{department}'" if department else ""
        due = truth.count(base + only, a=START, b=END)
        done = truth.count(base + only + " and r.done_at <= r.due_at", a=START, b=END)
        assert talk(week, department=department).rectified == Ratio(done, due)
        assert due > 0


def test_a_department_has_no_conversations(week: Desk) -> None:
    found = talk(week, department="engineering")
    assert (found.handed_over, found.unanswered, found.care_reached) == (Ratio(0, 0), None, Ratio(0, 0))


def test_the_same_numbers_in_report_and_chat(week: Desk) -> None:
    known = talk(week)
    report = build(week.session, Scope(week.community.id), period("last_week", NOW), NOW)
    assert report.figures.handed_over == known.handed_over
    assert (report.figures.unanswered, report.figures.care_reached) == (known.unanswered, known.care_reached)
    assert report.figures.rectified == known.rectified
    for words, shown in (
        ("上周转人工率", known.handed_over),
        ("上周无回音有多少", known.unanswered),
        ("上周关怀触达率", known.care_reached),
        ("上周整改按期率", known.rectified),
    ):
        said = staffhelp.ask(week, words, "马经理", NOW).text
        assert f"{shown}" in said, (words, said)


def test_nothing_counted_is_no_figure() -> None:
    found = figures([])
    assert found.unanswered is None and found.handed_over.percent is None
