"""Emergency detection against the phrase bank, and the fixed texts against their rules."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nlu.answers import read_answer
from nlu.classifier import NO_DANGER, read_examples
from nlu.data_check import DATA as DATA_DIR
from nlu.emergency import (
    MESSAGES_PATH,
    RULES_PATH,
    EmergencyRules,
    detect,
    load_rules,
    playbook,
    question_text,
    suspect,
)
from nlu.words import lists

CASES = Path(__file__).parent / "cases"
BANK: dict[str, Any] = yaml.safe_load((CASES / "emergency.yml").read_text(encoding="utf-8"))
RAW_MESSAGES: dict[str, Any] = yaml.safe_load(MESSAGES_PATH.read_text(encoding="utf-8"))
RULES = load_rules()
KINDS = [kind.name for kind in RULES.kinds]


def phrases(section: str) -> Iterator[Any]:
    for group in BANK[section]:
        for say in group["say"]:
            yield pytest.param(say, group, id=say[:30])


def guard_rows() -> Iterator[Any]:
    for guard, rows in BANK["guards"].items():
        for verdict, says in rows.items():
            for say in says:
                yield pytest.param(say, verdict, id=f"{guard}: {say}")


def every_question() -> Iterator[tuple[str, str]]:
    """Key and text of every safety question."""
    yield from ((f"common.{name}", text) for name, text in RAW_MESSAGES["common"].items())
    for kind in RAW_MESSAGES["playbooks"]:
        yield from ((f"{kind}.{name}", text) for name, text in playbook(kind).checks.items())


def verdict_of(say: str) -> str:
    found = detect(say, RULES)
    return "none" if found is None else found.verdict


@pytest.mark.parametrize(("say", "want"), list(phrases("appendix_a1")))
def test_every_phrase_of_appendix_a1_alarms(say: str, want: dict[str, Any]) -> None:
    found = detect(say, RULES)
    assert found is not None
    assert (found.kind, found.verdict, found.code, found.level) == (want["kind"], "alarm", want["code"], want["level"])
    assert found.trigger and found.trigger in say
    assert found.question == ""


@pytest.mark.parametrize(("say", "want"), list(phrases("alarms")))
def test_further_emergencies_alarm(say: str, want: dict[str, Any]) -> None:
    found = detect(say, RULES)
    assert found is not None
    assert (found.kind, found.verdict) == (want["kind"], "alarm")
    assert found.code == want.get("code", found.code)
    assert found.level == want.get("level", found.level)


@pytest.mark.parametrize(("say", "want"), list(guard_rows()))
def test_guards(say: str, want: str) -> None:
    assert verdict_of(say) == want


@pytest.mark.parametrize(("say", "want"), list(phrases("checks")))
def test_weak_signs_ask_one_question(say: str, want: dict[str, Any]) -> None:
    found = detect(say, RULES)
    assert found is not None
    assert (found.kind, found.verdict, found.question) == (want["kind"], "check", want["question"])


@pytest.mark.parametrize("say", BANK["silent"])
def test_ordinary_messages_are_left_alone(say: str) -> None:
    assert detect(say, RULES) is None


def test_the_bank_is_as_large_as_promised_and_has_no_doubles() -> None:
    alarms = [say for group in BANK["alarms"] for say in group["say"]]
    assert len(alarms) >= 150
    assert len(BANK["silent"]) >= 120
    for says in (alarms, BANK["silent"]):
        assert len(says) == len(set(says))


def development_set(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / name).read_text(encoding="utf-8").splitlines() if line.strip()]


def test_the_development_sets_are_large_and_have_no_doubles() -> None:
    for name, size in (("emergencies.jsonl", 1200), ("near_emergencies.jsonl", 1100)):
        texts = [row["text"] for row in development_set(name)]
        assert len(texts) >= size
        assert len(texts) == len(set(texts))


def test_the_development_emergencies_alarm() -> None:
    missed = [row["text"] for row in development_set("emergencies.jsonl") if verdict_of(row["text"]) != "alarm"]
    assert len(missed) <= 9, missed


REJUDGED = {"地库有股汽油味，不知道谁车漏油"}
"""Once taken for near misses, and alarms today: petrol under a roof needs no more than a starter."""


def test_the_near_emergencies_raise_few_alarms_and_few_questions() -> None:
    rows = [(row, verdict_of(row["text"])) for row in development_set("near_emergencies.jsonl")]
    false_alarms = [row["text"] for row, verdict in rows if verdict == "alarm" and row["text"] not in REJUDGED]
    needless = [row["text"] for row, verdict in rows if verdict in ("check", "advise") and not row["ask"]]
    assert len(false_alarms) <= 4, false_alarms
    assert len(needless) <= 11, needless


@pytest.mark.parametrize(
    "wrap", ["{}", "你好{}谢谢", "{}！！！", "气死我了，{}，快点", "3栋1502 {}", "😡😡{}🙏", "\u200b{}\n"]
)
def test_dressing_does_not_hide_an_emergency(wrap: str) -> None:
    for group in BANK["appendix_a1"]:
        for say in group["say"]:
            found = detect(wrap.format(say), RULES)
            assert found is not None, say
            assert found.verdict == "alarm", say


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "HELP"])
def test_an_emergency_in_the_middle_of_a_long_message_is_found(kind: str) -> None:
    groups = (g for g in (*BANK["appendix_a1"], *BANK["alarms"]) if g["kind"] == kind)
    say = next(groups)["say"][0]
    filler = "，".join(BANK["silent"][-25:])
    found = detect(f"{filler}。{say}。{filler}", RULES)
    assert found is not None
    assert (found.verdict, kind in {found.kind, *(other.kind for other in found.also)}) == ("alarm", True)


def test_several_kinds_name_the_most_dangerous_first() -> None:
    found = detect("水管爆了，还有厨房着火了，闻到煤气味", RULES)
    assert found is not None
    assert found.kind == "FIRE"
    assert [other.kind for other in found.also] == ["GAS", "BURST"]
    assert all(other.also == () for other in found.also)


def test_a_sure_lesser_danger_goes_before_a_doubtful_greater_one() -> None:
    found = detect("水管爆了，楼道烟味", RULES)
    assert found is not None
    assert (found.kind, found.verdict) == ("BURST", "alarm")
    assert [(other.kind, other.verdict) for other in found.also] == [("FIRE", "check")]


def test_help_gives_way_to_what_it_is_about() -> None:
    found = detect("救命，我被困在电梯里了", RULES)
    assert found is not None
    assert "HELP" not in {found.kind, *(other.kind for other in found.also)}


def test_staff_test_is_marked_but_still_alarms() -> None:
    found = detect("测试 困人", RULES)
    assert found is not None
    assert (found.verdict, found.guard) == ("alarm", "staff_test")
    assert detect("困人", RULES) != found


def test_the_trigger_is_the_residents_own_spelling() -> None:
    found = detect("我被捆在店梯里了", RULES)
    assert found is not None
    assert "店梯" in found.trigger


@given(
    st.one_of(
        st.text(st.characters(), max_size=300), st.lists(st.sampled_from(BANK["silent"]), max_size=8).map("".join)
    )
)
def test_never_raises(text: str) -> None:
    found = detect(text, RULES)
    assert found is None or (found.trigger in text and found.kind in KINDS)


@given(
    st.lists(
        st.sampled_from(
            [
                "没",
                "着火",
                "困",
                "电梯",
                "孩子",
                "在",
                "里",
                "漏水",
                "插座",
                "上周",
                "修好了",
                "吗",
                "，",
                " ",
                "快",
                "要",
            ]
        ),
        max_size=60,
    )
)
def test_never_raises_on_word_salad(words: list[str]) -> None:
    detect("".join(words), RULES)


@given(st.sampled_from([say for group in BANK["appendix_a1"] for say in group["say"]]), st.integers(0, 30), st.data())
def test_zero_width_noise_never_hides_an_emergency(say: str, count: int, data: st.DataObject) -> None:
    noisy = say
    for _ in range(count % 5):
        at = data.draw(st.integers(0, len(noisy)))
        noisy = noisy[:at] + data.draw(st.sampled_from("\u200b\u200d\ufeff\x00\u202e")) + noisy[at:]
    assert verdict_of(noisy) == "alarm"


@pytest.mark.parametrize(
    "unit",
    [
        "没着火",
        "孩子在",
        "被困",
        "上周爆管",
        "漏水灯",
        "不见找不到老人",
        "快要都",
        "漏",
        "电",
        "煤气",
        "怎么办如果着火",
        "外墙砖好大一块",
    ],
)
def test_a_hostile_length_is_read(unit: str) -> None:
    # A quadratic or exponential pattern would take minutes; the figures are in benchmarks/parsers.py.
    detect(unit * (20_000 // len(unit)), RULES)


# --- the fixed texts ---


def texts_of(kind: str) -> list[str]:
    book = playbook(kind)
    lines = [text for line in book.lines for text in (line.text, line.without) if text]
    return [*lines, book.ask, *book.checks.values(), book.staff_extra]


def test_every_kind_has_a_playbook_and_every_playbook_a_kind() -> None:
    assert set(RAW_MESSAGES["playbooks"]) == set(KINDS)


def test_every_question_a_rule_can_ask_has_a_text() -> None:
    keys = {trigger.question for kind in RULES.kinds for trigger in kind.triggers}
    keys |= {guard.question for guard in RULES.guards if guard.question}
    for key in keys:
        assert question_text(key).rstrip("。！").strip(), key


@pytest.mark.parametrize("kind", KINDS)
def test_advice_is_short_plain_and_asks_only_at_the_end(kind: str) -> None:
    for numbers in ({}, {"gas_phone": "000", "duty_phone": "111"}):
        lines = playbook(kind).advice(**numbers).split("\n")
        assert 1 <= len(lines) <= 5
        assert all(0 < len(line) <= 50 for line in lines)
        assert not any("？" in line for line in lines[:-1])


@pytest.mark.parametrize("kind", KINDS)
def test_texts_keep_to_their_own_bans_and_the_common_ones(kind: str) -> None:
    book = playbook(kind)
    assert book.must_not
    common = ["12119", "捶", "心前区", "心窝", "马上就到", "免费", "我们赔", "分钟就到", "已通知", "已派", "法定"]
    for text in texts_of(kind):
        assert not [word for word in (*book.must_not, *common) if word in text], text
        assert "95598" not in text
        assert not re.search("[\U0001f000-\U0001faff\u2600-\u27bf]", text)


@pytest.mark.parametrize("kind", KINDS)
def test_placeholders_are_known_and_always_have_a_variant(kind: str) -> None:
    for line in playbook(kind).lines:
        names = set(re.findall(r"\{(.*?)\}", line.text))
        assert names <= {"gas_phone", "duty_phone"}
        assert bool(names) == bool(line.without)
        assert "{" not in line.without
    assert "{" not in playbook(kind).advice()
    assert "{" not in playbook(kind).advice(gas_phone="000", duty_phone="111")


@pytest.mark.parametrize("kind", KINDS)
def test_local_numbers_are_never_written_into_a_text(kind: str) -> None:
    numbers = {n for text in texts_of(kind) for n in re.findall(r"\d{3,}", text)}
    assert numbers <= {"110", "119", "120", "12110", "12356"}


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        (
            "GAS",
            ["不开灯", "不关灯", "门铃", "不点火", "不在屋里打电话", "燃气阀", "走楼梯", "到室外再打", "119", "120"],
        ),
        ("FIRE", ["119", "不坐电梯", "弯腰", "把门关上", "浓烟", "湿毛巾", "不要回去拿东西"]),
        ("LIFT", ["扒门", "踹门", "天窗", "警铃", "靠墙", "120", "哪栋哪单元"]),
        ("BURST", ["总水阀", "顺时针", "踩着水不要碰电箱", "拍照", "楼栋总阀"]),
        ("ELEC", ["湿地面", "总闸", "不要反复合闸", "不能泼水", "干燥木棍", "不要用手拉", "120"]),
        ("WATER_ELEC", ["不要碰水里的插座", "够得着", "离开湿", "水阀"]),
        ("TRAPPED", ["110", "119", "安抚", "别让孩子碰"]),
        ("FALL", ["离开楼下和窗边", "别探身", "绕行", "120"]),
        ("PIT", ["提醒行人", "别靠近", "围挡"]),
        ("MED", ["120", "年龄", "不要随意搬动", "心肺复苏", "接救护车"]),
        ("SEC", ["锁上门", "110", "12110", "不要追"]),
        ("SELF", ["别一个人待着", "12356", "身边有人吗"]),
        ("LOST", ["110", "衣着", "时间和地点", "门岗", "监控"]),
        ("CO", ["室外新鲜空气", "打开门窗", "热水器", "120"]),
        ("FLOOD", ["不要去地库挪车", "积水", "电箱", "低处的电"]),
        ("OUTAGE", ["核实原因", "别用电梯", "制氧机"]),
        ("CARE", ["派人上门", "119", "120", "110", "位置"]),
        ("HELP", ["有人受伤、被困或起火吗"]),
    ],
)
def test_advice_contains_the_facts_of_its_playbook(kind: str, facts: list[str]) -> None:
    advice = playbook(kind).advice(gas_phone="000", duty_phone="111")
    assert [fact for fact in facts if fact not in advice] == []


@pytest.mark.parametrize(
    ("told", "fact"),
    [
        ("遛狗的没栓绳 把我婆婆腿咬了两个洞", "肥皂水"),
        ("娃儿掉到景观池里头了", "不要贸然下水"),
        ("奶奶吃汤圆噎到了 脸都紫了", "肚脐上方"),
        ("他突然倒地抽搐口吐白沫", "侧躺"),
        ("保温瓶炸了 大腿全烫红起泡", "凉水冲"),
        ("玻璃划到手腕 血止不住", "用力按住"),
        ("有人晕倒了", ""),
    ],
)
def test_first_aid_for_what_was_told_stands_second(told: str, fact: str) -> None:
    book = playbook("MED")
    plain, lines = book.advice().split("\n"), book.advice(told).split("\n")
    assert fact in lines[1] and lines[1].startswith("②")
    assert (lines[1] == plain[1]) is not bool(fact)
    assert (lines[:1], lines[2:]) == (plain[:1], plain[2:]), "five lines at most"


@pytest.mark.parametrize("kind", KINDS)
def test_first_aid_keeps_to_the_bans_and_is_short(kind: str) -> None:
    book = playbook(kind)
    for one in book.aid:
        assert len(one.text) <= 50 and not [word for word in book.must_not if word in one.text]


@pytest.mark.parametrize("told", ["我要砍死你们物业的人", "老子今晚就去把他家门砸了 我真想弄死他", "我非揍他一顿不可"])
def test_whoever_threatens_is_not_told_to_hide(told: str) -> None:
    advice = playbook("SEC").advice(told)
    assert "先别动手" in advice and "躲" not in advice
    assert "位置" in advice or "几栋" in advice


@pytest.mark.parametrize(
    "told",
    [
        "有人拿刀要砍我",
        "我老公要打死我",
        "我要报警他打我",
        "他说要杀了我全家",
        "有人拿刀追着我要砍我",
        "他冲着我要杀我",
        "他拿汽油堵着我要放火",
        "有人在楼道放火 我会烧死的",
    ],
)
def test_whoever_is_threatened_is_told_to_hide(told: str) -> None:
    assert playbook("SEC").advice(told) == playbook("SEC").advice()


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("我现在就上去跟他干一架", "SEC.own"),
        ("我这就带人去收拾他", "SEC.own"),
        ("孩子高考呢，楼上别再砸了，再砸我要上去拼命", ""),
        ("我去把他揍一顿", "SEC.own"),
        ("老子现在上去打他", "SEC.own"),
        ("我现在就下去打球", ""),
        ("我今天自己动手修的水龙头", ""),
        ("我今天就动手装修", ""),
        ("我现在去楼下收拾那堆垃圾", ""),
        ("我今天被他揍了", ""),
        ("我现在不敢动手", ""),
    ],
)
def test_whoever_is_about_to_fight_is_asked_not_to(text: str, question: str) -> None:
    found = detect(text)
    assert (found.question if found else "") == question


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_when_it_grows_keeps_to_the_bans_and_is_short(kind: str) -> None:
    book = playbook(kind)
    assert len(book.worse) <= 50 and not [word for word in book.must_not if word in book.worse]


def fitting(kind: str) -> Iterator[tuple[str, ...]]:
    """The lines of everybody whom the usual ones do not fit."""
    for other in playbook(kind).instead:
        yield tuple(line.text for line in other.lines)


@pytest.mark.parametrize("kind", KINDS)
def test_the_lines_of_others_are_as_short_and_keep_to_the_bans(kind: str) -> None:
    for lines in fitting(kind):
        assert 1 <= len(lines) <= 5
        assert all(len(line) <= 50 for line in lines)
        assert not [word for word in playbook(kind).must_not for line in lines if word in line]


FAR = [
    ("GAS", "我在上班 孩子一个人在家说闻到煤气味", "告诉家里的人"),
    ("GAS", "我不在家 孩子打电话说家里有煤气味", "告诉家里的人"),
    ("FIRE", "我在外地 老妈说家里冒烟", "告诉屋里的人"),
    ("FIRE", "我在上班 家里没人 邻居说我家冒烟", "您马上打119"),
    ("ELEC", "我妈在家说插座冒火花 我在外面", "告诉家里的人"),
    ("MED", "我在外地 我爸电话里说胸口疼喘不上气", "您马上打120"),
    ("SEC", "孩子打电话来说家里进贼了 我在单位", "您马上打110"),
    ("LIFT", "孩子自己在家 说电梯困住了 我在上班", "告诉里面的人"),
    ("TRAPPED", "我在单位 儿子说门打不开被锁屋里了", "您立刻打110"),
    ("BURST", "我在外地 我妈说家里水管爆了", "告诉家里的人"),
    ("BURST", "我在上班 家里没人 邻居说我家水往外流", "我们关楼栋总阀"),
]


@pytest.mark.parametrize(("kind", "told", "part"), FAR)
def test_who_is_far_away_is_told_what_to_tell_at_home(kind: str, told: str, part: str) -> None:
    assert part in playbook(kind).advice(told)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("GAS", "我在家闻到煤气味"),
        ("GAS", "我妈说闻到煤气味"),
        ("FIRE", "我在外面看到3楼冒烟"),
        ("FIRE", "我在上班 公司旁边那栋冒烟"),
        ("FIRE", "我妈打电话说着火了 我在楼下"),
        ("GAS", "我刚到家 孩子说闻到煤气味"),
        ("TRAPPED", "我在门外 孩子反锁在家里了"),
        ("BURST", "水管爆了 我妈在拿盆接"),
    ],
)
def test_who_is_there_is_told_what_to_do(kind: str, told: str) -> None:
    assert playbook(kind).advice(told) == playbook(kind).advice()


@pytest.mark.parametrize(
    "told",
    [
        "捡到一个小孩 找不到大人",
        "大厅有个小朋友在哭说找不到妈妈",
        "有个小孩跟家里人走散了 在我这",
        "门口有个走丢的老人 不知道家在哪",
        "有个老奶奶迷路了在3栋门口坐着",
        "看到一个小女孩自己在哭 没大人",
        "谁家孩子在楼下哭 找不到大人",
        "发现一个走失的小孩 在门岗这",
    ],
)
def test_who_found_a_child_is_told_to_stay_with_it(told: str) -> None:
    book = playbook("LOST")
    assert "原地陪着" in book.advice(told) and "110" in book.advice(told)
    assert "在几栋附近" in book.question(told) and book.is_outside(told)


@pytest.mark.parametrize(
    "told",
    [
        "我家孩子找不到了",
        "孩子不见了 刚才还在楼下玩",
        "我儿子找不到了 哭着找半天了",
        "有没有人看到一个穿红衣服的小男孩 走丢了",
        "我妈走丢了 有个红帽子",
        "娃被一个女的带走了",
        "帮我找孩子 走丢了",
    ],
)
def test_who_misses_their_own_is_asked_how_they_look(told: str) -> None:
    book = playbook("LOST")
    assert book.advice(told) == book.advice() and book.question(told) == book.ask


@pytest.mark.parametrize(
    ("kind", "told", "part"),
    [
        ("FIRE", "电梯里冒烟", "最近的楼层"),
        ("FIRE", "我在电梯里 有烟", "最近的楼层"),
        ("ELEC", "电梯里一股糊味", "最近的楼层"),
        ("LIFT", "电梯停了 里面有烟 出不来", "119"),
        ("LIFT", "被困电梯里 闻到焦味", "捂住口鼻"),
        ("FALL", "客厅吊灯要掉下来了", "那间屋"),
        ("FALL", "家里吊顶塌了", "那间屋"),
        ("TRAPPED", "小孩头卡栏杆里了", "不要硬拽"),
        ("TRAPPED", "娃的手卡在门缝里拿不出来", "不要硬拽"),
        ("MED", "轮椅翻了 老人压在下面", "抬开"),
        ("MED", "小孩掉喷泉里", "不要贸然下水"),
        ("FALL", "楼要塌了", "走楼梯不坐电梯"),
        ("FALL", "我怕楼塌啊 要不要先出去住", "走楼梯不坐电梯"),
        ("FALL", "墙角裂了条缝 越来越宽 门都关不上了 夜里还听到嘎嘎响", "走楼梯不坐电梯"),
        ("FALL", "天花板裂了 咔咔响 门也变形了", "走楼梯不坐电梯"),
        ("GAS", "地库B2有股汽油味 好像是哪辆车漏的", "别发动车"),
        ("GAS", "家里一股汽油味", "推开门窗"),
        ("ELEC", "路灯杆漏电 一摸麻手", "拦住旁人"),
        ("ELEC", "电线掉水坑里了 就在门口保安亭", "离开8米以上"),
        ("ELEC", "我家门口路灯漏电", "拦住旁人"),
        ("ELEC", "楼道电箱冒火花", "不用自己动手拉"),
        ("WATER_ELEC", "地库积水泡着配电箱", "离开8米以上"),
        ("WATER_ELEC", "楼道漏水流到电表箱", "不用自己动手拉"),
    ],
)
def test_the_advice_fits_what_was_told(kind: str, told: str, part: str) -> None:
    assert part in playbook(kind).advice(told)


@pytest.mark.parametrize("kind", ["ELEC", "WATER_ELEC"])
@pytest.mark.parametrize("told", ["路灯杆漏电 一摸麻手", "电线断了掉在草坪上", "楼道电箱泡水了"])
def test_what_is_live_out_of_doors_asks_no_home_and_sends_nobody_to_a_switch(kind: str, told: str) -> None:
    book = playbook(kind)
    assert book.is_outside(told) and "几室" not in book.question(told)
    assert "够得着" not in book.advice(told) and "木棍" not in book.advice(told)


def test_who_only_wonders_is_not_told_that_somebody_is_called() -> None:
    assert "正在联系" not in playbook("LIFT").advice("如果电梯困人了 多久能来人啊 好奇")


@pytest.mark.parametrize("kind", KINDS)
def test_advice_to_others_is_as_short_and_keeps_the_bans(kind: str) -> None:
    book = playbook(kind)
    for other in book.instead:
        texts = [text for line in other.lines for text in (line.text, line.without) if text]
        assert 1 <= len(other.lines) <= 5
        assert all(0 < len(text) <= 50 for text in texts)
        assert not [word for text in (*texts, other.ask) for word in book.must_not if word in text]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("FIRE", "楼道冒烟 电梯还能坐吗"),
        ("FIRE", "电梯机房冒烟"),
        ("FIRE", "着火了 我不敢坐电梯"),
        ("ELEC", "插座有糊味"),
        ("LIFT", "电梯卡住了出不来"),
        ("LIFT", "电梯里有人抽烟 卡住了"),
        ("FALL", "外墙砖掉下来砸车了"),
        ("FALL", "楼上掉下来一个灯罩 砸到车"),
        ("FALL", "外窗快掉了"),
        ("FALL", "3号楼门口大树倒了"),
        ("FALL", "围墙塌了"),
        ("GAS", "厨房煤气味好大"),
        ("ELEC", "插座冒火花"),
        ("ELEC", "我家热水器漏电"),
        ("ELEC", "楼下邻居家插座冒火花"),
        ("WATER_ELEC", "楼上漏水滴到我家插座"),
        ("LIFT", "电梯停了 我困在里面 如果再不来人怎么办"),
        ("LIFT", "一般几分钟来 电梯里关着孩子"),
        ("TRAPPED", "孩子锁屋里了锅还烧着"),
        ("TRAPPED", "卫生间门打不开人在里头"),
    ],
)
def test_others_hear_the_usual_advice(kind: str, told: str) -> None:
    assert playbook(kind).advice(told) == playbook(kind).advice()


def test_who_asks_whether_it_is_so_is_asked_whatever_the_model_fears() -> None:
    found = detect("听说8栋着火了真的假的", RULES, fear=lambda text: {"FIRE": 0.9})
    assert found is not None and found.verdict == "check"
    real = detect("听说8栋着火了 我这也闻到烟味", RULES, fear=lambda text: {"FIRE": 0.5})
    assert real is not None and real.verdict == "alarm"


OFFERS = {question: re.findall("“([^”]+)”", text) for question, text in every_question()}


@pytest.mark.parametrize("question", sorted(set(OFFERS) - {"MED.welfare"}))
def test_every_safety_question_offers_two_answers_that_are_understood(question: str) -> None:
    yes, no = OFFERS[question]
    now = datetime(2025, 6, 12, 9, 0)
    confirmed, denied = read_answer("safety", yes, now), read_answer("safety", no, now)
    assert confirmed is not None and confirmed.verdict != "no"
    assert denied is not None and denied.verdict == "no"


def test_a_known_place_is_not_asked() -> None:
    book = playbook("MED")
    assert "告诉我位置" in book.advice() and "告诉我位置" not in book.advice(place_known=True)


def test_unconfigured_gas_number_is_worded_around() -> None:
    assert "96777" in playbook("GAS").advice(gas_phone="96777")
    assert "燃气公司抢修电话" in playbook("GAS").advice()


def test_check_questions_end_the_doubt_without_a_form() -> None:
    for kind in KINDS:
        for text in playbook(kind).checks.values():
            assert "？" in text or "请" in text
            assert not re.search("姓名|电话号码|手机号", text)


# --- the rule file ---


def test_codes_and_levels_are_well_formed() -> None:
    for kind in RULES.kinds:
        pairs = [(kind.code, kind.level)]
        pairs += [(t.code or kind.code, t.level or kind.level) for t in kind.triggers]
        pairs += [(r.code or kind.code, r.level or kind.level) for r in kind.refinements]
        for code, level in pairs:
            assert re.fullmatch(r"[A-Z]\d{2}", code)
            assert level in {"U0", "U1", "U3"}


def test_a_malformed_rule_file_is_refused(tmp_path: Path) -> None:
    text = RULES_PATH.read_text(encoding="utf-8")
    broken = tmp_path / "rules.yml"
    broken.write_text(text.replace("outcome: advise", "outcome: perhaps", 1), encoding="utf-8")
    with pytest.raises(ValueError, match="perhaps"):
        load_rules(broken)


FAR = "，one two three four five six seven eight nine ten，"


RULE_FILE = (
    "version: t\nnot_triggers: [zzz]\nclause_words: [yyy]\nstaff_test: ^xxx\nplace_marks: www\nguards: {}\n"
    "weighing: {start: 0, any_danger: 1, this_kind: 0, words: {alarm: 2, loose_alarm: 0, check: 0, loose_check: 0, advise: 0}}\n"
)
"""A rule file without its words and kinds."""


def test_classes_side_by_side_are_found_in_any_order_and_only_nearby(tmp_path: Path) -> None:
    other = tmp_path / "rules.yml"
    other.write_text(
        f"{RULE_FILE}words: {{}}\n"
        "kinds: {FIRE: {code: F01, level: U0, alarm: [{any: [smoke], with: [door, hot], unless: steam}]}}\n",
        encoding="utf-8",
    )
    rules = load_rules(other)
    for say in ("smoke. the door is hot", "hot door! smoke", "the door, smoke, hot"):
        assert detect(say, rules) is not None, say
    for say in ("smoke at the door", "hot door", "smoke, hot door, only steam", f"smoke{FAR}hot door"):
        assert detect(say, rules) is None, say


def test_word_lists_find_every_beginning(tmp_path: Path) -> None:
    """The look at the first character must not cost a word, however the item is written."""
    other = tmp_path / "rules.yml"
    other.write_text(
        f"{RULE_FILE}"
        "words: {plain: [ab, '[12]c', '(?<!q)de'], named: ['{plain}f', g], either: [hi|jk, lm], maybe: ['n?o', p]}\n"
        "kinds: {FIRE: {code: F01, level: U0, alarm: ['({named}|{either}|{maybe})w']}}\n",
        encoding="utf-8",
    )
    rules = load_rules(other)
    for say in ("abfw", "1cfw", "2cfw", "defw", "gw", "hiw", "jkw", "lmw", "now", "ow", "pw", "ABFw"):
        assert detect(say, rules) is not None, say
    assert detect("qdefw", rules) is None


def test_rules_are_data(tmp_path: Path) -> None:
    """The code holds no trigger of its own: another file, another language of danger."""
    other = tmp_path / "rules.yml"
    other.write_text(
        f"{RULE_FILE}words: {{}}\nkinds: {{FIRE: {{code: F01, level: U0, alarm: [fuego]}}}}\n",
        encoding="utf-8",
    )
    rules = load_rules(other)
    found = detect("hay FUEGO", rules)
    assert found is not None
    assert (found.kind, found.trigger) == ("FIRE", "FUEGO")
    assert detect("着火了", rules) is None


@pytest.mark.parametrize(
    ("chances", "verdict", "kind"),
    [
        ({"MED": 0.9}, "alarm", "MED"),
        ({"MED": 0.15, "SELF": 0.05}, "check", "MED"),
        ({"GAS": 0.5, "CO": 0.3}, "alarm", "GAS"),
        # As likely a danger, but nobody knows which: less is known.
        ({"MED": 0.35}, "alarm", "MED"),
        ({"MED": 0.12, "SELF": 0.12, "GAS": 0.11}, "check", "MED"),
        ({"MED": 0.05}, "", ""),
        ({}, "", ""),
    ],
)
def test_the_second_net_asks_or_alarms_by_how_sure_the_model_is(
    chances: dict[str, float], verdict: str, kind: str
) -> None:
    found = suspect(chances, "words", rules=RULES)
    assert (found.verdict, found.kind) == (verdict, kind) if verdict else found is None
    if found is not None and found.verdict == "check":
        assert question_text(found.question)


@pytest.mark.parametrize(
    ("words", "chance", "asked"),
    [
        ("房门打不开 里头没人 就是急着拿证件", 0.2, False),
        ("房门打不开 里头没人 就是急着拿证件", 0.9, True),
        ("房门打不开 里头没人 灶上还炖着汤", 0.2, True),
        ("房门打不开", 0.2, True),
    ],
)
def test_who_says_it_is_harmless_is_asked_only_where_the_model_is_sure(words: str, chance: float, asked: bool) -> None:
    found = suspect({"TRAPPED": chance}, words, rules=RULES)
    assert (found is not None and found.verdict == "check") is asked


@pytest.mark.parametrize(
    ("kind", "words", "calm"),
    [
        ("FALL", "被子吹下去了", True),
        ("FALL", "阳台上的床单被风刮跑了 挂树上", True),
        ("FALL", "被子掉下去 把花盆也带下去了", False),
        ("LIFT", "你们这电梯慢得跟蜗牛一样 等了十分钟 差点迟到", True),
        ("LIFT", "电梯慢慢往下掉 我在里面", False),
        ("FLOOD", "没进 就一小滩 像车上滴的空调水", True),
        ("FLOOD", "先是一小滩 现在往里灌", False),
        ("TRAPPED", "没人卡住了！早出来了", True),
        ("MED", "刚才那个摔倒的大爷怎么样了", True),
        ("MED", "那个大爷还躺着 怎么样了", False),
    ],
)
def test_what_is_said_to_be_harmless_is_not_asked_about_in_doubt(kind: str, words: str, calm: bool) -> None:
    assert (suspect({kind: 0.2}, words, rules=RULES) is None) is calm


def test_what_is_surely_no_report_is_asked_about_at_most() -> None:
    sure, unsure = ({"MED": chance} for chance in (0.95, 0.2))
    found = suspect(sure, "words", rules=RULES, reports=False)
    assert found is not None and (found.verdict, found.question) == ("check", "MED.default")
    assert suspect(unsure, "words", rules=RULES) is not None
    assert suspect(unsure, "words", rules=RULES, reports=False) is None


def test_the_model_says_what_is_broken_if_a_ticket_of_that_kind_can_have_it() -> None:
    told = {code: suspect({"ELEC": 0.9}, "words", code, RULES) for code in ("E09", "W02", "")}
    assert {code: one.code for code, one in told.items() if one} == {"E09": "E09", "W02": "E01", "": "E01"}


def test_a_category_that_is_itself_a_danger_is_asked_about_however_small_the_fear() -> None:
    assert suspect({"GAS": 0.001}, "words", "D02", RULES, grave=True) is None
    for dangers in ({"GAS": 0.01}, {"GAS": 0.02}):
        assert suspect(dangers, "words", "D02", RULES) is None
        found = suspect(dangers, "words", "D02", RULES, grave=True)
        assert found is not None
        assert (found.kind, found.code, found.verdict, found.question) == ("TRAPPED", "D02", "check", "TRAPPED.default")
    assert suspect({}, "words", "Z01", RULES, grave=True) is None


@pytest.mark.parametrize(
    ("text", "asked"), [("有个快递放门口不见了", False), ("我妈不见了 手机也没拿", True), ("一早起来不见了", True)]
)
def test_a_thing_that_is_missed_is_nobody_lost(text: str, asked: bool) -> None:
    assert (suspect({"LOST": 0.03}, text, "M04", RULES, grave=True) is not None) is asked


def test_a_bare_place_is_not_feared() -> None:
    for text in ("刚在 7栋302", "3栋1单元楼下", "在5号楼"):
        assert suspect({"FIRE": 0.9}, text, "F01", RULES, grave=True) is None
    for text in ("7栋302厨房烧", "3楼呛人", "七楼烟大", "10楼窒息"):
        assert suspect({"FIRE": 0.9}, text, "F01", RULES) is not None


def test_kinds_that_the_model_learns_are_those_of_the_rules() -> None:
    told = {one.danger for one in read_examples(DATA_DIR / "nlu")} - {"", NO_DANGER}
    assert {*lists()["dangers"].values(), *told} <= set(KINDS)


LOOSE = f"""{RULE_FILE}words: {{}}
kinds:
  FIRE: {{code: F01, level: U0, alarm: [flames, {{any: [hot], loose: true}}], check: [mild]}}
  SELF: {{code: M03, level: U0, believed: true, alarm: [die]}}
  LIFT: {{code: L01, level: U0, alarm: [stuck]}}
  FLOOD: {{code: W06, level: U1, alarm: [water], check: [leak]}}
