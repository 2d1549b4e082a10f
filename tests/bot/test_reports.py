"""Reports in chat, by themselves and as files: the same numbers, only what a role may see, phones never whole."""

from __future__ import annotations

import io
import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from deskhelp import Desk, at
from openpyxl import load_workbook
from PIL import Image
from sqlalchemy import Engine, select, update
from staffhelp import ask

from bot import bulletins, commands, making
from bot.app import TYPES, Bot
from bot.settings import load_settings
from bot.speech import Command
from storage.database import connect, migrate, read_sessions, sessions
from storage.files import photo_path
from storage.models import AccessLog, Community, Export, Staff
from tickets import audit, report_picture, reports, verbs
from tickets.errors import NotAllowed
from tickets.ledger import Scope
from tickets.periods import period
from tickets.report_text import daily_text, period_text

NOW = at("10:00", 13)


@pytest.fixture
def week(desk: Desk) -> Desk:
    """A few tickets of each kind, the days before."""
    for day, code in ((9, "W02"), (10, "W02"), (11, "E04"), (12, "W04")):
        ticket = desk.closed(code, now=at("09:00", day))
        verbs.rate(desk.session, ticket, desk.actor("王芳"), 5, 4 if day != 10 else 2, "", at("12:00", day))
    desk.report("T09", kind="TS", now=at("09:00", 11), symptom="楼上吵，我电话13912345678")
    desk.report("W02", now=at("09:00", 12), symptom='=HYPERLINK("http://x")电话13912345678')
    return desk


# --- text -------------------------------------------------------------------------------------------------------------


def test_the_daily_report_has_what_the_next_shift_needs(week: Desk) -> None:
    held = week.accepted("W02", now=at("08:00", 13))
    verbs.hold(week.session, held, week.handler(held), "待配件", at("12:00", 14), at("08:30", 13))
    late = week.report("W04", now=at("08:00", 11))
    text = daily_text(week.session, reports.standing(week.session, Scope(week.community.id), period("today", NOW), NOW))
    assert f"{late.tail} 马桶或下水堵塞" in text
    assert "还没接单" in text
    assert "待配件，明天" in text
    assert "13912345678" not in text
    assert "工单" not in text


def test_an_empty_span_says_so(desk: Desk) -> None:
    report = reports.build(desk.session, Scope(desk.community.id), period("last_week", NOW), NOW)
    assert "没有单" in period_text(report, desk.session)


# --- in chat ----------------------------------------------------------------------------------------------------------


def test_a_report_is_a_text_and_a_picture_of_its_own(week: Desk, tmp_path: Path) -> None:
    week.seen()
    reply = ask(week, "报表 本周", "马经理", NOW, tmp_path)
    assert "满意率 75.0% (3/4)" in reply.text
    (row,) = week.fresh("马经理")
    with Image.open(photo_path(tmp_path, row.image_key)) as drawn:
        assert drawn.width > 700
        assert drawn.height > drawn.width
    assert [label for _, label in reply.buttons] == ["导出表格"]


def test_without_a_chinese_font_the_text_goes_alone_and_says_why(
    week: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report_picture, "find_font", lambda: None)
    week.seen()
    reply = ask(week, "报表 本周", "马经理", NOW, tmp_path)
    assert "字体" in reply.text
    assert week.fresh("马经理") == []


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("日报", "今天"),
        ("周报", "上周"),
        ("月报", "上月"),
        ("报表 本月", "本月"),
        ("上周报表", "上周"),
        ("6月报表", "6月"),
        ("报表", "本月"),
    ],
)
def test_the_span_of_a_report(desk: Desk, tmp_path: Path, words: str, name: str) -> None:
    assert name in ask(desk, words, "马经理", NOW, tmp_path).text.splitlines()[0]


def test_a_supervisors_report_is_the_departments(week: Desk, tmp_path: Path) -> None:
    engineer = ask(week, "报表 本周", "李工", NOW, tmp_path).text
    assert "工程部" in engineer
    assert "邻里噪音" not in engineer
    assert "邻里噪音" in ask(week, "报表 本周", "马经理", NOW, tmp_path).text


