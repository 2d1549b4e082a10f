"""The draft of a conversation: what was told so far, merged message by message (domain.md §5.4).

A draft is a row, so that a restart, another process or an emergency in between loses nothing. `data` holds
faults [{code, words, place_key, place_text, public, confirm}], the place told for all, flags, wishes, and how often was asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rasa_sdk import Tracker
from sqlalchemy import select

from actions.context import Desk
from nlu.address import Address, lent, of_other_home
from nlu.answers import read_answer
from nlu.expected_time import format_window, parse_window
from nlu.slots import find_phone
from storage.models import Draft, Ticket
from tickets import emergencies, finding, places, questions
from tickets.catalog import category
from tickets.people import home_key
from tickets.places import place_display, read_place
from tickets.texts import has_text, say
from tickets.urgency import facts_in, is_danger
from tickets.words import (
    adds,
    bare_request,
    beside_complaints,
    corrects,
    hours_told,
    instead_of,
    is_broken,
    listed_faults,
    named_among,
    names_lift,
    same_door,
    same_water,
    says_urgent,
    taken_back,
    thing_code,
    things_in,
    without_asides,
)

MAX_QUESTIONS = 3
THIS_TALK = timedelta(minutes=30)
CHASED = 2
REPAIR = "report_repair"
SURE = 0.6
WATER, LIFTS = "W", "L"
GUESS = 0.3
SETTLED = ("ok", "echo", "confirm")


@dataclass(frozen=True)
class Where:
    """A place good enough to register, or what has to be asked."""

    key: str = ""
    text: str = ""
    public: bool = False
    confirm: bool = False


def find(desk: Desk, kind: str) -> Draft | None:
    draft = finding.open_draft(desk.session, desk.conversation.id)
    return draft if draft and draft.kind == kind else None


def begin(desk: Desk, kind: str) -> Draft:
    """The draft of this kind; another kind's draft makes room, and leaves behind the words nobody could place."""
    draft = find(desk, kind)
    if draft is None:
        kept = _unplaced(desk)
        drop(desk)
        draft = Draft(conversation_id=desk.conversation.id, kind=kind, data=kept, updated_at=desk.now)
        desk.session.add(draft)
        desk.session.flush()
    return draft


def _unplaced(desk: Desk) -> dict[str, Any]:
    draft = desk.session.scalar(select(Draft).where(Draft.conversation_id == desk.conversation.id))
    return {name: draft.data[name] for name in ("unsure", "unsure_key") if draft and name in draft.data}


def take_unsure(desk: Desk, draft: Draft, means: str) -> str:
    """The words that were not understood, once the resident has said what they are (「我要报修」), or where it is (「4栋1单元501」);
    "" if there are none.

    Whoever tells something new instead has moved on. A person will label the words later (`guanjia nlu review`).
    """
    words = str(draft.data.get("unsure", ""))
    if not words:
        return ""
    key = str(draft.data.get("unsure_key", desk.key))
    save(desk, draft, {name: value for name, value in draft.data.items() if name not in ("unsure", "unsure_key")})
    if means == REPAIR and _only_a_place(desk):
        words = f"{words}，{desk.text}"
    elif not bare_request(desk.text):
        return ""
    desk.note_for_review("corrected", words, key, suggested=means)
    return words


def _only_a_place(desk: Desk) -> bool:
    """Whether the message is where something is, and does not say what."""
    if desk.intent != "inform" or desk.faults:
        return False
    return read_place(desk.session, desk.community_id, desk.text, resident=desk.actor.resident).action != "none"


def drop(desk: Desk) -> bool:
    """Forget what was being collected; whether there was anything."""
    draft = desk.session.scalar(select(Draft).where(Draft.conversation_id == desk.conversation.id))
    if draft is None:
        return False
    desk.session.delete(draft)
    desk.session.flush()
    return not draft.parked


def save(desk: Desk, draft: Draft, data: dict[str, Any]) -> None:
    draft.data, draft.updated_at, draft.reminded_at = data, desk.now, None


