"""A trained model once per run, a fresh product per test."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.harness import ROOT, Stack

from bot import training


@pytest.fixture(scope="session")
def models() -> Path:
    """The model of today's language data, trained only if there is none yet (kept below .cache/, ignored by git). Of several
    test processes one trains and the others wait."""
    folder = ROOT / ".cache" / "models"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "training").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not training.is_current(folder):
            code = "import sys; from pathlib import Path; from bot import training; training.train(Path(sys.argv[1]))"
            subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture
def stack(tmp_path: Path, models: Path) -> Iterator[Stack]:
    running = Stack(tmp_path, models).start()
    yield running
    running.stop()
