"""A report as one tall picture for a phone. Draws what tickets/reports.py counted; words come from data/messages/reports.yml.

Needs a font with Chinese letters. Without one there is no picture (`find_font` is None) and the text goes alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from tickets.kpi import Ratio
from tickets.reports import Count, Hand, Report
from tickets.texts import clock, say

# Families with simplified Chinese, the best first.
FAMILIES = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "SimHei",
    "Noto Sans CJK JP",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)
INK, SOFT, LINE, PAPER, CARD = "#1c2430", "#6b7684", "#e3e8ee", "#f3f5f8", "#ffffff"
MAIN, SECOND, GOOD, BAD = "#2f6fde", "#9db9ea", "#1f9d63", "#d9483b"
WIDTH, DPI = 7.2, 150
CARDS = (
    "satisfied",
    "rated",
    "accept_in_time",
    "arrive_in_time",
    "finish_in_time",
    "first_time_right",
    "complaints_in_time",
    "promises_kept",
)


@cache
def find_font() -> str | None:
    """The family to draw with, or None when no font of this machine has Chinese letters."""
    there = {font.name for font in font_manager.fontManager.ttflist}
    return next((family for family in FAMILIES if family in there), None)


def picture(report: Report) -> bytes | None:
    """The report as PNG, or None without a Chinese font."""
    family = find_font()
    if family is None:
        return None
    blocks = _blocks(report)
    height = 2.3 + sum(size for size, _, _ in blocks)
    figure = Figure(figsize=(WIDTH, height), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    # Only for this figure: the process may draw two reports at once.
    context = _Page(figure, height, family)
    context.head(report)
    for size, title, draw in blocks:
        draw(context.block(size, title))
    out = io.BytesIO()
    figure.savefig(out, format="png", facecolor=PAPER)
    return out.getvalue()


Draw = Any


def _blocks(report: Report) -> list[tuple[float, str, Draw]]:
    """Height, title and drawing of each card that has something to show."""
    found: list[tuple[float, str, Draw]] = [(3.2, "", lambda page: _cards(page, report))]
    if len(report.by_day) > 1 and any(one.value for one in report.by_day):
        found.append((2.2, say("picture.trend"), lambda page: _trend(page, report)))
    for name in ("faults", "buildings", "complaints"):
        counts = [one for one in getattr(report, name) if one.value]
        if counts:
            found.append(
                (_bar_height(len(counts)), say(f"report.{name}"), lambda page, counts=counts: _bars(page, counts))
            )
    if report.hands:
        hands = report.hands[:8]
        found.append((_bar_height(len(hands)) + 0.25, say("picture.hands"), lambda page: _hands(page, hands)))
    return found


def _bar_height(rows: int) -> float:
    return 0.68 + 0.31 * rows


class _Page:
    """Places cards from the top down, in inches."""

    def __init__(self, figure: Figure, height: float, family: str) -> None:
        self.figure, self.height, self.family = figure, height, family
        self._top = height
        self._left, self._right = 0.25, WIDTH - 0.25

    def text(self, x: float, y: float, words: str, size: float, color: str = INK, **more: Any) -> None:
        """Words at (x, y) inches from the left and the bottom."""
        self.figure.text(x / WIDTH, y / self.height, words, fontsize=size, color=color, family=self.family, **more)

    def head(self, report: Report) -> None:
        y = self._top - 0.62
        self.text(0.35, y, report.title, 22, fontweight="bold")
        self.text(0.35, y - 0.36, f"{report.period.label}  {report.scope}", 12, SOFT)
        self._top -= 1.3
        counts = (("new", report.taken_in), ("done", report.finished), ("open", report.still_open))
        cells = [*counts, ("overdue", report.overdue)]
        step = (self._right - self._left) / len(cells)
        for number, (name, value) in enumerate(cells):
            x = self._left + 0.1 + number * step
            self.text(
                x, self._top - 0.42, str(value), 26, BAD if name == "overdue" and value else MAIN, fontweight="bold"
            )
            self.text(x, self._top - 0.68, say(f"picture.{name}"), 11, SOFT)
        self._top -= 0.85
        self.text(self._right, 0.1, say("picture.made", at=clock(report.now, report.now)), 9, SOFT, ha="right")

    def block(self, size: float, title: str) -> _Block:
        """A white card of `size` inches, its title written."""
        bottom = self._top - size + 0.12
        box = FancyBboxPatch(
            (self._left / WIDTH, bottom / self.height),
            (self._right - self._left) / WIDTH,
            (size - 0.12) / self.height,
            boxstyle="round,pad=0,rounding_size=0.012",
            mutation_aspect=WIDTH / self.height,
            facecolor=CARD,
            edgecolor=LINE,
            linewidth=0.8,
            zorder=-1,
            transform=self.figure.transFigure,
        )
        self.figure.add_artist(box)
        if title:
            self.text(self._left + 0.2, self._top - 0.32, title, 13, fontweight="bold")
        self._top -= size
        return _Block(self, bottom, size - 0.12, bool(title))


class _Block:
    """The inside of one card."""

    def __init__(self, page: _Page, bottom: float, height: float, titled: bool) -> None:
        self.page, self.bottom, self.height = page, bottom, height
        self.room = height - (0.5 if titled else 0.1)

    def axes(self, left: float, right: float = 0.35, foot: float = 0.12) -> Axes:
        """Axes inside the card; `left`, `right` and `foot` are inches for labels."""
        page = self.page
        x, y = 0.25 + left, self.bottom + foot
        width, height = WIDTH - 0.5 - left - right, self.room - foot
        axes = page.figure.add_axes((x / WIDTH, y / page.height, width / WIDTH, height / page.height))
        axes.set_facecolor("none")
        for side in ("top", "right", "left", "bottom"):
            axes.spines[side].set_visible(False)
        axes.tick_params(length=0, labelsize=11, colors=INK)
        return axes


def _font(block: _Block, size: float, color: str = INK) -> dict[str, Any]:
    return {"fontsize": size, "color": color, "family": block.page.family}


def _cards(block: _Block, report: Report) -> None:
    """The six figures people ask for first, with what they were before."""
    page, across = block.page, 2
    rows = -(-len(CARDS) // across)
    step_x, step_y = (WIDTH - 0.5) / across, (block.height - 0.12) / rows
    for number, name in enumerate(CARDS):
        x = 0.45 + (number % across) * step_x
        y = block.bottom + block.height - 0.34 - (number // across) * step_y
        value, last = getattr(report.figures, name), getattr(report.last, name)
        page.text(x, y, say(f"figure.{name}"), 11, SOFT)
        page.text(x, y - 0.36, _percent(value), 20, fontweight="bold")
        page.text(x + 1.35, y - 0.34, f"{value.hits}/{value.of}" if value.of else "", 10, SOFT)
        words, color = _change(value, last)
        page.text(x + 2.15, y - 0.34, words, 10, color)


def _percent(value: Ratio) -> str:
    return f"{value.percent:.1f}%" if value.percent is not None else "–"


def _change(value: Ratio, last: Ratio) -> tuple[str, str]:
    if value.percent is None or last.percent is None:
        return "", SOFT
    change = round(value.percent - last.percent, 1)
    if not change:
        return say("picture.same"), SOFT
    return say("picture.up" if change > 0 else "picture.down", by=abs(change)), GOOD if change > 0 else BAD


def _trend(block: _Block, report: Report) -> None:
    """New and finished by day."""
    axes = block.axes(left=0.55, foot=0.36)
    days = range(len(report.by_day))
    new, done = ([one.value for one in row] for row in (report.by_day, report.done_by_day))
    axes.bar(days, new, width=0.72, color=SECOND, label=say("picture.new"))
    axes.plot(days, done, color=MAIN, linewidth=2.2, marker="o", markersize=3.5, label=say("picture.done"))
    step = max(1, -(-len(new) // 8))
    axes.set_xticks(list(days)[::step], [one.name for one in report.by_day][::step], **_font(block, 10, SOFT))
    axes.set_yticks([0, max([*new, *done, 1])])
    axes.tick_params(axis="y", labelsize=10, colors=SOFT)
    axes.set_ylim(0, max([*new, *done, 1]) * 1.12)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False,
        prop={"family": block.page.family, "size": 10}, handlelength=1.2, borderaxespad=0.1,
    )  # fmt: skip


def _bars(block: _Block, counts: Sequence[Count]) -> None:
    """Lying bars, the greatest on top, each with its number."""
    axes = block.axes(left=1.75)
    rows = range(len(counts))
    values = [one.value for one in counts]
    axes.barh(rows, values, height=0.56, color=MAIN)
    axes.invert_yaxis()
    axes.set_yticks(list(rows), [_fits(one.name) for one in counts], **_font(block, 11))
    axes.set_xticks([])
    axes.set_xlim(0, max(values) * 1.08)
    for row, value in zip(rows, values, strict=True):
        axes.text(value + max(values) * 0.012, row, str(value), va="center", **_font(block, 11))


def _hands(block: _Block, hands: Sequence[Hand]) -> None:
    """Finished and on hand, by worker."""
    axes = block.axes(left=1.75, foot=0.1)
    rows = range(len(hands))
    top = max([1, *(one.finished + one.open for one in hands)])
    axes.barh(rows, [one.finished for one in hands], height=0.56, color=MAIN, label=say("picture.finished"))
    axes.barh(
        rows, [one.open for one in hands], left=[one.finished for one in hands], height=0.56, color=SECOND,
        label=say("picture.on_hand"),
    )  # fmt: skip
    axes.invert_yaxis()
    axes.set_yticks(list(rows), [_fits(one.name) for one in hands], **_font(block, 11))
    axes.set_xticks([])
    axes.set_xlim(0, top * 1.12)
    for row, one in zip(rows, hands, strict=True):
        axes.text(
            one.finished + one.open + top * 0.012, row, f"{one.finished}+{one.open}", va="center", **_font(block, 11)
        )
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False,
        prop={"family": block.page.family, "size": 10}, handlelength=1.2, borderaxespad=0.1,
    )  # fmt: skip


def _fits(name: str, limit: int = 9) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"
