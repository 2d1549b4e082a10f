"""Everything that can be read from one message, without a running product: what `guanjia parse` prints.

The trained model is taken straight out of Rasa's archive, so that reading starts in a second and needs no Rasa. The running
product uses the same parts: the model inside Rasa, danger in the gateway, places and urgency in the desk.
"""

from __future__ import annotations

import logging
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from nlu.address import Levels, lent, levels_of, only, resolve, stated, within
from nlu.classifier import COMPLAINT, QUESTION, REPAIR, Model, Prediction
from nlu.emergency import Emergency, detect, may_report, suspect
from nlu.expected_time import Window, parse_window
from nlu.faults import Clause
from nlu.register import Register
from nlu.slots import find_phone, find_scores, find_ticket_no
from nlu.spans import Span, Tagger
from nlu.words import pattern
from tickets.catalog import category
from tickets.urgency import facts_in, is_danger, level_for
from tickets.words import beside_complaints, says_urgent

NODE = "components/train_nlu.components.DeskClassifier0/"
RANKING_LENGTH = 5
_DIGITS = 4
_MARKS = " \t\n，。、；,;.!！"

Json = dict[str, Any]

log = logging.getLogger(__name__)


def load_trained(archive: Path) -> tuple[Model, Tagger]:
    """Classifier and span tagger of a trained model. Raises FileNotFoundError if nothing was trained yet."""
    with _unpacked(archive, "model.npz", "spans.crf") as (model, tagger):
        return Model.load(model), Tagger.load(tagger)


@contextmanager
def _unpacked(archive: Path, *names: str) -> Iterator[list[Path]]:
    with tarfile.open(archive) as packed, TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in names]
        for path in paths:
            source = packed.extractfile(NODE + path.name)
            assert source is not None
            path.write_bytes(source.read())
        yield paths


class TrainedFear:
    """How likely a text tells of each danger, by the newest trained model: what an alarm by words is weighed with (`nlu.emergency`).

    While there is no model it says nothing, so that words are believed. Called from worker threads.
    """

    def __init__(self, archive: Path) -> None:
        self._archive, self._lock = archive, Lock()
        self._read_at = 0
        self._model: Model | None = None

    def __call__(self, text: str) -> Mapping[str, float]:
        model = self._newest()
        return model.fear(text) if model else {}

    def _newest(self) -> Model | None:
        with self._lock:
            try:
                written_at = self._archive.stat().st_mtime_ns
            except FileNotFoundError:
                return self._model
            if written_at != self._read_at:
                self._read_at = written_at
                self._model = self._load() or self._model
            return self._model

    def _load(self) -> Model | None:
        try:
            with _unpacked(self._archive, "model.npz") as (path,):
                return Model.load(path, only_dangers=True)
        except (OSError, EOFError, KeyError, ValueError, tarfile.TarError, zlib.error) as error:
            # Half written or of another version; the whole one will have a time of its own.
            log.warning("fear.model_unreadable error=%s", type(error).__name__)
            return None


