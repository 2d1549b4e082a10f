"""Emergency detection: the deterministic check every message passes before any model, form or login.

What is dangerous, and what only looks so, is data (data/catalog/emergency.yml); this module evaluates it.
Rules and bias (miss nothing, a false alarm costs a phone call): domain.md §3.1-§3.4.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from nlu.normalize import Normalized, normalize

_DATA = Path(__file__).resolve().parents[1] / "data"
RULES_PATH = _DATA / "catalog" / "emergency.yml"
MESSAGES_PATH = _DATA / "messages" / "emergency.yml"

Verdict = Literal["alarm", "check", "advise"]
_STRENGTH: dict[Verdict, int] = {"alarm": 0, "check": 1, "advise": 2}

# Contexts are windows, not whole messages, so that a hostile 20,000-character message still costs linear time.
_CONTEXT_CHARS = 40
_NEAR_CHARS = 12
# Panic tells thing, place and person in any order, over two or three short sentences.
_BESIDE_CHARS = 30
# Same length as what it hides, outside every word list, so offsets stay and nothing matches across it by accident.
_MASK = "\ue000"
_BREAK = "；"
_GUARD_CONDITIONS = ("before", "after", "trigger", "around", "unless", "whole", "whole_unless")
_CLAUSES = re.compile(r"[\s，。！？；,.!?;]+")
_CLAUSE_END = re.compile(r"[，。！？；\n]")
_SENTENCE_END = re.compile(r"[。！？\n]")
# How an item of a word list begins, when that is plain to see.
_LOOKBEHIND = re.compile(r"^(?:\(\?<[!=][^()]*\))+")
_GROUP = re.compile(r"\([^()]*\)")
_LIST_NAME = re.compile(r"\{([a-z_]+)\}(?![?*{])")
_PLAIN_START = re.compile(r"(?:[\u3400-\u9fff\U00020000-\U0003ffff0-9a-z]|\[[\u3400-\u9fff0-9]+\])(?![?*{+])")


Fear = Callable[[str], Mapping[str, float]]
"""How likely a text tells of each kind of danger, by the trained model; what is left to 1 says that there is none. Nothing at all
while there is no model."""

SURE, ASK = 0.4, 0.15
"""From `SURE` on a danger that no word told of is an alarm, from `ASK` on it is asked about."""
SURE_TOLD, ASK_TOLD = 0.3, 0.05
"""The same for one that words tell of."""
SURELY_TALK = 0.8
FEARED = 0.01
"""A grave category is asked about from so much fear on: what is called a missing person with less is a name or a key."""
BELIEVED_CHARS = 10
"""In so short a message the model has nothing but the words themselves, which are believed."""
LIKELIEST, HARDLY_THIS, NOT_THIS = 0.5, 0.05, 0.01
"""An alarm goes out as another kind than its words say where the model finds that one likelier than `LIKELIEST` and the one of
the words less likely than `HARDLY_THIS`; than `NOT_THIS` where the other is the lesser danger."""
_LEAST = 1e-4


@dataclass(frozen=True, slots=True)
class Emergency:
    """What was found, how sure we are, and which question settles the doubt."""

    kind: str
    verdict: Verdict
    code: str
    level: str
    trigger: str
    """The resident's own words that matched."""
    guard: str = ""
    question: str = ""
    """Key for `question_text`; empty when the verdict is alarm."""
    also: tuple[Emergency, ...] = ()
    """Other kinds in the same message, most dangerous first."""
    loose: bool = False
    """These words are often harmless, so that they weigh less beside what the model says."""
    believed: bool = False
    """These words stand, whatever the model says."""
    firm: bool = False
    """Only asked about, whatever the model fears: the sender asks himself whether it is so."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """Words that mean danger (`alarm`), or that deserve one question (`check`)."""

    pattern: re.Pattern[str]
    verdict: Verdict
    guard: str
    question: str
    code: str
    level: str
    unless: re.Pattern[str] | None
    soften: re.Pattern[str] | None
    loose: bool = False
    believed: bool = False
    firm: bool = False
    beside: tuple[re.Pattern[str], ...] = ()
    """What must also be said nearby, in whatever order; `unless` then looks as far."""


@dataclass(frozen=True, slots=True)
class Refinement:
    """A more exact category code (or level) when the clause says more."""

    when: re.Pattern[str]
    code: str
    level: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One playbook: its triggers and the ticket it makes."""

    name: str
    code: str
    level: str
    triggers: tuple[Trigger, ...]
    refinements: tuple[Refinement, ...]
    yields_to: frozenset[str]
    believed: bool
    """Its words are an alarm whatever a model says."""
    harmless: re.Pattern[str] | None
    """In such words a category of this kind alone, hardly feared, is no doubt."""

    @property
    def codes(self) -> frozenset[str]:
        """Every category a ticket of this kind can have."""
        more = {*(one.code for one in self.triggers), *(one.code for one in self.refinements)}
        return frozenset({self.code, *more} - {""})


