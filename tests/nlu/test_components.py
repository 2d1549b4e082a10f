"""The Rasa node and the tracker store, with real Rasa around them and little training data."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from trained import trained_models

pytest.importorskip("rasa")

from rasa.engine.graph import ExecutionContext, GraphSchema
from rasa.engine.storage.local_model_storage import LocalModelStorage
from rasa.engine.storage.resource import Resource
from rasa.shared.core.domain import Domain
from rasa.shared.core.events import ActionExecuted, ActiveLoop, BotUttered, SessionStarted, SlotSet, UserUttered
from rasa.shared.core.trackers import DialogueStateTracker
from rasa.shared.nlu.training_data.loading import load_data
from rasa.shared.nlu.training_data.message import Message
from rasa.shared.nlu.training_data.training_data import TrainingData

from bot.training import model_path
from bot.understanding import load_trained
from nlu import classifier, words
from nlu.components import FALLBACK_INTENT, LEARNED_FROM, DeskClassifier
from nlu.spans import Tagger, train_tagger
from nlu.tracker_store import BoundedTrackerStore

ROOT = Path(__file__).resolve().parents[2]
CONFIG = {**DeskClassifier.get_default_config()}


# --- DeskClassifier ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> DeskClassifier:
    """Trained by Rasa's own loader on every twelfth message, stored, and loaded again."""
    folder = tmp_path_factory.mktemp("model")
    whole = load_data(str(ROOT / "data" / "nlu"))
    data = TrainingData(training_examples=whole.intent_examples[::12])
    storage, resource = LocalModelStorage(folder), Resource("desk")
    context = ExecutionContext(GraphSchema({}), model_id="test")
    DeskClassifier.create(CONFIG, storage, resource, context).train(data)
    return DeskClassifier.load(CONFIG, storage, resource, context)


def parse(node: DeskClassifier, text: str | None) -> dict[str, Any]:
    message = Message({"text": text})
    node.process([message])
    return {name: message.get(name) for name in message.output_properties if name != "text"}


def test_output(node: DeskClassifier) -> None:
    text = "楼道灯坏了好几天了 还有我家马桶堵了 急 电话13800001111"
    found = parse(node, text)
    assert found["intent"]["name"] == "report_repair"
    assert found["intent"] == found["intent_ranking"][0]
    assert node._model is not None
    read = node._model.predict(text)
    assert [fault["category"] for fault in found["faults"]] == [clause.category for clause in read.faults] != []
    assert all(text[fault["start"] : fault["end"]] == fault["text"] for fault in found["faults"])
    assert found["grievance"] is read.grievance
    assert found["questions"] == found["complaints"] == []
    values = {entity["entity"]: entity for entity in found["entities"]}
    assert values["phone"]["value"] == "13800001111"
    assert values["category"]["value"] == found["category_ranking"][0]["name"]
    assert {"entity", "value", "start", "end", "confidence_entity", "extractor"} <= set(values["phone"])


def test_a_job_that_did_not_last_is_read_as_a_new_report_too(node: DeskClassifier) -> None:
    assert node._model is not None
    found = parse(node, "修完没两天马桶又堵了")
    assert (found["intent"]["name"], found["faults"]) == ("not_fixed", [])
    assert [fault["category"] for fault in found["anew"]] == ["W04"]
    assert "anew" not in parse(node, "马桶堵了")


@pytest.mark.parametrize("text", [None, "", "  ", "\u200b"])
def test_nothing_to_read_is_a_fallback(node: DeskClassifier, text: str | None) -> None:
    assert parse(node, text)["intent"]["name"] == FALLBACK_INTENT


def test_out_of_scope_is_a_fallback_that_keeps_the_ranking(node: DeskClassifier) -> None:
    found = parse(node, "明天股票会涨吗 推荐一只基金")
    assert found["intent"]["name"] == FALLBACK_INTENT
    assert found["intent_ranking"][1]["name"] == classifier.OUT_OF_SCOPE
    assert found["faults"] == []