"""


@pytest.fixture
def loose(tmp_path: Path) -> EmergencyRules:
    path = tmp_path / "rules.yml"
    path.write_text(LOOSE, encoding="utf-8")
    return load_rules(path)


@pytest.mark.parametrize(
    ("say", "fear", "verdict"),
    [
        # Loose words say nothing themselves here, so that the model decides; plain ones weigh.
        ("it is so hot", 0.4, "alarm"),
        ("it is so hot", 0.2, "check"),
        ("it is so hot", 0.02, ""),
        ("there are flames", 0.1, "alarm"),
        ("there are flames", 0.02, "check"),
        ("there are flames", 0.002, ""),
        # A doubt that the model shares is an alarm.
        ("it is mild here", 0.9, "alarm"),
        ("it is mild here", 0.2, "check"),
        ("it is mild here", 0.02, ""),
        # Some words are not doubted, nor are the few of a cry.
        ("please let me die", 0.0, "alarm"),
        ("flames!", 0.0, "alarm"),
        ("hot", 0.0, "alarm"),
        ("mild", 0.9, "check"),
    ],
)
def test_words_and_the_model_are_weighed_together(loose: EmergencyRules, say: str, fear: float, verdict: str) -> None:
    found = detect(say, loose, fear=lambda _text: {"FIRE": fear})
    assert (found.verdict if found else "") == verdict
    if found and found.guard == "model":
        assert found.question == "FIRE.default"


@pytest.mark.parametrize(
    ("say", "fear", "kinds"),
    [
        ("flames there", {"LIFT": 0.9, "FIRE": 0.06}, ["FIRE"]),
        ("flames there", {"LIFT": 0.9, "FIRE": 0.04}, ["LIFT", "FIRE"]),
        ("flames there", {"LIFT": 0.4, "FIRE": 0.0}, ["FIRE"]),
        # A lesser danger needs to be surer.
        ("flames, water", {"FLOOD": 0.9, "FIRE": 0.02}, ["FIRE", "FLOOD"]),
        ("flames, water", {"FLOOD": 0.9, "FIRE": 0.005}, ["FLOOD", "FIRE"]),
        ("flames, leak", {"FLOOD": 0.9, "FIRE": 0.005}, ["FLOOD", "FIRE"]),
        ("let me die, water", {"FLOOD": 0.99}, ["SELF", "FLOOD"]),
    ],
)
def test_a_model_that_knows_better_names_the_kind(
    loose: EmergencyRules, say: str, fear: dict[str, float], kinds: list[str]
) -> None:
    found = detect(say, loose, fear=lambda _text: fear)
    assert found is not None
    assert [found.kind, *(one.kind for one in found.also)] == kinds
    assert (found.verdict, found.question) == ("alarm", "")
    code, level = {"FIRE": ("F01", "U0"), "LIFT": ("L01", "U0"), "FLOOD": ("W06", "U1"), "SELF": ("M03", "U0")}[
        found.kind
    ]
    assert (found.code, found.level) == (code, level)


def test_without_a_model_words_are_believed(loose: EmergencyRules) -> None:
    def nothing(_text: str) -> dict[str, float]:
        return {}

    for fear in (None, nothing):
        assert [
            (found.verdict if found else "")
            for say in ("it is so hot", "it is mild here")
            for found in [detect(say, loose, fear=fear)]
        ] == ["alarm", "check"]


def test_the_model_is_asked_once_and_only_where_words_were_found(loose: EmergencyRules) -> None:
    asked: list[str] = []

    def fear(text: str) -> dict[str, float]:
        asked.append(text)
        return {"FIRE": 0.0}

    assert detect("a fine day in the garden", loose, fear=fear) is None
    assert asked == []
    assert detect("it is hot, water, flames, stuck", loose, fear=fear) is None
    assert len(asked) == 1


def test_what_is_surely_told_makes_no_alarm_of_another_doubt() -> None:
    found = detect("我妈一个人在家 打电话不接 敲门也不开", fear=lambda _: {"CARE": 0.73, "MED": 0.01})
    assert found is not None
    assert (found.kind, found.verdict) == ("CARE", "alarm")
    assert [(one.kind, one.verdict) for one in found.also] == [("MED", "check")]
