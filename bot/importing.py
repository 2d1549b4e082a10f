"""`guanjia import`: the company's own lists of homes, residents and staff, as CSV or Excel (data/catalog/import.yml).

Good rows go in, each bad row is named with its line, and the same file once more changes nothing. The caller commits, or not (dry run).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import yaml
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nlu.address import resolve
from nlu.normalize import normalize
from nlu.register import NO_LEVEL, Place, Register, wording
from storage.database import connect, sessions
from storage.models import Community, Household, Residency, Resident, Shift, Staff
from storage.register import add_households
from tickets.texts import DATA, say

Row = Mapping[str, str]


class UnreadableFile(Exception):
    """The file as a whole cannot be used; the text says why."""


class BadRow(Exception):
    """One row cannot be used; the text says why."""


@dataclass
class Result:
    """What an import did. `bad` is (line of the file, why)."""

    added: int = 0
    changed: int = 0
    same: int = 0
    bad: list[tuple[int, str]] = field(default_factory=list)


@cache
def _catalog() -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((DATA / "catalog" / "import.yml").read_text("utf-8"))
    return data


# --- reading ----------------------------------------------------------------------------------------------------------


def read_rows(path: Path, what: str) -> list[tuple[int, Row]]:
    """(line, named cells) of a CSV (UTF-8 or GB18030) or xlsx file. Raises UnreadableFile."""
    try:
        table = _xlsx(path) if path.suffix.lower() in (".xlsx", ".xlsm") else _csv(path)
    except (OSError, UnicodeDecodeError, csv.Error, InvalidFileException, BadZipFile, KeyError, ValueError) as error:
        raise UnreadableFile(say("import.no_file", reason=type(error).__name__)) from error
    numbered = [(line, cells) for line, cells in enumerate(table, 1) if any(cells)]
    if not numbered:
        raise UnreadableFile(say("import.no_file", reason="empty"))
    columns = _columns(numbered[0][1], what)
    return [
        (line, {name: cells[at] if at < len(cells) else "" for name, at in columns.items()})
        for line, cells in numbered[1:]
    ]


def _csv(path: Path) -> list[list[str]]:
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("gb18030")
    return [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text))]


def _xlsx(path: Path) -> list[list[str]]:
    sheet = load_workbook(path, read_only=True, data_only=True).worksheets[0]
    return [[_cell(value) for value in row] for row in sheet.iter_rows(values_only=True)]


def _cell(value: object) -> str:
    """A number that Excel made of a room or a phone, as it was meant."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value).strip()


def _columns(head: Sequence[str], what: str) -> dict[str, int]:
    wanted = _catalog()["columns"][what]
    at = {cell.lower(): index for index, cell in reversed(list(enumerate(head)))}
    found = {
        name: at[known.lower()]
        for name, one in wanted.items()
        for known in reversed(one["names"])
        if known.lower() in at
    }
    missing = [one["names"][0] for name, one in wanted.items() if one.get("required") and name not in found]
    if missing:
        raise UnreadableFile(say("import.no_column", names=say("list.comma").join(missing)))
    return found


def _needed(row: Row, what: str, *names: str) -> None:
    for name in names:
        if not row.get(name):
            raise BadRow(say("import.empty", column=_catalog()["columns"][what][name]["names"][0]))


def _one_of(words: Mapping[str, str], value: str, key: str) -> str:
    """The meaning of a word of the list, which the stored word itself also has."""
    if value in words.values():
        return value
    if value not in words:
        raise BadRow(say(f"import.{key}", value=value, known=say("list.comma").join(words)))
    return words[value]


def _each(rows: Sequence[tuple[int, Row]], result: Result, work: Callable[[int, Row], None]) -> None:
    for line, row in rows:
        try:
            work(line, row)
        except BadRow as error:
            result.bad.append((line, str(error)))


# --- homes ------------------------------------------------------------------------------------------------------------


def import_households(session: Session, community: Community, rows: Sequence[tuple[int, Row]]) -> Result:
    """New homes join the register; homes that are there stay as they are. Nothing is ever taken away."""
    result, first, new = Result(), dict[str, int](), list[_Home]()
    spec: dict[str, Any] = {**community.register_spec, "phases": list(community.register_spec.get("phases", []))}
    known = set(Register.from_spec(spec).places) if spec["phases"] else set()
    phases = _Phases(spec["phases"])

    def work(line: int, row: Row) -> None:
        home = _home(row, phases)
        if home.key in first:
            raise BadRow(say("import.twice", first=first[home.key]))
        first[home.key] = line
        if home.key in known:
            result.same += 1
        else:
            new.append(home)

    _each(rows, result, work)
    if new:
        _extend(session, community, phases.spec(new), {home.key for home in new}, known)
    result.added = len(new)
    return result


