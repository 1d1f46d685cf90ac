"""
What ``solvent check`` found, drawn for people.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TextIO

from msgspec import Struct

from solvent._own_file import shown as shown_path
from solvent.cli._tables import fitted, terminal_width
from solvent.policy import Policy
from solvent.policy._contradictions import Finding
from solvent.policy._coverage import LAYERS, Cell, Hole, Layer, Type, together
from solvent.policy._explain import Applied, Explained, State
from solvent.policy._outranked import limits_of
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
_STATE_HEAD = ["limit", "here", "entry", "from"]
_STATES: Mapping[State, str] = {
    "decides": "the smallest of its meter and window, and the first that a call here alone can meet",
    "holds": "larger, and of a wider scope, from which others spend as well",
    "never": "another one always refuses before it",
    "tells": "refuses nothing (`on_exceed: warn` or `log`)",
}
_FIRST = 9  # Columns of a budget type's name.


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
    blocks = [
        _title(pen, width, *_files(findings.policy)),
        _limits(findings.policy, pen, width),
        _coverage(findings, pen, width),
        _open(findings, pen, width),
        _closing(findings, pen, width),
        _found("contradictions", "red", findings.contradictions, pen, width),
        _found("notes", "yellow", findings.notes, pen, width),
    ]
    if not findings.contradictions and not findings.holes:
        blocks.append([pen.paint("green", "no failure pattern is open, and nothing contradicts")])
    return _apart(blocks)


def explained_lines(explained: Explained, policy: Policy, pen: Pen, width: int | None) -> list[str]:
    hint = f"A program's calls are those of a run, and its limits hold too: --explain {explained.ask_for}"
    rows = [[name, pen.plain(text)] for name, text in explained.rules]
    rows = [["" if at and rows[at - 1][0] == name else name, text] for at, (name, text) in enumerate(rows)]
    blocks = [
        _title(pen, width, explained.scope, *_files(policy)),
        *(_explained(explained.limits, pen, width) if explained.limits else [_nothing(policy, pen, width)]),
        _text(pen.plain(hint), width) if explained.ask_for else [],
        [line for note in explained.notes for line in _text(pen.plain(note), width)],
        ["besides", *_indented(fitted(rows, right=(), width=_inner(width)))],
    ]
    return _apart(blocks)


def _explained(limits: Sequence[Applied], pen: Pen, width: int | None) -> list[list[str]]:
    rows = [_STATE_HEAD, *([pen.plain(cell) for cell in _applied(one)] for one in limits)]
    states = [state for state in _STATES if any(one.state == state for one in limits)]
    return [
        ["limits, the widest scope first", *_indented(fitted(rows, right=(), width=_inner(width)))],
        [line for state in states for line in _text(f"{state}: {_STATES[state]}", width, indent=2)],
    ]


def _nothing(policy: Policy, pen: Pen, width: int | None) -> list[str]:
    entries = ", ".join(dict.fromkeys(pattern for pattern, _ in limits_of(policy))) or "none"
    return _text(pen.plain(f"No limit applies to a call there. The policy's entries: {entries}."), width)


def _title(pen: Pen, width: int | None, *names: str) -> list[str]:
    first, *rest = pen.joined(["Solvent check", *map(pen.plain, names)], _columns(width))
    return [first.replace("Solvent check", pen.paint("bold", "Solvent check"), 1), *rest]


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
    if _FIRST + sum(len(max(head, key=len)) + 2 for head in heads) > _columns(width):
        heads = [head[:1] for head in heads]
    widths = [len(max(head, key=len)) + 2 for head in heads]
    lines = ["coverage"]
    for line, color in enumerate(["bold", "dim"][: len(heads[0])]):
        cells = "".join(f"{head[line]:<{size}}" for head, size in zip(heads, widths, strict=True))
        lines.append(f"  {'':<{_FIRST}}{pen.paint(color, cells.rstrip())}")
    for type, cells_of in findings.coverage.items():
        row = f"  {type:<{_FIRST}}"
        for cell, size in zip(cells_of.values(), widths, strict=True):
            row += pen.paint(_COLORS.get(cell, ""), marks[cell]) + " " * (size - len(marks[cell]))
        lines.append(row.rstrip())
    meanings = [f"{marks[cell]} {meaning}" for cell, meaning in _MEANINGS.items()]
    return [*lines, "", *_indented(pen.joined(meanings, _columns(width) - 2))]


def _open(findings: Findings, pen: Pen, width: int | None) -> list[str]:
    """
    The failure patterns, each with all that is open of it.
    """
    by_pattern: dict[str, list[str]] = {}
    for hole in findings.holes:
        lines = by_pattern.setdefault(hole.pattern, [f"  {pen.paint('bold', hole.pattern)}"])
        lines += _text(pen.plain(hole.what), width, indent=4)
        lines += _to_write(f"to close it, {hole.where}", hole.line, pen, width, indent=4)
    count = "1 failure pattern" if len(by_pattern) == 1 else f"{len(by_pattern)} failure patterns"
    head = [pen.paint("yellow", f"open: {count}")] if by_pattern else []
    return head + [line for lines in by_pattern.values() for line in lines]


def _closing(findings: Findings, pen: Pen, width: int | None) -> list[str]:
    if len(findings.holes) < 2:
        return []
    lines = together(findings.policy, findings.holes)
    return [
        "to close all of them",
        *(line for where, text in lines for line in _to_write(where, text, pen, width, indent=2)),
    ]


def _found(name: str, color: str, found: Sequence[Finding], pen: Pen, width: int | None) -> list[str]:
    head = [pen.paint(color, f"{name}: {len(found)}")] if found else []
    return head + [line for one in found for line in finding_lines(one, pen, width)]


def finding_lines(one: Finding, pen: Pen, width: int | None) -> list[str]:
    where = [f"  {pen.paint('bold', pen.plain(', '.join(one.where)))}"] if one.where else []
    what, mend = (_text(pen.plain(text), width, indent=4) for text in (one.what, f"to go on: {one.mend}"))
    return where + what + mend


def _to_write(where: str, line: str, pen: Pen, width: int | None, *, indent: int) -> list[str]:
    """
    A line of YAML after where it belongs, or below that where it would be folded.
    """
    beside = f"{where}: {line}"
    if indent + len(beside) <= _columns(width):
        return [" " * indent + pen.plain(beside)]
    return [" " * indent + pen.plain(f"{where}:"), *_text(pen.plain(line), width, indent=indent + 2)]


def _applied(one: Applied) -> list[str]:
    place = one.place.rpartition("/")[2]
    entry = one.pattern if one.pattern.rpartition("/")[2] == place else f"{one.pattern} ({place})"
    before = "" if one.instead is None else f"; before it {shown(one.instead)}, {one.instead.source}"
    return [shown(one.limit), one.state, entry, f"{one.limit.source}{before}"]


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


def _apart(blocks: Sequence[Sequence[str]]) -> list[str]:
    """
    What has something to say, with an empty line between.
    """
    told = [block for block in blocks if block]
    return [line for at, block in enumerate(told) for line in (*([""] if at else []), *block)]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]
