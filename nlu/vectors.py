"""What words mean outside our own messages: a vector for each of some 110,000 common Chinese words.

They come inside the package cnsyn (Apache-2.0, from word vectors of a Chinese encyclopedia) and let the classifier relate
words that no training message holds. Reading the package is part of training only; the trained model keeps its own compact table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

SIZE = 75
DESCRIPTION = 100
"""Numbers that describe a text for the classifier, of three times `SIZE`; more say nothing and double the time of training."""

_LONGEST = 5
_EXTREMES = 0.7
_STEPS = 127
_TINY = np.float32(1e-12)

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class WordVectors:
    """Words and their directions, one byte a number."""

    words: tuple[str, ...]
    table: npt.NDArray[np.int8]
    _rows: dict[str, int] = field(init=False, repr=False, compare=False)
    _lengths: dict[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)
    """How long the words are that begin with two characters."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {word: at for at, word in enumerate(self.words)})
        object.__setattr__(self, "_lengths", _lengths(self.words))

    def describe(self, texts: Sequence[str]) -> Floats:
        """A row of three times `SIZE` numbers for each text: its mean direction, and the extremes of its words in every
        direction; zeros when it holds no known word."""
        described = np.zeros((len(texts), 3 * SIZE), np.float32)
        for row, found in zip(described, map(self._find, texts), strict=True):
            if found:
                words = self.table.take(found, axis=0).astype(np.float32)
                mean, extremes = row[:SIZE], row[SIZE:]
                np.add.reduce(words, out=mean)
                np.maximum.reduce(words, out=extremes[:SIZE])
                np.minimum.reduce(words, out=extremes[SIZE:])
                for part, length in ((mean, 1.0), (extremes, _EXTREMES)):
                    part *= np.float32(length) / np.sqrt(max(part @ part, _TINY))
        return described

    def _find(self, text: str) -> list[int]:
        """The rows of every word in a text, also of those inside longer ones; of single characters only where no word is.
        As right as cutting the text into words first, and less than half the work."""
        rows, lengths, size = self._rows, self._lengths, len(text)
        found: list[int] = []
        covered: set[int] = set()
        for start in range(size - 1):
            for length in lengths.get(text[start : start + 2], ()):
                end = start + length
                if end <= size and (row := rows.get(text[start:end])) is not None:
                    found.append(row)
                    covered.update(range(start, end))
        single = (rows.get(char) for at, char in enumerate(text) if at not in covered)
        return found + [row for row in single if row is not None]


def _lengths(words: Sequence[str]) -> dict[str, tuple[int, ...]]:
    found: dict[str, set[int]] = {}
    for word in words:
        if len(word) > 1:
            found.setdefault(word[:2], set()).add(len(word))
    return {head: tuple(sorted(lengths)) for head, lengths in found.items()}


def principal(described: Floats) -> Floats:
    """The `DESCRIPTION` directions along which texts (a row each) differ most, a column each."""
    wide = described.astype(np.float64)
    directions = np.linalg.eigh(wide.T @ wide)[1][:, : -DESCRIPTION - 1 : -1]
    # A direction has no sign of its own; the same texts shall give the same numbers everywhere.
    signs = np.sign(directions[np.abs(directions).argmax(0), np.arange(DESCRIPTION)])
    turn: Floats = (directions * signs).astype(np.float32)
    return turn


@cache
def packaged() -> WordVectors:
    """The vectors of the package, for words of up to five Chinese characters. Needs the `rasa` extra.

    Raises ModuleNotFoundError without the package.
    """
    import joblib

    spec = find_spec("cnsyn")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("cnsyn is not installed; training needs the `rasa` extra")
    # Importing the package itself opens an index by a path that exists on Windows only.
    stored: dict[str, Any] = joblib.load(Path(spec.origin).parent / "query" / "words_tree_mini.m")
    vectors = np.asarray(stored["model"].get_arrays()[0])
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    kept = [at for at, word in enumerate(stored["words"]) if _usable(word)]
    table = np.round(vectors[kept] / np.abs(vectors[kept]).max() * _STEPS).astype(np.int8)
    return WordVectors(tuple(stored["words"][at] for at in kept), table)


def _usable(word: str) -> bool:
    return len(word) <= _LONGEST and all("\u4e00" <= char <= "\u9fff" for char in word)
