"""
What a real ``solvent run`` says at its end, where it says it, and what the other commands say of it after.
"""

import contextlib
import json
import os
import pty
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from fake_provider import Answer, Fake
from knocking import knock, request
from machine import CENT, PRICE, SOLVENT, Machine

from solvent import __version__

pytestmark = pytest.mark.slow

Fakes = Callable[..., Fake]

OPTIONS = ("--usd", "1", "--price", PRICE, "--name", "x")
RUN_OPTIONS = [
    "--calls",
    "--help",
    "--input-tokens",
    "--json",
    "--keys",
    "--ledger",
    "--live",
    "--name",
    "--on-refusal",
    "--output-tokens",
    "--parallel",
    "--policy",
    "--price",
    "--quiet",
    "--report",
    "--retries",
    "--scope",
    "--time",
    "--tokens",
    "--tool-calls",
    "--usd",
    "--wait",
]
# A run of ``sh -c 'echo out; exit 5'`` that asks for nothing.
SILENT = ("--", "sh", "-c", "echo out; exit 5")
NO_CALL = """
Solvent · run x · exited with 5 · TIME

  usd  ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░    0 %  $0.00 of $1.00

  no model call was seen (calls to an address in its own code go past)

  see it again: solvent report --run x
"""
ONE_CALL = """
Solvent · run x · exited with 0 · TIME

  usd  █░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░    1 %  $0.01 of $1.00

  model   calls  input  cached  output   cost
  m           1      7       0   1,000  $0.01

  see it again: solvent report --run x
"""


def timeless(text: str) -> str:
    return re.sub(r"\b\d+(\.\d)? s\b", "TIME", text)


@pytest.fixture
def cent_a_call(machine: Machine, fake_provider: Fakes) -> Fake:
    """
    A provider of which every call costs a cent.
    """
    fake = fake_provider(Answer(output_tokens=1_000))
    machine.provider_at(fake.url)
    return fake


def call() -> str:
    message = {"role": "user", "content": "Go on."}
    return request(body=json.dumps({"model": "m", "max_tokens": 1_000, "messages": [message]}))


def test_a_run_without_a_model_call_says_so(machine: Machine) -> None:
    done = machine("run", *OPTIONS, *SILENT)
    assert (done.code, done.out, timeless(done.err)) == (5, "out\n", NO_CALL)


def test_a_report_is_seen_again_as_it_was(machine: Machine, cent_a_call: Fake) -> None:
    knocked = knock(machine, call(), options=OPTIONS)
    assert timeless(knocked.done.err) == ONE_CALL
    for words in ((), ("--last",), ("--run", "x"), ("--run", "run:x"), ("--ledger", machine.ledger)):
        done = machine("report", *words)
        assert (done.code, done.err) == (0, "")
        assert timeless(done.out).startswith(ONE_CALL.rstrip("\n"))
    assert len(cent_a_call.seen) == 1


def test_quiet_says_nothing_and_the_ledger_has_it_all(machine: Machine, cent_a_call: Fake) -> None:
    assert knock(machine, call(), options=(*OPTIONS, "--quiet")).done.err == ""
    assert machine("run", "--quiet", *SILENT) == (5, "out\n", "")
    assert machine.json("report", "--run", "x")["total"]["cost_nanodollars"] == str(CENT)
    assert len(cent_a_call.seen) == 1


def test_a_run_that_nothing_limits_says_so_once(machine: Machine) -> None:
    told = "solvent: nothing is limited: give --usd, --calls or a policy\n"
    assert machine("run", "--name", "a", *SILENT).err.count(told) == 1
    assert machine("run", "--quiet", *SILENT).err == ""
    json.loads(machine("run", "--json", *SILENT).err)
    for option in (("--calls", "9"), ("--time", "9s"), ("--name", "kept", "--usd", "1"), ("--name", "kept")):
        assert told not in machine("run", *option, *SILENT).err, option
    (machine.folder / "solvent.yaml").write_text("call: {usd: 1}")
    assert told not in machine("run", *SILENT).err


def test_a_run_that_the_policy_does_not_hold_says_so(machine: Machine) -> None:
    (machine.folder / "solvent.yaml").write_text("budgets: {run:triage: {usd: 0.0001}}")
    assert machine("run", "--name", "triage-1", *SILENT).err.splitlines()[1] == (
        "solvent: nothing is limited: no entry of the policy is for run:triage-1; give --usd or --calls, or write "
        "run:triage-* for run:triage"
    )
    assert "nothing is limited" not in machine("run", "--name", "triage", *SILENT).err


def test_json_goes_to_standard_error_alone(machine: Machine) -> None:
    done = machine("run", *OPTIONS, "--json", *SILENT)
    report: dict[str, Any] = json.loads(done.err)
    assert (done.code, done.out) == (5, "out\n")
    assert (report["schema_version"], report["scope"], report["exit_code"]) == (1, "run:x", 5)
    again = machine.json("report")
    assert again == report