@dataclass(frozen=True, slots=True)
class Guard:
    """A reason to doubt one matched trigger; every condition given must hold."""

    name: str
    outcome: Verdict | None
    question: str
    before: re.Pattern[str] | None
    after: re.Pattern[str] | None
    trigger: re.Pattern[str] | None
    around: re.Pattern[str] | None
    unless: re.Pattern[str] | None
    whole: re.Pattern[str] | None = None
    whole_unless: re.Pattern[str] | None = None
    calms: bool = False
    firm: bool = False

    def applies_to(self, text: str) -> bool:
        """Whether the message as a whole leaves room for this doubt; asked once per message, so cost stays linear."""
        if self.whole is not None and not self.whole.search(text):
            return False
        return self.whole_unless is None or not self.whole_unless.search(text)

    def reassures(self, text: str) -> bool:
        """Whether a message is told to be harmless as a whole, whatever a danger might be read from (「烟感没电池了」)."""
        if not self.calms or not self.applies_to(text):
            return False
        return self.trigger is None or bool(self.trigger.search(text))

    def fits(self, context: _Context) -> bool:
        wanted = (
            (self.before, context.before),
            (self.after, context.after),
            (self.trigger, context.trigger),
            (self.around, context.sentence),
        )
        if any(pattern is not None and not pattern.search(text) for pattern, text in wanted):
            return False
        return self.unless is None or not self.unless.search(context.sentence)


@dataclass(frozen=True, slots=True)
class Weighing:
    """What words and the trained model say together: a logistic sum, fitted by `benchmarks/danger_weights.py`."""

    start: float
    any_danger: float
    this_kind: float
    words: Mapping[str, float]

    def chance(self, dangers: Mapping[str, float], kind: str, hit: Emergency | None = None) -> float:
        """How likely a message tells of this kind of danger now: `dangers` by the model, `hit` by words, if there was one."""
        score = (
            self.start + self.any_danger * odds(sum(dangers.values())) + self.this_kind * odds(dangers.get(kind, 0.0))
        )
        if hit is not None:
            score += self.words[words_of(hit)]
        return 1 / (1 + math.exp(-score))


def words_of(hit: Emergency) -> str:
    """What sort of words these are, as `Weighing.words` names them."""
    return f"loose_{hit.verdict}" if hit.loose else hit.verdict


def odds(chance: float) -> float:
    """Logarithm of the odds, never without bounds."""
    return math.log((chance + _LEAST) / (max(1 - chance, 0.0) + _LEAST))


@dataclass(frozen=True, slots=True)
class EmergencyRules:
    """The compiled rule file. `kinds` is ordered from most to least dangerous."""

    version: str
    kinds: tuple[Kind, ...]
    guards: tuple[Guard, ...]
    mask: re.Pattern[str]
    breaks: re.Pattern[str]
    staff_test: re.Pattern[str]
    place_marks: re.Pattern[str]
    weighing: Weighing


