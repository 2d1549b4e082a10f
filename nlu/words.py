"""Words and what they stand for: jieba with the trade's own dictionary, and the concepts behind different words for one thing."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jieba
import yaml

DICT_DIR = Path(__file__).resolve().parents[1] / "data" / "dict"
CONCEPTS_PATH = DICT_DIR / "concepts.yml"
WORDS_PATH = DICT_DIR / "words.txt"

DIGITS = re.compile(r"[0-9]+")


def mask_digits(match: re.Match[str]) -> str:
    """Which number was written never matters to the meaning, only its shape; single digits stay."""
    digits = match.group()
    if len(digits) == 1:
        return digits
    return "0000000" if len(digits) == 11 else "0" * min(len(digits), 5)


@cache
def concepts() -> dict[str, tuple[str, ...]]:
    """For each known word, what it stands for."""
    found: dict[str, list[str]] = {}
    for concept, words in yaml.safe_load(CONCEPTS_PATH.read_text(encoding="utf-8")).items():
        for word in dict.fromkeys(words.lower().split()):
            found.setdefault(DIGITS.sub(mask_digits, word), []).append(concept)
    return {word: tuple(concepts) for word, concepts in found.items()}


@cache
def _longest_word() -> int:
    return max(map(len, concepts()))


def find_concepts(text: str) -> Iterator[tuple[int, int, str]]:
    """Every known word in a text as (start, end, concept), shorter words first; words may overlap."""
    known = concepts()
    for length in range(1, _longest_word() + 1):
        for start in range(len(text) - length + 1):
            for concept in known.get(text[start : start + length], ()):
                yield start, start + length, concept


@cache
def _tokenizer() -> jieba.Tokenizer:
    jieba.setLogLevel(logging.WARNING)
    made = jieba.Tokenizer()
    made.initialize()
    made.load_userdict(str(WORDS_PATH))
    for word in concepts():
        if len(word) > 1:
            made.add_word(word)
    return made


def cut(text: str) -> Iterator[str]:
    """The words of a text, without guessing at unknown ones; joined they are the text again."""
    yield from _tokenizer().cut(text, HMM=False)


def pieces(text: str) -> Iterator[str]:
    """The words of a text and the shorter words inside long ones."""
    yield from _tokenizer().cut_for_search(text, HMM=False)


def word_known(word: str) -> bool:
    """Whether `cut` can find this word."""
    return bool(_tokenizer().FREQ.get(word))
