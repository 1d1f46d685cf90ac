"""
What stands in the line of one limit: its name, its bar and its amounts, in characters that the terminal knows.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction

from msgspec import Struct
from rich.cells import cell_len, chop_cells
from rich.text import Text

from solvent._amounts import show_dollars, show_seconds
from solvent._printable import printable
from solvent.top._records import Row

HEADS = ("used", "spent", "reserved", "left", "limit", "per min", "lasts")
_LEAST_SHOWN = 100_000  # Nanodollars: a burn is told to so many, for it is a guess.


class Marks(Struct, frozen=True, kw_only=True):
    """
    Characters that an encoding knows.
    """

    bar: str = "█▒░"
    dot: str = " · "
    ellipsis: str = "…"
    times: str = "×"

    def plain(self, text: str) -> str:
        """
        Text from outside, that can neither steer the terminal nor fail to be written.
        """
        clean = printable(text)
        return clean if self.times == "×" else clean.encode("ascii", "replace").decode()

    def cut(self, text: str, width: int) -> str:
        """
        Cut in the middle, for the two ends of a name tell it from others.
        """
        if cell_len(text) <= width:
            return text
        room = max(width - len(self.ellipsis), 2)
        head = chop_cells(text, room - room // 2)[0]
        tail = chop_cells(text[::-1], room // 2)[0][::-1]
        return f"{head}{self.ellipsis}{tail}"

    def cut_end(self, text: str, width: int) -> str:
        if cell_len(text) <= width:
            return text
        return chop_cells(text, max(width - len(self.ellipsis), 1))[0] + self.ellipsis


def folded(text: str, width: int) -> Iterator[str]:
    """
    All of it, over as many lines as that takes.
    """
    line = ""
    for word in text.split(" "):
        if line and cell_len(line) + 1 + cell_len(word) > width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
        *full, line = chop_cells(line, width) or [""]
        yield from full
    yield line


MARKS, ASCII = Marks(), Marks(bar="#+.", dot=" - ", ellipsis="...", times="x")


def cells_of(row: Row) -> dict[str, str]:
    balance, show = row.balance, _shower(row)
    is_limited = balance.limit is not None
    is_time = row.account.meter == "seconds"
    return {
        "used": f"{row.used * 100 // 1} %" if is_limited else "",
        "spent": show(balance.spent),
        "reserved": show(balance.reserved) if balance.reserved else "",
        "left": show(balance.remaining or 0) if is_limited else "",
        "limit": show(balance.limit or 0) if is_limited else "",
        "per min": "" if is_time or not row.burn else _rate(row),
        "lasts": _lasts(row),
    }


def _shower(row: Row) -> Callable[[int], str]:
    match row.account.meter:
        case "usd":
            return show_dollars
        case "seconds":
            return short_time
        case _:
            return lambda amount: f"{amount:,}"


def _rate(row: Row) -> str:
    burn = row.burn or Fraction(0)
    if row.account.meter == "usd":
        return burn_dollars(burn)
    return f"{float(burn):,.0f}" if abs(burn) >= 10 else f"{float(burn):.1f}"


def burn_dollars(burn: Fraction) -> str:
    return "<$0.0001" if 0 < burn < _LEAST_SHOWN else show_dollars(round(burn / _LEAST_SHOWN) * _LEAST_SHOWN)


def _lasts(row: Row) -> str:
    """
    How long what is left lasts at this burn; ``to reset``, if its window begins anew before.
    """
    if row.balance.remaining is not None and row.balance.remaining <= 0:
        return "used up"
    if row.seconds_left is None:
        return ""
    is_reset = row.resets_seconds is not None and row.resets_seconds <= row.seconds_left
    return "to reset" if is_reset else short_time(row.seconds_left)


def short_time(seconds: int) -> str:
    """
    ``42 s``, ``5 min``, ``3 h``: the larger unit alone.
    """
    if seconds < 60:
        return f"{seconds} s"
    return " ".join(show_seconds(seconds).split(" ")[:2]) if seconds < 86_400 * 99 else "99+ d"


def row_name(row: Row) -> str:
    meter, window = row.account.meter.replace("_", " "), row.account.window.partition("@")[0]
    name = f"{'time' if meter == 'seconds' else meter}{f'/{window}' if window else ''}"
    return name if row.on_exceed == "block" else f"{name} ({row.on_exceed})"


def style_of(row: Row) -> str:
    if row.balance.limit is None:
        return ""
    return "red" if row.used >= 1 else "yellow" if row.used * 10 >= 8 else ""


def bar_of(row: Row, width: int, marks: Marks, style: str) -> Text:
    limit, balance = row.balance.limit, row.balance
    if limit is None:
        return Text(f"{'no limit':{width}}"[:width], "dim")
    full, held, free = tuple(marks.bar)
    used = _filled(balance.spent + balance.reserved, limit, width)
    spent = min(_filled(balance.spent, limit, width), used)
    spent -= bool(balance.reserved and spent == used and used > 1)  # A cell at least for what is reserved.
    return Text.assemble((full * spent, style), (held * (used - spent), "yellow"), (free * (width - used), "dim"))


def _filled(amount: int, limit: int, width: int) -> int:
    """
    Something is never drawn as nothing, nor nearly all as all.
    """
    if amount >= limit:
        return width if amount else 0
    return max(1, amount * width // limit) if amount > 0 else 0