class Reader:
    """Reads messages one by one. Without a register places are read by grammar alone."""

    def __init__(self, model: Model, tagger: Tagger, register: Register | None) -> None:
        self._model, self._tagger, self._register = model, tagger, register

    def read(self, text: str, now: datetime) -> Json:
        """What `text` means; offsets refer to it as it was given. Total: any string gives an answer."""
        said = self._model.predict(text)
        reports = may_report(said.intent, said.confidence)
        danger = detect(text, fear=self._model.fear)
        grave = is_danger(said.category)
        danger = danger or suspect(dict(said.dangers), text, said.category, reports=reports, grave=grave)
        alarm = danger if danger and danger.verdict == "alarm" else None
        code = _danger_code(said, alarm)
        takes_over = alarm is not None and not _surely_talk(said)
        intent, category = (REPAIR, code) if takes_over else (said.intent, said.category)
        spans = self._tagger.find(text, intent, said.confidence)
        faults = self._faults(text, said, spans, alarm, code, now)
        return {
            "text": text,
            "intent": intent,
            "confidence": round(said.confidence, _DIGITS),
            "ranking": [_ranked(*entry) for entry in said.ranking[:RANKING_LENGTH]],
            "category": category or None,
            "urgency": min((fault["urgency"] for fault in faults), default=None),
            "emergency": alarm.kind if alarm else None,
            "safety_question": danger.question or None if danger else None,
            "faults": faults,
            "grievance": said.grievance,
            "complaints": [_beside(one) for one in said.complaints],
            "questions": [_beside(one) for one in said.questions],
            "location": _marked(spans, "location"),
            "symptom": _marked(spans, "symptom"),
            "place": self._place(text),
            **_exact_values(text, intent, now),
        }

    def _faults(
        self,
        text: str,
        said: Prediction,
        spans: Sequence[Span],
        alarm: Emergency | None,
        code: str,
        now: datetime,
    ) -> list[Json]:
        """`code` is the category of the danger."""
        told = [(one.category, one.start, one.end) for one in said.faults]
        if alarm is not None and len(told) < 2:
            told = [(code, 0, len(text))]
        places = self._places(text, told, said.complaints)
        spans = [piece for span in spans for piece in _parted(span, [start for _, start, _ in told])]
        found = [
            self._fault(text, *one, spans, now, place, alone=len(told) == 1)
            for one, place in zip(told, places, strict=True)
        ]
        if alarm is not None:
            _alarmed(found, told, text.find(alarm.trigger), alarm, code)
        return found

    def _fault(
        self,
        text: str,
        code: str,
        start: int,
        end: int,
        spans: Sequence[Span],
        now: datetime,
        place: Json | None,
        *,
        alone: bool,
    ) -> Json:
        inside = [span for span in spans if alone or start <= span.start < end]
        words = text if alone else text[start:end]
        return {
            "category": code,
            "urgency": level_for(code, facts_in(words, now), urgent_said=says_urgent(words)),
            "symptom": _marked(inside, "symptom"),
            "location": _marked(
                sorted([*inside, *(_shared_building(inside, spans) if place else ())], key=_start), "location"
            ),
            "place": place,
        }

    def _places(
        self, text: str, told: Sequence[tuple[str, int, int]], complaints: Sequence[Clause]
    ) -> list[Json | None]:
        """Where each fault of a message is: what names no building stands in the one that the message names elsewhere, and a
        fault at home not in a place that everybody shares; and never where only a complaint beside it is."""
        if len(told) == 1:
            alone, public = beside_complaints(text, [one.text for one in complaints]), category(told[0][0]).common
            return [self._place(alone, public=public) or self._place(text, public=public)]
        pieces = [text[start:end] for _, start, end in told]
        own = [self._place(piece) for piece in pieces]
        building = lent(place["key"] for place in own if place)
        whole = self._place(text)
        shared = whole is not None and whole["area"] is not None
        places: list[Json | None] = []
        for (code, _, _), piece, place in zip(told, pieces, own, strict=True):
            if place is None:
                place = self._place(text, at_home=True) if shared and not category(code).common else whole
            elif building and not place["building"]:
                place = self._place(piece, lent([building], unit=not place["unit"]))
            places.append(place)
        return places

    def _place(self, text: str, draft: str = "", *, at_home: bool = False, public: bool | None = None) -> Json | None:
        """`public`: which of a home and a shared place told together is meant, where that is known."""
        if self._register is None:
            place = stated(text, at_home=at_home)
            return _levels(within(place, draft) if place and draft else place)
        found = resolve(text, self._register, draft=draft or None, at_home=at_home)
        if found.action == "none":
            return None
        found = found if public is None else only(found, self._register, public=public)
        if "/" in found.key:
            return _levels(levels_of(found.key, self._register))
        # 「隔壁」 of nobody knows whom, or a building that there is not: no more than the words say.
        said = stated(text, at_home=at_home) or Levels()
        return _levels(replace(said, key=found.key))


