"""Several matters in one message: where its clauses end, which of them tell a fault of their own, who is blamed, what is asked.

The clauses come from marks and words (data/dict/understanding.yml). Whether one of them tells another fault, and not the cause,
effect or detail of one already told, is learned from data/nlu/several.yml (`Divider`). Pure: numpy at run time, scikit-learn
only while learning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from nlu.features import MAX_CHARS
from nlu.normalize import Normalized, normalize
from nlu.words import lists, pattern

_MAX_SEGMENTS = 12
_MAX_FAULTS = 5
_MIN_SEGMENT = 3

SURE_REPAIR = 0.4
"""From this chance on a clause may be a fault, and what it would be is worked out."""
OPENED_BLAME, _SURE_BLAME = 0.5, 0.7
SURE_QUESTION = 0.8
FEARED_FAULT = 0.1
"""Below this chance of any danger a clause tells of none."""
_SURE_CATEGORY = 0.5
_BESIDE_COMPLAINT, _OPENED_FAULT = 0.75, 0.5
_BESIDE_TALK, _LIKELY_CATEGORY = 0.6, 0.4
_ANOTHER = 0.5
_UNNAMED = "X00"

_SPACE = "\x06"
_JOINED = "，"
_TRIM = " \t\r\n，。！？；,.!?;、"


@dataclass(frozen=True, slots=True)
class Clause:
    """One matter of a message: its words in the original text, and what they mean."""

    text: str
    start: int
    end: int
    category: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What a clause says by itself: how likely it reports, complains and asks, and of which category each. What is unlikely is
    not worked out and stays empty."""

    repair: float = 0.0
    complaint: float = 0.0
    question: float = 0.0
    fault: tuple[str, float] = ("", 0.0)
    blame: tuple[str, float] = ("", 0.0)
    asked: tuple[str, float] = ("", 0.0)


class Reader(Protocol):
    """The trained model, as far as clauses need it."""

    divider: Divider

    def judge(self, texts: Sequence[str]) -> list[Judged]:
        """Clauses of normalised text, each read by itself."""

    def as_repair(self, done: Normalized) -> tuple[str, float] | None:
        """Category and confidence of the whole message taken as one repair."""


@dataclass
class _Segment:
    """A stretch of the normalised text between two borders, and what it says by itself."""

    start: int
    end: int
    text: str
    opened: bool
    listed: bool = False
    said: Judged = field(default_factory=Judged)

    @property
    def category(self) -> str:
        return self.said.fault[0]

    @property
    def accuses(self) -> bool:
        return self.said.complaint >= _SURE_BLAME and self.said.blame[0] in lists()["blame_codes"]

    @property
    def is_another_matter(self) -> bool:
        """Whether these words open something else, a complaint or a question. Without such an opening they may tell what
        caused the fault."""
        asks_or_blames = self.said.complaint >= OPENED_BLAME or self.said.question >= SURE_QUESTION
        return self.opened and asks_or_blames and self.said.repair < SURE_REPAIR

    @property
    def is_sure(self) -> bool:
        """Whether these words report a fault even out of a complaint or a question."""
        floor = _OPENED_FAULT if self.opened else _BESIDE_COMPLAINT
        return self.said.repair >= floor and self.said.fault[1] >= _SURE_CATEGORY and not self.supposed

    def says_again(self, heads: Sequence[_Segment]) -> bool:
        """Whether the words are of the kind of a fault already told and name neither another thing nor another place."""
        same = [head for head in heads if head.category == self.category]
        if not same or self.opened or self.listed:
            return False
        one_event = self.category in lists()["one_event"] or self.category in lists()["dangers"]
        return not any(
            (not one_event and self.things and head.things and self.things.isdisjoint(head.things))
            or (self.places and head.places and self.places.isdisjoint(head.places))
            for head in same
        )

    @property
    def supposed(self) -> bool:
        return bool(pattern("supposed").search(self.text))

    @property
    def shared(self) -> bool:
        return bool(pattern("shared").search(self.text))

    @cached_property
    def places(self) -> frozenset[str]:
        return frozenset(pattern("place").findall(self.text))

    @cached_property
    def things(self) -> frozenset[str]:
        return frozenset(pattern("thing").findall(self.text))


