"""
A policy that nobody named: the user's own, and the one of the current folder.
"""

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from fake_provider import Answer, Fake
from knocking import knock, request
from machine import SOLVENT, Machine, python

pytestmark = pytest.mark.slow

SILENT = ("--", "sh", "-c", "exit 5")


class Files:
    def __init__(self, machine: Machine) -> None:
        self.own = machine.folder / ".config" / "solvent" / "solvent.yaml"
        self.own.parent.mkdir(parents=True)
        self.here = machine.folder / "solvent.yaml"


@pytest.fixture
def files(machine: Machine) -> Files:
    return Files(machine)


@pytest.fixture
def provider(machine: Machine, fake_provider) -> Fake:
    fake: Fake = fake_provider(Answer())
    machine.provider_at(fake.url)
    return fake


def test_a_run_holds_to_both_files_and_says_which(machine: Machine, files: Files, provider: Fake) -> None:
    files.own.write_text("budgets: {run:*: {calls: 2}}")
    knocked = knock(machine, *[request()] * 3, options=("--quiet",))
    assert [knocked.status(number) for number in range(3)] == [200, 200, 402]
    files.here.write_text("budgets: {run:*: {calls: 1}}")
    knocked = knock(machine, *[request()] * 2, options=())
    assert [knocked.status(number) for number in range(2)] == [200, 402]
    assert knocked.done.err.startswith("solvent: policy: ~/.config/solvent/solvent.yaml, tightened by ~/solvent.yaml\n")
    assert len(provider.seen) == 3


def test_a_file_of_the_folder_that_would_widen_starts_nothing(machine: Machine, files: Files) -> None:
    files.here.write_text("store_down: {open: $1}")
    done = machine("run", *SILENT)
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("solvent: solvent.yaml:1: store_down: expected `refuse` or nothing here, got {open: $1")
    assert not machine.path.exists()
    assert machine("run", "--policy", "solvent.yaml", "--quiet", *SILENT).code == 5
    assert machine("run", "--quiet", *SILENT, env={"SOLVENT_POLICY": "solvent.yaml"}).code == 5
    assert machine("run", "--quiet", *SILENT, env={"SOLVENT_POLICY": ""}).code == 5


@pytest.mark.parametrize(
    ("options", "env", "is_told"),
    [
        ((), {}, True),
        (("--json", "--report", "-"), {}, True),
        (("--json",), {}, False),
        (("--quiet",), {}, False),
        (("--policy", "solvent.yaml"), {}, False),
        ((), {"SOLVENT_POLICY": "solvent.yaml"}, False),
        ((), {"SOLVENT_POLICY": ""}, False),
    ],
)
def test_what_was_found_is_told_where_nobody_named_it(machine, files, options, env, is_told) -> None:
    files.here.write_text("wait: 1s")
    done = machine("run", *options, *SILENT, env=env)
    assert done.code == 5
    assert ("solvent: policy: ~/solvent.yaml\n" in done.err) is is_told


def test_on_a_terminal_it_is_told_dimly(machine: Machine, files: Files) -> None:
    files.here.write_text("wait: 1s")
    leader, follower = pty.openpty()
    words = [*SOLVENT, "run", "--report", "r.txt", *SILENT]
    env = {**machine.env, "TERM": "xterm"}
    subprocess.run(words, env=env, cwd=machine.folder, stderr=follower, stdin=subprocess.DEVNULL, check=False)
    os.close(follower)
    said = b""
    with contextlib.suppress(OSError):  # Nobody is at the other end any more.
        while more := os.read(leader, 9999):
            said += more
    os.close(leader)
    assert said == (
        b"\x1b[2msolvent: policy: ~/solvent.yaml\x1b[0m\r\n"
        b"\x1b[2msolvent: nothing is limited: give --usd, --calls or a policy\x1b[0m\r\n"
    )


def test_a_run_inside_another_one_keeps_to_that_ones_policy(machine: Machine, files: Files, provider: Fake) -> None:
    inner = machine.folder / "inner"
    inner.mkdir()
    (inner / "solvent.yaml").write_text("not a policy")
    files.here.write_text("budgets: {run:*: {calls: 1}}")
    file = machine.folder / "requests.json"
    file.write_text(json.dumps([request()] * 2))
    knocks = python(Path(__file__).with_name("knock.py"), str(file))
    words = " ".join([*SOLVENT, "run", "--quiet", "--", *knocks])
    done = machine("run", "--quiet", "--", "sh", "-c", f"cd inner && {words}")
    assert (done.code, done.err) == (0, "")
    assert [reply.split(" ")[1] for reply in json.loads(done.out)["replies"]] == ["200", "402"]
    assert len(provider.seen) == 1


