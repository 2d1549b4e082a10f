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


# --- WeChat and WeCom -------------------------------------------------------------------------------------------------

KEY = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
WECHAT = {"WECHAT_APP_ID": "wx1", "WECHAT_APP_SECRET": "s", "WECHAT_TOKEN": "t"}
WECOM = {
    "WECOM_CORP_ID": "ww1",
    "WECOM_SECRET": "s",
    "WECOM_AGENT_ID": "1000002",
    "WECOM_TOKEN": "t",
    "WECOM_AES_KEY": KEY,
}


def test_keys_of_a_channel_the_newest_first(tmp_path: Path) -> None:
    settings = load(tmp_path, **WECHAT, WECHAT_AES_KEY=KEY, WECHAT_AES_KEY_PREVIOUS=KEY[::-1], **WECOM)
    assert settings.wechat_aes_keys == (KEY, KEY[::-1])
    assert settings.wecom_aes_keys == (KEY,)
    assert load(tmp_path, **WECHAT).wechat_aes_keys == ()


@pytest.mark.parametrize("missing", [*WECHAT, *WECOM])
def test_half_a_channel_is_an_error_that_names_what_is_missing(tmp_path: Path, missing: str) -> None:
    given = {name: value for name, value in {**WECHAT, **WECOM}.items() if name != missing}
    with pytest.raises(SettingsError, match=f"^{missing} must be set too"):
        load(tmp_path, **given)


@pytest.mark.parametrize(
    "wrong",
    [
        {"WECHAT_AES_KEY": "short"},
        {"WECHAT_AES_KEY": KEY + "="},
        {"WECHAT_AES_KEY_PREVIOUS": KEY},
        {"WECOM_AGENT_ID": "app"},
        {"WECHAT_TEMPLATES": "no json"},
        {"WECHAT_TEMPLATES": "[]"},
        {"WECHAT_TEMPLATES": '{"*": {"id": "T1"}}'},
        {"WECHAT_TEMPLATES": '{"*": {"fields": {"thing1": "{text}"}}}'},
        {"WECHAT_TEMPLATES": '{"*": {"id": "T1", "fields": {}}}'},
    ],
)
def test_a_wrong_value_of_a_channel_is_named(tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        load(tmp_path, **{**WECHAT, **WECOM, **wrong})


def test_sites_that_may_frame_the_page(tmp_path: Path) -> None:
    given = load(tmp_path, GUANJIA_EMBED_ORIGINS="https://www.example.com, http://10.0.0.7:8000 https://*.example.cn")
    assert given.embed_origins == ("https://www.example.com", "http://10.0.0.7:8000", "https://*.example.cn")


@pytest.mark.parametrize("value", ["*", "example.com", "https://a.example/path", "https://a.example; script-src *"])
def test_what_is_no_site_may_not_get_into_the_header(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match="GUANJIA_EMBED_ORIGINS"):
        load(tmp_path, GUANJIA_EMBED_ORIGINS=value)
