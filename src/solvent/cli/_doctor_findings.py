"""
What ``solvent doctor`` found, for people and for machines.
"""

import json
import os
import shlex
from collections.abc import Callable, Sequence
from textwrap import wrap
from typing import Any, TextIO

from msgspec import Struct

from solvent import __version__
from solvent._printable import printable
from solvent.cli._common import aligned
from solvent.cli._doctor_look import Found, Naming, Uncovered, interpreter
from solvent.cli._doctor_run import Watched
from solvent.report._json import SCHEMA_VERSION

Paint = Callable[[str, str], str]

_WIDTH = 80
_COLORS = {"bold": "1", "green": "32", "red": "31"}
_TITLES = {
    "held": "held to budgets, once the program calls solvent.install()",
    "told": "connections told of, and refused by solvent.install(strict=True)",
    "blind": "not seen, should a program call models with it",
}


class Findings(Struct, frozen=True, kw_only=True):
    """
    All of it.

    Attributes:
        libraries: Those that are installed, or that the program loaded.
        frameworks: Likewise.
        settings: What a guarded program goes by, in words.
        watched: The program, where one was run.
    """

    libraries: Sequence[Found]
    frameworks: Sequence[Naming]
    settings: dict[str, str]
    uncovered: Sequence[Uncovered]
    watched: Watched | None


def write(findings: Findings, stream: TextIO, *, as_json: bool) -> None:
    """
    Write it on a stream: in color only on a terminal, in the characters that its encoding knows.
    """
    if as_json:
        text = json.dumps(_to_json(findings), indent=2)
    else:
        color = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        text = "\n".join(_lines(findings, lambda name, part: f"\x1b[{_COLORS[name]}m{part}\x1b[0m" if color else part))
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), file=stream, flush=True)


def _to_json(findings: Findings) -> dict[str, Any]:
    watched = findings.watched
    return {
        "schema_version": SCHEMA_VERSION,
        "solvent": __version__,
        "libraries": [_library_json(one, watched) for one in findings.libraries],
        "frameworks": [_framework_json(one) for one in findings.frameworks],
        "settings": findings.settings,
        "uncovered": [{"what": one.what, "mend": one.mend} for one in findings.uncovered],
        "program": {"command": list(watched.command), "code": watched.code} if watched else None,
    }


def _library_json(one: Found, watched: Watched | None) -> dict[str, Any]:
    told = {
        "name": one.library.name,
        "version": one.version,
        "state": one.state,
        "ways": list(one.ways),
        "tested": list(one.library.tested),
        "is_tested": one.is_tested,
    }
    if watched:
        told |= {"calls": watched.calls[one.library.name], "refused": watched.refused[one.library.name]}
    return told


def _framework_json(one: Naming) -> dict[str, Any]:
    return {
        "name": one.framework.name,
        "version": one.version,
        "names": list(one.framework.names) if one.has_place else [],
        "tested": list(one.framework.tested),
        "is_tested": one.is_tested,
        "guide": f"docs/guides/{one.framework.guide}.md",
    }


def _lines(findings: Findings, paint: Paint) -> list[str]:
    watched = findings.watched
    lines = _of_program(findings, watched, paint) if watched else _of_environment(findings, paint)
    if not findings.uncovered:
        lines += ["", paint("green", "nothing is uncovered")]
    else:
        lines += ["", paint("red", f"uncovered: {len(findings.uncovered)}")]
    for one in findings.uncovered:
        lines += _wrapped(one.what, 2) + _wrapped(f"to mend: {one.mend}", 4)
    if not watched:
        lines += ["", "To see what a program really does: solvent doctor -- python app.py"]
    return lines


def _of_environment(findings: Findings, paint: Paint) -> list[str]:
    lines = [f"{paint('bold', f'Solvent {__version__}')} · {printable(interpreter())}"]
    for state, title in _TITLES.items():
        found = [one for one in findings.libraries if one.state == state]
        if found:
            head = ["library", "version", "tested", "calls" if state == "held" else "not held"]
            lines += ["", title, *_indented(aligned([head, *map(_row, found)], right=()))]
        if state != "held":
            # What is made to call models, or has no place for its hook, is among the uncovered, with its own.
            others = [one for one in found if one.has_place and not one.library.calls_models]
            for mend in dict.fromkeys(one.library.mend for one in others):
                lines += _wrapped(f"to have them held: {mend}", 2)
    lines += _of_frameworks(findings.frameworks)
    rows = [[name, printable(value)] for name, value in findings.settings.items()]
    return [*lines, "", "settings", *_indented(aligned(rows, right=()))]


def _of_frameworks(found: Sequence[Naming]) -> list[str]:
    if not found:
        return []
    head = ["framework", "version", "tested", "with scopes", "docs/guides"]
    rows = [
        [
            one.framework.name,
            one.version,
            _tested(one.framework.tested, one.is_tested),
            ", ".join(one.framework.names) if one.has_place else "none",
            f"{one.framework.guide}.md",
        ]
        for one in found
    ]
    return [
        "",
        "agent frameworks; their calls are held by the libraries above",
        *_indented(aligned([head, *rows], right=())),
    ]


def _row(one: Found) -> list[str]:
    what = ", ".join(one.ways) or (one.library.uncovered.partition(":")[0] if one.has_place else "every call")
    return [one.library.name, one.version, _tested(one.library.tested, one.is_tested), what]


def _tested(tested: Sequence[str], is_tested: bool) -> str:
    lines = ", ".join(f"{line}.x" for line in tested)
    return lines if is_tested else f"only {lines}" if lines else "no"


def _of_program(findings: Findings, watched: Watched, paint: Paint) -> list[str]:
    command = printable(shlex.join(watched.command))
    lines = ["", f"{paint('bold', 'Solvent doctor')} · {command} · exited with {watched.code}"]
    rows = [
        [one.library.name, one.version, _tested(one.library.tested, one.is_tested), one.state, *_counted(one, watched)]
        for one in findings.libraries
    ]
    head = ["library", "version", "tested", "is", "calls held", "refused"]
    if rows:
        lines += ["", *_indented(aligned([head, *rows], right=(4, 5)))]
    return [*lines, *_of_frameworks(findings.frameworks)]


def _counted(one: Found, watched: Watched) -> list[str]:
    counts = (watched.calls[one.library.name], watched.refused[one.library.name])
    return [f"{count:,}" if count else "" for count in counts]


def _wrapped(text: str, indent: int) -> list[str]:
    first, rest = " " * indent, " " * (indent + 2)
    return wrap(printable(text), _WIDTH, initial_indent=first, subsequent_indent=rest, break_on_hyphens=False)


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