def test_low_confidence_is_a_fallback(node: DeskClassifier) -> None:
    strict = DeskClassifier({"threshold": 1.1}, node._storage, node._resource, node._model, node._tagger)
    found = parse(strict, "马桶堵了")
    assert found["intent"]["name"] == FALLBACK_INTENT
    assert found["intent_ranking"][1]["name"] == "report_repair"


def test_numbers_are_read_by_the_parsers(node: DeskClassifier) -> None:
    values = {(entity["entity"], entity["value"]) for entity in parse(node, "0007号单态度5分质量4分")["entities"]}
    assert {("ticket_no", "0007"), ("score", 5), ("score", 4)} <= values


@pytest.mark.parametrize("name", [*LEARNED_FROM, "desk.yml"])
def test_editing_a_list_that_is_learned_from_changes_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = DeskClassifier.fingerprint_addon(CONFIG)
    monkeypatch.setattr(words, "DICT_DIR", copytree(words.DICT_DIR, tmp_path / "dict"))
    assert DeskClassifier.fingerprint_addon(CONFIG) == before
    with (words.DICT_DIR / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert (DeskClassifier.fingerprint_addon(CONFIG) != before) is (name in LEARNED_FROM)


def test_nothing_else_is_learned_from() -> None:
    """Every file of data/dict/ that training and reading open is part of the fingerprint."""
    program = """
import sys
opened = set()
sys.addaudithook(lambda event, told: event == "open" and "dict" in str(told[0]) and opened.add(str(told[0])))
from pathlib import Path
from shutil import copytree
from nlu import classifier, components, spans
examples = [one for at, one in enumerate(classifier.read_examples(Path("data/nlu"))) if at % 100 == 0]
model, tagger = classifier.train(examples), spans.train_tagger(examples)
for one in examples[:50]:
    model.predict(one.text), tagger.find(one.text), list(components._read_slots(one.text))
print(*sorted(Path(one).name for one in opened if Path(one).parent.name == "dict"))
"""
    root = words.DICT_DIR.parents[1]
    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(LEARNED_FROM)


def test_a_wrong_category_in_the_data_is_told(node: DeskClassifier) -> None:
    wrong = Message({"text": "漏水", "intent": "report_repair", "metadata": {"intent": {"category": "water"}}})
    with pytest.raises(ValueError, match="water"):
        DeskClassifier(CONFIG, node._storage, node._resource).train(TrainingData(training_examples=[wrong]))


# --- spans ------------------------------------------------------------------------------------------------------------


def test_spans(tmp_path: Path) -> None:
    tagger = train_tagger(classifier.read_examples(ROOT / "data" / "nlu")[::12])
    path = tmp_path / "spans.crf"
    tagger.save(path)
    text = "3栋2单元1502厨房水龙头一直滴水"
    assert Tagger.load(path).find(text) == tagger.find(text)
    found = load_trained(model_path(trained_models()))[1].find(text)
    assert any(span.label == "location" and "1502" in span.text for span in found)
    assert all(text[span.start : span.end] == span.text for span in found)
    for odd in ("", " ", "\x00", "💧" * 30, "漏" * 5000):
        tagger.find(odd)


@pytest.mark.parametrize(
    ("text", "place"), [("3栋2单元今天停水吗", "3栋2单元"), ("地下车库月租多少", "地下车库"), ("物业费怎么交", "")]
)
def test_a_question_names_its_place_too(text: str, place: str) -> None:
    found = load_trained(model_path(trained_models()))[1].find(text)
    assert [span.text for span in found] == ([place] if place else [])


# --- tracker store ----------------------------------------------------------------------------------------------------

DOMAIN = """
version: "3.1"
intents: [greet]
entities: [location]
slots:
  location: {type: text, mappings: [{type: custom}]}
  count: {type: float, initial_value: 1, mappings: [{type: custom}]}
forms: {repair_form: {required_slots: [location]}}
responses: {utter_hi: [{text: hi}]}
"""


@pytest.fixture(scope="module")
def domain() -> Domain:
    return Domain.from_yaml(DOMAIN)


@pytest.fixture
def opened(tmp_path: Path, domain: Domain) -> Iterator[Callable[..., BoundedTrackerStore]]:
    stores: list[BoundedTrackerStore] = []

    def open_one(**options: Any) -> BoundedTrackerStore:
        stores.append(BoundedTrackerStore(domain, path=str(tmp_path / "deep" / "tracker.db"), **options))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


async def turn(
    store: BoundedTrackerStore, text: str, slots: dict[str, Any] | None = None, loop: str | None = "", sender: str = "u"
) -> DialogueStateTracker:
    """One resident message and the bot's answer; `loop` opens (a name) or closes (None) a form."""
    tracker = await store.get_or_create_tracker(sender)
    events: list[Any] = [UserUttered(text, {"name": "greet", "confidence": 1.0})]
    events += [] if loop == "" else [ActiveLoop(loop)]
    events += [SlotSet(name, value) for name, value in (slots or {}).items()]
    events += [ActionExecuted("utter_hi"), BotUttered("hi"), ActionExecuted("action_listen")]
    tracker.update_with_events(events, store.domain)
    await store.save(tracker)
    return tracker


def state(tracker: DialogueStateTracker | None) -> Any:
    assert tracker is not None
    loop = tracker.active_loop.name if tracker.active_loop else None
    said = tracker.latest_message.text if tracker.latest_message else None
    return tracker.current_slot_values(), loop, said, tracker.latest_action_name


@pytest.mark.parametrize("cached", [256, 0])
def test_state_survives_any_length(opened: Callable[..., BoundedTrackerStore], cached: int) -> None:
    async def chat() -> None:
        store = opened(cached_trackers=cached)
        for number in range(300):
            slots = {"location": f"p{number}", "count": None if number % 2 else 3.0} if number % 7 == 0 else None
            loop = {100: "repair_form", 180: None, 290: "repair_form"}.get(number, "")
            live = await turn(store, f"m{number}", slots, loop)
            if number % 10 == 0:
                again = await opened(cached_trackers=0).retrieve("u")
                assert state(again) == state(live), number
                assert again is not None
                inside = 100 <= number <= 200
                assert inside or len(again.events) <= 160, number
        full = await store.retrieve_full_tracker("u")
        assert full is not None
        assert sum(isinstance(event, UserUttered) for event in full.events) == 300

    asyncio.run(chat())


def test_cut_is_between_turns(opened: Callable[..., BoundedTrackerStore]) -> None:
    async def chat() -> None:
        store = opened()
        for number in range(60):
            await turn(store, f"m{number}", {"location": f"p{number}"})
        again = await opened().retrieve("u")
        assert again is not None
        kinds = [type(event) for event in again.events]
        assert kinds[0] is SessionStarted
        first_user = kinds.index(UserUttered)
        assert set(kinds[1 : first_user - 1]) <= {SlotSet}
        before = again.events[first_user - 1]
        assert isinstance(before, ActionExecuted)
        assert before.action_name == "action_listen"

    asyncio.run(chat())


def test_a_new_session_begins_clean(opened: Callable[..., BoundedTrackerStore]) -> None:
    async def chat() -> None:
        store = opened()
        await turn(store, "old", {"location": "x"})
        tracker = await store.retrieve("u")
        assert tracker is not None
        tracker.update_with_events([SessionStarted(), ActionExecuted("action_listen")], store.domain)
        await store.save(tracker)
        again = await store.retrieve("u")
        assert again is not None
        assert again.get_slot("location") is None
        assert [type(event) for event in again.events] == [SessionStarted, ActionExecuted]
        full = await store.retrieve_full_tracker("u")
        assert full is not None
        assert len(full.events) == 8

    asyncio.run(chat())


def test_a_tracker_made_by_hand_replaces_the_live_part(opened: Callable[..., BoundedTrackerStore]) -> None:
    async def chat() -> None:
        store = opened()
        await turn(store, "old", {"location": "x"})
        made = DialogueStateTracker.from_events("u", [SlotSet("location", "y")], store.domain.slots)
        await store.save(made)
        again = await store.retrieve("u")
        assert again is not None
        assert again.get_slot("location") == "y"
        assert len(again.events) == 1

    asyncio.run(chat())


def test_an_unsaved_turn_is_forgotten(opened: Callable[..., BoundedTrackerStore]) -> None:
    async def chat() -> None:
        store = opened()
        await turn(store, "kept", {"location": "x"})
        broken = await store.retrieve("u")
        assert broken is not None
        broken.update(SlotSet("location", "lost"), store.domain)
        again = await store.retrieve("u")
        assert again is not None
        assert again is not broken
        assert again.get_slot("location") == "x"

    asyncio.run(chat())


def test_two_stores_on_one_file(opened: Callable[..., BoundedTrackerStore]) -> None:
    async def chat() -> None:
        one, two = opened(), opened()
        await turn(one, "a", {"location": "from one"})
        await turn(two, "b", {"location": "from two"})
        mine = await one.retrieve("u")
        assert mine is not None
        assert mine.get_slot("location") == "from two"
        # Both hold it at once: nobody's events are lost.
        yours = await two.retrieve("u")
        assert yours is not None
        for tracker, store in ((mine, one), (yours, two)):
            tracker.update(UserUttered(str(id(store))), store.domain)
            await store.save(tracker)
        full = await one.retrieve_full_tracker("u")
        assert full is not None
        assert sum(isinstance(event, UserUttered) for event in full.events) == 4

    asyncio.run(chat())


def test_unknown_and_listed_senders(opened: Callable[..., BoundedTrackerStore]) -> None:
    async def chat() -> None:
        store = opened()
        assert await store.retrieve("nobody") is None
        assert not await store.exists("nobody")
        await turn(store, "hi", sender="a")
        await turn(store, "hi", sender="b")
        assert sorted(await store.keys()) == ["a", "b"]
        assert await store.exists("a")

    asyncio.run(chat())


WRITER = """
import asyncio, sys
sys.path.insert(0, "tests/nlu")
from rasa.shared.core.domain import Domain
from nlu.tracker_store import BoundedTrackerStore
import test_components as t
store = BoundedTrackerStore(Domain.from_yaml(t.DOMAIN), path=sys.argv[1])
async def chat():
    number = 0
    while True:
        await t.turn(store, f"m{number}", {"location": f"p{number}"}, sender=sys.argv[2])
        print(number, flush=True)
        number += 1
asyncio.run(chat())
"""


def test_killed_writers_lose_nothing_they_confirmed(tmp_path: Path, domain: Domain) -> None:
    path = tmp_path / "tracker.db"
    writers = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", WRITER, str(path), sender],
            cwd=ROOT,
            stdout=(tmp_path / sender).open("w"),
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))},
        )
        for sender in ("a", "b")
    ]
    try:
        deadline = time.monotonic() + 300
        while any(len((tmp_path / s).read_text().splitlines()) < 60 for s in "ab") and time.monotonic() < deadline:
            assert [writer.poll() for writer in writers] == [None, None]
            time.sleep(0.1)
    finally:
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
            writer.wait()
    with sqlite3.connect(path) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store = BoundedTrackerStore(domain, path=str(path))
    for sender in "ab":
        confirmed = int((tmp_path / sender).read_text().splitlines()[-1])
        tracker = asyncio.run(store.retrieve(sender))
        assert tracker is not None
        assert int(str(tracker.get_slot("location"))[1:]) >= confirmed >= 59
        assert tracker.latest_action_name == "action_listen"
    store.close()
