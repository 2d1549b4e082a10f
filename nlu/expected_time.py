"""When a resident wants the visit, until when a job rests, and which period a supervisor asks about.

A small grammar over data/dict/time.yml. Complaints are full of times ("坏了三天了", "每天晚上都吵"), so a time alone is
not a wish: it needs a future day, a word about the visit near it, or an open question about the time (`asked`).
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import Literal

from nlu.slots import Lexicon, lexicon, read_number, readable

_CONTEXT = 16
"""How far around a time its meaning is looked for; bounded, so the work stays linear."""

_DAYS_PER_WEEK = 7
_MONTHS_PER_YEAR = 12
_NOON = 12
_MINUTES_PER_DAY = 24 * 60
_HALF_YEAR = timedelta(days=183)
_LAST_NIGHT_HOUR = 4

Stance = Literal["wish", "avoid", "open", "no"]
_Span = tuple[date, date]
_Minutes = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """A wish for a visit, or with `avoid` a time to stay away from. `end` is None when no upper bound was named."""

    start: datetime
    end: datetime | None
    label: str
    avoid: bool = False

    @property
    def is_visit(self) -> bool:
        """Whether somebody may come then, and until when is known."""
        return self.end is not None and not self.avoid


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open stretch of time [start, end) for reports."""

    start: datetime
    end: datetime
    label: str


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    start: int
    end: int
    values: Mapping[str, str]

    def pick(self, *names: str) -> str:
        """The first of these groups that took part in the match."""
        return next((self.values[name] for name in names if self.values.get(name) is not None), "")


@dataclass(slots=True)
class _Phrase:
    """Tokens that together name one time: 明天 + 下午 + 三点 + 以后."""

    start: int
    end: int
    kind: str = ""
    day: _Token | None = None
    last_day: _Token | None = None
    part: _Token | None = None
    last_part: _Token | None = None
    clock: _Token | None = None
    last_clock: _Token | None = None
    bound: str = ""
    own: _Token | None = None
    past: bool = False
    recur: bool = False
    inherits: _Token | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """`opens`: the first minute of 「下午三点之前」, which may lie before the part itself."""

    start: int
    end: int
    half: str
    opens: int


@dataclass(frozen=True, slots=True)
class _Surround:
    """The words around a phrase, inside its own clause."""

    before: str
    after: str
    bare: bool
    at_end: bool
    next_gap: str = field(default="")


# --- scanning ------------------------------------------------------------------------------------------------------

_DAY_KINDS = frozenset({"ymd", "md", "month_edge", "weekday", "relday", "dayno", "day_offset"})
_ALONE_KINDS = frozenset({"anytime", "asap", "offset", "within"})
_BOUND_KINDS = frozenset({"after", "before", "about"})


def _lex() -> Lexicon:
    return lexicon("time")


@cache
def _scanner() -> re.Pattern[str]:
    lex = _lex()
    kinds = []
    for kind, value in lex.value("tokens").items():
        source = _parts_source() if value == "@parts" else lex.source(f"tokens.{kind}")
        kinds.append(f"(?P<{kind}>{source})")
    return re.compile("|".join(kinds))


def _parts_source() -> str:
    lex = _lex()
    return "|".join(f"(?P<part{i}>{lex.source(f'parts.{i}.pattern')})" for i in range(len(lex.value("parts"))))


@cache
def _part(index: int) -> _Part:
    raw = _lex().value(f"parts.{index}")
    return _Part(_minutes(raw["from"]), _minutes(raw["to"]), raw["half"], _minutes(raw.get("until_from", raw["from"])))


def _part_of(token: _Token) -> _Part:
    index = next(name.removeprefix("part") for name in token.values if re.fullmatch(r"part\d+", name))
    return _part(int(index))


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def _scan(body: str) -> list[_Token]:
    return [
        _Token(hit.lastgroup or "", hit.start(), hit.end(), {k: v for k, v in hit.groupdict().items() if v is not None})
        for hit in _scanner().finditer(body)
    ]


def _prepare(text: str) -> str:
    """Readable text in which digits of addresses, phones and money can no longer look like times."""
    body = readable(text)
    for pattern in _lex().each("noise"):
        body = pattern.sub(lambda hit: "□" * len(hit.group()), body)
    return body


# --- phrases -------------------------------------------------------------------------------------------------------


