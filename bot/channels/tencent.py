"""WeChat and WeCom as the settings want them: channels, their addresses, and what `guanjia wechat setup` puts on the platform."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from starlette.routing import Route

from bot.channels.base import Channel
from bot.channels.wechat import Template, WeChatApi, WeChatChannel
from bot.channels.wechat_wire import Envelope
from bot.channels.wecom import WeComApi, WeComChannel, WeComRobot
from bot.clock import Clock
from bot.settings import Settings
from storage.database import Sessions

WECHAT_PATH, WECOM_PATH = "/wechat", "/wecom"
MENU = Path(__file__).resolve().parents[2] / "data" / "messages" / "wechat.yml"


def channels_of(
    settings: Settings, sessions: Sessions, clock: Clock, community_id: int
) -> tuple[list[Channel], list[Route]]:
    """The channels that have settings, and the routes the platforms call."""
    channels: list[Channel] = []
    routes: list[Route] = []
    if settings.wechat_app_id:
        wechat = WeChatChannel(
            wechat_api(settings, sessions),
            Envelope(settings.wechat_token, settings.wechat_app_id, settings.wechat_aes_keys),
            sessions,
            templates=templates_of(settings.wechat_templates),
        )
        channels.append(wechat)
        routes.append(Route(WECHAT_PATH, wechat.webhook, methods=["GET", "POST"]))
    if settings.wecom_corp_id:
        wecom = WeComChannel(
            _wecom_api(settings, sessions),
            Envelope(settings.wecom_token, settings.wecom_corp_id, settings.wecom_aes_keys),
            sessions,
            desk_clock=clock,
        )
        channels.append(wecom)
        routes.append(Route(WECOM_PATH, wecom.webhook, methods=["GET", "POST"]))
    if settings.wecom_robot_key:
        key, base = settings.wecom_robot_key, settings.wecom_base_url
        channels.append(WeComRobot(key, base, sessions, desk_clock=clock, community_id=community_id))
    return channels, routes


def wechat_api(settings: Settings, sessions: Sessions) -> WeChatApi:
    return WeChatApi(settings.wechat_app_id, settings.wechat_app_secret, settings.wechat_base_url, sessions)


def _wecom_api(settings: Settings, sessions: Sessions) -> WeComApi:
    base = settings.wecom_base_url
    return WeComApi(settings.wecom_corp_id, settings.wecom_secret, settings.wecom_agent_id, base, sessions)


def templates_of(written: dict[str, Any]) -> dict[str, Template]:
    """WECHAT_TEMPLATES: name of a text (`push.accepted`, or `*`) → id and fields, or library number, keywords and fields."""
    return {
        name: Template(
            fields={str(key): str(text) for key, text in entry.get("fields", {}).items()},
            id=str(entry.get("id", "")),
            library=str(entry.get("library", "")),
            keywords=tuple(str(word) for word in entry.get("keywords", [])),
        )
        for name, entry in written.items()
    }


async def set_up(api: WeChatApi, written: dict[str, Any], say: Callable[[str], None]) -> bool:
    """Put the custom menu on the account, make templates that have no id yet, and check the others. Whether all is well.

    Raises ApiFault and RetryLater.
    """
    menu = yaml.safe_load(MENU.read_text("utf-8"))["wechat"]["menu"]
    await api.call("POST", "/cgi-bin/menu/create", json={"button": menu})
    say("The custom menu is set.")
    made = await _make_templates(api, written)
    if made:
        say("Templates were made. Put this into the settings:")
        say(f"WECHAT_TEMPLATES={json.dumps({**written, **made}, ensure_ascii=False)}")
    problems = await _check_templates(api, templates_of({**written, **made}))
    for problem in problems:
        say(problem)
    return not problems


async def _make_templates(api: WeChatApi, written: dict[str, Any]) -> dict[str, Any]:
    """The entries that had a library number and no id, with the id WeChat gave them."""
    made = {}
    for name, template in templates_of(written).items():
        if template.library and not template.id:
            wanted = {"template_id_short": template.library, "keyword_name_list": list(template.keywords)}
            answer = await api.call("POST", "/cgi-bin/template/api_add_template", json=wanted)
            made[name] = {**written[name], "id": str(answer.get("template_id", ""))}
    return made


async def _check_templates(api: WeChatApi, templates: dict[str, Template]) -> list[str]:
    """What would make WeChat refuse a template message: an unknown id, or fields that are not the template's."""
    if not templates:
        return []
    answer = await api.call("GET", "/cgi-bin/template/get_all_private_template")
    contents = {str(one.get("template_id")): str(one.get("content", "")) for one in answer.get("template_list", [])}
    problems = []
    for name, template in templates.items():
        if template.id not in contents:
            problems.append(f"{name}: the account has no template {template.id!r}.")
            continue
        there = {part.partition(".DATA}}")[0].strip() for part in contents[template.id].split("{{")[1:]}
        if there != set(template.fields):
            problems.append(
                f"{name}: the template has the fields {sorted(there)}, the setting {sorted(template.fields)}."
            )
    return problems
