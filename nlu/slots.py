"""Small facts in a sentence: phone, ticket number, score, money, people, plate, form of address; and masking.

Everything here is pure and total: any string in, a value or None out. Patterns live in data/dict/slots.yml.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from nlu.normalize import normalize

DICT_DIR = Path(__file__).resolve().parents[1] / "data" / "dict"

_MACRO = re.compile(r"%([a-z0-9_]+)%")
_MAX_CHARS = 2000
"""Parsers of one message read no further: chat messages are short, and a pasted book must not cost a second."""

_TAIL_DIGITS = 4
_SHORTEST_PRIVATE = 7
_SHORTEST_WITH_HEAD = 10
_COUNTRY_CODE = re.compile(r"^(?:00)?86(?=1[3-9][0-9]{9}$)")
_FEN_PER_YUAN = 100
_FEN_PER_JIAO = 10


class Lexicon:
    """One YAML file of data/dict: `macros` are spliced into patterns as %name%, lists become alternations."""

    def __init__(self, name: str) -> None:
        raw: dict[str, Any] = yaml.safe_load((DICT_DIR / f"{name}.yml").read_text(encoding="utf-8"))
        self._macros: dict[str, str] = {}
        for key, value in raw.get("macros", {}).items():
            self._macros[key] = self._source(value)
        self._raw = raw
        self._compiled: dict[str, re.Pattern[str]] = {}

    def rx(self, path: str) -> re.Pattern[str]:
        """The compiled pattern at a dotted path, such as `score.pair`."""
        found = self._compiled.get(path)
        if found is None:
            found = self._compiled[path] = re.compile(self._source(self.value(path)))
        return found

    def each(self, path: str) -> list[re.Pattern[str]]:
        """The patterns of a list, one by one, for when their order is a priority."""
        return [self.rx(f"{path}.{index}") for index in range(len(self.value(path)))]

    def value(self, path: str) -> Any:
        node: Any = self._raw
        for part in path.split("."):
            node = node[int(part)] if isinstance(node, list) else node[part]
        return node

    def source(self, path: str) -> str:
        """The pattern text with its macros spliced in, for composing larger patterns."""
        return self._source(self.value(path))

    def _source(self, value: str | list[str]) -> str:
        text = value if isinstance(value, str) else "|".join(value)
        return _MACRO.sub(lambda m: self._macros[m.group(1)], text)


@cache
def lexicon(name: str) -> Lexicon:
    """Read data/dict/<name>.yml once."""
    return Lexicon(name)


def _lex() -> Lexicon:
    return lexicon("slots")


def readable(text: str) -> str:
    """Normalised text with the writer's spaces put back: residents use them as commas."""
    done = normalize(text[:_MAX_CHARS])
    pieces: list[str] = []
    start = 0
    for at in done.breaks:
        pieces.append(done.text[start:at])
        start = at
    pieces.append(done.text[start:])
    return " ".join(pieces)


def read_number(word: str) -> int | None:
    """An integer from digits or Chinese numerals, also spoken short forms (一百二 = 120) and digit strings (零零七)."""
    word = word.strip()
    if not word:
        return None
    if word.isascii() and word.isdigit():
        return int(word)
    digits: dict[str, int] = _lex().value("digits")
    units: dict[str, int] = _lex().value("units")
    if any(char not in digits and char not in units for char in word):
        return None
    if not any(char in units for char in word):
        return int("".join(str(digits[char]) for char in word))
    return _read_units(word, digits, units)


