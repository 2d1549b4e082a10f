"""Pictures, voice notes and places that a resident sends: to which matter they belong, and what is asked next."""

from __future__ import annotations

import io

import doorhelp
import pytest
from deskhelp import at
from doorhelp import Door
from PIL import Image
from sqlalchemy import select

from bot.channels.base import Location
from storage.models import Attachment, Draft, Ticket
from tickets.texts import say

WHERE = "请问在几栋几单元几室？"
VOICE = b"OggS" + bytes(60)


def _old_ticket(door: Door) -> int:
    with door.sessions.begin() as session:
        return door.desk(session).report(now=at("9:00")).id


def _asked(door: Door, **data: object) -> None:
    """A report in the middle: told what, asked where."""
    door.say("王芳", "有个地方一直滴水")
    with door.sessions.begin() as session:
        chat = door.desk(session).chat("王芳").id
        told = data or {"faults": [{"code": "W02", "words": "有个地方一直滴水"}]}
        session.add(Draft(conversation_id=chat, kind="BX", data=told, updated_at=door.now))
    door.answers("王芳", WHERE, (("say:厨房", "厨房"),))


def _files(door: Door) -> list[int | None]:
    with door.sessions() as session:
        return list(session.scalars(select(Attachment.ticket_id).order_by(Attachment.id)))


def test_a_picture_alone_is_asked_about(door: Door) -> None:
    assert door.say("王芳", photo=True) == [say("reply.photo_only")]


def test_in_the_middle_of_a_report_it_waits_for_it_and_the_question_is_asked_again(door: Door) -> None:
    _old_ticket(door)
    _asked(door)
    (answer,) = door.say("王芳", photo=True)
    assert answer.endswith(WHERE) and "照片收到" in answer
    assert _files(door) == [None]


def test_the_choices_of_the_question_come_with_it(door: Door) -> None:
    _asked(door)
    door.say("王芳", photo=True)
    assert door.buttons("王芳") == [["say:厨房", "厨房"]]


def test_a_voice_note_and_a_place_do_not_answer_the_question_either(door: Door) -> None:
    _asked(door)
    for answer in (door.say("王芳", voice=VOICE), door.say("王芳", place=Location(31.2, 121.5))):
        assert answer[0].endswith(WHERE)


def test_a_place_with_a_name_is_read_like_words(door: Door) -> None:
    _asked(door)
    assert door.say("王芳", place=Location(31.2, 121.5, "一期3栋")) == []
    assert door.left is not None and door.left.text == "一期3栋"


def test_a_report_begun_by_a_picture_still_asks_what_it_shows(door: Door) -> None:
    _asked(door, photo=True)
    assert door.say("王芳", photo=True) == [say("reply.photo_only")]


def test_words_in_the_same_breath_tell_what_a_picture_shows(door: Door) -> None:
    _old_ticket(door)
    assert door.together("王芳", {"photo": True}, {"text": "楼道灯也坏了"}) == []
    assert door.left is not None and door.left.text == "楼道灯也坏了"
    with door.sessions.begin() as session:
        desk = door.desk(session)
        new = desk.report("E07", source_key="new", conversation=desk.chat("王芳"), now=at("10:00")).id
    door.answers("王芳", "登记好了")
    assert _files(door) == [new]


def test_what_is_sent_to_a_person_is_passed_on_as_it_comes(door: Door) -> None:
    door.say("王芳", "转人工")
    door.say("客服小周", "接待")
    before = door.last()
    door.together("王芳", {"photo": True}, {"text": "你看都这样了"})
    assert len(door.heard("客服小周", before)) == 2


def test_a_picture_with_words_about_nothing_new_goes_to_the_open_matter(door: Door) -> None:
    old = _old_ticket(door)
    door.together("王芳", {"text": "你看都这样了"}, {"photo": True})
    door.answers("王芳", "在处理了")
    assert _files(door) == [old]


def test_a_picture_of_the_finished_job_goes_to_it_though_the_words_close_it(door: Door) -> None:
    with door.sessions.begin() as session:
        desk = door.desk(session)
        number = desk.done(now=at("9:00")).id
    door.together("王芳", {"photo": True}, {"text": "修好了 谢谢"})
    assert door.left is None
    assert _files(door) == [number]
    with door.sessions() as session:
        assert session.get_one(Ticket, number).status == "closed"


def test_the_same_picture_twice_is_kept_once(door: Door) -> None:
    old = _old_ticket(door)
    assert len(door.together("王芳", {"photo": True}, {"photo": True})) == 2
    assert _files(door) == [old]
    door.say("王芳", photo=True)
    assert _files(door) == [old]


def test_nor_does_it_stand_in_the_way_of_the_report_it_was_sent_for(door: Door) -> None:
    door.together("王芳", {"photo": True}, {"photo": True})
    with door.sessions.begin() as session:
        desk = door.desk(session)
        new = desk.report(conversation=desk.chat("王芳")).id
    assert _files(door) == [new]


def test_nor_of_a_worker_who_says_that_the_job_is_done(door: Door) -> None:
    with door.sessions.begin() as session:
        ticket = door.desk(session).accepted(now=at("9:00"))
        worker, number = ticket.handler.name, ticket.ticket_no  # type: ignore[union-attr]
    door.say(worker, "到了")
    door.say(worker, photo=True)
    door.say(worker, photo=True)
    door.say(worker, f"完工 {number} 换了角阀 已自检 已清场")
    with door.sessions() as session:
        assert session.scalars(select(Ticket.status)).one() == "done"
    assert len(_files(door)) == 1


def test_all_pictures_around_the_words_are_on_the_ticket(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    for shade in (1, 2):
        monkeypatch.setattr(doorhelp, "PICTURE", _picture(shade))
        assert door.say("王芳", photo=True) == [say("reply.photo_only")]
    with door.sessions.begin() as session:
        desk = door.desk(session)
        new = desk.report(conversation=desk.chat("王芳"), now=door.now).id
    monkeypatch.setattr(doorhelp, "PICTURE", _picture(3))
    door.say("王芳", photo=True)
    assert _files(door) == [new, new, new]


def _picture(shade: int) -> io.BytesIO:
    """A picture unlike the others."""
    found = io.BytesIO()
    Image.new("RGB", (8, 8), (60 * shade, 0, 0)).save(found, "PNG")
    return found
