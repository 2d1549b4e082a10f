"""What words mean outside our own messages: a vector for each of some 85,000 common Chinese words.

They come inside the package cnsyn (Apache-2.0, from word vectors of a Chinese encyclopedia) and let the classifier relate
words that no training message holds. Reading the package is part of training only; the trained model keeps its own compact table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlu.words import pieces, word_known

SIZE = 75
DESCRIPTION = 100
"""Numbers that describe a text for the classifier, of three times `SIZE`; more say nothing and double the time of training."""

_LONGEST = 5
_EXTREMES = 0.7
_STEPS = 127

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class WordVectors:
    """Words and their directions, one byte a number."""

    words: tuple[str, ...]
    table: npt.NDArray[np.int8]
    _rows: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rows", {word: at for at, word in enumerate(self.words)})

    def describe(self, text: str) -> Floats:
        """Three times `SIZE` numbers: a text's mean direction, and the extremes of its words in every direction; zeros when
        it holds no known word."""
        known = [row for word in pieces(text) if (row := self._rows.get(word)) is not None]
        if not known:
            return np.zeros(3 * SIZE, np.float32)
        found = self.table[known].astype(np.float32)
        extremes = _unit(np.concatenate([found.max(0), found.min(0)]))
        return np.concatenate([_unit(found.sum(0)), extremes * np.float32(_EXTREMES)])


def principal(described: Floats) -> Floats:
    """The `DESCRIPTION` directions along which texts (a row each) differ most, a column each."""
    wide = described.astype(np.float64)
    directions = np.linalg.eigh(wide.T @ wide)[1][:, : -DESCRIPTION - 1 : -1]
    # A direction has no sign of its own; the same texts shall give the same numbers everywhere.
    signs = np.sign(directions[np.abs(directions).argmax(0), np.arange(DESCRIPTION)])
    turn: Floats = (directions * signs).astype(np.float32)
    return turn


def _unit(vector: Floats) -> Floats:
    length = np.float32(np.sqrt(vector @ vector))
    return vector / length if length else vector


@cache
def packaged() -> WordVectors:
    """The vectors of the package, for words that our dictionary can find in a text. Needs the `rasa` extra.

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
    return len(word) <= _LONGEST and all("\u4e00" <= char <= "\u9fff" for char in word) and word_known(word)