def _parted(span: Span, starts: Sequence[int]) -> list[Span]:
    """A symptom that runs on into the next told fault, as one of each: 「对讲机没声音 另外单元门关不严」."""
    cuts = [start for start in starts if span.start < start < span.end]
    if span.label != "symptom" or not cuts:
        return [span]
    edges = [span.start, *cuts, span.end]
    pieces = (span.text[low - span.start : high - span.start] for low, high in pairwise(edges))
    whole = [_bare(piece) for piece in pieces]
    return [
        replace(span, text=words, start=low + skipped, end=low + skipped + len(words))
        for low, (skipped, words) in zip(edges, whole, strict=False)
        if words
    ]


def _bare(piece: str) -> tuple[int, str]:
    """A piece without the marks and connecting words around it, and how many characters stood in front."""
    opened = pattern("openers").match(piece)
    words = piece[opened.end() if opened else 0 :].strip(_MARKS)
    return piece.find(words), words


def _start(span: Span) -> int:
    return span.start


def _shared_building(inside: Sequence[Span], spans: Sequence[Span]) -> list[Span]:
    """The place that names the building, told once for several faults, for one that names none."""
    named = [span for span in spans if span.label == "location" and _names_building(span.text)]
    if len({span.text for span in named}) != 1 or any(span in named for span in inside):
        return []
    return named[:1]


def _names_building(text: str) -> bool:
    found = stated(text)
    return found is not None and bool(found.building)


def _alarmed(found: list[Json], told: Sequence[tuple[str, int, int]], at: int, alarm: Emergency, code: str) -> None:
    """Give the alarm's class to the fault whose words (`told`) gave the alarm, at `at`, else to the one of its category."""
    if len(found) > 1 and (
        inside := [one for one, (_, start, end) in zip(found, told, strict=True) if start <= at < end]
    ):
        inside[0]["urgency"] = alarm.level
        return
    first = next((one for one in found if one["category"] in (alarm.code, code)), found[0])
    first["category"], first["urgency"] = code, alarm.level


def _beside(clause: Clause) -> Json:
    return {"text": clause.text, "category": clause.category}


def _danger_code(said: Prediction, alarm: Emergency | None) -> str:
    """A trigger knows the danger and its class; what is broken the model knows better when it is sure."""
    if said.intent == REPAIR and said.category_confidence >= _SURE:
        return said.category
    return alarm.code if alarm else ""


def _surely_talk(said: Prediction) -> bool:
    """A letter that tells of past dangers, or a question about them, stays what it is, whatever alarm it may cause."""
    return said.intent in (COMPLAINT, QUESTION) and said.confidence >= _SURE


_SURE = 0.8


def _levels(place: Levels | None) -> Json | None:
    if place is None:
        return None
    names = ("phase", "building", "unit", "floor", "room", "area", "key")
    return {name: getattr(place, name) or None for name in names}


def _ranked(name: str, confidence: float) -> Json:
    return {"name": name, "confidence": round(confidence, _DIGITS)}


_NO_WISH = frozenset({QUESTION, "praise", "chitchat", "out_of_scope"})
"""Intents whose times are told or asked about, and not when somebody may come."""


def _exact_values(text: str, intent: str, now: datetime) -> Json:
    """What the parsers read exactly."""
    return {
        "expected_time": None if intent in _NO_WISH else _time(parse_window(text, now)),
        "phone": find_phone(text) or None,
        "ticket_no": find_ticket_no(text) or None,
        "score": _score(text),
    }


def _marked(spans: Sequence[Span], label: str) -> list[Json]:
    return [{"text": one.text, "start": one.start, "end": one.end} for one in spans if one.label == label]


def _time(window: Window | None) -> Json | None:
    if window is None:
        return None
    ends = window.end.isoformat() if window.end else None
    return {"start": window.start.isoformat(), "end": ends, "avoid": bool(window.avoid), "label": window.label}


def _score(text: str) -> int | list[int] | None:
    """One mark, or attitude and quality."""
    marks = find_scores(text).marks
    return list(marks) if len(marks) > 1 else marks[0] if marks else None
