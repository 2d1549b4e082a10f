"""A trained model once per run; one product, which begins again for every test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.harness import Stack
from trained import trained_models


@pytest.fixture(scope="session")
def models() -> Path:
    return trained_models()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Stack]:
    product = Stack(tmp_path_factory.mktemp("product"), models).start()
    product.remember()
    yield product
    product.stop()


@pytest.fixture
def stack(running: Stack) -> Stack:
    """A product in which nobody has said anything yet."""
    running.begin_again()
    return running
