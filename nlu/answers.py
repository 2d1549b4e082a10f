"""Read free text as the answer to a question that is still open; None hands the text to the dialogue engine.

Nothing is read as satisfaction that was not said: whoever writes "修是修好了 但是还有点滴" has not accepted the work, a
bare thanks closes nothing, and five stars are counted only when somebody gave them (domain.md §7.1).
Words and patterns live in data/dict/answers.yml.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Literal

from nlu.expected_time import Window, first_wish, parse_window, parse_windows
from nlu.slots import NO_SCORES, Lexicon, Scores, find_phone, find_scores, lexicon, read_number, readable

Kind = Literal[
    "acceptance",
    "score",
    "appointment",
    "consent",
    "confirm_address",
    "detail",
    "solved",
    "safety",
    "phone",
    "choice",
]
Verdict = Literal[
    "ok",
    "not_fixed",
    "half",
    "false_completion",
    "thanks",
    "unclear",
    "given",
    "declined",
    "agree",
    "change",
    "refuse",
    "ask",
    "yes",
    "no",
    "correct",
    "profile",
    "chosen",
    "none",
]

LATER = "later"
CANCEL = "cancel"
STILL_FAULTY = "still_faulty"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the text says about the open question; fields that a kind does not use keep their defaults.

    remark: what was said beyond the verdict.   fresh: the part that reports another fault, for its own ticket.
    index:  the chosen option, counted from 0.  flags: facts that were said, true or false; silence is absence.
    """

    kind: Kind
    verdict: Verdict
    scores: Scores = NO_SCORES
    remark: str = ""
    window: Window | None = None
    phone: str | None = None
    index: int | None = None
    flags: Mapping[str, bool] = field(default_factory=dict)
    fresh: str = ""


