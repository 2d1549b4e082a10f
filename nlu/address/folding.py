"""Every way of writing a character or a number becomes one, and remembers where it came from."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from nlu.register import wording


@dataclass(frozen=True, slots=True)
class Folded:
    """Folded text with, for every character, the range of the original it stands for."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def source(self, start: int, end: int) -> tuple[int, int]:
        """The range of the original behind a range of the folded text."""
        return self.starts[start], self.ends[end - 1]


@cache
def _fold_table() -> dict[str, str]:
    words = wording()["fold"]
    pairs: str = words["traditional"]
    table: dict[str, str] = {pairs[i]: pairs[i + 1] for i in range(0, len(pairs), 2)}
    table |= dict.fromkeys(words["hyphens"], "-") | words["roman"] | dict.fromkeys("\r\n", ",")
    return table


@lru_cache(maxsize=8192)
def _fold_char(char: str) -> str:
    """One character for one: width, case, script variant; anything invisible becomes a space."""
    table = _fold_table()
    if char in table:
        return table[char]
    wide = unicodedata.normalize("NFKC", char)
    char = wide if len(wide) == 1 else char
    char = table.get(char, char)
    if char.isspace() or unicodedata.category(char)[0] == "C":
        return " "
    upper = char.upper()
    return upper if len(upper) == 1 else char


class _Numerals:
    """Chinese numerals to digits: 十五 and 一五 are both 15; 洞 is 0 in a spoken room and 栋 before 但愿."""

    def __init__(self) -> None:
        words = wording()["numerals"]
        self.digits: dict[str, str] = words["digits"] | {str(n): str(n) for n in range(10)}
        self.spoken: dict[str, str] = words["spoken"]
        self.zero_like, self.phone_style = words["zero_like"], words["phone_style"]
        self.after_mark = words["after_mark"]
        tens, twenty = words["tens"], words["twenty"]
        chars = "".join(self.digits) + tens + twenty + words["hundreds"] + words["thousands"]
        self.multipliers = set(chars) - set(self.digits)
        self.run = re.compile(f"[{chars}{self.zero_like}{''.join(self.spoken)}]+")
        self.value = re.compile(
            rf"(?:(\d)[{words['thousands']}]0?)?(?:(\d)[{words['hundreds']}]0?)?(?:(\d?)[{tens}]|([{twenty}]))?(\d?)"
        )
        marks = wording()["marks"]
        self.floor_next, self.to = re.compile(either(marks["floor"])), marks["to"][0]
        self.unit_next = re.compile(either(marks["unit"] + marks["unit_heard"]))

    def fold(self, text: str) -> Folded:
        """The text in one way of writing."""
        pieces: list[tuple[str, int, int]] = []
        done = 0
        for run in self.run.finditer(text):
            pieces += [(text[i], i, i + 1) for i in range(done, run.start())]
            pieces += self._run(text, run.start(), run.end())
            done = run.end()
        pieces += [(text[i], i, i + 1) for i in range(done, len(text))]
        flat = [(char, start, end) for piece, start, end in pieces for char in piece]
        return Folded("".join(c for c, _, _ in flat), tuple(s for _, s, _ in flat), tuple(e for _, _, e in flat))

    def _run(self, text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
        chars = [self._char(text, start, end, i) for i in range(start, end)]
        first = 0
        while first < len(chars):
            last = first
            while last < len(chars) and (chars[last].isascii() or chars[last] in self.multipliers):
                last += 1
            segment = "".join(chars[first:last])
            if self._two_floors(text, start + first, start + last):
                yield f"{segment[0]}{self.to}", start + first, start + first + 1
                yield segment[1], start + first + 1, start + last
            elif any(char in self.multipliers for char in segment):
                yield self._value(segment), start + first, start + last
            else:
                yield from ((char, start + i, start + i + 1) for i, char in enumerate(segment, first))
            if last < len(chars):
                yield chars[last], start + last, start + last + 1
            first = last + 1

    def _two_floors(self, text: str, start: int, end: int) -> bool:
        """「三四楼」: the third and the fourth floor, and not the thirty-fourth."""
        low, high = (self.digits.get(char, "") for char in text[start:end]) if end - start == 2 else ("", "")
        spelled = any(char in text[start:end] for char in self.phone_style) or text[start:end].isascii()
        spoken = low.isdigit() and high.isdigit() and not spelled
        return spoken and int(high) == int(low) + 1 and self.floor_next.match(text, end) is not None

    def _char(self, text: str, start: int, end: int, i: int) -> str:
        """The digit a character stands for, or itself where only its neighbours could make it one."""
        char = text[i]
        before, after = text[i - 1 : i] if i else "", text[i + 1 : i + 2]
        marked = text[start - 1 : start] in self.after_mark if start else False
        if char in self.zero_like:
            styled = any(mark in text[max(start, i - 4) : i] for mark in self.phone_style)
            digit = i > start and i + 1 < end and (marked or styled) and not self.unit_next.match(text, i + 2)
            return "0" if digit and (after in self.digits or after in self.spoken) else char
        if char in self.spoken:
            led = before in self.digits if i > start else marked
            return self.spoken[char] if led and after in self.digits and not after.isascii() else char
        if char in self.phone_style and before not in self.digits and after not in self.digits:
            return char if after not in self.zero_like or not after else self.digits[char]
        return self.digits.get(char, char)

    def _value(self, segment: str) -> str:
        """A number with tens may be followed by single digits: 十五, 零二 spoken in one breath is 1502."""
        text = "".join(self.digits.get(char, char) for char in segment)
        found = self.value.match(text)
        if found is None or not found[0]:
            return segment
        thousands, hundreds, tens, twenty, ones = found.groups()
        number = int(thousands or 0) * 1000 + int(hundreds or 0) * 100 + int(ones or 0)
        has_tens = tens is not None
        number += (int(tens or 1) if has_tens else 2 if twenty else 0) * 10
        rest = "".join(char for char in text[found.end() :] if char.isdigit())
        return f"{number}{rest}" if has_tens or twenty or thousands or hundreds else (ones or "") + rest


@cache
def _numerals() -> _Numerals:
    return _Numerals()


def fold(text: str) -> Folded:
    """The text in one way of writing."""
    return _numerals().fold("".join(map(_fold_char, text)))


def either(words: Iterable[str]) -> str:
    """Alternation of literal words, longest first so that 电梯厅 is not read as 电梯."""
    return "|".join(re.escape(word) for word in sorted(set(words), key=lambda w: (-len(w), w))) or r"(?!)"


def folded_words(words: Iterable[str]) -> list[str]:
    """Words of the dictionary in the same way of writing."""
    return [fold(str(word)).text for word in words]