def merge_fault(desk: Desk, draft: Draft) -> None:
    """Take this message into a repair draft: new faults, the place, times, a phone, facts that raise the class."""
    data = dict(draft.data)
    if desk.key in data.get("seen", []):
        return
    data["seen"] = [*data.get("seen", []), desk.key]
    data["words"] = " ".join(filter(None, (data.get("words", ""), desk.text)))
    faults = list(data.get("faults", []))
    known = {fault["code"] for fault in faults}
    told = _told_faults(desk, bool(faults))
    if faults and not adds(desk.text):
        # 「有水」 answers our question about the water; another word of the same kind is not another fault.
        answer = read_answer("detail", desk.text, desk.now)
        told = [] if answer and answer.flags else [one for one in told if one["code"][0] not in {c[0] for c in known}]
    told = _one_door(_one_water(told))
    if faults:
        # 「就我家」 of a power cut is no second, unnamed fault.
        told = [one for one in told if one["code"] not in known | {"X00"}]
    faults += told
    faults = _left(faults, taken_back(desk.text))
    if not faults:
        _merge_place(desk, data)
    data["faults"] = _all_placed(desk, faults, data)
    beside = [{"code": str(one["category"]), "words": str(one["text"])} for one in desk.message.get("complaints") or []]
    data["complaints"] = [*data.get("complaints", []), *beside]
    _merge_wishes(desk, data)
    _mark_urgent(desk, data["faults"])
    for fault in data["faults"]:
        if emergencies.locks_in(fault["code"], data["words"], desk.text):
            fault["code"] = emergencies.LOCKED_IN
    save(desk, draft, data)


def take_back(desk: Desk, draft: Draft) -> str:
    """「客厅那个算了」 of several faults told: only that one goes. What went, by name; "" if none or all are meant."""
    faults = draft.data.get("faults", [])
    left = _left(faults, desk.text)
    if len(left) == len(faults):
        return ""
    save(desk, draft, {**draft.data, "faults": left})
    return say("list.comma").join(category(one["code"]).name for one in faults if one not in left)


def _left(faults: list[dict[str, Any]], taken: str) -> list[dict[str, Any]]:
    """The faults that words of taking back leave: all but those they name, and all if they name none or every one."""
    named = named_among(taken, [f"{category(one['code']).name} {one['words']}" for one in faults])
    return [one for index, one in enumerate(faults) if index not in named] or faults


def keep_place(desk: Desk) -> None:
    """Where somebody is, for what they may report next."""
    draft = begin(desk, "BX")
    data = dict(draft.data)
    _merge_place(desk, data)
    save(desk, draft, data)


def _merge_place(desk: Desk, data: dict[str, Any]) -> None:
    """「我是1栋的」「101」 before anything is said to be broken: kept for the fault that follows."""
    before = data.get("place") or {}
    draft_key = before.get("place_key") or None
    place = read_place(desk.session, desk.community_id, desk.text, resident=desk.actor.resident, draft=draft_key)
    if place.action != "none":
        data["place"] = _place_fields(desk, "X00", affected(desk, place), before)


def _mark_urgent(desk: Desk, faults: list[dict[str, Any]]) -> None:
    """「楼道灯坏了 还有马桶堵了 急」: the hurry belongs to the clause it stands in, else to everything told (SC02)."""
    if not says_urgent(desk.text):
        return
    meant = [fault for fault in faults if fault["words"] in desk.text and says_urgent(fault["words"])]
    for fault in meant or faults:
        fault["urgent"] = True


def _told_faults(desk: Desk, continuing: bool) -> list[dict[str, Any]]:
    """Faults named in this message. While a form runs only a clear new fault counts, not a word of an answer."""
    told = desk.faults or desk.anew
    if (desk.intent != "report_repair" and not told) or bare_request(desk.text):
        return []
    clauses = told or [{"text": desk.text, "category": desk.category or "X00", "confidence": 1.0}]
    clauses = [piece for one in _without_lifts(desk, _not_denied(desk, clauses)) for piece in _pieces(one)]
    sure = 0.5 if continuing else 0.0 if _names_something(desk) else GUESS
    return [
        {
            "code": _believed(desk, str(one["category"] or "X00"), alone=len(clauses) == 1),
            "words": str(one["text"]).strip("，,。 "),
        }
        for one in clauses
        if float(one.get("confidence", 1.0)) >= sure and not bare_request(str(one["text"]))
    ]


