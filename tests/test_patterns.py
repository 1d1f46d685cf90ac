"""
The failure patterns of agent programs: with limits each spends less than without, and never more than its limit.

What was spent is what the provider of the lesson counted itself; the ledger has to say the same.
"""

import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from doc_programs import masked

from solvent.stores import open_store

FOLDER = Path(__file__).parent.parent / "examples" / "patterns"
# Each is run once, so all of them by the same worker.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("patterns")]

LESSONS = ("cost_latency_coupling", "retry_storm", "runaway_recursion", "silent_fan_out", "token_bloat")


@dataclass(frozen=True)
class Side:
    """
    What the provider counted of one run.
    """

    requests: int
    failed: int
    dollars: float
    ended: str


@dataclass(frozen=True)
class Ran:
    """
    Attributes:
        spent: What the ledger has for the run with limits, by meter.
    """

    printed: str
    without: Side
    within: Side
    spent: dict[str, int]


@cache
def ran(lesson: str, folder: Path) -> Ran:
    ledger = f"sqlite:///{folder / lesson}.db"
    own = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "SOLVENT_LEDGER": ledger}
    command = [sys.executable, FOLDER / f"{lesson}.py"]
    done = subprocess.run(command, capture_output=True, text=True, env=own, check=False)
    assert done.stderr == ""
    assert done.returncode == 0
    rows = {name: cells for name, *cells in (re.split(r"  +", line) for line in done.stdout.splitlines())}
    sides = [
        Side(
            requests=int(rows["requests at the provider"][side].replace(",", "")),
            failed=int(rows.get("of them failed", ("0", "0"))[side]),
            dollars=float(rows["billed by the provider"][side].removeprefix("$")),
            ended=rows["the program"][side],
        )
        for side in range(2)
    ]
    with_limits = re.search(r"^run:\S+", done.stdout, flags=re.M)
    assert with_limits is not None
    store = open_store(ledger)
    try:
        balances = [one for one in store.balances(with_limits[0]) if one.account.scope == with_limits[0]]
    finally:
        store.close()
    return Ran(done.stdout, *sides, {one.account.meter: one.spent for one in balances})


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("patterns")


@pytest.mark.parametrize("lesson", LESSONS)
def test_with_limits_the_provider_bills_less_than_without(lesson, folder):
    told = ran(lesson, folder)
    assert told.within.requests < told.without.requests / 2
    assert told.within.dollars < told.without.dollars / 2


@pytest.mark.parametrize("lesson", [lesson for lesson in LESSONS if lesson != "cost_latency_coupling"])
def test_what_the_provider_billed_with_limits_is_what_was_booked(lesson, folder):
    told = ran(lesson, folder)
    assert told.spent.get("calls", 0) == told.within.requests
    assert round(told.spent.get("usd", 0) / 10**9, 4) == told.within.dollars


def test_runaway_recursion_ends_at_its_depth(folder):
    told = ran("runaway_recursion", folder)
    assert (told.without.requests, told.within.requests) == (100, 5)
    assert "nests agents and steps 5 deep at most; this would be 6 deep." in told.printed


def test_a_fan_out_that_is_too_wide_sends_nothing(folder):
    told = ran("silent_fan_out", folder)
    assert (told.without.requests, told.within.requests, told.within.dollars) == (200, 0, 0)
    assert "this fan-out has 10,000." in told.printed


def test_a_retry_storm_ends_when_its_retries_are_used_up(folder):
    told = ran("retry_storm", folder)
    # 10 tickets, 5 attempts each, of one call that is paid for and one that the SDK tries three times.
    assert (told.without.requests, told.without.failed) == (200, 150)
    # Two first tries, and six retries, be they the SDK's or the program's.
    assert (told.within.requests, told.within.failed, told.spent["retries"]) == (8, 6, 6)


def test_an_agent_that_resends_its_history_ends_below_its_tokens(folder):
    told = ran("token_bloat", folder)
    assert told.without.requests == 40
    assert 0.8 * 150_000 < told.spent["tokens"] <= 150_000


def test_slow_calls_are_not_paid_for_twice(folder):
    told = ran("cost_latency_coupling", folder)
    answered, asked = int(told.without.ended.split()[0]), told.without.requests
    assert asked > 2 * answered
    # One after the other at ten a second, for two seconds; and the two that were under way at the end.
    assert told.within.requests <= 22
    # What was ended is booked at the most that it can have cost.
    assert round(told.spent["usd"] / 10**9, 4) >= told.within.dollars


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_prints_what_its_page_shows(lesson, folder):
    page = (FOLDER / "README.md").read_text()
    _, _, after = page.partition(f"```\npython examples/patterns/{lesson}.py\n```\n\n```text\n")
    shown, end, _ = after.partition("\n```")
    assert end
    told = masked(ran(lesson, folder).printed)
    assert _without_counts(told) == _without_counts(shown)


def test_every_lesson_is_run_and_has_its_part_of_the_page():
    lessons = {path.stem for path in FOLDER.glob("*.py")} - {"provider"}
    assert lessons == set(LESSONS)
    makefile = (FOLDER.parent.parent / "Makefile").read_text()
    page = (FOLDER / "README.md").read_text()
    for lesson in lessons:
        assert f"python examples/patterns/{lesson}.py" in page
        assert lesson in makefile


def _without_counts(text: str) -> str:
    """
    Without what depends on how fast the machine is: numbers, their width, and which call met the deadline first.
    """
    text = text.replace("the call was ended", "no call is started")
    return re.sub(r"\s+", " ", re.sub(r"\d[\d,.]*", "#", text)).strip()
