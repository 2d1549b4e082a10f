"""What does the resident want, and about what? Linear models over characters and concepts, averaged and made honest.

Pure: numpy at run time, scikit-learn only while training. Features are characters, the concepts of our own dictionary, and what
the words mean elsewhere (nlu/vectors.py). Two views of the same message are averaged: intent first and
category within it, and all (intent, category) pairs side by side. How this design won, and its numbers: docs/nlu.md.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from threadpoolctl import threadpool_limits

from nlu.normalize import Normalized, normalize
from nlu.vectors import DESCRIPTION, WordVectors, packaged, principal
from nlu.words import DICT_DIR, DIGITS, find_concepts, mask_digits

LISTS_PATH = DICT_DIR / "understanding.yml"

REPAIR = "report_repair"
COMPLAINT = "file_complaint"
QUESTION = "ask_question"
OUT_OF_SCOPE = "out_of_scope"
CATEGORY_INTENTS = (REPAIR, COMPLAINT, QUESTION)
FEATURES_VERSION = 7
MAX_CHARS = 800
"""A message is read this far; a pasted book must not cost a second."""

_LONGEST_NGRAM = 3
_MAX_PAIRED_CONCEPTS = 14
_SIZE_STEPS = (1, 2, 4, 6, 9, 13, 18, 25, 40, 80, 160)
_BLOCK_WEIGHTS = (1.0, 0.5, 0.1)
_VECTOR_WEIGHT = 0.6
_INTENT = "intent"
_PAIR = "pair"
_DANGER = "danger"
NO_DANGER = "none"

Floats = npt.NDArray[np.float32]
Chances = npt.NDArray[np.float64]
Columns = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Example:
    """One training message; spans are (start, end, label) in `text`. `danger`: the kind it tells of, NO_DANGER, or "" where
    nobody said, so that its category has to tell."""

    text: str
    intent: str
    category: str = ""
    spans: tuple[tuple[int, int, str], ...] = ()
    danger: str = ""


@dataclass(frozen=True, slots=True)
class Clause:
    """One fault of a message: its words in the original text, and what they mean."""

    text: str
    start: int
    end: int
    category: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one message means; category fields are empty when the intent has no categories."""

    intent: str
    confidence: float
    ranking: tuple[tuple[str, float], ...]
    category: str = ""
    category_confidence: float = 0.0
    category_ranking: tuple[tuple[str, float], ...] = ()
    faults: tuple[Clause, ...] = ()
    """Every fault of a repair; for a complaint, the faults it names beside the blame (often none)."""
    grievance: bool = False
    """A repair whose writer also blames somebody."""
    complaints: tuple[Clause, ...] = ()
    """Matters of their own beside the faults of a repair that are complaints, not blame for these faults."""
    questions: tuple[Clause, ...] = ()
    """What is asked beside the faults of a repair or the matter of a complaint."""
    dangers: tuple[tuple[str, float], ...] = ()
    """Kinds of danger (domain.md §3.2) the message may tell of, likeliest first; what is left to 1 says that there is none."""


# --- features ------------------------------------------------------------------------------------------------------

_SENTENCES = re.compile(r"[。！？!?\n]+")
_LONG = 50
_MIN_PASSAGE = 4
_ADDRESS_MARK = "\x04"
_PHONE_MARK = "\x05"
_MIN_ESSENCE = 4


@cache
def lists() -> dict[str, Any]:
    """The word lists of classifier and spans, data/dict/understanding.yml."""
    raw: dict[str, Any] = yaml.safe_load(LISTS_PATH.read_text(encoding="utf-8"))
    return raw


@cache
def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(lists()[name])


def prepare(text: str) -> str:
    """The form of a text that features are taken from; offsets are not kept."""
    return _essence(normalize(text[:MAX_CHARS]).text)


def _essence(normalized: str) -> str:
    """The matter itself: who writes, from where, and politeness become short or go."""
    text = _pattern("phone").sub(_PHONE_MARK, normalized.lower())
    text = _pattern("address").sub(_ADDRESS_MARK, text)
    if _ADDRESS_MARK in text:
        text = _pattern("introduction").sub(_ADDRESS_MARK, text)
    if _PHONE_MARK in text:
        text = _pattern("contact").sub(_PHONE_MARK, text)
    for courtesy in ("greeting", "thanks"):
        rest = _pattern(courtesy).sub("", text)
        text = rest if len(rest) >= _MIN_ESSENCE else text
    return DIGITS.sub(mask_digits, text)


def features(prepared: str) -> tuple[list[str], list[str], list[str]]:
    """Character n-grams, concepts and their pairs, and the size of the message: one block each, in which names may repeat."""
    return _char_ngrams(prepared), _concepts(prepared), [_size_step(prepared)]


def _char_ngrams(prepared: str) -> list[str]:
    """With marks where the text begins and ends."""
    text = f"\x02{prepared}\x03"
    lengths = range(1, _LONGEST_NGRAM + 1)
    return [text[start : start + length] for length in lengths for start in range(len(text) - length + 1)]