@dataclass(frozen=True)
class _Home:
    phase: str
    building: str
    unit: str
    floor: str
    door: str

    @property
    def key(self) -> str:
        return "/".join((self.phase, self.building, self.unit, self.floor.replace(NO_LEVEL, "") + self.door))


class _Phases:
    """The phases of a register spec by their names; new ones get a code of their own."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._entries = [{**one, "buildings": list(one["buildings"])} for one in entries]
        self._codes = {str(one["name"]): str(one["code"]) for one in entries} | {
            str(one["code"]): str(one["code"]) for one in entries
        }
        self._kinds = {str(one["code"]): str(one.get("kind", "flat")) for one in entries}

    def code(self, name: str, kind: str) -> str:
        """The code of the phase called so. Raises BadRow if homes of another kind are in it."""
        code = self._codes.get(name)
        if code is None:
            code = next(free for number in range(1, 10_000) if (free := f"P{number}") not in self._kinds)
            self._entries.append({"code": code, "name": name, "kind": kind or "flat", "buildings": []})
            self._codes[name], self._kinds[code] = code, kind or "flat"
        if kind and self._kinds[code] != kind:
            raise BadRow(say("import.phase_kind", phase=name))
        return code

    def spec(self, homes: Sequence[_Home]) -> list[dict[str, Any]]:
        """The entries with `homes` added, as few lines as say the same; phases that got no home are left out."""
        by_code = {one["code"]: one for one in self._entries}
        units: dict[tuple[str, str, str], dict[str, set[str]]] = {}
        for home in homes:
            units.setdefault((home.phase, home.building, home.unit), {}).setdefault(home.floor, set()).add(home.door)
        for (phase, building, unit), floors in units.items():
            by_code[phase]["buildings"] += list(_entries(building, unit, floors))
        return [one for one in self._entries if one["buildings"]]


def _entries(building: str, unit: str, floors: Mapping[str, set[str]]) -> Iterator[dict[str, Any]]:
    """Runs of floors with the same doors; the order of floors tells what lies above what."""
    run: dict[str, Any] = {}
    for floor in sorted(floors, key=_natural):
        doors = sorted(floors[floor], key=_natural)
        if run and run["rooms"] == doors and floor != NO_LEVEL:
            run["floors"].append(floor)
            continue
        if run:
            yield run
        run = {"rooms": doors}
        if building != NO_LEVEL:
            run["codes"] = [building]
        if unit != NO_LEVEL:
            run["units"] = [unit]
        if floor != NO_LEVEL:
            run["floors"] = [floor]
    yield run


def _natural(label: str) -> tuple[int, str]:
    digits = re.match(r"\d+", label)
    return (int(digits[0]) if digits else -1, label)


def _home(row: Row, phases: _Phases) -> _Home:
    _needed(row, "households", "phase", "room")
    columns = _catalog()["columns"]["households"]
    parts = {name: row.get(name, "").strip().upper() for name in ("building", "unit", "floor", "room")}
    for name, value in parts.items():
        if value and not re.fullmatch(_catalog()["label"], value):
            raise BadRow(say("import.label", column=columns[name]["names"][0]))
    kind = _one_of(_catalog()["kinds"], row["kind"], "kind") if row.get("kind") else "flat"
    floor, door = _floor_and_door(parts["floor"], parts["room"], kind)
    code = phases.code(row["phase"], kind if row.get("kind") else "")
    return _Home(code, parts["building"] or NO_LEVEL, parts["unit"] or NO_LEVEL, floor, door)


def _floor_and_door(floor: str, room: str, kind: str) -> tuple[str, str]:
    """1502 is door 02 of floor 15; villas, shops and car spaces have no floor."""
    if kind != "flat":
        return NO_LEVEL, room
    if floor and room.startswith(floor) and len(room) > len(floor):
        return floor, room[len(floor) :]
    if floor:
        return floor, room
    return (room[:-2], room[-2:]) if room.isdecimal() and len(room) >= 3 else (NO_LEVEL, room)


def _extend(
    session: Session, community: Community, phases: list[dict[str, Any]], new: set[str], known: set[str]
) -> None:
    """Make the spec and the rows say the same; what the spec expands to is checked before anything is written."""
    spec = {"community": community.name, **community.register_spec, "phases": phases}
    register = Register.from_spec(spec)
    assert set(register.places) == known | new, "the register must hold exactly the homes asked for"
    community.register_spec = spec
    add_households(session, community, spec, [vars_of(register.places[key]) for key in sorted(new)])


def vars_of(place: Place) -> dict[str, str]:
    names = ("key", "kind", "phase", "building", "unit", "display")
    return {name: str(getattr(place, name)) for name in names}


# --- residents --------------------------------------------------------------------------------------------------------


def import_residents(session: Session, community: Community, rows: Sequence[tuple[int, Row]], now: datetime) -> Result:
    """People and their homes as the company has them on record, so their ties count as verified."""
    result, first = Result(), dict[tuple[str, ...], int]()
    people = _People(session, community, now)

    def work(line: int, row: Row) -> None:
        _needed(row, "residents", "name", "phone", "home")
        same = (row["name"], _phone(row["phone"]), row["home"])
        if same in first:
            raise BadRow(say("import.twice", first=first[same]))
        outcome = people.tie(row)
        first[same] = line
        result.added += outcome == "added"
        result.changed += outcome == "changed"
        result.same += outcome == "same"

    with session.no_autoflush:
        _each(rows, result, work)
    session.flush()
    return result


class _People:
    """The residents of a community and their ties, looked up once."""

    def __init__(self, session: Session, community: Community, now: datetime) -> None:
        self._session, self._community, self._now = session, community, now
        self._homes = _Homes(session, community)
        query = select(Resident).where(Resident.community_id == community.id, Resident.phone != "")
        self._known = {(one.name, one.phone): one for one in session.scalars(query)}
        ties = select(Residency).join(Household).where(Household.community_id == community.id)
        self._ties = {(tie.resident_id, tie.household_id): tie for tie in session.scalars(ties)}

    def tie(self, row: Row) -> str:
        """Tie a person to a home: added, changed or same."""
        relation = _one_of(_catalog()["relations"], row["relation"], "relation") if row.get("relation") else "owner"
        home, phone = self._homes.find(row["home"]), _phone(row["phone"])
        person = self._known.get((row["name"], phone)) or self._new(row, phone)
        tie = self._ties.get((person.id, home)) if person.id else None
        if tie is None:
            new = Residency(resident=person, household_id=home, relation=relation, verified_at=self._now)
            self._session.add(new)
            return "added"
        changed = _renew(self._session, person, salutation=row.get("salutation") or person.salutation)
        since = tie.verified_at or self._now
        changed |= _renew(self._session, tie, relation=relation, ended_at=None, verified_at=since)
        return "changed" if changed else "same"

    def _new(self, row: Row, phone: str) -> Resident:
        person = Resident(community_id=self._community.id, name=row["name"], phone=phone)
        person.salutation = row.get("salutation", "")
        self._known[row["name"], phone] = person
        self._session.add(person)
        return person


def _renew(session: Session, row: Resident | Residency | Staff, **values: object) -> bool:
    """Write what differs; whether anything did."""
    different = {name: value for name, value in values.items() if getattr(row, name) != value}
    if different:
        session.execute(update(type(row)).where(type(row).id == row.id).values(**different))
        session.refresh(row)
    return bool(different)


def _phone(text: str) -> str:
    phone = re.sub(r"[\s-]", "", text) if text.strip().startswith(("1", "+86")) else text.strip()
    phone = phone.removeprefix("+86")
    if not re.fullmatch(_catalog()["phone"], phone):
        raise BadRow(say("import.phone"))
    return phone


class _Homes:
    """Homes by their key, by how they are shown, or by how somebody wrote them."""

    def __init__(self, session: Session, community: Community) -> None:
        query = select(Household.id, Household.key, Household.display).where(Household.community_id == community.id)
        rows = session.execute(query).all()
        self._ids = {key: row_id for row_id, key, _ in rows}
        self._shown = {_plain(display): row_id for row_id, _, display in rows}
        self._register = Register.from_spec(community.register_spec) if rows else None

    def find(self, text: str) -> int:
        found = self._ids.get(text) or self._shown.get(_plain(text))
        if found is not None:
            return found
        if self._register is None:
            raise BadRow(say("import.home"))
        address = resolve(text, self._register)
        if address.action == "ok" and address.key in self._ids:
            return self._ids[address.key]
        raise BadRow(say("import.home_many" if address.action == "ask" and len(address.keys) > 1 else "import.home"))


def _plain(text: str) -> str:
    last = wording()["display"]["flat"]["room"].format("")
    return normalize(text).text.replace(" ", "").removesuffix(last)


# --- staff ------------------------------------------------------------------------------------------------------------


def import_staff(session: Session, community: Community, rows: Sequence[tuple[int, Row]]) -> Result:
    """Colleagues by their names. Columns that the file has not stay as they are; who left is switched off, never deleted."""
    result, first = Result(), dict[str, int]()
    known = {one.name: one for one in session.scalars(select(Staff).where(Staff.community_id == community.id))}

    def work(line: int, row: Row) -> None:
        _needed(row, "staff", "name", "role", "department")
        if row["name"] in first:
            raise BadRow(say("import.twice", first=first[row["name"]]))
        first[row["name"]] = line
        values, hours = _staff_values(row), _hours(row.get("hours", ""))
        staff = known.get(row["name"])
        if staff is None:
            staff = Staff(community_id=community.id, name=row["name"], **values)
            staff.shifts = _shifts(hours or (0, 1440))
            session.add(staff)
            result.added += 1
            return
        changed = _renew(session, staff, **values)
        if hours and {(one.start_minute, one.end_minute) for one in staff.shifts} != {hours}:
            staff.shifts[:] = _shifts(hours)
            changed = True
        result.changed += changed
        result.same += not changed

    _each(rows, result, work)
    session.flush()
    return result


def _staff_values(row: Row) -> dict[str, Any]:
    catalog = _catalog()
    values: dict[str, Any] = {
        "role": _one_of(catalog["roles"], row["role"], "role"),
        "department": _one_of(catalog["departments"], row["department"], "department"),
    }
    for name in ("trades", "licences"):
        if name in row:
            values[name] = [_one_of(catalog["trades"], one, "trade") for one in _list(row[name])]
    if "areas" in row:
        values["areas"] = _list(row["areas"])
    if row.get("badge"):
        values["badge"] = row["badge"]
    if row.get("phone"):
        values["phone"] = _phone(row["phone"])
    if row.get("cap"):
        if not row["cap"].isdecimal():
            raise BadRow(say("import.cap"))
        values["cap"] = int(row["cap"])
    if row.get("active"):
        values["active"] = row["active"].lower() not in catalog["no_words"]
    return values


def _list(text: str) -> list[str]:
    return [one for one in re.split(r"[、,，;；\s]+", text) if one]


def _hours(text: str) -> tuple[int, int] | None:
    """08:30-17:30 in minutes; an end before the start is the next morning."""
    if not text:
        return None
    found = re.fullmatch(r"(\d{1,2}):(\d{2}) ?[-–~至] ?(\d{1,2}):(\d{2})", text)
    if not found:
        raise BadRow(say("import.hours"))
    start, end = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    return start, end if end > start else end + 1440


def _shifts(hours: tuple[int, int]) -> list[Shift]:
    return [Shift(weekday=day, start_minute=hours[0], end_minute=hours[1]) for day in range(7)]


# --- the commands -----------------------------------------------------------------------------------------------------


def new_community(database_url: str, code: str, name: str, duty_phone: str) -> str:
    """Make a community without homes; one that is there stays as it is. Returns what to say. Raises UnreadableFile."""
    if not re.fullmatch(r"[a-z0-9-]{1,40}", code):
        raise UnreadableFile(say("community.code"))
    with sessions(connect(database_url)).begin() as session:
        if session.scalar(select(Community.id).where(Community.code == code)):
            return say("community.exists", code=code)
        settings = {"duty_phone": duty_phone} if duty_phone else {}
        spec = {"community": name, "phases": []}
        session.add(Community(code=code, name=name, register_spec=spec, settings=settings))
        return say("community.made", code=code, name=name)


def run(database_url: str, code: str, what: str, file: Path, now: datetime, dry_run: bool) -> tuple[list[str], bool]:
    """One import in one transaction; what to say, and whether a row was bad. Raises UnreadableFile."""
    rows = read_rows(file, what)
    with sessions(connect(database_url))() as session:
        community = session.scalar(select(Community).where(Community.code == code))
        if community is None:
            raise UnreadableFile(say("community.unknown", code=code))
        if what == "households":
            result = import_households(session, community, rows)
        elif what == "residents":
            result = import_residents(session, community, rows, now)
        else:
            result = import_staff(session, community, rows)
        if dry_run:
            session.rollback()
        else:
            session.commit()
    said = [say("import.line", line=line, why=why) for line, why in result.bad]
    counts = {"added": result.added, "changed": result.changed, "same": result.same, "bad": len(result.bad)}
    return [*said, say("import.done", **counts), *([say("import.dry")] if dry_run else [])], bool(result.bad)