class _Builder:
    """Joins neighbouring tokens into phrases, and lets a later time inherit the day said before it."""

    def __init__(self, body: str) -> None:
        self.body = body
        self.phrases: list[_Phrase] = []
        self.current: _Phrase | None = None
        self.context: _Token | None = None

    def add(self, token: _Token) -> None:
        if token.kind in ("past", "recur"):
            self.current, self.context = None, token
        elif token.kind == "duration":
            self.current = None
        elif token.kind in _BOUND_KINDS:
            self._bound(token)
        elif token.kind in _ALONE_KINDS:
            self._open(token, kind=token.kind)
            self.current = None
        elif not (self.current and self._extend(self.current, token)):
            phrase = self._open(token)
            self._place(phrase, token)

    def _bound(self, token: _Token) -> None:
        if self.current and not self.current.bound and self.current.end == token.start:
            self.current.bound = token.kind
            self.current.end = token.end

    def _open(self, token: _Token, kind: str = "") -> _Phrase:
        phrase = _Phrase(token.start, token.end, kind=kind, own=token)
        context = self.context
        if context and context.kind in ("past", "recur") and self._has_border(context, token):
            context = self.context = None
        if token.kind in _DAY_KINDS:
            self.context = token
        elif context:
            phrase.past, phrase.recur = context.kind == "past", context.kind == "recur"
            phrase.inherits = None if phrase.past or phrase.recur else context
        self.phrases.append(phrase)
        self.current = phrase
        return phrase

    def _has_border(self, earlier: _Token, later: _Token) -> bool:
        gap = self.body[earlier.end : later.start]
        return bool(gap.strip()) and _lex().rx("border").search(gap) is not None

    def _extend(self, phrase: _Phrase, token: _Token) -> bool:
        gap = self.body[phrase.end : token.start]
        lex = _lex()
        if lex.rx("strict_range").match(gap):
            done = self._place_last(phrase, token)
        else:
            done = not phrase.bound and lex.rx("join").match(gap) is not None and self._place(phrase, token)
        if done:
            phrase.end = token.end
            if token.kind in _DAY_KINDS:
                self.context = token
        return bool(done)

    @staticmethod
    def _place(phrase: _Phrase, token: _Token) -> bool:
        if token.kind in _DAY_KINDS and not (phrase.day or phrase.part or phrase.clock):
            phrase.day = token
        elif token.kind == "part" and phrase.last_clock is None and phrase.last_part and phrase.clock:
            return False
        elif token.kind == "part" and not (phrase.part or phrase.clock):
            phrase.part = token
        elif token.kind == "clock" and phrase.last_part and not phrase.last_clock:
            phrase.last_clock = token
        elif token.kind == "clock" and not phrase.clock:
            phrase.clock = token
        else:
            return False
        return True

    @staticmethod
    def _place_last(phrase: _Phrase, token: _Token) -> bool:
        if token.kind in _DAY_KINDS and phrase.day and not (phrase.part or phrase.clock or phrase.last_day):
            phrase.last_day = token
        elif token.kind == "part" and (phrase.part or phrase.clock) and not phrase.last_part:
            phrase.last_part = token
        elif token.kind == "clock" and phrase.clock and not phrase.last_clock:
            phrase.last_clock = token
        else:
            return False
        return True


def _phrases(body: str) -> list[_Phrase]:
    builder = _Builder(body)
    for token in _scan(body):
        builder.add(token)
    return builder.phrases


# --- what a phrase means to the speaker ----------------------------------------------------------------------------


def _surround(body: str, phrases: Sequence[_Phrase], index: int) -> _Surround:
    lex = _lex()
    phrase = phrases[index]
    floor = phrases[index - 1].end if index else 0
    ceiling = phrases[index + 1].start if index + 1 < len(phrases) else len(body)
    before = re.split(lex.value("border"), body[max(floor, phrase.start - _CONTEXT) : phrase.start])[-1]
    rest = re.split(lex.value("hard_border"), body[phrase.end : min(ceiling, phrase.end + _CONTEXT)])[0]
    same_clause = re.split(lex.value("border"), rest)[0]
    after = same_clause or re.split(lex.value("border"), rest.lstrip(" ，、"))[0]
    chatter = lex.rx("context.chatter")
    bare = not chatter.sub("", before) and not chatter.sub("", same_clause)
    tail = body[phrase.end : phrase.end + _CONTEXT]
    at_end = not re.sub(lex.value("border"), "", chatter.sub("", tail))
    next_gap = body[phrase.end : ceiling] if index + 1 < len(phrases) else "-"
    return _Surround(before, after, bare, at_end, next_gap)