# --- workbook ---------------------------------------------------------------------------------------------------------


def exported(desk: Desk, words: str, by: str = "马经理", now: datetime = NOW) -> tuple[str, bytes]:
    text = ask(desk, words, by, now).text
    found = re.search(r"http://desk/api/exports/(\S+)", text)
    assert found, text
    row = audit.fetch_export(desk.session, found[1], now)
    assert row is not None
    return found[1], row.content


def test_the_workbook_has_the_figures_of_the_text_and_no_whole_phone(week: Desk, tmp_path: Path) -> None:
    _, content = exported(week, "导出 本周")
    book = load_workbook(io.BytesIO(content))
    assert book.sheetnames == ["指标", "分布", "每日", "师傅", "预防性维护", "工单"]
    figures = {row[0]: row for row in book["指标"].iter_rows(min_row=5, values_only=True)}
    assert figures["满意率"][1:4] == (0.75, 3, 4)
    assert figures["接单及时率"][2:4] == (4, 4)
    assert all(row[6] for row in figures.values())
    days = {row[0].date().isoformat(): row[1] for row in book["每日"].iter_rows(min_row=2, values_only=True)}
    assert days["2025-06-11"] == 2
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    text = " ".join(str(cell.value) for cell in cells if cell.value is not None)
    assert "13912345678" not in text
    assert "13800005678" not in text
    assert "138****5678" in text
    assert "楼上吵" not in text
    assert [cell.value for cell in cells if cell.data_type == "f"] == []
    tickets = book["工单"]
    # Four closed, one open, the complaint, and the hazard that the desk made of the repeated leak.
    assert tickets.max_row == 1 + 7
    assert tickets.freeze_panes == "A2"
    assert tickets["J2"].number_format == "yyyy-mm-dd hh:mm"
    assert tickets["J2"].value == datetime(2025, 6, 9, 9, 0)
    assert tickets.column_dimensions["E"].width > 20


def test_a_list_is_exported_as_it_is_listed(week: Desk) -> None:
    late = week.report("W04", now=at("08:00", 11))
    _, content = exported(week, "把超时的导出来")
    rows = list(load_workbook(io.BytesIO(content)).worksheets[0].iter_rows(min_row=2, values_only=True))
    assert late.ticket_no in {row[0] for row in rows}
    listed = ask(week, "超时", "马经理", NOW).text.splitlines()[0]
    assert f" {len(rows)} " in listed


def test_what_cannot_be_exported_is_asked_about(week: Desk) -> None:
    assert "可以这样说" in ask(week, "导出 所有电话", "马经理", NOW).text
    assert list(week.session.scalars(select(Export))) == []


def test_the_desk_exports_nothing(week: Desk) -> None:
    with pytest.raises(NotAllowed):
        ask(week, "导出 本月", "客服小周", NOW)


def test_a_link_ends_with_its_day_and_with_its_owners_office(week: Desk) -> None:
    token, _ = exported(week, "导出 本周")
    assert audit.fetch_export(week.session, token, NOW + timedelta(hours=25)) is None
    assert audit.fetch_export(week.session, "guess", NOW) is None
    week.staff("马经理").active = False
    assert audit.fetch_export(week.session, token, NOW) is None
    noted = week.session.scalars(select(AccessLog).order_by(AccessLog.id)).all()
    rows = [(row.action, row.allowed) for row in noted if row.action in ("export", "download")]
    assert rows == [("export", True), ("download", True), ("download", False), ("download", False)]


def test_a_link_opens_in_a_browser_and_a_guessed_one_does_not(tmp_path: Path) -> None:
    from starlette.testclient import TestClient

    settings = load_settings({"GUANJIA_DATA_DIR": str(tmp_path)}, tmp_path)
    engine = connect(settings.database_url)
    migrate(engine)
    with sessions(engine).begin() as session:
        community = Community(code="demo", name="云栖", register_spec={})
        session.add(community)
        session.flush()
        staff = Staff(community_id=community.id, name="马经理", role="manager", department="manager")
        session.add(staff)
    bot = Bot(settings, "key")
    with sessions(engine).begin() as session:
        staff = session.scalars(select(Staff)).one()
        token = audit.keep_export(session, staff, "本月 报表.xlsx", b"PK", bot.clock())
    client = TestClient(bot.app, raise_server_exceptions=False)
    answer = client.get(f"/api/exports/{token}")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"PK", TYPES[".xlsx"])
    assert answer.headers["cache-control"] == "no-store"
    assert client.get("/api/exports/guess").status_code == 404