@dataclass(frozen=True, slots=True)
class _Question:
    """An open question, and the text that may answer it."""

    body: str
    raw: str
    now: datetime
    options: tuple[str, ...]
    about: str
    day: date | None

    @property
    def clauses(self) -> list[str]:
        return _clauses(self.body)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the text opens other business or asks where the worker is."""
        return self.has("elsewhere") or self.has("chase")

    def has(self, path: str) -> bool:
        return _lex().rx(path).search(self.body) is not None


def read_answer(
    kind: Kind,
    text: str,
    now: datetime,
    *,
    options: Sequence[str] = (),
    about: str = "",
    proposed: Window | None = None,
) -> Answer | None:
    """Read `text` as the answer to a question of this kind, or None when it is about something else.

    options:  the labels offered by a `choice`.
    about:    the ticket's own symptom, so that "马桶又堵了" is told apart from a new fault.
    proposed: the window that was offered, so that "3点不行4点吧" stays on its day.
    """
    body = _fix_typos(readable(text).strip())
    day = proposed.start.astimezone(now.tzinfo).date() if proposed else None
    question = _Question(body, text, now, tuple(options), readable(about), day)
    if not body or _has("greeting", body):
        return None
    answer = _READERS[kind](question)
    if answer is None or kind not in _ADDS:
        return answer
    return replace(answer, fresh=_announced(question))


# Kinds whose readers look at the text as a whole: what is announced beside the answer ("可以 另外厨房灯坏了") is found for them.
_ADDS = frozenset({"appointment", "consent", "confirm_address", "solved", "phone"})


def _announced(question: _Question) -> str:
    """The clauses that announce another fault."""
    found = [c for c in question.clauses if _has("detail.addition", c) and _names_other_fault(c, question.about)]
    return "，".join(_lex().rx("connective_head").sub("", clause).strip() for clause in found)


def _lex() -> Lexicon:
    return lexicon("answers")


def _fix_typos(body: str) -> str:
    lex = _lex()
    for index, typo in enumerate(lex.value("typos")):
        body = lex.rx(f"typos.{index}.pattern").sub(typo["to"], body)
    return body


def _has(path: str, text: str) -> bool:
    return _lex().rx(path).search(text) is not None


def _made_of(text: str, words: str) -> bool:
    """Whether nothing but these words (and punctuation) stands in the text; linear, unlike a starred pattern."""
    return not re.sub(r"\W", "", _lex().rx(words).sub("", text))


def _only(text: str, head: str, words: str) -> bool:
    return _has(head, text) and _made_of(text, words)


def _clauses(body: str) -> list[str]:
    """Statements of the text, also cut before but-words, each with its question mark."""
    lex = _lex()
    found = []
    for piece in lex.rx("clause").findall(body):
        found += [part.strip() for part in lex.rx("connective").split(piece)]
    clauses: list[str] = []
    for clause in filter(None, found):
        # A but-word that stands alone ("对了 楼道灯也不亮") opens the next clause.
        lone = bool(clauses) and _has("connective_lone", clauses[-1])
        clauses[-1:] = [clauses[-1] + clause] if lone else [*clauses[-1:], clause]
    return clauses


# --- acceptance ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Signals:
    """What one clause says about the repair."""

    ok: bool = False
    praise: bool = False
    bad: bool = False
    relapse: bool = False
    half: bool = False
    absent: bool = False
    fresh: bool = False
    again: bool = False


def _acceptance(question: _Question) -> Answer | None:
    option, rest = _option(question.body)
    clauses = _clauses(rest)
    signals = [_signals(clause, question.about) for clause in clauses]
    scores = _stated_scores(question.raw if option is None else rest)
    verdict = _acceptance_verdict(question, option, rest, signals, scores)
    if verdict is None:
        return None
    fresh = [c for c, s in zip(clauses, signals, strict=True) if s.fresh and _is_apart(c, verdict, question.about)]
    remark = rest.strip(" ，。,.:：、")
    if verdict in ("ok", "unclear", "thanks"):
        remark = "，".join(c for c in clauses if c not in fresh and not _is_bare_verdict(c))
    flags = {LATER: True} if verdict == "unclear" and _has("acceptance.later", rest) else {}
    joined = "，".join(_lex().rx("connective_head").sub("", clause).strip() for clause in fresh)
    return Answer("acceptance", verdict, scores=scores, remark=remark, flags=flags, fresh=joined)


def _is_apart(clause: str, verdict: Verdict, about: str) -> bool:
    """Beside an objection, a fault is another one only if the ticket's symptom or an "另外" says so."""
    return verdict == "ok" or bool(about) or _has("detail.addition", clause)


def _option(body: str) -> tuple[int | None, str]:
    """The numbered choice the text opens with, and what follows it: "1 5 5" is a yes with two marks."""
    found = _lex().rx("acceptance.option").match(body)
    if not found:
        return None, body
    return read_number(found.group(1) or found.group(2)), body[found.end() :]


def _stated_scores(text: str) -> Scores:
    scores = find_scores(text)
    return scores or _worded_scores(text, only=1)


def _worded_scores(text: str, only: int | None = None) -> Scores:
    lex = _lex()
    for index, entry in enumerate(lex.value("score.words")):
        if lex.rx(f"score.words.{index}.pattern").search(text):
            return Scores(both=entry["mark"]) if only in (None, entry["mark"]) else NO_SCORES
    return NO_SCORES


def _worded_of_each(text: str) -> Scores:
    """「态度挺好 修得一般」: manner and work, each in words; none unless both are said."""
    marks = [_worded_mark(text, aspect) for aspect in ("manner", "work")]
    return Scores(*marks) if all(marks) else NO_SCORES


def _worded_mark(text: str, aspect: str) -> int | None:
    lex = _lex()
    for index, entry in enumerate(lex.value(f"score.{aspect}")):
        if lex.rx(f"score.{aspect}.{index}.pattern").search(text):
            return int(entry["mark"])
    return None