def load_rules(path: Path = RULES_PATH) -> EmergencyRules:
    """Compile a rule file; raises KeyError, ValueError or re.error when it is malformed."""
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    compiler = _Compiler(raw["words"])
    return EmergencyRules(
        version=str(raw["version"]),
        kinds=tuple(compiler.kind(name, item) for name, item in raw["kinds"].items()),
        guards=tuple(compiler.guard(name, item) for name, item in raw["guards"].items()),
        mask=compiler.any_of(raw["not_triggers"]),
        breaks=compiler.any_of(raw["clause_words"]),
        staff_test=compiler.regex(raw["staff_test"]),
        place_marks=compiler.regex(raw["place_marks"]),
        weighing=Weighing(**raw["weighing"]),
    )


class _Compiler:
    """Turns the file's patterns, with {word_list} names in them, into compiled rules."""

    def __init__(self, words: Mapping[str, list[str]]) -> None:
        self._words: dict[str, str] = {}
        self._first: dict[str, frozenset[str] | None] = {}
        for name, items in words.items():
            self._first[name] = self._first_of_all(items)
            self._words[name] = self._quick(name, "|".join(self._expand(item) for item in items))

    def _quick(self, name: str, choice: str) -> str:
        """A long list behind a look at its first character: most positions of a message are settled by that."""
        first = self._first[name]
        return f"(?=[{''.join(sorted(first))}])(?:{choice})" if first else choice

    def _first_of_all(self, items: list[str]) -> frozenset[str] | None:
        found: set[str] = set()
        for item in items:
            first = self._first_of(_LOOKBEHIND.sub("", item))
            if first is None:
                return None
            found |= first
        return frozenset(found)

    def _first_of(self, item: str) -> frozenset[str] | None:
        """What the item can begin with; None when that is not plain to see."""
        if "|" in _GROUP.sub("", item):
            return None
        if match := _LIST_NAME.match(item):
            return self._first.get(match.group(1))
        if match := _PLAIN_START.match(item):
            return frozenset(match.group().strip("[]"))
        return None

    def _expand(self, pattern: str) -> str:
        return re.sub(r"\{([a-z_]+)\}", lambda m: f"(?:{self._words[m.group(1)]})", pattern)

    def regex(self, pattern: str) -> re.Pattern[str]:
        return re.compile(self._expand(pattern), re.IGNORECASE)

    def optional(self, pattern: str | None) -> re.Pattern[str] | None:
        return None if pattern is None else self.regex(pattern)

    def any_of(self, patterns: list[str]) -> re.Pattern[str]:
        return self.regex("|".join(patterns))

    def kind(self, name: str, item: Mapping[str, Any]) -> Kind:
        refinements = (
            Refinement(self.regex(r["when"]), r.get("code", ""), r.get("level", "")) for r in item.get("refine", ())
        )
        return Kind(
            name=name,
            code=item["code"],
            level=item["level"],
            triggers=tuple(self._triggers(name, item)),
            refinements=tuple(refinements),
            yields_to=frozenset(item.get("yields_to", ())),
            believed=bool(item.get("believed")),
            harmless=self.optional(item.get("harmless")),
        )

    def _triggers(self, kind: str, item: Mapping[str, Any]) -> Iterator[Trigger]:
        for section, verdict in (("alarm", "alarm"), ("check", "check")):
            for group in item.get(section, ()):
                yield self._trigger(kind, group if isinstance(group, Mapping) else {"any": [group]}, verdict)

    def _trigger(self, kind: str, item: Mapping[str, Any], verdict: str) -> Trigger:
        return Trigger(
            pattern=self.any_of(item["any"]),
            verdict="check" if verdict == "check" else "alarm",
            guard=item.get("guard", ""),
            question=f"{kind}.{item.get('question', 'default')}",
            code=item.get("code", ""),
            level=item.get("level", ""),
            unless=self.optional(item.get("unless")),
            soften=self.optional(item.get("soften")),
            loose=bool(item.get("loose")),
            believed=bool(item.get("believed")),
            firm=bool(item.get("firm")),
            beside=tuple(self.regex(pattern) for pattern in item.get("with", ())),
        )

    def guard(self, name: str, item: Mapping[str, Any]) -> Guard:
        outcome = item["outcome"]
        if outcome not in (None, "check", "advise"):
            raise ValueError(f"guard {name}: outcome must be null, check or advise, not {outcome!r}")
        parts = {key: self.optional(item.get(key)) for key in _GUARD_CONDITIONS}
        # The part after a double underscore only tells variants of one guard apart.
        question, calms, firm = item.get("question", ""), item.get("calms", False), item.get("firm", False)
        return Guard(name=name.split("__")[0], outcome=outcome, question=question, calms=calms, firm=firm, **parts)


