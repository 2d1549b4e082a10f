"""Training the Rasa model, and knowing when that is needed: a hash over everything the model is made of."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import warnings
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parent.parent
MODEL_NAME = "guanjia"
SOURCES = ("domain.yml", "config.yml", "uv.lock")
FOLDERS = (
    ("data/nlu", "*.yml"),
    ("data/rules", "*.yml"),
    ("data/responses", "*.yml"),
    ("data/dict", "*"),
    ("nlu", "*.py"),
)


def fingerprint() -> str:
    """Changes exactly when language data, rules or the understanding code change."""
    files = [ROOT / name for name in SOURCES]
    for folder, pattern in FOLDERS:
        files += sorted((ROOT / folder).glob(pattern))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def model_path(models: Path) -> Path:
    return models / f"{MODEL_NAME}.tar.gz"


def is_current(models: Path) -> bool:
    """Whether the trained model belongs to today's data."""
    stamp = models / "fingerprint.json"
    if not stamp.is_file() or not model_path(models).is_file():
        return False
    return bool(json.loads(stamp.read_text("utf-8")).get("fingerprint") == fingerprint())


def _prepare(models: Path) -> None:
    """What Rasa and its libraries read when they are imported."""
    warnings.filterwarnings("ignore")
    os.environ["RASA_TELEMETRY_ENABLED"] = "false"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("ACTIONS_PORT", "5055")
    os.environ["RASA_CACHE_DIRECTORY"] = str((models / "cache").absolute())
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))


def train(models: Path, *, force: bool = False) -> Path:
    """Train and store the model. Needs the `rasa` extra. Raises RuntimeError if Rasa refuses the data.

    Parts whose data did not change come from Rasa's cache: a new response text is packed in two or three minutes, in
    which Rasa reads every message again, without training.
    """
    _prepare(models)
    import rasa.model_training
    from rasa.utils.log_utils import configure_structlog

    # At its default level structlog formats every state of every rule.
    configure_structlog(logging.WARNING)
    logging.getLogger("rasa").setLevel(logging.WARNING)
    made_of = fingerprint()
    models.mkdir(parents=True, exist_ok=True)
    result = rasa.model_training.train(
        # Rasa takes a list of domain files here, so that response texts can live in data/.
        domain=["domain.yml", "data/responses"],
        config="config.yml",
        training_files=["data/nlu", "data/rules"],
        output=str(models),
        fixed_model_name=MODEL_NAME,
        force_training=force,
    )
    if result.code != 0 or not result.model:
        raise RuntimeError(f"rasa train ended with code {result.code}")
    (models / "fingerprint.json").write_text(json.dumps({"fingerprint": made_of}), "utf-8")
    return Path(result.model)


def swap(rasa_url: str, token: str, model: Path) -> bool:
    """Let a running Rasa take over the new model without a restart; whether one was running and did.

    Rasa answers on with the old model while it loads, so no message is lost.
    """
    try:
        answer = httpx.put(f"{rasa_url}/model", params={"token": token}, json={"model_file": str(model)}, timeout=120)
    except httpx.HTTPError:
        return False
    return answer.status_code == 204
