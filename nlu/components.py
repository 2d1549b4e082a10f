"""The one graph node that understands a message inside Rasa; the thinking is in nlu/classifier.py and nlu/spans.py."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rasa.engine.graph import ExecutionContext, GraphComponent
from rasa.engine.recipes.default_recipe import DefaultV1Recipe
from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage
from rasa.nlu.classifiers.classifier import IntentClassifier
from rasa.nlu.extractors.extractor import EntityExtractorMixin
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from nlu import classifier, faults, features, graph_runner, normalize, slots, spans, vectors, words
from nlu.classifier import Example, Model, Prediction
from nlu.faults import Clause
from nlu.spans import Tagger

FALLBACK_INTENT = "nlu_fallback"
NOT_FIXED = "not_fixed"

_MODEL_FILE = "model.npz"
_TAGGER_FILE = "spans.crf"
_RANKING_LENGTH = 10
# The files of data/dict/ that features are made of; the others are read by parsers and the desk, and change no model.
LEARNED_FROM = ("concepts.yml", "homophones.yml", "messenger.yml", "slots.yml", "understanding.yml", "words.txt")
_CODE = (classifier, faults, features, spans, normalize, slots, vectors, words)
_DIGITS = 4
_WORTH_SAYING = 0.001

graph_runner.install()


@DefaultV1Recipe.register(
    [DefaultV1Recipe.ComponentType.INTENT_CLASSIFIER, DefaultV1Recipe.ComponentType.ENTITY_EXTRACTOR],
    is_trainable=True,
)
class DeskClassifier(GraphComponent, IntentClassifier, EntityExtractorMixin):  # type: ignore[misc]
    """Intent, category, faults, grievance and entities of one message."""

    def __init__(
        self,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        model: Model | None = None,
        tagger: Tagger | None = None,
    ) -> None:
        self._config = config
        self._storage = model_storage
        self._resource = resource
        self._model = model
        self._tagger = tagger

    @staticmethod
    def get_default_config() -> dict[str, Any]:
        """`threshold`: below this confidence, and for out_of_scope, the intent becomes nlu_fallback."""
        return {"threshold": 0.4}

    @staticmethod
    def required_packages() -> list[str]:
        # Rasa wants names that are both a module and a distribution, which leaves out sklearn and pycrfsuite.
        return ["numpy"]

    @classmethod
    def create(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
    ) -> DeskClassifier:
        return cls(config, model_storage, resource)

    @classmethod
    def load(
        cls,
        config: dict[str, Any],
        model_storage: ModelStorage,
        resource: Resource,
        execution_context: ExecutionContext,
        **_: Any,
    ) -> DeskClassifier:
        with model_storage.read_from(resource) as folder:
            model, tagger = Model.load(folder / _MODEL_FILE), Tagger.load(folder / _TAGGER_FILE)
        # The first message must not pay for reading the dictionaries.
        model.predict("")
        return cls(config, model_storage, resource, model, tagger)

    @classmethod
    def fingerprint_addon(cls, config: dict[str, Any]) -> str | None:
        """Word lists and the code of the features: editing one must retrain, which Rasa cannot see by itself."""
        digest = hashlib.sha256()
        code = (Path(str(module.__file__)) for module in _CODE)
        for path in [*(words.DICT_DIR / name for name in LEARNED_FROM), *code]:
            digest.update(path.name.encode() + path.read_bytes())
        return digest.hexdigest()

    def train(self, training_data: TrainingData) -> Resource:
        """Fit the classifier and the tagger side by side and store both."""
        known = [_example(message) for message in training_data.intent_examples]
        # Not forked: Rasa's libraries have started threads.
        with ProcessPoolExecutor(1, get_context("spawn")) as beside:
            tagging = beside.submit(spans.train_tagger, [one for one in known if not one.faults])
            self._model = classifier.train(known)
            self._tagger = tagging.result()
        with self._storage.write_to(self._resource) as folder:
            self._model.save(folder / _MODEL_FILE)
            self._tagger.save(folder / _TAGGER_FILE)
        return self._resource

    def process(self, messages: list[Message]) -> list[Message]:
        """Write what each message means into it; a picture or a place without text is a fallback."""
        for message in messages:
            self._understand(message, message.get("text") or "")
        return messages

    def process_training_data(self, training_data: TrainingData) -> TrainingData:
        return training_data

    def _understand(self, message: Message, text: str) -> None:
        if self._model is None or self._tagger is None:
            raise RuntimeError("DeskClassifier is neither trained nor loaded")
        meaning = self._model.predict(text)
        ranking = [_named(*entry) for entry in meaning.ranking[:_RANKING_LENGTH]]
        if meaning.intent == classifier.OUT_OF_SCOPE or meaning.confidence < self._threshold:
            # The real classes stay visible behind the fallback, for questions such as "did you mean …".
            ranking.insert(0, _named(FALLBACK_INTENT, self._fallback_confidence(meaning)))
        message.set("intent", ranking[0], add_to_output=True)
        message.set("intent_ranking", ranking, add_to_output=True)
        entities = self._entities(text, meaning)
        message.set("entities", message.get("entities", []) + entities, add_to_output=True)
        message.set(
            "category_ranking",
            [_named(*entry) for entry in meaning.category_ranking[:_RANKING_LENGTH]],
            add_to_output=True,
        )
        dangers = [_named(*entry) for entry in meaning.dangers if entry[1] >= _WORTH_SAYING]
        message.set("dangers", dangers, add_to_output=True)
        message.set("faults", [_clause(clause) for clause in meaning.faults], add_to_output=True)
        if meaning.intent == NOT_FIXED:
            # Where no job was finished lately, it is a new report.
            anew = self._model.split_faults(text)
            message.set("anew", [_clause(clause) for clause in anew], add_to_output=True)
        message.set("grievance", meaning.grievance, add_to_output=True)
        message.set("complaints", [_clause(clause) for clause in meaning.complaints], add_to_output=True)
        message.set("questions", [_clause(clause) for clause in meaning.questions], add_to_output=True)

    @property
    def _threshold(self) -> float:
        return float(self._config["threshold"])

    def _fallback_confidence(self, meaning: Prediction) -> float:
        return meaning.confidence if meaning.intent == classifier.OUT_OF_SCOPE else 1 - meaning.confidence

    def _entities(self, text: str, meaning: Prediction) -> list[dict[str, Any]]:
        assert self._tagger is not None
        found = [*self._tagged(text, meaning), *_read_slots(text)]
        if meaning.category:
            found.append(_entity("category", meaning.category, 0, len(text), meaning.category_confidence))
        for entity in found:
            entity["extractor"] = self.name
        return found

    def _tagged(self, text: str, meaning: Prediction) -> Iterator[dict[str, Any]]:
        """Spans of the tagger, but never those that a parser reads exactly."""
        assert self._tagger is not None
        for span in self._tagger.find(text, meaning.intent, meaning.confidence):
            if span.label != "ticket_no":
                yield _entity(span.label, span.text, span.start, span.end, span.confidence)


def _read_slots(text: str) -> Iterator[dict[str, Any]]:
    """What a parser reads exactly, once each."""
    if phone := slots.find_phone(text):
        yield _entity("phone", phone, *_where(text, phone))
    if ticket_no := slots.find_ticket_no(text):
        yield _entity("ticket_no", ticket_no, *_where(text, ticket_no))
    for mark in slots.find_scores(text).marks:
        yield _entity("score", mark, *_where(text, str(mark)))


def _where(text: str, value: str) -> tuple[int, int]:
    """The place of a value that is written as it is; otherwise the whole text."""
    at = text.find(value)
    return (at, at + len(value)) if at >= 0 else (0, len(text))


def _entity(label: str, value: Any, start: int, end: int, confidence: float = 1.0) -> dict[str, Any]:
    return {
        "entity": label,
        "value": value,
        "start": start,
        "end": end,
        "confidence_entity": round(confidence, _DIGITS),
    }


def _named(name: str, confidence: float) -> dict[str, Any]:
    return {"name": name, "confidence": round(confidence, _DIGITS)}


def _clause(clause: Clause) -> dict[str, Any]:
    return {
        "text": clause.text,
        "start": clause.start,
        "end": clause.end,
        "category": clause.category,
        "confidence": round(clause.confidence, _DIGITS),
    }


def _example(message: Message) -> Example:
    """A training message of Rasa as ours; the category stands in the metadata of its block or of the line."""
    about = message.get("metadata") or {}
    metadata = {**(about.get("intent") or {}), **(about.get("example") or {})}
    category = str(metadata.get("category", ""))
    if category and not classifier.CATEGORY_CODE.fullmatch(category):
        raise ValueError(f"category {category!r} of {message.get('text')!r} is not a code such as W02")
    found = tuple(
        sorted((entity["start"], entity["end"], entity["entity"]) for entity in message.get("entities") or ())
    )
    danger = str(metadata.get("danger", ""))
    return Example(message.get("text") or "", message.get("intent"), category, found, danger)