@cache
def _default_rules() -> EmergencyRules:
    return load_rules()


def detect(text: str, rules: EmergencyRules | None = None, *, fear: Fear | None = None) -> Emergency | None:
    """The most dangerous thing one message says in words, or None. Never raises, whatever the text. `fear`, if there is a model,
    weighs them: it may make an alarm of a doubt, ask about an alarm, call both off, or take them for another kind."""
    rules = rules if rules is not None else _default_rules()
    found = told_by_words(text, rules)
    if found and fear is not None and len(text.strip()) > BELIEVED_CHARS and (dangers := fear(text)):
        found = _weighed(found, dangers, rules)
    if not found:
        return None
    main = replace(found[0], also=tuple(found[1:]))
    if not main.guard and rules.staff_test.search(normalize(text).text):
        # Whether the sender may run a test is the caller's knowledge; the verdict stands until it says so.
        return replace(main, guard="staff_test")
    return main


def told_by_words(text: str, rules: EmergencyRules | None = None) -> list[Emergency]:
    """The strongest hit of every kind whose words the message holds, surest and gravest first."""
    rules = rules if rules is not None else _default_rules()
    message = _Message.read(normalize(text), rules)
    return _in_order([hit for kind in rules.kinds if (hit := _strongest(kind, message))], rules)


def _in_order(found: list[Emergency], rules: EmergencyRules) -> list[Emergency]:
    return sorted(_without_yielding(found, rules), key=lambda hit: (_STRENGTH[hit.verdict], hit.level))


def _weighed(found: list[Emergency], dangers: Mapping[str, float], rules: EmergencyRules) -> list[Emergency]:
    sure = {hit.kind for hit in found if dangers.get(hit.kind, 0.0) > LIKELIEST}
    # What the words tell of for sure makes no alarm of a doubt about another kind (「我妈一个人在家 敲门不开」 is no known illness).
    kept = {hit.kind for hit in found if sure and hit.verdict == "check" and dangers.get(hit.kind, 0.0) < HARDLY_THIS}
    weighed = [hit if hit.believed or hit.kind in kept else _together(hit, dangers, rules.weighing) for hit in found]
    left = _in_order([hit for hit in weighed if hit is not None], rules)
    return _of_likely_kind(left, dangers, rules) if left and left[0].verdict == "alarm" else left


def _together(hit: Emergency, dangers: Mapping[str, float], weighing: Weighing) -> Emergency | None:
    """What the words and the model make of one danger together; None if it is none. Advice does no harm and stays, and so does
    the question to who asks himself (「听说8栋着火了真的假的」)."""
    if hit.firm:
        return hit
    chance = weighing.chance(dangers, hit.kind, hit)
    if chance >= SURE_TOLD:
        return replace(hit, verdict="alarm", question="")
    if hit.verdict == "advise":
        return hit
    if chance < ASK_TOLD:
        return None
    if hit.verdict == "alarm":
        return replace(hit, verdict="check", guard="model", question=f"{hit.kind}.default")
    return hit


