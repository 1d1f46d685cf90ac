"""
What ``solvent run`` answers to what it cannot do: message and exit code, on standard error alone, and nothing is run.
"""

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_provider import Answer, Fake
from knocking import knock, request
from machine import PRICE, Machine

from solvent.stores.sqlite import SQLiteStore

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

# Whoever is run says so.
SPEAKS = ("--", "sh", "-c", "echo it ran; exit 5")
USAGE = "Usage: python -m solvent run [OPTIONS] [COMMAND]...\nTry 'python -m solvent run --help' for help.\n\n"
NO_COMMAND = "no command given; write it after the options: solvent run --usd 2 -- python agent.py"
A_PRICE = (
    "MODEL=INPUT/OUTPUT or MODEL=INPUT/OUTPUT/CACHE_READ in dollars per million tokens, such as gpt-4o=2.50/10, "
    "or MODEL=OTHER for the price of another model"
)
A_TIME = "a length of time such as 30s, 10m or 1h30m"
A_COUNT = "a whole number such as 200, 500k or 2M"
A_URL = "an https URL (http only on this machine) without credentials, query or fragment"
OTHER_LEDGER = "name another with --ledger or SOLVENT_LEDGER."


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), f"Invalid value: {NO_COMMAND}"),
        (("--usd", "1", "--"), f"Invalid value: {NO_COMMAND}"),
        (("--usd", "-1", *SPEAKS), "Invalid value: --usd must be an amount of dollars from 0 up, got '-1'"),
        (("--usd", "NaN", *SPEAKS), "Invalid value: --usd must be an amount of dollars from 0 up, got 'NaN'"),
        (("--usd", "inf", *SPEAKS), "Invalid value: --usd must be an amount of dollars from 0 up, got 'inf'"),
        (("--usd", "2usd", *SPEAKS), "Invalid value: --usd must be an amount of dollars such as 2 or 0.50, got '2usd'"),
        (("--usd", "", *SPEAKS), "Invalid value: --usd must be an amount of dollars such as 2 or 0.50, got ''"),
        (("--usd", "1e9", *SPEAKS), "Invalid value: --usd must be at most $9,007,199.2547, got '1e9'"),
        (("--calls", "1.5", *SPEAKS), "Invalid value: --calls must be a whole number, got '1.5'"),
        (("--calls", "", *SPEAKS), f"Invalid value: --calls must be {A_COUNT}, got ''"),
        (("--tokens", "-5", *SPEAKS), f"Invalid value: --tokens must be {A_COUNT}, got '-5'"),
        (("--tool-calls", "9e9", *SPEAKS), f"Invalid value: --tool-calls must be {A_COUNT}, got '9e9'"),
        (("--time", "soon", *SPEAKS), f"Invalid value: --time must be {A_TIME}, got 'soon'"),
        (("--wait", "-1", *SPEAKS), f"Invalid value: --wait must be {A_TIME}, got '-1'"),
        (("--price", "m", *SPEAKS), f"Invalid value for --price: a price must be {A_PRICE}, got 'm'"),
        (("--price", "m=1", *SPEAKS), f"Invalid value for --price: a price must be {A_PRICE}, got 'm=1'"),
        (("--price", "=1/2", *SPEAKS), f"Invalid value for --price: a price must be {A_PRICE}, got '=1/2'"),
        (("--price", "m=1/2/3/4", *SPEAKS), f"Invalid value for --price: a price must be {A_PRICE}, got 'm=1/2/3/4'"),
        (
            ("--price", "ok=1/2", "--price", "m=a/2", *SPEAKS),
            "Invalid value for --price: input must be an amount of dollars such as 2 or 0.50, got 'a' in 'm=a/2'; "
            f"a price is {A_PRICE}",
        ),
        (
            ("--price", "m=1/-2", *SPEAKS),
            "Invalid value for --price: output must be an amount of dollars from 0 up, got '-2' in 'm=1/-2'; "
            f"a price is {A_PRICE}",
        ),
        (("--name", "", *SPEAKS), "Invalid value for --name: a name in a scope has 1 to 256 bytes, got 0 in run:"),
        (
            ("--name", "x" * 257, *SPEAKS),
            "Invalid value for --name: a name in a scope has 1 to 256 bytes, got 257 in run:",
        ),
        (
            ("--name", "é" * 129, *SPEAKS),
            "Invalid value for --name: a name in a scope has 1 to 256 bytes, got 258 in run:",
        ),
        (
            ("--name", "\udcff", *SPEAKS),  # A byte that is no UTF-8.
            r"Invalid value for --name: a name in a scope is text in UTF-8, got '\udcff'",
        ),
        (
            ("--keys", "other", *SPEAKS),
            "Invalid value for '--keys': Value error, 'other' is not one of 'swap', 'pass'.",
        ),
        (("--no-such-option", *SPEAKS), "No such option: --no-such-option"),
        (
            ("--branches=4", *SPEAKS),
            "No such option: --branches; a policy limits branches, by an entry such as run:*: {branches: 64}",
        ),
        (
            ("--depth", "3", *SPEAKS),
            "No such option: --depth; a policy limits the depth, by an entry such as run:*: {depth: 5}",
        ),
        (("--seconds", "3", *SPEAKS), "No such option: --seconds; it is --time"),
    ],
)
def test_a_word_that_says_nothing_clear_is_a_usage_error(
    machine: Machine, words: tuple[str, ...], message: str
) -> None:
    assert machine("run", *words) == (2, "", f"{USAGE}Error: {message}\n")
    assert not machine.path.exists()


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (
            None,
            ": expected a policy file that can be read, got an error: No such file or directory\n"
            "To go on: name one that can be read.",
        ),
        ("budgets: [", ":1: expected a value, got the file's end"),
        ("", ": expected settings such as `budgets:`, got an empty file"),
        ("budgets:\n\trun:*: {usd: 1}", ":2: expected spaces, got a tab"),
        (
            "budgets:\n  run:*: {usd: 20/daily}\n",
            ':2: budgets."run:*".usd: expected an amount per minute, hour, day, week or month such as "20/day", '
            'got "20/daily"',
        ),
    ],
)
def test_a_policy_that_cannot_be_read_is_named_with_its_line(
    machine: Machine, policy: str | None, message: str
) -> None:
    if policy is not None:
        (machine.folder / "solvent.yaml").write_text(policy)
    assert machine("run", "--policy", "solvent.yaml", *SPEAKS) == (4, "", f"solvent: solvent.yaml{message}\n")
    assert not machine.path.exists()


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://192.0.2.1/v1", "http to another machine"),
        ("ftp://127.0.0.1/v1", "ftp scheme"),
        ("https://user:word@127.0.0.1/v1", "one with credentials"),
        ("no url", "no host"),
    ],
)
def test_an_upstream_that_calls_cannot_go_to_is_refused_at_the_start(machine: Machine, url: str, found: str) -> None:
    done = machine("run", "--usd", "1", *SPEAKS, env={"OPENAI_BASE_URL": url})
    assert done == (4, "", f"solvent: OPENAI_BASE_URL: expected {A_URL}, got {found}\n")
    assert machine.entries() == []