def test_the_report_of_a_run_is_found_in_the_policys_ledger(machine: Machine, files: Files) -> None:
    del machine.env["SOLVENT_LEDGER"]
    files.own.write_text("ledger: books.db")
    done = machine("run", "--name", "x", *SILENT)
    assert (files.own.parent / "books.db").exists()
    assert done.err.endswith("  see it again: solvent report --run x\n")
    assert machine.json("report")["scope"] == "run:x"
    assert "--ledger" in machine("run", "--ledger", "other.db", *SILENT).err
    files.own.write_text("budgest: {}")
    assert machine("report").code == 4
    assert machine("report", "--ledger", str(files.own.parent / "books.db")).code == 0
    files.here.write_text("wait: 1s")
    assert machine("run", "--policy", "solvent.yaml", *SILENT).code == 5


@pytest.mark.parametrize("here", ["ledger: other.db", "wait: soon"])
def test_books_and_prices_are_read_where_the_folders_policy_cannot_be_used(
    machine: Machine, files: Files, here: str
) -> None:
    del machine.env["SOLVENT_LEDGER"]
    files.own.write_text("ledger: books.db\nprices: {mine: {input: 3, output: 7}}")
    machine("run", "--name", "x", "--quiet", *SILENT)
    files.here.write_text(here)
    for words in (("report",), ("report", "--list"), ("ledger", "show"), ("ledger", "verify"), ("prices", "mine")):
        done = machine(*words)
        assert done.code == 0, words
        assert done.err.startswith("solvent: the policy of this folder is passed over: solvent.yaml:1: "), words
        assert done.err.count("\n") == 1
    assert json.loads(machine("report", "--json").out)["scope"] == "run:x"
    assert not (machine.folder / "other.db").exists()
    for command, way in (("run", "--policy solvent.yaml"), ("check", "solvent check solvent.yaml")):
        done = machine(command, *SILENT if command == "run" else ())
        assert (done.code, done.out) == (4, "")
        assert f"by `{way}` or `SOLVENT_POLICY=solvent.yaml`, or put" in done.err or "wait: expected" in done.err


def test_prices_of_the_users_own_file_are_those_of_estimate_and_prices(machine: Machine, files: Files) -> None:
    files.own.write_text("prices: {mine: {input: 3, output: 7}}")
    assert "$7.00" in machine("prices", "mine").out
    request = {"model": "mine", "max_tokens": 1, "messages": []}
    call = {"provider": "openai", "path": "/v1/chat/completions", "request": request}
    (machine.folder / "call.json").write_text(json.dumps(call))
    [*_, usd] = json.loads(machine("estimate", "--json", "call.json").out)["bound_parts"]
    assert usd["reason"] == "the highest price that applies: ~/.config/solvent/solvent.yaml:1"


def test_doctor_says_which_files_a_program_would_go_by(machine: Machine, files: Files) -> None:
    def told(**env: str) -> tuple[str, list[dict[str, str]]]:
        found = json.loads(machine("doctor", "--json", env=env).out)
        return found["settings"]["policy"], [one for one in found["uncovered"] if "solvent.yaml" in one["what"]]

    assert told() == ("none (SOLVENT_POLICY names one)", [])
    files.own.write_text("wait: 1s")
    assert told() == ("~/.config/solvent/solvent.yaml", [])
    files.here.write_text("wait: 2s")
    assert told() == ("~/.config/solvent/solvent.yaml, tightened by ~/solvent.yaml", [])
    assert told(SOLVENT_POLICY="solvent.yaml") == ("~/solvent.yaml", [])
    files.here.write_text("wait: soon")
    policy, [uncovered] = told()
    assert policy == "one that cannot be read"
    assert uncovered["mend"] == "mend the file, or set SOLVENT_POLICY to nothing to go without"
    files.here.write_text("ledger: x.db")
    _, [uncovered] = told()
    assert uncovered["what"].startswith("solvent.yaml:1: ledger: expected no ledger here")
    assert uncovered["mend"].startswith("a solvent.yaml in the current folder may only tighten")


PROGRAM = """
import solvent
from solvent._runtime import PROCESS
with solvent.budget("x"):
    print(PROCESS.runtime().guard.policy.wait_seconds, *PROCESS.runtime().guard.policy.files)
"""


def test_a_python_program_goes_by_what_is_found_where_it_runs(machine: Machine, files: Files) -> None:
    def waits(**env: str) -> str:
        words = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(
            words, env={**machine.env, **env}, cwd=machine.folder, capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or done.stderr.splitlines()[-1]

    assert waits() == "30.0"
    files.own.write_text("wait: 1s")
    assert waits() == f"1.0 {files.own}"
    files.here.write_text("wait: 2s")
    assert waits() == f"2.0 {files.own} {files.here}"
    assert waits(SOLVENT_POLICY="") == "30.0"
    files.here.write_text("wait: soon")
    assert "solvent.yaml:1: wait: expected a length of time" in waits()
