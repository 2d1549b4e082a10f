"""A trained model once per run, a fresh product per test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.harness import Stack
from trained import trained_models


@pytest.fixture(scope="session")
def models() -> Path:
    return trained_models()


@pytest.fixture
def stack(tmp_path: Path, models: Path) -> Iterator[Stack]:
    running = Stack(tmp_path, models).start()
    yield running
    running.stop()