def broken_ledger(path: Path, kind: str) -> None:
    if kind == "garbage":
        path.write_bytes(b"not a ledger " * 400)
        return
    if kind == "torn":
        path.write_bytes(path.read_bytes()[:1024] + b"\xff" * (path.stat().st_size - 1024))
        return
    statement = {"newer": "PRAGMA user_version = 99", "foreign": "CREATE TABLE theirs (x)"}[kind]
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("foreign", "it is a database of another program"),
        ("garbage", "file is not a database"),
        ("newer", "it is of version 99, and this Solvent knows versions up to 3"),
        ("torn", "database disk image is malformed"),
    ],
)
@pytest.mark.parametrize("words", [("run", *SPEAKS), ("report",)], ids=["run", "report"])
def test_what_is_no_ledger_is_left_as_it_is(machine: Machine, words: tuple[str, ...], kind: str, found: str) -> None:
    if kind in ("newer", "torn"):
        with machine.store():
            pass
    broken_ledger(machine.path, kind)
    before = machine.path.read_bytes()
    message = f"solvent: {machine.path} cannot be used as a ledger: {found}. The file was left as it is.\n"
    remedy = "use the Solvent that wrote it" if kind == "newer" else "restore it from a copy"
    assert machine(*words) == (4, "", f"{message}To go on: {remedy}, or {OTHER_LEDGER}\n")
    assert machine.path.read_bytes() == before


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "nonsense",
            "ledger: expected a file that ends in .db, or a URL such as sqlite:////absolute/path.db, got 'nonsense'",
        ),
        ("sqlite://x", "ledger: expected sqlite:///relative/path.db or sqlite:////absolute/path.db, got sqlite://x"),
        (
            "sqlite:////proc/none/ledger.db",
            "the ledger sqlite:////proc/none/ledger.db did not answer: No such file or directory: /proc/none. "
            f"Nothing was recorded.\nTo go on: see that the file can be written, or {OTHER_LEDGER}",
        ),
    ],
)
def test_a_ledger_that_is_nowhere_is_told(machine: Machine, url: str, message: str) -> None:
    assert machine("run", "--ledger", url, *SPEAKS) == (4, "", f"solvent: {message}\n")


