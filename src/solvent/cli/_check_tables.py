"""
What ``solvent check`` found, drawn for people.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TextIO

from msgspec import Struct

from solvent.cli._tables import fitted, terminal_width
from solvent.policy import Policy
from solvent.policy._contradictions import Finding
from solvent.policy._coverage import LAYERS, Cell, Hole, Layer, Type, together
from solvent.policy._explain import Applied, Explained, State
from solvent.policy._find import shown as shown_path
from solvent.policy._outranked import CALL, limits_of
from solvent.policy._words import shown
from solvent.report._pen import Pen

WIDTH_PIPED = 80
WIDTH_MIN, WIDTH_MAX = 40, 120

_MARKS: Mapping[Cell, str] = {"blocks": "✓", "some": "(✓)", "tells": "!", "none": "", "not applicable": "–"}
_ASCII: Mapping[Cell, str] = {"blocks": "yes", "some": "(yes)", "tells": "!", "none": "", "not applicable": "-"}
_MEANINGS: Mapping[Cell, str] = {
    "blocks": "refuses",
    "some": "refuses for named scopes alone",
    "tells": "only tells",
    "not applicable": "does not apply",
}
_COLORS: Mapping[Cell, str] = {"blocks": "green", "some": "yellow", "tells": "yellow", "not applicable": "dim"}
_STATE_HEAD = ["limit", "here", "of", "entry", "from"]
_STATES: Mapping[State, str] = {
    "decides": "the smallest of its meter and window, and the first that a call here alone can meet",
    "holds": "larger, and of a wider scope, from which others spend as well",
    "never": "another one always refuses before it",
    "tells": "refuses nothing (`on_exceed: warn` or `log`)",
}
_FIRST = 10  # Columns of a budget type's name.


class Findings(Struct, frozen=True, kw_only=True):
    """
    All that is found in a policy.
    """

    policy: Policy
    coverage: Mapping[Type, Mapping[Layer, Cell]]
    holes: Sequence[Hole]
    contradictions: Sequence[Finding]
    notes: Sequence[Finding]


def write(stream: TextIO, draw: Callable[[Pen, int | None], Sequence[str]], *, environment: Mapping[str, str]) -> None:
    """
    Draw on a stream: as wide as its terminal, in color only there, in the marks that its encoding knows.
    """
    color = stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    encoding = stream.encoding or "utf-8"
    is_ascii = not encoding.lower().replace("-", "").startswith("utf")
    lines = draw(Pen(color=color, ascii=is_ascii), terminal_width())
    print("\n".join(lines).encode(encoding, "replace").decode(encoding), file=stream)


def findings_lines(findings: Findings, pen: Pen, width: int | None) -> list[str]:
    policy = findings.policy
    lines = [_title(pen, *_files(policy)), "", *_limits(policy, pen, width), "", *_coverage(findings, pen, width)]
    if findings.holes:
        lines += ["", pen.paint("yellow", f"open: {_patterns_count(findings.holes)}")]
    for pattern in dict.fromkeys(hole.pattern for hole in findings.holes):
        lines += _open(pattern, [hole for hole in findings.holes if hole.pattern == pattern], pen, width)
    if len(findings.holes) > 1:
        lines += ["", "to close all of them"]
        for where, line in together(policy, findings.holes):
            lines += _to_write(where, line, pen, width, indent=2)
    for name, color, found in (
        ("contradictions", "red", findings.contradictions),
        ("notes", "yellow", findings.notes),
    ):
        if found:
            lines += ["", pen.paint(color, f"{name}: {len(found)}")]
        for one in found:
            lines += _finding(one, pen, width)
    if not findings.contradictions and not findings.holes:
        lines += ["", pen.paint("green", "no failure pattern is open, and nothing contradicts")]
    return lines


def explained_lines(explained: Explained, policy: Policy, pen: Pen, width: int | None) -> list[str]:
    lines = [_title(pen, explained.scope, *_files(policy)), ""]
    if explained.limits:
        rows = [_STATE_HEAD, *([pen.plain(cell) for cell in _applied(one)] for one in explained.limits)]
        table = fitted(rows, right=(), least=(2,), width=_inner(width))
        lines += ["limits, the widest scope first", *_indented(table), ""]
        states = [state for state in _STATES if any(one.state == state for one in explained.limits)]
        for state in states:
            lines += _text(f"{state}: {_STATES[state]}", width, indent=2)
    else:
        entries = ", ".join(dict.fromkeys(pattern for pattern, _ in limits_of(policy))) or "none"
        lines += _text(pen.plain(f"No limit applies to a call there. The policy's entries: {entries}."), width)
    if explained.ask_for:
        hint = f"A program's calls are those of a run, and its limits hold too: --explain {explained.ask_for}"
        lines += ["", *_text(pen.plain(hint), width)]
    rows = [[name, pen.plain(text)] for name, text in explained.rules]
    named = [["" if at and rows[at - 1][0] == name else name, text] for at, (name, text) in enumerate(rows)]
    return [*lines, "", "besides", *_indented(fitted(named, right=(), width=_inner(width)))]


def _title(pen: Pen, *names: str) -> str:
    return f"{pen.paint('bold', 'Solvent check')}{pen.dot}{pen.dot.join(map(pen.plain, names))}"


def _files(policy: Policy) -> list[str]:
    """
    The policy's files, as short as they can be told from here.
    """
    here = Path.cwd()
    paths = map(Path, policy.files)
    return [str(path.relative_to(here)) if path.is_relative_to(here) else shown_path(path) for path in paths]


def _limits(policy: Policy, pen: Pen, width: int | None) -> list[str]:
    """
    A row for what an entry says in one line of the file.
    """
    rows: dict[tuple[str, str, str], list[str]] = {}
    for pattern, limit in limits_of(policy):
        rows.setdefault((pattern, limit.on_exceed, limit.source), []).append(shown(limit))
    if not rows:
        return ["no limits: every call is recorded, and none is refused"]
    table = [["scope", "if passed", "from", "limits"]]
    table += [[*map(pen.plain, keys), ", ".join(amounts)] for keys, amounts in rows.items()]
    return ["limits", *_indented(fitted(table, right=(), width=_inner(width)))]


def _coverage(findings: Findings, pen: Pen, width: int | None) -> list[str]:
    marks = _ASCII if pen.ascii else _MARKS
    heads = [[layer, ", ".join(f"{kind}:" for kind in kinds)] for layer, kinds in LAYERS.items()]
    widths = [max(map(len, head)) + 2 for head in heads]
    lines = ["coverage"]
    for line, color in ((0, "bold"), (1, "dim")):
        cells = "".join(f"{head[line]:<{size}}" for head, size in zip(heads, widths, strict=True))
        lines.append(f"  {'':<{_FIRST}}{pen.paint(color, cells.rstrip())}")
    for type, cells_of in findings.coverage.items():
        row = f"  {type:<{_FIRST}}"
        for cell, size in zip(cells_of.values(), widths, strict=True):
            row += pen.paint(_COLORS.get(cell, ""), marks[cell]) + " " * (size - len(marks[cell]))
        lines.append(row.rstrip())
    meanings = [f"{marks[cell]} {meaning}" for cell, meaning in _MEANINGS.items()]
    return [*lines, "", *_indented(pen.joined(meanings, _inner(width) or WIDTH_PIPED))]


def _finding(one: Finding, pen: Pen, width: int | None) -> Iterator[str]:
    if one.where:
        yield f"  {pen.paint('bold', pen.plain(', '.join(one.where)))}"
    yield from _text(pen.plain(one.what), width, indent=4)
    yield from _text(pen.plain(f"to go on: {one.mend}"), width, indent=4)


def _patterns_count(holes: Sequence[Hole]) -> str:
    count = len({hole.pattern for hole in holes})
    return "1 failure pattern" if count == 1 else f"{count} failure patterns"


def _open(pattern: str, holes: Sequence[Hole], pen: Pen, width: int | None) -> Iterator[str]:
    yield f"  {pen.paint('bold', pattern)}"
    for hole in holes:
        yield from _text(hole.what, width, indent=4)
        yield from _to_write(f"to close it, {hole.where}", hole.line, pen, width, indent=4)


def _to_write(where: str, line: str, pen: Pen, width: int | None, *, indent: int) -> list[str]:
    """
    A line of YAML after where it belongs, or below that where it would be folded.
    """
    beside = f"{where}: {line}"
    if indent + len(beside) <= _columns(width):
        return [" " * indent + pen.plain(beside)]
    return [" " * indent + pen.plain(f"{where}:"), *_text(pen.plain(line), width, indent=indent + 2)]


def _applied(one: Applied) -> list[str]:
    place = "each call" if one.place == CALL else one.place.rpartition("/")[2]
    before = "" if one.instead is None else f"; before it {shown(one.instead)}, {one.instead.source}"
    return [shown(one.limit), one.state, place, one.pattern, f"{one.limit.source}{before}"]


def _text(text: str, width: int | None, *, indent: int = 0) -> list[str]:
    first, rest = " " * indent, " " * (indent + 2 if indent else 0)
    return wrap(
        text,
        _columns(width),
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    )


def _columns(width: int | None) -> int:
    """
    What a text is folded to.
    """
    return max(WIDTH_MIN, min(width or WIDTH_PIPED, WIDTH_MAX))


def _inner(width: int | None) -> int | None:
    return None if width is None else max(width, WIDTH_MIN) - 2


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]
