"""What `guanjia wechat setup` does to the account, and which channels the settings turn on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from channels.wechat_sender import AES_KEY
from channels.wechat_server import APP_ID, CORP_ID, CORP_SECRET, SECRET, Fault, WeChatServer
from sqlalchemy import Engine

from bot.channels.tencent import MENU, channels_of, set_up, wechat_api
from bot.channels.wechat_api import ApiFault
from bot.clock import system_clock
from bot.commands import resident_menu
from bot.settings import Settings, load_settings
from storage.database import Sessions, sessions

TEMPLATE = {"*": {"id": "T1", "fields": {"thing1": "{text}"}}}
LIBRARY = {"*": {"library": "43216", "keywords": ["内容", "地点"], "fields": {"thing1": "{text}", "thing2": "{place}"}}}


@pytest.fixture
def maker(new_sqlite: Callable[[], Engine]) -> Sessions:
    return sessions(new_sqlite())


def settings(server: WeChatServer, tmp_path: Path, **more: str) -> Settings:
    given = {"WECHAT_APP_ID": APP_ID, "WECHAT_APP_SECRET": SECRET, "WECHAT_TOKEN": "t", "WECHAT_BASE_URL": server.url}
    return load_settings({**given, **more}, tmp_path)


def set_up_with(
    server: WeChatServer, maker: Sessions, tmp_path: Path, templates: dict[str, Any]
) -> tuple[bool, list[str]]:
    said: list[str] = []

    async def work() -> bool:
        api = wechat_api(settings(server, tmp_path), maker)
        try:
            return await set_up(api, templates, said.append)
        finally:
            await api.close()

    return asyncio.run(work()), said


def test_the_menu_is_put_on_the_account(server: WeChatServer, maker: Sessions, tmp_path: Path) -> None:
    assert set_up_with(server, maker, tmp_path, {})[0]
    assert [one["name"] for one in server.menu["button"]] == ["我要报修", "查进度", "更多"]


def test_every_key_of_the_menu_is_a_command_and_every_name_fits() -> None:
    menu = yaml.safe_load(MENU.read_text("utf-8"))["wechat"]["menu"]
    assert len(menu) <= 3
    items = [item for button in menu for item in button.get("sub_button", [button])]
    assert all(len(button["name"]) <= 4 and len(button.get("sub_button", [])) <= 5 for button in menu)
    assert all(len(item["name"]) <= 8 for item in items)
    assert [item["key"] for item in items if resident_menu(item["key"]) == item["key"]] == []


def test_a_template_of_the_account_is_checked(server: WeChatServer, maker: Sessions, tmp_path: Path) -> None:
    good, said = set_up_with(server, maker, tmp_path, TEMPLATE)
    assert not good
    assert "has no template 'T1'" in said[-1]
    server.templates["T1"] = "内容：{{thing1.DATA}}\n地点：{{thing2.DATA}}"
    good, said = set_up_with(server, maker, tmp_path, TEMPLATE)
    assert not good
    assert "thing2" in said[-1]
    server.templates["T1"] = "内容：{{thing1.DATA}}"
    assert set_up_with(server, maker, tmp_path, TEMPLATE)[0]


def test_a_template_is_made_from_the_library(server: WeChatServer, maker: Sessions, tmp_path: Path) -> None:
    good, said = set_up_with(server, maker, tmp_path, LIBRARY)
    assert good
    line = next(line for line in said if line.startswith("WECHAT_TEMPLATES="))
    made = json.loads(line.partition("=")[2])
    assert made["*"]["id"] in server.templates
    # What it printed is a setting, and makes nothing a second time.
    assert settings(server, tmp_path, WECHAT_TEMPLATES=line.partition("=")[2]).wechat_templates == made
    assert set_up_with(server, maker, tmp_path, made) == (True, ["The custom menu is set."])


def test_what_wechat_refuses_is_an_error(server: WeChatServer, maker: Sessions, tmp_path: Path) -> None:
    server.fail("/cgi-bin/menu/create", Fault(40017))
    with pytest.raises(ApiFault, match="40017"):
        set_up_with(server, maker, tmp_path, {})


def test_a_channel_is_on_when_it_has_settings(server: WeChatServer, maker: Sessions, tmp_path: Path) -> None:
    wecom = {"WECOM_CORP_ID": CORP_ID, "WECOM_SECRET": CORP_SECRET, "WECOM_AGENT_ID": "1", "WECOM_TOKEN": "t"}
    every = settings(server, tmp_path, **wecom, WECOM_AES_KEY=AES_KEY, WECOM_ROBOT_KEY="k")

    def names(chosen: Settings) -> tuple[list[str], list[str]]:
        async def work() -> tuple[list[str], list[str]]:
            channels, routes = channels_of(chosen, maker, system_clock, 1)
            for channel in channels:
                await channel.stop()
            return [channel.name for channel in channels], [route.path for route in routes]

        return asyncio.run(work())

    assert names(load_settings({}, tmp_path)) == ([], [])
    assert names(settings(server, tmp_path)) == (["wechat"], ["/wechat"])
    assert names(every) == (["wechat", "wecom", "wecom_robot"], ["/wechat", "/wecom"])
