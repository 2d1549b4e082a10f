"""The register expands exactly the fixture of domain.md §4.2 and survives a round trip through JSON."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from nlu.register import Register, RegisterError

DEMO = Path(__file__).parents[2] / "data" / "demo" / "register.yml"


@pytest.fixture(scope="module")
def spec() -> dict[str, Any]:
    return dict(yaml.safe_load(DEMO.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def register(spec: dict[str, Any]) -> Register:
    return Register.from_spec(spec)


def test_counts_of_the_fixture(register: Register) -> None:
    # P1: six towers 2x18x4, building 5 17x6, building 8 15x4; P2: 4x26x4; villas 6x8; garage 4x400+300; shops 30
    assert Counter(place.kind for place in register.places.values()) == {
        "flat": 6 * 144 + 17 * 6 + 15 * 4 + 416,
        "villa": 48,
        "space": 1900,
        "shop": 30,
    }


@pytest.mark.parametrize(
    ("key", "display", "floor", "door"),
    [
        ("P1/3/2/1502", "一期3栋2单元1502室", "15", "02"),
        ("P1/5/-/12A02", "一期5栋12A02室", "12A", "02"),
        ("P1/8/1/12A", "一期8栋12A室", "12", "A"),
        ("P2/3/-/1904", "二期3栋1904室", "19", "04"),
        ("V/6/-/3", "别墅6排3号", "-", "3"),
        ("G/B2/-/023", "地下B2层023号车位", "-", "023"),
        ("G/B1/C/118", "地下B1层C区118号车位", "-", "118"),
        ("S/-/-/12", "商铺S12", "-", "12"),
    ],
)
def test_places(register: Register, key: str, display: str, floor: str, door: str) -> None:
    place = register.places[key]
    assert (place.display, place.floor, place.door) == (display, floor, door)


@pytest.mark.parametrize("key", ["P1/5/-/1302", "P1/8/1/4A", "P1/3/3/1502", "P1/3/2/1904", "P2/3/1/1502", "G/B2/A/023"])
def test_places_that_do_not_exist(register: Register, key: str) -> None:
    assert key not in register.places


def test_floors_are_labels_not_numbers(register: Register) -> None:
    building = register.building("P1", "5")
    assert building is not None
    assert " ".join(building.floors) == "1 2 3 3A 5 6 7 8 9 10 11 12 12A 15 16 17 18"
    assert register.same_stack_above("P1/5/-/1206") == "P1/5/-/12A06"
    assert register.same_stack_above("P1/5/-/302") == "P1/5/-/3A02"


def test_same_stack(register: Register) -> None:
    assert register.same_stack_above("P1/3/2/1502") == "P1/3/2/1602"
    assert register.same_stack_below("P1/3/2/1502") == "P1/3/2/1402"
    assert register.same_stack_above("P1/3/2/1802") is None
    assert register.same_stack_below("P1/3/2/102") is None
    assert register.same_stack_above("V/6/-/3") is None
    assert register.same_stack_above("nowhere") is None


def test_neighbours_share_the_floor(register: Register) -> None:
    assert register.neighbours("P1/3/2/1502") == ("P1/3/2/1501", "P1/3/2/1503", "P1/3/2/1504")
    assert register.neighbours("S/-/-/12") == ()


def test_spec_round_trip_through_json(register: Register) -> None:
    again = Register.from_spec(json.loads(json.dumps(register.to_spec())))
    assert dict(again.places) == dict(register.places)
    assert again.buildings == register.buildings
    assert (again.gates, again.areas, again.aliases) == (register.gates, register.areas, register.aliases)


def test_to_spec_is_a_copy(register: Register) -> None:
    register.to_spec()["phases"].clear()
    assert register.to_spec()["phases"]


def test_irregular_homes_aliases_and_own_marks() -> None:
    register = Register.from_spec(
        {
            "community": "X",
            "display": {"flat": {"building": "{}号楼"}},
            "phases": [
                {
                    "code": "A",
                    "name": "",
                    "buildings": [
                        {
                            "codes": [10, 2],
                            "units": [1, 2],
                            "floors": ["1-2"],
                            "rooms": ["01-02"],
                            "without": ["1/201", "102"],
                        },
                        {"codes": [2], "units": [1], "floors": ["3"], "rooms": ["01"], "names": {"2": ["桂花阁"]}},
                    ],
                }
            ],
        }
    )
    assert [building.code for building in register.buildings] == ["2", "10"]
    assert "A/2/1/301" in register.places and "A/10/1/301" not in register.places
    assert "A/2/1/201" not in register.places and "A/2/2/201" in register.places
    assert not {"A/2/1/102", "A/2/2/102"} & set(register.places)
    assert register.places["A/2/2/201"].display == "2号楼2单元201室"
    assert register.buildings[0].aliases == ("桂花阁",)


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"community": "X", "phases": []},
        {"community": "X", "phases": [{"code": "A", "name": "A", "kind": "castle", "buildings": []}]},
        {"community": "X", "phases": [{"code": "A", "name": "A", "buildings": [{"codes": ["1"]}]}]},
        {
            "community": "X",
            "phases": [{"code": "A", "name": "A", "buildings": [{"rooms": ["1"], "unit_aliases": {"B": 2}}]}],
        },
        {"community": "X", "phases": 3},
    ],
)
def test_bad_specs_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(RegisterError):
        Register.from_spec(bad)
