"""What nobody should send, and some will: every call ends in a clear answer or a clear 4xx, nothing is stored half, never a 5xx."""

from __future__ import annotations

import io
import json
import re
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from e2e.harness import LOCAL, Person, Stack
from PIL import Image
from sqlalchemy import func, select

from storage.models import Attachment, Draft, InboxMessage, Resident, Ticket, WebMessage

pytestmark = pytest.mark.e2e

HTML = "<script>alert(1)</script><img src=x onerror=alert(2)>"
SQL = "'; DROP TABLE tickets; --"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("bad"), models).start()
    yield running
    running.stop()
    log = (running.folder / "logs" / "bot.log").read_text("utf-8")
    assert "web.server_error" not in log, log[-3000:]


def fresh() -> str:
    return uuid.uuid4().hex


def refused(response: httpx.Response, status: int, code: str = "") -> None:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert re.search("[\u4e00-\u9fff]", error["message"])
    assert not code or error["code"] == code


def post(person: Person, body: Any) -> httpx.Response:
    return person.http.post("/api/messages", json=body)


def post_raw(person: Person, body: bytes, content_type: str = "application/json") -> httpx.Response:
    return person.http.post("/api/messages", content=body, headers={"content-type": content_type})


def stored(stack: Stack) -> tuple[int, ...]:
    with stack.session() as session:
        wanted = (select(InboxMessage.id), select(WebMessage.id).where(WebMessage.mine), select(Attachment.id))
        return tuple(len(session.scalars(query).all()) for query in wanted)


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("", 400, "empty"),
        ("   \n\t ", 400, "empty"),
        ("\x00\x00\x00", 400, "empty"),
        ("漏水" * 10_000, 413, "too_long"),
        (None, 400, "empty"),
        (17, 400, "empty"),
        ({"a": 1}, 400, "empty"),
    ],
    ids=["nothing", "blank", "nul", "20000", "null", "number", "object"],
)
def test_text_that_is_none(desk: Stack, text: object, status: int, code: str) -> None:
    person, before = desk.person("王女士"), stored(desk)
    refused(post(person, {"id": fresh(), "text": text}), status, code)
    assert stored(desk) == before


@pytest.mark.parametrize(
    "text",
    ["😀😀😀", "？？？", "a" * 2000, "漏水" * 1000, "\u202e\u200b\u200d", "\x00厨房\x00灯\x00", "🆘", "1" * 500],
    ids=["emoji", "marks", "2000", "2000zh", "invisible", "nul", "sos", "digits"],
)
def test_odd_text_is_answered(desk: Stack, text: str) -> None:
    person = desk.person(f"stranger:{300 + len(text) % 500}")
    response = post(person, {"id": fresh(), "text": text})
    assert response.status_code in (202, 400)
    if response.status_code == 202:
        assert person.hear()


def test_lone_surrogates_are_dropped(desk: Stack) -> None:
    person = desk.person("stranger:2")
    body = '{"id": "sur-\\ud800-1", "text": "\\ud83d厨房灯\\udfff坏了"}'
    assert post_raw(person, body.encode()).status_code == 202
    mine = [one for one in person.http.get("/api/messages").json()["messages"] if one["from"] == "me"]
    assert mine[-1]["text"] == "厨房灯坏了"
    assert person.hear()
    for odd in (
        '{"id": "b-\\ud800", "button": "confirm:\\ud8001"}',
        '{"id": "c-\\ud800", "location": {"latitude": 1, "longitude": 2, "label": "\\udfff"}}',
    ):
        assert post_raw(person, odd.encode()).status_code < 500
    for login in ('{"code": "\\ud800"}', '{"link": "\\ud800"}', '{"person": "resident:\\ud800"}'):
        assert httpx.post(f"{desk.url}/api/session", content=login.encode()).status_code in (401, 429)
    desk.forward(minutes=2)


@pytest.mark.parametrize(
    "text",
    [
        '/intent{"x":1}',
        ' /file_complaint{"a":"b"}',
        "/restart",
        "//restart",
        "／restart",
        "/session_start",
        "/back",
        "/",
    ],
)
def test_commands_of_the_dialogue_engine_are_only_words(desk: Stack, text: str) -> None:
    person = desk.person(f"stranger:{400 + sum(map(ord, text)) % 500}")
    with desk.session() as session:
        tickets = session.scalar(select(func.count(Ticket.id)))
        complaints = session.scalar(select(func.count(Draft.id)).where(Draft.kind == "TS"))
    person.say(text)
    with desk.session() as session:
        assert session.scalar(select(func.count(Ticket.id))) == tickets
        assert session.scalar(select(func.count(Draft.id)).where(Draft.kind == "TS")) == complaints


