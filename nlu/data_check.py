"""Checks the language data: `python -m nlu.data_check` lists what is wrong in data/nlu/ and ends with 1 if anything is.

Looked for: the same message twice, one message under two labels, spans that begin or end where no words do, markup that
was not understood, categories that do not exist, and intents or categories with too few messages to learn from.
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from nlu.classifier import CATEGORY_INTENTS, REPAIR, Example, read_examples, read_several
from nlu.normalize import normalize

DATA = Path(__file__).resolve().parents[1] / "data"
GROUPS = {"report_repair": "repair", "file_complaint": "complaint", "ask_question": "inquiry"}
LABELS = frozenset({"location", "symptom", "person", "period", "ticket_no"})
FEWEST_OF_INTENT = 60
FEWEST_OF_CATEGORY = 12
LONGEST = 300

_MARKS = re.compile(r"[\[\]{}]|\]\(")
_BARE = re.compile(r"\W+")
_EDGE = re.compile(r"^[\s，。！？；、,.!?;]|[\s，。！？；、,.!?;]$")


def problems(examples: Sequence[Example], codes: dict[str, frozenset[str]]) -> Iterator[str]:
    """One line for each thing that is wrong. `codes`: the categories that exist, by intent."""
    yield from _repeated(examples)
    for one in examples:
        if not one.faults:
            yield from _wrong_category(one, codes)
        yield from _wrong_spans(one, LABELS | codes[REPAIR] if one.faults else LABELS)
        if len(one.text) > LONGEST:
            yield f"longer than {LONGEST} characters: {one.text[:40]}…"
    yield from _thin(examples)


def _repeated(examples: Sequence[Example]) -> Iterator[str]:
    seen: dict[str, list[Example]] = defaultdict(list)
    for one in examples:
        seen[_BARE.sub("", normalize(one.text).text.lower()) or one.text].append(one)
    for group in seen.values():
        labels = {(one.intent, one.category) for one in group}
        if len(labels) > 1:
            yield f"one message, several labels {sorted(labels)}: {group[0].text}"
        elif len({one.text for one in group}) < len(group):
            yield f"twice: {group[0].text}"


def _wrong_category(one: Example, codes: dict[str, frozenset[str]]) -> Iterator[str]:
    if one.intent in CATEGORY_INTENTS and one.category not in codes[one.intent]:
        yield f"category {one.category!r} is not one of {one.intent}: {one.text}"
    if one.intent not in CATEGORY_INTENTS and one.category:
        yield f"{one.intent} has no categories: {one.text}"


def _wrong_spans(one: Example, labels: frozenset[str]) -> Iterator[str]:
    if _MARKS.search(one.text):
        yield f"markup that was not understood: {one.text}"
    for start, end, label in one.spans:
        if label not in labels:
            yield f"span label {label!r} is not known: {one.text}"
        if _EDGE.search(one.text[start:end]):
            yield f"span {one.text[start:end]!r} begins or ends with a mark: {one.text}"


def _thin(examples: Sequence[Example]) -> Iterator[str]:
    for intent, count in Counter(one.intent for one in examples).items():
        if count < FEWEST_OF_INTENT:
            yield f"only {count} messages of {intent}, fewer than {FEWEST_OF_INTENT}"
    for (intent, code), count in Counter((one.intent, one.category) for one in examples if one.category).items():
        if count < FEWEST_OF_CATEGORY:
            yield f"only {count} messages of {intent} {code}, fewer than {FEWEST_OF_CATEGORY}"


def known_codes() -> dict[str, frozenset[str]]:
    """The categories of data/catalog/categories.yml by intent."""
    catalog = yaml.safe_load((DATA / "catalog" / "categories.yml").read_text("utf-8"))
    return {intent: frozenset(catalog[group]) for intent, group in GROUPS.items()}


def main() -> int:
    examples = [*read_examples(DATA / "nlu"), *read_several(DATA / "nlu")]
    found = list(problems(examples, known_codes()))
    for line in found:
        print(line)
    intents = len({one.intent for one in examples})
    print(f"{len(examples)} messages, {intents} intents: {len(found) or 'no'} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
