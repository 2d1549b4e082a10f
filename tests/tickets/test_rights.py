"""A resident's rights by chat (domain.md §9.5): a file of one's own, who saw it, another telephone, being forgotten."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path

import pytest
from deskhelp import NOW, Desk, at
from openpyxl import load_workbook
from sqlalchemy import select

from bot import commands
from bot.speech import Context
from storage.models import AccessLog, Attachment, Export, Identity, InboxMessage, Resident, WebMessage
from tickets import audit, forgetting, rights, verbs
from tickets.answering import Outcome, Turn
from tickets.errors import DeskError
from tickets.people import Actor
from tickets.words import right_claimed

ADDRESS = "https://desk.example"
PHONE = "13911112222"


class Speaker:
    """王芳, verified owner of 1502, in her private chat."""

    def __init__(self, desk: Desk, name: str = "王芳") -> None:
        self.desk, self.chat, self.actor, self.count = desk, desk.chat(name), desk.actor(name), 0

    def say(self, text: str, *, now: object = NOW) -> Outcome | None:
        self.count += 1
        turn = Turn(self.desk.session, self.chat, self.actor, text, now, f"web:{self.count}")  # type: ignore[arg-type]
        outcome = rights.claimed(turn, ADDRESS)
        self.desk.session.flush()
        return outcome

    def hear(self, text: str) -> str:
        outcome = self.say(text)
        assert outcome is not None, text
        return outcome.reply


@pytest.fixture
def owner(desk: Desk) -> Speaker:
    return Speaker(desk)


def command(desk: Desk, who: str, words: str) -> str:
    """A colleague's sentence; a refusal comes back as its text."""
    staff = desk.actor(who).staff
    assert staff is not None
    found = commands.parse(words, staff.role)
    assert found is not None, words
    context = Context(desk.session, desk.chat(who), Actor(staff=staff), staff, NOW, "web:staff")
    try:
        return commands.run(context, found).text
    except DeskError as error:
        return commands.refusal(error)


# --- what is understood -----------------------------------------------------------------------------------------------

CLAIMS = {
    "file": ["导出我的记录", "把我的资料导出来发给我", "我要一份自己的记录", "下载我的个人信息", "查一下我的信息"],
    "erase": ["删掉我所有信息", "删除我的信息", "把我的资料都删了", "注销账号", "删除我在你们这的所有资料"],
    "seen": ["谁看过我的信息", "谁查过我的电话", "我的资料都被谁看过"],
    "phone": ["改电话", "我要改一下登记的手机号", "帮我改手机号", "登记的电话要换", "我换号了"],
    "": [
        "谁能看到我的手机号",
        "漏水了",
        "电话打不通",
        "电话换成13900001111",
        "查一下我的报修",
        "我的信息会不会卖给别人",
    ],
}


@pytest.mark.parametrize(("right", "text"), [(right, text) for right, texts in CLAIMS.items() for text in texts])
def test_a_claim_is_read(right: str, text: str) -> None:
    assert right_claimed(text) == right


# --- who may ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["导出我的记录", "删掉我所有信息", "谁看过我的信息", "改电话"])
def test_a_stranger_is_told_how_to_prove_who_they_are(desk: Desk, owner: Speaker, text: str) -> None:
    desk.report()
    owner.actor = desk.stranger()
    assert "绑定" in owner.hear(text)
    assert desk.session.scalars(select(Export)).all() == []
    logged = desk.session.scalars(select(AccessLog)).all()
    assert [row.allowed for row in logged] == [False]


def test_nothing_personal_is_said_in_a_group(desk: Desk, owner: Speaker) -> None:
    owner.chat.group = True
    assert "私聊" in owner.hear("导出我的记录")


# --- a file -------------------------------------------------------------------------------------------------------------


def test_the_file_holds_profile_tickets_and_agreements_of_nobody_else(desk: Desk, owner: Speaker) -> None:
    mine = desk.closed()
    other = desk.report(by="孙丽", place_key="P1/3/2/1503", place_text="一期3栋2单元1503室", symptom="别人家的事")
    assert "要导出吗" in owner.hear("导出我的记录")
    said = owner.hear("确认导出")
    assert "明天（6月13日）09:00前有效" in said
    token = said.split(f"{ADDRESS}/api/exports/")[1].split("\n")[0]
    row = audit.fetch_export(desk.session, token, NOW)
    assert row is not None and row.resident_id == owner.actor.resident.id  # type: ignore[union-attr]
    book = load_workbook(io.BytesIO(row.content))
    assert book.sheetnames == ["我的资料", "我的登记", "我的答复"]
    cells = {sheet.title: [cell for line in sheet.iter_rows(values_only=True) for cell in line] for sheet in book}
    assert "13800005678" in cells["我的资料"] and "王芳" in cells["我的资料"]
    assert mine.ticket_no in cells["我的登记"] and mine.ticket_no in cells["我的答复"]
    everything = str(cells)
    assert other.ticket_no not in everything and "别人家" not in everything and "13300001503" not in everything


