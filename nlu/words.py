"""Words and what they stand for: jieba with the trade's own dictionary, and the concepts behind different words for one thing."""

from __future__ import annotations

import logging
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import jieba
import yaml

DICT_DIR = Path(__file__).resolve().parents[1] / "data" / "dict"
CONCEPTS_PATH = DICT_DIR / "concepts.yml"
WORDS_PATH = DICT_DIR / "words.txt"
LISTS_PATH = DICT_DIR / "understanding.yml"

DIGITS = re.compile(r"[0-9]+")


def mask_digits(match: re.Match[str]) -> str:
    """Which number was written never matters to the meaning, only its shape; single digits stay."""
    digits = match.group()
    if len(digits) == 1:
        return digits
    return "0000000" if len(digits) == 11 else "0" * min(len(digits), 5)


@cache
def lists() -> dict[str, Any]:
    """The word lists that understanding is helped by, data/dict/understanding.yml."""
    raw: dict[str, Any] = yaml.safe_load(LISTS_PATH.read_text(encoding="utf-8"))
    return raw


@cache
def pattern(name: str) -> re.Pattern[str]:
    """One of those lists, as what it matches on normalised text."""
    return re.compile(lists()[name])


@cache
def concepts() -> dict[str, tuple[str, ...]]:
    """For each known word, what it stands for."""
    found: dict[str, list[str]] = {}
    for concept, words in yaml.safe_load(CONCEPTS_PATH.read_text(encoding="utf-8")).items():
        for word in dict.fromkeys(words.lower().split()):
            found.setdefault(DIGITS.sub(mask_digits, word), []).append(concept)
    return {word: tuple(concepts) for word, concepts in found.items()}


@cache
def all_concepts() -> tuple[str, ...]:
    """Everything that words stand for, in order."""
    return tuple(sorted({concept for found in concepts().values() for concept in found}))


@cache
def _lengths() -> dict[str, tuple[int, ...]]:
    """For each character that a known word begins with, how long such words are."""
    found: dict[str, set[int]] = {}
    for word in concepts():
        found.setdefault(word[0], set()).add(len(word))
    return {first: tuple(sorted(lengths)) for first, lengths in found.items()}


# Classifier and tagger look for them in the same message, one after the other.
@lru_cache(maxsize=64)
def find_concepts(text: str) -> tuple[tuple[int, int, str], ...]:
    """Every known word in a text as (start, end, concept), in text order; words may overlap."""
    known, lengths = concepts(), _lengths()
    return tuple(
        (start, start + length, concept)
        for start, char in enumerate(text)
        for length in lengths.get(char, ())
        for concept in known.get(text[start : start + length], ())
        if start + length <= len(text)
    )


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


def cut(text: str) -> tuple[str, ...]:
    """The words of a text, without guessing at unknown ones; joined they are the text again."""
    return tuple(_tokenizer().cut(text, HMM=False))
