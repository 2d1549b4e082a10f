"""A ticket's archive: the four papers of domain.md S39, what a resident adds reaches the worker, one PDF of everything."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from pathlib import Path

import pypdfium2
import pytest
from deskhelp import Desk, at
from PIL import Image
from sqlalchemy import select
from staffhelp import ask

from bot import commands
from storage.files import save_photo
from storage.models import AccessLog, Attachment, Export, OutboxMessage
from tickets import archive_paper, audit, verbs
from tickets.errors import NotAllowed, NotFound, PhotoNeeded
from tickets.texts import say

# Takes the plumber's jobs of the morning.
WORKER = "王师傅"
PAPERS = ("报修单", "派工单", "验收单", "采购凭证")


def sent(desk: Desk, name: str, key: str, now: datetime, *, mime: str = "image/jpeg") -> None:
    """A picture or voice note lies in somebody's chat and is taken in, as the gateway does it."""
    chat = desk.chat(name)
    purpose = "" if mime.startswith("image/") else "voice"
    desk.session.add(Attachment(key=key, mime=mime, size=1, purpose=purpose, conversation_id=chat.id, created_at=now))
    desk.session.flush()
    verbs.take_in(desk.session, desk.actor(name), [key], chat.id, now)
    desk.session.flush()


def purposes(desk: Desk) -> dict[str, tuple[str, int | None]]:
    rows = desk.session.execute(select(Attachment.key, Attachment.purpose, Attachment.ticket_id))
    return {key: (purpose, ticket) for key, purpose, ticket in rows}


# --- what a resident adds -------------------------------------------------------------------------------------------


def test_the_worker_sees_what_the_resident_photographed(desk: Desk) -> None:
    ticket = desk.report()
    desk.seen()
    sent(desk, "王芳", "drip.jpg", at("09:10"))
    shown = [row for row in desk.fresh() if row.image_key]
    assert [(row.staff_id, row.image_key) for row in shown] == [(ticket.handler_id, "drip.jpg")]
    assert ticket.ticket_no in shown[0].text


def test_a_picture_sent_before_the_words_is_on_the_dispatch_card(desk: Desk) -> None:
    chat = desk.chat("王芳")
    desk.session.add(
        Attachment(key="first.jpg", mime="image/jpeg", size=1, conversation_id=chat.id, created_at=at("08:55"))
    )
    ticket = desk.report(conversation=chat, now=at("09:00"))
    cards = [row for row in desk.pushes(ticket=ticket) if ":push.card:" in row.dedupe_key]
    assert [row.image_key for row in cards] == ["first.jpg"]


def test_a_voice_is_heard_only_by_who_has_taken_the_job(desk: Desk) -> None:
    ticket = desk.report()
    desk.seen()
    sent(desk, "王芳", "one.ogg", at("09:05"), mime="audio/ogg")
    assert not [row for row in desk.fresh() if row.image_key]
    verbs.accept(desk.session, ticket, desk.handler(ticket), at("09:06"))
    assert [row.image_key for row in desk.fresh() if row.image_key] == ["one.ogg"]
    sent(desk, "王芳", "two.ogg", at("09:07"), mime="audio/ogg")
    assert [row.image_key for row in desk.fresh() if row.image_key] == ["one.ogg", "two.ogg"]
    assert purposes(desk) == {"one.ogg": ("voice", ticket.id), "two.ogg": ("voice", ticket.id)}


def test_a_voice_is_no_picture_of_the_result(desk: Desk) -> None:
    ticket = desk.done()
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "还在滴", at("10:00"))
    verbs.accept(desk.session, ticket, desk.handler(ticket), at("10:01"))
    sent(desk, WORKER, "one.ogg", at("10:02"), mime="audio/ogg")
    sent(desk, WORKER, "two.ogg", at("10:03"), mime="audio/ogg")
    with pytest.raises(PhotoNeeded):
        verbs.finish(desk.session, ticket, desk.handler(ticket), "换了", at("10:30"), self_checked=True)


# --- papers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAPERS)
def test_the_picture_just_sent_is_the_paper_named(desk: Desk, name: str) -> None:
    ticket = desk.accepted()
    sent(desk, WORKER, "paper.jpg", at("10:00"))
    assert purposes(desk)["paper.jpg"][0] != ""
    reply = ask(desk, f"{name} {ticket.tail}", WORKER, at("10:01"))
    assert f"{name}已存1张" in reply.text
    purpose, owner = purposes(desk)["paper.jpg"]
    assert say(f"paper.{purpose}") == name
    assert owner == ticket.id
    assert [event.note for event in desk.history(ticket, "paper")] == [name]


def test_a_name_said_first_waits_for_its_pictures_and_not_for_long(desk: Desk) -> None:
    desk.accepted()
    assert "请发验收单" in ask(desk, "验收单", WORKER, at("10:00")).text
    sent(desk, WORKER, "page1.jpg", at("10:04"))
    sent(desk, WORKER, "page2.jpg", at("10:05"))
    sent(desk, WORKER, "later.jpg", at("10:20"))
    found = {key: purpose for key, (purpose, _) in purposes(desk).items()}
    assert (found["page1.jpg"], found["page2.jpg"]) == ("slip_check", "slip_check")
    assert found["later.jpg"] in ("before", "after")