def test_a_report_goes_to_its_file_alone(machine: Machine, cent_a_call: Fake) -> None:
    for options, read in (((), timeless), (("--json",), json.loads)):
        knocked = knock(machine, call(), options=(*OPTIONS, "--report", "report.txt", *options))
        assert knocked.done.err == ""
        content = read((machine.folder / "report.txt").read_text())
        assert content == ONE_CALL or content["total"]["calls"] == 2
    assert len(cent_a_call.seen) == 2


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("none/report.txt", "No such file or directory"),
        ("nowhere", "No such file or directory"),
        (".", "Is a directory"),
        pytest.param(
            "closed.txt",
            "Permission denied",
            marks=pytest.mark.skipif(os.geteuid() == 0, reason="nothing is closed to root"),
        ),
    ],
)
def test_a_report_that_cannot_be_written_starts_nothing(machine: Machine, path: str, reason: str) -> None:
    (machine.folder / "nowhere").symlink_to("none/report.txt")
    (machine.folder / "closed.txt").touch(mode=0o400)
    done = machine("run", *OPTIONS, "--report", path, *SILENT)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(f"\n\nError: Invalid value for --report: {path} cannot be written: {reason}\n")
    assert not machine.path.exists()


@pytest.mark.parametrize("content", [None, "of before"])
def test_where_nothing_is_started_the_file_of_a_report_is_left_as_it_is(machine: Machine, content: str | None) -> None:
    file = machine.folder / "report.txt"
    if content is not None:
        file.write_text(content)
    assert machine("run", "--report", "report.txt", "--policy", "absent.yaml", *SILENT).code == 4
    assert (file.read_text() if file.exists() else None) == content
    assert machine("run", *OPTIONS, "--report", "report.txt", *SILENT).code == 5
    assert timeless(file.read_text()) == NO_CALL


def test_a_report_that_cannot_be_written_any_more_is_shown_and_the_code_kept(machine: Machine) -> None:
    (machine.folder / "away").mkdir()
    done = machine("run", *OPTIONS, "--report", "away/report.txt", "--", "sh", "-c", "rmdir away; echo out; exit 5")
    message = "solvent: the report cannot be written to away/report.txt: No such file or directory\n"
    assert (done.code, done.out, timeless(done.err)) == (5, "out\n", message + NO_CALL)


def test_a_report_that_nobody_reads_leaves_the_code(machine: Machine) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = [*SOLVENT, "run", *OPTIONS, "--live", *SILENT]
    done = subprocess.run(words, env=machine.env, stdout=subprocess.PIPE, stderr=writing, check=False)
    os.close(writing)
    assert (done.returncode, done.stdout) == (5, b"out\n")
    assert machine.json("report")["exit_code"] == 5


def test_live_tells_every_call_when_it_is_over(machine: Machine, cent_a_call: Fake) -> None:
    options = ("--usd", "0.015", "--price", PRICE, "--name", "x", "--live", "--quiet")
    knocked = knock(machine, call(), call(), options=options)
    assert [knocked.status(0), knocked.status(1)] == [200, 402]
    assert knocked.done.err == (
        "solvent: m · 7 in, 1,000 out · $0.01 · $0.01 so far\n"
        "solvent: refused: run:x has $0.0050 left of $0.0150; this call needs up to $0.01.\n"
    )
    assert len(cent_a_call.seen) == 1


