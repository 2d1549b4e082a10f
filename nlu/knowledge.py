"""The desk's written answers, and the way from a resident's wording to one of them.

Retrieval is deterministic: a linear model over characters, words that mean the same here and the concepts behind words,
fitted when the base is loaded. It says how sure it is, because a confident wrong answer costs more than a question passed to a person. What
must be configured by the community is a {placeholder}; an entry is never shown with one of them empty.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import yaml
from numpy.typing import NDArray
from scipy.sparse import lil_matrix

from nlu.normalize import normalize
from nlu.words import cut, find_concepts

DATA_DIR = Path(__file__).resolve().parents[1] / "data"
FOLDER = DATA_DIR / "knowledge"
WORDS_PATH = DATA_DIR / "dict" / "synonyms.yml"
UNANSWERED = "unanswered.yml"

PLACEHOLDERS = frozenset(
    {
        "duty_phone",
        "desk_phone",
        "desk_hours",
        "manager_phone",
        "gas_phone",
        "water_phone",
        "power_phone",
        "heating_phone",
        "fee_standard",
        "fee_pay_ways",
        "parking_month",
        "parking_temp",
        "renovation_hours",
        "renovation_deposit",
        "garbage_hours",
        "committee_phone",
        "police_phone",
        "community_office",
        "card_fee",
        "move_hours",
        "butler",
        "locksmith_phone",
    }
)
"""Everything an answer may leave to the community's settings."""

_Matrix = NDArray[np.float32]

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_MAX_CHARS = 300
_MAX_CLAUSES = 12
_MAX_CHOICES = 3

# Weights tuned by leaving one wording out of the base at a time; tests/nlu/test_knowledge.py holds the outcome.
_UNIGRAM, _BIGRAM, _WORD = 1.2, 1.0, 1.4
_CONCEPT, _TWO_CONCEPTS = 1.2, 0.6
_UNSEEN = 0.6
_RIDGE = 0.8
_PRIOR = 0.1
"""What the category predicted by the NLU model adds when entries are ranked; it never makes a weak match a sure one."""
_FLOOR = 0.1
_SURE, _SURE_OF_STATEMENT = 0.32, 0.62
_RIVAL = 0.55
"""A sure answer needs its rival to stay below this share of its score."""
_CLOSE = 0.4
_PLAIN, _PLAIN_BY_ONE, _PLAIN_RIVAL = 0.28, 0.32, 0.65
"""Less likeness does where an entry says every telling word of the question (where that is a single one) and no other does."""
_LIKE = 0.25
"""An entry so like the question is offered although they share no telling word (「改名字了」)."""
_FOLLOWS, _FOLLOWS_RIVAL = 0.15, 0.75
"""A question that leans on the one before needs less likeness: only answers of the same subject are looked at."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One question the desk has a written answer for."""

    id: str
    category: str
    question: str
    variants: tuple[str, ...]
    answer: str
    source: str
    date: str
    personal: bool = False
    """The real answer needs the asker's own data."""
    payer: bool = False
    """A personal matter of money: told to the owner of the home only (domain.md §2.5)."""
    unverified_answer: str = ""
    partial: bool = False
    """The answer says that somebody asks or does the rest; the caller registers that."""
    only_if: tuple[str, ...] = ()
    without: str = ""
    """Said instead when a placeholder of the answer is not configured."""

    @property
    def wordings(self) -> tuple[str, ...]:
        return (self.question, *self.variants)

    def text(self, settings: Mapping[str, str], verified: bool) -> str:
        """The answer with its placeholders filled; empty when this community has not configured them."""
        wanted = self.answer if verified or not self.unverified_answer else self.unverified_answer
        for template, needed in ((wanted, self.only_if), (self.without, ())):
            if template and all(_configured(settings, name) for name in (*needed, *_PLACEHOLDER.findall(template))):
                return _PLACEHOLDER.sub(lambda match: settings[match.group(1)].strip(), template)
        return ""

    @property
    def tells_hours(self) -> bool:
        """Whether it says when something is open or allowed."""
        return "_hours}" in self.answer

    def answerable(self, settings: Mapping[str, str]) -> bool:
        """Whether anybody, verified or not, gets text without a blank."""
        return all(self.text(settings, verified) for verified in (True, False))


@dataclass(frozen=True, slots=True)
class Hit:
    """The nearest entry; only a sure one is answered without asking back."""

    entry: Entry
    score: float
    sure: bool
    runner_up: Entry | None = None
    answerable: bool = True
    choices: tuple[Entry, ...] = ()
    """What to offer when not sure, best first: each has a `question` to show and an `id` to come back with."""


