"""From tokens to places: which levels of which place a message states, corrects or takes back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from nlu.address.folding import Folded, either, fold
from nlu.address.grammar import ELEMENT, ROOMLIKE, Lexicon, Token
from nlu.address.model import LEVELS, Parts, Values
from nlu.address.noise import HOLE, STRUCK, noise
from nlu.normalize import typed
from nlu.register import Kind, wording


@dataclass(frozen=True, slots=True)
class _Reading:
    parts: tuple[Parts, ...]
    spans: tuple[tuple[int, int], ...]
    name: str
    phone: str
    corrects: bool
    denied: tuple[Parts, ...] = ()


def read_places(text: str, lexicon: Lexicon, draft: tuple[Parts, ...], *, outdoors: bool = False) -> _Reading:
    """The places of one message, whoever is named in it, and whether it corrects something. `outdoors`: of what is told of."""
    text = typed(text)
    folded = fold(text)
    blanked, phone = noise().blank(folded.text)
    struck = _strike(blanked, lexicon)
    corrects = lexicon.corrects(struck)
    joined = _join_spaced(struck, lexicon)
    tokens = lexicon.tokens(joined, eager=corrects or bool(draft)) or _short_answer(joined, lexicon, draft)
    grouper = _Grouper(joined, folded, text, lexicon, draft)
    grouper.outdoors = outdoors or lexicon.in_the_open.search(joined) is not None
    parts, used = grouper.run(tokens)
    denied = () if parts else _denied_parts(blanked, folded, text, lexicon)
    return _Reading(tuple(parts), _spans(folded, used), _name(text), phone, corrects, denied)


def _denied_parts(blanked: str, folded: Folded, original: str, lexicon: Lexicon) -> tuple[Parts, ...]:
    """What a bare "不是2单元" takes back without saying what it is instead."""
    found = lexicon.struck.search(blanked)
    if found is None or not found["alone"]:
        return ()
    rest = " " * found.start("alone") + found["alone"] + " "
    rest += " " * (len(blanked) - len(rest))
    parts, _ = _Grouper(rest[: len(blanked)], folded, original, lexicon, ()).run(lexicon.tokens(rest[: len(blanked)]))
    return tuple(parts[:1])


def _strike(text: str, lexicon: Lexicon) -> str:
    """Blank what a correction takes back: 不是1502是1503 leaves 1503."""
    found = lexicon.struck.search(text)
    if found is None:
        return text
    return text[: found.start()] + STRUCK * len(found[0]) + text[found.end() :]


_SPACED = re.compile(rf"\s*(?P<els>{ELEMENT}(?: {{1,3}}{ELEMENT}){{1,4}})\s*")


def _join_spaced(text: str, lexicon: Lexicon) -> str:
    """Spaces join numbers only when the whole message is the address: "3 2 1502"."""
    found = _SPACED.match(text)
    if found is None or not lexicon.politeness.fullmatch(text[found.end() :]):
        return text
    elements = found["els"].split()
    if not ROOMLIKE.fullmatch(elements[-1]) or any(map(ROOMLIKE.fullmatch, elements[:-1])):
        return text
    body = re.sub(" +", lambda m: "-" + " " * (len(m[0]) - 1), found["els"])
    return text[: found.start("els")] + body + text[found.end("els") :]


_SHORT = re.compile(r"[ ,.]{0,3}(?P<n>\d{1,3})(?P<mark>号|室|户|房)?[ ,.。!！]{0,3}")


def _short_answer(text: str, lexicon: Lexicon, draft: tuple[Parts, ...]) -> list[Token]:
    """A message that is only "02" or "3号": the door of an open floor, else a house number."""
    found = _SHORT.fullmatch(text)
    if found is None:
        return []
    number, at = found["n"], (found.start("n"), found.end())
    if any(part.floor and not part.room and not part.area for part in draft) and len(number) <= 2:
        return [Token("floor", *at, {"door": number})]
    if any(part.kind == "villa" and part.building and not part.room for part in draft) or (
        any(part.kind == "space" and not part.room for part in draft)
    ):
        return [Token("room", *at, {"room": number})]
    known = any(building.code == number for building in lexicon.register.of_kind("flat"))
    return [Token("building", *at, {"building": number})] if found["mark"] == "号" and known else []


def _spans(folded: Folded, tokens: Iterable[Token]) -> tuple[tuple[int, int], ...]:
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
    return re.compile(rf"(?:{either(people['compound'])}|[{people['surnames']}])(?:{either(people['titles'])})")


@cache
def _things() -> frozenset[str]:
    return frozenset(wording()["areas"]["things"])


@cache
def _corners() -> frozenset[str]:
    return frozenset(wording()["relative"]["corner"])


def _name(text: str) -> str:
    found = _name_pattern().search(text)
    return found[0] if found else ""


def _told_of(others: list[Parts], places: list[Parts]) -> list[Parts]:
    """「楼上漏水 我是1栋1单元501」: the place of the writer is what 楼上 is told of."""
    bare = all(part.relation and replace(part, relation="").empty for part in others)
    writer = next((part for part in places if "reporter" in part.flags), None)
    if not others or not bare or writer is None:
        return []
    above = next((part.relation for part in others if part.relation == "above"), writer.relation)
    return [replace(writer, relation=above, flags=writer.flags - {"reporter"})]


def _rejoined(places: list[Parts]) -> list[Parts]:
    """「电梯门夹人 把我家老太太夹了 3号楼1单元」: a shared place without a building and a building without a home are one place."""
    match places:
        case [shared, building]:
            within = shared.area and shared.scope not in ("estate", "garage") and not (shared.building or shared.unit)
            home = building.room or building.door or building.alts or building.floor
            if within and building.building and not (building.area or home):
                return [replace(building, area=shared.area, scope=shared.scope, relation="")]
    return places


class _Grouper:
    """Puts tokens together into places; a level said twice begins another place."""

    def __init__(self, text: str, folded: Folded, original: str, lexicon: Lexicon, draft: tuple[Parts, ...]) -> None:
        self.text, self.folded, self.original, self.lexicon = text, folded, original, lexicon
        self.in_garage = any(part.kind == "space" for part in draft)
        self.done: list[Parts] = []
        self.now = Parts()
        self.used: list[Token] = []
        self.waiting: list[Token] = []
        self.end = 0
        self.more = False
        self.outdoors = False

    def run(self, tokens: list[Token]) -> tuple[list[Parts], list[Token]]:
        """The places, and the tokens that went into them."""
        for i, token in enumerate(tokens):
            if self._loose_building(token, tokens[i + 1] if i + 1 < len(tokens) else None):
                token = replace(token, kind="building", values={"building": token.values["floor"]})
            self._near_building(token, tokens[i + 1 : i + 3])
            handler = getattr(self, f"_on_{token.kind}", self._on_level)
            if handler(token):
                self.used.append(token)
                self.end = token.end
        self._close()
        places = _rejoined([part for part in self.done if not part.empty])
        others = [part for part in places if "reporter" not in part.flags]
        return _told_of(others, places) or others or places, self.used

    def _close(self) -> None:
        now = self.now
        if now.relation == "own" and not now.area:
            self.now = replace(now, relation="")
        elif (now.relation == "own_floor" or now.floor_to) and not (now.area or now.private):
            self.now = replace(now, area=wording()["phrases"]["whole_floor"], scope="floor")
        if self.now.kind == "flat" and self.now.floor.startswith("B") and not (self.now.area or self.now.private):
            # 「6栋负二层」: a building has nothing down there but its part of the garage
            self.now = replace(self.now, area=self.lexicon.garage, scope="garage")
        if self.now.between and not self.now.area:
            self.now = replace(self.now, area=wording()["phrases"]["between_area"])
        self.done.append(self.now)
        self.now = Parts()
        self.more = False

    def _near(self, token: Token, gap: int = 2) -> bool:
        between = self.text[self.end : token.start]
        return bool(self.used) and token.start - self.end <= gap and HOLE not in between

    def _loose_building(self, token: Token, after: Token | None) -> bool:
        """ "3楼2单元" and "3楼502": 楼 stands for 号楼 when what follows cannot be on floor 3."""
        if "loose" not in token.flags or self.now.building or after is None or after.start - token.end > 1:
            return False
        if after.kind == "room":
            return not after.values["room"].startswith(token.values["floor"]) and not self.now.alts
        return after.kind in ("unit", "weak_unit")

    def _near_building(self, token: Token, after: list[Token]) -> None:
        """「地库B2 靠3栋」: the level of the garage is one below that building, unless a home in it is told."""
        now = self.now
        level_only = now.kind == "space" and now.building and not (now.unit or now.room)
        if (
            level_only
            and token.kind == "building"
            and self._near(token, 3)
            and all(one.kind != "room" for one in after)
        ):
            self.now = replace(now, kind="flat", phase="", building="", floor=now.building)

    def _kind(self, token: Token) -> Kind:
        kinds: dict[str, Kind] = {"villa": "villa", "space": "space", "level": "space", "shop": "shop"}
        phase = self.lexicon.register.phase(token.values.get("phase", ""))
        told = "flat" if token.kind == "building" and self.now.kind == "space" else self.now.kind
        return kinds.get(token.kind) or (phase.kind if phase else told)

    def _on_level(self, token: Token) -> bool:
        if token.kind == "level":
            if self.now.kind == "flat" and self.now.building and not self.now.private and "building" in token.values:
                token = replace(token, kind="floor", values={"floor": token.values["building"]}, flags=frozenset())
            elif "bare" in token.flags and not (self.in_garage or self.now.scope == "garage"):
                return False
        kind = self._kind(token)
        if self._clashes(token, kind):
            self._next(token)
        now = replace(self.now, kind=kind, **levels_in(token.values), alts=self.now.alts or token.alts)
        self.now = now.flagged(*token.flags, *(("kinded",) if kind != "flat" else ()))
        return True

    def _clashes(self, token: Token, kind: Kind) -> bool:
        now = self.now
        if kind != now.kind and (now.building or now.room or now.alts or now.unit):
            return True
        if now.alts and ("room" in token.values or "building" in token.values or token.alts):
            return True
        if token.alts and (now.room or now.door or (now.building and now.unit and now.floor)):
            return True
        return any(now.level(level) not in ("", value) for level, value in token.values.items() if level in LEVELS)

    def _next(self, token: Token) -> None:
        """Start another place; one that follows closely shares the levels above: 1502/1503."""
        before, near = self.now, self._near(token, 3)
        self._close()
        if not near:
            return
        if self.text[self.end : token.start].strip() in self.lexicon.joiners and not before.private:
            self.done[-1] = self.done[-1].flagged("listed")
            before = self.done[-1]
        upper: dict[str, Any] = {
            level: before.level(level) for level in LEVELS[: token.top] if level not in ("floor", "door")
        }
        alts = tuple({k: v for k, v in alt.items() if k in upper} for alt in before.alts[:1])
        self.now = Parts(before.kind, **(upper | (dict(alts[0]) if alts else {})), flags=before.flags - {"reporter"})

    def _on_space(self, token: Token) -> bool:
        if self.now.scope == "garage":
            self.now = replace(self.now, area="", scope="")
        return self._on_level(token)

    def _on_shop(self, token: Token) -> bool:
        if self.now.scope == "estate" and self._near(token):
            self.now = replace(self.now, area="", scope="")
        return self._on_level(token)

    def _on_between(self, token: Token) -> bool:
        if not self.now.empty and (self.now.building or self.now.room):
            self._close()
        self.now = replace(self.now, between=token.values["between"], scope="estate")
        return True

    def _on_skip(self, token: Token) -> bool:
        return False

    def _on_area(self, token: Token) -> bool:
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

    def _share(self, now: Parts) -> None:
        """The area said last belongs to every listed building or unit."""
        now = replace(now, flags=now.flags - {"reporter"})
        if "listed" in now.flags:
            self.done = [
                replace(p, area=now.area, scope=now.scope) if "listed" in p.flags and not p.area else p
                for p in self.done
            ]
        self.now = now

    def _second_area(self, token: Token, near: bool) -> bool:
        if near and token.start - self.end <= 1 and self.now.scope == "estate" and token.scope == "estate":
            start, end = self.folded.source(token.start, token.end)
            self.now = replace(self.now, area=self.now.area + self.original[start:end])
            return True
        if not self.more:
            return self._thing_in(token)
        self._close()
        return self._on_area(token)

    def _thing_in(self, token: Token) -> bool:
        """「路灯不亮 中心花园那边」: what stands in many places is where the second word says; 「滑梯那边的垃圾桶」 stands by the first."""
        start, end = self.folded.source(token.start, token.end)
        known = self.now.area in _things() and self.now.scope == token.scope == "estate" and not self.now.private
        if known:
            said, before = self.original[start:end], self.now.area
            beside = self.lexicon.landmark.search(self.original[:start])
            area = wording()["phrases"]["beside"].format(before, said) if beside else said + before
            self.now = replace(self.now, area=area)
        return known

    def _on_attached(self, token: Token) -> bool:
        anchored = self.now.building or self.now.unit or self.now.relation or self.now.alts
        if not anchored or not self._near(token, 1) or self.now.area:
            return False
        # the gate of a building is on the ground, the door of a home on its floor
        at_home = self.now.private or self.now.relation == "own"
        return self._on_area(replace(token, scope="floor" if at_home else "ground"))

    def _on_own(self, token: Token) -> bool:
        return self._relate(token, "own")

    def _on_own_unit(self, token: Token) -> bool:
        return self._whole(token, "whole_unit")

    def _on_own_building(self, token: Token) -> bool:
        return self._whole(token, "whole_building")

    def _on_own_floor(self, token: Token) -> bool:
        return self._relate(token, "own_floor")

    def _whole(self, token: Token, phrase: str) -> bool:
        if self.now.private or self.now.area:
            return False
        self._share(replace(self.now, area=wording()["phrases"][phrase], scope="whole", relation=phrase))
        return True

    def _on_everyone(self, token: Token) -> bool:
        now = self.now
        if now.private or now.area or not (now.building or now.unit or now.alts):
            return False
        return self._whole(token, "whole_unit" if now.unit or now.alts else "whole_building")

    def _on_self(self, token: Token) -> bool:
        if self.now.area and not self.now.relation and not self.now.private:
            self._close()
        return self._relate(token, "self")

    def _on_above(self, token: Token) -> bool:
        return self._relate(token, "above", keep=False)

    def _on_below(self, token: Token) -> bool:
        plain = self.text[token.start : token.end] == self.lexicon.relative["below"][-1]
        if plain and (self.now.building or self.now.unit):
            return self._on_attached(token)
        return not plain and self._relate(token, "below", keep=False)

    def _on_opposite(self, token: Token) -> bool:
        return self._relate(token, "opposite", keep=False)

    def _on_beside(self, token: Token) -> bool:
        return self._relate(token, "beside", keep=False)

    def _on_last(self, token: Token) -> bool:
        return self._relate(token, "last", keep=False)

    def _relate(self, token: Token, relation: str, keep: bool = True) -> bool:
        """Remember the relation; a room already said makes "next door" and "my place" idle words."""
        now = self.now
        stated = bool(now.room or now.alts or now.door)
        if (now.relation and keep) or (stated and relation not in ("above", "own", "own_floor")):
            return False
        self.now = replace(now, relation=relation).flagged(*(("after",) if stated else ()))
        return True

    def _on_reporter(self, token: Token) -> bool:
        if not self.now.empty:
            self._close()
        self.now = self.now.flagged("reporter")
        return False

    def _on_outside(self, token: Token) -> bool:
        """「8栋东边那棵树」: no home, and no unit is missing; 8栋东边 alone may be a flat at that side."""
        now, said = self.now, self.text[token.start : token.end]
        above = now.relation in ("", "above", "below")
        if now.floor and above and not (now.area or now.private) and said.removeprefix("的") in _corners():
            self.now = replace(now, relation="")
            return self._on_area(replace(token, kind="area", scope="floor"))
        bare = now.building and not (now.floor or now.area or now.private or now.relation or now.alts)
        told = self.outdoors or ("surely" in token.flags and not now.unit)
        if not bare or not told or not self._near(token, 1):
            return self._remark(token, "side")
        start, end = self.folded.source(token.start, token.end)
        self._share(replace(now, area=self.original[start:end], scope="estate"))
        return True

    def _on_side(self, token: Token) -> bool:
        return self._remark(token, "side")

    def _on_there(self, token: Token) -> bool:
        return self._remark(token, "there")

    def _remark(self, token: Token, flag: str) -> bool:
        if not (self.now.building or self.now.unit or self.now.floor):
            return False
        self.now = self.now.flagged(flag)
        return False

    def _on_more(self, token: Token) -> bool:
        self.more = True
        return False


def levels_in(values: Values) -> dict[str, Any]:
    """The levels among the values of a token."""
    names = {*LEVELS, "floor_to"}
    return {name: value for name, value in values.items() if name in names}