def _stance(phrase: _Phrase, around: _Surround, asked: bool) -> Stance:
    def has(name: str, text: str) -> bool:
        return _lex().rx(f"context.{name}").search(text) is not None

    if phrase.past or has("asks", around.after) or has("not_meant", around.before):
        return "no"
    if has("by_phone", around.after) or has("why_then", around.after):
        return "no"
    # 「她说后天晚上在家」 is when somebody may come, 「师傅说后天来」 what was promised.
    if has("told_before", around.before) and not has("home", around.after):
        return "no"
    if has("avoid_before", around.before):
        return "avoid"
    if has("avoid_after", around.after) and not has("rhetorical", around.after) and phrase.kind != "asap":
        return "avoid"
    if (phrase.recur and not has("home", around.after)) or has("veto", around.after):
        return "no"
    if phrase.kind in ("anytime", "asap"):
        return "wish"
    strong = _is_strong(phrase)
    if not strong and (has("veto_weak", around.after) or has("told_weak", around.before)):
        return "no"
    if asked or phrase.kind == "offset" or (around.bare and (strong or around.at_end)):
        return "wish"
    return "wish" if has("visit_after", around.after) or has("visit_before", around.before) else "open"


def _is_strong(phrase: _Phrase) -> bool:
    """Whether the phrase names a day that cannot be in the past."""
    day = phrase.day
    if day is None:
        return False
    if day.kind == "relday":
        first: int = _lex().value("relative_days")[day.values["relday"]][0]
        return first > 0
    if day.kind == "weekday":
        shift = _lex().value("week_shift").get(day.pick("wshift", "wonly"), 0)
        return bool(shift > 0)
    return day.kind != "dayno"


def _stances(body: str, phrases: Sequence[_Phrase], asked: bool) -> list[Stance]:
    """One stance per phrase; in a list (周六上午 周日下午都行) the words behind the last one count for all."""
    stances: list[Stance] = []
    following: Stance = "open"
    for index in reversed(range(len(phrases))):
        around = _surround(body, phrases, index)
        stance = _stance(phrases[index], around, asked)
        if stance == "open" and _is_list_gap(around.next_gap):
            stance = following
        stances.append(stance)
        following = stance
    return stances[::-1]


def _is_list_gap(gap: str) -> bool:
    return not gap.strip() or _lex().rx("range_join").match(gap) is not None


# --- days ----------------------------------------------------------------------------------------------------------


def _day_options(token: _Token, today: date) -> list[_Span]:
    """The days a token can mean, nearest first; the caller takes the first that is not over."""
    match token.kind:
        case "relday":
            first, last = _lex().value("relative_days")[token.values["relday"]]
            return [(today + timedelta(days=first), today + timedelta(days=last))]
        case "weekday":
            return _weekday_options(token, today)
        case "day_offset":
            days = _number(token.pick("dn", "dn2")) * _unit_minutes(token.pick("dunit", "dunit2")) // _MINUTES_PER_DAY
            return [(today + timedelta(days=days),) * 2]
        case "month_edge":
            return _month_edge(token, today)
        case _:
            return [(day, day) for day in _date_options(token, today)]


def _weekday_options(token: _Token, today: date) -> list[_Span]:
    lex = _lex()
    monday = today - timedelta(days=today.weekday())
    word = token.pick("wshift", "wonly")
    shift: int = lex.value("week_shift").get(word, 0)
    if "wonly" in token.values:
        first = monday + timedelta(weeks=shift)
        return [(first, first + timedelta(days=6))]
    weekdays: dict[str, int] = lex.value("weekdays")
    start = weekdays[token.values["wa"]]
    end = 6 if token.values["wa"] == lex.value("weekend") else start
    if "wb" in token.values:
        other = weekdays[token.values["wb"]]
        ranged = lex.rx("strict_range").match(token.values.get("wsep", "")) is not None
        end = other if other == start + 1 or (ranged and other > start) else start
    span = (monday + timedelta(weeks=shift, days=start), monday + timedelta(weeks=shift, days=end))
    if word:
        return [span]
    return [span, (span[0] + timedelta(weeks=1), span[1] + timedelta(weeks=1))]


