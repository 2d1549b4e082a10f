"""What residents reply to open questions, against the checked-in cases and the promises of domain.md §7.1."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nlu.answers import Answer, Kind, Verdict, read_answer
from nlu.expected_time import Window
from nlu.slots import lexicon

NOW = datetime(2025, 6, 12, 10, 0, tzinfo=ZoneInfo("Asia/Shanghai"))
CASES: dict[Kind, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parent / "cases" / "answers.yml").read_text(encoding="utf-8")
)
KINDS: tuple[Kind, ...] = get_args(Kind)
ALL = [(kind, case) for kind, cases in CASES.items() for case in cases]


def ask(kind: Kind, case: dict[str, Any]) -> Answer | None:
    proposed = None
    if "proposed" in case:
        start = datetime.fromisoformat(case["proposed"]).replace(tzinfo=NOW.tzinfo)
        proposed = Window(start, start + timedelta(hours=1), "")
    return read_answer(
        kind, case["t"], NOW, options=case.get("options", ()), about=case.get("about", ""), proposed=proposed
    )


@pytest.mark.parametrize(("kind", "case"), ALL, ids=[f"{kind}-{case['t']}" for kind, case in ALL])
def test_case(kind: Kind, case: dict[str, Any]) -> None:
    answer = ask(kind, case)
    if case["v"] is None:
        assert answer is None
        return
    assert answer is not None
    assert answer.verdict == case["v"]
    scores = answer.scores
    assert [scores.attitude, scores.quality, scores.both] == case.get("s", [None, None, None])
    window = answer.window
    said = f"{'!' if window.avoid else ''}{window.start:%m-%d %H:%M}" if window else None
    assert said == case.get("w")
    assert dict(answer.flags) == case.get("f", {})
    assert (answer.fresh, answer.phone, answer.index) == (case.get("fresh", ""), case.get("phone"), case.get("index"))
    if "r" in case:
        assert answer.remark == case["r"]


def test_there_are_enough_cases_of_every_kind() -> None:
    assert set(CASES) == set(KINDS)
    assert len(ALL) >= 250


@pytest.mark.parametrize("negated", ["没修好", "还在漏", "又坏了", "没人来过", "还是不行", "比之前还响", "没弄好"])
@pytest.mark.parametrize("nice", ["好了", "修好了", "谢谢师傅", "师傅态度很好", "1", "满意", "5分", "👍"])
def test_an_objection_is_never_acceptance(nice: str, negated: str) -> None:
    for text in (f"{nice} 但是{negated}", f"{nice}，{negated}", f"{negated} {nice}"):
        answer = read_answer("acceptance", text, NOW)
        assert answer is not None
        assert answer.verdict in ("half", "not_fixed", "false_completion"), text


@pytest.mark.parametrize("kind", ["acceptance", "score"])
@pytest.mark.parametrize(
    "text", ["谢谢", "好的", "👍", "满意", "非常满意", "十分满意", "师傅很好", "还行吧", "不错", "嗯", "1"]
)
def test_five_is_never_invented(kind: Kind, text: str) -> None:
    answer = read_answer(kind, text, NOW)
    assert answer is None or 5 not in answer.scores.marks


@pytest.mark.parametrize(
    "text", ["不同意", "唔同意", "没同意", "不可以", "同意吗", "可以便宜点吗", "30块就修", "收到", "谢谢"]
)
def test_paid_work_needs_an_unconditional_yes(text: str) -> None:
    answer = read_answer("consent", text, NOW)
    assert answer is None or answer.verdict != "agree"


def test_every_flag_is_three_valued() -> None:
    flags = lexicon("answers").value("detail.flags")
    seen = {(name, value) for case in CASES["detail"] for name, value in case.get("f", {}).items()}
    assert seen == {(name, value) for name in flags for value in (True, False)}


WORDS = st.sampled_from(
    [
        "好了",
        "没",
        "还",
        "漏",
        "修好",
        "但是",
        " ",
        "，",
        "1",
        "5分",
        "谢谢",
        "明天",
        "3点",
        "吗",
        "？",
        "不",
        "同意",
        "灯",
        "坏",
        "👌",
    ]
)
TEXT = st.text(max_size=200) | st.lists(WORDS, max_size=12).map("".join)


@given(text=TEXT, kind=st.sampled_from(KINDS), about=st.sampled_from(["", "厨房灯不亮"]))
def test_any_text_is_read_without_raising(text: str, kind: Kind, about: str) -> None:
    answer = read_answer(kind, text, NOW, options=["一期3栋", "二期3栋"], about=about)
    if answer is None:
        return
    assert answer.verdict in get_args(Verdict)
    assert all(1 <= mark <= 5 for mark in answer.scores.marks)
    assert answer.index is None or answer.index in (0, 1)
    if answer.window is not None:
        assert answer.window.end is None or answer.window.end > NOW


@pytest.mark.parametrize(
    "unit", ["好的", "还在漏 ", "嗯恩", "没有人来", "谢谢师傅", "不是", "（", "1 ", "没有老人和", "可以吗"]
)
def test_a_long_paste_is_read(unit: str) -> None:
    text = (unit * 5000)[:5000] + "x"
    for kind in KINDS:
        read_answer(kind, text, NOW, options=["一期"])