class Segments:
    """The clauses of one message, read one by one."""

    def __init__(self, reader: Reader, done: Normalized) -> None:
        self._reader = reader
        self._done = done
        cut = _cut(done)[:_MAX_SEGMENTS]
        # A single clause is the message, which has been read as a whole.
        self._cut = cut if len(cut) > 1 else []
        self.texts = [one.text for one in self._telling]
        """What `hear` wants to know about."""

    @property
    def _telling(self) -> list[_Segment]:
        return [one for one in self._cut if len(one.text) >= _MIN_SEGMENT]

    def hear(self, judged: Sequence[Judged]) -> Segments:
        """What the clauses say by themselves, where that was read together with the whole message."""
        self._all = self._judged(judged)
        return self

    @cached_property
    def _all(self) -> list[_Segment]:
        return self._judged(self._reader.judge(self.texts))

    def _judged(self, judged: Sequence[Judged]) -> list[_Segment]:
        for segment, said in zip(self._telling, judged, strict=True):
            accused = pattern("accused").search(segment.text)
            segment.said = replace(said, complaint=0.0, blame=("", 0.0)) if accused else said
        doubtful = list(self._in_other_words())
        if doubtful:
            others = self._reader.judge([words for _, words in doubtful])
            for (segment, _), other in zip(doubtful, others, strict=True):
                if other.repair >= SURE_REPAIR and other.fault[1] >= _SURE_CATEGORY:
                    segment.said = replace(segment.said, fault=other.fault)
        return self._cut

    def _in_other_words(self) -> Iterator[tuple[_Segment, str]]:
        """Faults whose category is better told by other words: without a place that says more than the thing (「阳台门关不上」),
        or with the shared place that was spoken of before (「那边的灯也坏了」)."""
        around = ""
        for segment in self._cut:
            if segment.said.repair >= SURE_REPAIR and not segment.shared:
                if segment.said.fault[1] < _SURE_CATEGORY and segment.places:
                    yield segment, pattern("place").sub("", segment.text)
                elif around and pattern("pointer").search(segment.text):
                    yield segment, around + segment.text
            around = next(iter(pattern("shared").findall(segment.text)), around)

    def blame(self) -> bool:
        """Whether the words blame somebody, anywhere or in a clause of their own."""
        if pattern("grievance").search(self._done.text):
            return True
        return any(segment.accuses for segment in self._all)

    def complaints(self) -> Iterator[Clause]:
        """Clauses that complain of something else than the faults; blame for the faults is a grievance."""
        told: list[str] = []
        for segment in self._all:
            floor = OPENED_BLAME if segment.opened else _SURE_BLAME
            code, confidence = segment.said.blame
            sure = segment.said.complaint >= floor and confidence >= _SURE_CATEGORY
            if sure and not segment.accuses and told[-1:] != [code]:
                told.append(code)
                yield self._clause(segment.start, segment.end, code, confidence)

    def beside_talk(self, *, pleased: bool) -> Iterator[Clause]:
        """The new fault at the end of words that want something else (「改周五吧，还有晾衣杆也断了」): behind what opens another
        matter and, of somebody who is `pleased`, behind what turns from that (「人很好，就是窗户关不上」)."""
        for segment in self._all[1:]:
            begins = segment.opened or (pleased and pattern("turn").match(segment.text))
            code, confidence = segment.said.fault
            sure = segment.said.repair >= _BESIDE_TALK and confidence >= _LIKELY_CATEGORY
            if begins and sure and code != _UNNAMED and not segment.supposed:
                yield self._clause(segment.start, len(self._done.text), code, confidence)
                return

    def questions(self, *, opened: bool) -> Iterator[Clause]:
        """Clauses that ask for something. `opened`: only those that change the matter, since who complains also asks what
        wants no answer."""
        for segment in self._all:
            if segment.said.question >= SURE_QUESTION and (segment.opened or not opened):
                yield self._clause(segment.start, segment.end, *segment.said.asked)

    def faults(self, whole: tuple[str, float] | None) -> list[Clause]:
        """One clause per fault. `whole` is what the message means as one repair; None asks for sure faults only."""
        whole = whole and self._without_others(whole)
        if whole and sum(one.said.repair >= SURE_REPAIR for one in self._all) < 2:
            return [self._clause(0, len(self._done.text), *whole)]
        heads = [*self._heads(whole)]
        # 「想报两个东西」 is none beside those that it announces.
        heads = [head for head in heads if head.category != _UNNAMED] or heads[:1]
        if whole and len(heads) < 2:
            return [self._clause(0, len(self._done.text), *whole)]
        return [*self._clauses(heads[:_MAX_FAULTS], from_start=whole is not None)]

    def _without_others(self, whole: tuple[str, float]) -> tuple[str, float]:
        """What the message means as a repair without its complaints and questions, which would colour the fault beside them
        (「洗手盆堵了，对了楼道里有人养鸡，臭」 is a blocked basin and no smell)."""
        rest = [one for one in self._all if not one.is_another_matter]
        if len(rest) in (0, len(self._all)):
            return whole
        (said,) = self._reader.judge([_JOINED.join(one.text for one in rest)])
        return said.fault if said.fault[1] >= _SURE_CATEGORY else whole

    def _heads(self, whole: tuple[str, float] | None) -> Iterator[_Segment]:
        """The clauses with which another fault begins."""
        heads: list[_Segment] = []
        for segment in self._all:
            if segment.said.repair < SURE_REPAIR or (whole is None and not segment.is_sure):
                continue
            if segment.says_again(heads):
                continue
            if self._reader.divider.chance(segment, heads, whole) >= _ANOTHER:
                heads.append(segment)
                yield segment

    def taught(self, whole: tuple[str, float] | None, begins: Iterable[int]) -> Iterator[tuple[dict[str, float], bool]]:
        """For every clause what is known of it, and whether a fault begins there: `begins` says where in the original text."""
        starts = [self._done.source_span(one.start, one.end)[0] for one in self._all]
        wanted = {max((number for number, start in enumerate(starts) if start <= at), default=0) for at in begins}
        heads: list[_Segment] = []
        for number, segment in enumerate(self._all):
            yield dict(_signs(segment, heads, whole)), number in wanted
            if number in wanted:
                heads.append(segment)

    def _clauses(self, heads: Sequence[_Segment], *, from_start: bool) -> Iterator[Clause]:
        for number, head in enumerate(heads):
            if head.listed:
                yield replace(self._clause(head.start, head.end, *head.said.fault), text=head.text)
                continue
            start = 0 if number == 0 and from_start else head.start
            end = heads[number + 1].start if number + 1 < len(heads) else len(self._done.text)
            yield self._clause(start, end, *head.said.fault)

    def _clause(self, start: int, end: int, category: str, confidence: float) -> Clause:
        first, last = self._done.source_span(start, end)
        piece = self._done.original[first:last]
        lead = len(piece) - len(piece.lstrip(_TRIM))
        piece = piece.strip(_TRIM)
        return Clause(piece, first + lead, first + lead + len(piece), category, confidence)