def test_the_link_ends_and_a_no_makes_none(desk: Desk, owner: Speaker) -> None:
    owner.hear("导出我的记录")
    assert owner.hear("不用了") == "好的，不导出。"
    assert desk.session.scalars(select(Export)).all() == []
    owner.hear("导出我的记录")
    token = owner.hear("确认导出").split("/api/exports/")[1].split("\n")[0]
    assert audit.fetch_export(desk.session, token, NOW + timedelta(hours=25)) is None


def test_other_words_leave_the_question_open(owner: Speaker) -> None:
    owner.hear("导出我的记录")
    assert owner.say("厨房漏水了") is None


# --- who saw it -----------------------------------------------------------------------------------------------------------


def test_who_took_jobs_who_looked_and_how_many_lists(desk: Desk, owner: Speaker) -> None:
    ticket = desk.accepted()
    assert ticket.handler is not None
    command(desk, "周主管", f"状态 {ticket.ticket_no}")
    manager = desk.actor("马经理").staff
    assert manager is not None
    audit.keep_export(desk.session, manager, "本月.xlsx", b"x", NOW)
    said = owner.hear("谁看过我的信息")
    assert f"{ticket.handler.name}：上门处理1次" in said
    assert "周主管：查看登记单1次" in said
    assert "导出登记表格1次" in said
    assert "0571-5555-0108" in said and "12345" in said


# --- another telephone -----------------------------------------------------------------------------------------------------


def test_a_new_number_counts_after_the_desk_has_called_the_old_one(desk: Desk, owner: Speaker) -> None:
    ticket = desk.report()
    desk.seen()
    assert "号码是多少" in owner.hear("改电话")
    said = owner.hear(PHONE)
    assert "尾号2222" in said and PHONE not in said and "18:00前" in said
    [asked] = [row for row in desk.fresh() if row.staff_id]
    assert asked.staff_id == desk.actor("客服小周").staff.id  # type: ignore[union-attr]
    assert PHONE not in asked.text and "138****5678" in asked.text
    assert owner.actor.resident.phone == "13800005678"  # type: ignore[union-attr]
    number = asked.buttons[0][0].partition(":")[2]
    found = commands.from_button(f"right_yes:{number}")
    assert found is not None
    context = Context(
        desk.session, desk.chat("客服小周"), desk.actor("客服小周"), desk.actor("客服小周").staff, NOW, "k"
    )  # type: ignore[arg-type]
    commands.run(context, found)
    assert owner.actor.resident.phone == PHONE  # type: ignore[union-attr]
    assert ticket.contact_phone == PHONE
    assert "登记的电话改为尾号2222" in desk.fresh("王芳")[-1].text


def test_a_refusal_has_a_reason_and_a_way_to_complain(desk: Desk, owner: Speaker) -> None:
    assert "尾号2222" in owner.hear(f"改电话 {PHONE}")
    number = desk.pushes("王芳", "客服小周")[-1].ticket_id
    ticket = verbs.load(desk.session, number or 0)
    assert "原因" in command(desk, "客服小周", f"不同意改电话 {ticket.ticket_no}")
    command(desk, "客服小周", f"不同意改电话 {ticket.ticket_no} 原号码的人说没有申请")
    text = desk.pushes("王芳")[-1].text
    assert "原号码的人说没有申请" in text and "12345" in text
    assert owner.actor.resident.phone == "13800005678"  # type: ignore[union-attr]


# --- being forgotten ---------------------------------------------------------------------------------------------------------


def asked_to_forget(desk: Desk, owner: Speaker) -> str:
    """The number of the request, after a plain yes."""
    owner.hear("删掉我所有信息")
    said = owner.hear("确认删除")
    return said.split("已登记")[1][:15]


def test_the_plan_says_what_goes_what_stays_and_why_with_a_date(desk: Desk, owner: Speaker) -> None:
    ticket = desk.report()
    plan = owner.hear("删掉我所有信息")
    for words in ("聊天文字、照片", ticket.ticket_no, "保存3年", "6月17日18:00前", "项目经理"):
        assert words in plan.replace(" ", "")
    assert owner.actor.resident.name == "王芳"  # type: ignore[union-attr]
    assert owner.hear("先不删") == "好的，不删除。"


