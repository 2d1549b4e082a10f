"""Where in a message the place, the trouble, a person or a period is named: a small trained character tagger.

Addresses are read by grammar and register (nlu/address.py); these spans only cut the writer's words out of a sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pycrfsuite

from nlu.normalize import Normalized, normalize

MAX_CHARS = 400
"""Spans are looked for in the first part of a letter only."""

_OUTSIDE = "O"
_DIGIT = re.compile(r"[0-9]")
_NUMERALS = frozenset("一二三四五六七八九十两幺零〇")
_EDGE = "^"


@dataclass(frozen=True, slots=True)
class Span:
    """Some words of the original text and what they name."""

    start: int
    end: int
    label: str
    text: str
    confidence: float


class Tagger:
    """A trained linear-chain model; make one with `train_tagger` or `Tagger.load`."""

    def __init__(self, stored: bytes) -> None:
        self._stored = stored
        self._crf = pycrfsuite.Tagger()
        self._crf.open_inmemory(stored)

    def save(self, path: Path) -> None:
        path.write_bytes(self._stored)

    @staticmethod
    def load(path: Path) -> Tagger:
        """Read what `save` wrote."""
        return Tagger(path.read_bytes())

    def find(self, text: str) -> list[Span]:
        """Non-overlapping spans in text order; total for any string."""
        done = normalize(text[:MAX_CHARS])
        if not done.text:
            return []
        tags = self._crf.tag(_observations(done.text))
        return [self._span(done, *piece) for piece in _pieces(tags)]

    def _span(self, done: Normalized, start: int, end: int, label: str) -> Span:
        chances = [self._crf.marginal(f"{'B' if at == start else 'I'}-{label}", at) for at in range(start, end)]
        first, last = done.source_span(start, end)
        return Span(first, last, label, done.original[first:last], round(min(chances), 3))


def _pieces(tags: Sequence[str]) -> list[tuple[int, int, str]]:
    """BIO tags to (start, end, label); an I without its B opens a span too."""
    found: list[tuple[int, int, str]] = []
    for at, tag in enumerate(tags):
        if tag == _OUTSIDE:
            continue
        label = tag[2:]
        if tag[0] == "I" and found and found[-1][1] == at and found[-1][2] == label:
            found[-1] = (found[-1][0], at + 1, label)
        else:
            found.append((at, at + 1, label))
    return found


def _shape(char: str) -> str:
    if _DIGIT.match(char) or char in _NUMERALS:
        return "0"
    return "a" if char.isascii() and char.isalpha() else char


def _observations(text: str) -> list[list[str]]:
    """What the model may look at around each character: single ones two away, pairs and triples around it."""
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
                f"9{b2}{b1}{here}",
                f"x{b1}{here}{a1}",
                f"y{here}{a1}{a2}",
            ]
        )
    return rows


def train_tagger(examples: Iterable[tuple[str, tuple[tuple[int, int, str], ...]]]) -> Tagger:
    """Fit on texts with (start, end, label) spans; the same examples give the same tagger in whatever order they come."""
    trainer: Any = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params({"c1": 0.05, "c2": 0.02, "max_iterations": 80, "feature.minfreq": 1})
    for text, spans in sorted(set(examples)):
        done = normalize(text[:MAX_CHARS])
        if done.text:
            trainer.append(_observations(done.text), _tags(done, spans))
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
