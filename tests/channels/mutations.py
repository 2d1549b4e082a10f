"""Made-up fields and damaged bytes for the webhooks of messengers."""

from __future__ import annotations

import os

from hypothesis import strategies as st

# How many damaged pushes one webhook takes here; `make soak` sends 10,000 to each.
DAMAGED = int(os.environ.get("DAMAGED", "2000"))

NAMES = st.sampled_from(
    [
        "ToUserName",
        "FromUserName",
        "CreateTime",
        "MsgType",
        "MsgId",
        "Content",
        "MediaId",
        "Format",
        "Recognition",
        "Location_X",
        "Location_Y",
        "Label",
        "Title",
        "Description",
        "Url",
        "Event",
        "EventKey",
        "Ticket",
        "Status",
        "bizmsgmenuid",
        "Encrypt",
        "ScanCodeInfo",
    ]
)
KINDS = st.sampled_from(
    [
        "text",
        "image",
        "voice",
        "video",
        "location",
        "link",
        "event",
        "subscribe",
        "unsubscribe",
        "CLICK",
        "SCAN",
        "qrscene_1",
        "nan",
        "1e999",
        "-1",
    ]
)
VALUES = st.one_of(KINDS, st.text(max_size=30), st.integers().map(str), st.just("9" * 400))
MUTATIONS = st.lists(st.tuples(st.floats(0, 1), st.binary(max_size=6), st.integers(0, 9)), max_size=4)


def mutated(body: bytes, changes: list[tuple[float, bytes, int]]) -> bytes:
    for where, new, cut in changes:
        at = int(where * len(body))
        body = body[:at] + new + body[at + cut :]
    return body
