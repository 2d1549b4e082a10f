"""Settings: environment over `.env` over defaults, and an error that names what is wrong."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from bot.settings import ENV_NAMES, Settings, SettingsError, load_settings, read_dotenv


def load(root: Path, **environ: str) -> Settings:
    return load_settings(environ, root)


def test_without_any_setting_everything_has_a_value(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.data_dir == tmp_path / "var"
    assert settings.database_url == f"sqlite:///{tmp_path / 'var' / 'guanjia.db'}"
    assert settings.address == "http://127.0.0.1:8080"
    assert settings.rasa_url == "http://127.0.0.1:5005"
    assert settings.actions_url == "http://127.0.0.1:5055"
    assert settings.demo
    assert settings.telegram_bot_token == ""


def test_names_are_unique_and_one_per_field() -> None:
    assert len(set(ENV_NAMES)) == len(fields(Settings))


def test_settings_do_not_change(tmp_path: Path) -> None:
    with pytest.raises(FrozenInstanceError):
        load(tmp_path).port = 1  # type: ignore[misc]


def test_environment_wins_over_dotenv_over_default(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GUANJIA_PORT=9001\nGUANJIA_RASA_PORT=9002\n", "utf-8")
    settings = load(tmp_path, GUANJIA_PORT="9003")
    assert (settings.port, settings.rasa_port, settings.actions_port) == (9003, 9002, 5055)


def test_an_empty_value_is_no_value(tmp_path: Path) -> None:
    assert load(tmp_path, GUANJIA_PORT="", GUANJIA_COMMUNITY="  ").community == "demo"


def test_dotenv_knows_comments_quotes_and_equal_signs(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# A=1\n\nB = two words \nC=\"quoted\"\nD='x=y'\nE\n", "utf-8")
    assert read_dotenv(file) == {"B": "two words", "C": "quoted", "D": "x=y"}
    assert read_dotenv(tmp_path / "none") == {}


@pytest.mark.parametrize(
    ("host", "demo", "expected"),
    [
        ("127.0.0.1", "auto", True),
        ("localhost", "auto", True),
        ("0.0.0.0", "auto", False),
        ("0.0.0.0", "on", True),
        ("127.0.0.1", "off", False),
    ],
)
def test_demo_is_on_by_itself_only_on_this_machine(tmp_path: Path, host: str, demo: str, expected: bool) -> None:
    assert load(tmp_path, GUANJIA_HOST=host, GUANJIA_DEMO=demo).demo is expected


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgresql://u@h/d", "postgresql+psycopg://u@h/d"),
        ("postgresql+psycopg://u@h/d", "postgresql+psycopg://u@h/d"),
        ("sqlite:////data/a.db", "sqlite:////data/a.db"),
    ],
)
def test_database_address(tmp_path: Path, given: str, used: str) -> None:
    assert load(tmp_path, DATABASE_URL=given).database_url == used


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GUANJIA_PORT", "0"),
        ("GUANJIA_PORT", "65536"),
        ("GUANJIA_RASA_PORT", "http"),
        ("GUANJIA_ACTIONS_PORT", "-1"),
        ("GUANJIA_DEMO", "yes"),
        ("GUANJIA_BURST_QUIET_SECONDS", "-3"),
        ("GUANJIA_BURST_MAX_SECONDS", "soon"),
        ("GUANJIA_MAX_PHOTO_MB", "ten"),
        ("DATABASE_URL", "mysql://x"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load(tmp_path, **{name: value})
