"""What the classifier looks at in a message: its characters, one to three together, the concepts of our dictionary with their
pairs, and its size.

A feature is one number, so that all of a message are counted and found in the vocabulary at once: as words in a table of
400,000 they took twice as long (docs/nlu.md). Pure, needs numpy only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt

from nlu.normalize import normalize
from nlu.words import DIGITS, all_concepts, find_concepts, mask_digits, pattern

MAX_CHARS = 800
"""A message is read this far; a pasted book must not cost a second."""

Floats = npt.NDArray[np.float32]
Columns = npt.NDArray[np.int64]
Keys = npt.NDArray[np.int64]

_MAX_PAIRED_CONCEPTS = 14
_SIZE_STEPS = (1, 2, 4, 6, 9, 13, 18, 25, 40, 80, 160)
_ADDRESS_MARK = "\x04"
_PHONE_MARK = "\x05"
_MIN_ESSENCE = 4

# The numbers of each block are greater than those of the blocks before it: sizes, concepts, characters.
_SIZES, _CONCEPTS = -(1 << 63), -(1 << 62)
_BLOCK_WEIGHTS = np.array([0.1, 0.5, 1.0])
_CHAR_BITS = 21
_CONCEPT_BITS = 16


def prepare(text: str) -> str:
    """The form of a text that features are taken from; offsets are not kept."""
    return essence(normalize(text[:MAX_CHARS]).text)


def essence(normalized: str) -> str:
    """The matter itself: who writes, from where, and politeness become short or go."""
    text = pattern("phone").sub(_PHONE_MARK, normalized.lower())
    text = pattern("address").sub(_ADDRESS_MARK, text)
    if _ADDRESS_MARK in text:
        text = pattern("introduction").sub(_ADDRESS_MARK, text)
    if _PHONE_MARK in text:
        text = pattern("contact").sub(_PHONE_MARK, text)
    for courtesy in ("greeting", "thanks"):
        rest = pattern(courtesy).sub("", text)
        text = rest if len(rest) >= _MIN_ESSENCE else text
    return DIGITS.sub(mask_digits, text)


def codes(text: str) -> Keys:
    """The characters of a text as numbers, none of them zero; any string has them."""
    read = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
    read += 1
    return read


@dataclass(frozen=True, slots=True)
class Counted:
    """How often each feature stands in each block of some texts, block by block: its number or its column in a vocabulary, its
    count, and where blocks begin and the last one ends."""

    features: Columns
    counts: Columns
    borders: Columns

    @property
    def texts(self) -> Columns:
        """Where each text begins and the last one ends."""
        return self.borders[:: len(_BLOCK_WEIGHTS)]

    def values(self, rarity: Floats) -> Floats:
        """What each feature, given as column, counts for: rare ones more, and every block as much as its weight says, however
        long it is."""
        values: Floats = ((1 + np.log(self.counts.astype(np.float32))) * rarity[self.features]).astype(
            np.float32, copy=False
        )
        sizes = self.borders[1:] - self.borders[:-1]
        filled = np.flatnonzero(sizes)
        if len(filled):
            lengths = np.sqrt(np.add.reduceat(values * values, self.borders[filled]))
            weights = _BLOCK_WEIGHTS[filled % len(_BLOCK_WEIGHTS)] / lengths
            values *= np.repeat(weights.astype(np.float32), sizes[filled])
        return values

    def only(self, columns: Columns) -> Counted:
        """With the column that `columns` gives each one, without those that it makes negative."""
        return self._renamed(columns[self.features])

    def among(self, keys: Keys) -> Counted:
        """With its place among `keys`, which ascend, without those that are not there."""
        places = keys.searchsorted(self.features)
        places[places == len(keys)] = 0
        places[keys[places] != self.features] = -1
        return self._renamed(places)

    def _renamed(self, names: Columns) -> Counted:
        kept = names >= 0
        borders = np.concatenate(([0], np.cumsum(kept)))[self.borders]
        return Counted(names[kept], self.counts[kept], borders)

    def of(self, texts: Columns) -> Counted:
        """Of some of the texts, in that order."""
        blocks = (texts[:, None] * len(_BLOCK_WEIGHTS) + np.arange(len(_BLOCK_WEIGHTS))).ravel()
        sizes = np.diff(self.borders)[blocks]
        borders = np.concatenate(([0], np.cumsum(sizes)))
        places = np.repeat(self.borders[blocks] - borders[:-1], sizes) + np.arange(borders[-1])
        return Counted(self.features[places], self.counts[places], borders)


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The features a model knows, ascending, and the concepts in the order that numbers them."""

    keys: Keys
    concepts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    @staticmethod
    def of(prepared: Iterable[str]) -> tuple[Vocabulary, Counted]:
        """All features of some texts, and what each text holds of them by their columns."""
        concepts = all_concepts()
        counted = _count(prepared, _numbered(concepts))
        keys, columns = np.unique(counted.features, return_inverse=True)
        return Vocabulary(keys, concepts), Counted(columns, counted.counts, counted.borders)

    def only(self, columns: Columns) -> Vocabulary:
        """A part of it; the columns ascend."""
        return Vocabulary(self.keys[columns], self.concepts)

    def count(self, prepared: Sequence[str]) -> Counted:
        """What texts hold of it, by columns."""
        return _count(prepared, self._numbers).among(self.keys)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return _numbered(self.concepts)


def _numbered(concepts: Iterable[str]) -> dict[str, int]:
    return {concept: number for number, concept in enumerate(concepts, 1)}


def _count(prepared: Iterable[str], numbers: Mapping[str, int]) -> Counted:
    """The features of some texts by their numbers."""
    found = [_features(text, numbers) for text in prepared]
    keys = np.concatenate([features for features, _ in found])
    begins: list[int] = []
    size = 0
    for features, concepts in found:
        begins += (size, size + 1, size + 1 + concepts)
        size += len(features)
    first = np.empty(size, bool)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    first[begins] = True
    starts = np.flatnonzero(first)
    return Counted(keys[starts], np.append(starts[1:], size) - starts, starts.searchsorted([*begins, size]))


def _features(prepared: str, numbers: Mapping[str, int]) -> tuple[Keys, int]:
    """Every feature as often as it stands there, ascending: one for the size, as many concepts as told, and characters."""
    single = codes(f"\x02{prepared}\x03")
    double = (single[:-1] << _CHAR_BITS) | single[1:]
    triple = (double[:-1] << _CHAR_BITS) | single[2:]
    concepts = _concepts(prepared, numbers)
    size = _SIZES + sum(len(prepared) > step for step in _SIZE_STEPS)
    features = np.concatenate([[size, *concepts], single, double, triple])
    features.sort()
    return features, len(concepts)


def _concepts(prepared: str, numbers: Mapping[str, int]) -> list[int]:
    """Each concept, and each two together; a long letter holds too many pairs for them to mean anything."""
    found = [numbers[concept] for _, _, concept in find_concepts(prepared) if concept in numbers]
    each = sorted(set(found))
    if len(each) <= _MAX_PAIRED_CONCEPTS:
        found += [first << _CONCEPT_BITS | second for first, second in combinations(each, 2)]
    return [_CONCEPTS + one for one in found]
