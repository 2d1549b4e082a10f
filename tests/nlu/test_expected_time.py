"""Visit times, wake dates and report periods, against the checked-in cases."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nlu.expected_time import Window, format_window, parse_period, parse_until, parse_window, parse_windows

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2025, 6, 12, 10, 0, tzinfo=SHANGHAI)
CASES: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "cases" / "expected_time.yml").read_text(encoding="utf-8")
)
AT = [(moment, text, expected) for moment, cases in CASES["at"].items() for text, expected in cases]


def told(window: Window | None, now: datetime) -> str | None:
    return format_window(window, now) if window else None


@pytest.mark.parametrize(("text", "expected"), CASES["windows"], ids=[text for text, _ in CASES["windows"]])
def test_window(text: str, expected: str | None) -> None:
    assert told(parse_window(text, NOW), NOW) == expected


@pytest.mark.parametrize(("moment", "text", "expected"), AT, ids=[f"{moment}-{text}" for moment, text, _ in AT])
def test_window_at_another_moment(moment: str, text: str, expected: str | None) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=SHANGHAI)
    assert told(parse_window(text, now), now) == expected


@pytest.mark.parametrize(("text", "expected"), CASES["asked"], ids=[text for text, _ in CASES["asked"]])
def test_window_as_an_answer(text: str, expected: str | None) -> None:
    assert told(parse_window(text, NOW, asked=True, day=date(2025, 6, 16)), NOW) == expected


@pytest.mark.parametrize(("text", "expected"), CASES["until"], ids=[text for text, _ in CASES["until"]])
def test_until(text: str, expected: str | None) -> None:
    found = parse_until(text, NOW)
    assert (f"{found:%Y-%m-%d %H:%M}" if found else None) == expected


@pytest.mark.parametrize(("text", "expected"), CASES["periods"], ids=[text for text, _ in CASES["periods"]])
def test_period(text: str, expected: list[str] | None) -> None:
    found = parse_period(text, NOW)
    assert ([f"{found.start:%Y-%m-%d}", f"{found.end:%Y-%m-%d}", found.label] if found else None) == expected


def test_there_are_enough_cases() -> None:
    assert sum(len(cases) for cases in CASES.values()) + len(AT) >= 100


def test_the_words_of_the_resident_are_the_label() -> None:
    window = parse_window("厨房灯不亮 明天下午三点以后来", NOW)
    assert window is not None
    assert (window.label, window.end) == ("明天下午三点以后", NOW.replace(day=13, hour=17))


def test_every_wish_of_a_text_is_found() -> None:
    windows = parse_windows("明天上午不在家，后天下午或者周日上午都行", NOW)
    assert [(window.start.day, window.avoid) for window in windows] == [(13, True), (14, False), (15, False)]


def test_hours_within_a_day_said_before_are_meant() -> None:
    for text, start, end in (
        ("改到后天吧 上午照旧", (14, 8), 12),
        ("明天可以，不过最好晚上六点以后来", (13, 18), 20),
        ("明天全天在家，后天下午也在", (13, 8), 20),
        ("明天八点我要送孩子，九点来", (13, 9), 10),
    ):
        window = parse_window(text, NOW, asked=True)
        assert window is not None and window.end is not None
        assert ((window.start.day, window.start.hour), window.end.hour) == (start, end), text


def test_as_soon_as_possible_has_no_end() -> None:
    window = parse_window("越快越好", NOW)
    assert window is not None
    assert (window.start, window.end) == (NOW, None)


WORDS = st.sampled_from(
    [
        "明天",
        "今天",
        "后天",
        "昨天",
        "上周",
        "下周二",
        "周末",
        "每天",
        "上午",
        "下午",
        "晚上",
        "三点",
        "8到9点",
        "15:00",
        "到",
        "以后",
        "之前",
        "左右",
        "半小时后",
        "来",
        "别来",
        "不在家",
        "了",
        "坏",
        "吵",
        "，",
        "6月15号",
        "31号",
    ]
)
TEXT = st.text(max_size=150) | st.lists(WORDS, max_size=10).map("".join)
MOMENT = st.datetimes(datetime(2024, 1, 1), datetime(2030, 12, 31)).map(lambda at: at.replace(tzinfo=SHANGHAI))


@given(text=TEXT, now=MOMENT, asked=st.booleans())
def test_no_window_is_over_or_upside_down(text: str, now: datetime, asked: bool) -> None:
    for window in parse_windows(text, now, asked=asked):
        assert window.start >= now
        assert window.end is None or window.end > window.start
        assert format_window(window, now)


@given(text=TEXT, now=MOMENT)
def test_wake_and_period_are_sound(text: str, now: datetime) -> None:
    wake = parse_until(text, now)
    assert wake is None or wake > now
    period = parse_period(text, now)
    if period is not None:
        assert period.start < period.end
        assert period.label


@given(now=MOMENT, hour=st.integers(1, 12))
def test_a_bare_clock_means_the_next_sensible_one(now: datetime, hour: int) -> None:
    window = parse_window(f"{hour}点来", now)
    assert window is not None
    assert now <= window.start < now + timedelta(days=1)
    assert 7 <= window.start.hour <= 20
    assert window.start.hour % 12 == hour % 12


@pytest.mark.parametrize("unit", ["明天下午", "3点", "到", "周六", "、", "两", " ", "6月", "从", "每天晚上"])
def test_a_long_paste_is_read(unit: str) -> None:
    text = (unit * 20000)[:20000]
    for read in (parse_window, parse_until, parse_period):
        read(text, NOW)