def _signals(clause: str, about: str) -> _Signals:
    lex = _lex()
    if (_has("question", clause) and not _has("acceptance.rhetorical", clause)) or _has("acceptance.supposes", clause):
        return _Signals()
    if lex.rx("acceptance.never_came").search(lex.rx("acceptance.never_not").sub("□", clause)):
        return _Signals(absent=True)
    gone = lex.rx("acceptance.gone")
    ok, rest = gone.search(clause) is not None, gone.sub("", clause)
    if _names_other_fault(rest, about):
        return _Signals(fresh=True, ok=ok, again=_has("again_word", rest))
    bare = _has("acceptance.bare_fault", rest)
    if bare and _is_unrelated(rest, about):
        return _Signals(fresh=True, ok=ok)
    relapse = lex.rx("acceptance.relapse").search(rest) is not None or _repeats_fault(rest, about)
    rest = lex.rx("acceptance.manner").sub("□", rest)
    rest, worse = lex.rx("acceptance.bad").subn("□", rest)
    half = _has("acceptance.half", rest)
    rest = lex.rx("acceptance.half").sub("□", rest)
    praise = _has("acceptance.praise", rest)
    rest = lex.rx("acceptance.meh").sub("□", lex.rx("acceptance.praise").sub("□", rest))
    said_ok = _has("acceptance.ok", rest) or _is_plain_ok(rest)
    return _Signals(ok=ok or said_ok, praise=praise, bad=bare or worse > 0, relapse=relapse, half=half)


def _is_plain_ok(clause: str) -> bool:
    if _only(clause, "acceptance.ack_head", "acceptance.ack_words"):
        return False
    return _only(clause, "acceptance.ok_head", "acceptance.ok_words")


def _things(text: str) -> set[str]:
    """The devices a clause names, or else the places: two faults in one kitchen are still two."""
    lex = _lex()
    return set(lex.rx("device_word").findall(text)) or set(lex.rx("place_word").findall(text))


def _names_other_fault(clause: str, about: str) -> bool:
    things = _things(clause)
    # What the worker broke belongs to his ticket.
    if not things or not _has("fault_word", clause) or _has("damage_word", clause):
        return False
    if about:
        return not any(_same_thing(thing, about) for thing in things)
    return not _has("still_word", clause) and not _has("acceptance.ok", clause)


def _is_unrelated(bare_fault: str, about: str) -> bool:
    """Whether "没电了" can hardly be what is left of the repair that was asked about."""
    if not about:
        return _has("acceptance.outage", bare_fault)
    words = _lex().rx("fault_word").findall(bare_fault)
    return not any(word in about or word[0] in about for word in words)


def _repeats_fault(clause: str, about: str) -> bool:
    """Whether the ticket's own thing is named with a fault again, even without a word for "again"."""
    known = bool(about) and any(_same_thing(thing, about) for thing in _things(clause))
    return known and _has("fault_word", clause) and not _has("acceptance.ok", clause)


def _same_thing(thing: str, about: str) -> bool:
    return thing in about or any(len(other) > 1 and (other in thing or thing in other) for other in _things(about))


def _acceptance_verdict(
    question: _Question, option: int | None, rest: str, signals: Sequence[_Signals], scores: Scores
) -> Verdict | None:
    ok = any(s.ok for s in signals)
    bad = any(s.bad for s in signals)
    if any(s.absent for s in signals):
        return "false_completion"
    if any(s.relapse for s in signals):
        return "not_fixed"
    if any(s.half for s in signals):
        return "half"
    if bad:
        return "half" if option != 2 and (ok or option == 1) else "not_fixed"
    if option == 2:
        return "unclear" if ok else "not_fixed"
    if ok or option == 1:
        # "先用用看": they will say when they know.
        return "unclear" if _has("acceptance.later", rest) and option is None else "ok"
    return _lukewarm(question, rest, signals, scores)