def _concepts(prepared: str) -> list[str]:
    """`k:lamp`, `k:dead`, and together `k:dead+lamp`; a long letter holds too many pairs for them to mean anything."""
    found = [f"k:{concept}" for _, _, concept in find_concepts(prepared)]
    each = sorted(set(found))
    if len(each) <= _MAX_PAIRED_CONCEPTS:
        found += [f"{first}+{second[2:]}" for first, second in combinations(each, 2)]
    return found


def _size_step(prepared: str) -> str:
    return f"h:{sum(len(prepared) > step for step in _SIZE_STEPS)}"


@dataclass(frozen=True, slots=True)
class _Counted:
    """How often each feature stands in each block of some texts, block by block: its column, its count, and where blocks begin
    and the last one ends."""

    columns: Columns
    counts: Columns
    borders: Columns

    def values(self, idf: Floats) -> Floats:
        """What each feature counts for: rare ones more, and every block as much as its weight says, however long it is."""
        values: Floats = ((1 + np.log(self.counts.astype(np.float32))) * idf[self.columns]).astype(np.float32)
        sizes = np.diff(self.borders)
        if filled := np.flatnonzero(sizes).tolist():
            lengths = np.sqrt(np.add.reduceat(values * values, self.borders[filled]))
            weights = np.tile(_BLOCK_WEIGHTS, len(sizes) // len(_BLOCK_WEIGHTS))[filled] / lengths
            values *= np.repeat(weights.astype(np.float32), sizes[filled])
        return values

    def only(self, columns: Columns) -> _Counted:
        """With the column that `columns` gives each one, without those that it makes negative."""
        moved = columns[self.columns]
        kept = moved >= 0
        borders = np.concatenate(([0], np.cumsum(kept)))[self.borders]
        return _Counted(moved[kept], self.counts[kept], borders)

    def of(self, texts: Columns) -> _Counted:
        """Of some of the texts, in that order."""
        blocks = (texts[:, None] * len(_BLOCK_WEIGHTS) + np.arange(len(_BLOCK_WEIGHTS))).ravel()
        sizes = np.diff(self.borders)[blocks]
        borders = np.concatenate(([0], np.cumsum(sizes)))
        places = np.repeat(self.borders[blocks] - borders[:-1], sizes) + np.arange(borders[-1])
        return _Counted(self.columns[places], self.counts[places], borders)


def _count(prepared: Iterable[str], column: Callable[[str], int | None]) -> _Counted:
    """The features of some texts that have a column."""
    columns: list[int] = []
    counts: list[int] = []
    borders = [0]
    for blocks in map(features, prepared):
        for names in blocks:
            found: Counter[Any] = Counter(map(column, names))
            found.pop(None, None)
            columns += found.keys()
            counts += found.values()
            borders.append(len(columns))
    return _Counted(np.array(columns, np.int64), np.array(counts, np.int64), np.array(borders))


# --- model ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Head:
    """One question the model answers: a weight row per known feature, a column per label."""

    labels: tuple[str, ...]
    weights: npt.NDArray[np.float16]
    bias: Floats
    temperature: float = 1.0


def _softmax(scores: Chances) -> Chances:
    """Chances out of scores, along the last axis."""
    grown = np.exp(scores - np.maximum.reduce(scores, axis=-1, keepdims=True))
    result: Chances = grown / np.add.reduce(grown, axis=-1, keepdims=True)
    return result


@dataclass(frozen=True, slots=True)
class _Reading:
    """Chances of every intent, and what those of categories and dangers are worked out from when somebody asks."""

    intents: Chances
    pairs: Chances
    scores: Chances
    """Of all heads side by side."""


@dataclass
class Model:
    """Trained understanding of one message; make one with `train` or `Model.load`."""

    vocabulary: tuple[str, ...]
    idf: Floats
    vectors: WordVectors
    turn: Floats
    """Which of the numbers that describe a text are looked at (nlu/vectors.py)."""
    heads: dict[str, Head] = field(default_factory=dict)

    @property
    def intents(self) -> tuple[str, ...]:
        return self.heads[_INTENT].labels

    def predict(self, text: str) -> Prediction:
        """Everything about one message. Total: any string gives an answer."""
        done = normalize(text[:MAX_CHARS])
        said = self._classify(text, done)
        if said.intent not in CATEGORY_INTENTS:
            return said
        segments = _Segments(self, done)
        said = replace(said, questions=tuple(segments.questions(opened=said.intent == COMPLAINT)))
        if said.intent != REPAIR:
            return replace(said, faults=tuple(segments.faults(None)))
        faults = tuple(segments.faults(said.category_ranking[0] if said.category_ranking else None))
        return replace(said, faults=faults, grievance=segments.blame(), complaints=tuple(segments.complaints()))

    def classify(self, text: str) -> Prediction:
        """What the message as a whole means, without the several matters it may hold."""
        return self._classify(text, normalize(text[:MAX_CHARS]))

    def _classify(self, text: str, done: Normalized) -> Prediction:
        if not done.text.strip():
            # Nothing to read, also where the characters are such as nobody sees.
            return Prediction(OUT_OF_SCOPE, 1.0, ((OUT_OF_SCOPE, 1.0),))
        (read,) = self._read([_essence(done.text)])
        ranking = _ranked(self.intents, read.intents)
        intent, confidence = ranking[0]
        categories = self._categories(intent, read)
        category, category_confidence = categories[0] if categories else ("", 0.0)
        dangers = self._gravest(text, self._dangers_read(read))
        return Prediction(intent, confidence, ranking, category, category_confidence, categories, dangers=dangers)

    def fear(self, text: str) -> dict[str, float]:
        """How likely the text, or a sentence of it, tells of each kind of danger; needs no head but that for dangers."""
        return dict(self._gravest(text, *self._dangers([text])))

    def _gravest(self, text: str, whole: Chances) -> tuple[tuple[str, float], ...]:
        """Dangers of the whole or of the sentence that tells most surely of one, likeliest first."""
        dangers = max((whole, *self._passages(text)), key=self._fear)
        return tuple(one for one in _ranked(self.heads[_DANGER].labels, dangers) if one[0] != NO_DANGER)

    def _fear(self, dangers: Chances) -> float:
        labels = self.heads[_DANGER].labels
        return float(dangers.sum() - (dangers[labels.index(NO_DANGER)] if NO_DANGER in labels else 0.0))

    def _dangers(self, texts: Sequence[str]) -> Chances:
        head = self.heads[_DANGER]
        scores = self._weighed([prepare(text) for text in texts], head.weights) + head.bias
        return _softmax((scores / head.temperature).astype(np.float64))

    def _dangers_read(self, read: _Reading) -> Chances:
        return _softmax(read.scores[self._stacked[2][_DANGER]])

    def _passages(self, text: str) -> Iterator[Chances]:
        """What the sentences of a long message tell of: a danger in the middle of a letter is lost in the whole."""
        passages = [one for one in _SENTENCES.split(text[:MAX_CHARS]) if len(one) >= _MIN_PASSAGE]
        if len(text) > _LONG and len(passages) > 1:
            yield from self._dangers(passages[:_MAX_SEGMENTS])

    def split_faults(self, text: str) -> list[Clause]:
        """The faults of a message taken as a repair, in its order; a single one spans the whole text."""
        done = normalize(text[:MAX_CHARS])
        whole = self._categories(REPAIR, *self._read([_essence(done.text)]))
        return _Segments(self, done).faults(whole[0] if whole else None)

    def _category_chances(self, intent: str, read: _Reading) -> Chances | None:
        """The average of both views within an intent; None for an intent without categories."""
        columns = self._pair_columns.get(intent)
        if columns is None:
            return None
        within = read.pairs[columns]
        own = _softmax(read.scores[self._stacked[2][intent]])
        total = within.sum()
        return (own + within / total) / 2 if total > 0 else own

    def _categories(self, intent: str, read: _Reading) -> tuple[tuple[str, float], ...]:
        chances = self._category_chances(intent, read)
        return () if chances is None else _ranked(self.heads[intent].labels, chances)

    def _category(self, intent: str, read: _Reading) -> tuple[str, float]:
        """The likeliest one."""
        chances = self._category_chances(intent, read)
        if chances is None:
            return "", 0.0
        best = int(chances.argmax())
        return self.heads[intent].labels[best], float(chances[best])

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.vocabulary)}

    @cached_property
    def _pair_intents(self) -> Chances:
        """A row for every pair, with 1 at its intent."""
        return np.eye(len(self.intents))[
            [self.intents.index(_pair_intent(label)) for label in self.heads[_PAIR].labels]
        ]

    @cached_property
    def _pair_columns(self) -> dict[str, npt.NDArray[np.int64]]:
        """For each intent with categories, the pairs in the order of its categories."""
        pairs = self.heads[_PAIR].labels
        return {
            intent: np.array([pairs.index(f"{intent}/{label}") for label in self.heads[intent].labels])
            for intent in CATEGORY_INTENTS
            if intent in self.heads
        }

    def turned(self, described: Floats) -> Floats:
        """What the words of texts mean elsewhere: `DESCRIPTION` numbers a row, dense columns behind those of the vocabulary."""
        turned: Floats = described @ self.turn * np.float32(_VECTOR_WEIGHT)
        return turned

    def known(self, prepared: Sequence[str]) -> tuple[Columns, Floats, Columns]:
        """Columns and values of the features that the vocabulary knows, text by text, and where each text begins and the last one
        ends. Each block of a text has a length of its own."""
        counted = _count(prepared, self._index.get)
        return counted.columns, counted.values(self.idf), counted.borders[:: len(_BLOCK_WEIGHTS)]

    def _weighed(self, prepared: Sequence[str], weights: npt.NDArray[Any]) -> Floats:
        """What some heads make of each text, a row each."""
        columns, values, borders = self.known(prepared)
        rows = weights.take(columns, axis=0).astype(np.float32, copy=False)
        weighed: Floats = self.turned(self.vectors.describe(prepared)) @ weights[-DESCRIPTION:].astype(
            np.float32, copy=False
        )
        for row, (start, end) in zip(weighed, pairwise(borders.tolist()), strict=True):
            row += values[start:end] @ rows[start:end]
        return weighed

    @cached_property
    def _stacked(self) -> tuple[Floats, Floats, dict[str, slice]]:
        """All heads side by side, temperatures applied: one product answers every question."""
        borders = np.cumsum([0] + [len(head.labels) for head in self.heads.values()]).tolist()
        places = {name: slice(*pair) for name, pair in zip(self.heads, pairwise(borders), strict=True)}
        heads = self.heads.values()
        weights = np.hstack([head.weights.astype(np.float32) / np.float32(head.temperature) for head in heads])
        bias = np.concatenate([head.bias / np.float32(head.temperature) for head in heads])
        return weights, bias, places

    def _read(self, prepared: Sequence[str]) -> list[_Reading]:
        """The average of both views, of several texts at once: that takes little more than one."""
        weights, bias, places = self._stacked
        scores = (self._weighed(prepared, weights) + bias).astype(np.float64)
        pairs = _softmax(scores[:, places[_PAIR]])
        intents = (_softmax(scores[:, places[_INTENT]]) + pairs @ self._pair_intents) / 2
        return [_Reading(*rows) for rows in zip(intents, pairs, scores, strict=True)]

    def save(self, path: Path) -> None:
        """Write one compressed npz with the names as JSON inside; nothing executable."""
        arrays: dict[str, npt.NDArray[Any]] = {"idf": self.idf, "vectors": self.vectors.table, "turn": self.turn}
        names: dict[str, Any] = {"version": FEATURES_VERSION, "vocabulary": self.vocabulary, "heads": {}}
        names["words"] = self.vectors.words
        for name, head in self.heads.items():
            names["heads"][name] = {"labels": head.labels, "temperature": head.temperature}
            arrays[f"weights:{name}"] = head.weights
            arrays[f"bias:{name}"] = head.bias
        arrays["names"] = np.frombuffer(json.dumps(names, ensure_ascii=False).encode(), np.uint8)
        with path.open("wb") as target:
            np.savez_compressed(target, **arrays)

    @staticmethod
    def load(path: Path, *, only_dangers: bool = False) -> Model:
        """Read what `save` wrote. `only_dangers`: a small part that answers `fear` and nothing else.

        From then on the process multiplies with one thread: a message is so short a product that waking a second one takes
        longer than all the rest (docs/nlu.md).
        """
        threadpool_limits(1, user_api="blas")
        with np.load(path, allow_pickle=False) as stored:
            names = json.loads(stored["names"].tobytes().decode())
            if names["version"] != FEATURES_VERSION:
                raise ValueError(f"model {path} has features version {names['version']}, not {FEATURES_VERSION}")
            heads = {
                name: Head(
                    tuple(about["labels"]), stored[f"weights:{name}"], stored[f"bias:{name}"], about["temperature"]
                )
                for name, about in names["heads"].items()
                if name == _DANGER or not only_dangers
            }
            vectors = WordVectors(tuple(names["words"]), stored["vectors"])
            return Model(tuple(names["vocabulary"]), stored["idf"], vectors, stored["turn"], heads)


