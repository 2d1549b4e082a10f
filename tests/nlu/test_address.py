"""The address table of domain.md §4.3, further cases, and what must hold for any text at all."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nlu.address import NOT_ADDRESS, Address, resolve
from nlu.register import Register

ROOT = Path(__file__).parents[2]
REGISTER = Register.from_spec(yaml.safe_load((ROOT / "data/demo/register.yml").read_text(encoding="utf-8")))
CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parent / "cases/address.yml").read_text(encoding="utf-8")
)
HOME = "P1/3/2/1502"
ACTIONS = {"ok", "echo", "confirm", "ask", "invalid", "conflict", "none"}
LEVELS = {"phase", "building", "unit", "floor", "room", "zone", "villa", "space", "shop"}


def at(text: str, ctx: str = "U", draft: str | None = None, last: str | None = None) -> Address:
    bound = None if ctx == "U" else HOME
    return resolve(text, REGISTER, bound=bound, draft=HOME if ctx == "B*" else draft, last=last)


def name(case: dict[str, Any]) -> str:
    return "-".join(str(case[k]) for k in ("n", "text", "ctx", "draft") if k in case)


@pytest.mark.parametrize("case", CASES["table"], ids=name)
def test_table(case: dict[str, Any]) -> None:
    found = at(case["text"], case["ctx"], last=case.get("last"))
    assert (found.key, found.action, found.display) == (case["key"], case["action"], case["display"])


@pytest.mark.parametrize("case", CASES["more"], ids=name)
def test_more(case: dict[str, Any]) -> None:
    found = at(case["text"], case.get("ctx", "U"), case.get("draft"), case.get("last"))
    assert (found.key, found.action) == (case["key"], case["action"])
    assert found.corrected == case.get("corrected", False)
    if found.action == "ask":
        assert found.missing == case["missing"]


def test_the_table_is_complete() -> None:
    assert [case["n"] for case in CASES["table"]] == list(range(1, 109))
    assert len(CASES["more"]) >= 120


@pytest.mark.parametrize("case", [c for c in CASES["table"] if c["key"] == NOT_ADDRESS], ids=name)
@pytest.mark.parametrize("draft", [None, HOME, "P1/3/?/1502 or P2/3/-/1502", "?/3", "G/B1/?/118 or G/B2/-/118"])
def test_not_an_address_leaves_the_slot_alone(case: dict[str, Any], draft: str | None) -> None:
    assert resolve(case["text"], REGISTER, bound=HOME, draft=draft).action == "none"


# --- the parts of an answer


def test_several_candidates_become_buttons() -> None:
    assert at("3栋1502").options == (
        ("一期3栋1单元1502室", "P1/3/1/1502"),
        ("一期3栋2单元1502室", "P1/3/2/1502"),
        ("二期3栋1502室", "P2/3/-/1502"),
    )


@pytest.mark.parametrize("text", ["3栋1502", "3栋", "地库118", "6-3", "3栋2单元15楼", "三洞典梯里有人"])
def test_an_option_typed_back_is_exact(text: str) -> None:
    asked = at(text)
    assert asked.action == "ask" and 1 < len(asked.options) <= 6
    for label, key in asked.options:
        answer = resolve(label, REGISTER, draft=asked.key)
        assert answer.key == key or (key.endswith("/?") and answer.key.startswith(key[:-1]))
        assert answer.action in ("ok", "ask")


def test_invalid_says_which_part_does_not_exist() -> None:
    assert at("3栋3单元1502").problem == {"what": "unit", "building": "一期3栋", "typed": "3单元", "have": "1、2单元"}
    assert at("15栋201").problem == {"what": "building", "typed": "15栋", "have": "1、2、3、4、5、6、7、8栋"}
    assert at("3-2-1904").problem == {"what": "floor", "building": "一期3栋2单元", "typed": "19", "top": "18"}
    assert at("3栋2单元1509").problem["what"] == "room"
    assert at("S31").problem["what"] == "shop"
    assert at("五期地库B区036").problem["what"] == "phase"


def test_the_one_garage_lies_under_every_phase() -> None:
    for text in ("一期负一层 B区 036", "二期地库B区036"):
        assert (at(text).action, at(text).key) == ("ok", "G/B1/B/036")


def test_a_relabelled_floor_is_suggested_never_converted() -> None:
    found = at("5栋1302")
    assert found.action == "invalid" and found.keys == ()
    assert found.problem["suggest"] == "12A"
    assert found.options == (("一期5栋12A02室", "P1/5/-/12A02"),)


def test_name_and_phone_glued_to_the_address() -> None:
    found = at("3-2-1502王女士13800000000")
    assert (found.name, found.phone) == ("王女士", "13800000000")
    assert at("3栋2单元150213800000000").key == HOME


def test_suspected_source() -> None:
    found = at("我家楼上漏下来的", "B")
    assert found.keys == (HOME,) and found.source_key == "P1/3/2/1602"
    top = resolve("楼上漏水", REGISTER, bound="P1/3/2/1802")
    assert (top.key, top.source_key) == ("P1/3/2/1802", "")


def test_spans_are_of_the_original_text() -> None:
    text = "嗯那个就是三洞二但愿幺五零二水管有点滴不大"
    found = at(text)
    assert [text[a:b] for a, b in found.spans] == ["三洞二但愿幺五零二"]
    text = "漏水，３栋二十六楼零三 急"
    assert [text[a:b] for a, b in at(text).spans] == ["３栋二十六楼零三"]


def test_pieces_in_several_messages() -> None:
    draft = None
    for text in ("3栋", "1502", "哗哗的关不上 二单元"):
        found = at(text, draft=draft)
        draft = found.key
    assert (draft, found.action) == (HOME, "ok")


def test_corrections_one_after_the_other() -> None:
    """SC04: room, unit, building; only the building needs a yes."""
    draft, seen = HOME, []
    for text in ("不是1502是1503 帮邻居报的", "打错了 是1单元", "不对 4栋"):
        found = at(text, "B", draft)
        draft = found.key
        seen.append((found.key, found.action, found.corrected))
    assert seen == [
        ("P1/3/2/1503", "echo", True),
        ("P1/3/1/1503", "echo", True),
        ("P1/4/1/1503", "confirm", True),
    ]


def test_trapped_in_a_lift_gives_every_candidate() -> None:
    """SC16: guards go to all three lifts."""
    found = at("就命 我被困在三洞典梯里了 两个人有个孕妇")
    assert found.public and found.area == "电梯"
    assert found.keys == ("PUB:P1/3/1/-/电梯", "PUB:P1/3/2/-/电梯", "PUB:P2/3/-/-/电梯")


def test_rooms_inside_the_flat_are_not_public() -> None:
    for room in ("厨房", "卫生间", "阳台", "主卧", "客厅", "洗手间"):
        assert at(f"3栋2单元1502{room}漏水").key == HOME
        assert at(f"{room}漏水").action == "none"


def test_building_names_and_letters_of_another_register() -> None:
    register = Register.from_spec(
        {
            "community": "滨江公馆",
            "phases": [
                {
                    "code": "M",
                    "name": "",
                    "buildings": [
                        {"codes": ["A", "B"], "floors": ["1-30"], "rooms": ["01-04"]},
                        {
                            "codes": ["7"],
                            "units": ["1"],
                            "floors": ["1-6"],
                            "rooms": ["01-02"],
                            "names": {"7": ["桂花阁"]},
                        },
                    ],
                }
            ],
            "gates": ["正门"],
        }
    )
    assert resolve("A座1502", register).key == "M/A/-/1502"
    assert resolve("b栋2904漏水", register).key == "M/B/-/2904"
    assert resolve("A-1502", register).key == "M/A/-/1502"
    assert resolve("桂花阁602", register).key == "M/7/1/602"
    assert resolve("正门口积水", register).key == "PUB:-/-/-/-/正门"
    assert all(resolve(place.display, register).key == place.key for place in register.places.values())


# --- for any text


# separated by blanks; the blank itself and the line break are added below
WORDS = """
3 15 1502 02 12A B2 023 S12 栋 幢 号楼 号 # 单元 但愿 门 梯 楼 层 室 户 一期 二期 II期 东区 别墅 排 车位 地库 负
电梯 楼道 东门 我家 我们 楼上 楼下 隔壁 对门 不是 是 打错了 应该是 还有 和 、 / - . 之间 都 个 点 月 块 幺 洞 零 五 十
百 两 13800000000 上次那个地址 所有住户 左边 那边 云栖花园 路 弄 , 。 🔥 漏水
"""
FRAGMENTS = st.sampled_from([*WORDS.split(), " ", "\n"])
DRAFTS = (
    "P1/5/-/12A02 V/6/-/3 G/B1/C/118 S/-/-/12 ?/3 unknown P1 P1/3/2/F15 / PUB: "
    "PUB:P1/3/?/F1/大堂 PUB:?/2~3/-/-/路灯 P1/3/2/- ?/?/2 ?/?/?/1502 PUB:G/B1/-/-/车库"
)
AMBIGUOUS = ("P1/3/?/1502 or P2/3/-/1502", "P1/6/?/? or V/6/-/3", "G/B1/?/118 or G/B2/-/118", f"{HOME} + P1/3/2/1503")
CONTEXT = st.sampled_from([None, HOME, *DRAFTS.split(), *AMBIGUOUS])


def check(text: str, bound: str | None, draft: str | None, last: str | None) -> None:
    found = resolve(text, REGISTER, bound=bound, draft=draft, last=last)
    assert found.action in ACTIONS
    assert found == resolve(text, REGISTER, bound=bound, draft=draft, last=last)
    assert len(found.options) <= 6
    assert all(0 <= start < end <= len(text) for start, end in found.spans)
    assert not found.missing or found.missing in LEVELS
    if found.action == "none":
        assert found == Address("none", NOT_ADDRESS)
    if found.action in ("ok", "echo", "confirm"):
        assert found.keys and found.display
        assert "last" in found.key.split(" + ") or all(
            key in REGISTER.places or key.startswith("PUB:") for key in found.keys
        )


@settings(max_examples=400)
@given(st.text(max_size=60), CONTEXT, CONTEXT, CONTEXT)
def test_any_text_has_an_answer(text: str, bound: str | None, draft: str | None, last: str | None) -> None:
    check(text, bound, draft, last)


@settings(max_examples=1500)
@given(st.lists(FRAGMENTS, max_size=12).map("".join), CONTEXT, CONTEXT, CONTEXT)
def test_any_mixture_of_address_words_has_an_answer(
    text: str, bound: str | None, draft: str | None, last: str | None
) -> None:
    check(text, bound, draft, last)


@settings(max_examples=200)
@given(st.text(max_size=20), st.text(max_size=40))
def test_any_draft_is_survived(text: str, draft: str) -> None:
    check(text, None, draft, draft)


def test_lone_surrogates_and_control_characters() -> None:
    check("\ud83d3栋\x00\u200b2单元\x011502\udc00", HOME, None, None)


def test_every_place_is_read_back_from_its_display() -> None:
    wrong = [p.key for p in REGISTER.places.values() if resolve(p.display, REGISTER).key != p.key]
    assert wrong == []


@settings(max_examples=300)
@given(st.sampled_from([p for p in REGISTER.places.values() if p.kind == "flat"]), st.data())
def test_spellings_of_a_home_agree(place: Any, data: st.DataObject) -> None:
    phase = {"P1": ["一期", "1期", "I期", "１期"], "P2": ["二期", "东区", "II期", "Ⅱ期"]}[place.phase]
    spoken = "".join("零一二三四五六七八九"[int(c)] if c.isdecimal() else c for c in place.room)
    building = data.draw(st.sampled_from(["栋", "幢", "号楼", "座", "#"]))
    unit = f"{place.unit}单元" if place.unit != "-" else ""
    room = data.draw(st.sampled_from([place.room, spoken, place.room + "室", place.room.lower(), place.room.zfill(4)]))
    text = data.draw(st.sampled_from(phase)) + place.building + building + unit + room
    found = resolve(data.draw(st.sampled_from(["", "师傅您好，", "云栖花园"])) + text + "漏水", REGISTER)
    assert (found.key, found.action) == (place.key, "ok")


@pytest.mark.parametrize(
    "piece", ["3栋2单元1502，", "3-", "1", "幺五零二", "和3栋", "A1", "不是1", "地下", "a@", "、1502", "负", " "]
)
def test_a_long_paste_is_read(piece: str) -> None:
    text = (piece * 8000)[:8000]
    resolve(text, REGISTER, bound=HOME, draft="P1/3/?/1502 or P2/3/-/1502")


@pytest.mark.parametrize(
    ("wrong", "then", "key"),
    [
        ("一期12栋2单元301", "不是 是2栋", "P1/2/2/301"),
        ("一期2栋3单元501", "那是2单元", "P1/2/2/501"),
        ("一期2栋1单元9901", "901", "P1/2/1/901"),
        ("地库B3", "B2 打错了", "PUB:G/B2/-/-/地库"),
    ],
)
def test_what_is_right_of_a_wrong_place_is_kept(wrong: str, then: str, key: str) -> None:
    first = at(wrong)
    assert first.action == "invalid"
    assert at(then, draft=first.partial).key == key


@pytest.mark.parametrize(
    ("text", "villa"),
    [
        ("单元门口停了一排电动车 轮椅过不去", False),
        ("东门堆着两排纸箱", False),
        ("地下车库B1灯坏了一排", False),
        ("车库灯有一排不亮", False),
        ("一排3号停了电", True),
        ("别墅一排那里漏水", True),
    ],
)
def test_a_row_of_things_is_no_row_of_villas(text: str, villa: bool) -> None:
    assert at(text).key.startswith("V/1") is villa


@pytest.mark.parametrize(
    ("text", "home"),
    [
        ("对讲机没声音，另外楼下单元门关不严 4栋1单元602", "P1/4/1/602"),
        ("我家马桶堵了 还有楼道灯不亮 3栋2单元1502", "P1/3/2/1502"),
        ("马桶堵了，还有3栋走廊堆了纸箱", "not an address"),
    ],
)
def test_the_home_before_whose_door_a_shared_place_is(text: str, home: str) -> None:
    assert resolve(text, REGISTER, at_home=True).key == home


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("别墅3栋5号院子里灯不亮", "V/3/-/5"),
        ("我楼上天天半夜放音乐", "not an address"),
        ("我家大门锁拧不开了", "not an address"),
        ("我家大门口堆垃圾", "PUB:-/-/-/-/大门口"),
        ("7栋2单元的电梯一到10楼就抖", "PUB:P1/7/2/-/电梯"),
        ("1到3楼都没电", "PUB:?/?/?/F1-F3/整层"),
    ],
)
def test_words_that_contain_a_place(text: str, key: str) -> None:
    assert at(text).key == key
