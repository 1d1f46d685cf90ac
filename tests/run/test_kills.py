"""
Whoever is killed in the middle of a call: nothing is left running, and what the provider bills is in the ledger.
"""

import contextlib
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_provider import Answer, Fake, Rates
from machine import CENT, PRICE, Done, Machine, ended, python
from servers import PATIENCE_SECONDS, Gate

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="waits by pidfds"),
]

Fakes = Callable[..., Fake]

FAMILY = Path(__file__).with_name("family.py")
RATES = Rates(input=0, output=10_000)


class Family:
    """
    A ``solvent run`` of ``family.py``, and everybody in it by name.
    """

    def __init__(self, machine: Machine, way: str, *options: str) -> None:
        words = ("run", "--price", PRICE, "--name", "same", *options, "--", *python(FAMILY, way))
        self.machine = machine
        self.process = machine.start(*words)
        self.pids: dict[str, int] = json.loads(self.line())
        self.pids["solvent"] = self.process.pid
        self.pids["guardian"] = psutil.Process(self.pids["command"]).ppid()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def signal(self, number: int, *whom: str) -> None:
        for name in whom:
            with contextlib.suppress(ProcessLookupError):  # The guardian may have been faster than the test.
                os.kill(self.pids[name], number)

    def end(self) -> Done:
        """
        Its end, at which nobody of it is left.
        """
        assert self.process.wait(PATIENCE_SECONDS) is not None
        self.machine.assert_nothing_runs()
        return ended(self.process)


def in_mid_call(machine: Machine, fake: Fake, way: str = "plain", *options: str) -> Family:
    """
    A run under a dollar whose one call, of up to three cents, the provider has and holds.
    """
    machine.provider_at(fake.url)
    family = Family(machine, way, "--usd", "1", *options)
    fake.wait_until(lambda: fake.open_count == 1, "a call in the middle")
    return family


def holding(fakes: Fakes) -> Fake:
    return fakes(Answer(output_tokens=3_000, hold=Gate()))


def money(machine: Machine) -> tuple[int, int]:
    """
    What the ledger has as spent and as reserved, and its books are in order.
    """
    with machine.store() as store:
        assert store.verify() is None
        (usd,) = [balance for balance in store.balances() if balance.account.meter == "usd"]
        return usd.spent, usd.reserved


def spent_in(report: dict[str, Any]) -> int:
    return int(report["limits"][0]["spent"])


@pytest.mark.parametrize("victims", [("solvent",), ("solvent", "command"), ("command", "solvent")], ids="+".join)
def test_a_call_that_a_killed_solvent_left_open_is_charged_in_full(
    machine: Machine, fake_provider: Fakes, victims: tuple[str, ...]
) -> None:
    fake = holding(fake_provider)
    family = in_mid_call(machine, fake)
    if victims[0] == "command":  # Which solvent might see, and book the call, before its own turn comes.
        family.signal(signal.SIGSTOP, "solvent")
    family.signal(signal.SIGKILL, *victims)
    assert family.end() == (-signal.SIGKILL, "", "")
    fake.wait_until(lambda: fake.left_count == 1, "the end of the provider's connection")

    assert money(machine) == (0, 3 * CENT)
    assert machine("ledger", "verify") == (
        0,
        "ok: 2 entries, 6 accounts; every account is the sum of its entries.\n",
        "",
    )

    done = machine("report")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("\nSolvent · run same · killed · ")
    assert "$0.03 of $1.00\n" in done.out
    assert "  1 expired, charged in full: $0.03\n" in done.out
    report = machine.json("report")
    assert (report["ended"], report["exit_reason"], report["exit_code"]) == (None, None, None)
    assert report["expired"] == {"count": 1, "nanodollars": str(3 * CENT), "dollars": "0.030000000"}
    assert report["estimated"] == [{"reason": "expired", **report["expired"]}]
    assert (report["open"]["count"], report["total"]["cost_nanodollars"]) == (0, str(3 * CENT))
    assert money(machine) == (3 * CENT, 0)
    assert machine("ledger", "verify").code == 0


def settled_as_gone(machine: Machine, done: Done, *, header: str, reason: str) -> None:
    """
    The client left in mid-call, so the call is booked at its bound, and the report says so.
    """
    assert done.err.startswith(f"\nSolvent · run same · {header} · ")
    assert "  1 booked at the most it could cost (left by the program): $0.03\n" in done.err
    assert (done.out, money(machine)) == ("", (3 * CENT, 0))
    report = machine.json("report")
    assert (report["exit_reason"], report["exit_code"]) == (reason, done.code)
    assert (report["expired"]["count"], report["total"]["cost_nanodollars"]) == (0, str(3 * CENT))
    assert machine("ledger", "verify").code == 0