def _ranked(labels: Sequence[str], chances: Chances) -> tuple[tuple[str, float], ...]:
    """Labels with their chances, best first; ties in label order."""
    order = np.argsort(-chances, kind="stable")
    return tuple(zip((labels[number] for number in order.tolist()), chances[order].tolist(), strict=True))


def _pair_intent(label: str) -> str:
    return label.partition("/")[0]


# --- several faults in one message ---------------------------------------------------------------------------------

_MAX_SEGMENTS = 12
_MAX_FAULTS = 5
_MIN_SEGMENT = 3

_SURE_REPAIR = 0.4
_SURE_CATEGORY = 0.5
_BESIDE_COMPLAINT = 0.75
_SURE_BLAME, _OPENED_BLAME = 0.7, 0.5
_SURE_QUESTION = 0.8
_FEARED = 0.1
_UNNAMED = "X00"


@cache
def _families(name: str) -> dict[str, frozenset[int]]:
    """For each repair code, the groups of such codes that it belongs to."""
    found: dict[str, set[int]] = {}
    for number, codes in enumerate(lists()[name]):
        for code in codes:
            found.setdefault(code, set()).add(number)
    return {code: frozenset(numbers) for code, numbers in found.items()}


@dataclass(slots=True)
class _Segment:
    """A stretch of the normalised text between two borders, and what it says by itself."""

    start: int
    end: int
    text: str
    opened: bool
    listed: bool = False
    repair: float = 0.0
    complaint: float = 0.0
    category: str = ""
    confidence: float = 0.0
    complaint_category: str = ""
    complaint_confidence: float = 0.0
    question: float = 0.0
    question_category: str = ""
    question_confidence: float = 0.0
    fear: float = 0.0

    @property
    def accuses(self) -> bool:
        return self.complaint >= _SURE_BLAME and self.complaint_category in lists()["blame_codes"]

    def names_fault(self, floor: float) -> bool:
        """Whether these words alone report a fault; the first ones, and those that change the matter, may be vague."""
        if self.repair < floor or self.confidence < _SURE_CATEGORY:
            return False
        if self.category in lists()["dangers"] and self.fear < _FEARED:
            return False
        return self.start == 0 or self.opened or bool(_pattern("thing").search(self.text))

    @property
    def supposed(self) -> bool:
        return bool(_pattern("supposed").search(self.text))

    @property
    def shared(self) -> bool:
        return bool(_pattern("shared").search(self.text))

    @property
    def places(self) -> frozenset[str]:
        return frozenset(_pattern("place").findall(self.text))