@dataclass(frozen=True, slots=True)
class Words:
    """Fillers to drop and words that mean the same to this desk (data/dict/synonyms.yml)."""

    fillers: re.Pattern[str]
    places: re.Pattern[str]
    synonyms: Mapping[str, str]
    pattern: re.Pattern[str]
    asks: re.Pattern[str]
    untelling: frozenset[str]
    """Words that stand in questions about anything."""

    @classmethod
    def load(cls, path: Path = WORDS_PATH) -> Words:
        raw: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        synonyms = {word: group[0] for group in raw["synonyms"] for word in group}
        longest_first = sorted(synonyms, key=len, reverse=True)
        fillers = sorted(raw["fillers"], key=len, reverse=True)
        return cls(
            re.compile("|".join(fillers)),
            re.compile("|".join(raw["places"])),
            synonyms,
            re.compile("|".join(map(re.escape, longest_first))),
            re.compile(raw["asks"]),
            frozenset(raw["untelling"].split()),
        )

    def clauses(self, question: str) -> list[str]:
        """Normalised clauses of a question without room numbers, each still in the asker's words."""
        folded = normalize(question[:_MAX_CHARS])
        marks = sorted(folded.breaks)
        pieces = [folded.text[a:b] for a, b in zip([0, *marks], [*marks, len(folded.text)], strict=True)]
        text = self.places.sub("", " ".join(pieces).lower())
        return [clause for clause in re.split(r"[^\w]+", text) if clause and not clause.isdecimal()][:_MAX_CLAUSES]

    def asks_something(self, clauses: Iterable[str]) -> bool:
        return any(self.asks.search(clause) for clause in clauses)

    def words(self, clauses: Iterable[str]) -> frozenset[str]:
        """The words of the clauses, each synonym as the first of its group; without those that are in every second sentence."""
        found: set[str] = set()
        for clause in (self.fillers.sub("", one) for one in clauses):
            found |= {self.synonyms[match.group()] for match in self.pattern.finditer(clause)}
            found |= {
                word for word in cut(self.pattern.sub(" ", clause)) if len(word) > 1 or word not in self.untelling
            }
        return frozenset(word for word in found if word.strip())

    def features(self, clauses: Iterable[str]) -> dict[str, float]:
        """Weighted n-grams of the clauses, with fillers dropped and synonyms made one word."""
        weights: dict[str, float] = {}
        for clause in clauses:
            for feature, weight in self._of_clause(self.fillers.sub("", clause)):
                weights[feature] = weight
        return weights

    def _of_clause(self, clause: str) -> Iterator[tuple[str, float]]:
        for match in self.pattern.finditer(clause):
            yield f"={self.synonyms[match.group()]}", _WORD
        concepts = sorted({concept for _, _, concept in find_concepts(clause)})
        yield from ((f"k:{concept}", _CONCEPT) for concept in concepts)
        yield from ((f"k:{one}+{other}", _TWO_CONCEPTS) for one, other in combinations(concepts, 2))
        text = self.pattern.sub(lambda match: self.synonyms[match.group()], clause)
        for size, weight in ((1, _UNIGRAM), (2, _BIGRAM)):
            for start in range(len(text) - size + 1):
                yield text[start : start + size], weight


class _Ranked(NamedTuple):
    score: float
    owner: int


_Features = Mapping[str, float]


class _Model:
    """Ridge regression from the features of a wording to its owner, an entry or a group of unanswered sentences.

    It weighs a feature by what it says about the owner over all wordings, which nearest-wording search cannot.
    """

    def __init__(self, owners: Sequence[Sequence[_Features]]) -> None:
        seen = Counter(feature for group in owners for feature in {f for features in group for f in features})
        total = len(owners) + 1
        self._rarity = {feature: math.log(total / (count + 0.5)) + 0.1 for feature, count in seen.items()}
        self._unseen = math.log(total) * _UNSEEN
        self._column = {feature: column for column, feature in enumerate(seen)}
        self._weights = self._solve(owners)

    def _solve(self, owners: Sequence[Sequence[_Features]]) -> _Matrix:
        rows = [(owner, features) for owner, group in enumerate(owners) for features in group]
        inputs = lil_matrix((len(rows), len(self._column)), dtype=np.float32)
        targets = np.zeros((len(rows), len(owners)), dtype=np.float32)
        for row, (owner, features) in enumerate(rows):
            columns, values = self._unit(features)
            inputs[row, columns] = values
            targets[row, owner] = 1.0
        sparse = inputs.tocsr()
        kernel = (sparse @ sparse.T).toarray() + _RIDGE * np.eye(len(rows), dtype=np.float32)
        return cast(_Matrix, sparse.T @ np.linalg.solve(kernel, targets))

    def _unit(self, features: _Features) -> tuple[list[int], _Matrix]:
        """Columns and values of a vector of length one; what the base never saw counts in the length only."""
        weighted = {f: weight * self._rarity.get(f, self._unseen) for f, weight in features.items()}
        length = math.sqrt(sum(value * value for value in weighted.values())) or 1.0
        known = [f for f in weighted if f in self._column]
        values = np.array([weighted[f] / length for f in known], dtype=np.float32)
        return [self._column[f] for f in known], values

    def scores(self, features: _Features) -> _Matrix:
        """How much every owner fits, about 0 to 1."""
        columns, values = self._unit(features)
        return cast(_Matrix, values @ self._weights[columns])


