"""What changes while a danger lasts: worse, something else, over, another place, and who cannot get in to help."""

from __future__ import annotations

from datetime import timedelta

import pytest
from deskhelp import NOW, Desk
from sqlalchemy import select

from nlu.answers import read_answer
from nlu.emergency import detect, playbook
from storage.models import OutboxMessage, Ticket
from tickets import danger_questions, emergencies
from tickets.answering import Turn, try_answer
from tickets.lifecycle import OPEN
from tickets.texts import say

WHO = "王芳"


def says(desk: Desk, text: str, minute: int = 0) -> list[str]:
    """What she is told to a message, by the words alone: as a danger, else as an answer while one lasts."""
    before, now, key = len(desk.pushes(WHO)), NOW + timedelta(minutes=minute), f"web:{text}:{minute}"
    found, actor = detect(text), desk.actor(WHO)
    if found is not None and emergencies.screen(desk.session, desk.chat(WHO), actor, found, text, key, now):
        return [one.text for one in desk.pushes(WHO)[before:]]
    outcome = try_answer(Turn(desk.session, desk.chat(WHO), actor, text, now, key))
    assert outcome is not None
    return [outcome.reply]


def dangers(desk: Desk) -> list[Ticket]:
    return [one for one in desk.session.scalars(select(Ticket).order_by(Ticket.id)) if emergencies.danger(one)]


def to_staff(desk: Desk) -> list[OutboxMessage]:
    return [one for one in desk.fresh() if one.staff_id]


# --- it gets worse


@pytest.mark.parametrize("text", ["烟味出来了", "里面有烟冒出来了", "煤气味出来了"])
def test_smoke_behind_a_locked_door_is_worse_and_not_over(desk: Desk, text: str) -> None:
    says(desk, "我把娃锁屋里了 3栋2单元1502")
    desk.seen()
    told = "\n".join(says(desk, text, 1))
    assert say("reply.emergency_over") not in told and "119" in told
    assert not any(emergencies.is_told_over(one) for one in dangers(desk))
    assert any(text in one.text for one in to_staff(desk))
    assert "verify_over" not in str(desk.told())


def test_smoke_in_a_stuck_lift_is_worse_whoever_is_at_the_door(desk: Desk) -> None:
    says(desk, "困在电梯里了 3栋2单元")
    told = "\n".join(says(desk, "外面有人在撬门 有烟冒出来了", 1))
    assert "119" in told and [emergencies.danger(one) for one in dangers(desk)] == ["LIFT", "FIRE"]


@pytest.mark.parametrize("text", ["娃出来了", "人出来了", "门开了 娃没事"])
def test_who_is_out_is_out(desk: Desk, text: str) -> None:
    says(desk, "我把娃锁屋里了 3栋2单元1502")
    assert says(desk, text, 1) == [say("reply.emergency_over")]


@pytest.mark.parametrize("text", ["有人抽烟 烟味出来了", "油烟味道出来了一点", "热水出来了"])
def test_what_comes_out_and_is_no_fire(text: str) -> None:
    found = detect(text)
    assert found is None or found.verdict != "alarm"


# --- it is something else


def test_what_ran_as_a_fire_becomes_gas(desk: Desk) -> None:
    says(desk, "楼道里着火了 冒烟")
    desk.seen()
    told = "\n".join(says(desk, "没冒烟，就是一股煤气的味儿，4栋1单元7楼", 1))
    [ticket] = dangers(desk)
    assert emergencies.danger(ticket) == "GAS" and ticket.code == "G01"
    assert playbook("GAS").lines[0].text in told
    assert any("P1/4/1" in one for one in [ticket.place_key])
    assert "alarm" in str(desk.told()) and any("煤气" in one.text for one in to_staff(desk))
    [answer] = says(desk, "我还要不要打119啊？没烧啊", 2)
    assert "燃气抢修" in answer and "要，马上打119" not in answer


def test_gas_beside_a_fire_that_burns_is_no_change(desk: Desk) -> None:
    says(desk, "厨房着火了 3栋2单元1502")
    says(desk, "还有一股煤气味 火很大", 1)
    assert emergencies.danger(dangers(desk)[0]) == "FIRE"


def test_a_smell_and_a_stove_left_on_is_asked_about_as_gas() -> None:
    found = detect("楼道里这味儿不对劲啊，有点像谁家灶忘关了")
    assert found is not None and (found.kind, found.question) == ("GAS", "GAS.smell")
    burnt = detect("一股焦糊味 好像灶忘关了")
    assert burnt is not None and burnt.kind != "GAS"


# --- where it is