def _read_units(word: str, digits: dict[str, int], units: dict[str, int]) -> int:
    total, pending, last_unit, zero = 0, 0, 1, False
    for char in word:
        if char in units:
            total += (pending or 1) * units[char]
            last_unit, pending, zero = units[char], 0, False
        else:
            pending = digits[char]
            zero = zero or pending == 0
    # 一百二 leaves out its last unit; 一百零二 and 十二 do not.
    spoken_short = pending and last_unit > units[min(units, key=lambda unit: units[unit])] and not zero
    return total + pending * (last_unit // 10 if spoken_short else 1)


# --- phone ---------------------------------------------------------------------------------------------------------


def find_phone(text: str) -> str | None:
    """The first mobile number (11 digits) or landline (0571-88886666; 座机85672213 without its area code)."""
    body = readable(text)
    if not _lex().rx("numeral").search(body):
        return None
    mobile = _lex().rx("phone.mobile").search(body)
    if mobile:
        return "".join(mobile.groups())
    spoken = _lex().rx("phone.spoken").search(body)
    if spoken:
        return str(read_number(spoken.group(1)))
    landline = _lex().rx("phone.landline").search(body) or _lex().rx("phone.local").search(body)
    return "-".join(landline.groups()) if landline else None


# --- ticket number -------------------------------------------------------------------------------------------------


def find_ticket_no(text: str) -> str | None:
    """`BX20250612-0007`, or a kind with its tail `ZX0004`, or the tail alone padded to four digits `0007`. The ticket of a quoted
    message is meant too."""
    body = readable(text).upper()
    lex = _lex()
    if full := lex.rx("ticket.full").search(body) or lex.rx("ticket.full").search(text[:_MAX_CHARS].upper()):
        kind, day, tail = full.groups()
        return f"{kind}{day}-{tail}"
    if not lex.rx("numeral").search(body):
        return None
    if dated := lex.rx("ticket.dated").search(body):
        return dated.group(1)
    if kind_tail := lex.rx("ticket.kind_tail").search(body):
        kind, tail = kind_tail.groups()
        return kind + tail.zfill(_TAIL_DIGITS)
    for pattern in [*lex.each("ticket.tail"), lex.rx("ticket.spoken_tail")]:
        found = pattern.search(body)
        number = read_number(found.group(1)) if found else None
        if number:
            return str(number).zfill(_TAIL_DIGITS)
    return None


# --- scores --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scores:
    """Marks from 1 to 5; falsy when the text holds none. `both` is one mark given for the whole."""

    attitude: int | None = None
    quality: int | None = None
    both: int | None = None

    def __bool__(self) -> bool:
        return any(mark is not None for mark in (self.attitude, self.quality, self.both))

    @property
    def marks(self) -> tuple[int, ...]:
        """The marks that were given, in the order attitude, quality, both."""
        return tuple(mark for mark in (self.attitude, self.quality, self.both) if mark is not None)


NO_SCORES = Scores()


def find_scores(text: str) -> Scores:
    """Marks that were really said; a degree of satisfaction or a thumb is not a number."""
    body = readable(text)
    lex = _lex()
    for path in ("score.pair", "score.glued"):
        if pair := lex.rx(path).search(body):
            return Scores(attitude=int(pair.group(1)), quality=int(pair.group(2)))
    if lex.rx("score.shared").search(body):
        return Scores(both=_whole_mark(body))
    attitude, quality = _aspect_mark(body, "attitude"), _aspect_mark(body, "quality")
    if attitude or quality:
        return Scores(attitude=attitude, quality=quality)
    # The normaliser shortens repeats, and stars are counted.
    stars = len(lex.rx("score.stars").findall(text[:_MAX_CHARS]))
    return Scores(both=_whole_mark(body) or (stars if 1 <= stars <= lex.value("score.best") else None))


def _aspect_mark(body: str, aspect: str) -> int | None:
    lex = _lex()
    mark_first = lex.rx("score.mark_first").search(body) is not None
    found = lex.rx(f"score.{aspect}_{'after' if mark_first else 'before'}_mark").search(body)
    if not found:
        return None
    best: int = lex.value("score.best")
    return read_number(found.group("mark")) if found["mark"] else best


def _whole_mark(body: str) -> int | None:
    lex = _lex()
    if alone := lex.rx("score.alone").search(body):
        return read_number(alone.group(1))
    said = set()
    for path in ("score.marked", "score.given"):
        for found in lex.rx(path).finditer(body):
            if not lex.rx("score.skip_before").search(body[max(0, found.start() - 4) : found.start()]):
                said.add(read_number(found.group(1)))
    if said:
        # Two different marks without a word on what they are for cannot be told apart.
        return said.pop() if len(said) == 1 else None
    if lex.rx("score.full_marks").search(body):
        best: int = lex.value("score.best")
        return best
    if lex.rx("score.lowest").search(body):
        lowest: int = lex.value("score.worst")
        return lowest
    return None


# --- money ---------------------------------------------------------------------------------------------------------


def find_money_fen(text: str) -> int | None:
    """An amount in fen: the total when one is named, the sum of labelled parts, else the first amount."""
    body = readable(text)
    amounts = list(_amounts(body))
    if not amounts:
        return None
    lex = _lex()
    leads = [body[max(0, start - 6) : end] for start, end, _ in amounts]
    for lead, (_, _, fen) in zip(leads, amounts, strict=True):
        if lex.rx("money.total").search(lead):
            return fen
    if len(amounts) > 1 and all(lex.rx("money.part").search(lead) for lead in leads):
        return sum(fen for _, _, fen in amounts)
    return amounts[0][2]


def _amounts(body: str) -> Iterator[tuple[int, int, int]]:
    """Every amount once, in text order: the patterns overlap on purpose (收费80块)."""
    taken = 0
    hits = [m for pattern in _lex().each("money.forms") for m in pattern.finditer(body)]
    for hit in sorted(hits, key=lambda m: (m.start("sum"), -m.end())):
        if hit.start("sum") < taken:
            continue
        fen = _fen(hit.groupdict())
        if fen is not None:
            taken = hit.end()
            yield hit.start("sum"), hit.end(), fen


def _fen(parts: dict[str, str | None]) -> int | None:
    whole = parts["sum"] or ""
    if "." in whole:
        yuan, _, cents = whole.partition(".")
        return int(yuan) * _FEN_PER_YUAN + int(cents.ljust(2, "0"))
    amount = read_number(whole)
    if amount is None:
        return None
    return amount * _FEN_PER_YUAN + (read_number(parts.get("jiao") or "") or 0) * _FEN_PER_JIAO


# --- people --------------------------------------------------------------------------------------------------------


def find_people(text: str, names: Sequence[str]) -> list[str]:
    """Staff from `names` that the text mentions, in text order; one surname may mean several people."""
    body = _lex().rx("people.not_people").sub(lambda m: " " * len(m.group()), readable(text))
    found: list[tuple[int, str]] = []
    for name in dict.fromkeys(names):
        at = _mention(body, name)
        if at is not None:
            found.append((at, name))
    # A full name settles whom a bare title of the same surname means.
    exact = {name for _, name in found if _bare(name) in body or name in body}
    kept = [(at, n) for at, n in found if n in exact or not any(at == other_at for other_at, o in found if o in exact)]
    return [name for _, name in sorted(kept, key=lambda pair: pair[0])]


def _bare(name: str) -> str:
    return re.sub(r"[\s(（].*$", "", name)


def _mention(body: str, name: str) -> int | None:
    name = _bare(name)
    if not name:
        return None
    if name in body:
        return body.index(name)
    lex = _lex()
    compound = lex.rx("people.compound_surname").match(name)
    surname = compound.group() if compound else name[0]
    given = name[len(surname) :]
    forms = [
        f"{re.escape(surname)}{lex.source('people.titles')}",
        f"{lex.source('people.prefixes')}{re.escape(surname)}",
    ]
    if len(given) > 1 and not lex.rx("people.titles").fullmatch(given):
        forms.append(re.escape(given))
    hit = re.search("|".join(forms), body)
    return hit.start() if hit else None


# --- plate and form of address -------------------------------------------------------------------------------------


def find_plate(text: str) -> str | None:
    """A mainland plate as `浙A·12345`."""
    found = _lex().rx("plate.full").search(readable(text))
    if not found:
        return None
    province, city, number = found.groups()
    return f"{province}{city.upper()}·{number.upper()}"


def find_salutation(text: str) -> str | None:
    """How to address the writer: surname with title if a title was said, else the surname or full name alone."""
    body = readable(text)
    lex = _lex()
    if said := lex.rx("salutation.surname_is").search(body):
        return said.group(1) + (said.group(2) or "")
    if titled := lex.rx("salutation.titled").search(body):
        return titled.group(1) + titled.group(2)
    named = lex.rx("salutation.named").search(body)
    return named.group(1) if named else None


# --- masking -------------------------------------------------------------------------------------------------------


def mask_phone(phone: str) -> str:
    """`138****5678`; a short public number (119) stays readable, a half-typed one does not leak more than its tail."""
    digits = "".join(char for char in _ascii_digits(phone) if char in "0123456789")
    digits = _COUNTRY_CODE.sub("", digits)
    if len(digits) < _SHORTEST_PRIVATE:
        return phone
    head = digits[:3] if len(digits) >= _SHORTEST_WITH_HEAD else ""
    return f"{head}****{digits[-4:]}"


def mask_text(text: str) -> str:
    """The same text with phone, identity-card and bank-card numbers starred out; lengths and other words stay."""
    return _starred(text, _masks())


def mask_identity(text: str) -> str:
    """The same text with identity-card numbers starred out whole: nobody here needs one (domain.md §9.2)."""
    lex = _lex()
    return _starred(text, ((lex.rx(path), 0, 0) for path in ("masking.id18", "masking.id15")))


def _starred(text: str, masks: Iterable[tuple[re.Pattern[str], int, int]]) -> str:
    for pattern, keep_head, keep_tail in masks:
        shadow = _ascii_digits(text)
        text = _star(text, pattern.finditer(shadow), keep_head, keep_tail)
    return text


def _masks() -> Iterator[tuple[re.Pattern[str], int, int]]:
    lex = _lex()
    for path, head, tail in (
        ("masking.id18", 0, 0),
        ("masking.bank", 0, 4),
        ("masking.id15", 0, 0),
        ("phone.mobile", 3, 4),
        ("phone.spoken", 3, 4),
        ("phone.landline", 3, 4),
    ):
        yield lex.rx(path), head, tail


def _star(text: str, hits: Iterable[re.Match[str]], head: int, tail: int) -> str:
    """Star the digits of each hit except the first `head` and the last `tail`; separators stay where they are."""
    chars = list(text)
    for hit in hits:
        first = hit.start(1) if hit.re.groups else hit.start()
        places = [index for index in range(first, hit.end()) if chars[index].isalnum()]
        for index in places[head : len(places) - tail]:
            chars[index] = "*"
    return "".join(chars)


def mentions_id_number(text: str) -> bool:
    """Whether something shaped like an identity-card number is in the text."""
    shadow = _ascii_digits(text)
    lex = _lex()
    return any(lex.rx(path).search(shadow) for path in ("masking.id18", "masking.id15"))


def _ascii_digits(text: str) -> str:
    """The same text, same length, with every decimal digit of any script as ASCII."""
    digit: Callable[[str], int] = lambda char: unicodedata.digit(char, -1)  # noqa: E731
    return "".join(str(digit(char)) if not char.isascii() and digit(char) >= 0 else char for char in text)
