"""Reads an address out of a resident's sentence and checks it against the property register (domain.md §4).

Three steps: fold the text (width, simplified, numerals) while remembering where every character came from; cut it into
tokens after blanking what only looks like an address (times, money, phones, plates); match the tokens against the
register, which alone decides what exists. The bound flat, the open draft and the last ticket only fill or correct.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from typing import Any, Literal

from nlu.register import NO_LEVEL, UNKNOWN, Building, Kind, Place, Register, wording

Action = Literal["ok", "echo", "confirm", "ask", "invalid", "conflict", "none"]

NOT_ADDRESS = "not an address"
PUBLIC = "PUB:"
ROOF = "RF"
MAX_OPTIONS = 6
MAX_PLACES = 6
# Worst first: the answer to several places is as certain as the least certain of them.
_RANK: tuple[Action, ...] = ("conflict", "invalid", "ask", "confirm", "echo", "ok", "none")
_HOLE = "\x00"
# what a correction took back; unlike other noise, what follows it is an answer
_STRUCK = "\x01"


@dataclass(frozen=True, slots=True)
class Address:
    """What one text says about a place; `key` uses the notation of domain.md §4.3."""

    action: Action
    key: str
    keys: tuple[str, ...] = ()
    display: str = ""
    missing: str = ""
    options: tuple[tuple[str, str], ...] = ()
    problem: Mapping[str, str] = field(default_factory=dict)
    public: bool = False
    area: str = ""
    source_key: str = ""
    spans: tuple[tuple[int, int], ...] = ()
    name: str = ""
    phone: str = ""
    corrected: bool = False


NONE = Address("none", NOT_ADDRESS)


def resolve(
    text: str, register: Register, *, bound: str | None = None, draft: str | None = None, last: str | None = None
) -> Address:
    """The place a message names, completed from the sender's flat, the open draft or the last ticket."""
    lexicon = _lexicon(register)
    open_parts = tuple(_parse_key(draft, register)) if draft else ()
    reading = _read(text, lexicon, open_parts)
    if not reading.parts and not reading.denied:
        return NONE
    home = register.places.get(bound or "")
    context = _Context(register, home, open_parts, last or "", reading.corrects)
    if not reading.parts:
        return _denied(reading.denied, context)
    answers = [_answer(parts, context) for parts in reading.parts[:MAX_PLACES]]
    answers = [answer for answer in answers if answer.action != "none"]
    if not answers:
        return NONE
    return replace(_combine(answers, register), spans=reading.spans, name=reading.name, phone=reading.phone)


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of a place as a text states them; "" was not said. `floor` is a label, `area` a public place."""

    phase: str = ""
    building: str = ""
    unit: str = ""
    floor: str = ""
    room: str = ""
    area: str = ""
    key: str = ""


def stated(text: str) -> Levels | None:
    """The first place a text states, by grammar alone: for when no register can say what exists (domain.md §4.1)."""
    lexicon, words = _lexicon(_unregistered()), wording()["unregistered"]
    text = re.sub(words["name"], lambda found: " " * len(found[0]), text)
    reading = _read(text, lexicon, ())
    if not reading.parts and len(text) <= _BARE_CHARS:
        # A message that is only a number may be a room; with more around it a number is not trusted.
        reading = _read(text, lexicon, (_Parts(),))
    if not reading.parts:
        room = re.search(words["room"], text)
        return _levels(_Parts(room=room["room"])) if room else None
    parts = reading.parts[0]
    parts = _stating(parts, parts.alts[0]) if parts.alts else parts
    if parts.empty or (parts.relation and not _states_home(parts) and not parts.area):
        return None
    return _levels(parts)


_BARE_CHARS = 12


@cache
def _unregistered() -> Register:
    return Register.from_spec(wording()["unregistered"])


def _levels(parts: _Parts) -> Levels:
    phase = parts.phase.removesuffix(wording()["marks"]["phase"])
    building = parts.between or parts.building
    if parts.room or not parts.door:
        room = parts.room
    else:
        room = parts.floor + parts.door.zfill(2) if parts.door.isdigit() else parts.floor + parts.door
    floor = parts.floor + (f"-{parts.floor_to}" if parts.floor_to else "")
    named = [phase or UNKNOWN, building or UNKNOWN, parts.unit or UNKNOWN]
    if parts.area:
        key = PUBLIC + "/".join([*named, f"F{floor}" if floor else NO_LEVEL, parts.area])
    else:
        key = "/".join([*named, room or (f"F{floor}" if floor else UNKNOWN)])
    return Levels(phase, building, parts.unit, floor, room, parts.area, key)


def levels_of(key: str, register: Register) -> Levels:
    """The levels of a resolved key; "?" and "-" become "", and so does what several possible places do not share."""
    found = [_one_key(one, register) for one in key.split(" (source?")[0].split(" + ")[0].split(" or ")]
    shared = {
        name: getattr(found[0], name) if len({getattr(one, name) for one in found}) == 1 else ""
        for name in ("phase", "building", "unit", "floor", "room", "area")
    }
    return Levels(**shared, key=key)


def _one_key(key: str, register: Register) -> Levels:
    pieces = [piece.strip("?-") for piece in key.removeprefix(PUBLIC).split("/")]
    phase, building, unit, fourth, area, *_ = [*pieces, "", "", "", "", ""]
    if key.startswith(PUBLIC):
        return Levels(phase, building, unit, fourth.replace("F", ""), "", area)
    place = register.places.get(key)
    if place is not None:
        return Levels(phase, building, unit, place.floor.strip(NO_LEVEL), place.room)
    if fourth.startswith("F"):
        return Levels(phase, building, unit, fourth.removeprefix("F"))
    return Levels(phase, building, unit, "", fourth)


# --- folding -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Folded:
    """Folded text with, for every character, the range of the original it stands for."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def source(self, start: int, end: int) -> tuple[int, int]:
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
        self.unit_next = re.compile(_alt(marks["unit"] + marks["unit_heard"]))

    def fold(self, text: str) -> _Folded:
        pieces: list[tuple[str, int, int]] = []
        done = 0
        for run in self.run.finditer(text):
            pieces += [(text[i], i, i + 1) for i in range(done, run.start())]
            pieces += self._run(text, run.start(), run.end())
            done = run.end()
        pieces += [(text[i], i, i + 1) for i in range(done, len(text))]
        flat = [(char, start, end) for piece, start, end in pieces for char in piece]
        return _Folded("".join(c for c, _, _ in flat), tuple(s for _, s, _ in flat), tuple(e for _, _, e in flat))

    def _run(self, text: str, start: int, end: int) -> Iterator[tuple[str, int, int]]:
        chars = [self._char(text, start, end, i) for i in range(start, end)]
        first = 0
        while first < len(chars):
            last = first
            while last < len(chars) and (chars[last].isascii() or chars[last] in self.multipliers):
                last += 1
            segment = "".join(chars[first:last])
            if any(char in self.multipliers for char in segment):
                yield self._value(segment), start + first, start + last
            else:
                yield from ((char, start + i, start + i + 1) for i, char in enumerate(segment, first))
            if last < len(chars):
                yield chars[last], start + last, start + last + 1
            first = last + 1

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


def _fold(text: str) -> _Folded:
    return _numerals().fold("".join(map(_fold_char, text)))


def _alt(words: Iterable[str]) -> str:
    """Alternation of literal words, longest first so that 电梯厅 is not read as 电梯."""
    return "|".join(re.escape(word) for word in sorted(set(words), key=lambda w: (-len(w), w))) or r"(?!)"


def _folded_words(words: Iterable[str]) -> list[str]:
    return [_fold(str(word)).text for word in words]


# --- what only looks like an address -------------------------------------------------------------------------------


class _Noise:
    """Blanks times, money, counts, plates, order numbers and the like; finds the phone that is glued to an address."""

    PHONE = re.compile(r"(?<!\d)(?P<room>\d{3,4})?(?P<phone>1[3-9]\d{9})(?!\d)")
    SPACED_PHONE = re.compile(r"(?<![\d-])1[3-9]\d[ -]\d{4}[ -]\d{4}(?![\d-])")

    def __init__(self) -> None:
        words, marks = wording()["not_address"], wording()["marks"]
        to = _alt(_folded_words(marks["to"]))
        parts = (self._codes(words), self._dates(words, to), self._streets(marks), self._counts(words, to))
        self.pattern = re.compile("|".join(parts))

    @staticmethod
    def _codes(words: Mapping[str, Any]) -> str:
        """Links, mail, ticket numbers, chat names, plates, order numbers, landlines."""
        return "|".join(
            (
                r"(?:HTTPS?://|WWW\.)[!-~]{1,200}",
                r"(?<![A-Z0-9])[A-Z0-9._%+-]{1,40}@[A-Z0-9.-]{1,60}",
                r"(?<![A-Z0-9])[A-Z]{2}\d{6,8}(?:-?\d{3,4})?(?!\d)",
                rf"(?:{_alt(words['chat_ids'])})[号:是 ]{{0,3}}[A-Z0-9][A-Z0-9-]{{4,30}}",
                r"(?<![A-Z0-9])[A-Z]{3,20}(?=[A-Z-]{0,20}\d)[A-Z0-9-]{1,40}",
                rf"[{words['provinces']}][A-Z][ .·•]?[A-Z0-9]{{4,6}}(?![A-Z0-9])",
                r"\d{5,}(?:-\d{1,12})?",
                r"(?<![\d-])(?:0\d{2,3}|400)-\d{3,4}-?\d{3,5}(?!\d)",
            )
        )

    @staticmethod
    def _counts(words: Mapping[str, Any], to: str) -> str:
        """Ordinals, money and quantities; big numbers need a surer counter because rooms are big numbers too."""
        latin = rf"(?:{_alt(words['latin_units'])})(?![A-Z])"
        not_counted, approx = _alt(words["not_counted"]), rf"(?:{_alt(words['approx'])})?"
        few, many = _alt(_folded_words(words["counters"])), _alt(_folded_words(words["counters_of_many"]))
        return "|".join(
            (
                rf"第\d{{1,3}}(?:{_alt(words['ordinal_after'])})",
                r"\d{1,2}梯\d{1,2}户",
                rf"(?<![\dA-Z#\-负])\d{{1,2}}(?:\.\d{{1,2}})?(?:(?:{to})\d{{1,4}}(?:\.\d{{1,2}})?)?"
                rf"{approx} ?(?:(?:{few})(?!{not_counted})|{latin})",
                rf"(?<![\dA-Z#\-{words['marks_before_room']}])\d{{3,4}}(?:\.\d{{1,2}})?(?:(?:{to})\d{{1,4}})?"
                rf"{approx} ?(?:(?:{many})(?!{not_counted})|{latin})",
                r"[¥￥$] ?\d{1,4}(?:\.\d{1,2})?",
                rf"\d{{1,2}}(?={_alt(words['number_words'])})",
                r"(?<!\d)\d{1,3}\.\d{1,3}(?![\d.])",
            )
        )

    @staticmethod
    def _dates(words: Mapping[str, Any], to: str) -> str:
        day = rf"(?<![\d{words['marks_before_number']}\-])\d{{1,2}}[号日]"
        half = "半|[1-3]刻|\\d{1,2}分?"
        return "|".join(
            (
                r"(?<!\d)(?:19|20)\d{2}[-/.年]\d{1,2}(?:[-/.月]\d{1,2}[号日]?)?(?!\d)",
                r"(?<![\d-])\d{1,2}[/.]\d{1,2}[/.](?:19|20)\d{2}(?!\d)",
                rf"\d{{1,2}}月(?:\d{{1,2}}(?:(?:{to})\d{{1,2}})?[号日]?)?份?",
                rf"\d{{1,2}}[点时]?(?:{to})\d{{1,2}}[点时](?:{half})?",
                rf"(?<!\d)\d{{1,2}}(?:点钟?|时)(?:{half})?",
                r"(?<![\d:])\d{1,2}:\d{2}(?![\d:])",
                rf"{day}?(?:{to}){day}(?={_alt(words['am_pm'])})",
                rf"{day}(?= ?(?:{_alt(_folded_words(words['am_pm']))}))",
                rf"(?:{_alt(_folded_words(words['date_before']))})的?\d{{1,2}}号(?!楼|梯|门|房|\d|大楼|[楼院]|商|车)",
                r"(?<!\d)\d{1,2}日",
                rf"(?:{_alt(words['weekday'])})\d",
                r"\d{2,4}年(?!久)",
            )
        )

    @staticmethod
    def _streets(marks: Mapping[str, Any]) -> str:
        named = rf"[^\d ,.。，;；!！?？:：]{{0,8}}\d?(?:{_alt(marks['street'])})"
        return rf"{named}\d{{1,5}}(?:{marks['house_number']}(?!楼)|{marks['lane']})"

    def blank(self, text: str) -> tuple[str, str]:
        """The text with noise blanked out, same length, and the first phone number."""
        phone = ""
        for found in self.SPACED_PHONE.finditer(text):
            phone = phone or re.sub(r"\D", "", found[0])
        text = self.SPACED_PHONE.sub(lambda m: _HOLE * len(m[0]), text)
        found_phone = self.PHONE.search(text)
        phone = phone or (found_phone["phone"] if found_phone else "")
        text = self.PHONE.sub(lambda m: (m["room"] or "") + _HOLE * len(m["phone"]), text)
        return self.pattern.sub(lambda m: _HOLE * len(m[0]), text), phone