def test_a_running_form_survives_a_typed_restart(desk: Stack) -> None:
    person = desk.person("stranger:3")
    person.say("厨房水管漏水", "几栋")
    person.say("/restart")
    person.say("3栋2单元1502", "BX")


def test_html_and_sql_are_text(desk: Stack) -> None:
    from storage.database import connect, sessions

    with sessions(connect(desk.database_url)).begin() as session:
        resident = session.scalars(select(Resident).where(Resident.name == "李强")).one()
        resident.salutation = f"{HTML}{SQL}"[:60]
        name = resident.salutation
    people = httpx.get(f"{desk.url}/api/demo/people")
    assert people.headers["content-type"].startswith("application/json")
    assert people.headers["x-content-type-options"] == "nosniff"
    person = desk.person(name)
    junk = f"{HTML} {SQL} {HTML}"
    person.say(junk)
    words = "<b>3栋2单元1402厨房水管漏水</b>'; --"
    person.say(words, "BX")
    mine = [one["text"] for one in person.http.get("/api/messages").json()["messages"] if one["from"] == "me"]
    assert mine[-2:] == [junk, words]
    ticket = desk.tickets()[-1]
    assert words in ticket.symptom
    assert ticket.contact_name == name
    assert words in desk.person("李工").say(f"状态 {ticket.tail}")


# --- requests ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe\x00", b"[" * 50_000, b'{"id": 1e400}', b"9" * 5000],
    ids=["empty", "open", "list", "null", "string", "bytes", "nested", "infinite", "digits"],
)
def test_broken_json(desk: Stack, body: bytes) -> None:
    person, before = desk.person("王女士"), stored(desk)
    refused(post_raw(person, body), 400)
    refused(httpx.post(f"{desk.url}/api/session", content=body), 400 if body != b'{"id": 1e400}' else 401)
    assert stored(desk) == before
    desk.forward(minutes=2)


def test_a_huge_body_is_cut_off(desk: Stack) -> None:
    refused(post_raw(desk.person("王女士"), b'{"id": "x", "text": "' + b"a" * 3_000_000 + b'"}'), 413, "too_long")


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data", "image/png", "x"])
def test_another_content_type(desk: Stack, kind: str) -> None:
    person = desk.person("王女士")
    assert post_raw(person, b"not json", kind).status_code == 400
    headers = {"content-type": kind}
    assert 400 <= person.http.post("/api/photos", content=b"abc", headers=headers).status_code < 500


def test_message_ids(desk: Stack) -> None:
    person = desk.person("stranger:4")
    for bad in (None, "", " ", "x" * 81, ["a"], {"a": 1}, 1.5, "\x00"):
        refused(post(person, {"id": bad, "text": "你好"}), 400, "bad_request")
    assert post(person, {"id": "same", "text": "你好"}).status_code == 202
    person.hear()
    again = post(person, {"id": "same", "text": "另一句"})
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    person.silent()
    assert post(desk.person("stranger:5"), {"id": "same", "text": "你好"}).status_code == 202, (
        "ids are each person's own"
    )


@pytest.mark.parametrize(
    "query",
    ["after=-1", "after=abc", "after=²", "after=99999999999999999999", "limit=-5", "limit=0", "limit=1e9", "wait=-3"],
)
def test_odd_numbers_in_a_query(desk: Stack, query: str) -> None:
    person = desk.person("王女士")
    response = person.http.get(f"/api/messages?{query}")
    assert response.status_code == 200
    assert isinstance(response.json()["messages"], list)


def test_odd_places(desk: Stack) -> None:
    person = desk.person("stranger:6")
    for value in ("x", 5, [1, 2], {"latitude": 1}, {"latitude": 91, "longitude": 0}, {"latitude": "a", "longitude": 0}):
        refused(post(person, {"id": fresh(), "location": value}), 400)
    huge = b'{"id": "l1", "location": {"latitude": 1' + b"0" * 400 + b', "longitude": 0}}'
    refused(post_raw(person, huge), 400)
    refused(post_raw(person, b'{"id": "l2", "location": {"latitude": NaN, "longitude": 0}}'), 400)


