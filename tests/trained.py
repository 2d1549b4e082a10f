"""The model of today's language data, for every test that only reads with it."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from pathlib import Path

from bot import training

ROOT = Path(__file__).resolve().parents[1]


def trained_models() -> Path:
    """Its folder, below .cache/ (ignored by git); trained only if there is none yet. Of several test processes one trains and
    the others wait."""
    folder = ROOT / ".cache" / "models"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "training").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not training.is_current(folder):
            code = "import sys; from pathlib import Path; from bot import training; training.train(Path(sys.argv[1]))"
            subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder
