"""Rows of a large estate for the import, good ones and bad ones."""

from __future__ import annotations

HOMES = ["分期", "楼栋", "单元", "楼层", "房号", "类型"]


def estate(size: int) -> tuple[list[list[str]], list[int]]:
    """`size` rows of a large estate, every hundredth spoilt in one of four ways; and the lines of those."""
    rows, bad = [], []
    for number in range(size):
        building, rest = divmod(number, 200)
        unit, place = divmod(rest, 100)
        floor, door = divmod(place, 4)
        row = ["一期", str(building + 1), str(unit + 1), str(floor + 1), f"{floor + 1}{door + 1:02d}", "住宅"]
        if number % 100 == 57:
            spoil = number // 100 % 4
            row = [[*row[:4], "", ""], ["", *row[1:]], [*row[:5], "城堡"], [row[0], "楼", *row[2:]]][spoil]
            bad.append(number + 2)
        rows.append(row)
    return rows, bad
