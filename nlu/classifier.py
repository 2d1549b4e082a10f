"""What does the resident want, and about what? Linear models over characters, words and a few hand-made signs.

Pure: numpy at run time, scikit-learn only while training. A model is a vocabulary with one weight table per question
(intent; category of a repair, complaint or inquiry). How this design won, and its numbers: docs/nlu.md.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jieba
import numpy as np
import numpy.typing as npt
import yaml

from nlu.normalize import Normalized, normalize

DICT_DIR = Path(__file__).resolve().parents[1] / "data" / "dict"
WORDS_PATH = DICT_DIR / "domain_words.txt"
LISTS_PATH = DICT_DIR / "understanding.yml"

OUT_OF_SCOPE = "out_of_scope"
CATEGORY_INTENTS = ("report_repair", "file_complaint", "ask_question")

FEATURES_VERSION = 1
MAX_CHARS = 800
"""A message is read this far; a pasted book must not cost a second."""

_LONGEST_NGRAM = 5
_MAX_FAULTS = 5

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Example:
    """One training message; spans are (start, end, label) in `text`."""

    text: str
    intent: str
    category: str = ""
    spans: tuple[tuple[int, int, str], ...] = ()


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
    grievance: bool = False


# --- features ------------------------------------------------------------------------------------------------------


@cache
def _lists() -> dict[str, Any]:
    raw: dict[str, Any] = yaml.safe_load(LISTS_PATH.read_text(encoding="utf-8"))
    return raw


@cache
def _flags() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((f"h:{name}", re.compile(pattern)) for name, pattern in _lists()["flags"].items())


@cache
def _tokenizer() -> jieba.Tokenizer:
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    tokenizer.initialize()
    tokenizer.load_userdict(str(WORDS_PATH))
    return tokenizer


_DIGITS = re.compile(r"[0-9]+")
_LENGTH_STEPS = (1, 2, 4, 6, 9, 13, 18, 25, 40, 80, 160)


def _mask_digits(match: re.Match[str]) -> str:
    """Which number was written never matters to the meaning, only its shape; single digits stay."""
    digits = match.group()
    return digits if len(digits) == 1 else "0" * min(len(digits), 5) if len(digits) != 11 else "0000000"


def prepare(text: str) -> str:
    """The form of a text that features are taken from; offsets are not kept."""
    return _DIGITS.sub(_mask_digits, normalize(text[:MAX_CHARS]).text.lower())


def features(prepared: str) -> tuple[list[str], list[str], list[str]]:
    """Names of character, word and hand features; each block is weighed on its own."""
    return list(_char_ngrams(prepared)), list(_word_ngrams(prepared)), list(_hand_features(prepared))


def _char_ngrams(prepared: str) -> Iterator[str]:
    text = f"\x02{prepared}\x03"
    size = len(text)
    for length in range(1, _LONGEST_NGRAM + 1):
        for start in range(size - length + 1):
            yield text[start : start + length]


def _word_ngrams(prepared: str) -> Iterator[str]:
    previous = "^"
    for word in _tokenizer().cut(prepared, HMM=False):
        yield f"w:{word}"
        yield f"b:{previous}|{word}"
        previous = word
    yield f"b:{previous}|$"


def _hand_features(prepared: str) -> Iterator[str]:
    size = len(prepared)
    yield f"h:length{sum(size > step for step in _LENGTH_STEPS)}"
    if prepared.isdigit():
        yield "h:digits-only"
    for name, pattern in _flags():
        if pattern.search(prepared):
            yield name


_BLOCK_WEIGHTS = (1.0, 0.7, 0.35)


def _weights(names: Sequence[str], idf: Floats, index: dict[str, int], block: float) -> tuple[list[int], Floats]:
    counts = Counter(names)
    columns = [(index[name], count) for name, count in counts.items() if name in index]
    if not columns:
        return [], np.zeros(0, np.float32)
    ids = [column for column, _ in columns]
    values = (1 + np.log([count for _, count in columns])) * idf[ids]
    return ids, (values * (block / np.sqrt(values @ values))).astype(np.float32)


# --- model ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Head:
    """One question the model answers: a weight row per known feature, a column per label."""

    labels: tuple[str, ...]
    weights: Floats
    bias: Floats
    temperature: float = 1.0

    def probabilities(self, columns: list[int], values: Floats) -> npt.NDArray[np.float64]:
        scores = (values @ self.weights[columns] + self.bias).astype(np.float64) / self.temperature
        scores -= scores.max()
        grown = np.exp(scores)
        result: npt.NDArray[np.float64] = grown / grown.sum()
        return result


@dataclass
class Model:
    """Trained understanding of one message; make one with `train` or `Model.load`."""

    vocabulary: tuple[str, ...]
    idf: Floats
    heads: dict[str, Head] = field(default_factory=dict)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.vocabulary)}

    def vector(self, prepared: str) -> tuple[list[int], Floats]:
        """Columns and values of one prepared text."""
        ids: list[int] = []
        parts = []
        for names, block in zip(features(prepared), _BLOCK_WEIGHTS, strict=True):
            found, values = _weights(names, self.idf, self._index, block)
            ids += found
            parts.append(values)
        return ids, np.concatenate(parts)

    def ranking(self, head: str, prepared: str) -> tuple[tuple[str, float], ...]:
        """Every label of one head with its probability, best first; ties in label order."""
        return _ranked(self.heads[head], *self.vector(prepared))

    def predict(self, text: str) -> Prediction:
        """Everything about one message. Total: any string gives an answer."""
        columns, values = self.vector(prepare(text))
        ranking = _ranked(self.heads["intent"], columns, values)
        intent, confidence = ranking[0]
        categories = _ranked(self.heads[intent], columns, values) if intent in self.heads else ()
        category, category_confidence = categories[0] if categories else ("", 0.0)
        faults = tuple(self.split_faults(text)) if intent == "report_repair" else ()
        return Prediction(
            intent, confidence, ranking, category, category_confidence, categories, faults, self.grievance(text, intent)
        )

    def grievance(self, text: str, intent: str) -> bool:
        """Whether the writer blames somebody beside reporting a fault."""
        return intent == "report_repair" and bool(_grievance().search(normalize(text[:MAX_CHARS]).text))

    def split_faults(self, text: str) -> list[Clause]:
        """The faults of one message in its order; a single one spans the whole text."""
        whole = self.ranking("report_repair", prepare(text))[0]
        return [Clause(text, 0, len(text), *whole)]

    def save(self, path: Path) -> None:
        """Write `path`: one compressed npz with the names as JSON inside; nothing executable."""
        arrays: dict[str, npt.NDArray[Any]] = {"idf": self.idf}
        names: dict[str, Any] = {"version": FEATURES_VERSION, "vocabulary": self.vocabulary, "heads": {}}
        for name, head in self.heads.items():
            names["heads"][name] = {"labels": head.labels, "temperature": head.temperature}
            arrays[f"weights:{name}"] = head.weights.astype(np.float16)
            arrays[f"bias:{name}"] = head.bias
        arrays["names"] = np.frombuffer(json.dumps(names, ensure_ascii=False).encode(), np.uint8)
        with path.open("wb") as target:
            np.savez_compressed(target, **arrays)

    @staticmethod
    def load(path: Path) -> Model:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            names = json.loads(stored["names"].tobytes().decode())
            if names["version"] != FEATURES_VERSION:
                raise ValueError(f"model {path} has features version {names['version']}, not {FEATURES_VERSION}")
            heads = {
                name: Head(
                    tuple(about["labels"]),
                    stored[f"weights:{name}"].astype(np.float32),
                    stored[f"bias:{name}"],
                    about["temperature"],
                )
                for name, about in names["heads"].items()
            }
            return Model(tuple(names["vocabulary"]), stored["idf"], heads)


@cache
def _grievance() -> re.Pattern[str]:
    return re.compile(_lists()["grievance"])


def _ranked(head: Head, columns: list[int], values: Floats) -> tuple[tuple[str, float], ...]:
    chances = head.probabilities(columns, values)
    order = np.argsort(-chances, kind="stable")
    return tuple((head.labels[number], float(chances[number])) for number in order)


# --- training ------------------------------------------------------------------------------------------------------

_MIN_DOCUMENTS = 2
_FOLDS = 3
_SEED = 20250612


def train(examples: Iterable[Example]) -> Model:
    """Fit every head; the same examples give the same model, in whatever order they come."""
    known = sorted(set(examples), key=lambda example: (example.text, example.intent, example.category))
    model = _vocabulary([features(prepare(example.text)) for example in known])
    table = _table(model, [prepare(example.text) for example in known])
    model.heads["intent"] = _fit_head(table, [example.intent for example in known])
    for intent in CATEGORY_INTENTS:
        rows = [row for row, example in enumerate(known) if example.intent == intent and example.category]
        if rows:
            model.heads[intent] = _fit_head(table[rows], [known[row].category for row in rows])
    return model


def _vocabulary(blocks: Sequence[tuple[list[str], list[str], list[str]]]) -> Model:
    documents: Counter[str] = Counter()
    for block in blocks:
        documents.update(set().union(*block))
    kept = sorted(name for name, count in documents.items() if count >= _MIN_DOCUMENTS)
    counts = np.array([documents[name] for name in kept])
    idf = (np.log((1 + len(blocks)) / (1 + counts)) + 1).astype(np.float32)
    return Model(tuple(kept), idf)


def _table(model: Model, prepared: Sequence[str]) -> Any:
    from scipy.sparse import csr_matrix

    rows = [model.vector(text) for text in prepared]
    starts = np.cumsum([0] + [len(columns) for columns, _ in rows])
    columns = np.concatenate([np.asarray(columns, np.int32) for columns, _ in rows])
    values = np.concatenate([values for _, values in rows])
    return csr_matrix((values, columns, starts), shape=(len(rows), len(model.vocabulary)))


def _fit_head(table: Any, labels: Sequence[str]) -> Head:
    names = tuple(sorted(set(labels)))
    if len(names) == 1:
        return Head(names, np.zeros((table.shape[1], 1), np.float32), np.zeros(1, np.float32))
    wanted = np.array([names.index(label) for label in labels])
    weights, bias = fit_linear(table, wanted, len(names))
    return Head(names, weights, bias, _temperature(table, wanted, len(names)))


def fit_linear(table: Any, wanted: npt.NDArray[Any], size: int) -> tuple[Floats, Floats]:
    """One-against-rest linear support vectors; classes that are absent get no weight."""
    from sklearn.svm import LinearSVC

    present = np.unique(wanted)
    weights = np.zeros((table.shape[1], size), np.float32)
    bias = np.full(size, -1.0, np.float32)
    if len(present) == 1:
        bias[present] = 1.0
        return weights, bias
    machine = LinearSVC(C=0.5, class_weight=None, random_state=_SEED).fit(table, wanted)
    coefficients, intercept = machine.coef_, machine.intercept_
    if len(present) == 2:
        coefficients, intercept = np.vstack([-coefficients, coefficients]), np.array([-intercept[0], intercept[0]])
    weights[:, present] = coefficients.T
    bias[present] = intercept
    return weights, bias


def _temperature(table: Any, wanted: npt.NDArray[Any], size: int) -> float:
    """The divisor that makes out-of-fold confidences honest."""
    fold = _fold_of(wanted)
    scores = np.zeros((len(wanted), size))
    for number in range(_FOLDS):
        weights, bias = fit_linear(table[fold != number], wanted[fold != number], size)
        scores[fold == number] = table[fold == number] @ weights + bias
    return min(_TEMPERATURES, key=lambda temperature: _log_loss(scores / temperature, wanted))


_TEMPERATURES = tuple(float(step) for step in np.round(np.geomspace(0.02, 3.0, 60), 5))


def _fold_of(wanted: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Deal each class round the folds; examples are sorted by text, so neighbours differ little."""
    fold = np.zeros(len(wanted), np.int32)
    for label in np.unique(wanted):
        rows = np.flatnonzero(wanted == label)
        fold[rows] = (np.arange(len(rows)) + label) % _FOLDS
    return fold


def _log_loss(scores: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
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
    category = str(block.get("metadata", {}).get("category", ""))
    for line in block["examples"].splitlines():
        if line.startswith("- "):
            text, spans = parse_markup(line[2:].strip())
            yield Example(text, block["intent"], category, spans)


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