def _lukewarm(question: _Question, rest: str, signals: Sequence[_Signals], scores: Scores) -> Verdict | None:
    """Texts that neither accept nor object in so many words."""
    if any(s.fresh for s in signals):
        again = any(s.again for s in signals)
        return "not_fixed" if again and not question.about else None
    if scores:
        return "ok" if min(scores.marks) >= _lex().value("acceptance.score_floor_ok") else "unclear"
    if _is_thanks(rest):
        return "thanks"
    if question.is_elsewhere or all(_has("question", clause) for clause in _clauses(rest)):
        return None
    vague = ("acceptance.meh", "acceptance.later", "acceptance.complaint")
    if any(s.praise for s in signals) or any(_has(path, rest) for path in vague):
        return "unclear"
    return "unclear" if _only(rest, "acceptance.ack_head", "acceptance.ack_words") else None


def _is_thanks(text: str) -> bool:
    return _has("thanks_word", text) and _made_of(text, "thanks_words")


def _is_farewell(text: str) -> bool:
    return _has("farewell_word", text) and _made_of(text, "farewell_words")


def _is_bare_verdict(clause: str) -> bool:
    """Whether a clause says nothing a person would want to read later."""
    lex = _lex()
    bare = lex.rx("connective_head").sub("", clause)
    bare = lex.rx("acceptance.ok").sub("", lex.rx("acceptance.gone").sub("", bare))
    return _made_of(bare, "acceptance.bare_words") or _made_of(bare, "score.noise")


# --- score ---------------------------------------------------------------------------------------------------------


def _score(question: _Question) -> Answer | None:
    body = question.body
    scores = find_scores(question.raw) or _leading_mark(body) or _worded_of_each(body) or _worded_scores(body)
    clauses = question.clauses
    signals = [_signals(clause, question.about) for clause in clauses]
    fresh = [c for c, s in zip(clauses, signals, strict=True) if s.fresh]
    faulty = _reports_failure(question)
    flags = {STILL_FAULTY: True} if faulty else {}
    remark = "，".join(c for c in clauses if c not in fresh and not _made_of(c, "score.noise"))
    joined = "，".join(_lex().rx("connective_head").sub("", clause).strip() for clause in fresh)
    if scores:
        return Answer("score", "given", scores=scores, remark=remark, flags=flags, fresh=joined)
    if question.has("score.declined"):
        return Answer("score", "declined", remark=remark, flags=flags, fresh=joined)
    if fresh or question.is_elsewhere or all(_has("question", clause) for clause in clauses):
        return None
    if faulty or question.has("score.vague") or question.has("acceptance.complaint"):
        return Answer("score", "unclear", remark=body, flags=flags)
    return None


def _leading_mark(body: str) -> Scores:
    found = _lex().rx("score.lead").search(body)
    return Scores(both=read_number(found.group(1) or found.group(2))) if found else NO_SCORES


# --- appointment and consent ---------------------------------------------------------------------------------------


def _appointment(question: _Question) -> Answer | None:
    body = question.body
    windows = parse_windows(body, question.now, asked=True, day=question.day)
    wish = first_wish(windows)
    # 「算了还是明天吧」 wants another day, and no end of it.
    other = wish is not None and question.has("appointment.weak_cancel")
    if question.has("appointment.cancel") and not question.has("appointment.change") and not other:
        return Answer("appointment", "refuse", remark=body, flags={CANCEL: True})
    if _only(body, "appointment.agree_head", "appointment.agree_words"):
        return Answer("appointment", "agree")
    if question.has("appointment.ask") and not question.has("context_proposal"):
        return None
    if wish is not None:
        # A window that starts now has no day to change to: "随时" and "尽快" accept what was offered.
        verdict: Verdict = "agree" if wish.end is None and wish.start <= question.now else "change"
        return Answer("appointment", verdict, remark=body, window=wish, phone=find_phone(body))
    if question.has("appointment.change"):
        return Answer("appointment", "change", remark=body, window=next(iter(windows), None))
    if windows or question.has("appointment.refuse"):
        return Answer("appointment", "refuse", remark=body, window=next(iter(windows), None))
    if _first_clause_agrees(question):
        return Answer("appointment", "agree", remark=body, phone=find_phone(body))
    return None