# --- where a clause ends ---------------------------------------------------------------------------------------------


def _cut(done: Normalized) -> list[_Segment]:
    """Borders are sentence marks, the writer's spaces, and words that open another matter; things listed are a stretch each."""
    text = done.text
    borders = {0, len(text), *done.breaks}
    borders.update(match.end() for match in pattern("border").finditer(text))
    borders.update(match.start() for match in _next_told().finditer(text))
    openers = {match.start(): match.end() for match in pattern("openers").finditer(text)}
    borders.update(openers)
    listed = {one.start: one for one in _listed_things(done)}
    inside = {at for one in listed.values() for at in range(one.start + 1, one.end)}
    borders = (borders - inside) | {at for one in listed.values() for at in (one.start, one.end)}
    found: list[_Segment] = []
    opened = False
    for start, end in pairwise(sorted(borders)):
        # 「对了，楼道里有人养鸡」: what opens may stand alone.
        opened = opened or start in openers
        body = text[openers.get(start, start) : end].strip(_TRIM)
        if not body:
            continue
        if start in listed:
            found.append(listed[start])
        elif found and found[-1].listed and re.fullmatch(f"(?:{lists()['listed_join']})+", body):
            continue
        elif found and len(body) < _MIN_SEGMENT and not opened:
            # 「门把手 松了」: too short to say anything by itself.
            found[-1] = replace(found[-1], end=end, text=found[-1].text + body)
        else:
            found.append(_Segment(start, end, body, opened))
        opened = False
    return found


def _listed_things(done: Normalized) -> Iterator[_Segment]:
    """「客厅灯、水龙头和门锁都坏了」: each thing with what is told of all of them."""
    text, join = _spaced(done), lists()["listed_join"]
    if not pattern("listed_told").search(text):
        # To look for the things takes longer than all the rest, and hardly a message lists any.
        return
    for match in _listed().finditer(text):
        start = match.start()
        for border in [*re.finditer(join, match["items"]), None]:
            end = match.end() if border is None else match.start() + border.start()
            item = text[start : match.end("items") if border is None else end]
            if pattern("thing").search(item):
                first, last = (at - text[:at].count(_SPACE) for at in (start, end))
                yield _Segment(first, last, item.strip(_TRIM) + match["told"], first > 0, listed=True)
            start = match.end() if border is None else match.start() + border.end()


def _spaced(done: Normalized) -> str:
    """The text with the writer's spaces, which a list may do without other marks."""
    borders = [0, *sorted(set(done.breaks)), len(done.text)]
    return _SPACE.join(done.text[start:end] for start, end in pairwise(borders))


@cache
def _listed() -> re.Pattern[str]:
    words = lists()
    item, join = words["listed_item"].replace("{thing}", words["thing"]), words["listed_join"]
    return re.compile(f"(?P<items>(?:{item})(?:(?:{join})+(?:{item})){{1,4}})(?:{join})?{words['listed_told']}")