def test_where_they_wait_is_not_where_the_gas_is(desk: Desk) -> None:
    chat = desk.chat(WHO)
    assert chat is not None
    says(desk, "家里煤气味好大")
    told = "\n".join(says(desk, "我在楼下花园了 妈妈还在里面 我叫不动她", 1))
    [ticket] = dangers(desk)
    assert not ticket.place_key.startswith("PUB:") and "119" in told
    says(desk, "我家是6号楼，二单元，五楼左边那家", 2)
    assert "P1/6/2/5" in dangers(desk)[0].place_key


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("我在楼下花园", True),
        ("我们都跑到小区门口了", True),
        ("人都下来了 在楼外", True),
        ("楼下花园有一股煤气味", False),
        ("我在花园这里闻到的", False),
        ("我妈在家里", False),
    ],
)
def test_who_waits_outside(text: str, waits: bool) -> None:
    assert danger_questions.tells("stands_there", "GAS", text) is waits


def test_a_home_told_is_the_place_and_no_guess(desk: Desk) -> None:
    says(desk, "水管爆了 水喷得到处都是")
    says(desk, "我家3栋2单元1502", 1)
    assert emergencies.is_told(dangers(desk)[0])
    says(desk, "楼下902好像也说滴水了", 2)
    [ticket] = dangers(desk)
    assert ticket.place_key == "P1/3/2/1502"
    assert any("902" in event.note for event in desk.history(ticket, "comment"))


def test_a_corridor_of_nobody_knows_which_house_is_a_guess(desk: Desk) -> None:
    says(desk, "楼道里好大的煤气味")
    assert not emergencies.is_told(dangers(desk)[0])
    says(desk, "一股煤气味儿，4栋1单元7楼", 1)
    [ticket] = dangers(desk)
    assert "P1/4/1" in ticket.place_key


@pytest.mark.parametrize("text", ["不对 是楼下1402", "说错了 我住3栋2单元1402"])
def test_a_correction_still_moves_it(desk: Desk, text: str) -> None:
    says(desk, "水管爆了 水喷得到处都是")
    says(desk, text, 1)
    assert dangers(desk)[0].place_key == "P1/3/2/1402"


# --- it is over


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("LOST", "莫找了莫找了，在7栋下头跟人下棋的"),
        ("LOST", "不用找了 在楼下打牌呢"),
        ("FIRE", "哦邻居说是保安在试喇叭"),
        ("FIRE", "物业在测试报警器"),
        ("FIRE", "是消防演习"),
        ("OUTAGE", "来电了来电了"),
        ("OUTAGE", "电来了"),
    ],
)
def test_over(kind: str, text: str) -> None:
    assert danger_questions.tells("over", kind, text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("LOST", "要不要再去找"),
        ("LOST", "刚才在楼下玩的"),
        ("LOST", "平时在花园跟人下棋的"),
        ("LOST", "她在花园玩呢 回头就不见了"),
        ("FIRE", "是不是演习啊"),
        ("FIRE", "可能是保安在试喇叭"),
        ("FIRE", "喇叭在喊着火了"),
        ("FIRE", "不是演习"),
        ("OUTAGE", "什么时候来电"),
        ("OUTAGE", "隔壁来电了 我家没有"),
        ("OUTAGE", "来电了吗"),
        ("OUTAGE", "来电了又停了"),
        ("OUTAGE", "没来电"),
        ("GAS", "来电了"),
    ],
)
def test_not_over(kind: str, text: str) -> None:
    assert not danger_questions.tells("over", kind, text)


def test_the_lost_one_plays_chess(desk: Desk) -> None:
    says(desk, "我爸走丢了 老年痴呆 到处找不到")
    desk.seen()
    [ticket] = dangers(desk)
    assert says(desk, "莫找了莫找了，在7栋下头跟人下棋的", 1) == [say("reply.emergency_ended")]
    assert emergencies.is_told_over(ticket) and ticket.status in OPEN
    assert any("verify_over" in pushes for pushes in desk.told().values())


def test_a_loudspeaker_that_is_tried_is_a_no_to_whether_it_burns() -> None:
    answer = read_answer("safety", "哦邻居说是保安在试喇叭", NOW)
    assert answer is not None and answer.verdict == "no"
    smoke = read_answer("safety", "说是在试喇叭 但是有烟", NOW)
    assert smoke is not None and smoke.verdict != "no"


def test_whether_to_switch_on_is_a_question(desk: Desk) -> None:
    says(desk, "插座冒火花 3栋2单元1502")
    [answer] = says(desk, "跳了 不响了 可以合闸了吧", 1)
    assert "先别合闸" in answer and not emergencies.is_told_over(dangers(desk)[0])


# --- a machine somebody breathes by


@pytest.mark.parametrize("text", ["我姥爷那个机器还剩一格电", "呼吸用的那个机器", "家里有人用呼吸机 停电了"])
def test_a_life_on_a_machine_is_a_danger_of_its_own(desk: Desk, text: str) -> None:
    says(desk, "整栋楼都停电了 3栋2单元")
    told = "\n".join(says(desk, text, 1))
    last = dangers(desk)[-1]
    assert (last.level, last.code) == ("U0", "E02") and "马上打120" in told


@pytest.mark.parametrize("text", ["没人用呼吸机", "没有制氧机", "电梯没人 家里没有呼吸机"])
def test_no_machine_is_no_danger(desk: Desk, text: str) -> None:
    says(desk, "整栋楼都停电了 3栋2单元")
    says(desk, text, 1)
    assert [one.level for one in dangers(desk)] == ["U1"]


