"""Leaders' questions about numbers: 3栋这个月报了多少次漏水, 上周满意度, 投诉最多的是什么 (domain.md §6.4).

The words are data/catalog/questions.yml; the answers come from the same rows as the reports, within what the asker may count.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from nlu.slots import find_people
from storage.models import Staff, Ticket
from tickets import ledger
from tickets.catalog import categories, category
from tickets.desk_lists import PAGE, Page, short_no
from tickets.kpi import building_of, figures, most
from tickets.ledger import NOT_COUNTED, REPAIRS, Scope, done_between, scope_of
from tickets.notify import facts
from tickets.periods import Period, before, period, read_period, words
from tickets.places import register_of
from tickets.report_text import figure_line
from tickets.reports import building_name, figures_of, scope_name
from tickets.texts import say


@dataclass(frozen=True)
class Question:
    """What a sentence asks about: a span of time, a kind, categories, buildings; `of_workers`: which of them did most."""

    period: Period
    kind: str = ""
    fault: str = ""
    codes: tuple[str, ...] = ()
    buildings: tuple[str, ...] | None = None
    place: str = ""
    worker: str = ""
    of_workers: bool = False
    page: int = 1

    @property
    def narrowed(self) -> bool:
        """Whether it names a kind, a fault, a place or a worker, and not just everything."""
        return bool(self.kind or self.codes or self.worker or self.buildings is not None)


def read_question(session: Session, staff: Staff, text: str, now: datetime) -> Question:
    """A question about counts as data. Without a word of time it is about this month."""
    fault, codes = _fault(text)
    place, buildings = _buildings(session, staff.community_id, text)
    kind = next((kind for kind, pattern in words()["kinds"].items() if re.search(pattern, text)), "")
    page = re.search(words()["page"], text)
    of_workers = bool(re.search(words()["workers"], text))
    # 「上周师傅排行」 names no 周师傅.
    worker = "" if of_workers else next(iter(find_people(text, _names(session, staff.community_id))), "")
    return Question(
        read_period(text, now) or period("this_month", now),
        kind or ("BX" if codes and not codes[0].startswith("T") else ""),
        fault,
        codes,
        buildings,
        place,
        worker,
        of_workers,
        int(page[1]) if page else 1,
    )


def _names(session: Session, community_id: int) -> list[str]:
    query = select(Staff.name).where(Staff.community_id == community_id, Staff.active)
    return list(session.scalars(query.order_by(Staff.id)))


def _fault(text: str) -> tuple[str, tuple[str, ...]]:
    """The word of a fault and the categories it stands for; else a category whose name is in the sentence."""
    for pattern, codes in words()["faults"].items():
        if found := re.search(pattern, text):
            return found.group(), tuple(codes)
    for code, row in categories().items():
        if len(row.name) >= 2 and row.name in text:
            return row.name, (code,)
    return "", ()


def _buildings(session: Session, community_id: int, text: str) -> tuple[str, tuple[str, ...] | None]:
    """Every building the words can mean (3栋 is in both phases), or None if none was named."""
    register = register_of(session, community_id)
    found = re.search(words()["building"], text)
    if found:
        phases = {one.code for one in register.phases if found["phase"] in (None, one.name)}
        fits = [one for one in register.buildings if one.code == found["code"] and one.phase in phases]
        return found.group(), tuple(f"{one.phase}/{one.code}" for one in fits)
    for phase in register.phases:
        if phase.name in text:
            mine = [one for one in register.buildings if one.phase == phase.code]
            return phase.name, tuple(f"{one.phase}/{one.code}" for one in mine)
    return "", None


# --- counting ---------------------------------------------------------------------------------------------------------


def _asked(scope: Scope, question: Question) -> list[ColumnElement[bool]]:
    # What a worker did counts when it was finished, what came in when it was reported.
    start, end = question.period.start, question.period.end
    reported = (Ticket.created_at >= start) & (Ticket.created_at < end)
    found = [
        *scope.conditions(),
        done_between(start, end) if question.worker or question.of_workers else reported,
        Ticket.status.not_in(NOT_COUNTED),
    ]
    if question.kind:
        found.append(Ticket.kind.in_(REPAIRS if question.kind == "BX" else (question.kind,)))
    if question.worker:
        found.append(Ticket.handler.has(Staff.name == question.worker))
    if question.codes:
        found.append(Ticket.code.in_(question.codes))
    if question.buildings is not None:
        inside = [Ticket.place_key.startswith(f"{head}{one}/") for one in question.buildings for head in ("", "PUB:")]
        found.append(or_(*inside) if inside else Ticket.id < 0)
    return found


def tickets_asked(session: Session, scope: Scope, question: Question) -> list[Ticket]:
    """Tickets reported in the span, newest first, without what no figure counts."""
    tickets = list(session.scalars(select(Ticket).where(*_asked(scope, question)).order_by(Ticket.id.desc())))
    alarms = ledger.false_alarms(session, [one.id for one in tickets])
    return [one for one in tickets if one.id not in alarms]


def count(session: Session, staff: Staff, text: str, now: datetime) -> Page:
    """3栋这个月报了多少次漏水: how many, by building where several are meant, and which."""
    question = read_question(session, staff, text, now)
    if question.buildings == ():
        return Page(say("ask.no_building", place=question.place))
    scope = scope_of(staff)
    found = tickets_asked(session, scope, question)
    still = sum(1 for one in found if one.closed_at is None)
    head = say(
        "ask.done" if question.worker else "ask.count",
        what=_subject(question),
        period=question.period.label,
        scope=scope_name(scope),
        count=len(found),
        open=still,
    )
    split = _split(session, staff.community_id, question, found)
    return _paged([head, *split], found, question.page, text, now)


def compare(session: Session, staff: Staff, text: str, now: datetime) -> str:
    """昨天和今天比, 投诉上周和这周比: the count of each span that is named, one a line."""
    spans = [found.group() for found in re.finditer(parts()["PERIOD"], text)]
    rest = re.sub(parts()["PERIOD"], "", text)
    heads = (count(session, staff, one + rest, now).text.partition("\n")[0] for one in spans)
    return "\n".join(heads)


def _subject(question: Question) -> str:
    kind = say(f"kind.{question.kind}") if question.kind and not question.fault else ""
    everything = "" if question.worker else say("ask.everything")
    return say("ask.subject", place=question.place, worker=question.worker, what=question.fault or kind or everything)


def _split(session: Session, community_id: int, question: Question, found: list[Ticket]) -> list[str]:
    if not question.buildings or len(question.buildings) < 2 or not found:
        return []
    counted = most((building_of(one.place_key) for one in found), limit=5)
    shown = [say("report.item", name=building_name(session, community_id, key), count=times) for key, times in counted]
    return [say("list.comma").join(shown)]


def _paged(head: list[str], found: list[Ticket], page: int, text: str, now: datetime) -> Page:
    start = (page - 1) * PAGE
    shown = found[start : start + PAGE]
    rows = [say("staff.line", **{**facts(one, now), "tail": short_no(one, now)}) for one in shown]
    left = len(found) - start - PAGE
    again = re.sub(words()["page"], "", text).rstrip("？?") + say("ask.page", page=page + 1) if left > 0 else ""
    more = [say("staff.more", count=left, again=again)] if left > 0 else []
    return Page("\n".join([*head, *rows, *more]), tuple(shown), again)


def top(session: Session, staff: Staff, text: str, now: datetime) -> str:
    """投诉最多的是什么, 哪栋楼报修最多, 哪个师傅干得最多: what occurs most, with its counts."""
    question = read_question(session, staff, text, now)
    scope = scope_of(staff)
    found = tickets_asked(session, scope, question)
    if question.of_workers:
        rows = most(one.handler.name for one in found if one.handler)
    elif re.search(say("ask.words_building"), text):
        counted = most(building_of(one.place_key) for one in found)
        rows = [(building_name(session, staff.community_id, key), times) for key, times in counted]
    else:
        rows = [(category(code).name, times) for code, times in most(one.code for one in found)]
    head = say(
        "ask.top_workers" if question.of_workers else "ask.top",
        what=_subject(question),
        period=question.period.label,
        scope=scope_name(scope),
        count=len(found),
    )
    lines = [say("ask.top_line", rank=rank, name=name, count=times) for rank, (name, times) in enumerate(rows, 1)]
    return "\n".join([head, *lines]) if lines else head + say("staff.nothing")


def figure(session: Session, staff: Staff, text: str, now: datetime) -> str:
    """上周满意度, 6月返修率: one figure of a span with its counts, and the span before."""
    span_ = read_period(text, now) or period("this_month", now)
    scope = scope_of(staff)
    name = figure_named(text)
    now_are, were = (figures_of(session, scope, one, now) for one in (span_, before(span_)))
    lines = [say("ask.figure", period=span_.label, scope=scope_name(scope)), figure_line(now_are, name, were)]
    if name == "satisfied":
        lines += [figure_line(now_are, "average", were), figure_line(now_are, "rated", were)]
    return "\n".join([*lines, say(f"formula.{name}")])


def own(session: Session, staff: Staff, now: datetime) -> str:
    """A worker's own month: what they finished and how it went, nobody else's (domain.md §9.3)."""
    span_ = period("this_month", now)
    scope = Scope(staff.community_id)
    mine = [one for one in ledger.jobs_finished(session, scope, span_.start, span_.end) if one.worker == staff.name]
    found = figures(mine)
    lines = [say("ask.own", name=staff.name, period=span_.label, count=found.jobs)]
    names = ("accept_in_time", "arrive_in_time", "finish_in_time", "first_time_right", "satisfied")
    return "\n".join([*lines, *(figure_line(found, name) for name in names if getattr(found, name).of)])


def figure_named(text: str) -> str:
    """The figure whose word stands in the sentence, the longest word decides; "" where none does."""
    hits: dict[str, int] = {
        name: max((len(hit.group()) for hit in re.finditer(pattern, text)), default=0)
        for name, pattern in words()["figures"].items()
    }
    name = max(hits, key=lambda one: hits[one])
    return name if hits[name] else ""


SWAPPED = ("PERIOD", "PLACE", "KIND", "FAULT", "PERSON")
"""What a second question may name anew: 「上周呢」, 「5栋呢」."""


def again(question: str, named: str) -> str:
    """The same question about what is named now: 「3栋这个月几次漏水」 and 「5栋」 ask for 「5栋这个月几次漏水」."""
    for part in (parts()[name] for name in SWAPPED):
        if re.search(part, named):
            question = re.sub(f"(?:{part})的?", "", question)
    return named + question


@cache
def parts() -> dict[str, str]:
    """What the sentence patterns of data/catalog/commands.yml are put together from, as patterns without groups."""
    data = words()
    names = "|".join(re.escape(row.name) for row in categories().values() if len(row.name) >= 2)
    found = {
        "PERIOD": "|".join(data["periods"].values()),
        "PLACE": f"{data['building']}|{data['place_words']}",
        "KIND": "|".join(data["kinds"].values()),
        "FAULT": "|".join([*data["faults"], names]),
        "FIGURE": "|".join(data["figures"].values()),
        "FILLER": data["filler"],
        "PERSON": data["person"],
    }
    return {name: re.sub(r"\(\?P<\w+>", "(?:", pattern) for name, pattern in found.items()}