def _first_clause_agrees(question: _Question) -> bool:
    first = next(iter(question.clauses), "")
    return _only(first, "appointment.agree_head", "appointment.agree_words") or _has("appointment.agree_word", first)


def _consent(question: _Question) -> Answer | None:
    """Only an unconditional yes is consent to paid work."""
    body = question.body

    def answer(verdict: Verdict, **flags: bool) -> Answer:
        bare = verdict != "ask" and len(question.clauses) == 1
        return Answer("consent", verdict, remark="" if bare else body, flags=flags)

    if question.has("consent.after_all") and not question.has("consent.condition"):
        return answer("agree")
    if question.has("consent.later"):
        return answer("ask", later=True)
    if question.has("consent.failed"):
        return None
    refused = question.has("consent.refuse")
    rest = _lex().rx("consent.refuse").sub("□", body)
    if question.has("consent.ask") and question.is_elsewhere and not refused:
        return None
    if question.has("consent.ask"):
        # A flat no with its reason stays a no; a question or a price complaint alone does not.
        return answer("refuse" if refused and not _has("question", body) else "ask")
    if refused:
        return answer("refuse")
    first = next(iter(question.clauses), "")
    agreed = _has("consent.agree", rest) or _only(first, "consent.head", "consent.words")
    return answer("agree") if agreed and not _has("question", body) else None


# --- address, detail, solved, safety, phone, choice ----------------------------------------------------------------


def _confirm_address(question: _Question) -> Answer | None:
    phone = find_phone(question.body)
    rest = _lex().rx("confirm_address.not_address").sub("", question.body).strip(" ，,。")
    clauses = _clauses(rest)
    first = clauses[0] if clauses else ""
    window = parse_window(question.body, question.now)
    denied = _has("confirm_address.no", first) and not _has("confirm_address.yes_double", first)
    agreed = not denied and _only(first, "confirm_address.yes", "confirm_address.yes_words")
    if _has("confirm_address.address", rest) and not _has("question", rest):
        fault = _names_other_fault(rest, "") and not (denied or agreed)
        return None if fault else Answer("confirm_address", "correct", remark=rest, window=window, phone=phone)
    if denied:
        return Answer("confirm_address", "no", remark="，".join(clauses[1:]), window=window, phone=phone)
    if agreed:
        return Answer("confirm_address", "yes", remark="，".join(clauses[1:]), window=window, phone=phone)
    return None


def _detail(question: _Question) -> Answer | None:
    body = question.body
    if question.has("detail.elsewhere") or _is_thanks(body) or _is_farewell(body):
        return None
    clauses = question.clauses
    # Only an announced addition ("另外厨房灯坏了") is another fault here: the answer itself names things and faults.
    fresh = [c for c in clauses if _has("detail.addition", c) and _names_other_fault(c, question.about)]
    rest = "，".join(clause for clause in clauses if clause not in fresh) if fresh else body
    return Answer(
        "detail",
        "given",
        remark=rest,
        window=parse_window(body, question.now, asked=question.has("time_hint")),
        phone=find_phone(body),
        flags=_flags(body),
        fresh=_announced(question),
    )


def _flags(body: str) -> dict[str, bool]:
    """Facts that were said. Denials are read first, because they contain the words of the assertion."""
    found: dict[str, bool] = {}
    for name in _lex().value("detail.flags"):
        no = _lex().rx(f"detail.flags.{name}.no")
        if _has(f"detail.flags.{name}.yes", no.sub("□", body)):
            found[name] = True
        elif no.search(body):
            found[name] = False
    return found


