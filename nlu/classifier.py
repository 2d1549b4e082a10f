"""What does the resident want, and about what? Linear models over characters and concepts, averaged and made honest.

Pure: numpy at run time, scikit-learn only while training. Features are characters, the concepts of our own dictionary, and what
the words mean elsewhere (nlu/vectors.py). Two views of the same message are averaged: intent first and
category within it, and all (intent, category) pairs side by side. How this design won, and its numbers: docs/nlu.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from threadpoolctl import threadpool_limits

from nlu.faults import (
    FEARED_FAULT,
    OPENED_BLAME,
    SURE_QUESTION,
    SURE_REPAIR,
    Clause,
    Divider,
    Judged,
    Segments,
    learn_divider,
)
from nlu.features import MAX_CHARS, Counted, Floats, Vocabulary, essence, prepare
from nlu.normalize import Normalized, normalize
from nlu.vectors import DESCRIPTION, WordVectors, packaged, principal
from nlu.words import lists

REPAIR = "report_repair"
COMPLAINT = "file_complaint"
QUESTION = "ask_question"
OUT_OF_SCOPE = "out_of_scope"
THANKS = "thanks"
PLEASED = frozenset({THANKS, "praise"})
BESIDE_WHICH = PLEASED | {"reschedule", "urge", "ask_progress"}
"""What somebody may want who tells a new fault in the same breath."""
CATEGORY_INTENTS = (REPAIR, COMPLAINT, QUESTION)
FEATURES_VERSION = 9

_VECTOR_WEIGHT = 0.6
_INTENT = "intent"
_PAIR = "pair"
_DANGER = "danger"
NO_DANGER = "none"
CATEGORY_CODE = re.compile(r"[A-Z][0-9]{2}")

Chances = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Example:
    """One training message; spans are (start, end, label) in `text`. `danger`: the kind it tells of, NO_DANGER, or "" where
    nobody said, so that its category has to tell."""

    text: str
    intent: str
    category: str = ""
    spans: tuple[tuple[int, int, str], ...] = ()
    danger: str = ""

    @property
    def faults(self) -> tuple[int, ...]:
        """Where in a message of data/nlu/several.yml each of its faults is told; empty for every other message."""
        return tuple((start + end) // 2 for start, end, label in self.spans if CATEGORY_CODE.fullmatch(label))


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


_SENTENCES = re.compile(r"[。！？!?\n]+")
_LONG = 50
_MIN_PASSAGE = 4
_MOST_PASSAGES = 12

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


_SURE_FIRST = 0.8


def _of_first(said: Prediction, first: Clause) -> Prediction:
    others = tuple(one for one in said.category_ranking if one[0] != first.category)
    best = (first.category, first.confidence)
    return replace(said, category=best[0], category_confidence=best[1], category_ranking=(best, *others))


def _with_beside(said: Prediction, faults: tuple[Clause, ...]) -> Prediction:
    """Thanks never change what a message is (docs/labelling.md): with a fault beside them it is a repair."""
    if not faults or said.intent != THANKS:
        return replace(said, faults=faults)
    confidence = faults[0].confidence
    ranking = ((REPAIR, confidence), *(one for one in said.ranking if one[0] != REPAIR))
    meant = replace(said, intent=REPAIR, confidence=confidence, ranking=ranking, faults=faults)
    return _of_first(meant, faults[0])


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

    vocabulary: Vocabulary
    rarity: Floats
    vectors: WordVectors
    turn: Floats
    """Which of the numbers that describe a text are looked at (nlu/vectors.py)."""
    heads: dict[str, Head] = field(default_factory=dict)
    divider: Divider = field(default_factory=Divider)

    @property
    def intents(self) -> tuple[str, ...]:
        return self.heads[_INTENT].labels

    def predict(self, text: str) -> Prediction:
        """Everything about one message. Total: any string gives an answer."""
        done = normalize(text[:MAX_CHARS])
        segments = Segments(self, done)
        # Clauses read together with the whole take little time; read afterwards they take as long as it.
        whole, *clauses = self._read([essence(one) for one in (done.text, *segments.texts)])
        said = self._said(text, done, whole)
        if said.intent not in BESIDE_WHICH and said.intent not in CATEGORY_INTENTS:
            return said
        segments.hear([self._judged(one) for one in clauses])
        if said.intent in BESIDE_WHICH:
            return _with_beside(said, tuple(segments.beside_talk(pleased=said.intent in PLEASED)))
        said = replace(said, questions=tuple(segments.questions(opened=said.intent == COMPLAINT)))
        if said.intent != REPAIR:
            return replace(said, faults=tuple(segments.faults(None)))
        faults = tuple(segments.faults(said.category_ranking[0] if said.category_ranking else None))
        if faults and faults[0].confidence >= _SURE_FIRST:
            # The category of a message is that of its first fault (docs/labelling.md), whatever stands beside it.
            said = _of_first(said, faults[0])
        return replace(said, faults=faults, grievance=segments.blame(), complaints=tuple(segments.complaints()))

    def classify(self, text: str) -> Prediction:
        """What the message as a whole means, without the several matters it may hold."""
        done = normalize(text[:MAX_CHARS])
        return self._said(text, done, *self._read([essence(done.text)]))

    def _said(self, text: str, done: Normalized, read: _Reading) -> Prediction:
        if not done.text.strip():
            # Nothing to read, also where the characters are such as nobody sees.
            return Prediction(OUT_OF_SCOPE, 1.0, ((OUT_OF_SCOPE, 1.0),))
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
            yield from self._dangers(passages[:_MOST_PASSAGES])

    def split_faults(self, text: str) -> list[Clause]:
        """The faults of a message taken as a repair, in its order; a single one spans the whole text."""
        done = normalize(text[:MAX_CHARS])
        return Segments(self, done).faults(self.as_repair(done))

    def as_repair(self, done: Normalized) -> tuple[str, float] | None:
        """What the whole message is, if it is a repair."""
        found = self._categories(REPAIR, *self._read([essence(done.text)]))
        return found[0] if found else None

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Clauses of normalised text, each read by itself."""
        return [self._judged(read) for read in self._read([essence(text) for text in texts])] if texts else []

    def _judged(self, read: _Reading) -> Judged:
        """What nobody will ask is not worked out."""
        repair, complaint, question = (
            float(read.intents[self.intents.index(name)]) if name in self.intents else 0.0 for name in CATEGORY_INTENTS
        )
        nothing = ("", 0.0)
        return Judged(
            repair,
            complaint,
            question,
            self._feared_or_fault(read) if repair >= SURE_REPAIR else nothing,
            self._category(COMPLAINT, read) if complaint >= OPENED_BLAME else nothing,
            self._category(QUESTION, read) if question >= SURE_QUESTION else nothing,
        )

    def _feared_or_fault(self, read: _Reading) -> tuple[str, float]:
        """The likeliest fault; a danger that nobody would fear in these words is misread, and the next one stands."""
        dangers, best = lists()["dangers"], self._category(REPAIR, read)
        if best[0] in dangers and self._fear(self._dangers_read(read)) < FEARED_FAULT:
            return next((one for one in self._categories(REPAIR, read) if one[0] not in dangers), best)
        return best

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

    def _weighed(self, prepared: Sequence[str], weights: npt.NDArray[Any]) -> Floats:
        """What some heads make of each text, a row each."""
        counted = self.vocabulary.count(prepared)
        values = counted.values(self.rarity)
        rows = weights.take(counted.features, axis=0).astype(np.float32, copy=False)
        weighed: Floats = self.turned(self.vectors.describe(prepared)) @ weights[-DESCRIPTION:].astype(
            np.float32, copy=False
        )
        for row, (start, end) in zip(weighed, pairwise(counted.texts.tolist()), strict=True):
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
        arrays: dict[str, npt.NDArray[Any]] = {"vocabulary": self.vocabulary.keys, "rarity": self.rarity}
        arrays |= {"vectors": self.vectors.table, "turn": self.turn}
        names: dict[str, Any] = {"version": FEATURES_VERSION, "concepts": self.vocabulary.concepts, "heads": {}}
        names["words"] = self.vectors.words
        for name, head in self.heads.items():
            names["heads"][name] = {"labels": head.labels, "temperature": head.temperature}
            arrays[f"weights:{name}"] = head.weights
            arrays[f"bias:{name}"] = head.bias
        names["divider"] = {"signs": self.divider.names, "bias": self.divider.bias}
        arrays["divider"] = self.divider.weights
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
            about = names["divider"]
            divider = Divider(tuple(about["signs"]), stored["divider"], about["bias"])
            vocabulary = Vocabulary(stored["vocabulary"], tuple(names["concepts"]))
            return Model(vocabulary, stored["rarity"], vectors, stored["turn"], heads, divider)