# --- by themselves ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "now", "due"),
    [
        ("daily", at("08:29"), at("18:30", 11)),
        ("daily", at("08:30"), at("08:30")),
        ("daily", at("23:00"), at("18:30")),
        ("weekly", at("08:59", 9), at("09:00", 2)),
        ("weekly", at("09:00", 9), at("09:00", 9)),
        (
            "monthly",
            at("12:00", 12),
            at("09:00", 3),
        ),  # 1 June is a Sunday, 2 June 2025 the day off after the Dragon Boat festival
    ],
)
def test_when_a_report_is_due(kind: str, now: datetime, due: datetime) -> None:
    assert bulletins.last_due(kind, now) == due


def sent(desk: Desk, now: datetime, files: Path) -> dict[str, list[bool]]:
    """Who got what by a sweep done twice: for each leader, whether each message has a picture."""
    desk.seen()
    bulletins.send_made(desk.session, bulletins.make_due(desk.session, files, now), now)
    bulletins.send_made(desk.session, bulletins.make_due(desk.session, files, now), now)
    names = {one.id: one.name for one in desk.session.scalars(select(Staff))}
    found: dict[str, list[bool]] = {}
    for row in desk.fresh():
        found.setdefault(names[row.staff_id or 0], []).append(bool(row.image_key))
    return found


LEADERS = {"李工", "刘队", "何姐", "周主管", "马经理"}


def test_leaders_get_each_report_once(week: Desk, tmp_path: Path) -> None:
    assert sent(week, at("08:00", 13), tmp_path) == {}
    assert sent(week, at("08:31", 13), tmp_path) == {name: [False] for name in LEADERS}
    assert sent(week, at("09:00", 13), tmp_path) == {}
    assert set(sent(week, at("18:30", 13), tmp_path)) == LEADERS
    assert sent(week, at("09:05", 16), tmp_path) == {name: [False, False, True] for name in LEADERS}


def test_a_bot_that_was_off_for_long_sends_no_old_report(week: Desk, tmp_path: Path) -> None:
    assert sent(week, at("08:00", 13), tmp_path) == {}
    assert sent(week, at("07:00", 15), tmp_path) == {}
    assert set(sent(week, at("08:30", 15), tmp_path)) == LEADERS


def test_each_leader_reads_only_what_is_theirs(week: Desk, tmp_path: Path) -> None:
    sent(week, at("08:00", 13), tmp_path)
    sent(week, at("08:31", 13), tmp_path)
    texts = {row.staff_id: row.text for row in week.pushes() if row.dedupe_key.startswith("bulletin:daily")}
    assert "邻里噪音" in texts[week.staff("马经理").id]
    assert "邻里噪音" not in texts[week.staff("何姐").id]


@pytest.mark.parametrize(
    ("name", "words"), [("report", "本月"), ("report", "今天"), ("export", "本月"), ("export", "超时")]
)
def test_a_report_is_made_while_somebody_else_writes(engine: Engine, name: str, words: str) -> None:
    with sessions(engine).begin() as writer:
        writer.execute(update(Staff).values(cap=7))
        with read_sessions(engine)() as reader:
            manager = reader.scalars(select(Staff).where(Staff.name == "马经理")).one()
            made = making.make(reader, manager, Command(name, {"words": words}, words), NOW)
            assert (made.workbook if name == "export" else made.text) and manager.cap != 7


def test_what_leaders_type_for_reports_is_no_workers_command() -> None:
    assert commands.parse("导出 本月", "worker") is None
    assert commands.beyond("导出 本月", "worker") == "export"
    assert commands.beyond("导出 本月", "resident") == "export"
    assert commands.beyond("厨房漏水", "resident") == ""
