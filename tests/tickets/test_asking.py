"""Every question of a leader against a seeded month, whose true numbers are counted here by plain SQL (domain.md §6.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import month
import pytest
import staffhelp
from deskhelp import Desk, at
from sqlalchemy import text
from sqlalchemy.orm import Session

from bot import commands
from bot.speech import Reply
from storage.models import Ticket
from tickets import asking, reports, verbs
from tickets.ledger import Scope
from tickets.periods import period, read_period

TICKET_LINE = re.compile(r"(?:[A-Z]{2}\d{8}-)?\d{4} ")
NOW = month.END - timedelta(hours=2)
COUNTED = "t.status not in ('cancelled','merged','referred') and not exists (select 1 from ticket_history h where h.ticket_id = t.id and h.action = 'resolve' and h.note like '%误报%')"


def ask(desk: Desk, words: str, by: str = "马经理", now: datetime = NOW) -> Reply:
    return staffhelp.ask(desk, words, by, now)


def sql(session: Session, question: str, **values: object) -> Any:
    return session.execute(text(question), values).scalar_one()


def utc(moment: datetime) -> datetime:
    """Both databases keep UTC; SQLite compares text, so a bound moment has to look like the stored one."""
    return moment.astimezone(UTC)


def numbers(words: str) -> list[int]:
    return [int(one) for one in re.findall(r"\d+", words)]


class Truth:
    """The month counted by SQL over the bare tables."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.sqlite = session.get_bind().dialect.name == "sqlite"

    def bound(self, moment: datetime) -> object:
        return utc(moment).strftime("%Y-%m-%d %H:%M:%S.%f") if self.sqlite else utc(moment)

    def count(self, where: str, **values: object) -> int:
        moments = {key: self.bound(value) if isinstance(value, datetime) else value for key, value in values.items()}
        return int(sql(self.session, f"select count(*) from tickets t where {where}", **moments))

    def rows(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        moments = {key: self.bound(value) if isinstance(value, datetime) else value for key, value in values.items()}
        return [tuple(row) for row in self.session.execute(text(query), moments)]


@contextmanager
def filled(desk: Desk) -> Iterator[Truth]:
    month.fill(desk)
    yield Truth(desk.session)


def check_today(desk: Desk, truth: Truth) -> None:
    today = NOW.replace(hour=0, minute=0)
    reply = ask(desk, "今天多少单").text.splitlines()
    new = truth.count("t.status not in ('cancelled','merged','referred') and t.created_at >= :a", a=today)
    done = truth.count(
        "t.status not in ('cancelled','merged','referred') and coalesce(t.finished_at, t.closed_at) >= :a "
        "and coalesce(t.finished_at, t.closed_at) < :b",
        a=today,
        b=month.END,
    )
    still = truth.count("t.closed_at is null")
    late = truth.count(
        "t.status in ('new','survey','assigned','in_progress','rework') and (t.finish_by < :n or "
        "(t.kind in ('BX','YH') and t.arrived_at is null and t.arrive_by < :n))",
        n=NOW,
    )
    assert f"新增{new}，完成{done}，未完{still}，超时{late}" in reply[1]
    assert f"超时 {late} 张" in ask(desk, "超时的有哪些").text
    assert f"未完成 {still} 张" in ask(desk, "还有几个没修完").text
    assert still > 8
    assert late > 0


def check_unaccepted(desk: Desk, truth: Truth) -> None:
    waiting = truth.count("t.status in ('new','assigned') and t.kind in ('BX','YH','TS')")
    assert f"未接单 {waiting} 张" in ask(desk, "谁还没接单").text
    new = truth.count("t.status = 'new' and t.kind in ('BX','YH','TS')")
    for words in ("几单没派", "现在还有几单没派", "没派的单子有哪些", "未派单"):
        assert f"未派单 {new} 张" in ask(desk, words).text
    name = "王师傅"
    held = truth.count(
        "t.status in ('assigned','in_progress','rework','on_hold') and t.handler_id = "
        "(select id from staff where name = :name)",
        name=name,
    )
    assert f"{name}手上{held}单" in ask(desk, "王师傅手上几单").text


def check_leaks(desk: Desk, truth: Truth) -> None:
    leaks = "t.code in ('W01','W02','W03','W06','W13','W14') and t.kind = 'BX'"
    here = "(t.place_key like 'P1/3/%' or t.place_key like 'P2/3/%' or t.place_key like 'PUB:P1/3/%' or t.place_key like 'PUB:P2/3/%')"
    expected = truth.count(f"{leaks} and {here} and {COUNTED}")
    still = truth.count(f"{leaks} and {here} and {COUNTED} and t.closed_at is null")
    answer = ask(desk, "3栋这个月报了多少次漏水").text.splitlines()
    assert f"{expected}次，其中未完{still}" in answer[0]
    assert expected > 3
    first = truth.count(f"{leaks} and t.place_key like 'P1/3/%' and {COUNTED}")
    assert f"一期3栋{first}" in answer[1]
    alone = ask(desk, "一期3栋本月漏水几次").text.splitlines()[0]
    assert f"{first}次" in alone
    assert "没有查到" in ask(desk, "99栋这个月几次漏水").text
    assert "：0次" in ask(desk, "上个月漏水几次").text


def check_satisfaction(desk: Desk, truth: Truth) -> None:
    last = period("last_week", NOW)
    rated = truth.rows(
        f"select t.score_attitude, t.score_quality from tickets t where t.kind = 'BX' and {COUNTED} and "
        "t.score_attitude is not null and t.finished_at >= :a and t.finished_at < :b",
        a=last.start,
        b=last.end,
    )
    good = sum(min(row) >= 4 for row in rated)
    average = round(sum(sum(row) / 2 for row in rated) / len(rated), 2)
    answer = ask(desk, "上周满意度").text
    assert f"{100 * good / len(rated):.1f}% ({good}/{len(rated)})" in answer
    assert f"平均分 {average}" in answer


def check_complaints(desk: Desk, truth: Truth) -> None:
    found = truth.rows(
        f"select t.code, count(*) from tickets t where t.kind = 'TS' and {COUNTED} group by t.code "
        "order by count(*) desc, t.code"
    )
    answer = ask(desk, "投诉最多的是什么").text.splitlines()
    assert numbers(answer[0].split("共")[1])[0] == sum(row[1] for row in found)
    assert "邻里噪音" in answer[1]
    assert answer[1].endswith(str(found[0][1]))
    assert len(answer) == 1 + min(5, len(found))


def check_workers(desk: Desk, truth: Truth) -> None:
    week = period("last_week", NOW)
    found = truth.rows(
        f"select s.name, count(*) from tickets t join staff s on s.id = t.handler_id where {COUNTED} and "
        "t.finished_at >= :a and t.finished_at < :b group by s.name order by count(*) desc, s.name",
        a=week.start,
        b=week.end,
    )
    for words in ("上周哪个师傅干得最多", "上周谁接单最多", "上周完成最多的是哪位师傅", "上周师傅排行"):
        lines = ask(desk, words).text.splitlines()
        assert lines[1:] == [f"{rank}. {name} {count}" for rank, (name, count) in enumerate(found[:5], 1)], words


def check_worker(desk: Desk, truth: Truth) -> None:
    done = truth.count(
        f"t.handler_id = (select id from staff where name = '王师傅') and {COUNTED} and t.finished_at < :b",
        b=month.END,
    )
    assert f"完成{done}" in ask(desk, "王师傅这个月干了几个活").text.splitlines()[0]


def check_pages(desk: Desk, truth: Truth) -> None:
    """Walking through the pages shows every ticket once."""
    wanted = truth.rows("select t.tail from tickets t where t.closed_at is null")
    seen: list[str] = []
    reply = ask(desk, "还有几个没修完")
    for _ in range(20):
        seen += [line.split()[0][-4:] for line in reply.text.splitlines()[1:] if TICKET_LINE.match(line)]
        following = next((code for code, _ in reply.buttons if code.startswith("say:")), "")
        if not following:
            break
        reply = ask(desk, following.removeprefix("say:"))
    assert sorted(seen) == sorted(row[0] for row in wanted)


def check_counts_page(desk: Desk, truth: Truth) -> None:
    expected = truth.count(f"t.kind = 'BX' and {COUNTED}")
    reply = ask(desk, "本月报修多少单")
    assert f"：{expected}次" in reply.text
    seen = 0
    for _ in range(40):
        seen += sum(bool(TICKET_LINE.match(line)) for line in reply.text.splitlines())
        following = next((code for code, _ in reply.buttons if code.startswith("say:")), "")
        if not following:
            break
        reply = ask(desk, following.removeprefix("say:"))
    assert seen == expected


def check_report(desk: Desk, truth: Truth) -> None:
    """The report's numbers are the answers' numbers."""
    report = reports.build(desk.session, Scope(desk.community.id), period("this_month", NOW), NOW)
    assert report.taken_in == truth.count(COUNTED)
    assert report.still_open == truth.count("t.closed_at is null")
    assert sum(one.value for one in report.by_day) == report.taken_in
    assert str(report.figures.satisfied) in ask(desk, "本月满意度").text
    assert str(report.figures.finish_in_time) in ask(desk, "这个月维修及时率").text
    assert {one.name: one.value for one in report.kinds}["报修"] == truth.count(f"t.kind = 'BX' and {COUNTED}")
    assert report.complaints[0].name == "邻里噪音"


CHECKS = [check_today, check_unaccepted, check_leaks, check_satisfaction, check_complaints, check_worker, check_workers, check_pages,
          check_counts_page, check_report]  # fmt: skip


def test_every_question_is_answered_with_the_true_number(desk: Desk) -> None:
    with filled(desk) as truth:
        for check in CHECKS:
            check(desk, truth)


def test_a_supervisor_counts_the_department_and_the_answer_says_so(desk: Desk) -> None:
    desk.report("T09", kind="TS", now=at("09:00", 11))
    desk.report("W02", now=at("09:00", 11))
    mine = ask(desk, "本月几单", by="李工").text
    assert "工程部：1次" in mine
    assert "全项目：2次" in ask(desk, "本月几单", by="马经理").text
    assert "全项目：2次" in ask(desk, "本月几单", by="周主管").text


def test_where_is_0012_and_why_him(desk: Desk) -> None:
    ticket = desk.report("E04")
    verbs.decline(desk.session, ticket, desk.handler(ticket), "手上有急单", at("09:05"))
    where = ask(desk, f"{ticket.tail}到哪了", by="李工", now=at("09:10"))
    assert ticket.ticket_no in where.text
    why = ask(desk, f"为什么派给他 {ticket.tail}", by="李工", now=at("09:10")).text
    assert "赵师傅" in why
    assert "持证" in why
    assert "手上有急单" in why


def test_why_without_a_number_is_about_the_last_dispatched(desk: Desk) -> None:
    desk.report("W02")
    last = desk.report("E04")
    assert last.ticket_no in ask(desk, "为什么派给他", by="李工", now=at("09:10")).text


@pytest.mark.parametrize(
    ("words", "start", "end"),
    [
        ("今天", at("00:00"), at("00:00", 13)),
        ("昨天几单", at("00:00", 11), at("00:00", 12)),
        ("这周", at("00:00", 9), at("00:00", 16)),
        ("上周满意度", at("00:00", 2), at("00:00", 9)),
        ("上个星期", at("00:00", 2), at("00:00", 9)),
        ("这个月", at("00:00", 1), at("00:00", 30) + timedelta(days=1)),
        ("6月的", at("00:00", 1), at("00:00", 30) + timedelta(days=1)),
        ("上个月", at("00:00", 1) - timedelta(days=31), at("00:00", 1)),
        ("最近7天", at("00:00", 6), at("00:00", 13)),
        ("7月", at("00:00", 1).replace(year=2024, month=7), at("00:00", 1).replace(year=2024, month=8)),
    ],
)
def test_words_of_time(words: str, start: datetime, end: datetime) -> None:
    found = read_period(words, at("09:00"))
    assert found is not None
    assert (found.start, found.end) == (start, end)


def test_no_word_of_time_is_no_span() -> None:
    assert read_period("3栋漏水几次", at("09:00")) is None


def test_what_is_no_count_is_left_to_the_dialogue() -> None:
    for words in (
        "今天要回访的有几个",
        "还有哪些答应业主的没回复",
        "差评都是哪些单",
        "几个",
        "3栋漏水了",
        "厨房漏水三次了",
    ):
        found = commands.parse(words, "supervisor")
        assert found is None or found.name not in ("count", "top", "figure"), words


def test_a_long_senseless_sentence_is_read_in_no_time() -> None:
    """The patterns never try again what they have read: this would hang otherwise."""
    assert commands.parse("报修的了是在" * 300 + "X", "manager") is None


def test_a_question_becomes_data(desk: Desk) -> None:
    found = asking.read_question(desk.session, desk.staff("马经理"), "二期1栋上个月停水几次第2页", at("09:00"))
    assert found.buildings == ("P2/1",)
    assert found.codes == ("W07", "W08")
    assert (found.kind, found.page, found.period.name) == ("BX", 2, "上月")


def test_false_alarms_count_nowhere(desk: Desk) -> None:
    ticket = desk.report("W02", level="U1")
    verbs.resolve(desk.session, ticket, desk.actor("李工"), "误报", at("09:10"))
    assert "：0次" in ask(desk, "今天漏水几次", now=at("10:00")).text
    assert desk.session.get(Ticket, ticket.id) is not None


def test_a_worker_reads_only_the_own_month(desk: Desk) -> None:
    ticket = desk.closed("W02", now=at("09:00", 10))
    verbs.rate(desk.session, ticket, desk.actor("王芳"), 5, 5, "", at("10:00", 10))
    desk.closed("E04", now=at("09:00", 10))
    mine = ask(desk, "我的业绩", by="王师傅", now=at("12:00")).text
    assert "完成1单" in mine
    assert "满意率 100.0% (1/1)" in mine
    assert "完成1单" in ask(desk, "我的业绩", by="赵师傅", now=at("12:00")).text
    assert "满意率" not in ask(desk, "我的业绩", by="赵师傅", now=at("12:00")).text


def test_older_tickets_are_listed_with_their_whole_number(desk: Desk) -> None:
    old, new = desk.report("W02", now=at("09:00", 10)), desk.report("W04", now=at("09:00"))
    listed = ask(desk, "未完成", by="李工", now=at("09:30"))
    assert f"\n{old.ticket_no} " in listed.text
    assert f"\n{new.tail} " in listed.text
    assert {label for _, label in listed.buttons} == {old.ticket_no, new.tail}


@pytest.mark.parametrize("words", ["导出 超时", "报表 本月", "超时", "本月几单", "谁没收到消息", "邀请 王师傅", "日报"])
def test_a_group_reads_no_flats_and_no_people(desk: Desk, words: str) -> None:
    ticket = desk.report("W02", now=at("09:00", 10))
    desk.chat("马经理").group = True
    reply = ask(desk, words)
    assert "私聊" in reply.text
    assert ticket.place_text not in reply.text
    assert reply.buttons == ()