def _ranked(labels: Sequence[str], chances: Chances) -> tuple[tuple[str, float], ...]:
    """Labels with their chances, best first; ties in label order."""
    order = np.argsort(-chances, kind="stable")
    return tuple(zip(map(labels.__getitem__, order.tolist()), chances[order].tolist(), strict=True))


def _pair_intent(label: str) -> str:
    return label.partition("/")[0]


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
    vocabulary: Vocabulary
    counted: Counted
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
    prepared = [row.prepared for row in rows]
    vocabulary, counted = Vocabulary.of(prepared)
    return Material(ordered, rows, vocabulary, counted, packaged().describe(prepared))


def train(examples: Iterable[Example]) -> Model:
    """Fit every head, and what divides the faults of a message; the same examples give the same model."""
    known = list(examples)
    return divide(fit(gather(one for one in known if not one.faults)), [one for one in known if one.faults])


def divide(model: Model, several: Iterable[Example]) -> Model:
    """Teach a fitted model what divides the faults of a message, by messages it has not learned from."""
    model.divider = learn_divider(model, {one.text: one.faults for one in several})
    return model


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
    documents = np.bincount(material.counted.of(messages).features, minlength=len(material.vocabulary))
    kept = np.flatnonzero(documents >= _MIN_DOCUMENTS)
    rarity = (np.log((1 + len(messages)) / (1 + documents[kept])) + 1).astype(np.float32)
    vocabulary = material.vocabulary.only(kept)
    model = Model(vocabulary, rarity, packaged(), principal(material.described[messages]))
    columns = np.full(len(material.vocabulary), -1, np.int64)
    columns[kept] = np.arange(len(kept))
    counted = material.counted.only(columns)
    shape = (len(material.rows), len(vocabulary))
    parts = (counted.values(rarity), counted.features.astype(np.int32), counted.texts.astype(np.int32))
    known = csr_matrix(parts, shape=shape)
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

_MARKUP = re.compile(r"\[([^\]]+)\](?:\(([a-z_]+|[A-Z][0-9]{2})\)|\{[^}]*\"entity\":\s*\"([a-z_]+)\"[^}]*\})")


def read_examples(folder: Path) -> list[Example]:
    """All messages of a folder of Rasa training files, with their spans and the category of their block."""
    return [one for one in _read_folder(folder) if not one.faults]


def read_several(folder: Path) -> list[Example]:
    """Those that mark where each of their faults is told; they teach where one ends and nothing else."""
    return [one for one in _read_folder(folder) if one.faults]


def _read_folder(folder: Path) -> Iterator[Example]:
    for path in sorted(folder.glob("*.yml")):
        for block in yaml.safe_load(path.read_text(encoding="utf-8")).get("nlu", ()):
            if "intent" in block:
                yield from _block_examples(block)


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