@cache
def _noise() -> _Noise:
    return _Noise()


# --- tokens ----------------------------------------------------------------------------------------------------------

_LEVELS = ("phase", "building", "unit", "floor", "door", "room")
_ELEMENT = r"(?:\d{1,2}[A-Z]\d{2}|\d{1,4}(?:[A-Z](?![A-Z]))?)"
_ROOMLIKE = re.compile(r"\d{3,4}[A-Z]?|\d{1,2}[A-Z]\d{2}")
_LABEL = re.compile(r"\d{1,2}[A-Z]")
_SMALL = re.compile(r"\d{1,2}")

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    start: int
    end: int
    values: Values = field(default_factory=dict)
    flags: frozenset[str] = frozenset()
    alts: tuple[Values, ...] = ()
    scope: str = ""

    @property
    def top(self) -> int:
        """Index of the highest level the token states."""
        stated = self.alts[0] if self.alts else self.values
        return next((i for i, level in enumerate(_LEVELS) if level in stated), len(_LEVELS))


class _Lexicon:
    """The token grammar of one register: common words plus the names only this community has."""

    def __init__(self, register: Register) -> None:
        words = wording()
        self.marks, self.areas, self.relative = words["marks"], words["areas"], words["relative"]
        self.noise, self.correction = words["not_address"], words["correction"]
        self.register = register
        self.phase_codes = self._phase_names()
        self.named = {
            _fold(alias).text: (building.phase, building.code)
            for building in register.buildings
            for alias in building.aliases
        }
        self.scopes = self._area_scopes()
        self.heard_areas = {_fold(word).text: name for word, name in self.areas["heard"].items()}
        self.letters = "".join(sorted({b.code for b in register.buildings if re.fullmatch("[A-Z]", b.code)}))
        self.room_texts = {p.room for p in register.places.values() if p.kind == "flat"}
        self.area = self._area_pattern()
        self.pattern = re.compile("|".join(f"(?P<{kind}>{regex})" for kind, regex in self._grammar()))
        self.struck = re.compile(self._struck())
        self.wrong = re.compile(_alt(_folded_words(self.correction["wrong"])))
        self.politeness = re.compile(f"[{re.escape(self.noise['politeness'])}\x00\x01]*")
        self.denied = re.compile(f"(?:{_alt(_folded_words(self.noise['before']))})[号:是 ]{{0,2}}$")
        self.allowed = re.compile(f"(?:^|[ ,.。!！?？;；:\x01]|{_alt(_folded_words(self.noise['allowed_before']))})$")
        self.joiners = frozenset(_folded_words(self.marks["and"]))
        self.hotlines = frozenset(self.noise["hotlines"])
        self.readers: dict[str, Callable[[re.Match[str]], list[_Token]]] = {
            name.removeprefix("_read_"): getattr(self, name) for name in dir(self) if name.startswith("_read_")
        }

    def _phase_names(self) -> dict[str, str]:
        flats = [phase for phase in self.register.phases if phase.kind == "flat"]
        return {_fold(name).text: phase.code for phase in flats for name in (phase.name, *phase.aliases)}

    def _area_scopes(self) -> dict[str, str]:
        scopes = dict.fromkeys((*self.register.gates, *self.register.areas), "estate")
        for scope in ("estate", "garage", "ground", "building", "roof", "unit", "floor"):
            scopes |= dict.fromkeys(self.areas[scope], scope)
        scopes |= {heard: scopes[name] for heard, name in self.areas["heard"].items()}
        return {_fold(name).text: scope for name, scope in scopes.items()}

    def _area_pattern(self) -> str:
        attached = _folded_words(self.areas["attached"])
        gates = _alt(_folded_words(self.register.gates))
        named = _alt(self.scopes)
        return rf"(?:(?:{named})(?:的?(?:{named}|{_alt(attached)})){{0,2}}|(?:{gates}))"

    def _struck(self) -> str:
        no, whether = self.correction["not"], self.correction["whether"]
        yes = _alt(self.correction["is"])
        replaced = rf"(?P<old>[^{whether}]{{1,20}})(?:{yes})"
        return rf"(?<!{whether}){no}(?=[^{whether}]{{0,8}}\d)(?:{replaced}|(?P<alone>[^{whether},.。 ]{{1,15}}))"

    def _grammar(self) -> Iterator[tuple[str, str]]:
        """Token kinds in order of priority at one position."""
        listed = {name: words for name, words in self.relative.items() if isinstance(words, list)}
        relative = {name: _alt(_folded_words(words)) for name, words in listed.items()}
        apart = _alt(self.areas["not_area"])
        yield "last", relative["last"]
        yield "skip", self._skipped()
        yield "own", rf"(?:{relative['own_prefix']}){self.relative['own_joint']}(?!{apart})(?={self.area})"
        yield (
            "phase",
            rf"(?P<ph>{_alt(self.phase_codes)})(?![期])|(?<!分)(?P<pn>\d{{1,2}}|I{{1,3}}|IV|VI?){self.marks['phase']}",
        )
        yield from self._other_kinds()
        yield from self._chains()
        yield from self._levels()
        for name in ("own_unit", "own_building", "own_floor", "self", "above", "below", "opposite", "beside"):
            yield name, relative[name]
        yield "reporter", relative["reporter"]
        yield "everyone", relative["everyone"]
        yield "area", self.area
        yield "attached", _alt(_folded_words(self.areas["attached"]))
        yield "side", relative["side"]
        yield "there", relative["there"]
        yield "more", relative["more"]

    def _skipped(self) -> str:
        names = _alt(_folded_words((self.register.community, *self.register.aliases)))
        return rf"{names}|{self.relative['elsewhere']}|{_alt(self.areas['not_area'])}|\d{{1,4}}{self.marks['lane']}"

    def _other_kinds(self) -> Iterator[tuple[str, str]]:
        marks = self.marks
        row, villa = marks["row"], _alt(marks["villa"])
        yield (
            "villa",
            rf"(?:{villa})?(?<!\d)(?P<vr>\d{{1,2}}){row} ?(?:(?P<vn>\d{{1,2}})(?:号|栋|户|#)?)?(?![\d楼])"
            + (rf"|(?:{villa}) ?(?P<vr2>\d{{1,2}})[-#](?P<vn2>\d{{1,2}})(?!\d)|(?:{villa})"),
        )
        yield "space", self._space()
        yield "level", self._garage_level()
        shop, letter = _alt(marks["shop"]), marks["shop_letter"]
        yield (
            "shop",
            rf"(?:{shop})[-:号 ]?{letter}?(?P<s1>\d{{1,3}})号?(?!\d)|(?<!\d)(?P<s2>\d{{1,3}})号?(?:{shop})"
            + (rf"|(?<![A-Z0-9]){letter}-?(?P<s3>\d{{1,3}})(?![A-Z0-9])号?"),
        )

    def _garage(self, name: str, *, bare: bool) -> str:
        """A garage level; "-2" needs its 层, a bare "B2" is left to where it stands."""
        down, floor = _alt(self.marks["underground"]), _alt(self.marks["floor"])
        letter = rf"(?:{down})?B(?P<{name}b>\d)(?:{floor})?"
        words = rf"(?:{down})(?P<{name}w>\d)(?:{floor})?"
        minus = rf"(?<![\dA-Z])-(?P<{name}m>\d)(?:{floor})"
        return rf"(?<![A-Z0-9])(?:{letter}|{words}|{minus})" + ("" if bare else r"(?!\d)")

    def _space(self) -> str:
        marks = self.marks
        garage, space, zone = _alt(marks["garage"]), _alt(marks["space"]), marks["zone"]
        level = self._garage("g", bare=True)
        return "|".join(
            (
                rf"(?:(?:{garage}) ?)?(?:{level})[ -]{{0,2}}(?:(?P<z1>[A-Z]){zone}?[ -]{{0,2}})?"
                rf"(?:(?P<n1>\d{{3,4}}|(?<=-)\d{{1,4}})(?:{space}|号|位)?(?!\d|电梯|梯|楼)|(?P<n2>\d{{1,4}})(?:{space}))",
                rf"(?:{garage}) ?(?:(?P<z3>[A-Z]){zone}?[ -]?)?(?P<n3>\d{{2,4}})(?:{space}|号)?(?!\d|电梯|梯|楼)",
                rf"(?<![A-Z0-9])(?P<z4>[A-Z]){zone}?[ -]?(?P<n4>\d{{1,4}})(?:{space})",
                rf"(?<![A-Z0-9])(?P<z5>[A-Z]){zone}(?P<n5>\d{{2,4}})号?(?![\d楼])",
                rf"(?<![A-Z0-9-])(?P<n6>\d{{3,4}}(?=停?车位)|\d{{1,4}}(?=号))(?:{space})",
                rf"(?:{space})号?[: ]?(?:(?P<z7>[A-Z])区?)?-?(?P<n7>\d{{2,4}})号?(?!\d)",
            )
        )

    def _garage_level(self) -> str:
        zone = self.marks["zone"]
        level = self._garage("l", bare=False)
        return rf"{level}(?:[ -]?(?P<lz>[A-Z])(?:{zone}|(?![A-Z0-9])))?|(?<![A-Z0-9])(?P<lz2>[A-Z]){zone}"

    def _chains(self) -> Iterator[tuple[str, str]]:
        marks = self.marks
        both = _alt((*_folded_words(marks["and"]),))
        yield (
            "rooms",
            rf"(?<![\dA-Z-])\d{{3,4}}[A-Z]?(?:(?:{both})\d{{3,4}}[A-Z]?){{1,5}}(?:{_alt(marks['room'])})?(?![\dA-Z])",
        )
        levels = [w for level in ("building", "unit", "unit_heard", "unit_weak", "floor") for w in marks[level]]
        # 楼 of 楼上 or 楼道 is not a mark of the number before it
        named_levels = rf"(?!{_alt(marks['not_floor'])})(?:{_alt(word for word in levels if word != '#')})"
        separators = _alt(marks["chain"])
        first = rf"(?:{_ELEMENT}|[{self.letters}])" if self.letters else _ELEMENT
        yield (
            "chain",
            (
                rf"(?<![\dA-Z.])(?P<els>{first}(?: ?(?:{separators}) ?{_ELEMENT}){{1,6}})"
                rf"(?: ?(?:{_alt(marks['room'])}))?(?:(?=[A-Z]{{2}})|(?![\dA-Z]|{named_levels}))"
            ),
        )
        yield "tail", rf"(?<=[{marks['building_end']}]) ?(?P<tu>\d{{1,2}}) (?P<tr>\d{{3,4}})(?!\d)"

    def _levels(self) -> Iterator[tuple[str, str]]:
        marks, lead = self.marks, r"(?<![\dA-Z])"
        building, unit, heard = _alt(marks["building"]), _alt(marks["unit"]), _alt(marks["unit_heard"])
        both, to, between = _alt(marks["and"]), _alt(marks["to"]), _alt(self.relative["between"])
        first, second = rf"(?P<b1>\d{{1,2}})(?:{building})?", rf"(?P<b2>\d{{1,2}})(?:{building})"
        yield "between", rf"{lead}{first}(?:{both}){second}的?(?:{between})的?"
        yield "buildings", rf"{lead}\d{{1,2}}(?:(?:{building})?(?:{both}|{to})\d{{1,2}}){{1,5}}(?:{building})"
        yield "units", rf"{lead}\d{{1,2}}(?:(?:{both}|{to})\d{{1,2}}){{1,3}}(?:{unit})"
        yield "building", self._building(lead, building, unit, heard)
        yield "unit", rf"{lead}(?:(?P<uc>\d{{1,2}}|[A-F]) ?(?:{unit})|(?P<uh>\d{{1,2}}|[A-F]) ?(?:{heard}))"
        yield "weak_unit", rf"{lead}(?P<uw>\d{{1,2}})(?:{_alt(marks['unit_weak'])})"
        yield from self._floors_and_rooms(lead)

    def _building(self, lead: str, building: str, unit: str, unit_heard: str) -> str:
        """A named building, a marked number, 号 before a unit or room, or a mark as voice input hears it."""
        heard = _alt(_folded_words(self.marks["building_heard"]))
        any_unit = f"{unit}|{unit_heard}|{_alt(self.marks['unit_weak'])}"
        code = rf"(?:\d{{1,3}}|[{self.letters}])" if self.letters else r"\d{1,3}"
        house = self.marks["house_number"]
        follows = rf"[ ,-]{{0,2}}(?:\d{{3,4}}(?!\d)|\d{{1,2}}(?:{any_unit})|\d{{1,2}}[A-Z])"
        return (
            rf"(?P<bn>{_alt(self.named)})|{lead}(?P<bc>{code}) ?(?:{building})(?![A-Z]座)"
            rf"|{lead}(?P<bh>\d{{1,3}}){house}(?={follows})"
            rf"|{lead}(?P<bf>\d{{1,2}})(?:{heard})(?=[ ,的里]{{0,2}}(?:\d|[A-F](?:{unit})|{self.area})|$)"
        )

    def _floors_and_rooms(self, lead: str) -> Iterator[tuple[str, str]]:
        marks, label = self.marks, r"\d{1,2}[A-Z]?"
        floor, room, door = _alt(marks["floor"]), _alt(marks["room"]), _alt(marks["door"])
        floor = rf"(?!{_alt(marks['not_level'])})(?:{floor})"
        yield "floors", rf"{lead}(?P<f1>{label})(?:{floor})?(?:{_alt(marks['to'])})(?P<f2>{label})(?:{floor})"
        number = rf"(?P<fd>\d{{1,2}}(?=(?:{door}))|0\d|[A-F])(?:{door})?(?![\dA-Z楼梯]|电梯)"
        yield "floor_door", rf"{lead}(?P<fl>{label})(?:{floor}) ?-?{number}"
        yield "top", _alt(self.relative["top"])
        after = _alt((*_folded_words(self.noise["not_floor_after"]), *marks["room"]))
        yield "floor", rf"(?<![A-Z0-9])F(?P<ff>[1-9]\d?)(?!\d)|{lead}(?P<fn>{label}) ?(?:{floor})(?![A-Z]|{after})"
        text = r"\d{3,4}(?:[A-Z](?![A-Z]))?(?:-\d(?!\d))?|\d{1,2}[A-F]\d{2}|\d{1,2}[A-F]"
        end = rf" ?(?P<rm>{room}|{marks['house_number']}(?!\d))|(?![\dA-Z])|(?=[A-Z]{{2}})"
        yield "room", rf"{lead}(?P<rt>{text})(?:{end})"

    def tokens(self, text: str, *, eager: bool = False) -> list[_Token]:
        found: list[_Token] = []
        for match in self.pattern.finditer(text):
            kind = match.lastgroup or ""
            reader = self.readers.get(kind)
            found += reader(match) if reader else [_Token(kind, match.start(), match.end())]
        return self._accept(text, found, eager)

    # readers: one match → tokens

    def _token(self, match: re.Match[str], values: Values, *flags: str, kind: str = "") -> list[_Token]:
        return [_Token(kind or match.lastgroup or "", match.start(), match.end(), values, frozenset(flags))]

    def _read_villa(self, match: re.Match[str]) -> list[_Token]:
        row, number = match["vr"] or match["vr2"], match["vn"] or match["vn2"]
        if not row:
            code = next((phase.code for phase in self.register.phases if phase.kind == "villa"), "")
            return self._token(match, {"phase": code}) if code else []
        values = {"building": row}
        return self._token(match, values | ({"room": number} if number else {}))

    def _read_space(self, match: re.Match[str]) -> list[_Token]:
        level = match["gb"] or match["gw"] or match["gm"]
        zone = match["z1"] or match["z3"] or match["z4"] or match["z5"] or match["z7"]
        number = next(match[f"n{i}"] for i in range(1, 8) if match[f"n{i}"])
        values = {"room": number} | ({"building": f"B{level}"} if level else {}) | ({"unit": zone} if zone else {})
        return self._token(match, values)

    def _read_level(self, match: re.Match[str]) -> list[_Token]:
        level, zone = match["lb"] or match["lw"] or match["lm"], match["lz"] or match["lz2"]
        bare = len(match[0]) == 2 or not level
        return self._token(
            match,
            ({"building": f"B{level}"} if level else {}) | ({"unit": zone} if zone else {}),
            *(["bare"] if bare else []),
        )

    def _read_shop(self, match: re.Match[str]) -> list[_Token]:
        return self._token(
            match, {"room": match["s1"] or match["s2"] or match["s3"]}, *(["alias"] if match["s3"] else [])
        )

    def _read_phase(self, match: re.Match[str]) -> list[_Token]:
        if match["ph"]:
            return self._token(match, {"phase": self.phase_codes[match["ph"]]})
        roman = wording()["fold"]["roman_phase"]
        name = roman.get(match["pn"], match["pn"]) + self.marks["phase"]
        return self._token(match, {"phase": self.phase_codes.get(name, name)})

    def _read_rooms(self, match: re.Match[str]) -> list[_Token]:
        rooms = re.findall(r"\d{3,4}[A-Z]?", match[0])
        return [
            _Token("room", match.start(), match.end(), {"room": room}, frozenset({"marked"} if i else ()))
            for i, room in enumerate(rooms)
        ]

    def _read_chain(self, match: re.Match[str]) -> list[_Token]:
        elements = re.findall(rf"{_ELEMENT}|[A-Z]", match["els"])
        rooms = [element for element in elements if _ROOMLIKE.fullmatch(element)]
        first_room = elements.index(rooms[0]) if rooms else len(elements)
        extra = elements[first_room + 1 :] if len(rooms) > 1 else []
        if first_room == 0 or set(extra) - set(rooms):
            return (
                [_Token("room", match.start(), match.end(), {"room": "-".join(elements)})] if len(elements) == 2 else []
            )
        core = elements[: len(elements) - len(extra)]
        separators = {text.strip() for text in re.split(_ELEMENT, match["els"])[1:-1]}
        alts = tuple(_chain_readings(core, all(s in self.marks["pair"] for s in separators)))
        flags = frozenset({"pair"} if len(core) == 2 and all(map(_SMALL.fullmatch, core)) else ())
        chain = [_Token("chain", match.start(), match.end(), flags=flags, alts=alts)] if alts else []
        return chain + [_Token("room", match.start(), match.end(), {"room": r}, frozenset({"marked"})) for r in extra]

    def _read_tail(self, match: re.Match[str]) -> list[_Token]:
        return self._token(match, {"unit": match["tu"], "room": match["tr"]}, kind="unit")

    def _read_between(self, match: re.Match[str]) -> list[_Token]:
        return self._token(match, {"between": f"{match['b1']}~{match['b2']}"})

    def _read_buildings(self, match: re.Match[str]) -> list[_Token]:
        return self._several(match, "building")

    def _read_units(self, match: re.Match[str]) -> list[_Token]:
        return self._several(match, "unit")

    def _several(self, match: re.Match[str], level: str) -> list[_Token]:
        codes = re.findall(r"\d{1,2}", match[0])
        spoken_range = len(codes) == 2 and any(word in match[0] for word in self.marks["to"])
        if spoken_range and int(codes[0]) < int(codes[1]) <= int(codes[0]) + MAX_PLACES:
            codes = [str(code) for code in range(int(codes[0]), int(codes[1]) + 1)]
        return [_Token(level, match.start(), match.end(), {level: code}, frozenset({"listed"})) for code in codes]

    def _read_building(self, match: re.Match[str]) -> list[_Token]:
        if match["bn"]:
            phase, code = self.named[match["bn"]]
            return self._token(match, {"phase": phase, "building": code}, "alias")
        code = match["bc"] or match["bh"] or match["bf"]
        return self._token(match, {"building": code.lstrip("0") or code}, *(["fuzzy"] if match["bf"] else []))

    def _read_unit(self, match: re.Match[str]) -> list[_Token]:
        code = match["uc"] or match["uh"]
        flags = (["fuzzy"] if match["uh"] else []) + (["alias"] if code.isalpha() else [])
        return self._token(match, {"unit": code.lstrip("0") or code}, *flags)

    def _read_weak_unit(self, match: re.Match[str]) -> list[_Token]:
        return self._token(match, {"unit": match["uw"]})

    def _read_floors(self, match: re.Match[str]) -> list[_Token]:
        return self._token(match, {"floor": match["f1"], "floor_to": match["f2"]}, kind="floor")

    def _read_floor_door(self, match: re.Match[str]) -> list[_Token]:
        return self._token(match, {"floor": match["fl"], "door": match["fd"]}, kind="floor")

    def _read_top(self, match: re.Match[str]) -> list[_Token]:
        return self._token(match, {"floor": ROOF}, kind="floor")

    def _read_floor(self, match: re.Match[str]) -> list[_Token]:
        flags = ["loose"] if match[0].endswith(self.marks["floor"][1]) else []
        return self._token(match, {"floor": (match["fn"] or match["ff"]).lstrip("0") or "0"}, *flags)

    def _read_room(self, match: re.Match[str]) -> list[_Token]:
        return self._token(match, {"room": match["rt"]}, *(["marked"] if match["rm"] else []))

    def _read_area(self, match: re.Match[str]) -> list[_Token]:
        first = next((name for name in sorted(self.scopes, key=len, reverse=True) if match[0].startswith(name)), "")
        flags = frozenset({"fuzzy"} if first in self.heard_areas else ())
        values = {"area": self.heard_areas[first] + match[0][len(first) :]} if flags else {}
        return [_Token("area", match.start(), match.end(), values, flags, scope=self.scopes.get(first, "estate"))]

    def _read_attached(self, match: re.Match[str]) -> list[_Token]:
        return [_Token("attached", match.start(), match.end(), scope="ground")]

    # what counts

    def _accept(self, text: str, tokens: list[_Token], eager: bool) -> list[_Token]:
        anchored = [t for t in tokens if t.kind in ("building", "unit", "chain", "phase", "floor")]
        kept: list[_Token] = []
        for i, token in enumerate(tokens):
            after = tokens[i + 1] if i + 1 < len(tokens) else None
            if token.kind == "room" and not self._is_room(text, token, anchored, eager):
                continue
            if token.kind == "chain" and not self._is_chain(text, token, kept):
                continue
            if token.kind == "weak_unit" and not self._is_unit(token, kept, after):
                continue
            kept.append(token)
        return kept

    def _is_unit(self, token: _Token, before: list[_Token], after: _Token | None) -> bool:
        led = bool(before) and before[-1].kind in ("building", "phase") and token.start - before[-1].end <= 1
        return led or (after is not None and after.kind == "room" and after.start - token.end <= 1)

    def _is_chain(self, text: str, token: _Token, before: list[_Token]) -> bool:
        """Two small numbers are an address only where nothing else can be meant."""
        if self.denied.search(text[max(0, token.start - 8) : token.start]):
            return False
        if "pair" not in token.flags:
            return True
        if before and before[-1].kind in ("phase", "building", "unit", "skip") and token.start - before[-1].end <= 1:
            return True
        starts = not text[: token.start].strip(" ,.。!！\x00")
        return starts and not re.match(_alt(self.noise["pair_after"]), text[token.end :].lstrip())

    def _is_room(self, text: str, token: _Token, anchors: list[_Token], eager: bool) -> bool:
        room = token.values["room"]
        touching = any(0 <= token.start - a.end <= 1 for a in anchors)
        if room in self.hotlines and not ("marked" in token.flags or (touching and room in self.room_texts)):
            return False
        if "marked" in token.flags or touching:
            return True
        before = text[max(0, token.start - 8) : token.start]
        if self.denied.search(before):
            return False
        near = any(min(abs(token.start - a.end), abs(a.start - token.end)) <= 12 for a in anchors)
        led = self.allowed.search(before) is not None
        if near or (eager and self.is_whole(text, token)) or (led and self.corrects(text)):
            return True
        return room.lstrip("0") in self.room_texts and (led or self.is_whole(text, token))

    def corrects(self, text: str) -> bool:
        """The message takes something back, so even an unlikely number is an answer."""
        return _STRUCK in text or self.wrong.search(text) is not None

    def is_whole(self, text: str, token: _Token) -> bool:
        rest = text[: token.start] + " " + text[token.end :]
        return self.politeness.fullmatch(rest) is not None


