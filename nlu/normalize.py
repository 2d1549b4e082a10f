"""One spelling for what residents type, with a way back to their own words.

Matching works on the normalised text; a ticket keeps the original. Rules: domain.md §3.1 step 1 and Appendix A.3.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from opencc import OpenCC

_DICT_DIR = Path(__file__).resolve().parents[1] / "data" / "dict"
HOMOPHONES_PATH = _DICT_DIR / "homophones.yml"
MESSENGER_PATH = _DICT_DIR / "messenger.yml"

# Sentence punctuation is kept full-width (one set for every later pattern); everything else is folded to half-width.
_TO_FULL_WIDTH = {",": "，", "!": "！", "?": "？", ";": "；"}
_KEPT_WIDE = frozenset("，！？；…")
# 「①3栋」 is the first of a list, not building 13.
_LIST_NUMBERS = {char: f"{number}、" for number, char in enumerate("①②③④⑤⑥⑦⑧⑨⑩", 1)}
_DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Mn", "Me"})
_COLLAPSED_TO_ONE = frozenset("，！？；,!?;。、…~～-—=_*.·|/\\ \n")
_CHINESE = re.compile(
    r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af\u3001-\u3003\u3008-\u3011，！？；…“”‘’]"
)
_LOOKBEHIND = re.compile(r"\(\?<[!=](?:[^()]|\([^()]*\))*\)")
_KEPT_RUN = 2
_CONTEXT_CHARS = 16


@dataclass(frozen=True, slots=True)
class Normalized:
    """Normalised text, the original, and the offsets that join them."""

    text: str
    original: str
    breaks: tuple[int, ...] = ()
    """Offsets in `text` where a space between Chinese characters was removed: weak clause borders."""
    _starts: tuple[int, ...] = field(default=(), repr=False)
    _ends: tuple[int, ...] = field(default=(), repr=False)

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """The slice of `original` that `text[start:end]` came from; out-of-range offsets are clamped."""
        size = len(self.text)
        start = min(max(start, 0), size)
        end = min(max(end, start), size)
        if start == end:
            point = self._starts[start] if start < size else len(self.original)
            return point, point
        return self._starts[start], self._ends[end - 1]


@dataclass(frozen=True, slots=True)
class Homophone:
    """A misheard or mistyped word, and the neighbours that make the correction safe."""

    pattern: re.Pattern[str]
    to: str
    near: re.Pattern[str] | None

    def apply(self, text: str) -> str:
        """Rewrite in place; lengths never change, so offsets stay valid."""
        return self.pattern.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        found = match.group()
        if len(found) != len(self.to):
            return found
        if self.near is not None:
            before = match.string[max(0, match.start() - _CONTEXT_CHARS) : match.start()]
            after = match.string[match.end() : match.end() + _CONTEXT_CHARS]
            if not (self.near.search(before) or self.near.search(after)):
                return found
        return self.to


@dataclass(frozen=True)
class HomophoneTable:
    """Corrections in file order, and characters the traditional-simplified table must leave alone."""

    entries: tuple[Homophone, ...]
    keep_characters: frozenset[str]

    @cached_property
    def _any(self) -> re.Pattern[str]:
        """All of them without what must stand before: such a pattern finds nothing in an ordinary text very fast."""
        return re.compile("|".join(_LOOKBEHIND.sub("", entry.pattern.pattern) for entry in self.entries))

    def apply(self, text: str) -> str:
        if not self._any.search(text):
            return text
        for entry in self.entries:
            text = entry.apply(text)
        return text


def load_homophones(path: Path = HOMOPHONES_PATH) -> HomophoneTable:
    """Read the correction table; raises ValueError when an entry is malformed."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    words = {name: "|".join(items) for name, items in raw.get("words", {}).items()}
    entries = tuple(_homophone(item, words) for item in raw["entries"])
    return HomophoneTable(entries, frozenset(raw.get("keep_characters", ())))


def _homophone(item: dict[str, Any], words: dict[str, str]) -> Homophone:
    def expand(pattern: str) -> str:
        return re.sub(r"\{([a-z_]+)\}", lambda m: f"(?:{words[m.group(1)]})", pattern)

    to = item["to"]
    for literal in item.get("from", ()):
        if len(literal) != len(to):
            raise ValueError(f"homophone {literal!r} must be as long as {to!r}, or offsets break")
    pattern = item.get("pattern") or "|".join(re.escape(literal) for literal in item["from"])
    near = item.get("near")
    return Homophone(re.compile(expand(pattern)), to, re.compile(expand(near)) if near else None)


@cache
def _default_homophones() -> HomophoneTable:
    return load_homophones()


