"""咨询: answered from the knowledge base, else recorded with a time by which somebody answers."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from zlib import crc32

from rasa_sdk import Tracker
from rasa_sdk.events import FollowupAction

from actions import details, drafts
from actions.context import Desk, DeskAction, Events
from actions.progress import about_complaint, about_worker, progress_line, tell_open, when_it_comes
from nlu.knowledge import FOLDER, Entry, Hit, KnowledgeBase, answer
from storage.models import Draft, OpenQuestion, Ticket
from tickets import complaints, finding, inquiries, notify, questions, verbs
from tickets.catalog import category
from tickets.people import home_key
from tickets.texts import say
from tickets.words import (
    adds,
    asks,
    asks_cost,
    asks_how_long,
    asks_if_named,
    asks_on,
    asks_other_time,
    asks_when_told,
    asks_who_has_it,
    asks_who_pays,
    bare_request,
    drops_draft,
    hides_name,
    hums,
    leans,
    none_but,
    only_scolds,
    things_in,
)

# What a repair at home costs, as far as it is written.
REPAIR_PRICE = "repair_price"
# Words that name no matter are an answer's only where they are very like it.
BARE_SURE = 0.45


@lru_cache(maxsize=1)
def _base_of(_stamp: tuple[int, ...]) -> KnowledgeBase:
    return KnowledgeBase.load()


def _base() -> KnowledgeBase:
    """The written answers as they stand in data/knowledge now: an accepted answer is used without a restart."""
    return _base_of(tuple(path.stat().st_mtime_ns for path in sorted(FOLDER.glob("*.yml"))))


class AnswerQuestion(DeskAction):
    faults_beside = True

    def name(self) -> str:
        return "action_answer_question"

    def act(self, desk: Desk, tracker: Tracker) -> Events:
        if drops_draft(desk.text) and drafts.drop(desk):
            desk.say("reply.draft_dropped")
        if bare_request(desk.text):
            draft = drafts.find(desk, "BX")
            words = drafts.take_unsure(desk, draft, "ask_question") if draft else ""
            if not words:
                desk.say("reply.ask_question")
                return []
            drafts.drop(desk)
            answer_question(desk, words)
            return []
        if desk.actor.resident and only_scolds(desk.text):
            return _scolded(desk)
        if not about_complaint(desk) and not about_worker(desk) and not when_it_comes(desk):
            answer_question(desk, _asked(desk))
        return []


def _scolded(desk: Desk) -> Events:
    """「你们是不是只会收钱啊」 asks for no price: regret, and where their matters stand; with none open, what has happened."""
    if not tell_open(desk, "reply.sorry_scolded"):
        return [FollowupAction("complaint_form")]
    return []


def _asked(desk: Desk) -> str:
    """The question alone where a fault stands beside it."""
    clauses = [str(one["text"]) for one in desk.message.get("questions") or []]
    return clauses[0] if desk.faults and len(clauses) == 1 else desk.text


def answer_beside(desk: Desk) -> None:
    """What is asked beside a fault or a complaint: answered at once if the base surely knows, else somebody is put on it."""
    for clause in desk.message.get("questions") or []:
        words = str(clause["text"])
        if hums(words):
            continue
        hit = _base().find(words, str(clause["category"]), desk.settings)
        if hit and hit.sure:
            _tell(desk, hit, words)
        else:
            _pass_on(desk, words)


def answer_question(desk: Desk, question: str) -> None:
    """Say what the base surely knows; offer close choices; otherwise promise a time and put somebody on it (domain.md S51)."""
    asked = inquiries.last_asked(desk.session, desk.actor.resident, desk.now)
    if (
        who_hears(desk, question)
        or _all_offered(desk, question)
        or (asked is not None and _answer_leaning(desk, asked, question))
    ):
        return
    if asked is None and (answered_of_matter(desk, question) or _asks_complaint_pays(desk, question)):
        return
    own, question = question, _of_what_is_open(desk, question)
    hit = _believed(_base().find(question, _category(desk), desk.settings), own, question)
    if (hit is None or not hit.sure) and _told_cost(desk, own):
        return
    if hit and hit.sure:
        _tell(desk, hit, question)
        for other, words in _asked_beside(desk, hit):
            _tell(desk, other, words) if other else _pass_on(desk, words)
        return
    if hit and _choices(hit) and desk.actor.resident and not _refused_before(desk, hit):
        _offer(desk, hit, question)
        return
    if desk.actor.staff:
        # A colleague is no resident whose question waits for an answer; the fault beside it is asked back by its form.
        if not desk.faults:
            details.unknown(desk)
        return
    desk.say("reply.question_recorded", **notify.facts(_record(desk, question), desk.now))


def answer_rest(desk: Desk, rest: str) -> None:
    """「算了 我就是想去交个水费」: what is asked beside taking something back, if an answer is written; never one more ticket."""
    hit = _base().find(rest, "", desk.settings) if rest and desk.actor.resident else None
    if hit is None or not _base().shares(rest, hit.entry):
        return
    if hit.sure:
        _tell(desk, hit, rest)
    elif _choices(hit):
        _offer(desk, hit, rest)


def _refused_before(desk: Desk, hit: Hit) -> bool:
    """Whether the same choices were offered in the last minutes and none of them was meant: a person is asked, and no list again."""
    assert desk.actor.resident is not None
    last = inquiries.last_offered(desk.session, desk.actor.resident, desk.now)
    refused = last is not None and last.state == "answered" and none_but(last.answer) is not None
    return refused and {one for _, one in _choices(hit)} <= set(last.data.get("offered") or [] if last else [])


def _all_offered(desk: Desk, question: str) -> bool:
    """Each of the offered choices answered, for somebody who meant all of them; whether it was so."""
    resident = desk.actor.resident
    last = inquiries.last_offered(desk.session, resident, desk.now) if resident else None
    offered = list(last.data.get("offered") or []) if last else []
    if not offered or question != "".join(say("reply.asked", question=one) for one in offered):
        return False
    for one in offered:
        hit = _base().find(one, "", desk.settings)
        if hit and hit.sure:
            _tell(desk, hit, one)
    return True


def _offer(desk: Desk, hit: Hit, question: str) -> None:
    """The close answers as buttons; whoever wants none of them, or all, says so."""
    assert desk.actor.resident is not None
    none = say("button.none_of_these")
    desk.say("reply.which_question", buttons=[*_choices(hit), ("say:" + none, none)])
    offered = [one for _, one in _choices(hit)]
    asked = (desk.session, desk.actor.resident, "which_question", desk.now)
    questions.ask(*asked, text=question, code=desk.category, offered=offered)
    inquiries.note_told(desk.session, desk.actor.resident, question, "", _category(desk), desk.now)


def answered_surely(desk: Desk) -> bool:
    """「我车被锁了 凭啥锁」, taken for none of ours or not understood: told if an answer is written that surely means it."""
    asked = inquiries.last_asked(desk.session, desk.actor.resident, desk.now)
    if who_hears(desk, desk.text) or (asked is None and answered_of_matter(desk, desk.text)):
        return True
    hit = _base().find(desk.text, "", desk.settings) if desk.actor.resident else None
    if hit is None or not hit.sure or not _base().shares(desk.text, hit.entry):
        return False
    _tell(desk, hit, desk.text)
    return True


ASIDE = 12


def asked_on(desk: Desk) -> bool:
    """「两只」「租户也行？」 right behind a written answer, and nothing that is broken: what else is written of it, else whether somebody
    is to find it out. Whether it was so."""
    last = inquiries.last_told(desk.session, desk.actor.resident, desk.now)
    if last is None or desk.actor.resident is None or len(desk.text) > ASIDE or desk.faults or things_in(desk.text):
        return False
    words = inquiries.joined(str(last.data["text"]), desk.text)
    hit = _found_leaning(desk, last, desk.text) if asks(desk.text) else None
    if hit is not None and _base().shares(desk.text, hit.entry):
        _tell(desk, hit, words)
        return True
    entry, code = str(last.data["entry"]), str(last.data["code"])
    inquiries.note_told(desk.session, desk.actor.resident, words, entry, code, desk.now)
    desk.say("reply.not_written")
    return True


# --- about what was told just before ----------------------------------------------------------------------------------


def answered_of_matter(desk: Desk, text: str) -> bool:
    """「要带啥」「多久」「找谁」 right behind a complaint or a report means nothing by itself: where that stands, what is written
    about it, else whoever has it hears the question. Whether it was such a question."""
    matter = inquiries.matter_before(desk.session, desk.actor.resident, desk.now)
    if matter is None or drafts.find(desk, "BX") or drafts.find(desk, "TS"):
        return False
    # 「谁负责」 behind a fault asks who pays for it.
    has_it = asks_who_has_it(text) and not (matter.kind == "BX" and asks_who_pays(text))
    if not (has_it or leans(text) or asks_on(text)):
        return False
    if has_it or asks_how_long(text) or asks_when_told(text):
        desk.tell(progress_line(desk, matter))
    elif hit := _found_of_matter(desk, matter.symptom, text):
        _tell(desk, hit, inquiries.joined(matter.symptom, text))
    elif matter.kind != "BX":
        verbs.add_detail(desk.session, verbs.load(desk.session, matter.id), desk.actor, text, desk.now)
        desk.say("reply.matter_asked", **notify.facts(matter, desk.now))
    elif not _told_cost(desk, text):
        # Whoever mends it answers no questions before the visit: the desk does.
        words = inquiries.joined(matter.symptom, text)
        desk.say("reply.question_recorded", **notify.facts(_record(desk, words), desk.now))
    return True


def _asks_complaint_pays(desk: Desk, text: str) -> bool:
    """「这算谁的」 right behind a complaint: nobody but who has it can say so, and they hear the question."""
    matter = inquiries.matter_before(desk.session, desk.actor.resident, desk.now)
    if matter is None or matter.kind != "TS" or not asks_who_pays(text):
        return False
    verbs.add_detail(desk.session, verbs.load(desk.session, matter.id), desk.actor, text, desk.now)
    desk.say("reply.matter_asked", **notify.facts(matter, desk.now))
    return True


def _found_of_matter(desk: Desk, told: str, text: str) -> Hit | None:
    """What is surely written of the thing a short question names itself, else of the matter before it."""
    alone = _base().find(text, "", desk.settings)
    if alone and alone.sure and _base().shares(text, alone.entry):
        return alone
    hit = _base().find(inquiries.joined(told, text), "", desk.settings)
    return hit if hit and hit.sure and _base().shares(told, hit.entry) else None


def _believed(hit: Hit | None, own: str, question: str) -> Hit | None:
    """「要带啥」 with nothing before it: what it is near to may be asked about, and is no answer."""
    bare = own == question and (leans(own) or asks_on(own))
    if hit is None or not hit.sure or not bare or hit.score >= BARE_SURE or _base().shares(own, hit.entry):
        return hit
    return replace(hit, sure=False, choices=(hit.entry,))


def _told_cost(desk: Desk, text: str) -> bool:
    """「上门要钱吗」 of somebody who reports something in their home: how such a price is found; whether it was so."""
    entry = _base().get(REPAIR_PRICE) if asks_cost(text) and desk.actor.resident else None
    if entry is None or not _at_home(desk):
        return False
    _tell(desk, Hit(entry, 1.0, sure=True), text)
    return True


def _at_home(desk: Desk) -> bool:
    """Whether what is being told, or was told last, is to be mended in a home; what all share is no matter of a price."""
    draft = drafts.find(desk, "BX")
    if draft is not None:
        faults = draft.data.get("faults") or []
        return bool(faults) and not any(one.get("public") or category(str(one["code"])).common for one in faults)
    matter = inquiries.matter_before(desk.session, desk.actor.resident, desk.now)
    return matter is not None and matter.kind == "BX" and not matter.public_area


def who_hears(desk: Desk, text: str) -> bool:
    """「会不会说是我报的」: who hears who told it, as it is; a wish not to be named is kept. Whether the text was about that and
    there is anything it can be about."""
    wish = hides_name(text)
    if desk.actor.resident is None or not (wish or asks_if_named(text)):
        return False
    if (draft := drafts.find(desk, "TS")) is not None and draft.data.get("words"):
        return _hidden_in_draft(desk, draft, text, wish=wish)
    own = finding.open_of(desk.session, desk.actor, kinds=("TS", "JY", "BX"))
    mine = [one for one in own if one.reporter_id == desk.actor.resident.id]
    # 「可以匿名投诉吗」 of somebody whose lamp is broken is about a complaint to come.
    if not mine or (mine[0].kind == "BX" and asks(text) and not asks_if_named(text)):
        return False
    ticket = verbs.load(desk.session, mine[0].id)
    if wish and ticket.kind == "BX" and not ticket.public_area:
        # Who comes has to know whose flat it is; they read that nobody else shall.
        verbs.add_detail(desk.session, ticket, desk.actor, text, desk.now)
    elif wish:
        verbs.hide_name(desk.session, ticket, desk.actor, text, desk.now)
    hidden = (ticket.detail or {}).get("hidden")
    unnamed = "reply.not_named_repair" if ticket.kind == "BX" else "reply.not_named"
    desk.say(complaints.hidden_key(ticket) if hidden else unnamed)
    return True


def _hidden_in_draft(desk: Desk, draft: Draft, text: str, *, wish: bool) -> bool:
    """The wish goes with the complaint that is still being told."""
    if wish:
        drafts.save(desk, draft, {**draft.data, "words": f"{draft.data['words']} {text}"})
    desk.say("reply.name_hidden" if wish else "reply.not_named")
    return True


def _of_what_is_open(desk: Desk, question: str) -> str:
    """「谁赔」 after a report asks about that one, 「那找谁啊」 while one is told about that; both mean nothing by themselves."""
    short = leans(question) or asks_on(question)
    if short and (told := _half_told(desk)):
        return f"{told} {question}"
    own = finding.open_of(desk.session, desk.actor, kinds=("BX", "TS")) if asks_who_pays(question) else []
    return f"{own[0].symptom} {question}" if own else question


def _half_told(desk: Desk) -> str:
    """The fault told last, or the complaint, of a form that is still running; "" if none is."""
    report, complaint = drafts.find(desk, "BX"), drafts.find(desk, "TS")
    faults = (report.data.get("faults") or []) if report else []
    return str(faults[-1].get("words") or "") if faults else str(complaint.data.get("words", "")) if complaint else ""


def _category(desk: Desk) -> str:
    return desk.category if desk.category.startswith("Q") else ""


def _answer_leaning(desk: Desk, last: OpenQuestion, text: str) -> bool:
    """「多少钱一个月啊」 after an answer about parking, or after a question somebody is on; whether the text was understood so."""
    asked, inquiry = str(last.data["text"]), inquiries.open_inquiry(desk.session, last)
    part = inquiries.leaning_part(asked, text)
    if not part:
        return False
    if inquiry is not None and asks_when_told(part):
        desk.tell(progress_line(desk, inquiry))
    elif hit := _found_leaning(desk, last, part):
        _tell(desk, hit, part if _base().shares(part, hit.entry) else inquiries.joined(asked, part))
    elif inquiry is not None:
        verbs.add_detail(desk.session, inquiry, desk.actor, part, desk.now)
        desk.say("reply.question_added", **notify.facts(inquiry, desk.now))
    else:
        # It was asked on, and what was answered does not say it.
        _choices_passed(desk)
        desk.say("reply.question_recorded", **notify.facts(_record(desk, inquiries.joined(asked, part)), desk.now))
    return True


def _found_leaning(desk: Desk, last: OpenQuestion, part: str) -> Hit | None:
    """The written answer to what asks on: one it names itself, else one about what was asked before. 「要带啥」 alone names
    nothing, so that papers of another matter are no answer to it."""
    told, asked = _base().get(str(last.data["entry"])), str(last.data["text"])
    alone = _base().find(part, "", desk.settings)
    if alone and alone.sure and alone.entry != told and _base().shares(part, alone.entry):
        return alone
    if told is None:
        return None
    hit = _base().follow(part, told, asked, desk.settings)
    if hit and hit.sure:
        return hit
    # 「周末呢」 behind the office hours: what was told holds then as well.
    return Hit(told, 1.0, sure=True) if asks_other_time(part) and told.tells_hours else None


def _choices_passed(desk: Desk) -> None:
    """Whoever asks on instead of choosing is answered by a person, once."""
    waiting = questions.waiting(desk.session, desk.actor.resident, desk.now) if desk.actor.resident else []
    for one in waiting:
        if one.kind == "which_question":
            questions.answered(one, desk.text, desk.now)


def _asked_beside(desk: Desk, hit: Hit) -> list[tuple[Hit | None, str]]:
    """The other questions of a message: each with its own sure answer, or None where the base has none."""
    clauses = [str(one["text"]) for one in desk.message.get("questions") or []]
    if len(clauses) < 2:
        return []
    others: list[tuple[Hit | None, str]] = []
    known = {hit.entry}
    # 「物业群里说明天停水 几点停啊」: the second asks on, and means nothing by itself.
    for words in (one for one in clauses if not leans(one)):
        one = _base().find(words, "", desk.settings)
        if one and one.sure:
            others += [(one, words)] if one.entry not in known else []
            known.add(one.entry)
        elif adds(words):
            others.append((None, words))
    return others


def _tell(desk: Desk, hit: Hit, question: str) -> None:
    """The written answer; where it says that somebody asks or does the rest, with who and by when in the same message."""
    verified = _may_know(desk, hit.entry)
    text, inquiry = answer(hit, desk.settings, verified), _already_on_it(desk, hit.entry)
    if hit.entry.partial and (verified or not hit.entry.personal):
        inquiry = inquiry or _record(desk, question)
        text += "\n" + say("reply.question_passed_on", **notify.facts(inquiry, desk.now))
    desk.tell(text)
    if desk.actor.resident:
        told, no = hit.entry, inquiry.id if inquiry else 0
        inquiries.note_told(desk.session, desk.actor.resident, question, told.id, told.category, desk.now, inquiry=no)


def _already_on_it(desk: Desk, entry: Entry) -> Ticket | None:
    """The ticket that was opened with the same answer a moment ago: nobody is asked twice."""
    last = inquiries.last_noted(desk.session, desk.actor.resident, desk.now)
    return inquiries.open_inquiry(desk.session, last) if last is not None and last.data["entry"] == entry.id else None


def _may_know(desk: Desk, entry: Entry) -> bool:
    if entry.payer:
        return inquiries.pays_for(desk.session, desk.actor.resident)
    return home_key(desk.session, desk.actor.resident) is not None


def _choices(hit: Hit) -> list[tuple[str, str]]:
    return [("say:" + entry.question, entry.question) for entry in hit.choices[:3] if fits_button(entry.question)]


def fits_button(text: str) -> bool:
    return len(("say:" + text).encode()) <= 64


def _pass_on(desk: Desk, question: str) -> None:
    ticket = _record(desk, question)
    desk.say("reply.question_beside_recorded", question=question, **notify.facts(ticket, desk.now))


def more_told(desk: Desk) -> bool:
    """「就大门口那个丰巢」 while the choices of a question are all that waits: a person is asked the whole; whether it was so."""
    waiting = questions.waiting(desk.session, desk.actor.resident, desk.now)[:1] if desk.actor.resident else []
    asked = next((one for one in waiting if one.kind == "which_question"), None)
    if asked is None:
        return False
    questions.answered(asked, desk.text, desk.now)
    words = inquiries.joined(str(asked.data["text"]), desk.text)
    ticket = _record(desk, words, str(asked.data.get("code") or ""))
    desk.say("reply.question_recorded", **notify.facts(ticket, desk.now))
    return True


def _record(desk: Desk, question: str, code: str = "") -> Ticket:
    return inquiries.record(
        desk.session,
        desk.conversation,
        desk.actor,
        question,
        code or desk.category,
        f"{desk.key}:q{crc32(question.encode())}",
        desk.now,
    )
