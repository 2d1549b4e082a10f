"""An answer of a colleague becomes a written one when a person says so, and is found from then on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from deskhelp import NOW, Desk

from bot import knowledge_review
from nlu.knowledge import KnowledgeBase, answer
from storage import candidates
from storage.models import KnowledgeCandidate
from tickets import verbs

QUESTION = "阳光房的玻璃你们给擦吗，我电话13800005678"
ANSWER = "家里的玻璃由住户自己清洁，需要的话可以约有偿保洁。"


def answered(desk: Desk, words: str = ANSWER) -> None:
    ticket = desk.report("Q99", kind="ZX", symptom=QUESTION, place_key="", place_text="")
    verbs.answer_matter(desk.session, ticket, desk.actor("客服小周"), words, NOW)
    desk.session.flush()


def review(desk: Desk, folder: Path, *words: str) -> tuple[int, list[str]]:
    replies: Iterator[str] = iter(words)
    said: list[str] = []
    taken = knowledge_review.review(
        desk.session, desk.community.id, folder, NOW, lambda _prompt: next(replies), said.append
    )
    return taken, said


def waiting(desk: Desk) -> list[KnowledgeCandidate]:
    return list(candidates.waiting(desk.session, desk.community.id))


def test_an_answer_waits_with_numbers_starred_out(desk: Desk) -> None:
    answered(desk)
    [row] = waiting(desk)
    assert "13800005678" not in row.question and "阳光房" in row.question
    assert row.answer == ANSWER


def test_only_answers_to_questions_wait(desk: Desk) -> None:
    ticket = desk.report("T10", kind="TS", symptom="楼上吵")
    assert ticket.handler is not None
    verbs.answer_matter(desk.session, ticket, desk.handler(ticket), "已经和楼上说好了。", NOW)
    assert waiting(desk) == []


def test_an_accepted_answer_is_found_with_its_source_and_date(desk: Desk, tmp_path: Path) -> None:
    answered(desk)
    taken, _ = review(desk, tmp_path, "阳光房的玻璃谁擦", "")
    assert taken == 1 and waiting(desk) == []
    hit = KnowledgeBase.load(tmp_path).find("阳光房的玻璃谁擦")
    assert hit is not None and hit.sure
    assert answer(hit, {}, verified=False) == f"{ANSWER}\n（来源：工作人员的答复，2025-06-12）"


def test_dropped_and_left_ones(desk: Desk, tmp_path: Path) -> None:
    answered(desk)
    answered(desk)
    taken, _ = review(desk, tmp_path, "-", "")
    assert taken == 0 and len(waiting(desk)) == 1
    assert not (tmp_path / knowledge_review.FILE).exists()


@pytest.mark.parametrize("bad", ["不归我们管", "打13912345678问张三", "{desk_phone}", "长" * 121])
def test_what_residents_must_not_read_is_not_taken(desk: Desk, tmp_path: Path, bad: str) -> None:
    answered(desk)
    taken, said = review(desk, tmp_path, "阳光房的玻璃谁擦", bad, ANSWER)
    assert taken == 1 and len(said) == 2
    assert bad not in (tmp_path / knowledge_review.FILE).read_text("utf-8")


def test_a_later_answer_takes_the_place_of_the_first(desk: Desk, tmp_path: Path) -> None:
    answered(desk)
    [row] = waiting(desk)
    review(desk, tmp_path, "阳光房的玻璃谁擦", "")
    ticket = verbs.load(desk.session, row.ticket_id)
    verbs.not_fixed(desk.session, ticket, desk.actor("王芳"), "外面那面够不着", NOW)
    verbs.answer_matter(desk.session, ticket, desk.actor("客服小周"), "外面那面由保洁部每年清洁一次。", NOW)
    assert [one.answer for one in waiting(desk)] == ["外面那面由保洁部每年清洁一次。"]
    review(desk, tmp_path, "阳光房的玻璃谁擦", "")
    assert len(KnowledgeBase.load(tmp_path).entries) == 1
