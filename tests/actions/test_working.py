"""A worker's free words in the middle of a job are about that job, and do nothing by themselves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from actionhelp import hear
from deskhelp import NOW, Desk
from sqlalchemy import func, select

from actions.changes import Inform
from actions.complaint import OpenComplaint, ValidateComplaintForm
from actions.context import DeskAction
from actions.inquiry import AnswerQuestion
from actions.repair import OpenRepair, ValidateRepairForm
from actions.service import OptOut, Praise, Suggest, Unsure
from bot import commands
from storage.models import Draft, Ticket, TicketEvent
from tickets import finding, notify, working
from tickets.texts import say


def drafts_and_tickets(desk: Desk) -> tuple[int, int]:
    counts = [desk.session.scalar(select(func.count()).select_from(table)) or 0 for table in (Draft, Ticket)]
    return counts[0], counts[1]


@pytest.mark.parametrize("words", ["里面烧了 重新压了个线头", "下水口全是油 掏出来一大坨", "业主家狗有点凶"])
def test_what_reads_like_a_fault_is_about_the_job(desk: Desk, words: str) -> None:
    ticket = desk.accepted()
    desk.chat("王师傅")
    told = hear(desk, words, "report_repair", ValidateRepairForm(), OpenRepair(), by="王师傅", category="E03",
                faults={words: "E03"})  # fmt: skip
    assert len(told) == 1 and ticket.ticket_no in told[0]
    assert drafts_and_tickets(desk)[1] == 1


def test_a_place_makes_it_a_report(desk: Desk) -> None:
    desk.accepted()
    assert working.asked_back(desk.session, desk.staff("王师傅"), "3栋大堂的灯不亮", NOW) is None
    told = hear(desk, "3栋大堂的灯不亮", "report_repair", ValidateRepairForm(), OpenRepair(), by="王师傅", category="E07",
                faults={"3栋大堂的灯不亮": "E07"})  # fmt: skip
    assert drafts_and_tickets(desk)[1] == 2, told


def test_without_a_job_nothing_is_asked_back(desk: Desk) -> None:
    assert hear(desk, "里面烧了", "nlu_fallback", Unsure(), by="王师傅") == [say("staff.unknown")]


def test_the_likeliest_act_is_the_first_button_and_a_command(desk: Desk) -> None:
    ticket = desk.accepted()
    for words, name in (
        ("通了 疏通机弄的", "finish"),
        ("没货 得去建材店看看", "hold"),
        ("在楼下找车位 到了喊你", "arrive"),
    ):
        _, buttons = working.about(ticket, words, NOW)
        command = commands.parse(buttons[0][0].removeprefix("say:"), "worker")
        assert command is not None and (command.name, command.values["no"]) == (name, ticket.ticket_no)


def test_words_too_long_for_a_button_stay_out_of_it(desk: Desk) -> None:
    _, buttons = working.about(desk.accepted(), "换了阀芯" * 20, NOW)
    assert all(len(code.encode()) <= working.BUTTON_BYTES for code, _ in buttons)


def test_several_jobs_are_asked_about(desk: Desk) -> None:
    first, second = desk.accepted("W03"), desk.accepted("W04")
    text, buttons = working.which([first, second], "弄好没水了", NOW)
    wanted = [f"say:{one.ticket_no}" for one in (first, second)]
    assert first.tail in text and [code.split()[0] for code, _ in buttons] == wanted


def test_a_report_begun_without_a_place_was_about_the_job(desk: Desk) -> None:
    ticket = desk.accepted()
    chat = desk.chat("王师傅")
    desk.session.add(Draft(conversation_id=chat.id, kind="BX", data={"faults": [{"code": "W06", "words": "泵抽干了"}]},
                           updated_at=NOW))  # fmt: skip
    desk.session.flush()
    told = hear(desk, "通了 疏通机弄的", "report_repair", ValidateRepairForm(), OpenRepair(), by="王师傅", category="W04",
                faults={"通了 疏通机弄的": "W04"})  # fmt: skip
    assert len(told) == 1 and ticket.ticket_no in told[0]
    assert drafts_and_tickets(desk)[1] == 1


def test_a_complaint_about_the_resident_is_about_the_job(desk: Desk) -> None:
    ticket = desk.accepted()
    form = (ValidateComplaintForm(), OpenComplaint())
    told = hear(desk, "这家业主素质太差了 骂人", "file_complaint", *form, by="王师傅", category="T01")
    assert len(told) == 1 and ticket.ticket_no in told[0]
    assert drafts_and_tickets(desk) == (0, 1)


def test_a_report_begun_with_a_place_goes_on(desk: Desk) -> None:
    desk.accepted()
    hear(desk, "3栋大堂的灯不亮", "report_repair", ValidateRepairForm(), by="王师傅", category="E07",
         faults={"3栋大堂的灯不亮": "E07"})  # fmt: skip
    told = hear(desk, "就门口那个", "inform", ValidateRepairForm(), by="王师傅")
    assert told == [] and drafts_and_tickets(desk)[0] == 1


def test_a_report_begun_long_ago_takes_no_more_words(desk: Desk) -> None:
    job = desk.accepted()
    hear(desk, "3栋大堂的灯不亮", "report_repair", ValidateRepairForm(), by="王师傅", category="E07",
         faults={"3栋大堂的灯不亮": "E07"})  # fmt: skip
    draft = desk.session.scalar(select(Draft))
    assert draft is not None
    draft.updated_at = NOW - timedelta(hours=2)
    told = hear(desk, "里面锈死了", "report_repair", ValidateRepairForm(), by="王师傅", faults={"里面锈死了": "W02"})
    assert job.ticket_no in told[0]


@pytest.mark.parametrize("by", ["王师傅", "马经理"])
def test_more_about_what_a_colleague_just_reported_is_added_to_it(desk: Desk, by: str) -> None:
    desk.accepted()
    hear(desk, "3栋大堂的灯不亮", "report_repair", ValidateRepairForm(), OpenRepair(), by=by, category="E07",
         faults={"3栋大堂的灯不亮": "E07"})  # fmt: skip
    (report,) = finding.reported_by(desk.session, desk.staff(by))
    (answer,) = hear(desk, "就是信箱顶上那个", "inform", Inform(), by=by)
    assert answer == say(notify.detail_thanks(report))
    notes = desk.session.scalars(select(TicketEvent.note).where(TicketEvent.ticket_id == report.id))
    assert "就是信箱顶上那个" in notes.all()


@pytest.mark.parametrize(
    ("intent", "actions"),
    [
        ("praise", (Praise(),)),
        ("suggest", (Suggest(),)),
        ("opt_out", (OptOut(),)),
        ("file_complaint", (ValidateComplaintForm(), OpenComplaint())),
    ],
)
def test_a_colleague_without_a_job_praises_complains_and_opts_out_of_nothing(
    desk: Desk, intent: str, actions: tuple[DeskAction, ...]
) -> None:
    before = drafts_and_tickets(desk)
    assert hear(desk, "王师傅手脚快，活都归他", intent, *actions, by="李工") == [say("staff.unknown")]
    assert drafts_and_tickets(desk) == before


def test_a_question_of_a_worker_is_asked_back_once(desk: Desk) -> None:
    """「墙里的管子漏 要砸墙 业主不同意」 taken for a question that also names a fault: its form asks, the answer does not."""
    ticket = desk.accepted()
    worker = ticket.handler.name  # type: ignore[union-attr]
    words = "墙里的管子漏 要砸墙 业主不同意"
    assert hear(desk, words, "ask_question", AnswerQuestion(), by=worker, faults={words: "W06"}) == []
    (asked,) = hear(desk, "那块砖要撬不", "ask_question", AnswerQuestion(), by=worker)
    assert ticket.ticket_no in asked