# --- who is speaking --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "x", "Bearer", "' or 1=1 --", "A" * 5000, "../secret"])
def test_a_missing_or_forged_token(desk: Stack, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for method, path in (
        ("POST", "/api/messages"),
        ("GET", "/api/messages"),
        ("POST", "/api/photos"),
        ("POST", "/api/voices"),
    ):
        refused(httpx.request(method, f"{desk.url}{path}", headers=headers), 401, "bad_login")
    refused(httpx.get(f"{desk.url}/api/events", headers=headers), 401, "bad_login")
    refused(httpx.get(f"{desk.url}/api/files/{'0' * 64}.jpg?token={token or 'x'}"), 401, "bad_login")


@pytest.mark.parametrize(
    "person", ["resident:0", "resident:99999", "resident:²", "resident:-1", "staff:1 or 1=1", "admin", "", "stranger:x"]
)
def test_people_who_do_not_exist(desk: Stack, person: str) -> None:
    refused(httpx.post(f"{desk.url}/api/session", json={"person": person}), 401, "bad_login")
    desk.forward(minutes=2)


def test_logged_out_is_out(desk: Stack) -> None:
    person = desk.person("stranger:7")
    assert person.http.delete("/api/session").status_code == 204
    refused(person.http.get("/api/messages"), 401, "bad_login")


def test_codes_cannot_be_guessed(desk: Stack) -> None:
    code = desk.run_command("code", "resident:1").stdout.strip()
    assert re.fullmatch(r"\d{6}", code)
    url = f"{desk.url}/api/session"
    wrong = [f"{number:06d}" for number in range(20) if f"{number:06d}" != code]
    answers = [httpx.post(url, json={"code": one}) for one in wrong]
    assert [one.status_code for one in answers][:5] == [401] * 5
    refused(answers[-1], 429, "too_many")
    refused(httpx.post(url, json={"code": code}), 429, "too_many")
    refused(httpx.post(url, json={"link": "abc"}), 429, "too_many")
    desk.forward(minutes=2)
    assert httpx.post(url, json={"code": code}).status_code == 200


def test_a_guessing_messenger_account_has_to_wait_too(desk: Stack) -> None:
    person = desk.person("stranger:9")
    for number in range(5):
        person.say(f"绑定 {number:06d}", "无效或已过期")
    person.say("绑定 000009", "次数太多")


# --- buttons ----------------------------------------------------------------------------------------------------------


def test_buttons_of_other_peoples_tickets_do_nothing(desk: Stack) -> None:
    owner, other, worker = desk.person("赵女士"), desk.person("stranger:10"), desk.person("陈师傅")
    owner.say("3栋2单元302厨房水管漏水", "BX")
    ticket = desk.tickets()[-1]
    number = ticket.id
    codes = ["confirm", "not_fixed", "agree", "change", "accept", "finish", "decline", "checked", "status"]
    presses = [f"{name}:{number}" for name in codes] + [
        f"score:{number}:9",
        f"score:{number}:5",
        f"consent:{number}:yes",
    ]
    history = len(desk.history(ticket))
    for code in presses:
        assert post(other, {"id": fresh(), "button": code, "label": "x"}).status_code == 202
        assert other.hear(quiet=0.1)
    for name in ("confirm", "not_fixed", "finish", "arrive"):
        assert post(worker, {"id": fresh(), "button": f"{name}:{number}", "label": "x"}).status_code == 202
        assert worker.hear(quiet=0.1)
    assert len(desk.history(ticket)) == history
    assert desk.ticket(id=number).status == ticket.status


@pytest.mark.parametrize(
    "code",
    [
        "agree:99999999",
        "agree:" + "9" * 50,
        "confirm:²",
        "confirm:-1",
        "confirm:",
        "confirm",
        "score:1",
        "score:1:",
        "score:1:9",
        "consent:1:maybe",
        "agree:1:x",
        ":",
        "say",
        "drop table",
        "__import__('os')",
    ],
)
def test_buttons_that_are_none(desk: Stack, code: str) -> None:
    for person in (desk.person("stranger:11"), desk.person("陈师傅")):
        assert post(person, {"id": fresh(), "button": code, "label": "x"}).status_code == 202
        assert person.hear(quiet=0.1)


def test_a_button_that_is_too_long(desk: Stack) -> None:
    refused(post(desk.person("stranger:11"), {"id": fresh(), "button": "a" * 65}), 400, "bad_request")


def test_danger_behind_a_button_is_screened_like_typed_words(desk: Stack) -> None:
    person = desk.person("stranger:12")
    post(person, {"id": fresh(), "button": "say:二期2栋501着火了", "label": "x"})
    assert "119" in person.hear()
    assert desk.ticket(code="F01").level == "U0"


# --- files ------------------------------------------------------------------------------------------------------------


def picture(width: int = 40, height: int = 30, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, kind)
    return out.getvalue()


def send_photo(person: Person, data: bytes, name: str = "photo.jpg") -> httpx.Response:
    return person.http.post("/api/photos", data={"id": fresh()}, files={"photo": (name, data, "image/jpeg")})


def test_pictures_that_are_too_large_or_none(desk: Stack) -> None:
    person, before = desk.person("stranger:13"), stored(desk)
    refused(send_photo(person, b"\xff\xd8" + b"x" * 30_000_000), 413, "photo_too_large")
    refused(send_photo(person, b"MZ\x90 not a picture", "cat.jpg"), 415, "not_a_photo")
    refused(send_photo(person, b""), 415, "not_a_photo")
    refused(send_photo(person, picture()[:60]), 415, "not_a_photo")
    refused(send_photo(person, b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"), 415, "not_a_photo")
    refused(person.http.post("/api/photos", data={"id": fresh(), "photo": "text"}), 400, "bad_request")
    refused(person.http.post("/api/photos", files={"photo": ("a.png", picture())}), 400, "bad_request")
    assert stored(desk) == before
    assert not list(desk.folder.rglob("*.part"))
    person.silent()


def test_sounds_that_are_too_large_or_none_and_whose_they_are(desk: Stack) -> None:
    person, before = desk.person("stranger:13"), stored(desk)

    def send(data: bytes, **more: str) -> httpx.Response:
        return person.http.post(
            "/api/voices", data={"id": fresh(), **more}, files={"voice": ("a.ogg", data, "audio/ogg")}
        )

    refused(send(b"OggS" + b"x" * 30_000_000), 413, "voice_too_large")
    refused(send(b"<script>alert(1)</script>"), 415, "not_a_voice")
    refused(send(picture()), 415, "not_a_voice")
    refused(person.http.post("/api/voices", data={"id": fresh(), "voice": "text"}), 400, "bad_request")
    assert stored(desk) == before
    # a length nobody can have spoken is no reason to lose what was said
    assert send(b"OggS\x00\x02 said", seconds="99999999999999999999").status_code == 202
    assert "打字" in person.hear()
    mine = next(one for one in person.http.get("/api/messages").json()["messages"][::-1] if one["kind"] == "voice")
    assert (mine["text"], mine["voice"]["seconds"]) == ("", 0)
    heard = person.http.get(mine["voice"]["url"], headers={"Range": "bytes=0-3"})
    assert (heard.status_code, heard.content, heard.headers["content-type"]) == (206, b"OggS", "audio/ogg")
    refused(desk.person("stranger:14").http.get(mine["voice"]["url"]), 404, "not_here")


def test_a_decompression_bomb(desk: Stack) -> None:
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    assert len(bomb.getvalue()) < 200_000
    person = desk.person("stranger:13")
    refused(send_photo(person, bomb.getvalue()), 415, "not_a_photo")
    bomb = io.BytesIO()
    Image.new("1", (10_000, 7_000)).save(bomb, "PNG")
    refused(send_photo(person, bomb.getvalue()), 413, "photo_too_large")


def test_a_stream_without_an_end(desk: Stack) -> None:
    def parts() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield b"x" * 1000

    headers = {"content-type": "multipart/form-data; boundary=b"}
    person = desk.person("stranger:13")
    assert person.http.post("/api/photos", content=parts(), headers=headers).status_code == 411


@pytest.mark.parametrize(
    "path",
    [
        "/api/files/../../secret",
        "/api/files/..%2f..%2fsecret",
        "/api/files/%2e%2e%2fsecret",
        "/api/files/....//secret",
        "/api/files/secret",
        "/api/files/%00",
        f"/api/files/{'0' * 64}.jpg",
        f"/api/files/{'0' * 64}.jpg%00.png",
        "/static/../settings.py",
        "/static/..%2fsettings.py",
        "/static/%2e%2e/%2e%2e/pyproject.toml",
    ],
)
def test_no_path_leads_out(desk: Stack, path: str) -> None:
    person = desk.person("王女士")
    request = person.http.build_request("GET", desk.url)
    request.url = request.url.copy_with(raw_path=path.encode())
    response = person.http.send(request)
    assert response.status_code in (404, 405, 400)
    secret = (desk.folder / "secret").read_text()
    assert secret not in response.text
    assert "import" not in response.text


def test_somebody_elses_picture(desk: Stack) -> None:
    owner, other = desk.person("孙女士"), desk.person("stranger:14")
    assert send_photo(owner, picture(64, 48)).status_code == 202
    owner.hear()
    mine = owner.http.get("/api/messages").json()["messages"]
    url = next(one["image"]["url"] for one in mine if one.get("image"))
    assert owner.http.get(url).status_code == 200
    refused(other.http.get(url), 404, "not_here")
    refused(httpx.get(f"{desk.url}{url}"), 401, "bad_login")


# --- twice ------------------------------------------------------------------------------------------------------------


def test_fifty_times_at_once_is_once(desk: Stack) -> None:
    person, message_id = desk.person("stranger:15"), fresh()
    body = {"id": message_id, "text": "一期2栋1单元101厨房水管漏水"}
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: post(person, body), range(50)))
    assert sorted(one.status_code for one in answers) == [200] * 49 + [202]
    assert len({one.json()["seq"] for one in answers}) == 1
    assert person.hear("BX").count("已登记") == 1
    assert len(desk.tickets(place_key="P1/2/1/101")) == 1
    with desk.session() as session:
        rows = session.scalars(select(InboxMessage).where(InboxMessage.message_id.endswith(message_id))).all()
        assert [row.done_at is not None for row in rows] == [True]


def test_everything_was_answered(desk: Stack) -> None:
    with desk.session() as session:
        waiting = session.scalars(select(InboxMessage.text).where(InboxMessage.done_at.is_(None))).all()
    assert waiting == []
    assert json.dumps(desk.health()["status"]) == '"ok"'


# --- outside demo mode ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Stack]:
    running = Stack(tmp_path_factory.mktemp("closed"), models, GUANJIA_DEMO="off").start()
    yield running
    running.stop()


def link_of(stack: Stack, person: str) -> str:
    printed = stack.run_command("link", person).stdout.strip()
    return printed.partition("link=")[2]


def test_outside_demo_mode_nobody_is_handed_out(closed: Stack) -> None:
    assert httpx.get(f"{closed.url}/api/config").json()["demo"] is False
    refused(httpx.get(f"{closed.url}/api/demo/people"), 404, "not_here")
    refused(httpx.post(f"{closed.url}/api/session", json={"person": "resident:1"}), 403, "bad_login")


def test_outside_demo_mode_a_signed_link_opens_the_chat(closed: Stack) -> None:
    resident = Person(closed.url, "", link=link_of(closed, "resident:1"))
    resident.say("厨房水管漏水", "BX20250612", "1502")
    worker = Person(closed.url, "", link=link_of(closed, "staff:1"))
    worker.say("我的单", "0001")


def test_outside_demo_mode_a_code_works_once(closed: Stack) -> None:
    # The command line reads the real clock, and codes last half an hour.
    then = closed.now()
    closed.set_clock(datetime.now(LOCAL))
    code = closed.run_command("code", "resident:2").stdout.strip()
    assert Person(closed.url, "", code=code).http.get("/api/messages").status_code == 200
    refused(httpx.post(f"{closed.url}/api/session", json={"code": code}), 401, "bad_login")
    late = closed.run_command("code", "resident:2").stdout.strip()
    closed.forward(minutes=31)
    refused(httpx.post(f"{closed.url}/api/session", json={"code": late}), 401, "bad_login")
    closed.set_clock(then)


def test_outside_demo_mode_tampered_and_expired_links_do_not(closed: Stack) -> None:
    link, then = link_of(closed, "resident:1"), closed.now()
    other = link_of(closed, "staff:9")
    for bad in (link[:-4] + "AAAA", link[5:], other[:20] + link[20:], "", "x" * 500):
        response = httpx.post(f"{closed.url}/api/session", json={"link": bad})
        refused(response, 401, "bad_login")
        closed.forward(minutes=2)
    closed.set_clock(datetime.now(LOCAL) + timedelta(days=8))
    refused(httpx.post(f"{closed.url}/api/session", json={"link": link}), 401, "bad_login")
    closed.set_clock(then)