class KnowledgeBase:
    """Every entry of a folder, ready to be searched."""

    def __init__(self, entries: Sequence[Entry], unanswered: Mapping[str, Sequence[str]], words: Words) -> None:
        self.entries = tuple(entries)
        self._by_id = {entry.id: entry for entry in entries}
        if len(self._by_id) != len(self.entries):
            raise ValueError("knowledge: an id is used twice")
        self._words = words
        self._said: dict[str, frozenset[str]] = {}
        self._exact = {normalize(text).text: entry for entry in entries for text in entry.wordings}
        self._prior = {"": np.zeros(len(entries) + len(unanswered), dtype=np.float32)}
        for number, entry in enumerate(entries):
            self._prior.setdefault(entry.category, self._prior[""].copy())[number] = _PRIOR
        groups = [entry.wordings for entry in entries] + [tuple(group) for group in unanswered.values()]
        self._model = _Model([[words.features(words.clauses(text)) for text in group] for group in groups])

    @classmethod
    def load(cls, folder: Path = FOLDER, words: Path = WORDS_PATH) -> KnowledgeBase:
        """Read every file of the folder; raises ValueError naming the file and entry that is malformed."""
        entries: list[Entry] = []
        unanswered: dict[str, list[str]] = {}
        for path in sorted(folder.glob("*.yml")):
            raw = yaml.safe_load(path.read_text(encoding="utf-8"))
            if path.name == UNANSWERED:
                unanswered = raw
            else:
                entries += (_entry(item, raw.get("defaults", {}), path.name) for item in raw["entries"])
        return cls(entries, unanswered, Words.load(words))

    def get(self, entry_id: str) -> Entry | None:
        """The entry behind a choice the resident picked."""
        return self._by_id.get(entry_id)

    def shares(self, question: str, entry: Entry) -> bool:
        """Whether an entry is about what a question names: they have a telling word in common, and not only 「在哪」 or 「周末」."""
        return bool(self._telling(self._words.clauses(question)) & self._words_of(entry))

    def _telling(self, clauses: Sequence[str]) -> frozenset[str]:
        return self._words.words(clauses) - self._words.untelling

    def _words_of(self, entry: Entry) -> frozenset[str]:
        if entry.id not in self._said:
            clauses = [clause for text in entry.wordings for clause in self._words.clauses(text)]
            self._said[entry.id] = self._words.words(clauses)
        return self._said[entry.id]

    def follow(self, question: str, told: Entry, asked: str, settings: Mapping[str, str] | None = None) -> Hit | None:
        """「多少钱一个月啊」 after an answer: what it asks about the subject of `asked`. Another answer than `told`, or none."""
        clauses, before = (self._words.clauses(text) for text in (question, asked))
        about = self._words.features([*clauses, *before])
        fit = (self._model.scores(about) + self._model.scores(self._words.features(clauses))) / 2
        named = self._telling([*clauses, *before])
        near = [number for number, entry in enumerate(self.entries) if self._is_beside(entry, told, named)]
        best = max(near, key=lambda number: float(fit[number]), default=None)
        if best is None or fit[best] < _FOLLOWS or not self.entries[best].answerable(settings or {}):
            return None
        rival = max((float(fit[number]) for number in near if number != best), default=0.0)
        entry, clear = self.entries[best], rival <= _FOLLOWS_RIVAL * float(fit[best])
        return Hit(entry, float(fit[best]), sure=clear, choices=() if clear else (entry,))

    def _is_beside(self, entry: Entry, told: Entry, named: frozenset[str]) -> bool:
        """Whether an entry can say more about what was named than the one that was told."""
        about = entry.category == told.category and entry != told
        return about and (not named or bool(named & self._words_of(entry)))

    def find(self, question: str, category: str = "", settings: Mapping[str, str] | None = None) -> Hit | None:
        """The nearest entry, or None when the base has nothing to say. `category` is a hint, not a filter."""
        if exact := self._exact.get(normalize(question[:_MAX_CHARS]).text):
            answerable = exact.answerable(settings or {})
            return Hit(exact, 1.0, sure=answerable, answerable=answerable)
        return self._nearest(self._words.clauses(question), category, settings or {})

    def _nearest(self, clauses: Sequence[str], category: str, settings: Mapping[str, str]) -> Hit | None:
        fit = self._model.scores(self._words.features(clauses))
        hint = self._prior.get(category, self._prior[""])
        ranked = self._ranked(fit + hint)
        first = ranked[0].owner
        if first >= len(self.entries) or fit[first] < _FLOOR:
            return None
        rival = float(np.delete(fit, first).max(initial=0.0))
        bar = _SURE if self._words.asks_something(clauses) else _SURE_OF_STATEMENT
        near = [self.entries[r.owner] for r in ranked if r.owner < len(self.entries)]
        close = [self.entries[r.owner] for r in self._close(ranked)]
        clear = bool(fit[first] >= bar and rival <= _RIVAL * fit[first])
        unanswered = float(fit[len(self.entries) :].max(initial=0.0))
        clear = clear or (unanswered <= _RIVAL * fit[first] and self._plainly(clauses, self._close(ranked), fit))
        rivals = [one for one in self._on_it(clauses, close, fit) if one.answerable(settings)]
        answerable = near[0].answerable(settings)
        return Hit(
            entry=near[0],
            score=float(fit[first]),
            sure=clear and answerable,
            runner_up=near[1] if len(near) > 1 else None,
            answerable=answerable,
            choices=tuple(rivals) if answerable and not clear else (),
        )

    def _on_it(self, clauses: Sequence[str], close: Sequence[Entry], fit: _Matrix) -> list[Entry]:
        """Those of the close entries that are about what the question names, or very like it; all if it names nothing."""
        told = self._telling(clauses)
        if not told:
            return list(close)
        like = {entry.id for number, entry in enumerate(self.entries) if fit[number] >= _LIKE}
        return [one for one in close if one.id in like or told & self._words_of(one)]

    def _plainly(self, clauses: Sequence[str], close: Sequence[_Ranked], fit: _Matrix) -> bool:
        """Whether the best entry says every telling word of the question, and others say less of it or are much less like it."""
        said, told = self._words.words(clauses), self._telling(clauses)
        words = {one.owner: self._words_of(self.entries[one.owner]) for one in close}
        first = close[0].owner
        rivals = [one for one in words if one != first and told & words[one]]
        enough = fit[first] >= (_PLAIN if len(told) > 1 else _PLAIN_BY_ONE)
        less = (
            len(said & words[one]) < len(said & words[first]) or fit[one] <= _PLAIN_RIVAL * fit[first] for one in rivals
        )
        return bool(told and enough and told <= words[first] and all(less))

    def _ranked(self, scores: _Matrix) -> list[_Ranked]:
        order = np.argsort(-scores, kind="stable")[: _MAX_CHOICES + 1]
        return [_Ranked(float(scores[owner]), int(owner)) for owner in order]

    def _close(self, ranked: Sequence[_Ranked]) -> list[_Ranked]:
        entries = [r for r in ranked if r.owner < len(self.entries) and r.score >= _CLOSE * ranked[0].score]
        return entries[:_MAX_CHOICES]


