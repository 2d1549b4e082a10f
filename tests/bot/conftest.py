"""What the tests of this folder share."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from doorhelp import Door
from sqlalchemy import Engine

from bot.rasa_client import RasaClient


@pytest.fixture
def door(engine: Engine, tmp_path: Path) -> Iterator[Door]:
    rasa = RasaClient("http://127.0.0.1:9", "secret", "http://127.0.0.1:9")
    yield Door(engine, tmp_path, rasa)
    asyncio.run(rasa.close())