@pytest.mark.parametrize("text", ["想买个呼吸机 哪里有", "洗衣机那个机器没电了", "我妈的手机没电了"])
def test_other_machines(text: str) -> None:
    found = detect(text)
    assert found is None or found.kind != "OUTAGE"


# --- who comes to help, and other questions


@pytest.mark.parametrize("text", ["120来了，找不着门，从哪个门进", "救护车就在小区门口被杆子拦着呢", "救护车进不来"])
def test_the_guards_are_told_to_lift_the_bar(desk: Desk, text: str) -> None:
    says(desk, "老人昏倒了 3栋2单元1502")
    desk.seen()
    [answer] = says(desk, text, 1)
    assert "抬杆" in answer
    assert any("抬杆" in one.text for one in to_staff(desk))


@pytest.mark.parametrize(
    ("kind", "reported", "text", "part"),
    [
        ("MED", "老太太半边身子动不了", "要不要给她喝点水吃颗降压药", "先别喂水"),
        ("MED", "孩子误食了老鼠药", "能不能给他喝水", "不要催吐"),
        ("SEC", "我一个人在家 有人敲门", "我可以给他开门吗", "不要开门"),
        ("TRAPPED", "我一个人在家 门口有不认识的人", "我可以给他开门吗", "不要开门"),
        ("SEC", "我一个人在家 有人敲门", "我7岁 我不会打电话", "不要开门"),
        ("FIRE", "家里着火了", "我7岁 我不会打电话", "大声喊"),
        ("LOST", "孩子不见了", "能不能调监控", "110"),
        ("BURST", "地库水管爆了", "能不能调监控", "监控请值班人员查"),
        ("TRAPPED", "娃锁屋里了", "锅在火上呢", "锅在烧"),
        ("BURST", "楼道水管爆了", "会得触电伐", "可能带电"),
        ("FLOOD", "地库进水了", "那我车咋办", "车先别管"),
        ("TRAPPED", "我妈反锁在屋里", "密码锁，要不要我把密码发给你", "密码请别发在这里"),
        ("BURST", "家里水管爆了", "我人不在家，能不能上去帮我看看", "谁有钥匙"),
        ("FIRE", "楼上在冒烟", "能不能上去叫他们", "别上楼去叫"),
        ("GAS", "闻到煤气味", "要打119吗", "燃气抢修"),
    ],
)
def test_a_question_has_its_line(kind: str, reported: str, text: str, part: str) -> None:
    assert part in danger_questions.line_for(kind, text, reported, asked=True)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("MED", "她70岁了"),
        ("MED", "孩子7岁的"),
        ("MED", "我妈5岁的孙子摔了"),
        ("TRAPPED", "他不会打电话"),
        ("BURST", "是密码锁"),
        ("FLOOD", "车在下面"),
        ("ELEC", "已经合闸的那个跳了"),
    ],
)
def test_what_is_only_told_has_none(kind: str, text: str) -> None:
    assert not danger_questions.line_for(kind, text, "", asked=False)


def test_a_child_alone_is_told_not_to_open() -> None:
    advice = playbook("SEC").advice("我一个人在家 有个陌生人敲门 爸妈不在")
    assert advice.startswith("①不要开门")
    assert "不要开门，谁说" not in playbook("SEC").advice("楼下有人打架")


def test_public_water_is_no_matter_of_the_own_valve() -> None:
    assert "家里总水阀" not in playbook("BURST").advice("地库消防栓漏水 地上都是水")
    assert "家里总水阀" in playbook("BURST").advice("我家水管爆了 水流到楼道了")


# --- ordinary talk


@pytest.mark.parametrize(
    "text",
    [
        "请教一下 卧室门锁打不开 人在外头 里头没人",
        "昨晚看了个电影，讲电梯掉下来全死了，咱们小区电梯多久检一次啊",
        "昨天半夜那股煤气味后来没了，是不是你们修了啊",
        "我家猫掉阳台外面那个平台上去了",
        "地库道那边2号电梯厅 一片都黑了",
        "暖气片嘶嘶响，是不是要放气啊",
    ],
)
def test_ordinary_talk_is_no_danger(text: str) -> None:
    assert detect(text) is None


@pytest.mark.parametrize(
    "text",
    ["卧室门锁打不开 孩子在里头 我在外头", "门反锁了 屋里没人应 老人在里面", "我爬出去救猫 掉到平台上下不来了 救我",
     "昨天半夜那股煤气味又有了", "整栋楼一片都黑了 停电了"],
)  # fmt: skip
def test_and_danger_is_one(text: str) -> None:
    assert detect(text) is not None


def test_dirty_water_is_a_blocked_drain() -> None:
    found = detect("脏水漫出来了")
    assert found is not None and found.code == "W05"
    assert playbook("BURST").advice("马桶脏水漫出来了").startswith("①先别冲水")
    assert "总水阀" in playbook("BURST").advice("马桶角阀爆了 水冒出来了")
