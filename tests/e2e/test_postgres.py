"""The main loop once more, on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import test_repair_loop
from e2e.harness import Stack
from sqlalchemy import Engine, text

pytestmark = pytest.mark.e2e

# The same tests, with the `stack` of this module.
test_leak_from_sentence_to_closed = test_repair_loop.test_leak_from_sentence_to_closed_and_rated
test_not_fixed_goes_back = test_repair_loop.test_not_fixed_goes_back_to_the_same_worker_on_the_same_number


@pytest.fixture
def stack(tmp_path: Path, models: Path, postgres: Engine) -> Iterator[Stack]:
    """A fresh product on a database of its own, like the one of the other tests."""
    name = f"e2e_{tmp_path.name[-12:]}".lower()
    with postgres.connect() as connection:
        connection.execute(text(f'create database "{name}"'))
    url = postgres.url.set(database=name).render_as_string(hide_password=False)
    running = Stack(tmp_path, models, database_url=url).start()
    yield running
    running.stop()


def test_it_really_is_postgresql(stack: Stack) -> None:
    with stack.session() as session:
        assert session.get_bind().dialect.name == "postgresql"
        assert "PostgreSQL" in str(session.execute(text("select version()")).scalar())
