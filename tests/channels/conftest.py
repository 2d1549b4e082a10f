"""One platform of Tencent per module, as new for every test; what speaks to Telegram has a server of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from channels.wechat_server import WeChatServer


@pytest.fixture(scope="module")
def running_server() -> Iterator[WeChatServer]:
    with WeChatServer() as running:
        yield running


@pytest.fixture
def server(running_server: WeChatServer) -> WeChatServer:
    running_server.reset()
    return running_server