def _of_likely_kind(found: list[Emergency], dangers: Mapping[str, float], rules: EmergencyRules) -> list[Emergency]:
    """An alarm of another kind before them, where the model knows better what the words of the first tell of (a tap that hisses
    beside the stove is no gas)."""
    first, kinds = found[0], {kind.name: kind for kind in rules.kinds}
    name = max(dangers, key=lambda one: dangers[one], default="")
    if first.believed or name not in kinds or dangers[name] <= LIKELIEST:
        return found
    lesser = kinds[name].level > kinds[first.kind].level
    if name == first.kind or dangers.get(first.kind, 0.0) >= (NOT_THIS if lesser else HARDLY_THIS):
        return found
    told = next((hit for hit in found if hit.kind == name), None)
    main = told or replace(first, kind=name, code=kinds[name].code, level=kinds[name].level)
    return [replace(main, verdict="alarm", question=""), *(hit for hit in found if hit is not told)]


def kind_of(name: str) -> Kind:
    """The rules of one kind of danger. Raises StopIteration for a name that is none."""
    return next(one for one in _default_rules().kinds if one.name == name)


def may_report(intent: str, confidence: float) -> bool:
    """False where the model is sure that a message reports nothing: a complaint, a question, small talk."""
    return intent == "report_repair" or confidence < SURELY_TALK


def suspect(
    dangers: Mapping[str, float],
    text: str,
    category: str = "",
    rules: EmergencyRules | None = None,
    *,
    reports: bool = True,
    grave: bool = False,
) -> Emergency | None:
    """What the trained model takes for a danger although no word told of it: `dangers` is the chance of each kind for this
    message, `category` what it takes to be broken. `reports` (`may_report`): a danger in what reports nothing is only asked
    about, and only where the chance would be an alarm. `grave`: that category is itself a danger, which is asked about however
    small the chance is, down to `FEARED` (of 71 such messages held back from training 14 told of one).

    Nothing is lost by it: it can ask or raise an alarm, never call one off (domain.md §3.1).
    """
    rules = rules if rules is not None else _default_rules()
    plain = normalize(text).text
    if not rules.place_marks.sub("", plain):
        # 「刚在 7栋302」 says nothing to be afraid of.
        return None
    name = max(dangers, key=lambda one: dangers[one], default="")
    chance = rules.weighing.chance(dangers, name) if dangers else 0.0
    kind = next((one for one in rules.kinds if one.name == name), None)
    # Who says that it is harmless is asked where the model is sure, and left alone where it only doubts.
    calmed = chance >= ASK and (_harmless_for(kind, plain) or any(guard.reassures(plain) for guard in rules.guards))
    if calmed and chance < SURE:
        return None
    if chance < (ASK if reports else SURE):
        return _of_grave(category, text, rules) if grave and sum(dangers.values()) >= FEARED else None
    assert kind is not None
    question = "" if reports and chance >= SURE and not calmed else f"{kind.name}.default"
    code = category if category in kind.codes else kind.code
    return Emergency(kind.name, "check" if question else "alarm", code, kind.level, text, "model", question)


def _of_grave(category: str, text: str, rules: EmergencyRules) -> Emergency | None:
    """The doubt about such a fault, unless the words are harmless for its kind (「有个快递放门口不见了」: nobody is lost) or say so
    themselves (a film, a cat on the ledge)."""
    plain, doubt = normalize(text).text, of_category(category, text, rules)
    kind = next((one for one in rules.kinds if doubt and one.name == doubt.kind), None)
    told_harmless = any(guard.reassures(plain) for guard in rules.guards)
    return None if told_harmless or _harmless_for(kind, plain) else doubt


def _harmless_for(kind: Kind | None, plain: str) -> bool:
    return bool(kind and kind.harmless and kind.harmless.search(plain))