def _solved(question: _Question) -> Answer | None:
    body = question.body
    questioned = all(_has("question", clause) for clause in question.clauses)
    if question.is_elsewhere:
        return None
    if _reports_failure(question):
        return Answer("solved", "no", remark=body)
    if question.has("solved.no") and not _has("question_of_solved", body):
        return Answer("solved", "no", remark=body)
    if questioned:
        return None
    if question.has("solved.vague"):
        return Answer("solved", "unclear", remark=body)
    if question.has("solved.yes_said") or _only(body, "solved.yes_head", "solved.yes_words"):
        return Answer("solved", "yes", remark="" if len(question.clauses) == 1 else body)
    return Answer("solved", "unclear") if _is_thanks(body) else None


def _reports_failure(question: _Question) -> bool:
    signals = [_signals(clause, question.about) for clause in question.clauses]
    return any(s.bad or s.relapse or s.absent or s.half for s in signals)


def _safety(question: _Question) -> Answer | None:
    """Yes wins over doubt, doubt wins over no: a guard question may only be closed by a clear no."""
    body = question.body
    rest, denied = _lex().rx("safety.no").subn("□", body)
    unsure = question.has("safety.unsure")
    if _has("safety.yes", rest) and not unsure:
        return Answer("safety", "unclear" if denied else "yes", remark=body)
    if unsure:
        return Answer("safety", "unclear", remark=body)
    return Answer("safety", "no", remark=body) if denied else None


def _phone(question: _Question) -> Answer | None:
    number = find_phone(question.body)
    if number:
        return Answer("phone", "given", phone=number)
    if question.has("phone.declined"):
        return Answer("phone", "declined", remark=question.body)
    if question.has("phone.profile") or _only(question.body, "phone.profile_head", "phone.profile_words"):
        return Answer("phone", "profile")
    return None


def _choice(question: _Question) -> Answer | None:
    options = question.options
    body = question.body
    if not options or question.has("choice.none"):
        return Answer("choice", "none", remark=body) if options else None
    index = _spoken_index(body, len(options))
    if index is not None:
        return Answer("choice", "chosen", index=index)
    matches = _label_matches(body, options)
    if len(matches) == 1:
        return Answer("choice", "chosen", index=matches[0])
    return Answer("choice", "unclear", remark=body) if matches else None


def _spoken_index(body: str, count: int) -> int | None:
    lex = _lex()
    if lex.rx("choice.first").search(body):
        return 0
    if lex.rx("choice.last").search(body):
        return count - 1
    found = lex.rx("choice.number").match(body)
    if found and not _made_of(body[found.end() :], "choice.number_words"):
        found = None
    found = found or lex.rx("choice.ordinal").search(body)
    if not found:
        return None
    word = found.group(1).upper()
    position = ord(word) - ord("A") + 1 if word.isascii() and word.isalpha() else read_number(word)
    return position - 1 if position and 1 <= position <= count else None


def _label_matches(body: str, options: Sequence[str]) -> list[int]:
    """Options that the text names: exactly, as a part of the label, or with the label inside the text."""
    said = _plain(_lex().rx("choice.filler").sub("", body))
    labels = [_plain(readable(label)) for label in options]
    exact = [index for index, label in enumerate(labels) if label and label == said]
    if exact or not said:
        return exact
    inside = [index for index, label in enumerate(labels) if said in label]
    return inside or [index for index, label in enumerate(labels) if label and label in said]


def _plain(text: str) -> str:
    """Labels and replies in one spelling: no punctuation, every numeral in digits."""

    def digits(found: re.Match[str]) -> str:
        number = read_number(found.group())
        return found.group() if number is None else str(number)

    return _lex().rx("numeral").sub(digits, re.sub(r"[\W_]", "", text)).lower()


_READERS: dict[Kind, Callable[[_Question], Answer | None]] = {
    "acceptance": _acceptance,
    "score": _score,
    "appointment": _appointment,
    "consent": _consent,
    "confirm_address": _confirm_address,
    "detail": _detail,
    "solved": _solved,
    "safety": _safety,
    "phone": _phone,
    "choice": _choice,
}
