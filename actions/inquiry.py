"""咨询: answered from the knowledge base, else recorded with a time by which somebody answers."""

from __future__ import annotations

from functools import cache

from rasa_sdk import Tracker
from rasa_sdk.events import FollowupAction

from actions import drafts
from actions.context import Desk, DeskAction, Events
from nlu.knowledge import Hit, KnowledgeBase, answer
from tickets import notify, questions, verbs
from tickets.people import home_key
from tickets.texts import say
from tickets.verbs import Report
from tickets.words import bare_request, drops_draft


@cache
def _base() -> KnowledgeBase:
    return KnowledgeBase.load()


class AnswerQuestion(DeskAction):
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
        answer_question(desk, desk.text)
        # 「我家灯不亮 顺便问下物业费」: the fault beside the question is taken up next.
        told = bool(desk.faults) and not (tracker.active_loop or {}).get("name")
        return [FollowupAction("repair_form")] if told else []


def answer_question(desk: Desk, question: str) -> None:
    """Say what the base surely knows; offer close choices; otherwise promise a time and put somebody on it (domain.md S51)."""
    hit = _base().find(question, desk.category if desk.category.startswith("Q") else "", desk.settings)
    verified = home_key(desk.session, desk.actor.resident) is not None
    if hit and hit.sure:
        desk.tell(answer(hit, desk.settings, verified))
        if hit.entry.partial or hit.entry.personal:
            _record(desk, question)
        return
    if hit and _choices(hit) and desk.actor.resident:
        none = say("button.none_of_these")
        desk.say("reply.which_question", buttons=[*_choices(hit), ("say:" + none, none)])
        questions.ask(desk.session, desk.actor.resident, "which_question", desk.now, text=question, code=desk.category)
        return
    _record(desk, question)


def _choices(hit: Hit) -> list[tuple[str, str]]:
    return [("say:" + entry.question, entry.question) for entry in hit.choices[:3] if fits_button(entry.question)]


def fits_button(text: str) -> bool:
    return len(("say:" + text).encode()) <= 64


def _record(desk: Desk, question: str) -> None:
    report = Report(
        kind="ZX",
        code=desk.category if desk.category.startswith("Q") else "Q99",
        symptom=question,
        source_key=f"{desk.key}:q",
        reporter=desk.actor.resident,
        reporter_staff=desk.actor.staff,
        conversation=desk.conversation,
    )
    ticket, _ = verbs.open_ticket(desk.session, desk.community_id, report, desk.now)
    desk.say("reply.question_recorded", **notify.facts(ticket, desk.now))