def answer(hit: Hit, settings: Mapping[str, str], verified: bool) -> str:
    """What to say for a hit, with its source; empty when this community has not configured what it needs."""
    text = hit.entry.text(settings, verified)
    return f"{text}\n{_source_line().format(source=hit.entry.source, date=hit.entry.date)}" if text else ""


@cache
def _source_line() -> str:
    return cast(str, yaml.safe_load(WORDS_PATH.read_text(encoding="utf-8"))["source_line"])


def _configured(settings: Mapping[str, str], name: str) -> bool:
    return bool(settings.get(name, "").strip())


def _entry(item: Mapping[str, Any], defaults: Mapping[str, Any], file: str) -> Entry:
    fields = {**defaults, **item}
    fields["date"] = str(fields.get("date", ""))
    for name in ("variants", "only_if"):
        fields[name] = tuple(fields.get(name, ()))
    try:
        entry = Entry(**fields)
    except TypeError as error:
        raise ValueError(f"{file}: {item.get('id')}: {error}") from error
    named = {*entry.only_if, *_PLACEHOLDER.findall(f"{entry.answer}{entry.unverified_answer}{entry.without}")}
    if unknown := named - PLACEHOLDERS:
        raise ValueError(f"{file}: {entry.id}: unknown placeholder {sorted(unknown)}")
    return entry