@cache
def _next_told() -> re.Pattern[str]:
    """Where one fault is told and another begins without a mark between them, or with that of a list."""
    words = lists()
    place, thing = words["place"], words["thing"]
    return re.compile(
        f"(?:{words['told']})(?=、|{words['told_join']}(?:{place}|{thing})(?!{words['effect']}))|(?=、(?:{place}))"
    )


# --- another fault or not --------------------------------------------------------------------------------------------

_FEWEST = 2
_COST = 1.0
_LEAST = 1e-3
_MOST_ODDS = math.log((1 - _LEAST) / _LEAST)


def _odds(chance: float) -> float:
    """Logarithm of the odds, from -1 to 1."""
    kept = min(max(chance, _LEAST), 1 - _LEAST)
    return math.log(kept / (1 - kept)) / _MOST_ODDS


def _signs(
    segment: _Segment, heads: Sequence[_Segment], whole: tuple[str, float] | None
) -> Iterator[tuple[str, float]]:
    """What speaks for or against another fault in a clause behind those that began one: its words, what it says by itself, and
    how it stands to what was told before and to the message as a whole."""
    said = segment.said
    yield "repair", _odds(said.repair)
    yield "category", _odds(said.fault[1])
    yield "complaint", _odds(said.complaint)
    yield "question", _odds(said.question)
    yield "long", math.log(1 + len(segment.text)) / 5
    yield "faults", len(heads) / _MAX_FAULTS
    if whole:
        yield "whole", _odds(whole[1])
    yield "of_whole", float(whole is not None and segment.category == whole[0])
    yield from _beside(segment, heads)
    text = f"\x02{segment.text}\x03"
    yield from ((f"c:{text[at : at + size]}", 1.0) for size in (1, 2) for at in range(len(text) - size + 1))


def _beside(segment: _Segment, heads: Sequence[_Segment]) -> Iterator[tuple[str, float]]:
    """How a clause stands to the faults before it: to those of its category, else to all."""
    code, same = segment.category, [head for head in heads if head.category == segment.category]
    told = frozenset[str]().union(*(head.things for head in same or heads))
    there = frozenset[str]().union(*(head.places for head in same or heads))
    things, places = segment.things, segment.places
    yield "opened", float(segment.opened)
    yield "listed", float(segment.listed)
    yield "thing", float(bool(things))
    yield "place", float(bool(places))
    yield "also", float(bool(pattern("also").search(segment.text)))
    yield "aftermath", float(bool(pattern("aftermath").search(segment.text)))
    yield "first", float(not heads)
    yield "same", float(bool(same))
    yield "same_thing", float(bool(things & told))
    yield "other_thing", float(bool(things and told) and things.isdisjoint(told))
    yield "other_place", float(bool(places and there) and places.isdisjoint(there))
    yield "new_place", float(bool(heads) and bool(places - there))
    if code:
        yield f"g:{code}", 1.0
        if heads:
            yield f"g:{heads[-1].category}+{code}", 1.0


@dataclass(frozen=True)
class Divider:
    """How much each sign counts; without any, a message tells one fault."""

    names: tuple[str, ...] = ()
    weights: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    bias: float = -math.inf

    @cached_property
    def _weight(self) -> dict[str, float]:
        return dict(zip(self.names, self.weights.tolist(), strict=True))

    def chance(self, segment: _Segment, heads: Sequence[_Segment], whole: tuple[str, float] | None) -> float:
        """How likely a clause tells another fault than those that began with `heads`."""
        if not self.names:
            return 0.0
        known = self._weight
        signs = dict(_signs(segment, heads, whole))
        score = self.bias + sum([known.get(name, 0.0) * value for name, value in signs.items()])
        return 1 / (1 + math.exp(-score))


def learn_divider(reader: Reader, told: Mapping[str, Sequence[int]]) -> Divider:
    """Fit a divider. `told`: messages and where in each a fault begins; `reader` must not have learned from them."""
    known: list[tuple[dict[str, float], bool]] = []
    for text, begins in sorted(told.items()):
        done = normalize(text[:MAX_CHARS])
        known += Segments(reader, done).taught(reader.as_repair(done), begins)
    if len({wanted for _, wanted in known}) < _FEWEST:
        return Divider()
    from sklearn.feature_extraction import DictVectorizer
    from sklearn.linear_model import LogisticRegression

    table = DictVectorizer(dtype=np.float32)
    fitted = LogisticRegression(C=_COST, max_iter=3000).fit(
        table.fit_transform(signs for signs, _ in known), [wanted for _, wanted in known]
    )
    names = tuple(str(name) for name in table.get_feature_names_out())
    return Divider(names, fitted.coef_[0].astype(np.float32), float(fitted.intercept_[0]))