def test_a_name_goes_on_with_its_budget(machine: Machine, cent_a_call: Fake) -> None:
    options = ("--usd", "0.025", "--price", PRICE, "--name", "x")
    assert [knock(machine, call(), options=options).status() for _ in range(3)] == [200, 200, 402]
    report = machine.json("report")
    assert report["before"]["cost_nanodollars"] == str(2 * CENT)
    assert (report["openings"], report["limits"][0]["spent"], report["limits"][0]["remaining"]) == (
        3,
        str(2 * CENT),
        str(CENT // 2),
    )
    assert [refused["count"] for refused in report["refused"]] == [1]
    assert len(cent_a_call.seen) == 2


def test_verify_and_show_after_a_run(machine: Machine, cent_a_call: Fake) -> None:
    knock(machine, call(), options=OPTIONS)
    assert machine("ledger", "verify") == (
        0,
        "ok: 4 entries, 5 accounts; every account is the sum of its entries.\n",
        "",
    )
    assert machine("ledger", "show") == (
        0,
        "scope  meter          window  spent  reserved  overrun\n"
        "run:x  usd            life    $0.01     $0.00    $0.00\n"
        "run:x  tokens         life    1,007         0        0\n"
        "run:x  input_tokens   life        7         0        0\n"
        "run:x  output_tokens  life    1,000         0        0\n"
        "run:x  calls          life        1         0        0\n",
        "",
    )
    found = machine.json("ledger", "show", "--scope", "run:x")["accounts"]
    spent = {account["meter"]: account["spent"] for account in found}
    assert (spent["usd"], spent["calls"], spent["tokens"]) == (str(CENT), "1", "1007")
    assert machine("ledger", "show", "--scope", "run:none") == (0, "no account under run:none\n", "")
    assert len(cent_a_call.seen) == 1


def test_a_top_up_after_a_run_without_a_limit_in_dollars_says_that_none_is_in_force(
    machine: Machine, cent_a_call: Fake
) -> None:
    knock(machine, call(), options=("--calls", "9", "--price", PRICE, "--name", "x"))
    assert (
        "\nafter:  spent $0.01, reserved $0.00; limit in force: none, for the last call came without one; "
        "the $1.00 top-up adds to one that comes\n"
    ) in machine("ledger", "top-up", "run:x", "usd", "1").out
    assert "in force: the caller's + 5 calls top-up\n" in machine("ledger", "top-up", "run:x", "calls", "5").out
    assert len(cent_a_call.seen) == 1


def test_what_is_not_in_the_ledger_is_told(machine: Machine) -> None:
    assert machine("ledger", "verify") == (
        4,
        "",
        f"solvent: there is no ledger at {machine.ledger}.\n"
        "To go on: name another with --ledger or SOLVENT_LEDGER; `solvent run` makes one.\n",
    )
    assert not machine.path.exists()
    machine("run", "--name", "triage", "--", "true")
    assert machine("report", "--run", "triaje") == (
        1,
        "",
        f"solvent: no run 'triaje' is in {machine.ledger}. Close: run:triage.\n"
        "To go on: see the last ones with `solvent report --list`.\n",
    )


def all_of(terminal: int) -> bytes:
    """
    What was written to a terminal whose other end is closed; the system hands it over piece by piece.
    """
    with open(terminal, "rb", buffering=0) as stream:
        said = b""
        with contextlib.suppress(OSError):  # EIO is a terminal's end of file.
            while piece := stream.read(65_536):
                said += piece
    return said


@pytest.mark.parametrize(("env", "colored"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_gets_color_unless_it_is_not_wanted(machine: Machine, env: dict[str, str], colored: bool) -> None:
    reading, terminal = pty.openpty()
    words = [*SOLVENT, "run", *OPTIONS, "--", "true"]
    done = subprocess.run(
        words, env={**machine.env, "TERM": "xterm", **env}, stdout=subprocess.PIPE, stderr=terminal, check=False
    )
    os.close(terminal)
    said = all_of(reading).decode()
    assert (done.returncode, done.stdout) == (0, b"")
    assert "no model call was seen (calls to" in said
    assert ("\x1b[1m" in said) is colored
    assert ("\x1b" in said) is colored


def test_a_stream_that_knows_no_marks_gets_ascii(machine: Machine) -> None:
    done = machine("run", *OPTIONS, *SILENT, env={"PYTHONIOENCODING": "ascii"})
    assert done.code == 5
    assert done.err.isascii()
    assert "  usd  ........................................    0 %  $0.00 of $1.00\n" in done.err


def test_a_report_to_a_dash_is_written_to_standard_output(machine: Machine) -> None:
    done = machine("run", *OPTIONS, "--report", "-", *SILENT)
    assert (done.code, timeless(done.out), done.err) == (5, f"out\n{NO_CALL}", "")
    assert not (machine.folder / "-").exists()


def test_the_version_alone(machine: Machine) -> None:
    assert machine("--version") == (0, f"solvent {__version__}\n", "")


@pytest.mark.parametrize("words", [(), ("ledger",)])
def test_no_command_shows_the_commands(machine: Machine, words: tuple[str, ...]) -> None:
    done = machine(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"Usage: {' '.join(['python -m solvent', *words])} [OPTIONS] COMMAND [ARGS]...\n")
    of_ledger = ["show", "verify", "expire", "top-up", "set-limit", "export"]
    first = ["run", "doctor", "report", "top", "check", "estimate", "cost", "import", "export", "reconcile"]
    below = of_ledger if words else [*first, "forecast", "ledger", "prices"]
    assert re.findall(r"^  ([a-z][a-z-]+)  ", done.err, re.MULTILINE) == below


def test_the_options_of_run(machine: Machine) -> None:
    done = machine("run", "--help")
    assert (done.code, done.err) == (0, "")
    assert sorted(re.findall(r"^  (?:-h, )?(--[a-z-]+)", done.out, re.MULTILINE)) == RUN_OPTIONS
    assert machine.entries() == []
