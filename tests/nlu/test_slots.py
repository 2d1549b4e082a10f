"""Small facts in sentences, against the checked-in cases; and masking never lets a number through."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nlu import slots
from nlu.slots import Scores

CASES: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "cases" / "slots.yml").read_text(encoding="utf-8"))
STAFF: list[str] = CASES["staff"]


def scores(text: str) -> list[int | None] | None:
    found = slots.find_scores(text)
    return [found.attitude, found.quality, found.both] if found else None


READERS: dict[str, Callable[[str], object]] = {
    "phones": slots.find_phone,
    "tickets": slots.find_ticket_no,
    "people": lambda text: slots.find_people(text, STAFF),
    "money": slots.find_money_fen,
    "plates": slots.find_plate,
    "salutations": slots.find_salutation,
    "scores": scores,
    "masked": slots.mask_text,
    "mask_phone": slots.mask_phone,
    "id_numbers": slots.mentions_id_number,
}
ALL = [(group, text, expected) for group in READERS for text, expected in CASES[group]]


@pytest.mark.parametrize(("group", "text", "expected"), ALL, ids=[f"{group}-{text}" for group, text, _ in ALL])
def test_case(group: str, text: str, expected: object) -> None:
    assert READERS[group](text) == expected


def test_there_are_enough_cases() -> None:
    assert len(ALL) >= 80
    assert set(CASES) == {*READERS, "staff"}


def test_scores_are_falsy_when_nothing_was_said() -> None:
    assert not Scores()
    assert Scores(both=1)
    assert Scores(attitude=5, quality=4).marks == (5, 4)


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("12", 12),
        ("十", 10),
        ("十二", 12),
        ("二十", 20),
        ("二十一", 21),
        ("一百二", 120),
        ("一百零二", 102),
        ("两百五", 250),
        ("一千二百", 1200),
        ("零零七", 7),
        ("幺二", 12),
        ("", None),
        ("张三", None),
        ("三百五十六", 356),
    ],
)
def test_numbers(word: str, number: int | None) -> None:
    assert slots.read_number(word) == number


TEXT = st.text(max_size=200)


@given(text=TEXT)
def test_any_text_is_read_without_raising(text: str) -> None:
    for read in READERS.values():
        read(text)


@given(before=TEXT, phone=st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), after=TEXT)
def test_no_mobile_number_survives_masking(before: str, phone: str, after: str) -> None:
    masked = slots.mask_text(f"{before}，{phone}，{after}")
    assert phone not in masked
    assert slots.find_phone(f"{before}，{phone}，{after}") is not None


@given(text=TEXT)
def test_masking_keeps_length_and_settles(text: str) -> None:
    masked = slots.mask_text(text)
    assert len(masked) == len(text)
    assert slots.mask_text(masked) == masked


@given(number=st.integers(min_value=10**18, max_value=10**19 - 1))
def test_nineteen_digits_never_stay_whole(number: int) -> None:
    assert str(number) not in slots.mask_text(f"卡号{number}") or not re.match(r"[3-6]", str(number))


@pytest.mark.parametrize("unit", ["138", "1 ", "零", "一百", "态度", "浙A", "工单", "0", "我姓王"])
def test_a_long_paste_is_read(unit: str) -> None:
    text = (unit * 20000)[:20000]
    for read in READERS.values():
        read(text)


def test_the_ticket_of_a_quoted_message_is_meant_and_its_phone_is_not() -> None:
    text = "「管家：BX20250612-0007 已派单，师傅电话13900001234」\n- - - - - - - - - -\n还没来"
    assert slots.find_ticket_no(text) == "BX20250612-0007"
    assert slots.find_phone(text) is None