def of_category(category: str, text: str, rules: EmergencyRules | None = None) -> Emergency | None:
    """The doubt about a fault whose category is itself a danger; None if tickets of no kind have that category."""
    kinds = [one for one in (rules or _default_rules()).kinds if category in one.codes]
    if not kinds:
        return None
    kind = min(kinds, key=lambda one: one.code != category)
    return Emergency(kind.name, "check", category, kind.level, text, "model", f"{kind.name}.default")


def _without_yielding(found: list[Emergency], rules: EmergencyRules) -> list[Emergency]:
    """Drop a vague kind when a more exact one at least as sure is there (help! → the lift it was shouted from)."""
    yields_to = {kind.name: kind.yields_to for kind in rules.kinds}

    def stays(hit: Emergency) -> bool:
        vague = yields_to[hit.kind]
        return not any(
            other is not hit
            and (other.kind in vague or "*" in vague)
            and _STRENGTH[other.verdict] <= _STRENGTH[hit.verdict]
            for other in found
        )

    return [hit for hit in found if stays(hit)]


@dataclass(frozen=True, slots=True)
class _Context:
    trigger: str
    before: str  # same clause, up to the trigger
    after: str  # same sentence, from the trigger on
    sentence: str
    clause: str
    near: str  # both sides, across punctuation


@dataclass(frozen=True, slots=True)
class _Message:
    """Normalised text with harmless words hidden and contrast words turned into clause borders."""

    text: str
    plain: str
    source: Normalized
    guards: tuple[Guard, ...]
    """Those the message as a whole leaves room for."""

    @classmethod
    def read(cls, source: Normalized, rules: EmergencyRules) -> _Message:
        text = rules.mask.sub(lambda m: _MASK * len(m.group()), source.text)
        text = rules.breaks.sub(lambda m: _BREAK * len(m.group()), text)
        return cls(text, source.text, source, tuple(g for g in rules.guards if g.applies_to(source.text)))

    def context(self, match: re.Match[str]) -> _Context:
        start, end = match.span()
        left = self.text[max(0, start - _CONTEXT_CHARS) : start]
        right = self.text[end : end + _CONTEXT_CHARS]
        clause_left = _tail(left, _CLAUSE_END)
        clause_right = _head(right, _CLAUSE_END)
        before, after = _tail(left, _SENTENCE_END), _head(right, _SENTENCE_END, keep_end=True)
        return _Context(
            trigger=match.group(),
            before=clause_left[len(clause_left) - self._since_break(start, len(clause_left)) :],
            after=after,
            sentence=before + match.group() + after,
            clause=clause_left + match.group() + clause_right,
            near=self.plain[max(0, start - _NEAR_CHARS) : end + _NEAR_CHARS],
        )

    def _since_break(self, start: int, limit: int) -> int:
        """How much of the left context can negate the trigger: a removed space ends it ("is he here or not  fire")."""
        breaks = self.source.breaks
        index = bisect_right(breaks, start)
        if index and breaks[index - 1] == start:
            return 0
        return min(limit, start - breaks[index - 1]) if index else limit

    def beside(self, match: re.Match[str]) -> str:
        """The wider surroundings, harmless words still hidden."""
        start, end = match.span()
        return self.text[max(0, start - _BESIDE_CHARS) : end + _BESIDE_CHARS]

    def words(self, start: int, end: int) -> str:
        """As they were written."""
        first, last = self.source.source_span(start, end)
        return self.source.original[first:last]


def _tail(text: str, border: re.Pattern[str]) -> str:
    ends = [m.end() for m in border.finditer(text)]
    return text[ends[-1] :] if ends else text


def _head(text: str, border: re.Pattern[str], *, keep_end: bool = False) -> str:
    match = border.search(text)
    if match is None:
        return text
    return text[: match.end() if keep_end else match.start()]