def test_only_the_manager_decides(desk: Desk, owner: Speaker) -> None:
    number = asked_to_forget(desk, owner)
    assert not owner.actor.resident.notices  # type: ignore[union-attr]
    for name in ("客服小周", "周主管"):
        command(desk, name, f"同意删除 {number}")
        assert owner.actor.resident.forget_at is None  # type: ignore[union-attr]
    command(desk, "马经理", f"同意删除 {number}")
    assert owner.actor.resident.forget_at == NOW  # type: ignore[union-attr]
    assert "已同意" in desk.pushes("王芳")[-1].text


def test_everything_goes_when_nothing_is_open(desk: Desk, owner: Speaker, tmp_path: Path) -> None:
    done = desk.closed()
    paid, leak = desk.closed("W04"), desk.closed("W03")
    paid.detail = {**paid.detail, "quote": {"fen": 8000}}
    row = InboxMessage(channel="web", message_id="old", conversation_id=owner.chat.id, text="我家的事", received_at=NOW)
    row.done_at = NOW
    desk.session.add(row)
    desk.session.add(WebMessage(conversation_id=owner.chat.id, mine=True, key="old", text="我家的事", at=NOW))
    pictures = ((done, "a", "before"), (paid, "b", "before"), (leak, "c", "before"), (done, "d", "slip_buy"))
    for ticket, name, purpose in pictures:
        picture = Attachment(key=f"{name * 64}.jpg", mime="image/jpeg", size=1, purpose=purpose, created_at=NOW)
        picture.ticket_id, picture.conversation_id = ticket.id, owner.chat.id
        desk.session.add(picture)
    number = asked_to_forget(desk, owner)
    command(desk, "马经理", f"同意删除 {number}")
    request = next(one for one in desk.pushes("王芳") if "已同意" in one.text)
    verbs.confirm(desk.session, verbs.load(desk.session, request.ticket_id or 0), owner.actor, NOW)
    assert forgetting.carry_out(desk.session, tmp_path, at("10:00")) == 1
    resident = owner.actor.resident
    assert resident is not None
    assert (resident.name, resident.salutation, resident.phone, resident.forget_at) == ("", "", "", None)
    assert all(home.ended_at for home in resident.homes)
    desk.session.expire_all()
    assert (done.contact_phone, paid.contact_phone) == ("", "13800005678")
    assert desk.session.get_one(InboxMessage, row.id).text == ""
    assert desk.session.scalars(select(WebMessage).where(WebMessage.key == "old")).all() == []
    left = {one.key[0] for one in desk.session.scalars(select(Attachment)) if one.created_at == NOW}
    assert left == {"b", "c", "d"}, "paid work, a leak that may be disputed, a voucher"
    assert forgetting.carry_out(desk.session, tmp_path, at("11:00")) == 0


def test_an_open_matter_keeps_the_telephone_until_it_is_over(desk: Desk, owner: Speaker, tmp_path: Path) -> None:
    ticket = desk.done()
    number = asked_to_forget(desk, owner)
    command(desk, "马经理", f"同意删除 {number}")
    for row in desk.pushes("王芳"):
        if "已同意" in row.text:
            assert ticket.ticket_no in row.text
            verbs.confirm(desk.session, verbs.load(desk.session, row.ticket_id or 0), owner.actor, NOW)
    assert forgetting.carry_out(desk.session, tmp_path, at("10:00")) == 0
    assert owner.actor.resident.phone == "13800005678"  # type: ignore[union-attr]
    verbs.confirm(desk.session, ticket, owner.actor, at("10:30"))
    assert forgetting.carry_out(desk.session, tmp_path, at("11:00")) == 1
    assert owner.actor.resident.phone == ""  # type: ignore[union-attr]


def test_the_account_remains_as_somebody_unknown(desk: Desk, owner: Speaker, tmp_path: Path) -> None:
    number = asked_to_forget(desk, owner)
    command(desk, "马经理", f"同意删除 {number}")
    request = next(one for one in desk.pushes("王芳") if "已同意" in one.text)
    verbs.confirm(desk.session, verbs.load(desk.session, request.ticket_id or 0), owner.actor, NOW)
    forgetting.carry_out(desk.session, tmp_path, at("10:00"))
    identity = desk.session.scalars(select(Identity).where(Identity.id == owner.chat.identity_id)).one()
    assert isinstance(identity.resident, Resident)
    assert "绑定" in owner.hear("导出我的记录")
