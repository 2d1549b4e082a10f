"""Where one matter of a message ends, and which clause tells another fault: with a reader that knows a few words by heart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from trained import trained_models

from bot.training import model_path
from bot.understanding import load_trained
from nlu.classifier import read_several
from nlu.faults import Divider, Judged, Segments, learn_divider
from nlu.normalize import Normalized, normalize
from nlu.words import lists

ROOT = Path(__file__).resolve().parents[2]
KINDS = {"灯": "E04", "马桶": "W04", "门": "D03", "水管": "W01", "闸": "E02"}
BROKEN = ("坏", "不亮", "堵", "关不上", "爆", "跳")


class ByHeart:
    """Reports whatever names a thing that is broken."""

    def __init__(self, divider: Divider | None = None) -> None:
        self.divider = divider or Divider()

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        return [self._judged(text) for text in texts]

    def as_repair(self, done: Normalized) -> tuple[str, float] | None:
        return self._judged(done.text).fault

    @staticmethod
    def _judged(text: str) -> Judged:
        code = next((kind for thing, kind in KINDS.items() if thing in text), "X00")
        chance = 0.9 if any(word in text for word in BROKEN) else 0.1
        return Judged(repair=chance, fault=(code, 0.9) if chance > 0.5 else ("", 0.0))


def always(text: str) -> list[tuple[str, str]]:
    """The faults where a clause that may be another fault always is one."""
    divider = Divider(("long",), np.zeros(1, np.float32), bias=9.0)
    done = normalize(text)
    reader = ByHeart(divider)
    return [(one.category, one.text) for one in Segments(reader, done).faults(reader.as_repair(done))]


def test_nothing_learned_is_one_fault() -> None:
    done = normalize("灯不亮，马桶堵了")
    (fault,) = Segments(ByHeart(), done).faults(("E04", 0.8))
    assert (fault.text, fault.category) == ("灯不亮，马桶堵了", "E04")


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("灯不亮，马桶堵了", ["E04", "W04"]),
        ("灯不亮🙏马桶堵了", ["E04", "W04"]),
        ("客厅灯不亮 3栋马桶堵了", ["E04", "W04"]),
        ("客厅灯不亮、厨房马桶堵了、大门关不上", ["E04", "W04", "D03"]),
        ("1、灯不亮 2、马桶堵了", ["E04", "W04"]),
        # What may not be a fault of its own, whatever was learned.
        ("灯不亮，我等着", ["E04"]),
        ("客厅灯不亮，灯泡也坏了", ["E04"]),
        ("客厅灯不亮，卧室灯也不亮", ["E04", "E04"]),
        ("跳闸了，总闸又跳", ["E02"]),
    ],
)
def test_which_clauses_may_be_another_fault(text: str, codes: list[str]) -> None:
    assert [code for code, _ in always(text)] == codes


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("洗手盆堵了 对了 楼道里有人养鸡 臭", "W04"),
        ("阳台推拉门轮子卡死了 推都推不动 另外楼下烧烤店的烟全灌到我家来了", "D04"),
        ("浴霸坏了一个灯，顺便，问下停车月卡多少钱", "E04"),
        # What caused the fault is no other matter.
        ("隔壁装修把燃气管打断了！！！呼呼往外喷", "G01"),
    ],
)
def test_another_matter_does_not_colour_the_fault_beside_it(text: str, first: str) -> None:
    model, _ = load_trained(model_path(trained_models()))
    said = model.predict(text)
    assert [said.category, *(one.category for one in said.faults)] == [first, first]


@pytest.mark.parametrize("text", ["灯不亮，另外马桶堵了", "灯不亮 另外，马桶堵了", "灯不亮 对了 马桶堵了"])
def test_what_opens_another_matter_may_stand_alone(text: str) -> None:
    assert [one.opened for one in Segments(ByHeart(), normalize(text))._all] == [False, True]


def test_a_danger_nobody_fears_is_the_next_likely_fault() -> None:
    model, _ = load_trained(model_path(trained_models()))
    feared, lamp, pipe = model.judge(["插座冒火花了", "书房吊灯嗞嗞响", "厨房水管爆了水喷到顶"])
    assert feared.fault[0] == "E01"
    assert lamp.fault[0] not in lists()["dangers"]
    assert pipe.fault[0] == "W01"


def test_things_listed_are_told_of_one_by_one() -> None:
    assert always("灯跟马桶都坏了") == [("E04", "灯坏了"), ("W04", "马桶坏了")]


def test_what_another_fault_is_is_learned() -> None:
    told = {}
    for at, (one, other) in enumerate([("灯坏了", "马桶堵了"), ("门坏了", "灯不亮"), ("马桶堵了", "门关不上")] * 6):
        told[f"{one}，{other}了{at}号"] = [1, len(one) + 2]
        told[f"{one}，害得{other}{at}号"] = [1]
    reader = ByHeart()
    reader.divider = learn_divider(reader, told)

    def faults(text: str) -> int:
        done = normalize(text)
        return len(Segments(reader, done).faults(reader.as_repair(done)))

    assert (faults("灯坏了，马桶堵了了"), faults("灯坏了，害得马桶堵了")) == (2, 1)
    assert not learn_divider(reader, {"灯坏了": [1]}).names, "nothing to tell apart"


def test_several_is_large_and_marks_every_fault() -> None:
    several = read_several(ROOT / "data" / "nlu")
    assert len(several) >= 1100
    assert 0.5 <= sum(len(one.faults) > 1 for one in several) / len(several) <= 0.7
    assert {one.intent for one in several} <= {"report_repair", "file_complaint"}
    assert not any(one.category for one in several)


def test_held_out_floor() -> None:
    model, _ = load_trained(model_path(trained_models()))
    lines = (Path(__file__).parent / "held_out" / "several.jsonl").read_text("utf-8").splitlines()
    cases = [json.loads(line) for line in lines]
    found = [[one.category for one in model.split_faults(case["text"])] for case in cases]
    wanted = [[fault["category"] for fault in case["faults"]] for case in cases]
    assert sum(len(one) == len(other) for one, other in zip(found, wanted, strict=True)) >= 0.72 * len(cases)
    assert sum(sorted(one) == sorted(other) for one, other in zip(found, wanted, strict=True)) >= 0.62 * len(cases)


@pytest.mark.parametrize(
    ("text", "pleased", "told"),
    [
        ("改到周五，另外马桶堵了", False, [("W04", "另外马桶堵了")]),
        ("人很好，就是门关不上", True, [("D03", "就是门关不上")]),
        ("改到周五，就是门关不上", False, []),
        ("周五马桶堵了再改", False, []),
        ("改到周五，另外东西坏了", False, []),
        ("改到周五，另外带个梯子", False, []),
    ],
)
def test_the_fault_beside_another_wish(text: str, pleased: bool, told: list[tuple[str, str]]) -> None:
    found = Segments(ByHeart(), normalize(text)).beside_talk(pleased=pleased)
    assert [(one.category, one.text) for one in found] == told