def test_a_ledger_that_may_not_be_written_is_told(machine: Machine) -> None:
    # The superuser may write anything, so the program gives its rights up, once a run has imported everything.
    program = """
import os
import solvent.stores.sqlite
from solvent.cli import app
app(["run", "--quiet", "--ledger", "memory://", "--", "true"], standalone_mode=False)
if os.geteuid() == 0:
    os.setuid(65534)
app(["run", "--", "echo", "it ran"])
"""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "ledger.db")
        SQLiteStore(file).close()
        file.chmod(0o444)
        Path(folder).chmod(0o555)
        env = {**machine.env, "SOLVENT_LEDGER": f"sqlite:///{file}"}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=env)
        Path(folder).chmod(0o755)
    message = f"the ledger sqlite:///{file} did not answer: Permission denied: {file}. Nothing was recorded."
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == f"solvent: {message}\nTo go on: see that the file can be written, or {OTHER_LEDGER}\n"


def test_a_command_that_is_not_there_is_127(machine: Machine) -> None:
    done = machine("run", "--quiet", "--", "no-such-command")
    assert done == (127, "", "solvent: no-such-command: command not found\n")
    assert machine.json("report")["exit_reason"] == "not_found"


def test_a_file_that_cannot_be_executed_is_126(machine: Machine) -> None:
    (machine.folder / "plain.txt").write_text("nothing")
    done = machine("run", "--quiet", "--", "./plain.txt")
    assert done == (126, "", "solvent: ./plain.txt: Permission denied\n")
    assert machine.json("report")["exit_reason"] == "not_executable"


def test_a_model_without_a_price_is_refused_under_a_limit_in_dollars(machine: Machine, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer())
    machine.provider_at(fake.url)
    knocked = knock(machine, request(), options=("--usd", "1", "--name", "x"))
    headline = "'m' has no price, and a limit in dollars is in force."
    way = (
        "give one under `prices:` in your own policy, ~/.config/solvent/solvent.yaml, or in one that "
        "SOLVENT_POLICY names, or `solvent run` one with --price m=INPUT/OUTPUT (dollars per million tokens)."
    )
    assert knocked.status() == 402
    assert "\r\nx-should-retry: false\r\n" in knocked.replies[0]
    assert knocked.body()["error"]["message"] == f"{headline}\nTo go on: {way}"
    assert knocked.body()["error"]["code"] == "price_unknown"
    assert f"  1 call refused\n    1 × price unknown: {headline}\n" in knocked.done.err
    assert "no model call" not in knocked.done.err
    assert machine.entries() == ["open", "refuse", "close"]
    assert fake.seen == []


def test_an_upstream_that_is_not_there_is_told_and_nothing_is_booked(machine: Machine) -> None:
    knocked = knock(machine, request(), options=("--usd", "1", "--price", PRICE))
    error = knocked.body()["error"]
    assert (knocked.status(), error["code"]) == (502, "upstream_unreachable")
    assert error["message"].startswith("openai could not be reached: ")
    assert error["message"].endswith(". Nothing was sent and nothing is booked.")
    assert machine.entries() == ["open", "reserve", "release", "close"]
    report = machine.json("report")
    assert (report["released"], report["total"]["calls"], report["limits"][0]["spent"]) == (1, 0, "0")
    assert "  1 never sent (the provider was not reached)\n" in knocked.done.err
    assert "no model call" not in knocked.done.err


def test_zero_dollars_pay_for_no_call_but_what_is_free_passes(machine: Machine, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer())
    machine.provider_at(fake.url)
    models = request("/SECRET/openai/v1/models", method="GET", body="")
    knocked = knock(machine, request(), models, options=("--usd", "0", "--price", PRICE, "--name", "x"))
    assert [knocked.status(0), knocked.status(1)] == [402, 200]
    assert knocked.body()["error"]["message"] == (
        "run:x has $0.00 left of $0.00; this call needs up to $0.0010.\n"
        "spent $0.00, reserved $0.00 (0 open).\n"
        "To go on: raise the limit (--usd)."
    )
    assert [seen.path for seen in fake.seen] == ["/v1/models"]
    assert machine.entries() == ["open", "refuse", "close"]


def test_without_limits_calls_are_observed(machine: Machine, fake_provider: Fakes) -> None:
    fake = fake_provider(Answer(output_tokens=50))
    machine.provider_at(fake.url)
    knocked = knock(machine, request(), options=())
    assert knocked.status() == 200
    assert "  1 of unknown cost\n" in knocked.done.err
    total = machine.json("report")["total"]
    assert (total["calls"], total["unpriced"], total["tokens"]["output_tokens"]) == (1, 1, 50)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nosuch",), "No such command 'nosuch'."),
        (("run", "--usd"), "Option '--usd' requires an argument."),
        (
            ("report", "--last", "--run", "x"),
            "Invalid value: --last, --run, --scope, --all and --list exclude each other: give one of them",
        ),
    ],
)
def test_other_words_that_say_nothing_clear(machine: Machine, words: tuple[str, ...], message: str) -> None:
    done = machine(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(f"Error: {message}\n")
