"""
The page about ``solvent top``: its picture is drawn, and its tables name everything there is.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main
from rich.console import Console
from run_journal import CENT
from top_world import World

from solvent._openings import OtherLimit, _json
from solvent._operations import Reserve
from solvent._records import Account, Terms
from solvent.cli import app
from solvent.top._draw import draw
from solvent.top._json import to_json
from solvent.top._records import Picture

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "top.md"
TEAM = "org:acme/team:search"
TRIAGE, CODER = f"{TEAM}/run:triage", f"{TEAM}/run:triage/agent:coder"


def picture_of_the_page(world: World) -> Picture:
    """
    A run of a team near its limit, one that nobody limits, and a call that was refused.
    """
    limits = {
        Account(TEAM, "usd", "day@UTC"): 2_000 * CENT,
        Account(TRIAGE, "usd"): 200 * CENT,
        Account(TRIAGE, "calls"): 200,
    }
    coder = {**limits, Account(CODER, "usd"): 100 * CENT}
    deadline = _json(OtherLimit(scope=TRIAGE, meter="seconds", limit="900"))
    world.open(TRIAGE, limits, bound_parts=(deadline,))
    world.open("run:notes", {})
    world.look()
    for _ in range(15):
        world.call(CODER, coder, 6 * CENT)
        world.call(TRIAGE, limits, 4 * CENT)
        world.call("run:notes", {Account("run:notes", "usd"): None}, CENT // 7)
        world.clock.advance(seconds=16)
        world.look()
    world.write(
        Reserve(id="open", scope=TRIAGE, terms=Terms.of(limits), amounts={"usd": 30 * CENT, "calls": 1}),
    )
    for _ in range(3):
        world.refuse(CODER, f"{CODER} has $0.10 left of $1.00; this call needs up to $0.24.")
    return world.look()


def test_the_picture_of_the_page_is_drawn(world: World) -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None, highlight=False, markup=False)
    console.print(draw(picture_of_the_page(world), width=80, ledger="ledger.db"))
    assert isinstance(console.file, io.StringIO)
    (shown,) = re.findall(r"^```\n\$ solvent top --once\n(.*?)^```$", PAGE.read_text(), flags=re.M | re.S)
    assert shown == console.file.getvalue()


def fields(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            inner = f"{name}.{key}" if name else key
            yield inner
            if key != "dollars":
                yield from fields(part, inner)
    elif isinstance(value, list):
        for part in value:
            yield from fields(part, f"{name}[]")


def test_the_page_names_every_field_of_the_json(world: World) -> None:
    table = PAGE.read_text().partition("## JSON")[2]
    told = {name for row in re.findall(r"^\| (`.*?) \|", table, flags=re.M) for name in re.findall(r"`([^`]+)`", row)}
    assert told == set(fields(to_json(picture_of_the_page(world))))


def test_the_page_names_every_option() -> None:
    (command,) = [typer.main.get_command(app).commands["top"]]  # type: ignore[attr-defined]  # It is a group.
    flags = {flag for option in command.params for flag in option.opts} - {"--help"}
    assert flags == set(re.findall(r"^\| `(--[a-z]+)", PAGE.read_text(), flags=re.M))
