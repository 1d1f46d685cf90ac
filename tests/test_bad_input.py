"""
Bad input gets a clear error and nothing is lost: DESIGN section 11, a test a row, by what users hold.
"""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import solvent
from solvent._own_file import own_file, shown
from solvent.errors import (
    BudgetExceeded,
    LedgerCorrupt,
    PriceUnknown,
    SettingsError,
    Unbounded,
)

COUNTS = [-1, -0.5, float("nan"), float("inf"), True, "many", "-3", 1.5, b"5", 2**53]
MONEY = [-1, "-0.01", float("nan"), float("inf"), "-inf", True, "much", "1e400", 0.1**12, b"5", "9007199.26"]


@pytest.fixture(autouse=True)
def ledger(tmp_path, monkeypatch):
    path = tmp_path / "ledger.db"
    monkeypatch.setenv("SOLVENT_LEDGER", str(path))
    monkeypatch.setenv("SOLVENT_POLICY", "")
    yield path
    closed()


def closed():
    solvent.uninstall()
    from solvent._runtime import PROCESS

    PROCESS.close()


def exported():
    return subprocess.run(
        [sys.executable, "-m", "solvent", "ledger", "export"], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("given", COUNTS, ids=repr)
@pytest.mark.parametrize("name", ["tokens", "calls", "input_tokens", "branches", "depth", "retries"])
def test_a_count_that_can_be_none_is_refused_where_a_limit_is_set(given, name):
    with pytest.raises(ValueError, match=f"^{name} must be .*{re.escape(repr(given))}"):
        solvent.budget(**{name: given})


@pytest.mark.parametrize("given", MONEY, ids=repr)
def test_money_that_can_be_none_is_refused_where_a_limit_is_set(given):
    with pytest.raises(ValueError, match=f"^usd must be .*{re.escape(repr(given))}"):
        solvent.budget(usd=given)


@pytest.mark.slow
def test_what_can_be_no_usage_is_refused_before_anything_is_recorded():
    with solvent.budget(usd=1), solvent.call("gpu", usd="0.10") as call:
        before = exported()
        for given in COUNTS:
            for name in ("input_tokens", "output_tokens", "tokens"):
                with pytest.raises(ValueError, match=name):
                    call.settle(**{name: given})
            with pytest.raises(ValueError, match=r"prompt_tokens|usage"):
                call.settle({"prompt_tokens": given, "completion_tokens": 1})
        for given in MONEY:
            with pytest.raises(ValueError, match="usd"):
                call.settle(usd=given)
        assert exported() == before
        call.settle(usd="0.01")
    assert call.cost_nanodollars == 10_000_000


def test_zero_means_nothing_and_none_means_no_limit():
    with (
        solvent.budget(usd=0),
        pytest.raises(BudgetExceeded, match=r"\$0\.00 left of \$0\.00"),
        solvent.call("gpu", usd="0.000000001"),
    ):
        pass
    with solvent.budget(usd=None, calls=None) as budget, solvent.call("gpu", usd="9000000"):
        assert budget.remaining() is None
    with (
        solvent.budget(calls=0),
        pytest.raises(BudgetExceeded, match="0 calls left of 0 calls"),
        solvent.call("gpu", usd=0),
    ):
        pass


def test_a_limit_of_thirty_cents_admits_three_calls_of_ten():
    with solvent.budget(usd=0.1 + 0.2 - 0.00000000000000004) as budget:
        for _ in range(3):
            with solvent.call("gpu", usd=0.1) as call:
                call.settle(0.1)
        assert budget.remaining() == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wait: 1s\nbugets: {}\n", ":2: bugets: expected one of .*, got bugets; did you mean budgets?"),
        ("budgets: {'run:*': {usd: 5/daily}}\n", ':1: budgets."run:\\*".usd: expected an amount per .*5/daily'),
        ("wait: 1s\nwait: 2s\n", ":2: wait: expected each name once"),
        ("budgets:\n\t'run:*': {usd: 5}\n", ":2: expected spaces, got a tab"),
        ("", ": expected settings such as `budgets:`, got an empty file"),
    ],
    ids=["unknown key", "wrong unit", "duplicate key", "tab", "empty"],
)
def test_a_policy_that_says_nothing_clear_is_refused_with_its_line(tmp_path, monkeypatch, text, message):
    path = tmp_path / "solvent.yaml"
    path.write_text(text)
    monkeypatch.setenv("SOLVENT_POLICY", str(path))
    with pytest.raises(SettingsError, match=re.escape(str(path)) + message), solvent.budget():
        pass


def test_a_model_without_a_price_is_refused_under_a_limit_in_dollars_before_the_call():
    with solvent.budget(usd=1) as budget:
        with pytest.raises(PriceUnknown) as refused, solvent.call(model="gpt-4oo", input_tokens=1, output_tokens=1):
            raise AssertionError("it is made")
        assert "'gpt-4oo' has no price" in str(refused.value)
        assert "gpt-4o" in " ".join(refused.value.close)
        own = shown(own_file())
        assert f"under `prices:` in your own policy, {own}, or in one that SOLVENT_POLICY names" in str(refused.value)
        assert budget.report().total.calls == 0


def test_what_has_no_bound_is_refused_under_a_limit_that_needs_one():
    with solvent.budget(tokens=100), pytest.raises(Unbounded) as refused, solvent.call(model="gpt-4o"):
        raise AssertionError("it is made")
    assert str(refused.value) == (
        "nothing bounds what gpt-4o can use, and a limit of tokens is in force.\n"
        "To go on: say the most that it can use (input_tokens and output_tokens)."
    )


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_no_spend_is_forgotten_whatever_ends_a_call(error):
    with solvent.budget(usd=1) as budget:
        with pytest.raises(error), solvent.call("gpu", usd="0.10"):
            raise error
        assert budget.remaining() == 900_000_000
        with solvent.call("gpu", usd="0.10") as call:  # No task is wedged.
            call.settle(usd=0)


@pytest.mark.slow
def test_what_a_killed_program_left_open_is_charged_in_full():
    program = """
        import os, signal, solvent
        with solvent.budget("job", usd=1, run="job"), solvent.call("gpu", usd="0.10"):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env={**os.environ}, check=False)
    assert killed.returncode == -signal.SIGKILL
    with solvent.resume("run:job") as budget:
        assert budget.remaining() == 900_000_000
    assert subprocess.run([sys.executable, "-m", "solvent", "ledger", "verify"], check=False).returncode == 0


@pytest.mark.parametrize("kind", ["text", "foreign", "newer"])
def test_a_file_that_is_no_ledger_is_refused_and_left_untouched(ledger: Path, kind):
    if kind == "text":
        ledger.write_text("not a database, but somebody's notes " * 100)
    else:
        if kind == "newer":
            with solvent.budget():
                pass
            closed()
        with sqlite3.connect(ledger) as file:
            file.execute("PRAGMA user_version = 99" if kind == "newer" else "CREATE TABLE notes (text)")
        file.close()
    before = ledger.read_bytes()
    with pytest.raises(LedgerCorrupt, match="The file was left as it is"), solvent.budget():
        pass
    closed()
    assert ledger.read_bytes() == before