@cache
def _simplifier() -> OpenCC:
    return OpenCC("t2s")


@lru_cache(maxsize=65536)
def _fold(char: str) -> str:
    """Fold one character alone, so its offset is never lost; an empty result removes it."""
    if char.isspace():
        return "\n" if char in "\n\r\u2028\u2029" else " "
    if number := _LIST_NUMBERS.get(char):
        return number
    if char in _KEPT_WIDE or char in _default_homophones().keep_characters:
        return char
    folded = unicodedata.normalize("NFKC", char)
    kept = "".join(c for c in folded if unicodedata.category(c) not in _DROPPED_CATEGORIES)
    return "".join(_simplifier().convert(c) for c in kept)


class _Messenger(NamedTuple):
    """What a messenger puts before the words, how its stickers are written, and the emoji that they are."""

    dropped: re.Pattern[str]
    sticker: re.Pattern[str]
    emoji: dict[str, str]


@cache
def _messenger() -> _Messenger:
    raw = yaml.safe_load(MESSENGER_PATH.read_text(encoding="utf-8"))
    names = "|".join(map(re.escape, sorted(raw["stickers"], key=len, reverse=True)))
    return _Messenger(re.compile("|".join(raw["dropped"])), re.compile(rf"\[({names})\]"), raw["stickers"])


def typed(text: str) -> str:
    """The writer's own words: a quoted message and a call (@…) before them become spaces, so that offsets stay."""
    return _messenger().dropped.sub(lambda found: " " * len(found.group()), text)


# Every reader of a message begins here, one after the other with the same text.
@lru_cache(maxsize=32)
def normalize(text: str) -> Normalized:
    """Fold width, script, noise characters, repeats and homophones. Total and linear for any str."""
    cells = _collapse(_fold_all(typed(text)))
    cells, breaks = _join_chinese(_widen_punctuation(cells))
    folded = "".join(char for char, _, _ in cells)
    starts = tuple(start for _, start, _ in cells)
    ends = tuple(end for _, _, end in cells)
    return Normalized(_default_homophones().apply(folded), text, breaks, starts, ends)


_Cell = tuple[str, int, int]  # one normalised character and the source slice behind it


def _fold_all(text: str) -> Iterator[_Cell]:
    known, done = _messenger(), 0
    for sticker in known.sticker.finditer(text):
        yield from _fold_part(text, done, sticker.start())
        done = sticker.end()
        yield known.emoji[sticker.group(1)], sticker.start(), done
    yield from _fold_part(text, done, len(text))


def _fold_part(text: str, start: int, end: int) -> Iterator[_Cell]:
    for index in range(start, end):
        for folded in _fold(text[index]):
            yield folded, index, index + 1


def _collapse(cells: Iterable[_Cell]) -> list[_Cell]:
    """Shorten emphasis; the last kept character answers for the whole run in the source."""
    kept: list[_Cell] = []
    run = 0
    for cell in cells:
        char = cell[0]
        run = run + 1 if kept and kept[-1][0] == char else 1
        limit = 1 if char in _COLLAPSED_TO_ONE else _KEPT_RUN
        if run > limit and not _is_content(char):
            last = kept[-1]
            kept[-1] = (last[0], last[1], cell[2])
        else:
            kept.append(cell)
    return kept


def _is_content(char: str) -> bool:
    """A repeated digit, Chinese numeral or letter is content (1111, 13800005678, www), not emphasis."""
    return char.isnumeric() or _is_ascii_word(char)


def _widen_punctuation(cells: list[_Cell]) -> list[_Cell]:
    """Half-width sentence marks become Chinese ones, except inside numbers and addresses (1,000 or a?b=c)."""
    last = len(cells) - 1
    for index, (char, start, end) in enumerate(cells):
        wide = _TO_FULL_WIDTH.get(char)
        if wide is None:
            continue
        inside = 0 < index < last and _is_ascii_word(cells[index - 1][0]) and _is_ascii_word(cells[index + 1][0])
        if not inside:
            cells[index] = (wide, start, end)
    return cells


def _is_ascii_word(char: str) -> bool:
    return char.isascii() and char.isalnum()


def _join_chinese(cells: list[_Cell]) -> tuple[list[_Cell], tuple[int, ...]]:
    kept: list[_Cell] = []
    breaks: list[int] = []
    last = len(cells) - 1
    for index, cell in enumerate(cells):
        if cell[0] == " ":
            if not kept or index == last:
                continue
            if _CHINESE.match(kept[-1][0]) and _CHINESE.match(cells[index + 1][0]):
                breaks.append(len(kept))
                continue
        kept.append(cell)
    return kept, tuple(breaks)