@lru_cache(maxsize=64)
def _lexicon(register: Register) -> _Lexicon:
    return _Lexicon(register)


def _chain_readings(elements: Sequence[str], may_pair: bool) -> Iterator[Values]:
    """What "a-b-c" can stand for, best reading first."""
    last = elements[-1]
    room = bool(_ROOMLIKE.fullmatch(last))
    label = bool(_LABEL.fullmatch(last))
    forms: dict[int, list[tuple[str, ...]]] = {
        2: [("building", "room"), ("unit", "room")] if room or label else [("building", "unit"), ("floor", "door")],
        3: [("building", "unit", "room"), ("phase", "building", "room")]
        if room
        else [("building", "floor", "door"), ("building", "unit", "room"), ("building", "unit", "floor")],
        4: [("phase", "building", "unit", "room")]
        if room
        else [("building", "unit", "floor", "door"), ("phase", "building", "floor", "door")],
        5: [("phase", "building", "unit", "floor", "door")],
    }
    if len(elements) == 2 and label:
        forms[2] += [("building", "floor"), ("unit", "floor")]
    if len(elements) == 2 and not (room or label) and not may_pair:
        return
    for form in forms.get(len(elements), []):
        yield dict(zip(form, elements, strict=True))


# --- reading a message -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Parts:
    """One place as far as the text states it; an empty level was not mentioned."""

    kind: Kind = "flat"
    phase: str = ""
    building: str = ""
    unit: str = ""
    floor: str = ""
    floor_to: str = ""
    door: str = ""
    room: str = ""
    area: str = ""
    scope: str = ""
    between: str = ""
    relation: str = ""
    flags: frozenset[str] = frozenset()
    alts: tuple[Values, ...] = ()

    def level(self, name: str) -> str:
        return str(getattr(self, name))

    @property
    def empty(self) -> bool:
        stated = any(self.level(level) for level in _LEVELS)
        return not (stated or self.area or self.between or self.relation or self.alts)

    @property
    def private(self) -> bool:
        return bool(self.room or self.door or self.relation == "self" or any("room" in alt for alt in self.alts))

    def flagged(self, *flags: str) -> _Parts:
        return replace(self, flags=self.flags | set(flags))


