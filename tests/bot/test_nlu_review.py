"""Labelling what was not understood: the list, the labels, the data file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from deskhelp import NOW, Desk
from sqlalchemy import select

from bot import nlu_review
from nlu.classifier import read_examples
from storage import reviews
from storage.models import ReviewItem

LABELS = """version: "3.1"
nlu:
- intent: report_repair
  metadata: {category: W02}
  examples: |
    - 漏水
- intent: greet
  examples: |
    - 你好
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "some.yml").write_text(LABELS, "utf-8")
    return tmp_path


def note(desk: Desk, text: str, key: str, **more: str) -> None:
    fields = {"why": "unsure", "intent": "greet", "category": "", **more}
    item = ReviewItem(community_id=desk.community.id, source_key=key, at=NOW, text=text, confidence=0.3, **fields)
    reviews.note(desk.session, item)
    desk.session.flush()


def answers(*words: str) -> Iterator[str]:
    yield from words


def test_a_message_is_kept_once_and_a_correction_says_more(desk: Desk) -> None:
    note(desk, "那个东西又那样了", "web:1")
    note(desk, "那个东西又那样了", "web:1")
    note(desk, "那个东西又那样了", "web:1", why="corrected", suggested="report_repair")
    [item] = reviews.waiting(desk.session, desk.community.id)
    assert (item.why, item.suggested) == ("corrected", "report_repair")


def test_labels_go_into_the_data_and_drops_do_not(desk: Desk, data: Path) -> None:
    for number, text in enumerate(["龙头[滴答]不停", "嗯呐", "哈喽啊", "先放着"]):
        note(desk, text, f"web:{number}")
    replies = answers("report_repair w02", "-", "ask_nothing", "greet", "")
    said: list[str] = []
    added = nlu_review.review(desk.session, desk.community.id, data, NOW, lambda _: next(replies), said.append)
    assert added == 2
    assert any("ask_nothing" in line for line in said)
    learnt = {(one.text, one.intent, one.category) for one in read_examples(data)}
    assert ("龙头（滴答）不停", "report_repair", "W02") in learnt
    assert ("哈喽啊", "greet", "") in learnt
    states = dict(desk.session.execute(select(ReviewItem.text, ReviewItem.state)).all())
    assert states == {"龙头[滴答]不停": "labelled", "嗯呐": "dropped", "哈喽啊": "labelled", "先放着": "open"}


def test_a_suggestion_needs_only_a_return(desk: Desk, data: Path) -> None:
    note(desk, "早啊", "web:1", suggested="greet")
    assert nlu_review.review(desk.session, desk.community.id, data, NOW, lambda _: "", lambda _: None) == 1


def test_the_file_stays_readable_and_holds_nothing_twice(data: Path) -> None:
    for _ in range(2):
        nlu_review.add_example(data, "report_repair", "W02", "水管\n一直滴")
        nlu_review.add_example(data, "greet", "", "早: #1")
    stored = yaml.safe_load((data / nlu_review.FILE).read_text("utf-8"))
    assert [block["intent"] for block in stored["nlu"]] == ["greet", "report_repair"]
    assert stored["nlu"][1]["examples"] == "- 水管 一直滴\n"


@pytest.mark.parametrize("words", ["report_repair", "report_repair Q01", "greet W02", "nonsense"])
def test_labels_that_do_not_exist_are_refused(data: Path, words: str) -> None:
    with pytest.raises(nlu_review.LabelError):
        nlu_review.read_label(words, data)