class _Segments:
    """The clauses of one message, read one by one."""

    def __init__(self, model: Model, done: Normalized) -> None:
        self._model = model
        self._done = done
        self._all = _cut(done)[:_MAX_SEGMENTS]
        if len(self._all) > 1:
            self._judge([segment for segment in self._all if len(segment.text) >= _MIN_SEGMENT])

    def _judge(self, segments: Sequence[_Segment]) -> None:
        self._read(segments, [segment.text for segment in segments])
        doubtful = list(self._in_other_words())
        others = [replace(segment) for segment, _ in doubtful]
        self._read(others, [words for _, words in doubtful])
        for (segment, _), other in zip(doubtful, others, strict=True):
            if other.repair >= _SURE_REPAIR and other.confidence >= _SURE_CATEGORY:
                segment.category, segment.confidence = other.category, other.confidence

    def _in_other_words(self) -> Iterator[tuple[_Segment, str]]:
        """Faults whose category is better told by other words: without a place that says more than the thing (「阳台门关不上」),
        or with the shared place that was spoken of before (「那边的灯也坏了」)."""
        around = ""
        for segment in self._all:
            if segment.repair >= _SURE_REPAIR and not segment.shared:
                if segment.confidence < _SURE_CATEGORY and segment.places:
                    yield segment, _pattern("place").sub("", segment.text)
                elif around and _pattern("pointer").search(segment.text):
                    yield segment, around + segment.text
            around = next(iter(_pattern("shared").findall(segment.text)), around)

    def _read(self, segments: Sequence[_Segment], texts: Sequence[str]) -> None:
        model, names = self._model, self._model.intents
        found = model._read([_essence(text) for text in texts]) if texts else []
        for segment, read in zip(segments, found, strict=True):
            segment.repair, segment.complaint, segment.question = (
                float(read.intents[names.index(name)]) if name in names else 0.0
                for name in (REPAIR, COMPLAINT, QUESTION)
            )
            if _pattern("accused").search(segment.text):
                segment.complaint = 0.0
            # What nobody will ask is not worked out.
            if segment.repair >= _SURE_REPAIR:
                segment.category, segment.confidence = model._category(REPAIR, read)
            if segment.category in lists()["dangers"]:
                segment.fear = model._fear(model._dangers_read(read))
            if segment.complaint >= _OPENED_BLAME:
                segment.complaint_category, segment.complaint_confidence = model._category(COMPLAINT, read)
            if segment.question >= _SURE_QUESTION:
                segment.question_category, segment.question_confidence = model._category(QUESTION, read)

    def blame(self) -> bool:
        """Whether the words blame somebody, anywhere or in a clause of their own."""
        if _pattern("grievance").search(self._done.text):
            return True
        return any(segment.accuses for segment in self._all)

    def complaints(self) -> Iterator[Clause]:
        """Clauses that complain of something else than the faults; blame for the faults is a grievance."""
        told: list[str] = []
        for segment in self._all:
            floor = _OPENED_BLAME if segment.opened else _SURE_BLAME
            sure = segment.complaint >= floor and segment.complaint_confidence >= _SURE_CATEGORY
            code, confidence = segment.complaint_category, segment.complaint_confidence
            if sure and not segment.accuses and told[-1:] != [code]:
                told.append(code)
                yield self._clause(segment.start, segment.end, code, confidence)

    def questions(self, *, opened: bool) -> Iterator[Clause]:
        """Clauses that ask for something. `opened`: only those that change the matter, since who complains also asks what
        wants no answer."""
        for segment in self._all:
            if segment.question >= _SURE_QUESTION and (segment.opened or not opened):
                code, confidence = segment.question_category, segment.question_confidence
                yield self._clause(segment.start, segment.end, code, confidence)

    def faults(self, whole: tuple[str, float] | None) -> list[Clause]:
        """One clause per fault. `whole` is what the message means as one repair; None asks for sure faults only."""
        floor = _SURE_REPAIR if whole else _BESIDE_COMPLAINT
        heads: list[_Segment] = []
        for segment in self._all:
            if not segment.names_fault(floor) or (whole is None and segment.supposed):
                continue
            if all(_is_another(head, segment) for head in heads):
                heads.append(segment)
        # 「想报两个东西」 is none beside those that it announces.
        heads = [head for head in heads if head.category != _UNNAMED] or heads[:1]
        if whole and len(heads) < 2:
            return [self._clause(0, len(self._done.text), *whole)]
        return [*self._clauses(heads[:_MAX_FAULTS], from_start=whole is not None)]

    def _clauses(self, heads: Sequence[_Segment], *, from_start: bool) -> Iterator[Clause]:
        for number, head in enumerate(heads):
            if head.listed:
                yield replace(self._clause(head.start, head.end, head.category, head.confidence), text=head.text)
                continue
            start = 0 if number == 0 and from_start else head.start
            end = heads[number + 1].start if number + 1 < len(heads) else len(self._done.text)
            yield self._clause(start, end, head.category, head.confidence)

    def _clause(self, start: int, end: int, category: str, confidence: float) -> Clause:
        first, last = self._done.source_span(start, end)
        piece = self._done.original[first:last]
        lead = len(piece) - len(piece.lstrip(_TRIM))
        piece = piece.strip(_TRIM)
        return Clause(piece, first + lead, first + lead + len(piece), category, confidence)


