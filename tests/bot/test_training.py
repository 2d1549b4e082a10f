"""What a change makes be learned again: word lists and messages do, response texts do not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bot import training

pytest.importorskip("rasa")

SCRIPT = """
import json, sys
from pathlib import Path
root, models = Path(sys.argv[1]), Path(sys.argv[2])
from bot import training
from nlu import words
training.ROOT, words.DICT_DIR = root, root / "data" / "dict"
training.train(models)
import rasa.model_training

def learned_again():
    found = rasa.model_training.train(
        domain=["domain.yml", "data/responses"], config="config.yml", training_files=["data/nlu", "data/rules"],
        output=str(models), dry_run=True,
    )
    return not found.dry_run_results["train_nlu.components.DeskClassifier0"].is_hit

result = {"nothing": learned_again()}
responses = root / "data" / "responses" / "dialogue.yml"
responses.write_text(responses.read_text("utf-8").replace("。", "。您好。", 1), "utf-8")
result["response"] = learned_again()
concepts = root / "data" / "dict" / "concepts.yml"
before = concepts.read_text("utf-8")
concepts.write_text(before + "\\nnew_thing: 新东西\\n", "utf-8")
result["dictionary"] = learned_again()
concepts.write_text(before, "utf-8")
messages = root / "data" / "nlu" / "some.yml"
messages.write_text(messages.read_text("utf-8").replace("- 你好", "- 你好呀", 1), "utf-8")
result["message"] = learned_again()
print("RESULT " + json.dumps(result))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project's files with a few messages of every intent."""
    root = tmp_path / "project"
    for name in ("domain.yml", "config.yml", "uv.lock"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(training.ROOT / name, root / name)
    for folder in ("data/rules", "data/responses", "data/dict", "nlu"):
        shutil.copytree(training.ROOT / folder, root / folder)
    (root / "data" / "nlu").mkdir()
    first: dict[tuple[str, str], dict[str, object]] = {}
    for path in sorted((training.ROOT / "data" / "nlu").glob("*.yml")):
        for block in yaml.safe_load(path.read_text("utf-8"))["nlu"]:
            some = {**block, "examples": "\n".join(str(block["examples"]).splitlines()[:2]) + "\n"}
            first.setdefault((block["intent"], block.get("metadata", {}).get("category", "")), some)
    blocks = [*first.values(), {"intent": "greet", "examples": "- 你好\n"}]
    text = yaml.safe_dump({"version": "3.1", "nlu": blocks}, allow_unicode=True)
    (root / "data" / "nlu" / "some.yml").write_text(text, "utf-8")
    return root


def test_only_what_depends_on_a_change_is_learned_again(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(project), str(tmp_path / "models")]
    done = subprocess.run(command, cwd=training.ROOT, capture_output=True, text=True, timeout=900)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stderr[-2000:]
    assert json.loads(lines[0].removeprefix("RESULT ")) == {
        "nothing": False,
        "response": False,
        "dictionary": True,
        "message": True,
    }


@pytest.mark.parametrize(
    "name", ["data/dict/words.txt", "data/nlu/some.yml", "data/responses/dialogue.yml", "nlu/spans.py"]
)
def test_the_trained_model_knows_what_it_was_made_of(project: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(training, "ROOT", project)
    before = training.fingerprint()
    with (project / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert training.fingerprint() != before