def _not_denied(desk: Desk, clauses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """「不是电梯进水 是车位顶上管子滴水」: what it is said not to be is no fault."""
    wrong = instead_of(desk.text)
    told = [one for one in clauses if not (wrong and str(one["text"]).strip("，,。 ").endswith(wrong))]
    return told or clauses


def _without_lifts(desk: Desk, clauses: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """「单元门的闭门器坏了 一关门咣当一声」: beside other faults a lift that nobody speaks of is none."""
    if names_lift(desk.text):
        return clauses
    codes = [str(one["category"] or "X00") for one in clauses]
    told = [one for one, code in zip(clauses, codes, strict=True) if is_danger(code) or not code.startswith(LIFTS)]
    return told or clauses


def _pieces(clause: dict[str, Any]) -> list[dict[str, Any]]:
    """A clause that lists several things, as one of each: the first is what the clause was read as."""
    first, *others = listed_faults(str(clause["text"])) or [("", "")]
    if not others:
        return [clause]
    return [{**clause, "text": first[0]}, *({**clause, "text": words, "category": code} for words, code in others)]


def _one_water(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """「洗衣机管子冒水 地漏咕噜咕噜」: where the water goes and what comes back of it are one matter, of the graver kind."""
    kept: list[dict[str, Any]] = []
    for one in told:
        last = kept[-1] if kept else None
        wet = last is not None and last["code"][0] == one["code"][0] == WATER
        if last is not None and wet and same_water(last["words"], one["words"]):
            code = min(last["code"], one["code"], key=lambda code: category(code).level)
            kept[-1] = {**last, "code": code, "words": f"{last['words']} {one['words']}"}
        else:
            kept.append(one)
    return kept


def _one_door(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """「单元门关不上 电子锁也不灵 5栋」: the lock is part of the door all go through, and no home's."""
    kept: list[dict[str, Any]] = []
    for one in told:
        last = kept[-1] if kept else None
        if last is not None and category(last["code"]).common and same_door(last["words"], one["words"]):
            kept[-1] = {**last, "words": f"{last['words']} {one['words']}"}
        else:
            kept.append(one)
    return kept


def _believed(desk: Desk, code: str, *, alone: bool) -> str:
    """The category of a fault; one that is itself a danger only where a danger is feared, else what it is without one, or the
    next likely one."""
    if not is_danger(code) or emergencies.is_feared(desk.session, desk.actor, desk.dangers, desk.text, desk.now):
        return code
    if not alone:
        # What else is likely was said of the message as a whole, which tells of other things.
        return category(code).milder or "X00"
    likely = (str(one["name"]) for one in desk.message.get("category_ranking") or [])
    return next((one for one in likely if category(one).level.startswith("U") and not is_danger(one)), "X00")


def _names_something(desk: Desk) -> bool:
    """Whether a fault was surely told. 「太慢了吧」 read as a repair by the narrowest margin is no reason to send a plumber."""
    return desk.confidence >= SURE or bool(things_in(desk.text))


def begin_with(desk: Desk, faults: list[dict[str, Any]], complaint: Ticket | None) -> None:
    """A repair draft of faults that were told inside something else: of a resident's `complaint` that this turn has registered."""
    draft = begin(desk, "BX")
    told = [{"code": str(one["category"] or "X00"), "words": str(one["text"]).strip("，,。 ")} for one in faults]
    data: dict[str, Any] = {"seen": [desk.key], "words": "，".join(one["words"] for one in told)}
    said = complaint.symptom if complaint and any(one["words"] not in desk.text for one in told) else desk.text
    data["faults"] = _all_placed(desk, told, data, said=said, apart=True)
    if complaint and not places.is_exact(complaint.place_key):
        data["complaint"] = complaint.id
    save(desk, draft, data)


def begin_untold(desk: Desk) -> bool:
    """「我门铃不响了，7-1-902，明早来得及吗」, read as a wish for another time by somebody who has nothing registered: the fault it
    tells is one, with its place and time. Whether there was any."""
    if desk.actor.resident is None or find(desk, "BX") is not None or not (desk.faults or is_broken(desk.text)):
        return False
    if not desk.faults:
        draft = begin(desk, "BX")
        data: dict[str, Any] = {"seen": [desk.key], "words": desk.text}
        told = [{"code": thing_code(desk.text), "words": desk.text.strip("，,。 ")}]
        data["faults"] = _all_placed(desk, told, data)
        _merge_wishes(desk, data)
        save(desk, draft, data)
    return True


def _all_placed(
    desk: Desk, faults: list[dict[str, Any]], data: dict[str, Any], *, said: str = "", apart: bool = False
) -> list[dict[str, Any]]:
    """The faults with their places. `said`: the words they were told in; `apart`: each stands where its own clause says."""
    said = said or desk.text
    told = [fault["words"] for fault in faults if fault["words"] in said]
    own = (read_place(desk.session, desk.community_id, words) for words in told)
    building = lent(place.key for place in own) if len(told) > 1 else ""
    return [_placed(desk, fault, data, building, said, apart=apart or len(faults) > 1) for fault in faults]


def _placed(
    desk: Desk, fault: dict[str, Any], data: dict[str, Any], building: str, said: str, *, apart: bool
) -> dict[str, Any]:
    """The fault with the best place known: its own clause, the message, the earlier draft, the registered home. `building`: which
    one another clause names, for what is public."""
    fault = fault if fault.get("place_key") else {**(data.get("place") or {}), **fault}
    said = without_asides(said)
    alone = beside_complaints(said, (str(one["text"]) for one in desk.message.get("complaints") or []))
    own = fault["words"] if apart and fault["words"] in said else alone
    draft_key = fault.get("place_key") or None
    place = _read(desk, fault, own, draft=draft_key)
    if place.public and fault["words"] not in said and not category(fault["code"]).common and _tells_shared(desk):
        # 「还有楼道灯不亮」 does not say where the tap is that was told before.
        place = _read(desk, fault, own, draft=draft_key, at_home=True)
    if of_other_home(own):
        fault = {**fault, "other_home": True}
    # 「3栋1单元电梯灯不亮 1楼按钮也按不动」: what is shared and names a floor only is in the building of the other clause.
    if (place.public or category(fault["code"]).common) and place.action == "ask" and building:
        place = _read(desk, fault, own, draft=building)
    if place.action == "none" and own != said and not draft_key:
        place = _of_message(desk, fault, said)
    if _of_another_matter(desk, fault, place):
        return fault
    if fault.get("other_home") and place.action == "none" and not fault.get("place_key"):
        return {**fault, "place_key": "", "settled": False, "missing": "other_home"}
    fields = _place_fields(desk, fault["code"], affected(desk, place), fault)
    return {**fault, **fields, "code": _where_it_is(fault["code"], fields)}


def _read(desk: Desk, fault: dict[str, Any], text: str, **about: Any) -> Address:
    """What a text says of where a fault is; of a home and a shared place the one where such a fault can be."""
    place = read_place(
        desk.session, desk.community_id, text, resident=desk.actor.resident, about=str(fault["words"]), **about
    )
    return places.of_kind(desk.session, desk.community_id, place, public=category(fault["code"]).common)


def _of_message(desk: Desk, fault: dict[str, Any], said: str) -> Address:
    """Where the whole message says it is. 「马桶堵了，还有走廊堆了纸箱」: the corridor of one clause is not where the toilet of another
    stands."""
    whole = _read(desk, fault, said)
    elsewhere = whole.public or " + " in whole.key
    return _read(desk, fault, said, at_home=True) if elsewhere and not category(fault["code"]).common else whole


def _tells_shared(desk: Desk) -> bool:
    """Whether this message tells a fault of what everybody shares."""
    return any(category(str(one["category"] or "X00")).common for one in desk.faults)


def _of_another_matter(desk: Desk, fault: dict[str, Any], place: Address) -> bool:
    """「我7栋2单元402」 while the tree beside 7栋 is told: where its reporter lives."""
    known = fault.get("settled") and fault.get("public") and places.is_exact(fault.get("place_key", ""))
    if not corrects(desk.text) and places.is_landmark(
        desk.session, desk.community_id, fault.get("place_key", ""), place
    ):
        return True
    return bool(known and not place.public and place.action != "none" and not corrects(desk.text))


def _where_it_is(code: str, fields: dict[str, Any]) -> str:
    """「灯不亮」, and then 「9楼电梯厅」: no lamp of a home."""
    shared = category(code).shared
    if not shared or not fields.get("public") or not fields.get("settled"):
        return code
    in_building = "/" in places.part_of(fields["place_key"], "building")
    return shared[0] if in_building else shared[-1]


def affected(desk: Desk, place: Address) -> Address:
    """The place that suffers, wherever it comes from."""
    return places.affected(desk.session, desk.community_id, place)


def _place_fields(desk: Desk, code: str, place: Address, before: dict[str, Any]) -> dict[str, Any]:
    if place.action == "none":
        if before.get("place_key"):
            return {}
        home = home_place(desk, code)
        return {"place_key": home.key, "place_text": home.text, "public": home.public, "settled": bool(home.key)}
    wrong = place.action in ("invalid", "conflict")
    typed = places.unchecked(place, desk.text) if wrong or place.options else ""
    return {
        "place_key": (before.get("place_key", "") or place.partial) if wrong else place.key,
        "place_text": (typed or place.display) if wrong else (place.display or typed),
        "public": place.public,
        "settled": place.action in SETTLED or enough_for(code, place),
        "confirm": place.action == "confirm",
        "missing": place.missing,
        "options": [list(option) for option in place.options],
        "problem": dict(place.problem),
        "source_key": place.source_key,
    }


def enough_for(code: str, place: Address) -> bool:
    """A public fault needs no room: building, or building and unit, will do (domain.md §4.3 row 38, 77)."""
    if not category(code).common or place.action in ("invalid", "conflict"):
        return False
    return bool(place.display) and not place.key.startswith("?")


def home_place(desk: Desk, code: str) -> Where:
    """The place of a fault whose sender named none: the registered home, for a common fault the shared place near it where such
    a fault usually is; none where it may be anywhere, so that it is asked."""
    key = home_key(desk.session, desk.actor.resident)
    if not category(code).common:
        return Where(key, place_display(desk.session, desk.community_id, key)) if key else _told_in_this_talk(desk)
    building = "" if key else _building_of_this_talk(desk)
    if not (key or building):
        return Where()
    spot = next((say(name) for name in (f"home_spot.{code}", f"home_spot.{code[0]}") if has_text(name)), "")
    place = read_place(desk.session, desk.community_id, spot, resident=desk.actor.resident, draft=building or None)
    return Where(place.key, place.display, place.public) if place.action in SETTLED else Where()


def _told_in_this_talk(desk: Desk) -> Where:
    """「卧室门吸也掉了」 of somebody without a registered home: in the flat they have just reported something in."""
    for one in just_reported(desk):
        if not one.public_area and places.is_exact(one.place_key):
            return Where(one.place_key, one.place_text)
    return Where()


def _building_of_this_talk(desk: Desk) -> str:
    """「还有信箱也关不上」: in the building of what they have just reported, as a draft; "" if it names none."""
    last = just_reported(desk)[:1] if adds(desk.text) else []
    return lent([one.place_key for one in last])


def just_reported(desk: Desk, within: timedelta = THIS_TALK) -> list[Ticket]:
    """The faults this resident has reported a moment ago and that are not over, newest first."""
    own = finding.open_of(desk.session, desk.actor, kinds=("BX",)) if desk.actor.resident else []
    return [one for one in own if desk.now - one.created_at <= within]


def _merge_wishes(desk: Desk, data: dict[str, Any]) -> None:
    window = parse_window(hours_told(desk.text), desk.now)
    if window and not window.avoid and window.end:
        data["wanted"] = [format_window(window, desk.now), window.start.isoformat(), window.end.isoformat()]
    phone = find_phone(desk.text)
    if phone:
        data["phone"] = phone
    data["flags"] = {**data.get("flags", {}), **facts_in(desk.text, desk.now)}
    if data["flags"].get("near_socket") and just_denied(desk, "WATER_ELEC", desk.text):
        # 「插座旁边滴水」, but the water has not reached it.
        data["flags"]["near_socket"] = False


def just_denied(desk: Desk, danger: str, told: str = "") -> bool:
    """Whether the resident has just said that there is no such danger, asked about words of `told` if there are any."""
    since = desk.now - emergencies.JUST_ASKED
    person = desk.actor.resident
    return person is not None and questions.denied_since(desk.session, person, since, danger, told)


def interrupted(desk: Desk, tracker: Tracker, intents: frozenset[str]) -> bool:
    """Whether the message is other business than the question of the running form; its rule answers, then the form asks on.

    Only a clear reading counts, and never words that name a place or a fault: those are answers.
    """
    if not tracker.get_slot("requested_slot") or desk.faults or desk.intent not in intents:
        return False
    if desk.confidence < SURE:
        return False
    return read_place(desk.session, desk.community_id, desk.text, resident=desk.actor.resident).action == "none"


def chased(desk: Desk) -> bool:
    """Whether somebody presses us a second time while the place is still missing: it is registered with what is known, a person
    finds out the rest (domain.md §5.3)."""
    draft = find(desk, "BX")
    told = draft is not None and desk.intent == "urge" and draft.data.get("faults")
    if draft is None or not told or draft.data.get("asked", 0) < CHASED:
        return False
    save(desk, draft, {**draft.data, "handover": True})
    return True


def open_places(draft: Draft) -> list[dict[str, Any]]:
    """Faults whose place still has to be asked."""
    return [fault for fault in draft.data.get("faults", []) if not fault.get("settled")]