@pytest.mark.parametrize(
    ("victim", "header", "reason"), [("command", "ended by SIGKILL", "signal"), ("guardian", "lost with 137", "lost")]
)
def test_a_killed_command_leaves_its_call_settled_at_the_bound(
    machine: Machine, fake_provider: Fakes, victim: str, header: str, reason: str
) -> None:
    fake = holding(fake_provider)
    family = in_mid_call(machine, fake)
    family.signal(signal.SIGKILL, victim)
    done = family.end()
    fake.wait_until(lambda: fake.left_count == 1, "the end of the provider's connection")
    assert done.code == 137
    settled_as_gone(machine, done, header=header, reason=reason)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_solvent_ends_the_run_as_the_command_ends(
    machine: Machine, fake_provider: Fakes, number: signal.Signals
) -> None:
    fake = holding(fake_provider)
    family = in_mid_call(machine, fake)
    family.signal(number, "solvent")
    done = family.end()
    assert done.code == 7
    settled_as_gone(machine, done, header="exited with 7", reason="exited")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_command_that_a_passed_signal_ends_has_its_number_as_code(machine: Machine, number: signal.Signals) -> None:
    process = machine.start("run", "--", "sh", "-c", "echo ready; exec sleep 600")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    done = ended(process)
    machine.assert_nothing_runs()
    assert done.code == 128 + number
    assert "\n\nSolvent · run sh-" in done.err
    assert f" · ended by {signal.Signals(done.code - 128).name} · " in done.err


def test_a_run_that_goes_on_after_a_kill_has_what_the_provider_left_it(machine: Machine, fake_provider: Fakes) -> None:
    fake = fake_provider([Answer(output_tokens=3_000, hold_after=(4, Gate())), Answer(output_tokens=3_000)])
    family = in_mid_call(machine, fake, "stream", "--usd", "0.07")
    assert family.line() == "streaming"
    family.signal(signal.SIGKILL, "solvent")
    assert family.end() == (-signal.SIGKILL, "", "")
    # The provider wrote all of it, whoever read it.
    assert fake.billed(RATES) == 3 * CENT
    assert money(machine) == (0, 3 * CENT)

    for statuses, billed in (("200", 6 * CENT), ("402", 6 * CENT)):
        next_run = Family(machine, "plain", "--usd", "0.07")
        assert next_run.line() == statuses
        next_run.end()
        assert fake.billed(RATES) == billed
        assert money(machine) == (6 * CENT, 0)
    report = machine.json("report", "--run", "same")
    assert (report["openings"], spent_in(report), report["limits"][0]["remaining"]) == (3, 6 * CENT, str(CENT))
    assert report["before"]["cost_nanodollars"] == str(6 * CENT)


def kill_while_calls_pass(machine: Machine, fake: Fake, limit: str, chance: random.Random) -> None:
    """
    Kill Solvent some calls after its first, at a moment between two of them that nobody chose.
    """
    target = len(fake.seen) + chance.randint(1, 25)
    family = Family(machine, "many", "--usd", limit)
    fake.wait_until(lambda: len(fake.seen) >= target, f"{target} calls")
    moment = time.perf_counter() + chance.uniform(0, 0.01)
    while time.perf_counter() < moment:  # A call, its reply and its settling take less than these 10 ms.
        pass
    family.signal(signal.SIGKILL, "solvent")
    assert family.end().code == -signal.SIGKILL


def nothing_is_lost_in(rounds: int, machine: Machine, fake: Fake, *, limit_cents: int) -> None:
    machine.provider_at(fake.url)
    limit, chance = f"{limit_cents / 100:.2f}", random.Random(rounds)
    left_open = 0
    for _ in range(rounds):
        kill_while_calls_pass(machine, fake, limit, chance)
        billed, (spent, reserved) = fake.billed(RATES), money(machine)
        assert billed <= spent + reserved <= limit_cents * CENT
        # At most the four calls of this round are open: those before were charged when it began.
        assert reserved in range(0, 5 * CENT, CENT)
        left_open += reserved // CENT
    assert left_open >= rounds // 2, "the kills hit nothing"

    before, (spent, reserved) = fake.billed(RATES), money(machine)
    done = Family(machine, "many", "--usd", limit).end()
    assert done.code == 0, done.err
    # The last round was not killed: it spent exactly what it was billed, from what the others had left.
    assert money(machine) == (spent + reserved + fake.billed(RATES) - before, 0)
    assert limit_cents * CENT - CENT < money(machine)[0] <= limit_cents * CENT
    assert fake.billed(RATES) <= money(machine)[0]
    report = machine.json("report", "--run", "same")
    assert (spent_in(report), report["expired"]["count"]) == (money(machine)[0], left_open)
    assert machine("ledger", "verify").code == 0


def test_whenever_solvent_is_killed_the_bill_is_in_the_ledger(machine: Machine, fake_provider: Fakes) -> None:
    nothing_is_lost_in(10, machine, fake_provider(Answer(output_tokens=300)), limit_cents=160)


@pytest.mark.long
def test_a_hundred_kills_lose_nothing(machine: Machine, fake_provider: Fakes) -> None:
    nothing_is_lost_in(100, machine, fake_provider(Answer(output_tokens=300)), limit_cents=1_500)
