"""
Derived limits as a picture for a terminal.
"""

from solvent.forecast.limits import Limits
from solvent.forecast.report import _limit_words as words
from solvent.forecast.report._terminal import framed, wrapped
from solvent.report._columns import Column, table
from solvent.report._pen import Pen


def draw_limits(limits: Limits, pen: Pen, width: int) -> list[str]:
    """
    The lines of the picture, each within so many columns: each limit with what it blocks, what all of them block, and
    what is not limited.
    """
    inner = width - 2
    ended = words.together(limits) if limits.all else ""
    said = [one for one in (ended, limits.too_few, *limits.remarks) if one]
    return framed(
        [
            _table(limits, pen, inner) if limits.all else ["no limit can be derived"],
            *(wrapped(one, pen, inner) for one in said),
            _caps(limits, pen, inner),
        ]
    )


def _table(limits: Limits, pen: Pen, width: int) -> list[str]:
    found = limits.all
    columns = [
        Column(title="scope", cells=[pen.plain(one.pattern) for one in found], is_name=True, room=20),
        Column(title="layer", cells=[one.layer for one in found], is_right=False, least=2),
        Column(title="limit", cells=[words.amount(one) for one in found]),
        Column(title="blocks", cells=[words.blocks(one) for one in found]),
        Column(
            title="derived from", cells=[pen.plain(one.derived_from) for one in found], is_name=True, room=24, least=1
        ),
    ]
    return table(columns, pen, width)


def _caps(limits: Limits, pen: Pen, width: int) -> list[str]:
    found = limits.caps
    if not found:
        return []
    columns = [
        Column(title="caps in the program", cells=[pen.plain(words.path(cap)) for cap in found], is_name=True, room=24),
        Column(title="", cells=[words.kind(cap) for cap in found], is_right=False),
        Column(title="enough", cells=[f"{cap.enough:,}" for cap in found]),
        Column(title="declared", cells=[words.declared(cap) for cap in found]),
        Column(title="what that loses", cells=[pen.plain(cap.why) for cap in found], is_name=True, room=50, least=1),
    ]
    return table(columns, pen, width)
