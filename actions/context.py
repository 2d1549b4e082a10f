"""What every action needs: the database row behind the conversation, who speaks, the turn's clock, what the model understood.

Actions are thin: understand what the message changes, call one verb or read, word the answer. A refusal of the desk becomes its
text; any other exception reaches Rasa as a failed action, and the gateway tries the message again from the inbox.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, ClassVar

from rasa_sdk import Action, Tracker
from rasa_sdk.events import FollowupAction
from rasa_sdk.executor import CollectingDispatcher
from sqlalchemy.orm import Session

from nlu.emergency import may_report
from nlu.slots import mask_text
from storage import mailbox, reviews
from storage.database import Sessions, connect, sessions
from storage.models import Community, Conversation, ReviewItem, Ticket
from tickets import audit, emergencies, questions
from tickets.errors import DeskError
from tickets.notify import facts
from tickets.people import Actor, actor_of
from tickets.texts import say
from tickets.urgency import is_danger

DOUBT = 0.6
"""Below this confidence a message goes to the review list, also when it was acted on."""
TOLD = 12
"""So many characters of what somebody told are shown where the names of two matters are the same."""

Events = list[dict[str, Any]]
Buttons = Sequence[tuple[str, str]]


@cache
def _sessions() -> Sessions:
    return sessions(connect(os.environ["DATABASE_URL"]))


@dataclass
class Desk:
    """One action's view of one message. `key` is unique per message, so that a repeated turn opens nothing twice."""

    session: Session
    conversation: Conversation
    actor: Actor
    now: datetime
    key: str
    text: str
    message: dict[str, Any]
    answers: list[tuple[str, Buttons]] = field(default_factory=list)
    handled: bool = False

    @property
    def community_id(self) -> int:
        person = self.actor.resident or self.actor.staff
        assert person is not None
        return person.community_id

    @property
    def settings(self) -> dict[str, str]:
        return dict(self.session.get_one(Community, self.community_id).settings)

    @property
    def intent(self) -> str:
        return str((self.message.get("intent") or {}).get("name") or "")

    @property
    def confidence(self) -> float:
        """How sure the intent is; certain where no model had to say it."""
        return float((self.message.get("intent") or {}).get("confidence") or 1.0)

    @property
    def category(self) -> str:
        """The most likely category of the message for its intent, "" if it has none."""
        return next((str(e["value"]) for e in self.message.get("entities") or [] if e.get("entity") == "category"), "")

    @property
    def faults(self) -> list[dict[str, Any]]:
        return list(self.message.get("faults") or [])

    @property
    def anew(self) -> list[dict[str, Any]]:
        """What is wrong as a new report, of somebody who says that a job did not last."""
        return list(self.message.get("anew") or [])

    @property
    def dangers(self) -> dict[str, float]:
        """How likely the message tells of each kind of danger."""
        return {str(one["name"]): float(one["confidence"]) for one in self.message.get("dangers") or []}

    @property
    def readings(self) -> list[tuple[str, float]]:
        """What the message may want, likeliest first; the real classes, also behind a fallback."""
        ranking = self.message.get("intent_ranking") or []
        return [(str(one["name"]), float(one["confidence"])) for one in ranking if one["name"] != "nlu_fallback"]

    @property
    def doubtful(self) -> bool:
        """Whether the model was not sure what the message wants."""
        return self.intent == "nlu_fallback" or self.confidence < DOUBT

    def note_for_review(self, why: str, words: str, key: str, suggested: str = "") -> None:
        """Keep `words` until a person says what they mean (`guanjia nlu review`); numbers that name somebody are starred out."""
        if not words.strip():
            return
        intent, confidence = self.readings[0] if self.readings else (self.intent, 0.0)
        reviews.note(
            self.session,
            ReviewItem(
                community_id=self.community_id,
                source_key=key[:200],
                at=self.now,
                text=mask_text(words),
                why=why,
                intent=intent,
                category=self.category,
                confidence=confidence,
                suggested=suggested,
            ),
        )

    def entity(self, name: str) -> str:
        return next((str(e["value"]) for e in self.message.get("entities") or [] if e.get("entity") == name), "")

    def say(self, key: str, buttons: Buttons = (), **values: object) -> None:
        """Answer with the sentence `key` of data/messages/."""
        self.answers.append((say(key, **values), buttons))

    def tell(self, text: str, buttons: Buttons = ()) -> None:
        self.answers.append((text, buttons))

    def which(self, tickets: Sequence[Ticket], *, cancel: bool = False) -> None:
        """Ask which ticket is meant; the answer is read together with the words that left it open."""
        shown = list(tickets[:4])
        # Two lamps have the same name; what was said of each tells them apart.
        alike = len({one.code for one in shown}) < len(shown)
        key = "reply.numbered_told" if alike else "reply.numbered"
        labels = [say(key, words=one.symptom[:TOLD], **facts(one, self.now)) for one in shown]
        buttons = [("say:" + one.tail, label) for one, label in zip(shown, labels, strict=True)]
        self.say("reply.which", buttons, choices="\n".join(labels))
        if self.actor.resident:
            ids = [one.id for one in shown]
            questions.ask(
                self.session, self.actor.resident, "cancel_which", self.now, tickets=ids, text=self.text, cancel=cancel
            )

    def done(self) -> None:
        """A verb has already told the resident: the turn needs no words of its own."""
        self.handled = True


