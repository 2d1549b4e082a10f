"""What a report has told already is not asked again (data/catalog/told.yml)."""

from __future__ import annotations

import pytest
import yaml

from tickets.catalog import categories, category
from tickets.texts import DATA, has_text


@pytest.mark.parametrize(
    ("code", "words", "key"),
    [
        ("P01", "我车位被一辆白色SUV占了", "ask.plate"),
        ("P01", "我车位停着粤B8X23K", ""),
        ("P01", "有人拿纸箱堆在我车位上", ""),
        ("E07", "楼道灯不亮", "ask.lamp"),
        ("E07", "楼道一整层都黑的", ""),
        ("W03", "天花板渗水", "ask.leak_above"),
        ("W03", "一下雨天花板就渗水", ""),
        ("T09", "邻居太吵了", "ask.noise"),
        ("T09", "楼上天天半夜剁肉", ""),
        ("T03", "收费不合理", "ask.which_fee"),
        ("T03", "装修押金扣着不退", ""),
        ("T01", "保安态度差", "ask.when_where"),
        ("T01", "昨晚南门岗的保安骂人", ""),
        ("W02", "水龙头滴水", "ask.leak"),
    ],
)
def test_a_question_that_is_answered_is_not_asked(code: str, words: str, key: str) -> None:
    assert category(code).question(words) == key


def test_every_answer_belongs_to_a_question() -> None:
    told = yaml.safe_load((DATA / "catalog" / "told.yml").read_text("utf-8"))
    assert set(told) <= {one.ask for one in categories().values()}
    assert all(has_text(f"ask.{name}") for name in told)