@dataclass(frozen=True, slots=True)
class _Reading:
    parts: tuple[_Parts, ...]
    spans: tuple[tuple[int, int], ...]
    name: str
    phone: str
    corrects: bool
    denied: tuple[_Parts, ...] = ()


def _read(text: str, lexicon: _Lexicon, draft: tuple[_Parts, ...]) -> _Reading:
    folded = _fold(text)
    blanked, phone = _noise().blank(folded.text)
    struck = _strike(blanked, lexicon)
    corrects = lexicon.corrects(struck)
    joined = _join_spaced(struck, lexicon)
    tokens = lexicon.tokens(joined, eager=corrects or bool(draft)) or _short_answer(joined, lexicon, draft)
    parts, used = _Grouper(joined, folded, text, lexicon, draft).run(tokens)
    denied = () if parts else _denied_parts(blanked, folded, text, lexicon)
    return _Reading(tuple(parts), _spans(folded, used), _name(text), phone, corrects, denied)


def _denied_parts(blanked: str, folded: _Folded, original: str, lexicon: _Lexicon) -> tuple[_Parts, ...]:
    """What a bare "不是2单元" takes back without saying what it is instead."""
    found = lexicon.struck.search(blanked)
    if found is None or not found["alone"]:
        return ()
    rest = " " * found.start("alone") + found["alone"] + " "
    rest += " " * (len(blanked) - len(rest))
    parts, _ = _Grouper(rest[: len(blanked)], folded, original, lexicon, ()).run(lexicon.tokens(rest[: len(blanked)]))
    return tuple(parts[:1])


def _strike(text: str, lexicon: _Lexicon) -> str:
    """Blank what a correction takes back: 不是1502是1503 leaves 1503."""
    found = lexicon.struck.search(text)
    if found is None:
        return text
    return text[: found.start()] + _STRUCK * len(found[0]) + text[found.end() :]


_SPACED = re.compile(rf"\s*(?P<els>{_ELEMENT}(?: {{1,3}}{_ELEMENT}){{1,4}})\s*")


def _join_spaced(text: str, lexicon: _Lexicon) -> str:
    """Spaces join numbers only when the whole message is the address: "3 2 1502"."""
    found = _SPACED.match(text)
    if found is None or not lexicon.politeness.fullmatch(text[found.end() :]):
        return text
    elements = found["els"].split()
    if not _ROOMLIKE.fullmatch(elements[-1]) or any(map(_ROOMLIKE.fullmatch, elements[:-1])):
        return text
    body = re.sub(" +", lambda m: "-" + " " * (len(m[0]) - 1), found["els"])
    return text[: found.start("els")] + body + text[found.end("els") :]


_SHORT = re.compile(r"[ ,.]{0,3}(?P<n>\d{1,3})(?P<mark>号|室|户|房)?[ ,.。!！]{0,3}")


def _short_answer(text: str, lexicon: _Lexicon, draft: tuple[_Parts, ...]) -> list[_Token]:
    """A message that is only "02" or "3号": the door of an open floor, else a house number."""
    found = _SHORT.fullmatch(text)
    if found is None:
        return []
    number, at = found["n"], (found.start("n"), found.end())
    if any(part.floor and not part.room and not part.area for part in draft) and len(number) <= 2:
        return [_Token("floor", *at, {"door": number})]
    if any(part.kind == "villa" and part.building and not part.room for part in draft) or (
        any(part.kind == "space" and not part.room for part in draft)
    ):
        return [_Token("room", *at, {"room": number})]
    known = any(building.code == number for building in lexicon.register.of_kind("flat"))
    return [_Token("building", *at, {"building": number})] if found["mark"] == "号" and known else []