def _strongest(kind: Kind, message: _Message) -> Emergency | None:
    best: Emergency | None = None
    for trigger in kind.triggers:
        for match in trigger.pattern.finditer(message.text):
            hit = _judge(kind, trigger, match, message)
            if hit is not None and (best is None or _STRENGTH[hit.verdict] < _STRENGTH[best.verdict]):
                best = hit
                if hit.verdict == "alarm":
                    return hit
    return best


def _has_company(trigger: Trigger, beside: str) -> bool:
    if trigger.unless is not None and trigger.unless.search(beside):
        return False
    return all(pattern.search(beside) for pattern in trigger.beside)


def _judge(kind: Kind, trigger: Trigger, match: re.Match[str], message: _Message) -> Emergency | None:
    """One matched trigger: refuted (None), doubted (check or advise) or believed (alarm)."""
    if trigger.beside and not _has_company(trigger, message.beside(match)):
        return None
    context = message.context(match)
    if trigger.unless is not None and trigger.unless.search(context.near):
        return None
    verdict: Verdict = trigger.verdict
    name, question, firm = trigger.guard, trigger.question, trigger.firm
    if trigger.soften is not None and trigger.soften.search(context.near):
        verdict = "check"
    guard = next((g for g in message.guards if g.fits(context)), None)
    if guard is not None:
        # Doubt upon doubt: a weak trigger that a guard also refutes is not worth a question.
        if guard.outcome is None or trigger.verdict == "check":
            return None
        verdict, name, question, firm = guard.outcome, guard.name, guard.question or question, guard.firm
    code, level = _category(kind, trigger, context)
    if verdict == "alarm":
        question = ""
    words, believed = message.words(*match.span()), trigger.believed or kind.believed
    return Emergency(
        kind.name, verdict, code, level, words, name, question, loose=trigger.loose, believed=believed, firm=firm
    )


def _category(kind: Kind, trigger: Trigger, context: _Context) -> tuple[str, str]:
    code, level = trigger.code or kind.code, trigger.level or kind.level
    for refinement in kind.refinements:
        if refinement.when.search(context.clause):
            return refinement.code or code, refinement.level or level
    return code, level


@dataclass(frozen=True, slots=True)
class AdviceLine:
    """One line, and what to say instead when the number it needs is not configured; `place`: it only asks where."""

    text: str
    without: str = ""
    place: bool = False


@dataclass(frozen=True, slots=True)
class FirstAid:
    """What helps one kind of injury, and the words that tell of it."""

    when: re.Pattern[str]
    text: str


@dataclass(frozen=True, slots=True)
class OtherAdvice:
    """What is said instead to somebody to whom the usual lines do not apply (who threatens is no victim, who sees somebody on the
    roof is not the one); `when`: how a clause of theirs begins, `beside` and `unless`: words anywhere in what they say; `ask`: what
    is then asked instead of the question of the playbook; `outside`: it is surely not in the home of who tells it."""

    when: re.Pattern[str]
    lines: tuple[AdviceLine, ...]
    beside: re.Pattern[str] | None = None
    unless: re.Pattern[str] | None = None
    ask: str = ""
    outside: bool = False

    def fits(self, said: str, clauses: Sequence[str]) -> bool:
        """Whether it is for who `said` this; `clauses`: the same in pieces."""
        if not any(map(self.when.match, clauses)) or (self.beside and not self.beside.search(said)):
            return False
        return not (self.unless and self.unless.search(said))