_SPACE = "\x06"
_TRIM = " \t\r\n，。！？；,.!?;、"


def _cut(done: Normalized) -> list[_Segment]:
    """Borders are sentence marks, the writer's spaces, and words that open another matter; things listed are a stretch each."""
    text = done.text
    borders = {0, len(text), *done.breaks}
    borders.update(match.end() for match in _pattern("border").finditer(text))
    borders.update(match.start() for match in _next_told().finditer(text))
    openers = {match.start(): match.end() for match in _pattern("openers").finditer(text)}
    borders.update(openers)
    listed = {one.start: one for one in _listed_things(done)}
    inside = {at for one in listed.values() for at in range(one.start + 1, one.end)}
    borders = (borders - inside) | {at for one in listed.values() for at in (one.start, one.end)}
    found: list[_Segment] = []
    for start, end in pairwise(sorted(borders)):
        body = text[openers.get(start, start) : end].strip(_TRIM)
        if start in listed:
            found.append(listed[start])
        elif found and len(body) < _MIN_SEGMENT and start not in openers:
            # 「门把手 松了」: too short to say anything by itself.
            found[-1] = replace(found[-1], end=end, text=found[-1].text + body)
        elif body:
            found.append(_Segment(start, end, body, start in openers))
    return found


def _listed_things(done: Normalized) -> Iterator[_Segment]:
    """「客厅灯、水龙头和门锁都坏了」: each thing with what is told of all of them."""
    text, join = _spaced(done), lists()["listed_join"]
    for match in _listed().finditer(text):
        start = match.start()
        for border in [*re.finditer(join, match["items"]), None]:
            end = match.end() if border is None else match.start() + border.start()
            item = text[start : match.end("items") if border is None else end]
            if _pattern("thing").search(item):
                first, last = (at - text[:at].count(_SPACE) for at in (start, end))
                yield _Segment(first, last, item.strip(_TRIM) + match["told"], first > 0, listed=True)
            start = match.end() if border is None else match.start() + border.end()