def _spans(folded: _Folded, tokens: Iterable[_Token]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(folded.source(token.start, token.end) for token in tokens):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


@cache
def _name_pattern() -> re.Pattern[str]:
    people = wording()["people"]
    return re.compile(rf"(?:{_alt(people['compound'])}|[{people['surnames']}])(?:{_alt(people['titles'])})")


def _name(text: str) -> str:
    found = _name_pattern().search(text)
    return found[0] if found else ""


class _Grouper:
    """Puts tokens together into places; a level said twice begins another place."""

    def __init__(self, text: str, folded: _Folded, original: str, lexicon: _Lexicon, draft: tuple[_Parts, ...]) -> None:
        self.text, self.folded, self.original, self.lexicon = text, folded, original, lexicon
        self.in_garage = any(part.kind == "space" for part in draft)
        self.done: list[_Parts] = []
        self.now = _Parts()
        self.used: list[_Token] = []
        self.waiting: list[_Token] = []
        self.end = 0
        self.more = False

    def run(self, tokens: list[_Token]) -> tuple[list[_Parts], list[_Token]]:
        for i, token in enumerate(tokens):
            if self._loose_building(token, tokens[i + 1] if i + 1 < len(tokens) else None):
                token = replace(token, kind="building", values={"building": token.values["floor"]})
            handler = getattr(self, f"_on_{token.kind}", self._on_level)
            if handler(token):
                self.used.append(token)
                self.end = token.end
        self._close()
        places = [part for part in self.done if not part.empty]
        others = [part for part in places if "reporter" not in part.flags]
        return others or places, self.used

    def _close(self) -> None:
        now = self.now
        if now.relation == "own" and not now.area:
            self.now = replace(now, relation="")
        elif (now.relation == "own_floor" or now.floor_to) and not (now.area or now.private):
            self.now = replace(now, area=wording()["phrases"]["whole_floor"], scope="floor")
        if self.now.between and not self.now.area:
            self.now = replace(self.now, area=wording()["phrases"]["between_area"])
        self.done.append(self.now)
        self.now = _Parts()
        self.more = False

    def _near(self, token: _Token, gap: int = 2) -> bool:
        between = self.text[self.end : token.start]
        return bool(self.used) and token.start - self.end <= gap and _HOLE not in between

    def _loose_building(self, token: _Token, after: _Token | None) -> bool:
        """ "3楼2单元" and "3楼502": 楼 stands for 号楼 when what follows cannot be on floor 3."""
        if "loose" not in token.flags or self.now.building or after is None or after.start - token.end > 1:
            return False
        if after.kind == "room":
            return not after.values["room"].startswith(token.values["floor"]) and not self.now.alts
        return after.kind in ("unit", "weak_unit")

    def _kind(self, token: _Token) -> Kind:
        kinds: dict[str, Kind] = {"villa": "villa", "space": "space", "level": "space", "shop": "shop"}
        phase = self.lexicon.register.phase(token.values.get("phase", ""))
        return kinds.get(token.kind) or (phase.kind if phase else self.now.kind)

    def _on_level(self, token: _Token) -> bool:
        if token.kind == "level":
            if self.now.kind == "flat" and self.now.building and "building" in token.values:
                token = replace(token, kind="floor", values={"floor": token.values["building"]}, flags=frozenset())
            elif "bare" in token.flags and not (self.in_garage or self.now.scope == "garage"):
                return False
        kind = self._kind(token)
        if self._clashes(token, kind):
            self._next(token)
        now = replace(self.now, kind=kind, **_stated(token.values), alts=self.now.alts or token.alts)
        self.now = now.flagged(*token.flags, *(("kinded",) if kind != "flat" else ()))
        return True

    def _clashes(self, token: _Token, kind: Kind) -> bool:
        now = self.now
        if kind != now.kind and (now.building or now.room or now.alts or now.unit):
            return True
        if now.alts and ("room" in token.values or "building" in token.values or token.alts):
            return True
        if token.alts and (now.room or now.door or (now.building and now.unit and now.floor)):
            return True
        return any(now.level(level) not in ("", value) for level, value in token.values.items() if level in _LEVELS)

    def _next(self, token: _Token) -> None:
        """Start another place; one that follows closely shares the levels above: 1502/1503."""
        before, near = self.now, self._near(token, 3)
        self._close()
        if not near:
            return
        if self.text[self.end : token.start].strip() in self.lexicon.joiners and not before.private:
            self.done[-1] = self.done[-1].flagged("listed")
            before = self.done[-1]
        upper: dict[str, Any] = {
            level: before.level(level) for level in _LEVELS[: token.top] if level not in ("floor", "door")
        }
        alts = tuple({k: v for k, v in alt.items() if k in upper} for alt in before.alts[:1])
        self.now = _Parts(before.kind, **(upper | (dict(alts[0]) if alts else {})), flags=before.flags - {"reporter"})

    def _on_space(self, token: _Token) -> bool:
        if self.now.scope == "garage":
            self.now = replace(self.now, area="", scope="")
        return self._on_level(token)

    def _on_shop(self, token: _Token) -> bool:
        if self.now.scope == "estate" and self._near(token):
            self.now = replace(self.now, area="", scope="")
        return self._on_level(token)

    def _on_between(self, token: _Token) -> bool:
        if not self.now.empty and (self.now.building or self.now.room):
            self._close()
        self.now = replace(self.now, between=token.values["between"], scope="estate")
        return True

    def _on_skip(self, token: _Token) -> bool:
        return False

    def _on_area(self, token: _Token) -> bool:
        near = self._near(token)
        if self.now.scope == "whole" and not near and not self.more:
            return False
        if self.now.area and (self.now.scope != "whole" or self.more):
            return self._second_area(token, near)
        if self.now.private and not near and not (self.more or "reporter" in self.now.flags):
            return False
        if self.now.private and not near and self.more:
            self._close()
        flags = (*token.flags, "outside") if self.now.private else token.flags
        start, end = self.folded.source(token.start, token.end)
        area = token.values.get("area", self.original[start:end])
        scope = "estate" if self.now.between else token.scope
        self._share(replace(self.now, area=area, scope=scope).flagged(*(flag for flag in flags if flag != "reporter")))
        return True

    def _share(self, now: _Parts) -> None:
        """The area said last belongs to every listed building or unit."""
        now = replace(now, flags=now.flags - {"reporter"})
        if "listed" in now.flags:
            self.done = [
                replace(p, area=now.area, scope=now.scope) if "listed" in p.flags and not p.area else p
                for p in self.done
            ]
        self.now = now

    def _second_area(self, token: _Token, near: bool) -> bool:
        if near and token.start - self.end <= 1 and self.now.scope == "estate" and token.scope == "estate":
            start, end = self.folded.source(token.start, token.end)
            self.now = replace(self.now, area=self.now.area + self.original[start:end])
            return True
        if not self.more:
            return False
        self._close()
        return self._on_area(token)

    def _on_attached(self, token: _Token) -> bool:
        anchored = self.now.building or self.now.unit or self.now.relation or self.now.alts
        if not anchored or not self._near(token, 1) or self.now.area:
            return False
        # the gate of a building is on the ground, the door of a home on its floor
        at_home = self.now.private or self.now.relation == "own"
        return self._on_area(replace(token, scope="floor" if at_home else "ground"))

    def _on_own(self, token: _Token) -> bool:
        return self._relate(token, "own")

    def _on_own_unit(self, token: _Token) -> bool:
        return self._whole(token, "whole_unit")

    def _on_own_building(self, token: _Token) -> bool:
        return self._whole(token, "whole_building")

    def _on_own_floor(self, token: _Token) -> bool:
        return self._relate(token, "own_floor")

    def _whole(self, token: _Token, phrase: str) -> bool:
        if self.now.private or self.now.area:
            return False
        self._share(replace(self.now, area=wording()["phrases"][phrase], scope="whole", relation=phrase))
        return True

    def _on_everyone(self, token: _Token) -> bool:
        now = self.now
        if now.private or now.area or not (now.building or now.unit or now.alts):
            return False
        return self._whole(token, "whole_unit" if now.unit or now.alts else "whole_building")

    def _on_self(self, token: _Token) -> bool:
        if self.now.area and not self.now.relation and not self.now.private:
            self._close()
        return self._relate(token, "self")

    def _on_above(self, token: _Token) -> bool:
        return self._relate(token, "above", keep=False)

    def _on_below(self, token: _Token) -> bool:
        plain = self.text[token.start : token.end] == self.lexicon.relative["below"][-1]
        if plain and (self.now.building or self.now.unit):
            return self._on_attached(token)
        return not plain and self._relate(token, "below", keep=False)

    def _on_opposite(self, token: _Token) -> bool:
        return self._relate(token, "opposite", keep=False)

    def _on_beside(self, token: _Token) -> bool:
        return self._relate(token, "beside", keep=False)

    def _on_last(self, token: _Token) -> bool:
        return self._relate(token, "last", keep=False)

    def _relate(self, token: _Token, relation: str, keep: bool = True) -> bool:
        """Remember the relation; a room already said makes "next door" and "my place" idle words."""
        now = self.now
        stated = bool(now.room or now.alts or now.door)
        if (now.relation and keep) or (stated and relation not in ("above", "own", "own_floor")):
            return False
        self.now = replace(now, relation=relation).flagged(*(("after",) if stated else ()))
        return True

    def _on_reporter(self, token: _Token) -> bool:
        if not self.now.empty:
            self._close()
        self.now = self.now.flagged("reporter")
        return False

    def _on_side(self, token: _Token) -> bool:
        return self._remark(token, "side")

    def _on_there(self, token: _Token) -> bool:
        return self._remark(token, "there")

    def _remark(self, token: _Token, flag: str) -> bool:
        if not (self.now.building or self.now.unit or self.now.floor):
            return False
        self.now = self.now.flagged(flag)
        return False

    def _on_more(self, token: _Token) -> bool:
        self.more = True
        return False


def _stated(values: Values) -> dict[str, Any]:
    names = {*_LEVELS, "floor_to"}
    return {name: value for name, value in values.items() if name in names}


# --- matching against the register -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Spot:
    """A concrete candidate: a home when `key` is set, else a unit or a floor of it."""

    building: Building
    unit: str
    floor: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class _Found:
    spots: tuple[_Spot, ...]
    problem: Mapping[str, str] = field(default_factory=dict)
    # two or more homes would fit the stated levels; only the existence of the room told them apart
    by_existence: bool = False
    suggestion: str = ""


@dataclass(frozen=True, slots=True)
class _Context:
    register: Register
    home: Place | None
    draft: tuple[_Parts, ...]
    last: str
    corrects: bool


def _find(parts: _Parts, register: Register) -> _Found:
    """Every place that agrees with the stated levels, or which level does not exist."""
    pool = [b for b in register.of_kind(parts.kind) if not parts.phase or b.phase == parts.phase]
    if not pool and not (parts.building or parts.unit or parts.floor or parts.room or parts.area):
        return _Found(())
    if not pool:
        return _Found((), {"what": "phase", "typed": parts.phase, "have": _phase_names(register, parts.kind)})
    buildings = [b for b in pool if not parts.building or b.code == parts.building]
    if not buildings:
        return _Found((), _no_building(parts, pool, register))
    sites = [(b, unit) for b in buildings for unit in _units(b, parts.unit)]
    if not sites:
        bare = _find(replace(parts, unit=""), register) if not parts.area else _Found(())
        guess = bare.spots[0].key if len(bare.spots) == 1 else ""
        return _Found((), _no_unit(parts, buildings, register), suggestion=guess)
    spots = tuple(spot for building, unit in sites for spot in _spots(building, unit, parts, register))
    if not spots:
        return _missing_home(parts, sites, register)
    return _Found(spots, by_existence=len(sites) > 1 and len(spots) == 1 and bool(spots[0].key))


def _units(building: Building, typed: str) -> tuple[str, ...]:
    if not typed:
        return tuple(unit.code for unit in building.units)
    code = building.unit_code(typed)
    # people say 1单元 of a building that the register keeps without units
    return (code,) if code and code != NO_LEVEL else ()


def _spots(building: Building, unit: str, parts: _Parts, register: Register) -> Iterator[_Spot]:
    floor = _floor_label(building, parts.floor)
    if parts.area and not parts.door:
        if not parts.floor or floor or parts.floor == ROOF or parts.floor.startswith("B"):
            yield _Spot(building, unit, floor or parts.floor)
        return
    if parts.room:
        yield from _room_spots(building, unit, parts, register)
    elif parts.door and floor:
        key = register.door(building, unit, floor, parts.door)
        if key:
            yield _Spot(building, unit, floor, key)
    elif not parts.floor or floor:
        yield _Spot(building, unit, floor)


def _room_spots(building: Building, unit: str, parts: _Parts, register: Register) -> Iterator[_Spot]:
    key = register.room(building, unit, parts.room) or register.room(building, unit, parts.room.split("-")[0])
    if key:
        place = register.places[key]
        if not parts.floor or place.floor in (NO_LEVEL, _floor_label(building, parts.floor)):
            yield _Spot(building, unit, place.floor, key)
    elif len(parts.room) == 2 and parts.room.startswith("0") and parts.floor:
        key = register.door(building, unit, parts.floor, parts.room)
        if key:
            yield _Spot(building, unit, parts.floor, key)
    elif _LABEL.fullmatch(parts.room) and parts.room in building.floors:
        # "5-12A": in this building 12A is a floor, not a room
        yield _Spot(building, unit, parts.room)


def _floor_label(building: Building, typed: str) -> str:
    if typed == ROOF:
        return building.floors[-1] if building.floors else ""
    label = typed.lstrip("0") or typed
    return label if label in building.floors else ""


# --- why nothing was found


def _joined(values: Iterable[str]) -> str:
    return str(wording()["phrases"]["list"]).join(dict.fromkeys(values))


def _phase_names(register: Register, kind: Kind) -> str:
    return _joined(phase.name for phase in register.phases if phase.kind == kind)


def _no_building(parts: _Parts, pool: Sequence[Building], register: Register) -> dict[str, str]:
    codes = _joined(building.code for building in pool)
    return {
        "what": "building",
        "typed": register.mark(parts.kind, "building", parts.building),
        "have": register.mark(parts.kind, "building", codes),
    }


def _no_unit(parts: _Parts, buildings: Sequence[Building], register: Register) -> dict[str, str]:
    building = next((b for b in buildings if b.has_units), buildings[0])
    have = _joined(unit.code for unit in building.units if unit.code != NO_LEVEL)
    return {
        "what": "unit",
        "building": building.name,
        "typed": register.mark(building.kind, "unit", parts.unit),
        "have": register.mark(building.kind, "unit", have) if have else "",
    }


def _missing_home(parts: _Parts, sites: Sequence[tuple[Building, str]], register: Register) -> _Found:
    """No such floor or room; a skipped floor number may be labelled otherwise, which is only ever suggested."""
    building, unit = sites[0]
    named = len({site.name for site, _ in sites}) == 1
    where = register.label(building, unit if parts.unit else UNKNOWN) if named else ""
    if building.kind != "flat" or not building.floors:
        rooms = [register.places[key].room for key in register.in_unit(building, unit)]
        have = rooms[0] + str(wording()["phrases"]["to"]) + rooms[-1] if rooms else ""
        return _Found((), {"what": building.kind, "building": where, "typed": parts.room, "have": have})
    floor, door = _split_room(parts)
    known = next((b for b, _ in sites if _floor_label(b, floor)), None)
    if known is not None:
        have = _joined(known.rooms)
        return _Found((), {"what": "room", "building": where, "typed": parts.room or floor + door, "have": have})
    top = max((b.floors for b, _ in sites), key=len)[-1]
    problem = {"what": "floor", "building": where, "typed": floor, "top": top}
    label = _renamed_floor(building, floor)
    key = register.door(building, unit, label, door) if label and door else None
    return _Found((), problem | ({"suggest": label} if label else {}), suggestion=key or "")


def _split_room(parts: _Parts) -> tuple[str, str]:
    room = parts.room.split("-")[0]
    if not room:
        return parts.floor, parts.door
    if _LABEL.fullmatch(room):
        return room[:-1], room[-1]
    lettered = re.fullmatch(r"(\d{1,2}[A-Z])(\d{2})", room)
    if lettered:
        return lettered[1], lettered[2]
    digits = re.match(r"0*(\d*)(\d{2}[A-Z]?)", room)
    return (digits[1] or room, digits[2]) if digits else (room, "")


def _renamed_floor(building: Building, floor: str) -> str:
    """The label that replaces an unlucky floor number in this building: 13 → 12A, 14 → 12B or 13A, 4 → 3A."""
    if not floor.isdecimal():
        return ""
    number = int(floor)
    guesses = (f"{number - 1}A", f"{number - 2}B")
    return next((label for label in guesses if label in building.floors), "")


# --- one place, settled ----------------------------------------------------------------------------------------------


def _answer(parts: _Parts, context: _Context) -> Address:
    if parts.relation == "last":
        return _last(context)
    if parts.between:
        return _between(parts, context)
    if parts.relation in ("opposite", "beside") and not _states_home(parts) and not parts.area:
        return _unknown_neighbour(context)
    alone = not (parts.building or parts.unit or parts.alts) or "after" in parts.flags
    if parts.relation in ("above", "below") and alone and not parts.area:
        return _vertical(parts, context)
    return _with_draft(parts, context)


def _states_home(parts: _Parts) -> bool:
    return any(parts.level(level) for level in _LEVELS) or bool(parts.alts)


def _last(context: _Context) -> Address:
    keys = tuple(key.split(" (source?")[0] for key in context.last.split(" + "))
    shown = _joined(filter(None, (_display_key(key, context.register) for key in keys)))
    if not shown:
        return Address("ask", "unknown", missing="building")
    public = all(key.startswith(PUBLIC) for key in keys)
    return Address("echo", "last", keys, shown, public=public)


def _unknown_neighbour(context: _Context) -> Address:
    home = context.home
    if home is None:
        return Address("ask", "unknown", missing="building")
    near = context.register.neighbours(home.key)
    options = tuple((context.register.places[key].display, key) for key in near[:MAX_OPTIONS])
    return Address("ask", "unknown", near, missing="room", options=options)


def _vertical(parts: _Parts, context: _Context) -> Address:
    """楼上: the bound flat is affected, the one above is only suspected, and only if it exists."""
    home, register = context.home, context.register
    if parts.relation == "above" and "after" in parts.flags:
        return _suspect(_with_draft(replace(parts, relation=""), context), "", register)
    if home is None:
        return _with_draft(replace(parts, relation=""), context) if _states_home(parts) else NONE
    if parts.relation == "below":
        key = register.same_stack_below(home.key)
        return _resolved("confirm", key, register) if key else NONE
    stated = next(iter(_settle_all(_readings(replace(parts, relation="beside"), context), context).keys), "")
    if _states_home(parts) and parts.room and stated not in register.places:
        return _with_draft(replace(parts, relation="beside"), context)
    return _suspect(_resolved("echo", home.key, register), stated if parts.room else "", register)


def _suspect(answer: Address, source: str, register: Register) -> Address:
    if len(answer.keys) != 1 or answer.keys[0] not in register.places:
        return answer
    key = answer.keys[0]
    source = source or register.same_stack_above(key) or ""
    if not source:
        return answer
    shown = str(wording()["phrases"]["source"]).format(register.places[key].display, register.places[source].room)
    return replace(answer, key=f"{key} (source? {source})", display=shown, source_key=source)


def _between(parts: _Parts, context: _Context) -> Address:
    """ "2栋和3栋中间那个路灯": both buildings must exist in one phase; the free words stay."""
    register = context.register
    first, second = parts.between.split("~")
    flats = [phase.code for phase in register.phases if phase.kind == "flat"]
    codes = [code for code in flats if register.building(code, first) and register.building(code, second)]
    phases = [code for code in codes if not parts.phase or code == parts.phase]
    if not phases:
        pool = register.of_kind("flat")
        missing = first if not any(b.code == first for b in pool) else second
        return _invalid(_Found((), _no_building(replace(parts, building=missing), pool, register)), register)
    home = context.home
    filled = len(phases) > 1 and home is not None and home.phase in phases
    if filled and home is not None:
        phases = [home.phase]
    keys = tuple(f"{PUBLIC}{phase}/{parts.between}/-/-/{parts.area}" for phase in phases)
    options = tuple((_display_key(key, register), key) for key in keys[:MAX_OPTIONS])
    if len(keys) > 1:
        key = f"{PUBLIC}?/{parts.between}/-/-/{parts.area}"
        return Address("ask", key, keys, missing="phase", options=options, public=True, area=parts.area)
    action: Action = "echo" if filled else "ok"
    return Address(action, keys[0], keys, options[0][0], public=True, area=parts.area)


def _with_draft(parts: _Parts, context: _Context) -> Address:
    """Complete an open draft, or correct a settled one; a full address stands for itself."""
    readings = _readings(parts, context)
    draft = context.draft
    if draft and draft[0].between:
        if parts.phase and parts.kind == "flat" and not (parts.building or parts.unit or parts.room or parts.area):
            return _between(replace(draft[0], phase=parts.phase), context)
        draft, context = (), replace(context, draft=())
    if not draft and context.corrects and context.home:
        draft = tuple(_parse_key(context.home.key, context.register))
    if not draft:
        return _settle_all(readings, context)
    settled = len(draft) == 1 and _is_settled(draft[0], context.register)
    if settled:
        home = context.home or _place_of(draft[0], context.register)
        return _correct(readings, draft[0], replace(context, home=home))
    merged = [_merge(old, new) for group in readings for new in group for old in draft if _agree(old, new)]
    answers = [_settle(group, context) for group in ([merged] if merged else [])]
    for answer in answers:
        if answer.action not in ("invalid", "conflict", "none"):
            return answer
    if len(draft) == 1 and context.corrects:
        return _correct(readings, draft[0], context)
    fresh = _settle_all(readings, context)
    return replace(fresh, corrected=fresh.action in ("ok", "echo", "confirm")) if not answers else answers[0]


def _denied(denied: tuple[_Parts, ...], context: _Context) -> Address:
    """A level taken back is asked again; the rest of the draft stays."""
    if len(context.draft) != 1:
        return NONE
    old, wrong = context.draft[0], denied[0]
    levels = [level for level in _LEVELS if wrong.level(level)]
    if not levels or any(old.level(level) != wrong.level(level) for level in levels):
        return NONE
    cleared: dict[str, Any] = dict.fromkeys(levels, "")
    return replace(_settle([replace(old, **cleared)], replace(context, home=None)), corrected=True)


def _place_of(parts: _Parts, register: Register) -> Place | None:
    found = _find(replace(parts, area="", scope="", floor="" if parts.area else parts.floor), register)
    return register.places.get(found.spots[0].key) if len(found.spots) == 1 else None


def _is_settled(parts: _Parts, register: Register) -> bool:
    """The draft already names one home, or one public place."""
    found = _find(parts, register)
    if parts.area:
        return len(found.spots) == 1 or parts.scope == "estate" or bool(parts.between)
    return len(found.spots) == 1 and bool(found.spots[0].key)


def _correct(readings: list[list[_Parts]], old: _Parts, context: _Context) -> Address:
    new = readings[0][0]
    alone = _settle_all(readings, context)
    complete = (new.building and (new.room or new.door)) or new.kind != "flat" or new.area or new.relation
    if complete and alone.action in ("ok", "echo"):
        meant = context.corrects or not (new.area or new.relation)
        return replace(alone, corrected=meant and alone.key != _settle([old], context).key)
    spots = _find(_merge(old, new), context.register).spots if _agree(old, new) and not new.area else ()
    if spots and (spots[0].key or old.area):
        return _settle([_merge(old, new)], context)
    if new.area:
        return alone
    rebuilt = _overlay(old, new, context.register)
    answer = _settle([rebuilt], replace(context, home=None, corrects=False))
    sure = context.corrects and not (new.building or (new.floor and not new.room))
    action: Action = answer.action if answer.action not in ("ok", "echo") else "echo" if sure else "confirm"
    return replace(answer, action=action, corrected=answer.action not in ("invalid", "none"))


def _overlay(old: _Parts, new: _Parts, register: Register) -> _Parts:
    """The old place with the stated levels replaced; a unit the new building does not have is dropped."""
    levels: dict[str, Any] = {level: new.level(level) or old.level(level) for level in _LEVELS}
    if new.room:
        levels |= {"floor": new.floor, "door": ""}
    elif new.floor:
        place = _place_of(old, register)
        levels |= {"room": "", "door": new.door or (place.door if place else "")}
    elif new.door and old.room:
        place = _place_of(old, register)
        levels |= {"room": "", "floor": place.floor if place else ""}
    if new.building and not new.phase and register.building(old.phase, new.building) is None:
        levels["phase"] = ""
    building = register.building(levels["phase"], levels["building"])
    if building is not None and not new.unit and not (levels["unit"] and building.unit_code(levels["unit"])):
        levels["unit"] = ""
    return replace(old, **levels, alts=(), flags=new.flags)


def _agree(old: _Parts, new: _Parts) -> bool:
    if old.kind != new.kind and (new.phase or new.building or new.unit or new.floor or "kinded" in new.flags):
        return False
    if old.room and new.room and old.room.lstrip("0") != new.room.lstrip("0"):
        return False
    return all(
        not old.level(level) or not new.level(level) or old.level(level) == new.level(level) or level == "room"
        for level in _LEVELS
    )


def _merge(old: _Parts, new: _Parts) -> _Parts:
    levels: dict[str, Any] = {level: new.level(level) or old.level(level) for level in _LEVELS}
    levels["room"] = old.room or new.room
    area, scope = (new.area, new.scope) if new.area else (old.area, old.scope)
    kind = old.kind
    return _Parts(kind, **levels, area=area, scope=scope, floor_to=new.floor_to or old.floor_to, flags=new.flags)


def _readings(parts: _Parts, context: _Context) -> list[list[_Parts]]:
    """What the parts can mean, best first; the members of one group are equally good."""
    if not parts.alts:
        return [[parts]]
    home = context.home
    free = [alt for alt in parts.alts if not any(parts.level(level) for level in alt)] or [parts.alts[0]]
    read = [_stating(parts, alt) for alt in free]
    read = [replace(r, phase=_phase_code(r.phase, context.register)) if r.phase else r for r in read]
    if "pair" in parts.flags and not parts.building and not parts.phase:
        return [_pair(read[0], context.register)]
    if not parts.building:
        own = [r for r in read if not r.building and home and _fits(r, home)]
        read = own + [r for r in read if r.building or context.draft]
    first, *rest = read or [_stating(parts, free[0])]
    others = [r if r.building == first.building else r.flagged("fuzzy") for r in rest]
    return [[first], *([other] for other in others)]


def _stating(parts: _Parts, alt: Values) -> _Parts:
    return replace(parts, alts=(), **_stated(alt))


def _pair(read: _Parts, register: Register) -> list[_Parts]:
    """ "6-3": a villa, building and unit, or a building and something cut short."""
    villa = _Parts("villa", building=read.building, room=read.unit, flags=read.flags)
    if not _find(villa, register).spots:
        return [read]
    return [read if _find(read, register).spots else replace(read, unit=""), villa]


def _phase_code(typed: str, register: Register) -> str:
    if register.phase(typed):
        return typed
    lexicon = _lexicon(register)
    return lexicon.phase_codes.get(typed + lexicon.marks["phase"], typed)


def _fits(parts: _Parts, home: Place) -> bool:
    """The stated levels agree with the sender's own flat."""
    stated = {"phase": home.phase, "building": home.building, "unit": home.unit}
    if any(parts.level(level) not in ("", value) for level, value in stated.items()):
        return False
    if parts.room and parts.room.lstrip("0") != home.room.lstrip("0"):
        return False
    return not (parts.door and (parts.floor, parts.door.lstrip("0")) != (home.floor, home.door.lstrip("0")))


def _settle_all(groups: list[list[_Parts]], context: _Context) -> Address:
    """The first reading that the register confirms; the failure of the first when none is."""
    first: Address | None = None
    for group in groups:
        answer = _settle(group, context)
        if answer.action not in ("invalid", "conflict", "none"):
            return answer
        first = first or answer
    return first or NONE


def _settle(group: list[_Parts], context: _Context) -> Address:
    parts, register, home = group[0], context.register, context.home
    if _is_open_air(parts):
        return _open_air(parts, register)
    found = _union(group, register)
    if home is not None and not (len(found.spots) == 1 and found.spots[0].key):
        filled = _fill(parts, found, home, context)
        if isinstance(filled, Address):
            return filled
        if filled is not None:
            group, found = [filled], _find(filled, register)
    parts = group[0]
    if not found.spots:
        return NONE if "pair" in parts.flags else _invalid(found, register)
    if parts.area:
        return _public(parts, found, register)
    if parts.relation == "self" and not _states_home(parts):
        return NONE
    return _private(group, found, context)


def _union(group: list[_Parts], register: Register) -> _Found:
    results = [_find(parts, register) for parts in group]
    spots = tuple(dict.fromkeys(spot for result in results for spot in result.spots))
    return results[0] if len(results) == 1 else replace(results[0], spots=spots)


def _fill(parts: _Parts, found: _Found, home: Place, context: _Context) -> _Parts | Address | None:
    """Complete from the bound flat where the stated part agrees with it; None leaves the parts as they are."""
    if parts.area:
        return _fill_public(parts, found, home, context.register)
    if parts.kind != home.kind or (context.draft and context.corrects):
        return None
    building = context.register.building(home.phase, home.building)
    if parts.unit and not parts.building and not parts.phase and building and not building.unit_code(parts.unit):
        return _conflict(parts, building, context.register)
    if parts.relation in ("beside", "above", "opposite") and parts.room and not parts.building:
        return replace(parts, phase=home.phase, building=home.building, unit=_level(home.unit)).flagged("filled")
    typed = replace(parts, unit=(building.unit_code(parts.unit) or parts.unit) if building and parts.unit else "")
    if not _fits(typed, home) or (parts.phase and not (parts.building or parts.unit or parts.room)):
        return None
    whole = not (parts.floor or parts.door or parts.flags & {"side", "there"})
    filled = replace(parts, phase=home.phase, building=home.building, unit=_level(home.unit))
    return replace(filled, room=home.room if whole else parts.room).flagged("filled")


def _level(value: str) -> str:
    return "" if value == NO_LEVEL else value


def _fill_public(parts: _Parts, found: _Found, home: Place, register: Register) -> _Parts | None:
    """A corridor lacks a floor, a lift lacks a unit: both are the sender's own unless something else was said."""
    if home.kind != "flat" or parts.kind != "flat":
        return None
    floor_open = parts.scope == "floor" and not parts.floor and not parts.room
    own_floor = parts.relation == "own_floor" and not parts.floor
    if len(found.spots) == 1 and not floor_open and not own_floor:
        return None
    building = register.building(home.phase, home.building)
    unit = building.unit_code(parts.unit) if building and parts.unit else ""
    if parts.phase not in ("", home.phase) or parts.building not in ("", home.building) or unit is None:
        return None
    elsewhere = unit not in ("", home.unit)
    if elsewhere and parts.building:
        return None
    floor = parts.floor or (home.floor if (floor_open or own_floor) and not elsewhere else "")
    whole = parts.relation == "whole_building" and not parts.unit
    filled = replace(
        parts, phase=home.phase, building=home.building, unit="" if whole else unit or _level(home.unit), floor=floor
    )
    if parts.room and not _fits(replace(parts, unit=unit or ""), home):
        return None
    return filled.flagged("filled", *(("fuzzy",) if elsewhere else ()))


# --- rendering -------------------------------------------------------------------------------------------------------


def _invalid(found: _Found, register: Register) -> Address:
    if not found.problem:
        return NONE
    options = ((register.places[found.suggestion].display, found.suggestion),) if found.suggestion else ()
    return Address("invalid", "invalid", missing=found.problem["what"], options=options, problem=found.problem)


def _conflict(parts: _Parts, building: Building, register: Register) -> Address:
    problem = _no_unit(parts, [building], register)
    units = [unit.code for unit in building.units][:MAX_OPTIONS]
    options = tuple((register.label(building, unit), _partial_key(_Spot(building, unit))) for unit in units)
    return Address("conflict", "conflict", missing="unit", options=options, problem=problem)


def _resolved(action: Action, key: str, register: Register) -> Address:
    return Address(action, key, (key,), register.places[key].display)


def _certainty(parts: _Parts, by_existence: bool = False) -> Action:
    if "fuzzy" in parts.flags:
        return "confirm"
    return "echo" if by_existence or parts.flags & {"filled", "alias"} else "ok"


def _private(group: list[_Parts], found: _Found, context: _Context) -> Address:
    parts, spots, register = group[0], found.spots, context.register
    if len(spots) == 1 and spots[0].key:
        return _resolved(_certainty(parts, found.by_existence and parts.kind == "flat"), spots[0].key, register)
    key = _open_key(group, spots)
    shown = ""
    if len(spots) == 1 and (parts.building or "filled" in parts.flags) and "side" not in parts.flags:
        shown = register.label(spots[0].building, spots[0].unit, spots[0].floor)
    keys = tuple(dict.fromkeys(spot.key or _partial_key(spot) for spot in spots)) if len(spots) <= 24 else ()
    missing = _missing(parts, spots)
    return Address("ask", key, keys, shown, missing, _options(parts, spots, context))


def _partial_key(spot: _Spot) -> str:
    return f"{spot.building.phase}/{spot.building.code}/{spot.unit}/{_floor_key(spot.floor) or NO_LEVEL}"


def _floor_key(floor: str) -> str:
    if not floor or floor == NO_LEVEL:
        return ""
    return floor if floor == ROOF or floor.startswith("B") else f"F{floor}"


def _open_key(group: list[_Parts], spots: tuple[_Spot, ...]) -> str:
    """The notation for "not yet one place": concrete per building when the home is known, else with '?'."""
    parts = group[0]
    homes = all(spot.key for spot in spots)
    buildings = dict.fromkeys(spot.building for spot in spots)
    if len(group) > 1 or (homes and (parts.building or parts.kind != "flat")) or len(buildings) == 1:
        return " or ".join(_building_key(b, [s for s in spots if s.building == b], parts) for b in buildings)
    room = parts.room or (_floor_key(parts.floor) if not parts.door else f"{_floor_key(parts.floor)}-{parts.door}")
    levels = [parts.phase, parts.building, parts.unit, room]
    while levels and not levels[-1]:
        levels.pop()
    return "/".join(level or UNKNOWN for level in levels)


def _building_key(building: Building, spots: list[_Spot], parts: _Parts) -> str:
    several = len(spots) > 1
    unit = UNKNOWN if several else spots[0].unit
    if spots[0].key:
        return "/".join((building.phase, building.code, unit, spots[0].key.rsplit("/", 1)[1]))
    floor = _floor_key(spots[0].floor)
    return "/".join((building.phase, building.code, unit, floor or (UNKNOWN if several else NO_LEVEL)))


def _missing(parts: _Parts, spots: tuple[_Spot, ...]) -> str:
    if parts.kind == "space":
        return "zone" if parts.room and len(spots) > 1 else "room"
    if len(spots) == 1:
        return "room"
    if len({spot.building.code for spot in spots}) > 1 and not parts.building:
        return "building"
    if len({spot.building for spot in spots}) > 1:
        return "phase"
    return "unit" if len({spot.unit for spot in spots}) > 1 else "room"


def _options(parts: _Parts, spots: tuple[_Spot, ...], context: _Context) -> tuple[tuple[str, str], ...]:
    """Real candidates for buttons; when they are too many only those of the sender's own building."""
    register, home = context.register, context.home
    if len(spots) == 1:
        spot = spots[0]
        homes = register.on_floor(spot.building, spot.unit, spot.floor) if spot.floor else ()
        homes = homes or register.in_unit(spot.building, spot.unit)
        return tuple((register.places[key].display, key) for key in homes) if len(homes) <= MAX_OPTIONS else ()
    if home is not None:
        near = sorted(
            spots,
            key=lambda s: ((s.building.phase, s.building.code) != (home.phase, home.building), s.unit != home.unit),
        )
        own = [s for s in near if (s.building.phase, s.building.code) == (home.phase, home.building)]
        spots = tuple(near if len(near) <= MAX_OPTIONS else own)
    if len(spots) > MAX_OPTIONS:
        return ()
    return tuple((_spot_label(spot, register), spot.key or _partial_key(spot)) for spot in spots)


def _spot_label(spot: _Spot, register: Register) -> str:
    return register.places[spot.key].display if spot.key else register.label(spot.building, spot.unit, spot.floor)


# --- public areas


def _is_open_air(parts: _Parts) -> bool:
    if parts.kind == "space":
        return not parts.room
    stated = parts.building or parts.unit or parts.relation in ("whole_unit", "whole_building")
    return bool(parts.area) and not stated and parts.scope in ("estate", "garage")


def _open_air(parts: _Parts, register: Register) -> Address:
    """A place of the whole estate or of the garage: no building needed."""
    found = _find(replace(parts, floor="", scope="", area=""), register)
    if not found.spots:
        return _invalid(found, register)
    phase, area = parts.phase or NO_LEVEL, parts.area
    if parts.scope == "garage" or parts.kind == "space":
        garage = next((p for p in register.phases if p.kind == "space"), None)
        phase, area = (garage.code, area or garage.name) if garage else (phase, area)
    levels = (phase, parts.building or NO_LEVEL, parts.unit or NO_LEVEL, _floor_key(parts.floor) or NO_LEVEL, area)
    key = PUBLIC + "/".join(levels)
    return Address(_certainty(parts), key, (key,), _display_key(key, register), public=True, area=area)


def _public(parts: _Parts, found: _Found, register: Register) -> Address:
    spots = found.spots
    whole = parts.relation == "whole_building" or (parts.scope in ("whole", "estate") and not parts.unit)
    buildings = dict.fromkeys(spot.building for spot in spots)
    named = bool(parts.building) or len(buildings) == 1
    if not named:
        key = _public_key(parts, parts.phase or UNKNOWN, UNKNOWN, parts.unit or UNKNOWN)
        options = _public_options(parts, spots, register, whole) if len(spots) <= MAX_OPTIONS else ()
        return Address("ask", key, missing="building", options=options, public=True, area=parts.area)
    keys = tuple(dict.fromkeys(_spot_public_key(parts, spot, whole) for spot in spots))
    groups = [_group_public_key(parts, b, [s for s in spots if s.building == b], whole) for b in buildings]
    one = len(keys) == 1
    missing = "" if one else "unit" if len(buildings) == 1 else "phase"
    action = _certainty(parts) if one else "ask"
    options = () if one else _public_options(parts, spots, register, whole)
    shown = _display_key(groups[0], register) if len(groups) == 1 else ""
    return Address(action, " or ".join(groups), keys, shown, missing, options, public=True, area=parts.area)


def _public_key(parts: _Parts, phase: str, building: str, unit: str, floor: str = "") -> str:
    floor_key = _floor_key(floor or parts.floor)
    if parts.floor_to:
        floor_key += f"-{_floor_key(parts.floor_to)}"
    elif parts.scope == "roof":
        floor_key = ROOF
    elif parts.scope == "ground" and not floor_key:
        floor_key = "F1"
    elif parts.scope == "floor" and not floor_key and parts.room:
        floor_key = _floor_key(_split_room(parts)[0])
    return f"{PUBLIC}{phase}/{building}/{unit}/{floor_key or NO_LEVEL}/{parts.area}"


def _spot_public_key(parts: _Parts, spot: _Spot, whole: bool) -> str:
    unit = NO_LEVEL if whole else spot.unit
    return _public_key(parts, spot.building.phase, spot.building.code, unit, spot.floor)


def _group_public_key(parts: _Parts, building: Building, spots: list[_Spot], whole: bool) -> str:
    unit = NO_LEVEL if whole else spots[0].unit if len(spots) == 1 else UNKNOWN
    return _public_key(parts, building.phase, building.code, unit, spots[0].floor)


def _public_options(
    parts: _Parts, spots: Sequence[_Spot], register: Register, whole: bool
) -> tuple[tuple[str, str], ...]:
    keys = dict.fromkeys(_spot_public_key(parts, spot, whole) for spot in spots)
    return tuple((_display_key(key, register), key) for key in keys) if len(keys) <= MAX_OPTIONS else ()


def _display_key(key: str, register: Register) -> str:
    """Normal display of any single key, private, partial or public."""
    if key in register.places:
        return register.places[key].display
    phrases = wording()["phrases"]
    levels = key.removeprefix(PUBLIC).split("/", 4)
    if len(levels) < 4:
        return ""
    phase, code, unit, floor = levels[:4]
    where = _display_where(phase, code, unit, register)
    area = levels[4] if key.startswith(PUBLIC) and len(levels) == 5 else ""
    if area in (phrases["whole_unit"], phrases["whole_building"]):
        return str(phrases["whole"]).format(where, area)
    if floor[:1] in ("F", "B") and not (floor == "F1" and area in _ground_words()):
        labels = str(phrases["to"]).join(part.removeprefix("F") for part in floor.split("-"))
        where += register.mark("flat", "floor", labels)
    if area == phrases["between_area"]:
        return where
    return where + str(phrases["area"]) + area if where and area else where or area


@cache
def _ground_words() -> frozenset[str]:
    """Areas whose floor goes without saying."""
    return frozenset((*wording()["areas"]["ground"], *wording()["areas"]["attached"]))


def _display_where(phase: str, code: str, unit: str, register: Register) -> str:
    known = register.phase(phase)
    shown = register.mark(known.kind, "phase", known.name) if known else ""
    if code in (NO_LEVEL, UNKNOWN):
        return shown
    if "~" in code:
        first, second = (register.mark("flat", "building", number) for number in code.split("~"))
        return shown + str(wording()["phrases"]["between"]).format(first, second)
    building = register.building(phase, code)
    return register.label(building, unit) if building else shown


# --- keys of drafts, several places ----------------------------------------------------------------------------------


def _parse_key(text: str, register: Register) -> Iterator[_Parts]:
    """The parts a stored key stands for; anything that is not a key gives nothing."""
    body = text.split(" (source?")[0].split(" + ")[0]
    for alternative in body.split(" or ")[:MAX_PLACES]:
        alternative = alternative.strip()
        public = alternative.startswith(PUBLIC)
        levels = alternative.removeprefix(PUBLIC).split("/", 4 if public else 3)
        if ("/" in alternative or register.phase(alternative)) and len(levels) <= (5 if public else 4):
            yield _parts_of(levels, public, register)


def _parts_of(levels: list[str], public: bool, register: Register) -> _Parts:
    padded = ["" if level in (UNKNOWN, NO_LEVEL) else level for level in levels] + [""] * 5
    phase, building, unit, home, area = padded[:5]
    known = register.phase(phase)
    kind: Kind = known.kind if known else "flat"
    if public:
        low, _, high = home.partition("-")
        scope = _lexicon(register).scopes.get(_fold(area).text, "estate" if not building else "unit")
        between = building if "~" in building else ""
        return _Parts(
            kind if not between else "flat",
            phase,
            "" if between else building,
            unit,
            low.removeprefix("F"),
            high.removeprefix("F"),
            area=area,
            scope=scope,
            between=between,
        )
    floor = home[1:] if re.fullmatch(r"F\d{1,2}[A-Z]?|FRF", home) else ""
    return _Parts(kind, phase, building, unit, floor, room="" if floor else home)


def _combine(answers: list[Address], register: Register) -> Address:
    """Several places in one text: "A + B", as certain as the least certain."""
    unique = list({answer.key: answer for answer in answers}.values())
    if len(unique) == 1:
        return unique[0]
    worst = min(unique, key=lambda answer: _RANK.index(answer.action))
    keys = tuple(dict.fromkeys(key for answer in unique for key in answer.keys))
    if worst.action in ("invalid", "conflict"):
        return replace(worst, keys=keys)
    return replace(
        worst,
        key=" + ".join(answer.key for answer in unique),
        keys=keys,
        display=_display_several(unique, register),
        public=all(answer.public for answer in unique),
        area=_joined(answer.area for answer in unique if answer.area),
    )


def _display_several(answers: Sequence[Address], register: Register) -> str:
    places = [register.places.get(answer.key) for answer in answers]
    known = [place for place in places if place is not None]
    first = known[0] if known else None
    same = first and all((p.phase, p.building, p.unit) == (first.phase, first.building, first.unit) for p in known)
    if first is not None and same and len(known) == len(answers):
        building = register.building(first.phase, first.building)
        if building is not None:
            return register.label(building, first.unit, "", _joined(place.room for place in known))
    return _joined(answer.display for answer in answers if answer.display)
