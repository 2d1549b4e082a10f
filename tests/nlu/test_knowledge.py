"""The written answers: well-formed, worded by the rules, found for what people type, and silent on the rest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nlu.knowledge import FOLDER, PLACEHOLDERS, UNANSWERED, Entry, Hit, KnowledgeBase, answer
from nlu.normalize import normalize

HELD_OUT: Mapping[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "held_out" / "knowledge.yml").read_text(encoding="utf-8")
)
WORDING: Mapping[str, Any] = HELD_OUT["wording"]
CONFIGURED = {name: f"<{name}>" for name in PLACEHOLDERS}
CATEGORIES = {f"Q{number:02}" for number in range(1, 28)} - {"Q19"}
ANSWERED = ("answered", "last_answered")
UNANSWERABLE = ("unanswered", "last_unanswered")
MAX_CHARS, MAX_SENTENCES = 120, 3


@cache
def base() -> KnowledgeBase:
    return KnowledgeBase.load()


def _texts(entry: Entry) -> Iterator[str]:
    yield from filter(None, (entry.answer, entry.unverified_answer, entry.without))


def _expected(section: str) -> list[tuple[set[str], str]]:
    return [(set(ids.split("|")), text) for ids, texts in HELD_OUT[section].items() for text in texts]


def _found(question: str, category: str = "") -> Hit | None:
    return base().find(question, category, CONFIGURED)


def _recall(section: str) -> float:
    expected = _expected(section)
    hits = [(ids, _found(text)) for ids, text in expected]
    return sum(hit is not None and hit.entry.id in ids for ids, hit in hits) / len(hits)


def _confidently_wrong(answered: str, unanswered: str, hinted: bool) -> list[tuple[str, str]]:
    wrong = []
    for ids, text in [*_expected(answered), *((set[str](), text) for text in HELD_OUT[unanswered])]:
        unhinted = _found(text)
        hit = _found(text, unhinted.entry.category) if hinted and unhinted else unhinted
        if hit is not None and hit.sure and hit.entry.id not in ids:
            wrong.append((text, hit.entry.id))
    return wrong


# --- the entries ---------------------------------------------------------------------------------------------------


def test_the_base_covers_every_category() -> None:
    assert len(base().entries) >= 120
    assert {entry.category for entry in base().entries} == CATEGORIES


@pytest.mark.parametrize("entry", base().entries, ids=lambda entry: entry.id)
def test_entry_is_well_formed(entry: Entry) -> None:
    assert re.fullmatch(r"[a-z_]+", entry.id)
    assert 5 <= len(entry.variants) <= 20
    assert len({normalize(text).text for text in entry.wordings}) == len(entry.wordings)
    assert entry.question and entry.answer and entry.source
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", entry.date)
    assert bool(entry.unverified_answer) == entry.personal
    assert set(entry.only_if) <= PLACEHOLDERS


@pytest.mark.parametrize("entry", base().entries, ids=lambda entry: entry.id)
def test_answers_keep_the_wording_rules(entry: Entry) -> None:
    for text in _texts(entry):
        assert len(text) <= MAX_CHARS
        assert len(re.findall("[\u3002\uff1f]", text)) <= MAX_SENTENCES
        for pattern in WORDING["banned"]:
            assert not re.search(pattern, text), (pattern, text)
        assert set(re.findall(r"\d+", text)) <= set(WORDING["numbers"])


def test_no_wording_belongs_to_two_entries() -> None:
    owners: dict[str, set[str]] = {}
    for entry in base().entries:
        for text in entry.wordings:
            owners.setdefault(normalize(text).text, set()).add(entry.id)
    assert [text for text, ids in owners.items() if len(ids) > 1] == []


@pytest.mark.parametrize(("entry_id", "phrase"), WORDING["required"].items())
def test_refusals_and_disclaimers_are_said(entry_id: str, phrase: str) -> None:
    entry = base().get(entry_id)
    assert entry is not None and phrase in entry.answer


def test_unknown_placeholder_or_field_is_refused(tmp_path: Path) -> None:
    fields = "id: a, category: Q01, question: q, variants: [v], source: s, date: 2025-06-01"
    for bad in ("answer: '{moon_phone}'", "answer: x, moon: 1", "unverified_answer: x"):
        (tmp_path / "bad.yml").write_text("entries: [{" + f"{fields}, {bad}" + "}]", encoding="utf-8")
        with pytest.raises(ValueError, match="a"):
            KnowledgeBase.load(tmp_path)


# --- placeholders --------------------------------------------------------------------------------------------------


@given(known=st.sets(st.sampled_from(sorted(PLACEHOLDERS))), verified=st.booleans(), blank=st.sampled_from(["", "  "]))
@settings(max_examples=60)
def test_an_unconfigured_placeholder_is_never_shown(known: set[str], verified: bool, blank: str) -> None:
    values = {name: CONFIGURED[name] if name in known else blank for name in PLACEHOLDERS}
    for entry in base().entries:
        text = answer(Hit(entry, 1.0, True), values, verified)
        assert "{" not in text and "}" not in text
        assert not any(CONFIGURED[name] in text for name in PLACEHOLDERS - known)
        if entry.answerable(values):
            assert text.endswith("\uff09") and entry.source in text and entry.date in text


def test_a_value_with_braces_is_shown_as_it_is() -> None:
    entry = base().get("card_lost")
    assert entry is not None
    assert "{duty_phone}" in entry.text({"card_fee": "{duty_phone}"}, verified=True)


@pytest.mark.parametrize("entry", base().entries, ids=lambda entry: entry.id)
def test_an_entry_without_its_values_is_never_a_sure_answer(entry: Entry) -> None:
    hit = base().find(entry.question, entry.category, {})
    assert hit is None or not hit.sure or hit.entry.answerable({})
    assert hit is None or all(choice.answerable({}) for choice in hit.choices)


def test_personal_answers_differ_for_people_without_a_verified_home() -> None:
    for entry in base().entries:
        if entry.personal:
            assert entry.text(CONFIGURED, verified=True) != entry.text(CONFIGURED, verified=False)


# --- finding -------------------------------------------------------------------------------------------------------


def test_held_out_lists_are_large_and_not_copied_into_the_base() -> None:
    assert len(_expected("answered")) >= 220 and len(HELD_OUT["unanswered"]) >= 80
    unanswered = yaml.safe_load((FOLDER / UNANSWERED).read_text(encoding="utf-8"))
    known = {normalize(text).text for entry in base().entries for text in entry.wordings}
    refused = {normalize(text).text for group in unanswered.values() for text in group}
    asked = {normalize(text).text for section in ANSWERED for _, text in _expected(section)}
    silent = {normalize(text).text for name in UNANSWERABLE for text in HELD_OUT[name]}
    assert not asked & known and not silent & refused and not (asked & silent)


def test_every_expected_id_exists() -> None:
    for section in ANSWERED:
        assert all(base().get(entry_id) for ids, _ in _expected(section) for entry_id in ids)


@pytest.mark.parametrize("entry", base().entries, ids=lambda entry: entry.id)
def test_the_canonical_question_finds_its_entry(entry: Entry) -> None:
    hit = _found(entry.question)
    assert hit is not None and hit.entry is entry and hit.sure


def test_recall_on_the_held_out_questions() -> None:
    assert _recall("answered") >= 0.90
    assert _recall("last_answered") >= 0.80


@pytest.mark.parametrize("hinted", [False, True])
@pytest.mark.parametrize("kind", ["", "last_"])
def test_a_confident_answer_is_hardly_ever_wrong(kind: str, hinted: bool) -> None:
    answered, unanswered = f"{kind}answered", f"{kind}unanswered"
    wrong = _confidently_wrong(answered, unanswered, hinted)
    assert len(wrong) <= 0.02 * (len(_expected(answered)) + len(HELD_OUT[unanswered])), wrong


def test_the_right_entry_is_answered_or_offered() -> None:
    # Questions whose right entry has no word of theirs go to a person instead of being offered with others that have none.
    for section, floor in (("answered", 0.95), ("last_answered", 0.89)):
        reached = 0
        for ids, text in _expected(section):
            hit = _found(text)
            shown = () if hit is None else (hit.entry,) if hit.sure else hit.choices
            reached += any(entry.id in ids for entry in shown)
        assert reached >= floor * len(_expected(section))


def test_a_short_question_is_answered_from_the_one_before_it() -> None:
    right = 0
    for asked, told, text, wanted in HELD_OUT["follow"]:
        entry = base().get(told)
        assert entry is not None and (not wanted or base().get(wanted)), told
        hit = base().follow(text, entry, asked, CONFIGURED)
        right += (hit.entry.id if hit and hit.sure else "") == wanted
        assert hit is None or hit.entry is not entry
    assert right >= 0.85 * len(HELD_OUT["follow"])


@pytest.mark.parametrize(
    ("question", "entry_id"),
    [
        ("想问哈子我们小区地下车位租一个好多钱一个月", "parking_month"),
        ("我要发票", "invoice_get"),
        ("我问的是门禁卡补一张多少钱", "card_lost"),
        ("快递放你们那儿能放几天", "parcel_keep"),
        ("那楼下充电桩怎么收费", "charger_public"),
        ("就是那个钥匙 我出差能不能放你们那", "key_keep"),
        ("中午休息不", "desk_hours"),
    ],
)
def test_what_plainly_means_one_entry_is_answered_at_once(question: str, entry_id: str) -> None:
    hit = _found(question)
    assert hit is not None and hit.sure and hit.entry.id == entry_id


@pytest.mark.parametrize("question", ["能便宜点不", "要罚款不", "物业费的", "我是租户也能租不", "发票要等几天啊"])
def test_what_could_mean_several_is_not_answered_by_one(question: str) -> None:
    hit = _found(question)
    assert hit is None or not hit.sure


@pytest.mark.parametrize(
    ("question", "beside_it"),
    [
        ("师傅说要砸一面墙 行不", "repair_worker_id"),
        ("能开到公司名下吗", "change_family"),
        ("他不去我代办行不行", "vote_proxy"),
        ("我老公改名了 门禁那边用改不", "change_family"),
        ("那你们不能换电池吗", "policy_change_company"),
    ],
)
def test_only_questions_with_a_word_in_common_are_offered(question: str, beside_it: str) -> None:
    hit = _found(question)
    assert hit is None or beside_it not in {one.id for one in hit.choices}


@given(st.text(max_size=400), st.sampled_from(["", "Q01", "Q99", "?"]))
@settings(max_examples=200)
def test_any_text_is_searched_without_failing(text: str, category: str) -> None:
    hit = base().find(text, category, CONFIGURED)
    assert hit is None or (hit.sure and not hit.choices) or not hit.sure
    assert hit is None or answer(hit, CONFIGURED, verified=False)


@pytest.mark.parametrize("text", ["", *WORDING["silence"]])
def test_nothing_to_go_by_finds_nothing(text: str) -> None:
    assert _found(text) is None


def test_an_injected_instruction_is_only_text() -> None:
    hit = _found(WORDING["injection"])
    assert hit is None or not hit.sure or hit.entry.id == "neighbour_phone"


def test_the_category_is_a_hint_and_not_a_filter() -> None:
    entry = base().get("card_lost")
    assert entry is not None
    hit = _found(entry.question, "Q12")
    assert hit is not None and hit.entry is entry