def _month_edge(token: _Token, today: date) -> list[_Span]:
    shift = 1 if token.pick("eshift", "eshift2") == _next_word() else 0
    first = _add_months(today.replace(day=1), shift)
    last = first.replace(day=calendar.monthrange(first.year, first.month)[1])
    if token.pick("edge"):
        return [(last, last)]
    return [(first, first)] if token.pick("edge2") else [(first, last)]


def _next_word() -> str:
    word: str = _lex().value("next_word")
    return word


def _date_options(token: _Token, today: date) -> Iterator[date]:
    day = _number(token.pick("yday", "mday", "sday", "mday2", "dd"))
    if token.kind == "ymd":
        candidates = [(int(token.values["y"]), _number(token.values["ymon"]))]
    elif token.kind == "dayno" or "mday2" in token.values:
        shift = 1 if token.pick("mshift") == _next_word() else 0
        first = _add_months(today.replace(day=1), shift)
        following = _add_months(first, 1)
        candidates = [(first.year, first.month), (following.year, following.month)][
            : 1 if "mday2" in token.values else 2
        ]
    else:
        month = _number(token.pick("mmon", "smon"))
        candidates = [(today.year, month), (today.year + 1, month)]
    for year, month in candidates:
        found = _safe_date(year, month, day)
        # 3月5日 said in June is over; 1月3日 said in December is next month.
        if found and (found >= today or token.kind != "md") and found - today < timedelta(days=366) - _HALF_YEAR / 2:
            yield found


