"""Normalisation: what is folded, what must stay, and the way back to the original."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlu.address import stated
from nlu.expected_time import parse_window
from nlu.normalize import load_homophones, normalize, typed

ANY_TEXT = st.text(st.characters(), max_size=200)  # lone surrogates included
TROUBLE = st.text(st.sampled_from("漏水 　\n\u200b\u0000\ud800🔥！!?，,。樓電洞3三室①…ﷺ\u202e楼但愿"), max_size=60)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("３栋，１５０２（左边）", "3栋，1502(左边)"),
        ("２：３０", "2:30"),
        ("漏水,快来!", "漏水，快来！"),
        ("1,000元", "1,000元"),
        ("樓上漏水", "楼上漏水"),
        ("著火了", "着火了"),
        ("著名品牌", "著名品牌"),
        ("部𨋢困咗人", "部𨋢困咗人"),
        ("煤 气\u200b 味", "煤气味"),
        ("3栋 1502", "3栋 1502"),
        ("a\x00b", "ab"),
        ("漏水水水水", "漏水水"),
        ("快来！！！！", "快来！"),
        ("快来!!!!", "快来！"),
        ("1111室", "1111室"),
        ("三三三", "三三三"),
        ("①3栋灯坏②5栋也是", "1、3栋灯坏2、5栋也是"),
        ("3栋\r\n1502", "3栋\n1502"),
        ("  漏水  ", "漏水"),
    ],
)
def test_folding(written: str, expected: str) -> None:
    assert normalize(written).text == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("就命", "救命"),
        ("厨房楼水了", "厨房漏水了"),
        ("明天听水吗", "明天停水吗"),
        ("被捆在典梯里了", "被困在电梯里了"),
        ("厨房美气味好大", "厨房煤气味好大"),
        ("天燃气", "天然气"),
        ("摸热水器楼电", "摸热水器漏电"),
        ("三洞二但愿", "三栋二单元"),
        ("3好楼1502事漏水", "3号楼1502室漏水"),
        ("我要头数保安", "我要投诉保安"),
        ("条闸了", "跳闸了"),
    ],
)
def test_homophones_are_corrected_near_their_words(typed: str, expected: str) -> None:
    assert normalize(typed).text == expected


@pytest.mark.parametrize(
    "typed",
    [
        "没气了",
        "房子还在保修期吗",
        "要保修一下厨房漏水",
        "3号楼水管爆了",
        "2栋楼电梯坏了",
        "虽然气味不大",
        "天然气味好大",
        "美气",
        "听水管响",
        "因为修路进不来",
        "无业主同意",
        "我叫张坤",
        "水泵电机坏了",
        "但愿明天修好",
        "就命令你们",
        "找火柴",
        "宝安区",
        "1502是我家",
        "我要1502",
        "楼下水到处流",
    ],
)
def test_ordinary_words_are_not_rewritten(typed: str) -> None:
    assert normalize(typed).text == typed


def test_dangerous_pairs_are_not_in_the_table() -> None:
    table = load_homophones()
    for word in ("没气", "保修", "停水"):
        for context in (word, f"厨房{word}味", f"我要{word}一下", f"{word}了"):
            assert word in table.apply(context)


@pytest.mark.parametrize(
    ("typed", "word", "source"),
    [
        ("我家 漏 水水水水了", "漏水水", "漏 水水水水"),
        ("３栋樓上　著火", "着火", "著火"),
        ("楼\u200b上就命啊", "救命", "就命"),
        ("啊！！！！水", "！", "！！！！"),
    ],
)
def test_source_span_returns_the_residents_own_words(typed: str, word: str, source: str) -> None:
    result = normalize(typed)
    at = result.text.index(word)
    start, end = result.source_span(at, at + len(word))
    assert typed[start:end] == source


def test_removed_spaces_are_remembered_as_breaks() -> None:
    result = normalize("师傅来了没 着火了")
    assert result.text == "师傅来了没着火了"
    assert result.breaks == (5,)


QUOTED = "「管家小王：您在3号楼几单元」\n- - - - - - - - - -\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (QUOTED + "5栋2单元", "5栋2单元"),
        ("@3栋管家小王 电梯又停了", "电梯又停了"),
        ("@管家\u2005在吗", "在吗"),
        # A quotation in a sentence, an address of mail and a call with nothing behind it are the writer's words.
        ("他说「马上来」\n没来", "他说「马上来」\n没来"),
        ("发到abc@qq.com", "发到abc@qq.com"),
        ("@管家 ", "@管家"),
        (QUOTED, "「管家小王:您在3号楼几单元」\n- - - - - - - - - -\n"),
    ],
)
def test_what_a_messenger_adds_is_not_what_the_writer_says(text: str, words: str) -> None:
    assert normalize(text).text == words
    assert len(typed(text)) == len(text)
    assert typed(text).strip() in text


def test_a_sticker_is_the_emoji_it_shows() -> None:
    result = normalize("又漏了[捂脸] [不认识]")
    assert result.text == "又漏了🤦 [不认识]"
    assert result.source_span(3, 4) == (3, 7)


def test_a_quoted_place_or_time_is_not_told_again() -> None:
    now = datetime(2025, 6, 12, 9, tzinfo=ZoneInfo("Asia/Shanghai"))
    told = stated(QUOTED + "5栋2单元")
    assert told is not None
    assert (told.building, told.unit) == ("5", "2")
    later = parse_window("「管家：师傅明天上午9点到」\n————————\n后天下午行不行", now)
    assert later is not None and later.start is not None
    assert later.start.day == 14


@given(st.one_of(ANY_TEXT, TROUBLE))
def test_total_and_spans_stay_inside(text: str) -> None:
    result = normalize(text)
    assert result.original == text
    result.text.encode("utf-8")
    last = 0
    for index in range(len(result.text)):
        start, end = result.source_span(index, index + 1)
        assert 0 <= start < end <= len(text)
        assert start >= last
        last = start
    assert all(0 < offset < len(result.text) for offset in result.breaks)


@given(TROUBLE, st.integers(-5, 80), st.integers(-5, 80))
def test_source_span_is_clamped(text: str, start: int, end: int) -> None:
    low, high = normalize(text).source_span(start, end)
    assert 0 <= low <= high <= len(text)


@pytest.mark.parametrize("unit", ["漏水 快来！", "！", "水", "ﷺ", "楼水", "\ud800", "🔥", "3洞", "\u202eا"])
def test_twenty_thousand_characters_are_read(unit: str) -> None:
    text = (unit * 20_000)[:20_000]
    assert normalize(text).original == text
