"""What groups of staff hear of the day: numbers, and nothing about a person or a home."""

from __future__ import annotations

from pathlib import Path

from deskhelp import Desk, at
from sqlalchemy import select

from bot import bulletins
from storage.models import Conversation, Identity, OutboxMessage


def test_the_group_hears_the_numbers_of_the_day_once(desk: Desk, tmp_path: Path) -> None:
    for chat_id, hears in (("-100", True), ("-200", False)):
        identity = Identity(channel="wecom_robot", external_id=chat_id, staff=desk.staff("李工"))
        chat = Conversation(channel="wecom_robot", chat_id=chat_id, identity=identity, group=True, hears_dispatch=hears)
        desk.session.add(chat)
    desk.report(now=at("08:10"))
    for moment in (at("08:00"), at("08:31"), at("08:31"), at("09:00")):
        bulletins.send_made(desk.session, bulletins.make_due(desk.session, tmp_path, moment), moment)
    query = select(OutboxMessage.text).where(OutboxMessage.dedupe_key.contains(":group:"))
    (said,) = desk.session.scalars(query)
    assert "1" in said
    for private in ("1502", "栋", "王", "师傅"):
        assert private not in said