def _safe_date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _add_months(first: date, months: int) -> date:
    index = first.year * _MONTHS_PER_YEAR + first.month - 1 + months
    return date(index // _MONTHS_PER_YEAR, index % _MONTHS_PER_YEAR + 1, 1)


def _number(word: str) -> int:
    return read_number(word.replace(*_lex().value("twenty"))) or 0


def _unit_minutes(word: str) -> int:
    minutes: int = _lex().value("unit_minutes").get(word, 0)
    return minutes


# --- clocks --------------------------------------------------------------------------------------------------------


def _clock_readings(clock: _Token, half: str) -> list[_Minutes]:
    """The minutes of day a clock can mean, each with the end of a compact range (8-9点) or the same minute."""
    if ranged := clock.pick("r1", "t1"):
        starts = _hours(_number(ranged), 0, half)
        end_minute = 30 if clock.pick("r2half") else 0
        ends = (_range_end(start, _number(clock.pick("r2", "t2")), end_minute) for start in starts)
        return [(start, end) for start, end in zip(starts, ends, strict=True) if end is not None]
    hour, minute = _hour_and_minute(clock)
    return [(start, start) for start in _hours(hour, minute, half)]


def _hour_and_minute(clock: _Token) -> tuple[int, int]:
    if "one" in clock.values or "one2" in clock.values:
        return 1, 30 if clock.pick("onehalf", "onehalf2") else 0
    hour = _number(clock.pick("c1h", "c2h", "c3h"))
    if clock.pick("c2half"):
        return hour, 30
    if quarter := clock.pick("c2q"):
        return hour, 15 * _number(quarter)
    return hour, _number(clock.pick("c1m", "c2m", "c3m"))


def _hours(hour: int, minute: int, half: str) -> list[int]:
    if hour > 24 or minute > 59:
        return []
    at = hour * 60 + minute
    later = at + _NOON * 60
    if hour > _NOON or hour == 0 or half == "am":
        return [at]
    if half in ("pm", "noon"):
        return [later if hour < _NOON and not (half == "noon" and hour >= 11) else at]
    if half == "night":
        return [at + _MINUTES_PER_DAY if hour <= _LAST_NIGHT_HOUR else later]
    lex = _lex()
    low, high = _minutes(lex.value("sensible.from")), _minutes(lex.value("sensible.to")) - lex.value("point_minutes")
    return [value for value in (at, later) if low <= value <= high]


def _range_end(start: int, hour: int, minute: int) -> int | None:
    """The first moment after `start` that a twelve-hour clock shows as hour:minute."""
    at = hour * 60 + minute
    options = [at] if hour > _NOON else [at, at + _NOON * 60, at + _MINUTES_PER_DAY]
    return next((value for value in options if start < value <= start + _NOON * 60), None)


def _day_minutes(phrase: _Phrase) -> list[_Minutes]:
    """Every stretch of a day the phrase can mean, likeliest first."""
    part = _part_of(phrase.part) if phrase.part else None
    if phrase.clock is None:
        return [_part_minutes(phrase, part)]
    found: list[_Minutes] = []
    for start, end in _clock_readings(phrase.clock, part.half if part else ""):
        if phrase.last_clock:
            hour, minute = _hour_and_minute(phrase.last_clock)
            closing = _range_end(start, hour, minute)
            if closing is not None:
                found.append((start, closing))
        elif phrase.last_part:
            found.append((start, max(_part_of(phrase.last_part).end, start + 60)))
        else:
            found.append(_bounded(start, end, part, phrase.bound))
    return found


def _part_minutes(phrase: _Phrase, part: _Part | None) -> _Minutes:
    lex = _lex()
    day_start, day_end = _minutes(lex.value("whole_day.from")), _minutes(lex.value("whole_day.to"))
    if part is None:
        return day_start, day_end
    if phrase.last_part:
        return part.start, max(_part_of(phrase.last_part).end, part.end)
    if phrase.bound == "after":
        return part.end, max(_workday_end(part.end), part.end + 60)
    if phrase.bound == "before":
        return (day_start, part.start) if part.start > day_start else (0, part.start)
    return part.start, part.end


def _workday_end(start: int) -> int:
    lex = _lex()
    if start < _minutes(lex.value("late_start")):
        return _minutes(lex.value("workday_end"))
    return _minutes(lex.value("whole_day.to"))


def _bounded(start: int, end: int, part: _Part | None, bound: str) -> _Minutes:
    lex = _lex()
    if bound == "after":
        closing = part.end if part and part.end - start >= 60 else _workday_end(start)
        return start, closing if closing > start else start + 60
    if bound == "before":
        opening = part.opens if part else _minutes(lex.value("whole_day.from"))
        return (opening if opening < start else start - 60), start
    if end > start:
        return start, end
    if bound == "about":
        return start - lex.value("about_minutes"), start + lex.value("about_minutes")
    return start, start + lex.value("point_minutes")


# --- windows -------------------------------------------------------------------------------------------------------


def parse_windows(text: str, now: datetime, *, asked: bool = False, day: date | None = None) -> list[Window]:
    """Every wish and every time to avoid, in text order, none of them over.

    asked: the text answers a question about the time, so a bare "3点" counts.
    day:   the day a clock without one belongs to, such as the day of the window that was proposed.
    """
    # 「今天就是周六」 says what day it is and wishes for none.
    body = _lex().rx("today_is").sub(lambda said: "，" * len(said.group()), _prepare(text))
    phrases = [one for one in _phrases(body) if not _begs_patience(one, body)]
    found: list[Window] = []
    said_until = 0
    for phrase, stance in zip(phrases, _stances(body, phrases, asked), strict=True):
        if stance not in ("wish", "avoid"):
            continue
        window = _window(phrase, body, now, day)
        if window:
            if stance == "wish":
                found = _not_retracted(found, body[said_until : phrase.start])
            said_until = phrase.end
            found.append(Window(window.start, window.end, window.label, avoid=stance == "avoid"))
            # 「明天上午吧 十点以后」: hours behind a day are of that day.
            day = window.start.date() if phrase.day and not day else day
    return found


def _not_retracted(found: list[Window], between: str) -> list[Window]:
    """「约下午吧 等下 晚上七点以后」: what was wished before the word that takes it back is wished no longer."""
    taken_back = _lex().rx("context.retracts").search(between) is not None
    return [one for one in found if one.avoid] if taken_back else found


def _begs_patience(phrase: _Phrase, body: str) -> bool:
    """「使劲敲 再等五分钟」 to somebody who stands at the door: no other time for the visit."""
    if phrase.kind != "offset" or phrase.own is None:
        return False
    minutes = _unit_minutes(phrase.own.pick("ounit", "ounit3")) == 1
    lex = _lex()
    said = body[max(phrase.start - 1, 0) : phrase.end].strip()
    return minutes and bool(lex.rx("context.patience").search(said) or lex.rx("context.at_door").search(body))


def parse_window(text: str, now: datetime, *, asked: bool = False, day: date | None = None) -> Window | None:
    """The first visit wish in the text, else the first time to avoid; see parse_windows."""
    found = parse_windows(text, now, asked=asked, day=day)
    # A named time says more than "尽快" or "随时" beside it.
    named = [window for window in found if window.end is not None or window.avoid]
    return first_wish(named) or first_wish(found) or next(iter(found), None)


def first_wish(windows: Sequence[Window]) -> Window | None:
    """The first time somebody wants; of a day and hours of that day (「明天可以，最好晚上六点以后」) the hours."""
    wishes = [
        window for place, window in enumerate(windows) if not (window.avoid or _excluded(window, windows[place:]))
    ]
    first = next(iter(wishes), None)
    if first is None or first.end is None:
        return first
    for one in wishes[1:]:
        end = min(one.end or one.start, first.end)
        if first.start <= one.start < end and (one.start, end) != (first.start, first.end):
            return Window(one.start, end, one.label)
    return first


def _excluded(wish: Window, later: Sequence[Window]) -> bool:
    """「下午吧 哎下午我要带孩子打针」: the whole of it is said to be impossible afterwards."""
    return wish.end is not None and any(
        one.avoid and one.start <= wish.start and (one.end is None or one.end >= wish.end) for one in later
    )


def _window(phrase: _Phrase, body: str, now: datetime, day: date | None) -> Window | None:
    label = body[phrase.start : phrase.end].strip()
    if phrase.kind == "asap":
        return Window(now, None, _lex().value("asap_label"))
    if phrase.kind == "anytime":
        return Window(now, None, _lex().value("anytime_label"))
    if phrase.kind in ("offset", "within"):
        return _relative_window(phrase, now, label)
    if phrase.day and phrase.bound in ("after", "before") and not (phrase.part or phrase.clock):
        return _open_days(phrase, now, label)
    begun = None
    for first, last in _span_options(phrase, now.date(), day):
        for start_minute, end_minute in _day_minutes(phrase):
            start, end = (
                _at(_first_open_day(first, last, end_minute, now), start_minute, now),
                _at(last, end_minute, now),
            )
            point = phrase.clock and first == last and not (phrase.bound or phrase.last_clock)
            if end > now and (start >= now or not (point and _is_point(phrase))):
                window = Window(max(start, now), end, label)
                if start >= now or phrase.bound != "after" or not phrase.clock:
                    return window
                # 「七点以后」, said at four in the afternoon, is seven in the evening.
                begun = begun or window
    return begun


def _first_open_day(first: date, last: date, end_minute: int, now: datetime) -> date:
    """周一到周五晚上, said on Thursday afternoon, begins this evening."""
    today = now.date() if _at(now.date(), end_minute, now) > now else now.date() + timedelta(days=1)
    return min(max(first, today), last)


def _is_point(phrase: _Phrase) -> bool:
    return phrase.clock is not None and not phrase.clock.pick("r1", "t1") and not phrase.last_part


def _at(day: date, minute: int, now: datetime) -> datetime:
    return datetime.combine(day, time.min, tzinfo=now.tzinfo) + timedelta(minutes=minute)


def _relative_window(phrase: _Phrase, now: datetime, label: str) -> Window | None:
    token = phrase.own
    if token is None:
        return None
    amount = _number(token.pick("on", "on2", "wn"))
    unit = _unit_minutes(token.pick("ounit", "ounit2", "ounit3", "ounit4", "wunit", "wunit2"))
    half = token.pick("ohalf", "ohalf2", "ohalf3", "ohalf4", "ohalf5", "whalf")
    moment = now + timedelta(minutes=amount * unit + (unit // 2 if half else 0))
    if phrase.kind == "within":
        return Window(now, moment, label)
    return Window(moment, moment + timedelta(minutes=_lex().value("point_minutes")), label)


def _open_days(phrase: _Phrase, now: datetime, label: str) -> Window | None:
    """15号以后 starts on the next day and has no end; 周五之前 ends with the day before."""
    for first, last in _span_options(phrase, now.date(), None):
        start_minute, end_minute = _part_minutes(_Phrase(0, 0), None)
        if phrase.bound == "after":
            return Window(max(_at(last + timedelta(days=1), start_minute, now), now), None, label)
        for day in (first - timedelta(days=1), first):
            if _at(day, end_minute, now) > now:
                return Window(max(now, _at(now.date(), start_minute, now)), _at(day, end_minute, now), label)
    return None


def _span_options(phrase: _Phrase, today: date, day: date | None) -> list[_Span]:
    token = phrase.day or phrase.inherits
    if token is None:
        days = [day] if day and day >= today else []
        return [(one, one) for one in [*days, today, today + timedelta(days=1)]]
    options = _day_options(token, today)
    if phrase.last_day is None:
        return options
    ends = [last for _, last in _day_options(phrase.last_day, today)]
    return [(first, next((end for end in ends if end >= first), last)) for first, last in options]


# --- telling a window ----------------------------------------------------------------------------------------------


def format_window(window: Window, now: datetime) -> str:
    """A short Chinese label with clock times: 今天15:00–16:00, 明天(6月13日)14:00–17:00."""
    form = _lex().value("format")
    start = window.start.astimezone(now.tzinfo)
    if window.end is None:
        open_day = start > now
        text = form["open"].format(day=_day_label(start, now), start=f"{start:%H:%M}") if open_day else window.label
    else:
        end = window.end.astimezone(now.tzinfo)
        times = {"start": f"{start:%H:%M}", "end": f"{end:%H:%M}"}
        if start.date() == end.date():
            text = form["times"].format(day=_day_label(start, now), **times)
        else:
            text = form["days"].format(first=_day_label(start, now), last=_day_label(end, now), **times)
    return form["avoid"].format(window=text) if window.avoid else text


def _day_label(moment: datetime, now: datetime) -> str:
    lex = _lex()
    form = lex.value("format")
    names = {"year": moment.year, "month": moment.month, "day": moment.day}
    names["weekday"] = lex.value("weekday_names")[moment.weekday()]
    offset = (moment.date() - now.date()).days
    if offset == 0:
        today: str = form["relative"][0]
        return today
    if offset in form["relative"]:
        return str(form["near"].format(name=form["relative"][offset], date=form["date"].format(**names)))
    return str(form["date_weekday" if moment.year == now.year else "date_year"].format(**names))


# --- hold and wake dates -------------------------------------------------------------------------------------------


def parse_until(text: str, now: datetime) -> datetime | None:
    """The moment a paused job wakes: 等配件 周五到, 挂起到6月20日, 挂3天. A day alone means its morning."""
    body = _prepare(text)
    for phrase in _phrases(body):
        if phrase.past or phrase.recur or phrase.kind in ("asap", "anytime", "within"):
            continue
        window = _until_window(phrase, body, now)
        if window and window.start > now:
            return window.start
    return _until_duration(body, now)


def _until_window(phrase: _Phrase, body: str, now: datetime) -> Window | None:
    if phrase.day and not (phrase.part or phrase.clock):
        wake = _minutes(_lex().value("wake_at"))
        for first, _ in _span_options(phrase, now.date(), None):
            if _at(first, wake, now) > now:
                return Window(_at(first, wake, now), None, "")
        return None
    phrase.bound = ""
    return _window(phrase, body, now, None)


def _until_duration(body: str, now: datetime) -> datetime | None:
    found = _lex().rx("context.until_duration").search(body)
    if not found:
        return None
    unit = _unit_minutes(found.group("uunit"))
    half = found.group("uhalf") or found.group("uhalf2")
    minutes = _number(found.group("un") or "") * unit + (unit // 2 if half else 0)
    return now + timedelta(minutes=minutes) if minutes else None


# --- periods -------------------------------------------------------------------------------------------------------


def parse_period(text: str, now: datetime) -> Period | None:
    """The period a supervisor asks about, in whole days; a running one ends at its calendar end."""
    body = readable(text)
    today = now.date()
    for reader in (_fixed_period, _recent_days, _date_period, _calendar_period, _weekday_period):
        found = reader(body, today)
        if found:
            first, after, label = found
            return Period(_at(first, 0, now), _at(after, 0, now), label)
    return None


_Found = tuple[date, date, str]


def _fixed_period(body: str, today: date) -> _Found | None:
    for index, rule in enumerate(_lex().value("periods")):
        if _lex().rx(f"periods.{index}.pattern").search(body):
            first, after = _unit_span(rule["unit"], rule["back"], today)
            return first, after, rule["label"]
    return None


def _unit_span(unit: str, back: int, today: date) -> _Span:
    if unit == "day":
        return today - timedelta(days=back), today - timedelta(days=back - 1)
    if unit == "week":
        monday = today - timedelta(days=today.weekday() + _DAYS_PER_WEEK * back)
        return monday, monday + timedelta(weeks=1)
    size = {"month": 1, "quarter": 3, "half": 6, "year": 12}[unit]
    month = (today.month - 1) // size * size + 1
    first = _add_months(date(today.year, month, 1), -size * back)
    return first, _add_months(first, size)


def _period_match(name: str, body: str) -> re.Match[str] | None:
    return _lex().rx(f"period_patterns.{name}").search(body)


def _recent_days(body: str, today: date) -> _Found | None:
    found = _period_match("last_n", body)
    if not found:
        return None
    unit = _unit_minutes(found["unit"]) // _MINUTES_PER_DAY
    count = _number(found["n"])
    days = min(count * unit if count else unit // 2, 3660)
    if days < 1:
        return None
    label = _lex().value("period_labels.last_n").format(n=days)
    return today - timedelta(days=days - 1), today + timedelta(days=1), label


def _date_period(body: str, today: date) -> _Found | None:
    labels = _lex().value("period_labels")
    if span := _period_match("date_range", body):
        last_month = _number(span["m2"] or span["m1"])
        first = _recent_date(span["y1"], _number(span["m1"]), _number(span["d1"]), today)
        last = _recent_date(span["y2"] or span["y1"], last_month, _number(span["d2"]), today)
        if first and last and first <= last:
            names = [labels["day"].format(month=day.month, day=day.day) for day in (first, last)]
            return first, last + timedelta(days=1), labels["span"].format(first=names[0], last=names[1])
    if one := _period_match("date", body):
        day = _recent_date(one["y"], _number(one["m"]), _number(one["d"] or one["d3"]), today)
        if day:
            return day, day + timedelta(days=1), labels["day"].format(month=day.month, day=day.day)
    return None


def _recent_date(year: str | None, month: int, day: int, today: date) -> date | None:
    """A date without a year is the latest one that has begun."""
    if year:
        return _safe_date(int(year), month, day)
    this_year = _safe_date(today.year, month, day)
    return this_year if this_year is None or this_year <= today else _safe_date(today.year - 1, month, day)


def _calendar_period(body: str, today: date) -> _Found | None:
    labels = _lex().value("period_labels")
    if found := _period_match("half", body):
        second = found["h"] != _lex().value("first_half")
        first = date(_year(found, today), 7 if second else 1, 1)
        label = labels["second_half" if second else "first_half"].format(year=first.year)
        return first, _add_months(first, 6), label
    if found := _period_match("quarter", body):
        quarter = _number(found["q"] or found["q2"])
        first = date(_year(found, today), 3 * quarter - 2, 1)
        if first > today and not (found["y"] or found["rel"]):
            first = first.replace(year=first.year - 1)
        return first, _add_months(first, 3), labels["quarter"].format(year=first.year, quarter=quarter)
    if found := _period_match("month_range", body):
        first, last = date(today.year, _number(found["a"]), 1), date(today.year, _number(found["b"]), 1)
        if first <= last and first <= today:
            names = [labels["month"].format(year=day.year, month=day.month) for day in (first, last)]
            return first, _add_months(last, 1), labels["span"].format(first=names[0], last=names[1])
    return _month_or_year(body, today)


def _month_or_year(body: str, today: date) -> _Found | None:
    labels = _lex().value("period_labels")
    if found := _period_match("month", body):
        first = date(_year(found, today), _number(found["m"]), 1)
        if first > today and not (found["y"] or found["rel"]):
            first = first.replace(year=first.year - 1)
        return first, _add_months(first, 1), labels["month"].format(year=first.year, month=first.month)
    if found := _period_match("year", body):
        first = date(_year(found, today), 1, 1)
        return first, _add_months(first, _MONTHS_PER_YEAR), labels["year"].format(year=first.year)
    return None


def _year(found: re.Match[str], today: date) -> int:
    if found["y"]:
        return int(found["y"])
    shift: int = _lex().value("year_shift").get(found["rel"] or "", 0)
    return today.year + shift


def _weekday_period(body: str, today: date) -> _Found | None:
    found = _period_match("last_weekday", body)
    if not found:
        return None
    lex = _lex()
    monday = today - timedelta(days=today.weekday())
    shift: int = lex.value("week_shift").get(found["shift"] or "", 0)
    day = monday + timedelta(weeks=shift, days=lex.value("weekdays")[found["wd"]])
    if not found["shift"] and day > today:
        day -= timedelta(weeks=1)
    return day, day + timedelta(days=1), lex.value("period_labels.day").format(month=day.month, day=day.day)