def _spaced(done: Normalized) -> str:
    """The text with the writer's spaces, which a list may do without other marks."""
    borders = [0, *sorted(set(done.breaks)), len(done.text)]
    return _SPACE.join(done.text[start:end] for start, end in pairwise(borders))


@cache
def _listed() -> re.Pattern[str]:
    words = lists()
    item, join = words["listed_item"].replace("{thing}", words["thing"]), words["listed_join"]
    return re.compile(f"(?P<items>(?:{item})(?:(?:{join})+(?:{item})){{1,4}})(?:{join})?{words['listed_told']}")


@cache
def _next_told() -> re.Pattern[str]:
    """Where one fault is told and another begins without a mark between them, or with that of a list."""
    words = lists()
    place, thing = words["place"], words["thing"]
    return re.compile(
        f"(?:{words['told']})(?=、|{words['told_join']}(?:{place}|{thing})(?!{words['effect']}))|(?=、(?:{place}))"
    )


def _is_another(head: _Segment, segment: _Segment) -> bool:
    """Whether a clause names a fault of its own, and not the cause, effect or detail of an earlier one."""
    if not segment.opened and _pattern("aftermath").search(segment.text):
        return False
    apart = bool(head.places and segment.places and head.places.isdisjoint(segment.places))
    told, here = (frozenset(_pattern("thing").findall(one.text)) for one in (head, segment))
    if head.category == segment.category:
        # The same again elsewhere; a leak in two rooms is told with 也, its stains in the next room are not.
        return apart and (segment.opened or bool(told & here) or bool(_pattern("also").search(segment.text)))
    if _related("families", head, segment):
        if told & here:
            return head.shared != segment.shared
        return segment.opened or apart or bool(told and here and _pattern("also").search(segment.text))
    if _related("alike", head, segment):
        return segment.opened or apart or bool(told and here and not told & here)
    return True


def _related(families: str, head: _Segment, segment: _Segment) -> bool:
    found = _families(families)
    return bool(found.get(head.category, frozenset()) & found.get(segment.category, frozenset()))


# --- training ------------------------------------------------------------------------------------------------------

_MIN_DOCUMENTS = 2
_FOLDS = 4
_MANY_ROWS = 4000
_COST = 2.0
# A closer fit takes twice as long and gives the same answers.
_TOLERANCE = 0.1
_SEED = 20250612
_MIN_CROP = 4
_CROP_BORDER = re.compile(r"[^\s，。！？；,.!?;]+")
_TEMPERATURES = tuple(float(step) for step in np.round(np.geomspace(0.02, 3.0, 60), 5))