@dataclass(frozen=True, slots=True)
class Playbook:
    """The fixed, reviewed texts of one kind of emergency."""

    kind: str
    version: str
    lines: tuple[AdviceLine, ...]
    instead: tuple[OtherAdvice, ...]
    aid: tuple[FirstAid, ...]
    ask: str
    checks: Mapping[str, str]
    worse: str
    """Said when the danger grows while it lasts; empty where nothing is left to say."""
    staff_extra: str
    must_not: tuple[str, ...]

    def advice(
        self,
        told: str = "",
        *,
        place_known: bool = False,
        of_other: bool = False,
        gas_phone: str = "",
        duty_phone: str = "",
    ) -> str:
        """The first message to whoever `told` of it: what helps this injury, and no question for a place that is known; `of_other`:
        they have said that it is not about them. Numbers that are not configured are worded around."""
        numbers = {"gas_phone": gas_phone, "duty_phone": duty_phone}
        said = normalize(told).text
        other = self.instead[0] if of_other and self.instead else self._instead(told)
        fitting = other.lines if other else self.lines
        lines = [self._render(line, numbers) for line in fitting if not (line.place and place_known)]
        lines[1:2] = next(([one.text] for one in self.aid if one.when.search(said)), lines[1:2])
        return "\n".join(filter(None, lines))

    def is_of_other(self, told: str) -> bool:
        """Whether `told` is of somebody to whom the usual lines do not apply."""
        return self._instead(told) is not None

    def _instead(self, told: str) -> OtherAdvice | None:
        said, clauses = normalize(told).text, [normalize(clause).text for clause in _CLAUSES.split(told)]
        return next((one for one in self.instead if one.fits(said, clauses)), None)

    def is_outside(self, told: str) -> bool:
        """Whether `told` is of something that is not in the teller's own home (a child found in the lobby)."""
        other = self._instead(told)
        return other is not None and other.outside

    def question(self, told: str) -> str:
        """The one question behind the advice to whoever `told` of it."""
        other = self._instead(told)
        return (other.ask if other else "") or self.ask

    @staticmethod
    def _render(line: AdviceLine, numbers: Mapping[str, str]) -> str:
        missing = any(f"{{{name}}}" in line.text and not number for name, number in numbers.items())
        return line.without if missing else line.text.format(**numbers)


@cache
def _messages(path: Path) -> tuple[dict[str, Playbook], dict[str, str]]:
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    version = str(raw["version"])
    playbooks = {kind: _playbook(kind, version, item, raw["away"]) for kind, item in raw["playbooks"].items()}
    questions = {f"common.{name}": text for name, text in raw["common"].items()}
    for kind, book in playbooks.items():
        questions.update({f"{kind}.{name}": text for name, text in book.checks.items()})
    return playbooks, questions


def _playbook(kind: str, version: str, item: Mapping[str, Any], away: Mapping[str, str]) -> Playbook:
    far = [{**away, **item["away"]}] if "away" in item else []
    return Playbook(
        kind=kind,
        version=version,
        lines=_lines(item["advice"]),
        instead=tuple(_other_advice(one) for one in (*far, *item.get("instead", ()))),
        aid=tuple(FirstAid(re.compile(one["when"]), one["text"]) for one in item.get("aid", ())),
        ask=item["ask"],
        checks=dict(item["check"]),
        worse=item.get("worse", ""),
        staff_extra=item["staff_extra"],
        must_not=tuple(item["must_not"]),
    )


def _other_advice(item: Mapping[str, Any]) -> OtherAdvice:
    beside, unless = (re.compile(item[key]) if key in item else None for key in ("with", "unless"))
    return OtherAdvice(
        re.compile(item["when"]), _lines(item["lines"]), beside, unless, item.get("ask", ""), bool(item.get("outside"))
    )


def _lines(written: Sequence[str | Mapping[str, Any]]) -> tuple[AdviceLine, ...]:
    return tuple(AdviceLine(line) if isinstance(line, str) else AdviceLine(**line) for line in written)


def playbook(kind: str, path: Path = MESSAGES_PATH) -> Playbook:
    """The texts for `Emergency.kind`; KeyError for an unknown kind."""
    return _messages(path)[0][kind]


def question_text(key: str, path: Path = MESSAGES_PATH) -> str:
    """The safety question behind `Emergency.question`; KeyError for an unknown key."""
    return _messages(path)[1][key]
