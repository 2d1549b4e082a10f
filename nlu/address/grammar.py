"""The tokens of an address: common words, and the names that only this community has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from nlu.address.folding import either, fold, folded_words
from nlu.address.model import LEVELS, MAX_PLACES, ROOF, Values
from nlu.address.noise import STRUCK
from nlu.register import Register, wording

ELEMENT = r"(?:\d{1,2}[A-Z]\d{2}|\d{1,4}(?:[A-Z](?![A-Z]))?)"
ROOMLIKE = re.compile(r"\d{3,4}[A-Z]?|\d{1,2}[A-Z]\d{2}")
LABEL = re.compile(r"\d{1,2}[A-Z]")
_SMALL = re.compile(r"\d{1,2}")


@dataclass(frozen=True, slots=True)
class Token:
    """A stretch of the text and what it says of a place."""

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
        return next((i for i, level in enumerate(LEVELS) if level in stated), len(LEVELS))


class Lexicon:
    """The token grammar of one register: common words plus the names only this community has."""

    def __init__(self, register: Register) -> None:
        words = wording()
        self.marks, self.areas, self.relative = words["marks"], words["areas"], words["relative"]
        self.noise, self.correction = words["not_address"], words["correction"]
        self.register = register
        self.phase_codes = self._phase_names()
        self.named = {
            fold(alias).text: (building.phase, building.code)
            for building in register.buildings
            for alias in building.aliases
        }
        self.scopes = self._area_scopes()
        self.heard_areas = {fold(word).text: name for word, name in self.areas["heard"].items()}
        self.letters = "".join(sorted({b.code for b in register.buildings if re.fullmatch("[A-Z]", b.code)}))
        self.room_texts = {p.room for p in register.places.values() if p.kind == "flat"}
        self.area = self._area_pattern()
        self.pattern = re.compile("|".join(f"(?P<{kind}>{regex})" for kind, regex in self._grammar()))
        self.in_the_open = re.compile(self.relative["in_the_open"])
        self.other_home = re.compile(self.relative["other_home"])
        self.struck = re.compile(self._struck())
        self.wrong = re.compile(either(folded_words(self.correction["wrong"])))
        self.politeness = re.compile(f"[{re.escape(self.noise['politeness'])}\x00\x01]*")
        self.denied = re.compile(f"(?:{either(folded_words(self.noise['before']))})[号:是 ]{{0,2}}$")
        self.allowed = re.compile(f"(?:^|[ ,.。!！?？;；:\x01]|{either(folded_words(self.noise['allowed_before']))})$")
        self.joiners = frozenset(folded_words(self.marks["and"]))
        self.hotlines = frozenset(self.noise["hotlines"])
        self.readers: dict[str, Callable[[re.Match[str]], list[Token]]] = {
            name.removeprefix("_read_"): getattr(self, name) for name in dir(self) if name.startswith("_read_")
        }

    @cached_property
    def said_wrong(self) -> re.Pattern[str]:
        """What takes back the place right in front of it, for the one behind it."""
        return re.compile(self.correction["said_wrong"])

    @cached_property
    def keep_away(self) -> re.Pattern[str]:
        """Where nobody shall go: 别去2单元."""
        return re.compile(self.correction["keep_away"])

    @cached_property
    def not_mine(self) -> re.Pattern[str]:
        """Whose home another place is: 2单元是我姐家."""
        return re.compile(self.correction["not_mine"])

    @cached_property
    def landmark(self) -> re.Pattern[str]:
        """What stands behind a thing by which another one is: 滑梯那边的."""
        return re.compile(self.areas["landmark"])

    @property
    def garage(self) -> str:
        """What the garage of the estate is called."""
        named = (phase.name for phase in self.register.phases if phase.kind == "space")
        return next(named, str(self.marks["garage"][0]))

    def _phase_names(self) -> dict[str, str]:
        flats = [phase for phase in self.register.phases if phase.kind == "flat"]
        return {fold(name).text: phase.code for phase in flats for name in (phase.name, *phase.aliases)}

    def _area_scopes(self) -> dict[str, str]:
        scopes = dict.fromkeys((*self.register.gates, *self.register.areas), "estate")
        for scope in ("estate", "garage", "ground", "building", "roof", "unit", "floor"):
            scopes |= dict.fromkeys(self.areas[scope], scope)
        scopes |= {heard: scopes[name] for heard, name in self.areas["heard"].items()}
        return {fold(name).text: scope for name, scope in scopes.items()}

    def _area_pattern(self) -> str:
        attached = folded_words(self.areas["attached"])
        gates = either(folded_words(self.register.gates))
        named = either(self.scopes)
        return rf"(?:(?:{named})(?:的?(?:{named}|{either(attached)})){{0,2}}|(?:{gates}))"

    def _struck(self) -> str:
        no, whether = self.correction["not"], self.correction["whether"]
        yes = either(self.correction["is"])
        replaced = rf"(?P<old>[^{whether}]{{1,20}})(?:{yes})"
        numbered = rf"(?=[^{whether}]{{0,8}}\d)(?:{replaced}|(?P<alone>[^{whether},.。 ]{{1,15}}))"
        # 不是中心花园 是北门: an area is taken back only by the one that takes its place.
        return rf"(?<!{whether}){no}(?:{numbered}|{self.area}[^{whether}]{{0,6}}(?:{yes}))"

    def _grammar(self) -> Iterator[tuple[str, str]]:
        """Token kinds in order of priority at one position."""
        listed = {name: words for name, words in self.relative.items() if isinstance(words, list)}
        relative = {name: either(folded_words(words)) for name, words in listed.items()}
        apart = either(self.areas["not_area"])
        yield "last", relative["last"]
        yield "skip", self._skipped()
        yield "own", rf"(?:{relative['own_prefix']}){self.relative['own_joint']}(?!{apart})(?={self.area})"
        yield (
            "phase",
            rf"(?<![{self.marks['city_district']}])(?P<ph>{either(self.phase_codes)})(?![期])|(?<!分)(?P<pn>\d{{1,2}}|I{{1,3}}|IV|VI?){self.marks['phase']}",
        )
        yield from self._other_kinds()
        yield from self._chains()
        yield from self._levels()
        yield "outside", self._outside(relative)
        for name in ("own_unit", "own_building", "own_floor", "self", "above", "below", "opposite", "beside"):
            # 我楼上 is above, and not 我楼
            yield name, f"(?:{relative[name]})" + ("(?![上下道梯])" if name == "own_building" else "")
        yield "reporter", relative["reporter"]
        yield "everyone", relative["everyone"]
        yield "area", self.area
        yield "attached", either(folded_words(self.areas["attached"]))
        yield "side", relative["side"]
        yield "there", relative["there"]
        yield "more", relative["more"]

    def _outside(self, relative: Mapping[str, str]) -> str:
        """The ground at a side of a building; an area named behind it says more (8栋后面的草坪)."""
        no_home, named = self.relative["not_outside"], self.area
        sides = rf"(?P<os>{relative['outside']})|(?P<ot>{relative['toward']})"
        return rf"的?(?:{sides})(?!{no_home})(?!(?:的|那|个|这|边)*(?:{named}))"

    def _skipped(self) -> str:
        names = either(folded_words((self.register.community, *self.register.aliases)))
        return rf"{names}|{self.relative['elsewhere']}|{either(self.areas['not_area'])}|\d{{1,4}}{self.marks['lane']}"

    def _other_kinds(self) -> Iterator[tuple[str, str]]:
        marks = self.marks
        row, villa = marks["row"], either(marks["villa"])
        yield (
            "villa",
            rf"(?:{villa})?(?<!\d)(?P<vr>\d{{1,2}}){row} ?(?:(?P<vn>\d{{1,2}})(?:号|栋|户|#)?)?(?![\d楼])"
            + (rf"|(?:{villa}) ?(?P<vr2>\d{{1,2}})(?:[-#]|栋|幢|号楼)(?P<vn2>\d{{1,2}})(?!\d|[层楼单])号?|(?:{villa})"),
        )
        yield "space", self._space()
        yield "level", self._garage_level()
        shop, letter = either(marks["shop"]), marks["shop_letter"]
        yield (
            "shop",
            rf"(?:{shop})[-:号 ]?{letter}?(?P<s1>\d{{1,3}})号?(?!\d)|(?<!\d)(?P<s2>\d{{1,3}})号?(?:{shop})"
            + (rf"|(?<![A-Z0-9]){letter}-?(?P<s3>\d{{1,3}})(?![A-Z0-9]| ?(?:{self._lettered()}))号?"),
        )

    def _garage(self, name: str, *, bare: bool) -> str:
        """A garage level; "-2" needs its 层, a bare "B2" is left to where it stands."""
        down, floor = either(self.marks["underground"]), either(self.marks["floor"])
        letter = rf"(?:{down})?B(?P<{name}b>\d)(?! ?(?:{self._lettered()}))(?:{floor})?"
        # 「地库3栋那边」 is near a building, and no level
        words = rf"(?:{down})(?P<{name}w>\d)(?! ?(?:{either(self.marks['building'])}))(?:{floor})?"
        minus = rf"(?<![\dA-Z])-(?P<{name}m>\d)(?:{floor})"
        return rf"(?<![A-Z0-9])(?:{letter}|{words}|{minus})" + ("" if bare else r"(?:(?<=[^\dB])|(?!\d))")

    def _space(self) -> str:
        marks = self.marks
        garage, space, zone = either(marks["garage"]), either(marks["space"]), marks["zone"]
        level = self._garage("g", bare=True)
        return "|".join(
            (
                rf"(?:(?:{garage}) ?)?(?:{level})[ -]{{0,2}}(?:(?P<z1>[A-Z]){zone}?[ -]{{0,2}})?"
                rf"(?:(?P<n1>\d{{3,4}}|(?<=-)\d{{1,4}})(?:{space}|号|位)?(?!\d|电梯|梯|楼)|(?P<n2>\d{{1,4}})(?:{space})"
                # 「B1层32号」
                r"|(?P<n8>\d{1,3})号(?=$|[ ,.。!！?？]|的|那|上))",
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
        both = either((*folded_words(marks["and"]),))
        yield (
            "rooms",
            rf"(?<![\dA-Z-])\d{{3,4}}[A-Z]?(?:(?:{both})\d{{3,4}}[A-Z]?){{1,5}}(?:{either(marks['room'])})?(?![\dA-Z])",
        )
        levels = [w for level in ("building", "unit", "unit_heard", "unit_weak", "floor") for w in marks[level]]
        # 楼 of 楼上 or 门 of 门口 is not a mark of the number before it
        named_levels = rf"(?!{either(marks['not_floor'])})(?:{either(word for word in levels if word != '#')})"
        separators = either(marks["chain"])
        first = rf"(?:{ELEMENT}|[{self.letters}])" if self.letters else ELEMENT
        yield (
            "chain",
            (
                rf"(?<![\dA-Z.])(?P<els>{first}(?: ?(?:{separators}) ?{ELEMENT}){{1,6}})"
                rf"(?: ?(?:{either(marks['room'])}))?(?:(?=[A-Z]{{2}})|(?![\dA-Z]|{named_levels}))"
            ),
        )
        yield "tail", rf"(?<=[{marks['building_end']}]) ?(?P<tu>\d{{1,2}}) (?P<tr>\d{{3,4}})(?!\d)"

    def _levels(self) -> Iterator[tuple[str, str]]:
        marks, lead = self.marks, r"(?<![\dA-Z])"
        building, unit, heard = either(marks["building"]), either(marks["unit"]), either(marks["unit_heard"])
        both, to, between = either(marks["and"]), either(marks["to"]), either(self.relative["between"])
        first, second = rf"(?P<b1>\d{{1,2}})(?:{building})?", rf"(?P<b2>\d{{1,2}})(?:{building})"
        yield "between", rf"{lead}{first}(?:{both}){second}的?(?:{between})的?"
        yield "buildings", rf"{lead}\d{{1,2}}(?:(?:{building})?(?:{both}|{to})\d{{1,2}}){{1,5}}(?:{building})"
        yield "units", rf"{lead}\d{{1,2}}(?:(?:{both}|{to})\d{{1,2}}){{1,3}}(?:{unit})"
        yield "building", self._building(lead, building, unit, heard)
        yield (
            "unit",
            rf"{lead}(?:(?P<uc>\d{{1,2}}|[{marks['unit_letters']}]) ?(?:{unit})|(?P<uh>\d{{1,2}}|[A-F]) ?(?:{heard}))",
        )
        yield "weak_unit", rf"{lead}(?P<uw>\d{{1,2}})(?:{either(marks['unit_weak'])})"
        yield from self._floors_and_rooms(lead)

    def _building(self, lead: str, building: str, unit: str, unit_heard: str) -> str:
        """A named building, a marked number, 号 before a unit or room, or a mark as voice input hears it."""
        heard = either(folded_words(self.marks["building_heard"]))
        any_unit = f"{unit}|{unit_heard}|{either(self.marks['unit_weak'])}"
        code = rf"(?:\d{{1,3}}|[{self.letters}])" if self.letters else r"\d{1,3}"
        code = rf"(?:{code}|[A-Z]\d{{1,2}}(?= ?(?:{self._lettered()})))"
        house = self.marks["house_number"]
        follows = rf"[ ,-]{{0,2}}(?:\d{{3,4}}(?!\d)|\d{{1,2}}(?:{any_unit})|\d{{1,2}}[A-Z])"
        return (
            rf"(?P<bn>{either(self.named)})|{lead}(?P<bc>{code}) ?(?:{building})(?![A-Z]座)"
            rf"|{lead}(?P<bh>\d{{1,3}}){house}(?={follows})"
            rf"|{lead}(?P<bf>\d{{1,2}})(?:{heard})(?=[ ,的里]{{0,2}}(?:\d|[A-F](?:{unit})|{self.area})|$)"
        )

    def _lettered(self) -> str:
        return either(self.marks["building_lettered"])

    def _floors_and_rooms(self, lead: str) -> Iterator[tuple[str, str]]:
        marks, label = self.marks, r"\d{1,2}[A-Z]?"
        floor, room, door = either(marks["floor"]), either(marks["room"]), either(marks["door"])
        floor = rf"(?!{either(marks['not_level'])})(?:{floor})"
        yield "floors", rf"{lead}(?P<f1>{label})(?:{floor})?(?:{either(marks['to'])})(?P<f2>{label})(?:{floor})"
        number = rf"(?P<fd>\d{{1,2}}(?=(?:{door}))|0\d|[A-F])(?:{door})?(?![\dA-Z楼梯]|电梯)"
        yield "floor_door", rf"{lead}(?P<fl>{label})(?:{floor}) ?-?{number}"
        yield "top", either(self.relative["top"])
        after = either((*folded_words(self.noise["not_floor_after"]), *marks["room"]))
        yield "floor", rf"(?<![A-Z0-9])F(?P<ff>[1-9]\d?)(?!\d)|{lead}(?P<fn>{label}) ?(?:{floor})(?![A-Z]|{after})"
        text = r"\d{3,4}(?:[A-Z](?![A-Z]))?(?:-\d(?!\d))?|\d{1,2}[A-F]\d{2}|\d{1,2}[A-F]"
        end = rf" ?(?P<rm>{room}|{marks['house_number']}(?!\d))|(?![\dA-Z])|(?=[A-Z]{{2}})"
        yield "room", rf"{lead}(?P<rt>{text})(?:{end})"

    def tokens(self, text: str, *, eager: bool = False) -> list[Token]:
        """The tokens of a folded, blanked text."""
        found: list[Token] = []
        for match in self.pattern.finditer(text):
            kind = match.lastgroup or ""
            reader = self.readers.get(kind)
            found += reader(match) if reader else [Token(kind, match.start(), match.end())]
        return self._accept(text, found, eager)

    # readers: one match → tokens

    def _token(self, match: re.Match[str], values: Values, *flags: str, kind: str = "") -> list[Token]:
        return [Token(kind or match.lastgroup or "", match.start(), match.end(), values, frozenset(flags))]

    def _read_villa(self, match: re.Match[str]) -> list[Token]:
        row, number = match["vr"] or match["vr2"], match["vn"] or match["vn2"]
        if not row:
            code = next((phase.code for phase in self.register.phases if phase.kind == "villa"), "")
            return self._token(match, {"phase": code}) if code else []
        values = {"building": row}
        return self._token(match, values | ({"room": number} if number else {}))

    def _read_space(self, match: re.Match[str]) -> list[Token]:
        level = match["gb"] or match["gw"] or match["gm"]
        zone = match["z1"] or match["z3"] or match["z4"] or match["z5"] or match["z7"]
        number = next(match[f"n{i}"] for i in range(1, 9) if match[f"n{i}"])
        values = {"room": number} | ({"building": f"B{level}"} if level else {}) | ({"unit": zone} if zone else {})
        return self._token(match, values)

    def _read_level(self, match: re.Match[str]) -> list[Token]:
        level, zone = match["lb"] or match["lw"] or match["lm"], match["lz"] or match["lz2"]
        bare = len(match[0]) == 2 or not level
        return self._token(
            match,
            ({"building": f"B{level}"} if level else {}) | ({"unit": zone} if zone else {}),
            *(["bare"] if bare else []),
        )

    def _read_shop(self, match: re.Match[str]) -> list[Token]:
        return self._token(
            match, {"room": match["s1"] or match["s2"] or match["s3"]}, *(["alias"] if match["s3"] else [])
        )

    def _read_phase(self, match: re.Match[str]) -> list[Token]:
        if match["ph"]:
            return self._token(match, {"phase": self.phase_codes[match["ph"]]})
        roman = wording()["fold"]["roman_phase"]
        name = roman.get(match["pn"], match["pn"]) + self.marks["phase"]
        return self._token(match, {"phase": self.phase_codes.get(name, name)})

    def _read_rooms(self, match: re.Match[str]) -> list[Token]:
        rooms = re.findall(r"\d{3,4}[A-Z]?", match[0])
        return [
            Token("room", match.start(), match.end(), {"room": room}, frozenset({"marked"} if i else ()))
            for i, room in enumerate(rooms)
        ]

    def _read_chain(self, match: re.Match[str]) -> list[Token]:
        elements = re.findall(rf"{ELEMENT}|[A-Z]", match["els"])
        rooms = [element for element in elements if ROOMLIKE.fullmatch(element)]
        first_room = elements.index(rooms[0]) if rooms else len(elements)
        extra = elements[first_room + 1 :] if len(rooms) > 1 else []
        if first_room == 0 or set(extra) - set(rooms):
            return (
                [Token("room", match.start(), match.end(), {"room": "-".join(elements)})] if len(elements) == 2 else []
            )
        core = elements[: len(elements) - len(extra)]
        separators = {text.strip() for text in re.split(ELEMENT, match["els"])[1:-1]}
        alts = tuple(_chain_readings(core, all(s in self.marks["pair"] for s in separators)))
        flags = frozenset({"pair"} if len(core) == 2 and all(map(_SMALL.fullmatch, core)) else ())
        chain = [Token("chain", match.start(), match.end(), flags=flags, alts=alts)] if alts else []
        return chain + [Token("room", match.start(), match.end(), {"room": r}, frozenset({"marked"})) for r in extra]

    def _read_tail(self, match: re.Match[str]) -> list[Token]:
        return self._token(match, {"unit": match["tu"], "room": match["tr"]}, kind="unit")

    def _read_between(self, match: re.Match[str]) -> list[Token]:
        return self._token(match, {"between": f"{match['b1']}~{match['b2']}"})

    def _read_buildings(self, match: re.Match[str]) -> list[Token]:
        return self._several(match, "building")

    def _read_units(self, match: re.Match[str]) -> list[Token]:
        return self._several(match, "unit")

    def _several(self, match: re.Match[str], level: str) -> list[Token]:
        codes = re.findall(r"\d{1,2}", match[0])
        spoken_range = len(codes) == 2 and any(word in match[0] for word in self.marks["to"])
        if spoken_range and int(codes[0]) < int(codes[1]) <= int(codes[0]) + MAX_PLACES:
            codes = [str(code) for code in range(int(codes[0]), int(codes[1]) + 1)]
        return [Token(level, match.start(), match.end(), {level: code}, frozenset({"listed"})) for code in codes]

    def _read_building(self, match: re.Match[str]) -> list[Token]:
        if match["bn"]:
            phase, code = self.named[match["bn"]]
            return self._token(match, {"phase": phase, "building": code}, "alias")
        code = match["bc"] or match["bh"] or match["bf"]
        return self._token(match, {"building": code.lstrip("0") or code}, *(["fuzzy"] if match["bf"] else []))

    def _read_unit(self, match: re.Match[str]) -> list[Token]:
        code = match["uc"] or match["uh"]
        flags = (["fuzzy"] if match["uh"] else []) + (["alias"] if code.isalpha() else [])
        return self._token(match, {"unit": code.lstrip("0") or code}, *flags)

    def _read_weak_unit(self, match: re.Match[str]) -> list[Token]:
        return self._token(match, {"unit": match["uw"]})

    def _read_floors(self, match: re.Match[str]) -> list[Token]:
        return self._token(match, {"floor": match["f1"], "floor_to": match["f2"]}, kind="floor")

    def _read_floor_door(self, match: re.Match[str]) -> list[Token]:
        return self._token(match, {"floor": match["fl"], "door": match["fd"]}, kind="floor")

    def _read_top(self, match: re.Match[str]) -> list[Token]:
        return self._token(match, {"floor": ROOF}, kind="floor")

    def _read_floor(self, match: re.Match[str]) -> list[Token]:
        flags = ["loose"] if match[0].endswith(self.marks["floor"][1]) else []
        return self._token(match, {"floor": (match["fn"] or match["ff"]).lstrip("0") or "0"}, *flags)

    def _read_room(self, match: re.Match[str]) -> list[Token]:
        return self._token(match, {"room": match["rt"]}, *(["marked"] if match["rm"] else []))

    def _read_area(self, match: re.Match[str]) -> list[Token]:
        first = next((name for name in sorted(self.scopes, key=len, reverse=True) if match[0].startswith(name)), "")
        flags = frozenset({"fuzzy"} if first in self.heard_areas else ())
        values = {"area": self.heard_areas[first] + match[0][len(first) :]} if flags else {}
        return [Token("area", match.start(), match.end(), values, flags, scope=self.scopes.get(first, "estate"))]

    def _read_outside(self, match: re.Match[str]) -> list[Token]:
        surely = match["os"] is not None
        start = match.start("os" if surely else "ot")
        return [Token("outside", start, match.end(), flags=frozenset({"surely"} if surely else ()))]

    def _read_attached(self, match: re.Match[str]) -> list[Token]:
        return [Token("attached", match.start(), match.end(), scope="ground")]

    # what counts

    def _accept(self, text: str, tokens: list[Token], eager: bool) -> list[Token]:
        anchored = [t for t in tokens if t.kind in ("building", "unit", "chain", "phase", "floor")]
        kept: list[Token] = []
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

    def _is_unit(self, token: Token, before: list[Token], after: Token | None) -> bool:
        led = bool(before) and before[-1].kind in ("building", "phase") and token.start - before[-1].end <= 1
        return led or (after is not None and after.kind == "room" and after.start - token.end <= 1)

    def _is_chain(self, text: str, token: Token, before: list[Token]) -> bool:
        """Two small numbers are an address only where nothing else can be meant."""
        if self.denied.search(text[max(0, token.start - 8) : token.start]):
            return False
        if "pair" not in token.flags:
            return True
        if before and before[-1].kind in ("phase", "building", "unit", "skip") and token.start - before[-1].end <= 1:
            return True
        starts = not text[: token.start].strip(" ,.。!！\x00")
        return starts and not re.match(either(self.noise["pair_after"]), text[token.end :].lstrip())

    def _is_room(self, text: str, token: Token, anchors: list[Token], eager: bool) -> bool:
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
        return STRUCK in text or self.wrong.search(text) is not None

    def is_whole(self, text: str, token: Token) -> bool:
        """Whether a message is this token and politeness, nothing else."""
        rest = text[: token.start] + " " + text[token.end :]
        return self.politeness.fullmatch(rest) is not None


@lru_cache(maxsize=64)
def lexicon_of(register: Register) -> Lexicon:
    """The grammar of a register, made once."""
    return Lexicon(register)


def _chain_readings(elements: Sequence[str], may_pair: bool) -> Iterator[Values]:
    """What "a-b-c" can stand for, best reading first."""
    last = elements[-1]
    room = bool(ROOMLIKE.fullmatch(last))
    label = bool(LABEL.fullmatch(last))
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
