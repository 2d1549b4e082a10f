"""What is asked, told and said to be over in the middle of a danger: one right line, and nothing that raises a second alarm."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml
from deskhelp import NOW, Desk
from sqlalchemy import select

from nlu.emergency import detect, playbook
from storage.models import Ticket
from tickets import clocks, danger_questions, emergencies
from tickets.answering import Turn, try_answer
from tickets.lifecycle import OPEN
from tickets.texts import DATA, say
from tickets.words import asks_in_danger, asks_who_comes, is_over, speaks_of_other

RAW: dict[str, Any] = yaml.safe_load((DATA / "catalog" / "danger_questions.yml").read_text("utf-8"))


def told(desk: Desk, text: str, now: datetime = NOW) -> None:
    """王芳 tells of a danger in words that raise the alarm."""
    found = detect(text)
    assert found is not None and found.verdict == "alarm"
    emergencies.screen(desk.session, desk.chat("王芳"), desk.actor("王芳"), found, text, f"web:{text}", now)


def hear(desk: Desk, text: str, minute: int = 1) -> str:
    """What she is answered to what she says next."""
    now = NOW + timedelta(minutes=minute)
    outcome = try_answer(Turn(desk.session, desk.chat("王芳"), desk.actor("王芳"), text, now, f"web:{text}:{minute}"))
    assert outcome is not None
    return outcome.reply


def screened(desk: Desk, text: str, minute: int = 1) -> bool:
    """Whether a later message was dealt with as a danger."""
    found = detect(text)
    assert found is not None
    now = NOW + timedelta(minutes=minute)
    return emergencies.screen(
        desk.session, desk.chat("王芳"), desk.actor("王芳"), found, text, f"web:{text}:{minute}", now
    )


def dangers(desk: Desk) -> list[Ticket]:
    return [one for one in desk.session.scalars(select(Ticket).order_by(Ticket.id)) if emergencies.danger(one)]


def last_words(desk: Desk) -> str:
    return desk.pushes("王芳")[-1].text


# --- the lines themselves


def test_lines_are_short_polite_and_known() -> None:
    lines = [row["say"] for row in RAW["rows"]] + list(RAW["unsure"].values())
    for line in lines:
        assert len(line) <= 50 and "你" not in line and "{" not in line, line
        assert not re.search("尽快|稍后|冷静|很快", line), line
    for row in RAW["rows"]:
        for kind in row.get("kinds", ()):
            book = playbook(kind)
            assert not [word for word in book.must_not if word in row["say"]], row["say"]
    for kind, line in RAW["unsure"].items():
        assert not [word for word in playbook(kind).must_not if word in line]


@pytest.mark.parametrize(
    ("kind", "reported", "text", "part"),
    [
        ("FLOOD", "地库进水了", "我车在b2 能不能下去开出来", "不要下地库"),
        ("FLOOD", "地库进水了", "能去把车挪出来吗", "不要下地库"),
        ("MED", "孩子喝了洁厕灵", "喝了一小口 能不能催吐", "不要催吐"),
        ("MED", "孩子喝了洁厕灵", "能不能给他喝点牛奶", "先别喂水喂奶"),
        ("MED", "老人摔倒了", "她说腰疼 不让动 要扶起来吗", "先别扶"),
        ("MED", "老人晕倒了", "能不能给她喝点水", "先别喂水"),
        ("MED", "老头倒厕所里了 叫不应", "我要不要给他掐人中", "不要掐"),
        ("MED", "老头倒厕所里了 叫不应", "掐人中有用吗", "不要掐"),
        ("MED", "开水烫了手", "能抹牙膏吗", "凉水冲"),
        ("MED", "手割破了一直流血", "要不要用酒精冲", "按住伤口"),
        ("MED", "孩子抽搐了", "要不要塞个筷子", "不塞东西"),
        ("LIFT", "困在电梯里了", "能不能自己扒开门出去", "不要扒门"),
        ("LIFT", "困在电梯里了", "电梯会不会掉下去啊", "防坠"),
        ("LIFT", "困在电梯里了", "里面会不会缺氧", "有通风"),
        ("FIRE", "电动车在烧", "我能拿水管冲吗", "不要浇"),
        ("FIRE", "厨房油锅着火了", "能用水浇吗", "盖上锅盖"),
        ("FIRE", "楼上在冒烟", "要不要上去叫他们", "别上楼去叫"),
        ("FIRE", "楼上在冒烟", "我要不要敲他們門", "别上楼去叫"),
        ("FIRE", "楼道里有烟", "5栋1单元 往下走还是呆屋里", "有烟就留在屋里"),
        ("FIRE", "楼道里有烟", "2栋1单元1203 还要出去吗", "有烟就留在屋里"),
        ("FIRE", "家里着火了", "能回去拿手机不", "不要回去"),
        ("GAS", "闻到煤气味", "能回去拿手机充电器不", "不要回去"),
        ("GAS", "闻到煤气味", "要不要关总闸", "不拔任何电器"),
        ("GAS", "闻到煤气味", "要不要关阀", "关掉燃气阀"),
        ("GAS", "闻到煤气味", "要不要叫邻居", "别按门铃"),
        ("ELEC", "插座冒火花", "我能不能用水浇", "不能浇水"),
        ("ELEC", "楼道灯的线垂下来了 火花一闪", "我先拿胶布缠上行不行", "缠也不行"),
        ("ELEC", "电表箱在滋滋响 冒火花", "要不要拉闸", "电箱自己"),
        ("ELEC", "水龙头麻手", "还能不能洗", "先别洗"),
        ("WATER_ELEC", "地上全是水 插座在边上", "能去拔插排吗", "不要碰"),
        ("WATER_ELEC", "地上全是水 插座在边上", "要不要关阀", "总水阀"),
        ("BURST", "水管爆了", "要不要关阀", "先关家里总水阀"),
        ("BURST", "水管爆了", "要不要告诉楼下", "请楼下"),
        ("FALL", "窗玻璃要掉下来了", "我自己去扯下来行吗", "不要去碰"),
        ("FALL", "吊灯掉下来了", "会不会漏电", "可能带电"),
        ("TRAPPED", "娃锁屋里了", "拿螺丝刀把锁卸了行不", "别自己砸门"),
        ("TRAPPED", "孩子头卡栏杆里了", "能用油吗", "抹油"),
        ("SEC", "楼下在打架", "我要不要报警", "马上打110"),
        ("SEC", "隔壁有人喊救命", "我过去敲敲门行不行", "不要过去"),
        ("PIT", "井盖没了", "我能不能自己拿板子盖上", "别靠近"),
    ],
)
def test_a_question_in_a_danger_has_its_line(kind: str, reported: str, text: str, part: str) -> None:
    assert asks_in_danger(text)
    assert part in danger_questions.line_for(kind, text, reported, asked=True)


@pytest.mark.parametrize(
    ("kind", "text", "part"),
    [
        ("FIRE", "人没出来啊 我妈还在里面", "打119"),
        ("FIRE", "门缝里进来了", "湿毛巾"),
        ("GAS", "我妈还在睡觉 她腿脚不好 怎么办", "别再进去"),
        ("GAS", "开关关了 还嘶", "关不住就别管"),
        ("FLOOD", "水到膝盖了 我还在车里", "马上下车"),
        ("FLOOD", "水都到小腿了", "往高处走"),
        ("FLOOD", "有个保安还在里面", "打119"),
        ("LIFT", "听到有人在撬门了", "离门远些"),
        ("BURST", "总阀在哪啊找不到", "水表旁"),
        ("BURST", "拧不动 锈死了", "楼栋总阀"),
        ("WATER_ELEC", "我刚才不小心踩进去了 脚麻了一下", "打120"),
        ("TRAPPED", "钥匙在里面 锅还在烧着", "锅在烧"),
        ("MED", "救护车进不来 门口那个杆不抬", "抬杆"),
        ("MED", "120怎么还没到", "再打一次"),
    ],
)
def test_what_needs_a_word_at_once_has_its_line(kind: str, text: str, part: str) -> None:
    assert part in danger_questions.line_for(kind, text, "", asked=False)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("FIRE", "人都出来了"),
        ("FIRE", "是电动车在烧"),
        ("GAS", "我在楼下花园"),
        ("GAS", "都下来了"),
        ("MED", "我是她邻居"),
        ("MED", "他今年七十了"),
        ("ELEC", "没有人触电"),
        ("ELEC", "手不麻"),
        ("LIFT", "我们三个人"),
        ("FLOOD", "水还在往里流"),
        ("BURST", "客厅全湿了"),
        ("LOST", "要不要报警"),
        ("OUTAGE", "我妈还在里面"),
    ],
)
def test_other_words_get_none(kind: str, text: str) -> None:
    assert not danger_questions.line_for(kind, text, "", asked=False)


@pytest.mark.parametrize(
    "text",
    ["人都出来了", "我在门口等", "水还在流", "他动不了了", "师傅能快点吗", "你们能来吗", "没看见人", "要出人命了", "3栋2单元1502", "会修的"],
)  # fmt: skip
def test_no_question_about_what_to_do(text: str) -> None:
    assert not asks_in_danger(text)


# --- who comes


@pytest.mark.parametrize(
    "text",
    ["你们来人没", "还没来吗", "物业的人怎么还不来", "有没有人上去看", "你们派人拉个线没有", "莫得人管嗦", "怎么还没到", "师傅还没来啊",
     "能不能派人来看看", "能不能快点"],
)  # fmt: skip
def test_asks_who_comes(text: str) -> None:
    assert asks_who_comes(text)


@pytest.mark.parametrize(
    "text",
    [
        "水还没到插座",
        "孩子还没来得及跑",
        "他还没回来",
        "邻居没来过",
        "火还没到我家",
        "有人掉下去了",
        "烟还没进来",
        "没人受伤",
    ],
)
def test_no_question_who_comes(text: str) -> None:
    assert not asks_who_comes(text)


# --- it is over

OVER = [
    ("BURST", "师傅来了 阀门关掉了 不喷了"),
    ("BURST", "水关了"),
    ("BURST", "不漏了"),
    ("FLOOD", "水退了 没事了"),
    ("FLOOD", "保安上来了"),
    ("WATER_ELEC", "水退了 没事了"),
    ("FIRE", "已经扑灭了"),
    ("FIRE", "熄咗 用鍋蓋冚住"),
    ("FIRE", "火灭了 是楼下有人烧纸箱 没事了"),
    ("FIRE", "我冇事 唔使嚟啦"),
    ("TRAPPED", "门开了 娃没事"),
    ("TRAPPED", "弄开了 好好的"),
    ("CARE", "她接电话了"),
    ("CARE", "他接了 手机静音了"),
    ("CARE", "开门了 老太太去女儿家了 虚惊一场"),
    ("MED", "我爸回电话了 他睡着了"),
    ("MED", "已经上救护车了"),
    ("MED", "上车走了 谢谢啊"),
    ("MED", "在去医院路上了"),
    ("SELF", "警察把她劝下来了"),
    ("GAS", "没味了 燃气公司的人说没事"),
    ("GAS", "燃气公司来看过了 报警器坏的 没漏"),
    ("SEC", "走了 走错门了"),
    ("SEC", "警察来了 两口子吵架"),
    ("ELEC", "师傅来弄好了"),
    ("LOST", "妈妈回来了"),
]
NOT_OVER = [
    ("BURST", "没关掉"),
    ("BURST", "关不掉"),
    ("BURST", "阀门关了但是还在漏"),
    ("BURST", "阀门关了没用"),
    ("BURST", "水停了没"),
    ("FIRE", "还没灭"),
    ("FIRE", "灭不了"),
    ("FIRE", "火灭了又着了"),
    ("FIRE", "扑灭了吗"),
    ("FIRE", "要是灭了就好了"),
    ("GAS", "没味了"),
    ("GAS", "师傅说不安全"),
    ("GAS", "燃气公司还没来"),
    ("WATER_ELEC", "水关了"),
    ("TRAPPED", "门还没开"),
    ("CARE", "她没接电话"),
    ("CARE", "电话打不通"),
    ("MED", "120来了"),
    ("MED", "120接电话了"),
    ("MED", "没上救护车"),
    ("MED", "她昏过去了 接了电话就倒了"),
    ("SELF", "没劝下来"),
    ("SEC", "警察来了没"),
    ("SEC", "楼上两口子在吵架 打起来了"),
    ("FLOOD", "水上来了"),
    ("FLOOD", "等水退了再去"),
    ("ELEC", "还没弄好"),
    ("LIFT", "什么时候能出来啊 门打不开"),
]


@pytest.mark.parametrize(("danger", "text"), OVER)
def test_over(danger: str, text: str) -> None:
    assert is_over(text, danger)


@pytest.mark.parametrize(("danger", "text"), NOT_OVER)
def test_not_over(danger: str, text: str) -> None:
    assert not is_over(text, danger)


def test_after_it_is_over_nobody_is_told_that_somebody_is_fetched(desk: Desk) -> None:
    told(desk, "家里着火了 3栋2单元1502")
    [ticket] = dangers(desk)
    assert hear(desk, "已经扑灭了") == say("reply.emergency_over")
    assert ticket.status in OPEN
    assert any("verify_over" in pushes for pushes in desk.told().values())
    desk.seen()
    clocks.emergency_contact(desk.session, ticket, NOW + timedelta(minutes=10))
    assert "emergency_trying" not in desk.told().get("王芳", [])
    hear(desk, "又着起来了 火大了", 12)
    clocks.emergency_contact(desk.session, ticket, NOW + timedelta(minutes=20))
    assert "emergency_trying" in desk.told()["王芳"]


def test_who_is_with_the_doctors_is_wished_well(desk: Desk) -> None:
    told(desk, "老人昏倒了 3栋2单元1502")
    assert hear(desk, "已经上救护车了") == say("reply.emergency_over_ill")


def test_that_nobody_need_come_is_checked_by_telephone(desk: Desk) -> None:
    told(desk, "家里着火了 3栋2单元1502")
    assert hear(desk, "没事了 你们不用来了") == ""
    assert "cancel_needs_call" in desk.told()["王芳"]


# --- the talk


def test_an_unknown_question_gets_the_safe_word(desk: Desk) -> None:
    told(desk, "老人昏倒了 3栋2单元1502")
    assert hear(desk, "要不要给她盖被子").startswith(RAW["unsure"]["MED"])
    assert hear(desk, "要不要扶起来", 2) == next(row["say"] for row in RAW["rows"] if row["say"].startswith("先别扶"))


def test_question_and_phone_and_place_are_all_taken(desk: Desk) -> None:
    told(desk, "家里着火了")
    said = hear(desk, "3栋2单元1402 往下走还是待屋里")
    assert "有烟就留在屋里" in said and "1402" in said


def test_who_is_left_inside_is_no_reason_to_ask_who_is(desk: Desk) -> None:
    told(desk, "闻到很浓的煤气味 3栋2单元1502")
    said = hear(desk, "人没出来啊 我妈还在里面 走不动")
    assert "119" in said and "人都出来了吗" not in said


def test_smoke_from_elsewhere_sends_nobody_out_of_their_flat(desk: Desk) -> None:
    told(desk, "楼道里全是浓烟")
    assert "别回屋" not in hear(desk, "从下面上来的 我在16楼")


def test_the_flat_told_is_next_to_the_danger(desk: Desk) -> None:
    told(desk, "楼上在冒烟 我住2栋1单元1203")
    [ticket] = dangers(desk)
    assert ticket.place_key == "P1/2/1/1203" and ticket.place_text.endswith("1203室的楼上")


def test_the_flat_above_is_that_of_the_home_told_later(desk: Desk) -> None:
    told(desk, "我家楼上老太太 平时每天下楼的 三天没看见了 敲门没声")
    hear(desk, "就我楼上 我3栋1单元1004")
    assert dangers(desk)[0].place_text == "一期3栋1单元1004室的楼上"


@pytest.mark.parametrize("text", ["楼上扔烟头把我家阳台烧着火了 3栋2单元1402", "家里着火了 3栋2单元1402"])
def test_a_fire_in_ones_own_flat_is_there(desk: Desk, text: str) -> None:
    told(desk, text)
    assert dangers(desk)[0].place_text == "一期3栋2单元1402室"


WITNESS = ["楼上天台有个小姑娘坐在边上 好像要跳", "天台上有个人坐那边上 我怕他想不开"]
DESPAIR = [
    "看到别人都有人陪我就想哭 活着没意思",
    "我怕拖累别人 不想活了",
    "我不想活了",
    "我老公打我 我不想活了 我站在天台上",
    "活着没意思 我想跳下去",
]


@pytest.mark.parametrize("text", WITNESS)
def test_who_sees_somebody_about_to_jump_is_asked_where(desk: Desk, text: str) -> None:
    told(desk, text)
    assert not emergencies.is_formless(dangers(desk)[0])
    assert any("不突然靠近" in one.text for one in desk.pushes("王芳"))
    assert "不要突然靠近" in hear(desk, "我要不要上去劝")


@pytest.mark.parametrize("text", DESPAIR)
def test_who_wants_to_die_is_met_by_a_person(desk: Desk, text: str) -> None:
    assert not playbook("SELF").is_of_other(text)


def test_it_is_somebody_else(desk: Desk) -> None:
    told(desk, "我不想活了")
    assert "不突然靠近" in hear(desk, "不是我 是别人 5栋顶楼 保安快去")


@pytest.mark.parametrize("text", ["我不想拖累别人", "是别人逼我的", "都不是我的错", "是不是我死了就好了"])
def test_who_speaks_of_others_still_speaks_of_oneself(text: str) -> None:
    assert not speaks_of_other(text)


# --- one event


def test_the_rescuers_at_the_door_are_no_burglars(desk: Desk) -> None:
    told(desk, "困在电梯里了 3栋2单元")
    assert not screened(desk, "听到有人在撬门了")
    assert "离门远些" in hear(desk, "听到有人在撬门了")
    assert len(dangers(desk)) == 1


def test_to_pinch_somebody_ill_is_no_fight() -> None:
    assert detect("我要不要给他掐人中") is None
    found = detect("他掐我脖子")
    assert found is not None and found.kind == "SEC"


def test_the_garage_and_the_water_in_it_are_one_event(desk: Desk) -> None:
    told(desk, "地库进水了 车库都淹了")
    assert screened(desk, "水都到小腿了")
    assert len(dangers(desk)) == 1
    assert last_words(desk).startswith("马上往高处走")
    screened(desk, "我家水管爆了 水喷出来了", 2)
    assert len(dangers(desk)) == 2


def test_a_pan_behind_the_door_is_no_second_event_and_a_fire_is(desk: Desk) -> None:
    told(desk, "我把娃锁屋里了 3栋2单元1502")
    assert screened(desk, "钥匙在里面 锅还在烧着")
    assert len(dangers(desk)) == 1
    assert "锅在烧" in last_words(desk)
    screened(desk, "屋里着火了 冒黑烟", 2)
    assert len(dangers(desk)) == 2


def test_what_was_about_to_fall_has_fallen(desk: Desk) -> None:
    told(desk, "窗户外面那个空调外机好像要掉下来了 晃的 3栋2单元10楼")
    assert screened(desk, "掉下来了 没砸到人")
    assert len(dangers(desk)) == 1


# --- poison


@pytest.mark.parametrize("text", ["孩子喝了洁厕灵", "娃误食了老鼠药", "宝宝吞了一颗电池"])
def test_who_swallowed_poison_is_not_made_to_vomit(text: str) -> None:
    assert "不要催吐" in playbook("MED").advice(text)


@pytest.mark.parametrize("text", ["老人吃饭的时候晕倒了", "喝了酒摔倒了", "他抱着孩子摔倒了"])
def test_other_illness_is_no_poison(text: str) -> None:
    assert "催吐" not in playbook("MED").advice(text)
