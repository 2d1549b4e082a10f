"""Places read by grammar alone, without a register."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.demo import demo_register
from nlu.address import levels_of, stated


@pytest.mark.parametrize(
    ("text", "levels"),
    [
        ("3栋2单元1502厨房漏水", {"building": "3", "unit": "2", "room": "1502"}),
        ("28-3-1203", {"building": "28", "unit": "3", "room": "1203"}),
        ("三号楼二单元十五楼02", {"building": "3", "unit": "2", "floor": "15", "room": "1502"}),
        ("阳光花园5栋3单元602", {"building": "5", "unit": "3", "room": "602"}),
        ("翡翠湾12-1-301", {"building": "12", "unit": "1", "room": "301"}),
        ("A座2504", {"building": "A", "room": "2504"}),
        ("二期7号楼1101", {"phase": "2", "building": "7", "room": "1101"}),
        ("10号楼3单元五楼楼道灯坏了", {"building": "10", "unit": "3", "floor": "5", "area": "楼道"}),
        ("小区东门", {"area": "东门"}),
        ("502厨房漏水", {"room": "502"}),
        ("1502", {"room": "1502"}),
        ("赵都新城S7号楼28层过道灯不亮", {"building": "S7", "floor": "28", "area": "过道"}),
        ("棕榈泉小区B3栋1202房漏水", {"building": "B3", "room": "1202"}),
        ("我家在B2栋，对讲坏了", {"building": "B2"}),
        (
            "64幢丙单元的水表，冻裂了两个多月，也没有人来看一眼，我家102",
            {"building": "64", "unit": "丙", "room": "102"},
        ),
        ("沈阳市铁西区勋望小区3号楼漏水", {"building": "3"}),
        ("西环花园业委会，21栋104室漏水", {"building": "21", "room": "104"}),
        ("小区花园的灯坏了", {"area": "花园"}),
        ("电梯从9楼滑到6楼，4号楼", {"building": "4", "area": "电梯"}),
        ("电梯按键3楼和11楼没反应", {"area": "电梯"}),
        ("电梯门夹人！刚才把我家老太太夹青了，3号楼1单元", {"building": "3", "unit": "1", "area": "电梯"}),
    ],
)
def test_levels(text: str, levels: dict[str, str]) -> None:
    found = stated(text)
    assert found is not None
    said = {name: getattr(found, name) for name in ("phase", "building", "unit", "floor", "room", "area")}
    assert {name: value for name, value in said.items() if value} == levels


@pytest.mark.parametrize(
    "text", ["", "交了1502块", "8到9点来", "13800001502", "打了120", "晚上15:02", "我家马桶堵了", "第3次报修了"]
)
def test_numbers_that_are_no_place(text: str) -> None:
    assert stated(text) is None


@given(text=st.text(max_size=80))
def test_total(text: str) -> None:
    stated(text)


def test_levels_of_a_key() -> None:
    register = demo_register()
    assert levels_of("P1/3/2/1502", register).floor == "15"
    several = levels_of("P1/3/?/1502 or P2/3/-/1502", register)
    assert (several.phase, several.building, several.room) == ("", "3", "1502")
    hall = levels_of("PUB:P1/3/2/F15/电梯厅", register)
    assert (hall.unit, hall.floor, hall.area) == ("2", "15", "电梯厅")
