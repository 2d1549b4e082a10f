"""Where in a message the place, the trouble, a person or a period is named: a small trained character tagger.

Addresses are read by grammar and register (nlu/address/); these spans only cut the writer's words out of a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from operator import add
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pycrfsuite

from nlu.classifier import COMPLAINT, QUESTION, REPAIR, Example
from nlu.normalize import Normalized, normalize
from nlu.words import cut, find_concepts, lists

MAX_CHARS = 400
"""Spans are looked for in the first part of a letter only."""

_OUTSIDE = "O"
_DIGIT = re.compile(r"[0-9]")
_NUMERALS = frozenset("一二三四五六七八九十两幺零〇")
_EDGE = "^"
_SURE = 0.4
_FLOORS = {"symptom": (0.6, 0.1), "location": (0.5, 0.35)}
"""Of what a report or complaint tells: what is sure, and from where on the likeliest is taken if nothing is. What else stands in a
complaint is easily taken for its trouble; whoever marked places left out more than they marked too much."""
_NAMELESS_FROM = 0.9
_LONGEST_NAME = 8


@dataclass(frozen=True, slots=True)
class Span:
    """Some words of the original text and what they name."""

    start: int
    end: int
    label: str
    text: str
    confidence: float


@cache
def _list_number() -> re.Pattern[str]:
    """What begins the next thing of a list; no span goes over it."""
    return re.compile(lists()["list_number"])


def _floors(label: str, intent: str) -> tuple[float, float]:
    """From which chance on words of this label are sure, and the likeliest are taken where none is."""
    sure, likely = _FLOORS.get(label, (_SURE, _SURE))
    return (sure, likely) if intent in (REPAIR, COMPLAINT) else (sure, sure)


@cache
def _nameless() -> frozenset[str]:
    """Intents whose messages name nothing."""
    return frozenset(lists()["nameless"])


class Tagger:
    """A trained linear-chain model; make one with `train_tagger` or `Tagger.load`."""

    def __init__(self, stored: bytes) -> None:
        self._stored = stored
        self._crf = pycrfsuite.Tagger()
        self._crf.open_inmemory(stored)

    def __reduce__(self) -> tuple[type[Tagger], tuple[bytes]]:
        return Tagger, (self._stored,)

    def save(self, path: Path) -> None:
        path.write_bytes(self._stored)

    @staticmethod
    def load(path: Path) -> Tagger:
        """Read what `save` wrote."""
        return Tagger(path.read_bytes())

    def find(self, text: str, intent: str = "", confidence: float = 0.0) -> list[Span]:
        """Non-overlapping spans in text order; total for any string. A report or complaint gives its likeliest symptom where none
        is sure; what is surely (`confidence`) a thank-you or the like is not looked through."""
        done = normalize(text[:MAX_CHARS])
        if not done.text or (intent in _nameless() and confidence >= _NAMELESS_FROM):
            return []
        self._crf.set(_observations(done.text))
        floors = {label: _floors(label, intent) for label, *_ in self._labels}
        least = min((likely for _, likely in floors.values()), default=_SURE)
        borders = [match.start() for match in _list_number().finditer(done.text)]
        found = [
            self._span(done, first, last, label, chance)
            for label, chances in self._chances(len(done.text), least)
            for start, end, chance in _named(*floors[label], *chances)
            for first, last in pairwise([start, *(at for at in borders if start < at < end), end])
        ]
        return _apart(found)

    def _chances(self, size: int, floor: float) -> Iterator[tuple[str, tuple[list[float], list[float]]]]:
        """For each label, how likely a span begins at and goes on over each character; only where it more likely than `floor`
        belongs to any span."""
        marginal = self._crf.marginal
        told = [at for at in range(size) if 1 - marginal(_OUTSIDE, at) > floor] if self._labels else []
        if not told:
            return
        for label, *tags in self._labels:
            begins, goes_on = ([0.0] * size for _ in tags)
            for at in told:
                begins[at], goes_on[at] = (marginal(tag, at) if tag else 0.0 for tag in tags)
            yield label, (begins, goes_on)

    @cached_property
    def _labels(self) -> tuple[tuple[str, str, str], ...]:
        """Each label with its two tags, "" for a tag that no training message had."""
        tags = frozenset(self._crf.labels())
        names = sorted({tag[2:] for tag in tags if tag != _OUTSIDE})
        pairs = ((name, f"B-{name}", f"I-{name}") for name in names)
        return tuple((name, begin, inside if inside in tags else "") for name, begin, inside in pairs if begin in tags)

    def _span(self, done: Normalized, start: int, end: int, label: str, chance: float) -> Span:
        number = _list_number().match(done.text, start)
        start = min(number.end(), end) if number else start
        first, last = done.source_span(start, end)
        return Span(first, last, label, done.original[first:last], round(chance, 3))


def _named(
    floor: float, likely_floor: float, begins: Sequence[float], goes_on: Sequence[float]
) -> list[tuple[int, int, float]]:
    """The sure stretches, or the likeliest of the others."""
    if max(map(add, begins, goes_on)) <= likely_floor:
        return []
    sure = list(_stretches(begins, goes_on, floor))
    if sure or likely_floor == floor:
        return sure
    # A single character is more often a slip than what is told.
    likely = sorted(_stretches(begins, goes_on, likely_floor), key=lambda one: (one[1] - one[0] > 1, one[2]))
    return likely[-1:]


def _stretches(begins: Sequence[float], goes_on: Sequence[float], floor: float) -> Iterator[tuple[int, int, float]]:
    """Runs of characters that more likely than `floor` belong to a span."""
    start: int | None = None
    sums = [*map(add, begins, goes_on), 0.0]
    for at, chance in enumerate(sums):
        inside = chance > floor
        if start is not None and (not inside or (begins[at] > goes_on[at] and begins[at] > floor)):
            yield start, at, min(sums[start:at])
            start = None
        if inside and start is None:
            start = at


def _apart(found: Iterable[Span]) -> list[Span]:
    """Where two labels claim the same words the surer one keeps them."""
    kept: list[Span] = []
    for one in sorted(found, key=lambda span: -span.confidence):
        if one.text.strip() and all(one.end <= other.start or other.end <= one.start for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda span: span.start)


@lru_cache(maxsize=8192)
def _shape(char: str) -> str:
    if _DIGIT.match(char) or char in _NUMERALS:
        return "0"
    return "a" if char.isascii() and char.isalpha() else char


def _observations(text: str) -> list[list[str]]:
    """What the model may look at around each character: characters, the word it is in, and what the words stand for."""
    rows = _char_observations(text)
    _add_words(text, rows)
    _add_concepts(text, rows)
    _add_names(text, rows)
    return rows


def _char_observations(text: str) -> list[list[str]]:
    """Single characters up to two away, and pairs of them; triples say nothing more and are slow."""
    shaped = [_shape(char) for char in text]
    padded = [_EDGE, _EDGE, *shaped, _EDGE, _EDGE]
    rows: list[list[str]] = []
    for at in range(2, len(padded) - 2):
        b2, b1, here, a1, a2 = padded[at - 2 : at + 3]
        rows.append(
            [
                f"0{here}",
                f"1{b1}",
                f"2{b2}",
                f"3{a1}",
                f"4{a2}",
                f"5{b1}{here}",
                f"6{here}{a1}",
                f"7{b2}{b1}",
                f"8{a1}{a2}",
            ]
        )
    return rows


def _add_words(text: str, rows: list[list[str]]) -> None:
    """The word around a character, where in it the character stands, and the words before and after; pairs of words say nothing
    more and make the model two thirds larger."""
    words = cut(text)
    at = 0
    for before, word, after in zip([_EDGE, *words], words, [*words[1:], _EDGE], strict=False):
        shared = (f"word{word}", f"wordbefore{before}", f"wordafter{after}")
        for place in range(len(word)):
            part = "s" if len(word) == 1 else "b" if place == 0 else "e" if place == len(word) - 1 else "m"
            rows[at] += (f"part{part}", *shared)
            at += 1


def _add_concepts(text: str, rows: list[list[str]]) -> None:
    """What the words stand for that reach over a character, or over one up to two away."""
    marks: dict[int, set[str]] = {}
    for start, end, concept in find_concepts(text):
        for at in range(start, end):
            marks.setdefault(at, set()).add(("B" if at == start else "I") + concept)
    last = len(rows) - 1
    for at, found in marks.items():
        ordered = sorted(found)
        for distance in (-2, -1, 0, 1, 2):
            if 0 <= at - distance <= last:
                rows[at - distance] += [f"k{distance}{mark}" for mark in ordered]


@cache
def _name_marks() -> tuple[frozenset[str], frozenset[str]]:
    """What names of places begin behind, and what names of compounds often end with."""
    return frozenset(lists()["name_starts"]), frozenset(lists()["name_ends"])


def _add_names(text: str, rows: list[list[str]]) -> None:
    """Whether a character belongs to an unknown run behind 市, 区, 路: most names of compounds are no words."""
    starts, ends = _name_marks()
    since: int | None = None
    for at, char in enumerate(text):
        if char in starts:
            since = 0
        elif since is not None:
            since = since + 1 if "\u4e00" <= char <= "\u9fff" and since < _LONGEST_NAME else None
        if since:
            rows[at] += [f"n{since}", f"n{min(since, 4)}{char}"]
        if at + 1 < len(text) and char in ends:
            rows[at].append("nameend")


def train_tagger(examples: Iterable[Example]) -> Tagger:
    """Fit on marked messages; the same examples give the same tagger in whatever order they come. Questions and small talk are
    not marked in the training data and would teach that the places they name are none."""
    trainer: Any = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params({"c1": 1.0, "c2": 0.3, "max_iterations": 80, "feature.minfreq": 2})
    unmarked = _nameless() | {QUESTION}
    for text, spans in sorted({(one.text, one.spans) for one in examples if one.intent not in unmarked}):
        done = normalize(text[:MAX_CHARS])
        if tags := _tags(done, spans):
            trainer.append(pycrfsuite.ItemSequence(_observations(done.text)), tags)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "spans.crf"
        trainer.train(str(path))
        return Tagger.load(path)


def _tags(done: Normalized, spans: Sequence[tuple[int, int, str]]) -> list[str]:
    tags: list[str] = []
    previous = -1
    for at in range(len(done.text)):
        first, _ = done.source_span(at, at + 1)
        number = next((n for n, (start, end, _) in enumerate(spans) if start <= first < end), -1)
        tags.append(_OUTSIDE if number < 0 else f"{'I' if number == previous else 'B'}-{spans[number][2]}")
        previous = number
    return tags