def test_an_old_picture_is_not_taken_for_the_paper(desk: Desk) -> None:
    ticket = desk.accepted()
    sent(desk, WORKER, "old.jpg", at("09:30"))
    assert "请发" in ask(desk, f"采购凭证 {ticket.tail}", WORKER, at("10:00")).text
    assert purposes(desk)["old.jpg"][0] in ("before", "after")


def test_only_who_works_on_it_or_leads_files_papers(desk: Desk) -> None:
    ticket = desk.accepted()
    with pytest.raises((NotAllowed, NotFound)):
        ask(desk, f"验收单 {ticket.tail}", "赵师傅", at("10:00"))
    ask(desk, f"验收单 {ticket.tail}", "李工", at("10:00"))


# --- the archive ----------------------------------------------------------------------------------------------------


def test_the_archive_says_which_papers_are_there_and_which_are_missing(desk: Desk, tmp_path: Path) -> None:
    ticket = desk.accepted()
    desk.photo(ticket, purpose="slip_buy", count=2)
    desk.photo(ticket, purpose="before")
    text = ask(desk, f"档案 {ticket.tail}", "李工", at("11:00"), tmp_path).text
    assert "采购凭证：2张" in text
    assert "处理前照片：1张" in text
    assert all(f"{name}：还没有" in text for name in PAPERS[:3])


@pytest.mark.parametrize("role", ["worker", "resident"])
def test_the_archive_is_refused_to_everybody_else(role: str) -> None:
    assert commands.beyond("档案 0001", role) == "archive"


def test_the_archive_of_a_complaint_is_not_for_whom_it_is_about(desk: Desk, tmp_path: Path) -> None:
    ticket = desk.report("T01", kind="TS", detail={"accused": desk.staff("李工").id})
    with pytest.raises((NotAllowed, NotFound)):
        ask(desk, f"档案 {ticket.ticket_no}", "李工", at("11:00"), tmp_path)


def test_the_desk_fetches_a_tickets_papers_but_no_list(desk: Desk, tmp_path: Path) -> None:
    ticket = desk.accepted()
    reply = ask(desk, f"档案 {ticket.tail}", "客服小周", at("11:00"), tmp_path)
    token = reply.text.split("/api/exports/")[1].split()[0]
    row = audit.fetch_export(desk.session, token, at("12:00"))
    assert row is not None
    assert row.content.startswith(b"%PDF")
    assert audit.fetch_export(desk.session, token, at("12:00", 13)) is None
    with pytest.raises(NotAllowed):
        audit.keep_export(desk.session, desk.staff("客服小周"), "超时.xlsx", b"", at("11:00"))
    assert [one.action for one in desk.session.scalars(select(AccessLog).where(AccessLog.allowed))] == [
        "export",
        "download",
    ]
    assert desk.session.scalars(select(Export)).one().file_name == f"{ticket.ticket_no} 档案.pdf"


def test_the_pdf_holds_facts_history_and_pictures_and_no_number(desk: Desk, tmp_path: Path) -> None:
    ticket = desk.accepted(symptom="厨房水管漏水😭 打13912345678找我", contact_phone="13800005678")
    out = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(out, "JPEG")
    stored = save_photo(tmp_path, out.getvalue(), 10**7)
    for key, purpose in ((stored.key, "before"), ("f" * 64 + ".jpg", "slip_check")):
        desk.session.add(
            Attachment(key=key, mime="image/jpeg", size=1, purpose=purpose, ticket_id=ticket.id, created_at=at("09:30"))
        )
    desk.session.flush()
    verbs.finish(desk.session, ticket, desk.handler(ticket), "换了角阀", at("10:00"), self_checked=True)
    made = archive_paper.paper(desk.session, ticket, tmp_path, at("11:00"))
    assert made is not None
    document = pypdfium2.PdfDocument(made)
    text = "".join(page.get_textpage().get_text_range() for page in document).replace("\r\n", "")
    for piece in (
        ticket.ticket_no,
        "一期3栋2单元1502室",
        "厨房水管漏水",
        "王女士",
        "138****5678",
        "换了角阀",
        "验收单",
        "文件不在了",
    ):
        assert piece in text
    assert "13912345678" not in text
    assert "13800005678" not in text
    images = [one for page in document for one in page.get_objects() if one.type == pypdfium2.raw.FPDF_PAGEOBJ_IMAGE]
    assert len(images) == 1
    # a subset: the font itself has twenty megabytes
    assert len(made) < 400_000


def test_a_long_history_goes_over_several_pages(desk: Desk, tmp_path: Path) -> None:
    ticket = desk.accepted()
    for minute in range(60):
        verbs.comment(
            desk.session, ticket, desk.actor("王芳"), "还在滴水，" * 20, at("10:00") + timedelta(minutes=minute)
        )
    made = archive_paper.paper(desk.session, ticket, tmp_path, at("12:00"))
    assert made is not None
    assert len(pypdfium2.PdfDocument(made)) > 2


def test_what_nobody_can_play_is_said_in_words(desk: Desk) -> None:
    """The push that carries a voice has words of its own, for channels that cannot play it."""
    desk.accepted()
    desk.seen()
    sent(desk, "王芳", "two.ogg", at("09:07"), mime="audio/ogg")
    row = next(one for one in desk.fresh() if one.image_key)
    assert isinstance(row, OutboxMessage)
    assert "网页版" in row.text
