"""Wording: every sentence a resident may read keeps the rules of docs/domain.md §5.7."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MESSAGES = ROOT / "data" / "messages"
STAFF_HEADING = "  # to workers and leaders\n"

LONGEST = 120
# What stays after the words: numbers of people, places, tickets and times come in here.
PLACE = re.compile(r"\{[a-z_]+\}")
# A place that holds a moment of the clock.
MOMENTS = {"arrive_by", "finish_by", "accept_by", "latest", "by", "wake", "window", "new_time", "when", "at"}

BANNED = re.compile(
    "不知道|不归我们?管|找别人|没办法|等着|你自己看着办|自己看着办|规定就是这样|没人有空|你先别急|先别急|冷静|注意言辞|大家都这样|"
    "有本事|马上就好|马上就到|免费|赔|罚款|请耐心等待|您没说清楚|亲爱的|亲，|亲~|亲们|(?<!宝)(?<!支付)(?<!充电)宝(?!宝|贵)|老头|老太婆|大妈"
)
# Words of the trade, with what residents read instead in docs/domain.md §5.7.
TRADE_WORDS = re.compile(
    "(?<!施)工单|派工|派单|闭环|核实|受理|挂起|闭门器|角阀|空开|立管|系统|接口|后台|数据库|模型|意图|流程"
)
APOLOGIES = re.compile("抱歉|对不起|不好意思|见谅|请原谅|耽误|没做到位")
VAGUE = re.compile("尽快|稍后|稍等|过一会儿|一会儿就|很快|马上就|随后")
LATIN = re.compile("[A-Za-z]+")

# A span of time written out: what residents are promised is a setting, said as a moment of the clock.
SPANS = re.compile(r"[\d一二两三四五六七八九十几半]+个?多?(?:分钟|小时|天|工作日|周|星期|月|年)")
# The name of a telephone line, and a rule of the chat itself.
NO_PROMISE = re.compile("24小时值班电话|请一分钟后再试")

# Read by staff only.
STAFF_GROUPS = {"staff", "caution", "trade", "why", "department", "actions", "assign", "resolve", "words", "role"}
STAFF_GROUPS |= {"bind_desk", "rights_desk", "import", "community", "own", "grave", "group"}
# What the advice is chosen by, and nobody reads.
PATTERNS = (".when", ".with", ".unless", ".outside")
# Parts that say() puts together, not sentences of their own.
PIECES = {"clock", "list", "person", "demo"}


def flat(value: Any, prefix: str = "") -> dict[str, str]:
    """Dotted key → text, through whatever nesting."""
    if isinstance(value, dict):
        return {key: text for name, inner in value.items() for key, text in flat(inner, f"{prefix}{name}.").items()}
    if isinstance(value, list):
        return {key: text for at, inner in enumerate(value) for key, text in flat(inner, f"{prefix}{at}.").items()}
    return {prefix.rstrip("."): str(value)}


def read(name: str) -> dict[str, Any]:
    loaded = yaml.safe_load((MESSAGES / f"{name}.yml").read_text("utf-8"))
    assert isinstance(loaded, dict)
    return loaded


@cache
def pushes_to_staff() -> frozenset[str]:
    """pushes.yml has two parts; the second is for workers and leaders."""
    text = (MESSAGES / "pushes.yml").read_text("utf-8")
    _, _, tail = text.partition(STAFF_HEADING)
    assert tail, "pushes.yml must keep its two headings"
    return frozenset(f"push.{key}" for key in re.findall(r"^  (\w+):", tail, re.MULTILINE))


@cache
def resident_texts() -> dict[str, str]:
    """Everything from data/messages and data/responses that a resident may read, but the fixed emergency advice."""
    texts: dict[str, str] = {}
    for name in ("pushes", "replies", "errors", "labels", "setup", "rights"):
        texts |= {key: text for key, text in flat(read(name)).items() if key.split(".")[0] not in STAFF_GROUPS | PIECES}
    for file in sorted((ROOT / "data" / "responses").glob("*.yml")):
        responses = yaml.safe_load(file.read_text("utf-8"))["responses"]
        texts |= {
            f"{name}.{at}": one["text"] for name, variants in responses.items() for at, one in enumerate(variants)
        }
    texts |= menu_texts()
    return {key: text for key, text in texts.items() if key not in pushes_to_staff() | {"version"}}


def menu_texts() -> dict[str, str]:
    """What the menus of the messengers show to residents."""
    telegram = flat(read("telegram"))
    found = {
        key: text for key, text in telegram.items() if not re.search(r"menus\.(worker|supervisor|desk|group)\.", key)
    }
    wechat = {key: text for key, text in flat(read("wechat")).items() if not key.endswith((".type", ".key"))}
    return {f"menu.{key}": text for key, text in (found | wechat).items()}


@cache
def knowledge_texts() -> dict[str, str]:
    """The written answers, in every version a resident may read."""
    found = {}
    for file in sorted((ROOT / "data" / "knowledge").glob("*.yml")):
        for entry in (yaml.safe_load(file.read_text("utf-8")) or {}).get("entries", ()):
            for name in ("answer", "unverified_answer", "without"):
                if entry.get(name):
                    found[f"knowledge.{entry['id']}.{name}"] = str(entry[name])
    return found


@cache
def catalog_texts() -> dict[str, str]:
    """Names of data/catalog that residents read: kinds of matters, reasons, units outside."""
    catalog = ROOT / "data" / "catalog"
    groups = yaml.safe_load((catalog / "categories.yml").read_text("utf-8"))
    # Questions are never named by their category.
    rows = {code: row["name"] for name, group in groups.items() if name != "inquiry" for code, row in group.items()}
    reasons = flat(yaml.safe_load((catalog / "reasons.yml").read_text("utf-8")).get("hold", {}), "hold.")
    work = yaml.safe_load((catalog / "work.yml").read_text("utf-8"))
    outside = {f"outside.{row['name']}": row["name"] for row in work["outside"]}
    return {f"catalog.{key}": text for key, text in (rows | reasons | outside).items()}


@cache
def advice_texts() -> dict[str, str]:
    """What emergency.yml says to a resident (its other parts are for staff, or are what must never be said)."""
    found = {}
    for key, text in flat(read("emergency")).items():
        if ".must_not." not in key and not key.endswith((".staff_extra", *PATTERNS)) and key != "version":
            found[f"emergency.{key}"] = text
    return found


TEXTS = sorted((resident_texts() | knowledge_texts() | catalog_texts()).items())
ADVICE = sorted(advice_texts().items())


def ids(rows: list[tuple[str, str]]) -> list[str]:
    return [key for key, _ in rows]


each_text = pytest.mark.parametrize(("key", "text"), TEXTS, ids=ids(TEXTS))
each_word = pytest.mark.parametrize(("key", "text"), TEXTS + ADVICE, ids=ids(TEXTS + ADVICE))


def test_both_audiences_are_found() -> None:
    keys = {key for key, _ in TEXTS}
    assert {"push.accepted", "reply.delayed", "error.bad_login", "utter_greet.0", "progress.new"} <= keys
    assert "push.card" not in keys
    assert len(keys) > 150


def test_no_push_for_staff_goes_to_a_resident() -> None:
    """What the code sends to the reporter stands in the residents' part of pushes.yml."""
    sent = set()
    for file in sorted((ROOT / "tickets").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("tell_reporter"):
                sent |= {one.value for one in ast.walk(node) if isinstance(one, ast.Constant)}
    assert sent & {"push.accepted", "push.appointment", "push.arrived"}
    assert sent & pushes_to_staff() == set()


class NoKeyTwice(yaml.SafeLoader):
    """YAML takes the last of two values under one key in silence; here it is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(set(keys)) == len(keys), sorted(key for key in keys if keys.count(key) > 1)
        return dict(super().construct_mapping(node, deep))


WRITTEN = sorted(file for file in (ROOT / "data").rglob("*.yml") if file.parent.name != "nlu")


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_no_key_has_two_values(file: Path) -> None:
    assert yaml.load(file.read_text("utf-8"), NoKeyTwice)


@each_text
def test_short_enough(key: str, text: str) -> None:
    assert len(PLACE.sub("", text)) <= LONGEST


@each_word
def test_no_banned_word(key: str, text: str) -> None:
    assert not BANNED.search(text)


@each_word
def test_polite_address(key: str, text: str) -> None:
    assert "你" not in text


@each_word
def test_no_exclamation(key: str, text: str) -> None:
    assert len(re.findall("[!！]", text)) <= 1


@each_text
def test_no_trade_words(key: str, text: str) -> None:
    assert not TRADE_WORDS.search(text)


@each_text
def test_no_english(key: str, text: str) -> None:
    assert not LATIN.search(PLACE.sub("", text))


@each_text
def test_at_most_one_apology(key: str, text: str) -> None:
    assert len(APOLOGIES.findall(text)) <= 1


@each_text
def test_a_promise_has_a_clock_time(key: str, text: str) -> None:
    if VAGUE.search(text):
        assert MOMENTS & set(re.findall(r"\{([a-z_]+)\}", text))


@each_text
def test_no_span_of_time_is_promised(key: str, text: str) -> None:
    """今天16:00前, not 两小时内: a span is a number of a setting, and the setting may change."""
    assert not SPANS.search(NO_PROMISE.sub("", PLACE.sub("", text)))


@each_text
def test_places_are_plain_names(key: str, text: str) -> None:
    """Braces are places to fill and nothing else, so that str.format can never fail on a sentence."""
    assert "{" not in PLACE.sub("", text)
    assert "}" not in PLACE.sub("", text)


@pytest.mark.parametrize("kind", sorted(read("emergency")["playbooks"]))
def test_advice_is_short_and_has_no_emoji(kind: str) -> None:
    lines = read("emergency")["playbooks"][kind]["advice"]
    texts = [line if isinstance(line, str) else line["text"] for line in lines]
    assert len(texts) <= 5
    assert not re.search("[\U0001f000-\U0001faff\u2600-\u27bf]", "".join(texts))
