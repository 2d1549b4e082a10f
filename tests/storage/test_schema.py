"""The schema: made by the migrations, equal to the models, the same on both databases; times come back as they went in."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from deskhelp import NOW
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.exc import OperationalError, ProgrammingError, StatementError
from sqlalchemy.orm import Session

from bot.demo import load_demo
from storage.database import migrate, read_sessions, sessions
from storage.models import Base, Community, Household, OutboxMessage, Resident, Staff


def test_migrating_makes_every_table_and_twice_changes_nothing(empty_engine: Engine) -> None:
    migrate(empty_engine)
    tables = set(inspect(empty_engine).get_table_names())
    assert tables == set(Base.metadata.tables) | {"alembic_version"}
    with sessions(empty_engine).begin() as session:
        session.add(Community(code="x", name="某小区", register_spec={}))
    migrate(empty_engine)
    with sessions(empty_engine)() as session:
        assert [one.name for one in session.scalars(select(Community))] == ["某小区"]


def test_the_models_are_the_migrated_schema(empty_engine: Engine) -> None:
    migrate(empty_engine)
    with empty_engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_checks_of_the_models_are_in_the_schema(empty_engine: Engine) -> None:
    """Autogenerate does not compare CHECK constraints, so they are compared here."""
    migrate(empty_engine)
    inspector = inspect(empty_engine)
    for table in Base.metadata.sorted_tables:
        there = {check["name"] for check in inspector.get_check_constraints(table.name)}
        wanted = {str(one.name) for one in table.constraints if one.__visit_name__ == "check_constraint"}
        assert wanted <= there, table.name


def test_loading_the_demo_again_adds_nothing(session: Session) -> None:
    def counts() -> list[int]:
        return [len(session.scalars(select(model.id)).all()) for model in (Household, Resident, Staff, Community)]

    before = counts()
    load_demo(session, "demo", NOW)
    session.flush()
    assert counts() == before
    assert before[0] > 500
    assert before[1:] == [6, 14, 1]


@pytest.mark.parametrize(
    "moment",
    [
        NOW,
        datetime(2025, 6, 12, 1, 0, tzinfo=UTC),
        datetime(2025, 1, 1, 0, 0, 0, 123456, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
        datetime(2024, 2, 29, 23, 59, 59, tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_a_moment_comes_back_as_the_same_moment_in_utc(session: Session, moment: datetime) -> None:
    session.add(OutboxMessage(dedupe_key="k", text="", created_at=moment, due_at=moment))
    session.flush()
    session.expire_all()
    row = session.scalars(select(OutboxMessage).where(OutboxMessage.due_at == moment)).one()
    assert row.due_at == moment
    assert row.due_at.utcoffset() == timedelta(0)
    assert row.sent_at is None


def test_moments_of_different_zones_compare_rightly_in_queries(session: Session) -> None:
    session.add(OutboxMessage(dedupe_key="k", text="", created_at=NOW, due_at=NOW))
    session.flush()
    earlier = datetime(2025, 6, 12, 0, 59, tzinfo=UTC)
    assert session.scalars(select(OutboxMessage).where(OutboxMessage.due_at <= earlier)).all() == []
    assert session.scalars(select(OutboxMessage).where(OutboxMessage.due_at <= earlier + timedelta(minutes=1))).all()


def test_a_moment_without_a_zone_is_refused(session: Session) -> None:
    session.add(OutboxMessage(dedupe_key="k", text="", created_at=datetime(2025, 6, 12, 9, 0), due_at=NOW))
    with pytest.raises(StatementError, match="naive"):
        session.flush()
    session.rollback()


def test_reading_goes_on_while_someone_writes(engine: Engine) -> None:
    with sessions(engine)() as writer:
        writer.add(Community(code="new", name="未提交", register_spec={}))
        writer.flush()
        with read_sessions(engine)() as reader:
            assert [one.code for one in reader.scalars(select(Community))] == ["demo"]
        writer.rollback()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_sqlite_is_set_up_for_several_processes(engine: Engine) -> None:
    with engine.connect() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30000}


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_writing_session_has_the_write_lock_from_its_first_statement(engine: Engine) -> None:
    """Otherwise two workers would both read "still free" before either writes."""
    assert engine.url.database
    with sessions(engine)() as first:
        first.scalars(select(Community)).all()
        other = sqlite3.connect(engine.url.database, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.close()


def test_nothing_is_stored_in_a_table_that_is_not_there(empty_engine: Engine) -> None:
    with sessions(empty_engine)() as session, pytest.raises((OperationalError, ProgrammingError)):
        session.scalars(select(Community)).all()