class DeskAction(Action, ABC):  # type: ignore[misc]
    """An action of the property desk."""

    @abstractmethod
    def name(self) -> str: ...

    @abstractmethod
    def act(self, desk: Desk, tracker: Tracker) -> Events: ...

    faults_beside: ClassVar[bool] = False
    """Whether a fault told in the same message (「改周五吧，还有晾衣杆断了」) is taken up next."""

    def give_way(self, desk: Desk) -> Events:
        """What is left to do when the model fears a danger that no word gave away, and it was asked about or is an alarm."""
        return []

    def run(self, dispatcher: CollectingDispatcher, tracker: Tracker, domain: dict[str, Any]) -> Events:
        message = tracker.latest_message
        about = message.get("metadata") or {}
        with _sessions().begin() as session:
            conversation = session.get_one(Conversation, about["conversation"])
            desk = Desk(
                session,
                conversation,
                actor_of(conversation.identity),
                datetime.fromisoformat(about["now"]),
                str(about["key"]),
                str(message.get("text") or ""),
                message,
            )
            events = self._guarded(desk, tracker)
            if desk.answers or desk.handled:
                mailbox.note_acted(session, desk.key, [_part(*answer) for answer in desk.answers])
            if desk.doubtful:
                desk.note_for_review("unsure", desk.text, desk.key)
        self._speak(desk, dispatcher)
        return events

    def _guarded(self, desk: Desk, tracker: Tracker) -> Events:
        try:
            with desk.session.begin_nested():
                if _feared(desk):
                    desk.done()
                    return self.give_way(desk)
                events = self.act(desk, tracker)
        except DeskError as error:
            audit.refused(desk.session, desk.community_id, desk.actor, error, desk.now)
            desk.answers = [(say(f"error.{error.code}", **error.facts), ())]
            events = []
        return [*events, *self._taken_up(desk, tracker, events)]

    def _taken_up(self, desk: Desk, tracker: Tracker, events: Events) -> Events:
        if not self.faults_beside or not desk.faults or any(one.get("event") == "followup" for one in events):
            return []
        return [] if (tracker.active_loop or {}).get("name") else [FollowupAction("repair_form")]

    def _speak(self, desk: Desk, dispatcher: CollectingDispatcher) -> None:
        for answer in desk.answers:
            dispatcher.utter_message(**_part(*answer))
        if desk.handled and not desk.answers:
            dispatcher.utter_message(json_message={"handled": True})


def _feared(desk: Desk) -> bool:
    """The second net (domain.md §3.1)."""
    codes = [str(one["category"]) for one in desk.faults]
    code = next((one for one in codes if is_danger(one)), desk.category)
    args = (desk.session, desk.conversation, desk.actor, desk.dangers, desk.text, code, desk.key, desk.now)
    reading = desk.readings[0] if desk.readings else (desk.intent, 0.0)
    return emergencies.second_look(*args, reports=may_report(*reading))


def _part(text: str, buttons: Buttons) -> dict[str, Any]:
    """One answer in Rasa's words."""
    return {"text": text, "buttons": [{"payload": code, "title": label} for code, label in buttons] or None}