@dataclass(frozen=True, slots=True)
class _Row:
    """One text to learn from; clauses of the same message share its group and are not used to judge confidence."""

    prepared: str
    intent: str
    category: str
    group: int
    whole: bool
    danger: str = ""

    @property
    def pair(self) -> str:
        return f"{self.intent}/{self.category}"


@dataclass(frozen=True, slots=True)
class Material:
    """Messages made ready to learn from, whichever of them are learned; make it with `gather`."""

    examples: tuple[Example, ...]
    rows: tuple[_Row, ...]
    names: tuple[str, ...]
    """Of every feature, by column."""
    counted: _Counted
    described: Floats
    """A row of every text: what its words mean elsewhere."""

    def without(self, examples: frozenset[Example]) -> Material:
        """What is left when some messages, and what was made of them, are put aside."""
        kept = np.array([at for at, row in enumerate(self.rows) if self.examples[row.group] not in examples], np.int64)
        rows = tuple(self.rows[at] for at in kept.tolist())
        return replace(self, rows=rows, counted=self.counted.of(kept), described=self.described[kept])


def gather(examples: Iterable[Example]) -> Material:
    """Read the features of all messages, in whatever order they come. Raises ValueError where there are none."""
    ordered = tuple(sorted(set(examples), key=_order))
    rows = tuple(_rows(ordered))
    if not rows:
        raise ValueError("no training examples")
    columns: dict[str, int] = {}
    prepared = [row.prepared for row in rows]
    counted = _count(prepared, lambda name: columns.setdefault(name, len(columns)))
    return Material(ordered, rows, tuple(columns), counted, packaged().describe(prepared))


def train(examples: Iterable[Example]) -> Model:
    """Fit every head; the same examples give the same model."""
    return fit(gather(examples))


def fit(material: Material, temperatures: Mapping[str, float] | None = None) -> Model:
    """Fit every head. `temperatures`: those of a model that was trained on much the same, so that a third of the work need not
    be done again."""
    rows = material.rows
    model, table = _weighed_table(material)
    from joblib import Parallel, cpu_count, delayed

    # The fitting library keeps one random state per process: side by side only in processes of their own.
    jobs = cpu_count() if len(rows) >= _MANY_ROWS else 1
    tasks = list(_tasks(rows))
    wanted = 2 if temperatures is None else 1
    pieces = [piece for _, at, labels in tasks for piece in _fits(table[at], [rows[n] for n in at], labels)[:wanted]]
    work = (delayed(function)(*arguments) for function, *arguments in pieces)
    found = iter(Parallel(n_jobs=jobs, max_nbytes=None)(work))
    for name, _, labels in tasks:
        weights, bias = next(found)
        temperature = next(found) if temperatures is None else temperatures[name]
        model.heads[name] = Head(tuple(sorted(set(labels))), weights.astype(np.float16), bias, temperature)
    return model


def _order(one: Example) -> tuple[Any, ...]:
    return one.text, one.intent, one.category, one.spans, one.danger


def _tasks(rows: Sequence[_Row]) -> Iterator[tuple[str, list[int], list[str]]]:
    """Every head: its name, the rows it learns from, and their labels; the longest first."""
    # A clause out of its message is no model of a short answer: without it fewer answers are taken for faults.
    whole = [number for number, row in enumerate(rows) if row.whole]
    yield _PAIR, whole, [rows[at].pair for at in whole]
    yield _INTENT, whole, [rows[at].intent for at in whole]
    for intent in CATEGORY_INTENTS:
        numbers = [number for number, row in enumerate(rows) if row.intent == intent and row.category]
        if numbers:
            yield intent, numbers, [rows[at].category for at in numbers]
    known = [number for number, row in enumerate(rows) if row.danger]
    yield _DANGER, known, [rows[at].danger for at in known]


def _rows(examples: Sequence[Example]) -> Iterator[_Row]:
    """Messages, and of long repairs and complaints the one clause that tells the symptom. Where several tell one, each may be
    a fault of its own, and the category of the whole message would be wrong for the others."""
    for group, one in enumerate(examples):
        yield _Row(prepare(one.text), one.intent, one.category, group, True, danger_of(one))
        if one.intent in (REPAIR, COMPLAINT):
            clauses = list(_CROP_BORDER.finditer(one.text))
            telling = [clause.group() for clause in clauses if _tells_symptom(one, clause)]
            if len(telling) == 1 < len(clauses) and len(telling[0]) >= _MIN_CROP:
                yield _Row(prepare(telling[0]), one.intent, one.category, group, False)


def _tells_symptom(one: Example, clause: re.Match[str]) -> bool:
    inside = ((start, end) for start, end, label in one.spans if label == "symptom")
    return any(clause.start() <= start and end <= clause.end() for start, end in inside)


def danger_of(one: Example) -> str:
    """The kind of danger, NO_DANGER, or "" where neither the writer of the example nor its category tells."""
    if one.danger or one.category in lists()["unclear_dangers"]:
        return one.danger
    return str(lists()["dangers"].get(one.category, NO_DANGER))


