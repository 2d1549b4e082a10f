"""What every channel does with text: keep out what no database and no platform takes, and cut it to the platform's size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

from bot.channels.base import Button, Refused

CODE_BYTES = 64
Measure = Callable[[str], int]


def clean(text: str) -> str:
    """Without NUL and lone surrogates: a message holding one would be refused, and sent again, for ever."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def utf16(char: str) -> int:
    """Telegram's clients count UTF-16 units: an emoji is two."""
    return 2 if ord(char) > 0xFFFF else 1


def utf8(char: str) -> int:
    """WeChat and WeCom count bytes: a Chinese character is three."""
    return len(char.encode("utf-8", "replace"))


def _fitting(text: str, limit: int, measure: Measure) -> int:
    """How many characters fit."""
    used = 0
    for index, char in enumerate(text):
        used += measure(char)
        if used > limit:
            return index
    return len(text)


def _take_piece(text: str, limit: int, measure: Measure) -> tuple[str, str]:
    """The longest beginning that fits, cut at a line end if there is one, and what is left."""
    fit = _fitting(text, limit, measure)
    if fit == len(text):
        return text, ""
    line_end = text.rfind("\n", 0, fit + 1)
    cut = line_end if text[: max(line_end, 0)].strip() else fit
    return text[:cut], text[cut:].removeprefix("\n")


def split_text(text: str, limit: int, first_limit: int | None = None, measure: Measure = utf16) -> list[str]:
    """Pieces within the limits; blank ones are left out because platforms refuse them."""
    pieces, size = [], first_limit or limit
    while text:
        piece, text = _take_piece(text, size, measure)
        if piece.strip():
            pieces.append(piece)
            size = limit
    return pieces


def check_buttons(buttons: Sequence[Button]) -> None:
    """One bad button would make a platform refuse the whole message. Raises Refused."""
    for button in buttons:
        if not button.label.strip() or not 1 <= len(button.code.encode("utf-8", "replace")) <= CODE_BYTES:
            raise Refused("a button needs a label and a code of 1 to 64 bytes")


def numbered(text: str, buttons: Sequence[Button]) -> str:
    """`text` with its choices as numbered lines; a label that begins with its own number keeps it."""
    lines = [
        button.label if button.label.startswith(str(number)) else f"{number} {button.label}"
        for number, button in enumerate(buttons, 1)
    ]
    return "\n".join([text, *lines]) if lines else text


class Progress:
    """What of each long message is out already, so that a retry does not repeat its beginning (in memory, bounded)."""

    REMEMBERED = 1000

    def __init__(self) -> None:
        self._sent: OrderedDict[str, list[str]] = OrderedDict()

    def of(self, key: str) -> list[str]:
        """The platform's ids of the parts that are out; append to it after each part."""
        sent = self._sent.setdefault(key, [])
        while len(self._sent) > self.REMEMBERED:
            self._sent.popitem(last=False)
        return sent

    def done(self, key: str) -> None:
        self._sent.pop(key, None)
