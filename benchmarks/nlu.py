"""Our understanding beside Rasa's stock pipeline: `python benchmarks/nlu.py [--epochs 100] [--every 1]`.

Both learn from the same messages in one run on one machine and read the same held-out files (tests/nlu/held_out) through
Rasa's own `Agent.parse_message`. The stock pipeline is what a Rasa project starts with: JiebaTokenizer, count vectors over words
and characters 1–4, DIETClassifier, FallbackClassifier. It has no categories, so it learns each (intent, category) as an intent of
its own. Each pipeline runs in a process of its own; the stock one takes most of an hour. docs/nlu.md quotes the table.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

HELD_OUT = ROOT / "tests" / "nlu" / "held_out"
FILES = ("repair", "complaint", "question", "dialogue", "out_of_scope")
JOIN = "+"
STOCK = """recipe: default.v1
language: zh
assistant_id: stock
pipeline:
  - name: JiebaTokenizer
  - name: CountVectorsFeaturizer
  - name: CountVectorsFeaturizer
    analyzer: char_wb
    min_ngram: 1
    max_ngram: 4
  - name: DIETClassifier
    epochs: {epochs}
    random_seed: 1
  - name: FallbackClassifier
    threshold: 0.4
    ambiguity_threshold: 0.1
policies:
  - name: RulePolicy
"""
OURS = """recipe: default.v1
language: zh
assistant_id: ours
pipeline:
  - name: nlu.components.DeskClassifier
    threshold: 0.4
policies:
  - name: RulePolicy
"""


def prepare(folder: Path, which: str, epochs: int, every: int) -> None:
    """A Rasa project with the training messages of data/nlu, for one pipeline."""
    from nlu.classifier import read_examples

    (folder / "config.yml").write_text(STOCK.format(epochs=epochs) if which == "stock" else OURS, "utf-8")
    blocks: dict[tuple[str, str], list[str]] = {}
    for one in read_examples(ROOT / "data" / "nlu")[::every]:
        blocks.setdefault((one.intent, one.category), []).append(_marked(one.text, one.spans))
    lines = ['version: "3.1"', "nlu:"]
    for (intent, category), texts in blocks.items():
        name = f"{intent}{JOIN}{category}" if category and which == "stock" else intent
        lines += [f"- intent: {name}"]
        lines += ["  metadata:", f"    category: {category}"] if category else []
        lines += ["  examples: |", *(f"    - {text}" for text in texts)]
    (folder / "nlu.yml").write_text("\n".join(lines) + "\n", "utf-8")
    names = {f"{i}{JOIN}{c}" if c and which == "stock" else i for i, c in blocks} | {"nlu_fallback"}
    labels = ("location", "symptom", "person", "period", "ticket_no", "category", "phone", "score")
    domain = ["version: '3.1'", "intents:", *(f"- {name}" for name in sorted(names)), "entities:"]
    domain += [*(f"- {name}" for name in labels), "responses:", "  utter_ok: [{text: ok}]"]
    (folder / "domain.yml").write_text("\n".join(domain) + "\n", "utf-8")


def _marked(text: str, spans: tuple[tuple[int, int, str], ...]) -> str:
    for start, end, label in sorted(spans, reverse=True):
        text = f"{text[:start]}[{text[start:end]}]({label}){text[end:]}"
    return text


def held_out() -> list[dict[str, Any]]:
    return [
        {**json.loads(line), "file": name}
        for name in FILES
        for line in (HELD_OUT / f"{name}.jsonl").read_text("utf-8").splitlines()
        if line
    ]


def measure(folder: Path, which: str) -> dict[str, Any]:
    """Train, load, and read every held-out message; runs in a process of its own."""
    import logging
    import warnings

    warnings.filterwarnings("ignore")
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TQDM_DISABLE="1", RASA_TELEMETRY_ENABLED="false")
    import rasa.model_training
    from rasa.core.agent import load_agent
    from rasa.utils.log_utils import configure_structlog

    configure_structlog(logging.WARNING)
    os.chdir(folder)
    started = time.perf_counter()
    result = rasa.model_training.train("domain.yml", "config.yml", ["nlu.yml"], output="models", force_training=True)
    trained = time.perf_counter() - started
    started = time.perf_counter()
    agent = asyncio.run(load_agent(model_path=result.model))
    loaded = time.perf_counter() - started
    read = asyncio.run(_read(agent, held_out()))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"which": which, "train s": trained, "load s": loaded, "memory MB": memory, **read}


async def _read(agent: Any, cases: list[dict[str, Any]]) -> dict[str, Any]:
    await agent.parse_message("热身")
    times, hits, totals = [], Counter[str](), Counter[str]()
    for case in cases:
        started = time.perf_counter()
        said = await agent.parse_message(case["text"])
        times.append((time.perf_counter() - started) * 1e3)
        intent, code = _label(said)
        totals[case["file"]] += 1
        hits[case["file"]] += intent == case["intent"]
        if case.get("category"):
            totals["category"] += 1
            hits["category"] += (intent, code) == (case["intent"], case["category"])
    times.sort()
    share = {f"right, {name}": hits[name] / totals[name] for name in totals}
    every = sum(hits[name] for name in FILES) / sum(totals[name] for name in FILES)
    return {"right, all": every, **share, "p50 ms": times[len(times) // 2], "p99 ms": times[int(len(times) * 0.99)]}


def _label(said: dict[str, Any]) -> tuple[str, str]:
    """Intent and category; behind a fallback the likeliest real class counts for both pipelines."""
    ranking = [one["name"] for one in said["intent_ranking"] if one["name"] != "nlu_fallback"]
    intent, _, code = (ranking[0] if ranking else "").partition(JOIN)
    named = [one["value"] for one in said["entities"] if one["entity"] == "category"]
    return intent, code or (named[0] if named else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--every", type=int, default=1, help="learn from every n-th message only (a quick look)")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        print("RESULT " + json.dumps(measure(Path(options.folder), options.run)))
        return
    rows = {}
    for which in ("ours", "stock"):
        with TemporaryDirectory() as folder:
            prepare(Path(folder), which, options.epochs, options.every)
            command = [sys.executable, __file__, "--run", which, "--folder", folder]
            env = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
            found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
            if not found:
                sys.exit(done.stderr[-3000:])
            rows[which] = json.loads(found[0].removeprefix("RESULT "))
            print(f"{which} measured", file=sys.stderr)
    print(f"| | stock, {options.epochs} epochs | ours | ratio ours : stock |\n|---|---|---|---|")
    for name in [key for key in rows["ours"] if key != "which"]:
        stock, ours = rows["stock"][name], rows["ours"][name]
        print(f"| {name} | {stock:.3f} | {ours:.3f} | {ours / stock if stock else 0:.2f} |")


if __name__ == "__main__":
    main()