def _weighed_table(material: Material) -> tuple[Model, Any]:
    """A model that knows its features and answers nothing yet, and what each row holds of them."""
    from scipy.sparse import csr_matrix, hstack

    messages = np.array([at for at, row in enumerate(material.rows) if row.whole], np.int64)
    documents = np.bincount(material.counted.of(messages).columns, minlength=len(material.names))
    kept = np.array(sorted(np.flatnonzero(documents >= _MIN_DOCUMENTS).tolist(), key=material.names.__getitem__))
    rarity = (np.log((1 + len(messages)) / (1 + documents[kept])) + 1).astype(np.float32)
    names = tuple(material.names[at] for at in kept.tolist())
    model = Model(names, rarity, packaged(), principal(material.described[messages]))
    columns = np.full(len(material.names), -1, np.int64)
    columns[kept] = np.arange(len(kept))
    counted = material.counted.only(columns)
    borders = counted.borders[:: len(_BLOCK_WEIGHTS)].astype(np.int32)
    shape = (len(material.rows), len(names))
    known = csr_matrix((counted.values(rarity), counted.columns.astype(np.int32), borders), shape=shape)
    return model, hstack([known, csr_matrix(model.turned(material.described))], format="csr")


def _fits(table: Any, rows: Sequence[_Row], labels: Sequence[str]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The two pieces of work that one head takes: its weights, and how honest they are."""
    names = sorted(set(labels))
    number = {name: place for place, name in enumerate(names)}
    wanted = np.array([number[label] for label in labels])
    judged = np.array([(row.group % _FOLDS, row.whole) for row in rows])
    return (fit_linear, table, wanted, len(names)), (_temperature, table, judged, wanted, len(names))


def fit_linear(table: Any, wanted: npt.NDArray[Any], size: int) -> tuple[Floats, Floats]:
    """One-against-rest linear support vectors; classes that are absent get no weight."""
    from sklearn.svm import LinearSVC

    present = np.unique(wanted)
    weights = np.zeros((table.shape[1], size), np.float32)
    bias = np.full(size, -1.0, np.float32)
    if len(present) == 1:
        bias[present] = 1.0
        return weights, bias
    machine = LinearSVC(C=_COST, random_state=_SEED, tol=_TOLERANCE).fit(table, wanted)
    coefficients, intercept = machine.coef_, machine.intercept_
    if len(present) == 2:
        coefficients, intercept = np.vstack([-coefficients, coefficients]), np.array([-intercept[0], intercept[0]])
    weights[:, present] = coefficients.T
    bias[present] = intercept
    return weights, bias


def _temperature(table: Any, judged: npt.NDArray[Any], wanted: npt.NDArray[Any], size: int) -> float:
    """The divisor that makes confidences honest on messages that were held back. `judged`: (fold, a whole message).

    Half of the messages teach, a quarter judges; with three quarters it comes out nearly the same, for half as much time again.
    """
    test = (judged[:, 0] == 0) & (judged[:, 1] == 1)
    taught = (judged[:, 0] > 0) & (judged[:, 0] <= _FOLDS // 2)
    if not taught.any() or not test.any():
        return 1.0
    weights, bias = fit_linear(table[taught], wanted[taught], size)
    scores = table[test] @ weights + bias
    return min(_TEMPERATURES, key=lambda temperature: _log_loss(scores / temperature, wanted[test]))


def _log_loss(scores: Chances, wanted: npt.NDArray[Any]) -> float:
    shifted = scores - scores.max(axis=1, keepdims=True)
    chances = shifted[np.arange(len(wanted)), wanted] - np.log(np.exp(shifted).sum(axis=1))
    return float(-chances.mean())


# --- examples in Rasa's YAML ---------------------------------------------------------------------------------------

_MARKUP = re.compile(r"\[([^\]]+)\](?:\(([a-z_]+)\)|\{[^}]*\"entity\":\s*\"([a-z_]+)\"[^}]*\})")


def read_examples(folder: Path) -> list[Example]:
    """All messages of a folder of Rasa training files, with their spans and the category of their block."""
    found: list[Example] = []
    for path in sorted(folder.glob("*.yml")):
        for block in yaml.safe_load(path.read_text(encoding="utf-8")).get("nlu", ()):
            if "intent" in block:
                found += _block_examples(block)
    return found


def _block_examples(block: dict[str, Any]) -> Iterator[Example]:
    about = block.get("metadata", {})
    category, danger = str(about.get("category", "")), str(about.get("danger", ""))
    for line in block["examples"].splitlines():
        if line.startswith("- "):
            text, spans = parse_markup(line[2:].strip())
            yield Example(text, block["intent"], category, spans, danger)


def parse_markup(line: str) -> tuple[str, tuple[tuple[int, int, str], ...]]:
    """`[words](label)` becomes plain text and a span."""
    pieces: list[str] = []
    spans: list[tuple[int, int, str]] = []
    size = at = 0
    for match in _MARKUP.finditer(line):
        pieces += [line[at : match.start()], match.group(1)]
        start = size + match.start() - at
        size = start + len(match.group(1))
        spans.append((start, size, match.group(2) or match.group(3)))
        at = match.end()
    pieces.append(line[at:])
    return "".join(pieces), tuple(spans)
