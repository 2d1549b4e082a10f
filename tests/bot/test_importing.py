"""The company's lists: good rows go in, each bad row is named, the same file again changes nothing."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import pytest
from deskhelp import NOW
from estate import HOMES, estate
from openpyxl import Workbook
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session
from typer.testing import CliRunner

from bot import importing
from bot.__main__ import app
from bot.importing import UnreadableFile, import_households, import_residents, import_staff, read_rows
from nlu.address import resolve
from nlu.register import Register
from storage.database import connect, sessions
from storage.models import Building, Community, Household, Residency, Resident, Staff, Unit


def csv_file(path: Path, *rows: Sequence[str], encoding: str = "utf-8") -> Path:
    with path.open("w", encoding=encoding, newline="") as handle:
        csv.writer(handle).writerows(rows)
    return path


def xlsx_file(path: Path, *rows: Sequence[object]) -> Path:
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(list(row))
    book.save(path)
    return path


@pytest.fixture
def empty(session: Session) -> Community:
    """A community without any home."""
    community = Community(code="new", name="新苑", register_spec={"community": "新苑", "phases": []})
    session.add(community)
    session.flush()
    return community


def demo(session: Session) -> Community:
    return session.scalars(select(Community).where(Community.code == "demo")).one()


def homes(community: Community) -> set[str]:
    return set(Register.from_spec(community.register_spec).places)


# --- homes ------------------------------------------------------------------------------------------------------------


def test_homes_become_rows_and_a_register_that_reads_addresses(
    session: Session, empty: Community, tmp_path: Path
) -> None:
    file = csv_file(
        tmp_path / "homes.csv",
        HOMES,
        ["一期", "3", "2", "15", "1502", "住宅"],
        ["一期", "3", "2", "15", "01", ""],
        ["一期", "3", "2", "", "1601", ""],
        ["一期", "4", "", "3A", "3A02", "住宅"],
        ["别墅", "2", "", "", "5", "别墅"],
        ["地库", "B1", "A", "", "017", "车位"],
    )
    result = import_households(session, empty, read_rows(file, "households"))
    assert (result.added, result.same, result.bad) == (6, 0, [])
    keys = set(session.scalars(select(Household.key).where(Household.community_id == empty.id)))
    assert keys == homes(empty)
    assert keys == {"P1/3/2/1502", "P1/3/2/1501", "P1/3/2/1601", "P1/4/-/3A02", "P2/2/-/5", "P3/B1/A/017"}
    register = Register.from_spec(empty.register_spec)
    assert resolve("3栋2单元1502厨房漏水", register).key == "P1/3/2/1502"
    assert register.same_stack_above("P1/3/2/1501") == "P1/3/2/1601"
    assert session.scalar(
        select(func.count()).select_from(Unit).join(Building).where(Building.code == "3", Unit.code == "2")
    )


def test_each_bad_row_is_named_and_the_rest_goes_in(session: Session, empty: Community, tmp_path: Path) -> None:
    file = csv_file(
        tmp_path / "homes.csv",
        HOMES,
        ["一期", "3", "2", "15", "1502", "住宅"],
        ["", "3", "2", "15", "1503", "住宅"],
        ["一期", "3", "2", "15", "", "住宅"],
        [],
        ["一期", "3", "2", "15", "1502", "住宅"],
        ["一期", "3栋", "2", "15", "1504", "住宅"],
        ["一期", "3", "2", "15", "1505", "城堡"],
        ["一期", "3", "2", "15", "1506", "车位"],
        ["一期", "3", "2", "15", "1-4", "住宅"],
        ["一期", "3", "2", "15", "1507", "住宅"],
    )
    result = import_households(session, empty, read_rows(file, "households"))
    assert result.added == 2
    assert [line for line, _ in result.bad] == [3, 4, 6, 7, 8, 9, 10]
    reasons = dict(result.bad)
    assert "分期" in reasons[3]
    assert "房号" in reasons[4]
    assert "第2行" in reasons[6]
    assert "城堡" in reasons[8]
    assert homes(empty) == {"P1/3/2/1502", "P1/3/2/1507"}


def test_the_same_homes_again_change_nothing(session: Session, empty: Community, tmp_path: Path) -> None:
    rows = [
        ["一期", "3", str(unit), str(floor), f"{floor}0{door}", ""]
        for unit in (1, 2)
        for floor in (1, 2, 3)
        for door in (1, 2)
    ]
    file = csv_file(tmp_path / "homes.csv", HOMES, *rows)
    assert import_households(session, empty, read_rows(file, "households")).added == 12
    before = dict(empty.register_spec)
    again = import_households(session, empty, read_rows(file, "households"))
    assert (again.added, again.changed, again.same) == (0, 0, 12)
    assert empty.register_spec == before
    assert len(homes(empty)) == 12


def test_homes_join_a_register_that_is_there_and_keep_its_names(session: Session, tmp_path: Path) -> None:
    community = demo(session)
    before = homes(community)
    file = csv_file(tmp_path / "homes.csv", HOMES, ["一期", "9", "1", "1", "101", ""], ["一期", "3", "2", "15", "1502", ""],
                    ["三期", "1", "", "2", "201", ""])  # fmt: skip
    result = import_households(session, community, read_rows(file, "households"))
    assert (result.added, result.same, result.bad) == (2, 1, [])
    assert homes(community) - before == {"P1/9/1/101", "P3/1/-/201"}
    assert before < homes(community)
    register = Register.from_spec(community.register_spec)
    assert register.gates == ("东门", "南门", "西门", "北门")
    assert register.building("P1", "1") is not None
    assert register.building("P1", "1").unit_code("A") == "1"  # type: ignore[union-attr]


def test_floors_with_other_doors_keep_their_order(session: Session, empty: Community, tmp_path: Path) -> None:
    rows = [["一期", "1", "1", "1", "101", ""], ["一期", "1", "1", "10", "1001", ""], ["一期", "1", "1", "2", "201", ""],
            ["一期", "1", "1", "2", "202", ""], ["一期", "1", "1", "3", "301", ""]]  # fmt: skip
    import_households(session, empty, read_rows(csv_file(tmp_path / "h.csv", HOMES, *rows), "households"))
    register = Register.from_spec(empty.register_spec)
    assert register.same_stack_above("P1/1/1/201") == "P1/1/1/301"
    assert register.same_stack_above("P1/1/1/301") is None or register.same_stack_above("P1/1/1/301") == "P1/1/1/1001"


# --- residents --------------------------------------------------------------------------------------------------------

PEOPLE = ["姓名", "称呼", "电话", "房屋", "关系"]


def test_residents_are_tied_to_their_homes(session: Session, tmp_path: Path) -> None:
    community = demo(session)
    file = csv_file(
        tmp_path / "people.csv",
        PEOPLE,
        ["钱多", "钱先生", "138 1234 5678", "一期3栋2单元1501室", "业主"],
        ["钱多", "钱先生", "13812345678", "P1/3/2/1601", "业主"],
        ["吴忧", "", "0571-55550123", "3-2-1801", "租客"],
        ["没房", "", "13812345679", "99栋101", "业主"],
        ["少位", "", "1381234", "一期3栋2单元1501室", "业主"],
        ["外星", "", "13812345670", "一期3栋2单元1501室", "访客"],
        ["钱多", "", "13812345678", "P1/3/2/1601", "业主"],
        ["半个", "", "13812345671", "1501", "业主"],
        encoding="gb18030",
    )
    rows = read_rows(file, "residents")
    result = import_residents(session, community, rows, NOW)
    assert result.added == 3
    assert [line for line, _ in result.bad] == [5, 6, 7, 8, 9]
    assert "1381234" not in dict(result.bad)[6]
    rich = session.scalars(select(Resident).where(Resident.name == "钱多")).one()
    assert {tie.household.key for tie in rich.homes} == {"P1/3/2/1501", "P1/3/2/1601"}
    assert all(tie.verified_at == NOW for tie in rich.homes)
    again = import_residents(session, community, rows, NOW)
    assert (again.added, again.changed, again.same, len(again.bad)) == (0, 0, 3, 5)


def test_a_changed_relation_is_a_change(session: Session, tmp_path: Path) -> None:
    community = demo(session)
    first = csv_file(tmp_path / "a.csv", PEOPLE, ["钱多", "", "13812345678", "P1/3/2/1501", "租户"])
    then = csv_file(tmp_path / "b.csv", PEOPLE, ["钱多", "钱先生", "13812345678", "P1/3/2/1501", "业主"])
    import_residents(session, community, read_rows(first, "residents"), NOW)
    result = import_residents(session, community, read_rows(then, "residents"), NOW)
    assert (result.added, result.changed, result.same) == (0, 1, 0)
    tie = session.scalars(select(Residency).join(Resident).where(Resident.name == "钱多")).one()
    assert (tie.relation, tie.resident.salutation) == ("owner", "钱先生")


# --- staff ------------------------------------------------------------------------------------------------------------

COLLEAGUES = ["姓名", "工号", "岗位", "部门", "工种", "持证", "片区", "电话", "最多接单", "班次", "在职"]


def test_staff_come_with_trades_licences_and_hours(session: Session, tmp_path: Path) -> None:
    community = demo(session)
    file = xlsx_file(
        tmp_path / "staff.xlsx",
        COLLEAGUES,
        ["钱师傅", "E077", "师傅", "工程部", "电工、弱电", "电工", "P1", 13811112222, 5, "08:30-17:30", "是"],
        ["夜师傅", "E078", "师傅", "工程部", "水暖", "", "", "", "", "20:00-08:00", ""],
        ["谁", "", "国王", "工程部", "", "", "", "", "", "", ""],
        ["谁呢", "", "师傅", "工程部", "魔法", "", "", "", "", "", ""],
        ["钟", "", "师傅", "工程部", "", "", "", "", "", "早上", ""],
    )
    rows = read_rows(file, "staff")
    result = import_staff(session, community, rows)
    assert result.added == 2
    assert [line for line, _ in result.bad] == [4, 5, 6]
    one = session.scalars(select(Staff).where(Staff.name == "钱师傅")).one()
    assert (one.role, one.department, one.trades, one.licences) == (
        "worker",
        "engineering",
        ["electrician", "lowvolt"],
        ["electrician"],
    )
    assert (one.phone, one.cap, one.areas) == ("13811112222", 5, ["P1"])
    assert {(shift.start_minute, shift.end_minute) for shift in one.shifts} == {(510, 1050)}
    night = session.scalars(select(Staff).where(Staff.name == "夜师傅")).one()
    assert {(shift.start_minute, shift.end_minute) for shift in night.shifts} == {(1200, 1920)}
    assert import_staff(session, community, rows).same == 2


def test_who_left_is_switched_off_and_columns_that_are_missing_stay(session: Session, tmp_path: Path) -> None:
    community = demo(session)
    file = csv_file(tmp_path / "s.csv", ["姓名", "岗位", "部门", "在职"], ["王师傅", "师傅", "工程部", "离职"])
    result = import_staff(session, community, read_rows(file, "staff"))
    assert result.changed == 1
    one = session.scalars(select(Staff).where(Staff.name == "王师傅")).one()
    assert not one.active
    assert (one.trades, one.badge) == (["plumber"], "E023")


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_file_without_a_needed_column_is_refused_whole(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="房号"):
        read_rows(csv_file(tmp_path / "a.csv", ["分期", "楼栋"], ["一期", "3"]), "households")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04nothing", b"\xff\xfe\x00\x00"])
@pytest.mark.parametrize("name", ["a.csv", "a.xlsx"])
def test_a_broken_file_is_refused_and_never_raises_otherwise(tmp_path: Path, content: bytes, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UnreadableFile):
        read_rows(file, "households")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile):
        read_rows(tmp_path / "none.csv", "staff")


# --- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("GUANJIA_DATA_DIR", str(tmp_path / "var"))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return CliRunner()


def test_a_company_sets_itself_up(cli: CliRunner, tmp_path: Path) -> None:
    made = cli.invoke(app, ["community", "new", "yunxi", "云栖花园", "--duty-phone", "0571-5555-0100"])
    assert made.exit_code == 0, made.output
    assert "云栖花园" in made.output
    assert "没有改动" in cli.invoke(app, ["community", "new", "yunxi", "别的名字"]).output
    file = csv_file(tmp_path / "h.csv", HOMES, ["一期", "3", "2", "15", "1502", ""], ["一期", "3", "2", "15", "", ""])
    dry = cli.invoke(app, ["import", "households", str(file), "--community", "yunxi", "--dry-run"])
    assert dry.exit_code == 1
    assert "第3行" in dry.output
    engine = connect(f"sqlite:///{tmp_path / 'var' / 'guanjia.db'}")
    assert count(engine, Household) == 0
    real = cli.invoke(app, ["import", "households", str(file), "--community", "yunxi"])
    assert "新增1" in real.output
    people = csv_file(tmp_path / "p.csv", PEOPLE, ["钱多", "", "13812345678", "3-2-1502", ""])
    done = cli.invoke(app, ["import", "residents", str(people), "--community", "yunxi"])
    assert done.exit_code == 0, done.output
    assert (count(engine, Household), count(engine, Resident)) == (1, 1)
    assert "13812345678" not in done.output


def count(engine: Engine, model: type) -> int:
    with sessions(engine)() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def test_an_unknown_community_and_a_bad_code_are_refused(cli: CliRunner, tmp_path: Path) -> None:
    cli.invoke(app, ["community", "new", "yunxi", "云栖花园"])
    file = csv_file(tmp_path / "h.csv", HOMES, ["一期", "3", "2", "15", "1502", ""])
    assert cli.invoke(app, ["import", "households", str(file), "--community", "none"]).exit_code == 2
    assert cli.invoke(app, ["community", "new", "Yun Xi!", "云栖"]).exit_code == 2


# --- many -------------------------------------------------------------------------------------------------------------


def test_twenty_thousand_homes_with_one_bad_in_a_hundred(session: Session, empty: Community, tmp_path: Path) -> None:
    rows, bad = estate(20_000)
    file = csv_file(tmp_path / "many.csv", HOMES, *rows)
    result = import_households(session, empty, read_rows(file, "households"))
    assert [line for line, _ in result.bad] == bad
    assert len(bad) == 200
    assert result.added == 20_000 - len(bad)
    stored = session.scalar(select(func.count()).select_from(Household).where(Household.community_id == empty.id))
    assert stored == result.added == len(homes(empty))
    again = import_households(session, empty, read_rows(file, "households"))
    assert (again.added, again.changed, again.same, len(again.bad)) == (0, 0, result.added, 200)


def test_what_is_said_has_its_texts() -> None:
    assert importing.say("import.done", added=1, changed=2, same=3, bad=4) == "新增1，更新2，没有变化3，有问题4。"
